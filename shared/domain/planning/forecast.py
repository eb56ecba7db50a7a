"""The future of a plan, for a fictitious instance or an existing one.

The dates come from the functions with which the engine plans.
Source: docs/contracts/core.md section 1.1 (S4) and section 5; docs/design.md section 4.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from shared.domain.calendar.dates import format_instant
from shared.domain.errors import InvalidInputError
from shared.domain.ids import InstanceSid
from shared.domain.instance.due import CancelDue, next_change
from shared.domain.instance.event import Event, EventKind, EventStatus, PausedFor
from shared.domain.instance.journal import ClosedBy, EventRecord
from shared.domain.instance.model import CancelReason, Instance, Origin, ScheduledCancellation
from shared.domain.instance.skipped import Skipped
from shared.domain.instance.verdict import Actor, Change
from shared.domain.planning.closing import cancel_instance, close_all, lifecycle_events
from shared.domain.planning.cycles import MAX_MISSED_DATES, CycleError, TooManyMissedError, without_spread
from shared.domain.planning.offset_dates import MAIN_OVERDUE
from shared.domain.planning.plan import (
    MAIN_CLOSED,
    Replanned,
    catch_up,
    catch_up_wholly,
    cycle_failed,
    overdue_leading_ups,
    plan_next,
    plan_next_wholly,
    unbegun_leading_ups,
)
from shared.domain.planning.start import NewInstance, blank_instance, first_planned, start_problems
from shared.domain.strategy.model import Json, RuleKind, Strategy
from shared.expressions import Spending, spending
from shared.expressions.limits import FORESIGHT_SECONDS

_BEYOND = 2
"""How many cycles after now the answer to a command shows: the next one, and the one after it."""


class ForeseenCycle(Struct, frozen=True, kw_only=True):
    """A future cycle: its main event, and its leading-up events."""

    cycle: int
    main: Event
    leading_up: tuple[Event, ...]


class Simulated(Struct, frozen=True, kw_only=True):
    """The plan of a fictitious instance.

    ``on_create`` has an event for every entry, because ``createIf`` is not evaluated. ``ended`` is why no further
    cycle follows, or None if one does. ``skipped`` and ``truncated`` are as in ``Forecast``.
    """

    on_create: tuple[Event, ...]
    cycles: tuple[ForeseenCycle, ...]
    skipped: tuple[Skipped, ...] = ()
    ended: str | None = None
    truncated: bool = False


class Forecast(Struct, frozen=True, kw_only=True):
    """The coming cycles of an instance.

    ``skipped`` are the cycles before and between them that will not run. ``truncated`` says that there are fewer cycles
    than could be, because the expressions took too much time together, or too many dates were missed.

    ``cancellation`` is set if no cycle follows because the instance is canceled then. ``reminders`` are the leading-up
    events that still run before it, although their cycle does not, and ``on_cancel`` the events that follow it.
    """

    cycles: tuple[ForeseenCycle, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    truncated: bool = False
    cancellation: ScheduledCancellation | None = None
    reminders: tuple[Event, ...] = ()
    on_cancel: tuple[Event, ...] = ()


def simulate(
    strategy: Strategy, *, start_date: datetime, cycles: int, attributes: Mapping[str, Json]
) -> Simulated:
    """Return the first cycles of a fictitious instance, with its start date as now.

    A date is missed only if ``initialDelay`` moves cycle 1 before the start date; the rule for missed dates then
    applies. Due dates are not spread.
    Raises: InvalidInputError: if the attributes are not valid, or the first cycle cannot be dated.
    """
    new = NewInstance(
        sid=InstanceSid("simulation"),
        origin=Origin(strategy_id=strategy.name),
        shard=0,
        attributes=attributes,
        start_date=start_date,
    )
    strategy = without_spread(strategy)
    instance = blank_instance(strategy, new, now=start_date)
    problems = start_problems(strategy, instance)
    if problems:
        raise InvalidInputError(tuple(problems))
    entries = tuple(replace(entry, create_if=None) for entry in strategy.definition.on_create_tasks)
    with spending(FORESIGHT_SECONDS) as spent:
        with_events = lifecycle_events(
            strategy, instance, entries, EventKind.ON_CREATE, base=start_date, now=start_date
        )
        planned = first_planned(strategy, instance, now=start_date)
        foreseen, after = _foreseen(strategy, planned, cycles, now=start_date, spent=spent)
    return Simulated(
        on_create=with_events.events,
        cycles=foreseen.cycles,
        skipped=foreseen.skipped,
        ended=None if foreseen.truncated else _why_ended(after),
        truncated=foreseen.truncated,
    )


def forecast(strategy: Strategy, instance: Instance, *, cycles: int, now: datetime) -> Forecast:
    """Return the coming cycles of an instance, the open one first, as if each ran on its date.

    Missed dates fall under their rule, as if a paused instance were resumed when its pause ends, or now if it has no
    end. There are no cycles if the plan has ended, and none after a scheduled cancellation.
    """
    return _forecast(strategy, instance, None, most=cycles, now=now)


def forecast_until(
    strategy: Strategy, instance: Instance, until: datetime, *, most: int, now: datetime
) -> Forecast:
    """Return the same as ``forecast``, up to the first cycle after ``until``, but at most ``most`` cycles."""
    return _forecast(strategy, instance, until, most=most, now=now)


def _forecast(
    strategy: Strategy, instance: Instance, until: datetime | None, *, most: int, now: datetime
) -> Forecast:
    canceled = _canceled_before_resumed(instance, now=now)
    if canceled is not None:
        return Forecast(cancellation=canceled, on_cancel=_on_cancel(strategy, instance, canceled, now=now))
    run_ends_at = _end_of_run(strategy, instance, now=now)
    instance, now = _until_resumed(instance, now=now)
    with spending(FORESIGHT_SECONDS) as spent:
        caught_up = _caught_up(strategy, instance, now=now)
        if caught_up is None:
            return Forecast(truncated=spent.is_exhausted)
        found, end = _foreseen(
            strategy, caught_up, most, now=now, until=until, run_ends_at=run_ends_at, spent=spent
        )
        if found.cancellation is None:
            return found
        ends = [event.due_at for event in caught_up.change.instance.events if not end.bars(event)]
        on_cancel = _on_cancel(strategy, end, found.cancellation, now=max([now, *ends]))
        return replace(found, on_cancel=on_cancel)


def _canceled_before_resumed(instance: Instance, *, now: datetime) -> ScheduledCancellation | None:
    """Return the cancellation of a paused instance if it is canceled before its pause ends, or now."""
    change, stop = next_change(instance), instance.stop
    if stop is None or not isinstance(change, CancelDue):
        return None
    return instance.cancellation if stop.until is not None or change.at <= now else None


def _until_resumed(instance: Instance, *, now: datetime) -> tuple[Instance, datetime]:
    """Return an instance whose pause has an end, and the instant from which it runs: that end, or now."""
    stop = instance.stop
    if stop is None or instance.status.is_final:
        return instance, now
    if stop.until is not None:
        return instance, max(now, stop.until)
    # Dates after the resume, which pass while its events run, are not of the pause.
    return replace(instance, stop=replace(stop, until=now)), now


def _end_of_run(strategy: Strategy, instance: Instance, *, now: datetime) -> datetime | None:
    """Return ``now`` if a runner has the main event of an instance that is paused until a date, else None.

    Its call ends the run, and then the next cycle is planned, before the pause ends. If other steps follow the first
    one, the run may stop before them and continue when the pause ends: None.
    """
    stop, main, lease = instance.stop, instance.main_event, instance.lease
    if stop is None or stop.until is None or main is None or main != instance.executing:
        return None
    if lease is None or lease.until <= now or lease.given_back is not None:
        return None
    task = strategy.definition.tasks.get(main.task)
    first = None if task is None else task.steps[task.initial_step]
    is_last = first is not None and not first.next_step and not first.rules_of(RuleKind.CALLBACK)
    return now if is_last else None


def _caught_up(strategy: Strategy, instance: Instance, *, now: datetime) -> Replanned | None:
    """Return the plan after the rule for missed dates, or None if there is none any more."""
    if instance.status.is_final:
        return None
    try:
        return catch_up_wholly(strategy, instance, now=now)
    except CycleError:
        return None


def overdue(strategy: Strategy, instance: Instance, *, now: datetime) -> tuple[Event, ...]:
    """Return the missed main events of an active instance that still run, at most a thousand.

    There are fewer if the expressions take too much time together.
    """
    main = instance.main_event
    if main is None or main.date >= now:
        return ()
    with spending() as spent:
        planned = Replanned(change=Change(instance=instance))
        foreseen, _ = _foreseen(strategy, planned, MAX_MISSED_DATES, now=now, until=now, spent=spent)
    return tuple(cycle.main for cycle in foreseen.cycles if cycle.main.date < now)


class ComingRun(Struct, frozen=True, kw_only=True):
    """An event that will run. ``is_stored`` is False if its cycle is not planned yet.

    ``is_overdue`` means that it has not begun although its date has passed.
    """

    event: Event
    is_stored: bool
    is_overdue: bool


class ComingRuns(Struct, frozen=True, kw_only=True):
    """The coming runs of an instance, and the cycles before and between that will not run.

    ``runs`` are its unfinished events, each missed date that still runs, the next cycle, and the one after that; if a
    cancellation is scheduled, everything before it, and the on-cancel events after it. An event that waits for an
    operator is among them, with its status. ``dropped`` are unfinished events that close without a run. ``truncated``
    means that there are too many cycles or missed dates, or that the expressions took too much time for all of them.
    """

    runs: tuple[ComingRun, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    dropped: tuple[EventRecord, ...] = ()
    truncated: bool = False


def coming_runs(strategy: Strategy, instance: Instance, *, now: datetime) -> ComingRuns:
    """Return the coming runs of an instance if each succeeds on its date; overdue ones run one after another.

    A paused instance is treated as if it were resumed when its pause ends, or now if it has no end.
    """
    canceled = _canceled_before_resumed(instance, now=now)
    if canceled is not None:
        return ComingRuns(
            runs=_as_runs(_on_cancel(strategy, instance, canceled, now=now)),
            dropped=_dropped(instance, instance.events, now=now),
        )
    scheduled, run_ends_at = instance.cancellation, _end_of_run(strategy, instance, now=now)
    instance, now = _until_resumed(instance, now=now)
    planned = Replanned(change=Change(instance=instance))
    if not instance.status.is_final:
        try:
            planned = catch_up_wholly(strategy, instance, now=now)
        except CycleError as error:
            planned = Replanned(change=cycle_failed(strategy, instance, error, now=now))
    change = planned.change
    doomed = overdue_leading_ups(change.instance, now=now)
    change = change.then(
        close_all(change.instance, doomed, now=now, why=MAIN_OVERDUE, cause=ClosedBy.LATE_PLAN)
    )
    planned, after = replace(planned, change=change), change.instance
    foreseen = Forecast(skipped=() if planned.skipped is None else (planned.skipped,))
    lost: tuple[EventRecord, ...] = ()
    end = after
    if not after.status.is_final:
        foreseen, end = _with_next_cycles(strategy, planned, now=now, run_ends_at=run_ends_at)
        lost = _lost(after, foreseen, end, now=now)
        after = after.without(frozenset(record.event.seq for record in lost))
    barred = [event for event in after.events if after.bars(event)]
    dropped = (*change.records, *lost, *_dropped(after, barred, now=now))
    after = after.without(frozenset(event.seq for event in barred))
    unfinished = [event for event in after.events if not after.status.is_final or after.lets_run(event)]
    if planned.is_part:
        # The cycle with which a part ends does not run.
        unfinished = [event for event in unfinished if instance.event(event.seq) is not None]
    later = [cycle for cycle in foreseen.cycles if cycle.main not in unfinished]
    on_cancel: tuple[Event, ...] = ()
    if scheduled is not None and _is_open_then(end, unfinished, barred):
        at = max([now, *(event.due_at for event in unfinished)])
        # The plan stays in its cycle as long as nobody decides about the main event.
        is_waiting = any(event.is_main and _waits_for_somebody(event) for event in unfinished)
        plan = after.plan if is_waiting else end.plan
        on_cancel = _on_cancel(strategy, replace(after, plan=plan), scheduled, now=at)
    return ComingRuns(
        runs=(
            *(
                ComingRun(
                    event=event,
                    is_stored=instance.event(event.seq) is not None,
                    is_overdue=_is_overdue(event, now),
                )
                for event in unfinished
            ),
            *(
                ComingRun(event=event, is_stored=False, is_overdue=_is_overdue(event, now))
                for cycle in later
                for event in (*cycle.leading_up, cycle.main)
            ),
            *(
                ComingRun(event=event, is_stored=False, is_overdue=_is_overdue(event, now))
                for event in foreseen.reminders
                if event not in unfinished
            ),
            *_as_runs(on_cancel),
        ),
        skipped=foreseen.skipped,
        dropped=tuple(record for record in dropped if record.skipped_cycles is None),
        truncated=foreseen.truncated,
    )


def _as_runs(events: Sequence[Event]) -> tuple[ComingRun, ...]:
    """Return events that are not stored yet, and not overdue, as coming runs."""
    return tuple(ComingRun(event=event, is_stored=False, is_overdue=False) for event in events)


def _is_open_then(end: Instance, unfinished: Sequence[Event], barred: Sequence[Event]) -> bool:
    """Return whether the instance neither completes nor ends before its scheduled cancellation.

    ``end`` is the instance after the last cycle that runs. A main event that waits for an operator keeps it open.
    """
    if end.cancel_reason is not None:
        return False
    is_kept_open = any(event.is_main and not _starts(event) for event in unfinished)
    return bool(barred) or end.main_event is not None or is_kept_open


def _on_cancel(
    strategy: Strategy, instance: Instance, scheduled: ScheduledCancellation, *, now: datetime
) -> tuple[Event, ...]:
    """Return the on-cancel events of a cancellation, which takes effect ``now`` if its date is before."""
    by = Actor(name=scheduled.by, reason=scheduled.note)
    at_rest, at = replace(instance, events=(), lease=None), max(now, scheduled.at)
    with spending(FORESIGHT_SECONDS):
        change = cancel_instance(strategy, at_rest, CancelReason.HTTP_REQUEST, by=by, now=at)
    return change.instance.events


def _lost(instance: Instance, foreseen: Forecast, end: Instance, *, now: datetime) -> tuple[EventRecord, ...]:
    """Return the records of the events that a main event closes when it ends, before they could run."""
    main, ahead = instance.main_event, unbegun_leading_ups(instance)
    late = [event for event in ahead if main and _starts(main) and event.due_at > main.due_at]
    cause = ClosedBy.MAIN_EVENT
    closed = close_all(instance, late, now=now, why=MAIN_CLOSED, cause=cause)
    rest = _lost_with_plan(closed.instance, foreseen, end)
    why = f"instance canceled: {CancelReason.CREATE_CYCLE_ERROR.value}"
    return closed.then(close_all(closed.instance, rest, now=now, why=why, cause=ClosedBy.INSTANCE)).records


def _starts(event: Event) -> bool:
    """Return whether an event waits for nothing but its date."""
    return event.status in (EventStatus.PENDING, EventStatus.QUEUED)


def _waits_for_somebody(event: Event) -> bool:
    """Return whether an event waits for an operator's decision, or for an answer without a time limit."""
    if event.pause is not None and event.pause.waits_for in (PausedFor.ANSWER, PausedFor.IN_DOUBT):
        return event.pause.answer_by is None
    # Any other pause ends with that of the instance, which is treated as if it were resumed.
    return event.status is EventStatus.ONHOLD


def _lost_with_plan(instance: Instance, foreseen: Forecast, end: Instance) -> list[Event]:
    """Return the events that do not run because the cycle after the last one cannot be dated: the instance ends."""
    mains = [cycle.main for cycle in foreseen.cycles]
    if (
        not mains
        or not all(_starts(main) for main in mains)
        or end.cancel_reason is not CancelReason.CREATE_CYCLE_ERROR
    ):
        return []
    # What is due no later than one of the main events runs before it ends.
    last = max(main.due_at for main in mains)
    others = [event for event in instance.events if not event.is_main and not event.after_cancellation]
    return [event for event in others if event.due_at > last]


def _with_next_cycles(
    strategy: Strategy, planned: Replanned, *, now: datetime, run_ends_at: datetime | None
) -> tuple[Forecast, Instance]:
    """Return the missed cycles that still run and the next ones, or all before a scheduled cancellation.

    With them comes the instance after them.
    """
    most, scheduled = MAX_MISSED_DATES + _BEYOND, planned.change.instance.cancellation
    until = now if scheduled is None else max(now, scheduled.at)
    with spending() as spent:
        found, end = _foreseen(
            strategy,
            planned,
            most,
            now=now,
            until=until,
            beyond=_BEYOND,
            run_ends_at=run_ends_at,
            spent=spent,
        )
    is_cut = scheduled is not None and len(found.cycles) == most
    return replace(found, truncated=found.truncated or is_cut), end


def _dropped(instance: Instance, events: Sequence[Event], *, now: datetime) -> tuple[EventRecord, ...]:
    """Return the records of the events that a scheduled cancellation closes without a run."""
    scheduled = instance.cancellation
    if scheduled is None:
        return ()
    why = f"the instance is canceled at {format_instant(scheduled.at)}"
    return close_all(instance, events, now=now, why=why, cause=ClosedBy.INSTANCE).records


def _is_overdue(event: Event, now: datetime) -> bool:
    return event.status is EventStatus.PENDING and not event.has_begun and event.date < now


def _why_ended(after: Instance) -> str | None:
    """Return why no further cycle follows, or None if one does."""
    if after.cancel_reason is CancelReason.CREATE_CYCLE_ERROR:
        return after.stop_note
    return "the cron expression has no further date" if after.plan.has_ended else None


def _foreseen(
    strategy: Strategy,
    planned: Replanned,
    cycles: int,
    *,
    now: datetime,
    spent: Spending,
    until: datetime | None = None,
    beyond: int = 1,
    run_ends_at: datetime | None = None,
) -> tuple[Forecast, Instance]:
    """Return up to ``cycles`` cycles, the open one first, as if each ran on its date; and the instance after them.

    With ``until``, the last one is the ``beyond``-th cycle due after that date, before any retry. ``run_ends_at`` is
    when the open cycle ends if that is before ``now``, the end of a pause.
    """
    foreseen: list[ForeseenCycle] = []
    cancellation: ScheduledCancellation | None = None
    reminders: tuple[Event, ...] = ()
    at, instance = now, planned.change.instance
    skipped: list[tuple[Skipped | None, ...]] = [(planned.by_operator, planned.skipped)]
    # Without time, callbacks fail, and the dates that their failure leads to are not those of the plan.
    while not spent.is_exhausted and not planned.is_part and (main := instance.main_event) is not None:
        if len(foreseen) == cycles:
            break
        if until is not None and len(foreseen) >= beyond and foreseen[-beyond].main.first_due_at > until:
            break
        leading = tuple(event for event in instance.events if event.kind is EventKind.LEADING_UP)
        if instance.bars(main):
            cancellation = instance.cancellation
            reminders = tuple(event for event in leading if not instance.bars(event))
            break
        foreseen.append(ForeseenCycle(cycle=instance.plan.cycle, main=main, leading_up=leading))
        # A step that waits ends its run later than on its date.
        at = max(at, main.date, main.due_at if main.status is EventStatus.PENDING else at)
        at_rest = replace(instance, events=())
        if run_ends_at is None:
            planned = plan_next_wholly(strategy, at_rest, now=at)
            skipped.append((planned.by_operator, planned.skipped))
        else:
            first = plan_next(strategy, at_rest, now=run_ends_at)
            planned, run_ends_at = _after_pause(strategy, first, now=at), None
            skipped.append((first.by_operator, first.skipped, planned.skipped))
        instance = planned.change.instance
    truncated = (spent.is_exhausted or planned.is_part) and len(foreseen) < cycles
    # What is skipped after the last cycle shown belongs to the next ones, unless none is shown before a cancellation.
    if instance.main_event is not None and not planned.is_part and (foreseen or cancellation is None):
        skipped.pop()
    not_run = tuple(one for pair in skipped for one in pair if one is not None)
    found = Forecast(
        cycles=tuple(foreseen),
        skipped=not_run,
        truncated=truncated,
        cancellation=cancellation,
        reminders=reminders,
    )
    return found, instance


def _after_pause(strategy: Strategy, planned: Replanned, *, now: datetime) -> Replanned:
    """Return a plan whose open cycle was planned during a pause that ends now; only its skipped dates are new."""
    instance = planned.change.instance
    try:
        planned = catch_up(strategy, instance, now=now)
    except TooManyMissedError:
        return Replanned(change=Change(instance=instance), is_part=True)
    except CycleError as error:
        return Replanned(change=cycle_failed(strategy, instance, error, now=now))
    doomed = frozenset(event.seq for event in overdue_leading_ups(planned.change.instance, now=now))
    return replace(planned, change=Change(instance=planned.change.instance.without(doomed)))
