"""The ratios that ``make bench`` reports. An end-to-end test runs our engine; the others have their own environment."""

from pathlib import Path

import pytest

from dev.bench import runs
from dev.bench.__main__ import Ratio, start_ratios, task_ratios
from dev.bench.cold import BASELINE, ColdStart
from dev.bench.runs import DBOS, FLOOR, OURS, RESTATE, engines

TASK = {"cpu": 8.0, "AWS client": 3.0, "its transport": 2.0, "emulator": 4.0, "trips": 10.0}


def test_each_round_is_compared_with_the_same_round_of_the_peer() -> None:
    double = {name: 2 * value for name, value in TASK.items()}
    found = task_ratios(
        {OURS: [TASK, double], DBOS: [{"cpu": 10.0}, {"cpu": 10.0}], FLOOR: [{"cpu": 1.0}] * 2}
    )
    assert {one.what: list(one.rounds) for one in found} == {
        "Ritornello, without the AWS client": [0.5, 1.0],
        "Ritornello, with the AWS client, without its transport": [0.6, 1.2],
        "Ritornello, over real sockets": [0.8, 1.6],
        "Ritornello, with the emulator of DynamoDB": [1.2, 2.4],
        DBOS: [1.0, 1.0],
        FLOOR: [0.1, 0.1],
    }
    assert [one.is_ours for one in found] == [True] * 4 + [False] * 2


def test_two_ratios_of_a_task_have_budgets() -> None:
    budgets = {one.what: one.budget for one in task_ratios({OURS: [TASK], DBOS: [{"cpu": 10.0}]})}
    assert {what: budget for what, budget in budgets.items() if budget} == {
        "Ritornello, over real sockets": 0.6,
        "Ritornello, with the emulator of DynamoDB": 1.0,
    }


def test_workers_and_apis_have_budgets_for_their_cold_starts() -> None:
    start = ColdStart(milliseconds=500, ratios=(1.0, 1.2))
    found = start_ratios(dict.fromkeys([BASELINE, "StepRunner", "CoreApi", "Publisher"], start))
    assert [one.budget for one in found] == [None, 1.2, 1.6, None]
    assert [one.is_ours for one in found] == [False, True, True, True]


@pytest.mark.parametrize(
    ("budget", "end"), [(None, "1.20"), (0.7, "budget 0.7: kept"), (0.69, "budget 0.69: NOT kept")]
)
def test_a_line_has_median_range_and_budget(budget: float | None, end: str) -> None:
    line = str(Ratio(what="a task", rounds=[0.6, 1.2, 0.7], budget=budget))
    assert " ".join(line.split()).startswith("a task 0.70 0.60 to 1.20")
    assert line.endswith(end)


@pytest.mark.parametrize("is_installed", [True, False])
def test_restate_is_measured_where_npm_has_installed_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, is_installed: bool
) -> None:
    monkeypatch.setattr(runs, "SERVERS", tmp_path)
    if is_installed:
        server = tmp_path / "restate-server-linux-x64" / "bin" / "restate-server"
        server.parent.mkdir(parents=True)
        server.touch()
    assert (RESTATE in engines()) is is_installed
    assert {OURS, DBOS, FLOOR} <= {*engines()}
