"""Reads the parts of template.yaml that the local stack needs: parameters, tables, functions, routes."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ACCOUNT, REGION = "123456789012", "eu-central-1"
DEFAULT_ROUTE = "$default"
_SUBSTITUTE = re.compile(r"\$\{([^}]+)\}")


class _Loader(yaml.SafeLoader):
    """Loads ``!X v`` as ``{"Fn::X": v}``, and dates as text."""


def _tagged(loader: _Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)  # type: ignore[arg-type]
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _tagged)
# CloudFormation's versions, such as 2012-10-17, are texts and not dates.
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """A function of the template: its logical id, deployed name, handler, timeout and environment."""

    logical_id: str
    name: str
    handler: str
    timeout_seconds: int
    environment: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A route of the HTTP API and the function it leads to.

    ``method`` may be ANY. ``path`` may end with ``{proxy+}``, or be ``$default`` for all other requests.
    """

    method: str
    path: str
    function: str


def function_name(named: str) -> str:
    """Return the name of a function that is named as Lambda's API allows: by name or ARN, with or without an alias."""
    parts = named.split(":")
    return parts[parts.index("function") + 1] if "function" in parts else parts[0]


class Template:
    """The template with its parameters filled in. An unknown intrinsic raises a ValueError that names it."""

    def __init__(self, path: Path, parameters: Mapping[str, str]) -> None:
        self.document = yaml.load(path.read_text(), _Loader)  # noqa: S506 - a SafeLoader
        declared = self.document.get("Parameters", {})
        self._parameters = {
            name: parameters.get(name, spec.get("Default")) for name, spec in declared.items()
        }
        self._pseudo = {
            "AWS::Region": REGION,
            "AWS::AccountId": ACCOUNT,
            "AWS::Partition": "aws",
            "AWS::URLSuffix": "amazonaws.com",
        }

    def functions(self) -> Iterator[Function]:
        """Yield every function, with the globals merged in."""
        shared = self.document["Globals"]["Function"]
        for logical_id, resource in self._of_type("AWS::Serverless::Function"):
            own = resource["Properties"]
            environment = {
                **shared["Environment"]["Variables"],
                **own.get("Environment", {}).get("Variables", {}),
            }
            yield Function(
                logical_id=logical_id,
                name=self.resolve(own["FunctionName"]),
                handler=own["Handler"],
                timeout_seconds=own["Timeout"],
                environment={name: str(self.resolve(value)) for name, value in environment.items()},
            )

    def environment(self, logical_id: str) -> Mapping[str, str]:
        """Return the environment of a function."""
        (function,) = (one for one in self.functions() if one.logical_id == logical_id)
        return function.environment

    def routes(self) -> list[Route]:
        """Return the routes of the HTTP API; the default route is the last one."""
        found = [
            Route(
                method=event["Properties"].get("Method", "ANY"),
                path=event["Properties"].get("Path", DEFAULT_ROUTE),
                function=logical_id,
            )
            for logical_id, resource in self._of_type("AWS::Serverless::Function")
            for event in resource["Properties"].get("Events", {}).values()
            if event["Type"] == "HttpApi"
        ]
        return sorted(found, key=lambda route: route.path == DEFAULT_ROUTE)

    def tables(self) -> Iterator[dict[str, Any]]:
        """Yield the arguments of ``create_table`` for every table."""
        # The emulator knows no backups, encryption or tags.
        kept = ("TableName", "BillingMode", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes")
        for _, resource in self._of_type("AWS::DynamoDB::Table"):
            properties = resource["Properties"]
            yield {name: self.resolve(properties[name]) for name in kept if name in properties}

    def webhook_queues(self) -> Iterator[dict[str, Any]]:
        """Yield the arguments of ``create_queue`` for the dead letters of webhooks and the queue before them."""
        for name in ("WebhookDeadLetters", "WebhookQueue"):
            properties = self.resolve(self.document["Resources"][name]["Properties"])
            kept = {
                key: properties[key] for key in ("VisibilityTimeout", "RedrivePolicy") if key in properties
            }
            yield {
                "QueueName": properties["QueueName"],
                "Attributes": {
                    key: value if isinstance(value, str) else json.dumps(value) for key, value in kept.items()
                },
            }

    def schedule_group(self) -> str:
        """Return the name of the group of schedules."""
        ((_, resource),) = self._of_type("AWS::Scheduler::ScheduleGroup")
        return str(self.resolve(resource["Properties"]["Name"]))

    def holds(self, condition: str | None) -> bool:
        """Return whether a condition of the template holds. None is no condition."""
        return condition is None or self.is_true({"Condition": condition})

    def is_true(self, condition: Any) -> bool:  # noqa: ANN401 - any part of a template
        """Return whether an expression of conditions or rules is true."""
        if isinstance(condition, bool):
            return condition
        ((name, argument),) = condition.items()
        match name, argument:
            case "Condition", str():
                return self.is_true(self.document["Conditions"][argument])
            case "Fn::Not", [negated]:
                return not self.is_true(negated)
            case "Fn::Equals", [left, right]:
                return bool(self.resolve(left) == self.resolve(right))
            case "Fn::And", [*parts]:
                return all(map(self.is_true, parts))
            case "Fn::Or", [*parts]:
                return any(map(self.is_true, parts))
            case _:
                raise ValueError(f"the local stack does not support the condition {name}")

    def resolve(self, value: Any) -> Any:  # noqa: ANN401 - any part of a template
        """Return a part of the template with its intrinsics resolved."""
        if isinstance(value, list):
            return [self.resolve(part) for part in value]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            ((name, argument),) = value.items()
            if name == "Ref" or name.startswith("Fn::"):
                return self._intrinsic(name, argument)
        return {name: self.resolve(part) for name, part in value.items()}

    def _intrinsic(self, name: str, argument: Any) -> Any:  # noqa: ANN401 - any part of a template
        match name:
            case "Ref":
                return self._reference(argument)
            case "Fn::GetAtt":
                return self._attribute(*argument)
            case "Fn::Sub":
                return _SUBSTITUTE.sub(lambda match: str(self._substituted(match[1])), argument)
            case "Fn::If":
                condition, then, otherwise = argument
                return self.resolve(then if self.is_true({"Condition": condition}) else otherwise)
            case _:
                raise ValueError(f"the local stack does not support the intrinsic {name}")

    def _of_type(self, kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
        return (
            (name, resource)
            for name, resource in self.document["Resources"].items()
            if resource["Type"] == kind and self.holds(resource.get("Condition"))
        )

    def _substituted(self, name: str) -> Any:  # noqa: ANN401 - any part of a template
        if "." in name and not name.startswith("AWS::"):
            return self._attribute(*name.split(".", 1))
        return self._reference(name)

    def _reference(self, name: str) -> Any:  # noqa: ANN401 - any part of a template
        if name in self._pseudo:
            return self._pseudo[name]
        if name in self._parameters:
            return self._parameters[name]
        if name.endswith(".Alias"):
            # SAM's name for the alias of a function, whose reference is an ARN.
            published = self.document["Globals"]["Function"]["AutoPublishAlias"]
            return f"{self._attribute(name.removesuffix('.Alias'), 'Arn')}:{published}"
        properties = self.document["Resources"][name].get("Properties", {})
        for key in ("TableName", "FunctionName", "Name", "QueueName"):
            if key in properties:
                return self.resolve(properties[key])
        # CloudFormation makes a name of the logical id; those of buckets are in lower case.
        return name.lower()

    def _attribute(self, name: str, attribute: str) -> str:
        if attribute not in ("Arn", "Id", "StreamArn"):
            raise ValueError(f"the local stack does not support the attribute {attribute} of {name}")
        services = {
            "AWS::Serverless::Function": "lambda:{}:function:",
            "AWS::DynamoDB::Table": "dynamodb:{}:table/",
            "AWS::SecretsManager::Secret": "secretsmanager:{}:secret:",
            "AWS::SQS::Queue": "sqs:{}:",
            "AWS::IAM::Role": "iam::{}:role/",
            "AWS::S3::Bucket": "s3:::",
            "AWS::Events::EventBus": "events:{}:event-bus/",
        }
        kind = services[self.document["Resources"][name]["Type"]]
        place = ACCOUNT if kind.startswith("iam") else f"{REGION}:{ACCOUNT}"
        stream = "/stream/local" if attribute == "StreamArn" else ""
        return f"arn:aws:{kind.format(place)}{self._reference(name)}{stream}"
