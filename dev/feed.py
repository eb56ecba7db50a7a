"""The streams of the local stack: gives the writes of the change log to the publisher, as Lambda does on AWS.

At least once, whatever is killed: the position in the log moves on only after the publisher has answered, and a write
without an answer is looked up.
"""

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dev.change_log import lines_from
from dev.stream_records import record_of
from shared.adapters.dynamodb.tables import LAYOUTS

SETTLED_SECONDS = 30.0
"""After this time a write without an answer has been stored or never will be: the client has given up by then."""

MAX_BATCH = 100
POLL_SECONDS = 0.1
MAX_WAIT_SECONDS = 5.0

_IDENTITY = ("rev", "doc", "version", "paused", "settings")
"""The attributes that tell one write of an item from another. The sweep entry moves without a write of the item."""

Read = Callable[[str, Mapping[str, Any]], Mapping[str, Any] | None]
"""Returns the item of a table with that key."""

Publish = Callable[[list[dict[str, Any]]], Mapping[str, Any] | None]
"""Gives a batch to the publisher and returns its answer, None if it failed."""


@dataclass
class _Write:
    """A write of the log. ``offset`` is its place, and ``seen_at`` when it was read, on the monotonic clock."""

    offset: int
    document: dict[str, Any]
    seen_at: float
    is_stored: bool = False
    is_over: bool = False


@dataclass
class Feed:
    """Reads the log at ``path`` from the position in ``folder``. ``tables`` are the names of the tables by kind."""

    path: Path
    folder: Path
    tables: Mapping[str, str]
    read: Read
    publish: Publish
    seconds: Callable[[], float] = time.monotonic
    settled_seconds: float = SETTLED_SECONDS
    _writes: dict[str, _Write] = field(default_factory=dict)
    _stopping: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        """Continue where the last process stopped."""
        self._position_file = self.folder / "feed-position"
        self._end = self.position
        self._thread = threading.Thread(target=self._run, daemon=True, name="feed")

    @property
    def position(self) -> int:
        """The offset of the first line that may still have to be published."""
        return int(self._position_file.read_text()) if self._position_file.exists() else 0

    def start(self) -> None:
        """Publish from now on, in a thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop after the current batch. The rest is published after the next start."""
        self._stopping.set()
        self._thread.join()

    def advance(self) -> bool:
        """Read the new lines of the log and publish stored writes. Return False if the publisher must be asked again.

        Raises: OSError, BotoCoreError: the emulator cannot be reached; nothing is lost.
        """
        self._read_log()
        self._settle()
        ready = [write for write in self._writes.values() if write.is_stored and not write.is_over]
        for first in range(0, len(ready), MAX_BATCH):
            if not self._publish(ready[first : first + MAX_BATCH]):
                return False
        self._forget()
        return True

    def _run(self) -> None:
        wait = POLL_SECONDS
        while not self._stopping.wait(wait):
            try:
                is_done = self.advance()
            except Exception as error:  # noqa: BLE001 - a thread that ends would stop all notifications
                print(f"the feed of changes failed and goes on: {error!r}", flush=True)  # noqa: T201 - the log of the stack
                is_done = False
            wait = POLL_SECONDS if is_done else min(wait * 2, MAX_WAIT_SECONDS)

    def _read_log(self) -> None:
        for offset, end, document in lines_from(self.path, self._end):
            if "write" in document:
                self._writes[document["write"]] = _Write(offset, document, self.seconds())
            # A write that was published after it was looked up is no longer there.
            elif document["stored"] in self._writes:
                self._writes[document["stored"]].is_stored = True
            self._end = end

    def _settle(self) -> None:
        """Find out whether writes without an answer were stored."""
        old = self.seconds() - self.settled_seconds
        for write in list(self._writes.values()):
            if write.is_stored or write.is_over or write.seen_at > old:
                continue
            kind, after = write.document["kind"], write.document["after"]
            key = {name: after[name] for name in LAYOUTS[kind].key}
            item = self.read(self.tables[kind], key)
            # Every later write of the item is logged before it is sent, so that the item was read before the log.
            self._read_log()
            images = [item, *(other.document["before"] for other in self._writes.values())]
            write.is_stored = any(_is_same(image, after) for image in images)
            write.is_over = not write.is_stored

    def _publish(self, batch: list[_Write]) -> bool:
        """Give a batch to the publisher. Return whether all of it was published."""
        answer = self.publish([self._record(write) for write in batch])
        if answer is None:
            return False
        failed = {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}
        for write in batch:
            if self._record(write)["dynamodb"]["SequenceNumber"] in failed:
                return False
            write.is_over = True
        return True

    def _record(self, write: _Write) -> dict[str, Any]:
        document = write.document
        kind = document["kind"]
        return record_of(
            self.tables[kind], LAYOUTS[kind].key, document["before"], document["after"], number=write.offset
        )

    def _forget(self) -> None:
        """Store the position, and forget the writes before it."""
        open_offsets = [write.offset for write in self._writes.values() if not write.is_over]
        position = min(open_offsets, default=self._end)
        if position == self.position:
            return
        temporary = self._position_file.with_suffix(".new")
        temporary.write_text(str(position))
        temporary.replace(self._position_file)
        self._writes = {id_: write for id_, write in self._writes.items() if write.offset >= position}


def _is_same(image: Mapping[str, Any] | None, other: Mapping[str, Any]) -> bool:
    """Return whether two images are of the same write of an item."""
    if image is None or json.dumps(image.get("sid")) != json.dumps(other.get("sid")):
        return False
    return all(image.get(name) == other.get(name) for name in ("sk", *_IDENTITY))
