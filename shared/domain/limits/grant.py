"""When a call may be sent under a limit: now, at an instant for which a runner waits, or later, without a runner.

Permits of an origin have instants that are evenly spaced. A runner takes one by moving the instant of the next permit
on, and sends its call within ``LATEST_USE`` after its own instant. The spacing is a little wider than the limit says,
by ``LATEST_USE`` and ``CLOCKS_DIFFER``, so that a second never has more calls than ``perSecond``, wherever it begins.
While the circuit is open, calls wait as they do for the end of a slow-down; the permit of the next call is the right to
probe (``circuit.py``). If the calls in flight are limited, each needs a slot as well (``slots.py``).
Source: docs/decisions/0067, 0069 and 0072.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct, field
from msgspec.structs import replace

from shared.domain.instance.due import spread
from shared.domain.limits.circuit import PROBE_MARGIN, circuit_of
from shared.domain.limits.slots import Slot, SlotTerms, slot_for, slot_spacing
from shared.domain.limits.state import (
    Bounds,
    LimitChange,
    LimitState,
    Member,
    at_least,
    exactly,
    instant_of,
    micros_of,
    micros_of_duration,
)
from shared.domain.limits.stated import Stated, strictest_concurrent, strictest_rate
from shared.domain.strategy.model import ServiceLimit

LATEST_USE: Final = timedelta(milliseconds=80)
"""How long after its instant a permit may be used. Later it is lost, and the runner takes another one."""

CLOCKS_DIFFER: Final = timedelta(milliseconds=20)
"""By how much the clocks of two runners may differ, their precision included, for a limit to be exact."""

MAX_PATIENCE: Final = timedelta(seconds=5)
"""The longest time for which a runner waits for a permit while it has a lease."""

MAX_AHEAD: Final = timedelta(seconds=50)
"""How far ahead a permit may be. For a later one than ``MAX_PATIENCE`` the invocation waits without a lease."""

ASK_AGAIN: Final = timedelta(milliseconds=500)
"""How often a runner that waits under its lease looks for a free slot, on average."""

CLAIM_EARLY: Final = timedelta(seconds=1)
"""How much before such a permit the event is due again, so that its claim is done in time."""

MAX_SLOWDOWN: Final = timedelta(minutes=15)
"""The longest time for which one ``Retry-After`` slows down all runners. The refused call itself may wait longer."""

RETURN_EARLY: Final = timedelta(seconds=2)
"""How much before its expected permit a call returns that waits without a runner, so that no permit is left unused."""

SHORTEST_WAIT: Final = timedelta(seconds=1)
"""The shortest wait without a runner."""

SHORTEST_WAIT_FOR_SLOT: Final = timedelta(seconds=5)
"""The shortest such wait of a call whose runner has looked for a free slot in vain."""

MAX_WAIT_FOR_SLOT: Final = timedelta(minutes=5)
"""The longest such wait. Runners wait between half of it and all of it."""

SPREAD_OF_UNLIMITED: Final = timedelta(seconds=10)
"""Over how long the calls return that have waited for the end of a slow-down, if the origin has no rate."""

_SECOND: Final = timedelta(seconds=1)
_MICROSECOND: Final = timedelta(microseconds=1)


class Permit(Struct, frozen=True, kw_only=True):
    """The call may be sent from ``start`` on, and not after ``until``.

    ``circuit`` is the circuit while the call is made, in which alone its outcome counts. If it is not closed, this is
    the right to probe. ``slot`` is the call's slot, if it needs one.
    """

    start: datetime
    until: datetime
    circuit: LimitState = field(default_factory=LimitState)
    slot: Slot | None = None

    @property
    def is_probe(self) -> bool:
        """Return whether the call probes a service whose circuit is not closed."""
        return self.circuit[Member.OPEN_UNTIL] > 0


class Later(Struct, frozen=True, kw_only=True):
    """No permit is near. The call waits without a runner until ``until``, and then asks again."""

    until: datetime


class Busy(Struct, frozen=True, kw_only=True):
    """All slots are taken. The runner asks again at ``again``, under its lease."""

    again: datetime


class Take(Struct, frozen=True, kw_only=True):
    """Take a permit by storing ``change``. ``start`` is its instant, None if it is that of the state before.

    The permit may be used until ``until``, None for as long as one of a rate. ``slot`` is the slot of its call.
    """

    change: LimitChange
    start: datetime | None
    until: datetime | None = None
    slot: Slot | None = None

    def taken_from(self, before: LimitState) -> Permit:
        """Return the permit that was taken by the change of a state."""
        start = instant_of(before[Member.NEXT_AT]) if self.start is None else self.start
        circuit = circuit_of(LimitState(values={**before.values, **self.change.sets}))
        return Permit(start=start, until=self.until or start + LATEST_USE, circuit=circuit, slot=self.slot)


class Join(Struct, frozen=True, kw_only=True):
    """Join the line of calls that wait without a runner, by storing ``change``.

    ``place`` is when a permit or a slot is expected, None if the state before says it. The call does not return before
    ``earliest``, and not after ``latest`` if that is set.
    """

    change: LimitChange
    place: datetime | None
    earliest: datetime
    latest: datetime | None = None

    def wait_after(self, before: LimitState) -> Later:
        """Return the wait of the place in the line that was taken by the change of a state."""
        place = instant_of(before[Member.LINE_AT]) if self.place is None else self.place
        until = max(place - RETURN_EARLY, self.earliest)
        return Later(until=until if self.latest is None else min(until, self.latest))


Grant = Permit | Later | Busy | Take | Join
"""What is decided on a state: the last two after a change of it."""


class Demand(Struct, frozen=True, kw_only=True):
    """A call that needs a permit under the ``limit`` of its service.

    Its runner can wait until ``leased_until`` under its lease, and its invocation until ``latest``. It cannot use a
    permit within ``lead`` from now on, because the store is slow to answer. ``key`` spreads calls that would return at
    the same time. The call takes up to ``lasts``. ``probe`` is the end of a right to probe that its runner has already,
    and ``slot`` the slot that it has. ``yields`` is set if another runner was faster to take
    a free one: then it waits as if all were taken, so that runners do not race for them.
    """

    limit: ServiceLimit
    leased_until: datetime
    latest: datetime
    key: str
    lasts: timedelta
    lead: timedelta = timedelta()
    probe: int = 0
    slot: Slot | None = None
    yields: bool = False


def spacing_of(per_second: int) -> timedelta:
    """Return the time between two permits, in whole microseconds, rounded up.

    A second in which calls are sent has the permits of ``LATEST_USE`` before it as well, and of ``CLOCKS_DIFFER``.
    """
    return -(-(_SECOND + LATEST_USE + CLOCKS_DIFFER) // (per_second * _MICROSECOND)) * _MICROSECOND


def grant(state: LimitState, demand: Demand, *, now: datetime) -> Grant:
    """Return when the call may be sent, or the change of the state that has to be stored to know it."""
    leased_until = max(demand.leased_until, now)
    # The call may begin as late as the lease allows.
    ends = leased_until + LATEST_USE + demand.lasts
    rate = strictest_rate(state, demand.limit.per_second, now=now)
    concurrent = strictest_concurrent(state, demand.limit.concurrent, now=now)
    slots = slot_for(state, concurrent, demand.slot, key=demand.key, ends=ends, now=now)
    circuit = _circuit_for(state, demand, ends=ends)
    slowed_until = max(instant_of(state[Member.NOT_BEFORE]), circuit.open_until)
    if rate is None:
        if slowed_until > leased_until:
            return Later(until=slowed_until + spread(demand.key) * SPREAD_OF_UNLIMITED)
        if concurrent is not None and _has_to_wait(slots, demand):
            return _wait_for_slot(state, concurrent, demand.key, leased_until=leased_until, now=now)
        return _unrated(
            state, circuit, slots, start=max(now, slowed_until), until=leased_until + LATEST_USE, now=now
        )
    # A right to probe and a slot are not kept without a lease: others wait for them.
    latest = max(demand.latest, now) if concurrent is None and not circuit.sets else leased_until
    earliest, next_at = max(now + demand.lead, slowed_until), instant_of(state[Member.NEXT_AT])
    if max(earliest, next_at) > latest:
        floor = max(latest, next_at, slowed_until)
        joining = _join(state, _pace_of(rate), floor=floor, earliest=now + SHORTEST_WAIT, now=now)
        # The line may be that of slots, whose places are guesses.
        return joining if concurrent is None else replace(joining, latest=floor + MAX_WAIT_FOR_SLOT)
    if concurrent is not None and _has_to_wait(slots, demand):
        return _wait_for_slot(state, concurrent, demand.key, leased_until=leased_until, now=now)
    return _take(rate, circuit, slots, earliest, next_at, latest=latest, now=now)


def slow_down(retry_at: datetime, *, now: datetime) -> LimitChange | None:
    """Return the change that makes all runners wait until an instant that a service has named, if it is ahead."""
    until = micros_of(min(retry_at, now + MAX_SLOWDOWN))
    if until <= micros_of(now):
        return None
    # Many calls are refused together. Only those that move the end by a second or more are worth a write.
    bounds = Bounds(low=0, high=until - micros_of_duration(_SECOND))
    return LimitChange(at=micros_of(now), guards={Member.NOT_BEFORE: bounds}, sets={Member.NOT_BEFORE: until})


class _Circuit(Struct, frozen=True, kw_only=True):
    """The circuit for one call: until when the call waits for it, its guards, and what the right to probe stores."""

    open_until: datetime
    guards: Mapping[str, Bounds]
    sets: Mapping[str, int]


def _circuit_for(state: LimitState, demand: Demand, *, ends: datetime) -> _Circuit:
    """Return the circuit for a call. If it is not closed, the call is a probe."""
    open_until = state[Member.OPEN_UNTIL]
    guards: dict[str, Bounds] = {Member.OPEN_UNTIL: exactly(open_until)}
    if not open_until:
        return _Circuit(open_until=instant_of(0), guards=guards, sets={})
    is_own = open_until == demand.probe
    return _Circuit(
        open_until=instant_of(0 if is_own else open_until),
        guards=guards,
        sets={Member.OPEN_UNTIL: micros_of(ends + PROBE_MARGIN)},
    )


class _Pace(Struct, frozen=True, kw_only=True):
    """How often a call can be sent, in microseconds, the guards under which that is so, and what stating it stores."""

    spacing: int
    guards: Mapping[str, Bounds]
    sets: Mapping[str, int]


def _pace_of(rate: Stated) -> _Pace:
    return _Pace(spacing=micros_of_duration(spacing_of(rate.number)), guards=rate.guards, sets=rate.sets)


def _unrated(
    state: LimitState, circuit: _Circuit, slots: SlotTerms, *, start: datetime, until: datetime, now: datetime
) -> Permit | Take:
    """Return the permit of a call that no rate limits. It is taken by a change if it needs a slot or is a probe."""
    sets: dict[str, int] = {**circuit.sets, **slots.sets}
    if not sets:
        return Permit(start=start, until=until, circuit=circuit_of(state), slot=slots.slot)
    guards: dict[str, Bounds] = {
        **circuit.guards,
        **slots.guards,
        Member.NOT_BEFORE: Bounds(low=0, high=micros_of(start)),
    }
    change = LimitChange(at=micros_of(now), guards=guards, sets=sets)
    return Take(change=change, start=start, until=until, slot=slots.slot)


def _take(
    rate: Stated,
    circuit: _Circuit,
    slots: SlotTerms,
    earliest: datetime,
    next_at: datetime,
    *,
    latest: datetime,
    now: datetime,
) -> Take:
    """Take the next permit, or one that is free if the next one would be too early."""
    first, spacing = micros_of(earliest), micros_of_duration(spacing_of(rate.number))
    guards: dict[str, Bounds] = {
        **rate.guards,
        **circuit.guards,
        **slots.guards,
        Member.NOT_BEFORE: Bounds(low=0, high=first),
    }
    sets: dict[str, int] = {**rate.sets, **circuit.sets, **slots.sets}
    if next_at <= earliest:
        guards[Member.NEXT_AT] = Bounds(low=0, high=first)
        sets[Member.NEXT_AT] = first + spacing
        change = LimitChange(at=micros_of(now), guards=guards, sets=sets)
        return Take(change=change, start=earliest, slot=slots.slot)
    guards[Member.NEXT_AT] = Bounds(low=first, high=micros_of(latest))
    change = LimitChange(at=micros_of(now), guards=guards, sets=sets, adds={Member.NEXT_AT: spacing})
    return Take(change=change, start=None, slot=slots.slot)


def _has_to_wait(slots: SlotTerms, demand: Demand) -> bool:
    """Return whether a call has to wait for a slot: all are taken, or its runner lost a race for a free one."""
    return slots.are_taken or (demand.yields and demand.slot is None)


def _wait_for_slot(
    state: LimitState, concurrent: Stated, key: str, *, leased_until: datetime, now: datetime
) -> Busy | Join | Later:
    """Look again under the lease, or join the line. ``key`` lets runners look at different times.

    How soon slots become free is a guess, and after an outage a bad one. So no call waits for its place for longer than
    ``MAX_WAIT_FOR_SLOT``, and the line does not become longer than that.
    """
    share = spread(f"{key}#{micros_of(now)}")
    again = now + ASK_AGAIN * (0.5 + share)
    if again <= leased_until:
        return Busy(again=again)
    pace = _Pace(spacing=slot_spacing(state, concurrent), guards=concurrent.guards, sets=concurrent.sets)
    latest = now + MAX_WAIT_FOR_SLOT * (1 + share) / 2
    if instant_of(state[Member.LINE_AT]) > now + MAX_WAIT_FOR_SLOT:
        return Later(until=latest)
    joining = _join(state, pace, floor=leased_until, earliest=now + SHORTEST_WAIT_FOR_SLOT, now=now)
    return replace(joining, latest=latest)


def _join(state: LimitState, pace: _Pace, *, floor: datetime, earliest: datetime, now: datetime) -> Join:
    """Join the line, which begins at ``floor`` at the earliest. A stricter limit counts at once, for others too."""
    first = micros_of(floor)
    if state[Member.LINE_AT] <= first:
        guards: dict[str, Bounds] = {**pace.guards, Member.LINE_AT: Bounds(low=0, high=first)}
        sets = {**pace.sets, Member.LINE_AT: first + pace.spacing}
        return Join(
            change=LimitChange(at=micros_of(now), guards=guards, sets=sets), place=floor, earliest=earliest
        )
    guards = {**pace.guards, Member.LINE_AT: at_least(first)}
    adds: dict[str, int] = {Member.LINE_AT: pace.spacing}
    change = LimitChange(at=micros_of(now), guards=guards, sets=pace.sets, adds=adds)
    return Join(change=change, place=None, earliest=earliest)
