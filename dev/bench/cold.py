"""The CPU time of a fresh interpreter until a function can take its first call, compared with a bare AWS client."""

import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass

from dev.template import REGION, Template
from dev.workers import ROOT

BASELINE = "bare DynamoDB client"


@dataclass(frozen=True, slots=True, kw_only=True)
class ColdStart:
    """CPU milliseconds, and their ratio to those of the bare client. Each is the median of the rounds."""

    milliseconds: float
    ratio: float


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
    programs = {BASELINE: "import boto3; boto3.client('dynamodb')"} | {
        name: f"import {function.handler.rpartition('.')[0]}; from shared import bootstrap; "
        f"bootstrap.{begins.get(name, 'ports')}()"
        for name, function in functions.items()
    }
    found: dict[str, list[float]] = {name: [] for name in programs}
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
                spent = _cpu_of([sys.executable, "-c", program], {**common, **environment})
                # The first round fills the bytecode cache, so it does not count.
                if number:
                    found[name].append(spent * 1000)
    return {
        name: ColdStart(
            milliseconds=statistics.median(times),
            ratio=statistics.median(own / bare for own, bare in zip(times, found[BASELINE], strict=True)),
        )
        for name, times in found.items()
    }


def _cpu_of(command: list[str], environment: Mapping[str, str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
