"""Publishing a batch of stored writes. Source: docs/events.md; docs/decisions/0040-changes-leave-through-streams.md."""

import pytest
from msgspec.structs import replace

from dev.memory.publishing import THROTTLED, MemoryBus, MemoryPublishing
from shared.application.ports import Unreadable
from shared.application.publish import PublishReport, Refusal, StreamRecord, publish
from shared.domain.ids import InstanceSid
from shared.domain.instance.event import EventStatus
from shared.domain.instance.journal import EventRecord
from shared.domain.instance.model import Instance, InstanceStatus
from shared.domain.notifications.model import InstanceWrite, NotificationKind, StoredWrite, VersionWrite
from tests.factories import NOON, a_running_event, an_instance, running
from tests.full import ACCOUNT, VERSION

ANN, BEN = InstanceSid("i"), InstanceSid("j")


def record(position: int, write: StoredWrite | Unreadable[str] | None) -> StreamRecord:
    return StreamRecord(position=str(position), write=write, source={"n": position})


def created(sid: InstanceSid = ANN) -> InstanceWrite:
    return InstanceWrite(before=None, after=an_instance(sid=sid, rev=1))


def paused(before: Instance | None = None) -> InstanceWrite:
    before = before or an_instance(rev=1)
    return InstanceWrite(
        before=before, after=replace(before, status=InstanceStatus.PAUSED, rev=before.rev + 1)
    )


def closed(sid: InstanceSid = ANN) -> InstanceWrite:
    before = running(a_running_event(3), sid=sid, rev=2)
    return InstanceWrite(before=before, after=replace(before, events=(), lease=None, rev=3))


def event_record(sid: InstanceSid = ANN, status: EventStatus = EventStatus.PROCESSED) -> EventRecord:
    return EventRecord(instance_sid=sid, event=a_running_event(3, status=status), fence=1, finished_at=NOON)


def sent(ports: MemoryPublishing) -> list[str]:
    return [notification.id for notification in ports.bus.sent]


class TestABatch:
    """The notifications of a batch are sent in its order, after one read of the records that they need."""

    def test_notifications_are_sent_in_order(self) -> None:
        ports = MemoryPublishing()
        batch = [record(1, created()), record(2, None), record(3, paused())]
        batch.append(record(4, VersionWrite(account_id=ACCOUNT, name="gym", version=VERSION)))

        report = publish(ports, batch)

        assert report == PublishReport(sent=3)
        assert sent(ports) == ["i-1-instance.created", "i-2-instance.paused", ports.bus.sent[2].id]

    def test_the_records_of_all_closed_events_are_read_at_once(self) -> None:
        ports = MemoryPublishing()
        ports.records.records = {(ANN, 3): event_record(), (BEN, 3): event_record(BEN, EventStatus.FAILED)}

        publish(ports, [record(1, closed()), record(2, closed(BEN))])

        assert sent(ports) == ["i-3-3-event.processed", "j-3-3-event.failed"]
        assert ports.records.reads == 1

    def test_without_closed_events_nothing_is_read(self) -> None:
        ports = MemoryPublishing()

        publish(ports, [record(1, created())])

        assert ports.records.reads == 0

    def test_an_event_whose_record_is_gone_failed(self) -> None:
        ports = MemoryPublishing()

        publish(ports, [record(1, closed())])

        assert sent(ports) == ["i-3-3-event.failed"]

    def test_a_batch_without_notifications_sends_nothing(self) -> None:
        class Silent(MemoryBus):
            def send(self, *_: object) -> dict[int, Refusal]:
                raise AssertionError

        assert publish(MemoryPublishing(bus=Silent()), [record(1, None)]) == PublishReport(sent=0)

    def test_a_batch_that_is_repeated_has_the_same_ids(self) -> None:
        ports = MemoryPublishing()
        batch = [record(1, created()), record(2, paused())]

        publish(ports, batch)
        publish(ports, batch)

        assert sent(ports)[:2] == sent(ports)[2:]


class TestRefusedNotifications:
    """If the bus does not accept notifications, the batch is repeated from the first record that they are about."""

    @pytest.mark.parametrize(
        ("refused", "repeat_from"),
        [
            ({NotificationKind.INSTANCE_CREATED}, "1"),
            ({NotificationKind.INSTANCE_PAUSED}, "4"),
            ({NotificationKind.INSTANCE_PAUSED, NotificationKind.EVENT_FAILED}, "3"),
            (set(), None),
        ],
    )
    def test_the_batch_is_repeated_from_the_first_one(
        self, refused: set[NotificationKind], repeat_from: str | None
    ) -> None:
        ports = MemoryPublishing(bus=MemoryBus(refuses=dict.fromkeys(refused, THROTTLED)))
        batch = [record(1, created()), record(2, None), record(3, closed()), record(4, paused())]

        report = publish(ports, batch)

        assert (report.repeat_from, report.sent) == (repeat_from, 3 - len(refused))
        assert report.refused == (THROTTLED.code,) * len(refused)


class TestContentThatIsRefused:
    """A record with a notification whose content is refused is set aside, because no repetition cures that."""

    MALFORMED = Refusal(code="events:MalformedDetail", is_final=True)

    def test_it_does_not_keep_the_others_back(self) -> None:
        refuses = {NotificationKind.INSTANCE_PAUSED: self.MALFORMED}
        ports = MemoryPublishing(bus=MemoryBus(refuses=refuses))

        report = publish(ports, [record(1, created()), record(2, paused()), record(3, created(BEN))])

        why = "i-2-instance.paused was refused: events:MalformedDetail"
        assert report == PublishReport(sent=2, unreadable=(Unreadable(key="2", why=why),))
        assert ports.unreadable.records["2"].source == {"n": 2}
        assert sent(ports) == ["i-1-instance.created", "j-1-instance.created"]

    def test_a_record_that_is_repeated_anyway_is_not_set_aside_yet(self) -> None:
        refuses = {NotificationKind.EVENT_FAILED: THROTTLED, NotificationKind.INSTANCE_PAUSED: self.MALFORMED}
        ports = MemoryPublishing(bus=MemoryBus(refuses=refuses))
        batch = [record(1, created()), record(2, closed()), record(3, paused())]

        report = publish(ports, batch)
        assert (report.repeat_from, report.refused, report.unreadable) == ("2", (THROTTLED.code,), ())
        assert ports.unreadable.records == {}

        del ports.bus.refuses[NotificationKind.EVENT_FAILED]
        assert publish(ports, batch[1:]).repeat_from is None
        assert set(ports.unreadable.records) == {"3"}


class TestUnreadableRecords:
    """A record that cannot be read is set aside whole, and the others are published."""

    def test_it_does_not_keep_the_others_back(self) -> None:
        ports = MemoryPublishing()
        broken: Unreadable[str] = Unreadable(key="2", why="schema 9")

        report = publish(ports, [record(1, created()), record(2, broken), record(3, paused())])

        assert sent(ports) == ["i-1-instance.created", "i-2-instance.paused"]
        assert report == PublishReport(sent=2, unreadable=(broken,))
        assert ports.unreadable.records["2"].source == {"n": 2}

    def test_a_closed_event_with_an_unreadable_record_is_set_aside(self) -> None:
        ports = MemoryPublishing()
        ports.records.records = {(ANN, 3): Unreadable(key=(ANN, 3), why="schema 9")}

        report = publish(ports, [record(1, closed()), record(2, created(BEN))])

        assert report.unreadable == (Unreadable(key="1", why="record of event 3: schema 9"),)
        assert sent(ports) == ["j-1-instance.created"]

    def test_if_it_cannot_be_stored_nothing_is_sent(self) -> None:
        class Full(Exception):  # noqa: N818 - of this test only
            pass

        class Broken:
            def put(self, _: StreamRecord) -> None:
                raise Full

        ports = MemoryPublishing()
        ports.unreadable = Broken()  # type: ignore[assignment]

        with pytest.raises(Full):
            publish(ports, [record(1, created()), record(2, Unreadable(key="2", why="schema 9"))])
        assert sent(ports) == []
