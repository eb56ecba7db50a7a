"""The template deployed on the other engine, as ``sam deploy`` would deploy it on AWS.

Functions, routes, roles and tables are read from the template and from CloudFormation, and not listed here.
"""

import json
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from msgspec.structs import fields

from dev.aws import database
from dev.client import KEY, Api
from dev.history_reader import HistoryReader
from dev.ministack import Ministack
from dev.packages import Bucket, Build, actions_of, adapted, functions_of, packaged
from dev.template import DEFAULT_ROUTE, REGION, Template
from dev.workers import ROOT
from shared.adapters.crypto import SecretHasher
from shared.adapters.dynamodb.access import DynamoDbAccess
from shared.adapters.dynamodb.instances import DynamoDbInstances
from shared.adapters.dynamodb.tables import Tables
from shared.adapters.peppers import hasher_of
from shared.adapters.secrets import prefix_of
from shared.domain.access import AccessKey, Role
from shared.domain.ids import AccountId

STACK = "ritornello"
_ALIAS = re.compile(r"functions/\$\{(\w+)\}/invocations")
_DEPLOY_SECONDS = 60
_CAPABILITIES = ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]
_METHODS = {"x-amazon-apigateway-any-method": "ANY"}


class DeploymentError(Exception):
    """CloudFormation did not create or update the stack."""


class Deployment:
    """The created stack, with an administrator's key of the account ``dev``.

    ``parameters`` are chosen besides those that every deployment here needs. ``functions`` are logical ids. ``tables``
    are the tables in use, ``stores`` the client of our own stores. ``withheld`` are the functions and the permissions
    that were ever taken from them.
    """

    def __init__(
        self, engine: Ministack, build: Build, folder: Path, parameters: Mapping[str, str] | None = None
    ) -> None:
        self._engine = engine
        self._cloudformation = engine.client("cloudformation")
        bucket = Bucket(engine.client("s3"), "ritornello-artifacts", REGION, folder)
        document = Template(ROOT / "template.yaml", {}).document
        self.functions = [logical_id for logical_id, _ in functions_of(document)]
        self.withheld: set[tuple[str, str]] = set()
        self._parameters = {**self._chosen(), **(parameters or {})}
        self._create(packaged(adapted(document), build, bucket), bucket)
        pages = self._cloudformation.get_paginator("list_stack_resources").paginate(StackName=STACK)
        self._resources = {
            resource["LogicalResourceId"]: resource["PhysicalResourceId"]
            for page in pages
            for resource in page["StackResourceSummaries"]
        }
        self.api = Api(url=self._url(self._add_routes()))
        self._connect()
        access = DynamoDbAccess(client=self.stores, tables=self.tables)
        pepper = self._configuration("CoreApi")["Environment"]["Variables"]["PEPPER"]
        secret = engine.client("secretsmanager").get_secret_value(SecretId=pepper)
        _admit(KEY, access, hasher_of(secret["SecretString"]))

    @property
    def token_api(self) -> Api:
        """Return the API for tokens. Raises: KeyError: the parameters name no issuer."""
        return Api(url=self._url(self._resources["TokenApi"]))

    def client(self, service: str) -> Any:  # noqa: ANN401 - boto3 has no types of its own
        """Return a client for a service of the engine, as the root user."""
        return self._engine.client(service)

    def adopt(self, parameters: Mapping[str, str]) -> None:
        """Deploy the same template with other parameters, and use the tables that it names then."""
        self._parameters = {**self._parameters, **parameters}
        self._cloudformation.update_stack(
            StackName=STACK, UsePreviousTemplate=True, Capabilities=_CAPABILITIES, Parameters=self._given()
        )
        self._await_end("UPDATE")
        self._connect()

    def schedules(self) -> list[str]:
        """Return the names of the scheduled wakeups."""
        pages = self._engine.client("scheduler").get_paginator("list_schedules").paginate()
        group = self._environment["SCHEDULE_GROUP"]
        return [s["Name"] for page in pages for s in page["Schedules"] if s["GroupName"] == group]

    def keep_secrets(self, name: str, secret: str, parameter: str) -> None:
        """Keep a secret and an encrypted parameter of that name for the account ``dev``."""
        path = f"{prefix_of(self._environment['STAGE'], AccountId('dev'))}{name}"
        self._engine.client("secretsmanager").create_secret(Name=path, SecretString=secret)
        self._engine.client("ssm").put_parameter(Name=path, Value=parameter, Type="SecureString")

    def subscribe(self) -> "Subscription":
        """Return a new queue that receives all notifications of the bus from now on."""
        sqs, events = self._engine.client("sqs"), self._engine.client("events")
        url = sqs.create_queue(QueueName=f"{STACK}-consumer")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        bus, rule = self._environment["EVENT_BUS"], "consumer"
        pattern = json.dumps({"source": ["ritornello"]})
        rule_arn = events.put_rule(Name=rule, EventBusName=bus, EventPattern=pattern)["RuleArn"]
        permission = {
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": arn,
            "Condition": {"ArnEquals": {"aws:SourceArn": rule_arn}},
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [permission]})
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
        events.put_targets(Rule=rule, EventBusName=bus, Targets=[{"Id": "queue", "Arn": arn}])
        return Subscription(sqs, url)

    def logged(self, logical_id: str) -> list[str]:
        """Return all log lines of a function."""
        logs = self._engine.client("logs").get_paginator("filter_log_events")
        group = self._configuration(logical_id)["LoggingConfig"].get(
            "LogGroup", f"/aws/lambda/{self._resources[logical_id]}"
        )
        return [event["message"] for page in logs.paginate(logGroupName=group) for event in page["events"]]

    def denials(self, logical_id: str) -> list[dict[str, Any]]:
        """Return the log records of a function about requests that its role does not allow."""
        return [json.loads(line) for line in self.logged(logical_id) if "AccessDenied" in line]

    def unforeseen_denials(self) -> list[dict[str, Any]]:
        """Return such log records of all functions, except those about permissions that were withheld."""
        return [
            record
            for function in self.functions
            for record in self.denials(function)
            if not any(name == function and action in str(record) for name, action in self.withheld)
        ]

    @contextmanager
    def without(self, logical_id: str, action: str) -> Iterator[None]:
        """Remove the statements that allow an action from a function's role, for the duration of the block."""
        iam = self._engine.client("iam")
        role = self._configuration(logical_id)["Role"].rpartition("/")[2]
        changed: dict[str, Any] = {}
        for name in iam.list_role_policies(RoleName=role)["PolicyNames"]:
            policy = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
            kept = [statement for statement in policy["Statement"] if action not in actions_of(statement)]
            if kept != policy["Statement"]:
                changed[name] = policy
                _put_policy(iam, role, name, {**policy, "Statement": kept})
        if not changed:
            raise LookupError(f"nothing in the role of {logical_id} allows {action}")
        # Remembered, so that denials of this permission are expected later.
        self.withheld.add((logical_id, action))
        try:
            yield
        finally:
            for name, policy in changed.items():
                _put_policy(iam, role, name, policy)

    def _connect(self) -> None:
        """Read the functions' environment, and use the tables that it names."""
        self._environment = self._configuration(self.functions[0])["Environment"]["Variables"]
        self.stores = database(self._engine.session(), url=self._engine.endpoint)
        names = [field.name for field in fields(Tables)]
        self.tables = Tables(**{name: self._environment[f"{name.upper()}_TABLE"] for name in names})
        self.history = HistoryReader(DynamoDbInstances(client=self.stores, tables=self.tables))

    def _given(self) -> list[dict[str, str]]:
        return [{"ParameterKey": name, "ParameterValue": value} for name, value in self._parameters.items()]

    def _create(self, document: Mapping[str, Any], bucket: Bucket) -> None:
        place = bucket.put("template.json", json.dumps(document).encode())
        self._cloudformation.create_stack(
            StackName=STACK,
            TemplateURL=f"{self._engine.endpoint}/{place}",
            Capabilities=_CAPABILITIES,
            Parameters=self._given(),
        )
        self._await_end("CREATE")

    def _await_end(self, operation: str) -> None:
        until = time.monotonic() + _DEPLOY_SECONDS
        status = f"{operation}_IN_PROGRESS"
        while status.endswith("_IN_PROGRESS") and time.monotonic() < until:
            time.sleep(0.2)
            (stack,) = self._cloudformation.describe_stacks(StackName=STACK)["Stacks"]
            status = stack["StackStatus"]
        if status != f"{operation}_COMPLETE":
            events = self._cloudformation.describe_stack_events(StackName=STACK)["StackEvents"]
            failed = [event for event in events if event["ResourceStatus"].endswith("FAILED")]
            reasons = [f"{e['LogicalResourceId']}: {e.get('ResourceStatusReason')}" for e in failed]
            raise DeploymentError("; ".join([status, *reasons]))

    def _chosen(self) -> dict[str, str]:
        """Return the template's parameters, with services at loopback addresses allowed."""
        key = self._engine.client("kms").create_key()["KeyMetadata"]["Arn"]
        return {
            "Stage": "e2e",
            "Environment": "dev",
            "SettingsKeyArn": key,
            "AllowedCidrs": "127.0.0.0/8",
        }

    def _add_routes(self) -> str:
        """Create the routes that SAM wrote into the body of the HTTP API, which the engine ignores.

        Return the API's id.
        """
        processed = self._cloudformation.get_template(StackName=STACK, TemplateStage="Processed")
        resources = processed["TemplateBody"]["Resources"]
        ((logical_id, api),) = (
            found
            for found in resources.items()
            # The other one, for tokens, has its routes as resources.
            if found[1]["Type"] == "AWS::ApiGatewayV2::Api" and "Body" in found[1]["Properties"]
        )
        gateway, sid = self._engine.client("apigatewayv2"), str(self._resources[logical_id])
        integrations: dict[str, str] = {}
        for path, operations in api["Properties"]["Body"]["paths"].items():
            for method, operation in operations.items():
                integration = operation["x-amazon-apigateway-integration"]
                alias = _ALIAS.search(integration["uri"]["Fn::Sub"])
                if alias is None:
                    raise DeploymentError(f"{method} {path} leads to no function")
                if alias[1] not in integrations:
                    integrations[alias[1]] = gateway.create_integration(
                        ApiId=sid,
                        IntegrationType="AWS_PROXY",
                        IntegrationUri=self._resources[alias[1]],
                        PayloadFormatVersion=integration["payloadFormatVersion"],
                    )["IntegrationId"]
                target = f"integrations/{integrations[alias[1]]}"
                key = path if path == DEFAULT_ROUTE else f"{_METHODS.get(method, method.upper())} {path}"
                gateway.create_route(ApiId=sid, RouteKey=key, Target=target)
        return sid

    def _url(self, api: str) -> str:
        return f"{self._engine.endpoint}/_aws/execute-api/{api}/$default"

    def _configuration(self, logical_id: str) -> Mapping[str, Any]:
        """Return the configuration of a function as deployed."""
        client = self._engine.client("lambda")
        found: Mapping[str, Any] = client.get_function_configuration(FunctionName=self._resources[logical_id])
        return found


class Subscription:
    """The notifications that arrived at a queue behind the bus, by id."""

    def __init__(self, sqs: Any, url: str) -> None:  # noqa: ANN401 - boto3 has no types of its own
        self._sqs, self._url = sqs, url
        self.received: dict[str, dict[str, Any]] = {}

    def receive(self) -> dict[str, dict[str, Any]]:
        """Take the messages in the queue, and return everything received so far: the events of the bus by id."""
        while messages := self._sqs.receive_message(QueueUrl=self._url, MaxNumberOfMessages=10).get(
            "Messages"
        ):
            for message in messages:
                event = json.loads(message["Body"])
                self.received[event["detail"]["id"]] = event
                self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=message["ReceiptHandle"])
        return self.received


def _admit(key: str, access: DynamoDbAccess, hasher: SecretHasher) -> None:
    key_id, _, secret = key.partition(".")
    access.put_key(
        AccessKey(
            key_id=key_id,
            account_id=AccountId("dev"),
            role=Role.ADMIN,
            secret_hash=hasher.hash(secret),
            created_at=datetime.now(UTC),
        )
    )


def _put_policy(iam: Any, role: str, name: str, policy: Mapping[str, Any]) -> None:  # noqa: ANN401 - boto3 has no types of its own
    iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(policy))
