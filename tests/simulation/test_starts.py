"""Customers who are started while everything goes wrong. Each request is repeated with its key until it is answered."""

import random
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from msgspec.structs import replace

import shared.application.start
from shared.application.commit import ContentionError
from shared.application.ports import StaleRevError, UnavailableError
from shared.application.start import ReferenceTakenError, Repeatable, StartInstance, start_instance
from shared.domain.ids import InstanceSid
from shared.domain.instance.event import EventStatus
from tests.simulation.faults import BrownOut, Faults
from tests.simulation.town import NINE, Town, after_nine, orders, town
from tests.simulation.town_laws import assert_town_lawful, orders_of

TRIES = 4
CUSTOMERS = 8
IN_THE_MORNING = NINE - timedelta(minutes=2)


@dataclass(slots=True)
class Reception:
    """Clients who start customers. ``answers`` are the sids that were answered, by key of the request."""

    there: Town
    answers: defaultdict[str, set[InstanceSid]] = field(default_factory=lambda: defaultdict(set))
    refused: defaultdict[str, set[InstanceSid]] = field(default_factory=lambda: defaultdict(set))

    def start(self, key: str, *, reference: str | None = None) -> None:
        """Let a client send a request, and again at once if it has no answer. The client may crash."""
        world = self.there.world
        asked = StartInstance(
            strategy_id="orders",
            attributes={},
            start_date=NINE,
            repeatable=Repeatable(key=key, body_hash=key),
            reference=reference,
        )

        def client() -> None:
            for _ in range(TRIES):
                try:
                    started = start_instance(world, world.strategy, asked)
                except (UnavailableError, StaleRevError, ContentionError):
                    world.sleep(0.5)
                except ReferenceTakenError as error:
                    self.refused[key].add(error.holder)
                    return
                else:
                    self.answers[key].add(started.instance.sid)
                    return

        world.do(f"start {key}", client)

    def insist(self, key: str, *, reference: str | None = None) -> None:
        """Repeat a request until it is answered."""
        for _ in range(50):
            if self.answers[key] or self.refused[key]:
                return
            self.start(key, reference=reference)
            self.there.settle(seconds=1)
        raise AssertionError(f"{key} was never answered")


def reception(faults: Faults, *, unique: bool = False) -> Reception:
    """Return a reception in the minutes before nine, in a town without customers."""
    there = town(faults, healthy=0, shards=4)
    world = there.world
    if unique:
        definition = replace(world.strategy.definition, unique_reference=True)
        world.strategy = replace(orders("s-east"), definition=definition)
    world.now_at = IN_THE_MORNING
    return Reception(there)


def assert_each_started_once(at: Reception, keys: list[str], *, days: int) -> None:
    """Assert that each request started one customer, who has run every order, and that no others were started."""
    there = at.there
    for key in keys:
        assert len(at.answers[key]) == 1, f"{key} was answered {sorted(at.answers[key])}"
    sids = {sid for key in keys for sid in at.answers[key]}
    assert set(there.world.store.instances) == sids
    assert_town_lawful(there)
    for sid in sids:
        statuses = [record.event.status for record in orders_of(there, sid)]
        assert statuses == [EventStatus.PROCESSED] * days, f"{sid}: {statuses}"


def calm() -> Faults:
    return Faults(rng=random.Random(1), until=10_000)


def points_of_a_start() -> int:
    at = reception(calm())
    at.start("k")
    at.there.world.rest()
    return at.there.world.faults.points


POINTS = points_of_a_start()


class TestACrash:
    """A start that crashes at any point is made up for by its repeat, or without one by the sweeper."""

    def test_a_start_loads_stores_and_schedules(self) -> None:
        assert POINTS >= 4

    @pytest.mark.parametrize("at_point", range(1, POINTS + 1))
    def test_the_repeated_request_starts_one_customer(self, at_point: int) -> None:
        at = reception(Faults(rng=random.Random(1), kill_at=frozenset({at_point})))
        at.start("k")
        at.there.settle(seconds=10)

        at.insist("k")
        at.there.world.run_until(after_nine(2, hours=3))

        assert_each_started_once(at, ["k"], days=2)

    @pytest.mark.parametrize("at_point", range(1, POINTS + 1))
    def test_a_customer_who_was_stored_runs_without_a_repeat(self, at_point: int) -> None:
        at = reception(Faults(rng=random.Random(1), kill_at=frozenset({at_point})))
        at.start("k")
        at.there.world.run_until(after_nine(2, hours=3))

        for sid in at.there.world.store.instances:
            assert len(orders_of(at.there, sid)) == 2
        assert_town_lawful(at.there)


class TestAnUnavailableStore:
    """A start whose write was refused, or only its reply lost, is repeated and starts one customer."""

    @pytest.mark.parametrize("label", ["load", "create", "created", "arm"])
    @pytest.mark.parametrize("spared", [0.0, 0.5])
    def test_one_customer_is_started(self, label: str, spared: float) -> None:
        at = reception(calm())
        world = at.there.world
        world.brown_out = BrownOut(
            random.Random(7), frozenset({label}), lasts=timedelta(seconds=30), spared=spared
        )
        for _ in range(5):
            at.start("k")
            at.there.settle(seconds=1)

        at.there.settle(minutes=1)
        at.insist("k")
        world.run_until(after_nine(2, hours=3))

        assert spared or world.failures_met > 0
        assert_each_started_once(at, ["k"], days=2)


class TestEverythingAtOnce:
    """Crashes, lost replies and doubled requests at the same moment start each customer once."""

    def faults(self, seed: int) -> Faults:
        return Faults(
            rng=random.Random(seed),
            until=1500,
            kill=0.05,
            stall=0.02,
            longest_stall=90,
            lost_any_reply=0.2,
            lost_wakeup=0.2,
            double_wakeup=0.2,
            pace=random.Random(seed).choice([0.1, 1.0]),
        )

    def be_calm(self, at: Reception) -> None:
        """End all faults, and let two days pass."""
        at.there.world.faults.until = 0
        at.there.world.run_until(after_nine(2, hours=3))

    def test_each_key_starts_one_customer(self, seed: int) -> None:
        at = reception(self.faults(seed))
        keys = [f"k-{number}" for number in range(CUSTOMERS)]
        rng = random.Random(seed)
        for key in rng.choices(keys, k=3 * CUSTOMERS):
            at.start(key)
            if rng.random() < 0.5:
                at.there.settle(seconds=rng.choice([0.1, 2, 30]))

        for key in keys:
            at.insist(key)
        self.be_calm(at)

        assert_each_started_once(at, keys, days=2)

    def test_each_reference_has_one_customer(self, seed: int) -> None:
        """Two systems start the same customers, each under keys of its own."""
        at = reception(self.faults(seed), unique=True)
        rng = random.Random(seed)
        pairs = [(f"{system}-{number}", f"r-{number}") for number in range(CUSTOMERS) for system in "ab"]
        for key, reference in rng.choices(pairs, k=3 * CUSTOMERS):
            at.start(key, reference=reference)
            if rng.random() < 0.5:
                at.there.settle(seconds=rng.choice([0.1, 2, 30]))

        for key, reference in pairs:
            at.insist(key, reference=reference)
        self.be_calm(at)

        started = [key for key, _ in pairs if at.answers[key]]
        assert_each_started_once(at, started, days=2)
        references = [instance.origin.reference for instance in at.there.world.store.instances.values()]
        assert sorted(map(str, references)) == [f"r-{number}" for number in range(CUSTOMERS)]
        for key, reference in pairs:
            for holder in at.refused[key]:
                assert at.there.world.store.instances[holder].origin.reference == reference


class TestARemovedGuardIsCaught:
    """Each of these guards alone keeps a customer from being started twice, or not at all."""

    def caught(self) -> str:
        """Return the message of the first law that fails."""
        everything = TestEverythingAtOnce()
        for seed in range(1, 20):
            for story in (
                everything.test_each_key_starts_one_customer,
                everything.test_each_reference_has_one_customer,
            ):
                try:
                    story(seed)
                except AssertionError as error:
                    return str(error)
        return ""

    def test_a_sid_that_does_not_follow_from_the_key_is_caught(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(
            shared.application.start, "_sid", lambda ports, _account, _request: ports.ids.instance_sid()
        )

        assert "was answered" in self.caught() or "assert {" in self.caught()
