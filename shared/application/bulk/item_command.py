"""The command of a bulk operation, in the form for one instance."""

from shared.application.ports import Ports, UnknownStrategyError
from shared.application.retry_event import redrive_of
from shared.domain.bulk.operation import (
    BulkCommand,
    MigrateTo,
    RescheduleNext,
    ResolveDoubt,
    RetryFailed,
    RunWaiting,
    SkipNext,
)
from shared.domain.instance.model import Instance
from shared.domain.instance.phase import waiting_event
from shared.domain.instance.problems import doubtful_event, redrivable_event
from shared.domain.instance.verdict import RefusalRule, Refused
from shared.domain.lifecycle.commands import Command, Execute, Migrate, Reschedule, Resolve, Skip


def command_for(ports: Ports, command: BulkCommand, instance: Instance) -> Command | Refused:
    """Return a bulk operation's command in the form for one instance.

    It is Refused if the instance's strategy has no such version, or if no event of the instance is in the state that
    the command is for.
    """
    match command:
        case MigrateTo(version=version, by=by):
            try:
                found: Command | None = Migrate(
                    to=ports.strategies.load(instance.strategy_sid, version), by=by
                )
            except UnknownStrategyError:
                found = None
            why = f"the strategy has no version {version}"
        case RunWaiting(what=what, by=by):
            event = waiting_event(instance, what, now=ports.clock.now())
            found = None if event is None else Execute(seq=event.seq, by=by)
            why = "no event of the instance waits for that"
        case RetryFailed(of_ended=False) if instance.status.is_final:
            # Its customer may have another instance by now, and would be charged twice.
            found = None
            why = f"the instance is {instance.status.value}: select it by its id, phase or status"
        case RetryFailed(from_step=from_step, by=by):
            seq = redrivable_event(instance)
            found = None if seq is None else redrive_of(ports, instance, seq, by=by, from_step=from_step)
            why = "no event of the instance has failed"
        case RescheduleNext(date=date, keep_anchor=keep_anchor, by=by):
            return Reschedule(date=date, keep_anchor=keep_anchor, by=by)
        case SkipNext(cycles=cycles, by=by):
            return Skip(cycles=cycles, by=by)
        case ResolveDoubt(resolution=resolution, by=by):
            seq = doubtful_event(instance)
            found = None if seq is None else Resolve(seq=seq, resolution=resolution, by=by)
            why = "no event of the instance has a call in doubt"
        case _:
            return command
    return found or Refused(instance=instance, why=why, rule=RefusalRule.STATE)
