"""The durations of Wait and WaitForReply: ``d.HH:mm:ss``, ``HH:mm:ss``, or a whole number of days.

Source: docs/contracts/automation.md A.2.
"""

import re
from typing import Any

from shared.domain.calendar.dates import Unit
from shared.domain.strategy.settings import MAX_AMOUNT

_DURATION = re.compile(r"(?:([0-9]{1,7})\.)?([0-9]{1,2}):([0-9]{2}):([0-9]{2})")
_DAYS = re.compile(r"[0-9]{1,7}")
_IN_SECONDS = {Unit.DAYS: 86_400, Unit.HOURS: 3600, Unit.MINUTES: 60, Unit.SECONDS: 1}
_HOURS, _SIXTY = 24, 60


class DurationError(ValueError):
    """A text that is not a duration, or a duration that is too long."""


def duration(value: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON value
    """Return a duration as the engine's settings have it. Raises: DurationError."""
    seconds = _seconds(value)
    # The engine has one unit per duration, so take the largest one that divides it.
    unit = next(unit for unit, length in _IN_SECONDS.items() if seconds % length == 0)
    amount = seconds // _IN_SECONDS[unit]
    if amount > MAX_AMOUNT:
        raise DurationError(f"must be at most {MAX_AMOUNT} {unit.value}, not {value!r}")
    return {"unit": unit.value, "amount": amount}


def _seconds(value: Any) -> int:  # noqa: ANN401 - any JSON value
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if isinstance(text, str) and _DAYS.fullmatch(text):
        return int(text) * _IN_SECONDS[Unit.DAYS]
    match = _DURATION.fullmatch(text) if isinstance(text, str) else None
    if match is None or int(match[2]) >= _HOURS or int(match[3]) >= _SIXTY or int(match[4]) >= _SIXTY:
        raise DurationError(f"must be d.HH:mm:ss, HH:mm:ss or a number of days, not {value!r}")
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds
