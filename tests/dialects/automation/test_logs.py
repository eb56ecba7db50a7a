"""The logs and errors of workflows in every situation.

Source: docs/contracts/automation.md A.2 and A.3; docs/contracts/mapping.md D.3.
"""

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from shared.api.automation.logs import STATUS_OF
from shared.application.start import StartInstance, start_instance
from shared.application.strategies import NewStrategy, create_strategy
from shared.domain.ids import AccountId, InstanceSid, StrategySid
from shared.domain.instance.event import EventStatus
from shared.domain.instance.journal import ClosedBy, EventRecord
from shared.domain.steps.call import Answered, CallOutcome, ServiceRequest
from shared.domain.steps.history import StepOutcome
from tests.dialects.automation.client import Client, Services, branch, call, wait
from tests.factories import changed

CALENDAR = {"key": "c", "task": "t", "scheduleAfter": {"unit": "days", "amount": 1}}
SERVICE = {
    "key": "s",
    "baseUrls": [{"environment": "dev", "url": "https://api.example.com"}],
    "methods": [
        {
            "key": "m",
            "url": "/later",
            "method": "post",
            "async": True,
            "answerWithin": {"unit": "hours", "amount": 1},
        }
    ],
}


class Interfering(Services):
    """A service during whose call another request arrives."""

    meddle: Callable[[], None] | None = None

    def call(self, request: ServiceRequest) -> CallOutcome:
        if self.meddle is not None:
            meddle, self.meddle = self.meddle, None
            meddle()
        return Services.call(self, request)


@pytest.fixture
def meddling(automation: Client) -> Interfering:
    automation.services = automation.ports.caller = Interfering()
    return automation.services


def made_in_core(client: Client, *steps: Any, calendar: Any = CALENDAR) -> tuple[str, str]:
    """Return a strategy of the core dialect with these steps, and an instance of it."""
    settings = {
        "schedule": {"calendars": [calendar]},
        "tasks": [{"key": "t", "initialStep": steps[0]["key"], "steps": list(steps)}],
        "services": [SERVICE],
        "actions": [{"key": "a", "service": "s", "method": "m"}],
    }
    new = NewStrategy(account_id=AccountId("a-1"), name="core-one", settings=settings)
    head, _ = create_strategy(client.ports, client.hasher, new, environment="dev")
    strategy = client.ports.strategies.load(StrategySid(head.sid), 1)
    send = StartInstance(strategy_id=head.name, attributes={})
    return head.sid, str(start_instance(client.ports, strategy, send).instance.sid)


def statuses(client: Client, definition_id: str, one: str) -> tuple[str, list[tuple[str, str]]]:
    """Return the status of a workflow, and those of its steps."""
    found = client.workflow(definition_id, one)
    return found["status"], [(log["stepName"], log["status"]) for log in found["logs"]]


def errors(client: Client, definition_id: str, one: str) -> list[tuple[str, str]]:
    status, found = client("GET", f"/definitions/{definition_id}/workflows/{one}/errors")
    assert status == 200
    return [(row["step"], row["message"]) for row in found]


class TestStepInFlight:
    """If a step is in flight, it is Running, and the next step is not in the logs."""

    def test_a_call_in_flight_is_running(self, automation: Client, meddling: Interfering) -> None:
        definition_id = automation.saved(call("a", nextStepId="b"), call("b"))
        one = automation.started(definition_id)
        seen: list[Any] = []
        meddling.meddle = lambda: seen.append(automation.workflow(definition_id, one))
        automation.run(one)

        (found,) = seen
        assert found["status"] == "Runnable"
        (log,) = found["logs"]
        assert (log["stepName"], log["status"], log["completedAt"]) == ("a", "Running", None)

    def test_the_next_step_of_a_suspended_workflow_is_pending(
        self, automation: Client, meddling: Interfering
    ) -> None:
        definition_id = automation.saved(call("a", nextStepId="b"), call("b"))
        one = automation.started(definition_id)
        path = f"/definitions/{definition_id}/workflows/{one}"
        meddling.meddle = lambda: self.command(automation, path, "suspend")
        automation.run(one)

        assert statuses(automation, definition_id, one) == (
            "Suspended",
            [("a", "Complete"), ("b", "Pending")],
        )
        assert automation.workflow(definition_id, one)["logs"][1]["startedAt"] is None
        assert len(meddling.sent) == 1

        self.command(automation, path, "resume")
        assert statuses(automation, definition_id, one)[0] == "Runnable"
        automation.run(one)
        assert statuses(automation, definition_id, one) == (
            "Complete",
            [("a", "Complete"), ("b", "Complete")],
        )

    def test_the_next_step_of_a_terminated_workflow_is_cancelled(
        self, automation: Client, meddling: Interfering
    ) -> None:
        definition_id = automation.saved(call("a", nextStepId="b"), call("b"))
        one = automation.started(definition_id)
        path = f"/definitions/{definition_id}/workflows/{one}"
        meddling.meddle = lambda: self.command(automation, path, "terminate")
        automation.run(one)

        assert statuses(automation, definition_id, one) == (
            "Terminated",
            [("a", "Complete"), ("b", "Cancelled")],
        )
        assert len(meddling.sent) == 1
        assert errors(automation, definition_id, one) == []

    @staticmethod
    def command(client: Client, path: str, status: str) -> None:
        assert client("PATCH", path, {"status": status}) == (200, None)


class TestCrashedRunner:
    """If a runner crashed, its step is Running until another runner takes over."""

    def test_a_step_of_a_crashed_runner_is_running(self, automation: Client) -> None:
        definition_id = automation.saved(call("a"))
        one = automation.started(definition_id)
        automation.run(one)
        fresh = automation.started(definition_id)
        event = changed(
            automation.instance(fresh).events[0],
            status=EventStatus.EXECUTING,
            begun_at=automation.clock.now(),
            call_in_doubt=True,
            first_action=automation.ports.instances.journal[InstanceSid(one), 1, 1, 1].intent
            if (InstanceSid(one), 1, 1, 1) in automation.ports.instances.journal
            else automation.ports.instances.records[InstanceSid(one), 1].last.intent,  # type: ignore[union-attr]
        )
        instance = replace(automation.instance(fresh), events=(event,))
        automation.ports.instances.instances[InstanceSid(fresh)] = instance

        assert statuses(automation, definition_id, fresh) == ("Runnable", [("a", "Running")])


class TestAsynchronousSteps:
    """When an asynchronous step of another dialect has sent its call, it waits for the answer."""

    def test_a_step_waits_for_its_answer_and_is_cancelled_without_one(self, automation: Client) -> None:
        definition_id, one = made_in_core(automation, {"key": "ask", "action": "a"})
        automation.run(one)
        assert statuses(automation, definition_id, one) == ("Runnable", [("ask", "WaitingForEvent")])
        assert errors(automation, definition_id, one) == []

        automation.later(hours=2)
        automation.run(one)

        assert statuses(automation, definition_id, one) == ("Terminated", [("ask", "Cancelled")])
        ((step, message),) = errors(automation, definition_id, one)
        assert (step, message) == ("ask", "no answer by 2026-01-01T13:00:00.000Z")


class TestRetries:
    """Steps that a retry skips are no executions."""

    def test_a_step_that_a_retry_skips_is_no_execution(self, automation: Client) -> None:
        after = {"times": 1, "retryAfter": {"unit": "minutes", "amount": 1}}
        ask = {"key": "ask", "action": "a", "retryConfig": after}
        definition_id, one = made_in_core(
            automation, {"key": "first", "controllerCallback": "{}", "nextStep": "ask"}, ask
        )
        automation.services.answers = [Answered(status=500)]
        automation.run(one)
        assert statuses(automation, definition_id, one) == (
            "Runnable",
            [("first", "Complete"), ("ask", "Sleeping")],
        )

        automation.later(minutes=2)
        automation.run(one)

        assert statuses(automation, definition_id, one) == (
            "Runnable",
            [("first", "Complete"), ("ask", "Failed"), ("ask", "WaitingForEvent")],
        )


class TestEndsByErrors:
    """If an error ended a workflow, it has at least one row of errors."""

    def test_a_workflow_that_a_controller_ended_has_an_error(self, automation: Client) -> None:
        definition_id, one = made_in_core(
            automation, {"key": "stop", "controllerCallback": '{"cancelInstance": "it is over"}'}
        )
        automation.run(one)

        assert statuses(automation, definition_id, one)[0] == "Terminated"
        assert errors(automation, definition_id, one) == [("stop", "it is over")]

    def test_a_workflow_without_a_next_date_has_an_error(self, automation: Client) -> None:
        definition_id, one = made_in_core(
            automation, {"key": "go", "controllerCallback": "{}"}, calendar={**CALENDAR, "runOnCycle": 1}
        )
        automation.run(one)

        assert statuses(automation, definition_id, one) == ("Terminated", [("go", "Complete")])
        ((step, message),) = errors(automation, definition_id, one)
        assert step == "schedule"
        assert message

    def test_a_workflow_with_a_failed_step_has_its_error(self, automation: Client) -> None:
        automation.services.answers = [Answered(status=500)]
        definition_id, one = made_in_core(automation, {"key": "ask", "action": "a"})
        automation.run(one)

        assert statuses(automation, definition_id, one) == ("Terminated", [("ask", "Failed")])
        assert errors(automation, definition_id, one) == [("ask", "s/m returned HTTP 500")]

    def test_a_workflow_with_too_many_steps_has_an_error(self, automation: Client) -> None:
        definition_id = automation.saved(
            branch("again", pause=None), wait("pause", "00:00:01", nextStepId="again")
        )
        one = automation.started(definition_id)
        for _ in range(110):
            automation.run(one)
            automation.later(seconds=1)

        assert statuses(automation, definition_id, one)[0] == "Terminated"
        ((step, message),) = errors(automation, definition_id, one)
        assert (step, message) == ("again", "more than 200 steps in one run")

    def test_a_workflow_whose_runners_crash_has_an_error(self, automation: Client) -> None:
        definition_id = automation.saved(wait("a"))
        one = automation.started(definition_id)
        instance = automation.instance(one)
        event = replace(instance.events[0], status=EventStatus.FAILED)
        record = EventRecord(
            instance_sid=instance.sid,
            event=event,
            fence=1,
            finished_at=automation.clock.now(),
            why="its runner died 5 times",
            closed_by=ClosedBy.CRASHES,
        )
        automation.ports.instances.instances[instance.sid] = replace(instance, events=())
        automation.ports.instances.put_record(instance, record)

        assert errors(automation, definition_id, one) == [("main", "its runner died 5 times")]


class TestStatusTable:
    """Every outcome of a step has a status."""

    def test_every_outcome_has_a_status(self) -> None:
        assert set(STATUS_OF) == set(StepOutcome)
        assert {outcome.name: status for outcome, status in STATUS_OF.items()} == {
            "SUCCEEDED": "Complete",
            "FAILED": "Failed",
            "UNANSWERED": "Failed",
            "REFUSED": None,
            "SENT": "Running",
            "AWAITED": "WaitingForEvent",
            "FROM_CACHE": None,
            "RUNNING": "Running",
            "CUT_OFF": "Running",
        }
