"""The errors of the core dialect. Source: docs/contracts/core.md section 1.3."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import assert_never

from shared.api.core.answers import ErrorShape, ProblemShape, WarningShape
from shared.api.http.errors import (
    ApiError,
    ErrorTable,
    ForbiddenError,
    Occurrence,
    TooLargeError,
    UnauthorizedError,
    UnknownPathError,
)
from shared.api.http.shapes import omit_unset
from shared.application.bulk.start import OperationOverError
from shared.application.commit import ContentionError
from shared.application.keys import OwnKeyError
from shared.application.ports import ConnectionLostError, NameTakenError, OverloadedError
from shared.application.start import KeyReusedError, ReferenceTakenError
from shared.application.strategies import ChangedMeanwhileError, StillInUseError
from shared.domain.errors import InvalidInputError, Problem, Problems
from shared.domain.instance.verdict import AlreadyThere, Applied, RefusalRule, Refused, Verdict


class CoreError(ApiError):
    """A refusal as the core dialect answers it."""

    def __init__(self, status: HTTPStatus, *messages: str, problems: Sequence[Problem] = ()) -> None:
        self.problems = Problems(problems).reported()
        self.messages = messages or tuple(problem.sentence for problem in self.problems)
        super().__init__(status, "; ".join(self.messages))

    @omit_unset
    def body(self, occurrence: Occurrence) -> ErrorShape:
        """Return ``{statusCode, error, message, problems}``, with ``errorId`` if the failure is ours."""
        status = HTTPStatus(self.status)
        # Only failures of ours have a log entry that the id leads to.
        is_ours = status >= HTTPStatus.INTERNAL_SERVER_ERROR
        return {
            "statusCode": status.value,
            "error": status.phrase,
            "message": list(self.messages),
            "problems": [problem_shape(problem) for problem in self.problems],
            "errorId": occurrence.error_id if is_ours else None,
        }


def bad_request(problems: Sequence[Problem]) -> CoreError:
    """Return 400 with the first problems and the number of the others."""
    return CoreError(HTTPStatus.BAD_REQUEST, problems=problems)


def not_found(what: str) -> CoreError:
    """Return 404. Objects of other accounts are answered as if they did not exist."""
    return CoreError(HTTPStatus.NOT_FOUND, f"{what} not found")


@omit_unset
def problem_shape(problem: Problem) -> ProblemShape:
    """Return a problem as the answers show it."""
    return ProblemShape(
        pointer=problem.pointer, rule=problem.rule, message=problem.message, caret=problem.caret
    )


def warning_shape(warning: Problem) -> WarningShape:
    """Return a warning as the answers show it."""
    return WarningShape(pointer=warning.pointer, rule=warning.rule, message=warning.message)


UNAVAILABLE = (
    "the database gave no answer; the request may have taken effect, so repeat it with its Idempotency-Key"
)

ERRORS = ErrorTable(
    rows={
        UnknownPathError: lambda _: not_found("path"),
        UnauthorizedError: lambda error: CoreError(
            HTTPStatus.UNAUTHORIZED, error.why or "a valid access key is required"
        ),
        ForbiddenError: lambda error: CoreError(
            HTTPStatus.FORBIDDEN, f"needs the role {error.route.role}; the caller has {error.principal.role}"
        ),
        TooLargeError: lambda _: CoreError(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "the body must not be larger than 256 KB"
        ),
        InvalidInputError: lambda error: bad_request(error.problems),
        NameTakenError: lambda _: CoreError(HTTPStatus.CONFLICT, "a strategy with this name already exists"),
        KeyReusedError: lambda error: CoreError(HTTPStatus.UNPROCESSABLE_ENTITY, str(error)),
        ReferenceTakenError: lambda error: CoreError(HTTPStatus.CONFLICT, str(error)),
        ChangedMeanwhileError: lambda error: CoreError(HTTPStatus.CONFLICT, str(error)),
        StillInUseError: lambda error: CoreError(HTTPStatus.CONFLICT, str(error)),
        OwnKeyError: lambda error: CoreError(HTTPStatus.CONFLICT, str(error)),
        OperationOverError: lambda error: CoreError(HTTPStatus.CONFLICT, str(error)),
        ContentionError: lambda _: CoreError(
            HTTPStatus.TOO_MANY_REQUESTS, "too many concurrent changes; nothing was changed, retry later"
        ),
        OverloadedError: lambda _: CoreError(HTTPStatus.TOO_MANY_REQUESTS, "too many requests; retry later"),
        ConnectionLostError: lambda _: CoreError(HTTPStatus.SERVICE_UNAVAILABLE, UNAVAILABLE),
    },
    failure=CoreError(HTTPStatus.INTERNAL_SERVER_ERROR, "internal error"),
)
"""The answer to each error."""

REFUSALS: Mapping[RefusalRule, HTTPStatus] = {
    RefusalRule.STATE: HTTPStatus.CONFLICT,
    RefusalRule.FINISHED: HTTPStatus.CONFLICT,
    RefusalRule.UNKNOWN: HTTPStatus.CONFLICT,
    RefusalRule.BEGUN: HTTPStatus.CONFLICT,
    RefusalRule.SELECTION: HTTPStatus.CONFLICT,
    RefusalRule.ROOM: HTTPStatus.CONFLICT,
    RefusalRule.INPUT: HTTPStatus.BAD_REQUEST,
    RefusalRule.ATTRIBUTES: HTTPStatus.UNPROCESSABLE_ENTITY,
    RefusalRule.SHIFT: HTTPStatus.UNPROCESSABLE_ENTITY,
    RefusalRule.TOO_MANY_MISSED: HTTPStatus.UNPROCESSABLE_ENTITY,
    RefusalRule.KEY_REUSED: HTTPStatus.UNPROCESSABLE_ENTITY,
}
"""The status of a refused command. The core dialect has no error codes besides."""


def unless_refused(verdict: Verdict | None, what: str) -> Applied | AlreadyThere:
    """Return the verdict of a command, or raise the HTTP error for a refusal.

    Raises: CoreError: if the command was refused, or the object (``what``) does not exist.
    """
    match verdict:
        case Applied() | AlreadyThere():
            return verdict
        case Refused(why=why, rule=rule, problems=problems):
            # Problems have their own messages, so the reason would only repeat them.
            raise CoreError(REFUSALS[rule], *(() if problems else (why,)), problems=problems)
        case None:
            raise not_found(what)
        case _:
            assert_never(verdict)
