"""The shapes of what the automation dialect is sent and answers, as JSON Schema.

Source: contracts/automation.md A.2 to A.4.
"""

from shared.api.automation.documents import MAX_NAME_CHARACTERS, MAX_SUBACCOUNT_CHARACTERS, Status, Trigger
from shared.api.automation.flows import MAX_ID_CHARACTERS, NEEDS
from shared.api.automation.http_steps import MAX_TIMEOUT, METHODS, USUAL_TIMEOUT
from shared.api.automation.statuses import Command
from shared.api.reference.schemas import TEXT, Json, object_of, one_of, open_object_of, ref

OBJECT: Json = {"type": "object"}


def _told(schema: Json, description: str) -> Json:
    return {**schema, "description": description}


_SUBACCOUNT = _told(
    {"type": ["string", "null"], "minLength": 1, "maxLength": MAX_SUBACCOUNT_CHARACTERS},
    "For events of this subaccount only; null: of any. `subaccountId` is taken too.",
)
_NAME: Json = {"type": "string", "minLength": 1, "maxLength": MAX_NAME_CHARACTERS}
_STEP_ID: Json = {"type": "string", "minLength": 1, "maxLength": MAX_ID_CHARACTERS}
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
    return _told(object_of(needed, **_left_out(optional)), description)


def _left_out(optional: Json) -> Json:
    """The members, each of which may be null, which is as if it were left out."""
    return {name: {**of, "type": _or_null(of["type"])} for name, of in optional.items()}


def _or_null(kinds: str | list[str]) -> list[str]:
    return [kinds, "null"] if isinstance(kinds, str) else [*kinds, "null"]


_HTTP_INPUTS = object_of(
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
                "maximum": MAX_TIMEOUT,
                "default": USUAL_TIMEOUT,
            },
        }
    ),
)
_DURATION = _told({"type": ["string", "integer"]}, "`d.HH:mm:ss`, `HH:mm:ss`, or a number of days.")
_DEFINITION: Json = {
    "name": _NAME,
    "steps": {"type": "array", "minItems": 1, "items": ref("Step")},
}
INPUTS: Json = {
    "Step": {
        "oneOf": [ref(name) for name in ("HttpRequest", "Wait", "Branch", "If", "WaitForReply", "NotRunHere")]
    },
    "HttpRequest": _step(
        "HttpRequest", _HTTP_INPUTS, "A call. `step` is its answer: responseCode, reasonPhrase, responseBody."
    ),
    "Wait": _step("Wait", object_of({"duration": _DURATION}), "Lets time pass."),
    "Branch": _step("Branch", None, "Leads to all steps whose conditions hold.", inputs=object_of({})),
    "If": _step(
        "If",
        object_of({"condition": TEXT}),
        "Runs inner steps where a condition holds, then goes on.",
        do={"type": "array", "minItems": 1, "items": {"type": "array", "minItems": 1, "items": ref("Step")}},
    ),
    "WaitForReply": _step(
        "WaitForReply",
        object_of({"from": TEXT, "channel": TEXT}, **_left_out({"timeout": _DURATION})),
        "Waits for a reply, which is `step.reply`; null where none has come in time.",
    ),
    "NotRunHere": _told(
        open_object_of({"id": _STEP_ID, "stepType": {"enum": list(NEEDS)}}),
        "Can be saved in a disabled definition, and is not run.",
    ),
    "DefinitionInput": open_object_of(
        {"trigger": one_of(Trigger), "definition": open_object_of(_DEFINITION)},
        subAccountId=_SUBACCOUNT,
        status={**one_of(Status), "default": "disabled"},
    ),
    "Command": open_object_of({"status": one_of(Command)}),
    "Context": _told(OBJECT, "What becomes the workflow's `data`."),
    "Payload": _told({}, "Any JSON; an object becomes the workflows' `data`, else it is `data.payload`."),
}
"""Every shape by its name."""
