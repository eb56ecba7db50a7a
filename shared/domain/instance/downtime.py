"""The downtimes of an instance: when it did not run due events, and why.

The instance stores its last downtimes, so ``explain`` can answer questions about the past.
Source: docs/contracts/core.md section 5.
"""

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct

from shared.domain.instance.model import MAX_DOWNTIMES, Blocked, Downtime, Instance, InstanceStatus
from shared.domain.instance.verdict import AuditEntry

MAX_WHY_CHARACTERS = 200
"""How many characters of a pause's reason are kept; the audit trail has the full text."""


class StatusAt(Struct, frozen=True, kw_only=True):
    """The status of an instance at a past instant.

    ``status`` is None if the history does not reach back far enough. ``since``, ``by`` and ``why`` describe the
    pause, cancelation or completion. ``downtime`` is the downtime at that instant, None if there was none.
    """

    status: InstanceStatus | None
    since: datetime | None = None
    by: str | None = None
    why: str | None = None
    downtime: Downtime | None = None


def status_at(instance: Instance, at: datetime, audit: Sequence[AuditEntry] = ()) -> StatusAt:
    """Return the status at a past instant of the instance's life.

    ``audit`` holds entries about the instance from around the instant, in any order. It is needed only if
    ``is_forgotten`` returns True.
    """
    stop = instance.stop
    if stop is not None and stop.at <= at:
        is_paused = instance.status is InstanceStatus.PAUSED
        downtime = Downtime(since=stop.at, until=stop.until, by=stop.by, why=stop.note) if is_paused else None
        return StatusAt(status=instance.status, since=stop.at, by=stop.by, why=stop.note, downtime=downtime)
    # A pause wins over a block at the same time: ``_downtimes`` lists pauses first.
    past_downtime = next((downtime for downtime in _downtimes(instance) if _covers(downtime, at)), None)
    if past_downtime is not None and past_downtime.blocked_by is None:
        return StatusAt(
            status=InstanceStatus.PAUSED,
            since=past_downtime.since,
            by=past_downtime.by,
            why=past_downtime.why,
            downtime=past_downtime,
        )
    if past_downtime is None and is_forgotten(instance, at):
        return _by_audit(audit, at)
    return StatusAt(status=InstanceStatus.ACTIVE, downtime=past_downtime)


def is_forgotten(instance: Instance, at: datetime) -> bool:
    """Return whether the instant is before the downtimes that the instance still remembers."""
    return len(instance.downtimes) == MAX_DOWNTIMES and at < instance.downtimes[0].since


def will_be_forgotten(instance: Instance, at: datetime) -> bool:
    """Return whether the instant is before the downtimes that are remembered when the present ones have ended."""
    since = [downtime.since for downtime in instance.downtimes]
    if instance.blocked is not None:
        since.append(instance.blocked.since)
    if instance.stop is not None and instance.status is InstanceStatus.PAUSED:
        since.append(instance.stop.at)
    return len(since) >= MAX_DOWNTIMES and at < since[-MAX_DOWNTIMES]


def record_downtime(
    before: Instance, after: Instance, blocked: Blocked | None, *, now: datetime
) -> tuple[Downtime, ...]:
    """Return the downtimes after a change, including those that the change ends.

    ``blocked`` is the instance's block after the change.
    """
    ended: list[Downtime] = []
    if before.blocked is not None and blocked is not before.blocked:
        ended.append(Downtime(blocked_by=before.blocked.by, since=before.blocked.since, until=now))
    stop = before.stop
    if stop is not None and before.status is InstanceStatus.PAUSED and after.status is not before.status:
        why = None if stop.note is None else stop.note[:MAX_WHY_CHARACTERS]
        until = now if stop.until is None else min(now, stop.until)
        ended.append(Downtime(since=stop.at, until=until, by=stop.by, why=why))
    # Only the last ones are kept: the instance must stay within one small item. Older ones are read from the audit.
    return (*before.downtimes, *ended)[-MAX_DOWNTIMES:]


def _downtimes(instance: Instance) -> list[Downtime]:
    """Return the remembered downtimes and a current block, pauses first."""
    blocked = instance.blocked
    current = [] if blocked is None else [Downtime(blocked_by=blocked.by, since=blocked.since)]
    return sorted((*instance.downtimes, *current), key=lambda downtime: downtime.blocked_by is not None)


def _covers(downtime: Downtime, at: datetime) -> bool:
    return downtime.since <= at and (downtime.until is None or at < downtime.until)


def _by_audit(audit: Sequence[AuditEntry], at: datetime) -> StatusAt:
    """Return the status at an instant from the statuses before and after in nearby audit entries."""
    known = [entry for entry in sorted(audit, key=lambda entry: entry.at) if entry.to_state is not None]
    before = [entry for entry in known if entry.at <= at]
    if not before:
        # The first later entry has the status before it.
        after = next((entry for entry in known if entry.at > at), None)
        return StatusAt(status=None if after is None else _status(after.from_state))
    status = _status(before[-1].to_state)
    if status is not InstanceStatus.PAUSED:
        return StatusAt(status=status)
    began = next((entry for entry in reversed(before) if entry.from_state != entry.to_state), None)
    # The pause began before the entries that were read, so its author is unknown.
    if began is None:
        return StatusAt(status=status, downtime=Downtime(since=before[0].at))
    downtime = Downtime(since=began.at, by=began.by, why=began.reason)
    return StatusAt(status=status, since=began.at, by=began.by, why=began.reason, downtime=downtime)


def _status(state: str | None) -> InstanceStatus | None:
    return None if state is None else InstanceStatus(state)
