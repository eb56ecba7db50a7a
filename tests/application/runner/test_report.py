"""The report of a run: a runner makes a report about each event that it claimed."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from msgspec.structs import replace

from dev.memory.stores import MemoryStrategies
from shared.application.answer_event import SentAnswer, answer_event
from shared.application.control import control
from shared.application.flags import pause_queue
from shared.application.runner.report import CallClass, CallReport, RunOutcome, RunReport, stopped_by
from shared.domain.ids import AccountId, EventSid, StrategySid
from shared.domain.instance.event import EventKind, EventStatus
from shared.domain.instance.flags import Flags
from shared.domain.instance.model import CancelReason, InstanceStatus
from shared.domain.instance.run import Intent
from shared.domain.instance.verdict import Applied
from shared.domain.lifecycle.commands import Cancel, Command, Pause, Resume
from shared.domain.steps.call import (
    AddressRefused,
    Answered,
    CallOutcome,
    TimedOut,
    TokenRefused,
    Unreachable,
)
from shared.domain.strategy.flag import Flag
from shared.domain.strategy.model import Json, Strategy
from tests.application.runner.watched import (
    A_LEASE,
    A_MINUTE,
    NOON,
    OK,
    TWO_STEPS,
    Crash,
    Watched,
    crash,
    overload,
)
from tests.lifecycle_factories import ANN, HOURLY, at, retries, strategy

DECLINED = Answered(status=402)
SILENT = TimedOut(why="no answer")
LATER: Json = {"unit": "minutes", "amount": 30}


def only(reports: list[RunReport]) -> RunReport:
    (report,) = reports
    return report


def side_task(**members: Json) -> Strategy:
    """Return a strategy that greets at once and bills in a week."""
    greet = {"onCreateTasks": [{"task": "greet", **members}]}
    return strategy(initial_delay={"unit": "days", "amount": 7}, parts=greet)


class ClearedAtOnce(MemoryStrategies):
    """A flag that is set when it is first read, and cleared afterwards."""

    is_read = False

    def flags(self, account: AccountId, strategy: StrategySid) -> Flags:
        was_read, self.is_read = self.is_read, True
        return super().flags(account, strategy) if was_read else Flags(queue=Flag(is_paused=True))


class KilledAtTheFlag(MemoryStrategies):
    """A flag that is set, and whose reading is overtaken by a kill."""

    kill: Callable[[], object]

    def flags(self, account: AccountId, strategy: StrategySid) -> Flags:
        assert super().flags(account, strategy) == Flags()
        self.kill()
        return Flags(queue=Flag(is_paused=True))


class TestAReport:
    """A report names instance, event and cycle, lists the calls, and has the duration and the outcome of the run."""

    def test_a_run_is_reported_in_every_field(self) -> None:
        watched = Watched(strategy(method={"key": "post"}, requestDelayTime=200))

        assert only(watched.run(after=timedelta(seconds=3))) == RunReport(
            account_id=AccountId("a-1"),
            strategy=StrategySid("s-1"),
            version=1,
            instance=watched.sid,
            event=EventSid(f"{watched.sid}-1"),
            task="bill",
            kind=EventKind.MAIN,
            cycle=1,
            run=1,
            attempt=1,
            claimed_at=NOON + timedelta(seconds=3),
            late=timedelta(seconds=3),
            taken_over=False,
            took=timedelta(seconds=0.45),
            steps=1,
            calls=(
                CallReport(
                    step="call",
                    service="shop",
                    method="post",
                    attempt=1,
                    repeat=False,
                    status=201,
                    call_class=CallClass.SUCCESS,
                    failed=False,
                    began_at=NOON + timedelta(seconds=3.2),
                    took=timedelta(seconds=0.25),
                ),
            ),
            limit_waits=(),
            opened_circuits=(),
            answers_overdue=0,
            outcome=RunOutcome.PROCESSED,
            status=EventStatus.PROCESSED,
            in_doubt=False,
            newly_in_doubt=False,
            instance_status=InstanceStatus.ACTIVE,
            cancel_reason=None,
            plan_failed=False,
            next_at=at("2026-02-28T12:00"),
        )

    def test_each_event_of_an_invocation_has_its_report(self) -> None:
        greeted = strategy(parts={"onCreateTasks": [{"task": "greet"}]})

        found = Watched(greeted).run()

        assert [(one.task, one.kind, one.cycle) for one in found] == [
            ("greet", EventKind.ON_CREATE, 1),
            ("bill", EventKind.MAIN, 1),
        ]

    def test_steps_without_calls_are_counted_as_steps(self) -> None:
        quiet = {"key": "call", "controllerCallback": "{}", "nextStep": "next"}
        report = only(Watched(strategy(steps=[quiet, {"key": "next", "action": "post"}])).run())

        assert (report.steps, [call.step for call in report.calls]) == (2, ["next"])

    def test_an_invocation_without_due_events_reports_nothing(self) -> None:
        watched = Watched()
        watched.clock.at = NOON - timedelta(hours=1)

        assert watched.run() == []


class TestOutcomes:
    """The outcome of a run follows from the state in which it left its event."""

    def test_a_failed_attempt_with_another_one_is_retried(self) -> None:
        watched = Watched(strategy(retry=retries()), DECLINED, OK)

        first, second = only(watched.run()), only(watched.run(after=timedelta(hours=2)))

        assert (first.outcome, first.status, first.run, first.attempt) == ("retried", "PENDING", 1, 1)
        assert (second.outcome, second.run, second.attempt) == ("processed", 2, 2)
        assert first.next_at is not None

    def test_used_up_attempts_are_exhausted(self) -> None:
        report = only(Watched(None, DECLINED).run())

        assert (report.outcome, report.status) == (RunOutcome.EXHAUSTED, EventStatus.FAILED)
        assert (report.instance_status, report.cancel_reason) == ("CANCELED", CancelReason.MAX_ATTEMPTS)
        assert report.next_at is None

    def test_used_up_attempts_that_pause_are_exhausted_too(self) -> None:
        report = only(Watched(strategy(retry={**retries(0), "pauseBeforeCancel": True}), DECLINED).run())

        assert (report.outcome, report.status) == (RunOutcome.EXHAUSTED, EventStatus.PAUSED)

    def test_a_call_that_an_operator_must_decide_is_in_doubt(self) -> None:
        report = only(Watched(strategy(method={"inDoubt": "pause"}), SILENT).run())

        assert (report.outcome, report.status) == (RunOutcome.IN_DOUBT, EventStatus.PAUSED)
        assert (report.in_doubt, report.newly_in_doubt) == (True, True)

    def test_a_doubt_is_new_only_once(self) -> None:
        watched = Watched(strategy(retry=retries()), SILENT, OK)

        first, second = only(watched.run()), only(watched.run(after=timedelta(hours=2)))

        assert (first.outcome, first.in_doubt, first.newly_in_doubt) == (RunOutcome.RETRIED, True, True)
        assert (second.outcome, second.in_doubt, second.newly_in_doubt) == (
            RunOutcome.PROCESSED,
            True,
            False,
        )
        assert second.calls[0].repeat

    def test_a_wait_for_an_answer_is_no_end(self) -> None:
        report = only(Watched(strategy(method={"async": True})).run())

        assert (report.outcome, report.status) == (RunOutcome.AWAITS_ANSWER, EventStatus.PAUSED)

    def test_an_answer_in_time_is_not_overdue(self) -> None:
        watched = Watched(strategy(method={"async": True, "answerWithin": HOURLY}))
        watched.run()
        waits = watched.store.event_history(watched.sid, 1).entries[-1].then
        assert isinstance(waits, Intent)
        answer = SentAnswer(correlation_id=waits.correlation_id, key="a", by=ANN, body=None)
        answer_event(watched.ports, watched.sid, 1, answer)

        report = only(watched.run(after=A_MINUTE))

        assert (report.outcome, report.answers_overdue) == (RunOutcome.PROCESSED, 0)

    def test_an_overdue_answer_is_counted_by_the_claim_that_ends_the_wait(self) -> None:
        watched = Watched(strategy(method={"async": True, "answerWithin": HOURLY}))
        watched.run()

        report = only(watched.run(after=timedelta(hours=1, seconds=5)))

        assert (report.outcome, report.answers_overdue, report.calls) == (RunOutcome.EXHAUSTED, 1, ())
        assert report.late == timedelta(seconds=5)

    @pytest.mark.parametrize(
        ("steps", "answer"),
        [
            ([{"key": "call", "action": "post", "delay": LATER}], OK),
            ([{"key": "call", "action": "post"}], Answered(status=503)),
        ],
        ids=["delay", "refused for now"],
    )
    def test_a_wait_within_a_run_is_no_end(self, steps: Json, answer: CallOutcome) -> None:
        report = only(Watched(strategy(steps=steps), answer).run())

        assert (report.outcome, report.status) == (RunOutcome.WAITS, EventStatus.PENDING)

    def test_an_invocation_without_time_hands_over(self) -> None:
        report = only(Watched(strategy(steps=TWO_STEPS)).run(seconds=80.2))

        assert (report.outcome, report.status) == (RunOutcome.HANDED_OVER, EventStatus.QUEUED)
        assert len(report.calls) == 1

    @pytest.mark.parametrize(
        ("command", "outcome"),
        [(Pause(by=ANN), RunOutcome.PAUSED), (Cancel(by=ANN), RunOutcome.CANCELED)],
        ids=["pause", "cancel"],
    )
    def test_a_command_stops_the_run_between_two_steps(self, command: Command, outcome: RunOutcome) -> None:
        watched = Watched(strategy(steps=TWO_STEPS))
        watched.meanwhile = lambda: control(watched.ports, watched.sid, command)

        report = only(watched.run())

        assert (report.outcome, len(report.calls)) == (outcome, 1)

    def test_a_kill_takes_the_event_from_its_runner(self) -> None:
        watched = Watched(strategy(steps=TWO_STEPS))
        watched.meanwhile = lambda: control(watched.ports, watched.sid, Cancel(by=ANN, kill=True))

        report = only(watched.run())

        assert (report.outcome, report.status, report.instance_status) == (RunOutcome.LOST, None, None)
        assert len(report.calls) == 1

    def test_a_kill_before_the_handing_over_takes_the_event_too(self) -> None:
        watched = Watched(strategy(steps=TWO_STEPS))
        kill = Cancel(by=ANN, kill=True)
        watched.store.before = {2: lambda: control(watched.ports, watched.sid, kill)}

        assert only(watched.run(seconds=80.2)).outcome is RunOutcome.LOST

    def test_a_paused_queue_blocks_the_claim(self) -> None:
        watched = Watched()
        pause_queue(watched.ports, AccountId("a-1"), by=ANN)

        report = only(watched.run())

        assert (report.outcome, report.status, report.calls) == (RunOutcome.BLOCKED, EventStatus.PENDING, ())

    def test_a_queue_that_is_resumed_meanwhile_lets_the_event_run(self) -> None:
        watched = Watched()
        flags = ClearedAtOnce(access=watched.ports.access)
        flags.add(strategy())
        watched.ports.strategies = flags

        blocked, ran = watched.run()

        assert (blocked.outcome, ran.outcome) == (RunOutcome.BLOCKED, RunOutcome.PROCESSED)

    def test_a_kill_before_the_block_takes_the_event(self) -> None:
        watched = Watched()
        flags = KilledAtTheFlag(access=watched.ports.access)
        flags.kill = lambda: control(watched.ports, watched.sid, Cancel(by=ANN, kill=True))
        flags.add(strategy())
        watched.ports.strategies = flags

        assert only(watched.run()).outcome is RunOutcome.LOST

    def test_a_verdict_without_the_event_says_that_it_is_lost(self) -> None:
        watched = Watched()
        (event,) = watched.instance.events

        stopped = stopped_by(event, Applied(instance=replace(watched.instance, events=())))

        assert (stopped.outcome, stopped.event) == (RunOutcome.LOST, None)

    def test_an_overloaded_store_makes_the_runner_give_back(self) -> None:
        watched = Watched()
        # Its claim is stored, and nothing more until after its lease.
        watched.store.before = dict.fromkeys(range(2, 60), overload)

        report = only(watched.run())

        assert (report.outcome, report.status) == (RunOutcome.GIVEN_BACK, EventStatus.EXECUTING)
        assert only(watched.run(after=A_LEASE * 2)).taken_over

    def test_missed_dates_are_replanned_by_the_claim(self) -> None:
        watched = Watched(strategy(parts={"onCreateTasks": [{"task": "greet"}]}, onMissed="last"))

        found = watched.run(after=timedelta(days=62))

        assert [(one.outcome, one.status, one.task, one.cycle) for one in found] == [
            (RunOutcome.REPLANNED, "PENDING", "greet", 1),
            (RunOutcome.PROCESSED, "PROCESSED", "greet", 1),
            (RunOutcome.PROCESSED, "PROCESSED", "bill", 3),
        ]

    def test_a_skipped_date_is_canceled_by_the_claim(self) -> None:
        found = Watched(strategy(onMissed="last")).run(after=timedelta(days=62))

        assert [(one.outcome, one.cycle) for one in found] == [
            (RunOutcome.CANCELED, 1),
            (RunOutcome.PROCESSED, 3),
        ]

    def test_a_run_that_breaks_off_is_reported_with_its_calls_so_far(self) -> None:
        watched = Watched(strategy(steps=TWO_STEPS), OK, Crash())

        report = only(watched.run())

        assert (report.outcome, report.status) == (RunOutcome.BROKEN_OFF, None)
        assert [call.step for call in report.calls] == ["call"]

    def test_a_crashed_run_is_taken_over_and_its_doubt_is_new(self) -> None:
        watched = Watched(None, Crash(), OK)
        watched.run()

        report = only(watched.run(after=A_LEASE))

        assert (report.outcome, report.taken_over) == (RunOutcome.PROCESSED, True)
        assert (report.in_doubt, report.newly_in_doubt) == (True, True)

    def test_an_end_that_a_crashed_runner_had_recorded_is_reported_by_the_next(self) -> None:
        watched = Watched()
        watched.store.before = {2: crash}  # the commit after the record
        assert only(watched.run()).outcome is RunOutcome.BROKEN_OFF

        report = only(watched.run(after=A_LEASE))

        assert (report.outcome, report.status, report.calls) == (
            RunOutcome.PROCESSED,
            EventStatus.PROCESSED,
            (),
        )

    def test_a_main_event_whose_runners_crash_is_poisoned(self) -> None:
        watched = Watched(None, *(Crash() for _ in range(9)))

        found = [only(watched.run(after=A_LEASE)) for _ in range(6)]

        assert [one.outcome for one in found[:5]] == [RunOutcome.BROKEN_OFF] * 5
        assert (found[5].outcome, found[5].status) == (RunOutcome.POISONED, EventStatus.PAUSED)

    def test_a_side_task_whose_runners_crash_is_poisoned_and_fails(self) -> None:
        watched = Watched(side_task(), *(Crash() for _ in range(9)))

        found = [only(watched.run(after=A_LEASE)) for _ in range(6)]

        assert (found[5].outcome, found[5].status, found[5].kind) == (
            RunOutcome.POISONED,
            EventStatus.FAILED,
            EventKind.ON_CREATE,
        )


class TestCalls:
    """A call that gets no usable answer has failed; any other answer is for the flow to judge."""

    @pytest.mark.parametrize(
        ("call", "status", "call_class", "failed"),
        [
            (Answered(status=200), 200, "2xx", False),
            (Answered(status=204), 204, "2xx", False),
            (Answered(status=200, unusable="too large"), 200, "2xx", True),
            (Answered(status=302), 302, "3xx", False),
            (Answered(status=402), 402, "4xx", False),
            (Answered(status=408), 408, "4xx", True),
            (Answered(status=409), 409, "4xx", False),
            (Answered(status=425), 425, "4xx", True),
            (Answered(status=429), 429, "4xx", True),
            (Answered(status=500), 500, "5xx", True),
            (Answered(status=503), 503, "5xx", True),
            (Answered(status=199), 199, "other", True),
            (Answered(status=601), 601, "other", True),
            (SILENT, None, "no-answer", True),
            (Unreachable(why="no connection"), None, "not-sent", True),
            (AddressRefused(why="internal"), None, "not-sent", True),
            (TokenRefused(why="busy"), None, "not-sent", True),
        ],
        ids=str,
    )
    def test_each_outcome_has_its_class(
        self, call: CallOutcome, status: int | None, call_class: str, *, failed: bool
    ) -> None:
        (found,) = only(Watched(None, call).run()).calls

        assert (found.status, found.call_class, found.failed) == (status, call_class, failed)


class TestLateness:
    """A run is late by the time in which it could have been claimed and was not."""

    def test_a_start_date_in_the_past_is_not_late(self) -> None:
        watched = Watched()
        watched.clock.at += timedelta(days=20)
        created = replace(watched.instance.events[0], created_at=watched.clock.at)
        watched.store.instances[watched.sid] = watched.instance.with_event(created)

        assert only(watched.run(after=timedelta(seconds=4))).late == timedelta(seconds=4)

    def test_a_pause_is_not_late(self) -> None:
        watched = Watched()
        control(watched.ports, watched.sid, Pause(by=ANN))
        watched.clock.at += timedelta(days=5)
        control(watched.ports, watched.sid, Resume(by=ANN))

        assert only(watched.run(after=timedelta(seconds=6))).late == timedelta(seconds=6)

    def test_a_takeover_is_late_from_the_end_of_the_lease_on(self) -> None:
        watched = Watched(None, Crash())
        watched.run()
        lease = watched.instance.lease
        assert lease is not None
        watched.clock.at = lease.until

        assert only(watched.run(after=timedelta(seconds=40))).late == timedelta(seconds=40)
