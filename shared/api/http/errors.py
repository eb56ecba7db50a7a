"""What goes wrong with a request, and the table in which each dialect says how it answers that."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from shared.api.http.route import Principal, Route
from shared.domain.errors import InvalidInputError, Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Occurrence:
    """When a request went wrong, and the id under which the log has it."""

    at: datetime
    error_id: str


class ApiError(Exception):
    """A refusal in the words of a dialect, which subclasses this with its bodies."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers sent besides those of every answer."""
        return {}

    def body(self, occurrence: Occurrence) -> Mapping[str, object]:
        """Return the body, a JSON object."""
        raise NotImplementedError


class UnknownPathError(Exception):
    """No route has the path and the method."""


class TooLargeError(Exception):
    """The body is larger than ``MAX_BODY_BYTES``; it was not read."""


@dataclass(eq=False)
class UnauthorizedError(Exception):
    """No valid key or session was shown."""

    route: Route


@dataclass(eq=False)
class ForbiddenError(Exception):
    """The caller's role does not include the role of the route."""

    principal: Principal
    route: Route


class InvalidQueryError(InvalidInputError):
    """Parameters of the query are wrong."""


class InvalidBodyError(InvalidInputError):
    """The body is no JSON, or not of the form that the route takes."""


class InvalidHeaderError(InvalidInputError):
    """A header is too long or empty. rule: what it must be, as the end of a sentence."""

    def __init__(self, name: str, rule: str) -> None:
        super().__init__((Problem(pointer="", rule="header", message=f"the header {name} {rule}"),))
        self.name = name
        self.rule = rule


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorTable:
    """How a dialect answers errors: those of the gateway and those of use cases.

    rows: by class; a subclass without a row of its own has that of its parent. Any other error is a failure.
    failure: the answer to an error on our side; it tells nothing of the inside.
    error_id: makes the id that a client gets out of the request's id.
    """

    rows: Mapping[type[Exception], Callable[[Any], ApiError]]
    failure: ApiError
    error_id: Callable[[str], str] = field(default=str)

    def refusal_of(self, error: Exception) -> ApiError | None:
        """Return the refusal that an error stands for, or None if it is a failure of ours."""
        if isinstance(error, ApiError):
            return error
        row = next((self.rows[kind] for kind in type(error).__mro__ if kind in self.rows), None)
        return None if row is None else row(error)
