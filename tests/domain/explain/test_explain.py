"""The reason why something did or did not run. Source: docs/contracts/core.md section 5; docs/decisions/0021."""

from datetime import timedelta
from typing import ClassVar

import pytest
from msgspec.structs import replace

from shared.domain.explain.instance import MAX_SUBJECTS, Evidence, Explanation, explain, subjects
from shared.domain.instance.event import EventStatus
from shared.domain.instance.journal import ClosedBy, EventHistory, EventRecord
from shared.domain.instance.model import BlockedBy, InstanceStatus
from shared.domain.instance.run import Ending, Intent, Outcome, RunEnd
from shared.domain.instance.verdict import Actor
from shared.domain.lifecycle.commands import (
    AddEvent,
    Apply,
    ApplyCancellation,
    Block,
    Cancel,
    CancelAt,
    CancelEvent,
    CancelTasks,
    Execute,
    Pause,
    Redrive,
    Reschedule,
    Resume,
    RevokeCancellation,
    Skip,
    Unblock,
    Update,
    Wait,
)
from shared.domain.planning.forecast import forecast_until
from shared.domain.steps.call import Answered
from shared.domain.steps.history import past_event
from shared.domain.strategy.model import Json, OnResume, Strategy
from tests.lifecycle_factories import (
    ANN,
    DAILY,
    DECLINED,
    DONE,
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
    succeeded,
)

BOB = Actor(name="bob", reason="moving house")
FAR = 50
"""How many cycles are forecast in these tests."""


def ask(of: Life, when: str, *, now: str, blocked_by: BlockedBy | None = None) -> Explanation:
    """Return the explanation, with everything stored about a life at hand."""
    request, present = at(when), at(now)
    closed = {record.event.seq: record for record in of.records}
    finding = (
        past_event(of.instance, seq, replace(of.event_history(seq), record=closed.get(seq)))
        for seq in range(1, of.instance.next_seq)
    )
    ahead = forecast_until(of.strategy, of.instance, max(request, present), most=FAR, now=present)
    known = Evidence(
        instance=of.instance,
        now=present,
        events=tuple(event for event in finding if event is not None),
        ahead=ahead.cycles,
        reminders=ahead.reminders,
        skipped=ahead.skipped,
        plan_ends=len(ahead.cycles) < FAR,
        blocked_by=blocked_by,
        audit=tuple(of.audit),
    )
    is_past = of.instance.created_at <= request <= present
    about = subjects(of.instance, of.records, request) if is_past else ()
    return explain(known, about, request)


def reason(found: Explanation) -> str:
    return found.finding.reason.value


def begun(of: Life, now: str, *outcomes: Outcome) -> Life:
    """Claim and execute the next due event, one minute per step, and conclude its run if it ends."""
    startable = (e for e in of.instance.events if e.due_at <= at(now) and of.instance.lets_start(e))
    event = min(startable, key=lambda e: (e.due_at, e.is_main))
    of.claim(event, at(now))
    for outcome in outcomes:
        then = of.step(outcome, at(now))
        if isinstance(then, RunEnd):
            of.conclude(then, at(now))
    return of


def daily(**config: Json) -> Strategy:
    return strategy(calendar(DAILY), **config)


class TestRan:
    """An event planned for that minute, or last begun in it, has run."""

    def test_a_run_is_explained_with_its_time(self) -> None:
        found = ask(begun(life(), "2026-01-31T00:00", DONE), "2026-01-31", now="2026-02-10")
        assert (reason(found), found.finding.since) == ("RAN", at("2026-01-31"))
        (answer,) = found.events
        assert (answer.planned.event.seq, answer.planned.cycle, answer.planned.event.task) == (1, 1, "bill")
        assert found.after is not None
        assert found.after.event.first_due_at == at("2026-02-28")

    def test_a_little_late_is_not_late(self) -> None:
        found = ask(begun(life(), "2026-01-31T00:03", DONE), "2026-01-31T00:00:30", now="2026-02-10")
        assert reason(found) == "RAN"

    def test_the_minute_of_a_retry_belongs_to_the_event(self) -> None:
        of = begun(life(strategy(retry=retries(1))), "2026-01-31", DECLINED)
        begun(of, "2026-01-31T01:00", DONE)
        assert reason(ask(of, "2026-01-31T01:00:20", now="2026-02-10")) == "RAN"
        assert reason(ask(of, "2026-01-31T01:30", now="2026-02-10")) == "NOT_PLANNED"

    def test_the_main_event_of_a_minute_comes_first(self) -> None:
        of = life(strategy(reminded(days=0)))
        begun(of, "2026-01-31", DONE)
        begun(of, "2026-01-31", DECLINED)
        found = ask(of, "2026-01-31", now="2026-01-31T12:00")
        assert [(a.planned.event.task, a.finding.reason.value) for a in found.events] == [
            ("bill", "FAILED"),
            ("remind", "RAN"),
        ]
        assert reason(found) == "FAILED"

    def test_at_most_twenty_events_are_explained(self) -> None:
        of = life(strategy(initial_delay=DAILY))
        for _ in range(25):
            of.applied(AddEvent(task="greet", by=ANN), at("2026-01-31"))
        assert len(subjects(of.instance, of.records, at("2026-01-31"))) == MAX_SUBJECTS == 20


class TestFailed:
    """The attempts are used up, or the runners crashed."""

    def test_a_failure_is_explained_with_its_error(self) -> None:
        found = ask(begun(life(), "2026-01-31", DECLINED), "2026-01-31", now="2026-02-10")
        assert (reason(found), found.finding.why) == ("FAILED", "shop/charge returned HTTP 402")

    def test_a_failure_explains_the_canceled_instance(self) -> None:
        of = begun(life(), "2026-01-31", DECLINED)
        found = ask(of, "2026-02-28", now="2026-03-01")
        assert (reason(found), found.finding.by, found.finding.why) == (
            "CANCELED",
            "engine",
            "bill: shop/charge returned HTTP 402",
        )


class TestWaitingForARetry:
    """An attempt had failed, and the next one was not due yet."""

    def of(self) -> Life:
        return begun(life(strategy(retry=retries(2))), "2026-01-31", DECLINED)

    @pytest.mark.parametrize("now", ["2026-01-31T00:30", "2026-01-31T00:59"])
    def test_a_waiting_retry_is_explained(self, now: str) -> None:
        found = ask(self.of(), now, now=now)
        assert (reason(found), found.finding.until) == ("WAITING_FOR_RETRY", at("2026-01-31T01:00"))
        assert (found.finding.since, found.finding.why) == (at("2026-01-31"), "shop/charge returned HTTP 402")

    def test_a_past_wait_for_a_retry_is_explained(self) -> None:
        of = begun(self.of(), "2026-01-31T01:00", DONE)
        found = ask(of, "2026-01-31T00:30", now="2026-02-10")
        assert (reason(found), found.finding.until) == ("WAITING_FOR_RETRY", at("2026-01-31T01:00"))

    def test_the_planned_minute_of_a_retried_event_is_explained(self) -> None:
        of = begun(self.of(), "2026-01-31T01:00", DONE)
        found = ask(of, "2026-01-31", now="2026-02-10")
        assert (reason(found), found.events[0].planned.event.first_due_at) == (
            "WAITING_FOR_RETRY",
            at("2026-01-31"),
        )

    def test_a_due_retry_no_longer_waits(self) -> None:
        assert reason(ask(self.of(), "2026-01-31T01:00", now="2026-01-31T01:00")) == "DUE"


class TestExecuting:
    """A runner was executing the event."""

    def test_a_current_execution_is_explained(self) -> None:
        of = begun(life(), "2026-01-31T00:01")
        found = ask(of, "2026-01-31T00:02", now="2026-01-31T00:02")
        assert (reason(found), found.finding.since) == ("EXECUTING", at("2026-01-31T00:01"))

    def slow(self) -> Life:
        """Return a life with a step of ten minutes, and another step after half an hour."""
        of = life(
            strategy(
                steps=[{"key": "call", "action": "post", "nextStep": "b"}, {"key": "b", "action": "post"}]
            )
        )
        of.claim(of.main, at("2026-01-31"))
        of.step(DONE, at("2026-01-31"))
        of.conclude(of.step(DONE, at("2026-01-31T00:30")), at("2026-01-31T00:30"))
        (first, second) = of.event_history(1).entries
        first = replace(first, finished_at=at("2026-01-31T00:10"))
        of.event_histories[1] = EventHistory(entries=(first, second))
        return of

    def test_an_instant_within_a_step_is_executing(self) -> None:
        found = ask(self.slow(), "2026-01-31T00:05", now="2026-02-10")
        assert (reason(found), found.finding.since) == ("EXECUTING", at("2026-01-31"))
        assert found.finding.until == at("2026-01-31T00:30")

    def test_an_instant_between_two_steps_is_executing(self) -> None:
        assert reason(ask(self.slow(), "2026-01-31T00:20", now="2026-02-10")) == "EXECUTING"

    def test_an_event_behind_another_is_in_line(self) -> None:
        of = life(strategy(reminded(days=0)))
        begun(of, "2026-01-31")
        found = ask(of, "2026-01-31T00:00", now="2026-01-31T00:00:20")
        assert [(a.planned.event.task, a.finding.reason.value) for a in found.events] == [
            ("bill", "IN_LINE"),
            ("remind", "EXECUTING"),
        ]


class TestWaitingForADelay:
    """The next step waited for its delay."""

    def test_a_delay_is_explained_with_its_end(self) -> None:
        steps: Json = [
            {"key": "call", "action": "post", "nextStep": "b"},
            {"key": "b", "action": "post", "delay": HOURLY},
        ]
        of = life(strategy(steps=steps))
        of.claim(of.main, at("2026-01-31"))
        then = of.step(DONE, at("2026-01-31"))
        assert isinstance(then, Intent)
        of.decide(Wait(seq=1, fence=1, until=then.not_before, known_visits=1), at("2026-01-31"))
        found = ask(of, "2026-01-31T00:30", now="2026-01-31T00:30")
        assert (reason(found), found.finding.until) == ("WAITING_FOR_DELAY", at("2026-01-31T01:00"))


class TestWaitingForAService:
    """A service had refused the call for now, since when, until when, and with which status."""

    def refused(self) -> Life:
        of = life(strategy(retry={"times": 0}))
        of.refuse(Answered(status=429, retry_after=timedelta(minutes=10)), at("2026-01-31"))
        of.refuse(Answered(status=503, retry_after=timedelta(hours=2)), at("2026-01-31T00:20"))
        return of

    @pytest.mark.parametrize(
        ("when", "until", "status"),
        [
            ("2026-01-31T00:05", "2026-01-31T00:10", 429),
            ("2026-01-31T00:25", "2026-01-31T02:20", 503),
            ("2026-01-31T02:00", "2026-01-31T02:20", 503),
        ],
    )
    def test_the_wait_is_explained(self, when: str, until: str, status: int) -> None:
        found = ask(self.refused(), when, now="2026-01-31T02:10")

        assert (reason(found), found.finding.since, found.finding.until, found.finding.why) == (
            "WAITING_FOR_SERVICE",
            at("2026-01-31"),
            at(until),
            f"shop/post returned HTTP {status}",
        )

    def test_a_wait_that_has_ended_is_not(self) -> None:
        assert reason(ask(self.refused(), "2026-01-31T02:30", now="2026-01-31T02:30")) == "DUE"


class TestPaused:
    """The author, reason, begin and end of the pause."""

    def test_a_current_pause_is_explained(self) -> None:
        of = life()
        of.decide(Pause(by=BOB), at("2026-01-30T23:00"))
        found = ask(of, "2026-01-31T02:00", now="2026-01-31T02:00")
        assert (reason(found), found.finding.by, found.finding.why) == ("PAUSED", "bob", "moving house")
        assert (found.finding.since, found.finding.until) == (at("2026-01-30T23:00"), None)
        assert found.status is not None
        assert found.status.status is InstanceStatus.PAUSED

    def test_a_pause_without_a_planned_event_is_explained(self) -> None:
        of = begun(life(), "2026-01-31", DONE)
        of.decide(Pause(by=BOB), at("2026-02-10"))
        found = ask(of, "2026-02-11", now="2026-02-12")
        assert (reason(found), found.events) == ("PAUSED", ())

    def test_a_past_pause_is_explained_after_the_run(self) -> None:
        of = life()
        of.decide(Pause(by=BOB), at("2026-01-30T23:00"))
        of.decide(Resume(by=ANN), at("2026-02-03"))
        begun(of, "2026-02-03", DONE)
        found = ask(of, "2026-01-31", now="2026-02-10")
        assert (reason(found), found.finding.by, found.finding.until) == ("PAUSED", "bob", at("2026-02-03"))
        (answer,) = found.events
        assert answer.planned.event.times.executed_at == at("2026-02-03")

    def test_a_date_caught_up_after_the_pause_was_paused(self) -> None:
        of = life(daily(onResume="all"))
        of.decide(Pause(by=BOB), at("2026-01-30T23:00"))
        of.decide(Resume(by=ANN), at("2026-02-03T12:00"))
        begun(of, "2026-02-03T12:00", DONE)
        found = ask(of, "2026-02-02", now="2026-02-03T12:00")
        assert (reason(found), found.finding.by) == ("PAUSED", "bob")

    def test_an_event_canceled_later_was_paused_then(self) -> None:
        of = life()
        of.decide(Pause(by=BOB), at("2026-01-30T23:00"))
        of.decide(Cancel(by=ANN), at("2026-02-03"))
        assert reason(ask(of, "2026-01-31", now="2026-02-10")) == "PAUSED"
        assert reason(ask(of, "2026-02-04", now="2026-02-10")) == "CANCELED"

    def test_a_pause_after_used_up_attempts_is_explained(self) -> None:
        of = begun(life(strategy(retry=retries(0, pause=True))), "2026-01-31", DECLINED)
        found = ask(of, "2026-01-31", now="2026-02-01")
        assert (reason(found), found.finding.by, found.finding.why) == (
            "PAUSED",
            "engine",
            "bill: shop/charge returned HTTP 402",
        )

    def test_an_event_paused_between_two_steps_is_explained(self) -> None:
        steps: Json = [{"key": "call", "action": "post", "nextStep": "b"}, {"key": "b", "action": "post"}]
        of = life(strategy(steps=steps))
        begun(of, "2026-01-31", DONE)
        of.decide(Pause(by=BOB, kill=True), at("2026-01-31"))
        assert reason(ask(of, "2026-01-31", now="2026-02-01")) == "PAUSED"
        of.decide(Resume(by=ANN), at("2026-02-02"))
        begun(of, "2026-02-02", DONE)
        assert reason(ask(of, "2026-02-01", now="2026-02-10")) == "PAUSED"

    def test_a_future_event_of_a_paused_instance_is_paused(self) -> None:
        of = life()
        of.decide(Pause(by=BOB), at("2026-01-30"))
        found = ask(of, "2026-01-31", now="2026-01-30T12:00")
        assert (reason(found), found.finding.by) == ("PAUSED", "bob")
        assert [answer.planned.event.task for answer in found.events] == ["bill"]


class TestInDoubt:
    """An operator must decide about the event's call."""

    def test_a_doubt_that_paused_the_instance_is_explained(self) -> None:
        of = begun(life(), "2026-01-31")
        of.conclude(ended(Ending.IN_DOUBT, at("2026-01-31")), at("2026-01-31"))
        found = ask(of, "2026-01-31", now="2026-02-01")
        assert (reason(found), found.finding.why) == ("IN_DOUBT", "shop/charge returned HTTP 402")

    def test_a_doubt_on_a_final_instance_is_explained(self) -> None:
        of = life(strategy(parts={"onCancelTasks": [{"task": "part"}]}))
        of.decide(Cancel(by=ANN), at("2026-01-31"))
        of.claim(of.event("part"), at("2026-01-31"))
        of.conclude(ended(Ending.IN_DOUBT, at("2026-01-31T01:00")), at("2026-01-31T01:00"))
        found = ask(of, "2026-01-31T02:00", now="2026-02-01")
        assert (reason(found), found.finding.since) == ("IN_DOUBT", at("2026-01-31T01:00"))


class TestCanceled:
    """The event, its task or the instance was canceled, with author and reason."""

    def test_a_canceled_instance_is_explained(self) -> None:
        of = life()
        of.decide(Cancel(by=BOB), at("2026-01-30"))
        found = ask(of, "2026-01-31", now="2026-02-10")
        assert (reason(found), found.finding.by) == ("CANCELED", "bob")
        assert found.finding.why == "instance canceled: HTTP_REQUEST: moving house"

    def test_a_canceled_instance_without_a_reason_is_explained(self) -> None:
        of = life()
        of.decide(Cancel(by=Actor(name="bob")), at("2026-01-30"))
        found = ask(of, "2026-01-31", now="2026-02-10")
        assert found.finding.why == "instance canceled: HTTP_REQUEST"

    def test_an_onhold_event_canceled_with_the_plan_is_explained(self) -> None:
        manual: Json = {"onCreateTasks": [{"task": "greet", "manualTrigger": True}]}
        of = begun(life(strategy(parts=manual), new(end_date="2026-02-15")), "2026-01-31", DONE)
        found = next(
            a for a in ask(of, "2026-01-31", now="2026-02-10").events if a.planned.event.task == "greet"
        )
        assert (found.finding.reason.value, found.finding.by, found.finding.why) == (
            "CANCELED",
            "engine",
            "the plan has ended",
        )

    def test_a_canceled_instance_without_a_planned_event_is_explained(self) -> None:
        of = begun(life(), "2026-01-31", DONE)
        of.decide(Cancel(by=BOB), at("2026-02-10"))
        found = ask(of, "2026-03-31", now="2026-04-01")
        assert (reason(found), found.finding.by, found.finding.since) == ("CANCELED", "bob", at("2026-02-10"))
        assert found.before is not None
        assert found.before.event.first_due_at == at("2026-02-28")
        ahead = ask(of, "2026-05-31", now="2026-04-01")
        assert reason(ahead) == "CANCELED"

    def test_a_canceled_event_is_explained(self) -> None:
        of = life()
        of.decide(CancelEvent(seq=1, by=BOB), at("2026-01-30"))
        found = ask(of, "2026-01-31", now="2026-02-10")
        assert (reason(found), found.finding.by) == ("CANCELED", "bob")
        assert found.finding.why == "canceled by an operator: moving house"

    def test_a_canceled_task_and_its_reminder_are_explained(self) -> None:
        of = life(strategy(reminded(days=3)), new("2026-02-10"))
        of.decide(CancelTasks(tasks=("bill",), by=Actor(name="bob")), at("2026-02-01"))
        assert ask(of, "2026-02-10", now="2026-02-11").finding.why == "canceled by an operator"
        found = ask(of, "2026-02-07", now="2026-02-11")
        assert (reason(found), found.finding.why) == ("CANCELED", "its main event was canceled")

    def test_a_cancel_by_a_controller_is_explained(self) -> None:
        of = life(strategy(reminded(days=0)))
        begun(of, "2026-01-31")
        of.step(Outcome(success=True, directives={"cancelTasks": ["bill"]}), at("2026-01-31"))
        entry = of.event_history(of.running.seq).entries[-1]
        of.decide(Apply(seq=of.running.seq, fence=1, entry=entry), at("2026-01-31"))
        found = ask(of, "2026-01-31", now="2026-02-11")
        assert (reason(found), found.finding.by) == ("CANCELED", "controller")

    def test_an_event_after_a_new_end_date_is_explained(self) -> None:
        of = begun(life(), "2026-01-31", DONE)
        of.decide(Update(by=BOB, sets_end_date=True, end_date=at("2026-02-09")), at("2026-02-01"))
        assert of.instance.status is InstanceStatus.COMPLETED
        found = ask(of, "2026-02-28", now="2026-03-11")
        assert (reason(found), found.finding.by) == ("CANCELED", "bob")
        assert found.finding.why == "after the end date: moving house"


class TestSkipped:
    """The rule for missed dates skipped the date, with the cycles and the author of the resume."""

    def resumed(self, on_late: OnResume) -> Life:
        of = life(daily())
        of.decide(Pause(by=ANN), at("2026-01-30"))
        of.decide(Resume(by=BOB, on_late=on_late), at("2026-02-05T12:00"))
        return of

    @pytest.mark.parametrize("when", ["2026-01-31", "2026-02-02", "2026-02-04", "2026-02-02T13:00"])
    def test_a_date_of_the_skipped_range_is_explained(self, when: str) -> None:
        found = ask(self.resumed(OnResume.LAST), when, now="2026-02-10")
        assert (reason(found), found.finding.by, found.finding.since) == (
            "SKIPPED",
            "bob",
            at("2026-02-05T12:00"),
        )
        (answer,) = found.events
        assert answer.planned.past is not None
        record = answer.planned.past.record
        assert record is not None
        assert (record.skipped_cycles, record.skipped_until) == ((1, 5), at("2026-02-04"))
        assert found.finding.why == "moving house"

    def test_a_date_skipped_by_the_engine_is_explained(self) -> None:
        of = life(daily(onMissed="last"))
        of.claim(of.main, at("2026-02-05T12:00"))
        found = ask(of, "2026-02-02", now="2026-02-10")
        assert (reason(found), found.finding.by) == ("SKIPPED", None)
        assert found.finding.why == "skipped: its date has passed (onMissed: last)"

    def test_a_missed_date_is_paused_during_the_pause(self) -> None:
        of = life(daily())
        of.decide(Pause(by=ANN), at("2026-01-30"))
        assert reason(ask(of, "2026-02-02", now="2026-02-03")) == "PAUSED"

    def test_an_overdue_reminder_is_skipped(self) -> None:
        of = life(strategy(reminded(days=3)), new("2026-02-10"))
        of.claim(of.event("remind"), at("2026-02-11"))
        assert reason(ask(of, "2026-02-07", now="2026-02-12")) == "SKIPPED"

    def test_a_reminder_that_was_planned_too_late_is_skipped(self) -> None:
        of = life(strategy(reminded(days=3)), new("2026-02-03"), now="2026-01-30")
        of.run(of.event("remind"), at("2026-01-31"))
        of.claim(of.main, at("2026-02-03"))
        of.conclude(succeeded(), at("2026-03-01"))
        found = ask(of, "2026-02-28", now="2026-03-10")
        assert (reason(found), found.finding.since) == ("SKIPPED", at("2026-03-01"))
        assert found.finding.why == "skipped: its date had passed when its cycle was planned"


class TestSuperseded:
    """A migration moved the instance to a version without the event's task."""

    def test_a_superseded_event_is_explained_with_its_author(self) -> None:
        of = life()
        of.decide(CancelEvent(seq=1, by=BOB), at("2026-01-30"))
        of.records[0] = replace(of.records[0], closed_by=ClosedBy.MIGRATION, why="task gone", reason=None)
        found = ask(of, "2026-01-31", now="2026-02-10")
        assert (reason(found), found.finding.by, found.finding.why) == ("SUPERSEDED", "bob", "task gone")


class TestBlocked:
    """The queue or the strategy is, or was, paused."""

    def blocked(self, flag: BlockedBy = BlockedBy.QUEUE) -> Life:
        of = life()
        before = of.main
        of.claim(before, at("2026-01-31"))
        of.decide(Block(before=before, fence=1, blocked_by=flag), at("2026-01-31"))
        return of

    @pytest.mark.parametrize(
        ("flag", "why"), [(BlockedBy.QUEUE, "HELD_BY_QUEUE"), (BlockedBy.STRATEGY, "HELD_BY_STRATEGY")]
    )
    def test_a_current_block_is_explained(self, flag: BlockedBy, why: str) -> None:
        found = ask(self.blocked(flag), "2026-01-31", now="2026-01-31T12:00", blocked_by=flag)
        assert (reason(found), found.finding.since) == (why, at("2026-01-31"))

    def test_a_past_block_is_explained_after_the_run(self) -> None:
        of = self.blocked()
        of.decide(Unblock(), at("2026-02-02"))
        begun(of, "2026-02-02", DONE)
        found = ask(of, "2026-01-31", now="2026-02-10")
        assert (reason(found), found.finding.until) == ("HELD_BY_QUEUE", at("2026-02-02"))

    def test_a_due_event_under_a_paused_flag_is_blocked_before_any_claim(self) -> None:
        found = ask(life(), "2026-01-31T00:00", now="2026-01-31T00:00", blocked_by=BlockedBy.STRATEGY)
        assert (reason(found), found.finding.since) == ("HELD_BY_STRATEGY", None)

    def test_a_paused_flag_explains_only_the_present(self) -> None:
        of = begun(life(), "2026-01-31", DONE)
        assert reason(ask(of, "2026-02-02", now="2026-02-02", blocked_by=BlockedBy.QUEUE)) == "HELD_BY_QUEUE"
        assert reason(ask(of, "2026-02-01", now="2026-02-02", blocked_by=BlockedBy.QUEUE)) == "NOT_PLANNED"

    def test_a_future_event_under_a_paused_flag_is_blocked(self) -> None:
        found = ask(life(), "2026-01-31", now="2026-01-30", blocked_by=BlockedBy.QUEUE)
        assert reason(found) == "HELD_BY_QUEUE"


class TestOnhold:
    """The event waits, or waited, for an operator."""

    def test_a_current_wait_for_an_operator_is_explained(self) -> None:
        of = life(strategy(manualTrigger=True))
        assert reason(ask(of, "2026-01-31", now="2026-02-01")) == "ON_HOLD"

    def test_a_past_wait_for_an_operator_is_explained(self) -> None:
        of = life(strategy(manualTrigger=True))
        of.decide(Execute(seq=1, by=ANN), at("2026-02-02"))
        begun(of, "2026-02-02", DONE)
        found = ask(of, "2026-01-31", now="2026-02-10")
        assert (reason(found), found.finding.until) == ("ON_HOLD", at("2026-02-02"))

    def test_a_future_onhold_event_is_explained(self) -> None:
        of = life(strategy(manualTrigger=True))
        assert reason(ask(of, "2026-01-31", now="2026-01-30T12:00")) == "ON_HOLD"


class TestDue:
    """The event is planned and has not begun."""

    def test_an_event_after_its_date_is_due(self) -> None:
        found = ask(life(), "2026-01-31", now="2026-01-31T00:00:30")
        assert (reason(found), found.finding.since) == ("DUE", at("2026-01-31"))

    def test_an_event_later_in_the_minute_is_not_yet_due(self) -> None:
        of = life(request=new("2026-01-31T00:00:40"))
        found = ask(of, "2026-01-31T00:00:10", now="2026-01-31T00:00:10")
        assert (reason(found), found.finding.until) == ("NOT_YET_DUE", at("2026-01-31T00:00:40"))

    def test_a_future_event_is_not_yet_due(self) -> None:
        found = ask(life(), "2026-01-31", now="2026-01-30")
        assert (reason(found), found.finding.until) == ("NOT_YET_DUE", at("2026-01-31"))

    def test_a_forecast_cycle_is_not_yet_due(self) -> None:
        found = ask(life(), "2026-03-31", now="2026-01-31")
        (answer,) = found.events
        assert (reason(found), answer.planned.cycle, answer.planned.past) == ("NOT_YET_DUE", 3, None)
        assert answer.planned.event.status is EventStatus.PENDING

    def test_a_forecast_reminder_is_not_yet_due(self) -> None:
        found = ask(life(strategy(reminded(days=3))), "2026-03-28", now="2026-01-31")
        assert [answer.planned.event.task for answer in found.events] == ["remind"]

    def test_an_on_cancel_event_of_a_canceled_instance_is_not_yet_due(self) -> None:
        of = life(strategy(parts={"onCancelTasks": [{"task": "part", "delayBy": DAILY}]}))
        of.decide(Cancel(by=ANN), at("2026-01-31"))
        assert reason(ask(of, "2026-02-01", now="2026-01-31T12:00")) == "NOT_YET_DUE"


class TestCreatedLater:
    """The instance, or the event, did not exist yet."""

    def test_an_instant_before_the_instance_is_explained(self) -> None:
        found = ask(life(now="2026-01-31"), "2026-01-30", now="2026-02-10")
        assert (reason(found), found.finding.since, found.status) == ("CREATED_LATER", at("2026-01-31"), None)
        assert found.after is not None
        assert found.after.event.first_due_at == at("2026-01-31")

    def test_an_event_added_for_a_past_date_is_explained(self) -> None:
        of = begun(life(), "2026-01-31", DONE)
        of.decide(AddEvent(task="greet", by=ANN, date=at("2026-02-01")), at("2026-02-05"))
        found = ask(of, "2026-02-01", now="2026-02-06")
        assert (reason(found), found.finding.since) == ("CREATED_LATER", at("2026-02-05"))


class TestNotPlanned:
    """Nothing was to run; the nearest planned dates before and after are named."""

    def test_an_instant_between_two_cycles_has_both_neighbours(self) -> None:
        of = begun(life(), "2026-01-31", DONE)
        found = ask(of, "2026-02-14", now="2026-02-20")
        assert (reason(found), found.events) == ("NOT_PLANNED", ())
        assert found.before is not None
        assert found.after is not None
        assert (found.before.event.first_due_at, found.before.cycle) == (at("2026-01-31"), 1)
        assert (found.after.event.first_due_at, found.after.cycle) == (at("2026-02-28"), 2)

    def test_a_future_instant_between_cycles_has_its_next_one(self) -> None:
        found = ask(life(), "2026-02-14", now="2026-01-31")
        assert reason(found) == "NOT_PLANNED"
        assert found.after is not None
        assert found.after.event.first_due_at == at("2026-02-28")

    def test_an_instant_after_the_end_of_the_plan_is_explained(self) -> None:
        of = life(request=new(end_date="2026-03-15"))
        found = ask(of, "2026-03-31", now="2026-01-31")
        assert (reason(found), found.after) == ("PLAN_ENDED", None)

    def test_an_instant_after_the_completion_is_explained(self) -> None:
        of = life(strategy(retry=retries(1)), new(end_date="2026-02-15"))
        begun(of, "2026-01-31", DONE)
        assert of.instance.status is InstanceStatus.COMPLETED
        found = ask(of, "2026-02-28", now="2026-03-01")
        assert (reason(found), found.finding.why) == ("COMPLETED", "the plan has ended")

    def test_an_active_instance_after_its_plan_is_explained(self) -> None:
        of = life(
            strategy(parts={"onCreateTasks": [{"task": "greet", "delayBy": DAILY}]}),
            new(end_date="2026-02-15"),
        )
        begun(of, "2026-01-31", DONE)
        assert of.instance.plan.has_ended
        assert reason(ask(of, "2026-02-01T12:00", now="2026-01-31T12:00")) == "PLAN_ENDED"
        assert reason(ask(of, "2026-01-31T10:00", now="2026-01-31T12:00")) == "NOT_PLANNED"

    def test_a_date_beyond_the_forecast_is_unknown(self) -> None:
        assert reason(ask(life(), "2046-01-31", now="2026-01-31")) == "UNKNOWN"


class TestUnknown:
    """If the history does not reach back far enough, the reason is UNKNOWN."""

    def test_a_late_run_without_a_known_cause_is_unknown(self) -> None:
        of = begun(life(), "2026-01-31T05:00", DONE)
        assert reason(ask(of, "2026-01-31", now="2026-02-10")) == "UNKNOWN"

    def test_a_forgotten_status_is_unknown(self) -> None:
        of = begun(life(), "2026-01-31", DONE)
        for day in range(10, 15):
            of.decide(Pause(by=ANN), at(f"2026-02-{day}"))
            of.decide(Resume(by=ANN), at(f"2026-02-{day}T12:00"))
        of.audit = []
        assert reason(ask(of, "2026-02-05", now="2026-02-20")) == "UNKNOWN"

    def test_an_old_record_without_a_cause_is_unknown(self) -> None:
        of = life()
        of.decide(CancelEvent(seq=1, by=BOB), at("2026-01-30"))
        of.records[0] = replace(of.records[0], closed_by=ClosedBy.RUN, by=None, reason=None)
        found = ask(of, "2026-01-31", now="2026-02-10")
        assert (reason(found), found.finding.by, found.finding.why) == (
            "CANCELED",
            None,
            "canceled by an operator",
        )


class TestToBeCanceled:
    """A scheduled cancellation keeps events from running, now and in the future."""

    def test_an_event_that_does_not_run_is_explained_by_the_cancellation(self) -> None:
        of = life(strategy(reminded(days=3)), new("2026-02-10"))
        of.applied(CancelAt(by=BOB), at("2026-02-01"))
        found = ask(of, "2026-02-08", now="2026-02-08")
        assert reason(found) == "TO_BE_CANCELED"
        assert (found.finding.since, found.finding.until) == (at("2026-02-01"), at("2026-02-10"))
        assert (found.finding.by, found.finding.why) == ("bob", "moving house")

    def test_before_the_command_the_event_was_merely_not_due(self) -> None:
        of = life(strategy(reminded(days=3)), new("2026-02-10"))
        of.applied(CancelAt(by=BOB), at("2026-02-01"))
        assert reason(ask(of, "2026-01-31T12:00", now="2026-02-08")) == "NOT_PLANNED"

    def test_a_future_date_of_the_open_cycle_is_explained_by_the_cancellation(self) -> None:
        of = life(strategy(reminded(days=3)), new("2026-02-10"))
        of.applied(CancelAt(by=BOB), at("2026-02-01"))
        assert reason(ask(of, "2026-02-10", now="2026-02-01")) == "TO_BE_CANCELED"

    def test_a_date_after_the_cancellation_is_explained_by_it(self) -> None:
        of = life(strategy(), new("2026-02-10"))
        of.applied(CancelAt(by=BOB, at=at("2026-04-01")), at("2026-02-01"))
        assert reason(ask(of, "2026-03-10", now="2026-02-01")) == "NOT_YET_DUE"
        assert reason(ask(of, "2026-03-20", now="2026-02-01")) == "NOT_PLANNED"
        assert reason(ask(of, "2026-05-10", now="2026-02-01")) == "TO_BE_CANCELED"

    def test_a_reminder_without_its_cycle_is_planned(self) -> None:
        of = life(strategy(reminded(days=3)), new("2026-02-10"))
        of.applied(CancelAt(by=BOB, at=at("2026-04-08")), at("2026-02-01"))
        found = ask(of, "2026-04-07", now="2026-02-01")
        assert reason(found) == "NOT_YET_DUE"
        assert found.events[0].planned.event.task == "remind"

    def test_a_reminder_of_the_open_cycle_is_named_once(self) -> None:
        of = life(strategy(reminded(days=3)), new("2026-02-10"))
        of.applied(CancelAt(by=BOB, at=at("2026-02-09")), at("2026-02-01"))
        assert len(ask(of, "2026-02-07", now="2026-02-01").events) == 1

    def test_a_reminder_that_it_had_barred_is_explained_by_it_afterwards(self) -> None:
        of = life(strategy(reminded(days=3)), new("2026-02-10"))
        of.applied(CancelAt(by=BOB), at("2026-02-01"))
        of.applied(ApplyCancellation(), at("2026-02-10"))
        found = ask(of, "2026-02-07", now="2026-02-20")
        assert (reason(found), found.finding.by) == ("TO_BE_CANCELED", "bob")
        assert (found.finding.since, found.finding.until) == (at("2026-02-01"), at("2026-02-10"))

    def test_a_cancellation_that_was_revoked_explains_nothing(self) -> None:
        of = life(strategy(reminded(days=3)), new("2026-02-10"))
        of.applied(CancelAt(by=BOB), at("2026-02-01"))
        of.applied(RevokeCancellation(by=BOB), at("2026-02-02"))
        of.applied(Cancel(by=BOB), at("2026-02-08"))
        assert reason(ask(of, "2026-02-07", now="2026-02-20")) == "UNKNOWN"

    def test_a_closed_event_is_explained_by_its_end(self) -> None:
        of = begun(life(strategy(reminded(days=3)), new("2026-02-10")), "2026-02-07T00:00", DONE)
        of.applied(CancelAt(by=BOB), at("2026-02-08"))
        assert reason(ask(of, "2026-02-07", now="2026-02-09")) == "RAN"


class TestMoved:
    """An event that is asked about on the date that it was moved away from says where it went, and why."""

    RULE: ClassVar[dict[str, Json]] = {"businessDays": {"convention": "following"}}

    def moved(self, of: Life, when: str, now: str) -> tuple[str, str, str | None]:
        """Return task and date of the event that the answer names, and why it was moved."""
        found = ask(of, when, now=now)
        event = found.events[0].planned.event
        assert (reason(found), found.finding.until) == ("MOVED", event.first_due_at)
        return event.task, f"{event.first_due_at:%Y-%m-%d}", found.finding.why

    def rescheduled(self, date: str, *, keep: bool = True, of: Strategy | None = None) -> Life:
        found = life(of or strategy(), new("2026-02-10"))
        found.applied(Reschedule(by=BOB, date=at(date), keep_anchor=keep), at("2026-02-01"))
        return found

    def test_a_business_day_rule_is_named(self) -> None:
        # 7 February 2026 is a Saturday.
        of = life(strategy(calendar(**self.RULE)), new("2026-02-07"))
        why = "Saturday 7 February 2026 is a weekend day"
        assert self.moved(of, "2026-02-07", "2026-02-01") == ("bill", "2026-02-09", why)

    def test_a_cycle_that_is_only_forecast(self) -> None:
        # 7 March 2026 is a Saturday, too.
        of = life(strategy(calendar(**self.RULE)), new("2026-02-07"))
        why = "Saturday 7 March 2026 is a weekend day"
        assert self.moved(of, "2026-03-07", "2026-02-01") == ("bill", "2026-03-09", why)

    def test_a_callback_that_moves_it_before(self) -> None:
        callback = "date - duration('24h')"
        of = life(strategy(calendar(nextCycleDateCallback=callback)), new("2026-02-10"))
        assert self.moved(of, "2026-03-10", "2026-02-01")[:2] == ("bill", "2026-03-09")

    def test_a_reschedule_names_its_author(self) -> None:
        of = self.rescheduled("2026-02-20")
        assert self.moved(of, "2026-02-10", "2026-02-01") == ("bill", "2026-02-20", "rescheduled by bob")

    def test_a_command_after_the_event_ran_on_its_new_date(self) -> None:
        of = self.rescheduled("2026-02-20")
        of.run(of.main, at("2026-02-20"))
        assert self.moved(of, "2026-02-10", "2026-02-25") == ("bill", "2026-02-20", "rescheduled by bob")

    @pytest.mark.parametrize("now", ["2026-02-01", "2026-02-15"])
    def test_a_move_of_the_anchor_is_known_from_the_audit(self, now: str) -> None:
        of = self.rescheduled("2026-02-20", keep=False)
        assert self.moved(of, "2026-02-10", now) == ("bill", "2026-02-20", "moving house")
        assert ask(of, "2026-02-10", now=now).finding.by == "bob"

    def test_a_date_between_two_moves_is_known_from_the_audit(self) -> None:
        of = self.rescheduled("2026-02-20")
        of.applied(Reschedule(by=BOB, date=at("2026-02-25")), at("2026-02-02"))
        assert self.moved(of, "2026-02-20", "2026-02-03") == ("bill", "2026-02-25", "moving house")
        assert self.moved(of, "2026-02-10", "2026-02-03") == ("bill", "2026-02-25", "rescheduled by bob")

    def test_a_reminder_that_moved_along(self) -> None:
        of = self.rescheduled("2026-02-20", of=strategy(reminded(days=3)))
        assert self.moved(of, "2026-02-07", "2026-02-01") == ("remind", "2026-02-17", "moving house")

    def test_a_changed_attribute_is_known_from_the_audit(self) -> None:
        of = life(
            strategy(timezone="{{attributes.zone}}"), new("2026-02-10", zone="Asia/Manila"), now="2026-01-31"
        )
        of.applied(Update(by=BOB, attributes={"zone": "Europe/Berlin"}), at("2026-02-01"))
        assert self.moved(of, "2026-02-10", "2026-02-01")[0] == "bill"

    def test_an_event_whose_record_has_expired_is_not_named(self) -> None:
        of = self.rescheduled("2026-02-20", keep=False)
        of.run(of.main, at("2026-02-20"))
        of.records.clear()
        of.event_histories.clear()
        assert reason(ask(of, "2026-02-10", now="2026-02-25")) == "NOT_PLANNED"

    def test_an_event_that_is_due_then_comes_first(self) -> None:
        of = self.rescheduled("2026-02-20")
        of.applied(AddEvent(task="bill", by=BOB, date=at("2026-02-10")), at("2026-02-01"))
        found = ask(of, "2026-02-10", now="2026-02-01")
        assert [one.finding.reason.value for one in found.events] == ["NOT_YET_DUE", "MOVED"]

    def test_what_never_runs_was_not_merely_moved(self) -> None:
        of = self.rescheduled("2026-02-20")
        of.applied(CancelAt(by=BOB), at("2026-02-01"))
        assert reason(ask(of, "2026-02-10", now="2026-02-01")) == "TO_BE_CANCELED"
        of = self.rescheduled("2026-02-20", keep=False)
        of.applied(CancelAt(by=BOB), at("2026-02-01"))
        assert reason(ask(of, "2026-02-10", now="2026-02-01")) == "TO_BE_CANCELED"


class TestClosedAhead:
    """An event that has closed before its date, and cycles that will not run, explain that date."""

    def test_a_skipped_date_is_skipped_by_its_operator(self) -> None:
        of = life(strategy(), new("2026-02-10"))
        of.applied(Skip(by=BOB, cycles=2), at("2026-02-01"))
        for when in ("2026-02-10", "2026-03-10"):
            found = ask(of, when, now="2026-02-01")
            assert (reason(found), found.finding.by) == ("SKIPPED", "bob")
        assert reason(ask(of, "2026-04-10", now="2026-02-01")) == "NOT_YET_DUE"

    def test_a_cycle_that_is_still_to_be_skipped(self) -> None:
        of = begun(life(strategy(), new("2026-02-10")), "2026-02-10")
        of.applied(Skip(by=BOB), at("2026-02-10"))
        found = ask(of, "2026-03-10", now="2026-02-10")
        assert (reason(found), found.finding.why) == ("SKIPPED", "skipped by an operator")
        assert reason(ask(of, "2026-03-11", now="2026-02-10")) == "NOT_PLANNED"

    def test_a_date_that_is_no_business_day(self) -> None:
        of = life(strategy(calendar(DAILY, businessDays={"convention": "skip"})), new("2026-02-05"))
        found = ask(of, "2026-02-07", now="2026-02-01")
        assert reason(found) == "NO_BUSINESS_DAY"

    def test_a_date_within_a_pause_is_paused_although_it_will_be_skipped(self) -> None:
        of = life(strategy(calendar(DAILY)), new("2026-02-05"))
        of.applied(Pause(by=BOB, sets_until=True, until=at("2026-03-01")), at("2026-02-01"))
        assert reason(ask(of, "2026-02-20", now="2026-02-01")) == "PAUSED"

    def test_an_event_that_ran_before_its_date(self) -> None:
        of = life(strategy(), new("2026-02-10"))
        of.applied(Execute(seq=of.main.seq, by=BOB), at("2026-02-01"))
        of.run(of.main, at("2026-02-01"))
        found = ask(of, "2026-02-10", now="2026-02-02")
        assert (reason(found), found.finding.since) == ("RAN", at("2026-02-01"))


class TestPausedUntil:
    """A pause with an end explains only the dates that fall into it."""

    def test_a_pause_is_explained_with_its_end(self) -> None:
        of = life(strategy(), new("2026-02-10"))
        of.applied(Pause(by=BOB, sets_until=True, until=at("2026-03-01")), at("2026-02-01"))
        found = ask(of, "2026-02-10", now="2026-02-11")
        assert (reason(found), found.finding.until) == ("PAUSED", at("2026-03-01"))
        assert reason(ask(of, "2026-02-20", now="2026-02-11")) == "PAUSED"

    def test_a_date_after_its_end_is_not_yet_due(self) -> None:
        of = life(strategy(), new("2026-02-10"))
        of.applied(Pause(by=BOB, sets_until=True, until=at("2026-03-01")), at("2026-02-01"))
        assert reason(ask(of, "2026-03-10", now="2026-02-01")) == "NOT_YET_DUE"


class TestConcurrentChange:
    """An event that was open when the instance was read, and has left when its journal is read."""

    def test_an_event_without_data_is_left_out(self) -> None:
        known = Evidence(instance=life().instance, now=at("2026-02-01"))
        found = explain(known, (1,), at("2026-01-31"))
        assert (found.finding.reason.value, found.events) == ("NOT_PLANNED", ())


class TestRedrivenEvent:
    """It is explained as the open event that it is again."""

    def again(self) -> Life:
        of = begun(life(), "2026-01-31", DECLINED)
        record: EventRecord = of.records[0]
        of.decide(
            Redrive(seq=1, event_history=replace(of.event_history(1), record=record), by=ANN),
            at("2026-02-05"),
        )
        return of

    def test_a_queued_redriven_event_is_explained(self) -> None:
        assert reason(ask(self.again(), "2026-02-05", now="2026-02-05")) == "DUE"

    def test_a_redriven_event_had_failed_before_its_redrive(self) -> None:
        of = self.again()
        assert reason(ask(of, "2026-02-03", now="2026-02-05")) == "FAILED"
        begun(of, "2026-02-05", DONE)
        found = ask(of, "2026-01-31", now="2026-02-10")
        assert (reason(found), found.finding.why, found.finding.since) == (
            "FAILED",
            "shop/charge returned HTTP 402",
            at("2026-01-31"),
        )
        assert reason(ask(of, "2026-02-05", now="2026-02-10")) == "RAN"
