"""Dates that a callback moves. Source: docs/design.md section 4; docs/decisions/0005 and 0056."""

from datetime import datetime, timedelta
from itertools import islice, pairwise

import pytest

from shared.domain.instance.event import EventStatus, Move
from shared.domain.instance.journal import ClosedBy
from shared.domain.instance.model import CancelReason, InstanceStatus
from shared.domain.lifecycle.commands import AddEvent, Pause, Resume, Update
from shared.domain.planning.cycles import MAX_MISSED_DATES, CycleDate, coming_cycles, first_cycle
from shared.domain.planning.forecast import forecast
from shared.domain.strategy.model import Json, OnResume, Strategy
from tests.lifecycle_factories import (
    ANN,
    DAILY,
    MONTHLY,
    Life,
    at,
    by_cron,
    calendar,
    life,
    new,
    shown,
    strategy,
)

SATURDAY, SUNDAY = 6, 0
TO_MONDAY = (
    "date.getDayOfWeek('UTC') == 6 ? addDays(date, 2, 'UTC') : "
    "date.getDayOfWeek('UTC') == 0 ? addDays(date, 1, 'UTC') : date"
)
TO_FRIDAY = (
    "date.getDayOfWeek('UTC') == 6 ? addDays(date, -1, 'UTC') : "
    "date.getDayOfWeek('UTC') == 0 ? addDays(date, -2, 'UTC') : date"
)


def cycles_of(of: Strategy, start: str, *, cycles: int, **attributes: Json) -> list[CycleDate]:
    """Return the first cycles of a plan, those that coincide included."""
    instance = life(of, new(start, **attributes), now=start).instance
    first = first_cycle(of, instance, now=at(start))
    return list(islice(coming_cycles(of, instance, first, now=at(start)), cycles))


def due(of: Strategy, start: str, *, cycles: int) -> list[str]:
    """Return when the first cycles are due, without those that do not run."""
    return shown(*(one.due for one in cycles_of(of, start, cycles=cycles) if one.left_out is None))


def days(dated: list[CycleDate]) -> set[int]:
    return {one.moment.at.day for one in dated}


class TestTheAnchorStays:
    """A moved date is the due date of its cycle only; the next one is computed from the planned date."""

    def test_the_15th_or_monday(self) -> None:
        of = strategy(calendar(nextCycleDateCallback=TO_MONDAY))
        planned = cycles_of(of, "2026-01-15T09:00", cycles=60)
        assert days(planned) == {15}
        assert {one.due.isoweekday() for one in planned} <= {1, 2, 3, 4, 5}
        assert shown(*(one.due for one in planned[:7])) == [
            "2026-01-15T09:00",
            "2026-02-16T09:00",
            "2026-03-16T09:00",
            "2026-04-15T09:00",
            "2026-05-15T09:00",
            "2026-06-15T09:00",
            "2026-07-15T09:00",
        ]

    def test_the_28th_or_the_friday_before(self) -> None:
        of = strategy(by_cron("0 9 28 * *", nextCycleDateCallback=TO_FRIDAY))
        planned = cycles_of(of, "2026-01-28T09:00", cycles=60)
        assert len(planned) == 60
        assert (days(planned), planned[-1].moment.at) == ({28}, at("2030-12-28T09:00"))
        assert shown(*(one.due for one in planned[:4])) == [
            "2026-01-28T09:00",
            "2026-02-27T09:00",
            "2026-03-27T09:00",
            "2026-04-28T09:00",
        ]

    def test_the_working_day_before_the_first_is_twelve_times_a_year(self) -> None:
        of = strategy(by_cron("0 9 1 * *", nextCycleDateCallback=TO_FRIDAY))
        planned = cycles_of(of, "2026-01-01T09:00", cycles=121)
        assert all(one.left_out is None for one in planned)
        assert planned[-1].moment.at == at("2036-01-01T09:00")
        assert all(earlier.due < later.due for earlier, later in pairwise(planned))

    def test_the_31st_returns_after_a_moved_date_in_a_short_month(self) -> None:
        of = strategy(calendar(MONTHLY, nextCycleDateCallback=TO_MONDAY))
        assert due(of, "2026-01-31", cycles=4) == [
            "2026-01-31T00:00",
            "2026-03-02T00:00",
            "2026-03-31T00:00",
            "2026-04-30T00:00",
        ]

    def test_a_callback_that_returns_the_planned_date_moves_nothing(self) -> None:
        (_, second) = cycles_of(strategy(calendar(nextCycleDateCallback="date")), "2026-01-31", cycles=2)
        assert (second.due, second.move) == (second.moment.at, None)

    def test_callbacks_see_the_planned_date_of_the_cycle_before(self) -> None:
        to_july = "date.getMonth() == 1 ? timestamp('2026-07-01T00:00:00Z') : date"
        of = strategy(
            calendar(nextCycleDateCallback=to_july),
            calendar(key="june", runOnCycleCallback="date.getMonth() == 5"),
        )
        planned = cycles_of(of, "2026-01-10", cycles=8)
        assert [one.calendar.key for one in planned] == [*["plan"] * 6, "june", "plan"]


class TestTheOpenCycle:
    """The event is due on the moved date, and says so."""

    def begun(self, **request: str) -> Life:
        of = life(strategy(calendar(nextCycleDateCallback=TO_MONDAY)), new("2026-01-15", **request))
        of.run(of.main, at("2026-01-15"))
        return of

    def test_the_event_has_both_dates(self) -> None:
        of = self.begun()
        assert of.open == [("bill", "2026-02-16T00:00")]
        assert of.main.move == Move(planned=at("2026-02-15"), why="nextCycleDateCallback of calendar plan")
        assert (of.instance.plan.due, of.instance.plan.moment) != (None, None)
        assert of.instance.plan.moved_to == at("2026-02-16")

    def test_the_next_event_has_the_anchor_again(self) -> None:
        of = self.begun()
        of.run(of.main, at("2026-02-16"))
        of.run(of.main, at("2026-03-16"))
        assert (of.open, of.main.move) == ([("bill", "2026-04-15T00:00")], None)
        assert of.instance.plan.moved_to is None

    def test_leading_up_events_count_from_the_due_date(self) -> None:
        ahead = [{"task": "remind", "scheduleBefore": {"unit": "days", "amount": 3}}]
        of = life(
            strategy(calendar(nextCycleDateCallback=TO_MONDAY, leadingUpTasks=ahead)), new("2026-01-15")
        )
        of.run(of.main, at("2026-01-15"))
        assert of.open == [("remind", "2026-02-13T00:00"), ("bill", "2026-02-16T00:00")]

    def test_a_date_is_missed_when_its_due_date_has_passed(self) -> None:
        of = self.begun()
        of.decide(Pause(by=ANN), at("2026-02-10"))
        verdict = of.applied(Resume(by=ANN, on_late=OnResume.SKIP), at("2026-02-15T12:00"))
        assert (verdict.skipped, of.open) == (None, [("bill", "2026-02-16T00:00")])

    def test_a_missed_date_is_recorded_with_its_due_date(self) -> None:
        of = self.begun()
        of.decide(Pause(by=ANN), at("2026-02-10"))
        verdict = of.applied(Resume(by=ANN, on_late=OnResume.SKIP), at("2026-02-17"))
        assert verdict.skipped is not None
        assert (verdict.skipped.first_at, verdict.skipped.last_at) == (at("2026-02-16"), at("2026-02-16"))
        assert of.open == [("bill", "2026-03-16T00:00")]

    def test_a_plan_that_ended_with_a_skipped_range_continues_from_its_anchor(self) -> None:
        of = life(strategy(), new("2026-01-31", end_date="2026-03-01"))
        # It keeps the instance ACTIVE, so that its end date can change.
        of.applied(AddEvent(task="greet", by=ANN, date=at("2026-06-01")), at("2026-01-30"))
        of.decide(Pause(by=ANN), at("2026-01-30"))
        of.applied(Resume(by=ANN, on_late=OnResume.SKIP), at("2026-03-02"))
        assert of.open == [("greet", "2026-06-01T00:00")]
        of.applied(Update(end_date=at("2026-12-31"), sets_end_date=True, by=ANN), at("2026-03-02"))
        assert of.open == [("greet", "2026-06-01T00:00"), ("bill", "2026-03-31T00:00")]

    def test_shift_moves_both_dates(self) -> None:
        of = self.begun()
        of.decide(Pause(by=ANN), at("2026-02-01"))
        of.applied(Resume(by=ANN, on_late=OnResume.SHIFT), at("2026-02-04"))
        assert of.open == [("bill", "2026-02-19T00:00")]
        assert of.main.move == Move(
            planned=at("2026-02-18"),
            why="nextCycleDateCallback of calendar plan, before the plan was shifted",
        )
        of.run(of.main, at("2026-02-19"))
        assert of.open == [("bill", "2026-03-18T00:00")]

    @pytest.mark.parametrize(
        ("end", "is_planned"),
        [("2026-02-14", False), ("2026-02-15T12:00", False), ("2026-02-16", True), ("2026-02-17", True)],
    )
    def test_nothing_is_planned_or_due_after_the_end_date(self, end: str, is_planned: bool) -> None:  # noqa: FBT001
        of = self.begun(end_date=end)
        assert (of.open == [("bill", "2026-02-16T00:00")]) is is_planned
        assert (of.instance.status is InstanceStatus.COMPLETED) is not is_planned

    @pytest.mark.parametrize(("end", "stays"), [("2026-02-15T12:00", False), ("2026-02-16", True)])
    def test_an_earlier_end_date_closes_a_cycle_that_is_due_after_it(self, end: str, stays: bool) -> None:  # noqa: FBT001
        of = self.begun()
        of.applied(Update(end_date=at(end), sets_end_date=True, by=ANN), at("2026-02-01"))
        assert (of.open == [("bill", "2026-02-16T00:00")]) is stays

    def test_a_date_before_the_planned_one_is_limited_by_the_planned_one(self) -> None:
        of = life(
            strategy(by_cron("0 0 1 * *", nextCycleDateCallback=TO_FRIDAY)),
            new("2026-01-01", end_date="2026-01-31"),
        )
        of.run(of.main, at("2026-01-01"))
        assert of.instance.status is InstanceStatus.COMPLETED


class TestCyclesThatCoincide:
    """Cycles whose due dates coincide run once; the others are skipped (COINCIDES)."""

    def daily(self) -> Strategy:
        return strategy(calendar(DAILY, nextCycleDateCallback=TO_MONDAY))

    def test_the_first_of_them_runs(self) -> None:
        # 2 January 2026 is a Friday.
        assert due(self.daily(), "2026-01-02", cycles=7) == [
            "2026-01-02T00:00",
            "2026-01-05T00:00",
            "2026-01-06T00:00",
            "2026-01-07T00:00",
            "2026-01-08T00:00",
        ]

    def test_the_others_are_one_record_with_the_reason(self) -> None:
        of = life(self.daily(), new("2026-01-02"), now="2026-01-02")
        of.run(of.main, at("2026-01-02"))
        of.run(of.main, at("2026-01-05"))
        assert (of.open, of.instance.plan.cycle) == ([("bill", "2026-01-06T00:00")], 5)
        (record,) = [record for record in of.records if record.closed_by is ClosedBy.COINCIDES]
        assert (record.skipped_cycles, record.event.status) == ((3, 4), EventStatus.CANCELED)
        assert record.why == (
            "skipped: cycle 3 would be due on 2026-01-05T00:00:00.000Z, and one that is due on "
            "2026-01-05T00:00:00.000Z is before it; and 1 more"
        )
        assert (record.event.date, record.skipped_until) == (at("2026-01-04"), at("2026-01-05"))

    def test_a_date_before_the_last_one_does_not_run_either(self) -> None:
        callback = "cycle == 3 ? date - duration('720h') : date"
        of = life(
            strategy(calendar(DAILY, nextCycleDateCallback=callback)), new("2026-01-01"), now="2026-01-01"
        )
        of.run(of.main, at("2026-01-01"))
        of.run(of.main, at("2026-01-02"))
        assert (of.open, of.instance.plan.cycle) == ([("bill", "2026-01-04T00:00")], 4)

    def test_a_date_a_second_later_runs(self) -> None:
        callback = "cycle == 3 ? date - duration('86399s') : date"
        assert due(strategy(calendar(DAILY, nextCycleDateCallback=callback)), "2026-01-01", cycles=3) == [
            "2026-01-01T00:00",
            "2026-01-02T00:00",
            "2026-01-02T00:00:01",
        ]

    @pytest.mark.parametrize("on_late", [OnResume.LAST, OnResume.ALL, OnResume.SKIP])
    def test_a_plan_of_which_no_cycle_runs_any_more_ends_with_an_error(self, on_late: OnResume) -> None:
        constant = "timestamp('2026-01-03T00:00:00Z')"
        of = life(
            strategy(calendar(DAILY, nextCycleDateCallback=constant), onResume=on_late.value),
            new("2026-01-01"),
            now="2026-01-01",
        )
        of.run(of.main, at("2026-01-01"))
        assert of.open == [("bill", "2026-01-03T00:00")]
        of.run(of.main, at("2026-01-03"))
        assert of.instance.cancel_reason is CancelReason.CREATE_CYCLE_ERROR
        assert of.instance.stop_note == f"more than {MAX_MISSED_DATES} planned dates do not run"

    def test_missed_ones_are_skipped_with_the_rest(self) -> None:
        of = life(self.daily(), new("2026-01-02"), now="2026-01-02")
        of.decide(Pause(by=ANN), at("2026-01-01"))
        verdict = of.applied(Resume(by=ANN, on_late=OnResume.SKIP), at("2026-01-05T12:00"))
        assert verdict.skipped is not None
        assert (verdict.skipped.first_cycle, verdict.skipped.last_cycle) == (1, 4)
        assert (of.open, verdict.skipped.cause) == ([("bill", "2026-01-06T00:00")], ClosedBy.LATE_PLAN)

    def test_of_missed_ones_that_coincide_the_first_runs_under_last(self) -> None:
        of = life(self.daily(), new("2026-01-02"), now="2026-01-02")
        of.decide(Pause(by=ANN), at("2026-01-01"))
        verdict = of.applied(Resume(by=ANN, on_late=OnResume.LAST), at("2026-01-05T12:00"))
        assert verdict.skipped is not None
        assert (verdict.skipped.first_cycle, verdict.skipped.last_cycle) == (1, 1)
        assert (of.open, of.instance.plan.cycle) == ([("bill", "2026-01-05T00:00")], 2)

    def test_a_single_missed_date_that_others_coincide_with_still_runs(self) -> None:
        of = life(self.daily(), new("2026-01-03"), now="2026-01-03")
        of.run(of.main, at("2026-01-03"))
        # Sunday's and Monday's cycles are both due on Monday.
        assert (of.open, of.instance.plan.cycle) == ([("bill", "2026-01-05T00:00")], 2)
        of.decide(Pause(by=ANN), at("2026-01-04"))
        verdict = of.applied(Resume(by=ANN, on_late=OnResume.LAST), at("2026-01-05T12:00"))
        assert (of.open, verdict.skipped) == ([("bill", "2026-01-05T00:00")], None)

    def test_the_cycles_at_the_end_of_a_plan_are_recorded(self) -> None:
        of = life(
            strategy(calendar(DAILY, nextCycleDateCallback=TO_FRIDAY)),
            new("2026-01-02", end_date="2026-01-04"),
            now="2026-01-02",
        )
        of.run(of.main, at("2026-01-02"))
        assert of.instance.status is InstanceStatus.COMPLETED
        assert [record.skipped_cycles for record in of.records] == [None, (2, 3)]

    def test_the_forecast_is_what_happens(self) -> None:
        of = life(self.daily(), new("2026-01-02"), now="2026-01-02")
        foreseen = [
            one.main.date
            for one in forecast(of.strategy, of.instance, cycles=20, now=at("2026-01-02")).cycles
        ]
        ran: list[datetime] = []
        for _ in range(20):
            ran.append(of.main.date)
            of.run(of.main, of.main.date + timedelta(minutes=1))
        assert foreseen == ran
