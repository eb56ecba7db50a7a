"""Lambda's workers on a developer's machine: single-threaded processes with one queue for each function."""

import json
import os
import queue
import select
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dev.template import Function

ROOT = Path(__file__).parents[1]

START_SECONDS = 120
"""How long a process may take to start on a busy machine."""

MAX_WORKERS = 32
"""How many processes a function has at most. More are started only while others wait (``Clock.sleep``)."""

IDLE_SECONDS = 60.0
"""An additional process ends after this time without a call."""


@dataclass
class Invocation:
    """One call of a function. ``trigger`` names the cause of the call."""

    event: Mapping[str, Any]
    trigger: str = "http"
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    answer: dict[str, Any] = field(default_factory=dict)
    done: threading.Event = field(default_factory=threading.Event)

    @property
    def shown(self) -> str:
        """The event as a log may have it: of a request only method and path, because the rest may have secrets."""
        if "requestContext" in self.event:
            return f"{self.event['requestContext']['http']['method']} {self.event['rawPath']}"
        return str(self.event)


class Worker:
    """One process, started with its first call or before. The time of its start does not count for the call.

    A call that times out, or crashes the process, is followed by a new process. ``output`` is a file descriptor for
    the output of the process, None for that of this process.
    """

    def __init__(
        self,
        function: Function,
        environment: Mapping[str, str],
        *,
        is_warm: bool,
        output: int | None = None,
    ) -> None:
        self._function, self._output = function, output
        self._environment = {**os.environ, **function.environment, **environment}
        self._process: subprocess.Popen[bytes] | None = None
        self._is_ready = False
        if is_warm:
            self._start()

    def call(self, invocation: Invocation) -> dict[str, Any]:
        """Return the handler's answer, or the reason if there is none."""
        if self._process is None:
            self._start()
        elif self._process.poll() is not None:
            self._restart()
        if not self._is_ready and self._line(START_SECONDS) != b"ready\n":
            self._restart()
            return {"error": "the worker did not start"}
        self._is_ready = True
        job = {"event": invocation.event, "id": invocation.id, "seconds": self._function.timeout_seconds}
        try:
            os.write(self._write, json.dumps(job).encode() + b"\n")
        except BrokenPipeError:
            self._restart()
            return {"error": "the worker has ended"}
        line = self._line(self._function.timeout_seconds)
        # A process that was killed may have written a part of its answer.
        if line is not None and line.endswith(b"\n"):
            answer: dict[str, Any] = json.loads(line)
            return answer
        self._restart()
        return {"error": "timed out" if line is None else "the worker crashed"}

    @property
    def pid(self) -> int | None:
        """The id of the process, or None if none runs."""
        return None if self._process is None or self._process.poll() is not None else self._process.pid

    def stop(self, grace_seconds: float) -> None:
        """Let the running call end within the grace time, then end the process."""
        if self._process is None:
            return
        # The worker ends when its input does.
        os.close(self._write)
        try:
            self._process.wait(grace_seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._read.close()

    def _line(self, seconds: float) -> bytes | None:
        """Return the next line of the process, empty if it has ended, or None if no line arrives in time."""
        ready, _, _ = select.select([self._read], [], [], seconds)
        return self._read.readline() if ready else None

    def _start(self) -> None:
        self._is_ready = False
        jobs_read, self._write = os.pipe()
        replies_read, replies_write = os.pipe()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "dev.worker", str(jobs_read), str(replies_write), self._function.handler],
            pass_fds=(jobs_read, replies_write),
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            cwd=ROOT,
        )
        os.close(jobs_read)
        os.close(replies_write)
        self._read = os.fdopen(replies_read, "rb")

    def _restart(self) -> None:
        self.stop(0)
        self._start()


class Pool:
    """The workers of one function behind one queue.

    With ``is_warm``, they start at once instead of at their first call. ``report`` is called for each invocation that
    has ended. While invocations only wait, further workers take their place, up to ``max_workers``.
    """

    def __init__(
        self,
        function: Function,
        environment: Mapping[str, str],
        *,
        workers: int,
        is_warm: bool,
        report: Callable[[Function, Invocation], None],
        max_workers: int = MAX_WORKERS,
        idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        self._function = function
        self._environment = environment
        self._report = report
        # One queue for each function: a busy function does not delay another.
        self._jobs: queue.SimpleQueue[Invocation | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._size, self._max_workers, self._idle_seconds = workers, max_workers, idle_seconds
        self._queued = self._idle = self._waiting = 0
        self._is_stopping = False
        self._threads: dict[threading.Thread, Worker] = {}
        with self._lock:
            for _ in range(workers):
                self._add_worker(is_warm=is_warm)

    @property
    def pids(self) -> list[int]:
        """The ids of the processes."""
        with self._lock:
            return [worker.pid for worker in self._threads.values() if worker.pid is not None]

    def put(self, invocation: Invocation) -> Invocation:
        """Queue an invocation and return it."""
        with self._lock:
            self._queued += 1
            self._grow()
        self._jobs.put(invocation)
        return invocation

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Count a worker as only waiting, for the duration of the block."""
        with self._lock:
            self._waiting += 1
            self._grow()
        try:
            yield
        finally:
            with self._lock:
                self._waiting -= 1

    def stop(self) -> None:
        """Let running invocations end, then end the workers."""
        with self._lock:
            self._is_stopping = True
            threads = list(self._threads)
        for _ in threads:
            self._jobs.put(None)
        for thread in threads:
            thread.join(20)

    def _grow(self) -> None:
        """Add a worker if a call would have to wait for workers that only wait themselves."""
        # Not for each queued call: calls that work share the processors of this machine in any case.
        has_room = len(self._threads) - self._waiting < self._size and len(self._threads) < self._max_workers
        if self._queued > self._idle and has_room and not self._is_stopping:
            self._add_worker(is_warm=False)

    def _add_worker(self, *, is_warm: bool) -> None:
        worker = Worker(self._function, self._environment, is_warm=is_warm)
        thread = threading.Thread(target=self._serve, args=(worker,), daemon=True)
        self._threads[thread] = worker
        self._idle += 1
        thread.start()

    def _serve(self, worker: Worker) -> None:
        while (invocation := self._next()) is not None:
            try:
                invocation.answer = worker.call(invocation)
            except Exception as error:  # noqa: BLE001 - it concerns one call; the worker must serve the next one
                invocation.answer = {"error": f"the worker failed: {error!r}"}
            try:
                self._report(self._function, invocation)
            finally:
                invocation.done.set()
                with self._lock:
                    self._idle += 1
        worker.stop(10)

    def _next(self) -> Invocation | None:
        """Return the next call, or None if the worker should end."""
        while True:
            try:
                invocation = self._jobs.get(timeout=self._idle_seconds)
            except queue.Empty:
                with self._lock:
                    if len(self._threads) == self._size or self._queued:
                        continue
                    self._idle -= 1
                    del self._threads[threading.current_thread()]
                return None
            if invocation is not None:
                with self._lock:
                    self._queued -= 1
                    self._idle -= 1
            return invocation
