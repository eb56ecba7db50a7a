"""Throttling of each port in turn, while orders are due and operators pause and resume: nothing but time is lost."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from shared.application.flags import pause_queue, resume_queue
from shared.application.ports import OverloadedError
from shared.domain.bulk.operation import BulkOperation, Counts
from shared.domain.lifecycle.commands import Pause, Resume
from tests.simulation.faults import BrownOut, Faults
from tests.simulation.labels import OF_A_TOWN
from tests.simulation.mayors import BEN, ask, begin, pacify, set_strategy
from tests.simulation.town import ACCOUNT, Town, after_nine, town
from tests.simulation.town_laws import (
    assert_no_attempt_used,
    assert_operations_counted,
    assert_town_lawful,
    watch_for_poison,
)

PORTS_OF_A_SEED = 3
MANY = 120
"""Two and a half batches in each of two strategies."""
OF_BULK = ("oldest_of_strategy", "load_many", "load", "commit", "commit_operation", "operation_committed")
EAST, WEST = "s-east", "s-west"


def throttled(seed: int, labels: frozenset[str], listener: BrownOut | None = None) -> Town:
    """Return a town after a morning with commands, in which one port refuses requests for a while."""
    rng = random.Random(seed)
    there = town(Faults(rng=rng, pace=0.3), healthy=8)
    world = there.world
    world.commit_watchers.append(watch_for_poison)
    world.brown_out = listener
    begins = after_nine(1, minutes=rng.randint(-15, 12), seconds=rng.randint(0, 59))
    brown_out = BrownOut(
        rng,
        labels,
        lasts=timedelta(minutes=rng.choice([5, 30, 60, 90])),
        spared=rng.choice([0, 0.3, 0.8]),
        errors=(OverloadedError,),
    )
    west = next(sid for sid in world.flags.heads if sid == WEST)
    east = next(sid for sid in world.flags.heads if sid == EAST)
    steps: list[tuple[int, Callable[[], None]]] = [
        (-12, lambda: begin(there, Pause(by=BEN), east)),
        (-8, lambda: begin(there, Resume(by=BEN), east)),
        (-4, lambda: ask(there, "pause queue", lambda: pause_queue(world, ACCOUNT, by=BEN))),
        (3, lambda: ask(there, "resume queue", lambda: resume_queue(world, ACCOUNT, by=BEN))),
        (4, lambda: set_strategy(there, paused=True, sid=west)),
        (6, lambda: begin(there, Pause(by=BEN), east)),
        (7, lambda: set_strategy(there, paused=False, sid=west)),
    ]
    for minutes, act in steps:
        at = after_nine(1, minutes=minutes)
        if world.brown_out is None and begins < at:
            world.run_until(begins)
            world.brown_out = brown_out
        world.run_until(at)
        act()
    there.settle(minutes=6)
    world.brown_out = world.brown_out or brown_out
    there.settle(hours=5)
    return there


def end_well(there: Town) -> None:
    """Let operators finish all operations and resume all instances, and assert that nothing but time was lost."""
    pacify(there)
    there.world.run_until(after_nine(2, hours=12))
    assert_town_lawful(there)
    assert_no_attempt_used(there)
    assert_operations_counted(there)
    for operation in there.world.flags.access.operations.bulks.values():
        assert isinstance(operation, BulkOperation)
        assert operation.counts.failed == 0, f"{operation.problems}"


class TestThrottlingAlone:
    """ "An unavailable store is no crash and uses no attempt." """

    def test_nothing_is_poisoned_and_no_attempt_is_used(self, seed: int) -> None:
        ports = random.Random(seed).sample(sorted(OF_A_TOWN), PORTS_OF_A_SEED)
        for port in ports:
            there = throttled(seed, frozenset(OF_A_TOWN[port]))
            try:
                end_well(there)
            except AssertionError as error:
                raise AssertionError(f"{port}: {error}") from error

    def test_every_port_is_used(self) -> None:
        listener = Listener(random.Random(1), frozenset())
        throttled(1, frozenset(), listener)

        unused = {port for port, labels in OF_A_TOWN.items() if not listener.received & set(labels)}
        assert unused == {"reads of events"}, "only retries and takeovers read the history of an event"


class TestAnOperationOnMany:
    """An operation of several batches reports no instance as failed, however long stores refuse requests."""

    def test_all_instances_are_counted_as_they_are(self, seed: int) -> None:
        rng = random.Random(seed)
        there = town(Faults(rng=rng, pace=0.05), healthy=MANY, watched=False)
        world = there.world
        east = next(sid for sid in world.flags.heads if sid == EAST)
        begin(there, Pause(by=BEN), east)
        there.settle(minutes=10)
        begin(there, Pause(by=BEN), east)
        there.settle(seconds=rng.choice([0.5, 1, 2]))
        labels = rng.choices([*OF_BULK, *OF_BULK[:1]], k=rng.choice([1, 2, 3]))
        world.brown_out = BrownOut(
            rng,
            frozenset(labels),
            lasts=timedelta(hours=2),
            spared=rng.choice([0, 0.5]),
            errors=(OverloadedError,),
        )
        there.settle(hours=5)

        first, second = world.flags.access.operations.bulks.values()
        assert first.counts == Counts(changed=MANY // 2)
        assert second.counts == Counts(already_there=MANY // 2), second.problems


@dataclass(slots=True)
class Listener(BrownOut):
    """A brown-out in which nothing fails. ``received`` are the labels of all points."""

    received: set[str] = field(default_factory=set)

    def fails(self, label: str, point: int, now: datetime) -> bool:  # noqa: ARG002 - a listener
        """Note the label."""
        self.received.add(label)
        return False
