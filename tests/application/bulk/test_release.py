"""Freeing what a resumed flag has blocked_sids, and the sweeper's part in it. Source: design section 3, item 3."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from dev.memory.world import MemoryPorts
from shared.application.bulk.dispatch import run_operation
from shared.application.bulk.release import LAG_SECONDS
from shared.application.flags import pause_queue, resume_queue
from shared.application.start import StartInstance, start_instance
from shared.application.sweep import sweep, wake_operations
from shared.domain.bulk.release import FREED_PER_SECOND, IN_HAND, QUIET, SAY_SO, ReleaseJob, release_jobs
from shared.domain.ids import InstanceSid
from shared.domain.instance.due import SHARDS
from shared.domain.instance.model import BlockedBy
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
)


class TestResumingTheQueue:
    """The flag and its drains are stored together, and the drains are rung for."""

    def test_one_for_each_partition_is_begun(self) -> None:
        ports = a_world()
        blocked(ports, 1)

        resume_queue(ports, ACCOUNT, by=ANN)

        assert len(ports.operations.release_jobs) == SHARDS
        assert ports.wakeups.operations == list(ports.operations.release_jobs)

    def test_where_nobody_rings_the_sweeper_does(self) -> None:
        ports = a_world()
        blocked(ports, 1)
        resume_queue(ports, ACCOUNT, by=ANN)
        ports.wakeups.operations.clear()

        assert wake_operations(ports, limit=100) == SHARDS
        assert wake_operations(ports, limit=3) == 3
        assert set(ports.wakeups.operations) == set(ports.operations.release_jobs)


class TestADrain:
    """It frees everything, at its pace, and ends when its partition has stayed empty."""

    def test_everything_is_freed_and_rung_for(self) -> None:
        ports = a_world()
        sids = blocked(ports, 60)
        resume_queue(ports, ACCOUNT, by=ANN)

        assert progress(ports) == 60

        assert blocked_sids(ports) == set()
        assert sorted(ports.wakeups.invoked) == sorted(sids)

    def test_it_keeps_to_its_pace(self) -> None:
        ports = a_world()
        blocked(ports, 50)
        resume_queue(ports, ACCOUNT, by=ANN)

        progress(ports)

        assert ports.clock.at - NOON == timedelta(seconds=50 * SHARDS / FREED_PER_SECOND)

    def test_out_of_time_it_hands_over_to_a_fresh_invocation(self) -> None:
        ports = a_world()
        blocked(ports, 60)
        resume_queue(ports, ACCOUNT, by=ANN)
        ports.wakeups.operations.clear()

        assert progress(ports, lasts=timedelta(seconds=21)) == 25

        assert ports.wakeups.operations == [OURS]
        assert (ports.operations.release_jobs[OURS].freed, len(blocked_sids(ports))) == (25, 35)
        assert progress(ports) == 35
        assert ports.operations.release_jobs[OURS].freed == 60

    def test_it_stale_reads_again_every_minute_and_ends_after_ten_of_quiet(self) -> None:
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

    def test_one_parked_late_is_found_by_a_later_look(self) -> None:
        ports = a_world()
        (sid,) = blocked(ports, 1)
        instance = ports.instances.instances.pop(sid)
        resume_queue(ports, ACCOUNT, by=ANN)
        assert progress(ports) == 0

        ports.instances.instances[sid] = instance
        ports.clock.at += timedelta(minutes=1)

        assert progress(ports) == 1

    def test_a_long_turn_says_that_it_is_still_at_work(self) -> None:
        ports = a_world()
        blocked(ports, 200)
        resume_queue(ports, ACCOUNT, by=ANN)
        seen: list[timedelta] = []

        def left() -> timedelta:
            seen.append(ports.operations.release_jobs[OURS].sweep_at - ports.clock.at)
            ports.clock.at += timedelta(seconds=20)
            return A_LIFE

        assert run_operation(ports, OURS, time_left=left).done == 200
        assert min(seen) > timedelta(seconds=30)
        assert ports.operations.release_jobs[OURS].freed == 200
        assert timedelta(0) < SAY_SO < IN_HAND

    def test_before_it_is_due_again_it_is_left_alone(self) -> None:
        ports = a_world()
        blocked(ports, 1)
        resume_queue(ports, ACCOUNT, by=ANN)
        release_job = ports.operations.release_jobs[OURS]
        ports.operations.release_jobs[OURS] = replace(release_job, sweep_at=NOON + IN_HAND)

        assert progress(ports) == 0
        ports.clock.at += IN_HAND
        assert progress(ports) == 1

    def test_one_that_is_done_is_nothing_to_carry_on(self) -> None:
        assert progress(a_world()) == 0


class TestWhatStopsADrain:
    """The flag set again, or the drain started anew."""

    def test_a_queue_that_is_paused_again(self) -> None:
        ports = a_world()
        blocked(ports, 1)
        resume_queue(ports, ACCOUNT, by=ANN)
        pause_queue(ports, ACCOUNT, by=ANN)

        assert progress(ports) == 0

        assert OURS not in ports.operations.release_jobs
        assert len(blocked_sids(ports)) == 1

    def test_a_strategy_that_is_paused_again(self) -> None:
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

    def test_one_started_anew_meanwhile_goes_on_as_the_new_one(self) -> None:
        ports = a_world()
        blocked(ports, 30)
        resume_queue(ports, ACCOUNT, by=ANN)
        anew: list[ReleaseJob] = []

        def left() -> timedelta:
            if not anew:
                ports.clock.at += timedelta(seconds=1)
                anew.extend(release_jobs(ACCOUNT, BlockedBy.QUEUE, ACCOUNT, by=ANN, now=ports.clock.at)[:1])
                ports.operations.release_jobs[OURS] = anew[0]
            return A_LIFE

        assert run_operation(ports, OURS, time_left=left).done == 30
        assert ports.operations.release_jobs[OURS] == anew[0]


class TestWhatGoesWrong:
    """One instance that cannot be read, an index that lags: neither stops it."""

    def test_one_that_cannot_be_read_holds_up_none_of_the_others(self) -> None:
        instances = Marred()
        ports = a_world(instances)
        sids = blocked(ports, 60)
        instances.broken = {sids[0], sids[30]}
        resume_queue(ports, ACCOUNT, by=ANN)

        drained = run_operation(ports, OURS, time_left=lambda: A_LIFE - (ports.clock.at - NOON))

        assert drained.done == 58
        assert drained.failed == dict.fromkeys(
            (sids[0], sids[30]), "StoredShapeError: is nothing that is known today"
        )

    def test_an_index_that_still_shows_what_was_freed_is_waited_for(self) -> None:
        instances = Lagging()
        ports = a_world(instances)
        sids = blocked(ports, 3)
        resume_queue(ports, ACCOUNT, by=ANN)
        instances.stale_reads = 3

        assert progress(ports) == 3

        assert sorted(ports.wakeups.invoked) == sorted(sids)
        paced = 3 * SHARDS / FREED_PER_SECOND
        assert ports.clock.at - NOON == timedelta(seconds=paced + 2 * LAG_SECONDS)

    def test_an_index_that_shows_what_somebody_else_has_freed(self) -> None:
        instances = Lagging()
        ports = a_world(instances)
        (strategy,) = ports.strategies.strategies.values()
        asked = StartInstance(strategy_id=strategy.name, attributes={"customerId": "c"})
        free = start_instance(ports, strategy, asked).instance.sid
        pause_queue(ports, ACCOUNT, by=ANN)
        resume_queue(ports, ACCOUNT, by=ANN)
        ports.wakeups.invoked.clear()
        instances.stale_reads, instances.shown = 1, [free]

        assert progress(ports) == 0

        assert ports.wakeups.invoked == []


class TestTheSweeper:
    """What cannot be read is told, and keeps nobody from the rest; far plans are armed."""

    def test_one_that_cannot_be_read_is_told(self) -> None:
        instances = Marred()
        ports = a_world(instances)
        sids = started(ports, [NOON] * 3)
        instances.broken = {sids[1]}
        ports.wakeups.invoked.clear()
        ports.clock.at += timedelta(minutes=4)

        swept = sweep(ports, 0, limit=10)

        assert (swept.wakeups, list(swept.failed)) == (2, [sids[1]])
        assert ports.wakeups.invoked == [sids[0], sids[2]]
        assert swept.latest == timedelta(minutes=1)

    def test_a_plan_that_has_come_within_the_horizon_is_armed_not_rung_for(self) -> None:
        ports = a_world()
        (key,) = ports.strategies.strategies
        ports.strategies.strategies[key] = replace(
            ports.strategies.strategies[key], horizon=timedelta(days=20)
        )
        far = NOON + timedelta(days=100)
        (sid,) = started(ports, [far])
        assert (ports.wakeups.armed, ports.wakeups.invoked) == ({}, [])

        ports.clock.at = far - timedelta(days=21)
        assert sweep(ports, 0, limit=10).wakeups == 0
        ports.clock.at = far - timedelta(days=15)
        swept = sweep(ports, 0, limit=10)

        assert (swept.wakeups, swept.latest) == (1, timedelta())
        assert ports.wakeups.armed == {f"{sid}-1-1": (far, sid)}
        assert ports.wakeups.invoked == []
        assert sweep(ports, 0, limit=10).wakeups == 0


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
