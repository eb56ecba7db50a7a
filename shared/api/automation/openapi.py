"""The OpenAPI 3.1 document of the automation dialect, made from its routes.

It takes time and is made at build time or by tests, never for a request. Source: contracts/automation.md.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path

from shared.api.automation.dialect import AUTOMATION
from shared.api.automation.errors import ERRORS, AutomationError, Code, invalid, not_found
from shared.api.automation.openapi_shapes import SHAPES, UUID
from shared.api.http.errors import Occurrence
from shared.api.http.route import Route, Target
from shared.api.reference.document import A_BEARER_KEY, Reference, document_of, response
from shared.api.reference.openapi import Json

EXAMPLES_FILE = Path(__file__).with_name("examples.json")
"""An example of every operation, written by dev/automation_examples.py."""

_ABOUT = (
    "Workflow definitions and workflows as the 8x8 Automation API has them, over the engine that all dialects share."
    " Every request shows an access key of the account in its path. A refused request changes nothing."
)
_OCCURRENCE = Occurrence(
    at=datetime(2021, 7, 13, 1, 28, 37, 660_000, tzinfo=UTC),
    error_id="2558ff83-c8db-4890-805e-ad64001857a1",
)
_ERRORS: Mapping[HTTPStatus, str] = {
    HTTPStatus.BAD_REQUEST: "Request is invalid.",
    HTTPStatus.UNAUTHORIZED: "No valid access key was shown.",
    HTTPStatus.FORBIDDEN: "The key is of another account, or its role does not allow it.",
    HTTPStatus.NOT_FOUND: "Workflow instance or definition is not found.",
    HTTPStatus.UNPROCESSABLE_ENTITY: "The Idempotency-Key was used with another request.",
    HTTPStatus.TOO_MANY_REQUESTS: "Too much is asked at once; try again.",
    HTTPStatus.INTERNAL_SERVER_ERROR: "Something failed on our side; the errorId is in its log too.",
}
_REFUSED = (
    invalid("Invalid definition id."),
    AutomationError(HTTPStatus.UNAUTHORIZED, Code.UNAUTHORIZED, "Unauthorized Access"),
    AutomationError(HTTPStatus.FORBIDDEN, Code.FORBIDDEN, "Access forbidden"),
    not_found("Definition 2aa9465e-dec7-4c3e-8fa6-bd168af9eaca"),
    AutomationError(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        Code.INVALID_PARAMETER,
        "The Idempotency-Key was used with another request.",
    ),
    AutomationError(HTTPStatus.TOO_MANY_REQUESTS, Code.INTERNAL, "Too much is asked at once; try again."),
    ERRORS.failure,
)
ERROR_EXAMPLES: Mapping[HTTPStatus, Json] = {
    HTTPStatus(error.status): error.body(_OCCURRENCE) for error in _REFUSED
}
"""Each refusal as it is sent; those of 400 and 404 are the vendor's own examples."""
_ALWAYS = (
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.INTERNAL_SERVER_ERROR,
)


def document() -> Json:
    """The whole document."""
    return document_of(
        Reference(
            dialect=AUTOMATION,
            about=_ABOUT,
            shapes=SHAPES,
            examples=json.loads(EXAMPLES_FILE.read_text(encoding="utf-8")),
            refusals={
                status: response(text, "Error", ERROR_EXAMPLES[status]) for status, text in _ERRORS.items()
            },
            refusals_of=errors_of,
            schemes={"accessKey": A_BEARER_KEY},
            parts={"definition_id": UUID, "workflow_id": UUID},
        )
    )


def errors_of(route: Route) -> tuple[HTTPStatus, ...]:
    """Return what a route may be refused with."""
    found = [*_ALWAYS]
    if route.body is not None or route.query is not None or route.target is not Target.NOTHING:
        found.append(HTTPStatus.BAD_REQUEST)
    if route.target is not Target.NOTHING:
        found.append(HTTPStatus.NOT_FOUND)
    if route.is_idempotent:
        found.append(HTTPStatus.UNPROCESSABLE_ENTITY)
    return tuple(sorted(found))
