"""Business-day conventions, by example. Source: ISDA Definitions, "Business Day Convention"; docs/design.md 4."""

from calendar import month_name
from datetime import UTC, date, datetime
from typing import Any

import pytest

from shared.domain.calendar.business_days import (
    Adjusted,
    BusinessDays,
    Convention,
    Weekday,
    adjust,
    closed_dates,
    read_day,
)
from shared.domain.calendar.dates import Anchor, Moment, moment_at, moment_of, zone_named
from shared.domain.errors import DateError

FOLLOWING, PRECEDING = Convention.FOLLOWING, Convention.PRECEDING
MODIFIED, SKIP = Convention.MODIFIED_FOLLOWING, Convention.SKIP
BERLIN = "Europe/Berlin"


def local(text: str, zone: str = "UTC") -> Moment:
    """Return the moment of a local date and time such as ``2026-12-25 09:00``."""
    at = datetime.fromisoformat(text)
    parts = {part: getattr(at, part) for part in ("year", "month", "day", "hour", "minute", "second")}
    return moment_of(Anchor(**parts), zone_named(zone))


def rule(convention: Convention = FOLLOWING, **changes: Any) -> BusinessDays:
    return BusinessDays(convention=convention, **changes)


def moved(
    text: str, by: BusinessDays, zone: str = "UTC", closed: frozenset[date] = frozenset()
) -> tuple[str | None, str | None]:
    """Return the adjusted local date and time, and why it was adjusted."""
    adjusted = adjust(by, local(text, zone), zone_named(zone), closed=closed)
    if adjusted.at is None:
        return None, adjusted.why
    shown = adjusted.at.astimezone(zone_named(zone)).replace(tzinfo=None)
    return shown.isoformat(sep=" ", timespec="minutes"), adjusted.why


class TestConventions:
    """A date that is a business day stays; another one moves as its convention says, at the same time of day."""

    @pytest.mark.parametrize("convention", Convention)
    def test_a_business_day_stays(self, convention: Convention) -> None:
        assert moved("2027-01-29 09:15", rule(convention)) == ("2027-01-29 09:15", None)

    @pytest.mark.parametrize(
        ("unadjusted", "following", "preceding", "modified"),
        [
            # Saturday and Sunday, in the middle of a month
            ("2027-01-16 09:15", "2027-01-18 09:15", "2027-01-15 09:15", "2027-01-18 09:15"),
            ("2027-01-17 09:15", "2027-01-18 09:15", "2027-01-15 09:15", "2027-01-18 09:15"),
            # at the end of a month
            ("2027-01-30 09:15", "2027-02-01 09:15", "2027-01-29 09:15", "2027-01-29 09:15"),
            ("2027-01-31 09:15", "2027-02-01 09:15", "2027-01-29 09:15", "2027-01-29 09:15"),
            # at the beginning of a month
            ("2027-05-01 09:15", "2027-05-03 09:15", "2027-04-30 09:15", "2027-05-03 09:15"),
            # at the end of a year
            ("2028-12-31 00:00", "2029-01-01 00:00", "2028-12-29 00:00", "2028-12-29 00:00"),
            # at the beginning of a year
            ("2028-01-01 23:59", "2028-01-03 23:59", "2027-12-31 23:59", "2028-01-03 23:59"),
            # 29 February
            ("2048-02-29 12:00", "2048-03-02 12:00", "2048-02-28 12:00", "2048-02-28 12:00"),
        ],
    )
    def test_a_weekend_day_moves(
        self, unadjusted: str, following: str, preceding: str, modified: str
    ) -> None:
        assert moved(unadjusted, rule(FOLLOWING))[0] == following
        assert moved(unadjusted, rule(PRECEDING))[0] == preceding
        assert moved(unadjusted, rule(MODIFIED))[0] == modified
        assert moved(unadjusted, rule(SKIP))[0] is None

    def test_modified_following_moves_back_if_the_rest_of_the_month_is_closed(self) -> None:
        closed = closed_dates("2027-01-28, 2027-01-29")

        assert moved("2027-01-28 09:00", rule(MODIFIED), closed=closed)[0] == "2027-01-27 09:00"

    def test_modified_following_moves_back_into_the_month_before_if_its_own_is_closed(self) -> None:
        closed = frozenset(date(2027, 2, day) for day in range(1, 29))

        assert moved("2027-02-10 09:00", rule(MODIFIED), closed=closed)[0] == "2027-01-29 09:00"

    def test_the_moment_stays_as_it_is(self) -> None:
        moment = local("2027-01-31 09:00")
        adjust(rule(), moment, zone_named("UTC"))

        assert moment == local("2027-01-31 09:00")

    def test_the_exact_instant_of_a_business_day_is_kept(self) -> None:
        # The second 02:30 of the night in which the clocks go back, which its anchor cannot tell from the first.
        at = datetime(2026, 10, 26, 1, 30, tzinfo=UTC)
        moment = moment_at(datetime(2026, 10, 25, 1, 30, 0, 7000, tzinfo=UTC), zone_named(BERLIN))

        assert adjust(rule(weekend=frozenset()), moment, zone_named(BERLIN)) == Adjusted(at=moment.at)
        assert adjust(rule(), moment, zone_named(BERLIN)).at == at.replace(microsecond=7000)


class TestWhatIsNoBusinessDay:
    """Weekend days, public holidays, dates of the calendar and closed dates of the customer."""

    def test_a_weekend_day_is_named(self) -> None:
        assert moved("2027-01-02 09:00", rule()) == (
            "2027-01-04 09:00",
            "Saturday 2 January 2027 is a weekend day",
        )

    def test_a_public_holiday_is_named(self) -> None:
        assert moved("2026-12-25 09:00", rule(country="DE", subdivision="BY"), BERLIN) == (
            "2026-12-28 09:00",
            "Friday 25 December 2026 is Christmas Day in DE-BY",
        )

    def test_a_holiday_of_the_calendar_is_named(self) -> None:
        assert moved("2027-01-04 09:00", rule(holidays=frozenset({date(2027, 1, 4)}))) == (
            "2027-01-05 09:00",
            "Monday 4 January 2027 is a holiday of the calendar",
        )

    def test_a_closed_day_is_named(self) -> None:
        assert moved("2027-01-04 09:00", rule(closed="closedOn"), closed=closed_dates("2027-01-04")) == (
            "2027-01-05 09:00",
            "Monday 4 January 2027 is a closed day of this customer",
        )

    def test_skip_says_why_too(self) -> None:
        assert moved("2026-12-25 09:00", rule(SKIP, country="US")) == (
            None,
            "Friday 25 December 2026 is Christmas Day in US",
        )

    def test_moving_back_to_stay_in_the_month_is_explained(self) -> None:
        assert moved("2027-01-30 09:00", rule(MODIFIED))[1] == (
            "Saturday 30 January 2027 is a weekend day, and the business day after it is in another month"
        )

    def test_a_holiday_of_one_subdivision_is_a_business_day_in_the_others(self) -> None:
        epiphany = "2027-01-06 09:00"

        assert moved(epiphany, rule(country="DE", subdivision="BY")) == (
            "2027-01-07 09:00",
            "Wednesday 6 January 2027 is Epiphany in DE-BY",
        )
        assert moved(epiphany, rule(country="DE", subdivision="BE")) == (epiphany, None)
        assert moved(epiphany, rule(country="DE")) == (epiphany, None)

    def test_the_day_on_which_a_holiday_is_observed_is_one(self) -> None:
        # 4 July 2027 is a Sunday.
        assert moved("2027-07-05 09:00", rule(country="US")) == (
            "2027-07-06 09:00",
            "Monday 5 July 2027 is Independence Day (observed) in US",
        )

    def test_several_days_off_in_a_row_are_passed(self) -> None:
        # Good Friday, Saturday, Sunday, Easter Monday
        assert moved("2027-03-26 09:00", rule(country="DE"))[0] == "2027-03-30 09:00"
        assert moved("2027-03-29 09:00", rule(PRECEDING, country="DE"))[0] == "2027-03-25 09:00"

    def test_a_weekend_of_friday_and_saturday(self) -> None:
        weekend = frozenset({Weekday.FRIDAY, Weekday.SATURDAY})

        assert moved("2027-01-15 09:00", rule(weekend=weekend)) == (
            "2027-01-17 09:00",
            "Friday 15 January 2027 is a weekend day",
        )
        assert moved("2027-01-16 09:00", rule(PRECEDING, weekend=weekend))[0] == "2027-01-14 09:00"
        assert moved("2027-01-17 09:00", rule(weekend=weekend)) == ("2027-01-17 09:00", None)

    @pytest.mark.parametrize(("day", "weekday"), list(enumerate(Weekday, start=18)))
    def test_each_day_of_the_week_can_be_in_the_weekend(self, day: int, weekday: Weekday) -> None:
        assert moved(f"2027-01-{day} 09:00", rule(SKIP, weekend=frozenset({weekday}))) == (
            None,
            f"{weekday.title()} {day} January 2027 is a weekend day",
        )

    def test_without_a_weekend_every_day_of_the_week_is_a_business_day(self) -> None:
        assert moved("2027-01-16 09:00", rule(weekend=frozenset()))[1] is None

    @pytest.mark.parametrize(("month", "name"), list(enumerate(month_name))[1:])
    def test_months_have_english_names(self, month: int, name: str) -> None:
        why = moved(f"2027-{month:02}-01 09:00", rule(SKIP, holidays=frozenset({date(2027, month, 1)})))[1]

        assert f" 1 {name} 2027 is " in (why or "")

    def test_an_unknown_country_is_an_error(self) -> None:
        with pytest.raises(DateError, match="'XX' is not a country of the holiday data"):
            moved("2027-01-04 09:00", rule(country="XX"))


class TestZones:
    """The local day counts, and the local time of day stays."""

    def test_the_same_instant_is_a_business_day_on_one_side_of_the_date_line_only(self) -> None:
        at = datetime(2026, 12, 25, 11, 30, tzinfo=UTC)
        honolulu, auckland = zone_named("Pacific/Honolulu"), zone_named("Pacific/Auckland")

        # Friday 01:30, and Saturday 00:30
        assert adjust(rule(), moment_at(at, honolulu), honolulu) == Adjusted(at=at)
        assert adjust(rule(), moment_at(at, auckland), auckland) == Adjusted(
            at=datetime(2026, 12, 27, 11, 30, tzinfo=UTC), why="Saturday 26 December 2026 is a weekend day"
        )

    def test_the_time_of_day_stays_over_a_change_of_the_clocks(self) -> None:
        assert adjust(rule(), local("2026-03-28 09:00", BERLIN), zone_named(BERLIN)).at == datetime(
            2026, 3, 30, 7, tzinfo=UTC
        )

    @pytest.mark.parametrize(
        ("convention", "at"),
        [(FOLLOWING, "2026-03-30 02:30"), (PRECEDING, "2026-03-27 02:30"), (MODIFIED, "2026-03-30 02:30")],
    )
    def test_a_time_in_a_gap_is_itself_again_on_another_day(self, convention: Convention, at: str) -> None:
        # The clocks go from 02:00 to 03:00 on Sunday 29 March 2026.
        assert moved("2026-03-29 02:30", rule(convention), BERLIN) == (
            at,
            "Sunday 29 March 2026 is a weekend day",
        )

    def test_a_date_that_moves_into_a_gap_is_at_its_end(self) -> None:
        weekend = frozenset({Weekday.FRIDAY, Weekday.SATURDAY})

        assert moved("2026-03-28 02:30", rule(weekend=weekend), BERLIN)[0] == "2026-03-29 03:00"

    def test_hour_24_is_on_the_next_day(self) -> None:
        friday = moment_of(Anchor(year=2027, month=1, day=15, hour=24), zone_named(BERLIN))
        sunday = moment_of(Anchor(year=2027, month=1, day=17, hour=24), zone_named(BERLIN))

        assert adjust(rule(), friday, zone_named(BERLIN)) == Adjusted(
            at=datetime(2027, 1, 17, 23, tzinfo=UTC), why="Saturday 16 January 2027 is a weekend day"
        )
        assert adjust(rule(), sunday, zone_named(BERLIN)) == Adjusted(
            at=datetime(2027, 1, 17, 23, tzinfo=UTC)
        )

    def test_a_clamped_day_counts_as_the_day_it_was_clamped_to(self) -> None:
        # The 31st of February, which is Sunday 28 February 2027.
        moment = moment_of(Anchor(year=2027, month=2, day=31, hour=9), zone_named("UTC"))

        assert adjust(rule(MODIFIED), moment, zone_named("UTC")).at == datetime(2027, 2, 26, 9, tzinfo=UTC)

    def test_a_day_that_a_zone_leaves_out_is_no_business_day(self) -> None:
        # Samoa crossed the date line: Friday 30 December 2011 did not exist.
        closed = closed_dates("2011-12-29")

        assert moved("2011-12-29 10:00", rule(), "Pacific/Apia", closed)[0] == "2012-01-02 10:00"
        assert moved("2011-12-31 10:00", rule(PRECEDING), "Pacific/Apia")[0] == "2011-12-29 10:00"


class TestBounds:
    """A date moves by a thousand days at most."""

    @pytest.mark.parametrize("convention", [FOLLOWING, PRECEDING, MODIFIED])
    def test_a_rule_without_business_days_is_an_error(self, convention: Convention) -> None:
        with pytest.raises(
            DateError,
            match=r"Friday 15 January 2027 is a weekend day.*, and there is no business day within 1000 days",
        ):
            moved("2027-01-15 09:00", rule(convention, weekend=frozenset(Weekday)))

    def test_skip_needs_no_business_day(self) -> None:
        assert moved("2027-01-15 09:00", rule(SKIP, weekend=frozenset(Weekday)))[0] is None

    def test_the_thousandth_day_is_the_last_one(self) -> None:
        off = frozenset(date.fromordinal(date(2027, 1, 1).toordinal() + day) for day in range(1000))
        every_day = rule(weekend=frozenset())

        assert moved("2027-01-01 09:00", every_day, closed=off)[0] == "2029-09-27 09:00"
        with pytest.raises(DateError, match="no business day within 1000 days"):
            moved("2027-01-01 09:00", every_day, closed=off | {date(2029, 9, 27)})

    def test_the_end_of_the_calendar_is_an_error(self) -> None:
        # 31 December 9999 is a Friday.
        with pytest.raises(DateError, match="no such date"):
            moved("9999-12-31 09:00", rule(), closed=closed_dates("9999-12-31"))


class TestClosedDates:
    """The text of the attribute that ``closed`` names."""

    @pytest.mark.parametrize(
        ("text", "dates"),
        [
            ("", []),
            ("  ", []),
            ("2026-12-24", [date(2026, 12, 24)]),
            ("2026-12-24,2026-12-31", [date(2026, 12, 24), date(2026, 12, 31)]),
            (" 2026-12-24 ,\t2026-12-24 ", [date(2026, 12, 24)]),
            ("2028-02-29", [date(2028, 2, 29)]),
        ],
    )
    def test_dates_are_separated_by_commas(self, text: str, dates: list[date]) -> None:
        assert closed_dates(text) == frozenset(dates)

    @pytest.mark.parametrize(
        ("text", "entry"),
        [
            ("2026-12-24, 24.12.2026", "24.12.2026"),
            ("2027-02-29", "2027-02-29"),
            ("2026-12-24 2026-12-31", "2026-12-24 2026-12-31"),
            ("20261224", "20261224"),
            ("2026-12-24T00:00:00Z", "2026-12-24T00:00:00Z"),
            ("2026-12-24,", ""),
            (",", ""),
            ("x" * 100, "x" * 37 + "..."),
        ],
    )
    def test_another_entry_is_named(self, text: str, entry: str) -> None:
        with pytest.raises(DateError) as raised:
            closed_dates(text)
        assert str(raised.value) == f"{entry!r} is not a date such as 2026-12-24"

    def test_more_than_400_dates_are_refused(self) -> None:
        assert len(closed_dates(",".join(["2026-12-24"] * 400))) == 1
        with pytest.raises(DateError, match="has 401 dates; at most 400 are allowed"):
            closed_dates(",".join(["2026-12-24"] * 401))

    def test_a_day_is_read_alone(self) -> None:
        assert read_day("2026-12-24") == date(2026, 12, 24)
