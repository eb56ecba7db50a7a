"""The laws of a town, judged while its story runs and at its end."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from shared.domain.bulk.operation import BulkStatus
from shared.domain.ids import InstanceSid
from shared.domain.instance.due import SHARDS
from shared.domain.instance.due_entries import STRIDE, DueEntry
from shared.domain.instance.event import EventStatus, PausedFor
from shared.domain.instance.journal import EventRecord
from shared.domain.instance.model import Instance
from tests.simulation.laws import (
    assert_at_rest,
    assert_effect_at_most_once,
    assert_every_cycle_accounted_for,
    assert_history_complete,
    assert_history_consistent,
    assert_no_unmarked_double,
    one_of,
    records_of,
)
from tests.simulation.town import PATHS, Town
from tests.simulation.world import World


def most_sweeps(reach: int) -> int:
    """Return within how many sweeps every shard is looked at, if each sweep looks at ``reach`` shards.

    That is within 16 sweeps, and within 4 if each looks at 5 shards.
    """
    if reach < STRIDE:
        return SHARDS
    return -(-max(SHARDS - reach, 0) // STRIDE) + 1


@dataclass(slots=True)
class ShardWatch:
    """Objects to a shard that sweeps do not look at, although it has due entries.

    A sweep that looks at nothing, because it was killed or refused, costs the shard that it would have begun with one
    more round. ``longest`` is the most sweeps that a shard had to wait for.
    """

    world: World
    due: set[int] = field(default_factory=set)
    visited: set[int] = field(default_factory=set)
    waited: Counter[int] = field(default_factory=Counter)
    useless: Counter[int] = field(default_factory=Counter)
    reach: dict[int, int] = field(default_factory=dict)
    sweeps: int = 0
    longest: int = 0

    def install(self) -> None:
        """Begin to watch."""
        self.world.sweep_watchers.append(self.judge)
        self.world.due_watchers.append(self.read)
        self.world.load_watchers.append(self.loaded)

    def read(self, entries: Sequence[DueEntry[InstanceSid]]) -> None:
        """Note the shards that have due entries."""
        if self._is_sweep():
            self.due |= {self.world.store.instances[entry.sid].shard for entry in entries}

    def loaded(self, sid: InstanceSid) -> None:
        """Note the shard that is looked at."""
        if self._is_sweep():
            self.visited.add(self.world.store.instances[sid].shard)

    def judge(self) -> None:
        """Judge the sweep that has ended, when the next one begins."""
        self.sweeps += 1
        for shard in range(SHARDS):
            if shard in self.visited or shard not in self.due:
                for counts in (self.waited, self.useless, self.reach):
                    counts.pop(shard, None)
                continue
            self.waited[shard] += 1
            self.useless[shard] += not self.visited
            if self.visited:
                self.reach[shard] = min(len(self.visited), self.reach.get(shard, SHARDS))
            most = most_sweeps(self.reach.get(shard, 1)) + SHARDS * self.useless[shard]
            self.longest = max(self.longest, self.waited[shard])
            assert self.waited[shard] < most, f"shard {shard} was not looked at in {most} sweeps"
        self.due, self.visited = set(), set()

    def _is_sweep(self) -> bool:
        current = self.world.stage.current
        return current is not None and current.name == "sweep"


def watch_for_poison(instance: Instance) -> None:
    """Object to an event that is given up because of crashes."""
    for event in instance.events:
        assert event.paused_for is not PausedFor.POISONED, "throttling counts as crashes"


def orders_of(there: Town, sid: InstanceSid) -> list[EventRecord]:
    """Return the records of an instance's orders."""
    return records_of(one_of(there.world, sid), "order")


def assert_all_ordered(there: Town, days: int, *, within: timedelta) -> None:
    """Assert that every healthy instance ran all its orders in time, whatever its neighbours are."""
    for sid in there.healthy:
        records = orders_of(there, sid)
        done = [record for record in records if record.event.status is EventStatus.PROCESSED]
        assert len(done) == len(records) == days, f"{sid} ran {len(done)} of {days} orders"
        for record in records:
            late = record.finished_at - record.event.due_at
            assert late <= within, f"order {record.event.seq} of {sid} was {late} late"


def assert_no_attempt_used(there: Town) -> None:
    """Assert that every event ran to its end in its first run and attempt, without a crash."""
    for record in there.world.store.records.values():
        event = record.event
        assert event.status is EventStatus.PROCESSED, f"event {event.seq}: {event.status}"
        assert (event.run, event.attempt) == (1, 1), f"run {event.run}, attempt {event.attempt} was used"


def assert_town_lawful(there: Town, sids: Sequence[InstanceSid] | None = None) -> None:
    """Assert the laws of every instance that can be read, after the faults have ended."""
    for sid in there.world.store.instances if sids is None else sids:
        scene = one_of(there.world, sid)
        try:
            assert_at_rest(scene)
            assert_history_consistent(scene)
            assert_history_complete(scene)
            assert_no_unmarked_double(scene)
            assert_every_cycle_accounted_for(scene)
            for path in PATHS:
                assert_effect_at_most_once(scene, path, or_marked=True)
        except AssertionError as error:
            raise AssertionError(f"instance {sid}: {error}") from error


def assert_operations_counted(there: Town) -> None:
    """Assert that each bulk operation has ended, changed each instance once, and counted each change.

    A runner that stalls may change an instance after others have given it up.
    """
    world = there.world
    for bulk in world.flags.access.operations.bulks.values():
        assert bulk.status in (BulkStatus.COMPLETED, BulkStatus.CANCELED), f"{bulk.sid}: {bulk.status}"
        audited = Counter(entry.target for entry in world.store.audit if entry.operation == bulk.sid)
        assert set(audited.values()) <= {1}, f"{bulk.sid} changed an instance twice"
        missed = len(audited) - bulk.counts.changed
        assert 0 <= missed <= bulk.counts.failed, f"{bulk.sid} counted {bulk.counts} of {len(audited)}"


def ended_at(there: Town) -> datetime:
    """Return when the last record was stored."""
    return max(record.finished_at for record in there.world.store.records.values())
