"""Random strategies with many faults, and operators who give random commands."""

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from shared.application.migrate import migrate_instance
from shared.application.retry_event import RetryEvent, retry_event
from shared.application.start import StartInstance, start_instance
from shared.domain.ids import CorrelationId
from shared.domain.instance.event import EventStatus, PausedFor, Resolution
from shared.domain.instance.model import InstanceStatus
from shared.domain.lifecycle.commands import AddEvent, Cancel, Resolve, Resume
from shared.domain.steps.call import Answered, CallOutcome, ServiceRequest
from tests.simulation.chance import any_strategy
from tests.simulation.index import LaggingIndex
from tests.simulation.laws import (
    assert_at_rest,
    assert_directives_counted,
    assert_every_cycle_accounted_for,
    assert_history_complete,
    assert_history_consistent,
    assert_no_unmarked_double,
    is_idle,
    only_instance,
    valid_records,
)
from tests.simulation.operators import ANN, all_clear, command, near_something, operate, weather
from tests.simulation.sending import send_later
from tests.simulation.watch import OneKeyAtATime, Watch
from tests.simulation.world import World

BEGUN = datetime(2026, 3, 20, 9, tzinfo=UTC)
STORMY_UNTIL = datetime(2026, 4, 14, tzinfo=UTC)
CALM = datetime(2026, 5, 1, 12, tzinfo=UTC)
ANSWER_AFTER = [timedelta(minutes=minutes) for minutes in (0, 1, 30, 60, 61, 100, 400)]


@dataclass
class Anybody:
    """Services that decide at random, and answer asynchronous calls later or never.

    A definite answer is decided once for each key.
    """

    world: World
    rng: random.Random
    decided: dict[str, CallOutcome] = field(default_factory=dict)

    def __call__(self, request: ServiceRequest) -> CallOutcome:
        if request.call_key in self.decided:
            return self.decided[request.call_key]
        answer = self._decided(request)
        if answer.status not in (409, 500, 503):
            self.decided[request.call_key] = answer
        return answer

    def _decided(self, request: ServiceRequest) -> Answered:
        if self.rng.random() < 0.12:
            return Answered(status=self.rng.choice([402, 404, 409, 500, 503]), body={"why": "not now"})
        status = self.rng.choice(["CONFIRMED", "CONFIRMED", "DECLINED"])
        if not self._answers_later(request):
            return Answered(status=201, body={"id": f"x-{len(self.decided)}", "status": status})
        if self.rng.random() < 0.9:
            correlation = CorrelationId(request.headers["X-Correlation-Id"])
            send_later(self.world, correlation, {"status": status}, self.rng.choice(ANSWER_AFTER))
        return Answered(status=202, body={"status": "PENDING"})

    def _answers_later(self, request: ServiceRequest) -> bool:
        _, version, method = request.url.rsplit("/", 2)
        definition = self.world.versions[int(version)].definition
        return definition.services["anybody"].methods[method].answers_later


def a_story(seed: int) -> tuple[World, random.Random]:
    """Return a random strategy, its next version and an instance of it, under watch, and the generator."""
    rng = random.Random(seed)
    versions = {version: any_strategy(rng, version) for version in (1, 2)}
    world = World(
        strategy=versions[1],
        now_at=BEGUN - timedelta(minutes=15),
        faults=weather(rng, stall=0.08),
        versions=versions,
    )
    world.answers = Anybody(world=world, rng=rng)
    Watch(world).install()
    OneKeyAtATime(world).install()
    asked = StartInstance(
        strategy_id="anything", start_date=BEGUN, attributes={"n": 0.0, "zone": "Europe/Berlin"}
    )
    start_instance(world, world.strategy, asked)
    return world, random.Random(seed)


def assert_lawful(world: World) -> None:
    """Assert all invariants of any strategy after the faults have ended."""
    assert_at_rest(world)
    assert_history_consistent(world)
    assert_history_complete(world)
    assert_no_unmarked_double(world)
    assert_every_cycle_accounted_for(world)
    assert_directives_counted(world, "n")


class TestAnyStrategy:
    """A step is not sent under a second key before the first is settled, no directive is lost, all comes to rest."""

    def test_a_random_strategy_stays_right_with_helping_operators(self, seed: int) -> None:
        world, rng = a_story(seed)
        live_until(world, rng, CALM - timedelta(days=10))

        _rest_after(world, CALM)

        assert_lawful(world)

    def test_a_random_strategy_stays_right_under_random_commands(self, seed: int) -> None:
        world, rng = a_story(seed)
        at = world.now_at
        while at < STORMY_UNTIL:
            at += timedelta(hours=rng.choice([1, 5, 24, 100]), minutes=rng.randint(0, 59))
            near_something(world, at, rng)
            _meddle(world, rng)
        world.faults.until = 0
        all_clear(world)
        _rest_after(world, CALM)

        assert_lawful(world)


class TestAnyStrategyOnSlowMachines:
    """The same with requests and calls that take time, a lagging due index, and clocks that are wrong by minutes."""

    def test_a_random_strategy_stays_right(self, seed: int) -> None:
        world, rng = a_story(seed)
        world.faults.pace, world.faults.call_lasts = rng.choice([0.1, 1]), rng.choice([0, 3])
        world.faults.skew = timedelta(minutes=rng.choice([0, 1, 5]))
        world.index = LaggingIndex(rng, timedelta(seconds=rng.choice([1, 60])))
        world.show(only_instance(world))
        while world.now_at < STORMY_UNTIL:
            near_something(world, world.now_at + timedelta(hours=rng.choice([1, 5, 24, 100])), rng)
            for _ in range(rng.choice([1, 3])):
                _meddle(world, rng)
                world.run_until(world.now_at + timedelta(seconds=rng.choice([0, 0.5, 2])))
        world.faults.until = 0
        world.run_until(world.now_at + timedelta(hours=1))
        all_clear(world)
        _rest_after(world, CALM)

        assert_lawful(world)


def _rest_after(world: World, end: datetime) -> None:
    """Let time pass until ``end``, and until all runs have ended: an event may be due at ``end`` or soon after."""
    world.run_until(end)
    until = end + timedelta(days=1)
    while world.now_at < until and not (is_idle(world) and only_instance(world).lease is None):
        world.run_until(world.now_at + timedelta(minutes=1))


def live_until(world: World, rng: random.Random, end: datetime) -> None:
    """Let time pass, with operators who look now and then and help."""
    while world.now_at < end:
        world.run_until(world.now_at + timedelta(hours=rng.randint(1, 48)))
        _help(world)


def _help(world: World) -> None:
    """Retry calls in doubt, and resume the instance if it is paused."""
    instance = only_instance(world)
    for event in instance.events:
        if event.paused_for is PausedFor.IN_DOUBT:
            command(world, Resolve(seq=event.seq, resolution=Resolution.RETRY, by=ANN))
    if instance.status is InstanceStatus.PAUSED:
        command(world, Resume(by=ANN))


def _meddle(world: World, rng: random.Random) -> None:
    """Execute one random command, which seldom ends the instance."""
    match rng.randint(0, 99):
        case 0:
            command(world, Cancel(by=ANN, kill=rng.random() < 0.3))
        case 1 | 2:
            version = rng.choice([1, 2])
            sid = only_instance(world).sid
            world.ask("migrate", lambda: migrate_instance(world, sid, version, by=ANN, dry_run=False))
        case 3 | 4 | 5 | 6 | 7:
            command(world, AddEvent(task="extra", by=ANN))
        case number if number < 22:
            _redrive_from_a_step(world, rng)
        case _:
            operate(world, rng)


def _redrive_from_a_step(world: World, rng: random.Random) -> None:
    instance = only_instance(world)
    failed = [record.event for record in valid_records(world) if record.event.status is EventStatus.FAILED]
    events = [*failed, *(event for event in instance.events if event.has_begun)]
    if not events:
        return
    event = rng.choice(events)
    task = world.versions[event.claim.version or instance.strategy_version].definition.tasks[event.task]
    asked = RetryEvent(sid=instance.sid, seq=event.seq, by=ANN, from_step=rng.choice(sorted(task.steps)))
    world.ask("retry from a step", lambda: retry_event(world, asked))
