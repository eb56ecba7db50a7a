"""The example pet-cover: trial, monthly premium, asynchronous payment, yearly review."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from dev.memory.world import ManualClock, MemoryPorts
from shared.application.answer_event import SentAnswer, answer_event
from shared.application.control import control, control_event
from shared.application.runner.loop import run_due_events
from shared.application.start import StartInstance, start_instance
from shared.domain.calendar.dates import format_instant
from shared.domain.ids import CorrelationId, InstanceSid, answer_key, event_address, event_of_correlation
from shared.domain.instance.due import next_event
from shared.domain.instance.event import Event, EventStatus, PausedFor
from shared.domain.instance.journal import EventRecord
from shared.domain.instance.model import CancelReason, Instance, InstanceStatus
from shared.domain.instance.verdict import Actor, Applied, Refused, Verdict
from shared.domain.lifecycle.commands import Execute, Resume
from shared.domain.steps.call import Answered, CallOutcome, ServiceRequest, TimedOut
from tests.lifecycle_factories import at
from tests.simulation.stories import example

GATEWAY = Actor(name="gateway")
JOINED = at("2026-05-01T08:00")
ATTRIBUTES = {
    "policyNumber": "P-1",
    "recurringId": "R-1",
    "firstDueDate": "2026-05-20T02:15:00Z",
    "premium": 12.0,
}


@dataclass
class Services:
    """A gateway, a register of policies and a mailer. ``answers`` are prepared by path."""

    requests: list[ServiceRequest] = field(default_factory=list)
    answers: dict[str, list[CallOutcome]] = field(default_factory=dict)
    during: Callable[[ServiceRequest], object] = lambda _: None

    def call(self, request: ServiceRequest) -> CallOutcome:
        self.requests.append(request)
        self.during(request)
        path = request.url.rpartition(":")[2][4:]
        if self.answers.get(path):
            return self.answers[path].pop(0)
        if path.startswith("/recurring"):
            return Answered(status=202, body={"status": "PENDING"})
        return Answered(status=200, body={"state": "IN_FORCE"})

    def to(self, part: str) -> list[ServiceRequest]:
        return [request for request in self.requests if part in request.url]

    def kinds(self) -> list[str]:
        """Return the kinds of the messages that were sent."""
        return [request.body["kind"] for request in self.to("/messages")]


class Cover:
    """One policy, from the day it begins."""

    def __init__(self, **attributes: Any) -> None:
        self.services = Services()
        self.ports = MemoryPorts(caller=self.services, clock=ManualClock(JOINED))
        strategy = example("pet-cover", requestDelayTime=0)
        self.ports.strategies.add(strategy)
        requests = StartInstance(strategy_id="pet-cover", attributes={**ATTRIBUTES, **attributes})
        self.sid = InstanceSid(start_instance(self.ports, strategy, requests).instance.sid)

    @property
    def instance(self) -> Instance:
        instance = self.ports.instances.load(self.sid)
        assert instance is not None
        return instance

    @property
    def main(self) -> Event:
        event = self.instance.main_event
        assert event is not None
        return event

    def until(self, text: str) -> None:
        """Run each due event at its instant, without answering payments."""
        end = at(text)
        while (event := next_event(self.instance)) is not None and event.due_at <= end:
            self.ports.clock.at = max(self.ports.clock.at, event.due_at)
            run_due_events(self.ports, self.sid, job="job", time_left=lambda: timedelta(minutes=15))
        self.ports.clock.at = max(self.ports.clock.at, end)

    def answer(self, status: str = "CONFIRMED", *, index: int = -1) -> Verdict | None:
        """Send the gateway's answer to a payment, by default the last."""
        correlation = self.services.to("/recurring")[index].headers["X-Correlation-Id"]
        address = event_address(event_of_correlation(correlation))
        assert address is not None
        body = {"status": status, "paymentId": "P1"}
        key = answer_key(CorrelationId(correlation), str(body))
        sent = SentAnswer(correlation_id=CorrelationId(correlation), key=key, by=GATEWAY, body=body)
        verdict = answer_event(self.ports, *address, sent)
        run_due_events(self.ports, self.sid, job="job", time_left=lambda: timedelta(minutes=15))
        return verdict

    def records(self, task: str) -> list[EventRecord]:
        found = [r for r in self.ports.instances.records.values() if r.event.task == task]
        return sorted(found, key=lambda record: record.event.seq)

    def steps(self, task: str) -> list[str]:
        """Return the steps of a task's first event over all its runs."""
        seq = min(e.seq for e in self._events() if e.task == task)
        event_history = self.ports.instances.event_history(self.sid, seq)
        last = (
            []
            if event_history.record is None or event_history.record.last is None
            else [event_history.record.last]
        )
        return [
            f"{entry.intent.step}{' answered' if entry.intent.awaits else ''}"
            for entry in (*event_history.entries, *last)
        ]

    def _events(self) -> list[Event]:
        return [*self.instance.events, *(r.event for r in self.ports.instances.records.values())]


def dated(instance: Instance) -> list[tuple[str, str, str]]:
    return [(e.task, e.status.value, format_instant(e.date)[:16]) for e in instance.events]


def paid_up_to(text: str, **attributes: Any) -> Cover:
    """Return a policy whose premiums were all confirmed at once until then."""
    cover = Cover(**attributes)
    end = at(text)
    while (event := next_event(cover.instance)) is not None and event.due_at <= end:
        cover.until(format_instant(event.due_at)[:19])
        if cover.main.paused_for is PausedFor.ANSWER:
            cover.answer()
    cover.until(text)
    return cover


class TestTheDates:
    """The dates are those in the description of the example."""

    def test_events_are_created_with_the_policy(self) -> None:
        assert dated(Cover().instance) == [
            ("register-policy", "PENDING", "2026-05-01T08:01"),
            ("call-customer", "ONHOLD", "2026-05-01T08:00"),
            ("end-trial", "PENDING", "2026-05-20T04:00"),
        ]

    def test_a_vet_visit_creates_an_event(self) -> None:
        tasks = dated(Cover(hasVetVisit=True).instance)
        assert ("book-vet", "PENDING", "2026-05-01T09:00") in tasks

    def test_the_second_cycle_has_a_reminder(self) -> None:
        cover = paid_up_to("2026-05-20T04:00")
        assert dated(cover.instance)[1:] == [
            ("remind-premium", "PENDING", "2026-06-18T04:00"),
            ("collect-premium", "PENDING", "2026-06-20T04:00"),
        ]

    def test_the_twelfth_cycle_is_the_review_and_the_thirteenth_is_not(self) -> None:
        cover = paid_up_to("2027-03-20T04:00")
        assert cover.instance.plan.cycle == 12
        assert dated(cover.instance)[1:] == [
            ("ask-vet-report", "PENDING", "2027-04-06T02:30"),
            ("remind-premium", "PENDING", "2027-04-18T02:30"),
            ("review-and-collect", "PENDING", "2027-04-20T02:30"),
        ]

        cover = paid_up_to("2027-04-20T02:30")

        assert cover.instance.plan.cycle == 13
        assert dated(cover.instance)[-1] == ("collect-premium", "PENDING", "2027-05-20T04:00")

    def test_a_preferred_day_moves_the_monthly_cycles(self) -> None:
        cover = paid_up_to("2026-05-20T04:00", preferredDay=5)
        assert dated(cover.instance)[-1] == ("collect-premium", "PENDING", "2026-06-05T04:00")


class TestTheReview:
    """The premium rises by four per cent once a year."""

    def test_twelve_becomes_twelve_forty_eight(self) -> None:
        cover = paid_up_to("2027-04-20T02:30")
        assert cover.instance.attributes["premium"] == 12.48
        assert cover.services.to("/recurring")[-1].body["amount"] == 12.48
        (review,) = cover.records("review-and-collect")
        assert review.event.status is EventStatus.PROCESSED


class TestThePayment:
    """The charge is asynchronous: its event waits for the gateway's answer."""

    def charged(self) -> Cover:
        cover = Cover()
        cover.until("2026-06-20T04:00")
        assert cover.main.paused_for is PausedFor.ANSWER
        assert cover.instance.status is InstanceStatus.ACTIVE
        return cover

    def test_a_confirmed_payment_is_recorded(self) -> None:
        cover = self.charged()

        verdict = cover.answer()

        assert isinstance(verdict, Applied)
        (record,) = cover.records("collect-premium")
        assert record.event.status is EventStatus.PROCESSED
        assert not record.in_doubt
        assert cover.steps("collect-premium") == [
            "check-policy",
            "charge",
            "charge answered",
            "record-success",
            "notify-paid",
        ]
        paid = cover.services.to("/policies")[-1]
        assert paid.body == {"state": "IN_FORCE", "paymentId": "P1"}

    def test_a_second_answer_is_refused(self) -> None:
        cover = self.charged()
        cover.answer()
        assert isinstance(cover.answer("DECLINED"), Refused)
        assert cover.records("collect-premium")[0].event.status is EventStatus.PROCESSED

    def test_an_answer_before_the_reply_to_the_call_counts(self) -> None:
        cover = Cover()
        cover.services.during = lambda request: "/recurring" in request.url and cover.answer()

        cover.until("2026-06-20T04:00")

        (record,) = cover.records("collect-premium")
        assert record.event.status is EventStatus.PROCESSED
        assert len(cover.services.to("/recurring")) == 1

    def test_an_answer_before_a_lost_reply_counts_and_nothing_is_repeated(self) -> None:
        cover = Cover()
        cover.services.answers["/recurring/R-1"] = [TimedOut(why="read timed out")]
        cover.services.during = lambda request: "/recurring" in request.url and cover.answer()

        cover.until("2026-06-20T04:00")

        (record,) = cover.records("collect-premium")
        assert (record.event.status, record.event.run) == (EventStatus.PROCESSED, 1)
        assert len(cover.services.to("/recurring")) == 1

    def test_a_declined_payment_is_retried_with_a_new_call(self) -> None:
        cover = self.charged()

        cover.answer("DECLINED")

        assert (cover.main.attempt, format_instant(cover.main.date)[:16]) == (2, "2026-06-20T08:00")
        assert cover.services.kinds()[-1] == "retry"
        cover.until("2026-06-20T08:00")
        first, second = cover.services.to("/recurring")
        assert first.headers["X-Correlation-Id"] != second.headers["X-Correlation-Id"]
        assert first.headers["Idempotency-Key"] != second.headers["Idempotency-Key"]
        cover.answer()
        (record,) = cover.records("collect-premium")
        assert (record.event.status, record.event.attempt) == (EventStatus.PROCESSED, 2)

    def test_after_four_retries_the_policy_is_paused(self) -> None:
        cover = self.charged()
        dates = []
        for _ in range(4):
            cover.answer("DECLINED")
            dates.append(format_instant(cover.main.date)[:16])
            cover.until(dates[-1])
        assert dates == ["2026-06-20T08:00", "2026-06-21T08:00", "2026-06-23T08:00", "2026-06-26T08:00"]

        cover.answer("DECLINED")

        assert (cover.main.paused_for, cover.instance.status) == (
            PausedFor.EXHAUSTED,
            InstanceStatus.PAUSED,
        )
        assert cover.services.to("/policies")[-1].body == {"state": "ON_HOLD"}
        assert cover.services.kinds().count("retry") == 4
        assert len(cover.services.to("?") or cover.services.to("/policies")) > 5, (
            "the policy is looked at each time"
        )

        control(cover.ports, cover.sid, Resume(by=GATEWAY))
        cover.until(format_instant(cover.ports.clock.at)[:19])
        assert (cover.main.attempt, cover.main.paused_for) == (1, PausedFor.ANSWER)

    def test_retries_on_what_follows_the_payment_end_and_charge_nothing_again(self) -> None:
        cover = self.charged()
        cover.services.answers["/policies/P-1"] = [
            Answered(status=500),
            Answered(status=200, body={"state": "IN_FORCE"}),
            Answered(status=500),
            Answered(status=200, body={"state": "IN_FORCE"}),
            Answered(status=500),
        ]

        cover.answer()
        cover.until("2026-06-30T00:00")

        (record,) = cover.records("collect-premium")
        assert (record.event.status, record.event.attempt) == (EventStatus.FAILED, 3)
        assert cover.instance.cancel_reason is CancelReason.MAX_ATTEMPTS
        assert len(cover.services.to("/recurring")) == 1


class TestTheEnd:
    """A policy that is not in force is not charged, and the cover ends."""

    def stopped(self, answer: CallOutcome) -> Cover:
        cover = Cover()
        cover.until("2026-06-19T00:00")
        cover.services.answers["/policies/P-1"] = [answer]
        cover.until("2026-06-20T05:00")
        return cover

    def test_a_lapsed_policy_is_not_charged(self) -> None:
        cover = self.stopped(Answered(status=200, body={"state": "LAPSED"}))
        assert cover.instance.cancel_reason is CancelReason.CONTROLLER_HELPER
        assert cover.services.to("/recurring") == []
        assert cover.records("collect-premium")[0].event.status is EventStatus.PROCESSED
        assert cover.services.to("/policies")[-1].body == {"state": "CLOSED", "reason": "CONTROLLER_HELPER"}

    def test_an_unknown_policy_is_not_charged(self) -> None:
        cover = self.stopped(Answered(status=404))
        assert cover.instance.cancel_reason is CancelReason.CONTROLLER_HELPER
        assert cover.services.to("/recurring") == []

    def test_the_manual_call_runs_on_command(self) -> None:
        cover = Cover()
        (call,) = [event for event in cover.instance.events if event.task == "call-customer"]

        control_event(cover.ports, cover.sid, Execute(seq=call.seq, by=GATEWAY))
        cover.until("2026-05-01T08:00")

        assert cover.services.kinds() == ["call"]
