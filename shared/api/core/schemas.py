"""Requests of the core dialect. Unknown fields are refused. Source: docs/contracts/core.md section 1.1."""

import re
from collections.abc import Callable
from datetime import date, datetime
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

from shared.domain.calendar.dates import parse_date, parse_day_or_instant, zone_named
from shared.domain.errors import DateError
from shared.domain.instance.reason import Cause, StopReason, read_reason
from shared.domain.notifications.model import NotificationKind

D = TypeVar("D")

MAX_LIMIT = 100
MAX_CYCLES = 120
MAX_STRATEGY_ID = 100


def _read_date(value: object, read: Callable[[str], D]) -> D:
    if not isinstance(value, str):
        raise PydanticCustomError("date", "must be a string with a date")
    try:
        return read(value)
    except DateError as error:
        raise PydanticCustomError("date", "{why}", {"why": str(error)}) from error


def _day(value: object) -> date:
    return _read_date(value, parse_day_or_instant)


def _instant(value: object) -> datetime:
    return _read_date(value, lambda text: parse_date(text, zone_named("UTC")))


_DATE_FORMS = WithJsonSchema({"type": "string", "anyOf": [{"format": "date-time"}, {"format": "date"}]})

Day = Annotated[date, PlainValidator(_day), _DATE_FORMS]
"""An instant (``datetime``), or a date without time, which begins in the zone of the strategy."""
Instant = Annotated[datetime, PlainValidator(_instant), _DATE_FORMS]
"""An instant. A date without time begins in UTC, because the request may be about several strategies."""
END_OF_CYCLE: Final = "endOfCycle"


def _or_end_of_cycle(read: Callable[[object], D]) -> Callable[[object], D | Literal["endOfCycle"]]:
    return lambda value: END_OF_CYCLE if value == END_OF_CYCLE else read(value)


_DATE_OR_END = WithJsonSchema(
    {"type": "string", "anyOf": [{"format": "date-time"}, {"format": "date"}, {"const": END_OF_CYCLE}]}
)

DayOrEndOfCycle = Annotated[date | str, PlainValidator(_or_end_of_cycle(_day)), _DATE_OR_END]
"""A day as ``Day`` has it, or ``endOfCycle``."""
InstantOrEndOfCycle = Annotated[datetime | str, PlainValidator(_or_end_of_cycle(_instant)), _DATE_OR_END]
"""An instant as ``Instant`` has it, or ``endOfCycle``."""
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,100}$")]
Secret = Annotated[str, StringConstraints(min_length=16, max_length=128)]
Description = Annotated[str, StringConstraints(max_length=4096)]
Folder = Annotated[
    str, StringConstraints(pattern=r"^/([A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*)?$", max_length=255)
]
Limit = Annotated[int, Field(ge=1, le=MAX_LIMIT)]

Cycles = Annotated[int, Field(ge=1, le=100)]
"""How many cycles are skipped."""


Kind = Annotated[NotificationKind, Field(strict=False)]
"""A kind of notification, by its name."""

StrategyId = Annotated[str, StringConstraints(min_length=1, max_length=MAX_STRATEGY_ID)]
"""The name or sid of a strategy."""


Reference = Annotated[str, StringConstraints(min_length=1, max_length=128)]
"""The caller's business key of an instance."""

_ATTRIBUTE = re.compile(r"attribute(?:\.(.+)|\[(.+)\])", re.DOTALL)


class Body(BaseModel):
    """A request body with strict types and no unknown fields."""

    # A model is built at its first use, so that cold starts do not build all of them.
    model_config = ConfigDict(extra="forbid", strict=True, defer_build=True)


class Query(BaseModel):
    """The parameters of a query, read from text, without unknown ones."""

    # Not strict, because parameters are text that numbers are parsed from.
    model_config = ConfigDict(extra="forbid", defer_build=True)


class CreateStrategy(Body):
    """A new strategy (S1). The domain checks the settings."""

    name: Name
    secret: Secret
    settings: dict[str, Any]
    description: Description = ""
    folder: Folder = "/"


class ValidateStrategy(Body):
    """A definition to be checked. Other fields of S1 are optional, and are checked too."""

    settings: dict[str, Any]
    name: Name | None = None
    secret: Secret | None = None
    description: Description | None = None
    folder: Folder | None = None


class UpdateStrategy(Body):
    """A new version (S3). The settings replace the old ones whole; other fields are kept if left out."""

    settings: dict[str, Any]
    description: Description | None = None
    secret: Secret | None = None


class SimulateExecution(Body):
    """A simulation (S4). By default ``startDate`` is now, and ``dateFormat`` is ISO 8601 in UTC."""

    cycles: Annotated[int, Field(ge=1, le=MAX_CYCLES)]
    startDate: Day | None = None  # noqa: N815 - the wire's spelling
    dateFormat: Annotated[str, StringConstraints(min_length=1, max_length=100)] | None = None  # noqa: N815 - the wire's spelling
    attributes: dict[str, Any] = {}


class CreateInstance(Body):
    """A new instance (I1). ``strategyId`` is a strategy's name or sid; ``startDate`` is now by default.

    ``reference`` is the caller's business key, which the instance is found by. ``missed`` is the rule for dates before
    now, by default the strategy's. If ``dryRun``, nothing is stored.
    """

    strategyId: StrategyId  # noqa: N815 - the wire's spelling
    attributes: dict[str, Any] = {}
    description: Description = ""
    startDate: Day | None = None  # noqa: N815 - the wire's spelling
    endDate: Day | None = None  # noqa: N815 - the wire's spelling
    reference: Reference | None = None
    missed: Literal["last", "all", "skip"] | None = None
    dryRun: bool = False  # noqa: N815 - the wire's spelling


class UpdateInstance(Body):
    """Changes of an instance. Attributes are merged, and null removes one; ``endDate`` null removes the end date.

    If ``dryRun``, nothing is changed.
    """

    description: Description | None = None
    attributes: dict[str, Any] | None = None
    endDate: Day | None = None  # noqa: N815 - the wire's spelling
    dryRun: bool = False  # noqa: N815 - the wire's spelling


class PauseInstance(Body):
    """When the pause ends by itself; null removes that date. If ``dryRun``, nothing is changed."""

    until: Day | None = None
    dryRun: bool = False  # noqa: N815 - the wire's spelling


class CancelInstance(Body):
    """When the instance is canceled; by default now. ``reason`` goes to the audit trail. ``dryRun`` changes nothing."""

    at: DayOrEndOfCycle | None = None
    reason: Annotated[str, StringConstraints(min_length=1, max_length=1000)] | None = None
    dryRun: bool = False  # noqa: N815 - the wire's spelling


class ResumeInstance(Body):
    """The handling of missed dates; by default the strategy decides. If ``dryRun``, nothing is changed."""

    onResume: Literal["last", "all", "skip", "shift"] | None = None  # noqa: N815 - the wire's spelling
    dryRun: bool = False  # noqa: N815 - the wire's spelling


class RescheduleEvent(Body):
    """The new date of ``event``, by default of the open main event. If ``dryRun``, nothing is changed.

    Without ``keepAnchor``, the rhythm of the plan counts from that date.
    """

    date: Day
    event: Annotated[str, StringConstraints(min_length=1, max_length=100)] | None = None
    keepAnchor: bool = True  # noqa: N815 - the wire's spelling
    dryRun: bool = False  # noqa: N815 - the wire's spelling


class SkipCycles(Body):
    """The number of cycles that do not run. If ``dryRun``, nothing is changed."""

    cycles: Cycles = 1
    dryRun: bool = False  # noqa: N815 - the wire's spelling


class MigrateInstance(Body):
    """The version to move to. If ``dryRun``, nothing is changed."""

    version: Annotated[int, Field(ge=1)]
    dryRun: bool = False  # noqa: N815 - the wire's spelling


class AddAnEvent(Body):
    """A new event. ``date`` is now by default."""

    task: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    date: Day | None = None
    data: dict[str, str] = {}
    manualTrigger: bool = False  # noqa: N815 - the wire's spelling


class AnyObject(BaseModel):
    """The answer of a service (E3): any JSON object."""

    model_config = ConfigDict(extra="allow", defer_build=True)


class ResolveEvent(Body):
    """The decision of an operator about a call in doubt."""

    decision: Literal["retry", "skip", "fail"]


class RetryAnEvent(Body):
    """Steps from ``fromStep`` on are executed again. By default all successful steps are kept."""

    fromStep: Annotated[str, StringConstraints(min_length=1, max_length=100)] | None = None  # noqa: N815 - the wire's spelling


class CreateKey(Body):
    """A new access key of the caller's account."""

    role: Literal["admin", "operator", "viewer"]
    description: Description = ""


class SetWebhook(Body):
    """The webhook of the caller's account. Without ``kinds`` it takes all; without ``secret`` it keeps its own."""

    url: Annotated[str, StringConstraints(min_length=1, max_length=2048)]
    secret: Annotated[str, StringConstraints(max_length=128)] | None = None
    kinds: Annotated[list[Kind], Field(min_length=1)] | None = None


class PageQuery(Query):
    """A part of a list."""

    limit: Limit = 25
    cursor: Annotated[str, Field(max_length=1024)] | None = None


def _reason(value: object) -> StopReason:
    try:
        return read_reason(value if isinstance(value, str) else "")
    except ValueError as error:
        causes = ", ".join(cause.value for cause in Cause)
        why = f"must be one of {causes}, or one of them with a colon and a detail, as exhausted:http-402"
        raise PydanticCustomError("which", "{why}", {"why": why}) from error


Reason = Annotated[
    StopReason,
    PlainValidator(_reason),
    WithJsonSchema({"type": "string", "pattern": f"^({'|'.join(Cause)})(:.+)?$"}),
]
"""The cause of a stop, as ``exhausted``, or a cause with its detail, as ``exhausted:http-402``."""


StoredPhase = Literal["PAUSED", "STUCK", "CANCELED", "FAULTED", "COMPLETED", "RETRYING"]
StoppedBy = Annotated[str, Field(min_length=1, max_length=300)]
OneAttribute = Annotated[dict[str, str], Field(min_length=1, max_length=1)]


class InstancesQuery(PageQuery):
    """Filters of a list of instances. Those that one index serves can be combined; others are refused.

    ``attribute.<name>`` selects by a searchable attribute; ``attribute[<name>]`` is the same.
    """

    strategyId: StrategyId | None = None  # noqa: N815 - the wire's spelling
    status: Literal["ACTIVE", "PAUSED", "CANCELED", "COMPLETED"] | None = None
    phase: StoredPhase | None = None
    reason: Reason | None = None
    stoppedBy: StoppedBy | None = None  # noqa: N815 - the wire's spelling
    folder: Folder | None = None
    createdFrom: Instant | None = None  # noqa: N815 - the wire's spelling
    createdTo: Instant | None = None  # noqa: N815 - the wire's spelling
    reference: Reference | None = None
    attribute: OneAttribute | None = None

    @model_validator(mode="before")
    @classmethod
    def _collect_attributes(cls, query: dict[str, Any]) -> dict[str, Any]:
        """Return the query with ``attribute.<name>`` and ``attribute[<name>]`` in one object."""
        found: dict[str, Any] = {}
        others: dict[str, Any] = {}
        for name, value in query.items():
            match = _ATTRIBUTE.fullmatch(name)
            if match is None:
                others[name] = value
            else:
                found[match[1] or match[2]] = value
        return {**others, "attribute": found} if found else others


class ProblemsQuery(PageQuery):
    """Filters of the list of problems: kind, strategy (name or sid), and class of the error, as ``http-402``."""

    kind: (
        Literal[
            "EXHAUSTED",
            "IN_DOUBT",
            "POISONED",
            "FAILED_EVENT",
            "CREATE_CYCLE_ERROR",
            "ANSWER_OVERDUE",
            "RESUME_REFUSED",
            "LATE",
        ]
        | None
    ) = None
    strategyId: StrategyId | None = None  # noqa: N815 - the wire's spelling
    error: Annotated[str, Field(min_length=1, max_length=100)] | None = None


class OverviewQuery(PageQuery):
    """The page of strategies whose instances are counted."""

    limit: Annotated[int, Field(ge=1, le=25)] = 10


class DismissProblems(Body):
    """The reason why the problems will not be repaired."""

    comment: Annotated[str, StringConstraints(min_length=1, max_length=1000)]


class ForecastQuery(Query):
    """The number of coming cycles."""

    cycles: Annotated[int, Field(ge=1, le=MAX_CYCLES)] = 12


class PauseQuery(Query):
    """Whether the settings in the answer are complete. By default they are without credentials."""

    include: Literal["settings"] | None = None


class ExplainQuery(Query):
    """The instant to explain; now by default."""

    at: Day | None = None


class AuditQuery(PageQuery):
    """Filters of the audit trail: a range of times, and a target."""

    from_: Annotated[Instant | None, Field(alias="from")] = None
    to: Instant | None = None
    target: Annotated[str, Field(min_length=1, max_length=300)] | None = None


class TasksQuery(Query):
    """Task keys, separated by commas (I6)."""

    tasks: Annotated[str, Field(min_length=1, max_length=4096)]
