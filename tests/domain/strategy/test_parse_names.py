"""Names that templates and expressions use must exist. Source: docs/contracts/core.md section 4.1."""

from typing import Any

import pytest

from shared.domain.errors import Problem
from shared.domain.strategy.parse_names import (
    Use,
    unknown_directives,
    uses_in_expression,
    uses_in_template,
)
from shared.domain.strategy.variables import DIRECTIVES
from shared.domain.validation.closed import closed_members
from tests.domain.strategy.definitions import problems
from tests.factories import hours, settings, step, task

CLOSED: dict[str, Any] = {"properties": {"email": {"type": "string"}, "due": {"type": "timestamp"}}}
KNOWN = ", ".join(sorted(DIRECTIVES))


def found(*tasks: dict[str, Any], **members: Any) -> list[tuple[str, str]]:
    return [(one.pointer, one.message) for one in problems(settings(*tasks, **members))]


def with_data(text: str, **members: Any) -> dict[str, Any]:
    """Return settings whose only action sends this text."""
    whole = settings(task("charge", step("pay"), **members.pop("of_task", {})), **members)
    whole["actions"] = [{**whole["actions"][1], "data": {"a": text}}]
    return whole


class TestSteps:
    """A step on the stack must belong to the task or, for an action, to the tasks that call it."""

    @pytest.mark.parametrize(
        ("text", "caret"),
        [
            ("{{stack.nosuch.response.id}}", "{{stack.nosuch.response.id}}\n^"),
            ("a {{ stack.nosuch }}", "a {{ stack.nosuch }}\n  ^"),
            ("${stack.nosuch.response}", "${stack.nosuch.response}\n  ^"),
            ('${stack["nosuch"].success}', '${stack["nosuch"].success}\n  ^'),
            ("${has(stack.nosuch) ? 1 : 2}", "${has(stack.nosuch) ? 1 : 2}\n      ^"),
        ],
    )
    def test_an_unknown_step_is_reported_where_it_is_used(self, text: str, caret: str) -> None:
        assert problems(with_data(text)) == [
            Problem(
                pointer="/actions/0/data/a",
                rule="reference",
                message="there is no step 'nosuch'",
                caret=caret,
            )
        ]

    @pytest.mark.parametrize(
        "text",
        [
            "{{stack.pay.response.id}}",
            '${stack["pay"].success && stack.pay.response != null}',
            "${stack['p' + 'ay'] == null}",
            "${'stack.nosuch' + string(size(stack))}",
            '${"nosuch" in stack}',
            "{{event.data.stack.nosuch}}",
            "\\{{stack.nosuch}}",
        ],
    )
    def test_known_and_computed_names_are_accepted(self, text: str) -> None:
        assert problems(with_data(text)) == []

    def test_a_close_name_is_suggested(self) -> None:
        (problem,) = problems(with_data("{{stack.Pay.response}}"))

        assert problem.message == "there is no step 'Pay'; did you mean 'pay'?"

    def test_an_action_sees_the_steps_of_the_tasks_that_call_it(self) -> None:
        tasks = (
            task("one", step("a", nextStep="b"), step("b", action="get")),
            task("two", step("c", action="get")),
            task("three", step("d")),
        )
        whole = settings(*tasks)
        for action in whole["actions"]:
            action["params"] = {"x": "{{stack.a}}{{stack.c}}{{stack.d}}"}

        assert [(one.pointer, one.message) for one in problems(whole)] == [
            ("/actions/0/params/x", "there is no step 'd'"),  # get, which one and two call
            ("/actions/1/params/x", "there is no step 'c'"),  # post, which one and three call
        ]

    @pytest.mark.parametrize(
        ("members", "pointer"),
        [
            ({"controllerCallback": '{"response": stack.gone.response}'}, "controllerCallback"),
            (
                {"nextStepRules": [{"if": "onError", "ifCallback": "stack.gone.success", "nextStep": "b"}]},
                "nextStepRules/0/ifCallback",
            ),
            (
                {
                    "delay": {
                        **hours(1),
                        "retryEventCallback": '{"unit": "days", "amount": int(stack.gone.response)}',
                    }
                },
                "delay/retryEventCallback",
            ),
        ],
    )
    def test_callbacks_of_a_step_see_the_steps_of_their_task(
        self, members: dict[str, Any], pointer: str
    ) -> None:
        tasks = (task("one", step("a", nextStep="b", **members), step("b")), task("two", step("gone")))

        assert found(*tasks) == [(f"/tasks/0/steps/0/{pointer}", "there is no step 'gone'")]

    def test_outputs_see_the_steps_of_their_task(self) -> None:
        outputs = {"id": "{{stack.only.response.id}}", "no": "{{stack.none.response}}"}

        assert found(task("charge", outputs=outputs)) == [("/tasks/0/outputs/no", "there is no step 'none'")]


class TestAttributes:
    """If the schema of the attributes is closed, only its members may be used."""

    @pytest.mark.parametrize(
        "text",
        [
            "{{attributes.emial}}",
            "{{instance.attributes.emial}}",
            "${attributes.emial}",
            "${attributes['emial'] + ''}",
            "${instance.attributes.emial}",
            "${has(attributes.emial)}",
        ],
    )
    def test_a_misspelled_attribute_is_reported(self, text: str) -> None:
        (problem,) = problems(with_data(text, instanceValidation=CLOSED))

        assert (problem.pointer, problem.rule) == ("/actions/0/data/a", "reference")
        assert problem.message == "the schema of the attributes has no 'emial'; did you mean 'email'?"

    @pytest.mark.parametrize(
        "schema", [None, {}, {**CLOSED, "additionalProperties": True}, {"type": "object", "properties": {}}]
    )
    def test_an_open_schema_allows_every_attribute(self, schema: dict[str, Any] | None) -> None:
        assert problems(with_data("{{attributes.emial}}", instanceValidation=schema)) == []

    @pytest.mark.parametrize(
        "text", ["{{attributes.email}}", "${attributes.due}", "{{event.data.attributes.x}}", "{{attributes}}"]
    )
    def test_members_of_a_closed_schema_are_accepted(self, text: str) -> None:
        assert problems(with_data(text, instanceValidation=CLOSED)) == []

    def test_every_delta_counts_from_a_known_attribute(self) -> None:
        whole = settings(instanceValidation=CLOSED)
        whole["schedule"]["initialDelay"] = {**hours(1), "from": "duue"}
        whole["onCreateTasks"] = [
            {"task": "charge", "delayBy": {**hours(1), "from": "due"}, "createIf": "attributes.vip == true"}
        ]

        assert [(one.pointer, one.message, one.caret) for one in problems(whole)] == [
            (
                "/onCreateTasks/0/createIf",
                "the schema of the attributes has no 'vip'",
                "attributes.vip == true\n^",
            ),
            (
                "/schedule/initialDelay/from",
                "the schema of the attributes has no 'duue'; did you mean 'due'?",
                None,
            ),
        ]

    def test_closed_days_are_in_a_known_attribute(self) -> None:
        whole = settings(instanceValidation=CLOSED)
        days = {"convention": "following", "closed": "duue"}
        whole["schedule"]["calendars"][0]["businessDays"] = days
        whole["tasks"][0]["retryConfig"] = {"times": 1, "retryAfter": {**hours(1), "businessDays": days}}

        assert [(one.pointer, one.message) for one in problems(whole)] == [
            (
                f"/{place}/businessDays/closed",
                "the schema of the attributes has no 'duue'; did you mean 'due'?",
            )
            for place in ("schedule/calendars/0", "tasks/0/retryConfig/retryAfter")
        ]
        days["closed"] = "due"
        assert problems(whole) == []

    def test_a_request_validation_is_checked_too(self) -> None:
        whole = settings(instanceValidation=CLOSED)
        whole["services"][0]["methods"][0]["requestValidation"] = "attributes.vip == true"
        whole["services"][0]["methods"][1]["requestValidation"] = '{"properties": {"attributes": {}}}'

        assert [one.pointer for one in problems(whole)] == ["/services/0/methods/0/requestValidation"]


class TestMembers:
    """``instance`` and ``event`` have the members that the documentation lists."""

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            (
                "{{event.attemptLeft}}",
                "the variable event has no 'attemptLeft'; did you mean 'attemptsLeft'?",
            ),
            (
                '${event["attempts_left"]}',
                "the variable event has no 'attempts_left'; did you mean 'attemptsLeft'?",
            ),
            ("{{instance.nextdate}}", "the variable instance has no 'nextdate'; did you mean 'nextDate'?"),
            ("{{instance.zip}}", "the variable instance has no 'zip'"),
        ],
    )
    def test_a_misspelled_member_is_reported(self, text: str, message: str) -> None:
        assert [(one.rule, one.message) for one in problems(with_data(text))] == [("reference", message)]

    @pytest.mark.parametrize(
        "text",
        [
            "{{event.attemptsLeft}} until {{event.nextRetryAt}}",
            "{{instance.nextDate}} {{instance.stoppedReason}} {{instance.attributes.zip}}",
            "{{event.data.anything}}",
            '${response.filter(event, event.kind == "paid")}',
        ],
    )
    def test_known_members_are_accepted(self, text: str) -> None:
        assert problems(with_data(text)) == []


class TestDirectives:
    """The names in a map that a controller's expression returns are directives."""

    @pytest.mark.parametrize(
        ("source", "unknown"),
        [
            ('{"respnse": 1}', [("respnse", 1)]),
            ("{'cancelInstances': 'x', 'fail': 'y'}", [("cancelInstances", 1)]),
            ('attempt > 1 ? {"fail": "x"} : {"fial": "x"}', [("fial", 31)]),
            ('attempt > 1 ? {} : (cycle > 1 ? {"a": 1} : {"b": 2})', [("a", 33), ("b", 44)]),
            ('{"attributes": {"price": 1}, "response": {"x": {"y": 1}}}', []),
            ('{"response": {"a": 1}}["response"]', []),
            ('{"a": {"fail": "x"}}.a', []),
            ('"x" in {"x": 1} ? {} : {"fail": "x"}', []),
            ('merge({"x": 1})', []),
            ("response", []),
            ('{"response": [1].map(x, {"id": x})}', []),
            ("{'res' + 'ponse': 1}", []),
            ('{"fail": "unbalanced"', []),
            (")}{", []),
        ],
    )
    def test_an_unknown_name_is_found(self, source: str, unknown: list[tuple[str, int]]) -> None:
        assert list(unknown_directives(source)) == unknown

    def test_an_unknown_directive_is_reported_with_its_position(self) -> None:
        callback = '{"cancelInstances": "lapsed"}'
        assert problems(settings(task("charge", step("pay", controllerCallback=callback)))) == [
            Problem(
                pointer="/tasks/0/steps/0/controllerCallback",
                rule="directive",
                message=f"there is no directive 'cancelInstances'; there are {KNOWN}",
                caret=f"{callback}\n ^",
            )
        ]

    @pytest.mark.parametrize("name", sorted(DIRECTIVES))
    def test_every_directive_is_known(self, name: str) -> None:
        assert list(unknown_directives(f'{{"{name}": null}}')) == []


class TestUses:
    """Names are found where they are used, not inside texts or as members of other values."""

    @pytest.mark.parametrize(
        ("source", "uses"),
        [
            ("stack.a.response + stack['b'].x", [Use("stack", "a", 0), Use("stack", "b", 19)]),
            ("attributes.exists(k, k == 'x')", []),
            ("stack", []),
            ("stack[name].x", []),
            ("stack['a\\n'].x", []),
            ('stack["""a"""].x', []),
            ("response.stack.a", []),
            (
                "instance.attributes.a == attributes.b",
                [Use("instance", "attributes", 0), Use("attributes", "a", 9), Use("attributes", "b", 25)],
            ),
            ("event.run + instance['cycle']", [Use("event", "run", 0), Use("instance", "cycle", 12)]),
            ("response.filter(event, event.kind == 'paid')", []),
            ("response.all(stack, stack.a) && event.run > 1", [Use("event", "run", 32)]),
            ("event.map", [Use("event", "map", 0)]),
            ("response.instance.x.attributes.b", []),
        ],
    )
    def test_an_expression_uses_names(self, source: str, uses: list[Use]) -> None:
        assert list(uses_in_expression(source)) == uses

    @pytest.mark.parametrize("template", ["{{stack", "${stack.a", "plain", "{{stack}}", "{{date}}"])
    def test_a_template_without_such_a_name_uses_none(self, template: str) -> None:
        assert list(uses_in_template(template)) == []


class TestUnreadableSettings:
    """Parts of another form than declared are left to the other checks."""

    @pytest.mark.parametrize("name", ["tasks", "actions", "services", "schedule", "instanceValidation"])
    @pytest.mark.parametrize("value", [None, 1, "x", [1], [{"steps": 1}], {"a": 1}, [[]]])
    def test_any_value_is_examined_without_an_error(self, name: str, value: Any) -> None:
        problems(settings(**{name: value}))


class TestClosedMembers:
    """A schema is closed if an object under it may have its named members only."""

    @pytest.mark.parametrize(
        ("schema", "names"),
        [
            ({"properties": {"a": {}}}, {"a"}),
            ({"optionalProperties": {"a": {}}, "properties": {"b": {}}}, {"a", "b"}),
            ({"properties": {}, "additionalProperties": False}, set()),
            ({"properties": {"a": {}}, "additionalProperties": True}, None),
            ({"ref": "x", "definitions": {"x": {"properties": {"a": {}}}}}, {"a"}),
            ({"ref": "y", "definitions": {"x": {}}}, None),
            ({"ref": "x", "definitions": {"x": {"ref": "x"}}}, None),
            (
                {"discriminator": "t", "mapping": {"p": {"properties": {"a": {}}}, "q": {"properties": {}}}},
                {"t", "a"},
            ),
            (
                {"discriminator": "t", "mapping": {"p": {"properties": {}, "additionalProperties": True}}},
                None,
            ),
            ({"values": {"type": "string"}}, None),
            ({}, None),
            (None, None),
            ("x", None),
            ({"type": "object", "properties": {"a": {}}, "additionalProperties": False}, {"a"}),
            ({"type": "object", "additionalProperties": False}, set()),
            ({"type": "object", "properties": {"a": {}}}, None),
            ({"type": "object", "additionalProperties": False, "patternProperties": {"x": {}}}, None),
            ({"type": "object", "additionalProperties": False, "properties": 1}, None),
        ],
    )
    def test_the_members_are_known_or_not(self, schema: Any, names: set[str] | None) -> None:
        assert closed_members(schema) == names
