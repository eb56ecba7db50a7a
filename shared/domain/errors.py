"""The one tree of exceptions, each with a stable code and typed fields.

The result of a command or a call is a value, not an exception. These exceptions end a use case.
"""

from dataclasses import dataclass


class RitornelloError(Exception):
    """The root. ``code`` is stable and part of the contract with operators."""

    code = "INTERNAL"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One problem of an input.

    ``pointer`` is the RFC 6901 JSON pointer of the offending value, ``""`` for the whole input. ``rule`` is the stable
    name of the broken rule (``required``, ``unknown-field``). ``message`` is one sentence. ``caret`` is, for
    expressions, the source line with a caret below the position.
    Source: docs/contracts/core.md section 1.3.
    """

    pointer: str
    rule: str
    message: str
    caret: str | None = None


class InvalidInputError(RitornelloError):
    """An input broke one or more rules. Nothing was stored."""

    code = "INVALID_INPUT"

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("; ".join(f"{p.pointer or '/'}: {p.message}" for p in problems))
        self.problems = problems


class DateError(RitornelloError):
    """A date cannot be computed or represented."""

    code = "DATE"


class StoredShapeError(RitornelloError):
    """A stored item has an unknown shape. It is refused, never interpreted."""

    code = "STORED_SHAPE"
