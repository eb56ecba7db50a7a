"""The records of the tables' streams, and the event records that the publisher reads beside them.

Source: https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html (the form of the records).
"""

from collections.abc import Collection, Mapping
from typing import Any

from msgspec import Struct, field

from shared.adapters.dynamodb.attributes import AttributeValue, to_attributes
from shared.adapters.dynamodb.client import DynamoDbClient
from shared.adapters.dynamodb.items import BULK_KIND, bulk_of, instance_of, read, read_each, record_of
from shared.adapters.dynamodb.reading import read_batch
from shared.adapters.dynamodb.strategies import head_of, version_of
from shared.adapters.dynamodb.tables import HEAD_KEY, Tables, event_number, is_version_key, record_key
from shared.application.ports import Unreadable
from shared.application.publish import EventKey, StreamRecord
from shared.domain.errors import StoredShapeError
from shared.domain.ids import AccountId, InstanceSid
from shared.domain.instance.journal import EventRecord
from shared.domain.notifications.model import (
    HeadWrite,
    InstanceWrite,
    OperationWrite,
    StoredWrite,
    VersionWrite,
)

Image = Mapping[str, AttributeValue]


def stream_record(record: Mapping[str, Any], tables: Tables) -> StreamRecord:
    """Return a record of a stream as Lambda delivers it. If it cannot be read, its ``write`` is the reason."""
    position = str(record["dynamodb"]["SequenceNumber"])
    try:
        write: StoredWrite | Unreadable[str] | None = _write(record, tables)
    except StoredShapeError as error:
        write = Unreadable(key=position, why=str(error))
    return StreamRecord(position=position, write=write, source=record)


class DynamoDbRecords(Struct, frozen=True, kw_only=True):
    """A ``RecordReader``."""

    client: DynamoDbClient
    tables: Tables = field(default_factory=Tables)

    def records_of(
        self, events: Collection[EventKey]
    ) -> Mapping[EventKey, EventRecord | Unreadable[EventKey]]:
        table = self.tables.events
        keys = [to_attributes({"instanceSid": sid, "sk": record_key(seq)}) for sid, seq in sorted(events)]
        items = read_batch(self.client, {table: keys})[table]
        return {
            _event_key(record): record
            for record in read_each(
                items,
                record_of,
                lambda item: (InstanceSid(item["instanceSid"]["S"]), event_number(item["sk"]["S"])),
            )
        }


def _event_key(record: EventRecord | Unreadable[EventKey]) -> EventKey:
    return record.key if isinstance(record, Unreadable) else (record.instance_sid, record.event.seq)


def _write(record: Mapping[str, Any], tables: Tables) -> StoredWrite | None:
    """Return the write of a record, or None if it has no notifications. Raises: StoredShapeError."""
    table = _table(record["eventSourceARN"])
    before, after = record["dynamodb"].get("OldImage"), record["dynamodb"].get("NewImage")
    if after is None:
        return None
    if table == tables.instances:
        return InstanceWrite(before=None if before is None else instance_of(before), after=instance_of(after))
    if table == tables.operations:
        return _operation(before, after)
    if table == tables.strategies:
        return _strategy(before, after)
    raise StoredShapeError(f"a record of the table {table}, which is none of the publisher's")


def _operation(before: Image | None, after: Image) -> StoredWrite | None:
    # A release job is the engine's own work, and has no kind.
    if read(after).get("kind") != BULK_KIND:
        return None
    return OperationWrite(before=None if before is None else bulk_of(before), after=bulk_of(after))


def _strategy(before: Image | None, after: Image) -> StoredWrite | None:
    key = read(after, "sk")["sk"]
    if key == HEAD_KEY:
        return HeadWrite(before=None if before is None else head_of(before), after=head_of(after))
    # A version never changes, so that only its first write is one. The rest are reserved names.
    if before is not None or not is_version_key(key):
        return None
    found = read(after, "name")
    return VersionWrite(
        account_id=AccountId(found["accountId"]), name=found["name"], version=version_of(after)
    )


def _table(stream_arn: str) -> str:
    """Return the table of a stream: ``arn:...:table/<name>/stream/<label>``."""
    return stream_arn.split("/")[1]
