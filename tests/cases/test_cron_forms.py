"""Forms of cron expressions. Source: docs/decisions/0018; docs/api/core.md "Calendars by cron"."""

import pytest

from tests.cases.engine import Engine, Json, changed, settings_of
from tests.dialects.process.client import ProcessClient, notepad

START = "2026-01-05T00:00:00Z"


def by_cron(text: str) -> Json:
    """Return settings with this expression."""
    return changed(settings_of("quartz-slash"), schedule_calendars_0_cron=text)


class TestStepWithoutStart:
    """In Quartz ``/5`` is ``*/5``: every fifth value from the field's first."""

    def test_the_case_fires_every_five_minutes(self, engine: Engine) -> None:
        assert engine.dates(settings_of("quartz-slash"), START) == [
            "2026-01-05T00:00:00",
            "2026-01-05T00:05:00",
            "2026-01-05T00:10:00",
            "2026-01-05T00:15:00",
            "2026-01-05T00:20:00",
            "2026-01-05T00:25:00",
        ]

    @pytest.mark.parametrize(
        ("text", "dates"),
        [
            ("/20 * * * * ?", ["2026-01-05T00:00:00", "2026-01-05T00:00:20", "2026-01-05T00:00:40"]),
            ("0 0 /6 * * ?", ["2026-01-05T00:00:00", "2026-01-05T06:00:00", "2026-01-05T12:00:00"]),
            ("0 0 9 /10 * ?", ["2026-01-11T09:00:00", "2026-01-21T09:00:00", "2026-01-31T09:00:00"]),
            ("0 0 9 1 /6 ?", ["2026-07-01T09:00:00", "2027-01-01T09:00:00", "2027-07-01T09:00:00"]),
            ("0 0 9 ? * /3", ["2026-01-07T09:00:00", "2026-01-10T09:00:00", "2026-01-11T09:00:00"]),
            ("0 /59 * * * ?", ["2026-01-05T00:00:00", "2026-01-05T00:59:00", "2026-01-05T01:00:00"]),
            ("0 0/5 * * * ?", ["2026-01-05T00:00:00", "2026-01-05T00:05:00", "2026-01-05T00:10:00"]),
            ("cron(/30 * * * ? *)", ["2026-01-05T00:00:00", "2026-01-05T00:30:00", "2026-01-05T01:00:00"]),
        ],
    )
    def test_a_step_without_a_start_is_read_in_every_field(
        self, engine: Engine, text: str, dates: list[str]
    ) -> None:
        assert engine.dates(by_cron(text), START, cycles=3) == dates

    @pytest.mark.parametrize("text", ["/5", "*/5", "0/5"])
    def test_a_process_may_be_started_by_it(self, process: ProcessClient, text: str) -> None:
        process.saved(notepad("slash"))
        sid = process.start(name="slash", quartzDef=f"0 {text} * * * ?", timezone="UTC").sid

        assert process.dates(sid) == ["2026-01-01T12:00:00", "2026-01-01T12:05:00", "2026-01-01T12:10:00"]

    @pytest.mark.parametrize(
        "text", ["0 / * * * ?", "0 /0 * * * ?", "0 /60 * * * ?", "0 5/ * * * ?", "0 //5 * * * ?"]
    )
    def test_a_step_that_is_none_is_refused(self, engine: Engine, text: str) -> None:
        ((pointer, rule, _),) = engine.problems(by_cron(text))

        assert (pointer, rule) == ("/settings/schedule/calendars/0/cron", "cron")


class TestStarWithStep:
    """If a day field of Unix cron begins with ``*``, both day fields must match: ``0 9 */1 * 1`` is Mondays."""

    def test_the_case_fires_on_mondays(self, engine: Engine) -> None:
        assert engine.dates(settings_of("star-step"), START) == [
            "2026-01-05T09:00:00",
            "2026-01-12T09:00:00",
            "2026-01-19T09:00:00",
            "2026-01-26T09:00:00",
            "2026-02-02T09:00:00",
            "2026-02-09T09:00:00",
        ]

    @pytest.mark.parametrize(
        ("text", "dates"),
        [
            ("0 9 * * 1", ["2026-01-05T09:00:00", "2026-01-12T09:00:00", "2026-01-19T09:00:00"]),
            ("0 9 */2 * 1", ["2026-01-05T09:00:00", "2026-01-19T09:00:00", "2026-02-09T09:00:00"]),
            ("0 9 10 * */1", ["2026-01-10T09:00:00", "2026-02-10T09:00:00", "2026-03-10T09:00:00"]),
            ("0 9 13 * */5", ["2026-02-13T09:00:00", "2026-03-13T09:00:00", "2026-09-13T09:00:00"]),
            ("0 9 */2,6 * 1", ["2026-01-05T09:00:00", "2026-01-19T09:00:00", "2026-02-09T09:00:00"]),
            # Without a star one of the two is enough.
            ("0 9 1-31 * 1", ["2026-01-05T09:00:00", "2026-01-06T09:00:00", "2026-01-07T09:00:00"]),
            ("0 9 10 * 1", ["2026-01-05T09:00:00", "2026-01-10T09:00:00", "2026-01-12T09:00:00"]),
            ("0 9 6,*/2 * 1", ["2026-01-05T09:00:00", "2026-01-06T09:00:00", "2026-01-07T09:00:00"]),
        ],
    )
    def test_both_day_fields_must_match_only_with_a_star(
        self, engine: Engine, text: str, dates: list[str]
    ) -> None:
        assert engine.dates(by_cron(text), START, cycles=3) == dates
