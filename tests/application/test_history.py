"""Pages of an instance's history. Source: docs/contracts/core.md section 5 and section 4, row 23."""

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from dev.memory.stores import MemoryInstances
from dev.memory.world import ManualClock, MemoryPorts
from shared.application.history import MAX_STEPS, HistoryPage, history_page, last_outcome
from shared.application.ports import UnreadableError
from shared.application.runner.loop import run_due_events
from shared.application.start import StartInstance, start_instance
from shared.domain.instance.event import EventKind, EventStatus
from shared.domain.instance.journal import EventRecord, JournalEntry
from shared.domain.instance.model import Instance
from shared.domain.steps.call import Answered, CallOutcome, ServiceRequest
from tests.application.marred import MarredEvents
from tests.factories import an_entry, an_event, an_instance, an_intent
from tests.lifecycle_factories import DAILY, calendar, strategy

START = datetime(2026, 2, 1, tzinfo=UTC)


class Shop:
    """A service that accepts every request."""

    def call(self, request: ServiceRequest) -> CallOutcome:
        return Answered(status=201, body={"of": request.call_key})


def after_days(days: int, store: MemoryInstances | None = None) -> tuple[MemoryPorts, Instance]:
    """Return an instance with a daily bill after some days. All have run except the next one."""
    ports = MemoryPorts(caller=Shop(), clock=ManualClock(START), instances=store or MemoryInstances())
    of = strategy(calendar(DAILY))
    ports.strategies.add(of)
    requests = StartInstance(strategy_id="shop", attributes={}, start_date=START)
    sid = start_instance(ports, of, requests).instance.sid
    for day in range(days):
        ports.clock.at = START + timedelta(days=day)
        run_due_events(ports, sid, job="job", time_left=lambda: timedelta(minutes=15))
    return ports, ports.instances.instances[sid]


def summary(page: HistoryPage) -> list[tuple[int, str, int]]:
    return [(one.event.seq, one.event.status.value, len(one.steps)) for one in page.events]


class TestPages:
    """Every event is returned, open and closed, newest first, on pages without gaps."""

    def test_a_short_history_fits_on_one_page(self) -> None:
        ports, instance = after_days(3)
        page = history_page(ports, instance, before=None, limit=25)
        assert summary(page) == [
            (4, "PENDING", 0),
            (3, "PROCESSED", 1),
            (2, "PROCESSED", 1),
            (1, "PROCESSED", 1),
        ]
        assert page.after is None

    def test_pages_follow_each_other_without_gaps(self) -> None:
        ports, instance = after_days(5)
        first = history_page(ports, instance, before=None, limit=2)
        second = history_page(ports, instance, before=first.after, limit=2)
        third = history_page(ports, instance, before=second.after, limit=2)
        pages = (first, second, third)
        assert [[one.event.seq for one in page.events] for page in pages] == [[6, 5], [4, 3], [2, 1]]
        assert [page.after for page in pages] == [5, 3, None]

    def expired(self, days: int, *seqs: int, journal: bool = False) -> tuple[MemoryPorts, Instance]:
        """Delete the records with these numbers, and their journals unless the expirer lags."""
        ports, instance = after_days(days)
        for seq in seqs:
            del ports.instances.records[instance.sid, seq]
            for key in [key for key in ports.instances.journal if key[1] == seq and not journal]:
                del ports.instances.journal[key]
            if journal:
                ports.instances.append(instance, an_entry(seq=seq))
        return ports, instance

    @pytest.mark.parametrize("journal", [False, True], ids=["gone", "journal left"])
    def test_the_first_events_may_have_expired(self, *, journal: bool) -> None:
        ports, instance = self.expired(9, 1, 2, 3, 4, journal=journal)
        first = history_page(ports, instance, before=None, limit=4)
        second = history_page(ports, instance, before=first.after, limit=4)
        assert [one.event.seq for one in first.events] == [10, 9, 8, 7]
        assert [one.event.seq for one in second.events] == [6, 5]
        assert (first.after, second.after) == (7, None)

    @pytest.mark.parametrize("limit", [1, 2, 3, 25])
    def test_no_event_that_is_kept_is_passed_over(self, limit: int) -> None:
        ports, instance = self.expired(12, 1, 3, 4, 5, 6, 7, 9, 12)
        found: list[int] = []
        before: int | None = None
        pages = 0
        while before is not None or not pages:
            page = history_page(ports, instance, before=before, limit=limit)
            assert page.events or page.after is None
            found += [one.event.seq for one in page.events]
            before, pages = page.after, pages + 1
        assert found == [13, 11, 10, 8, 2]

    def test_an_open_event_below_expired_ones_is_found(self) -> None:
        ports, instance = self.expired(9, *range(1, 10))
        held = replace(instance.events[0], seq=1, kind=EventKind.ADDED)
        instance = replace(instance, events=(held, *instance.events))
        page = history_page(ports, instance, before=10, limit=2)
        assert [one.event.seq for one in page.events] == [1]
        assert page.after is None

    def test_if_everything_has_expired_the_page_is_empty_and_the_last(self) -> None:
        ports, instance = self.expired(9, *range(1, 10))
        assert history_page(ports, instance, before=10, limit=2) == HistoryPage(events=(), after=None)

    def test_without_an_expired_event_no_further_read_is_needed(self) -> None:
        ports, instance = after_days(9)
        reads: list[int] = []
        read = ports.instances.records_before

        class Counting:
            def __getattr__(self, name: str) -> object:
                return getattr(ports.instances, name)

            def records_before(self, *args: Any, **more: Any) -> Any:
                reads.append(more["limit"])
                return read(*args, **more)

        counted = dataclasses.replace(ports, instances=Counting())  # type: ignore[arg-type]
        history_page(counted, instance, before=None, limit=4)
        assert reads == [4]

    def test_the_last_outcome_is_unknown_once_it_has_expired(self) -> None:
        ports, instance = self.expired(3, 1, 2)
        assert [last.event.seq for last in (last_outcome(ports, instance),) if last] == [3]
        ports, instance = self.expired(3, 1, 2, 3)
        assert last_outcome(ports, instance) is None

    def test_a_page_is_stable_while_events_are_added(self) -> None:
        ports, instance = after_days(5)
        first = history_page(ports, instance, before=None, limit=2)
        ports.clock.at = START + timedelta(days=5)
        run_due_events(ports, instance.sid, job="job", time_left=lambda: timedelta(minutes=15))
        later = ports.instances.instances[instance.sid]
        second = history_page(ports, later, before=first.after, limit=2)
        assert [one.event.seq for one in second.events] == [4, 3]

    def test_the_page_after_the_last_is_empty(self) -> None:
        ports, instance = after_days(1)
        assert history_page(ports, instance, before=1, limit=5) == HistoryPage(events=(), after=None)

    def test_a_missing_record_is_left_out(self) -> None:
        ports, instance = after_days(3)
        del ports.instances.records[instance.sid, 2]
        assert [one.event.seq for one in history_page(ports, instance, before=None, limit=25).events] == [
            4,
            3,
            1,
        ]


class TestLargeEvents:
    """A page ends early if it would have too many steps. A single event always fits."""

    def test_a_page_ends_before_an_event_with_too_many_steps(self) -> None:
        ports, _ = after_days(0)
        events = tuple(an_event(seq, run=1) for seq in range(1, 6))
        instance = an_instance(*events, next_seq=6)
        for seq in range(1, 6):
            for entry in _steps(seq, 400 if seq < 5 else MAX_STEPS + 1):
                ports.instances.append(instance, entry)
        first = history_page(ports, instance, before=None, limit=25)
        second = history_page(ports, instance, before=first.after, limit=25)
        third = history_page(ports, instance, before=second.after, limit=25)
        assert [[one.event.seq for one in page.events] for page in (first, second, third)] == [
            [5],
            [4, 3],
            [2, 1],
        ]
        assert (first.after, second.after, third.after) == (5, 3, None)


def _steps(seq: int, count: int) -> list[JournalEntry]:
    """Add steps to a run."""
    last = an_entry(seq=seq, intent=an_intent("only", visit=count))
    return [
        an_entry(then=an_intent("only", visit=visit + 1), seq=seq, intent=an_intent("only", visit=visit))
        for visit in range(1, count)
    ] + [last]


class TestTheLastRun:
    """The main event that finished last is searched in 200 closed events, in growing pages."""

    def beside(self, ports: MemoryPorts, instance: Instance, many: int) -> Instance:
        """Add ``many`` closed events to the instance that were added by hand."""
        for seq in range(instance.next_seq, instance.next_seq + many):
            event = an_event(seq, kind=EventKind.ADDED, status=EventStatus.PROCESSED)
            record = EventRecord(instance_sid=instance.sid, event=event, fence=9, finished_at=START)
            ports.instances.put_record(instance, record)
        return replace(instance, next_seq=instance.next_seq + many)

    def test_the_last_run_of_an_instance_is_found(self) -> None:
        found = last_outcome(*after_days(3))

        assert found is not None
        assert found.event.seq == 3

    def test_an_instance_without_a_run_has_none(self) -> None:
        assert last_outcome(*after_days(0)) is None

    def test_the_last_run_is_found_behind_199_other_events(self) -> None:
        ports, instance = after_days(3)

        found = last_outcome(ports, self.beside(ports, instance, 199))

        assert found is not None
        assert found.event.seq == 3

    def test_the_last_run_is_not_found_behind_200_other_events(self) -> None:
        ports, instance = after_days(3)

        assert last_outcome(ports, self.beside(ports, instance, 200)) is None

    @pytest.mark.parametrize("seq", [1, 2, 3])
    def test_a_record_that_may_be_of_a_later_run_must_be_readable(self, seq: int) -> None:
        store = MarredEvents()
        ports, instance = after_days(3, store)
        store.mar(records_of=[seq])

        with pytest.raises(UnreadableError, match=rf"^{seq}: schema 99$") as raised:
            last_outcome(ports, instance)

        assert raised.value.item.key == seq

    def test_a_record_beyond_those_that_are_read_may_be_unreadable(self) -> None:
        store = MarredEvents()
        ports, instance = after_days(11, store)
        store.mar(records_of=[1])

        found = last_outcome(ports, instance)

        assert found is not None
        assert found.event.seq == 11

    def test_the_record_of_an_open_event_may_be_unreadable(self) -> None:
        store = MarredEvents()
        ports, instance = after_days(3, store)
        (event,) = instance.events
        record = EventRecord(instance_sid=instance.sid, event=event, fence=1, finished_at=START)
        store.put_record(instance, record)
        store.mar(records_of=[event.seq])

        found = last_outcome(ports, instance)

        assert found is not None
        assert found.event.seq == 3
