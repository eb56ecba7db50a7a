"""The ports on moto, metered."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from dev.memory.stores import MemoryWebhooks
from dev.memory.world import ManualClock, SequentialIds
from dev.metering.meter import Meter
from shared.adapters.controllers import NoControllers
from shared.adapters.dynamodb.attributes import Attributes
from shared.adapters.wakeups import AwsWakeups, WakeupTargets
from shared.application.ports import (
    AccessStore,
    AuditStore,
    Controllers,
    InstanceStore,
    LimitStore,
    OperationStore,
    StrategyStore,
)
from shared.application.start import StartInstance, start_instance
from shared.domain.ids import AccountId, InstanceSid, StrategySid
from shared.domain.steps.call import Answered, CallOutcome, ServiceRequest
from shared.domain.strategy.model import StrategyHead
from tests.engines import DynamoDb, on_dynamodb

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


@dataclass
class Counted:
    """A client that counts its calls, for Scheduler, Lambda and the services of strategies."""

    times: int = 0

    def create_schedule(self, _name: str, _schedule: Mapping[str, Any]) -> None:
        self.times += 1

    def invoke_later(self, _function: str, _payload: Mapping[str, Any]) -> None:
        self.times += 1

    def call(self, request: ServiceRequest) -> CallOutcome:
        self.times += 1
        return Answered(status=201, body={"id": request.call_key})


@dataclass
class Rig:
    """The ports on moto, metered."""

    instances: InstanceStore
    strategies: StrategyStore
    access: AccessStore
    operations: OperationStore
    limits: LimitStore
    audit: AuditStore
    meter: Meter
    clock: ManualClock = field(default_factory=lambda: ManualClock(NOON))
    ids: SequentialIds = field(default_factory=SequentialIds)
    controllers: Controllers = field(default_factory=NoControllers)
    webhooks: MemoryWebhooks = field(default_factory=MemoryWebhooks)
    caller: Counted = field(default_factory=Counted)
    scheduler: Counted = field(default_factory=Counted)
    invoker: Counted = field(default_factory=Counted)

    @property
    def wakeups(self) -> AwsWakeups:
        targets = WakeupTargets(
            group="g",
            runner_arn="r",
            bulk_runner_arn="bulk",
            role_arn="o",
            dead_letter_arn="d",
            report=lambda *_: pytest.fail("a wakeup failed"),
        )
        return AwsWakeups(
            targets, scheduler=lambda: self.scheduler, invoker=lambda: self.invoker, clock=self.clock
        )

    def saved(self, steps: int, limit: Mapping[str, Any] | None = None) -> StrategySid:
        """Save a strategy whose task has that number of steps. ``limit`` is that of its service."""
        keys = [f"step-{number}" for number in range(1, steps + 1)]
        settings = {
            "schedule": {
                "calendars": [
                    {"key": "monthly", "task": "main", "scheduleAfter": {"unit": "months", "amount": 1}}
                ]
            },
            "services": [
                {
                    "key": "shop",
                    "baseUrls": [{"environment": "dev", "url": "https://shop.example.test"}],
                    "methods": [{"key": "order", "url": "/orders", "method": "post"}],
                    "limit": limit,
                }
            ],
            "actions": [
                {"key": "order", "service": "shop", "method": "order", "data": {"of": "{{instance.sid}}"}}
            ],
            "tasks": [
                {
                    "key": "main",
                    "initialStep": keys[0],
                    "steps": [
                        {"key": key, "action": "order", **({"nextStep": after} if after else {})}
                        for key, after in zip(keys, [*keys[1:], ""], strict=True)
                    ],
                }
            ],
        }
        sid = StrategySid(f"s-{steps}")
        head = StrategyHead(
            sid=sid,
            account_id=AccountId("a-1"),
            name=f"n-{steps}",
            version=1,
            created_at=NOON,
            updated_at=NOON,
        )
        self.strategies.create(head, settings)
        return sid

    def started(self, steps: int, at: datetime, limit: Mapping[str, Any] | None = None) -> InstanceSid:
        """Start an instance of the strategy."""
        strategy = self.strategies.load(self.saved(steps, limit), 1)
        asked = StartInstance(strategy_id=strategy.name, attributes={"customer": "c-1"}, start_date=at)
        return start_instance(self, strategy, asked).instance.sid

    def reads(self, does: Callable[[], object]) -> tuple[float, int, int]:
        """Return read units, write units and trips to DynamoDB of an action."""
        with self.meter.counting() as usage:
            does()
        return usage.read_units, usage.write_units, sum(usage.trips.values())

    @contextmanager
    def measuring(self) -> Iterator[Callable[[], tuple[int, int, int]]]:
        """Return write units, round trips to AWS and Scheduler calls during the block."""
        schedules, invokes = self.scheduler.times, self.invoker.times
        with self.meter.counting() as usage:
            yield lambda: (
                usage.write_units,
                sum(usage.trips.values()) + self.scheduler.times - schedules + self.invoker.times - invokes,
                self.scheduler.times - schedules,
            )


def put(moto: DynamoDb, table: str, items: Sequence[Attributes]) -> None:
    """Write items, whatever they are. They are counted as writes of the rig."""
    for item in items:
        moto.client.put_item(TableName=table, Item=item)


def rig_on(moto: DynamoDb) -> Rig:
    """Return the ports on an engine."""
    meter = Meter(moto.tables)
    meter.watch(moto.client.api)
    stores = on_dynamodb(moto)
    return Rig(
        instances=stores.instances,
        strategies=stores.strategies,
        access=stores.access,
        operations=stores.operations,
        limits=stores.limits,
        audit=stores.audit,
        meter=meter,
    )
