"""Gyms with many members, and bulk operations on them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from msgspec.structs import replace

from dev.memory.stores import MemoryInstances
from dev.memory.world import ManualClock, MemoryPorts
from shared.application.bulk.progress import BatchProgress
from shared.application.bulk.start import BulkRequest, begin_bulk
from shared.application.ports import Unreadable
from shared.application.start import StartInstance, start_instance
from shared.domain.bulk.operation import BulkCommand, BulkOperation
from shared.domain.bulk.selection import OfStrategy, Selection
from shared.domain.errors import StoredShapeError
from shared.domain.ids import AccountId, InstanceSid, OperationSid, StrategySid
from shared.domain.instance.model import Instance
from shared.domain.instance.verdict import Actor
from shared.domain.lifecycle.commands import Cancel
from shared.domain.steps.call import Answered, CallOutcome, ServiceRequest
from shared.domain.strategy.model import Strategy, StrategyHead
from tests.bulk_runs import run_bulk
from tests.simulation.stories import MEMBER, example

ANN = Actor(name="ann", reason="the gym closes")
ACCOUNT = AccountId("a-1")
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
NEXT_YEAR = NOON.replace(year=2027)
GYM = StrategySid("s-1")
WHOLE_GYM = OfStrategy(strategy=GYM)
CANCEL = Cancel(by=ANN)
A_LIFE = timedelta(minutes=15)


class Shop:
    """A service that accepts every request."""

    def call(self, request: ServiceRequest) -> CallOutcome:
        return Answered(status=201, body={"id": request.call_key})


@dataclass(slots=True)
class Marred(MemoryInstances):
    """A store that cannot read the instances in ``broken``."""

    broken: set[InstanceSid] = field(default_factory=set)

    def load(self, sid: InstanceSid) -> Instance | None:
        if sid in self.broken:
            raise StoredShapeError("is nothing that is known today")
        return MemoryInstances.load(self, sid)

    def load_many(self, sids: Sequence[InstanceSid]) -> list[Instance | Unreadable[InstanceSid]]:
        found = MemoryInstances.load_many(self, [sid for sid in sids if sid not in self.broken])
        broken = [sid for sid in sids if sid in self.broken]
        return [*found, *(Unreadable(key=sid, why="is nothing that is known today") for sid in broken)]


@cache
def the_gym() -> Strategy:
    return example("gym-membership")


def a_world(instances: MemoryInstances | None = None) -> MemoryPorts:
    """Return a gym without members."""
    ports = MemoryPorts(caller=Shop(), clock=ManualClock(NOON), instances=instances or MemoryInstances())
    open_gym(ports)
    return ports


def open_gym(ports: MemoryPorts, sid: StrategySid = GYM, *, folder: str = "/", **members: Any) -> Strategy:
    """Add a strategy to the account, in a folder."""
    strategy = replace(the_gym(), sid=sid, name=f"gym-{sid}", **members)
    ports.strategies.add(strategy)
    ports.strategies.heads[sid] = StrategyHead(
        sid=sid,
        account_id=ACCOUNT,
        name=strategy.name,
        version=1,
        created_at=NOON,
        updated_at=NOON,
        folder=folder,
    )
    return strategy


def joined(ports: MemoryPorts, count: int, *, gym: StrategySid = GYM, version: int = 1) -> list[InstanceSid]:
    """Return ``count`` new members, created a millisecond apart and first charged in a year."""
    strategy = replace(ports.strategies.load(gym, 1), version=version)
    ports.strategies.add(strategy)
    request = StartInstance(strategy_id=strategy.name, attributes=MEMBER, start_date=NEXT_YEAR)
    found = []
    for _ in range(count):
        found.append(start_instance(ports, strategy, request).instance.sid)
        ports.clock.at += timedelta(milliseconds=1)
    ports.wakeups.invoked.clear()
    ports.wakeups.armed.clear()
    return found


def begun(
    ports: MemoryPorts,
    selection: Selection = WHOLE_GYM,
    command: BulkCommand = CANCEL,
    **more: Any,
) -> BulkOperation:
    return begin_bulk(ports, BulkRequest(account=ACCOUNT, selection=selection, command=command, **more))


def progress(ports: MemoryPorts, sid: OperationSid, *, lasts: timedelta = A_LIFE) -> BatchProgress:
    """Run the bulk runner once."""
    ends = ports.clock.at + lasts
    return run_bulk(ports, sid, time_left=lambda: ends - ports.clock.at)


def stored(ports: MemoryPorts, sid: OperationSid) -> BulkOperation:
    return ports.operations.bulks[sid]


def statuses(ports: MemoryPorts, sids: Sequence[InstanceSid]) -> set[str]:
    return {ports.instances.instances[sid].status.value for sid in sids}
