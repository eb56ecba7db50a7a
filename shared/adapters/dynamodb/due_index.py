"""The due index of a table: its entries that are due, and moving one on without touching the rest of its item."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from shared.adapters.aws.errors import AwsError
from shared.adapters.dynamodb.attributes import to_attributes
from shared.adapters.dynamodb.client import DynamoDbClient, failed_conditions
from shared.adapters.dynamodb.forms import read_instant
from shared.adapters.dynamodb.reading import query_all
from shared.adapters.dynamodb.tables import DUE, sweep_instant
from shared.domain.instance.due import back_off
from shared.domain.instance.due_entries import DueEntry, Sid

_FIRST = {
    "UpdateExpression": "SET sweepAt = :next ADD postponements :one",
    "ConditionExpression": "sweepPartition = :partition AND sweepAt = :before",
    "ReturnValues": "UPDATED_NEW",
}
_FURTHER = {
    "UpdateExpression": "SET sweepAt = :next",
    "ConditionExpression": "sweepPartition = :partition AND sweepAt = :before AND postponements = :count",
}


def due_entries(
    client: DynamoDbClient, table: str, partition: str, *, until: datetime, limit: int
) -> list[tuple[str, datetime]]:
    """Return sid and instant of the entries of a partition that are due, earliest first."""
    items = query_all(
        client,
        most=limit,
        TableName=table,
        IndexName=DUE,
        KeyConditionExpression="sweepPartition = :partition AND sweepAt <= :until",
        ExpressionAttributeValues=to_attributes({":partition": partition, ":until": sweep_instant(until)}),
    )
    return [(item["sid"]["S"], read_instant(item["sweepAt"]["S"])) for item in items]


def postpone_entry(client: DynamoDbClient, table: str, entry: DueEntry[Sid], *, now: datetime) -> bool:
    """Move an entry on by a back-off, and return whether it was still there.

    The item counts its postponements in an attribute of its own, which the next put of the item removes.
    """
    first = sweep_instant(now + back_off(1))
    values: dict[str, str | int] = {
        ":partition": entry.partition,
        ":before": sweep_instant(entry.at),
        ":next": first,
    }
    answer = _update(client, table, entry.sid, _FIRST, {**values, ":one": 1})
    if answer is None:
        return False
    count = int(answer["Attributes"]["postponements"]["N"])
    if count > 1:
        # Only the answer says how often the entry was postponed, so a longer wait takes a second write. Without it
        # the entry is due earlier.
        longer: dict[str, str | int] = {
            ":before": first,
            ":next": sweep_instant(now + back_off(count)),
            ":count": count,
        }
        _update(client, table, entry.sid, _FURTHER, {**values, **longer})
    return True


def _update(
    client: DynamoDbClient, table: str, sid: str, update: Mapping[str, str], values: Mapping[str, str | int]
) -> Mapping[str, Any] | None:
    """Update an item and return the answer, or None if its condition failed."""
    try:
        return client.update_item(
            TableName=table,
            Key=to_attributes({"sid": sid}),
            ExpressionAttributeValues=to_attributes(values),
            **update,
        )
    except AwsError as error:
        if any(failed_conditions(error)):
            return None
        raise
