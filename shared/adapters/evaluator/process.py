"""The evaluator of a deployed function: a process that can be ended without harm.

It is started at the first request. It ends by itself if a request takes more processor time or memory than it may, and
it is ended if no reply comes in time. The next request starts another one.
Source: docs/decisions/0032-expressions-are-evaluated-by-another-process.md.
"""

import atexit
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from enum import Enum, auto
from pathlib import Path
from typing import IO, assert_never

from shared.adapters.evaluator.frames import FRAME, MICROSECONDS, OUT_OF_MEMORY, PIPE_BYTES
from shared.expressions import Breach, Reply

WAIT_SECONDS = 5.0
"""How long a request may take by the clock. A process with a small share of a processor needs more than its limit."""

START_SECONDS = 10.0
"""How much longer the first request of a process may take."""

START_COST_SECONDS = 0.1
"""The processor time that counts for a process that was lost, because another one must be started."""

TOO_MUCH_TIME = "it takes too much processor time"
TOO_MUCH_MEMORY = "it takes too much memory"
NO_ANSWER = "the process that evaluates expressions ended twice without an answer"

# The library ends the process by a signal if memory runs out at the wrong place.
_OUT_OF_MEMORY = frozenset({-signal.SIGSEGV, -signal.SIGABRT, -signal.SIGBUS, OUT_OF_MEMORY})
_INHERITED = ("LD_LIBRARY_PATH",)  # without it, Lambda's interpreter does not start
_CODE = "import sys; sys.path[:] = {path!r}; from shared.adapters.evaluator.worker import main; main()"
_TRIES = 2


class _Silence(Enum):
    """Why a process gave no reply."""

    TIME = auto()
    MEMORY = auto()
    ENDED = auto()
    """It was killed from outside, or could not start."""


class ProcessEvaluator:
    """Answers requests by one process at a time. Threads wait for each other.

    ``seconds`` is a clock that never goes back. ``command`` starts the process.
    """

    def __init__(
        self,
        *,
        seconds: Callable[[], float],
        environment: Mapping[str, str],
        command: Sequence[str] | None = None,
        wait_seconds: float = WAIT_SECONDS,
    ) -> None:
        self._seconds = seconds
        # No settings and no credentials: code that broke out of the library would find none.
        self._environment = {name: environment[name] for name in _INHERITED if name in environment}
        self._command = command or command_of(sys.path)
        self._wait_seconds = wait_seconds
        self._lock = threading.Lock()
        self._worker: _Worker | None = None
        self._owner = os.getpid()
        atexit.register(self.close)

    def answer(self, request: bytes, *, seconds: float) -> Reply | Breach:
        with self._lock:
            lost = 0.0
            for _ in range(_TRIES):
                is_first = self._worker is None
                answer = self._try(request, seconds)
                if isinstance(answer, Reply):
                    return Reply(answer.payload, answer.seconds + lost)
                lost += START_COST_SECONDS
                match answer:
                    case _Silence.TIME:
                        return Breach(TOO_MUCH_TIME, seconds + lost)
                    case _Silence.MEMORY if is_first:
                        return Breach(TOO_MUCH_MEMORY, lost)
                    case _Silence.MEMORY | _Silence.ENDED:
                        # This request may be innocent: earlier ones took the memory, or something else ended the
                        # process.
                        continue
                    case unknown:
                        assert_never(unknown)
            return Breach(NO_ANSWER, lost)

    def close(self) -> None:
        """End the process. The next request starts another one."""
        with self._lock:
            self._end()

    def _try(self, request: bytes, seconds: float) -> Reply | _Silence:
        if self._owner != os.getpid():
            # After a fork the process and its pipes belong to the parent.
            self._worker, self._owner = None, os.getpid()
        wait = self._wait_seconds
        if self._worker is None:
            self._worker, wait = _started(self._command, self._environment), wait + START_SECONDS
        if self._worker is None:
            return _Silence.ENDED
        reply: Reply | None = None
        until = self._seconds() + wait
        status: int | None = None
        try:
            frame = FRAME.pack(len(request), max(1, round(seconds * MICROSECONDS))) + request
            reply = self._worker.ask(frame, left=lambda: until - self._seconds())
        except TimeoutError:
            self._worker.process.kill()
            return _Silence.TIME
        finally:
            # A process without a complete reply is ended, whatever happened here: its reply would be taken for the
            # one to the next request.
            if reply is None:
                status = self._end()
        return reply or _silence_of(status)

    def _end(self) -> int | None:
        """End the process, and return its status if it had ended by itself."""
        worker, self._worker = self._worker, None
        return None if worker is None or self._owner != os.getpid() else worker.end()


def command_of(path: Sequence[str]) -> Sequence[str]:
    """Return the command that starts the process with these import paths."""
    # Isolated, and without site: the paths are complete, and reading the environment's takes longer.
    return (
        sys.executable,
        "-I",
        "-S",
        "-c",
        _CODE.format(path=[str(Path(entry).absolute()) for entry in path]),
    )


class _Worker:
    """A running process and its pipes."""

    def __init__(self, process: subprocess.Popen[bytes], requests: IO[bytes], replies: IO[bytes]) -> None:
        self.process = process
        self._requests, self._replies = requests, replies
        os.set_blocking(requests.fileno(), False)
        self._writable, self._readable = select.poll(), select.poll()
        self._writable.register(requests, select.POLLOUT)
        self._readable.register(replies, select.POLLIN)

    def ask(self, frame: bytes, *, left: Callable[[], float]) -> Reply | None:
        """Send a frame and return the reply, or None if the process ended before the reply was complete.

        ``left`` returns the seconds that are left. Raises: TimeoutError.
        """
        try:
            self._write(frame, left)
        except BrokenPipeError:
            return None
        return self._read(left)

    def end(self) -> int | None:
        """End the process; return its status, or None if it had to be killed."""
        self._requests.close()
        self._replies.close()
        try:
            # It ends when its input does.
            return self.process.wait(1)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return None

    def _write(self, frame: bytes, left: Callable[[], float]) -> None:
        rest = memoryview(frame)
        while rest:
            try:
                rest = rest[os.write(self._requests.fileno(), rest) :]
            except BlockingIOError:
                _wait_for(self._writable, left)

    def _read(self, left: Callable[[], float]) -> Reply | None:
        buffer = bytearray()
        size, used = None, 0
        while size is None or len(buffer) < FRAME.size + size:
            _wait_for(self._readable, left)
            part = os.read(self._replies.fileno(), PIPE_BYTES)
            if not part:
                return None
            buffer += part
            if size is None and len(buffer) >= FRAME.size:
                size, used = FRAME.unpack_from(buffer)
        return Reply(bytes(buffer[FRAME.size :]), used / MICROSECONDS)


def _wait_for(pipe: select.poll, left: Callable[[], float]) -> None:
    if not pipe.poll(max(0.0, left()) * 1000):
        raise TimeoutError


def _started(command: Sequence[str], environment: Mapping[str, str]) -> _Worker | None:
    """Return a new process, or None if the system starts none."""
    try:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter with our own code
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            bufsize=0,
        )
    except OSError:
        return None
    if process.stdin is None or process.stdout is None:  # pragma: no cover - both are pipes
        raise AssertionError
    return _Worker(process, process.stdin, process.stdout)


def _silence_of(status: int | None) -> _Silence:
    """Return why a process with this status, None if it had to be killed, gave no reply."""
    if status == -signal.SIGPROF:
        return _Silence.TIME
    return _Silence.MEMORY if status in _OUT_OF_MEMORY else _Silence.ENDED
