"""The JSON Schema of settings in the OpenAPI document."""

from typing import Any

import jsonschema_rs
import pytest
from hypothesis import HealthCheck, given, settings

from shared.api.reference.settings import settings_schemas
from shared.domain.strategy.settings import SETTINGS
from shared.domain.strategy.shapes import all_shapes
from tests.domain.strategy.definitions import REMOVED, changed, example, full, minimal, problems
from tests.domain.strategy.mutations import mutations

SCHEMAS = settings_schemas()
VALIDATOR = jsonschema_rs.Draft202012Validator(
    {"$ref": "#/components/schemas/Settings", "components": {"schemas": SCHEMAS}}
)
QUICK = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def without_unknown_nulls(value: Any, schema: dict[str, Any]) -> Any:
    """Return a document without nulls that count as absent but are unknown to a schema."""
    schema = schema.get("anyOf", [schema])[0] if "properties" not in schema else schema
    schema = SCHEMAS[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    if isinstance(value, list) and "items" in schema:
        return [without_unknown_nulls(entry, schema["items"]) for entry in value]
    if isinstance(value, dict) and ("properties" in schema or "patternProperties" in schema):
        known = schema.get("properties", {})
        return {
            name: without_unknown_nulls(member, known.get(name, {}))
            for name, member in value.items()
            if member is not None or name in known
        }
    return value


class TestWhatTheReaderAccepts:
    """Settings that the reader accepts are valid under the schema."""

    @pytest.mark.parametrize("name", ["gym-membership", "pet-cover", "water-filter-refill"])
    def test_the_example_strategies_are_valid(self, name: str) -> None:
        assert VALIDATOR.is_valid(example(name))

    @pytest.mark.parametrize("document", [minimal(), full()], ids=["minimal", "full"])
    def test_the_smallest_and_the_fullest_settings_are_valid(self, document: Any) -> None:
        assert problems(document) == []
        assert VALIDATOR.is_valid(document)

    @QUICK
    @given(document=mutations())
    def test_a_mutated_example(self, document: Any) -> None:
        if not problems(document):
            assert VALIDATOR.is_valid(without_unknown_nulls(document, SCHEMAS["Settings"]))


class TestFields:
    """Each kind of field has its schema. An optional one may also be null."""

    @pytest.mark.parametrize(
        ("shape", "field", "schema"),
        [
            ("Method", "key", {"type": "string", "minLength": 1, "maxLength": 100}),
            ("Method", "description", {"type": ["string", "null"], "maxLength": 4096}),
            ("Method", "async", {"type": ["boolean", "null"], "default": False}),
            (
                "Method",
                "timeoutSeconds",
                {"type": ["integer", "null"], "minimum": 1, "maximum": 300, "default": 30},
            ),
            ("TimeDelta", "amount", {"type": "integer", "minimum": 0, "maximum": 1_000_000}),
            ("Method", "method", {"type": "string", "enum": ["get", "delete", "post", "put", "patch"]}),
            (
                "Config",
                "onResume",
                {"type": ["string", "null"], "enum": ["last", "all", "skip", None], "default": "last"},
            ),
            (
                "BusinessDays",
                "weekend",
                {
                    "type": ["array", "null"],
                    "items": {
                        "type": "string",
                        "enum": [
                            *("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
                        ],
                    },
                    "uniqueItems": True,
                    "maxItems": 6,
                },
            ),
            (
                "BusinessDays",
                "holidays",
                {
                    "type": ["array", "null"],
                    "items": {"type": "string", "format": "date"},
                    "uniqueItems": True,
                    "maxItems": 400,
                },
            ),
            ("Settings", "schedule", {"$ref": "#/components/schemas/Schedule"}),
            (
                "Settings",
                "config",
                {"anyOf": [{"$ref": "#/components/schemas/Config"}, {"type": "null"}]},
            ),
            (
                "Settings",
                "tasks",
                {"type": "array", "items": {"$ref": "#/components/schemas/Task"}, "minItems": 1},
            ),
            (
                "Settings",
                "onCreateTasks",
                {
                    "type": ["array", "null"],
                    "items": {"$ref": "#/components/schemas/LifecycleTask"},
                    "maxItems": 25,
                },
            ),
            (
                "Action",
                "params",
                {"type": ["object", "null"], "additionalProperties": {"type": ["string", "null"]}},
            ),
            ("Action", "data", {"type": ["object", "null"]}),
            ("Method", "requestValidation", {"type": ["object", "string", "null"], "minLength": 1}),
        ],
    )
    def test_a_field_has_the_schema_of_its_kind(self, shape: str, field: str, schema: dict[str, Any]) -> None:
        made = SCHEMAS[shape]["properties"][field]
        assert {name: value for name, value in made.items() if name != "description"} == schema

    def test_every_field_is_described_by_a_sentence(self) -> None:
        assert [
            f"{shape.name}.{name}"
            for shape in all_shapes(SETTINGS).values()
            for name, field in shape.fields.items()
            if not field.does.endswith(".")
        ] == []

    def test_required_and_unknown_fields(self) -> None:
        assert SCHEMAS["NextStepRule"]["required"] == ["if", "nextStep"]
        assert SCHEMAS["NextStepRule"]["additionalProperties"] is False


class TestWhatTheReaderExplains:
    """Settings that the schema refuses are refused by the reader too, with its own messages."""

    @pytest.mark.parametrize(
        ("pointer", "value"),
        [
            ("/schedule/calendars/0/scheduleAfter", REMOVED),
            ("/tasks/0/steps/0/action", REMOVED),
            *[
                (f"/services/0/{part}/0/url", url)
                for part in ("baseUrls", "authorization")
                for url in ("ftp://x.test", "https://x.test/a b", "https://x.test/#there", "x.test")
            ],
            ("/services/0/baseUrls/0/url", "https://x.test/?a=1"),
            *[
                ("/services/0/methods/0/url", url)
                for url in ("charges", "https://x.test/charges", "/a b", "/a#b")
            ],
            ("/actions/0/headers/X Env", "dev"),
        ],
    )
    def test_schema_and_reader_refuse_the_same_settings(self, pointer: str, value: object) -> None:
        document = full()
        for name in ("controller", "controllerCallback", "resumeControllerCallback"):
            del document["tasks"][0]["steps"][0][name]
        wrong = changed(pointer, value, of=document)
        assert VALIDATOR.is_valid(document)
        assert not VALIDATOR.is_valid(wrong)
        assert pointer in {problem.pointer for problem in problems(wrong)}
