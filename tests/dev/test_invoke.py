"""The choices and the files of `make invoke` and `make sam-env`, without a running stack."""

import json
from pathlib import Path

import pytest

from dev.invoke import EVENTS, InvokeError, chosen, samples
from dev.local_functions import LocalFunctions, NoStackError, of_running, read, write
from dev.sam_env import FOLDER, RefusedContainersError, environments, template
from dev.template import Function, Template
from dev.up import STATE
from dev.workers import ROOT

FUNCTIONS = list(Template(ROOT / "template.yaml", {}).functions())
FUNCTION = Function(
    logical_id="CoreApi",
    name="ritornello-local-core-api",
    handler="functions.core_api.handler.lambda_handler",
    timeout_seconds=30,
    environment={
        "PEPPER": "secret",
        "CLOCK_FILE": "/state/clock.json",
        "STACK_URL": "http://127.0.0.1:8080",
        "AWS_ENDPOINT_URL_DYNAMODB": "http://127.9.9.9:4000",
        "AWS_ENDPOINT_URL_SQS": "http://127.9.9.9:4000",
        "AWS_ENDPOINT_URL_LAMBDA": "http://127.0.0.1:8080/by-sweeper",
    },
)


def found(containers_at: str | None) -> LocalFunctions:
    return LocalFunctions(
        url="http://127.0.0.1:8080", pid=7, containers_at=containers_at, functions={"CoreApi": FUNCTION}
    )


class TestSamples:
    """Every function of the template has a sample event, and every sample event belongs to a function."""

    @pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.logical_id)
    def test_no_sample_is_missing(self, function: Function) -> None:
        assert chosen(function.logical_id, "") == (function.logical_id, samples(function)[0])

    def test_a_file_is_a_sample_or_an_example_strategy(self) -> None:
        files = set(EVENTS.glob("*.json"))
        events = {file for function in FUNCTIONS for file in samples(function)}
        strategies = {file for file in files - events if "settings" in json.loads(file.read_text())}

        assert {file.name for file in files - events - strategies} == {
            "automation-definition.json",
            "local-secrets.json",
        }

    def test_an_own_file_can_be_named(self, tmp_path: Path) -> None:
        file = tmp_path / "event.json"
        file.write_text("{}")

        assert chosen("Sweeper", str(file)) == ("Sweeper", file)

    def test_a_folder_is_no_event(self, tmp_path: Path) -> None:
        with pytest.raises(InvokeError, match=r"Sweeper has events/sweeper\.json"):
            chosen("Sweeper", str(tmp_path))

    @pytest.mark.parametrize("name", ["", "sweeper", "Sweeper ", "SweeperRole"])
    def test_a_name_that_is_no_function_is_refused(self, name: str) -> None:
        with pytest.raises(InvokeError, match=r"one of StepRunner, Sweeper, .*, Expirer$"):
            chosen(name, "events/sweeper.json")


class TestTheFile:
    """The stack's functions are read back as written. Only the owner of the file can read it."""

    def test_it_is_read_back(self, tmp_path: Path) -> None:
        file = write(tmp_path, found("172.17.0.1"))

        assert read(file) == found("172.17.0.1")
        assert file.stat().st_mode & 0o777 == 0o600

    def test_rights_of_an_older_file_are_not_kept(self, tmp_path: Path) -> None:
        for name in ("functions.json", "functions.new"):
            (tmp_path / name).write_text("{}")
            (tmp_path / name).chmod(0o644)

        assert write(tmp_path, found(None)).stat().st_mode & 0o777 == 0o600

    def test_a_folder_without_a_stack_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(NoStackError, match=f"no local stack runs on {tmp_path}: start it with `make up`"):
            of_running(tmp_path)


class TestContainers:
    """A container gets the addresses at which it reaches the stack, and nothing of the stack's own workers."""

    def test_everything_goes_through_the_front(self) -> None:
        assert environments(found("host.docker.internal")) == {
            "CoreApi": {
                "PEPPER": "secret",
                "AWS_ENDPOINT_URL_DYNAMODB": "http://host.docker.internal:8080/_aws/emulator",
                "AWS_ENDPOINT_URL_SQS": "http://host.docker.internal:8080/_aws/emulator",
                "AWS_ENDPOINT_URL_LAMBDA": "http://host.docker.internal:8080/by-sweeper",
            }
        }

    def test_a_stack_without_containers_is_refused(self) -> None:
        with pytest.raises(RefusedContainersError, match=r"CONTAINERS_AT=host\.docker\.internal"):
            environments(found(None))

    def test_the_files_are_never_committed(self) -> None:
        ignored = (ROOT / ".gitignore").read_text().splitlines()

        assert (f"{FOLDER.parts[0]}/" in ignored, f"{STATE.relative_to(ROOT).parts[0]}/" in ignored) == (
            True,
            True,
        )

    def test_the_template_declares_every_variable(self) -> None:
        """SAM's command line passes no others, whatever the file of variables says."""
        variables = {function.logical_id: {"A": "1", "B": "2"} for function in FUNCTIONS}

        resources = template(Template(ROOT / "template.yaml", {}).document, variables)["Resources"]

        for function in FUNCTIONS:
            resource = resources[function.logical_id]
            assert resource["Properties"]["Environment"] == {"Variables": {"A": "", "B": ""}}
            assert resource["Properties"]["CodeUri"].endswith(f"/.aws-sam/build/{function.logical_id}")
            assert "Metadata" not in resource
