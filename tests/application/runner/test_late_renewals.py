"""A lease is renewed before a step that may outlast it. The reply to the renewal may come when it has ended again."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from dev.memory.stores import MemoryInstances
from dev.memory.world import ManualClock, MemoryPorts
from shared.application.control import control
from shared.application.runner.loop import run_due_events
from shared.application.start import StartInstance, start_instance
from shared.domain.instance.event import EventStatus
from shared.domain.instance.model import Instance, InstanceStatus
from shared.domain.instance.verdict import Actor
from shared.domain.lifecycle.commands import Cancel, Pause
from shared.domain.steps.call import Answered, CallOutcome, ServiceRequest
from tests.lifecycle_factories import at, strategy

ANN = Actor(name="ann")
NOON = at("2026-01-31T12:00")
INVOCATION = timedelta(minutes=15)
A_LONG_CALL = timedelta(seconds=100)
"""So little is left of the lease then that it is renewed before the next step."""


class SlowReplies(MemoryInstances):
    """A store of which renewals and the replies to them are slow.

    ``before`` happens before each renewal is stored, and ``meanwhile`` before each reply.
    """

    meanwhile: list[Callable[[], object]]
    before: list[Callable[[], object]]
    renewals: int = 0

    def commit(self, instance: Instance, **beside: Any) -> None:
        known = self.instances.get(instance.sid)
        leases = (None if known is None else known.lease, instance.lease)
        renews = None not in leases and leases[0] != leases[1] and instance.executing is not None
        if renews and self.before:
            self.before.pop(0)()
        super().commit(instance, **beside)
        if renews:
            self.renewals += 1
            if self.meanwhile:
                self.meanwhile.pop(0)()


class Shop:
    """A customer with two steps at noon, the first of which takes long."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.clock = ManualClock(NOON)
        self.store = SlowReplies()
        self.store.meanwhile, self.store.before = [], []
        self.ports = MemoryPorts(caller=self, clock=self.clock, instances=self.store)
        steps = [
            {"key": "call", "action": "post", "nextStep": "next"},
            {"key": "next", "action": "post"},
        ]
        runs = strategy(steps=steps)
        self.ports.strategies.add(runs)
        asked = StartInstance(strategy_id=runs.name, attributes={}, start_date=NOON)
        self.sid = start_instance(self.ports, runs, asked).instance.sid

    def call(self, request: ServiceRequest) -> CallOutcome:
        if not self.calls:
            self.clock.at += A_LONG_CALL
        self.calls.append(request.call_key)
        return Answered(status=200, body={"id": "1"})

    def run(self, job: str = "job", *, seconds: float = INVOCATION.total_seconds()) -> int:
        ends = self.clock.at + timedelta(seconds=seconds)
        return run_due_events(self.ports, self.sid, job=job, time_left=lambda: ends - self.clock.at)

    def wait(self, seconds: float) -> Callable[[], None]:
        """Return what makes a reply that slow."""

        def passes() -> None:
            self.clock.at += timedelta(seconds=seconds)

        return passes

    @property
    def instance(self) -> Instance:
        return self.store.instances[self.sid]


@pytest.fixture
def shop() -> Shop:
    return Shop()


class TestALateReply:
    """Lease and time are checked again after a renewal, whose reply may have been late."""

    def test_a_reply_in_time_is_enough(self, shop: Shop) -> None:
        shop.run()

        assert (len(shop.calls), shop.store.renewals) == (2, 1)

    @pytest.mark.parametrize("seconds", [100, 600])
    def test_a_lease_that_ended_before_the_reply_is_renewed_again(self, shop: Shop, seconds: int) -> None:
        shop.store.meanwhile = [shop.wait(seconds)]

        shop.run()

        assert (len(shop.calls), shop.store.renewals) == (2, 2)
        assert shop.store.records[shop.sid, 1].event.status is EventStatus.PROCESSED

    def test_no_call_is_sent_after_a_cancel_that_has_drained(self, shop: Shop) -> None:
        def cancel() -> None:
            shop.clock.at += timedelta(seconds=200)
            control(shop.ports, shop.sid, Cancel(by=ANN))

        shop.store.meanwhile = [cancel]

        shop.run()

        assert len(shop.calls) == 1
        assert (shop.instance.status, shop.instance.is_draining) == (InstanceStatus.CANCELED, False)

    def test_an_event_that_another_runner_has_taken_over_is_left_to_it(self, shop: Shop) -> None:
        def take_over() -> None:
            shop.clock.at += timedelta(seconds=200)
            shop.run("another")

        shop.store.meanwhile = [take_over]

        shop.run()

        assert len(shop.calls) == 2
        record = shop.store.records[shop.sid, 1]
        assert (record.event.status, record.event.claim.job) == (EventStatus.PROCESSED, "another")

    def test_an_invocation_without_time_left_hands_the_event_over(self, shop: Shop) -> None:
        shop.store.meanwhile = [shop.wait(70)]
        shop.ports.wakeups.invoked.clear()

        shop.run(seconds=200)

        assert (len(shop.calls), shop.ports.wakeups.invoked) == (1, [shop.sid])
        assert shop.instance.events[0].status is EventStatus.QUEUED


class TestAStopBeforeTheRenewal:
    """A renewal that finds the instance stopped is followed by no call."""

    @pytest.mark.parametrize("is_late", [False, True])
    @pytest.mark.parametrize("command", [Pause(by=ANN), Cancel(by=ANN)])
    def test_no_call_is_sent(self, shop: Shop, command: Pause | Cancel, *, is_late: bool) -> None:
        shop.store.before = [lambda: control(shop.ports, shop.sid, command)]
        shop.store.meanwhile = [shop.wait(100)] if is_late else []

        shop.run()

        assert len(shop.calls) == 1
        assert not shop.instance.is_draining
        assert shop.instance.status in (InstanceStatus.PAUSED, InstanceStatus.CANCELED)
