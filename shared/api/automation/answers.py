"""The answers of the automation dialect. Source: docs/contracts/automation.md A.1 to A.4."""

from enum import IntEnum
from typing import Annotated, Any, NotRequired, TypedDict

from shared.api.automation.documents import MAX_NAME_CHARACTERS, MAX_SUBACCOUNT_CHARACTERS, Status, Trigger
from shared.api.automation.statuses import StepStatus, WorkflowStatus
from shared.api.http.shapes import Keywords, Open

Uuid = Annotated[str, Keywords({"pattern": "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"})]
Date = Annotated[str, Keywords({"pattern": r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{2}Z$"})]
TriggeredAt = Annotated[str, Keywords({"pattern": r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{7}Z$"})]
Version = Annotated[int, Keywords({"minimum": 1})]
Steps = Annotated[list[Any], Keywords({"minItems": 1, "items": {"$ref": "#/components/schemas/Step"}})]
Name = Annotated[str, Keywords({"minLength": 1, "maxLength": MAX_NAME_CHARACTERS})]
SubAccount = Annotated[
    str | None,
    Keywords({"minLength": 1, "maxLength": MAX_SUBACCOUNT_CHARACTERS}),
    "Only events of this subaccount start workflows; null: events of any. `subaccountId` is accepted too.",
]


class Code(IntEnum):
    """The vendor's error codes that are used."""

    INVALID_PARAMETER = 1000
    OUT_OF_RANGE = 1010
    UNAUTHORIZED = 1200
    FORBIDDEN = 1201
    NOT_FOUND = 1300
    INTERNAL = 2000
    INVALID_DEFINITION = 5001


ErrorShape = TypedDict("ErrorShape", {"code": Code, "message": str, "errorId": Uuid, "timestamp": Date})
Definition = TypedDict("Definition", {"id": Uuid, "name": Name, "steps": Steps, "version": Version})


class DefinitionMembers(TypedDict):
    accountId: str
    trigger: Trigger
    definition: Annotated[Definition, Open]
    status: Status
    id: Uuid
    version: Version
    createdAt: Date
    subAccountId: NotRequired[SubAccount]


DefinitionShape = Annotated[DefinitionMembers, Open]
DefinitionsShape = list[DefinitionShape]


class WorkflowData(TypedDict):
    accountId: str
    triggeredAt: TriggeredAt
    subAccountId: NotRequired[str]


class WorkflowShape(TypedDict):
    workflowId: Uuid
    data: Annotated[WorkflowData, Open]
    definitionId: Uuid
    version: Version
    status: WorkflowStatus
    startedAt: Date
    completedAt: Date | None


WorkflowsShape = list[WorkflowShape]


class StepLog(TypedDict):
    id: Uuid
    stepName: str
    startedAt: Date | None
    completedAt: Date | None
    status: StepStatus
    correlationId: NotRequired[
        Annotated[
            str, "The address of the reply it waits for: `POST /execution-event/{correlationId}/resume`."
        ]
    ]


class WorkflowWithLogsShape(WorkflowShape):
    logs: NotRequired[Annotated[list[StepLog], "With `includeLogs` only."] | None]


class WorkflowError(TypedDict):
    workflowId: Uuid
    step: str
    message: str
    errorTime: Date


ErrorsShape = list[WorkflowError]
StartedShape = TypedDict("StartedShape", {"workflowId": Uuid})
Timezone = TypedDict("Timezone", {"id": str, "name": str})
TimezonesShape = list[Timezone]


class Parameter(TypedDict):
    name: str
    type: str
    required: bool
    default: Any
    example: Any
    description: str


class Function(TypedDict):
    name: str
    description: str
    parameters: list[Parameter]
    example: str


FunctionsShape = list[Function]
