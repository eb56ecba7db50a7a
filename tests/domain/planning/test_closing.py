"""How events close and instances end. Source: contracts/core.md sections 3.6 and 3.8; design section 3."""

from shared.domain.instance.event import EventKind, EventStatus
from shared.domain.instance.model import InstanceStatus
from shared.domain.instance.verdict import AlreadyThere
from shared.domain.lifecycle.commands import Cancel, Execute, Finish, Pause
from shared.domain.strategy.model import Json
from tests.factories import stop_of
from tests.lifecycle_factories import ANN, DAILY, Life, at, life, new, strategy, succeeded

NOON = at("2026-01-31T12:00")


def canceled(entry: Json, *, attributes: Json = None, **config: Json) -> Life:
    """A life canceled at noon, with one on-cancel task."""
    of = life(
        strategy(parts={"onCancelTasks": [{"task": "part", **entry}]}, **config), new(**(attributes or {}))
    )
    of.decide(Cancel(by=ANN), NOON)
    return of


class TestOnCancelEvents:
    """Each on-cancel task becomes an event that may run after cancelation, if its `createIf` lets it."""

    def test_dated_from_the_cancelation(self) -> None:
        of = canceled({"delayBy": DAILY})
        event = of.event("part")
        assert of.open == [("part", "2026-02-01T12:00")]
        assert (event.kind, event.after_cancellation) == (EventKind.ON_CANCEL, True)
        assert (event.status, event.problem, event.created_cycle) == (EventStatus.PENDING, None, 1)

    def test_without_a_delay_at_once(self) -> None:
        assert canceled({}).open == [("part", "2026-01-31T12:00")]

    def test_counted_from_an_attribute_where_the_delay_says_so(self) -> None:
        delay = {"unit": "days", "amount": 1, "from": "end"}
        of = canceled({"delayBy": delay}, attributes={"end": "2026-05-01T00:00:00Z"})
        assert of.open == [("part", "2026-05-02T00:00")]

    def test_an_attribute_without_a_date_leaves_it_at_the_cancelation_and_says_so(self) -> None:
        of = canceled({"delayBy": {"unit": "days", "amount": 1, "from": "end"}})
        assert of.open == [("part", "2026-01-31T12:00")]
        assert of.event("part").problem == "delayBy: attribute 'end' is not a date"
        assert of.event("part").status is EventStatus.PENDING

    def test_a_callback_may_supply_the_delay(self) -> None:
        delay = {**DAILY, "retryEventCallback": '{"unit": "hours", "amount": 2}'}
        assert canceled({"delayBy": delay}).open == [("part", "2026-01-31T14:00")]

    def test_one_that_cannot_falls_back_to_the_delays_own_and_is_noted(self) -> None:
        delay = {**DAILY, "retryEventCallback": '{"unit": "weeks", "amount": 2}'}
        of = canceled({"delayBy": delay})
        assert of.open == [("part", "2026-02-01T12:00")]
        assert of.event("part").problem == "retryEventCallback: 'weeks' is not a unit"

    def test_a_condition_that_holds_creates_it(self) -> None:
        of = canceled({"createIf": "attributes.optIn == true"}, attributes={"optIn": True})
        assert of.open == [("part", "2026-01-31T12:00")]

    def test_one_that_does_not_hold_creates_nothing(self) -> None:
        of = canceled({"createIf": "attributes.optIn == true"}, attributes={"optIn": False})
        assert of.open == []

    def test_one_that_cannot_be_evaluated_creates_it_on_hold_with_the_problem(self) -> None:
        of = canceled({"createIf": "attributes.optIn == true"})
        event = of.event("part")
        assert event.status is EventStatus.ONHOLD
        assert event.problem is not None
        assert event.problem.startswith("createIf: ")

    def test_on_hold_where_the_entry_says_manual(self) -> None:
        assert canceled({"manualTrigger": True}).event("part").status is EventStatus.ONHOLD

    def test_on_hold_where_everything_is_manual(self) -> None:
        assert canceled({}, manualTrigger=True).event("part").status is EventStatus.ONHOLD

    def test_an_operator_may_run_one_on_hold_although_the_instance_is_canceled(self) -> None:
        of = canceled({"manualTrigger": True})
        of.decide(Execute(seq=2, by=ANN), NOON)
        of.run(of.event("part"), NOON)
        assert of.closed[-1] == ("part", "PROCESSED")


class TestCompletion:
    """COMPLETED when the plan has ended and the last dated event has closed."""

    def on_hold(self, **asked: str) -> Life:
        """A bill, and a greeting that waits for an operator."""
        parts = {"onCreateTasks": [{"task": "greet", "manualTrigger": True}]}
        return life(strategy(parts=parts), new(**asked))

    def test_what_waits_for_an_operator_is_canceled_then(self) -> None:
        of = self.on_hold(end_date="2026-02-15")
        of.run(of.main, NOON)
        assert of.closed == [("bill", "PROCESSED"), ("greet", "CANCELED")]
        assert of.records[1].why == "the plan has ended"
        assert (of.instance.status, stop_of(of.instance).drained_at) == (InstanceStatus.COMPLETED, NOON)
        assert (stop_of(of.instance).by, of.instance.stop_note) == ("engine", "the plan has ended")

    def test_not_while_the_plan_goes_on(self) -> None:
        of = self.on_hold()
        of.run(of.main, NOON)
        assert of.instance.status is InstanceStatus.ACTIVE

    def test_not_while_paused(self) -> None:
        of = life(asked=new(end_date="2026-02-15"))
        of.claim(of.main, NOON)
        of.decide(Pause(by=ANN), NOON)
        of.conclude(succeeded(), NOON)
        assert of.instance.status is InstanceStatus.PAUSED

    def test_a_completed_instance_is_asked_nothing_more(self) -> None:
        of = life(asked=new(end_date="2026-02-15"))
        of.run(of.main, NOON)
        assert of.instance.events == ()
        assert of.instance.plan.has_ended


class TestFinish:
    """Where only events on hold are left, the end date completes the instance."""

    def test_once_it_has_come(self) -> None:
        of = life(strategy(manualTrigger=True), new(end_date="2026-06-30"))
        of.decide(Finish(), at("2026-06-30"))
        assert of.instance.status is InstanceStatus.COMPLETED
        assert of.closed == [("bill", "CANCELED")]
        (entry,) = of.audit
        assert (entry.by, entry.command) == ("engine", "finish")

    def test_not_before(self) -> None:
        of = life(strategy(manualTrigger=True), new(end_date="2026-06-30"))
        assert of.decide(Finish(), at("2026-06-29")) == AlreadyThere(instance=of.instance)

    def test_not_while_something_may_still_run(self) -> None:
        of = life(asked=new("2026-06-01", end_date="2026-06-30"))
        assert of.decide(Finish(), at("2026-07-01")) == AlreadyThere(instance=of.instance)


class TestFinalStatuses:
    """Nothing leaves a final status any more."""

    def test_of_an_event(self) -> None:
        assert [status.value for status in EventStatus if status.is_final] == [
            "PROCESSED",
            "FAILED",
            "CANCELED",
        ]

    def test_of_an_instance(self) -> None:
        assert [status.value for status in InstanceStatus if status.is_final] == ["CANCELED", "COMPLETED"]
