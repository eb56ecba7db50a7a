"""The answers about plans: simulations, forecasts, and the effects of commands on dates.

Source: docs/contracts/core.md sections 1.1 (S4) and 5.
"""

from collections.abc import Callable, Sequence
from datetime import datetime

from shared.api.core import answers
from shared.api.core.render import cancellation_shape, instance_shape
from shared.api.http.shapes import omit_unset
from shared.application.command_preview import Commanded
from shared.application.migrate import Migrated
from shared.domain.calendar.dates import format_instant
from shared.domain.calendar.public_holidays import holiday_data_version
from shared.domain.ids import InstanceSid, event_sid
from shared.domain.instance.event import Event, EventKind
from shared.domain.instance.journal import EventRecord
from shared.domain.instance.model import Instance
from shared.domain.instance.redated import NotRedated
from shared.domain.instance.skipped import Skipped
from shared.domain.instance.verdict import AlreadyThere, Applied, Verdict
from shared.domain.lifecycle.migrate import PlannedDate
from shared.domain.planning.forecast import ComingRun, ComingRuns, Forecast, Simulated
from shared.domain.strategy.business_day_rules import uses_public_holidays
from shared.domain.strategy.model import Strategy


@omit_unset
def simulation_shape(
    strategy: Strategy, simulated: Simulated, start: datetime, write: Callable[[datetime], str], *, zone: str
) -> answers.SimulationShape:
    """Return simulated cycles. ``write`` formats a date as the caller asked for, in the zone of this name.

    Source: docs/contracts/core.md section 1.1, S4.
    """
    definition = strategy.definition
    on_create = [
        _foreseen(event, write, callback=entry.create_if)
        for event, entry in zip(simulated.on_create, definition.on_create_tasks, strict=True)
    ]
    cycles: list[answers.SimulatedCycle] = [
        {
            "cycle": cycle.cycle,
            "events": {
                "leadingUpEvents": [_foreseen(event, write) for event in cycle.leading_up],
                "mainEvent": _foreseen(cycle.main, write),
            },
        }
        for cycle in simulated.cycles
    ]
    # On-create events belong to the first cycle; without any, the member is missing.
    if on_create and cycles:
        cycles[0]["events"]["onCreateEvents"] = on_create
    return answers.SimulationShape(
        startDate=write(start),
        simulatedCycles=len(cycles),
        timezone=zone,
        cycleEvents=cycles,
        skipped=_not_run(simulated.skipped, write),
        holidayData=_holiday_data(strategy),
        ended=simulated.ended,
        truncated=simulated.truncated or None,
    )


@omit_unset
def forecast_shape(strategy: Strategy, forecast: Forecast) -> answers.ForecastShape:
    """Return the coming cycles of an instance."""
    cycles: list[answers.ForecastCycle] = [
        {
            "cycle": one.cycle,
            "leadingUpEvents": [_foreseen(event, format_instant) for event in one.leading_up],
            "mainEvent": _foreseen(one.main, format_instant),
        }
        for one in forecast.cycles
    ]
    return answers.ForecastShape(
        cycles=cycles,
        cancelAt=None if forecast.cancellation is None else cancellation_shape(forecast.cancellation),
        reminders=[_foreseen(event, format_instant) for event in forecast.reminders] or None,
        onCancelEvents=[_foreseen(event, format_instant) for event in forecast.on_cancel] or None,
        skipped=_not_run(forecast.skipped, format_instant),
        holidayData=_holiday_data(strategy),
        truncated=forecast.truncated or None,
    )


def migration_shape(found: Migrated, sid: InstanceSid) -> answers.MigrationChanges:
    """Return the effects of a migration on an instance's events and coming dates."""
    changes = found.changes
    return {
        "from": found.before,
        "to": found.verdict.instance.strategy_version,
        "canceledEvents": [
            {"sid": event_sid(sid, event.seq), "task": event.task, "date": format_instant(event.date)}
            for event in found.canceled
        ],
        "dates": {
            "appear": [_planned_date(date) for date in changes.appear],
            "vanish": [_planned_date(date) for date in changes.vanish],
            "move": [
                {**_planned_date(date.now), "before": format_instant(date.before)} for date in changes.move
            ],
        },
    }


def _planned_date(date: PlannedDate) -> answers.PlannedDateShown:
    return {"cycle": date.cycle, "task": date.task, "main": date.main, "date": format_instant(date.date)}


@omit_unset
def created_shape(
    instance: Instance,
    events: answers.FirstEvents,
    late: Sequence[Event],
    skipped: Skipped | None,
    *,
    now: datetime,
) -> answers.CreatedShape:
    """Return a new instance with its first events, and which of its dates before now still run."""
    return {
        "executionInstance": instance_shape(instance, now=now),
        "createdEvents": events,
        "overdueEvents": [_overdue(event) for event in late] or None,
        "skipped": _not_run([] if skipped is None else [skipped], format_instant),
    }


@omit_unset
def preview_shape(instance: Instance, late: Sequence[Event], skipped: Skipped | None) -> answers.PreviewShape:
    """Return the effects of a creation that is not stored."""

    def of_kind(kind: EventKind) -> list[answers.ForeseenEvent]:
        return [_foreseen(event, format_instant) for event in instance.events if event.kind is kind]

    events: answers.ForeseenEvents = {
        "onCreateEvents": of_kind(EventKind.ON_CREATE),
        "leadingUpEvents": of_kind(EventKind.LEADING_UP),
    }
    main = instance.main_event
    if main is not None:
        events["mainEvent"] = _foreseen(main, format_instant)
    return {
        "dryRun": True,
        "status": instance.status,
        "createdEvents": events,
        "overdueEvents": [_overdue(event) for event in late] or None,
        "skipped": _not_run([] if skipped is None else [skipped], format_instant),
    }


@omit_unset
def updated_shape(verdict: Applied | AlreadyThere, *, dry_run: bool, now: datetime) -> answers.UpdatedShape:
    """Return a changed instance with the planned events that the change moves or closes, and those it does not move."""
    instance = verdict.instance
    applied = verdict if isinstance(verdict, Applied) else Applied(instance=instance)
    return {
        **instance_shape(instance, now=now),
        "dryRun": dry_run,
        "redated": [
            {
                "sid": instance.event_sid(one.event),
                "cycle": one.event.created_cycle,
                "task": one.event.task,
                "main": one.event.is_main,
                "before": format_instant(one.before),
                "date": format_instant(one.event.date),
            }
            for one in applied.redated
        ],
        "notRedated": [_not_redated(instance, one) for one in applied.not_redated],
        "canceledEvents": [
            {
                "sid": instance.event_sid(record.event),
                "task": record.event.task,
                "date": format_instant(record.event.date),
                "why": record.why,
            }
            for record in applied.records
        ],
        "skipped": _not_run([] if applied.skipped is None else [applied.skipped], format_instant),
    }


@omit_unset
def _not_redated(instance: Instance, one: NotRedated) -> answers.NotRedatedEvent:
    event = one.event
    return {
        "attribute": one.attribute,
        "sid": None if event is None else instance.event_sid(event),
        "task": None if event is None else event.task,
        "date": None if event is None else format_instant(event.date),
        "why": one.why,
    }


def _overdue(event: Event) -> answers.OverdueEvent:
    return {"cycle": event.created_cycle, "task": event.task, "date": format_instant(event.date)}


@omit_unset
def resumed_shape(
    commanded: Commanded, coming: ComingRuns, *, dry_run: bool, now: datetime
) -> answers.ResumedShape:
    """Return a resumed instance, with overdue main events that still run, and the cycles that were skipped."""
    verdict = commanded.verdict
    skipped = verdict.skipped if isinstance(verdict, Applied) else None
    late = [run.event for run in coming.runs if run.event.is_main and run.event.date < now]
    return {
        **instance_shape(verdict.instance, now=now),
        "overdueEvents": [_overdue(event) for event in late],
        "skippedCycles": None
        if skipped is None
        else {"first": skipped.first_cycle, "last": skipped.last_cycle},
        "plan": coming_shape(verdict, coming),
        "dryRun": dry_run,
    }


def moved_shape(
    commanded: Commanded, coming: ComingRuns, *, dry_run: bool, now: datetime
) -> answers.MovedShape:
    """Return an instance after a command that moves or skips dates, and the coming runs."""
    return {
        "executionInstance": instance_shape(commanded.verdict.instance, now=now),
        "plan": coming_shape(commanded.verdict, coming),
        "dryRun": dry_run,
    }


@omit_unset
def coming_shape(verdict: Verdict, coming: ComingRuns) -> answers.ComingShape:
    """Return the coming runs after a command, and all that will not run, because of the command or by itself."""
    records = verdict.records if isinstance(verdict, Applied) else ()
    instance = verdict.instance
    ranges = [_range_not_run(record) for record in records if record.skipped_cycles is not None]
    closed = [record for record in (*records, *coming.dropped) if record.skipped_cycles is None]
    return {
        "runs": [_coming_run(instance, run) for run in coming.runs],
        "skipped": [*ranges, *(_not_run(coming.skipped, format_instant) or [])] or None,
        "canceledEvents": [_event_not_run(record) for record in closed] or None,
        "truncated": coming.truncated or None,
    }


@omit_unset
def _coming_run(instance: Instance, run: ComingRun) -> answers.ComingRunShape:
    event, move = run.event, run.event.move
    return {
        "sid": event_sid(instance.sid, event.seq) if run.is_stored else None,
        "cycle": event.created_cycle,
        "task": event.task,
        "main": event.is_main,
        "status": event.status,
        "date": format_instant(event.date),
        "plannedDate": None if move is None else format_instant(move.planned),
        "movedBy": None if move is None else move.why,
        "overdue": run.is_overdue or None,
        "afterCancellation": event.after_cancellation or None,
    }


def _range_not_run(record: EventRecord) -> answers.CyclesNotRun:
    """Return the cycles that a closed event stands for."""
    event = record.event
    first, last = record.skipped_cycles or (event.created_cycle, event.created_cycle)
    return {
        "first": first,
        "last": last,
        "date": format_instant(event.first_due_at),
        "until": format_instant(record.skipped_until or event.first_due_at),
        "why": record.why or "",
    }


def _event_not_run(record: EventRecord) -> answers.EventNotRun:
    event = record.event
    return {
        "sid": event_sid(record.instance_sid, event.seq),
        "cycle": event.created_cycle,
        "task": event.task,
        "date": format_instant(event.date),
        "why": record.why or "",
    }


@omit_unset
def _foreseen(
    event: Event, shown: Callable[[datetime], str], *, callback: str | None = None
) -> answers.ForeseenEvent:
    move = event.move
    return answers.ForeseenEvent(
        date=shown(event.date),
        task=event.task,
        status=event.status,
        callback=callback,
        plannedDate=None if move is None else shown(move.planned),
        movedBy=None if move is None else move.why,
    )


def _holiday_data(strategy: Strategy) -> str | None:
    """Return the version of the holiday data, or None if no date depends on it."""
    return f"holidays {holiday_data_version()}" if uses_public_holidays(strategy.definition) else None


def _not_run(
    skipped: Sequence[Skipped], write: Callable[[datetime], str]
) -> list[answers.CyclesNotRun] | None:
    """Return ranges of cycles that will not run, or None if all run."""
    shown: list[answers.CyclesNotRun] = [
        {
            "first": one.first_cycle,
            "last": one.last_cycle,
            "date": write(one.first_at),
            "until": write(one.last_at),
            "why": one.why,
        }
        for one in skipped
    ]
    return shown or None
