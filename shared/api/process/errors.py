"""The process dialect's refusals: a status and one sentence. Source: contracts/process.md C.4."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from shared.application.ports import OverloadedError
from shared.application.start import KeyReusedError
from shared.domain.errors import InvalidInputError, Problem

REALM = "connector-api"
"""What a client that shows no key is asked for a key of."""

MOST_TOLD = 100
"""More problems than this are not listed: they are one sentence each, in one text."""


class ProcessError(Exception):
    """A refusal on its way to the client."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message

    def body(self) -> dict[str, Any]:
        """``{message}``."""
        return {"message": self.message}

    @property
    def headers(self) -> Mapping[str, str]:
        """What goes with it: how to show a key, where none was shown."""
        unknown = self.status is HTTPStatus.UNAUTHORIZED
        return {"WWW-Authenticate": f'Basic realm="{REALM}"'} if unknown else {}


TOLD: Mapping[type[Exception], tuple[HTTPStatus, str]] = {
    KeyReusedError: (HTTPStatus.UNPROCESSABLE_ENTITY, "The Idempotency-Key was used with another request"),
    OverloadedError: (HTTPStatus.TOO_MANY_REQUESTS, "Too much is asked at once; try again"),
}
"""What a use-case's refusal is to the client."""

MEMBERS: Mapping[str, str] = {"attributes": "values"}
"""What the members of a creating request are called here, where that differs."""

UNAUTHORIZED = ProcessError(HTTPStatus.UNAUTHORIZED, "Unauthorized")
FORBIDDEN = ProcessError(HTTPStatus.FORBIDDEN, "Forbidden")
NO_SUCH_PROCESS = ProcessError(HTTPStatus.NOT_FOUND, "Process not found")
TOO_LARGE = ProcessError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "Request too large: at most 256 KB")


def refusal_of(error: Exception) -> ProcessError | None:
    """The refusal that an error stands for; None where it is not the client's business."""
    match error:
        case ProcessError():
            return error
        case InvalidInputError(problems=problems):
            return invalid(problems)
        case _:
            told = TOLD.get(type(error))
            return None if told is None else ProcessError(*told)


def failure(error_id: str) -> tuple[HTTPStatus, dict[str, Any]]:
    """What is said of something that failed on our side: an id that the log has too, and nothing of the inside."""
    return HTTPStatus.INTERNAL_SERVER_ERROR, {"message": "Internal error", "errorId": error_id}


def unknown_name(name: str) -> ProcessError:
    """404 for a name that no process of the account has."""
    return ProcessError(HTTPStatus.NOT_FOUND, f"Process not found: {name}")


def invalid(problems: Sequence[Problem]) -> ProcessError:
    """400 with every problem, each by the name of its field."""
    told = [f"Invalid {_field(problem)}: {problem.message}" for problem in problems[:MOST_TOLD]]
    more = [f"and {len(problems) - MOST_TOLD} more"] if len(problems) > MOST_TOLD else []
    return ProcessError(HTTPStatus.BAD_REQUEST, "; ".join(told + more))


def _field(problem: Problem) -> str:
    """The field a problem is about as a client writes it: ``values.email``."""
    if problem.rule == "json":
        return "JSON"
    first, *others = [
        part.replace("~1", "/").replace("~0", "~") for part in problem.pointer.removeprefix("/").split("/")
    ]
    return ".".join([MEMBERS.get(first, first), *others]) or "request"
