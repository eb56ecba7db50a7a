"""Calls that may have taken effect, and how their runs continue. Source: docs/contracts/core.md section 3.5."""

from datetime import timedelta

import pytest

from dev.memory.world import ManualClock, MemoryPorts
from shared.application.answer_event import SentAnswer, answer_event
from shared.application.control import control
from shared.application.runner.loop import run_due_events
from shared.application.start import StartInstance, start_instance
from shared.domain.ids import CorrelationId
from shared.domain.instance.event import Event, EventStatus, PausedFor, Resolution
from shared.domain.instance.journal import EventRecord
from shared.domain.instance.model import Instance, InstanceStatus
from shared.domain.instance.run import Intent
from shared.domain.instance.verdict import Actor, Applied, Refused, Verdict
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
        self,
        *answers: CallOutcome,
        in_doubt: str = "retry",
        rules: Json = (),
        acts: Json = CONTROLLED,
        more: Json = (),
        answers_later: bool = False,
    ) -> None:
        self.answers = list(answers)
        self.sent: list[ServiceRequest] = []
        self.crashes = False
        self.clock = ManualClock(NOON)
        self.ports = MemoryPorts(caller=self, clock=self.clock)
        steps: Json = [
            {"key": "call", "action": "post", "nextStep": "next", "nextStepRules": list(rules)},
            {"key": "next", **acts},
            *more,
        ]
        runs = strategy(method={"inDoubt": in_doubt, "async": answers_later}, steps=steps, retry=retries(3))
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
    def correlation_id(self) -> str:
        """Return the correlation id of the call at which the run is."""
        then = self.event.progress.first_action
        assert isinstance(then, Intent)
        return then.correlation_id

    def answer(self, correlation_id: str) -> Verdict | None:
        """Send the answer to a call."""
        answer = SentAnswer(
            correlation_id=CorrelationId(correlation_id), key="k", by=ANN, body={"paid": True}
        )
        return answer_event(self.ports, self.sid, 1, answer)

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

    def test_an_answered_asynchronous_call_is_not_sent_again(self) -> None:
        rules: Json = (*self.RULES, {"if": "onError", "nextStep": "wait"})
        wait = {"key": "wait", "delay": {"unit": "hours", "amount": 1}, "nextStep": "call"}
        of = Charges(rules=rules, more=[wait], answers_later=True).run()
        assert isinstance(of.answer(of.correlation_id), Applied)
        for _ in range(4):
            of.run(after=timedelta(hours=2))
        assert len(of.keys) == 1
        of.orders(Update(attributes={"plan": "gold"}, by=ANN)).run(after=timedelta(hours=2))
        assert (of.record.event.status, len(of.keys)) == (EventStatus.PROCESSED, 1)

    def test_a_flow_that_leads_back_to_the_step_repeats_its_call_under_its_key_and_marks_it(self) -> None:
        rules: Json = (*self.RULES, {"if": "onError", "nextStep": "wait"})
        wait = {"key": "wait", "delay": {"unit": "hours", "amount": 1}, "nextStep": "call"}
        of = Charges(rules=rules, more=[wait]).run()
        for _ in range(3):
            of.run(after=timedelta(hours=2))
        assert (len(of.keys), len(set(of.keys)), of.event.in_doubt) == (4, 1, True)


class TestASkippedCall:
    """An operator has dealt with the call: neither the run nor its retries send it again."""

    def skipped(
        self, *answers: CallOutcome, rules: Json = (), acts: Json = CONTROLLED, more: Json = ()
    ) -> Charges:
        of = Charges(
            TimedOut(why="late"), *answers, in_doubt="pause", rules=rules, acts=acts, more=more
        ).run()
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

    def test_its_answer_is_refused(self) -> None:
        """The run has continued without it. If it were accepted, the service would believe that it counts."""
        acts = {"controllerCallback": '{"fail": "no"}'}
        of = Charges(TimedOut(why="late"), in_doubt="pause", acts=acts, answers_later=True).run()
        sent = of.correlation_id
        of.orders(Resolve(seq=1, resolution=Resolution.SKIP, by=ANN)).run()
        assert of.event.status is EventStatus.PENDING
        assert of.event.date > of.clock.at
        assert isinstance(of.answer(sent), Refused)

    def test_a_retry_follows_its_error_rules_as_little_as_the_run_did(self) -> None:
        rules: Json = (
            {"if": "callback", "ifCallback": "stack.call.response.paid", "nextStep": "next"},
            {"if": "onError", "nextStep": "wait"},
        )
        wait = {"key": "wait", "delay": {"unit": "hours", "amount": 1}, "nextStep": "call"}
        of = self.skipped(rules=rules, more=[wait])
        for _ in range(3):
            of.run(after=timedelta(hours=2))
        assert (of.record.event.status, len(of.keys)) == (EventStatus.FAILED, 1)

    def test_a_flow_that_leads_back_to_the_step_means_another_call(self) -> None:
        wait = {"key": "wait", "delay": {"unit": "hours", "amount": 1}, "nextStep": "call"}
        rules: Json = ({"if": "callback", "ifCallback": "size(stack) < 2", "nextStep": "wait"},)
        of = self.skipped(rules=rules, more=[wait])
        of.run(after=timedelta(hours=2))
        assert (of.record.event.status, len(of.keys), len(set(of.keys))) == (EventStatus.PROCESSED, 2, 2)

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

    def test_a_decision_to_repeat_counts_for_the_retries_of_the_next_sixty_days(self) -> None:
        of = (
            Charges(TimedOut(why="late"), TimedOut(why="late"), TimedOut(why="late"))
            .run()
            .orders(Pause(by=ANN))
        )
        of.clock.at += timedelta(days=90)
        of.orders(Resume(by=ANN)).run()
        of.orders(Resolve(seq=1, resolution=Resolution.RETRY, by=ANN)).run()
        of.run(after=timedelta(hours=2)).orders(Pause(by=ANN))
        assert (len(of.keys), len(set(of.keys)), of.event.in_doubt) == (3, 1, True)
        of.clock.at += timedelta(days=60)
        of.orders(Resume(by=ANN)).run()
        assert (len(of.keys), of.event.paused_for) == (3, PausedFor.IN_DOUBT)

    def test_a_repeat_that_is_refused_for_now_does_not_make_the_doubt_younger(self) -> None:
        of = Charges(TimedOut(why="late"), Answered(status=503)).run().orders(Pause(by=ANN))
        of.clock.at += timedelta(days=59)
        of.orders(Resume(by=ANN)).run().orders(Pause(by=ANN))
        assert len(of.keys) == 2
        of.clock.at += timedelta(days=2)
        of.orders(Resume(by=ANN)).run()
        assert (len(of.keys), of.event.paused_for) == (2, PausedFor.IN_DOUBT)

    def test_a_repeat_without_an_answer_does_not_make_the_doubt_of_a_crash_younger(self) -> None:
        of = Charges(TimedOut(why="late"))
        of.crashes = True
        with pytest.raises(CrashError):
            of.run()
        of.crashes = False
        of.orders(Pause(by=ANN)).run(after=timedelta(hours=1))
        of.clock.at = NOON + timedelta(days=55)
        of.orders(Resume(by=ANN)).run().orders(Pause(by=ANN))
        assert len(of.keys) == 2
        of.clock.at = NOON + timedelta(days=105)
        of.orders(Resume(by=ANN)).run()
        assert (len(of.keys), of.event.paused_for) == (2, PausedFor.IN_DOUBT)

    @pytest.mark.parametrize(("days", "sendings"), [(59, 2), (60, 1)])
    def test_a_failed_crash_counts_from_its_lease_too(self, days: int, sendings: int) -> None:
        """Under ``inDoubt: fail``, too: the retry is no younger because the takeover came late."""
        of = Charges(in_doubt="fail")
        of.crashes = True
        with pytest.raises(CrashError):
            of.run()
        of.crashes = False
        lease = of.instance.lease
        assert lease is not None
        of.run(after=timedelta(days=55))
        assert (len(of.keys), of.event.status) == (1, EventStatus.PENDING)
        of.orders(Pause(by=ANN))
        of.clock.at = lease.until + timedelta(days=days)
        of.orders(Resume(by=ANN)).run()
        assert (len(of.keys), len(set(of.keys))) == (sendings, 1)
        assert (of.instance.status is InstanceStatus.PAUSED) is (sendings == 1)

    def test_after_a_decision_the_wait_for_a_service_that_refuses_begins_again(self) -> None:
        of = Charges(TimedOut(why="late"), Answered(status=503), Answered(status=503)).run()
        of.run(after=timedelta(hours=2)).orders(Pause(by=ANN))
        of.clock.at = NOON + timedelta(days=70)
        of.orders(Resume(by=ANN)).run()
        of.orders(Resolve(seq=1, resolution=Resolution.RETRY, by=ANN)).run()
        assert (len(of.keys), of.event.attempt) == (3, 2)
        of.run(after=timedelta(hours=2))
        assert (len(of.keys), of.record.event.status, of.record.event.attempt) == (
            4,
            EventStatus.PROCESSED,
            2,
        )

    def test_a_young_crash_after_a_long_refusal_is_decided_by_the_method(self) -> None:
        of = Charges(Answered(status=503)).run().orders(Pause(by=ANN))
        of.clock.at += timedelta(days=70)
        of.crashes = True
        with pytest.raises(CrashError):
            of.orders(Resume(by=ANN)).run()
        of.crashes = False
        of.run(after=timedelta(hours=1))
        assert (len(of.keys), of.record.event.status) == (3, EventStatus.PROCESSED)
