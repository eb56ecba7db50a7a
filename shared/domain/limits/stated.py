"""The strictest number that the services of an origin state: a rate, or how many calls may be in flight.

A runner states the number of its own service when it stores a change. One that was not stated for an hour ends. So no
list of strategies is kept. Source: docs/decisions/0067.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct

from shared.domain.limits.state import Bounds, LimitState, Member, exactly, instant_of, micros_of

STATED_FOR: Final = timedelta(hours=1)
"""For how long the strictest limit of an origin counts after a call was last made under it."""


class Stated(Struct, frozen=True, kw_only=True):
    """The number that counts, the guards under which it does, and what stating it stores."""

    number: int
    guards: Mapping[str, Bounds]
    sets: Mapping[str, int]


def strictest_rate(state: LimitState, own: int | None, *, now: datetime) -> Stated | None:
    """Return the strictest rate that was stated lately, a service's ``own`` included, or None if there is none."""
    return _strictest(state, own, (Member.PER_SECOND, Member.STATED_AT), now=now)


def strictest_concurrent(state: LimitState, own: int | None, *, now: datetime) -> Stated | None:
    """Return the same for the number of calls in flight."""
    return _strictest(state, own, (Member.CONCURRENT, Member.CONCURRENT_AT), now=now)


def _strictest(
    state: LimitState, own: int | None, members: tuple[Member, Member], *, now: datetime
) -> Stated | None:
    number, stated_at = members
    stored = state[number]
    is_recent = stored > 0 and instant_of(state[stated_at]) + STATED_FOR > now
    guards: dict[str, Bounds] = {number: exactly(stored)}
    if own is not None and (not is_recent or own <= stored):
        if stored > 0 and own > stored:
            # Another strategy may state the stricter limit again at the same time.
            guards[stated_at] = exactly(state[stated_at])
        return Stated(number=own, guards=guards, sets={number: own, stated_at: micros_of(now)})
    return Stated(number=stored, guards=guards, sets={}) if is_recent else None
