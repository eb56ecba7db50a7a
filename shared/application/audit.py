"""Read the audit trail, latest entries first. Source: docs/design.md section 8; docs/contracts/core.md section 5."""

from datetime import UTC, datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from shared.application.ports import AuditPosition, Ports, Unreadable
from shared.domain.errors import RitornelloError
from shared.domain.ids import AccountId, InstanceSid, OperationSid, StrategySid, event_address
from shared.domain.instance.model import Instance, InstanceStatus
from shared.domain.instance.verdict import AuditEntry

MAX_READS = 32
"""How often one page reads the store: enough for a month of quiet days.

The entries about a target take one read; those about an event of an instance with many entries take more.
"""

UNKNOWN = "unknown"
"""The author of an item that does not say who created it."""

_FIRST_OF_ALL = "!"
_LAST_OF_ALL = "\uffff"

_Placed = tuple[AuditPosition, AuditEntry | Unreadable[AuditPosition]]


class Window(Struct, frozen=True, kw_only=True):
    """Which entries to read: those of ``account`` since ``since``, if ``target`` is given only those about it."""

    account: AccountId
    since: datetime
    target: str | None = None


class AuditPage(Struct, frozen=True, kw_only=True):
    """Entries, and the position after which the next page begins. ``after`` is None on the last page.

    ``unreadable`` are entries among them that cannot be read. With an event as target, they may be about another
    event of its instance.
    """

    entries: tuple[AuditEntry, ...]
    after: AuditPosition | None
    unreadable: tuple[Unreadable[AuditPosition], ...] = ()


def from_the_end(until: datetime) -> AuditPosition:
    """Return the position after every entry up to ``until``."""
    return AuditPosition(at=until, key=_LAST_OF_ALL)


def page_with_creation(ports: Ports, window: Window, *, before: AuditPosition, limit: int) -> AuditPage:
    """Return the latest entries of a window before a position, as ``audit_page`` does.

    The last entry about an instance or a strategy is its creation. It is derived from the item itself, so that a
    creation writes no entry.
    """
    creation = None if window.target is None else _creation(ports, window.account, window.target)
    if creation is None or creation.at < window.since:
        return audit_page(ports, window, before=before, limit=limit)
    # Nothing is older, so no earlier day is read.
    page = audit_page(ports, replace(window, since=creation.at), before=before, limit=limit)
    position = AuditPosition(at=creation.at, key="")
    is_stored = any(entry.command == creation.command for entry in page.entries)
    if page.after is not None or is_stored or position >= before:
        return page
    if len(page.entries) + len(page.unreadable) >= limit:
        # The next page has the creation only.
        return replace(page, after=replace(position, key=_FIRST_OF_ALL))
    return replace(page, entries=(*page.entries, creation))


def audit_page(ports: Ports, window: Window, *, before: AuditPosition, limit: int) -> AuditPage:
    """Return the latest stored entries of a window before a position.

    A page that is not the last may hold fewer than ``limit`` entries, or none, because the number of reads is
    limited.
    """
    if window.target is None:
        return _page_by_day(ports, window, before, limit)
    return _page_about(ports, window, window.target, before, limit)


def _page_about(ports: Ports, window: Window, target: str, before: AuditPosition, limit: int) -> AuditPage:
    """Return the latest entries about a target, from the indexes. No day without entries is read."""
    entries: list[_Placed] = []
    for _ in range(MAX_READS):
        some = _latest_about(ports, window, target, before, limit + 1)
        entries += [item for item in some if _is_about(item[1], target)]
        if len(entries) > limit:
            return _page(entries[:limit], entries[limit - 1][0])
        if len(some) <= limit:
            return _page(entries, None)
        before = some[-1][0]
    return _page(entries, before)


def _latest_about(
    ports: Ports, window: Window, target: str, before: AuditPosition, limit: int
) -> list[_Placed]:
    """Return the latest entries that may be about a target: its own, and those of commands that it sent."""
    since, account = window.since, window.account
    found = ports.audit.of_target(account, target, since=since, before=before, limit=limit)
    found += ports.audit.of_operation(account, OperationSid(target), since=since, before=before, limit=limit)
    event = event_address(target)
    if event is not None:
        # An entry about an event has its instance as target.
        found += ports.audit.of_target(account, event[0], since=since, before=before, limit=limit)
    return sorted(found, key=lambda item: item[0], reverse=True)[:limit]


def _page_by_day(ports: Ports, window: Window, before: AuditPosition, limit: int) -> AuditPage:
    entries: list[_Placed] = []
    for _ in range(MAX_READS):
        day = before.at.astimezone(UTC).date()
        some = ports.audit.of_day(window.account, day, since=window.since, before=before, limit=limit + 1)
        entries += some
        # One more than the limit was read, which tells whether there is a next page.
        if len(entries) > limit:
            return _page(entries[:limit], entries[limit - 1][0])
        start = datetime(day.year, day.month, day.day, tzinfo=UTC)
        if start <= window.since:
            return _page(entries, None)
        # The day is read completely: continue at the end of the day before.
        before = from_the_end(start - timedelta(milliseconds=1))
    return _page(entries, before)


def creation_of(instance: Instance) -> AuditEntry:
    """Return the creation of an instance as an audit entry."""
    by = instance.origin.created_by or UNKNOWN
    return _entry(
        instance.account_id, instance.sid, "create", instance.created_at, by, to=InstanceStatus.ACTIVE.value
    )


def _creation(ports: Ports, account: AccountId, target: str) -> AuditEntry | None:
    """Return the creation of an instance or a strategy of the account as an entry, or None for another target."""
    try:
        instance = ports.instances.load(InstanceSid(target))
        if instance is not None and instance.account_id == account:
            return creation_of(instance)
        head = None if instance is not None else ports.strategies.head(StrategySid(target))
    except RitornelloError:
        # The audit trail can be read although its target cannot.
        return None
    if head is None or head.account_id != account:
        return None
    by = head.created_by or UNKNOWN
    return _entry(account, target, "create-strategy", head.created_at, by, to="version 1")


def _entry(account: AccountId, target: str, command: str, at: datetime, by: str, *, to: str) -> AuditEntry:
    return AuditEntry(account_id=account, target=target, at=at, by=by, command=command, to_state=to)


def _page(entries: list[_Placed], after: AuditPosition | None) -> AuditPage:
    return AuditPage(
        entries=tuple(entry for _, entry in entries if not isinstance(entry, Unreadable)),
        after=after,
        unreadable=tuple(entry for _, entry in entries if isinstance(entry, Unreadable)),
    )


def _is_about(entry: AuditEntry | Unreadable[AuditPosition], target: str) -> bool:
    return isinstance(entry, Unreadable) or target in (entry.target, entry.event, entry.operation)
