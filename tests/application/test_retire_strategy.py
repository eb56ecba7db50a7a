"""Deleting strategies and versions with their instances. Source: docs/contracts/automation.md A.5."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from dev.memory.stores import MemoryStrategies
from dev.memory.world import MemoryPorts
from shared.application.ports import StaleRevError
from shared.application.retire_strategy import retire_strategy, retire_version
from shared.application.strategies import ChangedMeanwhileError
from shared.domain.bulk.operation import BulkStatus
from shared.domain.instance.verdict import AuditEntry
from shared.domain.strategy.model import StrategyHead
from tests.application.bulk.bulk_worlds import ACCOUNT, ANN, GYM, a_world, joined, progress, statuses

GONE = {"deletedVersions": "1"}


class LostReplies(MemoryStrategies):
    """A store that stores every change of a head and loses the reply."""

    __slots__ = ()

    def delete(self, head: StrategyHead, *, before: StrategyHead, audit: AuditEntry) -> None:
        MemoryStrategies.delete(self, head, before=before, audit=audit)
        raise StaleRevError

    def relabel(self, head: StrategyHead, *, before: StrategyHead, audit: AuditEntry) -> None:
        MemoryStrategies.relabel(self, head, before=before, audit=audit)
        raise StaleRevError


def head_in(ports: MemoryPorts) -> StrategyHead:
    head = ports.strategies.head(GYM)
    assert head is not None
    return head


class TestAStrategy:
    """The strategy is deleted first; then all its instances are canceled, whatever their version."""

    def test_few_instances_are_canceled_at_once(self) -> None:
        ports = a_world()
        members = [*joined(ports, 2), *joined(ports, 2, version=2)]

        bulk = retire_strategy(ports, head_in(ports), by=ANN)

        assert (bulk.status, bulk.counts.changed) == (BulkStatus.COMPLETED, 4)
        assert statuses(ports, members) == {"CANCELED"}
        assert head_in(ports).deleted_at is not None
        assert ports.strategies.of_account(ACCOUNT, before=None, limit=9) == []
        assert [entry.command for entry in ports.strategies.audit] == ["delete-strategy"]

    def test_many_instances_are_canceled_by_the_operation(self) -> None:
        ports = a_world()
        members = joined(ports, 60)

        bulk = retire_strategy(ports, head_in(ports), by=ANN)

        assert bulk.status is BulkStatus.ACTIVE
        assert ports.wakeups.operations == [bulk.sid]
        progress(ports, bulk.sid, lasts=timedelta(minutes=15))
        assert statuses(ports, members) == {"CANCELED"}

    def test_retiring_again_returns_the_same_operation(self) -> None:
        ports = a_world()
        joined(ports, 1)

        first = retire_strategy(ports, head_in(ports), by=ANN)
        again = retire_strategy(ports, head_in(ports), by=ANN)

        assert again == first
        assert len(ports.strategies.audit) == 1

    def test_an_interrupted_retirement_is_completed(self) -> None:
        ports = a_world()
        members = joined(ports, 1)
        head = head_in(ports)
        ports.strategies.heads[GYM] = replace(head, deleted_at=ports.clock.now())

        retire_strategy(ports, head_in(ports), by=ANN)

        assert statuses(ports, members) == {"CANCELED"}

    def test_a_deletion_whose_reply_was_lost_counts(self) -> None:
        ports = a_world()
        members = joined(ports, 1)
        ports.strategies.__class__ = LostReplies

        retire_strategy(ports, head_in(ports), by=ANN)

        assert statuses(ports, members) == {"CANCELED"}

    def test_a_changed_strategy_is_not_retired(self) -> None:
        ports = a_world()
        members = joined(ports, 1)
        old = replace(head_in(ports), description="as it was")

        with pytest.raises(ChangedMeanwhileError):
            retire_strategy(ports, old, by=ANN)

        assert statuses(ports, members) == {"ACTIVE"}
        assert ports.operations.bulks == {}


class TestAVersion:
    """Its label is removed first; then its instances are canceled, and no others."""

    def test_only_instances_of_the_version_are_canceled(self) -> None:
        ports = a_world()
        first, second = joined(ports, 2), joined(ports, 2, version=2)

        bulk = retire_version(ports, head_in(ports), 1, labels=GONE, by=ANN)

        assert bulk.counts.changed == 2
        assert statuses(ports, first) == {"CANCELED"}
        assert statuses(ports, second) == {"ACTIVE"}
        assert head_in(ports).labels == GONE
        assert [(e.command, e.from_state) for e in ports.strategies.audit] == [
            ("delete-version", "version 1")
        ]

    def test_retiring_a_version_again_returns_the_same_operation(self) -> None:
        ports = a_world()
        joined(ports, 1)

        first = retire_version(ports, head_in(ports), 1, labels=GONE, by=ANN)
        again = retire_version(ports, head_in(ports), 1, labels=GONE, by=ANN)

        assert again == first
        assert len(ports.strategies.audit) == 1

    def test_a_relabeling_whose_reply_was_lost_counts(self) -> None:
        ports = a_world()
        members = joined(ports, 1)
        ports.strategies.__class__ = LostReplies

        retire_version(ports, head_in(ports), 1, labels=GONE, by=ANN)

        assert statuses(ports, members) == {"CANCELED"}

    def test_a_version_of_a_changed_strategy_is_not_retired(self) -> None:
        ports = a_world()
        members = joined(ports, 1)
        old = replace(head_in(ports), description="as it was")

        with pytest.raises(ChangedMeanwhileError):
            retire_version(ports, old, 1, labels=GONE, by=ANN)

        assert statuses(ports, members) == {"ACTIVE"}
