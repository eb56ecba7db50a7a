"""Write single values as JSON, and read them back exactly or not at all."""

import json
import re
from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from typing import Any, Generic, Protocol, TypeVar

from msgspec import Struct

from shared.domain.calendar.dates import Anchor, format_instant
from shared.domain.errors import StoredShapeError
from shared.domain.instance.reason import StopReason, read_reason
from shared.domain.strategy.model import Json

T = TypeVar("T")

_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_INSTANT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}(?:[0-9]{3})?Z")
_ANCHOR = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{6}))?)?"
)


class Form(Protocol[T]):
    """Writes a kind of value as JSON and reads it back.

    ``owner`` is the sid of the instance that the document belongs to, or empty.
    """

    def write(self, value: T, owner: str, /) -> Json:
        """Return the value as JSON."""

    def read(self, stored: Json, owner: str, /) -> T:
        """Return the value that was written. Raises: StoredShapeError: ``write`` did not write this."""


class Simple(Struct, Generic[T], frozen=True):
    """A form made of two functions."""

    write: Callable[[Any, str], Json]
    read: Callable[[Json, str], T]


def _as_is(value: Json, _: str) -> Json:
    return value


def _exactly(kind: type[T], called: str) -> Simple[T]:
    def read(stored: Json, _: str) -> T:
        if type(stored) is not kind:
            raise StoredShapeError(f"is not {called} but {type(stored).__name__}")
        return stored

    return Simple(_as_is, read)


ANY: Simple[Json] = Simple(_as_is, _as_is)
"""Any JSON value, for example a response."""
TEXT = _exactly(str, "a text")
WHOLE = _exactly(int, "a whole number")
FLAG = _exactly(bool, "true or false")
OBJECT: Simple[dict[str, Json]] = Simple(lambda value, _: dict(value), _exactly(dict, "an object").read)
"""A mapping from texts to any JSON values."""


def named(kind: type[StrEnum]) -> Simple[StrEnum]:
    """Return the form of a member of an enumeration, stored as its value."""
    members = {member.value: member for member in kind}

    def read(stored: Json, _: str) -> StrEnum:
        found = members.get(stored) if isinstance(stored, str) else None
        if found is None:
            raise StoredShapeError(f"is not a valid {kind.__name__}: {str(stored)[:40]!r}")
        return found

    return Simple(lambda member, _: member.value, read)


def several(form: Form[T]) -> Simple[tuple[T, ...]]:
    """Return the form of a tuple of values with one form."""

    def read(stored: Json, owner: str) -> tuple[T, ...]:
        if not isinstance(stored, list):
            raise StoredShapeError(f"is not a list but {type(stored).__name__}")
        return tuple(form.read(item, owner) for item in stored)

    return Simple(lambda values, owner: [form.write(value, owner) for value in values], read)


def _read_pair(stored: Json, _: str) -> tuple[int, int]:
    match stored:
        case [int(first), int(second)]:
            return first, second
        case _:
            raise StoredShapeError("is not a pair of whole numbers")


PAIR: Simple[tuple[int, int]] = Simple(lambda pair, _: list(pair), _read_pair)


def _write_own(value: str, owner: str) -> str:
    if owner and value.startswith(f"{owner}-"):
        return value[len(owner) :]
    # It could not be distinguished from an id without its owner's sid.
    if value.startswith("-"):
        raise StoredShapeError(f"is not an id: {value[:40]!r}")
    return value


def _read_own(stored: Json, owner: str) -> str:
    text = TEXT.read(stored, owner)
    return owner + text if text.startswith("-") else text


OWN: Simple[str] = Simple(_write_own, _read_own)
"""An id, stored without its owner's sid if it begins with that sid and a dash."""


def instant_text(at: datetime) -> str:
    """Return an instant in UTC, in milliseconds, or in microseconds if it has any."""
    below = at.microsecond % 1000
    text = format_instant(at)
    return f"{text[:-1]}{below:03}Z" if below else text


def read_instant(stored: Json) -> datetime:
    """Return the instant of such a text. Raises: StoredShapeError: the text is not an instant."""
    if isinstance(stored, str) and _INSTANT.fullmatch(stored):
        try:
            return datetime.fromisoformat(stored)
        except ValueError:
            pass
    raise StoredShapeError("is not an instant in UTC")


INSTANT: Simple[datetime] = Simple(lambda at, _: instant_text(at), lambda stored, _: read_instant(stored))


def _write_anchor(anchor: Anchor, _: str) -> str:
    below = f".{anchor.microsecond:06}" if anchor.microsecond else ""
    seconds = f":{anchor.second:02}{below}" if anchor.second or below else ""
    return f"{anchor.year:04}-{anchor.month:02}-{anchor.day:02}T{anchor.hour:02}:{anchor.minute:02}{seconds}"


def _read_anchor(stored: Json, _: str) -> Anchor:
    found = _ANCHOR.fullmatch(stored) if isinstance(stored, str) else None
    if found is None:
        raise StoredShapeError("is not a local date and time")
    year, month, day, hour, minute, second, microsecond = (int(part or 0) for part in found.groups())
    return Anchor(
        year=year, month=month, day=day, hour=hour, minute=minute, second=second, microsecond=microsecond
    )


def _read_reason(stored: Json, owner: str) -> StopReason:
    try:
        return read_reason(TEXT.read(stored, owner))
    except ValueError:
        raise StoredShapeError("is not the reason of a stop") from None


STOP_REASON: Simple[StopReason] = Simple(lambda reason, _: reason.text, _read_reason)

ANCHOR: Simple[Anchor] = Simple(_write_anchor, _read_anchor)
"""A local date as it was requested. It need not exist in a calendar: 31 February, 24:00."""


def to_text(document: Json) -> str:
    """Return a document as compact JSON. An unpaired surrogate, which UTF-8 cannot encode, is escaped."""
    text = _ENCODER.encode(document)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(document, separators=(",", ":"))
    return text


def from_text(text: str) -> Json:
    """Return the document of a JSON text. Raises: StoredShapeError: the text is not JSON."""
    try:
        return json.loads(text)
    except ValueError:
        raise StoredShapeError("is not a JSON document") from None
