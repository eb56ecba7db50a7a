"""Writes files for ``sam local invoke`` and ``sam local start-api`` to reach a running local stack. ``make sam-env``.

Two files in build/sam-local: each function's environment for ``--env-vars``, and a template. SAM gives a function only
variables that the template declares, and the deployed template has no addresses of AWS services; so this one declares
them, and names the folders that ``make build`` has built. It reads STATE_DIR (.state/up), as ``make up`` does.
"""

import argparse
import json
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from dev.client import STACK_FOLDER
from dev.local_functions import EMULATOR_PATH, LocalFunctions, NoStackError, of_running, write_private
from dev.packages import layers_of
from dev.template import Template
from dev.up import STATE
from dev.workers import ROOT

FOLDER = Path("build/sam-local")
BUILT = ROOT / ".aws-sam" / "build"

_OF_THE_STACK = ("CLOCK_FILE", "STACK_URL", "STACK_FUNCTION", "CHANGE_LOG", "no_proxy", "NO_PROXY")
"""Variables that only the stack's own workers use."""

_AT_EMULATOR = ("AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL_SQS")
_ARCHITECTURES = {"x86_64": "x86_64", "AMD64": "x86_64"}

_REFUSED = (
    "the running stack refuses containers: start it with CONTAINERS_AT=host.docker.internal (Docker Desktop), or on "
    "Linux with CONTAINERS_AT=172.17.0.1, the address of Docker's bridge (Gateway in `docker network inspect bridge`)"
)


class RefusedContainersError(Exception):
    """The stack does not let containers in."""


def environments(found: LocalFunctions) -> dict[str, dict[str, str]]:
    """Return each function's environment in a container. Raises: RefusedContainersError."""
    if found.containers_at is None:
        raise RefusedContainersError(_REFUSED)
    stack = f"http://{found.containers_at}:{urlsplit(found.url).port}"
    return {
        name: {
            variable: _reached(variable, value, found.url, stack)
            for variable, value in function.environment.items()
            if variable not in _OF_THE_STACK
        }
        for name, function in found.functions.items()
    }


def template(document: Mapping[str, Any], variables: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    """Return a template whose functions declare these variables and run the built code, on this machine's processor."""
    architecture = _ARCHITECTURES.get(platform.machine(), "arm64")
    resources = dict(document["Resources"])
    for name, layer in layers_of(document):
        properties = {**layer, "ContentUri": str(BUILT / name), "CompatibleArchitectures": [architecture]}
        resources[name] = {"Type": resources[name]["Type"], "Properties": properties}
    for name, own in variables.items():
        properties = {
            **resources[name]["Properties"],
            "CodeUri": str(BUILT / name),
            "Architectures": [architecture],
            "Environment": {"Variables": dict.fromkeys(own, "")},
        }
        resources[name] = {
            **{key: value for key, value in resources[name].items() if key != "Metadata"},
            "Properties": properties,
        }
    return {**document, "Resources": resources}


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the files and print the commands that use them. Return 2 if no stack runs, or it refuses containers."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where to write the files")
    folder = parser.parse_args(arguments).folder
    try:
        found = of_running(Path(os.environ.get("STATE_DIR", STATE)) / STACK_FOLDER)
        variables = environments(found)
    except (NoStackError, RefusedContainersError) as error:
        sys.stderr.write(f"make sam-env: {error}\n")
        return 2
    folder.mkdir(parents=True, exist_ok=True)
    files = {"template": folder / "template.json", "env-vars": folder / "env.json"}
    document = Template(ROOT / "template.yaml", {}).document
    write_private(files["template"], json.dumps(template(document, variables), indent=2))
    write_private(files["env-vars"], json.dumps(variables, indent=2))
    options = " ".join(f"--{option} {file}" for option, file in files.items())
    sys.stdout.write(f"sam local invoke CoreApi --event events/core_api.json {options}\n")
    sys.stdout.write(f"sam local start-api {options}\n")
    return 0


def _reached(variable: str, value: str, inside: str, outside: str) -> str:
    """Return the value of a variable for a container, which reaches everything through the stack's front."""
    if variable in _AT_EMULATOR:
        return f"{outside}{EMULATOR_PATH}"
    return value.replace(inside, outside) if variable.startswith("AWS_ENDPOINT_URL_") else value


if __name__ == "__main__":
    sys.exit(main())
