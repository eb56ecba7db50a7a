"""The effects of a run's end. Source: docs/design.md sections 3 and 5; docs/contracts/core.md section 3.6."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from shared.domain.instance.event import EventStatus, PausedFor, Resolution
from shared.domain.instance.journal import JournalEntry
from shared.domain.instance.model import InstanceStatus
from shared.domain.instance.run import Ending, Outcome, RunEnd
from shared.domain.instance.verdict import AlreadyThere, Applied
from shared.domain.lifecycle.commands import (
    Apply,
    Cancel,
    Command,
    Conclude,
    Execute,
    Pause,
    Resume,
    Stop,
    Wait,
)
from shared.domain.strategy.model import Json
from tests.factories import changed, settings, stop_of, strategy_from
from tests.lifecycle_factories import (
    ANN,
    DECLINED,
    DONE,
    Life,
    at,
    calendar,
    ended,
    example,
    life,
    new,
    reminded,
    shown,
    strategy,
    succeeded,
)

NOON = at("2026-01-31T12:00")
LATER = at("2026-01-31T13:00")
LAPSED = at("2026-01-31T12:02")
PART: Json = {"onCancelTasks": [{"task": "part"}]}
GREET: Json = {"onCreateTasks": [{"task": "greet"}]}
MEMBER: Json = {"memberId": "m-1", "email": "ann@example.test", "monthlyFee": 29.5, "marketingOptIn": True}


def running(of: Life | None = None, *, task: str = "bill") -> Life:
    """Return a life with a task's event claimed at noon."""
    of = of or life()
    of.claim(of.event(task), NOON)
    assert of.running.task == task
    return of


def running_part() -> Life:
    """Return a canceled life whose on-cancel event runs."""
    of = life(strategy(parts=PART))
    of.decide(Cancel(by=ANN), NOON)
    return running(of, task="part")


def running_greeting(**request: str) -> Life:
    """Return a life whose on-create event runs; its first bill is due in nine days."""
    under = strategy(parts=GREET, initial_delay={"unit": "days", "amount": 9})
    return running(life(under, new(**request)), task="greet")


class TestSucceeded:
    """A main event that succeeded closes PROCESSED, and the next cycle is planned."""

    def test_the_record_of_the_event_comes_first_with_the_claims_fence(self) -> None:
        of = running()
        verdict = of.conclude(succeeded(), NOON)
        assert isinstance(verdict, Applied)
        record = verdict.records[0]
        assert (record.event.status, record.fence, record.finished_at) == (EventStatus.PROCESSED, 1, NOON)
        assert (record.end, record.in_doubt, record.why) == (succeeded(), False, None)
        assert verdict.audit is None

    def test_the_next_cycle_has_its_main_and_leading_up_events(self) -> None:
        of = life(strategy(reminded()), new("2026-01-31T12:00"), now="2026-01-28")
        of.run(of.event("remind"), at("2026-01-31"))
        running(of).conclude(succeeded(), NOON)
        assert of.open == [("remind", "2026-02-25T12:00"), ("bill", "2026-02-28T12:00")]
        assert (of.instance.plan.cycle, of.instance.lease, of.instance.fence) == (2, None, 2)
        assert [event.created_cycle for event in of.instance.events] == [2, 2]

    def test_leading_up_events_that_have_not_begun_close_with_the_main_event(self) -> None:
        of = life(strategy(reminded(days=0), manualTrigger=True))
        of.decide(Execute(seq=of.main.seq, by=ANN), NOON)
        running(of).conclude(succeeded(), NOON)
        assert of.closed == [("bill", "PROCESSED"), ("remind", "CANCELED")]
        assert of.record("remind").why == "its main event has closed"

    def test_a_leading_up_event_that_has_begun_continues(self) -> None:
        of = life(strategy(reminded(days=0)))
        now = at("2026-01-31")
        of.run(of.event("remind"), now, ended(Ending.RETRY, now))
        of.run(of.main, now)
        assert of.open == [
            ("remind", "2026-01-31T01:00"),
            ("remind", "2026-02-28T00:00"),
            ("bill", "2026-02-28T00:00"),
        ]

    def test_an_on_create_event_closes_without_a_new_cycle(self) -> None:
        of = running_greeting()
        of.conclude(succeeded(), NOON)
        assert of.closed == [("greet", "PROCESSED")]
        assert of.open == [("bill", "2026-02-09T00:00")]

    def test_the_last_dated_event_of_an_ended_plan_completes_the_instance(self) -> None:
        of = running(life(request=new(end_date="2026-02-15")))
        of.conclude(succeeded(), NOON)
        assert of.instance.status is InstanceStatus.COMPLETED
        (entry,) = of.audit
        assert (entry.by, entry.command, entry.reason) == ("engine", "succeeded", "the plan has ended")

    def test_the_last_dated_event_completes_the_instance_even_if_it_is_not_main(self) -> None:
        of = running_greeting(end_date="2026-02-01")
        assert of.open == [("greet", "2026-01-31T00:00")]
        of.conclude(succeeded(), NOON)
        assert of.instance.status is InstanceStatus.COMPLETED

    def test_a_paused_instance_plans_the_next_cycle_which_waits(self) -> None:
        of = running()
        of.decide(Pause(by=ANN), NOON)
        of.conclude(succeeded(), LATER)
        assert of.open == [("bill", "2026-02-28T00:00")]
        assert (of.instance.status, stop_of(of.instance).drained_at) == (InstanceStatus.PAUSED, LATER)

    def test_a_canceled_instance_plans_no_cycle(self) -> None:
        of = running()
        of.decide(Cancel(by=ANN), NOON)
        of.conclude(succeeded(), LATER)
        assert of.closed == [("bill", "PROCESSED")]
        assert (of.instance.events, stop_of(of.instance).drained_at) == ((), LATER)

    def test_a_next_cycle_that_cannot_be_dated_cancels_the_instance(self) -> None:
        of = running(life(strategy(calendar(runOnCycle=1), parts=PART)))
        of.conclude(succeeded(), NOON)
        assert of.instance.status is InstanceStatus.CANCELED
        assert of.instance.cancel_reason == "CREATE_CYCLE_ERROR"
        assert of.instance.stop_note == "no calendar for cycle 2"
        assert of.open == [("part", "2026-01-31T12:00")]


class TestRetry:
    """If an attempt is left, the failed event is PENDING in a new run. The plan does not move."""

    def test_the_event_waits_for_its_next_attempt(self) -> None:
        of = running()
        of.conclude(ended(Ending.RETRY, NOON), NOON)
        event = of.main
        assert (event.status, event.attempt, event.run, event.wakeup_seq) == (EventStatus.PENDING, 2, 2, 2)
        assert (event.date, event.due_at) == (LATER, LATER)
        assert event.last_error == "shop/charge returned HTTP 402"
        assert (of.instance.lease, of.instance.status) == (None, InstanceStatus.ACTIVE)

    def test_the_plan_does_not_move_after_a_failure(self) -> None:
        of = running()
        of.conclude(ended(Ending.RETRY, NOON), NOON)
        assert of.instance.plan.moment is not None
        assert shown(of.instance.plan.moment.at) == ["2026-01-31T00:00"]
        of.run(of.main, LATER)
        assert of.open == [("bill", "2026-02-28T00:00")]

    def test_the_attempt_continues_from_a_reset_of_the_run(self) -> None:
        of = running()
        end = replace(ended(Ending.RETRY, NOON, attempt=3), resets=("call",))
        of.conclude(end, NOON)
        assert (of.main.attempt, of.main.run, of.main.resets) == (4, 2, ("call",))

    def test_an_event_of_a_paused_instance_waits_for_its_retry(self) -> None:
        of = running()
        of.decide(Pause(by=ANN), NOON)
        of.conclude(ended(Ending.RETRY, NOON), NOON)
        assert (of.main.status, stop_of(of.instance).drained_at) == (EventStatus.PENDING, NOON)

    def test_an_event_of_a_canceled_instance_closes_instead_of_its_retry(self) -> None:
        of = running()
        of.decide(Cancel(by=ANN), NOON)
        of.conclude(ended(Ending.RETRY, NOON), NOON)
        assert of.closed == [("bill", "CANCELED")]
        assert of.record("bill").why == "instance CANCELED"

    def test_an_on_cancel_event_is_retried(self) -> None:
        of = running_part()
        of.conclude(ended(Ending.RETRY, NOON), NOON)
        assert (of.event("part").status, of.event("part").attempt) == (EventStatus.PENDING, 2)


class TestExhausted:
    """Used-up attempts pause the event if `pauseBeforeCancel` is set; otherwise it fails."""

    def test_pause_before_cancel_pauses_event_and_instance(self) -> None:
        of = running()
        of.conclude(ended(Ending.EXHAUSTED, NOON, pauses=True), NOON)
        assert (of.main.status, of.main.paused_for) == (EventStatus.PAUSED, PausedFor.EXHAUSTED)
        assert of.instance.status is InstanceStatus.PAUSED
        assert (stop_of(of.instance).at, stop_of(of.instance).drained_at) == (NOON, NOON)
        assert (stop_of(of.instance).by, stop_of(of.instance).for_event) == ("engine", 1)
        (entry,) = of.audit
        assert (entry.command, entry.reason) == ("exhausted", "bill: shop/charge returned HTTP 402")

    def test_an_operators_pause_keeps_its_reason(self) -> None:
        of = running()
        of.decide(Pause(by=ANN), NOON)
        of.conclude(ended(Ending.EXHAUSTED, LATER, pauses=True), LATER)
        assert (of.main.paused_for, stop_of(of.instance).drained_at) == (PausedFor.EXHAUSTED, LATER)
        assert (stop_of(of.instance).at, stop_of(of.instance).by) == (NOON, "ann")
        assert (stop_of(of.instance).for_event, of.instance.stop_note) == (None, "asked by phone")

    def test_a_main_event_fails_and_cancels_its_instance(self) -> None:
        of = running(life(strategy(parts=PART)))
        of.conclude(ended(Ending.EXHAUSTED, NOON), NOON)
        assert of.closed == [("bill", "FAILED")]
        assert of.record("bill").why == "shop/charge returned HTTP 402"
        assert (of.instance.status, of.instance.cancel_reason) == (InstanceStatus.CANCELED, "MAX_ATTEMPTS")
        assert of.open == [("part", "2026-01-31T12:00")]
        assert (of.audit[-1].command, of.audit[-1].reason) == (
            "exhausted",
            "bill: shop/charge returned HTTP 402",
        )

    def test_an_on_create_event_fails_without_its_instance(self) -> None:
        of = running_greeting()
        of.conclude(ended(Ending.EXHAUSTED, NOON), NOON)
        assert of.closed == [("greet", "FAILED")]
        assert of.instance.status is InstanceStatus.ACTIVE

    def test_the_last_dated_event_completes_its_instance_when_it_fails(self) -> None:
        of = running_greeting(end_date="2026-02-01")
        of.conclude(ended(Ending.EXHAUSTED, NOON), NOON)
        assert of.instance.status is InstanceStatus.COMPLETED

    @pytest.mark.parametrize("pauses", [True, False])
    def test_an_event_of_a_final_instance_just_fails(self, pauses: bool) -> None:  # noqa: FBT001 - a case
        of = running_part()
        of.conclude(ended(Ending.EXHAUSTED, NOON, pauses=pauses), NOON)
        assert of.record("part").event.status is EventStatus.FAILED
        assert of.instance.status is InstanceStatus.CANCELED

    def test_a_main_event_of_an_instance_canceled_meanwhile_just_fails(self) -> None:
        of = running()
        of.decide(Cancel(by=ANN), NOON)
        of.conclude(ended(Ending.EXHAUSTED, NOON), NOON)
        assert of.closed == [("bill", "FAILED")]
        assert of.instance.cancel_reason == "HTTP_REQUEST"


class TestInDoubt:
    """Under `inDoubt: "pause"` event and instance wait for an operator."""

    def test_event_and_instance_are_paused(self) -> None:
        of = running()
        of.conclude(ended(Ending.IN_DOUBT, NOON), NOON)
        assert (of.main.status, of.main.paused_for) == (EventStatus.PAUSED, PausedFor.IN_DOUBT)
        assert (of.main.progress.call_in_doubt, of.main.in_doubt) == (True, True)
        assert (of.instance.status, stop_of(of.instance).for_event) == (InstanceStatus.PAUSED, 1)
        assert of.audit[-1].command == "in_doubt"

    def test_an_on_cancel_event_in_doubt_waits_alone(self) -> None:
        of = running_part()
        of.conclude(ended(Ending.IN_DOUBT, NOON), NOON)
        assert of.event("part").paused_for is PausedFor.IN_DOUBT
        assert (of.instance.status, of.instance.lease) == (InstanceStatus.CANCELED, None)

    def test_an_event_that_cannot_continue_closes_in_doubt(self) -> None:
        of = running()
        of.decide(Cancel(by=ANN), NOON)
        of.conclude(ended(Ending.IN_DOUBT, NOON), NOON)
        assert of.closed == [("bill", "CANCELED")]
        assert of.record("bill").in_doubt
        assert of.instance.events == ()


class TestLateRunners:
    """If the fence has moved, the runner is too late and nothing of it is saved."""

    def test_a_late_conclusion_changes_nothing(self) -> None:
        of = running()
        of.claim(of.running, LATER)
        late = Conclude(seq=1, fence=1, end=succeeded(), in_doubt=False, known_visits=0)
        assert of.decide(late, LATER) == AlreadyThere(instance=of.instance)

    def test_a_late_wait_or_stop_changes_nothing(self) -> None:
        of = running()
        of.claim(of.running, LATER)
        of.decide(Pause(by=ANN), LATER)
        there = AlreadyThere(instance=of.instance)
        assert of.decide(Wait(seq=1, fence=1, until=None, known_visits=0), LATER) == there
        assert of.decide(Stop(seq=1, fence=1), LATER) == there

    def test_late_directives_change_nothing(self) -> None:
        of = running()
        entry = ordered(of, {"attributes": {"level": "gold"}})
        of.claim(of.running, LATER)
        assert of.decide(Apply(seq=1, fence=1, entry=entry), LATER) == AlreadyThere(instance=of.instance)

    def test_a_conclusion_of_another_event_changes_nothing(self) -> None:
        of = running()
        other = Conclude(seq=2, fence=1, end=succeeded(), in_doubt=False, known_visits=0)
        assert of.decide(other, LATER) == AlreadyThere(instance=of.instance)

    def test_a_failed_end_without_a_failure_is_rejected(self) -> None:
        of = running()
        with pytest.raises(ValueError, match="must have a failure"):
            of.conclude(RunEnd(how=Ending.RETRY, attempt=1), NOON)


class TestRecords:
    """The record of a closed event has the end of its last run."""

    def test_the_record_holds_the_last_step(self) -> None:
        of = running()
        of.step(DONE, NOON)
        (entry,) = of.event_history(1).entries
        command = Conclude(seq=1, fence=1, end=succeeded(), in_doubt=True, known_visits=0, last=entry)
        verdict = of.applied(command, NOON)
        assert verdict.records[0].last == entry
        assert verdict.records[0].in_doubt

    def test_the_record_keeps_the_doubt_of_an_earlier_run(self) -> None:
        of = running()
        of.claim(of.running, LATER)
        of.conclude(succeeded(), LATER)
        assert of.record("bill").in_doubt


class TestReleasing:
    """An event is released between two steps: for a delay, for a new invocation, or for a pause."""

    def test_a_delay_makes_the_event_pending_until_its_end(self) -> None:
        of = running()
        of.decide(Wait(seq=1, fence=1, until=LATER, known_visits=1), NOON)
        assert (of.main.status, of.main.due_at, of.main.wakeup_seq) == (EventStatus.PENDING, LATER, 2)
        assert (of.main.progress.known_visits, of.main.run, of.instance.lease) == (1, 1, None)
        assert shown(of.main.date) == ["2026-01-31T00:00"]

    def test_a_new_invocation_makes_the_event_queued_now(self) -> None:
        of = running()
        of.decide(Wait(seq=1, fence=1, until=None, known_visits=1), LATER)
        assert (of.main.status, of.main.due_at) == (EventStatus.QUEUED, LATER)
        assert of.main.times.scheduled_at == LATER

    def test_an_undecided_doubt_stays(self) -> None:
        of = running()
        of.claim(of.running, LAPSED)
        of.decide(Wait(seq=1, fence=of.instance.fence, until=None, known_visits=0), LAPSED)
        assert (of.main.progress.call_in_doubt, of.main.progress.crashes) == (True, 1)

    def test_a_decided_doubt_ends(self) -> None:
        of = running()
        of.claim(of.running, LATER)
        of.decide(Wait(seq=1, fence=of.instance.fence, until=None, known_visits=1), LATER)
        assert (of.main.progress.call_in_doubt, of.main.progress.crashes, of.main.in_doubt) == (
            False,
            0,
            True,
        )

    @pytest.mark.parametrize(
        "command",
        [
            Wait(seq=1, fence=1, until=LATER, known_visits=1, in_doubt=True),
            Stop(seq=1, fence=1, known_visits=1, in_doubt=True),
        ],
    )
    def test_a_call_in_doubt_marks_the_event(self, command: Command) -> None:
        of = running()
        of.decide(Pause(by=ANN), NOON)
        of.decide(command, NOON)
        assert of.main.in_doubt
        of.decide(Cancel(by=ANN), LATER)
        assert of.record("bill").in_doubt

    def test_an_event_of_a_paused_instance_waits_for_the_resume(self) -> None:
        of = running()
        of.decide(Pause(by=ANN), NOON)
        of.decide(Wait(seq=1, fence=1, until=None, known_visits=0), LATER)
        assert (of.main.status, stop_of(of.instance).drained_at) == (EventStatus.QUEUED, LATER)

    def test_an_event_of_a_canceled_instance_closes(self) -> None:
        of = running()
        of.decide(Cancel(by=ANN), NOON)
        of.decide(Wait(seq=1, fence=1, until=LATER, known_visits=0), NOON)
        assert of.closed == [("bill", "CANCELED")]
        assert of.instance.events == ()

    def test_an_on_cancel_event_may_wait_for_a_delay(self) -> None:
        of = running_part()
        of.decide(Wait(seq=2, fence=of.instance.fence, until=LATER, known_visits=0), NOON)
        assert of.event("part").status is EventStatus.PENDING

    def test_a_pause_takes_effect_between_two_steps_with_progress_kept(self) -> None:
        of = running()
        of.decide(Pause(by=ANN), NOON)
        of.decide(Stop(seq=1, fence=1), LATER)
        assert (of.main.status, of.main.paused_for) == (EventStatus.PAUSED, PausedFor.OPERATOR)
        assert (of.instance.lease, stop_of(of.instance).drained_at) == (None, LATER)
        assert of.main.progress.first_action is not None

    def test_a_stop_before_the_first_step_after_a_takeover_keeps_the_doubt(self) -> None:
        of = running()
        of.claim(of.running, LATER)
        of.decide(Pause(by=ANN), LATER)
        of.decide(Stop(seq=1, fence=of.instance.fence, known_visits=0), LATER)
        of.decide(Resume(by=ANN), LATER)
        assert (of.main.status, of.main.progress.call_in_doubt) == (EventStatus.QUEUED, True)

    def test_a_cancel_takes_effect_between_two_steps(self) -> None:
        of = running()
        of.decide(Cancel(by=ANN), NOON)
        of.decide(Stop(seq=1, fence=1), LATER)
        assert of.closed == [("bill", "CANCELED")]
        assert stop_of(of.instance).drained_at == LATER

    def test_an_event_that_may_run_is_not_stopped(self) -> None:
        of = running()
        assert of.decide(Stop(seq=1, fence=1), LATER) == AlreadyThere(instance=of.instance)
        of = running_part()
        stop = Stop(seq=2, fence=of.instance.fence)
        assert of.decide(stop, LATER) == AlreadyThere(instance=of.instance)


def ordered(of: Life, directives: Json) -> JournalEntry:
    """Return the journal entry of the running event's first step, with directives."""
    of.step(Outcome(success=True, directives=directives), NOON)
    return of.event_history(of.running.seq).entries[-1]


class TestDirectives:
    """Directives are applied once: the event stores the journal entry that they came from."""

    def test_attributes_are_merged_and_the_entry_is_recorded(self) -> None:
        of = running(life(request=new(level="basic", fee=1)))
        entry = ordered(of, {"attributes": {"level": "gold"}})
        of.applied(Apply(seq=1, fence=1, entry=entry), NOON)
        assert of.instance.attributes == {"level": "gold", "fee": 1}
        assert of.running.applied == (1, 1)
        assert of.audit == []

    def test_directives_are_not_applied_a_second_time(self) -> None:
        of = running()
        command = Apply(seq=1, fence=1, entry=ordered(of, {"attributes": {"level": "gold"}}))
        of.decide(command, NOON)
        assert of.decide(command, NOON) == AlreadyThere(instance=of.instance)

    def test_an_entry_without_directives_is_only_recorded(self) -> None:
        of = running()
        of.step(DONE, NOON)
        of.applied(Apply(seq=1, fence=1, entry=of.event_history(1).entries[-1]), NOON)
        assert of.running.applied == (1, 1)

    def test_a_cancel_by_a_controller_is_audited(self) -> None:
        of = running(life(strategy(parts=PART)))
        entry = ordered(of, {"cancelInstance": "policy lapsed"})
        of.decide(Apply(seq=1, fence=1, entry=entry), NOON)
        assert (of.instance.status, of.instance.cancel_reason) == (
            InstanceStatus.CANCELED,
            "CONTROLLER_HELPER",
        )
        assert (of.audit[-1].by, of.audit[-1].command) == ("controller", "directives")
        assert of.audit[-1].reason == "policy lapsed"

    def test_the_event_that_canceled_its_instance_ends_processed(self) -> None:
        of = running(life(strategy(parts=PART)))
        entry = ordered(of, {"cancelInstance": "policy lapsed"})
        of.decide(Apply(seq=1, fence=1, entry=entry), NOON)
        assert of.instance.is_draining
        of.conclude(succeeded(), LATER)
        assert of.closed == [("bill", "PROCESSED")]
        assert (of.instance.is_draining, stop_of(of.instance).drained_at) == (False, LATER)

    def test_a_pause_by_a_controller_is_audited(self) -> None:
        of = running()
        entry = ordered(of, {"pauseInstance": "card expired"})
        of.decide(Apply(seq=1, fence=1, entry=entry), NOON)
        assert of.instance.status is InstanceStatus.PAUSED
        assert of.audit[-1].to_state == InstanceStatus.PAUSED


class TestGymMembership:
    """Every charge fails from 08:00:02 on: retries after an hour, a day and three days, then event and instance
    pause.
    """

    def test_the_charge_is_tried_four_times_and_then_paused(self) -> None:
        gym = example("gym-membership", requestDelayTime=0)
        of = life(gym, new("2026-02-24T18:45:10", **MEMBER), now="2026-02-24T18:30")
        of.run(of.event("send-welcome"), at("2026-02-24T18:50:10"))
        of.run(of.event("send-reminder"), at("2026-02-28T08:00"))
        dates, attempts, told = [], [], []
        now = at("2026-03-03T08:00:02")
        while of.instance.status is InstanceStatus.ACTIVE:
            of.claim(of.main, now)
            attempts.append(of.running.attempt)
            of.step(DECLINED, now)
            end = of.step(DONE, now)
            told.append(of.event_history(of.running.seq).entries[-1].intent.step)
            of.conclude(end, now)
            now = of.main.date
            dates.extend(shown(now))
        assert dates == [
            "2026-03-03T09:00:02",
            "2026-03-04T09:00:02",
            "2026-03-07T09:00:02",
            "2026-03-07T09:00:02",
        ]
        assert attempts == [1, 2, 3, 4]
        assert told == ["mail-failed", "mail-failed", "mail-failed", "crm-on-hold"]
        assert (of.main.status, of.main.paused_for) == (EventStatus.PAUSED, PausedFor.EXHAUSTED)
        assert of.instance.status is InstanceStatus.PAUSED

    def test_a_resumed_charge_that_succeeds_leaves_the_plan_where_it_was(self) -> None:
        gym = example("gym-membership")
        of = life(gym, new("2026-02-24T18:45:10", **MEMBER), now="2026-02-24T18:30")
        of.run(of.event("send-welcome"), at("2026-02-24T18:50:10"))
        of.run(of.event("send-reminder"), at("2026-02-28T08:00"))
        of.run(
            of.main,
            at("2026-03-03T08:00:02"),
            ended(Ending.EXHAUSTED, at("2026-03-03T08:00:02"), pauses=True),
        )
        of.decide(Resume(by=ANN), at("2026-03-20"))
        of.run(of.main, at("2026-03-20"))
        assert of.open == [("send-reminder", "2026-03-31T07:00"), ("charge-fee", "2026-04-03T07:00")]


class TestWithoutRetries:
    """If no retry is configured, one failed call fails the event and cancels the instance."""

    def test_a_single_failure_cancels_the_instance(self) -> None:
        of = life(strategy_from(settings()), new("2026-01-31T10:00"), now="2026-01-01")
        of.claim(of.main, at("2026-01-31T10:00"))
        of.conclude(of.step(DECLINED, at("2026-01-31T10:00:01")), at("2026-01-31T10:00:01"))
        assert of.closed == [("charge", "FAILED")]
        assert (of.instance.status, of.instance.cancel_reason) == (InstanceStatus.CANCELED, "MAX_ATTEMPTS")


class TestResolutionCountsOnce:
    """An operator's resolution counts for its call, not for a later one."""

    def test_the_resolution_is_gone_after_the_run_has_ended(self) -> None:
        of = running()
        of.conclude(ended(Ending.IN_DOUBT, NOON), NOON)
        doubtful = changed(of.main, status=EventStatus.QUEUED, pause=None, resolution=Resolution.RETRY)
        of.instance = replace(of.instance.with_event(doubtful), status=InstanceStatus.ACTIVE)
        of.run(of.main, NOON + timedelta(hours=1), ended(Ending.RETRY, LATER))
        assert of.main.progress.resolution is None
