"""Which instances a bulk operation is for, and how far the walk through them has come.

The walk goes from the oldest to the youngest. Neither the date an instance was created nor the folder and name
of its strategy ever change, so a place in it stays a place, whatever the commands do meanwhile.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.domain.ids import InstanceSid, StrategySid
from shared.domain.instance import UNFINISHED, Instance, InstanceStatus

_ONE_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class OfIds:
    """Instances that are named, each once."""

    ids: tuple[InstanceSid, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OfStrategy:
    """Instances of a strategy.

    version: on which they are; None for any. created_from, created_to: when they were created, both included;
    None for any time.
    """

    strategy: StrategySid
    version: int | None = None
    statuses: tuple[InstanceStatus, ...] = UNFINISHED
    created_from: datetime | None = None
    created_to: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OfFolder:
    """Instances of all strategies in a folder or below it; ``/`` is all there are. The rest as above."""

    folder: str
    statuses: tuple[InstanceStatus, ...] = UNFINISHED
    created_from: datetime | None = None
    created_to: datetime | None = None


Selection = OfIds | OfStrategy | OfFolder
"""Which instances."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """How far the walk has come.

    passed: of ids, how many. folder_name: of a folder, the last strategy reached, by folder and name; strategy:
    its sid while its instances are walked through. created_at, sid: the last instance looked at.
    """

    passed: int = 0
    folder_name: str = ""
    strategy: StrategySid | None = None
    created_at: datetime | None = None
    sid: InstanceSid | None = None


START = Cursor()
"""Where every walk begins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """The next instances of a selection, and where the walk goes on behind them; at_end: nowhere."""

    sids: tuple[InstanceSid, ...]
    cursor: Cursor
    at_end: bool


def is_selected(selection: OfStrategy | OfFolder, instance: Instance) -> bool:
    """Whether an instance of the strategy, created at the time, is also of status and version."""
    of_version = isinstance(selection, OfFolder) or selection.version in (None, instance.strategy_version)
    return of_version and instance.status in selection.statuses


def created_since(selection: OfStrategy | OfFolder) -> datetime | None:
    """Since when instances were created, in whole milliseconds, as they are; None: ever."""
    since = selection.created_from
    if since is None or since.microsecond % 1000 == 0:
        return since
    return since.replace(microsecond=since.microsecond // 1000 * 1000) + _ONE_MILLISECOND


def created_until(selection: OfStrategy | OfFolder, begun_at: datetime) -> datetime:
    """Up to when instances were created: those that come about later are not meant, in whole milliseconds."""
    until = begun_at if selection.created_to is None else min(begun_at, selection.created_to)
    return until.replace(microsecond=until.microsecond // 1000 * 1000)
