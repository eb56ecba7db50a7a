"""A client of the process dialect: requests through its handler; every answer is checked against its document."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from dev.memory.world import MemoryPorts
from functions.process_api.handler import lambda_handler
from shared.domain.ids import InstanceSid
from shared.domain.instance.model import Instance
from shared.domain.planning.forecast import forecast
from shared.domain.steps.call import Answered, CallOutcome, ServiceRequest, TimedOut
from tests.dialects.core.client import Client
from tests.dialects.wire import Wire

WIRE = Wire("process", lambda_handler)
openapi, shape_of = WIRE.openapi, WIRE.shape_of
BASE = "/scheduler/connector-api/process"
SECRET = "n0tepad-Runner!2026"
NAMES = {"kullaniciAdi": "Username", "kullaniciSoyadi": "Surname"}
NOW_ONLY = {"runOnce": "Y", "runImmediately": "Y"}


def notepad(name: str = "OneStepNotepadRunner", **settings: Any) -> dict[str, Any]:
    """Return a process of one step, which sends the worker to its service and returns a full name."""
    return {
        "name": name,
        "secret": SECRET,
        "settings": {
            "schedule": {
                "calendars": [
                    {"key": "monthly", "task": "run", "scheduleAfter": {"unit": "months", "amount": 1}}
                ]
            },
            "services": [
                {
                    "key": "robots",
                    "baseUrls": [{"environment": "dev", "url": "https://robots.example.test"}],
                    "methods": [{"key": "write", "url": "/writings", "method": "post", "inDoubt": "pause"}],
                }
            ],
            "actions": [
                {
                    "key": "write",
                    "service": "robots",
                    "method": "write",
                    "data": {"worker": "{{event.worker}}", "text": "{{attributes.kullaniciAdi}}"},
                }
            ],
            "tasks": [task()],
            **settings,
        },
    }


def task(key: str = "run", **members: Any) -> dict[str, Any]:
    return {
        "key": key,
        "initialStep": "write",
        "steps": [{"key": "write", "action": "write", "final": True}],
        "outputs": {"x": "{{attributes.kullaniciAdi}} {{attributes.kullaniciSoyadi}}"},
        **members,
    }


@dataclass
class Robots:
    """A service that succeeds, unless it has another answer or is silent. ``sent`` has the bodies it got."""

    status: int = 201
    is_silent: bool = False
    sent: list[Any] = field(default_factory=list)

    def call(self, request: ServiceRequest) -> CallOutcome:
        self.sent.append(request.body)
        return (
            TimedOut(why="no answer") if self.is_silent else Answered(status=self.status, body={"id": "w-1"})
        )


class ProcessClient:
    """Requests to the handler, in the account of a client of the core dialect."""

    def __init__(self, core: Client) -> None:
        self.core = core
        self.robots = Robots()
        core.ports.caller = self.robots
        self.headers: dict[str, str] = {}

    @property
    def ports(self) -> MemoryPorts:
        return self.core.ports

    def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | None = "operator:secret",
        raw: bytes | None = None,
        more: Mapping[str, str] | None = None,
    ) -> tuple[int, Any]:
        """Return status and decoded body, after checking them against the OpenAPI document."""
        headers = dict(more or {})
        if key is not None:
            headers["authorization"] = f"Basic {base64.b64encode(key.encode()).decode()}"
        reply = WIRE.send(method, path, body, headers=headers, raw=raw)
        self.headers = dict(reply.headers)
        WIRE.check(reply)
        return reply.status, reply.decoded

    def saved(self, strategy: Mapping[str, Any] | None = None) -> dict[str, Any]:
        return self.core.saved(strategy or notepad())

    def start(self, **body: Any) -> Instance:
        """Return a process that was started."""
        sent = {"name": "OneStepNotepadRunner", **body}
        status, answer = self("POST", f"{BASE}/start", sent)
        assert status == 200, answer
        return self.instance(answer["robustaSpid"])

    def refused(self, **body: Any) -> str:
        """Return the message of a refused request, which must not store anything."""
        before = dict(self.ports.instances.instances)
        status, answer = self("POST", f"{BASE}/start", {"name": "OneStepNotepadRunner", **body})
        assert (status, list(answer)) == (400, ["message"])
        assert self.ports.instances.instances == before
        return str(answer["message"])

    def status(self, sid: str) -> dict[str, Any]:
        status, answer = self("GET", f"{BASE}/status/{sid}", key="viewer:secret")
        assert status == 200, answer
        return dict(answer)

    def instance(self, sid: str) -> Instance:
        found = self.ports.instances.load(InstanceSid(sid))
        assert found is not None
        return found

    def run(self, sid: str, at: datetime | None = None) -> Instance:
        """Run an instance until it waits, at an instant."""
        self.ports.clock.at = at or self.ports.clock.at
        self.core.run(sid)
        return self.instance(sid)

    def dates(self, sid: str, many: int = 3) -> list[str]:
        """Return the next dates of an instance, to the second."""
        instance = self.instance(sid)
        strategy = self.ports.strategies.load(instance.strategy_sid, instance.strategy_version)
        foreseen = forecast(strategy, instance, cycles=many, now=self.ports.clock.now()).cycles
        return [one.main.date.isoformat().removesuffix("+00:00") for one in foreseen]
