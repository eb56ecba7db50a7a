"""How many seeds a simulation runs: ``make sim`` sets SIMULATION_SEEDS, plain tests run a handful."""

import os

import pytest

SEEDS = int(os.environ.get("SIMULATION_SEEDS", "12"))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that asks for a ``seed`` once for each."""
    if "seed" in metafunc.fixturenames:
        metafunc.parametrize("seed", range(1, SEEDS + 1))
