"""The contract of ``Wakeups``, in memory and on EventBridge Scheduler as two emulators implement it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import boto3
import pytest
from moto import mock_aws

from dev.aws import session_of
from dev.memory.world import ManualClock, MemoryWakeups
from shared.adapters.aws.services import Scheduler
from shared.adapters.dynamodb.client import PATIENCE
from shared.adapters.system import SystemClock
from shared.adapters.wakeups import AwsWakeups, WakeupTargets
from shared.application.ports import Wakeups
from shared.domain.ids import InstanceSid

SID = InstanceSid("01890a5d-ac96-774b-bcce-b302099a8057")
TODAY = SystemClock().now().replace(microsecond=0)
GROUPS = count(1)


@dataclass(frozen=True)
class Scheduled:
    """Wakeups, the scheduled ones by name, and the reports of failures."""

    wakeups: Wakeups
    armed: Callable[[], dict[str, datetime]]
    reports: list[str]


def in_memory() -> Scheduled:
    wakeups = MemoryWakeups()
    return Scheduled(wakeups, lambda: {name: at for name, (at, _) in wakeups.armed.items()}, [])


def on_scheduler(session: boto3.Session, endpoint_url: str | None = None) -> Scheduled:
    client: Any = session.client("scheduler", endpoint_url=endpoint_url)
    scheduler = Scheduler(session_of(session).client("scheduler", patience=PATIENCE, url=endpoint_url))
    group = f"bells-{next(GROUPS)}"
    client.create_schedule_group(Name=group)
    reports: list[str] = []
    targets = WakeupTargets(
        group=group,
        runner_arn="arn:aws:lambda:eu-central-1:123456789012:function:runner",
        bulk_runner_arn="bulk",
        role_arn="arn:aws:iam::123456789012:role/ring",
        dead_letter_arn="arn:aws:sqs:eu-central-1:123456789012:dead-letters",
        report=lambda what, _, error: reports.append(f"{what}: {error}"),
    )

    def armed() -> dict[str, datetime]:
        names = [listed["Name"] for listed in client.list_schedules(GroupName=group)["Schedules"]]
        found = [client.get_schedule(Name=name, GroupName=group) for name in names]
        return {
            schedule["Name"]: datetime.strptime(
                schedule["ScheduleExpression"], "at(%Y-%m-%dT%H:%M:%S)"
            ).replace(tzinfo=UTC)
            for schedule in found
        }

    wakeups = AwsWakeups(
        targets,
        scheduler=lambda: scheduler,
        invoker=lambda: pytest.fail("not asked"),
        clock=ManualClock(TODAY),
    )
    return Scheduled(wakeups, armed, reports)


@pytest.fixture(params=["memory", "moto", pytest.param("roto", marks=pytest.mark.allow_hosts(["127.0.0.1"]))])
def scheduled(request: pytest.FixtureRequest, session: boto3.Session) -> Iterator[Scheduled]:
    match request.param:
        case "memory":
            yield in_memory()
        case "moto":
            with mock_aws():
                yield on_scheduler(session)
        case _:
            yield on_scheduler(session, request.getfixturevalue("roto_address"))


class TestArming:
    """A name is scheduled once, for its instant."""

    def test_a_wakeup_is_scheduled_under_its_name(self, scheduled: Scheduled) -> None:
        scheduled.wakeups.arm(f"{SID}-1-1", TODAY + timedelta(days=40), SID)

        assert scheduled.armed() == {f"{SID}-1-1": TODAY + timedelta(days=40)}
        assert scheduled.reports == []

    def test_scheduling_a_name_again_changes_nothing(self, scheduled: Scheduled) -> None:
        scheduled.wakeups.arm(f"{SID}-1-1", TODAY + timedelta(days=40), SID)
        scheduled.wakeups.arm(f"{SID}-1-1", TODAY + timedelta(days=50), SID)

        assert scheduled.armed() == {f"{SID}-1-1": TODAY + timedelta(days=40)}
        assert scheduled.reports == []

    def test_a_new_name_is_a_new_wakeup(self, scheduled: Scheduled) -> None:
        scheduled.wakeups.arm(f"{SID}-1-1", TODAY + timedelta(days=40), SID)
        scheduled.wakeups.arm(f"{SID}-1-2", TODAY + timedelta(days=41), SID)

        assert scheduled.armed() == {
            f"{SID}-1-1": TODAY + timedelta(days=40),
            f"{SID}-1-2": TODAY + timedelta(days=41),
        }

    def test_the_longest_possible_name_fits(self, scheduled: Scheduled) -> None:
        name = f"{SID}-99999999-9999999999"

        scheduled.wakeups.arm(name, TODAY + timedelta(days=1), SID)

        assert list(scheduled.armed()) == [name]
        assert scheduled.reports == []
