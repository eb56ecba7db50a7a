"""Calls that may have taken effect, and how their runs continue. Source: docs/contracts/core.md section 3.5."""

from datetime import timedelta

import pytest

from dev.memory.world import ManualClock, MemoryPorts
from shared.application.control import control
from shared.application.runner.loop import run_due_events
from shared.application.start import StartInstance, start_instance
from shared.domain.instance.event import Event, EventStatus, PausedFor, Resolution
from shared.domain.instance.journal import EventRecord
from shared.domain.instance.model import Instance, InstanceStatus
from shared.domain.instance.verdict import Actor
from shared.domain.lifecycle.commands import Pause, Resolve, Resume, Update
from shared.domain.steps.call import Answered, CallOutcome, ServiceRequest, TimedOut
from shared.domain.strategy.model import Json
from tests.lifecycle_factories import at, retries, strategy

NOON = at("2026-01-31T12:00")
ANN = Actor(name="ann")
CONTROLLED: Json = {"controllerCallback": "{}"}
CHARGED = Answered(status=201, body={"id": "r-1"})


class CrashError(Exception):
    """The runner crashes during its call."""


class Charges:
    """A task whose first step charges a customer, at a service with prepared answers."""

    def __init__(
        self, *answers: CallOutcome, in_doubt: str = "retry", rules: Json = (), acts: Json = CONTROLLED
    ) -> None:
        self.answers = list(answers)
        self.sent: list[ServiceRequest] = []
        self.crashes = False
        self.clock = ManualClock(NOON)
        self.ports = MemoryPorts(caller=self, clock=self.clock)
        steps: Json = [
            {"key": "call", "action": "post", "nextStep": "next", "nextStepRules": list(rules)},
            {"key": "next", **acts},
        ]
        runs = strategy(method={"inDoubt": in_doubt}, steps=steps, retry=retries(3))
        self.ports.strategies.add(runs)
        request = StartInstance(strategy_id=runs.name, attributes={}, start_date=NOON)
        self.sid = start_instance(self.ports, runs, request).instance.sid

    def call(self, request: ServiceRequest) -> CallOutcome:
        self.sent.append(request)
        if self.crashes:
            raise CrashError
        return self.answers.pop(0) if self.answers else CHARGED

    def run(self, *, after: timedelta = timedelta()) -> "Charges":
        self.clock.at += after
        ends = self.clock.at + timedelta(minutes=15)
        run_due_events(self.ports, self.sid, job="job", time_left=lambda: ends - self.clock.at)
        return self

    def orders(self, command: Pause | Resume | Resolve | Update) -> "Charges":
        assert control(self.ports, self.sid, command) is not None
        return self

    @property
    def instance(self) -> Instance:
        return self.ports.instances.instances[self.sid]

    @property
    def event(self) -> Event:
        event = self.instance.event(1)
        assert event is not None
        return event

    @property
    def record(self) -> EventRecord:
        return self.ports.instances.records[self.sid, 1]

    @property
    def keys(self) -> list[str]:
        """Return the key of each sending of the first event."""
        keys = [request.call_key for request in self.sent]
        return [key for key in keys if key.startswith(f"{self.sid}-1-")]


class TestARuleThatCannotBeEvaluated:
    """The service has acted, so its answer is kept, and no retry asks it again."""

    RULES: Json = ({"if": "callback", "ifCallback": "attributes.plan == 'gold'", "nextStep": "next"},)

    @pytest.mark.parametrize("in_doubt", ["retry", "pause", "fail"])
    def test_the_retries_send_no_second_call(self, in_doubt: str) -> None:
        of = Charges(in_doubt=in_doubt, rules=self.RULES).run()
        assert of.event.status is EventStatus.PENDING
        for _ in range(3):
            of.run(after=timedelta(hours=2))
        assert (of.record.event.status, of.record.event.attempt) == (EventStatus.FAILED, 4)
        assert (len(of.keys), of.record.in_doubt) == (1, False)
        assert of.record.event.failure is not None
        assert of.record.event.failure.message.startswith("rule of call: ")

    def test_the_task_continues_once_the_rule_can_be_evaluated(self) -> None:
        of = Charges(rules=self.RULES).run()
        of.orders(Update(attributes={"plan": "gold"}, by=ANN)).run(after=timedelta(hours=2))
        assert (of.record.event.status, len(of.keys)) == (EventStatus.PROCESSED, 1)


class TestASkippedCall:
    """An operator has dealt with the call: neither the run nor its retries send it again."""

    def skipped(self, *answers: CallOutcome, rules: Json = (), acts: Json = CONTROLLED) -> Charges:
        of = Charges(TimedOut(why="late"), *answers, in_doubt="pause", rules=rules, acts=acts).run()
        return of.orders(Resolve(seq=1, resolution=Resolution.SKIP, by=ANN)).run()

    def test_the_retry_of_a_later_step_does_not_send_it(self) -> None:
        of = self.skipped(Answered(status=402), acts={"action": "post"})
        assert (len(of.keys), of.event.status) == (2, EventStatus.PENDING)
        of.run(after=timedelta(hours=2))
        # The charge, the later step, and its retry.
        assert (of.record.event.status, len(of.keys), len(set(of.keys))) == (EventStatus.PROCESSED, 3, 3)

    def test_neither_does_a_retry_after_a_rule_that_misses_its_answer(self) -> None:
        rules: Json = ({"if": "callback", "ifCallback": "stack.call.response.paid", "nextStep": "next"},)
        of = self.skipped(rules=rules)
        for _ in range(3):
            of.run(after=timedelta(hours=2))
        assert (of.record.event.status, len(of.keys)) == (EventStatus.FAILED, 1)

    def test_after_fail_a_retry_sends_it_under_its_key(self) -> None:
        of = Charges(TimedOut(why="late"), in_doubt="pause").run()
        of.orders(Resolve(seq=1, resolution=Resolution.FAIL, by=ANN)).run()
        of.run(after=timedelta(hours=2))
        first, second, *_ = of.keys
        assert first == second


class TestADoubtOfSixtyDays:
    """ "A POST or PATCH that has been in doubt for 60 days is not sent again until an operator decides"."""

    @pytest.mark.parametrize(("days", "sendings"), [(59, 2), (60, 1), (400, 1)])
    def test_a_resume_after_a_long_pause_does_not_repeat_it(self, days: int, sendings: int) -> None:
        of = Charges(TimedOut(why="late"), in_doubt="retry").run().orders(Pause(by=ANN))
        of.clock.at += timedelta(days=days)
        of.orders(Resume(by=ANN)).run()
        assert (len(of.keys), len(set(of.keys))) == (sendings, 1)
        if sendings == 1:
            assert (of.event.paused_for, of.instance.status) == (PausedFor.IN_DOUBT, InstanceStatus.PAUSED)
            assert of.instance.stop_note == (
                "bill: the call has been in doubt for 60 days, and may have reached the service"
            )

    @pytest.mark.parametrize("taken_over_after", [timedelta(hours=1), timedelta(days=61)])
    def test_a_crash_counts_from_its_lease_whenever_it_was_taken_over(
        self, taken_over_after: timedelta
    ) -> None:
        of = Charges(in_doubt="retry")
        of.crashes = True
        with pytest.raises(CrashError):
            of.run()
        of.crashes = False
        of.orders(Pause(by=ANN)).run(after=taken_over_after)
        assert of.event.paused_for is PausedFor.OPERATOR
        of.clock.at = NOON + timedelta(days=62)
        of.orders(Resume(by=ANN)).run()
        assert (len(of.keys), of.event.paused_for) == (1, PausedFor.IN_DOUBT)
        assert of.event.in_doubt

    def test_an_operator_lets_it_be_repeated_under_its_key(self) -> None:
        of = Charges(TimedOut(why="late"), in_doubt="retry").run().orders(Pause(by=ANN))
        of.clock.at += timedelta(days=90)
        of.orders(Resume(by=ANN)).run()
        of.orders(Resolve(seq=1, resolution=Resolution.RETRY, by=ANN)).run()
        assert (len(of.keys), len(set(of.keys))) == (2, 1)
        assert (of.record.event.status, of.record.in_doubt) == (EventStatus.PROCESSED, True)

    def test_a_service_that_refuses_the_repeat_for_now_gets_it_later(self) -> None:
        of = Charges(TimedOut(why="late"), Answered(status=503), in_doubt="retry").run().orders(Pause(by=ANN))
        of.clock.at += timedelta(days=90)
        of.orders(Resume(by=ANN)).run()
        of.orders(Resolve(seq=1, resolution=Resolution.RETRY, by=ANN)).run()
        assert (len(of.keys), of.event.status) == (2, EventStatus.PENDING)
        of.run(after=timedelta(hours=2))
        assert (len(of.keys), len(set(of.keys))) == (3, 1)
        assert of.record.event.status is EventStatus.PROCESSED

    def test_further_repeats_need_further_decisions(self) -> None:
        of = Charges(TimedOut(why="late"), TimedOut(why="late"), in_doubt="retry").run().orders(Pause(by=ANN))
        of.clock.at += timedelta(days=90)
        of.orders(Resume(by=ANN)).run()
        of.orders(Resolve(seq=1, resolution=Resolution.RETRY, by=ANN)).run()
        of.run(after=timedelta(hours=2))
        assert (len(of.keys), of.event.paused_for) == (2, PausedFor.IN_DOUBT)
