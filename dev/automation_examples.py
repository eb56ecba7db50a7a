"""Plays the example requests of the automation dialect's OpenAPI document and writes them down with their answers.

``python -m dev.automation_examples`` writes ``shared/api/reference/examples/automation.json``. A test plays
them again and compares. The engine runs in memory with a fixed clock and counted ids.
"""

import json
import sys
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from msgspec.structs import replace

from dev.examples import ACCOUNT, DEPLOYMENT, NOON, ROOT, Ids
from dev.memory.evaluator import InProcessEvaluator
from dev.memory.world import ManualClock, MemoryPorts
from shared.adapters.crypto import SecretHasher
from shared.api.automation.dialect import AUTOMATION
from shared.api.automation.routes import ROUTES
from shared.api.http.gateway import answer
from shared.api.http.request import Incoming
from shared.api.reference.automation import EXAMPLES_FILE
from shared.application.runner.loop import run_due_events
from shared.domain.access import AccessKey, Role
from shared.domain.ids import InstanceSid
from shared.domain.steps.call import Answered, CallOutcome, ServiceRequest
from shared.domain.strategy.model import Json
from shared.expressions import use_evaluator

ROUTE_OF = {route.operation.__name__: route for route in ROUTES}


class _Records:
    """A service that accepts every record."""

    def call(self, _: ServiceRequest) -> CallOutcome:
        """Return 201."""
        return Answered(status=201, body={"recordId": "r-1"})


@dataclass(slots=True)
class Story:
    """Plays operations one after another. ``recorded`` holds the example of each operation by its name."""

    recorded: dict[str, Json] = field(default_factory=dict)
    ports: MemoryPorts = field(
        default_factory=lambda: MemoryPorts(caller=_Records(), clock=ManualClock(NOON), ids=Ids())
    )
    hasher: SecretHasher = field(default_factory=lambda: SecretHasher(b"p" * 32))

    def __post_init__(self) -> None:
        """Create an account with the key of its first administrator."""
        key = AccessKey(
            key_id="key-1",
            account_id=ACCOUNT,
            role=Role.ADMIN,
            secret_hash=self.hasher.hash("secret"),
            created_at=NOON,
        )
        self.ports.access.put_key(key)

    def record(
        self, name: str, body: Json = None, *, query: Mapping[str, str] | None = None, **path: str
    ) -> Json:
        """Execute an operation, record it as an example, and return the answer."""
        incoming = Incoming(
            ports=self.ports,
            hasher=self.hasher,
            deployment=replace(DEPLOYMENT, environment="dev"),
            headers={"authorization": "Bearer key-1.secret"},
            query=query or {},
            text=b"" if body is None else json.dumps(body).encode(),
            now=self.ports.clock.now(),
        )
        whole = {"account_id": ACCOUNT, **path}
        found = answer(AUTOMATION, ROUTE_OF[name], incoming, whole).body
        parts = {"path": whole, "query": query, "body": body, "answer": found}
        self.recorded[name] = {part: value for part, value in parts.items() if value not in (None, "", {})}
        return deepcopy(found)

    def run(self, sid: str) -> None:
        """Run the step runner for a workflow."""
        left = timedelta(seconds=900)
        run_due_events(self.ports, InstanceSid(sid), job="job-1", time_left=lambda: left)


def examples() -> dict[str, Any]:
    """Return the example of every operation by its name, in the order of the routes."""
    story = Story()
    sent = json.loads((ROOT / "events" / "automation-definition.json").read_text())
    of = {"definition_id": story.record("post_definition", sent)["id"]}
    story.record("list_definitions", query={"limit": "10"})
    story.record(
        "post_http_request", {"customerId": "c-1", "event": "new sign up"}, query={"subAccountId": "shop"}
    )
    one = {**of, "workflow_id": story.record("post_workflow", {"customerId": "c-2"}, **of)["workflowId"]}
    story.run(one["workflow_id"])
    story.record("list_workflows", query={"status": "Runnable", "limit": "10"}, **of)
    story.record("get_workflow", query={"includeLogs": "true"}, **one)
    story.record("patch_workflow", {"status": "suspend"}, **one)
    failed = story.record("post_workflow", {"customerId": ""}, **of)["workflowId"]
    story.run(failed)
    story.record("list_errors", **of, workflow_id=failed)
    story.record("post_workflow", {"customerId": "c-2"}, **of)
    story.record("put_definition", {**sent, "status": "disabled"}, **of)
    story.record("get_definition", query={"limit": "1"}, **of)
    story.record("delete_definition", query={"version": "1"}, **of)
    story.record("list_timezones", query={"contains": "europe"})
    story.record("list_functions")
    return {route.operation.__name__: story.recorded[route.operation.__name__] for route in ROUTES}


def main() -> int:
    """Write the examples file."""
    use_evaluator(InProcessEvaluator())
    text = json.dumps(examples(), indent=2, ensure_ascii=False)
    EXAMPLES_FILE.write_text(f"{text}\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
