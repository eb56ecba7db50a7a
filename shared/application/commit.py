"""Commit, then ring: the one way a decision reaches the world.

Source: design section 2 and section 3, items 1 and 6.
"""

from collections.abc import Callable

from shared.application.ports import Ports, StaleRevError
from shared.domain.ids import InstanceSid
from shared.domain.instance.due import EARLY, NotYet, Ready, look
from shared.domain.instance.model import Instance
from shared.domain.instance.verdict import Applied, RefusalRule, Refused, Verdict
from shared.domain.lifecycle.commands import Command
from shared.domain.lifecycle.decide import decide
from shared.domain.strategy.model import Strategy

MAX_RACES = 20
"""So many lost races on one instance in a row mean that something is wrong."""


class ContentionError(Exception):
    """An instance kept changing under a command; nothing was written, the command may be repeated."""


def settled(
    ports: Ports,
    sid: InstanceSid,
    command: Command,
    *,
    known: Instance | None = None,
    is_meant: Callable[[Instance], bool] | None = None,
) -> Verdict | None:
    """Load, decide, commit, until no other writer is faster; None where there is no such instance.

    known: the instance as loaded before, to begin with. is_meant: whether it is to be commanded as it is now; else
    Refused. Raises: ContentionError.
    """
    for _ in range(MAX_RACES):
        instance = known or ports.instances.load(sid)
        known = None
        if instance is None:
            return None
        if is_meant is not None and not is_meant(instance):
            return Refused(
                instance=instance, why="it is no longer as it was selected", rule=RefusalRule.SELECTION
            )
        strategy = ports.strategies.load(instance.strategy_sid, instance.strategy_version)
        verdict = committed(ports, strategy, instance, command)
        if verdict is not None:
            return verdict
    raise ContentionError(f"instance {sid} changed {MAX_RACES} times under one command")


def committed(ports: Ports, strategy: Strategy, instance: Instance, command: Command) -> Verdict | None:
    """Decide on an instance as loaded and commit; None where another writer was faster."""
    verdict = decide(strategy, instance, command, now=ports.clock.now())
    match verdict:
        case Applied():
            return verdict if stored(ports, verdict) else None
        case _:
            return verdict


def stored(ports: Ports, applied: Applied) -> bool:
    """Whether a decision is now stored. A write whose reply was lost is recognised and counts."""
    try:
        ports.instances.commit(
            applied.instance, records=applied.records, audit=applied.audit, reopened=applied.reopened
        )
    except StaleRevError:
        return ports.instances.load(applied.instance.sid) == applied.instance
    return True


def ring(ports: Ports, instance: Instance) -> None:
    """Arm the wakeup of the instance's next event, or wake a runner where it is due within seconds."""
    now = ports.clock.now()
    match look(instance, now):
        case Ready():
            ports.wakeups.invoke(instance.sid)
        case NotYet() if instance.arm_at is not None:
            pass  # beyond the horizon: the sweeper comes for it in time
        case NotYet(at=at, bell=bell):
            if at - now <= EARLY:
                ports.wakeups.invoke(instance.sid)
            else:
                ports.wakeups.arm(bell, at, instance.sid)
        case _:
            pass
