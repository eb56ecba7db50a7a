"""Limits of services: never more calls in a second than the limit says, and nothing is lost, whatever else happens."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest

import shared.domain.limits.grant
from shared.application.control import control
from shared.domain.instance.event import EventStatus
from shared.domain.lifecycle.commands import Cancel, Pause, Resume
from shared.domain.limits.grant import spacing_of
from shared.domain.limits.state import LimitChange, LimitState
from shared.domain.steps.call import Answered, CallOutcome, ServiceRequest
from shared.domain.strategy.model import Json
from tests.simulation.faults import BrownOut, Faults
from tests.simulation.mayors import BEN, resume_poisoned
from tests.simulation.town import FOUNDED, Town, after_nine, town
from tests.simulation.town_laws import (
    assert_all_ordered,
    assert_no_attempt_used,
    assert_town_lawful,
    ended_at,
    orders_of,
    watch_for_poison,
)
from tests.simulation.world import World

SECOND = timedelta(seconds=1)


@dataclass
class Punctual(World):
    """A world in which a call reaches its service at once, so that its ledger has the instants of sending."""

    def io(self, label: str) -> None:
        if label != "call":
            super().io(label)


def assert_within_limit(there: Town, most: int, *, since: datetime = FOUNDED) -> None:
    """Assert that no second, wherever it begins, has more calls than ``most``."""
    calls = [sending.at for sending in there.world.ledger if sending.at >= since]
    assert most_in_a_second(calls) <= most, f"a second has {most_in_a_second(calls)} calls"


def most_in_a_second(calls: Sequence[datetime]) -> int:
    """Return the most calls in any second, its end not included."""
    most, first = 0, 0
    for place, at in enumerate(calls):
        while calls[first] <= at - SECOND:
            first += 1
        most = max(most, place - first + 1)
    return most


def limited(faults: Faults, *limits: Json, healthy: int = 20) -> Town:
    """Return a town whose strategies call the same services under these limits."""
    return town(faults, healthy=healthy, kind=Punctual, limits=limits)


class TestManyRunners:
    """Runners crash, stall, lose replies and come late; the service never gets more than its limit."""

    def test_no_second_has_more_calls_than_the_stricter_limit(self, seed: int) -> None:
        rng = random.Random(seed)
        faults = Faults(
            rng=rng,
            until=3000,
            pace=rng.choice([0, 0.02, 0.1]),
            kill=rng.choice([0, 0.002, 0.01]),
            stall=rng.choice([0, 0.01]),
            lost_reply=rng.choice([0, 0.1]),
            lost_any_reply=rng.choice([0, 0.01]),
            lost_wakeup=rng.choice([0, 0.05]),
        )
        strict = rng.choice([1, 3, 10])
        loose = rng.choice([strict, 100])
        there = limited(faults, {"perSecond": strict}, {"perSecond": loose})

        there.world.run_until(after_nine(1, hours=12))
        there.world.faults.until = 0
        resume_poisoned(there)
        there.world.run_until(after_nine(1, hours=23))

        assert_all_ordered(there, 1, within=timedelta(hours=23))
        assert_town_lawful(there)
        # The looser limit counts until the stricter one is stated, and until the permits that were taken are used.
        since = after_nine(1, seconds=0 if loose == strict else 60)
        assert_within_limit(there, strict, since=since)

    def test_without_other_faults_no_attempt_is_used(self, seed: int) -> None:
        there = limited(Faults(rng=random.Random(seed), pace=0.02), {"perSecond": 2}, {"perSecond": 2})

        there.world.run_until(after_nine(1, hours=1))

        assert_all_ordered(there, 1, within=timedelta(minutes=5))
        assert_no_attempt_used(there)
        assert_town_lawful(there)
        assert_within_limit(there, 2)
        # 60 calls at 2 a second, less the margin for the time of use and the clocks.
        assert ended_at(there) <= after_nine(1, seconds=60 * 0.55 + 15)

    def test_the_limit_is_reached(self) -> None:
        there = limited(Faults(rng=random.Random(1), pace=0.02), {"perSecond": 3}, {"perSecond": 3})

        there.world.run_until(after_nine(1, hours=1))

        assert most_in_a_second([sending.at for sending in there.world.ledger]) == 3


class TestAnUnavailableStore:
    """While the store of limits cannot be used, nothing is sent, and nothing but time is lost."""

    @pytest.mark.parametrize("labels", [{"load_limit"}, {"change_limit"}, {"limit_changed"}])
    def test_events_wait_without_a_doubt(self, seed: int, labels: set[str]) -> None:
        rng = random.Random(seed)
        there = limited(Faults(rng=rng, pace=0.02), {"perSecond": 2}, {"perSecond": 2})
        world = there.world
        world.commit_watchers.append(watch_for_poison)
        world.run_until(after_nine(1, seconds=-30))
        world.brown_out = BrownOut(rng, frozenset(labels), lasts=timedelta(minutes=10))

        world.run_until(after_nine(1, minutes=9))
        assert [sending for sending in world.ledger if sending.at >= after_nine(1)] == []
        world.run_until(after_nine(1, hours=2))

        assert world.failures_met > 0
        assert_all_ordered(there, 1, within=timedelta(hours=1))
        assert_no_attempt_used(there)
        assert_town_lawful(there)
        assert_within_limit(there, 2)


class TestOperators:
    """A pause and a cancel take effect while events wait for their permits."""

    def test_what_is_stopped_sends_nothing_more(self, seed: int) -> None:
        rng = random.Random(seed)
        there = limited(
            Faults(rng=rng, pace=0.02, kill=rng.choice([0, 0.002]), until=2000),
            {"perSecond": 1},
            {"perSecond": 1},
            healthy=60,
        )
        world = there.world
        world.run_until(after_nine(1, seconds=rng.randint(5, 40)))
        for number, sid in enumerate(there.healthy):
            command = Pause(by=BEN) if number % 2 else Cancel(by=BEN)
            world.ask("stop", lambda sid=sid, command=command: control(world, sid, command))  # type: ignore[misc]
        world.run_until(after_nine(1, minutes=20))
        at_rest = len(world.ledger)
        world.run_until(after_nine(1, minutes=40))
        # Farewells of the canceled ones are under the limit as well.
        assert len(world.ledger) == at_rest
        assert_within_limit(there, 1)
        for sid in there.healthy[1::2]:
            world.ask("resume", lambda sid=sid: control(world, sid, Resume(by=BEN)))  # type: ignore[misc]
        world.run_until(after_nine(1, hours=12))

        assert_town_lawful(there)
        assert_within_limit(there, 1)
        for sid in there.healthy[1::2]:
            (record,) = orders_of(there, sid)
            assert record.event.status is EventStatus.PROCESSED


@dataclass
class Tired:
    """A service that refuses all calls for a while, and says for how long."""

    there: Town
    ends: datetime
    refused: list[datetime] = field(default_factory=list)

    def __call__(self, _: ServiceRequest) -> CallOutcome:
        now = self.there.world.now_at
        if now >= self.ends:
            return Answered(status=201, body={"id": "1"})
        self.refused.append(now)
        return Answered(status=503, retry_after=self.ends - now)


class TestASlowDown:
    """A service that refuses one call until an instant gets no others before it, whatever their strategy is."""

    @pytest.mark.parametrize(
        "limits", [({"perSecond": 2}, {"perSecond": 2}), ({}, {}), ({}, {"perSecond": 2})]
    )
    def test_all_runners_wait(self, seed: int, limits: tuple[Json, Json]) -> None:
        there = limited(Faults(rng=random.Random(seed), pace=0.02), *limits)
        service = Tired(there, ends=after_nine(1, minutes=10))
        there.world.run_until(after_nine(1, seconds=-30))
        there.world.answers = service

        there.world.run_until(after_nine(1, hours=2))

        assert service.refused
        # Calls that were on their way, and permits that were less than a second ahead.
        assert max(service.refused) <= min(service.refused) + 3 * SECOND
        assert len(service.refused) <= 20
        assert_all_ordered(there, 1, within=timedelta(hours=1))
        assert_no_attempt_used(there)
        assert_town_lawful(there)

    def test_a_service_without_a_limit_refuses_each_of_them(self) -> None:
        there = limited(Faults(rng=random.Random(1), pace=0.02), None, None)
        service = Tired(there, ends=after_nine(1, minutes=10))
        there.world.run_until(after_nine(1, seconds=-30))
        there.world.answers = service

        there.world.run_until(after_nine(1, hours=2))

        assert len(service.refused) >= 20
        assert there.world.limit_states.states == {}


def crowd(seed: int, *, pace: float = 0.1) -> None:
    """Let many runners, some of which stall, call a service that takes ten calls a second."""
    faults = Faults(rng=random.Random(seed), until=3000, pace=pace, stall=0.02, longest_stall=3)
    there = limited(faults, {"perSecond": 10}, {"perSecond": 10}, healthy=40)
    there.world.run_until(after_nine(1, hours=1))
    assert_within_limit(there, 10)


class TestARemovedGuardIsCaught:
    """Without a rule of the limits, a second has too many calls."""

    def test_with_all_of_them_no_second_has_too_many(self, seed: int) -> None:
        crowd(seed)

    def test_a_permit_that_may_be_used_late(self, monkeypatch: pytest.MonkeyPatch) -> None:
        spacing = spacing_of(10)
        monkeypatch.setattr(shared.domain.limits.grant, "spacing_of", lambda _: spacing)
        monkeypatch.setattr(shared.domain.limits.grant, "LATEST_USE", timedelta(minutes=1))

        with pytest.raises(AssertionError, match="a second has"):
            crowd(1)

    def test_permits_without_a_margin(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(shared.domain.limits.grant, "spacing_of", lambda _: timedelta(milliseconds=90))

        with pytest.raises(AssertionError, match="a second has"):
            crowd(1)

    def test_a_permit_that_two_runners_take(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def ignoring_guards(self: LimitChange, state: LimitState) -> LimitState:
            added = {member: state[member] + number for member, number in self.adds.items()}
            return LimitState(values={**state.values, **self.sets, **added})

        monkeypatch.setattr(LimitChange, "applied_to", ignoring_guards)

        with pytest.raises(AssertionError, match="a second has"):
            crowd(1, pace=0.02)
