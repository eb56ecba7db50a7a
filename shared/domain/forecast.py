"""What a plan will bring: for a fictitious instance, and for a living one.

The dates come from the functions the engine itself plans with; nothing here computes one.
Source: contracts/core.md section 1.1 (S4) and section 5; design section 4.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from shared.domain.ending import lifecycle_events
from shared.domain.errors import InvalidInputError, Problem
from shared.domain.event import Event, EventKind
from shared.domain.ids import InstanceSid
from shared.domain.instance import Instance
from shared.domain.planning import catch_up, fell_due_while_stopped, open_cycle, plan_next
from shared.domain.recurrence import CycleDate, CycleError, first_cycle, following
from shared.domain.start import NewInstance, blank_instance, start_problems
from shared.domain.strategy import Json, Strategy


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeseenCycle:
    """A cycle to come: its main event and the leading-up ones before it."""

    cycle: int
    main: Event
    leading_up: tuple[Event, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulated:
    """What a strategy would do. on_create: every entry, ``createIf`` not evaluated.

    ended: why no further cycle follows, None where one does.
    """

    on_create: tuple[Event, ...]
    cycles: tuple[ForeseenCycle, ...]
    ended: str | None = None


def simulate(
    strategy: Strategy, *, start_date: datetime, cycles: int, attributes: Mapping[str, Json]
) -> Simulated:
    """The first cycles of a fictitious instance; its start date is taken as now, so no date is late.

    Raises: InvalidInputError: the attributes do not fit, or the first cycle cannot be dated.
    """
    new = NewInstance(
        sid=InstanceSid("simulation"),
        strategy_id=strategy.name,
        shard=0,
        attributes=attributes,
        start_date=start_date,
    )
    instance = blank_instance(strategy, new, now=start_date)
    problems = start_problems(strategy, instance)
    if problems:
        raise InvalidInputError(tuple(problems))
    entries = tuple(replace(entry, create_if=None) for entry in strategy.definition.on_create_tasks)
    with_events = lifecycle_events(
        strategy, instance, entries, EventKind.ON_CREATE, anchor=start_date, now=start_date
    )
    try:
        first = first_cycle(strategy, instance, now=start_date)
    except CycleError as error:
        raise InvalidInputError((Problem(pointer="", rule="create-cycle", message=str(error)),)) from error
    foreseen, ended = _cycles_from(strategy, instance, first, cycles)
    return Simulated(on_create=with_events.events, cycles=foreseen, ended=ended)


def forecast(
    strategy: Strategy, instance: Instance, *, cycles: int, now: datetime
) -> tuple[ForeseenCycle, ...]:
    """The coming cycles of a living instance, the open one first; each taken to run on its date.

    Dates that have passed fall under the rule for late plans, a paused instance taken to be resumed now.
    Empty where the plan has ended.
    """
    if instance.status.is_final:
        return ()
    try:
        instance = catch_up(
            strategy,
            instance,
            now=now,
            on_late=strategy.definition.on_resume,
            fell_due_while_stopped=fell_due_while_stopped(instance),
        ).change.instance
    except CycleError:
        return ()
    foreseen: list[ForeseenCycle] = []
    at = now
    while (main := instance.main_event) is not None and len(foreseen) < cycles:
        leading = tuple(event for event in instance.events if event.kind is EventKind.LEADING_UP)
        foreseen.append(ForeseenCycle(cycle=instance.cycle, main=main, leading_up=leading))
        at = max(at, main.date)
        instance = plan_next(strategy, replace(instance, events=()), now=at).change.instance
    return tuple(foreseen)


def _cycles_from(
    strategy: Strategy, instance: Instance, first: CycleDate, cycles: int
) -> tuple[tuple[ForeseenCycle, ...], str | None]:
    foreseen: list[ForeseenCycle] = []
    dated = first
    while len(foreseen) < cycles:
        planned_at = foreseen[-1].main.date if foreseen else instance.start_date
        opened = open_cycle(strategy, replace(instance, events=()), dated, now=planned_at)
        *leading, main = opened.events
        foreseen.append(ForeseenCycle(cycle=dated.cycle, main=main, leading_up=tuple(leading)))
        try:
            dated = following(strategy, opened, cycle=dated.cycle, moment=dated.moment, now=dated.moment.at)
        except CycleError as error:
            return tuple(foreseen), str(error)
    return tuple(foreseen), None
