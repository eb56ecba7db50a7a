"""The local stack under kill -9, with the clock moved on."""

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
    """All processes of the stack die while an event executes; the next start brings it to its end."""

    @pytest.mark.timeout(500)
    def test_at_random_moments_with_the_clock_moved_on(self, processes: Processes) -> None:
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
    """Let time pass, until the stack is killed under it."""
    try:
        advance(stack, to.isoformat())
    except (OSError, RefusedError):
        return


class TestAPausedQueue:
    """What falls due meanwhile waits, and runs once the queue is resumed; kill -9 in between costs time only."""

    HELD = 12

    def test_what_was_held_runs_once_it_is_resumed(self, processes: Processes) -> None:
        processes.start_stack()
        api = gym(processes)
        api.call("DELETE", "/queue")
        sids = [join(api, now_of(processes.stack)) for _ in range(self.HELD)]
        await_all(lambda: all(held_by(api, sid) == "queue" for sid in sids), 60)
        assert ledger(processes) == []

        api.call("POST", "/queue")
        processes.kill_stack()
        processes.start_stack()

        for sid in sids:
            await_end(processes, sid, 240)
        assert contradictions(HistoryReader.of(processes.stack), sids, ledger(processes)) == []
        assert {held_by(api, sid) for sid in sids} == {None}


def held_by(api: Api, sid: str) -> str | None:
    found: str | None = api.call("GET", f"/execution-instance/{sid}").get("heldBy")
    return found
