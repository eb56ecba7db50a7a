"""Taking over the event of a crashed runner. Source: docs/design.md sections 3.5, 3.6, 3.7 and 3.9."""

from datetime import timedelta
from typing import ClassVar

import pytest
from msgspec.structs import replace

from shared.domain.instance.due import Due, next_action
from shared.domain.instance.event import EventStatus, PausedFor, Resolution
from shared.domain.instance.journal import EventHistory
from shared.domain.instance.model import BlockedBy, InstanceStatus, Lease
from shared.domain.instance.run import Ending, Intent, Outcome, RunEnd
from shared.domain.instance.verdict import AlreadyThere, Applied
from shared.domain.lifecycle.commands import (
    Block,
    Cancel,
    Claim,
    Command,
    Conclude,
    Execute,
    Fence,
    GiveBack,
    Pause,
    RecordSweep,
    Renew,
    Resolve,
    Resume,
    Update,
    Wait,
)
from shared.domain.strategy.model import Json
from tests.factories import changed, stop_of
from tests.lifecycle_factories import (
    ANN,
    DECLINED,
    DONE,
    SILENT,
    Life,
    at,
    ended,
    life,
    new,
    reminded,
    retries,
    strategy,
    succeeded,
)

NOON = at("2026-01-31T12:00")
LATER = at("2026-01-31T13:00")
LAPSED = at("2026-01-31T12:02")
LEASE_END = at("2026-01-31T12:01:20")
TWO_STEPS: Json = [
    {"key": "call", "action": "post", "nextStep": "next"},
    {"key": "next", "action": "post"},
]
PART: Json = {"onCancelTasks": [{"task": "part"}]}


def claimed(of: Life) -> Life:
    of.claim(of.main, NOON)
    assert of.instance.executing is not None
    return of


class TestFencing:
    """A runner whose lease has expired is shut out before the history is read. It may still run by its own clock."""

    def fenced(self) -> Life:
        of = claimed(life())
        of.applied(Fence(seq=1), LEASE_END)
        return of

    def test_only_the_fence_moves(self) -> None:
        of = claimed(life())
        before = of.instance
        verdict = of.applied(Fence(seq=1), LEASE_END)
        assert of.instance == replace(before, fence=2, rev=before.rev + 1, updated_at=LEASE_END)
        assert (verdict.records, verdict.audit) == ((), None)
        assert next_action(of.instance, LEASE_END) == Due(event=of.running, abandoned=before.lease)

    def test_the_earlier_runner_can_store_nothing(self) -> None:
        of = self.fenced()
        there = AlreadyThere(instance=of.instance)
        late: list[Command] = [
            Renew(seq=1, fence=1, until=LATER),
            Wait(seq=1, fence=1, until=None, known_visits=0),
            Conclude(seq=1, fence=1, end=succeeded(), in_doubt=False, known_visits=0),
        ]
        assert [of.decide(command, LEASE_END) for command in late] == [there] * 3

    def test_it_is_fenced_once(self) -> None:
        of = self.fenced()
        assert of.decide(Fence(seq=1), LATER) == AlreadyThere(instance=of.instance)

    def test_a_claim_without_it_changes_nothing(self) -> None:
        of = claimed(life())
        claim = Claim(seq=1, event_history=EventHistory(), token="t", job="job-2")
        assert of.decide(claim, LEASE_END) == AlreadyThere(instance=of.instance)
        of.decide(Fence(seq=1), LEASE_END)
        assert isinstance(of.decide(claim, LEASE_END), Applied)

    def test_the_lease_still_says_whether_the_runner_crashed(self) -> None:
        of = self.fenced()
        of.claim(of.running, LATER)
        assert (of.running.progress.crashes, of.running.progress.in_doubt_since) == (0, LEASE_END)
        of = self.fenced()
        of.claim(of.running, LAPSED)
        assert of.running.progress.crashes == 1

    def test_the_back_off_of_the_sweeper_stays(self) -> None:
        of = claimed(life())
        of.decide(RecordSweep(), LATER)
        swept = of.instance.sweep
        assert swept.attempts == 1
        of.applied(Fence(seq=1), LATER)
        assert of.instance.sweep == swept

    @pytest.mark.parametrize("seq", [0, 2])
    def test_another_event_is_not_fenced(self, seq: int) -> None:
        of = claimed(life())
        assert of.decide(Fence(seq=seq), LEASE_END) == AlreadyThere(instance=of.instance)

    def test_a_live_lease_is_not_fenced(self) -> None:
        of = claimed(life())
        assert of.decide(Fence(seq=1), LEASE_END - timedelta(seconds=1)) == AlreadyThere(instance=of.instance)

    def test_an_event_without_a_claim_is_not_fenced(self) -> None:
        of = life()
        assert of.decide(Fence(seq=1), NOON) == AlreadyThere(instance=of.instance)

    def test_a_claim_that_was_given_back_is_fenced_when_its_back_off_ends(self) -> None:
        """A record that its runner has sent may still arrive."""
        of = claimed(life())
        of.applied(GiveBack(seq=1, fence=1, token="t0k3n", known_visits=0, sent_visit=None), NOON)
        assert of.decide(Fence(seq=1), NOON) == AlreadyThere(instance=of.instance)
        of.decide(Cancel(by=ANN), NOON)
        of.claim(of.running, LATER)
        assert (of.record("bill").fence, of.instance.events) == (2, ())

    def test_no_claim_has_the_moved_fence(self) -> None:
        of = self.fenced()
        there = AlreadyThere(instance=of.instance)
        assert of.decide(Renew(seq=1, fence=2, until=LATER), LEASE_END) == there
        assert of.decide(Wait(seq=1, fence=2, until=None, known_visits=0), LEASE_END) == there

    def test_a_block_behind_the_lease_stays_also_after_a_sweep(self) -> None:
        of = life()
        before = of.main
        of.claim(of.main, NOON)
        of.decide(Block(before=before, fence=1, blocked_by=BlockedBy.STRATEGY), NOON)
        of.claim(of.main, NOON)
        since = of.instance.blocked
        assert since is not None
        of.applied(RecordSweep(), LATER)
        of.applied(Fence(seq=1), LATER)
        assert of.instance.blocked == since


class TestTakingOver:
    """A claim after an expired lease continues at the step of the crashed runner, under a higher fence."""

    def test_the_fence_rises_and_the_times_stay(self) -> None:
        of = claimed(life())
        of.claim(of.running, LATER)
        assert (of.running.claim.fence, of.instance.fence) == (3, 3)
        assert (of.running.times.scheduled_at, of.running.times.executed_at, of.running.run) == (
            NOON,
            NOON,
            1,
        )

    def test_a_call_that_may_have_been_sent_is_in_doubt(self) -> None:
        of = claimed(life())
        of.claim(of.running, LATER)
        assert (of.running.progress.call_in_doubt, of.running.in_doubt) == (True, True)

    def test_a_step_without_a_call_is_not_in_doubt(self) -> None:
        of = claimed(life(strategy(steps=[{"key": "call", "controllerCallback": "{}"}])))
        of.claim(of.running, LATER)
        assert (of.running.progress.call_in_doubt, of.running.in_doubt) == (False, False)

    def test_a_step_with_an_unfinished_delay_is_not_in_doubt(self) -> None:
        of = claimed(
            life(strategy(steps=[{"key": "call", "action": "post", "delay": {"unit": "days", "amount": 1}}]))
        )
        of.claim(of.running, LATER)
        assert (of.running.progress.call_in_doubt, of.running.in_doubt) == (False, False)

    def test_a_run_that_had_ended_has_no_call_in_doubt(self) -> None:
        of = claimed(life(strategy(retry=retries())))
        assert isinstance(of.step(DECLINED, NOON), RunEnd)
        of.claim(of.running, LATER)
        assert (of.running.progress.call_in_doubt, of.running.in_doubt) == (False, False)

    def test_progress_ends_the_doubt_about_the_step_before(self) -> None:
        steps = [
            {"key": "call", "action": "post", "nextStep": "next"},
            {"key": "next", "controllerCallback": "{}"},
        ]
        of = claimed(life(strategy(steps=steps)))
        of.claim(of.running, LATER)
        of.step(DONE, LATER)
        of.claim(of.running, at("2026-01-31T14:00"))
        assert (of.running.progress.call_in_doubt, of.running.in_doubt) == (False, True)

    def test_progress_ends_the_operators_resolution_too(self) -> None:
        of = claimed(life(strategy(steps=TWO_STEPS)))
        of.conclude(ended(Ending.IN_DOUBT, NOON), NOON)
        of.decide(Resolve(seq=1, resolution=Resolution.SKIP, by=ANN), NOON)
        of.claim(of.main, NOON)
        assert of.running.progress.resolution is Resolution.SKIP
        of.step(DONE, NOON)
        of.claim(of.running, LATER)
        assert of.running.progress.resolution is None

    @pytest.mark.parametrize(
        ("method", "marks"),
        [("post", True), ("patch", True), ("get", False), ("put", False), ("delete", False)],
    )
    def test_only_a_post_or_patch_marks_the_event(self, method: str, marks: bool) -> None:  # noqa: FBT001 - a parameter of the test
        of = claimed(life(strategy(method={"method": method})))
        of.claim(of.running, LATER)
        assert (of.running.progress.call_in_doubt, of.running.in_doubt) == (True, marks)

    @pytest.mark.parametrize(("method", "marks"), [("post", True), ("get", False)])
    def test_only_a_post_or_patch_without_an_answer_marks_the_event(self, method: str, marks: bool) -> None:  # noqa: FBT001 - a parameter of the test
        steps = [
            {"key": "call", "action": "post", "optional": True, "nextStep": "next"},
            {"key": "next", "controllerCallback": "{}"},
        ]
        of = claimed(life(strategy(steps=steps, method={"method": method})))
        of.step(SILENT, NOON)
        of.claim(of.running, LATER)
        assert of.running.in_doubt is marks

    def test_an_unanswered_call_of_an_earlier_runner_stays_in_doubt(self) -> None:
        steps = [
            {"key": "call", "action": "post", "optional": True, "nextStep": "next"},
            {"key": "next", "controllerCallback": "{}"},
        ]
        of = claimed(life(strategy(steps=steps)))
        of.step(SILENT, NOON)
        of.claim(of.running, LATER)
        assert (of.running.progress.call_in_doubt, of.running.in_doubt) == (False, True)


class TestSinceWhenACallIsInDoubt:
    """The first sending was over at the end of its lease at the latest. ``MAX_DOUBT_AGE`` counts from then."""

    LATE = at("2026-04-01T12:02")

    def test_a_takeover_notes_the_end_of_the_lease(self) -> None:
        of = claimed(life())
        of.claim(of.running, self.LATE)
        assert (of.running.progress.call_in_doubt, of.running.progress.in_doubt_since) == (True, LEASE_END)

    def test_a_later_crash_does_not_make_the_doubt_younger(self) -> None:
        of = claimed(life())
        of.claim(of.running, LATER)
        of.claim(of.running, self.LATE)
        assert of.running.progress.in_doubt_since == LEASE_END

    def test_a_pause_does_not_make_the_doubt_younger(self) -> None:
        of = claimed(life())
        of.decide(Pause(by=ANN), NOON)
        of.claim(of.running, LATER)
        assert (of.main.paused_for, of.main.progress.in_doubt_since) == (PausedFor.OPERATOR, LEASE_END)
        of.decide(Resume(by=ANN), self.LATE)
        of.claim(of.main, self.LATE)
        assert of.running.progress.in_doubt_since == LEASE_END

    def test_a_decision_to_repeat_counts_from_its_own_instant(self) -> None:
        of = claimed(life(strategy(method={"inDoubt": "pause"})))
        of.conclude(ended(Ending.IN_DOUBT, NOON), NOON)
        assert of.main.progress.in_doubt_since == NOON
        of.decide(Resolve(seq=1, resolution=Resolution.RETRY, by=ANN), LATER)
        of.claim(of.main, LATER)
        of.claim(of.running, self.LATE)
        assert (of.running.progress.resolution, of.running.progress.in_doubt_since) == (
            Resolution.RETRY,
            LATER,
        )

    def test_a_kill_notes_its_own_instant(self) -> None:
        of = claimed(life())
        of.decide(Pause(by=ANN, kill=True), LATER)
        assert of.main.progress.in_doubt_since == LATER

    def test_the_next_step_has_no_doubt(self) -> None:
        of = claimed(life(strategy(steps=TWO_STEPS)))
        of.claim(of.running, LATER)
        of.step(DONE, LATER)
        of.decide(Wait(seq=1, fence=of.instance.fence, until=None, known_visits=1), LATER)
        assert of.main.progress.in_doubt_since is None

    def test_a_step_that_was_not_begun_has_no_doubt(self) -> None:
        steps: Json = [{"key": "call", "action": "post", "delay": {"unit": "days", "amount": 90}}]
        of = claimed(life(strategy(steps=steps)))
        of.claim(of.running, self.LATE)
        assert (of.running.progress.call_in_doubt, of.running.progress.in_doubt_since) == (False, None)


class TestAHistoryThatHasBecomeShorter:
    """A late runner has replaced an entry, so those after it no longer follow. Their calls have been sent."""

    def shortened(self, steps: Json = TWO_STEPS) -> Life:
        """The second runner knows the first step, and pauses; then a late write hides that step."""
        of = claimed(life(strategy(steps=steps)))
        of.step(DONE, NOON)
        of.decide(Pause(by=ANN), NOON)
        of.claim(of.running, LATER)
        assert (of.main.status, of.main.progress.known_visits) == (EventStatus.PAUSED, 1)
        of.decide(Resume(by=ANN), LATER)
        of.event_histories[1] = EventHistory()
        return of

    def without_doubt(self, of: Life) -> None:
        """Drop the doubt about the step that was next: it could have had a delay."""
        progress = replace(of.main.progress, call_in_doubt=False, in_doubt_since=None)
        of.instance = of.instance.with_event(replace(of.main, progress=progress))

    def test_its_call_is_in_doubt(self) -> None:
        of = self.shortened()
        self.without_doubt(of)
        of.claim(of.main, LATER)
        assert (of.running.progress.call_in_doubt, of.running.progress.in_doubt_since) == (True, LATER)
        assert of.running.progress.known_visits == 0

    def test_a_step_without_a_call_is_not_in_doubt(self) -> None:
        steps: Json = [
            {"key": "call", "controllerCallback": "{}", "nextStep": "next"},
            {"key": "next", "action": "post"},
        ]
        of = self.shortened(steps)
        self.without_doubt(of)
        of.claim(of.main, LATER)
        assert not of.running.progress.call_in_doubt

    def test_a_complete_history_is_not_in_doubt(self) -> None:
        of = claimed(life(strategy(steps=TWO_STEPS)))
        of.step(DONE, NOON)
        of.decide(Wait(seq=1, fence=1, until=None, known_visits=1), NOON)
        of.claim(of.main, LATER)
        assert (of.running.progress.known_visits, of.running.progress.call_in_doubt) == (1, False)


class TestDirectivesLeftBehind:
    """ "A takeover applies the crashed runner's directives in the write of its claim", also if the event stops."""

    def crashed(self, *, paused: bool = False, **ordered: Json) -> Life:
        of = claimed(life(strategy(steps=TWO_STEPS)))
        of.step(Outcome(success=True, directives=ordered), NOON)
        if paused:
            of.decide(Pause(by=ANN), NOON)
        of.claim(of.running, LATER)
        return of

    def test_directives_are_applied_before_the_event_continues(self) -> None:
        of = self.crashed(attributes={"paid": 1})
        assert of.instance.attributes["paid"] == 1
        assert (of.instance.fence, of.running.applied, of.running.progress.crashes) == (3, (1, 1), 0)
        assert of.instance.lease is not None
        assert of.instance.lease.until > LATER
        assert of.audit == []

    def test_directives_are_applied_before_the_event_is_released(self) -> None:
        of = self.crashed(paused=True, attributes={"paid": 1})
        assert of.instance.attributes["paid"] == 1
        assert (of.main.status, of.main.paused_for) == (EventStatus.PAUSED, PausedFor.OPERATOR)
        assert of.main.applied == (1, 1)

    def test_an_event_that_paused_its_instance_is_paused(self) -> None:
        of = self.crashed(pauseInstance="look here")
        assert (of.instance.status, of.instance.stop_note) == (InstanceStatus.PAUSED, "look here")
        assert (of.main.status, of.main.paused_for) == (EventStatus.PAUSED, PausedFor.OPERATOR)
        assert of.instance.fence == 2
        assert [(entry.by, entry.command) for entry in of.audit] == [("controller", "directives")]

    @pytest.mark.parametrize("paused", [False, True])
    def test_an_event_that_canceled_its_instance_continues(self, *, paused: bool) -> None:
        of = self.crashed(paused=paused, cancelInstance="enough")
        assert (of.instance.status, of.instance.stop_note) == (InstanceStatus.CANCELED, "enough")
        assert (of.running.after_cancellation, of.instance.fence) == (True, 3)
        assert of.instance.lease is not None
        assert of.instance.lease.until > LATER
        entry = of.audit[-1]
        assert (entry.by, entry.command, entry.reason) == ("controller", "directives", "enough")

    def test_directives_left_behind_are_applied_once(self) -> None:
        of = self.crashed(attributes={"paid": 1})
        of.decide(Update(by=ANN, attributes={"paid": 5}), LATER)
        of.claim(of.running, at("2026-01-31T14:00"))
        assert of.instance.attributes["paid"] == 5


def crash(of: Life, times: int) -> None:
    for _ in range(times):
        of.claim(of.running, (of.instance.lease or Lease(seq=1, until=NOON)).until)


class TestCrashes:
    """ "A claim that takes over a lapsed lease without progress adds one." At five the event is given up."""

    def test_every_crash_without_progress_counts(self) -> None:
        of = claimed(life())
        crash(of, 4)
        assert (of.running.progress.crashes, of.running.attempt, of.running.run) == (4, 1, 1)

    def test_progress_resets_the_count(self) -> None:
        of = claimed(life(strategy(steps=TWO_STEPS)))
        crash(of, 4)
        of.step(DONE, NOON)
        crash(of, 1)
        assert of.running.progress.crashes == 1

    def test_the_fifth_crash_pauses_a_main_event_with_its_instance(self) -> None:
        of = claimed(life())
        crash(of, 5)
        assert (of.main.status, of.main.paused_for) == (EventStatus.PAUSED, PausedFor.POISONED)
        assert (of.main.progress.call_in_doubt, of.main.in_doubt) == (True, True)
        assert of.instance.status is InstanceStatus.PAUSED
        assert (of.instance.lease, of.instance.fence) == (None, 10)
        assert stop_of(of.instance).drained_at == stop_of(of.instance).at == at("2026-01-31T12:06:40")
        assert (stop_of(of.instance).by, stop_of(of.instance).for_event) == ("engine", 1)
        assert of.instance.stop_note == "bill: the runner crashed 5 times without progress"

    def test_the_pause_after_five_crashes_is_audited(self) -> None:
        of = claimed(life())
        crash(of, 5)
        (entry,) = of.audit
        assert (entry.by, entry.command) == ("engine", "claim")
        assert (entry.from_state, entry.to_state) == (InstanceStatus.ACTIVE, InstanceStatus.PAUSED)
        assert entry.reason == "bill: the runner crashed 5 times without progress"

    def test_a_resume_tries_the_event_again(self) -> None:
        of = claimed(life())
        crash(of, 5)
        of.decide(Resume(by=ANN), LATER)
        of.claim(of.main, LATER)
        assert (of.running.progress.crashes, of.running.run, of.running.progress.call_in_doubt) == (
            0,
            1,
            True,
        )

    def test_a_reminder_fails_at_the_fifth_crash(self) -> None:
        of = life(strategy(reminded(days=0)))
        of.claim(of.event("remind"), at("2026-01-31T00:01"))
        crash(of, 5)
        record = of.record("remind")
        assert record.event.status is EventStatus.FAILED
        assert record.why == "the runner crashed 5 times without progress"
        assert record.in_doubt
        assert of.instance.status is InstanceStatus.ACTIVE

    def test_the_last_dated_event_of_an_ended_plan_completes_the_instance(self) -> None:
        greet = {"onCreateTasks": [{"task": "greet"}]}
        of = life(
            strategy(parts=greet, initial_delay={"unit": "days", "amount": 9}), new(end_date="2026-02-01")
        )
        of.claim(of.event("greet"), NOON)
        crash(of, 5)
        assert of.instance.status is InstanceStatus.COMPLETED
        assert of.audit[-1].to_state == InstanceStatus.COMPLETED

    def test_an_event_of_a_final_instance_fails_at_the_fifth_crash(self) -> None:
        of = life(strategy(parts=PART))
        of.decide(Cancel(by=ANN), NOON)
        of.claim(of.event("part"), NOON)
        crash(of, 5)
        assert of.record("part").event.status is EventStatus.FAILED
        assert of.instance.events == ()
        assert (of.instance.status, stop_of(of.instance).drained_at) == (InstanceStatus.CANCELED, NOON)


class TestRepair:
    """A crash between the record and the write of the instance is repaired by the next claim."""

    def crashed_after_the_record(self) -> tuple[Life, Life]:
        """Return a life whose runner crashed there, and a life without a crash."""
        crashed, whole = claimed(life()), claimed(life())
        whole.conclude(succeeded(), NOON)
        crashed.put_record(whole.record("bill"))
        return crashed, whole

    def test_the_instance_is_advanced_as_the_record_says(self) -> None:
        crashed, whole = self.crashed_after_the_record()
        crashed.claim(crashed.running, LATER)
        assert crashed.open == whole.open == [("bill", "2026-02-28T00:00")]
        assert crashed.instance.lease is None
        assert crashed.instance.fence == 2

    def test_the_record_is_not_written_again(self) -> None:
        crashed, _ = self.crashed_after_the_record()
        verdict = crashed.claim(crashed.running, LATER)
        assert isinstance(verdict, Applied)
        assert verdict.records == ()

    def test_other_events_that_close_get_their_records(self) -> None:
        of = life(strategy(reminded(days=0), manualTrigger=True))
        of.decide(Execute(seq=of.main.seq, by=ANN), NOON)
        claimed(of)
        twin = Life(strategy=of.strategy, instance=of.instance)
        twin.conclude(succeeded(), NOON)
        of.put_record(twin.record("bill"))
        verdict = of.claim(of.running, LATER)
        assert isinstance(verdict, Applied)
        assert [record.event.task for record in verdict.records] == ["remind"]

    def test_a_record_of_another_fence_does_not_count(self) -> None:
        crashed, whole = self.crashed_after_the_record()
        crashed.put_record(replace(whole.record("bill"), fence=0))
        crashed.claim(crashed.running, LATER)
        assert crashed.running.status is EventStatus.EXECUTING

    def test_a_record_without_a_run_end_does_not_count(self) -> None:
        crashed, whole = self.crashed_after_the_record()
        crashed.put_record(replace(whole.record("bill"), end=None))
        crashed.claim(crashed.running, LATER)
        assert crashed.running.status is EventStatus.EXECUTING


class TestCrashedRunnerOfAStoppedInstance:
    """The event of a stopped instance is paused or closed, and the fence moves."""

    def test_an_event_of_a_paused_instance_keeps_its_progress_and_doubt(self) -> None:
        of = claimed(life(strategy(steps=TWO_STEPS)))
        of.step(DONE, NOON)
        of.decide(Pause(by=ANN), NOON)
        assert of.instance.is_draining
        of.claim(of.running, LATER)
        assert (of.main.status, of.main.paused_for) == (EventStatus.PAUSED, PausedFor.OPERATOR)
        assert (of.main.progress.call_in_doubt, of.main.in_doubt, of.main.progress.known_visits) == (
            True,
            True,
            1,
        )
        assert (of.instance.lease, of.instance.fence) == (None, 2)
        assert not of.instance.is_draining

    def test_an_event_of_a_canceled_instance_closes(self) -> None:
        of = claimed(life())
        of.decide(Cancel(by=ANN), NOON)
        of.claim(of.running, LATER)
        record = of.record("bill")
        assert (record.event.status, record.why) == (EventStatus.CANCELED, "instance CANCELED")
        assert record.in_doubt
        assert (of.instance.events, of.instance.fence, stop_of(of.instance).drained_at) == ((), 2, LATER)

    def test_an_on_cancel_event_continues(self) -> None:
        of = life(strategy(parts=PART))
        of.decide(Cancel(by=ANN), NOON)
        of.claim(of.event("part"), NOON)
        of.claim(of.event("part"), LATER)
        assert of.running.task == "part"
        assert of.instance.fence == 3


class TestSkippedDelay:
    """A step whose delay was skipped may have been called, so it is in doubt and does not wait again."""

    SLOW: ClassVar[Json] = [{"key": "call", "action": "post", "delay": {"unit": "hours", "amount": 5}}]

    def delayed(self) -> Life:
        """Return a life whose event waits for the delay of its first step."""
        of = claimed(life(strategy(steps=self.SLOW)))
        then = of.running.progress.first_action
        assert isinstance(then, Intent)
        of.decide(Wait(seq=1, fence=1, until=then.not_before, known_visits=0), NOON)
        return of

    def test_the_call_of_a_skipped_delay_may_have_been_sent(self) -> None:
        of = self.delayed()
        of.applied(Execute(seq=1, by=ANN), NOON)
        of.claim(of.main, NOON)
        of.claim(of.running, LAPSED)
        assert (
            of.running.progress.delay_skipped,
            of.running.progress.call_in_doubt,
            of.running.progress.crashes,
        ) == (True, True, 1)

    def test_a_step_that_still_waited_has_sent_nothing(self) -> None:
        of = self.delayed()
        of.applied(Execute(seq=1, by=ANN), NOON)
        of.instance = replace(of.instance, events=(changed(of.main, delay_skipped=False),))
        of.claim(of.main, NOON)
        of.claim(of.running, LAPSED)
        assert (of.running.progress.call_in_doubt, of.running.progress.crashes) == (False, 1)
