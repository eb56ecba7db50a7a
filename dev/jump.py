"""Time that jumps: from one doorbell or sweep entry to the next, in order, each rung as it would have been."""

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from dev.clock import ClockFile, Offset
from dev.doorbells import Doorbells

MAX_STEPS = 100_000
_MINUTE = timedelta(minutes=1)


@dataclass(kw_only=True)
class Jumper:
    """Moves the offset. ring, sweep: start the runner or the sweeper; is_idle: nothing runs any more.

    earliest_sweep: the instant of the earliest entry of the due index; None with the sweeper off.
    """

    clock: ClockFile
    doorbells: Doorbells
    ring: Callable[[dict[str, str]], object]
    sweep: Callable[[], object]
    earliest_sweep: Callable[[], datetime | None]
    is_idle: Callable[[], bool]

    def __post_init__(self) -> None:
        """One jump at a time."""
        self._one = threading.Lock()

    def jump(self, to: datetime) -> None:
        """Let simulated time pass up to an instant; forward only."""
        with self._one:
            self._set(jumping=True)
            try:
                for _ in range(MAX_STEPS):
                    if not self.is_idle() or not self._step(to):
                        break
                self._move_to(to)
            finally:
                self._set(jumping=False)
                self.doorbells.rewrite()

    def move_on(self, seconds: float) -> None:
        """Let a sleeper's time pass at once."""
        with self.doorbells.lock:
            self.clock.write(Offset(seconds=self.clock.read().seconds + math.ceil(seconds), jumping=True))

    def _step(self, to: datetime) -> bool:
        """Ring what comes next, unless it lies beyond."""
        bell, sweep = self.doorbells.earliest(), self._next_sweep()
        if bell is not None and bell[0] <= to and (sweep is None or bell[0] <= sweep):
            self._move_to(bell[0])
            event = self.doorbells.take(bell[1])
            if event is not None:
                self.ring(event)
            return True
        if sweep is not None and sweep <= to:
            self._move_to(sweep)
            self.sweep()
            return True
        return False

    def _next_sweep(self) -> datetime | None:
        """The first whole minute at or after the earliest sweep entry."""
        at = self.earliest_sweep()
        if at is None:
            return None
        whole = max(at, self.clock.now()).replace(second=0, microsecond=0)
        return whole if whole >= at else whole + _MINUTE

    def _move_to(self, at: datetime) -> None:
        with self.doorbells.lock:
            ahead = (at - self.clock.now()).total_seconds()
            if ahead > 0:
                seconds = self.clock.read().seconds + math.ceil(ahead)
                self.clock.write(Offset(seconds=seconds, jumping=True))

    def _set(self, *, jumping: bool) -> None:
        with self.doorbells.lock:
            self.clock.write(Offset(seconds=self.clock.read().seconds, jumping=jumping))
