"""Claims whose write is refused: what the runner before may have sent stays known, and no other claim is given back."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from dev.memory.stores import MemoryInstances
from dev.memory.world import ManualClock, MemoryPorts
from shared.application.control import control
from shared.application.ports import OverloadedError
from shared.application.runner.loop import run_due_events
from shared.application.start import StartInstance, start_instance
from shared.domain.ids import InstanceSid
from shared.domain.instance.event import Event, EventStatus, PausedFor
from shared.domain.instance.journal import EventHistory, EventRecord, JournalEntry
from shared.domain.instance.model import Instance, InstanceStatus
from shared.domain.instance.verdict import Actor
from shared.domain.lifecycle.commands import Cancel, Pause, Resume
from shared.domain.steps.call import Answered, CallOutcome, ServiceRequest
from shared.domain.strategy.model import Json
from tests.lifecycle_factories import at, strategy

NOON = at("2026-01-31T12:00")
ANN = Actor(name="ann")
LEASE = timedelta(minutes=3)
TWO_CALLS: Json = [
    {"key": "call", "action": "post", "nextStep": "next"},
    {"key": "next", "action": "post"},
]


class Dead(Exception):  # noqa: N818 - no error of anybody's
    """Ends the code of a killed runner."""


def die() -> None:
    raise Dead


class Refusing(MemoryInstances):
    """A store that refuses one write, and then something happens. ``refuses`` says which one.

    With ``loses_reply`` the write is stored all the same.
    """

    refuses: Callable[[Instance], bool] | None = None
    meanwhile: Callable[[], object] | None = None
    loses_reply = False
    refuses_history = False

    def commit(self, instance: Instance, **beside: Any) -> None:
        if self.refuses is not None and self.refuses(instance):
            happens, self.refuses, self.meanwhile = self.meanwhile, None, None
            if self.loses_reply:
                super().commit(instance, **beside)
            if happens is not None:
                happens()
            raise OverloadedError
        super().commit(instance, **beside)

    def event_history(self, sid: InstanceSid, seq: int) -> EventHistory:
        if self.refuses_history:
            self.refuses_history = False
            raise OverloadedError
        return super().event_history(sid, seq)


class Calls:
    """The only customer of a service, whose calls the test counts. ``meanwhile`` happens during the next call."""

    def __init__(self, **method: Json) -> None:
        self.visits: list[str] = []
        self.meanwhile: Callable[[], object] | None = None
        self.clock = ManualClock(NOON)
        self.store = Refusing()
        self.ports = MemoryPorts(caller=self, clock=self.clock, instances=self.store)
        runs = strategy(steps=TWO_CALLS, method=method)
        self.ports.strategies.add(runs)
        request = StartInstance(strategy_id=runs.name, attributes={"customerId": "c-1"}, start_date=NOON)
        self.sid = start_instance(self.ports, runs, request).instance.sid

    def call(self, request: ServiceRequest) -> CallOutcome:
        self.visits.append(request.call_key.rpartition("-")[2])
        happens, self.meanwhile = self.meanwhile, None
        if happens is not None:
            happens()
        return Answered(status=201, body={"id": "r-1"})

    def runs(self, job: str = "job") -> None:
        run_due_events(self.ports, self.sid, job=job, time_left=lambda: timedelta(minutes=15))

    def crashes_in_its_call(self, job: str = "job") -> None:
        self.meanwhile = die
        with pytest.raises(Dead):
            self.runs(job)

    def is_refused(self, which: Callable[[Instance], bool]) -> None:
        """Another runner comes after the lease, and one of its writes is refused."""
        self.clock.at += LEASE
        self.store.refuses = which
        with pytest.raises(OverloadedError):
            self.runs("second")
        assert self.store.refuses is None

    @property
    def instance(self) -> Instance:
        found = self.ports.instances.load(self.sid)
        assert found is not None
        return found

    @property
    def main(self) -> Event:
        found = self.instance.main_event
        assert found is not None
        return found

    @property
    def record(self) -> EventRecord:
        return self.store.records[self.sid, 1]

    @property
    def entries(self) -> list[JournalEntry]:
        return list(self.store.journal.values())


def is_repair(instance: Instance) -> bool:
    """Select the write of a takeover that pauses or closes the event."""
    return instance.executing is None


class TestARepair:
    """A takeover that pauses or closes the event is refused. The crashed runner has not given anything back."""

    @pytest.mark.parametrize("policy", ["retry", "pause"])
    def test_a_pause(self, policy: str) -> None:
        story = Calls(inDoubt=policy)
        story.crashes_in_its_call()
        control(story.ports, story.sid, Pause(by=ANN))
        lease = story.instance.lease

        story.is_refused(is_repair)

        assert story.instance.lease == lease
        story.runs()
        assert (story.main.paused_for, story.main.in_doubt) == (PausedFor.OPERATOR, True)
        control(story.ports, story.sid, Resume(by=ANN))
        story.runs()
        if policy == "pause":
            assert (story.visits, story.main.paused_for) == (["1"], PausedFor.IN_DOUBT)
        else:
            assert story.visits == ["1", "1", "2"]
            assert [entry.intent.repeat for entry in story.entries] == [True]
            assert story.record.in_doubt

    def test_a_cancel(self) -> None:
        story = Calls()
        story.crashes_in_its_call()
        control(story.ports, story.sid, Cancel(by=ANN))

        story.is_refused(is_repair)
        story.runs()

        assert (story.record.event.status, story.record.in_doubt) == (EventStatus.CANCELED, True)

    def test_the_fifth_crash(self) -> None:
        story = Calls()
        for _ in range(5):
            story.crashes_in_its_call()
            story.clock.at += LEASE

        story.clock.at -= LEASE
        story.is_refused(is_repair)
        story.runs()

        assert (story.main.paused_for, story.visits) == (PausedFor.POISONED, ["1"] * 5)


class TestTheFence:
    """The write that moves the fence is refused, or what follows it."""

    def test_the_next_runner_moves_it(self) -> None:
        story = Calls()
        story.crashes_in_its_call()

        story.is_refused(lambda instance: instance.fence == 2)
        story.runs()

        assert (story.visits, story.record.in_doubt, story.record.event.claim.fence) == (
            ["1", "1", "2"],
            True,
            3,
        )

    def test_a_history_that_cannot_be_read_after_it(self) -> None:
        story = Calls()
        story.crashes_in_its_call()
        story.clock.at += LEASE
        story.store.refuses_history = True
        with pytest.raises(OverloadedError):
            story.runs()

        story.runs()

        assert (story.visits, story.record.in_doubt, story.record.event.claim.fence) == (
            ["1", "1", "2"],
            True,
            3,
        )

    def test_the_earlier_runner_still_gives_its_claim_back(self) -> None:
        """It has stored nothing and knows that nothing was sent. Another one has moved the fence, and nothing else."""
        story = Calls()
        story.store.refuses, story.store.loses_reply = (lambda instance: instance.fence == 1), True

        def another_one_comes() -> None:
            story.clock.at += LEASE
            story.store.refuses_history = True
            with pytest.raises(OverloadedError):
                story.runs("second")
            assert story.instance.fence == 2

        story.store.meanwhile = another_one_comes
        story.runs("first")

        assert story.instance.lease is not None
        assert story.instance.lease.given_back is not None
        story.clock.at = story.instance.lease.until
        story.runs("third")
        assert (story.visits, story.record.in_doubt, story.record.event.progress.crashes) == (
            ["1", "2"],
            False,
            0,
        )


class TestAnotherClaim:
    """A claim that is not stored has the fence of the one that was stored instead. Only its runner gives it back."""

    @pytest.fixture
    def story(self) -> Calls:
        """The second runner claims while the claim of the first one is refused, and crashes in its call."""
        story = Calls()
        story.store.refuses = lambda instance: instance.executing is not None
        # Lambda has delivered one invocation twice.
        story.store.meanwhile = lambda: story.crashes_in_its_call("twin")
        with pytest.raises(OverloadedError):
            story.runs("twin")
        return story

    def test_its_lease_stays(self, story: Calls) -> None:
        assert story.instance.lease is not None
        assert story.instance.lease.given_back is None
        assert (story.main.claim.job, story.main.claim.fence) == ("twin", 1)

    def test_its_call_is_repeated_as_in_doubt(self, story: Calls) -> None:
        story.clock.at += LEASE
        story.runs("third")

        assert story.visits == ["1", "1", "2"]
        assert [entry.intent.repeat for entry in story.entries] == [True]
        assert (story.record.in_doubt, story.instance.status) == (True, InstanceStatus.ACTIVE)
