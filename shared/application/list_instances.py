"""List pages of instances, youngest first. Source: docs/contracts/core.md section 4, row 23."""

from dataclasses import dataclass

from shared.application.ports import PageKey, Ports, Unreadable
from shared.domain.ids import AccountId, InstanceSid, StrategySid
from shared.domain.instance.model import Instance, InstanceStatus

MAX_SCANNED = 500
"""How many instances are scanned for one page that filters an account's instances by status."""

_Entry = tuple[PageKey, Instance | Unreadable[InstanceSid]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Instances, and the key after which the next page begins. ``after`` is None on the last page.

    ``unreadable`` are the instances that would be listed and cannot be read, whatever their status.
    """

    instances: tuple[Instance, ...]
    after: PageKey | None
    unreadable: tuple[Unreadable[InstanceSid], ...] = ()


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
    return _page(_loaded(ports, chosen, status), after)


def page_of_account(
    ports: Ports, account: AccountId, status: InstanceStatus | None, *, before: PageKey | None, limit: int
) -> Page:
    """Return instances of an account with ``status``, or with any if it is None.

    The index by account does not know the status. So a page for one status scans a limited number of instances: it
    may hold fewer than ``limit``, or none, and still not be the last.
    """
    found: list[_Entry] = []
    for _ in range(max(MAX_SCANNED // limit, 1)):
        page_keys = ports.instances.of_account(account, before=before, limit=limit + 1)
        some = _loaded(ports, page_keys[:limit], status)
        room = limit - len(found)
        found += some[:room]
        if len(some) > room:
            return _page(found, found[-1][0])
        if len(page_keys) <= limit:
            return _page(found, None)
        before = page_keys[limit - 1]
        if len(found) == limit:
            break
    return _page(found, before)


def _loaded(ports: Ports, page_keys: list[PageKey], status: InstanceStatus | None) -> list[_Entry]:
    """Return the listed instances as they are now, in the same order, if they still have that status.

    Those that cannot be read are among them.
    """
    found = ports.instances.load_many([_sid(key) for key in page_keys]) if page_keys else []
    known = {item.key if isinstance(item, Unreadable) else item.sid: item for item in found}
    entries = [(key, known[_sid(key)]) for key in page_keys if _sid(key) in known]
    return [
        (key, item)
        for key, item in entries
        if isinstance(item, Unreadable) or status is None or item.status is status
    ]


def _page(entries: list[_Entry], after: PageKey | None) -> Page:
    return Page(
        instances=tuple(item for _, item in entries if not isinstance(item, Unreadable)),
        after=after,
        unreadable=tuple(item for _, item in entries if isinstance(item, Unreadable)),
    )


def _sid(key: PageKey) -> InstanceSid:
    return InstanceSid(key.sid)
