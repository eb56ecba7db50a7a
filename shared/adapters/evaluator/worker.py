"""The process that evaluates: it answers requests on its standard input until that is closed.

``process.py`` starts it. No function imports this module, because it loads the CEL library.
Source: docs/decisions/0032-expressions-are-evaluated-by-another-process.md.
"""

import os
import resource
import signal
import time
from pathlib import Path

from shared.adapters.evaluator.frames import FRAME, MICROSECONDS, OUT_OF_MEMORY, PIPE_BYTES
from shared.expressions.serving import serve

MEMORY_BYTES = 64 * 1024 * 1024
"""The memory of an evaluation, in addition to that of the process at its start."""

_STATM = Path("/proc/self/statm")
_INPUT, _OUTPUT = 0, 1


def main() -> None:
    """Answer requests. Each may take its limit of processor time; then the kernel ends the process."""
    # Ctrl-C reaches the whole group; the process ends when its input does.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # A function may ignore or block it, and its child inherits that.
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGPROF})
    limit_process()
    buffer = bytearray()
    while (frame := _next(buffer)) is not None:
        limit, request = frame
        # The timer counts processor time of this process only, so it stands still between requests.
        signal.setitimer(signal.ITIMER_PROF, limit / MICROSECONDS)
        # The clock of the process moves in whole ticks while the timer runs; there is one thread.
        started = time.thread_time_ns()
        try:
            reply = serve(request)
        except MemoryError:
            # What is left of the memory is in pieces; a new process has all of it.
            os._exit(OUT_OF_MEMORY)
        used = (time.thread_time_ns() - started) // 1000
        _write(FRAME.pack(len(reply), used) + reply)


def limit_process(statm: Path = _STATM) -> None:
    """Limit the memory of this process, and let it write neither files nor core dumps.

    Without ``/proc`` (macOS) memory is not limited.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    try:
        pages = int(statm.read_text().split()[0])
    except FileNotFoundError:
        return
    limit, hard = pages * resource.getpagesize() + MEMORY_BYTES, resource.getrlimit(resource.RLIMIT_AS)[1]
    # A limit can be lowered, but not raised.
    limit = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _next(buffer: bytearray) -> tuple[int, bytes] | None:
    """Return the limit and the payload of the next request, or None if the input ends before it is complete."""
    size, limit = -1, 0
    while True:
        if size < 0 and len(buffer) >= FRAME.size:
            size, limit = FRAME.unpack_from(buffer)
        if 0 <= size <= len(buffer) - FRAME.size:
            request = bytes(buffer[FRAME.size : FRAME.size + size])
            del buffer[: FRAME.size + size]
            return limit, request
        part = os.read(_INPUT, PIPE_BYTES)
        if not part:
            return None
        buffer += part


def _write(frame: bytes) -> None:
    while frame:
        frame = frame[os.write(_OUTPUT, frame) :]
