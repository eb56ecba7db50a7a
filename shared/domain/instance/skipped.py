"""Planned dates that will not run. Source: docs/design.md section 4."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """A range of consecutive planned dates that will not run. ``task`` is the task of the first one."""

    task: str
    first_cycle: int
    last_cycle: int
    first_at: datetime
    last_at: datetime
