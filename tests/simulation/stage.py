"""Processes that take turns.

Every input or output is a point at which a process can be stopped, delayed or killed. Each process is a thread, but
only one runs at a time: at a ``point`` it gives the turn back. So one seeded generator decides all crashes and races,
and a story can be repeated exactly.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta


class KilledError(BaseException):
    """The process crashes here, like a Lambda whose sandbox is gone. Only the stage catches it."""


def _taken() -> threading.Lock:
    lock = threading.Lock()
    lock.acquire()
    return lock


@dataclass(slots=True, eq=False)
class Process:
    """One invocation. It does nothing before ``wakes_at``, and is killed at ``dies_at``.

    ``error`` is the exception that it raised. ``has_failed`` is True if it was killed or its invocation failed.
    ``skew`` is by how much its clock is wrong.
    """

    name: str
    body: Callable[[], object]
    wakes_at: datetime
    doomed: bool = False
    dies_at: datetime | None = None
    skew: timedelta = timedelta()
    has_failed: bool = False
    is_over: bool = False
    error: BaseException | None = None
    at_point: str = "start"
    _thread: threading.Thread | None = None
    # Locks that one side releases and the other acquires: binary semaphores, but several times as fast.
    _go: threading.Lock = field(default_factory=_taken)
    _back: threading.Lock = field(default_factory=_taken)

    @property
    def acts_at(self) -> datetime:
        """When it takes its next turn, or is killed."""
        return self.wakes_at if self.dies_at is None else min(self.wakes_at, self.dies_at)

    def progress(self) -> None:
        """Run to the next point, or to the end."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)
            self._thread.start()
        else:
            self._go.release()
        self._back.acquire()

    def point(self, label: str) -> None:
        """Give the turn back, and crash if that was decided in the meantime. The process itself calls this."""
        self.at_point = label
        self._back.release()
        self._go.acquire()
        if self.doomed:
            raise KilledError

    def _run(self) -> None:
        try:
            self.body()
        except KilledError:
            self.has_failed = True
        except BaseException as error:  # noqa: BLE001 - raised again by the stage, in the test's own thread
            self.error = error
        self.is_over = True
        self._back.release()


@dataclass(slots=True)
class Stage:
    """The processes that run, and the one whose turn it is."""

    processes: list[Process] = field(default_factory=list)
    current: Process | None = None

    def start(self, name: str, body: Callable[[], object], *, at: datetime) -> Process:
        """Add a process that begins at an instant."""
        process = Process(name=name, body=body, wakes_at=at)
        self.processes.append(process)
        return process

    def point(self, label: str) -> None:
        """Let the current process be stopped or killed here."""
        if self.current is not None:
            self.current.point(label)

    def run(self, process: Process, *, now: datetime) -> None:
        """Let a process take one turn. Raises: the exception of the process, unless it was killed."""
        if process.dies_at is not None and process.dies_at <= now:
            process.doomed = True
        self.current = process
        process.progress()
        self.current = None
        if process.is_over:
            self.processes.remove(process)
            if process.error is not None:
                raise process.error
