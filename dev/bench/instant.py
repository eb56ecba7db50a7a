"""A DynamoDB that answers at once: requests are answered in the process, without sockets and without conditions.

It has the operations that a bulk operation on one strategy needs. Its own processor time is measured, so that it can
be left out.
"""

import json
import time
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from shared.adapters.aws.http import HttpReply, HttpTransport
from shared.adapters.dynamodb.tables import BY_STRATEGY, LAYOUTS

Item = Mapping[str, Any]


class Instant:
    """The items of all tables. ``seconds`` is the processor time that its answers took."""

    def __init__(self, tables: Mapping[str, str]) -> None:
        self.seconds, self.answers = 0.0, 0
        self._keys = {name: LAYOUTS[table].key for table, name in tables.items()}
        self._items: dict[str, dict[tuple[str, ...], Item]] = defaultdict(dict)
        self._by_strategy: dict[str, list[str]] = defaultdict(list)

    def install(self) -> None:
        """Answer all requests of this process from now on."""
        send = self.send

        def instead(_: HttpTransport, *request: Any) -> HttpReply:  # noqa: ANN401 - as it is sent
            return send(*request)

        HttpTransport.send = instead  # type: ignore[assignment,method-assign]

    def add_all(self, table: str, items: Iterable[Item]) -> None:
        """Store items, with their entries in the index by strategy, in the order of that index."""
        for item in items:
            self._put(table, item)
            self._by_strategy[item["strategyPhase"]["S"]].append(item["createdSid"]["S"])

    def send(self, _method: str, _path: str, headers: Mapping[str, str], body: bytes) -> HttpReply:
        """Answer a request."""
        begun = time.thread_time()
        operation = headers.get("x-amz-target", "").rpartition(".")[2]
        answer = self._OPERATIONS[operation](self, json.loads(body)) if operation else {}
        reply = HttpReply(status=200, headers={}, body=json.dumps(answer).encode())
        self.seconds += time.thread_time() - begun
        self.answers += 1
        return reply

    def _put(self, table: str, item: Item) -> None:
        self._items[table][tuple(item[name]["S"] for name in self._keys[table])] = item

    def _found(self, table: str, key: Item) -> Item | None:
        return self._items[table].get(tuple(key[name]["S"] for name in self._keys[table]))

    def _get_item(self, request: Item) -> Item:
        item = self._found(request["TableName"], request["Key"])
        return {} if item is None else {"Item": item}

    def _put_item(self, request: Item) -> Item:
        self._put(request["TableName"], request["Item"])
        return {}

    def _write(self, request: Item) -> Item:
        for write in request["TransactItems"]:
            self._put(write["Put"]["TableName"], write["Put"]["Item"])
        return {}

    def _batch(self, request: Item) -> Item:
        found = {
            table: [item for key in some["Keys"] if (item := self._found(table, key)) is not None]
            for table, some in request["RequestItems"].items()
        }
        return {"Responses": found}

    def _query(self, request: Item) -> Item:
        if request.get("IndexName") != BY_STRATEGY:
            return {"Items": []}
        values = request["ExpressionAttributeValues"]
        places = self._by_strategy[values[":partition"]["S"]]
        first = bisect_left(places, values[":first"]["S"])
        last = min(bisect_right(places, values[":last"]["S"]), first + request["Limit"])
        return {"Items": [{"createdSid": {"S": place}} for place in places[first:last]]}

    _OPERATIONS: Mapping[str, Callable[["Instant", Item], Item]] = {
        "GetItem": _get_item,
        "PutItem": _put_item,
        "TransactWriteItems": _write,
        "BatchGetItem": _batch,
        "Query": _query,
    }
