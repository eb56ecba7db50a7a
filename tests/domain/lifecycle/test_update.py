"""Changing an instance's data. Source: docs/contracts/core.md section 4, row 17."""

import pytest

from shared.domain.instance.event import EventStatus
from shared.domain.instance.model import InstanceStatus
from shared.domain.instance.run import Ending
from shared.domain.instance.verdict import AlreadyThere, Applied, Refused
from shared.domain.lifecycle.commands import Cancel, Pause, Update
from shared.domain.strategy.model import Json
from tests.lifecycle_factories import (
    ANN,
    DAILY,
    Life,
    at,
    calendar,
    ended,
    life,
    new,
    reminded,
    retries,
    shown,
    strategy,
)

NOON = at("2026-01-31T12:00")
GREET: Json = {"onCreateTasks": [{"task": "greet"}]}
GREET_LATER: Json = {"onCreateTasks": [{"task": "greet", "delayBy": {"unit": "years", "amount": 1}}]}
SCHEMA: Json = {"instanceValidation": {"properties": {"level": {"type": "string"}}}}


def ending(at_: str | None) -> Update:
    return Update(by=ANN, sets_end_date=True, end_date=None if at_ is None else at(at_))


def refusal(of: Life, command: Update) -> list[tuple[str, str]]:
    verdict = of.decide(command, NOON)
    assert isinstance(verdict, Refused)
    assert verdict.rule == "input"
    return [(problem.pointer, problem.rule) for problem in verdict.problems]


class TestData:
    """Description and attributes change; null removes an attribute; nothing else changes."""

    def test_attributes_are_merged_by_name(self) -> None:
        of = life(request=new(level="gold", seats=2))

        of.decide(Update(by=ANN, description="d", attributes={"seats": None, "note": "n"}), NOON)

        assert of.instance.description == "d"
        assert of.instance.attributes == {"level": "gold", "note": "n"}
        assert of.instance.updated_at == NOON
        assert (of.audit[-1].command, of.audit[-1].by) == ("update", "ann")

    def test_omitted_fields_stay_as_they_are(self) -> None:
        of = life(request=new(end_date="2027-01-01", level="gold"))
        before = of.instance

        of.decide(Update(by=ANN, description="d"), NOON)

        assert of.instance.attributes == before.attributes
        assert of.instance.plan.end_date == before.plan.end_date
        assert of.instance.events == before.events

    def test_an_update_without_a_difference_changes_nothing(self) -> None:
        of = life(request=new(level="gold"))

        verdict = of.decide(Update(by=ANN, description="", attributes={"level": "gold", "x": None}), NOON)

        assert isinstance(verdict, AlreadyThere)

    def test_a_paused_instance_may_be_changed(self) -> None:
        of = life()
        of.decide(Pause(by=ANN), NOON)

        assert isinstance(of.decide(Update(by=ANN, description="d"), NOON), Applied)

    def test_a_final_instance_may_not_be_changed(self) -> None:
        of = life()
        of.decide(Cancel(by=ANN), NOON)

        verdict = of.decide(Update(by=ANN, description="d"), NOON)

        assert isinstance(verdict, Refused)
        assert (verdict.why, verdict.rule) == ("the instance is CANCELED", "state")


class TestChecks:
    """The data is checked like that of a new instance, and every problem is reported."""

    def test_every_problem_of_an_update_is_reported(self) -> None:
        of = life(strategy(parts=SCHEMA), new("2026-01-31", level="gold"))
        command = Update(
            by=ANN,
            attributes={"level": None, "list": []},
            sets_end_date=True,
            end_date=at("2026-01-30"),
        )

        assert refusal(of, command) == [
            ("/attributes/list", "type"),
            ("/attributes", "jtd"),
            ("/attributes/list", "jtd"),
            ("/endDate", "range"),
        ]
        assert of.instance.attributes == {"level": "gold"}

    def test_an_attribute_that_the_plan_counts_from_must_stay_a_date(self) -> None:
        after = {"unit": "months", "amount": 1, "from": "due"}
        calendars = (calendar(after, runOnCycle=2), calendar(key="others"))
        of = life(strategy(*calendars), new(due="2026-01-31T00:00:00Z"))

        assert refusal(of, Update(by=ANN, attributes={"due": "soon"})) == [("/attributes/due", "date")]


class TestTheEndDate:
    """No cycle is planned after the end date; begun events continue. The plan here begins a day after its start."""

    START, SOON, LATER = "2026-03-10", "2026-03-10T12:00", "2026-05-01"

    def plan(self, *, end_date: str | None = None, parts: Json = None) -> Life:
        of = strategy(reminded(days=0), initial_delay=DAILY, parts=parts)
        return life(of, new(self.START, end_date=end_date))

    def test_a_planned_cycle_after_the_end_date_is_canceled(self) -> None:
        of = self.plan()

        of.decide(ending(self.SOON), NOON)

        assert of.instance.status is InstanceStatus.COMPLETED
        assert of.closed == [("remind", "CANCELED"), ("bill", "CANCELED")]
        assert of.record("bill").why == "after the end date"

    def test_a_planned_cycle_exactly_at_the_end_date_stays(self) -> None:
        of = self.plan()

        of.decide(ending("2026-03-11"), NOON)

        assert of.open == [("remind", "2026-03-11T00:00"), ("bill", "2026-03-11T00:00")]

    def test_a_retry_after_the_end_date_still_runs(self) -> None:
        of = life(strategy(retry=retries()))
        of.claim(of.main, NOON)
        of.conclude(ended(Ending.RETRY, NOON), NOON)

        of.decide(ending("2026-01-31T12:10"), NOON)

        assert of.open == [("bill", "2026-01-31T13:00")]
        assert of.instance.status is InstanceStatus.ACTIVE

    def test_the_instance_stays_until_its_other_events_close(self) -> None:
        of = self.plan(parts=GREET)

        of.decide(ending(self.SOON), NOON)

        assert of.open == [("greet", "2026-03-10T00:00")]
        assert of.instance.plan.has_ended

    @pytest.mark.parametrize("until", [None, LATER])
    def test_a_plan_that_the_old_date_had_ended_continues(self, until: str | None) -> None:
        of = self.plan(end_date="2026-03-15", parts=GREET_LATER)
        of.run(of.event("remind"), at("2026-03-11"))
        of.run(of.main, at("2026-03-11"))
        assert of.instance.plan.has_ended

        of.decide(ending(until), at("2026-03-12"))

        assert shown(of.main.date) == ["2026-04-11T00:00"]
        assert of.instance.plan.cycle == 2
        assert not of.instance.plan.has_ended

    def test_a_plan_that_the_old_date_had_prevented_begins(self) -> None:
        of = self.plan(end_date=self.SOON, parts=GREET_LATER)
        assert of.instance.plan.moment is None

        of.decide(ending(self.LATER), NOON)

        assert (of.instance.plan.cycle, shown(of.main.date)) == (1, ["2026-03-11T00:00"])

    def test_a_later_date_that_still_ends_the_plan_changes_only_itself(self) -> None:
        of = self.plan(end_date=self.SOON, parts=GREET_LATER)

        of.decide(ending("2026-03-10T13:00"), NOON)

        assert of.instance.plan.has_ended
        assert of.open == [("greet", "2027-03-10T00:00")]

    def test_an_event_in_doubt_still_waits(self) -> None:
        of = life(strategy())
        of.claim(of.main, NOON)
        of.conclude(ended(Ending.IN_DOUBT, NOON), NOON)

        of.decide(ending("2026-01-31"), NOON)

        assert of.main.status is EventStatus.PAUSED
