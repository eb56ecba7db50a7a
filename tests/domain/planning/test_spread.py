"""Due dates that are spread over minutes, so that not everybody is due at once. Source: docs/decisions/0065."""

from collections import Counter
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from shared.domain.calendar.dates import moment_at, zone_named
from shared.domain.ids import InstanceSid
from shared.domain.instance.event import Move
from shared.domain.instance.journal import ClosedBy
from shared.domain.instance.model import CancelReason, InstanceStatus
from shared.domain.instance.run import Ending
from shared.domain.lifecycle.commands import Migrate, Pause, Reschedule, Resume, Skip, Update
from shared.domain.planning.forecast import forecast, simulate
from shared.domain.strategy.model import Json, OnResume, Strategy
from tests.coming import assert_foreseen
from tests.lifecycle_factories import (
    ANN,
    DAILY,
    Life,
    at,
    by_cron,
    calendar,
    ended,
    life,
    new,
    reminded,
    retries,
    strategy,
)

NINE = "2026-01-31T09:00"


def spread(minutes: int = 10, **members: Json) -> Strategy:
    """Return a bill at nine on the last day of each month, spread."""
    return strategy(calendar(spreadMinutes=minutes, **members))


def begun(of: Strategy, start: str = NINE, *, sid: str = "i-1", end: str | None = None) -> Life:
    """Return the life of a new instance with a sid."""
    return life(of, replace(new(start, end_date=end), sid=InstanceSid(sid)), now="2026-01-01")


def part(of: Life) -> timedelta:
    """Return how much later than planned the open main event is due."""
    return of.main.date - of.main.planned_date


class TestOneInstance:
    """It is due at the same time after each planned date, and the next date is counted from the planned one."""

    def test_each_cycle_has_the_same_part(self) -> None:
        of, parts, planned = begun(spread()), set(), []
        for _ in range(14):
            parts.add(part(of))
            planned.append(of.main.planned_date)
            of.run(of.main, of.main.due_at)
        assert len(parts) == 1
        assert timedelta() < parts.pop() < timedelta(minutes=10)
        assert planned[:3] == [at(NINE), at("2026-02-28T09:00"), at("2026-03-31T09:00")]
        assert planned[-1] == at("2027-02-28T09:00")

    def test_the_event_says_why(self) -> None:
        of = begun(spread())
        seconds = int(part(of).total_seconds())
        assert of.main.move == Move(planned=at(NINE), why="spread over 10 minutes", spread_seconds=seconds)
        assert (of.main.due_at, of.instance.plan.due) == (of.main.date, of.main.date)

    def test_another_reason_is_named_too(self) -> None:
        # Saturday 31 January moves to Monday.
        of = begun(spread(1, businessDays={"convention": "following"}))
        assert of.main.move is not None
        assert of.main.move.why == "Saturday 31 January 2026 is a weekend day; spread over 1 minute"
        assert at("2026-02-02T09:00") < of.main.date < at("2026-02-02T09:01")

    def test_a_leading_up_event_keeps_its_distance(self) -> None:
        of = begun(strategy(reminded(spreadMinutes=10)))
        assert of.main.date - of.event("remind").date == timedelta(days=3)

    def test_a_cron_calendar_is_spread_too(self) -> None:
        of = begun(strategy(by_cron("0 9 1 * *", spreadMinutes=10)))
        assert at("2026-02-01T09:00") < of.main.date < at("2026-02-01T09:10")

    def test_a_retry_counts_from_its_attempt(self) -> None:
        of = begun(strategy(calendar(spreadMinutes=10), retry=retries()))
        now = of.main.due_at
        of.run(of.main, now, ended(Ending.RETRY, now))
        assert of.main.due_at == now + timedelta(hours=1)

    def test_what_is_foreseen_runs(self) -> None:
        of = begun(strategy(reminded(spreadMinutes=90)))
        assert_foreseen(of, at("2026-01-30"))
        ahead = forecast(of.strategy, of.instance, cycles=12, now=at("2026-01-30")).cycles
        assert {one.main.date - one.main.planned_date for one in ahead} == {part(of)}

    def test_a_calendar_without_it_is_not_spread(self) -> None:
        of = begun(strategy(calendar()))
        assert (of.main.date, of.main.move, of.instance.plan.moved_to) == (at(NINE), None, None)


class TestManyInstances:
    """They are spread evenly over the window, and none is due outside it."""

    @pytest.mark.parametrize("minutes", [1, 10, 60, 1440])
    def test_all_are_in_the_window(self, minutes: int) -> None:
        under = strategy(calendar(spreadMinutes=minutes))
        parts = [part(begun(under, "2026-01-31", sid=f"i-{number}")) for number in range(2000)]
        assert min(parts) >= timedelta()
        assert max(parts) < timedelta(minutes=minutes)
        tenths = Counter(int(10 * one / timedelta(minutes=minutes)) for one in parts)
        assert sorted(tenths) == [*range(10)]
        # Two hundred are expected in each; five standard deviations are 67.
        assert all(133 <= count <= 267 for count in tenths.values())

    @settings(max_examples=150, deadline=None)
    @given(
        sid=st.text("0123456789abcdef", min_size=8, max_size=8),
        minutes=st.integers(1, 1440),
        minute=st.integers(0, 1439),
        zone=st.sampled_from(["UTC", "Asia/Manila", "America/New_York", "Europe/Berlin"]),
        days=st.integers(0, 700),
    )
    def test_the_local_day_is_that_of_the_planned_date(
        self, sid: str, minutes: int, minute: int, zone: str, days: int
    ) -> None:
        under = strategy(calendar(DAILY, spreadMinutes=minutes), timezone=zone)
        start = at("2026-01-31") + timedelta(days=days, minutes=minute)
        of = life(under, replace(new(), sid=InstanceSid(sid), start_date=start), now="2026-01-01")
        planned, due = (
            moment_at(date, zone_named(zone)).anchor for date in (of.main.planned_date, of.main.date)
        )
        assert (planned.year, planned.month, planned.day) == (due.year, due.month, due.day)
        assert timedelta() <= part(of) < timedelta(minutes=minutes)

    def test_the_last_minute_of_a_day(self) -> None:
        parts = {part(begun(spread(600), "2026-01-31T23:59", sid=f"i-{number}")) for number in range(200)}
        assert timedelta() <= min(parts) < max(parts) < timedelta(minutes=1)
        assert len(parts) > 30

    def test_the_last_day_of_all_has_no_end(self) -> None:
        of = begun(strategy(calendar(DAILY, spreadMinutes=10)), "9999-12-30T09:00")
        of.run(of.main, of.main.due_at)
        assert of.instance.cancel_reason is CancelReason.CREATE_CYCLE_ERROR
        assert (of.instance.stop_note or "").startswith("spreadMinutes of cycle 2")


class TestEndDate:
    """It limits the date before it is spread: the spread costs nobody a cycle."""

    def test_a_cycle_planned_for_the_end_date_runs(self) -> None:
        of = begun(spread(), end=NINE)
        assert of.main.date > at(NINE)
        of.run(of.main, of.main.due_at)
        assert (of.closed, of.instance.status) == ([("bill", "PROCESSED")], InstanceStatus.COMPLETED)

    @pytest.mark.parametrize(
        ("end", "runs"),
        [("2026-02-28T08:59:59", False), ("2026-02-28T09:00", True), ("2026-02-28T09:00:01", True)],
    )
    def test_an_end_date_that_is_set_later(self, end: str, *, runs: bool) -> None:
        of = begun(spread())
        of.run(of.main, of.main.due_at)
        of.applied(Update(by=ANN, end_date=at(end), sets_end_date=True), at("2026-02-02"))
        assert [task for task, _ in of.open] == ["bill"] * runs

    @pytest.mark.parametrize(("end", "runs"), [("2026-02-02T08:59:59", False), ("2026-02-02T09:00", True)])
    def test_a_moved_date_is_limited_before_it_is_spread(self, end: str, *, runs: bool) -> None:
        of = begun(spread(businessDays={"convention": "following"}))
        of.applied(Update(by=ANN, end_date=at(end), sets_end_date=True), at("2026-01-02"))
        assert [task for task, _ in of.open] == ["bill"] * runs


class TestMissedDates:
    """A date is missed when its own due date has passed."""

    @pytest.mark.parametrize(("seconds", "cycle"), [(-1, 1), (0, 1), (1, 2)])
    def test_a_cycle_is_missed_after_its_own_date_only(self, seconds: int, cycle: int) -> None:
        of = begun(strategy(calendar(DAILY, spreadMinutes=10), onResume="skip"))
        of.applied(Pause(by=ANN), at("2026-01-31T08:00"))
        now = of.main.date + timedelta(seconds=seconds)
        of.applied(Resume(by=ANN), now)
        assert of.main.created_cycle == cycle

    def test_a_plan_denser_than_its_spread_misses_nothing(self) -> None:
        of = begun(strategy(by_cron("* * * * *", spreadMinutes=10), onMissed="skip"))
        dates = []
        for _ in range(20):
            dates.append(of.main.date)
            of.run(of.main, of.main.due_at)
        assert of.closed == [("bill", "PROCESSED")] * 20
        assert {later - before for before, later in pairwise(dates)} == {timedelta(minutes=1)}

    @pytest.mark.parametrize(
        ("resumed", "date"), [("2026-02-04T08:00", "2026-02-06"), ("2026-02-05T08:00", "2026-02-09")]
    )
    def test_a_shifted_plan_keeps_it(self, resumed: str, date: str) -> None:
        """From Monday 2 February to Friday, or past a weekend. An end date does not count it then either."""
        of = begun(strategy(calendar(DAILY, spreadMinutes=10, businessDays={"convention": "following"})))
        own = of.main.date - at("2026-02-02T09:00")
        of.applied(Pause(by=ANN), at("2026-01-31T08:00"))
        of.applied(Resume(by=ANN, on_late=OnResume.SHIFT), at(resumed))
        assert of.main.date == at(f"{date}T09:00") + own
        of.applied(Update(by=ANN, end_date=at(f"{date}T09:00"), sets_end_date=True), at(resumed))
        assert len(of.open) == 1
        of.applied(Update(by=ANN, end_date=at(f"{date}T08:59:59"), sets_end_date=True), at(resumed))
        assert of.open == []


class TestShifted:
    """A plan is moved by the length of a pause. The spread leaves each date on its local day then, too."""

    @staticmethod
    def resumed(of: Life, paused: str, resumed: str) -> Life:
        """Return the life after a pause that shifts the plan."""
        of.applied(Pause(by=ANN), at(paused))
        of.applied(Resume(by=ANN, on_late=OnResume.SHIFT), at(resumed))
        return of

    def test_the_part_is_the_same_if_the_day_is_long_enough(self) -> None:
        of = begun(spread(720))
        own = part(of)
        self.resumed(of, "2026-01-31T08:00", "2026-02-02T08:00")
        assert (of.main.planned_date, part(of)) == (at("2026-02-02T09:00"), own)

    def test_the_rest_of_the_day_is_shared_if_it_is_not(self) -> None:
        of = begun(strategy(calendar(DAILY, spreadMinutes=720)))
        own = part(of)
        assert own > timedelta(hours=2)
        self.resumed(of, "2026-01-31T08:00", "2026-02-01T21:00")
        assert of.main.planned_date == at("2026-02-01T22:00")
        # Of the two hours that are left, it gets the same part as of twelve.
        assert timedelta() <= own / 6 - part(of) < timedelta(seconds=1)
        assert of.instance.plan.due == of.main.date
        assert of.main.move == Move(
            planned=at("2026-02-01T22:00"),
            why="spread over 720 minutes, before the plan was shifted",
            spread_seconds=int(part(of).total_seconds()),
        )
        before = part(of)
        of.run(of.main, of.main.date)
        assert (of.main.planned_date, part(of)) == (at("2026-02-02T22:00"), before)

    def test_a_reminder_keeps_its_distance(self) -> None:
        of = begun(strategy(reminded(spreadMinutes=720)), "2026-02-10T09:00")
        self.resumed(of, "2026-02-01T08:00", "2026-02-01T21:00")
        assert of.main.planned_date == at("2026-02-10T22:00")
        assert of.main.date - of.event("remind").date == timedelta(days=3)

    def test_a_weekend_is_left_by_the_day_before_the_spread(self) -> None:
        """Sunday's cycle is not Monday's although twelve hours after its planned date are on Monday."""
        daily = calendar(DAILY, spreadMinutes=720, businessDays={"convention": "following"})
        of = begun(strategy(daily), "2026-01-30T09:00")
        self.resumed(of, "2026-01-30T08:00", "2026-02-01T21:00")
        assert of.main.planned_date == at("2026-02-01T22:00")
        assert at("2026-02-02T22:00") <= of.main.date < at("2026-02-03")
        of.run(of.main, of.main.date)
        assert of.main.planned_date == at("2026-02-03T22:00")

    @pytest.mark.parametrize("on_resume", ["skip", "last"])
    def test_a_date_that_has_not_passed_does_not_pass_by_it(self, on_resume: str) -> None:
        """It was planned for nine, and paused at 9:30; at 22:30 the rest of the day is left."""
        of = begun(strategy(calendar(DAILY, spreadMinutes=720), onResume=on_resume))
        assert part(of) > timedelta(hours=2)
        self.resumed(of, "2026-01-31T09:30", "2026-01-31T22:30:00.250")
        assert of.main.planned_date == at("2026-01-31T22:00:00.250")
        assert at("2026-01-31T22:30:00.250") <= of.main.date < at("2026-02-01")
        of.run(of.main, of.main.date)
        assert of.closed == [("bill", "PROCESSED")]
        assert of.main.planned_date == at("2026-02-01T22:00:00.250")

    def test_a_plan_whose_day_is_over_continues_from_now(self) -> None:
        """Else its customer would be charged for two days on one. The date is as much later as the pause was long."""
        of = begun(strategy(calendar(DAILY, spreadMinutes=720)))
        due = of.main.date
        self.resumed(of, "2026-01-31T11:00", "2026-02-01T00:30")
        assert of.main.planned_date == at("2026-02-01T00:30")
        assert of.main.date == due + timedelta(hours=13, minutes=30)
        assert of.instance.plan.spread_seconds == part(of).total_seconds()
        of.run(of.main, of.main.date)
        assert of.main.planned_date == at("2026-02-02T00:30")

    def test_a_date_that_was_late_before_the_pause_is_due_at_the_resume(self) -> None:
        of = begun(strategy(calendar(DAILY, spreadMinutes=720)))
        self.resumed(of, "2026-01-31T21:00", "2026-02-01T10:00")
        assert (of.main.planned_date, of.main.date) == (at("2026-02-01T10:00"), at("2026-02-01T10:00"))

    def test_a_date_that_waits_for_an_operator_stays_overdue(self) -> None:
        of = begun(strategy(calendar(DAILY, spreadMinutes=720), manualTrigger=True))
        self.resumed(of, "2026-01-31T21:00", "2026-02-01T10:00")
        assert of.main.planned_date == at("2026-01-31T22:00")
        assert of.main.date < at("2026-02-01")


class TestDatesThatCoincide:
    """Two cycles that would be due at the same time without the spread run once, however each of them is spread."""

    @staticmethod
    def daily(minutes: int | None) -> Strategy:
        spreading: dict[str, Json] = {} if minutes is None else {"spreadMinutes": minutes}
        return strategy(calendar(DAILY, businessDays={"convention": "following"}, **spreading))

    @pytest.mark.parametrize("minutes", [None, 1, 60, 61, 720])
    def test_a_migration_changes_the_spread(self, minutes: int | None) -> None:
        # Saturday moves to Monday, and so does Sunday.
        of = begun(self.daily(60))
        assert at("2026-02-02T09:00") < of.main.date < at("2026-02-02T10:00")
        of.applied(Migrate(to=replace(self.daily(minutes), version=2), by=ANN), at("2026-01-30"))
        of.strategy = replace(self.daily(minutes), version=2)

        of.run(of.main, of.main.date)

        assert of.main.planned_date == at("2026-02-03T09:00")
        (why,) = [record.why for record in of.records if record.closed_by is ClosedBy.COINCIDES]
        assert why == (
            "skipped: cycle 2 would be due on 2026-02-02T09:00:00.000Z, and one that is due on "
            "2026-02-02T09:00:00.000Z is before it; and 1 more"
        )

    def test_a_skipped_cycle_after_a_migration(self) -> None:
        of = begun(self.daily(60))
        of.applied(Migrate(to=replace(self.daily(720), version=2), by=ANN), at("2026-01-30"))
        of.strategy = replace(self.daily(720), version=2)
        of.applied(Skip(cycles=1, by=ANN), at("2026-01-30"))
        assert of.main.planned_date == at("2026-02-03T09:00")

    def test_a_plan_is_shifted_to_a_time_with_a_longer_spread(self) -> None:
        """At 23:00 an hour is left of the day; at 9:00 all of the twelve hours of the spread are."""
        of = begun(self.daily(720), "2026-01-28T23:00")
        of.applied(Pause(by=ANN), at("2026-01-28T12:00"))
        of.applied(Resume(by=ANN, on_late=OnResume.SHIFT), at("2026-01-30T22:00"))
        assert of.main.planned_date == at("2026-01-31T09:00")
        assert at("2026-02-02T09:00") < of.main.date < at("2026-02-02T10:00")

        of.run(of.main, of.main.date)

        assert of.main.planned_date == at("2026-02-03T09:00")
        assert of.main.date > at("2026-02-03T10:00")

    def test_several_dates_of_a_day_all_run(self) -> None:
        of = begun(strategy(by_cron("0 */4 * * *", spreadMinutes=720)), "2026-01-31T00:00")
        for _ in range(12):
            of.run(of.main, of.main.date)
        assert of.closed == [("bill", "PROCESSED")] * 12
        assert of.main.planned_date == at("2026-02-02T00:00")

    @pytest.mark.parametrize("later", [720, 60])
    def test_several_dates_of_a_day_after_a_migration(self, later: int) -> None:
        """None of them is due before an earlier one."""
        of = begun(strategy(by_cron("0 */4 * * *", spreadMinutes=60)), "2026-01-31T00:00")
        to = replace(strategy(by_cron("0 */4 * * *", spreadMinutes=later)), version=2)
        of.applied(Migrate(to=to, by=ANN), at("2026-01-30"))
        of.strategy = to
        for _ in range(3):
            of.run(of.main, of.main.date)
        assert of.closed == [("bill", "PROCESSED")] * 3


class TestWhatIsExact:
    """A date that an operator or an own schedule gives, and dates of which the instance is not known."""

    def test_a_rescheduled_date_is_as_given_and_the_next_one_is_spread(self) -> None:
        of = begun(spread())
        own, to = part(of), at("2026-02-05T10:00")
        of.applied(Reschedule(date=to, keep_anchor=False, by=ANN), at("2026-01-02"))
        assert of.main.date == to
        of.run(of.main, to)
        assert of.main.date == at("2026-03-05T10:00") + own

    def test_a_simulation_shows_planned_dates(self) -> None:
        simulated = simulate(spread(), start_date=at(NINE), cycles=3, attributes={})
        assert [one.main.date for one in simulated.cycles] == [
            at(NINE),
            at("2026-02-28T09:00"),
            at("2026-03-31T09:00"),
        ]
