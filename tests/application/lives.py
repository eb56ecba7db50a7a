"""Instances that run under settings with one difference: their calls and their plans."""

from collections.abc import Callable, Collection, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from dev.memory.limits import MemoryLimits
from dev.memory.world import ManualClock, MemoryPorts
from shared.application.answer_event import SentAnswer, answer_event
from shared.application.control import control
from shared.application.runner.loop import run_due_events
from shared.application.start import StartInstance, start_instance
from shared.domain.calendar.dates import format_instant
from shared.domain.ids import (
    AccountId,
    CorrelationId,
    InstanceSid,
    StrategySid,
    event_address,
    event_of_correlation,
)
from shared.domain.instance.due import next_event
from shared.domain.instance.event import Event
from shared.domain.instance.journal import EventRecord
from shared.domain.instance.model import Instance
from shared.domain.instance.verdict import Actor
from shared.domain.lifecycle.commands import Cancel, Pause, Resume
from shared.domain.steps.call import Answered, CallOutcome, ServiceRequest, TimedOut
from shared.domain.strategy.model import Json, Strategy
from shared.domain.strategy.parse import read_definition
from tests.domain.strategy.definitions import changed, minimal
from tests.factories import exact

START = datetime(2026, 1, 1, 12, tzinfo=UTC)
ANN = Actor(name="ann")
OK = Answered(status=201, body={"id": "s-1", "paid": 5.0})
DECLINED = Answered(status=402, body={"why": "no money"})
BUSY = Answered(status=503)
SILENT = TimedOut(why="no answer")
ATTRIBUTES: dict[str, str | bool | float] = {"vip": True, "due": "2026-01-10T08:00:00Z", "member": "m-1"}


@dataclass
class Shop:
    """A service with prepared answers. ``requests`` holds the instant of each call."""

    answers: list[CallOutcome]
    clock: ManualClock
    requests: list[tuple[datetime, ServiceRequest]] = field(default_factory=list)

    def call(self, request: ServiceRequest) -> CallOutcome:
        self.requests.append((self.clock.now(), request))
        return self.answers.pop(0) if self.answers else OK


@dataclass
class Graded:
    """``Controllers`` with one controller that grades its input."""

    names: Collection[str] = ("grade",)

    def run(self, name: str, variables: Mapping[str, Any]) -> Json:
        assert name == "grade"
        return {"attributes": {"grade": "A" if variables["response"] == OK.body else "F"}}


class Life:
    """An instance of a strategy with these settings, started at noon on 1 January 2026 in UTC."""

    def __init__(
        self,
        document: dict[str, Any],
        *answers: CallOutcome,
        to: str = "2026-01-01T12:00",
        environment: str = "dev",
        attributes: Mapping[str, Json] = ATTRIBUTES,
        limits: Callable[[ManualClock], MemoryLimits] = lambda _: MemoryLimits(),
    ) -> None:
        clock = ManualClock(START)
        self.shop = Shop(list(answers), clock)
        self.ports = MemoryPorts(caller=self.shop, clock=clock, controllers=Graded(), limits=limits(clock))
        strategy = Strategy(
            sid=StrategySid("s-1"),
            account_id=AccountId("a-1"),
            name="shop",
            version=1,
            definition=read_definition(exact(document), environment=environment, controllers=("grade",)),
            environment=environment,
        )
        self.ports.strategies.add(strategy)
        requests = StartInstance(strategy_id="shop", attributes=attributes)
        self.sid = InstanceSid(start_instance(self.ports, strategy, requests).instance.sid)
        self.until(to)

    def until(self, text: str) -> "Life":
        """Run each due event at its instant."""
        end = datetime.fromisoformat(f"{text}:00+00:00")
        while (event := next_event(self.instance)) is not None and event.due_at <= end:
            self.ports.clock.at = max(self.ports.clock.at, event.due_at)
            if run_due_events(self.ports, self.sid, job="job", time_left=lambda: timedelta(minutes=15)) == 0:
                break
        self.ports.clock.at = max(self.ports.clock.at, end)
        return self

    def command(self, command: Cancel | Pause | Resume) -> "Life":
        """Execute a command of an operator."""
        control(self.ports, self.sid, command)
        return self

    def answered(self, body: Json = None) -> "Life":
        """Answer the last call, which was asynchronous."""
        correlation = CorrelationId(self.requests[-1].headers["X-Correlation-Id"])
        address = event_address(event_of_correlation(correlation))
        assert address is not None
        answer_event(self.ports, *address, SentAnswer(correlation_id=correlation, key="a", by=ANN, body=body))
        return self.until(format_instant(self.ports.clock.at)[:16])

    @property
    def instance(self) -> Instance:
        found = self.ports.instances.load(self.sid)
        assert found is not None
        return found

    @property
    def requests(self) -> list[ServiceRequest]:
        return [request for _, request in self.shop.requests]

    @property
    def calls(self) -> list[str]:
        """Return each call with its time, as ``01-31 12:00 /charges``."""
        return [
            f"{format_instant(at)[5:16].replace('T', ' ')} {path_of(request)}"
            for at, request in self.shop.requests
        ]

    @property
    def paths(self) -> list[str]:
        return [path_of(request) for request in self.requests]

    @property
    def plan(self) -> list[str]:
        """Return the open events, as ``bill SCHEDULED 01-31 12:00``."""
        return [shown(event) for event in self.instance.events]

    @property
    def first(self) -> EventRecord:
        """Return the record of the first event."""
        return self.ports.instances.records[(self.sid, 1)]


def path_of(request: ServiceRequest) -> str:
    return request.url.removeprefix("https://billing.example.test")


def shown(event: Event) -> str:
    return f"{event.task} {event.status.value} {format_instant(event.due_at)[5:16].replace('T', ' ')}"


def base() -> dict[str, Any]:
    """Return settings with one charge a month, and a second task, service, action and step to choose."""
    settings = minimal()
    settings["services"][0]["methods"].append({"key": "refund", "url": "/refunds", "method": "post"})
    settings["services"].append(
        {
            "key": "mailer",
            "baseUrls": [{"environment": "dev", "url": "https://mail.example.test"}],
            "methods": [{"key": "charge", "url": "/mails", "method": "post"}],
        }
    )
    settings["actions"].append({"key": "refund-card", "service": "billing", "method": "refund"})
    settings["tasks"].append(
        {"key": "refund", "initialStep": "back", "steps": [{"key": "back", "action": "refund-card"}]}
    )
    return settings


def settings_with(pointer: str, value: Any, of: dict[str, Any] | None = None) -> dict[str, Any]:
    return changed(pointer, value, of=base() if of is None else of)


def both(
    pointer: str, value: Any, *answers: CallOutcome, of: Any = None, to: str = "2026-01-01T12:00"
) -> tuple[Life, Life]:
    """Return the life without the change and the life with it."""
    document = base() if of is None else of
    return (
        Life(deepcopy(document), *answers, to=to),
        Life(changed(pointer, value, of=document), *answers, to=to),
    )


def two_steps(**first: Any) -> dict[str, Any]:
    """Return settings with a charge followed by its refund."""
    steps = [
        {"key": "charge", "action": "charge-card", "nextStep": "back", **first},
        {"key": "back", "action": "refund-card"},
    ]
    return settings_with("/tasks/0/steps", steps)


def authorized() -> dict[str, Any]:
    settings = settings_with("/services/0/credentialPath", "token")
    settings["services"][0]["authorization"] = [
        {
            "environment": "dev",
            "url": "https://login.example.test/:tenant",
            "method": "post",
            "attributes": {"tenant": "t"},
        }
    ]
    return settings


def retried(**more: Any) -> dict[str, Any]:
    return settings_with(
        "/tasks/0/retryConfig", {"times": 1, "retryAfter": {"unit": "hours", "amount": 1}, **more}
    )


ON: Any = True
DAY = {"unit": "days", "amount": 1}
