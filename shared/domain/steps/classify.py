"""The classes of answers to a call, and the outcome that each gives a step.

Source: docs/contracts/core.md section 3.5; docs/design.md section 3.7; docs/decisions/0030.
"""

from enum import Enum, auto
from http import HTTPStatus
from typing import assert_never

from shared.domain.instance.reason import ErrorKind
from shared.domain.instance.run import Certainty, Intent, Outcome, StepError
from shared.domain.steps.call import (
    AddressRefused,
    Answered,
    CallOutcome,
    TimedOut,
    TokenRefused,
    Unreachable,
    summarize,
)
from shared.domain.strategy.model import Json, Method, Service
from shared.domain.strategy.parse_limits import unreadable
from shared.domain.validation.schema import violations

_GONE = (404, 410)
_WAITING = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
_GATEWAY_ERRORS = (HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT)
_REFUSING = (HTTPStatus.CONFLICT, HTTPStatus.TOO_EARLY, *_WAITING)


class AnswerClass(Enum):
    """The meaning of an answer, or of no answer, for the effect of a call."""

    SUCCESS = auto()
    """A usable 2xx."""
    DEFINITE_FAILURE = auto()
    """The service has not done it and will not: a 4xx, or a status that the method names in ``definiteStatuses``."""
    REFUSED_FOR_NOW = auto()
    """The service has not done it, and the same call may be sent later: 409, 425, 429, 503; or it gave no token."""
    NOT_SENT = auto()
    """No byte reached the service. That says nothing about an earlier sending."""
    UNKNOWN = auto()
    """The service may have done it: no answer, a 2xx that cannot be used, 408, or any other status."""


def answer_class(method: Method, call: CallOutcome, *, usable: bool = True) -> AnswerClass:
    """Return the class of a call's outcome. ``usable`` says whether the body of an answer can be used."""
    match call:
        case Answered(status=status):
            return _class_of_status(method, status, usable=usable)
        case TimedOut():
            return AnswerClass.UNKNOWN
        case TokenRefused():
            return AnswerClass.REFUSED_FOR_NOW
        case Unreachable() | AddressRefused():
            return AnswerClass.NOT_SENT
        case _:
            assert_never(call)


def asks_to_wait(method: Method, call: CallOutcome) -> bool:
    """Return whether the call is to be sent again later, without an attempt being used: 429 or 503, or no token.

    A method that names the status in ``definiteStatuses``, or takes whole answers, handles it in its flow.
    """
    match call:
        case Answered(status=status):
            handled = method.whole_answer or status in method.definite_statuses
            return status in _WAITING and not handled
        case TokenRefused():
            return True
        case TimedOut() | Unreachable() | AddressRefused():
            return False
        case _:
            assert_never(call)


def reaches(method: Method, call: CallOutcome) -> bool | None:
    """Return whether the call has reached its service, or None if its outcome does not say.

    A call that was not ready, or whose address may not be called, says nothing about the service. Neither no answer in
    time nor a gateway's 502, 503 or 504 comes from the service, unless the flow handles that status.
    """
    match call:
        case Answered(status=status):
            handled = method.whole_answer or status in method.definite_statuses
            return handled or status not in _GATEWAY_ERRORS
        case TimedOut() | Unreachable(tried=True):
            return False
        case Unreachable() | AddressRefused() | TokenRefused():
            return None
        case _:
            assert_never(call)


def certainty_of(kind: AnswerClass, intent: Intent) -> Certainty:
    """Return the certainty about the call after an outcome of this class.

    A refusal, or a repeat that was not sent, says nothing about an earlier sending: that stays in doubt.
    """
    match kind:
        case AnswerClass.SUCCESS | AnswerClass.DEFINITE_FAILURE:
            return Certainty.DEFINITE
        case AnswerClass.REFUSED_FOR_NOW | AnswerClass.NOT_SENT:
            return Certainty.IN_DOUBT if intent.repeat else Certainty.OPEN
        case AnswerClass.UNKNOWN:
            return Certainty.IN_DOUBT
        case _:
            assert_never(kind)


def classify(service: Service, method: Method, intent: Intent, call: CallOutcome) -> Outcome:
    """Return the outcome of a step by the answer to its call, before any controller."""
    match call:
        case Answered():
            return _answered(service, method, intent, call)
        case TimedOut(why=why):
            error = StepError(message=f"no answer: {why}", kind=ErrorKind.TIMEOUT)
        case Unreachable(why=why) | AddressRefused(why=why) | TokenRefused(why=why):
            error = StepError(message=why, kind=ErrorKind.UNREACHABLE)
        case _:
            assert_never(call)
    certainty = certainty_of(answer_class(method, call), intent)
    return Outcome(success=False, error=error, certainty=certainty)


def is_success(status: int) -> bool:
    """Return whether a status is a 2xx."""
    return HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES


def _class_of_status(method: Method, status: int, *, usable: bool) -> AnswerClass:
    if is_success(status):
        return AnswerClass.SUCCESS if usable else AnswerClass.UNKNOWN
    if status in method.definite_statuses:
        return AnswerClass.DEFINITE_FAILURE
    if status in _REFUSING:
        return AnswerClass.REFUSED_FOR_NOW
    is_client_error = HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR
    if is_client_error and status != HTTPStatus.REQUEST_TIMEOUT:
        return AnswerClass.DEFINITE_FAILURE
    # A redirect is not followed, so it tells as little as a gateway's 502.
    return AnswerClass.UNKNOWN


def _answered(service: Service, method: Method, intent: Intent, call: Answered) -> Outcome:
    status, returned = call.status, f"{service.key}/{method.key} returned HTTP {call.status}"
    why = call.unusable or _why_unsound(call.body)
    if why is not None:
        error = StepError(
            message=f"{returned} with an unusable body: {why}", kind=ErrorKind.RESPONSE, status=status
        )
        return _failed(method, intent, call, error)
    if method.method == "delete" and intent.repeat and status in _GONE and not method.whole_answer:
        # The first sending has deleted it.
        return Outcome(success=True, response=call.body)
    if not is_success(status) and not method.whole_answer:
        error = StepError(message=returned, kind=ErrorKind.HTTP, status=status, data=call.body)
        return _failed(method, intent, call, error)
    problems = [] if method.response_validation is None else violations(method.response_validation, call.body)
    if problems:
        message = f"responseValidation: {summarize(problems)}"
        error = StepError(message=message, kind=ErrorKind.RESPONSE, status=status, data=call.body)
        return _failed(method, intent, call, error)
    if not method.whole_answer:
        return Outcome(success=True, response=call.body)
    definite = certainty_of(answer_class(method, call), intent) is Certainty.DEFINITE
    # The flow sees the status and decides, so nothing waits for an operator. The ids stay until a definite answer.
    certainty = Certainty.DEFINITE if definite else Certainty.OPEN
    return Outcome(success=True, response=_whole(status, call.body), certainty=certainty)


def _failed(method: Method, intent: Intent, call: Answered, error: StepError) -> Outcome:
    """Return the failure of a step. The body of a 2xx that leads here cannot be used."""
    kind = answer_class(method, call, usable=False)
    return Outcome(success=False, error=error, certainty=certainty_of(kind, intent))


def _why_unsound(body: Json) -> str | None:
    """Return why a body cannot be stored and used by expressions, or None."""
    problems = unreadable(body, "")
    return summarize(problems) if problems else None


def _whole(status: int, body: Json) -> Json:
    """Return an answer with its status. ``reason`` is the status's standard name, or empty."""
    try:
        reason = HTTPStatus(status).phrase
    except ValueError:
        reason = ""
    return {"status": status, "reason": reason, "body": body}
