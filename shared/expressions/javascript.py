"""Host functions with the meaning of JavaScript's operators, for scripts that were written in JavaScript.

Each takes its operands in one list, because only a list may hold values whose types are known at run time. Lists and
maps have no operators: JavaScript compares their identity and adds their printed forms, which nobody means.
Source: docs/expressions.md; ECMA-262 sections 7.1 and 7.2.
"""

import json
import math
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import reduce, wraps
from typing import TypeAlias, TypeGuard, TypeVar

from shared.expressions.bindings import marked_digits
from shared.expressions.digits import MAX_EXACT
from shared.expressions.host_dates import iso_date

Operands: TypeAlias = list[object]

R = TypeVar("R")

_BLANK = "\t\n\v\f\r \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
_OUTER_BLANKS = re.compile(f"^[{_BLANK}]+|[{_BLANK}]+$")
_DECIMAL = re.compile(r"[+-]?(?:Infinity|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)", re.ASCII)
_WHOLE = re.compile(r"[+-]?[0-9]{1,300}", re.ASCII)
_PREFIXED = re.compile(r"0(?:[xX][0-9a-fA-F]+|[oO][0-7]+|[bB][01]+)", re.ASCII)
_MAX_PLAIN_POINT, _MIN_PLAIN_POINT = 21, -6


def _of_plain_values(function: Callable[[Operands], R]) -> Callable[[Operands], R]:
    """Let a function have its operands with whole numbers beyond 2^53 as numbers instead of markers."""

    @wraps(function)
    def call(operands: Operands) -> R:
        return function([_plain(operand) for operand in operands])

    return call


@_of_plain_values
def equals(operands: Operands) -> bool:
    """``==``: texts, numbers and booleans are compared as numbers if their types differ; null equals null only."""
    left, right = operands
    if left is None or right is None:
        return left is right
    if isinstance(left, str) and isinstance(right, str):
        return left == right
    if _is_time(left) or _is_time(right):
        return strictly_equals(operands)
    return _number(left, "==") == _number(right, "==")


@_of_plain_values
def strictly_equals(operands: Operands) -> bool:
    """``===``: values of different types are not equal."""
    left, right = operands
    if left is None or right is None:
        return left is right
    for operand in operands:
        if isinstance(operand, list | dict):
            raise ValueError("===: lists and objects cannot be compared")  # noqa: TRY004 - users read it
    return _kind(left) == _kind(right) and left == right


@_of_plain_values
def less(operands: Operands) -> bool:
    """``<``: two texts by their UTF-16 code units, anything else as numbers."""
    left, right = operands
    if isinstance(left, str) and isinstance(right, str):
        return left.encode("utf-16-be") < right.encode("utf-16-be")
    if isinstance(left, datetime) and isinstance(right, datetime):
        return left < right
    if isinstance(left, timedelta) and isinstance(right, timedelta):
        return left < right
    return _exact(left, "<") < _exact(right, "<")


@_of_plain_values
def less_or_equal(operands: Operands) -> bool:
    """``<=``: as ``<``, or equal."""
    left, right = operands
    if isinstance(left, str) and isinstance(right, str):
        return left == right or less(operands)
    if _is_time(left) and _kind(left) == _kind(right):
        return left == right or less(operands)
    return _exact(left, "<=") <= _exact(right, "<=")


@_of_plain_values
def add(operands: Operands) -> object:
    """``+`` from left to right: a text with anything is joined; otherwise the sum."""
    return reduce(_sum, operands)


@_of_plain_values
def subtract(operands: Operands) -> object:
    """``-``."""
    left, right = operands
    return _bounded(_exact(left, "-") - _exact(right, "-"))


@_of_plain_values
def multiply(operands: Operands) -> object:
    """``*``."""
    left, right = operands
    return _bounded(_exact(left, "*") * _exact(right, "*"))


@_of_plain_values
def divide(operands: Operands) -> float:
    """``/``: never cut to a whole number. Divided by zero it is infinite or not a number."""
    left, right = (float(_exact(operand, "/")) for operand in operands)
    if right == 0:
        return (
            math.nan
            if left == 0 or math.isnan(left)
            else math.copysign(math.inf, left * math.copysign(1, right))
        )
    return left / right


@_of_plain_values
def remainder(operands: Operands) -> object:
    """``%``: the remainder has the sign of the first operand."""
    left, right = (_exact(operand, "%") for operand in operands)
    if right == 0 or math.isinf(left):
        return math.nan
    rest = math.fmod(left, right)
    return int(rest) if isinstance(left, int) and isinstance(right, int) else rest


@_of_plain_values
def negate(operands: Operands) -> object:
    """Unary ``-``."""
    number = _exact(operands[0], "-")
    # Minus zero is a double of its own.
    return -float(number) if number == 0 else -number


@_of_plain_values
def is_true(operands: Operands) -> bool:
    """Whether a value counts as true: false, 0, NaN, the empty text and null do not."""
    value = operands[0]
    if isinstance(value, float) and math.isnan(value):
        return False
    return value is not None and (isinstance(value, list | dict | datetime | timedelta) or bool(value))


@_of_plain_values
def length(operands: Operands) -> object:
    """``.length`` of a text, in UTF-16 code units, or of a list; of an object its member of that name."""
    value = operands[0]
    if isinstance(value, str):
        return len(value.encode("utf-16-be")) // 2
    if isinstance(value, list):
        return len(value)
    if isinstance(value, dict) and "length" in value:
        return value["length"]
    raise ValueError("length: this is neither a text nor a list")


@_of_plain_values
def is_in(operands: Operands) -> bool:
    """``in``: whether an object has a member of that name."""
    key, container = operands
    if not isinstance(container, dict):
        raise ValueError("in: the right side must be an object; use exists() for a list")  # noqa: TRY004 - users read it
    return _text(key, "in") in container


@_of_plain_values
def text(operands: Operands) -> str:
    """Text of a value inside other text: empty for null, compact JSON for a list or an object."""
    value = operands[0]
    if value is None:
        return ""
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return _text(value, "text")


def _plain(value: object) -> object:
    """Return a value with its markers as numbers."""
    if isinstance(value, list):
        return [_plain(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    digits = marked_digits(value)
    return {name: _plain(member) for name, member in value.items()} if digits is None else int(digits)


def _sum(left: object, right: object) -> object:
    if isinstance(left, str) or isinstance(right, str):
        return _text(left, "+") + _text(right, "+")
    return _bounded(_exact(left, "+") + _exact(right, "+"))


def _is_time(value: object) -> TypeGuard[datetime | timedelta]:
    return isinstance(value, datetime | timedelta)


def _kind(value: object) -> type:
    """Return the type of a value for ``===``; all numbers have one."""
    return float if isinstance(value, int) and not isinstance(value, bool) else type(value)


def _exact(value: object, operator: str) -> int | float:
    """Return a number for arithmetic or ordering. A whole number beyond 2^53 is refused, never rounded."""
    number = _number(value, operator)
    if isinstance(number, int) and abs(number) > MAX_EXACT:
        raise ValueError(f"{operator}: whole numbers beyond 2^53 can only be compared with == and passed on")
    return number


def _bounded(number: int | float) -> int | float:  # noqa: PYI041 - both are kept apart
    """Return a result. A whole number beyond 2^53 becomes a double, as it is in JavaScript."""
    return float(number) if isinstance(number, int) and abs(number) > MAX_EXACT else number


def _number(value: object, operator: str) -> int | float:
    """Return a value as a number: ECMA-262 ToNumber."""
    match value:
        case None:
            return 0
        case bool() | int():
            return int(value)
        case float():
            return value
        case str():
            return _parsed(_OUTER_BLANKS.sub("", value))
        case _:
            raise ValueError(f"{operator}: lists, objects and dates are not numbers")


def _parsed(trimmed: str) -> int | float:
    if not trimmed:
        return 0
    if _WHOLE.fullmatch(trimmed):
        # Kept whole, so that it is equal to a large number with the same digits.
        return int(trimmed)
    if _PREFIXED.fullmatch(trimmed):
        return float(int(trimmed, 0))
    return float(trimmed.replace("Infinity", "inf")) if _DECIMAL.fullmatch(trimmed) else math.nan


def _text(value: object, operator: str) -> str:
    """Return a value as text: ECMA-262 ToString."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return value
        case int():
            return str(value)
        case float():
            return _printed(value)
        case datetime():
            return iso_date(value)
        case _:
            raise ValueError(f"{operator}: lists and objects are not text")


def _printed(number: float) -> str:
    """Return a number as JavaScript prints it: without an exponent from 1e-6 to below 1e21."""
    if not math.isfinite(number):
        return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"
    if number == 0:
        return "0"
    sign = "-" if number < 0 else ""
    # Both languages print the shortest digits that read back as the same double.
    mantissa, _, power = f"{abs(number)!r}e".removesuffix("e").partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    point = len(whole) + int(power or 0) - (len(whole + fraction) - len(digits))
    digits = digits.rstrip("0")
    if _MIN_PLAIN_POINT < point <= _MAX_PLAIN_POINT:
        if point <= 0:
            return f"{sign}0.{'0' * -point}{digits}"
        padded = digits.ljust(point, "0")
        return f"{sign}{padded[:point]}" + (f".{padded[point:]}" if padded[point:] else "")
    exponent = point - 1
    tail = f".{digits[1:]}" if digits[1:] else ""
    return f"{sign}{digits[0]}{tail}e{'+' if exponent > 0 else '-'}{abs(exponent)}"
