"""Read the finished runs of an account, latest first, over all its instances."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

from msgspec import Struct

from shared.application.ports import Ports, Unreadable, seq_of
from shared.domain.ids import AccountId, event_sid
from shared.domain.instance.journal import EventRecord
from shared.domain.instance.model import Instance

MAX_MONTHS = 25
"""How many months back runs are read: two years, on any day of a month."""


PAGE = 100
"""How many records of an instance are read at once."""


class Past(Struct, frozen=True, kw_only=True):
    """A time range. ``since`` is included, or None for as far back as runs are read; ``until`` is not included."""

    account: AccountId
    since: datetime | None
    until: datetime


def past_runs(ports: Ports, past: Past, *, most: int) -> Iterator[EventRecord | Unreadable[str]]:
    """Yield the records of main events that had begun, latest first, and those of any events that cannot be read.

    At most ``most`` records are read to find them.
    """
    month, scanned = _first_of(past.until), 0
    since = past.since or datetime.min.replace(tzinfo=UTC)
    for _ in range(MAX_MONTHS):
        records = ports.instances.records_of_month(
            past.account, month, since=since, until=past.until, limit=most - scanned
        )
        for record in records:
            scanned += 1
            if isinstance(record, Unreadable) or is_run(record):
                yield record
        if scanned >= most or datetime(month.year, month.month, 1, tzinfo=UTC) <= since:
            return
        month = (month - timedelta(days=1)).replace(day=1)


def runs_of(ports: Ports, instance: Instance, *, most: int) -> Iterator[EventRecord | Unreadable[str]]:
    """Yield the same records for one instance. The key of one that cannot be read is the sid of its event."""
    below, scanned = instance.next_seq, 0
    while scanned < most:
        limit = min(PAGE, most - scanned)
        records = ports.instances.records_before(instance.sid, below, limit=limit)
        for record in records:
            # The record of an open event is that of a runner that had lost its claim; it does not count.
            if instance.event(seq_of(record)) is not None:
                continue
            if isinstance(record, Unreadable):
                yield Unreadable(key=event_sid(instance.sid, record.key), why=record.why)
            elif is_run(record):
                yield record
        if len(records) < limit:
            return
        below, scanned = seq_of(records[-1]), scanned + limit


def is_run(record: EventRecord) -> bool:
    """Return whether a record is that of a cycle's own run that had begun."""
    return record.event.is_main and record.event.has_begun


def _first_of(at: datetime) -> date:
    return at.astimezone(UTC).date().replace(day=1)
