"""Lambda's workers on a developer's machine: single-threaded processes with one queue for each function."""

import json
import os
import queue
import select
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dev.template import Function

ROOT = Path(__file__).parents[1]

START_SECONDS = 120
"""How long a process may take to start on a busy machine."""


@dataclass
class Invocation:
    """One call of a function. ``trigger`` is what started it."""

    event: Mapping[str, Any]
    trigger: str = "http"
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    answer: dict[str, Any] = field(default_factory=dict)
    done: threading.Event = field(default_factory=threading.Event)


class Worker:
    """One process, started with its first call or before. The time of its start does not count for the call.

    A call that times out, or crashes the process, is followed by a new process.
    """

    def __init__(self, function: Function, environment: Mapping[str, str], *, is_warm: bool) -> None:
        self._function = function
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
        if line:
            answer: dict[str, Any] = json.loads(line)
            return answer
        self._restart()
        return {"error": "timed out" if line is None else "the worker crashed"}

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
    has ended.
    """

    def __init__(
        self,
        function: Function,
        environment: Mapping[str, str],
        *,
        workers: int,
        is_warm: bool,
        report: Callable[[Function, Invocation], None],
    ) -> None:
        self._function = function
        self._report = report
        # One queue for each function: a busy function does not delay another.
        self._jobs: queue.SimpleQueue[Invocation | None] = queue.SimpleQueue()
        self._changed = threading.Condition()
        self._pending = 0
        self._threads = [
            threading.Thread(
                target=self._serve, args=(Worker(function, environment, is_warm=is_warm),), daemon=True
            )
            for _ in range(workers)
        ]
        for thread in self._threads:
            thread.start()

    def put(self, invocation: Invocation) -> Invocation:
        """Queue an invocation and return it."""
        with self._changed:
            self._pending += 1
        self._jobs.put(invocation)
        return invocation

    def is_idle(self, within_seconds: float) -> bool:
        """Return whether all queued and running invocations end within that time."""
        with self._changed:
            return self._changed.wait_for(lambda: self._pending == 0, within_seconds)

    def stop(self) -> None:
        """Let running invocations end, then end the workers."""
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join(20)

    def _serve(self, worker: Worker) -> None:
        while (invocation := self._jobs.get()) is not None:
            invocation.answer = worker.call(invocation)
            self._report(self._function, invocation)
            invocation.done.set()
            with self._changed:
                self._pending -= 1
                self._changed.notify_all()
        worker.stop(10)
