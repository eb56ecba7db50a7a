"""Records expire while events are open, and while an operator retries an event; runners and the expirer crash.

DynamoDB deletes a record at any moment after its expiry. The deletion reaches the expirer late, again after a
crash, and sometimes twice. Source: docs/decisions/0052-records-and-audit-expire.md.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest

import shared.application.expire
import shared.domain.steps.in_doubt
from dev.memory.expiry import MemoryExpiry
from dev.memory.stores import MemoryInstances
from shared.application.control import control
from shared.application.expire import ExpiredRecord, ExpiryReport, StoredEvent, expire
from shared.application.retry_event import RetryEvent, retry_event
from shared.application.start import StartInstance, start_instance
from shared.domain.ids import InstanceSid
from shared.domain.instance.event import EventStatus, PausedFor, Resolution
from shared.domain.instance.journal import EventHistory, EventRecord
from shared.domain.instance.model import Instance
from shared.domain.instance.retention import Standing, standing
from shared.domain.instance.verdict import Applied, AuditEntry
from shared.domain.lifecycle.commands import Dismiss, Resolve
from tests.lifecycle_factories import strategy
from tests.simulation.faults import Faults
from tests.simulation.laws import (
    assert_effect_at_most_once,
    assert_history_complete,
    assert_no_unmarked_double,
    only_instance,
    records_of,
)
from tests.simulation.services import calls_to
from tests.simulation.stage import Process
from tests.simulation.test_redriven import (
    ANN,
    CHARGING,
    SILENT,
    START,
    Ledger,
    TestAStaleRecord,
    assert_done_right,
    failed_world,
)
from tests.simulation.world import World

KEPT = timedelta(days=90)
A_DAY = timedelta(days=1)
late_record_in_a_run = TestAStaleRecord.late_record_in_a_run
del TestAStaleRecord


@dataclass
class Expiry(MemoryExpiry):
    """The store of the expirer, behind the points of a world."""

    world: World = field(kw_only=True)

    @property
    def store(self) -> "Expiry":
        return self

    def stored_event(self, sid: InstanceSid, seq: int) -> StoredEvent:
        self.world.io("stored_event")
        found = MemoryExpiry.stored_event(self, sid, seq)
        self.world.io("was_read")
        return found

    def put_back(self, expired: ExpiredRecord, *, until: datetime | None) -> None:
        self.world.io("put_back")
        MemoryExpiry.put_back(self, expired, until=until)
        self.world.written("was_put_back")

    def delete_history(self, sid: InstanceSid, seq: int) -> int:
        # One by one, where DynamoDB may leave some of a batch.
        for key in [key for key in self.instances.journal if key[:2] == (sid, seq)]:
            self.world.io("delete")
            self.instances.journal.pop(key, None)
            self.world.written("deleted", is_conditional=False)
        return MemoryExpiry.delete_history(self, sid, seq)

    def play(
        self, batch: Sequence[ExpiredRecord], until: datetime, *, rng: random.Random, crashes: int
    ) -> None:
        """Let the expirer have a batch, again after each crash and sometimes twice, while all else continues."""
        world = self.world
        reports: list[ExpiryReport] = []

        def deliver() -> Process:
            process = world.do(
                "expirer",
                world.invocation(lambda: reports.append(expire(self, batch, time_left=lambda: A_DAY))),
            )
            process.wakes_at += timedelta(seconds=rng.randint(0, 90))
            return process

        running = [deliver() for _ in range(rng.choice((1, 1, 2)))]
        points = world.faults.points
        world.faults.kill_at = frozenset(points + rng.randint(1, 25) for _ in range(crashes))
        while world.now_at < until or not reports:
            world.run_until(world.now_at + timedelta(minutes=1))
            running = [deliver() if process.has_failed else process for process in running]
            running = [process for process in running if not process.is_over]
            if not (running or world.stage.processes):
                world.run_until(until)


def expiry_of(world: World) -> Expiry:
    return Expiry(instances=world.store, clock=world, world=world)


def crashed_between_record_and_advance() -> World:
    """Return a world in which the charge is made and recorded, and nothing runs since its runner crashed then."""
    faults = Faults(rng=random.Random(1))
    world = Ledger(
        strategy=strategy(parts=CHARGING), now_at=START, faults=faults, delivers_wakeups=False, sweeper=False
    )
    start_instance(world, world.strategy, StartInstance(strategy_id="shop", attributes={}, start_date=START))
    runner = world.run(only_instance(world).sid)
    while runner.at_point != "record_put":
        world.stage.run(runner)
    runner.doomed = True
    world.stage.run(runner)
    assert only_instance(world).executing is not None
    assert len(world.store.records) == 1
    return world


def revived_after(days: float, *, seed: int, expirer_first: bool = False) -> World:
    """Let everything come back after an outage, in which DynamoDB has deleted the expired records."""
    rng = random.Random(seed)
    world = crashed_between_record_and_advance()
    world.now_at += timedelta(days=days)
    expiry = expiry_of(world)
    batch = expiry.delete_due()
    assert bool(batch) is (days >= 90)
    # Otherwise sweeper and expirer race.
    world.sweeper = not expirer_first
    if batch:
        expiry.play(batch, world.now_at + timedelta(minutes=5), rng=rng, crashes=rng.randint(0, 3))
    world.sweeper, world.faults.kill_at = True, frozenset()
    world.run_until(world.now_at + timedelta(hours=6))
    return world


class TestAnOutageThatIsLongerThanTheRetention:
    """The record of an open event expires. The charge is not made again, whether sweeper or expirer comes first."""

    @pytest.mark.parametrize("days", [1, 59, 61, 89, 89.9])
    def test_before_its_expiry_the_record_ends_the_event(self, days: float) -> None:
        world = revived_after(days, seed=1)
        assert [record.event.status for record in records_of(world, "bill")][:1] == [EventStatus.PROCESSED]
        self.assert_charged_once(world)

    def test_a_record_that_was_put_back_ends_the_event(self, seed: int) -> None:
        for number in range(10):
            world = revived_after(120, seed=seed * 1000 + number, expirer_first=True)
            first = records_of(world, "bill")[0]
            assert (first.event.seq, first.event.status) == (1, EventStatus.PROCESSED)
            assert not first.event.in_doubt
            self.assert_charged_once(world)

    def test_without_the_record_an_operator_decides(self, seed: int) -> None:
        ends = set()
        for number in range(20):
            world = revived_after(100, seed=seed * 1000 + number)
            event = only_instance(world).event(1)
            if event is not None:
                assert (event.status, event.paused_for) == (EventStatus.PAUSED, PausedFor.IN_DOUBT)
            ends.add(event is None)
            self.assert_charged_once(world)
        assert ends == {True, False} or seed > 1, "both orders must occur"

    def test_the_operator_may_let_the_call_be_repeated_under_its_key(self) -> None:
        world = crashed_between_record_and_advance()
        world.now_at += timedelta(days=100)
        world.sweeper = True
        expiry_of(world).delete_due()  # and the stream has forgotten it
        world.run_until(world.now_at + timedelta(hours=1))
        instance = only_instance(world)
        assert [event.paused_for for event in instance.events if event.seq == 1] == [PausedFor.IN_DOUBT]

        control_event = Resolve(seq=1, resolution=Resolution.RETRY, by=ANN)
        assert isinstance(control(world, instance.sid, control_event), Applied)
        world.run_until(world.now_at + timedelta(hours=1))

        assert records_of(world, "bill")[0].event.status is EventStatus.PROCESSED
        assert_no_unmarked_double(world)
        assert (
            len({sending.key for sending in calls_to(world.ledger, "/receipts") if "-1-1-" in sending.key})
            == 1
        )

    @staticmethod
    def assert_charged_once(world: World) -> None:
        for path in ("/reserves", "/charges", "/receipts"):
            of_first = [sending for sending in calls_to(world.ledger, path) if "-1-1-" in sending.key]
            assert len(of_first) == 1, path
        assert len([key for key in world.store.journal if key[1] == 1]) == 2, (
            "an open event keeps its journal"
        )


class TestAnOpenEventWithAnExpiredRecord:
    """The record of an earlier run expires while the event is open again: it keeps its journal."""

    @staticmethod
    def outlived(seed: int) -> World:
        rng = random.Random(seed)
        world = failed_world(SILENT)
        late_record_in_a_run(world)
        world.sweeper = False
        world.now_at += KEPT + A_DAY
        expiry = expiry_of(world)
        batch = expiry.delete_due()
        assert [expired.seq for expired in batch] == [1]
        expiry.play(batch, world.now_at + timedelta(minutes=5), rng=rng, crashes=rng.randint(0, 3))
        world.faults.kill_at = frozenset()
        world.sweeper = True
        world.run_until(world.now_at + timedelta(minutes=10))
        event = only_instance(world).event(1)
        assert event is not None
        assert event.paused_for is PausedFor.IN_DOUBT
        control(world, only_instance(world).sid, Resolve(seq=1, resolution=Resolution.RETRY, by=ANN))
        world.run_until(world.now_at + A_DAY)
        return world

    def test_its_new_run_uses_what_the_first_one_has_done(self, seed: int) -> None:
        for number in range(5):
            assert_done_right(self.outlived(seed * 100 + number), charged_under=1)


@dataclass
class Race:
    """A failed event that was dismissed, and whose record expires while an operator retries it."""

    world: World
    answers: list[object]

    @property
    def is_open_again(self) -> bool:
        return any(isinstance(answer, Applied) for answer in self.answers)


def race(seed: int) -> Race:
    """Delete the record at a random point of the request, and let the expirer run beside the rest of the request."""
    rng = random.Random(seed)
    world = failed_world(SILENT)
    sid = only_instance(world).sid
    control(world, sid, Dismiss(until=world.now_at, by=ANN))
    world.rest()
    world.now_at += KEPT + A_DAY
    answers: list[object] = []
    asked = RetryEvent(sid=sid, seq=1, by=ANN)
    request = world.do("retry", world.invocation(lambda: answers.append(retry_event(world, asked))))
    for _ in range(rng.randint(0, 8)):
        if not request.is_over:
            world.stage.run(request)
    expiry = expiry_of(world)
    batch = expiry.delete_due()
    request.wakes_at = max(request.wakes_at, world.now_at + timedelta(seconds=rng.randint(0, 90)))
    if batch:
        expiry.play(batch, world.now_at + timedelta(minutes=5), rng=rng, crashes=0)
    world.run_until(world.now_at + A_DAY)
    if only_instance(world).event(1) is not None:
        # The charge has been in doubt for longer than sixty days.
        control(world, sid, Resolve(seq=1, resolution=Resolution.RETRY, by=ANN))
        world.run_until(world.now_at + A_DAY)
    return Race(world=world, answers=answers)


def assert_won_by_one(race: Race) -> None:
    """Assert that the event runs again with all its history, or that nothing of it is left."""
    if race.is_open_again:
        assert_done_right(race.world, charged_under=1)
        return
    sid = only_instance(race.world).sid
    assert race.answers == [None]
    assert only_instance(race.world).event(1) is None
    assert race.world.store.event_history(sid, 1) == EventHistory()
    assert len(calls_to(race.world.ledger, "/charges")) == 1
    assert_effect_at_most_once(race.world, "/charges")
    assert_history_complete(race.world)


def assert_all_won_by_one(seeds: Sequence[int]) -> None:
    """Assert it of many races."""
    for seed in seeds:
        assert_won_by_one(race(seed))


class TestARedriveAtTheMomentOfTheExpiry:
    """Either the event runs again with its journal, or it is unknown and its journal is deleted."""

    def test_one_of_them_wins(self, seed: int) -> None:
        races = [race(seed * 1000 + number) for number in range(40)]
        for one in races:
            assert_won_by_one(one)
        assert {one.is_open_again for one in races} == {True, False}


class TestTheGuards:
    """Each of these guards alone prevents a second charge or a lost history."""

    def test_without_putting_back_open_events_lose_their_journal(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def careless(instance: Instance | None, seq: int, *, has_record: bool) -> Standing:
            found = standing(instance, seq, has_record=has_record)
            return Standing.CLOSED if found is Standing.OPEN else found

        monkeypatch.setattr(shared.application.expire, "standing", careless)
        world = revived_after(120, seed=1, expirer_first=True)
        with pytest.raises(AssertionError, match="keeps its journal"):
            TestAnOutageThatIsLongerThanTheRetention.assert_charged_once(world)
        with pytest.raises((AssertionError, KeyError)):
            assert_done_right(TestAnOpenEventWithAnExpiredRecord.outlived(1), charged_under=1)

    def test_without_the_limit_of_a_doubt_the_call_is_repeated(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(shared.domain.steps.in_doubt, "MAX_DOUBT_AGE", timedelta(days=9999))
        world = crashed_between_record_and_advance()
        world.now_at += timedelta(days=100)
        world.sweeper = True
        expiry_of(world).delete_due()
        world.run_until(world.now_at + timedelta(hours=1))
        with pytest.raises(AssertionError, match="/receipts"):
            TestAnOutageThatIsLongerThanTheRetention.assert_charged_once(world)

    def test_without_the_condition_of_a_redrive_its_journal_is_deleted(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        commit = MemoryInstances.commit

        def careless(
            store: MemoryInstances,
            instance: Instance,
            *,
            records: Sequence[EventRecord] = (),
            audit: AuditEntry | None = None,
            reopened: EventRecord | None = None,
        ) -> None:
            if reopened is not None:
                store.records.setdefault((instance.sid, reopened.event.seq), reopened)
            commit(store, instance, records=records, audit=audit, reopened=reopened)

        monkeypatch.setattr(MemoryInstances, "commit", careless)
        with pytest.raises((AssertionError, KeyError)):
            assert_all_won_by_one(range(1000, 1100))

    def test_two_reads_instead_of_one_would_miss_a_redrive_between_them(self) -> None:
        """The instance before the redrive of a later closing, the record after it: that looks closed for good."""
        world = failed_world(SILENT)
        control(world, only_instance(world).sid, Dismiss(until=world.now_at, by=ANN))
        before = only_instance(world)
        assert isinstance(retry_event(world, RetryEvent(sid=before.sid, seq=1, by=ANN)), Applied)

        assert standing(before, 1, has_record=True) is Standing.RECORDED
        assert standing(only_instance(world), 1, has_record=False) is Standing.OPEN
        assert standing(before, 1, has_record=False) is Standing.CLOSED
