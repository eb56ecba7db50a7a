"""A cancellation at a date. Source: docs/decisions/0061-a-pause-that-ends-and-a-cancellation-at-a-date.md."""

from datetime import datetime, timedelta

import pytest
from msgspec.structs import replace

from shared.domain.calendar.instance_schedule import OwnSchedule
from shared.domain.errors import Problem
from shared.domain.ids import OperationSid
from shared.domain.instance.due import (
    CancelDue,
    Due,
    Idle,
    Leased,
    PlanExpired,
    ResumeDue,
    Scheduled,
    next_action,
    next_event,
    sweep_at,
)
from shared.domain.instance.event import EventKind, EventStatus
from shared.domain.instance.model import CancelReason, InstanceStatus, ScheduledCancellation
from shared.domain.instance.phase import Phase, phase_of
from shared.domain.instance.problems import ProblemKind, late_since
from shared.domain.instance.run import Ending
from shared.domain.instance.verdict import Actor, AlreadyThere, RefusalRule, Refused
from shared.domain.lifecycle.commands import (
    AddEvent,
    ApplyCancellation,
    Cancel,
    CancelAt,
    CancelEvent,
    EndPause,
    Execute,
    Finish,
    Migrate,
    Pause,
    Resume,
    RevokeCancellation,
    Update,
    Wait,
)
from shared.domain.strategy.model import Json, OnResume
from tests.factories import stop_of
from tests.lifecycle_factories import (
    ANN,
    DAILY,
    HOURLY,
    Life,
    at,
    calendar,
    ended,
    life,
    new,
    reminded,
    retries,
    strategy,
)

NOON = at("2026-01-31T12:00")
PART: Json = {"onCancelTasks": [{"task": "part", "delayBy": {"unit": "days", "amount": 1}}]}
BOB = Actor(name="bob", reason="moves away")
END = CancelAt(by=BOB)
NEXT = at("2026-02-28")
"""The planned date of cycle 2 of a monthly plan from 31 January."""


def cancel_at(text: str) -> CancelAt:
    return CancelAt(by=BOB, at=at(text))


def billed(of: Life | None = None) -> Life:
    """Return a life whose first monthly bill has run, so that the next one is due on 28 February."""
    of = of or life(strategy(reminded(days=3), parts=PART))
    of.run(of.main, at("2026-01-31"))
    return of


def apply(of: Life, now: datetime) -> None:
    of.applied(ApplyCancellation(), now)
    assert of.instance.status is InstanceStatus.CANCELED


class TestTheDate:
    """`cancel {at: date}`: events due before the date run; at the date the instance is canceled."""

    def test_the_instance_stays_active_until_the_date(self) -> None:
        of = billed()
        of.applied(cancel_at("2026-03-15"), NOON)
        assert of.instance.status is InstanceStatus.ACTIVE
        assert of.instance.cancellation == ScheduledCancellation(
            at=at("2026-03-15"), by="bob", scheduled_at=NOON, note="moves away"
        )
        entry = of.audit[-1]
        assert (entry.command, entry.by, entry.reason, entry.options) == (
            "cancel-at",
            "bob",
            "moves away",
            ("at=2026-03-15T00:00:00.000Z",),
        )

    def test_events_before_the_date_keep_their_wakeups(self) -> None:
        of = billed()
        before = next_action(of.instance, NOON)
        of.applied(cancel_at("2026-03-15"), NOON)
        assert next_action(of.instance, NOON) == before

    def test_the_date_is_the_next_wakeup_if_it_comes_first(self) -> None:
        of = billed()
        of.applied(cancel_at("2026-02-20"), NOON)
        name = f"i-1-at-{int(at('2026-02-20').timestamp() * 1000):x}"
        assert next_action(of.instance, NOON) == Scheduled(at=at("2026-02-20"), wakeup_name=name)
        assert sweep_at(of.instance) == at("2026-02-20T00:03")
        assert next_action(of.instance, at("2026-02-20")) == CancelDue(at=at("2026-02-20"))

    def test_an_event_at_the_date_does_not_run(self) -> None:
        of = billed()
        of.applied(cancel_at("2026-02-28"), NOON)
        of.run(of.event("remind"), at("2026-02-25"))
        assert next_event(of.instance) is None
        assert next_action(of.instance, NEXT) == CancelDue(at=NEXT)

    def test_at_the_date_the_instance_is_canceled_as_by_whoever_scheduled_it(self) -> None:
        of = billed()
        of.applied(cancel_at("2026-02-20"), NOON)
        apply(of, at("2026-02-20"))
        stop = stop_of(of.instance)
        assert (stop.by, stop.note, stop.cancel_reason) == ("bob", "moves away", CancelReason.HTTP_REQUEST)
        assert phase_of(of.instance, now=at("2026-02-20")) is Phase.CANCELED
        assert of.instance.cancellation is None
        assert of.open == [("part", "2026-02-21T00:00")]
        assert of.closed[-2:] == [("remind", "CANCELED"), ("bill", "CANCELED")]
        entry = of.audit[-1]
        assert (entry.command, entry.by, entry.reason) == (
            "cancel",
            "engine",
            "scheduled by bob for 2026-02-20T00:00:00.000Z: moves away",
        )

    def test_the_audit_names_no_reason_if_none_was_given(self) -> None:
        of = billed()
        of.applied(CancelAt(by=Actor(name="bob"), at=at("2026-02-20")), NOON)
        apply(of, at("2026-02-20"))
        assert of.audit[-1].reason == "scheduled by bob for 2026-02-20T00:00:00.000Z"

    def test_nothing_happens_before_the_date(self) -> None:
        of = billed()
        of.applied(cancel_at("2026-02-20"), NOON)
        assert isinstance(of.decide(ApplyCancellation(), at("2026-02-19T23:59:59")), AlreadyThere)

    def test_a_stale_wakeup_changes_nothing(self) -> None:
        of = billed()
        of.applied(cancel_at("2026-02-20"), NOON)
        of.applied(RevokeCancellation(by=ANN), NOON)
        assert isinstance(of.decide(ApplyCancellation(), at("2026-02-20")), AlreadyThere)

    def test_what_was_due_before_the_date_runs_first_if_the_engine_was_down(self) -> None:
        of = life(strategy(calendar(DAILY), onResume="all"))
        of.run(of.main, at("2026-01-31"))
        of.applied(cancel_at("2026-02-03"), NOON)
        late = at("2026-02-09")
        for _ in range(2):
            due = next_action(of.instance, late)
            assert isinstance(due, Due)
            of.run(due.event, late)
        assert next_action(of.instance, late) == CancelDue(at=at("2026-02-03"))
        assert of.main.date == at("2026-02-03")

    def test_a_date_after_it_is_no_missed_date(self) -> None:
        """Under ``last``, the date that runs late is the last one before the cancellation."""
        of = life(strategy(calendar(DAILY), onMissed="last"))
        of.run(of.main, at("2026-01-31"))
        of.applied(cancel_at("2026-02-03"), NOON)
        late = at("2026-02-09")
        of.claim(of.main, late)
        assert of.main.date == at("2026-02-02")
        of.run(of.main, late)
        assert next_action(of.instance, late) == CancelDue(at=at("2026-02-03"))

    def test_a_retry_beyond_the_date_does_not_run(self) -> None:
        of = life(strategy(retry=retries(2)))
        of.applied(cancel_at("2026-01-31T00:30"), at("2026-01-31"))
        of.run(of.main, at("2026-01-31"), ended(Ending.RETRY, at("2026-01-31")))
        assert next_event(of.instance) is None
        apply(of, at("2026-01-31T00:30"))

    def test_a_retry_before_the_date_runs(self) -> None:
        of = life(strategy(retry=retries(2)))
        of.applied(cancel_at("2026-01-31T01:30"), at("2026-01-31"))
        of.run(of.main, at("2026-01-31"), ended(Ending.RETRY, at("2026-01-31")))
        assert next_event(of.instance) == of.main

    def test_a_run_through_the_date_ends_first(self) -> None:
        of = life()
        of.applied(cancel_at("2026-01-31T00:00:10"), at("2026-01-31"))
        of.claim(of.main, at("2026-01-31T00:00:05"))
        now = at("2026-01-31T00:00:20")
        assert isinstance(next_action(of.instance, now), Leased)
        assert isinstance(of.decide(ApplyCancellation(), now), AlreadyThere)
        of.conclude(ended(Ending.RETRY, now), now)
        apply(of, now)

    def test_a_late_run_that_continues_in_another_invocation_ends_first(self) -> None:
        of = life()
        of.applied(cancel_at("2026-01-31T00:00:10"), at("2026-01-31"))
        now = at("2026-02-01")
        of.claim(of.main, now)
        of.applied(Wait(seq=of.main.seq, fence=of.instance.fence, until=None, known_visits=1), now)
        assert isinstance(next_action(of.instance, now), Due)

    def test_a_crashed_run_is_taken_over_first(self) -> None:
        of = life()
        of.applied(cancel_at("2026-01-31T00:00:10"), at("2026-01-31"))
        of.claim(of.main, at("2026-01-31T00:00:05"))
        assert next_action(of.instance, at("2026-02-01")) == Due(
            event=of.running, abandoned=of.instance.lease
        )

    def test_an_added_event_runs_only_if_it_is_due_before_the_date(self) -> None:
        of = billed()
        of.applied(cancel_at("2026-02-20"), NOON)
        of.applied(AddEvent(task="greet", by=ANN, date=at("2026-02-20")), NOON)
        assert next_event(of.instance) is None
        of.applied(AddEvent(task="part", by=ANN, date=at("2026-02-19")), NOON)
        assert next_event(of.instance) == of.event("part")

    def test_an_event_that_does_not_run_cannot_be_queued_after_the_date(self) -> None:
        of = billed()
        of.applied(cancel_at("2026-02-20"), NOON)
        refused = of.decide(Execute(seq=of.main.seq, by=ANN), at("2026-02-20"))
        assert isinstance(refused, Refused)
        assert refused.rule is RefusalRule.STATE

    @pytest.mark.parametrize(
        ("now", "is_refused"),
        [
            ("2026-01-31T00:29:59", False),
            ("2026-01-31T00:30", True),
            ("2026-01-31T00:30:01", True),
            ("2026-01-31T09:00", True),
        ],
    )
    @pytest.mark.parametrize("waits", ["retry", "delay"])
    def test_a_begun_event_that_does_not_run_cannot_be_queued_after_the_date_either(
        self,
        waits: str,
        now: str,
        is_refused: bool,  # noqa: FBT001
    ) -> None:
        """The runner that cancels the instance is late, and the next attempt or step is after the date."""
        of = life(strategy(retry=retries(2)))
        of.applied(cancel_at("2026-01-31T00:30"), at("2026-01-31"))
        of.claim(of.main, at("2026-01-31"))
        if waits == "retry":
            of.conclude(ended(Ending.RETRY, at("2026-01-31")), at("2026-01-31"))
        else:
            fence, until = of.instance.fence, at("2026-01-31T01:00")
            of.applied(Wait(seq=1, fence=fence, until=until, known_visits=0), at("2026-01-31"))
        verdict = of.decide(Execute(seq=1, by=ANN), at(now))
        assert isinstance(verdict, Refused) is is_refused
        assert isinstance(next_action(of.instance, at(now)), CancelDue if is_refused else Due)

    def test_an_event_after_the_date_can_be_queued_before_it(self) -> None:
        of = billed()
        of.applied(cancel_at("2026-02-20"), NOON)
        of.applied(Execute(seq=of.main.seq, by=ANN), NOON)
        assert next_event(of.instance) == of.main

    def test_a_plan_that_ends_before_the_date_completes_the_instance(self) -> None:
        of = billed(life(request=new(end_date="2026-02-15")))
        assert of.instance.status is InstanceStatus.COMPLETED
        of = life(request=new(end_date="2026-02-15"))
        of.applied(cancel_at("2026-02-20"), NOON)
        of.run(of.main, NOON)
        assert of.instance.status is InstanceStatus.COMPLETED
        assert of.instance.cancellation is None
        assert isinstance(next_action(of.instance, at("2026-02-20")), Idle)

    def test_an_end_date_before_the_date_is_swept_first(self) -> None:
        of = life(strategy(manualTrigger=True), new(end_date="2026-02-10"))
        of.applied(cancel_at("2026-02-20"), NOON)
        assert sweep_at(of.instance) == at("2026-02-10")
        assert isinstance(next_action(of.instance, at("2026-02-10")), PlanExpired)
        of.applied(Finish(), at("2026-02-10"))
        assert of.instance.status is InstanceStatus.COMPLETED

    def test_a_date_before_the_end_date_is_swept_first(self) -> None:
        of = life(strategy(manualTrigger=True), new(end_date="2026-02-10"))
        of.applied(cancel_at("2026-02-05"), NOON)
        assert sweep_at(of.instance) == at("2026-02-05T00:03")

    def test_a_cancellation_that_does_not_take_effect_is_late(self) -> None:
        of = billed()
        of.applied(cancel_at("2026-02-20"), NOON)
        problem = late_since(of.instance, by=at("2026-02-20"))
        assert problem is not None
        assert (problem.kind, problem.since) == (ProblemKind.LATE, at("2026-02-20"))
        assert (
            problem.why
            == "the cancellation at 2026-02-20T00:00:00.000Z has not taken effect: nothing has run it"
        )


class TestEndOfCycle:
    """`endOfCycle` is the planned date of the open main event if it has not begun, else the next planned date."""

    def test_an_open_cycle_that_has_not_begun_does_not_run(self) -> None:
        of = billed()
        of.applied(END, NOON)
        assert of.instance.cancellation == ScheduledCancellation(
            at=NEXT, by="bob", scheduled_at=NOON, note="moves away", from_cycle=2
        )
        assert of.audit[-1].options == ("at=endOfCycle", "date=2026-02-28T00:00:00.000Z")
        # Neither the reminder of 25 February nor the bill of 28 February.
        assert next_event(of.instance) is None
        apply(of, NEXT)
        assert of.closed[-2:] == [("remind", "CANCELED"), ("bill", "CANCELED")]
        assert of.open == [("part", "2026-03-01T00:00")]

    def test_the_phase_is_as_before(self) -> None:
        of = billed()
        before = phase_of(of.instance, now=NOON)
        of.applied(END, NOON)
        assert phase_of(of.instance, now=NOON) is before is Phase.AHEAD

    def test_the_planned_date_counts_and_not_the_one_it_was_moved_to(self) -> None:
        """The 28th of February is a Saturday."""
        moved = calendar(businessDays={"convention": "following"})
        of = billed(life(strategy(moved), now="2026-01-28"))
        assert of.main.date == at("2026-03-02")
        of.applied(END, NOON)
        assert of.instance.cancellation is not None
        assert of.instance.cancellation.at == NEXT

    def test_a_cycle_due_before_its_planned_date_does_not_run(self) -> None:
        moved = calendar(businessDays={"convention": "preceding"})
        of = billed(life(strategy(moved), now="2026-01-28"))
        assert of.main.date == at("2026-02-27")
        of.applied(END, NOON)
        assert next_event(of.instance) is None
        assert next_action(of.instance, at("2026-02-27T12:00")) == Scheduled(
            at=NEXT, wakeup_name=f"i-1-at-{int(NEXT.timestamp() * 1000):x}"
        )

    def test_a_cycle_that_has_begun_ends_first(self) -> None:
        of = life(strategy(reminded(days=3), retry=retries(2)))
        of.run(of.main, at("2026-01-31"), ended(Ending.RETRY, at("2026-01-31")))
        of.applied(END, at("2026-01-31T00:10"))
        assert of.instance.cancellation is not None
        assert (of.instance.cancellation.at, of.instance.cancellation.from_cycle) == (NEXT, 2)
        assert next_event(of.instance) == of.main
        of.run(of.main, at("2026-01-31T01:00"))
        # Cycle 2 is planned, and does not run.
        assert of.main.date == NEXT
        assert next_event(of.instance) is None
        apply(of, NEXT)

    def test_a_cycle_that_has_begun_ends_first_beyond_the_date(self) -> None:
        of = life(strategy(calendar(HOURLY), retry=retries(3)))
        of.run(of.main, at("2026-01-31"), ended(Ending.RETRY, at("2026-01-31")))
        of.applied(END, at("2026-01-31T00:10"))
        of.run(of.main, at("2026-01-31T01:30"), ended(Ending.RETRY, at("2026-01-31T01:30")))
        assert next_action(of.instance, at("2026-01-31T02:00")) == Scheduled(
            at=at("2026-01-31T02:30"), wakeup_name="i-1-1-3"
        )
        of.run(of.main, at("2026-01-31T02:30"))
        assert next_action(of.instance, at("2026-01-31T02:30")) == CancelDue(at=at("2026-01-31T01:00"))

    def test_a_date_that_has_passed_takes_effect_at_the_end_of_the_begun_cycle(self) -> None:
        of = life(strategy(calendar(HOURLY), retry=retries(3)))
        of.run(of.main, at("2026-01-31"), ended(Ending.RETRY, at("2026-01-31")))
        of.run(of.main, at("2026-01-31T01:30"), ended(Ending.RETRY, at("2026-01-31T01:30")))
        of.applied(END, at("2026-01-31T02:00"))
        assert next_event(of.instance) == of.main
        of.run(of.main, at("2026-01-31T02:30"))
        apply(of, at("2026-01-31T02:30"))

    def test_a_paused_instance_is_canceled_although_its_cycle_has_begun(self) -> None:
        of = life(strategy(retry=retries(2)))
        of.run(of.main, at("2026-01-31"), ended(Ending.RETRY, at("2026-01-31")))
        of.applied(Pause(by=ANN), at("2026-01-31T00:10"))
        of.applied(END, NOON)
        assert next_action(of.instance, NEXT) == CancelDue(at=NEXT)
        apply(of, NEXT)
        assert of.closed == [("bill", "CANCELED")]

    def test_a_missed_cycle_ends_at_once(self) -> None:
        of = life(request=new("2026-02-05"))
        of.applied(Pause(by=ANN), NOON)
        of.applied(END, at("2026-02-06"))
        apply(of, at("2026-02-06"))

    def test_a_main_event_that_does_not_run_cannot_be_queued(self) -> None:
        of = billed()
        of.applied(END, NOON)
        refused = of.decide(Execute(seq=of.main.seq, by=ANN), NOON)
        assert isinstance(refused, Refused)
        assert refused.why == (
            "the instance is canceled before the event runs; revoke the cancellation first"
        )

    def test_an_added_event_before_the_date_runs(self) -> None:
        of = billed()
        of.applied(END, NOON)
        of.applied(AddEvent(task="greet", by=ANN, date=at("2026-02-20")), NOON)
        assert next_event(of.instance) == of.event("greet")

    def test_a_reminder_that_has_begun_ends(self) -> None:
        of = billed(life(strategy(reminded(days=3), retry=retries(2))))
        remind = of.event("remind")
        of.claim(remind, at("2026-02-25"))
        of.applied(END, at("2026-02-25"))
        of.applied(
            Wait(seq=remind.seq, fence=of.instance.fence, until=at("2026-02-26"), known_visits=1),
            at("2026-02-25"),
        )
        assert next_event(of.instance) == of.event("remind")

    def test_a_cycle_that_is_planned_instead_does_not_run_either(self) -> None:
        of = billed(life())
        of.applied(END, NOON)
        of.applied(CancelEvent(seq=of.main.seq, by=ANN), NOON)
        assert of.main.date == at("2026-03-31")
        assert next_event(of.instance) is None
        apply(of, NEXT)

    @pytest.mark.parametrize(
        "of",
        [
            # The plan ends with this cycle.
            life(request=new(end_date="2026-02-15")),
            # A single date.
            life(
                request=replace(new("2026-01-31"), schedule=OwnSchedule(once=True)),
            ),
        ],
        ids=["end date", "single date"],
    )
    def test_a_begun_cycle_without_a_next_one_is_refused(self, of: Life) -> None:
        of.claim(of.main, at("2026-01-31"))
        refused = of.decide(END, NOON)
        assert isinstance(refused, Refused)
        assert refused.rule is RefusalRule.STATE
        assert refused.why == "the plan has no further date; cancel the instance now, or give a date"

    def test_an_instance_on_call_is_refused(self) -> None:
        of = life(request=replace(new("2026-01-31"), schedule=OwnSchedule(cron="0 6 * * *", on_call=True)))
        assert isinstance(of.decide(END, NOON), Refused)

    def test_an_instance_whose_plan_has_ended_is_refused(self) -> None:
        of = life(request=new(end_date="2026-02-15"))
        of.applied(AddEvent(task="greet", by=ANN, date=at("2026-06-01")), NOON)
        of.run(of.main, NOON)
        assert of.instance.main_event is None
        assert isinstance(of.decide(END, NOON), Refused)

    def test_a_next_cycle_without_a_date_is_refused(self) -> None:
        of = life(strategy(calendar(runOnCycle=1)))
        of.claim(of.main, at("2026-01-31"))
        refused = of.decide(END, NOON)
        assert isinstance(refused, Refused)
        assert refused.why == "the end of the cycle cannot be dated: no calendar for cycle 2"


class TestChanges:
    """A second command changes the date; the same again is already there."""

    @pytest.mark.parametrize("command", [END, cancel_at("2026-03-15")])
    def test_the_same_again_changes_nothing(self, command: CancelAt) -> None:
        of = billed()
        of.applied(command, NOON)
        assert isinstance(of.decide(command, NOON), AlreadyThere)

    def test_another_date_replaces_the_end_of_the_cycle(self) -> None:
        of = billed()
        of.applied(END, NOON)
        of.applied(cancel_at("2026-03-15"), NOON)
        # The bill of 28 February runs now.
        assert next_event(of.instance) == of.event("remind")

    def test_the_end_of_the_cycle_replaces_the_same_date(self) -> None:
        of = billed()
        of.applied(cancel_at("2026-02-28"), NOON)
        of.applied(END, NOON)
        assert next_event(of.instance) is None

    def test_a_cancel_cancels_at_once(self) -> None:
        of = billed()
        of.applied(END, NOON)
        of.applied(Cancel(by=ANN), NOON)
        assert stop_of(of.instance).by == "ann"
        assert of.instance.cancellation is None
        assert isinstance(of.decide(ApplyCancellation(), NEXT), AlreadyThere)

    @pytest.mark.parametrize(
        ("date", "message"),
        [("2026-01-31T12:00", "must be after now"), ("2036-02-15", "must be at most ten years ahead")],
    )
    def test_a_date_out_of_range_is_refused(self, date: str, message: str) -> None:
        refused = billed().decide(cancel_at(date), NOON)
        assert isinstance(refused, Refused)
        assert refused.rule is RefusalRule.INPUT
        assert refused.problems == (Problem(pointer="/at", rule="range", message=message),)

    def test_a_canceled_instance_is_already_canceled(self) -> None:
        of = billed()
        of.applied(Cancel(by=ANN), NOON)
        assert isinstance(of.decide(END, NOON), AlreadyThere)

    def test_a_completed_instance_is_refused(self) -> None:
        of = billed(life(request=new(end_date="2026-02-15")))
        refused = of.decide(cancel_at("2026-03-15"), NOON)
        assert isinstance(refused, Refused)
        assert refused.rule is RefusalRule.STATE

    def test_a_repeated_command_of_a_bulk_operation_applies_once(self) -> None:
        of, by = billed(), replace(BOB, operation=OperationSid("o-1"))
        of.applied(CancelAt(by=by), NOON)
        of.applied(RevokeCancellation(by=ANN), NOON)
        assert isinstance(of.decide(CancelAt(by=by), NOON), AlreadyThere)
        assert of.instance.cancellation is None

    @pytest.mark.parametrize(
        "command",
        [
            Resume(by=ANN),
            Update(by=ANN, sets_end_date=True, end_date=at("2027-01-01")),
            Migrate(to=strategy(reminded(days=3), version=2), by=ANN),
        ],
        ids=["resume", "update", "migrate"],
    )
    def test_other_commands_keep_it(self, command: Resume | Update | Migrate) -> None:
        of = billed()
        of.applied(END, NOON)
        of.applied(Pause(by=ANN), NOON)
        scheduled = of.instance.cancellation
        of.applied(command, NOON)
        assert of.instance.cancellation == scheduled


class TestRevoking:
    """Only `DELETE …/cancel` revokes a scheduled cancellation."""

    def test_what_was_barred_runs_again(self) -> None:
        of = billed()
        of.applied(END, NOON)
        of.applied(RevokeCancellation(by=ANN), NOON)
        assert of.instance.cancellation is None
        assert next_event(of.instance) == of.event("remind")
        assert (of.audit[-1].command, of.audit[-1].by) == ("revoke-cancel", "ann")

    def test_without_one_nothing_changes(self) -> None:
        assert isinstance(billed().decide(RevokeCancellation(by=ANN), NOON), AlreadyThere)

    def test_a_canceled_instance_is_refused(self) -> None:
        of = billed()
        of.applied(cancel_at("2026-02-20"), NOON)
        apply(of, at("2026-02-20"))
        refused = of.decide(RevokeCancellation(by=ANN), at("2026-02-20"))
        assert isinstance(refused, Refused)
        assert refused.rule is RefusalRule.STATE


class TestPauses:
    """A paused instance is canceled at its date; of two dates, the earlier one comes first."""

    def test_a_paused_instance_is_canceled_at_its_date(self) -> None:
        of = billed()
        of.applied(cancel_at("2026-02-20"), NOON)
        of.applied(Pause(by=ANN), NOON)
        apply(of, at("2026-02-20"))

    def test_dates_missed_by_the_pause_do_not_run(self) -> None:
        of = life(strategy(calendar(DAILY)))
        of.run(of.main, at("2026-01-31"))
        of.applied(cancel_at("2026-02-20"), NOON)
        of.applied(Pause(by=ANN), NOON)
        assert next_action(of.instance, at("2026-02-20")) == CancelDue(at=at("2026-02-20"))

    def test_an_earlier_end_of_the_pause_comes_first_even_if_both_have_passed(self) -> None:
        of = life(strategy(calendar(DAILY)))
        of.run(of.main, at("2026-01-31"))
        of.applied(Pause(by=ANN, sets_until=True, until=at("2026-02-10")), NOON)
        of.applied(cancel_at("2026-02-11T12:00"), NOON)
        late = at("2026-02-20")
        assert next_action(of.instance, late) == ResumeDue(at=at("2026-02-10"))
        of.applied(EndPause(), late)
        # Of the dates in the pause the last one runs, by ``onResume``. What fell due between the two dates runs, too.
        for day in (9, 10, 11):
            assert of.main.date == at(f"2026-02-{day:02}")
            of.run(of.main, late)
        apply(of, late)

    def test_at_the_same_date_the_instance_is_canceled(self) -> None:
        of = billed()
        of.applied(Pause(by=ANN, sets_until=True, until=at("2026-02-20")), NOON)
        of.applied(cancel_at("2026-02-20"), NOON)
        assert next_action(of.instance, at("2026-02-20")) == CancelDue(at=at("2026-02-20"))
        assert isinstance(of.decide(EndPause(), at("2026-02-20")), AlreadyThere)

    def test_a_resume_keeps_the_dates_of_the_plan_from_running_after_it(self) -> None:
        of = life(strategy(calendar(DAILY), onResume="last"))
        of.run(of.main, at("2026-01-31"))
        of.applied(END, NOON)
        of.applied(Pause(by=ANN), NOON)
        of.applied(Resume(by=ANN, on_late=OnResume.LAST), at("2026-02-09"))
        assert next_event(of.instance) is None
        apply(of, at("2026-02-09"))


class TestOtherEvents:
    """On-cancel events run after the cancellation."""

    def test_on_cancel_events_are_not_barred(self) -> None:
        of = billed()
        of.applied(cancel_at("2026-02-20"), NOON)
        apply(of, at("2026-02-20"))
        part = of.event("part")
        assert part.kind is EventKind.ON_CANCEL
        assert next_event(of.instance) == part
        of.run(part, at("2026-02-21"))
        assert of.records[-1].event.status is EventStatus.PROCESSED

    def test_an_event_with_a_failed_attempt_of_another_task_is_barred_by_its_date(self) -> None:
        soon: Json = {"unit": "minutes", "amount": 30}
        of = life(strategy(initial_delay=soon, parts={"onCreateTasks": [{"task": "greet"}]}))
        of.applied(END, at("2026-01-31"))
        greet = of.event("greet")
        of.run(greet, at("2026-01-31"), ended(Ending.RETRY, at("2026-01-31")))
        assert next_event(of.instance) is None

    def test_on_cancel_tasks_see_why(self) -> None:
        when = "instance.cancelReason == 'HTTP_REQUEST'"
        of = billed(life(strategy(parts={"onCancelTasks": [{"task": "part", "createIf": when}]})))
        of.applied(cancel_at("2026-02-20"), NOON)
        apply(of, at("2026-02-20") + timedelta(hours=1))
        assert of.open == [("part", "2026-02-20T01:00")]
