"""Bulk operations: beginning one, telling one to pause, resume or end, asking what one would do.

Source: design section 8; contracts/core.md section 5.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from shared.application.bulk.progress import RESERVE, BatchProgress
from shared.application.bulk.select import SelectionScan, count, next_batch, preview
from shared.application.bulk.worker import run_batches
from shared.application.commit import MAX_RACES, ContentionError
from shared.application.ports import Ports, StaleRevError
from shared.application.start import KeyReusedError, Repeatable
from shared.domain.bulk.operation import (
    BATCH_SIZE,
    BulkCommand,
    BulkOperation,
    BulkStatus,
    ItemResult,
    OperationCommand,
    apply_command,
    begin,
    name_of,
)
from shared.domain.bulk.selection import Selection
from shared.domain.errors import RitornelloError
from shared.domain.ids import AccountId, InstanceSid, OperationSid, sid_of_request
from shared.domain.instance.due import Idle, next_action
from shared.domain.instance.model import Instance
from shared.domain.instance.verdict import Actor, audit_entry

IN_REQUEST = timedelta(seconds=10)
"""How long a request commands instances itself; then a runner goes on."""


class OperationOverError(RitornelloError):
    """The operation has ended; nothing can be told it any more. Nothing was changed."""

    code = "OPERATION_OVER"


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkRequest:
    """What is asked for. command: by whoever asks. unless_empty: where nothing is selected, nothing is stored."""

    account: AccountId
    selection: Selection
    command: BulkCommand
    repeatable: Repeatable | None = None
    unless_empty: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DryRun:
    """What an operation would be for: how many instances, at least, and what the first would come to."""

    count: int
    is_exact: bool
    sample: tuple[ItemResult, ...]


def dry_run(ports: Ports, request: BulkRequest) -> DryRun:
    """What would come of it. Nothing is stored."""
    scan = SelectionScan(account=request.account, selection=request.selection, begun_at=ports.clock.now())
    counted = count(ports, scan, most=BATCH_SIZE)
    nobody = OperationSid("")
    sample = tuple(preview(ports, instance, request.command, nobody) for instance in counted.first)
    return DryRun(count=counted.count, is_exact=counted.is_exact, sample=sample)


def begin_bulk(ports: Ports, request: BulkRequest) -> BulkOperation:
    """A stored operation: carried out, where it is for so few instances that this can be waited for, or begun.

    A repeatable request that was heard before finds the operation as it is now. ``unless_empty``: one that is over
    before anything was done was not stored; only so many instances are looked at for that, and where none of the
    first ones is selected and there are more, it goes on.
    Raises: KeyReusedError: nothing was stored.
    """
    sid = OperationSid(ports.ids.instance_sid())
    if request.repeatable is not None:
        sid = OperationSid(sid_of_request(request.account, "bulk-operation", request.repeatable.key))
        known = _known(ports, sid, request.repeatable)
        if known is not None:
            return known
    bulk, loaded = _new_operation(ports, request, sid)
    if request.unless_empty and bulk.status is BulkStatus.COMPLETED:
        return bulk
    by, told, states = request.command.by, f"bulk-{name_of(request.command)}", (None, bulk.status.value)
    audit = audit_entry(bulk.account_id, sid, told, by=by, now=bulk.started_at, states=states)
    try:
        ports.operations.create(bulk, audit=audit)
    except StaleRevError:
        if ports.operations.load(sid) != bulk:  # else only the reply was lost
            known = None if request.repeatable is None else _known(ports, sid, request.repeatable)
            if known is None:
                raise
            return known
    return _start_work(ports, bulk, loaded)


def command_operation(
    ports: Ports, bulk: BulkOperation, told: OperationCommand, *, by: Actor
) -> BulkOperation:
    """The operation as it was told to be. Repeating it changes nothing.

    Raises: OperationOverError; ContentionError: nothing was changed.
    """
    for _ in range(MAX_RACES):
        now = ports.clock.now()
        after = apply_command(bulk, told, now=now)
        if after is None:
            raise OperationOverError(f"the operation is {bulk.status.value}")
        if after is bulk:
            return bulk
        states = (bulk.status.value, after.status.value)
        command = f"{told.value}-operation"
        audit = audit_entry(bulk.account_id, bulk.sid, command, by=by, now=now, states=states)
        try:
            ports.operations.commit(after, audit=audit)
        except StaleRevError:
            bulk = _as_stored(ports, bulk)
            if bulk != after:  # else only the reply was lost
                continue
        if told is OperationCommand.RESUME:
            ports.wakeups.invoke_operation(bulk.sid)
        return after
    raise ContentionError(f"operation {bulk.sid} changed {MAX_RACES} times under one order")


def _new_operation(
    ports: Ports, request: BulkRequest, sid: OperationSid
) -> tuple[BulkOperation, Mapping[InstanceSid, Instance]]:
    """The operation as it is to be stored first, and the instances that were read for that."""
    now = ports.clock.now()
    scan = SelectionScan(account=request.account, selection=request.selection, begun_at=now)
    found = next_batch(ports, scan, size=BATCH_SIZE + 1)
    is_small = found.batch.at_end and len(found.batch.sids) <= BATCH_SIZE
    bulk = BulkOperation(
        sid=sid,
        account_id=request.account,
        selection=request.selection,
        command=replace(request.command, by=replace(request.command.by, operation=sid)),
        started_at=now,
        updated_at=now,
        sweep_at=now,
        request_hash=None if request.repeatable is None else request.repeatable.body_hash,
    )
    first = begin(bulk, found.batch if is_small else None, worker=ports.ids.token())
    return first, found.instances


def _start_work(ports: Ports, bulk: BulkOperation, loaded: Mapping[InstanceSid, Instance]) -> BulkOperation:
    """The operation done, where this request has it in hand; else a runner is told of it."""
    if bulk.worker is not None:
        ends = bulk.started_at + IN_REQUEST + RESERVE
        after = run_batches(
            ports,
            bulk,
            BatchProgress(),
            loaded=loaded,
            time_left=lambda: ends - ports.clock.now(),
            wake=lambda instance: _wake(ports, instance),
        )
        bulk = after or _as_stored(ports, bulk)
    if bulk.status is BulkStatus.ACTIVE and bulk.worker is None:
        ports.wakeups.invoke_operation(bulk.sid)
    return bulk


def _as_stored(ports: Ports, bulk: BulkOperation) -> BulkOperation:
    """The operation as whoever has taken it over has left it."""
    stored = ports.operations.load(bulk.sid)
    return stored if isinstance(stored, BulkOperation) else bulk


def _wake(ports: Ports, instance: Instance) -> None:
    """Have a runner arm what is next, so that the request does not wait for the scheduler."""
    if not isinstance(next_action(instance, ports.clock.now()), Idle):
        ports.wakeups.invoke(instance.sid)


def _known(ports: Ports, sid: OperationSid, request: Repeatable) -> BulkOperation | None:
    bulk = ports.operations.load(sid)
    if not isinstance(bulk, BulkOperation):
        return None
    if bulk.request_hash != request.body_hash:
        raise KeyReusedError("the Idempotency-Key was used with another body")
    if bulk.status is BulkStatus.ACTIVE:
        ports.wakeups.invoke_operation(sid)
    return bulk
