"""Quartz expressions in requests, and their fire times.

Source: docs/contracts/process.md C.6 and C.7; docs/design.md section 4. The rows of errors are in test_errors.py.
"""

from datetime import UTC, datetime

import pytest

from tests.dialects.process.client import ProcessClient

BASE_TIME = "2020-11-16 16:56:00"
"""A Monday."""

ROWS = [
    ("0 6 6 ? * FRI", BASE_TIME, ["2020-11-20T06:06:00", "2020-11-27T06:06:00", "2020-12-04T06:06:00"]),
    ("0 6 6 ? * 6", BASE_TIME, ["2020-11-20T06:06:00", "2020-11-27T06:06:00", "2020-12-04T06:06:00"]),
    ("0 6 6 ? * fri", BASE_TIME, ["2020-11-20T06:06:00", "2020-11-27T06:06:00", "2020-12-04T06:06:00"]),
    ("0 6 6 ? * FR", BASE_TIME, ["2020-11-20T06:06:00", "2020-11-27T06:06:00", "2020-12-04T06:06:00"]),  # C.7
    ("0 6 6 ? * 1", BASE_TIME, ["2020-11-22T06:06:00", "2020-11-29T06:06:00", "2020-12-06T06:06:00"]),
    ("0 0 9 L * ?", BASE_TIME, ["2020-11-30T09:00:00", "2020-12-31T09:00:00", "2021-01-31T09:00:00"]),
    ("0 0 9 LW * ?", BASE_TIME, ["2020-11-30T09:00:00", "2020-12-31T09:00:00", "2021-01-29T09:00:00"]),
    ("0 0 9 L-3 * ?", BASE_TIME, ["2020-11-27T09:00:00", "2020-12-28T09:00:00", "2021-01-28T09:00:00"]),
    (
        "0 0 9 15W * ?",
        "2021-05-01 00:00:00",
        ["2021-05-14T09:00:00", "2021-06-15T09:00:00", "2021-07-15T09:00:00"],
    ),
    (
        "0 0 9 1W * ?",
        "2021-05-01 00:00:00",
        ["2021-05-03T09:00:00", "2021-06-01T09:00:00", "2021-07-01T09:00:00"],
    ),
    ("0 0 9 31W * ?", "2021-10-01 00:00:00", ["2021-10-29T09:00:00", "2021-12-31T09:00:00"]),
    ("0 0 9 ? * 6L", BASE_TIME, ["2020-11-27T09:00:00", "2020-12-25T09:00:00", "2021-01-29T09:00:00"]),
    ("0 0 9 ? * FRIL", BASE_TIME, ["2020-11-27T09:00:00", "2020-12-25T09:00:00", "2021-01-29T09:00:00"]),
    ("0 0 9 ? * L", BASE_TIME, ["2020-11-21T09:00:00", "2020-11-28T09:00:00"]),
    ("0 0 9 ? * 6#3", BASE_TIME, ["2020-11-20T09:00:00", "2020-12-18T09:00:00", "2021-01-15T09:00:00"]),
    ("0 0 9 ? * FRI#3", BASE_TIME, ["2020-11-20T09:00:00", "2020-12-18T09:00:00", "2021-01-15T09:00:00"]),
    ("0 0 9 ? * 6#5", BASE_TIME, ["2021-01-29T09:00:00", "2021-04-30T09:00:00", "2021-07-30T09:00:00"]),
    (
        "0 0 9 ? * FRI-MON",
        BASE_TIME,
        ["2020-11-20T09:00:00", "2020-11-21T09:00:00", "2020-11-22T09:00:00", "2020-11-23T09:00:00"],
    ),
    (
        "0 0 9 ? * 6-2",
        BASE_TIME,
        ["2020-11-20T09:00:00", "2020-11-21T09:00:00", "2020-11-22T09:00:00", "2020-11-23T09:00:00"],
    ),
    ("0 0 22-2 ? * *", BASE_TIME, ["2020-11-16T22:00:00", "2020-11-16T23:00:00", "2020-11-17T00:00:00"]),
    (
        "0 0 9 ? NOV-FEB MON",
        BASE_TIME,
        ["2020-11-23T09:00:00", "2020-11-30T09:00:00", "2020-12-07T09:00:00"],
    ),
    ("0/15 * * * * ?", BASE_TIME, ["2020-11-16T16:56:00", "2020-11-16T16:56:15", "2020-11-16T16:56:30"]),
    ("0 5/15 10 * * ?", BASE_TIME, ["2020-11-17T10:05:00", "2020-11-17T10:20:00", "2020-11-17T10:35:00"]),
    ("0 0 0 1/10 * ?", BASE_TIME, ["2020-11-21T00:00:00", "2020-12-01T00:00:00", "2020-12-11T00:00:00"]),
    ("0 0 9 ? * 2/2", BASE_TIME, ["2020-11-18T09:00:00", "2020-11-20T09:00:00", "2020-11-23T09:00:00"]),
    ("0 0 9 ? * MON/2", BASE_TIME, ["2020-11-23T09:00:00", "2020-11-30T09:00:00", "2020-12-07T09:00:00"]),
    ("0 0 9 31 * ?", BASE_TIME, ["2020-12-31T09:00:00", "2021-01-31T09:00:00", "2021-03-31T09:00:00"]),
    ("0 0 9 10,L * ?", BASE_TIME, ["2020-11-30T09:00:00", "2020-12-10T09:00:00", "2020-12-31T09:00:00"]),
]


@pytest.fixture
def in_2020(process: ProcessClient) -> ProcessClient:
    """Return a client at the time of the contract's fire times."""
    process.ports.clock.at = datetime.fromisoformat(BASE_TIME).replace(tzinfo=UTC)
    return process


class TestContractTable:
    """contracts/process.md C.6, row by row. A fire at the instant itself counts."""

    @pytest.mark.parametrize(("text", "start", "expected"), ROWS)
    def test_an_expression_fires_as_quartz_does(
        self, in_2020: ProcessClient, text: str, start: str, expected: list[str]
    ) -> None:
        instance = in_2020.start(quartzDef=text, startDate=start)

        assert in_2020.dates(instance.sid, len(expected)) == expected

    def test_an_expression_with_a_year_stops_firing(self, in_2020: ProcessClient) -> None:
        instance = in_2020.start(quartzDef="0 0 9 1 1 ? 2022")

        assert in_2020.dates(instance.sid, 9) == ["2022-01-01T09:00:00"]

    @pytest.mark.parametrize("text", ["0 0 9 ? * MON-FRI 2019", "0 0 9 30 2 ?"])
    def test_an_expression_that_never_fires_starts_no_events(self, in_2020: ProcessClient, text: str) -> None:
        assert in_2020.start(quartzDef=text).events == ()


class TestClockChanges:
    """A time of day fires once on each day, even if Quartz would skip it or take the second of two."""

    def test_a_skipped_hour_fires_once(self, in_2020: ProcessClient) -> None:
        instance = in_2020.start(
            quartzDef="0 30 2 * * ?", startDate="2021-03-27 12:00:00", timezone="Europe/Berlin"
        )

        assert in_2020.dates(instance.sid, 2) == ["2021-03-28T01:00:00", "2021-03-29T00:30:00"]

    def test_a_repeated_hour_fires_once(self, in_2020: ProcessClient) -> None:
        instance = in_2020.start(
            quartzDef="0 30 2 * * ?", startDate="2021-10-30 12:00:00", timezone="Europe/Berlin"
        )

        assert in_2020.dates(instance.sid, 2) == ["2021-10-31T00:30:00", "2021-11-01T01:30:00"]


class TestSpelling:
    """Blanks and tabs separate fields; the expression is stored as it was sent."""

    def test_blanks_and_tabs_separate_fields(self, in_2020: ProcessClient) -> None:
        text = " 0\t6  6 ? * FRI "

        instance = in_2020.start(quartzDef=text)

        assert instance.plan.schedule is not None
        assert instance.plan.schedule.cron == text
        assert in_2020.dates(instance.sid, 1) == ["2020-11-20T06:06:00"]
