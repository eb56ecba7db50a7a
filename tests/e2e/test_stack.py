"""The local stack under kill -9, with an advanced clock."""

import os
import random
import signal
import threading
import time
from datetime import datetime, timedelta

import pytest

from dev.client import Api, Processes, RefusedError, advance
from dev.gym import gym, join
from dev.history_reader import HistoryReader, contradictions
from tests.e2e.gym import assert_right, await_all, await_end, ledger, now_of

SLOW = 0.15
KILLS = 20


class TestKillMinusNine:
    """The whole stack is killed while an event executes. After the next start the event is completed."""

    @pytest.mark.timeout(500)
    def test_kills_at_random_moments_lose_no_event(self, processes: Processes) -> None:
        rng = random.Random(20260303)
        processes.start_stack("--start-at", "2026-01-01T00:00:00Z")
        api = gym(processes)
        repeated, sids = 0, []
        for _ in range(KILLS):
            for path in ("/4020/charges", "/4022/members/m/state", "/4021/mails"):
                processes.downstream.call("POST", "/_fail", {"path": path, "times": 1, "delaySeconds": SLOW})
            due = now_of(processes.stack) + timedelta(hours=1)
            sids.append(join(api, due))
            moving = threading.Thread(target=_move, args=(processes.stack, due + timedelta(minutes=1)))
            moving.start()
            time.sleep(rng.uniform(0.02, 5 * SLOW))
            processes.kill_stack()
            moving.join()
            processes.start_stack()
            advance(processes.stack, (max(due, now_of(processes.stack)) + timedelta(minutes=20)).isoformat())

            repeated += sum(times > 1 for times in assert_right(processes, sids))
        assert repeated, "no kill hit a call in flight: the test proves nothing"


def _move(stack: Api, to: datetime) -> None:
    """Advance time until the stack is killed."""
    try:
        advance(stack, to.isoformat())
    except (OSError, RefusedError):
        return


class TestAnAdvance:
    """A jump of the clock waits for the invocations that it starts. If they do not end, it fails and names them."""

    @pytest.mark.timeout(120)
    def test_a_call_that_hangs_stops_the_clock_until_it_ends(self, processes: Processes) -> None:
        processes.start_stack("--start-at", "2026-01-01T00:00:00Z", "--advance-seconds", "1")
        api = gym(processes)
        due = now_of(processes.stack) + timedelta(hours=1)
        sid = join(api, due)
        hang = {"path": "/4022/members/m/state", "times": 1, "delaySeconds": 4}
        processes.downstream.call("POST", "/_fail", hang)

        with pytest.raises(RefusedError) as refused:
            advance(processes.stack, (due + timedelta(hours=1)).isoformat())

        assert refused.value.status == 504
        (running,) = refused.value.body["stillRunning"]
        assert running.startswith(f'StepRunner {{"sid": "{sid}"}} (by wakeup), for ')
        assert datetime.fromisoformat(refused.value.body["now"]) < due + timedelta(minutes=1)
        await_all(lambda: _reaches(processes.stack, due + timedelta(hours=1)), 60)
        assert assert_right(processes, [sid]) == [1, 1, 1]


def _reaches(stack: Api, to: datetime) -> bool:
    try:
        advance(stack, to.isoformat())
    except RefusedError:
        return False
    return True


class TestAKilledEmulator:
    """If the emulator alone is killed, it is started again, and nothing is lost."""

    @pytest.mark.timeout(200)
    def test_events_are_completed(self, processes: Processes) -> None:
        processes.start_stack("--start-at", "2026-01-01T00:00:00Z")
        api = gym(processes)
        due = now_of(processes.stack) + timedelta(hours=1)
        sids = [join(api, due + timedelta(minutes=number)) for number in range(3)]
        processes.downstream.call("POST", "/_fail", {"path": "/4020/charges", "times": 3, "delaySeconds": 1})
        moving = threading.Thread(target=_move, args=(processes.stack, due + timedelta(hours=1)))
        moving.start()
        for _ in sids:
            time.sleep(1)
            emulator = processes.stack.call("GET", "/_local/processes")["emulator"]
            os.kill(emulator, signal.SIGKILL)
        moving.join()
        await_all(lambda: _reaches(processes.stack, due + timedelta(hours=2)), 60)

        assert_right(processes, sids)


class TestAPausedQueue:
    """Events that are due while the queue is paused run after its resume, even if the stack is killed."""

    HELD = 12

    def test_blocked_events_run_after_the_queue_is_resumed(self, processes: Processes) -> None:
        processes.start_stack()
        api = gym(processes)
        api.call("DELETE", "/queue")
        sids = [join(api, now_of(processes.stack)) for _ in range(self.HELD)]
        await_all(lambda: all(blocked_by_of(api, sid) == "queue" for sid in sids), 60)
        assert ledger(processes) == []

        api.call("POST", "/queue")
        processes.kill_stack()
        processes.start_stack()

        for sid in sids:
            await_end(processes, sid, 240)
        assert contradictions(HistoryReader.of(processes.stack), sids, ledger(processes)) == []
        assert {blocked_by_of(api, sid) for sid in sids} == {None}


def blocked_by_of(api: Api, sid: str) -> str | None:
    found: str | None = api.call("GET", f"/execution-instance/{sid}").get("heldBy")
    return found
