"""Publish the notifications about stored writes, at least once each.

A stream repeats unpublished records, so a notification may be sent twice under the same id, but is never lost.
Source: docs/events.md; docs/decisions/0040-changes-leave-through-streams.md.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from shared.application.ports import Unreadable
from shared.application.webhooks import Delivery, WebhookDirectory
from shared.domain.ids import InstanceSid
from shared.domain.instance.journal import EventRecord
from shared.domain.notifications.decide import notifications_of
from shared.domain.notifications.instance_changes import closed_events
from shared.domain.notifications.message import message_of
from shared.domain.notifications.model import InstanceWrite, Notification, StoredWrite
from shared.domain.redacted import Redacted
from shared.domain.strategy.model import Json

EventKey = tuple[InstanceSid, int]
"""An instance and the number of an event."""


class StreamRecord(Redacted, Struct, frozen=True, kw_only=True):
    """One record of a stream.

    ``position`` identifies it in its stream. ``write`` is None if it is about an item without notifications.
    ``source`` is the record as it came.
    """

    HIDDEN = ("source",)

    position: str
    write: StoredWrite | Unreadable[str] | None
    source: Mapping[str, Json]


class RecordReader(Protocol):
    """Reads of the records of closed events."""

    def records_of(
        self, events: Collection[EventKey]
    ) -> Mapping[EventKey, EventRecord | Unreadable[EventKey]]:
        """Return the records of those of these events that have one, by strongly consistent reads."""


class Refusal(Struct, frozen=True, kw_only=True):
    """Why a bus or a queue did not accept a notification.

    ``code`` is ``<service>:<its error code>``. ``is_final`` says that the content was refused, and would be again.
    """

    code: str
    is_final: bool = False


class NotificationBus(Protocol):
    """The channel to other systems."""

    def send(self, notifications: Sequence[Notification]) -> Mapping[int, Refusal]:
        """Send notifications and return the refusals by position.

        An exception means that any of them may have been sent.
        """


class UnreadableStore(Protocol):
    """The place of stream records that cannot be read."""

    def put(self, record: StreamRecord) -> None:
        """Store a record as it came. Storing it again changes nothing."""


class DeliveryQueue(Protocol):
    """The queue of notifications on their way to webhooks."""

    def put(self, deliveries: Sequence[Delivery]) -> Mapping[int, Refusal]:
        """Queue deliveries and return the refusals by position.

        An exception means that any of them may have been queued.
        """


class PublisherPorts(Protocol):
    """The ports that publishing needs."""

    @property
    def records(self) -> RecordReader:
        """Records of closed events."""

    @property
    def bus(self) -> NotificationBus:
        """The channel to other systems."""

    @property
    def unreadable(self) -> UnreadableStore:
        """The place of an item that cannot be read."""

    @property
    def webhooks(self) -> WebhookDirectory:
        """The webhooks of accounts."""

    @property
    def deliveries(self) -> DeliveryQueue:
        """The queue of the webhook sender."""


class PublishReport(Struct, frozen=True, kw_only=True):
    """The result of publishing a batch.

    ``sent`` counts the notifications that were accepted. ``unreadable`` are the records that were set aside.
    ``repeat_from`` is the position from which the batch must be repeated, None if all of it was published.
    ``refused`` has the code of each refusal for which it must be.
    """

    sent: int
    unreadable: tuple[Unreadable[str], ...] = ()
    repeat_from: str | None = None
    refused: tuple[str, ...] = ()


def publish(ports: PublisherPorts, batch: Sequence[StreamRecord]) -> PublishReport:
    """Publish the notifications about a batch of stored writes, in order.

    A record that cannot be read is set aside whole, so that it does not keep the others from being published. So is one
    with a notification whose content is refused.
    """
    closed = {
        (write.after.sid, seq)
        for record in batch
        if isinstance(write := record.write, InstanceWrite)
        for seq in closed_events(write)
    }
    event_records = ports.records.records_of(closed) if closed else {}
    notifications: list[Notification] = []
    positions: list[int] = []
    unreadable: list[Unreadable[str]] = []
    for number, record in enumerate(batch):
        found = _notifications(record, event_records)
        if isinstance(found, Unreadable):
            ports.unreadable.put(record)
            unreadable.append(found)
        else:
            notifications += found
            positions += [number] * len(found)
    refused = _send(ports, notifications, positions) if notifications else {}
    end = _first_repeated(refused, positions)
    for place, refusal in sorted(refused.items()):
        record = batch[positions[place]]
        # What is repeated anyway is set aside when only its content is left to be refused.
        if refusal.is_final and (end is None or positions[place] < end):
            ports.unreadable.put(record)
            why = f"{notifications[place].id} was refused: {refusal.code}"
            unreadable.append(Unreadable(key=record.position, why=why))
    return PublishReport(
        sent=len(notifications) - len(refused),
        unreadable=tuple(unreadable),
        repeat_from=None if end is None else batch[end].position,
        refused=tuple(refusal.code for refusal in refused.values() if not refusal.is_final),
    )


def _first_repeated(refused: Mapping[int, Refusal], positions: Sequence[int]) -> int | None:
    """Return the number of the record from which the batch must be repeated, or None if it must not be."""
    return min((positions[place] for place, one in refused.items() if not one.is_final), default=None)


def _send(
    ports: PublisherPorts, notifications: Sequence[Notification], positions: Sequence[int]
) -> Mapping[int, Refusal]:
    """Send notifications to the bus and to webhooks, and return the refusals of either by position.

    ``positions`` has the number of the record of each.
    """
    refused = ports.bus.send(notifications)
    # From this record on the batch is repeated. What is queued now would be queued again then.
    end = _first_repeated(refused, positions)
    places = [
        place
        for place, one in enumerate(notifications)
        if (end is None or positions[place] < end) and ports.webhooks.takes(one)
    ]
    if not places:
        return refused
    deliveries = [
        Delivery(account_id=notifications[place].account_id, message=message_of(notifications[place]))
        for place in places
    ]
    not_queued = ports.deliveries.put(deliveries)
    return {**refused, **{places[number]: refusal for number, refusal in not_queued.items()}}


def _notifications(
    record: StreamRecord, event_records: Mapping[EventKey, EventRecord | Unreadable[EventKey]]
) -> tuple[Notification, ...] | Unreadable[str]:
    """Return the notifications about a record, or why it cannot be read."""
    write = record.write
    if write is None or isinstance(write, Unreadable):
        return () if write is None else write
    if not isinstance(write, InstanceWrite):
        return notifications_of(write)
    by_seq: dict[int, EventRecord] = {}
    for seq in closed_events(write):
        event_record = event_records.get((write.after.sid, seq))
        if isinstance(event_record, Unreadable):
            return Unreadable(key=record.position, why=f"record of event {seq}: {event_record.why}")
        if event_record is not None:
            by_seq[seq] = event_record
    return notifications_of(write, by_seq)
