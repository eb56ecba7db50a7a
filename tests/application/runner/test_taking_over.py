"""Runners that crash or lose their lease, the runners that take over, and concurrent writers."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from dev.memory.stores import MemoryInstances
from dev.memory.world import ManualClock, MemoryPorts
from shared.application.control import control
from shared.application.runner.loop import run_due_events
from shared.application.start import StartInstance, start_instance
from shared.domain.ids import InstanceSid
from shared.domain.instance.event import Event, EventStatus, PausedFor, Resolution
from shared.domain.instance.model import Instance, InstanceStatus
from shared.domain.instance.verdict import Actor
from shared.domain.lifecycle.commands import Cancel, CancelTasks, Pause, Resolve, Resume, Update
from shared.domain.steps.call import Answered, CallOutcome, ServiceRequest, TimedOut
from shared.domain.strategy.model import Json, Strategy
from tests.lifecycle_factories import at, strategy
from tests.simulation.stories import example, parcels

NOON = at("2026-01-31T12:00")
ANN = Actor(name="ann")
LEASE = timedelta(minutes=5)
COOLED_OFF = timedelta(hours=2)


class Dead(Exception):  # noqa: N818 - no error of anybody's
    """Ends the code of a killed runner."""


class Mortal(MemoryInstances):
    """A store whose caller crashes at a commit, after ``commits_left`` more commits."""

    commits_left: int | None = None

    def commit(self, instance: Instance, **beside: Any) -> None:
        if self.commits_left == 0:
            self.commits_left = None
            raise Dead
        super().commit(instance, **beside)
        if self.commits_left is not None:
            self.commits_left -= 1


def die() -> None:
    raise Dead


class Depot:
    """A service that gives every call the same answer. ``meanwhile`` runs during the next call."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.keys: list[str] = []
        self.meanwhile: Callable[[], object] | None = None
        self.answer: CallOutcome = Answered(status=201, body={"id": "r-1"})

    def call(self, request: ServiceRequest) -> CallOutcome:
        self.asked.append(request.url.rpartition("/")[2])
        self.keys.append(request.call_key)
        happens, self.meanwhile = self.meanwhile, None
        if happens is not None:
            happens()
        return self.answer


def two_calls(*, counts: bool, **method: Json) -> Strategy:
    """Return a task with a charge and a second call. With ``counts``, the charge has a controller that counts."""
    one_more = '{"attributes": {"shipped": attributes.shipped + 1.0}}'
    charge: Json = {"key": "call", "action": "post", "nextStep": "next"}
    controlled: Json = {"controllerCallback": one_more} if counts else {}
    return strategy(method=method, steps=[{**charge, **controlled}, {"key": "next", "action": "post"}])


class Told:
    """The only subscriber of a depot, with runners that the test starts."""

    def __init__(self, of: Strategy | None = None) -> None:
        self.depot = Depot()
        self.clock = ManualClock(NOON)
        self.store = Mortal()
        self.ports = MemoryPorts(caller=self.depot, clock=self.clock, instances=self.store)
        runs = of or parcels()
        self.ports.strategies.add(runs)
        attributes: dict[str, Json] = {"shipped": 0.0, "customerId": "c-1"}
        asked = StartInstance(strategy_id=runs.name, attributes=attributes, start_date=NOON)
        self.sid: InstanceSid = start_instance(self.ports, runs, asked).instance.sid

    def runs(self) -> None:
        """Start a runner. It may crash on the way."""
        run_due_events(self.ports, self.sid, job="job", time_left=lambda: timedelta(minutes=15))

    @property
    def main(self) -> Event:
        found = self.instance.main_event
        assert found is not None
        return found

    @property
    def instance(self) -> Instance:
        found = self.ports.instances.load(self.sid)
        assert found is not None
        return found

    def is_taken_over(self) -> None:
        """Start another runner when the lease of this one has ended."""
        self.clock.at += LEASE
        self.runs()
        self.left_at = self.instance.rev

    def dies(self) -> None:
        """Start a runner and expect it to crash."""
        with pytest.raises(Dead):
            self.runs()


class TestADeadRunnersOrders:
    """If directives are in the journal but not applied, the runner that takes over applies them."""

    def test_directives_of_a_crashed_runner_are_applied_once(self) -> None:
        told = Told()
        told.runs()
        told.clock.at += COOLED_OFF
        told.store.commits_left = 1  # its claim; handing over is the next
        told.dies()
        assert told.instance.attributes["shipped"] == 0.0

        told.clock.at += LEASE
        told.runs()

        assert told.instance.attributes["shipped"] == 1.0
        assert told.depot.asked == [
            "reservations",
            "surveys",
        ]  # the package may be under way: it fails for now
        told.clock.at += timedelta(minutes=30)
        told.runs()
        assert told.instance.attributes["shipped"] == 1.0
        assert told.depot.asked == ["reservations", "surveys", "packages", "1"]

    @pytest.mark.parametrize("command", [Pause(by=ANN), Cancel(by=ANN)], ids=["paused", "canceled"])
    def test_directives_are_applied_even_on_a_stopped_instance(self, command: Pause | Cancel) -> None:
        told = Told()
        told.runs()
        told.clock.at += COOLED_OFF
        told.store.commits_left = 1
        told.dies()
        control(told.ports, told.sid, command)

        told.clock.at += LEASE
        told.runs()

        assert told.instance.attributes["shipped"] == 1.0
        assert told.instance.executing is None
        control(told.ports, told.sid, Cancel(by=ANN))
        record = told.ports.instances.records[told.sid, 2]
        assert (record.event.task, record.event.status) == ("ship", EventStatus.CANCELED)
        assert told.instance.attributes["shipped"] == 1.0


class TestADeadRunnersCall:
    """It is unknown if the call of a crashed runner was sent."""

    def test_a_call_left_to_an_operator_is_not_repeated(self) -> None:
        told = Told()
        told.depot.meanwhile = die
        told.dies()

        told.clock.at += LEASE
        told.runs()

        (event,) = [event for event in told.instance.events if event.task == "ship"]
        assert (event.status, event.paused_for) == (EventStatus.PAUSED, PausedFor.IN_DOUBT)
        assert told.instance.status is InstanceStatus.PAUSED
        assert told.depot.asked == ["reservations"]


class TestARunnerThatLostItsLease:
    """A runner continues after its call although another runner has taken over."""

    def test_the_late_runner_writes_its_answer_and_stops(self) -> None:
        told = Told()
        told.depot.meanwhile = told.is_taken_over

        told.runs()

        (event,) = [event for event in told.instance.events if event.task == "ship"]
        (entry,) = told.ports.instances.event_history(told.sid, event.seq).entries
        assert entry.outcome.success
        assert told.instance.rev == told.left_at
        assert event.paused_for is PausedFor.IN_DOUBT
        assert told.depot.asked == ["reservations"]

    def test_the_late_runner_does_not_conclude_the_event_again(self) -> None:
        told = Told(example("water-filter-refill"))
        told.depot.meanwhile = told.is_taken_over

        told.runs()

        assert told.depot.asked == ["shipments", "shipments"]
        assert len(set(told.depot.keys)) == 1
        assert told.instance.rev == told.left_at
        assert [(event.seq, event.status) for event in told.instance.events] == [(2, EventStatus.PENDING)]

    def in_doubt(self, *, counts: bool) -> Told:
        """The second runner pauses the event as in doubt; then the first runner writes the answer."""
        told = Told(two_calls(counts=counts, inDoubt="pause"))
        told.depot.meanwhile = told.is_taken_over
        told.runs()
        assert told.main.paused_for is PausedFor.IN_DOUBT
        return told

    def test_a_resolution_does_not_apply_to_the_next_call(self) -> None:
        told = self.in_doubt(counts=False)

        control(told.ports, told.sid, Resolve(seq=1, resolution=Resolution.SKIP, by=ANN))
        told.runs()

        assert [key.partition("-1-1-")[2] for key in told.depot.keys] == ["1", "2"]
        record = told.ports.instances.records[told.sid, 1]
        assert (record.event.status, record.in_doubt) == (EventStatus.PROCESSED, True)

    def test_directives_of_the_late_runner_are_decided_again(self) -> None:
        told = self.in_doubt(counts=True)
        control(told.ports, told.sid, Update(by=ANN, attributes={"shipped": 5}))

        control(told.ports, told.sid, Resolve(seq=1, resolution=Resolution.RETRY, by=ANN))
        told.runs()

        assert told.instance.attributes["shipped"] == 6
        assert [key.partition("-1-1-")[2] for key in told.depot.keys] == ["1", "1", "2"]


class TestAKilledRunner:
    """A step of a killed runner counts only if its directives were applied."""

    def test_directives_that_were_not_applied_are_decided_again(self) -> None:
        told = Told(two_calls(counts=True))
        told.store.commits_left = 1  # its claim; handing over is the next
        told.dies()
        control(told.ports, told.sid, Pause(by=ANN, kill=True))
        control(told.ports, told.sid, Update(by=ANN, attributes={"shipped": 5}))

        control(told.ports, told.sid, Resume(by=ANN))
        told.runs()

        assert told.instance.attributes["shipped"] == 6
        assert [key.partition("-1-1-")[2] for key in told.depot.keys] == ["1", "1", "2"]
        assert told.ports.instances.records[told.sid, 1].in_doubt

    def test_after_applied_directives_the_next_call_is_in_doubt(self) -> None:
        told = Told(two_calls(counts=True))
        told.store.commits_left = 2
        told.dies()
        assert told.instance.attributes["shipped"] == 1
        control(told.ports, told.sid, Pause(by=ANN, kill=True))

        control(told.ports, told.sid, Resume(by=ANN))
        told.runs()

        assert told.instance.attributes["shipped"] == 1
        assert [key.partition("-1-1-")[2] for key in told.depot.keys] == ["1", "2", "2"]


class TestACallThatNobodyAnswers:
    """An event with an unanswered call is marked as in doubt, however it ends."""

    def test_an_event_canceled_while_waiting_stays_in_doubt(self) -> None:
        wait: Json = {"unit": "hours", "amount": 1}
        told = Told(
            strategy(
                steps=[
                    {"key": "call", "action": "post", "optional": True, "nextStep": "next"},
                    {"key": "next", "action": "post", "delay": wait},
                ]
            )
        )
        told.depot.answer = TimedOut(why="read timed out")
        told.runs()
        assert (told.main.status, told.main.in_doubt) == (EventStatus.PENDING, True)

        control(told.ports, told.sid, CancelTasks(tasks=("bill",), by=ANN))

        record = told.ports.instances.records[told.sid, 1]
        assert (record.event.status, record.in_doubt) == (EventStatus.CANCELED, True)


class TestAWriterBesideTheRunner:
    """The first writer wins, and the runner decides again on the result."""

    def test_a_pause_during_the_last_call_stops_the_next_cycle(self) -> None:
        told = Told(example("water-filter-refill"))
        told.depot.meanwhile = lambda: control(told.ports, told.sid, Pause(by=ANN))

        told.runs()

        assert told.depot.asked == ["shipments"]
        assert told.ports.instances.records[told.sid, 1].event.status is EventStatus.PROCESSED
        assert told.instance.status is InstanceStatus.PAUSED
        assert [event.status for event in told.instance.events] == [EventStatus.PENDING]
