"""Opening cycles. Source: docs/design.md section 4; docs/contracts/core.md section 3.2."""

from dataclasses import replace

from shared.domain.calendar.dates import DATE_FORMS
from shared.domain.instance.event import EventKind, EventStatus
from shared.domain.instance.run import Outcome
from shared.domain.lifecycle.commands import Apply
from shared.domain.planning.plan import plan_next
from shared.domain.strategy.model import Json
from tests.factories import changed
from tests.lifecycle_factories import DAILY, Life, at, calendar, life, new, reminded, strategy

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
            new(due="2026-01-31T00:00:00Z"),
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
