"""Dates in the format of moment.js, which clients of the vendor's API send, in the strategy's zone.

Source: docs/contracts/core.md section 4, row 24.
"""

import re
from collections.abc import Callable
from datetime import datetime
from zoneinfo import ZoneInfo

from shared.domain.calendar.dates import format_instant
from shared.domain.errors import InvalidInputError, Problem

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
_HALF = 12

TOKENS: dict[str, Callable[[datetime], str]] = {
    "LLLL": lambda at: f"{DAYS[at.weekday()]}, {MONTHS[at.month - 1]} {at.day}, {at.year} {_twelve(at)}",
    "YYYY": lambda at: f"{at.year:04}",
    "MMMM": lambda at: MONTHS[at.month - 1],
    "MM": lambda at: f"{at.month:02}",
    "DD": lambda at: f"{at.day:02}",
    "D": lambda at: f"{at.day}",
    "dddd": lambda at: DAYS[at.weekday()],
    "HH": lambda at: f"{at.hour:02}",
    "h": lambda at: f"{at.hour % _HALF or _HALF}",
    "mm": lambda at: f"{at.minute:02}",
    "ss": lambda at: f"{at.second:02}",
    "A": lambda at: "AM" if at.hour < _HALF else "PM",
}
"""The text of each token. ``LLLL`` is moment's English format."""

# Text in brackets, a run of one letter, or any other character. A bracket that is not closed is text.
_PARTS = re.compile(r"\[(?P<text>[^\]]*)\]|(?P<token>([A-Za-z])\3*)|(?P<other>[^A-Za-z\[]|\[)")


def date_format(text: str | None, zone: ZoneInfo) -> Callable[[datetime], str]:
    """Return a function that writes instants in a format and a zone; without a format, as ISO 8601 in UTC.

    Text in square brackets is copied. Raises: InvalidInputError: if a letter is not a token of ``TOKENS``.
    """
    if text is None:
        return format_instant
    parts = list(_PARTS.finditer(text))
    unknown = [part["token"] for part in parts if part["token"] and part["token"] not in TOKENS]
    if unknown:
        message = f"unknown token {unknown[0]!r}; known tokens are {', '.join(TOKENS)}"
        raise InvalidInputError((Problem(pointer="/dateFormat", rule="format", message=message),))

    def shown(at: datetime) -> str:
        local = at.astimezone(zone)
        return "".join(
            TOKENS[part["token"]](local) if part["token"] else part["text"] or part["other"] or ""
            for part in parts
        )

    return shown


def _twelve(at: datetime) -> str:
    return f"{at.hour % _HALF or _HALF}:{at.minute:02} {TOKENS['A'](at)}"
