"""Finding instances of a strategy, youngest first. Source: docs/contracts/automation.md A.1."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest

from dev.memory.stores import MemoryInstances
from dev.memory.world import MemoryPorts
from shared.application.control import control
from shared.application.find_instances import InstanceQuery, TooManyScannedError, find_instances
from shared.application.ports import PageKey, Unreadable
from shared.domain.ids import InstanceSid, StrategySid
from shared.domain.instance.model import Instance, InstanceStatus
from shared.domain.instance.phase import Phase
from shared.domain.lifecycle.commands import Pause
from tests.application.bulk.bulk_worlds import ANN, GYM, NOON, a_world, joined

ALL = InstanceQuery(strategy=GYM)


class Lagging(MemoryInstances):
    """A store whose index lists instances under every status."""

    def of_strategy(
        self,
        strategy: StrategySid,
        statuses: Sequence[InstanceStatus | Phase],
        *,
        before: PageKey | None,
        limit: int,
        since: datetime | None = None,
    ) -> list[PageKey]:
        assert statuses
        return MemoryInstances.of_strategy(
            self, strategy, tuple(InstanceStatus), before=before, limit=limit, since=since
        )


class Unloadable(MemoryInstances):
    """A store whose index still lists the first instance, which can no longer be loaded."""

    def load_many(self, sids: Sequence[InstanceSid]) -> list[Instance | Unreadable[InstanceSid]]:
        first = min(self.instances)
        return MemoryInstances.load_many(self, [sid for sid in sids if sid != first])


def sids(
    ports: MemoryPorts, query: InstanceQuery, *, offset: int = 0, limit: int = 9, max_scanned: int = 10_000
) -> list[str]:
    found = find_instances(ports, query, offset=offset, limit=limit, max_scanned=max_scanned)
    return [instance.sid for instance in found.instances]


class TestQueries:
    """A query selects by version, by status and by creation date; ``offset`` and ``limit`` select a page."""

    def test_instances_are_returned_youngest_first(self) -> None:
        ports = a_world()
        members = joined(ports, 5)

        assert sids(ports, ALL) == members[::-1]
        assert sids(ports, ALL, offset=1, limit=2) == [members[3], members[2]]
        assert sids(ports, ALL, offset=5) == []
        assert sids(ports, InstanceQuery(strategy=StrategySid("other"))) == []

    def test_a_version_selects_only_its_instances(self) -> None:
        ports = a_world()
        joined(ports, 2)
        newer = joined(ports, 2, version=2)

        assert sids(ports, InstanceQuery(strategy=GYM, version=2)) == newer[::-1]

    def test_the_current_status_counts_and_not_that_of_the_index(self) -> None:
        ports = a_world(Lagging())
        members = joined(ports, 3)
        control(ports, members[1], Pause(by=ANN))

        assert sids(ports, InstanceQuery(strategy=GYM, statuses=(InstanceStatus.PAUSED,))) == [members[1]]

    def test_both_creation_dates_are_included(self) -> None:
        ports = a_world()
        members = joined(ports, 5)  # a millisecond apart
        at = [NOON + timedelta(milliseconds=number) for number in range(5)]

        within = InstanceQuery(strategy=GYM, created_from=at[1], created_to=at[3])
        finer = InstanceQuery(strategy=GYM, created_to=at[3] + timedelta(microseconds=400))

        assert sids(ports, within) == members[3:0:-1]
        assert sids(ports, finer) == members[3::-1]

    def test_results_span_several_pages_of_the_index(self) -> None:
        ports = a_world()
        members = joined(ports, 230)

        assert sids(ports, ALL, limit=500) == members[::-1]
        assert sids(ports, ALL, offset=199, limit=2) == [members[30], members[29]]

    def test_an_instance_that_cannot_be_loaded_is_left_out(self) -> None:
        ports = a_world(Unloadable())
        members = joined(ports, 2)

        assert sids(ports, ALL) == [members[1]]

    def test_a_query_that_scans_too_many_instances_is_refused(self) -> None:
        ports = a_world()
        joined(ports, 230)

        with pytest.raises(TooManyScannedError, match="scans more than 200 instances"):
            sids(ports, InstanceQuery(strategy=GYM, version=7), limit=1, max_scanned=200)
        assert len(sids(ports, ALL, limit=200, max_scanned=200)) == 200

    def test_a_query_may_scan_exactly_the_maximum(self) -> None:
        ports = a_world()
        joined(ports, 200)

        assert sids(ports, InstanceQuery(strategy=GYM, version=7), max_scanned=200) == []
