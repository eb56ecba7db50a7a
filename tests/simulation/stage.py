"""Processes that take turns.

Every input or output is a point at which a process can be stopped, delayed or killed. Each process is a thread, but
only one runs at a time: at a ``point`` it passes the turn on. So one seeded generator decides all crashes and races,
and a story can be repeated exactly.
"""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import ClassVar

NEVER = datetime.max.replace(tzinfo=UTC)


class KilledError(BaseException):
    """The process crashes here, like a Lambda whose sandbox is gone. Only the stage catches it."""


def _taken() -> threading.Lock:
    lock = threading.Lock()
    lock.acquire()
    return lock


@dataclass(slots=True, eq=False)
class Process:
    """One invocation. It does nothing before ``wakes_at``, and is killed at ``dies_at``.

    ``together`` are the threads of the same invocation, this one included, which are killed with it.
    ``error`` is the exception that it raised. ``has_failed`` is True if it was killed or its invocation failed.
    ``skew`` is by how much its clock is wrong. ``reached_at`` is when it came to its last point.
    """

    name: str
    body: Callable[[], object]
    wakes_at: datetime
    doomed: bool = False
    dies_at: datetime = NEVER
    skew: timedelta = timedelta()
    together: list["Process"] = field(default_factory=list)
    has_failed: bool = False
    is_over: bool = False
    error: BaseException | None = None
    at_point: str = "start"
    reached_at: datetime = NEVER
    has_begun: bool = False
    # A lock that another thread releases: a binary semaphore, but several times as fast.
    may_act: threading.Lock = field(default_factory=_taken)

    def kill(self, *, now: datetime) -> None:
        """Kill the process with all threads of its invocation: none of them does anything more."""
        for process in self.together or [self]:
            process.doomed = True
            process.wakes_at = min(process.wakes_at, now)

    def run(self) -> None:
        """Run the body to its end."""
        try:
            self.body()
        except KilledError:
            self.has_failed = True
        except BaseException as error:  # noqa: BLE001 - raised again by the stage, in the test's own thread
            self.error = error
        self.is_over = True


class Actor:
    """A thread that runs processes, one after the other. Starting a thread costs more than most processes."""

    idle: ClassVar[list["Actor"]] = []

    def __init__(self, run: Callable[[], Callable[[], None]]) -> None:
        self._run = run
        self._given = _taken()
        threading.Thread(target=self._act, daemon=True).start()

    @classmethod
    def give(cls, run: Callable[[], Callable[[], None]]) -> None:
        """Let an idle thread, or a new one, call ``run``, and when idle again, the function that ``run`` returned."""
        if not cls.idle:
            cls(run)
            return
        actor = cls.idle.pop()
        actor._run = run
        actor._given.release()

    def _act(self) -> None:
        while True:
            then = self._run()
            self.idle.append(self)
            then()
            self._given.acquire()


@dataclass(slots=True)
class Stage:
    """The processes that run, and the current process, whose turn it is."""

    processes: list[Process] = field(default_factory=list)
    current: Process | None = None
    _turns: Iterator[Process] = field(default_factory=lambda: iter(()))
    _error: BaseException | None = None
    _ended: threading.Lock = field(default_factory=_taken)

    def start(self, name: str, body: Callable[[], object], *, at: datetime) -> Process:
        """Add a process that begins at an instant."""
        process = Process(name=name, body=body, wakes_at=at)
        self.processes.append(process)
        return process

    def point(self, label: str) -> None:
        """Let the current process be stopped or killed here. The process itself calls this."""
        process = self.current
        if process is None:
            return
        process.at_point = label
        following = self._next()
        # A switch of threads costs more than most turns, so a process that is next again keeps its thread.
        if following is not process:
            self._wake_next(following)
            process.may_act.acquire()
        if process.doomed:
            raise KilledError

    def play(self, turns: Iterator[Process]) -> None:
        """Let processes take turns, each to its next point or its end, until there are no more turns.

        The turns are drawn in the thread of whichever process had the last one.
        Raises: the exception of a process, unless it was killed; or that of ``turns``.
        """
        self._turns = turns
        following = self._next()
        if following is not None:
            self._wake_next(following)
            self._ended.acquire()
        error, self._error = self._error, None
        if error is not None:
            raise error

    def run(self, process: Process) -> None:
        """Let a process take one turn. Raises: the exception of the process, unless it was killed."""
        self.play(iter((process,)))

    def _next(self) -> Process | None:
        """Return the process whose turn it is now, or None if the play ends."""
        self.current = None
        try:
            self.current = next(self._turns, None)
        except BaseException as error:  # noqa: BLE001 - raised again in the test's own thread
            self._error = error
        return self.current

    def _wake_next(self, process: Process | None) -> None:
        """Let the thread of a process continue, or the test's own thread if there is no process."""
        if process is None:
            self._ended.release()
        elif process.has_begun:
            process.may_act.release()
        else:
            Actor.give(partial(self._act, process))

    def _act(self, process: Process) -> Callable[[], None]:
        """Run a process to its end, then those that begin after it. Return the function that passes the turn on."""
        following: Process | None = process
        while following is not None and not following.has_begun:
            following.has_begun = True
            following.run()
            self.processes.remove(following)
            self.current, self._error = None, following.error
            following = self._next() if following.error is None else None
        return partial(self._wake_next, following)
