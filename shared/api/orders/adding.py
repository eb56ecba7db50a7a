"""Adding orders: each is one run of a workflow. Source: contracts/orders.md B.2 addOrder; contracts/mapping.md D.5."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, tzinfo

from shared.api.http.request import Request
from shared.api.http.route import Answer
from shared.api.orders.answers import AddedShape
from shared.api.orders.choosing import ADDED_HERE, order_id_of
from shared.api.orders.date_language import DateLanguageError, UnknownZoneError, local_instant, zone_of
from shared.api.orders.errors import DATE_CODES, OVERLOADED, Code, ItemError, ItemsError, JocError
from shared.api.orders.requests import actor_of
from shared.api.orders.schemas import AddOrder, AddOrders
from shared.api.orders.workflows import workflow_at
from shared.application.ports import OverloadedError
from shared.application.start import KeyReusedError, Repeatable, StartInstance, start_instance
from shared.domain.calendar.dates import format_instant
from shared.domain.calendar.instance_schedule import OwnSchedule
from shared.domain.errors import DateError, InvalidInputError
from shared.domain.ids import numbered_order_sid, order_number
from shared.domain.instance.verdict import Actor
from shared.domain.strategy.model import StrategyHead

MAX_NAMES = 100
"""So many names are tried for an order: there are no more of one millisecond."""

_AHEAD = re.compile(
    r"now *\+ *(?:(?P<seconds>[0-9]{1,9})|(?P<h>[0-9]{1,4}):(?P<m>[0-5][0-9])(?::(?P<s>[0-5][0-9]))?)"
)
_LOCAL = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} +[0-9]{2}:[0-9]{2}(?::[0-9]{2})?")
_NOT_HERE = ("startPosition", "endPositions", "blockPosition")


@dataclass(frozen=True, slots=True, kw_only=True)
class When:
    """When an order is to run: at a date, or (None) when somebody continues it. day: the one its id names."""

    at: datetime | None
    day: str


def add_orders(request: Request, body: AddOrders) -> Answer[AddedShape]:
    """Add orders, each one run of a workflow with arguments of its own. Bad ones do not keep the others from it.

    Sent again under its Idempotency-Key, it adds those that are not there yet.
    """
    by = actor_of(request, body.auditLog)
    actor = by if body.auditLog.model_fields_set else None
    again = request.repeatable()
    if again is not None:
        _check_used(request, again, len(body.orders))
    order_ids: list[str] = []
    bad: list[ItemError] = []
    for number, item in enumerate(body.orders):
        try:
            order_ids.append(_added(request, item, number, actor, again))
        except JocError as error:
            bad.append(ItemError(path=item.workflowPath, code=error.code, text=error.message))
        except InvalidInputError as error:
            text = "; ".join(f"{_place(p.pointer)}: {p.message}" for p in error.problems)
            bad.append(ItemError(path=item.workflowPath, code=Code.BAD_REQUEST, text=text))
        except (DateLanguageError, UnknownZoneError, DateError) as error:
            bad.append(ItemError(path=item.workflowPath, code=DATE_CODES[type(error)], text=str(error)))
        except OverloadedError:
            bad.append(ItemError(path=item.workflowPath, code=Code.OTHER, text=OVERLOADED))
    if bad:
        raise ItemsError(bad)
    return Answer(body={"deliveryDate": format_instant(request.now), "orderIds": order_ids})


def _check_used(request: Request, again: Repeatable, orders: int) -> None:
    """Raises: JocError: it was another request that had the key before."""
    account = request.principal.account_id
    sids = [numbered_order_sid(account, order_number(account, again.key, place)) for place in range(orders)]
    if any(known.origin.request_hash != again.body_hash for known in request.ports.instances.load_many(sids)):
        raise JocError(Code.BAD_REQUEST, "the Idempotency-Key was used with another request")


def _added(
    request: Request, item: AddOrder, number: int, actor: Actor | None, again: Repeatable | None
) -> str:
    """The id of an order, new or of the request's first sending.

    Raises: JocError; InvalidInputError; DateLanguageError; UnknownZoneError.
    """
    given = [name for name in _NOT_HERE if getattr(item, name) is not None]
    if given:
        text = f"'{given[0]}' is not supported: an order runs the whole of its workflow"
        raise JocError(Code.BAD_REQUEST, text)
    when = when_of(item.scheduledFor, item.timeZone, now=request.now)
    head = workflow_at(request.ports, request.principal.account_id, item.workflowPath)
    if head is None:
        raise JocError(Code.NO_WORKFLOW, f"workflow {item.workflowPath!r} does not exist")
    name = item.orderName or request.principal.key_id[:30]
    for named in _names(request, when, name, number, again):
        try:
            return _started(request, head, item, when, named, actor)
        except KeyReusedError:
            continue  # somebody else has added an order in this very millisecond
    raise OverloadedError(f"no name left for an order called {name}")


def _started(
    request: Request, head: StrategyHead, item: AddOrder, when: When, named: Repeatable, actor: Actor | None
) -> str:
    """The id of the order, which is stored. Raises: KeyReusedError: another one is called so."""
    asked = StartInstance(
        strategy_id=head.name,
        attributes=item.arguments,
        start_date=when.at,
        by=request.principal.key_id,
        repeatable=named,
        schedule=OwnSchedule(on_call=when.at is None),
        order_id=named.key,
        actor=actor,
    )
    strategy = request.ports.strategies.load(head.sid, head.version)
    return order_id_of(start_instance(request.ports, strategy, asked).instance)


def when_of(text: str, zone: str | None, *, now: datetime) -> When:
    """When an order is to run. zone: of a written date; None for UTC.

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
            raise DateLanguageError(f"{text!r} is no date of a calendar") from error
        return When(at=at, day=_day(at, where))
    told = "now, now+SECONDS, now+HH:MM[:SS], never, or yyyy-mm-dd HH:MM[:SS]"
    raise DateLanguageError(f"scheduledFor: {text[:64]!r} is none of {told}")


def _names(
    request: Request, when: When, name: str, number: int, again: Repeatable | None
) -> Iterator[Repeatable]:
    """The ids an order may have: as the vendor makes them, from a count of its own on; the only one under a key."""
    if again is not None:
        unique = order_number(request.principal.account_id, again.key, number)
        yield replace(again, key=_named(when, unique, name))
        return
    millis = round(request.now.timestamp() * 1000)
    for count in range(MAX_NAMES):
        unique = str(millis * 100 + (number + count) % 100)[4:]
        yield Repeatable(key=_named(when, unique, name), body_hash=request.ports.ids.token())


def _named(when: When, unique: str, name: str) -> str:
    return f"{ADDED_HERE}{when.day}#T{unique}-{name}"


def _day(at: datetime, zone: tzinfo) -> str:
    return at.astimezone(zone).date().isoformat()


def _place(pointer: str) -> str:
    """A place in a new instance as the dialect calls it."""
    place = pointer.removeprefix("/").replace("attributes", "arguments", 1).replace("/", ".")
    return {"": "workflowPath", "startDate": "scheduledFor"}.get(place, place)
