"""An unfinished event of an instance, and the states it moves through."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from shared.domain.ids import CorrelationId
from shared.domain.instance.run import Then


class EventStatus(StrEnum):
    """Where an event stands. Source: contracts/core.md section 3.4."""

    ONHOLD = "ONHOLD"
    """Waits for an operator's ``execute``. Put there at creation by ``manualTrigger``, or by a ``createIf``
    that could not be evaluated; left by execute (QUEUED) and by whatever closes it (CANCELED)."""
    PENDING = "PENDING"
    """Waits for its date. Put there at creation, by a retry, by a step's delay and by a release for a paused
    queue or strategy; left by a claim (EXECUTING), by execute (QUEUED) and by whatever closes it."""
    QUEUED = "QUEUED"
    """Wants to run now. Put there by execute, by a resume that restarts it, by a resolve, by a redrive and by
    a run that goes on in a fresh invocation; left by a claim (EXECUTING) and by whatever closes it (CANCELED)."""
    EXECUTING = "EXECUTING"
    """A step runner holds the lease. Put there by a claim; left when the run ends, waits or stops, or, once
    the lease has passed, by the next claim."""
    PAUSED = "PAUSED"
    """Waits for somebody (``paused_for``). Put there by an asynchronous call, by used-up attempts, by a call in
    doubt, by a pause of its instance between two steps, or by crashes; left by an answer, resume, resolve or
    redrive (QUEUED), by a claim once the time for an answer is over, and by whatever closes it (CANCELED)."""
    PROCESSED = "PROCESSED"
    """Final: its task ended. Put there by the conclusion of a run."""
    FAILED = "FAILED"
    """Closed: out of attempts or crashes. Put there by the conclusion of a run or by a claim; left by a redrive
    (QUEUED)."""
    CANCELED = "CANCELED"
    """Final: stopped or skipped. Put there by commands, by its instance's end, or by the late-plan rule."""

    @property
    def is_final(self) -> bool:
        """Whether it has closed: nothing but the redrive of a FAILED one leaves it."""
        return self in (EventStatus.PROCESSED, EventStatus.FAILED, EventStatus.CANCELED)


class PausedFor(StrEnum):
    """Whom a PAUSED event waits for."""

    ANSWER = "ANSWER"
    """An asynchronous call was sent: its answer, or the end of the time for it, lets the event go on."""
    EXHAUSTED = "EXHAUSTED"
    """Its attempts are used up: a resume of the instance starts a new run with attempt 1."""
    OPERATOR = "OPERATOR"
    """Its instance was paused between two of its steps: a resume goes on where it stopped."""
    IN_DOUBT = "IN_DOUBT"
    """A call may or may not have reached its service: ``resolve`` decides."""
    POISONED = "POISONED"
    """Its runner died five times without progress: a resume tries once more."""


class EventKind(StrEnum):
    """Why an event exists."""

    MAIN = "MAIN"
    """It carries the cycle."""
    LEADING_UP = "LEADING_UP"
    """It runs ahead of a cycle's main event."""
    ON_CREATE = "ON_CREATE"
    """It came with the instance."""
    ON_CANCEL = "ON_CANCEL"
    """It came with the instance's cancelation, and may run although the instance is canceled."""
    ADDED = "ADDED"
    """An operator or a controller added it."""


class Resolution(StrEnum):
    """What an operator decides about a call in doubt."""

    RETRY = "retry"
    """It is sent again under the same key."""
    SKIP = "skip"
    """Its step counts as not successful, and the run goes on as after success."""
    FAIL = "fail"
    """Its attempt fails."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerMark:
    """Which answer the event has taken. correlation_id: to which sending. key: where it is on file."""

    correlation_id: CorrelationId
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RedrivenFrom:
    """A step that an operator had executed again with all that a run does after it. run: the first to do so."""

    step: str
    run: int


ANY_VISITS = 1000
"""More steps than a run can have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One scheduled run of one task, as the aggregate holds it until it closes.

    seq: its number on the instance, from 1. date: when it is planned; a retry moves it.
    due_at: when it may start: the date, the end of a step's delay, the moment it was queued, or ``answer_by``.
    attempt: from 1, the retry budget's counter. run: from 1, never set back.
    ring: rises with each new ``due_at``; names its doorbell.
    first_date: the date it had before a retry moved it; None where none has.
    version: the strategy version it is bound to from its first claim on; None before.
    off_hold_at: when an operator ran it that had been on hold.
    begun_at: its first claim that was not released again; None while it has not begun.
    outset: what its current run set out to do first; None where the next claim starts a new run.
    fence: the instance's when it was last claimed.
    known_visits: how many steps of its run were on file then, or when it was set down; ``ANY_VISITS`` where nobody
    knew. crashes: since one was added.
    applied: (run, visit) of the last journal entry whose directives were applied.
    resets: steps that have already set its attempt counter back.
    side_results_from: the first run whose side-path results still count.
    again: for each step it was redriven from, the run that began with: from there on in a run, results of
    earlier runs do not count.
    unsure: the step it stands at may already have been sent to its service.
    hurried: an operator has cut short the delay of the step it stands at.
    in_doubt: some call of it was, or may have been, sent more than once or without an answer.
    answered: the last answer to an asynchronous call that was taken.
    answer_by: while it is PAUSED for an answer: until when, where that is limited.
    resolution: what an operator decided about its call in doubt, until its runner has heeded it.
    job: the invocation that last ran it.
    last_error: why the last attempt failed, for people.
    problem: what could not be evaluated when it was created.
    """

    seq: int
    kind: EventKind
    task: str
    date: datetime
    due_at: datetime
    status: EventStatus
    created_at: datetime
    updated_at: datetime
    created_cycle: int
    paused_for: PausedFor | None = None
    after_cancellation: bool = False
    data: Mapping[str, str] = field(default_factory=dict)
    attempt: int = 1
    run: int = 1
    wakeup_seq: int = 1
    first_date: datetime | None = None
    version: int | None = None
    off_hold_at: datetime | None = None
    begun_at: datetime | None = None
    scheduled_at: datetime | None = None
    executed_at: datetime | None = None
    first_action: Then | None = None
    fence: int = 0
    known_visits: int = 0
    crashes: int = 0
    applied: tuple[int, int] = (0, 0)
    resets: tuple[str, ...] = ()
    side_results_from: int = 1
    redriven_from: tuple[RedrivenFrom, ...] = ()
    call_in_doubt: bool = False
    delay_skipped: bool = False
    in_doubt: bool = False
    answered: AnswerMark | None = None
    answer_by: datetime | None = None
    resolution: Resolution | None = None
    job: str | None = None
    last_error: str | None = None
    problem: str | None = None

    def after_visits(self, visits: int) -> "Event":
        """Itself, known to have got so far in its run.

        Beyond the step it was claimed at, that step's doubt and delay, what was decided of it and its crashes are past.
        """
        if visits <= self.known_visits:
            return self
        return replace(
            self, known_visits=visits, crashes=0, call_in_doubt=False, delay_skipped=False, resolution=None
        )

    def with_doubt(self, in_doubt: bool) -> "Event":  # noqa: FBT001 - a field of a command
        """Itself, some call of it in doubt if that is so; once it is, it stays."""
        return replace(self, in_doubt=True) if in_doubt else self

    def has_answer_to(self, correlation_id: CorrelationId) -> bool:
        """Whether the answer to a sending has been taken."""
        return self.answered is not None and self.answered.correlation_id == correlation_id

    @property
    def planned_at(self) -> datetime:
        """When it was planned for before any retry."""
        return self.first_date or self.date

    @property
    def is_main(self) -> bool:
        """Whether it carries the cycle."""
        return self.kind is EventKind.MAIN

    @property
    def has_begun(self) -> bool:
        """Whether a runner has ever set out on it."""
        return self.begun_at is not None
