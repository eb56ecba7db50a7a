"""Calls in doubt. Source: docs/design.md section 3.7."""

from datetime import datetime, timedelta
from typing import ClassVar

import pytest
from msgspec.structs import replace

from shared.domain.instance.event import Resolution
from shared.domain.instance.reason import ErrorKind
from shared.domain.instance.run import Ending, Intent, RunEnd, StepError
from shared.domain.steps.call import Answered, CallOutcome, TimedOut, Unreachable
from shared.domain.steps.flow import StepContext
from shared.domain.steps.in_doubt import (
    MAX_DOUBT_AGE,
    AwaitOperator,
    EndStep,
    Send,
    decide_repeat,
    end_in_doubt,
)
from shared.domain.steps.outcome import begin_wait, judge_call
from shared.domain.strategy.model import Json
from tests.factories import Journey, a_success, changed, hours, settings, step, task
from tests.lifecycle_factories import DONE, at, life, retries, strategy

NEXT: Json = {"key": "next", "action": "post"}
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
        assert decide_repeat(context, intent, call_in_doubt=True) == Send(replace(intent, repeat=True))

    @pytest.mark.parametrize("verb", ["get", "put", "delete"])
    @pytest.mark.parametrize("policy", ["pause", "fail"])
    def test_a_safe_method_is_always_repeated(self, verb: str, policy: str) -> None:
        context, intent = cut_off(method={"method": verb, "inDoubt": policy})
        assert decide_repeat(context, intent, call_in_doubt=True) == Send(replace(intent, repeat=True))

    @pytest.mark.parametrize("verb", ["post", "patch"])
    def test_pause_leaves_the_decision_to_an_operator(self, verb: str) -> None:
        context, intent = cut_off(method={"method": verb, "inDoubt": "pause"})
        settled = decide_repeat(context, intent, call_in_doubt=True)
        assert isinstance(settled, AwaitOperator)
        assert (settled.end.how, settled.end.attempt) == (Ending.IN_DOUBT, 1)
        assert settled.end.failure is not None
        assert (settled.end.failure.step, settled.end.failure.failed_at) == ("call", NOON)

    def test_fail_records_a_failure_without_an_answer(self) -> None:
        context, intent = cut_off(method={"inDoubt": "fail"})
        settled = decide_repeat(context, intent, call_in_doubt=True)
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
        settled = decide_repeat(context, intent, call_in_doubt=True)
        assert isinstance(settled, EndStep)
        assert isinstance(settled.then, Intent)
        assert settled.then.step == "next"

    def test_a_step_without_a_call_is_executed_again(self) -> None:
        context, intent = cut_off(steps=[{"key": "call", "controllerCallback": "{}"}])
        assert decide_repeat(context, intent, call_in_doubt=True) == Send(intent)


class TestResolution:
    """If an operator has decided, the resolution wins over the method's setting."""

    @pytest.mark.parametrize("policy", ["retry", "pause", "fail"])
    def test_retry_sends_the_call_again_under_the_same_key(self, policy: str) -> None:
        context, intent = cut_off(method={"inDoubt": policy}, resolution=Resolution.RETRY)
        assert decide_repeat(context, intent, call_in_doubt=True) == Send(replace(intent, repeat=True))

    def test_skip_continues_as_after_success(self) -> None:
        steps = [{"key": "call", "action": "post", "nextStep": "next"}, {"key": "next", "action": "post"}]
        context, intent = cut_off(steps=steps, resolution=Resolution.SKIP)
        settled = decide_repeat(context, intent, call_in_doubt=True)
        assert isinstance(settled, EndStep)
        assert settled.outcome.error == StepError(message="skipped by an operator", kind=ErrorKind.SKIPPED)
        assert not settled.outcome.success
        assert isinstance(settled.then, Intent)
        assert settled.then.step == "next"

    def test_fail_fails_the_attempt_whatever_the_rules_say(self) -> None:
        steps = [
            {"key": "call", "action": "post", "nextStepRules": [{"if": "onError", "nextStep": "next"}]},
            {"key": "next", "action": "post"},
        ]
        context, intent = cut_off(steps=steps, retry=retries(), resolution=Resolution.FAIL)
        settled = decide_repeat(context, intent, call_in_doubt=True)
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


class TestNothingInDoubt:
    """A call that no earlier runner may have sent is made, whatever the method's ``inDoubt`` setting."""

    @pytest.mark.parametrize("policy", ["retry", "pause", "fail"])
    def test_the_call_is_sent_as_it_is(self, policy: str) -> None:
        context, intent = cut_off(method={"inDoubt": policy})
        assert decide_repeat(context, intent, call_in_doubt=False) == Send(intent)
        again = replace(intent, repeat=True)
        assert decide_repeat(context, again, call_in_doubt=False) == Send(again)

    def test_a_resolution_is_for_the_step_at_which_the_run_was_interrupted(self) -> None:
        context, intent = cut_off(resolution=Resolution.SKIP)
        assert decide_repeat(context, intent, call_in_doubt=False) == Send(intent)


class TestAnOldDoubt:
    """ "A POST or PATCH that has been in doubt for 60 days is not sent again until an operator decides, whatever
    ``inDoubt`` says."
    """

    SINCE = NOON
    LAST_MOMENT = at("2026-04-01T11:59:59")
    TOO_OLD = at("2026-04-01T12:00")

    def crashed(
        self,
        now: datetime,
        *,
        method: Json = None,
        steps: Json = None,
        resolution: Resolution | None = None,
    ) -> tuple[StepContext, Intent]:
        context, intent = cut_off(method=method, steps=steps, resolution=resolution)
        progress = replace(context.event.progress, in_doubt_since=self.SINCE)
        return replace(context, now=now, event=replace(context.event, progress=progress)), intent

    def unanswered(self, *, days: int) -> tuple[StepContext, Intent]:
        """Return a repeat that begins some days after the first call, which had no answer."""
        context, intent = cut_off()
        return replace(context, now=NOON + timedelta(days=days)), replace(
            intent, visit=2, repeat=True, in_doubt_since=NOON
        )

    def test_up_to_then_the_call_is_repeated(self) -> None:
        context, intent = self.crashed(self.LAST_MOMENT)
        assert isinstance(decide_repeat(context, intent, call_in_doubt=True), Send)

    @pytest.mark.parametrize("policy", ["retry", "fail", "pause"])
    @pytest.mark.parametrize("verb", ["post", "patch"])
    def test_after_that_it_is_left_to_an_operator(self, verb: str, policy: str) -> None:
        context, intent = self.crashed(self.TOO_OLD, method={"method": verb, "inDoubt": policy})
        decided = decide_repeat(context, intent, call_in_doubt=True)
        assert isinstance(decided, AwaitOperator)
        assert decided.end.how is Ending.IN_DOUBT
        assert decided.end.failure is not None
        assert decided.end.failure.error == StepError(
            message="the call has been in doubt for 60 days, and may have reached the service",
            kind=ErrorKind.CRASH,
        )

    @pytest.mark.parametrize("verb", ["get", "put", "delete"])
    def test_a_safe_method_is_always_repeated(self, verb: str) -> None:
        context, intent = self.crashed(self.TOO_OLD, method={"method": verb})
        assert isinstance(decide_repeat(context, intent, call_in_doubt=True), Send)

    def test_a_step_without_a_call_is_executed_again(self) -> None:
        context, intent = self.crashed(self.TOO_OLD, steps=[{"key": "call", "controllerCallback": "{}"}])
        assert decide_repeat(context, intent, call_in_doubt=True) == Send(intent)

    def test_a_doubt_of_unknown_age_is_not_old(self) -> None:
        """It is decided by the method."""
        context, intent = cut_off()
        late = replace(context, now=NOON + 10 * MAX_DOUBT_AGE)
        assert decide_repeat(late, intent, call_in_doubt=True) == Send(replace(intent, repeat=True))

    def test_a_decision_to_repeat_counts_for_sixty_days(self) -> None:
        """``resolve`` notes its own instant."""
        context, intent = self.crashed(self.LAST_MOMENT, resolution=Resolution.RETRY)
        assert isinstance(decide_repeat(context, intent, call_in_doubt=True), Send)
        context, intent = self.crashed(self.TOO_OLD, resolution=Resolution.RETRY)
        assert isinstance(decide_repeat(context, intent, call_in_doubt=True), AwaitOperator)

    @pytest.mark.parametrize("resolution", [Resolution.SKIP, Resolution.FAIL])
    def test_any_other_decision_sends_nothing_and_stands(self, resolution: Resolution) -> None:
        context, intent = self.crashed(self.TOO_OLD, resolution=resolution)
        assert isinstance(decide_repeat(context, intent, call_in_doubt=True), EndStep)

    @pytest.mark.parametrize(("days", "is_sent"), [(59, True), (60, False), (61, False)])
    def test_a_stored_outcome_in_doubt_counts_from_its_call(self, days: int, is_sent: bool) -> None:  # noqa: FBT001
        context, intent = self.unanswered(days=days)
        decided = decide_repeat(context, intent, call_in_doubt=False)
        assert isinstance(decided, Send) is is_sent

    def test_a_crash_during_a_repeat_does_not_make_the_doubt_younger(self) -> None:
        context, intent = self.unanswered(days=60)
        progress = replace(context.event.progress, call_in_doubt=True, in_doubt_since=context.now)
        context = replace(context, event=replace(context.event, progress=progress))
        assert isinstance(decide_repeat(context, intent, call_in_doubt=True), AwaitOperator)

    def test_a_repeat_carries_the_instant_of_the_crash(self) -> None:
        """So the next repeat counts from the same instant."""
        context, intent = self.crashed(self.LAST_MOMENT)
        decided = decide_repeat(context, intent, call_in_doubt=True)
        assert decided == Send(replace(intent, repeat=True, in_doubt_since=self.SINCE))

    @pytest.mark.parametrize("resolution", [None, Resolution.FAIL])
    def test_a_failure_without_another_call_does_too(self, resolution: Resolution | None) -> None:
        """Its retry counts from the crash, however late another runner took over, or from the decision."""
        context, intent = self.crashed(self.LAST_MOMENT, method={"inDoubt": "fail"}, resolution=resolution)
        decided = decide_repeat(context, intent, call_in_doubt=True)
        assert isinstance(decided, EndStep)
        assert decided.intent == replace(intent, in_doubt_since=self.SINCE)

    def test_a_doubt_does_not_begin_before_the_step_before_it_has_ended(self) -> None:
        """After a kill, an instant may be left that belongs to an earlier step."""
        of = life(strategy(steps=[{"key": "call", "action": "post", "nextStep": "next"}, NEXT]))
        of.claim(of.main, NOON)
        end = NOON + timedelta(days=50)
        then = of.step(DONE, end)
        assert isinstance(then, Intent)
        progress = replace(of.running.progress, call_in_doubt=True, in_doubt_since=NOON)
        context = StepContext(
            strategy=of.strategy,
            instance=of.instance,
            event=replace(of.running, progress=progress),
            event_history=of.event_history(1),
            now=NOON + timedelta(days=61),
            token="t",
        )
        decided = decide_repeat(context, then, call_in_doubt=True)
        assert decided == Send(replace(then, repeat=True, in_doubt_since=end))

    @pytest.mark.parametrize(("is_crash", "kind"), [(True, ErrorKind.CRASH), (False, ErrorKind.TIMEOUT)])
    def test_the_class_says_whether_a_runner_crashed(self, is_crash: bool, kind: ErrorKind) -> None:  # noqa: FBT001
        context, intent = self.crashed(self.TOO_OLD) if is_crash else self.unanswered(days=60)
        decided = decide_repeat(context, intent, call_in_doubt=is_crash)
        assert isinstance(decided, AwaitOperator)
        assert decided.end.failure is not None
        assert decided.end.failure.error.kind is kind


class TestTheInstantOfADoubt:
    """An intent has the end of the first sending that got no definite answer, as long as its key stays."""

    RETRY: ClassVar[Json] = {"times": 9, "retryAfter": hours(1), "jitterPercent": 0}

    def journey(self, *, method: Json = None) -> Journey:
        call = {"key": "call", "url": "/things", "method": "post", **(method or {})}
        return Journey(
            settings(
                task("charge", step("charge", action="call"), retryConfig=self.RETRY),
                services=[
                    {
                        "key": "api",
                        "baseUrls": [{"environment": "dev", "url": "https://api.example.com"}],
                        "methods": [call],
                    }
                ],
                actions=[{"key": "call", "service": "api", "method": "call"}],
            )
        )

    def goes(self, run: Journey, *calls: CallOutcome) -> Journey:
        for call in calls:
            run.goes(judge_call(run.context, run.intent, call)).retry()
        return run

    def test_the_first_call_has_none(self) -> None:
        assert self.journey().intent.in_doubt_since is None

    @pytest.mark.parametrize("status", [408, 500, 502, 504, 302, 520])
    def test_repeats_keep_the_instant_of_the_first(self, status: int) -> None:
        run = self.journey()
        first = run.now
        self.goes(run, Answered(status=status), TimedOut(why="late"), Answered(status=409))
        assert (run.intent.in_doubt_since, run.intent.repeat) == (first, True)

    def test_a_call_that_was_not_sent_is_in_no_doubt(self) -> None:
        run = self.goes(self.journey(), Unreachable(why="refused"), Answered(status=409))
        assert (run.intent.call_key, run.intent.in_doubt_since) == ("i-1-1-1", None)

    def test_a_definite_answer_ends_the_doubt(self) -> None:
        run = self.goes(self.journey(), TimedOut(why="late"), Answered(status=402))
        assert (run.intent.call_key, run.intent.in_doubt_since) == ("i-1-3-1", None)

    def test_the_wait_for_an_answer_counts_from_the_sending(self) -> None:
        run = self.journey(method={"async": True})
        _, waiting = begin_wait(run.context, run.intent, a_success())
        assert waiting.in_doubt_since == run.now
