"""Schedules, invocations and queued messages of an earlier release, handled by today's functions.

The messages are those of tests/golden; each function acts on the golden item that its message names.
"""

from typing import Any

import boto3
import pytest

from dev.memory.world import ManualClock
from functions.bulk_runner.handler import lambda_handler as bulk_runner
from functions.step_runner.handler import lambda_handler as step_runner
from shared import bootstrap
from shared.adapters.dynamodb.documents import READABLE
from shared.domain.bulk.operation import BulkOperation, BulkStatus
from shared.domain.instance.model import InstanceStatus
from tests.functions.contexts import Context
from tests.golden.files import document_in, items_in
from tests.golden.golden import SID, at
from tests.golden.operations import BULK_SID
from tests.golden.settings import MINIMAL
from tests.golden.strategies import HEAD

pytestmark = pytest.mark.parametrize("schema", READABLE)


def put(schema: int, name: str, table: str) -> None:
    """Put the items of a golden into a table of the deployment."""
    target = getattr(bootstrap.settings().tables, table)
    for item in items_in(schema, name)[table]:
        boto3.client("dynamodb").put_item(TableName=target, Item=item)


class TestRunner:
    """Schedules wait for years: the input that they were made with wakes the runner for its instance."""

    @pytest.mark.parametrize("message", ["messages/schedule", "messages/invocation"])
    def test_a_plan_that_has_ended_is_completed(
        self, schema: int, message: str, deployment: ManualClock
    ) -> None:
        # Its settings are encrypted under the deployment's own key, so the strategy is made here.
        bootstrap.ports().strategies.create(HEAD, MINIMAL)
        put(schema, "instances/end-of-plan", "instances")
        deployment.at = at(31, 23)

        event: dict[str, Any] = document_in(schema, message)
        step_runner(event, Context())  # type: ignore[arg-type]

        instance = bootstrap.ports().instances.load(SID)
        assert instance is not None
        assert instance.status is InstanceStatus.COMPLETED


class TestBulkRunner:
    """An invocation that waited during a deployment continues its operation."""

    def test_an_operation_without_instances_is_completed(self, schema: int, deployment: ManualClock) -> None:
        put(schema, "operations/bulk-new", "operations")
        deployment.at = at(1)

        event: dict[str, Any] = document_in(schema, "messages/operation")
        assert bulk_runner(event, Context()) == {"done": 0, "failed": 0}  # type: ignore[arg-type]

        operation = bootstrap.ports().operations.load(BULK_SID)
        assert isinstance(operation, BulkOperation)
        assert operation.status is BulkStatus.COMPLETED
