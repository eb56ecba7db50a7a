"""The next action on an instance, and when it must be swept. Source: docs/design.md sections 3.1 to 3.3."""

from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from shared.domain.instance.due import (
    Due,
    Idle,
    Leased,
    PlanExpired,
    Scheduled,
    back_off,
    due_since,
    next_action,
    next_event,
    partition,
    sweep_at,
    swept_partition,
    wakeup_name_of,
)
from shared.domain.instance.event import EventStatus
from shared.domain.instance.model import BlockedBy, Downtime, Lease
from shared.domain.instance.run import Ending
from shared.domain.lifecycle.commands import Block, Cancel, Pause, RecordSweep, Renew, Wait
from tests.lifecycle_factories import ANN, Life, at, ended, life, new, reminded, shown, strategy

PART = {"onCancelTasks": [{"task": "part", "delayBy": {"unit": "days", "amount": 1}}]}


class TestOrder:
    """ "Events of one instance run one at a time, in date order (a reminder before its charge)"."""

    def test_the_earliest_due_event_comes_first(self) -> None:
        of = life(strategy(reminded(days=3), initial_delay={"unit": "days", "amount": 7}))
        assert next_event(of.instance) == of.event("remind")

    def test_a_leading_up_event_comes_before_the_main_event_of_the_same_date(self) -> None:
        of = life(strategy(reminded(days=0)))
        swapped = replace(of.instance, events=of.instance.events[::-1])
        assert next_event(swapped) == of.event("remind")

    def test_the_event_created_first_comes_first_if_all_else_is_equal(self) -> None:
        on_create = {"onCreateTasks": [{"task": "greet"}, {"task": "part"}]}
        of = life(strategy(initial_delay={"unit": "days", "amount": 7}, parts=on_create))
        swapped = replace(of.instance, events=of.instance.events[::-1])
        assert next_event(swapped) == of.event("greet")

    def test_an_onhold_event_does_not_start_by_itself(self) -> None:
        of = life(strategy(manualTrigger=True))
        assert of.main.status is EventStatus.ONHOLD
        assert next_event(of.instance) is None

    def test_an_event_of_a_crashed_runner_comes_before_everything_due(self) -> None:
        of = life(strategy(reminded(days=3), initial_delay={"unit": "days", "amount": 7}))
        of.claim(of.event("remind"), at("2026-02-04"))
        assert next_action(of.instance, at("2026-02-09")) == Due(
            event=of.running, abandoned=of.instance.lease
        )


class TestNextAction:
    """The next action is none, a running lease, a later date, a due event, or the end of the plan."""

    def test_an_event_is_due_from_its_date_on(self) -> None:
        of = life(request=new("2026-02-01T10:00"))
        assert next_action(of.instance, at("2026-02-01T09:59:59")) == Scheduled(
            at=at("2026-02-01T10:00"), wakeup_name="i-1-1-1"
        )
        assert next_action(of.instance, at("2026-02-01T10:00")) == Due(event=of.main)

    def test_a_lease_is_respected_until_it_expires(self) -> None:
        of = life()
        of.claim(of.main, at("2026-01-31"))
        assert next_action(of.instance, at("2026-01-31T00:01:19")) == Leased(until=at("2026-01-31T00:01:20"))
        assert next_action(of.instance, at("2026-01-31T00:01:20")) == Due(
            event=of.running, abandoned=of.instance.lease
        )

    def test_a_lease_of_a_closed_event_blocks_nothing(self) -> None:
        of = life()
        stray = replace(of.instance, lease=Lease(seq=99, until=at("2026-03-01")))
        assert next_action(stray, at("2026-01-31")) == Due(event=of.main)
        assert sweep_at(stray) == at("2026-01-31T00:03")

    def test_a_paused_instance_starts_nothing(self) -> None:
        of = life()
        of.decide(Pause(by=ANN), at("2026-01-31"))
        assert next_action(of.instance, at("2026-02-01")) == Idle()

    def test_a_final_instance_starts_only_on_cancel_events(self) -> None:
        of = life(strategy(parts=PART))
        of.decide(Cancel(by=ANN), at("2026-01-31"))
        assert next_action(of.instance, at("2026-01-31")) == Scheduled(
            at=at("2026-02-01"), wakeup_name="i-1-2-1"
        )
        assert next_action(of.instance, at("2026-02-01")) == Due(event=of.event("part"))

    def test_a_wakeup_has_a_new_name_after_each_change_of_date(self) -> None:
        of = life()
        assert wakeup_name_of(of.instance, of.main) == "i-1-1-1"
        of.run(of.main, at("2026-01-31"), ended(Ending.RETRY, at("2026-01-31")))
        assert wakeup_name_of(of.instance, of.main) == "i-1-1-2"


class TestEndDate:
    """If there is no dated event, the end date is the next action."""

    def test_the_plan_expires_at_its_end_date(self) -> None:
        of = life(strategy(manualTrigger=True), new(end_date="2026-06-30"))
        assert next_action(of.instance, at("2026-06-29")) == Idle()
        assert next_action(of.instance, at("2026-06-30")) == PlanExpired()
        assert sweep_at(of.instance) == at("2026-06-30")

    def test_the_plan_does_not_expire_before_its_last_dated_event(self) -> None:
        of = life(request=new(end_date="2026-02-15"))
        paused = replace(of.main, status=EventStatus.PAUSED)
        assert next_action(of.instance.with_event(paused), at("2026-02-16")) == Idle()
        assert sweep_at(of.instance.with_event(paused)) is None

    def test_the_plan_does_not_expire_during_a_pause(self) -> None:
        of = life(strategy(manualTrigger=True), new(end_date="2026-06-30"))
        of.decide(Pause(by=ANN), at("2026-02-01"))
        assert next_action(of.instance, at("2026-07-01")) == Idle()
        assert sweep_at(of.instance) is None

    def test_an_onhold_plan_without_an_end_date_waits_for_an_operator_alone(self) -> None:
        of = life(strategy(manualTrigger=True))
        assert sweep_at(of.instance) is None


class TestSweepAt:
    """The sweeper must check 180 s after the next due date, or after a lease that lasts longer."""

    def test_the_sweep_is_three_minutes_after_the_next_date(self) -> None:
        of = life(request=new("2026-02-01T10:00"))
        assert shown(sweep_at(of.instance) or at("1970-01-01")) == ["2026-02-01T10:03"]

    def test_a_claim_leaves_the_sweep_because_the_grace_is_longer_than_the_lease(self) -> None:
        of = life()
        before = sweep_at(of.instance)
        of.claim(of.main, at("2026-01-31"))
        assert of.instance.lease == Lease(seq=1, until=at("2026-01-31T00:01:20"), token="t0k3n")
        assert sweep_at(of.instance) == before == at("2026-01-31T00:03")

    def test_a_longer_lease_is_waited_for_with_a_margin(self) -> None:
        of = life()
        of.claim(of.main, at("2026-01-31"))
        of.decide(Renew(seq=1, fence=1, until=at("2026-01-31T00:10")), at("2026-01-31T00:01"))
        assert sweep_at(of.instance) == at("2026-01-31T00:10:05")

    def test_a_late_claim_is_swept_after_its_lease(self) -> None:
        of = life()
        of.claim(of.main, at("2026-01-31T08:00"))
        assert sweep_at(of.instance) == at("2026-01-31T08:01:25")

    def test_a_waiting_step_is_swept_three_minutes_after_its_delay(self) -> None:
        of = life()
        of.claim(of.main, at("2026-01-31"))
        of.decide(Wait(seq=1, fence=1, until=at("2026-02-05"), known_visits=0), at("2026-01-31"))
        assert sweep_at(of.instance) == at("2026-02-05T00:03")

    def test_a_running_event_of_a_paused_instance_is_swept(self) -> None:
        of = life()
        of.claim(of.main, at("2026-01-31"))
        of.decide(Pause(by=ANN), at("2026-01-31"))
        assert sweep_at(of.instance) == at("2026-01-31T00:03")

    def test_a_paused_instance_is_not_swept(self) -> None:
        of = life()
        of.decide(Pause(by=ANN), at("2026-01-31"))
        assert sweep_at(of.instance) is None

    def test_a_canceled_instance_without_events_is_not_swept(self) -> None:
        of = life()
        of.decide(Cancel(by=ANN), at("2026-01-31"))
        assert sweep_at(of.instance) is None


class TestLastRepresentableDate:
    """At the end of the last representable year the grace is cut short."""

    def test_an_event_at_the_last_date_has_a_shorter_grace(self) -> None:
        of = life(strategy())
        last = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
        then = replace(of.main, date=last, due_at=last)

        assert sweep_at(of.instance.with_event(then)) == last


class TestBackOff:
    """After a wakeup without effect the sweeper waits ever longer; any other change resets that."""

    @pytest.mark.parametrize(
        ("attempts", "minutes"), [(1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (8, 60), (500, 60)]
    )
    def test_every_wait_is_twice_the_one_before_up_to_an_hour(self, attempts: int, minutes: int) -> None:
        assert back_off(attempts) == timedelta(minutes=minutes)

    def test_a_recorded_sweep_postpones_the_next_one(self) -> None:
        of = life()
        of.decide(RecordSweep(), at("2026-01-31T00:04"))
        assert sweep_at(of.instance) == at("2026-01-31T00:05")
        of.decide(RecordSweep(), at("2026-01-31T00:05"))
        assert sweep_at(of.instance) == at("2026-01-31T00:07")

    def test_a_sweep_is_never_before_the_due_date(self) -> None:
        of = life()
        of.decide(RecordSweep(), at("2026-01-31T00:01"))
        assert sweep_at(of.instance) == at("2026-01-31T00:03")

    def test_every_other_change_resets_the_back_off(self) -> None:
        of = life()
        of.decide(RecordSweep(), at("2026-01-31T00:04"))
        of.claim(of.main, at("2026-01-31T00:04:30"))
        assert (of.instance.sweep.attempts, of.instance.sweep.next_at) == (0, None)


class TestPartitions:
    """An instance is in the partition of its shard, or of the flag that blocks it."""

    def blocked(self, by: BlockedBy) -> Life:
        of = life()
        before = of.main
        of.claim(before, at("2026-01-31"))
        of.decide(Block(before=before, fence=1, blocked_by=by), at("2026-01-31"))
        return of

    def test_swept_by_shard(self) -> None:
        assert partition(life().instance) == swept_partition(3) == "3"

    def test_blocked_by_the_queue_of_an_account(self) -> None:
        assert partition(self.blocked(BlockedBy.QUEUE).instance) == "blocked#queue:a-1#3"

    def test_blocked_by_a_strategy(self) -> None:
        assert partition(self.blocked(BlockedBy.STRATEGY).instance) == "blocked#strategy:s-1#3"


class TestDueSince:
    """The instant from which an event could have been claimed; lateness counts from there."""

    def test_it_is_the_due_date(self) -> None:
        of = life(strategy(), now="2026-01-31")
        assert due_since(of.instance, Due(event=of.main)) == of.main.due_at

    def test_an_event_created_after_its_date_is_due_from_its_creation_on(self) -> None:
        of = life(strategy(), now="2026-01-31")
        late = replace(of.main, created_at=of.main.due_at + timedelta(days=3))
        assert due_since(of.instance, Due(event=late)) == late.created_at

    def test_a_downtime_that_ended_later_does_not_count(self) -> None:
        of = life(strategy(), now="2026-01-31")
        ends = [None, of.main.due_at + timedelta(days=2), of.main.due_at - timedelta(days=2)]
        downtimes = tuple(Downtime(since=of.main.due_at - timedelta(days=9), until=end) for end in ends)
        stopped = replace(of.instance, downtimes=downtimes)
        assert due_since(stopped, Due(event=of.main)) == ends[1]

    def test_the_event_of_a_crashed_runner_is_due_from_the_end_of_its_lease_on(self) -> None:
        of = life(strategy(), now="2026-01-31")
        lease = Lease(seq=1, until=of.main.due_at + timedelta(minutes=3))
        assert due_since(of.instance, Due(event=of.main, abandoned=lease)) == lease.until
