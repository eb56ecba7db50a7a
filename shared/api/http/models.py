"""Read the query, the body and the headers of a request. The first problems are reported at once."""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from shared.api.http.errors import InvalidBodyError, InvalidHeaderError, InvalidQueryError, TooLargeError
from shared.api.http.request import Request
from shared.domain.errors import MAX_PROBLEMS, InvalidInputError, MoreProblems, Problem
from shared.domain.validation.pointers import escaped

MAX_BODY_BYTES = 256 * 1024
"""Larger bodies are refused without being parsed."""

MAX_COMMENT_CHARACTERS = 1000
"""The maximum length of ``Audit-Comment``."""

MAX_KEY_CHARACTERS = 255
"""The maximum length of ``Idempotency-Key``."""

M = TypeVar("M", bound=BaseModel)

_MESSAGES: Mapping[str, tuple[str, str | None]] = {
    "extra_forbidden": ("unknown-field", "is not a known field"),
    "missing": ("required", "is required"),
    "model_type": ("type", "must be a JSON object"),
    "dict_type": ("type", "must be an object"),
    "string_type": ("type", "must be a string"),
    "int_type": ("type", "must be an integer"),
    "int_parsing": ("type", "must be an integer"),
    "int_from_float": ("type", "must be an integer"),
    "literal_error": ("enum", "must be {expected}"),
    "enum": ("enum", "must be {expected}"),
    "which": ("enum", None),
    "string_too_short": ("too-short", "must have {min_length} or more characters"),
    "string_too_long": ("too-long", "must have at most {max_length} characters"),
    "string_pattern_mismatch": ("pattern", "must match {pattern}"),
    "too_short": ("too-short", "must have {min_length} or more entries"),
    "too_long": ("too-long", "must have at most {max_length} entries"),
    "list_type": ("type", "must be a list"),
    "bool_type": ("type", "must be true or false"),
    "greater_than_equal": ("range", "must be at least {ge}"),
    "less_than_equal": ("range", "must be at most {le}"),
}
"""Pydantic's errors as rules and messages of the domain. None keeps the message of an error of ours."""


def read_query(request: Request, model: type[M]) -> M:
    """Return the parameters of the query. Raises: InvalidQueryError."""
    parsed, problems = read_as(model, dict(request.query))
    if parsed is None:
        raise InvalidQueryError(tuple(problems))
    return parsed


def read_model(request: Request, model: type[M], *, optional: bool = False) -> M:
    """Return the body as a model. If ``optional``, no body is an empty object.

    Raises: InvalidBodyError; TooLargeError.
    """
    parsed, problems = read_as(model, read_json(request, optional=optional))
    if parsed is None:
        raise InvalidBodyError(tuple(problems))
    return parsed


def read_json(request: Request, *, optional: bool = False) -> Any:  # noqa: ANN401 - any JSON value
    """Return the body. If ``optional``, no body is an empty object. Raises: InvalidBodyError; TooLargeError."""
    # Commands without options may come without a body, which is not JSON.
    if optional and not request.text:
        return {}
    if len(request.text) > MAX_BODY_BYTES:
        raise TooLargeError
    try:
        return request.json()
    except InvalidInputError as error:
        raise InvalidBodyError(error.problems) from error


def check_key(request: Request) -> None:
    """Check the ``Idempotency-Key`` if there is one. Raises: InvalidHeaderError."""
    key = request.headers.get("idempotency-key")
    if key is not None and not 1 <= len(key) <= MAX_KEY_CHARACTERS:
        raise InvalidHeaderError("Idempotency-Key", f"must have 1 to {MAX_KEY_CHARACTERS} characters")


def check_comment(request: Request) -> None:
    """Check the ``Audit-Comment`` if there is one. Raises: InvalidHeaderError."""
    comment = request.headers.get("audit-comment")
    if comment is not None and len(comment) > MAX_COMMENT_CHARACTERS:
        raise InvalidHeaderError("Audit-Comment", f"must have at most {MAX_COMMENT_CHARACTERS} characters")


def read_as(model: type[M], value: Any) -> tuple[M | None, list[Problem]]:  # noqa: ANN401 - any JSON value
    """Return a JSON value as a model, or None and the first problems if it is not valid."""
    try:
        return model.model_validate(value), []
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
        problems = [_problem(detail) for detail in details[:MAX_PROBLEMS]]
        left_out = len(details) - len(problems)
        return None, [*problems, MoreProblems(count=left_out)] if left_out else problems


def _problem(detail: ErrorDetails) -> Problem:
    rule, message = _MESSAGES.get(detail["type"], (detail["type"], None))
    return Problem(
        pointer="".join(f"/{escaped(str(part))}" for part in detail["loc"]),
        rule=rule,
        message=detail["msg"] if message is None else message.format(**detail.get("ctx", {})),
    )
