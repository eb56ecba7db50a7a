"""Runs the workload on each engine in turn, and checks the calls that the service received."""

import json
import statistics
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from dev.bench.work import expected
from dev.workers import ROOT

OURS, PEER = "Ritornello", "DBOS on SQLite"
ENGINES: Mapping[str, list[str]] = {
    OURS: [sys.executable, "-m", "dev.bench.engine"],
    PEER: [str(ROOT / ".venv-bench" / "bin" / "python"), "-m", "dev.bench.peer"],
}


class WrongWorkError(Exception):
    """The calls of an engine were not those of the workload, so its figures do not count."""


def figures_of_all(rounds: int, tasks: int) -> dict[str, dict[str, float]]:
    """Return the figures of each engine for one task: times in seconds, the median of the rounds.

    Raises: WrongWorkError.
    """
    found: dict[str, list[dict[str, float]]] = {name: [] for name in ENGINES}
    with service() as port:
        for _ in range(rounds):
            for name in ENGINES:
                found[name].append(figures_of(name, tasks, port))
    return {
        name: {
            figure: statistics.median(measured[figure] for measured in figures) / tasks
            for figure in figures[0]
        }
        for name, figures in found.items()
    }


def figures_of(name: str, tasks: int, port: int) -> dict[str, float]:
    """Return the figures that an engine measured, for all tasks. Raises: WrongWorkError."""
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result.json"
        arguments = [f"--tasks={tasks}", f"--port={port}", f"--result={result}"]
        subprocess.run([*ENGINES[name], *arguments], cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
        figures: dict[str, float] = json.loads(result.read_text())
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/") as answer:
        counted = json.load(answer)
    if counted != expected(tasks):
        raise WrongWorkError(f"{name}: {counted}")
    return figures


@contextmanager
def service() -> Iterator[int]:
    """Run the service during the block and return its port."""
    command = [sys.executable, "-m", "dev.bench.work"]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        if process.stdout is None:
            raise RuntimeError("the service has no output")
        yield int(process.stdout.readline())
    finally:
        process.communicate(timeout=10)
