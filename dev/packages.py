"""What ``sam package`` does: zips in S3 in place of folders; and what the other engine needs changed beside that."""

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
"""Makes what a function is deployed from, by its logical id: a folder."""

Document = dict[str, Any]
"""A template, its short intrinsics spelt out."""

_EARLIEST = (1980, 1, 1, 0, 0, 0)
"""The only date a zip of equal files has, so that its name by content is the same."""

HERE = {
    "TARGET_PYTHON": f"{sys.version_info.major}.{sys.version_info.minor}",
    "TARGET_PLATFORM": {
        "Linux": f"{platform.machine()}-manylinux_2_28",
        "Darwin": f"{platform.machine().replace('arm64', 'aarch64')}-apple-darwin",
    }.get(platform.system(), "unknown"),
    "COMPILE_WITH": sys.executable,
}
"""The variables of the build rule that make what this machine runs."""


class BuildError(Exception):
    """The build rule failed."""


def built_here(logical_id: str, folder: Path) -> Path:
    """A function built into a folder for this machine, by the rule that builds it for AWS."""
    variables = {"ARTIFACTS_DIR": str(folder), **HERE}
    made = subprocess.run(
        ["make", f"build-{logical_id}", *(f"{name}={value}" for name, value in variables.items())],  # noqa: S607 - whichever make there is
        cwd=ROOT,
        # Nothing of the make that we may be run by.
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
        """Store something small; its place as S3's path style names it."""
        self._s3.put_object(Bucket=self._name, Key=key, Body=data)
        return f"{self._name}/{key}"

    def put_package(self, source: Path) -> str:
        """Store a folder as a zip; its URI."""
        file = self._folder / "package.zip"
        _zip(source, file)
        with file.open("rb") as package:
            key = hashlib.file_digest(package, "sha256").hexdigest()
            if key not in self._stored:
                package.seek(0)
                self._s3.put_object(Bucket=self._name, Key=key, Body=package)
                self._stored.add(key)
        file.unlink()
        return f"s3://{self._name}/{key}"


def packaged(document: Document, build: Build, bucket: Bucket) -> Document:
    """The template with every function built and stored."""
    found = copy.deepcopy(document)
    for logical_id, function in functions_of(found):
        function["CodeUri"] = bucket.put_package(build(logical_id))
    return found


def adapted(document: Document) -> Document:
    """The template as the other engine understands it.

    What is changed, all of it:

    - Statements about schedules name the group ``default``: the engine looks for permissions on a schedule under
      that group, whatever group the schedule is in.

    Python functions run by the engine's own interpreter, whatever ``Runtime`` and ``Architectures`` say; what it
    accepts and does nothing about is listed in docs/decisions/0012-end-to-end-on-another-engine.md.
    """
    found = copy.deepcopy(document)
    for _, function in functions_of(found):
        for statement in _statements(function):
            if any(action.startswith("scheduler:") for action in actions_of(statement)):
                statement["Resource"] = {
                    "Fn::Sub": "arn:${AWS::Partition}:scheduler:${AWS::Region}:${AWS::AccountId}:schedule/default/*"
                }
    return found


def functions_of(document: Document) -> Iterator[tuple[str, dict[str, Any]]]:
    """The logical id and the properties of every function."""
    for logical_id, resource in document["Resources"].items():
        if resource["Type"] == "AWS::Serverless::Function":
            yield logical_id, resource["Properties"]


def actions_of(statement: Mapping[str, Any]) -> list[str]:
    """The actions a statement names."""
    named = statement["Action"]
    return [named] if isinstance(named, str) else list(named)


def _statements(function: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for policy in function.get("Policies", []):
        if isinstance(policy, dict) and "Statement" in policy:
            yield from policy["Statement"]


def _zip(source: Path, file: Path) -> None:
    """Uncompressed: it does not go far."""
    with zipfile.ZipFile(file, "w") as package:
        for path in sorted(source.rglob("*")):
            if path.is_file():
                name = path.relative_to(source).as_posix()
                package.writestr(zipfile.ZipInfo(name, _EARLIEST), path.read_bytes())
