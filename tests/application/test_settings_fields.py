"""Every field of the settings does something: changed alone, the same life goes another way.

Each test lives a life twice, under settings that differ in that one field, and tells what came of both. The table
in docs/api/core.md leads here; tests/docs/test_settings_table.py compares it with the schema.
"""

from collections.abc import Collection, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.adapters.memory.world import ManualClock, MemoryPorts
from shared.application.answering import Sent, answer_event
from shared.application.control import control
from shared.application.run import run_due_events
from shared.application.start import StartInstance, start_instance
from shared.domain.attention import next_event
from shared.domain.call import Answered, CallOutcome, ServiceRequest, TimedOut
from shared.domain.commands import Cancel, Pause, Resume
from shared.domain.dates import format_instant
from shared.domain.decision import Actor
from shared.domain.definition import read_definition
from shared.domain.errors import InvalidInputError
from shared.domain.event import Event
from shared.domain.ids import (
    AccountId,
    CorrelationId,
    InstanceSid,
    StrategySid,
    event_address,
    event_of_correlation,
)
from shared.domain.instance import Instance
from shared.domain.journal import EventRecord
from shared.domain.strategy import Json, Strategy
from tests.domain.definitions import changed, minimal

START = datetime(2026, 1, 1, 12, tzinfo=UTC)
ANN = Actor(name="ann")
OK = Answered(status=201, body={"id": "s-1", "paid": 5.0})
DECLINED = Answered(status=402, body={"why": "no money"})
SILENT = TimedOut(why="no answer")
ATTRIBUTES: dict[str, str | bool | float] = {"vip": True, "due": "2026-01-10T08:00:00Z", "member": "m-1"}


@dataclass
class Shop:
    """Answers in turn, then OK; it is told by which moment each call came."""

    answers: list[CallOutcome]
    clock: ManualClock
    asked: list[tuple[datetime, ServiceRequest]] = field(default_factory=list)

    def call(self, request: ServiceRequest) -> CallOutcome:
        self.asked.append((self.clock.now(), request))
        return self.answers.pop(0) if self.answers else OK


@dataclass
class Graded:
    """``Controllers`` with one that grades what it sees."""

    names: Collection[str] = ("grade",)

    def run(self, name: str, variables: Mapping[str, Any]) -> Json:
        assert name == "grade"
        return {"attributes": {"grade": "A" if variables["response"] == OK.body else "F"}}


class Life:
    """An instance of a strategy with these settings, started at noon on 1 January 2026 in UTC."""

    def __init__(
        self,
        document: dict[str, Any],
        *answers: CallOutcome,
        to: str = "2026-01-01T12:00",
        environment: str = "dev",
    ) -> None:
        clock = ManualClock(START)
        self.shop = Shop(list(answers), clock)
        self.ports = MemoryPorts(caller=self.shop, clock=clock, controllers=Graded())
        strategy = Strategy(
            sid=StrategySid("s-1"),
            account_id=AccountId("a-1"),
            name="shop",
            version=1,
            definition=read_definition(document, environment=environment, controllers=("grade",)),
            environment=environment,
        )
        self.ports.strategies.add(strategy)
        asked = StartInstance(strategy_id="shop", attributes=ATTRIBUTES)
        self.sid = InstanceSid(start_instance(self.ports, strategy, asked).instance.sid)
        self.until(to)

    def until(self, text: str) -> "Life":
        """Let each due event run at its moment."""
        end = datetime.fromisoformat(f"{text}:00+00:00")
        while (event := next_event(self.instance)) is not None and event.due_at <= end:
            self.ports.clock.at = max(self.ports.clock.at, event.due_at)
            if run_due_events(self.ports, self.sid, job="job", time_left=lambda: timedelta(minutes=15)) == 0:
                break
        self.ports.clock.at = max(self.ports.clock.at, end)
        return self

    def told(self, command: Cancel | Pause | Resume) -> "Life":
        """Have an operator do something."""
        control(self.ports, self.sid, command)
        return self

    def answered(self, body: Json = None) -> "Life":
        """The answer to the last call, which was asynchronous, comes."""
        correlation = CorrelationId(self.asked[-1].headers["X-Correlation-Id"])
        address = event_address(event_of_correlation(correlation))
        assert address is not None
        answer_event(self.ports, *address, Sent(correlation_id=correlation, key="a", by=ANN, body=body))
        return self.until(format_instant(self.ports.clock.at)[:16])

    @property
    def instance(self) -> Instance:
        found = self.ports.instances.load(self.sid)
        assert found is not None
        return found

    @property
    def asked(self) -> list[ServiceRequest]:
        return [request for _, request in self.shop.asked]

    @property
    def calls(self) -> list[str]:
        """When what was called, as ``01-31 12:00 /charges``."""
        return [
            f"{format_instant(at)[5:16].replace('T', ' ')} {path_of(request)}"
            for at, request in self.shop.asked
        ]

    @property
    def paths(self) -> list[str]:
        return [path_of(request) for request in self.asked]

    @property
    def plan(self) -> list[str]:
        """Its open events, as ``bill SCHEDULED 01-31 12:00``."""
        return [shown(event) for event in self.instance.events]

    @property
    def first(self) -> EventRecord:
        """What became of its first event."""
        return self.ports.instances.records[(self.sid, 1)]


def path_of(request: ServiceRequest) -> str:
    return request.url.removeprefix("https://billing.example.test")


def shown(event: Event) -> str:
    return f"{event.task} {event.status.value} {format_instant(event.due_at)[5:16].replace('T', ' ')}"


def base() -> dict[str, Any]:
    """One charge a month; a second task, service, action and step are there to be chosen."""
    settings = minimal()
    settings["services"][0]["methods"].append({"key": "refund", "url": "/refunds", "method": "post"})
    settings["services"].append(
        {
            "key": "mailer",
            "baseUrls": [{"environment": "dev", "url": "https://mail.example.test"}],
            "methods": [{"key": "charge", "url": "/mails", "method": "post"}],
        }
    )
    settings["actions"].append({"key": "refund-card", "service": "billing", "method": "refund"})
    settings["tasks"].append(
        {"key": "refund", "initialStep": "back", "steps": [{"key": "back", "action": "refund-card"}]}
    )
    return settings


def with_(pointer: str, value: Any, of: dict[str, Any] | None = None) -> dict[str, Any]:
    return changed(pointer, value, of=base() if of is None else of)


def both(
    pointer: str, value: Any, *answers: CallOutcome, of: Any = None, to: str = "2026-01-01T12:00"
) -> tuple[Life, Life]:
    """The life without the change, and the one with it."""
    document = base() if of is None else of
    return (
        Life(deepcopy(document), *answers, to=to),
        Life(changed(pointer, value, of=document), *answers, to=to),
    )


def two_steps(**first: Any) -> dict[str, Any]:
    """The charge, then its refund."""
    steps = [
        {"key": "charge", "action": "charge-card", "nextStep": "back", **first},
        {"key": "back", "action": "refund-card"},
    ]
    return with_("/tasks/0/steps", steps)


def authorized() -> dict[str, Any]:
    settings = with_("/services/0/credentialPath", "token")
    settings["services"][0]["authorization"] = [
        {
            "environment": "dev",
            "url": "https://login.example.test/:tenant",
            "method": "post",
            "attributes": {"tenant": "t"},
        }
    ]
    return settings


def retried(**more: Any) -> dict[str, Any]:
    return with_("/tasks/0/retryConfig", {"times": 1, "retryAfter": {"unit": "hours", "amount": 1}, **more})


ON: Any = True
DAY = {"unit": "days", "amount": 1}


class TestConfig:
    """``config``."""

    def test_request_delay_time(self) -> None:
        before, after = both("/config/requestDelayTime", 5000)
        assert before.shop.asked[0][0] == START
        assert after.shop.asked[0][0] == START + timedelta(seconds=5)

    def test_manual_trigger(self) -> None:
        before, after = both("/config/manualTrigger", ON)
        assert before.calls == ["01-01 12:00 /charges"]
        assert (after.calls, after.plan) == ([], ["bill ONHOLD 01-01 12:00"])

    def test_timezone(self) -> None:
        nine = with_(
            "/schedule/initialDelay", {"unit": "days", "amount": 1, "resetTo": {"hour": 9, "minute": 0}}
        )
        before, after = both("/config/timezone", "Asia/Manila", of=nine)
        assert before.plan == ["bill PENDING 01-02 09:00"]
        assert after.plan == ["bill PENDING 01-02 01:00"]

    def test_on_resume(self) -> None:
        lives = both("/config/onResume", "all")
        for life in lives:
            life.told(Pause(by=ANN))
            life.ports.clock.at += timedelta(days=70)
            life.told(Resume(by=ANN)).until("2026-03-12T12:00")
        before, after = lives
        assert before.calls == ["01-01 12:00 /charges", "03-12 12:00 /charges"]
        assert after.calls == ["01-01 12:00 /charges", "03-12 12:00 /charges", "03-12 12:00 /charges"]

    def test_instance_validation(self) -> None:
        assert Life(base()).calls == ["01-01 12:00 /charges"]
        with pytest.raises(InvalidInputError):
            Life(with_("/instanceValidation", {"properties": {"vip": {"type": "string"}}}))


class TestSchedule:
    """``schedule``."""

    def test_initial_delay(self) -> None:
        before, after = both("/schedule/initialDelay", DAY, to="2026-01-03T00:00")
        assert before.calls == ["01-01 12:00 /charges"]
        assert after.calls == ["01-02 12:00 /charges"]

    def test_task(self) -> None:
        before, after = both("/schedule/calendars/0/task", "refund")
        assert (before.paths, after.paths) == (["/charges"], ["/refunds"])

    def test_schedule_after(self) -> None:
        before, after = both("/schedule/calendars/0/scheduleAfter", DAY)
        assert before.plan == ["bill PENDING 02-01 12:00"]
        assert after.plan == ["bill PENDING 01-02 12:00"]

    def test_cron(self) -> None:
        daily = with_("/schedule/calendars/0", {"key": "daily", "task": "bill", "cron": "0 8 * * *"})
        before, after = both("/schedule/calendars/0/cron", "0 9 * * *", of=daily)
        assert (before.plan, after.plan) == (["bill PENDING 01-02 08:00"], ["bill PENDING 01-02 09:00"])

    @staticmethod
    def two_calendars() -> dict[str, Any]:
        return with_("/schedule/calendars/-", {"key": "second", "task": "refund", "scheduleAfter": DAY})

    def test_run_on_cycle(self) -> None:
        before, after = both("/schedule/calendars/0/runOnCycle", 2, of=self.two_calendars())
        assert (before.paths, after.paths) == (["/charges"], ["/refunds"])

    def test_run_on_cycle_callback(self) -> None:
        before, after = both("/schedule/calendars/0/runOnCycleCallback", "cycle > 1", of=self.two_calendars())
        assert (before.paths, after.paths) == (["/charges"], ["/refunds"])

    def test_next_cycle_date_callback(self) -> None:
        before, after = both("/schedule/calendars/0/nextCycleDateCallback", 'date + duration("1h")')
        assert (before.plan, after.plan) == (["bill PENDING 02-01 12:00"], ["bill PENDING 02-01 13:00"])

    @staticmethod
    def led_up_to() -> dict[str, Any]:
        return with_("/schedule/calendars/0/leadingUpTasks", [{"task": "refund", "scheduleBefore": DAY}])

    def test_leading_up_task(self) -> None:
        before, after = both("/schedule/calendars/0/leadingUpTasks/0/task", "bill", of=self.led_up_to())
        assert before.plan == ["refund PENDING 01-31 12:00", "bill PENDING 02-01 12:00"]
        assert after.plan == ["bill PENDING 01-31 12:00", "bill PENDING 02-01 12:00"]

    def test_schedule_before(self) -> None:
        two = {"unit": "days", "amount": 2}
        before, after = both(
            "/schedule/calendars/0/leadingUpTasks/0/scheduleBefore", two, of=self.led_up_to()
        )
        assert before.plan[:1] == ["refund PENDING 01-31 12:00"]
        assert after.plan[:1] == ["refund PENDING 01-30 12:00"]


class TestOnCreateTasks:
    """``onCreateTasks[]``."""

    @staticmethod
    def welcomed(**more: Any) -> dict[str, Any]:
        return with_("/onCreateTasks", [{"task": "refund", **more}])

    def test_task(self) -> None:
        before, after = both("/onCreateTasks/0/task", "bill", of=self.welcomed())
        assert sorted(before.paths) == ["/charges", "/refunds"]
        assert sorted(after.paths) == ["/charges", "/charges"]

    def test_delay_by(self) -> None:
        before, after = both("/onCreateTasks/0/delayBy", DAY, of=self.welcomed(), to="2026-01-03T00:00")
        assert "01-01 12:00 /refunds" in before.calls
        assert "01-02 12:00 /refunds" in after.calls

    def test_manual_trigger(self) -> None:
        before, after = both("/onCreateTasks/0/manualTrigger", ON, of=self.welcomed())
        assert "/refunds" in before.paths
        assert "/refunds" not in after.paths
        assert "refund ONHOLD 01-01 12:00" in after.plan

    def test_create_if(self) -> None:
        before, after = both("/onCreateTasks/0/createIf", "attributes.vip == false", of=self.welcomed())
        assert "/refunds" in before.paths
        assert after.paths == ["/charges"]


class TestOnCancelTasks:
    """``onCancelTasks[]``."""

    @staticmethod
    def canceled(pointer: str, value: Any) -> tuple[Life, Life]:
        missed = with_("/onCancelTasks", [{"task": "refund"}])
        lives = both(f"/onCancelTasks/0/{pointer}", value, of=missed)
        for life in lives:
            life.told(Cancel(by=ANN)).until("2026-01-03T00:00")
        return lives

    def test_task(self) -> None:
        before, after = self.canceled("task", "bill")
        assert before.paths == ["/charges", "/refunds"]
        assert after.paths == ["/charges", "/charges"]

    def test_delay_by(self) -> None:
        before, after = self.canceled("delayBy", DAY)
        assert before.calls[1:] == ["01-01 12:00 /refunds"]
        assert after.calls[1:] == ["01-02 12:00 /refunds"]

    def test_manual_trigger(self) -> None:
        before, after = self.canceled("manualTrigger", ON)
        assert (before.paths, after.paths) == (["/charges", "/refunds"], ["/charges"])
        assert after.plan == ["refund ONHOLD 01-01 12:00"]

    def test_create_if(self) -> None:
        before, after = self.canceled("createIf", "attributes.vip == false")
        assert (before.paths, after.paths, after.plan) == (["/charges", "/refunds"], ["/charges"], [])


class TestServices:
    """``services[]``: where they are and how their token is fetched."""

    def test_base_url(self) -> None:
        before, after = both("/services/0/baseUrls/0/url", "https://other.example.test/v2")
        assert before.asked[0].url == "https://billing.example.test/charges"
        assert after.asked[0].url == "https://other.example.test/v2/charges"

    def test_base_url_environment(self) -> None:
        urls = [
            {"environment": "dev", "url": "https://one.example.test"},
            {"environment": "prod", "url": "https://two.example.test"},
        ]
        of = with_("/services/0/baseUrls", urls)
        of["services"][1]["baseUrls"][0]["environment"] = "dev"
        swapped = changed(
            "/services/0/baseUrls/1/environment",
            "dev",
            of=changed("/services/0/baseUrls/0/environment", "qa", of=of),
        )
        assert Life(of).asked[0].url == "https://one.example.test/charges"
        assert Life(swapped).asked[0].url == "https://two.example.test/charges"

    def test_authorization_environment(self) -> None:
        before, after = both("/services/0/authorization/0/environment", "prod", of=authorized())
        assert before.asked[0].credential is not None
        assert after.asked[0].credential is None

    @pytest.mark.parametrize(
        ("name", "value", "member"),
        [
            ("url", "https://sso.example.test/:tenant", "url"),
            ("method", "put", "method"),
            ("headers", {"X-Env": "{{env}}"}, "headers"),
            ("params", {"scope": "all"}, "params"),
            ("data", {"grant": "{{env}}"}, "data"),
        ],
    )
    def test_authorization_request(self, name: str, value: Any, member: str) -> None:
        before, after = both(f"/services/0/authorization/0/{name}", value, of=authorized())
        first, second = before.asked[0].credential, after.asked[0].credential
        assert first is not None
        assert second is not None
        told = {
            "url": ("https://login.example.test/t", "https://sso.example.test/t"),
            "method": ("post", "put"),
            "headers": ({}, {"X-Env": "dev"}),
            "params": ({}, {"scope": "all"}),
            "data": (None, {"grant": "dev"}),
        }
        assert (getattr(first.request, member), getattr(second.request, member)) == told[name]

    def test_authorization_attributes(self) -> None:
        before, after = both(
            "/services/0/authorization/0/attributes/tenant", "{{attributes.member}}", of=authorized()
        )
        urls = [life.asked[0].credential.request.url for life in (before, after) if life.asked[0].credential]
        assert urls == ["https://login.example.test/t", "https://login.example.test/m-1"]

    @pytest.mark.parametrize(
        ("pointer", "value", "was", "became"),
        [
            ("/services/0/credentialPath", "data.jwt", ("token", None, False), ("data.jwt", None, False)),
            ("/services/0/credentialType", "Bearer", ("token", None, False), ("token", "Bearer", False)),
            ("/services/0/authorization/0/noCache", ON, ("token", None, False), ("token", None, True)),
        ],
    )
    def test_credential(self, pointer: str, value: Any, was: Any, became: Any) -> None:
        lives = both(pointer, value, of=authorized())
        credentials = [life.asked[0].credential for life in lives]
        assert [(c.path, c.scheme, c.request.no_cache) for c in credentials if c] == [was, became]


class TestMethods:
    """``services[].methods[]``."""

    def test_url(self) -> None:
        before, after = both("/services/0/methods/0/url", "/payments")
        assert (before.paths, after.paths) == (["/charges"], ["/payments"])

    def test_method(self) -> None:
        before, after = both("/services/0/methods/0/method", "put")
        assert (before.asked[0].method, after.asked[0].method) == ("post", "put")

    def test_async(self) -> None:
        before, after = both("/services/0/methods/0/async", ON)
        assert before.plan == ["bill PENDING 02-01 12:00"]
        assert [line[:11] for line in after.plan] == ["bill PAUSED"]

    def test_answer_within(self) -> None:
        later = with_("/services/0/methods/0/async", ON)
        before, after = both("/services/0/methods/0/answerWithin", DAY, of=later, to="2026-01-03T00:00")
        assert [line[:11] for line in before.plan] == ["bill PAUSED"]
        assert (after.instance.status, after.instance.cancel_reason) == ("CANCELED", "MAX_ATTEMPTS")

    def test_request_validation(self) -> None:
        before, after = both("/services/0/methods/0/requestValidation", "cycle > 1")
        assert before.paths == ["/charges"]
        assert (after.paths, after.instance.status) == ([], "CANCELED")

    def test_response_validation(self) -> None:
        before, after = both("/services/0/methods/0/responseValidation", {"properties": {"no": {}}})
        assert before.instance.status == "ACTIVE"
        assert after.instance.status == "CANCELED"

    def test_timeout_seconds(self) -> None:
        before, after = both("/services/0/methods/0/timeoutSeconds", 7)
        assert (before.asked[0].timeout_seconds, after.asked[0].timeout_seconds) == (30, 7)

    def test_in_doubt(self) -> None:
        before, after = both(
            "/services/0/methods/0/inDoubt", "pause", SILENT, of=retried(), to="2026-01-01T14:00"
        )
        assert before.paths == ["/charges", "/charges"]
        assert (after.paths, after.instance.status) == (["/charges"], "PAUSED")


class TestTasks:
    """``tasks[]``."""

    def test_initial_step(self) -> None:
        ways = two_steps()
        ways["tasks"][0]["steps"] = [
            {
                "key": "charge",
                "action": "charge-card",
                "nextStepRules": [{"if": "onError", "nextStep": "back"}],
            },
            {
                "key": "back",
                "action": "refund-card",
                "nextStepRules": [{"if": "onError", "nextStep": "wait"}],
            },
            {"key": "wait", "delay": DAY, "nextStep": "charge"},
        ]
        before, after = both("/tasks/0/initialStep", "back", of=ways)
        assert (before.paths, after.paths) == (["/charges"], ["/refunds"])

    def test_retry_config(self) -> None:
        config = {"times": 1, "retryAfter": DAY}
        before, after = both("/tasks/0/retryConfig", config, DECLINED)
        assert before.instance.status == "CANCELED"
        assert (after.instance.status, after.plan) == ("ACTIVE", ["bill PENDING 01-02 12:00"])

    def test_outputs(self) -> None:
        before, after = both("/tasks/0/outputs", {"paid": "${stack.charge.response.paid}"})
        assert (before.instance.outputs, after.instance.outputs) == ({}, {"paid": 5.0})


class TestSteps:
    """``tasks[].steps[]``."""

    def test_action(self) -> None:
        before, after = both("/tasks/0/steps/0/action", "refund-card")
        assert (before.paths, after.paths) == (["/charges"], ["/refunds"])

    def test_controller(self) -> None:
        before, after = both("/tasks/0/steps/0/controller", "grade")
        assert "grade" not in before.instance.attributes
        assert after.instance.attributes["grade"] == "A"

    def test_controller_callback(self) -> None:
        before, after = both("/tasks/0/steps/0/controllerCallback", '{"attributes": {"paid": "yes"}}')
        assert "paid" not in before.instance.attributes
        assert after.instance.attributes["paid"] == "yes"

    def test_resume_controller_callback(self) -> None:
        later = with_("/services/0/methods/0/async", ON)
        later["actions"][0]["headers"] = {"X-Correlation-Id": "{{event.correlationId}}"}
        lives = both("/tasks/0/steps/0/resumeControllerCallback", '{"attributes": {"paid": "yes"}}', of=later)
        before, after = (life.answered({"state": "PAID"}) for life in lives)
        assert "paid" not in before.instance.attributes
        assert after.instance.attributes["paid"] == "yes"

    def test_retry_config(self) -> None:
        config = {"times": 1, "retryAfter": DAY}
        before, after = both("/tasks/0/steps/0/retryConfig", config, DECLINED, of=retried())
        assert before.plan == ["bill PENDING 01-01 13:00"]
        assert after.plan == ["bill PENDING 01-02 12:00"]

    def test_reset_attempts(self) -> None:
        steps = two_steps()
        steps["tasks"][0]["retryConfig"] = {"times": 1, "retryAfter": {"unit": "hours", "amount": 1}}
        outcomes = (DECLINED, OK, DECLINED)
        before, after = both("/tasks/0/steps/1/resetAttempts", ON, *outcomes, of=steps, to="2026-01-01T14:00")
        assert before.instance.status == "CANCELED"
        assert (after.instance.status, after.paths) == (
            "ACTIVE",
            ["/charges", "/charges", "/refunds", "/refunds"],
        )

    def test_final(self) -> None:
        ends = two_steps(nextStep=None, nextStepRules=[{"if": "onError", "nextStep": "back"}], final=True)
        assert Life(ends).paths == ["/charges"]
        assert Life(two_steps()).paths == ["/charges", "/refunds"]
        with pytest.raises(InvalidInputError, match="is never reached: the step is final"):
            Life(two_steps(final=True))

    def test_optional(self) -> None:
        before, after = both("/tasks/0/steps/0/optional", ON, DECLINED, of=two_steps())
        assert (before.paths, before.instance.status) == (["/charges"], "CANCELED")
        assert (after.paths, after.instance.status) == (["/charges", "/refunds"], "ACTIVE")

    def test_repeat_on_retry(self) -> None:
        steps = two_steps()
        steps["tasks"][0]["retryConfig"] = {"times": 1, "retryAfter": {"unit": "hours", "amount": 1}}
        before, after = both(
            "/tasks/0/steps/0/repeatOnRetry", ON, OK, DECLINED, of=steps, to="2026-01-01T14:00"
        )
        assert before.paths == ["/charges", "/refunds", "/refunds"]
        assert after.paths == ["/charges", "/refunds", "/charges", "/refunds"]

    def test_next_step(self) -> None:
        two = two_steps(nextStepRules=[{"if": "onError", "nextStep": "back"}])
        before, after = both("/tasks/0/steps/0/nextStep", None, of=two)
        assert (before.paths, after.paths) == (["/charges", "/refunds"], ["/charges"])

    def test_delay(self) -> None:
        before, after = both("/tasks/0/steps/0/delay", DAY, to="2026-01-03T00:00")
        assert (before.calls, after.calls) == (["01-01 12:00 /charges"], ["01-02 12:00 /charges"])


class TestNextStepRules:
    """``tasks[].steps[].nextStepRules[]``."""

    @staticmethod
    def ruled(**rule: Any) -> dict[str, Any]:
        settings = two_steps(nextStep=None, nextStepRules=[{"nextStep": "back", **rule}])
        settings["tasks"][0]["steps"].append(
            {"key": "other", "controllerCallback": '{"attributes": {"other": "yes"}}'}
        )
        settings["tasks"][0]["steps"][1]["nextStepRules"] = [{"if": "onError", "nextStep": "other"}]
        return settings

    def test_if(self) -> None:
        before, after = both(
            "/tasks/0/steps/0/nextStepRules/0/if",
            "onBeforeRetry",
            DECLINED,
            of=self.ruled(**{"if": "onError"}),
        )
        assert before.paths == ["/charges", "/refunds"]
        assert after.paths == ["/charges"]

    def test_next_step(self) -> None:
        of = self.ruled(**{"if": "onError"})
        of["tasks"][0]["steps"][0]["nextStepRules"].append({"if": "onBeforePause", "nextStep": "back"})
        before, after = both("/tasks/0/steps/0/nextStepRules/0/nextStep", "other", DECLINED, of=of)
        assert before.paths == ["/charges", "/refunds"]
        assert (after.paths, after.instance.attributes["other"]) == (["/charges"], "yes")

    def test_if_callback(self) -> None:
        of = self.ruled(**{"if": "callback", "ifCallback": "cycle == 1"})
        before, after = both("/tasks/0/steps/0/nextStepRules/0/ifCallback", "cycle > 1", of=of)
        assert (before.paths, after.paths) == (["/charges", "/refunds"], ["/charges"])


class TestActions:
    """``actions[]``."""

    def test_service(self) -> None:
        before, after = both("/actions/0/service", "mailer")
        assert before.asked[0].url == "https://billing.example.test/charges"
        assert after.asked[0].url == "https://mail.example.test/mails"

    def test_method(self) -> None:
        before, after = both("/actions/0/method", "refund")
        assert (before.paths, after.paths) == (["/charges"], ["/refunds"])

    def test_headers(self) -> None:
        before, after = both("/actions/0/headers", {"X-Cycle": "{{cycle}}"})
        assert "X-Cycle" not in before.asked[0].headers
        assert after.asked[0].headers["X-Cycle"] == "1"

    def test_params(self) -> None:
        before, after = both("/actions/0/params", {"cycle": "{{cycle}}"})
        assert (before.asked[0].params, after.asked[0].params) == ({}, {"cycle": "1"})

    def test_data(self) -> None:
        before, after = both("/actions/0/data", {"member": "{{attributes.member}}"})
        assert (before.asked[0].body, after.asked[0].body) == (None, {"member": "m-1"})

    def test_attributes(self) -> None:
        of = with_("/services/0/methods/0/url", "/members/:member/charges")
        of["actions"][0]["attributes"] = {"member": "m-0"}
        before, after = both("/actions/0/attributes/member", "{{attributes.member}}", of=of)
        assert (before.paths, after.paths) == (["/members/m-0/charges"], ["/members/m-1/charges"])


class TestTimeDelta:
    """A distance in time, here that of ``scheduleAfter``, from 1 January at noon."""

    @pytest.mark.parametrize(
        ("name", "value", "due"),
        [
            ("unit", "years", "01-01 12:00"),
            ("amount", 2, "03-01 12:00"),
            ("from", "due", "02-10 08:00"),
            ("resetTo", {"day": 15}, "02-15 12:00"),
            ("resetTo", {"hour": 9}, "02-01 09:00"),
            ("resetTo", {"minute": 30}, "02-01 12:30"),
        ],
    )
    def test_each_part(self, name: str, value: Any, due: str) -> None:
        before, after = both(f"/schedule/calendars/0/scheduleAfter/{name}", value)
        assert before.plan == ["bill PENDING 02-01 12:00"]
        assert after.plan == [f"bill PENDING {due}"]

    def test_reset_to_month(self) -> None:
        yearly = with_("/schedule/calendars/0/scheduleAfter/unit", "years")
        before, after = both("/schedule/calendars/0/scheduleAfter/resetTo", {"month": 7}, of=yearly)
        assert (before.plan, after.plan) == (["bill PENDING 01-01 12:00"], ["bill PENDING 07-01 12:00"])

    def test_retry_event_callback(self) -> None:
        callback = '{"unit": "hours", "amount": attempt * 3}'
        before, after = both(
            "/tasks/0/retryConfig/retryAfter/retryEventCallback", callback, DECLINED, of=retried()
        )
        assert before.plan == ["bill PENDING 01-01 13:00"]
        assert after.plan == ["bill PENDING 01-01 15:00"]


class TestRetryConfig:
    """Retries, here those of a task whose charge is declined."""

    def test_times(self) -> None:
        before, after = both(
            "/tasks/0/retryConfig/times", 2, DECLINED, DECLINED, of=retried(), to="2026-01-01T14:00"
        )
        assert (before.instance.status, before.paths) == ("CANCELED", ["/charges"] * 2)
        assert (after.instance.status, after.paths) == ("ACTIVE", ["/charges"] * 3)

    def test_retry_after(self) -> None:
        before, after = both("/tasks/0/retryConfig/retryAfter", DAY, DECLINED, of=retried())
        assert (before.plan, after.plan) == (["bill PENDING 01-01 13:00"], ["bill PENDING 01-02 12:00"])

    @pytest.mark.parametrize(
        ("name", "value", "due"), [("unit", "days", "01-03 12:00"), ("amount", 3, "01-01 15:00")]
    )
    def test_retry_strategy(self, name: str, value: Any, due: str) -> None:
        of = retried(retryStrategy=[{"unit": "hours", "amount": 2}])
        before, after = both(f"/tasks/0/retryConfig/retryStrategy/0/{name}", value, DECLINED, of=of)
        assert (before.plan, after.plan) == (["bill PENDING 01-01 14:00"], [f"bill PENDING {due}"])

    def test_pause_before_cancel(self) -> None:
        of = with_("/tasks/0/retryConfig", {"times": 0})
        before, after = both("/tasks/0/retryConfig/pauseBeforeCancel", ON, DECLINED, of=of)
        assert (before.instance.status, after.instance.status) == ("CANCELED", "PAUSED")
