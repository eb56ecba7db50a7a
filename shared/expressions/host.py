"""The host functions: an expression can call them in addition to those of the language.

Each is typed, pure and bounded. A function refuses its arguments with a ``ValueError`` whose text the user reads.
``string``, ``timestamp`` and ``matches`` take the place of CEL's own functions.
Source: docs/expressions.md.
"""

from collections.abc import Callable, Iterable
from enum import StrEnum

from msgspec import Struct

from shared.expressions import (
    decimals,
    host_calendar,
    host_dates,
    host_numbers,
    host_text,
    host_values,
    javascript,
    phone_numbers,
)
from shared.expressions.limits import MAX_HOST_CHARACTERS, MAX_TEXT_CHARACTERS


class HostType(StrEnum):
    """The type of a parameter or a result. CEL needs concrete types: one overload for each."""

    BOOL = "bool"
    INT = "int"
    UINT = "uint"
    DOUBLE = "double"
    STRING = "string"
    STRINGS = "list(string)"
    OPERANDS = "list"
    """Values whose types are known only at run time; CEL takes them in a list only."""
    DYN = "any"
    BYTES = "bytes"
    TIMESTAMP = "timestamp"
    DURATION = "duration"
    WHOLE = "whole"
    """A whole number beyond 2^53, which is a map in CEL; see ``bindings``."""


class Allowance:
    """The characters that host functions may still be given in one request to the evaluator."""

    def __init__(self) -> None:
        self._remaining = MAX_HOST_CHARACTERS

    def refill(self) -> None:
        """Begin another request."""
        self._remaining = MAX_HOST_CHARACTERS

    def take(self, arguments: Iterable[object]) -> None:
        """Count the texts among the arguments. Raises: ValueError: if they are too much together."""
        self._remaining -= sum(map(_characters, arguments))
        if self._remaining < 0:
            raise ValueError(
                f"functions are given more than {MAX_HOST_CHARACTERS} characters in one evaluation"
            )


ALLOWANCE = Allowance()
"""The allowance of the request that is being answered. An evaluator answers one at a time."""


def _characters(argument: object) -> int:
    if isinstance(argument, str | bytes | bytearray):
        return len(argument)
    if isinstance(argument, dict):
        return sum(_characters(part) for member in argument.items() for part in member)
    return sum(map(_characters, argument)) if isinstance(argument, list) else 0


class HostFunction(Struct, frozen=True):
    """One overload. A name can occur several times, with different parameters."""

    name: str
    parameters: tuple[HostType, ...]
    returns: HostType
    function: Callable[..., object]

    @property
    def signature(self) -> str:
        """Return the signature as the documentation lists it: ``round(double, int) -> double``."""
        return f"{self.name}({', '.join(self.parameters)}) -> {self.returns}"

    def call(self, *arguments: object) -> object:
        """Return the result if it is within the limits.

        Raises: ValueError: if the function refuses, its text is too long or contains a NUL character, or the texts
            of one evaluation are too much together.
        """
        # The library copies every text that it hands over.
        ALLOWANCE.take(arguments)
        result = self.function(*arguments)
        for text in result if isinstance(result, list) else [result]:
            if isinstance(text, str):
                _require_bounded(self.name, text)
        return result


def _require_bounded(name: str, text: str) -> None:
    if len(text) > MAX_TEXT_CHARACTERS:
        raise ValueError(f"{name}: the result is longer than {MAX_TEXT_CHARACTERS} characters")
    if "\0" in text:  # the library would cut the text off there, without an error
        raise ValueError(f"{name}: the result holds a NUL character")


_BOOL, _INT, _UINT, _DOUBLE, _STRING, _STRINGS, _OPERANDS, _DYN, *_OTHERS = HostType
_BYTES, _TIMESTAMP, _DURATION, _WHOLE = _OTHERS
_WRITABLE = (_BOOL, _INT, _UINT, _DOUBLE, _STRING, _BYTES, _TIMESTAMP, _DURATION, _WHOLE)

HOST_FUNCTIONS = (
    HostFunction("withDay", (_TIMESTAMP, _INT, _STRING), _TIMESTAMP, host_dates.with_day),
    HostFunction("addMonths", (_TIMESTAMP, _INT, _STRING), _TIMESTAMP, host_dates.add_months),
    HostFunction("addDays", (_TIMESTAMP, _INT, _STRING), _TIMESTAMP, host_dates.add_days),
    HostFunction("startOfDay", (_TIMESTAMP, _STRING), _TIMESTAMP, host_dates.start_of_day),
    HostFunction("formatDate", (_TIMESTAMP, _STRING, _STRING), _STRING, host_dates.format_date),
    HostFunction("parseDate", (_STRING, _STRING), _TIMESTAMP, host_dates.parse_date),
    HostFunction("parseDate", (_STRING, _STRING, _STRING), _TIMESTAMP, host_dates.parse_date),
    HostFunction("isoDate", (_TIMESTAMP,), _STRING, host_dates.iso_date),
    *(
        HostFunction("timestamp", (kind,), _TIMESTAMP, host_values.timestamp)
        for kind in (_STRING, _INT, _TIMESTAMP)
    ),
    *(HostFunction("string", (kind,), _STRING, host_values.string) for kind in _WRITABLE),
    HostFunction("lower", (_STRING,), _STRING, str.lower),
    HostFunction("upper", (_STRING,), _STRING, str.upper),
    HostFunction("trim", (_STRING,), _STRING, str.strip),
    HostFunction("split", (_STRING, _STRING), _STRINGS, host_text.split),
    HostFunction("join", (_STRINGS, _STRING), _STRING, host_text.join),
    HostFunction("replace", (_STRING, _STRING, _STRING), _STRING, host_text.replace),
    HostFunction("round", (_DOUBLE, _INT), _DOUBLE, host_numbers.round_half_away),
    HostFunction("floor", (_DOUBLE,), _DOUBLE, host_numbers.floor),
    HostFunction("ceil", (_DOUBLE,), _DOUBLE, host_numbers.ceil),
    HostFunction("abs", (_INT,), _INT, abs),
    HostFunction("abs", (_DOUBLE,), _DOUBLE, abs),
    HostFunction("min", (_INT, _INT), _INT, min),
    HostFunction("min", (_DOUBLE, _DOUBLE), _DOUBLE, min),
    HostFunction("max", (_INT, _INT), _INT, max),
    HostFunction("max", (_DOUBLE, _DOUBLE), _DOUBLE, max),
    *(
        HostFunction("formatNumber", (kind, _STRING), _STRING, decimals.format_number)
        for kind in (_DOUBLE, _INT, _STRING, _WHOLE)
    ),
    HostFunction("decAdd", (_STRING, _STRING), _STRING, decimals.add),
    HostFunction("decSub", (_STRING, _STRING), _STRING, decimals.subtract),
    HostFunction("decMul", (_STRING, _STRING), _STRING, decimals.multiply),
    HostFunction("decDiv", (_STRING, _STRING, _INT), _STRING, decimals.divide),
    HostFunction("decRound", (_STRING, _INT), _STRING, decimals.round_to),
    HostFunction("decCompare", (_STRING, _STRING), _INT, decimals.compare),
    HostFunction("base64Encode", (_STRING,), _STRING, host_text.base64_encode),
    HostFunction("base64Decode", (_STRING,), _STRING, host_text.base64_decode),
    HostFunction("sha256", (_STRING,), _STRING, host_text.sha256),
    HostFunction("hmacSha256", (_STRING, _STRING), _STRING, host_text.hmac_sha256),
    HostFunction("isCountryCode", (_STRING, _STRING), _BOOL, phone_numbers.is_country_code),
    HostFunction("stringContains", (_STRING, _STRING), _BOOL, host_calendar.string_contains),
    HostFunction("stringContains", (_STRING, _STRING, _BOOL), _BOOL, host_calendar.string_contains),
    HostFunction(
        "isTimeOfDayBetween",
        (_STRING, _STRING, _STRING, _STRING),
        _BOOL,
        host_calendar.is_time_of_day_between,
    ),
    HostFunction("isDayOfWeek", (_STRING, _STRING), _BOOL, host_calendar.is_day_of_week),
    HostFunction("uuid", (_STRING,), _STRING, host_calendar.uuid_of),
    HostFunction("jsEquals", (_OPERANDS,), _BOOL, javascript.equals),
    HostFunction("jsStrictEquals", (_OPERANDS,), _BOOL, javascript.strictly_equals),
    HostFunction("jsLess", (_OPERANDS,), _BOOL, javascript.less),
    HostFunction("jsLessOrEqual", (_OPERANDS,), _BOOL, javascript.less_or_equal),
    HostFunction("jsAdd", (_OPERANDS,), _DYN, javascript.add),
    HostFunction("jsSubtract", (_OPERANDS,), _DYN, javascript.subtract),
    HostFunction("jsMultiply", (_OPERANDS,), _DYN, javascript.multiply),
    HostFunction("jsDivide", (_OPERANDS,), _DOUBLE, javascript.divide),
    HostFunction("jsRemainder", (_OPERANDS,), _DYN, javascript.remainder),
    HostFunction("jsNegate", (_OPERANDS,), _DYN, javascript.negate),
    HostFunction("jsTrue", (_OPERANDS,), _BOOL, javascript.is_true),
    HostFunction("jsLength", (_OPERANDS,), _DYN, javascript.length),
    HostFunction("jsIn", (_OPERANDS,), _BOOL, javascript.is_in),
    HostFunction("jsText", (_OPERANDS,), _STRING, javascript.text),
)
