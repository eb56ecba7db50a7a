"""The feed of notifications of the local stack, and kills of its processes."""

import http.client
import json
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from dev.client import Api


def sent_events(stack: Api, *, after: int = 0) -> list[tuple[int, dict[str, Any]]]:
    """Return the server-sent events that the stack has now, each with its id."""
    connection = http.client.HTTPConnection(stack.url.removeprefix("http://"), timeout=1)
    connection.request("GET", "/_local/events", headers={"Last-Event-ID": str(after)})
    answer = connection.getresponse()
    assert (answer.status, answer.headers["content-type"]) == (200, "text/event-stream")
    data = b""
    with suppress(TimeoutError):  # nothing new for a second
        while chunk := answer.read1():
            data += chunk
    connection.close()
    found: list[tuple[int, dict[str, Any]]] = []
    for event in data.decode().split("\n\n"):
        members = dict(line.split(": ", 1) for line in event.splitlines() if line[0] != ":")
        if members:
            message = json.loads(members["data"])
            assert members["event"] == message["kind"]
            found.append((int(members["id"]), message))
    return found


def workers(stack: Api, function: str) -> list[int]:
    pids: list[int] = stack.call("GET", "/_local/processes")["workers"][function]
    return pids


def kill(pids: list[int]) -> int:
    """Kill processes with SIGKILL, and return how many there were."""
    count = 0
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            count += 1
    return count


def await_that(holds: Callable[[], bool], seconds: float, tell: Callable[[], object]) -> None:
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, tell()
        time.sleep(0.5)
