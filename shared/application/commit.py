"""Commit a decision, then schedule the wakeup. Every decision takes effect here.

Source: docs/design.md sections 2, 3.1 and 3.6.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from shared.application.ports import Ports, StaleRevError, UnknownStrategyError
from shared.domain.errors import RitornelloError
from shared.domain.ids import InstanceSid
from shared.domain.instance.due import SHORT_NOTICE, CancelDue, Due, ResumeDue, Scheduled, next_run
from shared.domain.instance.flags import may_have_missed, with_pauses
from shared.domain.instance.model import Instance
from shared.domain.instance.verdict import Applied, RefusalRule, Refused, Verdict
from shared.domain.lifecycle.commands import Cancel, Command, Pause
from shared.domain.lifecycle.decide import decide
from shared.domain.lifecycle.unread import decide_unread
from shared.domain.strategy.model import Strategy

MAX_RACES = 20
"""After this many lost races in a row, something else is wrong."""


UNREADABLE = (RitornelloError, UnknownStrategyError)
"""The errors of an instance whose item or settings cannot be read, or that cannot be decided on."""

CommandFor = Callable[[Instance], Command | Refused]
"""Returns the command for an instance as it is now, or refuses it."""


class ContentionError(Exception):
    """An instance kept changing while a command was decided. Nothing was written; the command may be repeated."""


def execute(
    ports: Ports,
    sid: InstanceSid,
    command: Command | CommandFor,
    *,
    known: Instance | None = None,
    is_meant: Callable[[Instance], bool] | None = None,
    settings: Callable[[Instance], Strategy] | None = None,
) -> Verdict | None:
    """Load, decide and commit, until no other writer is faster. Return None if there is no such instance.

    A function as ``command`` returns the command for the instance as it is now, or refuses it.
    ``known`` is the instance if it was loaded before. If ``is_meant`` returns False for the instance as it is now,
    the command is Refused. ``settings`` returns the strategy that decides, if it is not to be read.
    Raises: ContentionError. UnknownStrategyError, RitornelloError: the settings cannot be read, unless the command is a
    pause or a cancel.
    """
    for _ in range(MAX_RACES):
        instance = known or ports.instances.load(sid)
        known = None
        if instance is None:
            return None
        if is_meant is not None and not is_meant(instance):
            return Refused(
                instance=instance,
                why="the instance no longer matches the selection",
                rule=RefusalRule.SELECTION,
            )
        current = command(instance) if callable(command) else command
        if isinstance(current, Refused):
            return current
        if settings is None:
            verdict = decide_loaded(ports, instance, current)
        else:
            verdict = decide(settings(instance), instance, current, now=ports.clock.now())
        if not isinstance(verdict, Applied) or save(ports, verdict):
            return verdict
    raise ContentionError(f"instance {sid} changed {MAX_RACES} times during one command; repeat it")


def decide_loaded(ports: Ports, instance: Instance, command: Command) -> Verdict:
    """Decide on an instance as loaded. A pause or a cancel is decided even if the settings cannot be read.

    Raises: UnknownStrategyError, RitornelloError: the settings cannot be read, and the command needs them.
    """
    now = ports.clock.now()
    if isinstance(command, Pause | Cancel):
        return _decide_stop(ports, instance, command, now=now)
    return decide(strategy_of(ports, instance, now=now), instance, command, now=now)


def _decide_stop(ports: Ports, instance: Instance, command: Pause | Cancel, *, now: datetime) -> Verdict:
    """Decide on a pause or a cancel, with the settings if they can be read.

    Neither plans a date, so the flags are not read.
    """
    try:
        strategy = ports.strategies.load(instance.strategy_sid, instance.strategy_version)
    except UNREADABLE as error:
        return decide_unread(instance, command, why=type(error).__name__, now=now)
    return decide(strategy, instance, command, now=now)


def strategy_of(ports: Ports, instance: Instance, *, now: datetime) -> Strategy:
    """Return the version of an instance, with the last pauses of its flags if dates may have been missed.

    Raises: UnknownStrategyError, RitornelloError: the settings cannot be read.
    """
    strategy = ports.strategies.load(instance.strategy_sid, instance.strategy_version)
    return with_known_pauses(ports, strategy, instance, now=now)


def with_known_pauses(ports: Ports, strategy: Strategy, instance: Instance, *, now: datetime) -> Strategy:
    """Return the strategy with the last pauses of its flags if dates of the instance may have been missed."""
    # This costs a read, which nearly all commands are spared.
    if not may_have_missed(instance, now=now):
        return strategy
    return with_pauses(strategy, ports.strategies.flags(instance.account_id, instance.strategy_sid))


def try_commit(ports: Ports, strategy: Strategy, instance: Instance, command: Command) -> Verdict | None:
    """Decide on an instance as loaded and commit; return None if another writer was faster."""
    verdict = decide(strategy, instance, command, now=ports.clock.now())
    match verdict:
        case Applied():
            return verdict if save(ports, verdict) else None
        case _:
            return verdict


def save(ports: Ports, applied: Applied) -> bool:
    """Store a decision and return whether it is stored. A write whose reply was lost is recognized."""
    try:
        ports.instances.commit(
            applied.instance, records=applied.records, audit=applied.audit, reopened=applied.reopened
        )
    except StaleRevError:
        # The rev is also stale if this very write was stored and its reply was lost.
        return ports.instances.load(applied.instance.sid) == applied.instance
    return True


def schedule_wakeup(ports: Ports, instance: Instance, *, notice: timedelta = SHORT_NOTICE) -> None:
    """Schedule the wakeup of the next event or change of status, or wake a runner if it is due within ``notice``."""
    now = ports.clock.now()
    # The sweeper alone takes care of overdue answers and of ends of plans.
    match next_run(instance, now):
        case Due() | ResumeDue() | CancelDue():
            ports.wakeups.invoke(instance.sid)
        case Scheduled() if instance.sweep.schedule_at is not None:
            pass  # beyond the horizon: the sweeper schedules it in time
        case Scheduled(at=at, wakeup_name=wakeup_name):
            if at - now <= notice:
                ports.wakeups.invoke(instance.sid)
            else:
                ports.wakeups.arm(wakeup_name, at, instance.sid)
        case _:
            pass
