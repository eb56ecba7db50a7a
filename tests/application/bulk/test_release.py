"""Freeing what a resumed flag has held, and the sweeper's part in it. Source: design section 3, item 3."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from dev.memory.stores import MemoryInstances
from dev.memory.world import ManualClock, MemoryPorts
from shared.application.bulk.dispatch import carry_on
from shared.application.bulk.release import LAG_SECONDS
from shared.application.flags import pause_queue, resume_queue
from shared.application.runner.loop import run_due_events
from shared.application.start import StartInstance, start_instance
from shared.application.sweep import ring_operations, sweep
from shared.domain.bulk.release import FREED_PER_SECOND, IN_HAND, QUIET, SAY_SO, ReleaseJob, release_jobs
from shared.domain.errors import StoredShapeError
from shared.domain.ids import AccountId, InstanceSid, OperationSid
from shared.domain.instance.due import SHARDS
from shared.domain.instance.model import BlockedBy, Instance
from shared.domain.instance.verdict import Actor
from shared.domain.steps.call import Answered, CallOutcome, ServiceRequest
from shared.domain.strategy.model import StrategyHead
from tests.simulation.stories import example

ANN = Actor(name="ann")
ACCOUNT = AccountId("a-1")
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
OURS = OperationSid("release-queue-a-1-0")
A_LIFE = timedelta(minutes=15)


class Shop:
    """Takes every order."""

    def call(self, request: ServiceRequest) -> CallOutcome:
        return Answered(status=201, body={"id": request.call_key})


@dataclass(slots=True)
class Marred(MemoryInstances):
    """A store of which some instances cannot be read any more."""

    broken: set[InstanceSid] = field(default_factory=set)

    def load(self, sid: InstanceSid) -> Instance | None:
        if sid in self.broken:
            raise StoredShapeError("is nothing that is known today")
        return MemoryInstances.load(self, sid)


@dataclass(slots=True)
class Lagging(MemoryInstances):
    """An index that goes on showing what it showed when it was asked first, for some more looks."""

    looks: int = 0
    shown: list[InstanceSid] = field(default_factory=list)

    def due(self, partition: str, *, until: datetime, limit: int) -> list[InstanceSid]:
        if self.looks == 0:
            return MemoryInstances.due(self, partition, until=until, limit=limit)
        self.looks -= 1
        self.shown = self.shown or MemoryInstances.due(self, partition, until=until, limit=limit)
        return self.shown


def a_world(instances: MemoryInstances | None = None) -> MemoryPorts:
    ports = MemoryPorts(caller=Shop(), clock=ManualClock(NOON), instances=instances or MemoryInstances())
    ports.strategies.add(example("water-filter-refill"))
    return ports


def blocked(ports: MemoryPorts, count: int) -> list[InstanceSid]:
    """So many instances whose due events the paused queue holds."""
    pause_queue(ports, ACCOUNT, by=ANN)
    (strategy,) = ports.strategies.strategies.values()
    asked = StartInstance(strategy_id=strategy.name, attributes={"customerId": "c"})
    sids = [start_instance(ports, strategy, asked).instance.sid for _ in range(count)]
    for sid in sids:
        run_due_events(ports, sid, job="j", time_left=lambda: A_LIFE)
    assert held(ports) == set(sids)
    ports.wakeups.invoked.clear()
    return sids


def held(ports: MemoryPorts) -> set[InstanceSid]:
    return {sid for sid, instance in ports.instances.instances.items() if instance.blocked_by is not None}


def progress(ports: MemoryPorts, *, lasts: timedelta = A_LIFE, sid: OperationSid = OURS) -> int:
    """One invocation of the bulk runner."""
    ends = ports.clock.at + lasts
    return carry_on(ports, sid, time_left=lambda: ends - ports.clock.at).done


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

        assert ring_operations(ports, limit=100) == SHARDS
        assert ring_operations(ports, limit=3) == 3
        assert set(ports.wakeups.operations) == set(ports.operations.release_jobs)


class TestADrain:
    """It frees everything, at its pace, and ends when its partition has stayed empty."""

    def test_everything_is_freed_and_rung_for(self) -> None:
        ports = a_world()
        sids = blocked(ports, 60)
        resume_queue(ports, ACCOUNT, by=ANN)

        assert progress(ports) == 60

        assert held(ports) == set()
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
        assert (ports.operations.release_jobs[OURS].freed, len(held(ports))) == (25, 35)
        assert progress(ports) == 35
        assert ports.operations.release_jobs[OURS].freed == 60

    def test_it_looks_again_every_minute_and_ends_after_ten_of_quiet(self) -> None:
        ports = a_world()
        resume = NOON + timedelta(seconds=1)
        blocked(ports, 0)
        ports.clock.at = resume
        resume_queue(ports, ACCOUNT, by=ANN)
        looks = 0
        while OURS in ports.operations.release_jobs:
            ports.clock.at = ports.operations.release_jobs[OURS].sweep_at
            progress(ports)
            looks += 1

        assert ports.clock.at == resume + QUIET
        assert looks == 11

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

        assert carry_on(ports, OURS, time_left=left).done == 200
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
        assert len(held(ports)) == 1

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

        assert carry_on(ports, OURS, time_left=left).done == 30
        assert ports.operations.release_jobs[OURS] == anew[0]


class TestWhatGoesWrong:
    """One instance that cannot be read, an index that lags: neither stops it."""

    def test_one_that_cannot_be_read_holds_up_none_of_the_others(self) -> None:
        instances = Marred()
        ports = a_world(instances)
        sids = blocked(ports, 60)
        instances.broken = {sids[0], sids[30]}
        resume_queue(ports, ACCOUNT, by=ANN)

        drained = carry_on(ports, OURS, time_left=lambda: A_LIFE - (ports.clock.at - NOON))

        assert drained.done == 58
        assert drained.failed == dict.fromkeys(
            (sids[0], sids[30]), "StoredShapeError: is nothing that is known today"
        )

    def test_an_index_that_still_shows_what_was_freed_is_waited_for(self) -> None:
        instances = Lagging()
        ports = a_world(instances)
        sids = blocked(ports, 3)
        resume_queue(ports, ACCOUNT, by=ANN)
        instances.looks = 3

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
        instances.looks, instances.shown = 1, [free]

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

        assert (swept.rung, list(swept.failed)) == (2, [sids[1]])
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
        assert sweep(ports, 0, limit=10).rung == 0
        ports.clock.at = far - timedelta(days=15)
        swept = sweep(ports, 0, limit=10)

        assert (swept.rung, swept.latest) == (1, timedelta())
        assert ports.wakeups.armed == {f"{sid}-1-1": (far, sid)}
        assert ports.wakeups.invoked == []
        assert sweep(ports, 0, limit=10).rung == 0


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
