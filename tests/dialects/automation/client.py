"""A client of the automation dialect: requests through the handler as API Gateway makes them; answers are checked."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from dev.examples import Ids
from dev.memory.world import ManualClock, MemoryPorts
from functions.automation_api.handler import lambda_handler
from shared.adapters.crypto import SecretHasher
from shared.api.automation.routes import NOT_SERVED
from shared.application.runner.loop import run_due_events
from shared.application.strategies import NewStrategy, create_strategy
from shared.domain.ids import AccountId, InstanceSid
from shared.domain.instance.model import Instance
from shared.domain.steps.call import Answered, CallOutcome, ServiceRequest
from tests.dialects.core.client import WATER
from tests.dialects.wire import NOON, Wire, admit

WIRE = Wire("automation", lambda_handler)
openapi, shape_of = WIRE.openapi, WIRE.shape_of
BASE = "/api/v1/accounts/a-1"
CREATED = Answered(status=201, body={"id": "r-1"})


@dataclass
class Services:
    """The services that are called. They give ``answers`` in order, then CREATED. ``sent`` has every request."""

    answers: list[CallOutcome] = field(default_factory=list)
    sent: list[ServiceRequest] = field(default_factory=list)

    def call(self, request: ServiceRequest) -> CallOutcome:
        self.sent.append(request)
        return self.answers.pop(0) if self.answers else CREATED

    @property
    def urls(self) -> list[str]:
        return [request.url for request in self.sent]


class Client:
    """Requests to the handler, with the keys of three roles and of another account."""

    def __init__(self) -> None:
        self.services = Services()
        self.clock = ManualClock(NOON)
        self.ports = MemoryPorts(caller=self.services, clock=self.clock, ids=Ids())
        self.hasher = SecretHasher(("p" * 32).encode())
        self.headers: dict[str, str] = {}
        self.text = ""
        admit(self.ports, self.hasher)

    def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | None = "admin.secret",
        raw: bytes | None = None,
        more: Mapping[str, str] | None = None,
    ) -> tuple[int, Any]:
        """Return status and body, after checking them against the OpenAPI document. No body is None."""
        headers = dict(more or {})
        if key is not None:
            headers["authorization"] = f"Bearer {key}"
        target = path if path.startswith(("/api", "/automation")) else f"{BASE}{path}"
        reply = WIRE.send(method, target, body, headers=headers, raw=raw)
        self.headers, self.text = dict(reply.headers), reply.text
        if (method, reply.route.split(" ")[1].replace("{", "<").replace("}", ">")) not in NOT_SERVED:
            WIRE.check(reply)
        return reply.status, None if reply.text == "" else reply.decoded

    def refusal(self, method: str, path: str, body: Any = None, **more: Any) -> tuple[int, int, str]:
        """Return status, code and message of a refused request, which must not change anything."""
        before = self.stored()
        status, answer = self(method, path, body, **more)
        assert set(answer) == {"code", "message", "errorId", "timestamp"}, answer
        assert self.stored() == before
        return status, answer["code"], answer["message"]

    def stored(self) -> tuple[Any, ...]:
        """Return the stored strategies, instances and operations."""
        ports = self.ports
        return (
            dict(ports.instances.instances),
            dict(ports.strategies.heads),
            dict(ports.operations.bulks),
            len(ports.instances.audit),
        )

    def saved(self, *steps: Any, status: str = "enabled", **more: Any) -> str:
        """Return the id of a new definition with these steps."""
        code, answer = self("POST", "/definitions", definition(*steps, status=status, **more))
        assert code == 201, answer
        return str(answer["id"])

    def started(self, of: str, context: Any = None) -> str:
        """Return the id of a new workflow of a definition."""
        code, answer = self("POST", f"/definitions/{of}/workflows", {} if context is None else context)
        assert code == 201, answer
        return str(answer["workflowId"])

    def workflow(self, of: str, one: str) -> dict[str, Any]:
        """Return a workflow with its logs."""
        code, answer = self("GET", f"/definitions/{of}/workflows/{one}?includeLogs=true")
        assert code == 200, answer
        return dict(answer)

    def ran(self, *steps: Any, context: Any = None) -> dict[str, Any]:
        """Return a workflow of a new definition with these steps, after a step runner ran it."""
        of = self.saved(*steps, status="disabled")
        one = self.started(of, context)
        self.run(one)
        return self.workflow(of, one)

    def instance(self, sid: str) -> Instance:
        found = self.ports.instances.load(InstanceSid(sid))
        assert found is not None
        return found

    def run(self, sid: str) -> None:
        """Run a workflow until it waits."""
        left = timedelta(seconds=900)
        run_due_events(self.ports, InstanceSid(sid), job="job-1", time_left=lambda: left)

    def later(self, **span: float) -> None:
        """Advance the clock."""
        self.clock.sleep(timedelta(**span).total_seconds())

    def water(self, strategy: Mapping[str, Any] = WATER, **more: Any) -> str:
        """Return the sid of a strategy that the core dialect made."""
        new = NewStrategy(
            account_id=AccountId("a-1"),
            name=strategy["name"],
            settings=strategy["settings"],
            secret=strategy["secret"],
            **more,
        )
        head, _ = create_strategy(self.ports, self.hasher, new, environment="dev")
        return str(head.sid)


def definition(*steps: Any, name: str = "A workflow", status: str = "enabled", **more: Any) -> dict[str, Any]:
    """Return a definition with these steps."""
    return {
        "trigger": "http_request",
        "status": status,
        "definition": {"name": name, "steps": list(steps)},
        **more,
    }


def step(key: str, kind: str, inputs: Any = None, **more: Any) -> dict[str, Any]:
    """Return a step."""
    return {"id": key, "stepType": kind, **({} if inputs is None else {"inputs": inputs}), **more}


def call(key: str, url: str = "https://api.example.com/records", **more: Any) -> dict[str, Any]:
    """Return an HttpRequest."""
    inputs = {"url": url, "method": "POST", **more.pop("inputs", {})}
    return step(key, "HttpRequest", inputs, **more)


def wait(key: str, duration: Any = "00:02:00", **more: Any) -> dict[str, Any]:
    """Return a Wait."""
    return step(key, "Wait", {"duration": duration}, **more)


def branch(key: str, **targets: str | None) -> dict[str, Any]:
    """Return a Branch."""
    return step(key, "Branch", selectNextStep=targets)
