"""What a controller may order, and how its orders change an instance.

Source: design section 6 (directives) and section 3, item 8.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from shared.domain.dates import format_instant, parse_instant
from shared.domain.decision import Actor, Change
from shared.domain.ending import add_event, cancel_instance
from shared.domain.errors import DateError, RitornelloError
from shared.domain.event import Event, EventKind, EventStatus
from shared.domain.instance import MAX_UNFINISHED_EVENTS, CancelReason, Instance, InstanceStatus
from shared.domain.journal import ClosedBy
from shared.domain.planning import cancel_events
from shared.domain.strategy import Json, Strategy, json_size
from shared.domain.validation import violations

ROOM_FOR_THE_PLAN = 21
"""Places on the aggregate kept free for a cycle's main event and its leading-up events (20 at most)."""

MAX_ATTRIBUTES_BYTES = 16 * 1024
"""What the attributes of an instance may take, as JSON."""

MAX_DATA_BYTES = 4 * 1024
"""What the data of an event that a controller creates may take, as JSON."""

MAX_NOTE_CHARACTERS = 1000
"""A note, or the message of ``fail``, is cut to so many."""

_KNOWN = frozenset(
    {"response", "attributes", "cancelInstance", "pauseInstance", "createEvents", "cancelTasks", "fail"}
)
_EVENT_MEMBERS = frozenset({"task", "date", "data", "manualTrigger"})


class DirectiveError(RitornelloError):
    """A controller ordered something that is not possible: a step error."""

    code = "DIRECTIVE"


def checked(
    strategy: Strategy, instance: Instance, ordered: Mapping[str, Json], *, now: datetime
) -> dict[str, Json]:
    """The orders in a form that can be stored and applied later: ``date`` given, unknown ones refused.

    Raises: DirectiveError.
    """
    unknown = sorted(set(ordered) - _KNOWN)
    if unknown:
        raise DirectiveError(f"unknown directive {unknown[0]!r}")
    clean = {name: value for name, value in ordered.items() if value is not None or name == "response"}
    for name in ("cancelInstance", "pauseInstance", "fail"):
        if name in clean:
            clean[name] = _note(name, clean[name])
    if "attributes" in clean:
        clean["attributes"] = _attributes(strategy, instance, clean["attributes"])
    if "createEvents" in clean:
        clean["createEvents"] = _events(strategy, instance, clean["createEvents"], now=now)
    if "cancelTasks" in clean:
        clean["cancelTasks"] = _tasks(strategy, clean["cancelTasks"])
    return clean


def together(earlier: Mapping[str, Json] | None, later: Json) -> dict[str, Json]:
    """The orders of two controllers of one step: the later one's where both say something, attributes by name.

    Raises: DirectiveError: the later ones are no orders.
    """
    if later is None:
        return dict(earlier or {})
    if not isinstance(later, Mapping):
        raise DirectiveError("a controller answers with an object of directives")
    both = {**(earlier or {}), **later}
    old, new = (earlier or {}).get("attributes"), later.get("attributes")
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        both["attributes"] = {**old, **new}
    return both


def merged(instance: Instance, attributes: Mapping[str, Json]) -> dict[str, Json]:
    """The instance's attributes with others laid over them; null removes one."""
    both = {**instance.attributes, **attributes}
    return {name: value for name, value in both.items() if value is not None}


def apply_directives(
    strategy: Strategy, instance: Instance, running: Event, ordered: Mapping[str, Json], *, now: datetime
) -> Change:
    """The instance after a running event's orders; in a final one only attributes still change.

    An event for which the room, or in another version the task, has gone since its order was checked is left out.
    """
    if "attributes" in ordered:
        instance = replace(instance, attributes=merged(instance, ordered["attributes"]), updated_at=now)
    change = Change(instance=instance)
    if instance.status.is_final:
        return change
    for entry in ordered.get("createEvents", ()):
        change = Change(instance=_created(strategy, change.instance, entry, now=now))
    if "cancelInstance" in ordered:
        return change.then(_cancel(strategy, change.instance, running, ordered["cancelInstance"], now=now))
    if "cancelTasks" in ordered:
        change = change.then(_canceled(strategy, change.instance, running, ordered["cancelTasks"], now=now))
    if "pauseInstance" in ordered:
        change = change.then(Change(instance=_paused(change.instance, ordered["pauseInstance"], now=now)))
    return change


def _cancel(strategy: Strategy, instance: Instance, running: Event, note: str, *, now: datetime) -> Change:
    """The event that orders it goes on to its own end; its siblings are canceled."""
    spared = instance.with_event(replace(running, after_cancellation=True))
    by = Actor(name="controller", reason=note)
    return cancel_instance(strategy, spared, CancelReason.CONTROLLER_HELPER, by=by, now=now)


def _paused(instance: Instance, note: str, *, now: datetime) -> Instance:
    """PAUSED, unless it is already, or the plan could not go on without a canceled main event."""
    if instance.status is not InstanceStatus.ACTIVE:
        return instance
    return replace(
        instance,
        status=InstanceStatus.PAUSED,
        stopped_at=now,
        stopped_by="controller",
        stopped_for=None,
        note=note,
        drained_at=None,
        updated_at=now,
    )


def _canceled(
    strategy: Strategy, instance: Instance, running: Event, tasks: list[str], *, now: datetime
) -> Change:
    """The events of these tasks closed, but for one in flight; without its main event the plan goes on."""
    doomed = [e for e in instance.events if e.task in tasks and _can_be_closed(e, running)]
    why, cause = "canceled by a controller", ClosedBy.CONTROLLER
    return cancel_events(strategy, instance, doomed, now=now, why=why, cause=cause).change


def _can_be_closed(event: Event, running: Event) -> bool:
    return event.seq != running.seq and event.status is not EventStatus.EXECUTING


def _created(strategy: Strategy, instance: Instance, entry: Mapping[str, Json], *, now: datetime) -> Instance:
    if not has_room(instance) or entry["task"] not in strategy.definition.tasks:
        return instance
    return add_event(
        replace(instance, updated_at=now),
        EventKind.ADDED,
        entry["task"],
        parse_instant(entry["date"]),
        now=now,
        on_hold=entry["manualTrigger"],
        data=entry["data"],
    )


def has_room(instance: Instance, more: int = 1) -> bool:
    """Whether the aggregate can take so many more events besides its plan's."""
    others = [event for event in instance.events if not _is_of_the_open_cycle(instance, event)]
    return len(others) + more <= MAX_UNFINISHED_EVENTS - ROOM_FOR_THE_PLAN


def _is_of_the_open_cycle(instance: Instance, event: Event) -> bool:
    of_plan = event.kind in (EventKind.MAIN, EventKind.LEADING_UP)
    return of_plan and event.created_cycle == instance.cycle


def _note(name: str, value: Json) -> str:
    if not isinstance(value, str):
        raise DirectiveError(f"{name} takes a text")
    return value[:MAX_NOTE_CHARACTERS]


def _attributes(strategy: Strategy, instance: Instance, value: Json) -> dict[str, Json]:
    if not isinstance(value, Mapping):
        raise DirectiveError("attributes takes an object")
    problem = attribute_problem(strategy, merged(instance, value))
    if problem is not None:
        raise DirectiveError(f"attributes: {problem}")
    return dict(value)


def unfit(strategy: Strategy, attributes: Mapping[str, Json]) -> list[str]:
    """The names of attributes whose values are not of a kind that the strategy allows."""
    if strategy.definition.any_attributes:
        return []
    return [name for name, value in attributes.items() if not isinstance(value, str | bool | int | float)]


def attribute_problem(strategy: Strategy, attributes: Mapping[str, Json]) -> str | None:
    """Why these cannot be an instance's attributes, or None."""
    for name in unfit(strategy, attributes):
        return f"{name!r} is not a text, a number or a boolean"
    if json_size(dict(attributes)) > MAX_ATTRIBUTES_BYTES:
        return "they take more than 16 KB"
    rule = strategy.definition.instance_validation
    if rule is not None:
        for problem in violations(rule, dict(attributes)):
            return f"{problem.pointer or '/'}: {problem.message}"
    return None


def _events(strategy: Strategy, instance: Instance, value: Json, *, now: datetime) -> list[dict[str, Json]]:
    if not isinstance(value, list):
        raise DirectiveError("createEvents takes a list")
    if not has_room(instance, len(value)):
        raise DirectiveError("createEvents: the instance has too many unfinished events")
    return [_event(strategy, entry, now=now) for entry in value]


def _event(strategy: Strategy, entry: Json, *, now: datetime) -> dict[str, Json]:
    if not isinstance(entry, Mapping) or not set(entry) <= _EVENT_MEMBERS:
        raise DirectiveError("createEvents takes {task, date?, data?, manualTrigger?}")
    task = entry.get("task")
    if not isinstance(task, str) or task not in strategy.definition.tasks:
        raise DirectiveError(f"createEvents: there is no task {task!r}")
    data, on_hold = entry.get("data") or {}, entry.get("manualTrigger") or False
    if not isinstance(data, Mapping) or not all(isinstance(text, str) for text in data.values()):
        raise DirectiveError("createEvents: data is a map of texts")
    if json_size(dict(data)) > MAX_DATA_BYTES:
        raise DirectiveError("createEvents: data takes at most 4 KB")
    if not isinstance(on_hold, bool):
        raise DirectiveError("createEvents: manualTrigger is a boolean")
    return {
        "task": task,
        "date": _date(entry.get("date"), now),
        "data": dict(data),
        "manualTrigger": on_hold or strategy.definition.manual_trigger,
    }


def _date(value: Json, now: datetime) -> str:
    if value is None:
        return format_instant(now)
    try:
        return format_instant(value if isinstance(value, datetime) else parse_instant(str(value)))
    except DateError as error:
        raise DirectiveError(f"createEvents: {error}") from error


def _tasks(strategy: Strategy, value: Json) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(task, str) for task in value):
        raise DirectiveError("cancelTasks takes a list of task keys")
    for task in value:
        if task not in strategy.definition.tasks:
            raise DirectiveError(f"cancelTasks: there is no task {task!r}")
    return list(dict.fromkeys(value))
