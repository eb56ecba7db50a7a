"""JSON Schema 2020-12 for schemas of untrusted authors: nothing is fetched, and work is limited.

The library is native code that cannot be interrupted. Patterns are therefore matched in linear time, depth is
limited, references must stay inside the schema, and the work is counted before it starts.
It also makes every error before it returns the first one, each with a copy of what the schema allows. So values are
first asked for validity alone, and errors are made only if they cannot be many.
Source: docs/contracts/core.md section 4 (1).
"""

import json
from collections.abc import Callable, Iterable, Iterator
from functools import cache, lru_cache
from itertools import chain
from typing import Any, Final, NoReturn

import jsonschema_rs

from shared.domain.validation.json_schema_cost import (
    DATA,
    MAX_WORK,
    Work,
    is_cheap,
    keywords,
    members,
    multiplies,
    of_checking,
    of_quoting,
    patterns,
)
from shared.domain.validation.jtd_schema import JtdError as SchemaError
from shared.domain.validation.pointers import escaped
from shared.domain.validation.texts import DATE_HINT, DATE_TIME_HINT, HALF_A_PAIR

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
# A deeper schema or value would overflow the library's stack and end the process.
MAX_DEPTH: Final = 100
"""The most levels that a schema or a value may nest."""

MAX_REPORTED_WORK: Final = 20_000
"""The most work of a validation whose errors are all made. An error takes at most 1.5 KB for each unit of it."""

MAX_EXAMINED_PARTS: Final = 1_000
"""The most members of an invalid schema whose problems are all made. Of a larger one the first is made."""

FORMATS: Final = ("email", "date", "date-time", "uri", "uuid")
"""The values of ``format`` that are checked. Others are notes."""

_HINTS: Final = {"date": DATE_HINT, "date-time": DATE_TIME_HINT}
_PATTERN_BYTES: Final = 8 << 20  # for all patterns of a schema: [\\p{L} ]{2,100} alone takes 5 MB
_TOO_DEEP: Final = f"must nest at most {MAX_DEPTH} levels deep"


def schema_problems(schema: Any) -> Iterator[SchemaError]:  # noqa: ANN401 - any JSON object
    """Yield the problems of a JSON object as a schema; none if it is a correct one."""
    if _too_deep(schema):
        yield SchemaError("", "", _TOO_DEEP)
        return
    places: set[str] = set()
    try:
        for place, message in chain(_refused(schema), _ungrammatical(schema)):
            # The meta-schema reaches some places by several paths and would report them several times.
            if place not in places:
                places.add(place)
                yield SchemaError("", place, message)
        if not places:
            _compiled(json.dumps(schema, sort_keys=True))
    except jsonschema_rs.ValidationError as error:
        bad_pattern = "must be a regular expression of moderate size, without look-around and back-references"
        message = bad_pattern if error.kind.name == "format" else error.message
        yield SchemaError("", _pointer(error.instance_path), message)
    except ValueError as error:  # not JSON: half of a surrogate pair, or NaN
        yield SchemaError("", "", str(error))


def errors(schema: dict[str, Any], value: object) -> Iterator[SchemaError]:
    """Yield the errors of a JSON value under a schema that ``schema_problems`` accepts.

    The messages do not quote the value. If there may be very many, only one is made. The formats of ``FORMATS`` are
    checked.
    """
    if _too_deep(value):
        yield SchemaError("", "", _TOO_DEEP)
        return
    text = json.dumps(schema, sort_keys=True)
    matcher = _matcher()
    is_little = is_cheap(text, json.dumps(value))
    if not is_little and Work(schema, matcher, cost=of_checking).of(schema, value) >= MAX_WORK:
        yield SchemaError("", "", f"needs more than {MAX_WORK} schema checks")
        return
    try:
        validator = _compiled(text)
        if validator.is_valid(value):
            return
        quoted = Work(schema, matcher, cost=of_quoting).of(schema, value)
        for error in _found(validator, text, value, quoted):
            message = f"{error.message}{_hint(error)}"
            yield SchemaError(_pointer(error.instance_path), _pointer(error.schema_path), message)
    except UnicodeEncodeError:
        yield SchemaError("", "", HALF_A_PAIR)
    except _TooManyError:
        yield SchemaError("", "", "does not match the schema, at too many places to list them")


class _TooManyError(Exception):
    """The value is invalid, and its errors may be too many to be made."""


def _found(
    validator: jsonschema_rs.Validator, text: str, value: object, quoted: int
) -> Iterator[jsonschema_rs.ValidationError]:
    """Yield the errors of an invalid value, if they cannot be many; else the first one. Raises: _TooManyError."""
    if quoted <= MAX_REPORTED_WORK:
        yield from validator.iter_errors(value)
        return
    # Even one error of these holds the errors of every branch, with those of all parts of the value below.
    if '"anyOf"' in text or '"oneOf"' in text:
        raise _TooManyError
    yield from _first(validator, value)


def _first(validator: jsonschema_rs.Validator, value: object) -> Iterator[jsonschema_rs.ValidationError]:
    """Yield the first error of a value, without making the others."""
    try:
        validator.validate(value)
    except jsonschema_rs.ValidationError as error:
        yield error


def _hint(error: jsonschema_rs.ValidationError) -> str:
    """Return which form a date must have if the error is about one, else nothing."""
    return _HINTS.get(error.kind.as_dict()["format"], "") if error.kind.name == "format" else ""


def _refused(schema: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the parts of a schema that are valid JSON Schema but not supported: place and message."""
    work = Work(schema, _matcher(), cost=of_checking)
    if schema.get("$schema", DIALECT) not in (DIALECT, f"{DIALECT}#"):
        yield "/$schema", f"the dialect must be {DIALECT}"
    for place, owner, keyword, value in keywords(schema):
        if keyword in ("$ref", "$dynamicRef") and isinstance(value, str) and not value.startswith("#"):
            yield place, f"references must stay inside the schema and begin with #, this is {value!r}"
        elif keyword == "$id" and isinstance(value, str) and place != "/$id":
            yield place, "only the root of a schema may have an $id"
        elif multiplies(keyword) and work.of(owner, None) >= MAX_WORK:
            yield place, "must not refer to itself, or expand too far, without going into the value"


def _ungrammatical(schema: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the errors of a schema under the meta-schema: place and message."""
    validator = _schema_of_schemas()
    if validator.is_valid(schema):
        return
    # The meta-schema is a choice at every part, so that an error at a part costs 20 KB.
    is_small = sum(1 for _ in keywords(schema)) <= MAX_EXAMINED_PARTS
    for error in validator.iter_errors(schema) if is_small else _first(validator, schema):
        yield _pointer(error.instance_path), error.message


def _too_deep(value: object) -> bool:
    # Level by level, because recursion would exceed the stack on the values that this must reject.
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [part for parent in level for part in members(parent)]
    return bool(level)


def _pointer(tokens: Iterable[str | int]) -> str:
    return "".join(f"/{escaped(str(token))}" for token in tokens)


@lru_cache(maxsize=1)
def _schema_of_schemas() -> jsonschema_rs.Validator:
    return jsonschema_rs.Draft202012Validator({"$ref": DIALECT}, retriever=_refuse)


@lru_cache(maxsize=32)
def _compiled(schema: str) -> jsonschema_rs.Validator:
    return jsonschema_rs.Draft202012Validator(
        json.dumps(_with_formats(json.loads(schema))),
        retriever=_refuse,
        validate_formats=True,
        pattern_options=_linear(patterns(json.loads(schema))),
        mask="the value",
    )


def _with_formats(part: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Return a part of a schema without formats that are not checked; the library would check some of them."""
    if isinstance(part, list):
        return [_with_formats(entry) for entry in part]
    if not isinstance(part, dict):
        return part
    return {
        name: value if name in DATA else _with_formats(value)
        for name, value in part.items()
        # A property of this name has a schema, not a text.
        if name != "format" or not isinstance(value, str) or value in FORMATS
    }


def _linear(count: int) -> jsonschema_rs.RegexOptions:
    """Return options for the engine without backtracking, look-around, back-references and large patterns."""
    return jsonschema_rs.RegexOptions(size_limit=_PATTERN_BYTES // max(count, 1), dfa_size_limit=1 << 20)


def _matcher() -> Callable[[str, str], bool]:
    @cache
    def compiled(pattern: str) -> jsonschema_rs.Validator:
        return jsonschema_rs.Draft202012Validator({"pattern": pattern}, pattern_options=_linear(1))

    return lambda pattern, name: compiled(pattern).is_valid(name)


def _refuse(uri: str) -> NoReturn:
    """Reject every reference that the library would fetch."""
    raise ValueError(f"{uri} is outside the schema")
