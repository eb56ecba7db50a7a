"""Towns in which everything goes wrong at once, and operators who command instances, flags and operations.

Lost and late wakeups, few environments, lost replies, brown-outs, lagging indexes, unreadable neighbours, gateway
errors after an effect, time-outs and wrong clocks. Whatever happens, the laws hold when it is over.
"""

import random
from datetime import timedelta

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
