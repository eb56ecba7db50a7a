"""Write structs as JSON objects, and read them back exactly.

A ``Shape`` describes a struct field by field. A field with its usual value is left out, so documents stay small. A
document that cannot be read back with certainty is refused: a missing or unknown member, a wrong type, an unknown
enum value.
"""

from collections.abc import Mapping
from typing import Any, Generic, TypeVar

from msgspec import NODEFAULT, Struct
from msgspec.structs import FieldInfo, fields

from shared.adapters.dynamodb.forms import Form, Simple
from shared.domain.errors import StoredShapeError
from shared.domain.strategy.model import Json

T = TypeVar("T", bound=Struct)


class Member(Struct, frozen=True):
    """The name and form of a field in the document.

    A field is left out if it has its usual value: the value of the field ``same_as``, or ``usual``, or its default.
    """

    name: str
    form: Form[Any]
    same_as: str | None = None
    usual: object = None


class Shape(Generic[T]):
    """The form of a struct.

    ``parts`` are fields with a value object, whose members are in the same JSON object. So dividing a class into
    parts changes no document. A part that may be None needs a member that is always written. ``outside`` are fields
    that are stored as attributes of the item.
    """

    def __init__(
        self,
        kind: type[T],
        members: Mapping[str, Member],
        *,
        parts: Mapping[str, "Shape[Any]"] | None = None,
        outside: tuple[str, ...] = (),
    ) -> None:
        parts = parts or {}
        defaults = {field.name: _default(field) for field in fields(kind)}
        # Every field must be listed: a forgotten one would be lost in storage without an error.
        if set(defaults) != {*members, *parts, *outside}:
            difference = sorted(set(defaults) ^ {*members, *parts, *outside})
            raise TypeError(f"{kind.__name__}: shape and class differ in {difference}")
        self._kind = kind
        self._rows = [
            (field, m.name, m.form.write, defaults[field] if m.usual is None else m.usual, m.same_as)
            for field, m in members.items()
        ]
        self._members = {m.name: (field, m.form.read) for field, m in members.items()}
        self._usual = {field: m.usual for field, m in members.items() if m.usual is not None}
        self._same = [(field, m.same_as) for field, m in members.items() if m.same_as is not None]
        self._nullable = {field for field, _ in self._same if defaults[field] is None}
        self._parts = dict(parts)
        self._part_of = {name: field for field, part in parts.items() for name in part.names}
        self.names: tuple[str, ...] = (*self._members, *self._part_of)
        self.is_never_empty = any(usual is NODEFAULT and same is None for _, _, _, usual, same in self._rows)
        if len(set(self.names)) != len(members) + sum(len(part.names) for part in parts.values()):
            raise TypeError(f"{kind.__name__}: two fields have the same name")
        if not all(part.is_never_empty for field, part in parts.items() if defaults[field] is None):
            raise TypeError(f"{kind.__name__}: a part would be lost if all its members were left out")

    def write(self, value: T, owner: str = "", /) -> dict[str, Json]:
        """Return the document: the members whose values are not the usual ones."""
        document: dict[str, Json] = {}
        for field, name, write, usual, same_as in self._rows:
            member = getattr(value, field)
            if member != (usual if same_as is None else getattr(value, same_as)):
                document[name] = None if member is None else write(member, owner)
        for field, part in self._parts.items():
            found = getattr(value, field)
            if found is not None:
                document |= part.write(found, owner)
        return document

    def read(self, stored: Json, owner: str = "", /, **outside: object) -> T:
        """Return the value of a document and of the fields stored outside it. Raises: StoredShapeError."""
        if not isinstance(stored, dict):
            raise StoredShapeError(f"{self._kind.__name__} is not an object but {type(stored).__name__}")
        found: dict[str, Any] = {**self._usual, **outside}
        parts: dict[str, dict[str, Json]] = {}
        for name, value in stored.items():
            if name in self._part_of:
                parts.setdefault(self._part_of[name], {})[name] = value
                continue
            if name not in self._members:
                raise StoredShapeError(f"{self._kind.__name__} has no member {name[:40]!r}")
            field, read = self._members[name]
            try:
                found[field] = None if value is None and field in self._nullable else read(value, owner)
            except StoredShapeError as error:
                raise StoredShapeError(f"{self._kind.__name__}.{name} {error}") from None
        for field, document in parts.items():
            found[field] = self._parts[field].read(document, owner)
        # Fields that were equal to another one were left out.
        for field, same_as in self._same:
            if field not in found and same_as in found:
                found[field] = found[same_as]
        try:
            return self._kind(**found)
        except TypeError as error:
            raise StoredShapeError(f"{self._kind.__name__}: {error}") from None


def either(**shapes: tuple[type[Any], Shape[Any]]) -> Simple[Any]:
    """Return the form of a value that has one class out of several, each under its own name."""
    names = {kind: name for name, (kind, _) in shapes.items()}

    def write(value: object, owner: str) -> Json:
        name = names[type(value)]
        return {name: shapes[name][1].write(value, owner)}

    def read(stored: Json, owner: str) -> object:
        if isinstance(stored, dict) and len(stored) == 1 and (name := next(iter(stored))) in shapes:
            return shapes[name][1].read(stored[name], owner)
        raise StoredShapeError(f"is not one of {', '.join(shapes)}")

    return Simple(write, read)


def _default(field: FieldInfo) -> object:
    return field.default if field.default_factory is NODEFAULT else field.default_factory()
