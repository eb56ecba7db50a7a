"""JSON Schemas for the OpenAPI documents: derived from the types of answers, or written with helpers."""

from collections.abc import Iterable, Sequence
from enum import Enum
from types import ModuleType, NoneType, UnionType
from typing import (
    Annotated,
    Any,
    Literal,
    NotRequired,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

from shared.api.http.shapes import Keywords

Json = dict[str, Any]

TEXT: Json = {"type": "string"}
SCHEMAS_AT = "#/components/schemas/"
"""The place of named schemas in the document."""
NAMED = "Shape"
_TYPES = {str: "string", int: "integer", float: "number", bool: "boolean", dict: "object", NoneType: "null"}


def ref(name: str) -> Json:
    """Return a reference to a named schema."""
    return {"$ref": f"{SCHEMAS_AT}{name}"}


def list_of(items: Json) -> Json:
    """Return the schema of a list."""
    return {"type": "array", "items": items}


def one_of(values: Iterable[Any]) -> Json:
    """Return the schema of these values, or members of an enumeration."""
    return {"enum": [value.value if isinstance(value, Enum) else value for value in values]}


def object_of(required: Json, **optional: Json) -> Json:
    """Return the schema of an object with these members and no others."""
    return {**open_object_of(required, **optional), "additionalProperties": False}


def open_object_of(required: Json, **optional: Json) -> Json:
    """Return the schema of an object that may hold other members too."""
    return {"type": "object", "properties": required | optional, "required": list(required)}


class AnswerSchemas:
    """The schemas of the answers that a module declares.

    A type whose name ends in ``Shape`` is a schema of its own, named without the suffix. All others are written in
    place.
    """

    def __init__(self, module: ModuleType) -> None:
        self._names = {
            declared: name.removesuffix(NAMED)
            for name, declared in vars(module).items()
            if name.endswith(NAMED)
        }

    def named(self) -> Json:
        """Return every named schema."""
        return {name: self._schema(declared) for declared, name in self._names.items()}

    def name_of(self, declared: Any) -> str:  # noqa: ANN401 - any type
        """Return the name of the schema of a type. Raises: KeyError: if it has none."""
        return self._names[declared]

    def schema_of(self, declared: Any) -> Json:  # noqa: ANN401 - any type
        """Return a reference to the schema of a type if it has a name, else the schema."""
        # A list is written in place even if an answer with the same type has a name.
        is_named = declared in self._names and get_origin(declared) is not list
        return ref(self._names[declared]) if is_named else self._schema(declared)

    def _schema(self, declared: Any) -> Json:  # noqa: ANN401, PLR0911 - any type; a return for each kind of type
        origin, arguments = get_origin(declared), get_args(declared)
        if is_typeddict(origin or declared):
            return self._object(origin or declared, arguments)
        if origin is Annotated:
            return self._annotated(*arguments)
        if origin in (Union, UnionType):
            return self._union([self.schema_of(argument) for argument in arguments])
        if declared is Any or origin is list:
            return {} if declared is Any else list_of(self.schema_of(arguments[0]))
        if origin is Literal:
            return one_of(arguments) if len(arguments) > 1 else {"const": arguments[0]}
        if origin is dict:
            values = self.schema_of(arguments[1])
            return {"type": "object"} | ({"additionalProperties": values} if values else {})
        return one_of(declared) if issubclass(declared, Enum) else {"type": _TYPES[declared]}

    def _object(self, declared: Any, arguments: tuple[Any, ...]) -> Json:  # noqa: ANN401 - any type
        required, optional = {}, {}
        for name, hint in get_type_hints(declared, include_extras=True).items():
            # A generic object has the type of its items as argument: list[T][StrategyShape].
            member = hint[arguments] if getattr(hint, "__parameters__", ()) else hint
            if get_origin(member) is NotRequired:
                optional[name] = self.schema_of(_without_none(get_args(member)[0]))
            else:
                required[name] = self.schema_of(member)
        return object_of(required, **optional)

    def _annotated(self, declared: Any, *metadata: Any) -> Json:  # noqa: ANN401 - any type
        schema = self.schema_of(declared)
        for item in metadata:
            match item:
                case str():
                    schema = schema | {"description": item}
                case Keywords(schema=keywords):
                    # Values that are listed need no type.
                    schema = {**({} if "enum" in keywords else schema), **keywords}
                case _:
                    schema = {name: value for name, value in schema.items() if name != "additionalProperties"}
        return schema

    def _union(self, schemas: Sequence[Json]) -> Json:
        if all("$ref" in schema for schema in schemas):
            return {"oneOf": list(schemas)}
        merged = {name: value for schema in schemas for name, value in schema.items()}
        return merged | {"type": [schema["type"] for schema in schemas]}


def _without_none(declared: Any) -> Any:  # noqa: ANN401 - any type
    """Return the type of a member that is left out if it is None."""
    if get_origin(declared) not in (Union, UnionType):
        return declared
    return Union[tuple(kind for kind in get_args(declared) if kind is not NoneType)]  # noqa: UP007 - made at run time
