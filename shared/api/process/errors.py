"""The errors of the process dialect: a status and one sentence. Source: docs/contracts/process.md C.4."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus

from shared.api.http.errors import (
    ApiError,
    ErrorTable,
    ForbiddenError,
    InvalidHeaderError,
    Occurrence,
    TooLargeError,
    UnauthorizedError,
    UnknownPathError,
)
from shared.api.http.shapes import omit_unset
from shared.api.process.answers import ErrorShape
from shared.application.ports import ConnectionLostError, OverloadedError
from shared.application.start import KeyReusedError
from shared.domain.errors import InvalidInputError, MoreProblems, Problem, Problems

REALM = "connector-api"
"""The realm in ``WWW-Authenticate``."""

MEMBERS: Mapping[str, str] = {"attributes": "values"}
"""The members of a new instance that have another name in this dialect."""


class ProcessError(ApiError):
    """A refusal as the process dialect answers it."""

    @property
    def headers(self) -> Mapping[str, str]:
        """The header that asks for a key, if the caller is unauthorized."""
        unknown = self.status == HTTPStatus.UNAUTHORIZED
        return {"WWW-Authenticate": f'Basic realm="{REALM}"'} if unknown else {}

    @omit_unset
    def body(self, occurrence: Occurrence) -> ErrorShape:
        """Return ``{message}``, with ``errorId`` if the failure is ours."""
        failed = self.status >= HTTPStatus.INTERNAL_SERVER_ERROR
        return {"message": self.message, "errorId": occurrence.error_id if failed else None}


def not_found(name: str | None = None) -> ProcessError:
    """Return 404, with the name of the process if the request has one."""
    named = "" if name is None else f": {name}"
    return ProcessError(HTTPStatus.NOT_FOUND, f"Process not found{named}")


def invalid(problems: Sequence[Problem]) -> ProcessError:
    """Return 400 with the first problems, each by the name of its field, and the number of the others."""
    # The contract has room for one message only.
    return ProcessError(HTTPStatus.BAD_REQUEST, "; ".join(map(_sentence, Problems(problems).reported())))


FORBIDDEN = ProcessError(HTTPStatus.FORBIDDEN, "Forbidden")

ERRORS = ErrorTable(
    rows={
        UnknownPathError: lambda _: not_found(),
        UnauthorizedError: lambda _: ProcessError(HTTPStatus.UNAUTHORIZED, "Unauthorized"),
        ForbiddenError: lambda _: FORBIDDEN,
        TooLargeError: lambda _: ProcessError(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "Request too large: at most 256 KB"
        ),
        InvalidHeaderError: lambda error: ProcessError(
            HTTPStatus.BAD_REQUEST, f"Invalid {error.name}: {error.rule}"
        ),
        InvalidInputError: lambda error: invalid(error.problems),
        KeyReusedError: lambda _: ProcessError(
            HTTPStatus.UNPROCESSABLE_ENTITY, "The Idempotency-Key was used with another request"
        ),
        OverloadedError: lambda _: ProcessError(
            HTTPStatus.TOO_MANY_REQUESTS, "Too many requests; retry later"
        ),
        ConnectionLostError: lambda _: ProcessError(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "The database gave no answer; the request may have taken effect. Repeat it",
        ),
    },
    failure=ProcessError(HTTPStatus.INTERNAL_SERVER_ERROR, "Internal error"),
)
"""The answer to each error. This dialect has no command that can be refused."""


def _sentence(problem: Problem) -> str:
    if isinstance(problem, MoreProblems):
        return problem.message
    return f"Invalid {_field(problem)}: {problem.message}"


def _field(problem: Problem) -> str:
    """Return the field of a problem as a client writes it: ``values.email``."""
    if problem.rule == "json":
        return "JSON"
    first, *others = [
        part.replace("~1", "/").replace("~0", "~") for part in problem.pointer.removeprefix("/").split("/")
    ]
    return ".".join([MEMBERS.get(first, first), *others]) or "request"
