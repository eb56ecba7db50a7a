"""The CPU time of a fresh interpreter until a function can take its first call, compared with a bare AWS client.

With SnapStart the modules and the clients are in the snapshot, and only the work after a restore is left.
"""

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass

from dev.template import REGION, Template
from dev.workers import ROOT

BASELINE = "bare DynamoDB client"

_SNAP_START = {"AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start"}
# Both print the CPU seconds until they are ready, and how many of them come after the import; a snapshot is taken
# between the two. The end of a process does not count: it searches for garbage once more, and Lambda has no such end.
_BASELINE_PROGRAM = """
import boto3
boto3.client("dynamodb")
from time import process_time
print(process_time(), 0)
"""
_PROGRAM = """
import {module}
from shared import bootstrap
from time import process_time
imported = process_time()
bootstrap.{begin}()
ready = process_time()
print(ready, ready - imported)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ColdStart:
    """CPU milliseconds, the median of the rounds, and in each round their ratio to those of the bare client.

    ``restored`` are the milliseconds that are left after a restore of a snapshot; the bare client has none.
    """

    milliseconds: float
    ratios: tuple[float, ...]
    restored: float | None = None


def cold_starts(rounds: int) -> dict[str, ColdStart]:
    """Return the cold start of each function. A ratio compares two starts of the same round."""
    key = "local:" + "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s="
    parameters = {
        "Stage": "bench",
        "Environment": "dev",
        "SettingsKeyArn": key,
        "PepperSecretArn": "local:" + "p" * 32,
    }
    functions = {
        function.logical_id: function for function in Template(ROOT / "template.yaml", parameters).functions()
    }
    begins = {"StepRunner": "begin_invocation"}  # it calls services; the others only need their tables
    programs = {BASELINE: _BASELINE_PROGRAM} | {
        name: _PROGRAM.format(module=function.handler.rpartition(".")[0], begin=begins.get(name, "ports"))
        for name, function in functions.items()
    }
    found: dict[str, list[float]] = {name: [] for name in programs}
    restored: dict[str, list[float]] = {name: [] for name in functions}
    with tempfile.TemporaryDirectory() as bytecode:
        common = {
            "PATH": os.environ["PATH"],
            "PYTHONPYCACHEPREFIX": bytecode,  # the first round fills it
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "none",
            "AWS_SECRET_ACCESS_KEY": "none",
        }
        for number in range(rounds + 1):
            for name, program in programs.items():
                environment = functions[name].environment if name in functions else {}
                command = [sys.executable, "-c", program]
                ready, _ = _milliseconds(command, {**common, **environment})
                # The first round fills the bytecode cache, so it does not count.
                if number:
                    found[name].append(ready)
                if number and name in functions:
                    _, left = _milliseconds(command, {**common, **environment, **_SNAP_START})
                    restored[name].append(left)
    return {
        name: ColdStart(
            milliseconds=statistics.median(times),
            ratios=tuple(own / bare for own, bare in zip(times, found[BASELINE], strict=True)),
            restored=statistics.median(restored[name]) if name in functions else None,
        )
        for name, times in found.items()
    }


def _milliseconds(command: list[str], environment: Mapping[str, str]) -> tuple[float, float]:
    """Return the two numbers that a program prints, in milliseconds."""
    ran = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    ready, after_import = ran.stdout.split()
    return float(ready) * 1000, float(after_import) * 1000
