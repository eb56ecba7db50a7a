"""The problems of an instance: everything that needs a person, as its stored state shows it.

Source: docs/contracts/core.md section 5 (``GET /problems``).
"""

from datetime import datetime
from enum import StrEnum
from typing import assert_never

from msgspec import Struct

from shared.domain.calendar.dates import format_instant
from shared.domain.instance.due import ResumeDue, back_off, next_change, next_event
from shared.domain.instance.event import Event, EventKind, PausedFor
from shared.domain.instance.model import FailedEvent, Instance, InstanceStatus
from shared.domain.instance.reason import Cause, ErrorKind, EventFailure

LATE_SWEEPS = 4
"""After this many wakeups without effect an event is more than ten minutes late."""


class ProblemKind(StrEnum):
    """The kinds of problems."""

    EXHAUSTED = "EXHAUSTED"
    """The attempts of an event are used up: the instance is paused or canceled for it."""
    IN_DOUBT = "IN_DOUBT"
    """A call may have taken effect, and its method leaves the decision to an operator."""
    POISONED = "POISONED"
    """Runners crashed at an event again and again."""
    FAILED_EVENT = "FAILED_EVENT"
    """An event has FAILED, and its instance continues: a side task, or a run of a schedule that goes on."""
    CREATE_CYCLE_ERROR = "CREATE_CYCLE_ERROR"
    """The instance was canceled because its next cycle could not be dated."""
    ANSWER_OVERDUE = "ANSWER_OVERDUE"
    """The answer to an asynchronous call without a time limit has not come for seven days. Its event waits on."""
    RESUME_REFUSED = "RESUME_REFUSED"
    """A pause has reached its end, but the rule for missed dates does not allow the resume."""
    LATE = "LATE"
    """An event is due, and the sweeper's wakeups have had no effect."""


class OpenProblem(Struct, frozen=True, kw_only=True):
    """One problem of an instance.

    ``seq`` is the event it is about, None if it is about the instance. ``failure`` is the event's last failed attempt.
    ``why`` is text for users. ``is_final`` means that nothing repairs it by itself: a redrive or ``dismiss`` ends it.
    """

    kind: ProblemKind
    since: datetime
    why: str
    seq: int | None = None
    failure: EventFailure | None = None
    is_final: bool = False


def problems_of(instance: Instance) -> tuple[OpenProblem, ...]:
    """Return the problems of an instance, newest first."""
    paused = (_of_paused(event) or _of_wait(event) for event in instance.events)
    failed = (_of_failed(instance, event) for event in instance.failed_events)
    others = (_of_lost_event(instance), _of_pause(instance), _of_plan(instance), _of_lateness(instance))
    problems = [problem for problem in (*paused, *failed, *others) if problem is not None]
    return tuple(sorted(problems, key=lambda problem: problem.since, reverse=True))


def problem_at(instance: Instance) -> datetime | None:
    """Return when the newest problem of the instance began, or None if it has none."""
    return max((problem.since for problem in problems_of(instance)), default=None)


def late_since(instance: Instance, *, by: datetime) -> OpenProblem | None:
    """Return the problem of an instance whose event, or change of status, was due ``by`` an instant, or None."""
    event = instance.executing or next_event(instance)
    sweeps = instance.sweep.attempts
    if event is not None and event.due_at <= by:
        why = (
            f"runners were woken for it {sweeps} times and did not run it" if sweeps else "nothing has run it"
        )
        return OpenProblem(kind=ProblemKind.LATE, since=event.due_at, why=why, seq=event.seq)
    change = next_change(instance)
    if change is None or change.at > by:
        return None
    what = "resume" if isinstance(change, ResumeDue) else "cancellation"
    why = f"runners were woken {sweeps} times" if sweeps else "nothing has run it"
    why = f"the {what} at {format_instant(change.at)} has not taken effect: {why}"
    return OpenProblem(kind=ProblemKind.LATE, since=change.at, why=why)


class Remedy(StrEnum):
    """A command that can end a problem."""

    RESUME = "resume"
    """Of the instance."""
    RETRY = "retry"
    """Of the event."""
    RESOLVE = "resolve"
    """Of the event."""
    CANCEL = "cancel"
    """Of the instance."""
    DISMISS = "dismiss"
    """Of the instance."""
    ANSWER = "answer"
    """Of the call that waits."""
    CANCEL_EVENT = "cancel-event"
    """Of the event."""


def remedies(instance: Instance, problem: OpenProblem) -> tuple[Remedy, ...]:  # noqa: PLR0911 - one arm a kind
    """Return the commands that end a problem. None ends lateness: runners have to run."""
    cancel = () if instance.status.is_final else (Remedy.CANCEL,)
    match problem.kind:
        case ProblemKind.LATE:
            return ()
        case ProblemKind.RESUME_REFUSED:
            return (Remedy.RESUME, Remedy.CANCEL)
        case _ if problem.seq is None and not problem.is_final:
            return (Remedy.RESUME, Remedy.CANCEL)
        case ProblemKind.IN_DOUBT:
            return (Remedy.RESOLVE, *cancel)
        case ProblemKind.ANSWER_OVERDUE:
            return (Remedy.ANSWER, Remedy.CANCEL_EVENT, *cancel)
        case ProblemKind.CREATE_CYCLE_ERROR:
            return (Remedy.DISMISS,)
        case ProblemKind.EXHAUSTED | ProblemKind.POISONED | ProblemKind.FAILED_EVENT:
            return _remedies_of_failed(instance, problem)
        case _:
            assert_never(problem.kind)


def _remedies_of_failed(instance: Instance, problem: OpenProblem) -> tuple[Remedy, ...]:
    if not problem.is_final:
        return (Remedy.RESUME, Remedy.RETRY, Remedy.CANCEL)
    failed = next(event for event in instance.failed_events if event.seq == problem.seq)
    # A failed main event cannot run again once its plan has continued.
    is_past = failed.kind is EventKind.MAIN and not instance.status.is_final
    return (Remedy.DISMISS,) if is_past else (Remedy.RETRY, Remedy.DISMISS)


def redrivable_event(instance: Instance) -> int | None:
    """Return the event to redrive, or None if none has failed.

    That is the one the instance is paused or was canceled for, else one that waits after a failure, else the last
    closed one.
    """
    waiting = [
        event
        for event in instance.events
        if event.is_retrying or event.paused_for in (PausedFor.EXHAUSTED, PausedFor.POISONED)
    ]
    if waiting:
        return max(waiting, key=instance.is_paused_for).seq
    if not instance.failed_events:
        return None
    for_main = instance.status.is_final and _was_exhausted(instance)
    main = next((each for each in instance.failed_events if for_main and each.kind is EventKind.MAIN), None)
    return (main or instance.failed_events[-1]).seq


def doubtful_event(instance: Instance) -> int | None:
    """Return the event that waits for a decision about a call in doubt, or None.

    If there are several, it is the one the instance is paused for.
    """
    doubtful = [event for event in instance.events if event.paused_for is PausedFor.IN_DOUBT]
    return max(doubtful, key=instance.is_paused_for).seq if doubtful else None


def _of_paused(event: Event) -> OpenProblem | None:
    kinds = {
        PausedFor.EXHAUSTED: ProblemKind.EXHAUSTED,
        PausedFor.IN_DOUBT: ProblemKind.IN_DOUBT,
        PausedFor.POISONED: ProblemKind.POISONED,
    }
    kind = None if event.paused_for is None else kinds.get(event.paused_for)
    if kind is None or event.failure is None:
        return None
    failure = event.failure
    return OpenProblem(kind=kind, since=failure.at, why=failure.message, seq=event.seq, failure=failure)


def _of_wait(event: Event) -> OpenProblem | None:
    pause = event.pause
    if pause is None or pause.expected_by is None or not pause.is_overdue:
        return None
    since = pause.expected_by
    why = "the answer to its call has not come, and its method sets no `answerWithin`; the event waits on"
    return OpenProblem(kind=ProblemKind.ANSWER_OVERDUE, since=since, why=why, seq=event.seq)


def _of_failed(instance: Instance, failed: FailedEvent) -> OpenProblem:
    if failed.failure.error_class == ErrorKind.CRASH.value:
        kind = ProblemKind.POISONED
    elif failed.kind is EventKind.MAIN and _was_exhausted(instance) and instance.status.is_final:
        kind = ProblemKind.EXHAUSTED
    else:
        kind = ProblemKind.FAILED_EVENT
    failure = failed.failure
    return OpenProblem(
        kind=kind, since=failure.at, why=failure.message, seq=failed.seq, failure=failure, is_final=True
    )


def _was_exhausted(instance: Instance) -> bool:
    """Return whether the instance was stopped because attempts were used up."""
    return instance.stop is not None and instance.stop.reason.cause is Cause.EXHAUSTED


def _of_lost_event(instance: Instance) -> OpenProblem | None:
    """Return the problem of an instance that stays paused for an event that has been closed since."""
    stop = instance.stop
    if instance.status is not InstanceStatus.PAUSED or stop is None or stop.for_event is None:
        return None
    kind = _KINDS.get(stop.reason.cause)
    if kind is None or instance.event(stop.for_event) is not None:
        return None
    why = f"{stop.note or stop.reason.text}; that event is closed, and the instance is still paused"
    return OpenProblem(kind=kind, since=stop.at, why=why)


_KINDS = {
    Cause.EXHAUSTED: ProblemKind.EXHAUSTED,
    Cause.IN_DOUBT: ProblemKind.IN_DOUBT,
    Cause.POISONED: ProblemKind.POISONED,
}
"""The problems for which the engine pauses instances, by the cause of the pause."""


def _of_pause(instance: Instance) -> OpenProblem | None:
    """Return the problem of an instance that stays paused because its resume at a date was refused."""
    refused = None if instance.stop is None else instance.stop.refused
    if refused is None or instance.status is not InstanceStatus.PAUSED:
        return None
    return OpenProblem(kind=ProblemKind.RESUME_REFUSED, since=refused.at, why=refused.why)


def _of_plan(instance: Instance) -> OpenProblem | None:
    stop = instance.stop
    if stop is None or stop.reason.cause is not Cause.PLAN or stop.dismissed_at is not None:
        return None
    why = stop.note or "the next cycle could not be dated"
    return OpenProblem(kind=ProblemKind.CREATE_CYCLE_ERROR, since=stop.at, why=why, is_final=True)


def _of_lateness(instance: Instance) -> OpenProblem | None:
    attempts, next_at = instance.sweep.attempts, instance.sweep.next_at
    if attempts < LATE_SWEEPS or next_at is None:
        return None
    # The sweeps may have been for an overdue answer instead.
    return late_since(instance, by=next_at - back_off(attempts))
