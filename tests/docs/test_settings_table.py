"""The table "Every field of the settings" in docs/api/core.md, held against the schema and the tests."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.api.core.openapi_settings import SETTINGS_SHAPES

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "api" / "core.md").read_text()
ROW = re.compile(r"^\| `(?P<field>[\w.\[\]]+)` \| (?P<does>.+?) \| (?P<tests>`[^|]+`) \|$", re.MULTILINE)
TABLE = PAGE.split("## Every field of the settings\n")[1].split("\n## ")[0]
ROWS = {
    match["field"]: (match["does"], re.findall(r"`([^`]+)`", match["tests"])) for match in ROW.finditer(TABLE)
}
TOLD_ONCE = {"TimeDelta", "RetryConfig"}
"""What many fields hold: its own fields have their rows under its name."""
FOR_PEOPLE = {"key", "description"}


def shape_of(schema: dict[str, Any]) -> str | None:
    """The name of what a field holds, or holds a list of."""
    for of in (schema, schema.get("items", {}), *schema.get("anyOf", [])):
        if "$ref" in of:
            return str(of["$ref"].rpartition("/")[2])
    return None


def fields(shape: str, above: str) -> Iterator[tuple[str, str]]:
    """Each field with what the schema says of it; what only holds other fields is told by those."""
    for name, schema in SETTINGS_SHAPES[shape]["properties"].items():
        inner = shape_of(schema)
        if inner is None or inner in TOLD_ONCE:
            if name not in FOR_PEOPLE:
                yield f"{above}{name}", schema["description"]
        else:
            yield from fields(inner, f"{above}{name}{'[]' if 'items' in schema else ''}.")


FIELDS = {
    **dict(fields("Settings", "")),
    **{field: does for shape in sorted(TOLD_ONCE) for field, does in fields(shape, f"{shape}.")},
}


def functions_in(path: Path) -> set[str]:
    """``Class::test`` of each test in a module."""
    return {
        f"{node.name}::{inner.name}"
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ClassDef)
        for inner in node.body
        if isinstance(inner, ast.FunctionDef) and inner.name.startswith("test_")
    }


def test_each_field_has_its_row() -> None:
    assert list(ROWS) == list(FIELDS)


def test_every_row_of_the_table_is_read() -> None:
    assert len(ROWS) == len(re.findall(r"^\| `", TABLE, re.MULTILINE))


@pytest.mark.parametrize("field", FIELDS)
def test_the_row_says_what_the_schema_says(field: str) -> None:
    assert ROWS[field][0] == FIELDS[field].replace("|", "\\|")


@pytest.mark.parametrize("field", FIELDS)
def test_the_tests_of_the_row_exist(field: str) -> None:
    tests = ROWS[field][1]

    assert tests
    for test in tests:
        module, _, name = test.partition("::")
        assert name in functions_in(ROOT / "tests" / module), test


def test_a_name_that_no_test_has_is_noticed() -> None:
    assert "TestConfig::test_timezones" not in functions_in(ROOT / "tests/application/test_settings_plan.py")
