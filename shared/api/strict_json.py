"""JSON as it should have been: repeated member names, NaN, infinities and broken text are refused."""

import json
import math
from typing import Any, NoReturn

from shared.domain.errors import InvalidInputError, Problem


def strict_json(text: bytes) -> Any:  # noqa: ANN401 - any JSON value
    """The value a JSON text stands for.

    Raises: InvalidInputError: it is no JSON, holds a number JSON or a double does not know, or names a member
    twice.
    """
    try:
        return json.loads(text, object_pairs_hook=_members, parse_constant=_no_constant, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise InvalidInputError(
            (Problem(pointer="", rule="json", message=f"is not JSON: {error}"),)
        ) from error


def canonical(value: Any) -> str:  # noqa: ANN401 - any JSON value
    """A JSON value as one text, whatever the order and spacing it was sent in."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            problem = Problem(pointer="", rule="repeated-member", message=f"names the member {name!r} twice")
            raise InvalidInputError((problem,))
        found[name] = value
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON value")


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"{text[:40]} is beyond what a number can hold")
    return value
