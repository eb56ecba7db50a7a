"""Strict JSON: repeated member names, NaN, infinities and invalid UTF-8 are refused."""

import json
import math
from typing import Any, NoReturn

from shared.domain.errors import InvalidInputError, Problem


def strict_json(text: bytes, *, last_wins: str | None = None) -> Any:  # noqa: ANN401 - any JSON value
    """Return the value of a JSON text.

    ``last_wins`` names a member of the outermost object. If it is an object, names may repeat in it; the last counts.
    Raises: InvalidInputError: if the text is not JSON, has a number that a double cannot hold, or repeats a name.
    """
    repeats: list[
        tuple[dict[str, Any], str]
    ] = []  # keeps the objects alive, so that none reuses another's identity

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, member in pairs:
            if name in found:
                repeats.append((found, name))
            found[name] = member
        return found

    try:
        # Python accepts NaN and infinities, rounds 1e999 to infinity, and fails on deep nesting.
        value = json.loads(text, object_pairs_hook=members, parse_constant=_no_constant, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise InvalidInputError(
            (Problem(pointer="", rule="json", message=f"is not JSON: {error}"),)
        ) from error
    spared = value.get(last_wins) if last_wins is not None and isinstance(value, dict) else None
    for within, name in repeats:
        if within is not spared:
            problem = Problem(pointer="", rule="repeated-member", message=f"repeats the member {name!r}")
            raise InvalidInputError((problem,))
    return value


def canonical(value: Any) -> str:  # noqa: ANN401 - any JSON value
    """Return a JSON value as text that does not depend on the order and spacing in which it was sent."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON value")


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"{text[:40]} is too large for a number")
    return value
