"""Reading what a request holds into a model, with every problem at once."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from shared.domain.errors import Problem
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


def read_as(model: type[M], value: Any) -> tuple[M | None, list[Problem]]:  # noqa: ANN401 - any JSON value
    """A JSON value as a model, or what keeps it from being one."""
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
