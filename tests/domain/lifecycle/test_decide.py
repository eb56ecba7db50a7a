"""`decide` is total: any command on any state comes to a verdict. Source: design section 2."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.lifecycle_walks import RandomLife


class TestTotality:
    """Whatever commands come, at whatever times: a verdict, a sound instance, and rev + 1 only if applied.

    What AlreadyThere and Refused answer is the very instance they were asked about.
    """

    @settings(max_examples=150, deadline=None)
    @given(seed=st.integers(0, 1_000_000), steps=st.integers(1, 80))
    def test_every_life_stays_sound(self, seed: int, steps: int) -> None:
        RandomLife.begun(seed).lead(steps)
