"""A client of the core dialect: requests through the handler as API Gateway makes them, every answer checked."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs

from dev.gateway import HttpRequest, event_of
from dev.template import Template
from functions.core_api.handler import lambda_handler
from shared.adapters.crypto import SecretHasher
from shared.adapters.memory.world import MemoryPorts
from shared.api.core.openapi import document
from shared.application.run import run_due_events
from shared.domain.access import AccessKey, Role
from shared.domain.call import Answered, CallOutcome, ServiceRequest, TimedOut
from shared.domain.ids import AccountId, InstanceSid

ROOT = Path(__file__).parents[2]
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
PARAMETERS = {"Stage": "test", "Environment": "dev", "SettingsKeyArn": "k", "Pepper": "p" * 32}
TEMPLATE = Template(ROOT / "template.yaml", PARAMETERS)
ROUTES = TEMPLATE.routes()
WATER = json.loads((ROOT / "events" / "water-filter-refill.json").read_text())
GYM = json.loads((ROOT / "events" / "gym-membership.json").read_text())
MEMBER = {"memberId": "m-1", "email": "ann@example.com", "monthlyFee": 39.5}


@dataclass
class Shop:
    """A service that takes every order, unless it has gone silent. keys: of the calls it was sent."""

    is_silent: bool = False
    keys: list[str] = field(default_factory=list)

    def call(self, request: ServiceRequest) -> CallOutcome:
        self.keys.append(request.headers["Idempotency-Key"])
        return TimedOut(why="no answer") if self.is_silent else Answered(status=201, body={"id": "s-1"})


@dataclass
class Context:
    """A Lambda context."""

    function_name: str = "core-api"
    memory_limit_in_mb: int = 128
    invoked_function_arn: str = "arn:aws:lambda:eu-central-1:123456789012:function:core-api"
    aws_request_id: str = "request-1"


class Client:
    """Requests to the handler, with the keys of three roles and of another account at hand."""

    def __init__(self, ports: MemoryPorts, hasher: SecretHasher, shop: Shop) -> None:
        self.shop = shop
        self.ports = ports
        self.hasher = hasher
        self.headers: dict[str, str] = {}
        for name, account, role in (
            ("admin", "a-1", Role.ADMIN),
            ("operator", "a-1", Role.OPERATOR),
            ("viewer", "a-1", Role.VIEWER),
            ("stranger", "a-2", Role.ADMIN),
        ):
            ports.access.put_key(
                AccessKey(
                    key_id=name,
                    account_id=AccountId(account),
                    role=role,
                    secret_hash=hasher.hash("secret"),
                    created_at=NOON,
                )
            )

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
        """Status and decoded body, which is of the shape that the OpenAPI document promises."""
        headers = dict(more or {})
        if key is not None:
            headers["authorization"] = f"Bearer {key}"
        if secret is not None:
            headers["strategy-secret"] = base64.b64encode(secret.encode()).decode()
        data = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
        request = HttpRequest(method=method, target=path, headers=headers, body=data, source="127.0.0.1")
        found = event_of(request, ROUTES)
        assert found is not None, f"no route for {method} {path}"
        answer = lambda_handler(found[1], Context())  # type: ignore[arg-type]
        self.headers = answer["headers"]
        kind = self.headers["Content-Type"].partition(";")[0]
        told = json.loads(answer["body"]) if kind == "application/json" else answer["body"]
        assert_promised(found[1]["routeKey"], answer["statusCode"], told, kind)
        return answer["statusCode"], told

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
        """A new member of the gym."""
        body = {"strategyId": "gym-membership", "attributes": MEMBER, **more}
        status, answer = self("POST", "/execution-instance", body, secret=GYM["secret"])
        assert status == 201, answer
        return dict(answer)

    def one(self) -> str:
        """The sid of an instance of a new strategy."""
        self.saved()
        return str(self.started()["executionInstance"]["sid"])

    def run(self, sid: str) -> None:
        """Let a step runner look at an instance."""
        left = timedelta(seconds=900)
        run_due_events(self.ports, InstanceSid(sid), job="job-1", time_left=lambda: left)


def assert_promised(route: str, status: int, told: Any, kind: str = "application/json") -> None:
    """The status is one the route has, and the body is of its kind and shape."""
    method, path = route.split(" ")
    promised = openapi()["paths"][path][method.lower()]["responses"]
    assert str(status) in promised, f"{route} answered {status}, which no document promises: {told}"
    assert list(promised[str(status)]["content"]) == [kind]
    shape = json.dumps(promised[str(status)]["content"][kind]["schema"])
    problems = [f"{error.instance_path}: {error.message}" for error in shape_of(shape).iter_errors(told)]
    assert not problems, f"{route} {status}: {problems}"


@cache
def openapi() -> dict[str, Any]:
    return document()


@cache
def shape_of(schema: str) -> jsonschema_rs.Draft202012Validator:
    """What holds values against a schema of the document, given as JSON."""
    return jsonschema_rs.Draft202012Validator(json.loads(schema) | {"components": openapi()["components"]})
