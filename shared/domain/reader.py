"""Reading a JSON document into values, with every problem told at once.

A ``Reader`` stands at one place of the document. It never raises: what is wrong is noted with its JSON
pointer and a harmless stand-in is answered, so that reading goes on and the other problems are found too.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

from shared.domain.errors import Problem
from shared.domain.jtd_form import escaped
from shared.domain.strategy import Json

T = TypeVar("T")


class Reader:
    """One place of a document: a value that should be an object, its pointer, and the problems so far."""

    def __init__(self, value: Json, pointer: str, problems: list[Problem]) -> None:
        self.pointer = pointer
        self.problems = problems
        self._seen: set[str] = set()
        self._members: Mapping[str, Json] = value if isinstance(value, Mapping) else {}
        if not isinstance(value, Mapping):
            self._note(pointer, "type", "must be an object")
            self._members = {}

    def at(self, name: str) -> str:
        """The pointer of one of its members."""
        return f"{self.pointer}/{escaped(name)}"

    def problem(self, name: str, rule: str, message: str) -> None:
        """Note that something is wrong with a member."""
        self._note(self.at(name), rule, message)

    def has(self, name: str) -> bool:
        """Whether a member is given and not null."""
        return self._members.get(name) is not None

    def take(self, name: str) -> Json:
        """A member as it is, or None."""
        self._seen.add(name)
        return self._members.get(name)

    def text(self, name: str, *, longest: int = 4096) -> str:
        """A required text that is not empty."""
        value = self.optional_text(name, longest=longest)
        if value is None and not self.has(name):
            self.problem(name, "required", "is required")
        if value == "":
            self.problem(name, "empty", "must not be empty")
        return value or ""

    def optional_text(self, name: str, *, longest: int = 4096) -> str | None:
        """A text, or None."""
        value = self.take(name)
        if value is None:
            return None
        if not isinstance(value, str):
            self.problem(name, "type", "must be a string")
            return None
        if len(value) > longest:
            self.problem(name, "too-long", f"must have at most {longest} characters")
        return value

    def flag(self, name: str) -> bool:
        """A boolean; False where it is not given."""
        value = self.take(name)
        if value is not None and not isinstance(value, bool):
            self.problem(name, "type", "must be true or false")
            return False
        return bool(value)

    def whole(self, name: str, low: int, high: int) -> int | None:
        """A whole number within bounds, or None."""
        value = self.take(name)
        if value is None:
            return None
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            self.problem(name, "type", "must be a whole number")
            return None
        if not low <= value <= high:
            self.problem(name, "range", f"must be between {low} and {high}")
            return None
        return value

    def choice(self, name: str, choices: type[T], *, default: T | None = None) -> T | None:
        """One of an enumeration's values, or the default."""
        value = self.take(name)
        if value is None:
            return default
        try:
            return choices(value)  # type: ignore[call-arg]
        except ValueError:
            allowed = ", ".join(str(member) for member in choices)  # type: ignore[attr-defined]
            self.problem(name, "enum", f"must be one of {allowed}")
            return default

    def one(self, name: str, read: Callable[["Reader"], T]) -> T | None:
        """A nested object, or None."""
        value = self.take(name)
        if value is None:
            return None
        reader = Reader(value, self.at(name), self.problems)
        result = read(reader)
        reader.finish()
        return result

    def required(self, name: str, read: Callable[["Reader"], T]) -> T | None:
        """A nested object that must be given."""
        if not self.has(name):
            self.problem(name, "required", "is required")
        return self.one(name, read)

    def many(self, name: str, read: Callable[["Reader"], T], *, required: bool = False) -> tuple[T, ...]:
        """A list of objects; with ``required``, given and not empty."""
        value = self.take(name)
        if value is None or value == []:
            if required:
                self.problem(name, "required", "must hold at least one entry")
            return ()
        if not isinstance(value, list):
            self.problem(name, "type", "must be a list")
            return ()
        return tuple(self._entry(name, index, entry, read) for index, entry in enumerate(value))

    def texts(self, name: str) -> dict[str, str]:
        """A map whose values are texts."""
        value = self.take(name)
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            self.problem(name, "type", "must be an object")
            return {}
        for key, entry in value.items():
            if not isinstance(entry, str):
                self._note(f"{self.at(name)}/{escaped(key)}", "type", "must be a string")
        return {key: entry for key, entry in value.items() if isinstance(entry, str)}

    def finish(self) -> None:
        """Note every member that nobody asked for."""
        for name in self._members:
            if name not in self._seen:
                self.problem(name, "unknown-field", "is not a known field")

    def _entry(self, name: str, index: int, entry: Json, read: Callable[["Reader"], T]) -> T:
        reader = Reader(entry, f"{self.at(name)}/{index}", self.problems)
        result = read(reader)
        reader.finish()
        return result

    def _note(self, pointer: str, rule: str, message: str) -> None:
        self.problems.append(Problem(pointer=pointer, rule=rule, message=message))


def schema_or_callback(value: Json) -> Json:
    """A validation given as JSON text as the schema it is; any other text, or value, as it stands."""
    if not isinstance(value, str):
        return value
    try:
        parsed = json.loads(value)
    except ValueError:
        return value
    return parsed if isinstance(parsed, Mapping) else value


def repeated(keys: Iterator[str] | list[str]) -> list[int]:
    """The positions of keys that an earlier one equals."""
    seen: set[str] = set()
    doubled = []
    for index, key in enumerate(keys):
        if key and key in seen:
            doubled.append(index)
        seen.add(key)
    return doubled
