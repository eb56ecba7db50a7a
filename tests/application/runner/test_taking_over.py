"""Runners that crash or lose their lease, the runners that take over, and concurrent writers."""

from collections.abc import Callable
from datetime import timedelta
from threading import Semaphore, Thread
from typing import Any

import pytest

import shared.application.runner.loop
import shared.domain.lifecycle.claim
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
    """A store whose caller crashes at a commit, after ``commits_left`` more commits.

    ``meanwhile`` runs before the next commit.
    """

    commits_left: int | None = None
    meanwhile: Callable[[], object] | None = None

    def commit(self, instance: Instance, **beside: Any) -> None:
        happens, self.meanwhile = self.meanwhile, None
        if happens is not None:
            happens()
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
        self.requests: list[str] = []
        self.keys: list[str] = []
        self.meanwhile: Callable[[], object] | None = None
        self.answer: CallOutcome = Answered(status=201, body={"id": "r-1"})

    def call(self, request: ServiceRequest) -> CallOutcome:
        self.requests.append(request.url.rpartition("/")[2])
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


class Depots:
    """The only subscriber of a depot, with runners that the test starts."""

    def __init__(self, of: Strategy | None = None) -> None:
        self.depot = Depot()
        self.clock = ManualClock(NOON)
        self.store = Mortal()
        self.ports = MemoryPorts(caller=self.depot, clock=self.clock, instances=self.store)
        runs = of or parcels()
        self.ports.strategies.add(runs)
        attributes: dict[str, Json] = {"shipped": 0.0, "customerId": "c-1"}
        requests = StartInstance(strategy_id=runs.name, attributes=attributes, start_date=NOON)
        self.sid: InstanceSid = start_instance(self.ports, runs, requests).instance.sid

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
        story = Depots()
        story.runs()
        story.clock.at += COOLED_OFF
        story.store.commits_left = 1  # its claim; handing over is the next
        story.dies()
        assert story.instance.attributes["shipped"] == 0.0

        story.clock.at += LEASE
        story.runs()

        assert story.instance.attributes["shipped"] == 1.0
        assert story.depot.requests == [
            "reservations",
            "surveys",
        ]  # the package may be under way: it fails for now
        story.clock.at += timedelta(minutes=30)
        story.runs()
        assert story.instance.attributes["shipped"] == 1.0
        assert story.depot.requests == ["reservations", "surveys", "packages", "1"]

    @pytest.mark.parametrize("command", [Pause(by=ANN), Cancel(by=ANN)], ids=["paused", "canceled"])
    def test_directives_are_applied_even_on_a_stopped_instance(self, command: Pause | Cancel) -> None:
        story = Depots()
        story.runs()
        story.clock.at += COOLED_OFF
        story.store.commits_left = 1
        story.dies()
        control(story.ports, story.sid, command)

        story.clock.at += LEASE
        story.runs()

        assert story.instance.attributes["shipped"] == 1.0
        assert story.instance.executing is None
        control(story.ports, story.sid, Cancel(by=ANN))
        record = story.ports.instances.records[story.sid, 2]
        assert (record.event.task, record.event.status) == ("ship", EventStatus.CANCELED)
        assert story.instance.attributes["shipped"] == 1.0


class TestADeadRunnersCall:
    """It is unknown if the call of a crashed runner was sent."""

    def test_a_call_left_to_an_operator_is_not_repeated(self) -> None:
        story = Depots()
        story.depot.meanwhile = die
        story.dies()

        story.clock.at += LEASE
        story.runs()

        (event,) = [event for event in story.instance.events if event.task == "ship"]
        assert (event.status, event.paused_for) == (EventStatus.PAUSED, PausedFor.IN_DOUBT)
        assert story.instance.status is InstanceStatus.PAUSED
        assert story.depot.requests == ["reservations"]


class TestItsWrites:
    """A takeover moves the fence, claims, and stores the last entry again."""

    def test_a_takeover_writes_the_instance_once_more(self) -> None:
        story = Depots(two_calls(counts=False))
        story.depot.meanwhile = lambda: setattr(story.depot, "meanwhile", die)
        story.dies()
        before = story.instance

        story.is_taken_over()

        # The fence, the claim, and the end of the run.
        assert (story.instance.rev - before.rev, story.instance.fence - before.fence) == (3, 2)
        (entry,) = story.store.journal.values()
        assert entry.fence == story.instance.fence


class TestARunnerThatLostItsLease:
    """A runner continues after its call although another runner has taken over."""

    def test_the_late_runner_writes_its_answer_and_stops(self) -> None:
        story = Depots()
        story.depot.meanwhile = story.is_taken_over

        story.runs()

        (event,) = [event for event in story.instance.events if event.task == "ship"]
        (entry,) = story.ports.instances.event_history(story.sid, event.seq).entries
        assert entry.outcome.success
        assert story.instance.rev == story.left_at
        assert event.paused_for is PausedFor.IN_DOUBT
        assert story.depot.requests == ["reservations"]

    def test_the_late_runner_does_not_conclude_the_event_again(self) -> None:
        story = Depots(example("water-filter-refill"))
        story.depot.meanwhile = story.is_taken_over

        story.runs()

        assert story.depot.requests == ["shipments", "shipments"]
        assert len(set(story.depot.keys)) == 1
        assert story.instance.rev == story.left_at
        assert [(event.seq, event.status) for event in story.instance.events] == [(2, EventStatus.PENDING)]

    def in_doubt(self, *, counts: bool) -> Depots:
        """The second runner pauses the event as in doubt; then the first runner writes the answer."""
        story = Depots(two_calls(counts=counts, inDoubt="pause"))
        story.depot.meanwhile = story.is_taken_over
        story.runs()
        assert story.main.paused_for is PausedFor.IN_DOUBT
        return story

    def test_a_resolution_does_not_apply_to_the_next_call(self) -> None:
        story = self.in_doubt(counts=False)

        control(story.ports, story.sid, Resolve(seq=1, resolution=Resolution.SKIP, by=ANN))
        story.runs()

        assert [key.partition("-1-1-")[2] for key in story.depot.keys] == ["1", "2"]
        record = story.ports.instances.records[story.sid, 1]
        assert (record.event.status, record.in_doubt) == (EventStatus.PROCESSED, True)

    def test_directives_of_the_late_runner_are_decided_again(self) -> None:
        story = self.in_doubt(counts=True)
        control(story.ports, story.sid, Update(by=ANN, attributes={"shipped": 5}))

        control(story.ports, story.sid, Resolve(seq=1, resolution=Resolution.RETRY, by=ANN))
        story.runs()

        assert story.instance.attributes["shipped"] == 6
        assert [key.partition("-1-1-")[2] for key in story.depot.keys] == ["1", "1", "2"]


class Gate:
    """A service at which the calls of the first runner wait until the test lets them continue."""

    def __init__(self, depot: Depot) -> None:
        self.depot = depot
        self.has_called = Semaphore(0)
        self.may_continue = Semaphore(0)

    def call(self, request: ServiceRequest) -> CallOutcome:
        answer = self.depot.call(request)
        self.has_called.release()
        assert self.may_continue.acquire(timeout=10)
        return answer


class TestARunnerThatStillRuns:
    """By its own clock the first runner has its lease for longer, and continues while the second takes over."""

    @staticmethod
    def sent(before_commit: int) -> tuple[Depots, list[str], set[str]]:
        """The first runner continues before a commit of the second one, up to its next call or its end.

        Return the story, the visits in the order in which they were sent, and the visits that are marked as repeats.
        """
        story = Depots(two_calls(counts=False))
        gate = Gate(story.depot)
        ports = MemoryPorts(caller=gate, clock=ManualClock(NOON), instances=story.store)
        ports.strategies = story.ports.strategies

        def runs() -> None:
            run_due_events(ports, story.sid, job="first", time_left=lambda: timedelta(minutes=15))
            gate.has_called.release()

        def continues() -> None:
            gate.may_continue.release()
            assert gate.has_called.acquire(timeout=10)

        def at_commit(number: int) -> None:
            story.store.meanwhile = continues if number == 1 else lambda: at_commit(number - 1)

        first = Thread(target=runs)
        first.start()
        assert gate.has_called.acquire(timeout=10)
        at_commit(before_commit)
        story.is_taken_over()
        gate.may_continue.release()
        first.join(timeout=10)
        assert not first.is_alive()
        (record,) = story.store.records.values()
        assert record.last is not None
        intents = [entry.intent for entry in (*story.store.journal.values(), record.last)]
        repeated = {str(intent.visit) for intent in intents if intent.repeat}
        return story, [key.rpartition("-")[2] for key in story.depot.keys], repeated

    @pytest.mark.parametrize(
        ("before_commit", "visits", "repeated"),
        [
            pytest.param(1, ["1", "2", "2"], {"2"}, id="before the fence moves"),
            pytest.param(2, ["1", "1", "2"], {"1"}, id="before the claim"),
            pytest.param(3, ["1", "1", "2"], {"1"}, id="before the end"),
        ],
    )
    def test_a_call_that_both_send_is_marked(
        self, before_commit: int, visits: list[str], repeated: set[str]
    ) -> None:
        story, sent, marked = self.sent(before_commit)

        assert (sent, marked) == (visits, repeated)
        (record,) = story.store.records.values()
        assert (record.event.status, record.in_doubt) == (EventStatus.PROCESSED, True)
        assert story.left_at == story.instance.rev

    def test_without_the_fence_before_the_history_it_is_not_marked(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for module in (shared.application.runner.loop, shared.domain.lifecycle.claim):
            monkeypatch.setattr(module, "must_be_fenced", lambda *_: False)

        _, sent, marked = self.sent(1)

        assert sent.count("2") > 1
        assert "2" not in marked


class TestAKilledRunner:
    """A step of a killed runner counts only if its directives were applied."""

    def test_directives_that_were_not_applied_are_decided_again(self) -> None:
        story = Depots(two_calls(counts=True))
        story.store.commits_left = 1  # its claim; handing over is the next
        story.dies()
        control(story.ports, story.sid, Pause(by=ANN, kill=True))
        control(story.ports, story.sid, Update(by=ANN, attributes={"shipped": 5}))

        control(story.ports, story.sid, Resume(by=ANN))
        story.runs()

        assert story.instance.attributes["shipped"] == 6
        assert [key.partition("-1-1-")[2] for key in story.depot.keys] == ["1", "1", "2"]
        assert story.ports.instances.records[story.sid, 1].in_doubt

    def test_after_applied_directives_the_next_call_is_in_doubt(self) -> None:
        story = Depots(two_calls(counts=True))
        story.store.commits_left = 2
        story.dies()
        assert story.instance.attributes["shipped"] == 1
        control(story.ports, story.sid, Pause(by=ANN, kill=True))

        control(story.ports, story.sid, Resume(by=ANN))
        story.runs()

        assert story.instance.attributes["shipped"] == 1
        assert [key.partition("-1-1-")[2] for key in story.depot.keys] == ["1", "2", "2"]

    def test_a_late_refusal_of_an_earlier_runner_does_not_count(self) -> None:
        """The first runner stores its refusal after another one has called with success and before that is killed."""
        story = Depots(strategy(retry={"times": 1, "retryAfter": {"unit": "hours", "amount": 1}}))

        def another_runner_calls_and_crashes() -> None:
            story.depot.meanwhile = die
            with pytest.raises(Dead):
                story.is_taken_over()

        story.depot.meanwhile = another_runner_calls_and_crashes
        story.depot.answer = Answered(status=402, body={})
        story.runs()
        control(story.ports, story.sid, Pause(by=ANN, kill=True))

        control(story.ports, story.sid, Resume(by=ANN))
        story.depot.answer = Answered(status=201, body={"id": "r-1"})
        story.runs()

        assert [key.partition("-1-")[2] for key in story.depot.keys] == ["1-1", "1-1", "1-1"]
        assert story.ports.instances.records[story.sid, 1].in_doubt


class TestAResumeDuringAStop:
    """A run continues if a resume comes between its look at the instance and the write that would stop it."""

    def test_the_next_step_follows_at_once(self) -> None:
        story = Depots(two_calls(counts=False))

        def resumes() -> None:
            control(story.ports, story.sid, Resume(by=ANN))

        def pauses() -> None:
            control(story.ports, story.sid, Pause(by=ANN))
            story.store.meanwhile = resumes

        story.depot.meanwhile = pauses
        story.runs()

        assert [key.partition("-1-1-")[2] for key in story.depot.keys] == ["1", "2"]
        assert not story.ports.instances.records[story.sid, 1].in_doubt

    def test_a_run_that_was_killed_before_the_resume_stops(self) -> None:
        story = Depots(two_calls(counts=False))

        def kills_and_resumes() -> None:
            control(story.ports, story.sid, Pause(by=ANN, kill=True))
            control(story.ports, story.sid, Resume(by=ANN))

        def pauses() -> None:
            control(story.ports, story.sid, Pause(by=ANN))
            story.store.meanwhile = kills_and_resumes

        story.depot.meanwhile = pauses
        story.runs()

        assert len(story.depot.keys) == 1
        assert story.main.status is EventStatus.QUEUED


class TestACallThatNobodyAnswers:
    """An event with an unanswered call is marked as in doubt, however it ends."""

    def test_an_event_canceled_while_waiting_stays_in_doubt(self) -> None:
        wait: Json = {"unit": "hours", "amount": 1}
        story = Depots(
            strategy(
                steps=[
                    {"key": "call", "action": "post", "optional": True, "nextStep": "next"},
                    {"key": "next", "action": "post", "delay": wait},
                ]
            )
        )
        story.depot.answer = TimedOut(why="read timed out")
        story.runs()
        assert (story.main.status, story.main.in_doubt) == (EventStatus.PENDING, True)

        control(story.ports, story.sid, CancelTasks(tasks=("bill",), by=ANN))

        record = story.ports.instances.records[story.sid, 1]
        assert (record.event.status, record.in_doubt) == (EventStatus.CANCELED, True)


class TestAWriterBesideTheRunner:
    """The first writer wins, and the runner decides again on the result."""

    def test_a_pause_during_the_last_call_stops_the_next_cycle(self) -> None:
        story = Depots(example("water-filter-refill"))
        story.depot.meanwhile = lambda: control(story.ports, story.sid, Pause(by=ANN))

        story.runs()

        assert story.depot.requests == ["shipments"]
        assert story.ports.instances.records[story.sid, 1].event.status is EventStatus.PROCESSED
        assert story.instance.status is InstanceStatus.PAUSED
        assert [event.status for event in story.instance.events] == [EventStatus.PENDING]
