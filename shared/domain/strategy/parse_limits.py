"""The limits that every JSON document must keep before it is read: depth, valid text, finite numbers.

Source: docs/contracts/core.md section 1.3; the limits are ours.
"""

import math
from collections.abc import Iterable, Iterator, Mapping

from shared.domain.errors import Problem
from shared.domain.strategy.model import Json
from shared.domain.validation.jtd_schema import escaped

MAX_DEPTH = 128
"""The most levels that a document may nest. ``data`` and schemas have lower limits."""


def unreadable(value: Json, pointer: str) -> list[Problem]:
    """Return the problems that prevent a JSON value from being read, stored or sent.

    The rules are ``too-deep``, ``text`` for half of a surrogate pair, and ``range`` for a number that a double cannot
    hold (``1e999``). If the value is too deep, nothing else is checked.
    """
    if is_deeper(value, MAX_DEPTH):
        message = f"must nest at most {MAX_DEPTH} levels deep"
        return [Problem(pointer=pointer, rule="too-deep", message=message)]
    return list(_unsound(value, pointer))


def is_deeper(value: Json, levels: int) -> bool:
    """Return whether a value nests more than ``levels`` levels deep. The 1 of ``[[1]]`` is 2 levels deep."""
    # Level by level, because recursion would exceed the stack on the values that this must reject.
    level = [value]
    for _ in range(levels + 1):
        level = [part for value in level for part in _parts(value)]
        if not level:
            return False
    return True


def _parts(value: Json) -> Iterable[Json]:
    if isinstance(value, Mapping):
        return value.values()
    return value if isinstance(value, list) else ()


def _unsound(value: Json, pointer: str) -> Iterator[Problem]:
    if isinstance(value, str) and not _is_text(value):
        yield Problem(pointer=pointer, rule="text", message="must not contain half of a surrogate pair")
    elif isinstance(value, int | float) and not _is_double(value):
        yield Problem(pointer=pointer, rule="range", message="must be a number that a double can hold")
    elif isinstance(value, list):
        for index, entry in enumerate(value):
            yield from _unsound(entry, f"{pointer}/{index}")
    elif isinstance(value, Mapping):
        for name, member in value.items():
            if _is_text(name):
                yield from _unsound(member, f"{pointer}/{escaped(name)}")
            else:
                message = f"the name {name!r} must not contain half of a surrogate pair"
                yield Problem(pointer=pointer, rule="text", message=message)


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_double(value: float) -> bool:
    try:
        # Raises OverflowError for an int beyond the range of a double.
        return math.isfinite(value)
    except OverflowError:
        return False
