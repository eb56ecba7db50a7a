"""Conversion between plain Python and CEL values."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from shared.expressions.host_dates import iso_date
from shared.expressions.kinds import JsonValue, Variables, VariableType
from shared.expressions.limits import MAX_CONTEXT_BYTES, MAX_RESULT_BYTES
from shared.expressions.problems import EvaluationError

_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
# Beyond it a double no longer tells whole numbers apart.
_EXACT_INTEGERS = 2.0**53
_FEW_BYTES = 8


class CelValue(Protocol):
    """A value of the CEL library; ``value()`` converts only the outermost layer."""

    def type(self) -> Any:  # noqa: ANN401 - a type of the library, which has no stubs
        """Return the run-time type."""

    def value(self) -> Any:  # noqa: ANN401 - plain for scalars, else a list or dict of more of these
        """Return a plain value for scalars, or a list or dict of further CelValues."""


def as_data(value: JsonValue) -> JsonValue:
    """Return ``value`` with every integer as a float, because numbers of JSON data are doubles in expressions.

    Booleans stay. An integer that is too large for a double becomes infinite, and is refused if it is used.
    Raises: EvaluationError: if it is nested too deep.
    Source: docs/expressions.md.
    """
    try:
        return _with_doubles(value)
    except RecursionError:
        raise EvaluationError("the data is nested too deep") from None


def _with_doubles(value: JsonValue) -> JsonValue:
    if isinstance(value, dict):
        return {key: _with_doubles(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_doubles(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            return math.inf if value > 0 else -math.inf
    return value


@dataclass(frozen=True, slots=True)
class Bindings:
    """The values of variables in the form the library takes, and their size as JSON."""

    values: dict[str, object]
    size: int


def to_bindings(context: Mapping[str, object], *, variables: Variables) -> Bindings:
    """Return the values of the declared variables in the form the CEL library takes.

    A variable without a value stays unbound.
    Raises: EvaluationError: if the context is too large, too deep or not JSON, or a text contains a NUL character.
    """
    dates: dict[str, object] = {}
    plain: dict[str, object] = {}
    for name, kind in variables.items():
        if name in context:
            value = context[name]
            is_date = kind is VariableType.TIMESTAMP and isinstance(value, datetime)
            (dates if is_date else plain)[name] = value
    # JSON measures and copies the context, leaves only plain types (the library refuses subclasses), and writes
    # datetimes inside maps as ISO texts.
    text, size = _encoded(plain)
    if any(date.tzinfo is None for date in dates.values() if isinstance(date, datetime)):
        raise EvaluationError("a date of the context has no time zone")
    return Bindings(json.loads(text) | dates, size)


def _encoded(plain: dict[str, object]) -> tuple[str, int]:
    """Return the JSON text and its size in bytes."""
    try:
        text = _encode(plain)
        size = len(text) if text.isascii() else len(text.encode())
    except (TypeError, ValueError, RecursionError) as error:
        raise EvaluationError(f"the context is not JSON: {error}") from error
    if size > MAX_CONTEXT_BYTES:
        raise EvaluationError(f"the context is larger than {MAX_CONTEXT_BYTES} bytes")
    if "\\u0000" in text and _NUL.search(text):
        raise EvaluationError("the context holds a text with a NUL character")
    return text, size


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


class Meter:
    """The number of bytes (as JSON, approximately) that the result may still take, shared by all of its parts."""

    def __init__(self) -> None:
        self._remaining = MAX_RESULT_BYTES

    def take(self, size: int) -> None:
        """Count ``size`` bytes. Raises: EvaluationError: if the result has become too large."""
        self._remaining -= size
        if self._remaining < 0:
            raise EvaluationError(f"the result is larger than {MAX_RESULT_BYTES} bytes")

    def text(self, text: str) -> str:
        """Count a text and return it."""
        self.take(2 + (len(text) if text.isascii() else len(text.encode(errors="replace"))))
        return text


def number_out(number: float) -> int | float:
    """Return a whole double as an integer, and any other number unchanged.

    Raises: EvaluationError: if the number is NaN or infinite.
    """
    if not math.isfinite(number):
        raise EvaluationError("a number of the result is NaN or infinite")
    return int(number) if number.is_integer() and abs(number) <= _EXACT_INTEGERS else number


def to_json(value: CelValue, meter: Meter) -> JsonValue:
    """Return a CEL value in plain Python, maps sorted by key, dates as ISO texts in UTC.

    Raises: EvaluationError: if it contains an error value, has no JSON form, or is too large.
    """
    # Layer by layer and measured: values that share memory in CEL can be huge when written out.
    kind = value.type().name().partition("<")[0]
    plain = value.value()
    match kind:
        case "STRING":
            return meter.text(str(plain))
        case "LIST":
            meter.take(2)
            return [to_json(item, meter) for item in plain]
        case "MAP":
            meter.take(2)
            return {meter.text(key): to_json(plain[key], meter) for key in _sorted_keys(plain)}
        case "TIMESTAMP":
            return meter.text(iso_date(plain))
    meter.take(_FEW_BYTES)
    match kind:
        case "DOUBLE":
            return number_out(plain)
        case "BOOL" | "INT" | "UINT" | "NULL":
            scalar: JsonValue = plain
            return scalar
    raise EvaluationError(str(plain) if kind == "ERROR" else f"a {kind.lower()} has no JSON form")


def _sorted_keys(plain: Mapping[object, CelValue]) -> list[str]:
    keys = [key for key in plain if isinstance(key, str)]
    if len(keys) != len(plain):
        raise EvaluationError("a key of a map is not text")
    return sorted(keys)


def to_datetime(value: CelValue) -> datetime:
    """Return a CEL timestamp as an aware datetime in UTC."""
    plain: datetime = value.value()
    return plain.astimezone(UTC)


def data_out(value: object, meter: Meter) -> JsonValue:
    """Return a value of the context as JSON: whole doubles as integers, datetimes as ISO texts.

    Raises: EvaluationError: if it has no JSON form, or is too large.
    """
    if isinstance(value, str):
        return meter.text(str(value))
    if isinstance(value, Mapping):
        meter.take(2)
        return {meter.text(str(key)): data_out(item, meter) for key, item in value.items()}
    if isinstance(value, list):
        meter.take(2)
        return [data_out(item, meter) for item in value]
    if isinstance(value, datetime):
        return meter.text(iso_date(value))
    meter.take(_FEW_BYTES)
    if isinstance(value, float):
        return number_out(value)
    if value is None or isinstance(value, int):
        return value
    raise EvaluationError(f"a {type(value).__name__} has no JSON form")
