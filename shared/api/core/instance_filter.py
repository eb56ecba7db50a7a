"""The filters of lists of instances, and which of them can be combined.

A combination is allowed if one index serves it. Source: docs/contracts/core.md section 5.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from msgspec import Struct

from shared.application.list_instances import (
    ByAccount,
    ByAttribute,
    ByFolder,
    ByPhase,
    ByReference,
    ByStrategy,
    CreationRange,
    InstanceList,
)
from shared.domain.errors import InvalidInputError, Problem
from shared.domain.ids import StrategySid
from shared.domain.instance.model import InstanceStatus
from shared.domain.instance.phase import STOPPED_PHASES, Phase, PhaseRange
from shared.domain.instance.reason import Cause, StopReason
from shared.domain.instance.verdict import ENGINE

STORED_PHASES = (*STOPPED_PHASES, Phase.RETRYING)
"""The phases that instances are listed by: those that their stored state shows."""

PHASES_OF: Mapping[Cause, tuple[Phase, ...]] = {
    Cause.OPERATOR: (Phase.PAUSED, Phase.CANCELED),
    Cause.CONTROLLER: (Phase.PAUSED, Phase.FAULTED),
    Cause.EXHAUSTED: (Phase.STUCK, Phase.FAULTED),
    Cause.IN_DOUBT: (Phase.STUCK,),
    Cause.POISONED: (Phase.STUCK,),
    Cause.PLAN: (Phase.FAULTED,),
    Cause.ENDED: (Phase.COMPLETED,),
    Cause.FAILED: (Phase.RETRYING,),
}
"""The phases that each cause leads to."""

CONTROLLER = "controller"
"""Who stopped an instance that its own controller stopped."""

COMBINATIONS = (
    "reference",
    "attribute",
    "strategyId with status or phase, and createdFrom and createdTo",
    "folder with status or phase, and createdFrom and createdTo",
    "phase, reason and stoppedBy, with strategyId only beside a reason with its detail",
    "status, createdFrom and createdTo",
)
"""The filters that an index serves, as text for users."""


class InstanceFilter(Struct, frozen=True, kw_only=True):
    """The filters of a request; None for those that are not used. ``attribute`` is a name and a text."""

    strategy: StrategySid | None = None
    folder: str | None = None
    status: InstanceStatus | None = None
    phase: Phase | None = None
    reason: StopReason | None = None
    stopped_by: str | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None
    reference: str | None = None
    attribute: tuple[str, str] | None = None


def list_of(criteria: InstanceFilter, *, below: str = "") -> InstanceList:
    """Return the list that the filters select. ``below`` is the pointer of the object that holds them.

    Raises: InvalidInputError: no index serves the combination, or no instance can match it.
    """
    used = _used(criteria)
    created = CreationRange(since=criteria.created_from, until=criteria.created_to)
    if created.since is not None and created.until is not None and created.until < created.since:
        raise _invalid(f"{below}/createdTo", "range", "must not be before createdFrom")
    if criteria.reference is not None:
        _check(used, {"reference"}, below)
        return ByReference(reference=criteria.reference)
    if criteria.attribute is not None:
        _check(used, {"attribute"}, below)
        name, text = criteria.attribute
        return ByAttribute(name=name, text=text)
    if criteria.reason is not None or criteria.stopped_by is not None or _needs_phase_index(criteria):
        _check(used, {"phase", "reason", "stoppedBy", "strategyId"}, below)
        return ByPhase(ranges=_ranges(criteria, below))
    statuses = _statuses(criteria)
    if criteria.folder is not None:
        _check(used, {"folder", "status", "phase", "createdFrom", "createdTo"}, below)
        return ByFolder(folder=criteria.folder, statuses=statuses, created=created)
    if criteria.strategy is not None:
        _check(used, {"strategyId", "status", "phase", "createdFrom", "createdTo"}, below)
        return ByStrategy(strategy=criteria.strategy, statuses=statuses, created=created)
    return ByAccount(status=criteria.status, created=created)


def _used(criteria: InstanceFilter) -> list[str]:
    members = {
        "reference": criteria.reference,
        "attribute": criteria.attribute,
        "strategyId": criteria.strategy,
        "folder": criteria.folder,
        "status": criteria.status,
        "phase": criteria.phase,
        "reason": criteria.reason,
        "stoppedBy": criteria.stopped_by,
        "createdFrom": criteria.created_from,
        "createdTo": criteria.created_to,
    }
    return [name for name, value in members.items() if value is not None]


def _needs_phase_index(criteria: InstanceFilter) -> bool:
    """Return whether only the index by phase can serve the phase."""
    if criteria.phase is None:
        return False
    return criteria.phase is Phase.RETRYING or (criteria.strategy is None and criteria.folder is None)


def _statuses(criteria: InstanceFilter) -> Sequence[InstanceStatus | Phase]:
    if criteria.phase is not None:
        return (criteria.phase,)
    return tuple(InstanceStatus) if criteria.status is None else (criteria.status,)


def _ranges(criteria: InstanceFilter, below: str) -> tuple[PhaseRange, ...]:
    phases = STORED_PHASES if criteria.phase is None else (criteria.phase,)
    causes = _causes(criteria, below)
    if causes is None:
        if criteria.strategy is not None:
            raise combination_problem(f"{below}/strategyId")
        return tuple(PhaseRange(phase=phase) for phase in phases)
    ranges = tuple(
        PhaseRange(phase=phase, cause=reason.cause, detail=reason.detail, strategy=criteria.strategy)
        for reason in causes
        for phase in PHASES_OF[reason.cause]
        if phase in phases
    )
    if not ranges:
        possible = ", ".join(cause for cause, where in PHASES_OF.items() if set(where) & set(phases))
        why = f"does not occur in this phase; the causes of its instances are {possible}"
        raise _invalid(f"{below}/{'reason' if criteria.reason else 'stoppedBy'}", "combination", why)
    if criteria.strategy is not None and any(phase_range.detail is None for phase_range in ranges):
        raise combination_problem(f"{below}/strategyId")
    return ranges


def _causes(criteria: InstanceFilter, below: str) -> tuple[StopReason, ...] | None:
    """Return the reasons that are asked for, or None for any."""
    reason, by = criteria.reason, criteria.stopped_by
    if by is None:
        return None if reason is None else (reason,)
    stopped = _stops_by(by)
    if reason is None:
        return stopped
    both = tuple(
        other if reason.detail is None else reason
        for other in stopped
        if reason.cause is other.cause and (None in (reason.detail, other.detail) or reason == other)
    )
    if not both:
        raise _invalid(f"{below}/stoppedBy", "combination", f"{by} does not stop instances for that reason")
    return both


def _stops_by(by: str) -> tuple[StopReason, ...]:
    """Return the reasons of stops by the engine, by a controller, or by an access key."""
    if by == CONTROLLER:
        return (StopReason(cause=Cause.CONTROLLER),)
    if by == ENGINE.name:
        own = (Cause.EXHAUSTED, Cause.IN_DOUBT, Cause.POISONED, Cause.PLAN, Cause.ENDED)
        return tuple(StopReason(cause=cause) for cause in own)
    return (StopReason(cause=Cause.OPERATOR, detail=by),)


def _check(used: Sequence[str], allowed: set[str], below: str) -> None:
    others = [name for name in used if name not in allowed]
    if others:
        raise combination_problem(f"{below}/{others[0]}")


def combination_problem(pointer: str) -> InvalidInputError:
    """Return the error of a filter that cannot be combined with the others."""
    possible = "; ".join(COMBINATIONS)
    return _invalid(
        pointer, "combination", f"cannot be combined with the other filters; possible are: {possible}"
    )


def _invalid(pointer: str, rule: str, message: str) -> InvalidInputError:
    return InvalidInputError((Problem(pointer=pointer, rule=rule, message=message),))
