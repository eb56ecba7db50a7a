"""Read orders: one, many, or the number in each state. Source: docs/contracts/orders.md B.1 and B.2."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import cast

from shared.api.http.request import Request
from shared.api.http.route import Answer
from shared.api.http.unreadable import UnreadableItems
from shared.api.orders.answers import OrderItemShape, OrderShape, OrdersShape, SnapshotShape, StateCounts
from shared.api.orders.choosing import (
    is_scheduled_from,
    list_filter,
    live_until,
    named,
    order_id_of,
    placed,
)
from shared.api.orders.errors import Code, JocError, dates
from shared.api.orders.render import fitting, order_shape
from shared.api.orders.schemas import DEFAULT_LIMIT, GetOrder, OrdersFilter, SnapshotFilter
from shared.api.orders.states import LIVE, SHOWN, State
from shared.api.orders.workflows import Paths
from shared.application.bulk.select import SelectionScan, selected_instances
from shared.application.ports import UnknownStrategyError, Unreadable, all_readable
from shared.domain.bulk.selection import Filter
from shared.domain.errors import StoredShapeError
from shared.domain.ids import InstanceSid
from shared.domain.instance.model import Instance
from shared.domain.instance.phase import Phase, phase_of

MAX_SCANNED = 10_000
"""The maximum number of orders that are read for a list, and of live ones for a snapshot."""

MAX_TERMINATED = 1_000
"""The maximum number of terminated orders in a snapshot."""

TERMINATED = tuple(phase for phase in Phase if phase.is_over)

COUNTED: Mapping[State, str] = {
    State.PENDING: "pending",
    State.SCHEDULED: "scheduled",
    State.INPROGRESS: "inProgress",
    State.RUNNING: "running",
    State.PROMPTING: "prompting",
    State.SUSPENDED: "suspended",
    State.WAITING: "waiting",
    State.BLOCKED: "blocked",
    State.FAILED: "failed",
    State.CANCELLED: "terminated",
    State.FINISHED: "terminated",
}
"""The member of a snapshot by state."""


def get_order(request: Request, body: GetOrder) -> Answer[OrderShape]:
    """Return one order in any state."""
    found = named(request, [body.orderId])
    if not found:
        raise JocError(Code.NOT_FOUND, f"unknown order {body.orderId!r}")
    (order,) = all_readable(found)
    shape = order_shape(order, Paths(ports=request.ports), now=request.now, compact=body.compact)
    return Answer(body={**dates(request.now), **shape})


def get_orders(request: Request, body: OrdersFilter) -> Answer[OrdersShape]:
    """List live orders by id, workflow, folder, state and date, or terminated orders by state.

    At most 10,000 orders are read, and at most 4 MB are answered.
    """
    unreadable = UnreadableItems()
    if body.orderIds:
        # Ids select orders in any state, without the filters.
        orders = unreadable.skip_unreadable(named(request, body.orderIds))
        most = len(body.orderIds)
    else:
        orders = _found(request, body, unreadable)
        most = DEFAULT_LIMIT if body.limit < 0 else body.limit
    paths = Paths(ports=request.ports)
    shapes = (_readable_shape(request, order, paths, compact=body.compact) for order in orders)
    shown = list(fitting(unreadable.skip_unreadable(shapes), most=most))
    return Answer(body={**dates(request.now), "orders": shown}, headers=unreadable.headers())


def get_snapshot(request: Request, body: SnapshotFilter) -> Answer[SnapshotShape]:
    """Return the number of orders in each state. With ``dateTo``, orders scheduled from then on are left out.

    At most 10,000 live and 1,000 terminated orders are counted.
    """
    until = live_until(request, body.dateTo, body.timeZone)
    counts: Counter[str] = Counter()
    unreadable = UnreadableItems()
    for phases, most in ((LIVE, MAX_SCANNED), (TERMINATED, MAX_TERMINATED)):
        orders = _walked(request, body, Filter(phases=phases), unreadable, most=most)
        for instance in unreadable.skip_unreadable(orders):
            if not is_scheduled_from(instance, until, now=request.now):
                counts[COUNTED[SHOWN[phase_of(instance, now=request.now)].text]] += 1
    numbers = cast(StateCounts, {name: counts[name] for name in StateCounts.__annotations__})
    return Answer(body={**dates(request.now), "orders": numbers}, headers=unreadable.headers())


def _readable_shape(
    request: Request, order: Instance, paths: Paths, *, compact: bool
) -> OrderItemShape | Unreadable[str]:
    """Return an order, or its id if its workflow is missing or cannot be read."""
    try:
        return order_shape(order, paths, now=request.now, compact=compact)
    except (StoredShapeError, UnknownStrategyError) as error:
        return Unreadable(key=order_id_of(order), why=f"{type(error).__name__}: {error}")


def _found(request: Request, body: OrdersFilter, unreadable: UnreadableItems) -> Iterator[Instance]:
    instance_filter = list_filter(request, body)
    until = live_until(request, body.dateTo, body.timeZone)
    if instance_filter is None:
        return iter(())
    walked = _walked(request, body, instance_filter, unreadable, most=MAX_SCANNED)
    orders = unreadable.skip_unreadable(walked)
    return (order for order in orders if not is_scheduled_from(order, until, now=request.now))


def _walked(
    request: Request,
    body: OrdersFilter | SnapshotFilter,
    instance_filter: Filter,
    unreadable: UnreadableItems,
    *,
    most: int,
) -> Iterator[Instance | Unreadable[InstanceSid]]:
    selection = placed(request, body.workflowIds, body.folders, instance_filter, unreadable)
    if selection is None:
        return iter(())
    scan = SelectionScan(account=request.principal.account_id, selection=selection, begun_at=request.now)
    return selected_instances(request.ports, scan, most=most)
