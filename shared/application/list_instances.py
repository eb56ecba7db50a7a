"""List pages of instances, youngest first. Source: docs/contracts/core.md section 4, row 23."""

from dataclasses import dataclass

from shared.application.ports import PageKey, Ports
from shared.domain.ids import AccountId, InstanceSid, StrategySid
from shared.domain.instance.model import Instance, InstanceStatus

MAX_SCANNED = 500
"""How many instances are scanned for one page that filters an account's instances by status."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Instances, and the key after which the next page begins. ``after`` is None on the last page."""

    instances: tuple[Instance, ...]
    after: PageKey | None


def page_of_strategy(
    ports: Ports, strategy: StrategySid, status: InstanceStatus | None, *, before: PageKey | None, limit: int
) -> Page:
    """Return instances of one strategy with ``status``, or with any if it is None.

    An instance whose status has just changed is left out.
    """
    statuses = list(InstanceStatus) if status is None else [status]
    page_keys = ports.instances.of_strategy(strategy, statuses, before=before, limit=limit + 1)
    chosen = page_keys[:limit]
    after = chosen[-1] if len(page_keys) > limit else None
    return Page(instances=tuple(_loaded(ports, chosen, status)), after=after)


def page_of_account(
    ports: Ports, account: AccountId, status: InstanceStatus | None, *, before: PageKey | None, limit: int
) -> Page:
    """Return instances of an account with ``status``, or with any if it is None.

    The index by account does not know the status. So a page for one status scans a limited number of instances: it
    may hold fewer than ``limit``, or none, and still not be the last.
    """
    found: list[Instance] = []
    for _ in range(max(MAX_SCANNED // limit, 1)):
        page_keys = ports.instances.of_account(account, before=before, limit=limit + 1)
        some = _loaded(ports, page_keys[:limit], status)
        room = limit - len(found)
        found += some[:room]
        if len(some) > room:
            return Page(instances=tuple(found), after=_key_of(found[-1]))
        if len(page_keys) <= limit:
            return Page(instances=tuple(found), after=None)
        before = page_keys[limit - 1]
        if len(found) == limit:
            break
    return Page(instances=tuple(found), after=before)


def _loaded(ports: Ports, page_keys: list[PageKey], status: InstanceStatus | None) -> list[Instance]:
    """Return the listed instances as they are now, in the same order, if they still have that status."""
    if not page_keys:
        return []
    found = {
        instance.sid: instance for instance in ports.instances.load_many([_sid(key) for key in page_keys])
    }
    ordered = [found[_sid(key)] for key in page_keys if _sid(key) in found]
    return [instance for instance in ordered if status is None or instance.status is status]


def _sid(key: PageKey) -> InstanceSid:
    return InstanceSid(key.sid)


def _key_of(instance: Instance) -> PageKey:
    return PageKey(created_at=instance.created_at, sid=instance.sid)
