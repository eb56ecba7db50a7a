"""The sizes of items, and the costs of reading and writing them, by AWS's published rules.

Source: Amazon DynamoDB Developer Guide: "DynamoDB item sizes and formats", "DynamoDB read and write
operations", "Provisioned throughput considerations for Global Secondary Indexes".
"""

from collections.abc import Iterable, Mapping
from typing import Any

WRITE_UNIT_BYTES = 1024
READ_UNIT_BYTES = 4096

_CONTAINER_BYTES = 3
_ELEMENT_BYTES = 1


def item_bytes(item: Mapping[str, Mapping[str, Any]]) -> int:
    """Return the size of an item: the names and values of its attributes."""
    return sum(len(name.encode()) + value_bytes(value) for name, value in item.items())


def value_bytes(stored: Mapping[str, Any]) -> int:  # noqa: PLR0911 - one for each kind
    """Return the size of an attribute value.

    A text has its length in UTF-8. A number has one byte for two significant digits and one more. Booleans and nulls
    have one byte. Lists and maps have three bytes, and one more for each element besides its own size.
    """
    ((kind, value),) = stored.items()
    match kind:
        case "S":
            return len(value.encode())
        case "N":
            return number_bytes(value)
        case "B":
            return len(value)
        case "BOOL" | "NULL":
            return 1
        case "M":
            return _CONTAINER_BYTES + item_bytes(value) + _ELEMENT_BYTES * len(value)
        case "L":
            return _CONTAINER_BYTES + sum(value_bytes(element) + _ELEMENT_BYTES for element in value)
        case "SS" | "NS" | "BS":
            return sum(value_bytes({kind[0]: element}) for element in value)
        case _:
            raise ValueError(f"unknown attribute type: {kind}")


def number_bytes(number: str) -> int:
    """Return the size of a number: one byte for two significant digits, one more, and one for a minus sign."""
    digits = number.lstrip("-").lower().partition("e")[0].replace(".", "").strip("0")
    return (len(digits) + 1) // 2 + 1 + number.startswith("-")


def write_units(size: int) -> int:
    """Return the cost of a write outside a transaction: one unit for each kilobyte begun."""
    return max(1, -(-size // WRITE_UNIT_BYTES))


def read_units(size: int, *, strong: bool) -> float:
    """Return the cost of reading so many bytes: one unit for each 4 KB begun, or half if the read is not strong."""
    units = max(1, -(-size // READ_UNIT_BYTES))
    return units if strong else units / 2


def index_write_units(before: tuple[Any, int] | None, after: tuple[Any, int] | None) -> int:
    """Return the cost of a write to a table in one KEYS_ONLY index.

    ``before`` and ``after`` are key and size of the index entry, or None if there is none. A new or deleted entry
    costs one write, a moved entry two, and an unchanged entry nothing.
    """
    gone = 0 if before is None else write_units(before[1])
    come = 0 if after is None else write_units(after[1])
    # An unchanged entry is not written.
    return 0 if before == after else gone + come


def total_bytes(items: Iterable[Mapping[str, Mapping[str, Any]]]) -> int:
    """Return the size of several items together."""
    return sum(item_bytes(item) for item in items)
