"""The number of simulations: ``make sim`` sets SIMULATION_SEEDS, which also selects every crash point.

By default a few seeds and every eighth crash point are simulated; the mark ``seeds`` names another number of seeds for
a test that is fast. SIMULATION_FIRST_SEED continues an earlier run: it
leaves out the seeds before it, and everything without a seed.
"""

import os
from collections.abc import Generator

import pytest

SEEDS = int(os.environ.get("SIMULATION_SEEDS", "3"))
FIRST_SEED = int(os.environ.get("SIMULATION_FIRST_SEED") or "1")
if not 1 <= FIRST_SEED <= SEEDS:
    # Without this, no seed would be simulated, and the run would pass.
    message = (
        f"SIMULATION_FIRST_SEED ({FIRST_SEED}) must be from 1 to SIMULATION_SEEDS ({SEEDS}), the last seed"
    )
    raise pytest.UsageError(message)

EVERY = 1 if "SIMULATION_SEEDS" in os.environ else 8
"""By default, one in this many crash points is simulated."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test with a ``seed`` once for each seed."""
    if "seed" in metafunc.fixturenames:
        mark = metafunc.definition.get_closest_marker("seeds")
        last = mark.args[0] if mark is not None and "SIMULATION_SEEDS" not in os.environ else SEEDS
        metafunc.parametrize("seed", range(FIRST_SEED, last + 1))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect crash points that are not simulated, and tests without a seed if an earlier run is continued."""
    at_points = [item for item in items if "point" in _params_of(item)]
    left_out = {item.nodeid for index, item in enumerate(at_points) if index % EVERY}
    if FIRST_SEED > 1:
        left_out |= {item.nodeid for item in items if "seed" not in _params_of(item)}
    config.hook.pytest_deselected(items=[item for item in items if item.nodeid in left_out])
    items[:] = [item for item in items if item.nodeid not in left_out]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Say how to repeat a simulation that failed."""
    report = yield
    if report.failed:
        # With the variable set, every crash point is simulated, so that the test exists whichever it is.
        command = f"SIMULATION_SEEDS={_seed_of(item)} .venv/bin/python -m pytest '{item.nodeid}'"
        report.sections.append(("to repeat it", command))
    return report


def _seed_of(item: pytest.Item) -> int:
    seed = _params_of(item).get("seed", 1)
    return seed if isinstance(seed, int) else 1


def _params_of(item: pytest.Item) -> dict[str, object]:
    params: dict[str, object] = getattr(getattr(item, "callspec", None), "params", {})
    return params
