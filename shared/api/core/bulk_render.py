"""The answers about bulk operations."""

from collections.abc import Sequence
from typing import assert_never, cast

from shared.api.core import answers
from shared.api.core.render import date_text
from shared.api.core.schemas import END_OF_CYCLE
from shared.api.http.shapes import omit_unset
from shared.application.bulk.start import DryRun
from shared.domain.bulk.operation import (
    BulkCommand,
    BulkOperation,
    ItemResult,
    MigrateTo,
    RescheduleNext,
    ResolveDoubt,
    RetryFailed,
    RunWaiting,
    SkipNext,
    name_of,
)
from shared.domain.bulk.selection import (
    Cursor,
    Filter,
    OfAny,
    OfAttribute,
    OfFolder,
    OfIds,
    OfPhases,
    OfReference,
    OfStrategy,
    Part,
    Selection,
)
from shared.domain.calendar.dates import format_instant
from shared.domain.instance.phase import PhaseRange
from shared.domain.instance.reason import StopReason
from shared.domain.lifecycle.commands import Cancel, CancelAt, CancelTasks, Dismiss, Pause, Resume, Update


@omit_unset
def bulk_shape(bulk: BulkOperation) -> answers.BulkOperationShape:
    """Return a bulk operation: its selection and command, its progress, and its results."""
    counts = bulk.counts
    return answers.BulkOperationShape(
        sid=bulk.sid,
        status=bulk.status,
        selection=_selection(bulk.selection),
        command=_command(bulk.command),
        comment=bulk.command.by.reason,
        minutesSpent=bulk.command.by.minutes_spent,
        ticket=bulk.command.by.ticket,
        options=list(bulk.command.by.options) or None,
        createdAt=format_instant(bulk.started_at),
        createdBy=bulk.command.by.name,
        updatedAt=format_instant(bulk.updated_at),
        finishedAt=date_text(bulk.finished_at),
        cursor=_cursor(bulk.cursor),
        counts={
            # Instances of the current batch are matched, but not done yet.
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


def dry_run_shape(preview: DryRun) -> answers.DryRunShape:
    """Return how many instances an operation would command, and the outcome for a sample of them."""
    return {"count": preview.count, "countIsExact": preview.is_exact, "sample": _results(preview.sample)}


def _results(results: Sequence[ItemResult]) -> list[answers.ResultShown]:
    return [_result(result) for result in results]


@omit_unset
def _result(result: ItemResult) -> answers.ResultShown:
    redated = result.redated or None
    return answers.ResultShown(sid=result.sid, outcome=result.outcome, why=result.why, redated=redated)


@omit_unset
def _selection(selection: Selection) -> answers.SelectionShown:
    match selection:
        case OfAny(parts=parts):
            return {"anyOf": [_part(part) for part in parts]}
        case OfPhases(ranges=ranges):
            return {"ranges": [_range(phase_range) for phase_range in ranges]}
        case OfReference(reference=reference):
            return {"reference": reference}
        case OfAttribute(name=name, text=text):
            return {"attribute": {name: text}}
        case OfIds() | OfStrategy() | OfFolder():
            return cast("answers.SelectionShown", _part(selection))
        case _:
            assert_never(selection)


@omit_unset
def _range(phase_range: PhaseRange) -> answers.PhaseRangeShown:
    reason = None
    if phase_range.cause is not None:
        reason = StopReason(cause=phase_range.cause, detail=phase_range.detail).text
    return answers.PhaseRangeShown(phase=phase_range.phase, reason=reason, strategySid=phase_range.strategy)


@omit_unset
def _part(part: OfIds | Part) -> answers.SelectionPart:
    match part:
        case OfIds(ids=ids):
            return {"numIds": len(ids)}
        case OfStrategy():
            place = answers.SelectionPart(strategySid=part.strategy, version=part.version)
        case OfFolder():
            place = answers.SelectionPart(folder=part.folder, flat=part.is_flat or None)
        case _:
            assert_never(part)
    return {
        **place,
        "filter": None if part.instance_filter is None else _filter(part.instance_filter),
        "statuses": list(part.statuses),
        "createdFrom": date_text(part.created_from),
        "createdTo": date_text(part.created_to),
    }


@omit_unset
def _filter(instance_filter: Filter) -> answers.PhaseFilter:
    return answers.PhaseFilter(
        phases=None if instance_filter.phases is None else list(instance_filter.phases),
        plannedFrom=date_text(instance_filter.planned_from),
        plannedUntil=date_text(instance_filter.planned_until),
        atRest=instance_filter.at_rest or None,
    )


@omit_unset
def _command(command: BulkCommand) -> answers.CommandShown:  # noqa: C901, PLR0912 - one arm a command
    shape = answers.CommandShown(name=name_of(command))
    match command:
        case Resume(on_late=on_late):
            shape["onResume"] = on_late
        case CancelTasks(tasks=tasks):
            shape["tasks"] = list(tasks)
        case MigrateTo(version=version):
            shape["version"] = version
        case Cancel(kill=kill, unless_begun=unless_begun):
            shape |= {"kill": kill or None, "unlessBegun": unless_begun or None}
        case CancelAt(at=at):
            shape["at"] = END_OF_CYCLE if at is None else format_instant(at)
        case Pause(kill=kill, sets_until=sets_until, until=until):
            removes = sets_until and until is None
            shape |= {"kill": kill or None, "until": date_text(until), "removesUntil": removes or None}
        case RunWaiting(what=what):
            shape["waiting"] = what
        case RetryFailed(from_step=from_step):
            shape["fromStep"] = from_step
        case ResolveDoubt(resolution=resolution):
            shape["decision"] = resolution
        case Update(attributes=attributes):
            # Whoever may read operations need not know the strategies' secrets, so the values are not shown.
            shape["attributeNames"] = sorted(attributes or {})
        case RescheduleNext(date=date, keep_anchor=keep_anchor):
            shape |= {"date": format_instant(date), "keepAnchor": keep_anchor}
        case SkipNext(cycles=cycles):
            shape["cycles"] = cycles
        case Dismiss():
            pass
        case _:
            assert_never(command)
    return shape


def _cursor(cursor: Cursor) -> str:
    """Return the position of the scan as text for people.

    It is the number of ids that are done, or else folder, name, date and sid. It is empty at the beginning.
    """
    if cursor.passed:
        return str(cursor.passed)
    position = (cursor.folder_name, cursor.order or date_text(cursor.created_at), cursor.sid)
    return " ".join(part for part in position if part)
