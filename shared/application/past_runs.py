"""The runs of an account that have ended, latest first, whatever instance they were of."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from shared.application.ports import Ports
from shared.domain.ids import AccountId
from shared.domain.instance.journal import EventRecord
from shared.domain.instance.model import Instance

MAX_MONTHS = 25
"""So far back it is looked: two years, whatever day of a month it is."""


PAGE = 100
"""So many records of an instance are read together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """Runs that ended in a time. since: included; None: as far back as is looked. until: not included."""

    account: AccountId
    since: datetime | None
    until: datetime


def past_runs(ports: Ports, past: Past, *, most: int) -> Iterator[EventRecord]:
    """The records of main events that had begun, latest first; ``most`` records at most are looked at for them."""
    month, scanned = _first_of(past.until), 0
    since = past.since or datetime.min.replace(tzinfo=UTC)
    for _ in range(MAX_MONTHS):
        records = ports.instances.records_of_month(
            past.account, month, since=since, until=past.until, limit=most - scanned
        )
        for record in records:
            scanned += 1
            if is_run(record):
                yield record
        if scanned >= most or datetime(month.year, month.month, 1, tzinfo=UTC) <= since:
            return
        month = (month - timedelta(days=1)).replace(day=1)


def runs_of(ports: Ports, instance: Instance, *, most: int) -> Iterator[EventRecord]:
    """The same of one instance; while an event is on it, a record of it is of a runner that had lost its claim."""
    below, scanned = instance.next_seq, 0
    while scanned < most:
        limit = min(PAGE, most - scanned)
        records = ports.instances.records_before(instance.sid, below, limit=limit)
        yield from (one for one in records if is_run(one) and instance.event(one.event.seq) is None)
        if len(records) < limit:
            return
        below, scanned = records[-1].event.seq, scanned + limit


def is_run(record: EventRecord) -> bool:
    """Whether a record is of a cycle's own run, and not of one that never began."""
    return record.event.is_main and record.event.has_begun


def _first_of(at: datetime) -> date:
    return at.astimezone(UTC).date().replace(day=1)
