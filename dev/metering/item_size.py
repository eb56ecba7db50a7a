"""What items weigh, and what reading and writing them costs, by AWS's published rules.

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
    """The size of an item: its attributes' names and values."""
    return sum(len(name.encode()) + value_bytes(value) for name, value in item.items())


def value_bytes(stored: Mapping[str, Any]) -> int:  # noqa: PLR0911 - one for each kind
    """The size of an attribute value.

    Texts are as long as in UTF-8; a number takes a byte for two significant digits and one more; truths and
    nothing take one; lists and maps take three, and one for each element beside what it weighs itself.
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
            raise ValueError(f"no kind of attribute: {kind}")


def number_bytes(number: str) -> int:
    """One byte for two significant digits, without the zeros on either side; one more; one for a minus."""
    digits = number.lstrip("-").lower().partition("e")[0].replace(".", "").strip("0")
    return (len(digits) + 1) // 2 + 1 + number.startswith("-")


def write_units(size: int) -> int:
    """What writing an item costs outside a transaction: one unit for each kilobyte begun."""
    return max(1, -(-size // WRITE_UNIT_BYTES))


def read_units(size: int, *, strong: bool) -> float:
    """What reading so many bytes costs: one unit for each 4 KB begun, half of it where it may be stale."""
    units = max(1, -(-size // READ_UNIT_BYTES))
    return units if strong else units / 2


def index_write_units(before: tuple[Any, int] | None, after: tuple[Any, int] | None) -> int:
    """What a write to a table costs in one of its indexes that holds keys only.

    before, after: the entry's key and size, None where there is none.
    A new entry or one that goes costs one write, a moved one two, one that stays nothing.
    """
    gone = 0 if before is None else write_units(before[1])
    come = 0 if after is None else write_units(after[1])
    return 0 if before == after else gone + come


def total_bytes(items: Iterable[Mapping[str, Mapping[str, Any]]]) -> int:
    """The size of several items together."""
    return sum(item_bytes(item) for item in items)
