"""Events whose record DynamoDB has deleted because it had expired.

Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/time-to-live-ttl-streams.html.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct, field

from shared.adapters.aws.errors import AwsError
from shared.adapters.dynamodb.attributes import Attributes, to_attributes
from shared.adapters.dynamodb.client import DynamoDbClient, failed_conditions
from shared.adapters.dynamodb.items import expiry_of, instance_of
from shared.adapters.dynamodb.reading import Item
from shared.adapters.dynamodb.tables import (
    EXPIRY,
    LAYOUTS,
    Tables,
    event_number,
    is_record_key,
    journal_prefix,
    record_key,
)
from shared.application.expire import ExpiredRecord, StoredEvent
from shared.application.ports import OverloadedError, Unreadable
from shared.domain.errors import StoredShapeError
from shared.domain.ids import InstanceSid
from shared.domain.instance.model import Instance

MAX_DELETES = 25
"""How many items DynamoDB writes in one batch."""

MAX_WRITES = 5
"""How often a batch is written if DynamoDB leaves items of it unwritten."""

BY_EXPIRY = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}
"""The ``userIdentity`` of a deletion by expiry. No other deletion has one, in particular none by our own functions."""


def expired_record(record: Mapping[str, Any]) -> ExpiredRecord | None:
    """Return the record of a closed event that has expired, from a record of the stream of the table of events.

    Return None if an item was written or deleted for another reason, or is no record. A redrive deletes a record too.
    """
    change = record["dynamodb"]
    sort_key = change["Keys"]["sk"]["S"]
    by_expiry = record["eventName"] == "REMOVE" and record.get("userIdentity") == BY_EXPIRY
    if not by_expiry or not is_record_key(sort_key):
        return None
    return ExpiredRecord(
        position=str(change["SequenceNumber"]),
        sid=InstanceSid(change["Keys"]["instanceSid"]["S"]),
        seq=event_number(sort_key),
        item=change["OldImage"],
    )


class DynamoDbExpiry(Struct, frozen=True, kw_only=True):
    """An ``ExpiryStore``."""

    client: DynamoDbClient
    tables: Tables = field(default_factory=Tables)

    def stored_event(self, sid: InstanceSid, seq: int) -> StoredEvent:
        reads: dict[str, dict[str, str]] = {
            self.tables.instances: {"sid": sid},
            self.tables.events: {"instanceSid": sid, "sk": record_key(seq)},
        }
        answer = self.client.transact_get_items(
            TransactItems=[
                {"Get": {"TableName": table, "Key": to_attributes(key)}} for table, key in reads.items()
            ]
        )
        instance, record = (found.get("Item") for found in answer["Responses"])
        return StoredEvent(
            instance=None if not instance else _instance_of(sid, instance), has_record=bool(record)
        )

    def put_back(self, expired: ExpiredRecord, *, until: datetime | None) -> None:
        kept = {name: value for name, value in expired.item.items() if name != EXPIRY["events"]}
        item: Attributes = {**kept, **to_attributes(expiry_of("events", until))}
        try:
            self.client.put_item(
                TableName=self.tables.events, Item=item, ConditionExpression="attribute_not_exists(sk)"
            )
        except AwsError as error:
            # It was put back before, or the event has closed since.
            if not any(failed_conditions(error)):
                raise

    def delete_history(self, sid: InstanceSid, seq: int) -> int:
        count = 0
        for page in self._history(sid, seq):
            for first in range(0, len(page), MAX_DELETES):
                self._delete(page[first : first + MAX_DELETES])
            count += len(page)
        return count

    def _history(self, sid: InstanceSid, seq: int) -> Iterator[Sequence[Item]]:
        """Yield the journal of an event and the answers to it, page by page."""
        query: dict[str, Any] = {
            "TableName": self.tables.events,
            "KeyConditionExpression": "instanceSid = :sid AND begins_with(sk, :prefix)",
            "ExpressionAttributeValues": to_attributes({":sid": sid, ":prefix": journal_prefix(seq)}),
            "ConsistentRead": True,
        }
        while True:
            page = self.client.query(**query)
            yield page["Items"]
            if "LastEvaluatedKey" not in page:
                return
            query["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def _delete(self, items: Sequence[Item]) -> None:
        """Delete up to 25 items. Raises: OverloadedError: some of them are left."""
        keys = [{name: item[name] for name in LAYOUTS["events"].key} for item in items]
        left: Mapping[str, Any] = {self.tables.events: [{"DeleteRequest": {"Key": key}} for key in keys]}
        for _ in range(MAX_WRITES):
            left = self.client.batch_write_item(RequestItems=left).get("UnprocessedItems", {})
            if not left:
                return
        raise OverloadedError(f"DynamoDB left items undeleted {MAX_WRITES} times")


def _instance_of(sid: InstanceSid, item: Item) -> Instance | Unreadable[InstanceSid]:
    try:
        return instance_of(item)
    except StoredShapeError as error:
        return Unreadable(key=sid, why=str(error))
