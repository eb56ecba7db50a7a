"""Answers without a time limit that do not come. Source: docs/decisions/0045."""

from datetime import timedelta

from msgspec.structs import replace

from shared.application.answer_event import SentAnswer, answer_event
from shared.application.commit import execute, schedule_wakeup
from shared.application.runner.loop import run_due_events
from shared.application.runner.report import OverdueAnswer
from shared.domain.ids import AccountId, EventSid, StrategySid
from shared.domain.instance.due import GRACE, sweep_at
from shared.domain.instance.event import EventStatus, PausedFor
from shared.domain.instance.problems import ProblemKind, problems_of
from shared.domain.instance.replay import position
from shared.domain.instance.run import Intent
from shared.domain.instance.verdict import Actor, Applied
from shared.domain.lifecycle.commands import Pause, Resume
from tests.application.runner.watched import NOON, Watched
from tests.application.sweeps import swept
from tests.lifecycle_factories import strategy

ANN = Actor(name="ann")
ASKED_AT = NOON + timedelta(seconds=0.25)
EXPECTED = ASKED_AT + timedelta(days=7)


class Asking(Watched):
    """An instance whose first call waits for its answer, which does not come for a week."""

    def __init__(self, *, greets_after_days: int | None = None) -> None:
        greet = {"task": "greet", "delayBy": {"unit": "days", "amount": greets_after_days}}
        tasks = {} if greets_after_days is None else {"onCreateTasks": [greet]}
        super().__init__(strategy(method={"async": True}, parts=tasks))
        self.run()
        self.overdue: list[OverdueAnswer] = []
        self.clock.at = EXPECTED
        self.ports.wakeups.invoked.clear()

    def invoke(self) -> int:
        ends = self.clock.at + timedelta(minutes=15)
        return run_due_events(
            self.ports,
            self.sid,
            job="job",
            time_left=lambda: ends - self.clock.at,
            report_overdue=self.overdue.append,
        )

    def answer(self) -> None:
        (event,) = [event for event in self.instance.events if event.paused_for is PausedFor.ANSWER]
        then = position(self.ports.instances.event_history(self.sid, event.seq), event)
        assert isinstance(then, Intent)
        sent = SentAnswer(correlation_id=then.correlation_id, key="a", by=ANN, body={})
        assert isinstance(answer_event(self.ports, self.sid, event.seq, sent), Applied)


class TestARunner:
    """A runner marks the wait as overdue, reports it once, and calls nothing."""

    def test_an_overdue_answer_is_marked_and_reported_once(self) -> None:
        asking = Asking()

        assert (asking.invoke(), asking.invoke()) == (0, 0)

        assert asking.overdue == [
            OverdueAnswer(
                account_id=AccountId("a-1"),
                strategy=StrategySid("s-1"),
                instance=asking.sid,
                event=EventSid(f"{asking.sid}-1"),
                task="bill",
                since=EXPECTED,
            )
        ]
        (problem,) = problems_of(asking.instance)
        assert (problem.kind, problem.seq) == (ProblemKind.ANSWER_OVERDUE, 1)
        assert len(asking.requests) == 1
        assert sweep_at(asking.instance) is None

    def test_a_runner_before_that_marks_nothing(self) -> None:
        asking = Asking()
        asking.clock.at -= timedelta(seconds=1)

        asking.invoke()

        assert (asking.overdue, problems_of(asking.instance)) == ([], ())

    def test_an_answer_that_comes_just_before_the_mark_wins(self) -> None:
        asking = Asking()
        asking.store.before = {asking.store.commits + 1: asking.answer}

        assert asking.invoke() == 1

        assert asking.overdue == []
        assert asking.store.records[asking.sid, 1].event.status is EventStatus.PROCESSED

    def test_the_runner_that_loses_the_race_reports_nothing(self) -> None:
        asking = Asking()

        def another_runner() -> None:
            asking.clock.at += timedelta(milliseconds=1)
            asking.invoke()

        asking.store.before = {asking.store.commits + 1: another_runner}

        asking.invoke()

        assert len(asking.overdue) == 1

    def test_a_due_event_runs_before_the_mark_in_the_same_invocation(self) -> None:
        asking = Asking(greets_after_days=7)

        assert asking.invoke() == 1

        assert [answer.task for answer in asking.overdue] == ["bill"]
        assert len(asking.requests) == 2


class TestTheSweeper:
    """The sweeper alone wakes the runner. No event of the instance is late because of that."""

    def test_waiting_for_an_answer_wakes_a_runner_after_seven_days(self) -> None:
        asking = Asking()
        asking.clock.at -= timedelta(seconds=1)
        assert swept(asking.ports).wakeups == 0
        asking.clock.at += timedelta(hours=3)

        report = swept(asking.ports)

        assert (report.wakeups, asking.ports.wakeups.invoked) == (1, [asking.sid])

    def test_a_runner_that_never_comes_gets_wakeups_after_one_minute_then_two(self) -> None:
        asking = Asking()
        wakeups = []
        for _ in range(8):
            wakeups.append(swept(asking.ports).wakeups)
            asking.clock.at += timedelta(minutes=1)

        assert wakeups == [1, 1, 0, 1, 0, 0, 0, 1]

    def test_a_later_event_is_checked_in_time_even_if_the_runner_never_comes(self) -> None:
        asking = Asking(greets_after_days=7)
        (greet,) = [event for event in asking.instance.events if event.task == "greet"]
        asking.clock.at = EXPECTED - timedelta(days=1)
        store = asking.store
        (asked,) = [event for event in asking.instance.events if event.task == "bill"]
        assert asked.pause is not None
        early = replace(asked, pause=replace(asked.pause, expected_by=greet.due_at - timedelta(hours=3)))
        store.instances[asking.sid] = asking.instance.with_event(early)
        asking.clock.at = greet.due_at - timedelta(hours=3)
        while asking.clock.at < greet.due_at:
            swept(asking.ports)
            asking.clock.at += timedelta(minutes=1)

        assert asking.instance.sweep.attempts > 5
        assert sweep_at(asking.instance) == greet.due_at + GRACE

    def test_a_resume_schedules_the_wakeup_of_the_next_event(self) -> None:
        asking = Asking(greets_after_days=60)
        asking.ports.wakeups.armed.clear()
        execute(asking.ports, asking.sid, Pause(by=ANN))
        asking.clock.at = EXPECTED + timedelta(days=23)

        verdict = execute(asking.ports, asking.sid, Resume(by=ANN))
        assert isinstance(verdict, Applied)
        schedule_wakeup(asking.ports, verdict.instance)

        assert len(asking.ports.wakeups.armed) == 1
        assert sweep_at(asking.instance) == asking.clock.at, "it has not waited for a runner since"
        asking.clock.at += timedelta(seconds=30)
        assert max(swept(asking.ports).waits.values()) == timedelta(seconds=30)

    def test_no_schedule_is_made_for_it(self) -> None:
        asking = Asking(greets_after_days=30)
        before = dict(asking.ports.wakeups.armed)
        asking.invoke()
        assert dict(asking.ports.wakeups.armed) == before
