"""Make the JSON Schema of a strategy's settings from their declaration.

A schema cannot express everything: only the reader checks references, reachability, expressions and schemas inside
settings. ``/execution-strategy/validate`` reports these problems.
"""

from math import inf

from shared.api.reference.schemas import Json, list_of, ref
from shared.domain.strategy.settings import SETTINGS
from shared.domain.strategy.shapes import MAX_KEY_LENGTH, TIME_OF_DAY, Field, Kind, Shape, all_shapes

_TYPES = {
    Kind.TEXT: "string",
    Kind.FLAG: "boolean",
    Kind.WHOLE: "integer",
    Kind.CHOICE: "string",
    Kind.TEXTS: "object",
    Kind.JSON: "object",
    Kind.SCHEMA_OR_EXPRESSION: ["object", "string"],
}
_BOUNDS = {
    Kind.TEXT: ("minLength", "maxLength"),
    Kind.WHOLE: ("minimum", "maximum"),
    Kind.PARTS: ("minItems", "maxItems"),
    Kind.SCHEMA_OR_EXPRESSION: ("minLength", "maxLength"),
}


def settings_schemas() -> Json:
    """Return the schema ``Settings`` and those it refers to, by name."""
    return {name: _schema_of_shape(shape) for name, shape in all_shapes(SETTINGS).items()}


def _schema_of_shape(shape: Shape) -> Json:
    schema: Json = {
        "type": "object",
        "description": shape.does,
        "properties": {
            name: _schema_of(field) if field.is_required else _or_null(_schema_of(field))
            for name, field in shape.fields.items()
        },
        "required": list(shape.required),
        "additionalProperties": False,
    }
    if shape.any_of:
        schema["anyOf"] = [{"required": [name]} for name in shape.any_of]
    return schema


def _schema_of(field: Field) -> Json:
    match field.kind:
        case Kind.PART:
            schema = ref(field.shape.name)
        case Kind.PARTS:
            schema = list_of(ref(field.shape.name))
        case Kind.WHOLES:
            schema = list_of({"type": "integer", "minimum": field.low, "maximum": field.high})
            schema |= {"uniqueItems": True}
        case Kind.NAMES | Kind.TIMES | Kind.CHOICES | Kind.DATES:
            schema = list_of({"type": "string"} | _entry(field)) | {"uniqueItems": True}
            schema |= {"minItems": field.low} if field.low else {}
            schema |= {"maxItems": field.high}
        case Kind.TEXTS:
            schema = {"type": "object"} | _members(field)
        case kind:
            schema = {"type": _TYPES[kind]} | ({"pattern": field.pattern} if field.pattern else {})
    if field.kind is Kind.CHOICE:
        schema["enum"] = list(field.choices)
    if field.default is not None:
        schema["default"] = field.default
    return schema | _bounds(field) | {"description": field.does}


def _entry(field: Field) -> Json:
    """Return the constraints on the texts in a list."""
    match field.kind:
        case Kind.TIMES:
            return {"pattern": TIME_OF_DAY}
        case Kind.CHOICES:
            return {"enum": list(field.choices)}
        case Kind.DATES:
            return {"format": "date"}
        case _:
            return {"minLength": 1, "maxLength": MAX_KEY_LENGTH}


def _members(field: Field) -> Json:
    """Return the schema of an object of strings. A null counts as left out."""
    value = {"type": ["string", "null"]}
    if field.pattern is None:
        return {"additionalProperties": value}
    return {"patternProperties": {field.pattern: value}, "additionalProperties": False}


def _bounds(field: Field) -> Json:
    if field.kind not in _BOUNDS:
        return {}
    low, high = _BOUNDS[field.kind]
    has_low = field.low > 0 or field.kind is Kind.WHOLE
    return ({low: field.low} if has_low else {}) | ({} if field.high == inf else {high: field.high})


def _or_null(schema: Json) -> Json:
    """Return the schema of an optional member. A null counts as left out."""
    if "$ref" in schema:
        return {"anyOf": [{"$ref": schema["$ref"]}, {"type": "null"}], "description": schema["description"]}
    types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    nullable = schema | {"type": [*types, "null"]}
    return nullable | {"enum": [*schema["enum"], None]} if "enum" in schema else nullable
