"""The flags of an instance. Source: docs/design.md section 3.3; docs/decisions/0063."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from shared.domain.instance.due import GRACE
from shared.domain.instance.flags import Flags, may_have_missed, with_pauses
from shared.domain.instance.model import BlockedBy
from shared.domain.strategy.flag import Flag, FlagPause
from tests.lifecycle_factories import at, life, strategy

PAUSED = Flag(is_paused=True, pauses=(FlagPause(since=at("2026-01-05")),))
CLEARED = Flag(pauses=(FlagPause(since=at("2026-01-01"), until=at("2026-01-02")),))


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (Flags(), None),
        (Flags(queue=CLEARED, strategy=CLEARED), None),
        (Flags(strategy=PAUSED), BlockedBy.STRATEGY),
        (Flags(queue=PAUSED, strategy=PAUSED), BlockedBy.QUEUE),
    ],
)
def test_the_queue_goes_before_the_strategy(flags: Flags, expected: BlockedBy | None) -> None:
    assert flags.blocked_by is expected


def test_a_strategy_has_the_pauses_of_both() -> None:
    of = strategy()
    both = with_pauses(of, Flags(queue=CLEARED, strategy=PAUSED))
    assert both.flag_pauses == (*CLEARED.pauses, *PAUSED.pauses)
    assert with_pauses(of, Flags()) is of


class TestWhetherDatesMayHaveBeenMissed:
    """Only then the flags are read: once the open cycle is later than the engine itself may be."""

    def test_a_plan_that_is_on_time_has_missed_nothing(self) -> None:
        instance = life().instance
        due = instance.plan.due
        assert due is not None
        assert not may_have_missed(instance, now=due + GRACE)
        assert may_have_missed(instance, now=due + GRACE + timedelta(microseconds=1))

    def test_an_ended_plan_and_one_without_a_date_miss_nothing(self) -> None:
        instance = life().instance
        ended = replace(instance, plan=replace(instance.plan, has_ended=True))
        undated = replace(instance, plan=replace(instance.plan, moment=None))
        for one in (ended, undated):
            assert not may_have_missed(one, now=at("2030-01-01"))
