"""What a run leaves behind: its journal, and the record of an event that closed.

The journal is what a crash is repaired from, so everything a later runner must not decide again is
in it. Source: design section 3, items 4 to 8.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from shared.domain.ids import CorrelationId, InstanceSid
from shared.domain.instance.event import Event
from shared.domain.instance.run import Intent, Outcome, RunEnd, StepError, Then
from shared.domain.strategy.model import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalEntry:
    """One executed step: the intent it had, what came of it, what was chosen next.

    Kept under (event, run, visit). An entry with a lower ``fence`` never replaces one with a higher.
    digest: of the request that was sent, or was about to be; None where none was built.
    answered: the HTTP status of the answer, None where there was none.
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
    """What closed an event."""

    RUN = "RUN"
    """Its own run came to its end: PROCESSED, or FAILED."""
    CRASHES = "CRASHES"
    """Its runners died too often without progress: FAILED."""
    INSTANCE = "INSTANCE"
    """Its instance was canceled or completed."""
    MAIN_EVENT = "MAIN_EVENT"
    """The main event it led up to has closed."""
    LATE_PLAN = "LATE_PLAN"
    """Its date had passed, and the rule for late plans skipped it."""
    END_DATE = "END_DATE"
    """The plan ends before its date."""
    OPERATOR = "OPERATOR"
    """An operator canceled it, or its task."""
    CONTROLLER = "CONTROLLER"
    """A controller canceled its task."""
    MIGRATION = "MIGRATION"
    """Its instance was moved to a version of the strategy that has no place for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRecord:
    """A closed event, kept for good, unless it is run again.

    event: as it closed, with a final status. fence: of the claim or command that closed it.
    last: the run's last step where the journal does not hold it.
    end: how its last run ended, None where something other than its run closed it.
    in_doubt: a call of this event was, or may have been, sent more than once or without an answer.
    why: for an event that did not end by its own run: skipped, canceled by whom, poisoned.
    closed_by: what closed it. by: who did, None for the engine. reason: what they gave for it.
    skipped_cycles: for a range of skipped dates, the cycles it stands for (first, last).
    skipped_until: the last of these dates; the first is the event's.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a service sent to a correlation id. It counts once the event has taken it (``Event.answered``).

    key: of correlation id and body, so that two answers never overwrite each other. body: None where none was sent.
    by: the access key's id.
    """

    correlation_id: CorrelationId
    key: str
    at: datetime
    by: str
    body: Json = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventHistory:
    """All that is stored of one event besides the aggregate: its journal, its record if closed, answers to it."""

    entries: tuple[JournalEntry, ...] = ()
    record: EventRecord | None = None
    answers: tuple[Answer, ...] = ()

    def with_entry(self, entry: JournalEntry) -> "EventHistory":
        """Itself with one more entry, in place of what stood for the same visit."""
        place = (entry.run, entry.intent.visit)
        others = tuple(other for other in self.entries if (other.run, other.intent.visit) != place)
        return replace(self, entries=(*others, entry))


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResult:
    """One element of ``stack``: what callbacks and templates see of a step.

    cached: of an asynchronous step, the reply that came before the answer.
    unanswered: its call may have reached the service and no answer came.
    """

    success: bool
    response: Json = None
    cached: Json = None
    error: StepError | None = None
    unanswered: bool = False
    from_cache: bool = False
