"""Runs the local stack until Ctrl-C, with the demo's services and the example strategies. ``make up``.

It reads PORT (8080), DOWNSTREAM_PORT (8081), STATE_DIR (.state/up), START_AT, WAKEUPS, SWEEPER, CONTAINERS_AT and
SECRETS_FILE.
"""

import os
import signal
import socket
import sys
import threading
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path

from dev.client import KEY, Processes, RefusedError, StartError, example
from dev.http_server import MAX_PORT
from dev.workers import ROOT
from shared.domain.calendar.dates import parse_instant
from shared.domain.errors import DateError

EXAMPLES = ("water-filter-refill", "gym-membership", "pet-cover", "saas-subscription")

STATE = ROOT / ".state" / "up"

SLOW_SECONDS = 5.0
_PORTS = {"PORT": "8080", "DOWNSTREAM_PORT": "8081"}
_SWITCHES = ("WAKEUPS", "SWEEPER")


class StoppedError(Exception):
    """The user has ended the program while it started."""


class Starting:
    """Says once that a start takes long, and ends it if the user does."""

    def __init__(self, stopped: threading.Event) -> None:
        self._stopped = stopped
        self._has_spoken = False

    def waited(self, seconds: float) -> None:
        """Take note of how long the start takes. Raises: StoppedError."""
        if self._stopped.is_set():
            raise StoppedError
        if seconds > SLOW_SECONDS and not self._has_spoken:
            self._has_spoken = True
            _say("still starting: the first start takes up to a minute or two")


def main() -> int:
    """Serve. The state survives the end, even a kill -9. Return 1 if it could not start or continue."""
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    problems = _problems(os.environ)
    if problems:
        for problem in problems:
            _complain(problem)
        return 1
    folder = Path(os.environ.get("STATE_DIR", STATE))
    ports = {name: int(os.environ.get(name, default)) for name, default in _PORTS.items()}
    processes = Processes(
        folder,
        stack_port=ports["PORT"],
        downstream_port=ports["DOWNSTREAM_PORT"],
        on_wait=Starting(stopped).waited,
    )
    try:
        return _serve(processes, stopped)
    except StoppedError:
        return 0
    except (StartError, RefusedError) as error:
        _complain(str(error))
        return 1
    finally:
        processes.stop()


def _serve(processes: Processes, stopped: threading.Event) -> int:
    options = [f"--{name.lower()}={os.environ.get(name, 'on')}" for name in _SWITCHES]
    for name in ("START_AT", "CONTAINERS_AT"):
        if os.environ.get(name):
            options += [f"--{name.lower().replace('_', '-')}", os.environ[name]]
    processes.start_downstream()
    processes.start_stack(*options)
    for name in EXAMPLES:
        _save(processes, name)
    _say(f"serving {processes.stack.url}, downstream {processes.downstream.url}, key {KEY}; Ctrl-C ends it")
    while not stopped.wait(1):
        processes.check()
    return 0


def _problems(environment: Mapping[str, str]) -> list[str]:
    """Return the errors in the settings, and the ports that other programs have."""
    problems = []
    for name, default in _PORTS.items():
        text = environment.get(name, default)
        if not (text.isascii() and text.isdigit() and 0 < int(text) <= MAX_PORT):
            problems.append(f"{name} must be a whole number from 1 to {MAX_PORT}, not {text!r}")
        elif (why := _why_not_free(int(text))) is not None:
            problems.append(f"port {text} cannot be used ({why}): end the program that has it, or set {name}")
    problems += [
        f"{name} must be on or off, not {environment[name]!r}"
        for name in _SWITCHES
        if environment.get(name, "on") not in ("on", "off")
    ]
    try:
        parse_instant(environment.get("START_AT", "2026-01-01T00:00:00Z"))
    except DateError as error:
        problems.append(f"START_AT {error}")
    return problems


def _why_not_free(port: int) -> str | None:
    """Return why a port cannot be listened at, or None if it can."""
    # Tried here, because a second stack would otherwise be taken for the one that this program starts.
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError as error:
        return os.strerror(error.errno) if error.errno else str(error)
    return None


def _save(processes: Processes, name: str) -> None:
    try:
        processes.stack.call("POST", "/execution-strategy", example(name, processes.downstream))
    except RefusedError as error:
        if error.status != HTTPStatus.CONFLICT:  # the strategy was saved at an earlier start
            raise


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - the user waits for it


def _complain(text: str) -> None:
    print(f"make up: {text}", file=sys.stderr, flush=True)  # noqa: T201 - the user waits for it


if __name__ == "__main__":
    sys.exit(main())
