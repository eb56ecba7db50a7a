"""Writes the reference of the settings into docs/api/core.md, from their declaration.

``python -m dev.settings_table`` rewrites the section. A test fails if it is not up to date.
"""

import json
from math import inf
from pathlib import Path

from shared.domain.strategy.settings import SETTINGS
from shared.domain.strategy.shapes import Field, Kind, Shape, all_shapes

PAGE = Path(__file__).parents[1] / "docs" / "api" / "core.md"
HEADING = "## Every field of the settings\n"
INTRODUCTION = """
Written by `make settings` from the declaration that also checks the settings (`shared/domain/strategy/settings.py`).
The bounds of a text count its characters, those of a list its entries. A null member counts as left out.

`make settings` also writes `build/strategy.schema.json`, a JSON Schema of the body of `POST /execution-strategy`.
With it editors check and complete strategies that are kept in files, like those in `events/`. In VS Code:

```json
{"json.schemas": [{"fileMatch": ["strategies/*.json"], "url": "./build/strategy.schema.json"}]}
```
"""

_PLAIN_TYPES = {
    Kind.FLAG: "boolean",
    Kind.TEXTS: "object of texts",
    Kind.JSON: "object",
    Kind.SCHEMA_OR_EXPRESSION: "object or text",
}


def main() -> None:
    """Rewrite the page."""
    PAGE.write_text(with_reference(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


def with_reference(page: str) -> str:
    """Return the page with the current section about the settings."""
    before, _, section = page.partition(HEADING)
    _, heading, after = section.partition("\n## ")
    return (
        before
        + HEADING
        + INTRODUCTION
        + "".join(map(_section, all_shapes(SETTINGS).values()))
        + heading
        + after
    )


def _section(shape: Shape) -> str:
    rows = "".join(_row(name, field) for name, field in shape.fields.items())
    return (
        f"\n### {shape.name}\n\n{shape.does}\n{_together(shape)}\n"
        f"| field | type | required | default | what it does |\n|---|---|---|---|---|\n{rows}"
    )


def _together(shape: Shape) -> str:
    """Return which fields need each other or exclude each other, one line for each rule."""
    lines = [f"`{name}` must not be given beside `{beside}`.\n" for name, beside, _ in shape.exclusive]
    if shape.any_of:
        *names, last = [f"`{name}`" for name in shape.any_of]
        lines.insert(0, f"At least one of {', '.join(names)} and {last} is required.\n")
    return "".join(lines)


def _row(name: str, field: Field) -> str:
    required = "yes" if field.is_required else ""
    default = "" if field.default is None else f"`{json.dumps(field.default)}`"
    cells = [f"`{name}`", _type(field), required, default, field.does.replace("|", "\\|")]
    return f"| {' | '.join(cells)} |\n"


def _type(field: Field) -> str:
    match field.kind:
        case Kind.TEXT:
            return f"text, {field.low} to {field.high}"
        case Kind.WHOLE | Kind.WHOLES:
            what = "whole number" if field.kind is Kind.WHOLE else "list of whole numbers"
            return f"{what}, {field.low} to {field.high}"
        case Kind.CHOICE:
            return _values(field)
        case Kind.PART:
            return _link(field.shape)
        case Kind.PARTS | Kind.NAMES | Kind.CHOICES | Kind.DATES | Kind.TIMES:
            return f"list of {_entry_types(field)}{_entries(field)}"
        case kind:
            return _PLAIN_TYPES[kind]


def _entry_types(field: Field) -> str:
    match field.kind:
        case Kind.PARTS:
            return _link(field.shape)
        case Kind.CHOICES:
            return _values(field)
        case Kind.TIMES:
            return "times `HH:MM`"
        case kind:
            return kind.value


def _values(field: Field) -> str:
    return ", ".join(f"`{value}`" for value in field.choices)


def _link(shape: Shape) -> str:
    return f"[{shape.name}](#{shape.name.lower()})"


def _entries(field: Field) -> str:
    low = f", at least {field.low}" if field.low else ""
    high = "" if field.high == inf else f", at most {field.high}"
    return low + high


if __name__ == "__main__":
    main()
