"""Changing an instance's description, attributes and end date.

Changed attributes date again the events that depend on them and have not begun; for anything else they apply from the
next cycle on. If the open cycle has not begun and lies after the end date, it is canceled.
Source: docs/contracts/core.md section 4, row 17, and section 5; docs/decisions/0060.
"""

from datetime import datetime

from msgspec.structs import replace

from shared.domain.calendar.dates import format_instant
from shared.domain.instance.attributes import merge_attributes
from shared.domain.instance.model import Instance
from shared.domain.instance.verdict import (
    Actor,
    AlreadyThere,
    Change,
    RefusalRule,
    Refused,
    Verdict,
    audited,
    dates_before,
)
from shared.domain.lifecycle.commands import Update
from shared.domain.planning.closing import complete_if_done
from shared.domain.planning.plan import (
    Replanned,
    continue_plan,
    end_before,
    is_past_end,
    is_planned,
    with_nothing_due,
)
from shared.domain.planning.redate import redate
from shared.domain.planning.start import start_problems
from shared.domain.strategy.model import Strategy


def update(strategy: Strategy, instance: Instance, command: Update, *, now: datetime) -> Verdict:
    """Apply the changes, checked like a new instance; return AlreadyThere if nothing changes."""
    if instance.status.is_final:
        return Refused(
            instance=instance, why=f"the instance is {instance.status.value}", rule=RefusalRule.STATE
        )
    changed = _with_changes(instance, command)
    if changed == instance:
        return AlreadyThere(instance=instance)
    problems = start_problems(strategy, changed)
    if problems:
        why = "the request is not valid"
        return Refused(instance=instance, why=why, rule=RefusalRule.INPUT, problems=tuple(problems))
    redating = redate(strategy, instance, replace(changed, updated_at=now), now=now, by=command.by)
    change, skipped = redating.change, None
    if changed.plan.end_date != instance.plan.end_date and not redating.has_ended:
        planned = _with_end(strategy, change.instance, by=command.by, now=now)
        change, skipped = change.then(planned.change), planned.skipped
    change = change.then(complete_if_done(change.instance, now=now))
    by, event = command.by, next((one.event for one in redating.redated if one.event.is_main), None)
    if redating.redated:
        date = () if event is None else (f"date={format_instant(event.date)}",)
        moved = (f"redated={len(redating.redated)}", *date, *dates_before(instance, change.instance, event))
        by = replace(by, options=(*by.options, *moved))
    applied = audited(instance, change, command="update", by=by, now=now, event=event)
    return replace(applied, skipped=skipped, redated=redating.redated, not_redated=redating.not_redated)


def _with_changes(instance: Instance, command: Update) -> Instance:
    attributes = command.attributes
    return replace(
        instance,
        description=instance.description if command.description is None else command.description,
        attributes=instance.attributes if attributes is None else merge_attributes(instance, attributes),
        plan=replace(instance.plan, end_date=command.end_date) if command.sets_end_date else instance.plan,
    )


def _with_end(strategy: Strategy, instance: Instance, *, by: Actor, now: datetime) -> Replanned:
    """Apply another end date: the plan ends earlier, or continues if the old date had ended it."""
    main = instance.main_event
    if main is not None and is_planned(main) and is_past_end(instance):
        change = end_before(strategy, instance, main, now=now, why="after the end date", by=by)
        return Replanned(change=change)
    if main is None and instance.plan.has_ended:
        instance = with_nothing_due(instance, now=now)
        return continue_plan(
            strategy, replace(instance, plan=replace(instance.plan, has_ended=False)), now=now
        )
    return Replanned(change=Change(instance=instance))
