"""Forecasts of instances whose status changes at a date.

Source: docs/decisions/0061-a-pause-that-ends-and-a-cancellation-at-a-date.md.
"""

from datetime import timedelta

import pytest

from shared.domain.ids import InstanceSid
from shared.domain.instance.model import ScheduledCancellation
from shared.domain.lifecycle.commands import AddEvent, CancelAt, Pause
from shared.domain.planning.forecast import (
    ComingRuns,
    Forecast,
    coming_runs,
    forecast,
    forecast_until,
)
from tests.lifecycle_factories import (
    ANN,
    DAILY,
    Life,
    at,
    calendar,
    life,
    new,
    reminded,
    shown,
    strategy,
)

NOON = at("2026-01-31T12:00")


def billed(of: Life) -> Life:
    of.run(of.main, at("2026-01-31"))
    return of


def monthly() -> Life:
    """Return a life whose second bill is due on 28 February, with a reminder on the 25th."""
    return billed(life(strategy(reminded(days=3))))


def scheduled(of: Life) -> ScheduledCancellation:
    assert of.instance.cancellation is not None
    return of.instance.cancellation


def days(found: Forecast) -> list[str]:
    return shown(*(cycle.main.date for cycle in found.cycles))


def runs(found: ComingRuns) -> list[tuple[str, str]]:
    return [(run.event.task, shown(run.event.date)[0][:10]) for run in found.runs]


class TestCancellations:
    """Dates after a scheduled cancellation are not forecast, and the forecast says why."""

    def test_cycles_before_the_date_are_shown(self) -> None:
        of = monthly()
        of.applied(CancelAt(by=ANN, at=at("2026-04-15")), NOON)
        found = forecast(of.strategy, of.instance, cycles=12, now=NOON)
        assert days(found) == ["2026-02-28T00:00", "2026-03-31T00:00"]
        assert found.cancellation == scheduled(of)
        assert found.reminders == ()

    def test_a_forecast_that_ends_before_the_date_does_not_name_it(self) -> None:
        of = monthly()
        of.applied(CancelAt(by=ANN, at=at("2026-04-15")), NOON)
        assert forecast(of.strategy, of.instance, cycles=2, now=NOON).cancellation is None

    def test_a_reminder_before_the_date_runs_without_its_cycle(self) -> None:
        of = monthly()
        of.applied(CancelAt(by=ANN, at=at("2026-03-29")), NOON)
        found = forecast(of.strategy, of.instance, cycles=12, now=NOON)
        assert days(found) == ["2026-02-28T00:00"]
        assert [event.task for event in found.reminders] == ["remind"]
        assert shown(found.reminders[0].date) == ["2026-03-28T00:00"]

    def test_nothing_of_the_open_cycle_is_left_at_the_end_of_the_cycle(self) -> None:
        of = monthly()
        of.applied(CancelAt(by=ANN), NOON)
        found = forecast(of.strategy, of.instance, cycles=12, now=NOON)
        assert (found.cycles, found.reminders, found.cancellation) == ((), (), scheduled(of))

    def test_a_begun_cycle_is_shown(self) -> None:
        of = life()
        of.claim(of.main, at("2026-01-31"))
        of.applied(CancelAt(by=ANN), at("2026-01-31"))
        found = forecast(of.strategy, of.instance, cycles=12, now=at("2026-01-31"))
        assert days(found) == ["2026-01-31T00:00"]

    def test_a_pause_that_ends_later_leaves_nothing(self) -> None:
        of = monthly()
        of.applied(CancelAt(by=ANN, at=at("2026-04-15")), NOON)
        of.applied(Pause(by=ANN, sets_until=True, until=at("2026-04-15")), NOON)
        found = forecast(of.strategy, of.instance, cycles=12, now=NOON)
        assert (found.cycles, found.cancellation) == ((), scheduled(of))


class TestPauses:
    """A paused instance is forecast as if it were resumed when its pause ends, or now if it has no end."""

    def test_dates_within_the_pause_fall_under_the_rule_for_missed_dates(self) -> None:
        of = billed(life(strategy(calendar(DAILY), onResume="skip")))
        of.applied(Pause(by=ANN, sets_until=True, until=at("2026-02-10")), NOON)
        found = forecast(of.strategy, of.instance, cycles=2, now=NOON)
        assert days(found) == ["2026-02-10T00:00", "2026-02-11T00:00"]
        assert [(one.first_cycle, one.last_cycle) for one in found.skipped] == [(2, 10)]

    def test_a_pause_without_an_end_is_resumed_now(self) -> None:
        of = billed(life(strategy(calendar(DAILY))))
        of.applied(Pause(by=ANN), NOON)
        assert days(forecast(of.strategy, of.instance, cycles=1, now=NOON)) == ["2026-02-01T00:00"]


class TestComingRuns:
    """The answer to a command lists the runs before a cancellation, and the events that close without a run."""

    def test_the_answer_has_everything_before_the_date(self) -> None:
        of = monthly()
        of.applied(AddEvent(task="greet", by=ANN, date=at("2026-05-01")), NOON)
        of.applied(AddEvent(task="part", by=ANN, date=at("2026-02-10")), NOON)
        of.applied(CancelAt(by=ANN, at=at("2026-04-29")), NOON)
        found = coming_runs(of.strategy, of.instance, now=NOON)
        assert runs(found) == [
            ("remind", "2026-02-25"),
            ("bill", "2026-02-28"),
            ("part", "2026-02-10"),
            ("remind", "2026-03-28"),
            ("bill", "2026-03-31"),
            ("remind", "2026-04-27"),
        ]
        (dropped,) = found.dropped
        assert (dropped.event.task, dropped.why) == (
            "greet",
            "the instance is canceled at 2026-04-29T00:00:00.000Z",
        )
        assert not found.truncated

    def test_a_reminder_of_the_open_cycle_is_there_once(self) -> None:
        of = monthly()
        of.applied(CancelAt(by=ANN, at=at("2026-02-27")), NOON)
        found = coming_runs(of.strategy, of.instance, now=NOON)
        assert runs(found) == [("remind", "2026-02-25")]
        assert [record.event.task for record in found.dropped] == ["bill"]

    def test_missed_cycles_are_shown_if_the_next_one_is_after_the_date(self) -> None:
        of = billed(life(strategy(calendar(DAILY), onResume="skip")))
        of.applied(Pause(by=ANN), NOON)
        now = NOON + timedelta(days=3)
        of.applied(CancelAt(by=ANN, at=now + timedelta(hours=1)), now)
        found = coming_runs(of.strategy, of.instance, now=now)
        assert runs(found) == []
        assert [(one.first_cycle, one.last_cycle) for one in found.skipped] == [(2, 4)]
        assert forecast(of.strategy, of.instance, cycles=3, now=now).skipped == found.skipped

    def test_too_many_cycles_are_cut(self) -> None:
        of = billed(life(strategy(calendar(DAILY))))
        of.applied(CancelAt(by=ANN, at=at("2035-01-01")), NOON)
        found = coming_runs(of.strategy, of.instance, now=NOON)
        assert len(found.runs) == 1002
        assert found.truncated

    def test_a_pause_until_the_date_leaves_nothing(self) -> None:
        of = monthly()
        of.applied(CancelAt(by=ANN, at=at("2026-04-15")), NOON)
        of.applied(Pause(by=ANN, sets_until=True, until=at("2026-05-01")), NOON)
        found = coming_runs(of.strategy, of.instance, now=NOON)
        assert found.runs == ()
        assert [record.event.task for record in found.dropped] == ["remind", "bill"]

    def test_a_pause_with_an_end_shows_what_runs_after_it(self) -> None:
        of = billed(life(strategy(calendar(DAILY))))
        of.applied(Pause(by=ANN, sets_until=True, until=at("2026-02-10")), NOON)
        found = coming_runs(of.strategy, of.instance, now=NOON)
        assert [date for _, date in runs(found)] == ["2026-02-09", "2026-02-10", "2026-02-11", "2026-02-12"]


def _as_it_happens(of: Life, until: str) -> list[tuple[str, str]]:
    """Run every due event on its date, and return them."""
    found: list[tuple[str, str]] = []
    while True:
        startable = [event for event in of.instance.events if of.instance.lets_start(event)]
        if not startable:
            return found
        event = min(startable, key=lambda one: (one.due_at, one.is_main))
        if event.due_at >= at(until):
            return found
        found.append((event.task, shown(event.date)[0][:10]))
        of.run(event, event.due_at)


@pytest.mark.parametrize("date", ["2026-02-25", "2026-03-15", "2026-03-29", "2026-09-30", None])
def test_the_list_is_what_then_happens(date: str | None) -> None:
    of = monthly()
    of.applied(CancelAt(by=ANN, at=None if date is None else at(date)), NOON)
    expected = runs(coming_runs(of.strategy, of.instance, now=NOON))
    assert sorted(expected) == sorted(_as_it_happens(of, date or "2026-02-28"))


def test_a_forecast_until_a_date_ends_at_the_cancellation() -> None:
    of = life(strategy(calendar(DAILY)), new("2026-02-01"))
    of.applied(CancelAt(by=ANN, at=at("2026-02-03")), NOON)
    found = forecast_until(of.strategy, of.instance, at("2026-03-01"), most=99, now=NOON)
    assert days(found) == ["2026-02-01T00:00", "2026-02-02T00:00"]
    assert of.instance.sid == InstanceSid("i-1")
