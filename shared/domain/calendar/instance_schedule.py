"""When one instance runs, where that is not for its strategy's calendars to say.

What each cycle runs stays the strategy's: the task of the calendar chosen for it.
Source: contracts/mapping.md D.5; contracts/process.md C.5; docs/decisions/0024.
"""

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from shared.domain.calendar.cron import Cron, read_cron
from shared.domain.calendar.dates import zone_named


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnSchedule:
    """Once, at the instance's start date, or by a cron expression of its own.

    cron: the expression, checked before; None for a single date. timezone: in which it is read; None: the strategy's.
    once: only the first fire of the expression counts.
    at_once: its first cycle has the start date, whatever the expression says.
    opens_at: nothing of it comes before then, but for a run at once; None: the start date.
    on_call: its only event is on hold, without a date, until an operator runs it.
    retry_times: how often a failed attempt is tried again; None: as the strategy says.
    goes_on: a run whose attempts are used up fails, and the plan goes on.
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
        """The expression, read."""
        return None if self.cron is None else _read(self.cron)

    @property
    def is_single(self) -> bool:
        """Whether it has one cycle."""
        return self.once or self.cron is None

    def zone(self, usual: ZoneInfo) -> ZoneInfo:
        """The zone of its dates. usual: the strategy's."""
        return usual if self.timezone is None else zone_named(self.timezone)


@lru_cache(maxsize=256)
def _read(text: str) -> Cron:
    return read_cron(text)
