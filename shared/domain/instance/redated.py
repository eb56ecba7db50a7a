"""What a change of attributes does to the dates of planned events. Source: docs/decisions/0060."""

from dataclasses import dataclass
from datetime import datetime

from shared.domain.instance.event import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class Redated:
    """An event with another date. ``before`` is the old one."""

    event: Event
    before: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class NotRedated:
    """Why a changed attribute moves no date, or not that of ``event``."""

    attribute: str
    why: str
    event: Event | None = None
