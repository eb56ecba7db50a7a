"""A runner that crashes between the record of its event and the plan. Source: docs/design.md sections 3.5 and 7."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from msgspec.structs import replace

from dev.memory.stores import MemoryInstances
from dev.memory.world import ManualClock, MemoryPorts
from shared.application.control import control
from shared.application.migrate import migrate_instance
from shared.application.runner.loop import run_due_events
from shared.application.start import StartInstance, start_instance
from shared.domain.ids import InstanceSid
from shared.domain.instance.event import EventStatus
from shared.domain.instance.journal import EventRecord
from shared.domain.instance.model import Instance, InstanceStatus
from shared.domain.instance.verdict import AuditEntry
from shared.domain.lifecycle.commands import Update
from shared.domain.steps.call import Answered, CallOutcome, ServiceRequest
from shared.domain.strategy.flag import FlagPause
from shared.domain.strategy.model import Json, Strategy, StrategyHead
from tests.lifecycle_factories import ANN, DAILY, at, by_cron, calendar, strategy

NOW = at("2026-01-31")
CHARGED = Answered(status=201, body={"id": "r-1"})
WEEKLY: Json = {"unit": "days", "amount": 7}
DUNNING: Json = {"times": 1, "retryAfter": {"unit": "days", "amount": 15}, "jitterPercent": 0}


class CrashError(Exception):
    """The runner crashes."""


@dataclass
class CrashingInstances(MemoryInstances):
    """A store whose caller crashes, once, after it has stored the record of a main event."""

    is_armed: bool = True

    def commit(
        self,
        instance: Instance,
        *,
        records: Sequence[EventRecord] = (),
        audit: AuditEntry | None = None,
        reopened: EventRecord | None = None,
    ) -> None:
        if self.is_armed and self.records and instance.executing is None:
            self.is_armed = False
            raise CrashError
        super().commit(instance, records=records, audit=audit, reopened=reopened)


@dataclass
class Shop:
    """A service that accepts each charge. ``before`` is done during the first one."""

    answers: list[CallOutcome] = field(default_factory=list)
    world: "World | None" = None

    def call(self, _: ServiceRequest) -> CallOutcome:
        if self.world is not None:
            self.world.migrate()
        return self.answers.pop(0) if self.answers else CHARGED


class World:
    """An instance of version 1, whose first charge is due now."""

    def __init__(self, first: Strategy, second: Strategy | None = None, **attributes: Json) -> None:
        self.shop, self.second = Shop(), second
        self.ports = MemoryPorts(caller=self.shop, clock=ManualClock(NOW), instances=CrashingInstances())
        self.ports.strategies.add(first)
        if second is not None:
            self.shop.world = self
            self.ports.strategies.add(second)
        request = StartInstance(strategy_id=first.name, attributes=attributes, start_date=NOW)
        self.sid: InstanceSid = start_instance(self.ports, first, request).instance.sid

    def migrate(self) -> None:
        """Move the instance to the second version, and remove the attributes of the first one."""
        self.shop.world = None
        assert migrate_instance(self.ports, self.sid, 2, by=ANN, dry_run=False) is not None
        control(self.ports, self.sid, Update(by=ANN, attributes={"timezone": None}))

    def run(self, after: timedelta = timedelta()) -> Instance:
        """Run the due events, and return the instance."""
        self.ports.clock.at += after
        run_due_events(self.ports, self.sid, job="job", time_left=lambda: timedelta(minutes=15))
        return self.ports.instances.instances[self.sid]

    def crash(self) -> None:
        with pytest.raises(CrashError):
            self.run()
        assert self.ports.instances.instances[self.sid].executing is not None


@pytest.mark.parametrize(
    ("first", "second", "coming"),
    [
        (strategy(), strategy(calendar(DAILY), version=2), "2026-02-01"),
        (strategy(), strategy(by_cron("0 0 15 * *"), version=2), "2026-02-15"),
        (strategy(timezone="{{attributes.timezone}}"), strategy(version=2), "2026-02-28"),
        (strategy(calendar(runOnCycle=1)), strategy(version=2), "2026-02-28"),
    ],
)
def test_the_plan_continues_in_the_version_of_the_instance(
    first: Strategy, second: Strategy, coming: str
) -> None:
    """The instance is migrated while its event runs. Its plan must not be that of the version that it has left."""
    of = World(first, second, timezone="UTC")
    of.crash()
    after = of.run(timedelta(minutes=5))
    assert after.status is InstanceStatus.ACTIVE
    assert [event.date for event in after.events] == [at(coming)]


@pytest.mark.parametrize(
    ("paused", "charged"),
    [
        ("2026-02-07", ["2026-01-31", "2026-02-07"]),
        ("2026-02-14", ["2026-01-31", "2026-02-14"]),
        ("2026-02-10", ["2026-01-31"]),
    ],
)
def test_the_rule_for_dates_of_a_paused_flag_counts(paused: str, charged: list[str]) -> None:
    """A charge is declined, and accepted after two weeks: 7 and 14 February have passed meanwhile."""
    first = strategy(calendar(WEEKLY), retry=DUNNING, onResume="all", onMissed="skip")
    of = World(first)
    head = StrategyHead(
        sid=first.sid, account_id=first.account_id, name="shop", version=1, created_at=NOW, updated_at=NOW
    )
    pause = FlagPause(since=at(paused), until=at(paused) + timedelta(hours=1))
    of.ports.strategies.heads[first.sid] = replace(head, pauses=(pause,))
    of.shop.answers = [Answered(status=402)]
    of.run()
    of.ports.clock.at += timedelta(days=15)
    of.crash()
    after = of.run(timedelta(minutes=5))
    records = [record.event for record in of.ports.instances.records.values()]
    assert [event.planned_date for event in records if event.status is EventStatus.PROCESSED] == [
        at(date) for date in charged
    ]
    assert [event.date for event in after.events] == [at("2026-02-21")]
