"""New dates for events that have not begun, after a change of the attributes that their dates depend on.

Source: docs/decisions/0060.
"""

from collections.abc import Iterator
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from shared.domain.calendar.dates import Moment, in_zone, moment_of, zone_named
from shared.domain.errors import DateError
from shared.domain.instance.event import Event, EventKind, EventStatus, Move
from shared.domain.instance.model import Instance, Plan
from shared.domain.instance.redated import NotRedated, Redated
from shared.domain.instance.verdict import ENGINE, Actor, Change
from shared.domain.instance.zone import zone_or_utc
from shared.domain.planning.closing import close
from shared.domain.planning.cycles import (
    CycleDate,
    CycleError,
    dated_again,
    elapses,
    own_dates_are_fixed,
)
from shared.domain.planning.offset_dates import delayed, leading_up_date
from shared.domain.planning.plan import calendar_of, end_before, entry_of, is_past_end, is_planned
from shared.domain.strategy.model import Calendar, Definition, Delta, LeadingUpTask, LifecycleTask, Strategy

BEGUN = "it has begun, so its date stays"
"""Why an event that a runner has claimed is not moved."""

QUEUED = "it was queued to run now"
"""Why an event that an operator executes is not moved."""

CHANGED = "its date was changed after it was planned, or its cycle is dated in another way now"
"""Why the date of an event does not follow the attribute any more."""

SEVERAL = "several on-create tasks have its task, so it is not known which one it is"
"""Why an on-create event cannot be dated again."""

CLOSED = "its date would be no business day, and its calendar skips those"
"""Why a cycle stays although its business days have changed."""

NO_EVENT = "no planned event depends on it; events that are planned later will"
"""Why a changed attribute moves nothing."""

ELAPSED = "its calendar counts elapsed time, which is the same in every zone"
"""Why a cycle stays if the zone changes."""

OWN = "the instance's own schedule names its date or its zone"
"""Why a cycle of an own schedule stays if the zone changes."""


class Redating(Struct, frozen=True, kw_only=True):
    """A change of attributes with its effect on dates. ``has_ended`` says that the plan ended with it."""

    change: Change
    redated: tuple[Redated, ...] = ()
    not_redated: tuple[NotRedated, ...] = ()
    has_ended: bool = False


def redate(
    strategy: Strategy, before: Instance, after: Instance, *, now: datetime, by: Actor = ENGINE
) -> Redating:
    """Return an instance whose attributes have changed, with its planned events on the dates that follow from them.

    In another zone, an event keeps its local date and time. An event is dated again if it counts ``from`` an
    attribute, or if its business days changed. Events that have begun stay. A cycle that is moved past the end date is
    closed. An attribute that moves nothing is reported with the reason.
    """
    names = sorted({*before.attributes, *after.attributes})
    changed = {name for name in names if before.attributes.get(name) != after.attributes.get(name)}
    named = changed.intersection(_dating_attributes(strategy.definition))
    if not named:
        return Redating(change=Change(instance=after))
    work = _Work(strategy, before, after, frozenset(named), now)
    work.date_on_create_events()
    work.date_cycle()
    work.note_others()
    change = work.change
    main = change.instance.main_event
    has_ended = main is not None and is_planned(main) and is_past_end(change.instance)
    if main is not None and has_ended:
        ended = end_before(strategy, change.instance, main, now=now, why="after the end date", by=by)
        change = change.then(ended)
    open_now = {event.seq for event in change.instance.events}
    return Redating(
        change=change,
        redated=tuple(one for one in work.redated if one.event.seq in open_now),
        not_redated=tuple(work.not_redated),
        has_ended=has_ended,
    )


def _dating_attributes(definition: Definition) -> Iterator[str]:
    """Yield the attributes on which the dates of planned events depend."""
    names: list[str | None] = [definition.zone_attribute]
    names += _of_delta(definition.initial_delay)
    for entry in definition.on_create_tasks:
        names += _of_delta(entry.delay_by)
    for calendar in definition.calendars:
        names += _of_delta(calendar.schedule_after)
        names.append(_closed(calendar))
        for leading in calendar.leading_up_tasks:
            names += _of_delta(leading.schedule_before)
    return (name for name in names if name is not None)


def _of_delta(delta: Delta | None) -> list[str | None]:
    if delta is None:
        return []
    return [delta.from_attribute, None if delta.business_days is None else delta.business_days.closed]


def _closed(calendar: Calendar) -> str | None:
    return None if calendar.business_days is None else calendar.business_days.closed


class _MainMoved(Struct, frozen=True, kw_only=True):
    """A main event was moved because of ``attribute``. Without ``is_counted``, its local date and time are the same."""

    attribute: str
    is_counted: bool


class _Work:
    """The instance while its events are dated again."""

    def __init__(
        self, strategy: Strategy, before: Instance, after: Instance, changed: frozenset[str], now: datetime
    ) -> None:
        self.strategy = strategy
        self.old_attributes = before.attributes
        self.changed = changed
        self.now = now
        self.change = Change(instance=after)
        self.redated: list[Redated] = []
        self.not_redated: list[NotRedated] = []
        # A zone that cannot be read is refused before; this only keeps the decision total.
        self.old_zone, _ = zone_or_utc(strategy.definition, before.attributes)
        self.zone, _ = zone_or_utc(strategy.definition, after.attributes)
        # A migration may have changed the zone since the open cycle was dated.
        dated_in = before.plan.dated_in
        self.dated_zone = self.old_zone if dated_in is None else zone_named(dated_in)
        self.handled: set[str] = set()

    @property
    def instance(self) -> Instance:
        """Return the instance as it is dated so far."""
        return self.change.instance

    @property
    def as_before(self) -> Instance:
        """Return the instance with its old attributes."""
        return replace(self.instance, attributes=self.old_attributes)

    @property
    def zone_attribute(self) -> str | None:
        """Return the attribute that names the zone if it names another one now, else None."""
        return self.strategy.definition.zone_attribute if self.zone.key != self.old_zone.key else None

    def date_on_create_events(self) -> None:
        """Date the on-create events that have not begun."""
        for event in self.instance.events:
            if event.kind is EventKind.ON_CREATE:
                self._date_on_create_event(event)

    def _date_on_create_event(self, event: Event) -> None:
        entries = [one for one in self.strategy.definition.on_create_tasks if one.task == event.task]
        deltas = [one.delay_by for one in entries if one.delay_by is not None]
        names = [delta.from_attribute for delta in deltas if delta.from_attribute in self.changed]
        attribute = next(iter(names), None) or self.zone_attribute
        if attribute is None or not deltas:
            return
        was, date = self._delayed(self.as_before, entries[0]), self._delayed(self.instance, entries[0])
        if len(entries) > 1:
            self._keep(attribute, SEVERAL, event)
        elif was == date:
            self.handled.add(attribute)
        elif not _waits(event):
            self._keep(attribute, _why_it_stays(event), event)
        elif was != event.date or isinstance(date, str):
            self._keep(attribute, date if isinstance(date, str) else CHANGED, event)
        else:
            self._move(attribute, event, date, move=None)

    def _delayed(self, instance: Instance, entry: LifecycleTask) -> datetime | str:
        """Return the date of an on-create event, or why it has none."""
        try:
            return delayed(self.strategy, instance, entry.delay_by, instance.start_date, now=self.now)[0]
        except DateError as error:
            return str(error)

    def date_cycle(self) -> None:
        """Date the open cycle, and note the old zone if its planned date stays."""
        plan, main = self.instance.plan, self.instance.main_event
        if plan.moment is None:
            return
        if main is not None:
            self._date_events(main, plan, plan.moment)
        if self.zone_attribute is not None and self.instance.plan is plan:
            # The next cycle is counted from the same local time in the new zone.
            marked = plan.in_another_zone(self.old_zone.key, self.zone.key)
            self.change = replace(self.change, instance=replace(self.instance, plan=marked))

    def _date_events(self, main: Event, plan: Plan, moment: Moment) -> None:
        """Date the main event of the open cycle, then its leading-up events."""
        plain = replace(self.instance, plan=replace(plan, schedule=None))
        # An own schedule has its dates from itself, and its leading-up tasks from the calendar.
        calendar = calendar_of(self.strategy, plain)
        moved = self._date_main(main, moment, calendar if plan.schedule is None else None)
        if not any(one.event.seq == main.seq for one in self.redated):
            moved = None
        due = plan.due or moment.at
        for event in self.instance.events:
            if event.kind is not EventKind.LEADING_UP or event.created_cycle != plan.cycle:
                continue
            entry = None if calendar is None else entry_of(calendar, main, event)
            if entry is None or calendar is None:
                self._date_unknown(event, moved, due)
            else:
                old = CycleDate(cycle=plan.cycle, moment=moment, due=due, calendar=calendar)
                self._date_leading_up(event, entry, old, moved)

    def _date_main(self, main: Event, moment: Moment, calendar: Calendar | None) -> _MainMoved | None:
        """Date the main event. Return None if it stays."""
        source = self._source_of_main(calendar)
        closed = None if calendar is None else _closed(calendar)
        names = [name for name in (source, closed) if name is not None and name in self.changed]
        attribute = next(iter(names), None) or self.zone_attribute
        if attribute is None:
            return None
        fixed = None if names else self._why_fixed(calendar)
        if fixed is not None or not is_planned(main):
            self._keep(attribute, fixed or _why_it_stays(main), main)
            return None
        found = self._dated_again(calendar, main) if calendar is not None and (names or source) else None
        if isinstance(found, CycleDate):
            main = replace(main, problem=found.problem)
            self._move_main(attribute, main, found.moment, found.due, found.move)
        elif found is not None and names:
            self._keep(attribute, found, main)
        else:
            self._translate_main(attribute, main, moment)
        return _MainMoved(attribute=attribute, is_counted=isinstance(found, CycleDate))

    def _source_of_main(self, calendar: Calendar | None) -> str | None:
        """Return the attribute from which the open cycle is counted, or None."""
        plan, definition = self.instance.plan, self.strategy.definition
        if plan.schedule is not None:
            return None
        delta = definition.initial_delay if plan.cycle == 1 else None
        if plan.cycle > 1 and calendar is not None:
            delta = calendar.schedule_after
        return None if delta is None else delta.from_attribute

    def _why_fixed(self, calendar: Calendar | None) -> str | None:
        """Return why the open cycle has the same date in every zone, or None if it has not."""
        plan = self.instance.plan
        if plan.schedule is not None:
            at_start = plan.schedule.at_once and plan.cycle == 1
            return OWN if at_start or own_dates_are_fixed(plan.schedule) else None
        is_elapsed = calendar is not None and elapses(calendar) and self._source_of_main(calendar) is None
        return ELAPSED if is_elapsed else None

    def _dated_again(self, calendar: Calendar, main: Event) -> CycleDate | str:
        """Return the open cycle as its attributes date it now, or why they do not."""
        try:
            was = dated_again(self.strategy, self.as_before, calendar, now=self.now)
        except CycleError:
            was = None
        # A plan that was shifted, or a date that was moved by hand, must not be undone by an attribute.
        if was is None or was.due != main.date:
            return CHANGED
        try:
            found = dated_again(self.strategy, self.instance, calendar, now=self.now)
        except CycleError as error:
            return str(error)
        return CLOSED if found is None or found.left_out is not None else found

    def _translate_main(self, attribute: str, main: Event, moment: Moment) -> None:
        """Move the main event to the same local date and time in the new zone."""
        try:
            planned = moment_of(moment.anchor, self.zone)
            due = planned.at if main.move is None else in_zone(main.date, self.dated_zone, self.zone)
        except DateError as error:
            self._keep(attribute, str(error), main)
        else:
            move = None if main.move is None else replace(main.move, planned=planned.at)
            self._move_main(attribute, main, planned, due, move)

    def _move_main(
        self, attribute: str, main: Event, moment: Moment, due: datetime, move: Move | None
    ) -> None:
        spread = 0 if move is None else move.spread_seconds
        plan = self.instance.plan.at_cycle(self.instance.plan.cycle, moment, due=due, spread_seconds=spread)
        self.change = replace(self.change, instance=replace(self.instance, plan=plan))
        self._move(attribute, main, due, move=move)

    def _date_unknown(self, event: Event, moved: _MainMoved | None, due: datetime) -> None:
        """Date a leading-up event of which is not known how it was dated."""
        if moved is None:
            return
        if moved.is_counted or not is_planned(event):
            self._keep(moved.attribute, CHANGED if is_planned(event) else _why_it_stays(event), event)
        else:
            self._translate(moved.attribute, event, due)

    def _date_leading_up(
        self, event: Event, entry: LeadingUpTask, old: CycleDate, moved: _MainMoved | None
    ) -> None:
        """Date a leading-up event of the open cycle, which was ``old`` before."""
        source = entry.schedule_before.from_attribute
        names = [
            name for name in _of_delta(entry.schedule_before) if name is not None and name in self.changed
        ]
        of_zone = self.zone_attribute if source is not None else None
        of_main = None if moved is None else moved.attribute
        attribute = next(iter(names), None) or of_main or of_zone
        if attribute is None:
            return
        if not is_planned(event):
            self._keep(attribute, _why_it_stays(event), event)
        elif names or of_zone or moved is None or moved.is_counted:
            self._count_leading_up(attribute, event, entry, old)
        else:
            self._translate(attribute, event, old.due)

    def _count_leading_up(self, attribute: str, event: Event, entry: LeadingUpTask, old: CycleDate) -> None:
        """Date a leading-up event from its main event, or from the attribute that it counts from."""
        plan = self.instance.plan
        new = replace(old, moment=plan.moment or old.moment, due=plan.due or old.due)
        was = leading_up_date(self.strategy, self.as_before, entry, old, now=self.now)
        ahead = leading_up_date(self.strategy, self.instance, entry, new, now=self.now)
        if was.at != event.date:
            self._keep(attribute, CHANGED, event)
            return
        self._move(attribute, replace(event, problem=ahead.problem), ahead.at, move=ahead.move)
        moved = self.instance.event(event.seq)
        if ahead.left_out is not None and ahead.at != event.date and moved is not None:
            # What it says about the date of its main event would be wrong, as if its cycle were planned now.
            why, cause = ahead.left_out.why, ahead.left_out.cause
            closed = close(self.instance, moved, EventStatus.CANCELED, now=self.now, why=why, cause=cause)
            self.change = self.change.then(closed)

    def _translate(self, attribute: str, event: Event, old_due: datetime) -> None:
        """Move a leading-up event to the same local date and time in the new zone, but not after its main event."""
        due = self.instance.plan.due or old_due
        try:
            at = in_zone(event.date, self.dated_zone, self.zone)
            planned = None if event.move is None else in_zone(event.move.planned, self.dated_zone, self.zone)
        except DateError as error:
            self._keep(attribute, str(error), event)
        else:
            # Of two times that the clocks show twice, the order may change.
            at = min(at, due) if event.date <= old_due else at
            move = None if event.move is None or planned is None else replace(event.move, planned=planned)
            self._move(attribute, event, at, move=move)

    def _move(self, attribute: str, event: Event, at: datetime, *, move: Move | None) -> None:
        """Move an event to another date, under a new wakeup name."""
        self.handled.add(attribute)
        known = self.instance.event(event.seq)
        if known is None or known.date == at:
            return
        moved = replace(
            event, date=at, due_at=at, move=move, wakeup_seq=event.wakeup_seq + 1, updated_at=self.now
        )
        self.change = replace(self.change, instance=self.instance.with_event(moved))
        self.redated.append(Redated(event=moved, before=known.date))

    def _keep(self, attribute: str, why: str, event: Event) -> None:
        self.handled.add(attribute)
        self.not_redated.append(NotRedated(attribute=attribute, why=why, event=event))

    def note_others(self) -> None:
        """Note the changed attributes on which no planned event depends."""
        for name in sorted(self.changed - self.handled):
            self.not_redated.append(NotRedated(attribute=name, why=NO_EVENT))


def _waits(event: Event) -> bool:
    """Return whether the event waits only for its date, or on hold."""
    return not event.has_begun and event.status in (EventStatus.PENDING, EventStatus.ONHOLD)


def _why_it_stays(event: Event) -> str:
    return BEGUN if event.has_begun else QUEUED
