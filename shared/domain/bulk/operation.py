"""A bulk operation: one command to many instances, executed batch by batch.

A batch is saved before any of its instances is commanded, and its results are saved together with the next batch. If
a worker crashes, the next worker therefore knows which instances may have been commanded. Each instance remembers the
operations that changed it (``Instance.operations``), so no command is applied twice and every count is right. It does
not matter in which order the instances of a batch are commanded, or how many at once.
Source: docs/design.md section 8; docs/decisions/0019-bulk-operations.md.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import assert_never

from msgspec import Struct
from msgspec.structs import force_setattr, replace

from shared.domain.bulk.selection import START, Batch, Cursor, Selection
from shared.domain.errors import shortened
from shared.domain.ids import AccountId, InstanceSid, OperationSid
from shared.domain.instance.event import Resolution
from shared.domain.instance.model import Instance
from shared.domain.instance.phase import Waiting
from shared.domain.instance.verdict import Actor, AlreadyThere, Applied, Refused, Verdict
from shared.domain.lifecycle.commands import Cancel, CancelAt, CancelTasks, Dismiss, Pause, Resume, Update
from shared.domain.lifecycle.takeover import CRASH_WINDOW

MAX_IN_REQUEST = 25
"""How many instances a request may command itself. Their results are kept one by one."""

MAX_IDS = 1000
"""The most instances that can be selected by their ids."""

MAX_PROBLEMS = 100
"""How many instances that could not be changed are listed. The others are only counted."""

MAX_WHY_BYTES = 500
"""The largest explanation of an instance that could not be changed, as JSON."""

LEASE = timedelta(minutes=1)
"""How long a worker owns a batch. With the sweeper's minute, a crashed worker is replaced within two minutes."""

ONE_BY_ONE = 2
"""After this many crashes, the instances of a batch are commanded one by one."""

GIVEN_UP = 5
"""After this many crashes, the instance at which they happened is reported as failed and skipped."""

KEPT = timedelta(days=90)
"""How long an operation can be read after its end."""


class MigrateTo(Struct, frozen=True, kw_only=True):
    """Migrate each instance to this version of its own strategy."""

    version: int
    by: Actor


class RunWaiting(Struct, frozen=True, kw_only=True):
    """Run each instance's current event now, if it waits in that way."""

    what: Waiting
    by: Actor


class RetryFailed(Struct, frozen=True, kw_only=True):
    """Redrive each instance's failed event, from a step if one is given.

    Instances that have ended are refused unless ``of_ended``.
    """

    by: Actor
    from_step: str | None = None
    of_ended: bool = False


class ResolveDoubt(Struct, frozen=True, kw_only=True):
    """Decide each instance's call in doubt."""

    resolution: Resolution
    by: Actor


class RescheduleNext(Struct, frozen=True, kw_only=True):
    """Move each instance's next date to ``date``. Without ``keep_anchor``, its rhythm counts from there."""

    date: datetime
    by: Actor
    keep_anchor: bool = True


class SkipNext(Struct, frozen=True, kw_only=True):
    """Skip the next ``cycles`` cycles of each instance."""

    by: Actor
    cycles: int = 1


BulkCommand = (
    Pause
    | Resume
    | Cancel
    | CancelAt
    | CancelTasks
    | MigrateTo
    | RunWaiting
    | RetryFailed
    | ResolveDoubt
    | Update
    | RescheduleNext
    | SkipNext
    | Dismiss
)
"""The commands of a bulk operation. Their actor names the operation."""


class BulkStatus(StrEnum):
    """The status of an operation."""

    ACTIVE = "ACTIVE"
    """The operation is executed. Set at its start and by ``resume``."""
    PAUSED = "PAUSED"
    """Stopped by an operator. Left by ``resume`` and ``cancel``."""
    CANCELED = "CANCELED"
    """Final: ended by an operator. Instances that it has changed stay changed."""
    COMPLETED = "COMPLETED"
    """Final: every instance of its selection has been commanded."""


class ItemOutcome(StrEnum):
    """The outcome of the command on one instance."""

    CHANGED = "changed"
    ALREADY_THERE = "already-there"
    REFUSED = "refused"
    """The state of the instance does not allow the command."""
    UNKNOWN = "unknown"
    """The account has no such instance."""
    FAILED = "failed"
    """The instance could not be read or decided. It is unchanged."""


class ItemResult(Struct, frozen=True, kw_only=True):
    """The result of the command on one instance.

    ``why`` explains why it was not changed; a long text is cut. ``redated`` counts the planned events that a changed
    attribute has moved; 0 also if a worker crashed after the change.
    """

    sid: InstanceSid
    outcome: ItemOutcome
    why: str | None = None
    redated: int = 0

    def __post_init__(self) -> None:
        """Cut the explanation: an operation stores and answers a hundred of them."""
        if self.why is not None:
            force_setattr(self, "why", shortened(self.why, MAX_WHY_BYTES))


class Counts(Struct, frozen=True, kw_only=True):
    """The number of instances by outcome."""

    changed: int = 0
    already_there: int = 0
    refused: int = 0
    unknown: int = 0
    failed: int = 0

    @property
    def done(self) -> int:
        """Return the number of all instances with an outcome."""
        return self.changed + self.already_there + self.refused + self.unknown + self.failed

    def plus(self, results: Sequence[ItemResult]) -> "Counts":
        """Return the counts with ``results`` added."""
        outcome = [result.outcome for result in results]
        return Counts(
            changed=self.changed + outcome.count(ItemOutcome.CHANGED),
            already_there=self.already_there + outcome.count(ItemOutcome.ALREADY_THERE),
            refused=self.refused + outcome.count(ItemOutcome.REFUSED),
            unknown=self.unknown + outcome.count(ItemOutcome.UNKNOWN),
            failed=self.failed + outcome.count(ItemOutcome.FAILED),
        )


class BulkOperation(Struct, frozen=True, kw_only=True):
    """One command to all instances of a selection that existed at ``started_at``.

    ``sweep_at`` is when a new worker must continue if the current one does not; None for never. ``batch_sids`` is the
    current batch: some of it may have been commanded, none of it is counted. ``cursor`` is the position after the
    batch, and ``at_end`` means that no batch follows.

    ``worker`` is the unique name of the invocation that owns the batch, None if there is none. ``crashes`` counts the
    workers that crashed during the current batch. ``results`` holds the result of every instance, as long as there
    are at most ``MAX_IN_REQUEST``. ``problems`` lists the instances that were refused, unknown or failed, and
    ``left_out`` counts those beyond the limit.

    ``rev`` rises with each saved change. ``request_hash`` is the hash of the creating body, if the request may be
    repeated.
    """

    sid: OperationSid
    account_id: AccountId
    selection: Selection
    command: BulkCommand
    started_at: datetime
    updated_at: datetime
    sweep_at: datetime | None = None
    rev: int = 1
    status: BulkStatus = BulkStatus.ACTIVE
    cursor: Cursor = START
    at_end: bool = False
    batch_sids: tuple[InstanceSid, ...] = ()
    worker: str | None = None
    crashes: int = 0
    counts: Counts = Counts()
    results: tuple[ItemResult, ...] = ()
    problems: tuple[ItemResult, ...] = ()
    left_out: int = 0
    finished_at: datetime | None = None
    request_hash: str | None = None


class OperationCommand(StrEnum):
    """An operator's command to an operation."""

    PAUSE = "pause"
    RESUME = "resume"
    CANCEL = "cancel"


def begin(bulk: BulkOperation, only: Batch | None, *, worker: str) -> BulkOperation:
    """Return the operation as it is first saved.

    ``only`` is the whole selection if it is small enough for the request to command it itself as ``worker``. If
    ``only`` is None, a bulk runner takes the operation.
    """
    if only is None:
        return bulk
    whole = replace(bulk, batch_sids=only.sids, cursor=only.cursor, at_end=True)
    # An empty selection has nothing to command.
    if not only.sids:
        return _over(whole, BulkStatus.COMPLETED, now=bulk.started_at)
    return replace(whole, worker=worker, sweep_at=bulk.started_at + LEASE)


def assign_worker(bulk: BulkOperation, *, worker: str, now: datetime) -> BulkOperation:
    """Return the operation owned by ``worker``. If the last owner left a batch, it has crashed.

    A takeover long after the lease counts no crash: the stores were unavailable, or it would have come earlier.
    """
    left_a_batch = bulk.worker is not None and bool(bulk.batch_sids)
    crashed = left_a_batch and bulk.sweep_at is not None and now < bulk.sweep_at + CRASH_WINDOW
    return replace(
        bulk,
        worker=worker,
        crashes=bulk.crashes + 1 if crashed else bulk.crashes,
        sweep_at=now + LEASE,
        rev=bulk.rev + 1,
    )


def next_sids(bulk: BulkOperation) -> tuple[InstanceSid, ...]:
    """Return the instances to command before the operation is saved again."""
    # One by one, the crash count shows which instance crashes the workers.
    return bulk.batch_sids[:1] if bulk.crashes >= ONE_BY_ONE else bulk.batch_sids


def is_given_up(bulk: BulkOperation) -> bool:
    """Return whether too many workers have crashed at the next instance."""
    return bulk.crashes >= GIVEN_UP


def report_results(
    bulk: BulkOperation,
    results: Sequence[ItemResult],
    *,
    follows: Batch | None,
    goes_on: bool,
    now: datetime,
) -> BulkOperation:
    """Return the operation after a worker has reported the results of some instances of its batch.

    ``follows`` is the next batch, taken if nothing of the current one is left. ``goes_on`` means that the worker has
    time to continue. If the operation was paused meanwhile, the rest of the batch is kept for a resume; if it was
    canceled, the rest is dropped.
    """
    result_sids = {result.sid for result in results}
    left = tuple(sid for sid in bulk.batch_sids if sid not in result_sids)
    after = replace(
        _with_results(bulk, results),
        batch_sids=left,
        # The rest of a batch at which workers crashed continues one by one.
        crashes=min(bulk.crashes, ONE_BY_ONE) if left else 0,
        rev=bulk.rev + 1,
        updated_at=now,
    )
    if bulk.status is not BulkStatus.ACTIVE:
        kept = left if bulk.status is BulkStatus.PAUSED else ()
        return replace(after, batch_sids=kept, worker=None, sweep_at=None)
    if follows is not None and not left:
        after = replace(after, batch_sids=follows.sids, cursor=follows.cursor, at_end=follows.at_end)
    if after.at_end and not after.batch_sids:
        return _over(after, BulkStatus.COMPLETED, now=now)
    if not goes_on:
        return replace(after, worker=None, sweep_at=now)
    return replace(after, sweep_at=now + LEASE)


def apply_command(bulk: BulkOperation, command: OperationCommand, *, now: datetime) -> BulkOperation | None:
    """Return the operation after an operator's command, or None if the operation has ended."""
    statuses = {
        OperationCommand.PAUSE: BulkStatus.PAUSED,
        OperationCommand.RESUME: BulkStatus.ACTIVE,
        OperationCommand.CANCEL: BulkStatus.CANCELED,
    }
    if bulk.status is statuses[command]:
        return bulk
    if bulk.status in (BulkStatus.CANCELED, BulkStatus.COMPLETED):
        return None
    after = replace(bulk, status=statuses[command], rev=bulk.rev + 1, updated_at=now)
    if command is OperationCommand.RESUME:
        return replace(after, sweep_at=now)
    if command is OperationCommand.CANCEL:
        after = replace(after, finished_at=now)
    if bulk.worker is not None:
        # The worker finishes its batch and counts it. If it has crashed, the sweeper starts another one to count.
        return after
    return replace(
        after, sweep_at=None, batch_sids=() if command is OperationCommand.CANCEL else bulk.batch_sids
    )


def is_in_scope(bulk: BulkOperation, instance: Instance) -> bool:
    """Return whether the instance belongs to the account and existed when the operation started."""
    return instance.account_id == bulk.account_id and instance.created_at <= bulk.started_at


def result_of(sid: InstanceSid, verdict: Verdict | None, operation: OperationSid) -> ItemResult:
    """Return the result of a verdict; None means that there is no such instance."""
    match verdict:
        case Applied(redated=redated):
            return ItemResult(sid=sid, outcome=ItemOutcome.CHANGED, redated=len(redated))
        case AlreadyThere(instance=instance):
            # A worker may have crashed after the change and before it was counted.
            ours = operation in instance.operations
            return ItemResult(sid=sid, outcome=ItemOutcome.CHANGED if ours else ItemOutcome.ALREADY_THERE)
        case Refused(why=why):
            return ItemResult(sid=sid, outcome=ItemOutcome.REFUSED, why=why)
        case None:
            return ItemResult(sid=sid, outcome=ItemOutcome.UNKNOWN, why="there is no such instance")
        case _:
            assert_never(verdict)


def name_of(command: BulkCommand) -> str:
    """Return the command's name on the wire and in the audit trail."""
    return _NAMES[type(command)]


_NAMES: Mapping[type[BulkCommand], str] = {
    Pause: "pause",
    Resume: "resume",
    Cancel: "cancel",
    CancelAt: "cancel",
    CancelTasks: "cancel-tasks",
    MigrateTo: "migrate",
    RunWaiting: "execute",
    RetryFailed: "retry",
    ResolveDoubt: "resolve",
    Update: "update",
    RescheduleNext: "reschedule",
    SkipNext: "skip",
    Dismiss: "dismiss",
}


def _with_results(bulk: BulkOperation, results: Sequence[ItemResult]) -> BulkOperation:
    counts = bulk.counts.plus(results)
    bad = [
        result for result in results if result.outcome not in (ItemOutcome.CHANGED, ItemOutcome.ALREADY_THERE)
    ]
    room = MAX_PROBLEMS - len(bulk.problems)
    return replace(
        bulk,
        counts=counts,
        results=(*bulk.results, *results) if counts.done <= MAX_IN_REQUEST else (),
        problems=(*bulk.problems, *bad[:room]),
        left_out=bulk.left_out + len(bad[room:]),
    )


def _over(bulk: BulkOperation, status: BulkStatus, *, now: datetime) -> BulkOperation:
    return replace(bulk, status=status, worker=None, sweep_at=None, finished_at=now)
