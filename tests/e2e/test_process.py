"""A client of the process dialect on the local stack, in real time."""

import base64
import json
import re
import time
import urllib.request
from typing import Any

import pytest

from dev.client import KEY, Processes
from tests.dialects.wire import ROOT

PAGE = (ROOT / "docs" / "api" / "process.md").read_text()
BODIES = [json.loads(text) for text in re.findall(r"-d '\n(.*?)'\n", PAGE, re.DOTALL)]
"""What the walk through the dialect's page sends: a strategy, a start at once, a start of a schedule."""
SECONDS = 5
LONGEST_SECONDS = 60


def asked(processes: Processes, path: str, body: Any = None) -> dict[str, Any]:
    """The answer to a client that knows nothing but a user and a password."""
    credentials = base64.b64encode(KEY.replace(".", ":", 1).encode()).decode()
    request = urllib.request.Request(  # noqa: S310 - loopback
        f"{processes.stack.url}/scheduler/connector-api/process/{path}",
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Basic {credentials}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=LONGEST_SECONDS) as answer:  # noqa: S310 - loopback
        told: dict[str, Any] = json.loads(answer.read())
        return told


def served(processes: Processes, minimal: dict[str, Any]) -> float:
    """How many seconds a process took from its start until its client was told that it has succeeded."""
    began = time.monotonic()
    started = asked(processes, "start", minimal)
    assert started["message"] == "Process saved"
    seen: list[str] = []
    while "SUCCEEDED" not in seen:
        status = asked(processes, f"status/{started['robustaSpid']}")
        seen.append(status["status"])
        assert time.monotonic() - began < LONGEST_SECONDS, seen
        time.sleep(0.05)
    assert status == {
        "status": "SUCCEEDED",
        "message": "Your transaction has ended.",
        "__out_x": "Ann Lee",
    }
    assert set(seen) <= {"WAITING", "RUNNING", "SUCCEEDED"}
    return time.monotonic() - began


class TestTheMinimalClient:
    """It starts a process now and once, and asks until it is told that it has succeeded: in under five seconds."""

    @pytest.mark.timeout(120)
    def test_it_is_served_in_time(self, processes: Processes) -> None:
        strategy, minimal, _ = BODIES
        assert sorted(minimal) == ["name", "runImmediately", "runOnce", "values", "worker"]
        text = json.dumps(strategy).replace("http://127.0.0.1:8081", processes.downstream.url)
        processes.start_stack()
        processes.stack.call("POST", "/execution-strategy", json.loads(text))

        served(processes, minimal)  # the functions start with their first calls, which is not what is timed
        seconds = served(processes, minimal)

        assert seconds < SECONDS
        lines = [one for one in processes.downstream.call("GET", "/_ledger") if "/writings" in one["path"]]
        assert [line["request"] for line in lines] == [{"worker": "7", "text": "Ann"}] * 2
