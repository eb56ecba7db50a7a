"""The faults of a world: their kinds, how often they occur, and until when."""

import random
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.application.ports import ConnectionLostError, OverloadedError, UnavailableError
from shared.domain.steps.call import Answered

NOT_SENT = "connection refused"
"""The error of a call that did not reach its service."""

REFUSALS = (409, 425, 429, 503)
"""The statuses of a service that has not done it and may be asked again."""

GATEWAY_ERRORS = (502, 503, 504)
"""The statuses of a gateway behind which the service may have done it."""

GARBLED = (
    *(Answered(status=status) for status in (302, 408, 500, 502, 504, 520)),
    Answered(status=200, unusable="larger than 128 KB"),
    Answered(status=201, body={"id": "\0"}),
)
"""Answers that a gateway, or a broken line, makes of the answer of a service, whatever the service has done."""


@dataclass(slots=True)
class Faults:
    """The faults of a story.

    Chances apply to each point, and only to the first ``until`` points. ``kill_at`` are the numbers of points with a
    crash. Each point takes up to ``pace`` seconds and each call up to ``call_lasts``, also later. The clock of each
    process is wrong by up to ``skew``.

    ``lost_reply`` loses replies to changes of instances and operations in a way that the SDK hides: its own repeat
    finds the rev changed. ``lost_any_reply`` loses the replies to all writes, and the caller gets either error.
    ``gateway_error`` is an effect behind a 502, 503 or 504.
    """

    rng: random.Random
    until: int = 0
    kill: float = 0.0
    stall: float = 0.0
    longest_stall: int = 600
    lost_reply: float = 0.0
    lost_any_reply: float = 0.0
    lost_wakeup: float = 0.0
    double_wakeup: float = 0.0
    late_wakeup: float = 0.0
    early_wakeup: float = 0.0
    service_error: float = 0.0
    service_silence: float = 0.0
    service_refusal: float = 0.0
    service_garbling: float = 0.0
    gateway_error: float = 0.0
    kill_at: frozenset[int] = frozenset()
    pace: float = 0.0
    call_lasts: float = 0.0
    skew: timedelta = timedelta()
    points: int = 0

    def happens(self, chance: float) -> bool:
        """Return whether a fault with that chance happens now."""
        return chance > 0 and self.points <= self.until and self.rng.random() < chance

    def wrong_by(self) -> timedelta:
        """Return by how much the clock of a new process is wrong."""
        if not self.skew:
            return timedelta()
        return timedelta(seconds=round(self.rng.uniform(-1, 1) * self.skew.total_seconds()))


@dataclass(slots=True)
class BrownOut:
    """A time in which some points fail: those before a write with nothing written, those after it with all written.

    It begins with the point number ``from_point``, lasts for ``lasts``, and spares a point with the chance ``spared``.
    """

    rng: random.Random
    labels: frozenset[str]
    from_point: int = 0
    lasts: timedelta = timedelta(hours=1)
    spared: float = 0.0
    errors: tuple[type[UnavailableError], ...] = (OverloadedError, ConnectionLostError)
    ends_at: datetime | None = None
    failures: int = 0

    def fails(self, label: str, point: int, now: datetime) -> bool:
        """Return whether a point fails."""
        if point < self.from_point:
            return False
        self.ends_at = self.ends_at or now + self.lasts
        fails = label in self.labels and now < self.ends_at and self.rng.random() >= self.spared
        self.failures += fails
        return fails
