"""The template, compared with the code it deploys, and checked for security and durability."""

import json
import re
import tomllib
from collections import Counter, UserDict
from collections.abc import Iterator, Mapping
from dataclasses import fields
from datetime import timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from dev.gateway import HttpRequest, event_of
from dev.stream_records import record_of as stream_of
from dev.template import Template
from functions.publisher.handler import PublisherMetric
from functions.step_runner.reports import Metric as RunMetric
from functions.sweeper.handler import Metric
from shared import __version__
from shared.adapters.dynamodb.expiry import expired_record
from shared.adapters.dynamodb.items import record_item
from shared.adapters.dynamodb.strategies import settings_context
from shared.adapters.dynamodb.tables import EXPIRY, Tables, table_definitions
from shared.adapters.dynamodb.webhooks import webhook_context
from shared.adapters.http.webhook_caller import TIMEOUT_SECONDS
from shared.adapters.peppers import hasher_of
from shared.adapters.secrets import prefix_of
from shared.application.expire import RESERVE
from shared.application.sweep import Fault
from shared.config import ConfigError, read_settings
from shared.domain.ids import AccountId, StrategySid
from shared.domain.instance.due import MAX_BACK_OFF
from shared.domain.instance.retention import Retention
from shared.domain.notifications.webhook import RETRY_DELAYS
from tests.application.sweeps import LASTS, PERIOD
from tests.dialects.paths import OPERATIONS as SERVED
from tests.dialects.wire import TOKEN_ROUTES
from tests.full import INSTANCE, RECORD

ROOT = Path(__file__).parents[2]
PARAMETERS = {"Stage": "test", "Environment": "dev", "SettingsKeyArn": "arn:key"}
TEMPLATE = Template(ROOT / "template.yaml", PARAMETERS)
RESOURCES: dict[str, Any] = TEMPLATE.document["Resources"]
FUNCTIONS = {function.logical_id: function for function in TEMPLATE.functions()}
OPERATIONS = "\n".join((ROOT / "docs" / f"{name}.md").read_text() for name in ("deployment", "operations"))
MAPPED = {
    mapping["Properties"]["FunctionName"]["Ref"].removesuffix(".Alias")
    for mapping in RESOURCES.values()
    if mapping["Type"] == "AWS::Lambda::EventSourceMapping"
}
"""The functions that Lambda itself invokes with batches of a stream or a queue."""
RECORD_ITEM = record_item(INSTANCE, RECORD, kept=timedelta(days=90))
BY_LAMBDA_ITSELF = {"POWERTOOLS_SERVICE_NAME", "POWERTOOLS_LOG_LEVEL"}
OF_TOKENS = {"JWT_ACCOUNT_CLAIM", "JWT_ROLE_CLAIM", "JWT_ROLE_PREFIX"}
"""The variables of the functions that take tokens."""


def of_type(kind: str) -> dict[str, dict[str, Any]]:
    return {name: r["Properties"] for name, r in RESOURCES.items() if r["Type"] == kind}


def statements() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every policy statement with the resource it belongs to."""
    for name, properties in of_type("AWS::Serverless::Function").items():
        assert properties["Policies"][0] == {"Ref": "FunctionsPolicy"}
        for policy in properties["Policies"][1:]:
            yield from ((name, statement) for statement in policy["Statement"])
    for name, properties in of_type("AWS::IAM::Role").items():
        for policy in properties["Policies"]:
            yield from ((name, statement) for statement in policy["PolicyDocument"]["Statement"])


def table_arn(name: str) -> str:
    return f"arn:aws:dynamodb:eu-central-1:123456789012:table/ritornello-test-{name}"


def resources_of(statement: Mapping[str, Any], template: Template = TEMPLATE) -> list[str]:
    """Return the ARNs of a statement, without those that a condition leaves out."""
    return [str(template.resolve(resource)) for resource in as_list(statement["Resource"])]


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
        set_here = set(environment) - BY_LAMBDA_ITSELF
        assert set_here | {"PEPPER"} | OF_TOKENS == environment.read
        assert ("PEPPER" in set_here) is name.endswith("Api")
        assert set_here & OF_TOKENS == (OF_TOKENS if name in ("CoreApi", "AutomationApi") else set())

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


def parameters_in(value: Any) -> set[str]:
    """Return the parameters on which a part of the template depends, also by its conditions."""
    document = TEMPLATE.document
    named: set[str] = set(document["Parameters"])
    found: set[str] = set()
    match value:
        case {"Ref": name}:
            return named & {name}
        case {"Fn::Sub": str(text)}:
            return named & set(re.findall(r"\$\{(\w+)\}", text))
        case {"Condition": str(name)}:
            return parameters_in(document["Conditions"][name])
        case {"Fn::If": [name, *values]}:
            return parameters_in([{"Condition": name}, *values])
        case dict():
            found = set().union(*(parameters_in(one) for one in value.values()))
        case list():
            found = set().union(*(parameters_in(one) for one in value))
    return found


class TestVersions:
    """Functions are invoked by an alias, which leads to what was deployed last, with the parameters of then."""

    def test_whatever_invokes_a_function_names_its_alias(self) -> None:
        settings = read_settings(FUNCTIONS["StepRunner"].environment)
        invoked = [
            resource
            for _, statement in statements()
            if "lambda:InvokeFunction" in as_list(statement["Action"])
            for resource in resources_of(statement)
        ]

        for arn in (settings.step_runner_arn, settings.bulk_runner_arn, *invoked):
            assert re.search(r":function:ritornello-test-[a-z-]+:live$", arn), arn
        assert len(invoked) >= 4
        for mapping in of_type("AWS::Lambda::EventSourceMapping").values():
            assert mapping["FunctionName"]["Ref"].endswith(".Alias")

    def test_the_configuration_has_every_parameter_of_functions_and_no_other(self) -> None:
        content = of_type("AWS::AppConfig::HostedConfigurationVersion")["Configuration"]["Content"]
        functions = of_type("AWS::Serverless::Function").values()
        # Roles and triggers are no part of a version, and neither is reserved concurrency.
        outside = {"Policies", "Events", "EventInvokeConfig", "ReservedConcurrentExecutions"}
        own = [{key: value for key, value in one.items() if key not in outside} for one in functions]

        assert parameters_in(content) == parameters_in([TEMPLATE.document["Globals"]["Function"], own])
        # The version of the layer is there too, so that other libraries publish a version of every function.
        names = sorted({*parameters_in(content), "Libraries"})
        assert content["Fn::Sub"] == "".join(f"{name}=${{{name}}}\n" for name in names)

    @pytest.mark.parametrize(("parameter", "applies"), [("On", "PublishedVersions"), ("Off", "None")])
    def test_snapshots_are_taken_if_the_deployer_wants_them(self, parameter: str, applies: str) -> None:
        template = Template(ROOT / "template.yaml", {**PARAMETERS, "SnapStart": parameter})
        assert template.resolve(template.document["Globals"]["Function"]["SnapStart"]) == {"ApplyOn": applies}
        assert Template(ROOT / "template.yaml", PARAMETERS).resolve({"Ref": "SnapStart"}) == "Off"


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
        assert properties["SSESpecification"] == {"SSEEnabled": True}

    @pytest.mark.parametrize(
        "name",
        [
            name
            for kind in ("AWS::DynamoDB::Table", "AWS::SQS::Queue", "AWS::S3::Bucket")
            for name in of_type(kind)
        ],
    )
    def test_what_holds_data_survives_the_stack_but_not_a_failed_first_deployment(self, name: str) -> None:
        """What a failed creation left would make the next one fail, because the names are taken."""
        resource = RESOURCES[name]

        assert resource["DeletionPolicy"] == "RetainExceptOnCreate"
        assert resource["UpdateReplacePolicy"] == "Retain"

    @pytest.mark.parametrize(("parameter", "protected"), [("false", False), ("true", True)])
    def test_tables_are_protected_once_the_deployer_says_so(
        self,
        parameter: str,
        protected: bool,  # noqa: FBT001 - a column
    ) -> None:
        template = Template(ROOT / "template.yaml", {**PARAMETERS, "DeletionProtection": parameter})
        tables = of_type("AWS::DynamoDB::Table").values()

        assert {template.resolve(table["DeletionProtectionEnabled"]) for table in tables} == {protected}
        assert TEMPLATE.document["Parameters"]["DeletionProtection"]["Default"] == "false"


TOKENS = {"JwtIssuer": "https://id.example.com", "JwtAudience": "ritornello,other"}
LABEL = "2026-11-29T06:00:00.000"
ADOPTED = {
    **PARAMETERS,
    "AdoptTables": "true",
    "TablesSuffix": "-restored-1",
    **{f"{name}Stream": LABEL for name in ("Instances", "Strategies", "Operations", "Events")},
}


TEMPLATE_OF_ADOPTED = Template(ROOT / "template.yaml", ADOPTED)


def named(value: Any, template: Template) -> Iterator[str]:
    """Yield the names that a part of the template refers to, without what a condition leaves out."""
    if isinstance(value, list):
        for part in value:
            yield from named(part, template)
    if not isinstance(value, dict):
        return
    for key, part in value.items():
        match key, part:
            case "Fn::If", [condition, then, otherwise]:
                yield from named(then if template.holds(condition) else otherwise, template)
            case "Fn::GetAtt", [name, _]:
                yield name
            case "Ref", str():
                yield part.removesuffix(".Stage")
            case "Fn::Sub", str():
                yield from (found.split(".")[0] for found in re.findall(r"\$\{([^}]+)\}", part))
            case _:
                yield from named(part, template)


class TestAdoption:
    """A stack can use tables that exist, such as restored ones, instead of its own."""

    TEMPLATE = TEMPLATE_OF_ADOPTED

    def test_it_makes_no_tables_then(self) -> None:
        assert list(self.TEMPLATE.tables()) == []
        assert len(list(TEMPLATE.tables())) == len(of_type("AWS::DynamoDB::Table"))

    @pytest.mark.parametrize(
        "parameters", [PARAMETERS, ADOPTED, {**PARAMETERS, **TOKENS}], ids=["own", "adopted", "tokens"]
    )
    def test_every_reference_leads_to_something_that_is_made(self, parameters: dict[str, str]) -> None:
        template = Template(ROOT / "template.yaml", parameters)
        document = template.document
        made = {n for n, r in document["Resources"].items() if template.holds(r.get("Condition"))}
        outputs = [o for o in document["Outputs"].values() if template.holds(o.get("Condition"))]
        parts = [document["Globals"], *outputs]
        parts += [document["Resources"][name]["Properties"] for name in made]
        names = {name.removesuffix(".Alias") for part in parts for name in named(part, template)}

        known = made | set(document["Parameters"])
        assert {name for name in names if not name.startswith("AWS::")} - known == set()

    def test_functions_read_and_write_the_adopted_tables(self) -> None:
        for function in self.TEMPLATE.functions():
            for name in ("strategies", "instances", "events", "operations", "access", "audit"):
                table = function.environment[f"{name.upper()}_TABLE"]
                assert table == f"ritornello-test-{name}-restored-1"

    def test_the_roles_name_the_adopted_tables_only(self) -> None:
        arns = {arn for _, s in statements() for arn in resources_of(s, self.TEMPLATE) if ":dynamodb:" in arn}

        assert {re.sub(r"/(index|stream)/.*", "", arn) for arn in arns} == {
            f"{table_arn(name)}-restored-1"
            for name in ("strategies", "instances", "events", "operations", "access", "audit")
        }

    def test_the_publisher_follows_the_adopted_streams(self) -> None:
        sources = {
            self.TEMPLATE.resolve(mapping["EventSourceArn"])
            for name, mapping in of_type("AWS::Lambda::EventSourceMapping").items()
            if name not in ("WebhookDeliveries", "EventsExpiry")
        }
        read = next(
            s
            for owner, s in statements()
            if owner == "Publisher" and "dynamodb:GetRecords" in as_list(s["Action"])
        )

        assert sources == {
            f"{table_arn(name)}-restored-1/stream/{LABEL}"
            for name in ("instances", "strategies", "operations")
        }
        assert set(resources_of(read, self.TEMPLATE)) == sources

    def test_the_expirer_follows_the_adopted_stream(self) -> None:
        source = self.TEMPLATE.resolve(RESOURCES["EventsExpiry"]["Properties"]["EventSourceArn"])
        (read,) = (
            s
            for owner, s in statements()
            if owner == "Expirer" and "dynamodb:GetRecords" in as_list(s["Action"])
        )

        assert source == f"{table_arn('events')}-restored-1/stream/{LABEL}"
        assert resources_of(read, self.TEMPLATE) == [source]

    @pytest.mark.parametrize(
        ("changed", "rule"),
        [
            ({"AdoptTables": "false"}, "TablesThatAreMadeHaveNoSuffix"),
            ({"InstancesStream": ""}, "AdoptedTablesHaveStreams"),
            ({"StrategiesStream": ""}, "AdoptedTablesHaveStreams"),
            ({"OperationsStream": ""}, "AdoptedTablesHaveStreams"),
            ({"EventsStream": ""}, "AdoptedTablesHaveStreams"),
        ],
    )
    def test_half_an_adoption_is_refused_before_anything_changes(
        self, changed: dict[str, str], rule: str
    ) -> None:
        """A suffix alone would replace the tables by empty ones."""
        assert broken_rules(ADOPTED) == broken_rules(PARAMETERS) == []
        assert broken_rules({**ADOPTED, **changed}) == [rule]


def broken_rules(parameters: Mapping[str, str]) -> list[str]:
    """Return the rules of the template that these parameters break."""
    template = Template(ROOT / "template.yaml", parameters)
    return [
        name
        for name, rule in template.document["Rules"].items()
        if template.is_true(rule.get("RuleCondition", True))
        and not all(template.is_true(assertion["Assert"]) for assertion in rule["Assertions"])
    ]


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
        readers = [
            (owner, s)
            for owner, s in statements()
            if action in as_list(s["Action"]) and "/ritornello/" in str(TEMPLATE.resolve(s["Resource"]))
        ]
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

    @pytest.mark.parametrize(
        ("role", "group"), [("SchedulerRole", "ritornello-test"), ("SweepScheduleRole", "default")]
    )
    def test_a_role_of_schedules_is_assumed_for_its_group_of_this_account_only(
        self, role: str, group: str
    ) -> None:
        (trust,) = RESOURCES[role]["Properties"]["AssumeRolePolicyDocument"]["Statement"]

        assert trust["Principal"] == {"Service": "scheduler.amazonaws.com"}
        assert TEMPLATE.resolve(trust["Condition"]) == {
            "StringEquals": {
                "aws:SourceAccount": "123456789012",
                "aws:SourceArn": f"arn:aws:scheduler:eu-central-1:123456789012:schedule-group/{group}",
            }
        }

    def test_every_schedule_of_the_template_has_a_role_of_ours(self) -> None:
        """SAM would make one that Scheduler may assume for any schedule."""
        schedules = [
            event["Properties"]["RoleArn"]
            for function in of_type("AWS::Serverless::Function").values()
            for event in function.get("Events", {}).values()
            if event["Type"] == "ScheduleV2"
        ]

        assert schedules == [{"Fn::GetAtt": ["SweepScheduleRole", "Arn"]}]

    def test_inline_policies_are_below_the_limit_of_a_role(self) -> None:
        """IAM allows 10,240 characters without spaces, for all inline policies of a role."""
        longest = {**ADOPTED, "Stage": "s" * 20, "TablesSuffix": "-" + "x" * 40}
        template = Template(ROOT / "template.yaml", longest)
        sizes = {
            name: sum(
                len(re.sub(r"\s", "", json.dumps(template.resolve(policy))))
                for policy in function["Policies"][1:]
            )
            for name, function in of_type("AWS::Serverless::Function").items()
        }

        # Partition and Region are longer elsewhere, by up to 20 characters an ARN.
        assert max(sizes.values()) < 10_240 * 0.8, sizes

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
        writers = {
            owner: s.get("Condition")
            for owner, s in statements()
            if table_arn("access") in resources_of(s) and "dynamodb:PutItem" in as_list(s["Action"])
        }

        sessions = {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["session#*"]}}
        assert writers == {"CoreApi": None, "OrdersApi": sessions}


SETTINGS, WEBHOOK = '["acme", "0197-s", 3]', '["webhook", "acme"]'
"""Encryption contexts, as the stores of strategies and of webhooks give them."""


class TestKeys:
    """The environment is encrypted, and a role decrypts only data keys of the kind that its function needs."""

    def test_the_environment_is_encrypted_under_the_key_of_settings(self) -> None:
        assert TEMPLATE.document["Globals"]["Function"]["KmsKeyArn"] == {"Ref": "SettingsKeyArn"}

    def test_each_function_decrypts_its_environment(self) -> None:
        allowed, *_ = RESOURCES["FunctionsPolicy"]["Properties"]["PolicyDocument"]["Statement"]

        assert (allowed["Effect"], allowed["Action"]) == ("Allow", "kms:Decrypt")
        (pattern,) = TEMPLATE.resolve(allowed["Condition"])["StringLike"].values()
        assert list(allowed["Condition"]["StringLike"]) == ["kms:EncryptionContext:aws:lambda:FunctionArn"]
        for function in FUNCTIONS.values():
            arn = f"arn:aws:lambda:eu-central-1:123456789012:function:{function.name}"
            assert fnmatchcase(arn, pattern)

    @pytest.mark.parametrize(
        ("name", "contexts"),
        [
            ("StepRunner", {SETTINGS}),
            ("Sweeper", {SETTINGS}),
            ("BulkRunner", {SETTINGS}),
            ("CoreApi", {SETTINGS, WEBHOOK}),
            ("ProcessApi", {SETTINGS}),
            ("AutomationApi", {SETTINGS}),
            ("OrdersApi", {SETTINGS}),
            ("WebhookSender", {WEBHOOK}),
            ("Publisher", set()),
            ("Expirer", set()),
        ],
    )
    def test_data_keys_are_decrypted_in_contexts_of_their_kind_only(
        self, name: str, contexts: set[str]
    ) -> None:
        patterns = [
            pattern
            for owner, statement in statements()
            if owner == name and "kms:Decrypt" in as_list(statement["Action"])
            if "kms:ViaService" not in str(statement["Condition"])
            for pattern in as_list(statement["Condition"]["StringLike"]["kms:EncryptionContext:settings"])
        ]

        decrypted = {
            context
            for context in (SETTINGS, WEBHOOK, '["webhook", "0197-s", 3]')
            # In IAM's patterns a bracket is a bracket.
            if any(fnmatchcase(context, pattern.replace("[", "[[]")) for pattern in patterns)
        }
        # An account may be called "webhook"; its settings are settings.
        assert decrypted == contexts | ({'["webhook", "0197-s", 3]'} if SETTINGS in contexts else set())

    def test_the_contexts_are_those_of_the_stores(self) -> None:
        account = AccountId("acme")

        assert settings_context(account, StrategySid("0197-s"), 3) == SETTINGS
        assert webhook_context(account) == WEBHOOK


class TestThePepper:
    """The pepper is made by the stack, kept in Secrets Manager, and read by the functions that hash with it."""

    def test_the_stack_makes_one_that_is_long_enough(self) -> None:
        secret = RESOURCES["PepperSecret"]

        made = secret["Properties"]["GenerateSecretString"]
        assert made == {"PasswordLength": 64, "ExcludePunctuation": True}
        assert hasher_of("x" * made["PasswordLength"]).others == ()
        assert (secret["DeletionPolicy"], secret["UpdateReplacePolicy"]) == (
            "RetainExceptOnCreate",
            "Retain",
        )

    def test_only_the_apis_may_read_it(self) -> None:
        readers = {
            owner: (s["Action"], s["Resource"]) for owner, s in statements() if "Pepper" in str(s["Resource"])
        }

        place = {
            "Fn::If": [
                "MakesPepper",
                {"Fn::GetAtt": ["PepperSecret", "Id"]},
                {"Ref": "PepperSecretArn"},
            ]
        }
        assert readers == dict.fromkeys(
            ("CoreApi", "ProcessApi", "AutomationApi", "OrdersApi"), ("secretsmanager:GetSecretValue", place)
        )

    def test_a_secret_that_is_named_is_used_instead(self) -> None:
        template = Template(ROOT / "template.yaml", {**PARAMETERS, "PepperSecretArn": "arn:theirs"})
        environments = [f.environment for f in template.functions() if f.logical_id.endswith("Api")]

        assert not template.holds(RESOURCES["PepperSecret"]["Condition"])
        assert {environment["PEPPER"] for environment in environments} == {"arn:theirs"}


class TestNetwork:
    """Functions run in a VPC if subnets are given, and their code can't manage network interfaces."""

    def test_functions_run_in_the_subnets_that_are_given(self) -> None:
        vpc = TEMPLATE.document["Globals"]["Function"]["VpcConfig"]["Fn::If"]

        assert vpc[0] == "HasVpc"
        assert vpc[1] == {
            "SubnetIds": {"Fn::Split": [",", {"Ref": "SubnetIds"}]},
            "SecurityGroupIds": {"Fn::Split": [",", {"Ref": "SecurityGroupIds"}]},
        }
        assert vpc[2] == {"Ref": "AWS::NoValue"}

    @pytest.mark.parametrize(
        ("subnets", "groups", "broken"),
        [
            ("", "", []),
            ("subnet-1a,subnet-2b", "sg-1a", []),
            ("subnet-1a", "", ["SubnetsHaveSecurityGroups"]),
            ("", "sg-1a", ["SubnetsHaveSecurityGroups"]),
        ],
    )
    def test_subnets_and_security_groups_are_given_together(
        self, subnets: str, groups: str, broken: list[str]
    ) -> None:
        parameters = {**PARAMETERS, "SubnetIds": subnets, "SecurityGroupIds": groups}

        assert broken_rules(parameters) == broken
        assert Template(ROOT / "template.yaml", parameters).holds("HasVpc") is (bool(subnets and groups))

    def test_no_function_makes_a_log_group_that_the_stack_does_not_own(self) -> None:
        """One that is made late would be in the way of the next deployment."""
        _, denied, _ = RESOURCES["FunctionsPolicy"]["Properties"]["PolicyDocument"]["Statement"]

        assert (denied["Effect"], denied["Action"]) == ("Deny", "logs:CreateLogGroup")
        for name, function in FUNCTIONS.items():
            group = str(TEMPLATE.resolve(RESOURCES[f"{name}Logs"]["Properties"]["LogGroupName"]))
            arn = f"arn:aws:logs:eu-central-1:123456789012:log-group:{group}"
            assert group == f"/aws/lambda/{function.name}"
            assert fnmatchcase(arn, str(TEMPLATE.resolve(denied["Resource"])))
            assert RESOURCES[name]["Properties"]["LoggingConfig"] == {"LogGroup": {"Ref": f"{name}Logs"}}

    def test_the_code_of_functions_is_denied_what_lambda_does_for_the_network(self) -> None:
        _, _, denied = RESOURCES["FunctionsPolicy"]["Properties"]["PolicyDocument"]["Statement"]

        assert (denied["Effect"], denied["Resource"]) == ("Deny", "*")
        # As AWSLambdaVPCAccessExecutionRole has them, with the one that Lambda's documentation adds.
        assert set(denied["Action"]) == {
            "ec2:CreateNetworkInterface",
            "ec2:DeleteNetworkInterface",
            "ec2:DescribeNetworkInterfaces",
            "ec2:DescribeSubnets",
            "ec2:DetachNetworkInterface",
            "ec2:AssignPrivateIpAddresses",
            "ec2:UnassignPrivateIpAddresses",
        }
        (pattern,) = TEMPLATE.resolve(denied["Condition"])["ArnLike"].values()
        for function in FUNCTIONS.values():
            assert fnmatchcase(f"arn:aws:lambda:eu-central-1:123456789012:function:{function.name}", pattern)


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
    def test_filters_leave_out_what_announces_nothing(
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
        """Return whether a filter passes a value: every member of the pattern has one of the listed values."""
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
            function: len(json.dumps(policy_of(function, routes + 1)))
            # One more is that of the API for tokens.
            for function, routes in Counter(route.function for route in TEMPLATE.routes()).items()
        }

        assert max(sizes.values()) < 20_480 / 10

    API: dict[str, Any] = RESOURCES["Api"]["Properties"]

    def test_the_api_is_throttled(self) -> None:
        assert TEMPLATE.resolve(self.API["DefaultRouteSettings"]) == {
            "ThrottlingBurstLimit": 500,
            "ThrottlingRateLimit": 250,
        }

    def test_every_request_has_a_line_of_json_in_the_access_log(self) -> None:
        line = json.loads(self.API["AccessLogSettings"]["Format"])

        assert {"requestId", "method", "path", "status", "sourceIp"} <= set(line)
        assert TEMPLATE.resolve(RESOURCES["ApiLogs"]["Properties"]) == {
            "LogGroupName": "/aws/vendedlogs/ritornello-test-api",
            "RetentionInDays": 90,
        }

    def test_the_access_log_has_nothing_that_may_be_a_secret(self) -> None:
        """Query strings and headers hold what clients put there; the authorizer's context would hold claims."""
        used = set(re.findall(r"\$context\.([\w.]+)", self.API["AccessLogSettings"]["Format"]))

        assert used <= {
            "requestId",
            "requestTime",
            "identity.sourceIp",
            "httpMethod",
            "path",
            "routeKey",
            "status",
            "responseLength",
            "responseLatency",
            "integrationStatus",
            "integrationLatency",
            "error.responseType",
            "integrationErrorMessage",
        }

    def test_pages_of_other_origins_are_let_in_only_if_they_are_named(self) -> None:
        condition, cors, otherwise = self.API["DefinitionBody"]["x-amazon-apigateway-cors"]["Fn::If"]

        assert not TEMPLATE.holds(condition)
        assert otherwise == {"Ref": "AWS::NoValue"}
        assert cors["allowOrigins"] == {"Fn::Split": [",", {"Ref": "CorsOrigins"}]}
        # Keys are sent in headers by the page itself, never by the browser.
        assert "allowCredentials" not in cors

    def test_pages_may_send_every_method_and_every_header_that_operations_read(self) -> None:
        cors = self.API["DefinitionBody"]["x-amazon-apigateway-cors"]["Fn::If"][1]

        assert set(cors["allowMethods"]) >= {method for served in SERVED.values() for method, _ in served}
        read = {
            name.lower()
            for path in (ROOT / "shared" / "api").rglob("*.py")
            for name in re.findall(r'headers(?:\.get\(|\[)"([A-Za-z-]+)"', path.read_text())
        }
        assert read
        assert read - set(cors["allowHeaders"]) == set()

    @pytest.mark.parametrize("origins", ["*", "https://*.example.com", "example.com", "https://a.example/"])
    def test_an_origin_is_one_origin(self, origins: str) -> None:
        pattern = TEMPLATE.document["Parameters"]["CorsOrigins"]["AllowedPattern"]

        assert re.fullmatch(pattern, origins) is None
        assert re.fullmatch(pattern, "https://ops.example.com,http://localhost:3000")

    @pytest.mark.parametrize(
        ("parameters", "made"),
        [
            ({}, set()),
            ({"DomainName": "a.example", "CertificateArn": "arn:c"}, {"ApiDomain", "ApiDomainMapping"}),
            (
                {"DomainName": "a.example", "CertificateArn": "arn:c", "HostedZoneId": "Z1"},
                {"ApiDomain", "ApiDomainMapping", "ApiDomainRecord"},
            ),
        ],
    )
    def test_a_domain_of_its_own_is_made_if_it_is_named(
        self, parameters: dict[str, str], made: set[str]
    ) -> None:
        template = Template(ROOT / "template.yaml", {**PARAMETERS, **parameters})

        assert broken_rules({**PARAMETERS, **parameters}) == []
        assert made == {
            name
            for name in RESOURCES
            if name.startswith("ApiDomain") and template.holds(RESOURCES[name].get("Condition"))
        }

    @pytest.mark.parametrize(
        "parameters",
        [{"DomainName": "a.example"}, {"CertificateArn": "arn:c"}, {"HostedZoneId": "Z1"}],
    )
    def test_half_a_domain_is_refused(self, parameters: dict[str, str]) -> None:
        assert broken_rules({**PARAMETERS, **parameters}) == ["DomainsHaveCertificates"]


TEMPLATE_OF_TOKENS = Template(ROOT / "template.yaml", {**PARAMETERS, **TOKENS})


def made_for_tokens(template: Template) -> set[str]:
    """Return the resources and outputs that a template makes for tokens."""
    document = template.document
    parts = {**document["Resources"], **document["Outputs"]}
    return {
        name for name, part in parts.items() if name.startswith("Token") and template.holds(part["Condition"])
    }


class TestTheApiForTokens:
    """Tokens have an API of their own, whose routes all have the authorizer."""

    API: dict[str, Any] = RESOURCES["TokenApi"]["Properties"]
    STAGE: dict[str, Any] = RESOURCES["TokenStage"]["Properties"]

    def test_it_is_made_with_an_issuer_only(self) -> None:
        of_tokens = {
            name
            for name, part in {**RESOURCES, **TEMPLATE.document["Outputs"]}.items()
            if "TokenApi" in json.dumps(part) or name.startswith("Token")
        }

        assert made_for_tokens(TEMPLATE) == set()
        assert made_for_tokens(TEMPLATE_OF_TOKENS) == of_tokens
        assert {"TokenApi", "TokenApiUrl", "TokenApiFailuresAlarm"} < of_tokens
        for name in of_tokens & set(RESOURCES):
            assert RESOURCES[name]["Condition"] == "HasTokens"

    @pytest.mark.parametrize(
        ("parameters", "broken"),
        [
            ({}, []),
            (TOKENS, []),
            ({"JwtIssuer": "https://id.example.com"}, ["IssuersHaveAudiences"]),
            ({"JwtAudience": "ritornello"}, ["IssuersHaveAudiences"]),
        ],
    )
    def test_issuer_and_audience_are_given_together(
        self, parameters: dict[str, str], broken: list[str]
    ) -> None:
        assert broken_rules({**PARAMETERS, **parameters}) == broken

    def test_the_authorizer_verifies_issuer_and_audience(self) -> None:
        authorizer = RESOURCES["TokenAuthorizer"]["Properties"]

        assert authorizer["AuthorizerType"] == "JWT"
        assert authorizer["IdentitySource"] == ["$request.header.Authorization"]
        assert authorizer["JwtConfiguration"] == {
            "Issuer": {"Ref": "JwtIssuer"},
            "Audience": {"Fn::Split": [",", {"Ref": "JwtAudience"}]},
        }

    def test_every_route_has_the_authorizer(self) -> None:
        routes = of_type("AWS::ApiGatewayV2::Route")

        assert routes
        for route in routes.values():
            assert route["AuthorizationType"] == "JWT"
            assert route["AuthorizerId"] == {"Ref": "TokenAuthorizer"}
            assert route["ApiId"] == {"Ref": "TokenApi"}

    def test_no_route_takes_a_preflight(self) -> None:
        """It has no token. API Gateway answers it by itself if no route takes it."""
        methods = {route["RouteKey"].split()[0] for route in of_type("AWS::ApiGatewayV2::Route").values()}

        assert methods == {"GET", "POST", "PUT", "PATCH", "DELETE"}

    @pytest.mark.parametrize("function", ["CoreApi", "AutomationApi"])
    def test_every_operation_of_core_and_8x8_leads_to_its_function(self, function: str) -> None:
        for method, path in SERVED[function]:
            assert self.led(method, re.sub(r"\{\w+\}", "x-1", path)) == function

    @pytest.mark.parametrize("function", ["ProcessApi", "OrdersApi"])
    def test_the_other_dialects_are_unknown_paths_of_the_core_dialect(self, function: str) -> None:
        for method, path in SERVED[function]:
            assert self.led(method, re.sub(r"\{\w+\}", "x-1", path)) == "CoreApi"

    @staticmethod
    def led(method: str, target: str) -> str:
        """Return the function that a request leads to."""
        request = HttpRequest(method=method, target=target, headers={}, body=b"", source="127.0.0.1")
        found = event_of(request, TOKEN_ROUTES)
        assert found is not None, f"{method} {target}"
        return found[0]

    @pytest.mark.parametrize("dialect", ["Core", "Automation"])
    def test_integration_and_permission_name_the_alias(self, dialect: str) -> None:
        integration = RESOURCES[f"Token{dialect}Integration"]["Properties"]
        permission = RESOURCES[f"Token{dialect}Permission"]["Properties"]

        assert integration["IntegrationUri"] == permission["FunctionName"] == {"Ref": f"{dialect}Api.Alias"}
        assert (integration["IntegrationType"], integration["PayloadFormatVersion"]) == ("AWS_PROXY", "2.0")
        assert permission["Principal"] == "apigateway.amazonaws.com"
        assert permission["SourceArn"]["Fn::Sub"] == (
            "arn:${AWS::Partition}:execute-api:${AWS::Region}:${AWS::AccountId}:${TokenApi}/*"
        )

    def test_throttling_is_that_of_the_first_api(self) -> None:
        assert self.STAGE["DefaultRouteSettings"] == RESOURCES["Api"]["Properties"]["DefaultRouteSettings"]
        assert (self.STAGE["StageName"], self.STAGE["AutoDeploy"]) == ("$default", True)

    def test_the_access_log_adds_why_a_token_was_refused(self) -> None:
        first = RESOURCES["Api"]["Properties"]["AccessLogSettings"]
        own = self.STAGE["AccessLogSettings"]

        assert own["DestinationArn"] == first["DestinationArn"]
        assert json.loads(own["Format"]) == {
            **json.loads(first["Format"]),
            "authorizerError": "$context.authorizer.error",
        }

    def test_cors_is_that_of_the_first_api_without_sessions(self) -> None:
        first = RESOURCES["Api"]["Properties"]["DefinitionBody"]["x-amazon-apigateway-cors"]["Fn::If"]
        condition, cors, otherwise = self.API["CorsConfiguration"]["Fn::If"]
        expected = {
            name[0].upper() + name[1:]: [one for one in value if one != "x-access-token"]
            if name in ("allowHeaders", "exposeHeaders")
            else value
            for name, value in first[1].items()
        }

        assert (condition, otherwise) == (first[0], first[2])
        assert cors == expected

    @pytest.mark.parametrize(
        ("parameter", "good", "bad"),
        [
            (
                "JwtIssuer",
                ["", "https://a.auth0.com/"],
                ["http://id.example", "id.example", "https://a,https://b"],
            ),
            ("JwtAudience", ["", "a", "https://flows.example,b"], [",", "a,", "a b"]),
            ("JwtAccountClaim", ["account", "custom:account", "https://a.example/b"], ["", "a b", "a,b"]),
            ("JwtRoleClaim", ["role", "cognito:groups"], ["", "a b"]),
            ("JwtRolePrefix", ["", "ritornello-", "ritornello/"], ["a ", "a,", "[a"]),
        ],
    )
    def test_parameters_that_cannot_be_meant_are_refused(
        self, parameter: str, good: list[str], bad: list[str]
    ) -> None:
        pattern = TEMPLATE.document["Parameters"][parameter]["AllowedPattern"]

        assert [one for one in good if re.fullmatch(pattern, one) is None] == []
        assert [one for one in bad if re.fullmatch(pattern, one)] == []


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

    def test_every_parameter_has_a_group_and_a_label(self) -> None:
        parameters = TEMPLATE.document["Parameters"]
        interface = TEMPLATE.document["Metadata"]["AWS::CloudFormation::Interface"]
        grouped = [name for group in interface["ParameterGroups"] for name in group["Parameters"]]

        assert sorted(grouped) == sorted(parameters)
        assert sorted(interface["ParameterLabels"]) == sorted(parameters)

    def test_no_parameter_is_a_secret(self) -> None:
        """Parameters are in the history of stacks and of shells."""
        assert "NoEcho" not in str(TEMPLATE.document["Parameters"])


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


class TestOutputs:
    """What an operator needs to find is an output of the stack."""

    OUTPUTS: dict[str, Any] = TEMPLATE.document["Outputs"]

    def test_every_table_queue_and_bucket_is_an_output(self) -> None:
        shown = {name for output in self.OUTPUTS.values() for name in named(output["Value"], TEMPLATE)}

        for kind in ("AWS::DynamoDB::Table", "AWS::SQS::Queue", "AWS::S3::Bucket"):
            assert set(of_type(kind)) <= shown
        assert {"Api", "EventBus", "WakeupSchedules", "ApiLogs"} <= shown

    def test_adopted_tables_are_shown_by_their_names(self) -> None:
        value = self.OUTPUTS["InstancesTableName"]["Value"]

        assert TEMPLATE_OF_ADOPTED.resolve(value) == "ritornello-test-instances-restored-1"

    def test_every_output_is_described(self) -> None:
        assert all(output["Description"] for output in self.OUTPUTS.values())
