"""Notifications: one message for each change that other systems may react to.

A notification is derived from two stored images of one item, before and after a write. The same write always gives
the same notifications with the same ids, so a consumer that keeps ids sees each of them once.
Source: docs/events.md; docs/decisions/0040-changes-leave-through-streams.md.
"""

from datetime import datetime
from enum import StrEnum
from typing import NewType

from msgspec import Struct

from shared.domain.bulk.operation import BulkOperation, BulkStatus, Counts
from shared.domain.ids import AccountId, EventSid, InstanceSid, OperationSid, StrategySid
from shared.domain.instance.event import EventKind
from shared.domain.instance.model import Instance, InstanceStatus
from shared.domain.strategy.model import StrategyHead, StrategyVersion

NotificationId = NewType("NotificationId", str)


class NotificationKind(StrEnum):
    """The change that a notification is about."""

    EVENT_PROCESSED = "event.processed"
    """An event is PROCESSED: its task ended."""
    EVENT_FAILED = "event.failed"
    """An event is FAILED: its attempts are used up, or its runners crashed too often."""
    EVENT_RETRY_SCHEDULED = "event.retry-scheduled"
    """An attempt failed and another one follows."""
    EVENT_IN_DOUBT = "event.in-doubt"
    """A call got no definite answer and may have taken effect."""
    EVENT_AWAITING_ANSWER = "event.awaiting-answer"
    """An asynchronous call was sent, and the event waits for its answer."""
    EVENT_ANSWER_OVERDUE = "event.answer-overdue"
    """The time for an answer is over, and the event continues without it."""
    INSTANCE_CREATED = "instance.created"
    INSTANCE_PAUSED = "instance.paused"
    INSTANCE_RESUMED = "instance.resumed"
    INSTANCE_CANCELED = "instance.canceled"
    INSTANCE_COMPLETED = "instance.completed"
    INSTANCE_MIGRATED = "instance.migrated"
    """The instance continues under another version of its strategy."""
    STRATEGY_PUBLISHED = "strategy.published"
    """A strategy was created, or has a new version."""
    STRATEGY_PAUSED = "strategy.paused"
    STRATEGY_RESUMED = "strategy.resumed"
    OPERATION_FINISHED = "operation.finished"
    """A bulk operation is COMPLETED or CANCELED."""


class NotificationReason(Struct, frozen=True, kw_only=True):
    """Why a change was made. ``code`` is stable, ``message`` is for people, ``by`` is a key id or ``engine``."""

    code: str | None = None
    message: str | None = None
    by: str | None = None


class AboutEvent(Struct, frozen=True, kw_only=True):
    """The event that a notification is about.

    ``attempt`` and ``run`` are those of the coming attempt if ``retry_at`` is set. ``answer_by`` is when the event
    stops waiting for an answer, None for no limit.
    """

    sid: EventSid
    task: str
    kind: EventKind
    cycle: int
    attempt: int
    run: int
    in_doubt: bool
    retry_at: datetime | None = None
    answer_by: datetime | None = None


class AboutInstance(Struct, frozen=True, kw_only=True):
    """The instance that a notification is about, as it is after the change.

    ``event`` is set if the notification is about an event. ``migrated_from`` is the strategy version before
    a migration. ``paused_until`` is when a pause ends by itself, None if only a resume ends it.
    """

    sid: InstanceSid
    status: InstanceStatus
    strategy_sid: StrategySid
    strategy_version: int
    migrated_from: int | None = None
    paused_until: datetime | None = None
    event: AboutEvent | None = None


class AboutStrategy(Struct, frozen=True, kw_only=True):
    """The strategy that a notification is about."""

    sid: StrategySid
    name: str
    version: int


class AboutOperation(Struct, frozen=True, kw_only=True):
    """The bulk operation that a notification is about."""

    sid: OperationSid
    command: str
    status: BulkStatus
    counts: Counts


class Notification(Struct, frozen=True, kw_only=True):
    """One message about one change. ``at`` is when the change was made."""

    id: NotificationId
    kind: NotificationKind
    at: datetime
    account_id: AccountId
    about: AboutInstance | AboutStrategy | AboutOperation
    reason: NotificationReason | None = None


class InstanceWrite(Struct, frozen=True, kw_only=True):
    """A stored write of an instance. ``before`` is None for its creation."""

    before: Instance | None
    after: Instance


class VersionWrite(Struct, frozen=True, kw_only=True):
    """A new version of a strategy."""

    account_id: AccountId
    name: str
    version: StrategyVersion


class HeadWrite(Struct, frozen=True, kw_only=True):
    """A stored write of a strategy's head. ``before`` is None for its creation."""

    before: StrategyHead | None
    after: StrategyHead


class OperationWrite(Struct, frozen=True, kw_only=True):
    """A stored write of a bulk operation. ``before`` is None for its creation."""

    before: BulkOperation | None
    after: BulkOperation


StoredWrite = InstanceWrite | VersionWrite | HeadWrite | OperationWrite
"""One write of an item that notifications are derived from."""
