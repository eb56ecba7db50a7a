"""Failed attempts that are final, and the variables of side paths, in the flow of a task.

Source: docs/contracts/core.md section 3.6; docs/expressions.md.
"""

from typing import Any

import pytest

from shared.domain.instance.reason import ErrorKind
from shared.domain.instance.run import Certainty, Ending, Outcome, Path, StepError
from shared.domain.steps.flow import fail, skip
from tests.factories import (
    HOUR,
    NO_ANSWER,
    NOON,
    Journey,
    a_success,
    an_error,
    an_event,
    hours,
    rule,
    settings,
    step,
    task,
)

HARD = {"error": {"decline_code": "lost_card"}}
SOFT = {"error": {"decline_code": "insufficient_funds"}}
STOP_IF = "response.error.decline_code in ['lost_card', 'stolen_card']"


def journey(*steps: dict[str, Any], own: dict[str, Any] | None = None, **retry: Any) -> Journey:
    """Return a charge with a mail before each retry and one before the pause; ``own`` is of the step itself."""
    rules = [rule("onBeforeRetry", "warn"), rule("onBeforePause", "hold")]
    charge = step("charge", nextStepRules=rules, **({} if own is None else {"retryConfig": own}))
    of = {"times": 2, "retryAfter": hours(1), "pauseBeforeCancel": True, **retry}
    return Journey(settings(task("charge", charge, step("warn"), step("hold"), *steps, retryConfig=of)))


class TestStopIf:
    """ "A hard decline exhausts at once": the run ends as after the last attempt."""

    @pytest.mark.parametrize(
        "run",
        [
            journey(stopIf=STOP_IF),
            journey(own={"times": 2, "retryAfter": hours(1), "pauseBeforeCancel": True, "stopIf": STOP_IF}),
        ],
        ids=["of the task", "of the step"],
    )
    def test_a_hard_decline_leads_to_the_path_before_a_pause(self, run: Journey) -> None:
        run.goes(an_error(402, SOFT))
        assert (run.at, run.last.notes) == ("warn", ())

        run.succeeds().retry().goes(an_error(402, HARD))
        assert (run.at, run.intent.path) == ("hold", Path.BEFORE_PAUSE)
        assert run.last.notes == ("retries stopped by stopIf",)

        run.succeeds()
        assert (run.end.how, run.end.attempt) == (Ending.EXHAUSTED, 2)
        assert run.end.failure is not None
        assert run.end.failure.error.message == "api/call returned HTTP 402 (retries stopped by stopIf)"

    def test_the_error_on_the_stack_keeps_its_message(self) -> None:
        run = journey(stopIf=STOP_IF).goes(an_error(402, HARD))

        assert run.last.error is not None
        assert run.last.error.message == "api/call returned HTTP 402"

    def test_a_task_that_does_not_pause_ends_at_once(self) -> None:
        run = journey(stopIf=STOP_IF, pauseBeforeCancel=False).goes(an_error(402, HARD))

        assert run.end.how is Ending.EXHAUSTED
        assert run.end.failure is not None
        assert not run.end.failure.pauses

    def test_the_policy_of_the_step_replaces_that_of_the_task(self) -> None:
        run = journey(own={"times": 1, "retryAfter": hours(1)}, stopIf="true").goes(an_error(402, HARD))

        assert run.at == "warn"

    @pytest.mark.parametrize(
        ("certainty", "expected"),
        [(Certainty.DEFINITE, "hold"), (Certainty.OPEN, "hold"), (Certainty.IN_DOUBT, "warn")],
    )
    def test_stop_if_is_evaluated_unless_the_call_is_in_doubt(
        self, certainty: Certainty, expected: str
    ) -> None:
        run = journey(stopIf="true").goes(an_error(402, HARD, certainty=certainty))

        assert run.at == expected

    def test_no_answer_is_no_hard_decline(self) -> None:
        run = journey(stopIf="true").goes(NO_ANSWER)

        assert (run.at, run.last.notes) == ("warn", ())

    def test_stop_if_is_evaluated_on_the_answer_to_a_repeat(self) -> None:
        run = journey(stopIf=STOP_IF).goes(NO_ANSWER).succeeds().retry().goes(an_error(402, HARD))

        assert run.at == "hold"

    def test_the_retries_go_on_with_a_note_if_it_cannot_be_evaluated(self) -> None:
        run = journey(stopIf=STOP_IF).goes(an_error(402, {"message": "declined"}))

        assert run.at == "warn"
        (note,) = run.last.notes
        assert note.startswith("stopIf of charge: ")

    def test_it_sees_the_failed_step_on_the_stack(self) -> None:
        stop_if = "stack.charge.error.status == 402 && response.error.decline_code == 'lost_card'"
        # The comparison of the status decides, so a body without such a member does no harm.
        assert journey(stopIf=stop_if).goes(an_error(400, "no JSON")).last.notes == ()
        assert journey(stopIf=stop_if).goes(an_error(402, HARD)).at == "hold"

    def test_a_status_is_null_if_the_call_was_not_sent(self) -> None:
        error = StepError(message="no token", kind=ErrorKind.UNREACHABLE)
        run = journey(stopIf="stack.charge.error.status == 402 && response.error.decline_code == 'lost_card'")
        run.goes(Outcome(success=False, error=error, certainty=Certainty.OPEN))

        assert (run.at, run.last.notes) == ("warn", ())

    def test_the_side_path_of_a_failure_has_no_such_rule(self) -> None:
        run = journey(stopIf="attempt == 1 && stack.charge.error.status == 402")
        run.goes(an_error(500)).goes(an_error(402, HARD))

        assert run.end.how is Ending.RETRY

    def test_an_operator_s_decision_about_a_call_in_doubt_is_no_answer(self) -> None:
        run = journey(stopIf="true")
        _, then = fail(run.context, run.intent, NO_ANSWER)
        _, skipped = skip(run.context, run.intent, NO_ANSWER)

        assert getattr(then, "step", None) == "warn"
        assert getattr(skipped, "how", None) is Ending.SUCCEEDED

    def test_stop_if_is_not_evaluated_on_a_passed_step(self) -> None:
        quote = step(
            "quote", nextStepRules=[rule("callback", "charge", "attempt == 1 ? true : attributes.no == 1.0")]
        )
        of = {"times": 2, "retryAfter": hours(1), "stopIf": "attempt == 2"}
        run = Journey(settings(task("charge", quote, step("charge"), retryConfig=of)))
        run.goes(a_success(), an_error(402, HARD)).retry()

        assert run.end.how is Ending.RETRY

    def test_a_resume_starts_over(self) -> None:
        run = journey(stopIf=STOP_IF).goes(an_error(402, HARD)).succeeds().restart()

        assert (run.at, run.event.attempt) == ("charge", 1)
        assert run.goes(an_error(402, HARD)).at == "hold"


class TestRulesOfSidePaths:
    """The rules that choose a side path see the failure that leads to it."""

    def chosen(self, kind: str, condition: str, *statuses: int, **retry: Any) -> str:
        rules = [rule(kind, "special", condition), rule(kind, "usual")]
        charge = step("charge", nextStepRules=rules)
        of = {"times": 2, "retryAfter": hours(1), "pauseBeforeCancel": True, **retry}
        run = Journey(settings(task("charge", charge, step("special"), step("usual"), retryConfig=of)))
        run.fails(*statuses[:1])
        for status in statuses[1:]:
            run.succeeds().retry().fails(status)
        return run.at

    @pytest.mark.parametrize(("failures", "expected"), [(1, "usual"), (2, "special")])
    def test_the_last_warning_can_be_another_one(self, failures: int, expected: str) -> None:
        assert self.chosen("onBeforeRetry", "event.attemptsLeft == 1", *[402] * failures) == expected

    def test_the_date_of_the_retry_is_known(self) -> None:
        date = "timestamp(event.nextRetryAt) == timestamp('2026-01-31T13:00:00Z')"

        assert self.chosen("onBeforeRetry", date, 402) == "special"

    def test_the_reason_of_the_pause_is_known(self) -> None:
        reason = "instance.stoppedReason == 'exhausted:http-402' && event.attemptsLeft == 0"

        assert self.chosen("onBeforePause", reason, 402, times=0) == "special"

    def test_the_decision_itself_sees_none_of_it(self) -> None:
        unknown = "event.attemptsLeft == null && event.nextRetryAt == null && instance.nextDate == null"

        assert self.chosen("onBeforePause", "true", 402, stopIf=unknown) == "special"

    def test_the_step_of_a_side_path_sees_it_in_its_own_rules_and_delay(self) -> None:
        warn = step(
            "warn", nextStepRules=[rule("callback", "log", "event.attemptsLeft == 2")], nextStep="other"
        )
        delay = {**hours(0), "retryEventCallback": '{"unit": "minutes", "amount": 10 * event.attemptsLeft}'}
        log = step("log", delay=delay)
        charge = step("charge", nextStepRules=[rule("onBeforeRetry", "warn")])
        of = {"times": 2, "retryAfter": hours(1)}
        run = Journey(settings(task("charge", charge, warn, log, step("other"), retryConfig=of)))

        assert run.fails(402).succeeds().at == "log"
        assert run.intent.not_before == NOON + HOUR / 3


class TestResets:
    """``resetAttempts`` counts attempts from 1 again, also those that are left."""

    def test_all_attempts_are_left_after_a_reset(self) -> None:
        steps = (step("quote", nextStep="charge"), step("charge", resetAttempts=True))
        of = {"times": 2, "retryAfter": hours(1)}
        run = Journey(settings(task("charge", *steps, retryConfig=of)), an_event())
        run.fails(500).retry().goes(a_success()).fails(402)

        assert run.end.failure is not None
        assert run.end.failure.attempts_left == 2
