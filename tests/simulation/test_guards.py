"""Each guard of the protocol is removed once, and its absence must be noticed.

A simulation that cannot fail proves nothing. Lease and refencing, which random faults test too seldom, have their
stories in ``test_stalls.py``.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

import shared.application.commit
import shared.application.runner.progress
import shared.domain.instance.due
import shared.domain.lifecycle.claim
import shared.domain.lifecycle.takeover
import shared.domain.steps.classify
import shared.domain.steps.cursor
from dev.memory.stores import MemoryAccess, MemoryStrategies
from shared.domain.ids import AccountId, StrategySid
from shared.domain.instance.flags import Flags
from shared.domain.instance.journal import EventHistory, EventRecord, JournalEntry
from shared.domain.instance.model import Instance
from shared.domain.instance.run import Certainty, Intent
from shared.domain.instance.verdict import AuditEntry
from shared.domain.steps.call import ServiceRequest
from shared.domain.steps.classify import AnswerClass, certainty_of
from tests.simulation.laws import only_instance
from tests.simulation.services import calls_to
from tests.simulation.stories import declined, gym_world, join
from tests.simulation.storms import CALM, assert_lawful, storm
from tests.simulation.test_anything import BEGUN, a_story, live_until
from tests.simulation.watch import OneKeyAtATime, Watch
from tests.simulation.world import World

MAX_SEEDS = 200


def stormy_end(seed: int, sabotage: Callable[[World], None]) -> World:
    """Run many faults, with two extra runners a day, on a world that was sabotaged."""
    world = storm(seed, stall=0.15, double_wakeup=0.9)
    sabotage(world)
    for day in range(12):
        world.run_until(datetime(2026, 2, 26, tzinfo=UTC) + timedelta(days=day, hours=8))
        world.run(only_instance(world).sid)
        world.run(only_instance(world).sid)
    world.run_until(datetime(2026, 4, 5, tzinfo=UTC))
    return world


def caught(sabotage: Callable[[World], None]) -> str:
    """Return the message of the first invariant that fails."""
    for seed in range(1, MAX_SEEDS + 1):
        try:
            assert_lawful(stormy_end(seed, sabotage))
        except AssertionError as error:
            return str(error) or "a law was broken"
    return ""


def untouched(_: World) -> None:
    """Leave the world as it is."""


class TestARemovedGuardIsCaught:
    """Each of these guards alone prevents a wrong history."""

    def test_an_unchanged_world_fails_no_invariant(self) -> None:
        for seed in range(1, 41):
            assert_lawful(stormy_end(seed, untouched))

    def test_commits_without_a_check_of_the_rev_are_caught(self) -> None:
        def sabotage(world: World) -> None:
            store = world.store

            def commit(
                instance: Instance,
                *,
                records: Sequence[EventRecord] = (),
                audit: AuditEntry | None = None,
                reopened: EventRecord | None = None,
            ) -> None:
                for watch in world.commit_watchers:
                    watch(instance)
                assert reopened is None
                store._store(instance, records)
                world.show(instance)
                assert audit is None or audit.target == instance.sid

            world.commit = commit  # type: ignore[method-assign]

        assert caught(sabotage)

    def test_journal_entries_without_a_fence_are_caught(self) -> None:
        def sabotage(world: World) -> None:
            def append(instance: Instance, entry: JournalEntry) -> None:
                world.io("append")
                world.store.journal[instance.sid, entry.seq, entry.run, entry.intent.visit] = entry
                world.io("appended")

            world.append = append  # type: ignore[method-assign]

        assert caught(sabotage)

    def test_records_stored_after_the_instance_are_caught(self) -> None:
        def sabotage(world: World) -> None:
            def put_record(instance: Instance, record: EventRecord) -> None:
                world.io(f"put_record {instance.sid} {record.event.seq}")

            world.put_record = put_record  # type: ignore[method-assign]

        assert caught(sabotage)

    def test_an_unchecked_fence_is_caught(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fenceless(instance: Instance, seq: int, _fence: int) -> bool:
            return instance.lease is not None and instance.lease.seq == seq

        monkeypatch.setattr(Instance, "is_claimed", fenceless)

        assert caught(untouched)

    def test_retries_under_a_new_key_are_caught(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(shared.domain.steps.cursor, "open_sending", lambda *_: None)

        assert "took effect" in caught(untouched)

    @pytest.mark.parametrize("kind", [AnswerClass.UNKNOWN, AnswerClass.REFUSED_FOR_NOW, AnswerClass.NOT_SENT])
    def test_a_new_key_after_an_answer_that_is_not_definite_is_caught(
        self, monkeypatch: pytest.MonkeyPatch, kind: AnswerClass
    ) -> None:
        def careless(found: AnswerClass, intent: Intent) -> Certainty:
            return Certainty.DEFINITE if found is kind else certainty_of(found, intent)

        monkeypatch.setattr(shared.domain.steps.classify, "certainty_of", careless)
        caught_by_key = ""
        for seed in range(1, MAX_SEEDS + 1):
            world, rng = a_story(seed)
            try:
                live_until(world, rng, BEGUN + timedelta(days=12))
            except AssertionError as error:
                caught_by_key = str(error)
                break

        assert "is not known" in caught_by_key

    def test_directives_lost_in_a_crash_are_caught(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(shared.domain.lifecycle.takeover, "unapplied", lambda *_: ())

        assert caught(untouched)

    def test_replays_without_a_journal_are_caught(self) -> None:
        def sabotage(world: World) -> None:
            world.event_history = lambda *_: EventHistory()  # type: ignore[method-assign]

        assert caught(sabotage)

    def test_a_missing_sweeper_is_caught(self) -> None:
        def sabotage(world: World) -> None:
            world.sweeper = False

        assert caught(sabotage)

    def test_unchecked_flags_are_caught(self) -> None:
        world = storm(1)
        world.flags = Blind(access=MemoryAccess(paused_queues={world.strategy.account_id}))

        with pytest.raises(AssertionError, match="paused before the claim"):
            world.run_until(CALM)


class Blind(MemoryStrategies):
    """A store that reports no flag."""

    def flags(self, _account: AccountId, _strategy: StrategySid) -> Flags:
        return Flags()


def test_storms_are_watched() -> None:
    """The watch of a storm objects to a claim on a stopped instance."""
    world = storm(1)
    assert any(isinstance(getattr(watch, "__self__", None), Watch) for watch in world.commit_watchers)


class TestOneKeyAtATime:
    """The watch for second keys objects exactly if the result of the first one is not stored."""

    def charged(self) -> tuple[World, ServiceRequest]:
        """Return a gym after its first charge, and the same call in another run."""
        world = gym_world()
        world.answers = declined(0)
        join(world)
        world.run_until(datetime(2026, 3, 5, tzinfo=UTC))
        first = calls_to(world.ledger, "/charges")[0]
        event, _, visit = first.key.rsplit("-", 2)
        again = ServiceRequest(
            method=first.method,
            url=first.url,
            headers={},
            params={},
            body=None,
            timeout_seconds=1,
            call_key=f"{event}-99-{visit}",
        )
        return world, again

    def test_a_second_key_after_a_stored_result_passes(self) -> None:
        world, again = self.charged()

        OneKeyAtATime(world).called(again)

    def test_a_second_key_before_the_result_is_stored_is_caught(self) -> None:
        world, again = self.charged()
        world.store.journal.clear()

        with pytest.raises(AssertionError, match="is not known"):
            OneKeyAtATime(world).called(again)

    def test_a_repetition_under_the_same_key_passes(self) -> None:
        world, again = self.charged()
        world.store.journal.clear()

        OneKeyAtATime(world).called(replace(again, call_key=calls_to(world.ledger, "/charges")[0].key))
