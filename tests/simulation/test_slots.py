"""Slots: never more calls in flight than the limit says, and nothing is lost, whatever else happens."""

import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest

import shared.domain.limits.slots
from shared.application.control import control
from shared.domain.instance.event import EventStatus
from shared.domain.lifecycle.commands import Cancel, Pause, Resume
from shared.domain.limits.state import Bounds, LimitChange, LimitState, Member
from shared.domain.steps.call import Answered, CallOutcome, ServiceRequest
from shared.domain.strategy.model import Json
from tests.simulation.faults import BrownOut, Faults
from tests.simulation.mayors import BEN, resume_poisoned
from tests.simulation.test_limits import Punctual, most_in_a_second
from tests.simulation.town import FOUNDED, Town, after_nine, town
from tests.simulation.town_laws import (
    assert_all_ordered,
    assert_no_attempt_used,
    assert_town_lawful,
    ended_at,
    orders_of,
    watch_for_poison,
)


@dataclass
class InFlight:
    """The service, which knows how many calls it is answering, from ``since`` on."""

    there: Town
    since: datetime = FOUNDED
    now: int = 0
    most: int = 0
    calls: list[datetime] = field(default_factory=list)

    def install(self) -> None:
        """Begin to watch calls."""
        self.there.world.watchers.append(self._begin)
        self.there.world.answers = self

    def _begin(self, _: ServiceRequest) -> None:
        self.now += 1
        self.calls.append(self.there.world.now_at)
        if self.there.world.now_at >= self.since:
            self.most = max(self.most, self.now)

    def __call__(self, _: ServiceRequest) -> CallOutcome:
        self.now -= 1
        return Answered(status=201, body={"id": "1"})

    def assert_most(self, most: int) -> None:
        """Assert that there were never more calls in flight than that."""
        assert self.most <= most, f"{self.most} calls in flight"


def limited(faults: Faults, *limits: Json, healthy: int = 20) -> tuple[Town, InFlight]:
    """Return a town whose strategies call the same service under these limits."""
    there = town(faults, healthy=healthy, kind=Punctual, limits=limits)
    service = InFlight(there)
    service.install()
    return there, service


class TestManyRunners:
    """Runners crash, stall, lose replies and come late, and their clocks differ."""

    def test_there_are_never_more_calls_than_the_stricter_limit(self, seed: int) -> None:
        rng = random.Random(seed)
        faults = Faults(
            rng=rng,
            until=3000,
            pace=rng.choice([0.02, 0.1]),
            call_lasts=rng.choice([0.2, 2, 20]),
            kill=rng.choice([0, 0.002, 0.01]),
            stall=rng.choice([0, 0.01]),
            lost_reply=rng.choice([0, 0.1]),
            lost_any_reply=rng.choice([0, 0.01]),
            lost_wakeup=rng.choice([0, 0.05]),
            skew=timedelta(seconds=rng.choice([0, 2])),
        )
        strict = rng.choice([1, 2, 5])
        loose = rng.choice([strict, 10])
        rated = rng.choice([{}, {"perSecond": 2}])
        there, service = limited(faults, {"concurrent": strict, **rated}, {"concurrent": loose})
        # The looser limit counts until the stricter one is stated, and until its slots were returned or have passed.
        service.since = FOUNDED if loose == strict else after_nine(1, minutes=10)

        there.world.run_until(after_nine(1, hours=12))
        there.world.faults.until = 0
        resume_poisoned(there)
        there.world.run_until(after_nine(1, hours=23))

        service.assert_most(strict)
        assert_all_ordered(there, 1, within=timedelta(hours=23))
        assert_town_lawful(there)

    def test_without_other_faults_no_attempt_is_used_and_the_slots_are_busy(self, seed: int) -> None:
        faults = Faults(rng=random.Random(seed), pace=0.02, call_lasts=2)
        there, service = limited(faults, {"concurrent": 3}, {"concurrent": 3})

        there.world.run_until(after_nine(1, hours=1))

        assert_all_ordered(there, 1, within=timedelta(minutes=10))
        assert_no_attempt_used(there)
        assert_town_lawful(there)
        assert service.most == 3
        # 60 calls of a second on average, three at a time. Events that come back wait for their wakeups.
        assert ended_at(there) <= after_nine(1, minutes=4)

    def test_a_run_keeps_its_slot_and_returns_it(self) -> None:
        faults = Faults(rng=random.Random(1), pace=0.02, call_lasts=1)
        there, _ = limited(faults, {"concurrent": 3}, {"concurrent": 3})

        there.world.run_until(after_nine(1, hours=1))

        (state,) = there.world.limit_states.states.values()
        assert [state[f"slot{number}"] for number in range(3)] == [0, 0, 0]
        assert state[Member.CONCURRENT] == 3
        # Three calls of half a second, and the pauses before them.
        assert 1 <= state[Member.TAKEN_FOR] / 1_000_000 <= 5

    def test_with_a_rate_both_limits_are_kept(self, seed: int) -> None:
        faults = Faults(rng=random.Random(seed), pace=0.02, call_lasts=3)
        both = {"concurrent": 4, "perSecond": 2}
        there, service = limited(faults, both, both)

        there.world.run_until(after_nine(1, hours=1))

        service.assert_most(4)
        assert most_in_a_second(service.calls) <= 2
        assert_all_ordered(there, 1, within=timedelta(hours=1))
        assert_no_attempt_used(there)
        assert_town_lawful(there)


class TestAnUnavailableStore:
    """While the store of limits cannot be used, nothing is sent; a slot that cannot be returned passes."""

    @pytest.mark.parametrize("labels", [{"load_limit"}, {"change_limit"}, {"limit_changed"}])
    def test_events_wait_without_a_doubt(self, seed: int, labels: set[str]) -> None:
        rng = random.Random(seed)
        there, service = limited(
            Faults(rng=rng, pace=0.02, call_lasts=2), {"concurrent": 2}, {"concurrent": 2}
        )
        world = there.world
        world.commit_watchers.append(watch_for_poison)
        world.run_until(after_nine(1, seconds=-30))
        world.brown_out = BrownOut(
            rng, frozenset(labels), lasts=timedelta(minutes=10), spared=rng.choice([0, 0.5])
        )

        world.run_until(after_nine(1, hours=3))

        assert world.failures_met > 0
        service.assert_most(2)
        assert_all_ordered(there, 1, within=timedelta(hours=2))
        assert_no_attempt_used(there)
        assert_town_lawful(there)


class TestOperators:
    """A pause and a cancel take effect while events wait for slots."""

    def test_what_is_stopped_sends_nothing_more(self, seed: int) -> None:
        rng = random.Random(seed)
        faults = Faults(rng=rng, pace=0.02, call_lasts=4, kill=rng.choice([0, 0.002]), until=2000)
        there, service = limited(faults, {"concurrent": 2}, {"concurrent": 2}, healthy=40)
        world = there.world
        world.run_until(after_nine(1, seconds=rng.randint(5, 40)))
        for number, sid in enumerate(there.healthy):
            command = Pause(by=BEN) if number % 2 else Cancel(by=BEN)
            world.ask("stop", lambda sid=sid, command=command: control(world, sid, command))  # type: ignore[misc]
        world.run_until(after_nine(1, hours=1))
        at_rest = len(world.ledger)
        world.run_until(after_nine(1, hours=2))
        # Farewells of the canceled ones are under the limit as well.
        assert len(world.ledger) == at_rest
        for sid in there.healthy[1::2]:
            world.ask("resume", lambda sid=sid: control(world, sid, Resume(by=BEN)))  # type: ignore[misc]
        world.run_until(after_nine(1, hours=12))

        service.assert_most(2)
        assert_town_lawful(there)
        for sid in there.healthy[1::2]:
            (record,) = orders_of(there, sid)
            assert record.event.status is EventStatus.PROCESSED


def crowd(*, call_lasts: float = 8, stall: float = 0.0) -> None:
    """Let many runners call a service that takes three calls at a time."""
    faults = Faults(
        rng=random.Random(1), until=3000, pace=0.05, call_lasts=call_lasts, stall=stall, longest_stall=400
    )
    there, service = limited(faults, {"concurrent": 3}, {"concurrent": 3}, healthy=40)
    there.world.run_until(after_nine(1, hours=1))
    service.assert_most(3)


class TestARemovedGuardIsCaught:
    """Without a rule of slots, too many calls are in flight."""

    @pytest.mark.parametrize("stall", [0, 0.02])
    def test_with_all_of_them_there_are_never_too_many(self, stall: float) -> None:
        crowd(stall=stall)

    def test_a_slot_that_two_runners_take(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def ignoring_guards(self: LimitChange, state: LimitState) -> LimitState:
            return LimitState(values={**state.values, **self.sets})

        monkeypatch.setattr(LimitChange, "applied_to", ignoring_guards)

        with pytest.raises(AssertionError, match="calls in flight"):
            crowd()

    def test_a_slot_that_passes_during_its_call(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(shared.domain.limits.slots, "SLOT_MARGIN", timedelta(seconds=-160))

        with pytest.raises(AssertionError, match="calls in flight"):
            crowd(call_lasts=20)

    def test_a_slot_that_was_taken_by_another_runner_and_is_returned(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def anything(_: int) -> Bounds:
            return Bounds(low=0, high=1 << 62)

        monkeypatch.setattr(shared.domain.limits.slots, "exactly", anything)

        with pytest.raises(AssertionError, match="calls in flight"):
            crowd(stall=0.02)

    def test_slots_that_are_never_returned(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("shared.application.runner.limits._share", lambda *_: None)
        faults = Faults(rng=random.Random(1), pace=0.02, call_lasts=2)
        there, _ = limited(faults, {"concurrent": 3}, {"concurrent": 3})
        there.world.run_until(after_nine(1, hours=1))

        assert ended_at(there) > after_nine(1, minutes=4)
