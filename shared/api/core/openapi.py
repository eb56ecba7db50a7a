"""The OpenAPI 3.1 document of the core dialect, made from its routes.

It takes time and is made at build time or by tests, never for a request. Source: contracts/core.md.
"""

import json
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from shared.api.core.errors import CoreError, failure
from shared.api.core.openapi_settings import settings_schemas
from shared.api.core.openapi_shapes import SHAPES
from shared.api.core.routes import ROUTES, Opens, Route
from shared.api.reference.openapi import (
    A_BEARER_KEY,
    AUDIT_COMMENT,
    Json,
    content,
    document_of,
    header,
    idempotency_key,
    in_path,
    names_in,
    operation_of,
    ref,
    response,
    schema_of,
)
from shared.domain.errors import Problem

EXAMPLES_FILE = Path(__file__).with_name("examples.json")
"""An example of every operation, written by dev/examples.py."""

_ABOUT = (
    "Strategies, instances and events of recurring business flows. Every request shows an access key; whoever names a"
    " strategy, an instance or an event of it shows the strategy's secret too. Unknown members are"
    " refused. Every command may be sent again."
)
_ERRORS: Mapping[HTTPStatus, str] = {
    HTTPStatus.BAD_REQUEST: "What was sent is wrong; every problem at once. Nothing is stored.",
    HTTPStatus.UNAUTHORIZED: "No valid access key was shown.",
    HTTPStatus.FORBIDDEN: "The key's role does not allow it, or the Strategy-Secret is missing or wrong.",
    HTTPStatus.NOT_FOUND: "There is none, or it belongs to another account.",
    HTTPStatus.CONFLICT: "The state does not allow it. Nothing is changed.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body takes more than 256 KB.",
    HTTPStatus.UNPROCESSABLE_ENTITY: "What was asked for cannot be. Nothing is changed.",
    HTTPStatus.TOO_MANY_REQUESTS: "Too much is asked at once; try again.",
    HTTPStatus.INTERNAL_SERVER_ERROR: "Something failed on our side; the errorId is in its log too.",
}
_A_PROBLEM = Problem(pointer="/endDate", rule="range", message="must not be before startDate")
_TOLD: Mapping[HTTPStatus, str] = {
    HTTPStatus.UNAUTHORIZED: "a valid access key is required",
    HTTPStatus.FORBIDDEN: "the header Strategy-Secret is missing",
    HTTPStatus.NOT_FOUND: "there is no such instance",
    HTTPStatus.CONFLICT: "the instance is CANCELED",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "the body takes at most 256 KB",
    HTTPStatus.UNPROCESSABLE_ENTITY: "the Idempotency-Key was used with another body",
    HTTPStatus.TOO_MANY_REQUESTS: "too much is asked at once; try again",
}
ERROR_EXAMPLES: Mapping[HTTPStatus, Json] = {
    HTTPStatus.BAD_REQUEST: CoreError(HTTPStatus.BAD_REQUEST, problems=[_A_PROBLEM]).body(),
    HTTPStatus.INTERNAL_SERVER_ERROR: failure("JKJaXmPLvHcESHA=")[1],
    **{status: CoreError(status, message).body() for status, message in _TOLD.items()},
}
"""Each refusal as it is sent."""
_ALWAYS = (
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.INTERNAL_SERVER_ERROR,
)


def document() -> Json:
    """The whole document."""
    schemas: Json = SHAPES | settings_schemas()
    examples: Json = json.loads(EXAMPLES_FILE.read_text(encoding="utf-8"))
    return document_of(
        "core",
        _ABOUT,
        operations=[
            (route.method, route.path, _operation(route, schemas, examples[route.operation.__name__]))
            for route in ROUTES
        ],
        schemas=schemas,
        broken=_refusal(HTTPStatus.INTERNAL_SERVER_ERROR),
        schemes={"accessKey": A_BEARER_KEY},
    )


def errors_of(route: Route) -> tuple[HTTPStatus, ...]:
    """What a route may be refused with."""
    takes_input = route.body is not None or route.query is not None or route.method != "GET"
    found = [*_ALWAYS]
    if takes_input:
        found.append(HTTPStatus.BAD_REQUEST)
    if route.body is not None:
        found.append(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    if "<" in route.path or route.opens is not Opens.NOTHING:
        found.append(HTTPStatus.NOT_FOUND)
    if route.method != "GET":
        found += [HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY]
    return tuple(sorted(found))


def _operation(route: Route, schemas: Json, example: Json) -> Json:
    operation = operation_of(
        route.operation,
        role=route.role,
        parameters=[*_path(route, example), *_headers(route), *_query(route, example)],
        responses=_responses(route, example["answer"]),
    )
    if route.body is not None:
        name = route.body.__name__
        schemas[name] = _schema(route.body, schemas)
        operation["requestBody"] = {
            "required": not route.body_is_optional,
            "content": content(name, example["body"]),
        }
    return operation


def _path(route: Route, example: Json) -> list[Json]:
    text: Json = {"type": "string", "minLength": 1}
    return [in_path(name, text, example["path"][name]) for name in names_in(route.path)]


def _headers(route: Route) -> list[Json]:
    found: list[Json] = []
    if route.opens is not Opens.NOTHING:
        text = "The strategy's secret in base64; not needed where the strategy has none."
        found.append(header("Strategy-Secret", text))
    if route.creates:
        found.append(idempotency_key("Names the request, so that sending it again creates nothing new."))
    if route.method != "GET":
        found.append(AUDIT_COMMENT)
    return found


def _query(route: Route, example: Json) -> list[Json]:
    if route.query is None:
        return []
    schema = route.query.model_json_schema()
    examples = example.get("query", {})
    return [
        {"name": name, "in": "query", "required": name in schema.get("required", ()), "schema": of}
        | ({"example": _typed(examples[name], of)} if name in examples else {})
        for name, of in schema["properties"].items()
    ]


def _typed(text: str, schema: Json) -> int | str:
    """A parameter of a query as the value its text stands for."""
    return int(text) if schema.get("type") == "integer" else text


def _responses(route: Route, example: Any) -> Json:  # noqa: ANN401 - any JSON value
    created = HTTPStatus.ACCEPTED if route.goes_on else HTTPStatus.CREATED
    statuses = {
        created if route.creates or route.answer == "NewKey" else HTTPStatus.OK,
        *([HTTPStatus.OK] if route.creates else []),
    }
    answers = {
        status: response(status.description or status.phrase, route.answer, example)
        for status in sorted(statuses)
    }
    answers |= {status: _refusal(status) for status in errors_of(route)}
    return {str(status.value): answer for status, answer in answers.items()}


def _refusal(status: HTTPStatus) -> Json:
    return response(_ERRORS[status], "Error", ERROR_EXAMPLES[status])


def _schema(model: type[BaseModel], schemas: Json) -> Json:
    schema = schema_of(model, schemas)
    if "settings" in schema["properties"]:  # which the wire takes as they are, for the domain to read
        schema["properties"]["settings"] = ref("Settings")
    return schema
