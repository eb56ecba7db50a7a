"""Wakeups on AWS: the requests that are sent, and the handling of failures."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dev.memory.world import ManualClock
from shared.adapters.aws.errors import AwsError
from shared.adapters.wakeups import AwsWakeups, WakeupTargets
from shared.application.ports import ConnectionLostError, OverloadedError
from shared.domain.ids import InstanceSid, OperationSid

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SID = InstanceSid("i-1")


@dataclass
class Service:
    """A client that keeps its requests, and fails with a prepared error."""

    error: Exception | None = None
    requests: list[dict[str, Any]] = field(default_factory=list)

    def _do(self, request: dict[str, Any]) -> None:
        self.requests.append(request)
        if self.error is not None:
            raise self.error

    def create_schedule(self, name: str, schedule: Mapping[str, Any]) -> None:
        self._do({"Name": name, **schedule})

    def invoke_later(self, function: str, payload: Mapping[str, Any]) -> None:
        self._do({"function": function, "payload": payload})


@dataclass
class Rig:
    """The adapter with two clients, and its reports."""

    scheduler: Service = field(default_factory=Service)
    invoker: Service = field(default_factory=Service)
    reports: list[tuple[str, str]] = field(default_factory=list)

    def wakeups(self) -> AwsWakeups:
        targets = WakeupTargets(
            group="ritornello-test",
            runner_arn="arn:runner",
            bulk_runner_arn="bulk",
            role_arn="arn:role",
            dead_letter_arn="arn:dead",
            report=lambda what, sid, _: self.reports.append((what, sid)),
        )
        return AwsWakeups(
            targets, scheduler=lambda: self.scheduler, invoker=lambda: self.invoker, clock=ManualClock(NOON)
        )


def refused(code: str) -> AwsError:
    return AwsError(service="scheduler", operation="CreateSchedule", code=code, status=400, body={})


class TestArming:
    """A wakeup is a one-time schedule in UTC that deletes itself."""

    def test_a_schedule_is_for_the_whole_second_at_or_after_the_instant(self) -> None:
        rig = Rig()

        rig.wakeups().arm("i-1-1-1", NOON + timedelta(hours=1, milliseconds=1), SID)

        (request,) = rig.scheduler.requests
        assert request == {
            "Name": "i-1-1-1",
            "GroupName": "ritornello-test",
            "ScheduleExpression": "at(2026-03-01T13:00:01)",
            "ScheduleExpressionTimezone": "UTC",
            "FlexibleTimeWindow": {"Mode": "OFF"},
            "ActionAfterCompletion": "DELETE",
            "Target": {
                "Arn": "arn:runner",
                "RoleArn": "arn:role",
                "Input": json.dumps({"sid": "i-1"}),
                "DeadLetterConfig": {"Arn": "arn:dead"},
                "RetryPolicy": {"MaximumRetryAttempts": 3, "MaximumEventAgeInSeconds": 300},
            },
        }

    def test_a_schedule_is_at_least_a_minute_ahead(self) -> None:
        rig = Rig()

        rig.wakeups().arm("i-1-1-1", NOON + timedelta(seconds=6), SID)

        assert rig.scheduler.requests[0]["ScheduleExpression"] == "at(2026-03-01T12:01:00)"

    def test_scheduling_the_same_name_again_is_a_success(self) -> None:
        rig = Rig(scheduler=Service(error=refused("ConflictException")))

        rig.wakeups().arm("i-1-1-1", NOON, SID)

        assert rig.reports == []

    @pytest.mark.parametrize(
        "error",
        [refused("ValidationException"), OverloadedError("throttled"), ConnectionLostError("no answer")],
    )
    def test_a_failure_to_schedule_is_reported_and_not_raised(self, error: Exception) -> None:
        rig = Rig(scheduler=Service(error=error))

        rig.wakeups().arm("i-1-1-1", NOON, SID)

        assert rig.reports == [("schedule", "i-1")]


class TestInvokingAnOperation:
    """An operation is woken by one asynchronous invocation of the bulk runner."""

    def test_the_bulk_runner_is_invoked_asynchronously(self) -> None:
        rig = Rig()

        rig.wakeups().invoke_operation(OperationSid("release-1"))

        assert rig.invoker.requests == [{"function": "bulk", "payload": {"sid": "release-1"}}]


class TestInvoking:
    """An instance is woken by one asynchronous invocation of the step runner."""

    def test_the_step_runner_is_invoked_asynchronously(self) -> None:
        rig = Rig()

        rig.wakeups().invoke(SID)

        assert rig.invoker.requests == [{"function": "arn:runner", "payload": {"sid": "i-1"}}]

    @pytest.mark.parametrize(
        "error",
        [refused("ResourceNotFoundException"), OverloadedError("throttled"), ConnectionLostError("lost")],
    )
    def test_a_failure_to_invoke_is_reported_and_not_raised(self, error: Exception) -> None:
        rig = Rig(invoker=Service(error=error))

        rig.wakeups().invoke(SID)

        assert rig.reports == [("send", "i-1")]
