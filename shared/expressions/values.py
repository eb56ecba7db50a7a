"""Conversion of CEL values to plain Python, and the limit on the size of a result."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

from shared.expressions.bindings import marked_digits
from shared.expressions.digits import number_out
from shared.expressions.host_dates import iso_date
from shared.expressions.kinds import JsonValue, ResultType, Value
from shared.expressions.limits import MAX_RESULT_BYTES
from shared.expressions.problems import EvaluationError

_KINDS = {ResultType.BOOL: "BOOL", ResultType.TIMESTAMP: "TIMESTAMP", ResultType.MAP: "MAP"}
_FEW_BYTES = 8


class CelValue(Protocol):
    """A value of the CEL library; ``value()`` converts only the outermost layer."""

    def type(self) -> Any:  # noqa: ANN401 - a type of the library, which has no stubs
        """Return the run-time type."""

    def value(self) -> Any:  # noqa: ANN401 - plain for scalars, else a list or dict of more of these
        """Return a plain value for scalars, or a list or dict of further CelValues."""


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


def converted(value: CelValue, returns: ResultType, meter: Meter) -> Value:
    """Return a CEL value in plain Python if it has the required type.

    Raises: EvaluationError: if it has another type or no plain form, or is too large.
    """
    kind = value.type().name().partition("<")[0]
    if returns is not ResultType.ANY and kind != _KINDS[returns]:
        raise EvaluationError(f"this must return {returns}, it returned {kind.lower()}")
    if kind == "TIMESTAMP":
        return to_datetime(value)
    try:
        plain = to_json(value, meter)
    except RecursionError:
        raise EvaluationError("the result is nested too deep") from None
    if returns is ResultType.MAP and isinstance(plain, int):
        raise EvaluationError("this must return map, it returned a number")
    return plain


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
            return _map_to_json(plain, meter)
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


def _map_to_json(plain: Mapping[object, CelValue], meter: Meter) -> JsonValue:
    """Return a map with text keys, or the number that a marker stands for."""
    digits = marked_digits({key: item.value() for key, item in plain.items()}) if len(plain) == 1 else None
    if digits is not None:
        meter.take(len(digits))
        return int(digits)
    meter.take(2)
    return {meter.text(key): to_json(plain[key], meter) for key in _sorted_keys(plain)}


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
    """Return a value of the context as JSON: whole doubles up to 2^53 as integers, datetimes as ISO texts.

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
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return number_out(value)
    raise EvaluationError(f"a {type(value).__name__} has no JSON form")
