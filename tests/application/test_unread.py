"""Commands on an instance whose settings cannot be read."""

import pytest

from dev.memory.stores import MemoryStrategies
from dev.memory.world import ManualClock, MemoryPorts
from shared.application.control import control
from shared.application.ports import SealBrokenError, UnknownStrategyError
from shared.application.start import StartInstance, start_instance
from shared.domain.ids import InstanceSid, StrategySid
from shared.domain.instance.model import InstanceStatus
from shared.domain.instance.verdict import Actor
from shared.domain.lifecycle.commands import Cancel, Command, Pause, Resume
from shared.domain.steps.call import CallOutcome, ServiceRequest
from shared.domain.strategy.model import Strategy
from tests.lifecycle_factories import at, strategy

ANN = Actor(name="ann")
NOON = at("2026-01-31T12:00")


class _NoServices:
    def call(self, request: ServiceRequest) -> CallOutcome:
        raise AssertionError(request.url)


class Unreadable(MemoryStrategies):
    """Strategies whose versions cannot be read."""

    error: Exception

    def load(self, sid: StrategySid, version: int) -> Strategy:  # noqa: ARG002 - the port's parameters
        raise self.error


def unread(error: Exception) -> tuple[MemoryPorts, InstanceSid]:
    """Return an instance whose settings raise an error."""
    ports = MemoryPorts(caller=_NoServices(), clock=ManualClock(NOON))
    first = strategy()
    ports.strategies.add(first)
    sid = start_instance(ports, first, StartInstance(strategy_id="shop", attributes={})).instance.sid
    ports.strategies = Unreadable(access=ports.access)
    ports.strategies.error = error
    return ports, sid


@pytest.mark.parametrize("error", [UnknownStrategyError("s-1 version 1"), SealBrokenError("altered")])
class TestUnreadSettings:
    """Pause and cancel work without the settings; every other command raises."""

    @pytest.mark.parametrize(
        ("command", "status"),
        [(Pause(by=ANN), InstanceStatus.PAUSED), (Cancel(by=ANN), InstanceStatus.CANCELED)],
    )
    def test_a_stop_is_stored_and_audited(
        self, error: Exception, command: Command, status: InstanceStatus
    ) -> None:
        ports, sid = unread(error)
        control(ports, sid, command)
        (instance,) = ports.instances.instances.values()
        assert instance.status is status
        assert type(error).__name__ in (ports.instances.audit[-1].reason or "")

    def test_another_command_raises_and_stores_nothing(self, error: Exception) -> None:
        ports, sid = unread(error)
        control(ports, sid, Pause(by=ANN))
        with pytest.raises(type(error)):
            control(ports, sid, Resume(by=ANN))
        (instance,) = ports.instances.instances.values()
        assert instance.status is InstanceStatus.PAUSED
