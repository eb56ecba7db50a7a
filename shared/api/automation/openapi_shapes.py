"""The shapes of what the automation dialect is sent and answers, as JSON Schema.

Source: contracts/automation.md A.2 to A.4.
"""

from enum import StrEnum
from typing import Any

from shared.api.automation.documents import LONGEST_NAME, LONGEST_SUBACCOUNT, Status, Trigger
from shared.api.automation.errors import Code
from shared.api.automation.flows import LONGEST_ID, NEEDS
from shared.api.automation.http_steps import LONGEST_TIMEOUT, METHODS, USUAL_TIMEOUT
from shared.api.automation.statuses import Command, StepStatus, WorkflowStatus

Json = dict[str, Any]

TEXT: Json = {"type": "string"}
OBJECT: Json = {"type": "object"}
UUID: Json = {
    "type": "string",
    "pattern": "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$",
}
DATE: Json = {"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{2}Z$"}
MAYBE_DATE: Json = {**DATE, "type": ["string", "null"]}
RAISED: Json = {"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{7}Z$"}


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _list_of(items: Json) -> Json:
    return {"type": "array", "items": items}


def _one_of(values: type[StrEnum]) -> Json:
    return {"enum": [value.value for value in values]}


def _object(needed: Json, *, closed: bool = True, **optional: Json) -> Json:
    """An object with these members; others only where it is not closed. needed: those that are always there."""
    return {
        "type": "object",
        "properties": needed | optional,
        "required": list(needed),
        **({"additionalProperties": False} if closed else {}),
    }


def _told(schema: Json, description: str) -> Json:
    return {**schema, "description": description}


_SUBACCOUNT = _told(
    {"type": ["string", "null"], "minLength": 1, "maxLength": LONGEST_SUBACCOUNT},
    "For events of this subaccount only; null: of any. `subaccountId` is taken too.",
)
_NAME: Json = {"type": "string", "minLength": 1, "maxLength": LONGEST_NAME}
_STEP_ID: Json = {"type": "string", "minLength": 1, "maxLength": LONGEST_ID}
_SELECT = _told(
    {"type": "object", "additionalProperties": {"type": ["string", "null"]}},
    "By step id, a condition in double curly brackets; null for the default branch. All that hold are run.",
)
_OUTPUTS = _told(
    {"type": "object", "additionalProperties": TEXT},
    "What is saved to `data`, by name: scripts that see `step`.",
)


def _step(kind: str, inputs: Json | None, description: str, /, **more: Json) -> Json:
    needed: Json = {"id": _STEP_ID, "stepType": {"const": kind}}
    needed |= {} if inputs is None else {"inputs": inputs}
    optional: Json = {"outputs": _OUTPUTS, "nextStepId": TEXT, "selectNextStep": _SELECT, **more}
    return _told(_object(needed, **_left_out(optional)), description)


def _left_out(optional: Json) -> Json:
    """The members, each of which may be null, which is as if it were left out."""
    return {name: {**of, "type": _or_null(of["type"])} for name, of in optional.items()}


def _or_null(kinds: str | list[str]) -> list[str]:
    return [kinds, "null"] if isinstance(kinds, str) else [*kinds, "null"]


_HTTP_INPUTS = _object(
    {
        "url": _told(TEXT, "Scheme and host are literal; path and query may hold scripts."),
        "method": {"enum": [*METHODS, *(method.lower() for method in METHODS)]},
    },
    **_left_out(
        {
            "headers": OBJECT,
            "parameters": _told(OBJECT, "The query."),
            "body": _told(OBJECT, "Sent as JSON."),
            "timeoutSeconds": {
                "type": "integer",
                "minimum": 1,
                "maximum": LONGEST_TIMEOUT,
                "default": USUAL_TIMEOUT,
            },
        }
    ),
)
_DURATION = _told({"type": ["string", "integer"]}, "`d.HH:mm:ss`, `HH:mm:ss`, or a number of days.")
_DEFINITION: Json = {
    "name": _NAME,
    "steps": {"type": "array", "minItems": 1, "items": _ref("Step")},
}
_INPUT: Json = {
    "trigger": _one_of(Trigger),
    "definition": _object(_DEFINITION, closed=False),
}
_WORKFLOW: Json = {
    "workflowId": UUID,
    "data": _object({"accountId": TEXT, "triggeredAt": RAISED}, closed=False, subAccountId=TEXT),
    "definitionId": UUID,
    "version": {"type": "integer", "minimum": 1},
    "status": _one_of(WorkflowStatus),
    "startedAt": DATE,
    "completedAt": MAYBE_DATE,
}
_LOG = _object(
    {
        "id": UUID,
        "stepName": TEXT,
        "startedAt": MAYBE_DATE,
        "completedAt": MAYBE_DATE,
        "status": _one_of(StepStatus),
    },
    correlationId=_told(
        TEXT, "Where the reply goes that it waits for: `POST /execution-event/{correlationId}/resume`."
    ),
)

SHAPES: Json = {
    "Error": _object(
        {
            "code": {"enum": [int(code) for code in Code]},
            "message": TEXT,
            "errorId": UUID,
            "timestamp": DATE,
        }
    ),
    "Step": {
        "oneOf": [
            _ref(name) for name in ("HttpRequest", "Wait", "Branch", "If", "WaitForReply", "NotRunHere")
        ]
    },
    "HttpRequest": _step(
        "HttpRequest", _HTTP_INPUTS, "A call. `step` is its answer: responseCode, reasonPhrase, responseBody."
    ),
    "Wait": _step("Wait", _object({"duration": _DURATION}), "Lets time pass."),
    "Branch": _step("Branch", None, "Leads to all steps whose conditions hold.", inputs=_object({})),
    "If": _step(
        "If",
        _object({"condition": TEXT}),
        "Runs inner steps where a condition holds, then goes on.",
        do={"type": "array", "minItems": 1, "items": {"type": "array", "minItems": 1, "items": _ref("Step")}},
    ),
    "WaitForReply": _step(
        "WaitForReply",
        _object({"from": TEXT, "channel": TEXT}, **_left_out({"timeout": _DURATION})),
        "Waits for a reply, which is `step.reply`; null where none has come in time.",
    ),
    "NotRunHere": _told(
        _object({"id": _STEP_ID, "stepType": {"enum": list(NEEDS)}}, closed=False),
        "Can be saved in a disabled definition, and is not run.",
    ),
    "DefinitionInput": _object(
        _INPUT, closed=False, subAccountId=_SUBACCOUNT, status={**_one_of(Status), "default": "disabled"}
    ),
    "Definition": _object(
        {
            "accountId": TEXT,
            **_INPUT,
            "definition": _object(
                {"id": UUID, **_DEFINITION, "version": {"type": "integer", "minimum": 1}}, closed=False
            ),
            "status": _one_of(Status),
            "id": UUID,
            "version": {"type": "integer", "minimum": 1},
            "createdAt": DATE,
        },
        closed=False,
        subAccountId=_SUBACCOUNT,
    ),
    "Definitions": _list_of(_ref("Definition")),
    "Workflow": _object(_WORKFLOW),
    "Workflows": _list_of(_ref("Workflow")),
    "WorkflowWithLogs": _object(_WORKFLOW, logs=_told(_list_of(_LOG), "With `includeLogs` only.")),
    "Errors": _list_of(_object({"workflowId": UUID, "step": TEXT, "message": TEXT, "errorTime": DATE})),
    "Started": _object({"workflowId": UUID}),
    "Command": _object({"status": _one_of(Command)}, closed=False),
    "Context": _told(OBJECT, "What becomes the workflow's `data`."),
    "Payload": _told({}, "Any JSON; an object becomes the workflows' `data`, else it is `data.payload`."),
    "Timezones": _list_of(_object({"id": TEXT, "name": TEXT})),
    "Functions": _list_of(
        _object(
            {
                "name": TEXT,
                "description": TEXT,
                "parameters": _list_of(
                    _object(
                        {
                            "name": TEXT,
                            "type": TEXT,
                            "required": {"type": "boolean"},
                            "default": {},
                            "example": {},
                            "description": TEXT,
                        }
                    )
                ),
                "example": TEXT,
            }
        )
    ),
}
"""Every shape by its name."""
