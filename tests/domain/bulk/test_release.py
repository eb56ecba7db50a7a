"""Release jobs: they unblock the instances of a cleared flag. Source: docs/design.md section 3.3."""

from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from shared.domain.bulk.release import (
    IN_HAND,
    MAX_PAUSE,
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


def a_job() -> ReleaseJob:
    return release_jobs(AccountId("a-1"), BlockedBy.QUEUE, "a-1", by=ANN, now=NOON)[3]


class TestJobsOfAFlag:
    """A cleared flag has one job per partition, due at once."""

    def test_every_partition_has_a_job(self) -> None:
        found = release_jobs(AccountId("a-1"), BlockedBy.STRATEGY, "s-1", by=ANN, now=NOON)

        assert [release_job.partition for release_job in found] == [
            blocked_partition(BlockedBy.STRATEGY, "s-1", shard) for shard in range(SHARDS)
        ]
        assert {release_job.sweep_at for release_job in found} == {NOON}
        assert len({release_job.sid for release_job in found}) == SHARDS
        assert found[0].started_by == "ann"

    def test_restarted_jobs_have_the_same_sids_and_a_higher_rev(self) -> None:
        first, again = a_job(), release_jobs(AccountId("a-1"), BlockedBy.QUEUE, "a-1", by=ANN, now=LATER)[3]

        at_work = after_batch(own_job(first, now=NOON), freed=1, left_at=None, is_empty=False, now=NOON)

        assert again.sid == first.sid
        assert at_work is not None
        assert again.rev > at_work.rev


class TestBatch:
    """A worker owns a job for longer than it can run; then the job continues, waits, or ends."""

    def test_an_owned_job_is_left_alone(self) -> None:
        release_job = own_job(a_job(), now=NOON)

        assert release_job.sweep_at == NOON + IN_HAND
        assert release_job.rev == a_job().rev + 1

    def test_a_job_out_of_time_continues_at_once(self) -> None:
        after = after_batch(a_job(), freed=7, left_at=None, is_empty=False, now=LATER)

        assert after == replace(a_job(), freed=7, sweep_at=LATER, rev=a_job().rev + 1)

    def test_a_job_with_an_empty_partition_checks_again_in_a_minute(self) -> None:
        after = after_batch(a_job(), freed=0, left_at=None, is_empty=True, now=LATER)

        assert after is not None
        assert (after.empty_since, after.sweep_at) == (LATER, LATER + PAUSE_BETWEEN_LOOKS)

    def test_a_released_instance_restarts_the_quiet_time(self) -> None:
        quiet = replace(a_job(), empty_since=NOON)

        after = after_batch(quiet, freed=1, left_at=None, is_empty=True, now=LATER)

        assert after is not None
        assert after.empty_since == LATER

    def test_a_remaining_instance_restarts_the_quiet_time(self) -> None:
        after = after_batch(
            replace(a_job(), empty_since=NOON), freed=0, left_at=None, is_empty=False, now=LATER
        )

        assert after is not None
        assert after.empty_since is None

    def test_a_job_ends_after_ten_quiet_minutes(self) -> None:
        quiet = replace(a_job(), empty_since=NOON)
        almost = NOON + QUIET - timedelta(milliseconds=1)

        assert after_batch(quiet, freed=0, left_at=None, is_empty=True, now=almost) is not None
        assert after_batch(quiet, freed=0, left_at=None, is_empty=True, now=NOON + QUIET) is None


class TestInstancesThatCannotBeReleased:
    """A job stays as long as it leaves instances blocked, because nothing else would ever release them."""

    @pytest.mark.parametrize(
        ("due_in", "pause"),
        [
            (timedelta(minutes=-5), PAUSE_BETWEEN_LOOKS),
            (PAUSE_BETWEEN_LOOKS - timedelta(milliseconds=1), PAUSE_BETWEEN_LOOKS),
            (timedelta(minutes=4), timedelta(minutes=4)),
            (MAX_PAUSE, MAX_PAUSE),
            (timedelta(days=400), MAX_PAUSE),
        ],
    )
    def test_after_the_quiet_time_the_job_continues_when_the_first_of_them_is_due(
        self, due_in: timedelta, pause: timedelta
    ) -> None:
        quiet, now = replace(a_job(), empty_since=NOON), NOON + QUIET

        after = after_batch(quiet, freed=0, is_empty=True, left_at=now + due_in, now=now)

        assert after is not None
        assert (after.empty_since, after.sweep_at) == (NOON, now + pause)

    @pytest.mark.parametrize("freed", [0, 3])
    def test_until_then_it_checks_each_minute_for_what_late_runners_block(self, freed: int) -> None:
        now = NOON + QUIET - timedelta(milliseconds=1) if freed == 0 else NOON + 3 * QUIET
        quiet = replace(a_job(), empty_since=NOON)

        after = after_batch(quiet, freed=freed, is_empty=True, left_at=now + MAX_PAUSE, now=now)

        assert after is not None
        assert after.sweep_at == now + PAUSE_BETWEEN_LOOKS
        assert after.empty_since == (NOON if freed == 0 else now)

    def test_the_job_ends_if_they_were_released_by_others(self) -> None:
        quiet = replace(a_job(), empty_since=NOON)

        assert after_batch(quiet, freed=0, is_empty=True, left_at=None, now=NOON + 3 * QUIET) is None

    def test_a_quiet_time_follows_their_release(self) -> None:
        quiet = replace(a_job(), empty_since=NOON)

        after = after_batch(quiet, freed=1, is_empty=True, left_at=None, now=NOON + 2 * QUIET)

        assert after is not None
        assert after.empty_since == NOON + 2 * QUIET

    def test_a_job_out_of_time_continues_at_once(self) -> None:
        after = after_batch(a_job(), freed=7, is_empty=False, left_at=None, now=LATER)

        assert after is not None
        assert after.sweep_at == LATER
