"""Changing what is known of an instance: description, attributes, end date.

Dates that are planned already stay as they are; changed attributes count from the next cycle on. Only an end
date reaches back: a planned cycle that has not begun and lies behind it does not come.
Source: contracts/core.md section 4, row 17, and section 5.
"""

from dataclasses import replace
from datetime import datetime

from shared.domain.instance.attributes import merged
from shared.domain.instance.model import Instance
from shared.domain.instance.verdict import Actor, AlreadyThere, Change, RefusalRule, Refused, Verdict, audited
from shared.domain.lifecycle.commands import Update
from shared.domain.planning.closing import complete_if_done
from shared.domain.planning.plan import Replanned, continue_plan, end_before, is_planned
from shared.domain.planning.start import start_problems
from shared.domain.strategy.model import Strategy


def update(strategy: Strategy, instance: Instance, command: Update, *, now: datetime) -> Verdict:
    """The instance as asked for, checked as a new one would be; AlreadyThere where that changes nothing."""
    if instance.status.is_final:
        return Refused(
            instance=instance, why=f"the instance is {instance.status.value}", rule=RefusalRule.STATE
        )
    wanted = _wanted(instance, command)
    if wanted == instance:
        return AlreadyThere(instance=instance)
    problems = start_problems(strategy, wanted)
    if problems:
        why = "what is asked for is not valid"
        return Refused(instance=instance, why=why, rule=RefusalRule.INPUT, problems=tuple(problems))
    planned = Replanned(change=Change(instance=replace(wanted, updated_at=now)))
    if wanted.plan.end_date != instance.plan.end_date:
        planned = _with_end(strategy, planned.change.instance, by=command.by, now=now)
    change = planned.change.then(complete_if_done(planned.change.instance, now=now))
    applied = audited(instance, change, command="update", by=command.by, now=now)
    return replace(applied, skipped=planned.skipped)


def _wanted(instance: Instance, command: Update) -> Instance:
    attributes = command.attributes
    return replace(
        instance,
        description=instance.description if command.description is None else command.description,
        attributes=instance.attributes if attributes is None else merged(instance, attributes),
        plan=replace(instance.plan, end_date=command.end_date) if command.sets_end_date else instance.plan,
    )


def _with_end(strategy: Strategy, instance: Instance, *, by: Actor, now: datetime) -> Replanned:
    """The plan under another end date: it ends sooner, or goes on where the old date had ended it."""
    main, end = instance.main_event, instance.plan.end_date
    if main is not None and end is not None and main.date > end and is_planned(main):
        change = end_before(strategy, instance, main, now=now, why="behind the end date", by=by)
        return Replanned(change=change)
    if main is None and instance.plan.has_ended:
        return continue_plan(
            strategy, replace(instance, plan=replace(instance.plan, has_ended=False)), now=now
        )
    return Replanned(change=Change(instance=instance))
