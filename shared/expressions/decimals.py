"""Host functions for exact decimal numbers, such as amounts of money, and for numbers as text.

Decimal numbers are texts such as ``12.30``: at most 50 digits before and after the point.
Source: docs/expressions.md.
"""

import re
from decimal import ROUND_HALF_UP, Context, Decimal
from functools import lru_cache

from shared.expressions.bindings import marked_digits
from shared.expressions.digits import number_text
from shared.expressions.problems import EvaluationError

MAX_DIGITS = 50
_MAX_ROUNDED = 20
_NUMBER = re.compile(r"[+-]?[0-9]{1,50}(?:\.[0-9]{1,50})?")
_PATTERN = re.compile(r"(?P<grouped>#,##)?(?P<least>0{1,20})(?:\.(?P<decimals>0{1,20}))?")
# Wide enough for the product of two numbers, and for the largest double with 20 decimals.
_EXACT = Context(prec=400, rounding=ROUND_HALF_UP)


def add(first: str, second: str) -> str:
    """Return the sum: ``decAdd('12.30', '0.1')`` is ``12.40``."""
    return _written("decAdd", _EXACT.add(_read("decAdd", first), _read("decAdd", second)))


def subtract(first: str, second: str) -> str:
    """Return the difference: ``decSub('12.30', '0.1')`` is ``12.20``."""
    return _written("decSub", _EXACT.subtract(_read("decSub", first), _read("decSub", second)))


def multiply(first: str, second: str) -> str:
    """Return the product with all of its decimals: ``decMul('12.30', '1.21')`` is ``14.8830``."""
    return _written("decMul", _EXACT.multiply(_read("decMul", first), _read("decMul", second)))


def divide(first: str, second: str, digits: int) -> str:
    """Return the quotient, rounded to 0 to 20 decimals, halves away from zero."""
    divisor = _read("decDiv", second)
    if not divisor:
        raise ValueError("decDiv: the divisor is zero")
    return _written("decDiv", _rounded("decDiv", _EXACT.divide(_read("decDiv", first), divisor), digits))


def round_to(number: str, digits: int) -> str:
    """Return the number rounded to 0 to 20 decimals, halves away from zero: ``decRound('2.345', 2)`` is ``2.35``."""
    return _written("decRound", _rounded("decRound", _read("decRound", number), digits))


def compare(first: str, second: str) -> int:
    """Return -1, 0 or 1 if the first number is less than, equal to or greater than the second."""
    one, other = _read("decCompare", first), _read("decCompare", second)
    return (one > other) - (one < other)


def format_number(number: object, pattern: str) -> str:
    """Return a number by a pattern: ``0.00``, ``#,##0.00``, ``000``; rounded, halves away from zero.

    ``number`` is a double, an int, a decimal number as text, or the marker of a whole number beyond 2^53.
    """
    grouped, least, decimals = _number_pattern(pattern)
    rounded = _rounded("formatNumber", _decimal(number), decimals)
    whole, _, fraction = format(abs(rounded), "f").partition(".")
    whole = whole.zfill(least)
    if grouped:
        whole = f"{int(whole):,}".rjust(least, "0")
    sign = "-" if rounded < 0 else ""
    return f"{sign}{whole}.{fraction}" if fraction else f"{sign}{whole}"


def check_number_pattern(pattern: str) -> None:
    """Return if it is a pattern of ``formatNumber``. Raises: ValueError."""
    _number_pattern(pattern)


@lru_cache(maxsize=128)
def _number_pattern(pattern: str) -> tuple[bool, int, int]:
    """Return whether thousands are separated, the least digits before the point, and the digits after it."""
    match = _PATTERN.fullmatch(pattern)
    if match is None or (match["grouped"] and len(match["least"]) > 1):
        raise ValueError(f"formatNumber: {pattern[:64]!r} is not a pattern such as 0, 0.00 or #,##0.00")
    return match["grouped"] is not None, len(match["least"]), len(match["decimals"] or "")


def _decimal(number: object) -> Decimal:
    if isinstance(number, str):
        return _read("formatNumber", number)
    if isinstance(number, dict):
        digits = marked_digits(number)
        if digits is None:
            raise ValueError("formatNumber: a map is not a number")
        return Decimal(digits)
    try:
        return Decimal(number_text(number))  # type: ignore[arg-type] # the library passes a number
    except EvaluationError:
        raise ValueError("formatNumber: the number is NaN or infinite") from None


def _read(function: str, text: str) -> Decimal:
    if not _NUMBER.fullmatch(text):
        raise ValueError(
            f"{function}: {text[:64]!r} is not a decimal number such as 12.30; write a number as string(number)"
        )
    return Decimal(text)


def _rounded(function: str, number: Decimal, digits: int) -> Decimal:
    if not 0 <= digits <= _MAX_ROUNDED:
        raise ValueError(f"{function}: the decimals must be 0 to {_MAX_ROUNDED}, not {digits}")
    return number.quantize(Decimal(1).scaleb(-digits), context=_EXACT)


def _written(function: str, number: Decimal) -> str:
    text = format(number, "f")
    whole, _, fraction = text.removeprefix("-").partition(".")
    if len(whole) > MAX_DIGITS or len(fraction) > MAX_DIGITS:
        raise ValueError(
            f"{function}: the result has more than {MAX_DIGITS} digits before or after the point"
        )
    return text if number else text.removeprefix("-")
