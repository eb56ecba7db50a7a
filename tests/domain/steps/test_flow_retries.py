from typing import Any

from msgspec.structs import replace

from shared.domain.instance.run import Ending, Intent, Path
from shared.domain.steps.flow import first_action
from tests.factories import NO_ANSWER, Journey, hours, rule, settings, step, task

RETRY_TWICE = {"times": 2, "retryAfter": hours(1)}


def journey(*steps: dict[str, Any], retry: dict[str, Any] | None = RETRY_TWICE) -> Journey:
    return Journey(settings(task("charge", *steps, retryConfig=retry)))


class TestRetries:
    """ "A retry walks from `initialStep` and reuses stored successes (`fromCache`) unless `repeatOnRetry`". Rules
    of passed steps are evaluated.
    """

    def test_stored_successes_are_passed(self) -> None:
        run = journey(
            step("login", nextStep="charge"),
            step("charge", nextStep="mail"),
            step("mail"),
        )
        run.succeeds({"token": "t"}).fails().retry()

        assert run.at == "charge"
        assert run.intent.passed == ("login",)
        assert run.intent.visit == 1
        assert run.intent.call_key == "i-1-2-1"
        assert (run.intent.attempt, run.event.run) == (2, 2)

    def test_a_step_with_repeat_on_retry_is_executed_again(self) -> None:
        run = journey(step("login", repeatOnRetry=True, nextStep="charge"), step("charge"))
        run.succeeds().fails().retry()

        assert run.at == "login"
        assert run.intent.passed == ()

    def test_rules_see_a_passed_step_as_it_was_stored(self) -> None:
        run = journey(
            step(
                "quote",
                nextStepRules=[
                    rule("callback", "mail", "stack.quote.fromCache && stack.quote.response.fee == 5.0"),
                    rule("callback", "charge", "!stack.quote.fromCache"),
                ],
            ),
            step("charge"),
            step("mail"),
        )
        run.succeeds({"fee": 5}).fails().retry()

        assert run.at == "mail"
        assert run.intent.passed == ("quote",)

    def test_a_run_may_pass_every_step(self) -> None:
        run = journey(
            step("quote", nextStepRules=[rule("callback", "charge", "attempt == 1")]),
            step("charge"),
        )
        run.succeeds().fails().retry()

        assert run.end.how is Ending.SUCCEEDED
        assert run.end.passed == ("quote",)

    def test_a_passed_step_with_a_broken_rule_has_failed(self) -> None:
        run = journey(
            step(
                "quote",
                nextStep="charge",
                nextStepRules=[
                    rule("callback", "charge", 'attempt == 1 ? true : attributes.missing == "x"'),
                    rule("onError", "mail"),
                ],
            ),
            step("charge"),
            step("mail"),
        )
        run.succeeds().fails().retry()

        assert run.at == "mail"
        assert run.intent.passed == ("quote",)

    def test_a_failure_of_a_passed_step_can_lead_to_its_side_path(self) -> None:
        run = journey(
            step(
                "quote",
                nextStepRules=[
                    rule("callback", "charge", 'attempt == 1 ? true : attributes.missing == "x"'),
                    rule("onBeforeRetry", "mail"),
                ],
            ),
            step("charge"),
            step("mail"),
        )
        run.succeeds().fails().retry()

        assert (run.at, run.intent.path) == ("mail", Path.BEFORE_RETRY)
        assert run.intent.failure is not None
        assert run.intent.failure.step == "quote"
        assert run.intent.failure.error.message.startswith("rule of quote: ")

    def test_only_the_last_execution_of_a_step_is_reused(self) -> None:
        poll = step(
            "poll",
            delay=hours(1),
            action="get",
            nextStepRules=[rule("callback", "check", 'stack.poll.response.state == "OPEN"')],
        )
        run = journey(poll, step("check", nextStep="poll"))
        run.succeeds({"state": "OPEN"}, {"ok": True}, {"state": "OPEN"}).fails().retry()

        assert run.at == "check"
        assert run.intent.passed == ("poll",)

    def test_a_loop_that_returns_to_a_passed_step_executes_it(self) -> None:
        poll = step(
            "poll",
            delay=hours(1),
            action="get",
            nextStepRules=[rule("callback", "check", 'stack.poll.response.state == "OPEN"')],
            nextStep="charge",
        )
        run = journey(poll, step("check", nextStep="poll"), step("charge"))
        run.succeeds({"state": "OPEN"}, None).fails().retry()
        assert (run.at, run.intent.passed) == ("poll", ())

        run.succeeds({"state": "OPEN"})
        assert (run.at, run.intent.passed) == ("poll", ("check",))
        run.succeeds({"state": "OPEN"})
        assert (run.at, run.intent.passed) == ("check", ())

    def test_hundreds_of_stored_steps_are_passed(self) -> None:
        steps = [step(f"s{n}", nextStep=f"s{n + 1}") for n in range(400)]
        run = journey(*steps, step("s400"), retry={"times": 5, "retryAfter": hours(1)})
        for _ in range(2):
            run.succeeds(*[None] * 200).retry()

        assert run.at == "s400"
        assert len(run.intent.passed) == 400


class TestStoredResultsOfSidePaths:
    """A step of a side path is executed before every retry. If it says ``repeatOnRetry: false``, its result counts on
    side paths until a restart from used-up attempts.
    """

    def dunning(self, **mail: Any) -> Journey:
        return journey(
            step("charge", nextStepRules=[rule("onBeforeRetry", "mail"), rule("onBeforePause", "hold")]),
            step("mail", **mail),
            step("hold"),
            retry={**RETRY_TWICE, "pauseBeforeCancel": True},
        )

    def test_a_failure_mail_is_sent_before_every_retry(self) -> None:
        run = self.dunning().fails().succeeds().retry().fails()

        assert run.at == "mail"
        assert run.executed == ["charge", "mail", "charge"]

    def test_a_mail_without_repeat_on_retry_is_sent_once(self) -> None:
        run = self.dunning(repeatOnRetry=False).fails().succeeds().retry().fails()

        assert run.end.how is Ending.RETRY
        assert run.end.passed == ("mail",)
        assert run.executed == ["charge", "mail", "charge"]

    def test_a_mail_with_repeat_on_retry_is_sent_each_time(self) -> None:
        run = self.dunning(repeatOnRetry=True).fails().succeeds().retry().fails()

        assert run.at == "mail"

    def test_a_mail_that_was_not_sent_is_sent_next_time(self) -> None:
        run = self.dunning(repeatOnRetry=False).fails().fails(500).retry().fails()

        assert run.at == "mail"

    def test_a_restart_after_used_up_attempts_sends_it_again(self) -> None:
        run = self.dunning(repeatOnRetry=False).fails().succeeds().retry().fails().retry().fails().succeeds()
        assert run.executed == ["charge", "mail", "charge", "charge", "hold"]

        run.restart().fails()

        assert run.at == "mail"
        assert (run.event.attempt, run.event.run, run.event.reuse.side_results_from) == (1, 4, 4)

    def test_a_restart_keeps_the_results_of_the_main_path(self) -> None:
        run = journey(
            step("login", nextStep="charge"),
            step("charge"),
            retry={"times": 0, "pauseBeforeCancel": True},
        )
        run.succeeds().fails().restart()

        assert run.at == "charge"
        assert run.intent.passed == ("login",)

    def test_a_step_on_both_paths_has_a_result_for_each(self) -> None:
        run = journey(
            step("charge", nextStep="mail", nextStepRules=[rule("onBeforeRetry", "mail")]),
            step("mail"),
        )
        run.fails().succeeds().retry()
        assert (run.at, run.intent.passed) == ("charge", ())

        run.succeeds()
        assert (run.at, run.intent.path, run.intent.passed) == ("mail", Path.MAIN, ())


class TestResetAttempts:
    """ "`resetAttempts`: once per event and step, on first entering it, never on a cached pass"."""

    def test_attempts_reset_on_first_entering_the_step(self) -> None:
        run = journey(
            step("login", nextStep="charge"),
            step("charge", resetAttempts=True),
        )
        run.fails().retry().fails().retry().succeeds()

        assert (run.at, run.intent.attempt, run.intent.resets) == ("charge", 1, ("charge",))

        run.fails()
        assert run.end.how is Ending.RETRY
        assert (run.end.attempt, run.end.resets) == (1, ("charge",))

    def test_attempts_reset_once_per_event(self) -> None:
        run = journey(step("charge", resetAttempts=True))

        run.fails().retry()
        assert (run.intent.attempt, run.intent.resets) == (2, ("charge",))
        run.fails().retry().fails()
        assert run.at == "EXHAUSTED"

    def test_attempts_reset_for_each_step(self) -> None:
        run = journey(
            step("charge", resetAttempts=True, nextStep="mail"),
            step("mail", resetAttempts=True),
        )
        run.fails().retry().succeeds()

        assert (run.intent.attempt, run.intent.resets) == (1, ("charge", "mail"))

    def test_attempts_do_not_reset_on_a_passed_step(self) -> None:
        run = journey(step("login", resetAttempts=True, nextStep="charge"), step("charge"))
        run.succeeds().fails().retry()
        run.instance = run.instance.with_event(replace(run.event, resets=()))

        then = first_action(run.context)
        assert isinstance(then, Intent)
        assert (then.passed, then.attempt, then.resets) == (("login",), 2, ())


class TestCallKeys:
    """A call key is <eventSid>-<run>-<visit>. "The key (of the first sending, stored) changes only after a
    definite answer".
    """

    def test_every_step_has_its_own_key(self) -> None:
        run = journey(step("charge", nextStep="mail"), step("mail"))

        assert (run.intent.call_key, run.intent.correlation_id) == ("i-1-1-1", "i-1.token0")
        run.succeeds()
        assert (run.intent.call_key, run.intent.correlation_id) == ("i-1-1-2", "i-1.token1")
        assert run.intent.repeat is False

    def test_a_retry_of_an_unanswered_call_keeps_the_key(self) -> None:
        run = journey(step("charge"), retry={"times": 3, "retryAfter": {"unit": "days", "amount": 3}})
        run.goes(NO_ANSWER).retry()

        assert (run.intent.call_key, run.intent.correlation_id) == ("i-1-1-1", "i-1.token0")
        assert run.intent.repeat is True

        run.goes(NO_ANSWER).retry()
        assert run.intent.call_key == "i-1-1-1"

    def test_a_definite_answer_ends_the_key(self) -> None:
        run = journey(step("charge"))
        run.goes(NO_ANSWER).retry().fails(500).retry()

        assert (run.intent.call_key, run.intent.correlation_id) == ("i-1-3-1", "i-1.token2")
        assert run.intent.repeat is False

    def test_a_key_belongs_to_its_step_not_its_place(self) -> None:
        run = journey(step("login", repeatOnRetry=True, nextStep="charge"), step("charge"))
        run.succeeds().goes(NO_ANSWER).retry().succeeds()

        assert (run.at, run.intent.call_key, run.intent.repeat) == ("charge", "i-1-1-2", True)

    def test_a_step_that_leads_to_itself_keeps_its_key(self) -> None:
        poll = step("poll", delay=hours(1), action="post", nextStepRules=[rule("onError", "poll")])
        run = journey(poll).goes(NO_ANSWER)
        assert (run.at, run.intent.call_key, run.intent.repeat) == ("poll", "i-1-1-1", True)

        run.fails()
        assert (run.at, run.intent.call_key, run.intent.repeat) == ("poll", "i-1-1-3", False)
