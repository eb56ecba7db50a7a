"""The limits of services: wait for a permit before a call, and share what its outcome says about the service.

Source: docs/decisions/0067, 0069 and 0072.
"""

from datetime import datetime, timedelta
from typing import Final, assert_never

from msgspec import Struct, field
from msgspec.structs import replace

from shared.application.ports import LimitAttempt, Ports
from shared.application.runner.progress import Run
from shared.application.runner.report import LimitWait
from shared.domain.ids import CallKey
from shared.domain.instance.run import Intent
from shared.domain.limits.circuit import after_answer, after_failure, opens
from shared.domain.limits.grant import (
    CLAIM_EARLY,
    MAX_AHEAD,
    MAX_PATIENCE,
    SHORTEST_WAIT,
    Busy,
    Demand,
    Join,
    Later,
    Permit,
    Take,
    grant,
    slow_down,
)
from shared.domain.limits.service import OriginLimit, limit_of
from shared.domain.limits.slots import Slot, free, is_moved_on
from shared.domain.limits.state import LimitChange, LimitState, Member, instant_of
from shared.domain.limits.stated import strictest_concurrent
from shared.domain.steps.call import Answered, CallOutcome
from shared.domain.steps.classify import asks_to_wait, reaches
from shared.domain.steps.outcome import longest
from shared.domain.strategy.model import Step, method_called

MAX_RACES: Final = 20
"""How often a change of the state is decided again because other runners were faster."""

MAX_PERMITS: Final = 5
"""How many permits a runner takes for one call, if it comes too late to use them. Looks for a slot do not count."""

LONG_SLEEP: Final = timedelta(seconds=1)
"""Before a sleep of this length ends, a runner checks that calls do not have to wait for the service meanwhile."""

CHECK_BEFORE: Final = timedelta(milliseconds=200)
"""How long before its permit that check is made."""


_EPOCH: Final = instant_of(0)
_MILLISECOND: Final = timedelta(milliseconds=1)


class RunSlot(Struct, frozen=True, kw_only=True):
    """The slot of a run, and the limit that it is of."""

    limited: OriginLimit
    slot: Slot


class OwnPermits(Struct):
    """The permits and the slot that an invocation has.

    ``by_call`` are permits for which events wait without a lease, by the keys of their calls. If an event is not
    claimed again by this invocation, its permit is lost. ``slot`` is that of the current run, which has one at most.
    """

    by_call: dict[CallKey, Permit] = field(default_factory=dict)
    slot: RunSlot | None = None


class Allowed(Struct, frozen=True, kw_only=True):
    """The call may be sent. It has ``waited``, and its outcome counts for the circuit as it was then."""

    waited: timedelta = timedelta()
    circuit: LimitState = field(default_factory=LimitState)


def await_permit(
    ports: Ports, run: Run, intent: Intent, kept: OwnPermits, *, time_left: timedelta
) -> Allowed | Later:
    """Wait until the call of a step may be sent.

    Return Later if the wait is too long for a runner that has a lease. ``time_left`` is how much longer the invocation
    may run, without the time that it needs for saving its progress.
    Raises: UnavailableError: a permit may have been taken, and is lost. The call was not sent.
    """
    limited = limit_of(run.strategy, _step_of(run, intent))
    if limited is None:
        return Allowed()
    began_at = ports.clock.now()
    allowed = _await(ports, run, intent, limited, kept, time_left=time_left)
    if isinstance(allowed, Later):
        # Clocks have whole milliseconds. With a part of one, a runner would find the event not quite due yet.
        allowed = Later(until=allowed.until + (_EPOCH - allowed.until) % _MILLISECOND)
    took = allowed.until - began_at if isinstance(allowed, Later) else allowed.waited
    if took:
        run.tally.limit_waits.append(LimitWait(service=limited.service, took=took))
    return allowed


def _await(
    ports: Ports, run: Run, intent: Intent, limited: OriginLimit, kept: OwnPermits, *, time_left: timedelta
) -> Allowed | Later:
    began_at = ports.clock.now()
    leased, invoked = _patience(run, intent, time_left=time_left, now=began_at)
    demand = Demand(
        limit=limited.limit,
        leased_until=began_at + leased,
        latest=began_at + invoked,
        key=run.instance.sid,
        lasts=_lasts(run, intent),
        slot=None if kept.slot is None else kept.slot.slot,
    )
    known = kept.by_call.pop(intent.call_key, None)
    permits = 0
    while permits < MAX_PERMITS:
        requested_at = ports.clock.now()
        granted = known or _ask(ports, run, limited, demand, kept)
        if isinstance(granted, Later):
            return granted
        if isinstance(granted, Busy):
            # Only as long as its lease allows, so that this ends.
            ports.clock.sleep((granted.again - ports.clock.now()).total_seconds())
            continue
        permits += 1
        if granted.slot is not None:
            kept.slot = RunSlot(limited=limited, slot=granted.slot)
        if granted.start > demand.leased_until:
            # The run returns its slot when it stops, and then its permit is of no use.
            if granted.slot is not None:
                return Later(until=ports.clock.now() + SHORTEST_WAIT)
            kept.by_call[intent.call_key] = granted
            return Later(until=granted.start - CLAIM_EARLY)
        # If this permit is lost because the store was slow, the next one must be far enough ahead.
        demand = replace(
            demand,
            lead=2 * (ports.clock.now() - requested_at),
            probe=granted.circuit[Member.OPEN_UNTIL],
            slot=granted.slot or demand.slot,
        )
        is_valid = _sleep_until(ports, run, limited, granted, checks=known is not None)
        if is_valid and ports.clock.now() <= granted.until:
            return Allowed(waited=ports.clock.now() - began_at, circuit=granted.circuit)
        known = None
    return Later(until=ports.clock.now() + SHORTEST_WAIT)


def free_slot(ports: Ports, run: Run, kept: OwnPermits) -> None:
    """Return the slot of a run, if it has one. Best effort: one that is not returned passes by time."""
    if kept.slot is not None:
        own, kept.slot = kept.slot, None
        _share(ports, run, own.limited, free(own.slot, now=ports.clock.now()))


def free_slot_of_another_origin(ports: Ports, run: Run, intent: Intent, kept: OwnPermits) -> None:
    """Return the slot of a run before a call that is not to the same origin, or has no limit.

    A run that waited for a second slot while it has a first one could wait for ever.
    """
    step = _step_of(run, intent)
    limited = limit_of(run.strategy, step)
    if kept.slot is None or step.action is None:
        return
    if limited is None or limited.origin != kept.slot.limited.origin:
        free_slot(ports, run, kept)


def report_call(ports: Ports, run: Run, intent: Intent, call: CallOutcome, circuit: LimitState) -> None:
    """Share what the outcome of a call says about a service with a limit.

    A refusal for now that says until when slows all runners down. ``circuit`` is the circuit when the call was allowed.
    """
    step = _step_of(run, intent)
    limited, method = limit_of(run.strategy, step), method_called(run.strategy, step)
    if limited is None or method is None:
        return
    # A status that the flow itself handles may be about this one call.
    if isinstance(call, Answered) and call.retry_after is not None and asks_to_wait(method, call):
        now, after = ports.clock.now(), call.retry_after
        slowing = slow_down(now + after if isinstance(after, timedelta) else after, now=now)
        _share(ports, run, limited, slowing)
    has_reached = reaches(method, call)
    if has_reached:
        _share(ports, run, limited, after_answer(circuit, now=ports.clock.now()))
    elif has_reached is False and _opens_circuit(ports, run, limited, circuit):
        run.tally.opened_circuits.append(limited.service)


def _opens_circuit(ports: Ports, run: Run, limited: OriginLimit, seen: LimitState) -> bool:
    """Count a call that did not reach its service. Return whether it opened the circuit."""
    state = seen
    for _ in range(MAX_RACES):
        change = after_failure(state, seen, limited.limit.circuit, now=ports.clock.now())
        attempt = _share(ports, run, limited, change)
        if change is None or attempt is None:
            return False
        if attempt.is_stored:
            return opens(change)
        state = attempt.before
    return False


def _share(ports: Ports, run: Run, limited: OriginLimit, change: LimitChange | None) -> LimitAttempt | None:
    """Try to store a change. Return None if there is none, or if the store is unavailable."""
    if change is None:
        return None
    return ports.limits.try_change(run.instance.account_id, limited.origin, change)


def _ask(
    ports: Ports, run: Run, limited: OriginLimit, demand: Demand, kept: OwnPermits
) -> Permit | Later | Busy:
    """Return the permit for a call, or how long it waits without a runner, or under its lease for a slot."""
    account = run.instance.account_id
    state = ports.limits.load(account, limited.origin)
    for _ in range(MAX_RACES):
        now = ports.clock.now()
        decided = grant(state, demand, now=now)
        if isinstance(decided, Permit | Later | Busy):
            return decided
        attempt = ports.limits.change(account, limited.origin, decided.change)
        decided_on, state = state, attempt.before
        if attempt.is_stored:
            match decided:
                case Take():
                    return decided.taken_from(state)
                case Join():
                    return decided.wait_after(state)
                case _:
                    assert_never(decided)
        slot = decided.slot if isinstance(decided, Take) else None
        if slot is not None and state[slot.name] != decided_on[slot.name]:
            if is_moved_on(demand.slot, slot, state, now=now):
                kept.slot = RunSlot(limited=limited, slot=slot)
                demand = replace(demand, slot=slot)
            else:
                # Another runner was faster. A slot of its own has passed, or it would not have asked for this one.
                demand = replace(demand, slot=None, yields=True)
    return Later(until=ports.clock.now() + SHORTEST_WAIT)


def _sleep_until(ports: Ports, run: Run, limited: OriginLimit, permit: Permit, *, checks: bool) -> bool:
    """Sleep until a permit may be used. Return whether it still may, unless too much time has passed.

    It is checked again after a long sleep, and if ``checks`` is set.
    """
    pause = permit.start - ports.clock.now()
    if checks or pause >= LONG_SLEEP:
        ports.clock.sleep((pause - CHECK_BEFORE).total_seconds())
        state = ports.limits.load(run.instance.account_id, limited.origin)
        has_changed = state[Member.OPEN_UNTIL] != permit.circuit[Member.OPEN_UNTIL]
        concurrent = strictest_concurrent(state, limited.limit.concurrent, now=ports.clock.now())
        needs_slot = concurrent is not None and permit.slot is None
        if has_changed or needs_slot or instant_of(state[Member.NOT_BEFORE]) > permit.start:
            return False
        pause = permit.start - ports.clock.now()
    ports.clock.sleep(pause.total_seconds())
    return True


def _patience(
    run: Run, intent: Intent, *, time_left: timedelta, now: datetime
) -> tuple[timedelta, timedelta]:
    """Return how long the runner can wait under its lease, and how long its invocation can.

    What is left then covers the call.
    """
    needed = _lasts(run, intent)
    leased = timedelta() if run.instance.lease is None else run.instance.lease.until - now
    invoked = max(min(MAX_AHEAD, time_left - needed), timedelta())
    return max(min(MAX_PATIENCE, invoked, leased - needed), timedelta()), invoked


def _lasts(run: Run, intent: Intent) -> timedelta:
    """Return the longest time that the call of a step takes."""
    return longest(run.strategy, _step_of(run, intent)) - run.strategy.definition.request_delay


def _step_of(run: Run, intent: Intent) -> Step:
    return run.strategy.definition.tasks[run.event.task].steps[intent.step]
