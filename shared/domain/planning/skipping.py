"""Cycles that an operator has skipped. Source: docs/decisions/0062."""

from datetime import datetime

from msgspec.structs import replace

from shared.domain.instance.journal import ClosedBy
from shared.domain.instance.model import Instance
from shared.domain.instance.skipped import Skipped
from shared.domain.planning.cycles import CycleDate, following, outlook
from shared.domain.planning.missed_dates import EVERY
from shared.domain.strategy.model import Strategy

SKIPPED = "skipped by an operator"
"""Why a cycle that an operator has skipped does not run."""


def next_to_skip(strategy: Strategy, instance: Instance, count: int, *, now: datetime) -> Skipped | None:
    """Return the range of the next ``count`` cycles after the plan's, or None if the plan ends before the first.

    Cycles that would not run anyway are not counted; those between the others are within the range. If the plan ends,
    there are fewer. Missed dates count like others, because the operator counts cycles. Raises: CycleError.
    """
    found: list[CycleDate] = []
    begin = instance.plan.cycle + 1
    for _ in range(count):
        coming = following(strategy, instance, now=now)
        dated = outlook(strategy, instance, coming, now=now, rule_for=lambda _: EVERY).coming
        if dated is None:
            break
        found.append(dated)
        plan = instance.plan.at_cycle(
            dated.cycle, dated.moment, due=dated.due, spread_seconds=dated.spread_seconds
        )
        instance = replace(instance, plan=plan)
    if not found:
        return None
    return Skipped(
        task=found[0].calendar.task,
        first_cycle=begin,
        last_cycle=found[-1].cycle,
        first_at=found[0].due,
        last_at=found[-1].due,
        spread_seconds=found[-1].spread_seconds,
        moment=found[-1].moment,
        cause=ClosedBy.OPERATOR,
        why=SKIPPED,
    )
