"""Commands while a moved date is open, and plans over long holidays. Source: docs/decisions/0056 and 0058."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from shared.domain.errors import InvalidInputError
from shared.domain.explain.instance import subjects
from shared.domain.instance.event import Move
from shared.domain.instance.journal import ClosedBy
from shared.domain.instance.model import InstanceStatus
from shared.domain.lifecycle.commands import AddEvent, Migrate, Pause, Resume, Update
from shared.domain.planning import cycles
from shared.domain.planning.prospects import calendar_warnings
from shared.domain.strategy.model import Json, OnResume, Strategy
from tests.lifecycle_factories import ANN, DAILY, Life, at, by_cron, calendar, life, new, strategy

FOLLOWING: Json = {"convention": "following"}


def on_weekend() -> Life:
    """Return a daily plan on working days, with Saturday's cycle open: due on Monday 5 January, like the next two."""
    of = life(strategy(calendar(DAILY, businessDays=FOLLOWING)), new("2026-01-02"), now="2026-01-02")
    of.run(of.main, at("2026-01-02"))
    assert of.open == [("bill", "2026-01-05T00:00")]
    return of


def without_bill(of: Strategy) -> Strategy:
    """Return the strategy without the task of the open event."""
    tasks = {key: task for key, task in of.definition.tasks.items() if key != "bill"}
    return replace(of, definition=replace(of.definition, tasks=tasks))


class TestTheFirstCycle:
    """It is never moved to before the start date: it would be missed at once. 31 January 2026 is a Saturday."""

    @pytest.mark.parametrize("convention", ["preceding", "modifiedFollowing"])
    @pytest.mark.parametrize("on_resume", ["last", "all", "skip"])
    @pytest.mark.parametrize("now", ["2026-01-31T10:00", "2026-01-01"])
    def test_it_moves_to_the_following_business_day(self, convention: str, on_resume: str, now: str) -> None:
        one = calendar(businessDays={"convention": convention})
        of = life(strategy(one, onResume=on_resume), new("2026-01-31T10:00"), now=now)
        assert (of.open, of.instance.plan.cycle, of.records) == ([("bill", "2026-02-02T10:00")], 1, [])
        of.run(of.main, at("2026-02-02T10:00"))
        assert of.open == [("bill", "2026-02-27T10:00")]

    def test_after_a_delay_it_may_be_before_its_planned_date(self) -> None:
        one = calendar(businessDays={"convention": "preceding"})
        of = life(
            strategy(one, initial_delay={"unit": "days", "amount": 5}), new("2026-01-26"), now="2026-01-26"
        )
        assert of.open == [("bill", "2026-01-30T00:00")]


class TestLongHolidays:
    """Many cycles of a dense plan may not run, and it continues after them."""

    @pytest.mark.parametrize("convention", ["following", "skip", "preceding"])
    def test_every_five_minutes_over_easter(self, convention: str) -> None:
        of = life(
            strategy(by_cron("*/5 * * * *", businessDays={"convention": convention, "country": "DE"})),
            new("2027-03-25T23:50"),
            now="2027-03-25T23:50",
        )
        while of.instance.status is InstanceStatus.ACTIVE and of.main.date < at("2027-03-31T00:10"):
            of.run(of.main, of.main.date)
        assert of.instance.status is InstanceStatus.ACTIVE, of.instance.stop_note
        (record,) = [one for one in of.records if one.skipped_cycles]
        first, last = record.skipped_cycles or (0, 0)
        assert last - first > 1000

    def test_a_customer_who_is_closed_for_two_months_is_charged_after_that(self) -> None:
        of = life(
            strategy(calendar(DAILY, businessDays={**FOLLOWING, "closed": "c"})),
            new("2026-01-02"),
            now="2026-01-02",
        )
        closed = ",".join(str((at("2026-01-03") + timedelta(days=days)).date()) for days in range(63))
        of.applied(Update(attributes={"c": closed}, by=ANN), at("2026-01-02"))
        of.run(of.main, at("2026-01-02"))
        assert of.open == [("bill", "2026-03-09T00:00")]

    def test_more_than_two_weeks_by_the_minute_end_the_plan(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(cycles, "MAX_LEFT_OUT", 1500)
        of = strategy(by_cron("* * * * *", businessDays={"convention": "skip"}))
        with pytest.raises(InvalidInputError, match="planned dates do not run"):
            life(of, new("2026-01-03"), now="2026-01-03")

    def test_a_plan_of_which_no_cycle_runs_is_warned_about(self) -> None:
        of = strategy(by_cron("0 9 * * 6", businessDays={"convention": "skip"}))
        (warning,) = calendar_warnings(of.definition, environment="dev", now=at("2026-11-25"))
        assert (warning.pointer, warning.rule) == ("/schedule/calendars/0", "never-runs")


class TestClosedDaysThatCannotBeRead:
    """They close no day, and the event says so: to cancel the contract would be worse."""

    def test_after_a_migration(self) -> None:
        to = strategy(calendar(DAILY, businessDays={**FOLLOWING, "closed": "c"}), version=2)
        of = life(strategy(calendar(DAILY)), new("2026-01-02", c="Christmas"), now="2026-01-02")
        of.applied(Migrate(to=to, by=ANN), at("2026-01-02"))
        of.strategy = to
        of.run(of.main, at("2026-01-02"))
        assert of.open == [("bill", "2026-01-05T00:00")]
        assert (of.main.problem or "").startswith("businessDays: attribute 'c': 'Christmas' is not a date")


class TestAnOpenCycleThatWillNotRun:
    """The next cycle that was due on its date runs instead."""

    def test_after_a_migration_without_its_task(self) -> None:
        of = on_weekend()
        to = without_bill(strategy({**calendar(DAILY, businessDays=FOLLOWING), "task": "part"}, version=2))
        of.applied(Migrate(to=to, by=ANN), at("2026-01-03"))
        assert of.open == [("part", "2026-01-05T00:00")]

    def test_after_an_end_date_that_was_taken_back(self) -> None:
        of = on_weekend()
        of.applied(AddEvent(task="greet", by=ANN, date=at("2026-06-01")), at("2026-01-03"))
        of.applied(Update(end_date=at("2026-01-04"), sets_end_date=True, by=ANN), at("2026-01-03"))
        of.applied(Update(end_date=None, sets_end_date=True, by=ANN), at("2026-01-03"))
        assert ("bill", "2026-01-05T00:00") in of.open

    def test_a_date_on_which_another_cycle_has_run_stays_taken(self) -> None:
        """Cycle 2 has run on the 15th; cycle 3, due on the 20th, will not run; cycle 6 is planned for the 15th."""
        moved = "cycle == 2 ? date + duration('96h') : cycle == 3 ? date + duration('192h') : date"
        one = calendar(DAILY, nextCycleDateCallback=moved)
        of = life(strategy(one), new("2026-01-10"), now="2026-01-10")
        of.run(of.main, at("2026-01-10"))
        of.run(of.main, at("2026-01-15"))
        assert of.open == [("bill", "2026-01-20T00:00")]
        to = without_bill(strategy({**one, "task": "part"}, version=2))
        of.applied(Migrate(to=to, by=ANN), at("2026-01-15T01:00"))
        assert of.open == [("part", "2026-01-16T00:00")]


class TestMigration:
    def test_the_calendar_of_the_open_cycle_stays_known(self) -> None:
        of = life(strategy(calendar(businessDays=FOLLOWING)), new("2026-01-30"), now="2026-01-02")
        to = strategy(calendar(businessDays=FOLLOWING), calendar(key="b", runOnCycle=9), version=2)
        of.applied(Migrate(to=to, by=ANN), at("2026-01-05"))
        of.strategy = to
        of.decide(Pause(by=ANN), at("2026-01-06"))
        of.applied(Resume(by=ANN, on_late=OnResume.SHIFT), at("2026-01-07"))
        assert of.open == [("bill", "2026-02-02T00:00")]


class TestShift:
    def test_a_date_that_returns_to_the_planned_one_was_not_moved(self) -> None:
        """Monday 2 February is a holiday; a day later, both dates are on Tuesday."""
        rule = {"convention": "preceding", "holidays": ["2026-02-02"]}
        of = life(strategy(calendar(businessDays=rule)), new("2026-01-02"), now="2026-01-01")
        of.run(of.main, at("2026-01-02"))
        assert of.open == [("bill", "2026-01-30T00:00")]
        of.decide(Pause(by=ANN), at("2026-01-10"))
        of.applied(Resume(by=ANN, on_late=OnResume.SHIFT), at("2026-01-11"))
        assert (of.open, of.main.move) == ([("bill", "2026-02-03T00:00")], None)
        assert of.instance.plan.moved_to is None

    def test_the_reason_of_a_shifted_move_says_that_it_was_before(self) -> None:
        of = life(strategy(calendar(businessDays=FOLLOWING)), new("2026-01-31"), now="2026-01-02")
        of.decide(Pause(by=ANN), at("2026-01-05"))
        of.applied(Resume(by=ANN, on_late=OnResume.SHIFT), at("2026-01-06"))
        why = "Saturday 31 January 2026 is a weekend day, before the plan was shifted"
        assert of.main.move == Move(planned=at("2026-02-01"), why=why)


class TestRangesAndQuestions:
    def test_a_range_ends_after_it_begins(self) -> None:
        of = life(
            strategy(by_cron("0 9 * * 6,0", businessDays=FOLLOWING)), new("2026-01-03"), now="2026-01-01"
        )
        of.decide(Pause(by=ANN), at("2026-01-02"))
        skipped = of.applied(Resume(by=ANN, on_late=OnResume.SKIP), at("2026-01-06")).skipped
        assert skipped is not None
        assert (skipped.first_at, skipped.last_at) == (at("2026-01-05T09:00"), at("2026-01-05T09:00"))

    def test_a_range_says_which_dates_have_not_passed(self) -> None:
        of = life(
            strategy(calendar(DAILY, businessDays={"convention": "skip"})),
            new("2026-01-02"),
            now="2026-01-01",
        )
        of.decide(Pause(by=ANN), at("2026-01-01"))
        skipped = of.applied(Resume(by=ANN, on_late=OnResume.SKIP), at("2026-01-02T12:00")).skipped
        assert skipped is not None
        assert (skipped.first_cycle, skipped.last_cycle) == (1, 3)
        assert skipped.why == (
            "skipped: its date has passed (onResume: skip); "
            "then skipped: Saturday 3 January 2026 is a weekend day; and 1 more"
        )

    def test_the_event_that_ran_answers_before_those_that_coincide(self) -> None:
        of = on_weekend()
        of.run(of.main, at("2026-01-05"))
        first, *_ = subjects(of.instance, of.records, at("2026-01-05"))
        (found,) = [record for record in of.records if record.event.seq == first]
        assert (found.closed_by, found.event.date) == (ClosedBy.RUN, at("2026-01-05"))

    def test_the_planned_minute_of_a_moved_event_finds_it(self) -> None:
        of = on_weekend()
        assert subjects(of.instance, of.records, at("2026-01-03")) == (of.main.seq,)
