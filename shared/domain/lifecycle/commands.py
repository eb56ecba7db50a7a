"""Everything that can be asked of an instance."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from shared.domain.ids import CorrelationId
from shared.domain.instance.event import Event, Resolution
from shared.domain.instance.journal import Answer, EventHistory, JournalEntry
from shared.domain.instance.model import BlockedBy
from shared.domain.instance.run import Intent, RunEnd
from shared.domain.instance.verdict import ENGINE, Actor
from shared.domain.strategy.model import Json, OnResume, Strategy


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """No event of it starts. kill: a step in flight is not waited for; its late result is discarded."""

    by: Actor
    kill: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Resume:
    """It continues. on_late: how dates that have passed are treated; None: as the strategy says."""

    by: Actor
    on_late: OnResume | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancel:
    """It never runs again. kill: a step in flight is not waited for, its late result is discarded.

    unless_begun: only where no event of it has ever begun.
    """

    by: Actor
    kill: bool = False
    unless_begun: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Execute:
    """An event on hold is to run now."""

    seq: int
    by: Actor


@dataclass(frozen=True, slots=True, kw_only=True)
class AddEvent:
    """One more event, of any task.

    date: None for now. key: of a request that may be sent again, and body: tells it from another one; hashes.
    """

    task: str
    by: Actor
    date: datetime | None = None
    data: Mapping[str, str] = field(default_factory=dict)
    on_hold: bool = False
    key: str | None = None
    body: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelEvent:
    """One event is not to run; one in flight is not waited for, its late result is discarded."""

    seq: int
    by: Actor


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelTasks:
    """No event of these tasks that there is now is to run; the rest goes on."""

    tasks: tuple[str, ...]
    by: Actor


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """What is known of it changes.

    description: None leaves it. attributes: laid over its own, null removes one.
    sets_end_date: whether ``end_date`` is meant; then None removes it.
    """

    by: Actor
    description: str | None = None
    attributes: Mapping[str, Json] | None = None
    sets_end_date: bool = False
    end_date: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Migrate:
    """It goes on under another version of its strategy, ``to``."""

    to: Strategy
    by: Actor


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolve:
    """An event paused for a call in doubt is decided, and its instance, paused for it, goes on."""

    seq: int
    resolution: Resolution
    by: Actor


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeAnswer:
    """An answer to an asynchronous call has come and is on file.

    answer: of event ``seq``. trail: what is stored of that event, read after the instance.
    """

    seq: int
    answer: Answer
    event_history: EventHistory
    by: Actor


@dataclass(frozen=True, slots=True, kw_only=True)
class Redrive:
    """An event that has failed is to run again, keeping what its steps have achieved.

    from_step: that step, and all the run does after it, is executed again; None keeps all successes.
    trail: what is stored of the event, read before. steps: of its task, in the version it is bound to.
    """

    seq: int
    event_history: EventHistory
    by: Actor
    from_step: str | None = None
    steps: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A runner wants to run the event that is due.

    trail: what is stored of that event, read before. token: unguessable, for correlation ids.
    job: names the runner's invocation.
    """

    seq: int
    event_history: EventHistory
    token: str
    job: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Renew:
    """The runner needs the lease until then."""

    seq: int
    fence: int
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """The runner gives back a claim it has not begun, because a flag is up.

    before: the event as it was before the claim, so that the claim leaves no trace.
    """

    before: Event
    fence: int
    blocked_by: BlockedBy


@dataclass(frozen=True, slots=True, kw_only=True)
class Unblock:
    """The flag that blocked it was cleared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Apply:
    """The runner hands over what a controller ordered, once journalled."""

    seq: int
    fence: int
    entry: JournalEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """The runner found its instance stopped between two steps.

    known_visits: how many steps of the run are on file; None: more than when it was claimed.
    in_doubt: a call of it was, or may have been, sent more than once or without an answer; so below.
    """

    seq: int
    fence: int
    known_visits: int | None = None
    in_doubt: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """The runner sets the event down until then: its next step has a delay, or (None) goes on elsewhere."""

    seq: int
    fence: int
    until: datetime | None
    known_visits: int
    in_doubt: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AwaitAnswer:
    """The runner has sent an asynchronous call, journalled that, and sets the event down until its answer comes.

    intent: of the visit in which it is waited for. known_visits: how many steps of the run are on file.
    """

    seq: int
    fence: int
    intent: Intent
    known_visits: int
    in_doubt: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgoAnswer:
    """The runner has judged an asynchronous call without its answer: none that comes later counts."""

    seq: int
    fence: int
    correlation_id: CorrelationId


@dataclass(frozen=True, slots=True, kw_only=True)
class Conclude:
    """The runner has come to the end of the run. last: its last step, where the journal does not hold it.

    known_visits: how many steps of the run are on file.
    doubted_call: under which correlation id the call went out that the run ends in doubt about.
    """

    seq: int
    fence: int
    end: RunEnd
    in_doubt: bool
    known_visits: int
    last: JournalEntry | None = None
    doubted_call: CorrelationId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordSweep:
    """The sweeper has sent a wakeup for it and checks again after a back-off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """Its end date has come and no dated event is left."""

    by: Actor = ENGINE


Command = (
    Pause
    | Resume
    | Cancel
    | Execute
    | AddEvent
    | CancelEvent
    | CancelTasks
    | Update
    | Migrate
    | Resolve
    | TakeAnswer
    | Redrive
    | Claim
    | Renew
    | Block
    | Unblock
    | Apply
    | Stop
    | Wait
    | AwaitAnswer
    | ForgoAnswer
    | Conclude
    | RecordSweep
    | Finish
)
"""Everything that can be asked of an instance."""
