"""The types that cross the border of this package."""

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeAlias

JsonValue: TypeAlias = "bool | int | float | str | list[JsonValue] | dict[str, JsonValue] | None"


class ResultType(StrEnum):
    """What an expression must return; checked when it is compiled and again when it has run."""

    BOOL = "bool"
    TIMESTAMP = "timestamp"
    MAP = "map"
    """A map with text keys; what it holds is JSON."""
    ANY = "any"
    """Whatever has a JSON form, or a timestamp. Bytes, durations and types have none."""


class VariableType(StrEnum):
    """The declared type of a variable, as CEL names it."""

    BOOL = "bool"
    INT = "int"
    DOUBLE = "double"
    STRING = "string"
    TIMESTAMP = "timestamp"
    """Bound to an aware datetime."""
    MAP = "map"
    """Text keys, values of any type, found out when it runs."""
    ANY = "any"


Variables: TypeAlias = Mapping[str, VariableType]
