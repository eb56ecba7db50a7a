"""The answers of the other dialects on the local stack agree with their OpenAPI documents, for any request.

``PHASES=coverage,fuzzing`` tests every bound of every field too: four thousand requests, two minutes each.
"""

import base64
import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from dev.client import KEY, Processes, example
from shared.api.reference.build import document_of
from tests.e2e.test_openapi import CHECKS, STRATEGY

pytestmark = pytest.mark.timeout(500)

EXAMPLES = 15
PHASES = os.environ.get("PHASES", "fuzzing")
BASIC = "Basic " + base64.b64encode(KEY.replace(".", ":", 1).encode()).decode()
DEFINITION = {
    "trigger": "http_request",
    "status": "enabled",
    "definition": {
        "name": "Pause",
        "steps": [{"id": "pause", "stepType": "Wait", "inputs": {"duration": "1.00:00:00"}}],
    },
}


def explored(
    processes: Processes, dialect: str, header: str, known: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run schemathesis on the stack. ``header`` authenticates; ``known`` are parameters of existing things."""
    (processes.folder / "openapi.json").write_text(json.dumps(document_of(dialect)))
    parameters = ", ".join(f'"path.{name}" = "{value}"' for name, value in known.items())
    (processes.folder / "schemathesis.toml").write_text(
        f'[[operations]]\ninclude-path-regex = "."\nparameters = {{ {parameters} }}\n'
    )
    command = [
        str(Path(sys.executable).parent / "schemathesis"),
        *("--config-file", "schemathesis.toml"),
        *("run", "openapi.json"),
        *("--url", processes.stack.url),
        *("--header", header),
        *("--checks", CHECKS),
        *("--max-examples", str(EXAMPLES)),
        *("--phases", PHASES),
        "--generation-deterministic",
        # How fast data are generated says something about the machine only.
        *("--suppress-health-check", "too_slow"),
    ]
    return subprocess.run(  # noqa: S603 - our own tool on our own stack
        command, cwd=processes.folder, capture_output=True, text=True, check=False
    )


def session(processes: Processes) -> str:
    """Return the token of a client of the orders dialect."""
    request = urllib.request.Request(  # noqa: S310 - loopback
        f"{processes.stack.url}/joc/api/authentication/login",
        b"{}",
        {"Authorization": BASIC},
        method="POST",
    )
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - loopback
        return str(answer.headers["X-Access-Token"])


@pytest.fixture
def running(processes: Processes) -> Processes:
    """Return the stack with a strategy."""
    processes.start_stack()
    processes.stack.call("POST", "/execution-strategy", example(STRATEGY, processes.downstream))
    return processes


def assert_kept(found: subprocess.CompletedProcess[str], dialect: str) -> None:
    operations = sum(len(methods) for methods in document_of(dialect)["paths"].values())
    assert found.returncode == 0, found.stdout[-6000:]
    assert f"Tested: {operations}" in found.stdout


class TestEveryOperation:
    """No answer is a 5xx, and every status and shape is documented."""

    def test_the_automation_dialect_agrees_with_its_document(self, running: Processes) -> None:
        base = "/api/v1/accounts/dev/definitions"
        definition: dict[str, Any] = running.stack.call("POST", base, DEFINITION)
        workflow = running.stack.call("POST", f"{base}/{definition['id']}/workflows", {"n": 1})
        known = {
            "account_id": "dev",
            "definition_id": definition["id"],
            "workflow_id": workflow["workflowId"],
        }

        assert_kept(explored(running, "automation", f"Authorization: Bearer {KEY}", known), "automation")

    def test_the_orders_dialect_agrees_with_its_document(self, running: Processes) -> None:
        assert_kept(explored(running, "orders", f"X-Access-Token: {session(running)}", {}), "orders")

    def test_the_process_dialect_agrees_with_its_document(self, running: Processes) -> None:
        body = {"name": STRATEGY, "values": {"customerId": "c"}, "quartzDef": "0 0 9 * * ?", "runOnce": "N"}
        request = urllib.request.Request(  # noqa: S310 - loopback
            f"{running.stack.url}/scheduler/connector-api/process/start",
            json.dumps(body).encode(),
            {"Authorization": BASIC},
            method="POST",
        )
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - loopback
            known = {"robustaSpid": json.loads(answer.read())["robustaSpid"]}

        assert_kept(explored(running, "process", f"Authorization: {BASIC}", known), "process")
