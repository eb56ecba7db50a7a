"""Advances simulated time from one scheduled wakeup or sweep entry to the next, in order."""

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from dev.clock import ClockFile, Offset
from dev.schedules import Schedules

MAX_STEPS = 100_000
_MINUTE = timedelta(minutes=1)


@dataclass(kw_only=True)
class ClockAdvance:
    """Advances the offset of the clock.

    ``wake`` starts the step runner and ``sweep`` the sweeper. ``earliest_sweep`` returns the instant of the earliest
    entry of the due index, or None if the sweeper is off. ``is_idle`` returns whether all functions have ended.
    """

    clock: ClockFile
    schedules: Schedules
    wake: Callable[[dict[str, str]], object]
    sweep: Callable[[], object]
    earliest_sweep: Callable[[], datetime | None]
    is_idle: Callable[[], bool]

    def __post_init__(self) -> None:
        """Make the lock that allows one advance at a time."""
        self._running = threading.Lock()

    def advance_to(self, to: datetime) -> None:
        """Advance simulated time to an instant. It never goes back."""
        with self._running:
            self._set(is_advancing=True)
            try:
                # An endless chain of events must not hang the stack.
                for _ in range(MAX_STEPS):
                    if not self.is_idle() or not self._step(to):
                        break
                self._move_to(to)
            finally:
                self._set(is_advancing=False)
                self.schedules.rewrite()

    def skip_sleep(self, seconds: float) -> None:
        """Advance simulated time by the seconds a function would sleep."""
        with self.schedules.lock:
            self.clock.write(
                Offset(seconds=self.clock.read().seconds + math.ceil(seconds), is_advancing=True)
            )

    def _step(self, to: datetime) -> bool:
        """Run the next wakeup or sweep. Return False if there is none up to ``to``."""
        # A wakeup comes before a sweep of the same instant, as on AWS.
        wakeup, sweep = self.schedules.earliest(), self._next_sweep()
        if wakeup is not None and wakeup[0] <= to and (sweep is None or wakeup[0] <= sweep):
            self._move_to(wakeup[0])
            event = self.schedules.take(wakeup[1])
            if event is not None:
                self.wake(event)
            return True
        if sweep is not None and sweep <= to:
            self._move_to(sweep)
            self.sweep()
            return True
        return False

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
                seconds = self.clock.read().seconds + math.ceil(ahead)
                self.clock.write(Offset(seconds=seconds, is_advancing=True))

    def _set(self, *, is_advancing: bool) -> None:
        with self.schedules.lock:
            self.clock.write(Offset(seconds=self.clock.read().seconds, is_advancing=is_advancing))
