"""The functions of the template, their versions, parameters and outputs."""

import re
from collections import UserDict
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from dev.template import Template
from shared.config import read_settings
from shared.domain.instance.due import MAX_BACK_OFF
from tests.template.stack import (
    FUNCTIONS,
    OPERATIONS,
    PARAMETERS,
    RESOURCES,
    ROOT,
    TEMPLATE,
    TEMPLATE_OF_ADOPTED,
    as_list,
    named,
    of_type,
    resources_of,
    statements,
)

MAPPED = {
    mapping["Properties"]["FunctionName"]["Ref"].removesuffix(".Alias")
    for mapping in RESOURCES.values()
    if mapping["Type"] == "AWS::Lambda::EventSourceMapping"
}
"""The functions that Lambda itself invokes with batches of a stream or a queue."""

BY_LAMBDA_ITSELF = {"POWERTOOLS_SERVICE_NAME", "POWERTOOLS_LOG_LEVEL"}

OF_TOKENS = {"JWT_ACCOUNT_CLAIM", "JWT_ROLE_CLAIM", "JWT_ROLE_PREFIX"}
"""The variables of the functions that take tokens."""


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
    """Functions are invoked by an alias, which leads to the version deployed last, with the parameters of then."""

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


class TestOutputs:
    """Each resource that an operator needs to find is an output of the stack."""

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
