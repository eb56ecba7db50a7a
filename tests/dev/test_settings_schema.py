"""The schema of a strategy for editors."""

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from dev.settings_schema import editor_schema, main

EVENTS = Path(__file__).parents[2] / "events"


def strategy(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_text(encoding="utf-8"))
    return loaded


class TestEditorSchema:
    """The schema describes a strategy in a file, as the API accepts it, and refers to no other document."""

    @pytest.mark.parametrize("name", ["gym-membership", "pet-cover", "water-filter-refill"])
    def test_the_examples_are_valid(self, name: str) -> None:
        assert jsonschema_rs.Draft202012Validator(editor_schema()).is_valid(strategy(name))

    def test_a_mistake_is_reported_with_its_path(self) -> None:
        wrong = strategy("gym-membership")
        wrong["settings"]["services"][0]["methods"][0]["method"] = "head"
        (error,) = jsonschema_rs.Draft202012Validator(editor_schema()).iter_errors(wrong)
        assert error.instance_path == ["settings", "services", 0, "methods", 0, "method"]

    def test_every_reference_is_within_the_schema(self) -> None:
        schema = editor_schema()
        text = json.dumps(schema)
        assert text.count('"$ref"') == text.count('"$ref": "#/$defs/')
        assert set(schema["$defs"]) >= {
            part.partition('"')[0] for part in text.split('"$ref": "#/$defs/')[1:]
        }

    def test_the_schema_is_written_into_a_file(self, tmp_path: Path) -> None:
        assert main(tmp_path / "build" / "strategy.schema.json") == 0
        written = (tmp_path / "build" / "strategy.schema.json").read_text(encoding="utf-8")
        assert json.loads(written) == editor_schema()
