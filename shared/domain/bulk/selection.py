"""Which instances a bulk operation is for, and how far the walk through them has come.

A sieve looks closer than an index can: it holds an instance's present state against what was asked for, when the
walk comes by and again when the instance is commanded.

The walk goes from the oldest to the youngest. Neither the date an instance was created nor the folder and name
of its strategy ever change, so a place in it stays a place, whatever the commands do meanwhile.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.domain.ids import InstanceSid, StrategySid
from shared.domain.instance.model import UNFINISHED, Instance, InstanceStatus
from shared.domain.instance.phase import Phase, phase_of, planned_date, waits_for_call

_ONE_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """What is asked of an instance besides whose it is.

    phases: where it may stand; None: anywhere. planned_from (included), planned_until (not included): what it was
    planned for; None for any time. One that waits for a call has no such date, and does not pass where either is
    given; one that never had any date passes. at_rest: nothing of it may be in flight though it is stopped.
    """

    phases: tuple[Phase, ...] | None = None
    planned_from: datetime | None = None
    planned_until: datetime | None = None
    at_rest: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OfIds:
    """Instances that are named, each once."""

    ids: tuple[InstanceSid, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OfStrategy:
    """Instances of a strategy.

    version: on which they are; None for any. created_from, created_to: when they were created, both included;
    None for any time. sieve: what else is asked of them.
    """

    strategy: StrategySid
    version: int | None = None
    statuses: tuple[InstanceStatus, ...] = UNFINISHED
    created_from: datetime | None = None
    created_to: datetime | None = None
    instance_filter: Filter | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OfFolder:
    """Instances of all strategies in a folder or below it; ``/`` is all there are. The rest as above.

    is_flat: what lies below the folder is left out.
    """

    folder: str
    is_flat: bool = False
    statuses: tuple[InstanceStatus, ...] = UNFINISHED
    created_from: datetime | None = None
    created_to: datetime | None = None
    instance_filter: Filter | None = None


Part = OfStrategy | OfFolder
"""What an index can be walked along for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OfAny:
    """Instances of any of several parts, one part after another; no instance may be of two of them."""

    parts: tuple[Part, ...]


Selection = OfIds | OfStrategy | OfFolder | OfAny
"""Which instances."""


def united(parts: Sequence[Part]) -> OfAny:
    """The parts as one selection, without those that lie in others: parts that differ in their place alone."""
    kept = list(dict.fromkeys(parts))
    return OfAny(parts=tuple(one for one in kept if not any(_covers(other, one) for other in kept)))


def _covers(wider: Part, one: Part) -> bool:
    match wider, one:
        case OfStrategy(), OfStrategy():
            return wider.version is None and one.version is not None and wider.strategy == one.strategy
        case OfFolder(is_flat=False), OfFolder() if wider is not one:
            same = wider.folder == one.folder and one.is_flat
            return same or (wider.folder != one.folder and is_below(wider.folder, one.folder))
        case _:
            return False


def is_below(folder: str, one: str) -> bool:
    """Whether a folder is another one or lies below it."""
    return one == folder or one.startswith(folder if folder == "/" else f"{folder}/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """How far the walk has come.

    part: of several, which one it is in. passed: of ids, how many. folder_name: of a folder, the last strategy
    reached, by folder and name; strategy: its sid while its instances are walked through. created_at, sid: the last
    instance looked at.
    """

    part: int = 0
    passed: int = 0
    folder_name: str = ""
    strategy: StrategySid | None = None
    created_at: datetime | None = None
    sid: InstanceSid | None = None


START = Cursor()
"""Where every walk begins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """The next instances of a selection, and where the walk goes on behind them; at_end: nowhere."""

    sids: tuple[InstanceSid, ...]
    cursor: Cursor
    at_end: bool


def is_selected(selection: Part, instance: Instance, *, now: datetime) -> bool:
    """Whether an instance of the strategy, created at the time, is also of status and version and passes the sieve."""
    of_version = isinstance(selection, OfFolder) or selection.version in (None, instance.strategy_version)
    is_meant = of_version and instance.status in selection.statuses
    return is_meant and (
        selection.instance_filter is None or passes(selection.instance_filter, instance, now=now)
    )


def is_still_selected(selection: Selection, instance: Instance, *, now: datetime) -> bool:
    """Whether an instance that was selected still passes the sieve, where there is one."""
    instance_filter = filter_of(selection)
    return instance_filter is None or passes(instance_filter, instance, now=now)


def filter_of(selection: Selection) -> Filter | None:
    """The sieve of a selection; of several parts it is the same."""
    match selection:
        case OfIds():
            return None
        case OfAny(parts=parts):
            return next((part.instance_filter for part in parts), None)
        case _:
            return selection.instance_filter


def passes(instance_filter: Filter, instance: Instance, *, now: datetime) -> bool:
    """Whether an instance is as a sieve asks, at an instant."""
    phase = phase_of(instance, now=now)
    if instance_filter.phases is not None and phase not in instance_filter.phases:
        return False
    if instance_filter.at_rest and instance.is_draining:
        return False
    if instance_filter.planned_from is None and instance_filter.planned_until is None:
        return True
    planned, is_undated = planned_date(instance), phase is Phase.UNDATED or waits_for_call(instance)
    if is_undated or planned is None:
        return not is_undated
    is_late_enough = instance_filter.planned_from is None or instance_filter.planned_from <= planned
    return is_late_enough and (
        instance_filter.planned_until is None or planned < instance_filter.planned_until
    )


def created_since(selection: Part) -> datetime | None:
    """Since when instances were created, in whole milliseconds, as they are; None: ever."""
    since = selection.created_from
    if since is None or since.microsecond % 1000 == 0:
        return since
    return since.replace(microsecond=since.microsecond // 1000 * 1000) + _ONE_MILLISECOND


def created_until(selection: Part, begun_at: datetime) -> datetime:
    """Up to when instances were created: those that come about later are not meant, in whole milliseconds."""
    until = begun_at if selection.created_to is None else min(begun_at, selection.created_to)
    return until.replace(microsecond=until.microsecond // 1000 * 1000)
