"""One step of a claimed event: stop or wait where that is due, call, judge, journal, hand over, look again.

Source: design section 3, items 4 to 8 and 10.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import assert_never

from shared.application.committing import settled, stored
from shared.application.ports import Ports
from shared.domain.call import Answered, CallNotPossibleError, CallOutcome
from shared.domain.claim import holds, lease_until
from shared.domain.commands import Apply, Conclude, Renew, Stop, Wait
from shared.domain.decide import decide
from shared.domain.decision import Applied
from shared.domain.digest import digest_of
from shared.domain.doubt import SendAgain, Settled, Undecided, settle, undecided
from shared.domain.event import Event
from shared.domain.instance import Instance, InstanceStatus
from shared.domain.journal import JournalEntry, Trail
from shared.domain.replay import chain
from shared.domain.run import Ending, Intent, Outcome, RunEnd, StepError, Then
from shared.domain.step import doubt_policy, judged, longest, not_possible, request_of
from shared.domain.strategy import InDoubt, Strategy
from shared.domain.walk import Walk, go_on

SET_DOWN = timedelta(seconds=20)
"""What an invocation keeps in reserve to set an event down."""

TimeLeft = Callable[[], timedelta]
"""How much longer this invocation may run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leave:
    """When this invocation has to leave. has_moved: it has executed a step already."""

    time_left: TimeLeft
    has_moved: bool


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
        """The claim with one more entry in its trail."""
        return replace(self, trail=replace(self.trail, entries=(*self.trail.entries, entry)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """The run goes on: where it stands now, with the instance as it is now."""

    claim: Claimed
    instance: Instance
    event: Event
    then: Then


@dataclass(frozen=True, slots=True, kw_only=True)
class Halted:
    """The run goes on no further here. instance: None where another runner or invocation has it now."""

    instance: Instance | None


def next_step(ports: Ports, at: Moved, intent: Intent, *, unsure: bool, leave: Leave) -> Moved | Halted:
    """Execute one step and find what follows it; or set the event down where it may not, or need not, go on.

    unsure: the step may already have been sent.
    """
    now = ports.clock.now()
    if at.instance.status is not InstanceStatus.ACTIVE and not at.event.after_cancellation:
        return _set_down(ports, at, _stop(at))
    if intent.not_before is not None and intent.not_before > now:
        return _set_down(ports, at, _wait(at, until=intent.not_before))
    match settle(_walk(ports, at), intent) if unsure else SendAgain(intent):
        case Undecided(end=end):
            return replace(at, then=end)
        case Settled(outcome=outcome, then=then):
            return _journalled(ports, at, intent, outcome, then, started_at=now)
        case SendAgain(intent=again):
            return _executed_in_time(ports, at, again, leave)
        case unknown:
            assert_never(unknown)


def _executed_in_time(ports: Ports, at: Moved, intent: Intent, leave: Leave) -> Moved | Halted:
    """The step done under a lease that lasts for it, if this invocation lasts for it too."""
    strategy = at.claim.strategy
    needed = longest(strategy, strategy.definition.tasks[at.event.task].steps[intent.step])
    if leave.time_left() < needed + SET_DOWN:
        return _elsewhere(ports, at, leave)
    leased = _leased(ports, at, intent, needed)
    return _executed(ports, leased, intent) if isinstance(leased, Moved) else leased


def conclude_run(ports: Ports, at: Moved, end: RunEnd) -> Halted:
    """The record first, where the event closes, then the instance; until no other writer is faster."""
    entries = at.claim.trail.entries + ((at.claim.last,) if at.claim.last else ())
    command = Conclude(
        seq=at.claim.seq,
        fence=at.claim.fence,
        end=end,
        in_doubt=any(entry.outcome.unanswered or entry.intent.repeat for entry in entries),
        last=at.claim.last,
    )
    held: Moved | Halted = at
    while isinstance(held, Moved):
        instance = held.instance
        strategy = ports.strategies.load(instance.strategy_sid, instance.strategy_version)
        verdict = decide(strategy, instance, command, now=ports.clock.now())
        if isinstance(verdict, Applied) and _stored_record_first(ports, verdict, at.claim.seq):
            return Halted(instance=verdict.instance)
        held = _looked_at(at, ports.instances.load(instance.sid))
    return held


def handed_over(ports: Ports, at: Moved, entry: JournalEntry) -> Moved | Halted:
    """What a controller ordered, applied to the instance once; the run goes on from there."""
    command = Apply(seq=at.claim.seq, fence=at.claim.fence, entry=entry)
    verdict = settled(ports, at.instance.sid, command, known=at.instance)
    return _looked_at(at, None if verdict is None else verdict.instance)


def _stored_record_first(ports: Ports, verdict: Applied, seq: int) -> bool:
    own = [record for record in verdict.records if record.event.seq == seq]
    for record in own:
        ports.instances.put_record(verdict.instance, record)
    others = tuple(record for record in verdict.records if record not in own)
    return stored(ports, replace(verdict, records=others))


def _executed(ports: Ports, at: Moved, intent: Intent) -> Moved | Halted:
    """The step done: its call made, its answer judged, what follows chosen."""
    started_at = ports.clock.now()
    call = _called(ports, at, intent)
    walk = _walk(ports, at)
    outcome = call.impossible or judged(walk, intent, call.outcome)
    step = walk.task.steps[intent.step]
    if outcome.unanswered and doubt_policy(walk.strategy, step) is InDoubt.PAUSE:
        error = outcome.error or StepError(message="no answer")
        return replace(at, then=undecided(walk, intent, error))
    outcome, then = go_on(walk, intent, outcome)
    return _journalled(ports, at, intent, outcome, then, started_at=started_at, call=call)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    """What a step's call came to, if it makes one. impossible: what the step came to where it could not be made."""

    outcome: CallOutcome | None = None
    digest: str | None = None
    impossible: Outcome | None = None


_NO_CALL = _Call()


def _called(ports: Ports, at: Moved, intent: Intent) -> _Call:
    try:
        request = request_of(_walk(ports, at), intent)
    except CallNotPossibleError as error:
        return _Call(impossible=not_possible(intent, error))
    if request is None:
        return _NO_CALL
    ports.clock.sleep(at.claim.strategy.definition.request_delay.total_seconds())
    return _Call(outcome=ports.caller.call(request), digest=digest_of(request))


def _journalled(
    ports: Ports,
    at: Moved,
    intent: Intent,
    outcome: Outcome,
    then: Then,
    *,
    started_at: datetime,
    call: _Call = _NO_CALL,
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
    if _closes(then) and not outcome.directives:
        return replace(at, claim=replace(at.claim, last=entry), then=then)
    ports.instances.append(at.instance, entry)
    at = replace(at, claim=at.claim.with_entry(entry), then=then)
    if outcome.directives:
        return handed_over(ports, at, entry)
    if isinstance(then, RunEnd):
        return at
    return _looked_at(at, ports.instances.load(at.instance.sid))


def _closes(then: Then) -> bool:
    """Whether a run's end closes its event for sure."""
    if not isinstance(then, RunEnd):
        return False
    exhausted = then.how is Ending.EXHAUSTED and then.failure is not None and not then.failure.pauses
    return then.how is Ending.SUCCEEDED or exhausted


def _looked_at(at: Moved, instance: Instance | None) -> Moved | Halted:
    """The run with its instance as it is now, unless the claim no longer holds."""
    if instance is None or not holds(instance, at.claim.seq, at.claim.fence):
        return Halted(instance=None)
    event = instance.event(at.claim.seq)
    return Halted(instance=None) if event is None else replace(at, instance=instance, event=event)


def _leased(ports: Ports, at: Moved, intent: Intent, needed: timedelta) -> Moved | Halted:
    """The run with a lease that lasts for the next step."""
    now, lease = ports.clock.now(), at.instance.lease
    if lease is not None and lease.until - now >= needed:
        return at
    until = lease_until(at.claim.strategy, at.event, intent, now=now)
    command = Renew(seq=at.claim.seq, fence=at.claim.fence, until=until)
    verdict = settled(ports, at.instance.sid, command, known=at.instance)
    return _looked_at(at, None if verdict is None else verdict.instance)


def _elsewhere(ports: Ports, at: Moved, leave: Leave) -> Halted:
    """The event set down for a fresh invocation; not rung for where this one has done nothing."""
    halted = _set_down(ports, at, _wait(at, until=None))
    if halted.instance is not None and leave.has_moved:
        ports.wakeups.invoke(at.instance.sid)
    return Halted(instance=None)


def _stop(at: Moved) -> Stop:
    visits = len(chain(at.claim.trail, at.event.run))
    return Stop(seq=at.claim.seq, fence=at.claim.fence, known_visits=visits)


def _wait(at: Moved, *, until: datetime | None) -> Wait:
    visits = len(chain(at.claim.trail, at.event.run))
    return Wait(seq=at.claim.seq, fence=at.claim.fence, until=until, known_visits=visits)


def _set_down(ports: Ports, at: Moved, command: Stop | Wait) -> Halted:
    verdict = settled(ports, at.instance.sid, command, known=at.instance)
    return Halted(instance=verdict.instance if isinstance(verdict, Applied) else None)


def _walk(ports: Ports, at: Moved) -> Walk:
    return Walk(
        strategy=at.claim.strategy,
        instance=at.instance,
        event=at.event,
        trail=at.claim.trail,
        now=ports.clock.now(),
        token=ports.ids.token(),
    )
