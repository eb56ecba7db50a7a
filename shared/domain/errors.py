"""The one tree of exceptions: each has a stable code and typed fields.

What a command or a call came to is a value, not an exception; what is here stops a use-case.
"""

from dataclasses import dataclass


class RitornelloError(Exception):
    """The root. ``code`` is stable and part of the contract with operators."""

    code = "INTERNAL"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing wrong with an input.

    pointer: RFC 6901 JSON pointer to the offending place, ``""`` for the whole.
    rule: a short stable name of the rule that was broken (``required``, ``unknown-field``).
    message: one sentence for a person.
    caret: for expressions, the source line and a caret below the place.
    Source: contracts/core.md section 1.3.
    """

    pointer: str
    rule: str
    message: str
    caret: str | None = None


class InvalidInputError(RitornelloError):
    """An input broke one or more rules; nothing was stored."""

    code = "INVALID_INPUT"

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("; ".join(f"{p.pointer or '/'}: {p.message}" for p in problems))
        self.problems = problems


class DateError(RitornelloError):
    """A date cannot be computed or represented."""

    code = "DATE"


class StoredShapeError(RitornelloError):
    """Something stored is not of the shape that is known today. It is never guessed at."""

    code = "STORED_SHAPE"
