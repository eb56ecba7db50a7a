"""Processes that take turns: every input or output is a place where one can be stopped, delayed or killed.

Each process is a thread, but only one ever runs: at a ``point`` it hands the turn back. So a whole story of
crashes and races is decided by one seeded generator and can be told again exactly.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime


class KilledError(BaseException):
    """The process dies here and now, like a Lambda whose sandbox is gone. Only the stage catches it."""


@dataclass(slots=True, eq=False)
class Process:
    """One invocation. wakes_at: it does nothing before then. crash: why it ended, if not by itself."""

    name: str
    body: Callable[[], object]
    wakes_at: datetime
    doomed: bool = False
    is_over: bool = False
    error: BaseException | None = None
    at_point: str = "start"
    _thread: threading.Thread | None = None
    _go: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    _back: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def progress(self) -> None:
        """Let it run to its next point, or to its end."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)
            self._thread.start()
        else:
            self._go.release()
        self._back.acquire()

    def point(self, label: str) -> None:
        """Called by the process itself: hand the turn back, and die if that was decided meanwhile."""
        self.at_point = label
        self._back.release()
        self._go.acquire()
        if self.doomed:
            raise KilledError

    def _run(self) -> None:
        try:
            self.body()
        except KilledError:
            pass
        except BaseException as error:  # noqa: BLE001 - told by the stage, in the test's own thread
            self.error = error
        self.is_over = True
        self._back.release()


@dataclass(slots=True)
class Stage:
    """The processes that live. point: where the one whose turn it is stands."""

    processes: list[Process] = field(default_factory=list)
    current: Process | None = None

    def start(self, name: str, body: Callable[[], object], *, at: datetime) -> Process:
        """Add a process that begins at an instant."""
        process = Process(name=name, body=body, wakes_at=at)
        self.processes.append(process)
        return process

    def point(self, label: str) -> None:
        """Where the current process does something that can go wrong before or after it."""
        if self.current is not None:
            self.current.point(label)

    def run(self, process: Process) -> None:
        """One turn of a process. Raises: what it raised, unless it was killed."""
        self.current = process
        process.progress()
        self.current = None
        if process.is_over:
            self.processes.remove(process)
            if process.error is not None:
                raise process.error

    def kill(self, process: Process) -> None:
        """The process dies at the point where it stands."""
        process.doomed = True
        self.run(process)
