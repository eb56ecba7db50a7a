"""Errors of requests, and the table by which each dialect answers them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from msgspec import Struct

from shared.api.http.route import Principal, Route
from shared.domain.errors import InvalidInputError, Problem, shortened


class Occurrence(Struct, frozen=True, kw_only=True):
    """The time of an error, and the id of its log entry."""

    at: datetime
    error_id: str


MAX_MESSAGE_BYTES = 32 * 1024
"""The largest message of a refusal, as JSON."""


class ApiError(Exception):
    """A refusal as a dialect answers it. Each dialect has subclasses with its own bodies."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        # Problems have bounds of their own. This one holds for every other text that a message may quote.
        self.message = shortened(message, MAX_MESSAGE_BYTES)

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers to send in addition to those of every answer."""
        return {}

    def body(self, occurrence: Occurrence) -> Mapping[str, object]:
        """Return the body, a JSON object. Its type names the schema in the OpenAPI document."""
        raise NotImplementedError


class UnknownPathError(Exception):
    """No route matches the path and the method."""


class TooLargeError(Exception):
    """The body is larger than ``MAX_BODY_BYTES``, so it was not parsed."""


@dataclass(eq=False)
class UnauthorizedError(Exception):
    """The request has no valid access key, session or token. ``why`` is the reason if a token was refused."""

    route: Route
    why: str | None = None


@dataclass(eq=False)
class ForbiddenError(Exception):
    """The caller's role does not include the role of the route."""

    principal: Principal
    route: Route


class InvalidQueryError(InvalidInputError):
    """Query parameters are invalid."""


class InvalidBodyError(InvalidInputError):
    """The body is not JSON, or does not have the form that the route takes."""


class InvalidHeaderError(InvalidInputError):
    """A header is too long or empty, or its text cannot be used.

    ``rule`` is the rule it breaks, as the end of a sentence.
    """

    def __init__(self, name: str, rule: str) -> None:
        super().__init__((Problem(pointer="", rule="header", message=f"the header {name} {rule}"),))
        self.name = name
        self.rule = rule


class ErrorTable(Struct, frozen=True, kw_only=True):
    """A dialect's answers to the errors of the gateway and of use cases.

    ``rows`` maps classes of errors to answers. A class without a row has the row of its nearest parent.
    An error without a row is a failure of ours: ``failure`` answers it and reveals nothing of the inside.
    ``error_id`` makes the id that the client gets from the request's id.
    """

    rows: Mapping[type[Exception], Callable[[Any], ApiError]]
    failure: ApiError
    error_id: Callable[[str], str] = str

    def refusal_of(self, error: Exception) -> ApiError | None:
        """Return the refusal for an error, or None if the error is a failure of ours."""
        if isinstance(error, ApiError):
            return error
        # The method resolution order begins with the most specific class.
        row = next((self.rows[kind] for kind in type(error).__mro__ if kind in self.rows), None)
        return None if row is None else row(error)
