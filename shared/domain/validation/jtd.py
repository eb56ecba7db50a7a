"""JSON Type Definition: the errors of a value under a schema.

Errors are found one by one, so that a caller who needs only the first ones pays only for them.
Source: RFC 8927 section 3.3. The error indicators follow it exactly; the messages and the limit on depth are ours.
"""

import re
from calendar import monthrange
from collections.abc import Callable, Collection, Iterator, Mapping
from itertools import islice
from typing import Any, Final, TypeAlias

from msgspec import Struct, field

from shared.domain.validation.jtd_schema import INTEGERS, MAX_DEPTH, JtdError, schema_problems
from shared.domain.validation.pointers import Path, path_text
from shared.domain.validation.texts import DATE_TIME_HINT

__all__ = ["MAX_DEPTH", "JtdError", "errors", "is_timestamp", "schema_problems"]

_TIMESTAMP: Final = re.compile(
    r"(?P<year>[0-9]{4})-(?P<month>0[1-9]|1[0-2])-(?P<day>0[1-9]|[12][0-9]|3[01])[Tt]"
    r"(?P<hour>[01][0-9]|2[0-3]):(?P<minute>[0-5][0-9]):(?P<second>[0-5][0-9]|60)(?:\.[0-9]+)?"
    r"(?:[Zz]|(?P<sign>[+-])(?P<ahead_h>[01][0-9]|2[0-3]):(?P<ahead_m>[0-5][0-9]))"
)
_LAST_MINUTE_OF_DAY: Final = 24 * 60 - 1


_MAX_CHOICES_SHOWN: Final = 10


class _Index(Struct, frozen=True):
    """Tables of one schema, made when they are needed: a part with thousands of names costs no more than a small one.

    ``choices`` are the strings of each ``enum``, ``positions`` the members of each ``optionalProperties`` by their
    order, and ``targets`` the schema behind each ref, with its name, and whether a schema on the way is nullable.
    """

    definitions: Mapping[str, Any]
    choices: dict[int, frozenset[str]] = field(default_factory=dict)
    positions: dict[int, dict[str, int]] = field(default_factory=dict)
    targets: dict[str, tuple[Mapping[str, Any], str, bool]] = field(default_factory=dict)

    def has(self, enum: list[str], value: str) -> bool:
        known = self.choices.get(id(enum))
        if known is None:
            known = self.choices[id(enum)] = frozenset(enum)
        return value in known

    def both(self, optional: Mapping[str, Any], value: Mapping[str, object]) -> list[str]:
        """Return the optional members that a value has, in the order of the schema."""
        given = [name for name in value if name in optional]
        if len(given) > 1:
            order = self.positions.get(id(optional))
            if order is None:
                order = self.positions[id(optional)] = {name: place for place, name in enumerate(optional)}
            given.sort(key=order.__getitem__)
        return given

    def target(self, ref: str) -> tuple[Mapping[str, Any], str, bool]:
        """Return the schema that a ref leads to. ``schema_problems`` has excluded endless ones."""
        found = self.targets.get(ref)
        if found is None:
            name, schema, nullable = ref, self.definitions[ref], False
            while "ref" in schema:
                nullable = nullable or schema.get("nullable") is True
                name, schema = schema["ref"], self.definitions[schema["ref"]]
            found = self.targets[ref] = schema, name, nullable
        return found


class _Place(Struct, frozen=True, kw_only=True):
    """A value under a schema, with both places, the tables of the schema, and the depth of the value."""

    schema: Mapping[str, Any]
    value: object
    instance_path: Path
    schema_path: Path
    index: _Index
    depth: int = 0
    tag: str | None = None  # the member that a tagged union has already checked

    def under(self, schema: Mapping[str, Any], path: Path, *, tag: str | None = None) -> "_Place":
        """Return the same value under another schema."""
        return _Place(
            schema=schema,
            value=self.value,
            instance_path=self.instance_path,
            schema_path=path,
            index=self.index,
            depth=self.depth,
            tag=tag,
        )

    def below(self, key: str | int, value: object, schema: Mapping[str, Any], *path: str) -> "_Place":
        """Return a member or element of the value under a part of the schema."""
        return _Place(
            schema=schema,
            value=value,
            instance_path=(self.instance_path, key),
            schema_path=_joined(self.schema_path, path),
            index=self.index,
            depth=self.depth + 1,
        )

    def error(self, message: str, *path: str, member: str | None = None) -> JtdError:
        place = self.instance_path if member is None else (self.instance_path, member)
        return JtdError(path_text(place), path_text(_joined(self.schema_path, path)), message)


def _joined(path: Path, tokens: tuple[str, ...]) -> Path:
    for token in tokens:
        path = (path, token)
    return path


_Errors: TypeAlias = Iterator[JtdError]


def errors(schema: Mapping[str, Any], value: object) -> Iterator[JtdError]:
    """Yield every error of a value, in the order of the schema, then of the value.

    ``schema_problems`` must accept the schema. A part of the value that lies deeper than ``MAX_DEPTH``
    is an error if the schema would check it.
    """
    index = _Index(schema.get("definitions", {}))
    return _errors(_Place(schema=schema, value=value, instance_path=None, schema_path=None, index=index))


def is_timestamp(text: str) -> bool:
    """Return whether a text is an RFC 3339 timestamp with a real date.

    A leap second is accepted only at the end of a day in UTC.
    """
    match = _TIMESTAMP.fullmatch(text)
    if match is None or int(match["day"]) > monthrange(int(match["year"]), int(match["month"]))[1]:
        return False
    if match["second"] != "60":
        return True
    ahead = int(f"{match['sign'] or '+'}1") * (int(match["ahead_h"] or 0) * 60 + int(match["ahead_m"] or 0))
    return (int(match["hour"]) * 60 + int(match["minute"]) - ahead) % (24 * 60) == _LAST_MINUTE_OF_DAY


def _errors(place: _Place) -> _Errors:
    if place.depth > MAX_DEPTH:
        yield place.error(f"must nest at most {MAX_DEPTH} levels deep")
        return
    if place.value is None and place.schema.get("nullable") is True:
        return
    if "ref" in place.schema:
        schema, name, nullable = place.index.target(place.schema["ref"])
        if place.value is None and (nullable or schema.get("nullable") is True):
            return
        place = place.under(schema, ((None, "definitions"), name))
    form = next((form for keyword, form in _FORMS.items() if keyword in place.schema), None)
    yield from form(place) if form else ()


def _type(place: _Place) -> _Errors:
    if not _is_of(place.schema["type"], place.value):
        kind = place.schema["type"]
        hint = DATE_TIME_HINT if kind == "timestamp" else ""
        yield place.error(f"must be of type {kind}{hint}", "type")


def _is_of(kind: str, value: object) -> bool:
    match kind:
        case "boolean":
            return isinstance(value, bool)
        case "string":
            return isinstance(value, str)
        case "timestamp":
            return isinstance(value, str) and is_timestamp(value)
        case _ if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        case "float32" | "float64":
            return True
    least, most = INTEGERS[kind]
    return (isinstance(value, int) or value.is_integer()) and least <= value <= most


def _enum(place: _Place) -> _Errors:
    if not isinstance(place.value, str) or not place.index.has(place.schema["enum"], place.value):
        yield place.error(f"must be one of {_choices(place.schema['enum'])}", "enum")


def _choices(choices: Collection[str]) -> str:
    """Return the first choices as text."""
    more = ", ..." if len(choices) > _MAX_CHOICES_SHOWN else ""
    return ", ".join(map(repr, islice(choices, _MAX_CHOICES_SHOWN))) + more


def _elements(place: _Place) -> _Errors:
    if not isinstance(place.value, list):
        yield place.error("must be a list", "elements")
        return
    for index, element in enumerate(place.value):
        yield from _errors(place.below(index, element, place.schema["elements"], "elements"))


def _properties(place: _Place) -> _Errors:
    required, optional = place.schema.get("properties"), place.schema.get("optionalProperties", {})
    if not isinstance(place.value, dict):
        yield place.error("must be an object", "optionalProperties" if required is None else "properties")
        return
    required = required or {}
    for name, schema in required.items():
        if name in place.value:
            yield from _errors(place.below(name, place.value[name], schema, "properties", name))
        else:
            yield place.error(f"must have the member {name!r}", "properties", name)
    for name in place.index.both(optional, place.value):
        yield from _errors(place.below(name, place.value[name], optional[name], "optionalProperties", name))
    if place.schema.get("additionalProperties") is not True:
        for name in place.value:
            if name not in required and name not in optional and name != place.tag:
                yield place.error(f"the schema has no member {name!r}", member=name)


def _values(place: _Place) -> _Errors:
    if not isinstance(place.value, dict):
        yield place.error("must be an object", "values")
        return
    for name, value in place.value.items():
        yield from _errors(place.below(name, value, place.schema["values"], "values"))


def _discriminator(place: _Place) -> _Errors:
    tag, mapping = place.schema["discriminator"], place.schema["mapping"]
    if not isinstance(place.value, dict):
        yield place.error("must be an object", "discriminator")
    elif tag not in place.value:
        yield place.error(f"must have the member {tag!r}", "discriminator")
    elif not isinstance(variant := place.value[tag], str):
        yield place.error("must be a string", "discriminator", member=tag)
    elif variant not in mapping:
        yield place.error(f"must be one of {_choices(mapping)}", "mapping", member=tag)
    else:
        path = ((place.schema_path, "mapping"), variant)
        yield from _properties(place.under(mapping[variant], path, tag=tag))


_FORMS: Final[Mapping[str, Callable[[_Place], _Errors]]] = {
    "type": _type,
    "enum": _enum,
    "elements": _elements,
    "properties": _properties,
    "optionalProperties": _properties,
    "values": _values,
    "discriminator": _discriminator,
}
