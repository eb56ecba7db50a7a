"""Calls in doubt. Source: docs/design.md section 3.7."""

from dataclasses import replace

import pytest

from shared.domain.instance.event import Resolution
from shared.domain.instance.reason import ErrorKind
from shared.domain.instance.run import Ending, Intent, RunEnd, StepError
from shared.domain.steps.flow import StepContext
from shared.domain.steps.in_doubt import AwaitOperator, EndStep, SendAgain, decide_doubt, end_in_doubt
from shared.domain.strategy.model import Json
from tests.factories import changed
from tests.lifecycle_factories import at, life, retries, strategy

NOON = at("2026-01-31T12:00")


def cut_off(
    *, method: Json = None, steps: Json = None, retry: Json = None, resolution: Resolution | None = None
) -> tuple[StepContext, Intent]:
    """Return a run that was interrupted at its first call."""
    of = life(strategy(method=method, steps=steps, retry=retry))
    of.claim(of.main, NOON)
    event = changed(of.running, call_in_doubt=True, resolution=resolution)
    context = StepContext(
        strategy=of.strategy,
        instance=of.instance,
        event=event,
        event_history=of.event_history(1),
        now=NOON,
        token="t",
    )
    assert isinstance(event.progress.first_action, Intent)
    return context, event.progress.first_action


class TestPolicy:
    """The method's ``inDoubt`` setting decides about its call."""

    def test_a_call_is_sent_again_under_the_same_key_by_default(self) -> None:
        context, intent = cut_off()
        assert decide_doubt(context, intent) == SendAgain(replace(intent, repeat=True))

    @pytest.mark.parametrize("verb", ["get", "put", "delete"])
    @pytest.mark.parametrize("policy", ["pause", "fail"])
    def test_a_safe_method_is_always_repeated(self, verb: str, policy: str) -> None:
        context, intent = cut_off(method={"method": verb, "inDoubt": policy})
        assert decide_doubt(context, intent) == SendAgain(replace(intent, repeat=True))

    @pytest.mark.parametrize("verb", ["post", "patch"])
    def test_pause_leaves_the_decision_to_an_operator(self, verb: str) -> None:
        context, intent = cut_off(method={"method": verb, "inDoubt": "pause"})
        settled = decide_doubt(context, intent)
        assert isinstance(settled, AwaitOperator)
        assert (settled.end.how, settled.end.attempt) == (Ending.IN_DOUBT, 1)
        assert settled.end.failure is not None
        assert (settled.end.failure.step, settled.end.failure.failed_at) == ("call", NOON)

    def test_fail_records_a_failure_without_an_answer(self) -> None:
        context, intent = cut_off(method={"inDoubt": "fail"})
        settled = decide_doubt(context, intent)
        assert isinstance(settled, EndStep)
        assert (settled.outcome.success, settled.outcome.in_doubt) == (False, True)
        assert isinstance(settled.then, RunEnd)
        assert settled.then.how is Ending.EXHAUSTED

    def test_on_error_rules_apply_to_the_failure(self) -> None:
        steps = [
            {"key": "call", "action": "post", "nextStepRules": [{"if": "onError", "nextStep": "next"}]},
            {"key": "next", "action": "post"},
        ]
        context, intent = cut_off(method={"inDoubt": "fail"}, steps=steps)
        settled = decide_doubt(context, intent)
        assert isinstance(settled, EndStep)
        assert isinstance(settled.then, Intent)
        assert settled.then.step == "next"

    def test_a_step_without_a_call_is_executed_again(self) -> None:
        context, intent = cut_off(steps=[{"key": "call", "controllerCallback": "{}"}])
        assert decide_doubt(context, intent) == SendAgain(intent)


class TestResolution:
    """If an operator has decided, the resolution wins over the method's setting."""

    @pytest.mark.parametrize("policy", ["retry", "pause", "fail"])
    def test_retry_sends_the_call_again_under_the_same_key(self, policy: str) -> None:
        context, intent = cut_off(method={"inDoubt": policy}, resolution=Resolution.RETRY)
        assert decide_doubt(context, intent) == SendAgain(replace(intent, repeat=True))

    def test_skip_continues_as_after_success(self) -> None:
        steps = [{"key": "call", "action": "post", "nextStep": "next"}, {"key": "next", "action": "post"}]
        context, intent = cut_off(steps=steps, resolution=Resolution.SKIP)
        settled = decide_doubt(context, intent)
        assert isinstance(settled, EndStep)
        assert settled.outcome.error == StepError(message="skipped by an operator", kind=ErrorKind.OPERATOR)
        assert not settled.outcome.success
        assert isinstance(settled.then, Intent)
        assert settled.then.step == "next"

    def test_fail_fails_the_attempt_whatever_the_rules_say(self) -> None:
        steps = [
            {"key": "call", "action": "post", "nextStepRules": [{"if": "onError", "nextStep": "next"}]},
            {"key": "next", "action": "post"},
        ]
        context, intent = cut_off(steps=steps, retry=retries(), resolution=Resolution.FAIL)
        settled = decide_doubt(context, intent)
        assert isinstance(settled, EndStep)
        assert settled.outcome.error == StepError(message="failed by an operator", kind=ErrorKind.OPERATOR)
        assert isinstance(settled.then, RunEnd)
        assert settled.then.how is Ending.RETRY

    def test_a_repeat_without_an_answer_is_in_doubt_again(self) -> None:
        context, intent = cut_off()
        end = end_in_doubt(
            context, replace(intent, attempt=3, resets=("call",)), StepError(message="no answer")
        )
        assert (end.how, end.attempt, end.resets) == (Ending.IN_DOUBT, 3, ("call",))
