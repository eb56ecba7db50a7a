"""The cost of validating a value by a JSON Schema, counted without validating it.

The library follows every path through a schema, and paths multiply: two references to a definition that has two
references, definitions that refer to each other, or an unevaluated keyword inside another. A schema of ten lines can
keep it busy for hours. Here each part of the schema is counted once for each part of the value, so counting is cheap.
Source: docs/contracts/core.md section 4 (1); the limits are ours.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import product
from typing import Any, Final, TypeAlias
from urllib.parse import unquote

MAX_WORK: Final = 1_000_000
"""The most work of one validation. A unit is a check of a part of a schema against a part of a value.

It takes 20 to 50 ns, so the most work takes less than 0.1 s; the worst kind, comparing fractions, 2 s.
"""

MAX_COUNTED: Final = 100_000
"""The most pairs of a part of a schema and a part of a value that are counted, which takes about 0.2 s and 20 MB."""

_MAX_PATH_LENGTH: Final = 300
_TIMES_FOR_UNEVALUATED: Final = 3  # measured: 2.7 times the work of the other keywords beside it
_MULTIPLYING: Final = ("$ref", "$dynamicRef", "unevaluatedProperties", "unevaluatedItems")
DATA: Final = ("const", "enum", "default", "examples")
"""The keywords with plain data, in which nothing is a schema."""

_ONE_ON_THE_VALUE: Final = ("not", "if", "then", "else")
_MANY_ON_THE_VALUE: Final = ("allOf", "anyOf", "oneOf", "dependentSchemas")
_BYTES_OF_A_UNIT: Final = 64  # a message that quotes the schema takes about one unit for so many bytes
_FOR_A_MATCH: Final = 20  # each name is matched with each pattern, here and by the library
_FOR_A_FRACTION: Final = 20  # measured: comparing with 0.1, or dividing by it, takes up to 1.6 us

_Pairs: TypeAlias = Iterator[tuple[object, object]]


def is_cheap(schema: str, value: str) -> bool:
    """Return whether a validation is little work however the parts meet. Both are JSON texts."""
    if any(f'"{keyword}"' in schema for keyword in _MULTIPLYING):
        return False
    # A part takes two bytes or more. Without references, every part meets every part once at most.
    return len(schema) * len(value) // 4 <= MAX_WORK // _FOR_A_FRACTION


def multiplies(keyword: str) -> bool:
    """Return whether a keyword can multiply work."""
    return keyword in _MULTIPLYING


def keywords(schema: object, place: str = "") -> Iterator[tuple[str, object, str, object]]:
    """Yield every member of a schema and of its parts, except plain data: place, owner, name, value."""
    if isinstance(schema, list):
        for index, part in enumerate(schema):
            yield from keywords(part, f"{place}/{index}")
    elif isinstance(schema, dict):
        for name, part in schema.items():
            if name not in DATA:
                below = f"{place}/{name.replace('~', '~0').replace('/', '~1')}"
                yield below, schema, name, part
                yield from keywords(part, below)


def patterns(schema: object) -> int:
    """Return an upper bound of the number of patterns in a schema."""
    count = 0
    for _, _, keyword, value in keywords(schema):
        if keyword == "patternProperties" and isinstance(value, dict):
            count += len(value)
        elif keyword == "pattern":
            # A property of this name is counted too: a bound that is too high only shrinks each pattern's share.
            count += 1
    return count


def members(value: object) -> Iterable[object]:
    """Return the values directly inside a JSON value."""
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


class Work:
    """Counts the work of checking values by parts of one schema, up to ``MAX_WORK``.

    ``cost`` is that of a keyword: of checking by it, or of quoting its value in an error.
    """

    def __init__(
        self,
        schema: dict[str, Any],
        matches: Callable[[str, str], bool],
        *,
        cost: "Callable[[str, object], int]",
    ) -> None:
        self._schema = schema
        self._cost = cost
        self._matches = matches
        self._counted: dict[tuple[int, int], int] = {}
        self._own: dict[int, int] = {}
        self._named: dict[str, list[object]] = {}
        for _, owner, keyword, name in keywords(schema):
            if keyword in ("$anchor", "$dynamicAnchor") and isinstance(name, str):
                self._named.setdefault(name, []).append(owner)

    def of(self, schema: object, value: object, depth: int = 0) -> int:
        """Return the work of checking a value and its parts by a part of the schema.

        ``MAX_WORK`` means at least that much: an endless path, or a path of more than 300 steps, counts as this. If
        the value is None, only work is counted that does not depend on the value's parts.
        """
        if not isinstance(schema, dict):
            return 1
        key = id(schema), id(value)
        if key not in self._counted:
            # Until it is known: a part that meets itself again has no end.
            self._counted[key] = MAX_WORK
            if depth < _MAX_PATH_LENGTH and len(self._counted) < MAX_COUNTED:
                self._counted[key] = min(self._sum(schema, value, depth + 1), MAX_WORK)
        return self._counted[key]

    def _sum(self, schema: dict[str, Any], value: object, depth: int) -> int:
        beside = _TIMES_FOR_UNEVALUATED if any(name.startswith("unevaluated") for name in schema) else 1
        total = self._of_keywords(schema)
        if isinstance(value, dict) and not _NAMING.isdisjoint(schema):
            total += sum(1 + len(name) // _BYTES_OF_A_UNIT for name in value)
            total += _FOR_A_MATCH * len(schema.get("patternProperties", {})) * len(value)
            if total >= MAX_WORK:
                return total
        for part in self._on_the_value(schema):
            total += beside * self.of(part, value, depth)
            if total >= MAX_WORK:
                return total
        for part, inner in self._inside(schema, value):
            total += self.of(part, inner, depth)
            if total >= MAX_WORK:
                return total
        return total

    def _of_keywords(self, schema: dict[str, Any]) -> int:
        """Return the work of the schema's own keywords, without its parts, once a value meets it."""
        own = self._own.get(id(schema))
        if own is None:
            own = 1 + sum(self._cost(keyword, schema[keyword]) for keyword in schema if keyword in _COMPARING)
            self._own[id(schema)] = own
        return own

    def _on_the_value(self, schema: dict[str, Any]) -> Iterator[object]:
        for keyword, part in schema.items():
            if keyword in _ONE_ON_THE_VALUE:
                yield part
            elif keyword in _MANY_ON_THE_VALUE:
                yield from members(part)
            elif keyword in ("$ref", "$dynamicRef"):
                yield from self._targets(str(part))

    def _inside(self, schema: dict[str, Any], value: object) -> _Pairs:
        if isinstance(value, dict):
            for name, inner in value.items():
                yield from product(self._of_member(schema, name), (inner,))
            yield from product([schema[word] for word in ("propertyNames",) if word in schema], value)
        elif isinstance(value, list):
            first = schema.get("prefixItems", [])
            yield from zip(first, value, strict=False)
            rest = [schema[word] for word in ("items", "unevaluatedItems") if word in schema]
            yield from product(rest, value[len(first) :])
            yield from product([schema[word] for word in ("contains",) if word in schema], value)

    def _of_member(self, schema: dict[str, Any], name: str) -> list[object]:
        properties, others = schema.get("properties", {}), ("additionalProperties", "unevaluatedProperties")
        named = [properties[name]] if name in properties else []
        by_pattern = schema.get("patternProperties", {}).items()
        named += [part for pattern, part in by_pattern if self._matches(pattern, name)]
        return named or [schema[word] for word in others if word in schema]

    def _targets(self, reference: str) -> Iterator[object]:
        """Yield the possible targets of a reference: the place it points to, or every part with its anchor."""
        pointer = unquote(reference).removeprefix("#")
        if pointer and not pointer.startswith("/"):
            yield from self._named.get(pointer, ())
            return
        part: Any = self._schema
        for token in pointer.split("/")[1:]:
            name = token.replace("~1", "/").replace("~0", "~")
            if isinstance(part, list) and name.isdecimal() and int(name) < len(part):
                part = part[int(name)]
            else:
                part = part.get(name) if isinstance(part, dict) else None
        yield part


_NAMING: Final = frozenset(
    {"additionalProperties", "unevaluatedProperties", "propertyNames", "patternProperties"}
)
_COMPARING: Final = frozenset({"enum", "const", "required", "pattern", "multipleOf", "dependentRequired"})


def of_checking(keyword: str, value: object) -> int:
    """Return the work of checking a value by a keyword."""
    if keyword == "multipleOf":
        return _FOR_A_FRACTION
    if (
        keyword == "enum"
        and isinstance(value, list)
        and all(isinstance(one, str | int | None) for one in value)
    ):
        # The library looks such values up in a table.
        return 1
    return of_quoting(keyword, value)


def of_quoting(keyword: str, value: object) -> int:  # noqa: ARG001 - a cost like the other
    """Return the work of an error that quotes a keyword's value."""
    return _of_data(value)


def _of_data(value: object) -> int:
    """Return the work of comparing with a value, or of quoting it."""
    if isinstance(value, str):
        return 1 + len(value) // _BYTES_OF_A_UNIT
    if isinstance(value, float):
        return _FOR_A_FRACTION
    if isinstance(value, dict):
        return 4 + sum(1 + _of_data(part) + len(name) // _BYTES_OF_A_UNIT for name, part in value.items())
    if isinstance(value, list):
        return 4 + sum(map(_of_data, value))
    return 1
