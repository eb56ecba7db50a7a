"""The local stack in real time, and under kill -9."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dev.books import Books, disagreements
from dev.client import Api, Processes, RefusedError, advance, example
from shared.domain.event import EventStatus
from shared.domain.journal import EventRecord, JournalEntry

MEMBER = {"memberId": "m", "email": "m@example.test", "monthlyFee": 29.5}
SLOW = 0.15
KILLS = 20


def gym(processes: Processes) -> Api:
    """The gym's strategy saved; its API."""
    strategy = example("gym-membership", processes.downstream)
    strategy["settings"]["schedule"]["initialDelay"] = {"unit": "minutes", "amount": 0}
    strategy["settings"]["schedule"]["calendars"][0]["leadingUpTasks"] = []
    strategy["settings"]["onCreateTasks"] = []
    processes.stack.call("POST", "/execution-strategy", strategy)
    return replace(processes.stack, secret=strategy["secret"])


def join(api: Api, at: datetime) -> str:
    """A member whose first charge is due at an instant."""
    body = {"strategyId": "gym-membership", "startDate": at.isoformat(), "attributes": MEMBER}
    sid: str = api.call("POST", "/execution-instance", body)["executionInstance"]["sid"]
    return sid


def now_of(stack: Api) -> datetime:
    return datetime.fromisoformat(stack.call("GET", "/_local/clock")["now"])


def ledger(processes: Processes) -> list[dict[str, Any]]:
    lines = processes.downstream.call("GET", "/_ledger")
    return [line for line in lines if not line["path"].endswith("/oauth/token")]


def first_charge(processes: Processes, sid: str) -> tuple[EventRecord | None, tuple[JournalEntry, ...]]:
    """The record of the first charge, if it has ended, and its steps."""
    _, record, entries = next(iter(Books.of(processes.stack).events(sid)))
    return record, entries


def await_end(processes: Processes, sid: str, seconds: float) -> EventRecord:
    """The record of the first charge, once it has ended in real time."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        record, _ = first_charge(processes, sid)
        if record is not None:
            return record
        time.sleep(1)
    raise AssertionError(f"the charge did not end within {seconds} s")


def assert_right(processes: Processes, sids: list[str]) -> list[int]:
    """The last one's charge ended once; what arrived twice was in flight and says so. How often each step arrived."""
    sid = sids[-1]
    record, entries = first_charge(processes, sid)
    assert record is not None
    assert record.event.status is EventStatus.PROCESSED
    assert [entry.intent.step for entry in entries] == ["charge", "crm-paid", "mail-receipt"]
    assert disagreements(Books.of(processes.stack), sids, ledger(processes)) == []
    arrived = Counter(line["key"] for line in ledger(processes))
    for entry in entries:
        times = arrived[str(entry.intent.call_key)]
        assert times == 1 or entry.intent.repeat, (
            f"{entry.intent.step} had finished and was called {times} times"
        )
    return [arrived[str(entry.intent.call_key)] for entry in entries]


class TestTheSchedulerAlone:
    """Without the sweeper, schedules ring by themselves, in real time."""

    @pytest.mark.timeout(400)
    def test_a_subscription_due_in_two_minutes_runs(self, processes: Processes) -> None:
        processes.start_stack("--sweeper", "off")
        sid = join(gym(processes), datetime.now(UTC) + timedelta(minutes=2))

        record = await_end(processes, sid, 200)

        assert record.event.status is EventStatus.PROCESSED
        assert processes.stack.call("GET", "/_local/clock")["started"]["doorbell events"] == 1

    @pytest.mark.timeout(200)
    def test_a_schedule_armed_before_a_jump_rings_at_the_right_time_after_it(
        self, processes: Processes
    ) -> None:
        processes.start_stack("--sweeper", "off", "--start-at", "2026-01-01T00:00:00Z")
        due = datetime(2026, 3, 3, 8, tzinfo=UTC)
        sid = join(gym(processes), due)
        advance(processes.stack, (due - timedelta(seconds=20)).isoformat())
        assert first_charge(processes, sid)[0] is None

        record = await_end(processes, sid, 60)

        assert record.event.executed_at is not None
        assert timedelta() <= record.event.executed_at - due < timedelta(seconds=10)


class TestKillMinusNine:
    """All processes of the stack die while an event executes; the next start brings it to its end."""

    @pytest.mark.timeout(500)
    def test_in_real_time_within_five_minutes(self, processes: Processes) -> None:
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


def await_arrival(processes: Processes, path: str) -> None:
    """Return once a call to a path has arrived."""
    ends = time.monotonic() + 60
    while not any(line["path"] == path for line in ledger(processes)):
        assert time.monotonic() < ends, f"nothing arrived at {path}"
        time.sleep(0.1)


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
        assert disagreements(Books.of(processes.stack), sids, ledger(processes)) == []
        assert {held_by(api, sid) for sid in sids} == {None}


def held_by(api: Api, sid: str) -> str | None:
    found: str | None = api.call("GET", f"/execution-instance/{sid}").get("heldBy")
    return found


def await_all(holds: Callable[[], bool], seconds: float) -> None:
    """Return once something holds."""
    ends = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < ends, f"not within {seconds} s"
        time.sleep(0.5)
