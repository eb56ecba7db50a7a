"""The members that a schema allows at its root. Source: RFC 8927 section 2.2; JSON Schema 2020-12 section 10.3.2."""

from collections.abc import Iterator, Mapping

from shared.domain.validation.schema import is_json_schema


def closed_members(schema: object) -> frozenset[str] | None:
    """Return the names of the members that an object may have, or None if it may have others.

    The schema must be valid. None is also returned for forms of which the names are not known for certain.
    """
    if not isinstance(schema, Mapping):
        return None
    return _of_json_schema(schema) if is_json_schema(schema) else _of_jtd(schema, schema)


def _of_json_schema(schema: Mapping[str, object]) -> frozenset[str] | None:
    properties = schema.get("properties", {})
    is_closed = schema.get("additionalProperties") is False and "patternProperties" not in schema
    return frozenset(properties) if is_closed and isinstance(properties, Mapping) else None


def _of_jtd(schema: Mapping[str, object], root: Mapping[str, object]) -> frozenset[str] | None:
    definitions = root.get("definitions")
    if "ref" in schema and isinstance(definitions, Mapping):
        named = definitions.get(schema["ref"])
        # A valid schema has no chain of references that ends nowhere, but it may have a circle.
        return _of_properties(named) if isinstance(named, Mapping) else None
    if "discriminator" in schema and isinstance(schema.get("mapping"), Mapping):
        return _of_mapping(schema)
    return _of_properties(schema)


def _of_mapping(schema: Mapping[str, object]) -> frozenset[str] | None:
    mapping = schema["mapping"]
    forms = [_of_properties(form) for form in mapping.values()] if isinstance(mapping, Mapping) else [None]
    names = [form for form in forms if form is not None]
    return frozenset({str(schema["discriminator"])}).union(*names) if len(names) == len(forms) else None


def _of_properties(schema: object) -> frozenset[str] | None:
    if not isinstance(schema, Mapping) or schema.get("additionalProperties") is True:
        return None
    if not {"properties", "optionalProperties"} & schema.keys():
        return None
    return frozenset(_names(schema))


def _names(schema: Mapping[str, object]) -> Iterator[str]:
    for member in ("properties", "optionalProperties"):
        properties = schema.get(member)
        yield from properties if isinstance(properties, Mapping) else ()
