"""What the OpenAPI 3.1 documents of all dialects are made of: schemas in short, parameters, operations.

They are made at build time or by tests, never for a request.
"""

from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel

from shared import __version__
from shared.api.http.models import MAX_COMMENT_CHARACTERS, MAX_KEY_CHARACTERS
from shared.api.http.pages import PAGES, Page
from shared.domain.access import Role

Json = dict[str, Any]

TEXT: Json = {"type": "string"}
WHOLE: Json = {"type": "integer"}
FLAG: Json = {"type": "boolean"}
A_BEARER_KEY: Json = {
    "type": "http",
    "scheme": "bearer",
    "description": "`<keyId>.<secret>` of an access key.",
}
_SHAPES = "#/components/schemas/"


def ref(name: str) -> Json:
    """A shape by its name."""
    return {"$ref": f"{_SHAPES}{name}"}


def list_of(items: Json) -> Json:
    """A list of these."""
    return {"type": "array", "items": items}


def one_of(values: Iterable[StrEnum]) -> Json:
    """One of the values of an enumeration, or of some of them."""
    return {"enum": [value.value for value in values]}


def object_of(needed: Json, **optional: Json) -> Json:
    """An object with these members and no others. needed: those that are always there."""
    return {**open_object_of(needed, **optional), "additionalProperties": False}


def open_object_of(needed: Json, **optional: Json) -> Json:
    """An object with these members at least. needed: those that are always there."""
    return {"type": "object", "properties": needed | optional, "required": list(needed)}


def schema_of(model: type[BaseModel], schemas: Json) -> Json:
    """What a body is read as; what its schema refers to goes to ``schemas``."""
    schema = model.model_json_schema(ref_template=f"{_SHAPES}{{model}}")
    schemas |= schema.pop("$defs", {})
    return schema


def content(shape: str, example: Any) -> Json:  # noqa: ANN401 - any JSON value
    """JSON of a shape."""
    return {"application/json": {"schema": ref(shape), "example": example}}


def response(description: str, shape: str, example: Any) -> Json:  # noqa: ANN401 - any JSON value
    """An answer in JSON."""
    return {"description": description, "content": content(shape, example)}


def names_in(path: str) -> list[str]:
    """The names of a route's path, in their order."""
    return [part[1:-1] for part in path.split("/") if part.startswith("<")]


def in_path(name: str, schema: Json, example: str) -> Json:
    """A part of a path."""
    return {"name": name, "in": "path", "required": True, "schema": schema, "example": example}


def header(name: str, description: str, **bounds: int) -> Json:
    """A header that may be sent."""
    schema = {"type": "string", **bounds}
    return {"name": name, "in": "header", "required": False, "description": description, "schema": schema}


def idempotency_key(description: str) -> Json:
    """The header of what creates something."""
    return header("Idempotency-Key", description, minLength=1, maxLength=MAX_KEY_CHARACTERS)


_WHY = "Why it is done, for the audit trail."
AUDIT_COMMENT = header("Audit-Comment", _WHY, maxLength=MAX_COMMENT_CHARACTERS)
"""The header of what changes something."""


def operation_of(
    does: Callable[..., object],
    *,
    role: Role | None,
    parameters: Sequence[Json],
    responses: Json,
    name: str | None = None,
) -> Json:
    """An operation; its texts are those of the function behind it. role: None where nobody needs one."""
    summary, _, more = (does.__doc__ or "").strip().partition("\n")
    needs = "" if role is None else f"Needs the role `{role}`."
    return {
        "operationId": name or does.__name__,
        "summary": summary,
        "description": f"{' '.join(more.split())} {needs}".strip(),
        "parameters": list(parameters),
        "responses": responses,
    }


def document_of(
    dialect: str,
    about: str,
    *,
    operations: Iterable[tuple[str, str, Json]],
    schemas: Json,
    broken: Json,
    schemes: Json,
    security: Sequence[Json] = ({"accessKey": []},),
    shown: str = "a key",
) -> Json:
    """The whole document, with the pages of the dialect.

    operations: method, path with its names in ``<>``, and what ``operation_of`` made. broken: the answer where
    something fails on our side. schemes: of security. shown: what nobody needs to show for the pages.
    """
    paths: Json = {}
    for method, path, operation in operations:
        paths.setdefault(path.replace("<", "{").replace(">", "}"), {})[method.lower()] = operation
    paths |= {page.path: {"get": _page(page, broken, shown)} for page in PAGES[dialect]}
    return {
        "openapi": "3.1.0",
        "info": {"title": f"Ritornello, {dialect} dialect", "version": __version__, "description": about},
        "paths": paths,
        "security": list(security),
        "components": {"schemas": schemas, "securitySchemes": schemes},
    }


def _page(page: Page, broken: Json, shown: str) -> Json:
    kind = page.media_type.partition(";")[0]
    shape = {"type": "object"} if kind == "application/json" else TEXT
    return {
        "operationId": page.operation,
        "summary": page.summary,
        "description": f"Open to everybody, without {shown}.",
        "security": [],
        "parameters": [],
        "responses": {
            "200": {"description": HTTPStatus.OK.phrase, "content": {kind: {"schema": shape}}},
            "500": broken,
        },
    }
