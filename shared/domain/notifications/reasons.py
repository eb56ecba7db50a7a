"""The reasons that notifications give. Only this module reads them from instances, events, records and operations."""

from shared.domain.bulk.operation import BulkOperation
from shared.domain.errors import shortened
from shared.domain.instance.event import Event
from shared.domain.instance.journal import EventRecord
from shared.domain.instance.model import Instance
from shared.domain.notifications.model import NotificationReason

MAX_REASON_BYTES = 1000
"""The longest message of a reason, as JSON."""


def reason_of_stop(instance: Instance) -> NotificationReason | None:
    """Return why an instance is not ACTIVE, or None if it is."""
    stop = instance.stop
    if stop is None:
        return None
    return NotificationReason(code=stop.reason.text, message=_cut(stop.note), by=stop.by)


def reason_of_attempt(event: Event) -> NotificationReason | None:
    """Return why the last attempt of an open event failed, or None if none has."""
    failure = event.failure
    if failure is None:
        return None
    return NotificationReason(code=failure.error_class, message=_cut(failure.message))


def reason_of_failure(record: EventRecord) -> NotificationReason:
    """Return why an event failed."""
    failure = record.event.failure
    return NotificationReason(
        code=None if failure is None else failure.error_class,
        message=_cut(record.why or record.event.last_error),
        by=record.by,
    )


def reason_of_operation(bulk: BulkOperation) -> NotificationReason:
    """Return who began an operation, with the reason they gave."""
    return NotificationReason(message=_cut(bulk.command.by.reason), by=bulk.command.by.name)


def reason_by(name: str | None) -> NotificationReason | None:
    """Return a reason that only names who made the change, or None if that is not stored."""
    return None if name is None else NotificationReason(by=name)


def _cut(text: str | None) -> str | None:
    return None if text is None else shortened(text, MAX_REASON_BYTES)
