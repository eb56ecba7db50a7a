"""The outcome of one step: its answer is classified (``classify.py``), and its controllers are called.

Source: docs/contracts/core.md section 3.5; docs/design.md sections 3.7, 5 and 6.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import NamedTuple

from msgspec.structs import replace

from shared.domain.calendar.dates import format_instant
from shared.domain.instance.journal import Answer, EventHistory
from shared.domain.instance.reason import ErrorKind
from shared.domain.instance.replay import put_result, stack
from shared.domain.instance.run import Certainty, Intent, Outcome, StepError
from shared.domain.instance.scope import Scope, directives, with_response
from shared.domain.steps.call import (
    Answered,
    CallNotPossibleError,
    CallOutcome,
    ServiceRequest,
    method_of,
    prepare,
)
from shared.domain.steps.classify import AnswerClass, certainty_of, classify, is_success
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
from shared.expressions import EvaluationError, spending

MAX_STORED_BYTES = 192 * 1024
"""The largest total size of an event's stored responses as compact JSON, in bytes."""

MAX_ERROR_BYTES = 96 * 1024
"""The total size up to which bodies of errors are stored, so that a later success still has room."""

TOKEN_TIMEOUT_SECONDS = 30
"""The longest time that fetching a token may take."""


SECRETS_TIMEOUT_SECONDS = 15
"""The longest time that reading the secrets of a call may take."""


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


@spending()
def judge_call(
    context: StepContext, intent: Intent, call: CallOutcome | None, *, run: RunController = no_controller
) -> Outcome:
    """Return the outcome of a step after its call and its controllers. ``call`` is None if the step makes no call.

    The named controller runs first, through ``run``; the callback sees its response.
    """
    step = context.task.steps[intent.step]
    target = _target_of(context.strategy, step)
    outcome = Outcome(success=True) if target is None or call is None else classify(*target, intent, call)
    if_unusable = _certainty_if_unusable(outcome, call)
    if outcome.success and step.controller is not None:
        name = step.controller
        outcome = _controlled(
            _Controller(f"controller {name}", lambda seen: run(name, seen)),
            context,
            intent,
            outcome,
            if_unusable,
        )
    if outcome.success and step.controller_callback is not None:
        source = step.controller_callback
        outcome = _controlled(
            _Controller("controllerCallback", lambda seen: directives(source, seen)),
            context,
            intent,
            outcome,
            if_unusable,
        )
    return _within_bounds(context.event_history, outcome, if_unusable)


@spending()
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
        intent,
        visit=intent.visit + 1,
        in_doubt_since=intent.in_doubt_since or context.now,
        passed=(),
        not_before=None,
        refusal=None,
        awaits=True,
        answer_by=until,
    )
    return replace(outcome, certainty=Certainty.IN_DOUBT, notes=outcome.notes + notes), waiting


def begin_wait_after_early_answer(context: StepContext, intent: Intent) -> tuple[Outcome, Intent]:
    """Return the same as ``begin_wait`` if the answer arrived before the reply."""
    return begin_wait(context, intent, Outcome(success=True, notes=("the answer arrived before the reply",)))


@spending()
def judge_answer(context: StepContext, intent: Intent, answer: Answer) -> Outcome:
    """Return the outcome of an asynchronous step after its answer. A body replaces the reply; no body keeps it.

    ``resumeControllerCallback`` can still change the outcome.
    """
    step = context.task.steps[intent.step]
    results = stack(context.event_history, context.event, intent)
    reply = results[intent.step].response if intent.step in results else None
    outcome = Outcome(success=True, response=reply if answer.body is None else answer.body)
    if step.resume_controller_callback is not None:
        source = step.resume_controller_callback
        controller = _Controller("resumeControllerCallback", lambda seen: directives(source, seen))
        outcome = _controlled(controller, context, intent, outcome, Certainty.DEFINITE)
    # The answer itself is definite, whatever can be made of it.
    return _within_bounds(context.event_history, outcome, Certainty.DEFINITE)


def judge_timeout(intent: Intent) -> Outcome:
    """Return the outcome of an asynchronous step without an answer in time."""
    until = "" if intent.answer_by is None else f" by {format_instant(intent.answer_by)}"
    return in_doubt(f"no answer{until}", ErrorKind.TIMEOUT)


def fail_call(intent: Intent, error: CallNotPossibleError) -> Outcome:
    """Return the outcome of a step whose call could not be made."""
    return Outcome(success=False, error=error.error, certainty=certainty_of(AnswerClass.NOT_SENT, intent))


def in_doubt(message: str, kind: ErrorKind) -> Outcome:
    """Return the outcome of a step with a call in doubt that is not sent again."""
    return Outcome(success=False, error=StepError(message=message, kind=kind), certainty=Certainty.IN_DOUBT)


def doubt_policy(strategy: Strategy, step: Step) -> InDoubt:
    """Return the policy for a call of this step without a known answer."""
    method = method_called(strategy, step)
    return InDoubt.RETRY if method is None or method.is_safe_to_repeat else method.in_doubt


def longest(strategy: Strategy, step: Step) -> timedelta:
    """Return the longest time that a step takes once it acts.

    That is the request delay, then secrets, token and call, each with one repeat.
    """
    if step.action is None:
        return timedelta(seconds=1)
    action = strategy.definition.actions[step.action]
    service, method = method_of(strategy, action)
    authorization = service.authorization.get(strategy.environment)
    token = 0 if authorization is None else TOKEN_TIMEOUT_SECONDS
    names_secrets = action.names_secrets or (authorization is not None and authorization.names_secrets)
    secrets = SECRETS_TIMEOUT_SECONDS if names_secrets else 0
    once = timedelta(seconds=secrets + token + method.timeout_seconds)
    return strategy.definition.request_delay + 2 * once


def _target_of(strategy: Strategy, step: Step) -> tuple[Service, Method] | None:
    return None if step.action is None else method_of(strategy, strategy.definition.actions[step.action])


def _certainty_if_unusable(outcome: Outcome, call: CallOutcome | None) -> Certainty:
    """Return the certainty about the call if its answer turns out to be unusable: a 2xx then leaves it in doubt."""
    is_2xx = isinstance(call, Answered) and is_success(call.status)
    # If an expression fails, the flow cannot judge the status of a whole answer either.
    if is_2xx or outcome.certainty is Certainty.OPEN:
        return Certainty.IN_DOUBT
    return outcome.certainty


class _Controller(NamedTuple):
    """A controller with its name for messages. ``call`` returns its directives."""

    name: str
    call: Callable[[Scope], Json]


def _controlled(
    controller: _Controller, context: StepContext, intent: Intent, outcome: Outcome, if_unusable: Certainty
) -> Outcome:
    """Return the outcome after a controller: its ``response`` replaces the answer, its directives are added.

    If it cannot be evaluated, nothing is known about the answer: the certainty is ``if_unusable``. Its ``fail`` leaves
    the certainty of the answer.
    """
    results = stack(context.event_history, context.event, intent)
    if intent.awaits:
        put_result(results, intent, outcome)
    variables = context.scope_at(intent, results)
    try:
        answer = controller.call(with_response(variables, outcome.response))
        ordered = check_directives(
            context.strategy, context.instance, merge_directives(outcome.directives, answer), now=context.now
        )
    except (EvaluationError, DirectiveError, ControllerError) as problem:
        kind = ErrorKind.EXPRESSION if isinstance(problem, EvaluationError) else ErrorKind.CONTROLLER
        error = StepError(message=f"{controller.name}: {problem}", kind=kind)
        return replace(outcome, success=False, error=error, directives=None, certainty=if_unusable)
    if "fail" in ordered:
        error = StepError(message=ordered["fail"], kind=ErrorKind.CONTROLLER)
        return replace(outcome, success=False, error=error, directives=None)
    response = ordered.pop("response", outcome.response)
    return replace(outcome, response=response, directives=ordered or None)


def _within_bounds(event_history: EventHistory, outcome: Outcome, if_unusable: Certainty) -> Outcome:
    """Return the outcome if there is room to store it.

    Otherwise a success becomes an error with the certainty ``if_unusable``, and an error loses its body.
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
    message = "RESPONSE_TOO_LARGE: the responses of one event must take at most 192 KB"
    error = StepError(message=message, kind=ErrorKind.RESPONSE)
    return replace(outcome, success=False, response=None, error=error, directives=None, certainty=if_unusable)


def _size(outcome: Outcome) -> int:
    bodies = [
        value for value in (outcome.response, outcome.error and outcome.error.data) if value is not None
    ]
    return sum(json_size(body) for body in bodies)
