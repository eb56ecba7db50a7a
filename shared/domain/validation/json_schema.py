"""JSON Schema 2020-12 of untrusted authors: nothing is fetched, nothing runs away.

The library behind it is native code that cannot be stopped once it runs. So patterns match in linear time,
depth is limited, references stay inside the schema, and the work is counted before it is begun.
Source: contracts/core.md section 4 (1).
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
MAX_DEPTH: Final = 100
"""Neither a schema nor a value nests deeper: the library would end the process with its stack."""

_PATTERN_BYTES: Final = 8 << 20  # for all patterns of a schema: [\\p{L} ]{2,100} alone takes 5 MB


def schema_problems(schema: Any) -> tuple[SchemaError, ...]:  # noqa: ANN401 - any JSON object
    """What keeps a JSON object from being used as a schema, by its place; empty for a correct one."""
    if _too_deep(schema):
        return (SchemaError("", "", f"schemas nest at most {MAX_DEPTH} levels deep"),)
    try:
        found = {**_refused(schema), **_ungrammatical(schema)}
        if not found:
            _compiled(json.dumps(schema, sort_keys=True))
    except jsonschema_rs.ValidationError as error:
        unfit = "is no pattern, or not one for linear time and little memory"
        found = {_pointer(error.instance_path): unfit if error.kind.name == "format" else error.message}
    except ValueError as error:  # no JSON: half a surrogate pair, not a number
        found = {"": str(error)}
    return tuple(SchemaError("", place, message) for place, message in found.items())


def errors(schema: dict[str, Any], value: object) -> tuple[SchemaError, ...]:
    """Where a JSON value breaks a schema in which ``schema_problems`` finds nothing.

    Values are not quoted in the messages. Formats are notes, not rules.
    """
    if _too_deep(value):
        return (SchemaError("", "", f"lies more than {MAX_DEPTH} levels deep"),)
    text = json.dumps(schema, sort_keys=True)
    if multiplies(text) and Work(schema, _matcher()).of(schema, value) >= MAX_MEETINGS:
        return (SchemaError("", "", f"would meet parts of the schema more than {MAX_MEETINGS} times"),)
    try:
        found = list(_compiled(text).iter_errors(value))
    except UnicodeEncodeError:
        return (SchemaError("", "", "must hold no half of a surrogate pair"),)
    return tuple(SchemaError(_pointer(e.instance_path), _pointer(e.schema_path), e.message) for e in found)


def _refused(schema: dict[str, Any]) -> dict[str, str]:
    """What we do not take although it is JSON Schema, by its place."""
    found, work = {}, Work(schema, _matcher())
    if schema.get("$schema", DIALECT) not in (DIALECT, f"{DIALECT}#"):
        found["/$schema"] = f"the dialect must be {DIALECT}"
    for place, owner, keyword, value in keywords(schema):
        if keyword in ("$ref", "$dynamicRef") and isinstance(value, str) and not value.startswith("#"):
            found[place] = f"references must stay inside the schema and begin with #, this is {value!r}"
        elif keyword == "$id" and isinstance(value, str) and place != "/$id":
            found[place] = "only the root of a schema may have an $id"
        elif multiplies(f'"{keyword}"') and work.of(owner, None) >= MAX_MEETINGS:
            found[place] = "leads back to itself, or on to too much, without looking into the value"
    return found


def _ungrammatical(schema: object) -> dict[str, str]:
    """What the schema of schemas says, once for each place: it comes to some places by several ways."""
    found: dict[str, str] = {}
    for error in _schema_of_schemas().iter_errors(schema):
        found.setdefault(_pointer(error.instance_path), error.message)
    return found


def _too_deep(value: object) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [part for one in level for part in members(one)]
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
    """The engine that never backtracks; it refuses look-around, back-references and what takes its share."""
    return jsonschema_rs.RegexOptions(size_limit=_PATTERN_BYTES // max(count, 1), dfa_size_limit=1 << 20)


def _matcher() -> Callable[[str, str], bool]:
    @cache
    def compiled(pattern: str) -> jsonschema_rs.Validator:
        return jsonschema_rs.Draft202012Validator({"pattern": pattern}, pattern_options=_linear(1))

    return lambda pattern, name: compiled(pattern).is_valid(name)


def _refuse(uri: str) -> NoReturn:
    """The library asks here before it would fetch: it never may, whatever a schema refers to."""
    raise ValueError(f"{uri} is outside the schema")
