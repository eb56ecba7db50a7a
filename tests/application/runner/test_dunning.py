"""Mails about failed payments, and retries that a decline stops. Source: docs/contracts/core.md section 3.6."""

from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from dev.memory.world import ManualClock, MemoryPorts
from shared.application.control import control
from shared.application.explain import explain_at
from shared.application.runner.loop import run_due_events
from shared.application.start import StartInstance, start_instance
from shared.domain.calendar.instance_schedule import OwnSchedule
from shared.domain.explain.reasons import Reason
from shared.domain.instance.event import Event, EventStatus, PausedFor
from shared.domain.instance.model import CancelReason, Instance, InstanceStatus
from shared.domain.lifecycle.commands import AddEvent, Resume
from shared.domain.steps.call import Answered, CallOutcome, ServiceRequest, TimedOut
from shared.domain.steps.request_digest import digest_of
from shared.domain.strategy.model import Json
from tests.lifecycle_factories import ANN, at, retries, strategy

NOON = at("2026-01-31T12:00")
HOUR = timedelta(hours=1)
CHARGED = Answered(status=201, body={"id": "r-1"})
SOFT = Answered(status=402, body={"error": {"decline_code": "insufficient_funds"}})
HARD = Answered(status=402, body={"error": {"decline_code": "lost_card"}})
STOP_IF = "response.error.decline_code in ['lost_card', 'stolen_card']"
MAIL: Json = {
    "retryAt": "{{event.nextRetryAt}}",
    "left": "{{event.attemptsLeft}}",
    "next": "{{instance.nextDate}}",
    "reason": "{{instance.stoppedReason}}",
}


class CrashError(Exception):
    """The runner crashes during its call."""


@dataclass
class Shop:
    """A service with prepared answers to charges and to mails. ``crashes`` says how many mails crash their runner."""

    charges: list[CallOutcome] = field(default_factory=list)
    mails: list[CallOutcome] = field(default_factory=list)
    charged: list[ServiceRequest] = field(default_factory=list)
    mailed: list[ServiceRequest] = field(default_factory=list)
    crashes: int = 0

    def call(self, request: ServiceRequest) -> CallOutcome:
        if request.body is None:
            self.charged.append(request)
            return self.charges.pop(0) if self.charges else CHARGED
        self.mailed.append(request)
        if self.crashes:
            self.crashes -= 1
            raise CrashError
        return self.mails.pop(0) if self.mails else CHARGED


class Dunning:
    """A monthly charge with two retries, a mail before each retry, and one before the pause."""

    def __init__(
        self,
        *charges: CallOutcome,
        mails: tuple[CallOutcome, ...] = (),
        times: int = 2,
        pause: bool = True,
        schedule: OwnSchedule | None = None,
        **retry: Json,
    ) -> None:
        self.shop = Shop(list(charges), list(mails))
        self.clock = ManualClock(NOON)
        self.ports = MemoryPorts(caller=self.shop, clock=self.clock)
        rules = [
            {"if": "onBeforeRetry", "nextStep": "mail"},
            {"if": "onBeforePause", "nextStep": "mail"},
        ]
        call = {"key": "call", "action": "post", "nextStepRules": rules}
        mail = {"key": "mail", "action": "mail"}
        policy = {**retries(times, pause=pause), **retry}
        parts: Json = {
            "actions": [
                {"key": "post", "service": "shop", "method": "post"},
                {"key": "mail", "service": "shop", "method": "post", "data": MAIL},
            ],
            "tasks": [
                {"key": "bill", "initialStep": "call", "retryConfig": policy, "steps": [call, mail]},
                {"key": "bye", "initialStep": "mail", "steps": [mail]},
            ],
            "onCancelTasks": [{"task": "bye"}],
        }
        runs = strategy(parts=parts)
        self.ports.strategies.add(runs)
        request = StartInstance(strategy_id=runs.name, attributes={}, start_date=NOON, schedule=schedule)
        self.sid = start_instance(self.ports, runs, request).instance.sid

    def run(self, *, after: timedelta = timedelta()) -> "Dunning":
        self.clock.at += after
        ends = self.clock.at + timedelta(minutes=15)
        run_due_events(self.ports, self.sid, job="job", time_left=lambda: ends - self.clock.at)
        return self

    def orders(self, command: AddEvent | Resume) -> "Dunning":
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
    def mails(self) -> list[Json]:
        return [request.body for request in self.shop.mailed]

    @property
    def notes(self) -> tuple[str, ...]:
        """Return the notes of the first event's steps."""
        entries = self.ports.instances.event_history(self.sid, 1).entries
        return tuple(note for entry in entries for note in entry.outcome.notes)


def mail(
    retry_at: str | None = None,
    left: int | None = None,
    following: str | None = None,
    reason: str | None = None,
) -> Json:
    """Return the body of a mail. Dates are of the form ``2026-01-31T12``."""
    full = {"retryAt": retry_at, "next": following}
    dates = {name: None if text is None else f"{text}:00:00.000Z" for name, text in full.items()}
    return {"retryAt": dates["retryAt"], "left": left, "next": dates["next"], "reason": reason}


class TestMails:
    """A mail says when the next attempt is, how many are left, and why the subscription is paused or canceled."""

    def test_each_failure_has_its_mail(self) -> None:
        of = Dunning(SOFT, SOFT, SOFT).run().run(after=HOUR).run(after=HOUR)

        assert of.mails == [
            mail("2026-01-31T13", 2, "2026-01-31T13"),
            mail("2026-01-31T14", 1, "2026-01-31T14"),
            mail(left=0, reason="exhausted:http-402"),
        ]
        assert (of.instance.status, of.event.paused_for) == (InstanceStatus.PAUSED, PausedFor.EXHAUSTED)
        assert of.instance.stop is not None
        assert of.instance.stop.reason.text == "exhausted:http-402"

    def test_the_mail_says_when_the_retry_really_is(self) -> None:
        of = Dunning(SOFT).run()

        assert of.event.due_at == at("2026-01-31T13:00")
        assert len(of.run(after=HOUR).shop.charged) == 2

    def test_the_date_has_the_jitter_of_the_retry(self) -> None:
        of = Dunning(SOFT, jitterPercent=50).run()

        assert NOON + HOUR < of.event.due_at < NOON + 1.5 * HOUR
        assert of.mails[0]["retryAt"] == of.mails[0]["next"]
        assert at(of.mails[0]["retryAt"].removesuffix("Z")) == of.event.due_at

    def test_another_event_before_the_retry_is_the_next_date(self) -> None:
        of = Dunning(SOFT).orders(AddEvent(task="bye", by=ANN, date=NOON + HOUR / 2)).run()

        assert of.mails == [{**mail("2026-01-31T13", 2), "next": "2026-01-31T12:30:00.000Z"}]

    def test_the_mail_of_a_cancelation_has_its_reason(self) -> None:
        of = Dunning(SOFT, times=0, pause=False).run()

        assert of.instance.cancel_reason is CancelReason.MAX_ATTEMPTS
        assert of.mails == [mail(reason="exhausted:http-402")]


class TestRepeatedMails:
    """A mail that is sent again is the same mail: its content was decided when the attempt failed."""

    def crashed(self) -> Dunning:
        """Return a life whose runner has crashed in the mail before the retry, and an hour has passed."""
        of = Dunning(SOFT, SOFT)
        of.shop.crashes = 1
        with pytest.raises(CrashError):
            of.run()
        return of

    def assert_same(self, of: Dunning, *, times: int = 2) -> None:
        mails = of.shop.mailed[:times]
        assert len(mails) == times
        assert {request.call_key for request in mails} == {mails[0].call_key}
        assert [request.body for request in mails] == [mail("2026-01-31T13", 2, "2026-01-31T13")] * times
        assert len({digest_of(request) for request in mails}) == 1

    def test_after_a_crash_it_is_the_same(self) -> None:
        of = self.crashed().run(after=HOUR / 2)

        self.assert_same(of)
        assert of.event.due_at == at("2026-01-31T13:00")

    def test_a_crash_that_lasts_beyond_the_retry_changes_nothing(self) -> None:
        of = self.crashed().run(after=3 * HOUR)

        self.assert_same(of)
        # The retry was due meanwhile, so it follows at once, with a failure and a mail of its own.
        assert len(of.shop.charged) == 2
        assert of.mails[2] == mail("2026-01-31T16", 1, "2026-01-31T16")

    def test_an_event_added_meanwhile_changes_nothing(self) -> None:
        of = self.crashed().orders(AddEvent(task="bye", by=ANN, date=NOON + HOUR / 4))

        self.assert_same(of.run(after=HOUR / 2))

    def test_a_refused_mail_is_the_same_after_another_event_has_run(self) -> None:
        wait = Answered(status=429, retry_after=HOUR / 2)
        of = Dunning(SOFT, mails=(wait,)).run()
        of.orders(AddEvent(task="bye", by=ANN, date=NOON + HOUR / 4)).run(after=HOUR / 4)
        # A refused call waits as long as a retry would: the mail is sent again just before the retry.
        of.run(after=0.75 * HOUR)

        added = of.shop.mailed.pop(1)
        assert added.body == {**mail(), "next": "2026-01-31T13:00:00.000Z"}
        self.assert_same(of)

    def test_a_crash_in_the_mail_before_the_pause_keeps_the_reason(self) -> None:
        of = Dunning(SOFT, times=0)
        of.shop.crashes = 1
        with pytest.raises(CrashError):
            of.run()
        of.run(after=HOUR)

        assert of.mails == [mail(left=0, reason="exhausted:http-402")] * 2
        assert of.instance.status is InstanceStatus.PAUSED


class TestHardDecline:
    """ "A hard decline exhausts at once": ``stopIf`` ends the retries, and everything says so."""

    def test_it_pauses_at_once(self) -> None:
        of = Dunning(HARD, stopIf=STOP_IF).run().run(after=48 * HOUR)

        assert len(of.shop.charged) == 1
        assert (of.instance.status, of.event.paused_for) == (InstanceStatus.PAUSED, PausedFor.EXHAUSTED)
        assert of.mails == [mail(left=0, reason="exhausted:http-402")]

    def test_a_soft_decline_is_retried_until_a_hard_one(self) -> None:
        of = Dunning(SOFT, HARD, stopIf=STOP_IF).run().run(after=HOUR).run(after=48 * HOUR)

        assert (len(of.shop.charged), of.event.attempt) == (2, 2)
        assert [each["left"] for each in of.mails] == [2, 0]

    def test_it_cancels_if_the_task_does_not_pause(self) -> None:
        of = Dunning(HARD, pause=False, stopIf=STOP_IF).run()

        assert (of.instance.status, of.instance.cancel_reason) == (
            InstanceStatus.CANCELED,
            CancelReason.MAX_ATTEMPTS,
        )
        assert of.mails == [mail(reason="exhausted:http-402")]
        assert of.ports.instances.records[of.sid, 1].event.status is EventStatus.FAILED

    def test_a_schedule_that_goes_on_plans_its_next_cycle(self) -> None:
        schedule = OwnSchedule(cron="0 0 12 * * ?", retry_times=5, goes_on=True)
        of = Dunning(HARD, times=0, stopIf=STOP_IF, schedule=schedule).run()

        assert of.ports.instances.records[of.sid, 1].event.status is EventStatus.FAILED
        assert (len(of.shop.charged), of.instance.status) == (1, InstanceStatus.ACTIVE)
        assert [event.date for event in of.instance.events] == [at("2026-02-01T12:00")]

    def test_the_event_the_instance_the_history_and_explain_say_why(self) -> None:
        of = Dunning(HARD, stopIf=STOP_IF).run()
        message = "shop/post returned HTTP 402 (retries stopped by stopIf)"

        assert of.event.last_error == message
        assert of.instance.stop_note == f"bill: {message}"
        assert of.notes == ("retries stopped by stopIf",)
        finding = explain_at(of.ports, of.instance, NOON).finding
        assert (finding.reason, finding.why) == (Reason.PAUSED, f"bill: {message}")

    def test_explain_says_why_an_event_failed(self) -> None:
        of = Dunning(HARD, pause=False, stopIf=STOP_IF).run()

        finding = explain_at(of.ports, of.instance, NOON).finding
        assert (finding.reason, finding.why) == (
            Reason.FAILED,
            "shop/post returned HTTP 402 (retries stopped by stopIf)",
        )

    def test_a_resume_tries_again(self) -> None:
        of = Dunning(HARD, stopIf=STOP_IF).run().orders(Resume(by=ANN)).run()

        assert (len(of.shop.charged), of.instance.status) == (2, InstanceStatus.ACTIVE)
        assert len({request.call_key for request in of.shop.charged}) == 2

    @pytest.mark.parametrize("silence", [TimedOut(why="late"), Answered(status=502, body=HARD.body)])
    def test_a_call_in_doubt_is_repeated_under_its_key(self, silence: CallOutcome) -> None:
        of = Dunning(silence, HARD, stopIf="true").run()
        assert (of.event.status, of.event.attempt) == (EventStatus.PENDING, 2)

        of.run(after=HOUR)
        assert len({request.call_key for request in of.shop.charged}) == 1
        assert (len(of.shop.charged), of.event.paused_for) == (2, PausedFor.EXHAUSTED)

    def test_a_failing_expression_leaves_the_retries(self) -> None:
        of = Dunning(Answered(status=402, body="declined"), stopIf=STOP_IF).run()

        assert of.event.status is EventStatus.PENDING
        (note,) = of.notes
        assert note.startswith("stopIf of call: ")

    def test_a_refusal_for_now_is_no_decline(self) -> None:
        of = Dunning(Answered(status=429, retry_after=HOUR), stopIf="true").run()

        assert (of.event.status, of.event.attempt, of.mails) == (EventStatus.PENDING, 1, [])
        assert of.run(after=24 * HOUR).instance.status is InstanceStatus.ACTIVE


class TestTimesOfDay:
    """Retries run at the times of day of ``retryAt``; the mail says the time."""

    def test_each_retry_is_at_the_next_time(self) -> None:
        of = Dunning(SOFT, SOFT, retryAt=["18:00", "09:00"]).run()
        assert of.event.due_at == at("2026-01-31T18:00")

        of.run(after=6 * HOUR)
        assert of.event.due_at == at("2026-02-01T09:00")
        assert [each["retryAt"] for each in of.mails] == [
            "2026-01-31T18:00:00.000Z",
            "2026-02-01T09:00:00.000Z",
        ]

    def test_it_is_not_before_the_service_wants_to_be_called(self) -> None:
        refused = [Answered(status=429, retry_after=hours * HOUR) for hours in (6, 3)]
        of = Dunning(*refused, refusedHours=6, retryAt=["20:00", "09:00"]).run().run(after=6 * HOUR)

        # At 18:00 the refusal became an error. 20:00 would be after the delay, but before the ``Retry-After``.
        assert (len(of.shop.charged), of.event.attempt) == (2, 2)
        assert of.event.due_at == at("2026-02-01T09:00")

    def test_a_wait_after_a_refusal_is_no_retry(self) -> None:
        of = Dunning(Answered(status=429, retry_after=2 * HOUR), retryAt=["09:00"]).run()

        assert (of.event.attempt, of.event.due_at) == (1, at("2026-01-31T14:00"))
