"""The asynchronous invocations that have not ended, and which of them wait for simulated time to pass."""

import threading
import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from dev.clock import ClockFile

SHORT = timedelta(seconds=5)
"""A wait of at most this long is a pause within a run, for example ``requestDelayTime``. It is never cut off."""


@dataclass(frozen=True, slots=True)
class _Started:
    what: str
    at: float


class Activity:
    """Says whether everything that was started has ended, or waits for a later instant.

    ``clock_moved`` must be called after each change of the clock's offset, so that waits end.
    """

    def __init__(self, clock: ClockFile) -> None:
        self._clock = clock
        # One lock for all functions: an invocation that starts another one ends after it has begun, so that there is
        # no moment at which nothing seems to run.
        self._changed = threading.Condition()
        self._running: dict[str, _Started] = {}
        self._waiting: dict[str, datetime] = {}
        self._is_closed = False

    def begin(self, invocation: str, what: str) -> None:
        """Record that an invocation was started, queued or not. ``what`` describes it to a developer."""
        with self._changed:
            self._running[invocation] = _Started(what, time.monotonic())

    def end(self, invocation: str) -> None:
        """Record that an invocation has ended."""
        with self._changed:
            self._running.pop(invocation, None)
            self._changed.notify_all()

    def sleep(self, invocation: str, seconds: float) -> bool:
        """Return True when ``seconds`` of simulated time have passed, or False if the stack stops before."""
        until = self._clock.now() + timedelta(seconds=seconds)
        with self._changed:
            self._waiting[invocation] = until
            self._changed.notify_all()
            try:
                while (left := until - self._clock.now()) > timedelta():
                    if self._is_closed and left > SHORT:
                        return False
                    self._changed.wait(left.total_seconds())
            finally:
                self._waiting.pop(invocation, None)
                self._changed.notify_all()
        return True

    def clock_moved(self) -> None:
        """End the waits whose instant has come."""
        with self._changed:
            self._changed.notify_all()

    def next_awakening(self) -> datetime | None:
        """Return when the first of the waiting invocations continues, or None if none waits."""
        with self._changed:
            waits = [until for invocation, until in self._waiting.items() if invocation in self._running]
            return min(waits, default=None)

    def await_quiet(self, seconds: float) -> list[str]:
        """Return an empty list when each invocation has ended or waits, or those that still run after ``seconds``."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while busy := self._busy():
                left = deadline - time.monotonic()
                if left <= 0:
                    return [f"{one.what}, for {time.monotonic() - one.at:.0f} s" for one in busy]
                self._changed.wait(left)
        return []

    def close(self) -> None:
        """End all waits that are not short, because the stack stops."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def _busy(self) -> list[_Started]:
        # An invocation whose instant has come is busy, even if its thread has not noticed it yet.
        now = self._clock.now()
        return [
            started
            for invocation, started in self._running.items()
            if invocation not in self._waiting or self._waiting[invocation] <= now
        ]
