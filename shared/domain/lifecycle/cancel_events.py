"""Canceling single events while the rest of the instance continues.

Source: docs/contracts/core.md sections 3.4 and 3.9.
"""

from collections.abc import Sequence
from datetime import datetime

from msgspec.structs import replace

from shared.domain.instance.event import Event, EventStatus
from shared.domain.instance.journal import ClosedBy, EventRecord
from shared.domain.instance.model import Instance
from shared.domain.instance.verdict import Actor, AlreadyThere, RefusalRule, Refused, Verdict, audited
from shared.domain.lifecycle.commands import CancelEvent, CancelTasks, Execute, Resolve
from shared.domain.planning.closing import complete_if_done
from shared.domain.planning.plan import Replanned, cancel_events
from shared.domain.strategy.model import Strategy


def cancel_event(strategy: Strategy, instance: Instance, command: CancelEvent, *, now: datetime) -> Verdict:
    """Cancel one event in any status. If it is a main event, its cycle is skipped.

    A running event closes at once: the late result of its runner is discarded, and its record says ``inDoubt``.
    """
    event = instance.event(command.seq)
    if event is None:
        return Refused(instance=instance, why="the event is finished", rule=RefusalRule.FINISHED)
    withdrawn = _withdrawn(strategy, instance, [event], by=command.by, now=now)
    applied = audited(instance, withdrawn.change, command="cancel-event", by=command.by, now=now, event=event)
    return replace(applied, skipped=withdrawn.skipped, canceled_events=1)


def cancel_tasks(strategy: Strategy, instance: Instance, command: CancelTasks, *, now: datetime) -> Verdict:
    """Cancel every unfinished event of these tasks, or return AlreadyThere if there is none."""
    doomed = [event for event in instance.events if event.task in command.tasks]
    if not doomed:
        return AlreadyThere(instance=instance)
    withdrawn = _withdrawn(strategy, instance, doomed, by=command.by, now=now)
    name = f"cancel-tasks {','.join(sorted({event.task for event in doomed}))}"
    applied = audited(instance, withdrawn.change, command=name, by=command.by, now=now)
    return replace(applied, skipped=withdrawn.skipped, canceled_events=len(doomed))


def decide_closed_event(
    instance: Instance, record: EventRecord, command: Execute | CancelEvent | Resolve
) -> AlreadyThere | Refused:
    """Return the verdict on a command for a closed event. No such command reopens it."""
    status = record.event.status
    if isinstance(command, CancelEvent) and status is EventStatus.CANCELED:
        return AlreadyThere(instance=instance)
    return Refused(instance=instance, why=f"the event is {status.value}", rule=RefusalRule.FINISHED)


def _withdrawn(
    strategy: Strategy, instance: Instance, doomed: Sequence[Event], *, by: Actor, now: datetime
) -> Replanned:
    why, cause = "canceled by an operator", ClosedBy.OPERATOR
    planned = cancel_events(strategy, instance, doomed, now=now, why=why, cause=cause, by=by)
    completed = complete_if_done(planned.change.instance, now=now)
    return replace(planned, change=planned.change.then(completed))
