"""Migrating an instance to another version of its strategy. Source: docs/design.md section 7."""

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace

from shared.domain.calendar.instance_schedule import OwnSchedule
from shared.domain.instance.event import EventStatus
from shared.domain.instance.journal import ClosedBy
from shared.domain.instance.model import CancelReason, InstanceStatus
from shared.domain.instance.run import Ending, Outcome
from shared.domain.instance.verdict import AlreadyThere, Applied, RefusalRule, Refused, Verdict
from shared.domain.lifecycle.commands import Apply, Cancel, Migrate, Pause, Reschedule, Resume, Skip, Update
from shared.domain.lifecycle.migrate import MovedDate, PlanChanges, PlannedDate, plan_changes
from shared.domain.planning.forecast import Forecast, forecast
from shared.domain.strategy.flag import FlagPause
from shared.domain.strategy.model import Json, OnResume, Strategy
from tests.lifecycle_factories import (
    ANN,
    DAILY,
    Life,
    at,
    by_cron,
    calendar,
    ended,
    life,
    new,
    reminded,
    retries,
    strategy,
)

NOON = at("2026-01-31T12:00")
AT_NINE: Json = {"unit": "months", "amount": 1, "resetTo": {"hour": 9}}


def version(number: int, of: Strategy, *, without: tuple[str, ...] = ()) -> Strategy:
    """Return a further version of a strategy, without some of its tasks."""
    tasks = {key: task for key, task in of.definition.tasks.items() if key not in without}
    return replace(of, version=number, definition=replace(of.definition, tasks=tasks))


def migrated(of: Life, to: Strategy, now: str = "2026-01-15") -> Verdict:
    return of.decide(Migrate(to=to, by=ANN), at(now))


def begun(of: Strategy | None = None, **request: Json) -> Life:
    """Return a life planned for the end of January, created on the 10th."""
    return life(of, new("2026-01-31", **request), now="2026-01-10")


class TestMoving:
    """Planned events keep their dates; the new version plans the next cycle."""

    def test_the_open_cycle_stays_and_the_new_version_plans_the_next_one(self) -> None:
        of = begun()
        to = version(2, strategy(calendar(DAILY)))

        verdict = migrated(of, to)

        assert isinstance(verdict, Applied)
        assert of.instance.strategy_version == 2
        assert of.open == [("bill", "2026-01-31T00:00")]
        of.strategy = to
        of.run(of.main, at("2026-01-31"))
        assert of.open == [("bill", "2026-02-01T00:00")]

    def test_a_migration_is_audited(self) -> None:
        of = begun()
        migrated(of, version(3, of.strategy))
        assert (of.audit[-1].by, of.audit[-1].command) == ("ann", "migrate 1 to 3")

    def test_migrating_to_the_current_version_changes_nothing(self) -> None:
        of = begun()
        assert isinstance(migrated(of, of.strategy), AlreadyThere)

    @pytest.mark.parametrize("number", [1, 7])
    def test_an_earlier_version_is_allowed(self, number: int) -> None:
        of = begun()
        migrated(of, version(5, of.strategy))
        of.strategy = version(5, of.strategy)
        assert isinstance(migrated(of, version(number, of.strategy)), Applied)

    def test_an_ended_instance_is_refused(self) -> None:
        of = begun()
        of.decide(Cancel(by=ANN), at("2026-01-15"))
        verdict = migrated(of, version(2, of.strategy))
        assert isinstance(verdict, Refused)
        assert verdict.why == "the instance is CANCELED"

    def test_attributes_must_fit_the_new_version(self) -> None:
        of = begun(level="gold")
        strict = strategy(parts={"instanceValidation": {"properties": {"level": {"type": "float64"}}}})
        verdict = migrated(of, version(2, strict))
        assert isinstance(verdict, Refused)
        assert verdict.rule == "attributes"
        assert verdict.why.startswith("the attributes do not fit version 2: /level: ")

    def test_a_paused_instance_stays_paused(self) -> None:
        of = begun()
        of.decide(Pause(by=ANN), at("2026-01-15"))
        migrated(of, version(2, of.strategy, without=("bill",)))
        assert of.instance.status is InstanceStatus.PAUSED


class TestMissedDates:
    """If the open cycle's task is gone, the next cycle is planned at once, under the rules for missed dates."""

    @pytest.mark.parametrize(
        ("paused", "coming"),
        [("2026-02-01", "2026-02-01"), ("2026-02-02", "2026-02-02"), ("2026-02-03T00:01", "2026-02-04")],
    )
    def test_dates_within_a_pause_of_a_flag_fall_under_on_resume(self, paused: str, coming: str) -> None:
        """Of the missed dates from 1 to 3 February, the one on which the strategy was paused runs."""
        rules: Json = {"onResume": "all", "onMissed": "skip"}
        pause = FlagPause(since=at(paused), until=at(paused) + timedelta(hours=1))
        of = life(replace(strategy(calendar(DAILY), **rules), flag_pauses=(pause,)))
        to = version(2, strategy(calendar(DAILY, task="part"), **rules), without=("bill",))
        migrated(of, to, "2026-02-03T12:00")
        assert of.open == [("part", f"{coming}T00:00")]


def charged(of: Life, zone: str, charges: int) -> list[str]:
    """Run the next charges on their dates, and return these as the clocks of a zone show them."""
    dates: list[str] = []
    for _ in range(charges):
        date = of.main.date
        of.run(of.main, date)
        dates.append(f"{date.astimezone(ZoneInfo(zone)):%m-%d %H:%M}")
    return dates


class TestAnotherZone:
    """A version with another zone moves no planned event; the next cycle is on the next local date in the new zone.

    Each local date is charged once. Source: docs/decisions/0060.
    """

    @staticmethod
    def moved(one: Json, before: str, after: str) -> Life:
        """Return a life whose first charge is on 31 January at nine, and which then gets another zone."""
        start = {"Asia/Manila": "2026-01-31T01:00", "America/New_York": "2026-01-31T14:00"}[before]
        of = life(strategy(one, timezone=before), new(start), now="2026-01-10")
        to = version(2, strategy(one, timezone=after))
        migrated(of, to)
        of.strategy = to
        return of

    @pytest.mark.parametrize("one", [by_cron("0 0 9 L * ?"), calendar(), calendar(AT_NINE)])
    def test_a_plan_by_the_month_to_the_west(self, one: Json) -> None:
        of = self.moved(one, "Asia/Manila", "Europe/Berlin")
        assert charged(of, "Europe/Berlin", 3) == ["01-31 02:00", "02-28 09:00", "03-31 09:00"]

    @pytest.mark.parametrize("one", [by_cron("0 0 9 L * ?"), calendar(), calendar(AT_NINE)])
    def test_a_plan_by_the_month_to_the_east(self, one: Json) -> None:
        of = self.moved(one, "America/New_York", "Asia/Manila")
        assert charged(of, "Asia/Manila", 3) == ["01-31 22:00", "02-28 09:00", "03-31 09:00"]

    @pytest.mark.parametrize("one", [by_cron("0 9 * * *"), calendar(DAILY)])
    def test_a_daily_plan_to_the_west(self, one: Json) -> None:
        of = self.moved(one, "Asia/Manila", "Europe/Berlin")
        assert charged(of, "Europe/Berlin", 3) == ["01-31 02:00", "02-01 09:00", "02-02 09:00"]

    def test_a_plan_by_elapsed_time_keeps_its_instants(self) -> None:
        of = self.moved(calendar({"unit": "hours", "amount": 24}), "Asia/Manila", "Europe/Berlin")
        assert charged(of, "Europe/Berlin", 3) == ["01-31 02:00", "02-01 02:00", "02-02 02:00"]

    def test_a_schedule_that_names_its_zone_keeps_it(self) -> None:
        own = OwnSchedule(cron="0 9 * * *", timezone="Asia/Manila")
        of = life(
            strategy(timezone="Asia/Manila"), replace(new("2026-01-31"), schedule=own), now="2026-01-10"
        )
        to = version(2, strategy(timezone="Europe/Berlin"))
        migrated(of, to)
        of.strategy = to
        assert of.instance.plan.dated_in is None
        assert charged(of, "Asia/Manila", 2) == ["01-31 09:00", "02-01 09:00"]

    def test_back_in_the_first_zone_the_plan_is_as_before(self) -> None:
        of = self.moved(by_cron("0 0 9 L * ?"), "Asia/Manila", "Europe/Berlin")
        to = version(3, strategy(by_cron("0 0 9 L * ?"), timezone="Asia/Manila"))
        migrated(of, to)
        of.strategy = to
        assert of.instance.plan.dated_in is None
        assert charged(of, "Asia/Manila", 2) == ["01-31 09:00", "02-28 09:00"]

    def test_the_dry_run_and_the_forecast_show_it(self) -> None:
        of = self.moved(by_cron("0 0 9 L * ?"), "Asia/Manila", "Europe/Berlin")
        dates = [
            one.main.date for one in forecast(of.strategy, of.instance, cycles=3, now=at("2026-01-15")).cycles
        ]
        assert dates == [at("2026-01-31T01:00"), at("2026-02-28T08:00"), at("2026-03-31T07:00")]

    @pytest.mark.parametrize(
        ("command", "charges"),
        [
            (Reschedule(by=ANN, date=at("2026-01-31T05:00")), ["01-31 06:00", "02-28 09:00"]),
            (Reschedule(by=ANN, date=at("2026-01-31T20:00")), ["01-31 21:00", "02-28 09:00"]),
            (Reschedule(by=ANN, date=at("2026-02-28T07:59")), ["02-28 08:59", "02-28 09:00"]),
            (Skip(by=ANN), ["02-28 09:00", "03-31 09:00"]),
        ],
    )
    def test_a_command_about_the_open_cycle_does_not_bring_its_date_back(
        self, command: Reschedule | Skip, charges: list[str]
    ) -> None:
        of = self.moved(by_cron("0 0 9 L * ?"), "Asia/Manila", "Europe/Berlin")
        of.applied(command, at("2026-01-15"))
        assert charged(of, "Europe/Berlin", 2) == charges

    def test_a_date_that_does_not_exist_in_the_new_zone_cannot_move(self) -> None:
        of = life(strategy(timezone="Asia/Manila"), new("9999-12-31T15:30"), now="2026-01-10")
        to = version(2, strategy(timezone="America/New_York"))
        migrated(of, to)
        of.strategy = to
        verdict = of.decide(Reschedule(by=ANN, date=at("2026-02-28")), at("2026-01-15"))
        assert isinstance(verdict, Refused)
        assert verdict.rule is RefusalRule.SHIFT

    @pytest.mark.parametrize(
        ("paused", "charges"),
        [
            ("2026-01-20", ["02-01 02:00", "03-01 02:00"]),
            ("2026-01-30T12:00", ["02-01 02:00", "03-01 02:00"]),
            ("2026-01-31T00:59", ["02-01 02:00", "03-01 02:00"]),
        ],
    )
    def test_a_plan_that_is_shifted_counts_from_its_charge(self, paused: str, charges: list[str]) -> None:
        """The pause lasts for a day."""
        of = self.moved(calendar(), "Asia/Manila", "Europe/Berlin")
        of.applied(Pause(by=ANN), at(paused))
        of.applied(Resume(by=ANN, on_late=OnResume.SHIFT), at(paused) + timedelta(days=1))
        assert of.instance.plan.due == of.main.date
        assert of.main.planned_date == of.main.date
        assert charged(of, "Europe/Berlin", 2) == charges

    def test_a_shift_during_a_charge_counts_from_the_local_time(self) -> None:
        """The charge has begun, and its plan is shifted by a day."""
        one = calendar()
        of = life(
            strategy(one, timezone="Asia/Manila", retry=retries(2)),
            new("2026-01-31T01:00"),
            now="2026-01-10",
        )
        of.run(of.main, at("2026-01-31T01:00"), ended(Ending.RETRY, at("2026-01-31T01:00")))
        to = version(2, strategy(one, timezone="Europe/Berlin", retry=retries(2)))
        migrated(of, to, "2026-01-31T01:10")
        of.strategy = to
        of.applied(Pause(by=ANN), at("2026-01-31T01:20"))
        of.applied(Resume(by=ANN, on_late=OnResume.SHIFT), at("2026-02-01T01:20"))
        of.run(of.main, at("2026-02-01T02:00"))
        assert of.open == [("bill", "2026-03-01T08:00")]

    def test_what_coincides_with_the_open_cycle_does_not_run_on_its_date(self) -> None:
        """The cycles of Saturday, Sunday and Monday are charged on Monday 2 February, once."""
        one = calendar(DAILY, businessDays={"convention": "following"})
        of = self.moved(one, "Asia/Manila", "Europe/Berlin")
        assert charged(of, "Europe/Berlin", 3) == ["02-02 02:00", "02-03 09:00", "02-04 09:00"]

    def test_a_zone_that_changes_again_counts_from_the_zone_of_the_date(self) -> None:
        """The attribute moves the planned charge, with its reminder, to the same local time as in Manila."""
        zone = "{{attributes.timezone}}"
        start = replace(new("2026-01-31T01:00"), attributes={"timezone": "Europe/Berlin"})
        of = life(strategy(reminded(), timezone="Asia/Manila"), start, now="2026-01-10")
        to = version(2, strategy(reminded(), timezone=zone))
        migrated(of, to)
        of.strategy = to
        of.applied(Update(by=ANN, attributes={"timezone": "Europe/London"}), at("2026-01-15"))
        assert of.open == [("remind", "2026-01-28T09:00"), ("bill", "2026-01-31T09:00")]


class TestBegunEvents:
    """An event is bound to its version at its first claim and ends on it."""

    def test_a_begun_event_ends_on_its_own_version(self) -> None:
        of = begun(strategy(retry=retries(2)))
        of.run(of.main, at("2026-01-31"), ended(Ending.RETRY, at("2026-01-31")))
        to = version(2, of.strategy, without=("bill",))
        migrated(of, to, "2026-01-31T00:30")
        assert of.main.claim.version == 1
        assert of.main.status is EventStatus.PENDING

    def test_a_directive_for_a_removed_task_is_left_out(self) -> None:
        of = begun()
        of.claim(of.main, at("2026-01-31"))
        directives = {
            "createEvents": [
                {"task": "greet", "date": "2026-02-03T00:00:00Z", "data": {}, "manualTrigger": False}
            ]
        }
        of.step(Outcome(success=True, directives=directives), at("2026-01-31"))
        entry = of.event_history(1).entries[-1]
        to = version(2, of.strategy, without=("greet",))
        migrated(of, to, "2026-01-31")
        of.strategy = to
        of.applied(Apply(seq=1, fence=of.instance.fence, entry=entry), at("2026-01-31"))
        assert [event.task for event in of.instance.events] == ["bill"]


class TestRemovedTasks:
    """Events that have not begun are canceled if their task is gone; a main event skips its cycle."""

    def test_a_leading_up_event_of_a_removed_task_is_canceled(self) -> None:
        of = begun(strategy(reminded()))
        to = version(2, strategy(calendar()), without=("remind",))
        verdict = migrated(of, to)
        assert isinstance(verdict, Applied)
        assert verdict.canceled_events == 1
        assert of.open == [("bill", "2026-01-31T00:00")]
        record = of.record("remind")
        assert (record.closed_by, record.by, record.why) == (
            ClosedBy.MIGRATION,
            "ann",
            "version 2 has no such task",
        )

    def test_a_main_event_skips_its_cycle_and_the_new_version_plans_the_next(self) -> None:
        of = begun()
        to = version(2, strategy(calendar(DAILY, task="greet")), without=("bill",))
        migrated(of, to)
        assert of.open == [("greet", "2026-02-01T00:00")]
        assert (of.instance.plan.cycle, of.closed) == (2, [("bill", "CANCELED")])

    def test_the_instance_ends_if_the_new_version_cannot_plan_the_cycle(self) -> None:
        of = begun()
        to = version(2, strategy(calendar(task="greet", runOnCycle=7)), without=("bill",))
        migrated(of, to)
        assert of.instance.cancel_reason is CancelReason.CREATE_CYCLE_ERROR

    def test_the_instance_completes_if_nothing_of_the_plan_is_left(self) -> None:
        of = begun(end_date="2026-02-15")
        to = version(2, strategy(calendar(task="greet")), without=("bill",))
        migrated(of, to)
        assert of.instance.status is InstanceStatus.COMPLETED


class TestPreview:
    """The changes of the coming dates."""

    def changes(self, of: Life, to: Strategy) -> PlanChanges:
        before = forecast(of.strategy, of.instance, cycles=3, now=NOON - timedelta(days=20))
        migrated(of, to)
        return plan_changes(before, forecast(to, of.instance, cycles=3, now=NOON - timedelta(days=20)))

    def test_moved_dates_are_reported(self) -> None:
        of = begun()
        found = self.changes(of, version(2, strategy(calendar({"unit": "days", "amount": 20}))))
        assert (found.appear, found.vanish) == ((), ())
        assert [(one.now.cycle, one.now.date, one.before) for one in found.move] == [
            (2, at("2026-02-20"), at("2026-02-28")),
            (3, at("2026-03-12"), at("2026-03-31")),
        ]

    def test_new_and_removed_dates_are_reported(self) -> None:
        of = begun(strategy(reminded()))
        twice = reminded(days=1)
        twice["leadingUpTasks"].append({"task": "greet", "scheduleBefore": {"unit": "days", "amount": 9}})
        found = self.changes(of, version(2, strategy(twice)))
        assert {(one.cycle, one.task) for one in found.appear} == {(2, "greet"), (3, "greet")}
        assert found.vanish == ()
        assert [(one.now.cycle, one.now.task) for one in found.move] == [(2, "remind"), (3, "remind")]
        gone = plan_changes(
            forecast(twice_of(twice), of.instance, cycles=2, now=NOON),
            forecast(strategy(), of.instance, cycles=2, now=NOON),
        )
        assert {(one.cycle, one.task) for one in gone.vanish} == {(2, "greet"), (2, "remind")}

    @pytest.mark.parametrize("truncated", [True, False])
    def test_cycles_that_a_truncated_forecast_lacks_are_not_compared(self, truncated: bool) -> None:  # noqa: FBT001 - a case
        of = begun()
        full = forecast(of.strategy, of.instance, cycles=3, now=NOON)
        short = Forecast(cycles=full.cycles[:1], truncated=truncated)
        none = Forecast(cycles=(), truncated=truncated)

        assert [date.cycle for date in plan_changes(full, short).vanish] == ([] if truncated else [2, 3])
        assert [date.cycle for date in plan_changes(none, full).appear] == ([] if truncated else [1, 2, 3])

    def test_equal_forecasts_have_no_changes(self) -> None:
        of = begun()
        assert self.changes(of, version(2, of.strategy)) == PlanChanges()

    def test_a_date_has_its_cycle_task_and_kind(self) -> None:
        one = PlannedDate(cycle=1, task="bill", main=True, date=NOON)
        assert MovedDate(now=one, before=NOON).now is one


def twice_of(calendar_of: Json) -> Strategy:
    return strategy(calendar_of)
