"""The orders dialect's refusals: HTTP status, code, class of exception. Source: contracts/orders.md B.5."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from http import HTTPStatus
from typing import Any, assert_never

from shared.api.orders.date_language import DateLanguageError, UnknownZoneError
from shared.application.commit import ContentionError
from shared.application.ports import OverloadedError
from shared.domain.calendar.dates import format_instant
from shared.domain.errors import DateError, InvalidInputError, Problem

Json = dict[str, Any]

INVALID_REQUEST = 420
BULK_ERROR = 419
LOGIN_TIMEOUT = 440


class Code(Enum):
    """What is wrong: the vendor's code, and the class of exception its message begins with."""

    SCHEMA = ("JOC-420", "SOSJsonSchemaException")
    BAD_REQUEST = ("JOC-400", "JocBadRequestException")
    NOT_FOUND = ("JOC-161", "ControllerObjectNotExistException")
    NO_WORKFLOW = ("JOC-002", "JocObjectNotExistException")
    NO_CONTROLLER = ("JOC-404", "JocUnknownControllerException")
    DATE = ("JOC-405", "JocDateParseException")
    NO_COMMENT = ("JOC-300", "JocMissingCommentException")
    OTHER = ("JOC-420", "JocException")

    def message(self, text: str) -> str:
        """``<ExceptionClass>: <text>``."""
        return f"{self.value[1]}: {text}"

    @property
    def code(self) -> str:
        """``JOC-...``."""
        return self.value[0]


class JocError(Exception):
    """A request that is refused with 420: a code, and what to say."""

    def __init__(self, code: Code, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text

    def body(self, at: datetime) -> Json:
        """``{deliveryDate, surveyDate, error: {code, message}}``."""
        error = {"code": self.code.code, "message": self.code.message(self.text)}
        return {**dates(at), "error": error}


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemError:
    """One bad item among others. path: which one."""

    path: str
    code: Code
    text: str


class ItemsError(Exception):
    """Some items were refused, with 419; the others were taken."""

    def __init__(self, items: Sequence[ItemError]) -> None:
        super().__init__("; ".join(f"{item.path}: {item.text}" for item in items))
        self.items = tuple(items)

    def body(self, at: datetime) -> Json:
        """``{deliveryDate, errors: [{surveyDate, path, code, message}]}``."""
        told = format_instant(at)
        errors = [
            {
                "surveyDate": told,
                "path": item.path,
                "code": item.code.code,
                "message": item.code.message(item.text),
            }
            for item in self.items
        ]
        return {"deliveryDate": told, "errors": errors}


class SecurityError(Exception):
    """Who asks is not known, not any more, or may not do this: 401, 440 or 403.

    account: the key id that was shown, or that the token stands for. call: what was asked for.
    """

    def __init__(self, status: int, message: str, *, account: str = "", call: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.account = account
        self.call = call

    def body(self, at: datetime) -> Json:
        """The security object."""
        shape = security_shape(at, account=self.account, message=self.message)
        if self.status == HTTPStatus.FORBIDDEN:
            shape |= {"isAuthenticated": True}
        return shape if self.call is None else {**shape, "apiCall": self.call}


def security_shape(at: datetime, *, account: str, message: str) -> Json:
    """What is told about who asks, as of somebody who may nothing."""
    return {
        "deliveryDate": format_instant(at),
        "isAuthenticated": False,
        "isPermitted": False,
        "message": message,
        "account": account,
        "accessToken": "",
        "hasRole": False,
    }


TABLE: Mapping[type[Exception], Code] = {
    DateLanguageError: Code.DATE,
    UnknownZoneError: Code.BAD_REQUEST,
    DateError: Code.DATE,
    InvalidInputError: Code.BAD_REQUEST,
    ContentionError: Code.OTHER,
    OverloadedError: Code.OTHER,
}
"""What a use-case's refusal is to the client."""

TOLD: Mapping[type[Exception], str] = {
    ContentionError: "the order is changing too fast; nothing was changed, try again",
    OverloadedError: "too much is asked at once; try again",
}
"""What is said of those whose own words are not for clients."""


def refusal_of(error: Exception) -> JocError | ItemsError | SecurityError | None:
    """The refusal that an error stands for; None where it is not the client's business."""
    match error:
        case JocError() | ItemsError() | SecurityError():
            return error
        case _:
            code = TABLE.get(type(error))
            return None if code is None else JocError(code, TOLD.get(type(error)) or str(error))


def status_of(refusal: JocError | ItemsError | SecurityError) -> int:
    """Its HTTP status."""
    match refusal:
        case SecurityError(status=status):
            return status
        case ItemsError():
            return BULK_ERROR
        case JocError():
            return INVALID_REQUEST
        case _:
            assert_never(refusal)


def failure(error_id: str, epoch_ms: int) -> Json:
    """What is said of something that failed on our side: an id that the log has too, and nothing of the inside.

    epoch_ms: when the request came, in milliseconds since 1970: what failed may be what knows the time.
    """
    at = datetime.fromtimestamp(epoch_ms / 1000, UTC)
    broken = JocError(Code.OTHER, f"something failed on our side; its log has the id {error_id}")
    body = broken.body(at)
    return {**body, "error": {**body["error"], "errorId": error_id}}


def schema_error(problems: Sequence[Problem]) -> JocError:
    """420 with every problem of a body's form."""
    return JocError(Code.SCHEMA, "; ".join(f"$.{_place(p.pointer)}: {p.message}" for p in problems))


def dates(at: datetime) -> Json:
    """``deliveryDate`` and ``surveyDate``."""
    told = format_instant(at)
    return {"deliveryDate": told, "surveyDate": told}


def _place(pointer: str) -> str:
    """A place in a body as the vendor writes it: ``workflowIds[0].path``."""
    place = ""
    for part in pointer.split("/")[1:]:
        place += f"[{part}]" if part.isdigit() else f".{part}" if place else part
    return place
