"""Bulk operations: begin one, pause, resume or cancel one, preview one.

Source: docs/design.md section 8; docs/contracts/core.md section 5.
"""

from collections.abc import Mapping
from datetime import timedelta

from msgspec import Struct
from msgspec.structs import replace

from shared.application.bulk.progress import RESERVE, BatchProgress
from shared.application.bulk.select import SelectionScan, count, next_batch, preview
from shared.application.bulk.worker import run_batches
from shared.application.commit import MAX_RACES, ContentionError
from shared.application.ports import Ports, StaleRevError
from shared.application.start import KeyReusedError, Repeatable
from shared.application.workers import OneWorker
from shared.domain.bulk.operation import (
    MAX_IN_REQUEST,
    BulkCommand,
    BulkOperation,
    BulkStatus,
    ItemResult,
    OperationCommand,
    apply_command,
    begin,
    name_of,
)
from shared.domain.bulk.pace import Pace
from shared.domain.bulk.selection import Selection
from shared.domain.errors import RitornelloError
from shared.domain.ids import AccountId, InstanceSid, OperationSid, sid_of_request
from shared.domain.instance.due import Idle, next_action
from shared.domain.instance.model import Instance
from shared.domain.instance.verdict import Actor, audit_entry

IN_REQUEST = timedelta(seconds=10)
"""How long a request commands instances itself. After that, a runner continues."""


class OperationOverError(RitornelloError):
    """The operation has ended and accepts no more commands. Nothing was changed."""

    code = "OPERATION_OVER"


class BulkRequest(Struct, frozen=True, kw_only=True):
    """A request for a bulk operation.

    ``command`` names the caller. With ``unless_empty``, nothing is stored if no instance is selected.
    """

    account: AccountId
    selection: Selection
    command: BulkCommand
    repeatable: Repeatable | None = None
    unless_empty: bool = False


class DryRun(Struct, frozen=True, kw_only=True):
    """A preview: how many instances are selected, and the results that the first of them would have.

    ``is_exact`` is False if there are more instances than were counted.
    """

    count: int
    is_exact: bool
    sample: tuple[ItemResult, ...]


def dry_run(ports: Ports, request: BulkRequest) -> DryRun:
    """Preview an operation. Nothing is stored."""
    scan = SelectionScan(account=request.account, selection=request.selection, begun_at=ports.clock.now())
    counted = count(ports, scan, most=MAX_IN_REQUEST)
    none = OperationSid("")
    sample = tuple(preview(ports, instance, request.command, none) for instance in counted.first)
    return DryRun(count=counted.count, is_exact=counted.is_exact, sample=sample)


def begin_bulk(ports: Ports, request: BulkRequest) -> BulkOperation:
    """Store an operation and return it. It is finished at once if it selects few instances; else a runner continues it.

    If a repeatable request was received before, return its operation as it is now.
    With ``unless_empty``, an operation that selects nothing is returned without being stored. If the first
    ``MAX_SCANNED`` instances are not selected and there are more, the operation is stored and continues.
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
    by, name, states = request.command.by, f"bulk-{name_of(request.command)}", (None, bulk.status.value)
    audit = audit_entry(bulk.account_id, sid, name, by=by, now=bulk.started_at, states=states)
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
    ports: Ports, bulk: BulkOperation, command: OperationCommand, *, by: Actor
) -> BulkOperation:
    """Pause, resume or cancel an operation and return it. Repeating the command changes nothing.

    Raises: OperationOverError; ContentionError: nothing was changed.
    """
    for _ in range(MAX_RACES):
        now = ports.clock.now()
        after = apply_command(bulk, command, now=now)
        if after is None:
            raise OperationOverError(f"the operation is {bulk.status.value}")
        if after is bulk:
            return bulk
        states = (bulk.status.value, after.status.value)
        name = f"{command.value}-operation"
        audit = audit_entry(bulk.account_id, bulk.sid, name, by=by, now=now, states=states)
        try:
            ports.operations.commit(after, audit=audit)
        except StaleRevError:
            bulk = _as_stored(ports, bulk)
            if bulk != after:  # else only the reply was lost
                continue
        if command is OperationCommand.RESUME:
            ports.wakeups.invoke_operation(bulk.sid)
        return after
    raise ContentionError(f"operation {bulk.sid} changed {MAX_RACES} times during one command; repeat it")


def _new_operation(
    ports: Ports, request: BulkRequest, sid: OperationSid
) -> tuple[BulkOperation, Mapping[InstanceSid, Instance]]:
    """Return the operation in its first state, and the instances that were read for it."""
    now = ports.clock.now()
    scan = SelectionScan(account=request.account, selection=request.selection, begun_at=now)
    # One more than a request commands shows if there are more.
    found = next_batch(ports, scan, size=MAX_IN_REQUEST + 1)
    is_small = found.batch.at_end and len(found.batch.sids) <= MAX_IN_REQUEST
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
    """Return the operation, finished if this request does the work itself. Else wake a runner for it."""
    if bulk.worker is not None:
        # ``run_batches`` stops ``RESERVE`` before its time is up.
        ends = bulk.started_at + IN_REQUEST + RESERVE
        after = run_batches(
            ports,
            OneWorker(),
            bulk,
            BatchProgress(),
            loaded=loaded,
            pace=Pace(),
            time_left=lambda: ends - ports.clock.now(),
            wake=lambda instance: _wake(ports, instance),
        )
        bulk = after or _as_stored(ports, bulk)
    if bulk.status is BulkStatus.ACTIVE and bulk.worker is None:
        ports.wakeups.invoke_operation(bulk.sid)
    return bulk


def _as_stored(ports: Ports, bulk: BulkOperation) -> BulkOperation:
    """Return the operation as last stored."""
    stored = ports.operations.load(bulk.sid)
    return stored if isinstance(stored, BulkOperation) else bulk


def _wake(ports: Ports, instance: Instance) -> None:
    """Wake a runner if the instance has an event to run or to schedule."""
    if not isinstance(next_action(instance, ports.clock.now()), Idle):
        ports.wakeups.invoke(instance.sid)


def _known(ports: Ports, sid: OperationSid, request: Repeatable) -> BulkOperation | None:
    bulk = ports.operations.load(sid)
    if not isinstance(bulk, BulkOperation):
        return None
    if not request.has_hash(bulk.request_hash):
        raise KeyReusedError("the Idempotency-Key was used with another body")
    if bulk.status is BulkStatus.ACTIVE:
        ports.wakeups.invoke_operation(sid)
    return bulk
