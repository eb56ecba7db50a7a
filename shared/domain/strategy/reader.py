"""Reading a JSON document by its declaration, with every problem reported at once.

A ``Reader`` reads one object of the document and never raises. It notes each problem with its JSON pointer and
returns a harmless value instead, so that reading continues and finds the other problems. A null member is absent.
"""

from collections.abc import Callable, Container, Iterable, Mapping
from datetime import date, time
from enum import StrEnum
from typing import TypeVar

from msgspec import Struct
from msgspec import field as struct_field

from shared.domain.errors import Problem, Problems
from shared.domain.strategy.form import faults_of, keys_of
from shared.domain.strategy.model import Json
from shared.domain.strategy.shapes import Kind, Shape
from shared.domain.validation.pointers import escaped

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)


class Notes(Struct, frozen=True):
    """The problems of a document, and its postponed checks.

    ``checks`` are slow or need the whole document. Each notes its own problems. They do not run for stored documents.
    """

    problems: Problems = struct_field(default_factory=Problems)
    checks: list[Callable[[], None]] = struct_field(default_factory=list)

    def all_problems(self) -> tuple[Problem, ...]:
        """Run the checks and return the problems, sorted by pointer; of many, the first that were found."""
        for check in self.checks:
            check()
        return self.problems.sorted()


class Reader:
    """Reads one object of a document: a value with its pointer and its declared shape.

    The form is checked at once. If the value is not an object, only that is noted.
    """

    def __init__(self, value: Json, pointer: str, notes: Notes, shape: Shape) -> None:
        self._pointer = pointer
        self._notes = notes
        self._shape = shape
        self._problems_before = len(notes.problems)
        self._faulty: set[str] = set()
        self._is_object = isinstance(value, Mapping)
        self._members: Mapping[str, Json] = value if isinstance(value, Mapping) else {}
        if self._is_object:
            self._check_form()
        else:
            notes.problems.add(Problem(pointer=pointer, rule="type", message="must be an object"))

    @property
    def is_sound(self) -> bool:
        """Return whether no problem has been noted about this object or its parts, as far as they were read."""
        return len(self._notes.problems) == self._problems_before

    def pointer_to(self, name: str, below: str = "") -> str:
        """Return the pointer of a member, or of a part of it."""
        return f"{self._pointer}/{escaped(name)}{below}"

    def problem(
        self, name: str, rule: str, message: str, *, below: str = "", caret: str | None = None
    ) -> None:
        """Note a problem of a member, or of a part of it."""
        self.note(Problem(pointer=self.pointer_to(name, below), rule=rule, message=message, caret=caret))

    def note(self, problem: Problem) -> None:
        """Note a problem whose pointer starts at the whole document."""
        # A value that is not an object has no members, so nothing in it can be missing or unknown.
        if self._is_object:
            self._notes.problems.add(problem)

    def note_all(self, problems: Iterable[Problem]) -> None:
        """Note problems whose pointers start at the whole document, one by one until there are enough."""
        self._notes.problems.take(problems)

    def later(self, check: Callable[[], None]) -> None:
        """Postpone a check until everything has been read."""
        self._notes.checks.append(check)

    def has(self, name: str) -> bool:
        """Return whether a member is given."""
        return self._members.get(name) is not None

    def require(self, name: str) -> None:
        """Note that a member is missing if it is not given."""
        if not self.has(name):
            self.problem(name, "required", "is required")

    def raw(self, name: str) -> Json:
        """Return a member as it was sent, unchecked."""
        return self._members.get(name)

    def text(self, name: str) -> str:
        """Return a text that is required or has a default; empty if it is missing."""
        return self.optional_text(name) or ""

    def optional_text(self, name: str) -> str | None:
        """Return a text, or None."""
        value = self._value(name)
        return value if isinstance(value, str) else None

    def reference(self, name: str, known: Container[str], missing: str) -> str:
        """Return a required key of another part. If it is not in ``known``, the problem is ``missing`` and the key."""
        return self.optional_reference(name, known, missing) or ""

    def optional_reference(self, name: str, known: Container[str], missing: str) -> str | None:
        """Return a key of another part, or None; otherwise like ``reference``."""
        key = self.optional_text(name)
        if key is not None and key not in known:
            self.problem(name, "reference", f"{missing} {key!r}")
        return key

    def flag(self, name: str) -> bool:
        """Return a boolean."""
        return self._value(name) is True

    def optional_flag(self, name: str) -> bool | None:
        """Return a boolean, or None."""
        value = self._value(name)
        return value if isinstance(value, bool) else None

    def flag_may_be_set(self, name: str) -> bool:
        """Return whether a boolean is true, or is not a boolean."""
        return self.flag(name) or name in self._faulty

    def whole(self, name: str) -> int:
        """Return a whole number that is required or has a default; 0 if it is missing."""
        return self.optional_whole(name) or 0

    def optional_whole(self, name: str) -> int | None:
        """Return a whole number, or None."""
        value = self._value(name)
        return None if value is None else int(value)

    def wholes(self, name: str) -> tuple[int, ...]:
        """Return a list of whole numbers; empty if it is missing or wrong."""
        value = self._value(name)
        return () if value is None else tuple(int(number) for number in value)

    def names(self, name: str) -> tuple[str, ...]:
        """Return a list of names; empty if it is missing or wrong."""
        return tuple(self._value(name) or ())

    def times_of_day(self, name: str) -> tuple[time, ...]:
        """Return a list of local times, sorted; empty if it is missing or wrong."""
        return tuple(sorted(time.fromisoformat(text) for text in self._value(name) or ()))

    def choice(self, name: str, choices: type[E]) -> E:
        """Return a choice that is required or has a default; the first one if it is missing."""
        value = self._value(name)
        return next(iter(choices)) if value is None else choices(value)

    def optional_choices(self, name: str, choices: type[E]) -> frozenset[E] | None:
        """Return a list of choices, or None if it is missing or wrong."""
        value = self._value(name)
        return None if value is None else frozenset(choices(entry) for entry in value)

    def dates(self, name: str) -> frozenset[date]:
        """Return a list of plain dates; empty if it is missing or wrong."""
        return frozenset(date.fromisoformat(entry) for entry in self._value(name) or ())

    def part(self, name: str, read: Callable[["Reader"], T]) -> T | None:
        """Return a nested object as ``read`` returns it, or None."""
        value = self._members.get(name)
        return None if value is None else self._nested(value, name, "", read)

    def parts(self, name: str, read: Callable[["Reader"], T]) -> tuple[T, ...]:
        """Return the objects of a list as ``read`` returns them."""
        entries = enumerate(self._entries(name))
        return tuple(self._nested(entry, name, f"/{index}", read) for index, entry in entries)

    def keys(self, name: str) -> dict[str, int]:
        """Return the keys of a list's entries, each with its first position, even of faulty entries."""
        positions: dict[str, int] = {}
        for index, key in enumerate(keys_of(self._entries(name), self._shape.fields[name].unique)):
            positions.setdefault(key, index)
        positions.pop("", None)
        return positions

    def texts(self, name: str) -> dict[str, str]:
        """Return an object of texts."""
        members = self._members.get(name)
        if not isinstance(members, Mapping):
            return {}
        return {key: value for key, value in members.items() if isinstance(value, str)}

    def json(self, name: str) -> Mapping[str, Json] | None:
        """Return an object of any content as it was sent, or None."""
        value = self._members.get(name)
        return value if isinstance(value, Mapping) else None

    def finish(self) -> None:
        """Check the rules between members, after all have been read."""
        shape = self._shape
        if shape.any_of and not any(self.has(name) for name in shape.any_of):
            self.problem(shape.any_of[0], "required", shape.needs)
        for name, beside, message in shape.exclusive:
            if self.has(name) and self.has(beside):
                self.problem(name, "exclusive", message)

    def _check_form(self) -> None:
        fields = self._shape.fields
        for name, value in self._members.items():
            if value is None:
                continue
            field = fields.get(name)
            if field is None:
                self.problem(name, "unknown-field", "is not a known field")
                continue
            for fault in faults_of(field, value):
                self._faulty.add(name)
                self.problem(name, fault.rule, fault.message, below=fault.below)
        for name in self._shape.required:
            if not self.has(name):
                has_entries = fields[name].kind is Kind.PARTS
                self.problem(
                    name, "required", "must hold at least one entry" if has_entries else "is required"
                )

    def _entries(self, name: str) -> list[Json]:
        value = self._members.get(name)
        return value if isinstance(value, list) else []

    def _value(self, name: str) -> Json:
        """Return a member without parts, or its default if it is absent or wrong. The name must be declared."""
        value = self._members.get(name)
        if value is None or name in self._faulty:
            return self._shape.fields[name].default
        return value

    def _nested(self, value: Json, name: str, below: str, read: Callable[["Reader"], T]) -> T:
        reader = Reader(value, self.pointer_to(name, below), self._notes, self._shape.fields[name].shape)
        result = read(reader)
        reader.finish()
        return result
