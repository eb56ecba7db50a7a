"""Claiming an instance to run its due event. Source: docs/design.md sections 3.3, 3.5, 3.6, 3.7 and 3.9."""

from datetime import timedelta

from shared.domain.instance.event import EventStatus
from shared.domain.instance.journal import EventHistory
from shared.domain.instance.model import InstanceStatus, Lease
from shared.domain.instance.run import Ending, Intent
from shared.domain.instance.verdict import AlreadyThere, Applied
from shared.domain.lifecycle.claim import lease_until
from shared.domain.lifecycle.commands import Claim, Execute, Renew, Wait
from shared.domain.strategy.model import Json
from tests.lifecycle_factories import (
    ANN,
    Life,
    at,
    calendar,
    ended,
    life,
    reminded,
    strategy,
    succeeded,
)

NOON = at("2026-01-31T12:00")
LATER = at("2026-01-31T13:00")
TWO_STEPS: Json = [
    {"key": "call", "action": "post", "nextStep": "next"},
    {"key": "next", "action": "post"},
]


def claimed(of: Life) -> Life:
    of.claim(of.main, NOON)
    assert of.instance.executing is not None
    return of


class TestClaiming:
    """A claim makes the due event EXECUTING under a new fence and a lease."""

    def test_the_fence_rises_and_the_lease_names_the_event(self) -> None:
        of = claimed(life())
        assert of.instance.fence == 1
        assert of.instance.lease == Lease(seq=1, until=at("2026-01-31T12:01:20"), token="t0k3n")
        assert of.running.status is EventStatus.EXECUTING
        assert of.running.claim.job == "job-1"

    def test_scheduled_at_and_executed_at_are_set_together(self) -> None:
        of = claimed(life())
        assert (of.running.times.scheduled_at, of.running.times.executed_at, of.running.times.begun_at) == (
            NOON,
            NOON,
            NOON,
        )

    def test_a_queued_event_keeps_its_scheduled_at(self) -> None:
        of = life()
        of.decide(Execute(seq=1, by=ANN), at("2026-01-31T11:00"))
        claimed(of)
        assert (of.running.times.scheduled_at, of.running.times.executed_at) == (at("2026-01-31T11:00"), NOON)

    def test_a_retry_has_new_times_but_keeps_begun_at(self) -> None:
        of = life()
        of.run(of.main, NOON, ended(Ending.RETRY, NOON))
        of.claim(of.main, LATER)
        assert (of.running.times.scheduled_at, of.running.times.executed_at, of.running.times.begun_at) == (
            LATER,
            LATER,
            NOON,
        )

    def test_a_continued_run_keeps_its_times(self) -> None:
        of = claimed(life())
        of.decide(Wait(seq=1, fence=1, until=LATER, known_visits=0), NOON)
        of.claim(of.main, LATER)
        assert (of.running.times.scheduled_at, of.running.times.executed_at) == (NOON, NOON)

    def test_the_event_is_bound_to_the_version_it_is_first_claimed_under(self) -> None:
        of = life(strategy(version=7))
        of.run(of.main, NOON, ended(Ending.RETRY, NOON))
        of.strategy = strategy(version=8)
        of.claim(of.main, LATER)
        assert of.running.claim.version == 7

    def test_a_new_run_starts_at_the_first_step_under_a_new_key(self) -> None:
        of = claimed(life())
        first_action = of.running.progress.first_action
        assert isinstance(first_action, Intent)
        assert (first_action.step, first_action.visit, first_action.call_key) == ("call", 1, "i-1-1-1-1")
        assert first_action.correlation_id == "i-1-1.t0k3n"

    def test_an_event_that_is_not_due_or_not_next_is_not_claimed(self) -> None:
        of = life(strategy(reminded(), initial_delay={"unit": "days", "amount": 7}))
        assert of.claim(of.main, NOON) == AlreadyThere(instance=of.instance)
        assert of.claim(of.main, at("2026-02-05")) == AlreadyThere(instance=of.instance)

    def test_nothing_is_claimed_during_the_lease_of_another_runner(self) -> None:
        of = claimed(life())
        assert of.claim(of.running, at("2026-01-31T12:01:19")) == AlreadyThere(instance=of.instance)


def lease_of(*, method: Json = None, service: Json = None, steps: Json = None, delay: int = 0) -> timedelta:
    """Return the length of a new claim's lease."""
    of = claimed(life(strategy(method=method, service=service, steps=steps, requestDelayTime=delay)))
    assert of.instance.lease is not None
    return of.instance.lease.until - NOON


AUTHORIZED: Json = {
    "authorization": [{"environment": "dev", "url": "http://127.0.0.1:4010/token", "method": "post"}],
    "credentialPath": "token",
}


class TestLeaseLength:
    """A lease covers the next step in full, several short ones up to two minutes, and a margin of 20 s."""

    def test_a_call_may_take_its_timeout_twice(self) -> None:
        assert lease_of() == timedelta(seconds=60 + 20)

    def test_a_token_may_take_thirty_seconds_twice(self) -> None:
        assert lease_of(service=AUTHORIZED) == timedelta(seconds=120 + 20)

    def test_the_request_delay_of_each_call_counts(self) -> None:
        assert lease_of(delay=5000) == timedelta(seconds=65 + 20)

    def test_short_steps_share_a_lease(self) -> None:
        assert lease_of(method={"timeoutSeconds": 5}, steps=TWO_STEPS) == timedelta(seconds=20 + 20)

    def test_short_steps_share_at_most_two_minutes(self) -> None:
        many = [{"key": f"s{n}", "action": "post", "nextStep": f"s{n + 1}"} for n in range(9)]
        many = [{"key": "call", "action": "post", "nextStep": "s0"}, *many, {"key": "s9", "action": "post"}]
        assert lease_of(method={"timeoutSeconds": 10}, steps=many) == timedelta(seconds=120 + 20)

    def test_the_next_step_is_always_covered_in_full(self) -> None:
        assert lease_of(method={"timeoutSeconds": 300}, steps=TWO_STEPS) == timedelta(seconds=600 + 20)

    def test_a_step_without_a_call_takes_a_second(self) -> None:
        assert lease_of(steps=[{"key": "call", "controllerCallback": "{}"}]) == timedelta(seconds=1 + 20)

    def test_a_run_that_only_has_to_be_concluded_takes_only_the_margin(self) -> None:
        of = claimed(life())
        assert lease_until(of.strategy, of.running, succeeded(), now=NOON) == at("2026-01-31T12:00:20")

    def test_a_runner_renews_its_lease(self) -> None:
        of = claimed(life())
        of.decide(Renew(seq=1, fence=1, until=LATER), NOON)
        assert of.instance.lease == Lease(seq=1, until=LATER, token="t0k3n")

    def test_a_runner_that_lost_its_lease_cannot_renew_it(self) -> None:
        of = claimed(life())
        of.claim(of.running, LATER)
        assert of.decide(Renew(seq=1, fence=1, until=at("2026-02-01")), LATER) == AlreadyThere(
            instance=of.instance
        )


class TestMissedDatesBeforeAClaim:
    """Missed dates are handled before any event of the plan starts."""

    def test_the_latest_missed_date_replaces_the_open_one(self) -> None:
        of = life(strategy(calendar(), onMissed="last"))
        verdict = of.claim(of.main, at("2026-04-10"))
        assert isinstance(verdict, Applied)
        assert of.instance.executing is None
        assert of.open == [("bill", "2026-03-31T00:00")]

    def test_an_event_that_is_merely_late_is_claimed(self) -> None:
        of = life()
        of.claim(of.main, at("2026-02-20"))
        assert of.running.seq == 1

    def test_a_late_event_runs_although_its_next_date_cannot_be_computed(self) -> None:
        of = life(strategy(calendar(runOnCycle=1)))
        of.run(of.main, at("2026-01-31T00:00:00.005"))
        assert of.closed == [("bill", "PROCESSED")]
        assert (of.instance.cancel_reason, of.audit[-1].command) == ("CREATE_CYCLE_ERROR", "succeeded")

    def test_a_thousand_missed_dates_are_enough_for_one_claim(self) -> None:
        of = life(strategy(calendar({"unit": "minutes", "amount": 1}), onMissed="last"))
        of.claim(of.main, at("2026-02-02"))
        assert (of.instance.status, of.instance.plan.cycle) == (InstanceStatus.ACTIVE, 1001)
        assert of.instance.executing is None

    def test_an_overdue_leading_up_event_of_an_overdue_main_is_skipped(self) -> None:
        of = life(strategy(reminded(), initial_delay={"unit": "days", "amount": 7}))
        of.claim(of.event("remind"), at("2026-02-07T00:03:00.001"))
        assert of.closed == [("remind", "CANCELED")]
        assert of.record("remind").why == "skipped: its main event is overdue too"
        assert of.instance.executing is None
        of.claim(of.main, at("2026-02-07T00:03:00.001"))
        assert of.running.task == "bill"

    def test_a_reminder_and_its_charge_still_run_after_a_lost_wakeup(self) -> None:
        of = life(strategy(reminded(days=0)))
        of.run(of.event("remind"), at("2026-01-31T00:03"))
        of.run(of.main, at("2026-01-31T00:03"))
        assert of.closed == [("remind", "PROCESSED"), ("bill", "PROCESSED")]

    def test_a_leading_up_event_of_an_onhold_main_event_runs(self) -> None:
        of = life(strategy(reminded(days=0), manualTrigger=True))
        of.decide(Execute(seq=of.event("remind").seq, by=ANN), at("2026-03-05"))
        of.claim(of.event("remind"), at("2026-03-05"))
        assert of.running.task == "remind"


class TestAStaleClaim:
    """A claim of a closed event, or of another event, changes nothing."""

    def test_a_claim_of_a_closed_event_changes_nothing(self) -> None:
        of = life()
        command = Claim(seq=1, event_history=EventHistory(), token="t0k3n", job="job-2")
        of.run(of.main, NOON)
        assert of.decide(command, LATER) == AlreadyThere(instance=of.instance)
