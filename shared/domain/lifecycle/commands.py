"""The commands that ``decide`` accepts."""

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct, field

from shared.domain.ids import CorrelationId
from shared.domain.instance.event import Event, Resolution
from shared.domain.instance.journal import Answer, EventHistory, JournalEntry
from shared.domain.instance.model import BlockedBy
from shared.domain.instance.run import Intent, RunEnd
from shared.domain.instance.verdict import ENGINE, Actor
from shared.domain.strategy.model import Json, OnResume, Strategy


class Pause(Struct, frozen=True, kw_only=True):
    """Start no further event. With ``kill``, a step in flight is interrupted and its late result discarded.

    ``until`` is when the instance resumes by itself. It is changed only if ``sets_until`` is True; None then removes
    it.
    """

    by: Actor
    kill: bool = False
    sets_until: bool = False
    until: datetime | None = None


class EndPause(Struct, frozen=True, kw_only=True):
    """Resume the instance if its pause has reached its end. A runner's command."""


class Resume(Struct, frozen=True, kw_only=True):
    """Continue the instance. ``on_late`` is the rule for missed dates; None for the strategy's own."""

    by: Actor
    on_late: OnResume | None = None


class Cancel(Struct, frozen=True, kw_only=True):
    """End the instance for good. With ``kill``, a step in flight is interrupted and its late result discarded.

    With ``unless_begun``, the command is refused if any event has begun.
    """

    by: Actor
    kill: bool = False
    unless_begun: bool = False


class CancelAt(Struct, frozen=True, kw_only=True):
    """Cancel the instance at a date. ``at`` None is the end of the current cycle.

    Of two such commands the last one counts.
    """

    by: Actor
    at: datetime | None = None


class RevokeCancellation(Struct, frozen=True, kw_only=True):
    """Remove the scheduled cancellation."""

    by: Actor


class ApplyCancellation(Struct, frozen=True, kw_only=True):
    """Cancel the instance if the date of its scheduled cancellation has come. A runner's command."""


class Execute(Struct, frozen=True, kw_only=True):
    """Run a waiting event now."""

    seq: int
    by: Actor


class AddEvent(Struct, frozen=True, kw_only=True):
    """Add an event of any task.

    ``date`` is None for now. ``key`` identifies a request that may be repeated, and ``body`` detects a different
    request with the same key. Both are hashes. ``others`` are the same two under other peppers, under which the first
    request may have been stored.
    """

    task: str
    by: Actor
    date: datetime | None = None
    data: Mapping[str, str] = field(default_factory=dict)
    onhold: bool = False
    key: str | None = None
    body: str | None = None
    others: tuple[tuple[str, str], ...] = ()


class CancelEvent(Struct, frozen=True, kw_only=True):
    """Cancel one event. If it is running, its late result is discarded."""

    seq: int
    by: Actor


class CancelTasks(Struct, frozen=True, kw_only=True):
    """Cancel all current events of these tasks. The rest of the instance continues."""

    tasks: tuple[str, ...]
    by: Actor


class Update(Struct, frozen=True, kw_only=True):
    """Change the instance's data.

    ``description`` None keeps the description. ``attributes`` are merged, and a null removes one. ``end_date`` is
    changed only if ``sets_end_date`` is True; None then removes it.
    """

    by: Actor
    description: str | None = None
    attributes: Mapping[str, Json] | None = None
    sets_end_date: bool = False
    end_date: datetime | None = None


class Migrate(Struct, frozen=True, kw_only=True):
    """Continue the instance under version ``to`` of its strategy."""

    to: Strategy
    by: Actor


class Reschedule(Struct, frozen=True, kw_only=True):
    """Move the date of a waiting event; ``seq`` None is the open main event, whose leading-up events move along.

    With ``keep_anchor``, the next cycle is dated as if nothing had moved; without it, the rhythm counts from ``date``.
    """

    date: datetime
    by: Actor
    seq: int | None = None
    keep_anchor: bool = True


class Skip(Struct, frozen=True, kw_only=True):
    """Do not run the next ``cycles`` cycles. ``key``, ``body`` and ``others`` are as in ``AddEvent``."""

    by: Actor
    cycles: int = 1
    key: str | None = None
    body: str | None = None
    others: tuple[tuple[str, str], ...] = ()


class Dismiss(Struct, frozen=True, kw_only=True):
    """Take final problems, which will not be repaired, off the list of problems.

    Problems that began after ``until`` stay: the operator who dismissed the others had not seen them.
    """

    until: datetime
    by: Actor


class Resolve(Struct, frozen=True, kw_only=True):
    """Decide an event paused for a call in doubt. If its instance was paused for it, it becomes ACTIVE."""

    seq: int
    resolution: Resolution
    by: Actor


class TakeAnswer(Struct, frozen=True, kw_only=True):
    """Take a stored answer to an asynchronous call.

    ``answer`` belongs to event ``seq``. ``event_history`` must be read after the instance.
    """

    seq: int
    answer: Answer
    event_history: EventHistory
    by: Actor


class Redrive(Struct, frozen=True, kw_only=True):
    """Run a failed event again and reuse the results of its successful steps.

    With ``from_step``, that step and all following steps are executed again; None reuses all successes.
    ``steps`` are the steps of the event's task, in the version that the event is bound to.
    """

    seq: int
    event_history: EventHistory
    by: Actor
    from_step: str | None = None
    steps: frozenset[str] = frozenset()


class Fence(Struct, frozen=True, kw_only=True):
    """Shut out the runner whose lease on the event has expired, before the event's history is read."""

    seq: int


class Claim(Struct, frozen=True, kw_only=True):
    """Claim the due event for a runner.

    ``event_history`` is the stored history of the event. ``token`` is unguessable, the claim's own, and used in
    correlation ids. ``job`` names the runner's invocation. ``current`` is the strategy under which the plan continues
    if the event of a crashed runner had ended: the instance's version, to which it may have been migrated since. None
    is that of the event.
    """

    seq: int
    event_history: EventHistory
    token: str
    job: str
    current: Strategy | None = None


class Renew(Struct, frozen=True, kw_only=True):
    """Extend the runner's lease to ``until``."""

    seq: int
    fence: int
    until: datetime


class GiveBack(Struct, frozen=True, kw_only=True):
    """Give a claim back because a store is unavailable.

    ``token`` is that of its lease: if the claim was not stored, that of another runner may have the same fence.
    ``known_visits`` is how many steps of the run are in the journal, as far as the runner knows. ``sent_visit`` is the
    visit whose call was sent without its result being recorded, or None if there is none.
    """

    seq: int
    fence: int
    token: str | None
    known_visits: int
    sent_visit: int | None


class Block(Struct, frozen=True, kw_only=True):
    """Return an unused claim because a flag is paused.

    ``before`` is the event as it was before the claim, so that the claim leaves no trace.
    """

    before: Event
    fence: int
    blocked_by: BlockedBy


class Unblock(Struct, frozen=True, kw_only=True):
    """End the block of an instance whose flag was cleared."""


class Apply(Struct, frozen=True, kw_only=True):
    """Apply the directives of a journaled step."""

    seq: int
    fence: int
    entry: JournalEntry


class Stop(Struct, frozen=True, kw_only=True):
    """Stop the event between two steps because its instance was stopped.

    ``known_visits`` is how many steps of the run are stored; None means more than at the claim. ``in_doubt`` means,
    here and below, that a call was, or may have been, sent more than once or without an answer.
    """

    seq: int
    fence: int
    known_visits: int | None = None
    in_doubt: bool = False


class Wait(Struct, frozen=True, kw_only=True):
    """Release the event until ``until``, when the delay of its next step ends. None continues in a new invocation."""

    seq: int
    fence: int
    until: datetime | None
    known_visits: int
    in_doubt: bool = False


class AwaitAnswer(Struct, frozen=True, kw_only=True):
    """Release the event until the answer to its asynchronous call arrives. The call is sent and journaled.

    ``intent`` is the visit that waits for the answer. ``known_visits`` is how many steps of the run are stored.
    """

    seq: int
    fence: int
    intent: Intent
    known_visits: int
    in_doubt: bool = False


class ForgoAnswer(Struct, frozen=True, kw_only=True):
    """Judge an asynchronous call without its answer. Later answers do not count."""

    seq: int
    fence: int
    correlation_id: CorrelationId


class Conclude(Struct, frozen=True, kw_only=True):
    """Conclude the run.

    ``last`` is its last step if the journal does not hold it. ``known_visits`` is how many steps of the run are
    stored. ``correlation_in_doubt`` is the correlation id of the call if the run ends with that call in doubt.
    """

    seq: int
    fence: int
    end: RunEnd
    in_doubt: bool
    known_visits: int
    last: JournalEntry | None = None
    correlation_in_doubt: CorrelationId | None = None


class RecordSweep(Struct, frozen=True, kw_only=True):
    """Record that the sweeper sent a wakeup. It checks again after a back-off."""


class Finish(Struct, frozen=True, kw_only=True):
    """Complete the instance: its end date has passed and no dated event is left."""

    by: Actor = ENGINE


class NoteOverdue(Struct, frozen=True, kw_only=True):
    """Note which answers without a time limit are overdue."""


Command = (
    Pause
    | EndPause
    | Resume
    | Cancel
    | CancelAt
    | RevokeCancellation
    | ApplyCancellation
    | Execute
    | AddEvent
    | CancelEvent
    | CancelTasks
    | Update
    | Migrate
    | Reschedule
    | Skip
    | Dismiss
    | Resolve
    | TakeAnswer
    | Redrive
    | Fence
    | Claim
    | Renew
    | GiveBack
    | Block
    | Unblock
    | Apply
    | Stop
    | Wait
    | AwaitAnswer
    | ForgoAnswer
    | NoteOverdue
    | Conclude
    | RecordSweep
    | Finish
)
"""Every command on an instance."""
