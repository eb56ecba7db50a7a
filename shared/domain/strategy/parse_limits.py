"""The limits that every JSON document must keep before it is read: depth, text that can be used, finite numbers.

Source: docs/contracts/core.md section 1.3; the limits are ours.
"""

import math
from collections.abc import Iterable, Iterator, Mapping

from shared.domain.errors import Problem, first_problems, shortened
from shared.domain.strategy.model import Json
from shared.domain.validation.pointers import Path, path_text
from shared.domain.validation.texts import text_fault

MAX_DEPTH = 128
"""The most levels that a document may nest. ``data`` and schemas have lower limits."""

MAX_NAME_SHOWN = 100
"""How much of a member's name a message shows, in bytes."""


def unreadable(value: Json, pointer: str) -> list[Problem]:
    """Return the problems that prevent a JSON value from being read, stored, evaluated or sent.

    The rules are ``too-deep``, ``text`` for NUL and for half of a surrogate pair, and ``range`` for a number that a
    double cannot hold (``1e999``). If the value is too deep, nothing else is checked.
    """
    if is_deeper(value, MAX_DEPTH):
        message = f"must nest at most {MAX_DEPTH} levels deep"
        return [Problem(pointer=pointer, rule="too-deep", message=message)]
    return first_problems(
        Problem(pointer=pointer + path_text(path), rule=rule, message=message)
        for path, rule, message in _unsound(value, None)
    )


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


def _unsound(value: Json, path: Path) -> Iterator[tuple[Path, str, str]]:
    """Yield the place, the rule and the message of each part that is not sound."""
    if isinstance(value, str):
        fault = text_fault(value)
        if fault is not None:
            yield path, "text", fault
    elif isinstance(value, int | float) and not _is_double(value):
        yield path, "range", "must be a number that a double can hold"
    elif isinstance(value, list):
        for index, entry in enumerate(value):
            yield from _unsound(entry, (path, index))
    elif isinstance(value, Mapping):
        for name, member in value.items():
            fault = text_fault(name)
            if fault is None:
                yield from _unsound(member, (path, name))
            else:
                yield path, "text", f"the name {shortened(ascii(name), MAX_NAME_SHOWN)} {fault}"


def _is_double(value: float) -> bool:
    try:
        # Raises OverflowError for an int beyond the range of a double.
        return math.isfinite(value)
    except OverflowError:
        return False
