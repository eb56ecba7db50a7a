"""Read the query, the body and the headers of a request. The first problems are reported at once."""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from shared.api.http.errors import InvalidBodyError, InvalidHeaderError, InvalidQueryError, TooLargeError
from shared.api.http.request import Request
from shared.domain.errors import MAX_PROBLEMS, InvalidInputError, MoreProblems, Problem
from shared.domain.strategy.parse_limits import unreadable
from shared.domain.validation.pointers import escaped
from shared.domain.validation.texts import text_fault

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


class NoMembers(BaseModel):
    """The body or the query of an operation that takes none."""

    model_config = ConfigDict(extra="forbid", strict=True, defer_build=True)


def check_query(request: Request) -> None:
    """Check that the query has only texts that can be used. Raises: InvalidQueryError."""
    faults = ((name, text_fault(name) or text_fault(value)) for name, value in request.query.items())
    problems = [
        Problem(pointer=f"/{escaped(name)}", rule="text", message=fault)
        for name, fault in faults
        if fault is not None
    ]
    if problems:
        raise InvalidQueryError(problems)


def read_query(request: Request, model: type[M]) -> M:
    """Return the parameters of the query. Raises: InvalidQueryError."""
    parsed, problems = read_as(model, dict(request.query))
    if parsed is None:
        raise InvalidQueryError(problems)
    return parsed


def read_model(request: Request, model: type[M], *, optional: bool = False) -> M:
    """Return the body as a model. If ``optional``, no body is an empty object.

    Raises: InvalidBodyError; TooLargeError.
    """
    return check_members(read_json(request, optional=optional), model)


def check_members(value: Any, model: type[M]) -> M:  # noqa: ANN401 - any JSON value
    """Return a body as a model. Raises: InvalidBodyError."""
    parsed, problems = read_as(model, value)
    if parsed is None:
        raise InvalidBodyError(problems)
    return parsed


def read_json(request: Request, *, optional: bool = False) -> Any:  # noqa: ANN401 - any JSON value
    """Return the body. If ``optional``, no body is an empty object.

    Values that cannot be stored or evaluated are refused here, before any operation takes them.
    Raises: InvalidBodyError; TooLargeError.
    """
    value = read_any_json(request, optional=optional)
    problems = unreadable(value, "")
    if problems:
        raise InvalidBodyError(problems)
    return value


def read_any_json(request: Request, *, optional: bool = False) -> Any:  # noqa: ANN401 - any JSON value
    """Return the body, like ``read_json``, but also if it has values that cannot be stored."""
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
    _check_text("Idempotency-Key", key)


def check_comment(request: Request) -> None:
    """Check the ``Audit-Comment`` if there is one. Raises: InvalidHeaderError."""
    comment = request.headers.get("audit-comment")
    if comment is not None and len(comment) > MAX_COMMENT_CHARACTERS:
        raise InvalidHeaderError("Audit-Comment", f"must have at most {MAX_COMMENT_CHARACTERS} characters")
    _check_text("Audit-Comment", comment)


def _check_text(header: str, text: str | None) -> None:
    fault = None if text is None else text_fault(text)
    if fault is not None:
        raise InvalidHeaderError(header, fault)


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
