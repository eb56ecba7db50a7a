"""Attributes, requests and responses under the schemas of a strategy, in either of two schema languages.

JSON Schema 2020-12 where the root has a ``$schema`` or a ``type`` that only JSON Schema knows (``object``,
``array``, ``integer``, ``number``, ``null``, or a list of types); JSON Type Definition everywhere else.
Nothing is ever fetched, and neither a schema nor a value can make a check run away: patterns match in linear
time, and depth is limited.
Source: contracts/core.md section 4 (1 and 2).
"""

import json
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any, Final, NoReturn

import jsonschema_rs

from shared.domain import jtd
from shared.domain.errors import Problem
from shared.domain.jtd_form import escaped

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
MOST_PROBLEMS: Final = 100
"""More problems than this are not listed: nobody reads them, and an answer must stay small."""

_ONLY_JSON_SCHEMA_KNOWS: Final = ("object", "array", "integer", "number", "null")
_DEEPEST: Final = 100
_LONGEST_MESSAGE: Final = 300
_MOST_UNEVALUATED: Final = 8
_REFERENCES: Final = ("$ref", "$dynamicRef")
_DATA_KEYWORDS: Final = ("const", "enum", "default", "examples")
# The engine without look-around and back-references, so that no pattern backtracks; a pattern whose automaton
# would be larger is refused.
_PATTERNS: Final = jsonschema_rs.RegexOptions(size_limit=1 << 20, dfa_size_limit=1 << 20)


def check_schema(schema: object, *, pointer: str) -> list[Problem]:
    """What keeps a schema from being used, at most ``MOST_PROBLEMS``; empty for a correct one.

    pointer: where the schema stands; each problem's pointer is that and the place inside the schema.
    Rules: ``jtd-schema``, ``json-schema-invalid``.
    """
    if _is_json_schema(schema):
        return _cut(_schema_problem(pointer + place, message) for place, message in _incorrect(schema))
    found = jtd.schema_problems(schema)
    return _cut(Problem(pointer=pointer + e.schema_path, rule="jtd-schema", message=e.message) for e in found)


def violations(schema: Any, value: object, *, pointer: str = "") -> list[Problem]:  # noqa: ANN401 - checked JSON
    """Where a JSON value breaks a schema, at most ``MOST_PROBLEMS``; empty if it keeps to it.

    schema: one in which ``check_schema`` finds nothing.
    pointer: where the value stands; each problem's pointer is that and the place inside the value, and its
    message names the place in the schema. Rules: ``jtd``, ``json-schema``.
    """
    if _is_json_schema(schema):
        return _cut(_broken(schema, value, pointer))
    return _cut(
        Problem(pointer=pointer + e.instance_path, rule="jtd", message=_said(e.message, e.schema_path))
        for e in jtd.errors(schema, value)
    )


def _is_json_schema(schema: object) -> bool:
    if not isinstance(schema, dict):
        return False
    kind = schema.get("type")
    return "$schema" in schema or isinstance(kind, list) or kind in _ONLY_JSON_SCHEMA_KNOWS


def _cut(problems: Iterable[Problem]) -> list[Problem]:
    return [problem for problem, _ in zip(problems, range(MOST_PROBLEMS), strict=False)]


def _said(message: str, schema_path: str) -> str:
    short = message if len(message) <= _LONGEST_MESSAGE else f"{message[:_LONGEST_MESSAGE]}..."
    return f"{short} (schemaPath {schema_path or '/'})"


def _schema_problem(pointer: str, message: str) -> Problem:
    return Problem(pointer=pointer, rule="json-schema-invalid", message=message[:_LONGEST_MESSAGE])


def _broken(schema: dict[str, Any], value: object, pointer: str) -> Iterator[Problem]:
    try:
        validator = _compiled(json.dumps(schema, sort_keys=True))
        if _too_deep(value):
            message = f"lies more than {_DEEPEST} levels deep"
            yield Problem(pointer=pointer, rule="json-schema", message=_said(message, ""))
            return
        found = list(validator.iter_errors(value))
    except UnicodeEncodeError:
        message = "must hold no half of a surrogate pair"
        yield Problem(pointer=pointer, rule="json-schema", message=_said(message, ""))
        return
    for error in found:
        message = _said(error.message, _pointer(error.schema_path))
        yield Problem(pointer=pointer + _pointer(error.instance_path), rule="json-schema", message=message)


def _incorrect(schema: Any) -> Iterator[tuple[str, str]]:  # noqa: ANN401 - any JSON
    """Place and message of each problem; the compiler, which names only one, is asked last."""
    if _too_deep(schema):
        yield "", f"schemas nest at most {_DEEPEST} levels deep"
        return
    try:
        named = {**_refused(schema), **_ungrammatical(schema)}
        if not named:
            _compiled(json.dumps(schema, sort_keys=True))
    except jsonschema_rs.ValidationError as error:
        named = {_pointer(error.instance_path): error.message}
    except ValueError as error:  # no JSON: half a surrogate pair, not a number
        named = {"": str(error)}
    yield from named.items()


def _refused(schema: dict[str, Any]) -> dict[str, str]:
    """What we do not take although it is JSON Schema, by its place."""
    found, costly = {}, []
    if schema.get("$schema", DIALECT) not in (DIALECT, f"{DIALECT}#"):
        found["/$schema"] = f"the dialect must be {DIALECT}"
    for place, keyword, value in _keywords(schema, ""):
        if keyword.startswith("unevaluated"):
            costly.append(place)
        elif keyword in _REFERENCES and isinstance(value, str) and not value.startswith("#"):
            found[place] = f"references must stay inside the schema and begin with #, this is {value!r}"
    # One unevaluated keyword inside another more than doubles the work, so twenty would take seconds.
    beyond = (
        f"at most {_MOST_UNEVALUATED} keywords of a schema may be unevaluatedProperties or unevaluatedItems"
    )
    return {**found, **dict.fromkeys(costly[_MOST_UNEVALUATED:], beyond)}


def _keywords(schema: object, place: str) -> Iterator[tuple[str, str, object]]:
    """Every member of the schema and of its parts, with its place; what is plain data is left out."""
    if isinstance(schema, list):
        for index, part in enumerate(schema):
            yield from _keywords(part, f"{place}/{index}")
    elif isinstance(schema, dict):
        for name, part in schema.items():
            if name not in _DATA_KEYWORDS:
                yield f"{place}/{escaped(name)}", name, part
                yield from _keywords(part, f"{place}/{escaped(name)}")


def _ungrammatical(schema: object) -> dict[str, str]:
    """What the schema of schemas says, once for each place: it comes to some places by several ways."""
    found: dict[str, str] = {}
    for error in _schema_of_schemas().iter_errors(schema):
        found.setdefault(_pointer(error.instance_path), error.message)
    return found


def _too_deep(value: object) -> bool:
    level = [value]
    for _ in range(_DEEPEST + 1):
        level = [part for one in level for part in _parts(one)]
    return bool(level)


def _parts(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _pointer(tokens: Iterable[str | int]) -> str:
    return "".join(f"/{escaped(str(token))}" for token in tokens)


@lru_cache(maxsize=1)
def _schema_of_schemas() -> jsonschema_rs.Validator:
    return jsonschema_rs.Draft202012Validator({"$ref": DIALECT}, retriever=_refuse)


@lru_cache(maxsize=128)
def _compiled(schema: str) -> jsonschema_rs.Validator:
    """The validator of a schema given as JSON text; values are not quoted in its messages."""
    return jsonschema_rs.Draft202012Validator(
        schema, retriever=_refuse, validate_formats=False, pattern_options=_PATTERNS, mask="the value"
    )


def _refuse(uri: str) -> NoReturn:
    """The library asks here before it would fetch: it never may, whatever a schema refers to."""
    raise ValueError(f"{uri} is outside the schema")
