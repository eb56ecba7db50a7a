"""An item becomes unreadable while a run executes. It is no crash, and no call is in doubt that was not sent."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from dev.memory.limits import MemoryLimits
from shared.application.control import control
from shared.application.ports import LimitAttempt, SealBrokenError
from shared.application.runner.loop import run_due_events
from shared.domain.errors import StoredShapeError
from shared.domain.ids import AccountId, StrategySid
from shared.domain.instance.event import EventStatus
from shared.domain.instance.model import InstanceStatus
from shared.domain.lifecycle.commands import Migrate
from shared.domain.limits.state import LimitChange, LimitState
from shared.domain.steps.call import Answered, CallOutcome, ServiceRequest
from shared.domain.strategy.model import Json, Strategy
from tests.application.lives import START, Life
from tests.application.runner.limited import limited
from tests.application.runner.test_unreadable_flags import ANN, FOUR_MINUTES, NOON, Shop, UnreadableFlags
from tests.lifecycle_factories import strategy

TWO_STEPS: Json = [
    {"key": "call", "action": "post", "nextStep": "next"},
    {"key": "next", "action": "post"},
]
POLICIES = pytest.mark.parametrize("policy", ["retry", "fail", "pause"])


class UnreadableVersions(UnreadableFlags):
    """Strategies of which the second version cannot be read for a while."""

    is_second_readable: bool = True

    def load(self, sid: StrategySid, version: int) -> Strategy:
        if version == 2 and not self.is_second_readable:
            raise SealBrokenError("another key")
        return super().load(sid, version)


def a_shop(policy: str) -> Shop:
    return Shop(strategy(steps=TWO_STEPS, method={"inDoubt": policy}))


def meanwhile(shop: Shop, *happens: Callable[[], object]) -> None:
    """Let something happen during each of the next calls."""
    left = list(happens)

    def call(request: ServiceRequest) -> CallOutcome:
        shop.calls.append(request.call_key)
        if left:
            left.pop(0)()
        return Answered(status=200, body={"id": "1"})

    shop.call = call  # type: ignore[method-assign]


def assert_done(shop: Shop) -> None:
    """Assert that both steps were called once, and nothing is in doubt."""
    assert shop.calls == [f"{shop.sid}-1-1-1", f"{shop.sid}-1-1-2"]
    record = shop.store.records[shop.sid, 1]
    assert (record.event.status, record.in_doubt) == (EventStatus.PROCESSED, False)
    assert shop.instance.status is InstanceStatus.ACTIVE


class TestFlags:
    """What was read after the claim holds for the run: a late run reads no flags again."""

    @POLICIES
    def test_a_renewal_of_a_late_run_does_not_depend_on_them(self, policy: str) -> None:
        shop = a_shop(policy)
        shop.clock.at = NOON + FOUR_MINUTES

        def happens() -> None:
            shop.clock.at += timedelta(seconds=100)
            shop.flags.is_readable = False

        meanwhile(shop, happens)

        shop.run()

        assert_done(shop)


class TestTheVersionOfTheInstance:
    """The event is bound to a version, and its instance was migrated to one that cannot be read when the run ends."""

    def migrated(self, policy: str) -> tuple[Shop, UnreadableVersions]:
        shop = a_shop(policy)
        second = strategy(steps=TWO_STEPS, method={"inDoubt": policy}, version=2)
        versions = UnreadableVersions(
            access=shop.ports.access, heads=shop.flags.heads, strategies=shop.flags.strategies
        )
        versions.add(second)
        shop.ports.strategies = versions

        def breaks() -> None:
            versions.is_second_readable = False

        meanwhile(shop, lambda: control(shop.ports, shop.sid, Migrate(to=second, by=ANN)), breaks)
        return shop, versions

    @POLICIES
    def test_the_last_answer_is_kept(self, policy: str) -> None:
        shop, versions = self.migrated(policy)

        with pytest.raises(SealBrokenError):
            shop.run()

        assert len(shop.calls) == 2
        event, lease = shop.instance.executing, shop.instance.lease
        assert event is not None
        assert lease is not None
        assert (event.progress.crashes, event.in_doubt) == (0, False)
        assert lease.given_back is not None
        versions.is_second_readable = True
        shop.run_again()
        assert_done(shop)

    def test_it_waits_for_as_long_as_the_version_cannot_be_read(self) -> None:
        shop, versions = self.migrated("fail")
        with pytest.raises(SealBrokenError):
            shop.run()
        for _ in range(6):
            shop.clock.at += timedelta(minutes=10)
            with pytest.raises(SealBrokenError):
                shop.run()

        versions.is_second_readable = True
        shop.run()

        assert_done(shop)


class NewerLimits(MemoryLimits):
    """The state of a limit that a newer version of the code wrote."""

    is_readable: bool = False

    def load(self, account: AccountId, origin: str) -> LimitState:
        if not self.is_readable:
            raise StoredShapeError("an item has schema 99 instead of 1")
        return super().load(account, origin)

    def change(self, account: AccountId, origin: str, change: LimitChange) -> LimitAttempt:
        if not self.is_readable:
            raise StoredShapeError("an item has schema 99 instead of 1")
        return super().change(account, origin, change)

    def try_change(self, account: AccountId, origin: str, change: LimitChange) -> LimitAttempt | None:
        return self.change(account, origin, change) if self.is_readable else None


class TestTheStateOfALimit:
    """A call under a limit whose state cannot be read is not sent, and the invocation fails, so that it is noticed."""

    def run(self, life: Life) -> int:
        clock = life.ports.clock
        ends = clock.at + timedelta(minutes=15)
        return run_due_events(life.ports, life.sid, job="job", time_left=lambda: ends - clock.at)

    def test_the_event_waits_and_is_not_set_aside(self) -> None:
        states = NewerLimits()
        states.is_readable = True
        life = Life(limited(), to="2026-01-01T11:59", limits=lambda _: states)
        life.ports.clock.at, states.is_readable = START, False
        for _ in range(8):
            with pytest.raises(StoredShapeError):
                self.run(life)
            lease = life.instance.lease
            assert lease is not None
            assert lease.given_back is not None
            life.ports.clock.at = lease.until
        assert life.shop.requests == []

        states.is_readable = True
        self.run(life)

        (record,) = life.ports.instances.records.values()
        assert (record.event.status, record.in_doubt, len(life.shop.requests)) == (
            EventStatus.PROCESSED,
            False,
            1,
        )
