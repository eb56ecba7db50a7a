"""A town of many instances in many shards, some of them unreadable, and the faults that can occur in it.

Every instance orders once a day at nine: reserve, charge, note. All are due at the same moment, twice as many as a
page of the due index has. ``Town`` knows which instances are healthy; the others have a newer schema, a version
that does not exist, or settings under a lost key.
"""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache

from msgspec.structs import replace

from shared.application.ports import SealBrokenError, UnknownStrategyError
from shared.application.start import StartInstance, start_instance
from shared.domain.errors import StoredShapeError
from shared.domain.ids import AccountId, InstanceSid, StrategySid
from shared.domain.strategy.model import Json, Strategy, StrategyHead
from shared.domain.strategy.parse import read_definition
from tests.simulation.faults import Faults
from tests.simulation.watch import OneKeyAtATime, Watch
from tests.simulation.world import World

ACCOUNT = AccountId("a-1")
FOUNDED = datetime(2026, 3, 1, 18, tzinfo=UTC)
NINE = datetime(2026, 3, 2, 9, tzinfo=UTC)
"""The first order."""
DAY = timedelta(days=1)
PATHS = ("/reservations", "/charges", "/welcomes", "/farewells")
MISSING, SEALED = 8, 9
"""Versions that do not exist, or that cannot be decrypted."""

ORDERS: Json = {
    "config": {"timezone": "Etc/UTC", "requestDelayTime": 200},
    "schedule": {
        "calendars": [{"key": "daily", "task": "order", "scheduleAfter": {"unit": "days", "amount": 1}}]
    },
    "onCreateTasks": [{"task": "welcome"}],
    "onCancelTasks": [{"task": "farewell"}],
    "services": [
        {
            "key": "shop",
            "baseUrls": [{"environment": "dev", "url": "https://shop.example.test"}],
            "methods": [
                {"key": "reserve", "url": "/reservations", "method": "post"},
                {"key": "charge", "url": "/charges", "method": "post"},
                {"key": "note", "url": "/notes", "method": "put"},
                {"key": "welcome", "url": "/welcomes", "method": "post"},
                {"key": "farewell", "url": "/farewells", "method": "post"},
            ],
        }
    ],
    "actions": [
        {"key": key, "service": "shop", "method": key}
        for key in ("reserve", "charge", "note", "welcome", "farewell")
    ],
    "tasks": [
        {
            "key": "order",
            "initialStep": "reserve",
            "retryConfig": {
                "times": 6,
                "jitterPercent": 0,
                "retryAfter": {"unit": "minutes", "amount": 20},
                "pauseBeforeCancel": True,
            },
            "steps": [
                {"key": "reserve", "action": "reserve", "nextStep": "charge"},
                {"key": "charge", "action": "charge", "nextStep": "note"},
                {"key": "note", "action": "note", "final": True},
            ],
        },
        *(
            {
                "key": key,
                "initialStep": key,
                "retryConfig": {"times": 6, "retryAfter": {"unit": "minutes", "amount": 20}},
                "steps": [{"key": key, "action": key, "final": True}],
            }
            for key in ("welcome", "farewell")
        ),
    ],
}


def orders(sid: str, limit: Json = None) -> Strategy:
    """Return a strategy with an order a day. ``limit`` is that of its service."""
    return _orders(sid, None if limit is None else json.dumps(limit))


@cache
def _orders(sid: str, limit: str | None) -> Strategy:
    (service,) = ORDERS["services"]
    limits = {} if limit is None else {"limit": json.loads(limit)}
    settings = {**ORDERS, "services": [{**service, **limits}]}
    return Strategy(
        sid=StrategySid(sid),
        account_id=ACCOUNT,
        name=sid,
        version=1,
        definition=read_definition(settings, environment="dev"),
        environment="dev",
    )


@dataclass(slots=True, kw_only=True)
class Town:
    """A world, its instances, and the random numbers of its story."""

    world: World
    rng: random.Random
    healthy: list[InstanceSid] = field(default_factory=list)
    ill: list[InstanceSid] = field(default_factory=list)

    def settle(self, **time: float) -> None:
        """Let time pass."""
        self.world.run_until(self.world.now_at + timedelta(**time))


def town(
    faults: Faults,
    *,
    healthy: int = 12,
    ill: int = 0,
    shards: int = 16,
    page: int = 2000,
    watched: bool = True,
    kind: type[World] = World,
    limits: Sequence[Json] = (None, None),
) -> Town:
    """Return a town in the evening before its first orders. ``limits`` are those of the services of its strategies."""
    strategies = [orders("s-east", limits[0]), orders("s-west", limits[1])]
    world = kind(strategy=strategies[0], now_at=FOUNDED, faults=faults, shards=shards, largest_page=page)
    there = Town(world=world, rng=random.Random(faults.rng.random()))
    for strategy in strategies:
        world.flags.add(strategy)
        world.flags.heads[strategy.sid] = head_of(strategy)
    if watched:
        Watch(world).install()
        OneKeyAtATime(world).install()
    sids = []
    for number in range(healthy + ill):
        asked = StartInstance(strategy_id="orders", start_date=NINE, attributes={})
        sids.append(start_instance(world, strategies[number % 2], asked).instance.sid)
    there.rng.shuffle(sids)
    there.healthy, there.ill = sids[:healthy], sids[healthy:]
    for number, sid in enumerate(there.ill):
        fall_ill(world, sid, number % 3)
    return there


def head_of(strategy: Strategy) -> StrategyHead:
    return StrategyHead(
        sid=strategy.sid,
        account_id=strategy.account_id,
        name=strategy.name,
        version=strategy.version,
        created_at=FOUNDED,
        updated_at=FOUNDED,
        secret_hash=None,
    )


def fall_ill(world: World, sid: InstanceSid, kind: int) -> None:
    """Make an instance unreadable, as a deployment that was taken back or a lost key does."""
    if kind == 0:
        world.unreadable[sid] = lambda: StoredShapeError("schema 99 is unknown")
        return
    version = MISSING if kind == 1 else SEALED
    instance = world.store.instances[sid]
    world.store.instances[sid] = replace(instance, strategy_version=version)
    world.show(world.store.instances[sid])
    for strategy in ("s-east", "s-west"):
        world.broken_versions[StrategySid(strategy), MISSING] = lambda: UnknownStrategyError("version 8")
        world.broken_versions[StrategySid(strategy), SEALED] = lambda: SealBrokenError("another key")


def heal(there: Town) -> None:
    """Make all instances readable, as the next deployment does."""
    world = there.world
    world.unreadable.clear()
    world.broken_versions.clear()
    for version in (MISSING, SEALED):
        world.versions[version] = replace(world.strategy, version=version)
        west = world.flags.strategies[StrategySid("s-west"), 1]
        world.flags.add(replace(west, version=version))


def after_nine(day: int, **later: float) -> datetime:
    """Return a time after the orders of a day, the first day being 1."""
    return NINE + (day - 1) * DAY + timedelta(**later)
