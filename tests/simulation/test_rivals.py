"""Two bulk operations and an operator on the same instances at once, with crashes, stalls and lost replies."""

import random
from collections import Counter
from datetime import timedelta

import pytest

import shared.application.bulk.batch
import shared.domain.lifecycle.decide
from shared.application.bulk.item_command import command_for
from shared.application.commit import execute
from shared.application.ports import Ports
from shared.domain.bulk.operation import (
    BulkCommand,
    BulkOperation,
    BulkStatus,
    OperationCommand,
)
from shared.domain.instance.model import Instance
from shared.domain.instance.verdict import Refused, Verdict
from shared.domain.lifecycle.commands import CancelTasks, Command, Pause, Resume
from tests.simulation.faults import Faults
from tests.simulation.functions import Function
from tests.simulation.index import LaggingIndex
from tests.simulation.mayors import ANN, BEN, begin, command, command_bulk
from tests.simulation.town import Town, town
from tests.simulation.town_laws import assert_operations_counted

MEMBERS = 70
"""Two batches in the strategy that both operations command."""
MAX_SEEDS = 30


def rivals(seed: int, *, stall: float = 0.003) -> Town:
    """Let two operations cancel orders, or pause and resume, while an operator commands single instances."""
    rng = random.Random(seed)
    faults = Faults(
        rng=rng,
        until=900,
        kill=rng.choice([0.003, 0.01]),
        stall=stall,
        lost_reply=0.02,
        lost_any_reply=rng.choice([0, 0.02]),
        lost_wakeup=0.1,
        pace=0.05,
    )
    there = town(faults, healthy=MEMBERS, watched=False)
    world = there.world
    world.schedules.clear()
    world.bulk_threads = rng.choice([1, 3, 8])
    world.bulk_runner = Function(rng=rng, concurrency=rng.choice([1, 2, 1000]), drops=0.1)
    if seed % 2:
        world.operations_index = LaggingIndex(rng, timedelta(seconds=rng.choice([1, 60])))
    cancel = CancelTasks(tasks=("order",), by=BEN)
    pairs: list[tuple[BulkCommand, BulkCommand]] = [
        (cancel, cancel),
        (Pause(by=BEN), cancel),
        (Pause(by=BEN), Resume(by=BEN)),
    ]
    east = next(iter(world.flags.heads))
    sids = [sid for sid, one in world.store.instances.items() if one.strategy_sid == east]
    for one in rng.choice(pairs):
        begin(there, one, east)
        there.settle(seconds=rng.choice([0, 0.5, 2]))
    for _ in range(12):
        orders: list[Command] = [Pause(by=ANN), Resume(by=ANN)]
        command(there, rng.choice(sids), rng.choice(orders))
        bulks = list(world.flags.access.operations.bulks)
        if bulks and rng.random() < 0.2:
            order = rng.choice([OperationCommand.PAUSE, OperationCommand.RESUME])
            command_bulk(there, rng.choice(bulks), order)
        there.settle(seconds=rng.choice([0.1, 1, 50]))
    faults.until = 0
    there.settle(
        seconds=600
    )  # a command that stalls is answered first, and takes effect before the last ones
    for sid in world.flags.access.operations.bulks:
        command_bulk(there, sid, OperationCommand.RESUME)
    there.settle(hours=4)
    return there


def assert_each_counted(there: Town) -> None:
    """Assert that all operations are through, and that each order was canceled once for each operation."""
    world = there.world
    assert_operations_counted(there)
    canceling = set()
    for bulk in world.flags.access.operations.bulks.values():
        assert bulk.status is BulkStatus.COMPLETED
        assert bulk.counts.done == MEMBERS // 2, f"{bulk.sid} counted {bulk.counts}"
        if isinstance(bulk.command, CancelTasks):
            canceling.add(bulk.sid)
    for instance in world.store.instances.values():
        canceled = len(canceling & set(instance.operations))
        assert instance.plan.cycle == 1 + canceled, f"{instance.sid} is at {instance.plan.cycle}"


class TestTwoOperationsAndAnOperator:
    """Each instance is changed and audited once by each operation, and all is counted."""

    def test_all_is_counted_once(self, seed: int) -> None:
        assert_each_counted(rivals(seed))

    def test_operations_meet(self) -> None:
        commands = Counter(entry.command for seed in range(1, 7) for entry in rivals(seed).world.store.audit)
        assert {"pause", "resume", "cancel-tasks order"} <= set(commands)

    def test_commands_without_a_memory_of_operations_are_caught(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def careless(ports: Ports, bulk: BulkOperation, instance: Instance) -> Verdict | None:
            one = command_for(ports, bulk.command, instance)
            return one if isinstance(one, Refused) else execute(ports, instance.sid, one, known=instance)

        monkeypatch.setattr(shared.application.bulk.batch, "_execute", careless)
        monkeypatch.setattr(shared.domain.lifecycle.decide, "_done_before", lambda *_: False)

        assert caught()


def caught() -> str:
    """Return the message of the first law that fails."""
    for seed in range(1, MAX_SEEDS + 1):
        try:
            assert_each_counted(rivals(seed))
        except AssertionError as error:
            return str(error) or "a law was broken"
    return ""
