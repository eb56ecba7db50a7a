"""A runner whose stores are unavailable. Source: docs/design.md section 3.9."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from dev.memory.stores import MemoryInstances, MemoryStrategies
from dev.memory.world import ManualClock, MemoryPorts
from shared.application.commit import ContentionError
from shared.application.control import control
from shared.application.ports import ConnectionLostError, OverloadedError, StaleRevError, UnavailableError
from shared.application.runner.loop import run_due_events
from shared.application.runner.patience import give_back
from shared.application.start import StartInstance, start_instance
from shared.domain.ids import AccountId, InstanceSid, StrategySid
from shared.domain.instance.event import EventStatus
from shared.domain.instance.flags import Flags
from shared.domain.instance.journal import EventRecord, JournalEntry
from shared.domain.instance.model import Instance, InstanceStatus
from shared.domain.instance.verdict import Actor
from shared.domain.lifecycle.commands import Cancel, GiveBack
from shared.domain.steps.call import Answered, CallOutcome, ServiceRequest
from shared.domain.strategy.model import Json
from tests.lifecycle_factories import at, strategy

NOON = at("2026-01-31T12:00")
TWO_STEPS: Json = [
    {"key": "call", "action": "post", "nextStep": "next"},
    {"key": "next", "action": "post"},
]


UNDO = GiveBack(seq=1, fence=1, token="t0k3n", known_visits=0, sent_visit=None)


@dataclass
class Failures:
    """How often each operation still fails; after a write if it is in ``lost``, else before it."""

    left: dict[str, int] = field(default_factory=dict)
    lost: frozenset[str] = frozenset()

    def before(self, name: str) -> None:
        if name not in self.lost:
            self._fail(name, OverloadedError(name))

    def after(self, name: str) -> None:
        if name in self.lost:
            self._fail(name, ConnectionLostError(name))

    def _fail(self, name: str, error: UnavailableError) -> None:
        if self.left.get(name, 0) > 0:
            self.left[name] -= 1
            raise error


class Brittle(MemoryInstances):
    """A store whose operations fail."""

    failures: Failures

    def load(self, sid: InstanceSid) -> Instance | None:
        self.failures.before("load")
        return super().load(sid)

    def commit(self, instance: Instance, **beside: Any) -> None:
        self.failures.before("commit")
        super().commit(instance, **beside)
        self.failures.after("commit")

    def append(self, instance: Instance, entry: JournalEntry) -> None:
        self.failures.before("append")
        super().append(instance, entry)
        self.failures.after("append")

    def put_record(self, instance: Instance, record: EventRecord) -> None:
        self.failures.before("put_record")
        super().put_record(instance, record)


class BrittleFlags(MemoryStrategies):
    """Flags whose reading fails."""

    failures: Failures

    def flags(self, account: AccountId, strategy: StrategySid) -> Flags:
        self.failures.before("flags")
        return super().flags(account, strategy)


class Shop:
    """The only customer of a shop, with a task of two calls, and a runner that the test starts at noon."""

    def __init__(self) -> None:
        self.failures, self.calls = Failures(), list[str]()
        self.clock = ManualClock(NOON)
        self.store = Brittle()
        self.store.failures = self.failures
        self.ports = MemoryPorts(caller=self, clock=self.clock, instances=self.store)
        flags = BrittleFlags(access=self.ports.access)
        flags.failures = self.failures
        self.ports.strategies = flags
        runs = strategy(steps=TWO_STEPS)
        flags.add(runs)
        request = StartInstance(strategy_id=runs.name, attributes={"customerId": "c-1"}, start_date=NOON)
        self.sid = start_instance(self.ports, runs, request).instance.sid

    def call(self, request: ServiceRequest) -> CallOutcome:
        self.failures.before("secrets")
        self.calls.append(request.call_key.rpartition("-")[2])
        return Answered(status=201, body={"id": "r-1"})

    def run(self, seconds: float = 900) -> int:
        ends = self.clock.at + timedelta(seconds=seconds)
        return run_due_events(self.ports, self.sid, job="job", time_left=lambda: ends - self.clock.at)

    @property
    def instance(self) -> Instance:
        return self.store.instances[self.sid]

    def later(self) -> None:
        """Run again when the claim that was given back may be claimed."""
        assert self.instance.lease is not None
        assert self.instance.lease.given_back is not None
        self.clock.at = self.instance.lease.until
        self.run()


@pytest.fixture
def shop() -> Shop:
    return Shop()


class TestAShortOverload:
    """A result that cannot be stored is stored as soon as the store is available again, within the lease."""

    @pytest.mark.parametrize("operation", ["append", "put_record"])
    def test_the_result_is_stored_and_no_call_is_repeated(self, shop: Shop, operation: str) -> None:
        shop.failures.left = {operation: 4}
        shop.run()
        assert shop.calls == ["1", "2"]
        assert shop.store.records[shop.sid, 1].event.status is EventStatus.PROCESSED
        assert not shop.store.records[shop.sid, 1].in_doubt
        assert shop.clock.at == NOON + timedelta(seconds=0.5 + 1 + 2 + 4)

    def test_a_lost_reply_repeats_no_call(self, shop: Shop) -> None:
        shop.failures.left, shop.failures.lost = {"append": 2}, frozenset({"append"})
        shop.run()
        assert shop.calls == ["1", "2"]


class TestALongOverload:
    """After the lease's time the claim is given back, without a crash or an attempt."""

    def test_a_call_that_could_not_be_recorded_is_repeated_in_doubt(self, shop: Shop) -> None:
        shop.failures.left = {"append": 1000}
        assert shop.run() == 1
        lease = shop.instance.lease
        assert lease is not None
        assert lease.given_back is not None
        assert lease.given_back.sent_visit == 1
        (name,) = [name for name, (when, _) in shop.ports.wakeups.armed.items() if when == lease.until]
        assert name.startswith(shop.sid)
        shop.failures.left = {}
        shop.later()
        record = shop.store.records[shop.sid, 1]
        assert shop.calls == ["1", "1", "2"]
        assert (record.event.status, record.event.attempt, record.in_doubt) == (
            EventStatus.PROCESSED,
            1,
            True,
        )

    def test_a_record_that_could_not_be_stored_leaves_its_call_in_doubt(self, shop: Shop) -> None:
        shop.failures.left = {"put_record": 1000}
        shop.run()
        shop.failures.left = {}
        shop.later()
        assert shop.calls == ["1", "2", "2"]
        assert shop.store.records[shop.sid, 1].in_doubt

    def test_unread_flags_put_nothing_in_doubt(self, shop: Shop) -> None:
        shop.failures.left = {"flags": 1}
        assert shop.run() == 0
        assert shop.calls == []
        shop.later()
        record = shop.store.records[shop.sid, 1]
        assert (shop.calls, record.in_doubt, record.event.status) == (
            ["1", "2"],
            False,
            EventStatus.PROCESSED,
        )

    def test_a_run_that_could_not_be_handed_over_leaves_nothing_in_doubt(self, shop: Shop) -> None:
        flags = shop.ports.strategies.flags

        def refuse_next_commit(account: AccountId, sid: StrategySid) -> Flags:
            shop.failures.left = {"commit": 1}
            return flags(account, sid)

        shop.ports.strategies.flags = refuse_next_commit  # type: ignore[method-assign, assignment]
        assert shop.run(seconds=30) == 1
        shop.ports.strategies.flags = flags  # type: ignore[method-assign]
        shop.later()
        assert shop.calls == ["1", "2"]
        assert not shop.store.records[shop.sid, 1].in_doubt


class TestUnreadSecrets:
    """A secret that cannot be read for now sends nothing: the claim is given back, and the key stays."""

    def test_the_call_is_sent_later_under_its_key_and_without_doubt(self, shop: Shop) -> None:
        shop.failures.left = {"secrets": 1}
        assert shop.run() == 1
        assert shop.calls == []
        lease = shop.instance.lease
        assert lease is not None
        assert lease.given_back is not None
        assert lease.given_back.sent_visit is None

        shop.later()

        record = shop.store.records[shop.sid, 1]
        assert (shop.calls, record.event.status) == (["1", "2"], EventStatus.PROCESSED)
        assert (record.event.attempt, record.event.run, record.in_doubt) == (1, 1, False)

    def test_however_often_it_happens_the_event_is_not_poisoned(self, shop: Shop) -> None:
        shop.failures.left = {"secrets": 20}
        shop.run()
        for _ in range(20):
            shop.later()

        record = shop.store.records[shop.sid, 1]
        assert (shop.calls, record.event.status) == (["1", "2"], EventStatus.PROCESSED)
        assert (record.event.attempt, record.in_doubt) == (1, False)

    def test_an_earlier_doubt_about_the_call_stays(self, shop: Shop) -> None:
        """The first sending was not recorded; that its repeat could not be sent says nothing about it."""
        shop.failures.left = {"append": 1000}
        shop.run()
        assert shop.calls == ["1"]
        shop.failures.left = {"secrets": 2}
        shop.later()
        shop.later()
        shop.later()

        record = shop.store.records[shop.sid, 1]
        assert (shop.calls, record.event.status) == (["1", "1", "2"], EventStatus.PROCESSED)
        assert (record.event.attempt, record.in_doubt) == (1, True)

    def test_a_call_in_doubt_that_waits_for_an_operator_is_not_sent(self, shop: Shop) -> None:
        runs = strategy(steps=TWO_STEPS, method={"inDoubt": "pause"})
        shop.ports.strategies.add(runs)
        shop.failures.left = {"append": 1000}
        shop.run()
        shop.failures.left = {"secrets": 1}
        shop.later()

        assert shop.calls == ["1"]
        assert shop.instance.status is InstanceStatus.PAUSED


class TestAClaimWithoutAReply:
    """A claim whose write failed may be stored all the same."""

    def test_a_stored_claim_is_given_back(self, shop: Shop) -> None:
        shop.failures.left, shop.failures.lost = {"commit": 1}, frozenset({"commit"})
        assert shop.run() == 0
        shop.later()
        assert shop.calls == ["1", "2"]
        assert not shop.store.records[shop.sid, 1].in_doubt

    def test_a_claim_that_is_not_stored_is_raised(self, shop: Shop) -> None:
        before = shop.instance
        shop.failures.left = {"commit": 1}
        with pytest.raises(OverloadedError):
            shop.run()
        assert (shop.instance, shop.clock.at) == (before, NOON)


class TestGivingBackUnderOverload:
    """A runner tries to give its claim back until its time is up, or until the window for crashes has passed."""

    def test_giving_back_ends_shortly_before_the_time_is_up(self, shop: Shop) -> None:
        shop.failures.left = {"put_record": 10_000}
        append = shop.store.append

        def overload(instance: Instance, entry: JournalEntry) -> None:
            append(instance, entry)
            shop.failures.left["commit"] = 10_000

        shop.store.append = overload  # type: ignore[method-assign]
        with pytest.raises(OverloadedError):
            shop.run(seconds=200)
        assert NOON + timedelta(seconds=189) <= shop.clock.at <= NOON + timedelta(seconds=195)

    def test_giving_back_ends_when_the_lease_counts_no_crash(self, shop: Shop) -> None:
        shop.failures.left = {"put_record": 10_000}
        append = shop.store.append

        def overload(instance: Instance, entry: JournalEntry) -> None:
            append(instance, entry)
            shop.failures.left["commit"] = 10_000

        shop.store.append = overload  # type: ignore[method-assign]
        with pytest.raises(OverloadedError):
            shop.run()
        assert shop.instance.lease is not None
        late = shop.clock.at - shop.instance.lease.until
        assert timedelta(minutes=4, seconds=55) <= late <= timedelta(minutes=5)

    def test_a_claim_of_an_instance_that_is_gone_is_left(self, shop: Shop) -> None:
        gone = replace(shop.instance, sid=InstanceSid("gone"))
        assert give_back(shop.ports, strategy(), gone, UNDO, time_left=timedelta(minutes=1)) is None

    def test_a_race_is_decided_again(self, shop: Shop) -> None:
        commit, seen = shop.store.commit, list[int]()

        def lose_second(instance: Instance, **beside: Any) -> None:
            seen.append(instance.rev)
            if len(seen) == 2:
                raise StaleRevError
            commit(instance, **beside)

        shop.store.commit = lose_second  # type: ignore[method-assign]
        shop.failures.left = {"flags": 1}
        shop.run()
        assert len(seen) == 3
        assert shop.instance.lease is not None
        assert shop.instance.lease.given_back is not None

    def test_a_race_without_end_is_raised(self, shop: Shop) -> None:
        commit, seen = shop.store.commit, list[int]()

        def lose_all_but_the_claim(instance: Instance, **beside: Any) -> None:
            seen.append(instance.rev)
            if len(seen) > 1:
                raise StaleRevError
            commit(instance, **beside)

        shop.store.commit = lose_all_but_the_claim  # type: ignore[method-assign]
        shop.failures.left = {"flags": 1}
        with pytest.raises(ContentionError, match="given back"):
            shop.run()

    def test_a_claim_that_another_command_ended_is_left(self, shop: Shop) -> None:
        put, killed = shop.store.put_record, list[bool]()

        def kill_first(instance: Instance, record: EventRecord) -> None:
            if not killed:
                killed.append(True)
                control(shop.ports, shop.sid, Cancel(by=Actor(name="ann"), kill=True))
                shop.failures.left = {"put_record": 1000}
            put(instance, record)

        shop.store.put_record = kill_first  # type: ignore[method-assign]
        assert shop.run() == 1
        assert shop.instance.status is InstanceStatus.CANCELED
        assert shop.instance.lease is None
