"""The stored trace of a run: its journal, and the record of a closed event.

After a crash the next runner continues from the journal. It therefore holds every decision that must not be made
again. Source: docs/design.md sections 3.4 to 3.8.
"""

from datetime import datetime
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from shared.domain.ids import CorrelationId, InstanceSid
from shared.domain.instance.event import Event
from shared.domain.instance.run import Intent, Outcome, RunEnd, StepError, Then
from shared.domain.strategy.model import Json


class JournalEntry(Struct, frozen=True, kw_only=True):
    """One executed step: its intent, its outcome, and the chosen next action.

    It is stored under (event, run, visit). An entry never replaces one with a higher ``fence``. ``digest`` is the
    hash of the request that was sent, or about to be sent, None if no request was built. ``answered`` is the HTTP
    status of the answer, None if there was none.
    """

    seq: int
    run: int
    fence: int
    intent: Intent
    outcome: Outcome
    then: Then
    started_at: datetime
    finished_at: datetime
    digest: str | None = None
    answered: int | None = None


class ClosedBy(StrEnum):
    """The cause that closed an event."""

    RUN = "RUN"
    """Its run ended: PROCESSED or FAILED."""
    CRASHES = "CRASHES"
    """Its runners crashed too often without progress: FAILED."""
    INSTANCE = "INSTANCE"
    """Its instance was canceled or completed."""
    MAIN_EVENT = "MAIN_EVENT"
    """It was a leading-up event, and its main event closed."""
    LATE_PLAN = "LATE_PLAN"
    """Its date had passed: the rule for missed dates, or of its leading-up task, skipped it."""
    COINCIDES = "COINCIDES"
    """Its cycle would have been due no later than the one before it."""
    NO_BUSINESS_DAY = "NO_BUSINESS_DAY"
    """Its date was no business day, and the convention of its calendar skips those."""
    END_DATE = "END_DATE"
    """The plan ends before its date."""
    OPERATOR = "OPERATOR"
    """An operator canceled the event or its task, or skipped its cycle."""
    CONTROLLER = "CONTROLLER"
    """A controller canceled its task."""
    MIGRATION = "MIGRATION"
    """Its instance was migrated to a strategy version without its task."""


class EventRecord(Struct, frozen=True, kw_only=True):
    """A closed event. It is kept until it expires (``Retention``), unless the event is redriven.

    ``event`` is the event with its final status. ``fence`` is that of the claim that ended it, or the
    instance's after the command or takeover that closed it.
    ``last`` is the run's last step if the journal does not hold it. ``end`` is how its last run ended, None if the
    run did not close it. ``in_doubt`` is as in ``Event``.

    ``closed_by`` is the cause, ``by`` the actor (None for the engine), and ``reason`` the actor's reason. ``why``
    explains in words why the event was skipped, canceled or given up.

    A record of a range of skipped dates has ``skipped_cycles`` (first, last) and ``skipped_until``, the last date.
    The first date is the event's.
    """

    instance_sid: InstanceSid
    event: Event
    fence: int
    finished_at: datetime
    in_doubt: bool = False
    last: JournalEntry | None = None
    end: RunEnd | None = None
    why: str | None = None
    closed_by: ClosedBy = ClosedBy.RUN
    by: str | None = None
    reason: str | None = None
    skipped_cycles: tuple[int, int] | None = None
    skipped_until: datetime | None = None


class Answer(Struct, frozen=True, kw_only=True):
    """A service's answer to a correlation id. It counts after the event has taken it (``Event.answered``).

    ``key`` is derived from correlation id and body, so different answers never overwrite each other. ``body`` is None
    if none was sent. ``by`` is the id of the access key.
    """

    correlation_id: CorrelationId
    key: str
    at: datetime
    by: str
    body: Json = None


class EventHistory(Struct, frozen=True, kw_only=True):
    """Everything stored about one event besides the instance: journal, record if closed, and answers."""

    entries: tuple[JournalEntry, ...] = ()
    record: EventRecord | None = None
    answers: tuple[Answer, ...] = ()

    def with_entry(self, entry: JournalEntry) -> "EventHistory":
        """Return the history with ``entry`` added; it replaces an entry of the same visit."""
        place = (entry.run, entry.intent.visit)
        others = tuple(other for other in self.entries if (other.run, other.intent.visit) != place)
        return replace(self, entries=(*others, entry))


class StepResult(Struct, frozen=True, kw_only=True):
    """One element of ``stack``: the result of a step as callbacks and templates see it.

    ``cached`` is the immediate reply to an asynchronous call, before its answer. ``in_doubt`` means that the call may
    have taken effect without a definite answer.
    """

    success: bool
    response: Json = None
    cached: Json = None
    error: StepError | None = None
    in_doubt: bool = False
    from_cache: bool = False
