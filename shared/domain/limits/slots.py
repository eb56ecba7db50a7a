"""Slots: how many calls to an origin may be in flight at the same time.

A slot is the right to have one call in flight. A runner takes a free one for the calls of its run to one origin, by
moving the slot's own number on, beyond the longest time that its call can take. It returns the slot afterwards. If it
crashes instead, the slot passes by time alone. Slots are numbered, and only those below the limit are taken, so that
there are never more of them than the limit says.
Source: docs/decisions/0072.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct, field

from shared.domain.instance.due import spread
from shared.domain.limits.state import (
    SLOT_PREFIX,
    Bounds,
    LimitChange,
    LimitState,
    Member,
    exactly,
    instant_of,
    micros_of,
    micros_of_duration,
    slot_name,
)
from shared.domain.limits.stated import Stated

KEPT_FOR_MORE: Final = timedelta(seconds=10)
"""For how long after it was taken a slot serves further calls of its run without another write."""

SLOT_MARGIN: Final = timedelta(seconds=5)
"""How much longer a slot lasts than its call, for clocks that differ."""

SHORTEST_TAKEN: Final = timedelta(milliseconds=50)
"""The least that a slot counts as being taken for, on average: nothing is known about a new limit."""

_SECOND: Final = timedelta(seconds=1)
_OF_EIGHT: Final = 8
"""How many times are averaged, roughly: each new one counts for an eighth."""


class Slot(Struct, frozen=True, kw_only=True):
    """A slot that a runner has: its number, and the value by which it is taken (``until``, in microseconds).

    The runner has it ``since`` an instant. ``taken_for`` is the average time that it saw then.
    """

    number: int
    until: int
    since: datetime
    taken_for: int

    @property
    def name(self) -> str:
        """Return the name of its number in a state."""
        return slot_name(self.number)


class SlotTerms(Struct, frozen=True, kw_only=True):
    """The slot for one call: None if it needs none, or if all are taken (``are_taken``).

    ``guards`` have to hold while it is taken or moved on, by ``sets``. Both are empty if the runner has it already.
    """

    slot: Slot | None = None
    are_taken: bool = False
    guards: Mapping[str, Bounds] = field(default_factory=dict)
    sets: Mapping[str, int] = field(default_factory=dict)


def slot_for(
    state: LimitState, limit: Stated | None, own: Slot | None, *, key: str, ends: datetime, now: datetime
) -> SlotTerms:
    """Return the slot for a call that ends at ``ends`` at the latest.

    ``limit`` is the strictest one, None if there is none. ``own`` is the slot that the runner has already. It is kept,
    also if the limit was lowered meanwhile. ``key`` chooses among free ones, so that few runners want the same.
    """
    if limit is None:
        return SlotTerms()
    if own is not None and state[own.name] == own.until:
        if own.until >= micros_of(ends + SLOT_MARGIN):
            return SlotTerms(slot=own)
        number, since, is_free = own.number, own.since, exactly(own.until)
    else:
        free_slots = [number for number in range(limit.number) if instant_of(state[slot_name(number)]) <= now]
        if not free_slots:
            return SlotTerms(are_taken=True)
        # By the instant as well: runners that look again would otherwise want the same slot each time.
        number = free_slots[int(spread(f"{key}#{micros_of(now)}") * len(free_slots))]
        since, is_free = now, Bounds(low=0, high=micros_of(now))
    # Runners that began to wait in the same millisecond would store the same number.
    until = micros_of(ends + SLOT_MARGIN + KEPT_FOR_MORE + spread(key) * _SECOND)
    return SlotTerms(
        slot=Slot(number=number, until=until, since=since, taken_for=state[Member.TAKEN_FOR]),
        guards={**limit.guards, slot_name(number): is_free},
        sets={**limit.sets, slot_name(number): until},
    )


def is_moved_on(own: Slot | None, moved: Slot, state: LimitState, *, now: datetime) -> bool:
    """Return whether a refused move of a runner's own slot was stored before: the reply to that request was lost.

    ``state`` is the one that refused it. Nobody else moves a slot before it has passed.
    """
    if own is None or own.number != moved.number or instant_of(own.until) <= now + SLOT_MARGIN:
        return False
    return state[moved.name] == moved.until


def slot_spacing(state: LimitState, limit: Stated) -> int:
    """Return how often a slot is expected to become free, in microseconds."""
    return max(state[Member.TAKEN_FOR], micros_of_duration(SHORTEST_TAKEN)) // limit.number


def free(slot: Slot, *, now: datetime) -> LimitChange:
    """Return the change that frees a slot, unless it has passed and another runner has taken it."""
    taken_for = max(micros_of_duration(now - slot.since), 0)
    average = slot.taken_for + (taken_for - slot.taken_for) // _OF_EIGHT if slot.taken_for else taken_for
    return LimitChange(
        at=micros_of(now),
        guards={slot.name: exactly(slot.until)},
        sets={slot.name: 0, Member.TAKEN_FOR: average},
    )


def slots_taken(state: LimitState, *, now: datetime) -> int:
    """Return how many slots are taken."""
    return sum(name.startswith(SLOT_PREFIX) and instant_of(at) > now for name, at in state.values.items())
