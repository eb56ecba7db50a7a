"""The commands on orders. Source: docs/contracts/orders.md B.3 and B.4; docs/contracts/mapping.md D.2 and D.4.

One order that is named by its id is decided in the request. All other commands are bulk operations: the request itself
commands up to 25 orders. If there are more, or if none of the first ones matches and there are more, an operation in
the background does. ``ok`` means that the command was accepted.
"""

from collections.abc import Callable, Mapping, Sequence
from enum import Enum, auto

from msgspec import Struct

from shared.api.http.request import Request
from shared.api.http.route import Answer
from shared.api.orders.answers import OkShape
from shared.api.orders.choosing import (
    Criteria,
    is_meant,
    meant_by_id,
    meant_by_place,
    order_id_of,
    sid_of_order,
)
from shared.api.orders.errors import Code, ItemError, ItemsError, JocError, dates
from shared.api.orders.requests import actor_of, options_of
from shared.api.orders.schemas import CancelOrders, ModifyOrders, ResumeOrders, SuspendOrders
from shared.api.orders.states import CONFIRMABLE, CONTINUABLE, RESUMABLE, SUSPENDIBLE
from shared.application.bulk.single import command_one
from shared.application.bulk.start import BulkRequest, begin_bulk
from shared.application.ports import Unreadable
from shared.domain.bulk.operation import (
    BulkCommand,
    BulkOperation,
    BulkStatus,
    ItemOutcome,
    ItemResult,
    RunWaiting,
)
from shared.domain.bulk.selection import OfIds, Selection
from shared.domain.errors import RitornelloError
from shared.domain.ids import InstanceSid
from shared.domain.instance.model import Instance
from shared.domain.instance.phase import Waiting
from shared.domain.instance.verdict import Actor
from shared.domain.lifecycle.commands import Cancel, Pause, Resume

OPERATION_HEADER = "X-Operation-Sid"
"""The header with the sid of the bulk operation, whose results the core dialect shows."""


class Verb(Enum):
    """The commands. The value is the error message if no order is left for the command; None if that is no error."""

    CANCEL = "No orders found."
    SUSPEND = "No suspendible orders found."
    RESUME = None
    CONTINUE = "No continuable orders found."
    CONFIRM = "No prompting orders found."


class ItemEffect(Enum):
    """The effect of one order's result on the answer."""

    DONE = auto()
    """The command was accepted."""
    LEFT_OUT = auto()
    """The command does not apply to this order. If it applies to none, the answer is the verb's error."""
    BROKEN = auto()
    """The order should have been commanded but could not be: an error of this item."""


# Cancelling an order that has ended changes nothing but is accepted. So is FreshOnly for an order that has started.
_CANCEL = {
    ItemOutcome.CHANGED: ItemEffect.DONE,
    ItemOutcome.ALREADY_THERE: ItemEffect.DONE,
    ItemOutcome.REFUSED: ItemEffect.DONE,
}
_OTHERS = {
    ItemOutcome.CHANGED: ItemEffect.DONE,
    ItemOutcome.ALREADY_THERE: ItemEffect.LEFT_OUT,
    ItemOutcome.REFUSED: ItemEffect.LEFT_OUT,
}
_ALWAYS = {ItemOutcome.UNKNOWN: ItemEffect.LEFT_OUT, ItemOutcome.FAILED: ItemEffect.BROKEN}

VERDICTS: Mapping[tuple[Verb, ItemOutcome], ItemEffect] = {
    (verb, outcome): effect
    for verb in Verb
    for outcome, effect in ((_CANCEL if verb is Verb.CANCEL else _OTHERS) | _ALWAYS).items()
}
"""The effect of each outcome of each command."""


class OrdersCommand(Struct, frozen=True, kw_only=True):
    """A command with the orders it is for. ``options`` go to the audit trail."""

    verb: Verb
    body: ModifyOrders
    criteria: Criteria
    command: Callable[[Actor], BulkCommand]
    options: tuple[str, ...] = ()


def cancel_orders(request: Request, body: CancelOrders) -> Answer[OkShape]:
    """Cancel orders: after the step in flight if there is one, else at once; with ``kill`` at once in any case.

    If ``orderType`` is FreshOnly, only orders are cancelled of which no run has begun. ``deep`` changes nothing,
    because orders have no children.
    """
    fresh = body.orderType == "FreshOnly"
    options = options_of(body, "kill", "deep") + (("FreshOnly",) if fresh else ())
    return _execute(
        request,
        OrdersCommand(
            verb=Verb.CANCEL,
            body=body,
            criteria=Criteria(),
            command=lambda by: Cancel(by=by, kill=body.kill, unless_begun=fresh),
            options=options,
        ),
    )


def suspend_orders(request: Request, body: SuspendOrders) -> Answer[OkShape]:
    """Suspend orders: no steps of them start until they are resumed."""
    if body.orderType == "FreshOnly":
        raise JocError(Code.BAD_REQUEST, "'orderType' FreshOnly is not supported here: only cancel has it")
    if body.reset:
        raise JocError(
            Code.BAD_REQUEST, "'reset' is not supported: a resumed order continues from its last step"
        )
    return _execute(
        request,
        OrdersCommand(
            verb=Verb.SUSPEND,
            body=body,
            criteria=Criteria(phases=SUSPENDIBLE),
            command=lambda by: Pause(by=by, kill=body.kill),
            options=options_of(body, "kill", "deep"),
        ),
    )


def resume_orders(request: Request, body: ResumeOrders) -> Answer[OkShape]:
    """Resume suspended and failed orders from their last step. It is no error if there are none."""
    unsupported = ("fromCurrentBlock", "position", "variables", "cycleEndTime")
    used = [name for name in unsupported if getattr(body, name)]
    if used:
        text = f"'{used[0]}' is not supported: a resumed order continues from its last step"
        raise JocError(Code.BAD_REQUEST, text)
    return _execute(
        request,
        OrdersCommand(
            verb=Verb.RESUME,
            body=body,
            criteria=Criteria(phases=RESUMABLE, at_rest=True),
            command=lambda by: Resume(by=by),
            options=options_of(body, "force"),
        ),
    )


def continue_orders(request: Request, body: ModifyOrders) -> Answer[OkShape]:
    """Run orders now that wait for their date, their next attempt, the end of a delay, or for this call."""
    return _run_now(request, body, Verb.CONTINUE, Waiting.FOR_DATE, Criteria(phases=CONTINUABLE))


def confirm_orders(request: Request, body: ModifyOrders) -> Answer[OkShape]:
    """Continue orders that wait for a confirmation."""
    return _run_now(request, body, Verb.CONFIRM, Waiting.FOR_OPERATOR, Criteria(phases=CONFIRMABLE))


def _run_now(
    request: Request, body: ModifyOrders, verb: Verb, what: Waiting, criteria: Criteria
) -> Answer[OkShape]:
    command = OrdersCommand(
        verb=verb, body=body, criteria=criteria, command=lambda by: RunWaiting(what=what, by=by)
    )
    return _execute(request, command)


def _execute(request: Request, command: OrdersCommand) -> Answer[OkShape]:
    """Command the orders and return ``ok``. Raises: JocError (420, JOC-161): if there are none; ItemsError."""
    by = actor_of(request, command.body.auditLog, *command.options)
    if command.body.orderIds:
        orders = meant_by_id(request, command.body.orderIds, command.criteria)
        if len(orders) == 1:
            return _judged(request, command.verb, [_command_one(request, command, orders[0], by)])
        # An order that cannot be read is a failed item of the operation.
        sids = tuple(_sid_of(request, order) for order in orders)
        selection: Selection | None = OfIds(ids=sids) if orders else None
    else:
        selection = meant_by_place(request, command.body, command.criteria)
    if selection is None:
        return _none_left(request, command.verb)
    bulk = begin_bulk(
        request.ports,
        BulkRequest(
            account=request.principal.account_id,
            selection=selection,
            command=command.command(by),
            unless_empty=True,
        ),
    )
    # An operation in the background has no results yet, so its errors cannot be answered.
    if bulk.status is not BulkStatus.COMPLETED:
        return _ok(request, bulk)
    return _judged(request, command.verb, bulk.results, bulk)


def _sid_of(request: Request, order: Instance | Unreadable[str]) -> InstanceSid:
    return (
        sid_of_order(request.principal.account_id, order.key) if isinstance(order, Unreadable) else order.sid
    )


def _command_one(
    request: Request, command: OrdersCommand, order: Instance | Unreadable[str], by: Actor
) -> ItemResult:
    if isinstance(order, Unreadable):
        return ItemResult(sid=_sid_of(request, order), outcome=ItemOutcome.FAILED, why=order.why)

    def is_still_meant(instance: Instance) -> bool:
        return is_meant(request, instance, command.criteria)

    return command_one(request.ports, order, command.command(by), is_meant=is_still_meant)


def _judged(
    request: Request, verb: Verb, results: Sequence[ItemResult], bulk: BulkOperation | None = None
) -> Answer[OkShape]:
    """Return the answer for the results of all orders. Raises: JocError; ItemsError."""
    effects = {VERDICTS[verb, result.outcome] for result in results}
    if ItemEffect.BROKEN in effects:
        raise ItemsError(_broken(request, results))
    return _ok(request, bulk) if ItemEffect.DONE in effects else _none_left(request, verb)


def _ok(request: Request, bulk: BulkOperation | None = None) -> Answer[OkShape]:
    headers = {} if bulk is None else {OPERATION_HEADER: bulk.sid}
    return Answer(body={**dates(request.now), "ok": True}, headers=headers)


def _none_left(request: Request, verb: Verb) -> Answer[OkShape]:
    if verb.value is None:
        return _ok(request)
    raise JocError(Code.NOT_FOUND, verb.value)


def _broken(request: Request, results: Sequence[ItemResult]) -> list[ItemError]:
    """Return an error for each order that could not be commanded."""
    bad = [result for result in results if result.outcome is ItemOutcome.FAILED]
    found: list[ItemError] = []
    for result in bad:
        try:
            instance = request.ports.instances.load(result.sid)
        except RitornelloError:
            instance = None
        path = result.sid if instance is None else order_id_of(instance)
        found.append(ItemError(path=path, code=Code.OTHER, text=result.why or "it could not be commanded"))
    return found
