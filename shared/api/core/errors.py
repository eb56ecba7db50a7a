"""The core dialect's refusals. Source: contracts/core.md section 1.3."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from shared.domain.errors import Problem


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
            "problems": [_problem(problem) for problem in self.problems],
        }


def bad_request(problems: Sequence[Problem]) -> CoreError:
    """400 with every problem."""
    return CoreError(HTTPStatus.BAD_REQUEST, problems=problems)


def not_found(what: str) -> CoreError:
    """404, the same for what does not exist and for what belongs to somebody else."""
    return CoreError(HTTPStatus.NOT_FOUND, f"there is no such {what}")


def _problem(problem: Problem) -> dict[str, Any]:
    told = {"pointer": problem.pointer, "rule": problem.rule, "message": problem.message}
    return told if problem.caret is None else {**told, "caret": problem.caret}
