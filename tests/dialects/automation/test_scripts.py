"""Scripts in ``{{ }}``: their translation, and carets for invalid ones.

Source: docs/contracts/automation.md A.2; docs/decisions/0025.
"""

from typing import Any

import pytest

from shared.api.automation.durations import DurationError, duration
from shared.api.automation.helpers import FUNCTIONS
from shared.api.automation.scripts import NO_STEP, Scope, ScriptError, Scripts
from shared.domain.strategy.variables import VARIABLES
from shared.expressions import EvaluationError, ResultType, evaluate, render

HTTP = Scope(members={"responseCode": "response.status", "responseBody": "response.body"})
DATA = {
    "name": "Ann",
    "n": 3.0,
    "vip": True,
    "list": ["a", "b"],
    "deep": {"code": 1001.0, "errors": ["first"]},
    "a-b": "dash",
}
RESPONSE = {"status": 404.0, "reason": "Not Found", "body": {"data": "inner", "step": "s"}}


def value_of(text: str, scope: Scope = HTTP) -> Any:
    """Return the value of a text with scripts over DATA, after the step has answered RESPONSE."""
    source = Scripts().value(text, scope)
    return evaluate(source, context(), variables=VARIABLES, returns=ResultType.ANY)


def filled(text: str) -> Any:
    """Return a text with scripts as it is sent."""
    return render(Scripts().template(text), context(), variables=VARIABLES)


def context() -> dict[str, Any]:
    return {"attributes": DATA, "response": RESPONSE, "event": {"idempotencyKey": "i-1-1-1"}, "stack": {}}


def refusal(text: str, scope: Scope = HTTP) -> str:
    with pytest.raises(ScriptError) as caught:
        Scripts().value(text, scope)
    return str(caught.value)


class TestSecrets:
    """A script may be a reference to a secret, in headers, parameters and body of a call only."""

    @pytest.mark.parametrize("script", ["secret.a", " secret.a/b-c#key ", "parameter.a"])
    def test_a_reference_stays_as_it_is(self, script: str) -> None:
        template = Scripts().template(f"Key {{{{{script}}}}}", takes_secrets=True)

        assert template == f"Key {{{{{script.strip()}}}}}"

    def test_a_secret_in_another_place_is_refused(self) -> None:
        with pytest.raises(ScriptError) as caught:
            Scripts().template("https://example.com/{{ secret.a }}")

        assert str(caught.value) == (
            "a secret may be used in headers, parameters and body of an HttpRequest step only:\n secret.a \n ^"
        )

    def test_a_wrong_name_is_refused(self) -> None:
        with pytest.raises(ScriptError, match="the name of a secret must be 1 to 128 letters"):
            Scripts().template("{{secret.../b}}", takes_secrets=True)

    @pytest.mark.parametrize("script", ["secret.a + 'x'", "size(secret.a)", "secret"])
    def test_an_expression_may_not_use_a_secret(self, script: str) -> None:
        with pytest.raises(ScriptError, match="undeclared reference to 'secret"):
            Scripts().template(f"{{{{{script}}}}}", takes_secrets=True)
        assert "secret" in refusal(f"{{{{{script}}}}}")


class TestData:
    """A member of ``data`` is null if it is missing; a member of a missing member is an error."""

    @pytest.mark.parametrize(
        ("script", "value"),
        [
            ("data.name", "Ann"),
            ("data['name']", "Ann"),
            ('data["a-b"]', "dash"),
            ("data['na\\u006de']", "Ann"),
            ("data[r'name']", "Ann"),
            ("data['na' + 'me']", "Ann"),
            ("data.deep.code", 1001),
            ("data.deep.errors[0]", "first"),
            ("data.missing", None),
            ("data.missing == null", True),
            ("data.missing == 'x'", False),
            ("data['missing'] != null", False),
            ("has(data.name)", True),
            ("has(data.missing)", False),
            ("'missing' in data", False),
            ("data.list.exists(one, one == 'b')", True),
            ("size(data)", 6),
            ("data.n == 3", True),
            ("data.n === 3.0", True),
            ("data.name !== 'Bob'", True),
            ("'data.name'", "data.name"),
            ("data.vip ? 'yes' : 'no'", "yes"),
            ("{'data': data.name}.data", "Ann"),
            ("'umid: ' + data.name", "umid: Ann"),
        ],
    )
    def test_a_script_has_this_value(self, script: str, value: Any) -> None:
        assert value_of(f"{{{{{script}}}}}") == value

    def test_a_member_of_a_missing_member_is_an_error(self) -> None:
        source = Scripts().value("{{data.missing.code}}", NO_STEP)

        with pytest.raises(EvaluationError, match="SELECT"):
            evaluate(source, context(), variables=VARIABLES, returns=ResultType.ANY)


class TestStep:
    """``step`` is the result of the step itself, in its outputs and its choice of the next one."""

    @pytest.mark.parametrize(
        ("script", "value"),
        [
            ("step.responseCode", 404),
            ("step['responseCode'] === 404", True),
            ("step.responseBody.data", "inner"),
            ("step.responseBody.step", "s"),
            ("has(step.responseBody.data)", True),
            ("has(step.responseBody.nothing)", False),
        ],
    )
    def test_a_script_has_this_value(self, script: str, value: Any) -> None:
        assert value_of(f"{{{{{script}}}}}") == value

    def test_step_does_not_exist_in_inputs(self) -> None:
        assert refusal("{{1 + step.responseCode}}", NO_STEP) == (
            "`step` does not exist here, it is cleared after each step; save it with `outputs`:\n"
            "1 + step.responseCode\n"
            "    ^"
        )

    @pytest.mark.parametrize("script", ["step.code", "step", "step[data.name]", "step['code']"])
    def test_an_unknown_member_of_step_is_refused(self, script: str) -> None:
        assert refusal(f"{{{{{script}}}}}") == (
            f"this step has only `step.responseCode`, `step.responseBody`:\n{script}\n^"
        )


class TestTexts:
    """A script without text around it keeps the type of its value; otherwise the result is text."""

    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("umid: {{data.name}}", "umid: Ann"),
            ("{{data.name}} and {{data.n}}", "Ann and 3"),
            ("{{ data.deep }}", {"code": 1001, "errors": ["first"]}),
            ("{{data.missing}}", None),
            ("[{{data.missing}}]", "[]"),
            ("{{data.deep.nothing}}", None),
            ("plain", "plain"),
            ("", ""),
            ("${data} \\{{data.name}}", "${data} \\Ann"),
            ("\\", "\\"),
            ("{ {data.name} }", "{ {data.name} }"),
            ("{{ {'a': {'b': 1}}.a.b }}", 1),
            ("{{'}}'}}", "}}"),
        ],
    )
    def test_a_text_that_is_sent_is_filled(self, text: str, value: Any) -> None:
        assert filled(text) == value

    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("umid: {{data.name}}", "umid: Ann"),
            ("plain", "plain"),
            ("", ""),
            ("{{data.vip}}!", "true!"),
            ("[{{data.missing}}]", "[]"),
            ("{{'x'}}{{1}}{{data.n}}", "x13"),
        ],
    )
    def test_an_output_keeps_its_type(self, text: str, value: Any) -> None:
        assert value_of(text) == value

    def test_a_value_with_curly_brackets_is_not_evaluated(self) -> None:
        text = Scripts().template("{{data.evil}}")

        assert render(text, {"attributes": {"evil": "{{attributes.name}} ${1}"}}, variables=VARIABLES) == (
            "{{attributes.name}} ${1}"
        )


class TestUuid:
    """Every place of a definition and every execution has its own UUID; a repeated execution has the same."""

    def test_every_place_has_its_own_uuid(self) -> None:
        scripts = Scripts()
        sources = [scripts.value("{{uuid()}}", NO_STEP), scripts.value("{{uuid( )}}", NO_STEP)]

        def made(key: str) -> list[Any]:
            world = {**context(), "event": {"idempotencyKey": key}}
            return [evaluate(one, world, variables=VARIABLES, returns=ResultType.ANY) for one in sources]

        assert (
            made("i-1-1-1")
            == made("i-1-1-1")
            == [
                "db3821ec-c603-8eb0-a5f7-d4076007794c",
                "ee169870-7171-8cb0-87f5-158f2c3665f5",
            ]
        )
        # Another execution has other UUIDs.
        assert not set(made("i-1-1-1")) & set(made("i-1-1-2"))

    def test_a_uuid_can_be_used_as_text(self) -> None:
        assert str(value_of("{{'id-' + uuid()}}")).startswith("id-")
        assert "uuid" not in str(value_of("{{size(uuid()) == 36 ? 'ok' : uuid()}}"))


class TestDocumentedFunctions:
    """Every example of /steps/functions has the result it states."""

    @pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function["name"])
    def test_a_documented_example_has_its_result(self, function: dict[str, Any]) -> None:
        found = value_of(f"{{{{{function['example']}}}}}")

        assert found is True or function["name"] == "uuid"
        assert function["example"].startswith(f"{function['name']}(")


class TestConditions:
    """A condition is one script with a boolean result."""

    def test_a_condition_is_true_or_false(self) -> None:
        source = Scripts().condition("  {{data.n === 3}} ", NO_STEP)

        assert evaluate(source, context(), variables=VARIABLES, returns=ResultType.BOOL) is True

    @pytest.mark.parametrize("text", ["data.n == 3", "", "{{data.a}}{{data.b}}", "not {{data.vip}}", "true"])
    def test_a_text_that_is_not_one_script_is_no_condition(self, text: str) -> None:
        with pytest.raises(ScriptError, match="a condition must be one script in"):
            Scripts().condition(text, NO_STEP)

    def test_a_condition_that_is_not_boolean_is_refused(self) -> None:
        with pytest.raises(ScriptError, match="this must return bool, it returns string"):
            Scripts().condition("{{'yes'}}", NO_STEP)


class TestInvalidScripts:
    """If a script is not CEL over ``data`` and ``step``, it is refused with a caret in the original text."""

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("{{data.x = 3}}", "token recognition error at: '= ':\ndata.x = 3\n       ^"),
            (
                "a {{ data.name === }}",
                (
                    "mismatched input '<EOF>' expecting {'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', "
                    "NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}:\n data.name === \n               ^"
                ),
            ),
            (
                "{{data.n !== 1 && nope()}}",
                "undeclared reference to 'nope':\ndata.n !== 1 && nope()\n                    ^",
            ),
            (
                "{{attributes.name}}",
                "undeclared reference to 'attributes.name':\nattributes.name\n          ^",
            ),
            ("{{event.attempt}}", "undeclared reference to 'event.attempt':\nevent.attempt\n     ^"),
            ("{{now}}", "undeclared reference to 'now':\nnow\n^"),
            ("{{(x) => x}}", "this is JavaScript"),
            ("{{data.name", "the script is not closed:\n{{data.name\n^"),
            ("x {{data.name}", "the script is not closed:\nx {{data.name}\n  ^"),
            ("{{ '}} }}", "the script is not closed:\n{{ '}} }}\n^"),
            ("{{}}", "mismatched input '<EOF>'"),
            ("{{isDayOfWeek(1, 'Monday')}}", "found no matching overload for 'isDayOfWeek'"),
            ("{{uuid(1)}}", "found no matching overload for 'uuid'"),
        ],
    )
    def test_a_script_has_this_value(self, text: str, expected: str) -> None:
        assert refusal(text).startswith(expected)

    def test_the_caret_is_under_the_right_line_of_several(self) -> None:
        assert refusal("{{data.a === 1\n  && nope}}").endswith("\n  && nope\n     ^")

    def test_a_script_has_at_most_a_thousand_characters(self) -> None:
        longest = "'" + "x" * 998 + "'"

        assert value_of(f"{{{{{longest}}}}}") == "x" * 998
        assert refusal(f"{{{{{longest} }}}}") == "a script must have at most 1000 characters, not 1001"


class TestDurations:
    """A duration is d.HH:mm:ss, HH:mm:ss, or a number of days."""

    @pytest.mark.parametrize(
        ("value", "found"),
        [
            ("0.00:01:00", {"unit": "minutes", "amount": 1}),
            ("1.6:30:15", {"unit": "seconds", "amount": 109_815}),
            ("1.06:30:15", {"unit": "seconds", "amount": 109_815}),
            ("00:30:00", {"unit": "minutes", "amount": 30}),
            ("5:00:00", {"unit": "hours", "amount": 5}),
            ("2", {"unit": "days", "amount": 2}),
            (2, {"unit": "days", "amount": 2}),
            ("00:00:00", {"unit": "days", "amount": 0}),
            ("365.00:00:00", {"unit": "days", "amount": 365}),
            ("11.13:46:39", {"unit": "seconds", "amount": 999_999}),
        ],
    )
    def test_a_duration_is_read_in_its_largest_unit(self, value: Any, found: dict[str, Any]) -> None:
        assert duration(value) == found

    @pytest.mark.parametrize(
        "value",
        ["", "x", "24:00:00", "00:60:00", "00:00:60", "1:00", "-1", 1.5, None, True, "{{data.x}}", "1.2"],
    )
    def test_a_text_that_is_no_duration_is_refused(self, value: Any) -> None:
        with pytest.raises(DurationError, match=r"must be d\.HH:mm:ss, HH:mm:ss or a number of days"):
            duration(value)

    @pytest.mark.parametrize("value", ["12.00:00:01", "9999999", "700.00:01:00"])
    def test_a_duration_that_is_too_long_is_refused(self, value: str) -> None:
        with pytest.raises(DurationError, match="at most 1000000"):
            duration(value)
