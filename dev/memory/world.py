"""A clock, wakeups and ids in memory, controlled by the test.

Source: shared/application/ports.py.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from dev.memory.limits import MemoryLimits
from dev.memory.stores import (
    MemoryAccess,
    MemoryAudit,
    MemoryInstances,
    MemoryOperations,
    MemoryStrategies,
    MemoryWebhooks,
)
from shared.adapters.controllers import NoControllers
from shared.application.ports import Controllers, ServiceCaller
from shared.domain.ids import InstanceSid, OperationSid


@dataclass(slots=True)
class ManualClock:
    """A ``Clock`` that changes only when it is set. ``sleep`` advances it."""

    at: datetime

    def now(self) -> datetime:
        return self.at

    def sleep(self, seconds: float) -> None:
        if seconds > 0:
            self.at += timedelta(seconds=seconds)


@dataclass(slots=True)
class MemoryWakeups:
    """``Wakeups`` in lists: ``armed`` by name, ``invoked`` and ``operations`` in order."""

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
    """``Ids`` that count, so that they are the same in every run of a test. Instances take the shards in turn."""

    count: int = 0
    shards: int = 1

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
        return self.count % self.shards


@dataclass(slots=True, kw_only=True)
class MemoryPorts:
    """All ports in memory. The test provides the caller of services."""

    caller: ServiceCaller
    clock: ManualClock
    instances: MemoryInstances = field(default_factory=MemoryInstances)
    access: MemoryAccess = field(default_factory=MemoryAccess)
    strategies: MemoryStrategies = field(init=False)
    webhooks: MemoryWebhooks = field(default_factory=MemoryWebhooks)
    limits: MemoryLimits = field(default_factory=MemoryLimits)
    controllers: Controllers = field(default_factory=NoControllers)
    wakeups: MemoryWakeups = field(default_factory=MemoryWakeups)
    ids: SequentialIds = field(default_factory=SequentialIds)
    audit_kept: timedelta | None = None

    @property
    def operations(self) -> MemoryOperations:
        """The store of release jobs and bulk operations."""
        return self.access.operations

    @property
    def audit(self) -> MemoryAudit:
        """The audit entries of all stores."""
        return MemoryAudit(
            lists=[
                self.instances.audit,
                self.strategies.audit,
                self.access.audit,
                self.operations.audit,
                self.webhooks.audit,
            ],
            kept=self.audit_kept,
        )

    def __post_init__(self) -> None:
        """Give the strategies access to the queue flags."""
        self.strategies = MemoryStrategies(access=self.access)
