"""A clock, doorbells and names in memory, moved by whoever tests with them.

Source: shared/application/ports.py.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from dev.memory.stores import MemoryAccess, MemoryAudit, MemoryInstances, MemoryOperations, MemoryStrategies
from shared.adapters.controllers import NoControllers
from shared.application.ports import Controllers, ServiceCaller
from shared.domain.ids import InstanceSid, OperationSid


@dataclass(slots=True)
class ManualClock:
    """A ``Clock`` that stands still until it is moved; ``sleep`` moves it."""

    at: datetime

    def now(self) -> datetime:
        return self.at

    def sleep(self, seconds: float) -> None:
        if seconds > 0:
            self.at += timedelta(seconds=seconds)


@dataclass(slots=True)
class MemoryWakeups:
    """``Wakeups`` kept in lists: ``armed`` by name, ``invoked`` and ``operations`` in order."""

    armed: dict[str, tuple[datetime, InstanceSid]] = field(default_factory=dict)
    invoked: list[InstanceSid] = field(default_factory=list)
    operations: list[OperationSid] = field(default_factory=list)

    def arm(self, name: str, at: datetime, sid: InstanceSid) -> None:
        self.armed.setdefault(name, (at, sid))

    def invoke(self, sid: InstanceSid) -> None:
        self.invoked.append(sid)

    def invoke_operation(self, sid: OperationSid) -> None:
        self.operations.append(sid)


@dataclass(slots=True)
class SequentialIds:
    """``Ids`` that count: names are the same in every run of a test."""

    count: int = 0

    def instance_sid(self) -> InstanceSid:
        self.count += 1
        return InstanceSid(f"i{self.count:04}")

    def token(self) -> str:
        self.count += 1
        return f"token-{self.count:016}"

    def secret(self) -> str:
        self.count += 1
        return f"secret-{self.count:036}"

    def shard(self) -> int:
        return 0


@dataclass(slots=True, kw_only=True)
class MemoryPorts:
    """All ports in memory; the caller is the test's own."""

    caller: ServiceCaller
    clock: ManualClock
    instances: MemoryInstances = field(default_factory=MemoryInstances)
    access: MemoryAccess = field(default_factory=MemoryAccess)
    strategies: MemoryStrategies = field(init=False)
    controllers: Controllers = field(default_factory=NoControllers)
    wakeups: MemoryWakeups = field(default_factory=MemoryWakeups)
    ids: SequentialIds = field(default_factory=SequentialIds)

    @property
    def operations(self) -> MemoryOperations:
        """Where drains and bulk operations are kept."""
        return self.access.operations

    @property
    def audit(self) -> MemoryAudit:
        """All that the stores have written down."""
        return MemoryAudit(
            lists=[
                self.instances.audit,
                self.strategies.audit,
                self.access.audit,
                self.operations.audit,
            ]
        )

    def __post_init__(self) -> None:
        """Let the strategies see the queue flags."""
        self.strategies = MemoryStrategies(access=self.access)
