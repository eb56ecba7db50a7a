"""The work, the size and the errors of validations are bounded. Source: docs/decisions/0034-bounded-errors.md."""

from typing import Any

import pytest

from shared.domain.errors import MoreProblems, Problem
from shared.domain.validation.schema import MAX_SCHEMA_BYTES, MAX_VALUE_BYTES, check_schema, violations

TOO_MUCH = "needs more than 1000000 schema checks (schemaPath /)"


def items(schema: Any) -> dict[str, Any]:
    return {"type": "array", "items": schema}


def messages(schema: Any, value: Any) -> list[str]:
    assert check_schema(schema, pointer="") == []
    return [problem.message for problem in violations(schema, value)]


def texts(count: int) -> list[str]:
    return [f"t{number}" for number in range(count)]


class TestSize:
    """A schema or a value that is too large is not examined at all."""

    @pytest.mark.parametrize("schema", [{"type": "object"}, {"properties": {}}])
    def test_a_schema_takes_at_most_64_kb(self, schema: dict[str, Any]) -> None:
        name = "metadata" if "properties" in schema else "title"
        room = MAX_SCHEMA_BYTES - len(f'{{"type":"object","{name}":""}}')
        fits = {"type": "object", "title": "x" * room}
        assert check_schema(fits, pointer="/s") == [] or name == "metadata"
        large = {**schema, name: {"a": "x" * MAX_SCHEMA_BYTES}}
        assert check_schema(large, pointer="/s") == [
            Problem(pointer="/s", rule="too-long", message="must take at most 64 KB as JSON")
        ]

    @pytest.mark.parametrize("schema", [{"type": "array"}, {"elements": {}}])
    def test_a_value_takes_at_most_256_kb(self, schema: dict[str, Any]) -> None:
        assert violations(schema, ["x" * (MAX_VALUE_BYTES - 4)]) == []
        assert violations(schema, ["x" * (MAX_VALUE_BYTES - 3)], pointer="/a") == [
            Problem(pointer="/a", rule="too-long", message="must take at most 256 KB as JSON to be validated")
        ]


class TestWork:
    """Work is counted with and without references: the choices of the schema times the parts of the value."""

    @pytest.mark.parametrize(
        "schema",
        [
            {"enum": [number + 0.5 for number in range(600)]},
            {"enum": [[number] for number in range(3_000)]},
            {"enum": [{"a": number} for number in range(3_000)]},
            {"const": dict.fromkeys(texts(2_000), 1)},
            {"required": texts(2_000)},
            {"dependentRequired": {"a": texts(2_000)}},
            {"anyOf": [{"minimum": number} for number in range(2_000)]},
            {"oneOf": [{"minimum": number} for number in range(2_000)]},
            {"allOf": [{"multipleOf": 0.1}] * 100},
            {"$ref": "#/$defs/a"},
        ],
        ids=lambda schema: next(iter(schema)) + str(len(str(schema))),
    )
    def test_too_much_work_is_refused(self, schema: dict[str, Any]) -> None:
        definitions = {"a": {"enum": [[number] for number in range(3_000)]}}
        assert messages({**items(schema), "$defs": definitions}, [{}] * 1_000) == [TOO_MUCH]
        assert messages({**items(schema), "$defs": definitions}, []) == []

    def test_names_times_patterns_are_counted(self) -> None:
        schema = {"type": "object", "patternProperties": {f"^{name}$": {} for name in texts(100)}}
        assert messages(schema, dict.fromkeys(texts(1_000), 1)) == [TOO_MUCH]
        assert messages(schema, dict.fromkeys(texts(100), 1)) == []

    def test_a_long_list_of_texts_or_numbers_costs_no_more_than_a_short_one(self) -> None:
        for choices in (texts(5_000), list(range(5_000)), [*texts(100), None, True, 5]):
            assert messages(items({"enum": choices}), [choices[-1]] * 5_000) == []


class TestErrors:
    """All errors are made only if they cannot be many."""

    def test_few_errors_are_all_reported(self) -> None:
        assert len(messages(items({"enum": texts(100)}), [1] * 40)) == 40

    def test_of_very_many_possible_errors_the_first_is_reported(self) -> None:
        found = violations(items({"enum": texts(300)}), ["t1", 2, *([1] * 100)])
        assert found == [
            Problem(
                pointer="/1",
                rule="json-schema",
                message='the value is not one of "t0", "t1" or 298 other candidates (schemaPath /items/enum)',
            )
        ]

    @pytest.mark.parametrize("keyword", ["anyOf", "oneOf"])
    def test_of_very_many_possible_errors_in_branches_none_is_made(self, keyword: str) -> None:
        schema = items({keyword: [{"enum": texts(300)}, {"type": "null"}]})
        assert messages(schema, ["t1"] * 200) == []
        assert messages(schema, [1] * 200) == [
            "does not match the schema, at too many places to list them (schemaPath /)"
        ]

    def test_a_large_bad_schema_reports_its_first_problem(self) -> None:
        small, large = ({"type": "object", "properties": dict.fromkeys(texts(n), 1)} for n in (60, 2_000))
        assert check_schema(small, pointer="")[-1] == MoreProblems(count=1, is_exact=False)
        (problem,) = check_schema(large, pointer="")
        assert (problem.pointer, problem.rule) == ("/properties/t0", "json-schema-invalid")

    def test_a_long_name_over_many_errors_costs_one_pointer_for_each_that_is_reported(self) -> None:
        found = violations({"values": {"elements": {"type": "string"}}}, {"n" * 100_000: [1] * 1_000})
        assert len(found) == 51
        assert {len(problem.pointer) for problem in found[:-1]} == {160}


class TestLargeDefinitions:
    """Large parts of a JTD schema behave like small ones."""

    def test_optional_members_are_checked_in_the_order_of_the_schema(self) -> None:
        schema = {"elements": {"optionalProperties": {name: {"type": "string"} for name in texts(200)}}}
        value = [{"t9": 1, "t2": 1, "t5": "x"}, {"t150": 1, "t11": 1}, {}, {"t3": 1}]
        places = [problem.pointer for problem in violations(schema, value)]
        assert places == ["/0/t2", "/0/t9", "/1/t11", "/1/t150", "/3/t3"]

    def test_a_null_passes_if_any_schema_of_the_chain_is_nullable(self) -> None:
        def chain(nullable: int) -> dict[str, Any]:
            ways: dict[str, Any] = {f"d{n}": {"ref": f"d{n + 1}"} for n in range(3)}
            ways["d3"] = {"type": "string"}
            ways[f"d{nullable}"]["nullable"] = True
            return {"definitions": ways, "elements": {"ref": "d0"}}

        for nullable in range(4):
            assert violations(chain(nullable), [None, "x", None]) == []
            (problem,) = violations(chain(nullable), [1])
            assert problem.message == "must be of type string (schemaPath /definitions/d3/type)"

    def test_a_message_shows_the_first_choices(self) -> None:
        (problem,) = violations({"enum": texts(5_000)}, "x")
        shown = ", ".join(f"'t{number}'" for number in range(10))
        assert problem.message == f"must be one of {shown}, ... (schemaPath /enum)"
