"""Dismissing problems that are final. Source: docs/contracts/core.md section 5."""

import pytest
from msgspec.structs import replace

from shared.domain.ids import OperationSid
from shared.domain.instance.model import InstanceStatus
from shared.domain.instance.problems import (
    ProblemKind,
    Remedy,
    doubtful_event,
    problem_at,
    problems_of,
    redrivable_event,
    remedies,
)
from shared.domain.instance.run import Ending
from shared.domain.instance.verdict import AlreadyThere, RefusalRule, Refused
from shared.domain.lifecycle.commands import Cancel, CancelEvent, Dismiss, RecordSweep, Resume
from shared.domain.strategy.model import Json
from tests.lifecycle_factories import ANN, at, calendar, ended, life, strategy, succeeded

NOON = at("2026-01-31T12:00")
LATER = at("2026-01-31T13:00")
GREET: Json = {"onCreateTasks": [{"task": "greet"}]}
DISMISS = Dismiss(by=ANN, until=LATER)


class TestDismiss:
    """Final problems leave the list. Problems that can be repaired stay."""

    def test_without_problems_nothing_changes(self) -> None:
        of = life()
        assert of.decide(DISMISS, NOON) == AlreadyThere(instance=of.instance)

    def test_failed_events_are_forgotten(self) -> None:
        of = life(strategy(parts=GREET))
        of.run(of.event("greet"), NOON, ended(Ending.EXHAUSTED, NOON))
        applied = of.applied(DISMISS, LATER)
        assert (of.instance.failed_events, of.instance.updated_at) == ((), LATER)
        assert applied.audit is not None
        assert (applied.audit.command, applied.audit.reason) == ("dismiss", "asked by phone")

    def test_what_failed_after_the_request_stays(self) -> None:
        of = life(strategy(parts={"onCreateTasks": [{"task": "greet"}, {"task": "part"}]}))
        of.run(of.event("greet"), NOON, ended(Ending.EXHAUSTED, NOON))
        of.run(of.event("part"), LATER, ended(Ending.EXHAUSTED, LATER))
        of.applied(Dismiss(by=ANN, until=NOON), LATER)
        assert [failed.task for failed in of.instance.failed_events] == ["part"]
        assert isinstance(of.decide(Dismiss(by=ANN, until=NOON), LATER), AlreadyThere)
        of.applied(DISMISS, LATER)
        assert of.instance.failed_events == ()

    def test_a_stop_that_is_a_problem_is_marked(self) -> None:
        of = life(strategy(calendar(runOnCycle=1)))
        of.run(of.main, NOON, succeeded())
        of.decide(DISMISS, LATER)
        assert of.instance.stop is not None
        assert of.instance.stop.dismissed_at == LATER
        assert problems_of(of.instance) == ()

    def test_lateness_cannot_be_dismissed(self) -> None:
        of = life()
        for _ in range(4):
            of.decide(RecordSweep(), LATER)
        verdict = of.decide(DISMISS, LATER)
        assert isinstance(verdict, Refused)
        assert verdict.rule is RefusalRule.STATE
        (problem,) = problems_of(of.instance)
        assert (problem.kind, remedies(of.instance, problem)) == (ProblemKind.LATE, ())

    def test_an_operation_dismisses_once(self) -> None:
        of = life(strategy(parts=GREET))
        of.run(of.event("greet"), NOON, ended(Ending.EXHAUSTED, NOON))
        by_operation = replace(DISMISS, by=replace(ANN, operation=OperationSid("b-1")))
        of.applied(by_operation, LATER)
        assert isinstance(of.decide(by_operation, LATER), AlreadyThere)


class TestRemedies:
    """Each problem names the commands that end it."""

    def test_a_failed_main_event_of_a_plan_that_continues_can_only_be_dismissed(self) -> None:
        of = life()
        of.run(of.main, NOON, ended(Ending.EXHAUSTED, NOON))
        continued = replace(of.instance, status=life().instance.status, stop=None)
        (problem,) = problems_of(continued)
        assert problem.kind is ProblemKind.FAILED_EVENT
        assert [remedy.value for remedy in remedies(continued, problem)] == ["dismiss"]

    def test_a_doubt_of_a_canceled_instance_cannot_be_canceled(self) -> None:
        of = life(strategy(parts={"onCancelTasks": [{"task": "part"}]}))
        of.decide(Cancel(by=ANN), NOON)
        of.claim(of.event("part"), NOON)
        of.conclude(ended(Ending.IN_DOUBT, NOON), NOON)
        (problem,) = problems_of(of.instance)
        assert [remedy.value for remedy in remedies(of.instance, problem)] == ["resolve"]

    @pytest.mark.parametrize("ending", [Ending.EXHAUSTED, Ending.IN_DOUBT])
    def test_a_pause_whose_event_was_canceled_stays_a_problem(self, ending: Ending) -> None:
        of = life()
        main = of.main
        of.run(main, NOON, ended(ending, NOON, pauses=True))
        (before,) = problems_of(of.instance)
        of.applied(CancelEvent(seq=main.seq, by=ANN), LATER)
        assert of.instance.status is InstanceStatus.PAUSED
        (problem,) = problems_of(of.instance)
        assert (problem.kind, problem.since, problem.seq) == (before.kind, NOON, None)
        assert "is still paused" in problem.why
        assert remedies(of.instance, problem) == (Remedy.RESUME, Remedy.CANCEL)
        assert problem_at(of.instance) == NOON
        of.applied(Resume(by=ANN), LATER)
        assert problems_of(of.instance) == ()


class TestDoubtfulEvent:
    """A bulk resolve decides the call in doubt that the instance is paused for."""

    def test_a_healthy_instance_has_none(self) -> None:
        assert doubtful_event(life().instance) is None

    def test_an_older_doubt_is_not_taken_for_it(self) -> None:
        of = life(strategy(parts=GREET))
        main, greet = of.main, of.event("greet")
        of.run(greet, NOON, ended(Ending.IN_DOUBT, NOON, pauses=True))
        assert doubtful_event(of.instance) == greet.seq
        of.applied(Resume(by=ANN), NOON)
        of.run(main, NOON, ended(Ending.IN_DOUBT, NOON, pauses=True))
        assert doubtful_event(of.instance) == main.seq


class TestRedrivableEvent:
    """A bulk retry takes the event its instance is stopped for, else a waiting event, else the last closed event."""

    def test_the_charge_of_a_canceled_instance_comes_before_its_farewell(self) -> None:
        of = life(strategy(parts={"onCancelTasks": [{"task": "part"}]}))
        main = of.main
        of.run(main, NOON, ended(Ending.EXHAUSTED, NOON))
        of.run(of.event("part"), NOON, ended(Ending.EXHAUSTED, NOON))
        assert [failed.task for failed in of.instance.failed_events][-1] == "part"
        assert redrivable_event(of.instance) == main.seq

    def test_a_healthy_instance_has_none(self) -> None:
        assert redrivable_event(life().instance) is None

    def test_the_event_of_the_pause_comes_first(self) -> None:
        of = life(strategy(parts=GREET))
        of.run(of.event("greet"), NOON, ended(Ending.RETRY, NOON))
        of.run(of.main, NOON, ended(Ending.EXHAUSTED, NOON, pauses=True))
        assert redrivable_event(of.instance) == of.main.seq

    def test_an_event_that_waits_for_its_retry_comes_before_closed_ones(self) -> None:
        of = life(strategy(parts=GREET))
        of.run(of.event("greet"), NOON, ended(Ending.EXHAUSTED, NOON))
        assert redrivable_event(of.instance) == of.records[-1].event.seq
        of.run(of.main, NOON, ended(Ending.RETRY, NOON))
        assert redrivable_event(of.instance) == of.main.seq
