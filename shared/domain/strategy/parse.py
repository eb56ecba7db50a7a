"""The settings of a strategy, from the document a company sends to what the engine reads.

``read_definition`` is the only way in; what it answers without problems can be run. The parts are read by the
``definition_*`` modules; those that refer to others are given the keys there are.
Source: contracts/core.md sections 2.2, 4 and 4.1.
"""

from collections.abc import Container, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import TypedDict

from shared.domain.calendar.dates import zone_named
from shared.domain.errors import DateError, InvalidInputError, Problem, RitornelloError
from shared.domain.strategy.model import Action, Definition, Json, OnResume, Service, json_size
from shared.domain.strategy.parse_limits import unreadable
from shared.domain.strategy.parse_schedule import lifecycle_task, schedule
from shared.domain.strategy.parse_services import action, service
from shared.domain.strategy.parse_tasks import task
from shared.domain.strategy.parse_texts import schema
from shared.domain.strategy.reader import Notes, Reader

MAX_SETTINGS_BYTES = 200 * 1024
"""Settings as JSON at most."""

MAX_LIFECYCLE_TASKS = 25
"""On-create and on-cancel tasks at most, of each kind."""

MOST_PROBLEMS = 1000
"""More problems than this are not listed: an answer must stay small."""

LONGEST_REQUEST_DELAY_MS = 5000


def read_definition(
    settings: Json,
    *,
    environment: str,
    pointer: str = "",
    now: datetime | None = None,
    controllers: Container[str] = (),
) -> Definition:
    """The definition these settings describe, fit to run in an environment with these controllers.

    pointer: where the settings stand in what was sent. now: a cron expression must fire after it; None for ever.
    Raises: InvalidInputError: with every problem, each at its JSON pointer and sorted by it. Only settings
    that cannot be read at all (``unreadable``) are not looked at any further.
    """
    notes = Notes(unreadable(settings, pointer))
    _refuse(notes)
    if json_size(settings) > MAX_SETTINGS_BYTES:
        message = f"must take at most {MAX_SETTINGS_BYTES} bytes as JSON"
        notes.problems.append(Problem(pointer=pointer, rule="too-long", message=message))
    definition = _definition(Reader(settings, pointer, notes), environment, controllers, now)
    _refuse(notes)
    return definition


def stored_definition(settings: Mapping[str, Json]) -> Definition:
    """The definition of settings that ``read_definition`` accepted when they were saved.

    What takes time to check, the environment and the controllers are not looked at again.
    Raises: RitornelloError: they are not of the shape that is known today.
    """
    notes = Notes()
    definition = _definition(Reader(settings, "", notes), None, None, None)
    for problem in notes.problems:
        raise RitornelloError(f"stored settings cannot be read: {problem.pointer}: {problem.message}")
    return definition


def _refuse(notes: Notes) -> None:
    problems = notes.settle()
    if problems:
        raise InvalidInputError(problems[:MOST_PROBLEMS])


def _definition(
    reader: Reader, environment: str | None, controllers: Container[str] | None, now: datetime | None
) -> Definition:
    task_keys = reader.keys("tasks")
    services = reader.many("services", partial(service, environment=environment), required=True)
    by_key = {service.key: service for service in services}
    actions = reader.many("actions", partial(action, services=by_key), required=True)
    later = {action.key: _answers_later(by_key, action) for action in actions}
    read_task = partial(task, actions=reader.keys("actions"), later=later, controllers=controllers)
    read_lifecycle_task = partial(lifecycle_task, tasks=task_keys)
    read_schedule = partial(schedule, tasks=task_keys, now=now)
    initial_delay, calendars = reader.one("schedule", read_schedule, required=True) or (None, ())
    config = reader.one("config", _config) or _Config()
    definition = Definition(
        initial_delay=initial_delay,
        calendars=calendars,
        on_create_tasks=reader.many("onCreateTasks", read_lifecycle_task, most=MAX_LIFECYCLE_TASKS),
        on_cancel_tasks=reader.many("onCancelTasks", read_lifecycle_task, most=MAX_LIFECYCLE_TASKS),
        services=by_key,
        tasks={task.key: task for task in reader.many("tasks", read_task, required=True)},
        actions={action.key: action for action in actions},
        instance_validation=schema(reader, "instanceValidation"),
        **config,
    )
    reader.finish()
    return definition


def _answers_later(services: Mapping[str, Service], action: Action) -> bool | None:
    """Whether an action calls an asynchronous method; None where it calls none that there is."""
    called = services.get(action.service)
    method = None if called is None else called.methods.get(action.method)
    return None if method is None else method.answers_later


class _Config(TypedDict, total=False):
    """What ``config`` says of a definition."""

    timezone: str
    names_timezone: bool
    request_delay: timedelta
    manual_trigger: bool
    any_attributes: bool
    on_resume: OnResume


def _config(reader: Reader) -> _Config:
    delay_ms = reader.whole("requestDelayTime", 0, LONGEST_REQUEST_DELAY_MS) or 0
    timezone = _timezone(reader)
    return {
        "timezone": timezone or "UTC",
        "names_timezone": timezone is not None,
        "request_delay": timedelta(milliseconds=delay_ms),
        "manual_trigger": reader.flag("manualTrigger"),
        "any_attributes": reader.flag("anyAttributes"),
        "on_resume": _on_resume(reader),
    }


def _timezone(reader: Reader) -> str | None:
    name = reader.optional_text("timezone", longest=64)
    try:
        zone_named(name or "UTC")
    except DateError as error:
        reader.problem("timezone", "zone", str(error))
    return name


def _on_resume(reader: Reader) -> OnResume:
    found = reader.choice("onResume", OnResume) or OnResume.LAST
    if found is OnResume.SHIFT:
        reader.problem("onResume", "enum", "must be one of last, all, skip; shift is for a single resume")
    return found
