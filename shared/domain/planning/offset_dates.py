"""The dates of events beside the main event: before a cycle, after creation, after cancelation.

Source: docs/design.md section 4; docs/contracts/core.md sections 3.1 to 3.3.
"""

from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from shared.domain.calendar.business_days import Adjusted
from shared.domain.calendar.dates import earlier, later, moment_at
from shared.domain.errors import DateError
from shared.domain.instance.attributes import adjusted, date_attribute
from shared.domain.instance.due import GRACE
from shared.domain.instance.event import Move
from shared.domain.instance.journal import ClosedBy
from shared.domain.instance.model import Instance
from shared.domain.instance.scope import span_of
from shared.domain.instance.zone import zone_of
from shared.domain.planning.cycles import CycleDate, LeftOut, scope_for
from shared.domain.strategy.model import Delta, LeadingUpTask, Strategy

TOO_LATE = "skipped: its date had passed when its cycle was planned"
"""Why a leading-up task without ``runLate`` does not run."""

MAIN_OVERDUE = "skipped: its main event is overdue too"
"""Why an overdue leading-up task does not run although it may be late."""


class LeadingUpDate(Struct, frozen=True, kw_only=True):
    """The date of a leading-up task.

    ``move`` is set if a business-day rule has moved it. ``left_out`` says why the task does not run, None if it does.
    ``problem`` describes an error; the task then runs with the main event.
    """

    at: datetime
    move: Move | None = None
    left_out: LeftOut | None = None
    problem: str | None = None


def leading_up_date(
    strategy: Strategy, instance: Instance, entry: LeadingUpTask, main: CycleDate, *, now: datetime
) -> LeadingUpDate:
    """Return the date of a leading-up task: ``scheduleBefore`` ahead of the main event, on a business day.

    It is left out if that is no business day, or if it is too late for it when its cycle is planned, at ``now``.
    A business day is never after the main event. Nothing is raised for user data.
    """
    ahead = _ahead_of(strategy, instance, entry, main, now=now)
    if ahead.left_out is not None or not is_overdue(ahead.at, now=now):
        return ahead
    if entry.run_late and not is_overdue(main.due, now=now):
        return ahead
    left_out = LeftOut(cause=ClosedBy.LATE_PLAN, why=MAIN_OVERDUE if entry.run_late else TOO_LATE)
    return replace(ahead, left_out=left_out)


def is_overdue(date: datetime, *, now: datetime) -> bool:
    """Return whether a date passed longer ago than the engine may be late."""
    # A main event ends some seconds after its date, or minutes after a lost wakeup, and only then is the next cycle
    # planned. This must not cost a reminder that is due in just these minutes.
    return now - date > GRACE


def _ahead_of(
    strategy: Strategy, instance: Instance, entry: LeadingUpTask, main: CycleDate, *, now: datetime
) -> LeadingUpDate:
    """Return the date of a leading-up task, whether it has passed or not."""
    delta = entry.schedule_before
    try:
        zone = zone_of(strategy, instance)
        base = moment_at(main.due, zone)
        if delta.from_attribute is not None:
            base = moment_at(date_attribute(instance, delta.from_attribute, zone), zone)
        span, problem = span_of(
            delta, scope_for(delta, strategy, instance, cycle=main.cycle, date=base.at, now=now)
        )
        planned = earlier(base, span, zone)
        rule = delta.business_days
        day, note = (
            (Adjusted(at=planned.at), None) if rule is None else adjusted(instance, rule, planned, zone)
        )
    except DateError as error:
        return LeadingUpDate(at=main.due, problem=f"scheduleBefore: {error}")
    problem = problem or note
    if day.at is None:
        left_out = LeftOut(cause=ClosedBy.NO_BUSINESS_DAY, why=f"skipped: {day.why}")
        return LeadingUpDate(at=planned.at, left_out=left_out, problem=problem)
    if day.why is None:
        return LeadingUpDate(at=planned.at, problem=problem)
    # After its main event it would not run at all.
    at = min(day.at, max(planned.at, main.due))
    return LeadingUpDate(at=at, move=Move(planned=planned.at, why=day.why), problem=problem)


def delayed(
    strategy: Strategy, instance: Instance, delta: Delta | None, base: datetime, *, now: datetime
) -> tuple[datetime, str | None]:
    """Return ``base`` plus a delta, and a note if the delta's callback failed.

    Raises: DateError: if the ``from`` attribute is not a date, or the result cannot be represented.
    """
    if delta is None:
        return base, None
    zone = zone_of(strategy, instance)
    start = base if delta.from_attribute is None else date_attribute(instance, delta.from_attribute, zone)
    span, problem = span_of(
        delta, scope_for(delta, strategy, instance, cycle=instance.plan.cycle, date=start, now=now)
    )
    return later(moment_at(start, zone), span, zone).at, problem
