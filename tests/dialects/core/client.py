"""A client of the core dialect: requests through the handler as API Gateway makes them; every answer is checked."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from dev.memory.world import MemoryPorts
from functions.core_api.handler import lambda_handler
from shared.adapters.crypto import SecretHasher
from shared.application.runner.loop import run_due_events
from shared.domain.ids import InstanceSid
from shared.domain.steps.call import Answered, CallOutcome, ServiceRequest, TimedOut
from tests.dialects.wire import ROOT, Wire, admit

WIRE = Wire("core", lambda_handler)
openapi, shape_of = WIRE.openapi, WIRE.shape_of
WATER = json.loads((ROOT / "events" / "water-filter-refill.json").read_text())
# Most tests want to see what one failed call does.
del WATER["settings"]["tasks"][0]["retryConfig"]
GYM = json.loads((ROOT / "events" / "gym-membership.json").read_text())
MEMBER = {"memberId": "m-1", "email": "ann@example.com", "monthlyFee": 39.5}


@dataclass
class Shop:
    """A service that accepts every order, unless ``is_silent``. ``keys`` are those of its calls."""

    is_silent: bool = False
    keys: list[str] = field(default_factory=list)

    def call(self, request: ServiceRequest) -> CallOutcome:
        self.keys.append(request.headers["Idempotency-Key"])
        return TimedOut(why="no answer") if self.is_silent else Answered(status=201, body={"id": "s-1"})


class Client:
    """Requests to the handler, with the keys of three roles and of another account."""

    def __init__(self, ports: MemoryPorts, hasher: SecretHasher, shop: Shop) -> None:
        self.shop = shop
        self.ports = ports
        self.hasher = hasher
        self.headers: dict[str, str] = {}
        admit(ports, hasher)

    def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | None = "admin.secret",
        secret: str | None = WATER["secret"],
        raw: bytes | None = None,
        more: Mapping[str, str] | None = None,
    ) -> tuple[int, Any]:
        """Return status and decoded body, after checking them against the OpenAPI document."""
        headers = dict(more or {})
        if key is not None:
            headers["authorization"] = f"Bearer {key}"
        if secret is not None:
            headers["strategy-secret"] = base64.b64encode(secret.encode()).decode()
        reply = WIRE.send(method, path, body, headers=headers, raw=raw)
        self.headers = dict(reply.headers)
        WIRE.check(reply)
        return reply.status, reply.decoded

    def saved(self, strategy: Mapping[str, Any] = WATER) -> dict[str, Any]:
        status, answer = self("POST", "/execution-strategy", strategy)
        assert status == 201, answer
        return dict(answer)

    def started(self, **more: Any) -> dict[str, Any]:
        body = {"strategyId": "water-filter-refill", "attributes": {"customerId": "c-1"}, **more}
        status, answer = self("POST", "/execution-instance", body)
        assert status == 201, answer
        return dict(answer)

    def joined(self, **more: Any) -> dict[str, Any]:
        """Return a new member of the gym."""
        body = {"strategyId": "gym-membership", "attributes": MEMBER, **more}
        status, answer = self("POST", "/execution-instance", body, secret=GYM["secret"])
        assert status == 201, answer
        return dict(answer)

    def one(self) -> str:
        """Return the sid of an instance of a new strategy."""
        self.saved()
        return str(self.started()["executionInstance"]["sid"])

    def run(self, sid: str) -> None:
        """Run an instance until it waits."""
        left = timedelta(seconds=900)
        run_due_events(self.ports, InstanceSid(sid), job="job-1", time_left=lambda: left)
