"""The tables of docs/deployment.md: the cost of runs, and the load and cost of numbers of instances."""

import re
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from shared.application.runner.loop import run_due_events
from tests.bench.costs import Run, Size
from tests.bench.rig import NOON, Rig

DOC = (Path(__file__).parents[2] / "docs" / "deployment.md").read_text()
SIZES = (1_000, 10_000, 100_000, 1_000_000, 10_000_000, 50_000_000)


def counted(rig: Rig, steps: int) -> Run:
    """Run a main event of that many steps, and return its counts."""
    sid = rig.started(steps, NOON)
    before = rig.scheduler.times + rig.invoker.times
    with rig.meter.counting() as usage:
        run_due_events(rig, sid, job="job-1", time_left=lambda: timedelta(seconds=900))
    calls = rig.scheduler.times + rig.invoker.times - before
    return Run(
        steps=steps,
        read_units=usage.read_units,
        write_units=int(usage.write_units),
        trips=sum(usage.trips.values()) + calls,
    )


def row(cells: Sequence[str]) -> str:
    """Return a row of a Markdown table."""
    return f"| {' | '.join(cells)} |"


def dollars(value: float) -> str:
    """Return an amount as the tables show it: cents, or whole dollars from a hundred on."""
    return f"${value:,.0f}" if value >= 100 else f"${value:.2f}"


def rounded(value: float) -> str:
    """Return a number with two digits that count, and more before the point."""
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


class TestCosts:
    """A million runs at list prices."""

    @pytest.mark.parametrize("steps", [1, 3, 10])
    def test_the_cost_of_a_million_runs(self, rig: Rig, steps: int) -> None:
        run = counted(rig, steps)

        cells = [str(steps), *map(dollars, run.costs().values()), dollars(run.total()), dollars(run.kept())]

        assert row(cells) in DOC

    def test_the_columns_are_those_kinds(self, rig: Rig) -> None:
        kinds = list(counted(rig, 1).costs())

        assert row(["steps", *kinds, "together", "kept, a month"]) in DOC


class TestSizes:
    """The load and the cost of a deployment with a thousand to fifty million instances."""

    @pytest.mark.parametrize("instances", SIZES)
    def test_the_table_of_sizes_is_computed(self, rig: Rig, instances: int) -> None:
        size = Size(instances=instances, run=counted(rig, 3))

        cells = [
            f"{instances:,}",
            rounded(size.peak),
            rounded(size.concurrency),
            rounded(size.write_units),
            f"${size.dollars:,.0f}",
        ]

        assert row(cells) in DOC

    def test_the_table_has_no_other_sizes(self) -> None:
        table = DOC.split("## How large")[1].split("\n## ")[0]

        assert len(re.findall(r"^\| [\d,]+ \|", table, re.MULTILINE)) == len(SIZES)
