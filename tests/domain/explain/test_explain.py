"""Why something did or did not run at a time. Source: contracts/core.md section 5; docs/decisions/0021."""

from dataclasses import replace

import pytest

from shared.domain.explain.instance import MAX_SUBJECTS, Evidence, Explanation, explain, subjects
from shared.domain.instance.event import EventStatus
from shared.domain.instance.journal import ClosedBy, EventHistory, EventRecord
from shared.domain.instance.model import BlockedBy, InstanceStatus
from shared.domain.instance.run import Ending, Intent, Outcome, RunEnd
from shared.domain.instance.verdict import Actor
from shared.domain.lifecycle.commands import (
    AddEvent,
    Apply,
    Block,
    Cancel,
    CancelEvent,
    CancelTasks,
    Execute,
    Pause,
    Redrive,
    Resume,
    Unblock,
    Update,
    Wait,
)
from shared.domain.planning.forecast import forecast_until
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
)

BOB = Actor(name="bob", reason="moving house")
FAR = 50
"""So many cycles are foreseen in these tests."""


def ask(of: Life, when: str, *, now: str, blocked_by: BlockedBy | None = None) -> Explanation:
    """The answer, with all that is stored of a life at hand."""
    asked, present = at(when), at(now)
    closed = {record.event.seq: record for record in of.records}
    finding = (
        past_event(of.instance, seq, replace(of.event_history(seq), record=closed.get(seq)))
        for seq in range(1, of.instance.next_seq)
    )
    ahead = forecast_until(of.strategy, of.instance, max(asked, present), most=FAR, now=present)
    known = Evidence(
        instance=of.instance,
        now=present,
        events=tuple(event for event in finding if event is not None),
        ahead=ahead,
        plan_ends=len(ahead) < FAR,
        blocked_by=blocked_by,
        audit=tuple(of.audit),
    )
    is_past = of.instance.created_at <= asked <= present
    about = subjects(of.instance, of.records, asked) if is_past else ()
    return explain(known, about, asked)


def reason(found: Explanation) -> str:
    return found.finding.reason.value


def begun(of: Life, now: str, *outcomes: Outcome) -> Life:
    """What is due next claimed and executed, concluded where its run ends; a minute a step."""
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


class TestWhatRan:
    """An event planned for that minute, or begun last in it, that has run."""

    def test_it_says_so_and_when(self) -> None:
        found = ask(begun(life(), "2026-01-31T00:00", DONE), "2026-01-31", now="2026-02-10")
        assert (reason(found), found.finding.since) == ("RAN", at("2026-01-31"))
        (answer,) = found.events
        assert (answer.planned.event.seq, answer.planned.cycle, answer.planned.event.task) == (1, 1, "bill")
        assert found.after is not None
        assert found.after.event.planned_at == at("2026-02-28")

    def test_a_little_late_is_not_late(self) -> None:
        found = ask(begun(life(), "2026-01-31T00:03", DONE), "2026-01-31T00:00:30", now="2026-02-10")
        assert reason(found) == "RAN"

    def test_the_minute_of_a_retry_is_one_of_its_minutes(self) -> None:
        of = begun(life(strategy(retry=retries(1))), "2026-01-31", DECLINED)
        begun(of, "2026-01-31T01:00", DONE)
        assert reason(ask(of, "2026-01-31T01:00:20", now="2026-02-10")) == "RAN"
        assert reason(ask(of, "2026-01-31T01:30", now="2026-02-10")) == "NOT_PLANNED"

    def test_of_several_in_that_minute_the_main_one_comes_first(self) -> None:
        of = life(strategy(reminded(days=0)))
        begun(of, "2026-01-31", DONE)
        begun(of, "2026-01-31", DECLINED)
        found = ask(of, "2026-01-31", now="2026-01-31T12:00")
        assert [(a.planned.event.task, a.finding.reason.value) for a in found.events] == [
            ("bill", "FAILED"),
            ("remind", "RAN"),
        ]
        assert reason(found) == "FAILED"

    def test_not_more_than_twenty_are_told_about(self) -> None:
        of = life(strategy(initial_delay=DAILY))
        for _ in range(25):
            of.applied(AddEvent(task="greet", by=ANN), at("2026-01-31"))
        assert len(subjects(of.instance, of.records, at("2026-01-31"))) == MAX_SUBJECTS == 20


class TestWhatFailed:
    """Its attempts are used up, or its runners died."""

    def test_it_says_why(self) -> None:
        found = ask(begun(life(), "2026-01-31", DECLINED), "2026-01-31", now="2026-02-10")
        assert (reason(found), found.finding.why) == ("FAILED", "shop/charge returned HTTP 402")

    def test_the_instance_is_canceled_because_of_it(self) -> None:
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
    def test_while_it_waits(self, now: str) -> None:
        found = ask(self.of(), now, now=now)
        assert (reason(found), found.finding.until) == ("WAITING_FOR_RETRY", at("2026-01-31T01:00"))
        assert (found.finding.since, found.finding.why) == (at("2026-01-31"), "shop/charge returned HTTP 402")

    def test_asked_afterwards(self) -> None:
        of = begun(self.of(), "2026-01-31T01:00", DONE)
        found = ask(of, "2026-01-31T00:30", now="2026-02-10")
        assert (reason(found), found.finding.until) == ("WAITING_FOR_RETRY", at("2026-01-31T01:00"))

    def test_at_its_planned_minute(self) -> None:
        of = begun(self.of(), "2026-01-31T01:00", DONE)
        found = ask(of, "2026-01-31", now="2026-02-10")
        assert (reason(found), found.events[0].planned.event.planned_at) == (
            "WAITING_FOR_RETRY",
            at("2026-01-31"),
        )

    def test_once_it_is_due_it_no_longer_waits_for_that(self) -> None:
        assert reason(ask(self.of(), "2026-01-31T01:00", now="2026-01-31T01:00")) == "DUE"


class TestExecuting:
    """A runner was at it."""

    def test_now(self) -> None:
        of = begun(life(), "2026-01-31T00:01")
        found = ask(of, "2026-01-31T00:02", now="2026-01-31T00:02")
        assert (reason(found), found.finding.since) == ("EXECUTING", at("2026-01-31T00:01"))

    def slow(self) -> Life:
        """A step of ten minutes, and after half an hour another one."""
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

    def test_in_the_midst_of_a_step(self) -> None:
        found = ask(self.slow(), "2026-01-31T00:05", now="2026-02-10")
        assert (reason(found), found.finding.since) == ("EXECUTING", at("2026-01-31"))
        assert found.finding.until == at("2026-01-31T00:30")

    def test_between_two_steps(self) -> None:
        assert reason(ask(self.slow(), "2026-01-31T00:20", now="2026-02-10")) == "EXECUTING"

    def test_behind_another_event_of_its_instance(self) -> None:
        of = life(strategy(reminded(days=0)))
        begun(of, "2026-01-31")
        found = ask(of, "2026-01-31T00:00", now="2026-01-31T00:00:20")
        assert [(a.planned.event.task, a.finding.reason.value) for a in found.events] == [
            ("bill", "IN_LINE"),
            ("remind", "EXECUTING"),
        ]


class TestWaitingForADelay:
    """The next step acts only later."""

    def test_it_says_until_when(self) -> None:
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


class TestPaused:
    """By whom, why, since when, and until when."""

    def test_now(self) -> None:
        of = life()
        of.decide(Pause(by=BOB), at("2026-01-30T23:00"))
        found = ask(of, "2026-01-31T02:00", now="2026-01-31T02:00")
        assert (reason(found), found.finding.by, found.finding.why) == ("PAUSED", "bob", "moving house")
        assert (found.finding.since, found.finding.until) == (at("2026-01-30T23:00"), None)
        assert found.status is not None
        assert found.status.status is InstanceStatus.PAUSED

    def test_where_nothing_was_planned_then(self) -> None:
        of = begun(life(), "2026-01-31", DONE)
        of.decide(Pause(by=BOB), at("2026-02-10"))
        found = ask(of, "2026-02-11", now="2026-02-12")
        assert (reason(found), found.events) == ("PAUSED", ())

    def test_asked_after_it_was_resumed_and_ran(self) -> None:
        of = life()
        of.decide(Pause(by=BOB), at("2026-01-30T23:00"))
        of.decide(Resume(by=ANN), at("2026-02-03"))
        begun(of, "2026-02-03", DONE)
        found = ask(of, "2026-01-31", now="2026-02-10")
        assert (reason(found), found.finding.by, found.finding.until) == ("PAUSED", "bob", at("2026-02-03"))
        (answer,) = found.events
        assert answer.planned.event.times.executed_at == at("2026-02-03")

    def test_a_date_caught_up_with_after_the_pause(self) -> None:
        of = life(daily(onResume="all"))
        of.decide(Pause(by=BOB), at("2026-01-30T23:00"))
        of.decide(Resume(by=ANN), at("2026-02-03T12:00"))
        begun(of, "2026-02-03T12:00", DONE)
        found = ask(of, "2026-02-02", now="2026-02-03T12:00")
        assert (reason(found), found.finding.by) == ("PAUSED", "bob")

    def test_canceled_later_it_was_paused_then(self) -> None:
        of = life()
        of.decide(Pause(by=BOB), at("2026-01-30T23:00"))
        of.decide(Cancel(by=ANN), at("2026-02-03"))
        assert reason(ask(of, "2026-01-31", now="2026-02-10")) == "PAUSED"
        assert reason(ask(of, "2026-02-04", now="2026-02-10")) == "CANCELED"

    def test_out_of_attempts_it_says_so(self) -> None:
        of = begun(life(strategy(retry=retries(0, pause=True))), "2026-01-31", DECLINED)
        found = ask(of, "2026-01-31", now="2026-02-01")
        assert (reason(found), found.finding.by, found.finding.why) == (
            "PAUSED",
            "engine",
            "bill: shop/charge returned HTTP 402",
        )

    def test_set_down_between_two_steps(self) -> None:
        steps: Json = [{"key": "call", "action": "post", "nextStep": "b"}, {"key": "b", "action": "post"}]
        of = life(strategy(steps=steps))
        begun(of, "2026-01-31", DONE)
        of.decide(Pause(by=BOB, kill=True), at("2026-01-31"))
        assert reason(ask(of, "2026-01-31", now="2026-02-01")) == "PAUSED"
        of.decide(Resume(by=ANN), at("2026-02-02"))
        begun(of, "2026-02-02", DONE)
        assert reason(ask(of, "2026-02-01", now="2026-02-10")) == "PAUSED"

    def test_what_lies_ahead_will_not_run_unless_it_is_resumed(self) -> None:
        of = life()
        of.decide(Pause(by=BOB), at("2026-01-30"))
        found = ask(of, "2026-01-31", now="2026-01-30T12:00")
        assert (reason(found), found.finding.by) == ("PAUSED", "bob")
        assert [answer.planned.event.task for answer in found.events] == ["bill"]


class TestInDoubt:
    """An operator has to decide about its call."""

    def test_with_its_instance(self) -> None:
        of = begun(life(), "2026-01-31")
        of.conclude(ended(Ending.IN_DOUBT, at("2026-01-31")), at("2026-01-31"))
        found = ask(of, "2026-01-31", now="2026-02-01")
        assert (reason(found), found.finding.why) == ("IN_DOUBT", "shop/charge returned HTTP 402")

    def test_alone_on_a_final_instance(self) -> None:
        of = life(strategy(parts={"onCancelTasks": [{"task": "part"}]}))
        of.decide(Cancel(by=ANN), at("2026-01-31"))
        of.claim(of.event("part"), at("2026-01-31"))
        of.conclude(ended(Ending.IN_DOUBT, at("2026-01-31T01:00")), at("2026-01-31T01:00"))
        found = ask(of, "2026-01-31T02:00", now="2026-02-01")
        assert (reason(found), found.finding.since) == ("IN_DOUBT", at("2026-01-31T01:00"))


class TestCanceled:
    """The event, its task or the instance: by whom and why."""

    def test_the_instance(self) -> None:
        of = life()
        of.decide(Cancel(by=BOB), at("2026-01-30"))
        found = ask(of, "2026-01-31", now="2026-02-10")
        assert (reason(found), found.finding.by) == ("CANCELED", "bob")
        assert found.finding.why == "instance canceled: HTTP_REQUEST: moving house"

    def test_the_instance_without_a_word(self) -> None:
        of = life()
        of.decide(Cancel(by=Actor(name="bob")), at("2026-01-30"))
        found = ask(of, "2026-01-31", now="2026-02-10")
        assert found.finding.why == "instance canceled: HTTP_REQUEST"

    def test_one_on_hold_when_the_plan_ended(self) -> None:
        hold: Json = {"onCreateTasks": [{"task": "greet", "manualTrigger": True}]}
        of = begun(life(strategy(parts=hold), new(end_date="2026-02-15")), "2026-01-31", DONE)
        found = next(
            a for a in ask(of, "2026-01-31", now="2026-02-10").events if a.planned.event.task == "greet"
        )
        assert (found.finding.reason.value, found.finding.by, found.finding.why) == (
            "CANCELED",
            "engine",
            "the plan has ended",
        )

    def test_where_nothing_was_planned_any_more(self) -> None:
        of = begun(life(), "2026-01-31", DONE)
        of.decide(Cancel(by=BOB), at("2026-02-10"))
        found = ask(of, "2026-03-31", now="2026-04-01")
        assert (reason(found), found.finding.by, found.finding.since) == ("CANCELED", "bob", at("2026-02-10"))
        assert found.before is not None
        assert found.before.event.planned_at == at("2026-02-28")
        ahead = ask(of, "2026-05-31", now="2026-04-01")
        assert reason(ahead) == "CANCELED"

    def test_the_event(self) -> None:
        of = life()
        of.decide(CancelEvent(seq=1, by=BOB), at("2026-01-30"))
        found = ask(of, "2026-01-31", now="2026-02-10")
        assert (reason(found), found.finding.by) == ("CANCELED", "bob")
        assert found.finding.why == "canceled by an operator: moving house"

    def test_its_task_and_what_led_up_to_it(self) -> None:
        of = life(strategy(reminded(days=3)), new("2026-02-10"))
        of.decide(CancelTasks(tasks=("bill",), by=Actor(name="bob")), at("2026-02-01"))
        assert ask(of, "2026-02-10", now="2026-02-11").finding.why == "canceled by an operator"
        found = ask(of, "2026-02-07", now="2026-02-11")
        assert (reason(found), found.finding.why) == ("CANCELED", "its main event was canceled")

    def test_by_a_controller(self) -> None:
        of = life(strategy(reminded(days=0)))
        begun(of, "2026-01-31")
        of.step(Outcome(success=True, directives={"cancelTasks": ["bill"]}), at("2026-01-31"))
        entry = of.event_history(of.running.seq).entries[-1]
        of.decide(Apply(seq=of.running.seq, fence=1, entry=entry), at("2026-01-31"))
        found = ask(of, "2026-01-31", now="2026-02-11")
        assert (reason(found), found.finding.by) == ("CANCELED", "controller")

    def test_behind_a_new_end_date(self) -> None:
        of = begun(life(), "2026-01-31", DONE)
        of.decide(Update(by=BOB, sets_end_date=True, end_date=at("2026-02-09")), at("2026-02-01"))
        assert of.instance.status is InstanceStatus.COMPLETED
        found = ask(of, "2026-02-28", now="2026-03-11")
        assert (reason(found), found.finding.by) == ("CANCELED", "bob")
        assert found.finding.why == "after the end date: moving house"


class TestSkipped:
    """The rule for late plans left its date out: which cycles, by whose resume."""

    def resumed(self, on_late: OnResume) -> Life:
        of = life(daily())
        of.decide(Pause(by=ANN), at("2026-01-30"))
        of.decide(Resume(by=BOB, on_late=on_late), at("2026-02-05T12:00"))
        return of

    @pytest.mark.parametrize("when", ["2026-01-31", "2026-02-02", "2026-02-04", "2026-02-02T13:00"])
    def test_a_date_of_the_range(self, when: str) -> None:
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

    def test_by_the_engine_itself(self) -> None:
        of = life(daily())
        of.claim(of.main, at("2026-02-05T12:00"))
        found = ask(of, "2026-02-02", now="2026-02-10")
        assert (reason(found), found.finding.by) == ("SKIPPED", None)
        assert found.finding.why == "skipped: its date has passed"

    def test_while_it_is_still_paused_it_is_paused(self) -> None:
        of = life(daily())
        of.decide(Pause(by=ANN), at("2026-01-30"))
        assert reason(ask(of, "2026-02-02", now="2026-02-03")) == "PAUSED"

    def test_a_reminder_that_comes_too_late(self) -> None:
        of = life(strategy(reminded(days=3)), new("2026-02-10"))
        of.claim(of.event("remind"), at("2026-02-11"))
        assert reason(ask(of, "2026-02-07", now="2026-02-12")) == "SKIPPED"


class TestSuperseded:
    """A version the instance was moved to has no place for it."""

    def test_by_whom(self) -> None:
        of = life()
        of.decide(CancelEvent(seq=1, by=BOB), at("2026-01-30"))
        of.records[0] = replace(of.records[0], closed_by=ClosedBy.MIGRATION, why="task gone", reason=None)
        found = ask(of, "2026-01-31", now="2026-02-10")
        assert (reason(found), found.finding.by, found.finding.why) == ("SUPERSEDED", "bob", "task gone")


class TestHeld:
    """The queue or the strategy is, or was, paused."""

    def held(self, flag: BlockedBy = BlockedBy.QUEUE) -> Life:
        of = life()
        before = of.main
        of.claim(before, at("2026-01-31"))
        of.decide(Block(before=before, fence=1, blocked_by=flag), at("2026-01-31"))
        return of

    @pytest.mark.parametrize(
        ("flag", "why"), [(BlockedBy.QUEUE, "HELD_BY_QUEUE"), (BlockedBy.STRATEGY, "HELD_BY_STRATEGY")]
    )
    def test_now(self, flag: BlockedBy, why: str) -> None:
        found = ask(self.held(flag), "2026-01-31", now="2026-01-31T12:00", blocked_by=flag)
        assert (reason(found), found.finding.since) == (why, at("2026-01-31"))

    def test_asked_after_it_ran(self) -> None:
        of = self.held()
        of.decide(Unblock(), at("2026-02-02"))
        begun(of, "2026-02-02", DONE)
        found = ask(of, "2026-01-31", now="2026-02-10")
        assert (reason(found), found.finding.until) == ("HELD_BY_QUEUE", at("2026-02-02"))

    def test_before_anybody_has_tried(self) -> None:
        found = ask(life(), "2026-01-31T00:00", now="2026-01-31T00:00", blocked_by=BlockedBy.STRATEGY)
        assert (reason(found), found.finding.since) == ("HELD_BY_STRATEGY", None)

    def test_where_nothing_is_due(self) -> None:
        of = begun(life(), "2026-01-31", DONE)
        assert reason(ask(of, "2026-02-02", now="2026-02-02", blocked_by=BlockedBy.QUEUE)) == "HELD_BY_QUEUE"
        assert reason(ask(of, "2026-02-01", now="2026-02-02", blocked_by=BlockedBy.QUEUE)) == "NOT_PLANNED"

    def test_what_lies_ahead(self) -> None:
        found = ask(life(), "2026-01-31", now="2026-01-30", blocked_by=BlockedBy.QUEUE)
        assert reason(found) == "HELD_BY_QUEUE"


class TestOnHold:
    """It waits, or waited, for an operator."""

    def test_now(self) -> None:
        of = life(strategy(manualTrigger=True))
        assert reason(ask(of, "2026-01-31", now="2026-02-01")) == "ON_HOLD"

    def test_asked_after_it_was_run(self) -> None:
        of = life(strategy(manualTrigger=True))
        of.decide(Execute(seq=1, by=ANN), at("2026-02-02"))
        begun(of, "2026-02-02", DONE)
        found = ask(of, "2026-01-31", now="2026-02-10")
        assert (reason(found), found.finding.until) == ("ON_HOLD", at("2026-02-02"))

    def test_ahead(self) -> None:
        of = life(strategy(manualTrigger=True))
        assert reason(ask(of, "2026-01-31", now="2026-01-30T12:00")) == "ON_HOLD"


class TestDueAndNotYet:
    """What is planned and has not begun."""

    def test_its_date_has_come(self) -> None:
        found = ask(life(), "2026-01-31", now="2026-01-31T00:00:30")
        assert (reason(found), found.finding.since) == ("DUE", at("2026-01-31"))

    def test_it_comes_within_this_minute(self) -> None:
        of = life(asked=new("2026-01-31T00:00:40"))
        found = ask(of, "2026-01-31T00:00:10", now="2026-01-31T00:00:10")
        assert (reason(found), found.finding.until) == ("NOT_YET_DUE", at("2026-01-31T00:00:40"))

    def test_it_lies_ahead(self) -> None:
        found = ask(life(), "2026-01-31", now="2026-01-30")
        assert (reason(found), found.finding.until) == ("NOT_YET_DUE", at("2026-01-31"))

    def test_a_cycle_that_is_only_foreseen(self) -> None:
        found = ask(life(), "2026-03-31", now="2026-01-31")
        (answer,) = found.events
        assert (reason(found), answer.planned.cycle, answer.planned.past) == ("NOT_YET_DUE", 3, None)
        assert answer.planned.event.status is EventStatus.PENDING

    def test_with_what_leads_up_to_it(self) -> None:
        found = ask(life(strategy(reminded(days=3))), "2026-03-28", now="2026-01-31")
        assert [answer.planned.event.task for answer in found.events] == ["remind"]

    def test_what_a_final_instance_still_runs(self) -> None:
        of = life(strategy(parts={"onCancelTasks": [{"task": "part", "delayBy": DAILY}]}))
        of.decide(Cancel(by=ANN), at("2026-01-31"))
        assert reason(ask(of, "2026-02-01", now="2026-01-31T12:00")) == "NOT_YET_DUE"


class TestCreatedLater:
    """There was no such instance, or no such event, yet."""

    def test_the_instance(self) -> None:
        found = ask(life(now="2026-01-31"), "2026-01-30", now="2026-02-10")
        assert (reason(found), found.finding.since, found.status) == ("CREATED_LATER", at("2026-01-31"), None)
        assert found.after is not None
        assert found.after.event.planned_at == at("2026-01-31")

    def test_an_event_added_for_a_time_that_had_passed(self) -> None:
        of = begun(life(), "2026-01-31", DONE)
        of.decide(AddEvent(task="greet", by=ANN, date=at("2026-02-01")), at("2026-02-05"))
        found = ask(of, "2026-02-01", now="2026-02-06")
        assert (reason(found), found.finding.since) == ("CREATED_LATER", at("2026-02-05"))


class TestNotPlanned:
    """Nothing was to run then: the nearest planned dates before and after are told."""

    def test_between_two_cycles(self) -> None:
        of = begun(life(), "2026-01-31", DONE)
        found = ask(of, "2026-02-14", now="2026-02-20")
        assert (reason(found), found.events) == ("NOT_PLANNED", ())
        assert found.before is not None
        assert found.after is not None
        assert (found.before.event.planned_at, found.before.cycle) == (at("2026-01-31"), 1)
        assert (found.after.event.planned_at, found.after.cycle) == (at("2026-02-28"), 2)

    def test_ahead(self) -> None:
        found = ask(life(), "2026-02-14", now="2026-01-31")
        assert reason(found) == "NOT_PLANNED"
        assert found.after is not None
        assert found.after.event.planned_at == at("2026-02-28")

    def test_after_the_plan_has_ended(self) -> None:
        of = life(asked=new(end_date="2026-03-15"))
        found = ask(of, "2026-03-31", now="2026-01-31")
        assert (reason(found), found.after) == ("PLAN_ENDED", None)

    def test_where_what_is_left_is_no_date_of_the_plan(self) -> None:
        of = life(strategy(retry=retries(1)), new(end_date="2026-02-15"))
        begun(of, "2026-01-31", DONE)
        assert of.instance.status is InstanceStatus.COMPLETED
        found = ask(of, "2026-02-28", now="2026-03-01")
        assert (reason(found), found.finding.why) == ("COMPLETED", "the plan has ended")

    def test_active_although_its_plan_has_ended(self) -> None:
        of = life(
            strategy(parts={"onCreateTasks": [{"task": "greet", "delayBy": DAILY}]}),
            new(end_date="2026-02-15"),
        )
        begun(of, "2026-01-31", DONE)
        assert of.instance.plan.has_ended
        assert reason(ask(of, "2026-02-01T12:00", now="2026-01-31T12:00")) == "PLAN_ENDED"
        assert reason(ask(of, "2026-01-31T10:00", now="2026-01-31T12:00")) == "NOT_PLANNED"

    def test_too_far_ahead_nobody_knows(self) -> None:
        assert reason(ask(life(), "2046-01-31", now="2026-01-31")) == "UNKNOWN"


class TestWhatNobodyKnows:
    """Where the history does not tell, it is said."""

    def test_an_event_that_ran_late_for_no_reason_on_file(self) -> None:
        of = begun(life(), "2026-01-31T05:00", DONE)
        assert reason(ask(of, "2026-01-31", now="2026-02-10")) == "UNKNOWN"

    def test_where_the_instance_stood_long_ago(self) -> None:
        of = begun(life(), "2026-01-31", DONE)
        for day in range(10, 15):
            of.decide(Pause(by=ANN), at(f"2026-02-{day}"))
            of.decide(Resume(by=ANN), at(f"2026-02-{day}T12:00"))
        of.audit = []
        assert reason(ask(of, "2026-02-05", now="2026-02-20")) == "UNKNOWN"

    def test_a_record_of_before_it_said_what_closed_it(self) -> None:
        of = life()
        of.decide(CancelEvent(seq=1, by=BOB), at("2026-01-30"))
        of.records[0] = replace(of.records[0], closed_by=ClosedBy.RUN, by=None, reason=None)
        found = ask(of, "2026-01-31", now="2026-02-10")
        assert (reason(found), found.finding.by, found.finding.why) == (
            "CANCELED",
            None,
            "canceled by an operator",
        )


class TestWhatChangesMeanwhile:
    """An event that was open when the instance was read and is nowhere when its journal is."""

    def test_is_left_out(self) -> None:
        known = Evidence(instance=life().instance, now=at("2026-02-01"))
        found = explain(known, (1,), at("2026-01-31"))
        assert (found.finding.reason.value, found.events) == ("NOT_PLANNED", ())


class TestARedrivenEvent:
    """It is told of as the open event it is again."""

    def again(self) -> Life:
        of = begun(life(), "2026-01-31", DECLINED)
        record: EventRecord = of.records[0]
        of.decide(
            Redrive(seq=1, event_history=replace(of.event_history(1), record=record), by=ANN),
            at("2026-02-05"),
        )
        return of

    def test_while_it_is_queued(self) -> None:
        assert reason(ask(self.again(), "2026-02-05", now="2026-02-05")) == "DUE"

    def test_between_its_failure_and_the_redrive_it_had_failed(self) -> None:
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
