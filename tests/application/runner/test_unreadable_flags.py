"""Runners and commands of instances whose flags cannot be read, because a newer version of the code wrote them."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from dev.memory.stores import MemoryInstances, MemoryStrategies
from dev.memory.world import ManualClock, MemoryPorts
from shared.application.control import control
from shared.application.ports import StaleRevError
from shared.application.runner.loop import run_due_events
from shared.application.start import StartInstance, start_instance
from shared.domain.errors import StoredShapeError
from shared.domain.ids import AccountId, StrategySid
from shared.domain.instance.due import GRACE
from shared.domain.instance.event import EventStatus
from shared.domain.instance.flags import Flags
from shared.domain.instance.model import Instance, InstanceStatus
from shared.domain.instance.verdict import Actor
from shared.domain.lifecycle.commands import Cancel, Command, Execute, Pause, Resume
from shared.domain.steps.call import Answered, CallOutcome, ServiceRequest
from shared.domain.strategy.model import Strategy
from tests.lifecycle_factories import at, strategy

ANN = Actor(name="ann")
NOON = at("2026-01-31T12:00")
FOUR_MINUTES = GRACE + timedelta(minutes=1)


class UnreadableFlags(MemoryStrategies):
    """Flags that can be read or not."""

    is_readable: bool = True
    reads: int = 0

    def flags(self, account: AccountId, strategy: StrategySid) -> Flags:
        self.reads += 1
        if not self.is_readable:
            raise StoredShapeError("an item has schema 99 instead of 1")
        return super().flags(account, strategy)


class LosesReplies(MemoryInstances):
    """A store that says of the next change that another writer was faster, although it has stored it."""

    loses: bool = False

    def commit(self, instance: Instance, **beside: Any) -> None:
        super().commit(instance, **beside)
        if self.loses:
            self.loses = False
            raise StaleRevError


class Shop:
    """A customer whose first bill is due at noon, or at another date."""

    def __init__(self, runs: Strategy | None = None, *, start: datetime = NOON) -> None:
        self.calls: list[str] = []
        self.clock = ManualClock(NOON)
        self.store = LosesReplies()
        self.ports = MemoryPorts(caller=self, clock=self.clock, instances=self.store)
        self.flags = UnreadableFlags(access=self.ports.access)
        self.ports.strategies = self.flags
        runs = runs or strategy()
        self.flags.add(runs)
        asked = StartInstance(strategy_id="shop", attributes={}, start_date=start)
        self.sid = start_instance(self.ports, runs, asked).instance.sid

    def call(self, request: ServiceRequest) -> CallOutcome:
        self.calls.append(request.call_key)
        return Answered(status=200, body={"id": "1"})

    def run(self) -> int:
        ends = self.clock.at + timedelta(minutes=15)
        return run_due_events(self.ports, self.sid, job="job", time_left=lambda: ends - self.clock.at)

    def run_again(self) -> None:
        """Run when the claim that was given back may be claimed."""
        assert self.instance.lease is not None
        self.clock.at = self.instance.lease.until
        self.run()

    @property
    def instance(self) -> Instance:
        return self.store.instances[self.sid]


@pytest.fixture
def shop() -> Shop:
    return Shop()


class TestARunner:
    """It gives its claim back and fails, so that no crash is counted and operators hear of it."""

    @pytest.mark.parametrize("loses_reply", [False, True])
    def test_the_claim_is_given_back_and_the_invocation_fails(self, shop: Shop, *, loses_reply: bool) -> None:
        shop.flags.is_readable, shop.store.loses = False, loses_reply

        with pytest.raises(StoredShapeError, match="schema 99"):
            shop.run()

        lease, event = shop.instance.lease, shop.instance.executing
        assert lease is not None
        assert lease.given_back is not None
        assert event is not None
        assert (event.progress.crashes, event.run) == (0, 1)
        assert timedelta(minutes=1) <= lease.until - NOON <= timedelta(seconds=90)
        assert shop.calls == []

    @pytest.mark.parametrize("claims", [1, 6, 20])
    def test_however_often_it_fails_the_event_runs_once_the_flags_can_be_read(
        self, shop: Shop, claims: int
    ) -> None:
        shop.flags.is_readable = False
        with pytest.raises(StoredShapeError):
            shop.run()
        for _ in range(claims - 1):
            with pytest.raises(StoredShapeError):
                shop.run_again()

        shop.flags.is_readable = True
        shop.run_again()

        (record,) = shop.store.records.values()
        assert record.event.status is EventStatus.PROCESSED
        assert (record.in_doubt, record.event.run) == (False, 1)
        assert len(shop.calls) == 1

    def test_a_side_task_is_not_set_aside(self) -> None:
        """Its date is before the next cycle's, so its takeovers read no flags before they claim."""
        shop = Shop(strategy(parts={"onCreateTasks": [{"task": "greet"}]}), start=NOON + timedelta(days=1))
        (greet,) = (event.seq for event in shop.instance.events if not event.is_main)
        control(shop.ports, shop.sid, Execute(seq=greet, by=ANN))
        shop.flags.is_readable = False
        for _ in range(8):
            with pytest.raises(StoredShapeError):
                shop.run()
            assert shop.instance.lease is not None
            shop.clock.at = shop.instance.lease.until

        shop.flags.is_readable = True
        shop.run()

        assert {record.event.status for record in shop.store.records.values()} == {EventStatus.PROCESSED}


class TestCommands:
    """A pause and a cancel do not depend on flags; what plans dates does."""

    @pytest.mark.parametrize("late", [timedelta(), FOUR_MINUTES])
    @pytest.mark.parametrize(
        ("command", "status"),
        [(Pause(by=ANN), InstanceStatus.PAUSED), (Cancel(by=ANN), InstanceStatus.CANCELED)],
    )
    def test_a_stop_is_decided_with_its_settings(
        self, command: Command, status: InstanceStatus, late: timedelta
    ) -> None:
        shop = Shop(strategy(parts={"onCancelTasks": [{"task": "part"}]}))
        shop.clock.at = NOON + late
        shop.flags.is_readable, shop.flags.reads = False, 0

        control(shop.ports, shop.sid, command)

        assert shop.instance.status is status
        assert "without the settings" not in (shop.store.audit[-1].reason or "")
        created = [event for event in shop.instance.events if event.after_cancellation]
        assert len(created) == (status is InstanceStatus.CANCELED)
        assert shop.flags.reads == 0

    def test_a_resume_that_must_know_the_missed_dates_fails_and_stores_nothing(self, shop: Shop) -> None:
        control(shop.ports, shop.sid, Pause(by=ANN))
        shop.clock.at = NOON + FOUR_MINUTES
        shop.flags.is_readable = False

        with pytest.raises(StoredShapeError):
            control(shop.ports, shop.sid, Resume(by=ANN))

        assert shop.instance.status is InstanceStatus.PAUSED
