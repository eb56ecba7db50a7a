"""A client of the orders dialect: requests through the handler as API Gateway makes them; every answer is checked."""

import base64
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from msgspec.structs import replace

from dev.memory.world import MemoryPorts
from functions.orders_api.handler import lambda_handler
from shared.adapters.crypto import SecretHasher
from shared.application.runner.loop import run_due_events
from shared.application.start import StartInstance, start_instance
from shared.application.strategies import NewStrategy, create_strategy
from shared.domain.ids import AccountId, InstanceSid, OperationSid
from shared.domain.instance.model import Instance
from shared.domain.strategy.model import Strategy, StrategyHead
from tests.bulk_runs import run_bulk
from tests.dialects.core.client import Shop
from tests.dialects.wire import Wire, admit
from tests.factories import settings, step, task

Json = dict[str, Any]

ACCOUNT = AccountId("a-1")
WIRE = Wire("orders", lambda_handler)
openapi, shape_of = WIRE.openapi, WIRE.shape_of
BASE = "/joc/api"
MINE: Json = {"controllerId": "a-1"}
LIFE = timedelta(minutes=15)


class Joc:
    """Requests to the handler, with sessions of three roles and of another account.

    ``headers`` are those of the last answer.
    """

    def __init__(self, ports: MemoryPorts, hasher: SecretHasher, shop: Shop) -> None:
        self.ports, self.hasher, self.shop = ports, hasher, shop
        self.headers: Mapping[str, str] = {}
        self.tokens: dict[str, str] = {}
        admit(ports, hasher)

    def send(
        self,
        path: str,
        body: Any = None,
        *,
        headers: Mapping[str, str] | None = None,
        raw: bytes | None = None,
    ) -> tuple[int, Any]:
        """Return status and decoded body, after checking them against the OpenAPI document."""
        reply = WIRE.send("POST", path, body, headers=headers or {}, raw=raw)
        self.headers = reply.headers
        assert self.headers["Cache-Control"] == "no-cache, no-store, must-revalidate"
        WIRE.check(reply)
        return reply.status, reply.decoded

    def log_in(self, key: str = "operator", secret: str = "secret") -> tuple[int, Any]:  # noqa: S107 - a test's
        shown = base64.b64encode(f"{key}:{secret}".encode()).decode()
        return self.send(f"{BASE}/authentication/login", headers={"authorization": f"Basic {shown}"})

    def token(self, key: str) -> str:
        """Return the token of a key's session. Log in if there is none."""
        if key not in self.tokens:
            self.tokens[key] = self.log_in(key)[1]["accessToken"]
        return self.tokens[key]

    def __call__(
        self, path: str, body: Json | None = None, *, key: str = "operator", once: str | None = None
    ) -> tuple[int, Any]:
        """Send a request of a session, by default about the account's own controller.

        ``once`` is its Idempotency-Key.
        """
        headers = {"X-Access-Token": self.token(key)} | ({} if once is None else {"Idempotency-Key": once})
        return self.send(f"{BASE}{path}", MINE | (body or {}), headers=headers)

    def later(self, span: timedelta) -> None:
        """Advance the clock, and forget the sessions, which may have expired."""
        self.ports.clock.at += span
        self.tokens.clear()

    def workflow(self, name: str = "refill", folder: str = "/", **members: Any) -> StrategyHead:
        """Return a strategy of one task that posts once a month. ``members`` are more settings."""
        new = NewStrategy(
            account_id=ACCOUNT, name=name, folder=folder, settings=settings(**members) if members else PLAIN
        )
        return create_strategy(self.ports, self.hasher, new, environment="dev")[0]

    def strategy(self, head: StrategyHead) -> Strategy:
        return self.ports.strategies.load(head.sid, head.version)

    def order(self, head: StrategyHead, **options: Any) -> str:
        """Return the sid of a new instance of a workflow, as other dialects make them."""
        new = StartInstance(strategy_id=head.name, attributes={}, **options)
        return start_instance(self.ports, self.strategy(head), new).instance.sid

    def added(self, **order: Any) -> str:
        """Return the id of an order that was added through this dialect."""
        status, answer = self("/orders/add", {"orders": [{"workflowPath": "/refill", **order}]})
        assert status == 200, answer
        return str(answer["orderIds"][0])

    def instance(self, sid: str) -> Instance:
        return self.ports.instances.instances[InstanceSid(sid)]

    def change(self, sid: str, **members: Any) -> None:
        """Store an instance with other members."""
        self.ports.instances.instances[InstanceSid(sid)] = replace(self.instance(sid), **members)

    def read(self, order_id: str) -> Json:
        """Return an order."""
        status, answer = self("/order", {"orderId": order_id}, key="viewer")
        assert status == 200, answer
        return dict(answer)

    def state(self, order_id: str) -> str:
        return str(self.read(order_id)["state"]["_text"])

    def run(self, sid: str) -> None:
        """Run an instance until it waits."""
        run_due_events(self.ports, InstanceSid(sid), job="job-1", time_left=lambda: LIFE)

    def carry_through(self) -> None:
        """Run every bulk operation to its end."""
        for sid in list(self.ports.operations.bulks):
            run_bulk(self.ports, OperationSid(sid), time_left=lambda: LIFE)


PLAIN = settings(task("charge", step("only")))
