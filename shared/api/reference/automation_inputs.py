"""JSON Schemas of the bodies that the automation dialect reads.

Source: docs/contracts/automation.md A.2 to A.4.
"""

from shared.api.automation.documents import MAX_NAME_CHARACTERS, MAX_SUBACCOUNT_CHARACTERS, Status, Trigger
from shared.api.automation.flows import MAX_ID_CHARACTERS, NEEDS
from shared.api.automation.http_steps import MAX_TIMEOUT, METHODS, USUAL_TIMEOUT
from shared.api.automation.statuses import Command
from shared.api.reference.schemas import TEXT, Json, object_of, one_of, open_object_of, ref

OBJECT: Json = {"type": "object"}


def _described(schema: Json, description: str) -> Json:
    return {**schema, "description": description}


_SUBACCOUNT = _described(
    {"type": ["string", "null"], "minLength": 1, "maxLength": MAX_SUBACCOUNT_CHARACTERS},
    "Only events of this subaccount start workflows; null: events of any. `subaccountId` is accepted too.",
)
_NAME: Json = {"type": "string", "minLength": 1, "maxLength": MAX_NAME_CHARACTERS}
_STEP_ID: Json = {"type": "string", "minLength": 1, "maxLength": MAX_ID_CHARACTERS}
_SELECT = _described(
    {"type": "object", "additionalProperties": {"type": ["string", "null"]}},
    "By step id, a condition in double curly brackets; null for the default. Every step whose condition holds runs.",
)
_OUTPUTS = _described(
    {"type": "object", "additionalProperties": TEXT},
    "Values to save to `data`, by name: scripts that may use `step`.",
)


def _step(kind: str, inputs: Json | None, description: str, /, **more: Json) -> Json:
    needed: Json = {"id": _STEP_ID, "stepType": {"const": kind}}
    needed |= {} if inputs is None else {"inputs": inputs}
    optional: Json = {"outputs": _OUTPUTS, "nextStepId": TEXT, "selectNextStep": _SELECT, **more}
    return _described(object_of(needed, **_optional(optional)), description)


def _optional(optional: Json) -> Json:
    """Return optional members. A null counts as left out."""
    return {name: {**schema, "type": _or_null(schema["type"])} for name, schema in optional.items()}


def _or_null(kinds: str | list[str]) -> list[str]:
    return [kinds, "null"] if isinstance(kinds, str) else [*kinds, "null"]


_HTTP_INPUTS = object_of(
    {
        "url": _described(TEXT, "Scheme and host must be literal; path and query may have scripts."),
        "method": {"enum": [*METHODS, *(method.lower() for method in METHODS)]},
    },
    **_optional(
        {
            "headers": OBJECT,
            "parameters": _described(OBJECT, "The query."),
            "body": _described(OBJECT, "Sent as JSON."),
            "timeoutSeconds": {
                "type": "integer",
                "minimum": 1,
                "maximum": MAX_TIMEOUT,
                "default": USUAL_TIMEOUT,
            },
        }
    ),
)
_DURATION = _described({"type": ["string", "integer"]}, "`d.HH:mm:ss`, `HH:mm:ss`, or a number of days.")
_DEFINITION: Json = {
    "name": _NAME,
    "steps": {"type": "array", "minItems": 1, "items": ref("Step")},
}
INPUTS: Json = {
    "Step": {
        "oneOf": [ref(name) for name in ("HttpRequest", "Wait", "Branch", "If", "WaitForReply", "NotRunHere")]
    },
    "HttpRequest": _step(
        "HttpRequest",
        _HTTP_INPUTS,
        "A call. `step` is its response: responseCode, reasonPhrase, responseBody.",
    ),
    "Wait": _step("Wait", object_of({"duration": _DURATION}), "Waits for a duration."),
    "Branch": _step("Branch", None, "Continues with every step whose condition holds.", inputs=object_of({})),
    "If": _step(
        "If",
        object_of({"condition": TEXT}),
        "Runs inner steps if a condition holds, then continues.",
        do={"type": "array", "minItems": 1, "items": {"type": "array", "minItems": 1, "items": ref("Step")}},
    ),
    "WaitForReply": _step(
        "WaitForReply",
        object_of({"from": TEXT, "channel": TEXT}, **_optional({"timeout": _DURATION})),
        "Waits for a reply, which is `step.reply`; null if none arrives in time.",
    ),
    "NotRunHere": _described(
        open_object_of({"id": _STEP_ID, "stepType": {"enum": list(NEEDS)}}),
        "Can be saved in a disabled definition, but not run.",
    ),
    "DefinitionInput": open_object_of(
        {"trigger": one_of(Trigger), "definition": open_object_of(_DEFINITION)},
        subAccountId=_SUBACCOUNT,
        status={**one_of(Status), "default": "disabled"},
    ),
    "Command": open_object_of({"status": one_of(Command)}),
    "Context": _described(OBJECT, "The workflow's `data`."),
    "Payload": _described(
        {}, "Any JSON value. An object becomes the workflows' `data`; other values become `data.payload`."
    ),
}
"""The schemas by name."""
