"""Read pages of an instance's history, newest event first. Source: docs/contracts/core.md section 5."""

from collections import defaultdict

from msgspec import Struct

from shared.application.ports import Ports, Unreadable, all_readable, seq_of
from shared.domain.instance.journal import EventHistory, EventRecord, JournalEntry
from shared.domain.instance.model import Instance
from shared.domain.steps.history import PastEvent, last_finished_run, past_event

MAX_STEPS = 1000
"""A page ends before an event that would bring it above this many steps, unless that event is the first."""

PAGE_SIZES = (10, 40, 150)
"""How many records are read at once when looking for the last run. In most instances it is among the first ten."""


class HistoryPage(Struct, frozen=True, kw_only=True):
    """Events, and the number below which the next page begins. ``after`` is None on the last page.

    ``unreadable`` are events of the page whose record or journal cannot be read, by their numbers.
    """

    events: tuple[PastEvent, ...]
    after: int | None
    unreadable: tuple[Unreadable[int], ...] = ()


def history_page(ports: Ports, instance: Instance, *, before: int | None, limit: int) -> HistoryPage:
    """Return the latest events with a number below ``before``, open and closed, with all their steps.

    Events whose record has expired are left out. A page without any event is the last one.
    """
    page = _page_below(ports, instance, instance.next_seq if before is None else before, limit)
    # An empty page leads right to the next event, if there is one.
    while page.after is not None and not (page.events or page.unreadable):
        page = _page_below(ports, instance, page.after, limit)
    return page


def _page_below(ports: Ports, instance: Instance, top: int, limit: int) -> HistoryPage:
    """Return the events among the ``limit`` numbers below ``top``."""
    low = max(top - limit, 1)
    found: list[PastEvent] = []
    steps = 0
    events, unreadable = _past_events(ports, instance, low, top - 1)
    for event in events:
        steps += len(event.steps)
        if found and steps > MAX_STEPS:
            last = found[-1].event.seq
            on_page = tuple(item for item in unreadable if item.key >= last)
            return HistoryPage(events=tuple(found), after=last, unreadable=on_page)
        found.append(event)
    after: int | None = low if low > 1 else None
    if low > 1 and low not in {*(one.event.seq for one in found), *(one.key for one in unreadable)}:
        after = _after_gap(ports, instance, low)
    return HistoryPage(events=tuple(found), after=after, unreadable=tuple(unreadable))


def _after_gap(ports: Ports, instance: Instance, low: int) -> int | None:
    """Return the number below which the next page begins if the one with number ``low`` has expired, or None."""
    closed = ports.instances.records_before(instance.sid, low, limit=1)
    seqs = [seq_of(one) for one in closed]
    seqs += [event.seq for event in instance.events if event.seq < low]
    return max(seqs) + 1 if seqs else None


def _past_events(
    ports: Ports, instance: Instance, first: int, last: int
) -> tuple[list[PastEvent], list[Unreadable[int]]]:
    """Return the events with these numbers, both included, highest first, with all their steps.

    Those whose record or journal cannot be read come second.
    """
    if last < first:
        return [], []
    unreadable: dict[int, Unreadable[int]] = {}
    record_of: dict[int, EventRecord] = {}
    for record in ports.instances.records_before(instance.sid, last + 1, limit=last + 1 - first):
        if isinstance(record, Unreadable):
            # If an event has no record yet, the last ones are of lower numbers.
            unreadable |= {record.key: record} if record.key >= first else {}
        else:
            record_of[record.event.seq] = record
    entries: dict[int, list[JournalEntry]] = defaultdict(list)
    for entry in ports.instances.journal_between(instance.sid, first, last):
        if isinstance(entry, Unreadable):
            unreadable[entry.key] = entry
        else:
            entries[entry.seq].append(entry)
    found = (
        past_event(instance, seq, EventHistory(entries=tuple(entries[seq]), record=record_of.get(seq)))
        for seq in range(last, first - 1, -1)
        # A part of an event would be taken for the whole.
        if seq not in unreadable
    )
    return [event for event in found if event is not None], list(unreadable.values())


def last_outcome(ports: Ports, instance: Instance) -> EventRecord | None:
    """Return the record of the main event that finished last, processed or failed, or None if none has.

    It searches 200 records. An instance with more other closed events after its last run counts as one without a run.
    Raises: UnreadableError: a record among those read cannot be read, and may be that one.
    """
    before = instance.next_seq
    for size in PAGE_SIZES:
        records = ports.instances.records_before(instance.sid, before, limit=size)
        # Events may finish in another order than that of their numbers, so that one with a lower number counts, too.
        # The record of an open event does not.
        closed = all_readable(record for record in records if instance.event(seq_of(record)) is None)
        found = last_finished_run(instance, closed)
        if found is not None or len(records) < size:
            return found
        before = seq_of(records[-1])
    return None
