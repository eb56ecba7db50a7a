"""Moving a date by command. Source: docs/contracts/core.md section 5; docs/decisions/0056 and 0062."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from shared.domain.calendar.instance_schedule import OwnSchedule
from shared.domain.ids import OperationSid
from shared.domain.instance.due import Due, Scheduled, next_action
from shared.domain.instance.event import EventStatus, Move
from shared.domain.instance.journal import ClosedBy
from shared.domain.instance.model import Blocked, BlockedBy, InstanceStatus
from shared.domain.instance.run import Ending
from shared.domain.instance.verdict import Actor, AlreadyThere, Applied, RefusalRule, Refused
from shared.domain.lifecycle.commands import (
    AddEvent,
    Cancel,
    CancelAt,
    Execute,
    Migrate,
    Pause,
    Reschedule,
    Resume,
    RevokeCancellation,
)
from shared.domain.planning.forecast import forecast
from shared.domain.strategy.model import Json, OnResume
from tests.lifecycle_factories import (
    ANN,
    DAILY,
    Life,
    at,
    by_cron,
    calendar,
    ended,
    life,
    new,
    reminded,
    retries,
    shown,
    strategy,
)

NOW = at("2026-02-01")


def to(date: str, *, seq: int | None = None, keeps: bool = True, by: Actor = ANN) -> Reschedule:
    return Reschedule(date=at(date), seq=seq, keep_anchor=keeps, by=by)


def monthly(one: Json = None, *, start: str = "2026-02-10", **config: Json) -> Life:
    """Return the life of an instance whose first charge is due on 10 February, seen on the 1st."""
    return life(strategy(one or reminded(), **config), new(start), now="2026-02-01")


def refused(of: Life, command: Reschedule, now: str = "2026-02-01") -> Refused:
    before = of.instance
    verdict = of.decide(command, at(now))
    assert isinstance(verdict, Refused), verdict
    assert of.instance is before
    return verdict


class TestTheNextDate:
    """Without an event, the open main event moves, and its leading-up events move along."""

    def test_main_and_leading_up_events_move(self) -> None:
        of = monthly()
        before = {event.task: event.wakeup_seq for event in of.instance.events}
        of.applied(to("2026-02-20T08:00"), NOW)
        assert of.open == [("remind", "2026-02-17T08:00"), ("bill", "2026-02-20T08:00")]
        assert all(event.wakeup_seq == before[event.task] + 1 for event in of.instance.events)
        assert all(event.due_at == event.date for event in of.instance.events)

    def test_the_anchor_stays(self) -> None:
        of = monthly()
        of.applied(to("2026-02-20"), NOW)
        assert of.main.move == Move(planned=at("2026-02-10"), why="rescheduled by ann")
        assert (of.instance.plan.due, of.main.planned_date) == (at("2026-02-20"), at("2026-02-10"))
        of.run(of.event("remind"), at("2026-02-17"))
        of.run(of.main, at("2026-02-20"))
        assert of.open == [("remind", "2026-03-07T00:00"), ("bill", "2026-03-10T00:00")]

    def test_without_the_anchor_the_next_cycle_counts_from_there(self) -> None:
        of = monthly(calendar())
        of.applied(to("2026-02-20", keeps=False), NOW)
        assert (of.main.move, of.instance.plan.moved_to) == (None, None)
        of.run(of.main, at("2026-02-20"))
        assert of.main.date == at("2026-03-20")

    def test_it_may_move_to_an_earlier_date(self) -> None:
        of = monthly()
        of.applied(to("2026-02-05"), NOW)
        assert of.open == [("remind", "2026-02-02T00:00"), ("bill", "2026-02-05T00:00")]
        of.run(of.event("remind"), at("2026-02-02"))
        of.run(of.main, at("2026-02-05"))
        assert of.main.date == at("2026-03-10")

    def test_a_second_move_keeps_the_planned_date(self) -> None:
        of = monthly()
        of.applied(to("2026-02-20"), NOW)
        of.applied(to("2026-02-15"), NOW)
        assert of.main.planned_date == at("2026-02-10")
        of.applied(to("2026-02-10"), NOW)
        assert (of.main.move, of.instance.plan.moved_to) == (None, None)

    def test_no_business_day_rule_moves_the_date_on(self) -> None:
        """14 and 28 February 2026 are Saturdays."""
        of = monthly(calendar(businessDays={"convention": "following"}))
        of.applied(to("2026-02-14", keeps=False), NOW)
        assert of.main.date == at("2026-02-14")
        of.run(of.main, at("2026-02-14"))
        assert of.main.date == at("2026-03-16")

    def test_a_date_that_a_rule_has_moved_keeps_its_planned_one(self) -> None:
        of = monthly(calendar(businessDays={"convention": "following"}), start="2026-02-07")
        assert of.main.date == at("2026-02-09")
        of.applied(to("2026-02-12"), NOW)
        assert of.main.move == Move(planned=at("2026-02-07"), why="rescheduled by ann")

    def test_the_forecast_shows_it(self) -> None:
        of = monthly()
        of.applied(to("2026-02-20"), NOW)
        cycles = forecast(of.strategy, of.instance, cycles=2, now=NOW).cycles
        assert shown(*(cycle.main.date for cycle in cycles)) == ["2026-02-20T00:00", "2026-03-10T00:00"]

    def test_the_audit_has_date_and_anchor_and_the_dates_before(self) -> None:
        of = monthly()
        of.applied(to("2026-02-20"), NOW)
        (entry,) = of.audit
        assert (entry.command, entry.event, entry.options) == (
            "reschedule",
            "i-1-2",
            (
                "date=2026-02-20T00:00:00.000Z",
                "before-1=2026-02-07T00:00:00.000Z",
                "before=2026-02-10T00:00:00.000Z",
                "keepAnchor=true",
            ),
        )

    def test_a_rule_of_the_last_resume_is_over(self) -> None:
        of = monthly(calendar(DAILY))
        of.applied(Pause(by=ANN), at("2026-02-09"))
        of.applied(Resume(by=ANN, on_late=OnResume.ALL), at("2026-02-12T12:00"))
        assert of.instance.plan.on_late is OnResume.ALL
        of.applied(to("2026-02-12T13:00", keeps=False), at("2026-02-12T12:00"))
        assert of.instance.plan.on_late is None


class TestLeadingUpEvents:
    """Those that have not begun move along; those that ran stay as they are."""

    def test_one_that_has_run_does_not_run_again(self) -> None:
        of = monthly()
        of.run(of.event("remind"), at("2026-02-07"))
        of.applied(to("2026-02-20"), at("2026-02-08"))
        assert of.open == [("bill", "2026-02-20T00:00")]

    def test_one_whose_date_has_passed_then_is_skipped(self) -> None:
        of = monthly()
        of.applied(to("2026-02-03"), NOW)
        record = of.record("remind")
        assert (record.closed_by, record.why, record.by) == (
            ClosedBy.LATE_PLAN,
            "skipped: its date had passed when its main event was moved",
            "ann",
        )

    def test_one_that_may_be_late_runs_at_once(self) -> None:
        of = monthly(reminded(late=True))
        of.applied(to("2026-02-03"), NOW)
        assert of.open == [("remind", "2026-01-31T00:00"), ("bill", "2026-02-03T00:00")]

    def test_one_that_may_never_be_on_that_day_is_skipped(self) -> None:
        """21 February 2026 is a Saturday."""
        before = {"unit": "days", "amount": 3, "businessDays": {"convention": "skip"}}
        of = monthly(calendar(leadingUpTasks=[{"task": "remind", "scheduleBefore": before}]))
        of.applied(to("2026-02-24"), NOW)
        assert of.record("remind").closed_by is ClosedBy.NO_BUSINESS_DAY

    def test_one_that_counts_from_an_attribute_stays(self) -> None:
        entry = {"task": "remind", "scheduleBefore": {"unit": "days", "amount": 3, "from": "due"}}
        of = life(
            strategy(calendar(leadingUpTasks=[entry])), new("2026-02-10", due="2026-02-09"), now="2026-02-01"
        )
        seq = of.event("remind").wakeup_seq
        of.applied(to("2026-02-20"), NOW)
        assert (of.open[0], of.event("remind").wakeup_seq) == (("remind", "2026-02-06T00:00"), seq)

    def test_each_of_the_same_task_keeps_its_own_distance(self) -> None:
        entries = [
            {"task": "remind", "scheduleBefore": {"unit": "days", "amount": days}} for days in (7, 3, 1)
        ]
        of = monthly(calendar(leadingUpTasks=entries))
        of.run(of.instance.events[0], at("2026-02-03"))
        of.applied(to("2026-02-20"), at("2026-02-03"))
        assert of.open[:2] == [("remind", "2026-02-17T00:00"), ("remind", "2026-02-19T00:00")]

    def test_one_of_another_version_keeps_its_distance(self) -> None:
        of = monthly(reminded(days=5))
        for version, one in ((2, calendar()), (3, calendar(key="a")), (4, reminded(days=2))):
            others = [calendar(key="b", runOnCycle=9)] if version == 3 else []
            after = strategy(one, *others, version=version)
            of.applied(Migrate(to=after, by=ANN), NOW)
            of.strategy = after
            of.applied(to(f"2026-02-{10 + version}"), NOW)
            distance = 2 if version == 4 else 5
            assert of.open[0] == ("remind", f"2026-02-{10 + version - distance:02}T00:00")
        of.strategy = strategy(calendar(), version=4)
        of.applied(to("2026-02-02"), NOW)
        assert of.record("remind").closed_by is ClosedBy.LATE_PLAN

    def test_one_with_tasks_in_another_order_is_found_by_its_task(self) -> None:
        of = monthly(reminded(days=5))
        entries = [
            {"task": task, "scheduleBefore": {"unit": "days", "amount": days}}
            for task, days in (("remind", 4), ("part", 1))
        ]
        after = strategy(calendar(leadingUpTasks=entries), version=2)
        of.applied(Migrate(to=after, by=ANN), NOW)
        of.strategy = after
        of.applied(to("2026-02-20"), NOW)
        assert of.open[0] == ("remind", "2026-02-16T00:00")


class TestOneEvent:
    """Another event than the main one moves alone."""

    def test_a_leading_up_event(self) -> None:
        of = monthly()
        of.applied(to("2026-02-09", seq=1), NOW)
        assert of.open == [("remind", "2026-02-09T00:00"), ("bill", "2026-02-10T00:00")]
        assert of.event("remind").move == Move(planned=at("2026-02-07"), why="rescheduled by ann")
        assert of.audit[-1].options == (
            "date=2026-02-09T00:00:00.000Z",
            "before=2026-02-07T00:00:00.000Z",
        )

    def test_a_leading_up_event_is_never_after_its_main_event(self) -> None:
        (problem,) = refused(monthly(), to("2026-02-11", seq=1)).problems
        assert (problem.pointer, problem.message) == (
            "/date",
            "must not be after its main event, 2026-02-10T00:00:00.000Z",
        )

    def test_an_added_event(self) -> None:
        of = monthly()
        of.applied(AddEvent(task="part", date=at("2026-02-05"), by=ANN), NOW)
        of.applied(to("2026-05-01", seq=3), NOW)
        assert of.open[-1] == ("part", "2026-05-01T00:00")

    def test_the_main_event_by_its_number(self) -> None:
        of = monthly()
        of.applied(to("2026-02-20", seq=2), NOW)
        assert of.main.date == at("2026-02-20")

    def test_an_on_cancel_event_of_a_canceled_instance(self) -> None:
        parts: Json = {"onCancelTasks": [{"task": "part", "delayBy": DAILY}]}
        of = life(strategy(parts=parts), new("2026-02-10"), now="2026-02-01")
        of.applied(Cancel(by=ANN), NOW)
        of.applied(to("2026-02-04", seq=2), NOW)
        assert of.open == [("part", "2026-02-04T00:00")]

    def test_an_added_event_has_no_next_cycle(self) -> None:
        problems = refused(monthly(), to("2026-01-01", seq=1, keeps=False)).problems
        assert [problem.pointer for problem in problems] == ["/date", "/keepAnchor"]


class TestRefused:
    """Nothing changes, and the text says why."""

    def test_a_date_in_the_past(self) -> None:
        (problem,) = refused(monthly(), to("2026-01-31T23:59")).problems
        assert (problem.pointer, problem.rule, problem.message) == (
            "/date",
            "range",
            "must not be in the past",
        )

    def test_a_date_after_the_end_date(self) -> None:
        of = life(strategy(), new("2026-02-10", end_date="2026-02-28"), now="2026-02-01")
        (problem,) = refused(of, to("2026-03-01")).problems
        assert problem.message == "must not be after the end date of the instance, 2026-02-28T00:00:00.000Z"

    def test_a_date_that_the_zone_does_not_have(self) -> None:
        of = life(strategy(timezone="Pacific/Auckland"), new("2026-02-10"), now="2026-02-01")
        (problem,) = refused(of, to("9999-12-31T23:00")).problems
        assert problem.pointer == "/date"

    def test_a_final_instance(self) -> None:
        of = monthly()
        of.applied(AddEvent(task="part", date=at("2026-02-05"), by=ANN), NOW)
        of.applied(Cancel(by=ANN), NOW)
        assert refused(of, to("2026-02-20")).why == "the instance is CANCELED"
        assert refused(of, to("2026-02-20", seq=3)).rule is RefusalRule.FINISHED

    def test_a_final_instance_with_a_running_event(self) -> None:
        of = monthly(calendar())
        of.claim(of.main, at("2026-02-10"))
        assert of.instance.executing is not None
        of.applied(Cancel(by=ANN), at("2026-02-10"))
        assert refused(of, to("2026-02-20"), "2026-02-10").why == "the instance is CANCELED"

    def test_a_plan_without_an_open_cycle(self) -> None:
        of = life(strategy(), new("2026-02-10", end_date="2026-02-28"), now="2026-02-01")
        of.applied(AddEvent(task="part", date=at("2026-05-05"), by=ANN), NOW)
        of.run(of.main, at("2026-02-10"))
        assert of.instance.status is InstanceStatus.ACTIVE
        assert refused(of, to("2026-02-20"), "2026-02-10").why == "the plan has ended"

    def test_an_event_that_retries(self) -> None:
        of = monthly(calendar(), start="2026-02-01")
        of.strategy = strategy(retry=retries())
        of.run(of.main, NOW, ended(Ending.RETRY, NOW))
        why = "the event has begun and waits for its next attempt, so its date cannot be moved"
        assert refused(of, to("2026-02-03")).why == why

    def test_a_running_event(self) -> None:
        of = monthly(calendar(), start="2026-02-01")
        of.claim(of.main, NOW)
        assert "is EXECUTING" in refused(of, to("2026-02-03")).why

    def test_a_queued_event(self) -> None:
        of = monthly()
        of.applied(Execute(seq=2, by=ANN), NOW)
        assert refused(of, to("2026-02-03")).why == "the event is QUEUED and runs now"

    @pytest.mark.parametrize("seq", [0, 99])
    def test_an_event_that_does_not_exist(self, seq: int) -> None:
        (problem,) = refused(monthly(), to("2026-02-03", seq=seq)).problems
        assert (problem.pointer, problem.rule) == ("/event", "reference")

    def test_the_dates_of_a_cron_expression_stay(self) -> None:
        of = monthly(by_cron("0 9 10 * *"))
        verdict = refused(of, to("2026-02-12", keeps=False))
        assert (verdict.rule, verdict.why) == (
            RefusalRule.SHIFT,
            "the dates of a plan by cron are fixed, so that keepAnchor must be true",
        )
        of.applied(to("2026-02-12"), NOW)
        of.run(of.main, at("2026-02-12"))
        assert of.main.date == at("2026-03-10T09:00")

    def test_an_instance_on_call(self) -> None:
        request = replace(new("2026-02-10"), schedule=OwnSchedule(on_call=True))
        of = life(strategy(), request, now="2026-02-01")
        assert refused(of, to("2026-02-20")).why == "the instance runs on call and has no date"

    def test_an_own_single_date_moves(self) -> None:
        of = life(strategy(), replace(new("2026-02-10"), schedule=OwnSchedule()), now="2026-02-01")
        of.applied(to("2026-02-20", keeps=False), NOW)
        assert of.open == [("bill", "2026-02-20T00:00")]


class TestACycleThatWouldNotRun:
    """A date that reaches the next cycle's would let that one coincide, and no one would be charged for it."""

    def test_it_is_refused(self) -> None:
        verdict = refused(monthly(), to("2026-03-10"))
        assert (verdict.rule, verdict.why) == (
            RefusalRule.SHIFT,
            (
                "cycle 2 is due on 2026-03-10T00:00:00.000Z and would not run; choose an earlier date, or skip this "
                "cycle and reschedule the next one"
            ),
        )

    def test_just_before_it_is_fine(self) -> None:
        monthly().applied(to("2026-03-09T23:59"), NOW)

    def test_without_the_anchor_nothing_is_lost(self) -> None:
        monthly().applied(to("2026-05-10", keeps=False), NOW)

    def test_a_plan_that_ends_before_it_loses_nothing(self) -> None:
        of = life(strategy(), new("2026-02-10", end_date="2026-03-09"), now="2026-02-01")
        of.applied(to("2026-03-09"), NOW)

    def test_the_last_cycle_before_the_end_is_not_lost_either(self) -> None:
        of = life(strategy(), new("2026-02-10", end_date="2026-03-20"), now="2026-02-01")
        assert refused(of, to("2026-03-15")).rule is RefusalRule.SHIFT

    def test_cycles_that_coincide_anyway_are_not_lost(self) -> None:
        """The cycles of Saturday, Sunday and Monday are one, on Monday the 9th."""
        of = monthly(calendar(DAILY, businessDays={"convention": "following"}), start="2026-02-07")
        of.applied(to("2026-02-09T12:00"), NOW)
        assert "cycle 4 is due on 2026-02-10" in refused(of, to("2026-02-10")).why

    def test_dates_that_fail_are_no_reason(self) -> None:
        monthly(calendar(runOnCycle=1)).applied(to("2026-05-10"), NOW)

    def test_a_dense_plan_loses_many(self) -> None:
        of = monthly(by_cron("0 0 * * *"))
        assert refused(of, to("2036-02-10")).rule is RefusalRule.SHIFT


class TestACancellationBeforeTheDate:
    """An event that would run may not be moved to where a scheduled cancellation bars it: its charge would be lost."""

    WHY = (
        "the instance is canceled at 2026-02-15T00:00:00.000Z, before the event would run; choose an earlier date, or "
        "revoke the cancellation first"
    )

    @pytest.mark.parametrize("keeps", [True, False])
    @pytest.mark.parametrize(
        ("date", "is_refused"),
        [
            ("2026-02-14T23:59:59", False),
            ("2026-02-15", True),
            ("2026-02-15T00:00:01", True),
            ("2026-02-20", True),
        ],
    )
    def test_the_main_event(self, date: str, is_refused: bool, keeps: bool) -> None:  # noqa: FBT001
        of = monthly()
        of.applied(CancelAt(by=ANN, at=at("2026-02-15")), NOW)
        if is_refused:
            verdict = refused(of, to(date, keeps=keeps))
            assert (verdict.rule, verdict.why) == (RefusalRule.SHIFT, self.WHY)
        else:
            of.applied(to(date, keeps=keeps), NOW)
            assert isinstance(next_action(of.instance, at(date)), Due)

    def test_another_event(self) -> None:
        of = monthly()
        of.applied(AddEvent(task="part", date=at("2026-02-12"), by=ANN), NOW)
        of.applied(CancelAt(by=ANN, at=at("2026-02-15")), NOW)
        seq = of.event("part").seq
        assert refused(of, to("2026-02-16", seq=seq)).why == self.WHY
        of.applied(to("2026-02-14", seq=seq), NOW)

    def test_what_is_barred_already_may_move(self) -> None:
        """Whether it runs is a matter of the cancellation, not of its date."""
        of = monthly()
        of.applied(CancelAt(by=ANN), NOW)
        of.applied(to("2026-02-20"), NOW)
        of.applied(RevokeCancellation(by=ANN), NOW)
        of.run(of.event("remind"), at("2026-02-17"))
        of.run(of.main, at("2026-02-20"))
        assert of.main.date == at("2026-03-10")

    def test_without_a_cancellation_it_moves(self) -> None:
        of = monthly()
        of.applied(CancelAt(by=ANN, at=at("2026-02-15")), NOW)
        of.applied(RevokeCancellation(by=ANN), NOW)
        of.applied(to("2026-02-20"), NOW)


class TestAround:
    """Pauses, flags, events on hold, and repeats."""

    def test_a_repeat_changes_nothing(self) -> None:
        of = monthly()
        for command in (to("2026-02-20"), to("2026-02-20", keeps=False), to("2026-02-07T12:00", seq=1)):
            of.applied(command, NOW)
            assert isinstance(of.decide(command, NOW), AlreadyThere)

    def test_the_next_one_of_a_bulk_operation_changes_nothing(self) -> None:
        of, by = monthly(), replace(ANN, operation=OperationSid("o-1"))
        of.applied(to("2026-02-20", by=by), NOW)
        of.applied(to("2026-02-25"), NOW)
        assert isinstance(of.decide(to("2026-02-20", by=by), NOW), AlreadyThere)

    def test_a_paused_instance(self) -> None:
        """A missed date that is moved to a later one is missed no more, whatever the rule is."""
        of = monthly(calendar(), onResume="skip")
        of.applied(Pause(by=ANN), at("2026-02-05"))
        of.applied(to("2026-02-20"), at("2026-02-15"))
        assert of.instance.status is InstanceStatus.PAUSED
        of.applied(Resume(by=ANN), at("2026-02-16"))
        assert of.open == [("bill", "2026-02-20T00:00")]

    def test_a_blocked_instance_is_free_until_the_new_date(self) -> None:
        of = monthly(calendar())
        blocked = Blocked(by=BlockedBy.QUEUE, since=at("2026-02-10"))
        of.instance = replace(of.instance, blocked=blocked)
        assert isinstance(next_action(of.instance, at("2026-02-11")), Due)
        of.applied(to("2026-02-20"), at("2026-02-11"))
        assert of.instance.blocked is None
        assert isinstance(next_action(of.instance, at("2026-02-11")), Scheduled)

    def test_an_onhold_event_stays_so(self) -> None:
        of = monthly(manualTrigger=True)
        of.applied(to("2026-02-20"), NOW)
        assert {event.status for event in of.instance.events} == {EventStatus.ONHOLD}
        assert of.open == [("remind", "2026-02-17T00:00"), ("bill", "2026-02-20T00:00")]

    def test_a_shift_after_it_keeps_both_dates(self) -> None:
        of = monthly(calendar())
        of.applied(to("2026-02-20"), NOW)
        of.applied(Pause(by=ANN), NOW)
        of.applied(Resume(by=ANN, on_late=OnResume.SHIFT), NOW + timedelta(days=1))
        assert (of.main.date, of.main.planned_date) == (at("2026-02-21"), at("2026-02-11"))

    def test_now_is_no_past(self) -> None:
        of = monthly()
        assert isinstance(of.decide(to("2026-02-01"), NOW), Applied)
        assert isinstance(next_action(of.instance, NOW), Due)
