from datetime import timedelta
from typing import Any

from shared.domain.instance.model import InstanceStatus
from shared.domain.instance.run import Ending, Failure, Intent, Outcome, Path, StepError
from shared.domain.steps.flow import fail, skip
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
    """A final step ends the task; else the first true callback rule leads on; else nextStep; else the end."""

    def test_without_a_way_on_the_task_ends(self) -> None:
        run = journey(step("charge")).succeeds()

        assert run.at == "SUCCEEDED"
        assert run.end.failure is None

    def test_next_step_leads_on(self) -> None:
        run = journey(step("charge", nextStep="mail"), step("mail")).succeeds()

        assert run.at == "mail"
        assert run.intent.visit == 2
        assert run.intent.path is Path.MAIN

    def test_the_first_true_callback_rule_goes_before_next_step(self) -> None:
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

    def test_without_a_true_rule_next_step_leads_on(self) -> None:
        run = journey(
            step("charge", nextStep="mail", nextStepRules=[rule("callback", "crm", "false")]),
            step("mail"),
            step("crm"),
        ).succeeds()

        assert run.at == "mail"

    def test_a_final_step_asks_no_rule(self) -> None:
        steps = (a_step("charge", final=True, rules=(true_of("mail"),)), a_step("mail"))
        run = Journey(a_strategy(definition=a_definition(a_task(*steps)))).succeeds()

        assert run.at == "SUCCEEDED"

    def test_rules_see_the_key_and_the_attempt_of_the_step_they_belong_to(self) -> None:
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

    def test_rules_see_the_attributes_that_the_controller_of_their_step_has_set(self) -> None:
        run = journey(
            step("count", nextStepRules=[rule("callback", "mail", "attributes.count == 3.0")]),
            step("mail"),
            attributes={"count": 2},
        ).goes(a_success(directives={"attributes": {"count": 3}}))

        assert run.at == "mail"

    def test_other_orders_change_nothing_for_rules(self) -> None:
        run = journey(
            step("stop", nextStepRules=[rule("callback", "mail", 'instance.status == "ACTIVE"')]),
            step("mail"),
        ).goes(a_success(directives={"pauseInstance": "enough"}))

        assert run.at == "mail"


class TestARuleThatCannotBeEvaluated:
    """A callback rule that cannot be evaluated makes its step fail; a failed step orders nothing."""

    def test_the_step_fails(self) -> None:
        run = journey(
            step("charge", nextStep="mail", nextStepRules=[rule("callback", "mail", FAILS_TO_EVALUATE)]),
            step("mail"),
        ).goes(a_success({"id": 7}, directives={"cancelTasks": ["charge"]}))

        assert run.at == "EXHAUSTED"
        assert run.last.success is False
        assert run.last.response == {"id": 7}
        assert run.last.directives is None
        assert run.last.error is not None
        assert run.last.error.message.startswith("rule of charge: ")

    def test_its_on_error_rules_are_asked(self) -> None:
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

    def test_an_optional_step_whose_rule_still_fails_has_failed_its_attempt(self) -> None:
        run = journey(
            step("charge", optional=True, nextStepRules=[rule("callback", "mail", FAILS_TO_EVALUATE)]),
            step("mail"),
        ).fails(503)

        assert run.at == "EXHAUSTED"
        assert run.end.failure == Failure(
            step="charge", failed_at=NOON, error=StepError(message="api/call returned HTTP 503", status=503)
        )
        (note,) = run.last.notes
        assert note.startswith("rule of charge: ")


class TestAfterAnError:
    """The first matching onError rule leads on and uses no attempt; else an optional step goes on as after
    success; else the attempt fails."""

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

    def test_one_that_cannot_be_evaluated_does_not_match_and_is_noted(self) -> None:
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

    def test_an_on_error_rule_goes_before_optional(self) -> None:
        run = journey(
            step("charge", optional=True, nextStep="mail", nextStepRules=[rule("onError", "crm")]),
            step("mail"),
            step("crm"),
        ).fails()

        assert run.at == "crm"

    def test_an_optional_step_goes_on_as_after_success(self) -> None:
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

    def test_an_error_without_a_reason_has_one(self) -> None:
        run = journey(step("charge")).goes(Outcome(success=False))

        assert run.end.failure is not None
        assert run.end.failure.error == StepError(message="the step failed")

    def test_otherwise_the_attempt_fails(self) -> None:
        run = journey(step("charge", nextStep="mail"), step("mail")).fails(402)

        assert run.end.how is Ending.EXHAUSTED
        assert run.end.failure == Failure(
            step="charge", failed_at=NOON, error=StepError(message="api/call returned HTTP 402", status=402)
        )


class TestBeforeARetry:
    """Where attempts are left, the first matching onBeforeRetry rule leads to a side path; then the run ends
    RETRY with the date computed at the failure."""

    def test_without_a_side_path_the_run_ends_at_once(self) -> None:
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
            error=StepError(message="api/call returned HTTP 402", status=402),
            retry_at=NOON + HOUR,
        )
        assert (run.at, run.intent.path, run.intent.failure) == ("mail", Path.BEFORE_RETRY, failure)
        run.now += timedelta(minutes=5)
        run.succeeds()
        assert (run.at, run.intent.path, run.intent.failure) == ("crm", Path.BEFORE_RETRY, failure)
        run.succeeds()
        assert (run.end.how, run.end.failure) == (Ending.RETRY, failure)

    def test_a_rule_that_cannot_be_evaluated_does_not_match_and_is_noted(self) -> None:
        run = journey(
            step("charge", nextStepRules=[rule("onBeforeRetry", "mail", FAILS_TO_EVALUATE)]),
            step("mail"),
            retry=RETRY_TWICE,
        ).fails()

        assert run.at == "RETRY"
        (note,) = run.last.notes
        assert note.startswith("onBeforeRetry rule of charge: ")

    def test_a_retry_callback_that_cannot_be_evaluated_is_noted(self) -> None:
        after = {**hours(2), "retryEventCallback": '{"unit": attributes.missing}'}
        run = journey(step("charge"), retry={"times": 1, "retryAfter": after}).fails()

        assert run.end.failure is not None
        assert run.end.failure.retry_at == NOON + 2 * HOUR
        (note,) = run.last.notes
        assert note.startswith("retryEventCallback: ")

    def test_a_retry_callback_sees_the_attempt_that_failed_and_its_error(self) -> None:
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

    def test_the_retry_config_of_the_step_goes_before_that_of_its_task(self) -> None:
        run = journey(
            step("charge", retryConfig={"times": 1, "retryAfter": hours(5)}), retry=RETRY_TWICE
        ).fails()

        assert run.end.failure is not None
        assert run.end.failure.retry_at == NOON + 5 * HOUR


class TestBeforeAPause:
    """Where the attempts are used up under pauseBeforeCancel, the first matching onBeforePause rule leads to
    a side path; then, and without pauseBeforeCancel at once, the run ends EXHAUSTED."""

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

    def test_without_pause_before_cancel_there_is_none(self) -> None:
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
    """A side path follows its steps to a final one or the end. It triggers neither retry nor pause; its
    errors are recorded only."""

    def side(self, *steps: dict[str, Any]) -> Journey:
        first = step("charge", nextStepRules=[rule("onBeforeRetry", steps[0]["key"])])
        return journey(first, *steps, retry=RETRY_TWICE).fails(402)

    def test_an_error_on_it_ends_it_and_the_attempt_has_failed_as_before(self) -> None:
        run = self.side(step("mail", nextStep="crm"), step("crm")).fails(500)

        assert run.end.how is Ending.RETRY
        assert run.end.failure is not None
        assert run.end.failure.step == "charge"
        assert run.end.failure.error.status == 402

    def test_a_final_step_ends_it(self) -> None:
        run = self.side(step("mail", final=True)).succeeds()

        assert run.end.how is Ending.RETRY

    def test_an_optional_step_goes_on(self) -> None:
        run = self.side(step("mail", optional=True, nextStep="crm"), step("crm")).fails()

        assert (run.at, run.intent.path) == ("crm", Path.BEFORE_RETRY)

    def test_rules_lead_on(self) -> None:
        run = self.side(
            step(
                "mail",
                nextStepRules=[rule("onError", "crm"), rule("callback", "crm", "attempt == 1")],
            ),
            step("crm"),
        )

        assert run.fails().at == "crm"

    def test_no_attempts_are_reset_on_it(self) -> None:
        run = self.side(step("mail", resetAttempts=True))

        assert (run.intent.attempt, run.intent.resets) == (1, ())
        run.succeeds().retry()
        assert run.event.attempt == 2
        run.fails()
        assert run.end.attempt == 2


class TestBranches:
    """Under every_rule all true callback rules are followed, one branch after another."""

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

    def test_they_run_in_their_order(self) -> None:
        run = self.branching("a", "b", "c").succeeds()
        assert (run.at, run.intent.branches) == ("a", ("c", "b"))

        run.succeeds(None, None)
        assert (run.at, run.intent.branches) == ("b", ("c",))

    def test_a_final_step_ends_its_branch_only(self) -> None:
        run = self.branching("b", "a").succeeds(None, None)

        assert (run.at, run.intent.branches) == ("a", ())
        assert run.succeeds(None, None).at == "SUCCEEDED"

    def test_a_handled_error_keeps_the_branches(self) -> None:
        run = self.branching("c", "a").succeeds().fails()

        assert (run.at, run.intent.branches) == ("b", ("a",))

    def test_a_failed_attempt_drops_them(self) -> None:
        run = self.branching("a", "b").succeeds().fails()

        assert run.at == "EXHAUSTED"

    def test_without_a_true_rule_next_step_leads_on(self) -> None:
        assert self.branching(next_step="last").succeeds().at == "last"

    def test_a_rule_without_a_condition_is_true(self) -> None:
        fork = a_step("fork", rules=(NextStepRule(kind=RuleKind.CALLBACK, next_step="a"),))
        run = Journey(a_strategy(definition=a_definition(a_task(fork, a_step("a"))))).succeeds()

        assert run.at == "a"

    def test_thirty_two_may_wait(self) -> None:
        run = self.branching(*["a"] * 33).succeeds()

        assert len(run.intent.branches) == 32

    def test_thirty_three_may_not(self) -> None:
        run = self.branching(*["a"] * 34).succeeds()

        assert run.at == "EXHAUSTED"
        assert run.last.error == StepError(message="rule of fork: more than 32 branches wait")


class TestVisits:
    """A run executes at most 200 steps; then its attempt fails."""

    def test_the_two_hundred_and_first_is_refused(self) -> None:
        poll = step("poll", delay=hours(1), action="get", nextStep="poll")
        run = journey(poll, retry=RETRY_TWICE).succeeds(*[None] * 199)
        assert (run.at, run.intent.visit) == ("poll", 200)

        run.succeeds()

        assert run.end.how is Ending.RETRY
        assert run.end.failure is not None
        assert run.end.failure.error == StepError(message="more than 200 steps in one run")

    def test_its_side_path_is_not_executed_either(self) -> None:
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
    """A step with delay does not act before it is over."""

    def test_counted_from_when_it_is_reached(self) -> None:
        run = journey(step("charge", nextStep="wait"), step("wait", delay=hours(3)))
        assert run.intent.not_before is None

        run.now = NOON + HOUR
        assert run.succeeds().intent.not_before == NOON + 4 * HOUR

    def test_counted_from_an_attribute(self) -> None:
        run = journey(
            step("wait", delay={**hours(1), "from": "trialEnds"}),
            attributes={"trialEnds": "2026-02-10T08:00:00.000Z"},
        )

        assert run.intent.not_before == NOON.replace(month=2, day=10, hour=9)

    def test_with_a_callback_that_sees_the_attempt_of_the_step(self) -> None:
        delay = {**hours(1), "retryEventCallback": '{"unit": "hours", "amount": 5 * attempt}'}
        run = journey(step("charge", nextStep="wait"), step("wait", delay=delay, resetAttempts=True))
        run = Journey(run.strategy, an_event(attempt=3)).succeeds()

        assert run.intent.not_before == NOON + 5 * HOUR

    def test_what_cannot_be_evaluated_is_noted(self) -> None:
        run = journey(step("charge", nextStep="wait"), step("wait", delay={**hours(1), "from": "trialEnds"}))
        run.succeeds()

        assert run.intent.not_before == NOON + HOUR
        assert run.last.notes == ("delay of wait: from: attribute 'trialEnds' is not a date",)

    def test_one_that_leads_past_every_date_is_none(self) -> None:
        never = {"unit": "years", "amount": 999_999}
        run = journey(step("charge", nextStep="wait"), step("wait", delay=never)).succeeds()

        assert (run.at, run.intent.not_before) == ("wait", None)
        (note,) = run.last.notes
        assert note.startswith("delay of wait: 999999 years: ")


class TestWhatAnOperatorDecides:
    """A skipped step counts as not successful and the run goes on as after success; a failed one fails its
    attempt, whatever its rules say."""

    STEPS = (
        step("charge", nextStep="mail", nextStepRules=[rule("onError", "crm")]),
        step("mail"),
        step("crm"),
    )

    def test_skip_goes_on(self) -> None:
        run = journey(*self.STEPS)
        outcome, then = skip(run.context, run.intent, NO_ANSWER)

        assert outcome == NO_ANSWER
        assert isinstance(then, Intent)
        assert (then.step, then.visit) == ("mail", 2)

    def test_skip_fails_the_attempt_where_a_rule_cannot_be_evaluated(self) -> None:
        run = journey(
            step("charge", nextStepRules=[rule("callback", "mail", FAILS_TO_EVALUATE)]), step("mail")
        )
        outcome, then = skip(run.context, run.intent, NO_ANSWER)

        assert outcome.notes[0].startswith("rule of charge: ")
        assert getattr(then, "how", None) is Ending.EXHAUSTED

    def test_fail_asks_no_on_error_rule(self) -> None:
        run = journey(*self.STEPS, retry=RETRY_TWICE)
        _, then = fail(run.context, run.intent, NO_ANSWER)

        assert getattr(then, "how", None) is Ending.RETRY
