"""The pace of bulk operations and releases. Source: docs/decisions/0068."""

import pytest

from shared.domain.bulk.operation import LEASE
from shared.domain.bulk.pace import MAX_BATCH, PER_SECOND, Pace
from shared.domain.bulk.release import SAY_SO
from shared.domain.instance.due import SHARDS


class TestPace:
    """At most so many instances a second, in batches of at most a second each."""

    def test_the_default_is_400_a_second_in_batches_of_100(self) -> None:
        assert (Pace().per_second, Pace().batch_size) == (PER_SECOND, MAX_BATCH) == (400, 100)

    @pytest.mark.parametrize(
        ("per_second", "size"),
        [
            (1, 1),
            (2, 2),
            (25, 25),
            (99, 99),
            (100, 100),
            (101, 100),
            (10_000, 100),
            (0, 100),
            (0.25, 1),
            (1.9, 1),
        ],
    )
    def test_a_batch_has_at_most_the_instances_of_a_second(self, per_second: float, size: int) -> None:
        assert Pace(per_second=per_second).batch_size == size

    def test_batches_can_be_smaller(self) -> None:
        assert [Pace(per_second=number, max_batch=25).batch_size for number in (0, 10, 400)] == [25, 10, 25]

    @pytest.mark.parametrize(
        ("per_second", "count", "seconds"),
        [(400, 100, 0.25), (400, 0, 0.0), (1, 1, 1.0), (25, 50, 2.0), (0, 100, 0.0)],
    )
    def test_instances_take_their_time_and_none_without_a_limit(
        self, per_second: float, count: int, seconds: float
    ) -> None:
        assert Pace(per_second=per_second).seconds(count) == seconds

    def test_a_pace_is_shared_in_equal_parts(self) -> None:
        each = Pace(per_second=400).shared_by(SHARDS)

        assert (each.per_second, each.batch_size, each.seconds(25)) == (25, 25, 1.0)
        assert Pace(per_second=0).shared_by(SHARDS) == Pace(per_second=0)

    @pytest.mark.parametrize("per_second", [1, 2, 15, 16, 17, 400, 10_000])
    def test_no_pause_outlasts_the_time_that_a_worker_owns_its_work(self, per_second: int) -> None:
        pace = Pace(per_second=per_second)

        assert pace.seconds(pace.batch_size) <= 1 < LEASE.total_seconds()
        each = pace.shared_by(SHARDS)
        assert each.seconds(each.batch_size) <= SHARDS < SAY_SO.total_seconds()
