"""The settings' schema in the OpenAPI document, held against the reader of settings.

The schema says less (references, expressions and reachability are the reader's alone), but never anything else.
"""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import HealthCheck, given, settings

from shared.api.core.openapi_settings import SETTINGS_SHAPES
from tests.domain.strategy.definitions import REMOVED, changed, example, full, minimal, problems
from tests.domain.strategy.test_parse_properties import mutations

VALIDATOR = jsonschema_rs.Draft202012Validator(
    {"$ref": "#/components/schemas/Settings", "components": {"schemas": SETTINGS_SHAPES}}
)
EXAMPLES = ("gym-membership", "pet-cover", "water-filter-refill")
QUICK = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
OPAQUE = {"data", "instanceValidation", "requestValidation", "responseValidation"}
"""What holds anything of the company's own."""


def whole() -> dict[str, Any]:
    """``full()`` with the fields that do not go together each somewhere."""
    document = full()
    document["onCancelTasks"][0] = deepcopy(document["onCreateTasks"][0])
    document["tasks"][0]["steps"][0]["delay"] = {"unit": "days", "amount": 1}
    document["tasks"][0]["retryConfig"] = deepcopy(document["tasks"][0]["steps"][0]["retryConfig"])
    return document


def refused_by_schema(document: Any) -> bool:
    return not VALIDATOR.is_valid(document)


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema behind a reference, without the null that stands for what is left out."""
    if "anyOf" in schema and "properties" not in schema:
        schema = schema["anyOf"][0]
    if "$ref" in schema:
        found: dict[str, Any] = SETTINGS_SHAPES[schema["$ref"].rpartition("/")[2]]
        return found
    return schema


def kinds_of(schema: dict[str, Any]) -> set[str]:
    found = schema["type"]
    return set(found if isinstance(found, list) else [found])


def fields(
    value: Any, schema: dict[str, Any], pointer: str = ""
) -> Iterator[tuple[str, Any, dict[str, Any], bool]]:
    """Each place of a document: its pointer, its value, its schema, and whether it may be left out."""
    of = resolved(schema)
    if isinstance(value, list) and "items" in of:
        for index, entry in enumerate(value):
            yield f"{pointer}/{index}", entry, of["items"], False
            yield from fields(entry, of["items"], f"{pointer}/{index}")
    elif isinstance(value, dict) and "properties" in of:
        for name, member in value.items():
            inner = of["properties"][name]
            yield f"{pointer}/{name}", member, inner, name not in of["required"]
            yield from fields(member, inner, f"{pointer}/{name}")


def without_unknown_nulls(value: Any, schema: dict[str, Any]) -> Any:
    """A document without what the reader takes for absent and no schema knows."""
    of = resolved(schema)
    if isinstance(value, list) and "items" in of:
        return [without_unknown_nulls(entry, of["items"]) for entry in value]
    if isinstance(value, dict) and ("properties" in of or "patternProperties" in of):
        known = of.get("properties", {})
        return {
            name: without_unknown_nulls(member, known.get(name, {}))
            for name, member in value.items()
            if member is not None or name in known
        }
    return value


WHOLE = whole()
PLACES = [*fields(WHOLE, SETTINGS_SHAPES["Settings"])]
SAMPLES: dict[str, Any] = {"string": "5", "integer": 5, "boolean": True, "array": [], "object": {}}


def beyond(schema: dict[str, Any]) -> Iterator[Any]:
    """Values of the right type that are just outside the bounds."""
    of = resolved(schema)
    if "minimum" in of:
        yield from (of["minimum"] - 1, of["maximum"] + 1, of["minimum"] + 0.5)
    if "minLength" in of:
        yield ""
    if "maxLength" in of:
        yield "x" * (of["maxLength"] + 1)
    if "enum" in of:
        yield "weekly"
    if "minItems" in of:
        yield []
    if "maxItems" in of:
        yield [{"task": "bill", "scheduleBefore": {"unit": "days", "amount": 1}}] * (of["maxItems"] + 1)
    if "url" in of.get("properties", {}):
        yield {}


class TestWhatTheReaderAccepts:
    """It is valid under the schema, whatever it is."""

    @pytest.mark.parametrize("name", EXAMPLES)
    def test_the_examples(self, name: str) -> None:
        assert not refused_by_schema(example(name))

    @pytest.mark.parametrize("document", [minimal(), full()], ids=["minimal", "full"])
    def test_the_least_and_the_most(self, document: Any) -> None:
        assert problems(document) == []
        assert not refused_by_schema(document)

    @QUICK
    @given(document=mutations())
    def test_an_example_changed_anyhow(self, document: Any) -> None:
        if not problems(document):
            assert not refused_by_schema(without_unknown_nulls(document, SETTINGS_SHAPES["Settings"]))


class TestEachField:
    """What the schema refuses of a field, the reader refuses at that field."""

    def test_each_is_somewhere_in_the_document_that_is_changed(self) -> None:
        seen: dict[str, set[str]] = {}
        for pointer, _, _, _ in [("", None, None, None), *PLACES]:
            value: Any = WHOLE
            for name in pointer.split("/")[1:]:
                value = value[int(name)] if isinstance(value, list) else value[name]
            if isinstance(value, dict):
                for shape, schema in SETTINGS_SHAPES.items():
                    if set(schema["required"]) <= set(value) <= set(schema["properties"]):
                        seen.setdefault(shape, set()).update(value)
        assert {
            shape: set(schema["properties"]) - seen[shape] for shape, schema in SETTINGS_SHAPES.items()
        } == {shape: set() for shape in SETTINGS_SHAPES}

    @pytest.mark.parametrize(
        ("pointer", "schema"), [(p, s) for p, _, s, _ in PLACES], ids=[p for p, *_ in PLACES]
    )
    def test_of_another_type(self, pointer: str, schema: dict[str, Any]) -> None:
        for value in [SAMPLES[kind] for kind in SAMPLES.keys() - kinds_of(resolved(schema))]:
            wrong = changed(pointer, value, of=WHOLE)
            assert refused_by_schema(wrong), value
            assert pointer in {problem.pointer for problem in problems(wrong)}, value

    @pytest.mark.parametrize(
        ("pointer", "value"),
        [(p, value) for p, _, s, _ in PLACES for value in beyond(s)],
        ids=lambda part: part if isinstance(part, str) else None,
    )
    def test_outside_its_bounds(self, pointer: str, value: Any) -> None:
        wrong = changed(pointer, value, of=WHOLE)
        assert refused_by_schema(wrong)
        assert any(problem.pointer.startswith(pointer) for problem in problems(wrong))

    @pytest.mark.parametrize("pointer", ["", *(p for p, v, _, _ in PLACES if isinstance(v, dict))])
    def test_beside_an_unknown_one(self, pointer: str) -> None:
        if pointer.rpartition("/")[2] in {*OPAQUE, "headers", "params", "attributes", "outputs"}:
            wrong = changed(f"{pointer}/x y", {"not": "text"}, of=WHOLE)
            assert refused_by_schema(wrong) == (pointer.rpartition("/")[2] not in OPAQUE)
            return
        wrong = changed(f"{pointer}/unknown", 1, of=WHOLE)
        assert refused_by_schema(wrong)
        assert f"{pointer}/unknown" in {problem.pointer for problem in problems(wrong)}

    @pytest.mark.parametrize(
        "pointer", [p for p, _, _, optional in PLACES if not optional and not p[-1].isdigit()]
    )
    @pytest.mark.parametrize("value", [REMOVED, None], ids=["left out", "null"])
    def test_that_is_required(self, pointer: str, value: object) -> None:
        wrong = changed(pointer, value, of=WHOLE)
        assert refused_by_schema(wrong)
        assert (pointer, "required") in {(problem.pointer, problem.rule) for problem in problems(wrong)}

    @pytest.mark.parametrize("pointer", [p for p, _, _, optional in PLACES if optional])
    def test_that_is_optional_may_be_null(self, pointer: str) -> None:
        without = changed(pointer, None, of=WHOLE)
        assert not refused_by_schema(without)
        assert (pointer, "type") not in {(problem.pointer, problem.rule) for problem in problems(without)}

    def test_each_is_described(self) -> None:
        assert [
            f"{shape}.{name}"
            for shape, schema in SETTINGS_SHAPES.items()
            for name, of in schema["properties"].items()
            if not of.get("description", "").endswith(".")
        ] == []


class TestWhatGoesTogether:
    """A calendar is dated by something; a step does something."""

    def test_a_calendar_without_a_date(self) -> None:
        wrong = changed("/schedule/calendars/0/scheduleAfter", REMOVED)
        assert refused_by_schema(wrong)
        assert problems(wrong)

    def test_a_step_that_does_nothing(self) -> None:
        wrong = changed("/tasks/0/steps/0/action", REMOVED)
        assert refused_by_schema(wrong)
        assert problems(wrong)

    @pytest.mark.parametrize("url", ["ftp://x.test", "https://x.test/a b", "https://x.test/#there", "x.test"])
    def test_what_is_no_url(self, url: str) -> None:
        for pointer in ("/services/0/baseUrls/0/url", "/services/0/authorization/0/url"):
            wrong = changed(pointer, url, of=WHOLE)
            assert refused_by_schema(wrong)
            assert (pointer, "url") in {(problem.pointer, problem.rule) for problem in problems(wrong)}

    def test_a_base_url_with_a_query(self) -> None:
        pointer = "/services/0/baseUrls/0/url"
        wrong = changed(pointer, "https://x.test/?a=1", of=WHOLE)
        assert refused_by_schema(wrong)
        assert (pointer, "url") in {(problem.pointer, problem.rule) for problem in problems(wrong)}

    @pytest.mark.parametrize("url", ["charges", "https://x.test/charges", "/a b", "/a#b"])
    def test_what_is_no_path(self, url: str) -> None:
        pointer = "/services/0/methods/0/url"
        wrong = changed(pointer, url, of=WHOLE)
        assert refused_by_schema(wrong)
        assert (pointer, "url") in {(problem.pointer, problem.rule) for problem in problems(wrong)}

    def test_a_name_that_no_header_has(self) -> None:
        wrong = changed("/actions/0/headers/X Env", "dev", of=WHOLE)
        assert refused_by_schema(wrong)
        assert problems(wrong)
