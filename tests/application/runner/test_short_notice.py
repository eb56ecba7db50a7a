"""Events due within a minute run at their date: a runner is invoked at once and waits. Source: docs/design.md 3.1."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from dev.memory.world import ManualClock, MemoryPorts
from shared.application.control import control
from shared.domain.instance.event import EventStatus
from shared.domain.lifecycle.commands import AddEvent, Pause
from tests.application.lives import START as NOON
from tests.application.lives import Life
from tests.application.runner.test_loop import ANN, START, Service, a_world, run, started, stored
from tests.domain.strategy.definitions import changed

MICROSECOND = timedelta(microseconds=1)


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


@dataclass
class BusyClock(ManualClock):
    """A clock during whose next sleep something else happens."""

    meanwhile: list[Callable[[], object]] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        if self.meanwhile:
            self.meanwhile.pop()()


def a_busy_world(*, ahead: timedelta) -> tuple[MemoryPorts, Service, BusyClock]:
    """Return a world before the start of an instance, with its service and its clock."""
    ports, service = a_world(at=START - ahead)
    clock = BusyClock(ports.clock.at)
    ports.clock = clock
    return ports, service, clock


class TestInvoking:
    """Up to sixty seconds ahead a runner is invoked, because a schedule can be a minute late. Later, a schedule."""

    @pytest.mark.parametrize("ahead", [0.001, 5, 30, 59.999, 60])
    def test_an_event_due_within_a_minute_invokes_a_runner(self, ahead: float) -> None:
        ports, _ = a_world(at=START - seconds(ahead))

        sid = started(ports)

        assert (ports.wakeups.armed, ports.wakeups.invoked) == ({}, [sid])

    @pytest.mark.parametrize("ahead", [seconds(60) + MICROSECOND, seconds(90)])
    def test_an_event_due_later_gets_a_schedule(self, ahead: timedelta) -> None:
        ports, _ = a_world(at=START - ahead)

        sid = started(ports)

        assert (list(ports.wakeups.armed), ports.wakeups.invoked) == ([f"{sid}-1-1"], [])


class TestWaiting:
    """A runner waits for an event that is due within sixty seconds, without a lease."""

    @pytest.mark.parametrize("ahead", [0.001, 4, 30, 60])
    def test_the_event_starts_at_its_date(self, ahead: float) -> None:
        ports, service = a_world(at=START - seconds(ahead))
        sid = started(ports)

        assert run(ports, sid) == 1

        assert len(service.requests) == 1
        assert ports.clock.at == START

    def test_an_event_due_later_is_not_waited_for(self) -> None:
        ports, service = a_world(at=START - seconds(60) - MICROSECOND)
        sid = started(ports)
        ports.wakeups.armed.clear()

        assert run(ports, sid) == 0

        assert (service.requests, list(ports.wakeups.armed)) == ([], [f"{sid}-1-1"])

    def test_a_pause_during_the_wait_is_respected(self) -> None:
        ports, service, clock = a_busy_world(ahead=seconds(40))
        sid = started(ports)
        clock.meanwhile.append(lambda: control(ports, sid, Pause(by=ANN)))

        assert run(ports, sid) == 0

        assert (clock.at, service.requests) == (START, [])

    def test_only_one_of_two_waiting_runners_runs_the_event(self) -> None:
        ports, service, clock = a_busy_world(ahead=seconds(40))
        sid = started(ports)
        others: list[int] = []
        clock.meanwhile.append(lambda: others.append(run(ports, sid, job="other")))

        claims = run(ports, sid)

        assert ([claims, *others], len(service.requests)) == ([0, 1], 1)

    def test_a_step_with_a_short_delay_is_waited_for(self) -> None:
        delay = {"unit": "seconds", "amount": 45}
        life = Life(changed("/tasks/0/steps/0/delay", delay))

        assert [at for at, _ in life.shop.requests] == [NOON + seconds(45)]


class TestTimeLeft:
    """A runner waits only if twenty seconds of its invocation remain afterwards."""

    def test_too_little_time_after_progress_invokes_another_runner(self) -> None:
        ports, service = a_world()
        sid = started(ports)
        task = stored(ports, sid).events[0].task
        control(ports, sid, AddEvent(task=task, by=ANN, date=START + seconds(90)))
        ports.wakeups.invoked.clear()
        service.takes = seconds(50)

        assert run(ports, sid, seconds=109) == 1

        assert (len(service.requests), ports.wakeups.invoked) == (1, [sid])
        assert ports.clock.at == START + seconds(50)

    def test_too_little_time_without_progress_makes_a_schedule(self) -> None:
        ports, service = a_world(at=START - seconds(40))
        sid = started(ports)
        ports.wakeups.invoked.clear()

        assert run(ports, sid, seconds=60 - 0.001) == 0

        assert (service.requests, ports.wakeups.invoked) == ([], [])
        assert ports.wakeups.armed == {f"{sid}-1-1": (START, sid)}

    def test_just_enough_time_is_waited(self) -> None:
        ports, _ = a_world(at=START - seconds(40))
        sid = started(ports)

        run(ports, sid, seconds=60)

        assert ports.clock.at == START

    def test_a_step_that_does_not_fit_after_the_wait_is_left_to_another_runner(self) -> None:
        ports, service = a_world(at=START - seconds(40))
        sid = started(ports)
        ports.wakeups.invoked.clear()

        run(ports, sid, seconds=61)

        assert (service.requests, ports.wakeups.invoked) == ([], [sid])
        assert stored(ports, sid).events[0].status is EventStatus.QUEUED
        assert run(ports, sid) == 1
        assert len(service.requests) == 1
