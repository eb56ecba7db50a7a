"""The invocations that run or wait on the local stack."""

import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest

from dev.activity import Activity
from dev.clock import ClockFile

SOON = 0.05
LATE = 10.0


@pytest.fixture
def clock(tmp_path: Path) -> ClockFile:
    return ClockFile(tmp_path / "clock.json")


@pytest.fixture
def activity(clock: ClockFile) -> Activity:
    return Activity(clock)


def sleeping(activity: Activity, invocation: str, seconds: float) -> tuple[threading.Thread, list[bool]]:
    """Let an invocation wait in a thread, and return when it is known to wait."""
    answers: list[bool] = []
    thread = threading.Thread(target=lambda: answers.append(activity.sleep(invocation, seconds)), daemon=True)
    thread.start()
    until = time.monotonic() + LATE
    while invocation not in activity._waiting and time.monotonic() < until:
        time.sleep(0.001)
    return thread, answers


class TestQuiet:
    """It is quiet when every invocation has ended or waits for a later instant."""

    def test_nothing_was_started(self, activity: Activity) -> None:
        assert activity.await_quiet(0) == []

    def test_a_running_invocation_is_named(self, activity: Activity) -> None:
        activity.begin("a", 'StepRunner {"sid": "s"} (by wakeup)')

        assert activity.await_quiet(SOON) == ['StepRunner {"sid": "s"} (by wakeup), for 0 s']

    def test_quiet_waits_for_the_last_end(self, activity: Activity) -> None:
        activity.begin("a", "a")
        activity.begin("b", "b")
        activity.end("a")
        threading.Timer(SOON, activity.end, ["b"]).start()

        assert activity.await_quiet(LATE) == []

    def test_a_waiting_invocation_is_quiet(self, activity: Activity) -> None:
        activity.begin("a", "a")
        sleeping(activity, "a", 3600)

        assert activity.await_quiet(0) == []

    def test_a_running_worker_beside_a_waiting_one_is_not_quiet(self, activity: Activity) -> None:
        activity.begin("a", "a")
        activity.begin("b", "b")
        sleeping(activity, "a", 3600)

        assert activity.await_quiet(SOON) == ["b, for 0 s"]


class TestWaiting:
    """A wait ends when the clock has reached its end, in real time or by a jump."""

    def test_a_wait_takes_its_time(self, activity: Activity) -> None:
        assert activity.sleep("a", SOON) is True

    def test_moving_the_clock_ends_a_wait(self, activity: Activity, clock: ClockFile) -> None:
        activity.begin("a", "a")
        thread, answers = sleeping(activity, "a", 3600)

        clock.write(3600)
        # Its instant has come, so it counts as running before its thread has noticed.
        assert activity.await_quiet(0) == ["a, for 0 s"]
        activity.clock_moved()
        thread.join(LATE)

        assert answers == [True]

    def test_moving_the_clock_too_little_ends_no_wait(self, activity: Activity, clock: ClockFile) -> None:
        activity.begin("a", "a")
        thread, _ = sleeping(activity, "a", 3600)

        clock.write(3590)
        activity.clock_moved()
        thread.join(SOON)

        assert thread.is_alive()
        assert activity.await_quiet(0) == []

    def test_the_first_end_of_all_waits_is_next(self, activity: Activity, clock: ClockFile) -> None:
        for invocation, seconds in (("a", 3600), ("b", 60), ("c", 600)):
            activity.begin(invocation, invocation)
            sleeping(activity, invocation, seconds)
        activity.end("b")

        awakening = activity.next_awakening()

        assert awakening is not None
        assert timedelta(seconds=590) < awakening - clock.now() <= timedelta(seconds=600), "b has ended"

    def test_the_end_of_the_stack_cuts_off_long_waits_only(
        self, activity: Activity, clock: ClockFile
    ) -> None:
        activity.begin("a", "a")
        activity.begin("b", "b")
        long, cut_off = sleeping(activity, "a", 3600)
        activity.end("a")
        short, kept = sleeping(activity, "b", 4)

        activity.close()
        long.join(LATE)
        clock.write(5)
        activity.clock_moved()
        short.join(LATE)

        assert (cut_off, kept) == ([False], [True])
