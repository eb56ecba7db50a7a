"""The schedule of faults."""

from collections import Counter

import pytest

from dev.chaos.faults import FIRST_SECOND, Disturb, Disturbance, Fail, Kill, Link, Stop, Target, plan_faults


def test_the_same_seed_has_the_same_faults() -> None:
    assert plan_faults(7, seconds=600, kills=30) == plan_faults(7, seconds=600, kills=30)
    assert plan_faults(7, seconds=600, kills=30) != plan_faults(8, seconds=600, kills=30)


@pytest.mark.parametrize("kills", [0, 1, 6, 30, 100])
def test_the_faults_have_as_many_kills_as_given(kills: int) -> None:
    faults = [timed.fault for timed in plan_faults(1, seconds=600, kills=kills)]

    assert sum(isinstance(fault, Kill) for fault in faults) == kills
    assert len(faults) == 5 * kills


@pytest.mark.parametrize("seed", range(20))
def test_every_fault_ends_in_time(seed: int) -> None:
    for timed in plan_faults(seed, seconds=120, kills=6):
        lasts = timed.fault.seconds if isinstance(timed.fault, Stop | Disturb) else 0
        assert timed.at >= FIRST_SECOND
        assert timed.at + lasts <= 120.01


def test_faults_are_in_order_and_spread() -> None:
    at = [timed.at for timed in plan_faults(3, seconds=600, kills=30)]

    assert at == sorted(at)
    for minute in range(10):
        assert any(60 * minute <= one < 60 * (minute + 1) for one in at)


@pytest.mark.parametrize("seed", range(20))
def test_a_run_of_two_minutes_has_every_target(seed: int) -> None:
    faults = [timed.fault for timed in plan_faults(seed, seconds=120, kills=6)]

    assert {fault.target for fault in faults if isinstance(fault, Kill)} == set(Target)


@pytest.mark.parametrize("seed", range(20))
def test_a_run_of_ten_minutes_has_every_fault(seed: int) -> None:
    faults = [timed.fault for timed in plan_faults(seed, seconds=600, kills=30)]

    disturbed = {(fault.link, fault.how) for fault in faults if isinstance(fault, Disturb)}
    assert disturbed == {(link, how) for link in Link for how in Disturbance}
    failures = Counter(fault for fault in faults if isinstance(fault, Fail))
    assert len(failures) == 9
    assert set(failures.values()) <= {6, 7}
    assert {fault.target for fault in faults if isinstance(fault, Stop)} == set(Target) - {Target.EVERYTHING}
