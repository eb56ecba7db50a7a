"""The OpenAPI 3.1 document of the core dialect. Source: docs/contracts/core.md."""

import json
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path

from pydantic import BaseModel

from shared.api.core import answers
from shared.api.core.dialect import CORE
from shared.api.core.errors import CoreError, not_found
from shared.api.http.errors import Occurrence
from shared.api.http.route import Route, Target
from shared.api.reference.document import A_BEARER_KEY, Reference, document_of, refusals_of, schema_of
from shared.api.reference.schemas import Json, ref
from shared.api.reference.settings import settings_schemas
from shared.application.start import KeyReusedError
from shared.domain.errors import InvalidInputError, Problem

EXAMPLES_FILE = Path(__file__).with_name("examples") / "core.json"
"""Examples of every operation, written by dev/examples.py."""

_ABOUT = (
    "Strategies, instances and events of recurring business flows. Every request needs an access key. A request that"
    " names a strategy, an instance or an event also needs the strategy's secret. Unknown members are refused. Every"
    " command may be sent again."
)
_PROBLEM = Problem(pointer="/endDate", rule="range", message="must not be before startDate")
REFUSALS = refusals_of(
    CORE,
    Occurrence(at=datetime(2026, 1, 1, 12, tzinfo=UTC), error_id="JKJaXmPLvHcESHA="),
    {
        HTTPStatus.BAD_REQUEST: (
            "The request is invalid; its problems are reported at once. Nothing is stored.",
            InvalidInputError((_PROBLEM,)),
        ),
        HTTPStatus.FORBIDDEN: (
            "The key's role does not allow it, or the Strategy-Secret is missing or wrong.",
            CoreError(HTTPStatus.FORBIDDEN, "the header Strategy-Secret is missing"),
        ),
        HTTPStatus.NOT_FOUND: ("It does not exist, or belongs to another account.", not_found("instance")),
        HTTPStatus.CONFLICT: (
            "The state does not allow it. Nothing is changed.",
            CoreError(HTTPStatus.CONFLICT, "the instance is CANCELED"),
        ),
        HTTPStatus.UNPROCESSABLE_ENTITY: (
            "The request cannot be carried out. Nothing is changed.",
            KeyReusedError("the Idempotency-Key was used with another body"),
        ),
    },
)
"""The answers to errors by status."""
# Every operation refuses unknown parameters and members, also if it takes none.
_ALWAYS = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.INTERNAL_SERVER_ERROR,
)


def document() -> Json:
    """Return the document."""
    return document_of(
        Reference(
            dialect=CORE,
            about=_ABOUT,
            answers=answers,
            inputs=settings_schemas(),
            examples=json.loads(EXAMPLES_FILE.read_text(encoding="utf-8")),
            refusals=REFUSALS,
            statuses_of=errors_of,
            schemes={"accessKey": A_BEARER_KEY},
            schema_of=_schema,
            is_typed=True,
        )
    )


def errors_of(route: Route) -> tuple[HTTPStatus, ...]:
    """Return the statuses of a route's errors."""
    statuses = [*_ALWAYS]
    if route.target is not Target.NOTHING:
        statuses.append(HTTPStatus.NOT_FOUND)
    if route.method != "GET":
        statuses += [HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY]
    return tuple(sorted(statuses))


def _schema(model: type[BaseModel], schemas: Json) -> Json:
    schema = schema_of(model, schemas)
    if "settings" in schema["properties"]:
        # The model takes any object here, because the domain reads settings.
        schema["properties"]["settings"] = ref("Settings")
    return schema
