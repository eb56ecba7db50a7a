"""Every member, type and enum value that can be stored is in a golden item."""

import types
import typing
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any

import pytest
from msgspec import NODEFAULT, Struct
from msgspec.structs import FieldInfo, fields

from shared.adapters.dynamodb.documents import SCHEMA
from shared.adapters.dynamodb.forms import from_text
from shared.adapters.dynamodb.shapes import Shape
from shared.adapters.dynamodb.tables import EXPIRY, LAYOUTS
from shared.domain.calendar.cron import Cron
from shared.domain.instance.reason import Cause, StopReason
from shared.domain.strategy.model import Definition, OnResume
from shared.domain.strategy.parse import stored_definition
from tests.golden import documents, settings
from tests.golden.catalogue import GOLDENS
from tests.golden.files import items_in, names_in

ADVICE = (
    "is in no golden item. Add a golden with it to tests/golden, run `make golden`, and commit the new files. "
    "CONTRIBUTING.md, 'Change what is stored', says what else it needs."
)

NEVER_STORED = {
    # An instance that waits for its next attempt is not stopped; its reason is in an index key only.
    (StopReason, "cause", Cause.FAILED),
    # Only a command shifts a plan; settings that say so are refused.
    (Definition, "on_resume", OnResume.SHIFT),
}

ALWAYS_STORED = {
    # The parser computes this from other fields.
    (Definition, "names_timezone", "default"),
}


class Stored(Struct, frozen=True, kw_only=True):
    """The values of the domain, and the stored documents, of all goldens."""

    values: tuple[object, ...]
    items: tuple[tuple[str, Mapping[str, Any]], ...]


@pytest.fixture(scope="module")
def stored() -> Stored:
    known = [golden for golden in GOLDENS if golden.name in names_in(SCHEMA)]
    # test_items.py proves that the items are read as these values.
    values = [golden.value for golden in known]
    plain = (
        settings.MINIMAL,
        settings.FULL,
        settings.SPARSE,
        settings.DUNNING,
        settings.BUSINESS_DAYS,
        settings.LATE_REMINDERS,
        settings.ZONE_OF_CUSTOMER,
        settings.SPREAD,
        settings.LIMITED,
        settings.CIRCUITS,
        settings.IN_FLIGHT,
        *settings.MISSED_RULES.values(),
    )
    definitions = [stored_definition(each) for each in plain]
    items = [
        (table, item)
        for golden in known
        for table, some in items_in(SCHEMA, golden.name).items()
        for item in some
    ]
    return Stored(values=(*values, *definitions), items=tuple(items))


def shapes() -> dict[type, Shape[Any]]:
    """Return the form of each class that is stored in a document."""
    return {shape._kind: shape for shape in documents.shapes().values()}


def within(value: object) -> Iterator[object]:
    """Yield the structs in a value, at any depth."""
    if isinstance(value, Mapping):
        for member in value.values():
            yield from within(member)
    elif isinstance(value, list | tuple | frozenset):
        for member in value:
            yield from within(member)
    elif isinstance(value, Struct) and not isinstance(value, Cron):
        yield value
        for each in fields(value):
            yield from within(getattr(value, each.name))


def default(each: FieldInfo) -> object:
    return each.default if each.default_factory is NODEFAULT else each.default_factory()


def features_of(value: Any) -> Iterator[tuple[type, str, object]]:
    """Yield the features of a value: of each field whether it has its default, its enum value, and its type."""
    for each in fields(value):
        member = getattr(value, each.name)
        yield type(value), each.name, "default" if member == default(each) else "filled"
        for one in member if isinstance(member, tuple) else (member,):
            yield type(value), each.name, one if isinstance(one, Enum) else type(one)


def types_in(annotation: Any) -> Iterator[Any]:
    """Yield the types that an annotation admits, without the containers around them."""
    if isinstance(annotation, types.UnionType) or typing.get_origin(annotation) in (tuple, typing.Union):
        for argument in typing.get_args(annotation):
            yield from types_in(argument)
    elif isinstance(annotation, typing.NewType):
        yield from types_in(annotation.__supertype__)
    elif isinstance(annotation, type):
        yield annotation


def required_of(kind: type) -> Iterator[tuple[type, str, object]]:
    """Yield the possible features of a class: every field with and without its default, each enum value and class."""
    hints = typing.get_type_hints(kind)
    for each in fields(kind):
        if default(each) is not NODEFAULT:
            yield kind, each.name, "default"
        yield kind, each.name, "filled"
        for admitted in types_in(hints[each.name]):
            if issubclass(admitted, Enum):
                yield from ((kind, each.name, member) for member in admitted)
            elif issubclass(admitted, Struct):
                yield kind, each.name, admitted


def kinds_from(kind: type, known: set[type]) -> set[type]:
    """Return a class and all that its fields may hold. Of a cron expression only the text is stored."""
    if kind not in known and kind is not Cron:
        known.add(kind)
        hints = typing.get_type_hints(kind)
        for each in fields(kind):
            for admitted in _classes(hints[each.name]):
                kinds_from(admitted, known)
    return known


def _classes(annotation: Any) -> Iterator[type]:
    if isinstance(annotation, type) and issubclass(annotation, Struct):
        yield annotation
    for argument in typing.get_args(annotation):
        yield from _classes(argument)


def name_of(feature: tuple[type, str, object]) -> str:
    kind, field, shown = feature
    return f"{kind.__name__}.{field} {getattr(shown, '__name__', shown)!s}"


def missing(stored: Stored, kinds: set[type]) -> list[str]:
    """Return the possible features of these classes that no golden has."""
    shown = {feature for value in stored.values for each in within(value) for feature in features_of(each)}
    required = {feature for kind in kinds for feature in required_of(kind)}
    return sorted(map(name_of, required - shown - NEVER_STORED - ALWAYS_STORED))


class TestMembers:
    """Each member of each stored class is in a golden item, and absent from another."""

    def test_every_value_of_every_field_of_a_document_occurs(self, stored: Stored) -> None:
        kinds: set[type] = set()
        for kind in shapes():
            kinds_from(kind, kinds)

        assert missing(stored, kinds) == [], f"Each of these {ADVICE}"

    def test_every_value_of_every_field_of_settings_occurs(self, stored: Stored) -> None:
        kinds = kinds_from(Definition, set())

        assert missing(stored, kinds) == [], f"Each of these {ADVICE}"

    def test_every_member_is_written_under_its_name(self, stored: Stored) -> None:
        written: dict[type, set[str]] = {kind: set() for kind in shapes()}
        for value in (each for one in stored.values for each in within(one)):
            if type(value) in written:
                written[type(value)] |= set(shapes()[type(value)].write(value))
        absent = {
            f"{kind.__name__}: {name}"
            for kind, shape in shapes().items()
            for name in set(shape.names) - written[kind]
        }

        assert absent == set(), f"Each of these members {ADVICE}"

    def test_a_member_without_a_value_beside_one_that_it_mostly_equals_occurs(self, stored: Stored) -> None:
        assert any('"scheduled":null' in item["doc"]["S"] for _, item in stored.items if "doc" in item)


class TestAttributes:
    """Each attribute by which an item is found, or expires, is in a golden item."""

    def test_every_key_of_every_table_and_index_occurs(self, stored: Stored) -> None:
        known = {(table, name) for table, item in stored.items for name in item}
        keys = {
            (table, name)
            for table, layout in LAYOUTS.items()
            for name in (*layout.key, *(attribute for _, key in layout.indexes for attribute in key))
        }

        assert (keys | set(EXPIRY.items())) - known == set(), f"Each of these attributes {ADVICE}"

    def test_every_document_is_json_of_an_object(self, stored: Stored) -> None:
        texts = [item["doc"]["S"] for _, item in stored.items if "doc" in item]
        assert {type(from_text(text)) for text in texts} == {dict}


class Part(Struct, frozen=True):
    text: str


class Snoozed(Struct, frozen=True):
    """A class as the next release may have it."""

    cause: Cause
    part: Part | None = None
    times: int = 0


class TestMissing:
    """A member, a class or an enum value that no golden has is reported by its name."""

    def test_what_no_value_shows_is_reported(self) -> None:
        values = (Snoozed(cause=Cause.PLAN), *(Snoozed(cause=cause, times=1) for cause in list(Cause)[1:]))

        found = missing(Stored(values=values, items=()), kinds_from(Snoozed, set()))

        assert found == [
            "Part.text filled",
            "Snoozed.cause operator",
            "Snoozed.part Part",
            "Snoozed.part filled",
        ]

    def test_nothing_is_reported_if_values_show_everything(self) -> None:
        values = (
            Snoozed(cause=Cause.PLAN),
            *(Snoozed(cause=cause, part=Part("a"), times=1) for cause in Cause),
        )

        assert missing(Stored(values=values, items=()), kinds_from(Snoozed, set())) == []
