"""Skipping the next cycles of a plan. Source: docs/contracts/core.md section 5; docs/decisions/0062."""

from datetime import datetime

from msgspec.structs import replace

from shared.domain.calendar.dates import Moment
from shared.domain.errors import Problem
from shared.domain.instance.event import Event
from shared.domain.instance.journal import ClosedBy
from shared.domain.instance.model import Instance, InstanceStatus
from shared.domain.instance.skipped import Skipped
from shared.domain.instance.verdict import Actor, Applied, Change, RefusalRule, Refused, Verdict, audited
from shared.domain.lifecycle.commands import Skip
from shared.domain.lifecycle.repeats import remembering, repeated
from shared.domain.planning.closing import close_all, complete_if_done
from shared.domain.planning.cycles import CycleError, following, outlook
from shared.domain.planning.missed_dates import EVERY, missed_rules
from shared.domain.planning.plan import (
    Replanned,
    close_for,
    continue_from,
    is_planned,
    unbegun_leading_ups,
)
from shared.domain.planning.skipping import SKIPPED, next_to_skip
from shared.domain.strategy.model import Strategy

MAX_TO_SKIP = 100
"""The most cycles that are skipped at once, or wait to be skipped."""


def skip(strategy: Strategy, instance: Instance, command: Skip, *, now: datetime) -> Verdict:
    """Skip the next cycles that would run, the open one first if it has not begun; two commands skip twice as many.

    If the open cycle has begun, it continues, and the next cycles are left out when they are planned. A repeated
    request with the same key returns AlreadyThere. It is refused if a date cannot be computed, because a skip must
    not end a contract.
    """
    repeat = repeated(instance, command)
    if repeat is not None:
        return repeat
    main, moment, why = instance.main_event, instance.plan.moment, _obstacle(instance)
    if why is not None or main is None or moment is None:
        return Refused(instance=instance, why=why or "there is no open cycle", rule=RefusalRule.STATE)
    total = instance.plan.to_skip + command.cycles
    if total > MAX_TO_SKIP:
        message = (
            f"must be at most {MAX_TO_SKIP - instance.plan.to_skip}, with the cycles that are skipped already"
        )
        problem = Problem(pointer="/cycles", rule="range", message=message)
        why = "the request is not valid"
        return Refused(instance=instance, why=why, rule=RefusalRule.INPUT, problems=(problem,))
    by = replace(command.by, options=(*command.by.options, f"cycles={command.cycles}"))
    try:
        if is_planned(main):
            replanned = _skip_open(strategy, instance, main, moment, total, now=now, by=by)
        elif next_to_skip(strategy, instance, 1, now=now) is None:
            return Refused(
                instance=instance, why="no cycle follows the one that has begun", rule=RefusalRule.STATE
            )
        else:
            plan = replace(instance.plan, to_skip=total)
            replanned = Replanned(change=Change(instance=replace(instance, plan=plan, updated_at=now)))
    except CycleError as error:
        return Refused(instance=instance, why=f"nothing was skipped: {error}", rule=RefusalRule.STATE)
    return _audited(instance, replanned, command, main, by=by, now=now)


def _obstacle(instance: Instance) -> str | None:
    """Return why no cycle of the instance can be skipped, or None."""
    if instance.status.is_final:
        return f"the instance is {instance.status.value}"
    schedule = instance.plan.schedule
    if schedule is not None and schedule.is_single:
        return "the instance has a single date, so no other cycle follows; cancel it instead"
    return "the plan has ended" if instance.plan.has_ended else None


def _skip_open(
    strategy: Strategy,
    instance: Instance,
    main: Event,
    moment: Moment,
    total: int,
    *,
    now: datetime,
    by: Actor,
) -> Replanned:
    """Close the open cycle and ``total - 1`` cycles after it as one range, and plan the next one.

    Raises: CycleError.
    """
    later = next_to_skip(strategy, instance, total - 1, now=now)
    skipped = Skipped(
        task=main.task,
        first_cycle=instance.plan.cycle,
        last_cycle=instance.plan.cycle if later is None else later.last_cycle,
        first_at=main.date,
        last_at=main.date if later is None else max(main.date, later.last_at),
        spread_seconds=0 if later is None else later.spread_seconds,
        moment=moment if later is None else later.moment,
        cause=ClosedBy.OPERATOR,
        why=SKIPPED,
    )
    change = close_for(instance, main, skipped, now=now, by=by)
    leading = unbegun_leading_ups(change.instance)
    why = "its main event was skipped"
    change = change.then(
        close_all(change.instance, leading, now=now, why=why, cause=ClosedBy.OPERATOR, by=by)
    )
    after = replace(change.instance, plan=replace(change.instance.plan, to_skip=0))
    # A paused instance decides about its missed dates when it is resumed.
    is_paused = after.status is InstanceStatus.PAUSED
    rule_for = (lambda _: EVERY) if is_paused else missed_rules(strategy, after)
    coming = following(strategy, after, now=now)
    ahead = outlook(strategy, after, coming, now=now, rule_for=rule_for)
    continued = continue_from(strategy, after, ahead, now=now)
    return Replanned(change=change.then(continued.change), skipped=skipped)


def _audited(
    before: Instance, replanned: Replanned, command: Skip, main: Event, *, by: Actor, now: datetime
) -> Applied:
    change = replanned.change.then(complete_if_done(replanned.change.instance, now=now))
    remembered = replace(change, instance=remembering(change.instance, command, main.seq))
    applied = audited(before, remembered, command="skip", by=by, now=now, event=main)
    closed = sum(before.event(record.event.seq) is not None for record in change.records)
    return replace(applied, skipped=replanned.skipped, canceled_events=closed)
