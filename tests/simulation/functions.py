"""Functions as Lambda runs them: asynchronous invocations queue, are retried, and are dropped when they are too old."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tests.simulation.stage import Process

RETRIES_AFTER = (timedelta(minutes=1), timedelta(minutes=2))
"""When Lambda retries a failed invocation: ``MaximumRetryAttempts: 2`` in template.yaml."""


@dataclass(slots=True, eq=False)
class Invocation:
    """An asynchronous invocation that waits for an environment. ``begin`` starts its process."""

    begin: Callable[[], Process]
    sent_at: datetime
    ready_at: datetime
    tries: int = 0


@dataclass(slots=True)
class Function:
    """A function with at most ``concurrency`` environments.

    An invocation that finds none waits. It is dropped if it is older than ``max_age``, or at once with the chance
    ``drops``, as if the queue had lost it. ``too_old`` and ``dropped`` count these, and ``queued`` the invocations that
    found no environment, at each instant.
    """

    rng: random.Random
    concurrency: int = 1000
    max_age: timedelta = timedelta(hours=1)
    drops: float = 0.0
    waiting: list[Invocation] = field(default_factory=list)
    running: list[tuple[Invocation, Process]] = field(default_factory=list)
    dropped: int = 0
    too_old: int = 0
    queued: int = 0

    def send(self, begin: Callable[[], Process], *, now: datetime) -> None:
        """Accept an invocation."""
        if self.rng.random() < self.drops:
            self.dropped += 1
            return
        self.waiting.append(Invocation(begin=begin, sent_at=now, ready_at=now))

    def start_ready(self, *, now: datetime) -> None:
        """Start the invocations that an environment is free for, and drop those that are too old."""
        if not self.waiting and not self.running:
            return
        self._collect(now=now)
        young = [one for one in self.waiting if now - one.sent_at <= self.max_age]
        self.too_old += len(self.waiting) - len(young)
        self.waiting = young
        ready = [one for one in self.waiting if one.ready_at <= now]
        while ready and len(self.running) < self.concurrency:
            invocation = ready.pop(self.rng.randrange(len(ready)))
            self.waiting.remove(invocation)
            self.running.append((invocation, invocation.begin()))
        self.queued += len(ready)

    def next_instant(self) -> datetime | None:
        """Return when an invocation can start if no environment becomes free before."""
        if len(self.running) >= self.concurrency:
            return None
        return min((one.ready_at for one in self.waiting), default=None)

    def _collect(self, *, now: datetime) -> None:
        """Free the environments of processes that have ended, and retry those that failed."""
        ended = [pair for pair in self.running if pair[1].is_over]
        self.running = [pair for pair in self.running if not pair[1].is_over]
        for invocation, process in ended:
            if process.has_failed and invocation.tries < len(RETRIES_AFTER):
                invocation.ready_at = now + RETRIES_AFTER[invocation.tries]
                invocation.tries += 1
                self.waiting.append(invocation)
