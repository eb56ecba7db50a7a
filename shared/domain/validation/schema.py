"""Validation of attributes, requests and responses by the schemas of a strategy, in either of two languages.

A schema is JSON Schema 2020-12 if its root has a ``$schema`` or a ``type`` that only JSON Schema has (``object``,
``array``, ``integer``, ``number``, ``null``, or a list of types). Otherwise it is JSON Type Definition.
Source: docs/contracts/core.md section 4 (1 and 2).
"""

from collections.abc import Iterable
from itertools import islice
from typing import Any, Final

from shared.domain.errors import Problem
from shared.domain.validation import json_schema, jtd

MAX_PROBLEMS: Final = 100
"""The most problems that are listed, so that an answer stays small."""

_ONLY_JSON_SCHEMA_KNOWS: Final = ("object", "array", "integer", "number", "null")
_MAX_MESSAGE_CHARACTERS: Final = 300


def check_schema(schema: object, *, pointer: str) -> list[Problem]:
    """Return the problems of a schema, at most ``MAX_PROBLEMS``; empty if it is correct.

    ``pointer`` is the place of the schema, and each problem's pointer begins with it.
    The rules are ``jtd-schema`` and ``json-schema-invalid``.
    """
    if is_json_schema(schema):
        rule, errors = "json-schema-invalid", json_schema.schema_problems(schema)
    else:
        rule, errors = "jtd-schema", jtd.schema_problems(schema)
    return _cut(
        Problem(pointer=pointer + error.schema_path, rule=rule, message=_short(error.message))
        for error in errors
    )


def violations(schema: Any, value: object, *, pointer: str = "") -> list[Problem]:  # noqa: ANN401 - checked JSON
    """Return the problems of a JSON value under a schema, at most ``MAX_PROBLEMS``; empty if it is valid.

    ``check_schema`` must accept the schema. ``pointer`` is the place of the value, and each problem's
    pointer begins with it. The message names the place in the schema. The rules are ``jtd`` and ``json-schema``.
    """
    if is_json_schema(schema):
        rule, errors = "json-schema", json_schema.errors(schema, value)
    else:
        rule, errors = "jtd", jtd.errors(schema, value)
    return _cut(
        Problem(
            pointer=pointer + error.instance_path,
            rule=rule,
            message=f"{_short(error.message)} (schemaPath {error.schema_path or '/'})",
        )
        for error in errors
    )


def is_json_schema(schema: object) -> bool:
    """Return whether a schema is JSON Schema, not JTD."""
    if not isinstance(schema, dict):
        return False
    kind = schema.get("type")
    return "$schema" in schema or isinstance(kind, list) or kind in _ONLY_JSON_SCHEMA_KNOWS


def _short(message: str) -> str:
    return message if len(message) <= _MAX_MESSAGE_CHARACTERS else f"{message[:_MAX_MESSAGE_CHARACTERS]}..."


def _cut(problems: Iterable[Problem]) -> list[Problem]:
    return list(islice(problems, MAX_PROBLEMS))
