"""The local stack in real time: schedules that fire by themselves, and kill -9."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest

from dev.client import Processes, advance
from dev.gym import gym, join
from shared.domain.instance.event import EventStatus
from tests.e2e.gym import assert_right, await_all, await_arrival, await_end, first_charge


def started(processes: Processes) -> Mapping[str, int]:
    """Return how many events each trigger has started, counted when their invocations ended."""
    found: Mapping[str, int] = processes.stack.call("GET", "/_local/clock")["started"]
    return found


class TestTheSchedulerAlone:
    """Without the sweeper, schedules fire by themselves in real time."""

    @pytest.mark.timeout(400)
    def test_a_subscription_due_in_two_minutes_runs(self, processes: Processes) -> None:
        processes.start_stack("--sweeper", "off")
        sid = join(gym(processes), datetime.now(UTC) + timedelta(minutes=2))

        record = await_end(processes, sid, 200)

        assert record.event.status is EventStatus.PROCESSED
        await_all(lambda: started(processes).get("wakeup events") == 1, 10)

    @pytest.mark.timeout(120)
    @pytest.mark.parametrize("seconds", [3, 20, 50])
    def test_an_event_due_within_a_minute_runs_within_five_seconds(
        self, processes: Processes, seconds: int
    ) -> None:
        """Without a schedule, whose precision is a minute: the runner waits for it."""
        processes.start_stack("--sweeper", "off")
        strategy = gym(processes)
        due = datetime.now(UTC) + timedelta(seconds=seconds)

        record = await_end(processes, join(strategy, due), 100)

        assert record.event.times.executed_at is not None
        assert timedelta() <= record.event.times.executed_at - due < timedelta(seconds=5)
        assert "wakeup events" not in started(processes)

    @pytest.mark.timeout(200)
    def test_a_schedule_fires_at_the_right_time_after_an_advance(self, processes: Processes) -> None:
        processes.start_stack("--sweeper", "off", "--start-at", "2026-01-01T00:00:00Z")
        due = datetime(2026, 3, 3, 8, tzinfo=UTC)
        sid = join(gym(processes), due)
        advance(processes.stack, (due - timedelta(seconds=20)).isoformat())
        assert first_charge(processes, sid)[0] is None

        record = await_end(processes, sid, 60)

        assert record.event.times.executed_at is not None
        assert timedelta() <= record.event.times.executed_at - due < timedelta(seconds=10)


class TestKillMinusNine:
    """The whole stack is killed while an event executes. After the next start the event is completed."""

    @pytest.mark.timeout(500)
    def test_a_killed_event_is_completed_within_five_minutes(self, processes: Processes) -> None:
        processes.start_stack()
        sid = join(gym(processes), datetime.now(UTC))
        processes.downstream.call(
            "POST", "/_fail", {"path": "/4022/members/m/state", "times": 1, "delaySeconds": 20}
        )
        await_arrival(processes, "/4022/members/m/state")
        processes.kill_stack()

        began = time.monotonic()
        processes.start_stack()
        await_end(processes, sid, 300)

        assert time.monotonic() - began < 300
        assert assert_right(processes, [sid]) == [1, 2, 1]
