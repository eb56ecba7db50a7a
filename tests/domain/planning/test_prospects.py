"""Warnings about dates. Source: docs/contracts/core.md section 1.3; docs/decisions/0056."""

import pytest

from shared.domain.errors import Problem
from shared.domain.planning.prospects import MAX_CYCLES, calendar_warnings
from shared.domain.strategy.model import Json
from tests.lifecycle_factories import DAILY, MONTHLY, at, by_cron, calendar, strategy

NOW = at("2026-03-10T08:00")
HOURS_24: Json = {"unit": "hours", "amount": 24}
TO_MONDAY = (
    "date.getDayOfWeek() == 6 ? date + duration('48h') : "
    "date.getDayOfWeek() == 0 ? date + duration('24h') : date"
)


def found(*calendars: Json, **config: Json) -> list[tuple[str, str]]:
    """Return pointer and rule of each warning."""
    return [(one.pointer, one.rule) for one in warned(*calendars, **config)]


def warned(*calendars: Json, **config: Json) -> tuple[Problem, ...]:
    definition = strategy(
        *({**one, "key": f"c{place}"} for place, one in enumerate(calendars)), **config
    ).definition
    return calendar_warnings(definition, environment="dev", now=NOW, pointer="/settings")


class TestNothingToSay:
    @pytest.mark.parametrize(
        "one",
        [
            calendar(),
            calendar(DAILY),
            calendar({"unit": "hours", "amount": 25}),
            calendar({"unit": "minutes", "amount": 1}),
            calendar({"unit": "days", "amount": 28, "resetTo": {"day": 31}}),
            calendar({**HOURS_24, "resetTo": {"hour": 9}}),
            calendar(nextCycleDateCallback=TO_MONDAY),
            by_cron("0 9 28 * *", nextCycleDateCallback=TO_MONDAY),
            by_cron("0 0 9 1 1 ? 2026-2028"),
            calendar(nextCycleDateCallback="timestamp(string(attributes.due))"),
            calendar({**MONTHLY, "retryEventCallback": '{"amount": attributes.months}'}),
        ],
    )
    def test_a_plan_that_does_not_drift(self, one: Json) -> None:
        assert found(one, timezone="Europe/Madrid") == []

    def test_a_calendar_of_a_single_cycle(self) -> None:
        assert found(calendar({"unit": "days", "amount": 0}, runOnCycle=1), calendar()) == []

    def test_hours_in_a_zone_without_clock_changes(self) -> None:
        assert found(calendar(HOURS_24), timezone="Asia/Manila") == []

    def test_a_zone_that_an_attribute_names(self) -> None:
        """It is computed in a zone whose clocks change."""
        assert found(calendar(DAILY), timezone="{{attributes.timezone}}") == []
        assert found(calendar(HOURS_24), timezone="{{attributes.timezone}}") == found(
            calendar(HOURS_24), timezone="Europe/Berlin"
        )


class TestCoinciding:
    def test_a_daily_plan_on_working_days(self) -> None:
        (warning,) = warned(
            calendar(), calendar(DAILY, nextCycleDateCallback=TO_MONDAY, runOnCycleCallback="cycle > 5")
        )
        assert (warning.pointer, warning.rule) == ("/settings/schedule/calendars/1", "coincides")
        assert warning.message == (
            "84 of 300 cycles would be due no later than the one before them and do not run (COINCIDES); "
            "the first is cycle 8"
        )

    def test_a_callback_that_always_returns_the_same_date(self) -> None:
        rules = [
            rule for _, rule in found(calendar(nextCycleDateCallback="timestamp('2040-01-01T00:00:00Z')"))
        ]
        assert rules == ["coincides", "moved-far"]


class TestMovedFar:
    def test_a_callback_instead_of_an_interval(self) -> None:
        coincide, warning = warned(calendar(DAILY, nextCycleDateCallback="addMonths(date, 1, 'UTC')"))
        assert coincide.rule == "coincides"
        assert (warning.pointer, warning.rule) == ("/settings/schedule/calendars/0", "moved-far")
        assert warning.message.startswith(
            "cycle 2 is planned for 2027-02-01 and due on 2027-03-01, more than a cycle"
        )

    def test_a_callback_that_goes_further_with_each_cycle(self) -> None:
        drifting = "date + duration(string(24 * cycle) + 'h')"
        (warning,) = warned(calendar(nextCycleDateCallback=drifting))
        assert (warning.rule, warning.message[:9]) == ("moved-far", "cycle 32 ")

    def test_a_date_before_the_one_of_the_cycle_before(self) -> None:
        back = "cycle == 2 ? date : date - duration('960h')"
        assert ("/settings/schedule/calendars/0", "coincides") in found(calendar(nextCycleDateCallback=back))

    @pytest.mark.parametrize(
        ("days", "rules"),
        [(27, []), (28, ["coincides"]), (29, ["coincides", "moved-far"]), (-27, []), (-28, ["coincides"])],
    )
    def test_more_than_a_cycle_away(self, days: int, rules: list[str]) -> None:
        moved = f"cycle == 14 ? addDays(date, {days}, 'UTC') : date"
        one = calendar({"unit": "days", "amount": 28}, nextCycleDateCallback=moved)
        assert [rule for _, rule in found(one)] == rules

    def test_a_cycle_before_the_planned_date_of_the_one_before(self) -> None:
        early = "cycle == 2 ? date : date - duration('768h')"
        rules = [
            rule for _, rule in found(calendar({"unit": "days", "amount": 31}, nextCycleDateCallback=early))
        ]
        assert "moved-far" in rules


class TestHours:
    def test_a_day_in_hours_changes_its_hour(self) -> None:
        (warning,) = warned(calendar({"unit": "hours", "amount": 48}), timezone="Europe/Madrid")
        assert (warning.pointer, warning.rule) == ("/settings/schedule/calendars/0/scheduleAfter", "drifts")
        assert warning.message == (
            "hours are elapsed time, so the plan runs an hour earlier or later after the clocks change; "
            "days keep the hour: 2 instead of 48 hours"
        )


class TestEndingEarly:
    def test_cycles_without_a_calendar(self) -> None:
        first = [calendar(runOnCycle=1), calendar(runOnCycle=2)]
        (warning,) = warned(*first)
        assert (warning.pointer, warning.rule) == ("/settings/schedule/calendars", "ends-early")
        assert warning.message == (
            "no calendar for cycle 3: the instance is canceled then (CREATE_CYCLE_ERROR); "
            "add a calendar for the others"
        )

    def test_no_calendar_for_the_first_cycle(self) -> None:
        (warning,) = warned(calendar(runOnCycleCallback="cycle > 1"))
        assert warning.message.startswith("no calendar for cycle 1: ")

    def test_callbacks_that_need_attributes_say_nothing(self) -> None:
        assert found(calendar(runOnCycleCallback="attributes.plan == 'gold'")) == []

    def test_a_callback_that_gives_no_later_date(self) -> None:
        stuck = {**DAILY, "retryEventCallback": '{"amount": cycle < 5 ? 1 : 0}'}
        (warning,) = warned(calendar(stuck))
        assert (warning.pointer, warning.rule) == ("/settings/schedule/calendars/0", "ends-early")
        assert warning.message.startswith(
            "cycle 5 would be at 2027-02-03T12:00:00+00:00, not after cycle 4: "
        )


class TestBounds:
    def test_each_calendar_is_computed_for_as_many_cycles(self) -> None:
        beyond = f"cycle == {MAX_CYCLES + 1} ? date - duration('48h') : date"
        within = f"cycle == {MAX_CYCLES} ? date - duration('48h') : date"
        assert found(calendar(DAILY, nextCycleDateCallback=beyond)) == []
        assert [rule for _, rule in found(calendar(DAILY, nextCycleDateCallback=within))] == ["coincides"]

    def test_expressions_without_time_left_lead_to_no_warning(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("shared.domain.planning.prospects.FORESIGHT_SECONDS", 0)
        assert found(calendar(nextCycleDateCallback="timestamp('2040-01-01T00:00:00Z')")) == []


class TestReminders:
    """A reminder whose date has passed whenever its cycle is planned never runs."""

    def reminded(self, before: Json, after: Json = MONTHLY, **entry: Json) -> list[tuple[str, str]]:
        ahead = [{"task": "remind", "scheduleBefore": before, **entry}]
        return found(calendar(after, leadingUpTasks=ahead))

    @pytest.mark.parametrize("days", [32, 60])
    def test_one_that_is_further_ahead_than_a_cycle(self, days: int) -> None:
        pointer = "/settings/schedule/calendars/0/leadingUpTasks/0/scheduleBefore"
        assert self.reminded({"unit": "days", "amount": days}) == [(pointer, "always-late")]

    @pytest.mark.parametrize("days", [3, 28, 30])
    def test_one_that_is_in_time_for_some_cycles(self, days: int) -> None:
        assert self.reminded({"unit": "days", "amount": days}) == []

    def test_one_that_is_due_as_its_cycle_is_planned(self) -> None:
        week = {"unit": "days", "amount": 7}
        assert self.reminded(week, week) == []
        assert self.reminded({"unit": "minutes", "amount": 7 * 24 * 60 + 4}, week) != []

    def test_one_that_may_run_late(self) -> None:
        assert self.reminded({"unit": "days", "amount": 60}, runLate=True) == []

    @pytest.mark.parametrize("more", [{"from": "due"}, {"retryEventCallback": '{"amount": attributes.days}'}])
    def test_one_whose_date_depends_on_the_instance(self, more: dict[str, Json]) -> None:
        assert self.reminded({"unit": "days", "amount": 60, **more}) == []

    def test_one_without_a_date(self) -> None:
        assert self.reminded({"unit": "years", "amount": 9000}) == []

    def test_a_plan_of_two_cycles_says_nothing(self) -> None:
        ahead = [{"task": "remind", "scheduleBefore": {"unit": "days", "amount": 800}}]
        assert found(by_cron("0 0 9 1 1 ? 2027-2027", leadingUpTasks=ahead)) == []
