"""The OpenAPI 3.1 document of the automation dialect. Source: docs/contracts/automation.md."""

import json
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path

from shared.api.automation import answers
from shared.api.automation.dialect import AUTOMATION
from shared.api.automation.errors import FORBIDDEN, invalid, not_found
from shared.api.http.errors import Occurrence
from shared.api.http.route import Route, Target
from shared.api.reference.automation_inputs import INPUTS
from shared.api.reference.document import A_BEARER_KEY, Reference, document_of, refusals_of
from shared.api.reference.schemas import AnswerSchemas, Json
from shared.application.start import KeyReusedError

EXAMPLES_FILE = Path(__file__).with_name("examples") / "automation.json"
"""Examples of every operation, written by dev/automation_examples.py."""

_ABOUT = (
    "Workflow definitions and workflows as the 8x8 Automation API has them, on the engine that all dialects share."
    " Every request needs an access key of the account in its path. A refused request changes nothing."
)
_UUID = AnswerSchemas(answers).schema_of(answers.Uuid)
_DEFINITION = "Definition 2aa9465e-dec7-4c3e-8fa6-bd168af9eaca"
REFUSALS = refusals_of(
    AUTOMATION,
    Occurrence(
        at=datetime(2021, 7, 13, 1, 28, 37, 660_000, tzinfo=UTC),
        error_id="2558ff83-c8db-4890-805e-ad64001857a1",
    ),
    {
        HTTPStatus.BAD_REQUEST: ("Request is invalid.", invalid("Invalid definition id.")),
        HTTPStatus.FORBIDDEN: (
            "The key is of another account, or its role does not allow it.",
            FORBIDDEN,
        ),
        HTTPStatus.NOT_FOUND: ("Workflow instance or definition is not found.", not_found(_DEFINITION)),
        HTTPStatus.UNPROCESSABLE_ENTITY: (
            "The Idempotency-Key was used with another request.",
            KeyReusedError(),
        ),
    },
)
"""The answers to errors by status. Those of 400 and 404 are the vendor's own examples."""
_ALWAYS = (
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
            dialect=AUTOMATION,
            about=_ABOUT,
            answers=answers,
            inputs=INPUTS,
            examples=json.loads(EXAMPLES_FILE.read_text(encoding="utf-8")),
            refusals=REFUSALS,
            statuses_of=errors_of,
            schemes={"accessKey": A_BEARER_KEY},
            parts={"definition_id": _UUID, "workflow_id": _UUID},
        )
    )


def errors_of(route: Route) -> tuple[HTTPStatus, ...]:
    """Return the statuses of a route's errors."""
    # A body that is not JSON is refused also by operations that read none.
    statuses = [*_ALWAYS, HTTPStatus.BAD_REQUEST]
    if route.target is not Target.NOTHING:
        statuses.append(HTTPStatus.NOT_FOUND)
    if route.is_idempotent:
        statuses.append(HTTPStatus.UNPROCESSABLE_ENTITY)
    return tuple(sorted(statuses))
