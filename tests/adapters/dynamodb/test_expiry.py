"""The expirer's store on DynamoDB, and the records that its stream delivers.

Source: docs/decisions/0052-records-and-audit-expire.md.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from dev.stream_records import record_of as stream_of
from shared.adapters.dynamodb.expiry import MAX_WRITES, DynamoDbExpiry, expired_record
from shared.adapters.dynamodb.items import entry_item, record_item
from shared.adapters.dynamodb.tables import LAYOUTS
from shared.application.expire import ExpiredRecord
from shared.application.ports import OverloadedError, Unreadable
from shared.domain.ids import InstanceSid
from tests.contract.instances import a_record, an_entry, an_instance
from tests.engines import DynamoDb, on_dynamodb
from tests.full import at

SID = InstanceSid("i-1")
KEYS = LAYOUTS["events"].key
ITEM = record_item(an_instance(), a_record(an_instance(), 7), kept=timedelta(days=90))


def delivered(before: Any = ITEM, after: Any = None, *, has_expired: bool = True) -> ExpiredRecord | None:
    return expired_record(stream_of("events", KEYS, before, after, number=3, has_expired=has_expired))


class TestTheStream:
    """Only the deletion of a record by expiry counts."""

    def test_an_expired_record_has_its_event_and_its_item(self) -> None:
        assert delivered() == ExpiredRecord(position="000000000000000000003", sid=SID, seq=7, item=ITEM)

    def test_the_deletion_by_a_redrive_does_not_count(self) -> None:
        assert delivered(has_expired=False) is None

    @pytest.mark.parametrize(
        "identity",
        [
            None,
            {},
            {"type": "User", "principalId": "dynamodb.amazonaws.com"},
            {"type": "Service", "principalId": "replication.dynamodb.amazonaws.com"},
        ],
    )
    def test_a_deletion_by_any_other_identity_does_not_count(self, identity: Any) -> None:
        record = {**stream_of("events", KEYS, ITEM, None, number=3), "userIdentity": identity}
        assert expired_record(record) is None

    def test_a_write_does_not_count(self) -> None:
        assert delivered(ITEM, ITEM) is None
        assert delivered(None, ITEM) is None

    def test_another_item_does_not_count(self) -> None:
        assert delivered(entry_item(an_instance(), an_entry())) is None


@pytest.fixture
def store(dynamodb: DynamoDb) -> DynamoDbExpiry:
    return DynamoDbExpiry(client=dynamodb.client, tables=dynamodb.tables)


class TestItems:
    """A record that is put back keeps its item, with the new expiry. An instance of a newer version is unreadable."""

    def stored(self, dynamodb: DynamoDb) -> Mapping[str, Any]:
        key = {name: ITEM[name] for name in KEYS}
        found: Mapping[str, Any] = dynamodb.client.get_item(
            TableName=dynamodb.tables.events, Key=key, ConsistentRead=True
        )["Item"]
        return found

    def test_a_record_that_is_put_back_has_the_new_expiry(
        self, store: DynamoDbExpiry, dynamodb: DynamoDb
    ) -> None:
        expired = delivered()
        assert expired is not None
        store.put_back(expired, until=at(20))
        assert self.stored(dynamodb) == {**ITEM, "expiresAt": {"N": str(int(at(20).timestamp()))}}

    def test_without_a_retention_it_has_none(self, store: DynamoDbExpiry, dynamodb: DynamoDb) -> None:
        expired = delivered()
        assert expired is not None
        store.put_back(expired, until=None)
        assert self.stored(dynamodb) == {name: value for name, value in ITEM.items() if name != "expiresAt"}

    def test_an_item_of_a_newer_version_is_put_back_as_it_was(
        self, store: DynamoDbExpiry, dynamodb: DynamoDb
    ) -> None:
        newer = {**ITEM, "schema": {"N": "9"}, "more": {"L": [{"S": "x"}]}}
        expired = delivered(newer)
        assert expired is not None
        store.put_back(expired, until=at(20))
        assert self.stored(dynamodb) == {**newer, "expiresAt": {"N": str(int(at(20).timestamp()))}}

    def test_an_instance_of_a_newer_version_is_unreadable(
        self, store: DynamoDbExpiry, dynamodb: DynamoDb
    ) -> None:
        item = {"sid": {"S": SID}, "accountId": {"S": "acme"}, "schema": {"N": "9"}}
        dynamodb.client.put_item(TableName=dynamodb.tables.instances, Item=item)
        found = store.stored_event(SID, 1)
        assert found.instance == Unreadable(key=SID, why="an item has schema 9 instead of 1")


class Busy:
    """A client whose batches delete one item each, and leave the rest, until ``patience`` has been used up."""

    def __init__(self, client: Any, patience: int) -> None:
        self._client = client
        self.batches = 0
        self.patience = patience

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def batch_write_item(self, *, RequestItems: Mapping[str, Any]) -> Any:  # noqa: N803 - as AWS has it
        self.batches += 1
        ((table, writes),) = RequestItems.items()
        done, left = (writes, []) if self.batches > self.patience else (writes[:1], writes[1:])
        self._client.batch_write_item(RequestItems={table: done})
        return {"UnprocessedItems": {table: left} if left else {}}


class TestAnOverloadedTable:
    """If a batch leaves items, they are sent again. If the last batch leaves some, the next invocation sends them."""

    @pytest.fixture
    def entries(self, moto: DynamoDb) -> int:
        for visit in range(1, 9):
            on_dynamodb(moto).instances.append(an_instance(), an_entry(1, visit))
        return 8

    def test_the_next_batch_deletes_the_rest(self, moto: DynamoDb, entries: int) -> None:
        busy: Any = Busy(moto.client, MAX_WRITES - 1)
        store = DynamoDbExpiry(client=busy, tables=moto.tables)
        assert store.delete_history(SID, 1) == entries
        assert on_dynamodb(moto).instances.event_history(SID, 1).entries == ()

    def test_giving_up_leaves_the_rest_to_a_repetition(self, moto: DynamoDb, entries: int) -> None:
        busy: Any = Busy(moto.client, 100)
        store = DynamoDbExpiry(client=busy, tables=moto.tables)
        with pytest.raises(OverloadedError, match="left items undeleted 5 times"):
            store.delete_history(SID, 1)
        busy.patience = 0
        assert store.delete_history(SID, 1) == entries - MAX_WRITES
