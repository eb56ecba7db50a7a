"""A burst of events under a limit: the service gets at most the limit in any second, and nothing is lost.

``BURST_EVENTS=5000 BURST_CONTAINERS=300`` simulates a larger burst. Its figures are printed with ``-s``.
"""

import os
import random
from collections import Counter
from datetime import timedelta

import pytest

from shared.domain.instance.event import EventStatus
from shared.domain.limits.slots import slots_taken
from tests.simulation.burst import NINE, Burst
from tests.simulation.test_limits import most_in_a_second

EVENTS = int(os.environ.get("BURST_EVENTS", "300"))
CONTAINERS = int(os.environ.get("BURST_CONTAINERS", "60"))
PER_SECOND = int(os.environ.get("BURST_PER_SECOND", "50" if EVENTS < 5000 else "200"))


def figures_of(burst: Burst) -> dict[str, float]:
    """Return the figures of a burst: lateness in seconds, and requests to the store of limits for each call."""
    late = sorted((at - NINE).total_seconds() for at, _ in burst.calls)
    return {
        "calls": len(late),
        "most in a second": most_in_a_second([at for at, _ in burst.calls]),
        "p50": late[len(late) // 2],
        "p99": late[len(late) * 99 // 100],
        "last": late[-1],
        "writes a call": burst.requests["writes"] / len(late),
        "refused writes a call": burst.requests.get("refused", 0) / len(late),
        "reads a call": burst.requests["reads"] / len(late),
    }


def report(name: str, figures: dict[str, float]) -> None:
    print(f"{name}: " + ", ".join(f"{what} {figure:.5g}" for what, figure in figures.items()))  # noqa: T201 - see above


def assert_nothing_lost(burst: Burst) -> None:
    """Assert that every event ran once, in its first attempt, without a doubt."""
    records = list(burst.ports.instances.records.values())
    assert len(records) == burst.events
    assert {record.event.status for record in records} == {EventStatus.PROCESSED}
    assert {(record.event.attempt, record.event.run, record.in_doubt) for record in records} == {
        (1, 1, False)
    }
    assert set(Counter(key for _, key in burst.calls).values()) == {1}


class TestABurst:
    """Many events are due at once."""

    def test_the_limit_is_never_exceeded_and_nothing_is_lost(self) -> None:
        burst = Burst({"perSecond": PER_SECOND}, EVENTS, CONTAINERS, random.Random(1))

        burst.run(until=timedelta(hours=2))

        figures = figures_of(burst)
        report(f"{EVENTS} events, {CONTAINERS} containers, {PER_SECOND} a second", figures)
        assert_nothing_lost(burst)
        assert figures["most in a second"] <= PER_SECOND
        # The rate is 1 / 1.1 of the limit. Nearly all of it is used.
        assert figures["last"] <= 1.1 * EVENTS / PER_SECOND * 1.1 + 5

    @pytest.mark.parametrize("late", [0.0, 0.05])
    def test_calls_in_flight_are_never_too_many_and_no_slot_is_left_behind(self, late: float) -> None:
        burst = Burst(
            {"concurrent": 10}, EVENTS, CONTAINERS, random.Random(1), lasts=(0.5, 0.5), late_replies=late
        )

        burst.run(until=timedelta(hours=2))

        figures = figures_of(burst)
        report(f"{EVENTS} events, {CONTAINERS} containers, 10 in flight", figures)
        assert_nothing_lost(burst)
        begun = sorted(at for at, _ in burst.calls)
        half = timedelta(seconds=0.5)
        assert all(later - at >= half for at, later in zip(begun, begun[10:], strict=False))
        (state,) = burst.ports.limits.states.values()
        assert slots_taken(state, now=burst.at) == 0
        if not late:
            # The slots are busy nearly all the time, and few writes are in vain.
            assert figures["last"] <= EVENTS * 0.5 / 10 * 1.3 + 5
            assert figures["writes a call"] <= 3

    @pytest.mark.parametrize("limit", [{"concurrent": 1}, {"concurrent": 1, "perSecond": 1}])
    def test_the_line_of_long_calls_does_not_run_ahead(self, limit: dict[str, int]) -> None:
        burst = Burst(limit, 300, 20, random.Random(1), lasts=(4, 6))

        burst.run(until=timedelta(hours=2))

        assert_nothing_lost(burst)
        # 300 calls of 5 seconds, one after another.
        assert figures_of(burst)["last"] <= 300 * 5 * 1.3

    def test_lost_replies_only_cost_permits(self) -> None:
        burst = Burst({"perSecond": 50}, 200, 40, random.Random(2), lost_replies=0.05)

        burst.run(until=timedelta(hours=2))

        assert_nothing_lost(burst)
        assert figures_of(burst)["most in a second"] <= 50

    def test_clocks_that_differ_by_a_hundredth_of_a_second(self) -> None:
        burst = Burst({"perSecond": 50}, 200, 40, random.Random(3), skew=timedelta(milliseconds=9))

        burst.run(until=timedelta(hours=2))

        assert_nothing_lost(burst)
        assert figures_of(burst)["most in a second"] <= 50
