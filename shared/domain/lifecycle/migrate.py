"""Migrating an instance to another version of its strategy, and the effect on its dates.

Source: docs/design.md section 7; docs/contracts/core.md section 5.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from shared.domain.instance.attributes import attribute_problem
from shared.domain.instance.event import Event
from shared.domain.instance.journal import ClosedBy
from shared.domain.instance.model import Instance
from shared.domain.instance.verdict import AlreadyThere, RefusalRule, Refused, Verdict, audited
from shared.domain.instance.zone import zone_of, zone_or_utc
from shared.domain.lifecycle.commands import Migrate
from shared.domain.planning.closing import complete_if_done
from shared.domain.planning.forecast import Forecast, ForeseenCycle
from shared.domain.planning.plan import calendar_of, cancel_events, with_nothing_due
from shared.domain.strategy.model import Strategy


class PlannedDate(Struct, frozen=True, kw_only=True):
    """A planned date. ``main`` is True if it is a main event."""

    cycle: int
    task: str
    main: bool
    date: datetime


class MovedDate(Struct, frozen=True, kw_only=True):
    """A date of a cycle that moves. ``before`` is the old date."""

    now: PlannedDate
    before: datetime


class PlanChanges(Struct, frozen=True, kw_only=True):
    """The differences between two forecasts of a plan."""

    appear: tuple[PlannedDate, ...] = ()
    vanish: tuple[PlannedDate, ...] = ()
    move: tuple[MovedDate, ...] = ()


def migrate(strategy: Strategy, instance: Instance, command: Migrate, *, now: datetime) -> Verdict:
    """Move the instance to another version. Begun events end on their version, and the next cycle uses the new one.

    Planned events keep their dates. Events that have not begun are canceled if the new version has no such task. If
    a main event is among them, its cycle is skipped and the new version plans the next cycle at once.
    """
    # The flags were read with the version that the instance is on.
    to = replace(command.to, flag_pauses=strategy.flag_pauses)
    if to.version == instance.strategy_version:
        return AlreadyThere(instance=instance)
    if instance.status.is_final:
        return Refused(
            instance=instance, why=f"the instance is {instance.status.value}", rule=RefusalRule.STATE
        )
    problem = attribute_problem(to, instance.attributes)
    if problem is not None:
        why = f"the attributes do not fit version {to.version}: {problem}"
        return Refused(instance=instance, why=why, rule=RefusalRule.ATTRIBUTES)
    searchable = to.definition.searchable
    moved = replace(instance, strategy_version=to.version, searchable=searchable, updated_at=now)
    zone, (old_zone, _) = zone_of(to, moved), zone_or_utc(strategy.definition, instance.attributes)
    if zone.key != old_zone.key:
        # The open cycle keeps its date. The next one counts from the same local date and time in the new zone, or a
        # cron plan for the 1st at nine would run a second time on the same 1st if the new zone is to the west.
        moved = replace(moved, plan=moved.plan.in_another_zone(old_zone.key, zone.key))
    calendar = calendar_of(strategy, instance)
    key = calendar.key if calendar is not None and len(to.definition.calendars) > 1 else None
    moved = replace(moved, plan=replace(moved.plan, calendar=key))
    doomed = [event for event in instance.events if _is_orphaned(event, to)]
    if any(event.is_main for event in doomed):
        moved = with_nothing_due(moved, now=now)
    why = f"version {to.version} has no such task"
    planned = cancel_events(to, moved, doomed, now=now, why=why, cause=ClosedBy.MIGRATION, by=command.by)
    change = planned.change.then(complete_if_done(planned.change.instance, now=now))
    name = f"migrate {instance.strategy_version} to {to.version}"
    applied = audited(instance, change, command=name, by=command.by, now=now)
    return replace(applied, skipped=planned.skipped, canceled_events=len(doomed))


def plan_changes(before: Forecast, after: Forecast) -> PlanChanges:
    """Return the differences between two forecasts. A date is the same if cycle, task and kind are the same.

    Cycles that a truncated forecast lacks are not compared.
    """
    old, new = (dict(_dates(_comparable(found, before, after))) for found in (before, after))
    return PlanChanges(
        appear=tuple(date for key, date in new.items() if key not in old),
        vanish=tuple(date for key, date in old.items() if key not in new),
        move=tuple(
            MovedDate(now=date, before=old[key].date)
            for key, date in new.items()
            if key in old and old[key].date != date.date
        ),
    )


def _is_orphaned(event: Event, to: Strategy) -> bool:
    """Return whether the event would run on the new version, which has no such task."""
    return not event.has_begun and event.task not in to.definition.tasks


def _comparable(found: Forecast, *both: Forecast) -> Sequence[ForeseenCycle]:
    """Return the cycles of a forecast up to the last one of a truncated forecast."""
    lasts = [other.cycles[-1].cycle if other.cycles else 0 for other in both if other.truncated]
    return [cycle for cycle in found.cycles if not lasts or cycle.cycle <= min(lasts)]


def _dates(cycles: Sequence[ForeseenCycle]) -> Iterator[tuple[tuple[int, str, bool, int], PlannedDate]]:
    """Yield the dates of a forecast with their identity; equal kinds within a cycle are numbered."""
    for cycle in cycles:
        seen: dict[tuple[str, bool], int] = {}
        for event in (*cycle.leading_up, cycle.main):
            kind = (event.task, event.is_main)
            seen[kind] = seen.get(kind, 0) + 1
            date = PlannedDate(cycle=cycle.cycle, task=event.task, main=event.is_main, date=event.date)
            yield (cycle.cycle, *kind, seen[kind]), date
