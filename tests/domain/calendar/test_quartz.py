"""Quartz expressions. Source: docs/contracts/process.md sections C.6 and C.7; docs/decisions/0018."""

from datetime import datetime, timedelta
from itertools import pairwise

import pytest

from shared.domain.calendar.cron import read_cron
from shared.domain.calendar.cron_fields import CronError
from shared.domain.calendar.cron_search import MAX_GAP_YEARS

MONDAY = "2020-11-16T16:56:00"


def fires(text: str, start: str = MONDAY, *, many: int = 3) -> list[str]:
    """Return the first local times at or after a start."""
    times = read_cron(text).times
    at: datetime | None = datetime.fromisoformat(start)
    found: list[str] = []
    while len(found) < many and at is not None and (at := times.first_from(at)) is not None:
        found.append(at.isoformat().removesuffix(":00").removesuffix("T00:00"))
        at += timedelta(seconds=1)
    return found


def faults(text: str) -> list[tuple[str, int]]:
    """Return the message and place of each fault."""
    with pytest.raises(CronError) as refused:
        read_cron(text)
    return [(fault.message, fault.offset) for fault in refused.value.faults]


class TestTheVectors:
    """The fires that Quartz itself gives from Monday 2020-11-16 16:56, including that instant."""

    @pytest.mark.parametrize(
        ("text", "start", "expected"),
        [
            ("0 6 6 ? * FRI", MONDAY, ["2020-11-20T06:06", "2020-11-27T06:06", "2020-12-04T06:06"]),
            ("0 6 6 ? * 6", MONDAY, ["2020-11-20T06:06", "2020-11-27T06:06", "2020-12-04T06:06"]),
            ("0 6 6 ? * fri", MONDAY, ["2020-11-20T06:06", "2020-11-27T06:06", "2020-12-04T06:06"]),
            ("0 6 6 ? * 1", MONDAY, ["2020-11-22T06:06", "2020-11-29T06:06", "2020-12-06T06:06"]),
            ("0 0 9 L * ?", MONDAY, ["2020-11-30T09:00", "2020-12-31T09:00", "2021-01-31T09:00"]),
            ("0 0 9 LW * ?", MONDAY, ["2020-11-30T09:00", "2020-12-31T09:00", "2021-01-29T09:00"]),
            ("0 0 9 L-3 * ?", MONDAY, ["2020-11-27T09:00", "2020-12-28T09:00", "2021-01-28T09:00"]),
            ("0 0 9 15W * ?", "2021-05-01", ["2021-05-14T09:00", "2021-06-15T09:00", "2021-07-15T09:00"]),
            ("0 0 9 1W * ?", "2021-05-01", ["2021-05-03T09:00", "2021-06-01T09:00", "2021-07-01T09:00"]),
            ("0 0 9 31W * ?", "2021-10-01", ["2021-10-29T09:00", "2021-12-31T09:00", "2022-01-31T09:00"]),
            ("0 0 9 ? * 6L", MONDAY, ["2020-11-27T09:00", "2020-12-25T09:00", "2021-01-29T09:00"]),
            ("0 0 9 ? * FRIL", MONDAY, ["2020-11-27T09:00", "2020-12-25T09:00", "2021-01-29T09:00"]),
            ("0 0 9 ? * L", MONDAY, ["2020-11-21T09:00", "2020-11-28T09:00", "2020-12-05T09:00"]),
            ("0 0 9 ? * 6#3", MONDAY, ["2020-11-20T09:00", "2020-12-18T09:00", "2021-01-15T09:00"]),
            ("0 0 9 ? * FRI#3", MONDAY, ["2020-11-20T09:00", "2020-12-18T09:00", "2021-01-15T09:00"]),
            ("0 0 9 ? * 6#5", MONDAY, ["2021-01-29T09:00", "2021-04-30T09:00", "2021-07-30T09:00"]),
            ("0 0 9 ? * FRI-MON", MONDAY, ["2020-11-20T09:00", "2020-11-21T09:00", "2020-11-22T09:00"]),
            ("0 0 9 ? * 6-2", "2020-11-21", ["2020-11-21T09:00", "2020-11-22T09:00", "2020-11-23T09:00"]),
            ("0 0 22-2 ? * *", MONDAY, ["2020-11-16T22:00", "2020-11-16T23:00", "2020-11-17"]),
            ("0 0 9 ? NOV-FEB MON", MONDAY, ["2020-11-23T09:00", "2020-11-30T09:00", "2020-12-07T09:00"]),
            ("0 0 9 1 1 ? 2022", MONDAY, ["2022-01-01T09:00"]),
            ("0 0 9 ? * MON-FRI 2019", MONDAY, []),
            (
                "0/15 * * * * ?",
                MONDAY,
                ["2020-11-16T16:56", "2020-11-16T16:56:15", "2020-11-16T16:56:30"],
            ),
            (
                "0 5/15 10 * * ?",
                "2020-11-17",
                ["2020-11-17T10:05", "2020-11-17T10:20", "2020-11-17T10:35"],
            ),
            ("0 0 0 1/10 * ?", MONDAY, ["2020-11-21", "2020-12-01", "2020-12-11"]),
            ("0 0 9 ? * 2/2", MONDAY, ["2020-11-18T09:00", "2020-11-20T09:00", "2020-11-23T09:00"]),
            ("0 0 9 ? * MON/2", MONDAY, ["2020-11-23T09:00", "2020-11-30T09:00", "2020-12-07T09:00"]),
            ("0 0 9 31 * ?", MONDAY, ["2020-12-31T09:00", "2021-01-31T09:00", "2021-03-31T09:00"]),
            ("0 0 9 10,L * ?", MONDAY, ["2020-11-30T09:00", "2020-12-10T09:00", "2020-12-31T09:00"]),
            ("0 0 9 30 2 ?", MONDAY, []),
            ("0 /5 * * * ?", MONDAY, ["2020-11-16T17:00", "2020-11-16T17:05", "2020-11-16T17:10"]),
            ("/20 * * * * ?", MONDAY, ["2020-11-16T16:56", "2020-11-16T16:56:20", "2020-11-16T16:56:40"]),
            ("0 0 /6 * * ?", MONDAY, ["2020-11-16T18:00", "2020-11-17", "2020-11-17T06:00"]),
            ("0 0 9 /10 * ?", MONDAY, ["2020-11-21T09:00", "2020-12-01T09:00", "2020-12-11T09:00"]),
            ("0 0 9 1 /4 ?", MONDAY, ["2021-01-01T09:00", "2021-05-01T09:00", "2021-09-01T09:00"]),
            ("0 0 9 ? * /3", MONDAY, ["2020-11-18T09:00", "2020-11-21T09:00", "2020-11-22T09:00"]),
            ("0 0 9 1 1 ? /3", MONDAY, ["2021-01-01T09:00", "2024-01-01T09:00", "2027-01-01T09:00"]),
        ],
    )
    def test_the_fires_are_those_of_quartz(self, text: str, start: str, expected: list[str]) -> None:
        assert fires(text, start) == expected

    @pytest.mark.parametrize(
        "text",
        [
            "0 6 6 ? * 0",
            "0 6 6 ? * 8",
            "0 0 9 ? * FRI#6",
            "0 0 9 ? * 3#1,6#3",
            "0 6 6 1 * FRI",
            "0 6 6 * * *",
            "0 6 6 ? * ?",
            "0 6 6 ? * FRI 2020 1",
            "0 70 6 ? * FRI",
            "0 6 25 ? * FRI",
            "0 6 6 ? FOO FRI",
            "0/70 6 6 ? * FRI",
            "0 / 6 ? * FRI",
            "0 /60 6 ? * FRI",
            "0 -/5 6 ? * FRI",
        ],
    )
    def test_expressions_that_quartz_refuses_are_refused(self, text: str) -> None:
        assert faults(text)

    def test_two_letters_of_a_weekday_are_allowed(self) -> None:
        assert fires("0 6 6 ? * FR", many=1) == ["2020-11-20T06:06"]
        assert fires("0 6 6 ? * sa-Su", many=2) == ["2020-11-21T06:06", "2020-11-22T06:06"]
        assert fires("0 6 6 ? * FRL", many=1) == ["2020-11-27T06:06"]


class TestDays:
    """The special day entries, and how they keep to their month."""

    @pytest.mark.parametrize(
        ("text", "start", "expected"),
        [
            ("0 0 0 L-2W * ?", "2021-01-01", ["2021-01-29", "2021-02-26", "2021-03-29"]),  # Fri, Fri, Mon
            ("0 0 0 L-30 * ?", "2021-01-01", ["2021-01-01", "2021-03-01", "2021-05-01"]),  # 31-day months
            ("0 0 0 LW * ?", "2021-05-01", ["2021-05-31", "2021-06-30", "2021-07-30"]),
            ("0 0 0 28W 2 ?", "2021-01-01", ["2021-02-26", "2022-02-28", "2023-02-28"]),  # Sun: not March
            ("0 0 0 1W,15W 8 ?", "2020-01-01", ["2020-08-03", "2020-08-14", "2021-08-02"]),  # Sat, Sat, Sun
            ("0 0 0 */15 * ?", "2021-02-01", ["2021-02-01", "2021-02-16", "2021-03-01"]),
            ("0 0 0 29-2 * ?", "2021-02-01", ["2021-02-01", "2021-02-02", "2021-03-01"]),
            ("0 0 0 ? 2 SUN#5", "2021-01-01", ["2032-02-29", "2060-02-29", "2088-02-29"]),
            ("0 0 0 ? * SUN", "2021-02-26", ["2021-02-28", "2021-03-07", "2021-03-14"]),
        ],
    )
    def test_day_entries_fire_on_their_days(self, text: str, start: str, expected: list[str]) -> None:
        assert fires(text, start) == expected

    def test_the_longest_gap_between_fires_is_within_the_search(self) -> None:
        rests = [
            later - earlier
            for weekday in range(1, 8)
            for earlier, later in pairwise(
                int(date[:4]) for date in fires(f"0 0 0 ? 2 {weekday}#5", "2000-01-01", many=14)
            )
        ]
        assert max(rests) == MAX_GAP_YEARS


class TestTimes:
    """Seconds, minutes and hours are found in order, and a fraction of a second rounds up."""

    @pytest.mark.parametrize(
        ("text", "start", "expected"),
        [
            ("10,40 5,30 2,14 ? * *", "2021-01-01T02:05:11", ["2021-01-01T02:05:40", "2021-01-01T02:30:10"]),
            ("10,40 5,30 2,14 ? * *", "2021-01-01T02:05:41", ["2021-01-01T02:30:10", "2021-01-01T02:30:40"]),
            ("10,40 5,30 2,14 ? * *", "2021-01-01T02:30:41", ["2021-01-01T14:05:10", "2021-01-01T14:05:40"]),
            ("10,40 5,30 2,14 ? * *", "2021-01-01T03:00", ["2021-01-01T14:05:10", "2021-01-01T14:05:40"]),
            ("10,40 5,30 2,14 ? * *", "2021-01-01T14:30:41", ["2021-01-02T02:05:10", "2021-01-02T02:05:40"]),
            ("0 0 0 1 * ?", "2021-01-01T00:00:00.000001", ["2021-02-01", "2021-03-01"]),
            ("59 59 23 31 12 ? 2021-2030/4", "2021-01-01", ["2021-12-31T23:59:59", "2025-12-31T23:59:59"]),
            ("0 0 0 1 1 ? *", "2021-02-01", ["2022-01-01", "2023-01-01"]),
            ("0 0 0 1 1 ? */50", "2021-02-01", ["2070-01-01"]),
            ("0 0 0 1 */5 ?", "2021-02-01", ["2021-06-01", "2021-11-01"]),
            ("0 50-10/15 4 1 1 ?", "2021-01-01", ["2021-01-01T04:05", "2021-01-01T04:50"]),
        ],
    )
    def test_times_are_found_in_order(self, text: str, start: str, expected: list[str]) -> None:
        assert fires(text, start, many=2) == expected

    def test_nothing_is_found_after_the_last_year(self) -> None:
        assert fires("0 0 0 29 2 ?", "9996-03-01") == []


class TestFaults:
    """Each fault has a message and a place; the faults of all fields are reported together."""

    @pytest.mark.parametrize(
        ("text", "fault"),
        [
            ("0 70 6 ? * FRI", ("the minute must be 0 to 59, not '70'", 2)),
            ("60 0 6 ? * FRI", ("the second must be 0 to 59, not '60'", 0)),
            ("0 0 6 ? FOO FRI", ("the month must be 1 to 12 or JAN to DEC, not 'FOO'", 8)),
            ("0 0 6 ? * 1,8", ("the day of the week must be 1 to 7 or SUN to SAT, not '8'", 12)),
            ("0 0 6 32 * ?", ("the day of the month must be 1 to 31, not '32'", 6)),
            ("0 0 6 0W * ?", ("the day of the month must be 1 to 31, not '0'", 6)),
            ("0 0 6 1 * ? 2100", ("the year must be 1970 to 2099, not '2100'", 12)),
            ("0 0 6 1 * ? 2030-2026", ("a range of the year must rise", 12)),
            ("0/60 0 6 1 * ?", ("a step of the second must be 1 to 59, not 60", 0)),
            ("0 0/0 6 1 * ?", ("a step of the minute must be 1 to 59, not 0", 2)),
            ("0 0 ? 1 * ?", ("'?' cannot be the hour", 4)),
            ("0 0 6 1,,5 * ?", ("an entry is missing", 8)),
            ("0 0 6 L-31 * ?", ("L- goes back 0 to 30 days, not 31", 6)),
            ("0 0 6 LL * ?", ("the day of the month must be 1 to 31, not 'LL'", 6)),
            ("0 0 6 ? * FRI#0", ("# must be followed by 1 to 5, not 0", 10)),
            ("0 0 6 ? * 2,FRIL", ("'FRIL' must be the only entry, not part of a list", 12)),
            ("0 0 6 ? * L,2", ("'L' must be the only entry, not part of a list", 10)),
            (
                "0 0 6 ? * MON-FRI/2",
                ("a step cannot follow a range of names; write their numbers", 10),
            ),
            (
                "0 0 6 1 * 2",
                ("either the day of the month or the day of the week must be ?, and not both", 10),
            ),
        ],
    )
    def test_a_fault_has_its_message_and_place(self, text: str, fault: tuple[str, int]) -> None:
        assert faults(text) == [fault]

    def test_the_faults_of_all_fields_are_reported(self) -> None:
        assert faults("61 x 6,24 ? 13 FRIDAY 1969") == [
            ("the second must be 0 to 59, not '61'", 0),
            ("the minute must be 0 to 59, not 'X'", 3),
            ("the hour must be 0 to 23, not '24'", 7),
            ("the month must be 1 to 12 or JAN to DEC, not '13'", 12),
            ("the day of the week must be 1 to 7 or SUN to SAT, not 'FRIDAY'", 15),
            ("the year must be 1970 to 2099, not '1969'", 22),
        ]
