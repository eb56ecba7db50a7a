"""The costs of the main job on DynamoDB: budgets for each use case, and the sizes of items.

Source: docs/design.md section 12.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from dev.memory.limits import MemoryLimits
from dev.memory.stores import MemoryWebhooks
from dev.memory.world import ManualClock, MemoryWakeups, SequentialIds
from dev.metering.item_size import item_bytes
from dev.metering.meter import Meter, Usage
from shared.adapters.aws.client import Answer, Call
from shared.adapters.aws.errors import AwsError
from shared.adapters.controllers import NoControllers
from shared.adapters.dynamodb.expiry import DynamoDbExpiry
from shared.adapters.dynamodb.instances import DynamoDbInstances
from shared.application.answer_event import SentAnswer, answer_event
from shared.application.control import control
from shared.application.ports import (
    AccessStore,
    AuditStore,
    Controllers,
    InstanceStore,
    OperationStore,
    StrategyStore,
)
from shared.application.runner.loop import run_due_events
from shared.application.start import StartInstance, start_instance
from shared.domain.ids import InstanceSid, StrategySid
from shared.domain.instance.event import Event
from shared.domain.instance.model import Instance
from shared.domain.instance.replay import position
from shared.domain.instance.retention import Retention
from shared.domain.instance.run import Intent
from shared.domain.instance.verdict import Actor, Applied
from shared.domain.lifecycle.commands import Cancel, Command, Pause, Resume
from shared.domain.steps.call import Answered, CallOutcome, ServiceRequest
from shared.domain.strategy.model import StrategyHead
from tests import full
from tests.contract.strategies import settings
from tests.engines import DynamoDb, on_dynamodb
from tests.factories import settings as plain_settings

START = datetime(2026, 1, 31, 10, tzinfo=UTC)
ANN = Actor(name="key-1")
JOB = "1b671a64-40d5-491e-99b0-da01ff1f3341"
KB = 1024


class Ids(SequentialIds):
    """Ids with the length of real ones."""

    def instance_sid(self) -> InstanceSid:
        return full.SID

    def token(self) -> str:
        return super().token()[-22:].rjust(22, "t")


@dataclass
class Service:
    """A service that accepts every call."""

    requests: list[ServiceRequest] = field(default_factory=list)

    def call(self, request: ServiceRequest) -> CallOutcome:
        self.requests.append(request)
        return Answered(status=200, body={"id": "ch_1234567890", "status": "CONFIRMED"})


@dataclass
class Gym:
    """A gym with one member, on its own tables."""

    instances: InstanceStore
    strategies: StrategyStore
    access: AccessStore
    operations: OperationStore
    audit: AuditStore
    meter: Meter
    sizes: list[int]
    caller: Service = field(default_factory=Service)
    limits: MemoryLimits = field(default_factory=MemoryLimits)
    wakeups: MemoryWakeups = field(default_factory=MemoryWakeups)
    clock: ManualClock = field(default_factory=lambda: ManualClock(START))
    ids: Ids = field(default_factory=Ids)
    controllers: Controllers = field(default_factory=NoControllers)
    webhooks: MemoryWebhooks = field(default_factory=MemoryWebhooks)

    def enroll(self) -> Instance:
        strategy = self.strategies.load(full.STRATEGY, 1)
        attributes = {"memberId": "m-10042", "email": "ann@example.com", "monthlyFee": 39.0}
        requests = StartInstance(strategy_id="gym-membership", attributes=attributes)
        return start_instance(self, strategy, requests).instance

    def member(self) -> Instance:
        found = self.instances.load(full.SID)
        assert found is not None
        return found

    def run_next(self) -> str:
        """Run the event that is due next, on time, and return its task."""
        event = min(self.member().events, key=lambda event: event.due_at)
        self.clock.at = event.due_at + timedelta(seconds=1)
        assert run_due_events(self, full.SID, job=JOB, time_left=lambda: timedelta(seconds=900)) == 1
        return event.task


@dataclass(frozen=True)
class Scales:
    """Weighs each item that is put."""

    sizes: list[int]

    def begins(self, call: Call) -> None:
        if call.operation == "PutItem":
            self.sizes.append(item_bytes(call.request["Item"]))

    def sends(self, call: Call) -> None: ...

    def ends(self, call: Call, answer: Answer | None, error: AwsError | None) -> None: ...


@pytest.fixture
def gym(moto: DynamoDb) -> Gym:
    stores, meter, sizes = on_dynamodb(moto), Meter(moto.tables), list[int]()

    meter.watch(moto.client.api)
    moto.client.api.observers.append(Scales(sizes))
    head = StrategyHead(
        sid=full.STRATEGY,
        account_id=full.ACCOUNT,
        name="gym-membership",
        version=1,
        created_at=START,
        updated_at=START,
    )
    stores.strategies.create(head, settings())
    stores.strategies.load(head.sid, 1)
    return Gym(
        instances=stores.instances,
        strategies=stores.strategies,
        access=stores.access,
        operations=stores.operations,
        audit=stores.audit,
        meter=meter,
        sizes=sizes,
    )


@pytest.fixture
def with_one_open_event(gym: Gym) -> Gym:
    """Return a gym whose member is welcomed and reminded, with the fee due next."""
    gym.enroll()
    assert [gym.run_next(), gym.run_next()] == ["send-welcome", "send-reminder"]
    assert len(gym.member().events) == 1
    gym.sizes.clear()
    return gym


class TestUnitsAndTrips:
    """The budgets of the main job, with items of at most a kilobyte."""

    def test_creating_an_instance_with_three_events(self, gym: Gym) -> None:
        with gym.meter.counting() as usage:
            gym.enroll()
        assert (usage.write_units, usage.calls) == (4, {"dynamodb.PutItem": 1})

    def test_running_a_main_event_of_three_steps(self, with_one_open_event: Gym) -> None:
        gym = with_one_open_event
        with gym.meter.counting() as usage:
            assert gym.run_next() == "charge-fee"
        assert len(gym.caller.requests) == 2 + 3
        assert usage.write_units == 3 + 5
        assert usage.calls == {
            "dynamodb.GetItem": 1 + 1 + 2,
            "dynamodb.PutItem": 5,
            "dynamodb.BatchGetItem": 1,
        }
        assert usage.trips == {"dynamodb": 10}
        assert len(gym.wakeups.armed) == 4
        assert max(gym.sizes) <= KB

    @pytest.mark.parametrize(
        ("command", "units"), [(Pause(by=ANN), 9), (Cancel(by=ANN), 12), (Cancel(by=ANN, kill=True), 12)]
    )
    def test_a_command_costs_one_read_and_one_transaction(
        self, with_one_open_event: Gym, command: Command, units: int
    ) -> None:
        usage = self.commanded(with_one_open_event, command)
        assert usage.write_units == units
        assert usage.calls == {"dynamodb.GetItem": 1, "dynamodb.TransactWriteItems": 1}

    def test_a_resume_costs_one_read_and_one_transaction(self, with_one_open_event: Gym) -> None:
        self.commanded(with_one_open_event, Pause(by=ANN))
        usage = self.commanded(with_one_open_event, Resume(by=ANN))
        assert usage.write_units == 9
        assert usage.calls == {"dynamodb.GetItem": 1, "dynamodb.TransactWriteItems": 1}

    def commanded(self, gym: Gym, command: Command) -> Usage:
        with gym.meter.counting() as usage:
            control(gym, full.SID, command)
        return usage


class TestRetention:
    """An expiry costs nothing when a record is stored, and a write unit for each journal entry when it has passed."""

    KEPT = Retention(records=timedelta(days=90), audit=timedelta(days=365))

    def test_a_run_costs_the_same_with_an_expiry(self, with_one_open_event: Gym) -> None:
        gym = with_one_open_event
        assert isinstance(gym.instances, DynamoDbInstances)
        gym.instances = replace(gym.instances, retention=self.KEPT)
        with gym.meter.counting() as usage:
            assert gym.run_next() == "charge-fee"
        assert usage.write_units == 3 + 5
        assert usage.trips == {"dynamodb": 10}
        assert gym.sizes[3] == pytest.approx(1012, abs=20)
        assert max(gym.sizes) <= KB

    def test_a_command_costs_the_same_with_an_expiry(self, with_one_open_event: Gym) -> None:
        gym = with_one_open_event
        assert isinstance(gym.instances, DynamoDbInstances)
        gym.instances = replace(gym.instances, retention=self.KEPT)
        with gym.meter.counting() as usage:
            control(gym, full.SID, Cancel(by=ANN))
        assert usage.write_units == 12

    def test_deleting_a_history_costs_one_unit_for_each_entry(self, with_one_open_event: Gym) -> None:
        gym = with_one_open_event
        seq = gym.member().events[0].seq
        gym.run_next()
        history = gym.instances.event_history(full.SID, seq)
        assert len(history.entries) == 2
        assert history.record is not None
        assert isinstance(gym.instances, DynamoDbInstances)
        store = DynamoDbExpiry(client=gym.instances.client, tables=gym.instances.tables)
        with gym.meter.counting() as usage:
            assert store.stored_event(full.SID, seq).has_record
            assert store.delete_history(full.SID, seq) == 2
        # A serializable read of two items costs twice as much as two strong ones.
        assert (usage.write_units, usage.read_units) == (2, 2 * 2 + 1)
        assert usage.trips == {"dynamodb": 3}


class TestSizes:
    """Which items fit into a kilobyte."""

    def test_a_new_instance_with_three_events(self, gym: Gym) -> None:
        gym.enroll()
        assert gym.sizes == [pytest.approx(867, abs=20)]

    def test_a_claim_with_three_open_events_does_not(self, gym: Gym) -> None:
        gym.enroll()
        gym.sizes.clear()
        gym.run_next()
        claimed, record, _ = gym.sizes
        assert claimed == pytest.approx(1248, abs=20)
        assert record == pytest.approx(1014, abs=20)

    def test_everything_of_a_charge_with_one_open_event(self, with_one_open_event: Gym) -> None:
        with_one_open_event.run_next()
        claimed, first, second, record, advanced = with_one_open_event.sizes
        assert claimed == pytest.approx(1000, abs=20)
        assert first == pytest.approx(530, abs=20)
        assert second == pytest.approx(536, abs=20)
        assert record == pytest.approx(997, abs=20)
        assert advanced == pytest.approx(806, abs=20)


class TestAWaitForAnAnswer:
    """A wait costs the same with and without ``answerWithin``, because both stay in the due index (ADR 45)."""

    @pytest.mark.parametrize(
        "limit", [{}, {"answerWithin": {"unit": "days", "amount": 2}}], ids=["none", "two days"]
    )
    def test_a_wait_and_its_answer(self, gym: Gym, limit: dict[str, Any]) -> None:
        sid, began = self.waiting(gym, limit)
        # Claim, journal entry, and the wait, whose new date in the due index is two more.
        assert (began.write_units, began.calls["dynamodb.PutItem"]) == (1 + 1 + 3, 3)
        then = position(gym.instances.event_history(sid, 1), self.event(gym, sid))
        assert isinstance(then, Intent)
        sent = SentAnswer(correlation_id=then.correlation_id, key="k", by=ANN, body={})

        with gym.meter.counting() as answered:
            assert isinstance(answer_event(gym, sid, 1, sent), Applied)

        # The answer's body. Then in one transaction, at twice the units except for indexes, the instance with its new
        # date and the audit entry.
        assert answered.write_units == 1 + (2 + 2) + (2 + 1)

    def test_noting_an_overdue_answer(self, gym: Gym) -> None:
        sid, _ = self.waiting(gym, {})
        gym.clock.at += timedelta(days=7)

        with gym.meter.counting() as marked:
            assert run_due_events(gym, sid, job=JOB, time_left=lambda: timedelta(seconds=900)) == 0

        # One write. The item leaves the due index and enters that of problems.
        assert (marked.write_units, marked.calls["dynamodb.PutItem"]) == (3, 1)
        assert gym.instances.with_problems(full.ACCOUNT, before=None, limit=2)[0].sid == sid

    def waiting(self, gym: Gym, limit: dict[str, Any]) -> tuple[InstanceSid, Usage]:
        """Return an instance that waits for an answer, and the usage of the run that began to wait."""
        head = StrategyHead(
            sid=StrategySid("s-asks"),
            account_id=full.ACCOUNT,
            name="asks",
            version=1,
            created_at=START,
            updated_at=START,
        )
        asks = plain_settings()
        asks["services"][0]["methods"][1] |= {"async": True, **limit}
        gym.strategies.create(head, asks)
        sid = start_instance(
            gym, gym.strategies.load(head.sid, 1), StartInstance(strategy_id="asks", attributes={})
        ).instance.sid
        with gym.meter.counting() as usage:
            assert run_due_events(gym, sid, job=JOB, time_left=lambda: timedelta(seconds=900)) == 1
        return sid, usage

    def event(self, gym: Gym, sid: InstanceSid) -> Event:
        instance = gym.instances.load(sid)
        assert instance is not None
        return instance.events[0]
