"""Repeated requests, changes of strategies during lost races, and lost replies. Source: docs/design.md section 8."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from dev.memory.stores import MemoryInstances, MemoryStrategies
from dev.memory.world import ManualClock, MemoryPorts
from shared.adapters.crypto import SecretHasher
from shared.application.commit import ContentionError
from shared.application.flags import pause_strategy, resume_strategy
from shared.application.ports import Reservation, StaleRevError
from shared.application.start import KeyReusedError, Repeatable, StartInstance, start_instance
from shared.application.strategies import (
    ChangedMeanwhileError,
    NewStrategy,
    NewVersion,
    create_strategy,
    delete_strategy,
    replace_settings,
)
from shared.domain.ids import AccountId, InstanceSid, sid_of_request
from shared.domain.instance.journal import EventRecord
from shared.domain.instance.model import Instance
from shared.domain.instance.verdict import Actor, AlreadyThere, Applied, AuditEntry
from shared.domain.steps.call import Answered, CallOutcome, ServiceRequest
from shared.domain.strategy.model import Json, Strategy, StrategyHead
from tests.contract.strategies import settings

ANN = Actor(name="ann")
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
HASHER = SecretHasher(b"pepper")
SETTINGS = settings("water-filter-refill")
KEY = Repeatable(key="k-1", body_hash="h-1")
OTHER_BODY = Repeatable(key="k-1", body_hash="h-2")


class Shop:
    """A service that accepts every request."""

    def call(self, request: ServiceRequest) -> CallOutcome:
        return Answered(status=201, body={"id": request.call_key})


class Beaten(MemoryInstances):
    """A store in which the same request was faster the other time it was sent."""

    def create(
        self,
        instance: Instance,
        *,
        records: Sequence[EventRecord] = (),
        audit: AuditEntry | None = None,
        reservation: Reservation | None = None,
    ) -> None:
        MemoryInstances.create(
            self,
            replace(instance, description="the other one"),
            records=records,
            audit=audit,
            reservation=reservation,
        )
        raise StaleRevError


class BeatenStrategies(MemoryStrategies):
    """The same for strategies. Replies of further writes are lost, or another writer was faster."""

    faster: bool = False

    def create(self, head: StrategyHead, settings: Mapping[str, Json], *, source: Json = None) -> None:
        MemoryStrategies.create(self, replace(head, description="the other one"), settings, source=source)
        raise StaleRevError

    def _exchange(self, head: StrategyHead, before: StrategyHead, audit: AuditEntry) -> None:
        other = replace(head, description="the other one") if self.faster else head
        MemoryStrategies._exchange(self, other, before, audit)
        raise StaleRevError


def a_world() -> MemoryPorts:
    return MemoryPorts(caller=Shop(), clock=ManualClock(NOON))


def saved(ports: MemoryPorts, repeatable: Repeatable | None = None) -> StrategyHead:
    new = NewStrategy(account_id=AccountId("a-1"), name="water", settings=SETTINGS, repeatable=repeatable)
    return create_strategy(ports, HASHER, new, environment="dev")[0]


def the_strategy(ports: MemoryPorts) -> Strategy:
    head = saved(ports)
    return ports.strategies.load(head.sid, 1)


def request(repeatable: Repeatable | None = KEY) -> StartInstance:
    return StartInstance(strategy_id="water", attributes={"customerId": "c"}, repeatable=repeatable)


class TestSidsOfRequests:
    """The same request has the same sid. Another account, kind or key has another."""

    def test_the_sid_of_a_request_is_a_uuid_version_8(self) -> None:
        sid = sid_of_request(AccountId("a-1"), "instance", "k-1")

        assert sid == sid_of_request(AccountId("a-1"), "instance", "k-1")
        assert (len(sid), sid[14], sid[19] in "89ab") == (36, "8", True)

    def test_another_account_kind_or_key_has_another_sid(self) -> None:
        found = {
            sid_of_request(AccountId(account), kind, key)
            for account in ("a", "b", "a:1:b")
            for kind in ("instance", "strategy")
            for key in ("k", "1:b:k", "l")
        }

        assert len(found) == 18


class TestStartingTwice:
    """The second request finds the instance of the first."""

    def test_the_second_start_returns_the_first_instance(self) -> None:
        ports = a_world()
        strategy = the_strategy(ports)

        first, again = (start_instance(ports, strategy, request()) for _ in range(2))

        assert isinstance(first, Applied)
        assert again == AlreadyThere(instance=first.instance)
        assert first.instance.origin.request_hash == "h-1"

    def test_a_repeated_start_schedules_the_wakeup_again(self) -> None:
        ports = a_world()
        strategy = the_strategy(ports)
        start_instance(ports, strategy, request())
        ports.wakeups.invoked.clear()

        again = start_instance(ports, strategy, request())

        assert ports.wakeups.invoked == [again.instance.sid]

    def test_a_start_that_loses_the_race_returns_the_winner(self) -> None:
        ports = a_world()
        strategy = the_strategy(ports)
        ports.instances = Beaten()

        found = start_instance(ports, strategy, request())

        assert isinstance(found, AlreadyThere)
        assert found.instance.description == "the other one"

    def test_another_body_is_refused(self) -> None:
        ports = a_world()
        strategy = the_strategy(ports)
        start_instance(ports, strategy, request())

        with pytest.raises(KeyReusedError):
            start_instance(ports, strategy, request(OTHER_BODY))

    def test_a_sid_taken_by_chance_is_an_error(self) -> None:
        ports = a_world()
        strategy = the_strategy(ports)
        ports.instances = Beaten()

        with pytest.raises(StaleRevError):
            start_instance(ports, strategy, request(None))

    def test_an_instance_that_vanished_is_an_error(self) -> None:
        ports = a_world()
        strategy = the_strategy(ports)
        ports.instances = Vanishing()

        with pytest.raises(StaleRevError):
            start_instance(ports, strategy, request())


class Vanishing(MemoryInstances):
    """A store that refuses to create an instance and does not have it."""

    def create(
        self,
        instance: Instance,
        *,
        records: Sequence[EventRecord] = (),
        audit: AuditEntry | None = None,
        reservation: Reservation | None = None,
    ) -> None:
        raise StaleRevError(instance.sid, records, audit, reservation)

    def load(self, sid: InstanceSid) -> Instance | None:
        return MemoryInstances.load(MemoryInstances(), sid)


class TestSavingTwice:
    """The second request finds the strategy of the first."""

    def test_the_second_save_returns_the_first_strategy(self) -> None:
        ports = a_world()

        assert saved(ports, KEY) == saved(ports, KEY)
        assert len(ports.strategies.heads) == 1

    def test_a_save_that_loses_the_race_returns_the_winner(self) -> None:
        ports = a_world()
        ports.strategies = BeatenStrategies()

        assert saved(ports, KEY).description == "the other one"

    def test_another_body_is_refused(self) -> None:
        ports = a_world()
        saved(ports, KEY)

        with pytest.raises(KeyReusedError):
            saved(ports, OTHER_BODY)

    def test_a_sid_taken_by_chance_is_an_error(self) -> None:
        ports = a_world()
        ports.strategies = BeatenStrategies()

        with pytest.raises(StaleRevError):
            saved(ports)


class TestPausingAStrategy:
    """After a lost race the flag is set on the current head. A lost reply counts as stored."""

    def test_a_flag_whose_reply_was_lost_counts(self) -> None:
        ports, head = TestChangingAStrategy.beaten(faster=False)

        assert pause_strategy(ports, head, by=ANN).is_paused

    def test_a_pause_is_retried_after_a_lost_race(self) -> None:
        ports = a_world()
        head = saved(ports)
        changed = replace(head, version=2)
        ports.strategies.heads[head.sid] = changed

        after = pause_strategy(ports, head, by=ANN)

        assert (after.version, after.is_paused) == (2, True)
        assert resume_strategy(ports, after, by=ANN).is_paused is False

    def test_endless_races_end_with_an_error(self) -> None:
        ports = a_world()
        head = saved(ports)
        ports.strategies = Restless(heads=ports.strategies.heads)

        with pytest.raises(ContentionError):
            pause_strategy(ports, head, by=ANN)


class Restless(MemoryStrategies):
    """A store in which another writer is always faster."""

    def _exchange(self, head: StrategyHead, before: StrategyHead, audit: AuditEntry) -> None:
        raise StaleRevError(head.sid, before.sid, audit.by)


class TestChangingAStrategy:
    """A lost reply counts as stored. After a lost race the change is refused."""

    @staticmethod
    def beaten(*, faster: bool) -> tuple[MemoryPorts, StrategyHead]:
        ports = a_world()
        head = saved(ports)
        behind = BeatenStrategies(heads=ports.strategies.heads, saved=ports.strategies.saved)
        behind.faster = faster
        ports.strategies = behind
        return ports, head

    def test_a_version_whose_reply_was_lost_counts(self) -> None:
        ports, head = self.beaten(faster=False)

        after = replace_settings(
            ports, HASHER, head, NewVersion(settings=SETTINGS), by=ANN, environment="dev"
        )

        assert after.version == 2

    def test_a_version_that_loses_the_race_is_refused(self) -> None:
        ports, head = self.beaten(faster=True)

        with pytest.raises(ChangedMeanwhileError):
            replace_settings(ports, HASHER, head, NewVersion(settings=SETTINGS), by=ANN, environment="dev")

    def test_a_deletion_whose_reply_was_lost_counts(self) -> None:
        ports, head = self.beaten(faster=False)

        assert delete_strategy(ports, head, by=ANN).deleted_at == NOON

    def test_a_slower_deletion_is_refused(self) -> None:
        ports, head = self.beaten(faster=True)

        with pytest.raises(ChangedMeanwhileError):
            delete_strategy(ports, head, by=ANN)
