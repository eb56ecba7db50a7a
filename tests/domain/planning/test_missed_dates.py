"""The rule for missed dates. Source: docs/design.md section 4, missed dates."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from shared.domain.calendar.dates import moment_at, zone_named
from shared.domain.calendar.instance_schedule import OwnSchedule
from shared.domain.instance.event import EventStatus
from shared.domain.instance.journal import ClosedBy
from shared.domain.instance.model import BlockedBy, InstanceStatus
from shared.domain.instance.run import Ending
from shared.domain.instance.skipped import Skipped
from shared.domain.instance.verdict import Applied, Refused
from shared.domain.lifecycle.commands import Block, Execute, Pause, Resume, Unblock
from shared.domain.planning.forecast import overdue
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
    strategy,
)

WEEKLY: Json = {"unit": "days", "amount": 7}
HOUR = timedelta(hours=1)  # a retry is due an hour after its attempt
MINUTELY: Json = {"unit": "minutes", "amount": 1}


def weekly(*, on_resume: str = "last", remind: bool = False, **config: Json) -> Strategy:
    """Return bills on 5, 12, 19, 26 January and so on, optionally with a reminder two days before each."""
    ahead = {"leadingUpTasks": [{"task": "remind", "scheduleBefore": {"unit": "days", "amount": 2}}]}
    return strategy(calendar(WEEKLY, **(ahead if remind else {})), onResume=on_resume, **config)


def resumed(of: Life, *, paused: str, until: str, on_late: OnResume | None = None) -> Applied:
    """Pause a life for a while."""
    of.decide(Pause(by=ANN), at(paused))
    return of.applied(Resume(by=ANN, on_late=on_late), at(until))


def begun(of: Strategy | None = None, **request: str) -> Life:
    return life(of or weekly(), new("2026-01-05", **request), now="2026-01-01")


def ranges(of: Life) -> list[tuple[int, int] | None]:
    """Return the skipped cycles on record."""
    return [record.skipped_cycles for record in of.records if record.event.is_main]


class TestResumedBeforeTheDate:
    """If no date is missed, a pause changes nothing of the plan."""

    @pytest.mark.parametrize("on_late", list(OnResume)[:3])
    def test_the_event_keeps_its_date(self, on_late: OnResume) -> None:
        of = begun()
        verdict = resumed(of, paused="2026-01-02", until="2026-01-05", on_late=on_late)
        assert of.open == [("bill", "2026-01-05T00:00")]
        assert verdict.skipped is None


class TestLast:
    """`last`: "The latest missed date runs once, at once"."""

    def test_a_single_missed_date_runs(self) -> None:
        of = begun()
        verdict = resumed(of, paused="2026-01-02", until="2026-01-08")
        assert (of.open, of.closed, verdict.skipped) == ([("bill", "2026-01-05T00:00")], [], None)

    def test_the_latest_of_three_missed_dates_runs(self) -> None:
        of = begun()
        verdict = resumed(of, paused="2026-01-02", until="2026-01-20")
        assert of.open == [("bill", "2026-01-19T00:00")]
        assert of.instance.plan.cycle == 3
        assert verdict.skipped == Skipped(
            task="bill",
            first_cycle=1,
            last_cycle=2,
            first_at=at("2026-01-05"),
            last_at=at("2026-01-12"),
            moment=moment_at(at("2026-01-12"), zone_named(of.strategy.definition.timezone)),
            cause=ClosedBy.LATE_PLAN,
            why="skipped: its date has passed (onResume: last)",
        )

    def test_the_record_of_the_replaced_event_has_the_skipped_range(self) -> None:
        of = begun()
        resumed(of, paused="2026-01-02", until="2026-01-20")
        (record,) = of.records
        assert (record.event.seq, record.event.status) == (1, EventStatus.CANCELED)
        assert (record.skipped_cycles, record.why) == (
            (1, 2),
            "skipped: its date has passed (onResume: last)",
        )

    def test_the_plan_continues_from_the_latest_missed_date(self) -> None:
        of = begun()
        resumed(of, paused="2026-01-02", until="2026-01-20")
        of.run(of.main, at("2026-01-20"))
        assert of.open == [("bill", "2026-01-26T00:00")]
        assert of.instance.plan.cycle == 4

    def test_a_date_equal_to_now_is_not_missed(self) -> None:
        of = begun()
        resumed(of, paused="2026-01-02", until="2026-01-12")
        assert of.open == [("bill", "2026-01-05T00:00")]

    def test_the_date_before_an_error_is_the_latest(self) -> None:
        third = calendar(
            WEEKLY, key="third", runOnCycle=3, nextCycleDateCallback="timestamp(string(attributes.due))"
        )
        of = begun(strategy(calendar(WEEKLY), third))
        resumed(of, paused="2026-01-02", until="2026-01-20")
        assert of.open == [("bill", "2026-01-12T00:00")]

    def test_reminders_of_skipped_cycles_close_and_overdue_ones_are_skipped(self) -> None:
        of = begun(weekly(remind=True))
        resumed(of, paused="2026-01-02", until="2026-01-20")
        assert of.open == [("bill", "2026-01-19T00:00")]
        # Of cycle 2, which was never planned, there is no reminder.
        reminders = [record for record in of.records if record.event.task == "remind"]
        assert [(record.event.created_cycle, record.event.date, record.why) for record in reminders] == [
            (1, at("2026-01-03"), "its main event was skipped"),
            (3, at("2026-01-17"), "skipped: its date had passed when its cycle was planned"),
        ]


class TestAll:
    """`all`: "Each runs, one after another"."""

    def test_every_missed_date_runs(self) -> None:
        of = begun(weekly(on_resume="all"))
        verdict = resumed(of, paused="2026-01-02", until="2026-01-20")
        ran = []
        while of.main.date <= at("2026-01-20"):
            ran.extend(of.open)
            of.run(of.main, at("2026-01-20"))
        assert ran == [
            ("bill", "2026-01-05T00:00"),
            ("bill", "2026-01-12T00:00"),
            ("bill", "2026-01-19T00:00"),
        ]
        assert of.open == [("bill", "2026-01-26T00:00")]
        assert (verdict.skipped, ranges(of)) == (None, [None, None, None])

    @pytest.mark.parametrize("usual", ["last", "skip"])
    def test_a_resume_with_all_counts_until_the_plan_has_caught_up(self, usual: str) -> None:
        of = begun(weekly(on_resume=usual))
        resumed(of, paused="2026-01-02", until="2026-01-20", on_late=OnResume.ALL)
        for date in ("2026-01-05T00:00", "2026-01-12T00:00", "2026-01-19T00:00"):
            assert of.open == [("bill", date)]
            assert of.instance.plan.on_late is OnResume.ALL
            of.run(of.main, at("2026-01-20"))
        assert of.open == [("bill", "2026-01-26T00:00")]
        assert of.instance.plan.on_late is None
        assert ranges(of) == [None, None, None]

    def test_a_second_pause_keeps_the_rule_of_the_resume(self) -> None:
        of = begun(weekly(on_resume="last"))
        resumed(of, paused="2026-01-02", until="2026-01-20", on_late=OnResume.ALL)
        of.run(of.main, at("2026-01-20"))
        resumed(of, paused="2026-01-20", until="2026-01-21")
        assert of.open == [("bill", "2026-01-12T00:00")]
        assert overdue(of.strategy, of.instance, now=at("2026-01-21")) == (
            of.main,
            replace(
                of.main,
                date=at("2026-01-19"),
                due_at=at("2026-01-19"),
                created_cycle=3,
                seq=3,
                created_at=at("2026-01-21"),
                updated_at=at("2026-01-21"),
            ),
        )

    def test_a_resume_without_missed_dates_sets_no_rule(self) -> None:
        of = begun()
        resumed(of, paused="2026-01-02", until="2026-01-03", on_late=OnResume.ALL)
        assert of.instance.plan.on_late is None

    def test_overdue_reminders_do_not_run(self) -> None:
        of = begun(weekly(on_resume="all", remind=True))
        resumed(of, paused="2026-01-02", until="2026-01-20")
        of.claim(of.event("remind"), at("2026-01-20"))
        assert of.closed == [("remind", "CANCELED")]
        of.run(of.main, at("2026-01-20"))
        assert of.open == [("bill", "2026-01-12T00:00")]

    def test_every_number_of_missed_dates_may_run(self) -> None:
        of = begun(strategy(calendar(MINUTELY), onResume="all"))
        resumed(of, paused="2026-01-02", until="2026-03-01")
        assert of.open == [("bill", "2026-01-05T00:00")]


class TestSkip:
    """`skip`: "None runs; the plan continues with the first future date"."""

    def test_none_of_three_missed_dates_runs(self) -> None:
        of = begun(weekly(on_resume="skip"))
        verdict = resumed(of, paused="2026-01-02", until="2026-01-20")
        assert of.open == [("bill", "2026-01-26T00:00")]
        assert (of.instance.plan.cycle, ranges(of)) == (4, [(1, 3)])
        assert verdict.skipped is not None
        assert verdict.skipped.last_at == at("2026-01-19")

    def test_an_event_that_fell_due_during_the_pause_is_skipped(self) -> None:
        of = begun(weekly(on_resume="skip"))
        resumed(of, paused="2026-01-02", until="2026-01-06")
        assert (of.open, ranges(of)) == ([("bill", "2026-01-12T00:00")], [(1, 1)])

    def test_an_event_that_was_late_before_the_pause_runs(self) -> None:
        of = begun(weekly(on_resume="skip"))
        resumed(of, paused="2026-01-05T00:00:01", until="2026-01-06")
        assert (of.open, of.closed) == ([("bill", "2026-01-05T00:00")], [])

    @pytest.mark.parametrize("on_missed", ["all", "last"])
    def test_an_event_that_was_late_before_the_pause_runs_although_later_dates_do_not(
        self, on_missed: str
    ) -> None:
        of = begun(weekly(on_resume="skip", onMissed=on_missed))
        resumed(of, paused="2026-01-05T00:00:01", until="2026-01-13")
        assert of.open == [("bill", "2026-01-05T00:00")]
        of.run(of.main, at("2026-01-13"))
        assert (of.open, ranges(of)) == ([("bill", "2026-01-19T00:00")], [None, (2, 2)])

    def test_a_late_event_is_skipped_if_a_later_date_has_passed(self) -> None:
        of = begun(weekly(on_resume="skip", onMissed="skip"))
        resumed(of, paused="2026-01-05T00:00:01", until="2026-01-13")
        assert (of.open, ranges(of)) == ([("bill", "2026-01-19T00:00")], [(1, 2)])
        assert of.records[-1].why == "skipped: its date has passed (onMissed: skip, onResume: skip)"

    def test_reminders_of_the_next_date_run(self) -> None:
        of = begun(weekly(on_resume="skip", remind=True))
        resumed(of, paused="2026-01-02", until="2026-01-20")
        assert of.open == [("remind", "2026-01-24T00:00"), ("bill", "2026-01-26T00:00")]

    def test_a_next_date_that_cannot_be_computed_cancels_the_instance(self) -> None:
        of = begun(strategy(calendar(WEEKLY, runOnCycle=1), onResume="skip"))
        resumed(of, paused="2026-01-02", until="2026-01-06")
        assert (of.instance.status, of.instance.cancel_reason) == (
            InstanceStatus.CANCELED,
            "CREATE_CYCLE_ERROR",
        )
        assert of.audit[-1].to_state == InstanceStatus.CANCELED

    def test_an_error_further_down_the_plan_cancels_the_instance(self) -> None:
        of = begun(
            strategy(calendar(WEEKLY, runOnCycle=1), calendar(WEEKLY, key="b", runOnCycle=2), onResume="skip")
        )
        resumed(of, paused="2026-01-02", until="2026-01-20")
        assert of.instance.stop_note == "no calendar for cycle 3"


class TestShift:
    """`shift`: "The plan moves by the downtime", together with the events of its open cycle that have not begun."""

    def shifted(self, of: Life, *, paused: str = "2026-01-02", until: str = "2026-01-20") -> Applied:
        return resumed(of, paused=paused, until=until, on_late=OnResume.SHIFT)

    def test_main_and_leading_up_events_move(self) -> None:
        of = begun(weekly(remind=True))
        verdict = self.shifted(of)
        assert of.open == [("remind", "2026-01-21T00:00"), ("bill", "2026-01-23T00:00")]
        assert [(event.due_at, event.wakeup_seq) for event in of.instance.events] == [
            (at("2026-01-21"), 2),
            (at("2026-01-23"), 2),
        ]
        assert (of.closed, verdict.skipped, of.instance.plan.cycle) == ([], None, 1)

    def test_the_plan_continues_from_the_shifted_date_with_a_new_anchor_day(self) -> None:
        of = life(strategy(), new("2026-01-31"), now="2026-01-01")
        self.shifted(of, paused="2026-01-10", until="2026-01-13T06:00")
        assert of.open == [("bill", "2026-02-03T06:00")]
        assert of.instance.plan.moment is not None
        assert of.instance.plan.moment.anchor.day == 3
        of.run(of.main, at("2026-02-03T06:00"))
        assert of.open == [("bill", "2026-03-03T06:00")]

    def test_a_begun_event_stays_while_the_plan_after_it_moves(self) -> None:
        of = begun()
        of.run(of.main, at("2026-01-06"), ended(Ending.RETRY, at("2026-01-06")))
        self.shifted(of, paused="2026-01-06T00:30", until="2026-01-07T00:30")
        assert of.open == [("bill", "2026-01-06T01:00")]
        of.run(of.main, at("2026-01-07T00:30"))
        assert of.open == [("bill", "2026-01-13T00:00")]

    @pytest.mark.parametrize("on_resume", ["last", "all", "skip"])
    def test_a_date_that_was_late_before_the_pause_is_due_at_the_resume(self, on_resume: str) -> None:
        """Shifted by the pause alone it would be within it, and under `skip` its cycle would not run."""
        of = begun(weekly(on_resume=on_resume))
        self.shifted(of, paused="2026-01-05T00:05", until="2026-01-06T00:05")
        assert of.open == [("bill", "2026-01-06T00:05")]
        of.run(of.main, at("2026-01-06T00:05:01"))
        assert (of.closed, of.open) == ([("bill", "PROCESSED")], [("bill", "2026-01-13T00:05")])

    def test_no_date_is_lost_if_several_were_missed_before_the_pause(self) -> None:
        of = begun(weekly(on_resume="all"))
        self.shifted(of, paused="2026-01-14", until="2026-01-15")
        assert of.open == [("bill", "2026-01-06T00:00")]
        of.run(of.main, at("2026-01-15"))
        assert of.open == [("bill", "2026-01-13T00:00")]

    def test_on_create_events_are_not_shifted(self) -> None:
        parts = {"onCreateTasks": [{"task": "greet", "delayBy": DAILY}]}
        of = begun(strategy(calendar(WEEKLY), parts=parts))
        self.shifted(of, until="2026-01-03")
        assert of.open == [("greet", "2026-01-06T00:00"), ("bill", "2026-01-06T00:00")]

    def test_an_event_queued_by_an_operator_is_not_shifted(self) -> None:
        of = begun()
        of.decide(Pause(by=ANN), at("2026-01-02"))
        of.decide(Execute(seq=1, by=ANN), at("2026-01-03"))
        of.decide(Resume(by=ANN, on_late=OnResume.SHIFT), at("2026-01-04"))
        assert of.main.due_at == at("2026-01-03")

    def test_an_onhold_event_is_shifted(self) -> None:
        of = begun(weekly(manualTrigger=True))
        self.shifted(of, until="2026-01-03")
        assert (of.open, of.main.status) == ([("bill", "2026-01-06T00:00")], EventStatus.ONHOLD)

    def test_a_date_shifted_past_the_end_date_is_closed(self) -> None:
        of = begun(weekly(remind=True), end_date="2026-01-10")
        self.shifted(of)
        assert of.closed == [("remind", "CANCELED"), ("bill", "CANCELED")]
        assert of.record("bill").why == "shifted past the end date"
        assert of.instance.status is InstanceStatus.COMPLETED

    def test_a_date_shifted_to_the_end_date_stays(self) -> None:
        of = begun(end_date="2026-01-06")
        self.shifted(of, until="2026-01-03")
        assert of.open == [("bill", "2026-01-06T00:00")]

    def test_a_begun_event_runs_past_the_end_date(self) -> None:
        of = begun(end_date="2026-01-06")
        of.run(of.main, at("2026-01-06"), ended(Ending.RETRY, at("2026-01-06")))
        self.shifted(of, paused="2026-01-06T00:30", until="2026-01-20")
        assert of.open == [("bill", "2026-01-06T01:00")]

    def test_a_plan_without_a_date_is_not_shifted(self) -> None:
        parts = {"onCreateTasks": [{"task": "greet"}]}
        of = begun(strategy(initial_delay=DAILY, parts=parts), end_date="2026-01-05")
        self.shifted(of)
        assert of.open == [("greet", "2026-01-05T00:00")]

    def test_a_date_that_cannot_be_represented_is_refused(self) -> None:
        of = life(weekly(), new("9999-12-30"), now="2026-01-01")
        of.decide(Pause(by=ANN), at("2026-01-02"))
        verdict = of.decide(Resume(by=ANN, on_late=OnResume.SHIFT), at("2026-01-20"))
        assert isinstance(verdict, Refused)
        assert verdict.rule == "shift"


class TestCron:
    """The rule is the same for cron plans, except that `shift` is refused."""

    @pytest.mark.parametrize(
        ("on_resume", "goes_on", "skipped"),
        [
            ("last", "2026-01-19T00:00", [(1, 2)]),
            ("all", "2026-01-05T00:00", []),
            ("skip", "2026-01-26T00:00", [(1, 3)]),
        ],
    )
    def test_the_rule_applies_to_cron(
        self, on_resume: str, goes_on: str, skipped: list[tuple[int, int]]
    ) -> None:
        of = begun(strategy(by_cron("0 0 * * MON"), onResume=on_resume))
        resumed(of, paused="2026-01-02", until="2026-01-20")
        assert (of.open, ranges(of)) == ([("bill", goes_on)], skipped)

    def test_shift_of_a_cron_plan_is_refused(self) -> None:
        of = begun(strategy(by_cron("0 0 * * MON")))
        of.decide(Pause(by=ANN), at("2026-01-02"))
        verdict = of.decide(Resume(by=ANN, on_late=OnResume.SHIFT), at("2026-01-20"))
        assert isinstance(verdict, Refused)
        assert (verdict.rule, verdict.why) == ("shift", "a plan dated by cron cannot be shifted")
        assert of.instance.status is InstanceStatus.PAUSED

    def test_an_open_cycle_of_another_calendar_can_be_shifted(self) -> None:
        of = begun(strategy(calendar(runOnCycle=1), by_cron("0 0 * * MON", key="b")))
        resumed(of, paused="2026-01-02", until="2026-01-04", on_late=OnResume.SHIFT)
        assert of.open == [("bill", "2026-01-07T00:00")]

    def test_a_cycle_that_a_callback_may_have_dated_by_cron_cannot_be_shifted(self) -> None:
        chosen = by_cron("0 0 * * MON", key="b", runOnCycleCallback="cycle > 1")
        of = begun(strategy(calendar(), chosen))
        of.decide(Pause(by=ANN), at("2026-01-02"))
        assert isinstance(of.decide(Resume(by=ANN, on_late=OnResume.SHIFT), at("2026-01-04")), Refused)

    def test_a_cron_calendar_that_is_never_chosen_allows_a_shift(self) -> None:
        of = begun(strategy(calendar(), by_cron("0 0 * * MON", key="b")))
        resumed(of, paused="2026-01-02", until="2026-01-04", on_late=OnResume.SHIFT)
        assert of.open == [("bill", "2026-01-07T00:00")]

    @pytest.mark.parametrize("on_resume", ["last", "all"])
    def test_the_last_fire_runs_late_and_the_plan_ends(self, on_resume: str) -> None:
        of = begun(strategy(by_cron("0 0 0 5 1 ? 2026"), onResume=on_resume))
        resumed(of, paused="2026-01-02", until="2026-03-01")
        assert of.open == [("bill", "2026-01-05T00:00")]
        of.run(of.main, at("2026-03-01"))
        assert (of.instance.status, of.instance.cancel_reason) == (InstanceStatus.COMPLETED, None)

    def test_the_last_fire_is_skipped_and_the_plan_ends(self) -> None:
        of = begun(strategy(by_cron("0 0 0 5,6 1 ? 2026"), onResume="skip"))
        resumed(of, paused="2026-01-02", until="2026-03-01")
        assert (of.instance.status, ranges(of)) == (InstanceStatus.COMPLETED, [(1, 2)])

    def test_an_end_date_ends_the_cron_plan(self) -> None:
        of = begun(strategy(by_cron("0 0 * * MON")), end_date="2026-01-12")
        of.run(of.main, at("2026-01-05"))
        assert of.open == [("bill", "2026-01-12T00:00")]
        of.run(of.main, at("2026-01-12"))
        assert of.instance.status is InstanceStatus.COMPLETED

    def test_at_most_a_thousand_fires_are_examined(self) -> None:
        of = begun(strategy(by_cron("* * * * *")))
        resumed(of, paused="2026-01-02", until="2026-01-05T16:40")
        assert (of.open, ranges(of)) == ([("bill", "2026-01-05T16:39")], [(1, 999)])
        of = begun(strategy(by_cron("* * * * *")))
        of.decide(Pause(by=ANN), at("2026-01-02"))
        verdict = of.decide(Resume(by=ANN), at("2026-01-05T16:40:01"))
        assert isinstance(verdict, Refused)
        assert verdict.rule == "too-many-missed"


class TestPrecedence:
    """If the resume call has a rule, it wins over the strategy's."""

    def test_the_rule_of_the_call_applies(self) -> None:
        of = begun(weekly(on_resume="skip"))
        resumed(of, paused="2026-01-02", until="2026-01-20", on_late=OnResume.ALL)
        assert of.open == [("bill", "2026-01-05T00:00")]

    def test_the_rule_of_the_strategy_applies_otherwise(self) -> None:
        of = begun(weekly(on_resume="skip"))
        resumed(of, paused="2026-01-02", until="2026-01-20")
        assert of.open == [("bill", "2026-01-26T00:00")]


class TestKeptEvents:
    """An open main event that has begun, is on hold or queued by an operator, or is merely late, stays."""

    @pytest.mark.parametrize("on_resume", ["last", "all", "skip"])
    def test_a_begun_event_continues(self, on_resume: str) -> None:
        of = begun(weekly(on_resume=on_resume))
        of.run(of.main, at("2026-01-05"), ended(Ending.RETRY, at("2026-01-05")))
        resumed(of, paused="2026-01-05T00:30", until="2026-01-20")
        assert of.open == [("bill", "2026-01-05T01:00")]

    @pytest.mark.parametrize("on_resume", ["last", "skip"])
    def test_an_onhold_event_still_waits(self, on_resume: str) -> None:
        of = begun(weekly(on_resume=on_resume, manualTrigger=True))
        resumed(of, paused="2026-01-02", until="2026-01-20")
        assert of.open == [("bill", "2026-01-05T00:00")]

    def test_an_event_queued_by_an_operator_runs(self) -> None:
        of = begun(weekly(on_resume="skip"))
        of.decide(Pause(by=ANN), at("2026-01-02"))
        of.decide(Execute(seq=1, by=ANN), at("2026-01-06"))
        of.decide(Resume(by=ANN), at("2026-01-20"))
        assert of.main.status is EventStatus.QUEUED
        of.claim(of.main, at("2026-01-20"))
        assert of.running.seq == 1


class TestAfterAnOutage:
    """Nothing was paused, but nothing ran: `onMissed` is applied before a claim."""

    @pytest.mark.parametrize("on_missed", ["last", "all", "skip"])
    def test_a_late_event_runs_after_an_outage(self, on_missed: str) -> None:
        of = begun(weekly(on_resume="skip", onMissed=on_missed))
        of.claim(of.main, at("2026-01-11"))
        assert of.running.seq == 1

    def test_every_date_runs_by_default(self) -> None:
        of = begun(weekly(on_resume="skip"))
        ran = []
        while of.main.date <= at("2026-01-20"):
            ran.extend(of.open)
            of.run(of.main, at("2026-01-20"))
        assert [date for _, date in ran] == ["2026-01-05T00:00", "2026-01-12T00:00", "2026-01-19T00:00"]
        assert ranges(of) == [None, None, None]

    @pytest.mark.parametrize(
        ("on_missed", "goes_on", "skipped"),
        [("last", "2026-01-19T00:00", (1, 2)), ("skip", "2026-01-26T00:00", (1, 3))],
    )
    def test_a_late_event_is_replaced_if_later_dates_were_missed(
        self, on_missed: str, goes_on: str, skipped: tuple[int, int]
    ) -> None:
        of = begun(weekly(on_resume="all", onMissed=on_missed))
        verdict = of.claim(of.main, at("2026-01-20"))
        assert isinstance(verdict, Applied)
        assert verdict.skipped is not None
        assert (of.open, ranges(of)) == ([("bill", goes_on)], [skipped])
        assert of.instance.lease is None

    def test_a_date_after_the_end_date_is_no_later_date(self) -> None:
        of = begun(weekly(onMissed="skip"), end_date="2026-01-10")
        of.run(of.main, at("2026-01-20"))
        assert of.closed == [("bill", "PROCESSED")]
        assert of.instance.status is InstanceStatus.COMPLETED


class TestAfterALongRun:
    """If a retry or a wait outlasts the next dates, `onMissed` is applied when the next cycle is planned."""

    @pytest.mark.parametrize(
        ("config", "goes_on", "skipped"),
        [
            ({}, "2026-01-12T00:00", None),
            ({"onMissed": "all"}, "2026-01-12T00:00", None),
            ({"onMissed": "last"}, "2026-01-26T00:00", (2, 3)),
            ({"onMissed": "skip"}, "2026-02-02T00:00", (2, 4)),
        ],
    )
    @pytest.mark.parametrize("on_resume", ["last", "all", "skip"])
    def test_missed_dates_fall_under_the_strategys_rule(
        self, on_resume: str, config: dict[str, Json], goes_on: str, skipped: tuple[int, int] | None
    ) -> None:
        of = begun(weekly(on_resume=on_resume, **config))
        of.claim(of.main, at("2026-01-05"))
        of.run(of.main, at("2026-01-30"))
        assert of.open == [("bill", goes_on)]
        assert [entry for entry in ranges(of) if entry] == ([] if skipped is None else [skipped])

    def test_a_skipped_range_has_its_own_record(self) -> None:
        of = begun(weekly(onMissed="last"))
        of.claim(of.main, at("2026-01-05"))
        of.run(of.main, at("2026-01-30"))
        record = of.records[-1]
        assert (record.event.task, record.event.created_cycle, record.event.date) == (
            "bill",
            2,
            at("2026-01-12"),
        )
        assert (record.why, record.event.times.begun_at) == (
            "skipped: its date has passed (onMissed: last)",
            None,
        )
        assert of.main.seq == record.event.seq + 1

    def test_the_first_thousand_of_more_are_skipped_when_the_run_ends(self) -> None:
        of = begun(strategy(calendar(MINUTELY), onMissed="last"))
        of.run(of.main, at("2026-01-05"), ended(Ending.RETRY, at("2026-01-05")))
        of.run(of.main, at("2026-01-08"))
        assert [entry for entry in ranges(of) if entry] == [(2, 1001)]
        assert of.open == [("bill", "2026-01-05T16:41")]


class TestBlockedEvent:
    """An event that fell due while the queue or the strategy was paused falls under the rule too."""

    def blocked(self, on_resume: str) -> Life:
        of = begun(weekly(on_resume=on_resume))
        before = of.main
        of.claim(before, at("2026-01-05"))
        of.decide(Block(before=before, fence=1, blocked_by=BlockedBy.QUEUE), at("2026-01-05"))
        return of

    @pytest.mark.parametrize(
        ("on_resume", "goes_on"),
        [("last", "2026-01-05T00:00"), ("all", "2026-01-05T00:00"), ("skip", "2026-01-12T00:00")],
    )
    def test_an_event_released_soon_follows_the_rule(self, on_resume: str, goes_on: str) -> None:
        of = self.blocked(on_resume)
        of.decide(Unblock(), at("2026-01-06"))
        assert of.open == [("bill", goes_on)]

    @pytest.mark.parametrize(
        ("on_resume", "goes_on"),
        [("last", "2026-01-19T00:00"), ("all", "2026-01-05T00:00"), ("skip", "2026-01-26T00:00")],
    )
    def test_an_event_released_after_more_dates_follows_the_rule(self, on_resume: str, goes_on: str) -> None:
        of = self.blocked(on_resume)
        of.decide(Unblock(), at("2026-01-20"))
        assert of.open == [("bill", goes_on)]

    def test_a_blocked_event_of_a_paused_instance_fell_due_meanwhile(self) -> None:
        of = self.blocked("skip")
        resumed(of, paused="2026-01-06", until="2026-01-07")
        assert of.open == [("bill", "2026-01-12T00:00")]


class TestEachDateByItsCause:
    """`onResume` decides about the dates that passed during a pause, `onMissed` about all others."""

    def retried(self, *, pauses: list[tuple[str, str]], until: str, **rules: Json) -> Life:
        """Return a life whose first bill, of 5 January, is retried until an instant, with pauses meanwhile."""
        of = begun(strategy(calendar(WEEKLY), **rules))
        of.run(of.main, at("2026-01-05"), ended(Ending.RETRY, at(until) - HOUR))
        for paused, resumed_at in pauses:
            resumed(of, paused=paused, until=resumed_at)
        of.run(of.main, at(until))
        return of

    def ran(self, of: Life, now: str) -> list[str]:
        """Run the due main events, and return their dates."""
        dates = []
        while of.main.date <= at(now):
            dates.append(f"{of.main.date:%m-%d}")
            of.run(of.main, at(now))
        return dates

    @pytest.mark.parametrize(
        ("rules", "dates"),
        [
            ({}, ["01-12", "01-19", "01-26"]),  # one date in the pause: under `last` it runs
            ({"onResume": "skip"}, ["01-12", "01-26"]),
            ({"onResume": "all", "onMissed": "skip"}, ["01-19"]),
            ({"onResume": "skip", "onMissed": "last"}, ["01-12", "01-26"]),
            ({"onResume": "last", "onMissed": "last"}, ["01-26"]),
            ({"onResume": "last", "onMissed": "skip"}, ["01-19"]),
            ({"onResume": "skip", "onMissed": "skip"}, []),
        ],
    )
    def test_a_pause_during_retries_counts_for_its_dates_only(
        self, rules: dict[str, Json], dates: list[str]
    ) -> None:
        of = self.retried(pauses=[("2026-01-18", "2026-01-20")], until="2026-01-30", **rules)
        assert self.ran(of, "2026-01-30") == dates
        assert of.open == [("bill", "2026-02-02T00:00")]

    def test_the_first_instant_of_a_pause_belongs_to_it_and_its_end_does_not(self) -> None:
        of = self.retried(pauses=[("2026-01-12", "2026-01-19")], until="2026-01-30", onResume="skip")
        assert self.ran(of, "2026-01-30") == ["01-19", "01-26"]

    def test_of_consecutive_dates_in_pauses_the_latest_runs(self) -> None:
        pauses = [("2026-01-11", "2026-01-13"), ("2026-01-18", "2026-01-27")]
        of = self.retried(pauses=pauses, until="2026-01-30", onResume="last")
        assert self.ran(of, "2026-01-30") == ["01-26"]

    def test_a_week_of_retries_loses_no_week(self) -> None:
        of = self.retried(pauses=[], until="2026-01-20", onResume="skip")
        assert self.ran(of, "2026-01-20") == ["01-12", "01-19"]

    def test_a_date_before_the_remembered_pauses_may_have_been_paused(self) -> None:
        pauses = [(f"2026-01-{day}", f"2026-01-{day}T12:00") for day in (14, 15, 16, 17)]
        of = self.retried(pauses=pauses, until="2026-01-30", onResume="skip")
        # Only four downtimes are remembered, so nothing is known of 12 January.
        assert self.ran(of, "2026-01-30") == ["01-19", "01-26"]

    def test_a_pause_of_the_strategy_or_the_queue_counts_although_no_event_was_due(self) -> None:
        flag = FlagPause(since=at("2026-01-18"), until=at("2026-01-20"))
        of = begun(replace(strategy(calendar(WEEKLY), onResume="skip"), flag_pauses=(flag,)))
        of.run(of.main, at("2026-01-05"), ended(Ending.RETRY, at("2026-01-30") - HOUR))
        of.run(of.main, at("2026-01-30"))
        assert self.ran(of, "2026-01-30") == ["01-12", "01-26"]

    def test_a_flag_that_is_still_paused_has_no_end(self) -> None:
        flag = FlagPause(since=at("2026-01-18"))
        of = begun(replace(strategy(calendar(WEEKLY), onResume="skip"), flag_pauses=(flag,)))
        of.run(of.main, at("2026-01-05"), ended(Ending.RETRY, at("2026-01-30") - HOUR))
        of.run(of.main, at("2026-01-30"))
        assert self.ran(of, "2026-01-30") == ["01-12"]

    def test_a_block_during_retries_counts_for_its_dates(self) -> None:
        of = begun(weekly(on_resume="skip"))
        of.run(of.main, at("2026-01-05"), ended(Ending.RETRY, at("2026-01-18") - HOUR))
        before = of.main
        of.claim(before, at("2026-01-18"))
        of.decide(Block(before=before, fence=2, blocked_by=BlockedBy.STRATEGY), at("2026-01-18"))
        of.decide(Unblock(), at("2026-01-20"))
        of.run(of.main, at("2026-01-30"))
        assert self.ran(of, "2026-01-30") == ["01-12", "01-26"]

    def test_a_block_begins_when_a_runner_finds_it_which_is_after_the_date(self) -> None:
        of = begun(weekly(on_resume="skip"))
        of.run(of.main, at("2026-01-05"), ended(Ending.RETRY, at("2026-01-11T23:01")))
        before = of.main
        of.claim(before, at("2026-01-12T00:01"))
        of.decide(Block(before=before, fence=2, blocked_by=BlockedBy.QUEUE), at("2026-01-12T00:01"))
        of.decide(Unblock(), at("2026-01-13"))
        of.run(of.main, at("2026-01-13"))
        assert self.ran(of, "2026-01-13") == []

    def test_dates_between_an_outage_and_the_block_that_followed_it_were_blocked(self) -> None:
        of = begun(weekly(on_resume="skip"))
        before = of.main
        of.claim(before, at("2026-01-13"))
        of.decide(Block(before=before, fence=1, blocked_by=BlockedBy.QUEUE), at("2026-01-13"))
        of.decide(Unblock(), at("2026-01-20"))
        assert of.open == [("bill", "2026-01-26T00:00")]

    @pytest.mark.parametrize(
        ("missed", "dates"), [("all", ["01-05", "01-12", "01-19"]), ("last", ["01-12", "01-19"])]
    )
    def test_dates_before_the_creation_fall_under_its_own_rule(self, missed: str, dates: list[str]) -> None:
        request = replace(new("2026-01-05"), missed=OnResume(missed))
        of = life(weekly(onMissed="all"), request, now="2026-01-13")
        assert self.ran(of, "2026-01-20") == dates

    @pytest.mark.parametrize("on_missed", ["all", "last", "skip"])
    def test_a_schedule_of_its_own_runs_once_for_all_missed_dates(self, on_missed: str) -> None:
        request = replace(new("2026-01-05"), schedule=OwnSchedule(cron="0 0 * * MON", goes_on=True))
        of = life(weekly(onMissed=on_missed), request, now="2026-01-01")
        of.claim(of.main, at("2026-01-20"))
        assert (of.open, ranges(of)) == ([("bill", "2026-01-19T00:00")], [(1, 2)])


class TestAThousandDates:
    """ "At most 1,000 dates are walked"."""

    def test_a_thousand_missed_dates_are_allowed(self) -> None:
        of = begun(strategy(calendar(MINUTELY)))
        resumed(of, paused="2026-01-02", until="2026-01-05T16:40")
        assert of.open == [("bill", "2026-01-05T16:39")]
        assert ranges(of) == [(1, 999)]

    @pytest.mark.parametrize("on_late", [OnResume.LAST, OnResume.SKIP])
    def test_more_than_a_thousand_are_refused_and_the_instance_stays_paused(self, on_late: OnResume) -> None:
        of = begun(strategy(calendar(MINUTELY)))
        of.decide(Pause(by=ANN), at("2026-01-02"))
        verdict = of.decide(Resume(by=ANN, on_late=on_late), at("2026-01-05T16:40:01"))
        assert isinstance(verdict, Refused)
        assert (verdict.rule, verdict.why) == ("too-many-missed", "more than 1000 planned dates were missed")
        assert of.instance.status is InstanceStatus.PAUSED

    def test_a_thousand_missed_dates_are_allowed_at_creation(self) -> None:
        of = life(strategy(calendar(MINUTELY)), new("2026-01-05"), now="2026-01-05T16:40")
        assert of.open == [("bill", "2026-01-05T16:39")]


class TestEndDate:
    """ "No cycle is planned after `endDate`"; the instance completes when its last dated event closes."""

    def test_the_last_missed_date_before_the_end_date_runs(self) -> None:
        of = begun(weekly(), end_date="2026-01-15")
        resumed(of, paused="2026-01-02", until="2026-02-20")
        assert (of.open, ranges(of)) == ([("bill", "2026-01-12T00:00")], [(1, 1)])
        of.run(of.main, at("2026-02-20"))
        assert of.instance.status is InstanceStatus.COMPLETED

    def test_an_instance_with_all_dates_skipped_completes_at_once(self) -> None:
        of = begun(weekly(on_resume="skip"), end_date="2026-01-15")
        resumed(of, paused="2026-01-02", until="2026-02-20")
        assert of.instance.status is InstanceStatus.COMPLETED
        assert (of.instance.plan.cycle, ranges(of)) == (2, [(1, 2)])

    def test_retries_after_the_end_date_still_run(self) -> None:
        of = begun(weekly(), end_date="2026-01-06")
        of.run(of.main, at("2026-01-05T23:30"), ended(Ending.RETRY, at("2026-01-05T23:30")))
        of.run(of.main, at("2026-01-06T00:30"))
        assert of.closed == [("bill", "PROCESSED")]
        assert of.instance.status is InstanceStatus.COMPLETED

    def test_a_past_start_with_everything_skipped_completes(self) -> None:
        of = life(weekly(on_resume="skip"), new("2026-01-05", end_date="2026-01-15"), now="2026-02-20")
        assert of.instance.status is InstanceStatus.COMPLETED
        assert (of.instance.plan.cycle, ranges(of)) == (2, [(1, 2)])


class TestReminders:
    """A reminder runs before its charge, whatever is missed."""

    def test_a_missed_reminder_runs_at_once_before_a_future_charge(self) -> None:
        of = life(strategy(reminded()), new("2026-02-10"), now="2026-01-31")
        resumed(of, paused="2026-02-01", until="2026-02-09")
        assert of.open == [("remind", "2026-02-07T00:00"), ("bill", "2026-02-10T00:00")]
        of.run(of.event("remind"), at("2026-02-09"))
        assert of.closed == [("remind", "PROCESSED")]
