"""Complete the expiry of a record: delete the rest of its event's history, or put the record back.

A stream repeats unfinished records, and repeating them changes nothing.
Source: docs/decisions/0052-records-and-audit-expire.md.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol, assert_never

from msgspec import Struct

from shared.application.ports import Clock, UnavailableError, Unreadable
from shared.domain.ids import EventSid, InstanceSid, event_sid
from shared.domain.instance.model import Instance
from shared.domain.instance.retention import Retention, Standing, expiry, standing
from shared.domain.redacted import Redacted
from shared.domain.strategy.model import Json

RESERVE = timedelta(seconds=10)
"""No further record is begun when less time is left. An event with thousands of steps takes about a second."""


class ExpiredRecord(Redacted, Struct, frozen=True, kw_only=True):
    """A record that was deleted because it had expired. ``item`` is the item as it was stored.

    ``position`` identifies it in its stream.
    """

    HIDDEN = ("item",)

    position: str
    sid: InstanceSid
    seq: int
    item: Mapping[str, Json]


class StoredEvent(Struct, frozen=True, kw_only=True):
    """The stored state of an event at one instant: its instance, None if there is none, and whether it has a record."""

    instance: Instance | Unreadable[InstanceSid] | None
    has_record: bool


class ExpiryStore(Protocol):
    """Store of instances and events, for events whose record has expired."""

    def stored_event(self, sid: InstanceSid, seq: int) -> StoredEvent:
        """Return instance and record of an event as they are at one instant, by a serializable read.

        Two reads could show the instance before an event was redriven, and the record after that.
        """

    def put_back(self, expired: ExpiredRecord, *, until: datetime | None) -> None:
        """Store a record as it was, unless the event has one. It expires at ``until``, or never."""

    def delete_history(self, sid: InstanceSid, seq: int) -> int:
        """Delete the journal of an event and the answers to it, and return how many items these were.

        If it fails, some of them may be left. Repeating it deletes the rest.
        """


class ExpiryPorts(Protocol):
    """The ports that expiry needs."""

    @property
    def store(self) -> ExpiryStore:
        """Store of instances and events."""

    @property
    def clock(self) -> Clock:
        """Time."""

    @property
    def retention(self) -> Retention:
        """How long records are kept."""


class PutBack(Struct, frozen=True, kw_only=True):
    """A record that was put back, and why: how its event stands, or why the instance cannot be read."""

    event: EventSid
    why: str
    is_expected: bool


class ExpiryReport(Struct, frozen=True, kw_only=True):
    """The result of a batch.

    ``events`` counts the events whose history was deleted, ``items`` its items. ``repeat_from`` is the position from
    which the batch must be repeated, None if all of it is done; ``fault`` is why, None if the time was up.
    """

    events: int = 0
    items: int = 0
    put_back: tuple[PutBack, ...] = ()
    repeat_from: str | None = None
    fault: UnavailableError | None = None


def expire(
    ports: ExpiryPorts, batch: Sequence[ExpiredRecord], *, time_left: Callable[[], timedelta]
) -> ExpiryReport:
    """Delete the history of each event of a batch that is closed for good, and put the records of all others back.

    An event that may still run keeps everything. While a store is unavailable the batch is repeated from there.
    """
    events, items = 0, 0
    put_back: list[PutBack] = []
    for number, expired in enumerate(batch):
        fault: UnavailableError | None = None
        # The first one is begun in any case, so that a repetition always continues.
        if number == 0 or time_left() >= RESERVE:
            try:
                done = _expire(ports, expired)
            except UnavailableError as error:
                fault = error
            else:
                if isinstance(done, PutBack):
                    put_back.append(done)
                elif done is not None:
                    events, items = events + 1, items + done
                continue
        return ExpiryReport(
            events=events,
            items=items,
            put_back=tuple(put_back),
            repeat_from=expired.position,
            fault=fault,
        )
    return ExpiryReport(events=events, items=items, put_back=tuple(put_back))


def _expire(ports: ExpiryPorts, expired: ExpiredRecord) -> PutBack | int | None:
    """Return how many items of the event's history were deleted, or that its record was put back.

    Return None if the event has a record again.
    """
    found = ports.store.stored_event(expired.sid, expired.seq)
    instance = None if isinstance(found.instance, Unreadable) else found.instance
    how = standing(instance, expired.seq, has_record=found.has_record)
    match how:
        case Standing.RECORDED:
            return None
        case Standing.CLOSED:
            return ports.store.delete_history(expired.sid, expired.seq)
        case Standing.OPEN | Standing.PROBLEM | Standing.UNKNOWN:
            until = expiry(ports.clock.now(), ports.retention.records)
            ports.store.put_back(expired, until=until)
            why = found.instance.why if isinstance(found.instance, Unreadable) else how.value
            return PutBack(
                event=event_sid(expired.sid, expired.seq), why=why, is_expected=how is not Standing.UNKNOWN
            )
        case _:
            assert_never(how)
