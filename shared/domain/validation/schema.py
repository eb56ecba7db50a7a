"""Attributes, requests and responses under the schemas of a strategy, in either of two schema languages.

JSON Schema 2020-12 where the root has a ``$schema`` or a ``type`` that only JSON Schema knows (``object``,
``array``, ``integer``, ``number``, ``null``, or a list of types); JSON Type Definition everywhere else.
Source: contracts/core.md section 4 (1 and 2).
"""

from collections.abc import Iterable
from itertools import islice
from typing import Any, Final

from shared.domain.errors import Problem
from shared.domain.validation import json_schema, jtd

MAX_PROBLEMS: Final = 100
"""More problems than this are not listed: nobody reads them, and an answer must stay small."""

_ONLY_JSON_SCHEMA_KNOWS: Final = ("object", "array", "integer", "number", "null")
_MAX_MESSAGE_CHARACTERS: Final = 300


def check_schema(schema: object, *, pointer: str) -> list[Problem]:
    """What keeps a schema from being used, at most ``MAX_PROBLEMS``; empty for a correct one.

    pointer: where the schema stands; each problem's pointer is that and the place inside the schema.
    Rules: ``jtd-schema``, ``json-schema-invalid``.
    """
    if _is_json_schema(schema):
        rule, found = "json-schema-invalid", json_schema.schema_problems(schema)
    else:
        rule, found = "jtd-schema", jtd.schema_problems(schema)
    return _cut(
        Problem(pointer=pointer + one.schema_path, rule=rule, message=_short(one.message)) for one in found
    )


def violations(schema: Any, value: object, *, pointer: str = "") -> list[Problem]:  # noqa: ANN401 - checked JSON
    """Where a JSON value breaks a schema, at most ``MAX_PROBLEMS``; empty if it keeps to it.

    schema: one in which ``check_schema`` finds nothing.
    pointer: where the value stands; each problem's pointer is that and the place inside the value, and its
    message names the place in the schema. Rules: ``jtd``, ``json-schema``.
    """
    if _is_json_schema(schema):
        rule, found = "json-schema", json_schema.errors(schema, value)
    else:
        rule, found = "jtd", jtd.errors(schema, value)
    return _cut(
        Problem(
            pointer=pointer + one.instance_path,
            rule=rule,
            message=f"{_short(one.message)} (schemaPath {one.schema_path or '/'})",
        )
        for one in found
    )


def _is_json_schema(schema: object) -> bool:
    if not isinstance(schema, dict):
        return False
    kind = schema.get("type")
    return "$schema" in schema or isinstance(kind, list) or kind in _ONLY_JSON_SCHEMA_KNOWS


def _short(message: str) -> str:
    return message if len(message) <= _MAX_MESSAGE_CHARACTERS else f"{message[:_MAX_MESSAGE_CHARACTERS]}..."


def _cut(problems: Iterable[Problem]) -> list[Problem]:
    return list(islice(problems, MAX_PROBLEMS))
