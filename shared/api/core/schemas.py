"""What the core dialect's requests may hold; unknown fields are refused. Source: contracts/core.md section 1.1."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError

from shared.domain.calendar.dates import parse_instant
from shared.domain.errors import DateError

MAX_LIMIT = 100
MAX_CYCLES = 120
MAX_STRATEGY_ID = 100


def _instant(value: object) -> datetime:
    if not isinstance(value, str):
        raise PydanticCustomError("date", "must be a date as text")
    try:
        return parse_instant(value)
    except DateError as error:
        raise PydanticCustomError("date", "{why}", {"why": str(error)}) from error


Instant = Annotated[
    datetime, PlainValidator(_instant), WithJsonSchema({"type": "string", "format": "date-time"})
]
"""A date with its offset, as an instant in UTC."""
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,100}$")]
Secret = Annotated[str, StringConstraints(min_length=16, max_length=128)]
Description = Annotated[str, StringConstraints(max_length=4096)]
Folder = Annotated[
    str, StringConstraints(pattern=r"^/([A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*)?$", max_length=255)
]
Limit = Annotated[int, Field(ge=1, le=MAX_LIMIT)]


StrategyId = Annotated[str, StringConstraints(min_length=1, max_length=MAX_STRATEGY_ID)]
"""A strategy's name or sid."""


class Body(BaseModel):
    """A request body: strict types, no unknown fields."""

    model_config = ConfigDict(extra="forbid", strict=True, defer_build=True)


class Query(BaseModel):
    """The parameters of a request's query: text, read as what is asked for; no unknown ones."""

    model_config = ConfigDict(extra="forbid", defer_build=True)


class CreateStrategy(Body):
    """S1. The settings are checked by the domain, all of their problems at once."""

    name: Name
    secret: Secret
    settings: dict[str, Any]
    description: Description = ""
    folder: Folder = "/"


class ValidateStrategy(Body):
    """A definition to be looked at only; whatever of S1 is given besides is checked too."""

    settings: dict[str, Any]
    name: Name | None = None
    secret: Secret | None = None
    description: Description | None = None
    folder: Folder | None = None


class UpdateStrategy(Body):
    """S3. The settings replace the old ones whole; what else is left out stays."""

    settings: dict[str, Any]
    description: Description | None = None
    secret: Secret | None = None


class SimulateExecution(Body):
    """S4. ``startDate`` is now where it is not given; ``dateFormat`` is ISO 8601 in UTC where it is not given."""

    cycles: Annotated[int, Field(ge=1, le=MAX_CYCLES)]
    startDate: Instant | None = None  # noqa: N815 - the wire's spelling
    dateFormat: Annotated[str, StringConstraints(min_length=1, max_length=100)] | None = None  # noqa: N815 - the wire's spelling
    attributes: dict[str, Any] = {}


class CreateInstance(Body):
    """I1. ``strategyId`` is a strategy's name or sid; ``startDate`` is now where it is not given."""

    strategyId: StrategyId  # noqa: N815 - the wire's spelling
    attributes: dict[str, Any] = {}
    description: Description = ""
    startDate: Instant | None = None  # noqa: N815 - the wire's spelling
    endDate: Instant | None = None  # noqa: N815 - the wire's spelling


class UpdateInstance(Body):
    """What is to change. Attributes are laid over the old ones, null removes one; ``endDate`` null removes it."""

    description: Description | None = None
    attributes: dict[str, Any] | None = None
    endDate: Instant | None = None  # noqa: N815 - the wire's spelling


class ResumeInstance(Body):
    """What becomes of planned dates that have passed; as the strategy says where it is not given."""

    onResume: Literal["last", "all", "skip", "shift"] | None = None  # noqa: N815 - the wire's spelling


class MigrateInstance(Body):
    """To which version; ``dryRun`` only tells what that would do."""

    version: Annotated[int, Field(ge=1)]
    dryRun: bool = False  # noqa: N815 - the wire's spelling


class AddAnEvent(Body):
    """One more event; ``date`` is now where it is not given."""

    task: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    date: Instant | None = None
    data: dict[str, str] = {}
    manualTrigger: bool = False  # noqa: N815 - the wire's spelling


class AnyObject(BaseModel):
    """E3. What a service answers: any JSON object."""

    model_config = ConfigDict(extra="allow", defer_build=True)


class ResolveEvent(Body):
    """What an operator decides about a call in doubt."""

    decision: Literal["retry", "skip", "fail"]


class RetryAnEvent(Body):
    """From which step on everything is executed again; without it, all successes are kept."""

    fromStep: Annotated[str, StringConstraints(min_length=1, max_length=100)] | None = None  # noqa: N815 - the wire's spelling


class CreateKey(Body):
    """A new access key of the caller's account."""

    role: Literal["admin", "operator", "viewer"]
    description: Description = ""


class PageQuery(Query):
    """Which part of a list."""

    limit: Limit = 25
    cursor: Annotated[str, Field(max_length=512)] | None = None


class InstancesQuery(PageQuery):
    """Which instances: of a strategy (name or sid), of a status."""

    strategyId: StrategyId | None = None  # noqa: N815 - the wire's spelling
    status: Literal["ACTIVE", "PAUSED", "CANCELED", "COMPLETED"] | None = None


class ForecastQuery(Query):
    """How many of the coming cycles."""

    cycles: Annotated[int, Field(ge=1, le=MAX_CYCLES)] = 12


class ExplainQuery(Query):
    """About which instant; now, where it is not given."""

    at: Instant | None = None


class AuditQuery(PageQuery):
    """Which entries: since and until when, about what."""

    from_: Annotated[Instant | None, Field(alias="from")] = None
    to: Instant | None = None
    target: Annotated[str, Field(min_length=1, max_length=300)] | None = None


class TasksQuery(Query):
    """I6. Task keys with commas between them."""

    tasks: Annotated[str, Field(min_length=1, max_length=4096)]
