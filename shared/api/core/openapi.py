"""The OpenAPI 3.1 document of the core dialect, made from its routes.

It takes time and is made at build time or by tests, never for a request. Source: contracts/core.md.
"""

import json
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from shared import __version__
from shared.api.core.errors import CoreError, failure
from shared.api.core.openapi_settings import SETTINGS_SHAPES
from shared.api.core.openapi_shapes import SHAPES
from shared.api.core.routes import ROUTES, Opens, Route
from shared.api.pages import PAGES, Page
from shared.domain.errors import Problem

Json = dict[str, Any]

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
    schemas: Json = SHAPES | SETTINGS_SHAPES
    examples: Json = json.loads(EXAMPLES_FILE.read_text(encoding="utf-8"))
    paths: Json = {}
    for route in ROUTES:
        path = route.path.replace("<", "{").replace(">", "}")
        paths.setdefault(path, {})[route.method.lower()] = _operation(
            route, schemas, examples[route.operation.__name__]
        )
    paths |= {page.path: {"get": _page(page)} for page in PAGES["core"]}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Ritornello, core dialect", "version": __version__, "description": _ABOUT},
        "paths": paths,
        "security": [{"accessKey": []}],
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "accessKey": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "`<keyId>.<secret>` of an access key.",
                }
            },
        },
    }


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


def _page(page: Page) -> Json:
    kind = page.media_type.partition(";")[0]
    shape = {"type": "object"} if kind == "application/json" else {"type": "string"}
    broken = HTTPStatus.INTERNAL_SERVER_ERROR
    return {
        "operationId": page.operation,
        "summary": page.summary,
        "description": "Open to everybody, without a key.",
        "security": [],
        "parameters": [],
        "responses": {
            "200": {"description": HTTPStatus.OK.phrase, "content": {kind: {"schema": shape}}},
            str(broken.value): _response(_ERRORS[broken], "Error", ERROR_EXAMPLES[broken]),
        },
    }


def _operation(route: Route, schemas: Json, example: Json) -> Json:
    summary, _, more = (route.operation.__doc__ or "").strip().partition("\n")
    operation: Json = {
        "operationId": route.operation.__name__,
        "summary": summary,
        "description": f"{' '.join(more.split())} Needs the role `{route.role}`.".strip(),
        "parameters": [*_path(route, example), *_headers(route), *_query(route, example)],
        "responses": _responses(route, example["answer"]),
    }
    if route.body is not None:
        name = route.body.__name__
        schemas[name] = _schema(route.body, schemas)
        operation["requestBody"] = {
            "required": not route.body_is_optional,
            "content": _json(name, example["body"]),
        }
    return operation


def _json(shape: str, example: Any) -> Json:  # noqa: ANN401 - any JSON value
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{shape}"}, "example": example}}


def _response(description: str, shape: str, example: Any) -> Json:  # noqa: ANN401 - any JSON value
    return {"description": description, "content": _json(shape, example)}


def _path(route: Route, example: Json) -> list[Json]:
    text: Json = {"type": "string", "minLength": 1}
    names = [part[1:-1] for part in route.path.split("/") if part.startswith("<")]
    return [
        {"name": name, "in": "path", "required": True, "schema": text, "example": example["path"][name]}
        for name in names
    ]


def _headers(route: Route) -> list[Json]:
    found: list[Json] = []
    if route.opens is not Opens.NOTHING:
        text = "The strategy's secret in base64; not needed where the strategy has none."
        found.append(_header("Strategy-Secret", text))
    if route.creates:
        text = "Names the request, so that sending it again creates nothing new."
        found.append(_header("Idempotency-Key", text, minLength=1, maxLength=255))
    if route.method != "GET":
        found.append(_header("Audit-Comment", "Why it is done, for the audit trail.", maxLength=1000))
    return found


def _header(name: str, description: str, **bounds: int) -> Json:
    schema = {"type": "string", **bounds}
    return {"name": name, "in": "header", "required": False, "description": description, "schema": schema}


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
        status: _response(status.description or status.phrase, route.answer, example)
        for status in sorted(statuses)
    }
    answers |= {
        status: _response(_ERRORS[status], "Error", ERROR_EXAMPLES[status]) for status in errors_of(route)
    }
    return {str(status.value): answer for status, answer in answers.items()}


def _schema(model: type[BaseModel], schemas: Json) -> Json:
    schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas |= schema.pop("$defs", {})
    if "settings" in schema["properties"]:  # which the wire takes as they are, for the domain to read
        schema["properties"]["settings"] = {"$ref": "#/components/schemas/Settings"}
    return schema
