"""Measure CPU time side by side and hold the ratios against their budgets: ``python -m dev.bench``.

Times differ from machine to machine and from minute to minute, so what is compared takes turns in one run, and of
each the median counts. Source: design section 12.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dev.bench.work import expected
from dev.template import REGION, Template
from dev.workers import ROOT
from shared.api.pages import PAGES

PEER = ROOT / ".venv-bench" / "bin" / "python"
BASELINE = "bare DynamoDB client"
MOST_OF_THE_PEER = 0.6
MOST_OF_A_RUNNER = 1.5
MOST_OF_AN_API = 2.0
ENGINES: Mapping[str, list[str]] = {
    "Ritornello": [sys.executable, "-m", "dev.bench.engine"],
    "DBOS on SQLite": [str(PEER), "-m", "dev.bench.peer"],
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """One figure against another. budget: what it may come to; None where it is only reported."""

    what: str
    value: float
    budget: float | None = None

    def __str__(self) -> str:
        """A line for people."""
        if self.budget is None:
            return f"{self.what}: {self.value:.2f}"
        kept = "kept" if self.value <= self.budget else "NOT kept"
        return f"{self.what}: {self.value:.2f} (budget {self.budget}: {kept})"


def cold_starts(rounds: int) -> dict[str, float]:
    """CPU milliseconds of a fresh interpreter until it could take its first call, by what it starts."""
    key = "local:" + "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s="
    parameters = {"Stage": "bench", "Environment": "dev", "SettingsKeyArn": key, "Pepper": "p" * 32}
    functions = {
        function.logical_id: function for function in Template(ROOT / "template.yaml", parameters).functions()
    }
    programs = {BASELINE: "import boto3; boto3.client('dynamodb')"} | {
        name: f"import {function.handler.rpartition('.')[0]}; from shared import bootstrap; bootstrap.ports()"
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
                if number:
                    found[name].append(spent * 1000)
    return {name: statistics.median(times) for name, times in found.items()}


def runs(rounds: int, tasks: int) -> dict[str, dict[str, float]]:
    """The figures of each engine a task, times in seconds."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in ENGINES}
    with _service() as port, tempfile.TemporaryDirectory() as folder:
        for _ in range(rounds):
            for name, command in ENGINES.items():
                result = Path(folder) / "result.json"
                arguments = [f"--tasks={tasks}", f"--port={port}", f"--result={result}"]
                subprocess.run([*command, *arguments], cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
                counted = _counted(port)
                if counted != expected(tasks):
                    sys.exit(f"{name} called the service otherwise than it should have: {counted}")
                found[name].append(json.loads(result.read_text()))
    return {
        name: {figure: statistics.median(one[figure] for one in figures) / tasks for figure in figures[0]}
        for name, figures in found.items()
    }


@contextmanager
def _service() -> Iterator[int]:
    command = [sys.executable, "-m", "dev.bench.work"]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        if process.stdout is None:
            raise RuntimeError("the service has no output")
        yield int(process.stdout.readline())
    finally:
        process.communicate(timeout=10)


def _counted(port: int) -> dict[str, int]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/") as answer:
        counted: dict[str, int] = json.load(answer)
        return counted


def _cpu_of(command: list[str], environment: Mapping[str, str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def ratios(starts: Mapping[str, float], engines: Mapping[str, Mapping[str, float]]) -> list[Ratio]:
    """What the budgets are about."""
    apis = {f"{dialect.title()}Api" for dialect in PAGES}
    ours, peers = engines["Ritornello"], engines["DBOS on SQLite"]["cpu"]
    cold = [
        Ratio(
            what=f"cold start of {name} against a {BASELINE}, CPU",
            value=spent / starts[BASELINE],
            budget=MOST_OF_AN_API if name in apis else MOST_OF_A_RUNNER if name == "StepRunner" else None,
        )
        for name, spent in starts.items()
        if name != BASELINE
    ]
    return [
        Ratio(
            what="a task against DBOS on SQLite, CPU without the AWS transport",
            value=(ours["cpu"] - ours["transport"]) / peers,
            budget=MOST_OF_THE_PEER,
        ),
        Ratio(
            what="the same over real sockets, with the emulator's CPU",
            value=(ours["cpu"] + ours["emulator"]) / peers,
        ),
        *cold,
    ]


def _told(figure: str, value: float) -> str:
    return f"{value:.1f} {figure}" if figure == "trips" else f"{figure} {value * 1000:.2f} ms"


def main() -> None:
    """Measure and tell."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--tasks", type=int, default=200)
    parser.add_argument(
        "--rounds", type=int, default=3, help="of the workload; cold starts take thrice as many"
    )
    asked = parser.parse_args()
    starts = cold_starts(asked.rounds * 3)
    engines = runs(asked.rounds, asked.tasks)
    told = [f"{name}: {spent:.0f} ms of CPU to start" for name, spent in starts.items()]
    told += [
        f"{name}: " + ", ".join(_told(*figure) for figure in figures.items()) + " a task"
        for name, figures in engines.items()
    ]
    print("\n".join([*told, "", *map(str, ratios(starts, engines))]))  # noqa: T201 - what it is for


if __name__ == "__main__":
    main()
