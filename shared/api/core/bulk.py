"""Bulk operations: one command to many instances.

Source: docs/contracts/core.md section 5; docs/design.md section 8.
"""

from collections.abc import Iterable
from datetime import datetime
from http import HTTPStatus
from typing import Any, assert_never

from msgspec import Struct
from msgspec.structs import replace

from shared.api.core.answers import BulkAnswerShape, BulkOperationPageShape, BulkOperationShape
from shared.api.core.authorizer import Authorizer
from shared.api.core.bulk_render import bulk_shape, dry_run_shape
from shared.api.core.bulk_schemas import (
    UNIONS,
    BeginOperation,
    CancelMany,
    CancelTasksOfMany,
    DismissMany,
    MigrateMany,
    PauseMany,
    RescheduleMany,
    ResolveMany,
    ResumeMany,
    RetryMany,
    Selected,
    SelectFound,
    SelectIds,
    SkipMany,
    UpdateMany,
)
from shared.api.core.bulk_selection import selection_of
from shared.api.core.errors import bad_request
from shared.api.core.paging import Paging
from shared.api.core.schemas import MAX_STRATEGY_ID, PageQuery
from shared.api.http.models import read_as, read_json
from shared.api.http.request import Request
from shared.api.http.route import Answer
from shared.application.bulk.start import BulkRequest, begin_bulk, command_operation, dry_run
from shared.application.ports import PageKey, page_key_of, page_key_text
from shared.domain.bulk.operation import (
    BulkCommand,
    BulkOperation,
    BulkStatus,
    MigrateTo,
    OperationCommand,
    RescheduleNext,
    ResolveDoubt,
    RetryFailed,
    SkipNext,
)
from shared.domain.bulk.selection import (
    Selection,
)
from shared.domain.errors import Problem
from shared.domain.instance.event import Resolution
from shared.domain.instance.model import InstanceStatus
from shared.domain.instance.phase import Phase
from shared.domain.instance.verdict import Actor
from shared.domain.lifecycle.commands import Cancel, CancelAt, CancelTasks, Dismiss, Pause, Resume, Update
from shared.domain.lifecycle.pause_resume_cancel import date_problem
from shared.domain.strategy.model import OnResume


class Beginning(Struct, frozen=True, kw_only=True):
    """The body of a request for a bulk operation, with a selection that the caller may command."""

    body: BeginOperation
    selection: Selection


def post_bulk_operation(request: Request, body: Beginning) -> Answer[BulkAnswerShape]:
    """Command many instances: at once if there are few, else in the background.

    The selection names instances by ``ids``, or those of a strategy or of a folder. If ``dryRun``, nothing is stored.
    """
    sent, by = body.body, request.actor
    # The comment in the body takes precedence over the header; an empty one removes the reason.
    by = by if sent.comment is None else replace(by, reason=sent.comment or None)
    bulk_request = BulkRequest(
        account=request.principal.account_id,
        selection=body.selection,
        command=_command(sent, by, now=request.ports.clock.now()),
        repeatable=request.repeatable(),
    )
    if sent.dryRun:
        return Answer(body=dry_run_shape(dry_run(request.ports, bulk_request)))
    bulk = begin_bulk(request.ports, bulk_request)
    is_running = bulk.status is BulkStatus.ACTIVE
    return Answer(body=bulk_shape(bulk), status=HTTPStatus.ACCEPTED if is_running else HTTPStatus.OK)


def list_bulk_operations(request: Request, query: PageQuery) -> Answer[BulkOperationPageShape]:
    """List the account's bulk operations, youngest first."""
    paging = Paging(request, "bulk operations", query)
    account, before = request.principal.account_id, paging.before(page_key_of)
    found = request.ports.operations.of_account(account, before=before, limit=query.limit + 1)
    page = paging.page(
        found,
        shape=bulk_shape,
        key=lambda bulk: PageKey(created_at=bulk.started_at, sid=bulk.sid),
        text=page_key_text,
    )
    return Answer(body=page)


def get_bulk_operation(_: Request, bulk: BulkOperation) -> Answer[BulkOperationShape]:
    """Return a bulk operation and its progress."""
    return Answer(body=bulk_shape(bulk))


def pause_bulk_operation(request: Request, bulk: BulkOperation) -> Answer[BulkOperationShape]:
    """Pause a bulk operation. The current batch of instances may still be commanded."""
    return _command_operation(request, bulk, OperationCommand.PAUSE)


def resume_bulk_operation(request: Request, bulk: BulkOperation) -> Answer[BulkOperationShape]:
    """Resume a paused bulk operation from the instance after the last one it commanded."""
    return _command_operation(request, bulk, OperationCommand.RESUME)


def cancel_bulk_operation(request: Request, bulk: BulkOperation) -> Answer[BulkOperationShape]:
    """End a bulk operation. The current batch may still be commanded; instances that were changed stay changed."""
    return _command_operation(request, bulk, OperationCommand.CANCEL)


def _command_operation(
    request: Request, bulk: BulkOperation, command: OperationCommand
) -> Answer[BulkOperationShape]:
    return Answer(body=bulk_shape(command_operation(request.ports, bulk, command, by=request.actor)))


def read_beginning(request: Request, model: type[BeginOperation]) -> Beginning:
    """Return the body with its selection, or raise with every problem at once.

    Raises: CoreError: 404 or 403 for the strategy or the instances that are named first, then 400.
    """
    value = read_json(request)
    body, problems = read_as(model, value)
    problems = [_in_document(problem) for problem in problems]
    if body is not None:
        # Pydantic cannot compare two fields and report the place of one of them.
        problems += _range_problems(body)
        problems += _date_problems(body, now=request.ports.clock.now())
    if body is None or problems:
        # 404 and 403 come before 400, so that problems of the body reveal nothing to callers without the secret.
        name = _strategy_named(value)
        if name is not None:
            Authorizer(request).strategy_named(name)
        raise bad_request(problems)
    return Beginning(body=body, selection=selection_of(request, body.selection))


def _strategy_named(value: Any) -> str | None:  # noqa: ANN401 - any JSON value
    """Return the name of the strategy in a body that may be invalid, or None if it has no usable one."""
    selection = value.get("selection") if isinstance(value, dict) else None
    if not isinstance(selection, dict) or "ids" in selection:
        return None
    named = selection.get("strategyId")
    return named if isinstance(named, str) and 1 <= len(named) <= MAX_STRATEGY_ID else None


def _in_document(problem: Problem) -> Problem:
    """Return the problem with its pointer in the document: pydantic adds the branch of a union to it."""
    parts = problem.pointer.split("/")
    if len(parts) > 2 and parts[1] in UNIONS:  # noqa: PLR2004 - "", the member, the branch
        del parts[2]
    return replace(problem, pointer="/".join(parts))


def _range_problems(body: BeginOperation) -> Iterable[Problem]:
    selection = body.selection
    if isinstance(selection, SelectIds | SelectFound):
        return
    if selection.createdFrom is None or selection.createdTo is None:
        return
    if selection.createdTo < selection.createdFrom:
        message = "must not be before createdFrom"
        yield Problem(pointer="/selection/createdTo", rule="range", message=message)


def _date_problems(body: BeginOperation, *, now: datetime) -> Iterable[Problem]:
    """Yield the problem of a date at which the status of the instances is to change."""
    command = body.command
    dates = {
        "/command/until": command.until if isinstance(command, PauseMany) else None,
        "/command/at": command.at if isinstance(command, CancelMany) else None,
    }
    for pointer, at in dates.items():
        problem = date_problem(at, pointer, now=now) if isinstance(at, datetime) else None
        if problem is not None:
            yield problem


def _command(sent: BeginOperation, by: Actor, *, now: datetime) -> BulkCommand:  # noqa: C901 - one arm a command
    command: BulkCommand
    match sent.command:
        case PauseMany(until=until):
            sets_until = "until" in sent.command.model_fields_set
            command = Pause(by=by, sets_until=sets_until, until=until)
        case ResumeMany(onResume=on_resume):
            command = Resume(by=by, on_late=None if on_resume is None else OnResume(on_resume))
        case CancelMany(at=at):
            command = _cancel(at, by)
        case CancelTasksOfMany(tasks=tasks):
            command = CancelTasks(tasks=tuple(dict.fromkeys(tasks)), by=by)
        case MigrateMany(version=version):
            command = MigrateTo(version=version, by=by)
        case RetryMany(fromStep=from_step):
            command = RetryFailed(by=by, from_step=from_step, of_ended=_names_ended(sent.selection))
        case ResolveMany(decision=decision):
            command = ResolveDoubt(by=by, resolution=Resolution(decision))
        case UpdateMany(attributes=attributes):
            command = Update(by=by, attributes=attributes)
        case RescheduleMany(date=date, keepAnchor=keep_anchor):
            command = RescheduleNext(date=date, keep_anchor=keep_anchor, by=by)
        case SkipMany(cycles=cycles):
            command = SkipNext(cycles=cycles, by=by)
        case DismissMany():
            command = Dismiss(until=now, by=by)
        case _:
            assert_never(sent.command)
    return command


def _cancel(at: datetime | str | None, by: Actor) -> Cancel | CancelAt:
    if at is None:
        return Cancel(by=by)
    return CancelAt(by=by, at=at if isinstance(at, datetime) else None)


def _names_ended(selected: Selected) -> bool:
    """Return whether a selection names instances that have ended: by their ids, phase or status."""
    if isinstance(selected, SelectIds):
        return True
    if selected.phase is not None:
        return Phase(selected.phase).status.is_final
    statuses = None if isinstance(selected, SelectFound) else selected.statuses
    return any(InstanceStatus(status).is_final for status in statuses or ())
