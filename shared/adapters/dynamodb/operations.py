"""Operations on DynamoDB: one item each, with an index by the time at which they are due."""

from datetime import datetime
from typing import Any

from msgspec import Struct, field

from shared.adapters.aws.errors import AwsError
from shared.adapters.dynamodb.attributes import to_attributes
from shared.adapters.dynamodb.client import DynamoDbClient, failed_conditions
from shared.adapters.dynamodb.due_index import due_entries, postpone_entry
from shared.adapters.dynamodb.items import (
    audit_item,
    bulk_item,
    bulk_of,
    operation_item,
    operation_of,
    read_each,
)
from shared.adapters.dynamodb.reading import query_all, read_batch
from shared.adapters.dynamodb.tables import (
    BY_AGE,
    OPERATIONS,
    Tables,
    place_of,
    place_text,
)
from shared.application.ports import Operation, PageKey, StaleRevError, Unreadable
from shared.domain.bulk.operation import BulkOperation
from shared.domain.bulk.release import ReleaseJob
from shared.domain.ids import AccountId, OperationSid
from shared.domain.instance.due_entries import DueEntry
from shared.domain.instance.retention import Retention
from shared.domain.instance.verdict import AuditEntry


class DynamoDbOperations(Struct, frozen=True, kw_only=True):
    """An ``OperationStore``."""

    client: DynamoDbClient
    tables: Tables = field(default_factory=Tables)
    retention: Retention = field(default_factory=Retention)

    def load(self, sid: OperationSid) -> Operation | None:
        item = self.client.get_item(
            TableName=self.tables.operations, Key=to_attributes({"sid": sid}), ConsistentRead=True
        ).get("Item")
        return None if item is None else operation_of(item)

    def create(self, bulk: BulkOperation, *, audit: AuditEntry) -> None:
        put = {"Item": bulk_item(bulk), "ConditionExpression": "attribute_not_exists(sid)"}
        self._write({"Put": put}, audit)

    def commit(self, operation: Operation, *, audit: AuditEntry | None = None) -> None:
        put = {"Item": operation_item(operation), **_at_rev(operation.rev - 1)}
        self._write({"Put": put}, audit)

    def remove(self, release_job: ReleaseJob) -> None:
        key = to_attributes({"sid": release_job.sid})
        self._write({"Delete": {"Key": key, **_at_rev(release_job.rev)}}, None)

    def due(self, *, until: datetime, limit: int) -> list[DueEntry[OperationSid]]:
        found = due_entries(self.client, self.tables.operations, OPERATIONS, until=until, limit=limit)
        return [DueEntry(sid=OperationSid(sid), partition=OPERATIONS, at=at) for sid, at in found]

    def postpone(self, entry: DueEntry[OperationSid], *, now: datetime) -> bool:
        return postpone_entry(self.client, self.tables.operations, entry, now=now)

    def of_account(
        self, account: AccountId, *, before: PageKey | None, limit: int
    ) -> list[BulkOperation | Unreadable[PageKey]]:
        values = {":account": account} | ({} if before is None else {":before": place_text(before)})
        older = "" if before is None else " AND createdSid < :before"
        index_entries = query_all(
            self.client,
            most=limit,
            TableName=self.tables.operations,
            IndexName=BY_AGE,
            KeyConditionExpression=f"accountId = :account{older}",
            ExpressionAttributeValues=to_attributes(values),
            ScanIndexForward=False,
        )
        table, keys = self.tables.operations, [{"sid": item["sid"]} for item in index_entries]
        # Only bulk operations are in the index.
        found = read_each(
            read_batch(self.client, {table: keys})[table],
            bulk_of,
            lambda item: place_of(item["createdSid"]["S"]),
        )
        return sorted(found, key=_place, reverse=True)

    def _write(self, write: dict[str, dict[str, Any]], audit: AuditEntry | None) -> None:
        """Write one item, with the audit entry if there is one. Raises: StaleRevError."""
        ((kind, request),) = write.items()
        request = {"TableName": self.tables.operations, **request}
        # A transaction costs twice as much, so a single item is written without one.
        alone = self.client.put_item if kind == "Put" else self.client.delete_item
        try:
            if audit is None:
                alone(**request)
            else:
                audit_put = {
                    "TableName": self.tables.audit,
                    "Item": audit_item(audit, kept=self.retention.audit),
                }
                self.client.transact_write_items(TransactItems=[{kind: request}, {"Put": audit_put}])
        except AwsError as error:
            if any(failed_conditions(error)):
                raise StaleRevError from error
            raise


def _place(bulk: BulkOperation | Unreadable[PageKey]) -> PageKey:
    if isinstance(bulk, Unreadable):
        return bulk.key
    return PageKey(created_at=bulk.started_at, sid=bulk.sid)


def _at_rev(rev: int) -> dict[str, Any]:
    """Return the condition that the stored item has a rev."""
    return {
        "ConditionExpression": "rev = :before",
        "ExpressionAttributeValues": to_attributes({":before": rev}),
    }
