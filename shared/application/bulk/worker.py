"""Run a bulk operation: batch after batch, at a limited rate, safe against a crash at any point.

The instances of a batch are commanded at once, while the next batch is read.
Source: docs/design.md section 8; shared/domain/bulk/operation.py explains why nothing is done or counted twice.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial

from shared.application.bulk.batch import BatchWork, Wake, has_changed
from shared.application.bulk.progress import RESERVE, BatchProgress
from shared.application.commit import MAX_RACES, ContentionError, schedule_wakeup
from shared.application.ports import Ports, StaleRevError, Workers
from shared.application.runner.patience import MAX_PAUSE, patiently
from shared.domain.bulk.operation import (
    BulkOperation,
    BulkStatus,
    ItemOutcome,
    ItemResult,
    assign_worker,
    report_results,
)
from shared.domain.bulk.pace import Pace
from shared.domain.bulk.selection import Batch
from shared.domain.ids import InstanceSid
from shared.domain.instance.model import Instance
from shared.domain.lifecycle.takeover import CRASH_WINDOW

BREATHER_SECONDS = 5.0
"""How long an operation pauses when a store is overloaded."""


def run_bulk_operation(
    ports: Ports, workers: Workers, bulk: BulkOperation, *, pace: Pace, time_left: Callable[[], timedelta]
) -> BatchProgress:
    """Run a bulk operation until it ends or the invocation's time is up. Another invocation continues it.

    If the operation was paused or canceled while a crashed runner had a batch, the changes of that batch are counted
    and no more instances are commanded.
    """
    progress = BatchProgress()
    bulk_taken = _take(ports, bulk, time_left)
    if bulk_taken is None:
        return progress
    if bulk_taken.status is not BulkStatus.ACTIVE:
        done = [sid for sid in bulk_taken.batch_sids if has_changed(ports, bulk_taken, sid)]
        results = [ItemResult(sid=sid, outcome=ItemOutcome.CHANGED) for sid in done]
        _save_patiently(ports, bulk_taken, results, follows=None, goes_on=False, time_left=time_left)
        return progress
    after = run_batches(
        ports,
        workers,
        bulk_taken,
        progress,
        loaded={},
        pace=pace,
        time_left=time_left,
        wake=partial(schedule_wakeup, ports),
    )
    # Without progress another invocation would have no more time. The sweeper tries again later.
    moved = after is not None and (after.cursor, after.counts) != (bulk.cursor, bulk.counts)
    if after is not None and after.status is BulkStatus.ACTIVE and moved:
        ports.wakeups.invoke_operation(bulk.sid)
    return progress


def run_batches(
    ports: Ports,
    workers: Workers,
    bulk: BulkOperation,
    progress: BatchProgress,
    *,
    loaded: Mapping[InstanceSid, Instance],
    pace: Pace,
    time_left: Callable[[], timedelta],
    wake: Wake,
) -> BulkOperation | None:
    """Command batch after batch and return the operation, or None if another invocation has it now.

    ``bulk`` is the operation as this invocation took it. ``loaded`` are instances of its batch that were just read.
    """
    current: BulkOperation | None = bulk
    while current is not None and current.status is BulkStatus.ACTIVE and current.worker is not None:
        begun = ports.clock.now()
        batch = BatchWork(ports=ports, bulk=current, loaded=loaded, wake=wake, time_left=time_left)
        done = batch.run(workers, next_size=pace.batch_size)
        _count_results(progress, done.results)
        goes_on, following = time_left() > RESERVE, None
        if goes_on and len(done.results) == len(current.batch_sids):
            following = done.following
        # One write saves the results of this batch and begins the next. It comes even if the next batch could not be
        # read: the next runner would take unsaved results for those of a crash.
        current = _save_patiently(
            ports,
            current,
            done.results,
            follows=None if following is None else following.batch,
            goes_on=goes_on,
            time_left=time_left,
        )
        loaded = {} if following is None else following.instances
        if current is not None and current.worker is not None:
            passed = (ports.clock.now() - begun).total_seconds()
            pause = BREATHER_SECONDS if done.is_refused else pace.seconds(len(done.results)) - passed
            ports.clock.sleep(pause)
    return current


def _take(ports: Ports, bulk: BulkOperation, time_left: Callable[[], timedelta]) -> BulkOperation | None:
    """Store that this invocation works on the operation. Return None if another one was faster."""
    after = assign_worker(bulk, worker=ports.ids.token(), now=ports.clock.now())

    def take() -> BulkOperation | None:
        try:
            ports.operations.commit(after)
        except StaleRevError:
            return after if ports.operations.load(bulk.sid) == after else None
        return after

    # The operation may be taken already, if only the reply was lost.
    return patiently(ports, take, until=_patience(ports, after, time_left))


def _patience(ports: Ports, bulk: BulkOperation, time_left: Callable[[], timedelta]) -> datetime:
    """Return until when an invocation tries to write the operation while the store is unavailable.

    After that it has no time, or the next invocation counts no crash in any case.
    """
    now = ports.clock.now()
    # The last try may come up to one pause earlier than this.
    return min(now + time_left() - RESERVE, (bulk.sweep_at or now) + CRASH_WINDOW + MAX_PAUSE)


def _save_patiently(
    ports: Ports,
    bulk: BulkOperation,
    results: list[ItemResult],
    *,
    follows: Batch | None,
    goes_on: bool,
    time_left: Callable[[], timedelta],
) -> BulkOperation | None:
    """Save the results as ``_save_results`` does, again and again while the store is unavailable.

    Raises: UnavailableError.
    """

    def save() -> BulkOperation | None:
        return _save_results(ports, bulk, results, follows=follows, goes_on=goes_on)

    return patiently(ports, save, until=_patience(ports, bulk, time_left))


def _save_results(
    ports: Ports,
    bulk: BulkOperation,
    results: list[ItemResult],
    *,
    follows: Batch | None,
    goes_on: bool,
) -> BulkOperation | None:
    """Save the results and return the operation, or None if another invocation has taken it over.

    A command of an operator that was stored in between stays in force, and the results are counted as well.
    """
    for _ in range(MAX_RACES):
        after = report_results(bulk, results, follows=follows, goes_on=goes_on, now=ports.clock.now())
        try:
            ports.operations.commit(after)
        except StaleRevError:
            stored = ports.operations.load(bulk.sid)
            if stored == after:  # only the reply was lost
                return after
            if not isinstance(stored, BulkOperation) or stored.worker != bulk.worker:
                return None
            if (stored.batch_sids, stored.counts) != (bulk.batch_sids, bulk.counts):
                return stored  # the reply was lost, and a command was stored since
            bulk = stored
        else:
            return after
    raise ContentionError(f"operation {bulk.sid} changed {MAX_RACES} times while its runner saved results")


def _count_results(progress: BatchProgress, results: list[ItemResult]) -> None:
    progress.done += len(results)
    progress.failed |= {
        result.sid: result.why or "" for result in results if result.outcome is ItemOutcome.FAILED
    }
