"""The stores of a world besides its main one, each behind ``io``, so that a process may crash in any of them."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Protocol

from dev.memory.stores import MemoryAccess, MemoryAudit, MemoryOperations, MemoryStrategies
from dev.memory.world import SequentialIds
from shared.adapters.controllers import NoControllers
from shared.application.ports import (
    Clock,
    Controllers,
    InstanceStore,
    Operation,
    ServiceCaller,
    UnavailableError,
    Wakeups,
)
from shared.domain.bulk.operation import BulkOperation
from shared.domain.bulk.release import ReleaseJob
from shared.domain.ids import AccountId, InstanceSid, OperationSid, StrategySid
from shared.domain.instance.due_entries import DueEntry
from shared.domain.instance.model import BlockedBy
from shared.domain.instance.verdict import AuditEntry
from shared.domain.strategy.model import Strategy
from tests.simulation.stage import Process


class Behind(Protocol):
    """The part of a world that these stores need."""

    strategy: Strategy
    versions: dict[int, Strategy]
    flags: MemoryStrategies

    def io(self, label: str) -> None:
        """Let the current process be stopped, delayed or killed here."""

    def check(self, label: str) -> None:
        """Raise the error of an unavailable store, if there is a brown-out at this point."""

    def may_lose_reply(self) -> None:
        """Lose the reply to a write, if chance says so. Raises: StaleRevError: the reply was lost."""


class Access(MemoryAccess):
    """The queue flags of a world. Its instances have one shard, so only that shard has a release job."""

    def __init__(self, world: Behind) -> None:
        inner = world.flags.access
        super().__init__(
            all_keys=inner.all_keys,
            paused_queues=inner.paused_queues,
            audit=inner.audit,
            operations=inner.operations,
        )
        self.world = world

    def queue_paused(self, account: AccountId) -> bool:
        self.world.io("queue_paused")
        return super().queue_paused(account)

    def set_queue_paused(
        self,
        account: AccountId,
        *,
        paused: bool,
        audit: AuditEntry | None = None,
        release_jobs: Sequence[ReleaseJob] = (),
    ) -> None:
        self.world.io("set_queue_paused")
        of_this_world = [release_job for release_job in release_jobs if release_job.shard == 0]
        super().set_queue_paused(account, paused=paused, audit=audit, release_jobs=of_this_world)
        self.world.io("queue_set")


class Operations(MemoryOperations):
    """The release jobs and bulk operations of a world."""

    def __init__(self, world: Behind) -> None:
        inner = world.flags.access.operations
        super().__init__(
            release_jobs=inner.release_jobs,
            bulks=inner.bulks,
            audit=inner.audit,
            postponements=inner.postponements,
        )
        self.world = world

    def load(self, sid: OperationSid) -> Operation | None:
        self.world.io("load_operation")
        return super().load(sid)

    def create(self, bulk: BulkOperation, *, audit: AuditEntry) -> None:
        self.world.io("create_operation")
        super().create(bulk, audit=audit)
        self.world.io("operation_created")

    def commit(self, operation: Operation, *, audit: AuditEntry | None = None) -> None:
        self.world.io("commit_operation")
        super().commit(operation, audit=audit)
        self.world.io("operation_committed")
        self.world.may_lose_reply()

    def postpone(self, entry: DueEntry[OperationSid], *, now: datetime) -> bool:
        self.world.io("postpone_operation")
        is_postponed = super().postpone(entry, now=now)
        self.world.io("operation_postponed")
        return is_postponed

    def remove(self, release_job: ReleaseJob) -> None:
        self.world.io("remove_operation")
        super().remove(release_job)
        self.world.io("operation_removed")


class Strategies(MemoryStrategies):
    """The strategies of a world."""

    def __init__(self, world: Behind) -> None:
        super().__init__(access=world.flags.access)
        self.world = world

    def load(self, sid: StrategySid, version: int) -> Strategy:  # noqa: ARG002 - one strategy a world
        self.world.check("load_strategy")
        return self.world.versions.get(version) or replace(self.world.strategy, version=version)

    def blocked_by(self, account: AccountId, strategy: StrategySid) -> BlockedBy | None:
        self.world.io("blocked_by")
        return self.world.flags.blocked_by(account, strategy)


class World(Behind, Wakeups, Clock, InstanceStore, ServiceCaller, Protocol):
    """The part of a world that the sweeper needs."""

    names: SequentialIds

    @property
    def strategies(self) -> Strategies:
        """The strategies and flags."""

    @property
    def access(self) -> Access:
        """Keys and queue flags."""

    @property
    def operations(self) -> Operations:
        """Release jobs and bulk operations."""

    @property
    def audit(self) -> MemoryAudit:
        """All audit entries."""

    def run(self, sid: InstanceSid) -> Process:
        """Invoke a step runner now."""

    def run_operation(self, sid: OperationSid) -> Process:
        """Invoke a bulk runner now."""


class SweeperPorts:
    """The ports of the sweeper. Its wakeups are delivered even if other wakeups are not."""

    def __init__(self, world: World) -> None:
        self.instances: InstanceStore = world
        self.strategies = world.strategies
        self.caller: ServiceCaller = world
        self.clock: Clock = world
        self.controllers: Controllers = NoControllers()
        self.access = world.access
        self.operations = world.operations
        self.audit = world.audit
        self.ids = world.names
        self.wakeups = self
        self._world = world

    def arm(self, name: str, at: datetime, sid: InstanceSid) -> None:
        self._world.arm(name, at, sid)

    def invoke(self, sid: InstanceSid) -> None:
        with suppress(UnavailableError):  # the adapter reports it; the next sweep tries again
            self._world.io("invoke")
            self._world.run(sid)

    def invoke_operation(self, sid: OperationSid) -> None:
        with suppress(UnavailableError):
            self._world.io("invoke_operation")
            self._world.run_operation(sid)
