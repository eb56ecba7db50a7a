"""Closing events, and canceling or completing instances.

Source: docs/contracts/core.md sections 3.6 and 3.8; docs/design.md section 3.6.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import assert_never

from msgspec.structs import replace

from shared.domain.errors import DateError
from shared.domain.instance.event import Event, EventKind, EventStatus, PausedFor
from shared.domain.instance.journal import ClosedBy, EventRecord
from shared.domain.instance.model import (
    MAX_FAILED_EVENTS,
    CancelReason,
    FailedEvent,
    Instance,
    InstanceStatus,
    Stoppage,
)
from shared.domain.instance.reason import Cause, StopReason
from shared.domain.instance.scope import is_true, scope
from shared.domain.instance.verdict import ENGINE, Actor, Change
from shared.domain.planning.offset_dates import delayed
from shared.domain.strategy.model import LifecycleTask, Strategy
from shared.expressions import EvaluationError

MAX_REMEMBERED = 200
"""How many characters of a failed event's message its instance remembers."""


def close(
    instance: Instance,
    event: Event,
    status: EventStatus,
    *,
    now: datetime,
    why: str | None,
    cause: ClosedBy,
    by: Actor = ENGINE,
    by_runner: bool = False,
) -> Change:
    """Close an event: it leaves the instance with a final status, and its lease ends.

    If a command closes a running event, the fence moves and the record is in doubt. With ``by_runner`` the event's
    own runner closes it: the fence stays, and the record has it.
    """
    running = instance.lease is not None and instance.lease.seq == event.seq
    in_flight = running and not by_runner
    after = replace(instance.without(frozenset({event.seq})), updated_at=now)
    if status is EventStatus.FAILED:
        after = _remembering(after, event)
    if running:
        after = after.at_rest(now=now)
    if in_flight:
        # The late result of its runner must not be saved.
        after = replace(after, fence=instance.fence + 1)
    # A call that was sent and has no answer yet is in doubt, too.
    unanswered = event.paused_for is PausedFor.ANSWER
    progress = event.progress.with_doubt(now) if in_flight else event.progress
    closed = replace(event, status=status, updated_at=now, pause=None, progress=progress)
    record = EventRecord(
        instance_sid=instance.sid,
        event=closed,
        fence=after.fence,
        finished_at=now,
        in_doubt=event.in_doubt or in_flight or unanswered,
        why=why,
        closed_by=cause,
        by=None if by is ENGINE else by.name,
        reason=by.reason,
    )
    return Change(instance=after, records=(record,))


def close_all(
    instance: Instance,
    events: Sequence[Event],
    *,
    now: datetime,
    why: str,
    cause: ClosedBy,
    by: Actor = ENGINE,
) -> Change:
    """Close several events as CANCELED."""
    change = Change(instance=instance)
    for event in events:
        closed = close(change.instance, event, EventStatus.CANCELED, now=now, why=why, cause=cause, by=by)
        change = change.then(closed)
    return change


def cancel_instance(
    strategy: Strategy,
    instance: Instance,
    reason: CancelReason,
    *,
    by: Actor,
    now: datetime,
    kill: bool = False,
    error_class: str | None = None,
) -> Change:
    """Cancel the instance for good. ``error_class`` is that of the error that used up the attempts.

    Every unfinished event closes, except those that may run after a cancelation. A running event is closed by its
    runner at its next check (``draining`` until then), or at once with ``kill``. The on-cancel events are created,
    dated from ``now``.
    """
    # A runner with a live lease closes its event itself, after the current step.
    live = instance.lease is not None and instance.lease.until > now
    running = instance.lease.seq if instance.lease is not None and live and not kill else None
    doomed = [e for e in instance.events if not e.after_cancellation and e.seq != running]
    why = f"instance canceled: {reason.value}"
    change = close_all(instance, doomed, now=now, why=why, cause=ClosedBy.INSTANCE)
    drained_at = now if change.instance.lease is None else None
    stop = Stoppage(
        at=now,
        by=by.name,
        reason=_cancel_reason(reason, by, error_class),
        note=by.reason,
        drained_at=drained_at,
        cancel_reason=reason,
    )
    after = change.instance.stopped(InstanceStatus.CANCELED, stop)
    after = replace(after, plan=replace(after.plan, has_ended=True), blocked=None)
    created = lifecycle_events(
        strategy, after, strategy.definition.on_cancel_tasks, EventKind.ON_CANCEL, base=now, now=now
    )
    return Change(instance=created, records=change.records)


def complete_if_done(instance: Instance, *, now: datetime) -> Change:
    """Complete the instance if its plan has ended and no dated event is left. Events on hold are canceled."""
    dated_left = any(event.status is not EventStatus.ONHOLD for event in instance.events)
    if instance.status is not InstanceStatus.ACTIVE or not instance.plan.has_ended or dated_left:
        return Change(instance=instance)
    # An own cron schedule lasts until its end date, even if no cycle is planned any more.
    if _is_open(instance, now=now):
        return Change(instance=instance)
    onhold = list(instance.events)
    change = close_all(instance, onhold, now=now, why="the plan has ended", cause=ClosedBy.INSTANCE)
    ended = StopReason(cause=Cause.ENDED)
    stop = Stoppage(at=now, by="engine", reason=ended, note="the plan has ended", drained_at=now)
    after = change.instance.stopped(InstanceStatus.COMPLETED, stop)
    return Change(instance=after, records=change.records)


def _cancel_reason(reason: CancelReason, by: Actor, error_class: str | None) -> StopReason:
    match reason:
        case CancelReason.HTTP_REQUEST:
            return StopReason(cause=Cause.OPERATOR, detail=by.name)
        case CancelReason.CONTROLLER_HELPER:
            return StopReason(cause=Cause.CONTROLLER)
        case CancelReason.MAX_ATTEMPTS:
            return StopReason(cause=Cause.EXHAUSTED, detail=error_class)
        case CancelReason.CREATE_CYCLE_ERROR:
            return StopReason(cause=Cause.PLAN)
        case _:
            assert_never(reason)


def _remembering(instance: Instance, event: Event) -> Instance:
    """Return the instance with a failed event remembered, and the oldest forgotten if there are too many."""
    if event.failure is None:
        raise ValueError("an event that failed must say why")
    # The instance is written as a whole at each step, so it must stay small; the record has the whole message.
    failure = replace(event.failure, message=event.failure.message[:MAX_REMEMBERED])
    failed = FailedEvent(seq=event.seq, kind=event.kind, task=event.task, failure=failure)
    return replace(instance, failed_events=(*instance.failed_events, failed)[-MAX_FAILED_EVENTS:])


def _is_open(instance: Instance, *, now: datetime) -> bool:
    own = instance.plan.schedule
    if own is None or own.cron is None or (own.is_single and instance.plan.moment is not None):
        return False
    return instance.plan.end_date is not None and now < instance.plan.end_date


def lifecycle_events(
    strategy: Strategy,
    instance: Instance,
    entries: tuple[LifecycleTask, ...],
    kind: EventKind,
    *,
    base: datetime,
    now: datetime,
) -> Instance:
    """Return the instance with the on-create or on-cancel events that ``createIf`` allows.

    If ``createIf`` cannot be evaluated, the event is created ONHOLD. If the date cannot be computed, it is ``base``.
    In both cases the event has the ``problem``.
    """
    for entry in entries:
        is_created, unclear = _is_created(strategy, instance, entry, now=now)
        if not is_created:
            continue
        try:
            date, problem = delayed(strategy, instance, entry.delay_by, base, now=now)
        except DateError as error:
            date, problem = base, f"delayBy: {error}"
        onhold = entry.manual_trigger or strategy.definition.manual_trigger or unclear is not None
        instance = add_event(
            instance,
            kind,
            entry.task,
            date,
            now=now,
            onhold=onhold,
            problem=unclear or problem,
        )
    return instance


def add_event(
    instance: Instance,
    kind: EventKind,
    task: str,
    date: datetime,
    *,
    now: datetime,
    onhold: bool = False,
    data: dict[str, str] | None = None,
    problem: str | None = None,
) -> Instance:
    """Return the instance with one more event."""
    event = Event(
        seq=instance.next_seq,
        kind=kind,
        task=task,
        date=date,
        due_at=date,
        status=EventStatus.ONHOLD if onhold else EventStatus.PENDING,
        created_at=now,
        updated_at=now,
        created_cycle=instance.plan.cycle,
        after_cancellation=kind is EventKind.ON_CANCEL,
        data=data or {},
        problem=problem,
    )
    return replace(instance, events=(*instance.events, event), next_seq=instance.next_seq + 1)


def _is_created(
    strategy: Strategy, instance: Instance, entry: LifecycleTask, *, now: datetime
) -> tuple[bool, str | None]:
    if entry.create_if is None:
        return True, None
    try:
        return is_true(entry.create_if, scope(strategy, instance, now=now)), None
    except EvaluationError as error:
        return True, f"createIf: {error}"
