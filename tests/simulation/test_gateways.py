"""Services that act behind a failing gateway, and services that allow a few calls a minute."""

import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest

import shared.domain.steps.cursor
from shared.domain.instance.event import EventStatus, PausedFor
from shared.domain.steps.call import Answered, CallOutcome, ServiceRequest
from tests.simulation.faults import GATEWAY_ERRORS, Faults
from tests.simulation.laws import assert_effect_at_most_once, one_of
from tests.simulation.town import PATHS, Town, after_nine, town
from tests.simulation.town_laws import (
    assert_all_ordered,
    assert_no_attempt_used,
    assert_town_lawful,
    orders_of,
)

MAX_SEEDS = 30


def behind_gateways(seed: int) -> Town:
    """Return a town whose services act, and whose gateways often say that they did not."""
    rng = random.Random(seed)
    often = rng.choice([0.2, 0.5])
    faults = Faults(rng=rng, until=1200, kill=rng.choice([0, 0.005]), gateway_error=often, pace=0.1)
    return town(faults, healthy=8)


class TestAGateway:
    """A call that took effect behind a 502, 503 or 504 is repeated under its key, so it has one effect."""

    def test_every_order_is_charged_once(self, seed: int) -> None:
        there = behind_gateways(seed)

        there.world.run_until(after_nine(2, hours=12))

        assert_town_lawful(there)
        for sid in there.healthy:
            for path in PATHS:
                assert_effect_at_most_once(one_of(there.world, sid), path)
            assert {record.event.status for record in orders_of(there, sid)} <= {EventStatus.PROCESSED}
            waiting = there.world.store.instances[sid].main_event
            assert waiting is not None
            assert waiting.paused_for in (None, PausedFor.EXHAUSTED)

    def test_gateways_fail_after_effects(self) -> None:
        world = behind_gateways(1).world
        world.run_until(after_nine(1, hours=12))

        answers = {str(Answered(status=status))[:20] for status in GATEWAY_ERRORS}
        seen = {sending.status[:20] for sending in world.ledger if sending.took_effect}
        assert answers <= seen

    def test_a_new_key_for_each_attempt_is_caught(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(shared.domain.steps.cursor, "open_sending", lambda *_: None)

        with pytest.raises(AssertionError, match="is not known"):
            behind_gateways(2).world.run_until(after_nine(1, hours=12))


@dataclass
class Limiter:
    """A service that allows ``most`` calls a minute. It refuses others, with ``after`` as ``Retry-After`` if set."""

    town: Town
    most: int
    after: timedelta | None
    calls: Counter[datetime] = field(default_factory=Counter)
    earliest: dict[str, datetime] = field(default_factory=dict)
    refused: int = 0

    def __call__(self, request: ServiceRequest) -> CallOutcome:
        now = self.town.world.now_at
        assert now >= self.earliest.get(request.call_key, now), "called before Retry-After was over"
        minute = now.replace(second=0, microsecond=0)
        self.calls[minute] += 1
        if self.calls[minute] <= self.most:
            return Answered(status=201, body={"id": "1"})
        self.refused += 1
        if self.after is not None:
            self.earliest[request.call_key] = now + self.after
        return Answered(status=429, retry_after=self.after)


def limited(seed: int) -> tuple[Town, Limiter]:
    """Return a town whose services allow fewer calls a minute than are made at nine."""
    rng = random.Random(seed)
    there = town(Faults(rng=rng, pace=0.1), healthy=10)
    after = rng.choice([None, timedelta(seconds=1), timedelta(seconds=90), timedelta(minutes=20)])
    limiter = Limiter(there, most=rng.choice([1, 3, 8]), after=after)
    there.world.answers = limiter
    return there, limiter


class TestABurst:
    """A 429 uses no attempt, its ``Retry-After`` is obeyed, and all orders of the burst run in the end."""

    def test_all_orders_run_in_their_first_attempt(self, seed: int) -> None:
        there, limiter = limited(seed)

        there.world.run_until(after_nine(1, hours=23))

        assert limiter.refused > 0
        assert_all_ordered(there, 1, within=timedelta(hours=12))
        assert_no_attempt_used(there)
        assert_town_lawful(there)
