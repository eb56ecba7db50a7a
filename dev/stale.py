"""Which wakeups have become stale: their event is done, canceled or moved, so that their runner would do nothing."""

from collections.abc import Sequence

from dev.schedules import Scheduled, Schedules
from shared.application.ports import InstanceStore, Unreadable
from shared.domain.ids import InstanceSid
from shared.domain.instance import due
from shared.domain.instance.model import Instance


def stale_wakeups(instances: InstanceStore, schedules: Schedules, head: Sequence[Scheduled]) -> set[str]:
    """Return the names of those schedules whose runner would do nothing, by one strongly consistent read."""
    found = instances.load_many([InstanceSid(one.sid) for one in head])
    by_sid = {item.key if isinstance(item, Unreadable) else item.sid: item for item in found}
    return {one.name for one in head if _is_stale(by_sid.get(InstanceSid(one.sid)), schedules, one)}


def _is_stale(
    instance: Instance | Unreadable[InstanceSid] | None, schedules: Schedules, one: Scheduled
) -> bool:
    if instance is None:
        return True
    if isinstance(instance, Unreadable):
        # Its runner says so.
        return False
    match due.next_action(instance, one.at):
        case due.Due() | due.ResumeDue() | due.CancelDue() | due.AnswerOverdue() | due.PlanExpired():
            return False
        case due.Scheduled(at=at, wakeup_name=name):
            # A runner would schedule that wakeup again, unless it is scheduled or lies beyond the horizon.
            armed = schedules.at(name)
            is_armed = name != one.name and armed is not None and (armed - at).total_seconds() <= 1
            return is_armed or instance.sweep.schedule_at is not None
        case due.Idle() | due.Leased():
            return True
