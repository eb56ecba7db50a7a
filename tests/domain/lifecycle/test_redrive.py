"""Redriving a failed event. Source: docs/contracts/core.md section 5 (``retry``); docs/decisions/0020."""

import pytest
from msgspec.structs import replace

from shared.domain.ids import call_key
from shared.domain.instance.event import EventKind, EventStatus, PausedFor, RedrivenFrom, Resolution
from shared.domain.instance.journal import EventHistory, EventRecord
from shared.domain.instance.model import InstanceStatus
from shared.domain.instance.replay import position
from shared.domain.instance.run import Ending, Intent, Outcome, RunEnd
from shared.domain.instance.verdict import AlreadyThere, Applied, Refused, Verdict
from shared.domain.lifecycle.commands import (
    AddEvent,
    Cancel,
    CancelEvent,
    Claim,
    Conclude,
    Execute,
    Pause,
    Redrive,
    Resolve,
    Resume,
    Wait,
)
from shared.domain.strategy.model import Json
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
LATER = at("2026-01-31T15:00")
THREE_STEPS: Json = [
    {"key": "call", "action": "post", "nextStep": "pay"},
    {"key": "pay", "action": "post", "nextStep": "tell"},
    {"key": "tell", "action": "post", "final": True},
]
GREET: Json = {"onCreateTasks": [{"task": "greet"}]}
PART: Json = {"onCancelTasks": [{"task": "part", "delayBy": {"unit": "days", "amount": 1}}]}


def run(of: Life, task: str, *outcomes: Outcome, now: str = "2026-01-31T12:00") -> RunEnd | None:
    """Claim the event of a task, execute its steps, and conclude its end if it has one."""
    of.claim(of.event(task), at(now))
    for outcome in outcomes:
        then = of.step(outcome, at(now))
        if isinstance(then, RunEnd):
            of.conclude(then, at(now))
            return then
    return None


def failed(*outcomes: Outcome, retry: Json = None, steps: Json = None) -> Life:
    """Return a life whose bill, and with it the instance, has failed."""
    of = life(strategy(steps=steps or THREE_STEPS, retry=retry, parts=PART))
    run(of, "bill", *(outcomes or (DONE, DECLINED)))
    return of


def greeted(how: Ending = Ending.EXHAUSTED) -> Life:
    """Return an active life whose greeting has failed."""
    of = life(strategy(parts=GREET, initial_delay={"unit": "days", "amount": 9}))
    of.claim(of.event("greet"), NOON)
    of.conclude(ended(how, NOON), NOON)
    return of


def refusal(verdict: Verdict) -> str:
    assert isinstance(verdict, Refused), verdict
    return verdict.why


class TestFailedEventOfAnActiveInstance:
    """ "The same event is open again, QUEUED, run + 1, attempt 1"."""

    def test_a_redriven_event_is_queued_and_due_now(self) -> None:
        of = greeted()
        verdict = of.redrive("greet", LATER)
        event = of.event("greet")
        assert isinstance(verdict, Applied)
        assert (event.seq, event.status, event.run, event.attempt) == (1, EventStatus.QUEUED, 2, 1)
        assert (event.due_at, event.times.scheduled_at, event.progress.first_action) == (LATER, LATER, None)
        assert (event.date, event.kind) == (at("2026-01-31"), EventKind.ON_CREATE)
        assert not event.after_cancellation

    def test_the_record_of_a_redriven_event_is_removed(self) -> None:
        of = greeted()
        record = of.record("greet")
        verdict = of.redrive("greet", LATER)
        assert isinstance(verdict, Applied)
        assert verdict.reopened == record
        assert verdict.records == ()

    def test_the_audit_entry_names_author_and_event(self) -> None:
        of = greeted()
        of.redrive("greet", LATER)
        entry = of.audit[-1]
        assert (entry.command, entry.by, entry.reason) == ("retry", "ann", "asked by phone")
        assert entry.event == of.instance.event_sid(of.event("greet"))
        assert (entry.from_state, entry.to_state) == ("ACTIVE", "ACTIVE")

    def test_a_redriven_event_runs_at_the_next_claim_and_closes_again(self) -> None:
        of = greeted()
        of.redrive("greet", LATER)
        run(of, "greet", DONE, now="2026-01-31T15:00")
        record = of.record("greet")
        assert (record.event.status, record.event.run) == (EventStatus.PROCESSED, 2)
        assert record.fence > 1

    def test_events_stay_in_the_order_of_their_numbers(self) -> None:
        of = greeted()
        of.redrive("greet", LATER)
        assert [event.seq for event in of.instance.events] == [1, 2]

    def test_a_doubt_of_the_failed_run_stays_marked(self) -> None:
        of = life(strategy(parts=GREET, initial_delay={"unit": "days", "amount": 9}))
        of.claim(of.event("greet"), NOON)
        of.decide(
            Conclude(seq=1, fence=1, end=ended(Ending.EXHAUSTED, NOON), in_doubt=True, known_visits=0), NOON
        )
        of.redrive("greet", LATER)
        assert of.event("greet").in_doubt

    def test_an_event_of_a_paused_instance_waits_for_the_resume(self) -> None:
        of = greeted()
        of.decide(Pause(by=ANN), NOON)
        assert isinstance(of.redrive("greet", LATER), Applied)
        assert isinstance(of.claim(of.event("greet"), LATER), AlreadyThere)
        of.decide(Resume(by=ANN), LATER)
        assert isinstance(of.claim(of.event("greet"), LATER), Applied)

    def test_a_redrive_without_room_is_refused(self) -> None:
        of = greeted()
        filler = [replace(of.main, seq=seq, kind=EventKind.ADDED) for seq in range(3, 32)]
        of.instance = replace(of.instance, events=(*of.instance.events, *filler), next_seq=32)
        verdict = of.redrive("greet", LATER)
        assert isinstance(verdict, Refused)
        assert verdict.rule == "room"

    def test_a_reminder_of_an_earlier_cycle_uses_room_outside_the_plan(self) -> None:
        of = life(strategy(reminded(days=0)))
        of.claim(of.event("remind"), at("2026-01-31T00:01"))
        of.conclude(ended(Ending.EXHAUSTED, NOON), NOON)
        of.run(of.main, NOON)
        filler = [replace(of.main, seq=seq, kind=EventKind.ADDED) for seq in range(10, 38)]
        of.instance = replace(of.instance, events=(*of.instance.events, *filler), next_seq=38)
        record = of.record("remind")
        event_history = replace(of.event_history(record.event.seq), record=record)
        assert isinstance(
            of.decide(Redrive(seq=record.event.seq, event_history=event_history, by=ANN), LATER), Applied
        )
        one_more = of.decide(AddEvent(task="greet", by=ANN), LATER)
        assert isinstance(one_more, Refused)
        assert one_more.rule == "room"

    def test_a_failed_main_event_of_a_continued_plan_is_refused(self) -> None:
        of = greeted()
        closed = replace(of.record("greet").event, kind=EventKind.MAIN)
        record = replace(of.record("greet"), event=closed)
        verdict = of.decide(Redrive(seq=1, event_history=EventHistory(record=record), by=ANN), LATER)
        assert refusal(verdict) == "the plan has continued without the event"


class TestFailedMainEvent:
    """ "A final instance stays final: the event runs alone, no cycle follows"."""

    def test_a_main_event_runs_although_its_instance_is_canceled(self) -> None:
        of = failed()
        of.redrive("bill", LATER)
        event = of.event("bill")
        assert (of.instance.status, event.after_cancellation) == (InstanceStatus.CANCELED, True)
        run(of, "bill", DONE, DONE, now="2026-01-31T15:00")
        assert of.record("bill").event.status is EventStatus.PROCESSED
        assert of.instance.status is InstanceStatus.CANCELED
        assert (of.instance.plan.cycle, of.instance.main_event) == (1, None)

    def test_a_redriven_event_is_retried_as_its_task_says(self) -> None:
        of = failed(retry=retries(1))
        run(of, "bill", DECLINED, now="2026-01-31T13:00")
        assert of.record("bill").event.run == 2
        of.redrive("bill", LATER)
        run(of, "bill", DECLINED, now="2026-01-31T15:00")
        event = of.event("bill")
        assert (event.status, event.attempt, event.run) == (EventStatus.PENDING, 2, 4)
        assert event.due_at == at("2026-01-31T16:00")

    def test_a_redriven_event_fails_again_without_attempts(self) -> None:
        of = failed()
        of.redrive("bill", LATER)
        run(of, "bill", DECLINED, now="2026-01-31T15:00")
        record = of.record("bill")
        assert (record.event.status, record.event.run) == (EventStatus.FAILED, 2)
        assert isinstance(of.redrive("bill", LATER), Applied)

    def test_canceling_a_redriven_event_plans_no_cycle(self) -> None:
        of = failed()
        of.redrive("bill", LATER)
        of.applied(CancelEvent(seq=1, by=ANN), LATER)
        assert of.record("bill").event.status is EventStatus.CANCELED
        assert [event.task for event in of.instance.events] == ["part"]

    def test_an_event_of_a_completed_instance_runs_too(self) -> None:
        of = life(
            strategy(parts=GREET, initial_delay={"unit": "days", "amount": 9}), new(end_date="2026-02-01")
        )
        of.claim(of.event("greet"), NOON)
        of.conclude(ended(Ending.EXHAUSTED, NOON), NOON)
        assert of.instance.status is InstanceStatus.COMPLETED
        of.redrive("greet", LATER)
        run(of, "greet", DONE, now="2026-01-31T15:00")
        assert of.instance.status is InstanceStatus.COMPLETED
        assert of.record("greet").event.status is EventStatus.PROCESSED


class TestReusedResults:
    """Successful steps are not executed again, unless the operator names a step."""

    def test_successes_are_passed(self) -> None:
        of = failed()
        of.redrive("bill", LATER)
        of.claim(of.event("bill"), LATER)
        then = position(of.event_history(1), of.running)
        assert isinstance(then, Intent)
        assert (then.step, then.passed) == ("pay", ("call",))

    def test_all_steps_from_the_named_one_are_executed_again(self) -> None:
        of = failed(DONE, DONE, DECLINED)
        of.redrive("bill", LATER, from_step="pay")
        event = of.event("bill")
        assert event.reuse.redriven_from == (RedrivenFrom(step="pay", run=2),)
        of.claim(event, LATER)
        then = position(of.event_history(1), of.running)
        assert isinstance(then, Intent)
        assert (then.step, then.passed) == ("pay", ("call",))
        assert of.step(DONE, LATER) == position(of.event_history(1), of.running)
        following = position(of.event_history(1), of.running)
        assert isinstance(following, Intent)
        assert following.step == "tell"

    def test_the_audit_entry_names_the_step(self) -> None:
        of = failed()
        of.redrive("bill", LATER, from_step="call")
        assert of.audit[-1].command == "retry from call"

    def test_a_second_redrive_from_the_same_step_executes_it_again(self) -> None:
        of = failed()
        of.redrive("bill", LATER, from_step="call")
        run(of, "bill", DECLINED, now="2026-01-31T15:00")
        of.redrive("bill", LATER, from_step="call")
        assert of.event("bill").reuse.redriven_from == (RedrivenFrom(step="call", run=3),)

    def test_a_redrive_without_a_step_reuses_results_of_the_last_one(self) -> None:
        of = failed(DONE, DONE, DECLINED)
        of.redrive("bill", LATER, from_step="pay")
        run(of, "bill", DONE, DECLINED, now="2026-01-31T15:00")
        of.redrive("bill", LATER)
        of.claim(of.event("bill"), LATER)
        then = position(of.event_history(1), of.running)
        assert isinstance(then, Intent)
        assert (then.step, then.passed) == ("tell", ("call", "pay"))

    def test_an_unknown_step_is_refused_as_input(self) -> None:
        of = failed()
        verdict = of.redrive("bill", LATER, from_step="none")
        assert isinstance(verdict, Refused)
        assert [(p.pointer, p.rule, p.message) for p in verdict.problems] == [
            ("/fromStep", "reference", "task 'bill' has no step 'none'")
        ]

    def test_a_step_that_the_last_run_did_not_reach_is_refused(self) -> None:
        of = failed()
        assert (
            refusal(of.redrive("bill", LATER, from_step="tell"))
            == "the last run of the event did not reach step 'tell'"
        )

    def test_a_passed_step_counts_as_reached(self) -> None:
        of = failed()
        of.redrive("bill", LATER)
        run(of, "bill", DECLINED, now="2026-01-31T15:00")
        assert isinstance(of.redrive("bill", LATER, from_step="call"), Applied)

    def test_the_step_in_the_record_counts_as_reached(self) -> None:
        of = life(strategy(steps=THREE_STEPS))
        of.claim(of.main, NOON)
        end = of.step(DECLINED, NOON)
        assert isinstance(end, RunEnd)
        (last,) = of.event_history(1).entries
        of.event_histories = {}
        of.decide(Conclude(seq=1, fence=1, end=end, in_doubt=False, known_visits=0, last=last), NOON)
        verdict = of.redrive("bill", LATER, from_step="call")
        assert isinstance(verdict, Applied)
        assert of.event_history(1).entries == (last,)


class TestCallKeys:
    """A call that may have reached its service keeps its key; a call with a definite answer gets a new one."""

    def key_of_the_next_call(self, of: Life) -> str:
        of.redrive("bill", LATER)
        of.claim(of.event("bill"), LATER)
        then = position(of.event_history(1), of.running)
        assert isinstance(then, Intent)
        return then.call_key

    def test_a_call_without_an_answer_keeps_its_key(self) -> None:
        of = failed(DONE, SILENT)
        assert self.key_of_the_next_call(of) == call_key(
            of.instance.event_sid(of.event("bill")), run=1, visit=2
        )

    def test_a_failed_call_gets_a_new_key(self) -> None:
        of = failed(DONE, DECLINED)
        assert self.key_of_the_next_call(of) == call_key(
            of.instance.event_sid(of.event("bill")), run=2, visit=1
        )

    def test_an_unanswered_call_keeps_its_key_from_an_earlier_step(self) -> None:
        of = failed(DONE, SILENT)
        of.redrive("bill", LATER, from_step="call")
        of.claim(of.event("bill"), LATER)
        of.step(DONE, LATER)
        then = position(of.event_history(1), of.running)
        assert isinstance(then, Intent)
        sid = of.instance.event_sid(of.running)
        assert (then.step, then.call_key, then.repeat) == ("pay", call_key(sid, run=1, visit=2), True)


class TestInterruptedRun:
    """ "A run cut off by crashes continues with its place and doubt, without `fromStep`"."""

    def given_up(self) -> Life:
        of = life(strategy(parts=GREET, initial_delay={"unit": "days", "amount": 9}))
        of.claim(of.event("greet"), NOON)
        for _ in range(5):
            assert of.instance.lease is not None
            of.claim(of.running, of.instance.lease.until)
        assert of.record("greet").event.status is EventStatus.FAILED
        return of

    def test_an_interrupted_run_keeps_its_number_place_and_doubt(self) -> None:
        of = self.given_up()
        of.redrive("greet", LATER)
        event = of.event("greet")
        assert (event.status, event.run, event.progress.crashes) == (EventStatus.QUEUED, 1, 0)
        assert (event.progress.call_in_doubt, event.in_doubt) == (True, True)
        of.claim(event, LATER)
        then = position(of.event_history(1), of.running)
        assert isinstance(then, Intent)
        assert then.call_key == call_key(of.instance.event_sid(of.running), run=1, visit=1)

    def test_an_interrupted_run_refuses_from_step(self) -> None:
        of = self.given_up()
        why = "the run was interrupted by crashes and continues: retry it without fromStep"
        assert refusal(of.redrive("greet", LATER, from_step="pay")) == why

    def test_a_paused_main_event_continues_with_its_instance(self) -> None:
        of = life()
        of.claim(of.main, NOON)
        for _ in range(5):
            assert of.instance.lease is not None
            of.claim(of.running, of.instance.lease.until)
        assert of.main.paused_for is PausedFor.POISONED
        assert refusal(of.redrive("bill", LATER, from_step="pay")) == (
            "the run was interrupted by crashes and continues: retry it without fromStep"
        )
        of.redrive("bill", LATER)
        assert (of.main.status, of.main.run, of.main.progress.call_in_doubt) == (EventStatus.QUEUED, 1, True)
        assert of.instance.status is InstanceStatus.ACTIVE


class TestOpenEvent:
    """If the event waits after a failure, it runs now; any other event is refused."""

    def exhausted(self) -> Life:
        of = life(strategy(steps=THREE_STEPS, retry=retries(0, pause=True)))
        run(of, "bill", DONE, DECLINED)
        assert of.main.paused_for is PausedFor.EXHAUSTED
        return of

    def test_an_exhausted_event_starts_a_new_run_and_its_instance_continues(self) -> None:
        of = self.exhausted()
        verdict = of.redrive("bill", LATER)
        assert isinstance(verdict, Applied)
        assert (of.main.status, of.main.run, of.main.attempt) == (EventStatus.QUEUED, 2, 1)
        assert of.main.reuse.side_results_from == 2
        assert of.instance.status is InstanceStatus.ACTIVE
        entry = of.audit[-1]
        assert (entry.command, entry.from_state, entry.to_state) == ("retry", "PAUSED", "ACTIVE")
        assert entry.event == of.instance.event_sid(of.main)

    def test_an_exhausted_event_can_start_from_a_step(self) -> None:
        of = self.exhausted()
        of.redrive("bill", LATER, from_step="call")
        assert of.main.reuse.redriven_from == (RedrivenFrom(step="call", run=2),)
        assert refusal(self.exhausted().redrive("bill", LATER, from_step="tell")).endswith(
            "did not reach step 'tell'"
        )

    def test_an_instance_paused_by_an_operator_stays_paused(self) -> None:
        of = life(strategy(steps=THREE_STEPS, retry=retries(0, pause=True)))
        of.claim(of.main, NOON)
        of.step(DONE, NOON)
        of.decide(Pause(by=ANN), NOON)
        of.conclude(of.step(DECLINED, NOON), NOON)
        assert of.main.paused_for is PausedFor.EXHAUSTED
        of.redrive("bill", LATER)
        assert (of.instance.status, of.main.status) == (InstanceStatus.PAUSED, EventStatus.QUEUED)

    def test_a_waiting_retry_runs_now_with_its_attempt(self) -> None:
        of = life(strategy(steps=THREE_STEPS, retry=retries(3)))
        run(of, "bill", DONE, DECLINED)
        of.redrive("bill", LATER, from_step="call")
        assert (of.main.status, of.main.run, of.main.attempt) == (EventStatus.QUEUED, 2, 2)
        assert (of.main.due_at, of.main.reuse.redriven_from) == (LATER, (RedrivenFrom(step="call", run=2),))

    def test_a_waiting_retry_refuses_a_step_it_never_reached(self) -> None:
        of = life(strategy(steps=THREE_STEPS, retry=retries(3)))
        run(of, "bill", DONE, DECLINED)
        assert refusal(of.redrive("bill", LATER, from_step="tell")).endswith("did not reach step 'tell'")

    @pytest.mark.parametrize("status", [EventStatus.QUEUED, EventStatus.EXECUTING])
    def test_a_queued_or_executing_event_is_already_there(self, status: EventStatus) -> None:
        of = failed()
        of.redrive("bill", LATER, from_step="call")
        if status is EventStatus.EXECUTING:
            of.claim(of.event("bill"), LATER)
        assert of.event("bill").status is status
        assert isinstance(of.redrive("bill", LATER), AlreadyThere)
        assert isinstance(of.redrive("bill", LATER, from_step="call"), AlreadyThere)
        assert refusal(of.redrive("bill", LATER, from_step="pay")) == "the event is already queued or running"

    def test_an_event_that_has_not_begun_is_refused(self) -> None:
        assert refusal(life().redrive("bill", LATER)) == "the event has not failed"

    def test_an_onhold_event_is_refused(self) -> None:
        assert (
            refusal(life(strategy(manualTrigger=True)).redrive("bill", LATER)) == "the event has not failed"
        )

    def test_an_event_that_waits_for_a_delay_is_refused(self) -> None:
        slow: Json = [
            {"key": "call", "action": "post", "nextStep": "pay"},
            {"key": "pay", "action": "post", "delay": {"unit": "hours", "amount": 5}},
        ]
        of = life(strategy(steps=slow, retry=retries(1)))
        of.claim(of.main, NOON)
        then = of.step(DONE, NOON)
        assert isinstance(then, Intent)
        of.decide(Wait(seq=1, fence=1, until=then.not_before, known_visits=1), NOON)
        assert of.main.status is EventStatus.PENDING
        assert refusal(of.redrive("bill", LATER)) == "the event has not failed"

    def test_a_call_in_doubt_must_be_resolved_first(self) -> None:
        of = life()
        of.claim(of.main, NOON)
        of.conclude(ended(Ending.IN_DOUBT, NOON), NOON)
        assert refusal(of.redrive("bill", LATER)) == "the event has a call in doubt: resolve it first"
        assert isinstance(of.decide(Resolve(seq=1, resolution=Resolution.FAIL, by=ANN), LATER), Applied)

    def test_an_event_paused_by_an_operator_is_refused(self) -> None:
        of = life(strategy(steps=THREE_STEPS))
        of.claim(of.main, NOON)
        of.decide(Pause(by=ANN, kill=True), NOON)
        assert of.main.paused_for is PausedFor.OPERATOR
        assert refusal(of.redrive("bill", LATER)) == "the event continues when its instance is resumed"


class TestNotRedriven:
    """No command leaves PROCESSED or CANCELED."""

    def test_a_processed_event_is_refused(self) -> None:
        of = life()
        of.run(of.main, NOON)
        record = of.records[0]
        verdict = of.decide(Redrive(seq=1, event_history=EventHistory(record=record), by=ANN), LATER)
        assert isinstance(verdict, Refused)
        assert (verdict.why, verdict.rule) == ("the event is PROCESSED", "finished")

    def test_a_canceled_event_is_refused(self) -> None:
        of = life()
        of.decide(Cancel(by=ANN), NOON)
        assert refusal(of.redrive("bill", LATER)) == "the event is CANCELED"

    def test_an_unknown_event_is_refused(self) -> None:
        assert (
            refusal(life().decide(Redrive(seq=9, event_history=EventHistory(), by=ANN), LATER))
            == "there is no such event"
        )


class TestAStaleRecord:
    """ "A record counts only if its fence is the instance's"."""

    def test_a_stale_record_does_not_end_the_new_run(self) -> None:
        of = failed()
        stale: EventRecord = of.record("bill")
        of.redrive("bill", LATER)
        of.claim(of.event("bill"), LATER)
        of.put_record(stale)
        assert of.instance.lease is not None
        of.claim(of.running, of.instance.lease.until)
        assert (of.running.status, of.running.run) == (EventStatus.EXECUTING, 2)
        assert stale.fence < of.instance.fence

    def test_the_new_record_replaces_the_old_one(self) -> None:
        of = failed()
        stale = of.record("bill")
        of.redrive("bill", LATER)
        of.run(of.event("bill"), LATER, succeeded())
        assert of.record("bill").fence > stale.fence

    def test_a_stale_record_does_not_count_before_the_next_claim(self) -> None:
        of = failed()
        stale = of.record("bill")
        of.redrive("bill", LATER)
        of.decide(CancelEvent(seq=1, by=ANN), LATER)
        assert of.record("bill").fence >= stale.fence

    def test_an_execute_of_the_redriven_event_finds_it_queued(self) -> None:
        of = failed()
        of.redrive("bill", LATER)
        assert isinstance(of.decide(Execute(seq=1, by=ANN), LATER), AlreadyThere)
        claim = Claim(seq=1, event_history=of.event_history(1), token="t", job="j")
        assert isinstance(of.decide(claim, LATER), Applied)
