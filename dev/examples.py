"""Plays the example requests of the OpenAPI document and writes them down with their answers.

``python -m dev.examples`` writes ``shared/api/reference/examples/core.json``. A test plays them
again and compares. The engine runs in memory with a fixed clock and counted ids, so the result is always the same.
"""

import base64
import json
import sys
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from dev.memory.world import ManualClock, MemoryPorts, SequentialIds
from shared.adapters.crypto import SecretHasher
from shared.api.core.dialect import CORE
from shared.api.core.routes import ROUTES
from shared.api.http.deployment import Deployment
from shared.api.http.gateway import answer
from shared.api.http.request import Incoming
from shared.api.http.route import Route
from shared.api.reference.core import EXAMPLES_FILE
from shared.application.runner.loop import run_due_events
from shared.domain.access import AccessKey, Role
from shared.domain.ids import AccountId, InstanceSid
from shared.domain.steps.call import Answered, CallOutcome, ServiceRequest, TimedOut
from shared.domain.strategy.model import Json
from shared.domain.tokens import TokenRules

ROOT = Path(__file__).parents[1]
ACCOUNT = AccountId("example")
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
ROUTE_OF = {route.operation.__name__: route for route in ROUTES}
DEPLOYMENT = Deployment(
    environment="prod",
    stage="prod",
    up_seconds=86_400,
    connector_timezone="UTC",
    joc_allow_unscoped=False,
    joc_force_comments=False,
    tokens=TokenRules(),
)
SHIPPED = Answered(status=201, body={"shipmentId": "shp-1"})


@dataclass(slots=True)
class Ids(SequentialIds):
    """Counted ids in the form of real ones."""

    def instance_sid(self) -> InstanceSid:
        """Return the next id, in the form of a UUID."""
        self.count += 1
        return InstanceSid(f"{self.count:08}-0000-4000-8000-000000000000")


@dataclass(slots=True)
class _Warehouse:
    """A service with a fixed outcome."""

    outcome: CallOutcome

    def call(self, _: ServiceRequest) -> CallOutcome:
        """Return the outcome for any request."""
        return self.outcome


@dataclass(slots=True)
class Story:
    """Plays operations one after another. ``recorded`` holds the example of each operation by its name."""

    warehouse: _Warehouse = field(default_factory=lambda: _Warehouse(outcome=SHIPPED))
    hasher: SecretHasher = field(default_factory=lambda: SecretHasher(b"p" * 32))
    recorded: dict[str, Json] = field(default_factory=dict)
    ports: MemoryPorts = field(init=False)

    def __post_init__(self) -> None:
        """Create an account with the key of its first administrator."""
        self.ports = MemoryPorts(caller=self.warehouse, clock=ManualClock(NOON), ids=Ids())
        key = AccessKey(
            key_id="key-1",
            account_id=ACCOUNT,
            role=Role.ADMIN,
            secret_hash=self.hasher.hash("secret"),
            created_at=NOON,
        )
        self.ports.access.put_key(key)

    def record(
        self, name: str, *path: str, body: Json = None, query: Mapping[str, str] | None = None
    ) -> Json:
        """Execute an operation, record it as an example, and return the answer."""
        answer = self.do(name, *path, body=body, query=query)
        route = ROUTE_OF[name]
        example = {
            "path": dict(zip(parts_of(route), path, strict=True)),
            "query": dict(query or {}),
            "body": body,
            "answer": answer,
        }
        self.recorded[name] = {key: value for key, value in example.items() if value not in (None, {})}
        self.recorded[name].setdefault("answer", answer)
        return answer

    def do(self, name: str, *path: str, body: Json = None, query: Mapping[str, str] | None = None) -> Json:
        """Execute an operation and return the answer."""
        secret = base64.b64encode(strategy()["secret"].encode()).decode()
        route = ROUTE_OF[name]
        incoming = Incoming(
            ports=self.ports,
            hasher=self.hasher,
            deployment=DEPLOYMENT,
            headers={"authorization": "Bearer key-1.secret", "strategy-secret": secret},
            query=query or {},
            text=b"" if body is None else json.dumps(body).encode(),
            now=self.ports.clock.now(),
        )
        found = answer(CORE, route, incoming, dict(zip(parts_of(route), path, strict=True)))
        return json.loads(json.dumps(found.body))

    def run(self, sid: str) -> None:
        """Run the step runner for an instance."""
        left = timedelta(minutes=15)
        run_due_events(self.ports, InstanceSid(sid), job="job-1", time_left=lambda: left)

    def wait(self, **span: float) -> None:
        """Advance the clock."""
        self.ports.clock.at += timedelta(**span)


def parts_of(route: Route) -> list[str]:
    """Return the names of the parameters in a route's path, in order."""
    return [part[1:-1] for part in route.path.split("/") if part.startswith("<")]


def strategy(name: str | None = None, **method: Json) -> dict[str, Any]:
    """Return the strategy of the water filter, with another name or a changed method if these are given."""
    found: dict[str, Any] = json.loads((ROOT / "events" / "water-filter-refill.json").read_text())
    found["name"] = name or found["name"]
    found["settings"]["services"][0]["methods"][0] |= method
    return found


def examples() -> dict[str, Json]:
    """Return an example of every operation: its parameters, its body and its answer."""
    story = Story()
    sid = _definitions(story)
    _plans(story)
    _events(story)
    _bulk(story)
    _account(story)
    story.record("pause_a_strategy", sid)
    story.record("resume_a_strategy", sid)
    unused = story.do("post_strategy", body=strategy("no-longer-sold"))["sid"]
    story.record("delete_a_strategy", unused)
    return {name: story.recorded[name] for name in ROUTE_OF}


def started(story: Story, name: str, **more: Json) -> str:
    """Start an instance of a strategy and return its sid."""
    body = {"strategyId": name, "attributes": {"customerId": "c-1"}, **more}
    return str(story.do("post_instance", body=body)["executionInstance"]["sid"])


def _definitions(story: Story) -> str:
    sid = str(story.record("post_strategy", body=strategy())["sid"])
    wrong = deepcopy(strategy()["settings"])
    wrong["tasks"][0]["initialStep"] = "pack"
    story.record("validate_strategy", body={"settings": wrong})
    story.record(
        "patch_strategy", sid, body={"settings": strategy()["settings"], "description": "A cartridge a month"}
    )
    story.record("list_strategies", query={"limit": "10"})
    story.record("get_strategy", sid)
    story.record("simulate_execution", sid, body={"cycles": 2, "startDate": "2026-01-31T09:00:00.000Z"})
    story.record("list_versions", sid)
    story.record("get_version", sid, "1")
    return sid


def _plans(story: Story) -> None:
    name = strategy()["name"]
    body = {
        "strategyId": name,
        "attributes": {"customerId": "c-1"},
        "description": "Filters for Ann",
        "startDate": "2026-01-01T12:00:00.000Z",
        "endDate": "2027-01-01T00:00:00.000Z",
    }
    sid = story.record("post_instance", body=body)["executionInstance"]["sid"]
    story.record("get_tasks", sid)
    story.record("get_event", f"{sid}-1")
    story.run(sid)
    story.record("get_instance", sid)
    story.record("patch_instance", sid, body={"attributes": {"customerId": "c-2"}, "endDate": None})
    story.record("list_instances", query={"strategyId": name, "status": "ACTIVE"})
    story.record("get_forecast", sid, query={"cycles": "2"})
    story.record("list_events", sid)
    story.record("explain_instance", sid, query={"at": "2026-01-01T12:00:00.000Z"})
    story.record("reschedule_event", sid, body={"date": "2026-02-09T08:00:00.000Z", "dryRun": True})
    story.record("skip_cycles", sid, body={"cycles": 1, "dryRun": True})
    story.record("migrate_an_instance", sid, body={"version": 1, "dryRun": True})
    by_hand = {"task": "send-refill", "date": "2026-01-10T08:00:00.000Z", "manualTrigger": True}
    added = story.record("post_event", sid, body=by_hand)["sid"]
    story.record("execute_event", added)
    story.record("cancel_event", added)
    story.record("pause_instance", sid, body={"until": "2026-06-01"})
    story.wait(days=70)
    story.record("resume_instance", sid, body={"onResume": "all"})
    story.record("cancel_tasks", sid, query={"tasks": "send-refill"})
    story.record("cancel_instance", sid, body={"at": "endOfCycle", "reason": "The customer has moved away"})
    story.record("revoke_cancellation", sid)


def _events(story: Story) -> None:
    story.do("post_strategy", body=strategy("confirmed-refill", **{"async": True}))
    sid = started(story, "confirmed-refill")
    story.run(sid)
    waiting = story.do("get_event", f"{sid}-1")["event"]
    story.record("resume_event", waiting["correlationId"], body={"state": "ARRIVED"})
    story.do("post_strategy", body=strategy("careful-refill", inDoubt="pause"))
    sid = started(story, "careful-refill")
    story.warehouse.outcome = TimedOut(why="read timed out")
    story.run(sid)
    story.record("list_problems", query={"strategyId": "careful-refill"})
    story.record("resolve_event", f"{sid}-1", body={"decision": "retry"})
    story.warehouse.outcome = Answered(status=409, body={"message": "out of stock"})
    sid = started(story, strategy()["name"])
    story.run(sid)
    story.record("retry_an_event", f"{sid}-1", body={"fromStep": "ship"})
    story.run(sid)
    story.record("dismiss_problems", sid, body={"comment": "The customer has moved away"})


def _bulk(story: Story) -> None:
    name = "closing-down"
    story.do("post_strategy", body=strategy(name))
    for _ in range(26):  # one more than a request commands by itself
        started(story, name)
    body = {
        "selection": {"strategyId": name, "statuses": ["ACTIVE"]},
        "command": {"name": "cancel"},
        "comment": "The branch closes",
    }
    sid = story.record("post_bulk_operation", body=body)["sid"]
    story.record("pause_bulk_operation", sid)
    story.record("get_bulk_operation", sid)
    story.record("resume_bulk_operation", sid)
    story.record("cancel_bulk_operation", sid)
    story.record("list_bulk_operations", query={"limit": "1"})


def _account(story: Story) -> None:
    story.record("delete_queue")
    story.record("get_queue")
    story.record("post_queue")
    story.record("put_webhook", body={"url": "https://hooks.example.com/it", "kinds": ["event.failed"]})
    story.record("get_webhook")
    story.record("delete_webhook")
    key = story.record("post_key", body={"role": "viewer", "description": "The dashboard's"})["keyId"]
    story.record("list_keys")
    story.record("delete_key", key)
    story.record("list_audit", query={"limit": "3"})
    story.record("get_overview", query={"limit": "1"})
    story.record("get_app")


def text() -> str:
    """Return the text of the examples file."""
    return json.dumps(examples(), indent=1, ensure_ascii=False) + "\n"


def main() -> int:
    """Write the examples file."""
    EXAMPLES_FILE.write_text(text())
    return 0


if __name__ == "__main__":
    sys.exit(main())
