from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar

import pytest
from msgspec.structs import replace

from shared.domain.calendar.dates import DATE_FORMS
from shared.domain.instance.model import InstanceStatus
from shared.domain.instance.reason import ErrorKind
from shared.domain.instance.run import Certainty, Ending, Failure, Intent, Outcome, Path, RunEnd, StepError
from shared.domain.steps.flow import advance, fail, skip
from shared.domain.strategy.model import NextStepRule, RuleKind
from tests.factories import (
    HOUR,
    NO_ANSWER,
    NOON,
    Journey,
    a_definition,
    a_step,
    a_strategy,
    a_success,
    a_task,
    an_error,
    an_event,
    hours,
    rule,
    settings,
    step,
    task,
)

RETRY_TWICE = {"times": 2, "retryAfter": hours(1)}
FAILS_TO_EVALUATE = "attributes.missing == 1.0"


def journey(*steps: dict[str, Any], retry: dict[str, Any] | None = None, **instance: Any) -> Journey:
    members = {} if retry is None else {"retryConfig": retry}
    return Journey(settings(task("charge", *steps, **members)), **instance)


def true_of(target: str, condition: str = "true") -> NextStepRule:
    return NextStepRule(kind=RuleKind.CALLBACK, next_step=target, if_callback=condition)


class TestAfterSuccess:
    """ "After success: `final` → end; else first true `callback` rule; else `nextStep`; else end"."""

    def test_a_step_without_a_next_one_ends_the_task(self) -> None:
        run = journey(step("charge")).succeeds()

        assert run.at == "SUCCEEDED"
        assert run.end.failure is None

    def test_next_step_is_executed_next(self) -> None:
        run = journey(step("charge", nextStep="mail"), step("mail")).succeeds()

        assert run.at == "mail"
        assert run.intent.visit == 2
        assert run.intent.path is Path.MAIN

    def test_the_first_true_callback_rule_wins_over_next_step(self) -> None:
        run = journey(
            step(
                "charge",
                nextStep="mail",
                nextStepRules=[
                    rule("callback", "mail", "stack.charge.response.amount > 100.0"),
                    rule("callback", "crm", "stack.charge.response.amount > 10.0"),
                    rule("callback", "mail", "true"),
                ],
            ),
            step("mail"),
            step("crm"),
        ).succeeds({"amount": 50})

        assert run.at == "crm"

    def test_next_step_is_used_without_a_true_rule(self) -> None:
        run = journey(
            step("charge", nextStep="mail", nextStepRules=[rule("callback", "crm", "false")]),
            step("mail"),
            step("crm"),
        ).succeeds()

        assert run.at == "mail"

    def test_a_final_step_evaluates_no_rule(self) -> None:
        steps = (a_step("charge", final=True, rules=(true_of("mail"),)), a_step("mail"))
        run = Journey(a_strategy(definition=a_definition(a_task(*steps)))).succeeds()

        assert run.at == "SUCCEEDED"

    def test_rules_see_the_key_and_the_attempt_of_their_step(self) -> None:
        run = journey(
            step(
                "charge",
                resetAttempts=True,
                nextStepRules=[
                    rule("callback", "mail", 'event.idempotencyKey == "i-1-4-1" && attempt == 1'),
                ],
            ),
            step("mail"),
        )
        run = Journey(run.strategy, an_event(attempt=3, run=4)).succeeds()

        assert run.at == "mail"

    def test_rules_see_the_attributes_that_their_controller_has_set(self) -> None:
        run = journey(
            step("count", nextStepRules=[rule("callback", "mail", "attributes.count == 3.0")]),
            step("mail"),
            attributes={"count": 2},
        ).goes(a_success(directives={"attributes": {"count": 3}}))

        assert run.at == "mail"

    def test_other_directives_change_nothing_for_rules(self) -> None:
        run = journey(
            step("stop", nextStepRules=[rule("callback", "mail", 'instance.status == "ACTIVE"')]),
            step("mail"),
        ).goes(a_success(directives={"pauseInstance": "enough"}))

        assert run.at == "mail"


class TestARuleThatCannotBeEvaluated:
    """If a callback rule cannot be evaluated, its step fails. "A failed step gives no directives."

    "The result of a POST or PATCH stays, with its directives: no retry asks its service again."
    """

    BROKEN: ClassVar[list[dict[str, Any]]] = [rule("callback", "mail", FAILS_TO_EVALUATE)]
    ORDERED: ClassVar[Mapping[str, Any]] = {"cancelTasks": ["charge"]}

    @pytest.mark.parametrize("action", ["post", "patch"])
    def test_the_attempt_fails_and_the_result_stays(self, action: str) -> None:
        run = journey(
            step("charge", action=action, nextStep="mail", nextStepRules=self.BROKEN), step("mail")
        ).goes(a_success({"id": 7}, directives=self.ORDERED))

        assert run.at == "EXHAUSTED"
        assert (run.last.success, run.last.response, run.last.certainty) == (
            True,
            {"id": 7},
            Certainty.OPEN,
        )
        assert run.last.directives == self.ORDERED
        assert run.last.error is not None
        assert run.last.error.message.startswith("rule of charge: ")
        assert run.end.failure is not None
        assert run.end.failure.error == run.last.error

    @pytest.mark.parametrize("acts", [{"action": "get"}, {"action": "put"}, {"controllerCallback": "{}"}])
    def test_any_other_step_fails(self, acts: dict[str, Any]) -> None:
        run = journey(step("charge", nextStep="mail", nextStepRules=self.BROKEN, **acts), step("mail")).goes(
            a_success({"id": 7}, directives=self.ORDERED)
        )

        assert run.at == "EXHAUSTED"
        assert (run.last.success, run.last.response, run.last.directives) == (False, {"id": 7}, None)
        assert run.last.error is not None
        assert run.last.error.message.startswith("rule of charge: ")

    def test_a_retry_evaluates_the_rule_again_and_sends_no_second_call(self) -> None:
        rules = [
            rule("callback", "mail", "attempt == 1 ? response.missing : stack.charge.response.id == 7.0")
        ]
        run = journey(step("charge", nextStepRules=rules), step("mail"), retry=RETRY_TWICE)
        run.succeeds({"id": 7}).retry()

        assert (run.at, run.intent.passed, run.executed) == ("mail", ("charge",), ["charge"])

    def test_the_retry_sees_no_error_of_the_earlier_evaluation(self) -> None:
        rules = [
            rule("callback", "mail", "attempt == 1 ? response.missing : stack.charge.error == null"),
        ]
        run = journey(step("charge", nextStepRules=rules), step("mail"), retry=RETRY_TWICE)
        run.succeeds({"id": 7}).retry()

        assert run.at == "mail"

    def test_a_rule_that_still_cannot_be_evaluated_uses_up_the_attempts_without_a_call(self) -> None:
        run = journey(
            step("charge", nextStep="mail", nextStepRules=self.BROKEN), step("mail"), retry=RETRY_TWICE
        )
        run.succeeds({"id": 7}).retry()
        assert (run.at, run.end.passed) == ("RETRY", ("charge",))
        run.retry()

        assert (run.at, run.executed) == ("EXHAUSTED", ["charge"])

    def test_a_step_with_repeat_on_retry_is_called_again_under_its_key_and_marked(self) -> None:
        run = journey(
            step("charge", nextStep="mail", nextStepRules=self.BROKEN, repeatOnRetry=True),
            step("mail"),
            retry=RETRY_TWICE,
        )
        run.succeeds({"id": 7}).retry()

        assert (run.at, run.intent.call_key, run.intent.repeat) == ("charge", "i-1-1-1", True)

    def test_the_answer_of_an_asynchronous_call_stays(self) -> None:
        """A retry would ask for another answer under a new key."""
        broken = step("charge", nextStepRules=[rule("callback", "mail", FAILS_TO_EVALUATE)])
        run = journey(broken, step("mail"), retry=RETRY_TWICE)
        context, intent = run.context, replace(run.intent, visit=2, awaits=True, answers_later=True)

        judged, then = advance(context, intent, a_success({"paid": True}))

        assert (judged.success, judged.response, judged.certainty) == (
            True,
            {"paid": True},
            Certainty.OPEN,
        )
        assert isinstance(then, RunEnd)
        assert then.how is Ending.RETRY

    def test_on_error_rules_of_the_failed_step_are_evaluated(self) -> None:
        run = journey(
            step(
                "charge",
                nextStepRules=[
                    rule("callback", "mail", FAILS_TO_EVALUATE),
                    rule("onError", "mail", 'stack.charge.error.message.startsWith("rule of charge")'),
                ],
            ),
            step("mail"),
        ).succeeds()

        assert run.at == "mail"

    def test_an_optional_step_with_a_broken_rule_fails_its_attempt(self) -> None:
        run = journey(
            step("charge", optional=True, nextStepRules=[rule("callback", "mail", FAILS_TO_EVALUATE)]),
            step("mail"),
        ).fails(503)

        assert run.at == "EXHAUSTED"
        assert run.end.failure == Failure(
            step="charge",
            failed_at=NOON,
            error=StepError(message="api/call returned HTTP 503", kind=ErrorKind.HTTP, status=503),
        )
        (note,) = run.last.notes
        assert note.startswith("rule of charge: ")


class TestAfterAnError:
    """ "After an error: first matching `onError` rule (no attempt used); else, if `optional`, continue; else the
    attempt fails".
    """

    def test_an_on_error_rule_handles_the_error(self) -> None:
        run = journey(
            step(
                "charge",
                nextStepRules=[
                    rule("onError", "mail", "stack.charge.error.status == 404"),
                    rule("onError", "crm"),
                    rule("onError", "mail"),
                ],
            ),
            step("mail"),
            step("crm"),
            retry=RETRY_TWICE,
        ).fails(500)

        assert run.at == "crm"
        assert run.intent.attempt == 1
        assert run.intent.failure is None

    def test_a_broken_on_error_rule_does_not_match_and_gets_a_note(self) -> None:
        run = journey(
            step(
                "charge",
                nextStepRules=[rule("onError", "mail", FAILS_TO_EVALUATE), rule("onError", "crm")],
            ),
            step("mail"),
            step("crm"),
        ).fails()

        assert run.at == "crm"
        (note,) = run.last.notes
        assert note.startswith("onError rule of charge: ")

    def test_an_on_error_rule_wins_over_optional(self) -> None:
        run = journey(
            step("charge", optional=True, nextStep="mail", nextStepRules=[rule("onError", "crm")]),
            step("mail"),
            step("crm"),
        ).fails()

        assert run.at == "crm"

    def test_an_optional_step_continues_as_after_success(self) -> None:
        run = journey(
            step(
                "charge",
                optional=True,
                nextStepRules=[rule("callback", "mail", "!stack.charge.success")],
            ),
            step("mail"),
        ).fails()

        assert run.at == "mail"
        assert run.last == an_error(500)

    def test_an_error_without_a_reason_gets_one(self) -> None:
        run = journey(step("charge")).goes(Outcome(success=False))

        assert run.end.failure is not None
        assert run.end.failure.error == StepError(message="the step failed")

    def test_a_failed_step_without_rules_fails_the_attempt(self) -> None:
        run = journey(step("charge", nextStep="mail"), step("mail")).fails(402)

        assert run.end.how is Ending.EXHAUSTED
        assert run.end.failure == Failure(
            step="charge",
            failed_at=NOON,
            error=StepError(message="api/call returned HTTP 402", kind=ErrorKind.HTTP, status=402),
        )


class TestBeforeARetry:
    """If attempts are left, the first matching onBeforeRetry rule leads to a side path; then the run ends RETRY,
    dated at the failure.
    """

    def test_a_run_without_a_side_path_ends_at_once(self) -> None:
        run = journey(step("charge"), retry=RETRY_TWICE).fails()

        assert run.end.how is Ending.RETRY
        assert run.end.failure is not None
        assert run.end.failure.retry_at == NOON + HOUR
        assert run.end.attempt == 1

    def test_the_side_path_keeps_the_failure_and_its_date(self) -> None:
        run = journey(
            step(
                "charge",
                nextStepRules=[
                    rule("onBeforeRetry", "mail", "attempt > 1"),
                    rule("onBeforeRetry", "mail"),
                ],
            ),
            step("mail", nextStep="crm"),
            step("crm"),
            retry=RETRY_TWICE,
        ).fails(402)

        failure = Failure(
            step="charge",
            failed_at=NOON,
            error=StepError(message="api/call returned HTTP 402", kind=ErrorKind.HTTP, status=402),
            retry_at=NOON + HOUR,
            attempts_left=2,
            next_at=NOON + HOUR,
        )
        assert (run.at, run.intent.path, run.intent.failure) == ("mail", Path.BEFORE_RETRY, failure)
        run.now += timedelta(minutes=5)
        run.succeeds()
        assert (run.at, run.intent.path, run.intent.failure) == ("crm", Path.BEFORE_RETRY, failure)
        run.succeeds()
        assert (run.end.how, run.end.failure) == (Ending.RETRY, failure)

    def test_a_broken_on_before_retry_rule_does_not_match_and_gets_a_note(self) -> None:
        run = journey(
            step("charge", nextStepRules=[rule("onBeforeRetry", "mail", FAILS_TO_EVALUATE)]),
            step("mail"),
            retry=RETRY_TWICE,
        ).fails()

        assert run.at == "RETRY"
        (note,) = run.last.notes
        assert note.startswith("onBeforeRetry rule of charge: ")

    def test_a_broken_retry_callback_gets_a_note(self) -> None:
        after = {**hours(2), "retryEventCallback": '{"unit": attributes.missing}'}
        run = journey(step("charge"), retry={"times": 1, "retryAfter": after}).fails()

        assert run.end.failure is not None
        assert run.end.failure.retry_at == NOON + 2 * HOUR
        (note,) = run.last.notes
        assert note.startswith("retryEventCallback: ")

    def test_a_retry_callback_sees_the_failed_attempt_and_its_error(self) -> None:
        callback = '{"unit": "hours", "amount": attempt * 10 + int(stack.charge.error.status) - 500}'
        after = {**hours(1), "retryEventCallback": callback}
        run = journey(step("charge"), retry={"times": 2, "retryAfter": after}).fails(503)

        assert run.end.failure is not None
        assert run.end.failure.retry_at == NOON + 13 * HOUR

        run.retry().fails(503)
        assert run.end.failure.retry_at == NOON + (13 + 23) * HOUR

    def test_two_retries_are_three_runs(self) -> None:
        run = journey(step("charge"), retry=RETRY_TWICE).fails().retry().fails().retry().fails()

        assert run.end.how is Ending.EXHAUSTED
        assert (run.event.attempt, run.event.run) == (3, 3)
        assert run.now == NOON + 2 * HOUR

    def test_the_retry_config_of_the_step_wins_over_its_tasks(self) -> None:
        run = journey(
            step("charge", retryConfig={"times": 1, "retryAfter": hours(5)}), retry=RETRY_TWICE
        ).fails()

        assert run.end.failure is not None
        assert run.end.failure.retry_at == NOON + 5 * HOUR


class TestBeforeAPause:
    """If the attempts are used up under pauseBeforeCancel, the first matching onBeforePause rule leads to a side
    path. Then, or without pauseBeforeCancel at once, the run ends EXHAUSTED.
    """

    STEPS = (
        step(
            "charge",
            nextStepRules=[rule("onBeforePause", "hold"), rule("onBeforeRetry", "mail")],
        ),
        step("hold"),
        step("mail"),
    )

    def test_the_side_path_comes_before_the_end(self) -> None:
        run = journey(*self.STEPS, retry={"times": 0, "pauseBeforeCancel": True}).fails()

        assert (run.at, run.intent.path) == ("hold", Path.BEFORE_PAUSE)
        run.succeeds()
        assert run.end.how is Ending.EXHAUSTED
        assert run.end.failure is not None
        assert run.end.failure.pauses
        assert run.end.failure.retry_at is None

    def test_a_run_without_pause_before_cancel_has_no_side_path(self) -> None:
        run = journey(*self.STEPS, retry={"times": 0}).fails()

        assert run.end.how is Ending.EXHAUSTED
        assert run.end.failure is not None
        assert not run.end.failure.pauses

    def test_an_event_of_a_final_instance_cannot_pause(self) -> None:
        run = journey(
            *self.STEPS,
            retry={"times": 0, "pauseBeforeCancel": True},
            status=InstanceStatus.CANCELED,
        ).fails()

        assert run.end.how is Ending.EXHAUSTED
        assert run.end.failure is not None
        assert not run.end.failure.pauses


class TestSidePaths:
    """A side path runs to a final step or its end. It triggers neither retry nor pause; its errors are only
    recorded.
    """

    def side(self, *steps: dict[str, Any]) -> Journey:
        first = step("charge", nextStepRules=[rule("onBeforeRetry", steps[0]["key"])])
        return journey(first, *steps, retry=RETRY_TWICE).fails(402)

    def test_an_error_ends_the_side_path_and_keeps_the_first_failure(self) -> None:
        run = self.side(step("mail", nextStep="crm"), step("crm")).fails(500)

        assert run.end.how is Ending.RETRY
        assert run.end.failure is not None
        assert run.end.failure.step == "charge"
        assert run.end.failure.error.status == 402

    def test_a_final_step_ends_the_side_path(self) -> None:
        run = self.side(step("mail", final=True)).succeeds()

        assert run.end.how is Ending.RETRY

    def test_an_optional_step_continues_the_side_path(self) -> None:
        run = self.side(step("mail", optional=True, nextStep="crm"), step("crm")).fails()

        assert (run.at, run.intent.path) == ("crm", Path.BEFORE_RETRY)

    def test_rules_apply_on_the_side_path(self) -> None:
        run = self.side(
            step(
                "mail",
                nextStepRules=[rule("onError", "crm"), rule("callback", "crm", "attempt == 1")],
            ),
            step("crm"),
        )

        assert run.fails().at == "crm"

    def test_no_attempts_are_reset_on_a_side_path(self) -> None:
        run = self.side(step("mail", resetAttempts=True))

        assert (run.intent.attempt, run.intent.resets) == (1, ())
        run.succeeds().retry()
        assert run.event.attempt == 2
        run.fails()
        assert (run.at, run.intent.attempt) == ("mail", 2)


class TestBranches:
    """ "8x8 branches that are all true run one after another"."""

    def branching(self, *targets: str, **members: Any) -> Journey:
        fork = a_step("fork", every_rule=True, rules=tuple(true_of(target) for target in targets), **members)
        others = [
            a_step("a", next_step="a2"),
            a_step("a2"),
            a_step("b", final=True),
            a_step("c", rules=(NextStepRule(kind=RuleKind.ON_ERROR, next_step="b"),)),
            a_step("last"),
        ]
        return Journey(a_strategy(definition=a_definition(a_task(fork, *others))))

    def test_branches_run_in_their_order(self) -> None:
        run = self.branching("a", "b", "c").succeeds()
        assert (run.at, run.intent.branches) == ("a", ("c", "b"))

        run.succeeds(None, None)
        assert (run.at, run.intent.branches) == ("b", ("c",))

    def test_a_final_step_ends_only_its_branch(self) -> None:
        run = self.branching("b", "a").succeeds(None, None)

        assert (run.at, run.intent.branches) == ("a", ())
        assert run.succeeds(None, None).at == "SUCCEEDED"

    def test_a_handled_error_keeps_the_branches(self) -> None:
        run = self.branching("c", "a").succeeds().fails()

        assert (run.at, run.intent.branches) == ("b", ("a",))

    def test_a_failed_attempt_drops_the_branches(self) -> None:
        run = self.branching("a", "b").succeeds().fails()

        assert run.at == "EXHAUSTED"

    def test_next_step_is_used_without_a_true_branch(self) -> None:
        assert self.branching(next_step="last").succeeds().at == "last"

    def test_a_rule_without_a_condition_is_true(self) -> None:
        fork = a_step("fork", rules=(NextStepRule(kind=RuleKind.CALLBACK, next_step="a"),))
        run = Journey(a_strategy(definition=a_definition(a_task(fork, a_step("a"))))).succeeds()

        assert run.at == "a"

    def test_thirty_two_branches_may_wait(self) -> None:
        run = self.branching(*["a"] * 33).succeeds()

        assert len(run.intent.branches) == 32

    def test_thirty_three_branches_are_refused(self) -> None:
        run = self.branching(*["a"] * 34).succeeds()

        assert run.at == "EXHAUSTED"
        assert run.last.error == StepError(
            message="rule of fork: more than 32 branches wait", kind=ErrorKind.EXPRESSION
        )


class TestVisits:
    """ "At most 200 visits a run, then the attempt fails"."""

    def test_the_two_hundred_and_first_step_fails_the_attempt(self) -> None:
        poll = step("poll", delay=hours(1), action="get", nextStep="poll")
        run = journey(poll, retry=RETRY_TWICE).succeeds(*[None] * 199)
        assert (run.at, run.intent.visit) == ("poll", 200)

        run.succeeds()

        assert run.end.how is Ending.RETRY
        assert run.end.failure is not None
        assert run.end.failure.error == StepError(
            message="more than 200 steps in one run", kind=ErrorKind.LIMIT
        )

    def test_the_side_path_beyond_the_limit_is_not_executed(self) -> None:
        poll = step(
            "poll",
            delay=hours(1),
            action="get",
            nextStep="poll",
            nextStepRules=[rule("onBeforeRetry", "mail")],
        )
        run = journey(poll, step("mail"), retry=RETRY_TWICE).succeeds(*[None] * 200)

        assert run.end.how is Ending.RETRY


class TestDelay:
    """A step with delay acts after it."""

    def test_a_delay_counts_from_when_its_step_is_reached(self) -> None:
        run = journey(step("charge", nextStep="wait"), step("wait", delay=hours(3)))
        assert run.intent.not_before is None

        run.now = NOON + HOUR
        assert run.succeeds().intent.not_before == NOON + 4 * HOUR

    def test_a_delay_can_count_from_an_attribute(self) -> None:
        run = journey(
            step("wait", delay={**hours(1), "from": "trialEnds"}),
            attributes={"trialEnds": "2026-02-10T08:00:00.000Z"},
        )

        assert run.intent.not_before == NOON.replace(month=2, day=10, hour=9)

    def test_a_delay_callback_sees_the_attempt_of_its_step(self) -> None:
        delay = {**hours(1), "retryEventCallback": '{"unit": "hours", "amount": 5 * attempt}'}
        run = journey(step("charge", nextStep="wait"), step("wait", delay=delay, resetAttempts=True))
        run = Journey(run.strategy, an_event(attempt=3)).succeeds()

        assert run.intent.not_before == NOON + 5 * HOUR

    def test_a_delay_from_a_missing_date_counts_from_now_and_gets_a_note(self) -> None:
        run = journey(step("charge", nextStep="wait"), step("wait", delay={**hours(1), "from": "trialEnds"}))
        run.succeeds()

        assert run.intent.not_before == NOON + HOUR
        assert run.last.notes == (f"delay of wait: from: attribute 'trialEnds' is not {DATE_FORMS}",)

    def test_a_delay_beyond_every_date_is_ignored_and_gets_a_note(self) -> None:
        never = {"unit": "years", "amount": 999_999}
        run = journey(step("charge", nextStep="wait"), step("wait", delay=never)).succeeds()

        assert (run.at, run.intent.not_before) == ("wait", None)
        (note,) = run.last.notes
        assert note.startswith("delay of wait: 999999 years: ")


class TestOperatorsDecisions:
    """A skipped step is not successful and the run continues as after success; a failed step fails its attempt,
    whatever its rules say.
    """

    STEPS = (
        step("charge", nextStep="mail", nextStepRules=[rule("onError", "crm")]),
        step("mail"),
        step("crm"),
    )

    def test_a_skipped_step_continues_the_run(self) -> None:
        run = journey(*self.STEPS)
        outcome, then = skip(run.context, run.intent, NO_ANSWER)

        assert outcome == NO_ANSWER
        assert isinstance(then, Intent)
        assert (then.step, then.visit) == ("mail", 2)

    def test_a_skipped_step_with_a_broken_rule_fails_the_attempt(self) -> None:
        run = journey(
            step("charge", nextStepRules=[rule("callback", "mail", FAILS_TO_EVALUATE)]), step("mail")
        )
        outcome, then = skip(run.context, run.intent, NO_ANSWER)

        assert outcome.notes[0].startswith("rule of charge: ")
        assert getattr(then, "how", None) is Ending.EXHAUSTED

    def test_a_failed_step_evaluates_no_on_error_rule(self) -> None:
        run = journey(*self.STEPS, retry=RETRY_TWICE)
        _, then = fail(run.context, run.intent, NO_ANSWER)

        assert getattr(then, "how", None) is Ending.RETRY
