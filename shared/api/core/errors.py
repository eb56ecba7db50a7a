"""The core dialect's refusals. Source: contracts/core.md section 1.3."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from shared.application.bulk.start import OperationOverError
from shared.application.commit import ContentionError
from shared.application.keys import OwnKeyError
from shared.application.ports import NameTakenError, OverloadedError
from shared.application.start import KeyReusedError
from shared.application.strategies import ChangedMeanwhileError, StillInUseError
from shared.domain.errors import InvalidInputError, Problem


class CoreError(Exception):
    """A refusal on its way to the client: a status, and what to say."""

    def __init__(self, status: HTTPStatus, *messages: str, problems: Sequence[Problem] = ()) -> None:
        super().__init__(*messages)
        self.status = status
        self.messages = messages or tuple(f"{p.pointer or '/'}: {p.message}" for p in problems)
        self.problems = problems

    def body(self) -> dict[str, Any]:
        """``{statusCode, error, message, problems}``."""
        return {
            "statusCode": self.status.value,
            "error": self.status.phrase,
            "message": list(self.messages),
            "problems": [problem_shape(problem) for problem in self.problems],
        }


STATUS: Mapping[type[Exception], HTTPStatus] = {
    NameTakenError: HTTPStatus.CONFLICT,
    KeyReusedError: HTTPStatus.UNPROCESSABLE_ENTITY,
    ChangedMeanwhileError: HTTPStatus.CONFLICT,
    StillInUseError: HTTPStatus.CONFLICT,
    OwnKeyError: HTTPStatus.CONFLICT,
    OperationOverError: HTTPStatus.CONFLICT,
    ContentionError: HTTPStatus.TOO_MANY_REQUESTS,
    OverloadedError: HTTPStatus.TOO_MANY_REQUESTS,
}
"""What a use-case's refusal is to the client."""


TOLD: Mapping[type[Exception], str] = {
    NameTakenError: "there is a strategy of that name already",
    ContentionError: "it is changing too fast; nothing was changed, try again",
    OverloadedError: "too much is asked at once; try again",
}
"""What is said of those whose own words are not for clients."""


def refusal_of(error: Exception) -> CoreError | None:
    """The refusal that an error stands for; None where it is not the client's business."""
    match error:
        case CoreError():
            return error
        case InvalidInputError(problems=problems):
            return bad_request(problems)
        case _:
            status = STATUS.get(type(error))
            return None if status is None else CoreError(status, TOLD.get(type(error)) or str(error))


def failure(error_id: str) -> tuple[HTTPStatus, dict[str, Any]]:
    """What is said of something that failed on our side: an id that the log has too, and nothing of the inside."""
    broken = CoreError(HTTPStatus.INTERNAL_SERVER_ERROR, "something failed on our side")
    return broken.status, {**broken.body(), "errorId": error_id}


def bad_request(problems: Sequence[Problem]) -> CoreError:
    """400 with every problem."""
    return CoreError(HTTPStatus.BAD_REQUEST, problems=problems)


def not_found(what: str) -> CoreError:
    """404, the same for what does not exist and for what belongs to somebody else."""
    return CoreError(HTTPStatus.NOT_FOUND, f"there is no such {what}")


def problem_shape(problem: Problem) -> dict[str, Any]:
    """A problem as the answers show it."""
    told = {"pointer": problem.pointer, "rule": problem.rule, "message": problem.message}
    return told if problem.caret is None else {**told, "caret": problem.caret}
