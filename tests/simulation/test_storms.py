"""Everything at once: crashes, stalls, lost replies, bad doorbells, failing services, operators."""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from shared.application.control import control
from shared.application.flags import pause_queue, resume_queue
from shared.application.redriving import RetryEvent, retry_event
from shared.domain.commands import (
    Cancel,
    CancelEvent,
    CancelTasks,
    Command,
    Execute,
    Pause,
    Resolve,
    Resume,
    Update,
)
from shared.domain.decision import Actor
from shared.domain.event import EventKind, EventStatus, PausedFor, Resolution
from shared.domain.instance import HeldBy, InstanceStatus
from shared.domain.operation import drains
from shared.domain.strategy import OnResume
from tests.simulation.laws import (
    assert_at_rest,
    assert_books_agree,
    assert_effect_at_most_once,
    assert_effect_once,
    assert_every_cycle_accounted_for,
    assert_history_complete,
    assert_no_unmarked_double,
    assert_orders_applied_once,
    only_instance,
    records_of,
    valid_records,
)
from tests.simulation.stories import declined, gym_world, join, parcel_world, subscribe
from tests.simulation.watch import Watch
from tests.simulation.world import Faults, World

CALM = datetime(2026, 6, 20, 12, tzinfo=UTC)
ANN = Actor(name="ann")
WITHDRAWALS = 0.5
"""How often operators take something off instead of deciding what waits."""


def weather(rng: random.Random, *, stall: float = 0.03, double_bell: float = 0.2) -> Faults:
    """Bad for the first few hundred points."""
    return Faults(
        rng=rng,
        until=400,
        kill=0.02,
        stall=stall,
        lost_reply=0.03,
        lost_bell=0.1,
        double_bell=double_bell,
        late_bell=0.1,
        early_bell=0.1,
        service_error=0.05,
        service_silence=0.08,
    )


def storm(
    seed: int, *, stall: float = 0.03, double_bell: float = 0.2, horizon: timedelta | None = None
) -> World:
    """A gym or a depot in bad weather, under watch."""
    rng = random.Random(seed)
    faults = weather(rng, stall=stall, double_bell=double_bell)
    world = gym_world(faults, requestDelayTime=250) if seed % 2 else parcel_world(faults)
    world.strategy = replace(world.strategy, horizon=horizon)
    world.answers = declined(rng.randint(0, 2))
    Watch(world).install()
    (join if seed % 2 else subscribe)(world)
    return world


def assert_lawful(world: World) -> None:
    """Everything that must hold of a gym or a depot once the storm is over."""
    assert_at_rest(world)
    assert_books_agree(world)
    assert_history_complete(world)
    assert_no_unmarked_double(world)
    assert_every_cycle_accounted_for(world)
    for path in ("/charges", "/reservations", "/packages", "/surveys"):
        assert_effect_at_most_once(world, path)
    if world.strategy.name == "parcels":
        assert_orders_applied_once(world)
    done = [r for r in records_of(world, "charge-fee") if r.event.status is EventStatus.PROCESSED]
    assert_effect_once(world, "/charges", done)


class TestBadWeather:
    """No event is lost, no call is doubled without a mark, and everything comes to rest."""

    def test_the_books_are_right_in_the_end(self, seed: int) -> None:
        world = storm(seed)

        world.run_until(CALM)

        assert_lawful(world)

    def test_without_doorbells_the_sweeper_alone_is_enough(self, seed: int) -> None:
        world = storm(seed)
        world.doorbells = False

        world.run_until(CALM)

        assert_lawful(world)
        instance = only_instance(world)
        assert instance.status is not InstanceStatus.ACTIVE or instance.cycle > 3

    def test_with_a_horizon_the_sweeper_arms_what_comes_within_it(self, seed: int) -> None:
        world = storm(seed, horizon=timedelta(days=random.Random(seed).choice([1, 3, 10])))

        world.run_until(CALM)

        assert_lawful(world)

    def test_with_more_runners_than_anybody_asked_for(self, seed: int) -> None:
        world = storm(seed, double_bell=0.9, stall=0.15)
        for day in range(110):
            world.run_until(datetime(2026, 3, 1, tzinfo=UTC) + timedelta(days=day, hours=8))
            world.run(only_instance(world).sid)
            world.run(only_instance(world).sid)

        world.run_until(CALM)

        assert_lawful(world)


class TestOperatorsInBadWeather:
    """Whatever operators do meanwhile, nothing starts on what is stopped, and what is resumed goes on."""

    def test_commands_and_runners_interleave_into_sense(self, seed: int) -> None:
        world, rng = storm(seed, stall=0.1), random.Random(seed)
        at = world.now_at
        while at < datetime(2026, 6, 10, tzinfo=UTC):
            at += timedelta(hours=rng.choice([1, 5, 24, 100]), minutes=rng.randint(0, 59))
            _near_something(world, at, rng)
            _operate(world, rng)
        world.faults.until = 0
        _all_clear(world)
        world.run_until(CALM)

        assert_lawful(world)

    def test_a_canceled_instance_runs_nothing_but_its_win_back(self, seed: int) -> None:
        world, rng = storm(seed), random.Random(seed)
        world.run_until(
            datetime(2026, 3, rng.randint(1, 9), rng.choice([7, 8, 9]), 0, rng.randint(0, 3), tzinfo=UTC)
        )
        while only_instance(world).status is not InstanceStatus.CANCELED:  # one who gets no answer asks again
            _command(world, Cancel(by=ANN, kill=rng.random() < 0.3))
            world.run_until(world.now_at + timedelta(minutes=1))

        world.run_until(CALM)

        instance = only_instance(world)
        assert instance.status is InstanceStatus.CANCELED
        assert instance.events == ()
        (farewell,) = [r for r in valid_records(world) if r.event.kind is EventKind.ON_CANCEL]
        assert farewell.event.status in (EventStatus.PROCESSED, EventStatus.FAILED)
        assert_lawful(world)


def _near_something(world: World, at: datetime, rng: random.Random) -> None:
    """Let time pass to about ``at``, rather to the moment at which the next event is due."""
    main = only_instance(world).main_event
    if main is not None and world.now_at < main.due_at < at and rng.random() < 0.7:
        at = main.due_at + timedelta(milliseconds=rng.randint(0, 900))
    world.run_until(max(at, world.now_at))


def _operate(world: World, rng: random.Random) -> None:
    """One thing operators do."""
    match rng.randint(0, 7):
        case 0:
            _command(world, Pause(by=ANN, kill=rng.random() < 0.3))
        case 1 | 2:
            _command(world, Resume(by=ANN, on_late=rng.choice([None, *OnResume])))
        case 3:
            world.do("pause queue", lambda: pause_queue(world, world.strategy.account_id, by=ANN))
        case 4:
            world.flags.paused_strategies.add(world.strategy.sid)
        case 5:
            _flags_down(world)
        case 6 if rng.random() < WITHDRAWALS:
            _withdraw(world, rng)
        case 7:
            _redrive(world, rng)
        case _:
            _decide_what_waits(world, rng)


def _decide_what_waits(world: World, rng: random.Random) -> None:
    for event in only_instance(world).events:
        if event.paused_for is PausedFor.IN_DOUBT:
            _command(world, Resolve(seq=event.seq, resolution=rng.choice(list(Resolution)), by=ANN))
        elif event.status is EventStatus.PENDING and rng.random() < 0.1:
            _command(world, Execute(seq=event.seq, by=ANN))


def _redrive(world: World, rng: random.Random) -> None:
    """Some event that has failed, or whatever else, is to run again."""
    instance = only_instance(world)
    failed = [r.event.seq for r in valid_records(world) if r.event.status is EventStatus.FAILED]
    waiting = [event.seq for event in instance.events if event.has_begun]
    seq = rng.choice([*failed * 3, *waiting * 3, 1])
    world.do("retry", lambda: retry_event(world, RetryEvent(sid=instance.sid, seq=seq, by=ANN)))


def _withdraw(world: World, rng: random.Random) -> None:
    """One event canceled, or those of a task, or the plan given another end."""
    instance = only_instance(world)
    seqs = [event.seq for event in instance.events] or [1]
    tasks = tuple(rng.sample(sorted(world.strategy.definition.tasks), 2))
    end = rng.choice([None, world.now_at + timedelta(days=rng.randint(1, 200))])
    commands: list[Command] = [
        CancelEvent(seq=rng.choice(seqs), by=ANN),
        CancelTasks(tasks=tasks, by=ANN),
        Update(by=ANN, description=f"at {world.now_at}", sets_end_date=True, end_date=end),
    ]
    _command(world, rng.choice(commands))


def _command(world: World, command: Command) -> None:
    world.do(type(command).__name__, lambda: control(world, only_instance(world).sid, command))


def _flags_down(world: World) -> None:
    """Both flags cleared; each clearing begins the drains of what it held, in the same write."""
    account, sid = world.strategy.account_id, world.strategy.sid
    world.do("resume queue", lambda: resume_queue(world, account, by=ANN))
    world.flags.paused_strategies.clear()
    begun = drains(account, HeldBy.STRATEGY, sid, by=ANN, now=world.now_at)[:1]
    world.flags.access.operations.drains |= {drain.sid: drain for drain in begun}


def _all_clear(world: World) -> None:
    """Flags down, doubts decided, the instance resumed. One who gets no answer asks again."""
    world.rest()  # whatever was asked for last is done
    while world.flags.paused_queues or world.flags.paused_strategies:
        _flags_down(world)
        world.run_until(world.now_at + timedelta(minutes=1))
    world.run_until(world.now_at + timedelta(hours=1))
    for event in only_instance(world).events:
        if event.paused_for is PausedFor.IN_DOUBT:
            _command(world, Resolve(seq=event.seq, resolution=Resolution.RETRY, by=ANN))
    world.run_until(world.now_at + timedelta(hours=1))
    _command(world, Resume(by=ANN))
    world.run_until(world.now_at + timedelta(days=9))
    if only_instance(world).status is InstanceStatus.PAUSED:
        _command(world, Resume(by=ANN))
