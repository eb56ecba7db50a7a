"""The circuit of an origin: when its calls wait because it is unreachable, and what the outcome of a call changes.

A circuit is closed until enough calls in a row did not reach the service. Then it is open: calls wait. Afterwards one
call probes the service. It takes the right to do so by moving ``OPEN_UNTIL`` on, beyond the longest time that it can
take, so that the others wait on. An answer closes the circuit, and a failure opens it for twice as long. If the runner
of a probe crashes, its right passes with ``OPEN_UNTIL``.

The outcome of a call counts only if ``OPEN_UNTIL`` is still what it was when the call was allowed. So calls that were
in flight when the circuit opened change nothing, and neither does a probe whose right has passed to another one.
Source: docs/decisions/0069.
"""

from datetime import datetime, timedelta
from typing import Final

from shared.domain.limits.state import (
    Bounds,
    LimitChange,
    LimitState,
    Member,
    at_least,
    exactly,
    micros_of,
    micros_of_duration,
)
from shared.domain.strategy.model import Circuit
from shared.domain.strategy.settings import MAX_OPEN_SECONDS

MAX_OPEN: Final = timedelta(seconds=MAX_OPEN_SECONDS)
"""The longest time for which a circuit is open before the next probe."""

PROBE_MARGIN: Final = timedelta(seconds=5)
"""How much longer the right to probe lasts than the call, so that its outcome is stored, and for clocks that differ."""

_MEMBERS: Final = (Member.OPEN_UNTIL, Member.OPEN_FOR, Member.FAILURES, Member.OPENS_AFTER)


def circuit_of(state: LimitState) -> LimitState:
    """Return the part of a state that is about its circuit, empty if it is closed and no call has failed."""
    return LimitState(values={member: state[member] for member in _MEMBERS if state[member]})


def after_answer(seen: LimitState, *, now: datetime) -> LimitChange | None:
    """Return the change after a call that got an answer, or None if there is nothing to change.

    ``seen`` is the circuit when the call was allowed. An answer closes the circuit and ends the count of failures.
    """
    open_until = seen[Member.OPEN_UNTIL]
    if not open_until and not seen[Member.FAILURES]:
        return None
    guards: dict[str, Bounds] = {Member.OPEN_UNTIL: exactly(open_until)}
    if not open_until:
        # Of many answers at the same time, only the first one needs to be stored.
        guards[Member.FAILURES] = at_least(1)
    return LimitChange(at=micros_of(now), guards=guards, sets=dict.fromkeys(_MEMBERS, 0))


def after_failure(
    state: LimitState, seen: LimitState, circuit: Circuit | None, *, now: datetime
) -> LimitChange | None:
    """Return the change after a call that did not reach its service, or None if it does not count.

    ``seen`` is the circuit when the call was allowed. ``circuit`` is the setting of the call's service. Without one,
    only the failure of a probe counts.
    """
    open_until = state[Member.OPEN_UNTIL]
    if open_until != seen[Member.OPEN_UNTIL]:
        return None
    if open_until:
        open_for = 2 * state[Member.OPEN_FOR]
        if circuit is not None:
            open_for = max(open_for, micros_of_duration(circuit.open_for))
        return _open(state, min(open_for, micros_of_duration(MAX_OPEN)), now=now)
    return None if circuit is None else _count(state, circuit, now=now)


def opens(change: LimitChange) -> bool:
    """Return whether a change after a failure opens the circuit, or keeps it open."""
    return Member.OPEN_UNTIL in change.sets


def _count(state: LimitState, circuit: Circuit, *, now: datetime) -> LimitChange:
    """Count a failure, and open the circuit if it is one too many. The strictest setting counts."""
    opens_after = min(circuit.failures, state[Member.OPENS_AFTER] or circuit.failures)
    open_for = max(micros_of_duration(circuit.open_for), state[Member.OPEN_FOR])
    if state[Member.FAILURES] + 1 >= opens_after:
        return _open(state, open_for, now=now)
    guards: dict[str, Bounds] = {
        Member.OPEN_UNTIL: exactly(0),
        # Failures at the same time are all counted, but not beyond the one that opens the circuit.
        Member.FAILURES: Bounds(low=0, high=opens_after - 2),
        Member.OPENS_AFTER: exactly(state[Member.OPENS_AFTER]),
        Member.OPEN_FOR: exactly(state[Member.OPEN_FOR]),
    }
    sets: dict[str, int] = {Member.OPENS_AFTER: opens_after, Member.OPEN_FOR: open_for}
    return LimitChange(at=micros_of(now), guards=guards, sets=sets, adds={Member.FAILURES: 1})


def _open(state: LimitState, open_for: int, *, now: datetime) -> LimitChange:
    guards: dict[str, Bounds] = {
        member: exactly(state[member]) for member in (Member.OPEN_UNTIL, Member.OPENS_AFTER, Member.OPEN_FOR)
    }
    # An answer meanwhile ends the count.
    guards[Member.FAILURES] = at_least(state[Member.FAILURES])
    sets: dict[str, int] = {Member.OPEN_UNTIL: micros_of(now) + open_for, Member.OPEN_FOR: open_for}
    return LimitChange(at=micros_of(now), guards=guards, sets=sets, adds={Member.FAILURES: 1})
