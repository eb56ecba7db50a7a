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

MAX_MEETINGS: Final = 1_000_000
"""The most checks of a part of a schema against a part of a value; they take about 20 ms."""

_MAX_PATH_LENGTH: Final = 300
_TIMES_FOR_UNEVALUATED: Final = 3  # measured: 2.7 times the work of the other keywords beside it
_MULTIPLYING: Final = ('"$ref"', '"$dynamicRef"', '"unevaluatedProperties"', '"unevaluatedItems"')
_DATA: Final = ("const", "enum", "default", "examples")
_ONE_ON_THE_VALUE: Final = ("not", "if", "then", "else")
_MANY_ON_THE_VALUE: Final = ("allOf", "anyOf", "oneOf", "dependentSchemas")

_Pairs: TypeAlias = Iterator[tuple[object, object]]


def multiplies(text: str) -> bool:
    """Return whether a schema, as JSON text, has a keyword that can multiply work."""
    return any(keyword in text for keyword in _MULTIPLYING)


def keywords(schema: object, place: str = "") -> Iterator[tuple[str, object, str, object]]:
    """Yield every member of a schema and of its parts, except plain data: place, owner, name, value."""
    if isinstance(schema, list):
        for index, part in enumerate(schema):
            yield from keywords(part, f"{place}/{index}")
    elif isinstance(schema, dict):
        for name, part in schema.items():
            if name not in _DATA:
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
    """Counts the checks of parts of one schema against parts of values, up to ``MAX_MEETINGS``."""

    def __init__(self, schema: dict[str, Any], matches: Callable[[str, str], bool]) -> None:
        self._schema = schema
        self._matches = matches
        self._counted: dict[tuple[int, int], int] = {}
        self._named: dict[str, list[object]] = {}
        for _, owner, keyword, name in keywords(schema):
            if keyword in ("$anchor", "$dynamicAnchor") and isinstance(name, str):
                self._named.setdefault(name, []).append(owner)

    def of(self, schema: object, value: object, depth: int = 0) -> int:
        """Return the number of checks of a part of the schema against a value and its parts.

        ``MAX_MEETINGS`` means at least that many: an endless path, or a path of more than 300 steps, counts as this. If
        the value is None, only checks are counted that do not depend on the value's parts.
        """
        if not isinstance(schema, dict):
            return 1
        key = id(schema), id(value)
        if key not in self._counted:
            self._counted[key] = MAX_MEETINGS  # until it is known: a part that meets itself again has no end
            if depth < _MAX_PATH_LENGTH:
                beside = (
                    _TIMES_FOR_UNEVALUATED if any(name.startswith("unevaluated") for name in schema) else 1
                )
                total = 1 + sum(
                    beside * self.of(part, value, depth + 1) for part in self._on_the_value(schema)
                )
                total += sum(self.of(part, inner, depth + 1) for part, inner in self._inside(schema, value))
                self._counted[key] = min(total, MAX_MEETINGS)
        return self._counted[key]

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
