"""The functions as Lambda calls them, with the real adapters on an emulated DynamoDB."""

import base64
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest

from dev.memory.world import ManualClock
from functions.bulk_runner.handler import lambda_handler as bulk_runner
from functions.core_api.handler import lambda_handler as core_api
from functions.step_runner.handler import lambda_handler as step_runner
from functions.sweeper.handler import lambda_handler as sweeper
from shared import bootstrap
from shared.application.flags import pause_queue, resume_queue
from shared.application.ports import all_readable
from shared.domain.ids import AccountId, InstanceSid
from shared.domain.instance.verdict import Actor
from tests.functions.contexts import Context

ROOT = Path(__file__).parents[2]


def posted(path: str, body: dict[str, Any], secret: str, *, status: int = 201) -> dict[str, Any]:
    """Post a request to the core API and return its answer."""
    event = {
        "version": "2.0",
        "rawPath": path,
        "headers": {
            "authorization": "Bearer admin.secret",
            "strategy-secret": base64.b64encode(secret.encode()).decode(),
        },
        "requestContext": {"requestId": "r", "stage": "$default", "http": {"method": "POST", "path": path}},
        "body": json.dumps(body),
    }
    answer = core_api(event, Context())  # type: ignore[arg-type]
    assert answer["statusCode"] == status, answer["body"]
    found: dict[str, Any] = json.loads(answer["body"])
    return found


class TestOneDeployment:
    """API, scheduler, runner and sweeper work together as deployed."""

    @pytest.mark.allow_hosts(["127.0.0.1"])  # to look the name up; the guard lets nothing out
    def test_an_instance_is_started_swept_and_run(self, deployment: ManualClock) -> None:
        strategy = json.loads((ROOT / "events" / "water-filter-refill.json").read_text())
        strategy["settings"]["tasks"][0].pop("retryConfig")
        posted("/execution-strategy", strategy, strategy["secret"])
        start = deployment.now() + timedelta(days=30)
        body = {
            "strategyId": "water-filter-refill",
            "attributes": {"customerId": "c-1"},
            "startDate": start.isoformat(),
        }
        sid = posted("/execution-instance", body, strategy["secret"])["executionInstance"]["sid"]
        (armed,) = boto3.client("scheduler").list_schedules()["Schedules"]
        assert armed["Name"] == f"{sid}-1-1"

        # Its service is at a loopback address, which no deployment lets calls go to: the shipment fails.
        deployment.at = start + timedelta(minutes=4)
        assert sweeper({}, Context())["wakeups"] == 1  # type: ignore[arg-type]
        assert sweeper({}, Context())["wakeups"] == 0  # type: ignore[arg-type]
        assert step_runner({"sid": sid}, Context()) == {"claimed": 1}  # type: ignore[arg-type]
        assert step_runner({"sid": sid}, Context()) == {"claimed": 0}  # type: ignore[arg-type]

        instance = bootstrap.ports().instances.load(sid)
        assert instance is not None
        assert (instance.status, instance.cancel_reason) == ("CANCELED", "MAX_ATTEMPTS")
        assert "internal" in (instance.stop_note or "") or "not allowed" in (instance.stop_note or ""), (
            instance.stop_note
        )


class TestABulkOperation:
    """The API begins a bulk operation, the sweeper finds it, and the bulk runner runs it."""

    def test_many_instances_are_canceled(self, deployment: ManualClock) -> None:
        strategy = json.loads((ROOT / "events" / "water-filter-refill.json").read_text())
        strategy["settings"]["tasks"][0].pop("retryConfig")
        posted("/execution-strategy", strategy, strategy["secret"])
        start = {"startDate": (deployment.now() + timedelta(days=30)).isoformat()}
        body = {"strategyId": "water-filter-refill", "attributes": {"customerId": "c-1"}, **start}
        started = [posted("/execution-instance", body, strategy["secret"]) for _ in range(27)]
        asked = {"selection": {"folder": "/"}, "command": {"name": "cancel"}}

        bulk = posted("/bulk-operation", asked, strategy["secret"], status=202)
        assert sweeper({}, Context())["operations"] == 1  # type: ignore[arg-type]
        assert bulk_runner({"sid": bulk["sid"]}, Context()) == {"done": 27, "failed": 0}  # type: ignore[arg-type]
        assert sweeper({}, Context())["operations"] == 0  # type: ignore[arg-type]

        ports = bootstrap.ports()
        (after,) = all_readable(ports.operations.of_account(AccountId("a-1"), before=None, limit=9))
        assert (after.status, after.counts.changed) == ("COMPLETED", 27)
        sids = [InstanceSid(one["executionInstance"]["sid"]) for one in started]
        assert {one.status for one in all_readable(ports.instances.load_many(sids))} == {"CANCELED"}


class TestWhatCannotBeRead:
    """An instance with an unreadable item is logged and does not stop the others."""

    def test_sweeper_and_bulk_runner_log_unreadable_instances(
        self, deployment: ManualClock, caplog: pytest.LogCaptureFixture
    ) -> None:
        ports = bootstrap.ports()
        strategy = json.loads((ROOT / "events" / "water-filter-refill.json").read_text())
        posted("/execution-strategy", strategy, strategy["secret"])
        body = {"strategyId": "water-filter-refill", "attributes": {"customerId": "c-1"}}
        sids = [
            posted("/execution-instance", body, strategy["secret"])["executionInstance"]["sid"]
            for _ in range(2)
        ]
        account, ann = AccountId("a-1"), Actor(name="ann")
        pause_queue(ports, account, by=ann)
        assert step_runner({"sid": sids[1]}, Context()) == {"claimed": 0}  # type: ignore[arg-type]
        table = bootstrap.settings().tables.instances
        for sid in sids:
            boto3.client("dynamodb").update_item(
                TableName=table,
                Key={"sid": {"S": sid}},
                UpdateExpression="SET doc = :doc",
                ExpressionAttributeValues={":doc": {"S": "{}"}},
            )
        deployment.at += timedelta(minutes=4)
        resume_queue(ports, account, by=ann)

        assert sweeper({}, Context())["failed"] == 1  # type: ignore[arg-type]
        freed = [bulk_runner({"sid": f"release-queue-a-1-{shard}"}, quick()) for shard in range(16)]  # type: ignore[arg-type]

        assert sum(one["failed"] for one in freed) == 1
        told = {(record.message, record.__dict__.get("instance")) for record in caplog.records}
        assert {("instance not swept", sids[0]), ("instance not processed", sids[1])} <= told


def quick() -> Context:
    """Return the context of an invocation with little time left."""

    class Quick(Context):
        def get_remaining_time_in_millis(self) -> int:
            self.looks = getattr(self, "looks", 0) + 1
            return 900_000 if self.looks == 1 else 0

    return Quick()
