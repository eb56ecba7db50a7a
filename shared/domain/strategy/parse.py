"""Parsing a strategy's settings: from the document that a customer sends to the definition that the engine runs.

``read_definition`` is the only entry; a document that it accepts can be run. ``settings.py`` declares the fields, and
the other ``parse_*`` modules read the parts. A part that refers to other parts gets their keys.
Source: docs/contracts/core.md sections 2.2, 4 and 4.1.
"""

from collections.abc import Container, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import TypedDict

from shared.domain.calendar.dates import zone_named
from shared.domain.errors import DateError, InvalidInputError, Problem, Problems, RitornelloError
from shared.domain.strategy.model import Action, Definition, Json, OnMissed, OnResume, Service, json_size
from shared.domain.strategy.parse_limits import unreadable
from shared.domain.strategy.parse_names import check_names
from shared.domain.strategy.parse_schedule import lifecycle_task, schedule
from shared.domain.strategy.parse_secrets import check_secrets
from shared.domain.strategy.parse_services import action, service
from shared.domain.strategy.parse_tasks import task
from shared.domain.strategy.parse_texts import schema
from shared.domain.strategy.reader import Notes, Reader
from shared.domain.strategy.settings import MAX_SETTINGS_BYTES, SETTINGS
from shared.expressions import spending
from shared.expressions.limits import CHECK_SECONDS
from shared.expressions.placeholders import Lookup, TemplateError
from shared.expressions.placeholders import parse as template_parts


@spending(CHECK_SECONDS)
def read_definition(
    settings: Json,
    *,
    environment: str,
    pointer: str = "",
    now: datetime | None = None,
    controllers: Container[str] = (),
) -> Definition:
    """Return the definition of these settings, checked against the environment and the registered controllers.

    ``pointer`` is the pointer of the settings in the request body. A cron expression must fire after ``now``; None
    skips that check.
    Raises: InvalidInputError: with the problems, sorted by JSON pointer. If the settings cannot be read at all
        (``unreadable``) or are too large, only that is reported.
    """
    # A document that could not be stored or sent again is not examined further.
    notes = Notes(Problems(unreadable(settings, pointer)))
    _raise_problems(notes)
    if json_size(settings) > MAX_SETTINGS_BYTES:
        message = f"must take at most {MAX_SETTINGS_BYTES} bytes as JSON"
        raise InvalidInputError((Problem(pointer=pointer, rule="too-long", message=message),))
    definition = _definition(Reader(settings, pointer, notes, SETTINGS), environment, controllers, now)
    if isinstance(settings, Mapping):
        check_names(settings, notes.problems, pointer=pointer)
        check_secrets(settings, notes.problems, pointer=pointer)
    _raise_problems(notes)
    return definition


def stored_definition(settings: Mapping[str, Json]) -> Definition:
    """Return the definition of stored settings, which ``read_definition`` accepted when they were saved.

    Raises: RitornelloError: if the settings do not have today's shape.
    """
    # Slow checks, the environment and the controllers are not checked again: this runs on every load.
    notes = Notes()
    definition = _definition(Reader(settings, "", notes, SETTINGS), None, None, None)
    for problem in notes.problems.reported():
        raise RitornelloError(f"stored settings cannot be read: {problem.pointer}: {problem.message}")
    return definition


def _raise_problems(notes: Notes) -> None:
    problems = notes.all_problems()
    if problems:
        raise InvalidInputError(problems)


def _definition(
    reader: Reader, environment: str | None, controllers: Container[str] | None, now: datetime | None
) -> Definition:
    task_keys = reader.keys("tasks")
    services = {
        service.key: service
        for service in reader.parts("services", partial(service, environment=environment))
    }
    actions = reader.parts("actions", partial(action, services=services))
    later = {action.key: _answers_later(services, action) for action in actions}
    read_task = partial(task, actions=reader.keys("actions"), later=later, controllers=controllers)
    read_lifecycle_task = partial(lifecycle_task, tasks=task_keys)
    read_schedule = partial(schedule, tasks=task_keys, now=now)
    initial_delay, calendars = reader.part("schedule", read_schedule) or (None, ())
    definition = Definition(
        initial_delay=initial_delay,
        calendars=calendars,
        on_create_tasks=reader.parts("onCreateTasks", read_lifecycle_task),
        on_cancel_tasks=reader.parts("onCancelTasks", read_lifecycle_task),
        services=services,
        tasks={task.key: task for task in reader.parts("tasks", read_task)},
        actions={action.key: action for action in actions},
        instance_validation=schema(reader, "instanceValidation"),
        **(reader.part("config", _config) or _Config()),
    )
    reader.finish()
    return definition


def _answers_later(services: Mapping[str, Service], action: Action) -> bool | None:
    """Return whether an action calls an asynchronous method, or None if it calls an unknown one."""
    service = services.get(action.service)
    method = None if service is None else service.methods.get(action.method)
    return None if method is None else method.answers_later


class _Config(TypedDict, total=False):
    """The fields of a definition that come from ``config``."""

    timezone: str
    names_timezone: bool
    zone_attribute: str | None
    request_delay: timedelta
    manual_trigger: bool
    any_attributes: bool
    on_resume: OnResume
    on_missed: OnMissed
    searchable: tuple[str, ...]
    unique_reference: bool


_ZONE_HINT = "; the zone of a customer is one attribute alone, as in {{attributes.timezone}}"


def _zone_attribute(timezone: str) -> str | None:
    """Return the attribute that names the zone of each instance, or None if the text is no such template."""
    try:
        parts = template_parts(timezone)
    except TemplateError:
        return None
    match parts:
        case (Lookup(("attributes", name)),):
            return name
        case _:
            return None


def _config(reader: Reader) -> _Config:
    timezone = reader.text("timezone")
    attribute = _zone_attribute(timezone)
    if attribute is None:
        try:
            zone_named(timezone)
        except DateError as error:
            reader.problem("timezone", "zone", f"{error}{_ZONE_HINT if '{' in timezone else ''}")
    return {
        "timezone": timezone,
        "zone_attribute": attribute,
        "names_timezone": reader.has("timezone"),
        "request_delay": timedelta(milliseconds=reader.whole("requestDelayTime")),
        "manual_trigger": reader.flag("manualTrigger"),
        "any_attributes": reader.flag("anyAttributes"),
        "on_resume": reader.choice("onResume", OnResume),
        "on_missed": reader.choice("onMissed", OnMissed),
        "searchable": reader.names("searchable"),
        "unique_reference": reader.flag("uniqueReference"),
    }
