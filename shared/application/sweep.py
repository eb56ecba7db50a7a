"""The safety net: looks at what nothing else has looked at in time.

Source: design section 3, items 2 and 3.
"""

from shared.application.committing import committed, ring, settled
from shared.application.ports import Ports
from shared.domain.attention import (
    SHARDS,
    Over,
    Ready,
    attention_at,
    held_partition,
    look,
    swept_partition,
)
from shared.domain.commands import Nudge, Unpark
from shared.domain.decision import Applied
from shared.domain.ids import InstanceSid
from shared.domain.instance import HeldBy


def sweep(ports: Ports, shard: int, *, limit: int) -> int:
    """Wake a runner for every instance of a shard whose attention is due; how many were woken.

    The entry is moved on by a back-off first, so a runner that dies at once is tried again, ever less often.
    """
    due = ports.instances.attention(swept_partition(shard), until=ports.clock.now(), limit=limit)
    return sum(_nudged(ports, sid) for sid in due)


def drain(ports: Ports, held: HeldBy, owner: str, *, limit: int) -> int:
    """Free what a resumed flag has held, at most ``limit`` of each partition; how many were freed."""
    freed = 0
    for shard in range(SHARDS):
        partition = held_partition(held, owner, shard)
        for sid in ports.instances.attention(partition, until=ports.clock.now(), limit=limit):
            verdict = settled(ports, sid, Unpark())
            if isinstance(verdict, Applied):
                ring(ports, verdict.instance)
                freed += 1
    return freed


def _nudged(ports: Ports, sid: InstanceSid) -> bool:
    instance = ports.instances.load(sid)
    now = ports.clock.now()
    if instance is None or not isinstance(look(instance, now), Ready | Over):
        return False
    at = attention_at(instance)
    if at is None or at > now:
        return False
    strategy = ports.strategies.load(instance.strategy_sid, instance.strategy_version)
    if committed(ports, strategy, instance, Nudge()) is None:
        return False
    ports.wakeups.invoke(sid)
    return True
