"""The commands on orders that there are. Source: contracts/orders.md B.3 and B.4; contracts/mapping.md D.2 and D.4.

All of them are bulk operations: up to 25 orders are commanded by the request itself; more, or where none of the first
ones looked at is meant and there are more, by an operation behind it. ``ok`` says that the command was accepted.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto

from shared.api.http.request import Request
from shared.api.http.route import Answer
from shared.api.orders.answers import OkShape
from shared.api.orders.choosing import Criteria, chosen, order_id_of
from shared.api.orders.errors import Code, ItemError, ItemsError, JocError, dates
from shared.api.orders.requests import actor_of, options_of
from shared.api.orders.schemas import CancelOrders, ModifyOrders, ResumeOrders, SuspendOrders
from shared.api.orders.states import CONFIRMABLE, CONTINUABLE, RESUMABLE, SUSPENDIBLE
from shared.application.bulk.start import BulkRequest, begin_bulk
from shared.domain.bulk.operation import BulkCommand, BulkOperation, BulkStatus, ItemOutcome, RunWaiting
from shared.domain.errors import RitornelloError
from shared.domain.instance.phase import Waiting
from shared.domain.instance.verdict import Actor
from shared.domain.lifecycle.commands import Cancel, Pause, Resume

OPERATION_HEADER = "X-Operation-Sid"
"""Names the bulk operation that carries a command on: what it came to is told by the core dialect."""


class Verb(Enum):
    """What can be commanded; its value is said where no order is left for it, None: that is no error."""

    CANCEL = "No orders found."
    SUSPEND = "No suspendible orders found."
    RESUME = None
    CONTINUE = "No continuable orders found."
    CONFIRM = "No prompting orders found."


class Told(Enum):
    """What one order adds to the answer."""

    DONE = auto()
    """The command was accepted."""
    LEFT_OUT = auto()
    """It was not for this order; where that holds for all of them, none was found."""
    BROKEN = auto()
    """It could not be commanded though it should have been: an error of that item."""


_CANCEL = {
    ItemOutcome.CHANGED: Told.DONE,
    ItemOutcome.ALREADY_THERE: Told.DONE,
    ItemOutcome.REFUSED: Told.DONE,
}
_OTHERS = {
    ItemOutcome.CHANGED: Told.DONE,
    ItemOutcome.ALREADY_THERE: Told.LEFT_OUT,
    ItemOutcome.REFUSED: Told.LEFT_OUT,
}
_ALWAYS = {ItemOutcome.UNKNOWN: Told.LEFT_OUT, ItemOutcome.FAILED: Told.BROKEN}

VERDICTS: Mapping[tuple[Verb, ItemOutcome], Told] = {
    (verb, outcome): told
    for verb in Verb
    for outcome, told in ((_CANCEL if verb is Verb.CANCEL else _OTHERS) | _ALWAYS).items()
}
"""A cancel of what has ended, or of a started order that only a fresh one was meant of, changes nothing, with 200."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Commanded:
    """A command that was asked for, and of which orders."""

    verb: Verb
    body: ModifyOrders
    wanted: Criteria
    command: Callable[[Actor], BulkCommand]
    options: tuple[str, ...] = ()


def cancel_orders(request: Request, body: CancelOrders) -> Answer[OkShape]:
    """Cancel orders: at once where they are at rest, after the step in flight else; with ``kill`` not even that.

    ``orderType`` FreshOnly: only orders none of whose runs has ever begun. ``deep`` changes nothing: no order has
    children here.
    """
    fresh = body.orderType == "FreshOnly"
    options = options_of(body, "kill", "deep") + (("FreshOnly",) if fresh else ())
    return _answered(
        request,
        Commanded(
            verb=Verb.CANCEL,
            body=body,
            wanted=Criteria(),
            command=lambda by: Cancel(by=by, kill=body.kill, unless_begun=fresh),
            options=options,
        ),
    )


def suspend_orders(request: Request, body: SuspendOrders) -> Answer[OkShape]:
    """Suspend orders: nothing more of them starts until they are resumed."""
    if body.reset:
        raise JocError(
            Code.BAD_REQUEST, "'reset' is not supported: a suspended order goes on where it stopped"
        )
    return _answered(
        request,
        Commanded(
            verb=Verb.SUSPEND,
            body=body,
            wanted=Criteria(phases=SUSPENDIBLE),
            command=lambda by: Pause(by=by, kill=body.kill),
            options=options_of(body, "kill", "deep"),
        ),
    )


def resume_orders(request: Request, body: ResumeOrders) -> Answer[OkShape]:
    """Resume suspended and failed orders where they stopped. It is no error if there are none."""
    unsupported = ("fromCurrentBlock", "position", "variables", "cycleEndTime")
    asked = [name for name in unsupported if getattr(body, name)]
    if asked:
        raise JocError(Code.BAD_REQUEST, f"'{asked[0]}' is not supported: an order goes on where it stopped")
    return _answered(
        request,
        Commanded(
            verb=Verb.RESUME,
            body=body,
            wanted=Criteria(phases=RESUMABLE, at_rest=True),
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
    request: Request, body: ModifyOrders, verb: Verb, what: Waiting, wanted: Criteria
) -> Answer[OkShape]:
    return _answered(
        request,
        Commanded(verb=verb, body=body, wanted=wanted, command=lambda by: RunWaiting(what=what, by=by)),
    )


def _answered(request: Request, asked: Commanded) -> Answer[OkShape]:
    """``ok``, or that there is no such order: 420, JOC-161."""
    by = actor_of(request, asked.body.auditLog, *asked.options)
    selection = chosen(request, asked.body, asked.wanted)
    if selection is None:
        return _nothing(request, asked.verb)
    bulk = begin_bulk(
        request.ports,
        BulkRequest(
            account=request.principal.account_id,
            selection=selection,
            command=asked.command(by),
            unless_empty=True,
        ),
    )
    if bulk.status is not BulkStatus.COMPLETED:
        return _ok(request, bulk)
    told = {VERDICTS[asked.verb, result.outcome] for result in bulk.results}
    if Told.BROKEN in told:
        raise ItemsError(_broken(request, bulk))
    return _ok(request, bulk) if Told.DONE in told else _nothing(request, asked.verb)


def _ok(request: Request, bulk: BulkOperation | None = None) -> Answer[OkShape]:
    headers = {} if bulk is None else {OPERATION_HEADER: bulk.sid}
    return Answer(body={**dates(request.now), "ok": True}, headers=headers)


def _nothing(request: Request, verb: Verb) -> Answer[OkShape]:
    if verb.value is None:
        return _ok(request)
    raise JocError(Code.NOT_FOUND, verb.value)


def _broken(request: Request, bulk: BulkOperation) -> list[ItemError]:
    """The orders that could not be commanded, each with why."""
    bad = [result for result in bulk.results if result.outcome is ItemOutcome.FAILED]
    found: list[ItemError] = []
    for result in bad:
        try:
            instance = request.ports.instances.load(result.sid)
        except RitornelloError:
            instance = None
        path = result.sid if instance is None else order_id_of(instance)
        found.append(ItemError(path=path, code=Code.OTHER, text=result.why or "it could not be commanded"))
    return found
