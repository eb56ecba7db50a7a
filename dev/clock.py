"""Simulated time: real time plus an offset in whole seconds, stored in a small file.

Only the process of the stack writes the file. Workers read it for every instant, which takes about ten microseconds.
"""

import json
import os
import time
import urllib.request
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Offset:
    """How many seconds simulated time is ahead of real time, negative if behind, and whether it is being advanced."""

    seconds: int = 0
    is_advancing: bool = False


class ClockFile:
    """The stored offset. If the file does not exist, the offset is zero."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> Offset:
        """Return the offset as last written."""
        try:
            stored = json.loads(self.path.read_bytes())
        except FileNotFoundError:
            return Offset()
        return Offset(seconds=stored["offsetSeconds"], is_advancing=stored["isAdvancing"])

    def write(self, offset: Offset) -> None:
        """Replace the file, so that a crash leaves either the old offset or the new one."""
        fresh = self.path.with_suffix(".new")
        with fresh.open("w") as file:
            json.dump({"offsetSeconds": offset.seconds, "isAdvancing": offset.is_advancing}, file)
            file.flush()
            # Else a crash of the machine could leave an empty file.
            os.fsync(file.fileno())
        fresh.replace(self.path)

    def now(self) -> datetime:
        """Return the simulated instant in whole milliseconds."""
        real = datetime.now(UTC)
        return real.replace(microsecond=real.microsecond // 1000 * 1000) + timedelta(
            seconds=self.read().seconds
        )


class DevClock:
    """The ``Clock`` of a worker. While time is being advanced, ``sleep`` advances it instead of waiting."""

    def __init__(self, path: Path, stack_url: str) -> None:
        self._file = ClockFile(path)
        self._stack_url = stack_url

    def now(self) -> datetime:
        """Return the simulated instant."""
        return self._file.now()

    def sleep(self, seconds: float) -> None:
        """Return when ``seconds`` of simulated time have passed."""
        if seconds <= 0:
            return
        if not self._file.read().is_advancing:
            time.sleep(seconds)
            return
        body = json.dumps({"seconds": seconds}).encode()
        request = urllib.request.Request(f"{self._stack_url}/_local/clock/sleep", data=body, method="POST")  # noqa: S310 - our own process
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - our own process
            answer.read()
