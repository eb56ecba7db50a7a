"""The ``format`` values of a JSON Schema that are checked. Source: JSON Schema 2020-12, Validation, section 7."""

from collections.abc import Iterator

from shared.domain.validation.json_schema import FORMATS
from shared.domain.validation.json_schema_cost import DATA
from shared.domain.validation.pointers import escaped
from shared.domain.validation.schema import is_json_schema

_NAMED = frozenset({"$defs", "dependentSchemas", "patternProperties", "properties"})
"""Keywords whose members are named by the author; a member named ``format`` is a schema there."""


def unchecked_formats(schema: object) -> Iterator[tuple[str, str]]:
    """Return the pointer and the name of each format in a schema that is not checked. JTD has no formats."""
    if is_json_schema(schema):
        yield from _below(schema, "")


def _below(schema: object, pointer: str) -> Iterator[tuple[str, str]]:
    if isinstance(schema, list):
        for index, entry in enumerate(schema):
            yield from _below(entry, f"{pointer}/{index}")
    if not isinstance(schema, dict):
        return
    for name, member in schema.items():
        place = f"{pointer}/{escaped(name)}"
        if name == "format" and isinstance(member, str) and member not in FORMATS:
            yield place, member
        elif name in _NAMED and isinstance(member, dict):
            for key, below in member.items():
                yield from _below(below, f"{place}/{escaped(key)}")
        elif name not in DATA:
            yield from _below(member, place)
