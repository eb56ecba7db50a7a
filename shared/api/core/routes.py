"""The operations of the core dialect: gate, use-case, shape. No rules of their own.

Source: contracts/core.md section 1.
"""

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, assert_never

from shared.api.core.errors import CoreError, bad_request, not_found
from shared.api.core.gate import Gate, instants
from shared.api.core.render import (
    created_events,
    event_shape,
    instance_shape,
    open_event_shape,
    paused_shape,
    strategy_shape,
)
from shared.api.core.schemas import CreateInstance, CreateStrategy, ResumeInstance
from shared.application.control import control
from shared.application.ports import NameTakenError
from shared.application.start import StartInstance, start_instance
from shared.application.strategies import NewStrategy, create_strategy
from shared.domain.access import Role
from shared.domain.commands import Cancel, Command, Pause, Resume
from shared.domain.decision import Actor, AlreadyThere, Applied, Refused, Verdict
from shared.domain.errors import InvalidInputError
from shared.domain.ids import InstanceSid, event_address
from shared.domain.instance import Instance
from shared.domain.strategy import OnResume

Answer = tuple[HTTPStatus, dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request of an operation. environment: the deployment's."""

    gate: Gate
    body: bytes
    environment: str

    @property
    def reason(self) -> str | None:
        """Why the caller does it, for the audit trail."""
        return self.gate.headers.get("audit-comment")


def post_strategy(call: Call) -> Answer:
    """S1: a new strategy."""
    principal = call.gate.principal(Role.ADMIN)
    body = call.gate.body(call.body, CreateStrategy)
    new = NewStrategy(
        account_id=principal.account_id,
        name=body.name,
        folder=body.folder,
        description=body.description,
        secret=body.secret,
        settings=body.settings,
    )
    try:
        head = create_strategy(call.gate.ports, call.gate.hasher, new, environment=call.environment)
    except InvalidInputError as error:
        raise bad_request(error.problems) from error
    except NameTakenError as error:
        raise CoreError(HTTPStatus.CONFLICT, f"there is a strategy named {body.name!r} already") from error
    return HTTPStatus.CREATED, strategy_shape(head)


def post_instance(call: Call) -> Answer:
    """I1: a new instance with its first events."""
    principal = call.gate.principal(Role.OPERATOR)
    body = call.gate.body(call.body, CreateInstance)
    head = call.gate.strategy(principal, body.strategyId)
    dates = instants(startDate=body.startDate, endDate=body.endDate)
    asked = StartInstance(
        strategy_id=body.strategyId,
        attributes=body.attributes,
        description=body.description,
        start_date=dates["startDate"],
        end_date=dates["endDate"],
    )
    try:
        strategy = call.gate.ports.strategies.load(head.sid, head.version)
        started = start_instance(call.gate.ports, strategy, asked)
    except InvalidInputError as error:
        raise bad_request(error.problems) from error
    instance, main = started.instance, started.instance.main_event
    events = created_events(instance, {"onCreateEvents": "ON_CREATE", "leadingUpEvents": "LEADING_UP"})
    if main is not None:
        events["mainEvent"] = open_event_shape(instance, main)
    return HTTPStatus.CREATED, {"executionInstance": instance_shape(instance), "createdEvents": events}


def get_instance(call: Call, sid: str) -> Answer:
    """I2: an instance."""
    instance, _ = call.gate.instance(call.gate.principal(Role.VIEWER), sid)
    return HTTPStatus.OK, instance_shape(instance)


def pause_instance(call: Call, sid: str) -> Answer:
    """I4: nothing more of it starts."""
    principal = call.gate.principal(Role.OPERATOR)
    _, head = call.gate.instance(principal, sid)
    verdict = _commanded(call, sid, Pause(by=Actor(name=principal.key_id, reason=call.reason)))
    return HTTPStatus.OK, paused_shape(verdict.instance, head)


def resume_instance(call: Call, sid: str) -> Answer:
    """It goes on; the answer says which planned dates were left out."""
    principal = call.gate.principal(Role.OPERATOR)
    body = call.gate.body(call.body, ResumeInstance, optional=True)
    call.gate.instance(principal, sid)
    on_late = None if body.onResume is None else OnResume(body.onResume)
    by = Actor(name=principal.key_id, reason=call.reason)
    verdict = _commanded(call, sid, Resume(by=by, on_late=on_late))
    shape = instance_shape(verdict.instance)
    skipped = verdict.skipped if isinstance(verdict, Applied) else None
    if skipped is not None:
        shape["skippedCycles"] = {"first": skipped.first_cycle, "last": skipped.last_cycle}
    return HTTPStatus.OK, shape


def cancel_instance(call: Call, sid: str) -> Answer:
    """I3: it never runs again."""
    principal = call.gate.principal(Role.OPERATOR)
    call.gate.instance(principal, sid)
    verdict = _commanded(call, sid, Cancel(by=Actor(name=principal.key_id, reason=call.reason)))
    canceled = verdict.canceled_events if isinstance(verdict, Applied) else 0
    return HTTPStatus.OK, {
        "executionInstance": instance_shape(verdict.instance),
        "createdEvents": created_events(verdict.instance, {"onCancelEvents": "ON_CANCEL"}),
        "numCanceledEvents": canceled,
    }


def get_event(call: Call, sid: str) -> Answer:
    """E1: an event, wrapped, with what its steps came to."""
    principal = call.gate.principal(Role.VIEWER)
    address = event_address(sid)
    if address is None:
        raise not_found("event")
    instance, seq = _owner(call, principal.account_id, address)
    shape = event_shape(instance, seq, call.gate.ports.instances.trail(instance.sid, seq))
    if shape is None:
        raise not_found("event")
    return HTTPStatus.OK, {"event": shape}


def _owner(call: Call, account: str, address: tuple[InstanceSid, int]) -> tuple[Instance, int]:
    """The instance an event belongs to; what is missing is the event."""
    sid, seq = address
    instance = call.gate.ports.instances.load(sid)
    if instance is None or instance.account_id != account:
        raise not_found("event")
    call.gate.opened_strategy(instance)
    return instance, seq


def _commanded(call: Call, sid: str, command: Command) -> Applied | AlreadyThere:
    """What a command came to, unless the instance does not allow it: 409, or 422 for a plan too late to shift."""
    verdict: Verdict | None = control(call.gate.ports, InstanceSid(sid), command)
    match verdict:
        case Applied() | AlreadyThere():
            return verdict
        case Refused(why=why, rule=rule):
            unprocessable = rule == "too-many-missed"
            raise CoreError(HTTPStatus.UNPROCESSABLE_ENTITY if unprocessable else HTTPStatus.CONFLICT, why)
        case None:
            raise not_found("instance")
        case _:
            assert_never(verdict)


ROUTES: dict[tuple[str, str], Callable[..., Answer]] = {
    ("POST", "/execution-strategy"): post_strategy,
    ("POST", "/execution-instance"): post_instance,
    ("GET", "/execution-instance/<sid>"): get_instance,
    ("POST", "/execution-instance/<sid>/pause"): pause_instance,
    ("POST", "/execution-instance/<sid>/resume"): resume_instance,
    ("POST", "/execution-instance/<sid>/cancel"): cancel_instance,
    ("GET", "/execution-event/<sid>"): get_event,
}
"""Every operation, by method and path."""
