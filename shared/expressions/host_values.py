"""Host functions that take the place of CEL's own ``string`` and ``timestamp``.

CEL's ``string`` writes 1234567.0 as ``1.23457e+06``, and its ``timestamp`` refuses a date without a time.
Source: docs/expressions.md.
"""

import re
from datetime import UTC, date, datetime, timedelta

from shared.expressions.bindings import marked_digits
from shared.expressions.digits import number_text
from shared.expressions.host_dates import iso_date
from shared.expressions.problems import EvaluationError

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_INSTANT = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?)([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_MIN_SECONDS, _MAX_SECONDS = -62_135_596_800, 253_402_300_799


def string(value: object) -> str:
    """Return a value as a template shows it inside text."""
    match value:
        case bool():
            text = "true" if value else "false"
        case int() | float():
            text = _number(value)
        case datetime():
            text = iso_date(value)
        case timedelta():
            text = f"{_number(value / timedelta(seconds=1))}s"
        case bytes() | bytearray():
            text = _decoded(bytes(value))
        case dict():
            text = _digits(value)
        case _:
            text = str(value)
    return text


def timestamp(value: object) -> datetime:
    """Return the instant of an ISO 8601 text, of a date (its first instant in UTC), or of seconds since 1970."""
    if isinstance(value, datetime):
        return value
    if isinstance(value, int):
        if not _MIN_SECONDS <= value <= _MAX_SECONDS:
            raise ValueError("timestamp: the date is outside the years 1 to 9999")
        return datetime.fromtimestamp(value, UTC)
    return _instant(str(value))


def _instant(text: str) -> datetime:
    try:
        if _DATE.fullmatch(text):
            day = date.fromisoformat(text)
            return datetime(day.year, day.month, day.day, tzinfo=UTC)
        if match := _INSTANT.fullmatch(text):
            return datetime.fromisoformat(f"{match[1]}T{match[2]}{match[3].upper()}").astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"timestamp: {text!r} is not a date: {error}") from None
    raise ValueError(
        f"timestamp: {text[:64]!r} is not a date such as 2026-12-31 or 2026-12-31T09:00:00Z; "
        "other forms are read by parseDate"
    )


def _digits(value: dict[object, object]) -> str:
    digits = marked_digits(value)
    if digits is None:
        raise ValueError("string: a map has no text; name the member to write")
    return digits


def _number(number: float) -> str:
    try:
        return number_text(number)
    except EvaluationError:
        raise ValueError("string: the number is NaN or infinite") from None


def _decoded(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise ValueError("string: the bytes are not UTF-8 text") from None
