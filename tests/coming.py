"""The runs that the answer to a command lists, against the runs of the engine afterwards."""

from datetime import datetime

from shared.domain.calendar.dates import format_instant
from shared.domain.instance.due import next_event
from shared.domain.instance.event import Event, EventKind, EventStatus
from shared.domain.instance.model import Instance, InstanceStatus
from shared.domain.lifecycle.commands import Resume
from shared.domain.planning.forecast import ComingRuns, Forecast, coming_runs
from tests.lifecycle_factories import ANN, Life, at, succeeded

MAX_RUNS = 3000
END_OF_TIME = at("9000-01-01")

Row = tuple[str, int, str]
"""A run: its task, its cycle and its date."""


def rows(coming: ComingRuns) -> list[str]:
    """Return the coming runs, as ``2 bill 2026-03-01 00:00``, with ``late`` after it if it is overdue."""
    return [
        f"{run.event.created_cycle} {run.event.task} {format_instant(run.event.date)[:16].replace('T', ' ')}"
        f"{' late' if run.is_overdue else ''}"
        for run in coming.runs
    ]


def ranges(coming: ComingRuns | Forecast) -> list[tuple[int, int]]:
    """Return the cycles that will not run."""
    return [(skipped.first_cycle, skipped.last_cycle) for skipped in coming.skipped]


def joined(pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return ranges of cycles, of which those that follow one another are one."""
    found: list[tuple[int, int]] = []
    for first, last in pairs:
        if found and found[-1][1] == first - 1:
            found[-1] = (found[-1][0], last)
        else:
            found.append((first, last))
    return found


def starts_alone(instance: Instance) -> bool:
    """Return whether every event of the instance runs without an operator, an answer or a runner that has it."""
    starts = (EventStatus.PENDING, EventStatus.QUEUED)
    return instance.lease is None and all(event.status in starts for event in instance.events)


def assert_foreseen(life: Life, now: datetime) -> ComingRuns:
    """Assert that the engine runs and leaves out events as foreseen now, if every run succeeds on its date."""
    coming = coming_runs(life.strategy, life.instance, now=now)
    mains = [run.event for run in coming.runs if run.event.is_main]
    if coming.truncated and not mains:
        return coming
    # Beyond the last cycle shown, nothing is said. If the plan ends before, everything is.
    last = mains[-1] if len(mains) > 1 or coming.truncated else None
    earlier = len(life.records)
    ran = engine_goes_on(life, now, None if last is None else last.created_cycle)
    until = END_OF_TIME if last is None else last.due_at
    # A coming event on hold is shown, too, but waits for an operator. On-cancel events have tests of their own.
    starting = [
        run.event
        for run in coming.runs
        if run.event.status is not EventStatus.ONHOLD and run.event.kind is not EventKind.ON_CANCEL
    ]
    assert rows_before(until, ran) == rows_before(until, starting)
    closed = [record for record in life.records[earlier:] if record.event.status is EventStatus.CANCELED]
    # The engine skips many dates part by part, and what it skips after the last cycle shown is not foreseen.
    skipped = joined([record.skipped_cycles for record in closed if record.skipped_cycles is not None])
    foreseen = joined(ranges(coming))[: -1 if coming.truncated else None]
    assert [pair for pair in skipped if pair in foreseen] == foreseen
    dropped = {record.event.seq for record in coming.dropped}
    assert dropped <= {record.event.seq for record in closed}
    return coming


def rows_before(until: datetime, events: list[Event]) -> list[Row]:
    """Return all runs of main events, and those of others before an instant."""
    # An event that an operator has queued runs when it was queued, whatever its date is.
    return sorted(_row(event) for event in events if event.is_main or event.due_at < until)


def engine_goes_on(life: Life, now: datetime, last_cycle: int | None) -> list[Event]:
    """Run everything up to a cycle, a paused instance resumed first.

    Return the events that ran, except on-cancel events.
    """
    ran: list[Event] = []
    if life.instance.status is InstanceStatus.PAUSED:
        life.applied(Resume(by=ANN), now)
    for _ in range(MAX_RUNS):
        event = next_event(life.instance)
        if event is None:
            break
        now = max(now, event.due_at)
        life.claim(event, now)
        running = life.instance.executing
        # Without a claimed event the instance was repaired instead.
        if running is not None:
            ran += [] if running.kind is EventKind.ON_CANCEL else [running]
            life.conclude(succeeded(), now)
            if running.is_main and running.created_cycle == last_cycle:
                break
    return ran


def _row(event: Event) -> Row:
    return event.task, event.created_cycle, format_instant(event.date)
