"""The shapes of the orders dialect's answers, as JSON Schema. Source: contracts/orders.md B.2 and B.5."""

from collections.abc import Sequence
from typing import Any

from shared.api.orders.listing import COUNTED
from shared.api.orders.states import SEVERITY, State

Json = dict[str, Any]

TEXT: Json = {"type": "string"}
DATE: Json = {"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$"}
WHOLE: Json = {"type": "integer"}
FLAG: Json = {"type": "boolean"}
VALUES: Json = {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}}


def ref(name: str) -> Json:
    """A shape by its name."""
    return {"$ref": f"#/components/schemas/{name}"}


def _list_of(items: Json) -> Json:
    return {"type": "array", "items": items}


def _object(needed: Json, **optional: Json) -> Json:
    """An object with these members and no others. needed: those that are always there."""
    return {
        "type": "object",
        "properties": needed | optional,
        "required": list(needed),
        "additionalProperties": False,
    }


def _told(texts: Sequence[str], severities: Sequence[int], **optional: Json) -> Json:
    return _object(
        {"severity": {"enum": sorted(set(severities))}, "_text": {"enum": list(texts)}}, **optional
    )


_DATES: Json = {"deliveryDate": DATE, "surveyDate": DATE}
_SHOWN = [state for state in State if state not in (State.PLANNED, State.BROKEN, State.UNKNOWN)]
_ORDER: Json = {
    "surveyDate": DATE,
    "orderId": TEXT,
    "workflowId": _object({"path": TEXT, "versionId": TEXT}),
    "state": _told(
        _SHOWN,
        [SEVERITY[state] for state in _SHOWN],
        _reason={"enum": ["DELAYING_RETRY", "SLEEPING", "EXPECTING_NOTICES"]},
    ),
    "hasChildOrders": FLAG,
    "isContinuable": FLAG,
    "isResumable": FLAG,
    "isSuspendible": FLAG,
}
_ORDER_MORE: Json = {
    "marked": _told(["CANCELLING", "SUSPENDING"], [2, 5]),
    "arguments": VALUES,
    "scheduledFor": {**WHOLE, "description": "Milliseconds since 1970."},
    "scheduledNever": FLAG,
    "lastOutcome": _object(
        {"TYPE": {"enum": ["Succeeded", "Failed", "Cancelled"]}},
        message=TEXT,
        namedValues={"type": "object"},
    ),
}
_ITEM_ERROR = _object({"surveyDate": DATE, "path": TEXT, "code": TEXT, "message": TEXT})

SHAPES: Json = {
    "Security": _object(
        {
            "deliveryDate": DATE,
            "isAuthenticated": FLAG,
            "isPermitted": FLAG,
            "message": TEXT,
            "account": {**TEXT, "description": "The access key's id."},
            "accessToken": TEXT,
            "hasRole": FLAG,
        },
        role=TEXT,
        sessionTimeout={**WHOLE, "description": "Milliseconds."},
        apiCall=TEXT,
    ),
    "Ok": _object({**_DATES, "ok": {"const": True}}),
    "OrderItem": _object(_ORDER, **_ORDER_MORE),
    "Order": _object({"deliveryDate": DATE, **_ORDER}, **_ORDER_MORE),
    "Orders": _object({**_DATES, "orders": _list_of(ref("OrderItem"))}),
    "Added": _object({"deliveryDate": DATE, "orderIds": _list_of(TEXT)}),
    "Snapshot": _object({**_DATES, "orders": _object(dict.fromkeys(COUNTED.values(), WHOLE))}),
    "Summary": _object({**_DATES, "orders": _object({"successful": WHOLE, "failed": WHOLE})}),
    "HistoryItem": _object(
        {
            "surveyDate": DATE,
            "controllerId": TEXT,
            "orderId": TEXT,
            "workflow": TEXT,
            "plannedTime": DATE,
            "startTime": DATE,
            "endTime": DATE,
            "sequence": WHOLE,
            "state": _told(["SUCCESSFUL", "FAILED"], [0, 2]),
            "orderState": _told(["FINISHED", "FAILED", "CANCELLED"], [2, 6]),
            "historyId": TEXT,
            "children": _list_of({"type": "object"}),
            "arguments": VALUES,
        }
    ),
    "History": _object({"deliveryDate": DATE, "history": _list_of(ref("HistoryItem"))}),
    "Error": _object({**_DATES, "error": _object({"code": TEXT, "message": TEXT}, errorId=TEXT)}),
    "ItemErrors": _object({"deliveryDate": DATE, "errors": _list_of(_ITEM_ERROR)}),
}
"""Every answer by the name that routes give it."""
