"""A circuit is probed by one call at a time, whatever runners do: they decide on old states, crash, and end late."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum, auto

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.limits.circuit import after_answer, after_failure
from shared.domain.limits.grant import Demand, Join, Later, Permit, Take, grant
from shared.domain.limits.state import LimitChange, LimitState, Member, instant_of
from shared.domain.strategy.model import Circuit, ServiceLimit
from tests.factories import NOON

SECOND = timedelta(seconds=1)
CIRCUITS = (Circuit(failures=1, open_for=SECOND), Circuit(failures=3, open_for=10 * SECOND), None)


class End(Enum):
    """How a call ends."""

    ANSWER = auto()
    FAILURE = auto()
    CRASH = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """An act of a runner, ``after`` some seconds: ask for a permit, and end the oldest or the latest call.

    ``forgets`` is how many changes the state is old on which it decides. ``skew`` is by how much its clock is wrong.
    """

    after: int
    asks: bool
    forgets: int
    skew: int
    per_second: int | None
    circuit: Circuit | None
    end: End | None
    ends_oldest: bool


def acts(most_skew: int = 0) -> st.SearchStrategy[list[Act]]:
    one = st.builds(
        Act,
        after=st.sampled_from([0, 0, 0, 1, 2, 10, 20, 80]),
        asks=st.booleans(),
        forgets=st.sampled_from([0, 0, 1, 2]),
        skew=st.integers(-most_skew, most_skew),
        per_second=st.sampled_from([None, None, 5]),
        circuit=st.sampled_from(CIRCUITS),
        end=st.sampled_from([None, End.ANSWER, End.FAILURE, End.FAILURE, End.CRASH]),
        ends_oldest=st.booleans(),
    )
    return st.lists(one, min_size=5, max_size=80)


@dataclass
class Origin:
    """The states of an origin, one after another, and the calls in flight with the circuits of their services."""

    now: datetime = NOON
    states: list[LimitState] = field(default_factory=lambda: [LimitState()])
    calls: list[tuple[Permit, Circuit | None]] = field(default_factory=list)
    permits: list[tuple[datetime, Permit, LimitState]] = field(default_factory=list)

    def play(self, act: Act) -> None:
        self.now += act.after * SECOND
        if act.asks:
            self._ask(act)
        if act.end is not None and self.calls:
            permit, circuit = self.calls.pop(0 if act.ends_oldest else -1)
            self._end(act.end, permit, circuit)

    def _ask(self, act: Act) -> None:
        now = self.now + act.skew * SECOND
        demand = Demand(
            limit=ServiceLimit(per_second=act.per_second, circuit=act.circuit),
            leased_until=now + 5 * SECOND,
            latest=now + 50 * SECOND,
            key="i-1",
            lasts=60 * SECOND,
        )
        state = self.states[max(len(self.states) - 1 - act.forgets, 0)]
        for _ in range(3):
            decided = grant(state, demand, now=now)
            if isinstance(decided, Permit) and state == self.states[-1]:
                self._allow(decided, act, state)
                return
            if isinstance(decided, Later):
                return
            before = self.states[-1]
            if isinstance(decided, Take | Join) and self._store(decided.change):
                if isinstance(decided, Take):
                    self._allow(decided.taken_from(before), act, before)
                return
            state = before
        raise AssertionError("a decision on the stored state is stored")

    def _allow(self, permit: Permit, act: Act, before: LimitState) -> None:
        self.calls.append((permit, act.circuit))
        self.permits.append((self.now, permit, before))

    def _end(self, end: End, permit: Permit, circuit: Circuit | None) -> None:
        if end is End.ANSWER:
            change = after_answer(permit.circuit, now=self.now)
            assert change is None or self._store(change) or self.states[-1] != permit.circuit
        if end is End.FAILURE:
            state = permit.circuit
            while (change := after_failure(state, permit.circuit, circuit, now=self.now)) is not None:
                if self._store(change):
                    return
                assert state != self.states[-1], "a decision on the stored state is stored"
                state = self.states[-1]

    def _store(self, change: LimitChange) -> bool:
        after = change.applied_to(self.states[-1])
        if after is not None:
            self.states.append(after)
        return after is not None


@settings(max_examples=200, deadline=None)
@given(chosen=acts(most_skew=3))
def test_no_call_is_allowed_before_the_end_of_an_opening_or_of_another_probe(chosen: list[Act]) -> None:
    origin = Origin()
    for act in chosen:
        origin.play(act)

    for _, permit, before in origin.permits:
        assert permit.start >= instant_of(before[Member.OPEN_UNTIL])
        assert permit.is_probe is (before[Member.OPEN_UNTIL] > 0)


@settings(max_examples=200, deadline=None)
@given(chosen=acts())
def test_each_probe_outlasts_its_call(chosen: list[Act]) -> None:
    origin = Origin()
    for act in chosen:
        origin.play(act)

    for _, permit, _ in origin.permits:
        if permit.is_probe:
            assert instant_of(permit.circuit[Member.OPEN_UNTIL]) >= permit.until + 60 * SECOND


@settings(max_examples=200, deadline=None)
@given(chosen=acts(most_skew=3))
def test_a_circuit_goes_from_open_to_probed_and_only_from_there_to_closed(chosen: list[Act]) -> None:
    origin = Origin()
    for act in chosen:
        origin.play(act)

    was_open = False
    for before, after in zip(origin.states, origin.states[1:], strict=False):
        if before[Member.OPEN_UNTIL] == after[Member.OPEN_UNTIL]:
            continue
        is_opened = after[Member.FAILURES] > before[Member.FAILURES]
        is_probe = after[Member.OPEN_UNTIL] > 0 and not is_opened
        assert is_probe or not was_open, "an open circuit that was not probed"
        assert not is_probe or before[Member.OPEN_UNTIL] > 0, "a probe of a closed circuit"
        was_open = is_opened


@settings(max_examples=200, deadline=None)
@given(chosen=acts())
def test_it_never_stays_open_for_more_than_fifteen_minutes(chosen: list[Act]) -> None:
    """Whatever has happened, a call is allowed by then, so that the circuit can be closed."""
    origin = Origin()
    for act in chosen:
        origin.play(act)
    origin.calls, origin.now = [], origin.now + timedelta(minutes=15, seconds=80)

    allowed = len(origin.permits)
    last = Act(
        after=0,
        asks=True,
        forgets=0,
        skew=0,
        per_second=None,
        circuit=None,
        end=End.ANSWER,
        ends_oldest=False,
    )
    origin.play(last)

    assert len(origin.permits) == allowed + 1
    assert origin.states[-1][Member.OPEN_UNTIL] == 0
