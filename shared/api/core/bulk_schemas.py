"""Request bodies of bulk operations. Unknown fields are refused. Source: docs/contracts/core.md section 5."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, StringConstraints, Tag

from shared.api.core.schemas import (
    Body,
    Cycles,
    Folder,
    Instant,
    InstantOrEndOfCycle,
    OneAttribute,
    Reason,
    Reference,
    StoppedBy,
    StoredPhase,
    StrategyId,
)
from shared.domain.bulk.operation import MAX_IDS

MAX_TASKS = 50

Sid = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z-]{1,64}$")]
Status = Literal["ACTIVE", "PAUSED", "CANCELED", "COMPLETED"]
Statuses = Annotated[list[Status], Field(min_length=1, max_length=4)]
Comment = Annotated[str, StringConstraints(max_length=1000)]


class SelectIds(Body):
    """Instances by id."""

    ids: Annotated[list[Sid], Field(min_length=1, max_length=MAX_IDS)]


class SelectStrategy(Body):
    """Instances of a strategy (name or sid), by version, status and time of creation; by default unfinished ones."""

    strategyId: StrategyId  # noqa: N815 - the wire's spelling
    version: Annotated[int, Field(ge=1, le=99_999_999)] | None = None
    statuses: Statuses | None = None
    createdFrom: Instant | None = None  # noqa: N815 - the wire's spelling
    createdTo: Instant | None = None  # noqa: N815 - the wire's spelling
    phase: StoredPhase | None = None
    reason: Reason | None = None
    stoppedBy: StoppedBy | None = None  # noqa: N815 - the wire's spelling


class SelectFolder(Body):
    """Instances of all strategies in a folder or below it; ``/`` selects every strategy."""

    folder: Folder
    statuses: Statuses | None = None
    createdFrom: Instant | None = None  # noqa: N815 - the wire's spelling
    createdTo: Instant | None = None  # noqa: N815 - the wire's spelling
    phase: StoredPhase | None = None


class SelectFound(Body):
    """Instances of all strategies in a phase, stopped for a reason or by someone, or with a reference or attribute.

    ``attribute`` is an object with the name of one searchable attribute and its text.
    """

    phase: StoredPhase | None = None
    reason: Reason | None = None
    stoppedBy: StoppedBy | None = None  # noqa: N815 - the wire's spelling
    reference: Reference | None = None
    attribute: OneAttribute | None = None


class PauseMany(Body):
    """Pause the instances. With ``until``, each resumes by itself then; null removes such a date."""

    name: Literal["pause"]
    until: Instant | None = None


class ResumeMany(Body):
    """Resume the instances. ``onResume`` decides about missed dates; by default each strategy decides."""

    name: Literal["resume"]
    onResume: Literal["last", "all", "skip", "shift"] | None = None  # noqa: N815 - the wire's spelling


class CancelMany(Body):
    """Cancel the instances, by default now. ``at`` is a date, or ``endOfCycle`` for the end of each one's cycle."""

    name: Literal["cancel"]
    at: InstantOrEndOfCycle | None = None


class CancelTasksOfMany(Body):
    """Cancel the unfinished events of these tasks; other events continue."""

    name: Literal["cancel-tasks"]
    tasks: Annotated[
        list[Annotated[str, StringConstraints(min_length=1, max_length=100)]],
        Field(min_length=1, max_length=MAX_TASKS),
    ]


class MigrateMany(Body):
    """Move each instance to this version of its strategy."""

    name: Literal["migrate"]
    version: Annotated[int, Field(ge=1, le=99_999_999)]


class RetryMany(Body):
    """Redrive the failed event of each instance. Steps from ``fromStep`` on are executed again."""

    name: Literal["retry"]
    fromStep: Annotated[str, StringConstraints(min_length=1, max_length=100)] | None = None  # noqa: N815 - the wire's spelling


class ResolveMany(Body):
    """Decide the call in doubt of each instance."""

    name: Literal["resolve"]
    decision: Literal["retry", "skip", "fail"]


class UpdateMany(Body):
    """Merge attributes into those of each instance; null removes one."""

    name: Literal["update"]
    attributes: Annotated[dict[str, Any], Field(min_length=1)]


class RescheduleMany(Body):
    """Move the next date of each instance. Without ``keepAnchor``, its rhythm counts from there."""

    name: Literal["reschedule"]
    date: Instant
    keepAnchor: bool = True  # noqa: N815 - the wire's spelling


class SkipMany(Body):
    """Skip the next cycles of each instance."""

    name: Literal["skip"]
    cycles: Cycles = 1


class DismissMany(Body):
    """Take what is final off the list of problems."""

    name: Literal["dismiss"]


def _by_what(selection: Any) -> str | None:  # noqa: ANN401 - any JSON value
    """Return the member by which a selection is made, or None if it has no known one."""
    known = ("ids", "strategyId", "folder")
    if not isinstance(selection, dict):
        return None
    named = next((name for name in known if name in selection), None)
    return named or ("found" if set(SelectFound.model_fields) & set(selection) else None)


def _called(command: Any) -> str | None:  # noqa: ANN401 - any JSON value
    """Return the name of a command, or None if it has none."""
    name = command.get("name") if isinstance(command, dict) else None
    return name if isinstance(name, str) else None


Selected = Annotated[
    Annotated[SelectIds, Tag("ids")]
    | Annotated[SelectStrategy, Tag("strategyId")]
    | Annotated[SelectFolder, Tag("folder")]
    | Annotated[SelectFound, Tag("found")],
    Discriminator(
        _by_what,
        custom_error_type="required",
        custom_error_message=(
            "must be an object with ids, strategyId, folder, phase, reason, stoppedBy, reference or attribute"
        ),
    ),
]

Commanded = Annotated[
    Annotated[PauseMany, Tag("pause")]
    | Annotated[ResumeMany, Tag("resume")]
    | Annotated[CancelMany, Tag("cancel")]
    | Annotated[CancelTasksOfMany, Tag("cancel-tasks")]
    | Annotated[MigrateMany, Tag("migrate")]
    | Annotated[RetryMany, Tag("retry")]
    | Annotated[ResolveMany, Tag("resolve")]
    | Annotated[UpdateMany, Tag("update")]
    | Annotated[RescheduleMany, Tag("reschedule")]
    | Annotated[SkipMany, Tag("skip")]
    | Annotated[DismissMany, Tag("dismiss")],
    Discriminator(
        _called,
        custom_error_type="which",
        custom_error_message=(
            "must be an object whose name is pause, resume, cancel, cancel-tasks, migrate, retry, resolve, update,"
            " reschedule, skip or dismiss"
        ),
    ),
]


class BeginOperation(Body):
    """One command to many instances. ``comment`` goes to the audit trail; if ``dryRun``, nothing is changed."""

    selection: Selected
    command: Commanded
    comment: Comment | None = None
    dryRun: bool = False  # noqa: N815 - the wire's spelling


UNIONS = ("selection", "command")
"""Union members. Pydantic's locations inside them include the branch, which no document contains."""
