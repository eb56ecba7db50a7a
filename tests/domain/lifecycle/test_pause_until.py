"""A pause that ends by itself. Source: docs/decisions/0061-a-pause-that-ends-and-a-cancellation-at-a-date.md."""

from datetime import datetime, timedelta

import pytest
from msgspec.structs import replace

from shared.domain.errors import Problem
from shared.domain.ids import OperationSid
from shared.domain.instance.due import (
    Due,
    Idle,
    Leased,
    ResumeDue,
    Scheduled,
    beyond_horizon,
    far_partition,
    next_action,
    partition,
    sweep_at,
    swept_partition,
)
from shared.domain.instance.event import EventStatus, PausedFor
from shared.domain.instance.model import BlockedBy, InstanceStatus, RefusedResume
from shared.domain.instance.problems import ProblemKind, Remedy, late_since, problems_of, remedies
from shared.domain.instance.reason import Cause
from shared.domain.instance.run import Ending
from shared.domain.instance.verdict import Actor, AlreadyThere, Applied, RefusalRule, Refused
from shared.domain.lifecycle.commands import (
    Block,
    Cancel,
    EndPause,
    Pause,
    RecordSweep,
    Resume,
    Stop,
    Update,
)
from shared.domain.lifecycle.unread import decide_unread
from shared.domain.strategy.model import OnResume
from tests.factories import stop_of
from tests.lifecycle_factories import (
    ANN,
    DAILY,
    Life,
    at,
    calendar,
    ended,
    life,
    new,
    retries,
    shown,
    strategy,
)

NOON = at("2026-01-31T12:00")
UNTIL = at("2026-02-10")
EVERY_MINUTE = strategy(calendar({"unit": "minutes", "amount": 1}), onMissed="last")
BOB = Actor(name="bob", reason="on holiday")


def pause_until(until: datetime | None, by: Actor = ANN) -> Pause:
    return Pause(by=by, sets_until=True, until=until)


def paused(of: Life | None = None, *, until: datetime = UNTIL) -> Life:
    """Return a life whose first bill has run, paused on 31 January."""
    of = of or life()
    of.run(of.main, at("2026-01-31"))
    of.applied(pause_until(until, BOB), NOON)
    return of


class TestTheEnd:
    """`pause {until: date}`: resumes by itself."""

    def test_a_pause_stores_its_end(self) -> None:
        of = paused()
        assert of.instance.status is InstanceStatus.PAUSED
        assert stop_of(of.instance).until == UNTIL
        assert of.audit[-1].command == "pause"
        assert of.audit[-1].options == ("until=2026-02-10T00:00:00.000Z",)

    def test_the_end_of_a_pause_is_the_next_wakeup(self) -> None:
        of = paused()
        name = f"i-1-at-{int(UNTIL.timestamp() * 1000):x}"
        assert next_action(of.instance, NOON) == Scheduled(at=UNTIL, wakeup_name=name)
        assert next_action(of.instance, UNTIL) == ResumeDue(at=UNTIL)

    def test_another_end_has_another_wakeup_name(self) -> None:
        of = paused()
        before = next_action(of.instance, NOON)
        of.applied(pause_until(at("2026-02-11")), NOON)
        after = next_action(of.instance, NOON)
        assert isinstance(before, Scheduled)
        assert isinstance(after, Scheduled)
        assert before.wakeup_name != after.wakeup_name

    def test_the_due_index_carries_the_end(self) -> None:
        of = paused()
        assert sweep_at(of.instance) == UNTIL + timedelta(seconds=180)

    def test_a_sweep_without_effect_backs_off(self) -> None:
        of = paused()
        of.applied(RecordSweep(), at("2026-02-10T00:03"))
        assert shown(sweep_at(of.instance) or NOON) == ["2026-02-10T00:04"]

    def test_a_pause_beyond_the_horizon_is_swept_when_its_wakeup_is_to_be_scheduled(self) -> None:
        of = life(replace(strategy(), horizon=timedelta(days=1)))
        of.run(of.main, at("2026-01-31"))
        of.applied(pause_until(UNTIL), NOON)
        assert beyond_horizon(of.instance, timedelta(days=1), now=NOON) == of.instance.sweep.schedule_at
        assert of.instance.sweep.schedule_at is not None
        assert sweep_at(of.instance) == of.instance.sweep.schedule_at
        assert partition(of.instance) == far_partition(3)

    def test_the_instance_resumes_at_its_end(self) -> None:
        of = paused()
        applied = of.applied(EndPause(), UNTIL)
        assert applied.instance.status is InstanceStatus.ACTIVE
        assert applied.instance.stop is None
        assert of.audit[-1].by == "engine"
        assert of.audit[-1].command == "resume"
        assert of.audit[-1].reason == "paused by bob until 2026-02-10T00:00:00.000Z"

    def test_nothing_happens_before_the_end(self) -> None:
        of = paused()
        assert isinstance(of.decide(EndPause(), UNTIL - timedelta(seconds=1)), AlreadyThere)

    def test_a_stale_wakeup_changes_nothing_after_a_resume(self) -> None:
        of = paused()
        of.applied(Resume(by=ANN), at("2026-02-05"))
        assert isinstance(of.decide(EndPause(), UNTIL), AlreadyThere)

    def test_a_stale_wakeup_changes_nothing_after_a_later_pause(self) -> None:
        of = paused()
        of.applied(Resume(by=ANN), at("2026-02-05"))
        of.applied(Pause(by=ANN), at("2026-02-06"))
        assert isinstance(of.decide(EndPause(), UNTIL), AlreadyThere)

    def test_a_cancel_ends_the_pause(self) -> None:
        of = paused()
        of.applied(Cancel(by=ANN), NOON)
        assert stop_of(of.instance).until is None
        assert isinstance(next_action(of.instance, UNTIL), Idle)


class TestChanges:
    """Of an operator's pause, the end can be changed and removed. Without the member, nothing changes."""

    def test_a_pause_without_the_member_keeps_the_end(self) -> None:
        of = paused()
        assert isinstance(of.decide(Pause(by=ANN), NOON), AlreadyThere)
        assert stop_of(of.instance).until == UNTIL

    def test_the_same_end_changes_nothing(self) -> None:
        of = paused()
        assert isinstance(of.decide(pause_until(UNTIL), NOON), AlreadyThere)

    def test_another_end_keeps_who_paused_since_when(self) -> None:
        of = paused()
        of.applied(pause_until(at("2026-03-01")), at("2026-02-01"))
        stop = stop_of(of.instance)
        assert (stop.at, stop.by, stop.until) == (NOON, "bob", at("2026-03-01"))

    def test_null_removes_the_end(self) -> None:
        of = paused()
        of.applied(pause_until(None), NOON)
        assert stop_of(of.instance).until is None
        assert of.audit[-1].options == ("until=null",)
        assert isinstance(next_action(of.instance, UNTIL), Idle)

    def test_a_pause_without_an_end_gets_one(self) -> None:
        of = life()
        of.applied(Pause(by=ANN), NOON)
        of.applied(pause_until(UNTIL), NOON)
        assert next_action(of.instance, UNTIL) == ResumeDue(at=UNTIL)

    def test_a_pause_of_the_engine_becomes_an_operators_with_an_end(self) -> None:
        of = life(strategy(retry=retries(0, pause=True)))
        of.run(of.main, at("2026-01-31"), ended(Ending.EXHAUSTED, at("2026-01-31"), pauses=True))
        assert stop_of(of.instance).reason.cause is Cause.EXHAUSTED
        of.applied(pause_until(UNTIL), NOON)
        assert stop_of(of.instance).reason.cause is Cause.OPERATOR
        assert stop_of(of.instance).until == UNTIL

    @pytest.mark.parametrize(
        ("until", "message"),
        [
            (NOON, "must be after now"),
            (NOON + timedelta(days=3653, seconds=1), "must be at most ten years ahead"),
        ],
    )
    def test_an_end_out_of_range_is_refused(self, until: datetime, message: str) -> None:
        of = life()
        refused = of.decide(pause_until(until), NOON)
        assert isinstance(refused, Refused)
        assert refused.rule is RefusalRule.INPUT
        assert refused.problems == (Problem(pointer="/until", rule="range", message=message),)

    def test_ten_years_are_allowed(self) -> None:
        of = life()
        assert isinstance(of.decide(pause_until(NOON + timedelta(days=3653)), NOON), Applied)

    @pytest.mark.parametrize("command", [pause_until(UNTIL), pause_until(NOON)])
    def test_a_final_instance_is_refused(self, command: Pause) -> None:
        of = life()
        of.applied(Cancel(by=ANN), NOON)
        refused = of.decide(command, NOON)
        assert isinstance(refused, Refused)
        assert refused.rule is RefusalRule.STATE

    def test_a_repeated_command_of_a_bulk_operation_applies_once(self) -> None:
        of, by = life(), replace(ANN, operation=OperationSid("o-1"))
        of.applied(pause_until(UNTIL, by), NOON)
        of.applied(Resume(by=ANN), NOON)
        assert isinstance(of.decide(pause_until(UNTIL, by), NOON), AlreadyThere)

    def test_a_pause_needs_no_settings(self) -> None:
        of = life()
        verdict = decide_unread(of.instance, pause_until(UNTIL), why="gone", now=NOON)
        assert isinstance(verdict, Applied)
        assert stop_of(verdict.instance).until == UNTIL


class TestMissedDates:
    """The strategy's `onResume` decides about missed dates, as at a manual resume."""

    @pytest.mark.parametrize(
        ("rule", "dates"),
        [
            (OnResume.LAST, ["2026-02-09T00:00"]),
            (OnResume.ALL, ["2026-02-01T00:00"]),
            (OnResume.SKIP, ["2026-02-10T00:00"]),
        ],
    )
    def test_the_strategys_rule_applies(self, rule: OnResume, dates: list[str]) -> None:
        of = paused(life(strategy(calendar(DAILY), onResume=rule.value)))
        of.applied(EndPause(), UNTIL)
        assert shown(of.main.date) == dates

    @pytest.mark.parametrize("rule", [OnResume.LAST, OnResume.ALL, OnResume.SKIP])
    def test_a_late_resume_decides_as_if_it_were_in_time(self, rule: OnResume) -> None:
        in_time, late = (paused(life(strategy(calendar(DAILY), onResume=rule.value))) for _ in range(2))
        in_time.applied(EndPause(), UNTIL)
        late.applied(EndPause(), at("2026-02-10T18:00"))
        assert late.open == in_time.open
        # What fell due after the end of the pause is merely late.
        assert next_action(late.instance, at("2026-02-10T18:00")) == Due(event=late.main)

    def test_a_resume_that_is_refused_leaves_the_instance_paused_for_a_person(self) -> None:
        of = paused(life(EVERY_MINUTE))
        of.applied(EndPause(), UNTIL)
        stop = stop_of(of.instance)
        why = (
            "the pause ended at 2026-02-10T00:00:00.000Z, but the resume was refused: more than 1000 planned dates "
            "were missed"
        )
        assert of.instance.status is InstanceStatus.PAUSED
        assert (stop.until, stop.refused) == (None, RefusedResume(at=UNTIL, why=why))
        assert isinstance(next_action(of.instance, UNTIL), Idle)
        assert sweep_at(of.instance) is None
        assert (of.audit[-1].command, of.audit[-1].by, of.audit[-1].reason) == (
            "resume-refused",
            "engine",
            why,
        )
        (problem,) = problems_of(of.instance)
        assert (problem.kind, problem.since, problem.why) == (ProblemKind.RESUME_REFUSED, UNTIL, why)
        assert remedies(of.instance, problem) == (Remedy.RESUME, Remedy.CANCEL)

    def test_a_resume_with_a_rule_ends_the_problem(self) -> None:
        of = paused(life(EVERY_MINUTE))
        of.applied(EndPause(), UNTIL)
        of.applied(Resume(by=ANN, on_late=OnResume.ALL), UNTIL)
        assert not problems_of(of.instance)

    def test_another_end_ends_the_problem(self) -> None:
        of = paused(life(EVERY_MINUTE))
        of.applied(EndPause(), UNTIL)
        of.applied(pause_until(at("2026-02-11")), UNTIL)
        assert not problems_of(of.instance)

    def test_null_ends_the_problem(self) -> None:
        of = paused(life(EVERY_MINUTE))
        of.applied(EndPause(), UNTIL)
        of.applied(pause_until(None), UNTIL)
        assert not problems_of(of.instance)


class TestEvents:
    """The end of a pause has the effect of an operator's resume on the events."""

    def test_an_event_whose_attempts_ran_out_meanwhile_starts_a_new_run(self) -> None:
        of = life(strategy(retry=retries(0, pause=True)))
        of.claim(of.main, at("2026-01-31"))
        of.applied(pause_until(UNTIL), NOON)
        of.conclude(ended(Ending.EXHAUSTED, NOON, pauses=True), NOON)
        assert of.main.paused_for is PausedFor.EXHAUSTED
        assert stop_of(of.instance).until == UNTIL
        of.applied(EndPause(), UNTIL)
        assert (of.main.status, of.main.run, of.main.attempt) == (EventStatus.QUEUED, 2, 1)

    def test_a_call_in_doubt_still_waits_for_a_decision(self) -> None:
        of = life()
        of.claim(of.main, at("2026-01-31"))
        of.applied(pause_until(UNTIL), NOON)
        of.conclude(ended(Ending.IN_DOUBT, NOON), NOON)
        of.applied(EndPause(), UNTIL)
        assert of.instance.status is InstanceStatus.ACTIVE
        assert of.main.paused_for is PausedFor.IN_DOUBT

    def test_a_step_in_flight_ends_first(self) -> None:
        of = life()
        of.claim(of.main, at("2026-01-31"))
        soon = at("2026-01-31T00:00:30")
        of.applied(pause_until(soon), at("2026-01-31T00:00:10"))
        assert isinstance(next_action(of.instance, soon), Leased)
        assert isinstance(of.decide(EndPause(), soon), AlreadyThere)
        of.applied(Stop(seq=of.main.seq, fence=of.instance.fence), soon)
        of.applied(EndPause(), soon)
        assert of.main.status is EventStatus.QUEUED

    def test_a_change_of_the_instance_keeps_the_end(self) -> None:
        of = paused()
        of.applied(Update(by=ANN, description="hers"), NOON)
        assert next_action(of.instance, UNTIL) == ResumeDue(at=UNTIL)


class TestFlags:
    """A paused flag does not keep the pause from ending, and blocks the instance as usual afterwards."""

    def test_a_blocked_instance_with_an_end_is_swept(self) -> None:
        of = life(request=new("2026-02-01"))
        of.claim(of.main, at("2026-02-01"))
        before = replace(of.main, status=EventStatus.PENDING)
        of.applied(
            Block(before=before, fence=of.instance.fence, blocked_by=BlockedBy.QUEUE), at("2026-02-01")
        )
        of.applied(Pause(by=ANN), at("2026-02-02"))
        assert partition(of.instance) == "blocked#queue:a-1#3"
        of.applied(pause_until(UNTIL), at("2026-02-02"))
        assert partition(of.instance) == swept_partition(3)
        of.applied(EndPause(), UNTIL)
        assert of.instance.blocked is None
        assert isinstance(next_action(of.instance, UNTIL), Due)


class TestLateness:
    """A pause that has not ended in time is a problem."""

    def test_runners_that_do_not_end_it_are_reported(self) -> None:
        of = paused()
        for minutes in (3, 4, 6, 10):
            of.applied(RecordSweep(), UNTIL + timedelta(minutes=minutes))
        (problem,) = problems_of(of.instance)
        assert (problem.kind, problem.since, problem.seq) == (ProblemKind.LATE, UNTIL, None)
        why = "the resume at 2026-02-10T00:00:00.000Z has not taken effect: runners were woken 4 times"
        assert problem.why == why
        assert remedies(of.instance, problem) == ()

    def test_before_a_sweep_nothing_has_run_it(self) -> None:
        of = paused()
        assert late_since(of.instance, by=UNTIL - timedelta(seconds=1)) is None
        problem = late_since(of.instance, by=UNTIL)
        assert problem is not None
        assert problem.why == (
            "the resume at 2026-02-10T00:00:00.000Z has not taken effect: nothing has run it"
        )
