"""Jumps of the local stack's clock."""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dev.activity import Activity
from dev.clock import ClockFile
from dev.clock_advance import MAX_HEAD, AdvanceError, ClockAdvance
from dev.schedules import Scheduled, Schedules

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
SOON = 0.1
LATE = 10.0


class Scheduler:
    """EventBridge Scheduler that never fires by itself, and counts the calls."""

    class exceptions:  # noqa: N801 - the name in boto3
        class ResourceNotFoundException(Exception):  # noqa: N818 - as above
            pass

        class ConflictException(Exception):  # noqa: N818 - as above
            pass

    def __init__(self) -> None:
        self.stored: dict[str, dict[str, Any]] = {}
        self.calls: Counter[str] = Counter()

    def create_schedule_group(self, **_: Any) -> None:
        self.calls["create_schedule_group"] += 1

    def get_paginator(self, _: str) -> "Scheduler":
        return self

    def paginate(self, **_: Any) -> list[Any]:
        return []

    def create_schedule(self, **request: Any) -> None:
        self.stored[request["Name"]] = request

    def get_schedule(self, *, Name: str, **_: Any) -> dict[str, Any]:  # noqa: N803 - the name in boto3
        self.calls["get"] += 1
        return self.stored[Name]

    def update_schedule(self, **request: Any) -> None:
        self.calls["update"] += 1
        self.stored[request["Name"]] = request

    def delete_schedule(self, *, Name: str, **_: Any) -> None:  # noqa: N803 - the name in boto3
        self.calls["delete"] += 1
        if self.stored.pop(Name, None) is None:
            raise self.exceptions.ResourceNotFoundException


class TimeTravel:
    """A clock at START, with schedules and a runner that calls ``run``, which the test chooses."""

    def __init__(self, folder: Path) -> None:
        self.clock = ClockFile(folder / "clock.json")
        self.clock.write(int((START - datetime.now(UTC)).total_seconds()))
        self.scheduler = Scheduler()
        self.schedules = Schedules(self.scheduler, "group", self.clock)
        self.activity = Activity(self.clock)
        self.woken: list[tuple[str, datetime]] = []
        self.sweeps: list[datetime] = []
        self.due: list[datetime] = []
        self.dead: set[str] = set()
        self.reads: Counter[str] = Counter()
        self.run: Callable[[str], None] = lambda _: None
        self.advance = ClockAdvance(
            clock=self.clock,
            schedules=self.schedules,
            activity=self.activity,
            wake=self._wake,
            sweep=self._sweep,
            earliest_sweep=self._earliest_sweep,
            stale=self._stale,
            patience_seconds=SOON,
        )

    def schedule(self, name: str, at: datetime) -> None:
        target = {"Input": json.dumps({"sid": name})}
        self.schedules.arm(name, {"ScheduleExpression": f"at({at:%Y-%m-%dT%H:%M:%S})", "Target": target})

    def start(self, what: str) -> None:
        """Start an invocation in a thread, as a worker runs it."""
        self.activity.begin(what, what)

        def work() -> None:
            self.run(what)
            self.activity.end(what)

        threading.Thread(target=work, daemon=True).start()

    def _wake(self, event: Mapping[str, Any]) -> None:
        self.woken.append((event["sid"], self.clock.now().replace(microsecond=0)))
        self.start(event["sid"])

    def _sweep(self) -> None:
        self.sweeps.append(self.clock.now().replace(microsecond=0))
        self.due.pop(0)

    def _earliest_sweep(self) -> datetime | None:
        self.reads["due index"] += 1
        return min(self.due, default=None)

    def _stale(self, head: Sequence[Scheduled]) -> set[str]:
        self.reads["instances"] += 1
        return {one.name for one in head} & self.dead


@pytest.fixture
def travel(tmp_path: Path) -> TimeTravel:
    return TimeTravel(tmp_path)


def about(instant: datetime) -> list[datetime]:
    """Return the seconds in which something at an instant may happen."""
    return [instant + timedelta(seconds=late) for late in range(3)]


def until(event: threading.Event) -> None:
    event.wait(LATE)


class TestOrder:
    """Everything on the path is started in order, and nothing after the end of the travel."""

    def test_wakeups_up_to_the_end_start_in_order(self, travel: TimeTravel) -> None:
        for name, hours in (("c", 3), ("a", 1), ("d", 4), ("b", 2)):
            travel.schedule(name, START + hours * HOUR)

        travel.advance.advance_to(START + 3 * HOUR)

        assert [name for name, _ in travel.woken] == ["a", "b", "c"]
        assert all(at in about(START + (i + 1) * HOUR) for i, (_, at) in enumerate(travel.woken))
        assert list(travel.scheduler.stored) == ["d"]

    def test_a_sweep_comes_before_the_wakeups_after_it(self, travel: TimeTravel) -> None:
        # The first is stale, so that two are checked at once afterwards.
        for number, minutes in enumerate((0, 1, 30)):
            travel.schedule(f"w-{number}", START + HOUR + timedelta(minutes=minutes))
        travel.dead = {"w-0", "w-1"}
        travel.due = [START + HOUR + timedelta(minutes=20)]
        travel.run = lambda _: travel.sweeps.append(START)

        travel.advance.patience_seconds = LATE
        travel.advance.advance_to(START + 3 * HOUR)

        assert [name for name, _ in travel.woken] == ["w-2"]
        assert travel.sweeps[0] in about(START + HOUR + timedelta(minutes=20))
        assert travel.sweeps[1:] == [START]

    def test_a_wakeup_comes_before_a_sweep_of_the_same_instant(self, travel: TimeTravel) -> None:
        travel.schedule("a", START + HOUR)
        travel.due = [START + HOUR, START + 2 * HOUR, START + 9 * HOUR]

        travel.advance.advance_to(START + 3 * HOUR)

        assert [name for name, _ in travel.woken] == ["a"]
        assert [at in about(START + (1 + i) * HOUR) for i, at in enumerate(travel.sweeps)] == [True, True]


class TestNothingIsSkipped:
    """A jump waits for the runners that it has started. If some do not end, it fails and names them."""

    def test_a_slow_runner_ends_before_the_next_wakeup(self, travel: TimeTravel) -> None:
        travel.advance.patience_seconds = LATE
        ended: list[str] = []

        def run(name: str) -> None:
            time.sleep(0.3 if name == "slow" else 0)
            ended.append(name)

        travel.run = run
        travel.schedule("slow", START + HOUR)
        travel.schedule("next", START + HOUR + timedelta(seconds=10))

        travel.advance.advance_to(START + 2 * HOUR)

        assert ended == ["slow", "next"]

    def test_a_runner_that_does_not_end_stops_the_clock_and_is_named(self, travel: TimeTravel) -> None:
        never = threading.Event()
        travel.run = lambda _: until(never)
        travel.schedule("hangs", START + HOUR)
        travel.schedule("next", START + 2 * HOUR)

        with pytest.raises(AdvanceError, match="hangs, for 0 s") as stopped:
            travel.advance.advance_to(START + 3 * HOUR)

        assert stopped.value.still_running == ["hangs, for 0 s"]
        assert [name for name, _ in travel.woken] == ["hangs"]
        assert travel.clock.now() < START + 2 * HOUR
        never.set()

    def test_the_same_advance_again_continues(self, travel: TimeTravel) -> None:
        never = threading.Event()
        travel.run = lambda name: until(never) if name == "hangs" else None
        travel.schedule("hangs", START + HOUR)
        travel.schedule("next", START + 2 * HOUR)
        with pytest.raises(AdvanceError):
            travel.advance.advance_to(START + 3 * HOUR)

        never.set()
        travel.advance.patience_seconds = LATE
        travel.advance.advance_to(START + 3 * HOUR)

        assert [name for name, _ in travel.woken] == ["hangs", "next"]
        assert travel.clock.now() >= START + 3 * HOUR

    def test_a_runner_after_the_last_wakeup_stops_the_clock_too(self, travel: TimeTravel) -> None:
        never = threading.Event()
        travel.run = lambda _: until(never)
        travel.schedule("hangs", START + HOUR)

        with pytest.raises(AdvanceError):
            travel.advance.advance_to(START + 3 * HOUR)

        assert travel.clock.now() < START + 2 * HOUR
        never.set()


class TestWaitingRunners:
    """A runner that waits continues at its instant, in order with wakeups and sweeps."""

    def test_a_waiting_runner_continues_between_two_wakeups(self, travel: TimeTravel) -> None:
        travel.advance.patience_seconds = LATE
        order: list[str] = []

        def run(name: str) -> None:
            order.append(name)
            if name == "waits":
                travel.activity.sleep(name, 3600)
                order.append("continues")

        travel.run = run
        travel.schedule("waits", START + HOUR)
        travel.schedule("before", START + HOUR + timedelta(minutes=59))
        travel.schedule("after", START + HOUR + timedelta(minutes=61))

        travel.advance.advance_to(START + 3 * HOUR)

        assert order == ["waits", "before", "continues", "after"]

    @pytest.mark.parametrize(("seconds", "continued"), [(3, ["waits"]), (30, [])])
    def test_only_a_short_pause_continues_beyond_the_end(
        self, travel: TimeTravel, seconds: int, continued: list[str]
    ) -> None:
        travel.advance.patience_seconds = LATE
        done: list[str] = []

        def run(name: str) -> None:
            travel.activity.sleep(name, seconds)
            done.append(name)

        travel.run = run
        travel.schedule("waits", START + HOUR)

        travel.advance.advance_to(START + HOUR)

        assert done == continued
        assert travel.clock.now() < START + HOUR + timedelta(seconds=10)


class TestStaleWakeups:
    """A wakeup whose event is done or canceled costs one call, not a run, so that thousands of them take seconds."""

    def test_5000_stale_wakeups_cost_a_call_each(self, travel: TimeTravel) -> None:
        many = 5000
        for number in range(many):
            travel.schedule(f"stale-{number}", START + HOUR + timedelta(seconds=number))
        travel.dead = set(travel.scheduler.stored)
        travel.scheduler.calls.clear()

        travel.advance.advance_to(START + 9 * HOUR)

        assert travel.woken == []
        assert travel.advance.stale_wakeups == many
        assert travel.scheduler.stored == {}
        assert travel.scheduler.calls.total() <= many
        # 1, 2, 4, ... 64 of them at once, then always 100.
        assert travel.reads["instances"] <= many / MAX_HEAD + 7
        assert travel.reads["due index"] <= many / MAX_HEAD + 8

    def test_a_live_one_costs_one_read_of_its_own_instance(self, travel: TimeTravel) -> None:
        read: list[int] = []

        def stale(head: Sequence[Scheduled]) -> set[str]:
            read.append(len(head))
            return set()

        travel.advance.stale = stale
        travel.advance.patience_seconds = LATE
        for number in range(5):
            travel.schedule(f"live-{number}", START + HOUR + timedelta(minutes=number))

        travel.advance.advance_to(START + 9 * HOUR)

        assert read == [1] * 5

    def test_a_live_one_among_them_is_started_at_its_time(self, travel: TimeTravel) -> None:
        for number in range(250):
            travel.schedule(f"w-{number:03}", START + HOUR + timedelta(minutes=number))
        travel.dead = set(travel.scheduler.stored) - {"w-150"}

        travel.advance.advance_to(START + 9 * HOUR)

        ((name, at),) = travel.woken
        assert name == "w-150"
        assert at in about(START + HOUR + timedelta(minutes=150))
        assert travel.advance.stale_wakeups == 249
