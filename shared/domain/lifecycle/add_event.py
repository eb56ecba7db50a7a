"""Adding an event by hand. Source: docs/contracts/core.md section 5; docs/design.md section 8."""

from datetime import datetime

from msgspec.structs import replace

from shared.domain.errors import Problem
from shared.domain.instance.event import EventKind
from shared.domain.instance.model import Instance
from shared.domain.instance.verdict import Change, RefusalRule, Refused, Verdict, audited
from shared.domain.lifecycle.commands import AddEvent
from shared.domain.lifecycle.repeats import known_request, remembering, repeated
from shared.domain.planning.closing import add_event
from shared.domain.steps.directives import MAX_DATA_BYTES, has_room
from shared.domain.strategy.model import Strategy, json_size


def add(strategy: Strategy, instance: Instance, command: AddEvent, *, now: datetime) -> Verdict:
    """Add one event to the instance. The event runs beside the plan and does not move it.

    A repeated request returns AlreadyThere; ``added_by`` returns the event that the first one added.
    """
    # A repeat is answered first, because the instance may have changed since the first request.
    repeat = repeated(instance, command)
    if repeat is not None:
        return repeat
    if instance.status.is_final:
        return Refused(
            instance=instance, why=f"the instance is {instance.status.value}", rule=RefusalRule.STATE
        )
    problems = _problems(strategy, command)
    if problems:
        return Refused(
            instance=instance, why="the request is not valid", rule=RefusalRule.INPUT, problems=problems
        )
    if not has_room(instance):
        return Refused(
            instance=instance, why="the instance has too many unfinished events", rule=RefusalRule.ROOM
        )
    onhold = command.onhold or strategy.definition.manual_trigger
    after = add_event(
        instance,
        EventKind.ADDED,
        command.task,
        command.date or now,
        now=now,
        onhold=onhold,
        data=dict(command.data),
    )
    event = after.events[-1]
    after = remembering(replace(after, updated_at=now), command, event.seq)
    return audited(instance, Change(instance=after), command="add-event", by=command.by, now=now, event=event)


def added_by(instance: Instance, command: AddEvent) -> int:
    """Return the number of the event that this command, or its first repeat, added to the instance."""
    known = known_request(instance, command)
    return instance.next_seq - 1 if known is None else known.seq


def _problems(strategy: Strategy, command: AddEvent) -> tuple[Problem, ...]:
    problems: list[Problem] = []
    if command.task not in strategy.definition.tasks:
        problems.append(
            Problem(pointer="/task", rule="reference", message=f"there is no task {command.task!r}")
        )
    if json_size(dict(command.data)) > MAX_DATA_BYTES:
        problems.append(Problem(pointer="/data", rule="too-long", message="must take at most 4 KB"))
    return tuple(problems)
