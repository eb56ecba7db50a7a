"""The fields of a cron expression: numbers, names, ranges, steps and lists, each with its position in the text.

Unix cron and Quartz share this part. They differ in their fields and in the special forms of a day.
Source: docs/contracts/process.md section C.6; docs/decisions/0018.
"""

import re
from collections.abc import Callable, Mapping
from typing import TypeVar

from msgspec import Struct, field

from shared.domain.errors import RitornelloError

T = TypeVar("T")

MONTHS: Mapping[str, int] = {
    name: number
    for number, name in enumerate(
        ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"), start=1
    )
}
WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")

_WORD = re.compile(r"[^ \t]+")
_NUMBERS = re.compile(
    r"(?:\*|(?=/)|(?P<first>[0-9]+|[A-Z]+)(?:-(?P<last>[0-9]+|[A-Z]+))?)(?:/(?P<step>[0-9]+))?"
)


class Fault(Struct, frozen=True, kw_only=True):
    """One problem of an expression, at ``offset`` characters from its start."""

    message: str
    offset: int


class CronError(RitornelloError):
    """A text is not a cron expression; ``faults`` holds every problem, in the order of the text."""

    code = "CRON"

    def __init__(self, *faults: Fault) -> None:
        self.faults = tuple(sorted(faults, key=lambda fault: fault.offset))
        super().__init__("; ".join(fault.message for fault in self.faults))


class Word(Struct, frozen=True, kw_only=True):
    """A part of an expression, in capitals, that begins ``offset`` characters from its start."""

    text: str
    offset: int

    def fault(self, message: str) -> CronError:
        """Return an error that points at this word."""
        return CronError(Fault(message=message, offset=self.offset))

    def entries(self) -> list["Word"]:
        """Return the entries of a list."""
        entries: list[Word] = []
        offset = self.offset
        for text in self.text.split(","):
            entries.append(Word(text=text, offset=offset))
            offset += len(text) + 1
        return entries


class CronField(Struct, frozen=True, kw_only=True):
    """The numbers a field can contain.

    They are ``low`` to ``low + size - 1`` and wrap around. ``high`` is the largest number that may be written; above
    the last number it wraps (7 for Sunday). ``longest_step`` is the largest step. ``wraps`` allows a range such as
    22-2. ``names_step`` allows a step after a name. ``bare_step`` allows ``/5`` for ``*/5``. ``named`` describes the
    names in error messages.
    """

    name: str
    low: int
    high: int
    size: int
    longest_step: int
    names: Mapping[str, int] = field(default_factory=dict)
    named: str = ""
    wraps: bool = True
    names_step: bool = True
    bare_step: bool = False

    def number(self, text: str, word: Word) -> int:
        """Return the number of digits or a name. Raises: CronError: at the word."""
        if text in self.names:
            return self.names[text]
        if text.isdigit() and self.low <= int(text) <= self.high:
            return int(text)
        named = f" or {self.named}" if self.named else ""
        raise word.fault(f"{self.name} must be {self.low} to {self.high}{named}, not {text!r}")


def words(text: str, *, begin: int = 0, end: int | None = None) -> list[Word]:
    """Return the fields of an expression, split at blanks and tabs. Raises: CronError: for any other character.

    ``begin`` and ``end`` limit the part of the text that has fields.
    """
    for offset, letter in enumerate(text):
        if not letter.isascii() or not (letter.isprintable() or letter == "\t"):
            raise CronError(Fault(message=f"{letter!r} is not allowed here", offset=offset))
    return [
        Word(text=match[0].upper(), offset=match.start())
        for match in _WORD.finditer(text, begin, len(text) if end is None else end)
    ]


def read_list(word: Word, read: Callable[[Word], T], faults: list[Fault]) -> list[T]:
    """Return the value of each entry of a list, and append problems to ``faults``."""
    values: list[T] = []
    for entry in word.entries():
        try:
            values.append(read(entry))
        except CronError as error:
            faults.extend(error.faults)
    return values


def numbers(of: CronField, entry: Word) -> frozenset[int]:
    """Return the numbers of ``*``, ``5`` or ``5-9``, each with or without a step such as ``/2``. Raises: CronError.

    Where a bare step is allowed, ``/2`` is ``*/2``. ``5/2`` continues from 5 to the end of the field. A range beyond
    the end wraps around.
    """
    match = _NUMBERS.fullmatch(entry.text)
    if match is None or (entry.text.startswith("/") and not of.bare_step):
        raise entry.fault(f"{entry.text!r} cannot be {of.name}" if entry.text else "an entry is missing")
    first, last, step = match["first"], match["last"], _step(of, match["step"], entry)
    low = of.low if first is None else of.number(first, entry)
    if match["step"] is not None and first in of.names and not of.names_step:
        if last is not None:
            raise entry.fault("a step cannot follow a range of names; write their numbers")
        step = of.size  # Quartz ignores what follows a name
    if last is not None:
        high = _rising(of, low, of.number(last, entry), entry)
    elif first is None or match["step"] is not None:
        low, high = of.low + (low - of.low) % of.size, of.low + of.size - 1
    else:
        high = low
    return frozenset(of.low + (number - of.low) % of.size for number in range(low, high + 1, step))


def _rising(of: CronField, low: int, high: int, entry: Word) -> int:
    """Return the end of a range; it is beyond the field's end if the range wraps."""
    if high >= low:
        return high
    if not of.wraps:
        raise entry.fault(f"a range of {of.name} must rise")
    return high + of.size


def _step(of: CronField, text: str | None, entry: Word) -> int:
    if text is None:
        return 1
    if 1 <= int(text) <= of.longest_step:
        return int(text)
    raise entry.fault(f"a step of {of.name} must be 1 to {of.longest_step}, not {text}")
