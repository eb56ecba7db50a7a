"""The expirer deletes the history of an event whose record has expired, or puts the record back.

Source: docs/decisions/0052-records-and-audit-expire.md.
"""

from collections.abc import Callable
from datetime import timedelta

from msgspec.structs import replace

from dev.memory.expiry import MemoryExpiry
from dev.memory.stores import MemoryInstances
from dev.memory.world import ManualClock
from shared.application.expire import RESERVE, ExpiredRecord, ExpiryReport, PutBack, StoredEvent, expire
from shared.application.ports import OverloadedError
from shared.domain.errors import StoredShapeError
from shared.domain.ids import InstanceSid, event_sid
from shared.domain.instance.event import EventKind
from shared.domain.instance.journal import EventHistory
from shared.domain.instance.model import FailedEvent, Instance
from shared.domain.instance.reason import EventFailure
from shared.domain.instance.retention import Retention
from tests import full
from tests.contract.instances import a_record, an_entry, an_event, an_instance
from tests.full import at

SID = InstanceSid("i-1")
KEPT = timedelta(days=90)
LATER = at(9) + KEPT
PLENTY = timedelta(minutes=1)


def closed(*seqs: int, **changes: object) -> MemoryExpiry:
    """Return a store in which these events closed ninety days ago, each with two steps, an answer and a record."""
    store = MemoryInstances()
    change: Callable[..., Instance] = replace
    instance = change(an_instance(), **{"events": (), "next_seq": max(seqs) + 1, **changes})
    store.create(instance, records=[a_record(instance, seq) for seq in seqs])
    for seq in seqs:
        store.append(instance, an_entry(1, 1, seq=seq))
        store.append(instance, an_entry(1, 2, seq=seq))
        store.put_answer(instance, seq, full.ANSWER)
    return MemoryExpiry(instances=store, clock=ManualClock(LATER))


def finished(ports: MemoryExpiry, *, time_left: timedelta = PLENTY) -> ExpiryReport:
    return expire(ports, ports.delete_due(), time_left=lambda: time_left)


class TestAClosedEvent:
    """Its journal and its answers are deleted after its record."""

    def test_nothing_of_it_is_left(self) -> None:
        ports = closed(1, 2)
        assert finished(ports) == ExpiryReport(events=2, items=6)
        for seq in (1, 2):
            assert ports.instances.event_history(SID, seq) == EventHistory()

    def test_the_instance_of_an_expired_record_stays(self) -> None:
        ports = closed(1)
        instance = ports.instances.load(SID)
        finished(ports)
        assert ports.instances.load(SID) == instance

    def test_a_repetition_changes_nothing(self) -> None:
        ports = closed(1)
        batch = ports.delete_due()
        expire(ports, batch, time_left=lambda: PLENTY)
        assert expire(ports, batch, time_left=lambda: PLENTY) == ExpiryReport(events=1, items=0)

    def test_nothing_expires_earlier(self) -> None:
        ports = closed(1)
        ports.clock = ManualClock(LATER - timedelta(seconds=1))
        assert ports.delete_due() == []
        assert finished(ports) == ExpiryReport()

    def test_without_a_retention_nothing_expires(self) -> None:
        ports = closed(1)
        ports.retention = Retention()
        assert ports.delete_due() == []


class TestAnOpenEvent:
    """It keeps everything: its record is put back."""

    def test_the_record_is_put_back_for_as_long_again(self) -> None:
        ports = closed(1, events=(an_event(1),))
        before = ports.instances.event_history(SID, 1)

        report = finished(ports)

        assert report == ExpiryReport(
            put_back=(PutBack(event=event_sid(SID, 1), why="open", is_expected=True),)
        )
        assert ports.instances.event_history(SID, 1) == before
        assert ports.put_back_until == {(SID, 1): LATER + KEPT}

    def test_if_retention_was_switched_off_it_is_put_back_for_good(self) -> None:
        ports = closed(1, events=(an_event(1),))
        batch = ports.delete_due()
        ports.retention = Retention()
        expire(ports, batch, time_left=lambda: PLENTY)
        assert ports.put_back_until == {(SID, 1): None}

    def test_a_failed_event_keeps_everything_while_it_is_a_problem(self) -> None:
        failure = EventFailure(message="HTTP 402", error_class="http-402", at=at(9))
        failed = FailedEvent(seq=1, kind=EventKind.ADDED, task="charge", failure=failure)
        ports = closed(1, failed_events=(failed,))
        before = ports.instances.event_history(SID, 1)

        (put_back,) = finished(ports).put_back

        assert (put_back.why, put_back.is_expected) == ("listed as a problem", True)
        assert ports.instances.event_history(SID, 1) == before

    def test_an_unreadable_instance_keeps_everything(self) -> None:
        ports = closed(1)
        before = ports.instances.event_history(SID, 1)
        ports.unreadable = {SID: lambda: StoredShapeError("an item has schema 9 instead of 1")}

        (put_back,) = finished(ports).put_back

        assert (put_back.why, put_back.is_expected) == ("an item has schema 9 instead of 1", False)
        assert ports.instances.event_history(SID, 1) == before

    def test_an_instance_that_is_not_there_is_not_taken_for_closed(self) -> None:
        ports = closed(1)
        batch = ports.delete_due()
        del ports.instances.instances[SID]

        (put_back,) = expire(ports, batch, time_left=lambda: PLENTY).put_back

        assert (put_back.why, put_back.is_expected) == ("unknown", False)
        assert len(ports.instances.event_history(SID, 1).entries) == 2

    def test_an_event_that_closed_again_is_left_to_its_later_record(self) -> None:
        ports = closed(1)
        batch = ports.delete_due()
        again = replace(a_record(an_instance()), fence=9)
        ports.instances.put_record(an_instance(), again)

        assert expire(ports, batch, time_left=lambda: PLENTY) == ExpiryReport()
        history = ports.instances.event_history(SID, 1)
        assert (history.record, len(history.entries)) == (again, 2)


class Unreliable(MemoryExpiry):
    """A store that is overloaded for some events."""

    overloaded: frozenset[int] = frozenset()

    @property
    def store(self) -> "Unreliable":
        return self

    def stored_event(self, sid: InstanceSid, seq: int) -> StoredEvent:
        if seq in self.overloaded:
            raise OverloadedError("ThrottlingException")
        return super().stored_event(sid, seq)


class TestABatch:
    """A batch is repeated from the record that could not be finished."""

    def unreliable(self, *seqs: int) -> Unreliable:
        made = closed(1, 2, 3)
        ports = Unreliable(instances=made.instances, clock=made.clock)
        ports.overloaded = frozenset(seqs)
        return ports

    def test_events_before_a_fault_are_finished(self) -> None:
        ports = self.unreliable(2)
        batch = ports.delete_due()

        report = expire(ports, batch, time_left=lambda: PLENTY)

        assert (report.events, report.items, report.repeat_from) == (1, 3, "2")
        assert str(report.fault) == "ThrottlingException"
        assert len(ports.instances.event_history(SID, 3).entries) == 2
        ports.overloaded = frozenset()
        assert expire(ports, batch[1:], time_left=lambda: PLENTY) == ExpiryReport(events=2, items=6)

    def test_no_further_record_is_begun_without_time(self) -> None:
        ports = closed(1, 2, 3)
        left: list[timedelta] = [RESERVE, RESERVE - timedelta(milliseconds=1)]

        report = expire(ports, ports.delete_due(), time_left=lambda: left.pop(0))

        assert (report.events, report.repeat_from, report.fault) == (2, "3", None)

    def test_the_first_record_is_begun_in_any_case(self) -> None:
        assert finished(closed(1, 2), time_left=timedelta()).events == 1

    def test_an_empty_batch_is_done(self) -> None:
        assert expire(closed(1), [], time_left=lambda: PLENTY) == ExpiryReport()


class TestTheRaceWithARedrive:
    """The event is read at one instant: before a redrive has opened it again, or after that."""

    def test_a_redriven_event_keeps_its_journal(self) -> None:
        ports = closed(1)
        batch: list[ExpiredRecord] = ports.delete_due()
        instance = ports.instances.instances[SID]
        # A later closing had left a record, which a redrive has removed since.
        open_again = replace(instance, events=(an_event(1),), rev=instance.rev + 1)
        ports.instances.commit(open_again)

        report = expire(ports, batch, time_left=lambda: PLENTY)

        assert [record.why for record in report.put_back] == ["open"]
        assert len(ports.instances.event_history(SID, 1).entries) == 2
