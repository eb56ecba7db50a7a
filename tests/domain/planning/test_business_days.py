"""Plans on business days. Source: docs/design.md section 4; docs/decisions/0058."""

from datetime import timedelta
from itertools import pairwise

import pytest

from shared.domain.calendar import business_days
from shared.domain.errors import InvalidInputError
from shared.domain.instance.event import EventStatus, Move
from shared.domain.instance.journal import ClosedBy
from shared.domain.instance.model import CancelReason, InstanceStatus
from shared.domain.lifecycle.commands import Pause, Resume, Update
from shared.domain.planning.forecast import forecast, simulate
from shared.domain.planning.plan import calendar_of
from shared.domain.strategy.model import Json, OnResume, Strategy
from tests.lifecycle_factories import (
    ANN,
    DAILY,
    DECLINED,
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

BAVARIA: Json = {"country": "DE", "subdivision": "BY"}


def on(convention: str, after: Json = MONTHLY, **rule: Json) -> Json:
    """Return a calendar with a convention."""
    return calendar(after, businessDays={"convention": convention, **rule})


def due(of: Strategy, start: str, *, cycles: int, **attributes: Json) -> list[str]:
    simulated = simulate(of, start_date=at(start), cycles=cycles, attributes=attributes)
    return shown(*(one.main.date for one in simulated.cycles))


def every_day(start: str) -> str:
    """Return the closed days of a customer who is closed for seventy days."""
    return ",".join(str((at(start) + timedelta(days=days)).date()) for days in range(70))


class TestConventions:
    """31 January 2026 is a Saturday, 28 February one too, 31 May a Sunday."""

    @pytest.mark.parametrize(
        ("convention", "dates"),
        [
            ("following", ["2026-02-02", "2026-03-02", "2026-03-31", "2026-04-30", "2026-06-01"]),
            ("preceding", ["2026-02-02", "2026-02-27", "2026-03-31", "2026-04-30", "2026-05-29"]),
            ("modifiedFollowing", ["2026-02-02", "2026-02-27", "2026-03-31", "2026-04-30", "2026-05-29"]),
            ("skip", ["2026-03-31", "2026-04-30", "2026-06-30", "2026-07-31", "2026-08-31"]),
        ],
    )
    def test_the_31st(self, convention: str, dates: list[str]) -> None:
        assert due(strategy(on(convention)), "2026-01-31", cycles=5) == [f"{date}T00:00" for date in dates]

    def test_planned_dates_do_not_drift_in_ten_years(self) -> None:
        of = strategy(by_cron("0 9 1 * *", businessDays={"convention": "preceding", **BAVARIA}))
        simulated = simulate(of, start_date=at("2026-01-01T09:00"), cycles=120, attributes={})
        dates = [one.main.date for one in simulated.cycles]
        assert {one.main.planned_date.day for one in simulated.cycles} == {1}
        assert all(before < after for before, after in pairwise(dates))
        assert dates[-1] == at("2035-11-30T09:00")

    def test_the_first_cycle_is_moved_too(self) -> None:
        of = life(strategy(on("following")), new("2026-01-31"), now="2026-01-01")
        assert of.open == [("bill", "2026-02-02T00:00")]
        assert of.main.move == Move(planned=at("2026-01-31"), why="Saturday 31 January 2026 is a weekend day")

    def test_the_reason_names_the_holiday(self) -> None:
        of = life(strategy(on("following", **BAVARIA)), new("2026-12-25T09:00"), now="2026-12-01")
        assert of.main.move == Move(
            planned=at("2026-12-25T09:00"), why="Friday 25 December 2026 is Christmas Day in DE-BY"
        )
        assert of.open == [("bill", "2026-12-28T09:00")]

    def test_a_date_on_a_business_day_is_not_moved(self) -> None:
        of = life(strategy(on("following", **BAVARIA)), new("2026-12-23T09:00"), now="2026-12-01")
        assert (of.main.move, of.instance.plan.moved_to) == (None, None)

    def test_the_callback_is_first(self) -> None:
        a_day_later = "date + duration('24h')"
        one = calendar(nextCycleDateCallback=a_day_later, businessDays={"convention": "following"})
        of = life(strategy(one), new("2026-01-06"), now="2026-01-01")
        of.run(of.main, at("2026-01-06"))
        # The 6th of February is a Friday, the callback's date a Saturday.
        assert of.open == [("bill", "2026-02-09T00:00")]
        assert of.main.move == Move(
            planned=at("2026-02-06"),
            why="nextCycleDateCallback of calendar plan; Saturday 7 February 2026 is a weekend day",
        )

    def test_a_date_that_is_moved_back_was_not_moved(self) -> None:
        a_day_later = "date + duration('24h')"
        one = calendar(nextCycleDateCallback=a_day_later, businessDays={"convention": "preceding"})
        of = life(strategy(one), new("2026-01-06"), now="2026-01-01")
        of.run(of.main, at("2026-01-06"))
        assert (of.open, of.main.move, of.instance.plan.moved_to) == (
            [("bill", "2026-02-06T00:00")],
            None,
            None,
        )

    def test_the_local_day_counts_and_the_hour_stays(self) -> None:
        of = strategy(on("following"), timezone="Asia/Manila")
        # 16:30 on Friday in UTC is half past midnight on Saturday in Manila.
        assert due(of, "2026-01-30T16:30", cycles=1) == ["2026-02-01T16:30"]

    def test_a_time_in_a_gap_is_itself_on_the_day_it_moves_to(self) -> None:
        # In Madrid 02:30 does not exist on Sunday 29 March 2026.
        of = strategy(
            calendar(
                {**MONTHLY, "resetTo": {"day": 29, "hour": 2, "minute": 30}},
                businessDays={"convention": "following"},
            ),
            timezone="Europe/Madrid",
        )
        assert due(of, "2026-01-29T01:30", cycles=3) == [
            "2026-01-29T01:30",
            "2026-03-02T01:30",
            "2026-03-30T00:30",
        ]


class TestCyclesThatDoNotRun:
    def test_a_daily_plan_runs_once_for_each_working_day(self) -> None:
        of = strategy(on("following", DAILY))
        assert due(of, "2026-01-02", cycles=7) == [
            "2026-01-02T00:00",
            "2026-01-05T00:00",
            "2026-01-06T00:00",
            "2026-01-07T00:00",
            "2026-01-08T00:00",
            "2026-01-09T00:00",
            "2026-01-12T00:00",
        ]

    def test_preceding_runs_the_friday_once(self) -> None:
        of = life(strategy(on("preceding", DAILY)), new("2026-01-01"), now="2026-01-01")
        of.run(of.main, at("2026-01-01"))
        of.run(of.main, at("2026-01-02"))
        assert (of.open, of.instance.plan.cycle) == ([("bill", "2026-01-05T00:00")], 5)
        (record,) = [record for record in of.records if record.closed_by is ClosedBy.COINCIDES]
        assert record.skipped_cycles == (3, 4)

    def test_skipped_days_are_one_record_with_the_reason(self) -> None:
        of = life(strategy(on("skip", DAILY)), new("2026-01-02"), now="2026-01-02")
        of.run(of.main, at("2026-01-02"))
        assert (of.open, of.instance.plan.cycle) == ([("bill", "2026-01-05T00:00")], 4)
        (record,) = [record for record in of.records if record.closed_by is ClosedBy.NO_BUSINESS_DAY]
        assert (record.skipped_cycles, record.event.status) == ((2, 3), EventStatus.CANCELED)
        assert record.why == "skipped: Saturday 3 January 2026 is a weekend day; and 1 more"

    def test_a_first_cycle_may_be_skipped(self) -> None:
        of = life(strategy(on("skip", DAILY)), new("2026-01-03"), now="2026-01-01")
        assert (of.open, of.instance.plan.cycle) == ([("bill", "2026-01-05T00:00")], 3)
        assert [record.skipped_cycles for record in of.records] == [(1, 2)]

    def test_a_plan_may_end_with_skipped_days(self) -> None:
        of = life(strategy(on("skip", DAILY)), new("2026-01-02", end_date="2026-01-04"), now="2026-01-02")
        of.run(of.main, at("2026-01-02"))
        assert of.instance.status is InstanceStatus.COMPLETED
        assert [record.skipped_cycles for record in of.records] == [None, (2, 3)]

    def test_the_forecast_tells_them(self) -> None:
        of = life(strategy(on("skip", DAILY)), new("2026-01-02"), now="2026-01-02")
        foreseen = forecast(of.strategy, of.instance, cycles=3, now=at("2026-01-02"))
        assert [(one.first_cycle, one.last_cycle) for one in foreseen.skipped] == [(2, 3)]

    def test_a_plan_that_never_has_a_business_day_is_refused_at_creation(self) -> None:
        of = strategy(on("skip", {"unit": "days", "amount": 7}))
        with pytest.raises(InvalidInputError, match="more than 1000 planned dates do not run"):
            life(of, new("2026-01-03"), now="2026-01-01")


class TestAShift:
    """``shift`` moves the plan by the downtime; its date is still on a business day."""

    @pytest.mark.parametrize(
        ("until", "date"),
        [("2026-02-07", "2026-02-11"), ("2026-02-09", "2026-02-13"), ("2026-02-10", "2026-02-16")],
    )
    @pytest.mark.parametrize("convention", ["following", "preceding", "skip"])
    def test_the_date_moves_to_the_next_business_day(self, until: str, date: str, convention: str) -> None:
        of = life(strategy(on(convention)), new("2026-02-06"), now="2026-02-01")
        of.decide(Pause(by=ANN), at("2026-02-02"))
        of.applied(Resume(by=ANN, on_late=OnResume.SHIFT), at(until))
        assert of.open == [("bill", f"{date}T00:00")]
        assert (of.instance.plan.due, of.main.due_at) == (at(date), at(date))

    def test_the_rule_is_that_of_the_open_cycles_calendar(self) -> None:
        first = calendar(key="first", runOnCycle=1)
        of = life(strategy(first, on("following")), new("2026-02-06"), now="2026-02-01")
        assert (found := calendar_of(of.strategy, of.instance)) is not None
        assert found.key == "first"
        of.decide(Pause(by=ANN), at("2026-02-02"))
        of.applied(Resume(by=ANN, on_late=OnResume.SHIFT), at("2026-02-03"))
        assert of.open == [("bill", "2026-02-07T00:00")]
        of.run(of.main, at("2026-02-07"))
        assert (found := calendar_of(of.strategy, of.instance)) is not None
        assert found.key == "plan"

    def test_another_version_may_have_no_such_calendar(self) -> None:
        of = life(
            strategy(on("following"), calendar(key="b", runOnCycle=1)), new("2026-02-06"), now="2026-02-01"
        )
        for other in (strategy(calendar(key="x"), calendar(key="y", runOnCycle=9)), strategy()):
            found = calendar_of(other, of.instance)
            assert found is None


class TestLeadingUpTasks:
    """``scheduleBefore`` may have a rule of its own. The bill is due on Tuesday 3 March 2026."""

    def reminded(self, convention: str, days: int = 2, **rule: Json) -> Life:
        before = {"unit": "days", "amount": days, "businessDays": {"convention": convention, **rule}}
        one = calendar(leadingUpTasks=[{"task": "remind", "scheduleBefore": before}])
        return life(strategy(one), new("2026-03-03"), now="2026-02-01")

    @pytest.mark.parametrize(
        ("convention", "date"), [("following", "2026-03-02"), ("preceding", "2026-02-27")]
    )
    def test_the_reminder_moves(self, convention: str, date: str) -> None:
        of = self.reminded(convention)
        assert of.open == [("remind", f"{date}T00:00"), ("bill", "2026-03-03T00:00")]
        assert of.instance.events[0].move == Move(
            planned=at("2026-03-01"), why="Sunday 1 March 2026 is a weekend day"
        )

    def test_a_reminder_on_no_business_day_may_be_skipped(self) -> None:
        of = self.reminded("skip")
        assert of.open == [("bill", "2026-03-03T00:00")]
        (record,) = of.records
        assert (record.event.task, record.closed_by) == ("remind", ClosedBy.NO_BUSINESS_DAY)
        assert record.why == "skipped: Sunday 1 March 2026 is a weekend day"

    def test_it_is_never_moved_past_its_main_event(self) -> None:
        of = self.reminded("following", holidays=["2026-03-02", "2026-03-03", "2026-03-04"])
        assert of.open == [("remind", "2026-03-03T00:00"), ("bill", "2026-03-03T00:00")]

    def test_without_any_business_day_it_runs_with_its_main_event(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(business_days, "MAX_DAYS_MOVED", 60)
        of = self.reminded("following", closed="off")
        of = life(of.strategy, new("2026-03-03", off=every_day("2026-03-01")), now="2026-02-01")
        assert of.open == [("remind", "2026-03-03T00:00"), ("bill", "2026-03-03T00:00")]
        assert (of.instance.events[0].problem or "").endswith("there is no business day within 60 days of it")


class TestClosedDays:
    """``closed`` names an attribute with the dates on which this customer is closed."""

    OF = strategy(on("following", closed="off"))

    @pytest.mark.parametrize(
        ("attributes", "date"),
        [
            ({}, "2026-02-03"),
            ({"off": ""}, "2026-02-03"),
            ({"off": "2026-02-02"}, "2026-02-03"),
            ({"off": "2026-02-03, 2026-02-04"}, "2026-02-05"),
        ],
    )
    def test_they_are_no_business_days(self, attributes: dict[str, Json], date: str) -> None:
        assert due(self.OF, "2026-02-03", cycles=1, **attributes) == [f"{date}T00:00"]

    @pytest.mark.parametrize(
        ("value", "message"),
        [
            ("soon", "attribute 'off': 'soon' is not a date such as 2026-12-24"),
            ("2026-02-03;2026-02-04", "attribute 'off': '2026-02-03;2026-02-04' is not a date such as"),
            (20260203, "attribute 'off' is not a text of dates such as 2026-12-24"),
        ],
    )
    def test_other_values_are_refused_at_creation(self, value: Json, message: str) -> None:
        with pytest.raises(InvalidInputError) as refused:
            life(self.OF, new("2026-02-03", off=value), now="2026-02-01")
        (problem,) = refused.value.problems
        assert (problem.pointer, problem.rule) == ("/attributes/off", "dates")
        assert problem.message.startswith(message)

    def test_and_at_an_update(self) -> None:
        of = life(self.OF, new("2026-02-03"), now="2026-02-01")
        verdict = of.decide(Update(by=ANN, attributes={"off": "soon"}), at("2026-02-01"))
        assert [one.pointer for one in getattr(verdict, "problems", ())] == ["/attributes/off"]

    def test_those_of_retries_are_checked_too(self) -> None:
        delay = {**DAILY, "businessDays": {"convention": "following", "closed": "shut"}}
        retry = {"times": 2, "retryStrategy": [DAILY, delay]}
        with pytest.raises(InvalidInputError) as refused:
            life(strategy(retry=retry), new("2026-02-03", shut="soon"), now="2026-02-01")
        assert [one.pointer for one in refused.value.problems] == ["/attributes/shut"]

    def test_a_customer_who_is_always_closed_ends_the_plan_with_the_reason(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(business_days, "MAX_DAYS_MOVED", 60)
        of = life(self.OF, new("2026-02-03"), now="2026-02-01")
        of.applied(Update(by=ANN, attributes={"off": every_day("2026-03-01")}), at("2026-02-01"))
        of.run(of.main, at("2026-02-03"))
        assert of.instance.cancel_reason is CancelReason.CREATE_CYCLE_ERROR
        assert (of.instance.stop_note or "").startswith(
            "businessDays of cycle 2: Tuesday 3 March 2026 is a closed day of this customer, and there is no business"
        )


class TestRetries:
    """A retry's delay may have a rule: it ends on the next business day, at its time of day."""

    def retried(
        self, failed_at: str, *, jitter: int = 0, attributes: dict[str, Json] | None = None, **more: Json
    ) -> Life:
        delay = {**DAILY, "businessDays": {"convention": "following", "closed": "off"}}
        retry = {"times": 3, "retryAfter": delay, "jitterPercent": jitter, **more}
        of = life(strategy(retry=retry), new(failed_at, **(attributes or {})), now=failed_at)
        of.claim(of.main, at(failed_at))
        of.conclude(of.step(DECLINED, at(failed_at)), at(failed_at))
        return of

    @pytest.mark.parametrize(
        ("failed_at", "date"),
        [
            ("2026-02-05T10:00", "2026-02-06T10:00"),
            ("2026-02-06T10:00", "2026-02-09T10:00"),
            ("2026-02-07T10:00", "2026-02-09T10:00"),
            ("2026-02-08T10:00", "2026-02-09T10:00"),
        ],
    )
    def test_a_retry_waits_for_the_next_business_day(self, failed_at: str, date: str) -> None:
        assert self.retried(failed_at).open == [("bill", date)]

    def test_closed_days_count(self) -> None:
        of = self.retried("2026-02-05T10:00", attributes={"off": "2026-02-06"})
        assert of.open == [("bill", "2026-02-09T10:00")]

    @pytest.mark.parametrize("hour", range(24))
    def test_jitter_never_moves_it_off_its_day(self, hour: int) -> None:
        of = self.retried(f"2026-02-05T{hour:02}:00", jitter=100)
        assert of.main.date.isoweekday() in (1, 2, 3, 4, 5)
        assert of.main.date >= at(f"2026-02-06T{hour:02}:00")

    def test_with_times_of_day_it_is_at_one_of_them(self) -> None:
        of = self.retried("2026-02-06T10:00", retryAt=["09:00"])
        assert of.open == [("bill", "2026-02-09T09:00")]

    def test_the_history_says_why(self) -> None:
        of = self.retried("2026-02-06T10:00")
        notes = of.event_history(1).entries[-1].outcome.notes
        assert notes == ("the retry is moved: Saturday 7 February 2026 is a weekend day",)

    def test_without_any_business_day_the_retry_keeps_its_date(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(business_days, "MAX_DAYS_MOVED", 60)
        of = self.retried("2026-02-05T10:00", attributes={"off": every_day("2026-02-06")})
        assert of.open == [("bill", "2026-02-06T10:00")]
        (note,) = of.event_history(1).entries[-1].outcome.notes
        assert note.startswith(
            "businessDays: Friday 6 February 2026 is a closed day of this customer, and there"
        )
