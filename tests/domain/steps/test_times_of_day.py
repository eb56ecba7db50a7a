from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import pytest

from shared.domain.errors import DateError
from shared.domain.steps.times_of_day import next_time_of_day

BERLIN = ZoneInfo("Europe/Berlin")
NINE, SIX = time(9), time(18)


def found(at: str, *times: time, zone: str = "Europe/Berlin") -> str:
    """Return the next time of day in UTC."""
    instant = datetime.fromisoformat(at).replace(tzinfo=UTC)
    return next_time_of_day(instant, times, ZoneInfo(zone)).replace(tzinfo=None).isoformat(timespec="minutes")


class TestNextTimeOfDay:
    """The first instant, now or later, at which the clocks of the zone show one of the times."""

    @pytest.mark.parametrize(
        ("at", "expected"),
        [
            ("2026-01-31T00:00", "2026-01-31T08:00"),
            ("2026-01-31T07:59:59.999999", "2026-01-31T08:00"),
            ("2026-01-31T08:00", "2026-01-31T08:00"),
            ("2026-01-31T08:00:00.000001", "2026-01-31T17:00"),
            ("2026-01-31T17:00", "2026-01-31T17:00"),
            ("2026-01-31T17:00:01", "2026-02-01T08:00"),
            # Already 1 February in Berlin.
            ("2026-01-31T23:30", "2026-02-01T08:00"),
            ("2026-12-31T20:00", "2027-01-01T08:00"),
        ],
    )
    def test_the_next_of_two_times_is_found(self, at: str, expected: str) -> None:
        assert found(at, NINE, SIX) == expected

    def test_the_wall_clock_counts_in_summer_too(self) -> None:
        assert found("2026-07-01T00:00", NINE) == "2026-07-01T07:00"
        # The clocks go forward in between, so the wait is an hour shorter than a day.
        assert found("2026-03-28T08:00:01", NINE) == "2026-03-29T07:00"

    @pytest.mark.parametrize(
        ("name", "expected"), [("Asia/Tokyo", "2026-02-01T00:00"), ("UTC", "2026-01-31T09:00")]
    )
    def test_the_zone_decides(self, name: str, expected: str) -> None:
        assert found("2026-01-31T08:30", NINE, zone=name) == expected

    @pytest.mark.parametrize(
        ("at", "expected"),
        [
            ("2026-03-29T00:00", "2026-03-29T01:00"),  # 02:30 is not shown; the gap ends at 03:00
            ("2026-03-29T01:00", "2026-03-29T01:00"),
            ("2026-03-29T01:00:01", "2026-03-30T00:30"),
        ],
    )
    def test_a_time_in_a_gap_is_the_end_of_the_gap(self, at: str, expected: str) -> None:
        assert found(at, time(2, 30)) == expected

    @pytest.mark.parametrize(
        ("at", "expected"),
        [
            ("2026-10-25T00:30", "2026-10-25T00:30"),
            ("2026-10-25T00:31", "2026-10-26T01:30"),  # 02:30 is shown again at 01:30 UTC
            ("2026-10-25T01:30", "2026-10-26T01:30"),
        ],
    )
    def test_of_a_time_that_occurs_twice_the_first_counts(self, at: str, expected: str) -> None:
        assert found(at, time(2, 30)) == expected

    def test_a_gap_over_midnight_moves_a_time_of_the_day_before(self) -> None:
        # In Toronto the clocks went from 23:30 on 30 March 1919 to 00:30 on the 31st.
        assert found("1919-03-31T04:30", time(23, 45), zone="America/Toronto") == "1919-03-31T04:30"
        assert found("1919-03-31T04:31", time(23, 45), zone="America/Toronto") == "1919-04-01T03:45"

    def test_midnight_is_the_beginning_of_the_next_day(self) -> None:
        assert found("2026-01-31T23:00", time(0)) == "2026-01-31T23:00"
        assert found("2026-01-31T23:01", time(0)) == "2026-02-01T23:00"

    def test_there_is_none_after_the_last_date(self) -> None:
        with pytest.raises(DateError, match="no such date"):
            next_time_of_day(datetime(9999, 12, 31, 12, tzinfo=UTC), (NINE,), BERLIN)
