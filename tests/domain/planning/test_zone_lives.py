"""Customers who move: each local date is charged once, and each dry run is right. Source: docs/decisions/0060."""

from collections.abc import Callable
from datetime import datetime, timedelta
from random import Random

import pytest

from shared.domain.calendar.dates import Anchor
from shared.domain.instance.run import Ending
from shared.domain.instance.verdict import Applied
from shared.domain.lifecycle.commands import Update
from shared.domain.lifecycle.decide import decide
from shared.domain.strategy.model import Json
from tests.lifecycle_factories import (
    ANN,
    DAILY,
    MONTHLY,
    Life,
    at,
    by_cron,
    calendar,
    ended,
    life,
    new,
    strategy,
)

ZONES = (
    *("Pacific/Pago_Pago", "America/New_York", "UTC", "Europe/Berlin", "Asia/Kolkata", "Asia/Manila"),
    *("Australia/Lord_Howe", "Pacific/Kiritimati"),
)
WEEKLY: Json = {"unit": "days", "amount": 7}
CALENDARS: tuple[Callable[[], Json], ...] = (
    lambda: calendar(DAILY),
    lambda: calendar(WEEKLY),
    lambda: calendar(MONTHLY),
    lambda: calendar(businessDays={"convention": "following"}),
    lambda: by_cron("30 9 * * *"),
    lambda: by_cron("0 0 9 L * ?"),
    lambda: by_cron("0 9,13,17 * * *"),
)
CYCLES = 12


def local_dates(rng: Random, one: Json, *, moves: bool) -> list[Anchor]:
    """Return the planned local dates of the cycles that ran, of a customer who moves now and then."""
    of = strategy(
        one,
        timezone="{{attributes.zone}}",
        onResume="all",
        retry={"times": 3, "retryAfter": {"unit": "hours", "amount": 5}},
    )
    lived = life(of, new("2026-01-31T09:30", zone="UTC"), now="2026-01-20")
    now, ran = at("2026-01-20"), list[Anchor]()
    while len(ran) < CYCLES:
        now = max(now, lived.main.date)
        if moves and rng.random() < 0.3:
            # Up to a day early, so that the new date may have passed.
            early = now - timedelta(hours=rng.randrange(24))
            move(lived, rng, early)
            now = max(early, lived.main.date)
        moment = lived.instance.plan.moment
        assert moment is not None
        lived.claim(lived.main, now)
        assert lived.instance.executing is not None
        if moves and rng.random() < 0.3:
            move(lived, rng, now)
        if rng.random() < 0.2 and lived.main.attempt == 1:
            lived.conclude(ended(Ending.RETRY, now), now)
            continue
        lived.conclude(ended(Ending.SUCCEEDED, now), now)
        ran.append(moment.anchor)
        now += timedelta(minutes=1)
    assert [record.event.created_cycle for record in lived.records] == list(range(1, CYCLES + 1))
    return ran


def move(lived: Life, rng: Random, now: datetime) -> None:
    """Let the customer move, after a dry run, and check that both say the same."""
    command = Update(by=ANN, attributes={"zone": rng.choice(ZONES)})
    foreseen = decide(lived.strategy, lived.instance, command, now=now)
    begun = {event.seq: event.date for event in lived.instance.events if event.has_begun}
    verdict = lived.decide(command, now)
    assert verdict == foreseen
    if isinstance(verdict, Applied):
        for one in verdict.redated:
            assert lived.instance.event(one.event.seq) == one.event
            assert one.event.seq not in begun
        assert {seq: event.date for seq in begun if (event := lived.instance.event(seq))} == begun


@pytest.mark.parametrize("which", range(len(CALENDARS)))
@pytest.mark.parametrize("seed", range(25))
def test_each_local_date_is_charged_once_wherever_the_customer_moves(which: int, seed: int) -> None:
    one = CALENDARS[which]()
    assert local_dates(Random(seed), one, moves=True) == local_dates(Random(seed), one, moves=False)
