import pytest

from dev.words import complaints


class TestRetiredWords:
    """A name that uses a retired word is refused, with the word to use."""

    @pytest.mark.parametrize(
        ("source", "name"),
        [
            ("class DrainJob: ...", "DrainJob"),
            ("def ring_twice(): ...", "ring_twice"),
            ("def save(told): ...", "told"),
            ("trail: int = 1", "trail"),
            ("_asked = 1", "_asked"),
        ],
    )
    def test_each_kind_of_name_is_checked(self, source: str, name: str) -> None:
        ((line, text),) = complaints(source)

        assert line == 1
        assert text.startswith(f"{name}: ")

    def test_a_limit_begins_with_max(self) -> None:
        assert complaints("MOST_STEPS = 200") == [(1, "MOST_STEPS: limits begin with MAX")]

    @pytest.mark.parametrize("source", ["MAX_STEPS = 200", "def string(draining): ...", "class Walker: ..."])
    def test_other_names_are_not_refused(self, source: str) -> None:
        assert complaints(source) == []
