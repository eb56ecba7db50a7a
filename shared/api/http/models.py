"""Read the query, the body and the headers of a request, and report every problem at once."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from shared.api.http.errors import InvalidBodyError, InvalidHeaderError, InvalidQueryError, TooLargeError
from shared.api.http.request import Request
from shared.domain.errors import InvalidInputError, Problem
from shared.domain.validation.jtd_schema import escaped

MAX_BODY_BYTES = 256 * 1024
"""A larger body is refused unread."""

MAX_COMMENT_CHARACTERS = 1000
"""The longest ``Audit-Comment``."""

MAX_KEY_CHARACTERS = 255
"""The longest ``Idempotency-Key``."""

M = TypeVar("M", bound=BaseModel)

_RULES: Mapping[str, str] = {
    "extra_forbidden": "unknown-field",
    "missing": "required",
    "model_type": "type",
    "dict_type": "type",
    "string_type": "type",
    "int_type": "type",
    "int_parsing": "type",
    "int_from_float": "type",
    "literal_error": "enum",
    "which": "enum",
    "string_too_short": "too-short",
    "string_too_long": "too-long",
    "string_pattern_mismatch": "pattern",
    "too_short": "too-short",
    "too_long": "too-long",
    "list_type": "type",
    "bool_type": "type",
    "greater_than_equal": "range",
    "less_than_equal": "range",
}
"""Pydantic's rules by the names that the domain gives the same ones."""


def read_query(request: Request, model: type[M]) -> M:
    """Return the parameters of the query. Raises: InvalidQueryError."""
    parsed, problems = read_as(model, dict(request.query))
    if parsed is None:
        raise InvalidQueryError(tuple(problems))
    return parsed


def read_model(request: Request, model: type[M], *, optional: bool = False) -> M:
    """Return the body as a model. optional: as for ``read_json``. Raises: InvalidBodyError; TooLargeError."""
    parsed, problems = read_as(model, read_json(request, optional=optional))
    if parsed is None:
        raise InvalidBodyError(tuple(problems))
    return parsed


def read_json(request: Request, *, optional: bool = False) -> Any:  # noqa: ANN401 - any JSON value
    """Return the body. optional: no body is an empty object. Raises: InvalidBodyError; TooLargeError."""
    if optional and not request.text:
        return {}
    if len(request.text) > MAX_BODY_BYTES:
        raise TooLargeError
    try:
        return request.json()
    except InvalidInputError as error:
        raise InvalidBodyError(error.problems) from error


def check_key(request: Request) -> None:
    """Check the Idempotency-Key, if there is one. Raises: InvalidHeaderError."""
    key = request.headers.get("idempotency-key")
    if key is not None and not 1 <= len(key) <= MAX_KEY_CHARACTERS:
        raise InvalidHeaderError("Idempotency-Key", f"takes 1 to {MAX_KEY_CHARACTERS} characters")


def check_comment(request: Request) -> None:
    """Check the Audit-Comment, if there is one. Raises: InvalidHeaderError."""
    comment = request.headers.get("audit-comment")
    if comment is not None and len(comment) > MAX_COMMENT_CHARACTERS:
        raise InvalidHeaderError("Audit-Comment", f"takes at most {MAX_COMMENT_CHARACTERS} characters")


def read_as(model: type[M], value: Any) -> tuple[M | None, list[Problem]]:  # noqa: ANN401 - any JSON value
    """Return a JSON value as a model, or None and what keeps it from being one."""
    try:
        return model.model_validate(value), []
    except ValidationError as error:
        return None, _problems(error.errors(include_url=False, include_context=False, include_input=False))


def _problems(details: Sequence[ErrorDetails]) -> list[Problem]:
    return [
        Problem(
            pointer="".join(f"/{escaped(str(part))}" for part in detail["loc"]),
            rule=_RULES.get(detail["type"], detail["type"]),
            message="must be a JSON object" if detail["type"] == "model_type" else detail["msg"],
        )
        for detail in details
    ]
