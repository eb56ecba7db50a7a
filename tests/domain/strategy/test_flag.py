"""The flag that blocks due events, and when it was paused. Source: docs/decisions/0063."""

from datetime import timedelta

from shared.domain.strategy.flag import MAX_FLAG_PAUSES, Flag, FlagPause
from tests.lifecycle_factories import at

NOON = at("2026-01-05T12:00")


class TestAFlag:
    """Each pause is remembered with its beginning and its end."""

    def test_a_pause_begins_and_ends(self) -> None:
        paused = Flag().paused(now=NOON)
        assert paused == Flag(is_paused=True, pauses=(FlagPause(since=NOON),))
        later = NOON + timedelta(hours=1)
        assert paused.resumed(now=later) == Flag(pauses=(FlagPause(since=NOON, until=later),))

    def test_an_earlier_pause_keeps_its_end(self) -> None:
        first = Flag().paused(now=NOON).resumed(now=NOON + timedelta(hours=1))
        second = first.paused(now=NOON + timedelta(hours=2)).resumed(now=NOON + timedelta(hours=3))
        assert [pause.until for pause in second.pauses] == [
            NOON + timedelta(hours=1),
            NOON + timedelta(hours=3),
        ]

    def test_a_pause_of_a_release_that_remembered_none_ends_without_one(self) -> None:
        assert Flag(is_paused=True).resumed(now=NOON) == Flag()

    def test_the_oldest_pauses_become_one(self) -> None:
        flag = Flag()
        for hour in range(MAX_FLAG_PAUSES + 1):
            since = NOON + timedelta(hours=hour)
            flag = flag.paused(now=since).resumed(now=since + timedelta(minutes=10))
        assert len(flag.pauses) == MAX_FLAG_PAUSES
        assert flag.pauses[0] == FlagPause(since=NOON, until=NOON + timedelta(hours=1, minutes=10))
        assert flag.pauses[1].since == NOON + timedelta(hours=2)
