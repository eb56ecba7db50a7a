"""Small strategies, saved, started and run through the core dialect.

A file ``<name>.json`` beside this module has the settings of the case with this name.
"""

import json
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from shared.application.ports import ServiceCaller
from shared.domain.ids import InstanceSid
from shared.domain.instance.due import next_event
from shared.domain.instance.model import Instance
from tests.adapters.http.http_stub import Stub
from tests.dialects.automation.client import Services
from tests.dialects.core.client import WATER, Client

Json = dict[str, Any]

FOLDER = Path(__file__).parent
NAME = "case"
HOURLY = {"times": 3, "retryAfter": {"unit": "hours", "amount": 1}, "jitterPercent": 0}


def settings_of(name: str, **changes: Any) -> Json:
    """Return the settings of a case. ``changes`` replace values by their path, such as ``tasks_0_steps``."""
    settings: Json = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))["settings"]
    return changed(settings, **changes)


def changed(settings: Json, **changes: Any) -> Json:
    """Return settings with other values by their paths. The parts of a path are separated by ``_``."""
    found = deepcopy(settings)
    for path, value in changes.items():
        *above, last = (int(part) if part.isdecimal() else part for part in path.split("_"))
        at: Any = found
        for part in above:
            at = at[part]
        at[last] = value
    return found


def with_service(settings: Json, service: Stub) -> Json:
    """Return settings whose first service is this one."""
    return changed(settings, services_0_baseUrls_0_url=service.url(""))


def keys_of(service: Stub) -> list[str]:
    """Return the idempotency keys that a service received."""
    return [request.headers["idempotency-key"] for request in service.seen]


@dataclass(frozen=True)
class Running:
    """An instance, commanded and read through the core dialect."""

    client: Client
    sid: str

    def advance(self, **span: float) -> "Running":
        """Advance the clock, and run each due event at its instant."""
        clock = self.client.ports.clock
        end = clock.now() + timedelta(**span)
        while (at := self._due_at()) is not None and at <= end:
            clock.at = max(clock.at, at)
            before = self._stored().rev
            self.client.run(self.sid)
            if self._stored().rev == before:
                break  # it is paused, or waits for something else than its date
        clock.at = max(clock.at, end)
        return self

    def instance(self) -> Json:
        return self._read(f"/execution-instance/{self.sid}")

    def event(self, seq: int = 1) -> Json:
        return dict(self._read(f"/execution-event/{self.sid}-{seq}")["event"])

    def error(self, seq: int = 1) -> str:
        """Return the message of the last error of an event."""
        return str(self.event(seq)["taskStatus"]["taskResults"][-1]["error"]["message"])

    def history(self) -> list[Json]:
        return list(self._read(f"/execution-instance/{self.sid}/events")["items"])

    def command(self, path: str, body: Any = None) -> Any:
        """Return the answer to a command, which must succeed."""
        status, answer = self.client("POST", path.format(sid=self.sid), body)
        assert status in (200, 201), answer
        return answer

    def _read(self, path: str) -> Json:
        status, answer = self.client("GET", path)
        assert status == 200, answer
        return dict(answer)

    def _due_at(self) -> datetime | None:
        event = next_event(self._stored())
        return None if event is None else event.due_at

    def _stored(self) -> Instance:
        found = self.client.ports.instances.load(InstanceSid(self.sid))
        assert found is not None
        return found


class Engine:
    """The core dialect, and the services that its strategies call."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.services = Services()
        client.ports.caller = self.services

    def calling(self, caller: ServiceCaller) -> "Engine":
        """Let the strategies call services over HTTP."""
        self.client.ports.caller = caller
        return self

    @property
    def keys(self) -> list[str]:
        """Return the idempotency keys of all calls."""
        return [request.headers["Idempotency-Key"] for request in self.services.sent]

    def problems(self, settings: Json) -> list[tuple[str, str, str]]:
        """Return pointer, rule and message of each problem of refused settings. Nothing may be stored."""
        status, answer = self.client("POST", "/execution-strategy", _strategy(settings))
        checked = self.client("POST", "/execution-strategy/validate", {"settings": settings})[1]
        assert (status, checked["valid"]) == (400, False), answer
        assert checked["problems"] == answer["problems"]
        assert self.client.ports.strategies.heads == {}
        return [(one["pointer"], one["rule"], one["message"]) for one in answer["problems"]]

    def warnings(self, settings: Json) -> list[tuple[str, str, str]]:
        """Return pointer, rule and message of each warning about settings that are accepted."""
        status, answer = self.client("POST", "/execution-strategy/validate", {"settings": settings})
        assert (status, answer["valid"]) == (200, True), answer
        return [(one["pointer"], one["rule"], one["message"]) for one in answer["warnings"]]

    def save(self, settings: Json) -> str:
        """Return the sid of a new strategy."""
        status, answer = self.client("POST", "/execution-strategy", _strategy(settings))
        assert status == 201, answer
        return str(answer["sid"])

    def start(self, settings: Json, attributes: Mapping[str, Any] | None = None) -> Running:
        """Return an instance of a new strategy, after its first event has run."""
        self.save(settings)
        return self.start_another(attributes)

    def start_another(self, attributes: Mapping[str, Any] | None = None) -> Running:
        """Return another instance of the strategy that was saved, after its first event has run."""
        body = {"strategyId": NAME, "attributes": dict(attributes or {})}
        return self._started(body).advance()

    def started_at(self, start: str, settings: Json) -> Running:
        """Return an instance of a new strategy whose first event has run on its start date."""
        self.save(settings)
        clock = self.client.ports.clock
        clock.at = datetime.fromisoformat(start) - timedelta(hours=1)
        return self._started({"strategyId": NAME, "startDate": start}).advance(hours=1)

    def _started(self, body: Json) -> Running:
        status, answer = self.client("POST", "/execution-instance", body)
        assert status == 201, answer
        return Running(self.client, answer["executionInstance"]["sid"])

    def dates(self, settings: Json, start: str, cycles: int = 6) -> list[str]:
        """Return the dates of a simulation to the second."""
        body = {"cycles": cycles, "startDate": start}
        sid = self.save(settings)
        status, answer = self.client("POST", f"/execution-strategy/{sid}/simulate-execution", body)
        assert status == 200, answer
        self.client("DELETE", f"/execution-strategy/{sid}")
        dates = (one["events"]["mainEvent"]["date"] for one in answer["cycleEvents"])
        return [date.removesuffix(".000Z") for date in dates]


def _strategy(settings: Json) -> Json:
    return {"name": NAME, "secret": WATER["secret"], "settings": settings}
