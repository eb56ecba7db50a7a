"""The reason of every stop and of every failure, by which lists and bulk operations select instances.

Source: docs/contracts/core.md section 5.
"""

import pytest
from msgspec.structs import replace

from shared.domain.instance.event import EventStatus, Resolution
from shared.domain.instance.journal import ClosedBy
from shared.domain.instance.model import MAX_FAILED_EVENTS, Instance
from shared.domain.instance.phase import Phase, reason_of, stored_phase
from shared.domain.instance.problems import OpenProblem, ProblemKind, problem_at, problems_of
from shared.domain.instance.reason import ErrorKind
from shared.domain.instance.run import Ending, RunEnd, StepError
from shared.domain.lifecycle.commands import AddEvent, Cancel, Pause, RecordSweep, Resolve, Resume
from shared.domain.lifecycle.takeover import MAX_CRASHES
from shared.domain.planning.closing import close
from shared.domain.strategy.model import Json
from tests.factories import a_stop, an_event, an_instance
from tests.lifecycle_factories import ANN, Life, at, calendar, ended, life, strategy, succeeded

NOON = at("2026-01-31T12:00")
LATER = at("2026-01-31T13:00")
PART: Json = {"onCancelTasks": [{"task": "part"}]}
GREET: Json = {"onCreateTasks": [{"task": "greet"}]}


def stopped(of: Life) -> tuple[Phase | None, str | None]:
    """Return the phase and the reason as lists have them."""
    reason = reason_of(of.instance)
    return stored_phase(of.instance), None if reason is None else reason.text


def running(of: Life | None = None, *, task: str = "bill") -> Life:
    of = of or life()
    of.claim(of.event(task), NOON)
    return of


def failing(error: StepError, how: Ending, *, pauses: bool = False) -> RunEnd:
    """Return the end of a run that failed with an error."""
    end = ended(how, NOON, pauses=pauses)
    assert end.failure is not None
    return replace(end, failure=replace(end.failure, error=error))


def kinds(instance: Instance) -> list[ProblemKind]:
    return [problem.kind for problem in problems_of(instance)]


class TestReasons:
    """Each stop has one reason; an active instance has one only while it waits for a retry."""

    def test_a_healthy_instance_has_no_reason(self) -> None:
        assert stopped(life()) == (None, None)
        assert stopped(running()) == (None, None)

    def test_a_retrying_instance_has_the_class_of_its_error(self) -> None:
        of = running()
        of.conclude(ended(Ending.RETRY, NOON), NOON)
        assert stopped(of) == (Phase.RETRYING, "failed:http-402")

    def test_a_retry_that_runs_is_not_retrying(self) -> None:
        of = running()
        of.conclude(ended(Ending.RETRY, NOON), NOON)
        of.claim(of.main, LATER)
        assert stopped(of) == (None, None)

    def test_used_up_attempts_have_the_class_of_the_last_error(self) -> None:
        of = running()
        timeout = StepError(message="no answer", kind=ErrorKind.TIMEOUT)
        of.conclude(failing(timeout, Ending.EXHAUSTED, pauses=True), NOON)
        assert stopped(of) == (Phase.STUCK, "exhausted:timeout")

    def test_a_canceling_failure_has_the_class_of_the_last_error(self) -> None:
        of = running()
        of.conclude(ended(Ending.EXHAUSTED, NOON), NOON)
        assert stopped(of) == (Phase.FAULTED, "exhausted:http-402")

    def test_a_call_in_doubt(self) -> None:
        of = running()
        of.conclude(ended(Ending.IN_DOUBT, NOON), NOON)
        assert stopped(of) == (Phase.STUCK, "in-doubt:http-402")

    def test_repeated_crashes(self) -> None:
        of = poisoned(life())
        assert stopped(of) == (Phase.STUCK, "poisoned")

    def test_an_operator_who_pauses_or_cancels(self) -> None:
        of = life()
        of.decide(Pause(by=ANN), NOON)
        assert stopped(of) == (Phase.PAUSED, "operator:ann")
        of.decide(Cancel(by=ANN), NOON)
        assert stopped(of) == (Phase.CANCELED, "operator:ann")

    def test_a_cycle_that_cannot_be_dated(self) -> None:
        of = running(life(strategy(calendar(runOnCycle=1))))
        of.conclude(succeeded(), NOON)
        assert stopped(of) == (Phase.FAULTED, "plan")

    def test_a_plan_that_has_ended(self) -> None:
        of = life(request=None)
        of.instance = replace(of.instance, plan=replace(of.instance.plan, end_date=NOON))
        of.claim(of.main, NOON)
        of.conclude(succeeded(), NOON)
        assert stopped(of) == (Phase.COMPLETED, "ended")


def poisoned(of: Life, *, task: str = "bill") -> Life:
    """Return the life after the runners of an event have crashed too often."""
    now = NOON
    for _ in range(MAX_CRASHES + 1):
        of.claim(of.event(task), now)
        lease = of.instance.lease
        if lease is None:
            return of
        now = lease.until
    return of


class TestProblems:
    """Each problem needs a person. It stays until repaired, redriven or dismissed. Newest problems come first."""

    def test_a_healthy_instance_has_no_problem(self) -> None:
        of = life()
        assert (problems_of(of.instance), problem_at(of.instance)) == ((), None)

    def test_a_retry_and_an_operators_stop_are_no_problems(self) -> None:
        of = running()
        of.conclude(ended(Ending.RETRY, NOON), NOON)
        assert kinds(of.instance) == []
        of.decide(Pause(by=ANN), NOON)
        assert kinds(of.instance) == []

    def test_used_up_attempts_are_a_problem_until_a_resume(self) -> None:
        of = running()
        of.conclude(ended(Ending.EXHAUSTED, NOON, pauses=True), NOON)
        (problem,) = problems_of(of.instance)
        assert problem == OpenProblem(
            kind=ProblemKind.EXHAUSTED,
            since=NOON,
            why="shop/charge returned HTTP 402",
            seq=1,
            failure=of.main.failure,
        )
        assert of.main.failure is not None
        assert (of.main.failure.error_class, of.main.failure.step) == ("http-402", "call")
        of.decide(Resume(by=ANN), NOON)
        assert kinds(of.instance) == []

    def test_a_call_in_doubt_is_a_problem_until_it_is_resolved(self) -> None:
        of = running()
        of.conclude(ended(Ending.IN_DOUBT, NOON), NOON)
        assert kinds(of.instance) == [ProblemKind.IN_DOUBT]
        of.decide(Resolve(seq=1, resolution=Resolution.RETRY, by=ANN), NOON)
        assert kinds(of.instance) == []

    def test_repeated_crashes_are_a_problem(self) -> None:
        of = poisoned(life())
        assert kinds(of.instance) == [ProblemKind.POISONED]

    def test_a_side_task_whose_runners_crash_is_a_problem(self) -> None:
        of = poisoned(life(strategy(parts=GREET)), task="greet")
        assert kinds(of.instance) == [ProblemKind.POISONED]

    def test_a_failed_side_task_is_a_problem_until_it_is_redriven(self) -> None:
        of = running(life(strategy(parts=GREET, initial_delay={"unit": "days", "amount": 9})), task="greet")
        of.conclude(ended(Ending.EXHAUSTED, NOON), NOON)
        (problem,) = problems_of(of.instance)
        assert (problem.kind, problem.since, problem.is_final) == (ProblemKind.FAILED_EVENT, NOON, True)
        of.redrive("greet", LATER)
        assert kinds(of.instance) == []

    def test_a_failed_event_of_a_canceled_instance_is_a_problem(self) -> None:
        of = life(strategy(parts=PART))
        of.decide(Cancel(by=ANN), NOON)
        of.claim(of.event("part"), NOON)
        of.conclude(ended(Ending.EXHAUSTED, NOON), NOON)
        assert kinds(of.instance) == [ProblemKind.FAILED_EVENT]

    def test_a_failed_main_event_is_the_problem_of_its_canceled_instance(self) -> None:
        of = running()
        of.conclude(ended(Ending.EXHAUSTED, NOON), NOON)
        assert [(p.kind, p.seq, p.is_final) for p in problems_of(of.instance)] == [
            (ProblemKind.EXHAUSTED, 1, True)
        ]

    def test_a_cycle_that_cannot_be_dated_is_a_problem(self) -> None:
        of = running(life(strategy(calendar(runOnCycle=1))))
        of.conclude(succeeded(), NOON)
        (problem,) = problems_of(of.instance)
        assert (problem.kind, problem.why, problem.seq) == (
            ProblemKind.CREATE_CYCLE_ERROR,
            "no calendar for cycle 2",
            None,
        )

    def test_an_event_is_late_after_four_wakeups_without_effect(self) -> None:
        of = life()
        for _ in range(3):
            of.decide(RecordSweep(), LATER)
        assert kinds(of.instance) == []
        of.decide(RecordSweep(), LATER)
        (problem,) = problems_of(of.instance)
        assert (problem.kind, problem.since) == (ProblemKind.LATE, of.main.due_at)
        of.claim(of.main, LATER)
        assert kinds(of.instance) == []

    def test_an_ended_plan_that_is_swept_is_not_late(self) -> None:
        instance = an_instance(stop=a_stop())
        of = Life(strategy=strategy(), instance=instance)
        for _ in range(4):
            of.decide(RecordSweep(), LATER)
        assert kinds(of.instance) == []

    def test_the_newest_problem_comes_first(self) -> None:
        of = running(life(strategy(parts=GREET)), task="greet")
        of.conclude(ended(Ending.EXHAUSTED, NOON), NOON)
        of.claim(of.main, LATER)
        of.conclude(ended(Ending.EXHAUSTED, LATER, pauses=True), LATER)
        assert kinds(of.instance) == [ProblemKind.EXHAUSTED, ProblemKind.FAILED_EVENT]
        assert problem_at(of.instance) == LATER

    def test_only_the_latest_failed_events_are_remembered(self) -> None:
        of = life(strategy(initial_delay={"unit": "days", "amount": 9}))
        for _ in range(MAX_FAILED_EVENTS + 1):
            of.decide(AddEvent(task="greet", by=ANN, date=NOON), NOON)
            of.run(of.event("greet"), NOON, ended(Ending.EXHAUSTED, NOON))
        assert [failed.seq for failed in of.instance.failed_events] == list(range(3, 3 + MAX_FAILED_EVENTS))

    def test_an_event_without_a_failure_cannot_have_failed(self) -> None:
        with pytest.raises(ValueError, match="an event that failed must say why"):
            close(
                an_instance(an_event()),
                an_event(),
                EventStatus.FAILED,
                now=NOON,
                why=None,
                cause=ClosedBy.RUN,
            )

    def test_a_long_message_is_cut(self) -> None:
        of = running(life(strategy(parts=GREET)), task="greet")
        long = StepError(message="x" * 999)
        of.conclude(failing(long, Ending.EXHAUSTED), NOON)
        assert len(of.instance.failed_events[0].failure.message) == 200
