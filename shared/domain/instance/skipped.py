"""Planned dates that will not run. Source: docs/design.md section 4."""

from datetime import datetime

from msgspec import Struct

from shared.domain.calendar.dates import Moment
from shared.domain.instance.journal import ClosedBy


class Skipped(Struct, frozen=True, kw_only=True):
    """A range of consecutive cycles that will not run, for one cause.

    ``task`` is the task of the first one. ``first_at`` and ``last_at`` are the first and the last date, and ``moment``
    is the last planned one. ``last_at`` is ``spread_seconds`` later only to spread the load. ``why`` explains the
    cause.
    """

    task: str
    first_cycle: int
    last_cycle: int
    first_at: datetime
    last_at: datetime
    moment: Moment
    spread_seconds: int = 0
    cause: ClosedBy
    why: str
