"""A claimed event on its way: where it stands, and how each move of it is stored.

Source: design section 3, items 4, 8 and 11.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from shared.application.commit import execute
from shared.application.ports import Ports
from shared.domain.instance.event import Event
from shared.domain.instance.journal import JournalEntry, Trail
from shared.domain.instance.model import Instance
from shared.domain.instance.replay import heard
from shared.domain.instance.run import Ending, Intent, Outcome, RunEnd, Then
from shared.domain.instance.verdict import Applied
from shared.domain.lifecycle.claim import holds
from shared.domain.lifecycle.commands import Apply, ForgoAnswer, Stop, Wait
from shared.domain.steps.call import Answered, CallOutcome
from shared.domain.steps.flow import Walk
from shared.domain.strategy.model import Strategy


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A claim: of which event, under which fence, and what is stored of the event so far.

    last: the last step of the run, where it goes into the event's record instead of the journal.
    """

    strategy: Strategy
    seq: int
    fence: int
    trail: Trail
    last: JournalEntry | None = None

    def with_entry(self, entry: JournalEntry) -> "Claimed":
        """The claim with one more entry in its trail, in place of what stood for the same visit."""
        return replace(self, trail=self.trail.with_entry(entry))


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """The run goes on: where it stands now, with the instance as it is now."""

    claim: Claimed
    instance: Instance
    event: Event
    then: Then


@dataclass(frozen=True, slots=True, kw_only=True)
class Called:
    """What a step's call came to, if it makes one. impossible: what the step came to where it could not be made."""

    outcome: CallOutcome | None = None
    digest: str | None = None
    impossible: Outcome | None = None


NO_CALL = Called()


@dataclass(frozen=True, slots=True, kw_only=True)
class Halted:
    """The run goes on no further here. instance: None where another runner or invocation has it now."""

    instance: Instance | None


def _handed_over(ports: Ports, at: Moved, entry: JournalEntry) -> Moved | Halted:
    """What a controller ordered, applied to the instance once; the run goes on from there."""
    command = Apply(seq=at.claim.seq, fence=at.claim.fence, entry=entry)
    verdict = execute(ports, at.instance.sid, command, known=at.instance)
    return looked_at(at, None if verdict is None else verdict.instance)


def journalled(
    ports: Ports,
    at: Moved,
    intent: Intent,
    outcome: Outcome,
    then: Then,
    *,
    started_at: datetime,
    call: Called = NO_CALL,
) -> Moved | Halted:
    """The step stored with what follows it; orders handed over; the instance looked at again.

    A step that closes its event goes into the event's record instead.
    """
    entry = JournalEntry(
        seq=at.claim.seq,
        run=at.event.run,
        fence=at.claim.fence,
        intent=intent,
        outcome=outcome,
        then=then,
        started_at=started_at,
        finished_at=ports.clock.now(),
        digest=call.digest,
        answered=call.outcome.status if isinstance(call.outcome, Answered) else None,
    )
    forgoes = _forgoes(at, intent, then)
    if _closes(then) and not outcome.directives and not forgoes:
        return replace(at, claim=replace(at.claim, last=entry), then=then)
    ports.instances.append(at.instance, entry)
    at = replace(at, claim=at.claim.with_entry(entry), then=then)
    if forgoes:
        return _forgone(ports, at, intent)
    if outcome.directives:
        return _handed_over(ports, at, entry)
    if isinstance(then, RunEnd):
        return at
    return looked_at(at, ports.instances.load(at.instance.sid))


def _forgoes(at: Moved, intent: Intent, then: Then) -> bool:
    """Whether an asynchronous step is over without the answer to its call."""
    waits = isinstance(then, Intent) and then.awaits
    return intent.answers_later and not waits and not at.event.has_answer_to(intent.correlation_id)


def _forgone(ports: Ports, at: Moved, intent: Intent) -> Moved | Halted:
    """The run goes on without an answer; or from it after all, where it was faster."""
    command = ForgoAnswer(seq=at.claim.seq, fence=at.claim.fence, correlation_id=intent.correlation_id)
    verdict = execute(ports, at.instance.sid, command, known=at.instance)
    now_at = looked_at(at, None if verdict is None else verdict.instance)
    if isinstance(now_at, Halted) or not now_at.event.has_answer_to(intent.correlation_id):
        return now_at
    trail = heard(at.claim.trail, now_at.event)
    return replace(now_at, claim=replace(at.claim, trail=trail), then=intent)


def _closes(then: Then) -> bool:
    """Whether a run's end closes its event for sure."""
    if not isinstance(then, RunEnd):
        return False
    exhausted = then.how is Ending.EXHAUSTED and then.failure is not None and not then.failure.pauses
    return then.how is Ending.SUCCEEDED or exhausted


def looked_at(at: Moved, instance: Instance | None) -> Moved | Halted:
    """The run with its instance as it is now, unless the claim no longer holds."""
    if instance is None or not holds(instance, at.claim.seq, at.claim.fence):
        return Halted(instance=None)
    event = instance.event(at.claim.seq)
    return Halted(instance=None) if event is None else replace(at, instance=instance, event=event)


def set_down(ports: Ports, at: Moved, command: Stop | Wait) -> Halted:
    """The run ends here for now, with its progress kept."""
    verdict = execute(ports, at.instance.sid, command, known=at.instance)
    return Halted(instance=verdict.instance if isinstance(verdict, Applied) else None)


def walk_of(ports: Ports, at: Moved) -> Walk:
    """Where the run walks, at this instant."""
    return Walk(
        strategy=at.claim.strategy,
        instance=at.instance,
        event=at.event,
        trail=at.claim.trail,
        now=ports.clock.now(),
        token=ports.ids.token(),
    )
