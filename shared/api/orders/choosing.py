"""Which orders a request means. Source: contracts/orders.md B.3.

Ids beat workflows, workflows beat folders, and those beat nothing at all, which is every order of the controller.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from shared.api.http.request import Request
from shared.api.orders.date_language import End, date_of
from shared.api.orders.errors import Code, JocError
from shared.api.orders.schemas import DatedOrders, Folder, ModifyOrders, OrdersFilter, WorkflowId
from shared.api.orders.states import LIVE, State, phases_of
from shared.api.orders.workflows import version_number, workflow_at
from shared.application.bulk.select import MAX_LOADED, load_readable
from shared.domain.bulk.selection import Filter, OfFolder, OfIds, OfStrategy, Part, Selection, combine_parts
from shared.domain.ids import AccountId, InstanceSid, order_sid
from shared.domain.instance.model import UNFINISHED, Instance, InstanceStatus
from shared.domain.instance.phase import Phase, phase_of

ADDED_HERE = "#"
"""What the ids of orders begin with that were added through this dialect."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Criteria:
    """What else is asked of orders.

    phases: where they may stand; None: anywhere that is live. at_rest: nothing of them may be in flight.
    """

    phases: tuple[Phase, ...] | None = None
    at_rest: bool = False


def sid_of_order(account: AccountId, order_id: str) -> InstanceSid:
    """The sid of the instance an account calls so."""
    return order_sid(account, order_id) if order_id.startswith(ADDED_HERE) else InstanceSid(order_id)


def order_id_of(instance: Instance) -> str:
    """What an instance is called among orders."""
    return instance.origin.order_id or instance.sid


def chosen(request: Request, body: ModifyOrders, wanted: Criteria) -> Selection | None:
    """The orders a command means; None where there is certainly none.

    Raises: JocError: the dates contradict each other, or nothing is named where that is not allowed.
    """
    if body.orderIds:
        found = [
            instance.sid
            for instance in named(request, body.orderIds)
            if _is_wanted(request, instance, wanted)
        ]
        return OfIds(ids=tuple(found)) if found else None
    if not (body.workflowIds or body.folders or request.deployment.joc_allow_unscoped):
        raise JocError(Code.BAD_REQUEST, "one of orderIds, workflowIds, folders required")
    instance_filter = filter_of(request, body, wanted)
    return (
        None if instance_filter is None else placed(request, body.workflowIds, body.folders, instance_filter)
    )


def named(request: Request, order_ids: Sequence[str]) -> list[Instance]:
    """Those of these orders that there are, in this order, each once."""
    account = request.principal.account_id
    sids = list(dict.fromkeys(sid_of_order(account, order_id) for order_id in order_ids))
    found: dict[InstanceSid, Instance] = {}
    for start in range(0, len(sids), MAX_LOADED):
        found |= load_readable(request.ports, sids[start : start + MAX_LOADED])
    return [found[sid] for sid in sids if sid in found and found[sid].account_id == account]


def filter_of(request: Request, body: ModifyOrders, wanted: Criteria) -> Filter | None:
    """What a command's orders are to be like; None where no order can be."""
    allowed = LIVE if wanted.phases is None else wanted.phases
    phases = _asked(body.states, allowed) if body.states else wanted.phases
    if phases == ():
        return None
    if not isinstance(body, DatedOrders):
        return Filter(phases=phases, at_rest=wanted.at_rest)
    since = _date(request, body.dateFrom, body.timeZone, End.FROM)
    until = _date(request, body.dateTo, body.timeZone, End.UNTIL)
    if since is not None and until is not None and since > until:
        raise JocError(Code.BAD_REQUEST, "'dateFrom' must be older than 'dateTo'")
    return Filter(phases=phases, planned_from=since, planned_until=until, at_rest=wanted.at_rest)


def list_filter(request: Request, body: OrdersFilter) -> Filter | None:
    """What orders of a list are to be like: an end date is taken as a beginning is, and ``0d`` as ``1d``."""
    phases = phases_of(body.states) if body.states else LIVE
    if not phases:
        return None
    since = _date(request, body.dateFrom, body.timeZone, End.FROM)
    until = live_until(request, body.dateTo, body.timeZone)
    return Filter(phases=phases, planned_from=since, planned_until=until)


def live_until(request: Request, text: str | None, zone: str | None) -> datetime | None:
    """An end date of a list or a snapshot."""
    if text is not None and text.startswith("0d"):
        text = f"1d{text[2:]}"
    return _date(request, text, zone, End.FROM)


def placed(
    request: Request, workflows: Sequence[WorkflowId], folders: Sequence[Folder], instance_filter: Filter
) -> Selection | None:
    """The orders of some places that pass a sieve; None where there is no such place."""
    account = request.principal.account_id
    statuses = statuses_of(instance_filter)
    parts: list[Part] = []
    if workflows:
        for one in workflows:
            head = workflow_at(request.ports, account, one.path)
            version = version_number(one.version if one.versionId is None else one.versionId)
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
        for of in folders or [Folder(folder="/")]:
            folder = of.folder.rstrip("/") or "/"
            parts.append(
                OfFolder(
                    folder=folder,
                    is_flat=not of.recursive,
                    statuses=statuses,
                    instance_filter=_if_any(instance_filter),
                )
            )
    if not parts:
        return None
    found = combine_parts(parts)
    return found.parts[0] if len(found.parts) == 1 else found


def statuses_of(instance_filter: Filter) -> tuple[InstanceStatus, ...]:
    """The statuses that what passes a sieve can have."""
    if instance_filter.phases is None:
        return UNFINISHED
    return tuple(dict.fromkeys(phase.status for phase in instance_filter.phases))


def _if_any(instance_filter: Filter) -> Filter | None:
    return None if instance_filter == Filter() else instance_filter


def _asked(states: Sequence[State], allowed: Sequence[Phase]) -> tuple[Phase, ...]:
    return tuple(phase for phase in phases_of(list(states)) if phase in allowed)


def _is_wanted(request: Request, instance: Instance, wanted: Criteria) -> bool:
    if wanted.at_rest and instance.is_draining:
        return False
    return wanted.phases is None or phase_of(instance, now=request.now) in wanted.phases


def _date(request: Request, text: str | None, zone: str | None, end: End) -> datetime | None:
    return None if text is None else date_of(text, end=end, now=request.now, zone=zone)
