"""The template as CloudFormation gets it, after SAM's transform: versions, and the references to the alias.

The transform is in SAM's environment, so ``make artifacts`` runs these tests.
"""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from dev.template import Template

ROOT = Path(__file__).parents[2]
FUNCTIONS = [function.logical_id for function in Template(ROOT / "template.yaml", {}).functions()]
PROGRAM = """
import json, sys
from pathlib import Path
from dev.processed import processed
from dev.template import Template
document = Template(Path("template.yaml"), {}).document
for name, properties in json.loads(sys.argv[1]).items():
    document["Resources"][name]["Properties"].update(properties)
print(json.dumps(processed(document, {})))
"""


def transformed(**changed: dict[str, Any]) -> dict[str, Any]:
    """Return the resources after the transform, with some properties of some resources replaced."""
    done = subprocess.run(  # noqa: S603 - our own program
        [ROOT / ".venv-sam" / "bin" / "python", "-c", PROGRAM, json.dumps(changed)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])["Resources"]
    return found


@pytest.fixture(scope="module")
def resources() -> dict[str, Any]:
    return transformed()


def versions_of(name: str, resources: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the versions of a function by logical id."""
    return {
        logical_id: resource
        for logical_id, resource in resources.items()
        if resource["Type"] == "AWS::Lambda::Version"
        and resource["Properties"]["FunctionName"] == {"Ref": name}
    }


def layers_of(resources: dict[str, Any]) -> list[str]:
    """Return the logical ids of the layers. They depend on the content."""
    return [name for name, resource in resources.items() if resource["Type"] == "AWS::Lambda::LayerVersion"]


class TestVersions:
    """Each deployment that changes a function, or a parameter of functions, publishes a version for the alias."""

    @pytest.mark.parametrize("name", FUNCTIONS)
    def test_a_changed_configuration_replaces_the_version(self, resources: dict[str, Any], name: str) -> None:
        ((version_id, version),) = versions_of(name, resources).items()

        assert version["Properties"]["Description"] == {"Ref": "Configuration"}
        # Lambda publishes no version of a function that has not changed.
        assert "(configuration ${Configuration})" in resources[name]["Properties"]["Description"]["Fn::Sub"]
        assert version["DeletionPolicy"] == "Delete", "old versions are removed"
        assert resources[f"{name}Aliaslive"]["Properties"]["FunctionVersion"] == {
            "Fn::GetAtt": [version_id, "Version"]
        }

    def test_a_changed_template_publishes_a_version_of_what_it_changes(
        self, resources: dict[str, Any]
    ) -> None:
        changed = transformed(StepRunner={"Timeout": 850})

        assert versions_of("StepRunner", changed).keys() != versions_of("StepRunner", resources).keys()
        assert versions_of("Sweeper", changed).keys() == versions_of("Sweeper", resources).keys()

    def test_other_libraries_publish_a_version_of_every_function(self, resources: dict[str, Any]) -> None:
        changed = transformed(Libraries={"ContentUri": "s3://bucket/other"})
        (before,) = layers_of(resources)
        (after,) = layers_of(changed)

        assert before != after
        for found, layer in (resources, before), (changed, after):
            content = found["Configuration"]["Properties"]["Content"]["Fn::Sub"]
            # Its number is in the description of each function and version, and changes with the content.
            assert f"Libraries=${{{layer}}}" in content
            assert all(found[name]["Properties"]["Layers"] == [{"Ref": layer}] for name in FUNCTIONS)


class TestTheAlias:
    """Whatever invokes a function does so by its alias."""

    def test_the_sweeper_is_scheduled_by_its_alias(self, resources: dict[str, Any]) -> None:
        assert resources["SweeperEveryMinute"]["Properties"]["Target"]["Arn"] == {"Ref": "SweeperAliaslive"}

    @pytest.mark.parametrize("name", ["StepRunner", "Sweeper", "BulkRunner"])
    def test_age_and_attempts_of_invocations_are_the_aliass(
        self, resources: dict[str, Any], name: str
    ) -> None:
        assert resources[f"{name}EventInvokeConfig"]["Properties"]["Qualifier"] == "live"

    def test_requests_lead_to_aliases_that_let_the_api_in(self, resources: dict[str, Any]) -> None:
        operations = [
            operation
            for path in resources["Api"]["Properties"]["Body"]["paths"].values()
            for operation in path.values()
        ]
        uris = [operation["x-amazon-apigateway-integration"]["uri"]["Fn::Sub"] for operation in operations]
        permitted = [
            resource["Properties"]["FunctionName"]["Ref"]
            for resource in resources.values()
            if resource["Type"] == "AWS::Lambda::Permission"
        ]

        found = [re.search(r"\$\{(\w+Aliaslive)\}", uri) for uri in uris]
        assert all(found)
        assert {match[1] for match in found if match} <= set(permitted)
        assert all(name.endswith("Aliaslive") for name in permitted)

    def test_streams_and_queues_lead_to_aliases(self, resources: dict[str, Any]) -> None:
        mapped = [
            resource["Properties"]["FunctionName"]["Ref"]
            for resource in resources.values()
            if resource["Type"] == "AWS::Lambda::EventSourceMapping"
        ]
        assert set(mapped) == {"PublisherAliaslive", "WebhookSenderAliaslive", "ExpirerAliaslive"}
