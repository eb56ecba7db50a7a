"""The report of one run: which event ran, its calls, and how it ended. The handler logs and counts it.

Source: docs/operations.md, "The line of a run".
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from enum import StrEnum

from msgspec import Struct, field

from shared.application.ports import Clock
from shared.domain.ids import AccountId, EventSid, InstanceSid, StrategySid
from shared.domain.instance.due import Due, due_since, next_event
from shared.domain.instance.event import Event, EventKind, EventStatus, PausedFor
from shared.domain.instance.journal import ClosedBy, EventRecord
from shared.domain.instance.model import CancelReason, Instance, InstanceStatus
from shared.domain.instance.run import Intent
from shared.domain.instance.verdict import Applied
from shared.domain.steps.call import Answered, CallOutcome, TimedOut, method_of
from shared.domain.steps.flow import StepContext

REFUSED_FOR_NOW = frozenset({408, 425, 429})
"""Statuses below 500 by which a service says that it cannot answer now. Other ones are answers."""


class RunOutcome(StrEnum):
    """The end of a run, or the decision of a claim instead of a run."""

    PROCESSED = "processed"
    """The task ended; the event is PROCESSED."""
    RETRIED = "retried"
    """The attempt failed, and another one has its date."""
    EXHAUSTED = "exhausted"
    """The attempts are used up; the event is FAILED, or PAUSED if the task says so."""
    IN_DOUBT = "in-doubt"
    """A call may or may not have taken effect, and an operator decides; the event is PAUSED."""
    POISONED = "poisoned"
    """Runners crashed too often; the event is PAUSED or FAILED. The claim decided it."""
    AWAITS_ANSWER = "awaits-answer"
    """An asynchronous call was sent; the event is PAUSED until its answer."""
    WAITS = "waits"
    """The next step waits for its ``delay``, for a service that refused it for now, or for the limit of its service.
    The event is PENDING.
    """
    HANDED_OVER = "handed-over"
    """Another invocation continues, because the time of this one is up, or because an answer arrived at the end."""
    PAUSED = "paused"
    """The instance was paused; the event is PAUSED between two steps."""
    CANCELED = "canceled"
    """The event was canceled: its instance has ended, or its date was skipped."""
    REPLANNED = "replanned"
    """The claim applied the rule for missed dates; the event did not run."""
    BLOCKED = "blocked"
    """The queue or the strategy is paused, so the claim was undone."""
    GIVEN_BACK = "given-back"
    """A store was unavailable; another runner continues in some minutes."""
    LOST = "lost"
    """Another runner or a command took the event; later writes of this one were not stored."""
    BROKEN_OFF = "broken-off"
    """An exception ended the run. The event is taken over when its lease has ended."""


class CallClass(StrEnum):
    """The class of a call's status, or why there is none."""

    SUCCESS = "2xx"
    REDIRECT = "3xx"
    CLIENT_ERROR = "4xx"
    SERVER_ERROR = "5xx"
    OTHER = "other"
    """A status outside 200 to 599."""
    NO_ANSWER = "no-answer"
    """The call was sent and got no answer in time."""
    NOT_SENT = "not-sent"
    """No connection, no token, or an address that may not be called."""


_CLASSES = {2: CallClass.SUCCESS, 3: CallClass.REDIRECT, 4: CallClass.CLIENT_ERROR, 5: CallClass.SERVER_ERROR}


class CallReport(Struct, frozen=True, kw_only=True):
    """One call of a run.

    ``took``, from ``began_at`` on, includes preparing its request. ``repeat`` means that an earlier sending may have
    taken effect.
    ``failed`` means that the service gave no usable answer: none, a 5xx, a refusal for now, or a body that cannot be
    used. Other answers, such as 402, are the flow's to judge.
    """

    step: str
    service: str
    method: str
    attempt: int
    repeat: bool
    status: int | None
    call_class: CallClass
    failed: bool
    began_at: datetime
    took: timedelta


class LimitWait(Struct, frozen=True, kw_only=True):
    """A call that had to wait for the limit or the circuit of its service.

    ``took`` is how long, or for how long the event is going to wait without a runner.
    """

    service: str
    took: timedelta


class RunTally(Struct):
    """The steps, calls and waits of a run so far, counted as they happen, because a run can stop at any point."""

    steps: int = 0
    calls: list[CallReport] = field(default_factory=list)
    limit_waits: list[LimitWait] = field(default_factory=list)
    opened_circuits: list[str] = field(default_factory=list)
    answers_overdue: int = 0


class Stopped(Struct, frozen=True, kw_only=True):
    """The run does not continue in this invocation. ``instance`` is None if another runner or invocation has it now.

    ``outcome`` is None if no event was claimed. ``event`` is the event as the run left it, open or closed; None if
    that is unknown, because another runner may have it.
    """

    instance: Instance | None
    outcome: RunOutcome | None = None
    event: Event | None = None


LOST = Stopped(instance=None, outcome=RunOutcome.LOST)
"""Another runner or a command took the event, or its instance is gone."""


class RunReport(Struct, frozen=True, kw_only=True):
    """The course of a run, from the claim of its event to the end of the run in this invocation.

    ``run`` and ``attempt`` are those of the claimed event. ``late`` is the time between the instant from which the
    event could have run and its claim. ``taken_over`` means that an earlier runner crashed or gave the claim back.
    ``status`` is the event's status afterwards, None if unknown; so for the instance's. ``newly_in_doubt`` means that
    this run left a call in doubt. ``plan_failed`` means that the run ended with the instance canceled, because its next
    cycle could not be dated. ``next_at`` is when the instance's next event is due, None if none is or if another
    runner has the instance. ``opened_circuits`` are the services whose circuit the calls of this run opened.
    """

    account_id: AccountId
    strategy: StrategySid
    version: int
    instance: InstanceSid
    event: EventSid
    task: str
    kind: EventKind
    cycle: int
    run: int
    attempt: int
    claimed_at: datetime
    late: timedelta
    taken_over: bool
    took: timedelta
    steps: int
    calls: tuple[CallReport, ...]
    limit_waits: tuple[LimitWait, ...]
    opened_circuits: tuple[str, ...]
    answers_overdue: int
    outcome: RunOutcome
    status: EventStatus | None
    in_doubt: bool
    newly_in_doubt: bool
    instance_status: InstanceStatus | None
    cancel_reason: CancelReason | None
    plan_failed: bool
    next_at: datetime | None


def stopped_by(before: Event, applied: Applied, *, stored: EventRecord | None = None) -> Stopped:
    """Return the instance, the event and the outcome after a verdict that ends a run, or replaces it.

    ``before`` is the event before the verdict. ``stored`` is its record if an earlier runner had stored it already.
    """
    instance = applied.instance
    records = (*applied.records, *(() if stored is None else (stored,)))
    record = next((record for record in records if record.event.seq == before.seq), None)
    event = instance.event(before.seq) or (None if record is None else record.event)
    if event is None:
        return Stopped(instance=instance, outcome=RunOutcome.LOST)
    return Stopped(instance=instance, outcome=_outcome(before, event, record), event=event)


def call_report(context: StepContext, intent: Intent, call: CallOutcome, *, began_at: datetime) -> CallReport:
    """Return the report of the call of a step, which has just returned."""
    action = context.strategy.definition.actions[context.task.steps[intent.step].action or ""]
    service, method = method_of(context.strategy, action)
    status = call.status if isinstance(call, Answered) else None
    call_class = _call_class(call)
    unusable = isinstance(call, Answered) and call.unusable is not None
    answered = call_class in (CallClass.SUCCESS, CallClass.REDIRECT, CallClass.CLIENT_ERROR)
    return CallReport(
        step=intent.step,
        service=service.key,
        method=method.key,
        attempt=intent.attempt,
        repeat=intent.repeat,
        status=status,
        call_class=call_class,
        failed=unusable or not answered or status in REFUSED_FOR_NOW,
        began_at=began_at,
        took=context.now - began_at,
    )


class RunWatch(Struct, frozen=True, kw_only=True):
    """Reports the outcome of an event that was due. ``before`` is the instance before the claim."""

    before: Instance
    due: Due
    claimed_at: datetime
    clock: Clock
    report: Callable[[RunReport], None]

    def ended(self, tally: RunTally, stopped: Stopped) -> None:
        """Report the end of the run, or the decision of the claim instead. A claim that failed is not reported."""
        if stopped.outcome is not None:
            self.report(_run_report(self, tally, stopped, stopped.outcome))


def _run_report(watch: RunWatch, tally: RunTally, stopped: Stopped, outcome: RunOutcome) -> RunReport:
    before, due, event = watch.before, watch.due, watch.due.event
    left, after = stopped.event, stopped.instance
    following = None if after is None else next_event(after)
    in_doubt = left is not None and left.in_doubt
    return RunReport(
        account_id=before.account_id,
        strategy=before.strategy_sid,
        version=event.claim.version or before.strategy_version,
        instance=before.sid,
        event=before.event_sid(event),
        task=event.task,
        kind=event.kind,
        cycle=event.created_cycle,
        run=event.run,
        attempt=event.attempt,
        claimed_at=watch.claimed_at,
        late=watch.claimed_at - due_since(before, due),
        taken_over=due.abandoned is not None,
        took=watch.clock.now() - watch.claimed_at,
        steps=tally.steps,
        calls=tuple(tally.calls),
        limit_waits=tuple(tally.limit_waits),
        opened_circuits=tuple(tally.opened_circuits),
        answers_overdue=tally.answers_overdue,
        outcome=outcome,
        status=None if left is None else left.status,
        in_doubt=in_doubt,
        newly_in_doubt=in_doubt and not event.in_doubt,
        instance_status=None if after is None else after.status,
        cancel_reason=None if after is None else after.cancel_reason,
        plan_failed=_plan_failed(before, after),
        next_at=None if following is None else following.due_at,
    )


def _plan_failed(before: Instance, after: Instance | None) -> bool:
    if after is None or before.status.is_final:
        return False
    return after.cancel_reason is CancelReason.CREATE_CYCLE_ERROR


class OverdueAnswer(Struct, frozen=True, kw_only=True):
    """An answer without a time limit that was expected ``since`` an instant. Its event waits on."""

    account_id: AccountId
    strategy: StrategySid
    instance: InstanceSid
    event: EventSid
    task: str
    since: datetime


def newly_overdue(before: Instance, after: Instance) -> tuple[OverdueAnswer, ...]:
    """Return the overdue answers that were noted between two states of an instance."""
    known = {event.seq for event in before.events if event.pause is not None and event.pause.is_overdue}
    return tuple(
        OverdueAnswer(
            account_id=after.account_id,
            strategy=after.strategy_sid,
            instance=after.sid,
            event=after.event_sid(event),
            task=event.task,
            since=event.pause.expected_by,
        )
        for event in after.events
        if event.pause is not None
        and event.pause.is_overdue
        and event.pause.expected_by is not None
        and event.seq not in known
    )


def _call_class(call: CallOutcome) -> CallClass:
    if isinstance(call, Answered):
        return _CLASSES.get(call.status // 100, CallClass.OTHER)
    return CallClass.NO_ANSWER if isinstance(call, TimedOut) else CallClass.NOT_SENT


_PAUSED = {
    PausedFor.ANSWER: RunOutcome.AWAITS_ANSWER,
    PausedFor.EXHAUSTED: RunOutcome.EXHAUSTED,
    PausedFor.OPERATOR: RunOutcome.PAUSED,
    PausedFor.IN_DOUBT: RunOutcome.IN_DOUBT,
    PausedFor.POISONED: RunOutcome.POISONED,
}


def _outcome(  # noqa: PLR0911 - one return for each end of a run
    before: Event, event: Event, record: EventRecord | None
) -> RunOutcome:
    """Return how a run ended, by the state of its event afterwards."""
    if event.paused_for is not None:
        return _PAUSED[event.paused_for]
    if event.status is EventStatus.PROCESSED:
        return RunOutcome.PROCESSED
    if event.status is EventStatus.CANCELED:
        return RunOutcome.CANCELED
    if event.status is EventStatus.FAILED:
        crashed = record is not None and record.closed_by is ClosedBy.CRASHES
        return RunOutcome.POISONED if crashed else RunOutcome.EXHAUSTED
    if before.status is not EventStatus.EXECUTING:
        # The event was not claimed: its claim changed the plan.
        return RunOutcome.REPLANNED
    if event.status is EventStatus.PENDING:
        return RunOutcome.RETRIED if event.run > before.run else RunOutcome.WAITS
    return RunOutcome.HANDED_OVER
