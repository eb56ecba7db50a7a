"""What becomes unreadable while it waits or is blocked, as after a rollback over two releases, runs once it is healed.

Instances, and the head of a strategy with its flag, were written by a newer version of the code.
"""

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest

import shared.application.bulk.release
import shared.application.runner.loop
from shared.application.control import control_event
from shared.application.flags import pause_queue, resume_queue
from shared.domain.bulk.release import ReleaseJob, after_batch
from shared.domain.instance.due import MAX_BACK_OFF
from shared.domain.lifecycle.commands import Execute
from tests.simulation.faults import Faults
from tests.simulation.functions import Function
from tests.simulation.mayors import ANN, ask, set_strategy
from tests.simulation.town import ACCOUNT, Town, after_nine, fall_ill, heal, town
from tests.simulation.town_laws import assert_all_ordered, assert_no_attempt_used, assert_town_lawful

ILL_FOR = (timedelta(minutes=2), timedelta(minutes=20), timedelta(hours=5))


def a_town(seed: int) -> Town:
    """Return a town whose wakeups are sometimes lost or doubled. Nothing crashes, so that no attempt may be used."""
    faults = Faults(
        rng=random.Random(seed), until=4000, lost_wakeup=0.2, double_wakeup=0.2, late_wakeup=0.1, pace=0.2
    )
    return town(faults, healthy=9, shards=3)


def heal_after(there: Town, lasts: timedelta) -> None:
    """Let time pass until everything can be read again, and then the longest back-off."""
    there.settle(seconds=lasts.total_seconds())
    heal(there)
    there.world.unreadable_heads.clear()
    there.settle(seconds=(MAX_BACK_OFF + timedelta(minutes=30)).total_seconds())


class TestABlockedInstance:
    """An instance that becomes unreadable while a flag blocks it is released once it can be read again."""

    @pytest.mark.parametrize("by", ["queue", "strategy"])
    def test_it_runs_at_most_an_hour_after_it_is_healed(self, seed: int, by: str) -> None:
        there = a_town(seed)
        world, rng = there.world, there.rng
        lasts = rng.choice(ILL_FOR)
        flag(there, by, paused=True)
        world.run_until(after_nine(1, minutes=10))
        assert {one.blocked_by for one in world.store.instances.values()} == {by}
        for number, sid in enumerate(rng.sample(there.healthy, 3)):
            fall_ill(world, sid, number)

        flag(there, by, paused=False)
        heal_after(there, lasts)

        left = [sid for sid, one in world.store.instances.items() if one.blocked is not None]
        assert left == [], f"{left} are still blocked"
        world.run_until(after_nine(2, hours=3))
        late = timedelta(minutes=10) + lasts + MAX_BACK_OFF + timedelta(minutes=30)
        assert_all_ordered(there, 2, within=late)
        assert_no_attempt_used(there)
        assert_town_lawful(there)


class TestTheFlagsOfAStrategy:
    """A head that cannot be read stops its instances' runs, and uses no attempt of theirs."""

    def test_its_instances_run_at_most_an_hour_after_it_is_healed(self, seed: int) -> None:
        there = a_town(seed)
        world, rng = there.world, there.rng
        lasts = rng.choice(ILL_FOR)
        world.run_until(after_nine(1, seconds=rng.choice([-300, -1, 0])))
        sid = rng.choice(list(world.flags.heads))
        world.unreadable_heads.add(sid)
        called = len(world.ledger)

        there.settle(minutes=2)
        of_others = {s for s, one in world.store.instances.items() if one.strategy_sid != sid}
        begun = {sending.key.rsplit("-", 3)[0] for sending in world.ledger[called:]}
        assert begun <= set(of_others)
        heal_after(there, lasts)

        world.run_until(after_nine(2, hours=3))
        assert_all_ordered(there, 2, within=lasts + MAX_BACK_OFF + timedelta(minutes=30))
        assert_no_attempt_used(there)
        assert_town_lawful(there)

    def test_tasks_beside_the_cycles_run_once_it_is_healed(self, seed: int) -> None:
        """Their takeovers read no flags before they claim, because no date of the plan has passed."""
        there = a_town(seed)
        world = there.world
        world.runner = Function(rng=there.rng)
        world.unreadable_heads.update(world.flags.heads)
        for sid in there.healthy:
            (welcome,) = (one.seq for one in world.store.instances[sid].events if not one.is_main)
            ask(there, "execute", partial(control_event, world, sid, Execute(seq=welcome, by=ANN)))

        heal_after(there, there.rng.choice(ILL_FOR))

        assert len(world.store.records) == len(there.healthy)
        assert_no_attempt_used(there)
        assert_town_lawful(there)


def flag(there: Town, by: str, *, paused: bool) -> None:
    """Pause or resume the queue, or both strategies, and let the request end."""
    if by == "queue":
        ask(there, by, partial(pause_queue if paused else resume_queue, there.world, ACCOUNT, by=ANN))
    else:
        for sid in list(there.world.flags.heads):
            set_strategy(there, paused=paused, sid=sid)
    there.settle(seconds=5)


class TestARemovedGuardIsCaught:
    """Each of these guards alone keeps what cannot be read from being left behind or set aside."""

    def test_a_job_that_ends_although_it_could_not_release_is_caught(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def careless(job: ReleaseJob, *, left_at: datetime | None, **result: Any) -> ReleaseJob | None:
            assert left_at is None or left_at.tzinfo is not None
            return after_batch(job, left_at=None, **result)

        monkeypatch.setattr(shared.application.bulk.release, "after_batch", careless)

        assert "are still blocked" in caught(
            partial(TestABlockedInstance().test_it_runs_at_most_an_hour_after_it_is_healed, by="queue")
        )

    def test_a_claim_that_is_not_given_back_is_caught(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(shared.application.runner.loop, "UNREADABLE", ())

        assert "FAILED" in caught(
            TestTheFlagsOfAStrategy().test_tasks_beside_the_cycles_run_once_it_is_healed
        )


def caught(story: Callable[[int], None]) -> str:
    """Return the message of the first law that fails."""
    for seed in range(1, 10):
        try:
            story(seed)
        except AssertionError as error:
            return str(error)
    return ""
