"""A bulk operation: one command to many instances, carried on slice by slice until it has come to its end.

A slice is written down before any of its instances is commanded, and what each of them came to together with the
next slice. So whoever takes over from a dead runner knows which ones may have been commanded; each of those says
itself whether it was (``Instance.operations``). Nothing is commanded twice, and every count is right.
Source: design section 8; docs/decisions/0019-bulk-operations.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import assert_never

from shared.domain.bulk.selection import START, Batch, Cursor, Selection
from shared.domain.ids import AccountId, InstanceSid, OperationSid
from shared.domain.instance.model import Instance
from shared.domain.instance.phase import Waiting
from shared.domain.instance.verdict import Actor, AlreadyThere, Applied, Refused, Verdict
from shared.domain.lifecycle.commands import Cancel, CancelTasks, Pause, Resume

BATCH_SIZE = 25
"""So many instances are taken in hand together; so many a request commands itself."""

COMMANDED_PER_SECOND = 400
"""How many instances an operation commands a second at most."""

MAX_IDS = 1000
"""So many instances can be named by their ids."""

MAX_PROBLEMS = 100
"""So many instances that could not be changed are told one by one; of the rest, how many there are."""

HELD_FOR = timedelta(minutes=1)
"""How long an invocation has a slice to itself; with the sweeper's minute, a dead one is followed in two."""

ONE_BY_ONE = 2
"""After so many dead runners a slice is gone through instance by instance."""

GIVEN_UP = 5
"""After so many, the instance they died at is told as failed and left alone."""

KEPT = timedelta(days=90)
"""How long after its end an operation can still be asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrateTo:
    """Each goes on under another version of its own strategy."""

    version: int
    by: Actor


@dataclass(frozen=True, slots=True, kw_only=True)
class RunWaiting:
    """The current event of each is to run now, where it waits for what is named."""

    what: Waiting
    by: Actor


BulkCommand = Pause | Resume | Cancel | CancelTasks | MigrateTo | RunWaiting
"""What many instances can be commanded; its actor names the operation."""


class BulkStatus(StrEnum):
    """Where an operation stands."""

    ACTIVE = "ACTIVE"
    """It is carried on. Put there at its beginning and by resume."""
    PAUSED = "PAUSED"
    """An operator has stopped it; left by resume and cancel."""
    CANCELED = "CANCELED"
    """Final: an operator has ended it. What it has changed stays changed."""
    COMPLETED = "COMPLETED"
    """Final: every instance of its selection has been commanded."""


class ItemOutcome(StrEnum):
    """What the command came to on one instance."""

    CHANGED = "changed"
    ALREADY_THERE = "already-there"
    REFUSED = "refused"
    """Its state does not allow the command."""
    UNKNOWN = "unknown"
    """The account has no such instance."""
    FAILED = "failed"
    """It could not be read or decided on; it is as it was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemResult:
    """What the command came to on one instance, and why it did not change it."""

    sid: InstanceSid
    outcome: ItemOutcome
    why: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How many instances came to what."""

    changed: int = 0
    already_there: int = 0
    refused: int = 0
    unknown: int = 0
    failed: int = 0

    @property
    def done(self) -> int:
        """All of them."""
        return self.changed + self.already_there + self.refused + self.unknown + self.failed

    def plus(self, results: Sequence[ItemResult]) -> "Counts":
        """With these as well."""
        outcome = [result.outcome for result in results]
        return Counts(
            changed=self.changed + outcome.count(ItemOutcome.CHANGED),
            already_there=self.already_there + outcome.count(ItemOutcome.ALREADY_THERE),
            refused=self.refused + outcome.count(ItemOutcome.REFUSED),
            unknown=self.unknown + outcome.count(ItemOutcome.UNKNOWN),
            failed=self.failed + outcome.count(ItemOutcome.FAILED),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkOperation:
    """One command to all instances of a selection that there were when it began.

    started_at: when that was. sweep_at: when it is to go on if nobody has moved it; None: never by itself.
    cursor, at_end: where the walk goes on behind the slice in hand, and whether nothing follows it.
    in_hand: the slice: some of it may have been commanded, none of it is counted.
    worker: a name of the invocation that has it, unlike any other's; None: nobody. crashes: how many have died
    over the slice in hand.
    results: what every instance came to, for as long as there are no more than one slice of them.
    problems: of which instances the command was refused, unknown or failed; left_out: how many more there were.
    rev: rises with each stored change. request_hash: of the body it was begun by, where that may be repeated.
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
    """What an operator can tell an operation."""

    PAUSE = "pause"
    RESUME = "resume"
    CANCEL = "cancel"


def begin(bulk: BulkOperation, only: Batch | None, *, worker: str) -> BulkOperation:
    """An operation as it is stored first.

    only: the whole selection, where it is small enough for the request, ``worker``, to command it itself; None: a
    runner is to take it.
    """
    if only is None:
        return bulk
    whole = replace(bulk, batch_sids=only.sids, cursor=only.cursor, at_end=True)
    if not only.sids:
        return _over(whole, BulkStatus.COMPLETED, now=bulk.started_at)
    return replace(whole, worker=worker, sweep_at=bulk.started_at + HELD_FOR)


def taken(bulk: BulkOperation, *, worker: str, now: datetime) -> BulkOperation:
    """The operation while an invocation has it; one that had it before and left a slice in hand has died."""
    died = bulk.worker is not None and bool(bulk.batch_sids)
    return replace(
        bulk,
        worker=worker,
        crashes=bulk.crashes + 1 if died else bulk.crashes,
        sweep_at=now + HELD_FOR,
        rev=bulk.rev + 1,
    )


def at_hand(bulk: BulkOperation) -> tuple[InstanceSid, ...]:
    """The instances to be commanded before anything is written down again."""
    return bulk.batch_sids[:1] if bulk.crashes >= ONE_BY_ONE else bulk.batch_sids


def is_given_up(bulk: BulkOperation) -> bool:
    """Whether too many runners have died at the instance at hand."""
    return bulk.crashes >= GIVEN_UP


def reported(
    bulk: BulkOperation,
    results: Sequence[ItemResult],
    *,
    follows: Batch | None,
    goes_on: bool,
    now: datetime,
) -> BulkOperation:
    """The operation after an invocation has told what some of the slice in hand came to.

    follows: the slice it takes next, if nothing of this one is left. goes_on: it has the time to.
    Paused meanwhile, what is left stays in hand for whoever resumes it; canceled meanwhile, it is dropped.
    """
    told = {result.sid for result in results}
    left = tuple(sid for sid in bulk.batch_sids if sid not in told)
    after = replace(
        _counted(bulk, results),
        batch_sids=left,
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
    return replace(after, sweep_at=now + HELD_FOR)


def apply_command(bulk: BulkOperation, command: OperationCommand, *, now: datetime) -> BulkOperation | None:
    """The operation as an operator wants it: itself where it is that already, None where it is over.

    Whoever works on it finishes its slice and counts it; where nobody lives to do so, the sweeper brings somebody
    who counts what was done of it.
    """
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
        return after
    return replace(
        after, sweep_at=None, batch_sids=() if command is OperationCommand.CANCEL else bulk.batch_sids
    )


def is_of(bulk: BulkOperation, instance: Instance) -> bool:
    """Whether an instance is the account's and was there when the operation began."""
    return instance.account_id == bulk.account_id and instance.created_at <= bulk.started_at


def result_of(sid: InstanceSid, verdict: Verdict | None, operation: OperationSid) -> ItemResult:
    """What a verdict means to the operation; None: there is no such instance.

    AlreadyThere through the operation itself is its own change, whose runner died before it could tell.
    """
    match verdict:
        case Applied():
            return ItemResult(sid=sid, outcome=ItemOutcome.CHANGED)
        case AlreadyThere(instance=instance):
            ours = operation in instance.operations
            return ItemResult(sid=sid, outcome=ItemOutcome.CHANGED if ours else ItemOutcome.ALREADY_THERE)
        case Refused(why=why):
            return ItemResult(sid=sid, outcome=ItemOutcome.REFUSED, why=why)
        case None:
            return ItemResult(sid=sid, outcome=ItemOutcome.UNKNOWN, why="there is no such instance")
        case _:
            assert_never(verdict)


def name_of(command: BulkCommand) -> str:
    """What a command is called on the wire and in the audit trail."""
    match command:
        case Pause():
            return "pause"
        case Resume():
            return "resume"
        case Cancel():
            return "cancel"
        case CancelTasks():
            return "cancel-tasks"
        case MigrateTo():
            return "migrate"
        case RunWaiting():
            return "execute"
        case _:
            assert_never(command)


def _counted(bulk: BulkOperation, results: Sequence[ItemResult]) -> BulkOperation:
    counts = bulk.counts.plus(results)
    bad = [
        result for result in results if result.outcome not in (ItemOutcome.CHANGED, ItemOutcome.ALREADY_THERE)
    ]
    room = MAX_PROBLEMS - len(bulk.problems)
    return replace(
        bulk,
        counts=counts,
        results=(*bulk.results, *results) if counts.done <= BATCH_SIZE else (),
        problems=(*bulk.problems, *bad[:room]),
        left_out=bulk.left_out + len(bad[room:]),
    )


def _over(bulk: BulkOperation, status: BulkStatus, *, now: datetime) -> BulkOperation:
    return replace(bulk, status=status, worker=None, sweep_at=None, finished_at=now)
