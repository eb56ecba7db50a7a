"""Asynchronous calls: waiting for an answer, and taking it.

Source: docs/contracts/core.md section 3.7; docs/design.md sections 3.7 and 3.11.
"""

from datetime import datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from shared.domain.explain.event import Finding
from shared.domain.explain.instance import Evidence, explain
from shared.domain.explain.reasons import Reason
from shared.domain.ids import CorrelationId, answer_key, event_of_correlation
from shared.domain.instance.due import (
    GRACE,
    AnswerOverdue,
    Due,
    Idle,
    Leased,
    Scheduled,
    answer_expected_at,
    next_action,
    sweep_at,
)
from shared.domain.instance.event import AnswerMark, Event, EventPause, EventStatus, PausedFor
from shared.domain.instance.journal import Answer, EventHistory
from shared.domain.instance.model import BlockedBy, InstanceStatus
from shared.domain.instance.replay import answer_to, position, resumable_history
from shared.domain.instance.run import Ending, Intent
from shared.domain.instance.verdict import Actor, AlreadyThere, Applied, Refused, Verdict
from shared.domain.lifecycle.async_answer import EXPECTED_WITHIN, AnswerState, answer_state, note_overdue
from shared.domain.lifecycle.commands import (
    AwaitAnswer,
    Block,
    Cancel,
    Conclude,
    ForgoAnswer,
    NoteOverdue,
    Pause,
    RecordSweep,
    Redrive,
    Resume,
    TakeAnswer,
)
from shared.domain.steps.history import past_event
from shared.domain.strategy.model import Json
from tests.factories import stop_of
from tests.lifecycle_factories import (
    ANN,
    DECLINED,
    DONE,
    SILENT,
    Life,
    at,
    ended,
    life,
    retries,
    strategy,
)

NOON = at("2026-01-31T12:00")
EXPECTED = NOON + EXPECTED_WITHIN
GATEWAY = Actor(name="gateway")
SIX_HOURS: Json = {"unit": "hours", "amount": 6}
STEPS: Json = [
    {"key": "call", "action": "post", "nextStep": "note"},
    {"key": "note", "controllerCallback": "{}", "final": True},
]


def a_call(*, retry: Json = None, steps: Json = None, parts: Json = None, **method: Any) -> Life:
    """Return the life of a bill whose only call is asynchronous, claimed at noon."""
    of = life(strategy(method={"async": True, **method}, retry=retry, steps=steps or STEPS, parts=parts))
    of.claim(of.main, NOON)
    return of


def waiting(of: Life | None = None, **method: Any) -> Life:
    """Send the call and let its event wait for the answer."""
    of = of or a_call(**method)
    then = of.step(DONE, NOON)
    assert isinstance(then, Intent)
    of.applied(AwaitAnswer(seq=of.running.seq, fence=of.instance.fence, intent=then, known_visits=1), NOON)
    return of


def sending(of: Life) -> CorrelationId:
    """Return the correlation id of the event's last call."""
    event = of.instance.event(1)
    assert event is not None
    then = position(of.event_history(1), event)
    entries = of.event_history(1).entries
    return then.correlation_id if isinstance(then, Intent) else entries[-1].intent.correlation_id


def answer(of: Life, correlation_id: str | None = None, *, key: str = "k-1") -> Verdict:
    """Send an answer an hour after noon."""
    sent = Answer(
        correlation_id=CorrelationId(correlation_id or sending(of)),
        key=key,
        at=NOON + timedelta(hours=1),
        by="gateway",
        body={"status": "CONFIRMED"},
    )
    command = TakeAnswer(seq=1, answer=sent, event_history=of.event_history(1), by=GATEWAY)
    return of.decide(command, NOON + timedelta(hours=1))


def waiting_with_a_greeting(*, days: int = 10, horizon: timedelta | None = None) -> Life:
    """Return a life whose main event waits for its answer, and whose greeting is due some days after its creation."""
    greet = {"task": "greet", "delayBy": {"unit": "days", "amount": days}}
    of = life(strategy(method={"async": True}, steps=STEPS, parts={"onCreateTasks": [greet]}))
    of.strategy = replace(of.strategy, horizon=horizon)
    of.claim(of.main, NOON)
    return waiting(of)


def late(of: Life) -> Answer:
    """Return an answer that comes after seven days."""
    return Answer(correlation_id=sending(of), key="k-1", at=EXPECTED, by="gateway", body={})


def pause_until(expected_by: datetime) -> EventPause:
    return EventPause(waits_for=PausedFor.ANSWER, expected_by=expected_by)


def only(of: Life) -> Event:
    event = of.instance.event(1)
    assert event is not None
    return event


class TestWaiting:
    """After its call is sent the event is PAUSED for an ANSWER, without a lease."""

    def test_a_waiting_event_has_no_time_limit_by_default(self) -> None:
        of = waiting()
        assert (only(of).status, only(of).paused_for) == (EventStatus.PAUSED, PausedFor.ANSWER)
        assert of.instance.status is InstanceStatus.ACTIVE
        assert of.instance.lease is None
        of.applied(NoteOverdue(), NOON + timedelta(days=8))
        assert next_action(of.instance, NOON + timedelta(days=900)) == Idle()
        assert sweep_at(of.instance) is None

    def test_answer_within_limits_the_wait(self) -> None:
        of = waiting(answerWithin=SIX_HOURS)
        until = at("2026-01-31T18:00")
        assert only(of).pause == EventPause(waits_for=PausedFor.ANSWER, answer_by=until)
        assert next_action(of.instance, NOON) == Scheduled(at=until, wakeup_name="i-1-1-2")
        assert sweep_at(of.instance) == until + GRACE

    def test_other_events_run_during_the_wait(self) -> None:
        greet = {"task": "greet", "delayBy": {"unit": "hours", "amount": 20}}
        of = life(strategy(method={"async": True}, steps=STEPS, parts={"onCreateTasks": [greet]}))
        of.claim(of.main, NOON)
        then = of.step(DONE, NOON)
        assert isinstance(then, Intent)
        of.applied(AwaitAnswer(seq=of.main.seq, fence=1, intent=then, known_visits=1), NOON)

        of.claim(of.event("greet"), at("2026-01-31T20:00"))

        assert of.running.task == "greet"
        assert of.main.paused_for is PausedFor.ANSWER

    def test_a_pause_of_the_instance_leaves_the_event_waiting(self) -> None:
        of = a_call()
        then = of.step(DONE, NOON)
        assert isinstance(then, Intent)
        of.applied(Pause(by=ANN), NOON)

        of.applied(AwaitAnswer(seq=1, fence=1, intent=then, known_visits=1), NOON)

        assert only(of).paused_for is PausedFor.ANSWER
        assert stop_of(of.instance).drained_at == NOON
        of.applied(Resume(by=ANN), NOON)
        assert only(of).paused_for is PausedFor.ANSWER

    def test_an_event_of_an_instance_canceled_during_the_call_closes_in_doubt(self) -> None:
        of = a_call()
        then = of.step(DONE, NOON)
        assert isinstance(then, Intent)
        of.applied(Cancel(by=ANN), NOON)

        of.applied(AwaitAnswer(seq=1, fence=1, intent=then, known_visits=1), NOON)

        assert of.closed == [("bill", "CANCELED")]

    def test_a_waiting_event_that_is_canceled_closes_in_doubt(self) -> None:
        of = waiting()

        of.applied(Cancel(by=ANN), NOON)

        assert of.record("bill").in_doubt
        assert of.record("bill").event.pause is None

    def test_a_runner_without_its_claim_changes_nothing(self) -> None:
        of = a_call()
        then = of.step(DONE, NOON)
        assert isinstance(then, Intent)
        late = AwaitAnswer(seq=1, fence=0, intent=then, known_visits=1)
        assert isinstance(of.decide(late, NOON), AlreadyThere)


class TestOverdue:
    """An answer without a time limit is overdue after seven days. That is noted, and its event waits on."""

    def test_the_sweeper_looks_at_the_instance_after_seven_days(self) -> None:
        of = waiting()
        assert sweep_at(of.instance) == EXPECTED
        assert next_action(of.instance, EXPECTED - timedelta(seconds=1)) == Idle()
        assert next_action(of.instance, EXPECTED) == AnswerOverdue(at=EXPECTED)

    def test_noting_it_changes_nothing_else(self) -> None:
        of = waiting()
        before = only(of)

        of.applied(NoteOverdue(), EXPECTED)

        assert before.pause is not None
        assert only(of) == replace(before, pause=replace(before.pause, is_overdue=True))
        assert of.instance.status is InstanceStatus.ACTIVE
        assert (of.closed, of.audit[1:]) == ([], [])

    @pytest.mark.parametrize("days", [0, 6.999])
    def test_it_is_not_marked_before(self, days: float) -> None:
        of = waiting()
        assert isinstance(of.decide(NoteOverdue(), NOON + timedelta(days=days)), AlreadyThere)

    def test_it_is_marked_once(self) -> None:
        of = waiting()
        of.applied(NoteOverdue(), EXPECTED)
        assert isinstance(of.decide(NoteOverdue(), EXPECTED), AlreadyThere)

    def test_an_answer_with_a_limit_is_never_marked(self) -> None:
        of = waiting(answerWithin={"unit": "days", "amount": 30})
        assert isinstance(of.decide(NoteOverdue(), NOON + timedelta(days=29)), AlreadyThere)
        assert sweep_at(of.instance) == NOON + timedelta(days=30) + GRACE

    def test_an_answer_after_that_is_taken(self) -> None:
        of = waiting()
        of.applied(NoteOverdue(), EXPECTED)
        of.applied(
            TakeAnswer(seq=1, answer=late(of), event_history=of.event_history(1), by=GATEWAY), EXPECTED
        )
        assert (only(of).status, only(of).pause) == (EventStatus.QUEUED, None)

    def test_a_due_event_runs_before_the_mark(self) -> None:
        of = waiting_with_a_greeting()
        greeting = of.event("greet")
        assert sweep_at(of.instance) == EXPECTED
        assert next_action(of.instance, EXPECTED) == AnswerOverdue(at=EXPECTED)

        assert next_action(of.instance, greeting.due_at) == Due(event=greeting)
        assert isinstance(of.decide(NoteOverdue(), greeting.due_at), AlreadyThere)

    def test_the_date_of_a_later_event_is_kept(self) -> None:
        of = waiting_with_a_greeting()

        of.applied(NoteOverdue(), EXPECTED)

        assert sweep_at(of.instance) == of.event("greet").due_at + GRACE
        assert isinstance(next_action(of.instance, EXPECTED), Scheduled)

    def test_an_event_that_a_runner_holds_is_not_disturbed(self) -> None:
        of = waiting_with_a_greeting()
        of.claim(of.event("greet"), of.event("greet").due_at)
        assert isinstance(next_action(of.instance, of.instance.updated_at), Leased)

    def test_a_paused_instance_is_judged_after_its_resume(self) -> None:
        of = waiting()
        of.applied(Pause(by=ANN), NOON)
        assert sweep_at(of.instance) is None
        assert isinstance(of.decide(NoteOverdue(), EXPECTED), AlreadyThere)

        resumed_at = EXPECTED + timedelta(days=30)
        of.applied(Resume(by=ANN), resumed_at)

        assert sweep_at(of.instance) == resumed_at, "it has not waited for a runner before"
        assert next_action(of.instance, resumed_at) == AnswerOverdue(at=resumed_at)
        of.applied(NoteOverdue(), resumed_at)
        assert only(of).pause == replace(pause_until(EXPECTED), is_overdue=True)

    def test_only_answers_that_are_overdue_are_marked(self) -> None:
        of = waiting()
        second = replace(only(of), seq=2, pause=pause_until(EXPECTED + timedelta(seconds=1)))
        third = replace(only(of), seq=3, pause=pause_until(EXPECTED - timedelta(days=1)))
        instance = replace(of.instance, events=(*of.instance.events, second, third))

        verdict = note_overdue(instance, now=EXPECTED)

        assert isinstance(verdict, Applied)
        marked = {event.seq for event in verdict.instance.events if event.pause and event.pause.is_overdue}
        assert marked == {1, 3}
        assert answer_expected_at(verdict.instance) == EXPECTED + timedelta(seconds=1)

    def test_an_event_beyond_the_horizon_stays_scheduled(self) -> None:
        of = waiting_with_a_greeting(days=90, horizon=timedelta(days=20))
        schedule_at = of.instance.sweep.schedule_at
        assert schedule_at is not None
        assert sweep_at(of.instance) == EXPECTED

        of.applied(RecordSweep(), EXPECTED)

        assert of.instance.sweep.schedule_at == schedule_at
        assert of.instance.sweep.attempts == 1, "a runner that crashes is woken less and less often"
        of.applied(NoteOverdue(), EXPECTED)
        assert of.instance.sweep.schedule_at == schedule_at == sweep_at(of.instance)


class TestTaking:
    """The first answer counts, and the event that waits for it continues at once."""

    def test_a_waiting_event_is_queued(self) -> None:
        of = waiting()
        correlation_id = sending(of)

        verdict = answer(of)

        assert isinstance(verdict, Applied)
        event = only(of)
        assert (event.status, event.pause) == (EventStatus.QUEUED, None)
        assert event.due_at == event.times.scheduled_at == NOON + timedelta(hours=1)
        assert event.date == at("2026-01-31")
        assert event.answered == AnswerMark(correlation_id=correlation_id, key="k-1")

    def test_the_audit_entry_of_an_answer_names_its_event(self) -> None:
        of = waiting()
        answer(of)
        entry = of.audit[-1]
        assert (entry.by, entry.command, entry.event) == ("gateway", "answer", "i-1-1")

    def test_a_second_answer_is_refused(self) -> None:
        of = waiting()
        correlation_id = sending(of)
        answer(of)
        second = answer(of, correlation_id, key="k-2")
        assert isinstance(second, Refused)
        assert second.why == "the call with this correlation id no longer waits for an answer"
        assert only(of).answered == AnswerMark(correlation_id=correlation_id, key="k-1")

    def test_an_answer_before_the_reply_is_stored_and_the_event_runs_on(self) -> None:
        of = a_call()
        assert isinstance(answer(of), Applied)
        assert only(of).status is EventStatus.EXECUTING
        then = of.step(DONE, NOON)
        assert isinstance(then, Intent)
        await_it = AwaitAnswer(seq=1, fence=1, intent=then, known_visits=1)
        assert isinstance(of.decide(await_it, NOON), AlreadyThere), "nothing is left to wait for"

    def test_an_answer_during_a_pause_is_taken_and_runs_after_the_resume(self) -> None:
        of = waiting()
        of.applied(Pause(by=ANN), NOON)

        answer(of)

        assert only(of).status is EventStatus.QUEUED
        assert next_action(of.instance, NOON + timedelta(hours=2)) == Idle()
        of.applied(Resume(by=ANN), NOON + timedelta(hours=2))
        assert isinstance(of.claim(only(of), NOON + timedelta(hours=2)), Applied)
        assert of.running.seq == 1

    def test_an_unknown_correlation_id_is_refused(self) -> None:
        of = waiting()
        verdict = answer(of, "i-1-1.guessed")
        assert isinstance(verdict, Refused)
        assert verdict.rule == "unknown"

    def test_a_closed_event_takes_no_answer(self) -> None:
        of = waiting()
        of.applied(Cancel(by=ANN), NOON)
        sent = Answer(correlation_id=CorrelationId("i-1-1.t0k3n"), key="k", at=NOON, by="gateway")
        verdict = of.decide(
            TakeAnswer(seq=1, answer=sent, event_history=of.event_history(1), by=GATEWAY), NOON
        )
        assert isinstance(verdict, Refused)
        assert verdict.rule == "finished"

    def test_a_synchronous_step_takes_no_answer(self) -> None:
        of = life(strategy())
        of.claim(of.main, NOON)
        verdict = answer(of)
        assert isinstance(verdict, Refused)
        assert verdict.why == "the call with this correlation id no longer waits for an answer"

    def test_an_event_paused_by_an_operator_stays_paused_after_an_answer(self) -> None:
        of = a_call()
        of.applied(Pause(by=ANN, kill=True), NOON)
        assert only(of).paused_for is PausedFor.OPERATOR

        assert isinstance(answer(of), Applied)

        assert (only(of).status, only(of).paused_for) == (EventStatus.PAUSED, PausedFor.OPERATOR)


class TestTimeout:
    """If no answer arrives in time, the attempt fails. "So after a lapsed `answerWithin` the retry keeps key and
    correlation id".
    """

    def lapsed(self, retry: Json) -> Life:
        of = waiting(retry=retry, answerWithin=SIX_HOURS)
        six = at("2026-01-31T18:00")
        of.claim(only(of), six)
        assert only(of).status is EventStatus.EXECUTING
        assert only(of).pause is None
        of.conclude(of.step(SILENT, six), six)
        return of

    def test_the_retry_keeps_key_and_correlation_id(self) -> None:
        of = self.lapsed(retries(1))
        first = of.event_history(1).entries[0].intent
        of.claim(only(of), at("2026-01-31T19:00"))
        again = only(of).progress.first_action
        assert isinstance(again, Intent)
        assert (again.call_key, again.correlation_id) == (first.call_key, first.correlation_id)
        assert (again.repeat, again.awaits, only(of).run) == (True, False, 2)

    def test_an_answer_before_the_retry_runs_it_at_once(self) -> None:
        of = self.lapsed(retries(1))
        assert only(of).status is EventStatus.PENDING

        assert isinstance(answer(of), Applied)

        assert (only(of).status, only(of).due_at) == (EventStatus.QUEUED, NOON + timedelta(hours=1))

    def test_an_answer_after_the_last_attempt_is_taken_by_the_resumed_event(self) -> None:
        of = self.lapsed(retries(0, pause=True))
        assert only(of).paused_for is PausedFor.EXHAUSTED

        assert isinstance(answer(of), Applied)

        assert only(of).paused_for is PausedFor.EXHAUSTED

    def test_an_answer_while_the_attempt_fails_counts_if_another_may_follow(self) -> None:
        for retry, counts in ((retries(1), True), (retries(0, pause=True), True), (retries(0), False)):
            of = waiting(retry=retry, answerWithin=SIX_HOURS)
            correlation_id = sending(of)
            of.claim(only(of), at("2026-01-31T18:00"))
            of.step(SILENT, at("2026-01-31T18:00"))
            assert (
                answer_state(only(of), of.event_history(1), correlation_id) is AnswerState.AWAITED
            ) == counts

    def test_an_answer_on_the_side_path_of_a_retry_counts(self) -> None:
        steps = [
            {"key": "call", "action": "post", "nextStepRules": [{"if": "onBeforeRetry", "nextStep": "note"}]},
            {"key": "note", "controllerCallback": "{}", "final": True},
        ]
        of = waiting(a_call(retry=retries(1), steps=steps, answerWithin=SIX_HOURS))
        correlation_id = sending(of)
        of.claim(only(of), at("2026-01-31T18:00"))
        of.step(SILENT, at("2026-01-31T18:00"))
        assert answer_state(only(of), of.event_history(1), correlation_id) is AnswerState.AWAITED

    def test_an_answer_after_the_run_has_continued_is_stale(self) -> None:
        steps = [
            {"key": "call", "action": "post", "nextStepRules": [{"if": "onError", "nextStep": "note"}]},
            {"key": "note", "controllerCallback": "{}", "final": True},
        ]
        of = waiting(a_call(steps=steps, answerWithin=SIX_HOURS))
        correlation_id = sending(of)
        of.claim(only(of), at("2026-01-31T18:00"))
        of.step(SILENT, at("2026-01-31T18:00"))
        assert answer_state(only(of), of.event_history(1), correlation_id) is AnswerState.STALE

    def test_an_answer_after_a_definite_failure_is_stale(self) -> None:
        of = a_call(retry=retries(1))
        correlation_id = sending(of)
        of.conclude(of.step(DECLINED, NOON), NOON)
        assert answer_state(only(of), of.event_history(1), correlation_id) is AnswerState.STALE

    def test_an_answer_under_a_paused_queue_is_taken_and_blocked(self) -> None:
        of = waiting(answerWithin=SIX_HOURS)
        before, six = only(of), at("2026-01-31T18:00")
        of.claim(before, six)

        of.applied(Block(before=before, fence=of.instance.fence, blocked_by=BlockedBy.QUEUE), six)

        assert only(of) == replace(before, updated_at=six)
        assert of.instance.blocked_by is BlockedBy.QUEUE

    def test_an_answer_that_comes_before_the_flag_is_read_is_kept(self) -> None:
        of = waiting(answerWithin=SIX_HOURS)
        before, six = only(of), at("2026-01-31T18:00")
        of.claim(before, six)
        assert isinstance(answer(of), Applied)

        of.applied(Block(before=before, fence=of.instance.fence, blocked_by=BlockedBy.QUEUE), six)

        assert only(of).has_answer_to(sending(of))


class TestForgoing:
    """ "A runner that judges a call without its answer writes the instance first; of the two writes, the earlier
    decides".
    """

    def test_forgoing_an_answer_changes_only_the_rev(self) -> None:
        of = a_call(retry=retries(1))
        rev, correlation_id = of.instance.rev, sending(of)
        forgone = of.applied(ForgoAnswer(seq=1, fence=1, correlation_id=correlation_id), NOON)
        assert forgone.instance.rev == rev + 1
        assert forgone.audit is None

    def test_forgoing_after_an_answer_finds_the_answer(self) -> None:
        of = a_call(retry=retries(1))
        answer(of)
        command = ForgoAnswer(seq=1, fence=1, correlation_id=sending(of))
        assert isinstance(of.decide(command, NOON), AlreadyThere)

    def test_a_runner_without_its_claim_forgoes_nothing(self) -> None:
        of = a_call()
        command = ForgoAnswer(seq=1, fence=0, correlation_id=sending(of))
        assert isinstance(of.decide(command, NOON), AlreadyThere)

    def test_an_entry_judged_without_the_taken_answer_does_not_count(self) -> None:
        of = a_call(retry=retries(1))
        answer(of)
        of.step(DECLINED, NOON)
        assert len(of.event_history(1).entries) == 1
        kept = resumable_history(of.event_history(1), only(of))
        assert kept.entries == ()
        assert position(kept, only(of)) == only(of).progress.first_action

    def test_an_entry_judged_with_the_taken_answer_counts(self) -> None:
        of = a_call()
        answer(of)
        of.step(DONE, NOON)
        assert resumable_history(of.event_history(1), only(of)) == of.event_history(1)
        of.step(DONE, NOON)
        assert resumable_history(of.event_history(1), only(of)) == of.event_history(1)

    def test_a_taken_answer_is_found_by_its_key(self) -> None:
        of = a_call()
        intent = only(of).progress.first_action
        assert isinstance(intent, Intent)
        assert answer_to(of.event_history(1), only(of), intent) is None
        answer(of)
        assert answer_to(of.event_history(1), only(of), intent) is None, "the history was read before"
        folder_entries = Answer(correlation_id=intent.correlation_id, key="k-1", at=NOON, by="gateway")
        other = replace(folder_entries, key="k-2")
        event_history = replace(of.event_history(1), answers=(other, folder_entries))
        assert answer_to(event_history, only(of), intent) is folder_entries
        assert (
            answer_to(event_history, only(of), replace(intent, correlation_id=CorrelationId("another")))
            is None
        )


class TestDoubt:
    """ "An answer also decides an event that is PAUSED for IN_DOUBT"."""

    def in_doubt(self, of: Life) -> Conclude:
        end = ended(Ending.IN_DOUBT, NOON)
        return Conclude(
            seq=1, fence=1, end=end, in_doubt=True, known_visits=0, correlation_in_doubt=sending(of)
        )

    def test_event_and_instance_continue_after_an_answer(self) -> None:
        of = a_call(inDoubt="pause")
        of.applied(self.in_doubt(of), NOON)
        assert (only(of).paused_for, of.instance.status) == (PausedFor.IN_DOUBT, InstanceStatus.PAUSED)

        answer(of)

        assert (only(of).status, of.instance.status) == (EventStatus.QUEUED, InstanceStatus.ACTIVE)
        assert (of.audit[-1].command, of.audit[-1].event) == ("answer", "i-1-1")

    def test_an_answer_while_the_run_ends_in_doubt_queues_the_event(self) -> None:
        of = a_call(inDoubt="pause")
        command = self.in_doubt(of)
        answer(of)

        of.applied(command, NOON)

        assert (only(of).status, of.instance.status) == (EventStatus.QUEUED, InstanceStatus.ACTIVE)
        assert of.instance.lease is None

    def test_an_answer_before_the_end_of_a_canceled_instance_closes_the_event(self) -> None:
        """Nothing would ever run it."""
        of = a_call(inDoubt="pause")
        command = self.in_doubt(of)
        of.applied(Cancel(by=ANN), NOON)
        answer(of)

        verdict = of.decide(command, NOON)

        assert isinstance(verdict, Applied)
        assert (of.instance.status, of.instance.is_draining) == (InstanceStatus.CANCELED, False)
        assert of.instance.events == ()
        assert [record.event.status for record in verdict.records] == [EventStatus.CANCELED]

    def test_an_answer_before_the_end_of_a_paused_instance_waits_for_the_resume(self) -> None:
        of = a_call(inDoubt="pause")
        command = self.in_doubt(of)
        of.applied(Pause(by=ANN), NOON)
        answer(of)

        of.applied(command, NOON)
        of.applied(Resume(by=ANN), NOON)

        assert (only(of).status, of.instance.status) == (EventStatus.QUEUED, InstanceStatus.ACTIVE)

    @pytest.mark.parametrize("is_answered", [False, True])
    def test_a_crash_during_the_call_leaves_a_doubt_unless_it_is_answered(self, *, is_answered: bool) -> None:
        of = a_call()
        if is_answered:
            answer(of)
        lease = of.instance.lease
        assert lease is not None

        of.claim(only(of), lease.until)

        assert (only(of).progress.call_in_doubt, only(of).in_doubt) == (not is_answered, not is_answered)

    def test_a_runner_that_crashed_before_releasing_a_waiting_event_leaves_no_doubt(self) -> None:
        of = a_call()
        of.step(DONE, NOON)
        lease = of.instance.lease
        assert lease is not None
        of.claim(only(of), lease.until)
        assert not only(of).progress.call_in_doubt

    def test_the_answer_to_a_call_whose_failure_was_written_too_late_counts(self) -> None:
        of = a_call(retry=retries())
        of.step(DECLINED, NOON)
        (refusal,) = of.event_history(1).entries
        of.event_histories[1] = EventHistory()
        of.claim(only(of), at("2026-01-31T13:00"))
        of.event_histories[1] = EventHistory(entries=(refusal,))

        assert only(of).claim.fence == 3
        assert (
            answer_state(only(of), of.event_history(1), refusal.intent.correlation_id) is AnswerState.AWAITED
        )


class TestIds:
    """A correlation id names its event; an answer's key is derived from its content."""

    def test_the_event_sid_precedes_the_dot(self) -> None:
        assert event_of_correlation("i-1-7.t0k3n.x") == "i-1-7"
        assert event_of_correlation("nonsense") == "nonsense"

    @pytest.mark.parametrize("other", [("i-1-1.b", "{}"), ("i-1-1.a", "{} ")])
    def test_two_answers_never_share_a_key(self, other: tuple[str, str]) -> None:
        one = answer_key(CorrelationId("i-1-1.a"), "{}")
        assert one == answer_key(CorrelationId("i-1-1.a"), "{}")
        assert one != answer_key(CorrelationId(other[0]), other[1])


class TestWaitingInOtherViews:
    """History, explain and retry show that the event waits."""

    def test_the_history_distinguishes_sending_and_waiting(self) -> None:
        of = waiting()
        past = past_event(of.instance, 1, of.event_history(1))
        assert past is not None
        assert [(step.step, step.outcome.value) for step in past.steps] == [
            ("call", "SENT"),
            ("call", "AWAITED"),
        ]

    def test_a_wait_is_explained_while_it_lasts_and_afterwards(self) -> None:
        of = waiting(answerWithin=SIX_HOURS)
        question = NOON + timedelta(minutes=30)
        assert self.finding(of, question).reason is Reason.WAITING_FOR_ANSWER
        answer(of)
        of.claim(only(of), NOON + timedelta(hours=1))
        of.step(DONE, NOON + timedelta(hours=1))
        found = self.finding(of, question, now=NOON + timedelta(hours=2))
        assert (found.reason, found.until) == (Reason.WAITING_FOR_ANSWER, at("2026-01-31T18:00"))

    def test_a_wait_is_explained_without_its_journal(self) -> None:
        of = waiting(answerWithin=SIX_HOURS)
        past = past_event(of.instance, 1, of.event_history(1))
        assert past is not None
        later = NOON + timedelta(hours=2)
        known = Evidence(instance=of.instance, now=later, events=(replace(past, steps=()),))
        found = explain(known, [1], later).finding
        assert (found.reason, found.since) == (Reason.WAITING_FOR_ANSWER, NOON)
        assert found.until == at("2026-01-31T18:00")

    def finding(self, of: Life, when: datetime, now: datetime | None = None) -> Finding:
        past = past_event(of.instance, 1, of.event_history(1))
        assert past is not None
        known = Evidence(instance=of.instance, now=now or when, events=(past,))
        return explain(known, [1], when).finding

    def test_a_waiting_event_cannot_be_retried(self) -> None:
        of = waiting()
        command = Redrive(seq=1, event_history=of.event_history(1), by=ANN, steps=frozenset({"call", "note"}))
        verdict = of.decide(command, NOON)
        assert isinstance(verdict, Refused)
        assert verdict.why == "the event is waiting for the answer to its call"
