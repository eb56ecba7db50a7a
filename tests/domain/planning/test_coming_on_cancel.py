"""The on-cancel events of a scheduled cancellation, as answers and the forecast foresee them.

Source: docs/decisions/0061 and 0062.
"""

import pytest
from msgspec.structs import replace

from shared.domain.calendar.dates import format_instant
from shared.domain.calendar.instance_schedule import OwnSchedule
from shared.domain.instance.due import CancelDue, next_change
from shared.domain.instance.event import Event, EventKind, EventPause, EventStatus, PausedFor
from shared.domain.instance.run import Ending
from shared.domain.lifecycle.commands import AddEvent, ApplyCancellation, CancelAt, Pause
from shared.domain.planning.forecast import coming_runs, forecast
from shared.domain.strategy.model import Json
from tests.coming import engine_goes_on, rows
from tests.lifecycle_factories import ANN, Life, at, ended, life, new, reminded, retries, strategy

FAREWELL: Json = {"task": "part", "delayBy": {"unit": "days", "amount": 1}}
NOW = at("2026-02-01")


def leaving(*entries: Json, when: str | None = None, end: str | None = None, **more: Json) -> Life:
    """Return a life from 10 February that is to be canceled at a date, or at the end of the cycle."""
    of = life(
        strategy(reminded(), parts={"onCancelTasks": list(entries or [FAREWELL])}, **more),
        new("2026-02-10", end_date=end, level="gold"),
    )
    of.applied(CancelAt(by=ANN, at=None if when is None else at(when)), NOW)
    return of


def foreseen(of: Life, now: str = "2026-02-01") -> list[Event]:
    """Return the on-cancel events of the coming runs, which must be those of the forecast."""
    found = [run.event for run in coming_runs(of.strategy, of.instance, now=at(now)).runs]
    on_cancel = [event for event in found if event.kind is EventKind.ON_CANCEL]
    ahead = forecast(of.strategy, of.instance, cycles=20, now=at(now)).on_cancel
    assert [(e.task, e.date, e.status) for e in ahead] == [(e.task, e.date, e.status) for e in on_cancel]
    assert found[len(found) - len(on_cancel) :] == on_cancel
    return on_cancel


def shown(events: list[Event]) -> list[tuple[str, str]]:
    return [(event.task, format_instant(event.date)[:10]) for event in events]


class TestOnCancelEvents:
    """They are listed last, dated from the cancellation."""

    @pytest.mark.parametrize(("when", "date"), [(None, "2026-02-11"), ("2026-04-01", "2026-04-02")])
    def test_the_cancellation_creates_what_was_foreseen(self, when: str | None, date: str) -> None:
        of = leaving(when=when)
        assert shown(foreseen(of)) == [("part", date)]
        engine_goes_on(of, NOW, None)
        change = next_change(of.instance)
        assert isinstance(change, CancelDue)
        of.applied(ApplyCancellation(), change.at)
        assert shown(list(of.instance.events)) == [("part", date)]

    def test_on_cancel_events_follow_all_other_runs(self) -> None:
        of = leaving(when="2026-03-01")
        assert rows(coming_runs(of.strategy, of.instance, now=NOW)) == [
            "1 remind 2026-02-07 00:00",
            "1 bill 2026-02-10 00:00",
            "2 part 2026-03-02 00:00",
        ]

    def test_a_condition_decides(self) -> None:
        def entries(level: str) -> Json:
            return {**FAREWELL, "createIf": f"attributes.level == '{level}'"}

        assert len(foreseen(leaving(entries("gold"), entries("silver")))) == 1

    def test_an_event_that_waits_for_an_operator_has_its_status(self) -> None:
        (event,) = foreseen(leaving({**FAREWELL, "manualTrigger": True}))
        assert event.status is EventStatus.ONHOLD

    def test_a_main_event_that_is_retried_after_the_date_delays_them(self) -> None:
        of = leaving(retry=retries(3))
        of.instance = life(of.strategy, new("2026-02-10", level="gold")).instance
        of.run(of.event("remind"), at("2026-02-07"))
        of.claim(of.main, at("2026-02-10"))
        of.conclude(ended(Ending.RETRY, at("2026-03-10T12:00")), at("2026-03-10T12:00"))
        of.applied(CancelAt(by=ANN), at("2026-03-10T12:00"))
        (event,) = foreseen(of, "2026-03-10T12:00")
        assert format_instant(event.date)[:16] == "2026-03-11T13:00"

    def test_they_are_of_the_cycle_whose_main_event_waits_for_an_operator(self) -> None:
        of = leaving(when="2026-06-01", manualTrigger=True)
        (event,) = foreseen(of)
        assert event.created_cycle == 1
        of.applied(ApplyCancellation(), at("2026-06-01"))
        assert [one.created_cycle for one in of.instance.events] == [1]

    @pytest.mark.parametrize(
        ("waits_for", "limit", "cycle"),
        [
            (PausedFor.ANSWER, None, 1),
            (PausedFor.ANSWER, "2026-02-20", 5),
            (PausedFor.IN_DOUBT, None, 1),
        ],
    )
    def test_they_are_of_the_cycle_whose_main_event_waits_for_an_answer_or_a_decision(
        self, waits_for: PausedFor, limit: str | None, cycle: int
    ) -> None:
        of = leaving(when="2026-06-01")
        until = None if limit is None else at(limit)
        waits = EventPause(waits_for=waits_for, answer_by=until)
        main = replace(of.main, status=EventStatus.PAUSED, pause=waits, due_at=until or of.main.due_at)
        of.instance = of.instance.with_event(main)
        (event,) = [
            run.event
            for run in coming_runs(of.strategy, of.instance, now=NOW).runs
            if run.event.kind is EventKind.ON_CANCEL
        ]
        assert event.created_cycle == cycle

    def test_a_main_event_whose_attempts_are_used_up_runs_as_after_a_resume(self) -> None:
        of = leaving(when="2026-06-01")
        used_up = EventPause(waits_for=PausedFor.EXHAUSTED)
        of.instance = of.instance.with_event(replace(of.main, status=EventStatus.PAUSED, pause=used_up))
        (event,) = [
            run.event
            for run in coming_runs(of.strategy, of.instance, now=NOW).runs
            if run.event.kind is EventKind.ON_CANCEL
        ]
        assert event.created_cycle == 5

    def test_a_pause_beyond_the_date_changes_nothing(self) -> None:
        of = leaving(when="2026-02-20")
        of.applied(Pause(by=ANN, sets_until=True, until=at("2026-05-01")), NOW)
        assert shown(foreseen(of)) == [("part", "2026-02-21")]


class TestNone:
    """There are none if the instance is not canceled, or ends before."""

    def test_an_instance_that_is_not_canceled_has_none(self) -> None:
        of = life(strategy(parts={"onCancelTasks": [FAREWELL]}), new("2026-02-10"))
        assert foreseen(of) == []

    def test_a_plan_that_ends_before_has_none(self) -> None:
        assert foreseen(leaving(when="2026-06-01", end="2026-03-20")) == []

    def test_an_event_that_it_bars_keeps_the_instance_from_completing(self) -> None:
        of = leaving(when="2026-06-01", end="2026-03-20")
        of.applied(AddEvent(task="part", by=ANN, date=at("2026-07-01")), NOW)
        runs = coming_runs(of.strategy, of.instance, now=NOW).runs
        assert shown([run.event for run in runs if run.event.kind is EventKind.ON_CANCEL]) == [
            ("part", "2026-06-02")
        ]

    def test_a_main_event_that_waits_for_an_operator_keeps_the_instance_from_completing(self) -> None:
        request = new("2026-02-10")
        of = life(
            strategy(parts={"onCancelTasks": [FAREWELL]}, manualTrigger=True),
            replace(request, schedule=OwnSchedule()),
        )
        of.applied(CancelAt(by=ANN, at=at("2026-06-01")), NOW)
        runs = coming_runs(of.strategy, of.instance, now=NOW).runs
        assert [(run.event.task, run.event.status) for run in runs] == [
            ("bill", EventStatus.ONHOLD),
            ("part", EventStatus.ONHOLD),
        ]

    def test_a_plan_that_cannot_continue_has_none(self) -> None:
        # The first cycle has a calendar, later ones have none.
        of = life(strategy(reminded(runOnCycle=1), parts={"onCancelTasks": [FAREWELL]}), new("2026-02-10"))
        of.applied(CancelAt(by=ANN, at=at("2026-06-01")), NOW)
        assert foreseen(of) == []
