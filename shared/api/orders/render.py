"""Orders and their history in the dialect's shapes. Source: contracts/orders.md B.2; contracts/mapping.md D.3."""

import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from shared.api.orders.choosing import order_id_of
from shared.api.orders.states import (
    CONTINUABLE,
    RESUMABLE,
    SEVERITY,
    SUSPENDIBLE,
    State,
    mark_shape,
    state_shape,
)
from shared.api.orders.workflows import Paths
from shared.domain.calendar.dates import format_instant
from shared.domain.instance.event import EventStatus
from shared.domain.instance.journal import EventRecord
from shared.domain.instance.model import Instance
from shared.domain.instance.phase import Phase, current_event, phase_of, planned_date, waits_for_call

Shape = dict[str, Any]

MAX_BYTES = 4 * 1024 * 1024
"""So much of a list is answered: a function can answer 6 MB."""

SUCCESSFUL, FAILED = "SUCCESSFUL", "FAILED"
_HISTORY_SEVERITY = {SUCCESSFUL: 0, FAILED: 2}
_RUN_STATES = {
    EventStatus.PROCESSED: State.FINISHED,
    EventStatus.FAILED: State.FAILED,
    EventStatus.CANCELED: State.CANCELLED,
}


def order_shape(instance: Instance, paths: Paths, *, now: datetime, compact: bool) -> Shape:
    """An order as it stands. compact: without its arguments."""
    phase = phase_of(instance, now=now)
    never = waits_for_call(instance)
    planned = None if never else planned_date(instance)
    return _given(
        surveyDate=format_instant(now),
        orderId=order_id_of(instance),
        workflowId={
            "path": paths.path(instance.strategy_sid),
            "versionId": str(instance.strategy_version),
        },
        state=state_shape(phase),
        marked=mark_shape(phase, instance),
        arguments=None if compact else dict(instance.attributes),
        scheduledFor=None if planned is None else round(planned.timestamp() * 1000),
        scheduledNever=True if never else None,
        lastOutcome=_last_outcome(instance, phase),
        hasChildOrders=False,
        isContinuable=phase in CONTINUABLE and current_event(instance) is not None,
        isResumable=phase in RESUMABLE and not instance.is_draining,
        isSuspendible=phase in SUSPENDIBLE,
    )


def history_shape(instance: Instance, record: EventRecord, paths: Paths, *, now: datetime) -> Shape:
    """A run that has ended."""
    event = record.event
    state = history_state(record)
    return _given(
        surveyDate=format_instant(now),
        controllerId=instance.account_id,
        orderId=order_id_of(instance),
        workflow=paths.path(instance.strategy_sid),
        plannedTime=format_instant(event.planned_at),
        startTime=format_instant(started_at(record)),
        endTime=format_instant(record.finished_at),
        sequence=event.created_cycle,
        state={"severity": _HISTORY_SEVERITY[state], "_text": state},
        orderState={
            "severity": SEVERITY[_RUN_STATES[event.status]],
            "_text": _RUN_STATES[event.status].value,
        },
        historyId=instance.event_sid(event),
        children=[],
        arguments=dict(instance.attributes),
    )


def history_state(record: EventRecord) -> str:
    """``SUCCESSFUL`` or ``FAILED``."""
    return SUCCESSFUL if record.event.status is EventStatus.PROCESSED else FAILED


def started_at(record: EventRecord) -> datetime:
    """When a run began."""
    return record.event.times.begun_at or record.event.date


def fitting(shapes: Iterable[Shape], *, most: int) -> Iterator[Shape]:
    """The first ``most`` of these, and no more than an answer can hold."""
    room = MAX_BYTES
    for number, shape in enumerate(shapes):
        room -= len(json.dumps(shape, separators=(",", ":")).encode())
        if number == most or room < 0:
            return
        yield shape


def _last_outcome(instance: Instance, phase: Phase) -> Shape | None:
    """What an order has come to so far, where that is known."""
    match phase:
        case Phase.COMPLETED:
            values = dict(instance.outputs)
            return {"TYPE": "Succeeded", **({"namedValues": values} if values else {})}
        case Phase.CANCELED:
            return _given(TYPE="Cancelled", message=instance.stop_note)
        case Phase.FAULTED | Phase.STUCK:
            return _given(TYPE="Failed", message=instance.stop_note)
        case Phase.RETRYING:
            event = current_event(instance)
            return _given(TYPE="Failed", message=None if event is None else event.last_error)
        case _:
            return None


def _given(**members: Any) -> Shape:  # noqa: ANN401 - JSON values
    """The members that are set."""
    return {name: value for name, value in members.items() if value is not None}
