"""Requests to the core API over a world, as a client sends them: each may be lost, and is then repeated."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from functions.core_api.handler import lambda_handler
from shared import bootstrap
from shared.adapters.crypto import SecretHasher
from shared.domain.access import AccessKey, Role
from shared.domain.ids import AccountId
from tests.dialects.wire import TEMPLATE, Reply, Wire
from tests.simulation.stage import Process
from tests.simulation.world import World

WIRE = Wire("core", lambda_handler)
MAX_TRIES = 100
_SERVER_ERROR = 500
_TOO_MANY = 429


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """The answer to a request, and how often it was sent before without one."""

    status: int
    body: dict[str, Any]
    lost: int = 0

    @property
    def is_refusal(self) -> bool:
        """Return whether the request was refused."""
        return self.status >= 400


@dataclass(slots=True)
class FrontDesk:
    """A client of one world. While it sends a request, no other process has a turn, and no time passes."""

    world: World
    key: str = "operator.secret"
    sent: int = 0

    @classmethod
    def open(cls, world: World) -> "FrontDesk":
        """Return the only client of the function's ports. ``bootstrap.forget`` must follow."""
        bootstrap.forget()
        bootstrap.use_ports(world)
        operator = AccessKey(
            key_id="operator",
            account_id=AccountId(world.strategy.account_id),
            role=Role.OPERATOR,
            secret_hash=SecretHasher(("p" * 32).encode()).hash("secret"),
            created_at=world.now_at,
        )
        world.access.put_key(operator)
        return cls(world)

    def send(self, method: str, path: str, body: Any = None) -> Answered:
        """Send a request until it is answered; a repeat has the same ``Idempotency-Key``."""
        self.sent += 1
        headers = {"authorization": f"Bearer {self.key}"}
        if method == "POST":
            headers["idempotency-key"] = f"k-{self.sent}"
        for lost in range(MAX_TRIES):
            reply = self._tried(method, path, body, headers)
            if reply is not None and reply.status < _SERVER_ERROR and reply.status != _TOO_MANY:
                WIRE.check(reply)
                return Answered(status=reply.status, body=reply.decoded, lost=lost)
        raise AssertionError(f"{method} {path} was not answered")

    def calmly(self, method: str, path: str, body: Any = None) -> Answered:
        """Send a request without faults."""
        until, self.world.faults.until = self.world.faults.until, 0
        answered = self.send(method, path, body)
        self.world.faults.until = until
        return answered

    def _tried(self, method: str, path: str, body: Any, headers: dict[str, str]) -> Reply | None:
        """Return the answer to a request, or None if its process was killed."""
        replies: list[Reply] = []
        process = self.world.do(
            f"{method} {path}", lambda: replies.append(WIRE.send(method, path, body, headers=headers))
        )
        self.world.stage.play(_alone(process))
        return next(iter(replies), None)


def _alone(process: Process) -> Iterator[Process]:
    while not process.is_over:
        yield process


def environment() -> Mapping[str, str]:
    """Return the environment of the function."""
    return TEMPLATE.environment("CoreApi")


def shown(value: Any) -> str:
    """Return a value for a message."""
    return json.dumps(value, indent=1, sort_keys=True, default=str)
