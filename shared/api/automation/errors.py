"""The errors of the automation dialect. Source: docs/contracts/automation.md A.4 and A.7."""

from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus

from shared.api.automation.answers import Code, ErrorShape
from shared.api.automation.documents import InvalidDefinitionError
from shared.api.http.errors import (
    ApiError,
    ErrorTable,
    ForbiddenError,
    InvalidBodyError,
    InvalidHeaderError,
    InvalidQueryError,
    Occurrence,
    TooLargeError,
    UnauthorizedError,
    UnknownPathError,
)
from shared.api.http.models import MAX_BODY_BYTES
from shared.application.commit import ContentionError
from shared.application.ports import ConnectionLostError, OverloadedError
from shared.application.start import KeyReusedError
from shared.application.strategies import ChangedMeanwhileError
from shared.domain.errors import InvalidInputError
from shared.domain.ids import AccountId, sid_of_request
from shared.domain.instance.verdict import RefusalRule

_NO_ACCOUNT = AccountId("")


class AutomationError(ApiError):
    """A refusal as the automation dialect answers it, with its code."""

    def __init__(self, status: HTTPStatus, code: Code, message: str) -> None:
        super().__init__(status, message)
        self.code = code

    def body(self, occurrence: Occurrence) -> ErrorShape:
        """Return ``{code, message, errorId, timestamp}``."""
        return {
            "code": self.code,
            "message": self.message,
            "errorId": occurrence.error_id,
            "timestamp": timestamp(occurrence.at),
        }


def invalid(message: str) -> AutomationError:
    """Return 400 for an invalid parameter or body."""
    return AutomationError(HTTPStatus.BAD_REQUEST, Code.INVALID_PARAMETER, message)


def too_much(message: str) -> AutomationError:
    """Return 400 for a result that is too large for an answer."""
    return AutomationError(HTTPStatus.BAD_REQUEST, Code.OUT_OF_RANGE, message)


def not_found(what: str) -> AutomationError:
    """Return 404. Objects of other accounts are answered as if they did not exist."""
    return AutomationError(HTTPStatus.NOT_FOUND, Code.NOT_FOUND, f"{what} not found.")


def error_id_of(request_id: str) -> str:
    """Return the UUID of a request's error. The log entry has it, and the request's id."""
    return sid_of_request(_NO_ACCOUNT, "error", request_id)


def timestamp(at: datetime) -> str:
    """Return an instant with two digits of a second: ``2021-07-13T01:28:37.66Z``."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{at.microsecond // 10_000:02}Z"


def refused_command(rule: RefusalRule, message: str) -> AutomationError:
    """Return the answer to a refused command."""
    return AutomationError(*REFUSALS[rule], message)


def _invalid_query(error: InvalidQueryError) -> AutomationError:
    names = dict.fromkeys(problem.pointer.split("/")[1] for problem in error.problems if problem.pointer)
    return invalid(" ".join(f"Invalid {name}." for name in names))


def _invalid_input(error: InvalidInputError) -> AutomationError:
    """Return the answer to an invalid start of a workflow. The dialect calls attributes ``data``."""
    sentences = (problem.sentence.replace("/attributes", "/data", 1) for problem in error.problems)
    return invalid(f"Request is invalid. {' '.join(f'{sentence}.' for sentence in sentences)}")


FORBIDDEN = AutomationError(HTTPStatus.FORBIDDEN, Code.FORBIDDEN, "Access forbidden")
_BUSY = AutomationError(
    HTTPStatus.TOO_MANY_REQUESTS,
    Code.INTERNAL,
    "Too many concurrent changes; nothing was changed, retry later.",
)

ERRORS = ErrorTable(
    rows={
        UnknownPathError: lambda _: not_found("Resource"),
        UnauthorizedError: lambda error: AutomationError(
            HTTPStatus.UNAUTHORIZED,
            Code.UNAUTHORIZED,
            "Unauthorized Access" if error.why is None else f"Unauthorized Access: {error.why}.",
        ),
        ForbiddenError: lambda _: FORBIDDEN,
        TooLargeError: lambda _: invalid(
            f"Request is invalid. The body must not be larger than {MAX_BODY_BYTES // 1024} KB."
        ),
        InvalidQueryError: _invalid_query,
        InvalidBodyError: lambda _: invalid("Request is invalid."),
        InvalidHeaderError: lambda error: invalid(f"{error.name} {error.rule}."),
        InvalidInputError: _invalid_input,
        InvalidDefinitionError: lambda error: AutomationError(
            HTTPStatus.BAD_REQUEST, Code.INVALID_DEFINITION, str(error)
        ),
        KeyReusedError: lambda _: AutomationError(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            Code.INVALID_PARAMETER,
            "The Idempotency-Key was used with another request.",
        ),
        ChangedMeanwhileError: lambda _: _BUSY,
        ContentionError: lambda _: _BUSY,
        OverloadedError: lambda _: AutomationError(
            HTTPStatus.TOO_MANY_REQUESTS, Code.INTERNAL, "Too many requests; retry later."
        ),
        ConnectionLostError: lambda _: AutomationError(
            HTTPStatus.SERVICE_UNAVAILABLE,
            Code.INTERNAL,
            "The database gave no answer; the request may have taken effect. Repeat it.",
        ),
    },
    failure=AutomationError(HTTPStatus.INTERNAL_SERVER_ERROR, Code.INTERNAL, "Internal Error"),
    error_id=error_id_of,
)
"""The answer to each error."""

REFUSALS: Mapping[RefusalRule, tuple[HTTPStatus, Code]] = dict.fromkeys(
    RefusalRule, (HTTPStatus.BAD_REQUEST, Code.INVALID_PARAMETER)
)
"""Status and code of a refused command. The vendor has the same for all. Source: docs/contracts/automation.md A.4."""
