"""Add orders; each is one run of a workflow.

Source: docs/contracts/orders.md B.2 addOrder; docs/contracts/mapping.md D.5.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta, tzinfo

from msgspec import Struct
from msgspec.structs import replace

from shared.api.http.request import Request
from shared.api.http.route import Answer
from shared.api.orders.answers import AddedShape
from shared.api.orders.choosing import ADDED_HERE, order_id_of
from shared.api.orders.date_language import DateLanguageError, UnknownZoneError, local_instant, zone_of
from shared.api.orders.errors import (
    DATE_CODES,
    OVERLOADED,
    UNAVAILABLE,
    Code,
    ItemError,
    ItemsError,
    JocError,
)
from shared.api.orders.requests import actor_of
from shared.api.orders.schemas import AddOrder, AddOrders
from shared.api.orders.workflows import workflow_at
from shared.application.ports import ConnectionLostError, OverloadedError, all_readable
from shared.application.start import KeyReusedError, Repeatable, StartInstance, start_instance
from shared.domain.calendar.dates import format_instant
from shared.domain.calendar.instance_schedule import OwnSchedule
from shared.domain.errors import DateError, InvalidInputError, MoreProblems, Problem
from shared.domain.ids import numbered_order_sid, order_number
from shared.domain.instance.verdict import Actor
from shared.domain.strategy.model import StrategyHead

MAX_NAMES = 100
"""The number of ids that are tried for an order. Ids of one millisecond have two digits of their own."""

_AHEAD = re.compile(
    r"now *\+ *(?:(?P<seconds>[0-9]{1,9})|(?P<h>[0-9]{1,4}):(?P<m>[0-5][0-9])(?::(?P<s>[0-5][0-9]))?)"
)
_LOCAL = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?: +[0-9]{2}:[0-9]{2}(?::[0-9]{2})?)?")
_NOT_HERE: Mapping[str, str] = {
    **dict.fromkeys(("startPosition", "endPositions", "blockPosition"), "an order runs its whole workflow"),
    **dict.fromkeys(("forceJobAdmission", "priority"), "orders do not compete for jobs"),
    **dict.fromkeys(("planId", "openClosedPlan"), "orders belong to no plan"),
    "tags": "orders have no tags",
}
"""Fields of an order that would not act, with the reason; their defaults are accepted."""


class When(Struct, frozen=True, kw_only=True):
    """The date of an order, or None if it waits for ``continue``. ``day`` is the day in its id."""

    at: datetime | None
    day: str


def add_orders(request: Request, body: AddOrders) -> Answer[AddedShape]:
    """Add orders, each one run of a workflow with its own arguments. Valid orders are added even if others are refused.

    If the request is sent again with its Idempotency-Key, it adds the orders that do not exist yet.
    """
    by = actor_of(request, body.auditLog)
    # A start without an auditLog gets no entry of its own in the audit trail.
    actor = by if body.auditLog.model_fields_set else None
    again = request.repeatable()
    if again is not None:
        _check_used(request, again, len(body.orders))
    order_ids: list[str] = []
    bad: list[ItemError] = []
    # The answer lists all refused orders, so a bad one does not end the loop.
    for number, item in enumerate(body.orders):
        try:
            order_ids.append(_added(request, item, number, actor, again))
        except JocError as error:
            bad.append(ItemError(path=item.workflowPath, code=error.code, text=error.message))
        except InvalidInputError as error:
            text = "; ".join(map(_sentence, error.problems))
            bad.append(ItemError(path=item.workflowPath, code=Code.BAD_REQUEST, text=text))
        except (DateLanguageError, UnknownZoneError, DateError) as error:
            bad.append(ItemError(path=item.workflowPath, code=DATE_CODES[type(error)], text=str(error)))
        except OverloadedError:
            bad.append(ItemError(path=item.workflowPath, code=Code.OTHER, text=OVERLOADED))
        except ConnectionLostError:
            bad.append(ItemError(path=item.workflowPath, code=Code.OTHER, text=UNAVAILABLE))
    if bad:
        raise ItemsError(bad)
    return Answer(body={"deliveryDate": format_instant(request.now), "orderIds": order_ids})


def _check_used(request: Request, again: Repeatable, orders: int) -> None:
    """Check that the Idempotency-Key was not used with another request. Raises: JocError."""
    account = request.principal.account_id
    sids = [numbered_order_sid(account, order_number(account, again.key, place)) for place in range(orders)]
    known = all_readable(request.ports.instances.load_many(sids))
    if not all(again.has_hash(instance.origin.request_hash) for instance in known):
        raise JocError(Code.BAD_REQUEST, "the Idempotency-Key was used with another request")


def _added(
    request: Request, item: AddOrder, number: int, actor: Actor | None, again: Repeatable | None
) -> str:
    """Add an order and return its id. An order that an earlier sending of the request added is not added again.

    Raises: JocError; InvalidInputError; DateLanguageError; UnknownZoneError.
    """
    for name, why in _NOT_HERE.items():
        if getattr(item, name) != AddOrder.model_fields[name].default:
            raise JocError(Code.BAD_REQUEST, f"'{name}' is not supported: {why}")
    when = when_of(item.scheduledFor, item.timeZone, now=request.now)
    head = workflow_at(request.ports, request.principal.account_id, item.workflowPath)
    if head is None:
        raise JocError(Code.NO_WORKFLOW, f"workflow {item.workflowPath!r} does not exist")
    name = item.orderName or request.principal.name[:30]
    for named in _names(request, when, name, number, again):
        try:
            return _started(request, head, item, when, named, actor)
        except KeyReusedError:
            continue  # a concurrent request has added an order in the same millisecond
    raise OverloadedError(f"no free id for an order called {name}")


def _started(
    request: Request, head: StrategyHead, item: AddOrder, when: When, named: Repeatable, actor: Actor | None
) -> str:
    """Store the order and return its id. Raises: KeyReusedError: if another order has this id."""
    new = StartInstance(
        strategy_id=head.name,
        attributes=item.arguments,
        start_date=when.at,
        by=request.principal.name,
        repeatable=named,
        schedule=OwnSchedule(on_call=when.at is None),
        order_id=named.key,
        actor=actor,
    )
    strategy = request.ports.strategies.load(head.sid, head.version)
    return order_id_of(start_instance(request.ports, strategy, new).instance)


def when_of(text: str, zone: str | None, *, now: datetime) -> When:
    """Return the date of an order. A local date is in ``zone``, or in UTC if that is None.

    Raises: DateLanguageError; UnknownZoneError.
    """
    where = UTC if zone is None else zone_of(zone)
    today = _day(now, where)
    if text.lower() == "never":
        return When(at=None, day=today)
    if text == "now":
        return When(at=now, day=today)
    ahead = _AHEAD.fullmatch(text)
    if ahead is not None:
        parts = {name: int(ahead[name] or 0) for name in ("seconds", "h", "m", "s")}
        at = now + timedelta(hours=parts["h"], minutes=parts["m"], seconds=parts["s"] + parts["seconds"])
        return When(at=at, day=_day(at, where))
    if _LOCAL.fullmatch(text):
        try:
            at = local_instant(datetime.fromisoformat(" ".join(text.split())), where)
        except (ValueError, OverflowError, DateError) as error:
            raise DateLanguageError(f"{text!r} does not exist in the calendar") from error
        return When(at=at, day=_day(at, where))
    known = "now, now+SECONDS, now+HH:MM[:SS], never, or yyyy-mm-dd [HH:MM[:SS]]"
    raise DateLanguageError(f"scheduledFor must be {known}, not {text[:64]!r}")


def _names(
    request: Request, when: When, name: str, number: int, again: Repeatable | None
) -> Iterator[Repeatable]:
    """Yield the ids that an order may get, as the vendor makes them; under an Idempotency-Key there is one."""
    if again is not None:
        unique = order_number(request.principal.account_id, again.key, number)
        yield replace(again, key=_named(when, unique, name))
        return
    # The vendor's ids have the milliseconds and two digits of a counter, without the leading four digits.
    millis = round(request.now.timestamp() * 1000)
    for count in range(MAX_NAMES):
        unique = str(millis * 100 + (number + count) % 100)[4:]
        yield Repeatable(key=_named(when, unique, name), body_hash=request.ports.ids.token())


def _named(when: When, unique: str, name: str) -> str:
    return f"{ADDED_HERE}{when.day}#T{unique}-{name}"


def _day(at: datetime, zone: tzinfo) -> str:
    return at.astimezone(zone).date().isoformat()


def _sentence(problem: Problem) -> str:
    if isinstance(problem, MoreProblems):
        return problem.message
    return f"{_place(problem.pointer)}: {problem.message}"


def _place(pointer: str) -> str:
    """Return a place in a new instance as the dialect names it."""
    place = pointer.removeprefix("/").replace("attributes", "arguments", 1).replace("/", ".")
    return {"": "workflowPath", "startDate": "scheduledFor"}.get(place, place)
