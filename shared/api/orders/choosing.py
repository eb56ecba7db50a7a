"""Select the orders that a request means. Source: docs/contracts/orders.md B.3.

Ids take precedence over workflows, and workflows over folders. Without any of them, every order is meant.
"""

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct

from shared.api.http.request import Request
from shared.api.http.unreadable import UnreadableItems
from shared.api.orders.date_language import End, date_of
from shared.api.orders.errors import Code, JocError
from shared.api.orders.schemas import Folder, ModifyOrders, OrdersFilter, WorkflowId
from shared.api.orders.states import LIVE, State, phases_of
from shared.api.orders.workflows import version_number, workflow_at
from shared.application.bulk.select import MAX_LOADED
from shared.application.ports import Unreadable
from shared.domain.bulk.selection import Filter, OfFolder, OfStrategy, Part, Selection, combine_parts
from shared.domain.errors import StoredShapeError
from shared.domain.ids import AccountId, InstanceSid, order_sid
from shared.domain.instance.model import UNFINISHED, Instance, InstanceStatus
from shared.domain.instance.phase import Phase, phase_of, planned_date

ADDED_HERE = "#"
"""The prefix of the ids of orders that were added through this dialect."""


class Criteria(Struct, frozen=True, kw_only=True):
    """Conditions on the orders of a command.

    ``phases`` are the allowed phases; None allows every live one. If ``at_rest``, no step may be in flight.
    """

    phases: tuple[Phase, ...] | None = None
    at_rest: bool = False


def sid_of_order(account: AccountId, order_id: str) -> InstanceSid:
    """Return the sid of the instance with this order id."""
    return order_sid(account, order_id) if order_id.startswith(ADDED_HERE) else InstanceSid(order_id)


def order_id_of(instance: Instance) -> str:
    """Return the order id of an instance."""
    return instance.origin.order_id or instance.sid


def meant_by_id(
    request: Request, order_ids: Sequence[str], criteria: Criteria
) -> list[Instance | Unreadable[str]]:
    """Return the orders with these ids that meet the criteria, and those that cannot be read."""
    return [
        order
        for order in named(request, order_ids)
        if isinstance(order, Unreadable) or is_meant(request, order, criteria)
    ]


def meant_by_place(request: Request, body: ModifyOrders, criteria: Criteria) -> Selection | None:
    """Return the orders that a command without ids means, or None if there certainly are none.

    Raises: JocError: if the dates contradict each other, or nothing is named and that is not allowed.
    """
    if not (body.workflowIds or body.folders or request.deployment.joc_allow_unscoped):
        raise JocError(Code.BAD_REQUEST, "one of orderIds, workflowIds, folders required")
    instance_filter = filter_of(request, body, criteria)
    return (
        None if instance_filter is None else placed(request, body.workflowIds, body.folders, instance_filter)
    )


def named(request: Request, order_ids: Sequence[str]) -> list[Instance | Unreadable[str]]:
    """Return the orders with these ids that exist in the account, in the order of the ids, each once.

    The key of an order that cannot be read is its id.
    """
    account = request.principal.account_id
    id_of = {sid_of_order(account, order_id): order_id for order_id in order_ids}
    sids, found = list(id_of), dict[InstanceSid, Instance | Unreadable[str]]()
    # DynamoDB reads at most 100 items in one batch.
    for start in range(0, len(sids), MAX_LOADED):
        for item in request.ports.instances.load_many(sids[start : start + MAX_LOADED]):
            if isinstance(item, Unreadable):
                # One without an account is shown, because the caller knows its id already.
                if item.account_id in (None, account):
                    found[item.key] = Unreadable(key=id_of[item.key], why=item.why)
            elif item.account_id == account:
                found[item.sid] = item
    return [found[sid] for sid in sids if sid in found]


def filter_of(request: Request, body: ModifyOrders, criteria: Criteria) -> Filter | None:
    """Return the filter of a command's orders, or None if no order can pass it."""
    allowed = LIVE if criteria.phases is None else criteria.phases
    phases = _phases(body.states, allowed) if body.states else criteria.phases
    if phases == ():
        return None
    since = _date(request, body.dateFrom, body.timeZone, End.FROM)
    until = _date(request, body.dateTo, body.timeZone, End.UNTIL)
    if since is not None and until is not None and since > until:
        raise JocError(Code.BAD_REQUEST, "'dateFrom' must be older than 'dateTo'")
    return Filter(phases=phases, planned_from=since, planned_until=until, at_rest=criteria.at_rest)


def list_filter(request: Request, body: OrdersFilter) -> Filter | None:
    """Return the filter of a list of orders, or None if no order can pass it. ``dateTo`` is not part of it."""
    phases = phases_of(body.states) if body.states else LIVE
    if not phases:
        return None
    return Filter(phases=phases, planned_from=_date(request, body.dateFrom, body.timeZone, End.FROM))


def is_scheduled_from(instance: Instance, until: datetime | None, *, now: datetime) -> bool:
    """Return whether an order is SCHEDULED for an instant or later. ``dateTo`` of a list leaves out only these."""
    planned = planned_date(instance)
    is_later = until is not None and planned is not None and planned >= until
    return is_later and phase_of(instance, now=now) is Phase.AHEAD


def live_until(request: Request, text: str | None, zone: str | None) -> datetime | None:
    """Return the end of the dates of a list or a snapshot."""
    # Lists read an end as a beginning, unlike commands, and "0d" as "1d": up to the end of today (contract B.3).
    if text is not None and text.startswith("0d"):
        text = f"1d{text[2:]}"
    return _date(request, text, zone, End.FROM)


def is_meant(request: Request, instance: Instance, criteria: Criteria) -> bool:
    """Return whether an order meets the criteria of a command now."""
    if criteria.at_rest and instance.is_draining:
        return False
    return criteria.phases is None or phase_of(instance, now=request.now) in criteria.phases


def placed(
    request: Request,
    workflows: Sequence[WorkflowId],
    folders: Sequence[Folder],
    instance_filter: Filter,
    unreadable: UnreadableItems | None = None,
) -> Selection | None:
    """Return the orders in some workflows or folders that pass a filter, or None if no such place exists.

    Workflows that cannot be read go to ``unreadable``. Raises: StoredShapeError: there is one, and that is None.
    """
    account = request.principal.account_id
    statuses = statuses_of(instance_filter)
    parts: list[Part] = []
    if workflows:
        for workflow in workflows:
            try:
                head = workflow_at(request.ports, account, workflow.path)
            except StoredShapeError as error:
                if unreadable is None:
                    raise
                # Only the name is known to be stored: the rest of the path may be any text.
                unreadable.add([Unreadable(key=workflow.path.rpartition("/")[2], why=str(error))])
                continue
            version = version_number(workflow.version if workflow.versionId is None else workflow.versionId)
            if head is not None:
                parts.append(
                    OfStrategy(
                        strategy=head.sid,
                        version=version,
                        statuses=statuses,
                        instance_filter=_if_any(instance_filter),
                    )
                )
    else:
        for place in folders or [Folder(folder="/")]:
            folder = place.folder.rstrip("/") or "/"
            parts.append(
                OfFolder(
                    folder=folder,
                    is_flat=not place.recursive,
                    statuses=statuses,
                    instance_filter=_if_any(instance_filter),
                )
            )
    if not parts:
        return None
    # A union must not have the same instances twice, so places inside others are dropped.
    union = combine_parts(parts)
    return union.parts[0] if len(union.parts) == 1 else union


def statuses_of(instance_filter: Filter) -> tuple[InstanceStatus, ...]:
    """Return the statuses that instances in the filter's phases have."""
    if instance_filter.phases is None:
        return UNFINISHED
    return tuple(dict.fromkeys(phase.status for phase in instance_filter.phases))


def _if_any(instance_filter: Filter) -> Filter | None:
    return None if instance_filter == Filter() else instance_filter


def _phases(states: Sequence[State], allowed: Sequence[Phase]) -> tuple[Phase, ...]:
    return tuple(phase for phase in phases_of(list(states)) if phase in allowed)


def _date(request: Request, text: str | None, zone: str | None, end: End) -> datetime | None:
    return None if text is None else date_of(text, end=end, now=request.now, zone=zone)
