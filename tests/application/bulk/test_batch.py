"""The instances of a batch are commanded at once: in any order, as far as possible. Source: docs/decisions/0068."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Barrier, get_ident
from typing import Any

import pytest
from msgspec.structs import replace

from dev.memory.stores import MemoryInstances, MemoryOperations
from dev.memory.world import MemoryPorts, MemoryWakeups
from shared.adapters.threads import ThreadWorkers
from shared.application.bulk.batch import BatchWork
from shared.application.bulk.progress import RESERVE
from shared.application.commit import execute
from shared.application.flags import resume_queue
from shared.application.ports import Crash, Item, Operation, OverloadedError, PageKey, Result
from shared.application.workers import OneWorker
from shared.domain.bulk.operation import GIVEN_UP, LEASE, BulkOperation, BulkStatus, Counts, assign_worker
from shared.domain.bulk.pace import MAX_BATCH, Pace
from shared.domain.bulk.release import IN_HAND
from shared.domain.ids import InstanceSid, OperationSid, StrategySid
from shared.domain.instance.model import Instance, InstanceStatus
from shared.domain.instance.phase import Phase
from shared.domain.instance.verdict import Applied, AuditEntry
from shared.domain.lifecycle.commands import Pause, Resume
from tests.application.bulk import release_worlds
from tests.application.bulk.bulk_worlds import ACCOUNT, ANN, a_world, begun, joined, statuses, stored
from tests.bulk_runs import BATCH, run_bulk

MANY = 60
"""Two and a half batches."""


class BrokenError(Exception):
    """An error that is no instance's own."""


class Backwards:
    """``Workers`` that begin with the last item."""

    def run(self, work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result | Crash]:
        return OneWorker().run(work, items[::-1])[::-1]


@dataclass(slots=True)
class Store(MemoryInstances):
    """A store that records the order of commits and lists, and calls ``before`` with the instance of each commit."""

    log: list[str] = field(default_factory=list)
    before: Callable[[Instance], object] = lambda _: None
    refuses_lists: int = 0

    def commit(self, instance: Instance, **beside: Any) -> None:
        self.before(instance)
        self.log.append(instance.sid)
        MemoryInstances.commit(self, instance, **beside)

    def oldest_of_strategy(
        self,
        strategy: StrategySid,
        statuses: Sequence[InstanceStatus | Phase],
        *,
        after: PageKey | None,
        until: datetime,
        limit: int,
    ) -> list[PageKey]:
        self.log.append("list")
        if self.refuses_lists:
            self.refuses_lists -= 1
            raise OverloadedError("the index")
        return MemoryInstances.oldest_of_strategy(
            self, strategy, statuses, after=after, until=until, limit=limit
        )


def a_gym(members: int = MANY) -> tuple[MemoryPorts, Store, list[InstanceSid]]:
    store = Store()
    ports = a_world(store)
    sids = joined(ports, members)
    return ports, store, sids


def refuses(*refused: InstanceSid) -> Callable[[Instance], None]:
    """Return a function that lets the store refuse these instances once."""
    left = set(refused)

    def before(instance: Instance) -> None:
        if instance.sid in left:
            left.remove(instance.sid)
            raise OverloadedError("the table")

    return before


class TestTheOrder:
    """It does not matter in which order instances are commanded, and the next batch is read meanwhile."""

    def test_the_results_of_a_batch_are_counted_whatever_its_order(self) -> None:
        ports, store, sids = a_gym()
        bulk = begun(ports)
        store.log.clear()

        assert run_bulk(ports, bulk.sid, workers=Backwards()).done == MANY

        commits = [sid for sid in store.log if sid != "list"]
        assert commits == [*sids[24::-1], *sids[49:24:-1], *sids[:49:-1]]
        assert stored(ports, bulk.sid).counts == Counts(changed=MANY)

    def test_results_of_a_request_are_in_the_order_of_the_selection(self) -> None:
        ports, _, sids = a_gym(5)

        assert [result.sid for result in begun(ports).results] == sids

    def test_the_next_batch_is_read_before_this_one_is_commanded(self) -> None:
        ports, store, sids = a_gym()
        bulk = begun(ports)
        store.log.clear()

        run_bulk(ports, bulk.sid)

        # The third read finds the last ten instances, and that there are no more.
        assert store.log == ["list", "list", *sids[:25], "list", *sids[25:]]

    def test_threads_command_the_instances_of_a_batch_at_once(self) -> None:
        ports, store, sids = a_gym(101)
        bulk = begun(ports)
        barrier, threads = Barrier(4), set[int]()

        def meet(instance: Instance) -> None:
            if instance.sid in sids[:4]:
                # Raises if fewer than four instances are being commanded.
                barrier.wait(timeout=10)
            threads.add(get_ident())

        store.before = meet

        assert run_bulk(ports, bulk.sid, workers=ThreadWorkers(8), pace=Pace()).done == 101

        assert len(threads) >= 4
        assert stored(ports, bulk.sid).counts == Counts(changed=101)
        audited = [entry.target for entry in ports.instances.audit if entry.command == "cancel"]
        assert sorted(audited) == sids

    @pytest.mark.parametrize(
        ("pace", "size"),
        [
            (Pace(), MAX_BATCH),
            (Pace(per_second=40), 40),
            (Pace(per_second=0), MAX_BATCH),
            (Pace(per_second=1), 1),
        ],
    )
    def test_a_batch_is_stored_whole_before_it_is_commanded(self, pace: Pace, size: int) -> None:
        ports, store, sids = a_gym(101)
        bulk = begun(ports)
        store.before = dies

        with pytest.raises(DiedError):
            run_bulk(ports, bulk.sid, pace=pace)

        assert stored(ports, bulk.sid).batch_sids == tuple(sids[:size])

    def test_the_pace_is_kept_over_several_batches(self) -> None:
        ports, _, _ = a_gym(101)
        bulk = begun(ports)
        began = ports.clock.at

        run_bulk(ports, bulk.sid, pace=Pace(per_second=10))

        # Nothing takes time here but the pauses after each batch except the last, which has one instance.
        assert ports.clock.at - began == timedelta(seconds=10)


class TestWhatStopsABatch:
    """Instances that were not begun, or met an unavailable store, stay in the batch. All others are counted."""

    def test_results_are_kept_wherever_a_store_was_unavailable(self) -> None:
        ports, store, sids = a_gym()
        bulk = begun(ports)
        operations = recorded(ports)
        store.before = refuses(sids[3])

        run_bulk(ports, bulk.sid, workers=Backwards())

        # The last 21 instances of the first batch came before the refused one.
        after = operations.saved[2]
        assert (after.counts, after.batch_sids) == (Counts(changed=21), tuple(sids[:4]))
        assert_each_once(ports, bulk.sid, sids)

    def test_no_further_instance_is_begun_while_a_store_is_unavailable(self) -> None:
        ports, store, sids = a_gym()
        bulk = begun(ports)
        operations = recorded(ports)
        store.before = refuses(sids[3])

        run_bulk(ports, bulk.sid)

        after = operations.saved[2]
        assert (after.counts, after.batch_sids) == (Counts(changed=3), tuple(sids[3:25]))
        assert_each_once(ports, bulk.sid, sids)

    def test_an_unreadable_list_stops_no_instance(self) -> None:
        ports, store, sids = a_gym()
        bulk = begun(ports)
        operations = recorded(ports)
        store.before = lambda _: setattr(store, "refuses_lists", 2)

        run_bulk(ports, bulk.sid, workers=Backwards())

        # Backwards, the list is read last, when all instances of the batch have been commanded.
        after = operations.saved[2]
        assert (after.counts, after.batch_sids) == (Counts(changed=25), ())
        assert_each_once(ports, bulk.sid, sids)

    def test_no_instance_is_begun_from_the_end_of_the_lease_on(self) -> None:
        ports, store, sids = a_gym()
        bulk = begun(ports)
        operations = recorded(ports)
        stalls = [LEASE - timedelta(milliseconds=1), timedelta(milliseconds=1)]

        def stall(_: Instance) -> None:
            ports.clock.at += stalls.pop(0) if stalls else timedelta()

        store.before = stall

        run_bulk(ports, bulk.sid)

        # The second instance was begun a millisecond before the end.
        after = operations.saved[2]
        assert (after.counts, after.batch_sids) == (Counts(changed=2), tuple(sids[2:25]))
        assert_each_once(ports, bulk.sid, sids)

    def test_no_instance_is_commanded_again_from_the_end_of_the_lease_on(self) -> None:
        """While a runner stalls, an operator pauses, another runner takes over, and the operator resumes."""
        ports, store, sids = a_gym()
        bulk = begun(ports, command=Pause(by=ANN))

        def stall(instance: Instance) -> None:
            store.before = lambda _: None
            ports.clock.at += LEASE
            assert isinstance(execute(ports, instance.sid, Pause(by=ANN)), Applied)
            run_bulk(ports, bulk.sid)
            assert isinstance(execute(ports, instance.sid, Resume(by=ANN)), Applied)

        store.before = stall

        run_bulk(ports, bulk.sid)

        assert statuses(ports, sids[:1]) == {"ACTIVE"}
        assert stored(ports, bulk.sid).counts == Counts(changed=len(sids) - 1, already_there=1)
        assert bulk.sid not in ports.instances.instances[sids[0]].operations

    def test_a_runner_that_is_too_late_does_not_take_it_for_an_overload(self) -> None:
        ports, store, sids = a_gym()
        bulk = replace(begun(ports, command=Pause(by=ANN)), batch_sids=tuple(sids[:3]), at_end=True)
        bulk = assign_worker(bulk, worker="w-1", now=ports.clock.now())

        def stall(instance: Instance) -> None:
            store.before = lambda _: None
            ports.clock.at += LEASE
            assert isinstance(execute(ports, instance.sid, Pause(by=ANN)), Applied)

        store.before = stall
        work = BatchWork(
            ports=ports, bulk=bulk, loaded={}, wake=lambda _: None, time_left=lambda: timedelta(minutes=5)
        )
        done = work.run(OneWorker(), next_size=1)

        assert (done.results, done.following, done.is_refused) == ([], None, False)

    def test_no_instance_is_begun_when_the_time_is_up(self) -> None:
        ports, store, sids = a_gym()
        bulk = begun(ports)
        ends = ports.clock.at + RESERVE + timedelta(seconds=3)

        def take_a_second(_: Instance) -> None:
            ports.clock.at += timedelta(seconds=1)

        store.before = take_a_second

        run_bulk(ports, bulk.sid, time_left=lambda: ends - ports.clock.at)

        after = stored(ports, bulk.sid)
        assert (after.counts, after.batch_sids) == (Counts(changed=3), tuple(sids[3:25]))
        assert (after.worker, after.crashes) == (None, 0)
        store.before = lambda _: None
        run_bulk(ports, bulk.sid)
        assert_each_once(ports, bulk.sid, sids)

    def test_an_error_that_is_no_instances_own_is_raised_when_all_have_ended(self) -> None:
        ports, store, sids = a_gym()
        bulk = begun(ports)
        store.before = breaks(sids[3])

        with pytest.raises(BrokenError):
            run_bulk(ports, bulk.sid)

        # It counts as a crash: nothing was saved, and the next runner finds what was changed.
        assert statuses(ports, [*sids[:3], *sids[4:25]]) == {"CANCELED"}
        assert (stored(ports, bulk.sid).counts, len(stored(ports, bulk.sid).batch_sids)) == (Counts(), BATCH)
        store.before = lambda _: None
        ports.clock.at += LEASE
        run_bulk(ports, bulk.sid)
        assert_each_once(ports, bulk.sid, sids)

    def test_one_by_one_the_next_batch_is_read_with_the_last_instance(self) -> None:
        ports, store, sids = a_gym()
        bulk = begun(ports)
        for _ in range(2):
            store.before = breaks(sids[3])
            with pytest.raises(BrokenError):
                run_bulk(ports, bulk.sid)
            ports.clock.at += LEASE
        store.before = lambda _: None
        store.log.clear()
        operations = recorded(ports)

        run_bulk(ports, bulk.sid)

        # The first write takes the operation; one instance follows after another, and the whole next batch.
        done = [after.counts.done for after in operations.saved]
        assert done == [0, *range(1, 26), 50, 60]
        assert store.log.count("list") == 2
        assert_each_once(ports, bulk.sid, sids)

    def test_an_instance_at_whose_wakeup_runners_crash_counts_as_changed(self) -> None:
        ports, _, sids = a_gym()
        bulk = begun(ports)
        ports.wakeups = Deadly(deadly=sids[3])
        for _ in range(GIVEN_UP):
            with pytest.raises(DiedError):
                run_bulk(ports, bulk.sid)
            ports.clock.at += LEASE

        run_bulk(ports, bulk.sid)

        assert_each_once(ports, bulk.sid, sids)


class DiedError(BaseException):
    """The runner crashes."""


@dataclass(slots=True, kw_only=True)
class Deadly(MemoryWakeups):
    """Wakeups at which a runner crashes when it schedules that of ``deadly``."""

    deadly: InstanceSid

    def arm(self, name: str, at: datetime, sid: InstanceSid) -> None:
        if sid == self.deadly:
            raise DiedError
        MemoryWakeups.arm(self, name, at, sid)


def dies(_: Instance) -> None:
    raise DiedError


def breaks(broken: InstanceSid) -> Callable[[Instance], None]:
    """Return a function that lets the store fail at this instance."""

    def before(instance: Instance) -> None:
        if instance.sid == broken:
            raise BrokenError

    return before


@dataclass(slots=True)
class Recorded(MemoryOperations):
    """A store that records the saved operations."""

    saved: list[BulkOperation] = field(default_factory=list)

    def commit(self, operation: Operation, *, audit: AuditEntry | None = None) -> None:
        MemoryOperations.commit(self, operation, audit=audit)
        assert isinstance(operation, BulkOperation)
        self.saved.append(operation)


def recorded(ports: MemoryPorts) -> Recorded:
    """Record the operations of a world from now on."""
    operations = Recorded(bulks=ports.operations.bulks)
    ports.access.operations = operations
    return operations


def assert_each_once(ports: MemoryPorts, sid: OperationSid, sids: Sequence[InstanceSid]) -> None:
    """Assert that each instance was canceled, audited and counted once."""
    after = stored(ports, sid)
    assert (after.status, after.counts) == (BulkStatus.COMPLETED, Counts(changed=len(sids)))
    audited = [entry.target for entry in ports.instances.audit if entry.command == "cancel"]
    assert sorted(audited) == list(sids)
    assert statuses(ports, sids) == {"CANCELED"}


class TestReleases:
    """The instances of a batch of a release job are released at once, too."""

    def blocked(self, count: int) -> tuple[MemoryPorts, Store, list[InstanceSid]]:
        store = Store()
        ports = release_worlds.a_world(store)
        sids = release_worlds.blocked(ports, count)
        resume_queue(ports, ACCOUNT, by=ANN)
        return ports, store, sids

    def test_all_are_released_once_whatever_the_order(self) -> None:
        ports, _, sids = self.blocked(30)

        assert run_bulk(ports, release_worlds.OURS, workers=Backwards()).done == 30

        assert sorted(ports.wakeups.invoked) == sids

    def test_a_slow_pace_releases_one_instance_at_a_time(self) -> None:
        ports, _, _ = self.blocked(3)
        began = ports.clock.at

        assert run_bulk(ports, release_worlds.OURS, pace=Pace(per_second=1)).done == 3

        assert ports.clock.at - began == timedelta(seconds=3 * 16)

    def test_without_a_limit_nothing_waits(self) -> None:
        ports, _, _ = self.blocked(150)
        began = ports.clock.at

        assert run_bulk(ports, release_worlds.OURS, pace=Pace(per_second=0)).done == 150

        assert ports.clock.at == began

    def test_an_unavailable_store_ends_the_invocation_and_begins_no_further_instance(self) -> None:
        ports, store, sids = self.blocked(10)
        store.before = refuses(sids[3])

        with pytest.raises(OverloadedError):
            run_bulk(ports, release_worlds.OURS)

        assert release_worlds.blocked_sids(ports) == set(sids[3:])
        ports.clock.at += IN_HAND
        assert run_bulk(ports, release_worlds.OURS).done == 7

    def test_an_error_that_is_no_instances_own_is_raised_when_all_have_ended(self) -> None:
        ports, store, sids = self.blocked(10)
        store.before = breaks(sids[3])

        with pytest.raises(BrokenError):
            run_bulk(ports, release_worlds.OURS)

        assert release_worlds.blocked_sids(ports) == {sids[3]}
