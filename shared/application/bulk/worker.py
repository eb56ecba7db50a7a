"""Carrying on a bulk operation: slice after slice, at a set pace, safe to kill anywhere.

Source: design section 8; shared/domain/bulk/operation.py says why nothing is done or counted twice.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial

from shared.application.bulk.progress import RESERVE, BatchProgress
from shared.application.bulk.select import SelectionScan, addressed, next_batch
from shared.application.commit import MAX_RACES, ContentionError, execute, schedule_wakeup
from shared.application.ports import OverloadedError, Ports, StaleRevError, UnknownStrategyError
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
from shared.domain.instance.verdict import AlreadyThere, Refused, Verdict

BREATHER_SECONDS = 5.0
"""How long an operation waits when a store is asked too much."""

Wake = Callable[[Instance], None]
"""Tells somebody that an instance was changed and may have something to run."""


def command_on(ports: Ports, bulk: BulkOperation, *, time_left: Callable[[], timedelta]) -> BatchProgress:
    """Take an operation in hand for as long as this invocation lasts; then a fresh one goes on.

    Where it was paused or canceled over a dead runner's slice, what was done of it is counted and no more is done.
    """
    progress = BatchProgress()
    at_work = _taken(ports, bulk)
    if at_work is None:
        return progress
    if at_work.status is not BulkStatus.ACTIVE:
        done = [sid for sid in at_work.batch_sids if _has_changed(ports, at_work, sid)]
        results = [ItemResult(sid=sid, outcome=ItemOutcome.CHANGED) for sid in done]
        _stored(ports, at_work, results, follows=None, goes_on=False)
        return progress
    after = work(
        ports, at_work, progress, loaded={}, time_left=time_left, wake=partial(schedule_wakeup, ports)
    )
    moved = after is not None and (after.cursor, after.counts) != (bulk.cursor, bulk.counts)
    if after is not None and after.status is BulkStatus.ACTIVE and moved:
        ports.wakeups.invoke_operation(bulk.sid)
    return progress


def work(
    ports: Ports,
    bulk: BulkOperation,
    progress: BatchProgress,
    *,
    loaded: Mapping[InstanceSid, Instance],
    time_left: Callable[[], timedelta],
    wake: Wake,
) -> BulkOperation | None:
    """The operation once this invocation is through with it; None where another one has it now.

    One write for each slice: what became of it, and the next. bulk: as taken in hand. loaded: instances in hand
    that have just been read.
    """
    current: BulkOperation | None = bulk
    while current is not None and current.status is BulkStatus.ACTIVE and current.worker is not None:
        begun = ports.clock.now()
        results = _commanded(ports, current, loaded, wake, time_left)
        _tell(progress, results)
        goes_on, follows = time_left() > RESERVE, None
        if goes_on and len(results) == len(current.batch_sids) and not current.at_end:
            scan = SelectionScan(
                account=current.account_id,
                selection=current.selection,
                begun_at=current.started_at,
                cursor=current.cursor,
            )
            found = next_batch(ports, scan, wanted=BATCH_SIZE)
            follows, loaded = found.batch, found.instances
        is_through = len(results) == len(next_sids(current))
        current = _stored(ports, current, results, follows=follows, goes_on=goes_on)
        if current is not None and current.worker is not None:
            passed = (ports.clock.now() - begun).total_seconds()
            ports.clock.sleep(
                len(results) / COMMANDED_PER_SECOND - passed if is_through else BREATHER_SECONDS
            )
    return current


def _taken(ports: Ports, bulk: BulkOperation) -> BulkOperation | None:
    """The operation, stored as in this invocation's hand; None where another one was faster."""
    after = assign_worker(bulk, worker=ports.ids.token(), now=ports.clock.now())
    try:
        ports.operations.commit(after)
    except StaleRevError:
        return after if ports.operations.load(bulk.sid) == after else None
    return after


def _stored(
    ports: Ports,
    bulk: BulkOperation,
    results: list[ItemResult],
    *,
    follows: Batch | None,
    goes_on: bool,
) -> BulkOperation | None:
    """The operation with what this invocation has done; None where another one has taken it over.

    An operator's order that came in between holds, and what was done is counted all the same.
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
                return stored  # the reply was lost, and an order has come since
            bulk = stored
        else:
            return after
    raise ContentionError(f"operation {bulk.sid} changed {MAX_RACES} times under its runner")


def _commanded(
    ports: Ports,
    bulk: BulkOperation,
    loaded: Mapping[InstanceSid, Instance],
    wake: Wake,
    time_left: Callable[[], timedelta],
) -> list[ItemResult]:
    """What the instances at hand came to: all of them, unless time is up or a store is asked too much just now.

    Once the slice is no longer this invocation's alone, it commands no more of it.
    """
    if is_given_up(bulk):
        why = f"{bulk.crashes} runners in a row have died at it"
        return [
            ItemResult(sid=sid, outcome=ItemOutcome.CHANGED)
            if _has_changed(ports, bulk, sid)
            else ItemResult(sid=sid, outcome=ItemOutcome.FAILED, why=why)
            for sid in next_sids(bulk)
        ]
    results: list[ItemResult] = []
    for sid in next_sids(bulk):
        is_ours = bulk.sweep_at is not None and ports.clock.now() < bulk.sweep_at
        if not is_ours or time_left() <= RESERVE:
            break
        try:
            results.append(_command(ports, bulk, sid, loaded.get(sid), wake))
        except OverloadedError:
            break
    return results


def _command(
    ports: Ports, bulk: BulkOperation, sid: InstanceSid, known: Instance | None, wake: Wake
) -> ItemResult:
    """One instance commanded. One that cannot be read or decided on holds up none of the others."""
    try:
        instance = known or ports.instances.load(sid)
        is_meant = instance is not None and is_in_scope(bulk, instance)
        verdict = None if instance is None or not is_meant else _settled(ports, bulk, instance)
    except (RitornelloError, UnknownStrategyError, ContentionError) as error:
        return ItemResult(sid=sid, outcome=ItemOutcome.FAILED, why=f"{type(error).__name__}: {error}")
    result = result_of(sid, verdict, bulk.sid)
    if verdict is not None and result.outcome is ItemOutcome.CHANGED:
        wake(verdict.instance)
    return result


def _settled(ports: Ports, bulk: BulkOperation, instance: Instance) -> Verdict | None:
    if bulk.sid in instance.operations:
        return AlreadyThere(instance=instance)
    asked = addressed(ports, bulk.command, instance)
    if isinstance(asked, Refused):
        return asked
    return execute(ports, instance.sid, asked, known=instance, is_meant=partial(_is_meant, ports, bulk))


def _is_meant(ports: Ports, bulk: BulkOperation, instance: Instance) -> bool:
    """Whether an instance is still as it was selected, or was changed by the operation since."""
    is_done = bulk.sid in instance.operations
    return is_done or is_still_selected(bulk.selection, instance, now=ports.clock.now())


def _has_changed(ports: Ports, bulk: BulkOperation, sid: InstanceSid) -> bool:
    """Whether an instance was changed by the operation, as far as it can be read."""
    try:
        instance = ports.instances.load(sid)
    except RitornelloError:
        return False
    return instance is not None and bulk.sid in instance.operations


def _tell(progress: BatchProgress, results: list[ItemResult]) -> None:
    progress.done += len(results)
    progress.failed |= {
        result.sid: result.why or "" for result in results if result.outcome is ItemOutcome.FAILED
    }
