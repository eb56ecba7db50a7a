"""How many entries a sweep wakes in simulated time: the table in docs/performance.md is held here."""

import re
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from dev.memory.world import ManualClock, MemoryPorts
from shared.application.sweep import RESERVE
from shared.domain.ids import InstanceSid
from shared.domain.instance.due import GRACE, SHARDS
from tests.application.bulk.bulk_worlds import NOON, Shop
from tests.application.bulk.release_worlds import a_world
from tests.application.bulk.test_release import started
from tests.application.lanes import Lanes, Latency, SlowInstances, SlowWakeups
from tests.application.sweeps import LASTS, PERIOD, swept
from tests.simulation.stories import example

DUE = NOON + timedelta(minutes=4)
"""When all entries are due: a minute after the grace of their events."""

TABLE = (Path(__file__).parents[2] / "docs" / "performance.md").read_text().split("## The sweeper's bound")[1]
ROW = re.compile(r"^\| (\d+) \| (\d+) \| (\d+) \| ([\d.]+) \| (\d+) \| ([\d,]+) \|$", re.MULTILINE)
ROWS = ROW.findall(TABLE)


def milliseconds(text: str) -> timedelta:
    return timedelta(milliseconds=float(text))


def latency_of(row: tuple[str, ...]) -> Latency:
    get, put, invoke, processor = map(milliseconds, row[:4])
    return Latency(get=get, put=put, invoke=invoke, processor=processor)


FAST, *_, SLOW = map(latency_of, ROWS)


class Backlog:
    """Instances in all shards that are due since the same moment, and whose runners never come."""

    def __init__(self, count: int, latency: Latency) -> None:
        source = a_world()
        (sid,) = started(source, [NOON])
        one = source.instances.instances[sid]
        clock = ManualClock(DUE)
        self.store = SlowInstances(clock=clock, latency=latency)
        self.ports = MemoryPorts(caller=Shop(), clock=clock, instances=self.store)
        self.ports.strategies.add(example("water-filter-refill"))
        self.wakeups = SlowWakeups(clock=clock, latency=latency)
        self.ports.wakeups = self.wakeups
        self.workers = Lanes(clock, latency.processor)
        self.count, self.clock = count, clock
        for number in range(count):
            self.store.add(replace(one, sid=InstanceSid(f"i{number:05}"), shard=number % SHARDS))

    def sweep(self) -> int:
        """Sweep as the sweeper does each minute, and return how many instances were woken."""
        begun = self.clock.at
        report = swept(self.ports, workers=self.workers, time_left=lambda: begun + LASTS - self.clock.at)
        assert report.failed == {}
        assert self.clock.at - begun <= LASTS
        self.clock.at = begun + PERIOD
        return report.wakeups

    def wakeups_by_shard(self) -> Counter[int]:
        return Counter(self.store.instances[sid].shard for sid in self.wakeups.first)

    def longest_waits(self) -> dict[int, timedelta]:
        """Return how long the last first wakeup of each shard has waited since its entry was due."""
        last: dict[int, datetime] = {}
        for sid, at in self.wakeups.first.items():
            shard = self.store.instances[sid].shard
            last[shard] = max(at, last.get(shard, at))
        return {shard: at - (NOON + GRACE) for shard, at in last.items()}


class TestTheBound:
    """The documented number of entries is woken in one sweep, and not many more."""

    @pytest.mark.parametrize("row", ROWS, ids=lambda row: f"get {row[0]} ms")
    def test_a_sweep_wakes_as_many_entries_as_documented(self, row: tuple[str, ...]) -> None:
        a_second, a_minute = int(row[4]), int(row[5].replace(",", ""))
        seconds = (LASTS - RESERVE).total_seconds()
        assert a_minute == pytest.approx(a_second * seconds, rel=0.02)

        woken = Backlog(a_minute + 2000, latency_of(row)).sweep()

        assert woken == pytest.approx(a_minute, rel=0.05)

    def test_the_table_of_bounds_has_rows(self) -> None:
        assert len(ROWS) == 3


class TestTwelveThousandLostWakeups:
    """Twelve thousand due instances are woken in a minute, and those of all shards alike."""

    def test_the_first_sweep_sends_all_wakeups(self) -> None:
        backlog = Backlog(12_000, FAST)

        assert backlog.sweep() == 12_000

        assert set(backlog.wakeups_by_shard().values()) == {750}
        assert max(backlog.longest_waits().values()) < timedelta(minutes=1, seconds=35)

    def test_with_slow_services_every_sweep_continues_where_the_last_one_stopped(self) -> None:
        backlog = Backlog(12_000, SLOW)

        reached = []
        while len(backlog.wakeups.first) < backlog.count:
            backlog.sweep()
            reached.append(len(backlog.wakeups.first))
            by_shard = backlog.wakeups_by_shard().values()
            assert max(by_shard) - min(by_shard) <= 25

        # Entries that were woken in vain are due again after a minute, but behind those that have waited longer.
        assert len(reached) == 4
        waits = backlog.longest_waits().values()
        assert max(waits) - min(waits) < timedelta(seconds=2)
