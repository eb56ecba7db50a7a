"""An instance's own schedule, instead of the dates of its strategy's calendars.

The strategy's calendars still choose the task of each cycle.
Source: docs/contracts/mapping.md D.5; docs/contracts/process.md C.5; docs/decisions/0024.
"""

from datetime import datetime
from functools import lru_cache

from msgspec import Struct

from shared.domain.calendar.cron import Cron, read_cron


class OwnSchedule(Struct, frozen=True, kw_only=True):
    """A single date, the instance's start date, or a cron expression of its own.

    ``cron`` is the checked expression, None for a single date, and ``timezone`` its zone, None for the plan's. With
    ``once`` only the first fire counts. With ``at_once`` the first cycle has the start date. Other cycles are not
    before ``opens_at``, None for the start date. With ``on_call`` its only event is on hold, without a date, until an
    operator runs it.

    ``retry_times`` overrides the number of retries, None for the strategy's. With ``goes_on`` a run without attempts
    left fails and the plan continues.
    """

    cron: str | None = None
    timezone: str | None = None
    once: bool = False
    at_once: bool = False
    opens_at: datetime | None = None
    on_call: bool = False
    retry_times: int | None = None
    goes_on: bool = False

    @property
    def expression(self) -> Cron | None:
        """Return the parsed expression, or None."""
        return None if self.cron is None else _read(self.cron)

    @property
    def is_single(self) -> bool:
        """Return whether it has only one cycle."""
        return self.once or self.cron is None


# Parsing is costly, and each command of an instance needs the expression.
@lru_cache(maxsize=256)
def _read(text: str) -> Cron:
    return read_cron(text)
