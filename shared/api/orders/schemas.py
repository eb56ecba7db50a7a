"""Requests of the orders dialect. Source: docs/contracts/orders.md B.2.

They are as lenient as the vendor's server: ``"true"`` is true, ``5`` is ``"5"``, null is a missing field, and unknown
fields are ignored. Other types are refused.
"""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from shared.api.orders.date_language import PATTERN
from shared.api.orders.states import State

MAX_ORDER_IDS = 1000
"""The maximum number of orders in one command."""

MAX_PLACES = 100
"""The maximum number of workflows, folders or states in one request."""

MAX_ADDED = 100
"""The maximum number of orders that one request can add."""

DEFAULT_LIMIT = 10_000
"""The default and maximum number of orders or history items in an answer."""

FILTERS = (
    "completedDateFrom",
    "completedDateTo",
    "dateFrom",
    "dateTo",
    "excludeWorkflows",
    "folders",
    "historyIds",
    "historyStates",
    "limit",
    "orderId",
    "orderIds",
    "orderTags",
    "orderType",
    "orders",
    "regex",
    "scheduledNever",
    "stateDateFrom",
    "stateDateTo",
    "states",
    "workflowIds",
    "workflowName",
    "workflowPath",
    "workflowTags",
)
"""The members by which JOC selects orders, in any of its requests.

An operation that does not have one refuses it, unlike other unknown members: a command whose filter was ignored would
reach orders that the caller had excluded.
"""

NAME_PATTERN = r'^[^/\\<>?!&:;()"|*^]+$'
_TRUE, _FALSE = ("true", "1"), ("false", "0")


def _flag(value: object) -> bool:
    text = str(value).lower()
    if isinstance(value, bool | str | int) and text in (*_TRUE, *_FALSE):
        return text in _TRUE
    raise PydanticCustomError("bool_type", "must be true or false")


def _date_text(value: object) -> object:
    if isinstance(value, str) and not PATTERN.fullmatch(value):
        raise PydanticCustomError(
            "date", "must be a date like 2026-11-25T10:00:00Z, a distance like 1d, or 0"
        )
    return value


Flag = Annotated[bool, BeforeValidator(_flag)]
DateText = Annotated[str, BeforeValidator(_date_text)]
"""A date in the dialect's language. Only its form is checked here."""
ControllerId = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=NAME_PATTERN)]
OrderId = Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=r"^[^<>]+$")]
OrderName = Annotated[str, StringConstraints(min_length=1, max_length=30, pattern=NAME_PATTERN)]
Path = Annotated[str, StringConstraints(min_length=1, max_length=512)]
FolderPath = Annotated[str, StringConstraints(max_length=255, pattern=r"^/[ -~]*$")]
ZoneName = Annotated[str, StringConstraints(max_length=255)]
Text = Annotated[str, StringConstraints(max_length=255)]


class Body(BaseModel):
    """A request's body, or a part of it."""

    # A model is built at its first use, so that cold starts do not build all of them.
    model_config = ConfigDict(extra="ignore", coerce_numbers_to_str=True, defer_build=True)

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, value: Any) -> Any:  # noqa: ANN401 - any JSON value
        if not isinstance(value, dict):
            return value
        return {name: member for name, member in value.items() if member is not None}


class AuditLog(Body):
    """The reason of a command, the minutes spent on it, and a link to its ticket."""

    comment: Text | None = None
    timeSpent: Annotated[int, Field(ge=0, description="Minutes.")] | None = None
    ticketLink: Text | None = None


class WorkflowId(Body):
    """A workflow by path or name, in every version unless ``versionId`` or else ``version`` is set."""

    path: Path
    versionId: Text | None = None
    version: Text | None = None


class Folder(Body):
    """A folder, by default with all folders below it."""

    folder: FolderPath
    recursive: Flag = True


class OfController(Body):
    """A request about a controller, which is an account."""

    controllerId: ControllerId


WorkflowIds = Annotated[list[WorkflowId], Field(max_length=MAX_PLACES)]
Folders = Annotated[list[Folder], Field(max_length=MAX_PLACES)]
States = Annotated[list[State], Field(max_length=MAX_PLACES)]


class ModifyOrders(OfController):
    """Orders by ids, or else by workflows, or else by folders; by state, and by the date they are scheduled for."""

    orderIds: Annotated[list[OrderId], Field(max_length=MAX_ORDER_IDS)] = []
    workflowIds: WorkflowIds = []
    folders: Folders = []
    states: States = []
    dateFrom: DateText | None = None
    dateTo: DateText | None = None
    timeZone: ZoneName | None = None
    auditLog: AuditLog = AuditLog()


class StopOrders(ModifyOrders):
    """Orders that may have a step in flight, which ``kill`` does not wait for."""

    kill: Flag = False
    deep: Flag = False
    orderType: Annotated[str, StringConstraints(pattern="^(FreshOnly|FreshOrStarted)$")] = "FreshOrStarted"


class CancelOrders(StopOrders):
    """``/orders/cancel``. Source: docs/contracts/orders.md."""


class SuspendOrders(StopOrders):
    """``/orders/suspend``. ``FreshOnly`` is refused."""

    reset: Flag = False


class ResumeOrders(ModifyOrders):
    """``/orders/resume``. Fields that would change the position or the variables of an order are refused."""

    force: Flag = False
    fromCurrentBlock: Flag = False
    position: Any = None
    variables: Any = None
    cycleEndTime: Any = None


class GetOrder(OfController):
    """``/order``."""

    orderId: OrderId
    compact: Flag = False


class OrdersFilter(OfController):
    """``/orders``. ``limit`` -1 means as many as an answer holds."""

    orderIds: Annotated[list[OrderId], Field(max_length=MAX_ORDER_IDS)] = []
    workflowIds: WorkflowIds = []
    folders: Folders = []
    states: States = []
    dateFrom: DateText | None = None
    dateTo: DateText | None = None
    timeZone: ZoneName | None = None
    compact: Flag = False
    limit: Annotated[int, Field(ge=-1)] = DEFAULT_LIMIT


class SnapshotFilter(OfController):
    """``/orders/overview/snapshot``."""

    workflowIds: WorkflowIds = []
    folders: Folders = []
    dateTo: DateText | None = None
    timeZone: ZoneName | None = None


class SummaryFilter(Body):
    """``/orders/overview/summary``."""

    controllerId: ControllerId | None = None
    dateFrom: DateText | None = None
    dateTo: DateText | None = None
    timeZone: ZoneName | None = None


class HistoryOrder(Body):
    """One order, or all orders of a workflow."""

    workflowPath: Path
    orderId: OrderId | None = None


HistoryState = Annotated[str, StringConstraints(pattern="^(SUCCESSFUL|INCOMPLETE|FAILED)$")]
HistoryIds = Annotated[list[OrderId], Field(max_length=MAX_ORDER_IDS)]


class HistoryFilter(SummaryFilter):
    """``/orders/history``. ``historyIds`` take precedence over all else, ``orders`` over folders and patterns."""

    historyIds: HistoryIds = []
    orders: Annotated[list[HistoryOrder], Field(max_length=MAX_PLACES)] = []
    folders: Folders = []
    excludeWorkflows: Annotated[list[Path], Field(max_length=MAX_PLACES)] = []
    historyStates: Annotated[list[HistoryState], Field(max_length=MAX_PLACES)] = []
    orderId: Text | None = None
    workflowPath: Text | None = None
    workflowName: Text | None = None
    completedDateFrom: DateText | None = None
    completedDateTo: DateText | None = None
    limit: Annotated[int, Field(ge=-1)] = DEFAULT_LIMIT


class AddOrder(Body):
    """A new order. Fields that would start or end it inside its workflow, or that need a plan, are refused."""

    workflowPath: Path
    orderName: OrderName | None = None
    scheduledFor: Text = "now"
    timeZone: ZoneName | None = None
    arguments: dict[str, Any] = {}
    startPosition: Any = None
    endPositions: Any = None
    blockPosition: Any = None
    forceJobAdmission: Flag = False
    priority: int = 0
    planId: Any = None
    openClosedPlan: Flag = False
    tags: list[Any] = []


class AddOrders(OfController):
    """``/orders/add``."""

    orders: Annotated[list[AddOrder], Field(min_length=1, max_length=MAX_ADDED)]
    auditLog: AuditLog = AuditLog()
