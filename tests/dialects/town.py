"""An account over stored items whose requests are random, in all dialects.

The items are stored as DynamoDB stores them, because each kind has its own form and place there.
"""

import base64
import json
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from dev.gateway import HttpRequest, event_of
from dev.memory.world import ManualClock
from shared import bootstrap
from shared.adapters.crypto import SecretHasher
from shared.application.runner.loop import run_due_events
from shared.domain.access import Role
from shared.domain.ids import AccountId, InstanceSid, OperationSid
from shared.domain.steps.call import Answered, CallOutcome, ServiceRequest, TimedOut, Unreachable
from tests import full
from tests.bulk_runs import run_bulk
from tests.dialects.automation.client import call, wait
from tests.dialects.everybody import HANDLERS
from tests.dialects.stored_ports import StoredPorts
from tests.dialects.wire import ROUTES, TEMPLATE, Context
from tests.engines import DynamoDb, on_dynamodb

ACCOUNT = AccountId("a-1")
SECRET = "sixteen characters"
BEGUN = datetime(2026, 1, 1, 12, tzinfo=UTC)
LEFT = timedelta(seconds=900)
DAY = {"unit": "days", "amount": 1}
STEPS: list[dict[str, Any]] = [
    {"key": "pay", "action": "pay", "nextStep": "send", "optional": True},
    {"key": "send", "action": "send", "nextStep": "rest"},
    {"key": "rest", "delay": {"unit": "minutes", "amount": 5}, "action": "pay", "nextStep": "note"},
    {"key": "note", "controllerCallback": '{"attributes": {"n": "é\\u001f"}, "response": stack.pay}'},
]
SETTINGS: dict[str, Any] = {
    "schedule": {
        "calendars": [
            {
                "key": "daily",
                "task": "charge",
                "scheduleAfter": DAY,
                "leadingUpTasks": [{"task": "greet", "scheduleBefore": {"unit": "hours", "amount": 2}}],
            }
        ]
    },
    "services": [
        {
            "key": "shop",
            "baseUrls": [{"environment": "dev", "url": "https://shop.example.com"}],
            "methods": [
                {"key": "pay", "url": "/pay", "method": "post", "inDoubt": "pause"},
                {"key": "send", "url": "/send", "method": "post", "async": True, "answerWithin": DAY},
            ],
        }
    ],
    "actions": [
        {"key": "pay", "service": "shop", "method": "pay", "data": {"all": "{{attributes}}"}},
        {"key": "send", "service": "shop", "method": "send", "data": {"to": "{{event.correlationId}}"}},
    ],
    "tasks": [
        {
            "key": "charge",
            "initialStep": "pay",
            "steps": STEPS,
            "retryConfig": {
                "times": 1,
                "retryAfter": {"unit": "hours", "amount": 1},
                "pauseBeforeCancel": True,
            },
            "outputs": {"id": "{{stack.pay.response.id}}"},
        },
        {"key": "greet", "initialStep": "pay", "steps": [{"key": "pay", "action": "pay"}]},
    ],
    "onCreateTasks": [{"task": "greet"}],
    "onCancelTasks": [{"task": "greet", "delayBy": DAY}],
}
DEFINITION = {
    "trigger": "http_request",
    "status": "enabled",
    "definition": {
        "name": "A flow",
        "steps": [call("first", nextStepId="second"), wait("second", "00:05:00")],
    },
}


@dataclass
class Town:
    """Services with random outcomes, and an account whose requests are random. ``correlations`` await an answer."""

    rng: random.Random
    ports: StoredPorts = field(init=False)
    correlations: list[str] = field(default_factory=list)
    definitions: list[str] = field(default_factory=list)
    strategies: list[str] = field(default_factory=list)
    instances: list[str] = field(default_factory=list)
    operations: list[str] = field(default_factory=list)
    orders: list[str] = field(default_factory=list)
    count: int = 0
    answered: int = 0

    def call(self, request: ServiceRequest) -> CallOutcome:
        if isinstance(request.body, dict) and "to" in request.body:
            self.correlations.append(str(request.body["to"]))
        outcomes: list[CallOutcome] = [Answered(status=200, body={"id": "p-1", "list": [1, None, "é"]})] * 4
        outcomes += [Answered(status=402, body={"why": "é" * 400}), Answered(status=200, body="text")]
        outcomes += [TimedOut(why="no answer"), Unreachable(why="no address")]
        return self.rng.choice(outcomes)

    def ask(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Any]:
        """Return the answer to a request, which may be refused but must not fail."""
        status, answer = self.send(method, path, body, headers)
        assert status < 500, (method, path, body, answer)
        return status, answer

    def send(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Any]:
        """Return the answer to a request, which may fail."""
        request = HttpRequest(
            method=method,
            target=path,
            headers={**SHOWN, **(headers or {})},
            body=b"" if body is None else json.dumps(body).encode(),
            source="127.0.0.1",
        )
        found = event_of(request, ROUTES)
        assert found is not None, f"no route for {method} {path}"
        answer = HANDLERS[found[0]](found[1], Context())
        self.headers = answer["headers"]
        return answer["statusCode"], json.loads(answer["body"]) if answer["body"] else None

    def joc(self, path: str, **body: Any) -> tuple[int, Any]:
        status, answer = self.send_joc(path, **body)
        assert status < 500, (path, body, answer)
        return status, answer

    def send_joc(self, path: str, **body: Any) -> tuple[int, Any]:
        """Return the answer to a request to JOC, which may fail."""
        self.ask("POST", "/joc/api/authentication/login", {}, BASIC)
        session = {"x-access-token": self.headers["X-Access-Token"]}
        return self.send("POST", f"/joc/api{path}", {"controllerId": ACCOUNT, **body}, session)

    def begin(self) -> None:
        """Store an item of every kind."""
        self.save_strategy()
        self.save_definition()
        while not self.answered:
            self.start()
            if self.instances:
                self.work()
                self.answer()
        self.joc("/orders", limit=1)
        self.command_many()
        self.ask("DELETE", "/queue")
        self.ask("POST", "/queue")

    # Writing operations, one of which is chosen at a time.

    def save_strategy(self) -> None:
        self.count += 1
        body = {"name": f"s-{self.count}", "secret": SECRET, "settings": SETTINGS, "folder": "/de"}
        self.strategies.append(self.ask("POST", "/execution-strategy", body)[1]["sid"])

    def change_strategy(self) -> None:
        sid = self.rng.choice(self.strategies)
        kind = self.rng.choice(["PATCH", "pause", "resume", "DELETE"])
        if kind == "PATCH":
            self.ask("PATCH", f"/execution-strategy/{sid}", {"settings": SETTINGS, "description": "é"})
        elif kind == "DELETE":
            self.ask("DELETE", f"/execution-strategy/{sid}")
        else:
            self.ask("POST", f"/execution-strategy/{sid}/{kind}")

    def save_definition(self) -> None:
        if self.definitions and self.rng.random() < 0.5:
            sid = self.rng.choice(self.definitions)
            method = self.rng.choice(["PUT", "PUT", "DELETE"])
            self.ask(method, f"{AUTOMATION}/{sid}", DEFINITION if method == "PUT" else None)
            return
        self.definitions.append(self.ask("POST", AUTOMATION, DEFINITION)[1]["id"])

    def start(self) -> None:
        self.count += 1
        match self.rng.choice(["core", "process", "joc", "trigger", "8x8"]):
            case "core":
                body = {"strategyId": self.rng.choice(self.strategies), "attributes": {"a": "é", "n": 1.5}}
                more = {"Audit-Comment": "why", "Idempotency-Key": f"k-{self.count}"}
                status, found = self.ask("POST", "/execution-instance", body, more)
                if status == 201:
                    self.instances.append(found["executionInstance"]["sid"])
            case "process":
                schedule = self.rng.choice([{"quartzDef": "0 0 9 * * ?"}, {"runOnce": "Y"}])
                body = {"name": f"s-{self.rng.randint(1, self.count)}", "worker": "w", **schedule}
                status, found = self.ask("POST", f"{PROCESS}/start", body, BASIC)
                if status == 200:
                    self.instances.append(found["robustaSpid"])
            case "joc":
                order = {"workflowPath": f"/de/s-{self.rng.randint(1, self.count)}", "arguments": {"x": "é"}}
                status, found = self.joc("/orders/add", orders=[order], auditLog={"comment": "why"})
                if status == 200:
                    self.orders += found["orderIds"]
            case "trigger":
                self.ask("POST", "/api/v1/accounts/a-1/triggers/http_request", {"x": [1, "é"]})
            case "8x8" if self.definitions:
                of = self.rng.choice(self.definitions)
                status, found = self.ask("POST", f"{AUTOMATION}/{of}/workflows", {"x": {"y": "é"}})
                if status == 201:
                    self.instances.append(found["workflowId"])

    def command_instance(self) -> None:
        sid = self.rng.choice(self.instances)
        path = f"/execution-instance/{sid}"
        requests: list[tuple[str, str, Any]] = [
            ("POST", f"{path}/pause", None),
            (
                "POST",
                f"{path}/resume",
                {"onResume": self.rng.choice(["last", "all", "skip", "shift"])},
            ),
            ("POST", f"{path}/resume", None),
            ("POST", f"{path}/cancel", None),
            ("POST", f"{path}/cancel-tasks?tasks=greet,charge", None),
            ("POST", f"{path}/events", {"task": "charge", "data": {"d": "é"}}),
            ("POST", f"{path}/migrate", {"version": 1}),
            ("PATCH", path, {"attributes": {"b": True, "a": None}, "description": "é"}),
            ("PATCH", path, {"endDate": "2026-03-01T00:00:00Z"}),
        ]
        self.ask(*self.rng.choice(requests))

    def command_event(self) -> None:
        event = self.rng.choice(self.events())
        body = {"resolve": {"decision": self.rng.choice(["retry", "skip", "fail"])}, "retry": {}}
        name = self.rng.choice(["execute", "cancel", "resolve", "retry"])
        self.ask("POST", f"/execution-event/{event}/{name}", body.get(name))

    def answer(self) -> None:
        if self.correlations:
            correlation = self.rng.choice(self.correlations)
            body = self.rng.choice([None, {"ok": True, "é": [None, 1]}])
            status, _ = self.ask("POST", f"/execution-event/{correlation}/resume", body)
            self.answered += status == 200

    def command_many(self) -> None:
        ids = self.rng.sample(self.instances, min(3, len(self.instances)))
        strategy = self.rng.choice(self.strategies)
        selection = self.rng.choice([{"ids": ids}, {"strategyId": strategy}, {"folder": "/"}])
        command = self.rng.choice(
            [{"name": "pause"}, {"name": "resume"}, {"name": "cancel-tasks", "tasks": ["greet"]}]
        )
        body = {"selection": selection, "command": command, "comment": "é"}
        status, found = self.ask("POST", "/bulk-operation", body)
        if status < 300:
            self.operations.append(found["sid"])
        name = self.rng.choice(["suspend", "resume", "cancel", "continue", "confirm"])
        if self.orders:
            self.joc(f"/orders/{name}", orderIds=self.orders[-2:], auditLog={"comment": "é", "timeSpent": 2})

    def change_account(self) -> None:
        resume = ("POST", "/queue", None)
        self.ask(
            *self.rng.choice([("DELETE", "/queue", None), resume, resume, ("POST", "/access-key", NEW_KEY)])
        )

    def work(self) -> None:
        """Advance the clock, and run whatever is due."""
        self.ports.clock.at += timedelta(hours=self.rng.choice([0, 1, 5, 30]))
        for sid in (*self.instances, *self.ports.wakeups.invoked):
            run_due_events(self.ports, InstanceSid(sid), job="job-1", time_left=lambda: LEFT)
        for operation in self.ports.wakeups.operations:
            run_bulk(self.ports, OperationSid(operation), time_left=lambda: LEFT)
        for entry in self.ports.operations.due(until=self.ports.clock.now(), limit=20):
            run_bulk(self.ports, entry.sid, time_left=lambda: LEFT)
        self.ports.wakeups.invoked.clear()
        self.ports.wakeups.operations.clear()

    def events(self) -> list[str]:
        """Return the sids of all events of all instances that were answered with their sids."""
        found = (self.ports.instances.load(InstanceSid(sid)) for sid in self.instances)
        return [f"{one.sid}-{seq}" for one in found if one is not None for seq in range(1, one.next_seq)]


AUTOMATION, PROCESS = "/api/v1/accounts/a-1/definitions", "/scheduler/connector-api/process"
SHOWN = {
    "authorization": "Bearer key-1.secret",
    "strategy-secret": base64.b64encode(SECRET.encode()).decode(),
}
BASIC = {"authorization": f"Basic {base64.b64encode(b'key-1:secret').decode()}"}
NEW_KEY = {"role": "viewer", "description": "é"}
WRITES: tuple[Callable[[Town], None], ...] = (
    Town.save_strategy,
    Town.change_strategy,
    Town.save_definition,
    *(Town.start,) * 4,
    *(Town.command_instance,) * 2,
    *(Town.command_event,) * 3,
    *(Town.answer,) * 3,
    Town.command_many,
    Town.change_account,
    *(Town.work,) * 6,
)


def readings(town: Town) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Yield every reading operation, with the requests that read everything by it."""
    heads, instances = town.strategies, town.instances
    events, at = town.events(), town.ports.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
    yield "list_strategies", ("/execution-strategy?limit=100",)
    yield "get_strategy", tuple(f"/execution-strategy/{sid}" for sid in heads)
    yield "list_versions", tuple(f"/execution-strategy/{sid}/versions" for sid in heads)
    yield "get_version", tuple(f"/execution-strategy/{sid}/versions/1" for sid in heads)
    yield (
        "list_instances",
        ("/execution-instance", *(f"/execution-instance?strategyId={sid}" for sid in heads)),
    )
    yield "list_problems", ("/problems?limit=100", *(f"/problems?strategyId={sid}" for sid in heads))
    yield "get_overview", ("/overview?limit=25",)
    yield "get_instance", tuple(f"/execution-instance/{sid}" for sid in instances)
    yield "get_forecast", tuple(f"/execution-instance/{sid}/forecast?cycles=3" for sid in instances)
    yield "get_tasks", tuple(f"/execution-instance/{sid}/get-tasks" for sid in instances)
    yield "list_events", tuple(f"/execution-instance/{sid}/events?limit=100" for sid in instances)
    yield "explain_instance", tuple(f"/execution-instance/{sid}/explain?at={at}" for sid in instances)
    yield "get_event", tuple(f"/execution-event/{sid}" for sid in events)
    yield "list_bulk_operations", ("/bulk-operation",)
    yield "get_bulk_operation", tuple(f"/bulk-operation/{sid}" for sid in town.operations)
    yield "get_queue", ("/queue",)
    yield "list_keys", ("/access-key",)
    yield "get_webhook", ("/webhook",)
    yield "list_audit", ("/audit?limit=100",)
    yield "get_app", ("/app",)
    of = [*town.definitions, *heads]
    flows = [f"{AUTOMATION}/{one}/workflows/{sid}" for one in of for sid in instances]
    yield "list_definitions", (AUTOMATION,)
    yield "get_definition", tuple(f"{AUTOMATION}/{one}" for one in of)
    yield "list_workflows", tuple(f"{AUTOMATION}/{one}/workflows" for one in of)
    yield "get_workflow", tuple(f"{flow}?includeLogs=true" for flow in flows)
    yield "list_errors", tuple(f"{flow}/errors" for flow in flows)
    yield "list_timezones", ("/api/v1/accounts/a-1/steps/timezones",)
    yield "list_functions", ("/api/v1/accounts/a-1/steps/functions",)
    yield "get_status", tuple(f"{PROCESS}/status/{sid}" for sid in instances)
    spelled = PROCESS.replace("connector-api", "connector-API")
    yield "get_status_as_on_the_page", tuple(f"{spelled}/status/{sid}" for sid in instances)
    orders = (*instances, *town.orders)
    workflows = [{"path": f"/de/s-{number}"} for number in range(1, town.count + 1)]
    yield (
        "get_orders",
        (
            ("/orders", {}),
            ("/orders", {"states": ["FINISHED", "CANCELLED"]}),
            ("/orders", {"orderIds": orders}),
            ("/orders", {"workflowIds": workflows}),
        ),
    )
    yield "get_order", tuple(("/order", {"orderId": one}) for one in orders)
    yield (
        "get_history",
        (
            ("/orders/history", {}),
            ("/orders/history", {"historyIds": events}),
            *(("/orders/history", {"orderId": one}) for one in orders),
        ),
    )
    yield "get_snapshot", (("/orders/overview/snapshot", {}),)
    yield "get_summary", (("/orders/overview/summary", {}),)


def a_town(monkeypatch: pytest.MonkeyPatch, roto: DynamoDb, seed: int) -> Town:
    """Return a town with empty tables and one key. The caller forgets the ports of ``bootstrap`` afterwards."""
    for name, value in TEMPLATE.environment("CoreApi").items():
        monkeypatch.setenv(name, value)
    bootstrap.forget()
    town = Town(random.Random(seed))
    town.ports = StoredPorts(stores=on_dynamodb(roto), caller=town, clock=ManualClock(BEGUN))
    bootstrap.use_ports(town.ports)
    hasher = SecretHasher(("p" * 32).encode())
    key = replace(full.KEY, key_id="key-1", account_id=ACCOUNT, role=Role.ADMIN)
    town.ports.access.put_key(replace(key, created_at=BEGUN, secret_hash=hasher.hash("secret")))
    return town
