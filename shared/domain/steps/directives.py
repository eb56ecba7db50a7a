"""The directives of a controller, checked before they are stored. Source: docs/design.md section 6."""

from collections.abc import Mapping
from datetime import datetime

from shared.domain.calendar.dates import format_instant, parse_date
from shared.domain.errors import DateError, RitornelloError
from shared.domain.instance.attributes import attribute_problem, merge_attributes
from shared.domain.instance.event import Event, EventKind
from shared.domain.instance.model import MAX_UNFINISHED_EVENTS, Instance
from shared.domain.instance.zone import zone_of
from shared.domain.strategy.model import Json, Strategy, json_size
from shared.domain.strategy.parse_limits import unreadable
from shared.domain.strategy.variables import DIRECTIVES

ROOM_FOR_THE_PLAN = 21
"""Room kept free on the instance for a cycle's main event and up to 20 leading-up events."""


MAX_DATA_BYTES = 4 * 1024
"""The largest size of the data of an added event as compact JSON, in bytes."""


MAX_NOTE_CHARACTERS = 1000
"""The length to which a note, or the message of ``fail``, is cut."""


_EVENT_MEMBERS = frozenset({"task", "date", "data", "manualTrigger"})


class DirectiveError(RitornelloError):
    """A controller's directives are not valid. The step fails."""

    code = "DIRECTIVE"


def check_directives(
    strategy: Strategy, instance: Instance, ordered: Mapping[str, Json], *, now: datetime
) -> dict[str, Json]:
    """Return the directives in a form that can be stored and applied later.

    Raises: DirectiveError: if a directive is unknown or invalid.
    """
    for problem in unreadable(dict(ordered), ""):
        # Once stored, such a value would make every later expression of the instance fail.
        raise DirectiveError(problem.sentence)
    unknown = sorted(set(ordered) - DIRECTIVES)
    if unknown:
        raise DirectiveError(f"unknown directive {unknown[0]!r}")
    # A null directive is absent, but a null ``response`` replaces the response.
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


def merge_directives(earlier: Mapping[str, Json] | None, later: Json) -> dict[str, Json]:
    """Return the directives of two controllers of one step merged; the later ones win, attributes by name.

    Raises: DirectiveError: if ``later`` is not an object.
    """
    if later is None:
        return dict(earlier or {})
    if not isinstance(later, Mapping):
        raise DirectiveError("a controller must return an object of directives")
    both = {**(earlier or {}), **later}
    old, new = (earlier or {}).get("attributes"), later.get("attributes")
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        both["attributes"] = {**old, **new}
    return both


def has_room(instance: Instance, more: int = 1) -> bool:
    """Return whether the instance has room for ``more`` events besides those of its plan."""
    others = [event for event in instance.events if not _is_of_the_open_cycle(instance, event)]
    return len(others) + more <= MAX_UNFINISHED_EVENTS - ROOM_FOR_THE_PLAN


def _is_of_the_open_cycle(instance: Instance, event: Event) -> bool:
    of_plan = event.kind in (EventKind.MAIN, EventKind.LEADING_UP)
    return of_plan and event.created_cycle == instance.plan.cycle


def _note(name: str, value: Json) -> str:
    if not isinstance(value, str):
        raise DirectiveError(f"{name} must be a string")
    return value[:MAX_NOTE_CHARACTERS]


def _attributes(strategy: Strategy, instance: Instance, value: Json) -> dict[str, Json]:
    if not isinstance(value, Mapping):
        raise DirectiveError("attributes must be an object")
    problem = attribute_problem(strategy, merge_attributes(instance, value))
    if problem is not None:
        raise DirectiveError(f"attributes: {problem}")
    return dict(value)


def _events(strategy: Strategy, instance: Instance, value: Json, *, now: datetime) -> list[dict[str, Json]]:
    if not isinstance(value, list):
        raise DirectiveError("createEvents must be a list")
    if not has_room(instance, len(value)):
        raise DirectiveError("createEvents: the instance has too many unfinished events")
    return [_event(strategy, instance, entry, now=now) for entry in value]


def _event(strategy: Strategy, instance: Instance, entry: Json, *, now: datetime) -> dict[str, Json]:
    if not isinstance(entry, Mapping) or not set(entry) <= _EVENT_MEMBERS:
        raise DirectiveError("createEvents: each entry must be {task, date?, data?, manualTrigger?}")
    task = entry.get("task")
    if not isinstance(task, str) or task not in strategy.definition.tasks:
        raise DirectiveError(f"createEvents: there is no task {task!r}")
    data, onhold = entry.get("data") or {}, entry.get("manualTrigger") or False
    if not isinstance(data, Mapping) or not all(isinstance(text, str) for text in data.values()):
        raise DirectiveError("createEvents: data must be an object of strings")
    if json_size(dict(data)) > MAX_DATA_BYTES:
        raise DirectiveError("createEvents: data must take at most 4 KB")
    if not isinstance(onhold, bool):
        raise DirectiveError("createEvents: manualTrigger must be true or false")
    return {
        "task": task,
        "date": _date(strategy, instance, entry.get("date"), now),
        "data": dict(data),
        "manualTrigger": onhold or strategy.definition.manual_trigger,
    }


def _date(strategy: Strategy, instance: Instance, value: Json, now: datetime) -> str:
    if value is None:
        # Resolved now: the directives may be applied later, by the runner that takes over after a crash.
        return format_instant(now)
    try:
        if isinstance(value, datetime):
            return format_instant(value)
        return format_instant(parse_date(str(value), zone_of(strategy, instance)))
    except DateError as error:
        raise DirectiveError(f"createEvents: {error}") from error


def _tasks(strategy: Strategy, value: Json) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(task, str) for task in value):
        raise DirectiveError("cancelTasks must be a list of task keys")
    for task in value:
        if task not in strategy.definition.tasks:
            raise DirectiveError(f"cancelTasks: there is no task {task!r}")
    return list(dict.fromkeys(value))
