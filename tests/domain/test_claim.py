"""Taking an instance to run what is due. Source: design section 3, items 3, 5, 6, 7 and 9."""

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.claim import lease_until
from shared.domain.commands import (
    Cancel,
    Claim,
    Execute,
    Pause,
    Release,
    Renew,
    Resolve,
    Resume,
    Unpark,
    Wait,
)
from shared.domain.decision import AlreadyThere, Applied
from shared.domain.event import EventStatus, PausedFor, Resolution
from shared.domain.instance import HeldBy, InstanceStatus, Lease
from shared.domain.journal import Trail
from shared.domain.run import Ending, Intent, RunEnd
from shared.domain.strategy import Json
from tests.lifecycle_factories import (
    ANN,
    DECLINED,
    DONE,
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
    succeeded,
)

NOON = at("2026-01-31T12:00")
LATER = at("2026-01-31T13:00")
TWO_STEPS: Json = [
    {"key": "call", "action": "post", "nextStep": "next"},
    {"key": "next", "action": "post"},
]
PART: Json = {"onCancelTasks": [{"task": "part"}]}


def claimed(of: Life) -> Life:
    of.claim(of.main, NOON)
    assert of.instance.executing is not None
    return of


class TestClaiming:
    """A claim makes the due event EXECUTING under a new fence and a lease."""

    def test_the_fence_rises_and_the_lease_names_the_event(self) -> None:
        of = claimed(life())
        assert of.instance.fence == 1
        assert of.instance.lease == Lease(seq=1, until=at("2026-01-31T12:01:20"))
        assert of.running.status is EventStatus.EXECUTING
        assert of.running.job == "job-1"

    def test_scheduled_and_executed_are_stamped_together(self) -> None:
        of = claimed(life())
        assert (of.running.scheduled_at, of.running.executed_at, of.running.begun_at) == (NOON, NOON, NOON)

    def test_what_was_queued_keeps_the_moment_it_was_put_there(self) -> None:
        of = life()
        of.decide(Execute(seq=1, by=ANN), at("2026-01-31T11:00"))
        claimed(of)
        assert (of.running.scheduled_at, of.running.executed_at) == (at("2026-01-31T11:00"), NOON)

    def test_a_retry_is_stamped_anew_but_has_begun_long_ago(self) -> None:
        of = life()
        of.run(of.main, NOON, ended(Ending.RETRY, NOON))
        of.claim(of.main, LATER)
        assert (of.running.scheduled_at, of.running.executed_at, of.running.begun_at) == (LATER, LATER, NOON)

    def test_a_run_that_goes_on_keeps_its_stamps(self) -> None:
        of = claimed(life())
        of.decide(Wait(seq=1, fence=1, until=LATER, known_visits=0), NOON)
        of.claim(of.main, LATER)
        assert (of.running.scheduled_at, of.running.executed_at) == (NOON, NOON)

    def test_the_event_is_bound_to_the_version_it_is_first_claimed_under(self) -> None:
        of = life(strategy(version=7))
        of.run(of.main, NOON, ended(Ending.RETRY, NOON))
        of.strategy = strategy(version=8)
        of.claim(of.main, LATER)
        assert of.running.version == 7

    def test_it_sets_out_at_the_first_step_under_a_key_of_its_own(self) -> None:
        of = claimed(life())
        outset = of.running.outset
        assert isinstance(outset, Intent)
        assert (outset.step, outset.visit, outset.call_key) == ("call", 1, "i-1-1-1-1")
        assert outset.correlation_id == "i-1-1.t0k3n"

    def test_nothing_is_claimed_that_is_not_due_or_not_next(self) -> None:
        of = life(strategy(reminded(), initial_delay={"unit": "days", "amount": 7}))
        assert of.claim(of.main, NOON) == AlreadyThere(instance=of.instance)
        assert of.claim(of.main, at("2026-02-05")) == AlreadyThere(instance=of.instance)

    def test_nothing_is_claimed_while_another_runner_holds_the_lease(self) -> None:
        of = claimed(life())
        assert of.claim(of.running, at("2026-01-31T12:01:19")) == AlreadyThere(instance=of.instance)


def lease_of(*, method: Json = None, service: Json = None, steps: Json = None, delay: int = 0) -> timedelta:
    """How long a fresh claim's lease is."""
    of = claimed(life(strategy(method=method, service=service, steps=steps, requestDelayTime=delay)))
    assert of.instance.lease is not None
    return of.instance.lease.until - NOON


AUTHORIZED: Json = {
    "authorization": [{"environment": "dev", "url": "http://127.0.0.1:4010/token", "method": "post"}],
    "credentialPath": "token",
}


class TestLeaseLength:
    """A lease covers the next step whole, several short ones up to two minutes, and a margin of 20 s."""

    def test_a_call_may_take_its_timeout_twice(self) -> None:
        assert lease_of() == timedelta(seconds=60 + 20)

    def test_a_token_may_take_thirty_seconds_twice(self) -> None:
        assert lease_of(service=AUTHORIZED) == timedelta(seconds=120 + 20)

    def test_the_wait_before_each_call_counts(self) -> None:
        assert lease_of(delay=5000) == timedelta(seconds=65 + 20)

    def test_short_steps_share_a_lease(self) -> None:
        assert lease_of(method={"timeoutSeconds": 5}, steps=TWO_STEPS) == timedelta(seconds=20 + 20)

    def test_of_two_minutes_at_most(self) -> None:
        many = [{"key": f"s{n}", "action": "post", "nextStep": f"s{n + 1}"} for n in range(9)]
        many = [{"key": "call", "action": "post", "nextStep": "s0"}, *many, {"key": "s9", "action": "post"}]
        assert lease_of(method={"timeoutSeconds": 10}, steps=many) == timedelta(seconds=120 + 20)

    def test_the_next_step_is_always_covered_whole(self) -> None:
        assert lease_of(method={"timeoutSeconds": 300}, steps=TWO_STEPS) == timedelta(seconds=600 + 20)

    def test_a_step_without_a_call_takes_a_second(self) -> None:
        assert lease_of(steps=[{"key": "call", "controllerCallback": "{}"}]) == timedelta(seconds=1 + 20)

    def test_a_run_that_only_has_to_be_concluded_takes_no_more_than_the_margin(self) -> None:
        of = claimed(life())
        assert lease_until(of.strategy, of.running, succeeded(), now=NOON) == at("2026-01-31T12:00:20")

    def test_the_runner_renews_it(self) -> None:
        of = claimed(life())
        of.decide(Renew(seq=1, fence=1, until=LATER), NOON)
        assert of.instance.lease == Lease(seq=1, until=LATER)

    def test_but_not_one_that_has_lost_it(self) -> None:
        of = claimed(life())
        of.claim(of.running, LATER)
        assert of.decide(Renew(seq=1, fence=1, until=at("2026-02-01")), LATER) == AlreadyThere(
            instance=of.instance
        )


class TestTakingOver:
    """A claim after a lapsed lease runs on from where the dead runner was, under a higher fence."""

    def test_the_fence_rises_again_and_the_stamps_stay(self) -> None:
        of = claimed(life())
        of.claim(of.running, LATER)
        assert of.instance.fence == 2
        assert (of.running.scheduled_at, of.running.executed_at, of.running.run) == (NOON, NOON, 1)

    def test_a_call_that_may_have_been_sent_is_in_doubt(self) -> None:
        of = claimed(life())
        of.claim(of.running, LATER)
        assert (of.running.unsure, of.running.in_doubt) == (True, True)

    def test_a_step_without_a_call_is_not(self) -> None:
        of = claimed(life(strategy(steps=[{"key": "call", "controllerCallback": "{}"}])))
        of.claim(of.running, LATER)
        assert (of.running.unsure, of.running.in_doubt) == (False, False)

    def test_a_step_whose_delay_is_not_over_has_not_been_sent(self) -> None:
        of = claimed(
            life(strategy(steps=[{"key": "call", "action": "post", "delay": {"unit": "days", "amount": 1}}]))
        )
        of.claim(of.running, LATER)
        assert (of.running.unsure, of.running.in_doubt) == (False, False)

    def test_a_run_that_had_ended_has_no_call_in_doubt(self) -> None:
        of = claimed(life(strategy(retry=retries())))
        assert isinstance(of.step(DECLINED, NOON), RunEnd)
        of.claim(of.running, LATER)
        assert (of.running.unsure, of.running.in_doubt) == (False, False)

    def test_progress_ends_the_doubt_about_the_step_before(self) -> None:
        steps = [
            {"key": "call", "action": "post", "nextStep": "next"},
            {"key": "next", "controllerCallback": "{}"},
        ]
        of = claimed(life(strategy(steps=steps)))
        of.claim(of.running, LATER)
        of.step(DONE, LATER)
        of.claim(of.running, at("2026-01-31T14:00"))
        assert (of.running.unsure, of.running.in_doubt) == (False, True)

    def test_and_what_an_operator_decided_about_it(self) -> None:
        of = claimed(life(strategy(steps=TWO_STEPS)))
        of.conclude(ended(Ending.IN_DOUBT, NOON), NOON)
        of.decide(Resolve(seq=1, resolution=Resolution.SKIP, by=ANN), NOON)
        of.claim(of.main, NOON)
        assert of.running.resolution is Resolution.SKIP
        of.step(DONE, NOON)
        of.claim(of.running, LATER)
        assert of.running.resolution is None


class TestCrashes:
    """A takeover without progress counts; at five the event is given up."""

    def die(self, of: Life, times: int) -> None:
        for _ in range(times):
            of.claim(of.running, (of.instance.lease or Lease(seq=1, until=NOON)).until)

    def test_each_death_without_progress_counts(self) -> None:
        of = claimed(life())
        self.die(of, 4)
        assert (of.running.crashes, of.running.attempt, of.running.run) == (4, 1, 1)

    def test_progress_makes_the_next_death_the_first(self) -> None:
        of = claimed(life(strategy(steps=TWO_STEPS)))
        self.die(of, 4)
        of.step(DONE, NOON)
        self.die(of, 1)
        assert of.running.crashes == 1

    def test_the_fifth_pauses_a_main_event_with_its_instance(self) -> None:
        of = claimed(life())
        self.die(of, 5)
        assert (of.main.status, of.main.paused_for) == (EventStatus.PAUSED, PausedFor.POISONED)
        assert (of.main.unsure, of.main.in_doubt) == (True, True)
        assert of.instance.status is InstanceStatus.PAUSED
        assert (of.instance.lease, of.instance.fence) == (None, 6)
        assert of.instance.drained_at == of.instance.stopped_at == at("2026-01-31T12:06:40")
        assert (of.instance.stopped_by, of.instance.stopped_for) == ("engine", 1)
        assert of.instance.note == "bill: its runner died 5 times without progress"

    def test_and_the_audit_says_so(self) -> None:
        of = claimed(life())
        self.die(of, 5)
        (entry,) = of.audit
        assert (entry.by, entry.command) == ("engine", "claim")
        assert (entry.from_status, entry.to_status) == (InstanceStatus.ACTIVE, InstanceStatus.PAUSED)
        assert entry.reason == "bill: its runner died 5 times without progress"

    def test_a_resume_tries_it_again(self) -> None:
        of = claimed(life())
        self.die(of, 5)
        of.decide(Resume(by=ANN), LATER)
        of.claim(of.main, LATER)
        assert (of.running.crashes, of.running.run, of.running.unsure) == (0, 1, True)

    def test_any_other_event_fails(self) -> None:
        of = life(strategy(reminded(days=0)))
        of.claim(of.event("remind"), at("2026-01-31T00:01"))
        self.die(of, 5)
        record = of.record("remind")
        assert record.event.status is EventStatus.FAILED
        assert record.why == "its runner died 5 times without progress"
        assert record.in_doubt
        assert of.instance.status is InstanceStatus.ACTIVE

    def test_the_last_dated_event_of_an_ended_plan_completes_the_instance(self) -> None:
        greet = {"onCreateTasks": [{"task": "greet"}]}
        of = life(
            strategy(parts=greet, initial_delay={"unit": "days", "amount": 9}), new(end_date="2026-02-01")
        )
        of.claim(of.event("greet"), NOON)
        self.die(of, 5)
        assert of.instance.status is InstanceStatus.COMPLETED
        assert of.audit[-1].to_status is InstanceStatus.COMPLETED

    def test_and_so_does_an_event_of_a_final_instance(self) -> None:
        of = life(strategy(parts=PART))
        of.decide(Cancel(by=ANN), NOON)
        of.claim(of.event("part"), NOON)
        self.die(of, 5)
        assert of.record("part").event.status is EventStatus.FAILED
        assert of.instance.events == ()
        assert (of.instance.status, of.instance.drained_at) == (InstanceStatus.CANCELED, NOON)


class TestRepair:
    """A crash between the record and the advance is finished with by the next claimer."""

    def crashed_after_the_record(self) -> tuple[Life, Life]:
        """A life whose runner died there, and one in which all went well."""
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

    def test_the_record_stands_and_is_not_written_again(self) -> None:
        crashed, _ = self.crashed_after_the_record()
        verdict = crashed.claim(crashed.running, LATER)
        assert isinstance(verdict, Applied)
        assert verdict.records == ()

    def test_other_events_that_close_with_it_get_theirs(self) -> None:
        of = life(strategy(reminded(days=0), manualTrigger=True))
        of.decide(Execute(seq=of.main.seq, by=ANN), NOON)
        claimed(of)
        twin = Life(strategy=of.strategy, instance=of.instance)
        twin.conclude(succeeded(), NOON)
        of.put_record(twin.record("bill"))
        verdict = of.claim(of.running, LATER)
        assert isinstance(verdict, Applied)
        assert [record.event.task for record in verdict.records] == ["remind"]

    def test_a_record_of_another_fence_is_a_late_writers_and_does_not_count(self) -> None:
        crashed, whole = self.crashed_after_the_record()
        crashed.put_record(replace(whole.record("bill"), fence=0))
        crashed.claim(crashed.running, LATER)
        assert crashed.running.status is EventStatus.EXECUTING

    def test_a_record_that_no_run_wrote_does_not_count_either(self) -> None:
        crashed, whole = self.crashed_after_the_record()
        crashed.put_record(replace(whole.record("bill"), end=None))
        crashed.claim(crashed.running, LATER)
        assert crashed.running.status is EventStatus.EXECUTING


class TestDeadRunnerOfAStoppedInstance:
    """The event of a stopped instance whose runner died is parked or closed, the fence moved."""

    def test_paused_the_event_keeps_its_progress_and_its_doubt(self) -> None:
        of = claimed(life(strategy(steps=TWO_STEPS)))
        of.step(DONE, NOON)
        of.decide(Pause(by=ANN), NOON)
        assert of.instance.is_draining
        of.claim(of.running, LATER)
        assert (of.main.status, of.main.paused_for) == (EventStatus.PAUSED, PausedFor.OPERATOR)
        assert (of.main.unsure, of.main.in_doubt, of.main.known_visits) == (True, True, 1)
        assert (of.instance.lease, of.instance.fence) == (None, 2)
        assert not of.instance.is_draining

    def test_canceled_the_event_closes(self) -> None:
        of = claimed(life())
        of.decide(Cancel(by=ANN), NOON)
        of.claim(of.running, LATER)
        record = of.record("bill")
        assert (record.event.status, record.why) == (EventStatus.CANCELED, "instance CANCELED")
        assert record.in_doubt
        assert (of.instance.events, of.instance.fence, of.instance.drained_at) == ((), 2, LATER)

    def test_what_may_run_after_cancelation_is_run_on(self) -> None:
        of = life(strategy(parts=PART))
        of.decide(Cancel(by=ANN), NOON)
        of.claim(of.event("part"), NOON)
        of.claim(of.event("part"), LATER)
        assert of.running.task == "part"
        assert of.instance.fence == 2


class TestLatePlansBeforeAClaim:
    """A plan that is late is caught up with before anything of it starts."""

    def test_the_latest_missed_date_takes_the_place_of_the_open_one(self) -> None:
        of = life(strategy(calendar(), onResume="last"))
        verdict = of.claim(of.main, at("2026-04-10"))
        assert isinstance(verdict, Applied)
        assert of.instance.executing is None
        assert of.open == [("bill", "2026-03-31T00:00")]

    def test_one_that_is_merely_late_is_claimed(self) -> None:
        of = life()
        of.claim(of.main, at("2026-02-20"))
        assert of.running.seq == 1

    def test_one_that_is_merely_late_runs_although_its_next_date_cannot_be_computed(self) -> None:
        of = life(strategy(calendar(runOnCycle=1)))
        of.run(of.main, at("2026-01-31T00:00:00.005"))
        assert of.closed == [("bill", "PROCESSED")]
        assert (of.instance.cancel_reason, of.audit[-1].command) == ("CREATE_CYCLE_ERROR", "succeeded")

    def test_too_many_missed_dates_cancel_the_instance(self) -> None:
        of = life(strategy(calendar({"unit": "minutes", "amount": 1})))
        of.claim(of.main, at("2026-02-02"))
        assert of.instance.cancel_reason == "CREATE_CYCLE_ERROR"
        assert (of.audit[-1].by, of.audit[-1].command) == ("engine", "claim")
        assert of.audit[-1].reason == "more than 1000 planned dates have passed"

    def test_an_overdue_leading_up_event_of_an_overdue_main_is_skipped(self) -> None:
        of = life(strategy(reminded(), initial_delay={"unit": "days", "amount": 7}))
        of.claim(of.event("remind"), at("2026-02-07T00:03:00.001"))
        assert of.closed == [("remind", "CANCELED")]
        assert of.record("remind").why == "skipped: its main event is overdue too"
        assert of.instance.executing is None
        of.claim(of.main, at("2026-02-07T00:03:00.001"))
        assert of.running.task == "bill"

    def test_both_still_run_where_no_more_than_a_doorbell_was_lost(self) -> None:
        of = life(strategy(reminded(days=0)))
        of.run(of.event("remind"), at("2026-01-31T00:03"))
        of.run(of.main, at("2026-01-31T00:03"))
        assert of.closed == [("remind", "PROCESSED"), ("bill", "PROCESSED")]

    def test_a_leading_up_event_whose_main_waits_for_an_operator_runs(self) -> None:
        of = life(strategy(reminded(days=0), manualTrigger=True))
        of.decide(Execute(seq=of.event("remind").seq, by=ANN), at("2026-03-05"))
        of.claim(of.event("remind"), at("2026-03-05"))
        assert of.running.task == "remind"


def parked(of: Life, *, now: str = "2026-01-31T12:00") -> Life:
    """A claim that was given back because the strategy is paused."""
    before = of.main
    of.claim(before, at(now))
    of.decide(Release(before=before, fence=of.instance.fence, held=HeldBy.STRATEGY), at(now))
    return of


class TestRelease:
    """A claim given back for a paused flag leaves the event as it was, and the instance parked."""

    def test_the_event_is_as_it_was(self) -> None:
        of = life()
        before = of.main
        parked(of)
        assert replace(of.main, updated_at=before.updated_at) == before
        assert (of.instance.lease, of.instance.held, of.instance.fence) == (None, HeldBy.STRATEGY, 1)

    def test_what_a_dead_runner_may_have_done_stays_known(self) -> None:
        of = claimed(life())
        before = of.running
        of.claim(before, LATER)
        of.decide(Release(before=before, fence=2, held=HeldBy.QUEUE), LATER)
        assert (of.main.status, of.main.unsure, of.main.crashes) == (EventStatus.QUEUED, True, 1)
        assert of.main.begun_at == NOON

    def test_the_late_one_of_two_releases_nothing(self) -> None:
        of = claimed(life())
        before = of.running
        of.claim(before, LATER)
        verdict = of.decide(Release(before=before, fence=1, held=HeldBy.QUEUE), LATER)
        assert verdict == AlreadyThere(instance=of.instance)

    def test_nor_does_one_without_a_claim(self) -> None:
        of = life()
        verdict = of.decide(Release(before=of.main, fence=0, held=HeldBy.QUEUE), LATER)
        assert verdict == AlreadyThere(instance=of.instance)

    def test_on_an_instance_paused_meanwhile_the_event_waits_and_has_drained(self) -> None:
        of = life()
        before = of.main
        claimed(of).decide(Pause(by=ANN), NOON)
        of.decide(Release(before=before, fence=1, held=HeldBy.QUEUE), LATER)
        assert of.main.status is EventStatus.PENDING
        assert (of.instance.held, of.instance.drained_at) == (HeldBy.QUEUE, LATER)

    def test_on_one_canceled_meanwhile_it_closes(self) -> None:
        of = life()
        before = of.main
        claimed(of).decide(Cancel(by=ANN), NOON)
        of.decide(Release(before=before, fence=1, held=HeldBy.QUEUE), LATER)
        assert of.closed == [("bill", "CANCELED")]
        assert (of.instance.events, of.instance.held, of.instance.drained_at) == ((), None, LATER)

    def test_a_parting_event_keeps_the_moment_its_instance_had_drained(self) -> None:
        of = life(strategy(parts=PART))
        of.decide(Cancel(by=ANN), NOON)
        before = of.event("part")
        of.claim(before, LATER)
        assert not of.instance.is_draining
        of.decide(Release(before=before, fence=1, held=HeldBy.QUEUE), LATER)
        assert (of.instance.held, of.instance.drained_at) == (HeldBy.QUEUE, NOON)


class TestUnpark:
    """What a flag held is free again once the flag has cleared."""

    def test_the_event_is_due_again(self) -> None:
        of = parked(life())
        of.decide(Unpark(), LATER)
        assert of.instance.held is None
        of.claim(of.main, LATER)
        assert of.running.seq == 1

    def test_what_nothing_holds_is_left_alone(self) -> None:
        of = life()
        assert of.decide(Unpark(), LATER) == AlreadyThere(instance=of.instance)

    def test_a_claim_unparks_too(self) -> None:
        of = parked(life())
        of.claim(of.main, LATER)
        assert of.instance.held is None

    @pytest.mark.parametrize("unpark", [True, False], ids=["drained", "found by a stray doorbell"])
    def test_once_its_plan_has_moved_on_it_is_parked_no_more(self, unpark: bool) -> None:  # noqa: FBT001 - a case
        of = parked(life(strategy(onResume="skip")))
        verdict = of.decide(Unpark(), LATER) if unpark else of.claim(of.main, LATER)
        assert isinstance(verdict, Applied)
        assert of.open == [("bill", "2026-02-28T00:00")]
        assert of.instance.held is None

    def test_a_paused_instance_stays_as_it_is_until_it_is_resumed(self) -> None:
        of = parked(life(strategy(onResume="skip")))
        of.decide(Pause(by=ANN), NOON)
        assert of.decide(Unpark(), LATER) == AlreadyThere(instance=of.instance)
        of.decide(Resume(by=ANN), LATER)
        assert of.instance.held is None
        assert of.open == [("bill", "2026-02-28T00:00")]

    def test_a_cycle_that_cannot_be_dated_cancels_and_says_so(self) -> None:
        of = parked(life(strategy(calendar(runOnCycle=1), onResume="skip")))
        of.decide(Unpark(), LATER)
        assert of.instance.cancel_reason == "CREATE_CYCLE_ERROR"
        assert (of.audit[-1].command, of.audit[-1].reason) == ("unpark", "no calendar for cycle 2")

    def test_shown_dates_are_those_of_the_plan(self) -> None:
        of = parked(life())
        assert shown(of.main.date) == ["2026-01-31T00:00"]


class TestAStaleClaim:
    """A claim of an event that has closed, or of another, changes nothing."""

    def test_of_a_closed_event(self) -> None:
        of = life()
        command = Claim(seq=1, trail=Trail(), token="t0k3n", job="job-2")
        of.run(of.main, NOON)
        assert of.decide(command, LATER) == AlreadyThere(instance=of.instance)
