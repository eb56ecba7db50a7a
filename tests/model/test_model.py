"""Every state of the small configurations keeps the invariants. ``make model`` searches the large ones."""

import pytest

from tests.model.configurations import LARGE, SMALL
from tests.model.search import search
from tests.model.world import Configuration


@pytest.mark.parametrize("configuration", SMALL, ids=lambda each: each.name)
def test_no_reachable_state_breaks_an_invariant(configuration: Configuration) -> None:
    found = search(configuration)

    assert found.counterexample is None, f"\n{found.counterexample}"
    assert found.states > 90  # a search that goes nowhere proves nothing


def test_every_guard_is_in_force_unless_it_is_removed() -> None:
    assert all(each.guards == Configuration(name="").guards for each in (*SMALL, *LARGE))
