"""The meaning of each command, apart from the functions that answer it and carry it out.

Source: docs/api/core.md; docs/decisions/0060 to 0062.
"""

from calendar import monthrange
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from shared.domain.calendar.dates import Unit, format_instant
from shared.domain.instance.event import Event, EventStatus
from shared.domain.instance.model import Instance, InstanceStatus
from shared.domain.instance.zone import zone_of
from shared.domain.strategy.model import Delta, Strategy
from tests.simulation.any_command import Sent
from tests.simulation.promises import Promise


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """The meaning of a command, apart from the functions that answer it and carry it out."""

    strategy: Strategy
    now: datetime
    command: Sent
    before: Instance
    after: Instance
    plan_before: Promise | None
    plan: Promise | None
    forecast_before: dict[int, datetime]
    forecast: dict[int, datetime]

    def check(self) -> None:
        """Check that a command that was not refused has the effect that its words say."""
        checks = {
            "skip": self._skip,
            "reschedule": self._move,
            "reschedule anchor": self._move_anchor,
            "resume": self._resume,
            "cancel at": self._cancel_at,
            "cancel endOfCycle": self._cancel_at_end_of_cycle,
            "pause": self._pause,
            "pause until": self._pause,
            "patch zone": self._zone,
        }
        if self.command.name in checks:
            checks[self.command.name]()

    def _pause(self) -> None:
        """Nothing runs, whatever the strategy says."""
        assert self.after.status is InstanceStatus.PAUSED

    def _skip(self) -> None:
        """The open cycle and its leading-up events do not run if it has not begun; else it ends first."""
        main, after = self.before.main_event, self.after
        assert main is not None
        if after.added == self.before.added:
            return
        if main.has_begun or main.status is EventStatus.QUEUED:
            assert after.event(main.seq) == main
            return
        self._count_skipped(main)
        left = [one for one in after.events if one.is_of_plan and one.created_cycle == main.created_cycle]
        assert all(one.has_begun for one in left), f"{[one.seq for one in left]} of a skipped cycle are open"

    def _count_skipped(self, main: Event) -> None:
        """As many cycles are skipped as the command says, and the next one is the first of the forecast."""
        cycles, count = sorted(self.forecast_before), self.before.plan.to_skip + self.command.body["cycles"]
        # Missed dates that are left fall under their rule.
        is_plain = self.before.status is InstanceStatus.ACTIVE and self.before.cancellation is None
        if main.date < self.now or count >= len(cycles) or not is_plain:
            return
        first = cycles[count]
        assert min(self.forecast, default=None) == first, (
            f"{sorted(self.forecast)} would run, not from {first} on"
        )
        assert self.forecast[first] == self.forecast_before[first]

    def _resume(self) -> None:
        """With ``shift``, the open cycle is as much later as the instance was paused, and not missed.

        The spread of its date must leave it on its local day, so that it may be shorter than before.
        """
        if self.command.body.get("onResume") != "shift":
            return
        before, stop = self.before.main_event, self.before.stop
        after = None if before is None else self.after.event(before.seq)
        calendar = self.strategy.definition.calendars[0]
        if before is None or after is None or stop is None or before.has_begun or calendar.business_days:
            return
        planned, paused = after.planned_date, self.now - stop.at
        is_spread = before.move is not None and before.move.spread_seconds > 0
        zone = zone_of(self.strategy, self.after)
        # One date that was late before the pause moves to now.
        late = max(timedelta(), stop.at - before.date)
        hour = timedelta(hours=1)
        # A spread date that would be on the next day stays on its own; if that is over, the plan continues from now.
        is_moved = paused - hour <= planned - before.planned_date <= paused + late + hour
        assert is_moved or (is_spread and abs(planned - self.now) <= hour), (
            f"planned for {before.planned_date} before, and for {planned} after {paused}"
        )
        is_as_much_later = paused - hour <= after.date - before.date <= paused + late + hour
        before_spread = after.date - timedelta(seconds=0 if after.move is None else after.move.spread_seconds)
        is_of_day = before_spread.astimezone(zone).date() == after.date.astimezone(zone).date()
        assert is_of_day if is_spread else is_as_much_later, f"{before.date} to {after.date}"
        assert late or after.date >= self.now, f"{after.date} is before the resume"

    def _move(self) -> None:
        """The main event is due at the date, and the cycles after it as if nothing had moved."""
        main = self._moved_main()
        if self.plan is None or self.plan_before is None:
            return
        before, after = self.plan_before.main_dates, self.plan.main_dates
        for cycle in before.keys() & after.keys():
            assert cycle <= main.created_cycle or before[cycle] == after[cycle], (
                f"cycle {cycle} was to run at {before[cycle]}, and runs at {after[cycle]}"
            )

    def _move_anchor(self) -> None:
        """The main event is due at the date, and the next cycle is counted from it."""
        main = self._moved_main()
        after = self.strategy.definition.calendars[0].schedule_after
        planned = None if self.plan is None else self.plan.planned_dates.get(main.created_cycle + 1)
        if planned is None or after is None:
            return
        zone = zone_of(self.strategy, self.before)
        day, expected = planned.astimezone(zone).date(), _one_later(main.date.astimezone(zone).date(), after)
        assert day == expected, f"the next cycle is planned for {day} instead of {expected}"

    def _moved_main(self) -> Event:
        main = self.after.main_event
        assert main is not None
        assert format_instant(main.date) == self.command.body["date"], f"it is at {main.date}"
        return main

    def _cancel_at(self) -> None:
        """Nothing that is due at the date or later runs."""
        rows = [] if self.plan is None else self.plan.rows
        late = [row for row in rows if row[2] >= self.command.body["at"] and row[0] != "farewell"]
        assert not late, f"{late} would run after the cancellation"

    def _cancel_at_end_of_cycle(self) -> None:
        """A main event that has begun ends first. Otherwise it never runs, nor anything of its cycle."""
        main, after = self.before.main_event, self.after
        if main is None:
            assert self.before.status is InstanceStatus.CANCELED
            return
        rows = [] if self.plan is None else self.plan.rows
        # A reminder that has begun ends.
        ends = {
            (one.task, one.created_cycle) for one in self.before.events if one.has_begun and not one.is_main
        }
        left = [row for row in rows if row[0] in ("charge", "remind") and row[:2] not in ends]
        if not main.has_begun:
            left = [row for row in left if row[1] >= main.created_cycle]
            assert not left, f"{left} would run after the end of the cycle"
            return
        assert after.event(main.seq) == main, "the cancellation has changed an event that has begun"
        if after.status is InstanceStatus.ACTIVE:
            cycles = {row[1] for row in left if row[0] == "charge"}
            assert cycles == {main.created_cycle}, f"{cycles} would run, not only the cycle that has begun"

    def _zone(self) -> None:
        """Coming cycles keep their local dates and times, unless something else says when they run."""
        main, strategy = self.before.main_event, self.strategy
        if main is None or self._is_counted(main):
            return
        was, now = zone_of(strategy, self.before), zone_of(strategy, self.after)
        for cycle in self.forecast_before.keys() & self.forecast.keys():
            before, after = self.forecast_before[cycle].astimezone(was), self.forecast[cycle].astimezone(now)
            # The date of an event that has begun stays, and a time that the clocks skip is an hour later.
            is_same = abs(after.replace(tzinfo=None) - before.replace(tzinfo=None)) <= timedelta(hours=1)
            assert is_same or (cycle == main.created_cycle and main.has_begun), (
                f"cycle {cycle} was planned for {before}, and is planned for {after}"
            )

    def _is_counted(self, main: Event) -> bool:
        return main.created_cycle == 1 and self.strategy.definition.initial_delay is not None


def _one_later(day: date, after: Delta) -> date:
    """Return a local date one cycle later."""
    if after.unit is Unit.DAYS:
        return day + timedelta(days=after.amount)
    assert (after.unit, after.amount) == (Unit.MONTHS, 1)
    first = (day.replace(day=1) + timedelta(days=32)).replace(day=1)
    return first.replace(day=min(day.day, monthrange(first.year, first.month)[1]))
