"""The template, compared with the code it deploys, and checked for security and durability."""

import json
import re
from collections import Counter, UserDict
from collections.abc import Iterator, Mapping
from datetime import timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from dev.gateway import HttpRequest, event_of
from dev.template import Template
from functions.publisher.handler import PublisherMetric
from functions.step_runner.reports import Metric as RunMetric
from functions.sweeper.handler import Metric
from shared.adapters.dynamodb.tables import Tables, table_definitions
from shared.adapters.http.webhook_caller import TIMEOUT_SECONDS
from shared.adapters.secrets import prefix_of
from shared.application.sweep import Fault
from shared.config import read_settings
from shared.domain.ids import AccountId
from shared.domain.instance.due import MAX_BACK_OFF
from shared.domain.notifications.webhook import RETRY_DELAYS
from tests.application.sweeps import LASTS, PERIOD
from tests.dialects.paths import OPERATIONS as SERVED

ROOT = Path(__file__).parents[2]
PARAMETERS = {"Stage": "test", "Environment": "dev", "SettingsKeyArn": "arn:key", "Pepper": "p" * 32}
TEMPLATE = Template(ROOT / "template.yaml", PARAMETERS)
RESOURCES: dict[str, Any] = TEMPLATE.document["Resources"]
FUNCTIONS = {function.logical_id: function for function in TEMPLATE.functions()}
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
MAPPED = {
    mapping["Properties"]["FunctionName"]["Fn::GetAtt"][0]
    for mapping in RESOURCES.values()
    if mapping["Type"] == "AWS::Lambda::EventSourceMapping"
}
"""The functions that Lambda itself invokes with batches of a stream or a queue."""
BY_LAMBDA_ITSELF = {"POWERTOOLS_SERVICE_NAME", "POWERTOOLS_LOG_LEVEL"}


def of_type(kind: str) -> dict[str, dict[str, Any]]:
    return {name: r["Properties"] for name, r in RESOURCES.items() if r["Type"] == kind}


def statements() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every policy statement with the resource it belongs to."""
    for name, properties in of_type("AWS::Serverless::Function").items():
        for policy in properties["Policies"]:
            yield from ((name, statement) for statement in policy["Statement"])
    for name, properties in of_type("AWS::IAM::Role").items():
        for policy in properties["Policies"]:
            yield from ((name, statement) for statement in policy["PolicyDocument"]["Statement"])


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


class Recorded(UserDict[str, str]):
    """An environment that records which variables are read."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self.read: set[str] = set()
        super().__init__(variables)

    def get(self, name: str, default: Any = None) -> Any:
        self.read.add(name)
        return self.data.get(name, default)


class TestFunctions:
    """Each handler has its function, and each function its handler, settings and failure handling."""

    def test_every_handler_is_a_function_of_the_template(self) -> None:
        found = {
            f"functions.{path.parent.name}.handler.lambda_handler"
            for path in ROOT.glob("functions/*/handler.py")
        }

        assert {function.handler for function in FUNCTIONS.values()} == found

    @pytest.mark.parametrize("name", FUNCTIONS)
    def test_every_variable_that_is_set_is_read_and_the_reverse(self, name: str) -> None:
        environment = Recorded(FUNCTIONS[name].environment)

        assert read_settings(environment).stage == "test"
        assert set(environment) - BY_LAMBDA_ITSELF == environment.read

    @pytest.mark.parametrize("name", FUNCTIONS)
    def test_every_function_has_its_logs_and_its_artifact(self, name: str) -> None:
        logs = {
            str(TEMPLATE.resolve(group["LogGroupName"])) for group in of_type("AWS::Logs::LogGroup").values()
        }

        assert f"/aws/lambda/{FUNCTIONS[name].name}" in logs
        assert RESOURCES[name]["Metadata"] == {"BuildMethod": "makefile"}

    @pytest.mark.parametrize(
        "name",
        [
            name
            for name in of_type("AWS::Serverless::Function")
            if not name.endswith("Api") and name not in MAPPED
        ],
    )
    def test_failed_asynchronous_invocations_are_kept(self, name: str) -> None:
        config = RESOURCES[name]["Properties"]["EventInvokeConfig"]

        assert config["DestinationConfig"]["OnFailure"]["Destination"] == {
            "Fn::GetAtt": ["DeadLetters", "Arn"]
        }

    @pytest.mark.parametrize(
        ("name", "attempts", "age"),
        [("StepRunner", 2, 3600), ("BulkRunner", 2, 3600), ("Sweeper", 0, 60)],
    )
    def test_age_and_attempts_of_asynchronous_invocations_are_chosen(
        self, name: str, attempts: int, age: int
    ) -> None:
        config = RESOURCES[name]["Properties"]["EventInvokeConfig"]

        assert (config["MaximumRetryAttempts"], config["MaximumEventAgeInSeconds"]) == (attempts, age)
        # Longer than the sweeper's longest back-off, an invocation would only repeat what the sweeper does.
        assert timedelta(seconds=age) <= MAX_BACK_OFF

    def test_only_the_step_runner_reserves_concurrency(self) -> None:
        reserving = {
            name: properties["ReservedConcurrentExecutions"]
            for name, properties in of_type("AWS::Serverless::Function").items()
            if "ReservedConcurrentExecutions" in properties
        }

        assert reserving == {
            "StepRunner": {
                "Fn::If": ["HasRunnerConcurrency", {"Ref": "RunnerConcurrency"}, {"Ref": "AWS::NoValue"}]
            }
        }
        assert TEMPLATE.document["Parameters"]["RunnerConcurrency"]["Default"] == 0

    def test_tracing_is_off_unless_the_deployer_wants_it(self) -> None:
        tracing = TEMPLATE.document["Parameters"]["Tracing"]

        assert TEMPLATE.document["Globals"]["Function"]["Tracing"] == {"Ref": "Tracing"}
        # SAM leaves out mode and permission for this very word only.
        assert (tracing["Default"], tracing["AllowedValues"]) == ("Disabled", ["Active", "Disabled"])

    def test_functions_run_on_arm_with_python_3_13(self) -> None:
        shared = TEMPLATE.document["Globals"]["Function"]

        assert (shared["Runtime"], shared["Architectures"]) == ("python3.13", ["arm64"])


class TestTables:
    """Tables have the keys that the stores expect, and are protected against loss."""

    def test_keys_and_indexes_are_those_of_the_stores(self) -> None:
        names = Tables(
            **{
                name: f"ritornello-test-{name}"
                for name in ("strategies", "instances", "events", "operations", "access", "audit")
            }
        )
        made = {table["TableName"]: canonical(table) for table in TEMPLATE.tables()}
        expected = {table["TableName"]: canonical(table) for table in table_definitions(names)}

        assert made == expected

    @pytest.mark.parametrize("name", of_type("AWS::DynamoDB::Table"))
    def test_every_table_can_be_restored_and_survives_the_stack(self, name: str) -> None:
        properties = RESOURCES[name]["Properties"]

        assert properties["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
        assert properties["DeletionProtectionEnabled"] is True
        assert properties["SSESpecification"] == {"SSEEnabled": True}
        assert (RESOURCES[name]["DeletionPolicy"], RESOURCES[name]["UpdateReplacePolicy"]) == (
            "Retain",
            "Retain",
        )


def canonical(table: dict[str, Any]) -> dict[str, Any]:
    """Return a table's definition without the order of its parts."""
    by_name = {attribute["AttributeName"]: attribute for attribute in table["AttributeDefinitions"]}
    indexes = {index["IndexName"]: index for index in table.get("GlobalSecondaryIndexes", [])}
    return {**table, "AttributeDefinitions": by_name, "GlobalSecondaryIndexes": indexes}


class TestRoles:
    """Each function has the permissions it needs, on the resources it needs."""

    def test_no_action_and_no_resource_is_a_wildcard(self) -> None:
        for owner, statement in statements():
            assert statement["Effect"] == "Allow"
            assert not any("*" in action for action in as_list(statement["Action"])), owner
            for resource in as_list(statement["Resource"]):
                told = str(TEMPLATE.resolve(resource))
                # Schedules, streams, objects and secrets are named as they are made; their group, table, bucket and
                # prefix are ours.
                named = re.sub(
                    r":schedule/ritornello-test/\*|:table/[a-z-]+/stream/\*|:::unpublished/\*"
                    r"|:secret:/ritornello/test/\*|:parameter/ritornello/test/\*",
                    "",
                    told,
                )
                assert "*" not in named, (owner, told)

    @pytest.mark.parametrize(
        ("action", "service", "resource"),
        [
            ("secretsmanager:GetSecretValue", "secretsmanager", "secret:"),
            ("ssm:GetParameter", "ssm", "parameter"),
        ],
    )
    def test_only_the_step_runner_reads_secrets_below_the_prefix(
        self, action: str, service: str, resource: str
    ) -> None:
        readers = [(owner, s) for owner, s in statements() if action in as_list(s["Action"])]
        prefix = prefix_of("test", AccountId("acme"))

        ((owner, statement),) = readers
        allowed = str(TEMPLATE.resolve(statement["Resource"]))
        assert owner == "StepRunner"
        assert as_list(statement["Action"]) == [action]
        assert re.fullmatch(f"arn:aws:{service}:[a-z0-9-]+:[0-9]+:{resource}/ritornello/test/\\*", allowed)
        assert fnmatchcase(f"{allowed.partition(resource)[0]}{resource}{prefix}gateway-AbCdEf", allowed)
        assert not fnmatchcase(allowed.replace("/test/", "/test2/"), allowed)

    def test_the_step_runner_decrypts_secrets_through_their_services_only(self) -> None:
        conditions = [
            s["Condition"]
            for owner, s in statements()
            if owner == "StepRunner" and "kms:ViaService" in json.dumps(s.get("Condition", {}))
        ]
        ((via,),) = ([c["StringEquals"]["kms:ViaService"]] for c in conditions)

        services = [str(TEMPLATE.resolve(service)).partition(".")[0] for service in via]
        assert services == ["secretsmanager", "ssm"]

    def test_a_role_is_passed_to_the_scheduler_only(self) -> None:
        passes = [s for _, s in statements() if "iam:PassRole" in as_list(s["Action"])]

        assert passes
        for statement in passes:
            assert statement["Condition"] == {
                "StringEquals": {"iam:PassedToService": "scheduler.amazonaws.com"}
            }

    def test_only_the_apis_that_save_strategies_make_data_keys(self) -> None:
        makers = {owner for owner, s in statements() if "kms:GenerateDataKey" in as_list(s["Action"])}

        assert makers == {"CoreApi", "AutomationApi"}

    def test_only_the_core_api_writes_keys_and_flags(self) -> None:
        table = {"Fn::GetAtt": ["AccessTable", "Arn"]}
        writers = {
            owner: s.get("Condition")
            for owner, s in statements()
            if table in as_list(s["Resource"]) and "dynamodb:PutItem" in as_list(s["Action"])
        }

        sessions = {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["session#*"]}}
        assert writers == {"CoreApi": None, "OrdersApi": sessions}


class TestChanges:
    """Streams have both images, and a batch that fails is repeated and then kept whole."""

    STREAMS = ("InstancesTable", "StrategiesTable", "OperationsTable")

    def test_three_tables_have_a_stream_with_both_images(self) -> None:
        streams = {
            name: properties["StreamSpecification"]
            for name, properties in of_type("AWS::DynamoDB::Table").items()
            if "StreamSpecification" in properties
        }

        assert streams == {name: {"StreamViewType": "NEW_AND_OLD_IMAGES"} for name in self.STREAMS}

    @pytest.mark.parametrize("table", STREAMS)
    def test_each_stream_is_published_from_its_beginning(self, table: str) -> None:
        mapping = self.mapping(table)

        assert mapping["FunctionName"] == {"Fn::GetAtt": ["Publisher", "Arn"]}
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
    def test_filters_leave_out_what_announces_nothing(
        self,
        table: str,
        record: dict[str, str],
        passes: bool,  # noqa: FBT001 - a column
    ) -> None:
        patterns = [json.loads(f["Pattern"]) for f in self.mapping(table)["FilterCriteria"]["Filters"]]

        assert any(self.matches(pattern, record) for pattern in patterns) is passes

    def test_the_publisher_is_late_after_an_hour(self) -> None:
        (late,) = [
            alarm
            for alarm in of_type("AWS::CloudWatch::Alarm").values()
            if alarm.get("MetricName") == "IteratorAge"
        ]

        assert timedelta(milliseconds=late["Threshold"]) == timedelta(hours=1)
        assert late["Dimensions"] == [{"Name": "FunctionName", "Value": {"Ref": "Publisher"}}]

    @pytest.mark.parametrize("metric", PublisherMetric)
    def test_every_metric_of_the_publisher_raises_an_alarm(self, metric: PublisherMetric) -> None:
        names = [alarm.get("MetricName") for alarm in of_type("AWS::CloudWatch::Alarm").values()]

        assert metric.value in names

    @pytest.mark.parametrize(("parameter", "bus"), [("", "ritornello-test"), ("theirs", "theirs")])
    def test_the_bus_is_the_stacks_own_or_the_one_that_is_named(self, parameter: str, bus: str) -> None:
        template = Template(ROOT / "template.yaml", {**PARAMETERS, "EventBusName": parameter})
        (allowed,) = [
            statement["Resource"]
            for policy in RESOURCES["Publisher"]["Properties"]["Policies"]
            for statement in policy["Statement"]
            if statement["Action"] == "events:PutEvents"
        ]

        assert next(template.functions()).environment["EVENT_BUS"] == bus
        assert template.resolve(allowed) == f"arn:aws:events:eu-central-1:123456789012:event-bus/{bus}"

    @staticmethod
    def mapping(table: str) -> dict[str, Any]:
        source = {"Fn::GetAtt": [table, "StreamArn"]}
        mappings = of_type("AWS::Lambda::EventSourceMapping").values()
        (found,) = [mapping for mapping in mappings if mapping["EventSourceArn"] == source]
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
        table = {"Fn::GetAtt": ["AccessTable", "Arn"]}
        (found,) = [s for owner, s in statements() if owner == name and s["Resource"] == table]

        assert found["Action"] == "dynamodb:GetItem"
        assert found["Condition"] == {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["account#*"]}}


def policy_of(function: str, routes: int) -> dict[str, Any]:
    """Return the resource policy of a function with the longest names that a stack can have."""
    stage, region, account, stack = "s" * 20, "ap-southeast-1", "123456789012", "k" * 128
    arn = f"arn:aws-us-gov:lambda:{region}:{account}:function:ritornello-{stage}-automation-api"
    source = f"arn:aws-us-gov:execute-api:{region}:{account}:abcdefghij/*/*/scheduler/*"
    statement = {
        "Sid": f"{stack}-{function}EverythingPermission-1A2B3C4D5E6F",
        "Effect": "Allow",
        "Principal": {"Service": "apigateway.amazonaws.com"},
        "Action": "lambda:InvokeFunction",
        "Resource": arn,
        "Condition": {"ArnLike": {"AWS:SourceArn": source}},
    }
    return {"Version": "2012-10-17", "Id": "default", "Statement": [statement] * routes}


class TestTheApi:
    """Each dialect has a few routes of its own, which lead all its operations to its function."""

    @pytest.mark.parametrize("function", SERVED)
    def test_every_operation_leads_to_its_function(self, function: str) -> None:
        for method, path in SERVED[function]:
            target = re.sub(r"\{\w+\}", "x-1", path)
            request = HttpRequest(method=method, target=target, headers={}, body=b"", source="127.0.0.1")
            found = event_of(request, TEMPLATE.routes())
            assert found is not None
            assert found[0] == function, f"{method} {path}"

    def test_everything_else_is_refused_by_the_core_dialect(self) -> None:
        for target in ("/", "/joc", "/unknown/path", "/execution-instance/a/b/c"):
            request = HttpRequest(method="PUT", target=target, headers={}, body=b"", source="127.0.0.1")
            found = event_of(request, TEMPLATE.routes())
            assert found is not None
            assert found[0] == "CoreApi"

    def test_the_resource_policies_are_far_below_lambdas_limit(self) -> None:
        """SAM adds a permission to the policy of a function for each of its routes; the limit is 20,480 bytes."""
        sizes = {
            function: len(json.dumps(policy_of(function, routes)))
            for function, routes in Counter(route.function for route in TEMPLATE.routes()).items()
        }

        assert max(sizes.values()) < 20_480 / 10

    def test_the_api_is_throttled(self) -> None:
        (api,) = of_type("AWS::Serverless::HttpApi").values()

        assert set(api["DefaultRouteSettings"]) == {"ThrottlingBurstLimit", "ThrottlingRateLimit"}


class TestWatching:
    """Every alarm is sent and documented, and the dashboard is valid."""

    @pytest.mark.parametrize("name", of_type("AWS::CloudWatch::Alarm"))
    def test_every_alarm_is_documented_and_sent(self, name: str) -> None:
        properties = RESOURCES[name]["Properties"]

        assert (
            f"| `{TEMPLATE.resolve(properties['AlarmName']).removeprefix('ritornello-test-')}` |"
            in OPERATIONS
        )
        assert properties["AlarmActions"] == {
            "Fn::If": ["HasAlarmTopic", [{"Ref": "AlarmTopicArn"}], {"Ref": "AWS::NoValue"}]
        }

    @pytest.mark.parametrize("name", FUNCTIONS)
    def test_errors_of_every_function_raise_an_alarm(self, name: str) -> None:
        watched = [
            alarm["Dimensions"]
            for alarm in of_type("AWS::CloudWatch::Alarm").values()
            if alarm.get("MetricName") == "Errors"
        ]

        assert [{"Name": "FunctionName", "Value": {"Ref": name}}] in watched

    def test_the_dashboard_shows_every_metric_of_ours(self) -> None:
        (dashboard,) = of_type("AWS::CloudWatch::Dashboard").values()
        text = re.sub(r"\$\{[^}]+\}", "x", dashboard["DashboardBody"]["Fn::Sub"])
        ours = {
            metric[1]
            for widget in json.loads(text)["widgets"]
            for metric in widget["properties"]["metrics"]
            if metric[0] == "Ritornello"
        }
        by_service = set(re.findall(r"'\{Ritornello,[^}]+\} MetricName=\\\"(\w+)", text))

        assert ours | by_service == {*map(str, Metric), *map(str, RunMetric)}

    def test_a_missing_wait_raises_the_alarm(self) -> None:
        (lateness,) = [
            alarm
            for alarm in of_type("AWS::CloudWatch::Alarm").values()
            if alarm.get("MetricName") == Metric.WAIT.value
        ]

        assert lateness["TreatMissingData"] == "breaching"

    def test_the_alarms_of_failed_instances_last_longer_than_their_back_off(self) -> None:
        for failed in self.failures():
            assert failed["DatapointsToAlarm"] == 1
            assert failed["EvaluationPeriods"] * failed["Period"] > MAX_BACK_OFF.total_seconds()

    def test_each_kind_of_failure_has_an_alarm(self) -> None:
        """The one without a kind counts all of them."""
        kinds = [
            {dimension["Name"]: dimension["Value"] for dimension in alarm["Dimensions"]}.get("fault")
            for alarm in self.failures()
        ]

        assert sorted(kinds, key=str) == sorted(
            [None, *(fault.value for fault in Fault if fault is not Fault.OTHER)], key=str
        )

    @staticmethod
    def failures() -> list[dict[str, Any]]:
        alarms = of_type("AWS::CloudWatch::Alarm").values()
        return [alarm for alarm in alarms if alarm.get("MetricName") == Metric.FAILED.value]

    def test_the_sweeper_ends_before_the_next_one_begins(self) -> None:
        assert RESOURCES["Sweeper"]["Properties"]["Timeout"] == LASTS.total_seconds()
        assert LASTS < PERIOD


class TestParameters:
    """Every parameter of the template is documented."""

    @pytest.mark.parametrize("name", TEMPLATE.document["Parameters"])
    def test_every_parameter_is_documented(self, name: str) -> None:
        assert f"| `{name}` |" in OPERATIONS
