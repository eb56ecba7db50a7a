"""The shapes of the core dialect's answers, as JSON Schema. Source: contracts/core.md sections 1 and 2."""

from shared.api.reference.openapi import FLAG, TEXT, WHOLE, Json, list_of, object_of, one_of, ref
from shared.domain.bulk.operation import BulkStatus, ItemOutcome
from shared.domain.explain.reasons import Reason
from shared.domain.instance.event import EventStatus, PausedFor
from shared.domain.instance.journal import ClosedBy
from shared.domain.instance.model import BlockedBy, CancelReason, InstanceStatus
from shared.domain.instance.phase import Phase, Waiting
from shared.domain.instance.run import Path
from shared.domain.steps.history import StepOutcome
from shared.domain.strategy.model import OnResume

DATE: Json = {"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$"}
AS_SENT: Json = {
    "type": "object",
    "description": "The settings as they were sent: `Settings`, besides which there may be nulls.",
}
ANY: Json = {}


def _page_of(name: str) -> Json:
    return object_of({"items": list_of(ref(name))}, nextCursor=TEXT)


_STRATEGY: Json = {
    "sid": TEXT,
    "name": TEXT,
    "description": TEXT,
    "version": WHOLE,
    "folder": TEXT,
    "status": {"enum": ["active", "paused"]},
    "createdAt": DATE,
    "updatedAt": DATE,
}
_INSTANCE: Json = {
    "sid": TEXT,
    "description": TEXT,
    "strategyId": TEXT,
    "strategyVersion": WHOLE,
    "status": one_of(InstanceStatus),
    "cycle": WHOLE,
    "startDate": DATE,
    "draining": FLAG,
    "createdAt": DATE,
    "updatedAt": DATE,
}
_INSTANCE_MORE: Json = {
    "endDate": DATE,
    "executionDate": DATE,
    "executionDay": WHOLE,
    "nextEvent": object_of({"sid": TEXT, "date": DATE}),
    "cancelReason": one_of(CancelReason),
    "note": TEXT,
    "stoppedAt": DATE,
    "stoppedBy": TEXT,
    "drainedAt": DATE,
    "heldBy": one_of(BlockedBy),
    "createdBy": TEXT,
    "outputs": {"type": "object"},
    "schedule": object_of(
        {"once": FLAG, "atOnce": FLAG, "onCall": FLAG, "goesOn": FLAG},
        cron=TEXT,
        timezone=TEXT,
        opensAt=DATE,
        retryTimes=WHOLE,
    ),
    "orderId": TEXT,
    "worker": TEXT,
}
_ATTRIBUTES: Json = {
    "attributes": {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}}
}
_INSTANCE_WHOLE = _INSTANCE | _ATTRIBUTES
_VERSION: Json = {"sid": TEXT, "name": TEXT, "description": TEXT, "version": WHOLE, "createdAt": DATE}
_KEY: Json = {
    "keyId": TEXT,
    "role": {"enum": ["admin", "operator", "viewer"]},
    "description": TEXT,
    "createdAt": DATE,
}
_SELECTION: Json = {
    "numIds": WHOLE,
    "strategySid": TEXT,
    "version": WHOLE,
    "folder": TEXT,
    "flat": FLAG,
    "statuses": list_of(one_of(InstanceStatus)),
    "createdFrom": DATE,
    "createdTo": DATE,
    "filter": object_of({}, phases=list_of(one_of(Phase)), plannedFrom=DATE, plannedUntil=DATE, atRest=FLAG),
}
_TOLD_BY_ACTOR: Json = {"minutesSpent": WHOLE, "ticket": TEXT, "options": list_of(TEXT)}
_PROBLEM = object_of({"pointer": TEXT, "rule": TEXT, "message": TEXT}, caret=TEXT)
_SEALED = object_of({"iv": TEXT, "hash": TEXT, "encryptedText": TEXT})
_STEP = object_of(
    {"step": TEXT, "success": FLAG, "fromCache": FLAG, "attempt": WHOLE, "run": WHOLE},
    response=ANY,
    cached=ANY,
    error=object_of({"message": TEXT}, status=WHOLE, data=ANY),
    callKey=TEXT,
    repeated=FLAG,
    unanswered=FLAG,
    startedAt=DATE,
    finishedAt=DATE,
)

_DIGEST = object_of({"digest": TEXT}, action=TEXT, method=TEXT, host=TEXT)
_PAST_STEP = object_of(
    {
        "step": TEXT,
        "path": one_of(Path),
        "run": WHOLE,
        "attempt": WHOLE,
        "outcome": one_of(StepOutcome),
        "fromCache": FLAG,
    },
    inDoubt=FLAG,
    callKey=TEXT,
    repeated=FLAG,
    request=_DIGEST,
    status=WHOLE,
    error=object_of({"message": TEXT}, status=WHOLE),
    notes=list_of(TEXT),
    startedAt=DATE,
    finishedAt=DATE,
    duration=WHOLE,
)
_SKIPPED = object_of({"first": WHOLE, "last": WHOLE})
_TOLD: Json = {"reason": one_of(Reason)}
_TOLD_MORE: Json = {"since": DATE, "until": DATE, "by": TEXT, "why": TEXT}
_PLANNED: Json = {"task": TEXT, "main": FLAG, "cycle": WHOLE, "date": DATE, "status": one_of(EventStatus)}

_EVENT: Json = {
    "sid": TEXT,
    "instanceSid": TEXT,
    "strategySid": TEXT,
    "status": one_of(EventStatus),
    "main": FLAG,
    "afterCancellation": FLAG,
    "task": TEXT,
    "date": DATE,
    "createdCycle": WHOLE,
    "attempt": WHOLE,
    "run": WHOLE,
    "createdAt": DATE,
    "updatedAt": DATE,
}
_EVENT_MORE: Json = {
    "pausedFor": one_of(PausedFor),
    "correlationId": TEXT,
    "answerBy": DATE,
    "outputs": {"type": "object"},
    "data": {"type": "object", "additionalProperties": TEXT},
    "scheduledAt": DATE,
    "executedAt": DATE,
    "finishedAt": DATE,
    "scheduleDelta": WHOLE,
    "executionDelta": WHOLE,
    "finishDelta": WHOLE,
    "executionTime": WHOLE,
    "jobId": TEXT,
    "lastError": TEXT,
    "problem": TEXT,
    "why": TEXT,
    "inDoubt": FLAG,
}

_RESULT = object_of({"sid": TEXT, "outcome": one_of(ItemOutcome)}, why=TEXT)
_FORESEEN = object_of({"date": TEXT, "task": TEXT, "status": {"enum": ["PENDING", "ONHOLD"]}}, callback=TEXT)
_AHEAD: Json = {"leadingUpEvents": list_of(_FORESEEN), "mainEvent": _FORESEEN}

_DATE_OF_PLAN: Json = {"cycle": WHOLE, "task": TEXT, "main": FLAG, "date": DATE}

SHAPES: Json = {
    "Error": object_of(
        {
            "statusCode": WHOLE,
            "error": TEXT,
            "message": list_of(TEXT),
            "problems": list_of(ref("Problem")),
        },
        errorId=TEXT,
    ),
    "Problem": _PROBLEM,
    "Empty": object_of({}),
    "Validation": object_of({"valid": FLAG, "problems": list_of(ref("Problem"))}),
    "Strategy": object_of(_STRATEGY),
    "StrategyWithSettings": object_of(_STRATEGY | {"settings": AS_SENT}),
    "StrategyPage": _page_of("Strategy"),
    "Simulation": object_of(
        {
            "startDate": TEXT,
            "simulatedCycles": WHOLE,
            "timezone": TEXT,
            "cycleEvents": list_of(
                object_of({"cycle": WHOLE, "events": object_of(_AHEAD, onCreateEvents=list_of(_FORESEEN))})
            ),
        },
        ended=TEXT,
    ),
    "Forecast": object_of({"cycles": list_of(object_of({"cycle": WHOLE} | _AHEAD))}),
    "Version": object_of(_VERSION | {"settings": AS_SENT}, createdBy=TEXT),
    "VersionSummary": object_of(_VERSION, createdBy=TEXT),
    "VersionPage": _page_of("VersionSummary"),
    "Instance": object_of(_INSTANCE_WHOLE, **_INSTANCE_MORE),
    "InstanceSummary": object_of(_INSTANCE, **_INSTANCE_MORE, **_ATTRIBUTES),
    "InstancePage": _page_of("InstanceSummary"),
    "Paused": object_of(
        _INSTANCE_WHOLE
        | {"strategy": object_of(_STRATEGY | {"settings": AS_SENT, "encryptedSettings": _SEALED})},
        **_INSTANCE_MORE,
    ),
    "Resumed": object_of(
        _INSTANCE_WHOLE | {"overdueEvents": list_of(object_of({"cycle": WHOLE, "task": TEXT, "date": DATE}))},
        **_INSTANCE_MORE,
        skippedCycles=_SKIPPED,
    ),
    "Created": object_of(
        {
            "executionInstance": ref("Instance"),
            "createdEvents": object_of(
                {"onCreateEvents": list_of(ref("Event")), "leadingUpEvents": list_of(ref("Event"))},
                mainEvent=ref("Event"),
            ),
        }
    ),
    "Canceled": object_of(
        {
            "executionInstance": ref("Instance"),
            "createdEvents": object_of({"onCancelEvents": list_of(ref("Event"))}),
            "numCanceledEvents": WHOLE,
        }
    ),
    "Migration": object_of(
        {
            "executionInstance": ref("Instance"),
            "dryRun": FLAG,
            "from": WHOLE,
            "to": WHOLE,
            "canceledEvents": list_of(object_of({"sid": TEXT, "task": TEXT, "date": DATE})),
            "dates": object_of(
                {
                    "appear": list_of(object_of(_DATE_OF_PLAN)),
                    "vanish": list_of(object_of(_DATE_OF_PLAN)),
                    "move": list_of(object_of(_DATE_OF_PLAN | {"before": DATE})),
                }
            ),
        }
    ),
    "TasksCanceled": object_of({"executionInstance": ref("Instance"), "numCanceledEvents": WHOLE}),
    "Event": object_of(
        _EVENT
        | {
            "taskStatus": object_of({"lastStep": {"type": ["string", "null"]}, "taskResults": list_of(_STEP)})
        },
        **_EVENT_MORE,
    ),
    "PastEvent": object_of(
        _EVENT | {"steps": list_of(_PAST_STEP)},
        **_EVENT_MORE,
        worker=TEXT,
        closedBy=one_of(ClosedBy),
        by=TEXT,
        reason=TEXT,
        skippedCycles=_SKIPPED,
        skippedUntil=DATE,
    ),
    "HistoryPage": _page_of("PastEvent"),
    "Explanation": object_of(
        {
            "at": DATE,
            **_TOLD,
            "events": list_of(
                object_of(
                    _PLANNED | _TOLD,
                    **_TOLD_MORE,
                    sid=TEXT,
                    attempt=WHOLE,
                    executedAt=DATE,
                    finishedAt=DATE,
                    skippedCycles=_SKIPPED,
                    skippedUntil=DATE,
                )
            ),
        },
        **_TOLD_MORE,
        instance=object_of({}, status=one_of(InstanceStatus), since=DATE, by=TEXT, why=TEXT),
        before=object_of(_PLANNED, sid=TEXT),
        after=object_of(_PLANNED, sid=TEXT),
    ),
    "Events": list_of(ref("Event")),
    "WrappedEvent": object_of({"event": ref("Event")}),
    "Queue": object_of({"status": {"enum": ["active", "paused"]}}),
    "Key": object_of(_KEY, createdBy=TEXT),
    "NewKey": object_of(_KEY | {"token": TEXT}, createdBy=TEXT),
    "KeyPage": _page_of("Key"),
    "BulkOperation": object_of(
        {
            "sid": TEXT,
            "status": one_of(BulkStatus),
            "selection": object_of({}, **_SELECTION, anyOf=list_of(object_of({}, **_SELECTION))),
            "command": object_of(
                {"name": {"enum": ["pause", "resume", "cancel", "cancel-tasks", "migrate", "execute"]}},
                onResume=one_of(OnResume),
                version=WHOLE,
                tasks=list_of(TEXT),
                kill=FLAG,
                unlessBegun=FLAG,
                waiting=one_of(Waiting),
            ),
            "createdAt": DATE,
            "createdBy": TEXT,
            "updatedAt": DATE,
            "cursor": TEXT,
            "counts": object_of(
                {
                    "matched": WHOLE,
                    "done": WHOLE,
                    "changed": WHOLE,
                    "alreadyThere": WHOLE,
                    "refused": WHOLE,
                    "unknown": WHOLE,
                    "failed": WHOLE,
                }
            ),
            "itemProblems": list_of(_RESULT),
            "itemProblemsLeftOut": WHOLE,
        },
        comment=TEXT,
        **_TOLD_BY_ACTOR,
        finishedAt=DATE,
        results=list_of(_RESULT),
    ),
    "DryRun": object_of({"count": WHOLE, "countIsExact": FLAG, "sample": list_of(_RESULT)}),
    "BulkAnswer": {"oneOf": [ref("BulkOperation"), ref("DryRun")]},
    "BulkOperationPage": _page_of("BulkOperation"),
    "AuditEntry": object_of(
        {"at": DATE, "by": TEXT, "command": TEXT, "target": TEXT},
        event=TEXT,
        to=TEXT,
        reason=TEXT,
        operation=TEXT,
        **_TOLD_BY_ACTOR,
        **{"from": TEXT},
    ),
    "AuditPage": _page_of("AuditEntry"),
    "App": object_of(
        {
            "application": object_of(
                {"name": TEXT, "version": TEXT, "build": TEXT, "status": TEXT, "uptime": WHOLE}
            ),
            "configuration": object_of({"environment": TEXT}),
            "last_updated": DATE,
        }
    ),
}
"""Every answer by the name that routes give it."""
