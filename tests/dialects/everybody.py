"""One deployment with all four dialects: requests through the handlers as API Gateway makes them."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from importlib import import_module
from typing import Any

from dev.gateway import HttpRequest, event_of
from dev.memory.world import MemoryPorts
from shared.application.runner.loop import run_due_events
from shared.domain.ids import InstanceSid
from tests.dialects.wire import ROUTES, TEMPLATE, Context

ACCOUNT = "a-1"
KEY_ID, KEY_SECRET = "admin", "secret"
HANDLERS = {
    function.logical_id: import_module(function.handler.rpartition(".")[0]).lambda_handler
    for function in TEMPLATE.functions()
    if function.logical_id.endswith("Api")
}


@dataclass
class Answer:
    """An answer. ``decoded`` is the decoded body, or None if it is empty."""

    status: int
    headers: Mapping[str, str]
    decoded: Any


class Everybody:
    """A client of all four dialects with one key of the account."""

    def __init__(self, ports: MemoryPorts) -> None:
        self.ports = ports
        basic = base64.b64encode(f"{KEY_ID}:{KEY_SECRET}".encode()).decode()
        self.basic = {"authorization": f"Basic {basic}"}
        self.bearer = {"authorization": f"Bearer {KEY_ID}.{KEY_SECRET}"}

    def ask(self, method: str, path: str, body: Any, headers: Mapping[str, str]) -> Answer:
        """Send a request that must succeed, and return its answer."""
        data = b"" if body is None else json.dumps(body).encode()
        request = HttpRequest(
            method=method, target=path, headers=dict(headers), body=data, source="127.0.0.1"
        )
        found = event_of(request, ROUTES)
        assert found is not None, f"no route for {method} {path}"
        answer = HANDLERS[found[0]](found[1], Context())
        text = answer.get("body") or ""
        assert answer["statusCode"] < 300, (method, path, answer["statusCode"], text)
        decoded = json.loads(text) if text else None
        return Answer(status=answer["statusCode"], headers=answer.get("headers", {}), decoded=decoded)

    # Each dialect's commands to an instance, and what it says of one.

    def core(self, method: str, path: str, body: Any = None, secret: str | None = None) -> Any:
        shown = {} if secret is None else {"strategy-secret": base64.b64encode(secret.encode()).decode()}
        return self.ask(method, path, body, {**self.bearer, **shown}).decoded

    def automation(self, method: str, path: str, body: Any = None) -> Answer:
        return self.ask(method, f"/api/v1/accounts/{ACCOUNT}{path}", body, self.bearer)

    def orders(self, path: str, **body: Any) -> Any:
        """Log in and send a request. The session may have expired, because the clock moves between requests."""
        login = self.ask("POST", "/joc/api/authentication/login", {}, self.basic)
        session = {"x-access-token": login.headers["X-Access-Token"]}
        return self.ask("POST", f"/joc/api{path}", {"controllerId": ACCOUNT, **body}, session).decoded

    def process(self, method: str, path: str, body: Any = None) -> Any:
        return self.ask(method, f"/scheduler/connector-api/process{path}", body, self.basic).decoded

    def statuses(self, sid: str, *, definition: str, order: str | None = None) -> tuple[str, str, str, str]:
        """Return the status of an instance in core, 8x8, JOC and Robusta. ``order`` is its order id, if not the sid."""
        instance = self.ports.instances.load(InstanceSid(sid))
        assert instance is not None
        decoded = self.automation("GET", f"/definitions/{definition}/workflows/{sid}").decoded["status"]
        state = self.orders("/order", orderId=order or sid)["state"]["_text"]
        return instance.status.value, decoded, state, self.process("GET", f"/status/{sid}")["status"]

    def run(self, sid: str) -> None:
        """Run an instance until it waits."""
        left = timedelta(seconds=900)
        run_due_events(self.ports, InstanceSid(sid), job="job-1", time_left=lambda: left)
