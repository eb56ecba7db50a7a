"""Runs the workload on each engine in turn, and checks the calls that the service received."""

import json
import os
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from dev.bench.work import expected
from dev.workers import ROOT

OURS, DBOS, RESTATE, FLOOR = "Ritornello", "DBOS on SQLite", "Restate", "rows in SQLite"
PEERS = str(ROOT / ".venv-bench" / "bin" / "python")
"""The interpreter of the environment with the peers."""
SERVERS = ROOT / "build" / "restate" / "node_modules" / "@restatedev"
"""Where npm puts the Restate server, in a package of its own for each kind of machine."""

Figures = Mapping[str, float]
"""The figures of an engine: CPU seconds by part, or a count."""


class WrongWorkError(Exception):
    """The calls of an engine were not those of the workload, so its figures do not count."""


def engines() -> dict[str, list[str]]:
    """Return the command of each engine. Restate is not among them if npm could not install it."""
    commands = {
        OURS: [sys.executable, "-m", "dev.bench.engine"],
        DBOS: [PEERS, "-m", "dev.bench.on_dbos"],
        FLOOR: [sys.executable, "-m", "dev.bench.floor"],
    }
    if restate_server() is not None:
        commands[RESTATE] = [PEERS, "-m", "dev.bench.on_restate"]
    return commands


def restate_server() -> Path | None:
    """Return the Restate server for this machine, or None."""
    return next(SERVERS.glob("restate-server-*/bin/restate-server"), None)


def figures_of_all(rounds: int, tasks: int) -> dict[str, list[Figures]]:
    """Return the figures of each engine for one task, round by round. Raises: WrongWorkError."""
    found: dict[str, list[Figures]] = {name: [] for name in engines()}
    with service() as port:
        for number in range(rounds):
            # Each round begins with another engine, so that none is always the first.
            names = [*found][number % len(found) :] + [*found][: number % len(found)]
            for name in names:
                figures = figures_of(name, tasks, port)
                found[name].append({figure: value / tasks for figure, value in figures.items()})
    return found


def figures_of(name: str, tasks: int, port: int) -> Figures:
    """Return the figures that an engine measured, for all tasks. Raises: WrongWorkError."""
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result.json"
        arguments = [f"--tasks={tasks}", f"--port={port}", f"--result={result}"]
        environment = {**os.environ, "RESTATE_SERVER": str(restate_server() or "")}
        subprocess.run(
            [*engines()[name], *arguments], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, check=True
        )
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
