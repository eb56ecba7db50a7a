"""The variables that expressions see, and the conversion of their results.

Every callback and template sees the same variables; those without a value are null or empty. ``response`` is set in
two cases. For a controller it is the answer to the step's call, and for a ``requestValidation`` it is the body about
to be sent. Rules read responses from ``stack``. Source: docs/design.md section 6.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast

from shared.domain.calendar.dates import ResetTo, Span, Unit, format_instant
from shared.domain.errors import DateError
from shared.domain.ids import event_sid
from shared.domain.instance.due import next_event
from shared.domain.instance.event import Event
from shared.domain.instance.journal import StepResult
from shared.domain.instance.model import Instance
from shared.domain.instance.reason import Cause, StopReason
from shared.domain.instance.run import Failure, Intent
from shared.domain.strategy.model import Delta, Json, Strategy
from shared.domain.strategy.variables import RESET_BOUNDS, VARIABLES
from shared.expressions import EvaluationError, ResultType, as_data, evaluate

Scope = dict[str, Any]
"""The value of every variable for one evaluation."""


def scope(
    strategy: Strategy,
    instance: Instance,
    *,
    now: datetime,
    cycle: int | None = None,
    date: datetime | None = None,
    event: Event | None = None,
    intent: Intent | None = None,
    stack: Mapping[str, StepResult] | None = None,
) -> Scope:
    """Return the variables for an instance, an event, or a step.

    ``cycle`` and ``date`` are those being planned; the defaults are the instance's cycle and the event's date.
    ``intent`` is the step about to be executed or, for its rules, just executed. It provides the attempt and the
    keys. On a side path, its failed attempt is visible too.
    """
    attributes = as_data(dict(instance.attributes))
    when = date or (event.date if event else now)
    variables = {
        "instance": _instance_view(instance, attributes, event),
        "attributes": attributes,
        "event": {} if event is None else _event_view(instance, event, intent),
        "stack": {key: _result_view(result) for key, result in (stack or {}).items()},
        "cycle": instance.plan.cycle if cycle is None else cycle,
        "date": when,
        "now": now,
        "attempt": intent.attempt if intent else (event.attempt if event else 1),
        "response": None,
        "env": strategy.environment,
    }
    return variables if intent is None or intent.failure is None else with_failure(variables, intent.failure)


def with_failure(variables: Scope, failure: Failure) -> Scope:
    """Return the variables of an event on the side path of a failed attempt.

    They depend on the stored failure alone, so that a repeated request is equal whatever has changed meanwhile.
    """
    reason = StopReason(cause=Cause.EXHAUSTED, detail=failure.error.error_class)
    of_instance = {"nextDate": _text_of(failure.next_at)}
    if failure.pauses:
        of_instance["stoppedReason"] = reason.text
    of_event = {"nextRetryAt": _text_of(failure.retry_at), "attemptsLeft": failure.attempts_left}
    return {
        **variables,
        "instance": {**variables["instance"], **of_instance},
        "event": {**variables["event"], **of_event},
    }


def with_response(variables: Scope, response: Json) -> Scope:
    """Return the variables with ``response`` set."""
    return {**variables, "response": as_data(response)}


def is_true(source: str, variables: Scope) -> bool:
    """Return the value of a condition. Raises: EvaluationError."""
    return cast(bool, evaluate(source, variables, variables=VARIABLES, returns=ResultType.BOOL))


def instant(source: str, variables: Scope) -> datetime:
    """Return the date that a date callback computes. Raises: EvaluationError."""
    return cast(datetime, evaluate(source, variables, variables=VARIABLES, returns=ResultType.TIMESTAMP))


def directives(source: str, variables: Scope) -> dict[str, Json]:
    """Return the directives that a controller callback computes. Raises: EvaluationError."""
    return cast(dict[str, Json], evaluate(source, variables, variables=VARIABLES, returns=ResultType.MAP))


def span_of(delta: Delta, variables: Scope | None) -> tuple[Span, str | None]:
    """Return the span of a delta, and a note if its callback failed.

    If ``variables`` is None, the callback is not evaluated and the delta's own unit and amount are returned.
    """
    # The fallback if the callback fails.
    own = Span(unit=delta.unit, amount=delta.amount, reset_to=delta.reset_to)
    if delta.retry_event_callback is None or variables is None:
        return own, None
    try:
        answer = directives(delta.retry_event_callback, variables)
        return _span_from(answer, own), None
    except (EvaluationError, DateError) as error:
        return own, f"retryEventCallback: {error}"


def _span_from(answer: Mapping[str, Json], own: Span) -> Span:
    """Return ``{unit, amount, resetTo?}`` as a span; missing members default to the delta's own.

    Raises: DateError: if the value has any other shape.
    """
    unknown = sorted(set(answer) - {"unit", "amount", "resetTo"})
    if unknown:
        raise DateError(f"unknown member {unknown[0]!r}")
    unit, amount = answer.get("unit", own.unit), answer.get("amount", own.amount)
    if unit not in list(Unit):  # a list, because a set would have to hash the value, which may be unhashable
        raise DateError(f"{unit!r} is not a unit")
    # A bool is an int in Python, but not a number in JSON.
    if isinstance(amount, bool) or not isinstance(amount, int) or amount < 0:
        raise DateError(f"{amount!r} is not a whole number of {unit}")
    reset_to = _reset_from(answer["resetTo"]) if "resetTo" in answer else own.reset_to
    return Span(unit=Unit(unit), amount=amount, reset_to=reset_to)


def _reset_from(value: Json) -> ResetTo:
    if not isinstance(value, Mapping):
        raise DateError("resetTo is not an object")
    parts: dict[str, int] = {}
    for name, part in value.items():
        low, high = RESET_BOUNDS.get(name, (1, 0))
        if isinstance(part, bool) or not isinstance(part, int) or not low <= part <= high:
            raise DateError(f"resetTo.{name} cannot be {part!r}")
        parts[name] = part
    return ResetTo(**parts)


def _instance_view(instance: Instance, attributes: Json, event: Event | None) -> dict[str, Json]:
    return {
        "sid": instance.sid,
        "strategyId": instance.origin.strategy_id,
        "description": instance.description,
        "status": instance.status.value,
        "cycle": instance.plan.cycle,
        "startDate": format_instant(instance.start_date),
        "endDate": _text_of(instance.plan.end_date),
        "executionDate": _text_of(instance.plan.due),
        "plannedDate": None if instance.plan.moment is None else format_instant(instance.plan.moment.at),
        "executionDay": None if instance.plan.moment is None else instance.plan.moment.anchor.day,
        "attributes": attributes,
        "cancelReason": None if instance.cancel_reason is None else instance.cancel_reason.value,
        "nextDate": _text_of(_next_date(instance, event)),
        "stoppedReason": None if instance.stop is None else instance.stop.reason.text,
    }


def _next_date(instance: Instance, event: Event | None) -> datetime | None:
    """Return when the instance next runs another event by itself, or None if none is planned.

    The next cycle is planned only when the main event has ended. Outside an event, dates are being planned.
    """
    other = None if event is None else next_event(instance, besides=event)
    return None if other is None else other.due_at


def _text_of(at: datetime | None) -> str | None:
    return None if at is None else format_instant(at)


def _event_view(instance: Instance, event: Event, intent: Intent | None) -> dict[str, Json]:
    return {
        "sid": event_sid(instance.sid, event.seq),
        "task": event.task,
        "main": event.is_main,
        "date": format_instant(event.date),
        "plannedDate": format_instant(event.planned_date),
        "data": as_data(dict(event.data)),
        "createdCycle": event.created_cycle,
        "run": event.run,
        "attempt": event.attempt if intent is None else intent.attempt,
        "nextRetryAt": None,
        "attemptsLeft": None,
        "worker": instance.origin.worker,
        "idempotencyKey": None if intent is None else intent.call_key,
        "correlationId": None if intent is None else intent.correlation_id,
    }


def _result_view(result: StepResult) -> dict[str, Json]:
    error = result.error
    return {
        "success": result.success,
        "response": as_data(result.response),
        "cached": as_data(result.cached),
        "error": None
        if error is None
        else {"message": error.message, "status": error.status, "data": as_data(error.data)},
        "inDoubt": result.in_doubt,
        "fromCache": result.from_cache,
    }
