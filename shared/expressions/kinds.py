"""The types in the signatures of this package."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias

JsonValue: TypeAlias = "bool | int | float | str | list[JsonValue] | dict[str, JsonValue] | None"

Value: TypeAlias = "JsonValue | datetime"
"""The value of an expression in plain Python: an aware datetime, or a JSON value."""


class ResultType(StrEnum):
    """The required type of a result, checked at compile time and again after the evaluation."""

    BOOL = "bool"
    TIMESTAMP = "timestamp"
    MAP = "map"
    """A map with text keys and JSON values."""
    ANY = "any"
    """Anything with a JSON form, or a timestamp. Bytes, durations and types have none."""


class VariableType(StrEnum):
    """The declared type of a variable, as CEL names it."""

    BOOL = "bool"
    INT = "int"
    DOUBLE = "double"
    STRING = "string"
    TIMESTAMP = "timestamp"
    """Bound to an aware datetime."""
    MAP = "map"
    """Text keys; the types of the values are known only at run time."""
    ANY = "any"


Variables: TypeAlias = Mapping[str, VariableType]
