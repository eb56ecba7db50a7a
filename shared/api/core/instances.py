"""The operations on instances. Source: contracts/core.md sections 1.1 and 5."""

from http import HTTPStatus
from typing import assert_never

from shared.api.core.call import Answer, Call
from shared.api.core.errors import CoreError, bad_request, not_found
from shared.api.core.paging import Paging
from shared.api.core.render import (
    Shape,
    event_shape,
    forecast_shape,
    instance_shape,
    migration_shape,
    open_event_shape,
    overdue_shape,
    paused_shape,
    summary_shape,
)
from shared.api.core.schemas import (
    MAX_STRATEGY_ID,
    AddAnEvent,
    CreateInstance,
    ForecastQuery,
    InstancesQuery,
    MigrateInstance,
    ResumeInstance,
    TasksQuery,
    UpdateInstance,
)
from shared.api.http.cursor import listed_of, listed_text
from shared.api.http.models import read_as
from shared.application.control import control
from shared.application.list_instances import page_of_account, page_of_strategy
from shared.application.migrate import migrate_instance
from shared.application.ports import UnknownStrategyError
from shared.application.start import StartInstance, start_instance
from shared.domain.ids import InstanceSid
from shared.domain.instance.event import EventKind
from shared.domain.instance.journal import Trail
from shared.domain.instance.model import Instance, InstanceStatus
from shared.domain.instance.verdict import AlreadyThere, Applied, Refused, Verdict
from shared.domain.lifecycle.add_event import added_by
from shared.domain.lifecycle.commands import AddEvent, Cancel, CancelTasks, Command, Pause, Resume, Update
from shared.domain.planning.forecast import forecast, overdue
from shared.domain.planning.start import attribute_problems
from shared.domain.strategy.model import OnResume, Strategy, StrategyHead

KEY_LENGTH = 32
"""So much of a hash is kept of a request that added an event: 128 bits."""


def post_instance(call: Call) -> Answer:
    """Start an instance of a strategy's latest version, with its first events (I1)."""
    body, head = _new_instance(call)
    repeatable = call.repeatable
    asked = StartInstance(
        strategy_id=body.strategyId,
        attributes=body.attributes,
        description=body.description,
        start_date=body.startDate,
        end_date=body.endDate,
        by=call.actor.name,
        repeatable=repeatable,
    )
    started = start_instance(call.ports, _latest(call, head), asked)
    instance = started.instance
    main = _events(call, instance, EventKind.MAIN)
    events = {
        "onCreateEvents": _events(call, instance, EventKind.ON_CREATE),
        "leadingUpEvents": _events(call, instance, EventKind.LEADING_UP),
        **({"mainEvent": main[0]} if main else {}),
    }
    status = HTTPStatus.CREATED if isinstance(started, Applied) else HTTPStatus.OK
    return status, {"executionInstance": instance_shape(instance), "createdEvents": events}


def list_instances(call: Call) -> Answer:
    """Instances, youngest first: of one strategy, or of all without their attributes."""
    asked = call.asked(InstancesQuery)
    status = None if asked.status is None else InstanceStatus(asked.status)
    if asked.strategyId is None:
        paging = Paging(call, f"instances {asked.status}", asked)
        before = paging.before(listed_of)
        account = call.principal.account_id
        page = page_of_account(call.ports, account, status, before=before, limit=asked.limit)
        shapes = [summary_shape(instance) for instance in page.instances]
    else:
        head = call.gate.strategy_named(call.principal, asked.strategyId)
        paging = Paging(call, f"instances {asked.status} of {head.sid}", asked)
        before = paging.before(listed_of)
        page = page_of_strategy(call.ports, head.sid, status, before=before, limit=asked.limit)
        shapes = [instance_shape(instance) for instance in page.instances]
    return HTTPStatus.OK, paging.page_up_to(shapes, None if page.after is None else listed_text(page.after))


def get_instance(call: Call, sid: str) -> Answer:
    """An instance (I2)."""
    instance, _ = call.gate.instance(call.principal, sid)
    return HTTPStatus.OK, instance_shape(instance)


def patch_instance(call: Call, sid: str) -> Answer:
    """Change description, attributes or end date; dates that are planned already stay."""
    call.gate.instance(call.principal, sid)
    body = call.body(UpdateInstance)
    command = Update(
        by=call.actor,
        description=body.description,
        attributes=body.attributes,
        sets_end_date="endDate" in body.model_fields_set,
        end_date=body.endDate,
    )
    return HTTPStatus.OK, instance_shape(_commanded(call, sid, command).instance)


def get_forecast(call: Call, sid: str) -> Answer:
    """The coming cycles of an instance, the open one first, as the engine itself will plan them."""
    instance, _ = call.gate.instance(call.principal, sid)
    asked = call.asked(ForecastQuery)
    strategy = call.ports.strategies.load(instance.strategy_sid, instance.strategy_version)
    foreseen = forecast(strategy, instance, cycles=asked.cycles, now=call.ports.clock.now())
    return HTTPStatus.OK, forecast_shape(foreseen)


def get_tasks(call: Call, sid: str) -> Answer:
    """The unfinished events of an instance (I5)."""
    instance, _ = call.gate.instance(call.principal, sid)
    return HTTPStatus.OK, _events(call, instance, *EventKind)


def cancel_tasks(call: Call, sid: str) -> Answer:
    """Cancel the unfinished events of some tasks; the rest goes on (I6)."""
    call.gate.instance(call.principal, sid)
    tasks = tuple(filter(None, (key.strip() for key in call.asked(TasksQuery).tasks.split(","))))
    verdict = _commanded(call, sid, CancelTasks(tasks=tasks, by=call.actor))
    return HTTPStatus.OK, {
        "executionInstance": instance_shape(verdict.instance),
        "numCanceledEvents": _canceled(verdict),
    }


def post_event(call: Call, sid: str) -> Answer:
    """Add an event of any task by hand; it runs beside the plan, which it does not move."""
    call.gate.instance(call.principal, sid)
    body, repeatable = call.body(AddAnEvent), call.repeatable
    command = AddEvent(
        task=body.task,
        by=call.actor,
        date=body.date,
        data=body.data,
        on_hold=body.manualTrigger,
        key=None if repeatable is None else call.gate.hasher.hash(repeatable.key)[:KEY_LENGTH],
        body=None if repeatable is None else repeatable.body_hash[:KEY_LENGTH],
    )
    verdict = _commanded(call, sid, command)
    instance, seq = verdict.instance, added_by(verdict.instance, command)
    shape = event_shape(instance, seq, call.ports.instances.trail(instance.sid, seq))
    if shape is None:
        raise not_found("event")
    return HTTPStatus.CREATED if isinstance(verdict, Applied) else HTTPStatus.OK, shape


def pause_instance(call: Call, sid: str) -> Answer:
    """Nothing more of it starts until it is resumed; a step in flight ends (I4)."""
    _, head = call.gate.instance(call.principal, sid)
    instance = _commanded(call, sid, Pause(by=call.actor)).instance
    saved = call.ports.strategies.settings(head.sid, instance.strategy_version)
    return HTTPStatus.OK, paused_shape(instance, head, saved)


def resume_instance(call: Call, sid: str) -> Answer:
    """It goes on; the answer says which planned dates were left out."""
    call.gate.instance(call.principal, sid)
    body = call.body(ResumeInstance, optional=True)
    on_late = None if body.onResume is None else OnResume(body.onResume)
    verdict = _commanded(call, sid, Resume(by=call.actor, on_late=on_late))
    shape = instance_shape(verdict.instance)
    skipped = verdict.skipped if isinstance(verdict, Applied) else None
    if skipped is not None:
        shape["skippedCycles"] = {"first": skipped.first_cycle, "last": skipped.last_cycle}
    instance, now = verdict.instance, call.ports.clock.now()
    strategy = call.ports.strategies.load(instance.strategy_sid, instance.strategy_version)
    shape["overdueEvents"] = overdue_shape(overdue(strategy, instance, now=now))
    return HTTPStatus.OK, shape


def migrate_an_instance(call: Call, sid: str) -> Answer:
    """Move it to another version of its strategy, or with ``dryRun`` only tell which dates appear, vanish or move."""
    call.gate.instance(call.principal, sid)
    body = call.body(MigrateInstance)
    try:
        found = migrate_instance(
            call.ports, InstanceSid(sid), body.version, by=call.actor, dry_run=body.dryRun
        )
    except UnknownStrategyError as error:
        raise not_found("version") from error
    verdict = answered(None if found is None else found.verdict, "instance")
    if found is None:
        raise not_found("instance")
    shown = verdict.instance
    return HTTPStatus.OK, {
        **migration_shape(found, InstanceSid(sid)),
        "executionInstance": instance_shape(shown),
        "dryRun": body.dryRun,
    }


def cancel_instance(call: Call, sid: str) -> Answer:
    """It never runs again; its on-cancel events are created (I3)."""
    call.gate.instance(call.principal, sid)
    verdict = _commanded(call, sid, Cancel(by=call.actor))
    return HTTPStatus.OK, {
        "executionInstance": instance_shape(verdict.instance),
        "createdEvents": {"onCancelEvents": _events(call, verdict.instance, EventKind.ON_CANCEL)},
        "numCanceledEvents": _canceled(verdict),
    }


def answered(verdict: Verdict | None, what: str) -> Applied | AlreadyThere:
    """What a command came to, unless it was refused: 409; 400 and 422 where what was asked for cannot be."""
    match verdict:
        case Applied() | AlreadyThere():
            return verdict
        case Refused(problems=problems) if problems:
            raise bad_request(problems)
        case Refused(why=why, rule=rule):
            cannot_be = rule in ("too-many-missed", "shift", "key-reused", "attributes")
            raise CoreError(HTTPStatus.UNPROCESSABLE_ENTITY if cannot_be else HTTPStatus.CONFLICT, why)
        case None:
            raise not_found(what)
        case _:
            assert_never(verdict)


def _commanded(call: Call, sid: str, command: Command) -> Applied | AlreadyThere:
    return answered(control(call.ports, InstanceSid(sid), command), "instance")


def _events(call: Call, instance: Instance, *kinds: EventKind) -> list[Shape]:
    """The unfinished events of these kinds; only for one that has begun is its journal read."""
    return [
        open_event_shape(
            instance,
            event,
            call.ports.instances.trail(instance.sid, event.seq) if event.has_begun else Trail(),
        )
        for event in instance.events
        if event.kind in kinds
    ]


def _canceled(verdict: Applied | AlreadyThere) -> int:
    return verdict.canceled_events if isinstance(verdict, Applied) else 0


def _new_instance(call: Call) -> tuple[CreateInstance, StrategyHead]:
    """The body and the strategy it names; its own problems and those of its attributes together: else 400."""
    value = call.json()
    body, problems = read_as(CreateInstance, value)
    named = value.get("strategyId") if isinstance(value, dict) else None
    if not isinstance(named, str) or (body is None and not 1 <= len(named) <= MAX_STRATEGY_ID):
        raise bad_request(problems)
    head = call.gate.strategy_named(call.principal, named)
    if body is not None:
        return body, head
    attributes = value.get("attributes")
    if isinstance(attributes, dict):
        problems += attribute_problems(_latest(call, head), attributes)
    raise bad_request(problems)


def _latest(call: Call, head: StrategyHead) -> Strategy:
    return call.ports.strategies.load(head.sid, head.version)
