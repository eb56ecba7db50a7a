"""EventBridge and S3 on a developer's machine: a file of notifications, its subscribers, and a folder.

Subscribers read ``GET /_local/events`` as server-sent events.
"""

import json
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dev.change_log import append, lines_from
from dev.gateway import HttpReply, HttpRequest, json_reply

BUS_PATH = "/_aws/bus"
BUCKET_PATH = "/_aws/bucket"
POLL_SECONDS = 0.1
HEARTBEAT_SECONDS = 5.0


class LocalBus:
    """The bus and the bucket of the stack, in its folder."""

    def __init__(self, folder: Path) -> None:
        self.notifications = folder / "notifications.jsonl"
        self._bucket = folder / "unpublished"
        self._stopping = threading.Event()

    def close(self) -> None:
        """End all subscriptions."""
        self._stopping.set()

    def put_events(self, request: HttpRequest) -> HttpReply:
        """Answer EventBridge's ``PutEvents``: append the events to the file."""
        entries = json.loads(request.body)["Entries"]
        for entry in entries:
            append(self.notifications, {"kind": entry["DetailType"], "message": json.loads(entry["Detail"])})
        accepted = [{"EventId": str(uuid.uuid4())} for _ in entries]
        return json_reply(200, {"FailedEntryCount": 0, "Entries": accepted})

    def put_object(self, request: HttpRequest) -> HttpReply:
        """Answer S3's ``PutObject``: write the object into the folder."""
        name = request.target.partition("?")[0].rsplit("/", 1)[1]
        self._bucket.mkdir(exist_ok=True)
        (self._bucket / name).write_bytes(request.body)
        return HttpReply(status=200, headers=[], body=b"")

    def subscribe(self, request: HttpRequest) -> HttpReply:
        """Answer with the notifications as server-sent events: all of them, or those after ``Last-Event-ID``."""
        last = request.headers.get("last-event-id", "0")
        if not last.isascii() or not last.isdigit():
            return json_reply(400, {"message": "Last-Event-ID must be the id of an event of this stream"})
        headers = [("content-type", "text/event-stream"), ("cache-control", "no-store")]
        return HttpReply(status=200, headers=headers, body=b"", chunks=self._events(int(last)))

    def _events(self, position: int) -> Iterator[bytes]:
        quiet_since = time.monotonic()
        yield b": the notifications of this stack\n\n"
        while not self._stopping.is_set():
            for _, end, line in lines_from(self.notifications, position):
                position = end
                yield _event(end, line)
                quiet_since = time.monotonic()
            if time.monotonic() - quiet_since > HEARTBEAT_SECONDS:
                # Else a connection that is gone would never be noticed.
                yield b": nothing new\n\n"
                quiet_since = time.monotonic()
            self._stopping.wait(POLL_SECONDS)


def _event(id_: int, line: dict[str, Any]) -> bytes:
    return f"id: {id_}\nevent: {line['kind']}\ndata: {json.dumps(line['message'])}\n\n".encode()
