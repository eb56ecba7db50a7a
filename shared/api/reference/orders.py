"""The OpenAPI 3.1 document of the orders dialect. Source: docs/contracts/orders.md."""

import json
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path

from shared.api.http.errors import Occurrence
from shared.api.http.route import Route
from shared.api.orders import answers
from shared.api.orders.commands import OPERATION_HEADER
from shared.api.orders.dialect import ORDERS
from shared.api.orders.errors import (
    BULK_ERROR,
    INVALID_REQUEST,
    LOGIN_TIMEOUT,
    Code,
    ItemError,
    ItemsError,
    JocError,
    SecurityError,
)
from shared.api.orders.routes import ROUTES
from shared.api.orders.session import TOKEN_HEADER, TOKEN_PARAMETER
from shared.api.reference.document import Reference, document_of, refusals_of
from shared.api.reference.schemas import TEXT, Json
from shared.domain.access import Role

EXAMPLES_FILE = Path(__file__).with_name("examples") / "orders.json"
"""Examples of every operation, played by tests/dialects/orders/examples.py."""

_ABOUT = (
    "Orders of JS7 JOC over the instances of Ritornello. A controller is an account, a workflow a strategy, an order an"
    " instance. Every method is POST. Unknown fields are ignored, strings are accepted for numbers and booleans."
)
_NO_WORKFLOW = ItemError(
    path="/shop/refill", code=Code.NO_WORKFLOW, text="workflow '/shop/refill' does not exist"
)
_UNKNOWN = "JocAuthenticationException: a valid X-Access-Token is required"
_EXPIRED = "SessionNotExistException: the session has expired"
REFUSALS = refusals_of(
    ORDERS,
    Occurrence(at=datetime(2026, 1, 1, 12, tzinfo=UTC), error_id="JKJaXmPLvHcESHA="),
    {
        HTTPStatus.UNAUTHORIZED: (
            "The session is missing or unknown, or its access key was removed.",
            SecurityError(HTTPStatus.UNAUTHORIZED, _UNKNOWN),
        ),
        HTTPStatus.FORBIDDEN: (
            "The access key's role does not allow it.",
            SecurityError(HTTPStatus.FORBIDDEN, "Access denied", account="viewer", call="./orders/cancel"),
        ),
        BULK_ERROR: (
            "Some items were refused, each with a reason; the others were accepted.",
            ItemsError([_NO_WORKFLOW]),
        ),
        INVALID_REQUEST: (
            "The request is invalid, or the object does not exist. Nothing is changed.",
            JocError(Code.NOT_FOUND, "No orders found."),
        ),
        LOGIN_TIMEOUT: (
            "The session was not used for half an hour.",
            SecurityError(LOGIN_TIMEOUT, _EXPIRED, account="viewer"),
        ),
    },
)
"""The answers to errors by status."""


def document() -> Json:
    """Return the document."""
    token = {"type": "apiKey", "description": "The token of a login."}
    document = document_of(
        Reference(
            dialect=ORDERS,
            about=_ABOUT,
            answers=answers,
            examples=json.loads(EXAMPLES_FILE.read_text(encoding="utf-8")),
            refusals=REFUSALS,
            statuses_of=statuses_of,
            schemes={
                "session": {**token, "in": "header", "name": TOKEN_HEADER},
                "sessionInQuery": {**token, "in": "query", "name": TOKEN_PARAMETER},
                "accessKey": {
                    "type": "http",
                    "scheme": "basic",
                    "description": "The id and the secret of an access key, for a login.",
                },
            },
            security=[{"session": []}, {"sessionInQuery": []}],
            credential="session",
            idempotency_key="An extension: identifies the request, so that sending it again adds no order twice.",
            headers_of=_headers_of,
        )
    )
    login = next(route for route in ROUTES if route.name == "log_in")
    document["paths"][login.path]["post"]["security"] = [{"accessKey": []}]
    return document


def statuses_of(route: Route) -> tuple[int, ...]:
    """Return the statuses of a route's errors."""
    # A body that is not JSON is refused also by operations that read none.
    always = (HTTPStatus.UNAUTHORIZED, INVALID_REQUEST, HTTPStatus.INTERNAL_SERVER_ERROR)
    if route.name == "log_in":
        return always
    if route.body is None:
        return (*always, LOGIN_TIMEOUT)
    items = (BULK_ERROR,) if route.role is Role.OPERATOR else ()
    return (*always, HTTPStatus.FORBIDDEN, LOGIN_TIMEOUT, *items)


def _headers_of(route: Route) -> Json:
    if route.name == "log_in":
        return {TOKEN_HEADER: {"schema": TEXT}}
    if route.answer is answers.OkShape:
        text = "The bulk operation that carries out the command."
        return {OPERATION_HEADER: {"description": text, "schema": TEXT}}
    return {}
