"""Opening cycles. Source: docs/design.md section 4; docs/contracts/core.md section 3.2."""

import pytest
from msgspec.structs import replace

from shared.domain.calendar.dates import DATE_FORMS
from shared.domain.calendar.instance_schedule import OwnSchedule
from shared.domain.instance.event import EventKind, EventStatus
from shared.domain.instance.journal import ClosedBy
from shared.domain.instance.model import MAX_UNFINISHED_EVENTS
from shared.domain.instance.run import Outcome
from shared.domain.lifecycle.commands import Apply
from shared.domain.planning.plan import calendar_of, cancel_events, plan_next
from shared.domain.strategy.model import Json
from shared.domain.strategy.settings import MAX_LEADING_UP_TASKS
from tests.factories import an_event, changed
from tests.lifecycle_factories import (
    DAILY,
    Life,
    at,
    calendar,
    life,
    new,
    reminded,
    strategy,
    succeeded,
)

NOON = at("2026-01-31T12:00")


def leading(before: Json, **attributes: Json) -> Life:
    """Return a bill on 31 March with one leading-up event."""
    entry = {"task": "remind", "scheduleBefore": before}
    return life(strategy(calendar(leadingUpTasks=[entry])), new("2026-03-31T10:30:15", **attributes))


class TestLeadingUpEvents:
    """Leading-up events are created with their main event, each at its distance before it."""

    def test_a_leading_up_event_is_separate_from_the_main_event(self) -> None:
        of = life(strategy(reminded()), new("2026-03-01"))
        event = of.event("remind")
        assert (event.kind, event.is_main, event.created_cycle) == (EventKind.LEADING_UP, False, 1)
        assert event.status is EventStatus.PENDING

    def test_the_date_counts_back_from_the_main_date(self) -> None:
        assert leading({"unit": "months", "amount": 1}).event("remind").date == at("2026-02-28T10:30:15")

    def test_a_reset_applies_after_counting_back(self) -> None:
        before = {"unit": "days", "amount": 2, "resetTo": {"hour": 8}}
        assert leading(before).event("remind").date == at("2026-03-29T08:30")

    def test_the_date_can_count_back_from_an_attribute(self) -> None:
        of = leading({**DAILY, "from": "due"}, due="2026-03-20T00:00:00Z")
        assert of.event("remind").date == at("2026-03-19")

    def test_a_callback_may_supply_the_distance(self) -> None:
        of = leading({**DAILY, "retryEventCallback": '{"unit": "hours", "amount": 6}'})
        assert of.event("remind").date == at("2026-03-31T04:30:15")

    def test_an_event_without_a_usable_date_runs_with_its_main_event_and_says_why(self) -> None:
        of = life(
            strategy(
                calendar(leadingUpTasks=[{"task": "remind", "scheduleBefore": {**DAILY, "from": "due"}}])
            ),
            new("2026-01-31", due="2026-01-31T00:00:00Z"),
            now="2026-01-30",
        )
        of.instance = replace(of.instance, attributes={})
        of.run(of.event("remind"), at("2026-01-31"))
        of.run(of.main, at("2026-01-31"))
        assert of.event("remind").date == at("2026-02-28")
        assert of.event("remind").problem == f"scheduleBefore: attribute 'due' is not {DATE_FORMS}"

    def test_the_next_leading_up_events_are_created_when_the_main_event_closes(self) -> None:
        of = life(strategy(reminded(days=0)))
        of.run(of.event("remind"), at("2026-01-31"))
        assert of.open == [("bill", "2026-01-31T00:00")]
        of.run(of.main, at("2026-01-31"))
        assert of.open == [("remind", "2026-02-28T00:00"), ("bill", "2026-02-28T00:00")]


class TestLateLeadingUpEvents:
    """A leading-up event whose date has passed when its cycle is planned is skipped, unless its task says `runLate`.

    The bill is due on 3 February; its reminder is due three days before, on 31 January.
    """

    def planned(self, now: str, *, late: bool = False, **config: Json) -> Life:
        return life(strategy(reminded(late=late), **config), new("2026-02-03"), now=now)

    def test_a_skipped_one_is_in_the_history_with_the_reason(self) -> None:
        of = self.planned("2026-02-01")
        assert of.open == [("bill", "2026-02-03T00:00")]
        (record,) = of.records
        assert (record.event.kind, record.event.task) == (EventKind.LEADING_UP, "remind")
        assert (record.event.date, record.event.created_cycle) == (at("2026-01-31"), 1)
        assert (record.event.status, record.closed_by) == (EventStatus.CANCELED, ClosedBy.LATE_PLAN)
        assert record.why == "skipped: its date had passed when its cycle was planned"
        assert (record.by, record.reason, record.finished_at) == (None, None, at("2026-02-01"))
        assert (of.main.seq, of.instance.next_seq) == (2, 3)

    def test_with_run_late_it_runs_at_once(self) -> None:
        of = self.planned("2026-02-01", late=True)
        assert of.open == [("remind", "2026-01-31T00:00"), ("bill", "2026-02-03T00:00")]
        assert of.records == []

    @pytest.mark.parametrize("now", ["2026-01-30", "2026-01-31", "2026-01-31T00:00:01", "2026-01-31T00:03"])
    def test_one_whose_date_passed_within_the_grace_runs(self, now: str) -> None:
        of = self.planned(now)
        assert of.open == [("remind", "2026-01-31T00:00"), ("bill", "2026-02-03T00:00")]

    def test_one_whose_date_passed_before_the_grace_is_skipped(self) -> None:
        assert self.planned("2026-01-31T00:03:00.001").open == [("bill", "2026-02-03T00:00")]

    @pytest.mark.parametrize(
        ("late", "why"),
        [
            (False, "skipped: its date had passed when its cycle was planned"),
            (True, "skipped: its main event is overdue too"),
        ],
    )
    def test_it_is_skipped_if_its_main_event_is_overdue_too(self, *, late: bool, why: str) -> None:
        of = self.planned("2026-02-03T00:03:00.001", late=late)
        assert (of.open, of.record("remind").why) == ([("bill", "2026-02-03T00:00")], why)
        assert of.record("remind").closed_by is ClosedBy.LATE_PLAN

    def test_a_main_event_within_the_grace_is_not_overdue(self) -> None:
        of = self.planned("2026-02-03T00:03", late=True)
        assert of.open == [("remind", "2026-01-31T00:00"), ("bill", "2026-02-03T00:00")]

    def test_an_onhold_event_is_skipped_too(self) -> None:
        of = self.planned("2026-02-01", manualTrigger=True)
        assert (of.open, of.closed) == ([("bill", "2026-02-03T00:00")], [("remind", "CANCELED")])

    def test_a_late_main_event_costs_no_reminder_that_is_due_at_its_own_date(self) -> None:
        month = {"unit": "months", "amount": 1}
        ahead = [{"task": "remind", "scheduleBefore": month}]
        of = life(strategy(calendar(leadingUpTasks=ahead)), new("2026-01-15"), now="2026-01-15")
        of.run(of.main, at("2026-01-15T00:03"))
        assert of.open == [("remind", "2026-01-15T00:00"), ("bill", "2026-02-15T00:00")]

    @pytest.mark.parametrize(("late", "open_tasks"), [(False, ["bill"]), (True, ["remind", "bill"])])
    def test_a_reminder_whose_date_passed_during_weeks_of_retries_is_skipped(
        self, *, late: bool, open_tasks: list[str]
    ) -> None:
        of = life(strategy(reminded(late=late)), new("2026-02-03"), now="2026-01-01")
        of.run(of.event("remind"), at("2026-01-31"))
        of.claim(of.main, at("2026-02-03"))
        of.conclude(succeeded(), at("2026-03-01"))  # one day after the reminder of cycle 2
        assert [task for task, _ in of.open] == open_tasks
        assert of.instance.plan.cycle == 2

    def test_no_business_day_is_named_before_a_passed_date(self) -> None:
        # 31 January 2026 is a Saturday.
        before = {"unit": "days", "amount": 3, "businessDays": {"convention": "skip"}}
        ahead = [{"task": "remind", "scheduleBefore": before}]
        of = life(strategy(calendar(leadingUpTasks=ahead)), new("2026-02-03"), now="2026-02-01")
        assert of.record("remind").closed_by is ClosedBy.NO_BUSINESS_DAY

    def test_one_that_a_business_day_moves_counts_by_the_moved_date(self) -> None:
        before = {"unit": "days", "amount": 3, "businessDays": {"convention": "following"}}
        ahead = [{"task": "remind", "scheduleBefore": before}]
        of = life(strategy(calendar(leadingUpTasks=ahead)), new("2026-02-03"), now="2026-02-01")
        assert of.open == [("remind", "2026-02-02T00:00"), ("bill", "2026-02-03T00:00")]

    def test_the_earliest_start_date_can_be_planned(self) -> None:
        of = life(strategy(reminded(days=0)), new("0001-01-01"), now="0001-01-01")
        assert of.open == [("remind", "0001-01-01T00:00"), ("bill", "0001-01-01T00:00")]

    def test_the_records_of_a_full_instance_fit_into_one_transaction(self) -> None:
        ahead = [{"task": "remind", "scheduleBefore": DAILY}] * MAX_LEADING_UP_TASKS
        of = life(
            strategy(calendar(DAILY, leadingUpTasks=ahead), onMissed="last"),
            new("2026-01-02"),
            now="2026-01-01",
        )
        by_hand = [an_event(seq, kind=EventKind.ADDED, task="remind") for seq in range(100, 129)]
        full = replace(of.instance, events=(*of.instance.events, *by_hand), next_seq=129)
        assert len(full.events) == MAX_UNFINISHED_EVENTS

        replanned = cancel_events(
            of.strategy, full, full.events, now=at("2026-02-01"), why="all", cause=ClosedBy.OPERATOR
        )

        # All 50 events, the range of missed cycles, and the 20 reminders of the cycle that was opened. The instance,
        # its audit entry and the two writes for a reopened event are added; DynamoDB's limit is 100.
        assert len(replanned.change.records) == 71


class TestTheMainEvent:
    """Every cycle has a main event; its calendar determines the task."""

    def test_the_task_is_that_of_the_cycles_calendar(self) -> None:
        of = life(strategy(calendar(), calendar(key="second", task="part", runOnCycle=2)))
        of.run(of.main, NOON)
        assert of.open == [("part", "2026-02-28T00:00")]
        of.run(of.main, at("2026-02-28"))
        assert of.open == [("bill", "2026-03-31T00:00")]

    def test_a_manual_plan_waits_for_an_operator_in_every_cycle(self) -> None:
        of = life(strategy(reminded(), manualTrigger=True), new("2026-03-01"))
        assert [event.status for event in of.instance.events] == [EventStatus.ONHOLD, EventStatus.ONHOLD]

    def test_numbers_of_events_are_never_used_twice(self) -> None:
        of = life()
        seen = []
        for _ in range(3):
            seen.append(of.main.seq)
            of.run(of.main, of.main.date)
        assert seen == [1, 2, 3]


class TestEndedPlan:
    """Nothing is planned when the plan has ended."""

    def test_another_main_event_closing_plans_nothing(self) -> None:
        of = life(request=new("2026-03-01", end_date="2026-03-15"))
        ended = changed(of.instance, has_ended=True)
        assert plan_next(of.strategy, ended, now=at("2026-03-02")).change.instance == ended

    def test_a_main_event_canceled_by_a_controller_is_a_skipped_cycle(self) -> None:
        of = life(strategy(parts={"onCreateTasks": [{"task": "greet"}]}), new("2026-01-31"))
        of.claim(of.event("greet"), at("2026-01-31"))
        of.step(Outcome(success=True, directives={"cancelTasks": ["bill"]}), at("2026-01-31"))
        entry = of.event_history(of.running.seq).entries[-1]
        of.decide(Apply(seq=of.running.seq, fence=1, entry=entry), at("2026-01-31"))
        assert of.closed == [("bill", "CANCELED")]
        assert of.open == [("greet", "2026-01-31T00:00"), ("bill", "2026-02-28T00:00")]
        assert of.instance.plan.cycle == 2


def test_an_own_schedule_has_no_calendar() -> None:
    of = life(strategy(calendar(), calendar(key="b", runOnCycle=2)), new("2026-02-10"))
    assert calendar_of(of.strategy, of.instance) == of.strategy.definition.calendars[0]
    own = replace(of.instance, plan=replace(of.instance.plan, schedule=OwnSchedule(cron="0 9 * * MON")))
    assert calendar_of(of.strategy, own) is None
