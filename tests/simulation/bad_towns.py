"""Towns with all faults at once, the days that operators live in them, and the laws at the end."""

import random
from datetime import timedelta

from shared.domain.instance.model import InstanceStatus
from tests.simulation.faults import BrownOut, Faults
from tests.simulation.functions import Function
from tests.simulation.index import LaggingIndex
from tests.simulation.labels import OF_A_TOWN
from tests.simulation.mayors import govern, pacify
from tests.simulation.town import NINE, Town, after_nine, heal, town
from tests.simulation.town_laws import ShardWatch, assert_operations_counted, assert_town_lawful

STORMY_UNTIL = after_nine(3)


def bad_town(seed: int, *, skew: timedelta = timedelta(), everything: bool = False) -> Town:
    """Return a town with all faults, each of them in some of the seeds only, or with ``everything`` at once."""
    rng = random.Random(seed)

    def often(chance: float) -> float:
        return chance if rng.random() < 0.7 or everything else 0.0

    faults = Faults(
        rng=rng,
        until=2500,
        kill=often(0.004),
        stall=often(0.01),
        lost_reply=often(0.02),
        lost_any_reply=often(0.02),
        lost_wakeup=often(0.1),
        double_wakeup=often(0.2),
        late_wakeup=often(0.1),
        early_wakeup=often(0.1),
        service_error=often(0.04),
        service_silence=often(0.04),
        service_refusal=often(0.05),
        service_garbling=often(0.04),
        gateway_error=often(0.06),
        pace=rng.choice([0.1, 0.6, 1.2]),
        call_lasts=rng.choice([0, 2, 8]),
        skew=skew,
    )
    there = town(
        faults, healthy=10, ill=rng.choice([0, 3]), shards=rng.choice([2, 16]), page=rng.choice([2, 2000])
    )
    world = there.world
    world.cuts_off = rng.random() < 0.5 or everything
    world.runner = Function(
        rng=rng,
        concurrency=rng.choice([1, 3] if everything else [1, 3, 1000]),
        max_age=timedelta(minutes=rng.choice([5, 60])),
        drops=often(0.1),
    )
    world.bulk_runner = Function(rng=rng, concurrency=rng.choice([1, 1000]), drops=often(0.1))
    if rng.random() < 0.5 or everything:
        lag = timedelta(seconds=rng.choice([1, 30, 180]))
        world.index, world.operations_index = LaggingIndex(rng, lag), LaggingIndex(rng, lag)
        for instance in world.store.instances.values():
            world.show(instance)
    ShardWatch(world).install()
    return there


def live(there: Town) -> None:
    """Let the faults happen for some days, with operators who act mostly when orders are due."""
    rng, world = there.rng, there.world
    while world.now_at < STORMY_UNTIL:
        if any(process.name.startswith("job-") for process in world.stage.processes) and rng.random() < 0.9:
            there.settle(seconds=rng.choice([0.1, 0.5, 1, 3]))
        elif rng.random() < 0.4:
            day = (world.now_at - NINE).days + 2 if world.now_at >= NINE else 1
            world.run_until(after_nine(day, seconds=rng.randint(-2, 20)))
        else:
            there.settle(seconds=rng.choice([2, 20, 200]))
        if rng.random() < 0.05:
            labels = frozenset(OF_A_TOWN[rng.choice(sorted(OF_A_TOWN))])
            lasts = timedelta(minutes=rng.choice([1, 10, 40]))
            world.brown_out = BrownOut(rng, labels, lasts=lasts, spared=rng.choice([0, 0.3, 0.9]))
        if rng.random() < 0.3:
            govern(there)


def end_well(there: Town) -> None:
    """Let everything heal, and assert the laws."""
    heal(there)
    pacify(there)
    there.world.run_until(after_nine(6, hours=10))
    assert_town_lawful(there)
    assert_operations_counted(there)
    for instance in there.world.store.instances.values():
        assert instance.status in (InstanceStatus.ACTIVE, InstanceStatus.CANCELED), instance.stop_note
        assert instance.blocked is None
