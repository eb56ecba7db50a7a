"""The notifications about a stored write: which changes leave the system, and under which ids.

Source: docs/events.md; docs/decisions/0040-changes-leave-through-streams.md.
"""

from collections.abc import Iterator, Mapping
from typing import assert_never

from shared.domain.bulk.operation import BulkStatus, name_of
from shared.domain.calendar.dates import format_instant
from shared.domain.instance.journal import EventRecord
from shared.domain.notifications.instance_changes import of_instance
from shared.domain.notifications.model import (
    AboutOperation,
    AboutStrategy,
    HeadWrite,
    InstanceWrite,
    Notification,
    NotificationId,
    NotificationKind,
    OperationWrite,
    StoredWrite,
    VersionWrite,
)
from shared.domain.notifications.reasons import reason_by, reason_of_operation


def notifications_of(
    write: StoredWrite, records: Mapping[int, EventRecord] | None = None
) -> tuple[Notification, ...]:
    """Return the notifications about one write, always the same for the same write.

    ``records`` are the stored records of the events that it closed (``closed_events``), by number.
    """
    match write:
        case InstanceWrite():
            return tuple(of_instance(write, records or {}))
        case VersionWrite():
            return (_published(write),)
        case HeadWrite():
            return tuple(_of_head(write))
        case OperationWrite():
            return tuple(_of_operation(write))
        case _:
            assert_never(write)


def _published(write: VersionWrite) -> Notification:
    version, kind = write.version, NotificationKind.STRATEGY_PUBLISHED
    return Notification(
        id=NotificationId(f"{version.sid}-{version.version}-{kind.value}"),
        kind=kind,
        at=version.created_at,
        account_id=write.account_id,
        about=AboutStrategy(sid=version.sid, name=write.name, version=version.version),
        reason=reason_by(version.created_by),
    )


def _of_head(write: HeadWrite) -> Iterator[Notification]:
    after = write.after
    was_paused = write.before is not None and write.before.is_paused
    if after.is_paused is was_paused:
        return
    kind = NotificationKind.STRATEGY_PAUSED if after.is_paused else NotificationKind.STRATEGY_RESUMED
    yield Notification(
        # A head has no rev. Its flag changes at most once in an instant, because each change needs the one before.
        id=NotificationId(f"{after.sid}-{format_instant(after.updated_at)}-{kind.value}"),
        kind=kind,
        at=after.updated_at,
        account_id=after.account_id,
        about=AboutStrategy(sid=after.sid, name=after.name, version=after.version),
    )


def _of_operation(write: OperationWrite) -> Iterator[Notification]:
    before, after, kind = write.before, write.after, NotificationKind.OPERATION_FINISHED
    ended = (BulkStatus.COMPLETED, BulkStatus.CANCELED)
    # A canceled operation may still count the results of its last batch, which is no second end.
    if after.status not in ended or (before is not None and before.status in ended):
        return
    yield Notification(
        id=NotificationId(f"{after.sid}-{kind.value}"),
        kind=kind,
        at=after.finished_at or after.updated_at,
        account_id=after.account_id,
        about=AboutOperation(
            sid=after.sid, command=name_of(after.command), status=after.status, counts=after.counts
        ),
        reason=reason_of_operation(after),
    )
