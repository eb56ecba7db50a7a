"""The use cases of the step runner, step by step."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from dev.memory.stores import MemoryInstances, MemoryStrategies
from dev.memory.world import ManualClock, MemoryPorts, MemoryWakeups
from shared.application.commit import ContentionError, execute, schedule_wakeup
from shared.application.control import control
from shared.application.ports import Reservation, StaleRevError, UnknownStrategyError
from shared.application.runner.loop import run_due_events
from shared.application.start import StartInstance, start_instance
from shared.domain.ids import InstanceSid, StrategySid
from shared.domain.instance.due import GRACE
from shared.domain.instance.due_entries import DueEntry
from shared.domain.instance.event import EventStatus, PausedFor, Resolution
from shared.domain.instance.flags import Flags
from shared.domain.instance.journal import EventRecord
from shared.domain.instance.model import BlockedBy, Instance, InstanceStatus
from shared.domain.instance.verdict import Actor, Applied, AuditEntry
from shared.domain.lifecycle.commands import Pause, Resolve, Resume
from shared.domain.steps.call import Answered, CallOutcome, ServiceRequest, TimedOut
from shared.domain.strategy.flag import Flag
from shared.domain.strategy.model import Strategy
from tests.application.sweeps import swept
from tests.simulation.stories import example, parcels

ANN = Actor(name="ann")
START = datetime(2026, 1, 31, 10, tzinfo=UTC)
AN_HOUR = timedelta(hours=1)


STRATEGIES: dict[str, Callable[[], Strategy]] = {
    "water-filter-refill": lambda: example("water-filter-refill"),
    "on-hold": lambda: example("water-filter-refill", manualTrigger=True),
    "all-of-them": lambda: example("water-filter-refill", onResume="all"),
    "parcels": parcels,
}


@dataclass
class Service:
    """A service with prepared answers that keeps its requests. ``does`` runs during the next call."""

    ports: "MemoryPorts | None" = None
    requests: list[ServiceRequest] = field(default_factory=list)
    answers: list[CallOutcome] = field(default_factory=list)
    takes: timedelta = timedelta()
    does: Callable[[], object] | None = None

    def call(self, request: ServiceRequest) -> CallOutcome:
        self.requests.append(request)
        if self.does is not None:
            self.does()
        if self.ports is not None:
            self.ports.clock.at += self.takes
        return self.answers.pop(0) if self.answers else Answered(status=201, body={"id": "x"})


def a_world(name: str = "water-filter-refill", at: datetime = START) -> tuple[MemoryPorts, Service]:
    """Return an empty world with one strategy, and the service it calls."""
    service = Service()
    ports = MemoryPorts(caller=service, clock=ManualClock(at))
    service.ports = ports
    ports.strategies.add(STRATEGIES[name]())
    return ports, service


def started(ports: MemoryPorts, *, at: datetime = START, end: datetime | None = None) -> InstanceSid:
    """Start an instance of the only strategy."""
    (strategy,) = ports.strategies.strategies.values()
    requests = StartInstance(
        strategy_id=strategy.name,
        attributes={"customerId": "c-1", "shipped": 0.0},
        start_date=at,
        end_date=end,
    )
    return start_instance(ports, strategy, requests).instance.sid


def run(ports: MemoryPorts, sid: InstanceSid, *, seconds: float = 900, job: str = "job") -> int:
    """One invocation of the runner, with this long to live."""
    ends = ports.clock.at + timedelta(seconds=seconds)
    return run_due_events(ports, sid, job=job, time_left=lambda: ends - ports.clock.at)


@dataclass
class AtOnce(MemoryWakeups):
    """Wakeups whose runner comes before the next line of their sender."""

    comes: Callable[[], object] = lambda: None

    def invoke(self, sid: InstanceSid) -> None:
        super().invoke(sid)
        self.comes()


def stored(ports: MemoryPorts, sid: InstanceSid) -> Instance:
    instance = ports.instances.load(sid)
    assert instance is not None
    return instance


class TestStarting:
    """A new instance is stored with its first events, and its first wakeup is armed."""

    def test_a_start_in_the_future_arms_one_schedule(self) -> None:
        ports, _ = a_world(at=START - AN_HOUR)

        sid = started(ports)

        assert ports.wakeups.armed == {f"{sid}-1-1": (START, sid)}
        assert stored(ports, sid).rev == 1

    def test_a_start_now_wakes_a_runner_at_once(self) -> None:
        ports, _ = a_world()

        sid = started(ports)

        assert (ports.wakeups.armed, ports.wakeups.invoked) == ({}, [sid])

    def test_a_write_whose_reply_was_lost_counts(self) -> None:
        ports, _ = a_world()
        ports.instances = Forgetful(ports.instances)

        sid = started(ports)

        assert stored(ports, sid).rev == 1
        assert ports.wakeups.invoked == [sid]

    def test_a_sid_that_is_taken_by_another_instance_is_an_error(self) -> None:
        ports, _ = a_world()
        sid = started(ports)
        ports.ids.count = 0
        ports.clock.at += AN_HOUR

        with pytest.raises(StaleRevError):
            started(ports)

        assert stored(ports, sid).created_at == START


class TestARunner:
    """The runner runs due events and schedules the next wakeup. It may be invoked at any time."""

    def test_the_due_event_runs_and_the_next_cycle_is_scheduled(self) -> None:
        ports, service = a_world()
        sid = started(ports)

        assert run(ports, sid) == 1

        assert [request.body for request in service.requests] == [
            {"customerId": "c-1", "sku": "FLT-10", "cycle": 1}
        ]
        assert ports.wakeups.armed == {f"{sid}-2-1": (datetime(2026, 2, 28, 10, tzinfo=UTC), sid)}
        assert ports.instances.records[sid, 1].event.status is EventStatus.PROCESSED

    def test_an_unknown_instance_is_nothing_to_do(self) -> None:
        ports, _ = a_world()

        assert run(ports, InstanceSid("nobody")) == 0

    def test_an_earlier_wakeup_is_scheduled_again(self) -> None:
        ports, service = a_world(at=START - AN_HOUR)
        sid = started(ports)
        ports.wakeups.armed.clear()

        assert run(ports, sid) == 0

        assert service.requests == []
        assert ports.wakeups.armed == {f"{sid}-1-1": (START, sid)}

    def test_a_paused_instance_is_left_alone(self) -> None:
        ports, service = a_world()
        sid = started(ports)
        control(ports, sid, Pause(by=ANN))

        assert run(ports, sid) == 0

        assert service.requests == []

    def test_an_instance_paused_during_a_step_stops_before_the_next(self) -> None:
        ports, service = a_world("parcels")
        sid = started(ports)
        run(ports, sid)
        ports.clock.at += timedelta(hours=2)
        service.does = lambda: control(ports, sid, Pause(by=ANN))

        run(ports, sid)

        (event,) = [e for e in stored(ports, sid).events if e.task == "ship"]
        assert (event.status, event.paused_for) == (EventStatus.PAUSED, PausedFor.OPERATOR)
        assert [request.url.rpartition("/")[2] for request in service.requests] == [
            "reservations",
            "packages",
        ]
        service.does = None
        control(ports, sid, Resume(by=ANN))
        run(ports, sid)
        assert ports.instances.records[sid, event.seq].event.status is EventStatus.PROCESSED

    def test_an_end_date_that_has_come_completes_the_instance(self) -> None:
        ports, _ = a_world("on-hold")
        sid = started(ports, end=START + AN_HOUR)
        assert run(ports, sid) == 0
        assert stored(ports, sid).status is InstanceStatus.ACTIVE
        ports.clock.at += AN_HOUR

        assert swept(ports).wakeups == 1
        assert run(ports, sid) == 0

        assert stored(ports, sid).status is InstanceStatus.COMPLETED
        assert stored(ports, sid).events == ()

    def test_a_step_that_cannot_be_sent_fails_without_a_call(self) -> None:
        ports, service = a_world()
        (strategy,) = ports.strategies.strategies.values()
        (action,) = strategy.definition.actions.values()
        headers = {"X-Customer": "{{attributes.customerId}}\r\nX-Admin: yes"}
        actions = {action.key: replace(action, headers=headers)}
        tasks = {key: replace(task, retry_config=None) for key, task in strategy.definition.tasks.items()}
        once = replace(strategy.definition, actions=actions, tasks=tasks)
        ports.strategies.add(replace(strategy, definition=once))
        sid = started(ports)

        run(ports, sid)

        assert service.requests == []
        assert ports.instances.records[sid, 1].event.status is EventStatus.FAILED


class TestAFreshInvocation:
    """A step must fit into the rest of an invocation, else another invocation continues the event."""

    def test_another_invocation_continues_after_a_hundred_events(self) -> None:
        ports, service = a_world("all-of-them", at=START + timedelta(days=366 * 10))
        sid = started(ports)
        ports.wakeups.invoked.clear()

        assert run(ports, sid) == 100

        assert ports.wakeups.invoked == [sid]
        assert run(ports, sid) == 21
        assert len(service.requests) == 121

    def test_progress_wakes_another_invocation(self) -> None:
        ports, service = a_world("parcels")
        sid = started(ports)
        run(ports, sid)
        ports.clock.at += timedelta(hours=2)
        service.takes = timedelta(seconds=300)
        ports.wakeups.invoked.clear()

        assert run(ports, sid, seconds=380) == 1

        assert [request.url for request in service.requests] == [
            "https://depot.example.test/reservations",
            "https://depot.example.test/packages",
        ]
        assert ports.wakeups.invoked == [sid]
        assert stored(ports, sid).events[-2].status is EventStatus.QUEUED
        run(ports, sid)
        assert len(service.requests) == 4

    def test_without_progress_no_invocation_gets_a_wakeup(self) -> None:
        ports, service = a_world("parcels")
        sid = started(ports)
        ports.wakeups.invoked.clear()

        run(ports, sid, seconds=10)

        assert service.requests == []
        assert ports.wakeups.invoked == []
        assert stored(ports, sid).lease is None


class TestALongStep:
    """The lease is renewed before a step that might outlast it."""

    def test_a_long_step_renews_the_lease(self) -> None:
        ports, service = a_world("parcels")
        sid = started(ports)
        run(ports, sid)
        ports.clock.at += timedelta(hours=2)
        service.takes = timedelta(seconds=110)
        before = stored(ports, sid).rev

        run(ports, sid)

        assert [request.method for request in service.requests] == ["post", "post", "delete", "post"]
        # Claim, orders, renewal, conclusion; then the survey that was ordered: claim, conclusion.
        assert stored(ports, sid).rev == before + 6


class TestAPausedFlag:
    """Due events of a paused queue or strategy are blocked, and unblocked when the flag is cleared."""

    def test_a_paused_strategy_blocks_the_instance_without_a_call(self) -> None:
        ports, service = a_world()
        sid = started(ports)
        ports.strategies.paused_strategies.add(StrategySid("s-1"))

        assert run(ports, sid) == 0

        assert service.requests == []
        assert stored(ports, sid).blocked_by is BlockedBy.STRATEGY
        assert swept(ports).wakeups == 0

    def test_a_flag_cleared_while_blocking_unblocks_at_once(self) -> None:
        ports, service = a_world()
        sid = started(ports)
        ports.strategies = Once(ports.strategies)

        assert run(ports, sid) == 1

        assert len(service.requests) == 1
        assert stored(ports, sid).blocked_by is None


class TestTheSweeper:
    """The sweeper wakes a runner for overdue instances, with growing delays if no runner comes."""

    def test_an_overdue_instance_gets_wakeups_after_one_minute_then_two(self) -> None:
        ports, _ = a_world()
        sid = started(ports)
        ports.wakeups.invoked.clear()
        ports.clock.at += timedelta(seconds=180)

        wakeups = [swept(ports).wakeups]
        for seconds in (59, 1, 119, 1):
            ports.clock.at += timedelta(seconds=seconds)
            wakeups.append(swept(ports).wakeups)

        assert wakeups == [1, 0, 1, 0, 1]
        assert ports.wakeups.invoked == [sid] * 3

    @pytest.mark.parametrize("discarded", ["every invocation", "every schedule"])
    def test_discarded_invocations_come_back_through_the_due_index(self, discarded: str) -> None:
        """ "What is discarded" by the age of an invocation, or as a wakeup that cannot be delivered, is only late."""
        ahead = timedelta() if discarded == "every invocation" else AN_HOUR
        ports, service = a_world(at=START - ahead)
        sid = started(ports)
        ports.wakeups.invoked.clear()
        ports.wakeups.armed.clear()
        ports.clock.at = START + GRACE

        swept(ports)

        assert ports.wakeups.invoked == [sid]
        assert run(ports, sid) == 1
        assert len(service.requests) == 1

    def test_a_lagging_index_wakes_no_runner(self) -> None:
        ports, _ = a_world()
        sid = started(ports)
        ports.wakeups.invoked.clear()
        ports.instances = Lagging(ports.instances, [sid, InstanceSid("gone")])

        assert swept(ports).wakeups == 0

        assert ports.wakeups.invoked == []

    def test_a_sweep_that_loses_a_race_wakes_no_runner(self) -> None:
        ports, _ = a_world()
        started(ports)
        ports.wakeups.invoked.clear()
        ports.clock.at += AN_HOUR
        ports.instances = Contended(ports.instances)

        assert swept(ports).wakeups == 0


class TestACallInDoubt:
    """A method may leave a call in doubt to an operator."""

    def test_a_call_in_doubt_pauses_event_and_instance(self) -> None:
        ports, service = a_world("parcels")
        service.answers = [TimedOut(why="read timed out")]
        sid = started(ports)
        run(ports, sid)

        paused = stored(ports, sid)
        assert (paused.status, paused.events[-1].paused_for) == (InstanceStatus.PAUSED, PausedFor.IN_DOUBT)
        control(ports, sid, Resolve(seq=paused.events[-1].seq, resolution=Resolution.RETRY, by=ANN))
        run(ports, sid)

        assert stored(ports, sid).status is InstanceStatus.ACTIVE
        first, second = service.requests
        assert first.call_key == second.call_key


class TestCommands:
    """A command is decided on the stored instance until no other writer is faster."""

    def test_an_unknown_instance_is_none(self) -> None:
        ports, _ = a_world()

        assert control(ports, InstanceSid("nobody"), Pause(by=ANN)) is None

    def test_a_pause_wakes_no_runner(self) -> None:
        ports, _ = a_world(at=START - AN_HOUR)
        sid = started(ports)
        ports.wakeups.armed.clear()

        control(ports, sid, Pause(by=ANN))

        assert (ports.wakeups.armed, ports.wakeups.invoked) == ({}, [])

    def test_a_resume_wakes_a_runner_and_leaves_the_scheduler_to_it(self) -> None:
        ports, _ = a_world(at=START - AN_HOUR)
        sid = started(ports)
        control(ports, sid, Pause(by=ANN))
        ports.wakeups.armed.clear()

        control(ports, sid, Resume(by=ANN))

        assert (ports.wakeups.armed, ports.wakeups.invoked) == ({}, [sid])

    def test_a_write_whose_reply_was_lost_counts(self) -> None:
        ports, _ = a_world()
        sid = started(ports)
        ports.instances = Forgetful(ports.instances)

        verdict = control(ports, sid, Pause(by=ANN))

        assert isinstance(verdict, Applied)
        assert stored(ports, sid).rev == 2
        assert len(ports.instances.audit) == 1

    def test_a_runner_that_comes_at_once_finds_the_command_stored(self) -> None:
        ports, service = a_world()
        sid = started(ports)
        control(ports, sid, Pause(by=ANN))
        ports.wakeups = AtOnce(comes=lambda: run(ports, sid))

        control(ports, sid, Resume(by=ANN))

        assert len(service.requests) == 1

    def test_endless_races_end_with_an_error(self) -> None:
        ports, _ = a_world()
        sid = started(ports)
        ports.instances = Contended(ports.instances)

        with pytest.raises(ContentionError):
            execute(ports, sid, Pause(by=ANN))

    def test_a_sid_is_given_once(self) -> None:
        ports, _ = a_world()
        sid = started(ports)

        with pytest.raises(StaleRevError):
            ports.instances.create(stored(ports, sid))

    def test_an_unknown_strategy_is_an_error(self) -> None:
        with pytest.raises(UnknownStrategyError):
            MemoryStrategies().load(StrategySid("s-9"), 1)

    def test_an_instance_at_rest_schedules_no_wakeup(self) -> None:
        ports, _ = a_world()
        sid = started(ports)
        control(ports, sid, Pause(by=ANN))
        ports.wakeups.invoked.clear()

        schedule_wakeup(ports, stored(ports, sid))

        assert (ports.wakeups.armed, ports.wakeups.invoked) == ({}, [])


class Once(MemoryStrategies):
    """A store whose strategy is paused for one read."""

    def __init__(self, other: MemoryStrategies) -> None:
        super().__init__(strategies=other.strategies, access=other.access)
        self.looks = 0

    def flags(self, *_: object) -> Flags:
        self.looks += 1
        return Flags(strategy=Flag(is_paused=self.looks == 1))


class Shared(MemoryInstances):
    """A store with the contents of another one."""

    def __init__(self, other: MemoryInstances) -> None:
        super().__init__(
            instances=other.instances, journal=other.journal, records=other.records, audit=other.audit
        )


class Lagging(Shared):
    """A store whose index lists the given sids."""

    def __init__(self, other: MemoryInstances, sids: list[InstanceSid]) -> None:
        super().__init__(other)
        self.sids = sids

    def due(self, partition: str, *, until: datetime, limit: int) -> list[DueEntry[InstanceSid]]:
        assert until >= START, partition
        return [DueEntry(sid=sid, partition=partition, at=until) for sid in self.sids[:limit]]


class Contended(Shared):
    """A store in which another writer is always faster."""

    def commit(self, *_: object, **__: object) -> None:
        raise StaleRevError


class Forgetful(Shared):
    """A store that writes and then reports a lost race."""

    def create(
        self,
        instance: Instance,
        *,
        records: Sequence[EventRecord] = (),
        audit: AuditEntry | None = None,
        reservation: Reservation | None = None,
    ) -> None:
        super().create(instance, records=records, audit=audit, reservation=reservation)
        raise StaleRevError

    def commit(
        self,
        instance: Instance,
        *,
        records: Sequence[EventRecord] = (),
        audit: AuditEntry | None = None,
        reopened: EventRecord | None = None,
    ) -> None:
        super().commit(instance, records=records, audit=audit, reopened=reopened)
        raise StaleRevError
