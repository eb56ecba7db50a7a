"""Cron expressions in a zone. Source: docs/design.md section 4; docs/decisions/0018."""

import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from types import FrameType

import pytest
from msgspec.structs import replace

from shared.domain.calendar.cron import Cron, first_fire, next_fire, read_cron
from shared.domain.calendar.cron_fields import CronError
from shared.domain.calendar.cron_search import LocalTimes, OnDays, OnDaysAndWeekdays, OnWeekdays
from shared.domain.calendar.dates import Anchor, zone_named
from shared.domain.errors import DateError
from tests.lifecycle_factories import at, shown

NEW_YORK = "America/New_York"  # 2026-03-08 02:00 EST -> 03:00 EDT, 2026-11-01 02:00 EDT -> 01:00 EST
LORD_HOWE = "Australia/Lord_Howe"  # 2026-04-05 02:00 +11:00 -> 01:30, 2026-10-04 02:00 +10:30 -> 02:30


def fires(text: str, start: str, zone: str = "UTC", *, many: int = 3) -> list[str]:
    """Return the first fires at or after a start, in UTC."""
    cron, fire = read_cron(text), first_fire(read_cron(text), at(start), zone_named(zone))
    found: list[datetime] = []
    while fire is not None and len(found) < many:
        found.append(fire.at)
        fire = next_fire(cron, fire.at, zone_named(zone))
    return shown(*found)


def faults(text: str) -> list[tuple[str, int]]:
    with pytest.raises(CronError) as refused:
        read_cron(text)
    return [(fault.message, fault.offset) for fault in refused.value.faults]


class TestUnix:
    """Five fields: minute, hour, day of the month, month, day of the week (0 and 7 are Sunday)."""

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("30 9 * * *", ["2026-02-01T09:30", "2026-02-02T09:30", "2026-02-03T09:30"]),
            ("0 9 31 * *", ["2026-03-31T09:00", "2026-05-31T09:00", "2026-07-31T09:00"]),
            ("0 0 29 2 *", ["2028-02-29T00:00", "2032-02-29T00:00", "2036-02-29T00:00"]),
            ("0 9 * * 7", ["2026-02-01T09:00", "2026-02-08T09:00", "2026-02-15T09:00"]),
            ("0 9 * * sun", ["2026-02-01T09:00", "2026-02-08T09:00", "2026-02-15T09:00"]),
            ("0 9 * * 5-7/2", ["2026-02-01T09:00", "2026-02-06T09:00", "2026-02-08T09:00"]),
            ("0 9 * * 7/3", ["2026-02-01T09:00", "2026-02-04T09:00", "2026-02-07T09:00"]),
            ("0 9 * * FRI-MON", ["2026-02-01T09:00", "2026-02-02T09:00", "2026-02-06T09:00"]),
            ("0 9 * * MON/2", ["2026-02-02T09:00", "2026-02-04T09:00", "2026-02-06T09:00"]),
            ("0 5-5 * * *", ["2026-02-01T05:00", "2026-02-02T05:00", "2026-02-03T05:00"]),
            ("0 23-4/2 * * *", ["2026-02-01T01:00", "2026-02-01T03:00", "2026-02-01T23:00"]),
            ("0 0 1,2 JAN-MAR *", ["2026-02-01T00:00", "2026-02-02T00:00", "2026-03-01T00:00"]),
            ("50/5 8 * * *", ["2026-02-01T08:50", "2026-02-01T08:55", "2026-02-02T08:50"]),
            ("*/15 * * * *", ["2026-02-01T00:00", "2026-02-01T00:15", "2026-02-01T00:30"]),
            ("\t0  0\t10 * *  ", ["2026-02-10T00:00", "2026-03-10T00:00", "2026-04-10T00:00"]),
        ],
    )
    def test_unix_cron_fires_at_its_times(self, text: str, expected: list[str]) -> None:
        assert fires(text, "2026-02-01") == expected

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("0 0 10 * 1", ["2026-02-02T00:00", "2026-02-09T00:00", "2026-02-10T00:00"]),
            ("0 0 31 2 1", ["2026-02-02T00:00", "2026-02-09T00:00", "2026-02-16T00:00"]),
            ("0 0 10 * *", ["2026-02-10T00:00", "2026-03-10T00:00", "2026-04-10T00:00"]),
            ("0 0 * * 1", ["2026-02-02T00:00", "2026-02-09T00:00", "2026-02-16T00:00"]),
            ("0 0 1-31 * 1", ["2026-02-01T00:00", "2026-02-02T00:00", "2026-02-03T00:00"]),
            ("0 0 10,* * 1", ["2026-02-01T00:00", "2026-02-02T00:00", "2026-02-03T00:00"]),
        ],
    )
    def test_either_day_field_is_enough_if_both_restrict(self, text: str, expected: list[str]) -> None:
        assert fires(text, "2026-02-01") == expected

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("0 9 */1 * 1", ["2026-02-02T09:00", "2026-02-09T09:00", "2026-02-16T09:00"]),
            ("0 9 */2 * 1", ["2026-02-09T09:00", "2026-02-23T09:00", "2026-03-09T09:00"]),
            ("0 9 *,10 * 1", ["2026-02-02T09:00", "2026-02-09T09:00", "2026-02-16T09:00"]),
            ("0 9 1 * */2", ["2026-02-01T09:00", "2026-03-01T09:00", "2026-08-01T09:00"]),
            ("0 9 */10 * */3", ["2026-02-01T09:00", "2026-02-11T09:00", "2026-02-21T09:00"]),
            ("0 9 */2 * *", ["2026-02-01T09:00", "2026-02-03T09:00", "2026-02-05T09:00"]),
        ],
    )
    def test_both_day_fields_must_match_if_one_begins_with_a_star(
        self, text: str, expected: list[str]
    ) -> None:
        assert fires(text, "2026-02-01") == expected

    def test_every_entry_beside_a_star_is_checked(self) -> None:
        assert faults("0 0 *,99 * *") == [("the day of the month must be 1 to 31, not '99'", 6)]

    def test_quartz_syntax_is_refused_in_five_fields(self) -> None:
        message = "{!r} is for Quartz expressions, which have six or seven fields".format
        assert faults("0 0 L * *") == [(message("L"), 4)]
        assert faults("0 0 L-3 * FRIL") == [(message("L-3"), 4), (message("FRIL"), 10)]
        assert faults("0 0 1,15W * 6#3") == [(message("15W"), 6), (message("6#3"), 12)]
        assert faults("0 0 ? * 6L") == [(message("?"), 4), (message("6L"), 8)]

    @pytest.mark.parametrize(
        ("text", "fault"),
        [
            ("60 0 * * *", ("the minute must be 0 to 59, not '60'", 0)),
            ("0 24 * * *", ("the hour must be 0 to 23, not '24'", 2)),
            ("0 0 0 * *", ("the day of the month must be 1 to 31, not '0'", 4)),
            ("0 0 * 0 *", ("the month must be 1 to 12 or JAN to DEC, not '0'", 6)),
            ("0 0 * * 8", ("the day of the week must be 0 to 7 or SUN to SAT, not '8'", 8)),
            ("0 0 * * R", ("the day of the week must be 0 to 7 or SUN to SAT, not 'R'", 8)),
            ("H 0 * * *", ("the minute must be 0 to 59, not 'H'", 0)),
            ("*/61 0 * * *", ("a step of the minute must be 1 to 60, not 61", 0)),
            ("*/0 0 * * *", ("a step of the minute must be 1 to 60, not 0", 0)),
            ("-5 0 * * *", ("'-5' cannot be the minute", 0)),
            ("5--6 0 * * *", ("'5--6' cannot be the minute", 0)),
            ("1.5 0 * * *", ("'1.5' cannot be the minute", 0)),
            ("0 0 * * *;", ("'*;' cannot be the day of the week", 8)),
        ],
    )
    def test_numbers_out_of_range_are_refused(self, text: str, fault: tuple[str, int]) -> None:
        assert faults(text) == [fault]


class TestFields:
    """Five fields are Unix cron, six or seven are Quartz. Fields are separated by blanks and tabs."""

    def test_the_number_of_fields_decides(self) -> None:
        daily = {"minutes": (0,), "hours": (9,), "months": tuple(range(1, 13))}

        mondays = OnDaysAndWeekdays(OnDays(frozenset(range(1, 32))), OnWeekdays(frozenset({2})))
        unix = LocalTimes(days=(mondays,), **daily)  # 1 is Monday
        assert read_cron("0 9 * * 1").times == unix
        quartz = LocalTimes(days=(OnWeekdays(frozenset({1})),), **daily)  # 1 is Sunday
        assert read_cron("0 0 9 ? * 1").times == quartz
        assert read_cron("0 0 9 ? * 1 2026").times == replace(quartz, years=(2026,))

    @pytest.mark.parametrize(
        ("text", "count"), [("", 0), ("@daily", 1), ("0 0 * *", 4), ("0 0 0 1 * ? 2026 x", 8)]
    )
    def test_another_number_of_fields_is_refused(self, text: str, count: int) -> None:
        assert faults(text) == [(f"must have 5 fields (Unix cron), or 6 or 7 (Quartz), not {count}", 0)]

    @pytest.mark.parametrize("letter", ["\n", "\u00a0", "\u0663", "\x00", "ß"])
    def test_a_letter_that_is_not_allowed_is_refused(self, letter: str) -> None:
        assert faults(f"0 {letter} * * *") == [(f"{letter!r} is not allowed here", 2)]

    def test_the_text_is_kept_as_written(self) -> None:
        assert read_cron(" 0  9 * * mon").text == " 0  9 * * mon"


class TestEventBridge:
    """``cron(...)`` has six fields: minute, hour, day of the month, month, day of the week (1 is Sunday), year."""

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("cron(0 10 * * ? *)", ["2026-02-01T10:00", "2026-02-02T10:00", "2026-02-03T10:00"]),
            ("cron(15 12 ? * MON-FRI 2026)", ["2026-02-02T12:15", "2026-02-03T12:15", "2026-02-04T12:15"]),
            ("cron(0 8 1 * ? *)", ["2026-02-01T08:00", "2026-03-01T08:00", "2026-04-01T08:00"]),
            ("cron(0/30 9 ? * 2 *)", ["2026-02-02T09:00", "2026-02-02T09:30", "2026-02-09T09:00"]),
            ("cron(0 9 L * ? *)", ["2026-02-28T09:00", "2026-03-31T09:00", "2026-04-30T09:00"]),
            (" CRON(0 9 ? * 6#3 *) ", ["2026-02-20T09:00", "2026-03-20T09:00", "2026-04-17T09:00"]),
        ],
    )
    def test_its_own_form_is_accepted(self, text: str, expected: list[str]) -> None:
        assert fires(text, "2026-02-01") == expected

    @pytest.mark.parametrize(
        ("text", "fault"),
        [
            ("cron(0 10 * * ?)", ("cron(...) must have 6 fields, from the minute to the year, not 5", 5)),
            ("cron(0 24 * * ? *)", ("the hour must be 0 to 23, not '24'", 7)),
            (
                "cron(0 10 * * * *)",
                ("either the day of the month or the day of the week must be ?, and not both", 14),
            ),
            ("cron(0 10 * * ? *", ("'CRON(0' cannot be the second", 0)),
        ],
    )
    def test_a_fault_has_its_place_in_the_whole_text(self, text: str, fault: tuple[str, int]) -> None:
        assert fault in faults(text)

    @pytest.mark.parametrize("text", ["rate(5 minutes)", "rate(1 day)", " RATE(0) "])
    def test_a_rate_names_the_setting_for_distances(self, text: str) -> None:
        assert faults(text) == [
            (
                "rate(...) is a distance, not a date: write scheduleAfter with its unit and amount instead of cron",
                0,
            )
        ]

    @pytest.mark.parametrize(
        "text", ["0 10 ? * MON-FRI *", "0 10 * * ? *", "0 0 6 * ? *", "15 10 L * ? 2027"]
    )
    def test_its_order_of_six_fields_is_not_guessed(self, text: str) -> None:
        message = f"these six fields are in EventBridge's order; if that is meant, write cron({text})"
        assert faults(text) == [(message, 0)]


class TestFirstAndNext:
    """The first fire may be at the instant; the next one is strictly later."""

    @pytest.mark.parametrize("text", ["0 9 * * *", "0 0 9 * * ?", "0 * * * *", "0 0 * * * ?"])
    def test_the_first_fire_may_be_at_the_instant(self, text: str) -> None:
        cron, utc = read_cron(text), zone_named("UTC")
        fire, following = (
            first_fire(cron, at("2026-02-01T09:00"), utc),
            next_fire(cron, at("2026-02-01T09:00"), utc),
        )
        assert fire is not None
        assert fire.at == at("2026-02-01T09:00")
        assert following is not None
        assert following.at > fire.at

    def test_a_part_of_a_minute_rounds_up(self) -> None:
        assert fires("0 9 * * *", "2026-02-01T09:00:00.001", many=1) == ["2026-02-02T09:00"]
        assert fires("* * * * *", "2026-02-01T09:00:59", many=1) == ["2026-02-01T09:01"]

    def test_times_are_local_in_the_zone(self) -> None:
        assert fires("0 9 * * 1", "2026-02-01", "Asia/Kathmandu", many=2) == [
            "2026-02-02T03:15",
            "2026-02-09T03:15",
        ]
        assert fires("0 0 9 L * ?", "2026-02-28T20:00", "Pacific/Kiritimati", many=1) == ["2026-03-30T19:00"]

    def test_an_expression_without_a_further_date_has_no_fire(self) -> None:
        assert fires("0 0 9 1 1 ? 2026-2028/2", "2026-01-01") == ["2026-01-01T09:00", "2028-01-01T09:00"]
        assert fires("0 0 * 1 1 ? 2026", "2026-01-01T22:30") == ["2026-01-01T23:00"]

    @pytest.mark.parametrize(
        "instant", ["0001-01-01T00:00:00Z", "9951-01-01T00:00:00Z", "2026-01-01T00:00:00"]
    )
    def test_instants_near_the_limits_and_naive_instants_are_errors(self, instant: str) -> None:
        with pytest.raises(DateError):
            first_fire(read_cron("0 9 * * *"), datetime.fromisoformat(instant), zone_named("UTC"))

    @pytest.mark.parametrize("text", ["0 0 29 2 *", "0 0 0 29 2 ?", "* * * * *", "* * * * * ?"])
    @pytest.mark.parametrize("instant", ["0002-01-01", "9950-12-31T23:59:59"])
    def test_instants_within_the_limits_have_fires(self, text: str, instant: str) -> None:
        assert first_fire(read_cron(text), at(instant), zone_named("Asia/Tokyo")) is not None


class TestFixedTimes:
    """ "A fixed-time expression: each time fires once on each of its days, always"."""

    @pytest.mark.parametrize("text", ["30 2 * * *", "0 30 2 * * ?", "30 2 * 3 *", "0 30 2 8,9,10 3 ?"])
    def test_a_time_in_a_gap_fires_at_the_first_instant_after_it(self, text: str) -> None:
        assert fires(text, "2026-03-07T08:00", NEW_YORK) == [
            "2026-03-08T07:00",  # 03:00 EDT
            "2026-03-09T06:30",
            "2026-03-10T06:30",
        ]

    def test_the_anchor_of_a_time_in_a_gap_is_the_named_time(self) -> None:
        fire = first_fire(read_cron("30 2 * * *"), at("2026-03-08T06:00"), zone_named(NEW_YORK))
        assert fire is not None
        assert fire.anchor == Anchor(year=2026, month=3, day=8, hour=2, minute=30)

    def test_the_first_instant_after_a_gap_counts_for_a_search_from_there(self) -> None:
        assert fires("30 2 * * *", "2026-03-08T07:00", NEW_YORK, many=1) == ["2026-03-08T07:00"]
        assert fires("30 2 * * *", "2026-03-08T07:00:01", NEW_YORK, many=1) == ["2026-03-09T06:30"]

    def test_several_times_in_a_gap_fire_together(self) -> None:
        assert fires("*/15 2,3 * * *", "2026-03-08T06:00", NEW_YORK) == [
            "2026-03-08T07:00",
            "2026-03-08T07:15",
            "2026-03-08T07:30",
        ]
        assert fires("0 */2 * * *", "2026-03-08T05:00", NEW_YORK) == [
            "2026-03-08T05:00",  # 00:00 EST
            "2026-03-08T07:00",  # 02:00, which is 03:00 EDT
            "2026-03-08T08:00",  # 04:00 EDT
        ]

    @pytest.mark.parametrize("text", ["30 1 * * *", "0 30 1 * * ?"])
    def test_the_first_occurrence_of_a_repeated_time_counts(self, text: str) -> None:
        assert fires(text, "2026-10-31T12:00", NEW_YORK) == [
            "2026-11-01T05:30",  # 01:30 EDT
            "2026-11-02T06:30",
            "2026-11-03T06:30",
        ]

    @pytest.mark.parametrize("start", ["2026-11-01T05:31", "2026-11-01T06:00", "2026-11-01T06:30"])
    def test_a_search_within_the_second_occurrence_skips_it(self, start: str) -> None:
        assert fires("30 1 * * *", start, NEW_YORK, many=1) == ["2026-11-02T06:30"]
        assert fires("0,30 1,2 * * *", start, NEW_YORK, many=1) == ["2026-11-01T07:00"]  # 02:00 EST

    def test_a_missing_day_fires_at_the_start_of_the_next(self) -> None:
        assert fires("0 9 * * *", "2011-12-29T20:00", "Pacific/Apia") == [
            "2011-12-30T10:00",  # 30 December, which Samoa did not have: 31 December, 00:00
            "2011-12-30T19:00",
            "2011-12-31T19:00",
        ]

    @pytest.mark.parametrize("hour", [*range(24)])
    def test_a_time_fires_every_day_whatever_its_hour(self, hour: int) -> None:
        for start, days in (("2026-03-01", 15), ("2026-10-25", 15)):
            found = fires(f"15 {hour} * * *", f"{start}T12:00", NEW_YORK, many=days)
            local = [at(fire).astimezone(zone_named(NEW_YORK)).date() for fire in found]
            assert [(day - local[0]).days for day in local] == list(range(days))


class TestIntervals:
    """ "An expression that fires in every hour is an interval expression: it ticks evenly"."""

    @pytest.mark.parametrize(
        ("text", "start", "minutes"),
        [
            ("*/15 * * * *", "2026-03-08T06:30", 15),
            ("*/15 * * * *", "2026-11-01T05:15", 15),
            ("0 0/5 * * * ?", "2026-03-08T06:55", 5),
            ("0 0/5 * * * ?", "2026-11-01T05:55", 5),
            ("0 0/5 0/1 * * ?", "2026-11-01T05:55", 5),
            ("0 * * * *", "2026-03-08T05:00", 60),
            ("0 0-23 * * *", "2026-11-01T04:00", 60),
            ("7 */1 * * *", "2026-11-01T04:07", 60),
        ],
    )
    def test_an_interval_ticks_evenly_through_a_clock_change(
        self, text: str, start: str, minutes: int
    ) -> None:
        found = [at(fire) for fire in fires(text, start, NEW_YORK, many=12)]
        assert [(fire - at(start)).total_seconds() / 60 for fire in found] == [
            minutes * number for number in range(12)
        ]

    def test_a_change_by_half_an_hour_moves_the_ticks_with_the_clocks(self) -> None:
        assert fires("0 * * * *", "2026-10-03T14:00", LORD_HOWE) == [
            "2026-10-03T14:30",  # 01:00 +10:30
            "2026-10-03T16:00",  # 03:00 +11:00; 02:00 is in the gap
            "2026-10-03T17:00",
        ]
        assert fires("45 * * * *", "2026-04-04T14:00", LORD_HOWE) == [
            "2026-04-04T14:45",  # 01:45 +11:00
            "2026-04-04T15:15",  # 01:45 +10:30
            "2026-04-04T16:15",
        ]

    def test_an_interval_keeps_to_its_days(self) -> None:
        assert fires("30 * 1 11 *", "2026-11-01T03:00", NEW_YORK, many=26)[:3] == [
            "2026-11-01T04:30",
            "2026-11-01T05:30",
            "2026-11-01T06:30",
        ]
        assert fires("30 * 1 11 *", "2026-11-01T03:00", NEW_YORK, many=26)[24:] == [
            "2026-11-02T04:30",  # the 25th hour of that day
            "2027-11-01T04:30",
        ]

    def test_a_repeated_hour_after_the_last_time_still_ticks(self) -> None:
        assert fires("0 0 * 28 10 ? 2023", "2023-10-28T19:30", "Asia/Beirut") == [
            "2023-10-28T20:00",  # 23:00 +03:00
            "2023-10-28T21:00",  # 23:00 +02:00
        ]

    def test_the_anchor_of_a_tick_is_the_local_time(self) -> None:
        fire = first_fire(read_cron("30 * * * *"), at("2026-11-01T06:00"), zone_named(NEW_YORK))
        assert fire is not None
        assert fire.anchor == Anchor(year=2026, month=11, day=1, hour=1, minute=30)


class TestNeverFires:
    """An expression that never fires, or no longer fires, is recognised."""

    @pytest.mark.parametrize(
        "text",
        [
            "0 0 31 2 *",
            "0 0 30 2 *",
            "0 0 31 4,6,9,11 *",
            "0 0 0 30 2 ?",
            "0 0 0 31W 4,6 ?",
            "0 0 0 29 2 ? 2027",
        ],
    )
    def test_an_impossible_date_never_fires(self, text: str) -> None:
        assert not read_cron(text).fires_from(None)

    @pytest.mark.parametrize("text", ["0 0 29 2 *", "0 0 0 ? 2 SUN#5", "0 0 0 1 1 ? 1970", "0 0 31 2 1"])
    def test_a_single_possible_date_is_enough(self, text: str) -> None:
        assert read_cron(text).fires_from(None)

    def test_a_margin_of_a_day_covers_every_zone(self) -> None:
        cron: Cron = read_cron("0 0 12 31 12 ? 2026")
        assert cron.fires_from(at("2027-01-01T11:00"))
        assert not cron.fires_from(at("2027-01-01T13:00"))


class TestBounds:
    """The search for a fire ends soon for any expression; the effort is counted in calls, not in time."""

    def calls(self, work: Callable[[], object]) -> int:
        """Return how many functions are called during some work."""
        count = 0

        def counted(_: FrameType, event: str, __: object) -> None:
            nonlocal count
            count += event in ("call", "c_call")

        before = sys.getprofile()
        sys.setprofile(counted)
        try:
            work()
        finally:
            sys.setprofile(before)
        return count

    @pytest.mark.parametrize(
        "text",
        [
            "0 0 31 2,4,6,9,11 *",
            "* * 31 2,4,6,9,11 *",
            "* * 29 2 *",
            "0 0 29 2 *",
            "* * * 30 2 ?",
            "* * * 31W 2,4,6,9,11 ?",
            "* * * ? 2 SUN#5",
            "* * * 30,31 2 ? 1970-2099",
            f"0 0 0 {','.join(['31W'] * 120)} 2,4,6,9,11 ?",
        ],
    )
    @pytest.mark.parametrize("instant", ["1896-03-01", "2026-01-01", "2096-03-01"])
    def test_a_rare_fire_or_none_is_found_within_bounds(self, text: str, instant: str) -> None:
        cron, zone = read_cron(text), zone_named(NEW_YORK)
        assert self.calls(lambda: cron.fires_from(None)) < 30_000
        assert self.calls(lambda: first_fire(cron, at(instant), zone)) < 200_000

    @pytest.mark.parametrize(
        "text",
        [
            "*" * 512,
            "," * 512,
            " " * 512,
            "1," * 250 + "1 * * * *",
            "0-59/1," * 70 + "0 * * * *",
            "9" * 500 + " * * * *",
        ],
    )
    def test_every_text_is_read_within_bounds(self, text: str) -> None:
        def read() -> None:
            with suppress(CronError):
                read_cron(text)

        assert self.calls(read) < 10_000
