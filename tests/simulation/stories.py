"""The main job: a member joins the gym, is reminded, and is charged after some declined charges."""

import json
import random
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from shared.application.start import StartInstance, start_instance
from shared.domain.ids import AccountId, StrategySid
from shared.domain.steps.call import Answered, CallOutcome, ServiceRequest
from shared.domain.strategy.model import Json, Strategy
from shared.domain.strategy.parse import read_definition
from tests.simulation.faults import Faults
from tests.simulation.world import World

EXAMPLES = Path(__file__).parents[2] / "events"
JOINED = datetime(2026, 2, 24, 18, 45, 10, tzinfo=UTC)
MEMBER = {"memberId": "m-1", "email": "ann@example.test", "monthlyFee": 29.5, "marketingOptIn": True}


@cache
def example(name: str, **config: str | int) -> Strategy:
    """Return an example strategy, with parts of its ``config`` replaced."""
    settings = json.loads((EXAMPLES / f"{name}.json").read_text())["settings"]
    settings["config"].update(config)
    return Strategy(
        sid=StrategySid("s-1"),
        account_id=AccountId("a-1"),
        name=name,
        version=1,
        definition=read_definition(settings, environment="dev"),
        environment="dev",
    )


PARCELS: Json = {
    "config": {"timezone": "Europe/Berlin", "requestDelayTime": 100},
    "schedule": {
        "calendars": [{"key": "weekly", "task": "ship", "scheduleAfter": {"unit": "days", "amount": 7}}]
    },
    "onCreateTasks": [{"task": "survey", "manualTrigger": True}],
    "onCancelTasks": [{"task": "survey", "delayBy": {"unit": "hours", "amount": 2}}],
    "services": [
        {
            "key": "depot",
            "baseUrls": [{"environment": "dev", "url": "https://depot.example.test"}],
            "methods": [
                {"key": "reserve", "url": "/reservations", "method": "post", "inDoubt": "pause"},
                {"key": "pack", "url": "/packages", "method": "post", "inDoubt": "fail"},
                {"key": "release", "url": "/reservations/:cycle", "method": "delete"},
                {"key": "ask", "url": "/surveys", "method": "post"},
            ],
        }
    ],
    "actions": [
        {"key": "reserve", "service": "depot", "method": "reserve", "data": {"cycle": "{{instance.cycle}}"}},
        {
            "key": "pack",
            "service": "depot",
            "method": "pack",
            "data": {"of": "{{stack.reserve.response.id}}"},
        },
        {
            "key": "release",
            "service": "depot",
            "method": "release",
            "attributes": {"cycle": "{{instance.cycle}}"},
        },
        {"key": "ask", "service": "depot", "method": "ask"},
    ],
    "tasks": [
        {
            "key": "ship",
            "initialStep": "reserve",
            "retryConfig": {
                "times": 5,
                "jitterPercent": 0,
                "retryAfter": {"unit": "minutes", "amount": 30},
                "pauseBeforeCancel": True,
            },
            "steps": [
                {"key": "reserve", "action": "reserve", "nextStep": "cool-off"},
                {"key": "cool-off", "delay": {"unit": "hours", "amount": 2}, "nextStep": "count"},
                {
                    "key": "count",
                    "controllerCallback": '{"attributes": {"shipped": attributes.shipped + 1.0}, '
                    '"createEvents": [{"task": "survey"}]}',
                    "nextStep": "pack",
                },
                {"key": "pack", "action": "pack", "nextStep": "release"},
                {"key": "release", "action": "release", "optional": True, "final": True},
            ],
        },
        {"key": "survey", "initialStep": "ask", "steps": [{"key": "ask", "action": "ask", "final": True}]},
    ],
}
"""A delay, orders of a controller, calls that pause or fail when in doubt, an event on hold."""


@cache
def parcels() -> Strategy:
    """Return a strategy for a parcel a week."""
    return Strategy(
        sid=StrategySid("s-2"),
        account_id=AccountId("a-1"),
        name="parcels",
        version=1,
        definition=read_definition(PARCELS, environment="dev"),
        environment="dev",
    )


def parcel_world(faults: Faults) -> World:
    """Return a depot that ships a parcel a week and counts."""
    return World(strategy=parcels(), now_at=datetime(2026, 2, 24, 18, 30, tzinfo=UTC), faults=faults)


def subscribe(world: World) -> None:
    """Subscribe to a parcel a week, without faults."""
    asked = StartInstance(strategy_id="parcels", start_date=JOINED, attributes={"shipped": 0.0})
    start_instance(world, world.strategy, asked)


def gym_world(faults: Faults | None = None, **config: str | int) -> World:
    """Return a gym, a quarter of an hour before a member joins."""
    return World(
        strategy=example("gym-membership", **{"requestDelayTime": 0, **config}),
        now_at=datetime(2026, 2, 24, 18, 30, tzinfo=UTC),
        faults=faults or Faults(rng=random.Random(0)),
    )


def join(world: World) -> None:
    """Start a membership, without faults."""
    asked = StartInstance(strategy_id=world.strategy.name, start_date=JOINED, attributes=MEMBER)
    start_instance(world, world.strategy, asked)


def declined(times: int) -> "Billing":
    """Return a billing service that declines the first charges."""
    return Billing(times)


class Billing:
    """Services that accept every call except the first charges. A repeated key gets the first answer."""

    def __init__(self, declines: int) -> None:
        self._declines = declines
        self._given: dict[str, CallOutcome] = {}

    def __call__(self, request: ServiceRequest) -> CallOutcome:
        key = request.headers["Idempotency-Key"]
        if key not in self._given:
            self._given[key] = self._decided(request)
        return self._given[key]

    def _decided(self, request: ServiceRequest) -> CallOutcome:
        if request.url.endswith("/charges") and self._declines:
            self._declines -= 1
            return Answered(status=402, body={"status": "FAILED"})
        return Answered(status=201, body={"id": "c-1", "status": "CONFIRMED"})
