"""Generated calendars with moved dates: no drift, and as many cycles a year as the rhythm says.

``make calendars CALENDARS=10000`` computes many of them. Source: docs/decisions/0056 and 0058.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from random import Random
from zoneinfo import ZoneInfo

import holidays
import pytest
from dateutil.relativedelta import relativedelta

from shared.domain.errors import InvalidInputError
from shared.domain.instance.journal import ClosedBy
from shared.domain.instance.skipped import Skipped
from shared.domain.planning.forecast import ForeseenCycle, forecast, simulate
from shared.domain.strategy.model import Json, Strategy
from tests.lifecycle_factories import Life, at, by_cron, calendar, life, new, shown, strategy

CALENDARS = int(os.environ.get("CALENDARS", "200"))
ENGINE_EVERY = max(1, min(20, CALENDARS // 300))
"""Every how many calendars the engine runs one, too."""
CYCLES = 60
AT_ONCE = 50

ZONES = ("UTC", "Europe/Madrid", "America/New_York", "Asia/Manila", "Pacific/Apia", "Australia/Lord_Howe")
PLACES = (("DE", "BY"), ("ES", None), ("US", "NY"), ("PH", None), ("IN", None), ("JP", None))
CONVENTIONS = ("following", "preceding", "modifiedFollowing", "skip")
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
WEEKENDS = (("saturday", "sunday"), ("friday", "saturday"), ("sunday",), ())
CALLBACKS = (
    (
        "date.getDayOfWeek('{zone}') == 6 ? addDays(date, 2, '{zone}') : "
        "date.getDayOfWeek('{zone}') == 0 ? addDays(date, 1, '{zone}') : date"
    ),
    (
        "date.getDayOfWeek('{zone}') == 6 ? addDays(date, -1, '{zone}') : "
        "date.getDayOfWeek('{zone}') == 0 ? addDays(date, -2, '{zone}') : date"
    ),
    "cycle % 3 == 0 ? addDays(date, 2, '{zone}') : date",
)
CRONS = (
    "30 9 28 * *",
    "30 9 1 * *",
    "0 0 9 L * ?",
    "30 8 15 * *",
    "0 9 * * 1",
    "0 7 * * *",
    "0 0 6 ? * MON#1",
)


@dataclass(frozen=True, kw_only=True)
class Generated:
    """A calendar with its rhythm alone, and the facts known of it without the engine."""

    of: Strategy
    unmoved: Strategy
    start: datetime
    zone: ZoneInfo
    rule: dict[str, Json] | None
    planned_at: Callable[[int], datetime] | None
    attributes: dict[str, Json] = field(default_factory=dict)


def generated(seed: int) -> Generated:
    """Return a calendar."""
    rng = Random(seed)
    name = rng.choice(ZONES)
    zone = ZoneInfo(name)
    # Not in a night in which clocks change, which test_dates.py covers.
    begins = datetime.combine(
        date(2025, 1, 1) + timedelta(days=rng.randrange(365)),
        time(rng.randrange(5, 24), rng.choice((0, 30))),
        zone,
    )
    start = begins.astimezone(UTC)
    planned_at: Callable[[int], datetime] | None = None
    if rng.random() < 0.4:
        one = by_cron(rng.choice(CRONS))
    else:
        unit, amount = rng.choice(
            (("months", 1), ("months", 3), ("days", 1), ("days", 7), ("days", 14), ("years", 1))
        )
        one, planned_at = calendar({"unit": unit, "amount": amount}), _planned_dates(begins, unit, amount)
    unmoved, rule, by_attribute = dict(one), None, seed % 3 == 0
    callback = rng.choice(CALLBACKS).format(zone=name) if rng.random() < 0.35 else None
    if callback is not None:
        one = {**one, "nextCycleDateCallback": callback}
    if callback is None or rng.random() < 0.5:
        # A callback may move every date to a day of the weekend. Under ``skip``, no cycle would then run.
        rule = _rule(rng, CONVENTIONS if callback is None else CONVENTIONS[:3])
        one = {**one, "businessDays": rule}
    return Generated(
        of=strategy(one, timezone="{{attributes.zone}}" if by_attribute else name),
        unmoved=strategy(unmoved, timezone=name),
        start=start,
        zone=zone,
        rule=rule,
        planned_at=planned_at,
        attributes={"zone": name} if by_attribute else {},
    )


def _rule(rng: Random, conventions: Sequence[str]) -> dict[str, Json]:
    rule: dict[str, Json] = {"convention": rng.choice(conventions)}
    if rng.random() < 0.5:
        rule["weekend"] = list(rng.choice(WEEKENDS))
    if rng.random() < 0.7:
        country, subdivision = rng.choice(PLACES)
        rule |= {"country": country} | ({"subdivision": subdivision} if subdivision else {})
    if rng.random() < 0.3:
        rule["holidays"] = sorted(
            {str(date(2026, 1, 1) + timedelta(days=rng.randrange(700))) for _ in range(9)}
        )
    return rule


def _planned_dates(begins: datetime, unit: str, amount: int) -> Callable[[int], datetime]:
    """Return the date of a cycle, counted from the first one alone."""
    local = begins.replace(tzinfo=None)

    def date_of(cycle: int) -> datetime:
        counted = local + relativedelta(**{unit: amount * (cycle - 1)})  # type: ignore[arg-type]
        return counted.replace(tzinfo=begins.tzinfo).astimezone(UTC)

    return date_of


def is_business_day(rule: dict[str, Json], day: date) -> bool:
    """Return whether a day is a business day, by the package alone."""
    if DAYS[day.weekday()] in rule.get("weekend", ("saturday", "sunday")) or str(day) in rule.get(
        "holidays", ()
    ):
        return False
    country = rule.get("country")
    return country is None or day not in _holidays_of(country, rule.get("subdivision"))


@cache
def _holidays_of(country: str, subdivision: str | None) -> holidays.HolidayBase:
    return holidays.country_holidays(country, subdiv=subdivision)


def check_dates(one: Generated, cycles: tuple[ForeseenCycle, ...], skipped: tuple[Skipped, ...]) -> None:
    """Assert that planned dates are those of the rhythm, and that each cycle runs once or is skipped once."""
    accounted = sorted(
        [cycle.cycle for cycle in cycles]
        + [number for gone in skipped for number in range(gone.first_cycle, gone.last_cycle + 1)]
    )
    assert accounted == list(range(1, accounted[-1] + 1))
    planned = {cycle.cycle: cycle.main.planned_date for cycle in cycles}
    if one.planned_at is not None:
        assert planned == {number: one.planned_at(number) for number in planned}
    else:
        alone = simulate(one.unmoved, start_date=one.start, cycles=min(accounted[-1], 120), attributes={})
        unmoved = {cycle.cycle: cycle.main.date for cycle in alone.cycles}
        assert {number: at for number, at in planned.items() if number in unmoved} == {
            number: at for number, at in unmoved.items() if number in planned
        }
    due = [cycle.main.date for cycle in cycles]
    assert due == sorted(set(due))
    for cycle in cycles:
        assert (cycle.main.move is None) == (cycle.main.date == cycle.main.planned_date)
    assert {gone.cause for gone in skipped} <= {ClosedBy.COINCIDES, ClosedBy.NO_BUSINESS_DAY}
    if one.rule is not None:
        assert all(is_business_day(one.rule, at.astimezone(one.zone).date()) for at in due)


def ran(one: Generated) -> list[tuple[int, datetime]]:
    """Return cycles and instants as the engine runs them."""
    (text,) = shown(one.start)
    lived: Life = life(one.of, new(text, **one.attributes), now=text)
    found: list[tuple[int, datetime]] = []
    while len(found) < CYCLES:
        main = lived.main
        found.append((lived.instance.plan.cycle, main.date))
        lived.run(main, main.date)
    return found


@pytest.mark.filterwarnings("ignore:Requested Holidays")
@pytest.mark.parametrize("first", range(0, CALENDARS, AT_ONCE))
def test_generated_calendars_do_not_drift(first: int) -> None:
    for seed in range(first, min(first + AT_ONCE, CALENDARS)):
        one = generated(seed)
        if _never_runs(one):
            with pytest.raises(InvalidInputError, match="do not run"):
                simulate(one.of, start_date=one.start, cycles=CYCLES, attributes=one.attributes)
            continue
        found = simulate(one.of, start_date=one.start, cycles=CYCLES, attributes=one.attributes)
        assert found.ended is None, seed
        assert (len(found.cycles), found.truncated) == (CYCLES, False), seed
        check_dates(one, found.cycles, found.skipped)
        (text,) = shown(one.start)
        foreseen = forecast(
            one.of, life(one.of, new(text, **one.attributes), now=text).instance, cycles=CYCLES, now=one.start
        )
        assert [(cycle.cycle, cycle.main.date) for cycle in foreseen.cycles] == [
            (cycle.cycle, cycle.main.date) for cycle in found.cycles
        ], seed
        if seed % ENGINE_EVERY == 0:
            assert ran(one) == [(cycle.cycle, cycle.main.date) for cycle in found.cycles], seed


def _never_runs(one: Generated) -> bool:
    """Return whether no cycle runs at all: under ``skip``, a weekly plan on a day of the weekend."""
    if one.rule is None or one.rule["convention"] != "skip":
        return False
    cycles = simulate(one.unmoved, start_date=one.start, cycles=120, attributes={}).cycles
    return not any(is_business_day(one.rule, cycle.main.date.astimezone(one.zone).date()) for cycle in cycles)


@pytest.mark.filterwarnings("ignore:Requested Holidays")
def test_a_drift_is_noticed() -> None:
    """A plan whose moved dates were the base of the next ones does not keep its rhythm."""
    one = generated(0)
    found = simulate(
        strategy(calendar({"unit": "hours", "amount": 700})),
        start_date=at("2026-01-01"),
        cycles=9,
        attributes={},
    )
    drifting = Generated(
        of=one.of,
        unmoved=strategy(calendar()),
        start=at("2026-01-01"),
        zone=one.zone,
        rule=None,
        planned_at=None,
    )
    with pytest.raises(AssertionError):
        check_dates(drifting, found.cycles, found.skipped)
