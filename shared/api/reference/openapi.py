"""JSON Schemas in short, for the shapes of the OpenAPI documents."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Any

Json = dict[str, Any]

TEXT: Json = {"type": "string"}
WHOLE: Json = {"type": "integer"}
FLAG: Json = {"type": "boolean"}
SHAPES_AT = "#/components/schemas/"
"""Where the document holds its shapes."""


def ref(name: str) -> Json:
    """A shape by its name."""
    return {"$ref": f"{SHAPES_AT}{name}"}


def list_of(items: Json) -> Json:
    """A list of these."""
    return {"type": "array", "items": items}


def one_of(values: Iterable[StrEnum]) -> Json:
    """One of the values of an enumeration, or of some of them."""
    return {"enum": [value.value for value in values]}


def object_of(needed: Json, **optional: Json) -> Json:
    """An object with these members and no others. needed: those that are always there."""
    return {**open_object_of(needed, **optional), "additionalProperties": False}


def open_object_of(needed: Json, **optional: Json) -> Json:
    """An object with these members at least. needed: those that are always there."""
    return {"type": "object", "properties": needed | optional, "required": list(needed)}
