"""The safety net: looks at what nothing else has looked at in time.

Source: design section 3, items 2 and 3.
"""

from dataclasses import dataclass, field
from datetime import timedelta

from shared.application.commit import ContentionError, committed, ring
from shared.application.ports import Ports, UnknownStrategyError
from shared.domain.errors import RitornelloError
from shared.domain.ids import InstanceSid
from shared.domain.instance.due import NotYet, Over, Ready, attention_at, far_partition, look, swept_partition
from shared.domain.lifecycle.commands import Nudge


@dataclass(slots=True, kw_only=True)
class Swept:
    """What a sweep came to.

    rung: how many instances something was rung for. latest: how long the latest of them had been waiting.
    failed: instances that could not be looked at, and why; the next sweep tries again.
    """

    rung: int = 0
    latest: timedelta = timedelta()
    failed: dict[InstanceSid, str] = field(default_factory=dict)


def sweep(ports: Ports, shard: int, *, limit: int) -> Swept:
    """Wake a runner for every instance of a shard whose attention is due; arm what has come within the horizon.

    The entry is moved on by a back-off first, so a runner that dies at once is tried again, ever less often.
    One instance that cannot be read keeps nobody from the others. limit: of each kind at most.
    """
    swept, now = Swept(), ports.clock.now()
    for partition in (swept_partition(shard), far_partition(shard)):
        for sid in ports.instances.attention(partition, until=now, limit=limit):
            try:
                _nudge(ports, sid, swept)
            except (RitornelloError, UnknownStrategyError, ContentionError) as error:
                swept.failed[sid] = f"{type(error).__name__}: {error}"
    return swept


def ring_operations(ports: Ports, *, limit: int) -> int:
    """Have every operation that is due carried on; how many."""
    due = ports.operations.due(until=ports.clock.now(), limit=limit)
    for sid in due:
        ports.wakeups.invoke_operation(sid)
    return len(due)


def _nudge(ports: Ports, sid: InstanceSid, swept: Swept) -> None:
    instance = ports.instances.load(sid)
    now = ports.clock.now()
    if instance is None:
        return
    found, at = look(instance, now), attention_at(instance)
    is_far = isinstance(found, NotYet) and instance.arm_at is not None
    if at is None or at > now or not (is_far or isinstance(found, Ready | Over)):
        return
    strategy = ports.strategies.load(instance.strategy_sid, instance.strategy_version)
    verdict = committed(ports, strategy, instance, Nudge())
    if verdict is None:
        return
    if is_far:
        ring(ports, verdict.instance)
    else:
        ports.wakeups.invoke(sid)
        swept.latest = max(swept.latest, now - at)
    swept.rung += 1
