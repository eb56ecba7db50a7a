"""Operations on processes. Source: docs/contracts/process.md C.1 to C.7; docs/contracts/mapping.md D.1 and D.5."""

import re
from collections.abc import Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from shared.api.http.models import read_json
from shared.api.http.request import Request
from shared.api.http.route import Answer, Route, Target
from shared.api.http.unreadable import UnreadableItems
from shared.api.process.answers import StartedShape, StatusShape
from shared.api.process.errors import invalid, not_found
from shared.api.process.plan import Plan, plan_of
from shared.api.process.render import SEEN, started_shape, status_shape, unreadable_shape
from shared.api.process.schemas import StartProcess, read_start
from shared.application.history import last_outcome
from shared.application.ports import Unreadable, UnreadableError
from shared.application.start import StartInstance, start_instance
from shared.domain.errors import InvalidInputError, Problem
from shared.domain.ids import InstanceSid
from shared.domain.instance.model import Instance
from shared.domain.instance.phase import phase_of
from shared.domain.instance.zone import zone_or_utc
from shared.domain.planning.start import attribute_problems
from shared.domain.strategy.model import Definition, Json, Strategy, StrategyHead

_SPID = re.compile(r"[0-9A-Za-z-]{1,64}")
_NAME = re.compile(r"(?:(?P<folder>/|/[A-Za-z0-9._/-]*/))?(?P<name>[A-Za-z0-9._-]{1,100})")
"""The forms of a robustaSpid and of a name. Other texts are not looked up."""


class Start(Struct, frozen=True, kw_only=True):
    """A process to start: the fields of the request, the strategy it names, and its plan."""

    fields: StartProcess
    strategy: Strategy
    plan: Plan


def start_process(request: Request, body: Start) -> Answer[StartedShape]:
    """Start a process: now, at a date, or by a schedule.

    The latest version of the strategy with this name runs, with ``values`` as its attributes.
    If the request is sent again, another process starts, unless it has the same ``Idempotency-Key``.
    """
    new = StartInstance(
        strategy_id=body.strategy.name,
        attributes=body.fields.values,
        start_date=body.plan.start_date,
        end_date=body.plan.end_date,
        by=request.principal.name,
        schedule=body.plan.schedule,
        worker=body.fields.worker,
        repeatable=request.repeatable(),
    )
    return Answer(body=started_shape(start_instance(request.ports, body.strategy, new).instance))


def get_status(request: Request, instance: Instance) -> Answer[StatusShape]:
    """Return the status of a process, with the outputs of its last run.

    If the status is SUCCEEDED, each output is a member whose name begins with ``__out_``. If the record of what may be
    the last run cannot be read, the status is WAITING, and a header names it.
    """
    phase = phase_of(instance, now=request.now)
    # Most phases say enough, so the history is read only for the others.
    try:
        last = last_outcome(request.ports, instance) if SEEN[phase] is None else None
    except UnreadableError as error:
        unreadable = UnreadableItems()
        unreadable.add([Unreadable(key=f"{instance.sid}-{error.item.key}", why=error.item.why)])
        return Answer(body=unreadable_shape(instance, phase), headers=unreadable.headers())
    return Answer(body=status_shape(instance, phase, last))


def find(request: Request, route: Route, path: Mapping[str, str]) -> Mapping[str, Any]:
    """Return the instance that the path names; any dialect may have made it. Raises: ProcessError (404)."""
    if route.target is Target.NOTHING:
        return path
    spid = path["robustaSpid"]
    # A malformed id cannot exist, so it costs no read.
    instance = request.ports.instances.load(InstanceSid(spid)) if _SPID.fullmatch(spid) else None
    if instance is None or instance.account_id != request.principal.account_id:
        raise not_found()
    return {"instance": instance}


def read_process(request: Request, _: object) -> Start:
    """Return the process to start, or raise with every problem of the request and its values.

    Raises: ProcessError: 404 for the name first, then 400.
    """
    body = _object(request)
    name, fields, problems = read_start(body)
    if name is None:
        raise invalid(problems)
    head = _named(request, name)
    strategy = request.ports.strategies.load(head.sid, head.version)
    values = body.get("values")
    if isinstance(values, dict):
        problems += attribute_problems(strategy, values)
    if fields is None:
        raise invalid(problems)
    try:
        zone = fields.timezone or _usual_zone(request, strategy.definition, fields.values)
        plan = plan_of(fields, zone, now=request.now)
    except InvalidInputError as error:
        raise invalid([*problems, *error.problems]) from error
    if problems:
        raise invalid(problems)
    return Start(fields=fields, strategy=strategy, plan=_in_zone_of_plan(plan, strategy, fields))


def _object(request: Request) -> dict[str, Any]:
    value = read_json(request)
    if not isinstance(value, dict):
        raise invalid([Problem(pointer="", rule="json", message="must be a JSON object")])
    return dict(value)


def _named(request: Request, name: str) -> StrategyHead:
    """Return the strategy with this name, which may have its folder in front. This dialect has no Strategy-Secret."""
    match = _NAME.fullmatch(name)
    head = match and request.ports.strategies.named(request.principal.account_id, match["name"])
    if not match or head is None or head.deleted_at is not None:
        raise not_found(name)
    if match["folder"] is not None and match["folder"] != _with_slash(head.folder):
        raise not_found(name)
    return head


def _with_slash(folder: str) -> str:
    return folder if folder.endswith("/") else f"{folder}/"


def _usual_zone(request: Request, definition: Definition, values: Mapping[str, Json]) -> str:
    if not definition.names_timezone:
        return request.deployment.connector_timezone
    # Values without a zone are refused with all other problems.
    return zone_or_utc(definition, values)[0].key


def _in_zone_of_plan(plan: Plan, strategy: Strategy, fields: StartProcess) -> Plan:
    """Return the plan with a schedule that names no zone, if an attribute names it and the request does not."""
    # A schedule that names its zone would stay in it when the attribute changes.
    if fields.timezone is not None or strategy.definition.zone_attribute is None:
        return plan
    return replace(plan, schedule=replace(plan.schedule, timezone=None))
