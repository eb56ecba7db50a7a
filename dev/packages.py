"""The work of ``sam package``: archives in S3 instead of folders.

And the changes that the other engine needs.
"""

import copy
import hashlib
import os
import platform
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from dev.workers import ROOT

Build = Callable[[str], Path]
"""Builds a function or a layer, given its logical id, and returns the folder."""

Document = dict[str, Any]
"""A template, with its short intrinsics in the long form."""

_EARLIEST = (1980, 1, 1, 0, 0, 0)
"""The date of all files in an archive, so that equal content has an equal hash."""

HERE = {
    "TARGET_PYTHON": f"{sys.version_info.major}.{sys.version_info.minor}",
    "TARGET_PLATFORM": {
        "Linux": f"{platform.machine()}-manylinux_2_28",
        "Darwin": f"{platform.machine().replace('arm64', 'aarch64')}-apple-darwin",
    }.get(platform.system(), "unknown"),
    "COMPILE_WITH": sys.executable,
}
"""The variables of the build rule for an artifact that runs on this machine."""


class BuildError(Exception):
    """The build rule failed."""


def built_here(logical_id: str, folder: Path) -> Path:
    """Build a function or a layer for this machine, by the rule that builds it for AWS. Raises: BuildError."""
    variables = {"ARTIFACTS_DIR": str(folder), **HERE}
    made = subprocess.run(
        ["make", f"build-{logical_id}", *(f"{name}={value}" for name, value in variables.items())],  # noqa: S607 - whichever make there is
        cwd=ROOT,
        # Without the variables of a make that runs this process.
        env={name: value for name, value in os.environ.items() if not name.startswith("MAKE")},
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        raise BuildError(made.stdout + made.stderr)
    return folder


class Bucket:
    """A bucket of packages, each stored once under the hash of its content."""

    def __init__(self, s3: Any, name: str, region: str, folder: Path) -> None:  # noqa: ANN401 - boto3 has no types of its own
        self._s3, self._name, self._folder = s3, name, folder
        self._stored: set[str] = set()
        s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": region})

    def put(self, key: str, data: bytes) -> str:
        """Store a small object. Return its location in S3's path style."""
        self._s3.put_object(Bucket=self._name, Key=key, Body=data)
        return f"{self._name}/{key}"

    def put_package(self, source: Path) -> str:
        """Store a folder as an archive and return its URI."""
        file = self._folder / "package.zip"
        _zip(source, file)
        with file.open("rb") as package:
            key = hashlib.file_digest(package, "sha256").hexdigest()
            # Equal content is one package.
            if key not in self._stored:
                package.seek(0)
                self._s3.put_object(Bucket=self._name, Key=key, Body=package)
                self._stored.add(key)
        file.unlink()
        return f"s3://{self._name}/{key}"


def packaged(document: Document, build: Build, bucket: Bucket) -> Document:
    """Return the template with every function and layer built and stored."""
    package = copy.deepcopy(document)
    for logical_id, function in functions_of(package):
        function["CodeUri"] = bucket.put_package(build(logical_id))
    for logical_id, layer in layers_of(package):
        layer["ContentUri"] = bucket.put_package(build(logical_id))
    return package


def adapted(document: Document) -> Document:
    """Return the template adapted to the other engine.

    There are five changes. Alarms on metric math are left out, because the engine does not know them. Statements
    about schedules name the group ``default``, because the engine checks the permissions for a schedule under that
    group, no matter in which group it is. Statements that allow to send messages also allow
    ``sqs:SendMessageBatch``, which is no action of AWS: there ``sqs:SendMessage`` permits both. Statements about keys
    have no condition on the encryption context, because the engine does not give it to conditions. It does check the
    context itself when it decrypts. An issuer of tokens may be at an HTTP address, as those of tests are.

    The engine runs Python functions with its own interpreter and ignores ``Runtime`` and ``Architectures``. For other
    properties that it ignores see docs/decisions/0012-end-to-end-on-another-engine.md.
    """
    found = copy.deepcopy(document)
    found["Resources"] = {
        logical_id: resource
        for logical_id, resource in found["Resources"].items()
        if resource["Type"] != "AWS::CloudWatch::Alarm" or "Metrics" not in resource["Properties"]
    }
    found["Parameters"]["JwtIssuer"]["AllowedPattern"] = "(https?://[^\\s,]+)?"
    for _, function in functions_of(found):
        for statement in _statements(function):
            if any(action.startswith("scheduler:") for action in actions_of(statement)):
                statement["Resource"] = {
                    "Fn::Sub": "arn:${AWS::Partition}:scheduler:${AWS::Region}:${AWS::AccountId}:schedule/default/*"
                }
            if any(action.startswith("kms:") for action in actions_of(statement)):
                del statement["Condition"]
            if "sqs:SendMessage" in actions_of(statement):
                statement["Action"] = [*actions_of(statement), "sqs:SendMessageBatch"]
    return found


def functions_of(document: Document) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the logical id and the properties of every function."""
    return _of_type("AWS::Serverless::Function", document)


def layers_of(document: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the logical id and the properties of every layer."""
    return _of_type("AWS::Serverless::LayerVersion", document)


def actions_of(statement: Mapping[str, Any]) -> list[str]:
    """Return the actions that a statement names."""
    named = statement["Action"]
    return [named] if isinstance(named, str) else list(named)


def _of_type(named: str, document: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for logical_id, resource in document["Resources"].items():
        if resource["Type"] == named:
            yield logical_id, resource["Properties"]


def _statements(function: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for policy in function.get("Policies", []):
        if isinstance(policy, dict) and "Statement" in policy:
            yield from policy["Statement"]


def _zip(source: Path, file: Path) -> None:
    """Write an uncompressed archive, since it is only read on this machine."""
    with zipfile.ZipFile(file, "w") as package:
        for path in sorted(source.rglob("*")):
            if path.is_file():
                name = path.relative_to(source).as_posix()
                package.writestr(zipfile.ZipInfo(name, _EARLIEST), path.read_bytes())
