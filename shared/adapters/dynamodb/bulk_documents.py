"""The stored document of a bulk operation, in the form of ``documents.py``."""

from shared.adapters.dynamodb.forms import FLAG, INSTANT, OBJECT, TEXT, WHOLE, named, several
from shared.adapters.dynamodb.shapes import Member, Shape, either
from shared.domain.bulk.operation import (
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
)
from shared.domain.instance.event import Resolution
from shared.domain.instance.model import InstanceStatus
from shared.domain.instance.phase import Phase, PhaseRange, Waiting
from shared.domain.instance.reason import Cause
from shared.domain.instance.verdict import Actor
from shared.domain.lifecycle.commands import Cancel, CancelAt, CancelTasks, Dismiss, Pause, Resume, Update
from shared.domain.strategy.model import OnResume

ACTOR = Shape(
    Actor,
    {
        "name": Member("name", TEXT),
        "reason": Member("reason", TEXT),
        "operation": Member("operation", TEXT),
        "minutes_spent": Member("minutesSpent", WHOLE),
        "ticket": Member("ticket", TEXT),
        "options": Member("options", several(TEXT)),
    },
)

PAUSE = Shape(
    Pause,
    {
        "by": Member("by", ACTOR),
        "kill": Member("kill", FLAG),
        "sets_until": Member("setsUntil", FLAG),
        "until": Member("until", INSTANT),
    },
)

RESUME = Shape(Resume, {"by": Member("by", ACTOR), "on_late": Member("onLate", named(OnResume))})

CANCEL = Shape(
    Cancel,
    {
        "by": Member("by", ACTOR),
        "kill": Member("kill", FLAG),
        "unless_begun": Member("unlessBegun", FLAG),
    },
)

CANCEL_AT = Shape(CancelAt, {"by": Member("by", ACTOR), "at": Member("at", INSTANT)})

CANCEL_TASKS = Shape(CancelTasks, {"by": Member("by", ACTOR), "tasks": Member("tasks", several(TEXT))})

MIGRATE_TO = Shape(MigrateTo, {"by": Member("by", ACTOR), "version": Member("version", WHOLE)})

RUN_WAITING = Shape(RunWaiting, {"by": Member("by", ACTOR), "what": Member("what", named(Waiting))})

RETRY_FAILED = Shape(
    RetryFailed,
    {
        "by": Member("by", ACTOR),
        "from_step": Member("fromStep", TEXT),
        "of_ended": Member("ofEnded", FLAG),
    },
)

RESOLVE_DOUBT = Shape(
    ResolveDoubt, {"by": Member("by", ACTOR), "resolution": Member("resolution", named(Resolution))}
)

UPDATE = Shape(
    Update,
    {
        "by": Member("by", ACTOR),
        "description": Member("description", TEXT),
        "attributes": Member("attributes", OBJECT),
        "sets_end_date": Member("setsEnd", FLAG),
        "end_date": Member("end", INSTANT),
    },
)

RESCHEDULE = Shape(
    RescheduleNext,
    {
        "by": Member("by", ACTOR),
        "date": Member("date", INSTANT),
        "keep_anchor": Member("keepAnchor", FLAG),
    },
)

SKIP = Shape(SkipNext, {"by": Member("by", ACTOR), "cycles": Member("cycles", WHOLE)})

DISMISS = Shape(Dismiss, {"by": Member("by", ACTOR), "until": Member("until", INSTANT)})

BULK_COMMAND = either(
    pause=(Pause, PAUSE),
    resume=(Resume, RESUME),
    cancel=(Cancel, CANCEL),
    cancelAt=(CancelAt, CANCEL_AT),
    cancelTasks=(CancelTasks, CANCEL_TASKS),
    migrate=(MigrateTo, MIGRATE_TO),
    execute=(RunWaiting, RUN_WAITING),
    retry=(RetryFailed, RETRY_FAILED),
    resolve=(ResolveDoubt, RESOLVE_DOUBT),
    update=(Update, UPDATE),
    reschedule=(RescheduleNext, RESCHEDULE),
    skip=(SkipNext, SKIP),
    dismiss=(Dismiss, DISMISS),
)

PHASE_RANGE = Shape(
    PhaseRange,
    {
        "phase": Member("phase", named(Phase)),
        "cause": Member("cause", named(Cause)),
        "detail": Member("detail", TEXT),
        "strategy": Member("strategy", TEXT),
    },
)

FILTER = Shape(
    Filter,
    {
        "phases": Member("phases", several(named(Phase))),
        "planned_from": Member("plannedFrom", INSTANT),
        "planned_until": Member("plannedUntil", INSTANT),
        "at_rest": Member("atRest", FLAG),
        "ranges": Member("ranges", several(PHASE_RANGE)),
    },
)

_FILTER = {
    "statuses": Member("statuses", several(named(InstanceStatus))),
    "created_from": Member("createdFrom", INSTANT),
    "created_to": Member("createdTo", INSTANT),
    "instance_filter": Member("filter", FILTER),
}

OF_IDS = Shape(OfIds, {"ids": Member("ids", several(TEXT))})

OF_STRATEGY = Shape(
    OfStrategy, {"strategy": Member("strategy", TEXT), "version": Member("version", WHOLE), **_FILTER}
)

OF_FOLDER = Shape(OfFolder, {"folder": Member("folder", TEXT), "is_flat": Member("isFlat", FLAG), **_FILTER})

PART = either(strategy=(OfStrategy, OF_STRATEGY), folder=(OfFolder, OF_FOLDER))

OF_ANY = Shape(OfAny, {"parts": Member("parts", several(PART))})

OF_PHASES = Shape(OfPhases, {"ranges": Member("ranges", several(PHASE_RANGE))})

OF_REFERENCE = Shape(OfReference, {"reference": Member("reference", TEXT)})

OF_ATTRIBUTE = Shape(OfAttribute, {"name": Member("name", TEXT), "text": Member("text", TEXT)})

SELECTION = either(
    ids=(OfIds, OF_IDS),
    strategy=(OfStrategy, OF_STRATEGY),
    folder=(OfFolder, OF_FOLDER),
    any=(OfAny, OF_ANY),
    phases=(OfPhases, OF_PHASES),
    reference=(OfReference, OF_REFERENCE),
    attribute=(OfAttribute, OF_ATTRIBUTE),
)

CURSOR = Shape(
    Cursor,
    {
        "part": Member("part", WHOLE),
        "passed": Member("passed", WHOLE),
        "folder_name": Member("folderName", TEXT),
        "strategy": Member("strategy", TEXT),
        "created_at": Member("created", INSTANT),
        "sid": Member("sid", TEXT),
        "order": Member("order", TEXT),
    },
)

COUNTS = Shape(
    Counts,
    {
        "changed": Member("changed", WHOLE),
        "already_there": Member("alreadyThere", WHOLE),
        "refused": Member("refused", WHOLE),
        "unknown": Member("unknown", WHOLE),
        "failed": Member("failed", WHOLE),
    },
)

RESULT = Shape(
    ItemResult,
    {
        "sid": Member("sid", TEXT),
        "outcome": Member("outcome", named(ItemOutcome)),
        "why": Member("why", TEXT),
        "redated": Member("redated", WHOLE),
    },
)

BULK = Shape(
    BulkOperation,
    {
        "selection": Member("selection", SELECTION),
        "command": Member("command", BULK_COMMAND),
        "started_at": Member("started", INSTANT),
        "updated_at": Member("updated", INSTANT, same_as="started_at"),
        "sweep_at": Member("sweepAt", INSTANT),
        "status": Member("status", named(BulkStatus)),
        "cursor": Member("cursor", CURSOR),
        "at_end": Member("atEnd", FLAG),
        "batch_sids": Member("batch", several(TEXT)),
        "worker": Member("worker", TEXT),
        "crashes": Member("crashes", WHOLE),
        "counts": Member("counts", COUNTS),
        "results": Member("results", several(RESULT)),
        "problems": Member("problems", several(RESULT)),
        "left_out": Member("leftOut", WHOLE),
        "finished_at": Member("finished", INSTANT),
        "request_hash": Member("requestHash", TEXT),
    },
    outside=("sid", "account_id", "rev"),
)
