"""Every field of the settings does something: changed alone, the same life goes another way. Here: what.

Each test lives a life twice, under settings that differ in that one field, and tells what came of both. The table
in docs/api/core.md leads here; tests/docs/test_settings_table.py compares it with the schema.
"""

from typing import Any

import pytest

from shared.domain.errors import InvalidInputError
from tests.application.lives import (
    DAY,
    DECLINED,
    OK,
    ON,
    SILENT,
    Life,
    authorized,
    both,
    retried,
    settings_with,
    two_steps,
)
from tests.domain.strategy.definitions import changed


class TestServices:
    """``services[]``: where they are and how their token is fetched."""

    def test_base_url(self) -> None:
        before, after = both("/services/0/baseUrls/0/url", "https://other.example.test/v2")
        assert before.asked[0].url == "https://billing.example.test/charges"
        assert after.asked[0].url == "https://other.example.test/v2/charges"

    def test_base_url_environment(self) -> None:
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
        assert Life(of).asked[0].url == "https://one.example.test/charges"
        assert Life(swapped).asked[0].url == "https://two.example.test/charges"

    def test_authorization_environment(self) -> None:
        before, after = both("/services/0/authorization/0/environment", "prod", of=authorized())
        assert before.asked[0].credential is not None
        assert after.asked[0].credential is None

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
    def test_authorization_request(self, name: str, value: Any, member: str) -> None:
        before, after = both(f"/services/0/authorization/0/{name}", value, of=authorized())
        first, second = before.asked[0].credential, after.asked[0].credential
        assert first is not None
        assert second is not None
        told = {
            "url": ("https://login.example.test/t", "https://sso.example.test/t"),
            "method": ("post", "put"),
            "headers": ({}, {"X-Env": "dev"}),
            "params": ({}, {"scope": "all"}),
            "data": (None, {"grant": "dev"}),
        }
        assert (getattr(first.request, member), getattr(second.request, member)) == told[name]

    def test_authorization_attributes(self) -> None:
        before, after = both(
            "/services/0/authorization/0/attributes/tenant", "{{attributes.member}}", of=authorized()
        )
        urls = [life.asked[0].credential.request.url for life in (before, after) if life.asked[0].credential]
        assert urls == ["https://login.example.test/t", "https://login.example.test/m-1"]

    @pytest.mark.parametrize(
        ("pointer", "value", "was", "became"),
        [
            ("/services/0/credentialPath", "data.jwt", ("token", None, False), ("data.jwt", None, False)),
            ("/services/0/credentialType", "Bearer", ("token", None, False), ("token", "Bearer", False)),
            ("/services/0/authorization/0/noCache", ON, ("token", None, False), ("token", None, True)),
        ],
    )
    def test_credential(self, pointer: str, value: Any, was: Any, became: Any) -> None:
        lives = both(pointer, value, of=authorized())
        credentials = [life.asked[0].credential for life in lives]
        assert [(c.path, c.scheme, c.request.no_cache) for c in credentials if c] == [was, became]


class TestMethods:
    """``services[].methods[]``."""

    def test_url(self) -> None:
        before, after = both("/services/0/methods/0/url", "/payments")
        assert (before.paths, after.paths) == (["/charges"], ["/payments"])

    def test_method(self) -> None:
        before, after = both("/services/0/methods/0/method", "put")
        assert (before.asked[0].method, after.asked[0].method) == ("post", "put")

    def test_async(self) -> None:
        before, after = both("/services/0/methods/0/async", ON)
        assert before.plan == ["bill PENDING 02-01 12:00"]
        assert [line[:11] for line in after.plan] == ["bill PAUSED"]

    def test_answer_within(self) -> None:
        later = settings_with("/services/0/methods/0/async", ON)
        before, after = both("/services/0/methods/0/answerWithin", DAY, of=later, to="2026-01-03T00:00")
        assert [line[:11] for line in before.plan] == ["bill PAUSED"]
        assert (after.instance.status, after.instance.cancel_reason) == ("CANCELED", "MAX_ATTEMPTS")

    def test_request_validation(self) -> None:
        before, after = both("/services/0/methods/0/requestValidation", "cycle > 1")
        assert before.paths == ["/charges"]
        assert (after.paths, after.instance.status) == ([], "CANCELED")

    def test_response_validation(self) -> None:
        before, after = both("/services/0/methods/0/responseValidation", {"properties": {"no": {}}})
        assert before.instance.status == "ACTIVE"
        assert after.instance.status == "CANCELED"

    def test_timeout_seconds(self) -> None:
        before, after = both("/services/0/methods/0/timeoutSeconds", 7)
        assert (before.asked[0].timeout_seconds, after.asked[0].timeout_seconds) == (30, 7)

    def test_in_doubt(self) -> None:
        before, after = both(
            "/services/0/methods/0/inDoubt", "pause", SILENT, of=retried(), to="2026-01-01T14:00"
        )
        assert before.paths == ["/charges", "/charges"]
        assert (after.paths, after.instance.status) == (["/charges"], "PAUSED")

    def test_whole_answer(self) -> None:
        of = two_steps(controllerCallback='{"attributes": {"status": response.status}}')
        before, after = both("/services/0/methods/0/wholeAnswer", ON, DECLINED, of=of)
        assert (before.paths, before.instance.status) == (["/charges"], "CANCELED")
        assert (after.paths, after.instance.attributes["status"]) == (["/charges", "/refunds"], 402)


class TestTasks:
    """``tasks[]``."""

    def test_initial_step(self) -> None:
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

    def test_retry_config(self) -> None:
        config = {"times": 1, "retryAfter": DAY}
        before, after = both("/tasks/0/retryConfig", config, DECLINED)
        assert before.instance.status == "CANCELED"
        assert (after.instance.status, after.plan) == ("ACTIVE", ["bill PENDING 01-02 12:00"])

    def test_outputs(self) -> None:
        before, after = both("/tasks/0/outputs", {"paid": "${stack.charge.response.paid}"})
        assert (before.instance.outputs, after.instance.outputs) == ({}, {"paid": 5.0})


class TestSteps:
    """``tasks[].steps[]``."""

    def test_action(self) -> None:
        before, after = both("/tasks/0/steps/0/action", "refund-card")
        assert (before.paths, after.paths) == (["/charges"], ["/refunds"])

    def test_controller(self) -> None:
        before, after = both("/tasks/0/steps/0/controller", "grade")
        assert "grade" not in before.instance.attributes
        assert after.instance.attributes["grade"] == "A"

    def test_controller_callback(self) -> None:
        before, after = both("/tasks/0/steps/0/controllerCallback", '{"attributes": {"paid": "yes"}}')
        assert "paid" not in before.instance.attributes
        assert after.instance.attributes["paid"] == "yes"

    def test_resume_controller_callback(self) -> None:
        later = settings_with("/services/0/methods/0/async", ON)
        later["actions"][0]["headers"] = {"X-Correlation-Id": "{{event.correlationId}}"}
        lives = both("/tasks/0/steps/0/resumeControllerCallback", '{"attributes": {"paid": "yes"}}', of=later)
        before, after = (life.answered({"state": "PAID"}) for life in lives)
        assert "paid" not in before.instance.attributes
        assert after.instance.attributes["paid"] == "yes"

    def test_retry_config(self) -> None:
        config = {"times": 1, "retryAfter": DAY}
        before, after = both("/tasks/0/steps/0/retryConfig", config, DECLINED, of=retried())
        assert before.plan == ["bill PENDING 01-01 13:00"]
        assert after.plan == ["bill PENDING 01-02 12:00"]

    def test_reset_attempts(self) -> None:
        steps = two_steps()
        steps["tasks"][0]["retryConfig"] = {"times": 1, "retryAfter": {"unit": "hours", "amount": 1}}
        outcomes = (DECLINED, OK, DECLINED)
        before, after = both("/tasks/0/steps/1/resetAttempts", ON, *outcomes, of=steps, to="2026-01-01T14:00")
        assert before.instance.status == "CANCELED"
        assert (after.instance.status, after.paths) == (
            "ACTIVE",
            ["/charges", "/charges", "/refunds", "/refunds"],
        )

    def test_final(self) -> None:
        ends = two_steps(nextStep=None, nextStepRules=[{"if": "onError", "nextStep": "back"}], final=True)
        assert Life(ends).paths == ["/charges"]
        assert Life(two_steps()).paths == ["/charges", "/refunds"]
        with pytest.raises(InvalidInputError, match="is never reached: the step is final"):
            Life(two_steps(final=True))

    def test_optional(self) -> None:
        before, after = both("/tasks/0/steps/0/optional", ON, DECLINED, of=two_steps())
        assert (before.paths, before.instance.status) == (["/charges"], "CANCELED")
        assert (after.paths, after.instance.status) == (["/charges", "/refunds"], "ACTIVE")

    def test_repeat_on_retry(self) -> None:
        steps = two_steps()
        steps["tasks"][0]["retryConfig"] = {"times": 1, "retryAfter": {"unit": "hours", "amount": 1}}
        before, after = both(
            "/tasks/0/steps/0/repeatOnRetry", ON, OK, DECLINED, of=steps, to="2026-01-01T14:00"
        )
        assert before.paths == ["/charges", "/refunds", "/refunds"]
        assert after.paths == ["/charges", "/refunds", "/charges", "/refunds"]

    def test_next_step(self) -> None:
        two = two_steps(nextStepRules=[{"if": "onError", "nextStep": "back"}])
        before, after = both("/tasks/0/steps/0/nextStep", None, of=two)
        assert (before.paths, after.paths) == (["/charges", "/refunds"], ["/charges"])

    def test_delay(self) -> None:
        before, after = both("/tasks/0/steps/0/delay", DAY, to="2026-01-03T00:00")
        assert (before.calls, after.calls) == (["01-01 12:00 /charges"], ["01-02 12:00 /charges"])

    def test_every_rule(self) -> None:
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

    def test_wait_for_answer(self) -> None:
        of = two_steps()
        of["tasks"][0]["steps"][1] = {"key": "back", "controllerCallback": '{"attributes": {"back": "yes"}}'}
        before, after = both("/tasks/0/steps/1/waitForAnswer", DAY, of=of)
        assert before.instance.attributes["back"] == "yes"
        assert [line[:11] for line in after.plan] == ["bill PAUSED"]


class TestNextStepRules:
    """``tasks[].steps[].nextStepRules[]``."""

    @staticmethod
    def ruled(**rule: Any) -> dict[str, Any]:
        settings = two_steps(nextStep=None, nextStepRules=[{"nextStep": "back", **rule}])
        settings["tasks"][0]["steps"].append(
            {"key": "other", "controllerCallback": '{"attributes": {"other": "yes"}}'}
        )
        settings["tasks"][0]["steps"][1]["nextStepRules"] = [{"if": "onError", "nextStep": "other"}]
        return settings

    def test_if(self) -> None:
        before, after = both(
            "/tasks/0/steps/0/nextStepRules/0/if",
            "onBeforeRetry",
            DECLINED,
            of=self.ruled(**{"if": "onError"}),
        )
        assert before.paths == ["/charges", "/refunds"]
        assert after.paths == ["/charges"]

    def test_next_step(self) -> None:
        of = self.ruled(**{"if": "onError"})
        of["tasks"][0]["steps"][0]["nextStepRules"].append({"if": "onBeforePause", "nextStep": "back"})
        before, after = both("/tasks/0/steps/0/nextStepRules/0/nextStep", "other", DECLINED, of=of)
        assert before.paths == ["/charges", "/refunds"]
        assert (after.paths, after.instance.attributes["other"]) == (["/charges"], "yes")

    def test_if_callback(self) -> None:
        of = self.ruled(**{"if": "callback", "ifCallback": "cycle == 1"})
        before, after = both("/tasks/0/steps/0/nextStepRules/0/ifCallback", "cycle > 1", of=of)
        assert (before.paths, after.paths) == (["/charges", "/refunds"], ["/charges"])


class TestActions:
    """``actions[]``."""

    def test_service(self) -> None:
        before, after = both("/actions/0/service", "mailer")
        assert before.asked[0].url == "https://billing.example.test/charges"
        assert after.asked[0].url == "https://mail.example.test/mails"

    def test_method(self) -> None:
        before, after = both("/actions/0/method", "refund")
        assert (before.paths, after.paths) == (["/charges"], ["/refunds"])

    def test_headers(self) -> None:
        before, after = both("/actions/0/headers", {"X-Cycle": "{{cycle}}"})
        assert "X-Cycle" not in before.asked[0].headers
        assert after.asked[0].headers["X-Cycle"] == "1"

    def test_params(self) -> None:
        before, after = both("/actions/0/params", {"cycle": "{{cycle}}"})
        assert (before.asked[0].params, after.asked[0].params) == ({}, {"cycle": "1"})

    def test_data(self) -> None:
        before, after = both("/actions/0/data", {"member": "{{attributes.member}}"})
        assert (before.asked[0].body, after.asked[0].body) == (None, {"member": "m-1"})

    def test_attributes(self) -> None:
        of = settings_with("/services/0/methods/0/url", "/members/:member/charges")
        of["actions"][0]["attributes"] = {"member": "m-0"}
        before, after = both("/actions/0/attributes/member", "{{attributes.member}}", of=of)
        assert (before.paths, after.paths) == (["/members/m-0/charges"], ["/members/m-1/charges"])


class TestRetryConfig:
    """Retries, here those of a task whose charge is declined."""

    def test_times(self) -> None:
        before, after = both(
            "/tasks/0/retryConfig/times", 2, DECLINED, DECLINED, of=retried(), to="2026-01-01T14:00"
        )
        assert (before.instance.status, before.paths) == ("CANCELED", ["/charges"] * 2)
        assert (after.instance.status, after.paths) == ("ACTIVE", ["/charges"] * 3)

    def test_retry_after(self) -> None:
        before, after = both("/tasks/0/retryConfig/retryAfter", DAY, DECLINED, of=retried())
        assert (before.plan, after.plan) == (["bill PENDING 01-01 13:00"], ["bill PENDING 01-02 12:00"])

    @pytest.mark.parametrize(
        ("name", "value", "due"), [("unit", "days", "01-03 12:00"), ("amount", 3, "01-01 15:00")]
    )
    def test_retry_strategy(self, name: str, value: Any, due: str) -> None:
        of = retried(retryStrategy=[{"unit": "hours", "amount": 2}])
        before, after = both(f"/tasks/0/retryConfig/retryStrategy/0/{name}", value, DECLINED, of=of)
        assert (before.plan, after.plan) == (["bill PENDING 01-01 14:00"], [f"bill PENDING {due}"])

    def test_pause_before_cancel(self) -> None:
        of = settings_with("/tasks/0/retryConfig", {"times": 0})
        before, after = both("/tasks/0/retryConfig/pauseBeforeCancel", ON, DECLINED, of=of)
        assert (before.instance.status, after.instance.status) == ("CANCELED", "PAUSED")
