"""The stored state of the limit of one origin in one account, and guarded changes of it.

Source: docs/decisions/0067, 0069 and 0072.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

from msgspec import Struct, field

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_EVER = 1 << 62


class Member(StrEnum):
    """A number of the state. Instants are in microseconds since 1970. A number that is not stored counts as 0."""

    NEXT_AT = "nextAt"
    """From when on the next permit may be used."""
    LINE_AT = "lineAt"
    """When the next call that has to wait without a runner is expected to get its permit."""
    NOT_BEFORE = "notBefore"
    """Until when the service has asked everyone to wait, by ``Retry-After``."""
    PER_SECOND = "perSecond"
    """The strictest rate that was stated lately, 0 for none."""
    STATED_AT = "statedAt"
    """When that rate was last stated."""
    OPEN_UNTIL = "openUntil"
    """Until when calls wait because the circuit is open, or because a probe is in flight; 0 if it is closed."""
    OPEN_FOR = "openFor"
    """For how long it was opened last, in microseconds; if it is closed, for how long it will be."""
    FAILURES = "failures"
    """How many calls in a row did not reach the service."""
    OPENS_AFTER = "opensAfter"
    """After how many of them the circuit opens: the fewest that one of these calls has stated, 0 if none has."""
    CONCURRENT = "concurrent"
    """The strictest number of calls in flight that was stated lately, 0 for none."""
    CONCURRENT_AT = "concurrentAt"
    """When that number was last stated."""
    TAKEN_FOR = "takenFor"
    """How long a slot is taken, on average, in microseconds."""


SLOT_PREFIX: Final = "slot"
"""The prefix of the names of slots. A slot's number is until when it is taken."""


def slot_name(number: int) -> str:
    """Return the name of a slot. The first one is slot 0."""
    return f"{SLOT_PREFIX}{number}"


class LimitState(Struct, frozen=True, kw_only=True):
    """The state of a limit. The numbers that all runners share, by ``Member`` and by the names of slots."""

    values: Mapping[str, int] = field(default_factory=dict)

    def __getitem__(self, name: str) -> int:
        """Return a number of the state."""
        return self.values.get(name, 0)


class Bounds(Struct, frozen=True, kw_only=True):
    """Inclusive bounds of a number."""

    low: int
    high: int


class LimitChange(Struct, frozen=True, kw_only=True):
    """A change of a state that is stored only if each guarded number is within its bounds.

    Two changes that only add commute, so writers that take permits at the same time need not repeat their writes.
    ``at`` is when the change was decided.
    """

    at: int
    guards: Mapping[str, Bounds]
    sets: Mapping[str, int] = field(default_factory=dict)
    adds: Mapping[str, int] = field(default_factory=dict)

    def applied_to(self, state: LimitState) -> LimitState | None:
        """Return the state after the change, or None if a guard does not allow it."""
        if not all(bounds.low <= state[name] <= bounds.high for name, bounds in self.guards.items()):
            return None
        added = {name: state[name] + number for name, number in self.adds.items()}
        return LimitState(values={**state.values, **self.sets, **added})


def exactly(number: int) -> Bounds:
    """Return the bounds that only one number is within."""
    return Bounds(low=number, high=number)


def at_least(number: int) -> Bounds:
    """Return the bounds of a number without an upper one."""
    return Bounds(low=number, high=_EVER)


def micros_of(at: datetime) -> int:
    """Return an instant as a number of a state."""
    return (at - _EPOCH) // _MICROSECOND


def micros_of_duration(duration: timedelta) -> int:
    """Return a duration in microseconds."""
    return duration // _MICROSECOND


def instant_of(micros: int) -> datetime:
    """Return the instant that a number of a state stands for."""
    return _EPOCH + micros * _MICROSECOND
