"""The outcome of one step: its answer is classified, and its controllers are called.

Source: docs/contracts/core.md section 3.5; docs/design.md sections 3.7, 5 and 6.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from http import HTTPStatus
from typing import assert_never

from shared.domain.calendar.dates import format_instant
from shared.domain.instance.journal import Answer, EventHistory
from shared.domain.instance.replay import put_result, stack
from shared.domain.instance.run import Intent, Outcome, StepError
from shared.domain.instance.scope import Scope, directives, with_response
from shared.domain.steps.call import (
    AddressRefused,
    Answered,
    CallNotPossibleError,
    CallOutcome,
    ServiceRequest,
    TimedOut,
    Unreachable,
    method_of,
    prepare,
    summarize,
)
from shared.domain.steps.controllers import ControllerError, RunController
from shared.domain.steps.directives import DirectiveError, check_directives, merge_directives
from shared.domain.steps.flow import StepContext
from shared.domain.steps.retry import due_after
from shared.domain.strategy.model import (
    InDoubt,
    Json,
    Method,
    Service,
    Step,
    Strategy,
    answer_within,
    json_size,
    method_called,
)
from shared.domain.strategy.parse_limits import unreadable
from shared.domain.validation.schema import violations
from shared.expressions import EvaluationError

MAX_STORED_BYTES = 192 * 1024
"""The largest total size of an event's stored responses as compact JSON, in bytes."""

MAX_ERROR_BYTES = 96 * 1024
"""The total size up to which bodies of errors are stored, so that a later success still has room."""

TOKEN_TIMEOUT_SECONDS = 30
"""The longest time that fetching a token may take."""

_GONE = (404, 410)


def no_controller(name: str, _: Scope) -> Json:
    """Reject every name, for deployments without controllers. Raises: ControllerError."""
    raise ControllerError(f"controller {name!r} is not registered")


def request_of(context: StepContext, intent: Intent) -> ServiceRequest | None:
    """Return the call of a step, or None if the step has only a controller.

    Raises: CallNotPossibleError.
    """
    action = context.task.steps[intent.step].action
    if action is None:
        return None
    definition = context.strategy.definition
    variables = context.scope_at(intent, stack(context.event_history, context.event, intent))
    return prepare(context.strategy, definition.actions[action], intent, variables)


def judge_call(
    context: StepContext, intent: Intent, call: CallOutcome | None, *, run: RunController = no_controller
) -> Outcome:
    """Return the outcome of a step after its call and its controllers. ``call`` is None if the step makes no call.

    The named controller runs first, through ``run``; the callback sees its response.
    """
    step = context.task.steps[intent.step]
    target = _target_of(context.strategy, step)
    outcome = Outcome(success=True) if target is None or call is None else _classified(*target, intent, call)
    if outcome.success and step.controller is not None:
        name = step.controller
        outcome = _controlled(
            context, intent, outcome, lambda seen: run(name, seen), name=f"controller {name}"
        )
    if outcome.success and step.controller_callback is not None:
        source = step.controller_callback
        outcome = _controlled(
            context, intent, outcome, lambda seen: directives(source, seen), name="controllerCallback"
        )
    return _within_bounds(context.event_history, outcome)


def begin_wait(context: StepContext, intent: Intent, outcome: Outcome) -> tuple[Outcome, Intent]:
    """Return the outcome of an asynchronous step after its sending, and the visit that waits for the answer.

    ``answerWithin`` counts from now. If it leads to no date, the step waits without a limit.
    """
    within = answer_within(context.strategy, context.task.steps[intent.step])
    until, note = None, None
    if within is not None:
        variables = context.scope_at(intent, stack(context.event_history, context.event, intent))
        until, note = due_after(context.strategy, context.instance, within, variables, now=context.now)
    notes = (f"answerWithin of {intent.step}: {note}",) if note else ()
    waiting = replace(
        intent, visit=intent.visit + 1, passed=(), not_before=None, awaits=True, answer_by=until
    )
    return replace(outcome, unanswered=True, notes=outcome.notes + notes), waiting


def begin_wait_after_early_answer(context: StepContext, intent: Intent) -> tuple[Outcome, Intent]:
    """Return the same as ``begin_wait`` if the answer arrived before the reply."""
    return begin_wait(context, intent, Outcome(success=True, notes=("the answer arrived before the reply",)))


def judge_answer(context: StepContext, intent: Intent, answer: Answer) -> Outcome:
    """Return the outcome of an asynchronous step after its answer. A body replaces the reply; no body keeps it.

    ``resumeControllerCallback`` can still change the outcome.
    """
    step = context.task.steps[intent.step]
    results = stack(context.event_history, context.event, intent)
    reply = results[intent.step].response if intent.step in results else None
    outcome = Outcome(success=True, response=reply if answer.body is None else answer.body)
    if step.resume_controller_callback is not None:
        name, source = "resumeControllerCallback", step.resume_controller_callback
        outcome = _controlled(context, intent, outcome, lambda seen: directives(source, seen), name=name)
    return _within_bounds(context.event_history, outcome)


def judge_timeout(intent: Intent) -> Outcome:
    """Return the outcome of an asynchronous step without an answer in time."""
    until = "" if intent.answer_by is None else f" by {format_instant(intent.answer_by)}"
    return in_doubt(f"no answer{until}")


def fail_call(intent: Intent, error: CallNotPossibleError) -> Outcome:
    """Return the outcome of a step whose call could not be made."""
    # An earlier sending of the same call, if there was one, still has no answer (ADR 4).
    return Outcome(success=False, error=error.error, unanswered=intent.repeat)


def in_doubt(message: str) -> Outcome:
    """Return the outcome of a step with a call in doubt that is not sent again."""
    return Outcome(success=False, error=StepError(message=message), unanswered=True)


def doubt_policy(strategy: Strategy, step: Step) -> InDoubt:
    """Return the policy for a call of this step without a known answer."""
    method = method_called(strategy, step)
    return InDoubt.RETRY if method is None or method.is_safe_to_repeat else method.in_doubt


def longest(strategy: Strategy, step: Step) -> timedelta:
    """Return the longest time that a step takes once it acts: request delay, token and call, each with one repeat."""
    if step.action is None:
        return timedelta(seconds=1)
    service, method = method_of(strategy, strategy.definition.actions[step.action])
    token = TOKEN_TIMEOUT_SECONDS if strategy.environment in service.authorization else 0
    return strategy.definition.request_delay + timedelta(seconds=2 * (token + method.timeout_seconds))


def _target_of(strategy: Strategy, step: Step) -> tuple[Service, Method] | None:
    return None if step.action is None else method_of(strategy, strategy.definition.actions[step.action])


def _classified(service: Service, method: Method, intent: Intent, call: CallOutcome) -> Outcome:
    """Return the outcome of a call by its answer, or by the lack of one."""
    match call:
        case Answered(status=status, unusable=str(unusable)):
            return _unusable(service, method, status, unusable)
        case Answered(status=status, body=body):
            return _answered(service, method, intent, status, body)
        case TimedOut(why=why):
            return in_doubt(f"no answer: {why}")
        case Unreachable(why=why) | AddressRefused(why=why):
            # A repeat that was not sent says nothing about the first sending, which stays unanswered (ADR 4).
            return Outcome(success=False, error=StepError(message=why), unanswered=intent.repeat)
        case _:
            assert_never(call)


def _unusable(service: Service, method: Method, status: int, why: str) -> Outcome:
    """Return the failure for a body that cannot be read. It is a definite answer, but never a success."""
    message = f"{_returned(service, method, status)} with an unusable body: {why}"
    return Outcome(success=False, error=StepError(message=message, status=status))


def _returned(service: Service, method: Method, status: int) -> str:
    return f"{service.key}/{method.key} returned HTTP {status}"


def _answered(service: Service, method: Method, intent: Intent, status: int, body: Json) -> Outcome:
    unsound = unreadable(body, "")
    if unsound:
        return _unusable(service, method, status, summarize(unsound))
    if method.method == "delete" and intent.repeat and status in _GONE and not method.whole_answer:
        # The first sending has deleted it.
        return Outcome(success=True, response=body)
    if not 200 <= status < 300 and not method.whole_answer:  # noqa: PLR2004 - the 2xx class
        error = StepError(message=_returned(service, method, status), status=status, data=body)
        return Outcome(success=False, error=error)
    problems = [] if method.response_validation is None else violations(method.response_validation, body)
    if problems:
        error = StepError(message=f"responseValidation: {summarize(problems)}", status=status, data=body)
        return Outcome(success=False, error=error)
    return Outcome(success=True, response=_whole(status, body) if method.whole_answer else body)


def _whole(status: int, body: Json) -> Json:
    """Return an answer with its status. ``reason`` is the status's standard name, or empty."""
    try:
        reason = HTTPStatus(status).phrase
    except ValueError:
        reason = ""
    return {"status": status, "reason": reason, "body": body}


def _controlled(
    context: StepContext, intent: Intent, outcome: Outcome, call: Callable[[Scope], Json], *, name: str
) -> Outcome:
    """Return the outcome after a controller: its ``response`` replaces the answer, its directives are added."""
    results = stack(context.event_history, context.event, intent)
    if intent.awaits:
        put_result(results, intent, outcome)
    variables = context.scope_at(intent, results)
    try:
        answer = call(with_response(variables, outcome.response))
        ordered = check_directives(
            context.strategy, context.instance, merge_directives(outcome.directives, answer), now=context.now
        )
    except (EvaluationError, DirectiveError, ControllerError) as problem:
        error = StepError(message=f"{name}: {problem}")
        return replace(outcome, success=False, error=error, directives=None)
    if "fail" in ordered:
        return replace(outcome, success=False, error=StepError(message=ordered["fail"]), directives=None)
    response = ordered.pop("response", outcome.response)
    return replace(outcome, response=response, directives=ordered or None)


def _within_bounds(event_history: EventHistory, outcome: Outcome) -> Outcome:
    """Return the outcome if there is room to store it.

    Otherwise a success becomes an error, and an error loses its body.
    """
    own = _size(outcome)
    size = own + sum(_size(entry.outcome) for entry in event_history.entries)
    if outcome.error is not None and own and size > MAX_ERROR_BYTES:
        note = "RESPONSE_TOO_LARGE: the body of the error was dropped"
        return replace(
            outcome, response=None, error=replace(outcome.error, data=None), notes=(*outcome.notes, note)
        )
    if not own or size <= MAX_STORED_BYTES:
        return outcome
    error = StepError(message="RESPONSE_TOO_LARGE: the responses of one event must take at most 192 KB")
    return replace(outcome, success=False, response=None, error=error, directives=None)


def _size(outcome: Outcome) -> int:
    bodies = [
        value for value in (outcome.response, outcome.error and outcome.error.data) if value is not None
    ]
    return sum(json_size(body) for body in bodies)
