"""Make the OpenAPI 3.1 document of a dialect from its routes, at build time and in tests."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from http import HTTPStatus
from inspect import get_annotations
from types import ModuleType
from typing import Any

from msgspec import Struct, field
from pydantic import BaseModel

from shared import __version__
from shared.api.http.errors import ApiError, Occurrence, TooLargeError, UnauthorizedError
from shared.api.http.gateway import Dialect
from shared.api.http.models import MAX_COMMENT_CHARACTERS, MAX_KEY_CHARACTERS
from shared.api.http.pages import PAGES, Page
from shared.api.http.route import Route
from shared.api.reference.schemas import NAMED, SCHEMAS_AT, TEXT, AnswerSchemas, Json, ref
from shared.application.ports import ConnectionLostError, OverloadedError

A_BEARER_KEY: Json = {
    "type": "http",
    "scheme": "bearer",
    "description": (
        "`<keyId>.<secret>` of an access key. At the address for tokens, if the deployment has one: "
        "a token (JWT) of its identity provider."
    ),
}
_PART: Json = {"type": "string", "minLength": 1}
_REPEATABLE = "Identifies the request, so that sending it again creates nothing new."


class Reference(Struct, frozen=True, kw_only=True):
    """The parts of a dialect's document that its routes do not have.

    ``answers`` is the module that declares the answers; ``inputs`` are schemas of bodies without a model.
    ``examples`` has ``path``, ``query``, ``body`` and ``answer`` of each operation by name.
    ``refusals`` are the answers to errors by status, and ``statuses_of`` returns the statuses of a route's errors.
    ``parts`` are the schemas of parts of paths; by default these are strings.
    ``headers_of`` returns the headers of a successful answer, ``schema_of`` the schema of a body's model.
    ``schemes`` and ``security`` describe authentication; ``credential`` is its name in the text about the pages.
    If ``is_typed``, examples of queries are numbers for parameters that are numbers.
    """

    dialect: Dialect
    about: str
    answers: ModuleType
    examples: Mapping[str, Json]
    refusals: Mapping[int, Json]
    statuses_of: Callable[[Route], Iterable[int]]
    schemes: Json
    security: Sequence[Json] = ({"accessKey": []},)
    credential: str = "key"
    inputs: Json = field(default_factory=dict)
    parts: Mapping[str, Json] = field(default_factory=dict)
    idempotency_key: str = _REPEATABLE
    headers_of: Callable[[Route], Json] = lambda _: {}
    schema_of: Callable[[type[BaseModel], Json], Json] | None = None
    is_typed: bool = False


def document_of(reference: Reference) -> Json:
    """Return the whole document, with the pages of the dialect."""
    answers = AnswerSchemas(reference.answers)
    schemas = answers.named() | reference.inputs
    paths: Json = {}
    for route in reference.dialect.routes:
        path = route.path.replace("<", "{").replace(">", "}")
        paths.setdefault(path, {})[route.method.lower()] = _operation(reference, route, schemas, answers)
    failure = reference.refusals[HTTPStatus.INTERNAL_SERVER_ERROR]
    for page in PAGES[reference.dialect.name]:
        paths[page.path] = {"get": _page(page, failure, reference.credential)}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"Ritornello, {reference.dialect.name} dialect",
            "version": __version__,
            "description": reference.about,
        },
        "paths": paths,
        "security": list(reference.security),
        "components": {"schemas": schemas, "securitySchemes": reference.schemes},
    }


def refusals_of(
    dialect: Dialect, at: Occurrence, own: Mapping[int, tuple[str, Exception]]
) -> Mapping[int, Json]:
    """Return the answers to errors by status, with examples from the dialect's own table.

    ``own`` has a description and an error for each status, in addition to those of every dialect.
    """
    rows = {
        HTTPStatus.UNAUTHORIZED: (
            "The request has no valid access key.",
            UnauthorizedError(dialect.routes[0]),
        ),
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE: ("The body is larger than 256 KB.", TooLargeError()),
        HTTPStatus.TOO_MANY_REQUESTS: ("Too many requests; retry later.", OverloadedError()),
        HTTPStatus.SERVICE_UNAVAILABLE: (
            "The database gave no answer; the request may have taken effect, so repeat it.",
            ConnectionLostError(),
        ),
        HTTPStatus.INTERNAL_SERVER_ERROR: (
            "The failure is ours; `errorId` is the id of its log entry.",
            dialect.errors.failure,
        ),
        **own,
    }
    responses: dict[int, Json] = {}
    for status, (text, error) in rows.items():
        refusal = dialect.errors.refusal_of(error)
        # Some dialects answer an error with another status, which is not theirs to describe here.
        if refusal is not None and refusal.status == status:
            headers = {name: {"schema": {"const": value}} for name, value in refusal.headers.items()}
            responses[status] = response(text, _shape_of(refusal), refusal.body(at), headers)
    return responses


def _shape_of(refusal: ApiError) -> str:
    """Return the name of the schema of a refusal's body, from the type that ``body`` returns."""
    name: str = get_annotations(type(refusal).body)["return"].__name__
    return name.removesuffix(NAMED)


def schema_of(model: type[BaseModel], schemas: Json) -> Json:
    """Return the schema of a model, and add the schemas it refers to."""
    schema = model.model_json_schema(ref_template=f"{SCHEMAS_AT}{{model}}")
    schemas |= schema.pop("$defs", {})
    return schema


def response(description: str, shape: str, example: Any, headers: Json | None = None) -> Json:  # noqa: ANN401 - any JSON value
    """Return a response with a JSON body."""
    answer = {"description": description, "content": _content(shape, example)}
    return answer | ({"headers": headers} if headers else {})


def header(name: str, description: str, **bounds: int) -> Json:
    """Return an optional request header."""
    schema = {"type": "string", **bounds}
    return {"name": name, "in": "header", "required": False, "description": description, "schema": schema}


def _operation(reference: Reference, route: Route, schemas: Json, answers: AnswerSchemas) -> Json:
    """Return an operation of the document."""
    # The docstring of the function is the text for clients.
    summary, _, more = (route.operation.__doc__ or "").strip().partition("\n")
    needs = "" if route.role is None else f"Needs the role `{route.role}`."
    # A missing example fails the build.
    example = reference.examples[route.name]
    operation = {
        "operationId": route.name,
        "summary": summary,
        "description": f"{' '.join(more.split())} {needs}".strip(),
        "parameters": [
            *_path(reference, route, example),
            *_headers(reference, route),
            *_query(reference, route, example),
        ],
        "responses": _responses(reference, route, example, answers),
    }
    if route.body is not None:
        operation["requestBody"] = {
            "required": not route.body_is_optional,
            "content": _content(_body(reference, route.body, schemas), example["body"]),
        }
    return operation


def _body(reference: Reference, body: type[BaseModel] | str, schemas: Json) -> str:
    """Return the name of the schema of a body, and add that of a model."""
    if isinstance(body, str):
        return body
    schemas[body.__name__] = (reference.schema_of or schema_of)(body, schemas)
    return body.__name__


def _path(reference: Reference, route: Route, example: Json) -> list[Json]:
    names = [part[1:-1] for part in route.path.split("/") if part.startswith("<")]
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": reference.parts.get(name, _PART),
            "example": example["path"][name],
        }
        for name in names
    ]


def _headers(reference: Reference, route: Route) -> list[Json]:
    headers: list[Json] = []
    if reference.dialect.has_secrets and route.target.has_secret:
        text = "The strategy's secret in base64, if it has one."
        headers.append(header("Strategy-Secret", text))
    if route.is_idempotent:
        bounds = {"minLength": 1, "maxLength": MAX_KEY_CHARACTERS}
        headers.append(header("Idempotency-Key", reference.idempotency_key, **bounds))
    if reference.dialect.has_comments and route.method != "GET":
        why = "The reason, for the audit trail."
        headers.append(header("Audit-Comment", why, maxLength=MAX_COMMENT_CHARACTERS))
    return headers


def _query(reference: Reference, route: Route, example: Json) -> list[Json]:
    if route.query is None:
        return []
    schema = route.query.model_json_schema()
    known, examples = schema.get("$defs", {}), example.get("query", {})
    return [
        {
            "name": name,
            "in": "query",
            "required": name in schema.get("required", ()),
            "schema": _inlined(member, known),
            **({"style": "deepObject", "explode": True} if _is_object(member) else {}),
        }
        | ({"example": _value(examples[name], member, reference)} if name in examples else {})
        for name, member in schema["properties"].items()
    ]


def _is_object(schema: Json) -> bool:
    """Return whether a parameter is an object, whose members are ``name[member]`` in the query."""
    return any(option.get("type") == "object" for option in schema.get("anyOf", (schema,)))


def _inlined(schema: Json, known: Json) -> Json:
    """Return a parameter's schema with the schemas it refers to in place."""
    if "$ref" in schema:
        return {"enum": known[schema["$ref"].rpartition("/")[2]]["enum"]}
    if "anyOf" in schema:
        return {**schema, "anyOf": [_inlined(option, known) for option in schema["anyOf"]]}
    return schema


def _value(text: str, schema: Json, reference: Reference) -> int | str:
    return int(text) if reference.is_typed and schema.get("type") == "integer" else text


def _responses(reference: Reference, route: Route, example: Json, schemas: AnswerSchemas) -> Json:
    answers: Json = {}
    for status in map(HTTPStatus, sorted(route.statuses)):
        headers = reference.headers_of(route)
        answers[str(status.value)] = (
            {"description": status.phrase, "content": {}}
            if route.answer is None
            else response(status.phrase, schemas.name_of(route.answer), example["answer"], headers)
        )
    refused = sorted(reference.statuses_of(route))
    return answers | {str(int(status)): reference.refusals[status] for status in refused}


def _content(shape: str, example: Any) -> Json:  # noqa: ANN401 - any JSON value
    return {"application/json": {"schema": ref(shape), "example": example}}


def _page(page: Page, failure: Json, credential: str) -> Json:
    kind = page.media_type.partition(";")[0]
    shape = {"type": "object"} if kind == "application/json" else TEXT
    return {
        "operationId": page.operation,
        "summary": page.summary,
        "description": f"Needs no {credential}.",
        "security": [],
        "parameters": [],
        "responses": {
            "200": {"description": HTTPStatus.OK.phrase, "content": {kind: {"schema": shape}}},
            "500": failure,
        },
    }
