"""The OpenAPI 3.1 document of the process dialect. Source: docs/contracts/process.md."""

from datetime import UTC, datetime
from http import HTTPStatus

from shared.api.http.errors import Occurrence
from shared.api.http.route import Route
from shared.api.process import answers
from shared.api.process.answers import OUTPUT, SAVED, Seen
from shared.api.process.dialect import PROCESS
from shared.api.process.errors import FORBIDDEN, not_found
from shared.api.process.render import ENDED
from shared.api.process.routes import ROUTES
from shared.api.process.schemas import MAX_NAME_CHARACTERS, MAX_WORKER_CHARACTERS
from shared.api.reference.document import Reference, document_of, refusals_of
from shared.api.reference.schemas import AnswerSchemas, Json
from shared.application.start import KeyReusedError
from shared.domain.calendar.cron import MAX_CRON_CHARACTERS
from shared.domain.errors import InvalidInputError, Problem
from shared.domain.strategy.settings import MAX_RETRIES

_ABOUT = (
    "Start processes and get their status, as clients of Robusta's connector API do. A process is an"
    " instance of the strategy it is named after; its robustaSpid is the instance's sid in every other dialect."
    " Every request needs an access key as Basic credentials. Unknown fields are refused."
)
_PROBLEM = Problem(pointer="/endDate", rule="schedule", message="must not be before startDate")
REFUSALS = refusals_of(
    PROCESS,
    Occurrence(at=datetime(2026, 1, 1, 12, tzinfo=UTC), error_id="JKJaXmPLvHcESHA="),
    {
        HTTPStatus.BAD_REQUEST: (
            "The request is invalid; every problem is in one sentence. Nothing is stored.",
            InvalidInputError((_PROBLEM,)),
        ),
        HTTPStatus.FORBIDDEN: ("The key's role does not allow it.", FORBIDDEN),
        HTTPStatus.NOT_FOUND: ("It does not exist, or belongs to another account.", not_found()),
        HTTPStatus.UNPROCESSABLE_ENTITY: (
            "The Idempotency-Key was used with another request; nothing was started.",
            KeyReusedError(),
        ),
    },
)
"""The answers to errors by status."""
_OF_BODIES = (HTTPStatus.UNPROCESSABLE_ENTITY,)

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
_DATE: Json = {"type": ["string", "null"], "pattern": r"^\d{4}-\d{2}-\d{2}( \d{2}:\d{2}:\d{2})?$"}

INPUTS: Json = {
    "StartProcess": {
        "type": "object",
        "description": "The process to run, its values, and its schedule.",
        "properties": {
            "name": {
                "type": "string",
                "minLength": 1,
                "maxLength": MAX_NAME_CHARACTERS,
                "description": "The name of the strategy, or its folder and name (`/billing/dunning`).",
            },
            "values": {
                "type": ["object", "null"],
                "additionalProperties": {"type": ["string", "number", "boolean"]},
                "description": "Attributes of the instance. If a name repeats, the last value counts.",
            },
            "worker": {
                "type": ["string", "null"],
                "minLength": 1,
                "maxLength": MAX_WORKER_CHARACTERS,
                "description": "The worker; expressions read it as `event.worker`.",
            },
            "runOnce": _FLAG | {"description": "Whether to run once. Y, N or a boolean."},
            "runImmediately": _FLAG | {"description": "Whether to run now. Y, N or a boolean."},
            "run immediately": _FLAG | {"description": "Another spelling of `runImmediately`."},
            "quartzDef": {
                "type": ["string", "null"],
                "maxLength": MAX_CRON_CHARACTERS,
                "description": "The schedule: a Quartz expression of 6 or 7 fields.",
            },
            "startDate": _DATE
            | {
                "description": "The beginning, in local time: `yyyy-MM-dd HH:mm:ss`, or `yyyy-MM-dd` for 00:00."
            },
            "endDate": _DATE | {"description": "The end, which is included."},
            "retryCount": {
                "anyOf": [
                    {"type": "integer", "minimum": 0, "maximum": MAX_RETRIES},
                    {"type": "string", "pattern": "^[0-9]{1,9}$"},
                    {"type": "null"},
                ],
                "description": f"The maximum number of retries of a failed run, 0 to {MAX_RETRIES}.",
            },
            "timezone": {
                "type": ["string", "null"],
                "description": "IANA zone of dates and expression; by default the strategy's, or the deployment's.",
            },
        },
        "required": ["name"],
        "additionalProperties": False,
    },
}
EXAMPLES: Json = {"StartProcess": STARTS, "Started": STARTED, "Status": STATUS}


def document() -> Json:
    """Return the document."""
    return document_of(
        Reference(
            dialect=PROCESS,
            about=_ABOUT,
            answers=answers,
            inputs=INPUTS,
            examples={route.name: _example(route) for route in ROUTES},
            refusals=REFUSALS,
            statuses_of=errors_of,
            schemes={
                "accessKey": {
                    "type": "http",
                    "scheme": "basic",
                    "description": "An access key: its id as the user, its secret as the password.",
                }
            },
            idempotency_key="An extension: identifies the request, so that sending it again starts no other process.",
        )
    )


def errors_of(route: Route) -> tuple[int, ...]:
    """Return the statuses of a route's errors."""
    return tuple(sorted(status for status in REFUSALS if route.body is not None or status not in _OF_BODIES))


def _example(route: Route) -> Json:
    return {"path": STARTED, "body": STARTS, "answer": EXAMPLES[AnswerSchemas(answers).name_of(route.answer)]}
