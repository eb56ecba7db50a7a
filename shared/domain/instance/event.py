"""An unfinished event of an instance, and its states."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from msgspec import Struct, field
from msgspec.structs import replace

from shared.domain.ids import CorrelationId
from shared.domain.instance.reason import EventFailure
from shared.domain.instance.run import Then


class EventStatus(StrEnum):
    """The status of an event. Source: docs/contracts/core.md section 3.4."""

    ONHOLD = "ONHOLD"
    """Waits for an operator's ``execute``. Set at creation by ``manualTrigger``, or if ``createIf`` could not be
    evaluated. Left by ``execute`` (QUEUED) and when the event is closed (CANCELED).
    """
    PENDING = "PENDING"
    """Waits for its date. Set at creation, by a retry, by a step's delay, and when a paused queue or strategy is
    released. Left by a claim (EXECUTING), by ``execute`` (QUEUED), and when the event is closed.
    """
    QUEUED = "QUEUED"
    """Ready to run now. Set by ``execute``, by a resume that restarts the event, by ``resolve``, by a redrive, and when
    a run continues in a new invocation. Left by a claim (EXECUTING) and when the event is closed (CANCELED).
    """
    EXECUTING = "EXECUTING"
    """A runner holds the lease. Set by a claim. Left when the run ends, waits or stops, or by the next claim after the
    lease has expired.
    """
    PAUSED = "PAUSED"
    """Waits for an answer or an operator (``paused_for``). Set by an asynchronous call, when the attempts are used
    up, by a call in doubt, by a pause of the instance between two steps, and by repeated crashes. Left by an answer,
    ``resume``, ``resolve`` or a redrive (QUEUED), by a claim after the answer is overdue, and when the event is
    closed (CANCELED).
    """
    PROCESSED = "PROCESSED"
    """Final: the task ended. Set when a run is concluded."""
    FAILED = "FAILED"
    """Closed: the attempts are used up, or its runners crashed too often. Set when a run is concluded, or by a claim.
    Left by a redrive (QUEUED).
    """
    CANCELED = "CANCELED"
    """Final: stopped or skipped. Set by commands, by the end of the instance, or by the rule for missed dates."""

    @property
    def is_final(self) -> bool:
        """Return whether the event has closed. Only a redrive reopens a closed event, and only a FAILED one."""
        return self in (EventStatus.PROCESSED, EventStatus.FAILED, EventStatus.CANCELED)


class PausedFor(StrEnum):
    """The reason why an event is PAUSED."""

    ANSWER = "ANSWER"
    """An asynchronous call was sent. The event continues when the answer arrives or its time limit passes."""
    EXHAUSTED = "EXHAUSTED"
    """The attempts are used up. A resume of the instance starts a new run with attempt 1."""
    OPERATOR = "OPERATOR"
    """The instance was paused between two steps. A resume continues with the next step."""
    IN_DOUBT = "IN_DOUBT"
    """A call may or may not have reached its service. ``resolve`` decides."""
    POISONED = "POISONED"
    """Its runner crashed five times without progress. A resume tries again."""


class EventKind(StrEnum):
    """The reason why an event exists."""

    MAIN = "MAIN"
    """The main event of a cycle."""
    LEADING_UP = "LEADING_UP"
    """Runs before a cycle's main event."""
    ON_CREATE = "ON_CREATE"
    """Created together with the instance."""
    ON_CANCEL = "ON_CANCEL"
    """Created when the instance was canceled. It runs although the instance is canceled."""
    ADDED = "ADDED"
    """Added by an operator or a controller."""


class Resolution(StrEnum):
    """An operator's decision about a call in doubt."""

    RETRY = "retry"
    """Send the call again under the same key."""
    SKIP = "skip"
    """Record the step as not successful, and continue as after a success."""
    FAIL = "fail"
    """Fail the attempt."""


class AnswerMark(Struct, frozen=True, kw_only=True):
    """The answer that an event has taken.

    ``correlation_id`` names the call that was answered. ``key`` is the key under which the answer is stored.
    """

    correlation_id: CorrelationId
    key: str


class RedrivenFrom(Struct, frozen=True, kw_only=True):
    """A step from which an operator has redriven the event. ``run`` is the first run that executed the step again."""

    step: str
    run: int


class EventPause(Struct, frozen=True, kw_only=True):
    """Details of a PAUSED event.

    ``answer_by`` is when it stops waiting for an answer, or None for no limit. ``expected_by`` is when an answer
    without a limit counts as overdue: the event waits on, and a person should look at it. ``is_overdue`` means that
    this instant has passed and was noted.
    """

    waits_for: PausedFor
    answer_by: datetime | None = None
    expected_by: datetime | None = None
    is_overdue: bool = False


class EventTimes(Struct, frozen=True, kw_only=True):
    """When an event last reached certain points; each is None before that.

    ``left_onhold_at`` is when an operator executed the event while it was ONHOLD. ``begun_at`` is its first claim,
    unless that claim was undone because a flag blocked the instance. ``scheduled_at`` is when its date arrived or it
    was queued. ``executed_at`` is when its current run began.
    """

    left_onhold_at: datetime | None = None
    begun_at: datetime | None = None
    scheduled_at: datetime | None = None
    executed_at: datetime | None = None


class LastClaim(Struct, frozen=True, kw_only=True):
    """The last claim of an event.

    ``fence`` is the instance's fence at the claim, 0 if there was none. ``job`` is the runner's invocation.
    ``version`` is the strategy version that the event is bound to from its first claim on.
    """

    fence: int = 0
    job: str | None = None
    version: int | None = None


class RunProgress(Struct, frozen=True, kw_only=True):
    """The progress of an event's current run. A new run starts with an empty progress.

    ``first_action`` is the first thing the run does, None until a claim starts the run. ``known_visits`` is how many
    steps of the run were in the journal at the claim, or when the run was interrupted. ``was_killed`` means that a kill
    has interrupted it since, so more of them may be there.

    The other fields describe the step after these; after a kill, the step at which the run continues. ``crashes``
    counts the runners that crashed at it, and ``give_backs`` those that gave their claim back because a store was
    unavailable. ``call_in_doubt`` means that its call may have been sent; ``in_doubt_since`` is when its first sending
    was over at the latest, or when an operator decided. ``delay_skipped`` means that an operator skipped its delay.
    ``resolution`` is an operator's decision about its call in doubt.
    """

    first_action: Then | None = None
    known_visits: int = 0
    was_killed: bool = False
    crashes: int = 0
    give_backs: int = 0
    call_in_doubt: bool = False
    in_doubt_since: datetime | None = None
    delay_skipped: bool = False
    resolution: Resolution | None = None

    def with_doubt(self, since: datetime) -> "RunProgress":
        """Return the progress with its call in doubt. An earlier doubt keeps its instant."""
        return replace(self, call_in_doubt=True, in_doubt_since=self.in_doubt_since or since)

    def after_visits(self, visits: int) -> "RunProgress":
        """Return the progress after ``visits`` steps; facts about an earlier step are dropped."""
        if visits <= self.known_visits:
            return self
        if self.was_killed:
            return replace(self, known_visits=visits, delay_skipped=False)
        return RunProgress(first_action=self.first_action, known_visits=visits)


class ResultReuse(Struct, frozen=True, kw_only=True):
    """The runs from which stored step results may be reused.

    ``side_results_from`` is the first run whose side-path results are reused. ``redriven_from`` lists the steps from
    which an operator redrove the event; from such a step on, results of earlier runs are not reused.
    """

    side_results_from: int = 1
    redriven_from: tuple[RedrivenFrom, ...] = ()


class Move(Struct, frozen=True, kw_only=True):
    """A cycle's due date differs from its planned date. ``why`` names the cause, as text for users.

    ``spread_seconds`` is the part of the difference that only spreads the load. An end date does not count it.
    """

    planned: datetime
    why: str
    spread_seconds: int = 0


class Event(Struct, frozen=True, kw_only=True):
    """One scheduled run of one task, stored on the instance until it closes.

    ``seq`` is its number on the instance, from 1. ``date`` is when it is due; a retry moves it. ``first_date`` is the
    date before any retry, None if it was never retried. ``move`` is set if that is not the date its cycle is planned
    for. ``due_at`` is when it may start: the date, the end of a step's delay, the time it was queued, or ``answer_by``.
    ``wakeup_seq`` rises with each new ``due_at`` and is part of the wakeup's name.

    ``run`` counts from 1 and is never reset. ``attempt`` counts from 1 within the retry budget; ``resets`` lists the
    steps that have already reset it. ``applied`` is the (run, visit) of the last journal entry whose directives were
    applied. ``in_doubt`` means that a POST or PATCH got no definite answer and may have taken effect.
    ``answered`` is the last answer to an asynchronous call that was taken.

    ``failure`` is the last failed attempt. ``problem`` is an expression error from when it was created.
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
    move: Move | None = None
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
    failure: EventFailure | None = None
    problem: str | None = None

    def waiting(
        self, status: EventStatus, due_at: datetime, *, pause: EventPause | None = None, now: datetime
    ) -> "Event":
        """Return the event waiting until ``due_at``, under a new wakeup name."""
        # The name must be new: if a schedule of the same name exists, this wakeup counts as scheduled.
        return replace(
            self, status=status, pause=pause, due_at=due_at, wakeup_seq=self.wakeup_seq + 1, updated_at=now
        )

    def queued(self, *, now: datetime) -> "Event":
        """Return the event QUEUED, so that it runs now."""
        times = replace(self.times, scheduled_at=now)
        return replace(self.waiting(EventStatus.QUEUED, now, now=now), times=times)

    def paused(self, waits_for: PausedFor) -> "Event":
        """Return the event PAUSED without a time limit."""
        return replace(self, status=EventStatus.PAUSED, pause=EventPause(waits_for=waits_for))

    def after_visits(self, visits: int) -> "Event":
        """Return the event with ``visits`` steps of its run known to be done."""
        return replace(self, progress=self.progress.after_visits(visits))

    def with_doubt(self, in_doubt: bool) -> "Event":  # noqa: FBT001 - a field of a command
        """Return the event, marked in doubt if ``in_doubt`` is set. The mark is never removed."""
        return replace(self, in_doubt=self.in_doubt or in_doubt)

    @property
    def paused_for(self) -> PausedFor | None:
        """Return why the event is PAUSED, or None if it is not."""
        return None if self.pause is None else self.pause.waits_for

    def has_answer_to(self, correlation_id: CorrelationId) -> bool:
        """Return whether the event has taken an answer to this call."""
        return self.answered is not None and self.answered.correlation_id == correlation_id

    @property
    def last_error(self) -> str | None:
        """Return why the last attempt failed, as text for users, or None."""
        return None if self.failure is None else self.failure.message

    @property
    def is_retrying(self) -> bool:
        """Return whether it has failed and waits for its next attempt."""
        # A retry begins a new run, which has no first action yet; a delay waits inside its run.
        has_new_run = self.has_begun and self.progress.first_action is None
        return self.status is EventStatus.PENDING and has_new_run

    @property
    def first_due_at(self) -> datetime:
        """Return when it was due before any retry."""
        return self.first_date or self.date

    @property
    def planned_date(self) -> datetime:
        """Return the date its cycle is planned for, which a callback may have moved it from."""
        return self.first_due_at if self.move is None else self.move.planned

    @property
    def is_main(self) -> bool:
        """Return whether it is the main event of a cycle."""
        return self.kind is EventKind.MAIN

    @property
    def is_of_plan(self) -> bool:
        """Return whether it belongs to a cycle of the plan."""
        return self.kind in (EventKind.MAIN, EventKind.LEADING_UP)

    @property
    def has_begun(self) -> bool:
        """Return whether a runner has ever claimed it."""
        return self.times.begun_at is not None
