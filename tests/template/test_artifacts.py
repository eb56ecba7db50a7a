"""The layer, and the artifact of each function, built for this machine by the rules that build the deployed ones."""

import marshal
import os
import re
import struct
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from dev.artifacts import LAYER, size
from dev.packages import HERE
from dev.template import Function, Template
from shared.api.http.pages import PAGES
from shared.api.reference.build import page_text
from shared.bootstrap import AwsService

ROOT = Path(__file__).parents[2]
TEMPLATE = Template(
    ROOT / "template.yaml", {"SettingsKeyArn": "arn:key", "PepperSecretArn": "local:" + "p" * 32}
)
FUNCTIONS = {function.logical_id: function for function in TEMPLATE.functions()}
NAME = re.compile(r"^([a-z0-9-]+)==", re.MULTILINE)
UNCHECKED_HASH = 0b01
# Lambda's name of a processor, its name in wheels, and its number in ELF files.
PROCESSORS = {"arm64": ("aarch64", 0xB7), "x86_64": ("x86_64", 0x3E)}

# With the artifact, the layer and the standard library only: no site-packages, no environment, no network.
PROGRAM = """
import importlib, sys, zoneinfo
artifact, layer, handler, *services = sys.argv[1:]
def refuse(event, _):
    if event in ("socket.connect", "socket.getaddrinfo", *started):
        raise AssertionError(event)
started = ["subprocess.Popen"]
sys.addaudithook(refuse)
sys.path[:0] = [artifact, layer]
module, _, name = handler.rpartition(".")
assert callable(getattr(importlib.import_module(module), name))
assert "holidays" not in sys.modules

# The layer has the holidays' English names, in every country.
from datetime import date
from shared.domain.calendar.public_holidays import holiday_data_version, holiday_name
assert holiday_name("DE", "BY", date(2026, 12, 25)) == "Christmas Day"
assert "holidays.countries.japan" not in sys.modules
assert holiday_name("JP", None, date(2027, 1, 1)) == "New Year's Day"
assert holiday_name("NZ", None, date(2026, 2, 6)) == "Waitangi Day"
assert holiday_data_version()

# Only the evaluator is a process of its own, with the layer's library.
started.clear()
import time
from shared.adapters.evaluator.process import ProcessEvaluator
from shared.expressions import ResultType, VariableType, evaluate, use_evaluator
use_evaluator(ProcessEvaluator(seconds=time.monotonic, environment={}))
variables = {"x": VariableType.ANY}
assert evaluate("x + 1.0", {"x": 2.0}, variables=variables, returns=ResultType.ANY) == 3
assert "cel_expr_python" not in sys.modules
started.append("subprocess.Popen")
zoneinfo.reset_tzpath(())
zoneinfo.ZoneInfo("Europe/Berlin")
import boto3
for service in services:
    boto3.client(service, region_name="eu-central-1", aws_access_key_id="test", aws_secret_access_key="test")
"""


def build(logical_id: str, artifact: Path | str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Make the artifact of a function or the layer by the rule that SAM calls, with these variables only."""
    ours = {"MAKEFLAGS", "MAKEOVERRIDES", "ARTIFACTS_DIR", *HERE}
    settings = {"ARTIFACTS_DIR": artifact, **variables}
    return subprocess.run(  # noqa: S603 - our own rule
        ["make", f"build-{logical_id}", *(f"{name}={value}" for name, value in settings.items())],  # noqa: S607
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if name not in ours},
        capture_output=True,
        text=True,
        check=False,
    )


def built(logical_id: str, artifact: Path, **variables: str) -> Path:
    """Build the artifact and expect success."""
    made = build(logical_id, artifact, **variables)
    assert made.returncode == 0, made.stdout + made.stderr
    return artifact


def files_of(artifact: Path) -> list[Path]:
    """Return every file, relative to the artifact."""
    return [path.relative_to(artifact) for path in sorted(artifact.rglob("*")) if path.is_file()]


@pytest.fixture(scope="module", params=FUNCTIONS.values(), ids=list(FUNCTIONS))
def function(request: pytest.FixtureRequest) -> Function:
    found: Function = request.param
    return found


@pytest.fixture(scope="module")
def artifact(function: Function, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(function.logical_id, tmp_path_factory.mktemp("built") / function.logical_id, **HERE)


@pytest.fixture(scope="session")
def layer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(LAYER, tmp_path_factory.mktemp("built") / LAYER, **HERE)


@pytest.fixture(scope="module", params=[LAYER, *FUNCTIONS])
def package(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, layer: Path) -> Path:
    """Return the layer, then each artifact."""
    name: str = request.param
    return layer if name == LAYER else built(name, tmp_path_factory.mktemp("built") / name, **HERE)


@pytest.fixture(scope="module")
def deployable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(LAYER, tmp_path_factory.mktemp("built") / "deployable")


class TestEachArtifact:
    """An artifact runs with the layer and contains nothing else."""

    def test_the_handler_runs_with_the_layer_alone(
        self, artifact: Path, function: Function, layer: Path
    ) -> None:
        services = ["dynamodb", *get_args(AwsService)]

        ran = subprocess.run(  # noqa: S603 - our own program
            [
                *(sys.executable, "-I", "-S", "-B", "-c", PROGRAM),
                *(str(artifact), str(layer / "python"), function.handler, *services),
            ],
            cwd=artifact.parent,
            env={},
            capture_output=True,
            text=True,
            check=False,
        )

        assert (ran.returncode, ran.stderr) == (0, "")

    def test_an_artifact_contains_only_its_own_function(self, artifact: Path, function: Function) -> None:
        own = function.handler.split(".")[1]

        held = {path.name for path in (artifact / "functions").iterdir()} - {"__pycache__"}

        assert held == {"__init__.py", own}

    def test_only_the_artifact_of_an_api_contains_its_reference(
        self, artifact: Path, function: Function
    ) -> None:
        own = function.handler.split(".")[1]
        dialect = own.removesuffix("_api")
        files = {page.file for pages in PAGES.values() for page in pages}

        found = {file: [p for p in artifact.rglob(file) if "functions" in p.parts] for file in files}

        if dialect not in PAGES:
            assert found == {file: [] for file in files}
            return
        for file, paths in found.items():
            assert paths == [artifact / "functions" / own / file]
            assert paths[0].read_text(encoding="utf-8") == page_text(dialect, file)

    def test_the_modules_that_make_the_reference_are_not_in_it(self, artifact: Path) -> None:
        assert (artifact / "shared" / "api" / "http").is_dir()
        assert not (artifact / "shared" / "api" / "reference").exists()

    def test_an_artifact_contains_our_code_and_no_library(self, artifact: Path) -> None:
        assert {path.name for path in artifact.iterdir()} == {"functions", "shared"}

    def test_the_artifact_and_the_layer_are_within_the_limit(
        self, artifact: Path, layer: Path, function: Function
    ) -> None:
        assert size(artifact).fits_with(size(layer)), function.logical_id


class TestTheLayer:
    """All functions have the same libraries."""

    def test_the_libraries_are_those_of_the_lock(self, layer: Path) -> None:
        locked = set(NAME.findall((ROOT / "requirements" / "runtime.txt").read_text()))

        found = layer.glob("python/*.dist-info")

        assert {path.name.split("-")[0].replace("_", "-") for path in found} == locked

    def test_it_contains_nothing_outside_the_folder_that_lambda_searches(self, layer: Path) -> None:
        assert [path.name for path in layer.iterdir()] == ["python"]

    def test_the_tests_and_programs_of_the_libraries_are_left_out(self, layer: Path) -> None:
        assert [path for path in files_of(layer) if {"tests", "bin"} & set(path.parts)] == []


class TestEachPackage:
    """The layer and the artifacts are the same wherever they are built, and hold bytecode that Lambda uses."""

    def test_a_package_contains_no_paths_of_this_machine(self, package: Path) -> None:
        places = [str(place).encode() for place in (ROOT, package)]

        remembering = [
            path
            for path in files_of(package)
            if any(place in (package / path).read_bytes() for place in places)
        ]

        assert remembering == []

    def test_bytecode_is_not_checked_against_its_source(self, package: Path) -> None:
        compiled = [package / path for path in files_of(package) if path.suffix == ".pyc"]

        assert {struct.unpack("<I", path.read_bytes()[4:8])[0] for path in compiled} == {UNCHECKED_HASH}

    def test_bytecode_names_the_place_that_its_source_has_on_lambda(self, package: Path) -> None:
        place = "/opt/python/" if package.name == LAYER else "/var/task/"

        compiled = [package / path for path in files_of(package) if path.suffix == ".pyc"]
        named = {marshal.loads(path.read_bytes()[16:]).co_filename for path in compiled}  # noqa: S302 - our own

        assert {name[: len(place)] for name in named} == {place}

    def test_every_module_has_bytecode(self, package: Path, capsys: pytest.CaptureFixture[str]) -> None:
        found = size(package)

        with capsys.disabled():
            print(f"\n{package.name:16}{found}")  # noqa: T201 - sizes are worth a look
        assert found.has_bytecode


class TestWhatIsDeployed:
    """Without a target the layer is for the template's Python and processor."""

    def test_every_extension_module_is_for_that_python_and_processor(self, deployable: Path) -> None:
        asked = TEMPLATE.document["Globals"]["Function"]
        (architecture,) = asked["Architectures"]
        processor, number = PROCESSORS[architecture]
        tag = f".cpython-{asked['Runtime'].removeprefix('python').replace('.', '')}-{processor}-linux-gnu.so"

        extensions = [path for path in files_of(deployable) if path.suffix == ".so"]

        assert extensions
        assert [path for path in extensions if not path.name.endswith((tag, ".abi3.so"))] == []
        for path in extensions:
            (machine,) = struct.unpack("<H", (deployable / path).read_bytes()[18:20])
            assert machine == number, path

    def test_the_deployed_layer_is_within_the_limit(self, deployable: Path) -> None:
        assert size(deployable).fits

    @pytest.mark.parametrize("name", FUNCTIONS)
    def test_every_function_has_the_layer(self, name: str) -> None:
        resources = TEMPLATE.document["Resources"]
        own = resources[name]["Properties"].get("Layers", TEMPLATE.document["Globals"]["Function"]["Layers"])

        assert own == [{"Ref": LAYER}]


class TestTheRule:
    """The build rule explains why it refuses a build."""

    @pytest.mark.parametrize("name", [LAYER, "StepRunner"])
    def test_a_build_without_a_target_folder_is_refused(self, name: str) -> None:
        refused = build(name, "")

        assert refused.returncode != 0
        assert "ARTIFACTS_DIR=" in refused.stderr

    def test_a_function_without_a_folder_is_refused(self, tmp_path: Path) -> None:
        refused = build("NoSuchThing", tmp_path)

        assert refused.returncode != 0
        assert "functions/no_such_thing" in refused.stderr
