"""JSON as it should have been: repeated member names, NaN and broken text are refused."""

import json
from typing import Any, NoReturn

from shared.domain.errors import InvalidInputError, Problem


def strict_json(text: bytes) -> Any:  # noqa: ANN401 - any JSON value
    """The value a JSON text stands for.

    Raises: InvalidInputError: it is no JSON, holds a number JSON does not know, or names a member twice.
    """
    try:
        return json.loads(text, object_pairs_hook=_members, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise InvalidInputError(
            (Problem(pointer="", rule="json", message=f"is not JSON: {error}"),)
        ) from error


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
