"""Events that are no longer kept. Source: docs/decisions/0052-records-and-audit-expire.md."""

from datetime import timedelta

import pytest

from shared.domain.explain.instance import has_gap
from tests.factories import NOON, an_instance

MINUTE = timedelta(minutes=1)
INSTANCE = an_instance(next_seq=6)


class TestAGap:
    """An event that was created about the instant decides; earlier and later ones do not."""

    @pytest.mark.parametrize(
        ("known", "is_gap"),
        [
            ({1, 2, 3, 4, 5}, False),
            ({2, 3, 4, 5}, False),
            ({3, 4}, False),
            ({2, 3}, True),
            ({4, 5}, True),
            ({1, 2, 5}, True),
            ({3, 5}, True),
            (set(), True),
        ],
    )
    def test_the_event_before_and_the_one_after_are_needed(self, known: set[int], is_gap: bool) -> None:  # noqa: FBT001 - a column
        """Event n is created at the n-th hour, and the question is about half past three."""
        created = {seq: NOON + timedelta(hours=seq) for seq in known}
        assert has_gap(INSTANCE, created, NOON + timedelta(hours=3, minutes=30)) is is_gap

    def test_events_of_the_same_minute_are_all_needed(self) -> None:
        created = dict.fromkeys((3, 5), NOON)
        assert has_gap(INSTANCE, {2: NOON - MINUTE, **created}, NOON + timedelta(seconds=30))
        assert not has_gap(INSTANCE, {2: NOON - MINUTE, 4: NOON, **created}, NOON + timedelta(seconds=30))

    def test_what_was_not_read_is_no_gap(self) -> None:
        created = dict.fromkeys((4, 5), NOON)
        assert not has_gap(INSTANCE, created, NOON, first=4)
        assert has_gap(INSTANCE, created, NOON, first=3)
