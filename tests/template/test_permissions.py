"""The policies of docs/iam: the actions that CloudFormation needs for each type of resource, and no more.

The registry of CloudFormation lists these actions; cfn-lint has its schemas. The types are known after SAM's
transform, so ``make artifacts`` runs these tests.
"""

import json
from collections.abc import Iterator
from fnmatch import fnmatchcase
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from tests.template.test_processed import transformed

POLICIES = Path(__file__).parents[2] / "docs" / "iam"
SCHEMAS = Path(str(files("cfnlint"))) / "data" / "schemas" / "resources"
MAX_INLINE_CHARACTERS = 10_240
"""Of all inline policies of a role, without white space."""

UNUSED = {
    "codedeploy:*": "no gradual deployments",
    "dynamodb:*Import*": "no imports",
    "dynamodb:*Item": "no imports",
    "dynamodb:*TableReplica": "no global tables",
    "dynamodb:*ableKinesisStreamingDestination": "no Kinesis",
    "dynamodb:DeleteResourcePolicy": "no policies of tables",
    "dynamodb:PutResourcePolicy": "no policies of tables",
    "dynamodb:Query": "no imports",
    "dynamodb:Scan": "no imports",
    "dynamodb:UpdateContributorInsights": "no contributor insights",
    "dynamodb:UpdateKinesisStreamingDestination": "no Kinesis",
    "elasticfilesystem:*": "no file systems",
    "events:*Permission": "no policies of buses",
    "firehose:*": "no delivery streams",
    "iam:*Boundary": "no boundaries in the template",
    "iam:*GroupPolicy": "policies are attached to roles only",
    "iam:*UserPolicy": "policies are attached to roles only",
    "iam:CreateServiceLinkedRole": "no global tables",
    "kinesis:*": "no Kinesis",
    "kms:GenerateDataKeyWithoutPlaintext": "no bus with a key",
    "kms:ListAliases": "no tables with a key",
    "kms:ReEncrypt*": "no bus with a key",
    "kms:RevokeGrant": "no tables with a key",
    "lambda:*CodeSigningConfig": "no signed code",
    "lambda:AssociateRuntimeAlias": "no aliases of runtimes",
    "lambda:DeleteProvisionedConcurrencyConfig": "no provisioned concurrency",
    "lambda:PassCapacityProvider": "no capacity providers",
    "lambda:PutFunctionScalingConfig": "no capacity providers",
    "lambda:PutProvisionedConcurrencyConfig": "no provisioned concurrency",
    "logs:DeleteDataProtectionPolicy": "no data protection",
    "logs:PutDataProtectionPolicy": "no data protection",
    "logs:*DeletionProtection": "log groups go with the stack",
    "logs:*IndexPolicy": "no field indexes",
    "logs:*KmsKey": "no keys of log groups",
    "logs:*LogStream*": "no imports",
    "logs:DeleteResourcePolicy": "the access log's policy is the account's",
    "logs:PutBearerTokenAuthentication": "no tokens",
    "logs:PutLogEvents": "no imports",
    "s3:*Accelerate*": "no acceleration",
    "s3:*Acl": "no access lists",
    "s3:*Analytics*": "no analytics",
    "s3:*Bucket[CLNORW]*": "no such feature of buckets",
    "s3:*IntelligentTiering*": "no tiers",
    "s3:*Inventory*": "no inventories",
    "s3:*Metrics*": "no metrics of requests",
    "s3:*ObjectLock*": "no locks",
    "s3:*Replication*": "no replication",
    "s3:PutBucketAbac": "no tags as conditions",
    "s3:DeleteBucketEncryption": "the bucket is always encrypted",
    "s3:DeleteObject": "the bucket must be empty to be deleted",
    "s3:REST.PUT.OBJECT": "no delivery to buckets",
    "s3:*MetadataAnnotation*": "no tables of metadata",
    "s3:*MetadataInventory*": "no tables of metadata",
    "s3:*MetadataJournal*": "no tables of metadata",
    "s3:*MetadataTable*": "no tables of metadata",
    "s3files:*": "no file systems",
    "s3tables:*": "no tables of metadata",
    "secretsmanager:*Region*": "the deployer replicates the secret",
}
"""The actions in the registry for features that the template does not use, each with the reason."""


def policy(name: str) -> list[dict[str, Any]]:
    """Return the statements of a policy."""
    statements: list[dict[str, Any]] = json.loads((POLICIES / f"{name}.json").read_text())["Statement"]
    return statements


def texts(value: str | list[str]) -> list[str]:
    """Return the texts of a policy's value, which may be a single text."""
    return [value] if isinstance(value, str) else value


def needed(kind: str, schemas: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Yield the actions with which CloudFormation makes, reads, changes and deletes resources of a type."""
    for name, handler in schemas[kind]["handlers"].items():
        if name != "list":
            yield from handler.get("permissions", [])


def matches(action: str, pattern: str) -> bool:
    """Return whether a pattern covers an action. AWS does not look at the case of letters."""
    return fnmatchcase(action.lower(), pattern.lower())


@pytest.fixture(scope="module")
def schemas() -> dict[str, dict[str, Any]]:
    found = [json.loads(path.read_text()) for path in SCHEMAS.glob("*.json")]
    return {schema["typeName"]: schema for schema in found}


@pytest.fixture(scope="module")
def required(schemas: dict[str, dict[str, Any]]) -> dict[str, set[str]]:
    """Return the types that need an action, by action."""
    found: dict[str, set[str]] = {}
    for kind in {resource["Type"] for resource in transformed().values()}:
        for action in needed(kind, schemas):
            found.setdefault(action, set()).add(kind)
    return found


ALLOWED = [action for statement in policy("stack") for action in texts(statement["Action"])]


class TestTheRoleOfTheStack:
    """It allows exactly the actions that the template needs."""

    def test_every_action_that_the_template_needs_is_allowed(self, required: dict[str, set[str]]) -> None:
        missing = {
            action: kinds
            for action, kinds in required.items()
            if not any(matches(action, pattern) for pattern in [*ALLOWED, *UNUSED])
        }

        assert missing == {}

    def test_no_action_is_allowed_that_nothing_needs(self, required: dict[str, set[str]]) -> None:
        idle = [pattern for pattern in ALLOWED if not any(matches(action, pattern) for action in required)]

        assert idle == []

    def test_unused_rights_are_named_and_not_allowed(self, required: dict[str, set[str]]) -> None:
        stale = [pattern for pattern in UNUSED if not any(matches(action, pattern) for action in required)]
        both = [(allowed, pattern) for allowed in ALLOWED for pattern in UNUSED if matches(allowed, pattern)]

        assert (stale, both) == ([], [])

    def test_it_fits_into_a_role(self) -> None:
        compact = json.dumps(json.loads((POLICIES / "stack.json").read_text()), separators=(",", ":"))

        assert len(compact) <= MAX_INLINE_CHARACTERS

    def test_resources_are_named_where_aws_supports_it(self) -> None:
        unnamed = {statement["Sid"] for statement in policy("stack") if statement["Resource"] == "*"}

        # Ids of event source mappings, hosted zones and configurations say nothing; the others have no resources.
        assert unnamed == {
            "AccessLogOfTheApi",
            "DomainRecords",
            "Networks",
            "ParametersOfFunctions",
            "RandomPepper",
            "StreamsAndQueuesOfFunctions",
        }

    def test_roles_are_given_to_lambda_and_scheduler_only(self) -> None:
        (given,) = (one for one in policy("stack") if "iam:PassRole" in texts(one["Action"]))

        assert given["Resource"] == "arn:aws:iam::*:role/ritornello-*"
        assert set(given["Condition"]["StringEquals"]["iam:PassedToService"]) == {
            "lambda.amazonaws.com",
            "scheduler.amazonaws.com",
        }


@pytest.mark.parametrize("name", ["deployer", "first-key", "restore", "stack"])
def test_each_policy_names_its_statements_once(name: str) -> None:
    sids = [statement["Sid"] for statement in policy(name)]

    assert len(sids) == len(set(sids))
    assert all(statement["Effect"] == "Allow" for statement in policy(name))
