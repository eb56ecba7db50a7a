"""The limits of services: wait for a permit before a call, and slow all runners down after a refusal.

Source: docs/decisions/0067.
"""

from datetime import datetime, timedelta
from typing import Final, assert_never

from msgspec import Struct, field
from msgspec.structs import replace

from shared.application.ports import Ports
from shared.application.runner.progress import Run
from shared.domain.ids import CallKey
from shared.domain.instance.run import Intent
from shared.domain.limits.grant import (
    CLAIM_EARLY,
    MAX_AHEAD,
    MAX_PATIENCE,
    SHORTEST_WAIT,
    Demand,
    Join,
    Later,
    Permit,
    Take,
    grant,
    slow_down,
)
from shared.domain.limits.service import OriginLimit, limit_of
from shared.domain.limits.state import Member, instant_of
from shared.domain.steps.call import Answered, CallOutcome
from shared.domain.steps.classify import asks_to_wait
from shared.domain.steps.outcome import longest
from shared.domain.strategy.model import Step, method_called

MAX_RACES: Final = 20
"""How often a change of the state is decided again because other runners were faster."""

MAX_PERMITS: Final = 5
"""How many permits a runner takes for one call, if it comes too late to use them."""

LONG_SLEEP: Final = timedelta(seconds=1)
"""Before a sleep of this length ends, a runner checks that the service has not asked everyone to wait meanwhile."""

CHECK_BEFORE: Final = timedelta(milliseconds=200)
"""How long before its permit that check is made."""


class KeptPermits(Struct):
    """The permits of an invocation whose events wait for them without a lease, by the keys of their calls.

    If an event is not claimed again by this invocation, its permit is lost.
    """

    by_call: dict[CallKey, Permit] = field(default_factory=dict)


def await_permit(
    ports: Ports, run: Run, intent: Intent, kept: KeptPermits, *, time_left: timedelta
) -> timedelta | Later:
    """Wait until the call of a step may be sent, and return how long that took.

    Return Later if the wait is too long for a runner that has a lease. ``time_left`` is how much longer the invocation
    may run, without the time that it needs for saving its progress.
    Raises: UnavailableError: a permit may have been taken, and is lost. The call was not sent.
    """
    limited = limit_of(run.strategy, _step_of(run, intent))
    if limited is None:
        return timedelta()
    began_at = ports.clock.now()
    leased, invoked = _patience(run, intent, time_left=time_left, now=began_at)
    demand = Demand(
        limit=limited.limit,
        leased_until=began_at + leased,
        latest=began_at + invoked,
        key=run.instance.sid,
    )
    known = kept.by_call.pop(intent.call_key, None)
    for _ in range(MAX_PERMITS):
        requested_at = ports.clock.now()
        granted = known or _ask(ports, run, limited, demand)
        if isinstance(granted, Later):
            return granted
        if granted.start > demand.leased_until:
            kept.by_call[intent.call_key] = granted
            return Later(until=granted.start - CLAIM_EARLY)
        # If this permit is lost because the store was slow, the next one must be far enough ahead.
        demand = replace(demand, lead=2 * (ports.clock.now() - requested_at))
        is_valid = _sleep_until(ports, run, limited, granted.start, checks=known is not None)
        if is_valid and ports.clock.now() <= granted.until:
            return ports.clock.now() - began_at
        known = None
    return Later(until=ports.clock.now() + SHORTEST_WAIT)


def report_refusal(ports: Ports, run: Run, intent: Intent, call: CallOutcome) -> None:
    """Slow all runners down if a service with a limit has refused a call for now and says until when."""
    step = _step_of(run, intent)
    limited, method = limit_of(run.strategy, step), method_called(run.strategy, step)
    if limited is None or method is None or not isinstance(call, Answered) or call.retry_after is None:
        return
    if not asks_to_wait(method, call):
        # The flow itself handles this status. It may be about this one call.
        return
    now, after = ports.clock.now(), call.retry_after
    change = slow_down(now + after if isinstance(after, timedelta) else after, now=now)
    if change is not None:
        ports.limits.slow_down(run.instance.account_id, limited.origin, change)


def _ask(ports: Ports, run: Run, limited: OriginLimit, demand: Demand) -> Permit | Later:
    """Return the permit for a call, or how long it waits without a runner."""
    account = run.instance.account_id
    state = ports.limits.load(account, limited.origin)
    for _ in range(MAX_RACES):
        now = ports.clock.now()
        decided = grant(state, demand, now=now)
        if isinstance(decided, Permit | Later):
            return decided
        attempt = ports.limits.change(account, limited.origin, decided.change)
        state = attempt.before
        if attempt.is_stored:
            match decided:
                case Take():
                    return decided.taken_from(state)
                case Join():
                    return decided.wait_after(state)
                case _:
                    assert_never(decided)
    return Later(until=ports.clock.now() + SHORTEST_WAIT)


def _sleep_until(ports: Ports, run: Run, limited: OriginLimit, start: datetime, *, checks: bool) -> bool:
    """Sleep until a permit may be used. Return whether it still may, unless too much time has passed.

    It is checked again after a long sleep, and if ``checks`` is set.
    """
    pause = start - ports.clock.now()
    if checks or pause >= LONG_SLEEP:
        ports.clock.sleep((pause - CHECK_BEFORE).total_seconds())
        state = ports.limits.load(run.instance.account_id, limited.origin)
        if instant_of(state[Member.NOT_BEFORE]) > start:
            return False
        pause = start - ports.clock.now()
    ports.clock.sleep(pause.total_seconds())
    return True


def _patience(
    run: Run, intent: Intent, *, time_left: timedelta, now: datetime
) -> tuple[timedelta, timedelta]:
    """Return how long the runner can wait under its lease, and how long its invocation can.

    What is left then covers the call.
    """
    needed = longest(run.strategy, _step_of(run, intent)) - run.strategy.definition.request_delay
    leased = timedelta() if run.instance.lease is None else run.instance.lease.until - now
    invoked = max(min(MAX_AHEAD, time_left - needed), timedelta())
    return max(min(MAX_PATIENCE, invoked, leased - needed), timedelta()), invoked


def _step_of(run: Run, intent: Intent) -> Step:
    return run.strategy.definition.tasks[run.event.task].steps[intent.step]
