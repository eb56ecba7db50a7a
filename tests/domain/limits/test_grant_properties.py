"""No second has more calls than the limit says, whatever runners do: they decide on old states, lose replies, come too
late, and have clocks that differ.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import ceil

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.limits.grant import (
    CLOCKS_DIFFER,
    LATEST_USE,
    Busy,
    Demand,
    Later,
    Permit,
    Take,
    grant,
    slow_down,
)
from shared.domain.limits.state import LimitState
from shared.domain.strategy.model import ServiceLimit
from tests.factories import NOON

MILLISECOND, SECOND = timedelta(milliseconds=1), timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Runner:
    """A runner that asks for a permit.

    ``after`` is the time since the runner before, and ``skew`` by how much its clock is wrong. ``forgets`` is how many
    changes its state is old. The reply may be lost. The call is sent ``use`` after the permit's instant, if that is
    not too late.
    """

    after: int
    skew: int
    forgets: int
    lead: int
    patience: int
    is_lost: bool
    use: int


def runners(most_skew: int) -> st.SearchStrategy[list[Runner]]:
    one = st.builds(
        Runner,
        after=st.sampled_from([0, 0, 0, 1, 3, 40, 700, 5000]),
        skew=st.integers(-most_skew, most_skew),
        forgets=st.sampled_from([0, 0, 1, 2]),
        lead=st.sampled_from([0, 0, 30, 400]),
        patience=st.sampled_from([0, 1000, 5000]),
        is_lost=st.sampled_from([False, False, False, True]),
        use=st.sampled_from([0, 0, 40, 80, 80, 81, 200]),
    )
    return st.lists(one, min_size=2, max_size=80)


def sent(chosen: list[Runner], per_second: int) -> tuple[list[datetime], list[Later]]:
    """Let runners ask one after another. Return when calls were sent, by a clock that is right, and all waits."""
    states, now, calls, waits = [LimitState()], NOON, list[datetime](), list[Later]()
    for each in chosen:
        now += each.after * MILLISECOND
        skew = each.skew * MILLISECOND
        granted = permit_for(states, each, per_second, now=now + skew)
        if isinstance(granted, Later):
            waits.append(granted)
        elif not each.is_lost:
            by_own_clock = max(granted.start, now + skew) + each.use * MILLISECOND
            if by_own_clock <= granted.until:
                calls.append(by_own_clock - skew)
    return sorted(calls), waits


def permit_for(states: list[LimitState], runner: Runner, per_second: int, *, now: datetime) -> Permit | Later:
    """Ask until a change is stored, first on a state that may be old."""
    state = states[max(len(states) - 1 - runner.forgets, 0)]
    demand = Demand(
        limit=ServiceLimit(per_second=per_second),
        leased_until=now,
        latest=now + runner.patience * MILLISECOND,
        key="i-1",
        lasts=SECOND,
        lead=runner.lead * MILLISECOND,
    )
    while True:
        decided = grant(state, demand, now=now)
        assert not isinstance(decided, Permit | Later | Busy), "a rate has no permit without a change"
        before, after = states[-1], decided.change.applied_to(states[-1])
        if after is not None:
            states.append(after)
            return decided.taken_from(before) if isinstance(decided, Take) else decided.wait_after(before)
        assert state != before, "a decision on the stored state is stored"
        state = before


def most_in_a_second(calls: list[datetime]) -> int:
    """Return the most calls in any second, its end not included."""
    return max((sum(at <= other < at + SECOND for other in calls) for at in calls), default=0)


@settings(max_examples=400, deadline=None)
@given(chosen=runners(most_skew=10), per_second=st.sampled_from([1, 2, 3, 7, 20]))
def test_no_second_has_more_calls_than_the_limit(chosen: list[Runner], per_second: int) -> None:
    calls, _ = sent(chosen, per_second)

    assert most_in_a_second(calls) <= per_second


@settings(max_examples=200, deadline=None)
@given(chosen=runners(most_skew=2000), per_second=st.sampled_from([1, 3, 20]))
def test_clocks_that_differ_more_exceed_it_in_proportion(chosen: list[Runner], per_second: int) -> None:
    calls, _ = sent(chosen, per_second)

    margin = (LATEST_USE + CLOCKS_DIFFER).total_seconds()
    assert most_in_a_second(calls) <= ceil(per_second * (1 + LATEST_USE.total_seconds() + 4) / (1 + margin))


@settings(max_examples=200, deadline=None)
@given(chosen=runners(most_skew=0), per_second=st.sampled_from([1, 3, 20]))
def test_a_wait_without_a_runner_ends_later(chosen: list[Runner], per_second: int) -> None:
    _, waits = sent(chosen, per_second)

    assert all(wait.until > NOON for wait in waits)


@settings(max_examples=200, deadline=None)
@given(
    chosen=runners(most_skew=0),
    other=st.lists(st.sampled_from([1, 3, 20, 100]), min_size=80, max_size=80),
)
def test_with_several_limits_the_strictest_counts_from_its_first_statement_on(
    chosen: list[Runner], other: list[int]
) -> None:
    states, now, calls, strictest = [LimitState()], NOON, list[datetime](), 1000
    for each, per_second in zip(chosen, other, strict=False):
        now += each.after * MILLISECOND
        if per_second < strictest:
            # What was granted before may still be used.
            strictest, calls = per_second, []
        granted = permit_for(states, replace(each, patience=0, forgets=0, lead=0), per_second, now=now)
        if isinstance(granted, Permit):
            calls.append(granted.start)

    assert most_in_a_second(calls) <= strictest


@settings(max_examples=200, deadline=None)
@given(chosen=runners(most_skew=0), end=st.integers(1, 20_000))
def test_no_permit_is_granted_before_the_end_of_a_slow_down(chosen: list[Runner], end: int) -> None:
    change = slow_down(NOON + end * MILLISECOND, now=NOON)
    assert change is not None
    slowed = change.applied_to(LimitState())
    assert slowed is not None
    states, now = [slowed], NOON
    for each in chosen:
        now += each.after * MILLISECOND
        granted = permit_for(states, replace(each, forgets=0), 20, now=now)
        assert isinstance(granted, Later) or granted.start >= NOON + end * MILLISECOND
