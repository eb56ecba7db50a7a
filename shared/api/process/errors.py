"""The process dialect's refusals: a status and one sentence. Source: contracts/process.md C.4."""

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
from shared.application.ports import OverloadedError
from shared.application.start import KeyReusedError
from shared.domain.errors import InvalidInputError, Problem

REALM = "connector-api"
"""The realm that a client without a key is told to show a key for."""

MAX_LISTED = 100
"""More problems than this are not listed: each is a sentence, and all are one text."""

MEMBERS: Mapping[str, str] = {"attributes": "values"}
"""The names of a new instance's members in this dialect, if they differ."""


class ProcessError(ApiError):
    """A refusal in the process dialect's shape."""

    @property
    def headers(self) -> Mapping[str, str]:
        """How to show a key, if none was shown."""
        unknown = self.status == HTTPStatus.UNAUTHORIZED
        return {"WWW-Authenticate": f'Basic realm="{REALM}"'} if unknown else {}

    @omit_unset
    def body(self, occurrence: Occurrence) -> ErrorShape:
        """Return ``{message}``, with ``errorId`` if it is a failure of ours."""
        failed = self.status >= HTTPStatus.INTERNAL_SERVER_ERROR
        return {"message": self.message, "errorId": occurrence.error_id if failed else None}


def not_found(name: str | None = None) -> ProcessError:
    """404. name: of the process, if the request names it."""
    named = "" if name is None else f": {name}"
    return ProcessError(HTTPStatus.NOT_FOUND, f"Process not found{named}")


def invalid(problems: Sequence[Problem]) -> ProcessError:
    """400 with every problem, each by the name of its field."""
    listed = [f"Invalid {_field(problem)}: {problem.message}" for problem in problems[:MAX_LISTED]]
    more = [f"and {len(problems) - MAX_LISTED} more"] if len(problems) > MAX_LISTED else []
    return ProcessError(HTTPStatus.BAD_REQUEST, "; ".join(listed + more))


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
            HTTPStatus.TOO_MANY_REQUESTS, "Too much is asked at once; try again"
        ),
    },
    failure=ProcessError(HTTPStatus.INTERNAL_SERVER_ERROR, "Internal error"),
)
"""How each error is answered. No command of this dialect can be refused."""


def _field(problem: Problem) -> str:
    """Return the field a problem is about as a client writes it: ``values.email``."""
    if problem.rule == "json":
        return "JSON"
    first, *others = [
        part.replace("~1", "/").replace("~0", "~") for part in problem.pointer.removeprefix("/").split("/")
    ]
    return ".".join([MEMBERS.get(first, first), *others]) or "request"
