"""The notifications about instances and their events. Source: docs/events.md."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from shared.domain.ids import CorrelationId
from shared.domain.instance.event import EventPause, EventStatus, PausedFor
from shared.domain.instance.journal import Answer, ClosedBy, EventRecord
from shared.domain.instance.model import BlockedBy, Instance, InstanceStatus, Origin
from shared.domain.instance.reason import EventFailure
from shared.domain.instance.run import Ending, Intent
from shared.domain.instance.verdict import Actor
from shared.domain.lifecycle.commands import (
    AwaitAnswer,
    Block,
    Cancel,
    Migrate,
    NoteOverdue,
    Pause,
    RecordSweep,
    Resume,
    TakeAnswer,
)
from shared.domain.notifications.decide import notifications_of
from shared.domain.notifications.instance_changes import closed_events
from shared.domain.notifications.message import message_of
from shared.domain.notifications.model import (
    AboutInstance,
    InstanceWrite,
    Notification,
    NotificationKind,
    NotificationReason,
)
from tests.factories import NOON as TWELVE
from tests.factories import a_running_event, an_event, an_instance, running
from tests.lifecycle_factories import ANN, DONE, Life, at, ended, life, retries, strategy, succeeded

NOON = at("2026-01-31T12:00")
HOUR = timedelta(hours=1)


def kinds(notifications: tuple[Notification, ...]) -> list[str]:
    return [notification.kind.value for notification in notifications]


def after(of: Life, change: Callable[[], object]) -> tuple[Notification, ...]:
    """Make one change of a life and return the notifications about it."""
    before = of.instance
    change()
    assert of.instance.rev == before.rev + 1
    records = {record.event.seq: record for record in of.records}
    return notifications_of(InstanceWrite(before=before, after=of.instance), records)


def event_of(notification: Notification) -> dict[str, object]:
    assert isinstance(notification.about, AboutInstance)
    event = notification.about.event
    assert event is not None
    return {"task": event.task, "cycle": event.cycle, "attempt": event.attempt, "run": event.run}


def claimed(of: Life, now: datetime = NOON) -> Life:
    of.claim(of.main, now)
    return of


class TestInstances:
    """Creation, and each change of the status."""

    def test_a_new_instance_was_created_by_the_key(self) -> None:
        created = an_instance(rev=1, origin=Origin(strategy_id="membership", created_by="key-1"))

        (notification,) = notifications_of(InstanceWrite(before=None, after=created))

        assert notification.id == "i-1-instance.created"
        assert (notification.at, notification.account_id) == (TWELVE, "account")
        assert notification.reason == NotificationReason(by="key-1")

    def test_an_instance_that_is_complete_at_its_creation_was_created_and_completed(self) -> None:
        created = replace(an_instance(rev=1), status=InstanceStatus.COMPLETED)

        assert kinds(notifications_of(InstanceWrite(before=None, after=created))) == [
            "instance.created",
            "instance.completed",
        ]

    def test_a_pause_names_its_author_and_reason(self) -> None:
        of = life()
        by = Actor(name="key-1", reason="holiday")

        (notification,) = after(of, lambda: of.applied(Pause(by=by), NOON))

        assert notification.kind is NotificationKind.INSTANCE_PAUSED
        assert notification.reason == NotificationReason(code="operator:key-1", message="holiday", by="key-1")
        assert notification.at == NOON

    def test_a_pause_with_an_end_announces_it(self) -> None:
        of = life()
        until = at("2026-03-01")

        (notification,) = after(of, lambda: of.applied(Pause(by=ANN, sets_until=True, until=until), NOON))

        assert message_of(notification)["until"] == "2026-03-01T00:00:00.000Z"

    def test_a_pause_without_an_end_announces_none(self) -> None:
        of = life()

        (notification,) = after(of, lambda: of.applied(Pause(by=ANN), NOON))

        assert "until" not in message_of(notification)

    def test_another_end_is_not_announced(self) -> None:
        of = life()
        of.applied(Pause(by=ANN), at("2026-01-30"))
        until = at("2026-03-01")

        assert after(of, lambda: of.applied(Pause(by=ANN, sets_until=True, until=until), NOON)) == ()

    def test_a_resumed_instance_is_announced(self) -> None:
        of = life()
        of.applied(Pause(by=ANN), at("2026-01-30"))

        assert kinds(after(of, lambda: of.applied(Resume(by=ANN), at("2026-01-30")))) == ["instance.resumed"]

    def test_a_cancelation_names_its_cause(self) -> None:
        of = life()

        (notification,) = after(of, lambda: of.applied(Cancel(by=ANN), NOON))

        assert notification.kind is NotificationKind.INSTANCE_CANCELED
        assert notification.reason is not None
        assert notification.reason.code == "operator:ann"

    def test_a_plan_that_ends_completes_the_instance_after_its_event(self) -> None:
        of = claimed(life(request=None))
        of.instance = replace(of.instance, plan=replace(of.instance.plan, end_date=NOON))

        assert kinds(after(of, lambda: of.conclude(succeeded(), NOON))) == [
            "event.processed",
            "instance.completed",
        ]

    def test_a_migration_names_both_versions(self) -> None:
        of = life()

        (notification,) = after(
            of, lambda: of.applied(Migrate(to=replace(of.strategy, version=2), by=ANN), NOON)
        )

        assert notification.kind is NotificationKind.INSTANCE_MIGRATED
        assert isinstance(notification.about, AboutInstance)
        assert (notification.about.migrated_from, notification.about.strategy_version) == (1, 2)

    def test_a_claim_a_sweep_and_a_block_announce_nothing(self) -> None:
        of = life()
        before = of.main
        assert after(of, lambda: of.claim(of.main, NOON)) == ()
        fence = of.instance.fence
        command = Block(before=before, fence=fence, blocked_by=BlockedBy.QUEUE)
        assert after(of, lambda: of.applied(command, NOON)) == ()
        assert after(of, lambda: of.applied(RecordSweep(), NOON)) == ()


class TestRunsThatEnd:
    """An event that ends its run is processed, fails, or is retried."""

    def test_a_processed_event_is_announced_once(self) -> None:
        of = claimed(life())

        (notification,) = after(of, lambda: of.conclude(succeeded(), NOON))

        assert notification.id == f"i-1-1-{of.instance.rev}-event.processed"
        assert event_of(notification) == {"task": "bill", "cycle": 1, "attempt": 1, "run": 1}
        assert notification.reason is None

    def test_a_retry_names_the_coming_attempt_its_date_and_the_error(self) -> None:
        of = claimed(life(strategy(retry=retries(2))))

        (notification,) = after(of, lambda: of.conclude(ended(Ending.RETRY, NOON), NOON))

        assert notification.kind is NotificationKind.EVENT_RETRY_SCHEDULED
        assert event_of(notification) == {"task": "bill", "cycle": 1, "attempt": 2, "run": 2}
        assert isinstance(notification.about, AboutInstance)
        assert notification.about.event is not None
        assert notification.about.event.retry_at == NOON + HOUR
        assert notification.reason == NotificationReason(
            code="http-402", message="shop/charge returned HTTP 402"
        )

    def test_a_failed_event_names_the_error_and_cancels_its_instance(self) -> None:
        of = claimed(life())

        failed, canceled = after(of, lambda: of.conclude(ended(Ending.EXHAUSTED, NOON), NOON))

        assert (failed.kind.value, canceled.kind.value) == ("event.failed", "instance.canceled")
        assert failed.reason == NotificationReason(code="http-402", message="shop/charge returned HTTP 402")
        assert canceled.reason is not None
        assert canceled.reason.code == "exhausted:http-402"

    def test_used_up_attempts_that_pause_announce_the_pause(self) -> None:
        of = claimed(life(strategy(retry=retries(pause=True))))

        (notification,) = after(of, lambda: of.conclude(ended(Ending.EXHAUSTED, NOON, pauses=True), NOON))

        assert notification.kind is NotificationKind.INSTANCE_PAUSED
        assert notification.reason == NotificationReason(
            code="exhausted:http-402", message="bill: shop/charge returned HTTP 402", by="engine"
        )

    def test_a_resume_that_restarts_an_event_schedules_no_retry(self) -> None:
        of = claimed(life(strategy(retry=retries(pause=True))))
        of.conclude(ended(Ending.EXHAUSTED, NOON, pauses=True), NOON)

        assert kinds(after(of, lambda: of.applied(Resume(by=ANN), NOON))) == ["instance.resumed"]
        assert of.main.run == 2

    def test_a_canceled_event_is_not_announced(self) -> None:
        of = claimed(life())
        of.applied(Pause(by=ANN, kill=True), NOON)

        assert kinds(after(of, lambda: of.applied(Cancel(by=ANN), NOON))) == ["instance.canceled"]
        assert of.closed == [("bill", "CANCELED")]


class TestRecordsThatAreGone:
    """Only a FAILED event can be redriven, so if an event's record is gone or replaced, the event had failed."""

    @staticmethod
    def closing() -> InstanceWrite:
        before = running(a_running_event(), rev=4)
        return InstanceWrite(
            before=before, after=replace(before, events=(), lease=None, rev=5, updated_at=TWELVE + HOUR)
        )

    @staticmethod
    def record(status: EventStatus, *, run: int = 1) -> EventRecord:
        event = a_running_event(status=status, run=run)
        return EventRecord(instance_sid=an_instance().sid, event=event, fence=1, finished_at=TWELVE)

    def test_the_record_says_how_the_event_closed(self) -> None:
        found = notifications_of(self.closing(), {1: self.record(EventStatus.PROCESSED)})

        assert kinds(found) == ["event.processed"]

    def test_an_event_without_a_record_failed(self) -> None:
        (notification,) = notifications_of(self.closing(), {})

        assert (notification.id, notification.at) == ("i-1-5-event.failed", TWELVE + HOUR)
        assert notification.reason is None

    def test_an_event_with_the_record_of_a_later_run_failed(self) -> None:
        (notification,) = notifications_of(self.closing(), {1: self.record(EventStatus.PROCESSED, run=2)})

        assert notification.id == "i-1-5-event.failed"

    def test_crashes_are_named_as_the_cause(self) -> None:
        failed = self.record(EventStatus.FAILED)
        crash = EventFailure(message="crashed 5 times", error_class="crash", at=TWELVE)
        record = replace(
            failed,
            closed_by=ClosedBy.CRASHES,
            why="crashed 5 times",
            event=replace(failed.event, failure=crash),
        )

        (notification,) = notifications_of(self.closing(), {1: record})

        assert notification.reason == NotificationReason(code="crash", message="crashed 5 times")

    def test_records_are_read_of_begun_events_that_closed_only(self) -> None:
        before = running(a_running_event(1), an_event(2), a_running_event(3))
        write = InstanceWrite(before=before, after=before.without(frozenset({1, 2})))

        assert closed_events(write) == (1,)
        assert closed_events(InstanceWrite(before=None, after=before)) == ()
        assert kinds(notifications_of(write)) == ["event.failed"]

    def test_a_long_reason_is_cut(self) -> None:
        record = replace(self.record(EventStatus.FAILED), why="x" * 5000)

        (notification,) = notifications_of(self.closing(), {1: record})

        assert notification.reason is not None
        assert len(notification.reason.message or "") == 1000


class TestDoubts:
    """A call in doubt is announced when the event is marked, and whenever it pauses for a decision."""

    @staticmethod
    def write(**members: Any) -> InstanceWrite:
        before = running(a_running_event(in_doubt=members.pop("was", False)))
        return InstanceWrite(
            before=before, after=replace(before, events=(a_running_event(**members),), rev=1)
        )

    def test_the_mark_is_announced(self) -> None:
        assert kinds(notifications_of(self.write(in_doubt=True))) == ["event.in-doubt"]

    def test_an_event_that_is_marked_already_announces_nothing(self) -> None:
        assert notifications_of(self.write(was=True, in_doubt=True)) == ()

    def test_a_second_doubt_is_announced_if_it_pauses_the_event(self) -> None:
        pause = EventPause(waits_for=PausedFor.IN_DOUBT)
        write = self.write(was=True, in_doubt=True, status=EventStatus.PAUSED, pause=pause)

        assert kinds(notifications_of(write)) == ["event.in-doubt"]
        again = InstanceWrite(before=write.after, after=replace(write.after, rev=2))
        assert notifications_of(again) == ()

    def test_an_event_that_closes_in_doubt_announces_both(self) -> None:
        write = TestRecordsThatAreGone.closing()
        record = replace(TestRecordsThatAreGone.record(EventStatus.PROCESSED), in_doubt=True)

        assert kinds(notifications_of(write, {1: record})) == ["event.in-doubt", "event.processed"]


def waiting(**method: object) -> tuple[Life, tuple[Notification, ...]]:
    """Return a bill whose asynchronous call was sent at noon, and the notifications about its wait."""
    steps = [
        {"key": "call", "action": "post", "nextStep": "note"},
        {"key": "note", "controllerCallback": "{}", "final": True},
    ]
    of = claimed(life(strategy(method={"async": True, **method}, steps=steps)))
    then = of.step(DONE, NOON)
    assert isinstance(then, Intent)
    command = AwaitAnswer(seq=1, fence=of.instance.fence, intent=then, known_visits=1)
    return of, after(of, lambda: of.applied(command, NOON))


SIX_HOURS = {"unit": "hours", "amount": 6}


class TestAnswers:
    """A wait for an answer is announced, and its lapse."""

    def test_a_wait_names_its_limit(self) -> None:
        _, (notification,) = waiting(answerWithin=SIX_HOURS)

        assert notification.kind is NotificationKind.EVENT_AWAITING_ANSWER
        assert isinstance(notification.about, AboutInstance)
        assert notification.about.event is not None
        assert notification.about.event.answer_by == NOON + 6 * HOUR

    def test_a_wait_without_a_limit_has_none(self) -> None:
        _, (notification,) = waiting()

        assert isinstance(notification.about, AboutInstance)
        assert notification.about.event is not None
        assert notification.about.event.answer_by is None

    def test_an_overdue_answer_without_a_limit_is_announced_once(self) -> None:
        of, _ = waiting()

        (notification,) = after(of, lambda: of.applied(NoteOverdue(), NOON + timedelta(days=7)))

        assert notification.kind is NotificationKind.EVENT_ANSWER_OVERDUE
        assert notification.at == NOON + timedelta(days=7), "the time of the change, not of the wait"
        assert isinstance(notification.about, AboutInstance)
        assert notification.about.event is not None
        assert notification.about.event.answer_by is None
        pause = Pause(by=ANN)
        (stopped,) = after(of, lambda: of.applied(pause, NOON + timedelta(days=8)))
        assert stopped.kind is NotificationKind.INSTANCE_PAUSED

    def test_a_claim_after_the_limit_announces_that_the_answer_is_overdue(self) -> None:
        of, _ = waiting(answerWithin=SIX_HOURS)

        (notification,) = after(of, lambda: of.claim(of.main, NOON + 6 * HOUR))

        assert notification.kind is NotificationKind.EVENT_ANSWER_OVERDUE
        assert notification.id == "i-1-1-w2-event.answer-overdue"

    def test_a_flag_that_undoes_the_claim_announces_neither_again(self) -> None:
        of, _ = waiting(answerWithin=SIX_HOURS)
        before, now = of.main, NOON + 6 * HOUR
        (first,) = after(of, lambda: of.claim(of.main, now))
        block = Block(before=before, fence=of.instance.fence, blocked_by=BlockedBy.QUEUE)
        assert after(of, lambda: of.applied(block, now)) == ()

        (second,) = after(of, lambda: of.claim(of.main, now))

        assert second.id == first.id

    def test_an_event_that_was_answered_is_not_overdue(self) -> None:
        of, _ = waiting(answerWithin=SIX_HOURS)
        correlation = of.event_history(1).entries[-1].intent.correlation_id
        answer = Answer(correlation_id=CorrelationId(correlation), key="k", at=NOON, by="gateway", body={})
        command = TakeAnswer(seq=1, answer=answer, event_history=of.event_history(1), by=ANN)
        assert after(of, lambda: of.applied(command, NOON)) == ()

        assert after(of, lambda: of.claim(of.main, NOON)) == ()

    def test_an_instance_that_pauses_during_the_wait_announces_the_pause_only(self) -> None:
        of, _ = waiting(answerWithin=SIX_HOURS)

        assert kinds(after(of, lambda: of.applied(Pause(by=ANN), NOON))) == ["instance.paused"]


class TestIds:
    """The same write has the same ids; another write has others."""

    @staticmethod
    def write(before: Instance) -> InstanceWrite:
        paused = replace(before, status=InstanceStatus.PAUSED, rev=before.rev + 1)
        return InstanceWrite(before=before, after=paused)

    def test_a_write_that_is_read_twice_has_equal_notifications(self) -> None:
        write = self.write(an_instance(rev=3))

        assert notifications_of(write) == notifications_of(write)

    @pytest.mark.parametrize("rev", [4, 5])
    def test_the_next_pause_has_another_id(self, rev: int) -> None:
        (notification,) = notifications_of(self.write(an_instance(rev=rev)))

        assert notification.id == f"i-{rev + 1}-instance.paused"
