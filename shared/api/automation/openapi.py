"""The OpenAPI 3.1 document of the automation dialect, made from its routes.

It takes time and is made at build time or by tests, never for a request. Source: contracts/automation.md.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path

from shared.api.automation.errors import (
    TABLE,
    TOLD,
    AutomationError,
    failure,
    forbidden,
    invalid,
    not_found,
    unauthorized,
)
from shared.api.automation.openapi_shapes import SHAPES, UUID
from shared.api.automation.routes import ROUTES, Finds, Route
from shared.api.reference.openapi import (
    A_BEARER_KEY,
    AUDIT_COMMENT,
    Json,
    content,
    document_of,
    idempotency_key,
    in_path,
    names_in,
    operation_of,
    response,
)
from shared.application.ports import OverloadedError
from shared.application.start import KeyReusedError

EXAMPLES_FILE = Path(__file__).with_name("examples.json")
"""An example of every operation, written by dev/automation_examples.py."""

_ABOUT = (
    "Workflow definitions and workflows as the 8x8 Automation API has them, over the engine that all dialects share."
    " Every request shows an access key of the account in its path. A refused request changes nothing."
)
_ERROR_ID = "2558ff83-c8db-4890-805e-ad64001857a1"
_AT = datetime(2021, 7, 13, 1, 28, 37, 660_000, tzinfo=UTC)
_ERRORS: Mapping[HTTPStatus, str] = {
    HTTPStatus.BAD_REQUEST: "Request is invalid.",
    HTTPStatus.UNAUTHORIZED: "No valid access key was shown.",
    HTTPStatus.FORBIDDEN: "The key is of another account, or its role does not allow it.",
    HTTPStatus.NOT_FOUND: "Workflow instance or definition is not found.",
    HTTPStatus.UNPROCESSABLE_ENTITY: "The Idempotency-Key was used with another request.",
    HTTPStatus.TOO_MANY_REQUESTS: "Too much is asked at once; try again.",
    HTTPStatus.INTERNAL_SERVER_ERROR: "Something failed on our side; the errorId is in its log too.",
}
_TOLD: Mapping[HTTPStatus, AutomationError] = {
    HTTPStatus.BAD_REQUEST: invalid("Invalid definition id."),
    HTTPStatus.UNAUTHORIZED: unauthorized(),
    HTTPStatus.FORBIDDEN: forbidden(),
    HTTPStatus.NOT_FOUND: not_found("Definition 2aa9465e-dec7-4c3e-8fa6-bd168af9eaca"),
    HTTPStatus.UNPROCESSABLE_ENTITY: AutomationError(*TABLE[KeyReusedError], TOLD[KeyReusedError]),
    HTTPStatus.TOO_MANY_REQUESTS: AutomationError(*TABLE[OverloadedError], TOLD[OverloadedError]),
    HTTPStatus.INTERNAL_SERVER_ERROR: failure(),
}
ERROR_EXAMPLES: Mapping[HTTPStatus, Json] = {
    status: error.body(_ERROR_ID, _AT) for status, error in _TOLD.items()
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
    examples: Json = json.loads(EXAMPLES_FILE.read_text(encoding="utf-8"))
    return document_of(
        "automation",
        _ABOUT,
        operations=[
            (route.method, route.path, _operation(route, examples[route.operation.__name__]))
            for route in ROUTES
        ],
        schemas=SHAPES,
        broken=_refusal(HTTPStatus.INTERNAL_SERVER_ERROR),
        schemes={"accessKey": A_BEARER_KEY},
    )


def errors_of(route: Route) -> tuple[HTTPStatus, ...]:
    """What a route may be refused with."""
    found = [*_ALWAYS]
    if route.body is not None or route.query is not None or route.finds is not Finds.NOTHING:
        found.append(HTTPStatus.BAD_REQUEST)
    if route.finds is Finds.THINGS:
        found.append(HTTPStatus.NOT_FOUND)
    if route.creates:
        found.append(HTTPStatus.UNPROCESSABLE_ENTITY)
    return tuple(sorted(found))


def _operation(route: Route, example: Json) -> Json:
    operation = operation_of(
        route.operation,
        role=route.role,
        parameters=[*_path(route, example), *_headers(route), *_query(route, example)],
        responses=_responses(route, example),
    )
    if route.body is not None:
        needed = not route.creates or route.body == "DefinitionInput"
        operation["requestBody"] = {"required": needed, "content": content(route.body, example["body"])}
    return operation


def _path(route: Route, example: Json) -> list[Json]:
    schemas = {"account_id": {"type": "string", "minLength": 1}, "definition_id": UUID, "workflow_id": UUID}
    return [in_path(name, schemas[name], example["path"][name]) for name in names_in(route.path)]


def _headers(route: Route) -> list[Json]:
    found: list[Json] = []
    if route.creates:
        found.append(idempotency_key("Names the request, so that sending it again creates nothing new."))
    if route.method != "GET":
        found.append(AUDIT_COMMENT)
    return found


def _query(route: Route, example: Json) -> list[Json]:
    if route.query is None:
        return []
    schema = route.query.model_json_schema()
    known = schema.get("$defs", {})
    given = example.get("query", {})
    return [
        {"name": name, "in": "query", "required": False, "schema": _plain(of, known)}
        | ({"example": given[name]} if name in given else {})
        for name, of in schema["properties"].items()
    ]


def _plain(schema: Json, known: Json) -> Json:
    """A parameter's schema with what it refers to in place."""
    if "$ref" in schema:
        return {"enum": known[schema["$ref"].rpartition("/")[2]]["enum"]}
    if "anyOf" in schema:
        return {**schema, "anyOf": [_plain(one, known) for one in schema["anyOf"]]}
    return schema


def _responses(route: Route, example: Json) -> Json:
    status = HTTPStatus(route.status)
    told = {} if route.answer is None else content(route.answer, example["answer"])
    answers: Json = {str(status.value): {"description": status.description or status.phrase, "content": told}}
    return answers | {str(refused.value): _refusal(refused) for refused in errors_of(route)}


def _refusal(status: HTTPStatus) -> Json:
    return response(_ERRORS[status], "Error", ERROR_EXAMPLES[status])
