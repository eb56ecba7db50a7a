"""The ports of the publisher in memory, controlled by the test.

Source: shared/application/publish.py.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from dev.memory.stores import MemoryWebhooks
from dev.memory.world import ManualClock
from shared.application.ports import Unreadable
from shared.application.publish import EventKey, Refusal, StreamRecord
from shared.application.webhooks import Delivery, WebhookDirectory
from shared.domain.instance.journal import EventRecord
from shared.domain.notifications.model import Notification, NotificationKind

THROTTLED: Final = Refusal(code="events:ThrottlingException")
"""A refusal that a repetition cures."""


@dataclass(slots=True)
class MemoryRecords:
    """A ``RecordReader`` that counts its reads."""

    records: dict[EventKey, EventRecord | Unreadable[EventKey]] = field(default_factory=dict)
    reads: int = 0

    def records_of(
        self, events: Collection[EventKey]
    ) -> Mapping[EventKey, EventRecord | Unreadable[EventKey]]:
        self.reads += 1
        return {key: self.records[key] for key in events if key in self.records}


@dataclass(slots=True)
class MemoryBus:
    """A ``NotificationBus`` that does not accept the kinds in ``refuses``."""

    refuses: dict[NotificationKind, Refusal] = field(default_factory=dict)
    sent: list[Notification] = field(default_factory=list)

    def send(self, notifications: Sequence[Notification]) -> Mapping[int, Refusal]:
        self.sent += [one for one in notifications if one.kind not in self.refuses]
        return {
            place: self.refuses[one.kind]
            for place, one in enumerate(notifications)
            if one.kind in self.refuses
        }


@dataclass(slots=True)
class MemoryUnreadable:
    """An ``UnreadableStore``, by position."""

    records: dict[str, StreamRecord] = field(default_factory=dict)

    def put(self, record: StreamRecord) -> None:
        self.records[record.position] = record


@dataclass(slots=True)
class MemoryDeliveries:
    """A ``DeliveryQueue`` that does not accept the kinds in ``refuses``."""

    refuses: dict[NotificationKind, Refusal] = field(default_factory=dict)
    queued: list[Delivery] = field(default_factory=list)

    def put(self, deliveries: Sequence[Delivery]) -> Mapping[int, Refusal]:
        kinds = [NotificationKind(str(one.message["kind"])) for one in deliveries]
        self.queued += [one for one, kind in zip(deliveries, kinds, strict=True) if kind not in self.refuses]
        return {place: self.refuses[kind] for place, kind in enumerate(kinds) if kind in self.refuses}


@dataclass(slots=True, kw_only=True)
class MemoryPublishing:
    """All ports of the publisher in memory, at noon of the last day of January 2026."""

    clock: ManualClock = field(default_factory=lambda: ManualClock(datetime(2026, 1, 31, 12, tzinfo=UTC)))
    store: MemoryWebhooks = field(default_factory=MemoryWebhooks)
    deliveries: MemoryDeliveries = field(default_factory=MemoryDeliveries)
    webhooks: WebhookDirectory = field(init=False)
    records: MemoryRecords = field(default_factory=MemoryRecords)
    bus: MemoryBus = field(default_factory=MemoryBus)
    unreadable: MemoryUnreadable = field(default_factory=MemoryUnreadable)

    def __post_init__(self) -> None:
        """Give the directory its store."""
        self.webhooks = WebhookDirectory(store=self.store, clock=self.clock)
