"""JSON Schema 2020-12 for schemas of untrusted authors: nothing is fetched, and work is limited.

The library is native code that cannot be interrupted. Patterns are therefore matched in linear time, depth is
limited, references must stay inside the schema, and the work is counted before it starts.
Source: docs/contracts/core.md section 4 (1).
"""

import json
from collections.abc import Callable, Iterable
from functools import cache, lru_cache
from typing import Any, Final, NoReturn

import jsonschema_rs

from shared.domain.validation.json_schema_cost import (
    MAX_MEETINGS,
    Work,
    keywords,
    members,
    multiplies,
    patterns,
)
from shared.domain.validation.jtd_schema import JtdError as SchemaError
from shared.domain.validation.jtd_schema import escaped

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
# A deeper schema or value would overflow the library's stack and end the process.
MAX_DEPTH: Final = 100
"""The most levels that a schema or a value may nest."""

_PATTERN_BYTES: Final = 8 << 20  # for all patterns of a schema: [\\p{L} ]{2,100} alone takes 5 MB


def schema_problems(schema: Any) -> tuple[SchemaError, ...]:  # noqa: ANN401 - any JSON object
    """Return the problems of a JSON object as a schema; empty if it is a correct one."""
    if _too_deep(schema):
        return (SchemaError("", "", f"must nest at most {MAX_DEPTH} levels deep"),)
    try:
        problems = {**_refused(schema), **_ungrammatical(schema)}
        if not problems:
            _compiled(json.dumps(schema, sort_keys=True))
    except jsonschema_rs.ValidationError as error:
        bad_pattern = "must be a regular expression of moderate size, without look-around and back-references"
        problems = {
            _pointer(error.instance_path): bad_pattern if error.kind.name == "format" else error.message
        }
    except ValueError as error:  # not JSON: half of a surrogate pair, or NaN
        problems = {"": str(error)}
    return tuple(SchemaError("", place, message) for place, message in problems.items())


def errors(schema: dict[str, Any], value: object) -> tuple[SchemaError, ...]:
    """Return the errors of a JSON value under a schema that ``schema_problems`` accepts.

    The messages do not quote the value. Formats are not checked.
    """
    if _too_deep(value):
        return (SchemaError("", "", f"must nest at most {MAX_DEPTH} levels deep"),)
    text = json.dumps(schema, sort_keys=True)
    if multiplies(text) and Work(schema, _matcher()).of(schema, value) >= MAX_MEETINGS:
        return (SchemaError("", "", f"needs more than {MAX_MEETINGS} schema checks"),)
    try:
        violations = list(_compiled(text).iter_errors(value))
    except UnicodeEncodeError:
        return (SchemaError("", "", "must not contain half of a surrogate pair"),)
    return tuple(
        SchemaError(_pointer(error.instance_path), _pointer(error.schema_path), error.message)
        for error in violations
    )


def _refused(schema: dict[str, Any]) -> dict[str, str]:
    """Return the parts of a schema that are valid JSON Schema but not supported, by their place."""
    problems, work = {}, Work(schema, _matcher())
    if schema.get("$schema", DIALECT) not in (DIALECT, f"{DIALECT}#"):
        problems["/$schema"] = f"the dialect must be {DIALECT}"
    for place, owner, keyword, value in keywords(schema):
        if keyword in ("$ref", "$dynamicRef") and isinstance(value, str) and not value.startswith("#"):
            problems[place] = f"references must stay inside the schema and begin with #, this is {value!r}"
        elif keyword == "$id" and isinstance(value, str) and place != "/$id":
            problems[place] = "only the root of a schema may have an $id"
        elif multiplies(f'"{keyword}"') and work.of(owner, None) >= MAX_MEETINGS:
            problems[place] = "must not refer to itself, or expand too far, without going into the value"
    return problems


def _ungrammatical(schema: object) -> dict[str, str]:
    """Return the errors of a schema under the meta-schema, one for each place."""
    problems: dict[str, str] = {}
    for error in _schema_of_schemas().iter_errors(schema):
        # The meta-schema reaches some places by several paths and would report them several times.
        problems.setdefault(_pointer(error.instance_path), error.message)
    return problems


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
        schema,
        retriever=_refuse,
        validate_formats=False,
        pattern_options=_linear(patterns(json.loads(schema))),
        mask="the value",
    )


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
