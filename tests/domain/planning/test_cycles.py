"""The dates of a plan. Source: docs/design.md section 4; docs/contracts/core.md sections 3.1 and 3.2."""

from itertools import islice, pairwise
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

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
    """Return the first dates of a plan."""
    instance = life(of, new(start, **attributes), now=start).instance
    first = first_cycle(of, instance, now=at(start))
    plan = coming_cycles(of, instance, first, now=at(start))
    return shown(*(dated.due for dated in islice(plan, cycles)))


class TestFirstCycle:
    """ "Cycle 1 = `startDate` + `initialDelay`. `scheduleAfter` and `nextCycleDateCallback` apply from cycle 2"."""

    def test_the_first_cycle_is_at_the_start_date(self) -> None:
        assert dates_of(strategy(), "2026-03-01T10:00", cycles=1) == ["2026-03-01T10:00"]

    def test_the_initial_delay_moves_the_first_cycle(self) -> None:
        assert dates_of(strategy(initial_delay=HOURLY), "2026-03-01", cycles=1) == ["2026-03-01T01:00"]

    def test_the_initial_delay_can_count_from_an_attribute(self) -> None:
        of = strategy(initial_delay={**DAILY, "from": "due"})
        assert dates_of(of, "2026-03-01", cycles=1, due="2026-05-01T00:00:00Z") == ["2026-05-02T00:00"]

    def test_a_callback_may_supply_the_delay(self) -> None:
        of = strategy(initial_delay={**DAILY, "retryEventCallback": '{"unit": "days", "amount": cycle + 1}'})
        assert dates_of(of, "2026-03-01", cycles=1) == ["2026-03-03T00:00"]

    def test_a_broken_callback_is_ignored_with_a_note_on_the_event(self) -> None:
        of = life(strategy(initial_delay={**DAILY, "retryEventCallback": '{"amount": attributes.days}'}))
        assert of.open == [("bill", "2026-02-01T00:00")]
        assert (of.main.problem or "").startswith("retryEventCallback: ")


class TestFollowing:
    """ "The planned date of cycle n+1 is strictly after that of cycle n"."""

    def test_the_next_cycle_counts_from_the_planned_date(self) -> None:
        assert dates_of(strategy(), "2026-01-31", cycles=3) == [
            "2026-01-31T00:00",
            "2026-02-28T00:00",
            "2026-03-31T00:00",
        ]

    def test_a_delta_of_zero_is_an_error(self) -> None:
        of = strategy(calendar({**DAILY, "retryEventCallback": '{"amount": 0}'}))
        with pytest.raises(
            CycleError, match=r"cycle 2 would be at 2026-01-31T00:00:00\+00:00, not after cycle 1"
        ):
            dates_of(of, "2026-01-31", cycles=2)

    def test_a_delta_from_an_attribute_gives_a_date_only_once(self) -> None:
        of = strategy(calendar({**MONTHLY, "from": "due"}, runOnCycleCallback="true"))
        due = "2026-05-01T00:00:00Z"
        assert dates_of(of, "2026-01-15", cycles=2, due=due) == ["2026-01-15T00:00", "2026-06-01T00:00"]
        with pytest.raises(CycleError, match="cycle 3 would be at"):
            dates_of(of, "2026-01-15", cycles=3, due=due)

    def test_a_removed_date_attribute_is_an_error(self) -> None:
        of = strategy(calendar({**MONTHLY, "from": "due"}, runOnCycle=2), calendar(runOnCycle=1, key="b"))
        instance = life(of, new(due="2026-05-01T00:00:00Z")).instance
        without = replace(instance, attributes={})
        with pytest.raises(CycleError, match="cycle 2: attribute 'due' is not a date"):
            following(of, without, now=at("2026-02-01"))

    def test_a_plan_without_a_date_has_no_next_cycle(self) -> None:
        of = strategy()
        instance = life(of).instance
        blank = replace(instance, plan=replace(instance.plan, moment=None))
        with pytest.raises(CycleError, match="cycle 2 follows no date"):
            following(of, blank, now=at("2026-02-01"))

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


class TestAnchorDay:
    """The anchor day of a plan survives short months; another way of dating sets a new one."""

    def test_hours_set_a_new_anchor_day(self) -> None:
        of = strategy(calendar(), calendar({"unit": "hours", "amount": 24}, key="b", runOnCycle=3))
        assert dates_of(of, "2026-01-31", cycles=4) == [
            "2026-01-31T00:00",
            "2026-02-28T00:00",
            "2026-03-01T00:00",
            "2026-04-01T00:00",
        ]

    def test_a_reset_hour_keeps_the_anchor_day(self) -> None:
        of = strategy(calendar({**MONTHLY, "resetTo": {"hour": 9}}))
        assert dates_of(of, "2026-01-31", cycles=3) == [
            "2026-01-31T00:00",
            "2026-02-28T09:00",
            "2026-03-31T09:00",
        ]

    def test_a_callback_that_returns_the_computed_date_keeps_the_anchor(self) -> None:
        of = strategy(calendar(nextCycleDateCallback="date"))
        assert dates_of(of, "2026-01-31", cycles=3)[2] == "2026-03-31T00:00"

    def test_a_callback_that_returns_another_date_keeps_the_anchor_too(self) -> None:
        of = strategy(calendar(nextCycleDateCallback='cycle == 2 ? date + duration("24h") : date'))
        assert dates_of(of, "2026-01-30", cycles=3) == [
            "2026-01-30T00:00",
            "2026-03-01T00:00",
            "2026-03-30T00:00",
        ]


class TestCallbacks:
    """Callbacks choose dates and distances. If a callback fails, the cycle cannot be dated."""

    def test_the_callbacks_date_wins(self) -> None:
        of = strategy(calendar(nextCycleDateCallback='timestamp("2026-07-01T00:00:00Z")'))
        assert dates_of(of, "2026-01-31", cycles=2)[1] == "2026-07-01T00:00"

    def test_a_callbacks_date_must_exist_in_the_zone(self) -> None:
        callback = 'timestamp("9999-12-31T23:00:00Z")'
        of = strategy(calendar(nextCycleDateCallback=callback), timezone="Asia/Tokyo")
        with pytest.raises(CycleError, match="cycle 2: no such date"):
            dates_of(of, "2026-01-31", cycles=2)

    def test_a_failing_date_callback_is_an_error(self) -> None:
        of = strategy(calendar(nextCycleDateCallback="timestamp(string(attributes.due))"))
        with pytest.raises(CycleError, match="nextCycleDateCallback of cycle 2: "):
            dates_of(of, "2026-01-31", cycles=2)

    def test_a_callback_may_supply_the_delta(self) -> None:
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
            "2026-02-02T02:00",
            "2026-02-03T03:00",
        ]


class TestCalendars:
    """ "`runOnCycle == n`; else the first true `runOnCycleCallback`; else the first calendar with neither"."""

    def chosen(self, of: Strategy, *, cycle: int, date: str = "2026-01-31") -> str:
        instance = life(strategy()).instance
        return calendar_for(of, instance, cycle=cycle, date=at(date), now=at("2026-01-31")).key

    def test_the_exact_number_wins(self) -> None:
        of = strategy(
            calendar(key="plain"),
            calendar(key="asked", runOnCycleCallback="true"),
            calendar(key="third", runOnCycle=3),
        )
        assert [self.chosen(of, cycle=cycle) for cycle in (2, 3, 4)] == ["asked", "third", "asked"]

    def test_the_first_true_callback_wins_over_the_rest(self) -> None:
        of = strategy(
            calendar(key="plain"),
            calendar(key="even", runOnCycleCallback="cycle % 2 == 0"),
            calendar(key="fourth", runOnCycleCallback="cycle % 4 == 0"),
        )
        assert [self.chosen(of, cycle=cycle) for cycle in (1, 2, 4)] == ["plain", "even", "even"]

    def test_the_first_calendar_with_neither_is_used(self) -> None:
        assert self.chosen(strategy(calendar(key="a"), calendar(key="b")), cycle=1) == "a"

    def test_callbacks_see_the_date_that_is_counted_from(self) -> None:
        december = "date.getMonth() == 11"
        of = strategy(calendar(key="plain"), calendar(key="december", runOnCycleCallback=december))
        assert self.chosen(of, cycle=2, date="2026-12-15") == "december"
        assert self.chosen(of, cycle=2, date="2026-11-15") == "plain"

    def test_a_cycle_without_a_calendar_is_an_error(self) -> None:
        with pytest.raises(CycleError, match="no calendar for cycle 2"):
            self.chosen(strategy(calendar(runOnCycle=1)), cycle=2)

    def test_a_calendar_callback_that_fails_is_an_error(self) -> None:
        of = strategy(calendar(), calendar(key="b", runOnCycleCallback="attributes.vip == true"))
        with pytest.raises(CycleError, match="runOnCycleCallback of b: "):
            self.chosen(of, cycle=1)


class TestDateAttributes:
    """An attribute that a plan counts from is a date, or a date and time with its offset."""

    ZONE = ZoneInfo("America/New_York")

    @pytest.mark.parametrize(
        "value", [None, 7, True, "", "soon", "2026-02-30", "2026-05-01T00:00:00", "26-5-1"]
    )
    def test_other_values_are_no_date(self, value: Json) -> None:
        instance = life(request=new(**({} if value is None else {"due": value}))).instance
        with pytest.raises(DateError):
            date_attribute(instance, "due", self.ZONE)

    def test_a_date_with_an_offset_is_read(self) -> None:
        instance = life(request=new(due="2026-05-01T02:00:00+02:00")).instance
        assert date_attribute(instance, "due", self.ZONE) == at("2026-05-01")

    def test_a_date_alone_is_the_start_of_its_day_in_the_zone(self) -> None:
        instance = life(request=new(due="2026-05-01")).instance
        assert date_attribute(instance, "due", self.ZONE) == at("2026-05-01T04:00")

    def test_a_date_alone_dates_a_cycle(self) -> None:
        of = strategy(
            calendar({"unit": "days", "amount": 3, "from": "due"}, runOnCycle=2),
            calendar(key="others"),
            timezone="Asia/Manila",
        )
        assert dates_of(of, "2026-03-01", cycles=2, due="2026-03-15")[1] == "2026-03-17T16:00"

    @pytest.mark.parametrize("value", [7, "15/03/2026"])
    def test_a_refusal_says_which_forms_are_read(self, value: Json) -> None:
        with pytest.raises(
            DateError, match="such as 2026-01-31, or a date and time with an offset such as 2026-01"
        ):
            date_attribute(life(request=new(due=value)).instance, "due", self.ZONE)


class TestCron:
    """ "A cron calendar dates cycle 1 at its first fire at or after `startDate` + `initialDelay`, each next one
    strictly after the planned date before it".
    """

    @pytest.mark.parametrize(
        ("start", "expected"),
        [
            ("2026-02-01T09:00", ["2026-02-01T09:00", "2026-02-02T09:00"]),
            ("2026-02-01T09:00:01", ["2026-02-02T09:00", "2026-02-03T09:00"]),
        ],
    )
    def test_the_start_date_itself_may_be_a_fire(self, start: str, expected: list[str]) -> None:
        assert dates_of(strategy(by_cron("0 9 * * *")), start, cycles=2) == expected

    def test_the_first_fire_counts_from_the_initial_delay(self) -> None:
        of = strategy(by_cron("0 9 * * MON"), initial_delay={"unit": "days", "amount": 14})
        assert dates_of(of, "2026-02-01", cycles=2) == ["2026-02-16T09:00", "2026-02-23T09:00"]

    def test_the_first_fire_can_count_from_an_attribute(self) -> None:
        of = strategy(by_cron("0 0 9 LW * ?"), initial_delay={"unit": "days", "amount": 0, "from": "due"})
        found = dates_of(of, "2026-02-01", cycles=2, due="2026-05-30T00:00:00Z")
        assert found == ["2026-06-30T09:00", "2026-07-31T09:00"]

    def test_cron_is_read_in_the_zone_of_the_strategy(self) -> None:
        of = strategy(by_cron("30 2 * * *"), timezone="America/New_York")
        assert dates_of(of, "2026-03-07", cycles=4) == [
            "2026-03-07T07:30",
            "2026-03-08T07:00",  # 02:30 is in the gap
            "2026-03-09T06:30",
            "2026-03-10T06:30",
        ]

    def test_cron_sets_a_new_anchor_day_and_time(self) -> None:
        of = strategy(calendar(), by_cron("15 8 10 * *", key="b", runOnCycle=2))
        assert dates_of(of, "2026-01-31", cycles=3) == [
            "2026-01-31T00:00",
            "2026-02-10T08:15",
            "2026-03-10T08:15",
        ]

    def test_cron_continues_after_another_calendars_cycle(self) -> None:
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

    def test_the_plan_ends_after_the_last_fire(self) -> None:
        of = strategy(by_cron("0 0 9 1 1 ? 2027-2028"))
        assert dates_of(of, "2026-02-01", cycles=5) == ["2027-01-01T09:00", "2028-01-01T09:00"]

    def test_no_fire_since_the_start_date_is_an_error(self) -> None:
        of = strategy(calendar(runOnCycle=1), by_cron("0 0 9 1 1 ? 2025", key="b"))
        with pytest.raises(CycleError, match=r"cycle 2: cron '0 0 9 1 1 \? 2025' has no further date"):
            dates_of(of, "2026-02-01", cycles=2)

    def test_a_date_out_of_the_calendar_is_an_error(self) -> None:
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
    """In every zone, dates rise strictly and a monthly plan keeps its day and time."""

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
        request = {
            (dated.moment.anchor.day, dated.moment.anchor.hour, dated.moment.anchor.minute) for dated in plan
        }
        assert len(request) == 1
        assert [dated.cycle for dated in plan] == list(range(1, 49))
        assert all(one.moment.at < other.moment.at for one, other in pairwise(plan))
        months = [dated.moment.anchor.year * 12 + dated.moment.anchor.month for dated in plan]
        assert months == list(range(months[0], months[0] + 48))
