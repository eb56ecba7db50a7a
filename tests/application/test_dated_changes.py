"""A pause that ends and a cancellation at a date, as runners and the sweeper apply them.

Source: docs/decisions/0061-a-pause-that-ends-and-a-cancellation-at-a-date.md.
"""

from datetime import datetime, timedelta

import pytest
from msgspec.structs import replace

from dev.memory.world import ManualClock, MemoryPorts
from shared.application.commit import schedule_wakeup
from shared.application.control import control
from shared.application.explain import explain_at
from shared.application.flags import pause_queue, resume_queue
from shared.application.runner.loop import run_due_events
from shared.application.start import StartInstance, start_instance
from shared.domain.ids import InstanceSid
from shared.domain.instance.model import BlockedBy, Instance, InstanceStatus
from shared.domain.instance.problems import ProblemKind, problems_of
from shared.domain.instance.verdict import Actor, Applied
from shared.domain.lifecycle.commands import (
    CancelAt,
    Command,
    EndPause,
    Pause,
    Resume,
    RevokeCancellation,
    Unblock,
)
from shared.domain.steps.call import Answered, CallOutcome, ServiceRequest
from shared.domain.strategy.model import Strategy
from tests.application.sweeps import swept
from tests.lifecycle_factories import ANN, DAILY, at, calendar, strategy

START, NOON = at("2026-02-01"), at("2026-02-01T12:00")
UNTIL = at("2026-02-10T06:00")
PAUSE = Pause(by=ANN, sets_until=True, until=UNTIL)
GRACE = timedelta(seconds=180)


class Shop:
    """A service that accepts every request, and counts them."""

    calls = 0

    def call(self, _: ServiceRequest) -> CallOutcome:
        self.calls += 1
        return Answered(status=201, body={"id": "x"})


class Account:
    """An account with one daily instance, whose first bill of 1 February has run."""

    def __init__(self, of: Strategy | None = None) -> None:
        self.shop = Shop()
        self.ports = MemoryPorts(caller=self.shop, clock=ManualClock(START))
        self.strategy = of or strategy(
            calendar(DAILY), parts={"onCancelTasks": [{"task": "part"}]}, onResume="last"
        )
        self.ports.strategies.add(self.strategy)
        started = start_instance(
            self.ports, self.strategy, StartInstance(strategy_id="shop", attributes={}, start_date=START)
        )
        self.sid: InstanceSid = started.instance.sid
        self.run()
        self.ports.clock.at = NOON

    def run(self) -> None:
        """Let a runner come."""
        run_due_events(self.ports, self.sid, job="job", time_left=lambda: timedelta(minutes=15))

    def command(self, command: Command) -> None:
        assert isinstance(control(self.ports, self.sid, command), Applied)

    @property
    def instance(self) -> Instance:
        instance = self.ports.instances.load(self.sid)
        assert instance is not None
        return instance

    def status(self) -> InstanceStatus:
        return self.instance.status

    def armed(self, at: datetime) -> list[str]:
        """Return the names of the wakeups that are scheduled for an instant."""
        return [name for name, (due, _) in self.ports.wakeups.armed.items() if due == at]

    def sweep(self, now: datetime) -> int:
        """Let the sweeper come at an instant, and the runners that it wakes. Return how many it woke."""
        self.ports.clock.at = now
        self.ports.wakeups.invoked.clear()
        woken = swept(self.ports).wakeups
        for _ in self.ports.wakeups.invoked:
            self.run()
        return woken


class TestPauses:
    """A pause with an end resumes by itself, whatever becomes of its wakeup."""

    def test_the_runner_of_the_command_schedules_the_wakeup(self) -> None:
        account = Account()
        account.ports.wakeups.invoked.clear()
        account.command(PAUSE)
        assert account.ports.wakeups.invoked == [account.sid]
        account.run()
        assert account.armed(UNTIL) == [f"{account.sid}-at-{int(UNTIL.timestamp() * 1000):x}"]

    def test_a_runner_at_the_end_resumes_and_runs_what_is_due(self) -> None:
        account = Account()
        account.command(PAUSE)
        account.ports.clock.at = UNTIL
        account.run()
        assert account.status() is InstanceStatus.ACTIVE
        # The last missed date runs; the others were skipped.
        assert account.shop.calls == 2
        assert account.armed(at("2026-02-11"))

    def test_the_sweeper_finds_it_if_the_wakeup_is_lost(self) -> None:
        account = Account()
        account.command(PAUSE)
        assert account.sweep(UNTIL + GRACE - timedelta(seconds=1)) == 0
        assert account.sweep(UNTIL + GRACE) == 1
        assert account.status() is InstanceStatus.ACTIVE

    def test_a_second_runner_changes_nothing(self) -> None:
        account = Account()
        account.command(PAUSE)
        account.ports.clock.at = UNTIL
        account.run()
        after = account.instance
        account.run()
        assert account.instance == after

    def test_a_stale_wakeup_does_not_end_another_pause(self) -> None:
        account = Account()
        account.command(PAUSE)
        account.command(Resume(by=ANN))
        account.command(Pause(by=ANN))
        account.ports.clock.at = UNTIL
        account.run()
        assert account.status() is InstanceStatus.PAUSED

    def test_a_crash_between_the_commit_and_its_wakeup_only_costs_time(self) -> None:
        account = Account()
        account.command(PAUSE)
        account.ports.clock.at = UNTIL
        # A runner resumed the instance, and crashed before it ran anything.
        control(account.ports, account.sid, EndPause())
        assert account.sweep(UNTIL + 2 * GRACE) == 1
        assert account.shop.calls == 2

    def test_a_runner_that_comes_a_little_early_waits(self) -> None:
        account = Account()
        account.command(PAUSE)
        account.ports.clock.at = UNTIL - timedelta(seconds=5)
        account.run()
        assert account.status() is InstanceStatus.ACTIVE
        assert account.ports.clock.at == UNTIL

    def test_beyond_the_horizon_the_sweeper_schedules_the_wakeup(self) -> None:
        daily = replace(strategy(calendar(DAILY)), horizon=timedelta(days=2))
        account = Account(daily)
        account.command(PAUSE)
        account.run()
        assert account.armed(UNTIL) == []
        near = account.instance.sweep.schedule_at
        assert near is not None
        assert account.sweep(near) == 1
        assert len(account.armed(UNTIL)) == 1

    def test_a_paused_queue_does_not_keep_the_pause_from_ending(self) -> None:
        account = Account()
        pause_queue(account.ports, account.instance.account_id, by=ANN)
        account.ports.clock.at = at("2026-02-02")
        account.run()
        assert account.instance.blocked_by is BlockedBy.QUEUE
        account.command(PAUSE)
        assert account.sweep(UNTIL + GRACE) == 1
        assert account.status() is InstanceStatus.ACTIVE
        # The flag blocks it as usual.
        assert account.instance.blocked_by is BlockedBy.QUEUE
        assert account.shop.calls == 1

    def test_a_refused_resume_wakes_no_further_runner(self) -> None:
        account = Account(strategy(calendar({"unit": "minutes", "amount": 1}), onMissed="last"))
        account.command(Pause(by=ANN, sets_until=True, until=UNTIL))
        account.ports.clock.at = UNTIL
        account.ports.wakeups.invoked.clear()
        account.run()
        assert [problem.kind for problem in problems_of(account.instance)] == [ProblemKind.RESUME_REFUSED]
        assert account.ports.wakeups.invoked == []
        assert account.sweep(UNTIL + timedelta(days=1)) == 0


class TestCancellations:
    """A scheduled cancellation takes effect at its date, whatever becomes of its wakeup."""

    def test_the_wakeup_is_scheduled_after_the_last_event_before_it(self) -> None:
        account, date = Account(), at("2026-02-02T18:00")
        account.command(CancelAt(by=ANN, at=date))
        account.run()
        assert account.armed(date) == []
        account.ports.clock.at = at("2026-02-02")
        account.run()
        assert len(account.armed(date)) == 1

    def test_a_runner_at_the_date_cancels_and_runs_on_cancel_events(self) -> None:
        account, date = Account(), at("2026-02-01T18:00")
        account.command(CancelAt(by=ANN, at=date))
        account.ports.clock.at = date
        account.run()
        assert account.status() is InstanceStatus.CANCELED
        # The first bill, and the on-cancel task.
        assert account.shop.calls == 2

    def test_the_sweeper_finds_it_if_the_wakeup_is_lost(self) -> None:
        account, date = Account(), at("2026-02-01T18:00")
        account.command(CancelAt(by=ANN, at=date))
        assert account.sweep(date + GRACE) == 1
        assert account.status() is InstanceStatus.CANCELED

    def test_what_was_due_before_it_runs_first(self) -> None:
        account = Account()
        account.command(CancelAt(by=ANN, at=at("2026-02-02T18:00")))
        account.ports.clock.at = at("2026-02-05")
        account.run()
        assert account.status() is InstanceStatus.CANCELED
        # Both bills, and the on-cancel task.
        assert account.shop.calls == 3

    def test_the_end_of_the_cycle_runs_nothing_more(self) -> None:
        account = Account()
        account.command(CancelAt(by=ANN))
        account.ports.clock.at = at("2026-02-05")
        account.run()
        assert account.status() is InstanceStatus.CANCELED
        assert account.shop.calls == 2

    def test_a_blocked_event_before_the_date_runs_first(self) -> None:
        account = Account()
        pause_queue(account.ports, account.instance.account_id, by=ANN)
        account.command(CancelAt(by=ANN, at=at("2026-02-02T18:00")))
        account.ports.clock.at = at("2026-02-02")
        account.run()
        account.ports.clock.at = at("2026-02-02T18:00")
        account.run()
        assert account.status() is InstanceStatus.ACTIVE
        resume_queue(account.ports, account.instance.account_id, by=ANN)
        control(account.ports, account.sid, Unblock())
        account.run()
        assert account.status() is InstanceStatus.CANCELED
        assert account.shop.calls == 3

    def test_a_runner_is_invoked_for_a_date_that_has_passed(self) -> None:
        account, date = Account(), at("2026-02-01T18:00")
        account.command(CancelAt(by=ANN, at=date))
        account.ports.clock.at = date
        account.ports.wakeups.invoked.clear()
        schedule_wakeup(account.ports, account.instance)
        assert account.ports.wakeups.invoked == [account.sid]

    def test_a_revoked_cancellation_changes_nothing(self) -> None:
        account, date = Account(), at("2026-02-01T18:00")
        account.command(CancelAt(by=ANN, at=date))
        account.run()
        account.command(RevokeCancellation(by=ANN))
        account.ports.clock.at = date
        account.run()
        assert account.status() is InstanceStatus.ACTIVE


class TestExplanations:
    """The future is explained by the dates at which the status changes."""

    @pytest.mark.parametrize(
        ("command", "when", "reason"),
        [
            (PAUSE, "2026-02-05", "PAUSED"),
            (PAUSE, "2026-02-12", "NOT_YET_DUE"),
            (CancelAt(by=ANN, at=at("2026-02-05T12:00")), "2026-02-05", "NOT_YET_DUE"),
            (CancelAt(by=ANN, at=at("2026-02-05T12:00")), "2026-02-06", "TO_BE_CANCELED"),
            (CancelAt(by=Actor(name="bob")), "2026-02-02", "TO_BE_CANCELED"),
        ],
    )
    def test_a_future_date(self, command: Command, when: str, reason: str) -> None:
        account = Account()
        account.command(command)
        assert explain_at(account.ports, account.instance, at(when)).finding.reason.value == reason
