"""Why an instance or an operation could not be checked, by kinds that have an alarm each."""

from enum import StrEnum

from msgspec import Struct

from shared.application.ports import KeyRefusedError, SealBrokenError, UnknownStrategyError
from shared.domain.errors import StoredShapeError

UNREADABLE_ITEM = (StoredShapeError, UnknownStrategyError, SealBrokenError, KeyRefusedError)
"""The errors of a stored item that cannot be read, whenever it is tried."""


class Fault(StrEnum):
    """The kinds of failures. Each has an alarm."""

    UNKNOWN_SHAPE = "unknown-shape"
    """An item has a schema or a shape that this version of the code does not know."""
    MISSING_VERSION = "missing-version"
    """The version of the strategy that an instance is on is not stored."""
    UNREADABLE_SETTINGS = "unreadable-settings"
    """The settings of that version cannot be decrypted."""
    OTHER = "other"


class Failure(Struct, frozen=True, kw_only=True):
    """Why something could not be checked."""

    fault: Fault
    why: str


def failure_of(error: Exception) -> Failure:
    """Return what an error says about the item that was to be read or decided on."""
    match error:
        case StoredShapeError():
            fault = Fault.UNKNOWN_SHAPE
        case UnknownStrategyError():
            fault = Fault.MISSING_VERSION
        case SealBrokenError() | KeyRefusedError():
            fault = Fault.UNREADABLE_SETTINGS
        case _:
            fault = Fault.OTHER
    return Failure(fault=fault, why=f"{type(error).__name__}: {error}")
