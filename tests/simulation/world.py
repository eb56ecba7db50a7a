"""The whole engine in one process: stores, wakeups, services and operators, with simulated faults."""

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from dev.memory.stores import MemoryAudit, MemoryInstances, MemoryStrategies
from dev.memory.world import OneWorker, SequentialIds
from shared.adapters.controllers import NoControllers
from shared.application.bulk.dispatch import run_operation
from shared.application.ports import (
    ConnectionLostError,
    Controllers,
    OverloadedError,
    PageKey,
    StaleRevError,
    UnavailableError,
    Unreadable,
)
from shared.application.runner.loop import run_due_events
from shared.application.sweep import sweep
from shared.domain.ids import AccountId, InstanceSid, OperationSid, StrategySid
from shared.domain.instance.due import SHARDS, far_partition, swept_partition
from shared.domain.instance.due_entries import DueEntry
from shared.domain.instance.journal import Answer, EventHistory, EventRecord, JournalEntry
from shared.domain.instance.model import Instance, InstanceStatus
from shared.domain.instance.verdict import AuditEntry
from shared.domain.steps.call import Answered, CallOutcome, ServiceRequest, TimedOut, Unreachable
from shared.domain.strategy.model import Strategy
from tests.simulation.ports import Access, Operations, Strategies, SweeperPorts
from tests.simulation.stage import Process, Stage

LAMBDA = timedelta(seconds=900)
SWEEP_PERIOD = timedelta(seconds=60)
SWEEP_LASTS = timedelta(seconds=55)
NOT_SENT = "connection refused"
"""The error of a call that did not reach its service."""

OTHER_PARTITIONS = frozenset(
    partition(shard) for shard in range(1, SHARDS) for partition in (swept_partition, far_partition)
)
REFUSALS = (409, 425, 429, 503)
"""The statuses of a service that has not done it and may be asked again."""

GARBLED = (
    *(Answered(status=status) for status in (302, 408, 500, 502, 504, 520)),
    Answered(status=200, unusable="larger than 128 KB"),
    Answered(status=201, body={"id": "\0"}),
)
"""Answers that a gateway, or a broken line, makes of the answer of a service, whatever the service has done."""


@dataclass(slots=True)
class Faults:
    """The faults of a story.

    Chances apply to each point, and only to the first ``until`` points. ``kill_at`` are the numbers of points with a
    crash.
    """

    rng: random.Random
    until: int = 0
    kill: float = 0.0
    stall: float = 0.0
    lost_reply: float = 0.0
    lost_wakeup: float = 0.0
    double_wakeup: float = 0.0
    late_wakeup: float = 0.0
    early_wakeup: float = 0.0
    service_error: float = 0.0
    service_silence: float = 0.0
    service_refusal: float = 0.0
    service_garbling: float = 0.0
    kill_at: frozenset[int] = frozenset()
    points: int = 0

    def happens(self, chance: float) -> bool:
        """Return whether a fault with that chance happens now."""
        return chance > 0 and self.points <= self.until and self.rng.random() < chance


@dataclass(slots=True)
class BrownOut:
    """A time in which some points fail: those before a write with nothing written, those after it with all written.

    It begins with the point number ``from_point``, lasts for ``lasts``, and spares a point with the chance ``spared``.
    """

    rng: random.Random
    labels: frozenset[str]
    from_point: int = 0
    lasts: timedelta = timedelta(hours=1)
    spared: float = 0.0
    ends_at: datetime | None = None
    failures: int = 0

    def fails(self, label: str, point: int, now: datetime) -> bool:
        """Return whether a point fails."""
        if point < self.from_point:
            return False
        self.ends_at = self.ends_at or now + self.lasts
        fails = label in self.labels and now < self.ends_at and self.rng.random() >= self.spared
        self.failures += fails
        return fails


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """A call as the service received it.

    ``took_effect`` is True if the service did it, whatever it answered. ``is_refused`` means that the service had not
    done it and said so, or that nothing reached it: the same call may be sent again.
    """

    at: datetime
    url: str
    method: str
    key: str
    took_effect: bool
    status: str
    is_refused: bool = False


@dataclass
class World:
    """Time and everything in it.

    A world is a ``Ports`` itself, and every port goes through ``io``. ``delays`` says how long a process, by name,
    stalls at a point, by label, once. ``versions`` are further versions of the strategy. ``too_late`` are journal
    entries of runners that had lost their event.
    """

    strategy: Strategy
    now_at: datetime
    faults: Faults
    delivers_wakeups: bool = True
    sweeper: bool = True
    store: MemoryInstances = field(default_factory=MemoryInstances)
    flags: MemoryStrategies = field(default_factory=MemoryStrategies)
    controllers: Controllers = field(default_factory=NoControllers)
    names: SequentialIds = field(default_factory=SequentialIds)
    stage: Stage = field(default_factory=Stage)
    schedules: dict[str, tuple[datetime, InstanceSid]] = field(default_factory=dict)
    ledger: list[Sending] = field(default_factory=list)
    answers: Callable[[ServiceRequest], CallOutcome] = lambda _: Answered(status=200, body={"id": "1"})
    jobs: int = 0
    wakeup_count: int = 0
    watchers: list[Callable[[ServiceRequest], None]] = field(default_factory=list)
    commit_watchers: list[Callable[[Instance], None]] = field(default_factory=list)
    delays: dict[tuple[str, str], timedelta] = field(default_factory=dict)
    versions: dict[int, Strategy] = field(default_factory=dict)
    too_late: list[JournalEntry] = field(default_factory=list)
    brown_out: BrownOut | None = None
    failed_invocations: int = 0
    next_sweep: datetime = field(init=False)

    def __post_init__(self) -> None:
        """Add the strategy to the store."""
        self.flags.add(self.strategy)
        self.next_sweep = self.now_at

    # --- the ports -------------------------------------------------------------------------------------

    @property
    def failures_met(self) -> int:
        """How often a store was unavailable."""
        return 0 if self.brown_out is None else self.brown_out.failures

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
        return MemoryAudit(
            lists=[self.store.audit, self.flags.access.audit, self.flags.access.operations.audit]
        )

    @property
    def operations(self) -> "Operations":
        """Release jobs and bulk operations, behind ``io``."""
        return Operations(self)

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

    def now(self) -> datetime:
        return self.now_at

    def sleep(self, seconds: float) -> None:
        if seconds > 0 and self.stage.current is not None:
            self.stage.current.wakes_at = self.now_at + timedelta(seconds=seconds)
            self.stage.point("sleep")

    def load(self, sid: InstanceSid) -> Instance | None:
        self.io("load")
        return self.store.load(sid)

    def create(
        self,
        instance: Instance,
        *,
        records: Sequence[EventRecord] = (),
        audit: AuditEntry | None = None,
    ) -> None:
        self.io("create")
        self.store.create(instance, records=records, audit=audit)
        self.io("created")

    def commit(
        self,
        instance: Instance,
        *,
        records: Sequence[EventRecord] = (),
        audit: AuditEntry | None = None,
        reopened: EventRecord | None = None,
    ) -> None:
        self.io("commit")
        if records or reopened is not None:
            self.check("commit_records")
        if audit is not None:
            self.check("commit_audit")
        self.store.commit(instance, records=records, audit=audit, reopened=reopened)
        for watch in self.commit_watchers:
            watch(instance)
        self.io("committed")
        self.may_lose_reply()

    def append(self, instance: Instance, entry: JournalEntry) -> None:
        self.io("append")
        self.store.append(instance, entry)
        now = self.store.instances[instance.sid]
        if now.executing is None or (now.executing.seq, now.fence) != (entry.seq, entry.fence):
            self.too_late.append(entry)
        self.io("appended")

    def put_answer(self, instance: Instance, seq: int, answer: Answer) -> None:
        self.io("put_answer")
        self.store.put_answer(instance, seq, answer)
        self.io("answer_put")

    def put_record(self, instance: Instance, record: EventRecord) -> None:
        self.io("put_record")
        self.store.put_record(instance, record)
        self.io("record_put")

    def event_history(self, sid: InstanceSid, seq: int) -> EventHistory:
        self.io("event_history")
        return self.store.event_history(sid, seq)

    def records_before(
        self, sid: InstanceSid, seq: int, *, limit: int
    ) -> list[EventRecord | Unreadable[int]]:
        return self.store.records_before(sid, seq, limit=limit)

    def journal_between(
        self, sid: InstanceSid, first: int, last: int
    ) -> list[JournalEntry | Unreadable[int]]:
        return self.store.journal_between(sid, first, last)

    def records_of_month(
        self, account: AccountId, month: date, *, since: datetime, until: datetime, limit: int
    ) -> Iterator[EventRecord | Unreadable[str]]:
        return self.store.records_of_month(account, month, since=since, until=until, limit=limit)

    def due(self, partition: str, *, until: datetime, limit: int) -> list[DueEntry[InstanceSid]]:
        # A world has one shard. If reading the others could fail too, few faults would be left for the rest.
        if partition not in OTHER_PARTITIONS:
            self.io("due")
        return self.store.due(partition, until=until, limit=limit)

    def postpone(self, entry: DueEntry[InstanceSid], *, now: datetime) -> bool:
        self.io("postpone")
        return self.store.postpone(entry, now=now)

    def load_many(self, sids: Sequence[InstanceSid]) -> list[Instance | Unreadable[InstanceSid]]:
        self.io("load_many")
        return self.store.load_many(sids)

    def of_strategy(
        self, strategy: StrategySid, statuses: Sequence[InstanceStatus], *, before: PageKey | None, limit: int
    ) -> list[PageKey]:
        return self.store.of_strategy(strategy, statuses, before=before, limit=limit)

    def oldest_of_strategy(
        self,
        strategy: StrategySid,
        statuses: Sequence[InstanceStatus],
        *,
        after: PageKey | None,
        until: datetime,
        limit: int,
    ) -> list[PageKey]:
        self.io("oldest_of_strategy")
        return self.store.oldest_of_strategy(strategy, statuses, after=after, until=until, limit=limit)

    def of_account(self, account: AccountId, *, before: PageKey | None, limit: int) -> list[PageKey]:
        return self.store.of_account(account, before=before, limit=limit)

    def call(self, request: ServiceRequest) -> CallOutcome:
        self.io("call")
        for watch in self.watchers:
            watch(request)
        if self.faults.happens(self.faults.service_error):
            self._note(request, Unreachable(why=NOT_SENT))
            return Unreachable(why=NOT_SENT)
        silent = self.faults.happens(self.faults.service_silence)
        refuses = self.faults.happens(self.faults.service_refusal)
        answer = self._refusal() if refuses else self.answers(request)
        self._note(request, answer)
        self.io("called")
        if silent:
            return TimedOut(why="read timed out")
        is_garbled = self.faults.happens(self.faults.service_garbling)
        return self.faults.rng.choice(GARBLED) if is_garbled else answer

    def _refusal(self) -> Answered:
        """Return a refusal, which says when to call again, or not."""
        rng = self.faults.rng
        after = rng.choice([None, timedelta(seconds=1), timedelta(minutes=7), timedelta(hours=3)])
        return Answered(status=rng.choice(REFUSALS), retry_after=after)

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
            self.run(sid)
        self.io("invoked")

    def invoke_operation(self, sid: OperationSid) -> None:
        try:
            self.io("invoke_operation")
        except UnavailableError:
            return
        if self.delivers_wakeups and not self.faults.happens(self.faults.lost_wakeup):
            self.run_operation(sid)

    # --- the story ---------------------------------------------------------------------------------------

    def io(self, label: str) -> None:
        """Let the current process be stopped, delayed or killed here."""
        process = self.stage.current
        if process is None:
            return
        self.faults.points += 1
        if self.faults.points in self.faults.kill_at or self.faults.happens(self.faults.kill):
            process.doomed = True
        if self.faults.happens(self.faults.stall):
            process.wakes_at = self.now_at + timedelta(seconds=self.faults.rng.randint(1, 600))
        delays = self.delays.pop((process.name, label), None)
        if delays is not None:
            process.wakes_at = self.now_at + delays
        self.stage.point(label)
        self.check(label)

    def check(self, label: str) -> None:
        """Raise the error of an unavailable store, if there is a brown-out at this point.

        Raises: OverloadedError, ConnectionLostError.
        """
        brown_out = self.brown_out
        if self.stage.current is None or brown_out is None:
            return
        if brown_out.fails(label, self.faults.points, self.now_at):
            raise brown_out.rng.choice((OverloadedError, ConnectionLostError))(label)

    def invocation(self, body: Callable[[], object]) -> Callable[[], object]:
        """Return the body of a Lambda whose invocation fails if a store is unavailable."""

        def run() -> None:
            try:
                body()
            except UnavailableError:
                self.failed_invocations += 1

        return run

    def may_lose_reply(self) -> None:
        """Lose the reply to a write, if chance says so. Raises: StaleRevError: the reply was lost."""
        if self.faults.happens(self.faults.lost_reply):
            raise StaleRevError

    def run(self, sid: InstanceSid) -> Process:
        """Invoke a step runner now."""
        self.jobs += 1
        job, started = f"job-{self.jobs}", self.now_at
        return self.stage.start(
            job,
            self.invocation(
                lambda: run_due_events(self, sid, job=job, time_left=lambda: started + LAMBDA - self.now_at)
            ),
            at=self.now_at,
        )

    def do(self, name: str, body: Callable[[], object]) -> Process:
        """Let another process, such as an operator, begin now."""
        return self.stage.start(name, body, at=self.now_at)

    def run_until(self, end: datetime) -> None:
        """Advance time: processes take turns, wakeups are delivered, the sweeper sweeps."""
        for _ in range(200_000):
            ready = [process for process in self.stage.processes if process.wakes_at <= self.now_at]
            if ready:
                self.stage.run(self.faults.rng.choice(ready))
                continue
            at = self._next_instant()
            if at is None or at > end:
                self.now_at = max(self.now_at, end)
                return
            self.now_at = max(self.now_at, at)
            self._deliver_wakeups()
            self._sweep()
        raise AssertionError("the world does not come to rest")

    def rest(self) -> None:
        """Let every process end without advancing time."""
        self.run_until(self.now_at)

    def run_operation(self, sid: OperationSid) -> Process:
        """Invoke a bulk runner now."""
        started = self.now_at
        return self.do(
            f"bulk {sid}",
            self.invocation(
                lambda: run_operation(self, sid, time_left=lambda: started + LAMBDA - self.now_at)
            ),
        )

    def _next_instant(self) -> datetime | None:
        instants = [process.wakes_at for process in self.stage.processes]
        instants += [at for at, _ in self.schedules.values()]
        if self.sweeper:
            instants += [self._on_the_minute(max(at, self.next_sweep)) for at in self._to_be_swept()]
        return min(instants, default=None)

    def _to_be_swept(self) -> list[datetime]:
        partitions = (swept_partition(0), far_partition(0))
        entries = [at for partition in partitions for at, _ in self.store.sweep_entries(partition)]
        return entries + [at for at, _ in self.flags.access.operations.sweep_entries()]

    def _on_the_minute(self, at: datetime) -> datetime:
        """Return the instant of the sweep at or after an instant."""
        return (
            at
            if at.second == 0 and at.microsecond == 0
            else at.replace(second=0, microsecond=0) + SWEEP_PERIOD
        )

    def _deliver_wakeups(self) -> None:
        for name, (at, sid) in sorted(self.schedules.items(), key=lambda item: item[1][0]):
            if at <= self.now_at:
                del self.schedules[name]
                self.wakeup_count += 1
                self.run(sid)

    def _sweep(self) -> None:
        due = any(at <= self.now_at for at in self._to_be_swept())
        if not self.sweeper or self.now_at < self.next_sweep or not due:
            return
        self.next_sweep = self.now_at + SWEEP_PERIOD
        self.do("sweep", self.invocation(self._run_sweep))

    def _run_sweep(self) -> None:
        """Run the sweeper. Its wakeups are delivered even if other wakeups are not."""
        ends = self.now_at + SWEEP_LASTS
        for report in sweep(SweeperPorts(self), OneWorker(), time_left=lambda: ends - self.now_at):
            # Without a brown-out nothing in this world can fail.
            assert self.brown_out is not None or report.failed == {}

    def _note(self, request: ServiceRequest, answer: CallOutcome) -> None:
        status = answer.status if isinstance(answer, Answered) else None
        self.ledger.append(
            Sending(
                at=self.now_at,
                url=request.url,
                method=request.method,
                key=request.headers.get("Idempotency-Key", request.call_key),
                took_effect=status is not None and 200 <= status < 300,
                status=str(answer),
                is_refused=status in REFUSALS or isinstance(answer, Unreachable),
            )
        )


def calls_to(sendings: Iterable[Sending], path: str) -> list[Sending]:
    """Return the calls to a path, in order."""
    return [sending for sending in sendings if sending.url.endswith(path)]
