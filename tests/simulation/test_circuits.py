"""Circuits: while a service is unreachable its calls wait, one at a time probes it, and nothing is lost."""

import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum, auto

import pytest

import shared.application.runner.limits
import shared.domain.limits.circuit
import shared.domain.limits.grant
from shared.application.control import control
from shared.domain.ids import AccountId
from shared.domain.instance.event import EventStatus
from shared.domain.lifecycle.commands import Cancel, Pause, Resume
from shared.domain.limits.grant import LATEST_USE, MAX_PATIENCE
from shared.domain.limits.state import Bounds, LimitChange, LimitState, Member, instant_of, micros_of
from shared.domain.steps.call import Answered, CallOutcome, ServiceRequest, TimedOut, Unreachable
from shared.domain.strategy.model import Json
from tests.simulation.faults import BrownOut, Faults
from tests.simulation.mayors import BEN, resume_poisoned
from tests.simulation.stage import KilledError
from tests.simulation.test_limits import Punctual
from tests.simulation.town import Town, after_nine, town
from tests.simulation.town_laws import assert_all_ordered, assert_town_lawful, orders_of, watch_for_poison

FAILURES, OPEN_SECONDS = 3, 30
CIRCUIT: Json = {"circuit": {"failures": FAILURES, "openSeconds": OPEN_SECONDS}}
RATED: Json = {**CIRCUIT, "perSecond": 2}
GRACE = MAX_PATIENCE + LATEST_USE
"""For how long a call may still be sent that was allowed before the circuit opened."""
OUTCOMES: tuple[CallOutcome, ...] = (
    Answered(status=502),
    Answered(status=503),
    Answered(status=504),
    TimedOut(why="read timed out"),
    Unreachable(why="connection refused"),
)


class Phase(Enum):
    """The phase of a circuit."""

    CLOSED = auto()
    OPEN = auto()
    PROBED = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """From when on a circuit is in a phase."""

    since: datetime
    phase: Phase
    until: datetime


@dataclass
class CircuitWatch(dict[tuple[AccountId, str], LimitState]):
    """The states of limits, which judge each change of the only circuit: its phases follow each other in order."""

    there: Town
    spans: list[Span] = field(default_factory=list)
    sent: list[datetime] = field(default_factory=list)

    def install(self) -> None:
        """Begin to watch changes and calls."""
        world = self.there.world
        world.limit_states.states = self
        world.watchers.append(lambda _: self.sent.append(world.now_at))

    def __setitem__(self, key: tuple[AccountId, str], after: LimitState) -> None:
        before = self.get(key, LimitState())
        super().__setitem__(key, after)
        if after[Member.OPEN_UNTIL] != before[Member.OPEN_UNTIL]:
            self._enter(self._phase(before, after), after)

    @staticmethod
    def _phase(before: LimitState, after: LimitState) -> Phase:
        if not after[Member.OPEN_UNTIL]:
            return Phase.CLOSED
        return Phase.OPEN if after[Member.FAILURES] > before[Member.FAILURES] else Phase.PROBED

    def _enter(self, phase: Phase, state: LimitState) -> None:
        was = self.spans[-1].phase if self.spans else Phase.CLOSED
        assert not (was is Phase.OPEN and phase is not Phase.PROBED), f"{phase} without a probe"
        assert not (was is Phase.CLOSED and phase is Phase.PROBED), "a probe of a closed circuit"
        self.spans.append(
            Span(since=self.there.world.now_at, phase=phase, until=instant_of(state[Member.OPEN_UNTIL]))
        )

    def assert_calls_waited(self) -> None:
        """Assert that no call was sent while the circuit was open, and one for each right to probe."""
        ends = [*(span.since for span in self.spans[1:]), self.there.world.now_at]
        for span, end in zip(self.spans, ends, strict=False):
            within = [at for at in self.sent if span.since <= at < end]
            if span.phase is Phase.OPEN:
                assert [at for at in within if at > span.since + GRACE] == [], "calls under an open circuit"
            if span.phase is Phase.PROBED:
                assert len(within) <= 1, "a circuit is probed by two calls at the same time"

    def lengths(self) -> list[timedelta]:
        """Return for how long the circuit was opened, each time."""
        return [span.until - span.since for span in self.spans if span.phase is Phase.OPEN]


@dataclass
class Gone:
    """A service that cannot be reached for a while, or only by some calls."""

    there: Town
    begins: datetime
    ends: datetime
    share: float = 1.0
    failed: int = 0

    def __call__(self, _: ServiceRequest) -> CallOutcome:
        is_gone = self.begins <= self.there.world.now_at < self.ends
        if not is_gone or self.there.rng.random() >= self.share:
            return Answered(status=201, body={"id": "1"})
        self.failed += 1
        return self.there.rng.choice(OUTCOMES)


def outage(
    faults: Faults, *, minutes: float, limits: tuple[Json, Json] = (CIRCUIT, CIRCUIT), share: float = 1.0
) -> tuple[Town, CircuitWatch, Gone]:
    """Return a town whose service cannot be reached from nine on, by a share of the calls."""
    there = town(faults, healthy=20, kind=Punctual, limits=limits)
    watch = CircuitWatch(there)
    watch.install()
    service = Gone(there, begins=after_nine(1), ends=after_nine(1, minutes=minutes), share=share)
    there.world.answers = service
    return there, watch, service


def attempts_used(there: Town) -> int:
    """Return how many attempts of orders have failed."""
    records = [record for sid in there.healthy for record in orders_of(there, sid)]
    return sum(record.event.attempt - 1 for record in records)


class TestAnOutage:
    """Without other faults, only the calls that open the circuit and the probes fail."""

    @pytest.mark.parametrize("limits", [(CIRCUIT, CIRCUIT), (RATED, RATED), (CIRCUIT, {}), (RATED, CIRCUIT)])
    def test_few_calls_fail_and_all_orders_run_in_the_end(self, seed: int, limits: tuple[Json, Json]) -> None:
        there, watch, service = outage(
            Faults(rng=random.Random(seed), pace=0.02, call_lasts=1), minutes=20, limits=limits
        )

        there.world.run_until(after_nine(1, hours=5))

        assert_all_ordered(there, 1, within=timedelta(hours=5))
        assert_town_lawful(there)
        watch.assert_calls_waited()
        # Five probes fail: after 30, 60, 120, 240 and 480 seconds. The next one is sent after the outage.
        opened_at = watch.spans[0].since + GRACE
        assert len([at for at in watch.sent if opened_at < at < service.ends]) == 5
        assert attempts_used(there) <= service.failed

    def test_each_opening_lasts_twice_as_long(self) -> None:
        there, watch, _ = outage(Faults(rng=random.Random(1), pace=0.02), minutes=60)

        there.world.run_until(after_nine(1, hours=5))

        seconds = [round(length.total_seconds()) for length in watch.lengths()]
        assert seconds[:6] == [30, 60, 120, 240, 480, 900]
        assert set(seconds[6:]) <= {900}

    def test_without_a_circuit_each_event_uses_its_attempts(self) -> None:
        there, watch, service = outage(Faults(rng=random.Random(1), pace=0.02), minutes=70, limits=({}, {}))

        there.world.run_until(after_nine(1, hours=5))

        assert watch.spans == []
        assert service.failed >= 3 * len(there.healthy)


class TestManyRunners:
    """Runners crash, stall, lose replies and come late, and their clocks differ. Still one call at a time probes."""

    def test_nothing_is_sent_under_an_open_circuit_and_nothing_is_lost(self, seed: int) -> None:
        storm(seed)

    def test_a_probe_whose_runner_crashes_lets_its_right_pass(self, seed: int) -> None:
        rng = random.Random(seed)
        there, watch, _ = outage(Faults(rng=rng, pace=0.02), minutes=5, limits=(RATED, CIRCUIT))
        crashing = CrashingProbes(there, watch, most=3)
        there.world.watchers.append(crashing)

        there.world.run_until(after_nine(1, hours=12))

        assert crashing.crashes == 3
        assert_all_ordered(there, 1, within=timedelta(hours=12))
        assert_town_lawful(there)
        watch.assert_calls_waited()


def storm(seed: int) -> None:
    """Let many runners with all kinds of faults meet an outage."""
    rng = random.Random(seed)
    faults = Faults(
        rng=rng,
        until=4000,
        pace=rng.choice([0.02, 0.1]),
        call_lasts=rng.choice([0, 1, 20]),
        kill=rng.choice([0, 0.002, 0.01]),
        stall=rng.choice([0, 0.01]),
        lost_reply=rng.choice([0, 0.1]),
        lost_any_reply=rng.choice([0, 0.01]),
        lost_wakeup=rng.choice([0, 0.05]),
        skew=timedelta(seconds=rng.choice([0, 2])),
    )
    limits = rng.choice([(CIRCUIT, CIRCUIT), (RATED, CIRCUIT)])
    there, watch, _ = outage(faults, minutes=15, limits=limits, share=rng.choice([1, 1, 0.8]))

    there.world.run_until(after_nine(1, hours=12))
    there.world.faults.until = 0
    resume_poisoned(there)
    there.world.run_until(after_nine(1, hours=23))

    watch.assert_calls_waited()
    assert_all_ordered(there, 1, within=timedelta(hours=23))
    assert_town_lawful(there)


def slow_calls(share: float = 1.0) -> None:
    """Let many calls be in flight when the circuit opens, without other faults."""
    there, watch, _ = outage(Faults(rng=random.Random(1), pace=0.02, call_lasts=20), minutes=15, share=share)

    there.world.run_until(after_nine(1, hours=5))

    watch.assert_calls_waited()
    assert watch.spans


def two_probes() -> None:
    """Let the runners of all events ask for the right to probe at the same time."""
    there, watch, _ = outage(Faults(rng=random.Random(1), pace=0.1), minutes=15, limits=(CIRCUIT, CIRCUIT))
    there.world.run_until(after_nine(1, seconds=-30))
    state: dict[str, int] = {
        Member.OPEN_UNTIL: micros_of(after_nine(1)),
        Member.OPEN_FOR: 1,
        Member.FAILURES: 3,
    }
    key = (AccountId("a-1"), "https://shop.example.test")
    watch[key] = LimitState(values=state)

    there.world.run_until(after_nine(1, minutes=5))

    watch.assert_calls_waited()


@dataclass
class CrashingProbes:
    """Kills runners that have taken the right to probe, before their call is sent."""

    there: Town
    watch: CircuitWatch
    most: int
    crashes: int = 0

    def __call__(self, _: ServiceRequest) -> None:
        if self.crashes < self.most and self.watch.spans and self.watch.spans[-1].phase is Phase.PROBED:
            self.crashes += 1
            raise KilledError


class TestAnUnavailableStore:
    """If the outcomes of calls cannot be stored, they are not counted, and nothing else happens."""

    def test_outcomes_are_recorded_all_the_same(self, seed: int) -> None:
        rng = random.Random(seed)
        there, watch, _ = outage(Faults(rng=rng, pace=0.02), minutes=15)
        there.world.commit_watchers.append(watch_for_poison)
        there.world.run_until(after_nine(1, seconds=-30))
        labels = frozenset({"change_limit", "limit_changed"})
        there.world.brown_out = BrownOut(rng, labels, lasts=timedelta(minutes=10), spared=0.5)

        there.world.run_until(after_nine(1, hours=12))

        assert there.world.failures_met > 0
        assert_all_ordered(there, 1, within=timedelta(hours=12))
        assert_town_lawful(there)
        watch.assert_calls_waited()


class TestOperators:
    """A pause and a cancel take effect while events wait for the circuit."""

    def test_what_is_stopped_sends_nothing_more(self, seed: int) -> None:
        rng = random.Random(seed)
        there, watch, _ = outage(Faults(rng=rng, pace=0.02), minutes=15, limits=(CIRCUIT, RATED))
        world = there.world
        world.run_until(after_nine(1, seconds=rng.randint(5, 600)))
        for number, sid in enumerate(there.healthy):
            command = Pause(by=BEN) if number % 2 else Cancel(by=BEN)
            world.ask("stop", lambda sid=sid, command=command: control(world, sid, command))  # type: ignore[misc]
        world.run_until(after_nine(1, hours=4))
        # Farewells of the canceled ones wait for the circuit as well, and are sent in the end.
        at_rest = len(world.ledger)
        world.run_until(after_nine(1, hours=6))
        assert len(world.ledger) == at_rest
        for sid in there.healthy[1::2]:
            world.ask("resume", lambda sid=sid: control(world, sid, Resume(by=BEN)))  # type: ignore[misc]
        world.run_until(after_nine(1, hours=20))

        assert_town_lawful(there)
        watch.assert_calls_waited()
        for sid in there.healthy[1::2]:
            (record,) = orders_of(there, sid)
            assert record.event.status is EventStatus.PROCESSED


class TestARemovedGuardIsCaught:
    """Without a rule of the circuit, a law fails."""

    @pytest.mark.parametrize("share", [1.0, 0.8])
    def test_with_all_of_them_none_does(self, share: float) -> None:
        slow_calls(share)

    def test_an_open_circuit_that_is_not_waited_for(self, monkeypatch: pytest.MonkeyPatch) -> None:
        grant = shared.domain.limits.grant.grant

        def blind(state: LimitState, *args: object, **kwargs: object) -> object:
            closed = LimitState(values={**state.values, Member.OPEN_UNTIL: 0})
            return grant(closed, *args, **kwargs)  # type: ignore[arg-type]

        monkeypatch.setattr(shared.application.runner.limits, "grant", blind)
        with pytest.raises(AssertionError, match="calls under an open circuit"):
            slow_calls()

    def test_a_right_to_probe_that_two_runners_take(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def anything(_: int) -> Bounds:
            return Bounds(low=0, high=1 << 62)

        monkeypatch.setattr(shared.domain.limits.grant, "exactly", anything)
        with pytest.raises(AssertionError, match="by two calls at the same time"):
            two_probes()

    def test_failures_of_calls_that_were_in_flight(self, monkeypatch: pytest.MonkeyPatch) -> None:
        after_failure = shared.domain.limits.circuit.after_failure

        def late(state: LimitState, _: LimitState, *args: object, **kwargs: object) -> object:
            return after_failure(state, state, *args, **kwargs)  # type: ignore[arg-type]

        monkeypatch.setattr(shared.application.runner.limits, "after_failure", late)
        with pytest.raises(AssertionError, match="OPEN without a probe"):
            slow_calls()

    def test_answers_to_calls_that_were_in_flight(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def late(_: LimitState, *, now: datetime) -> LimitChange:
            return LimitChange(at=micros_of(now), guards={}, sets={Member.OPEN_UNTIL: 0, Member.FAILURES: 0})

        monkeypatch.setattr(shared.application.runner.limits, "after_answer", late)
        with pytest.raises(AssertionError, match="CLOSED without a probe"):
            slow_calls(0.8)

    def test_a_right_to_probe_that_does_not_pass(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(shared.domain.limits.grant, "PROBE_MARGIN", timedelta(days=1))
        there, watch, _ = outage(Faults(rng=random.Random(1), pace=0.02), minutes=5)
        there.world.watchers.append(CrashingProbes(there, watch, most=1))
        there.world.run_until(after_nine(1, hours=12))

        with pytest.raises(AssertionError):
            assert_all_ordered(there, 1, within=timedelta(hours=12))
