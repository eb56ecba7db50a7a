"""Run a bulk operation: batch after batch, at a fixed rate, safe against a crash at any point.

Source: docs/design.md section 8; shared/domain/bulk/operation.py explains why nothing is done or counted twice.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial

from shared.application.bulk.item_command import command_for
from shared.application.bulk.progress import RESERVE, BatchProgress
from shared.application.bulk.select import SelectionScan, next_batch
from shared.application.commit import MAX_RACES, ContentionError, execute, schedule_wakeup
from shared.application.ports import Ports, StaleRevError, UnavailableError, UnknownStrategyError
from shared.application.runner.patience import MAX_PAUSE, patiently
from shared.domain.bulk.operation import (
    BATCH_SIZE,
    COMMANDED_PER_SECOND,
    BulkOperation,
    BulkStatus,
    ItemOutcome,
    ItemResult,
    assign_worker,
    is_given_up,
    is_in_scope,
    next_sids,
    report_results,
    result_of,
)
from shared.domain.bulk.selection import Batch, is_still_selected
from shared.domain.errors import RitornelloError
from shared.domain.ids import InstanceSid
from shared.domain.instance.model import Instance
from shared.domain.instance.verdict import AlreadyThere, Verdict
from shared.domain.lifecycle.takeover import CRASH_WINDOW

BREATHER_SECONDS = 5.0
"""How long an operation pauses when a store is overloaded."""

Wake = Callable[[Instance], None]
"""Wakes a runner for an instance that was changed and may have an event to run."""


def run_bulk_operation(
    ports: Ports, bulk: BulkOperation, *, time_left: Callable[[], timedelta]
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
        done = [sid for sid in bulk_taken.batch_sids if _has_changed(ports, bulk_taken, sid)]
        results = [ItemResult(sid=sid, outcome=ItemOutcome.CHANGED) for sid in done]
        _save_patiently(ports, bulk_taken, results, follows=None, goes_on=False, time_left=time_left)
        return progress
    after = run_batches(
        ports, bulk_taken, progress, loaded={}, time_left=time_left, wake=partial(schedule_wakeup, ports)
    )
    # Without progress another invocation would have no more time. The sweeper tries again later.
    moved = after is not None and (after.cursor, after.counts) != (bulk.cursor, bulk.counts)
    if after is not None and after.status is BulkStatus.ACTIVE and moved:
        ports.wakeups.invoke_operation(bulk.sid)
    return progress


def run_batches(
    ports: Ports,
    bulk: BulkOperation,
    progress: BatchProgress,
    *,
    loaded: Mapping[InstanceSid, Instance],
    time_left: Callable[[], timedelta],
    wake: Wake,
) -> BulkOperation | None:
    """Command batch after batch and return the operation, or None if another invocation has it now.

    ``bulk`` is the operation as this invocation took it. ``loaded`` are instances of its batch that were just read.
    """
    current: BulkOperation | None = bulk
    while current is not None and current.status is BulkStatus.ACTIVE and current.worker is not None:
        begun = ports.clock.now()
        results = _command_batch(ports, current, loaded, wake, time_left)
        _count_results(progress, results)
        goes_on, follows = time_left() > RESERVE, None
        is_through = len(results) == len(next_sids(current))
        if goes_on and len(results) == len(current.batch_sids) and not current.at_end:
            try:
                scanned = next_batch(ports, _scan_of(current), size=BATCH_SIZE)
            except UnavailableError:
                # Without this save, the next runner would take the unsaved results for those of a crash.
                is_through = False
            else:
                follows, loaded = scanned.batch, scanned.instances
        # One write saves the results of this batch and begins the next.
        current = _save_patiently(
            ports, current, results, follows=follows, goes_on=goes_on, time_left=time_left
        )
        if current is not None and current.worker is not None:
            passed = (ports.clock.now() - begun).total_seconds()
            ports.clock.sleep(
                len(results) / COMMANDED_PER_SECOND - passed if is_through else BREATHER_SECONDS
            )
    return current


def _scan_of(bulk: BulkOperation) -> SelectionScan:
    """Return the scan that continues after the batch."""
    return SelectionScan(
        account=bulk.account_id, selection=bulk.selection, begun_at=bulk.started_at, cursor=bulk.cursor
    )


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


def _command_batch(
    ports: Ports,
    bulk: BulkOperation,
    loaded: Mapping[InstanceSid, Instance],
    wake: Wake,
    time_left: Callable[[], timedelta],
) -> list[ItemResult]:
    """Command the instances of the batch and return their results.

    It stops early if the time is up, if a store is overloaded, or if another invocation may take over the batch.
    """
    # An instance that crashes every runner must not stop the operation.
    if is_given_up(bulk):
        why = f"{bulk.crashes} runners in a row crashed at this instance"
        return [
            ItemResult(sid=sid, outcome=ItemOutcome.CHANGED)
            if _has_changed(ports, bulk, sid)
            else ItemResult(sid=sid, outcome=ItemOutcome.FAILED, why=why)
            for sid in next_sids(bulk)
        ]
    results: list[ItemResult] = []
    for sid in next_sids(bulk):
        # From ``sweep_at`` on, another runner may take over the batch.
        is_ours = bulk.sweep_at is not None and ports.clock.now() < bulk.sweep_at
        if not is_ours or time_left() <= RESERVE:
            break
        try:
            results.append(_command(ports, bulk, sid, loaded.get(sid), wake))
        except UnavailableError:
            break
    return results


def _command(
    ports: Ports, bulk: BulkOperation, sid: InstanceSid, known: Instance | None, wake: Wake
) -> ItemResult:
    """Command one instance. If it cannot be read or decided on, the others continue."""
    try:
        instance = known or ports.instances.load(sid)
        is_meant = instance is not None and is_in_scope(bulk, instance)
        verdict = None if instance is None or not is_meant else _execute(ports, bulk, instance)
    except (RitornelloError, UnknownStrategyError, ContentionError) as error:
        return ItemResult(sid=sid, outcome=ItemOutcome.FAILED, why=f"{type(error).__name__}: {error}")
    result = result_of(sid, verdict, bulk.sid)
    if verdict is not None and result.outcome is ItemOutcome.CHANGED:
        wake(verdict.instance)
    return result


def _execute(ports: Ports, bulk: BulkOperation, instance: Instance) -> Verdict | None:
    if bulk.sid in instance.operations:
        return AlreadyThere(instance=instance)
    return execute(
        ports,
        instance.sid,
        partial(command_for, ports, bulk.command),
        known=instance,
        is_meant=partial(_is_meant, ports, bulk),
    )


def _is_meant(ports: Ports, bulk: BulkOperation, instance: Instance) -> bool:
    """Return whether an instance still matches the selection, or was already changed by this operation."""
    is_done = bulk.sid in instance.operations
    return is_done or is_still_selected(bulk.selection, instance, now=ports.clock.now())


def _has_changed(ports: Ports, bulk: BulkOperation, sid: InstanceSid) -> bool:
    """Return whether the operation has changed an instance. An instance that cannot be read counts as unchanged."""
    try:
        instance = ports.instances.load(sid)
    except RitornelloError:
        return False
    return instance is not None and bulk.sid in instance.operations


def _count_results(progress: BatchProgress, results: list[ItemResult]) -> None:
    progress.done += len(results)
    progress.failed |= {
        result.sid: result.why or "" for result in results if result.outcome is ItemOutcome.FAILED
    }
