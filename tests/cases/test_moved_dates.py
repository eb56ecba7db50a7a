"""Dates that a callback moves, through the core dialect. Source: docs/decisions/0056; docs/contracts/core.md 3.2."""

import pytest

from tests.cases.engine import Engine, Json, changed, settings_of

DAILY_TO_MONDAY = (
    "date.getDayOfWeek('UTC')==6 ? addDays(date,2,'UTC') : "
    "date.getDayOfWeek('UTC')==0 ? addDays(date,1,'UTC') : date"
)


def daily() -> Json:
    """Return settings of a plan for each working day."""
    return changed(
        settings_of("monthly-after-weekend"),
        schedule_calendars_0_scheduleAfter={"unit": "days", "amount": 1},
        schedule_calendars_0_nextCycleDateCallback=DAILY_TO_MONDAY,
    )


class TestTheCases:
    def test_the_15th_or_the_monday_after_it(self, engine: Engine) -> None:
        dates = engine.dates(settings_of("monthly-after-weekend"), "2026-01-15T09:00:00Z", cycles=120)
        days = [int(date[8:10]) for date in dates]
        assert (set(days), len(dates)) == ({15, 16, 17}, 120)
        assert dates[:5] == [
            f"2026-0{month}-{day}T09:00:00" for month, day in enumerate((15, 16, 16, 15, 15), 1)
        ]

    def test_the_last_day_or_the_friday_before_is_twelve_times_a_year(self, engine: Engine) -> None:
        settings = settings_of("cron-last-day-before-weekend")
        dates = engine.dates(settings, "2026-01-01T00:00:00Z", cycles=120)
        years = [date[:4] for date in dates]
        assert {years.count(str(year)) for year in range(2026, 2036)} == {12}
        assert [date[5:10] for date in dates[:5]] == ["01-31", "02-27", "03-31", "04-30", "05-29"]

    def test_the_15th_or_the_friday_before(self, engine: Engine) -> None:
        dates = engine.dates(settings_of("cron-roll-back"), "2026-07-01T08:00:00Z", cycles=60)
        assert [date[5:10] for date in dates[:5]] == ["07-15", "08-14", "09-15", "10-15", "11-13"]
        assert {int(date[8:10]) for date in dates} == {13, 14, 15}

    def test_the_15th_or_the_monday_after_in_a_zone(self, engine: Engine) -> None:
        dates = engine.dates(settings_of("months-roll-forward"), "2026-07-15T08:00:00Z", cycles=60)
        assert [date[5:10] for date in dates[:5]] == ["07-15", "08-17", "09-15", "10-15", "11-16"]
        assert {int(date[8:10]) for date in dates} == {15, 16, 17}

    @pytest.mark.parametrize(
        "name", ["monthly-after-weekend", "cron-last-day-before-weekend", "cron-roll-back"]
    )
    def test_nothing_is_to_be_said_about_them(self, engine: Engine, name: str) -> None:
        # One failed call would cancel the instance, which is another matter.
        assert [rule for _, rule, _ in engine.warnings(settings_of(name))] == ["no-retry"]


class TestWhatAnswersShow:
    """Both dates of an event, the reason for its move, and the cycles that do not run."""

    START = "2026-02-27T09:00:00Z"

    def test_an_event_shows_both_dates(self, engine: Engine) -> None:
        running = engine.started_at("2026-01-15T09:00:00Z", settings_of("monthly-after-weekend"))
        instance = running.instance()
        assert instance["nextEvent"]["date"] == instance["executionDate"] == "2026-02-16T09:00:00.000Z"
        assert (instance["plannedDate"], instance["executionDay"]) == ("2026-02-15T09:00:00.000Z", 15)
        event = running.event(2)
        assert (event["date"], event["plannedDate"]) == (
            "2026-02-16T09:00:00.000Z",
            "2026-02-15T09:00:00.000Z",
        )
        assert event["movedBy"] == "nextCycleDateCallback of calendar main"

    def test_an_event_that_was_not_moved_shows_one(self, engine: Engine) -> None:
        running = engine.started_at("2026-03-15T09:00:00Z", settings_of("monthly-after-weekend"))
        assert not {"plannedDate", "movedBy"} & set(running.event(2))

    def test_a_forecast_lists_what_does_not_run(self, engine: Engine) -> None:
        running = engine.started_at(self.START, daily())
        status, answer = engine.client("GET", f"/execution-instance/{running.sid}/forecast?cycles=2")
        assert status == 200
        assert [(one["cycle"], one["mainEvent"]["date"][:10]) for one in answer["cycles"]] == [
            (2, "2026-03-02"),
            (5, "2026-03-03"),
        ]
        first = answer["cycles"][0]["mainEvent"]
        assert (first["plannedDate"], first["movedBy"]) == (
            "2026-02-28T09:00:00.000Z",
            "nextCycleDateCallback of calendar main",
        )
        (skipped,) = answer["skipped"]
        assert (skipped["first"], skipped["last"], skipped["date"][:10], skipped["until"][:10]) == (
            3,
            4,
            "2026-03-01",
            "2026-03-02",
        )
        assert skipped["why"].startswith("skipped: cycle 3 would be due on 2026-03-02T09:00:00.000Z")

    def test_a_simulation_lists_it_too(self, engine: Engine) -> None:
        sid = engine.save(daily())
        body = {"cycles": 3, "startDate": self.START}
        status, answer = engine.client("POST", f"/execution-strategy/{sid}/simulate-execution", body)
        assert (status, [(one["first"], one["last"]) for one in answer["skipped"]]) == (200, [(3, 4)])
        body = {"cycles": 2, "startDate": self.START}
        assert (
            "skipped" not in engine.client("POST", f"/execution-strategy/{sid}/simulate-execution", body)[1]
        )

    def test_history_and_explanation_name_the_cause(self, engine: Engine) -> None:
        running = engine.started_at(self.START, daily()).advance(days=4)
        (skipped,) = [one for one in running.history() if one.get("closedBy") == "COINCIDES"]
        assert (skipped["status"], skipped["skippedCycles"]) == ("CANCELED", {"first": 3, "last": 4})
        path = f"/execution-instance/{running.sid}/explain?at=2026-03-01T09:00:00Z"
        status, found = engine.client("GET", path)
        assert (status, found["reason"]) == (200, "COINCIDES")
        assert found["why"].startswith("skipped: cycle 3 would be due on 2026-03-02T09:00:00.000Z, and one")
