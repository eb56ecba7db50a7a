"""The audit trail on DynamoDB. The entries of an account's day are distributed over a few partitions."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime

from shared.adapters.dynamodb.attributes import to_attributes
from shared.adapters.dynamodb.client import DynamoDbClient
from shared.adapters.dynamodb.items import audit_of, read_each
from shared.adapters.dynamodb.reading import query_all
from shared.adapters.dynamodb.tables import (
    OWNER_SHARDS,
    Tables,
    account_day,
    audit_position_of,
    audit_position_text,
)
from shared.application.ports import AuditPosition, Unreadable
from shared.domain.ids import AccountId
from shared.domain.instance.verdict import AuditEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class DynamoDbAudit:
    """An ``AuditStore``."""

    client: DynamoDbClient
    tables: Tables = field(default_factory=Tables)

    def of_day(
        self, account: AccountId, day: date, *, since: datetime, before: AuditPosition, limit: int
    ) -> list[tuple[AuditPosition, AuditEntry | Unreadable[AuditPosition]]]:
        midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
        found: list[tuple[AuditPosition, AuditEntry | Unreadable[AuditPosition]]] = []
        for shard in range(OWNER_SHARDS):
            values = {
                ":day": account_day(account, midnight, shard),
                ":since": audit_position_text(AuditPosition(at=since, key="")),
                ":before": audit_position_text(before),
            }
            items = query_all(
                self.client,
                most=limit + 1,  # BETWEEN includes ``before`` itself
                TableName=self.tables.audit,
                KeyConditionExpression="accountDay = :day AND sk BETWEEN :since AND :before",
                ExpressionAttributeValues=to_attributes(values),
                ScanIndexForward=False,
                ConsistentRead=True,
            )
            positions = [audit_position_of(item["sk"]["S"]) for item in items]
            entries = read_each(items, audit_of, lambda item: audit_position_of(item["sk"]["S"]))
            found += zip(positions, entries, strict=True)
        ordered = sorted((item for item in found if item[0] < before), key=lambda item: item[0], reverse=True)
        return ordered[:limit]
