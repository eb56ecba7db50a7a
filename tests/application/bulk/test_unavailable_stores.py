"""A bulk operation while a store is unavailable waits and continues. Nothing fails. Source: docs/decisions/0036."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest

from dev.memory.stores import MemoryInstances, MemoryOperations
from dev.memory.world import MemoryPorts
from shared.application.bulk.worker import BREATHER_SECONDS
from shared.application.ports import (
    ConnectionLostError,
    Operation,
    OverloadedError,
    PageKey,
    UnavailableError,
)
from shared.domain.bulk.operation import BulkStatus, Counts
from shared.domain.ids import OperationSid, StrategySid
from shared.domain.instance.model import Instance, InstanceStatus
from shared.domain.instance.phase import Phase
from shared.domain.instance.verdict import Actor, AuditEntry
from shared.domain.lifecycle.commands import Pause
from tests.application.bulk.bulk_worlds import A_LIFE, a_world, begun, joined, progress, stored
from tests.bulk_runs import BATCH

ANN = Actor(name="ann")
MEMBERS = 60
FOREVER = 1_000_000
RUNNERS = 8
"""More runners than may crash before an instance is given up."""


@dataclass(slots=True)
class Refusing(MemoryInstances):
    """A store that refuses the next commits, or the next pages of the list of a strategy."""

    error: type[UnavailableError] = OverloadedError
    commits: int = 0
    pages: int = 0

    def commit(self, instance: Instance, **beside: Any) -> None:
        if self.commits:
            self.commits -= 1
            raise self.error("the table")
        MemoryInstances.commit(self, instance, **beside)

    def oldest_of_strategy(
        self,
        strategy: StrategySid,
        statuses: Sequence[InstanceStatus | Phase],
        *,
        after: PageKey | None,
        until: datetime,
        limit: int,
    ) -> list[PageKey]:
        if self.pages and after is not None:
            self.pages -= 1
            raise self.error("the index")
        return MemoryInstances.oldest_of_strategy(
            self, strategy, statuses, after=after, until=until, limit=limit
        )


@dataclass(slots=True)
class RefusingOperations(MemoryOperations):
    """A store that refuses commits after the next ``allowed`` ones, or loses the replies to the next ones."""

    error: type[UnavailableError] = OverloadedError
    allowed: int = 0
    commits: int = 0
    replies: int = 0

    def commit(self, operation: Operation, *, audit: AuditEntry | None = None) -> None:
        if self.commits and not self.allowed:
            self.commits -= 1
            raise self.error("the table")
        self.allowed = max(self.allowed - 1, 0)
        MemoryOperations.commit(self, operation, audit=audit)
        if self.replies:
            self.replies -= 1
            raise self.error("the reply")


def a_gym(members: int = MEMBERS) -> tuple[MemoryPorts, Refusing, RefusingOperations]:
    """Return a gym, and its stores, which refuse nothing yet."""
    instances, operations = Refusing(), RefusingOperations()
    ports = a_world(instances)
    ports.access.operations = operations
    joined(ports, members)
    return ports, instances, operations


def paused_already(ports: MemoryPorts) -> None:
    """Pause all members, so that a further operation changes none of them."""
    first = begun(ports, command=Pause(by=ANN))
    progress(ports, first.sid)
    assert stored(ports, first.sid).status is BulkStatus.COMPLETED


def runners_without_progress(ports: MemoryPorts, sid: OperationSid) -> None:
    """Start runner after runner, each as soon as the operation is due again."""
    for _ in range(RUNNERS):
        at = stored(ports, sid).sweep_at
        assert at is not None
        ports.clock.at = max(ports.clock.at, at)
        try:
            progress(ports, sid, lasts=timedelta(minutes=1))
        except UnavailableError:
            continue


@pytest.mark.parametrize("error", [OverloadedError, ConnectionLostError])
class TestInstances:
    """The runner commands the rest of its batch when the instances can be written again."""

    def test_an_operation_waits_for_an_unavailable_store(self, error: type[UnavailableError]) -> None:
        ports, instances, _ = a_gym()
        bulk = begun(ports)
        instances.error, instances.commits = error, 2
        began = ports.clock.at

        progress(ports, bulk.sid)

        assert stored(ports, bulk.sid).counts == Counts(changed=MEMBERS)
        assert ports.clock.at - began >= 2 * timedelta(seconds=BREATHER_SECONDS)


@pytest.mark.parametrize("error", [OverloadedError, ConnectionLostError])
class TestTheListOfAStrategy:
    """Results are saved even if the next batch cannot be read, so that no runner seems to have crashed."""

    def test_a_runner_reads_the_next_batch_later(self, error: type[UnavailableError]) -> None:
        ports, instances, _ = a_gym()
        bulk = begun(ports)
        instances.error, instances.pages = error, 3
        began = ports.clock.at

        progress(ports, bulk.sid)

        assert stored(ports, bulk.sid).counts == Counts(changed=MEMBERS)
        assert ports.clock.at - began >= 3 * timedelta(seconds=BREATHER_SECONDS)

    def test_no_instance_is_given_up_however_long_it_lasts(self, error: type[UnavailableError]) -> None:
        ports, instances, _ = a_gym()
        paused_already(ports)
        bulk = begun(ports, command=Pause(by=ANN))
        instances.error, instances.pages = error, FOREVER

        runners_without_progress(ports, bulk.sid)

        now = stored(ports, bulk.sid)
        assert (now.counts, now.crashes) == (Counts(already_there=BATCH), 0)
        instances.pages = 0
        ports.clock.at += timedelta(minutes=1)
        progress(ports, bulk.sid)
        assert stored(ports, bulk.sid).counts == Counts(already_there=MEMBERS)


@pytest.mark.parametrize("error", [OverloadedError, ConnectionLostError])
class TestOperations:
    """A runner writes the operation again and again, as long as another one could take it for crashed."""

    @pytest.mark.parametrize("refused", [1, 5, 12])
    def test_a_refused_write_is_repeated(self, error: type[UnavailableError], refused: int) -> None:
        ports, _, operations = a_gym()
        bulk = begun(ports)
        operations.error, operations.commits = error, refused

        progress(ports, bulk.sid)

        assert stored(ports, bulk.sid).counts == Counts(changed=MEMBERS)

    @pytest.mark.parametrize("lost", [1, 2, 5, FOREVER])
    def test_a_write_whose_reply_was_lost_counts(self, error: type[UnavailableError], lost: int) -> None:
        ports, _, operations = a_gym()
        bulk = begun(ports)
        operations.error, operations.replies = error, lost

        progress(ports, bulk.sid)

        after = stored(ports, bulk.sid)
        assert (after.status, after.counts) == (BulkStatus.COMPLETED, Counts(changed=MEMBERS))

    def test_a_runner_gives_up_when_no_other_would_count_a_crash(self, error: type[UnavailableError]) -> None:
        ports, _, operations = a_gym()
        bulk = begun(ports)
        began = ports.clock.at
        operations.error, operations.commits = error, FOREVER

        with pytest.raises(error):
            progress(ports, bulk.sid)

        assert timedelta(minutes=5) < ports.clock.at - began < timedelta(minutes=7) < A_LIFE

    def test_no_instance_is_given_up_if_results_cannot_be_saved(self, error: type[UnavailableError]) -> None:
        ports, _, operations = a_gym()
        paused_already(ports)
        bulk = begun(ports, command=Pause(by=ANN))
        operations.error = error
        # Each runner can take the operation, and the first one its batch too. Nothing can be written after that.
        for allowed in (2, *[1] * RUNNERS):
            operations.allowed, operations.commits = allowed, FOREVER
            with pytest.raises(error):
                progress(ports, bulk.sid)

        left = stored(ports, bulk.sid)
        assert (len(left.batch_sids), left.counts, left.crashes) == (BATCH, Counts(), 0)
        operations.commits = 0
        progress(ports, bulk.sid)
        assert stored(ports, bulk.sid).counts == Counts(already_there=MEMBERS)
