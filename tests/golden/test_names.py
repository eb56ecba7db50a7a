"""Ids that are derived again, and names that are used from outside, are the same in every release.

Source: docs/decisions/0051-what-is-stored-outlives-a-release.md.
"""

from pathlib import Path
from typing import Any

import pytest

from dev.template import Template
from shared.domain.ids import (
    CorrelationId,
    answer_key,
    call_key,
    correlation_id,
    event_sid,
    order_number,
    order_sid,
    sid_of_request,
    wakeup_name,
)
from tests.golden.golden import ACCOUNT, SID

TEMPLATE = Path(__file__).parents[2] / "template.yaml"


class TestDerived:
    """A repeat under another id would be a second call, a second instance or a second schedule."""

    def test_ids_of_an_event_begin_with_its_instances(self) -> None:
        event = event_sid(SID, 7)

        assert event == f"{SID}-7"
        assert call_key(event, run=2, visit=3) == f"{SID}-7-2-3"
        assert correlation_id(event, "t0ken") == f"{SID}-7.t0ken"
        assert wakeup_name(event, 4) == f"{SID}-7-4"

    def test_a_repeated_request_finds_what_an_earlier_release_created(self) -> None:
        assert sid_of_request(ACCOUNT, "instance", "k-1") == "969acf37-dacc-83b2-9faf-9faf8bf93dcf"
        assert order_sid(ACCOUNT, "#2026-01-01#T123-daily") == "bae77a14-2ed8-8777-bb85-a7e0416458d1"
        assert order_number(ACCOUNT, "k-1", 3) == "86814072344998222784"

    def test_a_repeated_answer_replaces_itself(self) -> None:
        key = answer_key(CorrelationId(f"{SID}-7.t0ken"), '{"a":1}')

        assert key == "d3681611970f539a8518c089763607b0"


class TestTemplate:
    """If a resource is renamed, CloudFormation replaces it: schedules, queues and tables would be left behind."""

    @pytest.mark.parametrize(
        ("logical_id", "kind", "name"),
        [
            ("StrategiesTable", "TableName", "ritornello-${Stage}-strategies"),
            ("InstancesTable", "TableName", "ritornello-${Stage}-instances"),
            ("EventsTable", "TableName", "ritornello-${Stage}-events"),
            ("OperationsTable", "TableName", "ritornello-${Stage}-operations"),
            ("AccessTable", "TableName", "ritornello-${Stage}-access"),
            ("AuditTable", "TableName", "ritornello-${Stage}-audit"),
            ("WakeupSchedules", "Name", "ritornello-${Stage}"),
            ("DeadLetters", "QueueName", "ritornello-${Stage}-dead-letters"),
            ("WebhookQueue", "QueueName", "ritornello-${Stage}-webhooks"),
            ("WebhookDeadLetters", "QueueName", "ritornello-${Stage}-webhook-dead-letters"),
            ("PepperSecret", "Name", "ritornello-${Stage}-pepper"),
            ("StepRunner", "FunctionName", "ritornello-${Stage}-step-runner"),
            ("BulkRunner", "FunctionName", "ritornello-${Stage}-bulk-runner"),
        ],
    )
    def test_what_outlives_a_release_keeps_its_name(self, logical_id: str, kind: str, name: str) -> None:
        assert resource(logical_id)["Properties"][kind] == {"Fn::Sub": name}

    def test_schedules_find_the_runner_under_its_alias(self) -> None:
        document = Template(TEMPLATE, {}).document

        assert document["Globals"]["Function"]["AutoPublishAlias"] == "live"
        assert document["Globals"]["Function"]["Environment"]["Variables"]["STEP_RUNNER_ARN"][
            "Fn::Sub"
        ].endswith(":function:ritornello-${Stage}-step-runner:live")

    def test_schedules_find_their_role(self) -> None:
        # The role has a name of CloudFormation's, which changes with the logical id, and a path would change it too.
        role = resource("SchedulerRole")

        assert role["Type"] == "AWS::IAM::Role"
        assert set(role["Properties"]) == {"AssumeRolePolicyDocument", "Policies"}


def resource(logical_id: str) -> Any:
    return Template(TEMPLATE, {}).document["Resources"][logical_id]
