"""Releasing the instances that a resumed flag had blocked, and the sweeper's part in it.

Source: docs/design.md section 3.3.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from dev.memory.stores import MemoryInstances
from dev.memory.world import MemoryPorts
from shared.application.bulk.progress import RESERVE
from shared.application.bulk.release import LAG_SECONDS
from shared.application.failures import Fault
from shared.application.flags import pause_queue, resume_queue
from shared.application.ports import StaleRevError
from shared.application.start import StartInstance, start_instance
from shared.domain.bulk.pace import PER_SECOND
from shared.domain.bulk.release import IN_HAND, MAX_PAUSE, QUIET, SAY_SO, ReleaseJob, release_jobs
from shared.domain.ids import InstanceSid
from shared.domain.instance.due import SHARDS
from shared.domain.instance.due_entries import DueEntry
from shared.domain.instance.model import BlockedBy, Instance
from shared.domain.strategy.model import StrategyHead
from tests.application.bulk.bulk_worlds import A_LIFE, ACCOUNT, NOON, Marred
from tests.application.bulk.release_worlds import (
    ANN,
    OURS,
    Lagging,
    a_world,
    blocked,
    blocked_sids,
    progress,
    run_when_due,
)
from tests.application.sweeps import swept
from tests.bulk_runs import run_bulk


class NeverStored(MemoryInstances):
    """A store in which another writer is always faster."""

    def commit(self, instance: Instance, **_beside: Any) -> None:
        raise StaleRevError(instance.sid)


class TestResumingTheQueue:
    """The flag and its release jobs are stored together, and the bulk runner is woken for each job."""

    def test_resuming_begins_one_release_job_for_each_partition(self) -> None:
        ports = a_world()
        blocked(ports, 1)

        resume_queue(ports, ACCOUNT, by=ANN)

        assert len(ports.operations.release_jobs) == SHARDS
        assert ports.wakeups.operations == list(ports.operations.release_jobs)

    def test_the_sweeper_wakes_jobs_whose_wakeup_was_lost(self) -> None:
        ports = a_world()
        blocked(ports, 1)
        resume_queue(ports, ACCOUNT, by=ANN)
        ports.wakeups.operations.clear()

        assert swept(ports).operations == SHARDS
        assert set(ports.wakeups.operations) == set(ports.operations.release_jobs)


class TestADrain:
    """A release job releases all instances at a fixed rate, and ends when its partition has stayed empty."""

    def test_all_blocked_instances_are_released_and_run(self) -> None:
        ports = a_world()
        sids = blocked(ports, 60)
        resume_queue(ports, ACCOUNT, by=ANN)

        assert progress(ports) == 60

        assert blocked_sids(ports) == set()
        assert sorted(ports.wakeups.invoked) == sorted(sids)

    def test_instances_are_released_at_a_fixed_rate(self) -> None:
        ports = a_world()
        blocked(ports, 50)
        resume_queue(ports, ACCOUNT, by=ANN)

        progress(ports)

        assert ports.clock.at - NOON == timedelta(seconds=50 * SHARDS / PER_SECOND)

    def test_a_job_out_of_time_continues_in_another_invocation(self) -> None:
        ports = a_world()
        blocked(ports, 60)
        resume_queue(ports, ACCOUNT, by=ANN)
        ports.wakeups.operations.clear()

        assert progress(ports, lasts=timedelta(seconds=21)) == 25

        assert ports.wakeups.operations == [OURS]
        assert (ports.operations.release_jobs[OURS].freed, len(blocked_sids(ports))) == (25, 35)
        assert progress(ports) == 35
        assert ports.operations.release_jobs[OURS].freed == 60

    def test_a_job_reads_every_minute_and_ends_after_ten_empty_minutes(self) -> None:
        ports = a_world()
        resume = NOON + timedelta(seconds=1)
        blocked(ports, 0)
        ports.clock.at = resume
        resume_queue(ports, ACCOUNT, by=ANN)
        stale_reads = 0
        while OURS in ports.operations.release_jobs:
            ports.clock.at = ports.operations.release_jobs[OURS].sweep_at
            progress(ports)
            stale_reads += 1

        assert ports.clock.at == resume + QUIET
        assert stale_reads == 11

    def test_an_instance_blocked_late_is_released_by_a_later_read(self) -> None:
        ports = a_world()
        (sid,) = blocked(ports, 1)
        instance = ports.instances.instances.pop(sid)
        resume_queue(ports, ACCOUNT, by=ANN)
        assert progress(ports) == 0

        ports.instances.instances[sid] = instance
        ports.clock.at += timedelta(minutes=1)

        assert progress(ports) == 1

    def test_an_instance_blocked_again_is_released_within_a_minute(self) -> None:
        """A runner that read the flag before it was cleared crashed after it had blocked the instance again."""
        ports = a_world()
        (sid,) = blocked(ports, 1)
        instance = ports.instances.instances[sid]
        resume_queue(ports, ACCOUNT, by=ANN)
        reads = 0

        def left() -> timedelta:
            nonlocal reads
            reads += 1
            if reads == 2:
                assert blocked_sids(ports) == set()
                ports.instances.instances[sid] = replace(instance, rev=ports.instances.instances[sid].rev + 1)
            return NOON + A_LIFE - ports.clock.at

        assert run_bulk(ports, OURS, time_left=left).done == 2

        assert blocked_sids(ports) == set()
        assert ports.clock.at - NOON <= SAY_SO + timedelta(seconds=3)

    def test_a_long_invocation_extends_its_claim_on_the_job(self) -> None:
        ports = a_world()
        blocked(ports, 200)
        resume_queue(ports, ACCOUNT, by=ANN)
        seen: list[timedelta] = []

        def left() -> timedelta:
            seen.append(ports.operations.release_jobs[OURS].sweep_at - ports.clock.at)
            ports.clock.at += timedelta(seconds=20)
            return A_LIFE

        assert run_bulk(ports, OURS, time_left=left).done == 200
        assert min(seen) > timedelta(seconds=30)
        assert ports.operations.release_jobs[OURS].freed == 200
        assert timedelta(0) < SAY_SO < IN_HAND

    def test_a_job_that_is_not_due_is_left_alone(self) -> None:
        ports = a_world()
        blocked(ports, 1)
        resume_queue(ports, ACCOUNT, by=ANN)
        release_job = ports.operations.release_jobs[OURS]
        ports.operations.release_jobs[OURS] = replace(release_job, sweep_at=NOON + IN_HAND)

        assert progress(ports) == 0
        ports.clock.at += IN_HAND
        assert progress(ports) == 1

    def test_an_unknown_job_releases_nothing(self) -> None:
        assert progress(a_world()) == 0


class TestWhatStopsADrain:
    """A release job stops if the flag is set again or if the job was begun again."""

    def test_pausing_the_queue_again_removes_the_job(self) -> None:
        ports = a_world()
        blocked(ports, 1)
        resume_queue(ports, ACCOUNT, by=ANN)
        pause_queue(ports, ACCOUNT, by=ANN)

        assert progress(ports) == 0

        assert OURS not in ports.operations.release_jobs
        assert len(blocked_sids(ports)) == 1

    def test_pausing_the_strategy_again_removes_the_job(self) -> None:
        ports = a_world()
        (strategy,) = ports.strategies.strategies.values()
        head = StrategyHead(
            sid=strategy.sid,
            account_id=ACCOUNT,
            name=strategy.name,
            version=1,
            created_at=NOON,
            updated_at=NOON,
            is_paused=True,
        )
        ports.strategies.heads[head.sid] = head
        begun = release_jobs(ACCOUNT, BlockedBy.STRATEGY, head.sid, by=ANN, now=NOON)[0]
        ports.operations.release_jobs[begun.sid] = begun

        progress(ports, sid=begun.sid)
        assert begun.sid not in ports.operations.release_jobs

        ports.strategies.heads[head.sid] = replace(head, is_paused=False)
        ports.operations.release_jobs[begun.sid] = begun
        progress(ports, sid=begun.sid)
        assert begun.sid in ports.operations.release_jobs

    def test_pausing_the_queue_during_an_invocation_stops_it_within_a_minute(self) -> None:
        ports = a_world()
        sids = blocked(ports, 200)
        resume_queue(ports, ACCOUNT, by=ANN)
        ports.wakeups.operations.clear()

        def left() -> timedelta:
            if ports.clock.at > NOON:
                pause_queue(ports, ACCOUNT, by=ANN)
            ports.clock.at += timedelta(seconds=20)
            return A_LIFE

        released = run_bulk(ports, OURS, time_left=left).done

        assert released == 50  # two batches of 25, of which each took 21 seconds
        assert ports.wakeups.operations == [OURS]
        assert progress(ports) == 0
        assert OURS not in ports.operations.release_jobs
        assert len(blocked_sids(ports)) == len(sids) - released

    def test_a_job_begun_again_replaces_the_running_one(self) -> None:
        ports = a_world()
        blocked(ports, 30)
        resume_queue(ports, ACCOUNT, by=ANN)
        begun_again: list[ReleaseJob] = []

        def left() -> timedelta:
            if not begun_again:
                ports.clock.at += timedelta(seconds=1)
                begun_again.extend(
                    release_jobs(ACCOUNT, BlockedBy.QUEUE, ACCOUNT, by=ANN, now=ports.clock.at)[:1]
                )
                ports.operations.release_jobs[OURS] = begun_again[0]
            return A_LIFE

        assert run_bulk(ports, OURS, time_left=left).done == 30
        assert ports.operations.release_jobs[OURS] == begun_again[0]


class TestWhatGoesWrong:
    """An unreadable instance or a lagging index does not stop a release job."""

    def test_an_unreadable_instance_does_not_stop_the_others(self) -> None:
        instances = Marred()
        ports = a_world(instances)
        sids = blocked(ports, 60)
        instances.broken = {sids[0], sids[30]}
        resume_queue(ports, ACCOUNT, by=ANN)

        drained = run_bulk(ports, OURS, time_left=lambda: A_LIFE - (ports.clock.at - NOON))

        assert drained.done == 58
        assert drained.failed == dict.fromkeys(
            (sids[0], sids[30]), "StoredShapeError: is nothing that is known today"
        )

    def test_an_instance_is_released_once_it_can_be_read_again(self) -> None:
        """A release was taken back and deployed again after a day, and no sweep reads what is blocked."""
        instances = Marred()
        ports = a_world(instances)
        sids = blocked(ports, 3)
        instances.broken = {sids[1]}
        resume_queue(ports, ACCOUNT, by=ANN)
        run_when_due(ports, until=ports.clock.at + timedelta(days=1))
        assert blocked_sids(ports) == {sids[1]}

        instances.broken = set()
        run_when_due(ports, until=ports.clock.at + MAX_PAUSE)

        assert blocked_sids(ports) == set()
        assert ports.wakeups.invoked.count(sids[1]) == 1

    def test_the_job_ends_ten_minutes_after_the_last_release(self) -> None:
        instances = Marred()
        ports = a_world(instances)
        sids = blocked(ports, 1)
        instances.broken = set(sids)
        resume_queue(ports, ACCOUNT, by=ANN)
        run_when_due(ports, until=ports.clock.at + timedelta(hours=5))
        instances.broken = set()

        run_when_due(ports, until=ports.clock.at + timedelta(hours=2))

        assert OURS not in ports.operations.release_jobs

    def test_an_instance_that_stays_unreadable_is_tried_once_an_hour(self) -> None:
        instances = Marred()
        ports = a_world(instances)
        instances.broken = set(blocked(ports, 1))
        resume_queue(ports, ACCOUNT, by=ANN)
        first_day = run_when_due(ports, until=ports.clock.at + timedelta(days=1))

        second_day = run_when_due(ports, until=ports.clock.at + timedelta(days=1))

        # Each minute for ten minutes, then when it is due: after 15, 31 and 63 minutes, and then each hour.
        assert first_day == 11 + 3 + 22
        assert second_day == 24

    def test_many_unreadable_ones_do_not_keep_the_last_from_being_released(self) -> None:
        """More than an invocation can try stand before it in the partition."""
        instances = Marred()
        ports = a_world(instances)
        sids = blocked(ports, 40)
        instances.broken = set(sids[:39])
        resume_queue(ports, ACCOUNT, by=ANN)

        lasts = RESERVE + timedelta(seconds=1)
        for _ in range(4):
            progress(ports, lasts=lasts)

        assert blocked_sids(ports) == set(sids[:39])

    @pytest.mark.parametrize("minutes", [1, 5, 9])
    def test_what_a_late_runner_blocks_is_released_within_a_minute(self, minutes: int) -> None:
        """It had read the flag before it was cleared. An unreadable neighbour makes no difference."""
        instances = Marred()
        ports = a_world(instances)
        sids = blocked(ports, 2)
        before = instances.instances[sids[1]]
        instances.broken = {sids[0]}
        resume_queue(ports, ACCOUNT, by=ANN)
        run_when_due(ports, until=ports.clock.at + timedelta(minutes=minutes))
        released = instances.instances[sids[1]]
        assert released.blocked is None

        instances.instances[sids[1]] = replace(before, rev=released.rev + 1)
        run_when_due(ports, until=ports.clock.at + timedelta(minutes=1))

        assert blocked_sids(ports) == {sids[0]}

    def test_an_instance_that_keeps_changing_raises_no_alarm(self) -> None:
        ports = a_world()
        blocked(ports, 1)
        resume_queue(ports, ACCOUNT, by=ANN)
        ports.instances = NeverStored(instances=ports.instances.instances)

        drained = run_bulk(ports, OURS, time_left=lambda: A_LIFE - (ports.clock.at - NOON))

        assert len(drained.failed) == 1
        assert not drained.faults
        assert OURS in ports.operations.release_jobs

    def test_setting_the_flag_again_ends_the_job_of_an_unreadable_instance(self) -> None:
        instances = Marred()
        ports = a_world(instances)
        instances.broken = set(blocked(ports, 1))
        resume_queue(ports, ACCOUNT, by=ANN)
        run_when_due(ports, until=ports.clock.at + timedelta(hours=2))
        pause_queue(ports, ACCOUNT, by=ANN)

        run_when_due(ports, until=ports.clock.at + timedelta(hours=2))

        assert OURS not in ports.operations.release_jobs

    def test_failures_are_counted_by_their_kind(self) -> None:
        instances = Marred()
        ports = a_world(instances)
        sids = blocked(ports, 3)
        instances.broken = {sids[0], sids[2]}
        resume_queue(ports, ACCOUNT, by=ANN)

        drained = run_bulk(ports, OURS, time_left=lambda: A_LIFE - (ports.clock.at - NOON))

        assert drained.faults == {Fault.UNKNOWN_SHAPE: 2}

    def test_the_job_waits_for_an_index_that_lists_released_instances(self) -> None:
        instances = Lagging()
        ports = a_world(instances)
        sids = blocked(ports, 3)
        resume_queue(ports, ACCOUNT, by=ANN)
        instances.stale_reads = 3

        assert progress(ports) == 3

        assert sorted(ports.wakeups.invoked) == sorted(sids)
        paced = 3 * SHARDS / PER_SECOND
        assert ports.clock.at - NOON == timedelta(seconds=paced + 2 * LAG_SECONDS)

    def test_an_instance_released_by_another_writer_gets_no_wakeup(self) -> None:
        instances = Lagging()
        ports = a_world(instances)
        (strategy,) = ports.strategies.strategies.values()
        request = StartInstance(strategy_id=strategy.name, attributes={"customerId": "c"})
        free = start_instance(ports, strategy, request).instance.sid
        pause_queue(ports, ACCOUNT, by=ANN)
        resume_queue(ports, ACCOUNT, by=ANN)
        ports.wakeups.invoked.clear()
        instances.stale_reads = 1
        instances.shown = [DueEntry(sid=free, partition="blocked", at=ports.clock.at)]

        assert progress(ports) == 0

        assert ports.wakeups.invoked == []


class TestTheSweeper:
    """The sweeper reports unreadable instances, continues with the others, and schedules distant plans."""

    def test_an_unreadable_instance_is_reported(self) -> None:
        instances = Marred()
        ports = a_world(instances)
        sids = started(ports, [NOON] * 3)
        instances.broken = {sids[1]}
        ports.wakeups.invoked.clear()
        ports.clock.at += timedelta(minutes=4)

        report = swept(ports)

        assert (report.wakeups, list(report.failed)) == (2, [sids[1]])
        assert ports.wakeups.invoked == [sids[0], sids[2]]
        assert report.waits["0"] == timedelta(minutes=1)

    def test_a_plan_within_the_horizon_is_only_scheduled(self) -> None:
        ports = a_world()
        (key,) = ports.strategies.strategies
        ports.strategies.strategies[key] = replace(
            ports.strategies.strategies[key], horizon=timedelta(days=20)
        )
        far = NOON + timedelta(days=100)
        (sid,) = started(ports, [far])
        assert (ports.wakeups.armed, ports.wakeups.invoked) == ({}, [])

        ports.clock.at = far - timedelta(days=21)
        assert swept(ports).wakeups == 0
        ports.clock.at = far - timedelta(days=15)
        report = swept(ports)

        assert (report.wakeups, report.waits["0"]) == (1, timedelta())
        assert ports.wakeups.armed == {f"{sid}-1-1": (far, sid)}
        assert ports.wakeups.invoked == []
        assert swept(ports).wakeups == 0


def started(ports: MemoryPorts, dates: Sequence[datetime]) -> list[InstanceSid]:
    (strategy,) = ports.strategies.strategies.values()
    return [
        start_instance(
            ports,
            strategy,
            StartInstance(strategy_id=strategy.name, attributes={"customerId": "c"}, start_date=date),
        ).instance.sid
        for date in dates
    ]
