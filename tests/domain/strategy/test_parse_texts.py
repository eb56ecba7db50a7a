"""Callbacks, templates and schemas are compiled when a definition is saved."""

from typing import Any

import pytest

from shared.domain.errors import Problem
from shared.domain.strategy.parse import read_definition
from tests.domain.strategy.definitions import CONTROLLERS, broken_rules, changed, full, problems

REQUEST = "/services/0/methods/0/requestValidation"
RESPONSE = "/services/0/methods/0/responseValidation"
AUTHORIZATION = "/services/0/authorization/0"

CALLBACKS = [
    ("/schedule/calendars/1/runOnCycleCallback", "bool"),
    ("/onCreateTasks/0/createIf", "bool"),
    ("/tasks/0/steps/0/nextStepRules/1/ifCallback", "bool"),
    (REQUEST, "bool"),
    ("/schedule/calendars/1/nextCycleDateCallback", "timestamp"),
    ("/schedule/initialDelay/retryEventCallback", "map"),
    ("/schedule/calendars/1/leadingUpTasks/0/scheduleBefore/retryEventCallback", "map"),
    ("/tasks/0/steps/0/retryConfig/retryAfter/retryEventCallback", "map"),
    ("/tasks/0/steps/1/delay/retryEventCallback", "map"),
    ("/tasks/0/steps/0/controllerCallback", "map"),
]


class TestCallbacks:
    """A callback is CEL over the declared variables, and returns the type that its place needs."""

    @pytest.mark.parametrize(("pointer", "_"), CALLBACKS)
    def test_a_callback_that_does_not_compile_is_reported(self, pointer: str, _: str) -> None:
        assert problems(changed(pointer, "cycle > 1 && nme == 2", of=full())) == [
            Problem(
                pointer=pointer,
                rule="undeclared",
                message="undeclared reference to 'nme'",
                caret="cycle > 1 && nme == 2\n             ^",
            )
        ]

    @pytest.mark.parametrize(("pointer", "returns"), CALLBACKS)
    def test_a_callback_of_another_type_is_reported(self, pointer: str, returns: str) -> None:
        assert problems(changed(pointer, "attempt", of=full())) == [
            Problem(pointer=pointer, rule="type", message=f"this must return {returns}, it returns int")
        ]

    @pytest.mark.parametrize(("pointer", "_"), CALLBACKS)
    def test_a_callback_in_javascript_is_reported(self, pointer: str, _: str) -> None:
        (found,) = problems(changed(pointer, "(cycle) => { return nothing }", of=full()))
        assert (found.pointer, found.rule) == (pointer, "javascript")
        assert found.caret == "(cycle) => { return nothing }\n        ^"

    def test_javascript_is_answered_with_its_cel_form(self) -> None:
        pointer = "/schedule/calendars/1/runOnCycleCallback"
        (found,) = problems(changed(pointer, "({cycle}) => cycle % 12 === 0", of=full()))
        assert found.message == "this is JavaScript; write CEL: `cycle % 12 == 0`"

    @pytest.mark.parametrize("pointer", ["/tasks/0/steps/0/controllerCallback", REQUEST])
    def test_an_expression_has_1_to_4096_characters(self, pointer: str) -> None:
        assert broken_rules(changed(pointer, "x" * 4096, of=full())) == [(pointer, "undeclared")]
        assert broken_rules(changed(pointer, "x" * 4097, of=full())) == [(pointer, "too-long")]
        assert broken_rules(changed(pointer, "", of=full())) == [(pointer, "empty")]


class TestTemplates:
    """Every string in headers, params, data and attributes is a template; a problem points to its string."""

    @pytest.mark.parametrize("place", ["/actions/0", AUTHORIZATION])
    @pytest.mark.parametrize("below", ["/headers/X-A", "/params/p", "/attributes/a-b", "/data/list/1/c~0d"])
    @pytest.mark.parametrize(
        ("text", "rule", "caret"),
        [
            ("a ${cycle + }", "syntax", "cycle + \n        ^"),
            ("a ${cycle", "template", "a ${cycle\n  ^"),
            ("{{}}", "template", "{{}}\n^"),
            ("a {{nothing.there}}", "undeclared", "a {{nothing.there}}\n  ^"),
        ],
    )
    def test_a_broken_template_is_reported_at_its_string(
        self, place: str, below: str, text: str, rule: str, caret: str
    ) -> None:
        settings = full()
        entry = (
            settings["actions"][0] if place == "/actions/0" else settings["services"][0]["authorization"][0]
        )
        entry["headers"] = {"X-A": "x"}
        entry["params"] = {"p": "x"}
        entry["attributes"]["a-b"] = "x"
        service = settings["services"][0]
        target: Any = service["methods"][0] if place == "/actions/0" else service["authorization"][0]
        target["url"] = target["url"].replace("/:", "/:a-b/:")
        entry["data"] = {"list": [0, {"c~d": "x"}]}
        assert problems(settings) == []
        member, *rest = below[1:].split("/")
        target = entry[member]
        for name in rest[:-1]:
            target = target[int(name)] if isinstance(target, list) else target[name]
        target[rest[-1].replace("~1", "/").replace("~0", "~")] = text
        assert [(found.pointer, found.rule, found.caret) for found in problems(settings)] == [
            (place + below, rule, caret)
        ]

    def test_every_broken_placeholder_is_reported(self) -> None:
        settings = changed("/actions/0/data", {"x": "{{one}} {{two}}"})
        assert broken_rules(settings) == [
            ("/actions/0/data/x", "undeclared"),
            ("/actions/0/data/x", "undeclared"),
        ]

    def test_data_may_be_any_json_and_keeps_its_nulls(self) -> None:
        data = {"a": [None, True, 1.5, "x", {"b": None}], "c": None}
        definition = read_definition(changed("/actions/0/data", data), environment="dev")
        assert definition.actions["charge-card"].data == data

    @pytest.mark.parametrize("place", ["/actions/0", AUTHORIZATION])
    def test_data_nests_at_most_32_levels(self, place: str) -> None:
        data: Any = "{{nothing}}"
        for _ in range(32):
            data = {"a": data}
        assert broken_rules(changed(f"{place}/data", data, of=full())) == [
            (f"{place}/data{'/a' * 32}", "undeclared")
        ]
        assert problems(changed(f"{place}/data", {"a": data}, of=full())) == [
            Problem(pointer=f"{place}/data", rule="too-deep", message="must nest at most 32 levels deep")
        ]


class TestSchemas:
    """Schemas are valid JSON Type Definition or JSON Schema."""

    @pytest.mark.parametrize("pointer", ["/instanceValidation", REQUEST, RESPONSE])
    @pytest.mark.parametrize(
        ("schema", "below", "rule"),
        [
            ({"properties": {"a": {"type": "text"}}}, "/properties/a/type", "jtd-schema"),
            ({"unknown": 1}, "/unknown", "jtd-schema"),
            ({"type": "object", "required": "a"}, "/required", "json-schema-invalid"),
        ],
    )
    def test_invalid_schemas_are_reported(
        self, pointer: str, schema: dict[str, object], below: str, rule: str
    ) -> None:
        settings = changed(pointer, schema, of=full())
        broken = [found for found in broken_rules(settings) if found[1] != "reference"]
        assert broken == [(pointer + below, rule)]

    @pytest.mark.parametrize("pointer", ["/instanceValidation", REQUEST, RESPONSE])
    @pytest.mark.parametrize("schema", [{}, {"values": {"type": "string"}}, {"type": "object"}])
    def test_valid_schemas_are_accepted(self, pointer: str, schema: dict[str, object]) -> None:
        assert problems(changed(pointer, schema, of=full())) == []


class TestRequestValidation:
    """JSON text with an object is a schema; any other text is a callback."""

    def read(self, value: object) -> object:
        settings = changed(REQUEST, value, of=full())
        return (
            read_definition(settings, environment="dev", controllers=CONTROLLERS)
            .services["billing"]
            .methods["charge"]
            .request_validation
        )

    @pytest.mark.parametrize(
        "text", ['{"type": "object"}', ' { "type" :\n"object" } ', '{"type": "\\u006fbject"}']
    )
    def test_json_text_is_read_as_a_schema(self, text: str) -> None:
        assert self.read(text) == {"type": "object"}

    @pytest.mark.parametrize("text", ["true", "attributes.vip == true", '"a" in attributes'])
    def test_other_text_is_read_as_a_callback(self, text: str) -> None:
        assert self.read(text) == text

    def test_a_schema_as_text_may_be_long(self) -> None:
        assert self.read('{"enum": ["' + "x" * 5000 + '"]}') == {"enum": ["x" * 5000]}

    def test_problems_of_a_schema_as_text_have_the_pointer_of_the_text(self) -> None:
        assert problems(changed(REQUEST, '{"elements": {"type": "text"}}', of=full())) == [
            Problem(
                pointer=REQUEST,
                rule="jtd-schema",
                message="in the JSON text at '/elements/type': type must be one of boolean, float32, float64, "
                "int8, uint8, int16, uint16, int32, uint32, string, timestamp",
            )
        ]

    @pytest.mark.parametrize(
        ("text", "rule"),
        [
            ('{"enum": ["\\ud800"]}', "text"),
            ('{"metadata": {"a": 1e999}}', "range"),
            ('{"metadata": ' + '{"a": ' * 128 + "1" + "}" * 128 + "}", "too-deep"),
            ("5", "type"),
            ("[" * 2000 + "]" * 2000, "too-deep"),
            ("[" * 5000 + "]" * 5000, "too-long"),
        ],
    )
    def test_text_that_is_neither_is_reported(self, text: str, rule: str) -> None:
        assert broken_rules(changed(REQUEST, text, of=full())) == [(REQUEST, rule)]

    @pytest.mark.parametrize("value", [True, 1, []])
    def test_values_of_another_type_are_reported(self, value: object) -> None:
        assert problems(changed(REQUEST, value, of=full())) == [
            Problem(pointer=REQUEST, rule="type", message="must be a schema or an expression")
        ]
