"""Runs the local stack until Ctrl-C, with the demo's services and the example strategies. ``make up``.

It reads PORT (8080), DOWNSTREAM_PORT (8081), STATE_DIR (.state/up), START_AT, WAKEUPS, SWEEPER and SECRETS_FILE.
"""

import os
import signal
import sys
import threading
from http import HTTPStatus
from pathlib import Path

from dev.client import KEY, Processes, RefusedError, example
from dev.workers import ROOT

EXAMPLES = ("water-filter-refill", "gym-membership", "pet-cover", "saas-subscription")


def main() -> int:
    """Serve. The state survives the end, even a kill -9."""
    ports = {"stack_port": int(os.environ.get("PORT", "8080"))}
    ports["downstream_port"] = int(os.environ.get("DOWNSTREAM_PORT", "8081"))
    folder = Path(os.environ.get("STATE_DIR", ROOT / ".state" / "up"))
    options = [f"--{name}={os.environ.get(name.upper(), 'on')}" for name in ("wakeups", "sweeper")]
    if "START_AT" in os.environ:
        options += ["--start-at", os.environ["START_AT"]]
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    processes = Processes(folder, **ports)
    try:
        processes.start_downstream()
        processes.start_stack(*options)
        for name in EXAMPLES:
            _save(processes, name)
        _say(
            f"serving {processes.stack.url}, downstream {processes.downstream.url}, key {KEY}; Ctrl-C ends it"
        )
        stopped.wait()
    finally:
        processes.stop()
    return 0


def _save(processes: Processes, name: str) -> None:
    try:
        processes.stack.call("POST", "/execution-strategy", example(name, processes.downstream))
    except RefusedError as error:
        if error.status != HTTPStatus.CONFLICT:  # the strategy was saved at an earlier start
            raise


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - the user waits for it


if __name__ == "__main__":
    sys.exit(main())
