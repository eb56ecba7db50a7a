"""The operations on events. Source: contracts/core.md sections 1.1 and 5."""

from http import HTTPStatus

from shared.api.core.call import Answer, Call
from shared.api.core.errors import bad_request, not_found
from shared.api.core.instances import answered
from shared.api.core.render import Shape, event_shape
from shared.api.core.schemas import ResolveEvent, RetryAnEvent
from shared.api.http.strict_json import canonical
from shared.application.answer_event import SentAnswer, answer_event
from shared.application.control import control_event
from shared.application.retry_event import RetryEvent, retry_event
from shared.domain.errors import Problem
from shared.domain.ids import CorrelationId, InstanceSid, answer_key, event_of_correlation
from shared.domain.instance.event import Resolution
from shared.domain.instance.model import Instance
from shared.domain.lifecycle.commands import CancelEvent, Execute, Resolve
from shared.domain.strategy.parse_limits import unreadable


def get_event(call: Call, sid: str) -> Answer:
    """An event, wrapped, with what its steps came to (E1)."""
    instance, seq = call.gate.event(call.principal, sid)
    return HTTPStatus.OK, {"event": _shown(call, instance, seq)}


def execute_event(call: Call, sid: str) -> Answer:
    """Run an event now that is on hold or waits for its date."""
    instance, seq = call.gate.event(call.principal, sid)
    return _commanded(call, instance.sid, Execute(seq=seq, by=call.actor))


def cancel_event(call: Call, sid: str) -> Answer:
    """Cancel one event; with a main event its cycle is skipped, and the next one is planned (E2)."""
    instance, seq = call.gate.event(call.principal, sid)
    return _commanded(call, instance.sid, CancelEvent(seq=seq, by=call.actor))


def resolve_event(call: Call, sid: str) -> Answer:
    """Decide about a call in doubt: send it again, go on without it, or let its attempt fail."""
    instance, seq = call.gate.event(call.principal, sid)
    decision = Resolution(call.body(ResolveEvent).decision)
    return _commanded(call, instance.sid, Resolve(seq=seq, resolution=decision, by=call.actor))


def resume_event(call: Call, correlation_id: str) -> Answer:
    """The answer to an asynchronous call: the event that waits for it goes on at once (E3).

    Addressed by the correlation id the call carried. A body takes the place of the call's reply.
    """
    instance, seq = call.gate.event(call.principal, event_of_correlation(correlation_id))
    body = call.json() if call.text else None
    if call.text and not isinstance(body, dict):
        raise bad_request([Problem(pointer="", rule="type", message="must be an object")])
    problems = unreadable(body, "")
    if problems:
        raise bad_request(problems)
    correlation = CorrelationId(correlation_id)
    sent = SentAnswer(
        correlation_id=correlation, key=answer_key(correlation, canonical(body)), by=call.actor, body=body
    )
    verdict = answered(answer_event(call.ports, instance.sid, seq, sent), "event")
    return HTTPStatus.OK, _shown(call, verdict.instance, seq)


def retry_an_event(call: Call, sid: str) -> Answer:
    """Run an event again that has failed, keeping what its steps have achieved, but for those from ``fromStep`` on."""
    instance, seq = call.gate.event(call.principal, sid)
    from_step = call.body(RetryAnEvent, optional=True).fromStep
    asked = RetryEvent(sid=instance.sid, seq=seq, by=call.actor, from_step=from_step)
    verdict = answered(retry_event(call.ports, asked), "event")
    return HTTPStatus.OK, _shown(call, verdict.instance, seq)


def _commanded(call: Call, sid: InstanceSid, command: Execute | CancelEvent | Resolve) -> Answer:
    """The event, unwrapped, as the command has left it."""
    verdict = answered(control_event(call.ports, sid, command), "event")
    return HTTPStatus.OK, _shown(call, verdict.instance, command.seq)


def _shown(call: Call, instance: Instance, seq: int) -> Shape:
    shape = event_shape(instance, seq, call.ports.instances.trail(instance.sid, seq))
    if shape is None:
        raise not_found("event")
    return shape
