"""A step that is not executed because of a race is still the same step: what is in doubt about its call stays so."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from dev.memory.stores import MemoryInstances, MemoryStrategies
from shared.application.answer_event import SentAnswer, answer_event
from shared.application.control import control
from shared.application.ports import SealBrokenError
from shared.domain.ids import AccountId, StrategySid
from shared.domain.instance.event import EventStatus, PausedFor
from shared.domain.instance.flags import Flags
from shared.domain.instance.journal import JournalEntry
from shared.domain.instance.model import Instance, InstanceStatus
from shared.domain.instance.run import Intent
from shared.domain.instance.verdict import Applied
from shared.domain.lifecycle.commands import Command, Migrate, Pause, Resume
from shared.domain.steps.call import Answered, CallOutcome, ServiceRequest, TimedOut
from tests.application.runner.test_late_answers import DiedError
from tests.application.runner.test_unreadable_flags import ANN, Shop
from tests.application.runner.test_unreadable_midway import POLICIES, TWO_STEPS, UnreadableVersions
from tests.lifecycle_factories import strategy


class Hooked(MemoryInstances):
    """A store in which ``before_commit`` and ``after_append`` happen."""

    before_commit: Callable[[Instance], object] = staticmethod(lambda _: None)
    after_append: Callable[[], object] = staticmethod(lambda: None)

    def commit(self, instance: Instance, **beside: Any) -> None:
        self.before_commit(instance)
        super().commit(instance, **beside)

    def append(self, instance: Instance, entry: JournalEntry) -> None:
        super().append(instance, entry)
        self.after_append()


def hooked(of: MemoryInstances) -> Hooked:
    """Return a store with the same content."""
    return Hooked(
        instances=of.instances, journal=of.journal, records=of.records, answers=of.answers, audit=of.audit
    )


class TestAResumeBeforeTheStop:
    """A runner has taken over a call in doubt. It is paused, and resumed just before it would have stopped."""

    def raced(self, policy: str) -> Shop:
        shop = Shop(strategy(steps=TWO_STEPS, method={"inDoubt": policy}))

        def call(request: ServiceRequest) -> CallOutcome:
            shop.calls.append(request.call_key)
            if len(shop.calls) == 2:
                raise DiedError
            return Answered(status=200, body={"id": "1"})

        shop.call = call  # type: ignore[method-assign]
        with pytest.raises(DiedError):
            shop.run()
        store = hooked(shop.store)
        commands: list[Command] = [Pause(by=ANN), Resume(by=ANN)]

        def pause() -> None:
            if len(commands) == 2:
                control(shop.ports, shop.sid, commands.pop(0))

        def resume(_: Instance) -> None:
            if len(commands) == 1 and store.instances[shop.sid].status is InstanceStatus.PAUSED:
                control(shop.ports, shop.sid, commands.pop(0))

        store.after_append, store.before_commit = pause, resume
        shop.ports.instances = store
        lease = shop.instance.lease
        assert lease is not None
        shop.clock.at = lease.until + timedelta(seconds=30)
        shop.run()
        assert commands == []
        return shop

    def test_the_event_pauses_in_doubt(self) -> None:
        shop = self.raced("pause")

        assert len(shop.calls) == 2
        (event,) = (one for one in shop.instance.events if one.seq == 1)
        assert (event.in_doubt, event.paused_for) == (True, PausedFor.IN_DOUBT)

    def test_the_attempt_fails(self) -> None:
        shop = self.raced("fail")

        assert len(shop.calls) == 2
        record = shop.store.records[shop.sid, 1]
        assert (record.event.status, record.in_doubt) == (EventStatus.FAILED, True)

    def test_the_repeated_call_is_marked(self) -> None:
        shop = self.raced("retry")

        assert shop.calls == [f"{shop.sid}-1-1-{visit}" for visit in (1, 2, 2)]
        record = shop.store.records[shop.sid, 1]
        assert record.in_doubt
        assert record.last is not None
        assert record.last.intent.repeat


class TestAnEndThatCannotBeDecided:
    """A call got no answer, and the version to which its instance was migrated meanwhile cannot be read."""

    @POLICIES
    def test_the_call_stays_in_doubt(self, policy: str) -> None:
        shop = Shop(strategy(steps=TWO_STEPS, method={"inDoubt": policy}))
        second = strategy(steps=TWO_STEPS, method={"inDoubt": policy}, version=2)
        versions = UnreadableVersions(
            access=shop.ports.access, heads=shop.flags.heads, strategies=shop.flags.strategies
        )
        versions.add(second)
        shop.ports.strategies = versions

        def call(request: ServiceRequest) -> CallOutcome:
            shop.calls.append(request.call_key)
            if len(shop.calls) > 1:
                return Answered(status=200, body={"id": "1"})
            control(shop.ports, shop.sid, Migrate(to=second, by=ANN))
            versions.is_second_readable = False
            return TimedOut(why="no answer")

        shop.call = call  # type: ignore[method-assign]
        with pytest.raises(SealBrokenError):
            shop.run()
        versions.is_second_readable = True
        shop.run_again()

        marked = [event.in_doubt for event in shop.instance.events if event.seq == 1]
        marked += [record.in_doubt for (_, seq), record in shop.store.records.items() if seq == 1]
        assert marked == [True]
        assert len(shop.calls) == 1


class SlowFlags(MemoryStrategies):
    """Flags that take so long to be read that the lease must be renewed after them."""

    slow: Callable[[], object] = staticmethod(lambda: None)

    def flags(self, account: AccountId, strategy: StrategySid) -> Flags:
        self.slow()
        return super().flags(account, strategy)


class TestAnAnswerBeforeTheRenewal:
    """The answer to a call in doubt arrives while the lease is renewed for its repeat."""

    def test_the_call_is_not_repeated(self) -> None:
        shop = Shop(strategy(method={"async": True}))

        def deadly(request: ServiceRequest) -> CallOutcome:
            shop.calls.append(request.call_key)
            raise DiedError

        shop.call = deadly  # type: ignore[method-assign]
        with pytest.raises(DiedError):
            shop.run()
        lease, claimed = shop.instance.lease, shop.instance.executing
        assert lease is not None
        assert claimed is not None
        first = claimed.progress.first_action
        assert isinstance(first, Intent)
        sent = SentAnswer(correlation_id=first.correlation_id, key="k", by=ANN, body={})
        store = hooked(shop.store)
        slow = SlowFlags(access=shop.ports.access, heads=shop.flags.heads, strategies=shop.flags.strategies)

        def passes() -> None:
            shop.clock.at += timedelta(seconds=130)
            store.before_commit = answered

        def answered(_: Instance) -> None:
            store.before_commit = lambda _: None
            assert isinstance(answer_event(shop.ports, shop.sid, 1, sent), Applied)

        slow.slow = passes
        shop.ports.instances, shop.ports.strategies = store, slow
        shop.clock.at = lease.until + timedelta(seconds=10)

        shop.run()

        assert len(shop.calls) == 1
        assert store.records[shop.sid, 1].event.status is EventStatus.PROCESSED
