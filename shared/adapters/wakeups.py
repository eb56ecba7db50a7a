"""Wakeups through EventBridge Scheduler and Lambda.

They are best effort: a failure of either service is reported and not raised, because the due index brings the sweeper
in any case. Source: shared/application/ports.py (Wakeups); docs/design.md section 3.1.
"""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from msgspec import Struct

from shared.adapters.aws.errors import AwsError
from shared.application.ports import Clock, UnavailableError
from shared.domain.ids import InstanceSid, OperationSid

SOONEST = timedelta(seconds=60)
"""A schedule is created at least this far ahead, because EventBridge Scheduler is precise to a minute."""

_ONE_SECOND = timedelta(seconds=1)


class SchedulerClient(Protocol):
    """The part of EventBridge Scheduler that is used (``shared/adapters/aws/services.py``)."""

    def create_schedule(self, name: str, schedule: Mapping[str, Any]) -> None:
        """Create a schedule."""


class LambdaClient(Protocol):
    """The part of Lambda that is used (as above)."""

    def invoke_later(self, function: str, payload: Mapping[str, Any]) -> None:
        """Invoke a function asynchronously."""


class WakeupTargets(Struct, frozen=True, kw_only=True):
    """The resources that a wakeup needs.

    ``report`` is called for a wakeup that failed, with ``schedule`` or ``send``, the sid, and the error.
    """

    group: str
    runner_arn: str
    bulk_runner_arn: str
    role_arn: str
    dead_letter_arn: str
    report: Callable[[str, str, Exception], None]


class AwsWakeups:
    """``Wakeups`` as one-time schedules that delete themselves, and asynchronous invocations."""

    def __init__(
        self,
        targets: WakeupTargets,
        *,
        scheduler: Callable[[], SchedulerClient],
        invoker: Callable[[], LambdaClient],
        clock: Clock,
        soonest: timedelta = SOONEST,
    ) -> None:
        """Keep the factories of the clients.

        A client is made at its first use, since that is most of a cold start.
        """
        self._targets = targets
        self._scheduler = scheduler
        self._invoker = invoker
        self._clock = clock
        self._soonest = soonest

    def arm(self, name: str, at: datetime, sid: InstanceSid) -> None:
        due = max(at, self._clock.now() + self._soonest)
        try:
            self._scheduler().create_schedule(
                name,
                {
                    "GroupName": self._targets.group,
                    "ScheduleExpression": f"at({_rounded_up(due):%Y-%m-%dT%H:%M:%S})",
                    "ScheduleExpressionTimezone": "UTC",
                    "FlexibleTimeWindow": {"Mode": "OFF"},
                    # Else finished schedules would accumulate up to the quota of the group.
                    "ActionAfterCompletion": "DELETE",
                    "Target": {
                        "Arn": self._targets.runner_arn,
                        "RoleArn": self._targets.role_arn,
                        "Input": json.dumps({"sid": sid}),
                        "DeadLetterConfig": {"Arn": self._targets.dead_letter_arn},
                        # The sweeper replaces a wakeup that fails for longer.
                        "RetryPolicy": {"MaximumRetryAttempts": 3, "MaximumEventAgeInSeconds": 300},
                    },
                },
            )
        except AwsError as error:
            if error.code != "ConflictException":  # scheduled already, under our own name
                self._targets.report("schedule", sid, error)
        except UnavailableError as error:
            self._targets.report("schedule", sid, error)

    def invoke(self, sid: InstanceSid) -> None:
        self._invoke(self._targets.runner_arn, sid)

    def invoke_operation(self, sid: OperationSid) -> None:
        self._invoke(self._targets.bulk_runner_arn, sid)

    def _invoke(self, function: str, sid: str) -> None:
        try:
            self._invoker().invoke_later(function, {"sid": sid})
        except (AwsError, UnavailableError) as error:
            self._targets.report("send", sid, error)


def _rounded_up(at: datetime) -> datetime:
    """Return the whole second at or after an instant, so that a wakeup is never early."""
    whole = at.astimezone(UTC).replace(microsecond=0)
    return whole if whole == at else whole + _ONE_SECOND
