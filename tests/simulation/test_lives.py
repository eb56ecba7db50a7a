"""Lives of subscriptions, with every command at random moments: each dry run foretells the later runs.

Source: docs/api/core.md; docs/decisions/0056 to 0063.
"""

from collections.abc import Iterator

import pytest

from shared import bootstrap
from tests.simulation.front_desk import environment
from tests.simulation.laws import (
    assert_every_cycle_accounted_for,
    assert_history_complete,
    assert_history_consistent,
    assert_no_unmarked_double,
)
from tests.simulation.lives import Life


@pytest.fixture(autouse=True)
def core_api(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the core API's function run in this process."""
    for name, value in environment().items():
        monkeypatch.setenv(name, value)
    yield
    bootstrap.forget()


class TestLives:
    """Every dry run foretells the later runs, and every cycle is accounted for once."""

    @pytest.mark.seeds(30)
    def test_a_life_is_as_its_dry_runs_say(self, seed: int) -> None:
        life = Life.begun(seed)

        life.live()

        assert_history_consistent(life.world)
        assert_history_complete(life.world)
        assert_no_unmarked_double(life.world)
        assert_every_cycle_accounted_for(life.world)
        life.assert_no_local_date_charged_twice()
