"""The ``dateFormat`` of a simulation, in the strategy's zone.

Source: docs/contracts/core.md section 4, row 24.
"""

from collections.abc import Callable
from datetime import datetime
from zoneinfo import ZoneInfo

from shared.domain.calendar.dates import format_instant
from shared.domain.errors import InvalidInputError, Problem
from shared.expressions.moments import MomentPatternError, check_pattern, write_date


def date_format(text: str | None, zone: ZoneInfo) -> Callable[[datetime], str]:
    """Return a function that writes instants in a format and a zone; without a format, as ISO 8601 in UTC.

    Raises: InvalidInputError: if a letter is not a token.
    """
    if text is None:
        return format_instant
    try:
        check_pattern(text)
    except MomentPatternError as error:
        problem = Problem(pointer="/dateFormat", rule="format", message=str(error))
        raise InvalidInputError((problem,)) from error
    return lambda at: write_date(text, at.astimezone(zone))
