"""The OpenAPI 3.1 document of the process dialect, made from its routes.

It takes time and is made at build time or by tests, never for a request. Source: contracts/process.md.
"""

from collections.abc import Mapping
from http import HTTPStatus

from shared.api.process.errors import (
    FORBIDDEN,
    NO_SUCH_PROCESS,
    TOLD,
    TOO_LARGE,
    UNAUTHORIZED,
    failure,
    invalid,
)
from shared.api.process.render import ENDED, OUTPUT, SAVED, Seen
from shared.api.process.routes import ROUTES, Route
from shared.api.process.schemas import LONGEST_NAME, LONGEST_WORKER
from shared.api.reference.openapi import (
    TEXT,
    Json,
    content,
    document_of,
    idempotency_key,
    in_path,
    names_in,
    object_of,
    operation_of,
    response,
)
from shared.application.ports import OverloadedError
from shared.application.start import KeyReusedError
from shared.domain.calendar.cron import LONGEST_CRON
from shared.domain.errors import Problem
from shared.domain.strategy.settings import MAX_RETRIES

_ABOUT = (
    "Starting processes and asking how they stand, as clients of Robusta's connector API do. A process is an"
    " instance of the strategy it is named after; its robustaSpid is the instance's sid in every other dialect."
    " Every request shows an access key as Basic credentials. Unknown fields are refused."
)
_ERRORS: Mapping[HTTPStatus, tuple[str, Json]] = {
    HTTPStatus.BAD_REQUEST: (
        "What was sent is wrong; every problem in one sentence. Nothing is stored.",
        invalid(
            [Problem(pointer="/endDate", rule="schedule", message="must not be before startDate")]
        ).body(),
    ),
    HTTPStatus.UNAUTHORIZED: ("No valid access key was shown.", UNAUTHORIZED.body()),
    HTTPStatus.FORBIDDEN: ("The key's role does not allow it.", FORBIDDEN.body()),
    HTTPStatus.NOT_FOUND: ("There is none, or it belongs to another account.", NO_SUCH_PROCESS.body()),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: ("The body takes more than 256 KB.", TOO_LARGE.body()),
    HTTPStatus.UNPROCESSABLE_ENTITY: (
        "The Idempotency-Key was used with another request; nothing was started.",
        {"message": TOLD[KeyReusedError][1]},
    ),
    HTTPStatus.TOO_MANY_REQUESTS: (
        "Too much is asked at once; try again.",
        {"message": TOLD[OverloadedError][1]},
    ),
    HTTPStatus.INTERNAL_SERVER_ERROR: (
        "Something failed on our side; the errorId is in its log too.",
        failure("JKJaXmPLvHcESHA=")[1],
    ),
}
_OF_BODIES = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
)

STARTS: Json = {
    "values": {"kullaniciAdi": "Username", "kullaniciSoyadi": "Surname"},
    "quartzDef": "0 6 6 ? * FRI",
    "startDate": "2020-11-16 16:56:00",
    "endDate": "2020-11-18 16:55:00",
    "runOnce": "N",
    "runImmediately": "N",
    "retryCount": "1",
    "name": "OneStepNotepadRunner",
}
"""The vendor's own example."""
STARTED: Json = {"robustaSpid": "f0d2228c-9711-42f5-91ca-afc957f29255", "message": SAVED}
STATUS: Json = {"status": Seen.SUCCEEDED.value, "message": ENDED, f"{OUTPUT}x": "Username Surname"}

_FLAG: Json = {
    "anyOf": [{"type": "string", "pattern": "^[YyNn]$"}, {"type": "boolean"}, {"type": "null"}],
    "example": "Y",
}
_DATE: Json = {"type": ["string", "null"], "pattern": r"^\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}$"}

SHAPES: Json = {
    "StartProcess": {
        "type": "object",
        "description": "Which process is to run, with what, and when.",
        "properties": {
            "name": {
                "type": "string",
                "minLength": 1,
                "maxLength": LONGEST_NAME,
                "description": "Of the strategy, or its folder and name (`/billing/dunning`).",
            },
            "values": {
                "type": ["object", "null"],
                "additionalProperties": {"type": ["string", "number", "boolean"]},
                "description": "Attributes of the instance. Of two of a name the last one counts.",
            },
            "worker": {
                "type": ["string", "null"],
                "minLength": 1,
                "maxLength": LONGEST_WORKER,
                "description": "Who is to do it; expressions read it as `event.worker`.",
            },
            "runOnce": _FLAG | {"description": "One run. Y, N or a boolean."},
            "runImmediately": _FLAG | {"description": "A run now. Y, N or a boolean."},
            "run immediately": _FLAG | {"description": "The same as `runImmediately`, in its place."},
            "quartzDef": {
                "type": ["string", "null"],
                "maxLength": LONGEST_CRON,
                "description": "Quartz expression of 6 or 7 fields: when it runs.",
            },
            "startDate": _DATE | {"description": "From when on; local, `yyyy-MM-dd HH:mm:ss`."},
            "endDate": _DATE | {"description": "Until when; that instant included."},
            "retryCount": {
                "anyOf": [
                    {"type": "integer", "minimum": 0, "maximum": MAX_RETRIES},
                    {"type": "string", "pattern": "^[0-9]{1,9}$"},
                    {"type": "null"},
                ],
                "description": f"How often a failed attempt of a run is tried again, 0 to {MAX_RETRIES}.",
            },
            "timezone": {
                "type": ["string", "null"],
                "description": "IANA zone of the dates and the expression; else the strategy's, else the deployment's.",
            },
        },
        "required": ["name"],
        "additionalProperties": False,
    },
    "Started": object_of({"robustaSpid": TEXT, "message": {"const": SAVED}}),
    "Status": {
        "type": "object",
        "description": f"With SUCCEEDED, a member `{OUTPUT}<name>` for each output of the last run.",
        "properties": {"status": {"enum": [seen.value for seen in Seen]}, "message": TEXT},
        "patternProperties": {f"^{OUTPUT}": {}},
        "required": ["status", "message"],
        "additionalProperties": False,
    },
    "Error": object_of({"message": TEXT}, errorId=TEXT),
}
EXAMPLES: Json = {"StartProcess": STARTS, "Started": STARTED, "Status": STATUS}


def document() -> Json:
    """The whole document."""
    return document_of(
        "process",
        _ABOUT,
        operations=[(route.method, route.path, _operation(route)) for route in ROUTES],
        schemas=SHAPES,
        broken=_error(HTTPStatus.INTERNAL_SERVER_ERROR),
        schemes={
            "accessKey": {
                "type": "http",
                "scheme": "basic",
                "description": "An access key: its id as the user, its secret as the password.",
            }
        },
    )


def errors_of(route: Route) -> tuple[HTTPStatus, ...]:
    """What a route may be refused with."""
    return tuple(sorted(status for status in _ERRORS if route.body is not None or status not in _OF_BODIES))


def _operation(route: Route) -> Json:
    part: Json = {"type": "string", "minLength": 1}
    key = idempotency_key("An addition: names the request, so that sending it again starts nothing new.")
    operation = operation_of(
        route.operation,
        name=route.name,
        role=route.role,
        parameters=[
            *(in_path(name, part, STARTED[name]) for name in names_in(route.path)),
            *([] if route.body is None else [key]),
        ],
        responses={"200": response(HTTPStatus.OK.phrase, route.answer, EXAMPLES[route.answer])}
        | {str(status.value): _error(status) for status in errors_of(route)},
    )
    if route.body is not None:
        operation["requestBody"] = {"required": True, "content": content(route.body, EXAMPLES[route.body])}
    return operation


def _error(status: HTTPStatus) -> Json:
    description, example = _ERRORS[status]
    told = response(description, "Error", example)
    if status is HTTPStatus.UNAUTHORIZED:
        told["headers"] = {name: {"schema": {"const": value}} for name, value in UNAUTHORIZED.headers.items()}
    return told
