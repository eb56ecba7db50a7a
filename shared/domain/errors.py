"""The one tree of exceptions, each with a stable code and typed fields.

The result of a command or a call is a value, not an exception. These exceptions end a use case.
"""

import json
from collections.abc import Iterable
from typing import Final

from msgspec import Struct
from msgspec.structs import force_setattr

MAX_PROBLEMS: Final = 50
"""The most problems that are kept of one input. The others are only counted."""

MAX_POINTER_BYTES: Final = 160
MAX_MESSAGE_BYTES: Final = 300
MAX_CARET_BYTES: Final = 200
"""The largest parts of a problem, as JSON. A core answer has pointer and message twice, and stays below 64 KB."""

_CUT: Final = "..."
_CARET_MARGIN: Final = 60


class RitornelloError(Exception):
    """The root. ``code`` is stable and part of the contract with operators."""

    code = "INTERNAL"


def shortened(text: str, most: int) -> str:
    """Return a text, cut if it takes more than ``most`` bytes inside a JSON answer. A cut text ends in ``...``."""
    # Every character takes a byte or more, so no more of a long text has to be looked at.
    head = text[: most + 1]
    if len(head) == len(text) and _bytes_of(text) <= most:
        return text
    room, end = most - len(_CUT), 0
    # The whole head takes more than that, so that this ends.
    while (size := _bytes_of(head[end])) <= room:
        room, end = room - size, end + 1
    return f"{head[:end]}{_CUT}"


def _bytes_of(text: str) -> int:
    # Answers escape every character outside ASCII, so that half of a surrogate pair has a size too.
    return len(json.dumps(text)) - 2


class Problem(Struct, frozen=True, kw_only=True):
    """One problem of an input.

    ``pointer`` is the RFC 6901 JSON pointer of the offending value, ``""`` for the whole input. ``rule`` is the stable
    name of the broken rule (``required``, ``unknown-field``). ``message`` is one sentence. ``caret`` is, for
    expressions, the source line with a caret below the position. Long ones are cut.
    Source: docs/contracts/core.md section 1.3.
    """

    pointer: str
    rule: str
    message: str
    caret: str | None = None

    def __post_init__(self) -> None:
        """Cut the parts that are too long, so that no answer and no log grows with the input."""
        # Cut here rather than in answers: problems are also logged, stored, and joined to other messages.
        force_setattr(self, "pointer", shortened(self.pointer, MAX_POINTER_BYTES))
        force_setattr(self, "message", shortened(self.message, MAX_MESSAGE_BYTES))
        if self.caret is not None:
            force_setattr(self, "caret", _around_caret(self.caret))

    @property
    def sentence(self) -> str:
        """The place and the message in one line."""
        return f"{self.pointer or '/'}: {self.message}"


def _around_caret(text: str) -> str:
    """Return a source line with its caret, cut to the part around the caret if it is long."""
    line, _, mark = text.rpartition("\n")
    margin = _CARET_MARGIN
    while _bytes_of(text) > MAX_CARET_BYTES and margin:
        start = max(len(mark) - 1 - margin, 0)
        text = f"{line[start : len(mark) + margin // 2]}\n{mark[start:]}"
        margin //= 2
    return text


class MoreProblems(Problem, frozen=True, kw_only=True):
    """The last problem of a list that is not complete: how many problems are left out, or at least how many."""

    pointer: str = ""
    rule: str = "more"
    message: str = ""
    count: int
    is_exact: bool = True

    def __post_init__(self) -> None:
        """Write the message."""
        least = "" if self.is_exact else "at least "
        noun = "problem" if self.count == 1 else "problems"
        force_setattr(self, "message", f"and {least}{self.count} more {noun}")

    @property
    def sentence(self) -> str:
        """The message, which has no place."""
        return self.message


class Problems:
    """The first ``MAX_PROBLEMS`` problems of an input, and the number of the others."""

    def __init__(self, problems: Iterable[Problem] = ()) -> None:
        """Collect some problems. The last of them may stand for others that were left out before."""
        self._kept: list[Problem] = []
        self._left_out = 0
        self._is_exact = True
        for problem in problems:
            self.add(problem)

    def __len__(self) -> int:
        """Return the number of problems, kept or counted."""
        return len(self._kept) + self._left_out

    @property
    def is_full(self) -> bool:
        """Return whether further problems are only counted."""
        return len(self._kept) == MAX_PROBLEMS

    @property
    def is_exact(self) -> bool:
        """Return whether the number of problems is known; else there may be more."""
        return self._is_exact

    def add(self, problem: Problem) -> None:
        """Keep a problem, or count it if there are enough."""
        if isinstance(problem, MoreProblems):
            self._left_out += problem.count
            self._is_exact &= problem.is_exact
        elif self.is_full:
            self._left_out += 1
        else:
            self._kept.append(problem)

    def take(self, problems: Iterable[Problem]) -> None:
        """Take problems one by one until there are enough. The others are not made, and not counted."""
        for problem in problems:
            self.add(problem)
            if self._left_out:
                self._is_exact = False
                return

    def reported(self) -> tuple[Problem, ...]:
        """Return the problems that are kept, and last, if there are more, their number."""
        if not self._left_out:
            return tuple(self._kept)
        more = MoreProblems(count=self._left_out, is_exact=self._is_exact)
        return (*self._kept, more)

    def sorted(self) -> tuple[Problem, ...]:
        """Return the same, with the kept problems sorted by pointer."""
        self._kept.sort(key=lambda problem: problem.pointer)
        return self.reported()


def first_problems(problems: Iterable[Problem]) -> list[Problem]:
    """Return the first problems, made one by one, and last, if there are more, at least how many."""
    collected = Problems()
    collected.take(problems)
    return list(collected.reported())


class InvalidInputError(RitornelloError):
    """An input broke one or more rules. Nothing was stored. Of many problems, ``problems`` has the first ones."""

    code = "INVALID_INPUT"

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = Problems(problems).reported()
        super().__init__("; ".join(problem.sentence for problem in self.problems))


class DateError(RitornelloError):
    """A date cannot be computed or represented."""

    code = "DATE"


class StoredShapeError(RitornelloError):
    """A stored item has an unknown shape. It is refused, never interpreted."""

    code = "STORED_SHAPE"
