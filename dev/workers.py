"""Lambda's part on a laptop: single-threaded worker processes behind one queue per function."""

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
    """One call of a function. trigger: what started it."""

    event: Mapping[str, Any]
    trigger: str = "http"
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    answer: dict[str, Any] = field(default_factory=dict)
    done: threading.Event = field(default_factory=threading.Event)


class Worker:
    """One process, started with its first call or before it; what its start takes is not that call's time.

    A call that takes too long, or kills it, costs the process; the next one gets a new one.
    """

    def __init__(self, function: Function, environment: Mapping[str, str], *, is_warm: bool) -> None:
        self._function = function
        self._environment = {**os.environ, **function.environment, **environment}
        self._process: subprocess.Popen[bytes] | None = None
        self._is_ready = False
        if is_warm:
            self._start()

    def call(self, invocation: Invocation) -> dict[str, Any]:
        """What the handler answered, or why there is no answer."""
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
            return {"error": "the worker was gone"}
        line = self._line(self._function.timeout_seconds)
        if line:
            answer: dict[str, Any] = json.loads(line)
            return answer
        self._restart()
        return {"error": "timed out" if line is None else "the worker died"}

    def stop(self, grace_seconds: float) -> None:
        """Let the running call end, for so long."""
        if self._process is None:
            return
        os.close(self._write)
        try:
            self._process.wait(grace_seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._read.close()

    def _line(self, seconds: float) -> bytes | None:
        """The next line of it, empty where it has died; None where none came in time."""
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

    is_warm: they are started now, not when they are needed. report: told of every invocation when it has ended.
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
        """Queue an invocation."""
        with self._changed:
            self._pending += 1
        self._jobs.put(invocation)
        return invocation

    def is_idle(self, within_seconds: float) -> bool:
        """Whether nothing is queued or running any more, within that time."""
        with self._changed:
            return self._changed.wait_for(lambda: self._pending == 0, within_seconds)

    def stop(self) -> None:
        """Let what runs end, then end the workers."""
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
