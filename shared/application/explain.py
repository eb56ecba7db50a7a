"""Collect the facts that answer a question about an instance and an instant.

Reads are by key and limited, however long the history is: a few records to find the position, and those around it.
Source: docs/contracts/core.md section 5; docs/decisions/0021.
"""

from collections.abc import Mapping
from datetime import datetime

from msgspec.structs import replace

from shared.application.audit import Window, audit_page, creation_of, from_the_end
from shared.application.ports import (
    Ports,
    UnknownStrategyError,
    Unreadable,
    audit_position_text,
    seq_of,
)
from shared.domain.errors import RitornelloError, StoredShapeError
from shared.domain.explain.event import needs_audit
from shared.domain.explain.instance import Evidence, Explanation, explain, has_gap, subjects
from shared.domain.explain.limits import limit_of_call, next_call
from shared.domain.explain.moved_dates import A_MINUTE
from shared.domain.ids import event_sid
from shared.domain.instance.downtime import is_forgotten
from shared.domain.instance.flags import with_pauses
from shared.domain.instance.journal import EventHistory, EventRecord
from shared.domain.instance.model import Instance
from shared.domain.instance.verdict import AuditEntry
from shared.domain.planning.forecast import Forecast, forecast_until
from shared.domain.steps.history import PastEvent, past_event
from shared.domain.strategy.model import Strategy

BEFORE, AFTER = 60, 40
"""How many events are read that were created before the instant, and after it."""

FIRST = 20
"""How many of the events that were created with the instance are read, since some of them are planned far ahead."""

MAX_CYCLES = 400
"""An instant beyond this many coming cycles is too far ahead to explain."""

MAX_ENTRIES = 100


def explain_at(ports: Ports, instance: Instance, at: datetime | None = None) -> Explanation:
    """Explain why something ran or did not run on an instance at an instant, which may be in the future.

    Without one, explain the present: why an event waits is known only at the very instant of the question.
    Events and audit entries that cannot be read are named, and not taken for missing ones.
    """
    now = ports.clock.now()
    at = at or now
    unreadable: dict[str, str] = {}
    records, first = _records_around(ports, instance, at, unreadable)
    about_the_past = instance.created_at <= at <= now
    about = subjects(instance, records.values(), at) if about_the_past else ()
    was_barred = any(seq in records and needs_audit(records[seq]) for seq in about)
    # The present has no event that was moved away from it: that is asked about dates.
    is_without_event = about_the_past and not about and at != now
    needs_entries = at > now or is_without_event or was_barred
    needs_entries |= about_the_past and is_forgotten(instance, at)
    flags = ports.strategies.flags(instance.account_id, instance.strategy_sid)
    strategy: Strategy | None = None
    unread: str | None = None
    try:
        strategy = ports.strategies.load(instance.strategy_sid, instance.strategy_version)
        strategy = with_pauses(strategy, flags)
    except (RitornelloError, UnknownStrategyError) as error:
        unread = f"{type(error).__name__}: {error}"
    events = _events(ports, instance, records, about, unreadable)
    audit = _audit(ports, instance, min(at, now), unreadable, now=now) if needs_entries else ()
    # What cannot be read may be about any instant.
    is_incomplete = bool(unreadable) or has_gap(instance, _created(instance, records), at, first=first)
    ahead = None if strategy is None else _ahead(strategy, instance, at, now=now)
    explanation = explain(
        Evidence(
            instance=instance,
            now=now,
            events=events,
            ahead=() if ahead is None else ahead.cycles,
            reminders=() if ahead is None else ahead.reminders,
            skipped=() if ahead is None else ahead.skipped,
            plan_ends=ahead is not None and len(ahead.cycles) < MAX_CYCLES and not ahead.truncated,
            unread=unread,
            blocked_by=flags.blocked_by,
            audit=audit,
            limits=_limits(ports, instance, events, now=now),
            is_incomplete=about_the_past and is_incomplete,
        ),
        about,
        at,
    )
    return replace(explanation, unreadable=unreadable)


def _events(
    ports: Ports,
    instance: Instance,
    records: dict[int, EventRecord],
    about: tuple[int, ...],
    unreadable: dict[str, str],
) -> tuple[PastEvent, ...]:
    """Return the events around the instant; those in ``about`` have their steps.

    If the steps cannot be read, the event is added to ``unreadable`` instead.
    """
    found: list[PastEvent | None] = []
    for seq in sorted({*records, *(event.seq for event in instance.events)}):
        try:
            event_history = (
                ports.instances.event_history(instance.sid, seq)
                if seq in about
                else EventHistory(record=records.get(seq))
            )
        except StoredShapeError as error:
            unreadable[event_sid(instance.sid, seq)] = str(error)
            continue
        found.append(past_event(instance, seq, event_history))
    return tuple(event for event in found if event is not None)


def _limits(
    ports: Ports, instance: Instance, events: tuple[PastEvent, ...], *, now: datetime
) -> dict[int, str]:
    """Return the limits of services that events wait for, as text.

    Settings and limits are only read for events that may wait for one.
    """
    limits: dict[int, str] = {}
    for past in events:
        call, version = next_call(past, now), past.event.claim.version
        if call is None or version is None:
            continue
        try:
            strategy = ports.strategies.load(instance.strategy_sid, version)
        except (RitornelloError, UnknownStrategyError):
            continue  # why the event does not run is then that its settings cannot be read
        limit = limit_of_call(strategy, past, call)
        if limit is not None:
            state = ports.limits.load(instance.account_id, limit.origin)
            limits[past.event.seq] = limit.why(state, now=now)
    return limits


def _records_around(
    ports: Ports, instance: Instance, at: datetime, unreadable: dict[str, str]
) -> tuple[dict[int, EventRecord], int]:
    """Return the records of the events created around an instant, and of the first events, by event number.

    With them comes the number from which on all around the instant were read. Records that cannot be read are added to
    ``unreadable``.
    """
    last = instance.next_seq - 1
    top = last
    # Most questions are about the present, whose position is known.
    if last > BEFORE + AFTER and _created_at(ports, instance, last - AFTER) > at:
        # Numbers rise with creation, so a binary search finds the position.
        top = min(_created_by(ports, instance, at) + AFTER, last)
    found = ports.instances.records_before(instance.sid, top + 1, limit=BEFORE + AFTER)
    lowest = seq_of(found[-1]) if len(found) == BEFORE + AFTER else 1
    if found and seq_of(found[-1]) > 1:
        first = min(FIRST + 1, seq_of(found[-1]))
        found += ports.instances.records_before(instance.sid, first, limit=FIRST)
    # The record of an open event does not count.
    unreadable |= {
        event_sid(instance.sid, one.key): one.why
        for one in found
        if isinstance(one, Unreadable) and instance.event(one.key) is None
    }
    return {one.event.seq: one for one in found if not isinstance(one, Unreadable)}, lowest


def _created_by(ports: Ports, instance: Instance, at: datetime) -> int:
    """Return the number of the last event created by an instant, or 0 if there is none."""
    low, high = 0, instance.next_seq - 1
    while low < high:
        middle = (low + high + 1) // 2
        if _created_at(ports, instance, middle) <= at:
            low = middle
        else:
            high = middle - 1
    return low


def _created_at(ports: Ports, instance: Instance, seq: int) -> datetime:
    """Return when the event with that number was created, or the last one before it whose record can be read."""
    event = instance.event(seq)
    if event is not None:
        return event.created_at
    limit = 1
    while found := ports.instances.records_before(instance.sid, seq + 1, limit=limit):
        for record in found:
            if not isinstance(record, Unreadable):
                return record.event.created_at
        seq, limit = seq_of(found[-1]) - 1, BEFORE + AFTER
    return instance.created_at


def _ahead(strategy: Strategy, instance: Instance, at: datetime, *, now: datetime) -> Forecast:
    """Return the coming cycles, up to beyond the minute in question."""
    return forecast_until(strategy, instance, max(at, now) + A_MINUTE, most=MAX_CYCLES, now=now)


def _created(instance: Instance, records: Mapping[int, EventRecord]) -> dict[int, datetime]:
    """Return when each of these events was created, and each open event."""
    closed = {seq: record.event.created_at for seq, record in records.items()}
    return {**closed, **{event.seq: event.created_at for event in instance.events}}


def _audit(
    ports: Ports, instance: Instance, at: datetime, unreadable: dict[str, str], *, now: datetime
) -> tuple[AuditEntry, ...]:
    """Return the last audit entries about the instance before an instant, and its creation.

    An entry that cannot be read is added to ``unreadable``. Earlier ones are left out then, because they say nothing
    about the time after it.
    """
    window = Window(account=instance.account_id, since=instance.created_at, target=instance.sid)
    page = audit_page(ports, window, before=from_the_end(at), limit=MAX_ENTRIES)
    if page.unreadable:
        unreadable |= {audit_position_text(entry.key): entry.why for entry in page.unreadable}
        latest = max(entry.key.at for entry in page.unreadable)
        return tuple(entry for entry in page.entries if entry.at > latest)
    kept = ports.audit.kept
    # Otherwise the entries between may have expired, and the creation says nothing about the time after them.
    is_complete = kept is None or now - kept <= instance.created_at
    return (*page.entries, creation_of(instance)) if is_complete else page.entries
