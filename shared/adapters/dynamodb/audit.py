"""The audit trail on DynamoDB. The entries of an account's day are distributed over a few partitions."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

from msgspec import Struct, field

from shared.adapters.dynamodb.attributes import AttributeValue, to_attributes
from shared.adapters.dynamodb.client import DynamoDbClient
from shared.adapters.dynamodb.items import audit_of, read_each
from shared.adapters.dynamodb.reading import Item, query_all, read_batch
from shared.adapters.dynamodb.tables import (
    BY_OPERATION,
    BY_TARGET,
    LAYOUTS,
    OWNER_SHARDS,
    Tables,
    account_day,
    account_name,
    audit_position_of,
    audit_position_text,
)
from shared.application.ports import AuditPosition, Unreadable
from shared.domain.ids import AccountId, OperationSid
from shared.domain.instance.retention import Retention
from shared.domain.instance.verdict import AuditEntry

Placed = tuple[AuditPosition, AuditEntry | Unreadable[AuditPosition]]
"""An entry with its position."""


class DynamoDbAudit(Struct, frozen=True, kw_only=True):
    """An ``AuditStore``."""

    client: DynamoDbClient
    tables: Tables = field(default_factory=Tables)
    retention: Retention = field(default_factory=Retention)

    @property
    def kept(self) -> timedelta | None:
        return self.retention.audit

    def of_day(
        self, account: AccountId, day: date, *, since: datetime, before: AuditPosition, limit: int
    ) -> list[Placed]:
        midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
        items: list[Item] = []
        for shard in range(OWNER_SHARDS):
            items += query_all(
                self.client,
                most=limit + 1,  # BETWEEN includes ``before`` itself
                TableName=self.tables.audit,
                KeyConditionExpression="accountDay = :partition AND sk BETWEEN :since AND :before",
                ExpressionAttributeValues=_between(account_day(account, midnight, shard), since, before),
                ScanIndexForward=False,
                ConsistentRead=True,
            )
        return _latest(items, before, limit)

    def of_target(
        self, account: AccountId, target: str, *, since: datetime, before: AuditPosition, limit: int
    ) -> list[Placed]:
        return self._indexed(BY_TARGET, account_name(account, target), since, before, limit)

    def of_operation(
        self,
        account: AccountId,
        operation: OperationSid,
        *,
        since: datetime,
        before: AuditPosition,
        limit: int,
    ) -> list[Placed]:
        return self._indexed(BY_OPERATION, account_name(account, operation), since, before, limit)

    def _indexed(
        self, index: str, partition: str, since: datetime, before: AuditPosition, limit: int
    ) -> list[Placed]:
        """Return the latest entries of an index partition. The index has their keys only."""
        attribute, _ = dict(LAYOUTS["audit"].indexes)[index]
        entries = query_all(
            self.client,
            most=limit + 1,  # as above
            TableName=self.tables.audit,
            IndexName=index,
            KeyConditionExpression=f"{attribute} = :partition AND sk BETWEEN :since AND :before",
            ExpressionAttributeValues=_between(partition, since, before),
            ScanIndexForward=False,
        )
        earlier = [entry for entry in entries if audit_position_of(entry["sk"]["S"]) < before][:limit]
        if not earlier:
            return []
        keys = [{name: entry[name] for name in LAYOUTS["audit"].key} for entry in earlier]
        return _latest(read_batch(self.client, {self.tables.audit: keys})[self.tables.audit], before, limit)


def _between(partition: str, since: datetime, before: AuditPosition) -> dict[str, AttributeValue]:
    values = {
        ":partition": partition,
        ":since": audit_position_text(AuditPosition(at=since, key="")),
        ":before": audit_position_text(before),
    }
    return to_attributes(values)


def _latest(items: Iterable[Item], before: AuditPosition, limit: int) -> list[Placed]:
    """Return the latest entries of some items before a position, latest first."""
    placed = [(audit_position_of(item["sk"]["S"]), item) for item in items]
    latest = sorted((at for at in placed if at[0] < before), key=lambda at: at[0], reverse=True)[:limit]
    entries = read_each(
        [item for _, item in latest], audit_of, lambda item: audit_position_of(item["sk"]["S"])
    )
    return [(place, entry) for (place, _), entry in zip(latest, entries, strict=True)]
