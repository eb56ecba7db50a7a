"""The whole engine in one process: stores, wakeups, services and operators, with simulated faults."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from dev.memory.limits import MemoryLimits
from dev.memory.stores import MemoryAudit, MemoryStrategies, MemoryWebhooks
from dev.memory.world import SequentialIds
from shared.adapters.controllers import NoControllers
from shared.adapters.dynamodb.tables import OPERATIONS
from shared.application.bulk.dispatch import run_operation
from shared.application.ports import Controllers, UnavailableError, UnknownStrategyError
from shared.application.runner.loop import run_due_events
from shared.application.sweep import sweep
from shared.application.workers import OneWorker
from shared.domain.bulk.pace import Pace
from shared.domain.errors import RitornelloError
from shared.domain.ids import InstanceSid, OperationSid, StrategySid
from shared.domain.strategy.model import Strategy
from tests.bulk_runs import PACE
from tests.simulation.functions import Function
from tests.simulation.index import ExactIndex, LaggingIndex
from tests.simulation.instances import Instances
from tests.simulation.ports import Access, Limits, Operations, Strategies, SweeperPorts
from tests.simulation.services import Services
from tests.simulation.stage import NEVER, Process
from tests.simulation.threads import Threads

LAMBDA = timedelta(seconds=900)
SWEEP_PERIOD = timedelta(seconds=60)
SWEEP_LASTS = timedelta(seconds=55)


@dataclass
class World(Instances, Services):
    """Time and everything in it.

    A world is a ``Ports`` itself, and every port goes through ``io``. ``versions`` are further versions of the
    strategy, and ``broken_versions`` those of any strategy that raise an error when they are loaded.
    ``unreadable_heads`` are strategies whose head and flag cannot be read. ``runner`` and ``bulk_runner`` are the
    functions if they have limits; else every invocation starts at once and fails for good.
    With ``cuts_off``, an invocation whose time is up is killed, and ``cut_off`` counts these. ``bulk_threads`` is how
    many threads an invocation of the bulk runner has.
    """

    delivers_wakeups: bool = True
    sweeper: bool = True
    flags: MemoryStrategies = field(default_factory=MemoryStrategies)
    controllers: Controllers = field(default_factory=NoControllers)
    names: SequentialIds = field(default_factory=SequentialIds)
    webhooks: MemoryWebhooks = field(default_factory=MemoryWebhooks)
    limit_states: MemoryLimits = field(default_factory=MemoryLimits)
    schedules: dict[str, tuple[datetime, InstanceSid]] = field(default_factory=dict)
    jobs: int = 0
    wakeup_count: int = 0
    versions: dict[int, Strategy] = field(default_factory=dict)
    broken_versions: dict[tuple[StrategySid, int], Callable[[], Exception]] = field(default_factory=dict)
    unreadable_heads: set[StrategySid] = field(default_factory=set)
    operation_entries: ExactIndex = field(default_factory=lambda: ExactIndex((OPERATIONS,)))
    operations_index: LaggingIndex | None = None
    runner: Function | None = None
    bulk_runner: Function | None = None
    bulk_threads: int = 3
    bulk_pace: Pace = PACE
    cuts_off: bool = False
    sweep_watchers: list[Callable[[], None]] = field(default_factory=list)
    failed_invocations: int = 0
    cut_off: int = 0
    flags_cleared: int = 0
    next_sweep: datetime = field(init=False)

    def __post_init__(self) -> None:
        """Add the strategy to the store."""
        self.flags.add(self.strategy)
        self.names.shards = self.shards
        self.next_sweep = self.now_at

    # --- the ports -------------------------------------------------------------------------------------

    @property
    def instances(self) -> "World":
        """The store, behind ``io``."""
        return self

    @property
    def strategies(self) -> "Strategies":
        """The strategies and flags, behind ``io``."""
        return Strategies(self)

    @property
    def access(self) -> "Access":
        """Keys and queue flags, behind ``io``."""
        return Access(self)

    @property
    def audit(self) -> MemoryAudit:
        """All audit entries."""
        access = self.flags.access
        return MemoryAudit(lists=[self.store.audit, self.flags.audit, access.audit, access.operations.audit])

    @property
    def operations(self) -> "Operations":
        """Release jobs and bulk operations, behind ``io``."""
        return Operations(self)

    @property
    def limits(self) -> "Limits":
        """The limits of services, behind ``io``."""
        return Limits(self)

    @property
    def caller(self) -> "World":
        """Services."""
        return self

    @property
    def wakeups(self) -> "World":
        """Wakeups."""
        return self

    @property
    def clock(self) -> "World":
        """Time."""
        return self

    @property
    def ids(self) -> SequentialIds:
        """Ids."""
        return self.names

    def arm(self, name: str, at: datetime, sid: InstanceSid) -> None:
        try:
            self.io("arm")
        except UnavailableError:  # the adapter reports it; the sweeper comes
            return
        if not self.delivers_wakeups or self.faults.happens(self.faults.lost_wakeup):
            return
        if self.faults.happens(self.faults.late_wakeup):
            at += timedelta(seconds=self.faults.rng.randint(60, 4000))
        elif self.faults.happens(self.faults.early_wakeup):
            at -= timedelta(seconds=self.faults.rng.randint(1, 4000))
        self.schedules.setdefault(name, (at, sid))
        if self.faults.happens(self.faults.double_wakeup):
            self.schedules.setdefault(f"{name}-again", (at + timedelta(seconds=1), sid))
        self.io("armed")

    def invoke(self, sid: InstanceSid) -> None:
        try:
            self.io("invoke")
        except UnavailableError:
            return
        if self.delivers_wakeups and not self.faults.happens(self.faults.lost_wakeup):
            self.deliver(sid)
        self.io("invoked")

    def invoke_operation(self, sid: OperationSid) -> None:
        try:
            self.io("invoke_operation")
        except UnavailableError:
            return
        if self.delivers_wakeups and not self.faults.happens(self.faults.lost_wakeup):
            self.deliver_operation(sid)

    # --- the story ---------------------------------------------------------------------------------------

    def invocation(self, body: Callable[[], object]) -> Callable[[], object]:
        """Return the body of a Lambda whose invocation fails if a store is unavailable or an item unreadable."""

        def run() -> None:
            try:
                body()
            except UnavailableError:
                self._fail()
            except (RitornelloError, UnknownStrategyError):
                # It may have given its claim back since, and everything may be readable by now.
                met_at = self.unreadable_met_at
                assert met_at is not None and self.now_at - met_at <= LAMBDA  # noqa: PT018 - one condition
                self._fail()

        return run

    def ask(self, name: str, request: Callable[[], object]) -> Process:
        """Let a client send a request now. It may end without an answer."""
        return self.do(name, self.invocation(request))

    def _fail(self) -> None:
        self.failed_invocations += 1
        assert self.stage.current is not None
        self.stage.current.has_failed = True

    def deliver(self, sid: InstanceSid) -> None:
        """Invoke a step runner, now or when an environment is free."""
        if self.runner is None:
            self.run(sid)
        else:
            self.runner.send(lambda: self.run(sid), now=self.now_at)

    def deliver_operation(self, sid: OperationSid) -> None:
        """Invoke a bulk runner, now or when an environment is free."""
        if self.bulk_runner is None:
            self.run_operation(sid)
        else:
            self.bulk_runner.send(lambda: self.run_operation(sid), now=self.now_at)

    def run(self, sid: InstanceSid) -> Process:
        """Invoke a step runner now."""
        self.jobs += 1
        job, started = f"job-{self.jobs}", self.now_at
        return self._lambda(
            job,
            lambda: run_due_events(self, sid, job=job, time_left=lambda: started + LAMBDA - self.now_at),
            lasts=LAMBDA,
        )

    def run_operation(self, sid: OperationSid) -> Process:
        """Invoke a bulk runner now."""
        started = self.now_at
        return self._lambda(
            f"bulk {sid}",
            lambda: run_operation(
                self,
                Threads(self, self.bulk_threads),
                sid,
                pace=self.bulk_pace,
                time_left=lambda: started + LAMBDA - self.now_at,
            ),
            lasts=LAMBDA,
        )

    def _lambda(self, name: str, body: Callable[[], object], *, lasts: timedelta) -> Process:
        process = self.do(name, self.invocation(body))
        process.dies_at = self.now_at + lasts if self.cuts_off else NEVER
        return process

    def run_until(self, end: datetime) -> None:
        """Advance time: processes take turns, wakeups are delivered, the sweeper sweeps."""
        self.stage.play(self._turns(end))

    def _turns(self, end: datetime) -> Iterator[Process]:
        """Yield the process of each turn until an instant."""
        functions = self._functions()
        for _ in range(1_000_000):
            for function in functions:
                function.start_ready(now=self.now_at)
            now = self.now_at
            ready = [one for one in self.stage.processes if one.wakes_at <= now or one.dies_at <= now]
            if ready:
                process = self.faults.rng.choice(ready)
                if process.dies_at <= now:
                    self.cut_off += not process.doomed
                    process.kill(now=now)
                yield process
                continue
            at = self._next_instant(functions)
            if at > end:
                self.now_at = max(self.now_at, end)
                return
            self.now_at = max(self.now_at, at)
            self._deliver_wakeups()
            self._sweep()
        raise AssertionError("the world does not come to rest")

    def rest(self) -> None:
        """Let every process end without advancing time."""
        self.run_until(self.now_at)

    def _functions(self) -> list[Function]:
        return [function for function in (self.runner, self.bulk_runner) if function is not None]

    def _next_instant(self, functions: list[Function]) -> datetime:
        instants = [process.wakes_at for process in self.stage.processes]
        if self.cuts_off:
            instants += [process.dies_at for process in self.stage.processes]
        instants += [at for at, _ in self.schedules.values()]
        instants += [at for function in functions if (at := function.next_instant()) is not None]
        first = min(instants, default=NEVER)
        to_be_swept = self._to_be_swept() if self.sweeper else None
        if to_be_swept is None or first <= max(to_be_swept, self.next_sweep):
            return first
        return min(first, self._on_the_minute(max(to_be_swept, self.next_sweep)))

    def _to_be_swept(self) -> datetime | None:
        """Return the instant of the first entry that the sweeper reads, or None if there is none."""
        instance, operation = self.entries.first_swept, self.operation_entries.first_swept
        if instance is None or operation is None:
            return instance or operation
        return min(instance, operation)

    def _on_the_minute(self, at: datetime) -> datetime:
        """Return the instant of the sweep at or after an instant."""
        return (
            at
            if at.second == 0 and at.microsecond == 0
            else at.replace(second=0, microsecond=0) + SWEEP_PERIOD
        )

    def _deliver_wakeups(self) -> None:
        now = self.now_at
        due = [(name, at, sid) for name, (at, sid) in self.schedules.items() if at <= now]
        for name, _, sid in sorted(due, key=lambda wakeup: wakeup[1]):
            del self.schedules[name]
            self.wakeup_count += 1
            self.deliver(sid)

    def _sweep(self) -> None:
        if not self.sweeper or self.now_at < self.next_sweep:
            return
        first = self._to_be_swept()
        if first is None or first > self.now_at:
            return
        self.next_sweep = self.now_at + SWEEP_PERIOD
        for watch in self.sweep_watchers:
            watch()
        self._lambda("sweep", self._run_sweep, lasts=SWEEP_LASTS)

    def _run_sweep(self) -> None:
        """Run the sweeper. Its wakeups are delivered even if other wakeups are not."""
        ends, could_fail = self.now_at + SWEEP_LASTS, self._something_can_fail()
        for report in sweep(SweeperPorts(self), OneWorker(), time_left=lambda: ends - self.now_at):
            assert report.failed == {} or could_fail or self._something_can_fail()

    def _something_can_fail(self) -> bool:
        return bool(self.brown_out or self.faults.lost_any_reply or self._is_something_unreadable())

    def _is_something_unreadable(self) -> bool:
        return bool(self.unreadable or self.broken_versions or self.unreadable_heads)
