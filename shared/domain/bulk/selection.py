"""The selection of a bulk operation, and the position of the scan through it.

A filter checks the current state of an instance, which no index has. It is applied when the scan reaches the
instance, and again when the instance is commanded.

The scan goes from the oldest instance to the newest. Neither an instance's creation date nor the folder and name of
its strategy ever change, so a position stays valid while the commands change the instances.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from msgspec import Struct

from shared.domain.ids import InstanceSid, StrategySid
from shared.domain.instance.lookup import searched_attributes
from shared.domain.instance.model import UNFINISHED, Instance, InstanceStatus
from shared.domain.instance.phase import (
    STOPPED_PHASES,
    Phase,
    PhaseRange,
    is_in_range,
    phase_of,
    planned_date,
    waits_for_call,
)

_ONE_MILLISECOND = timedelta(milliseconds=1)


class Filter(Struct, frozen=True, kw_only=True):
    """Conditions on the state of an instance.

    ``phases`` are the allowed phases, None for all. ``planned_from`` (inclusive) and ``planned_until`` (exclusive)
    bound its planned date, None for no bound. With a bound, an instance that waits on call, and so has no date, does
    not pass. An instance that never had a date passes. ``at_rest`` excludes stopped instances with a step in flight.
    ``ranges`` are the allowed phases with their reasons, empty for all.
    """

    phases: tuple[Phase, ...] | None = None
    planned_from: datetime | None = None
    planned_until: datetime | None = None
    at_rest: bool = False
    ranges: tuple[PhaseRange, ...] = ()


class OfIds(Struct, frozen=True, kw_only=True):
    """Instances selected by their ids, each once."""

    ids: tuple[InstanceSid, ...]


class OfStrategy(Struct, frozen=True, kw_only=True):
    """Instances of a strategy.

    ``version`` is their version, None for any. ``created_from`` and ``created_to`` are inclusive bounds of their
    creation date, None for no bound. ``instance_filter`` has further conditions.
    """

    strategy: StrategySid
    version: int | None = None
    statuses: tuple[InstanceStatus, ...] = UNFINISHED
    created_from: datetime | None = None
    created_to: datetime | None = None
    instance_filter: Filter | None = None


class OfFolder(Struct, frozen=True, kw_only=True):
    """Instances of all strategies in a folder or below it; ``/`` selects all.

    ``is_flat`` excludes subfolders. The other fields are as in ``OfStrategy``.
    """

    folder: str
    is_flat: bool = False
    statuses: tuple[InstanceStatus, ...] = UNFINISHED
    created_from: datetime | None = None
    created_to: datetime | None = None
    instance_filter: Filter | None = None


Part = OfStrategy | OfFolder
"""A selection that is scanned along one index, from the oldest instance on."""


class OfAny(Struct, frozen=True, kw_only=True):
    """Instances of several parts, one part after another. The parts must not overlap."""

    parts: tuple[Part, ...]


class OfPhases(Struct, frozen=True, kw_only=True):
    """Instances in some phases or stopped for some reasons, of all strategies or of one.

    They are scanned by reason and strategy. An instance that comes back into its phase during the scan may be selected
    again; the operation changes it only once.
    """

    ranges: tuple[PhaseRange, ...]


class OfReference(Struct, frozen=True, kw_only=True):
    """Instances with a reference, scanned from the youngest on."""

    reference: str


class OfAttribute(Struct, frozen=True, kw_only=True):
    """Instances with a value of a searchable attribute, scanned from the youngest on."""

    name: str
    text: str


Found = OfPhases | OfReference | OfAttribute
"""A selection of instances by phase, reference or attribute."""

Selection = OfIds | OfStrategy | OfFolder | OfAny | Found
"""The instances of a bulk operation."""


def combine_parts(parts: Sequence[Part]) -> OfAny:
    """Return the parts as one selection, without parts that another one includes."""
    unique = list(dict.fromkeys(parts))
    return OfAny(parts=tuple(part for part in unique if not any(_covers(other, part) for other in unique)))


def _covers(wider: Part, narrower: Part) -> bool:
    """Return whether ``wider`` includes ``narrower``, if both differ only in strategy, version or folder."""
    match wider, narrower:
        case OfStrategy(), OfStrategy():
            is_version_covered = wider.version is None and narrower.version is not None
            return is_version_covered and wider.strategy == narrower.strategy
        case OfFolder(is_flat=False), OfFolder() if wider is not narrower:
            is_flat_part = wider.folder == narrower.folder and narrower.is_flat
            return is_flat_part or (
                wider.folder != narrower.folder and is_below(wider.folder, narrower.folder)
            )
        case _:
            return False


def is_below(folder: str, other: str) -> bool:
    """Return whether ``other`` is ``folder`` or lies below it."""
    return other == folder or other.startswith(folder if folder == "/" else f"{folder}/")


class Cursor(Struct, frozen=True, kw_only=True):
    """The position of a scan.

    ``part`` is the index of the current part, and ``passed`` the number of ids passed. In a folder, ``folder_name``
    is the folder and name of the last strategy reached, and ``strategy`` its sid while its instances are scanned.
    ``created_at`` and ``sid`` belong to the last instance scanned; in a scan by phase, ``order`` is its position.
    """

    part: int = 0
    passed: int = 0
    folder_name: str = ""
    strategy: StrategySid | None = None
    created_at: datetime | None = None
    sid: InstanceSid | None = None
    order: str = ""


START = Cursor()
"""The position at which every scan starts."""


class Batch(Struct, frozen=True, kw_only=True):
    """The next instances of a selection, and the position after them. ``at_end`` means that none follow."""

    sids: tuple[InstanceSid, ...]
    cursor: Cursor
    at_end: bool


def is_selected(selection: Part, instance: Instance, *, now: datetime) -> bool:
    """Return whether an instance matches the selection's status, version and filter.

    Its strategy and creation date must match already.
    """
    of_version = isinstance(selection, OfFolder) or selection.version in (None, instance.strategy_version)
    is_meant = of_version and instance.status in selection.statuses
    return is_meant and (
        selection.instance_filter is None or passes(selection.instance_filter, instance, now=now)
    )


def is_still_selected(selection: Selection, instance: Instance, *, now: datetime) -> bool:
    """Return whether a selected instance still passes the selection's filter."""
    if isinstance(selection, OfAttribute):
        return (selection.name, selection.text) in searched_attributes(instance)
    instance_filter = filter_of(selection)
    return instance_filter is None or passes(instance_filter, instance, now=now)


def filter_of(selection: Selection) -> Filter | None:
    """Return the filter of a selection, or None. All parts of a selection have the same one."""
    match selection:
        case OfIds() | OfReference() | OfAttribute():
            return None
        case OfPhases(ranges=ranges):
            return Filter(ranges=ranges)
        case OfAny(parts=parts):
            return next((part.instance_filter for part in parts), None)
        case _:
            return selection.instance_filter


def passes(instance_filter: Filter, instance: Instance, *, now: datetime) -> bool:
    """Return whether an instance passes a filter at an instant."""
    phase = phase_of(instance, now=now)
    if instance_filter.phases is not None and phase not in instance_filter.phases:
        return False
    if instance_filter.at_rest and instance.is_draining:
        return False
    if instance_filter.ranges and not any(is_in_range(each, instance) for each in instance_filter.ranges):
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


def scanned_statuses(selection: Part) -> Sequence[InstanceStatus | Phase]:
    """Return the statuses, or the phases of stops, whose instances are scanned."""
    phases = None if selection.instance_filter is None else selection.instance_filter.phases
    # The list of a strategy is divided by the phases of stops, so a scan of those meets no other instance.
    if phases is not None and set(phases) <= set(STOPPED_PHASES):
        return phases
    return selection.statuses


def created_since(selection: Part) -> datetime | None:
    """Return the lower bound of the creation date, or None if there is none."""
    since = selection.created_from
    if since is None or since.microsecond % 1000 == 0:
        return since
    # Creation dates are whole milliseconds, so the bound is rounded up to one.
    return since.replace(microsecond=since.microsecond // 1000 * 1000) + _ONE_MILLISECOND


def created_until(selection: Part, begun_at: datetime) -> datetime:
    """Return the upper bound of the creation date, in whole milliseconds.

    Instances created after the operation began are never selected.
    """
    until = begun_at if selection.created_to is None else min(begun_at, selection.created_to)
    return until.replace(microsecond=until.microsecond // 1000 * 1000)
