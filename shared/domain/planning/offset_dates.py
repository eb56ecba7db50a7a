"""The dates of events beside the main event: before a cycle, after creation, after cancelation.

Source: docs/design.md section 4; docs/contracts/core.md sections 3.1 to 3.3.
"""

from datetime import datetime

from shared.domain.calendar.dates import earlier, later, moment_at
from shared.domain.errors import DateError
from shared.domain.instance.attributes import date_attribute
from shared.domain.instance.model import Instance
from shared.domain.instance.scope import span_of
from shared.domain.planning.cycles import CycleDate, scope_for
from shared.domain.strategy.model import Delta, LeadingUpTask, Strategy


def leading_up_date(
    strategy: Strategy, instance: Instance, entry: LeadingUpTask, main: CycleDate, *, now: datetime
) -> tuple[datetime, str | None]:
    """Return the date of a leading-up task, ``scheduleBefore`` ahead of the main event, and a note about errors.

    It never raises for user data: if no date results, the task runs with the main event.
    """
    zone = strategy.definition.zone
    base = moment_at(main.due, zone)
    delta = entry.schedule_before
    try:
        if delta.from_attribute is not None:
            base = moment_at(date_attribute(instance, delta.from_attribute, zone), zone)
        span, problem = span_of(
            delta, scope_for(delta, strategy, instance, cycle=main.cycle, date=base.at, now=now)
        )
        return earlier(base, span, zone).at, problem
    except DateError as error:
        return main.due, f"scheduleBefore: {error}"


def delayed(
    strategy: Strategy, instance: Instance, delta: Delta | None, base: datetime, *, now: datetime
) -> tuple[datetime, str | None]:
    """Return ``base`` plus a delta, and a note if the delta's callback failed.

    Raises: DateError: if the ``from`` attribute is not a date, or the result cannot be represented.
    """
    if delta is None:
        return base, None
    zone = strategy.definition.zone
    start = base if delta.from_attribute is None else date_attribute(instance, delta.from_attribute, zone)
    span, problem = span_of(
        delta, scope_for(delta, strategy, instance, cycle=instance.plan.cycle, date=start, now=now)
    )
    return later(moment_at(start, zone), span, zone).at, problem
