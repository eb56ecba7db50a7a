"""The automation dialect's refusals. Source: contracts/automation.md A.4 and A.7."""

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import IntEnum
from http import HTTPStatus
from typing import Any

from shared.api.automation.documents import InvalidDefinitionError
from shared.application.commit import ContentionError
from shared.application.ports import OverloadedError
from shared.application.start import KeyReusedError
from shared.application.strategies import ChangedMeanwhileError
from shared.domain.errors import InvalidInputError, Problem
from shared.domain.ids import AccountId, sid_of_request

_NOBODY = AccountId("")


class Code(IntEnum):
    """The codes of the platform that are used here."""

    INVALID_PARAMETER = 1000
    OUT_OF_RANGE = 1010
    UNAUTHORIZED = 1200
    FORBIDDEN = 1201
    NOT_FOUND = 1300
    INTERNAL = 2000
    INVALID_DEFINITION = 5001


class AutomationError(Exception):
    """A refusal on its way to the client: a status, a code, and what to say."""

    def __init__(self, status: HTTPStatus, code: Code, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message

    def body(self, error_id: str, at: datetime) -> dict[str, Any]:
        """``{code, message, errorId, timestamp}``."""
        return {
            "code": int(self.code),
            "message": self.message,
            "errorId": error_id,
            "timestamp": timestamp(at),
        }


TABLE: Mapping[type[Exception], tuple[HTTPStatus, Code]] = {
    InvalidDefinitionError: (HTTPStatus.BAD_REQUEST, Code.INVALID_DEFINITION),
    KeyReusedError: (HTTPStatus.UNPROCESSABLE_ENTITY, Code.INVALID_PARAMETER),
    ChangedMeanwhileError: (HTTPStatus.TOO_MANY_REQUESTS, Code.INTERNAL),
    ContentionError: (HTTPStatus.TOO_MANY_REQUESTS, Code.INTERNAL),
    OverloadedError: (HTTPStatus.TOO_MANY_REQUESTS, Code.INTERNAL),
}
"""What a use-case's refusal is to the client."""

TOLD: Mapping[type[Exception], str] = {
    KeyReusedError: "The Idempotency-Key was used with another request.",
    ChangedMeanwhileError: "It is changing too fast; nothing was changed, try again.",
    ContentionError: "It is changing too fast; nothing was changed, try again.",
    OverloadedError: "Too much is asked at once; try again.",
}
"""What is said of those whose own words are not for clients."""


def refusal_of(error: Exception) -> AutomationError | None:
    """The refusal that an error stands for; None where it is not the client's business."""
    match error:
        case AutomationError():
            return error
        case InvalidInputError(problems=problems):
            return invalid(f"Request is invalid. {' '.join(map(_told, problems))}")
        case _:
            found = TABLE.get(type(error))
            return None if found is None else AutomationError(*found, TOLD.get(type(error)) or str(error))


def _told(problem: Problem) -> str:
    """What is wrong with what a workflow is started with; its attributes are its ``data`` here."""
    return f"{problem.pointer.replace('/attributes', '/data', 1) or '/'}: {problem.message}."


def failure() -> AutomationError:
    """What is said of something that failed on our side: nothing of the inside."""
    return AutomationError(HTTPStatus.INTERNAL_SERVER_ERROR, Code.INTERNAL, "Internal Error")


def invalid(message: str) -> AutomationError:
    """400: a parameter or a body that is none."""
    return AutomationError(HTTPStatus.BAD_REQUEST, Code.INVALID_PARAMETER, message)


def too_much(message: str) -> AutomationError:
    """400: more than can be answered."""
    return AutomationError(HTTPStatus.BAD_REQUEST, Code.OUT_OF_RANGE, message)


def unauthorized() -> AutomationError:
    """401: no valid key was shown."""
    return AutomationError(HTTPStatus.UNAUTHORIZED, Code.UNAUTHORIZED, "Unauthorized Access")


def forbidden() -> AutomationError:
    """403: a valid key, of another account or without the role."""
    return AutomationError(HTTPStatus.FORBIDDEN, Code.FORBIDDEN, "Access forbidden")


def not_found(what: str) -> AutomationError:
    """404, the same for what does not exist and for what belongs to somebody else."""
    return AutomationError(HTTPStatus.NOT_FOUND, Code.NOT_FOUND, f"{what} not found.")


def error_id_of(request_id: str) -> str:
    """A UUID for what went wrong with a request, the same whoever reckons it: the log has the request's id too."""
    return sid_of_request(_NOBODY, "error", request_id)


def timestamp(at: datetime) -> str:
    """An instant with two digits of a second: ``2021-07-13T01:28:37.66Z``."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{at.microsecond // 10_000:02}Z"
