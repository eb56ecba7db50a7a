"""Workers and stores whose work takes simulated time, so that thousands of instances take a second."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from heapq import heapify, heapreplace

from dev.memory.stores import MemoryInstances, MemoryOperations
from dev.memory.world import ManualClock, MemoryWakeups
from shared.application.ports import Crash, Item, Operation, PageKey, Result, Unreadable
from shared.application.workers import outcome_of
from shared.domain.ids import InstanceSid, StrategySid
from shared.domain.instance.due_entries import DueEntry
from shared.domain.instance.journal import EventRecord
from shared.domain.instance.model import Instance, InstanceStatus
from shared.domain.instance.phase import Phase
from shared.domain.instance.verdict import AuditEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """How long requests take, and the processor time of one piece of work.

    ``transact`` is a write of several items, ``invoke`` an invocation or a schedule.
    """

    get: timedelta
    put: timedelta
    invoke: timedelta
    transact: timedelta = timedelta()
    processor: timedelta = timedelta()


@dataclass(slots=True)
class Lanes:
    """``Workers`` that work at once in simulated time.

    Each piece begins in the lane that is free first. The processor works for a single lane at a time.
    """

    clock: ManualClock
    processor: timedelta
    count: int = 16

    def run(self, work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result | Crash]:
        lanes = [self.clock.at] * self.count
        heapify(lanes)
        processor_free, results = self.clock.at, []
        for item in items:
            processor_free = max(lanes[0], processor_free) + self.processor
            self.clock.at = processor_free
            results.append(outcome_of(work, item))
            heapreplace(lanes, self.clock.at)
        self.clock.at = max(lanes)
        return results


@dataclass(slots=True)
class SlowInstances(MemoryInstances):
    """A store whose requests take simulated time. It finds the instances of a shard without looking at the others."""

    clock: ManualClock = field(kw_only=True)
    latency: Latency = field(kw_only=True)
    by_shard: dict[str, list[Instance]] = field(default_factory=lambda: defaultdict(list))

    def add(self, instance: Instance) -> None:
        """Store an instance that is due or will be."""
        self.instances[instance.sid] = instance
        self.by_shard[str(instance.shard)].append(instance)

    def load(self, sid: InstanceSid) -> Instance | None:
        self.clock.at += self.latency.get
        return MemoryInstances.load(self, sid)

    def commit(
        self,
        instance: Instance,
        *,
        records: Sequence[EventRecord] = (),
        audit: AuditEntry | None = None,
        reopened: EventRecord | None = None,
    ) -> None:
        is_alone = audit is None and not records and reopened is None
        self.clock.at += self.latency.put if is_alone else self.latency.transact
        MemoryInstances.commit(self, instance, records=records, audit=audit, reopened=reopened)

    def load_many(self, sids: Sequence[InstanceSid]) -> list[Instance | Unreadable[InstanceSid]]:
        self.clock.at += self.latency.get
        return MemoryInstances.load_many(self, sids)

    def oldest_of_strategy(
        self,
        strategy: StrategySid,
        statuses: Sequence[InstanceStatus | Phase],
        *,
        after: PageKey | None,
        until: datetime,
        limit: int,
    ) -> list[PageKey]:
        self.clock.at += self.latency.get
        return MemoryInstances.oldest_of_strategy(
            self, strategy, statuses, after=after, until=until, limit=limit
        )

    def due(self, partition: str, *, until: datetime, limit: int) -> list[DueEntry[InstanceSid]]:
        self.clock.at += self.latency.get
        own = MemoryInstances(
            instances={one.sid: self.instances[one.sid] for one in self.by_shard.get(partition, [])},
            postponements=self.postponements,
        )
        return own.due(partition, until=until, limit=limit)


@dataclass(slots=True)
class SlowOperations(MemoryOperations):
    """A store whose writes take simulated time."""

    clock: ManualClock = field(kw_only=True)
    latency: Latency = field(kw_only=True)

    def commit(self, operation: Operation, *, audit: AuditEntry | None = None) -> None:
        self.clock.at += self.latency.put
        MemoryOperations.commit(self, operation, audit=audit)


@dataclass(slots=True)
class SlowWakeups(MemoryWakeups):
    """Wakeups that take simulated time and reach no runner. ``first`` is the time of each instance's first wakeup."""

    clock: ManualClock = field(kw_only=True)
    latency: Latency = field(kw_only=True)
    first: dict[InstanceSid, datetime] = field(default_factory=dict)

    def arm(self, name: str, at: datetime, sid: InstanceSid) -> None:
        self.clock.at += self.latency.invoke
        MemoryWakeups.arm(self, name, at, sid)

    def invoke(self, sid: InstanceSid) -> None:
        self.clock.at += self.latency.invoke
        self.first.setdefault(sid, self.clock.at)
