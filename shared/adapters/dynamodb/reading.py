"""Reads of many items: whole batches, and all pages of a query."""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from shared.adapters.dynamodb.attributes import Attributes, AttributeValue
from shared.adapters.dynamodb.client import DynamoDbClient
from shared.application.ports import OverloadedError

MAX_READS = 5
"""How often a batch is read if DynamoDB leaves items of it unread."""

MAX_KEYS = 100
"""How many items DynamoDB reads in one batch, over all tables."""

Item = Mapping[str, AttributeValue]


def read_batch(client: DynamoDbClient, keys: Mapping[str, list[Attributes]]) -> dict[str, list[Item]]:
    """Return the items with these keys, by table, by strongly consistent reads. There may be any number of keys.

    Raises: OverloadedError: DynamoDB left items unread again and again. It is unknown if they exist.
    """
    found: dict[str, list[Item]] = {table: [] for table in keys}
    for batch in _batches(keys):
        _read_into(found, client, batch)
    return found


def _batches(keys: Mapping[str, list[Attributes]]) -> Iterator[dict[str, list[Attributes]]]:
    """Yield the keys, by table, in parts that DynamoDB reads at once."""
    left = ((table, key) for table, some in keys.items() for key in some)
    while some := list(islice(left, MAX_KEYS)):
        batch: dict[str, list[Attributes]] = {}
        for table, key in some:
            batch.setdefault(table, []).append(key)
        yield batch


def _read_into(
    found: dict[str, list[Item]], client: DynamoDbClient, batch: Mapping[str, list[Attributes]]
) -> None:
    """Add the items of one batch to those found. Raises: OverloadedError."""
    unread: Mapping[str, Mapping[str, Any]] = {
        table: {"Keys": some, "ConsistentRead": True} for table, some in batch.items()
    }
    readings = 0
    while unread:
        if readings == MAX_READS:
            raise OverloadedError(
                f"DynamoDB left items unread {MAX_READS} times: {', '.join(sorted(unread))}"
            )
        answer = client.batch_get_item(RequestItems=unread)
        readings += 1
        for table, items in answer["Responses"].items():
            found[table] += items
        unread = answer.get("UnprocessedKeys", {})


def count_all(client: DynamoDbClient, *, most: int, **query: Any) -> int:  # noqa: ANN401 - members of a query
    """Return how many items a query has, at most ``most``. Counting reads as much as querying, and sends less."""
    count = 0
    while count < most:
        page = client.query(**query, Select="COUNT", Limit=most - count)
        count += page["Count"]
        if "LastEvaluatedKey" not in page:
            break
        query["ExclusiveStartKey"] = page["LastEvaluatedKey"]
    return count


def query_all(client: DynamoDbClient, *, most: int | None = None, **query: Any) -> list[Item]:  # noqa: ANN401 - members of a query
    """Return all items of a query, or the first ``most``."""
    items: list[Item] = []
    while most is None or len(items) < most:
        limit = {} if most is None else {"Limit": most - len(items)}
        page = client.query(**query, **limit)
        items += page["Items"]
        if "LastEvaluatedKey" not in page:
            break
        query["ExclusiveStartKey"] = page["LastEvaluatedKey"]
    return items
