"""Stories that are too rare with random faults, step by step: which runner stalls at which point, and how long."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

import shared.application.runner.loop
import shared.application.sweep
import shared.domain.instance.due
import shared.domain.instance.replay
import shared.domain.lifecycle.claim
from shared.domain.instance.journal import EventRecord
from shared.domain.instance.model import Instance
from shared.domain.steps.call import Answered, CallOutcome, ServiceRequest, TimedOut
from tests.simulation.laws import assert_history_complete, only_instance, records_of
from tests.simulation.stories import declined, gym_world, join
from tests.simulation.world import World

DUE = datetime(2026, 3, 3, 8, 0, 0, tzinfo=UTC)


def gym_at_its_first_charge() -> World:
    """Return a member whose first charge is due. No wakeup is delivered; the test starts the runners."""
    world = gym_world()
    join(world)
    world.delivers_wakeups = world.sweeper = False
    world.run_until(datetime(2026, 3, 1, tzinfo=UTC))
    world.run(only_instance(world).sid)  # the welcome and the reminder
    world.run_until(DUE)
    return world


class TestTwoRunnersAtOnce:
    """Without faults no call is sent twice, however many runners there are, because of the lease."""

    @staticmethod
    def both_come() -> Counter[str]:
        world = gym_at_its_first_charge()
        for _ in range(2):
            world.run(only_instance(world).sid)
        world.run_until(DUE + timedelta(minutes=1))
        return Counter(sending.key for sending in world.ledger)

    def test_two_runners_send_every_call_once(self) -> None:
        assert set(self.both_come().values()) == {1}

    def test_without_the_lease_calls_are_sent_twice(self, monkeypatch: pytest.MonkeyPatch) -> None:
        next_action = shared.domain.instance.due.next_action

        def greedy(instance: Instance, now: datetime) -> object:
            lease = instance.lease
            ended = instance if lease is None else replace(instance, lease=replace(lease, until=now))
            return next_action(ended, now)

        monkeypatch.setattr(shared.domain.lifecycle.claim, "next_action", greedy)
        monkeypatch.setattr(shared.application.runner.loop, "next_action", greedy)

        assert max(self.both_come().values()) > 1


class Fading:
    """A billing service that answers the first call of a charge, and is silent at its repeat."""

    def __init__(self) -> None:
        self.charges = 0

    def __call__(self, request: ServiceRequest) -> CallOutcome:
        if request.url.endswith("/charges"):
            self.charges += 1
            if self.charges > 1:
                return TimedOut(why="read timed out")
        return Answered(status=201, body={"id": "c-1", "status": "CONFIRMED"})


class TestTwoZombies:
    """A runner that lost its lease cannot overwrite an entry on which a third runner has built.

    The first runner stalls before it writes its charge. The second takes over, repeats the call without an answer,
    and stalls too. The first writes; the third takes over and continues from that; then the second writes. Source:
    docs/decisions/0003.
    """

    @staticmethod
    def zombies() -> World:
        world = gym_at_its_first_charge()
        world.answers = Fading()
        sid, jobs = only_instance(world).sid, world.jobs
        world.delays[f"job-{jobs + 1}", "append"] = timedelta(seconds=400)
        world.delays[f"job-{jobs + 2}", "append"] = timedelta(seconds=600)
        for seconds in (0, 150, 420):
            world.run_until(DUE + timedelta(seconds=seconds))
            world.run(sid)
        world.run_until(DUE + timedelta(hours=1))
        assert world.delays == {}
        assert world.answers.charges == 2
        return world

    def test_the_history_stays_complete(self) -> None:
        assert_history_complete(self.zombies())

    def test_without_refencing_the_history_breaks(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(shared.application.runner.loop, "entry_to_refence", lambda *_args, **_named: None)

        with pytest.raises(AssertionError):
            assert_history_complete(self.zombies())


class Recovering:
    """A billing service that declines the first call of a charge, and accepts its repeat."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.charges = 0

    def __call__(self, request: ServiceRequest) -> CallOutcome:
        if request.url.endswith("/charges"):
            self.charges += 1
            if self.charges == 1:
                return Answered(status=402, body={"status": "FAILED"})
            self.taken.append(request.call_key)
        return Answered(status=201, body={"id": "c-1", "status": "CONFIRMED"})


class TestARefusalThatComesTooLate:
    """A late entry of a declined call does not count, because the next runner's repeat may have succeeded.

    The first runner is declined and stalls before it writes that. The second takes over, repeats the call
    successfully, and stalls too. The first writes; the third takes over. Source: docs/decisions/0028.
    """

    @staticmethod
    def keys_taken() -> set[str]:
        world = gym_at_its_first_charge()
        world.answers = service = Recovering()
        sid, jobs = only_instance(world).sid, world.jobs
        world.delays[f"job-{jobs + 1}", "append"] = timedelta(seconds=400)
        world.delays[f"job-{jobs + 2}", "append"] = timedelta(seconds=600)
        for seconds in (0, 150, 420):
            world.run_until(DUE + timedelta(seconds=seconds))
            world.run(sid)
        world.sweeper = True
        world.run_until(DUE + timedelta(days=1))
        assert world.delays == {}
        assert records_of(world, "charge-fee")
        return set(service.taken)

    def test_the_charge_is_made_under_one_key(self) -> None:
        assert len(self.keys_taken()) == 1

    def test_without_the_check_of_the_fence_there_are_two_keys(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(shared.domain.instance.replay, "_is_overtaken", lambda *_: False)

        assert len(self.keys_taken()) == 2


class TestAPlanBeyondTheHorizon:
    """A plan beyond the horizon runs on time, because the sweeper schedules its wakeup later."""

    @staticmethod
    def charged() -> list[EventRecord]:
        world = gym_world()
        world.strategy = replace(world.strategy, horizon=timedelta(days=1))
        world.answers = declined(0)
        join(world)
        assert only_instance(world).sweep.schedule_at is None  # the welcome is due in minutes
        world.run_until(DUE - timedelta(days=2))
        assert only_instance(world).sweep.schedule_at is not None
        assert world.schedules == {}
        world.run_until(DUE + timedelta(minutes=1))
        return records_of(world, "charge-fee")

    def test_a_plan_beyond_the_horizon_runs_on_its_date(self) -> None:
        (charge,) = self.charged()

        assert charge.event.times.executed_at == DUE

    def test_without_the_sweep_of_distant_plans_it_does_not_run(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(shared.application.sweep, "far_partition", lambda _: "nowhere")

        assert self.charged() == []
