"""How many instances a second an operation commands in simulated time: the table in docs/performance.md is checked."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from dev.memory.world import ManualClock, MemoryPorts
from shared.application.control import control
from shared.application.flags import resume_queue
from shared.domain.bulk.operation import BulkCommand, Counts
from shared.domain.bulk.pace import PER_SECOND, Pace
from shared.domain.ids import OperationSid
from shared.domain.instance.due import SHARDS
from shared.domain.lifecycle.commands import Pause, Resume
from tests.application.bulk import release_worlds
from tests.application.bulk.bulk_worlds import (
    ACCOUNT,
    ANN,
    CANCEL,
    NOON,
    Shop,
    begun,
    joined,
    open_gym,
    stored,
    the_gym,
)
from tests.application.lanes import Lanes, Latency, SlowInstances, SlowOperations, SlowWakeups
from tests.bulk_runs import BATCH, run_bulk
from tests.simulation.stories import example

MANY = 1000
NO_LIMIT = Pace(per_second=0)
TABLE = (Path(__file__).parents[3] / "docs" / "performance.md").read_text().split("## The bound of bulk")[1]
ROW = re.compile(
    r"^\| (\w+) \| (\d+) \| (\d+) \| (\d+) \| (\d+) \| ([\d.]+) \| (\d+) \| (\d+) \|$", re.MULTILINE
)
ROWS = ROW.findall(TABLE)


def latency_of(row: tuple[str, ...]) -> Latency:
    get, put, transact, invoke, processor = (timedelta(milliseconds=float(text)) for text in row[1:6])
    return Latency(get=get, put=put, transact=transact, invoke=invoke, processor=processor)


def slow(latency: Latency) -> tuple[MemoryPorts, SlowInstances]:
    """Return a world in which requests take time, and its store of instances."""
    clock = ManualClock(NOON)
    instances = SlowInstances(clock=clock, latency=latency)
    ports = MemoryPorts(caller=Shop(), clock=clock, instances=instances)
    ports.access.operations = SlowOperations(clock=clock, latency=latency)
    ports.wakeups = SlowWakeups(clock=clock, latency=latency)
    return ports, instances


def an_operation(latency: Latency, command: BulkCommand) -> tuple[MemoryPorts, OperationSid]:
    """Return a new operation on many members."""
    ports, _ = slow(latency)
    # Without on-cancel tasks a cancelation schedules nothing.
    open_gym(ports, definition=replace(the_gym().definition, on_cancel_tasks=()))
    sids = joined(ports, MANY)
    if isinstance(command, Resume):
        for sid in sids:
            control(ports, sid, Pause(by=ANN))
    return ports, begun(ports, command=command).sid


def a_release(latency: Latency) -> tuple[MemoryPorts, OperationSid]:
    """Return the release job of one shard, which has many instances."""
    ports, instances = slow(latency)
    ports.strategies.add(example("water-filter-refill"))
    release_worlds.blocked(ports, MANY)
    resume_queue(ports, ACCOUNT, by=ANN)
    partition = ports.operations.release_jobs[release_worlds.OURS].partition
    instances.by_shard[partition] = list(instances.instances.values())
    return ports, release_worlds.OURS


def rate(row: tuple[str, ...], pace: Pace, *, lanes: int) -> float:
    """Return how many instances a second one invocation commands or releases."""
    latency = latency_of(row)
    commands: dict[str, BulkCommand] = {"cancel": CANCEL, "resume": Resume(by=ANN)}
    command = commands.get(row[0])
    ports, sid = a_release(latency) if command is None else an_operation(latency, command)
    began = ports.clock.at
    done = run_bulk(ports, sid, workers=Lanes(ports.clock, latency.processor, count=lanes), pace=pace)
    assert (done.done, done.failed) == (MANY, {})
    assert command is None or stored(ports, sid).counts == Counts(changed=MANY)
    return MANY / (ports.clock.at - began).total_seconds()


class TestTheBound:
    """The documented number of instances is commanded in a second, and not many more."""

    @pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[0]}, get {row[1]} ms")
    def test_an_invocation_is_as_fast_as_documented(self, row: tuple[str, ...]) -> None:
        one_by_one = rate(row, Pace(per_second=0, max_batch=BATCH), lanes=1)
        at_once = rate(row, NO_LIMIT, lanes=16)

        assert (round(one_by_one), round(at_once)) == (int(row[6]), int(row[7]))

    def test_the_table_of_bounds_has_rows(self) -> None:
        assert [row[0] for row in ROWS] == ["cancel", "resume", "release"] * 2

    def test_the_default_pace_is_kept_however_fast_the_services_are(self) -> None:
        found = rate(ROWS[0], Pace(), lanes=16)

        assert found <= PER_SECOND * 1.1
        assert found == pytest.approx(PER_SECOND, rel=0.1)

    def test_the_jobs_of_all_shards_share_the_pace(self) -> None:
        release = next(row for row in ROWS if row[0] == "release")

        assert rate(release, Pace(), lanes=16) == pytest.approx(PER_SECOND / SHARDS, rel=0.1)
