"""What requests for bulk operations may hold; unknown fields are refused. Source: contracts/core.md section 5."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, StringConstraints, Tag

from shared.api.core.schemas import Body, Folder, Instant, StrategyId
from shared.domain.bulk.operation import MAX_IDS

MAX_TASKS = 50

Sid = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z-]{1,64}$")]
Status = Literal["ACTIVE", "PAUSED", "CANCELED", "COMPLETED"]
Statuses = Annotated[list[Status], Field(min_length=1, max_length=4)]
Comment = Annotated[str, StringConstraints(max_length=1000)]


class SelectIds(Body):
    """Instances that are named."""

    ids: Annotated[list[Sid], Field(min_length=1, max_length=MAX_IDS)]


class SelectStrategy(Body):
    """Instances of a strategy (name or sid): on a version, of statuses (unfinished ones by default), created when."""

    strategyId: StrategyId  # noqa: N815 - the wire's spelling
    version: Annotated[int, Field(ge=1, le=99_999_999)] | None = None
    statuses: Statuses | None = None
    createdFrom: Instant | None = None  # noqa: N815 - the wire's spelling
    createdTo: Instant | None = None  # noqa: N815 - the wire's spelling


class SelectFolder(Body):
    """Instances of all strategies in a folder or below it; ``/`` is all there are."""

    folder: Folder
    statuses: Statuses | None = None
    createdFrom: Instant | None = None  # noqa: N815 - the wire's spelling
    createdTo: Instant | None = None  # noqa: N815 - the wire's spelling


class PauseMany(Body):
    """Nothing more of them starts."""

    name: Literal["pause"]


class ResumeMany(Body):
    """They go on. onResume: what becomes of planned dates that have passed; as each strategy says by default."""

    name: Literal["resume"]
    onResume: Literal["last", "all", "skip", "shift"] | None = None  # noqa: N815 - the wire's spelling


class CancelMany(Body):
    """They never run again."""

    name: Literal["cancel"]


class CancelTasksOfMany(Body):
    """Their unfinished events of these tasks are canceled; the rest goes on."""

    name: Literal["cancel-tasks"]
    tasks: Annotated[
        list[Annotated[str, StringConstraints(min_length=1, max_length=100)]],
        Field(min_length=1, max_length=MAX_TASKS),
    ]


class MigrateMany(Body):
    """Each goes on under this version of its own strategy."""

    name: Literal["migrate"]
    version: Annotated[int, Field(ge=1, le=99_999_999)]


def _by_what(selection: Any) -> str | None:  # noqa: ANN401 - any JSON value
    """By what a selection is made; None where it is by nothing that is known."""
    known = ("ids", "strategyId", "folder")
    return next((name for name in known if isinstance(selection, dict) and name in selection), None)


def _called(command: Any) -> str | None:  # noqa: ANN401 - any JSON value
    """What a command is called; None where it has no name."""
    name = command.get("name") if isinstance(command, dict) else None
    return name if isinstance(name, str) else None


Selected = Annotated[
    Annotated[SelectIds, Tag("ids")]
    | Annotated[SelectStrategy, Tag("strategyId")]
    | Annotated[SelectFolder, Tag("folder")],
    Discriminator(
        _by_what,
        custom_error_type="required",
        custom_error_message="must be an object with ids, strategyId or folder",
    ),
]

Commanded = Annotated[
    Annotated[PauseMany, Tag("pause")]
    | Annotated[ResumeMany, Tag("resume")]
    | Annotated[CancelMany, Tag("cancel")]
    | Annotated[CancelTasksOfMany, Tag("cancel-tasks")]
    | Annotated[MigrateMany, Tag("migrate")],
    Discriminator(
        _called,
        custom_error_type="which",
        custom_error_message="must be an object whose name is pause, resume, cancel, cancel-tasks or migrate",
    ),
]


class BeginOperation(Body):
    """One command to many instances. comment: why, for the audit trail; dryRun: only tell what would come of it."""

    selection: Selected
    command: Commanded
    comment: Comment | None = None
    dryRun: bool = False  # noqa: N815 - the wire's spelling


UNIONS = ("selection", "command")
"""The members of which pydantic's places name the branch that was taken, which is in no document."""
