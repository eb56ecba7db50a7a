"""Host functions for numbers.

Source: docs/expressions.md.
"""

import math
from decimal import ROUND_HALF_UP, Context, Decimal

_MAX_DIGITS = 15
# Wide enough for the largest double with fifteen decimals.
_EXACT = Context(prec=400, rounding=ROUND_HALF_UP)


def round_half_away(number: float, digits: int) -> float:
    """Return ``number`` rounded to 0 to 15 decimals, halves away from zero.

    It rounds the decimal number as printed, not its binary neighbour: 1.005 to two digits is 1.01.
    """
    _require_finite("round", number)
    if not 0 <= digits <= _MAX_DIGITS:
        raise ValueError(f"round: the digits must be 0 to {_MAX_DIGITS}, not {digits}")
    return float(Decimal(repr(number)).quantize(Decimal(1).scaleb(-digits), context=_EXACT))


def floor(number: float) -> float:
    """Return the largest whole number that is not above ``number``, as a double."""
    _require_finite("floor", number)
    return float(math.floor(number))


def ceil(number: float) -> float:
    """Return the smallest whole number that is not below ``number``, as a double."""
    _require_finite("ceil", number)
    return float(math.ceil(number))


def _require_finite(name: str, number: float) -> None:
    if not math.isfinite(number):
        raise ValueError(f"{name}: the number is NaN or infinite")
