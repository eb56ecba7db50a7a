"""When an instance stood still, and what for: remembered on it, so that somebody can be told later.

Source: contracts/core.md section 5 (``explain``).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from shared.domain.instance.model import (
    MAX_DOWNTIMES,
    BlockedBy,
    Downtime,
    Instance,
    InstanceStatus,
    StoodFor,
)
from shared.domain.instance.verdict import AuditEntry

MAX_WHY_CHARACTERS = 200
"""So much is kept of why it was paused; the audit trail has it whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusAt:
    """Where an instance stood at an instant.

    status: None where the history does not tell. since, by, why: of a pause, a cancelation or a completion.
    stop: what kept it from running what was due then, None where nothing is known to have.
    """

    status: InstanceStatus | None
    since: datetime | None = None
    by: str | None = None
    why: str | None = None
    stop: Downtime | None = None


def status_at(instance: Instance, at: datetime, audit: Sequence[AuditEntry] = ()) -> StatusAt:
    """Where it stood at an instant of its life that has come.

    audit: entries about it from around then, in any order; needed only where ``is_forgotten``.
    """
    stopped_at = instance.stopped_at
    if stopped_at is not None and stopped_at <= at:
        by, why = instance.stopped_by, instance.note
        paused = instance.status is InstanceStatus.PAUSED
        stop = Downtime(what=StoodFor.PAUSE, since=stopped_at, by=by, why=why) if paused else None
        return StatusAt(status=instance.status, since=stopped_at, by=by, why=why, stop=stop)
    stop = next((stop for stop in _stops(instance) if _covers(stop, at)), None)
    if stop is not None and stop.what is StoodFor.PAUSE:
        return StatusAt(status=InstanceStatus.PAUSED, since=stop.since, by=stop.by, why=stop.why, stop=stop)
    if stop is None and is_forgotten(instance, at):
        return _by_audit(audit, at)
    return StatusAt(status=InstanceStatus.ACTIVE, stop=stop)


def is_forgotten(instance: Instance, at: datetime) -> bool:
    """Whether it was so long ago that the instance itself does not remember how it stood then."""
    return len(instance.stops) == MAX_DOWNTIMES and at < instance.stops[0].since


def record_downtime(
    before: Instance, after: Instance, held: BlockedBy | None, *, claims: bool, now: datetime
) -> tuple[Downtime | None, tuple[Downtime, ...]]:
    """What holds an instance after a change, since when; and the times it stood still, ended by now.

    held: the flag that holds it after the change. claims: the change is a claim. That may be given back at once
    because the flag is still up, and then it is the same hold that goes on.
    """
    hold = _hold(before.hold, held, claims=claims, now=now)
    ended: list[Downtime] = []
    if before.hold is not None and hold is not before.hold:
        ended.append(replace(before.hold, until=now))
    if before.status is InstanceStatus.PAUSED and after.status is not InstanceStatus.PAUSED:
        ended.append(_pause(before, until=now))
    return hold, (*before.stops, *ended)[-MAX_DOWNTIMES:]


def _hold(hold: Downtime | None, held: BlockedBy | None, *, claims: bool, now: datetime) -> Downtime | None:
    """What holds it after a change, given what did before."""
    if held is None:
        return hold if claims else None
    what = _stood_for(held)
    return hold if hold is not None and hold.what is what else Downtime(what=what, since=now)


def _pause(paused: Instance, *, until: datetime) -> Downtime:
    """The pause of an instance that has gone on, or has ended, at an instant."""
    return Downtime(
        what=StoodFor.PAUSE,
        since=paused.stopped_at or until,
        until=until,
        by=paused.stopped_by,
        why=None if paused.note is None else paused.note[:MAX_WHY_CHARACTERS],
    )


def _stood_for(held: BlockedBy) -> StoodFor:
    return StoodFor.QUEUE if held is BlockedBy.QUEUE else StoodFor.STRATEGY


def _stops(instance: Instance) -> list[Downtime]:
    """All it remembers, pauses first, what still holds it included."""
    held = [] if instance.hold is None else [instance.hold]
    return sorted((*instance.stops, *held), key=lambda stop: stop.what is not StoodFor.PAUSE)


def _covers(stop: Downtime, at: datetime) -> bool:
    return stop.since <= at and (stop.until is None or at < stop.until)


def _by_audit(audit: Sequence[AuditEntry], at: datetime) -> StatusAt:
    """What entries from around an instant tell: each says in which status it found and left the instance."""
    known = [entry for entry in sorted(audit, key=lambda entry: entry.at) if entry.to_state is not None]
    before = [entry for entry in known if entry.at <= at]
    if not before:
        after = next((entry for entry in known if entry.at > at), None)
        return StatusAt(status=None if after is None else _status(after.from_state))
    status = _status(before[-1].to_state)
    if status is not InstanceStatus.PAUSED:
        return StatusAt(status=status)
    began = next((entry for entry in reversed(before) if entry.from_state != entry.to_state), None)
    if began is None:
        return StatusAt(status=status, stop=Downtime(what=StoodFor.PAUSE, since=before[0].at))
    stop = Downtime(what=StoodFor.PAUSE, since=began.at, by=began.by, why=began.reason)
    return StatusAt(status=status, since=began.at, by=began.by, why=began.reason, stop=stop)


def _status(state: str | None) -> InstanceStatus | None:
    return None if state is None else InstanceStatus(state)
