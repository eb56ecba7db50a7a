"""The grammar of JSON Type Definition schemas.

Source: RFC 8927 section 2 (the whole grammar); the limits on depth and loops are ours.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from typing import Final, TypeAlias

from msgspec import Struct

from shared.domain.validation.pointers import escaped

MAX_DEPTH: Final = 32
"""The most levels that schemas may nest, refs may follow each other, and values are checked."""

INTEGERS: Final = {
    "int8": (-(2**7), 2**7 - 1),
    "uint8": (0, 2**8 - 1),
    "int16": (-(2**15), 2**15 - 1),
    "uint16": (0, 2**16 - 1),
    "int32": (-(2**31), 2**31 - 1),
    "uint32": (0, 2**32 - 1),
}
TYPES: Final = ("boolean", "float32", "float64", *INTEGERS, "string", "timestamp")

_FORM_OF: Final = {
    "ref": "ref",
    "type": "type",
    "enum": "enum",
    "elements": "elements",
    "properties": "properties",
    "optionalProperties": "properties",
    "additionalProperties": "properties",
    "values": "values",
    "discriminator": "discriminator",
    "mapping": "discriminator",
}


class JtdError(Struct, frozen=True):
    """One error: the place in the value and in the schema (both RFC 6901 pointers), and the expectation.

    If a schema itself is wrong, ``instance_path`` is ``""``. Source: RFC 8927 section 3.2.
    """

    instance_path: str
    schema_path: str
    message: str


class _Place(Struct, frozen=True, kw_only=True):
    """A member of a schema: its value, its pointer, the definitions that refs may name, and its depth."""

    value: object
    path: str
    names: Mapping[str, object]
    depth: int = 0

    def below(self, key: object, value: object, *, deeper: int = 0) -> "_Place":
        depth = self.depth + deeper
        return _Place(value=value, path=f"{self.path}/{escaped(str(key))}", names=self.names, depth=depth)

    def problem(self, message: str) -> JtdError:
        return JtdError("", self.path, message)


_Problems: TypeAlias = Iterator[JtdError]


def schema_problems(schema: object) -> Iterator[JtdError]:
    """Yield every problem of a value as a schema, in its order.

    Beyond the RFC, two things are refused: refs that lead to themselves without going into the value, because no
    value could be checked by them; and nesting deeper than ``MAX_DEPTH``.
    """
    definitions = schema.get("definitions") if isinstance(schema, dict) else None
    names = definitions if isinstance(definitions, dict) else {}
    return chain(_schema(_Place(value=schema, path="", names=names), root=True), _loops(names))


def _schema(place: _Place, *, root: bool = False) -> _Problems:
    schema = place.value
    if not isinstance(schema, dict):
        yield place.problem("a schema must be an object")
        return
    if place.depth > MAX_DEPTH:
        yield place.problem(f"must nest at most {MAX_DEPTH} levels deep")
        return
    for keyword, value in schema.items():
        member = place.below(keyword, value)
        if keyword == "definitions" and not root:
            yield member.problem("definitions are allowed only in the root schema")
        elif check := _CHECKS.get(keyword):
            yield from check(member)
        else:
            yield member.problem(f"{keyword!r} is not a keyword of JSON Type Definition")
    yield from _together(place, schema)


def _together(place: _Place, schema: Mapping[str, object]) -> _Problems:
    """Yield the problems between the keywords of one schema."""
    forms = sorted({_FORM_OF[keyword] for keyword in schema if keyword in _FORM_OF})
    if len(forms) > 1:
        yield place.problem(f"a schema has one form, this mixes {' and '.join(forms)}")
    if "additionalProperties" in schema and not {"properties", "optionalProperties"} & schema.keys():
        yield place.problem("additionalProperties needs properties or optionalProperties")
    if ("discriminator" in schema) is not ("mapping" in schema):
        yield place.problem("discriminator and mapping must be given together")
    required, optional = schema.get("properties"), schema.get("optionalProperties")
    if isinstance(required, dict) and isinstance(optional, dict):
        for name in required:
            if name in optional:
                duplicate = place.below("optionalProperties", optional).below(name, None)
                yield duplicate.problem(f"{name!r} is in properties as well")
    tag, mapping = schema.get("discriminator"), schema.get("mapping")
    if isinstance(mapping, dict):
        for name, mapped in mapping.items():
            yield from _mapped(place.below("mapping", mapping).below(name, mapped), tag)


def _mapped(place: _Place, tag: object) -> _Problems:
    """Yield the problems of a variant of a tagged union.

    A variant is an object, not nullable, and does not declare the tag.
    """
    if not isinstance(place.value, dict):
        return
    if not {"properties", "optionalProperties"} & place.value.keys():
        yield place.problem("a schema in mapping must be of the properties form")
    if place.value.get("nullable") is True:
        yield place.below("nullable", None).problem("a schema in mapping must not be nullable")
    for keyword in ("properties", "optionalProperties"):
        members = place.value.get(keyword)
        if isinstance(tag, str) and isinstance(members, dict) and tag in members:
            yield (
                place.below(keyword, members)
                .below(tag, None)
                .problem("the discriminator must not be listed again")
            )


def _loops(definitions: Mapping[str, object]) -> _Problems:
    for name in definitions:
        path = [name]
        while (target := _target(definitions.get(path[-1]))) is not None:
            if target == name:
                yield JtdError(
                    "", f"/definitions/{escaped(name)}/ref", f"definition {name!r} refers only to itself"
                )
            elif len(path) == MAX_DEPTH:
                message = f"refs must follow each other at most {MAX_DEPTH} times"
                yield JtdError("", f"/definitions/{escaped(name)}/ref", message)
            elif target not in path:
                path.append(target)
                continue
            break


def _target(definition: object) -> str | None:
    ref = definition.get("ref") if isinstance(definition, dict) else None
    return ref if isinstance(ref, str) else None


def _ref(place: _Place) -> _Problems:
    if not isinstance(place.value, str):
        yield place.problem("ref must be a string")
    elif place.value not in place.names:
        yield place.problem(f"there is no definition {place.value!r}")


def _type(place: _Place) -> _Problems:
    if place.value not in TYPES:
        yield place.problem(f"type must be one of {', '.join(TYPES)}")


def _enum(place: _Place) -> _Problems:
    if (
        not isinstance(place.value, list)
        or not place.value
        or not all(isinstance(text, str) for text in place.value)
    ):
        yield place.problem("enum must be a list of strings with at least one entry")
    elif len(set(place.value)) < len(place.value):
        yield place.problem("enum must not list a string twice")


def _deeper(place: _Place) -> _Problems:
    yield from _schema(_Place(value=place.value, path=place.path, names=place.names, depth=place.depth + 1))


def _schemas(place: _Place) -> _Problems:
    if not isinstance(place.value, dict):
        yield place.problem("must be an object whose members are schemas")
        return
    for name, value in place.value.items():
        yield from _schema(place.below(name, value, deeper=1))


def _boolean(place: _Place) -> _Problems:
    if not isinstance(place.value, bool):
        yield place.problem("must be true or false")


def _string(place: _Place) -> _Problems:
    if not isinstance(place.value, str):
        yield place.problem("must be a string")


def _object(place: _Place) -> _Problems:
    if not isinstance(place.value, dict):
        yield place.problem("must be an object")


_CHECKS: Final[Mapping[str, Callable[[_Place], _Problems]]] = {
    "definitions": _schemas,
    "nullable": _boolean,
    "metadata": _object,
    "ref": _ref,
    "type": _type,
    "enum": _enum,
    "elements": _deeper,
    "properties": _schemas,
    "optionalProperties": _schemas,
    "additionalProperties": _boolean,
    "values": _deeper,
    "discriminator": _string,
    "mapping": _schemas,
}
