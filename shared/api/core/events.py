"""Operations on events. Source: docs/contracts/core.md sections 1.1 and 5."""

from shared.api.core.answers import EventShape, WrappedEventShape
from shared.api.core.authorizer import NamedEvent
from shared.api.core.errors import bad_request, not_found, unless_refused
from shared.api.core.render import event_shape
from shared.api.core.schemas import ResolveEvent, RetryAnEvent
from shared.api.http.models import read_json
from shared.api.http.request import Request
from shared.api.http.route import Answer
from shared.api.http.strict_json import canonical
from shared.application.answer_event import SentAnswer, answer_event
from shared.application.control import control_event
from shared.application.retry_event import RetryEvent, retry_event
from shared.domain.errors import Problem
from shared.domain.ids import CorrelationId, answer_key
from shared.domain.instance.event import Resolution
from shared.domain.instance.model import Instance
from shared.domain.lifecycle.commands import CancelEvent, Execute, Resolve
from shared.domain.strategy.model import Json


def get_event(request: Request, named: NamedEvent) -> Answer[WrappedEventShape]:
    """Return an event with the results of its steps (E1)."""
    return Answer(body={"event": _shape(request, named.instance, named.seq)})


def execute_event(request: Request, named: NamedEvent) -> Answer[EventShape]:
    """Run an event now if it is on hold or scheduled for later."""
    return _execute(request, named, Execute(seq=named.seq, by=request.actor))


def cancel_event(request: Request, named: NamedEvent) -> Answer[EventShape]:
    """Cancel one event. If it is a main event, its cycle is skipped and the next one is planned (E2)."""
    return _execute(request, named, CancelEvent(seq=named.seq, by=request.actor))


def resolve_event(request: Request, named: NamedEvent, body: ResolveEvent) -> Answer[EventShape]:
    """Decide about a call in doubt: repeat it, skip its step, or fail its attempt."""
    resolution = Resolution(body.decision)
    return _execute(request, named, Resolve(seq=named.seq, resolution=resolution, by=request.actor))


def resume_event(request: Request, named: NamedEvent, correlation_id: str, body: Json) -> Answer[EventShape]:
    """Accept the answer to an asynchronous call. The event that waits for it continues at once (E3).

    The path has the correlation id that the call carried. A body replaces the response of the call.
    """
    instance, seq = named.instance, named.seq
    correlation = CorrelationId(correlation_id)
    sent = SentAnswer(
        correlation_id=correlation,
        key=answer_key(correlation, canonical(body)),
        by=request.actor,
        body=body,
    )
    verdict = answer_event(request.ports, instance.sid, seq, sent, known=instance)
    return Answer(body=_shape(request, unless_refused(verdict, "event").instance, seq))


def retry_an_event(request: Request, named: NamedEvent, body: RetryAnEvent) -> Answer[EventShape]:
    """Run a failed event again. Results of its steps are kept, except those from ``fromStep`` on."""
    instance, seq = named.instance, named.seq
    retry = RetryEvent(sid=instance.sid, seq=seq, by=request.actor, from_step=body.fromStep)
    verdict = retry_event(request.ports, retry, known=instance)
    return Answer(body=_shape(request, unless_refused(verdict, "event").instance, seq))


def read_answer(request: Request, _: object) -> Json:
    """Return the answer of a service: an object, or None if there is no body. Raises: CoreError (400)."""
    if not request.text:
        return None
    body = read_json(request)
    if not isinstance(body, dict):
        raise bad_request([Problem(pointer="", rule="type", message="must be an object")])
    return body


def _execute(
    request: Request, named: NamedEvent, command: Execute | CancelEvent | Resolve
) -> Answer[EventShape]:
    """Execute a command, and return the event after it."""
    verdict = control_event(request.ports, named.instance.sid, command, known=named.instance)
    return Answer(body=_shape(request, unless_refused(verdict, "event").instance, named.seq))


def _shape(request: Request, instance: Instance, seq: int) -> EventShape:
    shape = event_shape(instance, seq, request.ports.instances.event_history(instance.sid, seq))
    if shape is None:
        raise not_found("event")
    return shape
