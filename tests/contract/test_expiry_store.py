"""The contract of an ``ExpiryStore``, on every engine."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import pytest
from msgspec.structs import replace

from dev.memory.expiry import MemoryExpiry
from dev.memory.stores import MemoryInstances
from dev.memory.world import ManualClock
from shared.adapters.dynamodb.expiry import DynamoDbExpiry
from shared.adapters.dynamodb.items import record_item
from shared.adapters.dynamodb.tables import record_key
from shared.application.expire import ExpiredRecord, ExpiryStore, StoredEvent
from shared.application.ports import InstanceStore
from shared.domain.ids import InstanceSid
from shared.domain.instance.journal import EventHistory, EventRecord
from tests import full
from tests.contract.instances import a_record, an_entry, an_instance
from tests.engines import DynamoDb, on_dynamodb
from tests.full import at

SID = InstanceSid("i-1")


@dataclass(frozen=True)
class Engine:
    """The stores of one engine, and the deletion of a record by expiry."""

    expiry: ExpiryStore
    instances: InstanceStore
    expire: Callable[[EventRecord], None]


def _in_memory() -> Engine:
    instances = MemoryInstances()

    def delete(record: EventRecord) -> None:
        del instances.records[record.instance_sid, record.event.seq]

    return Engine(MemoryExpiry(instances=instances, clock=ManualClock(at(9))), instances, delete)


def _on_dynamodb(dynamodb: DynamoDb) -> Engine:
    def delete(record: EventRecord) -> None:
        key = {"instanceSid": {"S": record.instance_sid}, "sk": {"S": record_key(record.event.seq)}}
        dynamodb.client.delete_item(TableName=dynamodb.tables.events, Key=key)

    expiry = DynamoDbExpiry(client=dynamodb.client, tables=dynamodb.tables)
    return Engine(expiry, on_dynamodb(dynamodb).instances, delete)


@pytest.fixture(params=["memory", "moto", pytest.param("roto", marks=pytest.mark.allow_hosts(["127.0.0.1"]))])
def engine(request: pytest.FixtureRequest) -> Engine:
    return _in_memory() if request.param == "memory" else _on_dynamodb(request.getfixturevalue(request.param))


def expired(engine: Engine, seq: int = 1) -> ExpiredRecord:
    """Store an instance with a record, delete the record, and return it as the stream delivers it."""
    instance = an_instance()
    if engine.instances.load(SID) is None:
        engine.instances.create(instance)
    record = a_record(instance, seq)
    engine.instances.put_record(instance, record)
    engine.expire(record)
    item = record_item(instance, record, kept=timedelta(days=90))
    return ExpiredRecord(position="1", sid=SID, seq=seq, item=item)


class TestAStoredEvent:
    """Instance and record are read together."""

    def test_an_instance_that_does_not_exist_is_none(self, engine: Engine) -> None:
        assert engine.expiry.stored_event(SID, 1) == StoredEvent(instance=None, has_record=False)

    def test_an_event_without_a_record(self, engine: Engine) -> None:
        expired(engine)
        assert engine.expiry.stored_event(SID, 1) == StoredEvent(instance=an_instance(), has_record=False)

    def test_an_event_with_a_record(self, engine: Engine) -> None:
        engine.instances.create(an_instance(), records=[a_record(an_instance(), 7)])
        assert engine.expiry.stored_event(SID, 7).has_record
        assert not engine.expiry.stored_event(SID, 6).has_record


class TestPuttingBack:
    """A record that is put back is as it was, unless the event has a record again."""

    def test_every_field_of_the_record_survives(self, engine: Engine) -> None:
        engine.instances.create(full.INSTANCE)
        item = record_item(full.INSTANCE, full.RECORD, kept=timedelta(days=90))
        record = ExpiredRecord(position="1", sid=full.SID, seq=full.RECORD.event.seq, item=item)
        engine.expiry.put_back(record, until=at(20))
        assert engine.instances.event_history(full.SID, full.RECORD.event.seq).record == full.RECORD

    def test_putting_back_twice_changes_nothing(self, engine: Engine) -> None:
        record = expired(engine)
        engine.expiry.put_back(record, until=at(20))
        engine.expiry.put_back(record, until=None)
        assert engine.instances.event_history(SID, 1).record == a_record(an_instance())

    def test_a_later_record_stays(self, engine: Engine) -> None:
        record = expired(engine)
        later = replace(a_record(an_instance()), fence=0, why="a later run")
        engine.instances.put_record(an_instance(), later)
        engine.expiry.put_back(record, until=at(20))
        assert engine.instances.event_history(SID, 1).record == later


class TestDeletingAHistory:
    """Journal and answers of one event are deleted, and nothing else."""

    def test_an_event_without_a_history_has_none(self, engine: Engine) -> None:
        assert engine.expiry.delete_history(SID, 1) == 0

    def test_only_the_events_own_items_are_deleted(self, engine: Engine) -> None:
        instance = an_instance()
        engine.instances.create(instance)
        for seq in (1, 2, 10):
            for run in (1, 2):
                engine.instances.append(instance, an_entry(run, 1, seq=seq))
            engine.instances.put_answer(instance, seq, full.ANSWER)
            engine.instances.put_record(instance, a_record(instance, seq))

        assert engine.expiry.delete_history(SID, 1) == 3

        kept = a_record(instance)
        assert engine.instances.event_history(SID, 1) == EventHistory(record=kept)
        for seq in (2, 10):
            found = engine.instances.event_history(SID, seq)
            assert (len(found.entries), len(found.answers), found.record is None) == (2, 1, False)
        assert engine.instances.load(SID) == instance

    def test_a_long_history_is_deleted_in_batches(self, engine: Engine) -> None:
        for visit in range(1, 54):
            engine.instances.append(an_instance(), an_entry(1, visit))

        assert engine.expiry.delete_history(SID, 1) == 53
        assert engine.instances.event_history(SID, 1) == EventHistory()

    def test_deleting_twice_changes_nothing(self, engine: Engine) -> None:
        engine.instances.append(an_instance(), an_entry())
        assert [engine.expiry.delete_history(SID, 1) for _ in range(2)] == [1, 0]
