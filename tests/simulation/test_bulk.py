"""A bulk operation with crashes, stalls, lost replies and commands to it.

In any case each instance is commanded, audited, given its on-cancel event and counted once.
"""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from itertools import combinations
from typing import Any

import pytest
from msgspec.structs import replace

import shared.application.bulk.worker
from shared.application.bulk.start import BulkRequest, OperationOverError, begin_bulk, command_operation
from shared.application.control import control
from shared.application.start import Repeatable, StartInstance, start_instance
from shared.domain.bulk.operation import (
    BulkOperation,
    BulkStatus,
    Counts,
    ItemResult,
    OperationCommand,
    report_results,
)
from shared.domain.bulk.selection import OfStrategy
from shared.domain.ids import AccountId
from shared.domain.instance.event import EventKind
from shared.domain.instance.model import Instance, InstanceStatus
from shared.domain.instance.verdict import Actor
from shared.domain.lifecycle.commands import Cancel, CancelTasks, Pause
from tests.simulation.faults import BrownOut, Faults
from tests.simulation.stories import MEMBER, gym_world
from tests.simulation.world import World

ANN, BEN = Actor(name="ann", reason="closing"), Actor(name="ben")
MANY = 27
"""More than one slice."""
FEW = 4
PAIRS_OF_A_SEED = 2
MAX_SEEDS = 30
HALF_AN_HOUR = timedelta(minutes=30)


def a_gym(members: int, faults: Faults) -> World:
    """Return members whose first charge is far ahead."""
    world = gym_world(faults)
    start = world.now_at + timedelta(days=300)
    for _ in range(members):
        asked = StartInstance(strategy_id=world.strategy.name, start_date=start, attributes=MEMBER)
        start_instance(world, world.strategy, asked)
    world.now_at += timedelta(seconds=1)
    return world


def request_for(world: World, command: Cancel | CancelTasks | Pause) -> BulkRequest:
    return BulkRequest(
        account=AccountId("a-1"),
        selection=OfStrategy(strategy=world.strategy.sid),
        command=command,
        repeatable=Repeatable(key="k", body_hash="b"),
    )


def begin(world: World, command: Cancel | CancelTasks | Pause | None = None) -> None:
    """Send the request until it has an answer."""
    asked = request_for(world, command or Cancel(by=ANN))
    for attempt in range(3):
        process = world.do(f"request {attempt}", lambda: begin_bulk(world, asked))
        world.run_until(world.now_at + timedelta(seconds=2))
        if process.is_over and not process.doomed:
            return
    raise AssertionError("the client was never answered")


def no_dead_thread_writes(world: World) -> Callable[[Instance], None]:
    """Return a watcher of commits: when an invocation is killed, none of its threads writes any more."""

    def watch(_: Instance) -> None:
        assert world.stage.current is None or not world.stage.current.doomed

    return watch


def the_operation(world: World) -> BulkOperation:
    (bulk,) = world.flags.access.operations.bulks.values()
    return bulk


def a_closing(members: int, kill_at: frozenset[int]) -> World:
    """Cancel all members of the gym."""
    world = a_gym(members, Faults(rng=random.Random(1), kill_at=kill_at))
    world.commit_watchers.append(no_dead_thread_writes(world))
    begin(world)
    world.run_until(world.now_at + HALF_AN_HOUR)
    return world


def assert_each_once(world: World, *, late: int = 0) -> None:
    """Assert that each change was made and counted once.

    Up to ``late`` instances may have been changed by a stalled runner after they were counted as failed.
    """
    bulk = the_operation(world)
    changed = [one.sid for one in world.store.instances.values() if bulk.sid in one.operations]
    audited = Counter(entry.target for entry in world.store.audit if entry.operation == bulk.sid)
    assert audited == dict.fromkeys(changed, 1)
    assert 0 <= len(changed) - bulk.counts.changed <= late
    assert bulk.worker is None


def assert_closed(world: World, members: int) -> None:
    """Assert that all members are canceled, each with one on-cancel event."""
    assert_each_once(world)
    bulk = the_operation(world)
    assert (bulk.status, bulk.counts) == (BulkStatus.COMPLETED, Counts(changed=members))
    assert len(world.store.instances) == members
    for instance in world.store.instances.values():
        assert instance.status is InstanceStatus.CANCELED
        assert [event.kind for event in instance.events] == [EventKind.ON_CANCEL]


def assert_through(world: World) -> None:
    """Assert that all are changed, except instances at which runners crashed again and again."""
    bulk = the_operation(world)
    assert_each_once(world, late=bulk.counts.failed)
    assert bulk.status is BulkStatus.COMPLETED
    assert (bulk.counts.changed + bulk.counts.failed, bulk.counts.done) == (MANY, MANY)
    assert bulk.counts.failed <= 1


def points(members: int) -> int:
    world = a_closing(members, frozenset())
    assert_closed(world, members)
    return world.faults.points


POINTS_OF_MANY, POINTS_OF_FEW = points(MANY), points(FEW)
IN_A_SLICE = range(40, POINTS_OF_MANY - 40)
"""The points at which instances are commanded, alike, so fewer of them are simulated."""
TOLD = [point for point in range(1, POINTS_OF_MANY + 1) if point not in IN_A_SLICE or point % 7 == 0]


class TestASingleCrash:
    """A crash of request, runner or sweeper at any point only delays."""

    @pytest.mark.parametrize("point", TOLD)
    def test_many_instances_are_canceled_once_despite_a_crash(self, point: int) -> None:
        assert_closed(a_closing(MANY, frozenset({point})), MANY)

    @pytest.mark.parametrize("point", range(1, POINTS_OF_FEW + 1))
    def test_few_instances_are_canceled_once_despite_a_crash(self, point: int) -> None:
        assert_closed(a_closing(FEW, frozenset({point})), FEW)

    def test_another_runner_continues_within_two_minutes(self) -> None:
        for point in range(10, POINTS_OF_MANY, 25):
            world = a_gym(MANY, Faults(rng=random.Random(1), kill_at=frozenset({point})))
            begin(world)
            died_at = world.now_at

            world.run_until(died_at + timedelta(minutes=2))

            assert the_operation(world).status is BulkStatus.COMPLETED, f"killed at {point}"


class TestTwoCrashes:
    """Two crashes at any two points only delay."""

    def test_all_are_canceled_once(self, seed: int) -> None:
        pairs = list(combinations(range(1, POINTS_OF_MANY + 40), 2))
        for pair in random.Random(seed).sample(pairs, PAIRS_OF_A_SEED):
            try:
                assert_closed(a_closing(MANY, frozenset(pair)), MANY)
            except AssertionError as error:
                raise AssertionError(f"crashes at {pair}: {error}") from error


class TestThreads:
    """The commands of a batch overlap, and a store may be unavailable for any of them."""

    def in_flight(self, world: World) -> Counter[int]:
        """Return a count of how many instances were being commanded when one was changed."""
        counts: Counter[int] = Counter()

        def watch(_: Instance) -> None:
            acting = [process for process in world.stage.processes if process.together and not process.doomed]
            counts[sum(process.at_point in ("commit", "committed") for process in acting)] += 1

        world.commit_watchers.append(watch)
        return counts

    def test_several_instances_are_commanded_at_once(self) -> None:
        world = a_gym(MANY, Faults(rng=random.Random(1)))
        counts = self.in_flight(world)
        begin(world)
        world.run_until(world.now_at + HALF_AN_HOUR)

        assert_closed(world, MANY)
        assert set(counts) == {1, 2, 3}
        assert counts[2] + counts[3] > MANY // 2

    def test_results_of_any_part_of_a_batch_are_counted(self, seed: int) -> None:
        assert_closed(half_available(seed), MANY)

    def test_results_counted_for_the_wrong_instances_are_caught(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def careless(bulk: BulkOperation, results: Sequence[ItemResult], **more: Any) -> BulkOperation:
            pairs = zip(results, bulk.batch_sids, strict=False)
            return report_results(bulk, [replace(result, sid=sid) for result, sid in pairs], **more)

        monkeypatch.setattr(shared.application.bulk.worker, "report_results", careless)

        with pytest.raises(AssertionError):
            assert_all_closed(MAX_SEEDS)


def assert_all_closed(seeds: int) -> None:
    for seed in range(1, seeds + 1):
        assert_closed(half_available(seed), MANY)


def half_available(seed: int) -> World:
    """Cancel all members of the gym while every other write of an instance fails, or the reply to it is lost."""
    rng = random.Random(seed)
    world = a_gym(MANY, Faults(rng=rng, pace=0.05))
    label = rng.choice(["commit", "committed"])
    world.brown_out = BrownOut(rng, frozenset({label}), lasts=timedelta(minutes=5), spared=0.5)
    begin(world)
    world.run_until(world.now_at + HALF_AN_HOUR)
    return world


class TestStorms:
    """Crashes, stalls, lost replies and lost wakeups, with commands to operation and instances."""

    def weather(self, rng: random.Random, *, stall: float = 0.01) -> Faults:
        return Faults(rng=rng, until=500, kill=0.01, stall=stall, lost_reply=0.03, lost_wakeup=0.1)

    def test_the_operation_completes_despite_faults(self, seed: int) -> None:
        rng = random.Random(seed)
        world = a_gym(MANY, self.weather(rng))
        begin_stormily(world, Cancel(by=ANN))
        world.run_until(world.now_at + timedelta(hours=3))

        assert_through(world)

    def test_a_paused_and_resumed_operation_counts_right(self, seed: int) -> None:
        """Without stalls that outlast a runner's claim on its batch."""
        rng = random.Random(seed)
        world = a_gym(MANY, self.weather(rng, stall=0))
        begin_stormily(world, Pause(by=ANN))
        for number in range(8):
            command = rng.choice([OperationCommand.PAUSE, OperationCommand.RESUME, OperationCommand.RESUME])
            world.do(f"order {number}", partial(apply_command, world, command))
            world.run_until(world.now_at + timedelta(seconds=rng.choice([0.05, 1, 90])))
        last = rng.choice([OperationCommand.RESUME, OperationCommand.CANCEL])
        world.faults.until = 0
        apply_command(world, last)
        world.run_until(world.now_at + timedelta(hours=3))

        assert_each_once(world)
        done = last is OperationCommand.RESUME or the_operation(world).status is BulkStatus.COMPLETED
        assert the_operation(world).status is (BulkStatus.COMPLETED if done else BulkStatus.CANCELED)
        assert the_operation(world).counts.done == (MANY if done else the_operation(world).counts.changed)

    def test_a_task_is_canceled_once_despite_other_commands(self, seed: int) -> None:
        rng = random.Random(seed)
        world = a_gym(MANY, self.weather(rng))
        sids = list(world.store.instances)
        begin_stormily(world, CancelTasks(tasks=("charge-fee",), by=ANN))
        for number in range(10):
            sid = rng.choice(sids)
            world.do(f"ben {number}", partial(control, world, sid, Pause(by=BEN)))
            world.run_until(world.now_at + timedelta(seconds=rng.choice([0.01, 0.1, 40])))
        world.run_until(world.now_at + timedelta(hours=3))

        assert_through(world)
        for instance in world.store.instances.values():
            assert instance.plan.cycle == 1 + len(instance.operations)


def begin_stormily(world: World, command: Cancel | CancelTasks | Pause) -> None:
    """Send the request again and again until there is an operation."""
    asked = request_for(world, command)
    while not world.flags.access.operations.bulks:
        world.do("request", lambda: begin_bulk(world, asked))
        world.run_until(world.now_at + timedelta(seconds=0.02))


def apply_command(world: World, command: OperationCommand) -> None:
    try:
        command_operation(world, the_operation(world), command, by=BEN)
    except OperationOverError:
        return
