"""The answers of the core dialect. Source: docs/contracts/core.md sections 1, 2 and 5.

Optional members are left out if they are None (``omit_unset``).
"""

from typing import Annotated, Any, Generic, Literal, NotRequired, TypedDict, TypeVar

from shared.api.http.shapes import ErrorId, Keywords
from shared.domain.access import Role
from shared.domain.bulk.operation import BulkStatus, ItemOutcome
from shared.domain.explain.reasons import Reason
from shared.domain.instance.event import EventStatus, PausedFor, Resolution
from shared.domain.instance.journal import ClosedBy
from shared.domain.instance.model import BlockedBy, CancelReason, InstanceStatus
from shared.domain.instance.phase import Phase, Waiting
from shared.domain.instance.problems import ProblemKind
from shared.domain.instance.run import Path
from shared.domain.notifications.model import NotificationKind
from shared.domain.steps.history import StepOutcome
from shared.domain.strategy.model import OnResume

T = TypeVar("T")

Date = Annotated[str, Keywords({"pattern": r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$"})]
DateOrEndOfCycle = Annotated[
    str, Keywords({"pattern": r"^(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z|endOfCycle)$"})
]
AsSent = Annotated[
    dict[str, Any], "The settings as they were sent: `Settings`, besides which there may be nulls."
]
Shown = Annotated[
    dict[str, Any],
    "The settings as they were sent, without `authorization` of services and secret headers of actions; "
    "complete with `include=settings`.",
]
Attributes = dict[str, str | float | bool]
Flag = Literal["active", "paused"]


class UnreadableShape(TypedDict):
    """An item of a list that is stored and cannot be read."""

    id: str
    why: str


class PageOf(TypedDict, Generic[T]):
    """A page of a list. The last page has no ``nextCursor``; a page without unreadable items has no ``unreadable``."""

    items: list[T]
    unreadable: NotRequired[list[UnreadableShape]]
    nextCursor: NotRequired[str]


class ProblemShape(TypedDict):
    pointer: str
    rule: str
    message: str
    caret: NotRequired[str | None]


class ErrorShape(TypedDict):
    statusCode: int
    error: str
    message: list[str]
    problems: list[ProblemShape]
    errorId: NotRequired[ErrorId | None]


EmptyShape = TypedDict("EmptyShape", {})


class WarningShape(TypedDict):
    """A valid setting that is probably not meant, with a better one."""

    pointer: str
    rule: str
    message: str


class ValidationShape(TypedDict):
    """``warnings`` is empty if there are problems."""

    valid: bool
    problems: list[ProblemShape]
    warnings: list[WarningShape]


class StrategyShape(TypedDict):
    sid: str
    name: str
    description: str
    version: int
    folder: str
    status: Flag
    createdAt: Date
    updatedAt: Date


class SavedStrategyShape(StrategyShape):
    warnings: list[WarningShape]


class StrategyWithSettingsShape(StrategyShape):
    settings: AsSent


StrategyPageShape = PageOf[StrategyShape]


class ForeseenEvent(TypedDict):
    date: str
    task: str
    status: Annotated[EventStatus, Keywords({"enum": ["PENDING", "ONHOLD"]})]
    callback: NotRequired[str | None]
    plannedDate: NotRequired[str | None]
    movedBy: NotRequired[str | None]


class CyclesNotRun(TypedDict):
    """Cycles that will not run, with their first and last date, and why."""

    first: int
    last: int
    date: str
    until: str
    why: str


CycleEvents = TypedDict("CycleEvents", {"leadingUpEvents": list[ForeseenEvent], "mainEvent": ForeseenEvent})


class FirstCycleEvents(CycleEvents):
    onCreateEvents: NotRequired[list[ForeseenEvent]]


SimulatedCycle = TypedDict("SimulatedCycle", {"cycle": int, "events": FirstCycleEvents})


class SimulationShape(TypedDict):
    startDate: str
    simulatedCycles: int
    timezone: str
    cycleEvents: list[SimulatedCycle]
    skipped: NotRequired[list[CyclesNotRun] | None]
    holidayData: NotRequired[str | None]
    ended: NotRequired[str | None]
    truncated: NotRequired[bool | None]


class ForecastEvent(TypedDict):
    """An event of an existing instance, which may have begun."""

    date: str
    task: str
    status: EventStatus
    plannedDate: NotRequired[str | None]
    movedBy: NotRequired[str | None]


class ForecastCycle(TypedDict):
    cycle: int
    leadingUpEvents: list[ForecastEvent]
    mainEvent: ForecastEvent


class CancelAtShown(TypedDict):
    """A scheduled cancellation."""

    date: Date
    endOfCycle: bool
    by: str
    reason: NotRequired[str | None]


class ForecastShape(TypedDict):
    cycles: list[ForecastCycle]
    cancelAt: NotRequired[CancelAtShown | None]
    reminders: NotRequired[list[ForecastEvent] | None]
    onCancelEvents: NotRequired[list[ForecastEvent] | None]
    skipped: NotRequired[list[CyclesNotRun] | None]
    holidayData: NotRequired[str | None]
    truncated: NotRequired[bool | None]


class VersionSummaryShape(TypedDict):
    sid: str
    name: str
    description: str
    version: int
    createdAt: Date
    createdBy: NotRequired[str | None]


class VersionShape(VersionSummaryShape):
    settings: AsSent


VersionPageShape = PageOf[VersionSummaryShape]
NextEvent = TypedDict("NextEvent", {"sid": str, "date": Date})


class ScheduleShown(TypedDict):
    once: bool
    atOnce: bool
    onCall: bool
    goesOn: bool
    cron: NotRequired[str | None]
    timezone: NotRequired[str | None]
    opensAt: NotRequired[Date | None]
    retryTimes: NotRequired[int | None]


class ResumeRefused(TypedDict):
    """Why the resume at the end of a pause was refused."""

    date: Date
    why: str


class InstanceMembers(TypedDict):
    sid: str
    description: str
    strategyId: str
    strategyVersion: int
    status: InstanceStatus
    phase: Phase
    cycle: int
    startDate: Date
    draining: bool
    createdAt: Date
    updatedAt: Date
    endDate: NotRequired[Date | None]
    executionDate: NotRequired[Date | None]
    executionDay: NotRequired[int | None]
    cyclesToSkip: NotRequired[int | None]
    plannedDate: NotRequired[Date | None]
    nextEvent: NotRequired[NextEvent | None]
    cancelReason: NotRequired[CancelReason | None]
    reason: NotRequired[str | None]
    note: NotRequired[str | None]
    stoppedAt: NotRequired[Date | None]
    stoppedBy: NotRequired[str | None]
    pausedUntil: NotRequired[Date | None]
    resumeRefused: NotRequired[ResumeRefused | None]
    cancelAt: NotRequired[CancelAtShown | None]
    drainedAt: NotRequired[Date | None]
    heldBy: NotRequired[BlockedBy | None]
    createdBy: NotRequired[str | None]
    outputs: NotRequired[dict[str, Any] | None]
    schedule: NotRequired[ScheduleShown | None]
    reference: NotRequired[str | None]
    orderId: NotRequired[str | None]
    worker: NotRequired[str | None]


class InstanceShape(InstanceMembers):
    attributes: Attributes


class InstanceSummaryShape(InstanceMembers):
    """An instance in a list. A list of all instances of the account leaves out the attributes."""

    attributes: NotRequired[Attributes]


InstancePageShape = PageOf[InstanceSummaryShape]
SealedSettings = TypedDict("SealedSettings", {"iv": str, "hash": str, "encryptedText": str})


class PausedStrategy(StrategyShape):
    settings: NotRequired[Shown]
    encryptedSettings: NotRequired[SealedSettings]


OverdueEvent = TypedDict("OverdueEvent", {"cycle": int, "task": str, "date": Date})
CycleRange = TypedDict("CycleRange", {"first": int, "last": int})


class ComingRunShape(TypedDict):
    """An event that will run. ``sid`` is left out while its cycle is not planned yet.

    ``afterCancellation`` is set for an on-cancel event.
    """

    sid: NotRequired[str | None]
    cycle: int
    task: str
    main: bool
    status: EventStatus
    date: Date
    plannedDate: NotRequired[Date | None]
    movedBy: NotRequired[str | None]
    overdue: NotRequired[bool | None]
    afterCancellation: NotRequired[bool | None]


class EventNotRun(TypedDict):
    """An event that was planned and closes without a run, and why."""

    sid: str
    cycle: int
    task: str
    date: Date
    why: str


class ComingShape(TypedDict):
    """What will run after a command, and what will not."""

    runs: list[ComingRunShape]
    skipped: NotRequired[list[CyclesNotRun] | None]
    canceledEvents: NotRequired[list[EventNotRun] | None]
    truncated: NotRequired[bool | None]


class PausedShape(InstanceShape):
    """A paused instance. ``plan`` is what will run once it resumes by itself."""

    strategy: PausedStrategy
    plan: NotRequired[ComingShape | None]
    dryRun: NotRequired[bool | None]


class MovedShape(TypedDict):
    """The result of a command that moves or skips dates, or of its dry run."""

    executionInstance: InstanceShape
    plan: ComingShape
    dryRun: bool


class ResumedShape(InstanceShape):
    overdueEvents: list[OverdueEvent]
    skippedCycles: NotRequired[CycleRange | None]
    plan: ComingShape
    dryRun: bool


StepErrorShown = TypedDict("StepErrorShown", {"message": str, "status": NotRequired[int | None]})


class StepErrorWithData(StepErrorShown):
    data: NotRequired[Any]


class StepResult(TypedDict):
    step: str
    success: bool
    fromCache: bool
    attempt: int
    run: int
    response: NotRequired[Any]
    cached: NotRequired[Any]
    error: NotRequired[StepErrorWithData | None]
    callKey: NotRequired[str | None]
    repeated: NotRequired[bool | None]
    unanswered: NotRequired[bool | None]
    startedAt: NotRequired[Date | None]
    finishedAt: NotRequired[Date | None]


TaskStatus = TypedDict("TaskStatus", {"lastStep": str | None, "taskResults": list[StepResult]})


class Moved(TypedDict):
    """A due date that is not the date its cycle is planned for, and what moved it."""

    plannedDate: NotRequired[Date | None]
    movedBy: NotRequired[str | None]


class EventMembers(Moved):
    sid: str
    instanceSid: str
    strategySid: str
    status: EventStatus
    main: bool
    afterCancellation: bool
    task: str
    date: Date
    createdCycle: int
    attempt: int
    run: int
    createdAt: Date
    updatedAt: Date
    pausedFor: NotRequired[PausedFor | None]
    correlationId: NotRequired[str | None]
    answerBy: NotRequired[Date | None]
    outputs: NotRequired[dict[str, Any] | None]
    data: NotRequired[dict[str, str] | None]
    scheduledAt: NotRequired[Date | None]
    executedAt: NotRequired[Date | None]
    finishedAt: NotRequired[Date | None]
    scheduleDelta: NotRequired[int | None]
    executionDelta: NotRequired[int | None]
    finishDelta: NotRequired[int | None]
    executionTime: NotRequired[int | None]
    jobId: NotRequired[str | None]
    lastError: NotRequired[str | None]
    problem: NotRequired[str | None]


class RefusedCall(TypedDict):
    """A call that its service has refused for now, and when it is repeated."""

    step: str
    message: str
    status: NotRequired[int | None]
    times: int
    since: Date
    until: Date


class EventShape(EventMembers):
    why: NotRequired[str | None]
    refused: NotRequired[RefusedCall | None]
    inDoubt: NotRequired[bool | None]
    taskStatus: TaskStatus


EventsShape = list[EventShape]
WrappedEventShape = TypedDict("WrappedEventShape", {"event": EventShape})


class FirstEvents(TypedDict):
    onCreateEvents: list[EventShape]
    leadingUpEvents: list[EventShape]
    mainEvent: NotRequired[EventShape]


class CreatedShape(TypedDict):
    executionInstance: InstanceShape
    createdEvents: FirstEvents
    overdueEvents: NotRequired[list[OverdueEvent] | None]
    skipped: NotRequired[list[CyclesNotRun] | None]


class ForeseenEvents(TypedDict):
    onCreateEvents: list[ForeseenEvent]
    leadingUpEvents: list[ForeseenEvent]
    mainEvent: NotRequired[ForeseenEvent | None]


class PreviewShape(TypedDict):
    """What a creation would store; nothing is stored."""

    dryRun: bool
    status: InstanceStatus
    createdEvents: ForeseenEvents
    overdueEvents: NotRequired[list[OverdueEvent] | None]
    skipped: NotRequired[list[CyclesNotRun] | None]


CreationShape = CreatedShape | PreviewShape
LastEvents = TypedDict("LastEvents", {"onCancelEvents": list[EventShape]})


class TasksCanceledShape(TypedDict):
    executionInstance: InstanceShape
    numCanceledEvents: int


class CanceledShape(TasksCanceledShape):
    """A canceled instance, or one that will be: ``plan`` is what still runs before."""

    createdEvents: LastEvents
    plan: NotRequired[ComingShape | None]
    dryRun: NotRequired[bool | None]


CanceledEvent = TypedDict("CanceledEvent", {"sid": str, "task": str, "date": Date})
PlannedDateShown = TypedDict("PlannedDateShown", {"cycle": int, "task": str, "main": bool, "date": Date})


class MovedDate(PlannedDateShown):
    before: Date


class RedatedEvent(MovedDate):
    """A planned event with another date."""

    sid: str


class NotRedatedEvent(TypedDict):
    """A changed attribute that moves no date, or not that of an event."""

    attribute: str
    why: str
    sid: NotRequired[str | None]
    task: NotRequired[str | None]
    date: NotRequired[Date | None]


class ClosedEvent(CanceledEvent):
    """An event that a change has closed."""

    why: NotRequired[str | None]


class UpdatedShape(InstanceShape):
    """A changed instance, and what that does to its planned events. With ``dryRun``, nothing is stored."""

    dryRun: bool
    redated: list[RedatedEvent]
    notRedated: list[NotRedatedEvent]
    canceledEvents: list[ClosedEvent]
    skipped: NotRequired[list[CyclesNotRun] | None]


class DateChanges(TypedDict):
    appear: list[PlannedDateShown]
    vanish: list[PlannedDateShown]
    move: list[MovedDate]


Versions = TypedDict("Versions", {"from": int, "to": int})


class MigrationChanges(Versions):
    canceledEvents: list[CanceledEvent]
    dates: DateChanges


class MigrationShape(MigrationChanges):
    """The result of a migration, or of its dry run. ``plan`` is what will run after it."""

    plan: ComingShape
    executionInstance: InstanceShape
    dryRun: bool


class RequestDigest(TypedDict):
    digest: str
    action: NotRequired[str]
    method: NotRequired[str]
    host: NotRequired[str]


class PastStep(TypedDict):
    step: str
    path: Path
    run: int
    attempt: int
    outcome: StepOutcome
    fromCache: bool
    until: NotRequired[Date | None]
    inDoubt: NotRequired[bool | None]
    callKey: NotRequired[str | None]
    repeated: NotRequired[bool | None]
    request: NotRequired[RequestDigest | None]
    status: NotRequired[int | None]
    error: NotRequired[StepErrorShown | None]
    notes: NotRequired[list[str] | None]
    startedAt: NotRequired[Date | None]
    finishedAt: NotRequired[Date | None]
    duration: NotRequired[int | None]


class Skipped(TypedDict):
    skippedCycles: NotRequired[CycleRange | None]
    skippedUntil: NotRequired[Date | None]


class Closing(Skipped):
    closedBy: NotRequired[ClosedBy]
    by: NotRequired[str | None]
    why: NotRequired[str | None]
    reason: NotRequired[str | None]
    inDoubt: NotRequired[bool | None]


class PastEventShape(EventMembers, Closing):
    steps: list[PastStep]
    worker: NotRequired[str | None]


HistoryPageShape = PageOf[PastEventShape]


class Evidence(TypedDict):
    reason: Reason
    since: NotRequired[Date | None]
    until: NotRequired[Date | None]
    by: NotRequired[str | None]
    why: NotRequired[str | None]


class PlannedEvent(Moved):
    task: str
    main: bool
    cycle: int
    date: Date
    status: EventStatus
    sid: NotRequired[str | None]


class ExplainedEvent(PlannedEvent, Evidence, Skipped):
    attempt: NotRequired[int | None]
    executedAt: NotRequired[Date | None]
    finishedAt: NotRequired[Date | None]


class StatusThen(TypedDict):
    status: NotRequired[InstanceStatus | None]
    since: NotRequired[Date | None]
    by: NotRequired[str | None]
    why: NotRequired[str | None]


class ExplanationShape(Evidence):
    at: Date
    events: list[ExplainedEvent]
    instance: NotRequired[StatusThen | None]
    before: NotRequired[PlannedEvent | None]
    after: NotRequired[PlannedEvent | None]
    unreadable: NotRequired[list[UnreadableShape] | None]


QueueShape = TypedDict("QueueShape", {"status": Flag})


class KeyShape(TypedDict):
    keyId: str
    role: Role
    description: str
    createdAt: Date
    createdBy: NotRequired[str | None]


class NewKeyShape(KeyShape):
    token: str


KeyPageShape = PageOf[KeyShape]


class WebhookShape(TypedDict):
    """A webhook. ``secret`` is in the answer that made it only; without ``kinds`` it takes all."""

    url: str
    kinds: NotRequired[list[NotificationKind] | None]
    secret: NotRequired[str | None]
    updatedAt: Date
    updatedBy: str


class PhaseFilter(TypedDict):
    phases: NotRequired[list[Phase] | None]
    plannedFrom: NotRequired[Date | None]
    plannedUntil: NotRequired[Date | None]
    atRest: NotRequired[bool | None]


class SelectionPart(TypedDict):
    numIds: NotRequired[int]
    strategySid: NotRequired[str]
    version: NotRequired[int | None]
    folder: NotRequired[str]
    flat: NotRequired[bool | None]
    statuses: NotRequired[list[InstanceStatus]]
    createdFrom: NotRequired[Date | None]
    createdTo: NotRequired[Date | None]
    filter: NotRequired[PhaseFilter | None]


class PhaseRangeShown(TypedDict):
    phase: Phase
    reason: NotRequired[str | None]
    strategySid: NotRequired[str | None]


class SelectionShown(SelectionPart):
    anyOf: NotRequired[list[SelectionPart] | None]
    ranges: NotRequired[list[PhaseRangeShown]]
    reference: NotRequired[str]
    attribute: NotRequired[dict[str, str]]


class CommandShown(TypedDict):
    name: Annotated[
        str,
        Keywords(
            {
                "enum": [
                    "pause",
                    "resume",
                    "cancel",
                    "cancel-tasks",
                    "migrate",
                    "execute",
                    "retry",
                    "resolve",
                    "update",
                    "reschedule",
                    "skip",
                    "dismiss",
                ]
            }
        ),
    ]
    onResume: NotRequired[OnResume | None]
    until: NotRequired[Date | None]
    at: NotRequired[DateOrEndOfCycle]
    version: NotRequired[int]
    date: NotRequired[Date]
    keepAnchor: NotRequired[bool]
    cycles: NotRequired[int]
    tasks: NotRequired[list[str]]
    kill: NotRequired[bool | None]
    removesUntil: NotRequired[bool | None]
    unlessBegun: NotRequired[bool | None]
    waiting: NotRequired[Waiting]
    fromStep: NotRequired[str | None]
    decision: NotRequired[Resolution]
    attributeNames: NotRequired[list[str]]


class CountsShown(TypedDict):
    matched: int
    done: int
    changed: int
    alreadyThere: int
    refused: int
    unknown: int
    failed: int


class ResultShown(TypedDict):
    """The result of a command on one instance. ``redated`` counts the planned events that a changed attribute moves."""

    sid: str
    outcome: ItemOutcome
    why: NotRequired[str | None]
    redated: NotRequired[int | None]


class ActorNotes(TypedDict):
    minutesSpent: NotRequired[int | None]
    ticket: NotRequired[str | None]
    options: NotRequired[list[str] | None]


class BulkOperationShape(ActorNotes):
    sid: str
    status: BulkStatus
    selection: SelectionShown
    command: CommandShown
    createdAt: Date
    createdBy: str
    updatedAt: Date
    cursor: str
    counts: CountsShown
    itemProblems: list[ResultShown]
    itemProblemsLeftOut: int
    comment: NotRequired[str | None]
    finishedAt: NotRequired[Date | None]
    results: NotRequired[list[ResultShown] | None]


class FailedCallShown(TypedDict):
    service: str
    method: str
    step: str
    status: NotRequired[int | None]
    excerpt: NotRequired[str | None]


class ProblemShown(TypedDict):
    kind: ProblemKind
    since: Date
    why: str
    executionInstanceSid: str
    strategyId: str
    status: InstanceStatus
    commands: list[str]
    error: NotRequired[str | None]
    executionEventSid: NotRequired[str | None]
    reference: NotRequired[str | None]
    reason: NotRequired[str | None]
    call: NotRequired[FailedCallShown | None]


ProblemPageShape = PageOf[ProblemShown]
CountShown = TypedDict("CountShown", {"count": int, "atLeast": NotRequired[bool]})


class StrategyCountsShown(TypedDict):
    sid: str
    name: str
    instances: dict[str, CountShown]


class ClosedCountsShown(TypedDict):
    processed: int
    failed: int
    canceled: int
    atLeast: NotRequired[bool | None]


class DueShown(TypedDict):
    nextHour: CountShown
    nextDay: CountShown
    oldestOverdue: NotRequired[Date | None]


class OverviewShape(TypedDict):
    phases: dict[str, CountShown]
    problems: CountShown
    strategies: list[StrategyCountsShown]
    unreadable: NotRequired[list[UnreadableShape]]
    lastHour: ClosedCountsShown
    lastDay: ClosedCountsShown
    nextCursor: NotRequired[str]
    due: NotRequired[DueShown]


DryRunShape = TypedDict("DryRunShape", {"count": int, "countIsExact": bool, "sample": list[ResultShown]})
BulkAnswerShape = BulkOperationShape | DryRunShape
BulkOperationPageShape = PageOf[BulkOperationShape]

StateBefore = TypedDict("StateBefore", {"from": NotRequired[str | None]})


class AuditEntryShape(ActorNotes, StateBefore):
    at: Date
    by: str
    command: str
    target: str
    event: NotRequired[str | None]
    to: NotRequired[str | None]
    reason: NotRequired[str | None]
    operation: NotRequired[str | None]


AuditPageShape = PageOf[AuditEntryShape]


class Application(TypedDict):
    name: str
    version: str
    build: str
    status: str
    uptime: int


Configuration = TypedDict("Configuration", {"environment": str})


class AppShape(TypedDict):
    application: Application
    configuration: Configuration
    last_updated: Date
