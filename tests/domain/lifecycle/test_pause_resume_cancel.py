"""Operators' commands on an instance.

Source: docs/contracts/core.md section 3.8; docs/design.md sections 3.6, 3.7 and 4.
"""

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from shared.domain.instance.event import EventStatus, PausedFor, Resolution
from shared.domain.instance.model import InstanceStatus
from shared.domain.instance.phase import Phase, phase_of
from shared.domain.instance.reason import Cause, StopReason
from shared.domain.instance.run import Ending, Outcome
from shared.domain.instance.verdict import AlreadyThere, Applied, Refused
from shared.domain.lifecycle.commands import (
    Apply,
    Cancel,
    Command,
    Execute,
    Finish,
    Pause,
    Resolve,
    Resume,
    Wait,
)
from shared.domain.strategy.model import Json, OnResume
from tests.factories import stop_of
from tests.lifecycle_factories import (
    ANN,
    DONE,
    Life,
    at,
    calendar,
    ended,
    life,
    new,
    reminded,
    strategy,
    succeeded,
)

NOON = at("2026-01-31T12:00")
LATER = at("2026-01-31T13:00")
PART: Json = {"onCancelTasks": [{"task": "part", "delayBy": {"unit": "days", "amount": 1}}]}
TWO_STEPS: Json = [
    {"key": "call", "action": "post", "nextStep": "next"},
    {"key": "next", "action": "post"},
]
GREET: Json = {"onCreateTasks": [{"task": "greet"}]}


def active() -> Life:
    return life(strategy(parts=PART))


def paused() -> Life:
    of = active()
    of.decide(Pause(by=ANN), NOON)
    return of


def canceled() -> Life:
    of = active()
    of.decide(Cancel(by=ANN), NOON)
    return of


def completed() -> Life:
    of = life(request=new(end_date="2026-02-15"))
    of.run(of.main, NOON)
    assert of.instance.status is InstanceStatus.COMPLETED
    return of


def running(of: Life | None = None) -> Life:
    """Return a life whose bill runs, claimed at noon."""
    of = of or active()
    of.claim(of.main, NOON)
    assert of.instance.executing is not None
    return of


def in_doubt(of: Life | None = None) -> Life:
    of = running(of)
    of.conclude(ended(Ending.IN_DOUBT, NOON), NOON)
    return of


class TestVerdicts:
    """Every command on every status has one verdict."""

    @pytest.mark.parametrize(
        ("command", "verdicts"),
        [
            (Pause(by=ANN), [Applied, AlreadyThere, Refused, Refused]),
            (Pause(by=ANN, kill=True), [Applied, AlreadyThere, Refused, Refused]),
            (Resume(by=ANN), [AlreadyThere, Applied, Refused, Refused]),
            (Cancel(by=ANN), [Applied, Applied, AlreadyThere, Refused]),
            (Cancel(by=ANN, kill=True), [Applied, Applied, AlreadyThere, Refused]),
            (Execute(seq=1, by=ANN), [Applied, Applied, Refused, Refused]),
            (Resolve(seq=1, resolution=Resolution.RETRY, by=ANN), [Refused, Refused, Refused, Refused]),
            (Finish(), [AlreadyThere, AlreadyThere, AlreadyThere, AlreadyThere]),
        ],
        ids=["pause", "kill (pause)", "resume", "cancel", "kill (cancel)", "execute", "resolve", "finish"],
    )
    def test_on_an_active_paused_canceled_and_completed_instance(
        self, command: Command, verdicts: list[type]
    ) -> None:
        lives = [active(), paused(), canceled(), completed()]
        assert [type(of.decide(command, LATER)) for of in lives] == verdicts

    @pytest.mark.parametrize("make", [active, paused, canceled, completed])
    @pytest.mark.parametrize(
        "command", [Pause(by=ANN), Resume(by=ANN), Cancel(by=ANN)], ids=["pause", "resume", "cancel"]
    )
    def test_a_repeated_command_is_already_there(self, make: Callable[[], Life], command: Command) -> None:
        of = make()
        first = of.decide(command, LATER)
        expected = Refused if isinstance(first, Refused) else AlreadyThere
        assert isinstance(of.decide(command, LATER), expected)

    def test_a_refusal_names_the_status(self) -> None:
        verdict = completed().decide(Cancel(by=ANN), LATER)
        assert isinstance(verdict, Refused)
        assert (verdict.why, verdict.rule) == ("the instance is COMPLETED", "state")

    @pytest.mark.parametrize("make", [canceled, completed])
    @pytest.mark.parametrize("command", [Pause(by=ANN), Resume(by=ANN)], ids=["pause", "resume"])
    def test_a_final_instance_is_neither_paused_nor_resumed(
        self, make: Callable[[], Life], command: Command
    ) -> None:
        of = make()
        verdict = of.decide(command, LATER)
        assert isinstance(verdict, Refused)
        assert verdict.why == f"the instance is {of.instance.status.value}"


class TestPause:
    """Events keep their state and do not start; a running one stops after its current step."""

    def test_a_pause_records_author_and_reason(self) -> None:
        of = paused()
        assert of.instance.status is InstanceStatus.PAUSED
        assert (stop_of(of.instance).at, stop_of(of.instance).by) == (NOON, "ann")
        assert (of.instance.stop_note, stop_of(of.instance).for_event) == ("asked by phone", None)

    def test_pausing_a_paused_instance_changes_nothing(self) -> None:
        of = paused()
        assert of.decide(Pause(by=ANN), LATER) == AlreadyThere(instance=of.instance)

    @pytest.mark.parametrize("ending", [Ending.EXHAUSTED, Ending.IN_DOUBT])
    def test_a_pause_of_the_engine_becomes_the_operators(self, ending: Ending) -> None:
        of = active()
        of.run(of.main, NOON, ended(ending, NOON, pauses=True))
        events = of.instance.events
        applied = of.applied(Pause(by=ANN), LATER)
        stop = stop_of(of.instance)
        assert (stop.by, stop.note, stop.for_event) == ("ann", "asked by phone", None)
        assert stop.reason == StopReason(cause=Cause.OPERATOR, detail="ann")
        # Missed dates count from the first pause.
        assert (stop.at, of.instance.updated_at, of.instance.events) == (NOON, LATER, events)
        assert phase_of(of.instance, now=LATER) is Phase.PAUSED
        assert applied.audit is not None
        assert applied.audit.command == "pause"
        assert of.decide(Pause(by=ANN), LATER) == AlreadyThere(instance=of.instance)

    def test_a_decision_does_not_end_the_operators_pause(self) -> None:
        of = active()
        of.run(of.main, NOON, ended(Ending.IN_DOUBT, NOON, pauses=True))
        of.applied(Pause(by=ANN), LATER)
        of.applied(Resolve(seq=of.main.seq, resolution=Resolution.RETRY, by=ANN), LATER)
        assert of.instance.status is InstanceStatus.PAUSED
        assert of.main.status is EventStatus.QUEUED

    def test_a_pause_of_a_controller_becomes_the_operators(self) -> None:
        of = paused()
        by_controller = replace(stop_of(of.instance), reason=StopReason(cause=Cause.CONTROLLER))
        of.instance = replace(of.instance, stop=by_controller)
        of.applied(Pause(by=ANN), LATER)
        assert stop_of(of.instance).reason.cause is Cause.OPERATOR

    def test_events_stay_as_they_are(self) -> None:
        of = active()
        before = of.instance.events
        of.decide(Pause(by=ANN), NOON)
        assert of.instance.events == before

    def test_an_idle_instance_has_drained_at_once(self) -> None:
        of = paused()
        assert (of.instance.is_draining, stop_of(of.instance).drained_at) == (False, NOON)

    def test_a_running_event_drains_first(self) -> None:
        of = running()
        of.decide(Pause(by=ANN), NOON)
        assert (of.instance.is_draining, stop_of(of.instance).drained_at) == (True, None)
        assert of.running.status is EventStatus.EXECUTING

    def test_a_pause_is_audited_with_both_statuses(self) -> None:
        (entry,) = paused().audit
        assert (entry.by, entry.command, entry.reason, entry.at) == ("ann", "pause", "asked by phone", NOON)
        assert (entry.from_state, entry.to_state) == (InstanceStatus.ACTIVE, InstanceStatus.PAUSED)
        assert (entry.account_id, entry.target) == ("a-1", "i-1")


class TestKill:
    """The step in flight is interrupted: the fence moves, and its late result is discarded."""

    def test_a_pause_with_kill_leaves_the_event_in_doubt(self) -> None:
        of = running()
        of.decide(Pause(by=ANN, kill=True), NOON)
        assert (of.main.status, of.main.paused_for) == (EventStatus.PAUSED, PausedFor.OPERATOR)
        assert (of.main.progress.call_in_doubt, of.main.in_doubt) == (True, True)
        assert (of.instance.fence, of.instance.lease, stop_of(of.instance).drained_at) == (2, None, NOON)

    def test_a_kill_keeps_how_many_steps_the_claim_knew(self) -> None:
        of = running(life(strategy(steps=TWO_STEPS)))
        of.step(DONE, NOON)
        of.decide(Pause(by=ANN, kill=True), NOON)
        assert (of.main.progress.known_visits, of.main.progress.was_killed) == (0, True)

    def test_the_step_after_a_kill_is_in_doubt_whatever_its_number(self) -> None:
        of = running(life(strategy(steps=TWO_STEPS)))
        of.step(DONE, NOON)
        of.decide(Pause(by=ANN, kill=True), NOON)
        of.decide(Resume(by=ANN), NOON)
        of.claim(of.main, NOON)
        progress = of.running.progress
        assert (progress.known_visits, progress.was_killed, progress.call_in_doubt) == (1, False, True)

    def test_a_pause_with_kill_and_no_running_event_just_pauses(self) -> None:
        of = active()
        of.decide(Pause(by=ANN, kill=True), NOON)
        assert (of.instance.fence, of.main.status) == (0, EventStatus.PENDING)

    def test_kill_works_after_a_pause(self) -> None:
        of = running()
        of.decide(Pause(by=ANN), NOON)
        of.decide(Pause(by=ANN, kill=True), LATER)
        assert (of.main.paused_for, stop_of(of.instance).drained_at) == (PausedFor.OPERATOR, LATER)
        assert (of.audit[-1].command, of.audit[-1].to_state) == ("kill", InstanceStatus.PAUSED)

    def test_a_cancel_with_kill_closes_the_event_in_doubt(self) -> None:
        of = running()
        of.decide(Cancel(by=ANN, kill=True), NOON)
        record = of.record("bill")
        assert (record.event.status, record.in_doubt, record.fence) == (EventStatus.CANCELED, True, 2)
        assert (of.instance.fence, of.instance.lease, stop_of(of.instance).drained_at) == (2, None, NOON)

    def test_kill_works_after_a_cancel(self) -> None:
        of = running()
        of.decide(Cancel(by=ANN), NOON)
        assert of.instance.is_draining
        of.decide(Cancel(by=ANN, kill=True), LATER)
        assert of.record("bill").why == "killed"
        assert (stop_of(of.instance).drained_at, of.audit[-1].command) == (LATER, "kill")

    def test_an_on_cancel_event_is_not_killed(self) -> None:
        of = canceled()
        of.claim(of.event("part"), at("2026-02-01T12:00"))
        verdict = of.decide(Cancel(by=ANN, kill=True), at("2026-02-01T12:00"))
        assert verdict == AlreadyThere(instance=of.instance)

    def test_kill_discards_an_operators_earlier_resolution(self) -> None:
        of = in_doubt()
        of.decide(Resolve(seq=1, resolution=Resolution.SKIP, by=ANN), LATER)
        of.claim(of.main, LATER)
        of.decide(Pause(by=ANN, kill=True), LATER)
        assert (of.main.progress.resolution, of.main.progress.call_in_doubt) == (None, True)


class TestCancel:
    """Unfinished events close and are counted; on-cancel events are created."""

    def test_every_unfinished_event_is_canceled_and_counted(self) -> None:
        of = life(strategy(reminded(), parts={**PART, **GREET}, initial_delay={"unit": "days", "amount": 9}))
        verdict = of.applied(Cancel(by=ANN), NOON)
        assert of.closed == [("greet", "CANCELED"), ("remind", "CANCELED"), ("bill", "CANCELED")]
        assert verdict.canceled_events == 3
        assert of.record("bill").why == "instance canceled: HTTP_REQUEST"

    def test_a_running_event_is_counted_and_closed_by_its_runner(self) -> None:
        of = running()
        verdict = of.applied(Cancel(by=ANN), NOON)
        assert (verdict.canceled_events, verdict.records) == (1, ())
        assert of.running.status is EventStatus.EXECUTING

    def test_an_event_of_a_crashed_runner_closes_at_once(self) -> None:
        of = running()
        of.decide(Cancel(by=ANN), LATER)
        assert of.closed == [("bill", "CANCELED")]
        assert (of.instance.fence, stop_of(of.instance).drained_at) == (2, LATER)

    def test_reason_and_note_are_kept(self) -> None:
        of = canceled()
        assert of.instance.cancel_reason == "HTTP_REQUEST"
        assert (stop_of(of.instance).by, of.instance.stop_note) == ("ann", "asked by phone")
        assert of.instance.plan.has_ended

    def test_on_cancel_events_are_dated_from_now(self) -> None:
        of = canceled()
        part = of.event("part")
        assert of.open == [("part", "2026-02-01T12:00")]
        assert (part.after_cancellation, part.status) == (True, EventStatus.PENDING)

    def test_canceling_a_canceled_instance_changes_nothing(self) -> None:
        of = canceled()
        assert of.decide(Cancel(by=ANN), LATER) == AlreadyThere(instance=of.instance)

    def test_a_paused_instance_is_canceled_with_its_paused_events(self) -> None:
        of = in_doubt()
        of.decide(Cancel(by=ANN), LATER)
        assert of.closed == [("bill", "CANCELED")]
        assert stop_of(of.instance).for_event is None

    def test_the_end_date_is_left_alone(self) -> None:
        of = life(request=new(end_date="2027-01-01"))
        of.decide(Cancel(by=ANN), NOON)
        assert of.instance.plan.end_date == at("2027-01-01")


class TestResume:
    """The instance is ACTIVE again, and paused events continue according to why they were paused."""

    def test_a_resume_clears_the_pause(self) -> None:
        of = paused()
        of.decide(Resume(by=ANN), LATER)
        assert of.instance.status is InstanceStatus.ACTIVE
        assert (of.instance.stop, of.instance.is_draining) == (None, False)
        assert of.audit[-1].command == "resume"

    @pytest.mark.parametrize(
        ("on_late", "rule"),
        [(None, "last"), (OnResume.ALL, "all"), (OnResume.SKIP, "skip"), (OnResume.SHIFT, "shift")],
    )
    def test_the_rule_for_missed_dates_that_applied_is_audited(
        self, on_late: OnResume | None, rule: str
    ) -> None:
        of = paused()

        of.decide(Resume(by=ANN, on_late=on_late), LATER)

        assert of.audit[-1].options == (f"onResume={rule}",)

    def test_used_up_attempts_start_a_new_run_with_attempt_one(self) -> None:
        of = running()
        of.conclude(ended(Ending.EXHAUSTED, NOON, pauses=True, attempt=4), NOON)
        of.decide(Resume(by=ANN), LATER)
        event = of.main
        assert (event.status, event.paused_for, event.due_at) == (EventStatus.QUEUED, None, LATER)
        assert (event.attempt, event.run, event.progress.first_action, event.reuse.side_results_from) == (
            1,
            2,
            None,
            2,
        )

    def test_an_event_paused_by_an_operator_continues_at_its_step(self) -> None:
        of = running()
        of.decide(Pause(by=ANN, kill=True), NOON)
        first_action = of.main.progress.first_action
        of.decide(Resume(by=ANN), LATER)
        assert (of.main.status, of.main.run, of.main.progress.first_action) == (
            EventStatus.QUEUED,
            1,
            first_action,
        )

    def test_a_call_in_doubt_still_waits_for_its_decision(self) -> None:
        of = in_doubt()
        of.decide(Resume(by=ANN), LATER)
        assert of.instance.status is InstanceStatus.ACTIVE
        assert (of.main.status, of.main.paused_for) == (EventStatus.PAUSED, PausedFor.IN_DOUBT)

    def test_a_draining_runner_continues_after_a_resume(self) -> None:
        of = running()
        of.decide(Pause(by=ANN), NOON)
        of.decide(Resume(by=ANN), NOON)
        assert of.running.status is EventStatus.EXECUTING
        of.conclude(succeeded(), NOON)
        assert of.closed == [("bill", "PROCESSED")]

    def test_a_plan_that_ended_meanwhile_is_completed(self) -> None:
        of = running(life(request=new(end_date="2026-02-15")))
        of.decide(Pause(by=ANN), NOON)
        of.conclude(succeeded(), NOON)
        of.decide(Resume(by=ANN), LATER)
        assert of.instance.status is InstanceStatus.COMPLETED
        assert of.audit[-1].to_state == InstanceStatus.COMPLETED


class TestExecute:
    """An event that waits for its date or for an operator runs now."""

    def test_an_onhold_event_is_queued(self) -> None:
        of = life(strategy(manualTrigger=True))
        of.decide(Execute(seq=1, by=ANN), LATER)
        event = of.main
        assert (event.status, event.due_at, event.times.scheduled_at) == (EventStatus.QUEUED, LATER, LATER)
        assert (event.date, event.wakeup_seq) == (at("2026-01-31"), 2)
        assert of.audit[-1].command == "execute"

    def test_an_event_that_waits_for_its_date_runs_before_it(self) -> None:
        of = life(request=new("2026-03-01"))
        of.decide(Execute(seq=1, by=ANN), NOON)
        of.claim(of.main, NOON)
        assert of.running.seq == 1

    def test_executing_a_queued_event_is_already_there(self) -> None:
        of = active()
        of.decide(Execute(seq=1, by=ANN), NOON)
        assert of.decide(Execute(seq=1, by=ANN), NOON) == AlreadyThere(instance=of.instance)

    def test_executing_a_running_event_is_already_there(self) -> None:
        of = running()
        assert of.decide(Execute(seq=1, by=ANN), NOON) == AlreadyThere(instance=of.instance)

    def test_a_paused_event_is_not_executed(self) -> None:
        verdict = in_doubt().decide(Execute(seq=1, by=ANN), NOON)
        assert isinstance(verdict, Refused)
        assert verdict.why == "the event is PAUSED"

    def test_a_finished_event_is_refused(self) -> None:
        verdict = canceled().decide(Execute(seq=1, by=ANN), NOON)
        assert isinstance(verdict, Refused)
        assert (verdict.why, verdict.rule) == ("the event is finished", "finished")

    def test_an_event_of_a_paused_instance_runs_after_the_resume(self) -> None:
        of = paused()
        of.decide(Execute(seq=1, by=ANN), NOON)
        of.decide(Resume(by=ANN), LATER)
        assert (of.main.status, of.main.due_at) == (EventStatus.QUEUED, NOON)


class TestResolve:
    """A call in doubt is decided, and the instance that was paused for it continues."""

    @pytest.mark.parametrize("resolution", list(Resolution))
    def test_event_and_instance_continue_as_decided(self, resolution: Resolution) -> None:
        of = in_doubt()
        of.decide(Resolve(seq=1, resolution=resolution, by=ANN), LATER)
        assert of.instance.status is InstanceStatus.ACTIVE
        assert (of.main.status, of.main.progress.resolution, of.main.progress.call_in_doubt) == (
            EventStatus.QUEUED,
            resolution,
            True,
        )
        assert of.audit[-1].command == f"resolve {resolution.value}"

    def test_an_instance_paused_for_another_reason_stays_paused(self) -> None:
        of = running()
        of.decide(Pause(by=ANN), NOON)
        of.conclude(ended(Ending.IN_DOUBT, NOON), NOON)
        of.decide(Resolve(seq=1, resolution=Resolution.RETRY, by=ANN), LATER)
        assert of.instance.status is InstanceStatus.PAUSED
        assert of.main.status is EventStatus.QUEUED

    def test_an_event_of_a_final_instance_is_decided_alone(self) -> None:
        of = canceled()
        of.claim(of.event("part"), at("2026-02-01T12:00"))
        of.conclude(ended(Ending.IN_DOUBT, LATER), at("2026-02-01T12:00"))
        of.decide(Resolve(seq=2, resolution=Resolution.FAIL, by=ANN), at("2026-02-02"))
        assert of.instance.status is InstanceStatus.CANCELED
        of.claim(of.event("part"), at("2026-02-02"))
        assert of.running.progress.resolution is Resolution.FAIL

    @pytest.mark.parametrize("make", [active, running, paused])
    def test_an_event_without_a_call_in_doubt_is_refused(self, make: Callable[[], Life]) -> None:
        verdict = make().decide(Resolve(seq=1, resolution=Resolution.RETRY, by=ANN), NOON)
        assert isinstance(verdict, Refused)
        assert verdict.why == "the event is not paused for a call in doubt"

    def test_a_plan_with_too_many_missed_dates_is_refused(self) -> None:
        every_minute = calendar({"unit": "minutes", "amount": 1})
        of = life(strategy(every_minute, parts=GREET, initial_delay={"unit": "days", "amount": 1}))
        of.claim(of.event("greet"), NOON)
        of.conclude(ended(Ending.IN_DOUBT, NOON), NOON)

        verdict = of.decide(Resolve(seq=1, resolution=Resolution.RETRY, by=ANN), at("2026-02-05"))

        assert isinstance(verdict, Refused)
        assert verdict.rule == "too-many-missed"
        assert of.instance.status is InstanceStatus.PAUSED

    def test_a_second_decision_is_refused(self) -> None:
        of = in_doubt()
        of.decide(Resolve(seq=1, resolution=Resolution.RETRY, by=ANN), LATER)
        assert isinstance(of.decide(Resolve(seq=1, resolution=Resolution.SKIP, by=ANN), LATER), Refused)

    def test_missed_dates_fall_under_their_rule(self) -> None:
        greet = {"onCreateTasks": [{"task": "greet"}]}
        of = life(strategy(parts=greet, initial_delay={"unit": "days", "amount": 9}, onResume="skip"))
        of.claim(of.event("greet"), NOON)
        of.conclude(ended(Ending.IN_DOUBT, NOON), NOON)
        verdict = of.applied(Resolve(seq=1, resolution=Resolution.RETRY, by=ANN), at("2026-02-10"))
        assert ("bill", "2026-03-09T00:00") in of.open
        assert verdict.skipped is not None


class TestPauseAgainstDirectives:
    """If an instance is stopped while a step gives directives, they count as far as possible."""

    def test_attributes_change_on_a_canceled_instance(self) -> None:
        of = running(life(request=new(level="basic")))
        of.step(Outcome(success=True, directives={"attributes": {"level": "gold"}}), NOON)
        entry = of.event_history(1).entries[-1]
        of.decide(Cancel(by=ANN), NOON)
        of.decide(Apply(seq=1, fence=1, entry=entry), NOON)
        assert of.instance.attributes == {"level": "gold"}

    def test_a_waiting_event_of_a_paused_instance_keeps_its_place(self) -> None:
        of = running()
        of.step(DONE, NOON)
        of.decide(Pause(by=ANN), NOON)
        of.decide(Wait(seq=1, fence=1, until=LATER, known_visits=1), NOON)
        assert replace(of.main, updated_at=NOON).due_at == LATER
