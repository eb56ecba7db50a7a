"""`decide` is total: every command on every state has a verdict. Source: docs/design.md section 2."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.lifecycle_walks import RandomLife


class TestTotality:
    """Any commands at any times: a verdict, a sound instance, and rev + 1 only if applied.

    AlreadyThere and Refused return the instance unchanged.
    """

    @settings(max_examples=150, deadline=None)
    @given(seed=st.integers(0, 1_000_000), steps=st.integers(1, 80))
    def test_every_life_stays_sound(self, seed: int, steps: int) -> None:
        RandomLife.begun(seed).lead(steps)

    @settings(max_examples=150, deadline=None)
    @given(seed=st.integers(0, 1_000_000), steps=st.integers(1, 80))
    def test_every_life_whose_status_changes_at_dates_stays_sound(self, seed: int, steps: int) -> None:
        RandomLife.begun(seed, is_dated=True).lead(steps)
