"""The answers of the orders dialect. Source: docs/contracts/orders.md B.2 and B.5.

Optional members are left out if they are None (``omit_unset``).
"""

from typing import Annotated, Any, Literal, NotRequired, TypedDict

from shared.api.http.shapes import Keywords
from shared.api.orders.states import SEVERITY, Mark, MarkSeverity, State, WaitReason

Date = Annotated[str, Keywords({"pattern": r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$"})]
Milliseconds = Annotated[int, "Milliseconds."]
Values = dict[str, str | float | bool]

_SHOWN = [state for state in State if state not in (State.PLANNED, State.BROKEN, State.UNKNOWN)]
_SEVERITIES = Keywords({"enum": sorted({SEVERITY[state] for state in _SHOWN})})


Dates = TypedDict("Dates", {"deliveryDate": Date, "surveyDate": Date})


class SecurityShape(TypedDict):
    deliveryDate: Date
    isAuthenticated: bool
    isPermitted: bool
    message: str
    account: Annotated[str, "The access key's id."]
    accessToken: str
    hasRole: bool
    role: NotRequired[str | None]
    sessionTimeout: NotRequired[Milliseconds]
    apiCall: NotRequired[str]


class OkShape(Dates):
    ok: Literal[True]


WorkflowShown = TypedDict("WorkflowShown", {"path": str, "versionId": str})


class StateShown(TypedDict):
    severity: Annotated[int, _SEVERITIES]
    _text: Annotated[State, Keywords({"enum": [state.value for state in _SHOWN]})]
    _reason: NotRequired[WaitReason | None]


MarkShown = TypedDict("MarkShown", {"severity": MarkSeverity, "_text": Mark})


class LastOutcome(TypedDict):
    TYPE: Literal["Succeeded", "Failed", "Cancelled"]
    message: NotRequired[str | None]
    namedValues: NotRequired[dict[str, Any] | None]


class OrderItemShape(TypedDict):
    surveyDate: Date
    orderId: str
    workflowId: WorkflowShown
    state: StateShown
    hasChildOrders: bool
    isContinuable: bool
    isResumable: bool
    isSuspendible: bool
    marked: NotRequired[MarkShown | None]
    arguments: NotRequired[Values | None]
    scheduledFor: NotRequired[Annotated[int, "Milliseconds since 1970."] | None]
    scheduledNever: NotRequired[bool | None]
    lastOutcome: NotRequired[LastOutcome | None]


class OrderShape(OrderItemShape):
    deliveryDate: Date


class OrdersShape(Dates):
    orders: list[OrderItemShape]


AddedShape = TypedDict("AddedShape", {"deliveryDate": Date, "orderIds": list[str]})


class StateCounts(TypedDict):
    pending: int
    scheduled: int
    inProgress: int
    running: int
    prompting: int
    suspended: int
    waiting: int
    blocked: int
    failed: int
    terminated: int


class SnapshotShape(Dates):
    orders: StateCounts


RunCounts = TypedDict("RunCounts", {"successful": int, "failed": int})


class SummaryShape(Dates):
    orders: RunCounts


class HistoryState(TypedDict):
    severity: Literal[0, 2]
    _text: Literal["SUCCESSFUL", "FAILED"]


class OrderState(TypedDict):
    severity: Annotated[int, Keywords({"enum": [2, 6]})]
    _text: Annotated[State, Keywords({"enum": ["FINISHED", "FAILED", "CANCELLED"]})]


class HistoryItemShape(TypedDict):
    surveyDate: Date
    controllerId: str
    orderId: str
    workflow: str
    plannedTime: Date
    startTime: Date
    endTime: Date
    sequence: int
    state: HistoryState
    orderState: OrderState
    historyId: str
    children: list[dict[str, Any]]
    arguments: Values


HistoryShape = TypedDict("HistoryShape", {"deliveryDate": Date, "history": list[HistoryItemShape]})
JocErrorShown = TypedDict("JocErrorShown", {"code": str, "message": str, "errorId": NotRequired[str]})


class ErrorShape(Dates):
    error: JocErrorShown


RefusedItem = TypedDict("RefusedItem", {"surveyDate": Date, "path": str, "code": str, "message": str})
ItemErrorsShape = TypedDict("ItemErrorsShape", {"deliveryDate": Date, "errors": list[RefusedItem]})
