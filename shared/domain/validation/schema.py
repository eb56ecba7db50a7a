"""Validation of attributes, requests and responses by the schemas of a strategy, in either of two languages.

A schema is JSON Schema 2020-12 if its root has a ``$schema`` or a ``type`` that only JSON Schema has (``object``,
``array``, ``integer``, ``number``, ``null``, or a list of types). Otherwise it is JSON Type Definition.
Both are bounded: in the size of schemas and values, in work, in memory, and in the problems that are listed.
Source: docs/contracts/core.md section 4 (1 and 2); the limits are ours.
"""

import json
from typing import Any, Final

from shared.domain.errors import Problem, first_problems, shortened
from shared.domain.validation import json_schema, jtd

MAX_SCHEMA_BYTES: Final = 64 * 1024
"""The largest schema, as JSON. Compiling such a schema takes less than 10 MB."""

MAX_VALUE_BYTES: Final = 256 * 1024
"""The largest value that is validated, as JSON. Attributes and responses have lower limits of their own."""

_ONLY_JSON_SCHEMA_KNOWS: Final = ("object", "array", "integer", "number", "null")
_MAX_SCHEMA_PATH_BYTES: Final = 120
_MAX_MESSAGE_BYTES: Final = 150


def check_schema(schema: object, *, pointer: str) -> list[Problem]:
    """Return the first problems of a schema; empty if it is correct.

    ``pointer`` is the place of the schema, and each problem's pointer begins with it.
    The rules are ``jtd-schema``, ``json-schema-invalid`` and ``too-long``.
    """
    if _is_larger(schema, MAX_SCHEMA_BYTES):
        message = f"must take at most {MAX_SCHEMA_BYTES // 1024} KB as JSON"
        return [Problem(pointer=pointer, rule="too-long", message=message)]
    if is_json_schema(schema):
        rule, errors = "json-schema-invalid", json_schema.schema_problems(schema)
    else:
        rule, errors = "jtd-schema", jtd.schema_problems(schema)
    return first_problems(
        Problem(pointer=pointer + error.schema_path, rule=rule, message=error.message) for error in errors
    )


def violations(schema: Any, value: object, *, pointer: str = "") -> list[Problem]:  # noqa: ANN401 - checked JSON
    """Return the first problems of a JSON value under a schema; empty if it is valid.

    ``check_schema`` must accept the schema. ``pointer`` is the place of the value, and each problem's
    pointer begins with it. The message names the place in the schema. The rules are ``jtd``, ``json-schema`` and
    ``too-long``.
    """
    if _is_larger(value, MAX_VALUE_BYTES):
        message = f"must take at most {MAX_VALUE_BYTES // 1024} KB as JSON to be validated"
        return [Problem(pointer=pointer, rule="too-long", message=message)]
    if is_json_schema(schema):
        rule, errors = "json-schema", json_schema.errors(schema, value)
    else:
        rule, errors = "jtd", jtd.errors(schema, value)
    return first_problems(
        Problem(
            pointer=pointer + error.instance_path,
            rule=rule,
            message=_message(error.message, error.schema_path or "/"),
        )
        for error in errors
    )


def _is_larger(value: object, most: int) -> bool:
    try:
        return len(json.dumps(value, separators=(",", ":"))) > most
    except RecursionError:
        # Too deep to be written; each language refuses it for its depth.
        return False


def is_json_schema(schema: object) -> bool:
    """Return whether a schema is JSON Schema, not JTD."""
    if not isinstance(schema, dict):
        return False
    kind = schema.get("type")
    return "$schema" in schema or isinstance(kind, list) or kind in _ONLY_JSON_SCHEMA_KNOWS


def _message(message: str, schema_path: str) -> str:
    # Cut separately, so that a long message does not hide the place.
    place = shortened(schema_path, _MAX_SCHEMA_PATH_BYTES)
    return f"{shortened(message, _MAX_MESSAGE_BYTES)} (schemaPath {place})"
