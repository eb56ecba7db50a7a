"""Dates as text in the format of moment.js: one table for ``formatDate``, ``parseDate`` and ``dateFormat``.

A run of one letter is a token, ``[text]`` is copied, and so is everything that is no letter, and the ``T`` of ISO 8601.
Source: docs/expressions.md; docs/contracts/core.md section 4, row 24.
"""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import lru_cache

from msgspec import Struct

MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MAX_PATTERN_CHARACTERS = 100
_HALF = 12


class MomentToken(Struct, frozen=True):
    """How a token is written, and the regular expression by which it is read; None if it cannot be read."""

    write: Callable[[datetime], str]
    reads: str | None = None


def _offset(at: datetime) -> str:
    minutes = (at.utcoffset() or timedelta()) // timedelta(minutes=1)
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"


def _half(at: datetime) -> str:
    return "AM" if at.hour < _HALF else "PM"


def _twelve(at: datetime) -> int:
    return at.hour % _HALF or _HALF


def _full(at: datetime) -> str:
    return (
        f"{DAYS[at.weekday()]}, {MONTHS[at.month - 1]} {at.day}, {at.year} "
        f"{_twelve(at)}:{at.minute:02} {_half(at)}"
    )


TOKENS: dict[str, MomentToken] = {
    "LLLL": MomentToken(_full),
    "YYYY": MomentToken(lambda at: f"{at.year:04}", "[0-9]{4}"),
    "MMMM": MomentToken(lambda at: MONTHS[at.month - 1], "|".join(MONTHS)),
    "MM": MomentToken(lambda at: f"{at.month:02}", "[0-9]{2}"),
    "M": MomentToken(lambda at: f"{at.month}", "[0-9]{1,2}"),
    "DD": MomentToken(lambda at: f"{at.day:02}", "[0-9]{2}"),
    "D": MomentToken(lambda at: f"{at.day}", "[0-9]{1,2}"),
    "dddd": MomentToken(lambda at: DAYS[at.weekday()]),
    "HH": MomentToken(lambda at: f"{at.hour:02}", "[0-9]{2}"),
    "H": MomentToken(lambda at: f"{at.hour}", "[0-9]{1,2}"),
    "h": MomentToken(lambda at: f"{_twelve(at)}", "[0-9]{1,2}"),
    "mm": MomentToken(lambda at: f"{at.minute:02}", "[0-9]{2}"),
    "ss": MomentToken(lambda at: f"{at.second:02}", "[0-9]{2}"),
    "SSS": MomentToken(lambda at: f"{at.microsecond // 1000:03}", "[0-9]{3}"),
    "A": MomentToken(_half, "AM|PM"),
    "Z": MomentToken(_offset, "Z|[+-][0-9]{2}:[0-9]{2}"),
    "T": MomentToken(lambda _: "T", "T"),
}
"""Every token. ``LLLL`` is moment's English format, ``Z`` is the offset from UTC."""

# Text in brackets, a run of one letter, or any other character. A bracket that is not closed is text.
_PARTS = re.compile(r"\[(?P<text>[^\]]*)\]|(?P<token>([A-Za-z])\3*)|(?P<other>[^A-Za-z\[]|\[)")

_FIELDS = {
    "YYYY": "year",
    "MMMM": "month",
    "MM": "month",
    "M": "month",
    "DD": "day",
    "D": "day",
    "HH": "hour",
    "H": "hour",
    "h": "hour",
    "mm": "minute",
    "ss": "second",
    "SSS": "microsecond",
    "A": "half",
    "Z": "offset",
}


class MomentPatternError(ValueError):
    """A pattern holds an unknown token, or cannot be read by; the text says which."""


class _Part(Struct, frozen=True):
    token: str | None
    text: str


def write_date(pattern: str, local: datetime) -> str:
    """Return a date, aware and in the zone that is meant, in the format of the pattern.

    Raises: MomentPatternError.
    """
    return "".join(
        part.text if part.token is None else TOKENS[part.token].write(local) for part in _parts(pattern)
    )


def read_date(text: str, pattern: str) -> datetime:
    """Return the date that ``text`` holds in the format of the pattern. It is naive unless it holds an offset.

    Parts without a token are the first: 00:00:00.
    Raises: MomentPatternError: if the pattern cannot be read by. ValueError: if the text does not have its format,
        or there is no such date.
    """
    expression, tokens = _reader(pattern)
    match = expression.fullmatch(text)
    if match is None:
        raise ValueError(f"{text[:64]!r} is not a date of the form {pattern!r}")
    return _date_of(dict(zip(tokens, match.groups(), strict=True)))


def check_pattern(pattern: str) -> None:
    """Return if the pattern has only known tokens. Raises: MomentPatternError."""
    _parts(pattern)


def check_readable(pattern: str) -> None:
    """Return if dates can be read by the pattern. Raises: MomentPatternError."""
    _reader(pattern)


@lru_cache(maxsize=128)
def _parts(pattern: str) -> tuple[_Part, ...]:
    if len(pattern) > MAX_PATTERN_CHARACTERS:
        raise MomentPatternError(f"the pattern is longer than {MAX_PATTERN_CHARACTERS} characters")
    found = [
        _Part(match["token"], match["text"] or match["other"] or "") for match in _PARTS.finditer(pattern)
    ]
    unknown = next(
        (part.token for part in found if part.token is not None and part.token not in TOKENS), None
    )
    if unknown is not None:
        raise MomentPatternError(
            f"unknown token {unknown!r}; known tokens are {', '.join(TOKENS)}; write text as [{unknown}]"
        )
    return tuple(found)


@lru_cache(maxsize=128)
def _reader(pattern: str) -> tuple[re.Pattern[str], tuple[str, ...]]:
    """Return the regular expression of a pattern, and the token of each of its groups."""
    parts = _parts(pattern)
    tokens = tuple(part.token for part in parts if part.token is not None)
    for token in tokens:
        if TOKENS[token].reads is None:
            raise MomentPatternError(f"a date cannot be read by the token {token}")
    fields = [_FIELDS[token] for token in tokens if token in _FIELDS]
    if len(set(fields)) != len(fields):
        raise MomentPatternError("a part of the date occurs twice in the pattern")
    if not {"year", "month", "day"} <= set(fields):
        raise MomentPatternError("a date is read by its year (YYYY), its month and its day")
    if ("h" in tokens) != ("A" in tokens):
        raise MomentPatternError("the tokens h and A need each other")
    expression = "".join(
        re.escape(part.text) if part.token is None else f"({TOKENS[part.token].reads})" for part in parts
    )
    return re.compile(expression), tokens


def _date_of(found: dict[str, str]) -> datetime:
    """Return the date of the texts of the tokens. Raises: ValueError: if there is no such date."""
    fields = {_FIELDS[token]: int(text) for token, text in found.items() if text.isdecimal()}
    if "MMMM" in found:
        fields["month"] = MONTHS.index(found["MMMM"]) + 1
    if "A" in found:
        if not 1 <= fields["hour"] <= _HALF:
            raise ValueError("hour must be in 1..12")
        fields["hour"] = fields["hour"] % _HALF + (_HALF if found["A"] == "PM" else 0)
    date = datetime(  # noqa: DTZ001 - the zone is the caller's, or the offset's
        fields["year"],
        fields["month"],
        fields["day"],
        fields.get("hour", 0),
        fields.get("minute", 0),
        fields.get("second", 0),
        fields.get("microsecond", 0) * 1000,
    )
    offset = found.get("Z")
    return date if offset is None else datetime.fromisoformat(f"{date.isoformat()}{offset}")
