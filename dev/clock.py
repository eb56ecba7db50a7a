"""Simulated time: real time plus an offset in whole seconds, stored in a small file.

Only the process of the stack writes the file. Workers read it for every instant, which takes about ten microseconds.
"""

import json
import os
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path

_ANSWER_SECONDS = 60
"""How much longer than its wait a worker waits for the answer of the stack, which may be busy."""


class StoppingError(Exception):
    """The local stack stops before the end of a wait. The invocation fails, as if it was cut off."""


class ClockFile:
    """The stored offset: how many seconds simulated time is ahead of real time, negative if it is behind.

    If the file does not exist, the offset is zero.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> int:
        """Return the offset as last written."""
        try:
            stored = json.loads(self.path.read_bytes())
        except FileNotFoundError:
            return 0
        return int(stored["offsetSeconds"])

    def write(self, seconds: int) -> None:
        """Replace the file, so that a crash leaves either the old offset or the new one."""
        fresh = self.path.with_suffix(".new")
        with fresh.open("w") as file:
            json.dump({"offsetSeconds": seconds}, file)
            file.flush()
            # Else a crash of the machine could leave an empty file.
            os.fsync(file.fileno())
        fresh.replace(self.path)

    def now(self) -> datetime:
        """Return the simulated instant in whole milliseconds."""
        real = datetime.now(UTC)
        return real.replace(microsecond=real.microsecond // 1000 * 1000) + timedelta(seconds=self.read())


class DevClock:
    """The ``Clock`` of a worker of one function. ``invocation`` is the id of the running invocation.

    The stack does the waiting, because a jump of the clock must end it at the right moment.
    """

    def __init__(self, path: Path, stack_url: str, function: str) -> None:
        self._file = ClockFile(path)
        self._stack_url = stack_url
        self._function = function
        self.invocation = ""

    def now(self) -> datetime:
        """Return the simulated instant."""
        return self._file.now()

    def sleep(self, seconds: float) -> None:
        """Return when ``seconds`` of simulated time have passed. Raises: StoppingError."""
        if seconds <= 0:
            return
        wait = {"function": self._function, "invocation": self.invocation, "seconds": seconds}
        request = urllib.request.Request(  # noqa: S310 - our own process
            f"{self._stack_url}/_local/clock/sleep", data=json.dumps(wait).encode(), method="POST"
        )
        with urllib.request.urlopen(request, timeout=seconds + _ANSWER_SECONDS) as answer:  # noqa: S310 - our own process
            if not json.loads(answer.read())["reached"]:
                raise StoppingError
