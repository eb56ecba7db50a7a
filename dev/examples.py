"""Play the example requests of the OpenAPI document and write them down with what is answered.

``python -m dev.examples`` writes ``shared/api/reference/examples/core.json``; a test plays it again and compares. The
engine runs in memory, with a clock that stands still and ids that count, so a story is the same each time.
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
from shared.api.http.gateway import answer
from shared.api.http.request import Deployment, Incoming
from shared.api.http.route import Route
from shared.api.reference.core import EXAMPLES_FILE
from shared.application.runner.loop import run_due_events
from shared.domain.access import AccessKey, Role
from shared.domain.ids import AccountId, InstanceSid
from shared.domain.steps.call import Answered, CallOutcome, ServiceRequest, TimedOut
from shared.domain.strategy.model import Json

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
)
SHIPPED = Answered(status=201, body={"shipmentId": "shp-1"})


@dataclass(slots=True)
class Ids(SequentialIds):
    """Counted ids that look like those there are."""

    def instance_sid(self) -> InstanceSid:
        """A UUID in form."""
        self.count += 1
        return InstanceSid(f"{self.count:08}-0000-4000-8000-000000000000")


@dataclass(slots=True)
class _Warehouse:
    """Answers what it is told to."""

    outcome: CallOutcome

    def call(self, _: ServiceRequest) -> CallOutcome:
        """The outcome, whatever is asked."""
        return self.outcome


@dataclass(slots=True)
class Story:
    """Operations one after another. told: each one's example by its name."""

    warehouse: _Warehouse = field(default_factory=lambda: _Warehouse(outcome=SHIPPED))
    hasher: SecretHasher = field(default_factory=lambda: SecretHasher(b"p" * 32))
    told: dict[str, Json] = field(default_factory=dict)
    ports: MemoryPorts = field(init=False)

    def __post_init__(self) -> None:
        """An account with the key of its first administrator."""
        self.ports = MemoryPorts(caller=self.warehouse, clock=ManualClock(NOON), ids=Ids())
        key = AccessKey(
            key_id="key-1",
            account_id=ACCOUNT,
            role=Role.ADMIN,
            secret_hash=self.hasher.hash("secret"),
            created_at=NOON,
        )
        self.ports.access.put_key(key)

    def tell(self, name: str, *path: str, body: Json = None, query: Mapping[str, str] | None = None) -> Json:
        """Have an operation done and keep it as its example; the answer."""
        answer = self.do(name, *path, body=body, query=query)
        route = ROUTE_OF[name]
        example = {
            "path": dict(zip(parts_of(route), path, strict=True)),
            "query": dict(query or {}),
            "body": body,
            "answer": answer,
        }
        self.told[name] = {key: value for key, value in example.items() if value not in (None, {})}
        self.told[name].setdefault("answer", answer)
        return answer

    def do(self, name: str, *path: str, body: Json = None, query: Mapping[str, str] | None = None) -> Json:
        """Have an operation done; the answer."""
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
        """Let a step runner look at an instance."""
        left = timedelta(minutes=15)
        run_due_events(self.ports, InstanceSid(sid), job="job-1", time_left=lambda: left)

    def wait(self, **span: float) -> None:
        """Let time pass."""
        self.ports.clock.at += timedelta(**span)


def parts_of(route: Route) -> list[str]:
    """Return the names in a route's path, in their order."""
    return [part[1:-1] for part in route.path.split("/") if part.startswith("<")]


def strategy(name: str | None = None, **method: Json) -> dict[str, Any]:
    """The water filter's strategy, under another name and with a changed method where these are given."""
    found: dict[str, Any] = json.loads((ROOT / "events" / "water-filter-refill.json").read_text())
    found["name"] = name or found["name"]
    found["settings"]["services"][0]["methods"][0] |= method
    return found


def examples() -> dict[str, Json]:
    """An example of every operation: its parameters, its body and its answer."""
    story = Story()
    sid = _definitions(story)
    _plans(story)
    _events(story)
    _bulk(story)
    _account(story)
    story.tell("pause_a_strategy", sid)
    story.tell("resume_a_strategy", sid)
    unused = story.do("post_strategy", body=strategy("no-longer-sold"))["sid"]
    story.tell("delete_a_strategy", unused)
    return {name: story.told[name] for name in ROUTE_OF}


def started(story: Story, name: str, **more: Json) -> str:
    """The sid of a new instance of a strategy."""
    body = {"strategyId": name, "attributes": {"customerId": "c-1"}, **more}
    return str(story.do("post_instance", body=body)["executionInstance"]["sid"])


def _definitions(story: Story) -> str:
    sid = str(story.tell("post_strategy", body=strategy())["sid"])
    wrong = deepcopy(strategy()["settings"])
    wrong["tasks"][0]["initialStep"] = "pack"
    story.tell("validate_strategy", body={"settings": wrong})
    story.tell(
        "patch_strategy", sid, body={"settings": strategy()["settings"], "description": "A cartridge a month"}
    )
    story.tell("list_strategies", query={"limit": "10"})
    story.tell("get_strategy", sid)
    story.tell("simulate_execution", sid, body={"cycles": 2, "startDate": "2026-01-31T09:00:00.000Z"})
    story.tell("list_versions", sid)
    story.tell("get_version", sid, "1")
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
    sid = story.tell("post_instance", body=body)["executionInstance"]["sid"]
    story.tell("get_tasks", sid)
    story.tell("get_event", f"{sid}-1")
    story.run(sid)
    story.tell("get_instance", sid)
    story.tell("patch_instance", sid, body={"attributes": {"customerId": "c-2"}, "endDate": None})
    story.tell("list_instances", query={"strategyId": name, "status": "ACTIVE"})
    story.tell("get_forecast", sid, query={"cycles": "2"})
    story.tell("list_events", sid)
    story.tell("explain_instance", sid, query={"at": "2026-01-01T12:00:00.000Z"})
    story.tell("migrate_an_instance", sid, body={"version": 1, "dryRun": True})
    by_hand = {"task": "send-refill", "date": "2026-01-10T08:00:00.000Z", "manualTrigger": True}
    added = story.tell("post_event", sid, body=by_hand)["sid"]
    story.tell("execute_event", added)
    story.tell("cancel_event", added)
    story.tell("pause_instance", sid)
    story.wait(days=70)
    story.tell("resume_instance", sid, body={"onResume": "all"})
    story.tell("cancel_tasks", sid, query={"tasks": "send-refill"})
    story.tell("cancel_instance", sid)


def _events(story: Story) -> None:
    story.do("post_strategy", body=strategy("confirmed-refill", **{"async": True}))
    sid = started(story, "confirmed-refill")
    story.run(sid)
    waiting = story.do("get_event", f"{sid}-1")["event"]
    story.tell("resume_event", waiting["correlationId"], body={"state": "ARRIVED"})
    story.do("post_strategy", body=strategy("careful-refill", inDoubt="pause"))
    sid = started(story, "careful-refill")
    story.warehouse.outcome = TimedOut(why="read timed out")
    story.run(sid)
    story.tell("resolve_event", f"{sid}-1", body={"decision": "retry"})
    story.warehouse.outcome = Answered(status=409, body={"message": "out of stock"})
    sid = started(story, strategy()["name"])
    story.run(sid)
    story.tell("retry_an_event", f"{sid}-1", body={"fromStep": "ship"})


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
    sid = story.tell("post_bulk_operation", body=body)["sid"]
    story.tell("pause_bulk_operation", sid)
    story.tell("get_bulk_operation", sid)
    story.tell("resume_bulk_operation", sid)
    story.tell("cancel_bulk_operation", sid)
    story.tell("list_bulk_operations", query={"limit": "1"})


def _account(story: Story) -> None:
    story.tell("delete_queue")
    story.tell("get_queue")
    story.tell("post_queue")
    key = story.tell("post_key", body={"role": "viewer", "description": "The dashboard's"})["keyId"]
    story.tell("list_keys")
    story.tell("delete_key", key)
    story.tell("list_audit", query={"limit": "3"})
    story.tell("get_app")


def text() -> str:
    """The examples as they are kept."""
    return json.dumps(examples(), indent=1, ensure_ascii=False) + "\n"


def main() -> int:
    """Write them where the document's maker finds them."""
    EXAMPLES_FILE.write_text(text())
    return 0


if __name__ == "__main__":
    sys.exit(main())
