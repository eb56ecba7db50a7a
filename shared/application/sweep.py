"""The sweep: wake a runner for operations and instances whose wakeup was lost.

Each entry of the due index moves on by a back-off before its runner is woken, and also if its instance cannot be read
or decided on. So the entries that a sweep has not reached are the first ones of the next sweep, which continues there.
Source: docs/design.md sections 3.2 and 3.3.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import TypeVar

from msgspec import Struct, field
from msgspec.structs import replace

from shared.application.commit import schedule_wakeup, try_commit
from shared.application.failures import Failure, failure_of
from shared.application.ports import Crash, Ports, Workers
from shared.domain.ids import InstanceSid, OperationSid
from shared.domain.instance.due import (
    AnswerOverdue,
    CancelDue,
    Due,
    PlanExpired,
    ResumeDue,
    Scheduled,
    far_partition,
    first_run_sweep_at,
    next_action,
    sweep_at,
    swept_partition,
)
from shared.domain.instance.due_entries import DueEntry, Sid, in_turns, sweep_order
from shared.domain.lifecycle.commands import RecordSweep

MAX_ENTRIES = 2000
"""How many entries of a partition a sweep reads: together more than it can wake. The next sweep reads the rest."""

MAX_OPERATIONS = 500

BATCH = 400
"""How many entries are woken between two reports."""

RESERVE = timedelta(seconds=10)
"""A sweep begins no wakeup when less time is left, so that those in flight end and are reported."""

OPERATIONS = "operations"
"""The name under which ``SweepReport.waits`` has the operations."""

TimeLeft = Callable[[], timedelta]


class SweepReport(Struct, frozen=True, kw_only=True):
    """The progress of a sweep since its last report.

    ``wakeups`` and ``operations`` are the instances and operations that wakeups were sent or scheduled for.
    ``backlog`` is how many due entries that were read are left. ``waits`` is how long the latest entry has waited,
    by shard; a shard that could not be read has none. ``failed`` are the entries and partitions that could not be
    checked, with the reason.
    """

    backlog: int = 0
    operations: int = 0
    wakeups: int = 0
    waits: Mapping[str, timedelta] = field(default_factory=dict)
    failed: Mapping[str, Failure] = field(default_factory=dict)


class _WakeupSent(Struct, frozen=True, kw_only=True):
    """A wakeup was sent. ``wait`` is how long the instance has been late, None if the wakeup was scheduled in time."""

    wait: timedelta | None


class _Skipped(Enum):
    """Why no wakeup was sent: nothing was to be done, or no time was left."""

    NOT_NEEDED = auto()
    NO_TIME = auto()


_Outcome = _WakeupSent | _Skipped
_Read = TypeVar("_Read")


def sweep(ports: Ports, workers: Workers, *, time_left: TimeLeft) -> Iterator[SweepReport]:
    """Wake a runner for every operation and instance that is due, and schedule wakeups now within the horizon.

    Yield a report after the operations, after reading the shards, and after each batch of wakeups, because the
    invocation may end at any point. An entry that fails stops no other entry.
    """
    operations = _wake_operations(ports, workers, time_left)
    yield replace(operations, waits={})
    entries, shards = _read_shards(ports, workers)
    # Without any shard the longest wait is unknown, and that of the operations must not stand for it.
    yield replace(shards, waits={**operations.waits, **shards.waits} if shards.waits else {})
    for start in range(0, len(entries), BATCH):
        if time_left() <= RESERVE:
            return
        yield _wake_batch(ports, workers, time_left, entries, start)


def _wake_operations(ports: Ports, workers: Workers, time_left: TimeLeft) -> SweepReport:
    """Wake the bulk runner for every operation that is due."""
    now = ports.clock.now()

    def read(_: str) -> list[DueEntry[OperationSid]]:
        return ports.operations.due(until=now, limit=MAX_OPERATIONS)

    def wake(entry: DueEntry[OperationSid]) -> _Outcome:
        if time_left() <= RESERVE:
            return _Skipped.NO_TIME
        # First the back-off: an operation at which every runner crashes must not keep others from being woken.
        if not ports.operations.postpone(entry, now=ports.clock.now()):
            return _Skipped.NOT_NEEDED
        ports.wakeups.invoke_operation(entry.sid)
        return _WakeupSent(wait=None)

    found, failed = _answers([OPERATIONS], workers.run(read, [OPERATIONS]))
    entries = [entry for some in found.values() for entry in some]
    outcomes = workers.run(wake, entries)
    failed |= _failures(entries, outcomes)
    return SweepReport(
        operations=sum(isinstance(outcome, _WakeupSent) for outcome in outcomes),
        backlog=outcomes.count(_Skipped.NO_TIME),
        waits={name: _wait_of_first(some, now) for name, some in found.items()},
        failed=failed,
    )


def _read_shards(ports: Ports, workers: Workers) -> tuple[list[DueEntry[InstanceSid]], SweepReport]:
    """Return the due entries of all shards in the order in which they are woken, and a report on them."""
    now = ports.clock.now()
    order = sweep_order(now)
    partitions = [name(shard) for shard in order for name in (swept_partition, far_partition)]

    def read(partition: str) -> list[DueEntry[InstanceSid]]:
        return ports.instances.due(partition, until=now, limit=MAX_ENTRIES)

    found, failed = _answers(partitions, workers.run(read, partitions))
    entries = in_turns(list(found.values()))
    # Entries beyond the horizon are not late: their events are far ahead.
    near = [swept_partition(shard) for shard in order if swept_partition(shard) in found]
    waits = {partition: _wait_of_first(found[partition], now) for partition in near}
    return entries, SweepReport(backlog=len(entries), waits=waits, failed=failed)


def _wake_batch(
    ports: Ports,
    workers: Workers,
    time_left: TimeLeft,
    entries: Sequence[DueEntry[InstanceSid]],
    start: int,
) -> SweepReport:
    """Wake the runners of one batch, and move the entries on that failed."""

    def wake(entry: DueEntry[InstanceSid]) -> _Outcome:
        return _Skipped.NO_TIME if time_left() <= RESERVE else _wake(ports, entry)

    batch = entries[start : start + BATCH]
    outcomes = workers.run(wake, batch)
    failed = _failures(batch, outcomes)
    crashed = [entry for entry in batch if entry.sid in failed]
    failed |= _postpone(ports, workers, crashed, failed)
    waits: dict[str, timedelta] = {}
    for entry, outcome in zip(batch, outcomes, strict=True):
        if isinstance(outcome, _WakeupSent) and outcome.wait is not None:
            waits[entry.partition] = max(outcome.wait, waits.get(entry.partition, timedelta()))
    return SweepReport(
        wakeups=sum(isinstance(outcome, _WakeupSent) for outcome in outcomes),
        backlog=len(entries) - start - len(batch) + outcomes.count(_Skipped.NO_TIME),
        waits=waits,
        failed=failed,
    )


def _wake(ports: Ports, entry: DueEntry[InstanceSid]) -> _Outcome:
    # The index is eventually consistent, so the instance decides if it is due.
    instance = ports.instances.load(entry.sid)
    now = ports.clock.now()
    if instance is None:
        return _Skipped.NOT_NEEDED
    found, at = next_action(instance, now), sweep_at(instance)
    is_far = isinstance(found, Scheduled) and instance.sweep.schedule_at is not None
    is_due = isinstance(found, Due | ResumeDue | CancelDue | AnswerOverdue | PlanExpired)
    if at is None or at > now or not (is_far or is_due):
        return _Skipped.NOT_NEEDED
    strategy = ports.strategies.load(instance.strategy_sid, instance.strategy_version)
    # First the back-off: a runner that crashes at once is woken again, but less and less often.
    verdict = try_commit(ports, strategy, instance, RecordSweep())
    if verdict is None:
        return _Skipped.NOT_NEEDED
    if is_far:
        schedule_wakeup(ports, verdict.instance)
        return _WakeupSent(wait=None)
    ports.wakeups.invoke(entry.sid)
    if isinstance(found, AnswerOverdue):
        # No event of the instance is late.
        return _WakeupSent(wait=None)
    # The first sweep, not the last back-off: an instance whose runner never comes is late all that time.
    return _WakeupSent(wait=now - (first_run_sweep_at(instance) or at))


def _postpone(
    ports: Ports,
    workers: Workers,
    entries: Sequence[DueEntry[InstanceSid]],
    before: Mapping[str, Failure],
) -> dict[str, Failure]:
    """Move entries on whose instances could not be checked, so that they never fill a shard's share of a sweep.

    Return those for which this failed too, with both reasons.
    """

    def postpone(entry: DueEntry[InstanceSid]) -> bool:
        return ports.instances.postpone(entry, now=ports.clock.now())

    failed = _failures(entries, workers.run(postpone, entries))
    return {
        sid: replace(before[sid], why=f"{before[sid].why}; not postponed: {failure.why}")
        for sid, failure in failed.items()
    }


def _answers(
    names: Sequence[str], results: Sequence[_Read | Crash]
) -> tuple[dict[str, _Read], dict[str, Failure]]:
    """Return the results of the reads, by partition, and the partitions that could not be read, with the reason."""
    read: dict[str, _Read] = {}
    failed: dict[str, Failure] = {}
    for name, result in zip(names, results, strict=True):
        if isinstance(result, Crash):
            failed[f"partition {name}"] = failure_of(result.error)
        else:
            read[name] = result
    return read, failed


def _failures(entries: Sequence[DueEntry[Sid]], results: Sequence[object]) -> dict[str, Failure]:
    """Return the sids of the entries that failed, with the reason."""
    pairs = zip(entries, results, strict=True)
    return {entry.sid: failure_of(result.error) for entry, result in pairs if isinstance(result, Crash)}


def _wait_of_first(entries: Sequence[DueEntry[Sid]], now: datetime) -> timedelta:
    """Return how long the first entry has waited. The index sorts by time, so no other has waited longer."""
    return now - entries[0].at if entries else timedelta()
