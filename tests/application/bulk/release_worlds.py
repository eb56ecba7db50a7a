"""A shop whose instances are blocked by a paused queue, and the release jobs that release them."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from dev.memory.stores import MemoryInstances
from dev.memory.world import ManualClock, MemoryPorts
from shared.application.flags import pause_queue
from shared.application.runner.loop import run_due_events
from shared.application.start import StartInstance, start_instance
from shared.domain.ids import InstanceSid, OperationSid
from shared.domain.instance.due_entries import DueEntry
from shared.domain.instance.verdict import Actor
from tests.application.bulk.bulk_worlds import A_LIFE, ACCOUNT, NOON, Shop
from tests.bulk_runs import run_bulk
from tests.simulation.stories import example

ANN = Actor(name="ann")
OURS = OperationSid("release-queue-a-1-0")


@dataclass(slots=True)
class Lagging(MemoryInstances):
    """A store whose due index returns the same entries for the next ``stale_reads`` reads."""

    stale_reads: int = 0
    shown: list[DueEntry[InstanceSid]] = field(default_factory=list)

    def due(self, partition: str, *, until: datetime, limit: int) -> list[DueEntry[InstanceSid]]:
        if self.stale_reads == 0:
            return MemoryInstances.due(self, partition, until=until, limit=limit)
        self.stale_reads -= 1
        self.shown = self.shown or MemoryInstances.due(self, partition, until=until, limit=limit)
        return self.shown


def a_world(instances: MemoryInstances | None = None) -> MemoryPorts:
    ports = MemoryPorts(caller=Shop(), clock=ManualClock(NOON), instances=instances or MemoryInstances())
    ports.strategies.add(example("water-filter-refill"))
    return ports


def blocked(ports: MemoryPorts, count: int) -> list[InstanceSid]:
    """Return ``count`` new instances that are blocked by the paused queue."""
    pause_queue(ports, ACCOUNT, by=ANN)
    (strategy,) = ports.strategies.strategies.values()
    request = StartInstance(strategy_id=strategy.name, attributes={"customerId": "c"})
    sids = [start_instance(ports, strategy, request).instance.sid for _ in range(count)]
    for sid in sids:
        run_due_events(ports, sid, job="j", time_left=lambda: A_LIFE)
    assert blocked_sids(ports) == set(sids)
    ports.wakeups.invoked.clear()
    return sids


def blocked_sids(ports: MemoryPorts) -> set[InstanceSid]:
    return {sid for sid, instance in ports.instances.instances.items() if instance.blocked_by is not None}


def progress(ports: MemoryPorts, *, lasts: timedelta = A_LIFE, sid: OperationSid = OURS) -> int:
    """Run the bulk runner once and return how many instances it released."""
    ends = ports.clock.at + lasts
    return run_bulk(ports, sid, time_left=lambda: ends - ports.clock.at).done


def run_when_due(ports: MemoryPorts, *, until: datetime, sid: OperationSid = OURS) -> int:
    """Run the bulk runner whenever the job is due, as the sweeper does, and return how often."""
    runs = 0
    while (job := ports.operations.release_jobs.get(sid)) is not None and job.sweep_at <= until:
        ports.clock.at = max(ports.clock.at, job.sweep_at)
        progress(ports, sid=sid)
        runs += 1
    ports.clock.at = max(ports.clock.at, until)
    return runs
