"""The queries of the automation dialect. Unknown parameters are ignored, as the vendor does.

Source: docs/contracts/automation.md A.1.
"""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError

from shared.api.automation.documents import MAX_SUBACCOUNT_CHARACTERS
from shared.api.automation.statuses import WorkflowStatus

MAX_ITEMS = 500
LATEST_VERSION = 99_999_999
MAX_OFFSET = 1_000_000


def _instant(value: object) -> datetime:
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        found = None
    if found is None:
        raise PydanticCustomError("date", "must be a date and time in ISO 8601")
    return (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).astimezone(UTC)


Instant = Annotated[
    datetime, PlainValidator(_instant), WithJsonSchema({"type": "string", "format": "date-time"})
]
"""A date in ISO 8601; in UTC if it has no offset."""
Version = Annotated[int, Field(ge=1, le=LATEST_VERSION)]


class Query(BaseModel):
    """The parameters of a query."""

    model_config = ConfigDict(extra="ignore", defer_build=True)


class PageQuery(Query):
    """A part of a list."""

    limit: Annotated[int, Field(ge=1, le=MAX_ITEMS)] = 100
    offset: Annotated[int, Field(ge=0, le=MAX_OFFSET)] = 0


class WorkflowsQuery(PageQuery):
    """Filters of workflows: version (by default the latest), status, time of the start."""

    version: Version | None = None
    status: WorkflowStatus | None = None
    startTimeFrom: Instant | None = None  # noqa: N815 - the wire's spelling
    startTimeTo: Instant | None = None  # noqa: N815 - the wire's spelling


class VersionQuery(Query):
    """A version. Each operation has its own default."""

    version: Version | None = None


class WorkflowQuery(Query):
    """Whether to include the executions of steps."""

    includeLogs: bool = False  # noqa: N815 - the wire's spelling


class TriggerQuery(Query):
    """A subaccount."""

    subAccountId: (  # noqa: N815 - the wire's spelling
        Annotated[str, StringConstraints(min_length=1, max_length=MAX_SUBACCOUNT_CHARACTERS)] | None
    ) = None


class TimezonesQuery(Query):
    """A filter of time zones by a part of id or name."""

    contains: Annotated[str, StringConstraints(max_length=100)] = ""
