"""Stores, KMS, Scheduler and Lambda that are overloaded or lost for an hour: nothing is poisoned, lost or unmarked."""

import random
from datetime import UTC, datetime, timedelta

import pytest

import shared.application.runner.loop
import shared.domain.lifecycle.takeover
from shared.application.flags import pause_queue, resume_queue
from shared.application.ports import OverloadedError
from shared.domain.instance.event import PausedFor
from shared.domain.instance.model import BlockedBy, Instance, InstanceStatus
from shared.domain.steps.call import ServiceRequest
from tests.simulation.faults import BrownOut, Faults
from tests.simulation.labels import PORTS
from tests.simulation.laws import (
    assert_at_rest,
    assert_effect_once,
    assert_history_complete,
    assert_history_consistent,
    assert_no_unmarked_double,
    only_instance,
    records_of,
)
from tests.simulation.operators import ANN
from tests.simulation.stage import KilledError
from tests.simulation.stories import declined, gym_world, join
from tests.simulation.test_crashes import POINTS
from tests.simulation.world import World

AFTER_TWO_CYCLES = datetime(2026, 4, 20, tzinfo=UTC)
STRIDE = 20
"""A brown-out begins at every twentieth point of the main job. The seed says which, so twenty seeds try them all."""

UNUSED_BY_THE_MAIN_JOB = {"writes of audit", "writes of operations", "requests to lambda"}


def watch_for_poison(instance: Instance) -> None:
    for event in instance.events:
        assert event.paused_for is not PausedFor.POISONED, "a brown-out counts as crashes"


def main_job(brown_out: BrownOut) -> World:
    """Run two cycles, with the first charge declined once, and a brown-out."""
    world = gym_world(Faults(rng=random.Random(1)))
    world.answers = declined(1)
    world.commit_watchers.append(watch_for_poison)
    join(world)
    world.brown_out = brown_out
    world.run_until(AFTER_TWO_CYCLES)
    return world


def before_the_charge() -> World:
    """Return a member a minute before the first charge."""
    world = gym_world(Faults(rng=random.Random(1)))
    world.answers = declined(0)
    join(world)
    world.run_until(datetime(2026, 3, 3, 7, 59, tzinfo=UTC))
    return world


def assert_all_ran(world: World) -> None:
    """Assert that everything ran once, without an attempt more than without a brown-out."""
    charges = records_of(world, "charge-fee")
    assert [record.event.status for record in charges] == ["PROCESSED", "PROCESSED"]
    assert [record.event.attempt for record in charges] == [2, 1]
    assert [record.event.status for record in records_of(world, "send-welcome")] == ["PROCESSED"]
    assert {record.event.status for record in records_of(world, "send-reminder")} == {"PROCESSED"}
    assert only_instance(world).status is InstanceStatus.ACTIVE
    assert_at_rest(world)
    assert_history_consistent(world)
    assert_history_complete(world)
    assert_no_unmarked_double(world)
    assert_effect_once(world, "/charges", charges)


class TestAnHourOfThrottling:
    """ "A brown-out of an hour ends with everything run, late." """

    @pytest.mark.parametrize("port", PORTS)
    def test_everything_runs_wherever_it_begins(self, port: str, seed: int) -> None:
        for point in range(1 + seed % STRIDE, POINTS + 1, STRIDE):
            brown_out = BrownOut(random.Random(seed), frozenset(PORTS[port]), from_point=point)
            try:
                assert_all_ran(main_job(brown_out))
            except AssertionError as error:
                raise AssertionError(f"{port}, from point {point}: {error}") from error

    @pytest.mark.parametrize("port", sorted({*PORTS} - UNUSED_BY_THE_MAIN_JOB))
    def test_the_main_job_meets_it(self, port: str) -> None:
        labels = frozenset(PORTS[port])
        outs = [BrownOut(random.Random(1), labels, from_point=point) for point in range(1, POINTS)]
        assert any(main_job(brown_out).failures_met for brown_out in outs)

    @pytest.mark.parametrize("spared", [0.1, 0.3, 0.6, 0.9])
    def test_everything_runs_if_some_requests_succeed(self, spared: float, seed: int) -> None:
        for point in range(1 + seed % STRIDE, POINTS + 1, STRIDE):
            brown_out = BrownOut(
                random.Random(seed), frozenset(PORTS["everything"]), from_point=point, spared=spared
            )
            try:
                assert_all_ran(main_job(brown_out))
            except AssertionError as error:
                raise AssertionError(f"{spared} spared, from point {point}: {error}") from error

    def test_without_giving_back_it_is_poisoned(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Flags are read before a crashed runner's claim is taken over, so without them no crash is counted."""

        def refused(*_args: object, **_named: object) -> None:
            raise OverloadedError

        monkeypatch.setattr(shared.application.runner.loop, "give_back", refused)

        world = before_the_charge()
        world.commit_watchers.append(watch_for_poison)
        world.brown_out = BrownOut(random.Random(1), frozenset(PORTS["writes of events"]))
        with pytest.raises(AssertionError, match="counts as crashes"):
            world.run_until(AFTER_TWO_CYCLES)


class TestAnHourAfterTheQueueIsResumed:
    """An instance that the queue had blocked is released and run, whatever is unavailable for an hour."""

    @staticmethod
    def resumed(port: str, point: int) -> World:
        world = before_the_charge()
        world.commit_watchers.append(watch_for_poison)
        pause_queue(world, world.strategy.account_id, by=ANN)
        world.run_until(datetime(2026, 3, 4, tzinfo=UTC))
        assert only_instance(world).blocked_by is BlockedBy.QUEUE
        first = world.faults.points + point
        world.brown_out = BrownOut(random.Random(1), frozenset(PORTS[port]), from_point=first)
        resume_queue(world, world.strategy.account_id, by=ANN)
        world.run_until(AFTER_TWO_CYCLES)
        return world

    @pytest.mark.parametrize("port", sorted({*PORTS} - {"writes of audit", "reads of events"}))
    def test_the_charge_is_made(self, port: str) -> None:
        failures = 0
        for first in range(40):
            world = self.resumed(port, first)
            charges = records_of(world, "charge-fee")
            assert [record.event.status for record in charges] == ["PROCESSED", "PROCESSED"], first
            assert [record.event.attempt for record in charges] == [1, 1]
            assert_at_rest(world)
            assert_no_unmarked_double(world)
            assert_effect_once(world, "/charges", charges)
            failures += world.failures_met
        assert failures > 0, f"the story does not use {port}"


class TestAnHourWithoutAudit:
    """An engine's pause is stored with its audit entry, so it waits for the audit table."""

    def test_used_up_attempts_pause_as_without_it(self) -> None:
        world = before_the_charge()
        world.answers = declined(9)
        world.commit_watchers.append(watch_for_poison)
        world.run_until(datetime(2026, 3, 7, 7, 59, tzinfo=UTC))
        labels = frozenset(PORTS["writes of audit"])
        world.brown_out = brown_out = BrownOut(random.Random(1), labels, lasts=timedelta(hours=1))
        world.run_until(datetime(2026, 3, 8, tzinfo=UTC))

        assert brown_out.failures > 0
        (charge,) = only_instance(world).events
        assert (charge.paused_for, charge.attempt, charge.run) == (PausedFor.EXHAUSTED, 4, 4)
        assert [(entry.command, entry.by) for entry in world.store.audit] == [("exhausted", "engine")]
        assert_no_unmarked_double(world)


class TestAnOverloadAfterTheClaim:
    """A runner that can write nothing for the rest of its time leaves a lease whose end counts no crash."""

    @staticmethod
    def repeatedly_cut_off() -> World:
        """Twelve times, all writes fail for forty minutes, from a claim on or from the first write of a takeover on."""
        world = before_the_charge()
        fences = {only_instance(world).fence}

        def cut(instance: Instance) -> None:
            watch_for_poison(instance)
            if instance.fence not in fences and len(fences) < 13:
                fences.add(instance.fence)
                labels = frozenset(PORTS["writes of instances"] | PORTS["writes of events"])
                lasts = timedelta(minutes=40)
                world.brown_out = BrownOut(random.Random(1), labels, lasts=lasts)

        world.commit_watchers.append(cut)
        world.run_until(AFTER_TWO_CYCLES)
        assert len(fences) == 13
        return world

    def test_nothing_is_poisoned(self) -> None:
        world = self.repeatedly_cut_off()
        assert [record.event.status for record in records_of(world, "charge-fee")] == ["PROCESSED"] * 2
        assert_no_unmarked_double(world)

    def test_without_the_window_it_is_poisoned(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(shared.domain.lifecycle.takeover, "CRASH_WINDOW", timedelta(days=1))

        with pytest.raises(AssertionError, match="counts as crashes"):
            self.repeatedly_cut_off()


class TestARealCrash:
    """An event that crashes every runner is still poisoned, also after a brown-out."""

    @pytest.mark.parametrize("port", ["writes of instances", "writes of events", "reads of flags"])
    def test_the_fifth_crash_poisons(self, port: str) -> None:
        world = before_the_charge()
        world.brown_out = BrownOut(random.Random(1), frozenset(PORTS[port]))
        crashes = []

        def crash(request: ServiceRequest) -> None:
            crashes.append(request.call_key)
            raise KilledError

        world.watchers.append(crash)
        world.run_until(datetime(2026, 3, 4, tzinfo=UTC))

        assert len(crashes) == 5
        assert [event.paused_for for event in only_instance(world).events] == [PausedFor.POISONED]
        assert only_instance(world).status is InstanceStatus.PAUSED
