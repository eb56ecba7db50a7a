"""Answers and migrations with concurrent writers."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from dev.memory.stores import MemoryInstances
from dev.memory.world import ManualClock, MemoryPorts
from shared.application.answer_event import SentAnswer, answer_event
from shared.application.commit import MAX_RACES, ContentionError
from shared.application.control import control
from shared.application.migrate import migrate_instance
from shared.application.runner.loop import run_due_events
from shared.application.start import StartInstance, start_instance
from shared.domain.ids import CorrelationId, InstanceSid
from shared.domain.instance.model import Instance
from shared.domain.instance.replay import position
from shared.domain.instance.run import Intent
from shared.domain.instance.verdict import Actor, Applied
from shared.domain.lifecycle.commands import Pause
from shared.domain.steps.call import CallOutcome, ServiceRequest
from tests.lifecycle_factories import at, strategy
from tests.simulation.stories import declined

ANN = Actor(name="ann")
NOON = at("2026-01-31T12:00")


class Raced(MemoryInstances):
    """A store in which another writer is faster ``races`` times; it changes a description."""

    races: int = 0
    loads: int = 0

    def load(self, sid: InstanceSid) -> Instance | None:
        self.loads += 1
        return MemoryInstances.load(self, sid)

    def commit(self, instance: Instance, **beside: object) -> None:
        if self.races:
            self.races -= 1
            found = self.instances[instance.sid]
            self.instances[instance.sid] = replace(found, rev=found.rev + 1, description=f"{self.races}")
        MemoryInstances.commit(self, instance, **beside)  # type: ignore[arg-type]


def a_world() -> tuple[MemoryPorts, Raced, InstanceSid]:
    """Return an instance of a strategy with two versions, whose first event waits for an answer."""
    ports = MemoryPorts(caller=_Services(), clock=ManualClock(NOON))
    ports.instances = Raced()
    first = strategy(method={"async": True})
    for version in (1, 2):
        ports.strategies.add(replace(first, version=version))
    sid = start_instance(ports, first, StartInstance(strategy_id="shop", attributes={})).instance.sid
    run_due_events(ports, sid, job="job", time_left=lambda: timedelta(minutes=15))
    return ports, ports.instances, sid


class _Services:
    def call(self, request: ServiceRequest) -> CallOutcome:
        return declined(0)(request)


def sent(ports: MemoryPorts, sid: InstanceSid) -> SentAnswer:
    instance = ports.instances.load(sid)
    assert instance is not None
    then = position(ports.instances.event_history(sid, 1), instance.events[0])
    assert isinstance(then, Intent)
    return SentAnswer(correlation_id=then.correlation_id, key="k", by=ANN, body={})


class TestAnAnswer:
    """An answer is taken after lost races, up to a maximum number."""

    def test_an_answer_is_taken_after_lost_races(self) -> None:
        ports, store, sid = a_world()
        store.races = MAX_RACES - 1
        assert isinstance(answer_event(ports, sid, 1, sent(ports, sid)), Applied)
        assert len(store.answers) == 1

    def test_an_answer_that_loses_every_race_raises(self) -> None:
        ports, store, sid = a_world()
        store.races = MAX_RACES
        with pytest.raises(ContentionError):
            answer_event(ports, sid, 1, sent(ports, sid))

    def test_an_answer_to_an_unknown_event_is_none(self) -> None:
        ports, _, sid = a_world()
        unknown = replace(sent(ports, sid), correlation_id=CorrelationId("i9-1.x"))
        assert answer_event(ports, InstanceSid("i9"), 1, unknown) is None
        assert answer_event(ports, sid, 7, unknown) is None


class TestAClaim:
    """If a claim loses a race, its runner loads the instance again, and claims the event that is due then."""

    def test_a_claim_after_a_lost_race_runs_the_event(self) -> None:
        ports, store, sid = a_world()
        answer_event(ports, sid, 1, sent(ports, sid))
        store.races = 1

        claims = run_due_events(ports, sid, job="job", time_left=lambda: timedelta(minutes=15))

        assert (claims, store.instances[sid].description) == (1, "0")
        assert store.records[sid, 1].event.status == "PROCESSED"


class TestAnInstanceThatTheCallerHasLoaded:
    """The loaded instance is decided on first, and loaded again only after a lost race."""

    def test_a_command_loads_nothing_if_no_other_writer_is_faster(self) -> None:
        ports, store, sid = a_world()
        known = store.load(sid)
        store.loads = 0
        assert isinstance(control(ports, sid, Pause(by=ANN), known=known), Applied)
        assert store.loads == 0

    def test_a_command_decides_again_after_a_lost_race(self) -> None:
        ports, store, sid = a_world()
        known = store.load(sid)
        store.races, store.loads = 1, 0
        assert isinstance(control(ports, sid, Pause(by=ANN), known=known), Applied)
        assert (store.instances[sid].status, store.instances[sid].description) == ("PAUSED", "0")
        # One to see that it was no lost reply, one to decide on.
        assert store.loads == 2

    def test_an_answer_and_a_migration_begin_with_the_loaded_instance(self) -> None:
        ports, store, sid = a_world()
        answer, known = sent(ports, sid), store.load(sid)
        store.loads = 0
        assert isinstance(answer_event(ports, sid, 1, answer, known=known), Applied)
        known = store.instances[sid]
        found = migrate_instance(ports, sid, 2, by=ANN, dry_run=False, known=known)
        assert found is not None
        assert isinstance(found.verdict, Applied)
        assert store.loads == 0


class TestAMigration:
    """A migration and its preview are decided again after lost races, up to a maximum number."""

    def test_a_migration_is_stored_after_lost_races(self) -> None:
        ports, store, sid = a_world()
        store.races = MAX_RACES - 1
        found = migrate_instance(ports, sid, 2, by=ANN, dry_run=False)
        assert found is not None
        assert isinstance(found.verdict, Applied)
        assert store.instances[sid].strategy_version == 2

    def test_a_migration_that_loses_every_race_raises(self) -> None:
        ports, store, sid = a_world()
        store.races = MAX_RACES
        with pytest.raises(ContentionError):
            migrate_instance(ports, sid, 2, by=ANN, dry_run=False)
        assert store.instances[sid].strategy_version == 1

    def test_a_migration_of_an_unknown_instance_is_none(self) -> None:
        ports, _, _ = a_world()
        assert migrate_instance(ports, InstanceSid("i9"), 2, by=ANN, dry_run=False) is None
