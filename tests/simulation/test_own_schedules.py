"""An instance's own schedule with crashes: three Fridays, of which one fails, then the window closes.

Source: docs/contracts/process.md C.5 and C.7; docs/decisions/0024.
"""

import random
from datetime import UTC, datetime

import pytest

from shared.application.history import last_outcome
from shared.application.start import StartInstance, start_instance
from shared.domain.calendar.instance_schedule import OwnSchedule
from shared.domain.steps.call import Answered, CallOutcome, ServiceRequest
from tests.factories import settings, step, strategy_from, task
from tests.simulation.faults import Faults
from tests.simulation.laws import (
    assert_at_rest,
    assert_effect_at_most_once,
    assert_effect_once,
    assert_every_cycle_accounted_for,
    assert_history_complete,
    assert_history_consistent,
    assert_no_unmarked_double,
    only_instance,
    records_of,
)
from tests.simulation.world import World

THURSDAY = datetime(2026, 2, 26, 18, tzinfo=UTC)
LAST_FRIDAY = datetime(2026, 3, 13, 9, tzinfo=UTC)
CLOSES = datetime(2026, 3, 18, 12, tzinfo=UTC)
AFTER = datetime(2026, 3, 19, tzinfo=UTC)
FRIDAYS = OwnSchedule(cron="0 0 9 ? * FRI", timezone="UTC", goes_on=True, retry_times=1)
PATH = "/things"


class Moody:
    """A service that declines every call of one Friday. A repeated key gets the first answer."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._given: dict[str, CallOutcome] = {}

    def __call__(self, request: ServiceRequest) -> CallOutcome:
        bad = datetime(2026, 3, 6, tzinfo=UTC) <= self._world.now_at < datetime(2026, 3, 12, tzinfo=UTC)
        answer = Answered(status=422 if bad else 201, body={"id": "1"})
        return self._given.setdefault(request.headers["Idempotency-Key"], answer)


def the_fridays(kill_at: frozenset[int]) -> World:
    """Run the window from its opening until it has closed."""
    waits = {"times": 3, "retryAfter": {"unit": "hours", "amount": 1}}
    strategy = strategy_from(
        settings(
            task("charge", step("pay"), retryConfig=waits, outputs={"paid": "{{stack.pay.response.id}}"})
        )
    )
    world = World(strategy=strategy, now_at=THURSDAY, faults=Faults(rng=random.Random(1), kill_at=kill_at))
    world.answers = Moody(world)
    asked = StartInstance(strategy_id="membership", attributes={}, end_date=CLOSES, schedule=FRIDAYS)
    start_instance(world, strategy, asked)
    world.run_until(CLOSES.replace(hour=11))
    assert_status(world, "ACTIVE")
    world.run_until(AFTER)
    return world


def assert_status(world: World, status: str) -> None:
    """Assert the status of the instance, and the outputs of its last run."""
    instance = only_instance(world)
    last = last_outcome(world, instance)
    assert instance.status == status
    assert last is not None
    assert last.end is not None
    assert (last.event.first_due_at, last.end.outputs) == (LAST_FRIDAY, {"paid": "1"})


def assert_done_right(world: World) -> None:
    charges = records_of(world, "charge")
    assert [record.event.status for record in charges] == ["PROCESSED", "FAILED", "PROCESSED"]
    assert [record.event.first_due_at.day for record in charges] == [27, 6, 13]
    assert [record.event.attempt for record in charges] == [1, 2, 1]
    assert_status(world, "COMPLETED")
    assert_at_rest(world)
    assert_history_consistent(world)
    assert_every_cycle_accounted_for(world)
    assert_history_complete(world)
    assert_no_unmarked_double(world)
    assert_effect_at_most_once(world, PATH)
    assert_effect_once(world, PATH, [charges[0], charges[2]])


def points_of_the_fridays() -> int:
    world = the_fridays(frozenset())
    assert_done_right(world)
    return world.faults.points


POINTS = points_of_the_fridays()


class TestASingleCrash:
    """A crash at any point only delays, even at the end of the window."""

    @pytest.mark.parametrize("point", range(1, POINTS + 1))
    def test_every_friday_runs_despite_a_crash(self, point: int) -> None:
        assert_done_right(the_fridays(frozenset({point})))
