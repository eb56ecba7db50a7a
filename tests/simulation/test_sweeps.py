"""Sweeps of many shards without other wakeups: pages that are too small, time-outs, crashes, unreadable neighbours."""

import random
from datetime import timedelta

import pytest

import shared.application.sweep
from tests.simulation.faults import BrownOut, Faults
from tests.simulation.index import LaggingIndex
from tests.simulation.town import Town, after_nine, heal, town
from tests.simulation.town_laws import ShardWatch, assert_all_ordered, assert_town_lawful, most_sweeps

CRASHES = 0.002
MAX_SEEDS = 30
HEALTHY = 30
DAYS = 2
LABELS = ("due", "load", "load_strategy", "commit", "committed", "postpone", "postponed", "invoke")
WITHIN = timedelta(hours=2)
"""By then every order of a day has run, with crashes of runners and sweeps."""


def unwoken(seed: int, *, page: int | None = None, pace: float | None = None) -> tuple[Town, ShardWatch]:
    """Return a town whose orders only the sweeper can start, in sweeps that take longer than they may."""
    rng = random.Random(seed)
    faults = Faults(rng=rng, until=3000, kill=CRASHES, pace=pace or rng.choice([0.6, 1.2, 1.6]))
    there = town(faults, healthy=HEALTHY, ill=rng.choice([9, 18]), page=page or rng.choice([1, 2, 5]))
    world = there.world
    world.schedules.clear()
    world.delivers_wakeups, world.cuts_off = False, True
    if seed % 2:
        world.index = LaggingIndex(random.Random(seed), timedelta(minutes=rng.choice([0.05, 1, 3])))
        for instance in world.store.instances.values():
            world.show(instance)
    watch = ShardWatch(world)
    watch.install()
    return there, watch


class TestEveryShard:
    """ "What a sweep did not reach comes first in the next one." """

    def test_healthy_instances_run_whatever_their_neighbours_are(self, seed: int) -> None:
        there, watch = unwoken(seed)

        there.world.run_until(after_nine(DAYS, hours=8))

        assert watch.sweeps > DAYS
        assert_all_ordered(there, DAYS, within=WITHIN)
        assert_town_lawful(there, there.healthy)

    def test_an_instance_that_can_be_read_again_runs(self, seed: int) -> None:
        there, _ = unwoken(seed)
        there.world.run_until(after_nine(1, hours=5))
        heal(there)

        there.world.run_until(after_nine(1, hours=8))

        assert_town_lawful(there)

    def test_refused_requests_skip_no_shard(self, seed: int) -> None:
        there, watch = unwoken(seed)
        world = there.world
        rng = random.Random(seed)
        world.run_until(after_nine(1))
        labels = frozenset(rng.choices(LABELS, k=2))
        world.brown_out = BrownOut(rng, labels, lasts=timedelta(minutes=40), spared=rng.choice([0, 0.6]))

        world.run_until(after_nine(1, hours=8))

        assert watch.sweeps > 1
        assert_town_lawful(there, there.healthy)


class TestTheBound:
    """Within how many sweeps every shard is looked at."""

    @pytest.mark.parametrize(
        ("reach", "sweeps"), [(1, 16), (4, 16), (5, 4), (6, 3), (10, 3), (11, 2), (15, 2), (16, 1)]
    )
    def test_more_reach_needs_fewer_sweeps(self, reach: int, sweeps: int) -> None:
        assert most_sweeps(reach) == sweeps


def caught(*, page: int, pace: float) -> str:
    """Return the message of the first law that fails."""
    for seed in range(1, MAX_SEEDS + 1):
        there, _ = unwoken(seed, page=page, pace=pace)
        try:
            there.world.run_until(after_nine(1, hours=3))
            assert_all_ordered(there, 1, within=WITHIN)
        except AssertionError as error:
            return str(error)
    return ""


class TestARemovedGuardIsCaught:
    """Each rule of the sweep is removed once, and a law fails."""

    def test_sweeps_that_always_begin_with_the_same_shard_are_caught(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(shared.application.sweep, "sweep_order", lambda _: list(range(16)))

        assert "was not looked at" in caught(page=5, pace=1.6)

    def test_unreadable_entries_that_stay_first_are_caught(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(shared.application.sweep, "_postpone", lambda *_: {})

        assert "orders" in caught(page=1, pace=0.6)
