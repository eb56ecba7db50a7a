"""Storms of faults over a gym or a depot, and the invariants that must hold after them."""

import random
from datetime import UTC, datetime, timedelta

from msgspec.structs import replace

from shared.domain.instance.event import EventStatus
from tests.simulation.laws import (
    assert_at_rest,
    assert_directives_applied_once,
    assert_effect_at_most_once,
    assert_effect_once,
    assert_every_cycle_accounted_for,
    assert_history_complete,
    assert_history_consistent,
    assert_no_unmarked_double,
    events_with_skipped,
    records_of,
)
from tests.simulation.operators import weather
from tests.simulation.stories import declined, gym_world, join, parcel_world, subscribe
from tests.simulation.watch import Watch
from tests.simulation.world import World

CALM = datetime(2026, 6, 20, 12, tzinfo=UTC)


def storm(
    seed: int, *, stall: float = 0.03, double_wakeup: float = 0.2, horizon: timedelta | None = None
) -> World:
    """Return a gym or a depot with many faults, under watch."""
    rng = random.Random(seed)
    faults = weather(rng, stall=stall, double_wakeup=double_wakeup)
    world = gym_world(faults, requestDelayTime=250) if seed % 2 else parcel_world(faults)
    world.strategy = replace(world.strategy, horizon=horizon)
    world.answers = declined(rng.randint(0, 2))
    Watch(world).install()
    (join if seed % 2 else subscribe)(world)
    return world


def assert_lawful(world: World) -> None:
    """Assert all invariants of a gym or a depot after the faults have ended."""
    assert_at_rest(world)
    assert_history_consistent(world)
    assert_history_complete(world)
    assert_no_unmarked_double(world)
    assert_every_cycle_accounted_for(world)
    for path in ("/charges", "/reservations", "/packages", "/surveys"):
        assert_effect_at_most_once(world, path)
    if world.strategy.name == "parcels":
        assert_directives_applied_once(world)
    # A charge that an operator has skipped need not have been sent.
    skipped = events_with_skipped(world, "charge")
    done = [r for r in records_of(world, "charge-fee") if r.event.status is EventStatus.PROCESSED]
    assert_effect_once(world, "/charges", [record for record in done if record.event.seq not in skipped])
