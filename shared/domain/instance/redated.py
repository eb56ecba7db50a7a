"""The effect of changed attributes on the dates of planned events. Source: docs/decisions/0060."""

from datetime import datetime

from msgspec import Struct

from shared.domain.instance.event import Event


class Redated(Struct, frozen=True, kw_only=True):
    """An event with another date. ``before`` is the old one."""

    event: Event
    before: datetime


class NotRedated(Struct, frozen=True, kw_only=True):
    """Why a changed attribute moves no date, or not that of ``event``."""

    attribute: str
    why: str
    event: Event | None = None
