"""Operations on DynamoDB: one item each, found by when they are to go on."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from shared.adapters.dynamodb.attributes import to_attributes
from shared.adapters.dynamodb.client import DynamoDbClient, failed_conditions
from shared.adapters.dynamodb.items import drain_item, drain_of
from shared.adapters.dynamodb.reading import query_all
from shared.adapters.dynamodb.tables import ATTENTION, OPERATIONS, Tables, attention_instant
from shared.application.ports import StaleRevError
from shared.domain.ids import OperationSid
from shared.domain.operation import Drain


@dataclass(frozen=True, slots=True, kw_only=True)
class DynamoDbOperations:
    """An ``OperationStore``."""

    client: DynamoDbClient
    tables: Tables = field(default_factory=Tables)

    def load(self, sid: OperationSid) -> Drain | None:
        item = self.client.get_item(
            TableName=self.tables.operations, Key=to_attributes({"sid": sid}), ConsistentRead=True
        ).get("Item")
        return None if item is None else drain_of(item)

    def commit(self, drain: Drain) -> None:
        self._write("put_item", drain.rev - 1, Item=drain_item(drain))

    def remove(self, drain: Drain) -> None:
        self._write("delete_item", drain.rev, Key=to_attributes({"sid": drain.sid}))

    def due(self, *, until: datetime, limit: int) -> list[OperationSid]:
        items = query_all(
            self.client,
            most=limit,
            TableName=self.tables.operations,
            IndexName=ATTENTION,
            KeyConditionExpression="attentionPartition = :partition AND attentionAt <= :until",
            ExpressionAttributeValues=to_attributes(
                {":partition": OPERATIONS, ":until": attention_instant(until)}
            ),
        )
        return [OperationSid(item["sid"]["S"]) for item in items]

    def _write(self, call: str, before: int, **what: Any) -> None:  # noqa: ANN401 - members of a request
        try:
            getattr(self.client, call)(
                TableName=self.tables.operations,
                ConditionExpression="rev = :before",
                ExpressionAttributeValues=to_attributes({":before": before}),
                **what,
            )
        except ClientError as error:
            if any(failed_conditions(error)):
                raise StaleRevError from error
            raise
