"""The stores of a world besides its main one, each behind ``io``, so that a process may crash in any of them."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Protocol

from msgspec.structs import replace

from dev.memory.limits import MemoryLimits
from dev.memory.stores import MemoryAccess, MemoryAudit, MemoryOperations, MemoryStrategies, MemoryWebhooks
from dev.memory.world import SequentialIds
from shared.adapters.controllers import NoControllers
from shared.adapters.dynamodb.tables import OPERATIONS
from shared.application.ports import (
    Clock,
    Controllers,
    InstanceStore,
    LimitAttempt,
    LimitStore,
    Operation,
    ServiceCaller,
    UnavailableError,
    Wakeups,
)
from shared.domain.bulk.operation import BulkOperation
from shared.domain.bulk.release import ReleaseJob
from shared.domain.errors import StoredShapeError
from shared.domain.ids import AccountId, InstanceSid, OperationSid, StrategySid
from shared.domain.instance.due_entries import DueEntry
from shared.domain.instance.flags import Flags
from shared.domain.instance.verdict import AuditEntry
from shared.domain.limits.state import LimitChange, LimitState
from shared.domain.strategy.flag import Flag
from shared.domain.strategy.model import Strategy, StrategyHead
from tests.simulation.index import ExactIndex, LaggingIndex


class Behind(Protocol):
    """The part of a world that these stores need."""

    strategy: Strategy
    now_at: datetime
    unreadable_met_at: datetime | None
    limit_states: MemoryLimits
    versions: dict[int, Strategy]
    broken_versions: dict[tuple[StrategySid, int], Callable[[], Exception]]
    unreadable_heads: set[StrategySid]
    flags: MemoryStrategies
    shards: int
    flags_cleared: int
    operation_entries: ExactIndex
    operations_index: LaggingIndex | None

    def io(self, label: str) -> None:
        """Let the current process be stopped, delayed or killed here."""

    def check(self, label: str) -> None:
        """Raise the error of an unavailable store, if there is a brown-out at this point."""

    def written(self, label: str, *, is_conditional: bool = True) -> None:
        """Pass the point after a write, and lose the reply to it if chance says so."""

    def may_lose_reply(self) -> None:
        """Lose the reply to a write, if chance says so. Raises: StaleRevError: the reply was lost."""


class Access(MemoryAccess):
    """The queue flags of a world. Only the shards that have instances have release jobs."""

    def __init__(self, world: Behind) -> None:
        inner = world.flags.access
        super().__init__(
            all_keys=inner.all_keys,
            paused_queues=inner.paused_queues,
            queue_pauses=inner.queue_pauses,
            audit=inner.audit,
            operations=inner.operations,
        )
        self.world = world

    def queue_flag(self, account: AccountId) -> Flag:
        self.world.io("queue_flag")
        return super().queue_flag(account)

    def set_queue_flag(
        self,
        account: AccountId,
        flag: Flag,
        *,
        audit: AuditEntry | None = None,
        release_jobs: Sequence[ReleaseJob] = (),
    ) -> None:
        self.world.io("set_queue_flag")
        if audit is not None:
            self.world.check("flag_audit")
        self.world.flags_cleared += not flag.is_paused
        jobs = of_this_world(self.world, release_jobs)
        super().set_queue_flag(account, flag, audit=audit, release_jobs=jobs)
        show_jobs(self.world, jobs)
        self.world.written("queue_set", is_conditional=False)


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
        self.world.check("operation_audit")
        super().create(bulk, audit=audit)
        self._show(bulk.sid)
        self.world.written("operation_created")

    def commit(self, operation: Operation, *, audit: AuditEntry | None = None) -> None:
        self.world.io("commit_operation")
        if audit is not None:
            self.world.check("operation_audit")
        super().commit(operation, audit=audit)
        self._show(operation.sid)
        self.world.written("operation_committed")
        self.world.may_lose_reply()

    def due(self, *, until: datetime, limit: int) -> list[DueEntry[OperationSid]]:
        index = self.world.operations_index
        self.world.check("due_operations")
        if index is None:
            shown = self.world.operation_entries.due(OPERATIONS, until=until, limit=limit)
        else:
            shown = index.due(OPERATIONS, until=until, limit=limit, now=self.world.now_at)
        return [DueEntry(sid=OperationSid(sid), partition=OPERATIONS, at=at) for at, sid in shown]

    def postpone(self, entry: DueEntry[OperationSid], *, now: datetime) -> bool:
        self.world.io("postpone_operation")
        is_postponed = super().postpone(entry, now=now)
        self._show(entry.sid)
        self.world.written("operation_postponed", is_conditional=False)
        return is_postponed

    def remove(self, release_job: ReleaseJob) -> None:
        self.world.io("remove_operation")
        super().remove(release_job)
        self._show(release_job.sid)
        self.world.written("operation_removed")

    def begin(self, jobs: Sequence[ReleaseJob]) -> None:
        """Add release jobs, as the clearing of a flag does."""
        self.release_jobs.update({job.sid: job for job in jobs})
        show_jobs(self.world, jobs)

    def _show(self, sid: OperationSid) -> None:
        """Let the due index follow a change."""
        at = next((at for at, one in self.sweep_entries() if one == sid), None)
        show_operation(self.world, sid, at)


class Limits(MemoryLimits):
    """The limits of services of a world."""

    def __init__(self, world: Behind) -> None:
        super().__init__(states=world.limit_states.states)
        self.world = world

    def load(self, account: AccountId, origin: str) -> LimitState:
        self.world.io("load_limit")
        return super().load(account, origin)

    def change(self, account: AccountId, origin: str, change: LimitChange) -> LimitAttempt:
        self.world.io("change_limit")
        attempt = super().change(account, origin, change)
        self.world.written("limit_changed", is_conditional=False)
        return attempt

    def try_change(self, account: AccountId, origin: str, change: LimitChange) -> LimitAttempt | None:
        try:
            return self.change(account, origin, change)
        except UnavailableError:  # the adapter reports it
            return None


class Strategies(MemoryStrategies):
    """The strategies of a world."""

    def __init__(self, world: Behind) -> None:
        inner = world.flags
        super().__init__(
            access=inner.access,
            heads=inner.heads,
            audit=inner.audit,
            strategies=inner.strategies,
            paused_strategies=inner.paused_strategies,
        )
        self.world = world

    def load(self, sid: StrategySid, version: int) -> Strategy:
        self.world.check("load_strategy")
        broken = self.world.broken_versions.get((sid, version))
        if broken is not None:
            self.world.unreadable_met_at = self.world.now_at
            raise broken()
        if sid != self.world.strategy.sid:
            return super().load(sid, version)
        return self.world.versions.get(version) or replace(self.world.strategy, version=version)

    def head(self, sid: StrategySid) -> StrategyHead | None:
        self.world.io("head")
        self._must_be_readable(sid)
        known = super().head(sid)
        if known is not None or sid != self.world.strategy.sid:
            return known
        # In most worlds the flag of the only strategy is set without a head.
        strategy, now = self.world.strategy, self.world.now_at
        return StrategyHead(
            sid=sid,
            account_id=strategy.account_id,
            name=strategy.name,
            version=strategy.version,
            created_at=now,
            updated_at=now,
            is_paused=sid in self.paused_strategies,
        )

    def set_paused(
        self,
        head: StrategyHead,
        *,
        before: StrategyHead,
        audit: AuditEntry,
        release_jobs: Sequence[ReleaseJob] = (),
    ) -> None:
        self.world.io("set_strategy_paused")
        self.world.check("flag_audit")
        jobs = of_this_world(self.world, release_jobs)
        super().set_paused(head, before=before, audit=audit, release_jobs=jobs)
        show_jobs(self.world, jobs)
        self.world.flags_cleared += not head.is_paused
        self.world.written("strategy_set")

    def flags(self, account: AccountId, strategy: StrategySid) -> Flags:
        self.world.io("flags")
        self._must_be_readable(strategy)
        return self.world.flags.flags(account, strategy)

    def _must_be_readable(self, sid: StrategySid) -> None:
        """Raise the error of a head that a newer version of the code wrote."""
        if sid in self.world.unreadable_heads:
            self.world.unreadable_met_at = self.world.now_at
            raise StoredShapeError("schema 99 is unknown")


def of_this_world(world: Behind, jobs: Sequence[ReleaseJob]) -> list[ReleaseJob]:
    """Return the jobs of shards that may have instances."""
    return [job for job in jobs if job.shard < world.shards]


def show_jobs(world: Behind, jobs: Sequence[ReleaseJob]) -> None:
    """Let the due index show new jobs."""
    for job in jobs:
        show_operation(world, job.sid, job.sweep_at)


def show_operation(world: Behind, sid: OperationSid, at: datetime | None) -> None:
    """Let the due index follow a change of an operation."""
    world.operation_entries.change(sid, OPERATIONS, at)
    if world.operations_index is not None:
        world.operations_index.change(sid, OPERATIONS, at, now=world.now_at)


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
    def limits(self) -> Limits:
        """The limits of services."""

    @property
    def audit(self) -> MemoryAudit:
        """All audit entries."""

    def deliver(self, sid: InstanceSid) -> None:
        """Invoke a step runner, now or when an environment is free."""

    def deliver_operation(self, sid: OperationSid) -> None:
        """Invoke a bulk runner, now or when an environment is free."""


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
        self.webhooks = MemoryWebhooks()
        self.limits: LimitStore = world.limits
        self.ids = world.names
        self.wakeups = self
        self._world = world

    def arm(self, name: str, at: datetime, sid: InstanceSid) -> None:
        self._world.arm(name, at, sid)

    def invoke(self, sid: InstanceSid) -> None:
        with suppress(UnavailableError):  # the adapter reports it; the next sweep tries again
            self._world.io("invoke")
            self._world.deliver(sid)

    def invoke_operation(self, sid: OperationSid) -> None:
        with suppress(UnavailableError):
            self._world.io("invoke_operation")
            self._world.deliver_operation(sid)
