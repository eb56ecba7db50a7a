"""Bulk operations with filters, with several parts, and on waiting events. Source: docs/decisions/0026."""

from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from dev.memory.world import MemoryPorts
from shared.application.bulk.select import SelectionScan, selected_instances
from shared.application.bulk.start import BulkRequest, begin_bulk
from shared.application.control import control
from shared.application.ports import Unreadable, all_readable
from shared.application.start import Repeatable, StartInstance, start_instance
from shared.domain.bulk.operation import MAX_IN_REQUEST, BulkOperation, BulkStatus, RunWaiting
from shared.domain.bulk.selection import Filter, OfAny, OfFolder, OfIds, OfStrategy
from shared.domain.calendar.instance_schedule import OwnSchedule
from shared.domain.ids import InstanceSid, StrategySid, order_sid
from shared.domain.instance.event import EventStatus
from shared.domain.instance.model import Instance, InstanceStatus
from shared.domain.instance.phase import Phase, Waiting
from shared.domain.instance.verdict import Actor
from shared.domain.lifecycle.commands import Cancel, Pause, Resume
from tests.application.bulk.bulk_worlds import (
    ACCOUNT,
    ANN,
    CANCEL,
    GYM,
    NEXT_YEAR,
    WHOLE_GYM,
    Marred,
    a_world,
    begun,
    joined,
    open_gym,
    progress,
    statuses,
    stored,
)
from tests.simulation.stories import MEMBER

PAUSED = Filter(phases=(Phase.PAUSED,))
OTHER = StrategySid("s-2")
RUN = RunWaiting(what=Waiting.FOR_DATE, by=ANN)


def pause(ports: MemoryPorts, *sids: InstanceSid) -> None:
    for sid in sids:
        control(ports, sid, Pause(by=Actor(name="bob")))


def done(ports: MemoryPorts, bulk: BulkOperation) -> BulkOperation:
    """Run the bulk runner until it has no more work for the operation, and return the operation."""
    for _ in range(9):
        progress(ports, bulk.sid)
    return stored(ports, bulk.sid)


class TestASieve:
    """The filter is applied when the scan passes an instance, and again when the instance is commanded."""

    def test_only_matching_instances_are_commanded(self) -> None:
        ports = a_world()
        sids = joined(ports, 6)
        pause(ports, *sids[:2])

        bulk = begun(ports, replace(WHOLE_GYM, instance_filter=PAUSED), CANCEL)

        assert (bulk.status, bulk.counts.changed, bulk.counts.done) == (BulkStatus.COMPLETED, 2, 2)
        assert statuses(ports, sids[2:]) == {"ACTIVE"}

    def test_an_instance_that_changed_after_the_scan_is_refused(self) -> None:
        ports = a_world()
        sids = joined(ports, MAX_IN_REQUEST + 2)
        pause(ports, *sids)
        bulk = begun(ports, replace(WHOLE_GYM, instance_filter=PAUSED), CANCEL)
        batch_sids = replace(stored(ports, bulk.sid), batch_sids=tuple(sids), at_end=True, rev=bulk.rev + 1)
        ports.operations.commit(batch_sids)
        control(ports, sids[0], Resume(by=Actor(name="bob")))

        after = done(ports, batch_sids)

        assert (after.counts.changed, after.counts.refused) == (MAX_IN_REQUEST + 1, 1)
        assert after.problems[0].why == "the instance no longer matches the selection"
        assert statuses(ports, sids[:1]) == {"ACTIVE"}

    def test_an_instance_changed_by_the_operation_counts_as_changed(self) -> None:
        ports = a_world()
        (sid,) = joined(ports, 1)
        pause(ports, sid)
        bulk = begun(ports, replace(WHOLE_GYM, instance_filter=PAUSED), CANCEL)
        again = replace(
            stored(ports, bulk.sid),
            status=BulkStatus.ACTIVE,
            batch_sids=(sid,),
            sweep_at=ports.clock.now(),
            rev=stored(ports, bulk.sid).rev + 1,
        )
        ports.operations.commit(again)

        assert done(ports, again).counts.changed == 2
        assert [entry.command for entry in ports.instances.audit] == ["pause", "cancel"]

    def test_the_filter_is_applied_again_after_a_lost_race(self) -> None:
        ports = a_world(Raced())
        sids = joined(ports, 2)
        pause(ports, *sids)
        store = ports.instances
        assert isinstance(store, Raced)
        store.resumes = sids[0]

        bulk = begun(ports, replace(WHOLE_GYM, instance_filter=PAUSED), CANCEL)

        assert (bulk.counts.changed, bulk.counts.refused) == (1, 1)
        assert statuses(ports, sids[:1]) == {"ACTIVE"}


class Raced(Marred):
    """A store in which the instance ``resumes`` is resumed just before it is committed."""

    resumes: InstanceSid | None = None

    def commit(self, instance: Instance, **more: Any) -> None:
        if instance.sid == self.resumes:
            self.resumes = None
            known = self.instances[instance.sid]
            self.instances[instance.sid] = replace(known, status=InstanceStatus.ACTIVE, rev=known.rev + 1)
        Marred.commit(self, instance, **more)


class TestSeveralPlaces:
    """The parts of a selection are scanned one after another, in one invocation or in several."""

    PLACES = OfAny(
        parts=(OfStrategy(strategy=GYM), OfFolder(folder="/b"), OfFolder(folder="/c", is_flat=True))
    )

    @pytest.fixture
    def ports(self) -> MemoryPorts:
        ports = a_world()
        for sid, folder in ((OTHER, "/b/x"), (StrategySid("s-3"), "/c"), (StrategySid("s-4"), "/c/d")):
            open_gym(ports, sid, folder=folder)
        return ports

    def test_few_instances_of_several_parts_are_commanded_at_once(self, ports: MemoryPorts) -> None:
        inside = [sid for gym in (GYM, OTHER, StrategySid("s-3")) for sid in joined(ports, 2, gym=gym)]
        outside = joined(ports, 2, gym=StrategySid("s-4"))

        bulk = begun(ports, self.PLACES)

        assert (bulk.status, bulk.counts.changed) == (BulkStatus.COMPLETED, 6)
        assert statuses(ports, inside) == {"CANCELED"}
        assert statuses(ports, outside) == {"ACTIVE"}

    def test_many_instances_of_several_parts_are_commanded_by_runners(self, ports: MemoryPorts) -> None:
        inside = [
            sid
            for gym in (GYM, OTHER, StrategySid("s-3"))
            for sid in joined(ports, MAX_IN_REQUEST + 3, gym=gym)
        ]
        outside = joined(ports, 2, gym=StrategySid("s-4"))

        bulk = begun(ports, self.PLACES)
        for _ in range(20):
            progress(ports, bulk.sid, lasts=timedelta(seconds=20, milliseconds=90))

        after = stored(ports, bulk.sid)
        assert (after.status, after.counts.changed, after.counts.done) == (BulkStatus.COMPLETED, 84, 84)
        assert statuses(ports, inside) == {"CANCELED"}
        assert statuses(ports, outside) == {"ACTIVE"}

    def test_an_operation_without_instances_completes_at_once(self, ports: MemoryPorts) -> None:
        assert begun(ports, self.PLACES).counts.done == 0
        assert begun(ports, OfAny(parts=())).status is BulkStatus.COMPLETED


class TestRunningWhatWaits:
    """The waiting event of each instance runs once. If no event waits, the command is refused."""

    def test_the_waiting_event_of_each_instance_runs(self) -> None:
        ports = a_world()
        sids = joined(ports, 2)
        pause(ports, sids[0])

        bulk = begun(ports, OfIds(ids=tuple(sids)), RUN)

        assert (bulk.counts.changed, bulk.counts.refused) == (1, 1)
        assert bulk.problems[0].why == "no event of the instance waits for that"
        assert ports.instances.instances[sids[1]].events[0].status is EventStatus.QUEUED
        assert ports.wakeups.invoked == [sids[1]]
        assert [(e.command, e.operation) for e in ports.instances.audit[1:]] == [("execute", bulk.sid)]

    def test_a_runner_that_takes_over_does_not_run_the_next_event(self) -> None:
        ports = a_world()
        (sid,) = joined(ports, 1)
        bulk = begun(ports, OfIds(ids=(sid,)), RUN)
        known = stored(ports, bulk.sid)
        left = replace(
            known, status=BulkStatus.ACTIVE, batch_sids=(sid,), sweep_at=ports.clock.now(), rev=known.rev + 1
        )
        ports.operations.commit(left)

        assert done(ports, left).counts.changed == 2
        assert len([entry for entry in ports.instances.audit if entry.command == "execute"]) == 1


class TestNothingSelected:
    """If nothing is selected, the operation completes at once. With ``unless_empty`` it is not stored."""

    def request(self, *, unless_empty: bool) -> BulkRequest:
        # RETRYING is not a stop, so every instance is scanned.
        nothing = replace(WHOLE_GYM, instance_filter=Filter(phases=(Phase.PAUSED, Phase.RETRYING)))
        return BulkRequest(account=ACCOUNT, selection=nothing, command=CANCEL, unless_empty=unless_empty)

    @pytest.mark.parametrize("unless_empty", [True, False])
    def test_an_empty_operation_completes_at_once(self, *, unless_empty: bool) -> None:
        ports = a_world()
        joined(ports, 60)

        bulk = begin_bulk(ports, self.request(unless_empty=unless_empty))

        assert (bulk.status, bulk.counts.done) == (BulkStatus.COMPLETED, 0)
        assert (bulk.sid in ports.operations.bulks) is not unless_empty
        assert len(ports.operations.audit) == (0 if unless_empty else 1)

    def test_an_operation_is_stored_if_not_all_instances_were_scanned(self) -> None:
        ports = a_world()
        sids = joined(ports, 501)
        pause(ports, sids[-1])

        bulk = begin_bulk(ports, self.request(unless_empty=True))

        assert (bulk.status, ports.wakeups.operations) == (BulkStatus.ACTIVE, [bulk.sid])
        assert done(ports, bulk).counts.changed == 1


class TestReadingASelection:
    """The instances of a selection are read as they are now, up to a maximum number."""

    def scan(self, ports: MemoryPorts, instance_filter: Filter | None = None) -> SelectionScan:
        selection = OfFolder(folder="/", instance_filter=instance_filter)
        return SelectionScan(account=ACCOUNT, selection=selection, begun_at=ports.clock.now())

    @staticmethod
    def read(ports: MemoryPorts, scan: SelectionScan, *, most: int) -> list[InstanceSid]:
        return [instance.sid for instance in all_readable(selected_instances(ports, scan, most=most))]

    def test_all_selected_instances_are_read(self) -> None:
        ports = a_world()
        sids = joined(ports, 130)
        pause(ports, *sids[100:102])

        assert self.read(ports, self.scan(ports), most=999) == sids
        assert self.read(ports, self.scan(ports, PAUSED), most=999) == sids[100:102]

    def test_the_number_of_scanned_instances_is_limited(self) -> None:
        ports = a_world()
        sids = joined(ports, 5)
        pause(ports, *sids[3:])

        assert self.read(ports, self.scan(ports), most=2) == sids[:2]
        either = Filter(phases=(Phase.PAUSED, Phase.RETRYING))
        assert list(selected_instances(ports, self.scan(ports, either), most=3)) == []

    def test_a_filter_of_stops_scans_only_stopped_instances(self) -> None:
        ports = a_world()
        sids = joined(ports, 5)
        pause(ports, *sids[3:])

        assert self.read(ports, self.scan(ports, PAUSED), most=3) == sids[3:]

    def test_an_unreadable_instance_is_named(self) -> None:
        store = Marred()
        ports = a_world(store)
        sids = joined(ports, 3)
        store.broken = {sids[1]}

        found = list(selected_instances(ports, self.scan(ports), most=9))
        assert [item.key for item in found if isinstance(item, Unreadable)] == [sids[1]]
        assert [item.sid for item in found if not isinstance(item, Unreadable)] == [sids[0], sids[2]]


class TestStartingUnderAnOrdersName:
    """The sid of an order is derived from its name. An audit entry is stored if an actor is given."""

    def request(self, **members: object) -> StartInstance:
        known = {"strategy_id": "gym", "attributes": MEMBER, "start_date": NEXT_YEAR, "order_id": "#1"}
        return StartInstance(**{**known, **members})  # type: ignore[arg-type]

    def test_the_sid_of_an_order_is_derived_from_its_name(self) -> None:
        ports = a_world()
        made = start_instance(ports, ports.strategies.load(GYM, 1), self.request(schedule=OwnSchedule()))

        assert made.instance.sid == order_sid(ACCOUNT, "#1")
        assert ports.instances.audit == []

    def test_the_audit_entry_names_actor_and_reason(self) -> None:
        ports = a_world()
        by = Actor(name="ann", reason="asked", minutes_spent=0, ticket="T-1")
        start_instance(ports, ports.strategies.load(GYM, 1), self.request(actor=by))

        (entry,) = ports.instances.audit
        assert (entry.command, entry.target, entry.to_state) == ("create", order_sid(ACCOUNT, "#1"), "ACTIVE")
        assert (entry.by, entry.reason, entry.minutes_spent, entry.ticket) == ("ann", "asked", 0, "T-1")

    def test_a_repeated_request_returns_the_same_instance(self) -> None:
        ports = a_world()
        key = Repeatable(key="k", body_hash="b")
        strategy = ports.strategies.load(GYM, 1)
        one = start_instance(ports, strategy, self.request(repeatable=key))
        two = start_instance(ports, strategy, self.request(repeatable=key))

        assert one.instance == two.instance


def test_cancel_unless_begun_leaves_begun_instances() -> None:
    """The rule belongs to the command, so it holds in a bulk operation too."""
    ports = a_world()
    sids = joined(ports, 2)
    ports.instances.instances[sids[0]] = replace(ports.instances.instances[sids[0]], has_run=True)

    bulk = begun(ports, command=Cancel(by=ANN, unless_begun=True))

    assert (bulk.counts.changed, bulk.counts.refused) == (1, 1)
    assert bulk.problems[0].why == "the instance has already started an event"
