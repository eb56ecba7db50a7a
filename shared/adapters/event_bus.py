"""Notifications on an EventBridge bus, and a bucket for those that cannot be published.

Source: docs/events.md; https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

from msgspec import Struct

from shared.application.publish import Refusal, StreamRecord
from shared.domain.notifications.message import message_of
from shared.domain.notifications.model import Notification

SOURCE: Final = "ritornello"
"""The source of all events on the bus."""

MAX_ENTRIES: Final = 10
"""How many entries ``PutEvents`` takes. A message has at most a few kilobytes, far below its other limit."""

MALFORMED: Final = "MalformedDetail"
"""The only error code that is about the content of an entry alone. ``InvalidArgument`` may be about the bus."""


class EventsClient(Protocol):
    """The part of EventBridge that is used (``shared/adapters/aws/services.py``)."""

    def put_events(self, entries: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
        """Send events to buses, each by itself."""


class S3Client(Protocol):
    """The part of boto3's ``s3`` client that is used."""

    def put_object(self, **request: Any) -> Any:  # noqa: ANN401 - boto3 has no types of its own
        """Store an object."""


class EventBridgeBus(Struct, frozen=True, kw_only=True):
    """A ``NotificationBus``."""

    client: Callable[[], EventsClient]
    name: str

    def send(self, notifications: Sequence[Notification]) -> Mapping[int, Refusal]:
        refused: dict[int, Refusal] = {}
        for first in range(0, len(notifications), MAX_ENTRIES):
            some = notifications[first : first + MAX_ENTRIES]
            answer = self.client().put_events([self._entry(one) for one in some])
            # Entries are accepted one by one, and the results are in their order.
            refused |= {
                first + place: Refusal(
                    code=f"events:{entry['ErrorCode']}", is_final=entry["ErrorCode"] == MALFORMED
                )
                for place, entry in enumerate(answer["Entries"])
                if "EventId" not in entry
            }
        return refused

    def _entry(self, notification: Notification) -> dict[str, Any]:
        return {
            "EventBusName": self.name,
            "Source": SOURCE,
            "DetailType": notification.kind.value,
            "Time": int(notification.at.timestamp()),
            "Detail": json.dumps(message_of(notification), ensure_ascii=False, separators=(",", ":")),
        }


class S3Unreadable(Struct, frozen=True, kw_only=True):
    """An ``UnreadableStore``: one object for each record, in the form of a batch that can be published again."""

    client: Callable[[], S3Client]
    bucket: str

    def put(self, record: StreamRecord) -> None:
        self.client().put_object(
            Bucket=self.bucket,
            Key=f"unreadable/{record.position}.json",
            Body=json.dumps({"Records": [record.source]}, default=str).encode(),
            ContentType="application/json",
        )
