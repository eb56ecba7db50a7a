from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace

from shared.domain.calendar.dates import (
    Anchor,
    Moment,
    ResetTo,
    Span,
    Unit,
    earlier,
    format_instant,
    later,
    moment_at,
    moment_of,
    parse_instant,
    shifted,
)
from shared.domain.errors import DateError

LISBON = ZoneInfo("Europe/Lisbon")  # 2026: forward 29 March 01:00Z, back 25 October 01:00Z
MADRID = ZoneInfo("Europe/Madrid")
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")  # half an hour: forward 4 October 2026 02:00 to 02:30
APIA = ZoneInfo("Pacific/Apia")  # the whole of 30 December 2011 was left out
MANILA = ZoneInfo("Asia/Manila")
PLAIN_UTC = ZoneInfo("UTC")


def anchor(text: str) -> Anchor:
    """Return ``2026-02-31T24:00`` as an anchor, which unlike a datetime may be a date that does not exist."""
    day, _, clock = text.partition("T")
    numbers = [int(part) for part in (*day.split("-"), *(clock.split(":") if clock else ()))]
    return Anchor(**dict(zip(("year", "month", "day", "hour", "minute", "second"), numbers, strict=False)))


def start(text: str, zone: ZoneInfo) -> Moment:
    return moment_at(parse_instant(text), zone)


def steps_from(base: Moment, span: Span, zone: ZoneInfo, *, steps: int) -> list[str]:
    dates = []
    for _ in range(steps):
        base = later(base, span, zone)
        dates.append(format_instant(base.at))
    return dates


MONTH = Span(unit=Unit.MONTHS, amount=1)
YEAR = Span(unit=Unit.YEARS, amount=1)
DAY = Span(unit=Unit.DAYS, amount=1)
HOUR = Span(unit=Unit.HOURS, amount=1)


class TestMonthsAndYears:
    """Months and years count from the anchor month and keep the anchor day and time; the day clamps."""

    def test_the_31st_comes_back_after_february(self) -> None:
        assert steps_from(start("2026-01-31T10:00:00Z", LISBON), MONTH, LISBON, steps=4) == [
            "2026-02-28T10:00:00.000Z",
            "2026-03-31T09:00:00.000Z",
            "2026-04-30T09:00:00.000Z",
            "2026-05-31T09:00:00.000Z",
        ]

    def test_a_clamped_month_still_has_the_31st_as_anchor(self) -> None:
        february = later(start("2026-01-31T10:00:00Z", LISBON), MONTH, LISBON)
        assert february.anchor == anchor("2026-02-31T10:00")

    def test_a_leap_day_comes_back_after_four_years(self) -> None:
        assert steps_from(start("2024-02-29T06:30:15Z", PLAIN_UTC), YEAR, PLAIN_UTC, steps=4) == [
            "2025-02-28T06:30:15.000Z",
            "2026-02-28T06:30:15.000Z",
            "2027-02-28T06:30:15.000Z",
            "2028-02-29T06:30:15.000Z",
        ]

    def test_twenty_five_months_cross_two_years(self) -> None:
        span = Span(unit=Unit.MONTHS, amount=25)
        assert later(start("2026-12-31T08:00:00Z", PLAIN_UTC), span, PLAIN_UTC).anchor == anchor(
            "2029-01-31T08:00"
        )

    def test_a_month_earlier_crosses_the_year(self) -> None:
        december = earlier(start("2026-01-31T08:00:00Z", PLAIN_UTC), MONTH, PLAIN_UTC)
        assert format_instant(december.at) == "2025-12-31T08:00:00.000Z"

    def test_thirteen_months_earlier_cross_two_years(self) -> None:
        span = Span(unit=Unit.MONTHS, amount=13)
        before = earlier(start("2026-01-31T08:00:00Z", PLAIN_UTC), span, PLAIN_UTC)
        assert format_instant(before.at) == "2024-12-31T08:00:00.000Z"

    def test_the_anchor_time_survives_a_gap(self) -> None:
        base = moment_of(anchor("2026-02-28T01:30"), LISBON)
        in_the_gap = later(replace(base, anchor=anchor("2026-02-29T01:30")), MONTH, LISBON)
        assert format_instant(in_the_gap.at) == "2026-03-29T01:00:00.000Z"
        assert format_instant(later(in_the_gap, MONTH, LISBON).at) == "2026-04-29T00:30:00.000Z"


class TestDays:
    """Days count from the anchor date, clamped to its month, and keep the anchor time."""

    def test_a_daily_time_comes_back_the_day_after_a_gap(self) -> None:
        assert steps_from(moment_of(anchor("2026-03-27T02:30"), MADRID), DAY, MADRID, steps=3) == [
            "2026-03-28T01:30:00.000Z",
            "2026-03-29T01:00:00.000Z",  # 03:00 in Madrid: the clocks skip 02:30
            "2026-03-30T00:30:00.000Z",
        ]

    def test_a_daily_time_takes_the_first_occurrence_in_an_overlap(self) -> None:
        assert steps_from(moment_of(anchor("2026-10-24T01:30"), LISBON), DAY, LISBON, steps=2) == [
            "2026-10-25T00:30:00.000Z",
            "2026-10-26T01:30:00.000Z",
        ]

    def test_days_count_from_the_clamped_day(self) -> None:
        february = moment_of(anchor("2026-02-31T10:00"), PLAIN_UTC)
        assert later(february, DAY, PLAIN_UTC).anchor == anchor("2026-03-01T10:00")

    def test_a_plan_at_hour_24_skips_no_day(self) -> None:
        midnight = moment_of(anchor("2026-05-30T24:00"), PLAIN_UTC)
        assert steps_from(midnight, DAY, PLAIN_UTC, steps=2) == [
            "2026-06-01T00:00:00.000Z",
            "2026-06-02T00:00:00.000Z",
        ]
        assert later(midnight, DAY, PLAIN_UTC).anchor == anchor("2026-05-31T24:00")

    def test_a_reminder_days_earlier_keeps_its_local_time_across_the_change(self) -> None:
        reminder = earlier(
            moment_of(anchor("2026-03-30T09:00"), MADRID), Span(unit=Unit.DAYS, amount=3), MADRID
        )
        assert format_instant(reminder.at) == "2026-03-27T08:00:00.000Z"


class TestHoursAndMinutes:
    """Hours and minutes elapse from the instant; the new anchor is the local time then."""

    def test_an_hour_elapses_across_a_gap(self) -> None:
        after = later(start("2026-03-29T00:30:00Z", LISBON), HOUR, LISBON)
        assert after == Moment(at=datetime(2026, 3, 29, 1, 30, tzinfo=UTC), anchor=anchor("2026-03-29T02:30"))

    def test_hours_elapse_evenly_through_an_overlap(self) -> None:
        assert steps_from(start("2026-10-24T23:30:00Z", LISBON), HOUR, LISBON, steps=3) == [
            "2026-10-25T00:30:00.000Z",  # 01:30
            "2026-10-25T01:30:00.000Z",  # 01:30 again
            "2026-10-25T02:30:00.000Z",
        ]

    def test_hours_count_from_the_instant_and_not_the_anchor_time(self) -> None:
        bent = moment_of(anchor("2026-03-29T01:30"), LISBON)
        after = later(bent, Span(unit=Unit.MINUTES, amount=15), LISBON)
        assert after == Moment(at=datetime(2026, 3, 29, 1, 15, tzinfo=UTC), anchor=anchor("2026-03-29T02:15"))

    def test_seconds_elapse_from_the_instant(self) -> None:
        after = later(start("2026-03-29T00:59:50Z", LISBON), Span(unit=Unit.SECONDS, amount=15), LISBON)
        assert after == Moment(
            at=datetime(2026, 3, 29, 1, 0, 5, tzinfo=UTC),
            anchor=replace(anchor("2026-03-29T02:00"), second=5),
        )

    def test_minutes_count_back_from_the_instant(self) -> None:
        before = earlier(start("2026-01-01T00:10:00Z", MANILA), Span(unit=Unit.MINUTES, amount=20), MANILA)
        assert before == Moment(
            at=datetime(2025, 12, 31, 23, 50, tzinfo=UTC), anchor=anchor("2026-01-01T07:50")
        )

    def test_a_reset_overwrites_the_local_clock_of_the_result(self) -> None:
        span = Span(unit=Unit.HOURS, amount=30, reset_to=ResetTo(day=31, hour=9, minute=15))
        reset = later(start("2026-02-10T12:34:56.789Z", MANILA), span, MANILA)
        assert reset == Moment(at=datetime(2026, 2, 28, 1, 15, tzinfo=UTC), anchor=anchor("2026-02-31T09:15"))


class TestReset:
    """The reset comes last and overwrites the parts that it names."""

    @pytest.mark.parametrize(
        ("reset_to", "expected"),
        [
            (ResetTo(), "2026-02-20T10:20:30.000Z"),
            (ResetTo(month=12), "2026-12-20T10:20:30.000Z"),
            (ResetTo(day=1), "2026-02-01T10:20:30.000Z"),
            (ResetTo(hour=9), "2026-02-20T09:20:00.000Z"),
            (ResetTo(minute=0), "2026-02-20T10:00:00.000Z"),
            (ResetTo(hour=0, minute=0), "2026-02-20T00:00:00.000Z"),
            (ResetTo(hour=24, minute=0), "2026-02-21T00:00:00.000Z"),
            (ResetTo(hour=24), "2026-02-21T00:20:00.000Z"),
            (ResetTo(month=12, day=31, hour=24, minute=0), "2027-01-01T00:00:00.000Z"),
        ],
    )
    def test_a_named_part_is_overwritten(self, reset_to: ResetTo, expected: str) -> None:
        span = Span(unit=Unit.MONTHS, amount=1, reset_to=reset_to)
        assert format_instant(later(start("2026-01-20T10:20:30Z", PLAIN_UTC), span, PLAIN_UTC).at) == expected

    def test_a_reset_of_the_hour_keeps_the_anchor_day(self) -> None:
        span = Span(unit=Unit.MONTHS, amount=1, reset_to=ResetTo(hour=9, minute=0))
        assert steps_from(start("2026-01-31T10:20:30Z", PLAIN_UTC), span, PLAIN_UTC, steps=2) == [
            "2026-02-28T09:00:00.000Z",
            "2026-03-31T09:00:00.000Z",
        ]

    def test_a_reset_day_clamps_and_stays_the_anchor(self) -> None:
        span = Span(unit=Unit.MONTHS, amount=1, reset_to=ResetTo(day=31))
        february = later(start("2026-01-05T10:00:00Z", PLAIN_UTC), span, PLAIN_UTC)
        assert february == Moment(at=datetime(2026, 2, 28, 10, tzinfo=UTC), anchor=anchor("2026-02-31T10:00"))

    def test_a_monthly_plan_at_hour_24_stays_on_the_last_day(self) -> None:
        span = Span(unit=Unit.MONTHS, amount=1, reset_to=ResetTo(day=31, hour=24, minute=0))
        assert steps_from(start("2026-01-15T10:00:00Z", PLAIN_UTC), span, PLAIN_UTC, steps=3) == [
            "2026-03-01T00:00:00.000Z",
            "2026-04-01T00:00:00.000Z",
            "2026-05-01T00:00:00.000Z",
        ]

    def test_earlier_counts_back_and_then_resets(self) -> None:
        span = Span(unit=Unit.DAYS, amount=3, reset_to=ResetTo(hour=18, minute=0))
        assert (
            format_instant(earlier(start("2026-03-02T09:00:00Z", MADRID), span, MADRID).at)
            == "2026-02-27T17:00:00.000Z"
        )

    def test_a_reset_into_a_gap_is_the_first_instant_after_it(self) -> None:
        span = Span(unit=Unit.DAYS, amount=1, reset_to=ResetTo(hour=2, minute=30))
        assert (
            format_instant(later(start("2026-03-28T12:00:00Z", MADRID), span, MADRID).at)
            == "2026-03-29T01:00:00.000Z"
        )


class TestNothingToCount:
    """An amount of 0 without a reset changes nothing; with a reset, only the reset applies."""

    @pytest.mark.parametrize("unit", [Unit.YEARS, Unit.MONTHS, Unit.DAYS])
    def test_zero_calendar_units_are_the_anchor_itself(self, unit: Unit) -> None:
        second_occurrence = start("2026-10-25T01:30:00Z", LISBON)
        assert later(second_occurrence, Span(unit=unit, amount=0), LISBON) == second_occurrence

    @pytest.mark.parametrize("unit", [Unit.HOURS, Unit.MINUTES])
    def test_zero_hours_are_the_same_instant(self, unit: Unit) -> None:
        second_occurrence = start("2026-10-25T01:30:00Z", LISBON)
        assert later(second_occurrence, Span(unit=unit, amount=0), LISBON).at == second_occurrence.at

    def test_zero_days_with_a_reset_is_the_reset(self) -> None:
        span = Span(unit=Unit.DAYS, amount=0, reset_to=ResetTo(hour=12, minute=0))
        assert later(start("2026-01-31T10:20:30Z", PLAIN_UTC), span, PLAIN_UTC).anchor == anchor(
            "2026-01-31T12:00"
        )


class TestGap:
    """A local time inside a gap is the first instant after it, however large the gap."""

    @pytest.mark.parametrize("clock", ["01:00", "01:00:01", "01:30", "01:59:59"])
    def test_every_time_of_the_hour_left_out_is_its_end(self, clock: str) -> None:
        assert (
            format_instant(moment_of(anchor(f"2026-03-29T{clock}"), LISBON).at) == "2026-03-29T01:00:00.000Z"
        )

    def test_the_last_microsecond_of_a_gap_is_its_end(self) -> None:
        last = replace(anchor("2026-03-29T01:59:59"), microsecond=999_999)
        assert moment_of(last, LISBON).at == datetime(2026, 3, 29, 1, tzinfo=UTC)

    def test_the_times_on_either_side_of_a_gap_are_themselves(self) -> None:
        last = replace(anchor("2026-03-29T00:59:59"), microsecond=999_999)
        assert moment_of(last, LISBON).at == datetime(2026, 3, 29, 0, 59, 59, 999_999, tzinfo=UTC)
        assert moment_of(anchor("2026-03-29T02:00"), LISBON).at == datetime(2026, 3, 29, 1, tzinfo=UTC)

    def test_half_an_hour_on_lord_howe(self) -> None:
        assert (
            format_instant(moment_of(anchor("2026-10-04T02:15"), LORD_HOWE).at) == "2026-10-03T15:30:00.000Z"
        )

    @pytest.mark.parametrize("clock", ["00:00", "12:00", "23:59"])
    def test_a_whole_day_in_samoa(self, clock: str) -> None:
        assert format_instant(moment_of(anchor(f"2011-12-30T{clock}"), APIA).at) == "2011-12-30T10:00:00.000Z"

    def test_hour_24_rolls_into_a_gap_at_midnight(self) -> None:
        beirut = ZoneInfo("Asia/Beirut")  # 29 March 2026 begins at 01:00
        assert format_instant(moment_of(anchor("2026-03-28T24:00"), beirut).at) == "2026-03-28T22:00:00.000Z"

    def test_the_anchor_of_a_time_in_a_gap_is_kept(self) -> None:
        assert moment_of(anchor("2026-03-29T01:30"), LISBON).anchor == anchor("2026-03-29T01:30")


class TestOverlap:
    """ "In an overlap the first occurrence counts"; a given instant stays exact."""

    def test_the_first_occurrence_counts(self) -> None:
        assert format_instant(moment_of(anchor("2026-10-25T01:30"), LISBON).at) == "2026-10-25T00:30:00.000Z"

    def test_the_second_occurrence_is_kept_when_it_is_the_instant(self) -> None:
        second = start("2026-10-25T01:30:00Z", LISBON)
        assert second == Moment(
            at=datetime(2026, 10, 25, 1, 30, tzinfo=UTC), anchor=anchor("2026-10-25T01:30")
        )


class TestShift:
    """A shift is elapsed time and sets a new anchor."""

    def test_a_shift_moves_the_instant(self) -> None:
        clamped = moment_of(anchor("2026-02-31T10:00"), LISBON)
        moved = shifted(clamped, timedelta(days=30, hours=1), LISBON)
        assert moved == Moment(at=datetime(2026, 3, 30, 11, tzinfo=UTC), anchor=anchor("2026-03-30T12:00"))


class TestLimits:
    """A date outside the years 1 to 9999 is a DateError, never another exception."""

    @pytest.mark.parametrize("unit", list(Unit))
    @pytest.mark.parametrize("amount", [9_000 * 366 * 24 * 60 * 60, 10**30])
    def test_a_span_out_of_the_calendar_is_refused(self, unit: Unit, amount: int) -> None:
        base, span = start("2026-01-31T10:00:00Z", LISBON), Span(unit=unit, amount=amount)
        with pytest.raises(DateError):
            later(base, span, LISBON)
        with pytest.raises(DateError):
            earlier(base, span, LISBON)

    @pytest.mark.parametrize(
        "day",
        [
            "9999-12-31T24:00",
            "10000-01-01",
            "0-01-01",
            "0001-01-01",
            "2026-13-01",
            "2026-00-10",
            "2026-01-00",
            "2026-01-01T25:00",
            "2026-01-01T10:60",
            "2026-01-01T-1:00",
        ],
    )
    def test_an_anchor_out_of_the_calendar_is_refused(self, day: str) -> None:
        with pytest.raises(DateError):
            moment_of(anchor(day), ZoneInfo("Asia/Tokyo"))

    def test_an_instant_whose_local_date_is_out_of_the_calendar_is_refused(self) -> None:
        with pytest.raises(DateError):
            moment_at(datetime.max.replace(tzinfo=UTC), MANILA)
        with pytest.raises(DateError):
            shifted(start("2026-01-31T10:00:00Z", MANILA), timedelta.max, MANILA)

    def test_an_instant_without_an_offset_is_refused(self) -> None:
        naive = datetime(2026, 1, 1)  # noqa: DTZ001 - what is refused here
        with pytest.raises(DateError, match="no offset"):
            moment_at(naive, LISBON)
        with pytest.raises(DateError, match="no offset"):
            format_instant(naive)

    @pytest.mark.parametrize(
        "at",
        [
            datetime.max.replace(tzinfo=timezone(-timedelta(hours=1))),
            datetime.min.replace(tzinfo=timezone(timedelta(hours=1))),
        ],
        ids=["after the year 9999", "before the year 1"],
    )
    def test_an_instant_that_is_out_of_the_calendar_in_utc_cannot_be_written(self, at: datetime) -> None:
        with pytest.raises(DateError, match="no such date"):
            format_instant(at)

    def test_the_first_and_the_last_instant_can_be_written(self) -> None:
        assert format_instant(datetime.min.replace(tzinfo=UTC)) == "0001-01-01T00:00:00.000Z"
        assert format_instant(datetime.max.replace(tzinfo=UTC)) == "9999-12-31T23:59:59.999Z"
