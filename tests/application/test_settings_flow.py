"""Every setting of services, tasks, steps and actions has an effect.

Each test runs the same instance under two settings that differ only in the marked fields, and compares the results.
tests/docs/test_settings_table.py checks that every setting has such a test.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.domain.errors import InvalidInputError
from shared.domain.limits.state import Member, micros_of
from shared.domain.steps.call import Answered
from tests.application.lives import (
    BUSY,
    DAY,
    DECLINED,
    OK,
    ON,
    SILENT,
    START,
    Life,
    authorized,
    both,
    retried,
    settings_with,
    two_steps,
)
from tests.domain.strategy.definitions import changed


class TestServices:
    """``services[]``: the addresses of a service, and how its token is fetched."""

    @pytest.mark.setting("BaseUrl.url")
    def test_the_base_url_is_the_beginning_of_every_address(self) -> None:
        before, after = both("/services/0/baseUrls/0/url", "https://other.example.test/v2")
        assert before.requests[0].url == "https://billing.example.test/charges"
        assert after.requests[0].url == "https://other.example.test/v2/charges"

    @pytest.mark.setting("BaseUrl.environment")
    def test_the_base_url_of_the_environment_is_used(self) -> None:
        urls = [
            {"environment": "dev", "url": "https://one.example.test"},
            {"environment": "prod", "url": "https://two.example.test"},
        ]
        of = settings_with("/services/0/baseUrls", urls)
        of["services"][1]["baseUrls"][0]["environment"] = "dev"
        swapped = changed(
            "/services/0/baseUrls/1/environment",
            "dev",
            of=changed("/services/0/baseUrls/0/environment", "qa", of=of),
        )
        assert Life(of).requests[0].url == "https://one.example.test/charges"
        assert Life(swapped).requests[0].url == "https://two.example.test/charges"

    @pytest.mark.setting("Authorization.environment")
    def test_the_authorization_of_the_environment_is_used(self) -> None:
        before, after = both("/services/0/authorization/0/environment", "prod", of=authorized())
        assert before.requests[0].credential is not None
        assert after.requests[0].credential is None

    @pytest.mark.setting(
        "Authorization.url",
        "Authorization.method",
        "Authorization.headers",
        "Authorization.params",
        "Authorization.data",
    )
    @pytest.mark.parametrize(
        ("name", "value", "member"),
        [
            ("url", "https://sso.example.test/:tenant", "url"),
            ("method", "put", "method"),
            ("headers", {"X-Env": "{{env}}"}, "headers"),
            ("params", {"scope": "all"}, "params"),
            ("data", {"grant": "{{env}}"}, "data"),
        ],
    )
    def test_each_part_of_the_authorization_is_in_the_request(
        self, name: str, value: Any, member: str
    ) -> None:
        before, after = both(f"/services/0/authorization/0/{name}", value, of=authorized())
        first, second = before.requests[0].credential, after.requests[0].credential
        assert first is not None
        assert second is not None
        parts = {
            "url": ("https://login.example.test/t", "https://sso.example.test/t"),
            "method": ("post", "put"),
            "headers": ({}, {"X-Env": "dev"}),
            "params": ({}, {"scope": "all"}),
            "data": (None, {"grant": "dev"}),
        }
        assert (getattr(first.request, member), getattr(second.request, member)) == parts[name]

    @pytest.mark.setting("Authorization.attributes")
    def test_authorization_attributes_fill_placeholders(self) -> None:
        before, after = both(
            "/services/0/authorization/0/attributes/tenant", "{{attributes.member}}", of=authorized()
        )
        urls = [
            life.requests[0].credential.request.url for life in (before, after) if life.requests[0].credential
        ]
        assert urls == ["https://login.example.test/t", "https://login.example.test/m-1"]

    @pytest.mark.setting("Authorization.noCache", "Service.credentialPath", "Service.credentialType")
    @pytest.mark.parametrize(
        ("pointer", "value", "was", "became"),
        [
            ("/services/0/credentialPath", "data.jwt", ("token", None, False), ("data.jwt", None, False)),
            ("/services/0/credentialType", "Bearer", ("token", None, False), ("token", "Bearer", False)),
            ("/services/0/authorization/0/noCache", ON, ("token", None, False), ("token", None, True)),
        ],
    )
    def test_each_credential_setting_changes_the_credential(
        self, pointer: str, value: Any, was: Any, became: Any
    ) -> None:
        lives = both(pointer, value, of=authorized())
        credentials = [life.requests[0].credential for life in lives]
        assert [(c.path, c.scheme, c.request.no_cache) for c in credentials if c] == [was, became]


class TestLimits:
    """``services[].limit``: how much all runners may ask of a service together."""

    def test_with_a_limit_a_refusal_slows_other_calls_down(self) -> None:
        refused = Answered(status=429, retry_after=timedelta(minutes=7))
        before, after = both("/services/0/limit", {}, refused)
        origin = ("a-1", "https://billing.example.test")
        assert before.ports.limits.states == {}
        assert list(after.ports.limits.states) == [origin]

    @pytest.mark.setting("ServiceLimit.perSecond")
    def test_calls_are_spread_over_time(self) -> None:
        before, after = both("/services/0/limit", {"perSecond": 1}, of=two_steps())
        assert [at - START for at, _ in before.shop.requests] == [timedelta(), timedelta()]
        assert [at - START for at, _ in after.shop.requests] == [timedelta(), timedelta(seconds=1.1)]

    @pytest.mark.setting("ServiceLimit.concurrent")
    def test_calls_in_flight_are_counted(self) -> None:
        before, after = both("/services/0/limit", {"concurrent": 7})
        (state,) = after.ports.limits.states.values()
        assert (before.ports.limits.states, state[Member.CONCURRENT]) == ({}, 7)


class TestCircuits:
    """``services[].limit.circuit``: when calls wait because the service is unreachable."""

    def test_with_a_circuit_a_failed_call_is_counted(self) -> None:
        before, after = both(
            "/services/0/limit/circuit", {}, SILENT, of=settings_with("/services/0/limit", {})
        )
        assert (before.ports.limits.states, len(after.ports.limits.states)) == ({}, 1)

    @pytest.mark.setting("Circuit.failures")
    def test_it_opens_after_so_many_failures(self) -> None:
        lives = both("/services/0/limit/circuit", {"failures": 1}, SILENT, of=self.with_circuit({}))
        assert [self.open_for(life) for life in lives] == [0, 30]

    @pytest.mark.setting("Circuit.openSeconds")
    def test_it_is_open_for_so_many_seconds(self) -> None:
        lives = both(
            "/services/0/limit/circuit/openSeconds", 7, SILENT, of=self.with_circuit({"failures": 1})
        )
        assert [self.open_for(life) for life in lives] == [30, 7]

    @staticmethod
    def with_circuit(circuit: dict[str, int]) -> dict[str, Any]:
        return settings_with("/services/0/limit", {"circuit": circuit})

    @staticmethod
    def open_for(life: Life) -> int:
        """Return for how many seconds the circuit was opened at noon."""
        (state,) = life.ports.limits.states.values()
        return max(state[Member.OPEN_UNTIL] - micros_of(START), 0) // 1_000_000


class TestMethods:
    """``services[].methods[]``: how a method of a service is called."""

    @pytest.mark.setting("Method.url")
    def test_url_is_the_path_of_the_call(self) -> None:
        before, after = both("/services/0/methods/0/url", "/payments")
        assert (before.paths, after.paths) == (["/charges"], ["/payments"])

    @pytest.mark.setting("Method.method")
    def test_method_is_the_verb_of_the_call(self) -> None:
        before, after = both("/services/0/methods/0/method", "put")
        assert (before.requests[0].method, after.requests[0].method) == ("post", "put")

    @pytest.mark.setting("Method.async")
    def test_async_pauses_the_event_until_its_answer(self) -> None:
        before, after = both("/services/0/methods/0/async", ON)
        assert before.plan == ["bill PENDING 02-01 12:00"]
        assert [line[:11] for line in after.plan] == ["bill PAUSED"]

    @pytest.mark.setting("Method.answerWithin")
    def test_without_an_answer_within_the_time_the_attempt_fails(self) -> None:
        later = settings_with("/services/0/methods/0/async", ON)
        before, after = both("/services/0/methods/0/answerWithin", DAY, of=later, to="2026-01-03T00:00")
        assert [line[:11] for line in before.plan] == ["bill PAUSED"]
        assert (after.instance.status, after.instance.cancel_reason) == ("CANCELED", "MAX_ATTEMPTS")

    @pytest.mark.setting("Method.requestValidation")
    def test_an_invalid_request_is_not_sent(self) -> None:
        before, after = both("/services/0/methods/0/requestValidation", "cycle > 1")
        assert before.paths == ["/charges"]
        assert (after.paths, after.instance.status) == ([], "CANCELED")

    @pytest.mark.setting("Method.responseValidation")
    def test_an_invalid_response_fails_the_attempt(self) -> None:
        before, after = both("/services/0/methods/0/responseValidation", {"properties": {"no": {}}})
        assert before.instance.status == "ACTIVE"
        assert after.instance.status == "CANCELED"

    @pytest.mark.setting("Method.timeoutSeconds")
    def test_timeout_seconds_limit_the_call(self) -> None:
        before, after = both("/services/0/methods/0/timeoutSeconds", 7)
        assert (before.requests[0].timeout_seconds, after.requests[0].timeout_seconds) == (30, 7)

    @pytest.mark.setting("Method.inDoubt")
    def test_in_doubt_decides_about_a_call_without_an_answer(self) -> None:
        before, after = both(
            "/services/0/methods/0/inDoubt", "pause", SILENT, of=retried(), to="2026-01-01T14:00"
        )
        assert before.paths == ["/charges", "/charges"]
        assert (after.paths, after.instance.status) == (["/charges"], "PAUSED")

    @pytest.mark.setting("Method.definiteStatuses")
    def test_a_definite_status_is_an_error_with_a_new_key(self) -> None:
        before, after = both(
            "/services/0/methods/0/definiteStatuses", [503], BUSY, of=retried(), to="2026-01-01T13:00"
        )
        assert before.calls == ["01-01 12:00 /charges", "01-01 13:00 /charges"]
        assert [request.call_key[-3:] for request in before.requests] == ["1-1", "1-1"]
        assert [request.call_key[-3:] for request in after.requests] == ["1-1", "2-1"]

    @pytest.mark.setting("Method.wholeAnswer")
    def test_with_whole_answer_an_error_status_is_a_success(self) -> None:
        of = two_steps(controllerCallback='{"attributes": {"status": response.status}}')
        before, after = both("/services/0/methods/0/wholeAnswer", ON, DECLINED, of=of)
        assert (before.paths, before.instance.status) == (["/charges"], "CANCELED")
        assert (after.paths, after.instance.attributes["status"]) == (["/charges", "/refunds"], 402)


class TestTasks:
    """``tasks[]``: the first step, the retries and the outputs of a task."""

    @pytest.mark.setting("Task.initialStep")
    def test_a_task_begins_with_its_initial_step(self) -> None:
        ways = two_steps()
        ways["tasks"][0]["steps"] = [
            {
                "key": "charge",
                "action": "charge-card",
                "nextStepRules": [{"if": "onError", "nextStep": "back"}],
            },
            {
                "key": "back",
                "action": "refund-card",
                "nextStepRules": [{"if": "onError", "nextStep": "wait"}],
            },
            {"key": "wait", "delay": DAY, "nextStep": "charge"},
        ]
        before, after = both("/tasks/0/initialStep", "back", of=ways)
        assert (before.paths, after.paths) == (["/charges"], ["/refunds"])

    @pytest.mark.setting("Task.retryConfig")
    def test_retry_config_of_a_task_retries_its_event(self) -> None:
        config = {"times": 1, "retryAfter": DAY}
        before, after = both("/tasks/0/retryConfig", config, DECLINED)
        assert before.instance.status == "CANCELED"
        assert (after.instance.status, after.plan) == ("ACTIVE", ["bill PENDING 01-02 12:00"])

    @pytest.mark.setting("Task.outputs")
    def test_outputs_are_stored_with_the_instance(self) -> None:
        before, after = both("/tasks/0/outputs", {"paid": "${stack.charge.response.paid}"})
        assert (before.instance.outputs, after.instance.outputs) == ({}, {"paid": 5.0})


class TestSteps:
    """``tasks[].steps[]``: the action, the controllers and the next step of each step."""

    @pytest.mark.setting("Step.action")
    def test_action_is_the_call_of_the_step(self) -> None:
        before, after = both("/tasks/0/steps/0/action", "refund-card")
        assert (before.paths, after.paths) == (["/charges"], ["/refunds"])

    @pytest.mark.setting("Step.controller")
    def test_a_named_controller_runs_with_its_step(self) -> None:
        before, after = both("/tasks/0/steps/0/controller", "grade")
        assert "grade" not in before.instance.attributes
        assert after.instance.attributes["grade"] == "A"

    @pytest.mark.setting("Step.controllerCallback")
    def test_controller_callback_runs_with_its_step(self) -> None:
        before, after = both("/tasks/0/steps/0/controllerCallback", '{"attributes": {"paid": "yes"}}')
        assert "paid" not in before.instance.attributes
        assert after.instance.attributes["paid"] == "yes"

    @pytest.mark.setting("Step.resumeControllerCallback")
    def test_resume_controller_callback_runs_on_the_answer(self) -> None:
        later = settings_with("/services/0/methods/0/async", ON)
        later["actions"][0]["headers"] = {"X-Correlation-Id": "{{event.correlationId}}"}
        lives = both("/tasks/0/steps/0/resumeControllerCallback", '{"attributes": {"paid": "yes"}}', of=later)
        before, after = (life.answered({"state": "PAID"}) for life in lives)
        assert "paid" not in before.instance.attributes
        assert after.instance.attributes["paid"] == "yes"

    @pytest.mark.setting("Step.retryConfig")
    def test_retry_config_of_a_step_overrides_that_of_its_task(self) -> None:
        config = {"times": 1, "retryAfter": DAY}
        before, after = both("/tasks/0/steps/0/retryConfig", config, DECLINED, of=retried())
        assert before.plan == ["bill PENDING 01-01 13:00"]
        assert after.plan == ["bill PENDING 01-02 12:00"]

    @pytest.mark.setting("Step.resetAttempts")
    def test_reset_attempts_starts_the_count_again(self) -> None:
        steps = two_steps()
        steps["tasks"][0]["retryConfig"] = {"times": 1, "retryAfter": {"unit": "hours", "amount": 1}}
        outcomes = (DECLINED, OK, DECLINED)
        before, after = both("/tasks/0/steps/1/resetAttempts", ON, *outcomes, of=steps, to="2026-01-01T14:00")
        assert before.instance.status == "CANCELED"
        assert (after.instance.status, after.paths) == (
            "ACTIVE",
            ["/charges", "/charges", "/refunds", "/refunds"],
        )

    @pytest.mark.setting("Step.final")
    def test_a_final_step_ends_the_run(self) -> None:
        ends = two_steps(nextStep=None, nextStepRules=[{"if": "onError", "nextStep": "back"}], final=True)
        assert Life(ends).paths == ["/charges"]
        assert Life(two_steps()).paths == ["/charges", "/refunds"]
        with pytest.raises(InvalidInputError, match="is never reached: the step is final"):
            Life(two_steps(final=True))

    @pytest.mark.setting("Step.optional")
    def test_a_failed_optional_step_is_passed_over(self) -> None:
        before, after = both("/tasks/0/steps/0/optional", ON, DECLINED, of=two_steps())
        assert (before.paths, before.instance.status) == (["/charges"], "CANCELED")
        assert (after.paths, after.instance.status) == (["/charges", "/refunds"], "ACTIVE")

    @pytest.mark.setting("Step.repeatOnRetry")
    def test_repeat_on_retry_executes_a_successful_step_again(self) -> None:
        steps = two_steps()
        steps["tasks"][0]["retryConfig"] = {"times": 1, "retryAfter": {"unit": "hours", "amount": 1}}
        before, after = both(
            "/tasks/0/steps/0/repeatOnRetry", ON, OK, DECLINED, of=steps, to="2026-01-01T14:00"
        )
        assert before.paths == ["/charges", "/refunds", "/refunds"]
        assert after.paths == ["/charges", "/refunds", "/charges", "/refunds"]

    @pytest.mark.setting("Step.nextStep")
    def test_next_step_follows_the_step(self) -> None:
        two = two_steps(nextStepRules=[{"if": "onError", "nextStep": "back"}])
        before, after = both("/tasks/0/steps/0/nextStep", None, of=two)
        assert (before.paths, after.paths) == (["/charges", "/refunds"], ["/charges"])

    @pytest.mark.setting("Step.delay")
    def test_delay_postpones_the_step(self) -> None:
        before, after = both("/tasks/0/steps/0/delay", DAY, to="2026-01-03T00:00")
        assert (before.calls, after.calls) == (["01-01 12:00 /charges"], ["01-02 12:00 /charges"])

    @pytest.mark.setting("Step.everyRule")
    def test_every_rule_executes_all_matching_rules(self) -> None:
        of = two_steps(
            nextStep=None,
            nextStepRules=[
                {"if": "callback", "ifCallback": "true", "nextStep": key} for key in ("back", "note")
            ],
        )
        of["tasks"][0]["steps"].append(
            {"key": "note", "controllerCallback": '{"attributes": {"noted": "yes"}}'}
        )
        before, after = both("/tasks/0/steps/0/everyRule", ON, of=of)
        assert (before.paths, "noted" in before.instance.attributes) == (["/charges", "/refunds"], False)
        assert (after.paths, after.instance.attributes["noted"]) == (["/charges", "/refunds"], "yes")

    @pytest.mark.setting("Step.waitForAnswer")
    def test_wait_for_answer_pauses_the_event_without_a_call(self) -> None:
        of = two_steps()
        of["tasks"][0]["steps"][1] = {"key": "back", "controllerCallback": '{"attributes": {"back": "yes"}}'}
        before, after = both("/tasks/0/steps/1/waitForAnswer", DAY, of=of)
        assert before.instance.attributes["back"] == "yes"
        assert [line[:11] for line in after.plan] == ["bill PAUSED"]


class TestNextStepRules:
    """``tasks[].steps[].nextStepRules[]``: when a rule applies, and which step it leads to."""

    @staticmethod
    def ruled(**rule: Any) -> dict[str, Any]:
        settings = two_steps(nextStep=None, nextStepRules=[{"nextStep": "back", **rule}])
        settings["tasks"][0]["steps"].append(
            {"key": "other", "controllerCallback": '{"attributes": {"other": "yes"}}'}
        )
        settings["tasks"][0]["steps"][1]["nextStepRules"] = [{"if": "onError", "nextStep": "other"}]
        return settings

    @pytest.mark.setting("NextStepRule.if")
    def test_if_selects_when_the_rule_applies(self) -> None:
        before, after = both(
            "/tasks/0/steps/0/nextStepRules/0/if",
            "onBeforeRetry",
            DECLINED,
            of=self.ruled(**{"if": "onError"}),
        )
        assert before.paths == ["/charges", "/refunds"]
        assert after.paths == ["/charges"]

    @pytest.mark.setting("NextStepRule.nextStep")
    def test_next_step_of_a_rule_follows_the_step(self) -> None:
        of = self.ruled(**{"if": "onError"})
        of["tasks"][0]["steps"][0]["nextStepRules"].append({"if": "onBeforePause", "nextStep": "back"})
        before, after = both("/tasks/0/steps/0/nextStepRules/0/nextStep", "other", DECLINED, of=of)
        assert before.paths == ["/charges", "/refunds"]
        assert (after.paths, after.instance.attributes["other"]) == (["/charges"], "yes")

    @pytest.mark.setting("NextStepRule.ifCallback")
    def test_if_callback_decides_whether_the_rule_applies(self) -> None:
        of = self.ruled(**{"if": "callback", "ifCallback": "cycle == 1"})
        before, after = both("/tasks/0/steps/0/nextStepRules/0/ifCallback", "cycle > 1", of=of)
        assert (before.paths, after.paths) == (["/charges", "/refunds"], ["/charges"])


class TestActions:
    """``actions[]``: which method is called, and with which data."""

    @pytest.mark.setting("Action.service")
    def test_service_selects_the_service(self) -> None:
        before, after = both("/actions/0/service", "mailer")
        assert before.requests[0].url == "https://billing.example.test/charges"
        assert after.requests[0].url == "https://mail.example.test/mails"

    @pytest.mark.setting("Action.method")
    def test_method_selects_the_method_of_the_service(self) -> None:
        before, after = both("/actions/0/method", "refund")
        assert (before.paths, after.paths) == (["/charges"], ["/refunds"])

    @pytest.mark.setting("Action.headers")
    def test_headers_are_sent_with_the_call(self) -> None:
        before, after = both("/actions/0/headers", {"X-Cycle": "{{cycle}}"})
        assert "X-Cycle" not in before.requests[0].headers
        assert after.requests[0].headers["X-Cycle"] == "1"

    @pytest.mark.setting("Action.params")
    def test_params_are_sent_with_the_call(self) -> None:
        before, after = both("/actions/0/params", {"cycle": "{{cycle}}"})
        assert (before.requests[0].params, after.requests[0].params) == ({}, {"cycle": "1"})

    @pytest.mark.setting("Action.data")
    def test_data_is_the_body_of_the_call(self) -> None:
        before, after = both("/actions/0/data", {"member": "{{attributes.member}}"})
        assert (before.requests[0].body, after.requests[0].body) == (None, {"member": "m-1"})

    @pytest.mark.setting("Action.attributes")
    def test_attributes_fill_placeholders_of_the_address(self) -> None:
        of = settings_with("/services/0/methods/0/url", "/members/:member/charges")
        of["actions"][0]["attributes"] = {"member": "m-0"}
        before, after = both("/actions/0/attributes/member", "{{attributes.member}}", of=of)
        assert (before.paths, after.paths) == (["/members/m-0/charges"], ["/members/m-1/charges"])


class TestRetryConfig:
    """``retryConfig``: retries, for a task whose charge is declined."""

    @pytest.mark.setting("RetryConfig.times")
    def test_times_is_the_number_of_retries(self) -> None:
        before, after = both(
            "/tasks/0/retryConfig/times", 2, DECLINED, DECLINED, of=retried(), to="2026-01-01T14:00"
        )
        assert (before.instance.status, before.paths) == ("CANCELED", ["/charges"] * 2)
        assert (after.instance.status, after.paths) == ("ACTIVE", ["/charges"] * 3)

    @pytest.mark.setting("RetryConfig.retryAfter")
    def test_retry_after_is_the_time_until_a_retry(self) -> None:
        before, after = both("/tasks/0/retryConfig/retryAfter", DAY, DECLINED, of=retried())
        assert (before.plan, after.plan) == (["bill PENDING 01-01 13:00"], ["bill PENDING 01-02 12:00"])

    @pytest.mark.setting("BareDelta.unit", "BareDelta.amount")
    @pytest.mark.parametrize(
        ("name", "value", "due"), [("unit", "days", "01-03 12:00"), ("amount", 3, "01-01 15:00")]
    )
    def test_retry_strategy_overrides_retry_after(self, name: str, value: Any, due: str) -> None:
        of = retried(retryStrategy=[{"unit": "hours", "amount": 2}])
        before, after = both(f"/tasks/0/retryConfig/retryStrategy/0/{name}", value, DECLINED, of=of)
        assert (before.plan, after.plan) == (["bill PENDING 01-01 14:00"], [f"bill PENDING {due}"])

    @pytest.mark.setting("RetryConfig.jitterPercent")
    def test_jitter_percent_postpones_a_retry(self) -> None:
        before, after = both("/tasks/0/retryConfig/jitterPercent", 100, DECLINED, of=retried())
        assert before.plan == ["bill PENDING 01-01 13:00"]
        due = after.instance.events[0].due_at
        assert datetime(2026, 1, 1, 13, 1, tzinfo=UTC) < due < datetime(2026, 1, 1, 14, tzinfo=UTC)

    @pytest.mark.setting("RetryConfig.refusedHours")
    def test_refused_hours_is_how_long_a_refusal_is_no_error(self) -> None:
        before, after = both(
            "/tasks/0/retryConfig/refusedHours", 0, *[BUSY] * 9, of=retried(), to="2026-01-01T16:00"
        )
        assert (before.instance.status, before.instance.events[0].attempt) == ("ACTIVE", 1)
        assert after.instance.status == "CANCELED"

    @pytest.mark.setting("RetryConfig.stopIf")
    def test_stop_if_ends_the_retries(self) -> None:
        of = retried(pauseBeforeCancel=True)
        before, after = both("/tasks/0/retryConfig/stopIf", "response.why == 'no money'", DECLINED, of=of)
        assert (before.instance.status, before.plan) == ("ACTIVE", ["bill PENDING 01-01 13:00"])
        assert (after.instance.status, after.plan) == ("PAUSED", ["bill PAUSED 01-01 12:00"])

    @pytest.mark.setting("RetryConfig.retryAt")
    def test_retry_at_moves_a_retry_to_a_time_of_day(self) -> None:
        before, after = both("/tasks/0/retryConfig/retryAt", ["18:00", "09:00"], DECLINED, of=retried())
        assert (before.plan, after.plan) == (["bill PENDING 01-01 13:00"], ["bill PENDING 01-01 18:00"])

    @pytest.mark.setting("RetryConfig.pauseBeforeCancel")
    def test_pause_before_cancel_pauses_instead_of_canceling(self) -> None:
        of = settings_with("/tasks/0/retryConfig", {"times": 0})
        before, after = both("/tasks/0/retryConfig/pauseBeforeCancel", ON, DECLINED, of=of)
        assert (before.instance.status, after.instance.status) == ("CANCELED", "PAUSED")
