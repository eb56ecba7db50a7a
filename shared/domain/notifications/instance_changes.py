"""The notifications about a write of an instance, and about its events.

Source: docs/events.md.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime

from shared.domain.instance.event import Event, EventStatus, PausedFor
from shared.domain.instance.journal import EventRecord
from shared.domain.instance.model import Instance, InstanceStatus
from shared.domain.notifications.model import (
    AboutEvent,
    AboutInstance,
    InstanceWrite,
    Notification,
    NotificationId,
    NotificationKind,
    NotificationReason,
)
from shared.domain.notifications.reasons import (
    reason_by,
    reason_of_attempt,
    reason_of_failure,
    reason_of_stop,
)

_STOPPED = {
    InstanceStatus.PAUSED: NotificationKind.INSTANCE_PAUSED,
    InstanceStatus.CANCELED: NotificationKind.INSTANCE_CANCELED,
    InstanceStatus.COMPLETED: NotificationKind.INSTANCE_COMPLETED,
}


def closed_events(write: InstanceWrite) -> tuple[int, ...]:
    """Return the numbers of the events that a write closed and whose records tell how."""
    if write.before is None:
        return ()
    # An event that no runner has claimed can only have been canceled, so its record need not be read.
    return tuple(
        event.seq for event in write.before.events if event.has_begun and write.after.event(event.seq) is None
    )


def of_instance(write: InstanceWrite, records: Mapping[int, EventRecord]) -> Iterator[Notification]:
    """Yield the notifications about a write of an instance.

    ``records`` are the stored records of its ``closed_events``, by number, as they are now.
    """
    before, after = write.before, write.after
    if before is None:
        reason = reason_by(after.origin.created_by)
        yield _about_instance(after, NotificationKind.INSTANCE_CREATED, after.created_at, reason)
    else:
        for event in before.events:
            yield from _of_event(after, event, records.get(event.seq))
        if before.strategy_version != after.strategy_version:
            yield _about_instance(
                after,
                NotificationKind.INSTANCE_MIGRATED,
                after.updated_at,
                migrated_from=before.strategy_version,
            )
    yield from _of_status(InstanceStatus.ACTIVE if before is None else before.status, after)


def _of_status(before: InstanceStatus, after: Instance) -> Iterator[Notification]:
    if after.status is before:
        return
    if after.status is InstanceStatus.ACTIVE:
        yield _about_instance(after, NotificationKind.INSTANCE_RESUMED, after.updated_at)
    else:
        at = after.updated_at if after.stop is None else after.stop.at
        yield _about_instance(after, _STOPPED[after.status], at, reason_of_stop(after))


def _of_event(after: Instance, before: Event, record: EventRecord | None) -> Iterator[Notification]:
    """Yield the notifications about an event that was open before the write."""
    event = after.event(before.seq)
    if event is None:
        yield from _of_closed(after, before, record)
        return
    if _is_newly_in_doubt(before, event):
        yield _about_event(after, event, NotificationKind.EVENT_IN_DOUBT, reason=reason_of_attempt(event))
    # A new run that waits for a date is a retry; every other new run begins at once.
    if event.run > before.run and event.status is EventStatus.PENDING:
        yield _about_event(
            after,
            event,
            NotificationKind.EVENT_RETRY_SCHEDULED,
            reason=reason_of_attempt(event),
            retry_at=event.date,
        )
    # When a flag undoes a claim, the event returns to its wait under the wakeup that it had.
    is_new_wait = before.paused_for is not PausedFor.ANSWER and event.wakeup_seq > before.wakeup_seq
    if event.paused_for is PausedFor.ANSWER and is_new_wait:
        answer_by = None if event.pause is None else event.pause.answer_by
        yield _about_event(after, event, NotificationKind.EVENT_AWAITING_ANSWER, answer_by=answer_by)
    if _is_overdue(event) and not _is_overdue(before):
        yield _about_event(after, event, NotificationKind.EVENT_ANSWER_OVERDUE, at=after.updated_at)
    # An answer queues the event first, so that only an event without one is claimed out of its wait.
    if before.paused_for is PausedFor.ANSWER and event.status is EventStatus.EXECUTING:
        answer_by = None if before.pause is None else before.pause.answer_by
        # Not the rev, as elsewhere: if a flag undoes the claim, a later claim must not announce the same again.
        mark = f"w{before.wakeup_seq}"
        yield _about_event(
            after, event, NotificationKind.EVENT_ANSWER_OVERDUE, mark=mark, answer_by=answer_by
        )


def _of_closed(after: Instance, before: Event, record: EventRecord | None) -> Iterator[Notification]:
    """Yield the notifications about an event that the write closed."""
    if not before.has_begun:
        return
    # Only a FAILED event can be redriven. That removes its record and raises its run, so a record that is missing or
    # of a later run shows that this write closed it FAILED.
    if record is None or record.event.run > before.run:
        yield _about_event(after, before, NotificationKind.EVENT_FAILED, at=after.updated_at)
        return
    event = record.event
    at = record.finished_at
    if not before.in_doubt and (event.in_doubt or record.in_doubt):
        yield _about_event(
            after, event, NotificationKind.EVENT_IN_DOUBT, at=at, reason=reason_of_attempt(event)
        )
    if event.status is EventStatus.PROCESSED:
        yield _about_event(after, event, NotificationKind.EVENT_PROCESSED, at=at)
    elif event.status is EventStatus.FAILED:
        yield _about_event(
            after, event, NotificationKind.EVENT_FAILED, at=at, reason=reason_of_failure(record)
        )


def _is_overdue(event: Event) -> bool:
    """Return whether it waits for an answer without a time limit that is noted as overdue."""
    return event.pause is not None and event.pause.is_overdue


def _is_newly_in_doubt(before: Event, event: Event) -> bool:
    """Return whether a write marked the event in doubt, or paused it for an operator's decision."""
    # The mark is never removed, so a second doubt shows only if it pauses the event.
    pauses = event.paused_for is PausedFor.IN_DOUBT and before.paused_for is not PausedFor.IN_DOUBT
    return pauses or (event.in_doubt and not before.in_doubt)


def _about_instance(
    after: Instance,
    kind: NotificationKind,
    at: datetime,
    reason: NotificationReason | None = None,
    *,
    migrated_from: int | None = None,
) -> Notification:
    is_paused = kind is NotificationKind.INSTANCE_PAUSED
    return Notification(
        id=NotificationId(f"{after.sid}-{after.rev}-{kind.value}"),
        kind=kind,
        at=at,
        account_id=after.account_id,
        about=AboutInstance(
            sid=after.sid,
            status=after.status,
            strategy_sid=after.strategy_sid,
            strategy_version=after.strategy_version,
            migrated_from=migrated_from,
            paused_until=after.stop.until if is_paused and after.stop is not None else None,
        ),
        reason=reason,
    )


def _about_event(
    after: Instance,
    event: Event,
    kind: NotificationKind,
    *,
    at: datetime | None = None,
    mark: str | None = None,
    reason: NotificationReason | None = None,
    retry_at: datetime | None = None,
    answer_by: datetime | None = None,
) -> Notification:
    """Return a notification about an event. ``mark`` is its part of the id, the instance's rev by default."""
    sid = after.event_sid(event)
    return Notification(
        id=NotificationId(f"{sid}-{mark or after.rev}-{kind.value}"),
        kind=kind,
        at=at or event.updated_at,
        account_id=after.account_id,
        about=AboutInstance(
            sid=after.sid,
            status=after.status,
            strategy_sid=after.strategy_sid,
            # An event runs under the version of its first claim.
            strategy_version=event.claim.version or after.strategy_version,
            event=AboutEvent(
                sid=sid,
                task=event.task,
                kind=event.kind,
                cycle=event.created_cycle,
                attempt=event.attempt,
                run=event.run,
                in_doubt=event.in_doubt,
                retry_at=retry_at,
                answer_by=answer_by,
            ),
        ),
        reason=reason,
    )
