"""Conversion between plain Python values and the attribute values of DynamoDB's low-level client.

Items contain only texts, whole numbers, booleans, nulls and a map of those. All other structure is in one JSON text
(``documents.py``). That is faster than boto3's own serializer, and it supports floats.
"""

from collections.abc import Mapping
from typing import Any

from shared.domain.errors import StoredShapeError

Scalar = str | int | bool | None
"""The value of an attribute."""

Plain = Scalar | Mapping[str, Scalar]
"""The value of an attribute, or a map of such values."""

AttributeValue = dict[str, Any]
"""An attribute in the client's form: ``{"S": "text"}``."""

Attributes = dict[str, AttributeValue]
"""An item, or a key, in the client's form."""


def to_attributes(item: Mapping[str, Plain]) -> Attributes:
    """Return an item in the client's form. Raises: TypeError: a value is not plain."""
    return {name: attribute(value) for name, value in item.items()}


def attribute(value: Plain) -> AttributeValue:
    """Return one value in the client's form. Raises: TypeError: the value is not plain."""
    match value:
        case str():
            return {"S": value}
        # Before ``int``, because a bool is an int in Python.
        case bool():
            return {"BOOL": value}
        case int():
            return {"N": str(value)}
        case None:
            return {"NULL": True}
        case Mapping():
            return {"M": to_attributes(value)}
        case _:
            raise TypeError(f"no attribute value for {type(value).__name__}")


def from_attributes(item: Mapping[str, AttributeValue]) -> dict[str, Any]:
    """Return the plain values of an item. Raises: StoredShapeError: an attribute has an unknown type."""
    return {name: _value(name, stored) for name, stored in item.items()}


def _value(name: str, stored: AttributeValue) -> Any:  # noqa: ANN401 - what is in an item is found by reading it
    match stored:
        case {"S": str(text)}:
            return text
        case {"N": str(number)}:
            return _whole(name, number)
        case {"BOOL": bool(truth)}:
            return truth
        case {"NULL": True}:
            return None
        case {"M": dict(members)}:
            return from_attributes(members)
        case _:
            raise StoredShapeError(f"attribute {name} has an unknown type: {sorted(stored)}")


def _whole(name: str, number: str) -> int:
    try:
        return int(number)
    except ValueError:
        raise StoredShapeError(f"attribute {name} is not a whole number") from None
