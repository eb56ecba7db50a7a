"""Warnings about valid settings. Source: docs/contracts/core.md section 1.3; docs/concepts.md."""

from typing import Any, ClassVar

import pytest

from shared.domain.strategy.parse import stored_definition
from shared.domain.strategy.save_warnings import MAX_WARNINGS, warnings_of
from shared.domain.validation.formats import unchecked_formats
from shared.domain.validation.json_schema import FORMATS
from tests.factories import hours, rule, settings, step, strategy_from, task

RETRY: dict[str, Any] = {"times": 3, "retryAfter": hours(1)}
PAUSE: dict[str, Any] = {"times": 0, "pauseBeforeCancel": True}


def warned(*tasks: dict[str, Any], **members: Any) -> list[tuple[str, str]]:
    found = warnings_of(strategy_from(settings(*tasks, **members)).definition)
    return [(warning.pointer, warning.rule) for warning in found]


class TestNoRetry:
    """One failed call of a main task without retries cancels the instance for good."""

    def test_a_main_task_without_retries_is_warned_about(self) -> None:
        (warning,) = warnings_of(strategy_from(settings()).definition, pointer="/settings")

        assert (warning.pointer, warning.rule, warning.message) == (
            "/settings/tasks/0",
            "no-retry",
            (
                "one failed call of step 'only' cancels the instance for good; add a retryConfig, for example "
                '{"times": 3, "retryAfter": {"unit": "hours", "amount": 1}}, or pauseBeforeCancel'
            ),
        )

    @pytest.mark.parametrize(
        "members", [{"retryConfig": RETRY}, {"retryConfig": PAUSE}, {"retryConfig": {**RETRY, "times": 1}}]
    )
    def test_retries_or_a_pause_of_the_task_are_enough(self, members: dict[str, Any]) -> None:
        assert warned(task("charge", **members)) == []

    @pytest.mark.parametrize(
        "members",
        [
            {"retryConfig": RETRY},
            {"optional": True},
            {"nextStepRules": [rule("onError", "last")]},
        ],
    )
    def test_a_step_whose_failure_is_handled_is_not_fatal(self, members: dict[str, Any]) -> None:
        steps = (step("pay", nextStep="last", **members), step("last", action=None, controllerCallback="{}"))
        assert warned(task("charge", *steps)) == []

    @pytest.mark.parametrize(
        "members",
        [
            {"retryConfig": {"times": 0}},
            {"nextStepRules": [rule("onError", "last", "attempt > 1")]},
        ],
    )
    def test_a_step_whose_failure_may_be_fatal_is_warned_about(self, members: dict[str, Any]) -> None:
        steps = (step("pay", nextStep="last", **members), step("last", retryConfig=RETRY))
        assert warned(task("charge", *steps)) == [("/tasks/0", "no-retry")]

    def test_the_own_retries_of_a_step_go_before_those_of_the_task(self) -> None:
        one = task("charge", step("pay", retryConfig={"times": 0}), retryConfig=RETRY)
        assert warned(one) == [("/tasks/0", "no-retry")]

    def test_waiting_for_an_answer_can_fail_too(self) -> None:
        assert warned(task("charge", step("ask", action=None, waitForAnswer=hours(1)))) == [
            ("/tasks/0", "no-retry")
        ]

    def test_other_tasks_and_tasks_without_calls_are_not_warned_about(self) -> None:
        decide = task("decide", step("only", action=None, controllerCallback="{}"))
        assert warned(decide, task("mail")) == []


class TestRetriesThatNeverHappen:
    """A rule that handles every error of a step leaves nothing for its retries."""

    STEPS = (step("pay", nextStepRules=[rule("onError", "ask")]), step("ask"))

    def test_a_rule_beside_the_retries_of_the_step_is_warned_about(self) -> None:
        pay = step("pay", retryConfig=RETRY, nextStepRules=[rule("onError", "ask")])
        one = task("charge", pay, step("ask", retryConfig=RETRY))
        (warning,) = warnings_of(strategy_from(settings(one)).definition)

        assert (warning.pointer, warning.rule, warning.message) == (
            "/tasks/0/steps/0/nextStepRules/0",
            "retries-never-happen",
            (
                "handles every error of step 'pay', so the step's retryConfig never applies to it; give the rule an "
                "ifCallback, or leave one of the two out"
            ),
        )

    def test_a_rule_beside_the_retries_of_the_task_is_warned_about(self) -> None:
        (warning,) = warnings_of(
            strategy_from(settings(task("charge", *self.STEPS, retryConfig=RETRY))).definition
        )

        assert "so the task's retryConfig never applies" in warning.message

    @pytest.mark.parametrize(
        "rules",
        [
            [rule("onError", "ask", "attempt > 1")],
            [rule("onBeforeRetry", "ask")],
            [],
        ],
    )
    def test_a_rule_that_leaves_errors_to_the_retries_is_not(self, rules: list[dict[str, Any]]) -> None:
        steps = (step("pay", nextStep="ask", nextStepRules=rules), step("ask"))
        assert warned(task("charge", *steps, retryConfig=RETRY)) == []

    def test_the_rule_itself_is_named_after_others(self) -> None:
        rules = [rule("onError", "ask", "attempt > 1"), rule("onError", "ask")]
        steps = (step("pay", nextStepRules=rules), step("ask"))
        assert warned(task("charge", *steps, retryConfig=RETRY)) == [
            ("/tasks/0/steps/0/nextStepRules/1", "retries-never-happen")
        ]


class TestSidePathOnce:
    """A step of an ``onBeforeRetry`` path with ``repeatOnRetry: false`` is executed before the first retry only."""

    def dunning(self, *, before: str = "onBeforeRetry", **members: Any) -> dict[str, Any]:
        steps = (
            step("pay", nextStepRules=[rule(before, "mail")]),
            step("mail", nextStep="log", nextStepRules=[rule("callback", "extra", "attempt > 1")]),
            step("log", **members),
            step("extra", nextStepRules=[rule("onError", "mail-again")]),
            step("mail-again", nextStep="last"),
            step("last"),
        )
        return task("charge", *steps, retryConfig={**RETRY, "pauseBeforeCancel": True})

    def test_a_step_that_is_executed_once_is_warned_about(self) -> None:
        assert warned(self.dunning(repeatOnRetry=False)) == [
            ("/tasks/0/steps/2/repeatOnRetry", "side-path-once")
        ]

    @pytest.mark.parametrize(
        "members", [{}, {"repeatOnRetry": True}, {"repeatOnRetry": False, "before": "onBeforePause"}]
    )
    def test_other_steps_are_not(self, members: dict[str, Any]) -> None:
        assert warned(self.dunning(**members)) == []


class TestSettingsOfNoRetry:
    """``stopIf`` and ``retryAt`` have no effect without retries."""

    BOTH: ClassVar[dict[str, Any]] = {"stopIf": "true", "retryAt": ["09:00"]}

    def test_each_is_warned_about_where_it_stands(self) -> None:
        pay = step("pay", retryConfig={**PAUSE, "stopIf": "true"}, nextStep="mail")
        one = task("charge", pay, step("mail"), retryConfig={"pauseBeforeCancel": True, **self.BOTH})
        found = warnings_of(strategy_from(settings(one)).definition)

        message = "has no effect, because there are no retries; give times or retryStrategy"
        assert [(warning.pointer, warning.rule, warning.message) for warning in found] == [
            ("/tasks/0/retryConfig/retryAt", "without-retries", message),
            ("/tasks/0/retryConfig/stopIf", "without-retries", message),
            ("/tasks/0/steps/0/retryConfig/stopIf", "without-retries", message),
        ]

    @pytest.mark.parametrize("retry", [{**RETRY, **BOTH}, {"retryStrategy": [hours(1)], **BOTH}, PAUSE])
    def test_retries_are_enough(self, retry: dict[str, Any]) -> None:
        assert warned(task("charge", step("pay", retryConfig=retry), retryConfig=retry)) == []


class TestFormats:
    """A ``format`` that is not checked is warned about."""

    def test_an_unchecked_format_is_warned_about_at_its_place(self) -> None:
        whole = settings(task("charge", retryConfig=RETRY))
        whole["instanceValidation"] = {"type": "object", "properties": {"a/b": {"format": "iban"}}}
        whole["services"][0]["methods"][2]["responseValidation"] = {"type": "object", "format": "hostname"}
        whole["services"][0]["methods"][2]["requestValidation"] = {"type": ["string"], "format": "date"}
        definition = strategy_from(whole).definition

        assert [(one.pointer, one.rule, one.message) for one in warnings_of(definition)] == [
            (
                "/instanceValidation/properties/a~1b/format",
                "format",
                "the format 'iban' is not checked; use a pattern",
            ),
            (
                "/services/0/methods/2/responseValidation/format",
                "format",
                "the format 'hostname' is not checked; use a pattern",
            ),
        ]

    @pytest.mark.parametrize(
        ("schema", "found"),
        [
            ({"type": "object", "properties": {"format": {"type": "string"}}}, []),
            ({"type": "object", "properties": {"format": {"format": "ipv4"}}}, ["/properties/format/format"]),
            ({"type": "object", "enum": [{"format": "ipv4"}], "const": {"format": "x"}}, []),
            ({"type": "array", "prefixItems": [{"format": "time"}]}, ["/prefixItems/0/format"]),
            (
                {"type": "object", "$defs": {"x": {"anyOf": [{"format": "time"}]}}},
                ["/$defs/x/anyOf/0/format"],
            ),
            ({"properties": {"a": {"metadata": {"format": "time"}}}}, []),
            ({"type": "object", "format": 1}, []),
        ],
    )
    def test_formats_are_found_where_schemas_are(self, schema: Any, found: list[str]) -> None:
        assert [pointer for pointer, _ in unchecked_formats(schema)] == found

    @pytest.mark.parametrize("name", FORMATS)
    def test_a_checked_format_is_not_warned_about(self, name: str) -> None:
        assert list(unchecked_formats({"type": "string", "$schema": "x", "format": name})) == []


class TestBounds:
    """Warnings are bounded and in the order of the document."""

    def test_at_most_fifty_warnings_are_returned(self) -> None:
        properties = {f"p{number}": {"format": "time"} for number in range(80)}
        schema = {"type": "object", "properties": properties}

        assert len(warned(instanceValidation=schema)) == MAX_WARNINGS


class TestHolidaysThatEnd:
    """After the last year of its data, a country has no public holidays."""

    def test_a_country_with_few_years_is_warned_about(self) -> None:
        whole = settings(task("charge", retryConfig=RETRY))
        whole["schedule"]["calendars"][0]["businessDays"] = {"convention": "skip", "country": "LK"}
        (warning,) = warnings_of(strategy_from(whole).definition)

        assert (warning.pointer, warning.rule, warning.message) == (
            "/schedule/calendars/0/businessDays/country",
            "holidays-end",
            (
                "the public holidays of LK are known until 2026; after that, list them in holidays or deploy newer "
                "holiday data"
            ),
        )

    def test_each_place_is_warned_about(self) -> None:
        delayed = {**hours(1), "businessDays": {"convention": "following", "country": "LK"}}
        retries = {"times": 2, "retryAfter": delayed, "retryStrategy": [hours(1), delayed]}
        whole = settings(task("charge", step("only", retryConfig=retries), retryConfig=retries))
        whole["schedule"]["calendars"][0]["leadingUpTasks"] = [{"task": "charge", "scheduleBefore": delayed}]

        assert [warning.pointer for warning in warnings_of(strategy_from(whole).definition)] == [
            f"{place}/businessDays/country"
            for place in (
                "/schedule/calendars/0/leadingUpTasks/0/scheduleBefore",
                "/tasks/0/retryConfig/retryAfter",
                "/tasks/0/retryConfig/retryStrategy/1",
                "/tasks/0/steps/0/retryConfig/retryAfter",
                "/tasks/0/steps/0/retryConfig/retryStrategy/1",
            )
        ]

    @pytest.mark.parametrize("more", [{}, {"country": "DE"}, {"country": "JP"}])
    def test_no_country_or_one_with_many_years_is_not(self, more: dict[str, str]) -> None:
        whole = settings(task("charge", retryConfig={"times": 1, "retryStrategy": [hours(1)]}))
        whole["schedule"]["calendars"][0]["businessDays"] = {"convention": "following", **more}

        assert warnings_of(strategy_from(whole).definition) == ()

    def test_a_stored_country_that_the_data_has_lost_is_not(self) -> None:
        whole = settings(task("charge", retryConfig=RETRY))
        whole["schedule"]["calendars"][0]["businessDays"] = {"convention": "following", "country": "XX"}

        assert warnings_of(stored_definition(whole)) == ()
