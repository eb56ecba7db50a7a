"""Towns in which everything goes wrong at once, and operators who command instances, flags and operations.

Lost and late wakeups, few environments, lost replies, brown-outs, lagging indexes, unreadable neighbours, gateway
errors after an effect, time-outs and wrong clocks. Whatever happens, the laws hold when it is over.
"""

import random
from collections import Counter
from datetime import timedelta

import pytest

from tests.simulation.bad_towns import bad_town, end_well, live


class TestABadTown:
    """Each instance has run, or was canceled by an operator; nothing was done twice unmarked, or despite a stop."""

    def test_everything_is_right_in_the_end(self, seed: int) -> None:
        there = bad_town(seed)
        live(there)

        end_well(there)

    def test_wrong_clocks_harm_no_history(self, seed: int) -> None:
        there = bad_town(seed, skew=timedelta(minutes=random.Random(seed).choice([1, 3, 10])))
        live(there)

        end_well(there)

    @pytest.mark.seeds(30)
    def test_everything_at_once_is_right_in_the_end(self, seed: int) -> None:
        there = bad_town(seed, everything=True)
        live(there)

        end_well(there)


def test_every_kind_of_fault_occurs() -> None:
    """A fault that is switched on and never takes effect would let every law hold."""
    met: Counter[str] = Counter()
    for seed in range(1, 11):
        there = bad_town(seed, everything=True)
        live(there)
        world = there.world
        assert world.runner is not None
        assert world.bulk_runner is not None
        met.update(
            {
                "cut off by its time-out": world.cut_off,
                "failed invocations": world.failed_invocations,
                "waited for an environment": world.runner.queued,
                "dropped by age": world.runner.too_old,
                "lost by the queue": world.runner.dropped + world.bulk_runner.dropped,
                "refused by a store": world.failures_met,
                "written too late": len(world.too_late),
                "acted behind a gateway's error": sum(
                    one.took_effect and one.status.startswith(("Answered(status=50", "TimedOut"))
                    for one in world.ledger
                ),
                "refused for now": sum(one.is_refused for one in world.ledger),
            }
        )
    assert not [fault for fault, times in met.items() if not times]
