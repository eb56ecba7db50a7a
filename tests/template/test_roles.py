"""The roles of the functions, the key of settings and the pepper."""

import json
import re
from fnmatch import fnmatchcase

import pytest

from dev.template import Template
from shared.adapters.dynamodb.strategies import settings_context
from shared.adapters.dynamodb.tables import LIMIT_KEY, limit_key
from shared.adapters.dynamodb.webhooks import webhook_context
from shared.adapters.peppers import hasher_of
from shared.adapters.secrets import prefix_of
from shared.domain.ids import AccountId, StrategySid
from tests.template.stack import (
    ADOPTED,
    FUNCTIONS,
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
        """SAM would make a role that Scheduler may assume for any schedule."""
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

    def test_only_the_step_runner_changes_limits_and_nothing_else_beside_them(self) -> None:
        updates = [
            (owner, statement["Action"], statement.get("Condition"))
            for owner, statement in statements()
            if table_arn("access") in resources_of(statement)
            and "dynamodb:UpdateItem" in as_list(statement["Action"])
        ]

        limits = {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": [f"{LIMIT_KEY}*"]}}
        assert updates == [("StepRunner", "dynamodb:UpdateItem", limits)]
        assert limit_key(AccountId("acme"), "https://a.example")["pk"].startswith(LIMIT_KEY)


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
