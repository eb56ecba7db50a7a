"""A durable log of the writes that a stream would have. The emulator of DynamoDB has no streams.

Each worker appends two lines for a write: the images before and after, before it sends the write, and that it was
stored, after the answer. A process that is killed between the two leaves a write of which it is unknown if it was
stored. ``dev/feed.py`` then reads the item.
"""

import json
import os
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.adapters.aws.client import Answer, Call
from shared.adapters.aws.errors import AwsError
from shared.adapters.dynamodb.client import DynamoDbClient
from shared.adapters.dynamodb.tables import LAYOUTS

STREAMED = ("instances", "strategies", "operations")
"""The tables that have a stream."""

_OPERATIONS = ("PutItem", "TransactWriteItems")
"""How items of these tables are written. Updates move sweep entries only, and deletions announce nothing."""

Image = Mapping[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class WriteWatch:
    """Logs the writes of a DynamoDB client. ``tables`` are the names of the tables that have a stream, by kind."""

    client: DynamoDbClient
    path: Path
    tables: Mapping[str, str]

    def begin(self) -> None:
        """Log each write from now on."""
        self.client.api.observers.append(self)

    def begins(self, call: Call) -> None:
        """Log a write before it is sent."""
        if call.operation not in _OPERATIONS:
            return
        ids = call.context["logged_writes"] = []
        for table, item in _puts(call.request):
            kind = next((kind for kind in self.tables if self.tables[kind] == table), None)
            if kind is None:
                continue
            key = {name: item[name] for name in LAYOUTS[kind].key}
            # Each write of a streamed item depends on the item being as it was read, so that this image is the one
            # that a write replaces if it succeeds.
            before = self.client.get_item(TableName=table, Key=key, ConsistentRead=True).get("Item")
            ids.append(str(uuid.uuid4()))
            append(self.path, {"write": ids[-1], "kind": kind, "before": before, "after": item})

    def sends(self, call: Call) -> None:
        """Do nothing: a write that is sent again is the same write."""

    def ends(self, call: Call, answer: Answer | None, error: AwsError | None) -> None:
        """Log that a write was stored. Without an answer it is unknown."""
        if answer is not None and error is None:
            for id_ in call.context.get("logged_writes", ()):
                append(self.path, {"stored": id_})


def append(path: Path, document: Mapping[str, Any]) -> None:
    """Append a line to a file that several processes write. It survives a kill -9 once this returns."""
    line = json.dumps(document, separators=(",", ":")).encode() + b"\n"
    # One write to a file in append mode is never mixed with that of another process.
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(file, line)
    finally:
        os.close(file)


def lines_from(path: Path, offset: int) -> Iterator[tuple[int, int, dict[str, Any]]]:
    """Yield the complete lines of such a file from an offset, each with its own offset and the one after it."""
    if not path.exists():
        return
    with path.open("rb") as file:
        file.seek(offset)
        for line in file:
            if not line.endswith(b"\n"):
                return  # being written, or cut off by a kill
            yield offset, offset + len(line), json.loads(line)
            offset += len(line)


def _puts(params: Mapping[str, Any]) -> Iterator[tuple[str, Image]]:
    """Yield table and item of each put of a request."""
    if "Item" in params:
        yield params["TableName"], params["Item"]
    for write in params.get("TransactItems", ()):
        if "Put" in write:
            yield write["Put"]["TableName"], write["Put"]["Item"]
