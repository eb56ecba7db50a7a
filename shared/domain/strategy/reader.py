"""Reading a JSON document into values, with every problem told at once.

A ``Reader`` stands at one object of the document. It never raises: what is wrong is noted with its JSON
pointer and a harmless stand-in is answered, so that reading goes on and the other problems are found too.
A null member counts as absent.
"""

from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar

from shared.domain.errors import Problem
from shared.domain.strategy.model import Json
from shared.domain.validation.jtd_schema import escaped

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)

LONGEST_TEXT = 4096
LONGEST_KEY = 100


@dataclass(frozen=True, slots=True)
class Notes:
    """What reading came upon: problems, and checks left for later.

    checks: what takes its time or needs the whole document; each notes its own problems. A document that was
    checked when it was stored is read without them.
    """

    problems: list[Problem] = field(default_factory=list)
    checks: list[Callable[[], None]] = field(default_factory=list)

    def settle(self) -> tuple[Problem, ...]:
        """Every problem, those of the checks included, sorted by pointer."""
        for check in self.checks:
            check()
        return tuple(sorted(self.problems, key=lambda problem: problem.pointer))


class Reader:
    """One place of a document: a value that should be an object, its pointer, and the notes so far.

    Of a value that is no object only that is told; its members are neither missing nor unknown.
    """

    def __init__(self, value: Json, pointer: str, notes: Notes) -> None:
        self._pointer = pointer
        self._notes = notes
        self._asked: set[str] = set()
        self._is_object = isinstance(value, Mapping)
        self._members: Mapping[str, Json] = value if isinstance(value, Mapping) else {}
        if not self._is_object:
            notes.problems.append(Problem(pointer=pointer, rule="type", message="must be an object"))

    def at(self, name: str, below: str = "") -> str:
        """The pointer of one of its members, or of a place below that."""
        return f"{self._pointer}/{escaped(name)}{below}"

    def problem(
        self, name: str, rule: str, message: str, *, below: str = "", caret: str | None = None
    ) -> None:
        """Note that something is wrong with a member, or at a place below it."""
        self.note(Problem(pointer=self.at(name, below), rule=rule, message=message, caret=caret))

    def note(self, problem: Problem) -> None:
        """Note a problem whose pointer is that of the whole document."""
        if self._is_object:
            self._notes.problems.append(problem)

    def later(self, check: Callable[[], None]) -> None:
        """Leave a check until everything has been read."""
        self._notes.checks.append(check)

    @property
    def told(self) -> int:
        """How many problems have been noted so far, wherever."""
        return len(self._notes.problems)

    def has(self, name: str) -> bool:
        """Whether a member is given."""
        return self._members.get(name) is not None

    def take(self, name: str, *, required: bool = False) -> Json:
        """A member as it is, or None."""
        self._asked.add(name)
        if required and not self.has(name):
            self.problem(name, "required", "is required")
        return self._members.get(name)

    def take_object(self, name: str) -> Mapping[str, Json] | None:
        """A member that is an object, as it is, or None."""
        value = self.take(name)
        if value is None or isinstance(value, Mapping):
            return value
        self.problem(name, "type", "must be an object")
        return None

    def key(self, name: str = "key") -> str:
        """A required name of something."""
        return self.text(name, longest=LONGEST_KEY)

    def text(self, name: str, *, longest: int = LONGEST_TEXT) -> str:
        """A required text; empty where there is none."""
        self.take(name, required=True)
        return self.optional_text(name, longest=longest) or ""

    def optional_text(
        self, name: str, *, longest: int = LONGEST_TEXT, may_be_empty: bool = False
    ) -> str | None:
        """A text, or None."""
        value = self.take(name)
        if value is None:
            return None
        if not isinstance(value, str):
            self.problem(name, "type", "must be a string")
        elif not value and not may_be_empty:
            self.problem(name, "empty", "must not be empty")
        elif len(value) > longest:
            self.problem(name, "too-long", f"must have at most {longest} characters")
        else:
            return value
        return None

    def reference(self, name: str, known: Container[str], missing: str) -> str:
        """A required key of what there is; ``missing`` is said, with the key, where there is not."""
        self.take(name, required=True)
        return self.optional_reference(name, known, missing) or ""

    def optional_reference(self, name: str, known: Container[str], missing: str) -> str | None:
        """A key of something that there is, or None; ``missing`` as above."""
        key = self.optional_text(name, longest=LONGEST_KEY)
        if key is not None and key not in known:
            self.problem(name, "reference", f"{missing} {key!r}")
        return key

    def flag(self, name: str) -> bool:
        """A boolean; False where it is not given."""
        value = self.take(name)
        if value is not None and not isinstance(value, bool):
            self.problem(name, "type", "must be true or false")
        return value is True

    def whole(self, name: str, low: int, high: int, *, required: bool = False) -> int | None:
        """A whole number within bounds, or None. 3.0 is one."""
        value = self.take(name, required=required)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or value != value // 1:
            self.problem(name, "type", "must be a whole number")
        elif not low <= value <= high:
            self.problem(name, "range", f"must be between {low} and {high}")
        else:
            return int(value)
        return None

    def choice(self, name: str, choices: type[E], *, required: bool = False) -> E | None:
        """One of an enumeration's values, or None."""
        value = self.take(name, required=required)
        if value is None:
            return None
        for choice in choices:
            if value == choice.value:
                return choice
        self.problem(name, "enum", f"must be one of {', '.join(choices)}")
        return None

    def one(self, name: str, read: Callable[["Reader"], T], *, required: bool = False) -> T | None:
        """A nested object, or None."""
        value = self.take(name, required=required)
        return None if value is None else self._nested(value, self.at(name), read)

    def many(
        self,
        name: str,
        read: Callable[["Reader"], T],
        *,
        required: bool = False,
        most: int | None = None,
        unique: str = "key",
    ) -> tuple[T, ...]:
        """A list of objects, each at its position.

        required: given and not empty. most: so many entries at most.
        unique: the member that no two entries may have alike.
        """
        entries = self._entries(name)
        if required and self.take(name) in (None, []):
            self.problem(name, "required", "must hold at least one entry")
        if most is not None and len(entries) > most:
            self.problem(name, "too-many", f"must hold at most {most} entries")
        seen: set[str] = set()
        for index, key in enumerate(_keys(entries, unique)):
            if key in seen:
                message = f"{key!r} is given more than once"
                self.problem(name, "repeated-key", message, below=f"/{index}/{unique}")
            seen |= {key} if key else set()
        return tuple(
            self._nested(entry, self.at(name, f"/{index}"), read) for index, entry in enumerate(entries)
        )

    def keys(self, name: str) -> dict[str, int]:
        """The keys of a list's entries, each with the position it has first; whatever else is wrong."""
        value = self._members.get(name)
        found: dict[str, int] = {}
        for index, key in enumerate(_keys(value if isinstance(value, list) else [], "key")):
            found.setdefault(key, index)
        found.pop("", None)
        return found

    def texts(self, name: str) -> dict[str, str]:
        """A map whose values are texts."""
        members = self.take_object(name) or {}
        for key, value in members.items():
            if value is not None and not isinstance(value, str):
                self.problem(name, "type", "must be a string", below=f"/{escaped(key)}")
        return {key: value for key, value in members.items() if isinstance(value, str)}

    def finish(self) -> None:
        """Note every member that nobody asked for."""
        for name in self._members:
            if name not in self._asked and self.has(name):
                self.problem(name, "unknown-field", "is not a known field")

    def _entries(self, name: str) -> list[Json]:
        value = self.take(name)
        if value is None or isinstance(value, list):
            return value or []
        self.problem(name, "type", "must be a list")
        return []

    def _nested(self, value: Json, pointer: str, read: Callable[["Reader"], T]) -> T:
        reader = Reader(value, pointer, self._notes)
        result = read(reader)
        reader.finish()
        return result


def _keys(entries: list[Json], name: str) -> list[str]:
    """What identifies each entry; empty where it has nothing that could."""
    keys = [entry.get(name) if isinstance(entry, Mapping) else None for entry in entries]
    return [key if isinstance(key, str) else "" for key in keys]
