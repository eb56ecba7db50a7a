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
class EventPause:
    """What a PAUSED event waits for. answer_by: until when it waits for an answer; None if there is no limit."""

    waits_for: PausedFor
    answer_by: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventTimes:
    """When an event was last moved on; each None until then.

    off_hold_at: an operator ran it while it was ONHOLD.
    begun_at: its first claim, unless that was undone because a flag blocked it.
    scheduled_at: its date came, or it was queued. executed_at: its current run began.
    """

    off_hold_at: datetime | None = None
    begun_at: datetime | None = None
    scheduled_at: datetime | None = None
    executed_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LastClaim:
    """The last claim of an event.

    fence: the instance's at the claim; 0 if there was none. job: the runner's invocation.
    version: the strategy version that the event is bound to from its first claim on.
    """

    fence: int = 0
    job: str | None = None
    version: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunProgress:
    """How far the current run of an event has come. A new run starts with an empty one.

    first_action: what the run does first; None until a claim starts the run.
    known_visits: how many steps of the run were journalled at the claim, or when the run was set down;
    ``ANY_VISITS`` if nobody could know.
    The rest is about the step after these. crashes: how many runners have crashed there.
    call_in_doubt: its call may already have been sent. delay_skipped: an operator has cut short its delay.
    resolution: what an operator decided about its call in doubt.
    """

    first_action: Then | None = None
    known_visits: int = 0
    crashes: int = 0
    call_in_doubt: bool = False
    delay_skipped: bool = False
    resolution: Resolution | None = None

    def after_visits(self, visits: int) -> "RunProgress":
        """Return the progress after so many steps; past a step, what was known about it no longer counts."""
        if visits <= self.known_visits:
            return self
        return RunProgress(first_action=self.first_action, known_visits=visits)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultReuse:
    """From which runs on stored results of steps count.

    side_results_from: the first run whose side-path results count.
    redriven_from: the steps an operator had executed again, each with the run that began with it: from that
    step on, results of earlier runs do not count.
    """

    side_results_from: int = 1
    redriven_from: tuple[RedrivenFrom, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One scheduled run of one task, as the aggregate holds it until it closes.

    seq: its number on the instance, from 1. date: when it is planned; a retry moves it.
    first_date: the date before a retry moved it; None if none has.
    due_at: when it may start: its date, the end of a step's delay, when it was queued, or ``answer_by``.
    wakeup_seq: rises with each new ``due_at``; part of the wakeup's name.
    run: from 1, never reset. attempt: from 1, the counter of the retry budget.
    resets: the steps that have already set ``attempt`` back.
    applied: (run, visit) of the last journal entry whose directives were applied.
    in_doubt: a call of it was, or may have been, sent more than once or without an answer.
    answered: the last answer to an asynchronous call that was taken.
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
    pause: EventPause | None = None
    after_cancellation: bool = False
    data: Mapping[str, str] = field(default_factory=dict)
    first_date: datetime | None = None
    wakeup_seq: int = 1
    run: int = 1
    attempt: int = 1
    resets: tuple[str, ...] = ()
    times: EventTimes = field(default_factory=EventTimes)
    claim: LastClaim = field(default_factory=LastClaim)
    progress: RunProgress = field(default_factory=RunProgress)
    reuse: ResultReuse = field(default_factory=ResultReuse)
    applied: tuple[int, int] = (0, 0)
    in_doubt: bool = False
    answered: AnswerMark | None = None
    last_error: str | None = None
    problem: str | None = None

    def waiting(
        self, status: EventStatus, due_at: datetime, *, pause: EventPause | None = None, now: datetime
    ) -> "Event":
        """Itself waiting until ``due_at``, under a wakeup of its own."""
        return replace(
            self, status=status, pause=pause, due_at=due_at, wakeup_seq=self.wakeup_seq + 1, updated_at=now
        )

    def queued(self, *, now: datetime) -> "Event":
        """Itself QUEUED: it wants to run now."""
        times = replace(self.times, scheduled_at=now)
        return replace(self.waiting(EventStatus.QUEUED, now, now=now), times=times)

    def paused(self, waits_for: PausedFor) -> "Event":
        """Itself PAUSED without a time limit."""
        return replace(self, status=EventStatus.PAUSED, pause=EventPause(waits_for=waits_for))

    def after_visits(self, visits: int) -> "Event":
        """Itself, known to have done so many steps of its run."""
        return replace(self, progress=self.progress.after_visits(visits))

    def with_doubt(self, in_doubt: bool) -> "Event":  # noqa: FBT001 - a field of a command
        """Itself, with a call in doubt if ``in_doubt``; once it has one, that stays."""
        return replace(self, in_doubt=self.in_doubt or in_doubt)

    @property
    def paused_for(self) -> PausedFor | None:
        """What it waits for while it is PAUSED."""
        return None if self.pause is None else self.pause.waits_for

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
        """Whether a runner has ever claimed it for a run."""
        return self.times.begun_at is not None
