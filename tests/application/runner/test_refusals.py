"""Calls that are refused for now: the event waits and sends the same call again. Source: docs/decisions/0031."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dev.memory.stores import MemoryInstances
from shared.application.answer_event import SentAnswer, answer_event
from shared.application.control import control
from shared.application.retry_event import RetryEvent, retry_event
from shared.application.runner.loop import run_due_events
from shared.domain.ids import CorrelationId
from shared.domain.instance.event import Event, EventStatus, PausedFor, Resolution
from shared.domain.instance.journal import StepResult
from shared.domain.instance.model import Instance
from shared.domain.instance.phase import Phase, phase_of
from shared.domain.instance.replay import put_result, stack
from shared.domain.instance.run import Intent, Refusal
from shared.domain.instance.verdict import AlreadyThere, Applied, Refused
from shared.domain.lifecycle.commands import Cancel, Execute, Pause, Resolve, Resume
from shared.domain.steps.call import Answered, CallOutcome, TokenRefused
from tests.application.lives import ANN, DECLINED, OK, SILENT, Life, retried, settings_with, two_steps

BUSY = Answered(status=429, retry_after=timedelta(hours=2))
DOWN = Answered(status=503)


def keys(life: Life) -> list[str]:
    return [request.call_key for request in life.requests]


def first_event(life: Life) -> Event:
    """Return the first event, which must be open."""
    found = life.instance.event(1)
    assert found is not None
    return found


def inside(life: Life) -> tuple[int, int]:
    """Return attempt and run of the first event."""
    return first_event(life).attempt, first_event(life).run


def stack_of(life: Life) -> StepResult:
    """Return the result of the charge in the closed first event."""
    history = life.ports.instances.event_history(life.sid, 1)
    record = life.first
    assert record.last is not None
    found = stack(history, record.event, record.last.intent)
    put_result(found, record.last.intent, record.last.outcome)
    return found["charge"]


def refusals(life: Life) -> list[Refusal]:
    """Return the refusals of the first event's call, in order."""
    entries = life.ports.instances.event_history(life.sid, 1).entries
    intents = [entry.then for entry in entries if isinstance(entry.then, Intent)]
    return [intent.refusal for intent in intents if intent.refusal is not None]


class TestARefusedCall:
    """ "After a 429 or a 503 the event waits ... It uses no attempt and runs no ``onBeforeRetry``." """

    def test_a_service_that_says_two_hours_is_called_after_two_hours(self) -> None:
        life = Life(retried(times=3, retryAfter={"unit": "minutes", "amount": 1}), BUSY)
        assert life.plan == ["bill PENDING 01-01 14:00"]
        assert inside(life) == (1, 1)

        life.until("2026-01-01T14:00")

        assert life.calls == ["01-01 12:00 /charges", "01-01 14:00 /charges"]
        assert len(set(keys(life))) == 1
        assert (life.first.event.status, life.first.event.attempt, life.first.event.run) == (
            EventStatus.PROCESSED,
            1,
            1,
        )

    def test_without_a_retry_config_it_waits_as_well(self) -> None:
        life = Life(settings_with("/config", None), DOWN, DOWN, DOWN, to="2026-01-01T13:00")

        assert [call[6:11] for call in life.calls] == ["12:00", "12:01", "12:03", "12:07"]
        assert life.first.event.status is EventStatus.PROCESSED

    def test_the_event_is_not_in_doubt(self) -> None:
        life = Life(retried(), BUSY, to="2026-01-01T14:00")

        assert (life.first.in_doubt, life.first.event.in_doubt) == (False, False)

    def test_the_wait_occupies_no_runner(self) -> None:
        life = Life(retried(), BUSY)

        assert (life.instance.lease, first_event(life).status) == (None, EventStatus.PENDING)
        assert phase_of(life.instance, now=life.ports.clock.now()) is Phase.DELAYED
        assert list(life.ports.wakeups.armed.values()) == [(datetime(2026, 1, 1, 14, tzinfo=UTC), life.sid)]

    def test_the_repeated_request_is_the_same(self) -> None:
        of = settings_with(
            "/tasks/0/steps/0/retryConfig", {"times": 1, "retryAfter": {"unit": "hours", "amount": 1}}
        )
        of["actions"][0]["data"] = {"before": "{{stack.charge.error.status}}", "attempt": "{{event.attempt}}"}
        life = Life(of, BUSY, DOWN, to="2026-01-01T16:00")

        assert [request.body for request in life.requests] == [{"before": None, "attempt": 1}] * 3

    def test_no_rule_is_followed(self) -> None:
        ruled = two_steps(
            nextStep=None,
            nextStepRules=[{"if": kind, "nextStep": "back"} for kind in ("onError", "onBeforeRetry")],
            retryConfig={"times": 1, "retryAfter": {"unit": "hours", "amount": 1}},
        )

        assert Life(ruled, BUSY, to="2026-01-01T15:00").paths == ["/charges", "/charges"]

    def test_a_named_status_follows_the_rules(self) -> None:
        ruled = two_steps(nextStep=None, nextStepRules=[{"if": "onError", "nextStep": "back"}])
        ruled["services"][0]["methods"][0]["definiteStatuses"] = [429]

        assert Life(ruled, BUSY, to="2026-01-01T15:00").paths == ["/charges", "/refunds"]

    def test_a_refused_token_makes_the_event_wait(self) -> None:
        refused = TokenRefused(
            why="no token: the authorization returned HTTP 429", retry_after=timedelta(hours=1)
        )
        life = Life(retried(), refused, to="2026-01-01T14:00")

        assert life.calls == ["01-01 12:00 /charges", "01-01 13:00 /charges"]
        assert len(set(keys(life))) == 1

    def test_an_optional_step_waits_before_it_is_passed(self) -> None:
        life = Life(two_steps(optional=True, retryConfig={"times": 0}), BUSY, DECLINED, to="2026-01-01T14:00")

        assert life.calls == ["01-01 12:00 /charges", "01-01 14:00 /charges", "01-01 14:00 /refunds"]

    def test_a_refusal_does_not_count_as_a_step(self) -> None:
        polling = two_steps(nextStep="charge", delay={"unit": "minutes", "amount": 1})
        polling["tasks"][0]["steps"].pop()
        polling["tasks"][0]["steps"][0]["retryConfig"] = {"times": 0, "pauseBeforeCancel": True}
        life = Life(polling, *[DOWN] * 3, to="2026-01-01T18:00")

        assert len(life.calls) == 203
        assert life.instance.stop_note == "bill: more than 200 steps in one run"


class TestTheLimit:
    """ "Past a limit in all (setting; default 24 h) the attempt fails." The key stays, since nothing is definite."""

    def test_after_a_day_the_attempt_fails(self) -> None:
        life = Life(retried(), *[BUSY] * 13, to="2026-01-02T11:59")
        assert (len(life.calls), inside(life)) == (12, (1, 1))

        life.until("2026-01-02T12:00")

        assert (len(life.calls), inside(life)) == (13, (2, 2))
        assert life.plan == ["bill PENDING 01-02 14:00"]
        assert first_event(life).last_error == "billing/charge returned HTTP 429"
        life.until("2026-01-02T14:00")
        assert len(set(keys(life))) == 1

    def test_the_next_attempt_has_a_day_again(self) -> None:
        life = Life(retried(), *[BUSY] * 40, to="2026-01-03T13:59")
        assert inside(life) == (2, 2)

        life.until("2026-01-03T14:00")

        assert (life.instance.status, life.instance.cancel_reason) == ("CANCELED", "MAX_ATTEMPTS")

    def test_the_step_is_then_an_error_like_any_other(self) -> None:
        ruled = two_steps(
            nextStep=None,
            nextStepRules=[{"if": "onError", "nextStep": "back"}],
            retryConfig={"refusedHours": 1},
        )

        life = Life(ruled, DOWN, *[BUSY] * 2, to="2026-01-01T14:00")

        assert [call[6:] for call in life.calls] == [
            "12:00 /charges",
            "12:01 /charges",
            "13:00 /charges",
            "13:00 /refunds",
        ]


class TestOperatorsMeanwhile:
    """Operators can pause, cancel and execute the event while it waits. It has not failed and is not in doubt."""

    def test_a_pause_keeps_the_wait(self) -> None:
        life = Life(retried(), BUSY).command(Pause(by=ANN)).until("2026-01-01T15:00")
        assert life.plan == ["bill PENDING 01-01 14:00"]

        life.command(Resume(by=ANN)).until("2026-01-01T15:00")

        assert life.calls == ["01-01 12:00 /charges", "01-01 15:00 /charges"]
        assert len(set(keys(life))) == 1

    def test_a_cancel_closes_the_event_without_doubt(self) -> None:
        life = Life(retried(), BUSY).command(Cancel(by=ANN)).until("2026-01-01T15:00")

        assert (life.first.event.status, life.first.in_doubt) == (EventStatus.CANCELED, False)
        assert len(life.calls) == 1

    def test_execute_calls_at_once_and_counts_on(self) -> None:
        life = Life(retried(), BUSY, BUSY)
        life.until("2026-01-01T12:30")
        control(life.ports, life.sid, Execute(seq=1, by=ANN))
        life.until("2026-01-01T12:30")

        assert life.calls == ["01-01 12:00 /charges", "01-01 12:30 /charges"]
        assert (life.plan, inside(life)) == (["bill PENDING 01-01 14:30"], (1, 1))
        assert len(set(keys(life))) == 1
        assert [refusal.times for refusal in refusals(life)] == [1, 2]

    def test_neither_retry_nor_resolve_applies(self) -> None:
        life = Life(retried(), BUSY)

        resolved = control(life.ports, life.sid, Resolve(seq=1, resolution=Resolution.RETRY, by=ANN))
        redriven = retry_event(life.ports, RetryEvent(sid=life.sid, seq=1, by=ANN))

        assert isinstance(resolved, Refused)
        assert isinstance(redriven, Refused)
        assert redriven.why == "the event has not failed"


class TestCallsInDoubt:
    """A refused repeat says nothing about the first sending, which stays in doubt; but it waits, like any refusal."""

    def paused(self, *then: CallOutcome) -> Life:
        """Return a life whose first call got no answer, so that an operator has it sent again."""
        of = settings_with("/services/0/methods/0/inDoubt", "pause", of=retried())
        life = Life(of, SILENT, *then)
        assert first_event(life).paused_for is PausedFor.IN_DOUBT
        control(life.ports, life.sid, Resolve(seq=1, resolution=Resolution.RETRY, by=ANN))
        return life.until("2026-01-01T12:00")

    def test_a_refused_repeat_waits_under_its_key(self) -> None:
        life = self.paused(BUSY)
        assert (life.plan, life.instance.status) == (["bill PENDING 01-01 14:00"], "ACTIVE")

        life.until("2026-01-01T14:00")

        assert len(set(keys(life))) == 1
        assert (life.first.event.status, life.first.in_doubt) == (EventStatus.PROCESSED, True)

    def test_past_the_limit_the_operator_decides_again(self) -> None:
        life = self.paused(*[BUSY] * 20).until("2026-01-02T12:00")

        assert first_event(life).paused_for is PausedFor.IN_DOUBT
        assert len(set(keys(life))) == 1

    @pytest.mark.parametrize("status", [409, 425])
    def test_a_repeat_that_conflicts_leaves_the_decision_to_the_operator(self, status: int) -> None:
        life = self.paused(Answered(status=status))

        assert first_event(life).paused_for is PausedFor.IN_DOUBT


class TestAsynchronousCalls:
    """A refused asynchronous call keeps its correlation id, so an answer counts while it waits."""

    def asynchronous(self, *answers: CallOutcome) -> Life:
        of = settings_with("/services/0/methods/0/async", value=True, of=retried())
        of["actions"][0]["headers"] = {"X-Correlation-Id": "{{event.correlationId}}"}
        return Life(of, *answers)

    def test_the_call_is_sent_again_with_its_correlation_id(self) -> None:
        life = self.asynchronous(BUSY).until("2026-01-01T14:00")
        assert first_event(life).paused_for is PausedFor.ANSWER

        life.answered({"paid": True})

        results = stack_of(life)
        assert (results.response, results.cached) == ({"paid": True}, OK.body)
        assert len({request.headers["X-Correlation-Id"] for request in life.requests}) == 1
        assert life.first.event.status is EventStatus.PROCESSED

    def test_an_answer_during_the_wait_ends_it_without_a_call(self) -> None:
        life = self.asynchronous(BUSY)
        correlation = CorrelationId(life.requests[0].headers["X-Correlation-Id"])
        sent = SentAnswer(correlation_id=correlation, key="a", by=ANN, body={"paid": True})

        verdict = answer_event(life.ports, life.sid, 1, sent)
        assert isinstance(verdict, Applied)
        life.until("2026-01-01T12:00")

        assert (len(life.calls), life.first.event.status) == (1, EventStatus.PROCESSED)
        assert isinstance(answer_event(life.ports, life.sid, 1, sent), AlreadyThere | Refused)


class TestCrashes:
    """A crash between journaling a refusal and ending the run changes nothing but the time."""

    def test_the_wait_is_taken_over(self, monkeypatch: pytest.MonkeyPatch) -> None:
        life = Life(retried(), BUSY, to="2026-01-01T11:59")
        life.ports.clock.at = datetime(2026, 1, 1, 12, tzinfo=UTC)
        stores: Any = life.ports.instances
        claimed = stores.commit

        def commit_once(instance: Instance, **of: Any) -> None:
            if instance.lease is None:
                raise ConnectionError("crashed before the wait was stored")
            claimed(instance, **of)

        monkeypatch.setattr(MemoryInstances, "commit", lambda _, instance, **of: commit_once(instance, **of))
        with pytest.raises(ConnectionError):
            run_due_events(life.ports, life.sid, job="job", time_left=lambda: timedelta(minutes=15))
        monkeypatch.undo()
        lease = life.instance.lease
        assert lease is not None
        life.ports.clock.at = lease.until

        run_due_events(life.ports, life.sid, job="job", time_left=lambda: timedelta(minutes=15))

        assert life.plan == ["bill PENDING 01-01 14:00"]
        assert (len(life.calls), inside(life), first_event(life).in_doubt) == (1, (1, 1), False)
        life.until("2026-01-01T14:00")
        assert (life.paths, len(set(keys(life)))) == (["/charges"] * 2, 1)
        assert life.first.event.status is EventStatus.PROCESSED
        assert life.first.in_doubt is False


class TestNeighbours:
    """Statuses beside the two that wait are errors at once."""

    @pytest.mark.parametrize("status", [408, 409, 425, 428, 500, 502, 504])
    def test_no_other_status_waits(self, status: int) -> None:
        life = Life(retried(), Answered(status=status, retry_after=timedelta(hours=5)))

        assert (life.plan, inside(life)) == (["bill PENDING 01-01 13:00"], (2, 2))

    def test_ok_ends_the_event(self) -> None:
        assert Life(retried(), OK).first.event.status is EventStatus.PROCESSED
