"""Read the audit trail, latest entries first. Source: docs/design.md section 8; docs/contracts/core.md section 5."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from shared.application.ports import AuditPosition, Ports, Unreadable
from shared.domain.ids import AccountId
from shared.domain.instance.verdict import AuditEntry

MAX_READS = 32
"""How often one page reads the store: enough for a month of quiet days, or for many parts of one busy day."""

_LAST_OF_ALL = "\uffff"

_Placed = tuple[AuditPosition, AuditEntry | Unreadable[AuditPosition]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Which entries to read: those of ``account`` since ``since``, if ``target`` is given only those about it."""

    account: AccountId
    since: datetime
    target: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditPage:
    """Entries, and the position after which the next page begins. ``after`` is None on the last page.

    ``unreadable`` are entries among them that cannot be read, whatever their target.
    """

    entries: tuple[AuditEntry, ...]
    after: AuditPosition | None
    unreadable: tuple[Unreadable[AuditPosition], ...] = ()


def from_the_end(until: datetime) -> AuditPosition:
    """Return the position after every entry up to ``until``."""
    return AuditPosition(at=until, key=_LAST_OF_ALL)


def audit_page(ports: Ports, window: Window, *, before: AuditPosition, limit: int) -> AuditPage:
    """Return the latest entries of a window before a position.

    A page that is not the last may hold fewer than ``limit`` entries, or none, because the number of reads is
    limited.
    """
    entries: list[_Placed] = []
    for _ in range(MAX_READS):
        day = before.at.astimezone(UTC).date()
        some = ports.audit.of_day(window.account, day, since=window.since, before=before, limit=limit + 1)
        entries += [item for item in some if _is_about(item[1], window.target)]
        # One more than the limit was read, which tells whether there is a next page.
        if len(entries) > limit:
            return _page(entries[:limit], entries[limit - 1][0])
        start = datetime(day.year, day.month, day.day, tzinfo=UTC)
        if len(some) > limit:
            before = some[-1][0]
        elif start <= window.since:
            return _page(entries, None)
        else:
            # The day is read completely: continue at the end of the day before.
            before = from_the_end(start - timedelta(milliseconds=1))
    return _page(entries, before)


def _page(entries: list[_Placed], after: AuditPosition | None) -> AuditPage:
    return AuditPage(
        entries=tuple(entry for _, entry in entries if not isinstance(entry, Unreadable)),
        after=after,
        unreadable=tuple(entry for _, entry in entries if isinstance(entry, Unreadable)),
    )


def _is_about(entry: AuditEntry | Unreadable[AuditPosition], target: str | None) -> bool:
    if isinstance(entry, Unreadable):
        return True
    return target is None or target in (entry.target, entry.event, entry.operation)
