"""The phase of an instance: a status fine enough for every dialect to map to its own.

Source: docs/contracts/mapping.md D.3.
"""

from datetime import datetime
from enum import StrEnum
from typing import assert_never

from msgspec import Struct

from shared.domain.ids import StrategySid
from shared.domain.instance.due import planned_event
from shared.domain.instance.event import Event, EventStatus, PausedFor
from shared.domain.instance.model import CancelReason, Instance, InstanceStatus
from shared.domain.instance.reason import Cause, StopReason


class Phase(StrEnum):
    """One row of the status table."""

    UNDATED = "UNDATED"
    """Active without a date: it waits to be run by hand, or its schedule has no further date."""
    AHEAD = "AHEAD"
    """Active; its next event is planned, and no event has begun."""
    OVERDUE = "OVERDUE"
    """Active; the date of its next event has passed, but the event has not started."""
    RUNNING = "RUNNING"
    """An event is executing a step."""
    BETWEEN_STEPS = "BETWEEN_STEPS"
    """An event has begun and continues as soon as it can."""
    RETRYING = "RETRYING"
    """An event has failed and waits for its next attempt."""
    DELAYED = "DELAYED"
    """An event waits for a step's delay, or to send a call again that was refused for now."""
    AWAITING_ANSWER = "AWAITING_ANSWER"
    """An event has sent an asynchronous call and waits for the answer."""
    ONHOLD = "ON_HOLD"
    """An event waits for an operator to run it."""
    PAUSED = "PAUSED"
    """Paused by an operator."""
    STUCK = "STUCK"
    """Paused by the engine: an event used up its attempts, has a call in doubt, or crashes its runners."""
    CANCELED = "CANCELED"
    """Canceled by an operator."""
    FAULTED = "FAULTED"
    """Canceled by the engine or a controller, after a failure or by its own logic."""
    COMPLETED = "COMPLETED"
    """Its plan has ended."""

    @property
    def is_over(self) -> bool:
        """Return whether the phase can never change again."""
        return self in (Phase.CANCELED, Phase.FAULTED, Phase.COMPLETED)

    @property
    def status(self) -> InstanceStatus:
        """Return the status of every instance in this phase."""
        match self:
            case Phase.PAUSED | Phase.STUCK:
                return InstanceStatus.PAUSED
            case Phase.CANCELED | Phase.FAULTED:
                return InstanceStatus.CANCELED
            case Phase.COMPLETED:
                return InstanceStatus.COMPLETED
            case _:
                return InstanceStatus.ACTIVE

    @property
    def is_open(self) -> bool:
        """Return whether a run of the active instance has begun and not ended."""
        return self in _OPEN


STOPPED_PHASES = (Phase.PAUSED, Phase.STUCK, Phase.CANCELED, Phase.FAULTED, Phase.COMPLETED)
"""The phases of stopped instances."""

_OPEN = (Phase.RUNNING, Phase.BETWEEN_STEPS, Phase.RETRYING, Phase.DELAYED, Phase.AWAITING_ANSWER)


def phase_of(instance: Instance, *, now: datetime) -> Phase:
    """Return the phase of an instance at an instant."""
    stopped = _of_stop(instance)
    if stopped is not None:
        return stopped
    event = current_event(instance)
    return Phase.UNDATED if event is None else _of_event(instance, event, now=now)


def stored_phase(instance: Instance) -> Phase | None:
    """Return the phase of an instance if it does not change as time passes and is worth a look, else None.

    Those are the phases of stopped instances, and RETRYING.
    """
    stopped = _of_stop(instance)
    if stopped is None and retrying_event(instance) is not None:
        return Phase.RETRYING
    return stopped


def list_label(instance: Instance) -> str:
    """Return under which label an instance is in the list of its strategy: ACTIVE, or the phase of its stop."""
    return (_of_stop(instance) or InstanceStatus.ACTIVE).value


def list_labels(status: InstanceStatus | Phase) -> tuple[str, ...]:
    """Return the labels of the instances with a status, or in the phase of a stop."""
    if isinstance(status, Phase):
        return (status.value,)
    stopped = tuple(phase.value for phase in STOPPED_PHASES if phase.status is status)
    return stopped or (status.value,)


class PhaseRange(Struct, frozen=True, kw_only=True):
    """Instances in a phase: all, those with a cause, with a reason, or with a reason and of a strategy.

    ``detail`` is used with ``cause``, and ``strategy`` with both.
    """

    phase: Phase
    cause: Cause | None = None
    detail: str | None = None
    strategy: StrategySid | None = None


def is_in_range(phase_range: PhaseRange, instance: Instance) -> bool:
    """Return whether an instance is in a phase, and stopped or retrying for the reason, that a range names."""
    reason = reason_of(instance)
    return (
        reason is not None
        and stored_phase(instance) is phase_range.phase
        and phase_range.cause in (None, reason.cause)
        and phase_range.detail in (None, reason.detail)
        and phase_range.strategy in (None, instance.strategy_sid)
    )


def retrying_event(instance: Instance) -> Event | None:
    """Return the event that determines the instance's phase if it waits for its next attempt, else None."""
    event = current_event(instance)
    return event if event is not None and event.is_retrying else None


def reason_of(instance: Instance) -> StopReason | None:
    """Return why an instance was stopped or waits for a retry, or None if neither is the case."""
    if instance.stop is not None:
        return instance.stop.reason
    event = retrying_event(instance)
    if event is None or event.failure is None:
        return None
    return StopReason(cause=Cause.FAILED, detail=event.failure.error_class)


def planned_date(instance: Instance) -> datetime | None:
    """Return the date its current cycle was planned for, before any retry.

    Without a plan, return the date of its current event, or None if there is none.
    """
    if instance.main_event is not None:
        return instance.main_event.first_due_at
    if instance.plan.due is not None:
        return instance.plan.due
    event = current_event(instance)
    return None if event is None else event.first_due_at


def waits_for_call(instance: Instance) -> bool:
    """Return whether it runs on call and its main event still waits to be run. It then has no date."""
    main, schedule = instance.main_event, instance.plan.schedule
    is_on_call = schedule is not None and schedule.on_call
    return is_on_call and main is not None and main.status is EventStatus.ONHOLD


class Waiting(StrEnum):
    """The kinds of waiting that an operator can end by running the event now."""

    FOR_DATE = "FOR_DATE"
    """The event waits for its date, its next attempt, the end of a step's delay, or, if on call, to be run."""
    FOR_OPERATOR = "FOR_OPERATOR"
    """The event is on hold."""


WAITING_PHASES = {
    Waiting.FOR_DATE: (Phase.UNDATED, Phase.AHEAD, Phase.RETRYING, Phase.DELAYED),
    Waiting.FOR_OPERATOR: (Phase.ONHOLD,),
}
"""The phases of an instance whose current event waits in that way."""


def waiting_event(instance: Instance, what: Waiting, *, now: datetime) -> Event | None:
    """Return the instance's current event if it waits in that way, else None."""
    return current_event(instance) if phase_of(instance, now=now) in WAITING_PHASES[what] else None


def current_event(instance: Instance) -> Event | None:
    """Return the unfinished event that determines the instance's phase, or None.

    That is the executing event, else the first that has begun, else the next that starts by itself, else one on hold.
    An event that a scheduled cancellation bars counts: until its date, the instance is as it was.
    """
    if instance.executing is not None:
        return instance.executing
    begun = (event for event in instance.events if event.has_begun)
    onhold = (event for event in instance.events if event.status is EventStatus.ONHOLD)
    return next(begun, None) or planned_event(instance) or next(onhold, None)


def _of_stop(instance: Instance) -> Phase | None:
    """Return the phase of a stopped instance, or None if it is ACTIVE."""
    match instance.status:
        case InstanceStatus.COMPLETED:
            return Phase.COMPLETED
        case InstanceStatus.CANCELED:
            by_operator = instance.cancel_reason is CancelReason.HTTP_REQUEST
            return Phase.CANCELED if by_operator else Phase.FAULTED
        case InstanceStatus.PAUSED:
            stop = instance.stop
            return Phase.PAUSED if stop is None or stop.for_event is None else Phase.STUCK
        case InstanceStatus.ACTIVE:
            return None
        case _:
            assert_never(instance.status)


def _of_event(instance: Instance, event: Event, *, now: datetime) -> Phase:
    match event.status:
        case EventStatus.ONHOLD:
            return Phase.UNDATED if event.is_main and waits_for_call(instance) else Phase.ONHOLD
        case EventStatus.EXECUTING:
            # A lease that has expired means that the runner crashed: the sweeper will have it taken over.
            is_leased = instance.lease is not None and instance.lease.until > now
            return Phase.RUNNING if is_leased else Phase.BETWEEN_STEPS
        case EventStatus.PAUSED:
            return Phase.AWAITING_ANSWER if event.paused_for is PausedFor.ANSWER else Phase.BETWEEN_STEPS
        case EventStatus.PENDING if event.has_begun:
            return Phase.RETRYING if event.is_retrying else Phase.DELAYED
        case EventStatus.QUEUED if event.has_begun:
            return Phase.BETWEEN_STEPS
        case _:
            return Phase.AHEAD if event.due_at >= now else Phase.OVERDUE
