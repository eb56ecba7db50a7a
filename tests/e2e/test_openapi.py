"""Whatever is sent to the core API, the local stack's answers are those that the OpenAPI document promises.

Schemathesis makes the requests: valid and invalid ones for every operation, once with ids that nobody has and
once with ids of things that are there. With ``PHASES=coverage,fuzzing,stateful`` every bound of every field too.
"""

import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dev.client import KEY, Api, Processes, example
from shared.api.reference.core import document

pytestmark = pytest.mark.timeout(500)

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
STRATEGY = "water-filter-refill"
EXAMPLES = 10
PHASES = os.environ.get("PHASES", "fuzzing,stateful")
OPERATIONS = sum(len(methods) for methods in document()["paths"].values())


def with_any_settings() -> dict[str, Any]:
    """The document without what it says of single settings.

    The coverage phase goes through every bound of every field below a body: two thousand requests for each
    operation that takes settings, six times as many as for all others together. The schema and the reader's
    checks are made from one declaration, so that needs no requests.
    """
    found = document()
    for schema in found["components"]["schemas"].values():
        members = schema.get("properties", {})
        if members.get("settings") == {"$ref": "#/components/schemas/Settings"}:
            members["settings"] = {"type": "object"}
    return found


def explored(
    processes: Processes, secret: str, ids: dict[str, str], *, phases: str, promised: dict[str, Any]
) -> subprocess.CompletedProcess[str]:
    """What schemathesis says of the stack. ids: by the paths in which each stands for ``sid``."""
    (processes.folder / "openapi.json").write_text(json.dumps(promised))
    known = [
        f'[[operations]]\ninclude-path-regex = "^{path}/"\n'
        f'parameters = {{ "path.sid" = "{sid}", "path.version" = "1" }}'
        for path, sid in ids.items()
    ]
    (processes.folder / "schemathesis.toml").write_text("\n".join(known))
    encoded = base64.b64encode(secret.encode()).decode()
    command = [
        str(Path(sys.executable).parent / "schemathesis"),
        *("--config-file", "schemathesis.toml"),
        *("run", "openapi.json"),
        *("--url", processes.stack.url),
        *("--header", f"Authorization: Bearer {KEY}"),
        *("--header", f"Strategy-Secret: {encoded}"),
        *("--checks", CHECKS),
        *("--max-examples", str(EXAMPLES)),
        *("--phases", phases),
        "--generation-deterministic",
    ]
    return subprocess.run(  # noqa: S603 - our own tool on our own stack
        command, cwd=processes.folder, capture_output=True, text=True, check=False
    )


@pytest.fixture
def running(processes: Processes) -> tuple[Processes, str]:
    """The stack with a strategy, and its secret."""
    processes.start_stack()
    strategy = example(STRATEGY, processes.downstream)
    processes.stack.call("POST", "/execution-strategy", strategy)
    return processes, strategy["secret"]


def an_operation(api: Api) -> str:
    """The sid of a bulk operation, on instances that nobody has."""
    body = {"selection": {"ids": ["gone"]}, "command": {"name": "pause"}}
    return str(api.call("POST", "/bulk-operation", body)["sid"])


class TestEveryOperation:
    """No 5xx, no status and no shape that is not in the document."""

    def test_with_ids_that_nobody_has(self, running: tuple[Processes, str]) -> None:
        processes, secret = running

        found = explored(processes, secret, {}, phases="fuzzing,stateful", promised=document())

        assert found.returncode == 0, found.stdout[-6000:]
        assert f"Tested: {OPERATIONS}" in found.stdout

    def test_with_ids_of_things_that_are_there(self, running: tuple[Processes, str]) -> None:
        processes, secret = running
        api = processes.stack
        created = [
            type(api)(url=api.url, secret=secret).call(
                "POST",
                "/execution-instance",
                {
                    "strategyId": STRATEGY,
                    "attributes": {"customerId": "c"},
                    "startDate": "2040-01-01T00:00:00Z",
                },
            )
            for _ in range(2)
        ]
        ids = {
            "/execution-strategy": created[0]["createdEvents"]["mainEvent"]["strategySid"],
            "/execution-instance": created[0]["executionInstance"]["sid"],
            "/execution-event": created[1]["createdEvents"]["mainEvent"]["sid"],
            "/bulk-operation": an_operation(api),
        }

        found = explored(processes, secret, ids, phases=PHASES, promised=with_any_settings())

        assert found.returncode == 0, found.stdout[-6000:]
        assert f"Tested: {OPERATIONS}" in found.stdout
