"""JSON as it should have been: repeated member names, NaN, infinities and broken text are refused."""

import json
import math
from typing import Any, NoReturn

from shared.domain.errors import InvalidInputError, Problem


def strict_json(text: bytes, *, last_wins: str | None = None) -> Any:  # noqa: ANN401 - any JSON value
    """The value a JSON text stands for.

    last_wins: a member of the outermost object, an object in which a name may come twice: the last one counts.
    Raises: InvalidInputError: it is no JSON, holds a number JSON or a double does not know, or names a member
    twice.
    """
    repeats: list[tuple[dict[str, Any], str]] = []  # holds the objects, so that no other takes their identity

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, member in pairs:
            if name in found:
                repeats.append((found, name))
            found[name] = member
        return found

    try:
        value = json.loads(text, object_pairs_hook=members, parse_constant=_no_constant, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise InvalidInputError(
            (Problem(pointer="", rule="json", message=f"is not JSON: {error}"),)
        ) from error
    spared = value.get(last_wins) if last_wins is not None and isinstance(value, dict) else None
    for within, name in repeats:
        if within is not spared:
            problem = Problem(pointer="", rule="repeated-member", message=f"names the member {name!r} twice")
            raise InvalidInputError((problem,))
    return value


def canonical(value: Any) -> str:  # noqa: ANN401 - any JSON value
    """A JSON value as one text, whatever the order and spacing it was sent in."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON value")


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"{text[:40]} is beyond what a number can hold")
    return value
