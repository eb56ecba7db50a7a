"""Creating instances whose start date is in the past. Source: docs/design.md section 4; docs/contracts/core.md 3.3."""

import pytest
from msgspec.structs import replace

from shared.domain.errors import InvalidInputError
from shared.domain.instance.event import EventStatus
from shared.domain.instance.journal import ClosedBy
from shared.domain.instance.model import InstanceStatus
from shared.domain.instance.run import Ending
from shared.domain.lifecycle.commands import Pause, Resume
from shared.domain.strategy.model import Json, OnResume, Strategy
from tests.lifecycle_factories import ANN, DAILY, Life, at, calendar, ended, life, new, retries, strategy

WEEKLY: Json = {"unit": "days", "amount": 7}
NOW = "2026-03-11"
TWO_YEARS = "2024-03-13"
"""A hundred and four weeks before now."""


def imported(
    missed: OnResume | None, *, of: Strategy | None = None, start: str = TWO_YEARS, end: str | None = None
) -> Life:
    """Return an instance that was created now."""
    request = replace(new(start, end_date=end), missed=missed)
    return life(of or strategy(calendar(WEEKLY)), request, now=NOW)


class TestTheRule:
    """``missed`` decides about the dates before now; without it the strategy's ``onResume`` does."""

    def test_skip_imports_a_running_subscription_without_a_charge(self) -> None:
        of = imported(OnResume.SKIP)
        assert (of.open, of.instance.plan.cycle) == ([("bill", "2026-03-11T00:00")], 105)
        (record,) = of.records
        assert (record.skipped_cycles, record.closed_by) == ((1, 104), ClosedBy.LATE_PLAN)
        assert record.skipped_until == at("2026-03-04")

    def test_last_runs_the_latest(self) -> None:
        of = imported(OnResume.LAST, start="2026-02-26")
        assert (of.open, of.instance.plan.cycle) == ([("bill", "2026-03-05T00:00")], 2)
        of.run(of.main, at("2026-03-11"))
        assert of.open == [("bill", "2026-03-12T00:00")]

    def test_all_runs_each_although_the_strategy_says_skip(self) -> None:
        of = imported(OnResume.ALL, of=strategy(calendar(WEEKLY), onResume="skip"), start="2026-02-26")
        ran = []
        while of.main.date < at(NOW):
            ran.append(of.open[0][1])
            of.run(of.main, at(NOW))
        assert ran == ["2026-02-26T00:00", "2026-03-05T00:00"]
        assert (of.open, of.instance.plan.on_late) == ([("bill", "2026-03-12T00:00")], None)

    def test_a_pause_during_retries_does_not_end_it(self) -> None:
        """The retry is after the resume, and the dates behind it are still to run."""
        rules = strategy(calendar(WEEKLY), retry=retries(3), onResume="skip")
        of = imported(OnResume.ALL, of=rules, start="2026-02-26")
        of.run(of.main, at(NOW), ended(Ending.RETRY, at("2026-03-11T01:00")))
        of.applied(Pause(by=ANN), at("2026-03-11T00:30"))
        of.applied(Resume(by=ANN), at("2026-03-11T00:40"))
        of.run(of.main, at("2026-03-11T02:00"))
        assert (of.open, of.instance.plan.on_late) == ([("bill", "2026-03-05T00:00")], OnResume.ALL)
        of.run(of.main, at("2026-03-11T02:00"))
        assert (of.open, of.instance.plan.on_late) == ([("bill", "2026-03-12T00:00")], None)

    @pytest.mark.parametrize(("on_resume", "cycle"), [("last", 2), ("all", 1), ("skip", 3)])
    def test_without_it_the_strategy_decides(self, on_resume: str, cycle: int) -> None:
        of = imported(None, of=strategy(calendar(WEEKLY), onResume=on_resume), start="2026-02-26")
        assert of.instance.plan.cycle == cycle

    @pytest.mark.parametrize("missed", [OnResume.LAST, OnResume.ALL, OnResume.SKIP])
    def test_a_start_in_the_future_misses_nothing(self, missed: OnResume) -> None:
        of = imported(missed, start="2026-03-12")
        assert (of.open, of.records, of.instance.plan.on_late) == ([("bill", "2026-03-12T00:00")], [], None)

    @pytest.mark.parametrize("missed", [OnResume.LAST, OnResume.ALL, OnResume.SKIP])
    def test_a_start_now_is_not_missed(self, missed: OnResume) -> None:
        assert imported(missed, start=NOW).open == [("bill", f"{NOW}T00:00")]

    def test_a_plan_that_has_ended_is_imported_as_completed(self) -> None:
        of = imported(OnResume.SKIP, end="2025-01-01")
        assert (of.open, of.instance.status) == ([], InstanceStatus.COMPLETED)

    def test_too_many_dates_are_refused(self) -> None:
        with pytest.raises(InvalidInputError, match="more than 1000 planned dates were missed"):
            imported(OnResume.SKIP, of=strategy(calendar(DAILY)), start="2023-03-11")


class TestOnCreateTasks:
    """An import must not welcome a customer of two years, nor charge the setup fee again."""

    OF = strategy(
        calendar(WEEKLY),
        parts={
            "onCreateTasks": [
                {"task": "greet"},
                {"task": "part", "manualTrigger": True},
                {"task": "remind", "delayBy": {"unit": "years", "amount": 3}},
            ]
        },
    )

    def test_skip_skips_those_whose_date_has_passed(self) -> None:
        of = imported(OnResume.SKIP, of=self.OF)
        tasks = [(event.task, event.status) for event in of.instance.events]
        assert tasks == [
            ("part", EventStatus.ONHOLD),
            ("remind", EventStatus.PENDING),
            ("bill", EventStatus.PENDING),
        ]
        welcome = of.records[0]
        assert (welcome.event.task, welcome.closed_by, welcome.why) == (
            "greet",
            ClosedBy.LATE_PLAN,
            "skipped: its date has passed",
        )

    @pytest.mark.parametrize("missed", [OnResume.LAST, OnResume.ALL, None])
    def test_otherwise_they_run(self, missed: OnResume | None) -> None:
        of = imported(missed, of=self.OF)
        assert of.open[0] == ("greet", f"{TWO_YEARS}T00:00")

    def test_the_strategys_skip_does_not_skip_them(self) -> None:
        definition = replace(self.OF.definition, on_resume=OnResume.SKIP)
        of = imported(None, of=replace(self.OF, definition=definition))
        assert of.open[0] == ("greet", f"{TWO_YEARS}T00:00")
