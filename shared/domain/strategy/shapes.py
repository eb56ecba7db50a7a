"""The building blocks of a declaration: fields, and the shapes (objects) that consist of them.

A declaration is plain data. ``settings.py`` declares a strategy's settings, and ``reader.py`` checks values against
the declaration. The JSON Schema and the reference table are generated from it.
"""

from collections.abc import Iterator, Mapping
from enum import StrEnum, auto
from math import inf
from typing import NamedTuple

MAX_TEXT_LENGTH = 4096
MAX_KEY_LENGTH = 100

TIME_OF_DAY = "^([01][0-9]|2[0-3]):[0-5][0-9]$"
"""The pattern of a local time."""


class Kind(StrEnum):
    """The kinds of fields."""

    TEXT = auto()  # a string; the bounds count its characters
    FLAG = auto()  # a boolean
    WHOLE = auto()  # a whole number within the bounds
    WHOLES = auto()  # a list of whole numbers within the bounds, each once
    NAMES = auto()  # a list of names, each once; the bounds count them
    TIMES = auto()  # a list of times of day, each once; the bounds count them
    CHOICE = auto()  # one of a few strings
    CHOICES = auto()  # a list of a few strings, each once; the bounds count them
    DATES = auto()  # a list of dates without time, each once; the bounds count them
    PART = auto()  # an object of a declared shape
    PARTS = auto()  # a list of objects of a declared shape; the bounds count its entries
    TEXTS = auto()  # an object with strings under any names
    JSON = auto()  # an object of anything
    SCHEMA_OR_EXPRESSION = auto()  # an object of anything, or a string that is not empty


class Exclusive(NamedTuple):
    """A field that must not be given together with another, and the message if it is."""

    field: str
    beside: str
    message: str


class Shape(NamedTuple):
    """An object with its fields by name.

    ``required`` are the names of the required fields. At least one of ``any_of`` must be given; if not, the first one
    is reported as missing with the message ``needs``.
    """

    name: str
    does: str
    fields: "Mapping[str, Field]"
    required: tuple[str, ...] = ()
    any_of: tuple[str, ...] = ()
    needs: str = ""
    exclusive: tuple[Exclusive, ...] = ()


_NO_SHAPE = Shape(name="", does="", fields={})


class Field(NamedTuple):
    """One member of an object.

    ``does`` describes it to users. ``low`` and ``high`` are inclusive bounds. ``hint`` is appended to the message
    about an unknown choice, or about too many choices. ``shape`` is the shape of a part, or of the entries of a list.
    ``unique`` is the member that identifies each entry of a list.

    ``pattern`` applies to the names in an object of strings, or to a string. Of a string it is only used in the JSON
    Schema, because the reader explains problems of a URL in more detail.
    """

    kind: Kind
    does: str
    is_required: bool = False
    default: bool | int | str | None = None
    low: int = 0
    high: float = inf
    choices: tuple[str, ...] = ()
    hint: str = ""
    pattern: str | None = None
    shape: Shape = _NO_SHAPE
    unique: str = "key"

    @property
    def required(self) -> "Field":
        """Return the same field as a required one."""
        return self._replace(is_required=True)


def shape(
    name: str,
    does: str,
    fields: Mapping[str, Field],
    *,
    any_of: tuple[str, ...] = (),
    needs: str = "",
    exclusive: tuple[Exclusive, ...] = (),
) -> Shape:
    """Declare an object."""
    required = tuple(member for member, field in fields.items() if field.is_required)
    return Shape(name, does, fields, required, any_of, needs, exclusive)


def text(
    does: str,
    *,
    low: int = 1,
    high: int = MAX_TEXT_LENGTH,
    default: str | None = None,
    pattern: str | None = None,
) -> Field:
    """Declare a string with bounds on its length. By default it must not be empty."""
    return Field(Kind.TEXT, does, low=low, high=high, default=default, pattern=pattern)


def key(does: str) -> Field:
    """Declare a name, or a reference to a name."""
    return text(does, high=MAX_KEY_LENGTH)


def callback(returns: str, does: str) -> Field:
    """Declare a CEL expression."""
    return text(f"CEL that returns {returns}: {does}")


def flag(does: str) -> Field:
    """Declare a boolean that is false by default."""
    return Field(Kind.FLAG, does, default=False)


def optional_flag(does: str) -> Field:
    """Declare a boolean whose default depends on its place."""
    return Field(Kind.FLAG, does)


def whole(low: int, high: int, does: str, *, default: int | None = None) -> Field:
    """Declare a whole number within bounds."""
    return Field(Kind.WHOLE, does, low=low, high=high, default=default)


def wholes(low: int, high: int, does: str) -> Field:
    """Declare a list of whole numbers within bounds."""
    return Field(Kind.WHOLES, does, low=low, high=high)


def names(does: str, *, high: int) -> Field:
    """Declare a list of names."""
    return Field(Kind.NAMES, does, high=high)


def times_of_day(does: str, *, high: int) -> Field:
    """Declare a list of local times, from ``00:00`` to ``23:59``. If it is given, it must not be empty."""
    return Field(Kind.TIMES, does, low=1, high=high)


def choice(
    values: Iterator[StrEnum] | type[StrEnum], does: str, *, default: StrEnum | None = None, hint: str = ""
) -> Field:
    """Declare a choice among the values of an enumeration, or some of them."""
    return Field(
        Kind.CHOICE,
        does,
        choices=tuple(value.value for value in values),
        hint=hint,
        default=None if default is None else default.value,
    )


def choices(values: type[StrEnum], does: str, *, high: int, hint: str) -> Field:
    """Declare a list of values of an enumeration. ``hint`` says why there must not be more than ``high``."""
    return Field(Kind.CHOICES, does, high=high, choices=tuple(value.value for value in values), hint=hint)


def dates(does: str, *, high: int) -> Field:
    """Declare a list of dates without time."""
    return Field(Kind.DATES, does, high=high)


def part(of: Shape, does: str) -> Field:
    """Declare an object."""
    return Field(Kind.PART, does, shape=of)


def parts(of: Shape, does: str, *, low: int = 0, high: float = inf, unique: str = "key") -> Field:
    """Declare a list of objects."""
    return Field(Kind.PARTS, does, shape=of, low=low, high=high, unique=unique)


def templates(does: str, *, names: str | None = None) -> Field:
    """Declare an object whose values are templates. ``names`` is the pattern of its members' names."""
    return Field(Kind.TEXTS, f"{does} The values are templates.", pattern=names)


def json(does: str) -> Field:
    """Declare an object of any content, for example a schema."""
    return Field(Kind.JSON, does)


def all_shapes(root: Shape) -> dict[str, Shape]:
    """Return a shape and all its parts by name, each before its own parts."""
    shapes = {root.name: root}
    for field in root.fields.values():
        if field.kind in (Kind.PART, Kind.PARTS):
            for name, inner in all_shapes(field.shape).items():
                shapes.setdefault(name, inner)
    return shapes
