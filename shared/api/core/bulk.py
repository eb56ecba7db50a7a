"""The bulk operations: one command to many instances. Source: contracts/core.md section 5; design section 8."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import Any, assert_never

from shared.api.core.bulk_render import bulk_shape, dry_run_shape
from shared.api.core.bulk_schemas import (
    UNIONS,
    BeginOperation,
    CancelMany,
    CancelTasksOfMany,
    Commanded,
    MigrateMany,
    PauseMany,
    ResumeMany,
    SelectFolder,
    SelectIds,
    SelectStrategy,
)
from shared.api.core.call import Answer, Call
from shared.api.core.errors import CoreError, bad_request
from shared.api.core.paging import Paging
from shared.api.core.schemas import MAX_STRATEGY_ID, PageQuery
from shared.api.http.cursor import listed_of, listed_text
from shared.api.http.models import read_as
from shared.application.bulk.select import MOST_LOADED, readable
from shared.application.bulk.start import AskedOfMany, begin_bulk, dry_run, order
from shared.application.ports import Listed
from shared.domain.access import Role
from shared.domain.bulk.operation import BulkCommand, BulkStatus, MigrateTo, Order
from shared.domain.bulk.selection import OfFolder, OfIds, OfStrategy, Selection
from shared.domain.errors import Problem
from shared.domain.ids import InstanceSid, StrategySid
from shared.domain.instance.model import UNFINISHED, InstanceStatus
from shared.domain.instance.verdict import Actor
from shared.domain.lifecycle.commands import Cancel, CancelTasks, Pause, Resume
from shared.domain.strategy.model import OnResume


def post_bulk_operation(call: Call) -> Answer:
    """Command many instances: at once where they are few, else as an operation that goes on by itself.

    Instances are named by ``ids``, or those of a strategy, or of a folder. With ``dryRun`` nothing is stored.
    """
    body = _read(call)
    selection = _selection(call, body)
    by = call.actor if body.comment is None else replace(call.actor, reason=body.comment or None)
    asked = AskedOfMany(
        account=call.principal.account_id,
        selection=selection,
        command=_command(body.command, by),
        repeatable=call.repeatable,
    )
    if body.dryRun:
        return HTTPStatus.OK, dry_run_shape(dry_run(call.ports, asked))
    bulk = begin_bulk(call.ports, asked)
    goes_on = bulk.status is BulkStatus.ACTIVE
    return HTTPStatus.ACCEPTED if goes_on else HTTPStatus.OK, bulk_shape(bulk)


def list_bulk_operations(call: Call) -> Answer:
    """The account's bulk operations, youngest first."""
    asked = call.asked(PageQuery)
    paging = Paging(call, "bulk operations", asked)
    account, before = call.principal.account_id, paging.before(listed_of)
    found = call.ports.operations.of_account(account, before=before, limit=asked.limit + 1)
    places = [listed_text(Listed(created_at=bulk.started_at, sid=bulk.sid)) for bulk in found]
    return HTTPStatus.OK, paging.page([bulk_shape(bulk) for bulk in found], places)


def get_bulk_operation(call: Call, sid: str) -> Answer:
    """A bulk operation and how far it has come."""
    return HTTPStatus.OK, bulk_shape(call.gate.operation(call.principal, sid))


def pause_bulk_operation(call: Call, sid: str) -> Answer:
    """It stops: no more than the slice of instances in hand is still commanded."""
    return _ordered(call, sid, Order.PAUSE)


def resume_bulk_operation(call: Call, sid: str) -> Answer:
    """It goes on where it was paused."""
    return _ordered(call, sid, Order.RESUME)


def cancel_bulk_operation(call: Call, sid: str) -> Answer:
    """It ends: no more than the slice in hand is still commanded. What it has changed stays changed."""
    return _ordered(call, sid, Order.CANCEL)


def _ordered(call: Call, sid: str, told: Order) -> Answer:
    bulk = call.gate.operation(call.principal, sid)
    return HTTPStatus.OK, bulk_shape(order(call.ports, bulk, told, by=call.actor))


def _read(call: Call) -> BeginOperation:
    """The body; every problem at once: else 400.

    Who names a strategy that is not theirs, or whose secret they do not know, is told so first: 404 or 403.
    """
    value = call.json()
    body, problems = read_as(BeginOperation, value)
    problems = [_in_document(problem) for problem in problems]
    if body is not None:
        problems += _range_problems(body)
    if body is None or problems:
        named = _strategy_named(value)
        if named is not None:
            call.gate.strategy_named(call.principal, named)
        raise bad_request(problems)
    return body


def _strategy_named(value: Any) -> str | None:  # noqa: ANN401 - any JSON value
    """What a body names as its strategy, where that can be one."""
    selection = value.get("selection") if isinstance(value, dict) else None
    if not isinstance(selection, dict) or "ids" in selection:
        return None
    named = selection.get("strategyId")
    return named if isinstance(named, str) and 1 <= len(named) <= MAX_STRATEGY_ID else None


def _in_document(problem: Problem) -> Problem:
    """The problem at its place in what was sent: without the branch of a union."""
    parts = problem.pointer.split("/")
    if len(parts) > 2 and parts[1] in UNIONS:  # noqa: PLR2004 - "", the member, the branch
        del parts[2]
    return replace(problem, pointer="/".join(parts))


def _range_problems(body: BeginOperation) -> Iterable[Problem]:
    selection = body.selection
    if isinstance(selection, SelectIds) or selection.createdFrom is None or selection.createdTo is None:
        return
    if selection.createdTo < selection.createdFrom:
        message = "must not be before createdFrom"
        yield Problem(pointer="/selection/createdTo", rule="range", message=message)


def _selection(call: Call, body: BeginOperation) -> Selection:
    """What is selected, by somebody who may: else 404 or 403.

    One strategy: whoever knows its secret. Instances that are named: whoever knows the secrets of all of their
    strategies, or an administrator. A folder: an administrator.
    """
    is_admin = call.principal.role is Role.ADMIN
    match body.selection:
        case SelectIds(ids=ids):
            named = tuple(InstanceSid(sid) for sid in dict.fromkeys(ids))
            if not is_admin:
                _check_secrets(call, named)
            return OfIds(ids=named)
        case SelectFolder() as asked:
            if not is_admin:
                why = "a folder takes an administrator: its strategies have secrets of their own"
                raise CoreError(HTTPStatus.FORBIDDEN, why)
            return OfFolder(
                folder=asked.folder,
                statuses=_statuses(asked.statuses),
                created_from=asked.createdFrom,
                created_to=asked.createdTo,
            )
        case SelectStrategy() as asked:
            return OfStrategy(
                strategy=call.gate.strategy_named(call.principal, asked.strategyId).sid,
                version=asked.version,
                statuses=_statuses(asked.statuses),
                created_from=asked.createdFrom,
                created_to=asked.createdTo,
            )
        case _:
            assert_never(body.selection)


def _check_secrets(call: Call, named: Sequence[InstanceSid]) -> None:
    """Nothing, where the Strategy-Secret opens the strategies of all instances that are the account's: else 403."""
    opened: set[StrategySid] = set()
    for start in range(0, len(named), MOST_LOADED):
        found = readable(call.ports, named[start : start + MOST_LOADED]).values()
        for instance in found:
            if instance.account_id != call.principal.account_id or instance.strategy_sid in opened:
                continue
            if not call.gate.opens(instance):
                why = f"the header Strategy-Secret is not that of the strategy of {instance.sid}"
                raise CoreError(HTTPStatus.FORBIDDEN, why)
            opened.add(instance.strategy_sid)


def _statuses(asked: Sequence[str] | None) -> tuple[InstanceStatus, ...]:
    return UNFINISHED if asked is None else tuple(map(InstanceStatus, dict.fromkeys(asked)))


def _command(asked: Commanded, by: Actor) -> BulkCommand:
    match asked:
        case PauseMany():
            return Pause(by=by)
        case ResumeMany(onResume=on_resume):
            return Resume(by=by, on_late=None if on_resume is None else OnResume(on_resume))
        case CancelMany():
            return Cancel(by=by)
        case CancelTasksOfMany(tasks=tasks):
            return CancelTasks(tasks=tuple(dict.fromkeys(tasks)), by=by)
        case MigrateMany(version=version):
            return MigrateTo(version=version, by=by)
        case _:
            assert_never(asked)
