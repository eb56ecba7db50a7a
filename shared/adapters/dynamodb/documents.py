"""The stored documents: each class of the domain with its fields and their stored names.

A field that is renamed in code keeps its stored name. A new field needs a default, which older documents then read
as. Any other change needs a new ``SCHEMA`` and a reader for the old one.
Source: docs/decisions/0051-what-is-stored-outlives-a-release.md.
"""

from shared.adapters.dynamodb.forms import (
    ANCHOR,
    ANY,
    FLAG,
    INSTANT,
    OBJECT,
    OWN,
    PAIR,
    STOP_REASON,
    TEXT,
    WHOLE,
    named,
    several,
)
from shared.adapters.dynamodb.shapes import Member, Shape, either
from shared.domain.access import AccessKey, Role, Session
from shared.domain.bulk.release import ReleaseJob
from shared.domain.calendar.dates import Moment
from shared.domain.calendar.instance_schedule import OwnSchedule
from shared.domain.instance.event import (
    AnswerMark,
    Event,
    EventKind,
    EventPause,
    EventStatus,
    EventTimes,
    LastClaim,
    Move,
    PausedFor,
    RedrivenFrom,
    Resolution,
    ResultReuse,
    RunProgress,
)
from shared.domain.instance.journal import Answer, ClosedBy, EventRecord, JournalEntry
from shared.domain.instance.model import (
    Added,
    Blocked,
    BlockedBy,
    CancelReason,
    Downtime,
    FailedEvent,
    GivenBack,
    Instance,
    InstanceStatus,
    Lease,
    Origin,
    Plan,
    RefusedResume,
    ScheduledCancellation,
    Stoppage,
    Sweep,
)
from shared.domain.instance.reason import ErrorKind, EventFailure
from shared.domain.instance.run import (
    Certainty,
    Ending,
    Failure,
    Intent,
    Outcome,
    Path,
    Refusal,
    RunEnd,
    StepError,
)
from shared.domain.instance.verdict import AuditEntry
from shared.domain.notifications.model import NotificationKind
from shared.domain.notifications.webhook import Webhook
from shared.domain.strategy.flag import Flag, FlagPause
from shared.domain.strategy.model import OnResume, StrategyHead, StrategyVersion

SCHEMA = 1
"""The version of these documents, stored in every item."""

READABLE = (1,)
"""The versions that are read. A release reads a new one before another release writes it."""

STEP_ERROR = Shape(
    StepError,
    {
        "message": Member("message", TEXT),
        "kind": Member("kind", named(ErrorKind)),
        "status": Member("status", WHOLE),
        "data": Member("data", ANY),
    },
)

FAILURE = Shape(
    Failure,
    {
        "step": Member("step", TEXT),
        "failed_at": Member("failed", INSTANT),
        "error": Member("error", STEP_ERROR),
        "retry_at": Member("retry", INSTANT),
        "pauses": Member("pauses", FLAG),
        "attempts_left": Member("attemptsLeft", WHOLE),
        "next_at": Member("next", INSTANT),
    },
)

REFUSAL = Shape(Refusal, {"since": Member("since", INSTANT), "times": Member("times", WHOLE)})

INTENT = Shape(
    Intent,
    {
        "visit": Member("visit", WHOLE),
        "step": Member("step", TEXT),
        "call_key": Member("key", OWN),
        "correlation_id": Member("correlation", OWN),
        "path": Member("path", named(Path)),
        "repeat": Member("repeat", FLAG),
        "in_doubt_since": Member("inDoubtSince", INSTANT),
        "not_before": Member("notBefore", INSTANT),
        "refusal": Member("refusal", REFUSAL),
        "passed": Member("passed", several(TEXT)),
        "branches": Member("branches", several(TEXT)),
        "attempt": Member("attempt", WHOLE),
        "resets": Member("resets", several(TEXT)),
        "failure": Member("failure", FAILURE),
        "answers_later": Member("answersLater", FLAG),
        "awaits": Member("awaits", FLAG),
        "answer_by": Member("answerBy", INSTANT),
    },
)

RUN_END = Shape(
    RunEnd,
    {
        "how": Member("how", named(Ending)),
        "attempt": Member("attempt", WHOLE),
        "resets": Member("resets", several(TEXT)),
        "passed": Member("passed", several(TEXT)),
        "failure": Member("failure", FAILURE),
        "outputs": Member("outputs", OBJECT),
    },
)

THEN = either(intent=(Intent, INTENT), end=(RunEnd, RUN_END))

OUTCOME = Shape(
    Outcome,
    {
        "success": Member("success", FLAG),
        "response": Member("response", ANY),
        "error": Member("error", STEP_ERROR),
        "certainty": Member("certainty", named(Certainty)),
        "directives": Member("directives", OBJECT),
        "notes": Member("notes", several(TEXT)),
    },
)

MARK = Shape(AnswerMark, {"correlation_id": Member("correlation", OWN), "key": Member("key", TEXT)})

REDRIVEN_FROM = Shape(RedrivenFrom, {"step": Member("step", TEXT), "run": Member("run", WHOLE)})

PAUSE = Shape(
    EventPause,
    {
        "waits_for": Member("pausedFor", named(PausedFor)),
        "answer_by": Member("answerBy", INSTANT),
        "expected_by": Member("answerExpectedBy", INSTANT),
        "is_overdue": Member("answerOverdue", FLAG),
    },
)

TIMES = Shape(
    EventTimes,
    {
        "left_onhold_at": Member("offHold", INSTANT),
        "begun_at": Member("begun", INSTANT),
        "scheduled_at": Member("scheduled", INSTANT, same_as="begun_at"),
        "executed_at": Member("executed", INSTANT, same_as="scheduled_at"),
    },
)

CLAIM = Shape(
    LastClaim,
    {"fence": Member("fence", WHOLE), "job": Member("job", TEXT), "version": Member("version", WHOLE)},
)

PROGRESS = Shape(
    RunProgress,
    {
        "first_action": Member("action", THEN),
        "known_visits": Member("visits", WHOLE),
        "was_killed": Member("killed", FLAG),
        "crashes": Member("crashes", WHOLE),
        "give_backs": Member("giveBacks", WHOLE),
        "call_in_doubt": Member("callInDoubt", FLAG),
        "in_doubt_since": Member("inDoubtSince", INSTANT),
        "delay_skipped": Member("delaySkipped", FLAG),
        "resolution": Member("resolution", named(Resolution)),
    },
)

REUSE = Shape(
    ResultReuse,
    {
        "side_results_from": Member("sideResultsFrom", WHOLE),
        "redriven_from": Member("redrivenFrom", several(REDRIVEN_FROM)),
    },
)

MOVE = Shape(
    Move,
    {
        "planned": Member("planned", INSTANT),
        "why": Member("movedBy", TEXT),
        "spread_seconds": Member("spreadSeconds", WHOLE),
    },
)

EVENT_FAILURE = Shape(
    EventFailure,
    {
        "message": Member("lastError", TEXT),
        "error_class": Member("errorClass", TEXT),
        "at": Member("failed", INSTANT),
        "step": Member("failedStep", TEXT),
    },
)

EVENT = Shape(
    Event,
    {
        "seq": Member("seq", WHOLE),
        "kind": Member("kind", named(EventKind), usual=EventKind.MAIN),
        "task": Member("task", TEXT),
        "date": Member("date", INSTANT),
        "due_at": Member("due", INSTANT, same_as="date"),
        "status": Member("status", named(EventStatus), usual=EventStatus.PENDING),
        "created_at": Member("created", INSTANT),
        "updated_at": Member("updated", INSTANT, same_as="created_at"),
        "created_cycle": Member("cycle", WHOLE),
        "after_cancellation": Member("afterCancellation", FLAG),
        "data": Member("data", OBJECT),
        "first_date": Member("first", INSTANT),
        "wakeup_seq": Member("wake", WHOLE),
        "run": Member("run", WHOLE),
        "attempt": Member("attempt", WHOLE),
        "resets": Member("resets", several(TEXT)),
        "applied": Member("applied", PAIR),
        "in_doubt": Member("inDoubt", FLAG),
        "answered": Member("answered", MARK),
        "problem": Member("problem", TEXT),
    },
    parts={
        "pause": PAUSE,
        "times": TIMES,
        "claim": CLAIM,
        "progress": PROGRESS,
        "reuse": REUSE,
        "failure": EVENT_FAILURE,
        "move": MOVE,
    },
)

MOMENT = Shape(Moment, {"at": Member("at", INSTANT), "anchor": Member("anchor", ANCHOR)})

GIVEN_BACK = Shape(GivenBack, {"sent_visit": Member("sentVisit", WHOLE)})

LEASE = Shape(
    Lease,
    {
        "seq": Member("seq", WHOLE),
        "until": Member("until", INSTANT),
        "token": Member("token", TEXT),
        "given_back": Member("givenBack", GIVEN_BACK),
    },
)

ADDED = Shape(Added, {"seq": Member("seq", WHOLE), "key": Member("key", TEXT), "body": Member("body", TEXT)})

BLOCKED = Shape(
    Blocked, {"by": Member("blockedBy", named(BlockedBy)), "since": Member("blockedSince", INSTANT)}
)

DOWNTIME = Shape(
    Downtime,
    {
        "blocked_by": Member("blockedBy", named(BlockedBy)),
        "since": Member("since", INSTANT),
        "until": Member("until", INSTANT),
        "by": Member("by", TEXT),
        "why": Member("why", TEXT),
    },
)

FAILED_EVENT = Shape(
    FailedEvent,
    {
        "seq": Member("seq", WHOLE),
        "kind": Member("kind", named(EventKind), usual=EventKind.MAIN),
        "task": Member("task", TEXT),
    },
    parts={"failure": EVENT_FAILURE},
)

REFUSED_RESUME = Shape(RefusedResume, {"at": Member("at", INSTANT), "why": Member("why", TEXT)})

STOPPAGE = Shape(
    Stoppage,
    {
        "at": Member("stopped", INSTANT),
        "by": Member("stoppedBy", TEXT),
        "reason": Member("stopReason", STOP_REASON),
        "note": Member("note", TEXT),
        "for_event": Member("stoppedFor", WHOLE),
        "drained_at": Member("drained", INSTANT),
        "cancel_reason": Member("cancelReason", named(CancelReason)),
        "dismissed_at": Member("dismissed", INSTANT),
        "until": Member("pausedUntil", INSTANT),
        "refused": Member("resumeRefused", REFUSED_RESUME),
    },
)

OWN_SCHEDULE = Shape(
    OwnSchedule,
    {
        "cron": Member("cron", TEXT),
        "timezone": Member("timezone", TEXT),
        "once": Member("once", FLAG),
        "at_once": Member("atOnce", FLAG),
        "opens_at": Member("opens", INSTANT),
        "on_call": Member("onCall", FLAG),
        "retry_times": Member("retryTimes", WHOLE),
        "goes_on": Member("goesOn", FLAG),
    },
)

PLAN = Shape(
    Plan,
    {
        "schedule": Member("schedule", OWN_SCHEDULE),
        "cycle": Member("cycle", WHOLE),
        "moment": Member("plan", MOMENT),
        "moved_to": Member("movedTo", INSTANT),
        "spread_seconds": Member("spreadSeconds", WHOLE),
        "dated_in": Member("datedIn", TEXT),
        "calendar": Member("calendar", TEXT),
        "end_date": Member("end", INSTANT),
        "has_ended": Member("planEnded", FLAG),
        "on_late": Member("onLate", named(OnResume)),
        "to_skip": Member("toSkip", WHOLE),
    },
)

SWEEP = Shape(
    Sweep,
    {
        "attempts": Member("sweepAttempts", WHOLE),
        "next_at": Member("nextSweep", INSTANT),
        "schedule_at": Member("scheduleAt", INSTANT),
    },
)

ORIGIN = Shape(
    Origin,
    {
        "strategy_id": Member("strategyId", TEXT),
        "created_by": Member("createdBy", TEXT),
        "request_hash": Member("requestHash", TEXT),
        "order_id": Member("orderId", TEXT),
        "worker": Member("worker", TEXT),
        "reference": Member("reference", TEXT),
    },
)

CANCELLATION = Shape(
    ScheduledCancellation,
    {
        "at": Member("at", INSTANT),
        "by": Member("by", TEXT),
        "scheduled_at": Member("scheduled", INSTANT),
        "note": Member("note", TEXT),
        "from_cycle": Member("fromCycle", WHOLE),
    },
)

INSTANCE = Shape(
    Instance,
    {
        "strategy_version": Member("version", WHOLE),
        "start_date": Member("start", INSTANT, same_as="created_at"),
        "updated_at": Member("updated", INSTANT, same_as="created_at"),
        "shard": Member("shard", WHOLE),
        "description": Member("description", TEXT),
        "attributes": Member("attributes", OBJECT),
        "searchable": Member("searchable", several(TEXT)),
        "status": Member("status", named(InstanceStatus)),
        "events": Member("events", several(EVENT)),
        "next_seq": Member("nextSeq", WHOLE),
        "has_run": Member("hasRun", FLAG),
        "fence": Member("fence", WHOLE),
        "lease": Member("lease", LEASE),
        "downtimes": Member("downtimes", several(DOWNTIME)),
        "failed_events": Member("failedEvents", several(FAILED_EVENT)),
        "added": Member("added", several(ADDED)),
        "operations": Member("operations", several(TEXT)),
        "outputs": Member("outputs", OBJECT),
        "cancellation": Member("cancelAt", CANCELLATION),
    },
    parts={"origin": ORIGIN, "stop": STOPPAGE, "plan": PLAN, "blocked": BLOCKED, "sweep": SWEEP},
    outside=("sid", "account_id", "rev", "strategy_sid", "created_at"),
)

ENTRY = Shape(
    JournalEntry,
    {
        "seq": Member("seq", WHOLE),
        "run": Member("run", WHOLE),
        "fence": Member("fence", WHOLE),
        "intent": Member("intent", INTENT),
        "outcome": Member("outcome", OUTCOME),
        "then": Member("then", THEN),
        "started_at": Member("started", INSTANT),
        "finished_at": Member("finished", INSTANT),
        "digest": Member("digest", TEXT),
        "answered": Member("status", WHOLE),
    },
)

ANSWER = Shape(
    Answer,
    {
        "correlation_id": Member("correlation", OWN),
        "at": Member("at", INSTANT),
        "by": Member("by", TEXT),
        "body": Member("body", ANY),
    },
    outside=("key",),
)

RECORD = Shape(
    EventRecord,
    {
        "event": Member("event", EVENT),
        "finished_at": Member("finished", INSTANT),
        "in_doubt": Member("inDoubt", FLAG),
        "last": Member("last", ENTRY),
        "end": Member("end", RUN_END),
        "why": Member("why", TEXT),
        "closed_by": Member("closedBy", named(ClosedBy)),
        "by": Member("by", TEXT),
        "reason": Member("reason", TEXT),
        "skipped_cycles": Member("skippedCycles", PAIR),
        "skipped_until": Member("skippedUntil", INSTANT),
    },
    outside=("instance_sid", "fence"),
)

AUDIT = Shape(
    AuditEntry,
    {
        "target": Member("target", TEXT),
        "at": Member("at", INSTANT),
        "by": Member("by", TEXT),
        "command": Member("command", TEXT),
        "event": Member("event", TEXT),
        "from_state": Member("from", TEXT),
        "to_state": Member("to", TEXT),
        "reason": Member("reason", TEXT),
        "operation": Member("operation", TEXT),
        "minutes_spent": Member("minutesSpent", WHOLE),
        "ticket": Member("ticket", TEXT),
        "options": Member("options", several(TEXT)),
    },
    outside=("account_id",),
)

FLAG_PAUSE = Shape(FlagPause, {"since": Member("since", INSTANT), "until": Member("until", INSTANT)})

QUEUE_FLAG = Shape(Flag, {"pauses": Member("pauses", several(FLAG_PAUSE))}, outside=("is_paused",))

HEAD = Shape(
    StrategyHead,
    {
        "name": Member("name", TEXT),
        "created_at": Member("created", INSTANT),
        "updated_at": Member("updated", INSTANT, same_as="created_at"),
        "folder": Member("folder", TEXT),
        "description": Member("description", TEXT),
        "secret_hash": Member("secretHash", TEXT),
        "created_by": Member("createdBy", TEXT),
        "request_hash": Member("requestHash", TEXT),
        "deleted_at": Member("deleted", INSTANT),
        "labels": Member("labels", OBJECT),
        "pauses": Member("pauses", several(FLAG_PAUSE)),
    },
    outside=("sid", "account_id", "version", "is_paused"),
)

VERSION = Shape(
    StrategyVersion,
    {
        "description": Member("description", TEXT),
        "created_at": Member("created", INSTANT),
        "created_by": Member("createdBy", TEXT),
    },
    outside=("sid", "version"),
)

RELEASE_JOB = Shape(
    ReleaseJob,
    {
        "blocked_by": Member("blockedBy", named(BlockedBy)),
        "owner": Member("owner", TEXT),
        "shard": Member("shard", WHOLE),
        "started_at": Member("started", INSTANT),
        "started_by": Member("startedBy", TEXT),
        "sweep_at": Member("sweepAt", INSTANT, same_as="started_at"),
        "freed": Member("freed", WHOLE),
        "empty_since": Member("emptySince", INSTANT),
    },
    outside=("sid", "account_id", "rev"),
)

SESSION = Shape(
    Session,
    {
        "key_id": Member("keyId", TEXT),
        "opened_at": Member("opened", INSTANT),
        "idle_until": Member("idleUntil", INSTANT),
    },
    outside=("token_hash", "account_id"),
)

ACCESS_KEY = Shape(
    AccessKey,
    {
        "role": Member("role", named(Role)),
        "secret_hash": Member("secretHash", TEXT),
        "created_at": Member("created", INSTANT),
        "description": Member("description", TEXT),
        "created_by": Member("createdBy", TEXT),
    },
    outside=("key_id", "account_id"),
)

WEBHOOK = Shape(
    Webhook,
    {
        "url": Member("url", TEXT),
        "kinds": Member("kinds", several(named(NotificationKind))),
        "updated_at": Member("updated", INSTANT),
        "updated_by": Member("updatedBy", TEXT),
    },
    outside=("account_id",),
)
