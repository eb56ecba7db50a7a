"""Measures CPU time side by side and compares the ratios with their budgets: ``python -m dev.bench``.

Times differ between machines and from minute to minute. So the compared programs take turns in one run, and the
median of each counts. Source: docs/design.md section 12; docs/decisions/0027.
"""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass

from dev.bench.cold import BASELINE, ColdStart, cold_starts
from dev.bench.runs import OURS, PEER, figures_of_all
from shared.api.http.pages import PAGES

MAX_OF_THE_PEER = 0.6
MAX_OF_A_RUNNER = 1.5
MAX_OF_AN_API = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """One figure divided by another. ``budget`` is its maximum, or None if it is only reported."""

    what: str
    value: float
    budget: float | None = None

    def __str__(self) -> str:
        """Return the line that is printed."""
        if self.budget is None:
            return f"{self.what}: {self.value:.2f}"
        kept = "kept" if self.value <= self.budget else "NOT kept"
        return f"{self.what}: {self.value:.2f} (budget {self.budget}: {kept})"


def ratios(starts: Mapping[str, ColdStart], engines: Mapping[str, Mapping[str, float]]) -> list[Ratio]:
    """Return the ratios that have budgets, and some others to report."""
    apis = {f"{dialect.title()}Api" for dialect in PAGES}
    ours, peers = engines[OURS], engines[PEER]["cpu"]
    cold = [
        Ratio(
            what=f"cold start of {name} against a {BASELINE}, CPU",
            value=start.ratio,
            budget=MAX_OF_AN_API if name in apis else MAX_OF_A_RUNNER if name == "StepRunner" else None,
        )
        for name, start in starts.items()
        if name != BASELINE
    ]
    return [
        Ratio(
            what=f"a task against {PEER}, CPU without the AWS client",
            value=(ours["cpu"] - ours["AWS client"]) / peers,
            budget=MAX_OF_THE_PEER,
        ),
        Ratio(
            what="the same with the AWS client, without its transport",
            value=(ours["cpu"] - ours["its transport"]) / peers,
        ),
        Ratio(
            what="the same over real sockets, with the emulator's CPU",
            value=(ours["cpu"] + ours["emulator"]) / peers,
        ),
        *cold,
    ]


def _start_text(start: ColdStart) -> str:
    left = "" if start.restored is None else f", {start.restored:.1f} ms after a restore"
    return f"{start.milliseconds:.0f} ms of CPU to start{left}"


def _figure_text(figure: str, value: float) -> str:
    return f"{value:.1f} {figure}" if figure == "trips" else f"{figure} {value * 1000:.2f} ms"


def main() -> None:
    """Measure, and print the figures."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--tasks", type=int, default=200)
    parser.add_argument(
        "--rounds", type=int, default=3, help="of the workload; cold starts take thrice as many"
    )
    arguments = parser.parse_args()
    starts = cold_starts(arguments.rounds * 3)
    engines = figures_of_all(arguments.rounds, arguments.tasks)
    lines = [f"{name}: {_start_text(start)}" for name, start in starts.items()]
    lines += [
        f"{name}: " + ", ".join(_figure_text(*figure) for figure in figures.items()) + " a task"
        for name, figures in engines.items()
    ]
    print("\n".join([*lines, "", *map(str, ratios(starts, engines))]))  # noqa: T201 - the output


if __name__ == "__main__":
    main()
