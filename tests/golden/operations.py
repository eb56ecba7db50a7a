"""Golden bulk operations and release jobs."""

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from shared.application.ports import Operation
from shared.domain.bulk.operation import (
    BulkCommand,
    BulkOperation,
    BulkStatus,
    Counts,
    ItemOutcome,
    ItemResult,
    MigrateTo,
    RescheduleNext,
    ResolveDoubt,
    RetryFailed,
    RunWaiting,
    SkipNext,
)
from shared.domain.bulk.release import ReleaseJob
from shared.domain.bulk.selection import (
    Cursor,
    Filter,
    OfAny,
    OfAttribute,
    OfFolder,
    OfIds,
    OfPhases,
    OfReference,
    OfStrategy,
    Selection,
)
from shared.domain.ids import InstanceSid, OperationSid
from shared.domain.instance.due_entries import DueEntry
from shared.domain.instance.event import Resolution
from shared.domain.instance.model import BlockedBy, InstanceStatus
from shared.domain.instance.phase import Phase, PhaseRange, Waiting
from shared.domain.instance.reason import Cause
from shared.domain.instance.verdict import Actor, AuditEntry
from shared.domain.lifecycle.commands import (
    Cancel,
    CancelAt,
    CancelTasks,
    Dismiss,
    Pause,
    Resume,
    Update,
)
from shared.domain.strategy.flag import Flag
from shared.domain.strategy.model import OnResume
from tests.engines import Stores
from tests.golden.golden import ACCOUNT, SID, STRATEGY, Golden, at

BULK_SID = OperationSid("01890a5d-ac96-774b-bcce-b302099a00b1")

AUDIT = AuditEntry(account_id=ACCOUNT, target=BULK_SID, at=at(1), by="key-1", command="create")

BY = Actor(name="key-1")

FULL_BY = Actor(
    name="key-1", reason="€ asked to", operation=BULK_SID, minutes_spent=2, ticket="T-1", options=("deep",)
)

NEW = BulkOperation(
    sid=BULK_SID,
    account_id=ACCOUNT,
    selection=OfStrategy(strategy=STRATEGY),
    command=Pause(by=BY),
    started_at=at(1),
    updated_at=at(1),
    sweep_at=at(1),
)
"""An operation as it is created, with every optional member absent."""

REFUSED = ItemResult(sid=SID, outcome=ItemOutcome.REFUSED, why="the instance is COMPLETED")

FULL = BulkOperation(
    sid=BULK_SID,
    account_id=ACCOUNT,
    selection=OfIds(ids=(SID, InstanceSid("i-2"))),
    command=CancelTasks(tasks=("remind", "charge"), by=FULL_BY),
    started_at=at(1),
    updated_at=at(2),
    sweep_at=at(3),
    rev=17,
    status=BulkStatus.PAUSED,
    cursor=Cursor(
        part=2, passed=3, folder_name="/de#gym", strategy=STRATEGY, created_at=at(4), sid=SID, order="a#b"
    ),
    at_end=True,
    batch_sids=(SID, InstanceSid("i-2")),
    worker="t0ken",
    crashes=2,
    counts=Counts(changed=4, already_there=5, refused=6, unknown=7, failed=8),
    results=tuple(
        ItemResult(sid=InstanceSid(f"i-{number}"), outcome=outcome)
        for number, outcome in enumerate(ItemOutcome)
    ),
    problems=(REFUSED, replace(REFUSED, outcome=ItemOutcome.FAILED)),
    left_out=9,
    finished_at=at(5),
    request_hash="b0d4",
)
"""An operation with every member present."""

RANGES = (
    PhaseRange(phase=Phase.STUCK, cause=Cause.EXHAUSTED, detail="http-402", strategy=STRATEGY),
    *(PhaseRange(phase=phase) for phase in Phase),
    *(PhaseRange(phase=Phase.STUCK, cause=cause) for cause in Cause),
)

THOSE: dict[str, Any] = {
    "statuses": tuple(InstanceStatus),
    "created_from": at(1, microsecond=7),
    "created_to": at(2),
    "instance_filter": Filter(
        phases=tuple(Phase),
        planned_from=at(3, microsecond=7),
        planned_until=at(4),
        at_rest=True,
        ranges=RANGES,
    ),
}

EVERY_STRATEGY = OfStrategy(strategy=STRATEGY, version=3, **THOSE)
EVERY_FOLDER = OfFolder(folder="/de", is_flat=True, **THOSE)

SELECTIONS: dict[str, Selection] = {
    "ids": OfIds(ids=(SID,)),
    "strategy": EVERY_STRATEGY,
    "folder": EVERY_FOLDER,
    "whole-account": OfFolder(folder="/", instance_filter=Filter()),
    "parts": OfAny(parts=(OfFolder(folder="/fr"), OfStrategy(strategy=STRATEGY))),
    "phases": OfPhases(ranges=RANGES),
    "reference": OfReference(reference="order-4711"),
    "attribute": OfAttribute(name="customerId", text="c-1"),
}

COMMANDS: dict[str, BulkCommand] = {
    "pause-kill": Pause(by=FULL_BY, kill=True),
    "pause-until": Pause(by=BY, sets_until=True, until=at(7)),
    "cancel-at": CancelAt(by=BY, at=at(7)),
    "cancel-at-end-of-cycle": CancelAt(by=BY),
    "resume": Resume(by=BY),
    **{f"resume-{rule.value}": Resume(by=BY, on_late=rule) for rule in OnResume},
    "cancel": Cancel(by=BY),
    "cancel-full": Cancel(by=BY, kill=True, unless_begun=True),
    "cancel-tasks": CancelTasks(tasks=("remind",), by=BY),
    "migrate": MigrateTo(version=4, by=BY),
    **{f"execute-{what.value.lower()}": RunWaiting(what=what, by=BY) for what in Waiting},
    "retry": RetryFailed(by=BY),
    "retry-full": RetryFailed(by=BY, from_step="pay", of_ended=True),
    **{
        f"resolve-{resolution.value}": ResolveDoubt(resolution=resolution, by=BY) for resolution in Resolution
    },
    "update": Update(by=BY),
    "update-full": Update(
        by=BY, description="d", attributes={"a": None, "b": [1]}, sets_end_date=True, end_date=at(6)
    ),
    "dismiss": Dismiss(until=at(7), by=BY),
    "reschedule": RescheduleNext(date=at(8), by=BY),
    "reschedule-rhythm": RescheduleNext(date=at(8), keep_anchor=False, by=BY),
    "skip": SkipNext(by=BY),
    "skip-several": SkipNext(cycles=2, by=BY),
}


def _golden(
    name: str, operation: Operation, write: Callable[[Stores], None], *, due: bool, in_lists: bool
) -> Golden:
    """Return a golden operation, with whether the sweeper and the list of its account find it."""

    def read(stores: Stores) -> object:
        entries = stores.operations.due(until=at(31).replace(year=2030), limit=9)
        return {
            "load": stores.operations.load(operation.sid),
            "due": [entry.sid for entry in entries],
            "list": stores.operations.of_account(ACCOUNT, before=None, limit=9),
        }

    value = {
        "load": operation,
        "due": [operation.sid] if due else [],
        "list": [operation] if in_lists else [],
    }
    return Golden(name=f"operations/{name}", value=value, write=write, read=read)


def _bulk(name: str, **members: Any) -> Golden:
    bulk = replace(NEW, **members)

    def write(stores: Stores) -> None:
        stores.operations.create(bulk, audit=AUDIT)

    return _golden(name, bulk, write, due=bulk.sweep_at is not None, in_lists=True)


def _postponed() -> Golden:
    def write(stores: Stores) -> None:
        stores.operations.create(NEW, audit=AUDIT)
        (entry,) = stores.operations.due(until=at(31), limit=2)
        assert isinstance(entry, DueEntry)
        assert stores.operations.postpone(entry, now=at(2))

    return _golden("bulk-postponed", NEW, write, due=True, in_lists=True)


def _full() -> Golden:
    def write(stores: Stores) -> None:
        stores.operations.create(FULL, audit=AUDIT)

    return _golden("bulk-full", FULL, write, due=True, in_lists=True)


def _job(name: str, job: ReleaseJob) -> Golden:
    def write(stores: Stores) -> None:
        stores.access.set_queue_flag(ACCOUNT, Flag(is_paused=False), release_jobs=[job])

    return _golden(name, job, write, due=True, in_lists=False)


JOB = ReleaseJob(
    sid=OperationSid("release-strategy-01890a5d-ac96-774b-bcce-b302099a0001-0"),
    account_id=ACCOUNT,
    blocked_by=BlockedBy.STRATEGY,
    owner=STRATEGY,
    shard=0,
    started_at=at(1),
    started_by="key-1",
    sweep_at=at(1),
    rev=1,
)

FULL_JOB = ReleaseJob(
    sid=OperationSid("release-queue-acme-5"),
    account_id=ACCOUNT,
    blocked_by=BlockedBy.QUEUE,
    owner=ACCOUNT,
    shard=5,
    started_at=at(1),
    started_by="key-1",
    sweep_at=at(2),
    rev=17,
    freed=8,
    empty_since=at(3),
)

OPERATIONS = (
    _bulk("bulk-new"),
    _full(),
    _postponed(),
    _bulk("bulk-with-batch", batch_sids=(SID,), worker="t0ken", sweep_at=at(2), rev=2),
    _bulk("bulk-paused", status=BulkStatus.PAUSED, sweep_at=None),
    _bulk("bulk-canceled", status=BulkStatus.CANCELED, sweep_at=None, finished_at=at(2)),
    _bulk("bulk-completed", status=BulkStatus.COMPLETED, sweep_at=None, finished_at=at(2), at_end=True),
    _bulk("bulk-redated", results=(replace(REFUSED, outcome=ItemOutcome.CHANGED, redated=2),)),
    *(_bulk(f"selection-{name}", selection=selection) for name, selection in SELECTIONS.items()),
    *(_bulk(f"command-{name}", command=command) for name, command in COMMANDS.items()),
    _job("release-job-new", JOB),
    _job("release-job-full", FULL_JOB),
)
