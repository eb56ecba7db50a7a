"""Drains: what a resumed flag has held is set free. Source: design section 3, item 3."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from shared.domain.bulk.release import (
    IN_HAND,
    PAUSE_BETWEEN_LOOKS,
    QUIET,
    ReleaseJob,
    after_batch,
    own_job,
    release_jobs,
)
from shared.domain.ids import AccountId
from shared.domain.instance.due import SHARDS, blocked_partition
from shared.domain.instance.model import BlockedBy
from shared.domain.instance.verdict import Actor

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
LATER = NOON + timedelta(minutes=3)
ANN = Actor(name="ann")


def a_drain() -> ReleaseJob:
    return release_jobs(AccountId("a-1"), BlockedBy.QUEUE, "a-1", by=ANN, now=NOON)[3]


class TestDrainsOfAFlag:
    """One for each partition of what it held, due at once."""

    def test_there_is_one_for_each_partition(self) -> None:
        found = release_jobs(AccountId("a-1"), BlockedBy.STRATEGY, "s-1", by=ANN, now=NOON)

        assert [release_job.partition for release_job in found] == [
            blocked_partition(BlockedBy.STRATEGY, "s-1", shard) for shard in range(SHARDS)
        ]
        assert {release_job.sweep_at for release_job in found} == {NOON}
        assert len({release_job.sid for release_job in found}) == SHARDS
        assert found[0].started_by == "ann"

    def test_started_anew_they_are_the_same_ones_beyond_any_rev(self) -> None:
        first, again = a_drain(), release_jobs(AccountId("a-1"), BlockedBy.QUEUE, "a-1", by=ANN, now=LATER)[3]

        at_work = after_batch(own_job(first, now=NOON), freed=1, is_empty=False, now=NOON)

        assert again.sid == first.sid
        assert at_work is not None
        assert again.rev > at_work.rev


class TestATurn:
    """An invocation has it for longer than it can last; then it goes on, waits, or is done."""

    def test_taken_in_hand_it_is_left_alone(self) -> None:
        release_job = own_job(a_drain(), now=NOON)

        assert release_job.sweep_at == NOON + IN_HAND
        assert release_job.rev == a_drain().rev + 1

    def test_out_of_time_it_goes_on_at_once(self) -> None:
        after = after_batch(a_drain(), freed=7, is_empty=False, now=LATER)

        assert after == replace(a_drain(), freed=7, sweep_at=LATER, rev=a_drain().rev + 1)

    def test_found_empty_it_looks_again_in_a_minute(self) -> None:
        after = after_batch(a_drain(), freed=0, is_empty=True, now=LATER)

        assert after is not None
        assert (after.empty_since, after.sweep_at) == (LATER, LATER + PAUSE_BETWEEN_LOOKS)

    def test_what_it_freed_makes_the_quiet_begin_anew(self) -> None:
        quiet = replace(a_drain(), empty_since=NOON)

        after = after_batch(quiet, freed=1, is_empty=True, now=LATER)

        assert after is not None
        assert after.empty_since == LATER

    def test_what_was_left_makes_the_quiet_begin_anew(self) -> None:
        after = after_batch(replace(a_drain(), empty_since=NOON), freed=0, is_empty=False, now=LATER)

        assert after is not None
        assert after.empty_since is None

    def test_after_ten_minutes_of_quiet_it_is_done(self) -> None:
        quiet = replace(a_drain(), empty_since=NOON)
        almost = NOON + QUIET - timedelta(milliseconds=1)

        assert after_batch(quiet, freed=0, is_empty=True, now=almost) is not None
        assert after_batch(quiet, freed=0, is_empty=True, now=NOON + QUIET) is None
