"""The contract of the sparse lists of instances, on every engine: by reference, attribute, phase and problem."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from shared.application.ports import (
    PageKey,
    PhaseWindow,
    Reservation,
    ReservedError,
    StaleRevError,
)
from shared.domain.ids import AccountId, InstanceSid, StrategySid
from shared.domain.instance.event import EventKind, EventStatus
from shared.domain.instance.model import FailedEvent, Instance, InstanceStatus, Stoppage
from shared.domain.instance.phase import Phase, PhaseRange
from shared.domain.instance.reason import Cause, EventFailure, StopReason
from tests import full
from tests.contract.instances import a_record, an_audit, an_instance, changed
from tests.engines import Stores
from tests.full import at

OTHER = AccountId("other")
OTHER_STRATEGY = StrategySid("other-strategy")
STUCK = PhaseRange(phase=Phase.STUCK)


def made(stores: Stores, *instances: Instance) -> list[Instance]:
    """Store instances, each a second younger than the one before, in different shards."""
    found = [
        replace(instance, created_at=at(1) + timedelta(seconds=number), shard=number % 16)
        for number, instance in enumerate(instances)
    ]
    for instance in found:
        stores.instances.create(instance)
    return found


def stuck(name: str, error: str, *, strategy: StrategySid = full.STRATEGY) -> Instance:
    reason = StopReason(cause=Cause.EXHAUSTED, detail=error)
    stop = Stoppage(at=at(2), by="engine", reason=reason, for_event=1)
    return replace(an_instance(name), status=InstanceStatus.PAUSED, stop=stop, strategy_sid=strategy)


def paused(name: str, by: str) -> Instance:
    stop = Stoppage(at=at(2), by=by, reason=StopReason(cause=Cause.OPERATOR, detail=by))
    return replace(an_instance(name), status=InstanceStatus.PAUSED, stop=stop)


def with_failed_event(name: str, seconds: int) -> Instance:
    since = at(3) + timedelta(seconds=seconds)
    failure = EventFailure(message="no answer", error_class="timeout", at=since)
    failed = FailedEvent(seq=7, kind=EventKind.ON_CREATE, task="welcome", failure=failure)
    return replace(an_instance(name), failed_events=(failed,))


def referring(name: str, reference: str) -> Instance:
    instance = an_instance(name)
    return replace(instance, origin=replace(instance.origin, reference=reference))


def customer(name: str, value: object, *, searchable: tuple[str, ...] = ("customerId",)) -> Instance:
    return replace(an_instance(name), attributes={"customerId": value}, searchable=searchable)


def names(found: list[PageKey]) -> list[str]:
    return [place.sid for place in found]


class TestReference:
    """Instances with a reference are listed, youngest first, page by page."""

    def test_instances_with_the_reference_are_found(self, stores: Stores) -> None:
        made(stores, referring("a", "o-1"), referring("b", "o-2"), referring("c", "o-1"), an_instance("d"))
        find = stores.instances.with_reference

        first = find(full.ACCOUNT, "o-1", before=None, limit=1)
        rest = find(full.ACCOUNT, "o-1", before=first[-1], limit=9)

        assert (names(first), names(rest)) == (["c"], ["a"])
        assert find(full.ACCOUNT, "o", before=None, limit=9) == []
        assert find(OTHER, "o-1", before=None, limit=9) == []


class TestReservations:
    """A reference is reserved together with the instance, or nothing is stored."""

    def test_a_reserved_reference_is_refused_with_its_holder(self, stores: Stores) -> None:
        stores.instances.create(referring("a", "o-1"), reservation=Reservation())

        with pytest.raises(ReservedError) as refused:
            stores.instances.create(referring("b", "o-1"), reservation=Reservation())

        assert refused.value.holder == "a"
        assert stores.instances.load(InstanceSid("b")) is None
        stores.instances.create(referring("c", "o-2"), reservation=Reservation())

    def test_a_reservation_passes_from_its_holder_only(self, stores: Stores) -> None:
        stores.instances.create(referring("a", "o-1"), reservation=Reservation())
        instead = Reservation(instead_of=InstanceSid("a"))
        stores.instances.create(referring("b", "o-1"), reservation=instead)

        with pytest.raises(ReservedError) as refused:
            stores.instances.create(referring("c", "o-1"), reservation=instead)

        assert refused.value.holder == "b"

    def test_an_instance_that_exists_is_stale_whatever_its_reservation(self, stores: Stores) -> None:
        stores.instances.create(referring("a", "o-1"), reservation=Reservation())

        with pytest.raises(StaleRevError):
            stores.instances.create(referring("a", "o-1"), reservation=Reservation())

    def test_records_and_audit_are_stored_with_a_reservation(self, stores: Stores) -> None:
        instance = referring("a", "o-1")
        record = a_record(instance)
        stores.instances.create(
            instance, records=(record,), audit=an_audit(instance), reservation=Reservation()
        )

        assert stores.instances.event_history(instance.sid, 1).record == record


class TestAttributes:
    """Instances are found by a searchable attribute, at whatever position their strategy declares it."""

    def test_instances_with_the_value_are_found(self, stores: Stores) -> None:
        two = ("plan", "customerId")
        made(stores, customer("a", "c-1"), customer("b", "c-2"), customer("c", "c-1", searchable=two))
        find = stores.instances.with_attribute

        assert names(find(full.ACCOUNT, "customerId", "c-1", before=None, limit=9)) == ["c", "a"]
        assert names(find(full.ACCOUNT, "customerId", "c-1", before=None, limit=1)) == ["c"]
        assert find(full.ACCOUNT, "plan", "c-1", before=None, limit=9) == []
        assert find(OTHER, "customerId", "c-1", before=None, limit=9) == []

    def test_an_attribute_that_is_not_searchable_is_not_found(self, stores: Stores) -> None:
        made(stores, customer("a", "c-1", searchable=()))

        assert stores.instances.with_attribute(full.ACCOUNT, "customerId", "c-1", before=None, limit=9) == []

    def test_a_changed_attribute_is_found_under_its_new_value(self, stores: Stores) -> None:
        (instance,) = made(stores, customer("a", "c-1"))
        stores.instances.commit(changed(instance, attributes={"customerId": "c-2"}))
        find = stores.instances.with_attribute

        assert find(full.ACCOUNT, "customerId", "c-1", before=None, limit=9) == []
        assert names(find(full.ACCOUNT, "customerId", "c-2", before=None, limit=9)) == ["a"]

    @pytest.mark.parametrize("text", ["", "x" * 256, "x" * 257, "é" * 5000, 'a"#]b'])
    def test_any_text_is_found(self, stores: Stores, text: str) -> None:
        made(stores, customer("a", text), customer("b", f"{text}y"))
        find = stores.instances.with_attribute

        assert names(find(full.ACCOUNT, "customerId", text, before=None, limit=9)) == ["a"]


class TestPhases:
    """Instances are listed by phase, cause, detail and strategy; among equal ones by age."""

    def sids_of(
        self, stores: Stores, *ranges: PhaseRange, limit: int = 9, window: PhaseWindow | None = None
    ) -> list[str]:
        found = stores.instances.in_phases(full.ACCOUNT, ranges, window=window or PhaseWindow(), limit=limit)
        return [entry.sid for entry in found]

    def test_instances_are_found_by_phase(self, stores: Stores) -> None:
        made(stores, stuck("a", "http-402"), paused("b", "ann"), an_instance("c"))

        assert self.sids_of(stores, STUCK) == ["a"]
        assert self.sids_of(stores, PhaseRange(phase=Phase.PAUSED)) == ["b"]
        assert self.sids_of(stores, STUCK, PhaseRange(phase=Phase.PAUSED)) == ["b", "a"]
        assert self.sids_of(stores, PhaseRange(phase=Phase.FAULTED)) == []

    def test_a_cause_includes_all_its_details(self, stores: Stores) -> None:
        made(stores, stuck("a", "http-402"), stuck("b", "http-40"), stuck("c", "timeout"))

        def of(detail: str | None) -> list[str]:
            return self.sids_of(stores, replace(STUCK, cause=Cause.EXHAUSTED, detail=detail))

        assert of(None) == ["c", "a", "b"]
        assert of("http-402") == ["a"]
        assert of("http-40") == ["b"]
        assert of("http") == []
        assert self.sids_of(stores, replace(STUCK, cause=Cause.IN_DOUBT)) == []

    def test_a_strategy_narrows_a_reason(self, stores: Stores) -> None:
        made(stores, stuck("a", "timeout"), stuck("b", "timeout", strategy=OTHER_STRATEGY))
        by_reason = replace(STUCK, cause=Cause.EXHAUSTED, detail="timeout")

        assert self.sids_of(stores, replace(by_reason, strategy=OTHER_STRATEGY)) == ["b"]
        assert self.sids_of(stores, replace(by_reason, strategy=full.STRATEGY)) == ["a"]
        assert self.sids_of(stores, replace(by_reason, strategy=StrategySid("o"))) == []

    def test_instances_of_another_phase_now_are_not_found(self, stores: Stores) -> None:
        (instance,) = made(stores, stuck("a", "timeout"))
        stores.instances.commit(changed(instance, status=InstanceStatus.ACTIVE, stop=None))

        assert self.sids_of(stores, STUCK) == []

    @pytest.mark.parametrize("is_ascending", [True, False])
    def test_pages_continue_after_a_position(self, stores: Stores, *, is_ascending: bool) -> None:
        made(stores, *(stuck(f"i-{n}", f"http-{500 + n % 3}") for n in range(20)))
        everything = self.sids_of(stores, STUCK, limit=99, window=PhaseWindow(is_ascending=is_ascending))
        pages: list[str] = []
        window = PhaseWindow(is_ascending=is_ascending)
        while page := stores.instances.in_phases(full.ACCOUNT, [STUCK], window=window, limit=3):
            pages += [entry.sid for entry in page]
            window = replace(window, after=page[-1].order)

        assert len(everything) == 20
        assert pages == everything
        by_reason = replace(STUCK, cause=Cause.EXHAUSTED, detail="http-501")
        assert self.sids_of(stores, by_reason, window=window) == []

    def test_instances_of_another_account_are_excluded(self, stores: Stores) -> None:
        made(stores, stuck("a", "timeout"))

        assert stores.instances.in_phases(OTHER, [STUCK], window=PhaseWindow(), limit=9) == []


class TestProblems:
    """Instances with problems are listed, newest problem first."""

    def test_the_newest_problem_comes_first(self, stores: Stores) -> None:
        made(
            stores,
            with_failed_event("a", 2),
            with_failed_event("b", 3),
            an_instance("c"),
            with_failed_event("d", 1),
        )
        find = stores.instances.with_problems

        first = find(full.ACCOUNT, before=None, limit=2)
        rest = find(full.ACCOUNT, before=first[-1], limit=2)

        assert (names(first), names(rest)) == (["b", "a"], ["d"])
        assert first[0].created_at == at(3) + timedelta(seconds=3)
        assert find(OTHER, before=None, limit=9) == []

    def test_a_solved_problem_is_not_found(self, stores: Stores) -> None:
        (instance,) = made(stores, with_failed_event("a", 2))
        stores.instances.commit(changed(instance, failed_events=()))

        assert stores.instances.with_problems(full.ACCOUNT, before=None, limit=9) == []


class TestCounts:
    """Instances and closed events are counted up to a maximum."""

    def test_instances_of_a_phase_a_status_and_with_problems(self, stores: Stores) -> None:
        made(
            stores,
            *(stuck(f"s-{n}", "timeout") for n in range(9)),
            paused("p", "ann"),
            *(with_failed_event(f"f-{n}", n) for n in range(3)),
        )
        of = stores.instances

        assert of.count_in_phase(full.ACCOUNT, Phase.STUCK, most=99) == 9
        assert of.count_in_phase(full.ACCOUNT, Phase.STUCK, most=4) == 4
        assert of.count_in_phase(full.ACCOUNT, Phase.PAUSED, most=99) == 1
        assert of.count_in_phase(OTHER, Phase.STUCK, most=99) == 0
        assert of.count_of_strategy(full.STRATEGY, InstanceStatus.PAUSED, most=99) == 10
        assert of.count_of_strategy(full.STRATEGY, Phase.STUCK, most=99) == 9
        assert of.count_of_strategy(full.STRATEGY, InstanceStatus.ACTIVE, most=2) == 2
        assert of.count_with_problems(full.ACCOUNT, most=99) == 3
        assert of.count_with_problems(OTHER, most=99) == 0

    def test_closed_events_by_status(self, stores: Stores) -> None:
        for number, status in enumerate([EventStatus.PROCESSED] * 3 + [EventStatus.FAILED]):
            (instance,) = made(stores, an_instance(f"i-{number}"))
            record = a_record(instance)
            event = replace(record.event, status=status)
            stores.instances.put_record(
                instance, replace(record, event=event, finished_at=at(9) + timedelta(seconds=number))
            )

        def closed(since: int, until: int, most: int = 99) -> dict[EventStatus, int]:
            first, last = at(9) + timedelta(seconds=since), at(9) + timedelta(seconds=until)
            month = at(9).date()
            found = stores.instances.count_closed(full.ACCOUNT, month, since=first, until=last, most=most)
            return dict(found)

        assert closed(0, 9) == {EventStatus.PROCESSED: 3, EventStatus.FAILED: 1}
        assert closed(1, 3) == {EventStatus.PROCESSED: 2}
        assert sum(closed(0, 9, most=2).values()) == 2


class TestCreationRange:
    """A list by age may end at an instant."""

    def test_older_instances_are_excluded(self, stores: Stores) -> None:
        instances = made(stores, *(an_instance(name) for name in "abcd"))
        since = instances[2].created_at
        every = list(InstanceStatus)
        of_strategy, of_account = stores.instances.of_strategy, stores.instances.of_account

        assert names(of_strategy(full.STRATEGY, every, before=None, limit=9, since=since)) == ["d", "c"]
        assert names(of_account(full.ACCOUNT, before=None, limit=9, since=since)) == ["d", "c"]
        youngest = PageKey(created_at=instances[3].created_at, sid="d")
        assert names(of_strategy(full.STRATEGY, every, before=youngest, limit=9, since=since)) == ["c"]
        assert names(of_strategy(full.STRATEGY, every, before=youngest, limit=1, since=since)) == ["c"]
        later = since + timedelta(microseconds=1)
        assert names(of_account(full.ACCOUNT, before=None, limit=9, since=later)) == ["d"]
        oldest = PageKey(created_at=instances[0].created_at, sid="a")
        assert of_account(full.ACCOUNT, before=oldest, limit=9, since=since) == []
