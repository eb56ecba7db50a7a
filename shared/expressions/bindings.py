"""The values of variables on their way to the evaluator, as JSON.

A whole number beyond 2^53 is an integer in JSON and a *marker* in CEL: a map with the integer key 0 and the digits.
CEL has no arithmetic and no order for maps, so such a number can only be compared, passed on and written as text. Keys
of JSON data are texts, so data cannot contain a marker.
Source: docs/expressions.md.
"""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime

from msgspec import Struct

from shared.expressions.digits import MAX_EXACT
from shared.expressions.host_dates import iso_date
from shared.expressions.kinds import Variables, VariableType
from shared.expressions.limits import MAX_CONTEXT_BYTES
from shared.expressions.problems import EvaluationError

_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
_MANY_DIGITS = re.compile(r"[0-9]{16}")
_DIGITS = re.compile(r"-?[0-9]{16,4300}")


class Bindings(Struct, frozen=True):
    """The values of variables in the form the library takes, their size as JSON, and whether any is a marker."""

    values: dict[str, object]
    size: int
    has_markers: bool = False


def encode_context(context: Mapping[str, object], *, variables: Variables, names: frozenset[str]) -> bytes:
    """Return the values of the named variables as JSON. A variable without a value stays unbound.

    Raises: EvaluationError: if they are too large, too deep or not JSON, or a text contains a NUL character.
    """
    dates: dict[str, object] = {}
    plain: dict[str, object] = {}
    for name in names & context.keys():
        value, kind = context[name], variables.get(name)
        if kind is VariableType.TIMESTAMP and isinstance(value, datetime):
            if value.tzinfo is None:
                raise EvaluationError("a date of the context has no time zone")
            dates[name] = value.astimezone(UTC).isoformat()
        elif kind is not None:
            plain[name] = value
    try:
        text = _encode([plain, dates]).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise EvaluationError(f"the context is not JSON: {error}") from error
    if len(text) > MAX_CONTEXT_BYTES:
        raise EvaluationError(f"the context is larger than {MAX_CONTEXT_BYTES} bytes")
    # The library would cut a text off at the NUL.
    if b"\\u0000" in text and _NUL.search(text.decode()):
        raise EvaluationError("the context holds a text with a NUL character")
    return text


def decode_context(text: str) -> Bindings:
    """Return the bindings of an encoded context."""
    markers: list[dict[int, str]] = []

    def whole(digits: str) -> object:
        number = int(digits)
        if -MAX_EXACT <= number <= MAX_EXACT:
            return number
        markers.append(marker(digits))
        return markers[-1]

    # The hook is a Python call for each number, so it is used only if it can find something.
    plain, dates = json.loads(text, parse_int=whole if _MANY_DIGITS.search(text) else None)
    values = plain | {name: datetime.fromisoformat(date) for name, date in dates.items()}
    return Bindings(values, len(text), bool(markers))


def marker(digits: str) -> dict[int, str]:
    """Return the marker of a whole number beyond 2^53."""
    return {0: digits}


def marked_digits(value: Mapping[object, object]) -> str | None:
    """Return the digits if a map in plain Python is a marker, else None."""
    key, text = next(iter(value.items()), (None, None))
    is_marker = len(value) == 1 and type(key) is int and key == 0 and isinstance(text, str)
    return text if is_marker and isinstance(text, str) and _DIGITS.fullmatch(text) else None


def _not_json(value: object) -> object:
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError("a date has no time zone")
        return iso_date(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


_encode = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_not_json
).encode
