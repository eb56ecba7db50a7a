"""Reading the audit trail, latest first. Source: design section 8; contracts/core.md section 5."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from shared.application.ports import AuditPosition, Ports
from shared.domain.ids import AccountId
from shared.domain.instance.verdict import AuditEntry

MAX_READS = 32
"""So often the store is asked for one page: a month of quiet days, or a busy day in so many parts."""

_LAST_OF_ALL = "\uffff"


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Which entries: of whom, since when, and, where one is named, about what."""

    account: AccountId
    since: datetime
    target: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditPage:
    """Some entries, and the place behind which the next page begins; None on the last."""

    entries: tuple[AuditEntry, ...]
    after: AuditPosition | None


def from_the_end(until: datetime) -> AuditPosition:
    """The place behind every entry up to an instant."""
    return AuditPosition(at=until, key=_LAST_OF_ALL)


def audit_page(ports: Ports, window: Window, *, before: AuditPosition, limit: int) -> AuditPage:
    """The latest entries of a window before a place.

    The store is asked only so often for one page: it may hold fewer than asked for, or none, and still not be
    the last.
    """
    entries: list[tuple[AuditPosition, AuditEntry]] = []
    for _ in range(MAX_READS):
        day = before.at.astimezone(UTC).date()
        some = ports.audit.of_day(window.account, day, since=window.since, before=before, limit=limit + 1)
        entries += [one for one in some if _is_about(one[1], window.target)]
        if len(entries) > limit:
            return _page(entries[:limit], entries[limit - 1][0])
        start = datetime(day.year, day.month, day.day, tzinfo=UTC)
        if len(some) > limit:
            before = some[-1][0]
        elif start <= window.since:
            return _page(entries, None)
        else:
            before = from_the_end(start - timedelta(milliseconds=1))
    return _page(entries, before)


def _page(entries: list[tuple[AuditPosition, AuditEntry]], after: AuditPosition | None) -> AuditPage:
    return AuditPage(entries=tuple(entry for _, entry in entries), after=after)


def _is_about(entry: AuditEntry, target: str | None) -> bool:
    return target is None or target in (entry.target, entry.event, entry.operation)
