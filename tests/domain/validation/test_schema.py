from typing import Any

import pytest

from shared.domain.errors import MAX_PROBLEMS, MoreProblems, Problem
from shared.domain.validation.schema import check_schema, violations

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def rules(schema: Any) -> set[str]:
    return {problem.rule for problem in check_schema(schema, pointer="")}


def places(problems: list[Problem]) -> list[str]:
    return [problem.pointer for problem in problems]


def nested_list(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


class TestLanguage:
    """JSON Schema if the root has $schema or a type that only JSON Schema has; else JSON Type Definition."""

    @pytest.mark.parametrize("kind", ["object", "array", "integer", "number", "null", ["string", "null"]])
    def test_a_type_unknown_to_jtd_is_json_schema(self, kind: object) -> None:
        assert check_schema({"type": kind, "description": "no keyword of JTD"}, pointer="") == []

    def test_a_named_dialect_is_json_schema(self) -> None:
        assert check_schema({"$schema": DIALECT, "minLength": 3}, pointer="") == []
        assert places(violations({"$schema": f"{DIALECT}#", "minLength": 3}, "ab")) == [""]

    @pytest.mark.parametrize("kind", ["string", "boolean", "uint8"])
    def test_a_type_known_to_jtd_is_jtd(self, kind: str) -> None:
        assert check_schema({"type": kind}, pointer="") == []
        assert rules({"type": kind, "minLength": 3}) == {"jtd-schema"}

    @pytest.mark.parametrize("schema", [None, True, "text", 5, [], {"type": "strng"}, {"minLength": 3}])
    def test_every_other_schema_is_jtd(self, schema: object) -> None:
        assert rules(schema) == {"jtd-schema"}


class TestJtd:
    """Problems point to the place in the settings or in the value, and name the place in the schema."""

    def test_problems_of_a_schema_have_its_place(self) -> None:
        assert check_schema(
            {"properties": {"a/b": {"type": "text"}}}, pointer="/settings/instanceValidation"
        ) == [
            Problem(
                pointer="/settings/instanceValidation/properties/a~1b/type",
                rule="jtd-schema",
                message="type must be one of boolean, float32, float64, int8, uint8, int16, uint16, int32, "
                "uint32, string, timestamp",
            )
        ]

    def test_problems_of_a_value_have_both_places(self) -> None:
        schema = {"properties": {"fee": {"type": "float64"}, "member": {"type": "string"}}}
        assert violations(schema, {"fee": "ten", "x": 1}, pointer="/attributes") == [
            Problem(
                pointer="/attributes/fee",
                rule="jtd",
                message="must be of type float64 (schemaPath /properties/fee/type)",
            ),
            Problem(
                pointer="/attributes",
                rule="jtd",
                message="must have the member 'member' (schemaPath /properties/member)",
            ),
            Problem(
                pointer="/attributes/x",
                rule="jtd",
                message="the schema has no member 'x' (schemaPath /)",
            ),
        ]

    def test_a_valid_value_has_no_problems(self) -> None:
        assert violations({"values": {"type": "uint8"}}, {"a": 1}) == []


class TestJsonSchema:
    """The same for JSON Schema 2020-12."""

    ORDER: dict[str, Any] = {  # noqa: RUF012 - never changed
        "type": "object",
        "required": ["id"],
        "properties": {
            "id": {"type": "string", "pattern": "^[a-z]+$"},
            "a/b": {"type": "array", "items": {"$ref": "#/$defs/price"}},
            "mail": {"type": "string", "format": "email"},
        },
        "additionalProperties": False,
        "$defs": {"price": {"type": "integer", "minimum": 0}},
    }

    def test_a_valid_schema_and_value_have_no_problems(self) -> None:
        assert check_schema(self.ORDER, pointer="") == []
        assert violations(self.ORDER, {"id": "abc", "a/b": [1, 2.0]}) == []

    def test_every_broken_rule_is_reported(self) -> None:
        problems = violations(self.ORDER, {"a/b": [1, -1, "x"], "mail": 5}, pointer="/data")
        assert {problem.rule for problem in problems} == {"json-schema"}
        assert [(problem.pointer, problem.message) for problem in problems] == [
            ("/data/a~1b/1", "the value is less than the minimum of 0 (schemaPath /$defs/price/minimum)"),
            ("/data/a~1b/2", 'the value is not of type "integer" (schemaPath /$defs/price/type)'),
            ("/data/mail", 'the value is not of type "string" (schemaPath /properties/mail/type)'),
            ("/data", '"id" is a required property (schemaPath /required)'),
        ]

    @pytest.mark.parametrize(
        ("name", "right", "wrong"),
        [
            ("email", "ann@example.com", "nobody"),
            ("date", "2026-02-28", "2026-02-30"),
            ("date-time", "2026-02-28T10:00:00Z", "2026-02-28 10:00"),
            ("uri", "https://example.com/a?b=1", "example.com/a b"),
            ("uuid", "01890a5d-ac96-774b-bcce-b302099a00b1", "01890a5d"),
        ],
    )
    def test_five_formats_are_checked(self, name: str, right: str, wrong: str) -> None:
        schema = {"type": "object", "properties": {"a": {"format": name}}}
        assert violations(schema, {"a": right}) == []
        assert violations(schema, {"a": 5}) == []
        (problem,) = violations(schema, {"a": wrong})
        assert problem.message.startswith(f'the value is not a "{name}"')
        assert problem.message.endswith("(schemaPath /properties/a/format)")

    @pytest.mark.parametrize(
        ("schema", "message"),
        [
            ({"format": "date"}, 'the value is not a "date"; write a date such as 2026-01-31'),
            (
                {"format": "date-time"},
                (
                    'the value is not a "date-time"; write a date and time with an offset such as '
                    "2026-01-31T10:00:00Z"
                ),
            ),
            ({"format": "uuid"}, 'the value is not a "uuid"'),
            ({"pattern": "^x"}, 'the value does not match "^x"'),
        ],
    )
    def test_a_message_about_a_date_says_its_form(self, schema: dict[str, Any], message: str) -> None:
        (problem,) = violations({"type": "object", "properties": {"a": schema}}, {"a": "3/15/2026"})
        assert problem.message.partition(" (")[0] == message

    @pytest.mark.parametrize("name", ["ipv4", "hostname", "regex", "time", "idn-email", "currency"])
    def test_other_formats_are_notes(self, name: str) -> None:
        assert violations({"type": ["string"], "format": name}, "((") == []

    def test_a_property_called_format_is_no_format(self) -> None:
        schema = {"type": "object", "properties": {"format": {"type": "string", "format": "time"}}}
        assert violations(schema, {"format": "x"}) == []
        assert len(violations(schema, {"format": 5})) == 1
        assert len(violations({"type": "object", "const": {"format": "time"}}, {})) == 1

    def test_a_value_is_not_quoted_in_a_message(self) -> None:
        (problem,) = violations(
            {"type": "object", "properties": {"card": {"type": "integer"}}}, {"card": "4111"}
        )
        assert "4111" not in problem.message

    def test_a_long_message_is_cut(self) -> None:
        (problem,) = violations({"type": "object", "properties": {"x": {"enum": ["y" * 5000]}}}, {"x": 1})
        assert len(problem.message) < 400
        assert problem.message.endswith("... (schemaPath /properties/x/enum)")

    def test_every_place_of_an_invalid_schema_is_reported_once(self) -> None:
        schema = {"type": "object", "properties": {"a/b": {"minimum": "x"}, "c": {"type": "objet"}, "d": 5}}
        problems = check_schema(schema, pointer="/settings")
        assert places(problems) == [
            "/settings/properties/a~1b/minimum",
            "/settings/properties/c/type",
            "/settings/properties/d",
        ]
        assert {problem.rule for problem in problems} == {"json-schema-invalid"}
        assert problems[0].message == '"x" is not of type "number"'

    @pytest.mark.parametrize(
        ("schema", "message"),
        [
            ({"type": "object", "$ref": "#/$defs/none"}, "Pointer '/$defs/none' does not exist"),
            ({"type": "object", "$ref": "#none"}, "none"),
        ],
    )
    def test_a_reference_to_nothing_is_refused(self, schema: dict[str, Any], message: str) -> None:
        (problem,) = check_schema(schema, pointer="")
        assert message in problem.message

    @pytest.mark.parametrize(
        "dialect", ["http://json-schema.org/draft-07/schema#", "https://example.com/mine", ""]
    )
    def test_another_dialect_is_refused(self, dialect: str) -> None:
        assert places(check_schema({"$schema": dialect, "type": "object"}, pointer="")) == ["/$schema"]

    def test_half_a_surrogate_pair_is_refused_as_schema_and_as_value(self) -> None:
        assert places(check_schema({"type": "object", "required": ["\ud800"]}, pointer="/s")) == ["/s"]
        assert places(check_schema({"type": "object", "properties": {"\ud800": 5}}, pointer="/s")) == ["/s"]
        closed = {"type": "object", "additionalProperties": False}
        assert places(violations(closed, {"\ud800": 1}, pointer="/v")) == ["/v"]

    def test_values_that_are_no_json_are_refused(self) -> None:
        (problem,) = check_schema({"type": "object", "x-note": float("nan")}, pointer="/s")
        assert problem.pointer == "/s"


class TestNothingIsFetched:
    """A reference out of the schema is refused. Sockets are disabled, so a fetch would fail these tests."""

    @pytest.mark.parametrize(
        "target",
        [
            "https://example.com/x.json",
            "http://169.254.169.254/latest",
            "file:///etc/passwd",
            "x.json",
            "//a/b",
            DIALECT,
        ],
    )
    @pytest.mark.parametrize("keyword", ["$ref", "$dynamicRef"])
    def test_a_reference_that_leaves_the_schema_is_refused_at_its_place(
        self, keyword: str, target: str
    ) -> None:
        schema = {"type": "object", "properties": {"a": {"allOf": [{keyword: target}]}}}
        assert places(check_schema(schema, pointer="/s")) == [f"/s/properties/a/allOf/0/{keyword}"]

    def test_a_base_uri_is_never_fetched(self) -> None:
        schema = {"$id": "https://example.com/a", "type": "object", "properties": {"a": {"$ref": "b"}}}
        assert places(check_schema(schema, pointer="")) == ["/properties/a/$ref"]

    def test_a_reference_hidden_from_the_search_is_refused_by_the_library(self) -> None:
        schema = {"type": "object", "properties": {"const": {"$ref": "https://example.com/x"}}}
        (problem,) = check_schema(schema, pointer="/s")
        assert problem.message.endswith("https://example.com/x is outside the schema")

    def test_a_reference_among_plain_data_is_data(self) -> None:
        schema = {"type": "object", "properties": {"a": {"const": {"$ref": "https://example.com/x"}}}}
        assert check_schema(schema, pointer="") == []
        assert violations(schema, {"a": {"$ref": "https://example.com/x"}}) == []

    def test_a_member_named_ref_is_a_member(self) -> None:
        assert check_schema({"type": "object", "properties": {"$ref": {"type": "string"}}}, pointer="") == []


class TestBoundedWork:
    """Neither a schema nor a value makes a check take long or ends the process."""

    def test_a_pattern_does_not_backtrack(self) -> None:
        schema = {"type": "object", "properties": {"a": {"pattern": "^(a+)+$"}}}
        assert places(violations(schema, {"a": "a" * 50_000 + "!"})) == ["/a"]

    @pytest.mark.parametrize("pattern", ["(?=a)b", r"(a)\1", "(", "(((a{100}){100}){100}){100}"])
    def test_a_pattern_with_lookahead_is_refused(self, pattern: str) -> None:
        schema = {"type": "object", "properties": {"a": {"pattern": pattern}}}
        assert places(check_schema(schema, pointer="")) == ["/properties/a/pattern"]
        (problem,) = check_schema({"type": "object", "patternProperties": {pattern: {}}}, pointer="/s")
        assert (
            problem.message
            == "must be a regular expression of moderate size, without look-around and back-references"
        )

    def test_the_patterns_of_a_schema_share_their_memory(self) -> None:
        name = r"^[\p{L} ]{2,100}$"
        one = {"type": "object", "properties": {"a": {"pattern": name}}}
        two = {**one, "patternProperties": {"^x": {"pattern": name}}}
        assert rules(one) == set()
        assert rules(two) == {"json-schema-invalid"}

    @pytest.mark.parametrize(
        ("schema", "expected"),
        [
            ({"type": "object", "allOf": [{"$ref": "#"}]}, ["/allOf/0/$ref"]),
            ({"type": "object", "not": {"$ref": "#/not"}}, ["/not/$ref"]),
            ({"type": "object", "allOf": [{"$ref": "#/allOf/0"}]}, ["/allOf/0/$ref"]),
            (
                {
                    "type": "object",
                    "$defs": {"a~/%": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a~0~1%25"}},
                },
                ["/$defs/a~0~1%/$ref", "/$defs/b/$ref"],
            ),
            (
                {"type": "object", "$dynamicAnchor": "node", "allOf": [{"$dynamicRef": "#node"}]},
                ["/allOf/0/$dynamicRef"],
            ),
            ({"type": "array", "items": {"$anchor": "a", "if": {"$ref": "#a"}}}, ["/items/if/$ref"]),
            (
                {
                    "type": "object",
                    "properties": {"a": {"dependentSchemas": {"x": {"$ref": "#/properties/a"}}}},
                },
                ["/properties/a/dependentSchemas/x/$ref"],
            ),
        ],
    )
    def test_a_loop_of_references_is_refused(self, schema: dict[str, Any], expected: list[str]) -> None:
        assert places(check_schema(schema, pointer="")) == expected

    def test_recursive_references_into_the_value_are_allowed(self) -> None:
        tree = {
            "type": "object",
            "properties": {"left": {"$ref": "#"}, "right": {"$ref": "#"}},
            "prefixItems": [{"$ref": "#"}],
            "patternProperties": {"^kid": {"$ref": "#"}},
            "unevaluatedProperties": False,
        }
        value: dict[str, Any] = {"left": {}, "right": {"kid": {}}}
        for _ in range(30):
            value = {"left": value, "right": {}}
        assert check_schema(tree, pointer="") == []
        assert violations(tree, value) == []
        assert places(violations(tree, {"kid1": {"left": {"up": 1}}})) == ["/kid1/left"]
        lists = {"type": "array", "prefixItems": [{"type": "string"}, {"$ref": "#"}], "items": {"$ref": "#"}}
        assert places(violations(lists, ["a", ["b"], [1]])) == ["/2/0"]

    def test_references_that_multiply_are_refused(self) -> None:
        doubled = {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(40)}
        schema = {"type": "object", "$ref": "#/$defs/d0", "$defs": {**doubled, "d40": {}}}
        assert "/$ref" in places(check_schema(schema, pointer=""))
        assert "more than 1000000 schema checks" in violations(schema, {})[0].message

    def test_references_that_multiply_with_the_value_are_limited_by_the_value(self) -> None:
        schema = {"type": "object", "properties": {"x": {"allOf": [{"$ref": "#"}, {"$ref": "#"}]}}}
        value: dict[str, Any] = {}
        for _ in range(10):
            value = {"x": value}
        assert check_schema(schema, pointer="") == []
        assert violations(schema, value) == []
        for _ in range(40):
            value = {"x": value}
        (problem,) = violations(schema, value, pointer="/data")
        assert problem == Problem(
            pointer="/data",
            rule="json-schema",
            message="needs more than 1000000 schema checks (schemaPath /)",
        )

    def test_a_long_chain_of_references_is_refused(self) -> None:
        chain = {f"d{n}": {"$ref": f"#/$defs/d{n + 1}"} for n in range(1000)}
        assert rules({"type": "object", "$defs": {**chain, "d1000": {}}}) == {"json-schema-invalid", "more"}
        short = {name: chain[name] for name in list(chain)[-200:]}
        assert rules({"type": "object", "$defs": {**short, "d1000": {}}}) == set()

    def test_an_id_inside_a_schema_is_refused(self) -> None:
        schema = {"$id": "https://example.com/a", "type": "object", "$defs": {"a": {"$id": "b"}}}
        assert places(check_schema(schema, pointer="")) == ["/$defs/a/$id"]

    def test_a_value_nests_at_most_a_hundred_levels(self) -> None:
        lists = {"type": "array", "items": {"$ref": "#"}}
        assert violations(lists, nested_list(99)) == []
        assert [problem.message for problem in violations(lists, nested_list(50_000))] == [
            "must nest at most 100 levels deep (schemaPath /)"
        ]

    def test_a_schema_nests_at_most_a_hundred_levels(self) -> None:
        assert check_schema({"type": "object", "x-any": nested_list(98)}, pointer="") == []
        (problem,) = check_schema({"type": "object", "x-any": nested_list(50_000)}, pointer="/s")
        assert problem == Problem(
            pointer="/s", rule="json-schema-invalid", message="must nest at most 100 levels deep"
        )

    def test_nested_unevaluated_keywords_are_refused(self) -> None:
        schema: dict[str, Any] = {}
        for level in range(20):
            schema = {"allOf": [schema], "unevaluatedProperties": False}
            assert (check_schema({"type": "object", **schema}, pointer="") == []) is (level < 12)

    def test_at_most_fifty_problems_are_reported_and_the_rest_is_mentioned(self) -> None:
        many = (
            violations({"elements": {"type": "string"}}, [1] * 500),
            violations({"type": "array", "items": {"type": "string"}}, [1] * 500),
            check_schema({"properties": {f"p{n}": 1 for n in range(500)}}, pointer=""),
            check_schema({"type": "object", "properties": {f"p{n}": 1 for n in range(500)}}, pointer=""),
        )
        for problems in many:
            assert len(problems) == MAX_PROBLEMS + 1
            assert problems[-1] == MoreProblems(count=1, is_exact=False)
        assert len(violations({"elements": {"type": "string"}}, [1] * 50)) == 50

    def test_references_into_a_list_are_followed(self) -> None:
        parts = [{"$ref": f"#/allOf/{n + 1}"} for n in range(250)]
        assert check_schema({"type": "object", "allOf": [*parts, {}]}, pointer="") == []
        assert rules({"type": "object", "allOf": [*parts, {"$ref": "#/allOf/x"}]}) == {"json-schema-invalid"}
