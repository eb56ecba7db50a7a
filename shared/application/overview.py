"""The state of an account: instances by phase and strategy, problems, and recently closed events.

Source: docs/contracts/core.md section 5 (``GET /overview``).
"""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta

from msgspec import Struct

from shared.application.ports import PageKey, Ports, Unreadable
from shared.domain.ids import AccountId
from shared.domain.instance.due import GRACE, SHARDS, swept_partition
from shared.domain.instance.event import EventStatus
from shared.domain.instance.model import InstanceStatus
from shared.domain.instance.phase import STOPPED_PHASES, Phase
from shared.domain.strategy.model import StrategyHead

MAX_COUNTED = 10_000
"""Counts are exact up to this number."""

AN_HOUR, A_DAY = timedelta(hours=1), timedelta(days=1)
A_MOMENT = timedelta(milliseconds=1)
STORED_PHASES = (*STOPPED_PHASES, Phase.RETRYING)


class BoundedCount(Struct, frozen=True, kw_only=True):
    """A number. With ``is_at_least``, there are more than were counted."""

    number: int
    is_at_least: bool = False


class StrategyCounts(Struct, frozen=True, kw_only=True):
    """The instances of a strategy, by ``ACTIVE`` or the phase of their stop."""

    head: StrategyHead
    labels: Mapping[str, BoundedCount]


class ClosedCounts(Struct, frozen=True, kw_only=True):
    """The events that closed within a time before now, by status. The time is an hour or a day."""

    processed: int
    failed: int
    canceled: int
    is_at_least: bool


class DueCounts(Struct, frozen=True, kw_only=True):
    """The entries of the due index, over all accounts. Those that are overdue count, too.

    ``oldest`` is the oldest date that neither its wakeup nor a sweep has reached.
    """

    next_hour: BoundedCount
    next_day: BoundedCount
    oldest: datetime | None


class Overview(Struct, frozen=True, kw_only=True):
    """How an account stands. ``after`` is the strategy after which the next page of strategies begins.

    ``unreadable`` are strategies of the page that cannot be read. Their instances count by phase.
    """

    phases: Mapping[Phase, BoundedCount]
    problems: BoundedCount
    strategies: tuple[StrategyCounts, ...]
    after: PageKey | None
    last_hour: ClosedCounts
    last_day: ClosedCounts
    unreadable: tuple[Unreadable[PageKey], ...] = ()


def overview(ports: Ports, account: AccountId, *, before: PageKey | None, limit: int) -> Overview:
    """Return the counts of an account, with those of its youngest ``limit`` strategies before a position."""
    instances, now = ports.instances, ports.clock.now()
    found = ports.strategies.of_account(account, before=before, limit=limit + 1)
    page = found[:limit]
    last = found[limit - 1] if len(found) > limit else None
    return Overview(
        phases={
            phase: _bounded(instances.count_in_phase(account, phase, most=MAX_COUNTED + 1))
            for phase in STORED_PHASES
        },
        problems=_bounded(instances.count_with_problems(account, most=MAX_COUNTED + 1)),
        strategies=tuple(_of_strategy(ports, head) for head in page if not isinstance(head, Unreadable)),
        after=None if last is None else _position(last),
        last_hour=_closed(ports, account, now - AN_HOUR, now + A_MOMENT),
        last_day=_closed(ports, account, now - A_DAY, now + A_MOMENT),
        unreadable=tuple(head for head in page if isinstance(head, Unreadable)),
    )


def due_counts(ports: Ports) -> DueCounts:
    """Return the counts of due entries in the whole deployment: the due index is not divided by account."""
    now = ports.clock.now()
    oldest = [
        entry.at - GRACE
        for shard in range(SHARDS)
        for entry in ports.instances.due(swept_partition(shard), until=now, limit=1)
    ]
    return DueCounts(
        next_hour=_due_until(ports, now + AN_HOUR),
        next_day=_due_until(ports, now + A_DAY),
        oldest=min(oldest, default=None),
    )


def _due_until(ports: Ports, until: datetime) -> BoundedCount:
    count = 0
    for shard in range(SHARDS):
        left = MAX_COUNTED + 1 - count
        if left:
            count += len(ports.instances.due(swept_partition(shard), until=until + GRACE, limit=left))
    return _bounded(count)


def _position(item: StrategyHead | Unreadable[PageKey]) -> PageKey:
    return item.key if isinstance(item, Unreadable) else PageKey(created_at=item.created_at, sid=item.sid)


def _of_strategy(ports: Ports, head: StrategyHead) -> StrategyCounts:
    def count(status: InstanceStatus | Phase) -> BoundedCount:
        return _bounded(ports.instances.count_of_strategy(head.sid, status, most=MAX_COUNTED + 1))

    labels = {phase.value: count(phase) for phase in STOPPED_PHASES}
    return StrategyCounts(
        head=head, labels={InstanceStatus.ACTIVE.value: count(InstanceStatus.ACTIVE), **labels}
    )


def _closed(ports: Ports, account: AccountId, since: datetime, until: datetime) -> ClosedCounts:
    counts = Counter[EventStatus]()
    for month in sorted({since.replace(day=1).date(), until.replace(day=1).date()}):
        left = MAX_COUNTED + 1 - counts.total()
        if left > 0:
            counts.update(ports.instances.count_closed(account, month, since=since, until=until, most=left))
    return ClosedCounts(
        processed=counts[EventStatus.PROCESSED],
        failed=counts[EventStatus.FAILED],
        canceled=counts[EventStatus.CANCELED],
        is_at_least=counts.total() > MAX_COUNTED,
    )


def _bounded(count: int) -> BoundedCount:
    return BoundedCount(number=min(count, MAX_COUNTED), is_at_least=count > MAX_COUNTED)
