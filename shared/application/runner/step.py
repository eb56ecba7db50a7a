"""One step of a claimed event: stop or wait where that is due, call, judge, journal, hand over, look again.

Source: design section 3, items 4 to 8 and 10.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import assert_never

from shared.application.commit import execute, save
from shared.application.ports import Ports
from shared.application.runner.progress import (
    NO_CALL,
    Called,
    Halted,
    Moved,
    journalled,
    looked_at,
    set_down,
    walk_of,
)
from shared.domain.ids import CorrelationId
from shared.domain.instance.model import InstanceStatus
from shared.domain.instance.replay import answer_to, chain, position
from shared.domain.instance.run import Ending, Intent, RunEnd, StepError
from shared.domain.instance.verdict import Applied
from shared.domain.lifecycle.claim import lease_until
from shared.domain.lifecycle.commands import AwaitAnswer, Conclude, Renew, Stop, Wait
from shared.domain.lifecycle.decide import decide
from shared.domain.steps.call import CallNotPossibleError
from shared.domain.steps.flow import go_on
from shared.domain.steps.in_doubt import SendAgain, Settled, Undecided, any_in_doubt, settle, undecided
from shared.domain.steps.outcome import (
    answered,
    doubt_policy,
    judged,
    lapsed,
    longest,
    not_possible,
    request_of,
    sent,
    sent_already,
)
from shared.domain.steps.request_digest import digest_of
from shared.domain.strategy.model import InDoubt

SET_DOWN = timedelta(seconds=20)
"""What an invocation keeps in reserve to set an event down."""

TimeLeft = Callable[[], timedelta]
"""How much longer this invocation may run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leave:
    """When this invocation has to leave. has_moved: it has executed a step already."""

    time_left: TimeLeft
    has_moved: bool


def next_step(
    ports: Ports, at: Moved, intent: Intent, *, call_in_doubt: bool, leave: Leave
) -> Moved | Halted:
    """Execute one step and find what follows it; or set the event down where it may not, or need not, go on.

    unsure: the step may already have been sent.
    """
    now = ports.clock.now()
    has_answer = at.event.has_answer_to(intent.correlation_id)
    if intent.awaits and not has_answer and (intent.answer_by is None or intent.answer_by > now):
        return _awaited(ports, at, intent)
    if at.instance.status is not InstanceStatus.ACTIVE and not at.event.after_cancellation:
        return set_down(ports, at, _stop(at))
    if intent.awaits or has_answer:
        return _heard(ports, at, intent)
    if intent.not_before is not None and intent.not_before > now:
        return set_down(ports, at, _wait(at, until=intent.not_before))
    return _acted(ports, at, intent, call_in_doubt=call_in_doubt, leave=leave)


def _acted(ports: Ports, at: Moved, intent: Intent, *, call_in_doubt: bool, leave: Leave) -> Moved | Halted:
    """The step executed, or over without that where its earlier sending is in doubt."""
    match settle(walk_of(ports, at), intent) if call_in_doubt else SendAgain(intent):
        case Undecided(end=end):
            return replace(at, then=end)
        case Settled(outcome=outcome, then=then):
            return journalled(ports, at, intent, outcome, then, started_at=ports.clock.now())
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
    command = Conclude(
        seq=at.claim.seq,
        fence=at.claim.fence,
        end=end,
        in_doubt=_in_doubt(at),
        known_visits=_visits(at),
        last=at.claim.last,
        doubted_call=_doubted(at) if end.how is Ending.IN_DOUBT else None,
    )
    held: Moved | Halted = at
    while isinstance(held, Moved):
        instance = held.instance
        strategy = ports.strategies.load(instance.strategy_sid, instance.strategy_version)
        verdict = decide(strategy, instance, command, now=ports.clock.now())
        if isinstance(verdict, Applied) and _stored_record_first(ports, verdict, at.claim.seq):
            return Halted(instance=verdict.instance)
        held = looked_at(at, ports.instances.load(instance.sid))
    return held


def _in_doubt(at: Moved) -> bool:
    """Whether a call of the event was, or may have been, sent more than once or without an answer."""
    entries = at.claim.trail.entries + ((at.claim.last,) if at.claim.last else ())
    return any_in_doubt(at.claim.strategy, at.event, entries)


def _visits(at: Moved) -> int:
    """How many steps of the run are on file."""
    return len(chain(at.claim.trail, at.event.run))


def _doubted(at: Moved) -> CorrelationId | None:
    """Under which correlation id the call went out that the run stands at."""
    then = position(at.claim.trail, at.event)
    return then.correlation_id if isinstance(then, Intent) else None


def _stored_record_first(ports: Ports, verdict: Applied, seq: int) -> bool:
    own = [record for record in verdict.records if record.event.seq == seq]
    for record in own:
        ports.instances.put_record(verdict.instance, record)
    others = tuple(record for record in verdict.records if record not in own)
    return save(ports, replace(verdict, records=others))


def _executed(ports: Ports, at: Moved, intent: Intent) -> Moved | Halted:
    """The step done: its call made, its answer judged, what follows chosen."""
    started_at = ports.clock.now()
    call = _called(ports, at, intent)
    walk = walk_of(ports, at)
    outcome = call.impossible or judged(walk, intent, call.outcome, run=ports.controllers.run)
    step = walk.task.steps[intent.step]
    if outcome.unanswered and doubt_policy(walk.strategy, step) is InDoubt.PAUSE:
        error = outcome.error or StepError(message="no answer")
        return replace(at, then=undecided(walk, intent, error))
    outcome, then = (sent if outcome.success and intent.answers_later else go_on)(walk, intent, outcome)
    return journalled(ports, at, intent, outcome, then, started_at=started_at, call=call)


def _awaited(ports: Ports, at: Moved, intent: Intent) -> Moved | Halted:
    """The event set down until its answer comes; or the run goes on, where the answer was faster."""
    command = AwaitAnswer(
        seq=at.claim.seq,
        fence=at.claim.fence,
        intent=intent,
        known_visits=_visits(at),
        in_doubt=_in_doubt(at),
    )
    verdict = execute(ports, at.instance.sid, command, known=at.instance)
    if isinstance(verdict, Applied):
        return Halted(instance=verdict.instance)
    return looked_at(at, None if verdict is None else verdict.instance)


def _heard(ports: Ports, at: Moved, intent: Intent) -> Moved | Halted:
    """An asynchronous step over: its answer judged, or the lack of one; what follows chosen.

    Where the answer was faster than the reply, the sending is journalled first.
    """
    started_at = ports.clock.now()
    if not intent.awaits:
        outcome, waiting = sent_already(walk_of(ports, at), intent)
        return journalled(ports, at, intent, outcome, waiting, started_at=started_at)
    if at.event.has_answer_to(intent.correlation_id) and answer_to(at.claim.trail, at.event, intent) is None:
        answers = ports.instances.trail(at.instance.sid, at.claim.seq).answers
        at = replace(at, claim=replace(at.claim, trail=replace(at.claim.trail, answers=answers)))
    walk = walk_of(ports, at)
    answer = answer_to(at.claim.trail, at.event, intent)
    outcome, then = go_on(walk, intent, lapsed(intent) if answer is None else answered(walk, intent, answer))
    return journalled(ports, at, intent, outcome, then, started_at=started_at)


def _called(ports: Ports, at: Moved, intent: Intent) -> Called:
    """The step's call, made if it makes one and if it can be made."""
    try:
        request = request_of(walk_of(ports, at), intent)
    except CallNotPossibleError as error:
        return Called(impossible=not_possible(intent, error))
    if request is None:
        return NO_CALL
    ports.clock.sleep(at.claim.strategy.definition.request_delay.total_seconds())
    return Called(outcome=ports.caller.call(request), digest=digest_of(request))


def _leased(ports: Ports, at: Moved, intent: Intent, needed: timedelta) -> Moved | Halted:
    """The run with a lease that lasts for the next step."""
    now, lease = ports.clock.now(), at.instance.lease
    if lease is not None and lease.until - now >= needed:
        return at
    until = lease_until(at.claim.strategy, at.event, intent, now=now)
    command = Renew(seq=at.claim.seq, fence=at.claim.fence, until=until)
    verdict = execute(ports, at.instance.sid, command, known=at.instance)
    return looked_at(at, None if verdict is None else verdict.instance)


def _elsewhere(ports: Ports, at: Moved, leave: Leave) -> Halted:
    """The event set down for a fresh invocation; not rung for where this one has done nothing."""
    halted = set_down(ports, at, _wait(at, until=None))
    if halted.instance is not None and leave.has_moved:
        ports.wakeups.invoke(at.instance.sid)
    return Halted(instance=None)


def _stop(at: Moved) -> Stop:
    return Stop(seq=at.claim.seq, fence=at.claim.fence, known_visits=_visits(at), in_doubt=_in_doubt(at))


def _wait(at: Moved, *, until: datetime | None) -> Wait:
    return Wait(
        seq=at.claim.seq,
        fence=at.claim.fence,
        until=until,
        known_visits=_visits(at),
        in_doubt=_in_doubt(at),
    )
