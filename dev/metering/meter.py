"""Counts the costs of the requests of our AWS clients, by AWS's published rules.

Emulators report consumed capacity wrongly or not at all, so the costs are computed from the requests. The meter is
for tests and benchmarks: it keeps the size and the index keys of every item that it saw written, so it grows with
them.

All writes to the metered tables must go through watched clients. An item written otherwise counts as absent, and an
expired item as existing. All indexes must be KEYS_ONLY, as in ``tables.LAYOUTS``. Requests whose cost it cannot
compute (updates of large or indexed items, projections, filters) raise UnmeteredError.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import fields

from dev.metering.item_size import index_write_units, item_bytes, read_units, total_bytes, write_units
from shared.adapters.aws.client import Answer, AwsClient, Call
from shared.adapters.aws.errors import AwsError
from shared.adapters.dynamodb.tables import LAYOUTS, Layout, Tables

TRANSACTION_FACTOR = 2
"""DynamoDB reads and writes the items of a transaction twice. Index entries are written once."""

_UNCOUNTABLE = ("ProjectionExpression", "AttributesToGet", "FilterExpression", "Select")

Item = Mapping[str, Mapping[str, Any]]


class UnmeteredError(Exception):
    """The meter cannot compute the cost of a request."""


@dataclass(slots=True, kw_only=True)
class Usage:
    """The costs of requests.

    ``calls`` are counted by ``service.Operation``, ``trips`` by service, repeats included.
    """

    write_units: int = 0
    read_units: float = 0
    calls: Counter[str] = field(default_factory=Counter)
    trips: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class _Shadow:
    """The size of an item, and key and size of its entry in each index."""

    size: int
    entries: Mapping[str, tuple[Any, int]]


class Meter:
    """Counts the costs of its watched clients. It is not thread-safe."""

    def __init__(self, tables: Tables | None = None) -> None:
        names = tables or Tables()
        self.total = Usage()
        self._layouts = {getattr(names, table.name): LAYOUTS[table.name] for table in fields(names)}
        self._items: dict[tuple[str, Any], _Shadow] = {}
        self._open: list[Usage] = []

    def watch(self, client: AwsClient) -> None:
        """Count the requests of this client from now on."""
        client.observers.append(self)

    def begins(self, call: Call) -> None:
        """Do nothing: a call is counted when it ends."""

    def sends(self, call: Call) -> None:
        """Count a trip."""
        for usage in self._used():
            usage.trips[call.service] += 1

    def ends(self, call: Call, answer: Answer | None, error: AwsError | None) -> None:
        """Count a call that was answered. Raises: UnmeteredError."""
        if answer is None and error is None:
            return
        read, written = 0.0, 0
        if call.service == "dynamodb":
            read, written = self._cost(
                call.operation, call.request, answer or {}, None if error is None else error.code
            )
        for usage in self._used():
            usage.calls[f"{call.service}.{call.operation}"] += 1
            usage.read_units += read
            usage.write_units += written

    @contextmanager
    def counting(self) -> Iterator[Usage]:
        """Return the usage during the block."""
        usage = Usage()
        self._open.append(usage)
        try:
            yield usage
        finally:
            self._open.remove(usage)

    def _used(self) -> list[Usage]:
        return [self.total, *self._open]

    def _cost(
        self, operation: str, request: Mapping[str, Any], answer: Mapping[str, Any], refused: str | None
    ) -> tuple[float, int]:
        if any(name in request for name in _UNCOUNTABLE):
            raise UnmeteredError(f"the cost of {operation} with a projection or a filter is unknown")
        match operation:
            case "PutItem":
                return 0, self._put(request, refused)
            case "DeleteItem":
                return 0, self._deleted(request, refused)
            case "UpdateItem":
                return 0, self._updated(request, refused)
            case "TransactWriteItems":
                return 0, self._transaction(request, refused)
            case "BatchWriteItem":
                return 0, self._batch(request, answer, refused)
            case "GetItem" | "Query" | "BatchGetItem" | "TransactGetItems":
                return (0, 0) if refused else (_read_cost(operation, request, answer), 0)
            case _:
                raise UnmeteredError(f"the cost of {operation} is unknown")

    def _put(self, put: Mapping[str, Any], refused: str | None, factor: int = 1) -> int:
        """Return the units of a write.

        If its condition fails, the larger of both items counts, without the indexes.
        """
        table, item = put["TableName"], put["Item"]
        key = table, _key(self._layout(table), item)
        before = self._items.get(key)
        after = _Shadow(item_bytes(item), _entries(self._layout(table), item))
        units = factor * write_units(max(after.size, before.size if before else 0))
        # DynamoDB charges for a failed condition, but not for other refusals.
        if refused is not None:
            return units if refused == "ConditionalCheckFailedException" else 0
        self._items[key] = after
        return units + _index_units(before, after)

    def _deleted(self, delete: Mapping[str, Any], refused: str | None, factor: int = 1) -> int:
        table = delete["TableName"]
        key = table, _key(self._layout(table), delete["Key"])
        before = self._items.get(key)
        units = factor * write_units(before.size if before else 0)
        if refused is not None:
            return units if refused == "ConditionalCheckFailedException" else 0
        self._items.pop(key, None)
        return units + _index_units(before, None)

    def _updated(self, update: Mapping[str, Any], refused: str | None) -> int:
        """Return the unit of an update of a small item of a table without indexes.

        Raises: UnmeteredError: of any other one, because it would need the attributes before.
        """
        table = update["TableName"]
        layout = self._layout(table)
        key = table, _key(layout, update["Key"])
        # Both sizes are upper bounds: the expression has the names, and the values include those of conditions.
        size = item_bytes(update["Key"]) + item_bytes(update.get("ExpressionAttributeValues", {}))
        size += len(update["UpdateExpression"])
        before = self._items.get(key)
        if layout.indexes or write_units(size + (before.size if before else 0)) > 1:
            raise UnmeteredError(f"the cost of UpdateItem of {table} is unknown")
        if refused is not None:
            return 1 if refused == "ConditionalCheckFailedException" else 0
        self._items[key] = _Shadow(max(size, before.size if before else 0), {})
        return 1

    def _batch(self, request: Mapping[str, Any], answer: Mapping[str, Any], refused: str | None) -> int:
        """Return the units of a batch of deletions. Items that are left undeleted cost nothing in this request."""
        if refused is not None:
            return 0
        units = 0
        for table, writes in request["RequestItems"].items():
            left = answer.get("UnprocessedItems", {}).get(table, [])
            for write in writes:
                if write not in left:
                    units += self._deleted({"TableName": table, **write["DeleteRequest"]}, None)
        return units

    def _transaction(self, request: Mapping[str, Any], refused: str | None) -> int:
        """Return the units of a transaction: each item counts twice.

        If a condition fails, every write is charged as tried.
        """
        failed = "ConditionalCheckFailedException" if refused == "TransactionCanceledException" else refused
        units = 0
        for write in request["TransactItems"]:
            match write:
                case {"Put": put}:
                    units += self._put(put, failed, TRANSACTION_FACTOR)
                case {"Delete": delete}:
                    units += self._deleted(delete, failed, TRANSACTION_FACTOR)
                case {"ConditionCheck": check}:
                    shadow = self._items.get(
                        (check["TableName"], _key(self._layout(check["TableName"]), check["Key"]))
                    )
                    units += TRANSACTION_FACTOR * write_units(shadow.size if shadow else 0)
                case _:
                    raise UnmeteredError(f"the cost of {', '.join(write)} in a transaction is unknown")
        return units

    def _layout(self, table: str) -> Layout:
        try:
            return self._layouts[table]
        except KeyError:
            raise UnmeteredError(f"unknown table {table}") from None


def _key(layout: Layout, item: Item) -> tuple[str, ...]:
    return tuple(item[name]["S"] for name in layout.key)


def _entries(layout: Layout, item: Item) -> dict[str, tuple[Any, int]]:
    """Return key and size of the item's entry in each index: the index's own key and the table's."""
    entries = {}
    for index, key in layout.indexes:
        if all(name in item for name in key):
            projected = {name: item[name] for name in {*key, *layout.key}}
            entries[index] = (tuple(item[name]["S"] for name in key), item_bytes(projected))
    return entries


def _index_units(before: _Shadow | None, after: _Shadow | None) -> int:
    old = before.entries if before else {}
    new = after.entries if after else {}
    return sum(index_write_units(old.get(index), new.get(index)) for index in {*old, *new})


def _read_cost(operation: str, request: Mapping[str, Any], answer: Mapping[str, Any]) -> float:
    match operation:
        case "GetItem":
            return read_units(
                item_bytes(answer.get("Item", {})), strong=bool(request.get("ConsistentRead", False))
            )
        case "Query":
            strong = bool(request.get("ConsistentRead", False))
            return read_units(total_bytes(answer["Items"]), strong=strong)
        case "TransactGetItems":
            sizes = [item_bytes(found.get("Item", {})) for found in answer["Responses"]]
            return TRANSACTION_FACTOR * sum(read_units(size, strong=True) for size in sizes)
        case _:
            return sum(
                _batch_units(keys, answer["Responses"].get(table, [])) - _unread(answer, table, keys)
                for table, keys in request["RequestItems"].items()
            )


def _batch_units(request: Mapping[str, Any], found: list[Item]) -> float:
    """Return the units of a batch.

    Each item is rounded up on its own; a missing item costs as much as a small one.
    """
    strong = bool(request.get("ConsistentRead", False))
    absent = len(request["Keys"]) - len(found)
    units = sum(read_units(item_bytes(item), strong=strong) for item in found)
    return units + absent * read_units(0, strong=strong)


def _unread(answer: Mapping[str, Any], table: str, request: Mapping[str, Any]) -> float:
    """Return the units of items left unread, which cost nothing in this request."""
    left = answer.get("UnprocessedKeys", {}).get(table, {}).get("Keys", [])
    return len(left) * read_units(0, strong=bool(request.get("ConsistentRead", False)))
