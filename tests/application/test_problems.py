"""Listing problems, where the dialect cannot reach. Source: docs/contracts/core.md section 5."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from msgspec.structs import replace

from dev.memory.stores import MemoryInstances
from dev.memory.world import MemoryPorts
from shared.application.bulk.select import SelectionScan, next_batch
from shared.application.commit import ContentionError
from shared.application.control import control
from shared.application.ports import PageKey, ReservedError, Unreadable
from shared.application.problems import ProblemFilter, problem_page
from shared.application.start import ReferenceTakenError, StartInstance, start_instance
from shared.domain.bulk.selection import OfPhases, OfReference, Selection
from shared.domain.errors import StoredShapeError
from shared.domain.ids import AccountId, InstanceSid, StrategySid
from shared.domain.instance.event import EventKind, PausedFor
from shared.domain.instance.journal import EventHistory
from shared.domain.instance.model import FailedEvent, Instance, Plan
from shared.domain.instance.phase import Phase, PhaseRange
from shared.domain.instance.problems import ProblemKind
from shared.domain.instance.reason import EventFailure
from shared.domain.instance.verdict import Actor
from shared.domain.lifecycle.commands import Pause
from tests.application.bulk.bulk_worlds import ACCOUNT, GYM, NOON, a_world, joined
from tests.contract.instances import an_event, an_instance
from tests.simulation.stories import MEMBER

EVERY = ProblemFilter()


def pause(ports: MemoryPorts, *sids: InstanceSid) -> None:
    for sid in sids:
        control(ports, sid, Pause(by=Actor(name="bob")))


@dataclass(slots=True)
class Marred(MemoryInstances):
    """A store that cannot read the instances in ``broken``."""

    broken: set[InstanceSid] = field(default_factory=set)
    owner: AccountId | None = ACCOUNT

    def load_many(self, sids: Sequence[InstanceSid]) -> list[Instance | Unreadable[InstanceSid]]:
        readable = MemoryInstances.load_many(self, [sid for sid in sids if sid not in self.broken])
        return [
            *readable,
            *(
                Unreadable(key=sid, why="schema 99", account_id=self.owner)
                for sid in sids
                if sid in self.broken
            ),
        ]


def failing(ports: MemoryPorts, name: str, *, step: str | None = "gone") -> InstanceSid:
    """Store an instance whose failed event names a step that its strategy does not have."""
    failure = EventFailure(message="no", error_class="timeout", at=NOON, step=step)
    failed = FailedEvent(seq=1, kind=EventKind.ON_CREATE, task="mail", failure=failure)
    instance = replace(an_instance(name), account_id=ACCOUNT, events=(), failed_events=(failed,), shard=0)
    ports.instances.create(instance)
    return instance.sid


class TestUnreadable:
    """An instance that cannot be read is named on its page."""

    def test_an_unreadable_instance_is_named(self) -> None:
        store = Marred()
        ports = a_world(store)
        first, second = failing(ports, "i-1"), failing(ports, "i-2")
        store.broken = {second}

        page = problem_page(ports, ACCOUNT, EVERY, before=None, limit=9)

        assert [found.instance.sid for found in page.found] == [first]
        assert page.unreadable == (Unreadable(key=second, why="schema 99", account_id=ACCOUNT),)
        assert page.after is None

    @pytest.mark.parametrize("kind", [None, ProblemKind.LATE])
    def test_an_unreadable_instance_that_is_late_is_named(self, kind: ProblemKind | None) -> None:
        ports, sid = self.late()

        page = problem_page(ports, ACCOUNT, ProblemFilter(kind=kind), before=None, limit=9)

        assert (page.found, page.after) == ((), None)
        assert page.unreadable == (Unreadable(key=sid, why="schema 99", account_id=ACCOUNT),)

    def test_late_instances_are_not_read_for_other_kinds(self) -> None:
        ports, _ = self.late()
        criteria = ProblemFilter(kind=ProblemKind.IN_DOUBT)

        assert problem_page(ports, ACCOUNT, criteria, before=None, limit=9).unreadable == ()

    @pytest.mark.parametrize("owner", ["another", None])
    def test_a_late_instance_of_another_account_is_not_named(self, owner: str | None) -> None:
        ports, _ = self.late(owner=None if owner is None else AccountId(owner))

        assert problem_page(ports, ACCOUNT, EVERY, before=None, limit=9).unreadable == ()

    def test_an_instance_that_is_late_and_has_problems_is_named_once(self) -> None:
        ports, sid = self.late(has_failed=True)

        page = problem_page(ports, ACCOUNT, EVERY, before=None, limit=9)

        assert [item.key for item in page.unreadable] == [sid]

    def late(
        self, *, owner: AccountId | None = ACCOUNT, has_failed: bool = False
    ) -> tuple[MemoryPorts, InstanceSid]:
        """Return an instance that cannot be read, and whose event has been due for an hour."""
        store = Marred(owner=owner)
        ports = a_world(store)
        event = an_event(due=ports.clock.now() - timedelta(hours=1))
        failure = EventFailure(message="no", error_class="timeout", at=NOON, step="gone")
        failed = FailedEvent(seq=2, kind=EventKind.ON_CREATE, task="mail", failure=failure)
        instance = replace(
            an_instance("i-1"),
            account_id=ACCOUNT,
            events=(event,),
            failed_events=(failed,) if has_failed else (),
            shard=0,
        )
        ports.instances.create(instance)
        store.broken = {instance.sid}
        return ports, instance.sid


class TestCalls:
    """A problem is shown without a call if there was none, or if its call cannot be determined."""

    @pytest.mark.parametrize("step", ["gone", None])
    def test_a_problem_without_a_known_call(self, step: str | None) -> None:
        ports = a_world()
        failing(ports, "i-1", step=step)

        (found,) = problem_page(ports, ACCOUNT, EVERY, before=None, limit=9).found

        assert (found.problem.why, found.call) == ("no", None)

    def test_a_problem_whose_history_cannot_be_read(self) -> None:
        class Torn(MemoryInstances):
            def event_history(self, sid: InstanceSid, seq: int) -> EventHistory:
                raise StoredShapeError(f"{sid}, event {seq}: schema 99")

        ports = a_world(Torn())
        sid = failing(ports, "i-1", step="charge")

        page = problem_page(ports, ACCOUNT, EVERY, before=None, limit=9)

        (found,) = page.found
        assert (found.problem.why, found.call) == ("no", None)
        assert page.unreadable == (Unreadable(key=f"{sid}-1", why=f"{sid}, event 1: schema 99"),)


class TestStaleEntries:
    """The index lags, so each of its entries is judged by the instance as it is now."""

    def test_an_instance_without_problems_is_left_out(self) -> None:
        @dataclass(slots=True)
        class Lagging(MemoryInstances):
            def load_many(self, sids: Sequence[InstanceSid]) -> list[Instance | Unreadable[InstanceSid]]:
                found = MemoryInstances.load_many(self, sids)
                return [replace(one, failed_events=()) for one in found if isinstance(one, Instance)]

        ports = a_world(Lagging())
        failing(ports, "i-1")

        assert problem_page(ports, ACCOUNT, EVERY, before=None, limit=9).found == ()

    def test_an_instance_that_is_gone_is_left_out(self) -> None:
        @dataclass(slots=True)
        class Emptied(MemoryInstances):
            def load_many(self, _: Sequence[InstanceSid]) -> list[Instance | Unreadable[InstanceSid]]:
                return []

        ports = a_world(Emptied())
        failing(ports, "i-1")

        assert problem_page(ports, ACCOUNT, EVERY, before=None, limit=9).found == ()


class TestMigratedSteps:
    """The version that an event is bound to may define its step no longer, or without a call."""

    @pytest.mark.parametrize("step", ["gone", "charge"])
    def test_a_step_that_is_not_defined_has_no_call(self, step: str) -> None:
        ports = a_world()
        sid = joined(ports, 1)[0]
        instance = ports.instances.instances[sid]
        (event,) = (one for one in instance.events if one.is_main)
        failure = EventFailure(message="no", error_class="http-402", at=NOON, step=step)
        stuck = replace(event.paused(PausedFor.EXHAUSTED), failure=failure)
        ports.instances.commit(replace(instance.with_event(stuck), rev=instance.rev + 1))

        (found,) = problem_page(ports, ACCOUNT, EVERY, before=None, limit=9).found

        assert found.problem.kind is ProblemKind.EXHAUSTED
        assert (found.call is None) is (step == "gone")
        assert found.call is None or (found.call.step, found.call.error) == ("charge", None)


class TestLateness:
    """Late entries of the due index are problems if an event waits, and if the filter allows them."""

    def test_an_end_date_is_not_late(self) -> None:
        ports = a_world()
        plan = Plan(end_date=NOON - timedelta(hours=1))
        ended = replace(an_instance("i-1"), account_id=ACCOUNT, events=(), plan=plan, shard=0)
        ports.instances.create(ended)

        assert problem_page(ports, ACCOUNT, EVERY, before=None, limit=9).found == ()

    def test_another_problem_does_not_hide_lateness(self) -> None:
        ports = a_world()
        sid = joined(ports, 1)[0]
        instance = ports.instances.instances[sid]
        failure = EventFailure(message="no", error_class="timeout", at=NOON)
        failed = FailedEvent(seq=99, kind=EventKind.ON_CREATE, task="mail", failure=failure)
        ports.instances.commit(replace(instance, failed_events=(failed,), rev=instance.rev + 1))
        ports.clock.at += timedelta(days=400)

        found = problem_page(ports, ACCOUNT, EVERY, before=None, limit=9).found

        assert [one.problem.kind for one in found] == [ProblemKind.LATE, ProblemKind.FAILED_EVENT]

    def test_the_filter_applies_to_late_events(self) -> None:
        ports = a_world()
        joined(ports, 1)
        ports.clock.at += timedelta(days=400)
        of_other = ProblemFilter(strategy=StrategySid("other"))

        assert len(problem_page(ports, ACCOUNT, EVERY, before=None, limit=9).found) == 1
        assert problem_page(ports, ACCOUNT, of_other, before=None, limit=9).found == ()


class TestReferences:
    """A reference whose holder changes all the time is given up after a while."""

    def test_a_reservation_that_never_ends_is_contention(self) -> None:
        @dataclass(slots=True)
        class Contended(MemoryInstances):
            def create(self, instance: Instance, **_: object) -> None:
                raise ReservedError(InstanceSid(f"not-{instance.sid}"))

        ports = a_world(Contended())
        gym = ports.strategies.load(GYM, 1)
        unique = replace(gym, definition=replace(gym.definition, unique_reference=True))
        request = StartInstance(strategy_id="gym", attributes=MEMBER, reference="o-1")

        with pytest.raises(ContentionError, match="changed hands 20 times"):
            start_instance(ports, unique, request)

    def test_a_reservation_counts_before_the_index_shows_its_holder(self) -> None:
        class Lagging(MemoryInstances):
            def with_reference(self, *_: object, **__: object) -> list[PageKey]:
                return []

        ports = a_world(Lagging())
        gym = ports.strategies.load(GYM, 1)
        unique = replace(gym, definition=replace(gym.definition, unique_reference=True))
        request = StartInstance(strategy_id="gym", attributes=MEMBER, reference="o-1")
        first = start_instance(ports, unique, request).instance.sid

        with pytest.raises(ReferenceTakenError, match=first):
            start_instance(ports, unique, request)


class TestScans:
    """A bulk selection by an index is scanned page by page, and each instance is judged by its current state."""

    def scanned(self, ports: MemoryPorts, selection: Selection, *, size: int) -> list[InstanceSid]:
        scan = SelectionScan(account=ACCOUNT, selection=selection, begun_at=ports.clock.now())
        sids: list[InstanceSid] = []
        while True:
            batch = next_batch(ports, scan, size=size).batch
            sids += batch.sids
            if batch.at_end:
                return sids
            scan = replace(scan, cursor=batch.cursor)

    def world(self) -> MemoryPorts:
        ports = a_world()
        gym = ports.strategies.load(GYM, 1)
        for number in range(5):
            ports.clock.at += timedelta(seconds=1)
            request = StartInstance(strategy_id="gym", attributes=MEMBER, reference=f"o-{number // 4}")
            sid = start_instance(ports, gym, request).instance.sid
            pause(ports, sid)
        return ports

    @pytest.mark.parametrize("size", [1, 2, 3, 4, 9])
    def test_every_instance_is_scanned_once(self, size: int) -> None:
        ports = self.world()
        paused = OfPhases(ranges=(PhaseRange(phase=Phase.PAUSED),))

        assert sorted(self.scanned(ports, paused, size=size)) == sorted(ports.instances.instances)
        assert len(self.scanned(ports, OfReference(reference="o-0"), size=size)) == 4

    def test_instances_created_later_are_not_selected(self) -> None:
        ports = self.world()
        begun_at = ports.clock.now() - timedelta(seconds=2)
        scan = SelectionScan(
            account=ACCOUNT, selection=OfPhases(ranges=(PhaseRange(phase=Phase.PAUSED),)), begun_at=begun_at
        )

        assert len(next_batch(ports, scan, size=9).batch.sids) == 3

    def test_a_page_without_enough_selected_instances_is_followed_by_the_next(self) -> None:
        ports = self.world()
        begun_at = ports.clock.now() - timedelta(seconds=2)
        scan = SelectionScan(account=ACCOUNT, selection=OfReference(reference="o-0"), begun_at=begun_at)

        assert len(next_batch(ports, scan, size=2).batch.sids) == 2

    def test_an_unreadable_instance_counts_as_selected(self) -> None:
        store = Marred()
        ports = a_world(store)
        sids = joined(ports, 2)
        pause(ports, *sids)
        store.broken = {sids[0]}

        assert sorted(
            self.scanned(ports, OfPhases(ranges=(PhaseRange(phase=Phase.PAUSED),)), size=9)
        ) == sorted(sids)
