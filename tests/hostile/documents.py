"""Schemas and values that are made to cost memory or time, each as large as it may be.

The kinds are those by which JSON Schema and JSON Type Definition multiply: allowed values times given values,
branches times elements, references that meet again, long names over many parts, and large patterns and numbers.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

Json = Any

TEXT = 60_000
"""Characters of a text that makes a schema almost as large as it may be."""


class Hostile(NamedTuple):
    """A schema, and a value to be validated by it."""

    schema: Json
    value: Json = None


def items(schema: Json, **more: Json) -> Json:
    return {"type": "array", "items": schema, **more}


def nested(key: str, levels: int, inner: Json) -> Json:
    for _ in range(levels):
        inner = {key: inner}
    return inner


def doubled(levels: int, keyword: str = "allOf") -> Json:
    """Return a schema whose definitions refer twice to the next one."""
    definitions: Json = {
        f"d{level}": {keyword: [{"$ref": f"#/$defs/d{level + 1}"}] * 2} for level in range(levels)
    }
    return {
        "type": ["array", "object", "string"],
        "$defs": {**definitions, f"d{levels}": {}},
        "$ref": "#/$defs/d0",
    }


def numbers(count: int) -> list[int]:
    return list(range(count))


def texts(count: int, size: int = 0) -> list[str]:
    return [f"{'x' * size}{number}" for number in range(count)]


LONG = "n" * TEXT

CASES: Mapping[str, Callable[[], Hostile]] = {
    # What is allowed times what is given.
    "enum of texts, none fits": lambda: Hostile(items({"enum": texts(7_000)}), ["x"] * 60_000),
    "enum of texts, the last fits": lambda: Hostile(items({"enum": texts(7_000)}), ["6999"] * 30_000),
    "enum of numbers, none fits": lambda: Hostile(items({"enum": numbers(9_000)}), [-1] * 60_000),
    "enum of fractions": lambda: Hostile(items({"enum": [n + 0.5 for n in range(6_000)]}), [5999.5] * 20_000),
    "enum of lists": lambda: Hostile(items({"enum": [[n] for n in range(6_000)]}), [[5_999]] * 25_000),
    "enum of objects": lambda: Hostile(
        items({"enum": [{"a": n} for n in range(4_000)]}), [{"a": 1}] * 25_000
    ),
    "enum of long texts": lambda: Hostile(items({"enum": texts(60, 1_000)}), ["x" * 1_000] * 200),
    "enum of one long text": lambda: Hostile(items({"enum": [LONG]}), [1] * 60_000),
    "const of many members": lambda: Hostile(items({"const": dict.fromkeys(texts(5_000), 1)}), [{}] * 60_000),
    "const of a deep list": lambda: Hostile(items({"const": nested("a", 90, 1)}), [nested("a", 90, 2)] * 400),
    "required of many names": lambda: Hostile(items({"required": texts(7_000)}), [{}] * 60_000),
    "dependent names": lambda: Hostile(
        items({"dependentRequired": {"a": texts(7_000)}}), [{"a": 1}] * 25_000
    ),
    "properties of many names": lambda: Hostile(
        items({"properties": {name: {"type": "string"} for name in texts(2_500)}}),
        [dict.fromkeys(texts(2_500), 1)] * 8,
    ),
    "no additional properties": lambda: Hostile(
        {"type": "object", "additionalProperties": False}, dict.fromkeys(texts(25_000), 1)
    ),
    "no additional properties, many times": lambda: Hostile(
        {"type": "object", "allOf": [{"additionalProperties": False}] * 1_700},
        dict.fromkeys(texts(20_000), 1),
    ),
    "names of properties": lambda: Hostile(
        {"type": "object", "propertyNames": {"enum": texts(7_000)}}, dict.fromkeys(texts(20_000, 2), 1)
    ),
    "pattern of names": lambda: Hostile(
        {"type": "object", "patternProperties": {f"a{{{n}}}b": {} for n in range(1, 300)}},
        dict.fromkeys(texts(20_000, 2), 1),
    ),
    "type of many elements": lambda: Hostile(items({"type": "string"}), [1] * 120_000),
    "unique objects": lambda: Hostile(
        {"type": "array", "uniqueItems": True}, [{"a": n} for n in range(20_000)]
    ),
    "unique numbers, one twice": lambda: Hostile(
        {"type": "array", "uniqueItems": True}, [*numbers(35_000), 34_999]
    ),
    # Branches times elements.
    "anyOf of constants": lambda: Hostile(
        items({"anyOf": [{"const": n} for n in range(4_000)]}), [-1] * 60_000
    ),
    "anyOf of bounds, the last fits": lambda: Hostile(
        items({"anyOf": [*({"minimum": n} for n in range(100, 3_500)), {}]}), [1] * 60_000
    ),
    "anyOf once": lambda: Hostile({"type": "object", "anyOf": [{"type": "string"}] * 3_500}, {}),
    "oneOf of bounds": lambda: Hostile(
        items({"oneOf": [{"minimum": n} for n in range(3_000)]}), [-1] * 60_000
    ),
    "anyOf over lists over enum": lambda: Hostile(
        {"type": "array", "anyOf": [items({"enum": texts(300)})] * 20}, ["x"] * 30_000
    ),
    "anyOf in anyOf": lambda: Hostile(
        items({"anyOf": [{"anyOf": [{"const": n}] * 60} for n in range(50)]}), [-1] * 20_000
    ),
    "not": lambda: Hostile(items({"allOf": [{"not": {"minimum": n}} for n in range(2_500)]}), [-1] * 60_000),
    "if then": lambda: Hostile(
        items({"allOf": [{"if": {"minimum": n}, "then": False} for n in range(1_700)]}), [9_999] * 40_000
    ),
    "contains": lambda: Hostile(items({"contains": {"const": 1}}), [[0] * 100] * 600),
    "dependent schemas": lambda: Hostile(
        items({"dependentSchemas": {"a": {"required": texts(6_000)}}}), [{"a": 1}] * 25_000
    ),
    # References.
    "references that double": lambda: Hostile(doubled(60), []),
    "references that double, with branches": lambda: Hostile(doubled(18, "anyOf"), []),
    "references to the root": lambda: Hostile(
        {"type": ["array", "null"], "items": {"$ref": "#"}}, [[[None] * 20] * 20] * 20
    ),
    "references to the root, twice": lambda: Hostile(
        items({"allOf": [{"$ref": "#"}, {"$ref": "#"}]}), nested_lists(60)
    ),
    "references in a ring": lambda: Hostile(
        {"type": "object", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}, {}
    ),
    "unevaluated over unevaluated": lambda: Hostile(
        {"type": "object", **unevaluated(40)}, dict.fromkeys(texts(2_000), 1)
    ),
    "dynamic references": lambda: Hostile(
        {
            "type": "object",
            "$dynamicAnchor": "n",
            "additionalProperties": {"anyOf": [{"$dynamicRef": "#n"}] * 30},
        },
        nested("a", 90, 1),
    ),
    # Names, patterns and numbers.
    "a long name over many elements": lambda: Hostile(
        {"type": "object", "properties": {LONG[:30_000]: items({"type": "string"})}},
        {LONG[:30_000]: [1] * 60_000},
    ),
    "long names in a bad schema": lambda: Hostile({"type": "object", "properties": {LONG: {"type": "x"}}}),
    "a schema of bad parts": lambda: Hostile(
        {"type": "object", "properties": dict.fromkeys(texts(6_000), 1)}
    ),
    "a schema of bad references": lambda: Hostile(
        {"type": "object", "allOf": [{"$ref": f"http://x/{n}"} for n in range(2_000)]}
    ),
    "a large pattern": lambda: Hostile(items({"pattern": "((x{100}){100}){100}"}), ["x"]),
    "many patterns": lambda: Hostile(
        items({"allOf": [{"pattern": f"[\\p{{L}} ]{{2,{n}}}"} for n in range(3, 900)]}), ["é" * 1_000] * 20
    ),
    "a slow pattern": lambda: Hostile(items({"pattern": "(x+x+)+y"}), ["x" * 60_000] * 3),
    "multiples of a small fraction": lambda: Hostile(items({"multipleOf": 1e-300}), [1e300] * 30_000),
    "multiples, many times": lambda: Hostile(items({"allOf": [{"multipleOf": 0.1}] * 2_500}), [0.3] * 30_000),
    "a deep value": lambda: Hostile(items({"$ref": "#"}), nested_lists(900)),
    "a deep schema": lambda: Hostile(nested("not", 800, {"type": "object"}) | {"type": "object"}, {}),
    "a wide schema": lambda: Hostile({"type": "object", "allOf": [{}] * 16_000}, {}),
    "a schema over its size": lambda: Hostile({"type": "object", "title": LONG * 2}, {}),
    "a value over its size": lambda: Hostile(items({"enum": texts(5_000)}), ["x"] * 70_000),
    "formats": lambda: Hostile(items({"format": "email"}), ["a@" + "b." * 120 + "c"] * 900),
    "a long format": lambda: Hostile(
        {"type": "string", "format": "uri"} | {"$schema": DRAFT}, "x:" + "%20" * 60_000
    ),
    # JSON Type Definition.
    "jtd: enum, none fits": lambda: Hostile({"elements": {"enum": texts(7_000)}}, ["x"] * 60_000),
    "jtd: enum, the last fits": lambda: Hostile({"elements": {"enum": texts(7_000)}}, ["6999"] * 30_000),
    "jtd: a long name over many elements": lambda: Hostile(
        {"values": {"elements": {"type": "string"}}}, {"n" * 120_000: [1] * 60_000}
    ),
    "jtd: a long name over valid elements": lambda: Hostile(
        {"values": {"elements": {"type": "uint8"}}}, {"n" * 120_000: [1] * 60_000}
    ),
    "jtd: optional names times objects": lambda: Hostile(
        {"elements": {"optionalProperties": {name: {} for name in texts(4_500)}}}, [{}] * 80_000
    ),
    "jtd: optional names times small objects": lambda: Hostile(
        {"elements": {"optionalProperties": {name: {} for name in texts(4_500)}}}, [{"0": 1}] * 25_000
    ),
    "jtd: names that are missing": lambda: Hostile(
        {"elements": {"properties": {name: {} for name in texts(4_500)}}}, [{}] * 80_000
    ),
    "jtd: names that are not allowed": lambda: Hostile({"properties": {}}, dict.fromkeys(texts(25_000), 1)),
    "jtd: references in a row": lambda: Hostile(
        {
            "definitions": {**{f"d{n}": {"ref": f"d{n + 1}"} for n in range(30)}, "d30": {"type": "string"}},
            "elements": {"ref": "d0"},
        },
        ["x"] * 60_000,
    ),
    "jtd: long references in a row": lambda: Hostile(
        {"definitions": {f"d{n}": {"ref": f"d{n + 1}"} for n in range(2_000)} | {"d2000": {}}}
    ),
    "jtd: variants": lambda: Hostile(
        {"elements": {"discriminator": "k", "mapping": {name: {"properties": {}} for name in texts(2_500)}}},
        [{"k": "x"}] * 20_000,
    ),
    "jtd: timestamps": lambda: Hostile(
        {"elements": {"type": "timestamp"}}, ["2026-01-01T00:00:60Z"] * 11_000
    ),
    "jtd: a schema of bad parts": lambda: Hostile({"properties": dict.fromkeys(texts(6_000), 1)}),
    "jtd: a deep value": lambda: Hostile(
        {"definitions": {"l": {"elements": {"ref": "l"}}}, "ref": "l"}, nested_lists(900)
    ),
}
"""Each case by its name. They are made when they are needed, because together they take some memory."""

DRAFT = "https://json-schema.org/draft/2020-12/schema"


def nested_lists(levels: int) -> Json:
    value: Json = []
    for _ in range(levels):
        value = [value]
    return value


def unevaluated(levels: int) -> Json:
    schema: Json = {}
    for _ in range(levels):
        schema = {"allOf": [schema], "unevaluatedProperties": False}
    return schema
