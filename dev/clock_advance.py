"""Advances simulated time from one scheduled wakeup or sweep entry to the next, in order."""

import math
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from dev.activity import SHORT, Activity
from dev.clock import ClockFile
from dev.schedules import Scheduled, Schedules

MAX_STEPS = 100_000
"""How many wakeups and sweeps a jump starts at most, because an endless chain of events must not hang the stack."""

MAX_HEAD = 100
"""How many wakeups are checked at once for having become stale: as many instances as DynamoDB reads at once."""

_MINUTE = timedelta(minutes=1)


class AdvanceError(Exception):
    """The clock stopped before the end of a jump. ``still_running`` describes the invocations it waits for."""

    def __init__(self, message: str, still_running: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.still_running = list(still_running)


@dataclass(kw_only=True)
class ClockAdvance:
    """Advances the offset of the clock, and waits for everything that it starts.

    ``wake`` starts the step runner and ``sweep`` the sweeper. ``earliest_sweep`` returns the instant of the earliest
    entry of the due index, or None if the sweeper is off. ``stale`` returns those of some schedules whose runner would
    do nothing. ``patience_seconds`` is how long a jump waits for the same invocations.
    """

    clock: ClockFile
    schedules: Schedules
    activity: Activity
    wake: Callable[[Mapping[str, Any]], object]
    sweep: Callable[[], object]
    earliest_sweep: Callable[[], datetime | None]
    stale: Callable[[Sequence[Scheduled]], set[str]]
    patience_seconds: float
    stale_wakeups: int = 0
    # One, as long as wakeups are not stale; then twice as many each time, so that many stale ones need few reads.
    _head: int = 1
    _running: threading.Lock = field(default_factory=threading.Lock)

    def advance_to(self, to: datetime) -> None:
        """Advance simulated time to an instant. It never goes back.

        It ends up to five seconds later if a run pauses just then. A runner that waits for an event after ``to`` is
        left waiting. Raises: AdvanceError: the clock has stopped earlier.
        """
        with self._running:
            try:
                for _ in range(MAX_STEPS):
                    self._await_quiet()
                    if not self._step(to):
                        break
                else:
                    raise AdvanceError(f"the clock stopped at {self.clock.now()}, after {MAX_STEPS} wakeups")
                self._move_to(to)
            finally:
                self.schedules.rewrite()

    def _await_quiet(self) -> None:
        still_running = self.activity.await_quiet(self.patience_seconds)
        if still_running:
            message = (
                f"the clock stopped at {self.clock.now().isoformat()}, because this has not ended "
                f"within {self.patience_seconds:g} s: {'; '.join(still_running)}. Repeat the request to continue."
            )
            raise AdvanceError(message, still_running)

    def _step(self, to: datetime) -> bool:
        """Run the next wakeup or sweep, or continue a waiting runner. Return False if there is none up to ``to``."""
        awakening = self.activity.next_awakening()
        first = self.schedules.first(1, until=to)
        nearest = min([one.at for one in first] + ([] if awakening is None else [awakening]), default=to)
        # The due index has many partitions, so it is not read for what happens before the next minute: the sweeper
        # comes once a minute, and at which second of it is not promised.
        minute = self.clock.now().replace(second=0, microsecond=0) + _MINUTE
        is_near = nearest < min(minute, to)
        sweep = None if is_near else self._next_sweep()
        bounds = [at for at in (to, awakening, sweep, minute if is_near else None) if at is not None]
        head = self.schedules.first(self._head, until=min(bounds))
        # At the same instant a wakeup comes before a sweep, as on AWS.
        if head:
            return self._wake_first(head)
        if awakening is not None and awakening <= to + SHORT and (sweep is None or awakening <= sweep):
            self._move_to(awakening)
            return True
        if sweep is not None and sweep <= to:
            self._move_to(sweep)
            self.sweep()
            return True
        return False

    def _wake_first(self, head: Sequence[Scheduled]) -> bool:
        """Start the first of some wakeups that is not stale. The stale ones before it are deleted without a start.

        Nothing runs until then, so that the state of the instances is the same at all of them.
        """
        stale = self.stale(head)
        for one in head:
            if one.name not in stale:
                self._move_to(one.at)
                event = self.schedules.take(one.name)
                if event is not None:
                    self.wake(event)
                self._head = 1
                return True
            self.stale_wakeups += self.schedules.take(one.name) is not None
        self._head = min(2 * self._head, MAX_HEAD)
        return True

    def _next_sweep(self) -> datetime | None:
        """Return the first whole minute at or after the earliest sweep entry."""
        at = self.earliest_sweep()
        if at is None:
            return None
        whole = max(at, self.clock.now()).replace(second=0, microsecond=0)
        return whole if whole >= at else whole + _MINUTE

    def _move_to(self, at: datetime) -> None:
        with self.schedules.lock:
            ahead = (at - self.clock.now()).total_seconds()
            if ahead > 0:
                self.clock.write(self.clock.read() + math.ceil(ahead))
        self.activity.clock_moved()
