"""The order in which a sweep takes shards and entries. Source: docs/design.md section 3.2."""

from datetime import UTC, datetime, timedelta

import pytest

from shared.domain.ids import InstanceSid
from shared.domain.instance.due import SHARDS
from shared.domain.instance.due_entries import DueEntry, in_turns, sweep_order

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
A_MINUTE = timedelta(minutes=1)


def entries(partition: str, count: int) -> list[DueEntry[InstanceSid]]:
    return [
        DueEntry(sid=InstanceSid(f"{partition}-{number}"), partition=partition, at=NOON)
        for number in range(1, count + 1)
    ]


def sids(partitions: list[list[DueEntry[InstanceSid]]]) -> list[str]:
    return [entry.sid for entry in in_turns(partitions)]


class TestTheOrderOfShards:
    """Every sweep takes all shards, and each begins with another one."""

    def test_the_next_sweep_begins_five_shards_later(self) -> None:
        first = sweep_order(NOON)
        second = sweep_order(NOON + A_MINUTE)

        assert first == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]
        assert second == [5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4]

    def test_sweeps_of_the_same_minute_have_the_same_order(self) -> None:
        assert sweep_order(NOON) == sweep_order(NOON + timedelta(seconds=59))

    @pytest.mark.parametrize(
        ("shards_a_sweep", "sweeps"), [(16, 1), (15, 2), (8, 3), (5, 4), (4, 7), (3, 10), (2, 13), (1, 16)]
    )
    def test_every_shard_is_reached_in_a_few_sweeps_however_few_one_reaches(
        self, shards_a_sweep: int, sweeps: int
    ) -> None:
        def missed(start: int, count: int) -> set[int]:
            reached = [sweep_order(NOON + n * A_MINUTE)[:shards_a_sweep] for n in range(start, start + count)]
            return set(range(SHARDS)) - {shard for some in reached for shard in some}

        starts = range(SHARDS)
        assert not any(missed(start, sweeps) for start in starts)
        assert any(missed(start, sweeps - 1) for start in starts)


class TestTurns:
    """Partitions take turns, so an early end costs each of them as much."""

    def test_the_first_of_each_partition_comes_before_the_second_of_any(self) -> None:
        assert sids([entries("a", 3), entries("b", 1), entries("c", 2)]) == [
            "a-1", "b-1", "c-1", "a-2", "c-2", "a-3",
        ]  # fmt: skip

    @pytest.mark.parametrize(
        ("partitions", "expected"), [([], []), ([[], []], []), ([[], entries("b", 1)], ["b-1"])]
    )
    def test_empty_partitions_have_no_entry(
        self, partitions: list[list[DueEntry[InstanceSid]]], expected: list[str]
    ) -> None:
        assert sids(partitions) == expected
