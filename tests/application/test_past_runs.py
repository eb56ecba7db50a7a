"""The finished runs of an account. Source: docs/contracts/orders.md B.1, history."""

from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from dev.memory.world import ManualClock, MemoryPorts
from shared.application.past_runs import PAGE, Past, past_runs, runs_of
from shared.application.ports import Unreadable, all_readable
from shared.domain.ids import AccountId
from shared.domain.instance.event import EventKind, EventStatus
from shared.domain.instance.journal import EventRecord
from tests.application.bulk.bulk_worlds import Shop
from tests.application.marred import WHY, MarredEvents
from tests.factories import an_event, an_instance

ACCOUNT = AccountId("account")
NOON = datetime(2026, 3, 15, 12, tzinfo=UTC)


@pytest.fixture
def ports() -> MemoryPorts:
    ports = MemoryPorts(caller=Shop(), clock=ManualClock(NOON))
    ports.instances.create(an_instance())
    return ports


def ended(ports: MemoryPorts, seq: int, at: datetime, *, began: bool = True, main: bool = True) -> None:
    """Close an event of the instance."""
    kind = EventKind.MAIN if main else EventKind.LEADING_UP
    begun_at = at if began else None
    event = an_event(seq, kind=kind, status=EventStatus.PROCESSED, begun_at=begun_at)
    record = EventRecord(instance_sid=an_instance().sid, event=event, fence=1, finished_at=at)
    ports.instances.put_record(an_instance(), record)


def seqs(ports: MemoryPorts, *, most: int = 100, **window: datetime | None) -> list[int]:
    past = replace(Past(account=ACCOUNT, since=None, until=NOON), **window)
    return [record.event.seq for record in all_readable(past_runs(ports, past, most=most))]


class TestPastRuns:
    """Runs are returned latest first, month by month, for the last two years."""

    def test_runs_are_returned_latest_first_over_months(self, ports: MemoryPorts) -> None:
        for seq, days in ((1, 800), (2, 730), (3, 60), (4, 20), (5, 1)):
            ended(ports, seq, NOON - timedelta(days=days))

        assert seqs(ports) == [5, 4, 3, 2]

    def test_only_runs_of_the_window_are_returned(self, ports: MemoryPorts) -> None:
        for seq, days in ((1, 60), (2, 50), (3, 1)):
            ended(ports, seq, NOON - timedelta(days=days))

        assert seqs(ports, since=NOON - timedelta(days=50)) == [3, 2]
        assert seqs(ports, until=NOON - timedelta(days=1)) == [2, 1]

    def test_events_that_never_began_or_are_not_main_are_no_runs(self, ports: MemoryPorts) -> None:
        ended(ports, 1, NOON - timedelta(days=1), began=False)
        ended(ports, 2, NOON - timedelta(days=1), main=False)

        assert seqs(ports) == []

    def test_the_number_of_scanned_records_is_limited(self, ports: MemoryPorts) -> None:
        for seq in range(1, 6):
            ended(ports, seq, NOON - timedelta(days=40 - seq), main=seq != 4)

        assert seqs(ports, most=2) == [5]
        assert seqs(ports, most=3) == [5, 3]


class TestRunsOfOneInstance:
    """Runs of one instance are returned latest first, in pages."""

    def seqs(self, ports: MemoryPorts, *, most: int = 999, next_seq: int = 999) -> list[int]:
        instance = an_instance(an_event(7), next_seq=next_seq)
        return [record.event.seq for record in all_readable(runs_of(ports, instance, most=most))]

    @pytest.mark.parametrize("count", [0, 1, PAGE - 1, PAGE, 2 * PAGE + 5])
    def test_all_runs_of_an_instance_are_returned(self, ports: MemoryPorts, count: int) -> None:
        for seq in range(11, 11 + count):
            ended(ports, seq, NOON)

        assert self.seqs(ports) == list(range(10 + count, 10, -1))

    def test_the_number_of_scanned_records_is_limited(self, ports: MemoryPorts) -> None:
        for seq in range(11, 311):
            ended(ports, seq, NOON, main=seq != 309)

        assert self.seqs(ports, most=3) == [310, 308]
        assert len(self.seqs(ports, most=PAGE + 50)) == PAGE + 49

    def test_events_that_never_began_or_are_open_are_no_runs(self, ports: MemoryPorts) -> None:
        ended(ports, 6, NOON, began=False)
        ended(ports, 7, NOON)
        ended(ports, 8, NOON)

        assert self.seqs(ports) == [8]

    def test_unreadable_records_are_named_by_their_events(self) -> None:
        store = MarredEvents()
        ports = MemoryPorts(caller=Shop(), clock=ManualClock(NOON), instances=store)
        for seq in range(11, 11 + PAGE + 1):
            ended(ports, seq, NOON)
        # The last record of the first page, and one on it; the record of the open event does not count.
        ended(ports, 7, NOON)
        store.mar(records_of=[7, 12, 50])

        instance = an_instance(an_event(7), next_seq=999)
        found = list(runs_of(ports, instance, most=999))

        named = [item for item in found if isinstance(item, Unreadable)]
        assert named == [Unreadable(key=f"{instance.sid}-{seq}", why=WHY) for seq in (50, 12)]
        assert len(found) == PAGE + 1
