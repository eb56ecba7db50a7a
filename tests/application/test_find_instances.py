"""Instances of a strategy found by what they are, youngest first. Source: contracts/automation.md A.1."""

from collections.abc import Sequence
from datetime import timedelta

import pytest

from dev.memory.stores import MemoryInstances
from shared.application import find_instances
from shared.application.control import control
from shared.application.find_instances import Sought, TooManyToLookAtError, found
from shared.application.ports import PageKey
from shared.domain.ids import StrategySid
from shared.domain.instance.model import Instance, InstanceStatus
from shared.domain.lifecycle.commands import Pause
from tests.application.bulk.bulk_worlds import ANN, GYM, NOON, a_world, joined


class Lagging(MemoryInstances):
    """An index that shows instances under every status, whatever they are now."""

    def of_strategy(
        self, strategy: StrategySid, statuses: Sequence[InstanceStatus], *, before: PageKey | None, limit: int
    ) -> list[PageKey]:
        assert statuses
        return MemoryInstances.of_strategy(self, strategy, tuple(InstanceStatus), before=before, limit=limit)


def sids(instances: list[Instance]) -> list[str]:
    return [instance.sid for instance in instances]


class TestWhatIsFound:
    """Of a version, a status, created within bounds; some behind some."""

    def test_the_youngest_first(self) -> None:
        ports = a_world()
        members = joined(ports, 5)

        assert sids(found(ports, Sought(strategy=GYM), offset=0, limit=9)) == members[::-1]
        assert sids(found(ports, Sought(strategy=GYM), offset=1, limit=2)) == [members[3], members[2]]
        assert found(ports, Sought(strategy=GYM), offset=5, limit=9) == []
        assert found(ports, Sought(strategy=StrategySid("other")), offset=0, limit=9) == []

    def test_of_a_version(self) -> None:
        ports = a_world()
        joined(ports, 2)
        newer = joined(ports, 2, version=2)

        assert sids(found(ports, Sought(strategy=GYM, version=2), offset=0, limit=9)) == newer[::-1]

    def test_of_a_status(self) -> None:
        ports = a_world(Lagging())
        members = joined(ports, 3)
        control(ports, members[1], Pause(by=ANN))
        sought = Sought(strategy=GYM, statuses=(InstanceStatus.PAUSED,))

        assert sids(found(ports, sought, offset=0, limit=9)) == [members[1]]

    def test_created_within_bounds(self) -> None:
        ports = a_world()
        members = joined(ports, 5)  # a millisecond apart
        at = [NOON + timedelta(milliseconds=number) for number in range(5)]

        within = Sought(strategy=GYM, created_from=at[1], created_to=at[3])
        finer = Sought(strategy=GYM, created_to=at[3] + timedelta(microseconds=400))

        assert sids(found(ports, within, offset=0, limit=9)) == members[3:0:-1]
        assert sids(found(ports, finer, offset=0, limit=9)) == members[3::-1]

    def test_more_than_are_looked_at_together(self) -> None:
        ports = a_world()
        members = joined(ports, 230)

        assert sids(found(ports, Sought(strategy=GYM), offset=0, limit=500)) == members[::-1]
        assert sids(found(ports, Sought(strategy=GYM), offset=199, limit=2)) == [members[30], members[29]]

    def test_what_is_gone_since_is_left_out(self) -> None:
        ports = a_world()
        members = joined(ports, 2)
        listed = ports.instances.of_strategy(GYM, tuple(InstanceStatus), before=None, limit=9)
        del ports.instances.instances[members[0]]

        assert sids(find_instances._loaded(ports, listed)) == [members[1]]

    def test_a_walk_is_not_endless(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(find_instances, "MAX_SCANNED", 200)
        ports = a_world()
        joined(ports, 230)

        with pytest.raises(TooManyToLookAtError):
            found(ports, Sought(strategy=GYM, version=7), offset=0, limit=1)
        assert len(found(ports, Sought(strategy=GYM), offset=0, limit=200)) == 200

    def test_as_many_as_are_looked_at_are_not_too_many(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(find_instances, "MAX_SCANNED", 200)
        ports = a_world()
        joined(ports, 200)

        assert found(ports, Sought(strategy=GYM, version=7), offset=0, limit=1) == []
