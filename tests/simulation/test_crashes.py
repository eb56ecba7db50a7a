"""Crashes before or after every input and output of the main job, one or two of them."""

import random
from datetime import UTC, datetime
from itertools import combinations

import pytest

from tests.simulation.faults import Faults
from tests.simulation.laws import (
    assert_at_rest,
    assert_effect_once,
    assert_history_complete,
    assert_history_consistent,
    assert_no_unmarked_double,
    only_instance,
    records_of,
)
from tests.simulation.stories import declined, gym_world, join
from tests.simulation.world import World

AFTER_TWO_CYCLES = datetime(2026, 4, 20, tzinfo=UTC)
PAIRS_OF_A_SEED = 40


def the_main_job(kill_at: frozenset[int]) -> World:
    """Run two cycles, with the first charge declined once."""
    world = gym_world(Faults(rng=random.Random(1), kill_at=kill_at))
    world.answers = declined(1)
    join(world)
    world.run_until(AFTER_TWO_CYCLES)
    return world


def assert_done_right(world: World) -> None:
    charges = records_of(world, "charge-fee")
    assert [record.event.status for record in charges] == ["PROCESSED", "PROCESSED"]
    assert [record.event.attempt for record in charges] == [2, 1]
    assert [record.event.status for record in records_of(world, "send-reminder")] == ["PROCESSED"] * 2
    assert [record.event.status for record in records_of(world, "send-welcome")] == ["PROCESSED"]
    assert only_instance(world).plan.cycle == 3
    assert_at_rest(world)
    assert_history_consistent(world)
    assert_history_complete(world)
    assert_no_unmarked_double(world)
    assert_effect_once(world, "/charges", charges)


def points_of_the_main_job() -> int:
    world = the_main_job(frozenset())
    assert_done_right(world)
    return world.faults.points


POINTS = points_of_the_main_job()


class TestASingleCrash:
    """A crash at any point only delays."""

    @pytest.mark.parametrize("point", range(1, POINTS + 1))
    def test_the_main_job_is_right_despite_a_crash(self, point: int) -> None:
        assert_done_right(the_main_job(frozenset({point})))


class TestTwoCrashes:
    """Two crashes at any two points only delay."""

    def test_the_main_job_is_right_despite_two_crashes(self, seed: int) -> None:
        pairs = list(combinations(range(1, POINTS + 20), 2))
        for pair in random.Random(seed).sample(pairs, PAIRS_OF_A_SEED):
            world = the_main_job(frozenset(pair))
            try:
                assert_done_right(world)
            except AssertionError as error:
                raise AssertionError(f"crashes at {pair}: {error}") from error
