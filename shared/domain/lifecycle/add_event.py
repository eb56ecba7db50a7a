"""An event that an operator adds by hand. Source: contracts/core.md section 5; design section 8."""

from dataclasses import replace
from datetime import datetime

from shared.domain.errors import Problem
from shared.domain.instance.event import EventKind
from shared.domain.instance.model import MAX_ADDED_KEYS, Added, Instance
from shared.domain.instance.verdict import AlreadyThere, Change, RefusalRule, Refused, Verdict, audited
from shared.domain.lifecycle.commands import AddEvent
from shared.domain.planning.closing import add_event
from shared.domain.steps.directives import MAX_DATA_BYTES, has_room
from shared.domain.strategy.model import Strategy, json_size


def add(strategy: Strategy, instance: Instance, command: AddEvent, *, now: datetime) -> Verdict:
    """The instance with one more event; it runs beside the plan, which it does not move.

    A request that is heard again is AlreadyThere; ``added_by`` tells which event it has added.
    """
    known = next((one for one in instance.added if one.key == command.key), None)
    if known is not None:
        if known.body == command.body:
            return AlreadyThere(instance=instance)
        why = "the Idempotency-Key was used with another body"
        return Refused(instance=instance, why=why, rule=RefusalRule.KEY_REUSED)
    if instance.status.is_final:
        return Refused(
            instance=instance, why=f"the instance is {instance.status.value}", rule=RefusalRule.STATE
        )
    problems = _problems(strategy, command)
    if problems:
        return Refused(
            instance=instance, why="what is asked for is not valid", rule=RefusalRule.INPUT, problems=problems
        )
    if not has_room(instance):
        return Refused(
            instance=instance, why="the instance has too many unfinished events", rule=RefusalRule.ROOM
        )
    on_hold = command.on_hold or strategy.definition.manual_trigger
    after = add_event(
        instance,
        EventKind.ADDED,
        command.task,
        command.date or now,
        now=now,
        on_hold=on_hold,
        data=dict(command.data),
    )
    event = after.events[-1]
    after = replace(after, updated_at=now)
    if command.key is not None and command.body is not None:
        remembered = (*after.added, Added(seq=event.seq, key=command.key, body=command.body))
        after = replace(after, added=remembered[-MAX_ADDED_KEYS:])
    return audited(instance, Change(instance=after), command="add-event", by=command.by, now=now, event=event)


def added_by(instance: Instance, command: AddEvent) -> int:
    """The number of the event that a command has added to an instance, now or when it was first heard."""
    known = next((one.seq for one in instance.added if one.key == command.key), None)
    return instance.next_seq - 1 if known is None else known


def _problems(strategy: Strategy, command: AddEvent) -> tuple[Problem, ...]:
    problems: list[Problem] = []
    if command.task not in strategy.definition.tasks:
        problems.append(
            Problem(pointer="/task", rule="reference", message=f"there is no task {command.task!r}")
        )
    if json_size(dict(command.data)) > MAX_DATA_BYTES:
        problems.append(Problem(pointer="/data", rule="too-long", message="must take at most 4 KB"))
    return tuple(problems)
