"""Pages of instances, youngest first. Source: contracts/core.md section 4, row 23."""

from dataclasses import dataclass

from shared.application.ports import PageKey, Ports
from shared.domain.ids import AccountId, InstanceSid, StrategySid
from shared.domain.instance.model import Instance, InstanceStatus

MAX_SCANNED = 500
"""So many instances are looked at for one page that asks for a status of any strategy's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some instances, and the place behind which the next page begins; None on the last."""

    instances: tuple[Instance, ...]
    after: PageKey | None


def page_of_strategy(
    ports: Ports, strategy: StrategySid, status: InstanceStatus | None, *, before: PageKey | None, limit: int
) -> Page:
    """Instances of one strategy, of one status or any; those that have just moved on are left out."""
    statuses = list(InstanceStatus) if status is None else [status]
    page_keys = ports.instances.of_strategy(strategy, statuses, before=before, limit=limit + 1)
    chosen = page_keys[:limit]
    after = chosen[-1] if len(page_keys) > limit else None
    return Page(instances=tuple(_loaded(ports, chosen, status)), after=after)


def page_of_account(
    ports: Ports, account: AccountId, status: InstanceStatus | None, *, before: PageKey | None, limit: int
) -> Page:
    """Instances of an account, of one status or any.

    The index by account knows no status: under one, a page may hold fewer than asked for, or none, and still
    not be the last, since only so many are looked at for it.
    """
    found: list[Instance] = []
    for _ in range(max(MAX_SCANNED // limit, 1)):
        page_keys = ports.instances.of_account(account, before=before, limit=limit + 1)
        some = _loaded(ports, page_keys[:limit], status)
        room = limit - len(found)
        found += some[:room]
        if len(some) > room:
            return Page(instances=tuple(found), after=_place(found[-1]))
        if len(page_keys) <= limit:
            return Page(instances=tuple(found), after=None)
        before = page_keys[limit - 1]
        if len(found) == limit:
            break
    return Page(instances=tuple(found), after=before)


def _loaded(ports: Ports, page_keys: list[PageKey], status: InstanceStatus | None) -> list[Instance]:
    """The listed instances as they are now, in their order, of that status now."""
    if not page_keys:
        return []
    found = {
        instance.sid: instance for instance in ports.instances.load_many([_sid(one) for one in page_keys])
    }
    ordered = [found[_sid(one)] for one in page_keys if _sid(one) in found]
    return [instance for instance in ordered if status is None or instance.status is status]


def _sid(page_keys: PageKey) -> InstanceSid:
    return InstanceSid(page_keys.sid)


def _place(instance: Instance) -> PageKey:
    return PageKey(created_at=instance.created_at, sid=instance.sid)
