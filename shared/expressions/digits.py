"""Numbers of JSON data: as an expression sees them, as they leave it, and as text.

Source: docs/expressions.md.
"""

import math
from decimal import Decimal

from shared.expressions.kinds import JsonValue
from shared.expressions.problems import EvaluationError

MAX_EXACT = 2**53
"""Up to here a double tells whole numbers apart."""

_MAX_INT_BITS = 14_000  # about 4,200 digits; from 4,300 on Python refuses to write an integer


def as_data(value: JsonValue) -> JsonValue:
    """Return ``value`` with its integers as floats, because numbers of JSON data are doubles in expressions.

    Integers beyond 2^53 stay, because a double would round them. Booleans stay.
    Raises: EvaluationError: if it is nested too deep.
    Source: docs/expressions.md.
    """
    try:
        return _with_doubles(value)
    except RecursionError:
        raise EvaluationError("the data is nested too deep") from None


def number_out(number: float) -> int | float:
    """Return a whole double as an integer, and any other number unchanged.

    Raises: EvaluationError: if the number is NaN or infinite, or has more digits than can be written.
    """
    if isinstance(number, int):
        if number.bit_length() > _MAX_INT_BITS:
            raise EvaluationError("a number has more than 4,200 digits")
        return number
    if not math.isfinite(number):
        raise EvaluationError("a number of the result is NaN or infinite")
    return int(number) if number.is_integer() and abs(number) <= MAX_EXACT else number


def number_text(number: float) -> str:
    """Return a number in decimal digits, never with an exponent: ``1234567``, ``0.0000001``.

    Raises: EvaluationError: if the number is NaN or infinite.
    """
    text = repr(number_out(number))
    return format(Decimal(text), "f") if "e" in text else text.removesuffix(".0")


def _with_doubles(value: JsonValue) -> JsonValue:
    if isinstance(value, dict):
        return {key: _with_doubles(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_doubles(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool) and -MAX_EXACT <= value <= MAX_EXACT:
        return float(value)
    return value
