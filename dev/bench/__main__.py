"""Measures CPU time side by side and compares the ratios with their budgets: ``python -m dev.bench``.

Times differ between machines and from minute to minute. So the compared programs take turns in one run; each ratio is
of one round, and the table has its median and its range. Source: docs/design.md section 12; docs/decisions/0027.
"""

import argparse
import json
import statistics
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dev.bench.cold import BASELINE, ColdStart, cold_starts
from dev.bench.runs import DBOS, OURS, PEERS, Figures, figures_of_all
from dev.workers import ROOT
from shared.api.http.pages import PAGES

MAX_OF_THE_PEER = 0.6
MAX_WITH_THE_EMULATOR = 1.0
MAX_OF_A_WORKER = 1.2
MAX_OF_AN_API = 1.6
WORKERS = ("StepRunner", "Sweeper", "BulkRunner")

SOCKETS, EMULATOR = "over real sockets", "with the emulator of DynamoDB"

PARTS: Mapping[str, Callable[[Figures], float]] = {
    "without the AWS client": lambda ours: ours["cpu"] - ours["AWS client"],
    "with the AWS client, without its transport": lambda ours: ours["cpu"] - ours["its transport"],
    SOCKETS: lambda ours: ours["cpu"],
    EMULATOR: lambda ours: ours["cpu"] + ours["emulator"],
}
"""The parts of our CPU time that are compared."""

BUDGETS = {SOCKETS: MAX_OF_THE_PEER, EMULATOR: MAX_WITH_THE_EMULATOR}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """A figure divided by another, round by round. ``budget`` is its maximum, or None if it is only reported."""

    what: str
    rounds: Sequence[float]
    is_ours: bool = True
    budget: float | None = None

    @property
    def median(self) -> float:
        """Return the median of the rounds."""
        return statistics.median(self.rounds)

    def __str__(self) -> str:
        """Return the line of the table."""
        line = f"{self.what:<60} {self.median:5.2f}  {min(self.rounds):5.2f} to {max(self.rounds):5.2f}"
        if self.budget is None:
            return line
        return f"{line}  budget {self.budget}: {'kept' if self.median <= self.budget else 'NOT kept'}"


def task_ratios(engines: Mapping[str, Sequence[Figures]]) -> list[Ratio]:
    """Return the CPU time of a task on each engine against that on DBOS."""
    base = [figures["cpu"] for figures in engines[DBOS]]
    ours = [
        Ratio(
            what=f"{OURS}, {part}",
            rounds=[of(figures) / peer for figures, peer in zip(engines[OURS], base, strict=True)],
            budget=BUDGETS.get(part),
        )
        for part, of in PARTS.items()
    ]
    peers = [
        Ratio(
            what=name,
            rounds=[one["cpu"] / peer for one, peer in zip(figures, base, strict=True)],
            is_ours=False,
        )
        for name, figures in engines.items()
        if name != OURS
    ]
    return ours + peers


def start_ratios(starts: Mapping[str, ColdStart]) -> list[Ratio]:
    """Return the CPU time of each function's cold start against that of a bare client."""
    apis = {f"{dialect.title()}Api" for dialect in PAGES}
    return [
        Ratio(
            what=name,
            rounds=start.ratios,
            is_ours=name != BASELINE,
            budget=MAX_OF_AN_API if name in apis else MAX_OF_A_WORKER if name in WORKERS else None,
        )
        for name, start in starts.items()
    ]


def _start_text(start: ColdStart) -> str:
    left = "" if start.restored is None else f", {start.restored:.1f} ms after a restore"
    return f"{start.milliseconds:.0f} ms of CPU to start{left}"


def _task_text(figures: Sequence[Figures]) -> str:
    medians = {name: statistics.median(one[name] for one in figures) for name in figures[0]}
    return ", ".join(
        f"{value:.1f} {name}" if name == "trips" else f"{name} {value * 1000:.2f} ms"
        for name, value in medians.items()
    )


def _plot(panels: Mapping[str, Sequence[Ratio]], path: Path) -> None:
    """Draw the ratios with the environment of the peers."""
    bars = {
        title: [
            {
                "name": one.what,
                "value": one.median,
                "low": min(one.rounds),
                "high": max(one.rounds),
                "ours": one.is_ours,
            }
            for one in ratios
        ]
        for title, ratios in panels.items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    figures = path.with_suffix(".json")
    figures.write_text(json.dumps(bars))
    subprocess.run([PEERS, "-m", "dev.bench.plot", str(figures), str(path)], cwd=ROOT, check=True)


def main() -> None:
    """Measure, print the figures and draw the ratios."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--tasks", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--plot", type=Path, default=ROOT / "build" / "bench.png")
    arguments = parser.parse_args()
    starts = cold_starts(arguments.rounds)
    engines = figures_of_all(arguments.rounds, arguments.tasks)
    lines = [f"{name}: {_start_text(start)}" for name, start in starts.items()]
    lines += [f"{name}: {_task_text(figures)} a task" for name, figures in engines.items()]
    panels = {
        f"CPU time of a task of three calls, against {DBOS}": task_ratios(engines),
        f"CPU time of a cold start, against a {BASELINE}": start_ratios(starts),
    }
    for title, ratios in panels.items():
        lines += ["", f"{title}: median, range of {arguments.rounds} rounds", *map(str, ratios)]
    print("\n".join(lines))  # noqa: T201 - the output
    _plot(panels, arguments.plot)
    print(f"drawn: {arguments.plot}")  # noqa: T201 - as above


if __name__ == "__main__":
    main()
