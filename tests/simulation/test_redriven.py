"""A failed event is retried, with crashes before or after every input and output.

A member's only charge has no answer although it took effect, and there are no retries: the event failed, and its
instance is canceled. An operator retries the event until the request is answered. Source: docs/decisions/0020.
"""

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache

import pytest
from msgspec.structs import replace

from shared.application.retry_event import RetryEvent, retry_event
from shared.application.start import StartInstance, start_instance
from shared.domain.ids import call_key, event_sid
from shared.domain.instance.event import EventStatus
from shared.domain.instance.journal import EventRecord
from shared.domain.instance.model import CancelReason, Instance, InstanceStatus
from shared.domain.instance.replay import chain
from shared.domain.instance.run import Intent
from shared.domain.instance.verdict import Actor, Applied, AuditEntry
from shared.domain.steps.call import Answered, CallOutcome, ServiceRequest, TimedOut
from shared.domain.strategy.model import Json
from tests.lifecycle_factories import strategy
from tests.simulation.faults import Faults
from tests.simulation.laws import (
    assert_at_rest,
    assert_effect_at_most_once,
    assert_every_cycle_accounted_for,
    assert_history_complete,
    assert_history_consistent,
    assert_no_unmarked_double,
    only_instance,
    records_of,
)
from tests.simulation.services import calls_to
from tests.simulation.watch import Life, Watch
from tests.simulation.world import World

START = datetime(2026, 2, 1, tzinfo=UTC)
ANN = Actor(name="ann")


def _action(key: str) -> Json:
    return {"key": key, "service": "shop", "method": key}


CHARGING: Json = {
    "services": [
        {
            "key": "shop",
            "baseUrls": [{"environment": "dev", "url": "https://shop.example.test"}],
            "methods": [
                {"key": key, "url": f"/{key}s", "method": "post"} for key in ("reserve", "charge", "receipt")
            ],
        }
    ],
    "actions": [_action(key) for key in ("reserve", "charge", "receipt")],
    "tasks": [
        {
            "key": "bill",
            "initialStep": "reserve",
            "steps": [
                {"key": "reserve", "action": "reserve", "nextStep": "charge"},
                {"key": "charge", "action": "charge", "nextStep": "receipt"},
                {"key": "receipt", "action": "receipt", "final": True},
            ],
        },
        {"key": "part", "initialStep": "bye", "steps": [{"key": "bye", "action": "receipt"}]},
    ],
}


class Shop:
    """A service that is silent at, or declines, the first charge. A repeated key gets the first answer."""

    def __init__(self, first: CallOutcome) -> None:
        self._first = first
        self._charges = 0

    def __call__(self, request: ServiceRequest) -> CallOutcome:
        if request.url.endswith("/charges"):
            self._charges += 1
            if self._charges == 1:
                return self._first
        return Answered(status=201, body={"id": "1"})


class Ledger(World):
    """A world in which a call without an answer has taken effect."""

    def call(self, request: ServiceRequest) -> CallOutcome:
        answer = super().call(request)
        if isinstance(answer, TimedOut):
            self.ledger[-1] = replace(self.ledger[-1], took_effect=True)
        return answer


def failed_world(first: CallOutcome, kill_at: frozenset[int] = frozenset()) -> World:
    """Return a world with a failed event and a canceled instance. Crashes are counted from here on."""
    faults = Faults(rng=random.Random(1))
    world = Ledger(strategy=strategy(parts=CHARGING), now_at=START, faults=faults)
    world.answers = Shop(first)
    start_instance(world, world.strategy, StartInstance(strategy_id="shop", attributes={}, start_date=START))
    world.run_until(START + timedelta(minutes=10))
    instance = only_instance(world)
    assert (instance.status, instance.cancel_reason) == (InstanceStatus.CANCELED, CancelReason.MAX_ATTEMPTS)
    assert [record.event.status for record in records_of(world, "bill")] == [EventStatus.FAILED]
    faults.points, faults.kill_at = 0, kill_at
    Watch(world, lives={instance.sid: Life(fence=instance.fence)}).install()
    return world


def redriven(
    first: CallOutcome, kill_at: frozenset[int] = frozenset(), from_step: str | None = None
) -> World:
    """Retry the event, repeating the request until it is answered."""
    world = failed_world(first, kill_at)
    asked = RetryEvent(sid=only_instance(world).sid, seq=1, by=ANN, from_step=from_step)
    answers: list[object] = []
    while not answers:
        world.do("retry", lambda: answers.append(retry_event(world, asked)))
        world.run_until(world.now_at + timedelta(seconds=1))
    world.run_until(START + timedelta(days=1))
    return world


def assert_done_right(world: World, *, charged_under: int) -> None:
    (record,) = records_of(world, "bill")
    assert (record.event.status, record.event.attempt, record.event.run) == (EventStatus.PROCESSED, 1, 2)
    instance = only_instance(world)
    assert (instance.status, instance.plan.cycle, instance.events) == (InstanceStatus.CANCELED, 1, ())
    assert_at_rest(world)
    assert_history_consistent(world)
    assert_history_complete(world)
    assert_no_unmarked_double(world)
    assert_every_cycle_accounted_for(world)
    keys = {sending.key for sending in calls_to(world.ledger, "/charges")}
    assert len(keys) == charged_under
    assert_effect_at_most_once(world, "/charges")
    assert_effect_at_most_once(world, "/reserves")
    assert_effect_at_most_once(world, "/receipts")
    event_history = world.store.event_history(instance.sid, 1)
    assert [entry.intent.step for entry in chain(event_history, 1)] == ["reserve", "charge"], (
        "the first run is on file"
    )


SILENT, DECLINED = TimedOut(why="read timed out"), Answered(status=402, body={})


@cache
def points_of_a_redrive() -> int:
    world = redriven(SILENT)
    assert_done_right(world, charged_under=1)
    return world.faults.points


class TestASingleCrash:
    """Wherever request or runner crashes, the charge is made once and the rest follows."""

    @pytest.mark.parametrize("point", range(1, points_of_a_redrive() + 1))
    def test_the_unanswered_charge_keeps_its_key(self, point: int) -> None:
        assert_done_right(redriven(SILENT, frozenset({point})), charged_under=1)

    @pytest.mark.parametrize("point", range(1, points_of_a_redrive() + 1))
    def test_the_declined_charge_gets_a_new_key(self, point: int) -> None:
        assert_done_right(redriven(DECLINED, frozenset({point})), charged_under=2)

    @pytest.mark.parametrize("point", range(1, points_of_a_redrive() + 1))
    def test_successful_steps_from_a_step_on_are_executed_again_once(self, point: int) -> None:
        world = redriven(DECLINED, frozenset({point}), from_step="reserve")

        (record,) = records_of(world, "bill")
        assert (record.event.status, record.event.run) == (EventStatus.PROCESSED, 2)
        sid = only_instance(world).sid
        reserved = {sending.key for sending in calls_to(world.ledger, "/reserves")}
        assert reserved == {call_key(event_sid(sid, 1), run=run, visit=1) for run in (1, 2)}
        assert_at_rest(world)
        assert_history_consistent(world)
        assert_history_complete(world)
        assert_no_unmarked_double(world)


class TestTwoCrashes:
    """Two crashes at any two points only delay."""

    def test_the_charge_is_made_once_despite_two_crashes(self, seed: int) -> None:
        rng = random.Random(seed)
        for _ in range(20):
            pair = frozenset(rng.sample(range(1, points_of_a_redrive() + 20), 2))
            assert_done_right(redriven(SILENT, pair), charged_under=1)


class TestAStaleRecord:
    """A late record of an earlier run does not end the new run."""

    @staticmethod
    def late_record_in_a_run(world: World) -> EventRecord:
        """Crash a runner in the new run, then store the record of the first run again."""
        (record,) = records_of(world, "bill")
        sid = only_instance(world).sid
        assert isinstance(retry_event(world, RetryEvent(sid=sid, seq=1, by=ANN)), Applied)
        runner = world.run(sid)
        while runner.at_point != "call":
            world.stage.run(runner)
        runner.doomed = True
        world.store.put_record(only_instance(world), record)
        return record

    def test_the_next_runner_completes_the_new_run(self) -> None:
        world = failed_world(SILENT)
        stale = self.late_record_in_a_run(world)
        claimed = only_instance(world).executing
        assert claimed is not None
        assert world.store.event_history(only_instance(world).sid, 1).record == stale

        world.run_until(START + timedelta(days=1))

        assert_done_right(world, charged_under=1)
        assert len(calls_to(world.ledger, "/reserves")) == 1


class TestTheGuards:
    """Each of these guards alone prevents a second charge."""

    def test_without_the_step_of_the_record_the_key_would_be_lost(self) -> None:
        world = failed_world(SILENT)

        def forgetful(
            instance: Instance,
            *,
            records: Sequence[EventRecord] = (),
            audit: AuditEntry | None = None,
            reopened: EventRecord | None = None,
        ) -> None:
            kept = None if reopened is None else replace(reopened, last=None)
            World.commit(world, instance, records=records, audit=audit, reopened=kept)

        world.commit = forgetful  # type: ignore[method-assign]
        retry_event(world, RetryEvent(sid=only_instance(world).sid, seq=1, by=ANN))
        world.run_until(START + timedelta(days=1))

        with pytest.raises(AssertionError):
            assert_done_right(world, charged_under=1)

    def test_the_new_run_repeats_only_unanswered_calls(self) -> None:
        world = redriven(SILENT)
        (record,) = records_of(world, "bill")

        assert isinstance(record.event.progress.first_action, Intent)
        assert (record.event.progress.first_action.step, record.event.progress.first_action.passed) == (
            "charge",
            ("reserve",),
        )
        assert record.event.progress.first_action.repeat
