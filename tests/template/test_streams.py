"""The functions behind the streams of the tables: publisher, webhook sender and expirer."""

import json
import re
import tomllib
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import fields

from dev.stream_records import record_of as stream_of
from dev.template import Template
from functions.publisher.handler import PublisherMetric
from shared import __version__
from shared.adapters.dynamodb.expiry import expired_record
from shared.adapters.dynamodb.items import record_item
from shared.adapters.dynamodb.tables import EXPIRY, Tables
from shared.adapters.http.webhook_caller import TIMEOUT_SECONDS
from shared.application.expire import RESERVE
from shared.config import ConfigError, read_settings
from shared.domain.instance.retention import Retention
from shared.domain.notifications.webhook import RETRY_DELAYS
from tests.full import INSTANCE, RECORD
from tests.template.stack import (
    PARAMETERS,
    RESOURCES,
    ROOT,
    TEMPLATE,
    as_list,
    of_type,
    resources_of,
    statements,
    table_arn,
)

RECORD_ITEM = record_item(INSTANCE, RECORD, kept=timedelta(days=90))


class TestChanges:
    """Streams have both images, and a batch that fails is repeated and then kept whole."""

    STREAMS = ("InstancesTable", "StrategiesTable", "OperationsTable")

    def test_three_tables_have_a_stream_with_both_images_and_one_has_old_images(self) -> None:
        streams = {
            name: properties["StreamSpecification"]
            for name, properties in of_type("AWS::DynamoDB::Table").items()
            if "StreamSpecification" in properties
        }

        assert streams == {
            **{name: {"StreamViewType": "NEW_AND_OLD_IMAGES"} for name in self.STREAMS},
            "EventsTable": {"StreamViewType": "OLD_IMAGE"},
        }

    @pytest.mark.parametrize("table", STREAMS)
    def test_each_stream_is_published_from_its_beginning(self, table: str) -> None:
        mapping = self.mapping(table)

        assert mapping["FunctionName"] == {"Ref": "Publisher.Alias"}
        assert mapping["StartingPosition"] == "TRIM_HORIZON"
        assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]

    @pytest.mark.parametrize("table", STREAMS)
    def test_a_failing_batch_is_repeated_for_20_hours_and_then_kept_whole(self, table: str) -> None:
        mapping = self.mapping(table)

        # A queue would get the position of the batch only, and the stream forgets it after 24 hours.
        destination = mapping["DestinationConfig"]["OnFailure"]["Destination"]
        assert destination == {"Fn::GetAtt": ["Unpublished", "Arn"]}
        assert RESOURCES["Unpublished"]["Type"] == "AWS::S3::Bucket"
        assert mapping["BisectBatchOnFunctionError"] is True
        assert mapping["MaximumRetryAttempts"] == -1
        assert timedelta(seconds=mapping["MaximumRecordAgeInSeconds"]) == timedelta(hours=20)

    @pytest.mark.parametrize(
        ("table", "record", "passes"),
        [
            ("InstancesTable", {"eventName": "INSERT"}, True),
            ("InstancesTable", {"eventName": "MODIFY"}, True),
            ("InstancesTable", {"eventName": "REMOVE"}, False),
            ("StrategiesTable", {"eventName": "INSERT", "sk": "v#00000001"}, True),
            ("StrategiesTable", {"eventName": "INSERT", "sk": "head"}, False),
            ("StrategiesTable", {"eventName": "MODIFY", "sk": "head"}, True),
            ("StrategiesTable", {"eventName": "INSERT", "sk": "name#gym"}, False),
            ("OperationsTable", {"eventName": "MODIFY", "kind": "bulk", "expiresAt": "1"}, True),
            ("OperationsTable", {"eventName": "INSERT", "kind": "bulk", "expiresAt": "1"}, True),
            ("OperationsTable", {"eventName": "MODIFY", "kind": "bulk"}, False),
            ("OperationsTable", {"eventName": "MODIFY"}, False),
        ],
    )
    def test_filters_drop_writes_that_announce_nothing(
        self,
        table: str,
        record: dict[str, str],
        passes: bool,  # noqa: FBT001 - a column
    ) -> None:
        patterns = [json.loads(f["Pattern"]) for f in self.mapping(table)["FilterCriteria"]["Filters"]]

        assert any(self.matches(pattern, record) for pattern in patterns) is passes

    @pytest.mark.parametrize("name", ["Publisher", "Expirer"])
    def test_a_reader_of_streams_is_late_after_an_hour(self, name: str) -> None:
        (late,) = [
            alarm
            for alarm in of_type("AWS::CloudWatch::Alarm").values()
            if alarm.get("MetricName") == "IteratorAge"
            and alarm["Dimensions"] == [{"Name": "FunctionName", "Value": {"Ref": name}}]
        ]

        assert timedelta(milliseconds=late["Threshold"]) == timedelta(hours=1)

    @pytest.mark.parametrize("metric", PublisherMetric)
    def test_every_metric_of_the_publisher_raises_an_alarm(self, metric: PublisherMetric) -> None:
        names = [alarm.get("MetricName") for alarm in of_type("AWS::CloudWatch::Alarm").values()]

        assert metric.value in names

    @pytest.mark.parametrize(("parameter", "bus"), [("", "ritornello-test"), ("theirs", "theirs")])
    def test_the_bus_is_the_stacks_own_or_the_one_that_is_named(self, parameter: str, bus: str) -> None:
        template = Template(ROOT / "template.yaml", {**PARAMETERS, "EventBusName": parameter})
        (allowed,) = [
            statement["Resource"]
            for policy in RESOURCES["Publisher"]["Properties"]["Policies"][1:]
            for statement in policy["Statement"]
            if statement["Action"] == "events:PutEvents"
        ]

        assert next(template.functions()).environment["EVENT_BUS"] == bus
        assert template.resolve(allowed) == f"arn:aws:events:eu-central-1:123456789012:event-bus/{bus}"

    @staticmethod
    def mapping(table: str) -> dict[str, Any]:
        source = TEMPLATE.resolve({"Fn::GetAtt": [table, "StreamArn"]})
        mappings = of_type("AWS::Lambda::EventSourceMapping").values()
        (found,) = [m for m in mappings if TEMPLATE.resolve(m["EventSourceArn"]) == source]
        return found

    @staticmethod
    def matches(pattern: dict[str, Any], record: dict[str, str]) -> bool:
        """Return whether a filter lets a record pass, by the few rules of patterns that are used here."""
        if record["eventName"] not in pattern["eventName"]:
            return False
        images = pattern.get("dynamodb", {})
        for name, kinds in {**images.get("Keys", {}), **images.get("NewImage", {})}.items():
            ((_, rules),) = kinds.items()
            value = record.get(name)
            if not any(
                value == rule
                or (isinstance(rule, dict) and "prefix" in rule and (value or "").startswith(rule["prefix"]))
                or (isinstance(rule, dict) and rule.get("exists") is True and value is not None)
                for rule in rules
            ):
                return False
        return True


class TestWebhooks:
    """Messages to webhooks are repeated for about a day and then set aside."""

    QUEUE: dict[str, Any] = RESOURCES["WebhookQueue"]["Properties"]
    SENDER: dict[str, Any] = RESOURCES["WebhookSender"]["Properties"]

    def test_the_queue_gives_up_after_the_last_attempt(self) -> None:
        assert self.QUEUE["RedrivePolicy"] == {
            "deadLetterTargetArn": {"Fn::GetAtt": ["WebhookDeadLetters", "Arn"]},
            "maxReceiveCount": len(RETRY_DELAYS) + 1,
        }

    def test_a_message_that_waits_for_twelve_days_has_all_its_attempts(self) -> None:
        kept = timedelta(seconds=self.QUEUE["MessageRetentionPeriod"])

        assert kept > sum(RETRY_DELAYS, timedelta(days=12))

    def test_a_queue_that_is_not_empty_for_an_hour_raises_an_alarm(self) -> None:
        alarm = RESOURCES["WebhooksWaitingAlarm"]["Properties"]

        assert alarm["Dimensions"] == [
            {"Name": "QueueName", "Value": {"Fn::GetAtt": ["WebhookQueue", "QueueName"]}}
        ]
        assert timedelta(seconds=alarm["Period"] * alarm["EvaluationPeriods"]) == timedelta(hours=1)

    def test_a_message_stays_hidden_while_it_is_sent(self) -> None:
        # Lambda asks for six times the function's timeout.
        assert self.QUEUE["VisibilityTimeout"] >= 6 * self.SENDER["Timeout"]
        assert self.SENDER["Timeout"] >= 2 * TIMEOUT_SECONDS

    def test_one_message_is_sent_at_a_time_by_few_senders(self) -> None:
        mapping = RESOURCES["WebhookDeliveries"]["Properties"]

        assert mapping["BatchSize"] == 1
        assert mapping["ScalingConfig"] == {"MaximumConcurrency": 5}
        assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]

    @pytest.mark.parametrize("name", ["Publisher", "WebhookSender"])
    def test_the_table_of_keys_is_open_for_items_of_accounts_only(self, name: str) -> None:
        (found,) = [
            s for owner, s in statements() if owner == name and resources_of(s) == [table_arn("access")]
        ]

        assert found["Action"] == "dynamodb:GetItem"
        assert found["Condition"] == {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["account#*"]}}


class TestExpiry:
    """Records and audit entries expire, and the expirer learns of expired records, and of nothing else."""

    MAPPING: dict[str, Any] = RESOURCES["EventsExpiry"]["Properties"]
    RECORD = stream_of("events", ("instanceSid", "sk"), RECORD_ITEM, None, number=1, has_expired=True)

    @pytest.mark.parametrize("name", [field.name for field in fields(Tables)])
    def test_items_expire_by_the_attribute_that_the_code_writes(self, name: str) -> None:
        table = RESOURCES[f"{name.capitalize()}Table"]["Properties"]

        expected = {"AttributeName": EXPIRY[name], "Enabled": True} if name in EXPIRY else None
        assert table.get("TimeToLiveSpecification") == expected

    @pytest.mark.parametrize(
        ("name", "variable"),
        [
            ("RecordRetentionDays", "RECORD_RETENTION_DAYS"),
            ("AuditRetentionDays", "AUDIT_RETENTION_DAYS"),
        ],
    )
    def test_template_and_code_refuse_the_same_days(self, name: str, variable: str) -> None:
        parameters = {**PARAMETERS, name: "90"}
        environment = Template(ROOT / "template.yaml", parameters).environment("Expirer")
        pattern = TEMPLATE.document["Parameters"][name]["AllowedPattern"]

        assert environment[variable] == "90"
        for days in (
            "",
            "00",
            "090",
            *map(str, (*range(1000), 9999, 10000, 36499, 36500, 36501, 40000, 100000)),
        ):
            is_allowed = re.fullmatch(pattern, days) is not None
            assert is_allowed is (days == "0" or (days[:1] not in ("", "0") and 90 <= int(days) <= 36500))
            try:
                read_settings({**environment, variable: days})
            except ConfigError:
                assert not is_allowed
            else:
                assert is_allowed, days

    def test_by_default_everything_is_kept(self) -> None:
        assert read_settings(TEMPLATE.environment("CoreApi")).retention == Retention()

    def test_the_stream_is_read_from_its_beginning_by_the_alias(self) -> None:
        assert self.MAPPING["FunctionName"] == {"Ref": "Expirer.Alias"}
        assert self.MAPPING["StartingPosition"] == "TRIM_HORIZON"
        assert self.MAPPING["FunctionResponseTypes"] == ["ReportBatchItemFailures"]

    def test_a_failing_batch_is_repeated_for_20_hours_and_then_kept_whole(self) -> None:
        destination = self.MAPPING["DestinationConfig"]["OnFailure"]["Destination"]
        assert destination == {"Fn::GetAtt": ["Unpublished", "Arn"]}
        assert self.MAPPING["BisectBatchOnFunctionError"] is True
        assert self.MAPPING["MaximumRetryAttempts"] == -1
        assert timedelta(seconds=self.MAPPING["MaximumRecordAgeInSeconds"]) == timedelta(hours=20)

    @pytest.mark.parametrize(
        ("changes", "passes"),
        [
            ({}, True),
            ({"userIdentity": None}, False),
            ({"userIdentity": {"type": "Service", "principalId": "other.amazonaws.com"}}, False),
            ({"eventName": "MODIFY"}, False),
            ({"dynamodb": {"Keys": {"sk": {"S": "s#00000007#0001#0001"}}}}, False),
        ],
    )
    def test_the_filter_passes_what_the_code_takes(self, changes: dict[str, Any], passes: bool) -> None:  # noqa: FBT001 - a column
        (pattern,) = [json.loads(f["Pattern"]) for f in self.MAPPING["FilterCriteria"]["Filters"]]
        record = {**self.RECORD, **changes}

        assert self.matches(pattern, record) is passes
        assert (expired_record(record) is not None) is passes

    def matches(self, pattern: Any, value: Any) -> bool:
        """Return whether a filter passes a value, that is, if every member of the pattern has a listed value."""
        if isinstance(pattern, dict):
            return isinstance(value, dict) and all(self.matches(p, value.get(n)) for n, p in pattern.items())
        return any(
            str(value).startswith(choice["prefix"]) if isinstance(choice, dict) else value == choice
            for choice in pattern
        )

    def test_its_role_deletes_nothing_but_events(self) -> None:
        deletes = {
            "dynamodb:BatchWriteItem",
            "dynamodb:DeleteItem",
            "dynamodb:PutItem",
            "dynamodb:UpdateItem",
        }
        tables = {
            arn
            for owner, s in statements()
            if owner == "Expirer" and deletes & set(as_list(s["Action"]))
            for arn in resources_of(s)
        }

        assert tables == {table_arn("events")}

    def test_an_invocation_has_time_for_more_than_one_event(self) -> None:
        assert RESOURCES["Expirer"]["Properties"]["Timeout"] > 3 * RESERVE.total_seconds()


class TestPublishing:
    """The template can be published in the Serverless Application Repository."""

    APPLICATION: dict[str, Any] = TEMPLATE.document["Metadata"]["AWS::ServerlessRepo::Application"]

    def test_its_version_and_licence_are_those_of_the_project(self) -> None:
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

        assert self.APPLICATION["SemanticVersion"] == project["version"] == __version__
        assert self.APPLICATION["SpdxLicenseId"] == project["license"]

    def test_its_texts_are_there(self) -> None:
        for name in ("LicenseUrl", "ReadmeUrl"):
            assert (ROOT / self.APPLICATION[name]).is_file()
        assert len(self.APPLICATION["Description"]) <= 256
