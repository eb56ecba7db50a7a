"""Finding what there is to tell from, for a question about an instance and an instant.

However long the history, it is read by key and in bounds: a few records to find the place, and those around it.
Source: contracts/core.md section 5; docs/decisions/0021.
"""

from datetime import datetime, timedelta

from shared.application.audit import Window, audit_page, from_the_end
from shared.application.ports import Ports
from shared.domain.explain.instance import A_MINUTE, Evidence, Explanation, explain, subjects
from shared.domain.instance.downtime import is_forgotten
from shared.domain.instance.journal import EventHistory, EventRecord
from shared.domain.instance.model import Instance
from shared.domain.instance.verdict import AuditEntry
from shared.domain.planning.forecast import ForeseenCycle, forecast_until
from shared.domain.steps.history import PastEvent, past_event

BEFORE, AFTER = 60, 40
"""So many events are looked at that were created before the instant, and after it."""

FIRST = 20
"""And so many of those that came with the instance: some of them are planned far ahead."""

MAX_CYCLES = 400
"""A time beyond so many coming cycles is too far ahead to tell."""

AROUND = timedelta(days=2)
"""How far from the instant the audit trail is read, where the instance itself has forgotten."""

MAX_ENTRIES = 100


def explained(ports: Ports, instance: Instance, at: datetime) -> Explanation:
    """Why something did or did not run on an instance at an instant, which may lie ahead."""
    now = ports.clock.now()
    records = _records_around(ports, instance, at)
    about_the_past = instance.created_at <= at <= now
    about = subjects(instance, records.values(), at) if about_the_past else ()
    ahead = _ahead(ports, instance, at, now=now)
    return explain(
        Evidence(
            instance=instance,
            now=now,
            events=_events(ports, instance, records, about),
            ahead=ahead,
            plan_ends=len(ahead) < MAX_CYCLES,
            blocked_by=ports.strategies.blocked_by(instance.account_id, instance.strategy_sid),
            audit=_audit(ports, instance, at) if about_the_past and is_forgotten(instance, at) else (),
        ),
        about,
        at,
    )


def _events(
    ports: Ports, instance: Instance, records: dict[int, EventRecord], about: tuple[int, ...]
) -> tuple[PastEvent, ...]:
    """The events around; with their steps those that are meant."""
    found: list[PastEvent | None] = []
    for seq in sorted({*records, *(event.seq for event in instance.events)}):
        event_history = (
            ports.instances.event_history(instance.sid, seq)
            if seq in about
            else EventHistory(record=records.get(seq))
        )
        found.append(past_event(instance, seq, event_history))
    return tuple(event for event in found if event is not None)


def _records_around(ports: Ports, instance: Instance, at: datetime) -> dict[int, EventRecord]:
    """The records of the events created around an instant, and of the first ones."""
    last = instance.next_seq - 1
    top = last
    if last > BEFORE + AFTER:
        top = min(_created_by(ports, instance, at) + AFTER, last)
    found = ports.instances.records_before(instance.sid, top + 1, limit=BEFORE + AFTER)
    if found and found[-1].event.seq > 1:
        found += ports.instances.records_before(
            instance.sid, min(FIRST + 1, found[-1].event.seq), limit=FIRST
        )
    return {record.event.seq: record for record in found}


def _created_by(ports: Ports, instance: Instance, at: datetime) -> int:
    """The number of the last event created by an instant, 0 where there is none: they are numbered as created."""
    low, high = 0, instance.next_seq - 1
    while low < high:
        middle = (low + high + 1) // 2
        if _created_at(ports, instance, middle) <= at:
            low = middle
        else:
            high = middle - 1
    return low


def _created_at(ports: Ports, instance: Instance, seq: int) -> datetime:
    """When the event of that number was created, or the last one before it that has a record."""
    event = instance.event(seq)
    if event is not None:
        return event.created_at
    found = ports.instances.records_before(instance.sid, seq + 1, limit=1)
    return found[0].event.created_at if found else instance.created_at


def _ahead(ports: Ports, instance: Instance, at: datetime, *, now: datetime) -> tuple[ForeseenCycle, ...]:
    """The coming cycles up to beyond the minute that is asked about."""
    strategy = ports.strategies.load(instance.strategy_sid, instance.strategy_version)
    return forecast_until(strategy, instance, max(at, now) + A_MINUTE, most=MAX_CYCLES, now=now)


def _audit(ports: Ports, instance: Instance, at: datetime) -> tuple[AuditEntry, ...]:
    """Entries about the instance from just before and just after an instant, as far as a few readings find them."""
    before = audit_page(
        ports, _window(instance, since=at - AROUND), before=from_the_end(at), limit=MAX_ENTRIES
    )
    if before.entries:
        return before.entries
    until = min(at + AROUND, ports.clock.now())
    return audit_page(
        ports, _window(instance, since=at), before=from_the_end(until), limit=MAX_ENTRIES
    ).entries


def _window(instance: Instance, *, since: datetime) -> Window:
    return Window(account=instance.account_id, since=since, target=instance.sid)
