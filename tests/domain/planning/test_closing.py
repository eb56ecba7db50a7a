"""Closing events, and canceling or completing instances. Source: docs/contracts/core.md sections 3.6 and 3.8;
docs/design.md section 3.
"""

from shared.domain.calendar.dates import DATE_FORMS
from shared.domain.instance.event import EventKind, EventStatus
from shared.domain.instance.model import InstanceStatus
from shared.domain.instance.verdict import AlreadyThere
from shared.domain.lifecycle.commands import Cancel, Execute, Finish, Pause
from shared.domain.strategy.model import Json
from tests.factories import stop_of
from tests.lifecycle_factories import ANN, DAILY, Life, at, life, new, strategy, succeeded

NOON = at("2026-01-31T12:00")


def canceled(entry: Json, *, attributes: Json = None, **config: Json) -> Life:
    """Return a life canceled at noon, with one on-cancel task."""
    of = life(
        strategy(parts={"onCancelTasks": [{"task": "part", **entry}]}, **config), new(**(attributes or {}))
    )
    of.decide(Cancel(by=ANN), NOON)
    return of


class TestOnCancelEvents:
    """Each on-cancel task creates an event that may run after the cancelation, if its `createIf` allows it."""

    def test_the_delay_counts_from_the_cancelation(self) -> None:
        of = canceled({"delayBy": DAILY})
        event = of.event("part")
        assert of.open == [("part", "2026-02-01T12:00")]
        assert (event.kind, event.after_cancellation) == (EventKind.ON_CANCEL, True)
        assert (event.status, event.problem, event.created_cycle) == (EventStatus.PENDING, None, 1)

    def test_an_event_without_a_delay_is_due_at_once(self) -> None:
        assert canceled({}).open == [("part", "2026-01-31T12:00")]

    def test_the_delay_can_count_from_an_attribute(self) -> None:
        delay = {"unit": "days", "amount": 1, "from": "end"}
        of = canceled({"delayBy": delay}, attributes={"end": "2026-05-01T00:00:00Z"})
        assert of.open == [("part", "2026-05-02T00:00")]

    def test_a_missing_attribute_leaves_the_cancelation_date_and_gets_a_note(self) -> None:
        of = canceled({"delayBy": {"unit": "days", "amount": 1, "from": "end"}})
        assert of.open == [("part", "2026-01-31T12:00")]
        assert of.event("part").problem == f"delayBy: attribute 'end' is not {DATE_FORMS}"
        assert of.event("part").status is EventStatus.PENDING

    def test_a_callback_may_supply_the_delay(self) -> None:
        delay = {**DAILY, "retryEventCallback": '{"unit": "hours", "amount": 2}'}
        assert canceled({"delayBy": delay}).open == [("part", "2026-01-31T14:00")]

    def test_a_broken_callback_leaves_the_delta_and_gets_a_note(self) -> None:
        delay = {**DAILY, "retryEventCallback": '{"unit": "weeks", "amount": 2}'}
        of = canceled({"delayBy": delay})
        assert of.open == [("part", "2026-02-01T12:00")]
        assert of.event("part").problem == "retryEventCallback: 'weeks' is not a unit"

    def test_a_true_condition_creates_the_event(self) -> None:
        of = canceled({"createIf": "attributes.optIn == true"}, attributes={"optIn": True})
        assert of.open == [("part", "2026-01-31T12:00")]

    def test_a_false_condition_creates_nothing(self) -> None:
        of = canceled({"createIf": "attributes.optIn == true"}, attributes={"optIn": False})
        assert of.open == []

    def test_a_broken_condition_creates_the_event_onhold_with_the_problem(self) -> None:
        of = canceled({"createIf": "attributes.optIn == true"})
        event = of.event("part")
        assert event.status is EventStatus.ONHOLD
        assert event.problem is not None
        assert event.problem.startswith("createIf: ")

    def test_a_manual_entry_is_onhold(self) -> None:
        assert canceled({"manualTrigger": True}).event("part").status is EventStatus.ONHOLD

    def test_every_event_of_a_manual_strategy_is_onhold(self) -> None:
        assert canceled({}, manualTrigger=True).event("part").status is EventStatus.ONHOLD

    def test_an_operator_may_run_an_onhold_event_of_a_canceled_instance(self) -> None:
        of = canceled({"manualTrigger": True})
        of.decide(Execute(seq=2, by=ANN), NOON)
        of.run(of.event("part"), NOON)
        assert of.closed[-1] == ("part", "PROCESSED")


class TestCompletion:
    """ "Without a next cycle, an instance is COMPLETED when its last dated event closes"."""

    def with_onhold(self, **request: str) -> Life:
        """Return a bill, and a greeting that waits for an operator."""
        parts = {"onCreateTasks": [{"task": "greet", "manualTrigger": True}]}
        return life(strategy(parts=parts), new(**request))

    def test_an_onhold_event_is_canceled_at_completion(self) -> None:
        of = self.with_onhold(end_date="2026-02-15")
        of.run(of.main, NOON)
        assert of.closed == [("bill", "PROCESSED"), ("greet", "CANCELED")]
        assert of.records[1].why == "the plan has ended"
        assert (of.instance.status, stop_of(of.instance).drained_at) == (InstanceStatus.COMPLETED, NOON)
        assert (stop_of(of.instance).by, of.instance.stop_note) == ("engine", "the plan has ended")

    def test_an_instance_with_a_plan_is_not_completed(self) -> None:
        of = self.with_onhold()
        of.run(of.main, NOON)
        assert of.instance.status is InstanceStatus.ACTIVE

    def test_a_paused_instance_is_not_completed(self) -> None:
        of = life(request=new(end_date="2026-02-15"))
        of.claim(of.main, NOON)
        of.decide(Pause(by=ANN), NOON)
        of.conclude(succeeded(), NOON)
        assert of.instance.status is InstanceStatus.PAUSED

    def test_a_completed_instance_has_no_events(self) -> None:
        of = life(request=new(end_date="2026-02-15"))
        of.run(of.main, NOON)
        assert of.instance.events == ()
        assert of.instance.plan.has_ended


class TestFinish:
    """If only events on hold are left, the end date completes the instance."""

    def test_the_end_date_completes_the_instance(self) -> None:
        of = life(strategy(manualTrigger=True), new(end_date="2026-06-30"))
        of.decide(Finish(), at("2026-06-30"))
        assert of.instance.status is InstanceStatus.COMPLETED
        assert of.closed == [("bill", "CANCELED")]
        (entry,) = of.audit
        assert (entry.by, entry.command) == ("engine", "finish")

    def test_nothing_is_completed_before_the_end_date(self) -> None:
        of = life(strategy(manualTrigger=True), new(end_date="2026-06-30"))
        assert of.decide(Finish(), at("2026-06-29")) == AlreadyThere(instance=of.instance)

    def test_an_instance_with_a_dated_event_is_not_completed(self) -> None:
        of = life(request=new("2026-06-01", end_date="2026-06-30"))
        assert of.decide(Finish(), at("2026-07-01")) == AlreadyThere(instance=of.instance)


class TestFinalStatuses:
    """No status follows a final one."""

    def test_event_statuses_that_are_final(self) -> None:
        assert [status.value for status in EventStatus if status.is_final] == [
            "PROCESSED",
            "FAILED",
            "CANCELED",
        ]

    def test_instance_statuses_that_are_final(self) -> None:
        assert [status.value for status in InstanceStatus if status.is_final] == ["CANCELED", "COMPLETED"]
