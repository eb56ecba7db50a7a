"""The sweep: wake a runner for instances whose wakeup was lost.

Source: docs/design.md sections 3.2 and 3.3.
"""

from dataclasses import dataclass, field
from datetime import timedelta

from shared.application.commit import ContentionError, schedule_wakeup, try_commit
from shared.application.ports import Ports, UnknownStrategyError
from shared.domain.errors import RitornelloError
from shared.domain.ids import InstanceSid
from shared.domain.instance.due import (
    Due,
    PlanExpired,
    Scheduled,
    far_partition,
    next_action,
    sweep_at,
    swept_partition,
)
from shared.domain.lifecycle.commands import RecordSweep


@dataclass(slots=True, kw_only=True)
class Swept:
    """The result of a sweep.

    ``wakeups`` is the number of instances a wakeup was sent or scheduled for. ``latest`` is how long the latest of
    them had waited. ``failed`` are instances that could not be checked, with the reason; the next sweep tries them
    again.
    """

    wakeups: int = 0
    latest: timedelta = timedelta()
    failed: dict[InstanceSid, str] = field(default_factory=dict)


def sweep(ports: Ports, shard: int, *, limit: int) -> Swept:
    """Wake a runner for every instance of a shard that is due, and schedule wakeups that are now within the horizon.

    An instance that cannot be read does not stop the sweep. ``limit`` is the maximum for each of the two partitions.
    """
    swept, now = Swept(), ports.clock.now()
    for partition in (swept_partition(shard), far_partition(shard)):
        for sid in ports.instances.due(partition, until=now, limit=limit):
            try:
                _wake(ports, sid, swept)
            except (RitornelloError, UnknownStrategyError, ContentionError) as error:
                swept.failed[sid] = f"{type(error).__name__}: {error}"
    return swept


def wake_operations(ports: Ports, *, limit: int) -> int:
    """Wake the bulk runner for every operation that is due, and return how many there were."""
    due = ports.operations.due(until=ports.clock.now(), limit=limit)
    for sid in due:
        ports.wakeups.invoke_operation(sid)
    return len(due)


def _wake(ports: Ports, sid: InstanceSid, swept: Swept) -> None:
    # The index is eventually consistent, so the instance decides if it is due.
    instance = ports.instances.load(sid)
    now = ports.clock.now()
    if instance is None:
        return
    found, at = next_action(instance, now), sweep_at(instance)
    is_far = isinstance(found, Scheduled) and instance.sweep.schedule_at is not None
    if at is None or at > now or not (is_far or isinstance(found, Due | PlanExpired)):
        return
    strategy = ports.strategies.load(instance.strategy_sid, instance.strategy_version)
    # First the back-off: a runner that crashes at once is woken again, but less and less often.
    verdict = try_commit(ports, strategy, instance, RecordSweep())
    if verdict is None:
        return
    if is_far:
        schedule_wakeup(ports, verdict.instance)
    else:
        ports.wakeups.invoke(sid)
        swept.latest = max(swept.latest, now - at)
    swept.wakeups += 1
