"""Bulk operations in the core dialect's shapes. Unset optional fields are left out."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, assert_never

from shared.api.core.render import Shape
from shared.application.bulk.start import DryRun
from shared.domain.bulk.operation import (
    BulkCommand,
    BulkOperation,
    ItemResult,
    MigrateTo,
    RunWaiting,
    name_of,
)
from shared.domain.bulk.selection import Cursor, Filter, OfAny, OfFolder, OfIds, OfStrategy, Selection
from shared.domain.calendar.dates import format_instant
from shared.domain.lifecycle.commands import Cancel, CancelTasks, Pause, Resume


def bulk_shape(bulk: BulkOperation) -> Shape:
    """An operation: what it was asked for, how far it has come, what came of it."""
    counts = bulk.counts
    return _given(
        sid=bulk.sid,
        status=bulk.status.value,
        selection=_selection(bulk.selection),
        command=_command(bulk.command),
        comment=bulk.command.by.reason,
        minutesSpent=bulk.command.by.minutes_spent,
        ticket=bulk.command.by.ticket,
        options=list(bulk.command.by.options) or None,
        createdAt=format_instant(bulk.started_at),
        createdBy=bulk.command.by.name,
        updatedAt=format_instant(bulk.updated_at),
        finishedAt=_date(bulk.finished_at),
        cursor=_cursor(bulk.cursor),
        counts={
            "matched": counts.done + len(bulk.batch_sids),
            "done": counts.done,
            "changed": counts.changed,
            "alreadyThere": counts.already_there,
            "refused": counts.refused,
            "unknown": counts.unknown,
            "failed": counts.failed,
        },
        results=_results(bulk.results) or None,
        itemProblems=_results(bulk.problems),
        itemProblemsLeftOut=bulk.left_out,
    )


def dry_run_shape(found: DryRun) -> Shape:
    """What an operation would be for."""
    return {"count": found.count, "countIsExact": found.is_exact, "sample": _results(found.sample)}


def _results(results: Sequence[ItemResult]) -> list[Shape]:
    return [_given(sid=one.sid, outcome=one.outcome.value, why=one.why) for one in results]


def _selection(selection: Selection) -> Shape:
    match selection:
        case OfIds(ids=ids):
            return {"numIds": len(ids)}
        case OfStrategy():
            which = _given(strategySid=selection.strategy, version=selection.version)
        case OfFolder():
            which = _given(folder=selection.folder, flat=selection.is_flat or None)
        case OfAny(parts=parts):
            return {"anyOf": [_selection(part) for part in parts]}
        case _:
            assert_never(selection)
    instance_filter = selection.instance_filter
    return which | _given(
        filter=None if instance_filter is None else _filter(instance_filter),
        statuses=[status.value for status in selection.statuses],
        createdFrom=_date(selection.created_from),
        createdTo=_date(selection.created_to),
    )


def _filter(instance_filter: Filter) -> Shape:
    return _given(
        phases=None if instance_filter.phases is None else [phase.value for phase in instance_filter.phases],
        plannedFrom=_date(instance_filter.planned_from),
        plannedUntil=_date(instance_filter.planned_until),
        atRest=instance_filter.at_rest or None,
    )


def _command(command: BulkCommand) -> Shape:
    match command:
        case Resume(on_late=on_late):
            return _given(name=name_of(command), onResume=None if on_late is None else on_late.value)
        case CancelTasks(tasks=tasks):
            return {"name": name_of(command), "tasks": list(tasks)}
        case MigrateTo(version=version):
            return {"name": name_of(command), "version": version}
        case Cancel(kill=kill, unless_begun=unless_begun):
            return _given(name=name_of(command), kill=kill or None, unlessBegun=unless_begun or None)
        case Pause(kill=kill):
            return _given(name=name_of(command), kill=kill or None)
        case RunWaiting(what=what):
            return {"name": name_of(command), "waiting": what.value}
        case _:
            assert_never(command)


def _cursor(cursor: Cursor) -> str:
    """Where the walk has come to, for people: of ids how many, else folder, name, date and sid; empty at first."""
    if cursor.passed:
        return str(cursor.passed)
    told = (cursor.folder_name, _date(cursor.created_at), cursor.sid)
    return " ".join(part for part in told if part)


def _date(at: datetime | None) -> str | None:
    return None if at is None else format_instant(at)


def _given(**members: Any) -> Shape:  # noqa: ANN401 - JSON values
    """The members that are set."""
    return {name: value for name, value in members.items() if value is not None}
