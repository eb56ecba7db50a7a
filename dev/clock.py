"""Simulated time: real time plus an offset in whole seconds, kept in a small file.

The development process alone writes the file; workers read it at each look, which costs about ten microseconds.
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
    """How far simulated time is ahead of real time (behind, where negative), and whether a jump is under way."""

    seconds: int = 0
    is_advancing: bool = False


class ClockFile:
    """The stored offset; a missing file is none."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> Offset:
        """The offset as last written."""
        try:
            stored = json.loads(self.path.read_bytes())
        except FileNotFoundError:
            return Offset()
        return Offset(seconds=stored["offsetSeconds"], is_advancing=stored["isAdvancing"])

    def write(self, offset: Offset) -> None:
        """Replace it, so that a crash leaves either the old or the new one."""
        fresh = self.path.with_suffix(".new")
        with fresh.open("w") as file:
            json.dump({"offsetSeconds": offset.seconds, "isAdvancing": offset.is_advancing}, file)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self.path)

    def now(self) -> datetime:
        """The simulated instant, in whole milliseconds."""
        real = datetime.now(UTC)
        return real.replace(microsecond=real.microsecond // 1000 * 1000) + timedelta(
            seconds=self.read().seconds
        )


class DevClock:
    """The ``Clock`` of a worker. ``sleep`` has time moved on, instead of waiting, while a jump is under way."""

    def __init__(self, path: Path, stack_url: str) -> None:
        self._file = ClockFile(path)
        self._stack_url = stack_url

    def now(self) -> datetime:
        """The simulated instant."""
        return self._file.now()

    def sleep(self, seconds: float) -> None:
        """Return once ``seconds`` of simulated time have passed."""
        if seconds <= 0:
            return
        if not self._file.read().is_advancing:
            time.sleep(seconds)
            return
        body = json.dumps({"seconds": seconds}).encode()
        request = urllib.request.Request(f"{self._stack_url}/_local/clock/sleep", data=body, method="POST")  # noqa: S310 - our own process
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - our own process
            answer.read()
