"""The answers of the core API on the local stack agree with the OpenAPI document, for any request.

Schemathesis makes valid and invalid requests for every operation, with unknown ids and with existing ones. With
``PHASES=coverage,fuzzing,stateful`` every bound of every field is tested too.
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
    """Return the document without the schemas of single settings.

    The coverage phase would make two thousand requests for each operation that takes settings. Schema and checks come
    from one declaration, so these requests are not needed.
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
    """Run schemathesis on the stack. ``ids`` are the sids of existing things, by the paths that use them."""
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
        # How fast data are generated says something about the machine only.
        *("--suppress-health-check", "too_slow"),
    ]
    return subprocess.run(  # noqa: S603 - our own tool on our own stack
        command, cwd=processes.folder, capture_output=True, text=True, check=False
    )


@pytest.fixture
def running(processes: Processes) -> tuple[Processes, str]:
    """Return the stack with a strategy, and its secret."""
    processes.start_stack()
    strategy = example(STRATEGY, processes.downstream)
    processes.stack.call("POST", "/execution-strategy", strategy)
    return processes, strategy["secret"]


def an_operation(api: Api) -> str:
    """Begin a bulk operation on unknown instances and return its sid."""
    body = {"selection": {"ids": ["gone"]}, "command": {"name": "pause"}}
    return str(api.call("POST", "/bulk-operation", body)["sid"])


class TestEveryOperation:
    """No answer is a 5xx, and every status and shape is documented."""

    def test_requests_with_unknown_ids_agree_with_the_document(self, running: tuple[Processes, str]) -> None:
        processes, secret = running

        found = explored(processes, secret, {}, phases="fuzzing,stateful", promised=document())

        assert found.returncode == 0, found.stdout[-6000:]
        assert f"Tested: {OPERATIONS}" in found.stdout

    def test_requests_with_existing_ids_agree_with_the_document(self, running: tuple[Processes, str]) -> None:
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
