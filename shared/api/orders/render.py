"""The answers about orders and their history. Source: docs/contracts/orders.md B.2; docs/contracts/mapping.md D.3."""

import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, Final, Literal, TypeVar

from shared.api.http.shapes import omit_unset
from shared.api.orders.answers import HistoryItemShape, LastOutcome, MarkShown, OrderItemShape, StateShown
from shared.api.orders.choosing import order_id_of
from shared.api.orders.states import (
    CONTINUABLE,
    RESUMABLE,
    SEVERITY,
    SHOWN,
    SUSPENDIBLE,
    State,
)
from shared.api.orders.workflows import Paths
from shared.domain.calendar.dates import format_instant
from shared.domain.instance.event import EventStatus
from shared.domain.instance.journal import EventRecord
from shared.domain.instance.model import Instance
from shared.domain.instance.phase import Phase, current_event, phase_of, planned_date, waits_for_call

T = TypeVar("T")

MAX_BYTES = 4 * 1024 * 1024
"""The maximum size of a list. Lambda refuses answers of more than 6 MB."""

SUCCESSFUL: Final = "SUCCESSFUL"
FAILED: Final = "FAILED"
_RUN_STATES = {
    EventStatus.PROCESSED: State.FINISHED,
    EventStatus.FAILED: State.FAILED,
    EventStatus.CANCELED: State.CANCELLED,
}


@omit_unset
def order_shape(instance: Instance, paths: Paths, *, now: datetime, compact: bool) -> OrderItemShape:
    """Return an order; if ``compact``, without its arguments."""
    phase = phase_of(instance, now=now)
    # An order that waits for a call has no date.
    never = waits_for_call(instance)
    planned = None if never else planned_date(instance)
    return OrderItemShape(
        surveyDate=format_instant(now),
        orderId=order_id_of(instance),
        workflowId={
            "path": paths.path(instance.strategy_sid),
            "versionId": str(instance.strategy_version),
        },
        state=_state(phase),
        marked=_mark(phase, instance),
        arguments=None if compact else dict(instance.attributes),
        scheduledFor=None if planned is None else round(planned.timestamp() * 1000),
        scheduledNever=True if never else None,
        lastOutcome=_last_outcome(instance, phase),
        hasChildOrders=False,
        isContinuable=phase in CONTINUABLE and _may_run_now(instance, now=now),
        isResumable=phase in RESUMABLE and not instance.is_draining,
        isSuspendible=phase in SUSPENDIBLE,
    )


def _may_run_now(instance: Instance, *, now: datetime) -> bool:
    """Return whether there is an event to run now, and a scheduled cancellation lets it."""
    event = current_event(instance)
    return event is not None and not instance.bars(event.queued(now=now))


def history_shape(
    instance: Instance, record: EventRecord, paths: Paths, *, now: datetime
) -> HistoryItemShape:
    """Return a run that has ended."""
    event = record.event
    state = history_state(record)
    return HistoryItemShape(
        surveyDate=format_instant(now),
        controllerId=instance.account_id,
        orderId=order_id_of(instance),
        workflow=paths.path(instance.strategy_sid),
        plannedTime=format_instant(event.first_due_at),
        startTime=format_instant(started_at(record)),
        endTime=format_instant(record.finished_at),
        sequence=event.created_cycle,
        state={"severity": 0 if state == SUCCESSFUL else 2, "_text": state},
        orderState={
            "severity": SEVERITY[_RUN_STATES[event.status]],
            "_text": _RUN_STATES[event.status],
        },
        historyId=instance.event_sid(event),
        children=[],
        arguments=dict(instance.attributes),
    )


def history_state(record: EventRecord) -> Literal["SUCCESSFUL", "FAILED"]:
    """Return the state of a run that has ended."""
    return SUCCESSFUL if record.event.status is EventStatus.PROCESSED else FAILED


def started_at(record: EventRecord) -> datetime:
    """Return when a run began."""
    return record.event.times.begun_at or record.event.date


def fitting(shapes: Iterable[T], *, most: int) -> Iterator[T]:
    """Yield at most ``most`` of these, and no more than an answer can hold."""
    room = MAX_BYTES
    for number, shape in enumerate(shapes):
        room -= len(json.dumps(shape, separators=(",", ":")).encode())
        if number == most or room < 0:
            return
        yield shape


def _state(phase: Phase) -> StateShown:
    shown = SHOWN[phase]
    shape: StateShown = {"severity": SEVERITY[shown.text], "_text": shown.text}
    return shape if shown.reason is None else {**shape, "_reason": shown.reason}


def _mark(phase: Phase, instance: Instance) -> MarkShown | None:
    """Return the mark of an order that is stopped while a step of it is still in flight."""
    mark = SHOWN[phase].mark if instance.is_draining else None
    return None if mark is None else {"severity": mark[1], "_text": mark[0]}


def _last_outcome(instance: Instance, phase: Phase) -> LastOutcome | None:
    """Return the outcome of an order so far, or None if it has none."""
    match phase:
        case Phase.COMPLETED:
            return _outcome("Succeeded", values=dict(instance.outputs))
        case Phase.CANCELED:
            return _outcome("Cancelled", instance.stop_note)
        case Phase.FAULTED | Phase.STUCK:
            return _outcome("Failed", instance.stop_note)
        case Phase.RETRYING:
            event = current_event(instance)
            return _outcome("Failed", None if event is None else event.last_error)
        case _:
            return None


@omit_unset
def _outcome(
    kind: Literal["Succeeded", "Failed", "Cancelled"],
    message: str | None = None,
    values: dict[str, Any] | None = None,
) -> LastOutcome:
    return LastOutcome(TYPE=kind, message=message, namedValues=values or None)
