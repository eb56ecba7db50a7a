"""What one step comes to: its answer judged, its controller heard.

Source: contracts/core.md section 3.5; design sections 3.7, 5 and 6.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from http import HTTPStatus
from typing import assert_never

from shared.domain.calendar.dates import format_instant
from shared.domain.instance.journal import Answer, EventHistory
from shared.domain.instance.replay import lay_on, stack
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
    told,
)
from shared.domain.steps.controllers import ControllerError, RunController
from shared.domain.steps.directives import DirectiveError, checked, together
from shared.domain.steps.flow import StepContext
from shared.domain.steps.retry import due_after
from shared.domain.strategy.model import (
    InDoubt,
    Json,
    Method,
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
"""What the stored responses of one event may take together, as JSON."""

MAX_ERROR_BYTES = 96 * 1024
"""Bodies of errors are stored only up to here, so that failures leave room for the success after them."""

TOKEN_TIMEOUT_SECONDS = 30
"""The longest a token may take to fetch."""

_GONE = (404, 410)


def no_controller(name: str, _: Scope) -> Json:
    """Where none is registered. Raises: ControllerError."""
    raise ControllerError(f"controller {name!r} is not registered")


def request_of(context: StepContext, intent: Intent) -> ServiceRequest | None:
    """The call a step makes, or None where it has only a controller.

    Raises: CallNotPossibleError.
    """
    action = context.task.steps[intent.step].action
    if action is None:
        return None
    definition = context.strategy.definition
    variables = context.scope_at(intent, stack(context.event_history, context.event, intent))
    return prepare(context.strategy, definition.actions[action], intent, variables)


def judged(
    context: StepContext, intent: Intent, call: CallOutcome | None, *, run: RunController = no_controller
) -> Outcome:
    """What a step came to, given the answer to its call (None: it makes none), its controllers included.

    The named one comes first; the callback sees its response. run: calls a named controller.
    """
    step = context.task.steps[intent.step]
    method = method_called(context.strategy, step)
    outcome = Outcome(success=True) if method is None or call is None else _classified(method, intent, call)
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


def sent(context: StepContext, intent: Intent, outcome: Outcome) -> tuple[Outcome, Intent]:
    """The step of an asynchronous call after its sending, and the visit in which its answer is waited for and heard.

    ``answerWithin`` is counted from now. Where it leads to no date the step waits without limit.
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


def sent_already(context: StepContext, intent: Intent) -> tuple[Outcome, Intent]:
    """As above, of a sending whose answer came before its reply."""
    return sent(context, intent, Outcome(success=True, notes=("its answer came before its reply",)))


def answered(context: StepContext, intent: Intent, answer: Answer) -> Outcome:
    """What an asynchronous step came to, given its answer: a body takes the place of the reply, no body keeps it.

    ``resumeControllerCallback`` has the last word.
    """
    step = context.task.steps[intent.step]
    results = stack(context.event_history, context.event, intent)
    reply = results[intent.step].response if intent.step in results else None
    outcome = Outcome(success=True, response=reply if answer.body is None else answer.body)
    if step.resume_controller_callback is not None:
        name, source = "resumeControllerCallback", step.resume_controller_callback
        outcome = _controlled(context, intent, outcome, lambda seen: directives(source, seen), name=name)
    return _within_bounds(context.event_history, outcome)


def lapsed(intent: Intent) -> Outcome:
    """What an asynchronous step came to whose answer did not come in time."""
    until = "" if intent.answer_by is None else f" by {format_instant(intent.answer_by)}"
    return in_doubt(f"no answer{until}")


def not_possible(intent: Intent, error: CallNotPossibleError) -> Outcome:
    """What a step came to whose call could not be made; an earlier sending of it is still unanswered."""
    return Outcome(success=False, error=error.error, unanswered=intent.repeat)


def in_doubt(message: str) -> Outcome:
    """What a step came to whose call may or may not have reached its service, and is not sent again."""
    return Outcome(success=False, error=StepError(message=message), unanswered=True)


def doubt_policy(strategy: Strategy, step: Step) -> InDoubt:
    """What to do about a call of this step without a known answer."""
    method = method_called(strategy, step)
    return InDoubt.RETRY if method is None or method.is_safe_to_repeat else method.in_doubt


def longest(strategy: Strategy, step: Step) -> timedelta:
    """The longest a step takes once it acts: request delay, then token and call, each repeated once."""
    if step.action is None:
        return timedelta(seconds=1)
    service, method = method_of(strategy, strategy.definition.actions[step.action])
    token = TOKEN_TIMEOUT_SECONDS if strategy.environment in service.authorization else 0
    return strategy.definition.request_delay + timedelta(seconds=2 * (token + method.timeout_seconds))


def _classified(method: Method, intent: Intent, call: CallOutcome) -> Outcome:
    """What an answer, or the lack of one, means.

    A repeat that did not get out says nothing about the sending before it: that one stays unanswered.
    """
    match call:
        case Answered(status=status, unusable=str(unusable)):
            return _unusable(status, unusable)
        case Answered(status=status, body=body):
            return _answered(method, intent, status, body)
        case TimedOut(why=why):
            return in_doubt(f"no answer: {why}")
        case Unreachable(why=why) | AddressRefused(why=why):
            return Outcome(success=False, error=StepError(message=why), unanswered=intent.repeat)
        case _:
            assert_never(call)


def _unusable(status: int, why: str) -> Outcome:
    """A definite answer, and never a success: nobody can tell what it said."""
    message = f"answered {status} with a body that cannot be used: {why}"
    return Outcome(success=False, error=StepError(message=message, status=status))


def _answered(method: Method, intent: Intent, status: int, body: Json) -> Outcome:
    unsound = unreadable(body, "")
    if unsound:
        return _unusable(status, told(unsound))
    if method.method == "delete" and intent.repeat and status in _GONE and not method.whole_answer:
        return Outcome(success=True, response=body)
    if not 200 <= status < 300 and not method.whole_answer:  # noqa: PLR2004 - the 2xx class
        return Outcome(success=False, error=StepError(message=f"answered {status}", status=status, data=body))
    problems = [] if method.response_validation is None else violations(method.response_validation, body)
    if problems:
        error = StepError(message=f"responseValidation: {told(problems)}", status=status, data=body)
        return Outcome(success=False, error=error)
    return Outcome(success=True, response=_whole(status, body) if method.whole_answer else body)


def _whole(status: int, body: Json) -> Json:
    """An answer with its status. reason: its standard name, empty where it has none."""
    try:
        reason = HTTPStatus(status).phrase
    except ValueError:
        reason = ""
    return {"status": status, "reason": reason, "body": body}


def _controlled(
    context: StepContext, intent: Intent, outcome: Outcome, ask: Callable[[Scope], Json], *, name: str
) -> Outcome:
    """The outcome after a controller: its ``response`` in place of the answer, its orders beside earlier ones."""
    results = stack(context.event_history, context.event, intent)
    if intent.awaits:
        lay_on(results, intent, outcome)
    variables = context.scope_at(intent, results)
    try:
        answer = ask(with_response(variables, outcome.response))
        ordered = checked(
            context.strategy, context.instance, together(outcome.directives, answer), now=context.now
        )
    except (EvaluationError, DirectiveError, ControllerError) as problem:
        error = StepError(message=f"{name}: {problem}")
        return replace(outcome, success=False, error=error, directives=None)
    if "fail" in ordered:
        return replace(outcome, success=False, error=StepError(message=ordered["fail"]), directives=None)
    response = ordered.pop("response", outcome.response)
    return replace(outcome, response=response, directives=ordered or None)


def _within_bounds(event_history: EventHistory, outcome: Outcome) -> Outcome:
    """The outcome, if there is room to store it.

    Else a success becomes an error, and an error loses the body that came with it.
    """
    own = _size(outcome)
    size = own + sum(_size(entry.outcome) for entry in event_history.entries)
    if outcome.error is not None and own and size > MAX_ERROR_BYTES:
        note = "RESPONSE_TOO_LARGE: the body of the error was left out"
        return replace(
            outcome, response=None, error=replace(outcome.error, data=None), notes=(*outcome.notes, note)
        )
    if not own or size <= MAX_STORED_BYTES:
        return outcome
    error = StepError(message="RESPONSE_TOO_LARGE: the responses of an event take 192 KB at most")
    return replace(outcome, success=False, response=None, error=error, directives=None)


def _size(outcome: Outcome) -> int:
    held = [value for value in (outcome.response, outcome.error and outcome.error.data) if value is not None]
    return sum(json_size(value) for value in held)
