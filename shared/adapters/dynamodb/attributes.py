"""Between Python's plain values and the attribute values DynamoDB's low-level client speaks.

Only what items here are made of: texts, whole numbers, truths, nothing, and a map of those. Everything with
more structure is one JSON text (``documents.py``); that is faster than boto3's own serializer, and it knows
floats.
"""

from collections.abc import Mapping
from typing import Any

from shared.domain.errors import StoredShapeError

Scalar = str | int | bool | None
"""What an attribute holds."""

Plain = Scalar | Mapping[str, Scalar]
"""What an attribute holds, or a map of that."""

AttributeValue = dict[str, Any]
"""One attribute as the client speaks it: ``{"S": "text"}``."""

Attributes = dict[str, AttributeValue]
"""An item, or a key, as the client speaks it."""


def to_attributes(item: Mapping[str, Plain]) -> Attributes:
    """An item for the client. Raises: TypeError: a value is none of the plain ones."""
    return {name: attribute(value) for name, value in item.items()}


def attribute(value: Plain) -> AttributeValue:
    """One value for the client. Raises: TypeError: it is none of the plain ones."""
    match value:
        case str():
            return {"S": value}
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
    """The item a client answered with. Raises: StoredShapeError: an attribute is of another kind."""
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
            raise StoredShapeError(f"attribute {name} is of a kind that is not known: {sorted(stored)}")


def _whole(name: str, number: str) -> int:
    try:
        return int(number)
    except ValueError:
        raise StoredShapeError(f"attribute {name} is no whole number") from None
