"""Write an OpenAPI document as one HTML page without scripts. It loads nothing, and every text is escaped."""

import json
from collections.abc import Iterator
from html import escape
from typing import Any

Json = dict[str, Any]

_STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 0 auto; padding: 1rem; }
h2 { margin-top: 3rem; } h3 { margin-top: 2.5rem; border-top: 1px solid #8886; padding-top: 1rem; }
code, pre { font-family: ui-monospace, monospace; font-size: 13px; }
pre { overflow: auto; max-height: 30rem; padding: .75rem; background: #8881; }
table { border-collapse: collapse; width: 100%; margin: .5rem 0; }
th, td { text-align: left; vertical-align: top; padding: .25rem .5rem; border-bottom: 1px solid #8884; }
nav ul { columns: 2; padding-left: 1rem; list-style: none; }
.method { display: inline-block; min-width: 4.5em; font-weight: bold; }
"""


def docs_page(document: Json) -> str:
    """Return the HTML page of a document."""
    info = document["info"]
    title = escape(f"{info['title']} {info['version']}")
    operations = [
        (method.upper(), path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    schemas = document["components"]["schemas"]
    parts = [
        f"<h1>{title}</h1>",
        f"<p>{escape(info['description'])}</p>",
        '<p>As a document: <a href="openapi.json">openapi.json</a> (OpenAPI 3.1).</p>',
        _contents(operations, schemas),
        "<h2>Operations</h2>",
        *(_operation(*operation) for operation in operations),
        '<h2 id="schemas">Schemas</h2>',
        *(_shape(name, schema) for name, schema in sorted(schemas.items())),
    ]
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>'
    body = "\n".join(parts)
    return (
        f'<!doctype html>\n<html lang="en">\n<head>{head}<style>{_STYLE}</style></head>\n'
        f"<body>\n{body}\n</body>\n</html>\n"
    )


def _contents(operations: list[tuple[str, str, Json]], schemas: Json) -> str:
    lines = [
        f'<li><a href="#{escape(operation["operationId"])}">{_heading(method, path)}</a></li>'
        for method, path, operation in operations
    ]
    shapes = ", ".join(_link(name) for name in sorted(schemas))
    return f"<nav><ul>{''.join(lines)}</ul><p>Schemas: {shapes}</p></nav>"


def _operation(method: str, path: str, operation: Json) -> str:
    summary, description = escape(operation["summary"]), escape(operation["description"])
    parts = [
        f'<h3 id="{escape(operation["operationId"])}">{_heading(method, path)}</h3>',
        f"<p>{summary}</p><p>{description}</p>",
    ]
    if operation["parameters"]:
        rows = [_parameter(parameter) for parameter in operation["parameters"]]
        parts += ["<h4>Parameters</h4>", _table(("name", "in", "type", "", "example"), rows)]
    if "requestBody" in operation:
        needed = "" if operation["requestBody"]["required"] else " (optional)"
        parts += [f"<h4>Body{needed}</h4>", *_content(operation["requestBody"]["content"])]
    parts.append("<h4>Answers</h4>")
    for status, answer in operation["responses"].items():
        text = f"<strong>{escape(status)}</strong> {escape(answer['description'])}"
        parts.append(f"<p>{text}</p>{''.join(_content(answer['content']))}")
    return "\n".join(parts)


def _heading(method: str, path: str) -> str:
    return f'<span class="method">{escape(method)}</span> {_code(path)}'


def _parameter(parameter: Json) -> tuple[str, ...]:
    needed = "required. " if parameter["required"] else ""
    example = _code(_as_text(parameter["example"])) if "example" in parameter else ""
    text = escape(needed + parameter.get("description", ""))
    return _code(parameter["name"]), escape(parameter["in"]), _type(parameter["schema"]), text, example


def _content(content: Json) -> Iterator[str]:
    for kind, media in content.items():
        yield f"<p><code>{escape(kind)}</code>: {_type(media['schema'])}</p>"
        if "example" in media:
            text = escape(json.dumps(media["example"], indent=2, ensure_ascii=False))
            yield f"<details><summary>Example</summary><pre>{text}</pre></details>"


def _shape(name: str, schema: Json) -> str:
    head = f'<h3 id="schema-{escape(name)}"><code>{escape(name)}</code></h3>'
    text = f"<p>{escape(schema['description'])}</p>" if "description" in schema else ""
    rows = [*_members(schema, "")]
    if not rows:
        return f"{head}{text}<p>{_type(schema)}</p>"
    return f"{head}{text}{_table(('field', 'type', ''), rows)}"


def _members(schema: Json, above: str) -> Iterator[tuple[str, ...]]:
    """Yield a row for each member. Members of an inner object follow theirs."""
    for name, member in schema.get("properties", {}).items():
        needed = "required. " if name in schema.get("required", ()) else ""
        default = f" By default {_as_text(member['default'])}." if member.get("default") is not None else ""
        text = escape(f"{needed}{member.get('description', '')}{default}")
        place = f"{above}{name}"
        yield _code(place), _type(member), text
        inner, mark = (member.get("items", {}), "[].") if member.get("type") == "array" else (member, ".")
        yield from _members(inner, f"{place}{mark}")


def _type(schema: Json) -> str:
    """Return the type of a value as HTML. An optional member may also be null, which is left out here."""
    if "$ref" in schema:
        return _link(schema["$ref"].rpartition("/")[2])
    for many in ("anyOf", "oneOf"):
        if many in schema and "properties" not in schema:
            return " or ".join(_type(option) for option in schema[many] if option != {"type": "null"})
    if "enum" in schema:
        return " or ".join(_code(_as_text(value)) for value in schema["enum"] if value is not None)
    if "const" in schema:
        return _code(_as_text(schema["const"]))
    kinds = schema.get("type", "any JSON value")
    names = [kind for kind in ([kinds] if isinstance(kinds, str) else kinds) if kind != "null"]
    if names == ["array"]:
        return f"list of {_type(schema['items'])}{_bounds(schema)}"
    values = schema.get("additionalProperties")
    items = f" of {_type(values)}" if isinstance(values, dict) and values else ""
    return escape(" or ".join(names)) + items + _bounds(schema)


_BOUNDS = (
    ("minimum", "maximum", ""),
    ("minLength", "maxLength", " characters"),
    ("minItems", "maxItems", " entries"),
)


def _bounds(schema: Json) -> str:
    bounds = [
        f"{schema.get(low, '')}..{schema.get(high, '')}{unit}"
        for low, high, unit in _BOUNDS
        if low in schema or high in schema
    ]
    bounds += [schema[name] for name in ("format", "pattern") if name in schema]
    return f" ({escape(', '.join(bounds))})" if bounds else ""


def _table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """Return a table of cells that are HTML already."""
    top = "".join(f"<th>{head}</th>" for head in heads)
    lines = ["<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows]
    return f"<table><thead><tr>{top}</tr></thead><tbody>{''.join(lines)}</tbody></table>"


def _link(name: str) -> str:
    return f'<a href="#schema-{escape(name)}">{escape(name)}</a>'


def _code(text: str) -> str:
    return f"<code>{escape(text)}</code>"


def _as_text(value: Any) -> str:  # noqa: ANN401 - any JSON value
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
