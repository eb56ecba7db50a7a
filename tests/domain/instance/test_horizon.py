"""Events beyond the horizon: the sweeper schedules their wakeups in time. Source: docs/design.md section 3.2."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from shared.domain.ids import InstanceSid
from shared.domain.instance.due import (
    GRACE,
    beyond_horizon,
    far_partition,
    partition,
    sweep_at,
    swept_partition,
)
from shared.domain.lifecycle.commands import Pause, RecordSweep, Resume
from tests.lifecycle_factories import ANN, Life, at, life, new, strategy

HORIZON = timedelta(days=20)
NOON = at("2026-01-31T12:00")


def planned(start: str) -> Life:
    """Return a life under a horizon of 20 days, created on 31 January."""
    return life(replace(strategy(), horizon=HORIZON), new(start))


class TestAFarPlan:
    """Its entry is in the far partition, at the horizon or up to a quarter of it later."""

    def test_a_far_event_is_scheduled_within_the_horizon(self) -> None:
        instance = planned("2026-06-01").instance

        assert instance.sweep.schedule_at is not None
        assert at("2026-06-01") - HORIZON <= instance.sweep.schedule_at <= at("2026-06-01") - HORIZON * 3 / 4
        assert sweep_at(instance) == instance.sweep.schedule_at
        assert partition(instance) == far_partition(instance.shard)

    def test_many_for_the_same_morning_are_spread(self) -> None:
        instance = planned("2026-06-01").instance
        sids = [InstanceSid(f"i-{number}") for number in range(200)]

        found = {beyond_horizon(replace(instance, sid=sid), HORIZON, now=NOON) for sid in sids}

        assert len(found) > 190

    def test_an_instance_always_has_the_same_time(self) -> None:
        assert (
            planned("2026-06-01").instance.sweep.schedule_at
            == planned("2026-06-01").instance.sweep.schedule_at
        )

    def test_a_pause_and_resume_keep_the_time(self) -> None:
        of = planned("2026-06-01")
        before = of.instance.sweep.schedule_at

        of.decide(Pause(by=ANN), NOON)
        assert of.instance.sweep.schedule_at is None
        assert sweep_at(of.instance) is None
        of.decide(Resume(by=ANN), NOON)

        assert of.instance.sweep.schedule_at == before


class TestANearPlan:
    """An event within the horizon, or without one, is scheduled at once."""

    @pytest.mark.parametrize("start", ["2026-02-20", "2026-01-31", "2026-02-01"])
    def test_a_near_event_is_scheduled_at_once(self, start: str) -> None:
        instance = planned(start).instance

        assert instance.sweep.schedule_at is None
        assert sweep_at(instance) == at(start) + GRACE
        assert partition(instance) == swept_partition(instance.shard)

    def test_without_a_horizon_nothing_is_far(self) -> None:
        assert life(request=new("2030-01-01")).instance.sweep.schedule_at is None


class TestComingWithinTheHorizon:
    """A sweep moves a far event to the near partition, once."""

    def test_a_sweep_makes_a_far_event_near(self) -> None:
        of = planned("2026-06-01")
        arm_at = of.instance.sweep.schedule_at
        assert arm_at is not None

        of.decide(RecordSweep(), arm_at + timedelta(seconds=1))

        assert of.instance.sweep.schedule_at is None
        assert (of.instance.sweep.attempts, of.instance.sweep.next_at) == (0, None)
        assert sweep_at(of.instance) == at("2026-06-01") + GRACE

    def test_a_far_event_stays_far_under_a_shorter_horizon(self) -> None:
        of = planned("2026-06-01")
        of.strategy = replace(of.strategy, horizon=timedelta(days=2))

        of.decide(RecordSweep(), at("2026-05-20"))

        assert of.instance.sweep.schedule_at is not None
        assert of.instance.sweep.schedule_at >= at("2026-05-30")
