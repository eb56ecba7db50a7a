"""How values of the domain are written as JSON, and read back exactly.

A ``Form`` writes one kind of value and reads it again. A ``Shape`` is the form of a dataclass, told as a
table of its fields. What has its default value is left out, so documents stay small; what cannot be read back
for sure is refused: a missing or unknown member, another type, an enum value nobody knows.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, fields
from datetime import datetime
from enum import StrEnum
from typing import Any, Generic, Protocol, TypeVar

from shared.domain.dates import Asked, format_instant
from shared.domain.errors import StoredShapeError
from shared.domain.strategy import Json

T = TypeVar("T")

_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_INSTANT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}(?:[0-9]{3})?Z")
_ASKED = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{6}))?)?"
)


class Form(Protocol[T]):
    """Writes one kind of value as JSON and reads it back."""

    def write(self, value: T, /) -> Json:
        """The value as JSON."""

    def read(self, stored: Json, /) -> T:
        """The value that was written. Raises: StoredShapeError: this was not written by ``write``."""


@dataclass(frozen=True, slots=True)
class Simple(Generic[T]):
    """A form made of two functions."""

    write: Callable[[Any], Json]
    read: Callable[[Json], T]


def _as_is(value: Json) -> Json:
    return value


def _exactly(kind: type[T], called: str) -> Simple[T]:
    def read(stored: Json) -> T:
        if type(stored) is not kind:
            raise StoredShapeError(f"is not {called} but {type(stored).__name__}")
        return stored

    return Simple(_as_is, read)


ANY: Simple[Json] = Simple(_as_is, _as_is)
"""Any JSON value, a response for instance."""
TEXT = _exactly(str, "a text")
WHOLE = _exactly(int, "a whole number")
FLAG = _exactly(bool, "true or false")
OBJECT: Simple[dict[str, Json]] = Simple(dict, _exactly(dict, "an object").read)
"""A mapping of texts to any JSON values."""


def named(kind: type[StrEnum]) -> Simple[StrEnum]:
    """A member of an enumeration, by its value."""
    members = {member.value: member for member in kind}

    def read(stored: Json) -> StrEnum:
        found = members.get(stored) if isinstance(stored, str) else None
        if found is None:
            raise StoredShapeError(f"is no {kind.__name__}: {str(stored)[:40]!r}")
        return found

    return Simple(str, read)


def several(form: Form[T]) -> Simple[tuple[T, ...]]:
    """A tuple of values of one form."""

    def read(stored: Json) -> tuple[T, ...]:
        if not isinstance(stored, list):
            raise StoredShapeError(f"is not a list but {type(stored).__name__}")
        return tuple(form.read(item) for item in stored)

    return Simple(lambda values: [form.write(value) for value in values], read)


def _read_pair(stored: Json) -> tuple[int, int]:
    match stored:
        case [int(first), int(second)]:
            return first, second
        case _:
            raise StoredShapeError("is not a pair of whole numbers")


PAIR: Simple[tuple[int, int]] = Simple(list, _read_pair)


def _write_instant(at: datetime) -> str:
    below = at.microsecond % 1000
    text = format_instant(at)
    return f"{text[:-1]}{below:03}Z" if below else text


def _read_instant(stored: Json) -> datetime:
    if isinstance(stored, str) and _INSTANT.fullmatch(stored):
        try:
            return datetime.fromisoformat(stored)
        except ValueError:
            pass
    raise StoredShapeError("is no instant in UTC")


INSTANT: Simple[datetime] = Simple(_write_instant, _read_instant)
"""An instant in UTC; with milliseconds, or microseconds where it has any."""


def _write_asked(asked: Asked) -> str:
    below = f".{asked.microsecond:06}" if asked.microsecond else ""
    seconds = f":{asked.second:02}{below}" if asked.second or below else ""
    return f"{asked.year:04}-{asked.month:02}-{asked.day:02}T{asked.hour:02}:{asked.minute:02}{seconds}"


def _read_asked(stored: Json) -> Asked:
    found = _ASKED.fullmatch(stored) if isinstance(stored, str) else None
    if found is None:
        raise StoredShapeError("is no local date and time")
    year, month, day, hour, minute, second, microsecond = (int(part or 0) for part in found.groups())
    return Asked(
        year=year, month=month, day=day, hour=hour, minute=minute, second=second, microsecond=microsecond
    )


ASKED: Simple[Asked] = Simple(_write_asked, _read_asked)
"""A local date as it was asked for, which no calendar needs to have: 31 February, 24:00."""


@dataclass(frozen=True, slots=True)
class Member:
    """Where a field stands in the document. same_as: the field whose value it has when it is left out."""

    name: str
    form: Form[Any]
    same_as: str | None = None


class Shape(Generic[T]):
    """The form of a dataclass. outside: fields that are kept elsewhere, as attributes of the item.

    Every field must be told; a forgotten one would be lost in storage without a word.
    """

    def __init__(
        self, kind: type[T], members: Mapping[str, Member], *, outside: tuple[str, ...] = ()
    ) -> None:
        defaults = {field.name: _default(field) for field in fields(kind)}  # type: ignore[arg-type]
        if set(defaults) != {*members, *outside}:
            raise TypeError(f"{kind.__name__}: {sorted(set(defaults) ^ {*members, *outside})} not told")
        self._kind = kind
        self._outside = frozenset(outside)
        self._rows = [
            (field, m.name, m.form.write, defaults[field], m.same_as) for field, m in members.items()
        ]
        self._members = {m.name: (field, m.form.read) for field, m in members.items()}
        self._same = [(field, m.same_as) for field, m in members.items() if m.same_as is not None]

    def write(self, value: T, /) -> dict[str, Json]:
        """The document: members that differ from their defaults."""
        document: dict[str, Json] = {}
        for field, name, write, default, same_as in self._rows:
            found = getattr(value, field)
            usual = default if same_as is None else getattr(value, same_as)
            if found != usual:
                document[name] = write(found)
        return document

    def read(self, stored: Json, /, **outside: object) -> T:
        """The value of a document, with what is kept outside of it. Raises: StoredShapeError."""
        if not isinstance(stored, dict):
            raise StoredShapeError(f"{self._kind.__name__} is not an object but {type(stored).__name__}")
        found: dict[str, Any] = dict(outside)
        for name, value in stored.items():
            if name not in self._members:
                raise StoredShapeError(f"{self._kind.__name__} has no member {name[:40]!r}")
            field, read = self._members[name]
            try:
                found[field] = read(value)
            except StoredShapeError as error:
                raise StoredShapeError(f"{self._kind.__name__}.{name} {error}") from None
        for field, same_as in self._same:
            if field not in found and same_as in found:
                found[field] = found[same_as]
        try:
            return self._kind(**found)
        except TypeError as error:
            raise StoredShapeError(f"{self._kind.__name__}: {error}") from None


def either(**shapes: tuple[type[Any], Shape[Any]]) -> Simple[Any]:
    """A value of one of several classes, each under a name of its own."""
    names = {kind: name for name, (kind, _) in shapes.items()}

    def write(value: object) -> Json:
        name = names[type(value)]
        return {name: shapes[name][1].write(value)}

    def read(stored: Json) -> object:
        if isinstance(stored, dict) and len(stored) == 1 and (name := next(iter(stored))) in shapes:
            return shapes[name][1].read(stored[name])
        raise StoredShapeError(f"is none of {', '.join(shapes)}")

    return Simple(write, read)


def to_text(document: Json) -> str:
    """A document as compact JSON. Half a surrogate pair, which UTF-8 cannot hold, is escaped."""
    text = _ENCODER.encode(document)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(document, separators=(",", ":"))
    return text


def from_text(text: str) -> Json:
    """The document of a JSON text. Raises: StoredShapeError: it is none."""
    try:
        return json.loads(text)
    except ValueError:
        raise StoredShapeError("is no JSON document") from None


def _default(field: Field[Any]) -> object:
    return field.default if field.default_factory is MISSING else field.default_factory()
