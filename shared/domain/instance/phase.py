"""Where an instance stands, told finely enough for every dialect to say it in words of its own.

Source: contracts/mapping.md D.3.
"""

from datetime import datetime
from enum import StrEnum
from typing import assert_never

from shared.domain.instance.due import next_event
from shared.domain.instance.event import Event, EventStatus, PausedFor
from shared.domain.instance.model import CancelReason, Instance, InstanceStatus


class Phase(StrEnum):
    """A row of the table of statuses."""

    UNDATED = "UNDATED"
    """Active; nothing of it has a date: it is to be run by hand, or its window has no fire left."""
    AHEAD = "AHEAD"
    """Active; its next event is to come, none is open."""
    OVERDUE = "OVERDUE"
    """Active; its next event's date has come, but it has not started."""
    RUNNING = "RUNNING"
    """An event executes a step."""
    BETWEEN_STEPS = "BETWEEN_STEPS"
    """An event is open and goes on as soon as it can."""
    RETRYING = "RETRYING"
    """An event has failed and waits for its next attempt."""
    DELAYED = "DELAYED"
    """An event waits for a step's delay to pass."""
    AWAITING_ANSWER = "AWAITING_ANSWER"
    """An event has sent an asynchronous call and waits for its answer."""
    ON_HOLD = "ON_HOLD"
    """An event waits for an operator to run it."""
    PAUSED = "PAUSED"
    """It was told to pause."""
    STUCK = "STUCK"
    """It is paused since an event used up its attempts, is in doubt or crashes its runners."""
    CANCELED = "CANCELED"
    """It was told to end."""
    FAULTED = "FAULTED"
    """It ended by itself, because something failed or its own logic said so."""
    COMPLETED = "COMPLETED"
    """It came to its end."""

    @property
    def is_over(self) -> bool:
        """Whether nothing leaves it any more."""
        return self in (Phase.CANCELED, Phase.FAULTED, Phase.COMPLETED)

    @property
    def status(self) -> InstanceStatus:
        """The status of every instance that stands there."""
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
        """Whether a run of the active instance has begun and not ended."""
        return self in _OPEN


_OPEN = (Phase.RUNNING, Phase.BETWEEN_STEPS, Phase.RETRYING, Phase.DELAYED, Phase.AWAITING_ANSWER)


def phase_of(instance: Instance, *, now: datetime) -> Phase:
    """Where an instance stands at an instant."""
    match instance.status:
        case InstanceStatus.COMPLETED:
            return Phase.COMPLETED
        case InstanceStatus.CANCELED:
            asked = instance.cancel_reason is CancelReason.HTTP_REQUEST
            return Phase.CANCELED if asked else Phase.FAULTED
        case InstanceStatus.PAUSED:
            stop = instance.stop
            return Phase.PAUSED if stop is None or stop.for_event is None else Phase.STUCK
        case InstanceStatus.ACTIVE:
            event = current_event(instance)
            return Phase.UNDATED if event is None else _of_event(instance, event, now=now)
        case _:
            assert_never(instance.status)


def planned_date(instance: Instance) -> datetime | None:
    """When its cycle was planned for, before any retry; without a plan, what is next of it; None for neither."""
    if instance.main_event is not None:
        return instance.main_event.planned_at
    if instance.plan.moment is not None:
        return instance.plan.moment.at
    event = current_event(instance)
    return None if event is None else event.planned_at


def waits_for_call(instance: Instance) -> bool:
    """Whether it is on call and nobody has run it yet: then it has no date, whatever has become of it meanwhile."""
    main, schedule = instance.main_event, instance.plan.schedule
    is_on_call = schedule is not None and schedule.on_call
    return is_on_call and main is not None and main.status is EventStatus.ONHOLD


class Waiting(StrEnum):
    """What an operator can run an event ahead of."""

    FOR_DATE = "FOR_DATE"
    """Its date, its next attempt, the end of a step's delay, or a call where it is on call."""
    FOR_OPERATOR = "FOR_OPERATOR"
    """It is on hold."""


WAITING_PHASES = {
    Waiting.FOR_DATE: (Phase.UNDATED, Phase.AHEAD, Phase.RETRYING, Phase.DELAYED),
    Waiting.FOR_OPERATOR: (Phase.ON_HOLD,),
}
"""Where an instance stands while its current event waits for that."""


def waiting_event(instance: Instance, what: Waiting, *, now: datetime) -> Event | None:
    """The instance's current event, where it waits for that; else None."""
    return current_event(instance) if phase_of(instance, now=now) in WAITING_PHASES[what] else None


def current_event(instance: Instance) -> Event | None:
    """The unfinished event that says where an instance stands.

    The one that executes, else the first that has begun, else the next that starts by itself, else one on hold.
    """
    if instance.executing is not None:
        return instance.executing
    begun = (event for event in instance.events if event.has_begun)
    on_hold = (event for event in instance.events if event.status is EventStatus.ONHOLD)
    return next(begun, None) or next_event(instance) or next(on_hold, None)


def _of_event(instance: Instance, event: Event, *, now: datetime) -> Phase:
    match event.status:
        case EventStatus.ONHOLD:
            return Phase.UNDATED if event.is_main and waits_for_call(instance) else Phase.ON_HOLD
        case EventStatus.EXECUTING:
            lives = instance.lease is not None and instance.lease.until > now
            return Phase.RUNNING if lives else Phase.BETWEEN_STEPS
        case EventStatus.PAUSED:
            return Phase.AWAITING_ANSWER if event.paused_for is PausedFor.ANSWER else Phase.BETWEEN_STEPS
        case EventStatus.PENDING if event.has_begun:
            return Phase.RETRYING if event.progress.first_action is None else Phase.DELAYED
        case EventStatus.QUEUED if event.has_begun:
            return Phase.BETWEEN_STEPS
        case _:
            return Phase.AHEAD if event.due_at >= now else Phase.OVERDUE
