"""The shapes of the core dialect's answers, as JSON Schema. Source: contracts/core.md sections 1 and 2."""

from typing import Any

from shared.domain.bulk import BulkStatus, Came
from shared.domain.event import EventStatus, PausedFor
from shared.domain.history import StepOutcome
from shared.domain.instance import CancelReason, HeldBy, InstanceStatus
from shared.domain.journal import ClosedBy
from shared.domain.phase import Phase, Waiting
from shared.domain.reasons import Reason
from shared.domain.run import Path
from shared.domain.strategy import OnResume

Json = dict[str, Any]

TEXT: Json = {"type": "string"}
DATE: Json = {"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$"}
WHOLE: Json = {"type": "integer"}
FLAG: Json = {"type": "boolean"}
AS_SENT: Json = {
    "type": "object",
    "description": "The settings as they were sent: `Settings`, besides which there may be nulls.",
}
ANY: Json = {}


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _list_of(items: Json) -> Json:
    return {"type": "array", "items": items}


def _one_of(values: Any) -> Json:  # noqa: ANN401 - an enumeration
    return {"enum": [value.value for value in values]}


def _object(needed: Json, **optional: Json) -> Json:
    """An object with these members and no others. needed: those that are always there."""
    return {
        "type": "object",
        "properties": needed | optional,
        "required": list(needed),
        "additionalProperties": False,
    }


def _page_of(name: str) -> Json:
    return _object({"items": _list_of(_ref(name))}, nextCursor=TEXT)


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
    "status": _one_of(InstanceStatus),
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
    "nextEvent": _object({"sid": TEXT, "date": DATE}),
    "cancelReason": _one_of(CancelReason),
    "note": TEXT,
    "stoppedAt": DATE,
    "stoppedBy": TEXT,
    "drainedAt": DATE,
    "heldBy": _one_of(HeldBy),
    "createdBy": TEXT,
    "outputs": {"type": "object"},
    "schedule": _object(
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
    "statuses": _list_of(_one_of(InstanceStatus)),
    "createdFrom": DATE,
    "createdTo": DATE,
    "sieve": _object({}, phases=_list_of(_one_of(Phase)), plannedFrom=DATE, plannedUntil=DATE, atRest=FLAG),
}
_TOLD_BY_ACTOR: Json = {"minutesSpent": WHOLE, "ticket": TEXT, "options": _list_of(TEXT)}
_PROBLEM = _object({"pointer": TEXT, "rule": TEXT, "message": TEXT}, caret=TEXT)
_SEALED = _object({"iv": TEXT, "hash": TEXT, "encryptedText": TEXT})
_STEP = _object(
    {"step": TEXT, "success": FLAG, "fromCache": FLAG, "attempt": WHOLE, "run": WHOLE},
    response=ANY,
    cached=ANY,
    error=_object({"message": TEXT}, status=WHOLE, data=ANY),
    callKey=TEXT,
    repeated=FLAG,
    unanswered=FLAG,
    startedAt=DATE,
    finishedAt=DATE,
)

_DIGEST = _object({"digest": TEXT}, action=TEXT, method=TEXT, host=TEXT)
_PAST_STEP = _object(
    {
        "step": TEXT,
        "path": _one_of(Path),
        "run": WHOLE,
        "attempt": WHOLE,
        "outcome": _one_of(StepOutcome),
        "fromCache": FLAG,
    },
    inDoubt=FLAG,
    callKey=TEXT,
    repeated=FLAG,
    request=_DIGEST,
    status=WHOLE,
    error=_object({"message": TEXT}, status=WHOLE),
    notes=_list_of(TEXT),
    startedAt=DATE,
    finishedAt=DATE,
    duration=WHOLE,
)
_SKIPPED = _object({"first": WHOLE, "last": WHOLE})
_TOLD: Json = {"reason": _one_of(Reason)}
_TOLD_MORE: Json = {"since": DATE, "until": DATE, "by": TEXT, "why": TEXT}
_PLANNED: Json = {"task": TEXT, "main": FLAG, "cycle": WHOLE, "date": DATE, "status": _one_of(EventStatus)}

_EVENT: Json = {
    "sid": TEXT,
    "instanceSid": TEXT,
    "strategySid": TEXT,
    "status": _one_of(EventStatus),
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
    "pausedFor": _one_of(PausedFor),
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

_RESULT = _object({"sid": TEXT, "outcome": _one_of(Came)}, why=TEXT)
_FORESEEN = _object({"date": TEXT, "task": TEXT, "status": {"enum": ["PENDING", "ONHOLD"]}}, callback=TEXT)
_AHEAD: Json = {"leadingUpEvents": _list_of(_FORESEEN), "mainEvent": _FORESEEN}

_DATE_OF_PLAN: Json = {"cycle": WHOLE, "task": TEXT, "main": FLAG, "date": DATE}

SHAPES: Json = {
    "Error": _object(
        {
            "statusCode": WHOLE,
            "error": TEXT,
            "message": _list_of(TEXT),
            "problems": _list_of(_ref("Problem")),
        },
        errorId=TEXT,
    ),
    "Problem": _PROBLEM,
    "Empty": _object({}),
    "Validation": _object({"valid": FLAG, "problems": _list_of(_ref("Problem"))}),
    "Strategy": _object(_STRATEGY),
    "StrategyWithSettings": _object(_STRATEGY | {"settings": AS_SENT}),
    "StrategyPage": _page_of("Strategy"),
    "Simulation": _object(
        {
            "startDate": TEXT,
            "simulatedCycles": WHOLE,
            "timezone": TEXT,
            "cycleEvents": _list_of(
                _object({"cycle": WHOLE, "events": _object(_AHEAD, onCreateEvents=_list_of(_FORESEEN))})
            ),
        },
        ended=TEXT,
    ),
    "Forecast": _object({"cycles": _list_of(_object({"cycle": WHOLE} | _AHEAD))}),
    "Version": _object(_VERSION | {"settings": AS_SENT}, createdBy=TEXT),
    "VersionSummary": _object(_VERSION, createdBy=TEXT),
    "VersionPage": _page_of("VersionSummary"),
    "Instance": _object(_INSTANCE_WHOLE, **_INSTANCE_MORE),
    "InstanceSummary": _object(_INSTANCE, **_INSTANCE_MORE, **_ATTRIBUTES),
    "InstancePage": _page_of("InstanceSummary"),
    "Paused": _object(
        _INSTANCE_WHOLE
        | {"strategy": _object(_STRATEGY | {"settings": AS_SENT, "encryptedSettings": _SEALED})},
        **_INSTANCE_MORE,
    ),
    "Resumed": _object(
        _INSTANCE_WHOLE | {"overdueEvents": _list_of(_object({"cycle": WHOLE, "task": TEXT, "date": DATE}))},
        **_INSTANCE_MORE,
        skippedCycles=_SKIPPED,
    ),
    "Created": _object(
        {
            "executionInstance": _ref("Instance"),
            "createdEvents": _object(
                {"onCreateEvents": _list_of(_ref("Event")), "leadingUpEvents": _list_of(_ref("Event"))},
                mainEvent=_ref("Event"),
            ),
        }
    ),
    "Canceled": _object(
        {
            "executionInstance": _ref("Instance"),
            "createdEvents": _object({"onCancelEvents": _list_of(_ref("Event"))}),
            "numCanceledEvents": WHOLE,
        }
    ),
    "Migration": _object(
        {
            "executionInstance": _ref("Instance"),
            "dryRun": FLAG,
            "from": WHOLE,
            "to": WHOLE,
            "canceledEvents": _list_of(_object({"sid": TEXT, "task": TEXT, "date": DATE})),
            "dates": _object(
                {
                    "appear": _list_of(_object(_DATE_OF_PLAN)),
                    "vanish": _list_of(_object(_DATE_OF_PLAN)),
                    "move": _list_of(_object(_DATE_OF_PLAN | {"before": DATE})),
                }
            ),
        }
    ),
    "TasksCanceled": _object({"executionInstance": _ref("Instance"), "numCanceledEvents": WHOLE}),
    "Event": _object(
        _EVENT
        | {"taskStatus": _object({"lastStep": {"type": ["string", "null"]}, "taskResults": _list_of(_STEP)})},
        **_EVENT_MORE,
    ),
    "PastEvent": _object(
        _EVENT | {"steps": _list_of(_PAST_STEP)},
        **_EVENT_MORE,
        worker=TEXT,
        closedBy=_one_of(ClosedBy),
        by=TEXT,
        reason=TEXT,
        skippedCycles=_SKIPPED,
        skippedUntil=DATE,
    ),
    "HistoryPage": _page_of("PastEvent"),
    "Explanation": _object(
        {
            "at": DATE,
            **_TOLD,
            "events": _list_of(
                _object(
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
        instance=_object({}, status=_one_of(InstanceStatus), since=DATE, by=TEXT, why=TEXT),
        before=_object(_PLANNED, sid=TEXT),
        after=_object(_PLANNED, sid=TEXT),
    ),
    "Events": _list_of(_ref("Event")),
    "WrappedEvent": _object({"event": _ref("Event")}),
    "Queue": _object({"status": {"enum": ["active", "paused"]}}),
    "Key": _object(_KEY, createdBy=TEXT),
    "NewKey": _object(_KEY | {"token": TEXT}, createdBy=TEXT),
    "KeyPage": _page_of("Key"),
    "BulkOperation": _object(
        {
            "sid": TEXT,
            "status": _one_of(BulkStatus),
            "selection": _object({}, **_SELECTION, anyOf=_list_of(_object({}, **_SELECTION))),
            "command": _object(
                {"name": {"enum": ["pause", "resume", "cancel", "cancel-tasks", "migrate", "execute"]}},
                onResume=_one_of(OnResume),
                version=WHOLE,
                tasks=_list_of(TEXT),
                kill=FLAG,
                unlessBegun=FLAG,
                waiting=_one_of(Waiting),
            ),
            "createdAt": DATE,
            "createdBy": TEXT,
            "updatedAt": DATE,
            "cursor": TEXT,
            "counts": _object(
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
            "itemProblems": _list_of(_RESULT),
            "itemProblemsLeftOut": WHOLE,
        },
        comment=TEXT,
        **_TOLD_BY_ACTOR,
        finishedAt=DATE,
        results=_list_of(_RESULT),
    ),
    "DryRun": _object({"count": WHOLE, "countIsExact": FLAG, "sample": _list_of(_RESULT)}),
    "BulkAnswer": {"oneOf": [_ref("BulkOperation"), _ref("DryRun")]},
    "BulkOperationPage": _page_of("BulkOperation"),
    "AuditEntry": _object(
        {"at": DATE, "by": TEXT, "command": TEXT, "target": TEXT},
        event=TEXT,
        to=TEXT,
        reason=TEXT,
        operation=TEXT,
        **_TOLD_BY_ACTOR,
        **{"from": TEXT},
    ),
    "AuditPage": _page_of("AuditEntry"),
    "App": _object(
        {
            "application": _object(
                {"name": TEXT, "version": TEXT, "build": TEXT, "status": TEXT, "uptime": WHOLE}
            ),
            "configuration": _object({"environment": TEXT}),
            "last_updated": DATE,
        }
    ),
}
"""Every answer by the name that routes give it."""
