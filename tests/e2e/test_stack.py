"""The local stack under kill -9, with an advanced clock."""

import random
import threading
import time
from datetime import datetime, timedelta

import pytest

from dev.client import Api, Processes, RefusedError, advance
from dev.history_reader import HistoryReader, contradictions
from tests.e2e.gym import assert_right, await_all, await_end, gym, join, ledger, now_of

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
