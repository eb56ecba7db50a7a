"""The OpenAPI 3.1 document of the orders dialect, made from its routes.

It takes time and is made at build time or by tests, never for a request. Source: contracts/orders.md.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path

from shared.api.orders.call import TOKEN_HEADER, TOKEN_PARAMETER
from shared.api.orders.commands import OPERATION_HEADER
from shared.api.orders.errors import (
    BULK_ERROR,
    INVALID_REQUEST,
    LOGIN_TIMEOUT,
    Code,
    ItemError,
    ItemsError,
    JocError,
    SecurityError,
    failure,
)
from shared.api.orders.openapi_shapes import SHAPES
from shared.api.orders.routes import BASE, WAYS, Door, Route
from shared.api.reference.openapi import (
    TEXT,
    Json,
    content,
    document_of,
    idempotency_key,
    operation_of,
    response,
    schema_of,
)

EXAMPLES_FILE = Path(__file__).with_name("examples.json")
"""An example of every operation, played by tests/dialects/orders/examples.py."""

_ABOUT = (
    "Orders of JS7 JOC over the instances of Ritornello. A controller is an account, a workflow a strategy, an order an"
    " instance. Everything is POST. Unknown fields are ignored, texts pass for numbers and switches."
)
_AT = datetime(2026, 1, 1, 12, tzinfo=UTC)
_REFUSED: Mapping[int, tuple[str, str, Json]] = {
    401: (
        "No session, or one that nobody knows, or whose access key was removed.",
        "Security",
        SecurityError(401, "JocAuthenticationException: a valid X-Access-Token is required").body(_AT),
    ),
    403: (
        "The access key's role does not allow it.",
        "Security",
        SecurityError(403, "Access denied", account="viewer", call="./orders/cancel").body(_AT),
    ),
    BULK_ERROR: (
        "Some items were refused, each with why; the others were taken.",
        "ItemErrors",
        ItemsError(
            [
                ItemError(
                    path="/shop/refill", code=Code.NO_WORKFLOW, text="workflow '/shop/refill' does not exist"
                )
            ]
        ).body(_AT),
    ),
    INVALID_REQUEST: (
        "What was sent is wrong, or there is no such thing. Nothing is changed.",
        "Error",
        JocError(Code.NOT_FOUND, "No orders found.").body(_AT),
    ),
    LOGIN_TIMEOUT: (
        "The session was not used for half an hour.",
        "Security",
        SecurityError(
            LOGIN_TIMEOUT, "SessionNotExistException: the session has expired", account="viewer"
        ).body(_AT),
    ),
    500: (
        "Something failed on our side; the errorId is in its log too.",
        "Error",
        failure("JKJaXmPLvHcESHA=", round(_AT.timestamp() * 1000)),
    ),
}


def document() -> Json:
    """The whole document."""
    schemas: Json = dict(SHAPES)
    examples: Json = json.loads(EXAMPLES_FILE.read_text(encoding="utf-8"))
    token = {"type": "apiKey", "description": "The token that a login answers with."}
    return document_of(
        "orders",
        _ABOUT,
        operations=[("POST", way.path, _operation(way, schemas, examples[name_of(way)])) for way in WAYS],
        schemas=schemas,
        broken=response(*_REFUSED[500]),
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
        shown="a session",
    )


def name_of(way: Door | Route) -> str:
    """The id of an operation; what is served under two paths has two."""
    name = way.operation.__name__
    return name if way.path.startswith(BASE) else f"{name}_without_prefix"


def statuses_of(way: Door | Route) -> tuple[int, ...]:
    """What a route may be refused with."""
    if isinstance(way, Door):
        return (401, 500) if name_of(way) == "log_in" else (401, LOGIN_TIMEOUT, 500)
    items = (BULK_ERROR,) if way.has_items else ()
    return (401, 403, *items, INVALID_REQUEST, LOGIN_TIMEOUT, 500)


def _operation(way: Door | Route, schemas: Json, example: Json) -> Json:
    told = response(HTTPStatus.OK.phrase, way.answer, example["answer"])
    if name_of(way) == "log_in":
        told["headers"] = {TOKEN_HEADER: {"schema": TEXT}}
    if way.answer == "Ok":
        text = "Names the bulk operation that carries the command on."
        told["headers"] = {OPERATION_HEADER: {"description": text, "schema": TEXT}}
    key = idempotency_key("An addition: names the request, so that sending it again adds nothing twice.")
    operation = operation_of(
        way.operation,
        name=name_of(way),
        role=None if isinstance(way, Door) else way.role,
        parameters=[key] if isinstance(way, Route) and way.creates else [],
        responses={
            "200": told,
            **{str(status): response(*_REFUSED[status]) for status in statuses_of(way)},
        },
    )
    if name_of(way) == "log_in":
        operation["security"] = [{"accessKey": []}]
    if isinstance(way, Route):
        schemas[way.body.__name__] = schema_of(way.body, schemas)
        operation["requestBody"] = {"required": True, "content": content(way.body.__name__, example["body"])}
    return operation
