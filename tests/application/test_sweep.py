"""The sweep: operations first, shards in turns, within its time, whatever fails.

Source: docs/design.md section 3.2.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest
from msgspec.structs import replace

from dev.memory.stores import MemoryInstances, MemoryOperations, MemoryStrategies
from dev.memory.world import MemoryPorts
from shared.application.failures import Failure, Fault
from shared.application.flags import pause_queue, resume_queue
from shared.application.ports import KeyRefusedError, OverloadedError, SealBrokenError, UnknownStrategyError
from shared.application.sweep import BATCH, MAX_ENTRIES, OPERATIONS, RESERVE, sweep
from shared.application.workers import OneWorker
from shared.domain.errors import StoredShapeError
from shared.domain.ids import InstanceSid, OperationSid, StrategySid
from shared.domain.instance.due import GRACE, SHARDS
from shared.domain.instance.due_entries import DueEntry
from shared.domain.strategy.model import Strategy
from tests.application.bulk.bulk_worlds import ACCOUNT, NOON, Marred
from tests.application.bulk.release_worlds import ANN, a_world
from tests.application.bulk.test_release import started
from tests.application.sweeps import A_MINUTE, swept

OVERDUE = NOON + GRACE + A_MINUTE


def overdue(count: int, instances: MemoryInstances | None = None) -> tuple[MemoryPorts, list[InstanceSid]]:
    """Return a world with instances in one shard that have been due for a minute."""
    ports = a_world(instances)
    sids = started(ports, [NOON] * count)
    ports.wakeups.invoked.clear()
    ports.clock.at = OVERDUE
    return ports, sids


class NoVersions(MemoryStrategies):
    """Strategies whose versions cannot be read."""

    error: Exception

    def load(self, sid: StrategySid, version: int) -> Strategy:  # noqa: ARG002 - the port's parameters
        raise self.error


@dataclass(slots=True)
class Faulty(Marred):
    """A store that has further faults: ``bugs`` raise an error of ours, and ``shut`` partitions cannot be read."""

    bugs: set[InstanceSid] = field(default_factory=set)
    shut: set[str] = field(default_factory=set)
    is_overloaded: bool = False

    def load(self, sid: InstanceSid) -> object:  # type: ignore[override]
        if sid in self.bugs:
            raise ZeroDivisionError("a bug")
        return Marred.load(self, sid)

    def due(self, partition: str, *, until: datetime, limit: int) -> list[DueEntry[InstanceSid]]:
        if partition in self.shut:
            raise OverloadedError("ThrottlingException")
        return Marred.due(self, partition, until=until, limit=limit)

    def postpone(self, entry: DueEntry[InstanceSid], *, now: datetime) -> bool:
        if self.is_overloaded:
            raise OverloadedError("ThrottlingException")
        return Marred.postpone(self, entry, now=now)


class TestOperations:
    """Operations come first, and move on by a back-off like instances."""

    @staticmethod
    def resumed() -> MemoryPorts:
        ports, _ = overdue(1)
        pause_queue(ports, ACCOUNT, by=ANN)
        resume_queue(ports, ACCOUNT, by=ANN)
        ports.wakeups.operations.clear()
        return ports

    def test_operations_get_wakeups_before_any_shard_is_read(self) -> None:
        ports = self.resumed()

        first = next(sweep(ports, OneWorker(), time_left=lambda: A_MINUTE))

        assert first.operations == len(ports.wakeups.operations) == SHARDS
        assert ports.wakeups.invoked == []

    def test_an_operation_gets_a_wakeup_again_after_one_minute_then_two(self) -> None:
        ports = self.resumed()

        woken = [swept(ports).operations]
        for seconds in (59, 1, 119, 1):
            ports.clock.at += timedelta(seconds=seconds)
            woken.append(swept(ports).operations)

        assert woken == [SHARDS, 0, SHARDS, 0, SHARDS]

    def test_a_stored_operation_is_due_when_it_says(self) -> None:
        ports = self.resumed()
        swept(ports)
        sid, job = next(iter(ports.operations.release_jobs.items()))
        ports.operations.commit(replace(job, rev=job.rev + 1))

        ports.wakeups.operations.clear()
        swept(ports)

        assert ports.wakeups.operations == [sid]

    def test_operations_that_cannot_be_read_do_not_stop_the_shards(self) -> None:
        class Shut(MemoryOperations):
            def due(self, *, until: datetime, limit: int) -> list[DueEntry[OperationSid]]:
                raise OverloadedError(f"{until} {limit}")

        ports, sids = overdue(2)
        ports.access.operations = Shut()

        report = swept(ports)

        assert ports.wakeups.invoked == sids
        assert list(report.failed) == ["partition operations"]
        assert OPERATIONS not in report.waits

    def test_an_operation_that_another_sweep_has_moved_gets_no_wakeup(self) -> None:
        class Moved(MemoryOperations):
            def due(self, *, until: datetime, limit: int) -> list[DueEntry[OperationSid]]:
                found = MemoryOperations.due(self, until=until, limit=limit)
                return [replace(entry, at=entry.at - A_MINUTE) for entry in found]

        ports = self.resumed()
        ports.access.operations = Moved(release_jobs=ports.operations.release_jobs)

        assert swept(ports).operations == 0
        assert ports.wakeups.operations == []

    def test_the_longest_wait_of_operations_is_reported(self) -> None:
        ports = self.resumed()
        ports.clock.at += timedelta(minutes=7)

        assert swept(ports).waits[OPERATIONS] == timedelta(minutes=7)


class TestTime:
    """A sweep begins no wakeup when its time is up, and the next one continues."""

    @pytest.mark.parametrize(
        ("left", "wakeups"), [(RESERVE, 0), (RESERVE + timedelta(milliseconds=1), 3), (timedelta(), 0)]
    )
    def test_a_sweep_begins_no_wakeup_in_its_last_ten_seconds(self, left: timedelta, wakeups: int) -> None:
        ports, _ = overdue(3)

        report = swept(ports, time_left=lambda: left)

        assert (report.wakeups, report.backlog) == (wakeups, 3 - wakeups)

    def test_no_operation_gets_a_wakeup_in_the_last_ten_seconds(self) -> None:
        ports = TestOperations.resumed()

        reports = list(sweep(ports, OneWorker(), time_left=lambda: RESERVE))

        assert ports.wakeups.operations == []
        assert [report.backlog for report in reports] == [SHARDS, 1]

    def test_the_next_sweep_continues_where_the_last_one_stopped(self) -> None:
        ports, sids = overdue(5)
        times: Iterator[timedelta] = iter([A_MINUTE] * 3 + [timedelta()] * 9)

        first = swept(ports, time_left=lambda: next(times))
        second = swept(ports)

        assert (first.wakeups, first.backlog) == (2, 3)
        assert (second.wakeups, second.backlog) == (3, 0)
        assert ports.wakeups.invoked == sids

    def test_the_backlog_is_reported_before_and_after_each_batch(self) -> None:
        ports, _ = overdue(BATCH + 50)

        reports = list(sweep(ports, OneWorker(), time_left=lambda: A_MINUTE))

        assert [(report.backlog, report.wakeups) for report in reports] == [
            (0, 0), (BATCH + 50, 0), (50, BATCH), (0, 50),
        ]  # fmt: skip


class TestWaits:
    """The longest wait of each shard is known before anything is woken."""

    def test_the_wait_is_reported_with_the_shards(self) -> None:
        ports, _ = overdue(2)

        _, shards, *_ = sweep(ports, OneWorker(), time_left=lambda: A_MINUTE)

        assert shards.waits == {
            OPERATIONS: timedelta(),
            **{str(shard): timedelta() for shard in range(SHARDS)},
            "0": A_MINUTE,
        }

    def test_an_instance_whose_runner_never_comes_waits_longer_and_longer(self) -> None:
        ports, _ = overdue(1)
        waits = []
        for _ in range(4):
            waits.append(swept(ports).waits["0"])
            ports.clock.at += timedelta(minutes=8)

        # An entry's back-off says when it is looked at, not since when it is late.
        assert waits == [timedelta(minutes=minutes) for minutes in (1, 9, 17, 25)]

    def test_an_unreadable_partition_has_no_wait_and_stops_no_other(self) -> None:
        ports, sids = overdue(2, Faulty(shut={"1", "far#0"}))

        report = swept(ports)

        assert "1" not in report.waits
        overloaded = Failure(fault=Fault.OTHER, why="OverloadedError: ThrottlingException")
        assert report.failed == {"partition 1": overloaded, "partition far#0": overloaded}
        assert ports.wakeups.invoked == sids

    def test_no_wait_is_reported_if_no_shard_can_be_read(self) -> None:
        ports, _ = overdue(2, Faulty(shut={str(shard) for shard in range(SHARDS)}))

        assert swept(ports).waits == {}


class TestFailures:
    """An entry that cannot be checked moves on by a back-off, whatever the reason, and stops no other."""

    @pytest.mark.parametrize("fault", ["broken", "bugs"])
    def test_an_entry_that_fails_moves_on_by_one_minute_then_two(self, fault: str) -> None:
        store = Faulty()
        ports, sids = overdue(3, store)
        getattr(store, fault).add(sids[1])

        failed = [list(swept(ports).failed)]
        for seconds in (59, 1, 119, 1):
            ports.clock.at += timedelta(seconds=seconds)
            failed.append(list(swept(ports).failed))

        assert failed == [[sids[1]], [], [sids[1]], [], [sids[1]]]

    def test_an_instance_that_is_readable_again_runs_and_starts_over(self) -> None:
        store = Faulty()
        ports, sids = overdue(1, store)
        store.broken.add(sids[0])
        swept(ports)
        store.broken.clear()

        ports.clock.at += A_MINUTE
        assert swept(ports).wakeups == 1
        ports.clock.at += A_MINUTE
        assert swept(ports).wakeups == 1

    def test_an_unknown_strategy_moves_the_entry_on(self) -> None:
        ports, sids = overdue(1)
        ports.strategies.strategies.clear()

        assert list(swept(ports).failed) == sids
        assert swept(ports).failed == {}

    @pytest.mark.parametrize(
        ("error", "fault"),
        [
            (StoredShapeError("schema 99"), Fault.UNKNOWN_SHAPE),
            (UnknownStrategyError("s-1 version 1"), Fault.MISSING_VERSION),
            (SealBrokenError("altered"), Fault.UNREADABLE_SETTINGS),
            (KeyRefusedError("KMS: DisabledException"), Fault.UNREADABLE_SETTINGS),
            (OverloadedError("KMS: ThrottlingException"), Fault.OTHER),
            (ValueError("a bug"), Fault.OTHER),
        ],
    )
    def test_a_failure_has_its_kind(self, error: Exception, fault: Fault) -> None:
        ports, sids = overdue(1)

        ports.strategies = NoVersions(access=ports.access)
        ports.strategies.error = error

        why = f"{type(error).__name__}: {error}"
        assert swept(ports).failed == {sids[0]: Failure(fault=fault, why=why)}

    def test_an_entry_that_cannot_be_moved_says_so_and_is_checked_again(self) -> None:
        store = Faulty(is_overloaded=True)
        ports, sids = overdue(2, store)
        store.broken.add(sids[0])

        for _ in range(2):
            failure = swept(ports).failed[sids[0]]
            assert failure.why == (
                "StoredShapeError: is nothing that is known today; "
                "not postponed: OverloadedError: ThrottlingException"
            )
        assert ports.wakeups.invoked == [sids[1]]

    @pytest.mark.parametrize(("unreadable", "sweeps_needed"), [(520, 1), (MAX_ENTRIES, 2)])
    def test_unreadable_instances_do_not_keep_a_healthy_one_from_running(
        self, unreadable: int, sweeps_needed: int
    ) -> None:
        store = Faulty()
        ports, sids = overdue(unreadable, store)
        store.broken = set(sids)
        (healthy,) = started(ports, [NOON + timedelta(seconds=30)])
        ports.wakeups.invoked.clear()

        sweeps = 0
        while healthy not in ports.wakeups.invoked:
            sweeps += 1
            swept(ports)
            ports.clock.at += A_MINUTE

        assert sweeps == sweeps_needed

    def test_an_instance_without_a_wakeup_does_not_fill_the_window(self) -> None:
        # Their runners never come.
        ports, sids = overdue(520)
        times: Iterator[timedelta] = iter([A_MINUTE] * 401 + [timedelta()] * 999)

        swept(ports, time_left=lambda: next(times))
        ports.clock.at += A_MINUTE
        swept(ports)

        assert ports.wakeups.invoked[:520] == sids
