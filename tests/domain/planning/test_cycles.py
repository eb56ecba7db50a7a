"""Which dates a plan has. Source: design section 4; contracts/core.md sections 3.1 and 3.2."""

from dataclasses import replace
from itertools import islice, pairwise
from zoneinfo import available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.calendar.dates import moment_at
from shared.domain.errors import DateError
from shared.domain.instance.attributes import date_attribute
from shared.domain.planning.cycles import CycleError, calendar_for, coming_cycles, first_cycle, following
from shared.domain.strategy.model import Json, Strategy
from tests.lifecycle_factories import (
    DAILY,
    HOURLY,
    MONTHLY,
    at,
    by_cron,
    calendar,
    life,
    new,
    shown,
    strategy,
)

ZONES = sorted(available_timezones() - {"localtime"})


def dates_of(of: Strategy, start: str, *, cycles: int, **attributes: Json) -> list[str]:
    """The first dates of a plan."""
    instance = life(of, new(start, **attributes), now=start).instance
    first = first_cycle(of, instance, now=at(start))
    plan = coming_cycles(of, instance, first, now=at(start))
    return shown(*(dated.moment.at for dated in islice(plan, cycles)))


class TestFirstCycle:
    """Cycle 1 is the start date plus the initial delay; the distance between cycles does not count yet."""

    def test_the_start_date_itself(self) -> None:
        assert dates_of(strategy(), "2026-03-01T10:00", cycles=1) == ["2026-03-01T10:00"]

    def test_moved_by_the_initial_delay(self) -> None:
        assert dates_of(strategy(initial_delay=HOURLY), "2026-03-01", cycles=1) == ["2026-03-01T01:00"]

    def test_counted_from_an_attribute_where_the_delay_says_so(self) -> None:
        of = strategy(initial_delay={**DAILY, "from": "due"})
        assert dates_of(of, "2026-03-01", cycles=1, due="2026-05-01T00:00:00Z") == ["2026-05-02T00:00"]

    def test_a_callback_may_supply_the_delay(self) -> None:
        of = strategy(initial_delay={**DAILY, "retryEventCallback": '{"unit": "days", "amount": cycle + 1}'})
        assert dates_of(of, "2026-03-01", cycles=1) == ["2026-03-03T00:00"]

    def test_one_that_cannot_is_passed_over_and_noted_on_the_event(self) -> None:
        of = life(strategy(initial_delay={**DAILY, "retryEventCallback": '{"amount": attributes.days}'}))
        assert of.open == [("bill", "2026-02-01T00:00")]
        assert (of.main.problem or "").startswith("retryEventCallback: ")


class TestFollowing:
    """Each next cycle counts from the planned date before it, strictly later."""

    def test_from_the_planned_date(self) -> None:
        assert dates_of(strategy(), "2026-01-31", cycles=3) == [
            "2026-01-31T00:00",
            "2026-02-28T00:00",
            "2026-03-31T00:00",
        ]

    def test_a_distance_of_nothing_never_comes(self) -> None:
        of = strategy(calendar({**DAILY, "retryEventCallback": '{"amount": 0}'}))
        with pytest.raises(
            CycleError, match=r"cycle 2 would be at 2026-01-31T00:00:00\+00:00, not after cycle 1"
        ):
            dates_of(of, "2026-01-31", cycles=2)

    def test_counted_from_an_attribute_the_date_comes_only_once(self) -> None:
        of = strategy(calendar({**MONTHLY, "from": "due"}))
        due = "2026-05-01T00:00:00Z"
        assert dates_of(of, "2026-01-15", cycles=2, due=due) == ["2026-01-15T00:00", "2026-06-01T00:00"]
        with pytest.raises(CycleError, match="cycle 3 would be at"):
            dates_of(of, "2026-01-15", cycles=3, due=due)

    def test_an_attribute_that_has_lost_its_date_is_an_error(self) -> None:
        of = strategy(calendar({**MONTHLY, "from": "due"}))
        instance = life(of, new(due="2026-05-01T00:00:00Z")).instance
        without = replace(instance, attributes={})
        with pytest.raises(CycleError, match="cycle 2: attribute 'due' is not a date"):
            following(
                of,
                without,
                cycle=1,
                moment=moment_at(at("2026-01-31"), of.definition.zone),
                now=at("2026-02-01"),
            )

    def test_a_year_that_no_calendar_has_is_an_error(self) -> None:
        of = strategy(calendar({"unit": "years", "amount": 3000}))
        with pytest.raises(CycleError, match="cycle 2: no such date"):
            dates_of(of, "7000-01-31", cycles=2)

    def test_a_plan_ends_with_its_end_date(self) -> None:
        of = strategy()
        instance = life(of, new("2026-01-31", end_date="2026-03-31")).instance
        first = first_cycle(of, instance, now=at("2026-01-31"))
        plan = coming_cycles(of, instance, first, now=at("2026-01-31"))
        assert shown(*(dated.moment.at for dated in plan)) == [
            "2026-01-31T00:00",
            "2026-02-28T00:00",
            "2026-03-31T00:00",
        ]


class TestAskedDay:
    """The day a plan asks for outlives short months; another way of dating sets it anew."""

    def test_hours_set_it_anew(self) -> None:
        of = strategy(calendar(), calendar({"unit": "hours", "amount": 24}, key="b", runOnCycle=3))
        assert dates_of(of, "2026-01-31", cycles=4) == [
            "2026-01-31T00:00",
            "2026-02-28T00:00",
            "2026-03-01T00:00",
            "2026-04-01T00:00",
        ]

    def test_an_hour_that_is_reset_keeps_the_day(self) -> None:
        of = strategy(calendar({**MONTHLY, "resetTo": {"hour": 9}}))
        assert dates_of(of, "2026-01-31", cycles=3) == [
            "2026-01-31T00:00",
            "2026-02-28T09:00",
            "2026-03-31T09:00",
        ]

    def test_a_callback_that_returns_the_computed_date_keeps_it(self) -> None:
        of = strategy(calendar(nextCycleDateCallback="date"))
        assert dates_of(of, "2026-01-31", cycles=3)[2] == "2026-03-31T00:00"

    def test_one_that_returns_another_date_sets_it_anew(self) -> None:
        of = strategy(calendar(nextCycleDateCallback='cycle == 2 ? date + duration("24h") : date'))
        assert dates_of(of, "2026-01-30", cycles=3) == [
            "2026-01-30T00:00",
            "2026-03-01T00:00",
            "2026-04-01T00:00",
        ]


class TestCallbacks:
    """Callbacks choose dates and distances; where one fails, the cycle cannot be dated."""

    def test_the_callbacks_date_wins(self) -> None:
        of = strategy(calendar(nextCycleDateCallback='timestamp("2026-07-01T00:00:00Z")'))
        assert dates_of(of, "2026-01-31", cycles=2)[1] == "2026-07-01T00:00"

    def test_but_not_one_that_is_not_later(self) -> None:
        of = strategy(calendar(nextCycleDateCallback='timestamp("2026-01-31T00:00:00Z")'))
        with pytest.raises(CycleError, match="not after cycle 1"):
            dates_of(of, "2026-01-31", cycles=2)

    def test_nor_one_that_the_zone_cannot_show(self) -> None:
        callback = 'timestamp("9999-12-31T23:00:00Z")'
        of = strategy(calendar(nextCycleDateCallback=callback), timezone="Asia/Tokyo")
        with pytest.raises(CycleError, match="cycle 2: no such date"):
            dates_of(of, "2026-01-31", cycles=2)

    def test_one_that_fails_is_an_error(self) -> None:
        of = strategy(calendar(nextCycleDateCallback="timestamp(string(attributes.due))"))
        with pytest.raises(CycleError, match="nextCycleDateCallback of cycle 2: "):
            dates_of(of, "2026-01-31", cycles=2)

    def test_a_distance_may_be_supplied(self) -> None:
        of = strategy(calendar({**MONTHLY, "retryEventCallback": '{"unit": "days", "amount": cycle}'}))
        assert dates_of(of, "2026-01-31", cycles=3) == [
            "2026-01-31T00:00",
            "2026-02-02T00:00",
            "2026-02-05T00:00",
        ]

    def test_every_callback_sees_the_cycle_and_date_before_it(self) -> None:
        callback = 'date + duration(string(instance.cycle) + "h")'
        of = strategy(calendar(DAILY, nextCycleDateCallback=callback))
        assert dates_of(of, "2026-01-31", cycles=4) == [
            "2026-01-31T00:00",
            "2026-02-01T01:00",
            "2026-02-02T03:00",
            "2026-02-03T06:00",
        ]


class TestCalendars:
    """The calendar of a cycle: by its exact number, else by callback, else the first with neither."""

    def chosen(self, of: Strategy, *, cycle: int, date: str = "2026-01-31") -> str:
        instance = life(strategy()).instance
        return calendar_for(of, instance, cycle=cycle, date=at(date), now=at("2026-01-31")).key

    def test_the_exact_number_comes_before_all(self) -> None:
        of = strategy(
            calendar(key="plain"),
            calendar(key="asked", runOnCycleCallback="true"),
            calendar(key="third", runOnCycle=3),
        )
        assert [self.chosen(of, cycle=cycle) for cycle in (2, 3, 4)] == ["asked", "third", "asked"]

    def test_the_first_true_callback_comes_before_the_rest(self) -> None:
        of = strategy(
            calendar(key="plain"),
            calendar(key="even", runOnCycleCallback="cycle % 2 == 0"),
            calendar(key="fourth", runOnCycleCallback="cycle % 4 == 0"),
        )
        assert [self.chosen(of, cycle=cycle) for cycle in (1, 2, 4)] == ["plain", "even", "even"]

    def test_the_first_of_several_plain_ones_counts(self) -> None:
        assert self.chosen(strategy(calendar(key="a"), calendar(key="b")), cycle=1) == "a"

    def test_callbacks_see_the_date_that_is_counted_from(self) -> None:
        december = "date.getMonth() == 11"
        of = strategy(calendar(key="plain"), calendar(key="december", runOnCycleCallback=december))
        assert self.chosen(of, cycle=2, date="2026-12-15") == "december"
        assert self.chosen(of, cycle=2, date="2026-11-15") == "plain"

    def test_none_is_an_error(self) -> None:
        with pytest.raises(CycleError, match="no calendar for cycle 2"):
            self.chosen(strategy(calendar(runOnCycle=1)), cycle=2)

    def test_a_callback_that_fails_is_an_error(self) -> None:
        of = strategy(calendar(), calendar(key="b", runOnCycleCallback="attributes.vip == true"))
        with pytest.raises(CycleError, match="runOnCycleCallback of b: "):
            self.chosen(of, cycle=1)


class TestDateAttributes:
    """An attribute that a plan counts from holds a date with its offset."""

    @pytest.mark.parametrize("value", [None, 7, True, "", "soon", "2026-05-01", "2026-05-01T00:00:00"])
    def test_anything_else_is_no_date(self, value: Json) -> None:
        instance = life(asked=new(**({} if value is None else {"due": value}))).instance
        with pytest.raises(DateError):
            date_attribute(instance, "due")

    def test_a_date_is_read(self) -> None:
        instance = life(asked=new(due="2026-05-01T02:00:00+02:00")).instance
        assert date_attribute(instance, "due") == at("2026-05-01")


class TestCron:
    """A cron calendar has cycle 1 at its first fire at or after the anchor, each next one strictly after."""

    @pytest.mark.parametrize(
        ("start", "expected"),
        [
            ("2026-02-01T09:00", ["2026-02-01T09:00", "2026-02-02T09:00"]),
            ("2026-02-01T09:00:01", ["2026-02-02T09:00", "2026-02-03T09:00"]),
        ],
    )
    def test_the_start_date_itself_may_be_a_fire(self, start: str, expected: list[str]) -> None:
        assert dates_of(strategy(by_cron("0 9 * * *")), start, cycles=2) == expected

    def test_from_the_initial_delay_on(self) -> None:
        of = strategy(by_cron("0 9 * * MON"), initial_delay={"unit": "days", "amount": 14})
        assert dates_of(of, "2026-02-01", cycles=2) == ["2026-02-16T09:00", "2026-02-23T09:00"]

    def test_or_from_an_attribute_that_the_delay_names(self) -> None:
        of = strategy(by_cron("0 0 9 LW * ?"), initial_delay={"unit": "days", "amount": 0, "from": "due"})
        found = dates_of(of, "2026-02-01", cycles=2, due="2026-05-30T00:00:00Z")
        assert found == ["2026-06-30T09:00", "2026-07-31T09:00"]

    def test_in_the_zone_of_the_strategy(self) -> None:
        of = strategy(by_cron("30 2 * * *"), timezone="America/New_York")
        assert dates_of(of, "2026-03-07", cycles=4) == [
            "2026-03-07T07:30",
            "2026-03-08T07:00",  # 02:30 is in the gap
            "2026-03-09T06:30",
            "2026-03-10T06:30",
        ]

    def test_it_sets_the_asked_day_and_time_anew(self) -> None:
        of = strategy(calendar(), by_cron("15 8 10 * *", key="b", runOnCycle=2))
        assert dates_of(of, "2026-01-31", cycles=3) == [
            "2026-01-31T00:00",
            "2026-02-10T08:15",
            "2026-03-10T08:15",
        ]

    def test_after_another_calendars_cycle(self) -> None:
        of = strategy(calendar(runOnCycle=1), by_cron("0 0 1 * *", key="b"))
        assert dates_of(of, "2026-01-31T10:00", cycles=3) == [
            "2026-01-31T10:00",
            "2026-02-01T00:00",
            "2026-03-01T00:00",
        ]

    def test_the_callback_of_a_cycle_sees_the_fire_and_may_move_it(self) -> None:
        moved = 'date.getDayOfWeek() == 0 ? date + duration("24h") : date'  # no Sundays
        of = strategy(by_cron("0 9 1 * *", nextCycleDateCallback=moved))
        assert dates_of(of, "2026-01-01", cycles=4) == [
            "2026-01-01T09:00",
            "2026-02-02T09:00",
            "2026-03-02T09:00",
            "2026-04-01T09:00",
        ]

    def test_leading_up_tasks_count_back_from_the_fire(self) -> None:
        ahead = [{"task": "remind", "scheduleBefore": {"unit": "days", "amount": 3}}]
        of = life(strategy(by_cron("0 9 1 * *", leadingUpTasks=ahead)), new("2026-02-10"), now="2026-02-10")
        assert of.open == [("remind", "2026-02-26T09:00"), ("bill", "2026-03-01T09:00")]

    def test_with_its_last_fire_the_plan_is_at_its_end(self) -> None:
        of = strategy(by_cron("0 0 9 1 1 ? 2027-2028"))
        assert dates_of(of, "2026-02-01", cycles=5) == ["2027-01-01T09:00", "2028-01-01T09:00"]

    def test_without_any_since_the_start_date_it_is_an_error(self) -> None:
        of = strategy(calendar(runOnCycle=1), by_cron("0 0 9 1 1 ? 2025", key="b"))
        with pytest.raises(CycleError, match=r"cycle 2: cron '0 0 9 1 1 \? 2025' has no further date"):
            dates_of(of, "2026-02-01", cycles=2)

    def test_a_year_beyond_all_reckoning_is_an_error(self) -> None:
        of = strategy(
            calendar({"unit": "years", "amount": 4000}, runOnCycle=2), by_cron("0 9 * * *", key="b")
        )
        with pytest.raises(CycleError, match="cycle 3: cron counts from dates of the years 2 to 9950"):
            dates_of(of, "5980-01-31", cycles=3)
        start = life(strategy(), new("2026-01-31"), now="2026-01-31").instance
        with pytest.raises(CycleError, match="cycle 1: cron counts from dates of the years 2 to 9950"):
            first_cycle(of, replace(start, start_date=at("9999-01-01")), now=at("2026-01-31"))

    def test_a_calendar_without_any_dates_is_an_error(self) -> None:
        of = strategy()
        dateless = replace(of.definition.calendars[0], schedule_after=None)
        of = replace(of, definition=replace(of.definition, calendars=(dateless,)))
        with pytest.raises(CycleError, match="cycle 2: calendar plan has neither scheduleAfter nor cron"):
            dates_of(of, "2026-01-31", cycles=2)


class TestEveryZone:
    """Whatever the zone: dates rise strictly, and a monthly plan never drifts from its day and time."""

    @settings(max_examples=60, deadline=None)
    @given(
        zone=st.sampled_from(ZONES),
        year=st.integers(2020, 2036),
        month=st.integers(1, 12),
        day=st.integers(1, 31),
        minutes=st.integers(0, 24 * 60 - 1),
    )
    def test_a_monthly_plan_does_not_drift(
        self, zone: str, year: int, month: int, day: int, minutes: int
    ) -> None:
        of = strategy(timezone=zone)
        last = 28 if month == 2 else 30
        start = f"{year}-{month:02}-{min(day, last):02}T{minutes // 60:02}:{minutes % 60:02}"
        instance = life(of, new(start), now=start).instance
        first = first_cycle(of, instance, now=at(start))
        plan = list(islice(coming_cycles(of, instance, first, now=at(start)), 48))
        asked = {
            (dated.moment.anchor.day, dated.moment.anchor.hour, dated.moment.anchor.minute) for dated in plan
        }
        assert len(asked) == 1
        assert [dated.cycle for dated in plan] == list(range(1, 49))
        assert all(one.moment.at < other.moment.at for one, other in pairwise(plan))
        months = [dated.moment.anchor.year * 12 + dated.moment.anchor.month for dated in plan]
        assert months == list(range(months[0], months[0] + 48))
