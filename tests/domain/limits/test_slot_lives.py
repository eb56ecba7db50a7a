"""There are never more calls in flight than the limit says, whatever runners do: they decide on old states, crash, lose
replies, keep their slots for further calls, and have clocks that differ.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest

from shared.domain.limits.grant import Demand, Permit, Take, grant
from shared.domain.limits.slots import Slot, free
from shared.domain.limits.state import LimitState
from shared.domain.strategy.model import ServiceLimit
from tests.factories import NOON

SECOND = timedelta(seconds=1)
LASTS = 20 * SECOND
SKEWS = [-2.4, 2.4, 0, 0.1]
"""By how many seconds the clock of each runner is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """What one of several runners does ``after`` some seconds: it asks for a call, or returns its slot.

    Its state is ``forgets`` changes old. The call lasts ``lasts``, and begins at once or as late as it may. The runner
    may crash at its end, and the reply to its write may be lost.
    """

    runner: int
    after: float
    is_late: bool
    returns: bool
    forgets: int
    lasts: float
    crashes: bool
    is_lost: bool


def acts(rng: random.Random) -> list[Act]:
    """Return the acts of a life."""
    return [
        Act(
            runner=rng.randrange(len(SKEWS)),
            after=rng.choice([0, 0, 0.1, 4, 10, 22, 40]),
            is_late=rng.random() < 0.5,
            returns=rng.random() < 0.3,
            forgets=rng.choice([0, 0, 1, 2]),
            lasts=rng.choice([0.05, 1, 20, 20]),
            crashes=rng.random() < 0.2,
            is_lost=rng.random() < 0.1,
        )
        for _ in range(60)
    ]


@dataclass
class Origin:
    """The state of a limit, the slots of the runners, and the calls in flight."""

    concurrent: int
    now: datetime = NOON
    states: list[LimitState] = field(default_factory=lambda: [LimitState()])
    slots: dict[int, Slot] = field(default_factory=dict)
    calls: list[tuple[datetime, datetime]] = field(default_factory=list)
    busy_until: dict[int, datetime] = field(default_factory=dict)

    def do(self, act: Act) -> None:
        """Let a runner act. While its own call is in flight, it does nothing."""
        self.now += act.after * SECOND
        if self.busy_until.get(act.runner, self.now) > self.now:
            return
        own = self.now + SKEWS[act.runner] * SECOND
        if act.returns:
            slot = self.slots.pop(act.runner, None)
            after = None if slot is None else free(slot, now=own).applied_to(self.states[-1])
            if after is not None:
                self.states.append(after)
            return
        permit = self._permit(act, now=own)
        if permit is None or permit.slot is None:
            return
        self.slots[act.runner] = permit.slot
        last = max(self.now, permit.until - SKEWS[act.runner] * SECOND)
        begins = last if act.is_late else self.now
        self.calls.append((begins, begins + act.lasts * SECOND))
        self.busy_until[act.runner] = self.calls[-1][1]
        if act.crashes:
            del self.slots[act.runner]

    def _permit(self, act: Act, *, now: datetime) -> Permit | None:
        demand = Demand(
            limit=ServiceLimit(concurrent=self.concurrent),
            leased_until=now + 5 * SECOND,
            latest=now + 5 * SECOND,
            key=f"i-{act.runner}",
            lasts=LASTS,
            slot=self.slots.get(act.runner),
        )
        state = self.states[max(len(self.states) - 1 - act.forgets, 0)]
        decided = grant(state, demand, now=now)
        if isinstance(decided, Permit):
            # Only a runner that has a slot needs no write.
            assert demand.slot is not None
            return decided
        if not isinstance(decided, Take):
            return None
        before, after = self.states[-1], decided.change.applied_to(self.states[-1])
        if after is None:
            return None
        self.states.append(after)
        return None if act.is_lost else decided.taken_from(before)


def most_in_flight(calls: list[tuple[datetime, datetime]]) -> int:
    """Return the most calls at any instant, its ends not included."""
    return max((sum(begins <= at < ends for begins, ends in calls) for at, _ in calls), default=0)


def lives(concurrent: int) -> Iterator[Origin]:
    """Yield origins after the lives of their runners. Random ones, since it takes a long life to break a rule."""
    for seed in range(1000):
        origin = Origin(concurrent)
        for act in acts(random.Random(seed)):
            origin.do(act)
        yield origin


@pytest.mark.parametrize("concurrent", [1, 2, 3])
def test_there_are_never_more_calls_in_flight_than_the_limit(concurrent: int) -> None:
    most = [most_in_flight(origin.calls) for origin in lives(concurrent)]

    assert max(most) == concurrent


def test_a_slot_is_free_again_after_a_while_whatever_happened() -> None:
    asks = Act(
        runner=0, after=300, is_late=False, returns=False, forgets=0, lasts=1, crashes=False, is_lost=False
    )
    for origin in lives(1):
        origin.slots.clear()
        origin.busy_until.clear()
        calls = len(origin.calls)

        origin.do(asks)

        assert len(origin.calls) == calls + 1
