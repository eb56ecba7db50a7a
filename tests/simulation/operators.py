"""Faults, and the commands that operators give during them."""

import random
from datetime import datetime, timedelta

from shared.application.control import control
from shared.application.flags import pause_queue, resume_queue
from shared.application.retry_event import RetryEvent, retry_event
from shared.domain.bulk.release import release_jobs
from shared.domain.instance.event import EventStatus, PausedFor, Resolution
from shared.domain.instance.model import BlockedBy, Instance, InstanceStatus
from shared.domain.instance.verdict import Actor
from shared.domain.lifecycle.commands import (
    CancelAt,
    CancelEvent,
    CancelTasks,
    Command,
    Execute,
    Pause,
    Reschedule,
    Resolve,
    Resume,
    RevokeCancellation,
    Skip,
    Update,
)
from shared.domain.strategy.model import OnResume
from tests.simulation.faults import Faults
from tests.simulation.laws import only_instance, valid_records
from tests.simulation.world import World

ANN = Actor(name="ann")
WITHDRAWALS = 0.5
"""How often operators cancel something instead of deciding about waiting events."""


def weather(rng: random.Random, *, stall: float = 0.03, double_wakeup: float = 0.2) -> Faults:
    """Return faults for the first few hundred points."""
    return Faults(
        rng=rng,
        until=400,
        kill=0.02,
        stall=stall,
        lost_reply=0.03,
        lost_any_reply=0.02,
        lost_wakeup=0.1,
        double_wakeup=double_wakeup,
        late_wakeup=0.1,
        early_wakeup=0.1,
        service_error=0.05,
        service_silence=0.08,
        service_refusal=0.06,
        service_garbling=0.06,
        gateway_error=0.04,
    )


def near_something(world: World, at: datetime, rng: random.Random) -> None:
    """Advance time to about ``at``, or to the next event if one is due before."""
    main = only_instance(world).main_event
    if main is not None and world.now_at < main.due_at < at and rng.random() < 0.7:
        at = main.due_at + timedelta(milliseconds=rng.randint(0, 900))
    world.run_until(max(at, world.now_at))


def operate(world: World, rng: random.Random) -> None:
    """Execute one random command of an operator."""
    match rng.randint(0, 8):
        case 0:
            command(world, Pause(by=ANN, kill=rng.random() < 0.3))
        case 1 | 2:
            command(world, Resume(by=ANN, on_late=rng.choice([None, *OnResume])))
        case 3:
            world.ask("pause queue", lambda: pause_queue(world, world.strategy.account_id, by=ANN))
        case 4:
            world.flags.paused_strategies.add(world.strategy.sid)
        case 5:
            _flags_down(world)
        case 6 if rng.random() < WITHDRAWALS:
            _withdraw(world, rng)
        case 7:
            _redrive(world, rng)
        case 8:
            _change_dates(world, rng)
        case _:
            _decide_what_waits(world, rng)


def _decide_what_waits(world: World, rng: random.Random) -> None:
    for event in only_instance(world).events:
        if event.paused_for is PausedFor.IN_DOUBT:
            command(world, Resolve(seq=event.seq, resolution=rng.choice(list(Resolution)), by=ANN))
        elif event.status is EventStatus.PENDING and rng.random() < 0.1:
            command(world, Execute(seq=event.seq, by=ANN))


def _redrive(world: World, rng: random.Random) -> None:
    """Retry a random event, preferably a failed one."""
    instance = only_instance(world)
    failed = [r.event.seq for r in valid_records(world) if r.event.status is EventStatus.FAILED]
    waiting = [event.seq for event in instance.events if event.has_begun]
    seq = rng.choice([*failed * 3, *waiting * 3, 1])
    world.ask("retry", lambda: retry_event(world, RetryEvent(sid=instance.sid, seq=seq, by=ANN)))


def _another_zone(instance: Instance) -> dict[str, str]:
    """Return a zone for a customer who has one."""
    # Nothing is drawn, so that the other commands of a seed stay the same.
    zones = ("Asia/Manila", "America/New_York", "Europe/Berlin")
    return {"zone": zones[instance.rev % len(zones)]} if "zone" in instance.attributes else {}


def _withdraw(world: World, rng: random.Random) -> None:
    """Cancel an event, cancel the events of a task, or change the end of the plan."""
    instance = only_instance(world)
    seqs = [event.seq for event in instance.events] or [1]
    tasks = tuple(rng.sample(sorted(world.strategy.definition.tasks), 2))
    end = rng.choice([None, world.now_at + timedelta(days=rng.randint(1, 200))])
    commands: list[Command] = [
        CancelEvent(seq=rng.choice(seqs), by=ANN),
        CancelTasks(tasks=tasks, by=ANN),
        Update(
            by=ANN,
            description=f"at {world.now_at}",
            attributes=_another_zone(instance),
            sets_end_date=True,
            end_date=end,
        ),
    ]
    command(world, rng.choice(commands))


def _change_dates(world: World, rng: random.Random) -> None:
    """Move or skip the next cycle, or let the status change at a date. A cancellation is mostly revoked."""
    days = rng.choice([1, 2, 10, 40])
    date = (world.now_at + timedelta(days=days, hours=rng.randint(0, 5))).replace(microsecond=0)
    match rng.randint(0, 5):
        case 0:
            command(world, Pause(by=ANN, sets_until=True, until=date))
        case 1:
            command(world, Reschedule(by=ANN, date=date, keep_anchor=rng.random() < 0.7))
        case 2:
            command(world, Skip(by=ANN, cycles=rng.choice([1, 1, 2])))
        case 3:
            command(world, CancelAt(by=ANN, at=rng.choice([date, None])))
        case _:
            command(world, RevokeCancellation(by=ANN))


def command(world: World, command: Command) -> None:
    world.ask(type(command).__name__, lambda: control(world, only_instance(world).sid, command))


def _flags_down(world: World) -> None:
    """Clear both flags. Each clearing begins its release jobs in the same write."""
    account, sid = world.strategy.account_id, world.strategy.sid
    world.ask("resume queue", lambda: resume_queue(world, account, by=ANN))
    world.flags.paused_strategies.clear()
    world.flags_cleared += 1
    begun = release_jobs(account, BlockedBy.STRATEGY, sid, by=ANN, now=world.now_at)[:1]
    world.operations.begin(begun)


def all_clear(world: World) -> None:
    """Clear the flags, resolve calls in doubt and resume the instance.

    A command without an answer is repeated.
    """
    world.rest()  # the last command is executed
    while world.flags.paused_queues or world.flags.paused_strategies:
        _flags_down(world)
        world.run_until(world.now_at + timedelta(minutes=1))
    world.run_until(world.now_at + timedelta(hours=1))
    for event in only_instance(world).events:
        if event.paused_for is PausedFor.IN_DOUBT:
            command(world, Resolve(seq=event.seq, resolution=Resolution.RETRY, by=ANN))
    world.run_until(world.now_at + timedelta(hours=1))
    command(world, Resume(by=ANN))
    world.run_until(world.now_at + timedelta(days=9))
    if only_instance(world).status is InstanceStatus.PAUSED:
        command(world, Resume(by=ANN))
