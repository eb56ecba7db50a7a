"""All faults together: crashes, stalls, lost replies, bad wakeups, failing services, and operators."""

import random
from datetime import UTC, datetime, timedelta

from shared.domain.instance.event import EventKind, EventStatus
from shared.domain.instance.model import InstanceStatus
from shared.domain.lifecycle.commands import Cancel
from tests.simulation.laws import (
    only_instance,
    valid_records,
)
from tests.simulation.operators import ANN, all_clear, command, near_something, operate
from tests.simulation.storms import CALM, assert_lawful, storm


class TestBadWeather:
    """No event is lost, no repeated call is unmarked, and everything comes to rest."""

    def test_the_history_is_right_after_a_storm(self, seed: int) -> None:
        world = storm(seed)

        world.run_until(CALM)

        assert_lawful(world)

    def test_the_sweeper_alone_is_enough_without_wakeups(self, seed: int) -> None:
        world = storm(seed)
        world.delivers_wakeups = False

        world.run_until(CALM)

        assert_lawful(world)
        instance = only_instance(world)
        assert instance.status is not InstanceStatus.ACTIVE or instance.plan.cycle > 3

    def test_the_sweeper_schedules_wakeups_within_the_horizon(self, seed: int) -> None:
        world = storm(seed, horizon=timedelta(days=random.Random(seed).choice([1, 3, 10])))

        world.run_until(CALM)

        assert_lawful(world)

    def test_extra_runners_do_no_harm(self, seed: int) -> None:
        world = storm(seed, double_wakeup=0.9, stall=0.15)
        for day in range(110):
            world.run_until(datetime(2026, 3, 1, tzinfo=UTC) + timedelta(days=day, hours=8))
            world.run(only_instance(world).sid)
            world.run(only_instance(world).sid)

        world.run_until(CALM)

        assert_lawful(world)


class TestOperatorsInBadWeather:
    """Whatever operators do, nothing starts on a stopped instance, and a resumed one continues."""

    def test_commands_and_runners_interleave_consistently(self, seed: int) -> None:
        world, rng = storm(seed, stall=0.1), random.Random(seed)
        at = world.now_at
        while at < datetime(2026, 6, 10, tzinfo=UTC):
            at += timedelta(hours=rng.choice([1, 5, 24, 100]), minutes=rng.randint(0, 59))
            near_something(world, at, rng)
            operate(world, rng)
        world.faults.until = 0
        all_clear(world)
        world.run_until(CALM)

        assert_lawful(world)

    def test_a_canceled_instance_runs_only_its_win_back(self, seed: int) -> None:
        world, rng = storm(seed), random.Random(seed)
        world.run_until(
            datetime(2026, 3, rng.randint(1, 9), rng.choice([7, 8, 9]), 0, rng.randint(0, 3), tzinfo=UTC)
        )
        while (
            only_instance(world).status is not InstanceStatus.CANCELED
        ):  # a command without an answer is repeated
            command(world, Cancel(by=ANN, kill=rng.random() < 0.3))
            world.run_until(world.now_at + timedelta(minutes=1))

        world.run_until(CALM)

        instance = only_instance(world)
        assert instance.status is InstanceStatus.CANCELED
        assert instance.events == ()
        (farewell,) = [r for r in valid_records(world) if r.event.kind is EventKind.ON_CANCEL]
        assert farewell.event.status in (EventStatus.PROCESSED, EventStatus.FAILED)
        assert_lawful(world)
