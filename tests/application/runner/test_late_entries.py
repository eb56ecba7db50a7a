"""Journal entries that are stored long after their runner has lost its claim, while others pause or give back."""

from collections.abc import Callable
from datetime import timedelta
from threading import Semaphore, Thread

import pytest

from dev.memory.stores import MemoryInstances
from dev.memory.world import ManualClock, MemoryPorts
from shared.application.control import control
from shared.application.flags import pause_queue, resume_queue
from shared.application.ports import OverloadedError, ServiceCaller
from shared.application.runner.loop import run_due_events
from shared.application.start import StartInstance, start_instance
from shared.domain.instance.event import Event, EventStatus, PausedFor
from shared.domain.instance.journal import JournalEntry
from shared.domain.instance.model import Instance
from shared.domain.instance.verdict import Actor
from shared.domain.lifecycle.commands import Execute, Pause, Resume
from shared.domain.steps.call import Answered, CallOutcome, ServiceRequest
from shared.domain.strategy.model import Json
from tests.lifecycle_factories import at, retries, strategy

NOON = at("2026-01-31T12:00")
ANN = Actor(name="ann")
LEASE = timedelta(minutes=5)
THREE_CALLS: Json = [
    {"key": "call", "action": "post", "nextStep": "b"},
    {"key": "b", "action": "post", "nextStep": "c"},
    {"key": "c", "action": "post", "delay": {"unit": "days", "amount": 1}},
]
READ_AND_CHARGE: Json = [
    {"key": "call", "action": "get", "nextStep": "charge"},
    {"key": "charge", "action": "post", "nextStep": "check", "delay": {"unit": "minutes", "amount": 15}},
    {"key": "check", "action": "get"},
]
TWO_DELAYS: Json = [
    {"key": "call", "action": "post", "nextStep": "b"},
    {"key": "b", "action": "post", "delay": {"unit": "days", "amount": 1}, "nextStep": "c"},
    {"key": "c", "action": "post", "delay": {"unit": "days", "amount": 30}},
]
METHODS: Json = [{"key": method, "url": "/orders", "method": method} for method in ("get", "post")]
ACTIONS: Json = [{"key": method, "service": "shop", "method": method} for method in ("get", "post")]
SECONDS = 10


class Gate:
    """Holds a runner up until the test lets it continue."""

    def __init__(self) -> None:
        self.is_there, self.may_continue = Semaphore(0), Semaphore(0)

    def wait(self) -> None:
        self.is_there.release()
        assert self.may_continue.acquire(timeout=SECONDS)

    def await_runner(self) -> None:
        assert self.is_there.acquire(timeout=SECONDS)


class SlowCalls:
    """A service that holds up each call after it was sent."""

    def __init__(self, service: ServiceCaller, gate: Gate) -> None:
        self.service, self.gate = service, gate

    def call(self, request: ServiceRequest) -> CallOutcome:
        answer = self.service.call(request)
        self.gate.wait()
        return answer


class Failing:
    """A service that answers each call with 500."""

    def __init__(self, service: ServiceCaller) -> None:
        self.service = service

    def call(self, request: ServiceRequest) -> CallOutcome:
        self.service.call(request)
        return Answered(status=500, body={})


class SlowEntries(MemoryInstances):
    """The store of another runner, at which the first journal entry is held up."""

    def __init__(self, store: MemoryInstances, gate: Gate) -> None:
        super().__init__(**{name: getattr(store, name) for name in MemoryInstances.__slots__})
        self.gate: Gate | None = gate

    def append(self, instance: Instance, entry: JournalEntry) -> None:
        if self.gate is not None:
            gate, self.gate = self.gate, None
            gate.wait()
        super().append(instance, entry)


class RefusedEntries(MemoryInstances):
    """The store of another runner, which refuses all journal entries. ``happens`` comes before the first."""

    def __init__(self, store: MemoryInstances, happens: Callable[[], object]) -> None:
        super().__init__(**{name: getattr(store, name) for name in MemoryInstances.__slots__})
        self.happens: Callable[[], object] | None = happens

    def append(self, instance: Instance, entry: JournalEntry) -> None:  # noqa: ARG002 - it stores nothing
        happens, self.happens = self.happens, None
        if happens is not None:
            happens()
        raise OverloadedError


class Customer:
    """A customer with three calls, whose runners share the stores. ``keys`` are run and visit of each call."""

    def __init__(self, in_doubt: str, *, steps: Json = THREE_CALLS, retry: Json = None) -> None:
        self.keys: list[str] = []
        self.clock = ManualClock(NOON)
        self.ports = MemoryPorts(caller=self, clock=self.clock)
        methods = [{**method, "inDoubt": in_doubt} for method in METHODS]
        runs = strategy(service={"methods": methods}, parts={"actions": ACTIONS}, steps=steps, retry=retry)
        self.ports.strategies.add(runs)
        request = StartInstance(strategy_id=runs.name, attributes={"customerId": "c-1"}, start_date=NOON)
        self.sid = start_instance(self.ports, runs, request).instance.sid

    def call(self, request: ServiceRequest) -> CallOutcome:
        self.keys.append("-".join(request.call_key.split("-")[-2:]))
        return Answered(status=201, body={"id": "r-1"})

    def runs(
        self,
        job: str,
        caller: ServiceCaller | None = None,
        store: MemoryInstances | None = None,
        clock: ManualClock | None = None,
    ) -> None:
        ports = MemoryPorts(
            caller=caller or self,
            clock=clock or self.clock,
            instances=store or self.ports.instances,
            access=self.ports.access,
        )
        ports.strategies = self.ports.strategies
        run_due_events(ports, self.sid, job=job, time_left=lambda: timedelta(minutes=15))

    def in_thread(
        self,
        job: str,
        caller: ServiceCaller | None = None,
        store: MemoryInstances | None = None,
        clock: ManualClock | None = None,
    ) -> Thread:
        thread = Thread(target=self.runs, args=(job, caller, store, clock))
        thread.start()
        return thread

    @property
    def main(self) -> Event:
        instance = self.ports.instances.load(self.sid)
        assert instance is not None
        assert instance.main_event is not None
        return instance.main_event


class Story(Customer):
    """The first runner has stored the first call and is in the second.

    Another one takes over and stalls before it stores the first entry again. Then the first stores the second call, and
    finds that it has lost its claim.
    """

    def __init__(self, in_doubt: str) -> None:
        super().__init__(in_doubt)
        calls = Gate()
        first = self.in_thread("first", caller=SlowCalls(self, calls))
        calls.await_runner()
        calls.may_continue.release()
        calls.await_runner()
        self.clock.at += LEASE
        self.entries = Gate()
        self.second = self.in_thread("second", store=SlowEntries(self.ports.instances, self.entries))
        self.entries.await_runner()
        calls.may_continue.release()
        first.join(SECONDS)
        assert self.keys == ["1-1", "1-2"]

    def second_continues(self) -> None:
        """The second runner stores the first entry again, and finds that it has lost its claim."""
        self.entries.may_continue.release()
        self.second.join(SECONDS)
        assert not self.second.is_alive()

    def assert_the_second_call_stays_in_doubt(self, in_doubt: str) -> None:
        if in_doubt == "pause":
            assert (self.main.paused_for, self.keys) == (PausedFor.IN_DOUBT, ["1-1", "1-2"])
            return
        entries = self.ports.instances.journal.values()
        assert [entry.intent.visit for entry in entries if entry.intent.repeat] == [2]
        assert (self.main.status, self.main.in_doubt, self.keys) == (
            EventStatus.PENDING,
            True,
            ["1-1", "1-2", "1-2"],
        )


@pytest.mark.parametrize("in_doubt", ["retry", "pause"])
class TestAnEntryThatIsStoredAgainTooLate:
    """It hides the call that came after it. The third runner knew of that call, and has not made the next one."""

    def test_during_a_pause(self, in_doubt: str) -> None:
        story = Story(in_doubt)
        control(story.ports, story.sid, Pause(by=ANN))
        story.clock.at += LEASE
        story.runs("third")
        assert (story.main.paused_for, story.main.progress.known_visits) == (PausedFor.OPERATOR, 2)

        story.second_continues()
        control(story.ports, story.sid, Resume(by=ANN))
        story.runs("fourth")

        story.assert_the_second_call_stays_in_doubt(in_doubt)

    def test_during_the_pause_of_a_queue_it_changes_nothing(self, in_doubt: str) -> None:
        story = Story(in_doubt)
        instance = story.ports.instances.load(story.sid)
        assert instance is not None
        pause_queue(story.ports, instance.account_id, by=ANN)
        story.clock.at += LEASE
        story.runs("third")

        story.second_continues()
        resume_queue(story.ports, instance.account_id, by=ANN)
        story.runs("fourth")

        # The third runner has stored the second entry again, before it read the flag.
        assert (story.main.status, story.keys) == (EventStatus.PENDING, ["1-1", "1-2"])

    def test_after_a_claim_was_given_back(self, in_doubt: str) -> None:
        story = Story(in_doubt)
        story.clock.at += LEASE
        story.runs("third", store=RefusedEntries(story.ports.instances, story.second_continues))
        instance = story.ports.instances.load(story.sid)
        assert instance is not None
        assert instance.lease is not None
        assert instance.lease.given_back is not None

        story.clock.at = instance.lease.until
        story.runs("fourth")

        story.assert_the_second_call_stays_in_doubt(in_doubt)


class TestAFailureThatIsStoredTooLate:
    """It does not replace the success on which a later claim was built, whatever came between the two claims.

    The first runner stalls in a call that reads. The second one takes over, sends it again, and stalls as well. The
    first stores its success, which a third runner reads. It pauses the event, and makes no claim.
    """

    def setup_method(self) -> None:
        customer = self.customer = Customer("retry", steps=READ_AND_CHARGE, retry=retries(3))
        calls, self.failures = Gate(), Gate()
        first = customer.in_thread("first", caller=SlowCalls(customer, calls))
        calls.await_runner()
        customer.clock.at += LEASE
        self.second = customer.in_thread("second", caller=SlowCalls(Failing(customer), self.failures))
        self.failures.await_runner()
        calls.may_continue.release()
        first.join(SECONDS)
        control(customer.ports, customer.sid, Pause(by=ANN))
        customer.clock.at += LEASE
        customer.runs("third")
        assert (customer.main.status, customer.main.in_doubt) == (EventStatus.PAUSED, False)
        control(customer.ports, customer.sid, Resume(by=ANN))
        customer.clock.at += timedelta(minutes=10)

    def second_fails(self) -> None:
        """The second runner stores its failure, and finds that it has lost its claim."""
        self.failures.may_continue.release()
        self.second.join(SECONDS)
        assert not self.second.is_alive()

    def test_while_a_later_step_is_called(self) -> None:
        customer, calls = self.customer, Gate()
        fourth = customer.in_thread("fourth", caller=SlowCalls(customer, calls))
        calls.await_runner()
        calls.may_continue.release()
        calls.await_runner()
        self.second_fails()
        assert customer.keys == ["1-1", "1-1", "1-2", "1-3"]

        # The fourth runner crashes in ``check``.
        customer.clock.at += LEASE
        customer.runs("fifth")
        customer.clock.at += timedelta(hours=2)
        customer.runs("sixth")

        assert customer.keys == ["1-1", "1-1", "1-2", "1-3", "1-3"]
        calls.may_continue.release()
        fourth.join(SECONDS)

    def test_before_the_success_is_stored_again_by_a_runner_with_a_slow_clock(self) -> None:
        """Another one has read the failure meanwhile, so the slow one must not go on from the success."""
        customer, entries = self.customer, Gate()
        slow = ManualClock(customer.clock.at)
        fourth = customer.in_thread(
            "fourth", store=SlowEntries(customer.ports.instances, entries), clock=slow
        )
        entries.await_runner()
        self.second_fails()
        customer.clock.at += LEASE
        customer.runs("fifth")
        entries.may_continue.release()
        fourth.join(SECONDS)
        assert customer.keys == ["1-1", "1-1"]

        customer.clock.at += timedelta(hours=2)
        customer.runs("sixth")
        customer.clock.at += timedelta(hours=2)
        customer.runs("seventh")

        assert customer.keys == ["1-1", "1-1", "1-1", "2-2", "2-3"]


class TestASkippedDelay:
    """An operator has skipped the delay of the second call, which the first runner makes."""

    def setup_method(self) -> None:
        customer = self.customer = Customer("pause", steps=TWO_DELAYS)
        customer.runs("zero")
        control(customer.ports, customer.sid, Execute(seq=customer.main.seq, by=ANN))
        self.calls = Gate()
        self.first = customer.in_thread("first", caller=SlowCalls(customer, self.calls))
        self.calls.await_runner()
        assert customer.keys == ["1-1", "1-2"]

    def first_continues(self) -> None:
        """The first runner stores its call."""
        self.calls.may_continue.release()
        self.first.join(SECONDS)
        assert not self.first.is_alive()

    def test_its_call_stays_in_doubt_if_its_entry_is_hidden(self) -> None:
        customer, entries = self.customer, Gate()
        customer.clock.at += LEASE
        second = customer.in_thread("second", store=SlowEntries(customer.ports.instances, entries))
        entries.await_runner()
        self.first_continues()
        control(customer.ports, customer.sid, Pause(by=ANN))
        customer.clock.at += LEASE
        customer.runs("third")
        entries.may_continue.release()
        second.join(SECONDS)

        control(customer.ports, customer.sid, Resume(by=ANN))
        customer.runs("fourth")
        customer.clock.at += timedelta(days=1)
        customer.runs("fifth")

        assert (customer.main.paused_for, customer.keys) == (PausedFor.IN_DOUBT, ["1-1", "1-2"])

    def test_the_next_step_waits_for_its_own_after_a_kill(self) -> None:
        customer = self.customer
        control(customer.ports, customer.sid, Pause(by=ANN, kill=True))
        self.first_continues()

        control(customer.ports, customer.sid, Resume(by=ANN))
        customer.runs("second")

        assert (customer.main.status, customer.keys) == (EventStatus.PENDING, ["1-1", "1-2"])
