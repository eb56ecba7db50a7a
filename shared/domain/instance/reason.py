"""Why an event failed, and why an instance was stopped: words that are the same for every instance.

Lists, bulk operations and metrics group instances by them, so they name a class and never quote a service's text.
Source: docs/contracts/core.md section 5.
"""

from datetime import datetime
from enum import StrEnum

from msgspec import Struct


class ErrorKind(StrEnum):
    """The class of a step's error."""

    HTTP = "http"
    """The service answered with a status that is no success. The class has the status: ``http-402``."""
    TIMEOUT = "timeout"
    """The service gave no answer in time, to the call or later under its correlation id."""
    UNREACHABLE = "unreachable"
    """The call was not sent: no connection, no token, or an address that may not be called."""
    RESPONSE = "response"
    """The answer cannot be used: too large, undecodable, or against ``responseValidation``."""
    EXPRESSION = "expression"
    """A template, a rule or a callback could not be evaluated, or the request breaks its schema."""
    CONTROLLER = "controller"
    """A controller failed the step, raised, or gave directives that cannot be applied."""
    OPERATOR = "operator"
    """An operator decided that a call in doubt counts as failed."""
    SKIPPED = "skipped"
    """An operator decided that the run continues without an answer to a call in doubt."""
    LIMIT = "limit"
    """The run took too many steps."""
    CRASH = "crash"
    """Runners crashed, and it is unknown how far the step got."""
    OTHER = "other"
    """The step failed without an error of its own."""


class Cause(StrEnum):
    """The cause for which an instance stopped, or its event waits for a retry."""

    OPERATOR = "operator"
    """An operator paused or canceled it. The detail is the id of the access key."""
    CONTROLLER = "controller"
    """A controller paused or canceled it."""
    EXHAUSTED = "exhausted"
    """The attempts of an event are used up. The detail is the class of its last error."""
    IN_DOUBT = "in-doubt"
    """A call in doubt waits for a decision. The detail is the class of its error."""
    POISONED = "poisoned"
    """An event crashed its runners."""
    PLAN = "plan"
    """The next cycle could not be dated or has no calendar."""
    ENDED = "ended"
    """The plan has ended."""
    FAILED = "failed"
    """An event failed and waits for its next attempt. The detail is the class of its error."""


class StopReason(Struct, frozen=True, kw_only=True):
    """A cause, with the detail that distinguishes instances with that cause. ``detail`` has no ``#``."""

    cause: Cause
    detail: str | None = None

    @property
    def text(self) -> str:
        """Return the reason as lists and indexes have it, for example ``exhausted:http-402``."""
        return self.cause.value if self.detail is None else f"{self.cause.value}:{self.detail}"


def read_reason(text: str) -> StopReason:
    """Return the reason with that text. Raises: ValueError: there is no such cause."""
    cause, colon, detail = text.partition(":")
    return StopReason(cause=Cause(cause), detail=detail if colon else None)


class EventFailure(Struct, frozen=True, kw_only=True):
    """The last failed attempt of an event.

    ``message`` is for users. ``error_class`` is an ``ErrorKind``, with the status for an HTTP error (``http-402``).
    ``step`` is where the attempt failed, None if no step did.
    """

    message: str
    error_class: str
    at: datetime
    step: str | None = None
