"""The core dialect's refusals. Source: contracts/core.md section 1.3."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import assert_never

from shared.api.core.answers import ErrorShape, ProblemShape
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
from shared.application.ports import NameTakenError, OverloadedError
from shared.application.start import KeyReusedError
from shared.application.strategies import ChangedMeanwhileError, StillInUseError
from shared.domain.errors import InvalidInputError, Problem
from shared.domain.instance.verdict import AlreadyThere, Applied, RefusalRule, Refused, Verdict


class CoreError(ApiError):
    """A refusal in the core dialect's shape."""

    def __init__(self, status: HTTPStatus, *messages: str, problems: Sequence[Problem] = ()) -> None:
        self.messages = messages or tuple(f"{p.pointer or '/'}: {p.message}" for p in problems)
        super().__init__(status, "; ".join(self.messages))
        self.problems = problems

    @omit_unset
    def body(self, occurrence: Occurrence) -> ErrorShape:
        """Return ``{statusCode, error, message, problems}``, with ``errorId`` if it is a failure of ours."""
        status = HTTPStatus(self.status)
        is_ours = status >= HTTPStatus.INTERNAL_SERVER_ERROR
        return {
            "statusCode": status.value,
            "error": status.phrase,
            "message": list(self.messages),
            "problems": [problem_shape(problem) for problem in self.problems],
            "errorId": occurrence.error_id if is_ours else None,
        }


def bad_request(problems: Sequence[Problem]) -> CoreError:
    """400 with every problem."""
    return CoreError(HTTPStatus.BAD_REQUEST, problems=problems)


def not_found(what: str) -> CoreError:
    """404, the same for what does not exist and for what belongs to another account."""
    return CoreError(HTTPStatus.NOT_FOUND, f"there is no such {what}")


@omit_unset
def problem_shape(problem: Problem) -> ProblemShape:
    """Return a problem as the answers show it."""
    return ProblemShape(
        pointer=problem.pointer, rule=problem.rule, message=problem.message, caret=problem.caret
    )


ERRORS = ErrorTable(
    rows={
        UnknownPathError: lambda _: not_found("path"),
        UnauthorizedError: lambda _: CoreError(HTTPStatus.UNAUTHORIZED, "a valid access key is required"),
        ForbiddenError: lambda error: CoreError(
            HTTPStatus.FORBIDDEN, f"the key's role is {error.principal.role}, not {error.route.role}"
        ),
        TooLargeError: lambda _: CoreError(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "the body takes at most 256 KB"
        ),
        InvalidInputError: lambda error: bad_request(error.problems),
        NameTakenError: lambda _: CoreError(HTTPStatus.CONFLICT, "there is a strategy of that name already"),
        KeyReusedError: lambda error: CoreError(HTTPStatus.UNPROCESSABLE_ENTITY, str(error)),
        ChangedMeanwhileError: lambda error: CoreError(HTTPStatus.CONFLICT, str(error)),
        StillInUseError: lambda error: CoreError(HTTPStatus.CONFLICT, str(error)),
        OwnKeyError: lambda error: CoreError(HTTPStatus.CONFLICT, str(error)),
        OperationOverError: lambda error: CoreError(HTTPStatus.CONFLICT, str(error)),
        ContentionError: lambda _: CoreError(
            HTTPStatus.TOO_MANY_REQUESTS, "it is changing too fast; nothing was changed, try again"
        ),
        OverloadedError: lambda _: CoreError(
            HTTPStatus.TOO_MANY_REQUESTS, "too much is asked at once; try again"
        ),
    },
    failure=CoreError(HTTPStatus.INTERNAL_SERVER_ERROR, "something failed on our side"),
)
"""How each error is answered."""

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
"""The status of a refused command. This dialect has no codes besides."""


def unless_refused(verdict: Verdict | None, what: str) -> Applied | AlreadyThere:
    """Return the verdict of a command. Raises: CoreError: it was refused, or there is no such thing (``what``)."""
    match verdict:
        case Applied() | AlreadyThere():
            return verdict
        case Refused(why=why, rule=rule, problems=problems):
            raise CoreError(REFUSALS[rule], *(() if problems else (why,)), problems=problems)
        case None:
            raise not_found(what)
        case _:
            assert_never(verdict)
