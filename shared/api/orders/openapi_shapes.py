"""The shapes of the orders dialect's answers, as JSON Schema. Source: contracts/orders.md B.2 and B.5."""

from collections.abc import Sequence

from shared.api.orders.listing import COUNTED
from shared.api.orders.states import SEVERITY, State
from shared.api.reference.openapi import FLAG, TEXT, WHOLE, Json, list_of, object_of, ref

DATE: Json = {"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$"}
VALUES: Json = {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}}


def _told(texts: Sequence[str], severities: Sequence[int], **optional: Json) -> Json:
    return object_of(
        {"severity": {"enum": sorted(set(severities))}, "_text": {"enum": list(texts)}}, **optional
    )


_DATES: Json = {"deliveryDate": DATE, "surveyDate": DATE}
_SHOWN = [state for state in State if state not in (State.PLANNED, State.BROKEN, State.UNKNOWN)]
_ORDER: Json = {
    "surveyDate": DATE,
    "orderId": TEXT,
    "workflowId": object_of({"path": TEXT, "versionId": TEXT}),
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
    "lastOutcome": object_of(
        {"TYPE": {"enum": ["Succeeded", "Failed", "Cancelled"]}},
        message=TEXT,
        namedValues={"type": "object"},
    ),
}
_ITEM_ERROR = object_of({"surveyDate": DATE, "path": TEXT, "code": TEXT, "message": TEXT})

SHAPES: Json = {
    "Security": object_of(
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
    "Ok": object_of({**_DATES, "ok": {"const": True}}),
    "OrderItem": object_of(_ORDER, **_ORDER_MORE),
    "Order": object_of({"deliveryDate": DATE, **_ORDER}, **_ORDER_MORE),
    "Orders": object_of({**_DATES, "orders": list_of(ref("OrderItem"))}),
    "Added": object_of({"deliveryDate": DATE, "orderIds": list_of(TEXT)}),
    "Snapshot": object_of({**_DATES, "orders": object_of(dict.fromkeys(COUNTED.values(), WHOLE))}),
    "Summary": object_of({**_DATES, "orders": object_of({"successful": WHOLE, "failed": WHOLE})}),
    "HistoryItem": object_of(
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
            "children": list_of({"type": "object"}),
            "arguments": VALUES,
        }
    ),
    "History": object_of({"deliveryDate": DATE, "history": list_of(ref("HistoryItem"))}),
    "Error": object_of({**_DATES, "error": object_of({"code": TEXT, "message": TEXT}, errorId=TEXT)}),
    "ItemErrors": object_of({"deliveryDate": DATE, "errors": list_of(_ITEM_ERROR)}),
}
"""Every answer by the name that routes give it."""
