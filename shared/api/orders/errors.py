"""The errors of the orders dialect: status, code, class of exception. Source: docs/contracts/orders.md B.5."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import Enum
from http import HTTPStatus

from msgspec import Struct
from msgspec.structs import force_setattr

from shared.api.http.auth import basic
from shared.api.http.errors import (
    ApiError,
    ErrorTable,
    ForbiddenError,
    InvalidBodyError,
    InvalidHeaderError,
    Occurrence,
    TooLargeError,
    UnauthorizedError,
    UnknownPathError,
)
from shared.api.http.route import Route
from shared.api.orders import answers
from shared.api.orders.date_language import DateLanguageError, UnknownZoneError
from shared.application.commit import ContentionError
from shared.application.ports import ConnectionLostError, OverloadedError
from shared.domain.calendar.dates import format_instant
from shared.domain.errors import (
    DateError,
    InvalidInputError,
    MoreProblems,
    Problem,
    Problems,
    shortened,
)

BASE = "/joc/api"
INVALID_REQUEST = 420
BULK_ERROR = 419
LOGIN_TIMEOUT = 440


class Code(Enum):
    """The vendor's error code, and the class of exception that begins the message."""

    SCHEMA = ("JOC-420", "SOSJsonSchemaException")
    BAD_REQUEST = ("JOC-400", "JocBadRequestException")
    NOT_FOUND = ("JOC-161", "ControllerObjectNotExistException")
    NO_WORKFLOW = ("JOC-002", "JocObjectNotExistException")
    NO_CONTROLLER = ("JOC-404", "JocUnknownControllerException")
    DATE = ("JOC-405", "JocDateParseException")
    NO_COMMENT = ("JOC-300", "JocMissingCommentException")
    OTHER = ("JOC-420", "JocException")

    def message(self, text: str) -> str:
        """Return ``<ExceptionClass>: <text>``."""
        return f"{self.value[1]}: {text}"

    @property
    def code(self) -> str:
        """The code: ``JOC-...``."""
        return self.value[0]


class JocError(ApiError):
    """A request that is refused, by default with 420, with a code and a reason."""

    def __init__(self, code: Code, text: str, *, status: int = INVALID_REQUEST) -> None:
        super().__init__(status, text)
        self.code = code

    def body(self, occurrence: Occurrence) -> answers.ErrorShape:
        """Return ``{deliveryDate, surveyDate, error: {code, message}}``, with ``errorId`` if the failure is ours."""
        text, failed = self.message, self.status == HTTPStatus.INTERNAL_SERVER_ERROR
        if failed:
            text = f"{text} (log id {occurrence.error_id})"
        error: answers.JocErrorShown = {"code": self.code.code, "message": self.code.message(text)}
        if failed:
            error["errorId"] = occurrence.error_id
        return {**dates(occurrence.at), "error": error}


MAX_PATH_BYTES, MAX_TEXT_BYTES = 160, 300
"""The largest path and text of a refused item, as JSON. A request has at most 100 items."""


class ItemError(Struct, frozen=True, kw_only=True):
    """One refused item among others. ``path`` identifies it. Long texts are cut."""

    path: str
    code: Code
    text: str

    def __post_init__(self) -> None:
        """Cut the texts, so that an answer with a hundred items stays small."""
        force_setattr(self, "path", shortened(self.path, MAX_PATH_BYTES))
        force_setattr(self, "text", shortened(self.text, MAX_TEXT_BYTES))


class ItemsError(ApiError):
    """Some items were refused, with 419; the others were accepted."""

    def __init__(self, items: Sequence[ItemError]) -> None:
        super().__init__(BULK_ERROR, "; ".join(f"{item.path}: {item.text}" for item in items))
        self.items = tuple(items)

    def body(self, occurrence: Occurrence) -> answers.ItemErrorsShape:
        """Return ``{deliveryDate, errors: [{surveyDate, path, code, message}]}``."""
        at = format_instant(occurrence.at)
        errors: list[answers.RefusedItem] = [
            {
                "surveyDate": at,
                "path": item.path,
                "code": item.code.code,
                "message": item.code.message(item.text),
            }
            for item in self.items
        ]
        return {"deliveryDate": at, "errors": errors}


class SecurityError(ApiError):
    """The caller is unknown (401), its session has expired (440), or it may not do this (403).

    ``account`` is the key id of the caller, if known. ``call`` is the operation as the vendor names it.
    """

    def __init__(self, status: int, message: str, *, account: str = "", call: str | None = None) -> None:
        super().__init__(status, message)
        self.account = account
        self.call = call

    def body(self, occurrence: Occurrence) -> answers.SecurityShape:
        """Return the security object."""
        shape = security_shape(occurrence.at, account=self.account, message=self.message)
        shape["isAuthenticated"] = self.status == HTTPStatus.FORBIDDEN
        if self.call is not None:
            shape["apiCall"] = self.call
        return shape


def security_shape(at: datetime, *, account: str, message: str) -> answers.SecurityShape:
    """Return the security object of a caller without permissions."""
    return {
        "deliveryDate": format_instant(at),
        "isAuthenticated": False,
        "isPermitted": False,
        "message": message,
        "account": account,
        "accessToken": "",
        "hasRole": False,
    }


def schema_error(problems: Sequence[Problem]) -> JocError:
    """Return 420 with the first problems of a body's form, and the number of the others."""
    return JocError(Code.SCHEMA, "; ".join(map(_sentence, Problems(problems).reported())))


def call_of(route: Route) -> str | None:
    """Return the vendor's name of a refused operation. Login and logout have none."""
    return None if route.role is None else f".{route.path.removeprefix(BASE)}"


def dates(at: datetime) -> answers.Dates:
    """Return ``deliveryDate`` and ``surveyDate``."""
    text = format_instant(at)
    return {"deliveryDate": text, "surveyDate": text}


def _sentence(problem: Problem) -> str:
    is_rest = isinstance(problem, MoreProblems)
    return problem.message if is_rest else f"$.{_place(problem.pointer)}: {problem.message}"


def _place(pointer: str) -> str:
    """Return a place in a body as the vendor writes it: ``workflowIds[0].path``."""
    place = ""
    for part in pointer.split("/")[1:]:
        place += f"[{part}]" if part.isdigit() else f".{part}" if place else part
    return place


def _unauthorized(error: UnauthorizedError) -> SecurityError:
    logs_in = error.route.authenticate is basic
    why = "access denied" if logs_in else "a valid X-Access-Token is required"
    message = f"JocAuthenticationException: {why}"
    return SecurityError(HTTPStatus.UNAUTHORIZED, message, call=call_of(error.route))


def _forbidden(error: ForbiddenError) -> SecurityError:
    name = error.principal.name
    return SecurityError(HTTPStatus.FORBIDDEN, "Access denied", account=name, call=call_of(error.route))


DATE_CODES: Mapping[type[Exception], Code] = {
    DateLanguageError: Code.DATE,
    UnknownZoneError: Code.BAD_REQUEST,
    DateError: Code.DATE,
}
"""The codes of errors about dates. Clients get their messages."""

OVERLOADED = "too many requests; retry later"

UNAVAILABLE = "the database gave no answer; the request may have taken effect, repeat it"

ERRORS = ErrorTable(
    rows={
        UnknownPathError: lambda _: JocError(Code.BAD_REQUEST, "path not found", status=HTTPStatus.NOT_FOUND),
        UnauthorizedError: _unauthorized,
        ForbiddenError: _forbidden,
        TooLargeError: lambda _: JocError(Code.SCHEMA, "the body must not be larger than 256 KB"),
        InvalidHeaderError: lambda error: JocError(Code.SCHEMA, f"the header {error.name} {error.rule}"),
        InvalidBodyError: lambda error: schema_error(error.problems),
        InvalidInputError: lambda error: JocError(Code.BAD_REQUEST, str(error)),
        **dict.fromkeys(DATE_CODES, lambda error: JocError(DATE_CODES[type(error)], str(error))),
        ContentionError: lambda _: JocError(
            Code.OTHER, "too many concurrent changes; nothing was changed, retry later"
        ),
        OverloadedError: lambda _: JocError(Code.OTHER, OVERLOADED),
        ConnectionLostError: lambda _: JocError(Code.OTHER, UNAVAILABLE),
    },
    failure=JocError(Code.OTHER, "internal error", status=HTTPStatus.INTERNAL_SERVER_ERROR),
)
"""The answer to each error. Refused commands are not here: ``commands.VERDICTS`` answers them."""
