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
"""The bodies of the page's example: a strategy, an immediate start, and a start with a schedule."""
SECONDS = 5
LONGEST_SECONDS = 60


def answer_of(processes: Processes, path: str, body: Any = None) -> dict[str, Any]:
    """Return the answer to a client that has only a user and a password."""
    credentials = base64.b64encode(KEY.replace(".", ":", 1).encode()).decode()
    request = urllib.request.Request(  # noqa: S310 - loopback
        f"{processes.stack.url}/scheduler/connector-api/process/{path}",
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Basic {credentials}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=LONGEST_SECONDS) as answer:  # noqa: S310 - loopback
        states: dict[str, Any] = json.loads(answer.read())
        return states


def served(processes: Processes, minimal: dict[str, Any]) -> float:
    """Return how many seconds a process took until its client saw that it had succeeded."""
    began = time.monotonic()
    started = answer_of(processes, "start", minimal)
    assert started["message"] == "Process saved"
    seen: list[str] = []
    while "SUCCEEDED" not in seen:
        status = answer_of(processes, f"status/{started['robustaSpid']}")
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
    """A client starts a process and sees its success in less than five seconds."""

    @pytest.mark.timeout(120)
    def test_a_process_succeeds_within_five_seconds(self, processes: Processes) -> None:
        strategy, minimal, _ = BODIES
        assert sorted(minimal) == ["name", "runImmediately", "runOnce", "values", "worker"]
        text = json.dumps(strategy).replace("http://127.0.0.1:8081", processes.downstream.url)
        processes.start_stack()
        processes.stack.call("POST", "/execution-strategy", json.loads(text))

        served(processes, minimal)  # the functions start with their first calls, which must not be timed
        seconds = served(processes, minimal)

        assert seconds < SECONDS
        lines = [one for one in processes.downstream.call("GET", "/_ledger") if "/writings" in one["path"]]
        assert [line["request"] for line in lines] == [{"worker": "7", "text": "Ann"}] * 2
