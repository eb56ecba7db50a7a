"""Simulation, forecast and run have the same dates. Source: docs/design.md section 4."""

import random
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import pytest
from msgspec.structs import replace

from dev.memory.world import ManualClock, MemoryPorts
from shared.application.answer_event import SentAnswer, answer_event
from shared.application.runner.loop import run_due_events
from shared.application.start import StartInstance, start_instance
from shared.domain.calendar.dates import format_instant, parse_instant
from shared.domain.calendar.instance_schedule import OwnSchedule
from shared.domain.ids import InstanceSid
from shared.domain.instance.due import next_event
from shared.domain.instance.event import EventKind, PausedFor
from shared.domain.instance.model import Instance, InstanceStatus
from shared.domain.instance.replay import position
from shared.domain.instance.run import Intent
from shared.domain.instance.verdict import Actor
from shared.domain.planning.forecast import ForeseenCycle, forecast, simulate
from shared.domain.steps.call import Answered, CallOutcome, ServiceRequest
from shared.domain.strategy.model import Json, Strategy
from tests.factories import strategy_from
from tests.simulation.stories import MEMBER, example

CYCLES = 24
STRATEGIES = 200
SCHEDULES = 200
ZONES = [
    "UTC",
    "Europe/Lisbon",
    "Europe/Madrid",
    "Europe/Berlin",
    "Europe/London",
    "Europe/Dublin",
    "Europe/Moscow",
    "Europe/Istanbul",
    "Africa/Cairo",
    "Africa/Casablanca",
    "Africa/Lagos",
    "Asia/Manila",
    "Asia/Tokyo",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Asia/Tehran",
    "Asia/Jerusalem",
    "Asia/Amman",
    "Asia/Beirut",
    "Asia/Gaza",
    "Asia/Shanghai",
    "Australia/Sydney",
    "Australia/Lord_Howe",
    "Australia/Adelaide",
    "Pacific/Auckland",
    "Pacific/Chatham",
    "Pacific/Apia",
    "Pacific/Kiritimati",
    "Pacific/Easter",
    "America/New_York",
    "America/Chicago",
    "America/Denver",
    "America/Los_Angeles",
    "America/St_Johns",
    "America/Sao_Paulo",
    "America/Santiago",
    "America/Havana",
    "America/Asuncion",
    "America/Nuuk",
    "Antarctica/Troll",
]

CRONS = ["30 2 * * *", "0 9 1,15 * *", "0 */6 * * *", "0 0 10 L * ?", "0 15 1 ? * SUN#2", "0 30 0 LW 3,10 ?"]

OWN_CRONS = [
    *(
        "30 2 * * *",
        "0 6 6 ? * FRI",
        "0 0 9 LW * ?",
        "0 15 1 ? * SUN#2",
        "0 30 0-3 ? * MON-FRI",
        "0 0 22-2 ? * *",
    ),
    *("0 0/20 * ? * *", "15 30 * 1/5 * ?", "0 30 2 31 * ?", "0 0 9 ? * MON-FRI 2026", "0 0 9 ? * * 2019"),
]
"""Cron expressions: fixed times, intervals, some that end with the year, and an expression that never fires."""

Dates = list[tuple[int, str, str]]
"""Cycle, task and date of each event of a plan, sorted."""


class Obliging:
    """A service that accepts every call and confirms every payment."""

    def call(self, request: ServiceRequest) -> CallOutcome:
        status = "PENDING" if "/recurring" in request.url else "CONFIRMED"
        return Answered(status=200, body={"status": status, "state": "IN_FORCE", "id": "x"})


def foreseen(cycles: tuple[ForeseenCycle, ...]) -> Dates:
    return sorted(
        (one.cycle, event.task, format_instant(event.date))
        for one in cycles
        for event in (one.main, *one.leading_up)
    )


def lived(
    strategy: Strategy, start: datetime, attributes: dict[str, Json], **more: Any
) -> tuple[Dates, Dates, Instance]:
    """Return the forecast at creation, the dates that ran, and the instance after that."""
    ports = MemoryPorts(caller=Obliging(), clock=ManualClock(start))
    ports.strategies.add(strategy)
    request = StartInstance(strategy_id=strategy.name, attributes=attributes, **{"start_date": start, **more})
    instance = start_instance(ports, strategy, request).instance
    forecasted = foreseen(forecast(strategy, instance, cycles=CYCLES, now=start).cycles)
    while len(_mains(ports)) < CYCLES and instance.status is InstanceStatus.ACTIVE:
        event = next_event(instance)
        if event is None:
            assert instance.plan.has_ended
            break
        ports.clock.at = max(ports.clock.at, event.due_at)
        instance = _ran(ports, instance.sid)
    ran = [
        (record.event.created_cycle, record.event.task, format_instant(record.event.date))
        for record in ports.instances.records.values()
        if record.event.kind in (EventKind.MAIN, EventKind.LEADING_UP) and record.why is None
    ]
    last = max(
        (cycle for cycle, _, _ in forecasted), default=0
    )  # a leading-up event of the next cycle may be due at once
    return forecasted, sorted(one for one in ran if one[0] <= last), instance


def _mains(ports: MemoryPorts) -> list[int]:
    return [r.event.seq for r in ports.instances.records.values() if r.event.is_main]


def _ran(ports: MemoryPorts, sid: InstanceSid) -> Instance:
    """Run all due events, answer each asynchronous call, and return the instance."""
    run_due_events(ports, sid, job="job", time_left=lambda: timedelta(minutes=15))
    instance = ports.instances.load(sid)
    assert instance is not None
    for event in instance.events:
        if event.paused_for is PausedFor.ANSWER:
            then = position(ports.instances.event_history(sid, event.seq), event)
            assert isinstance(then, Intent)
            by = Actor(name="gateway")
            body = {"status": "CONFIRMED", "paymentId": "p"}
            sent = SentAnswer(correlation_id=then.correlation_id, key="k", by=by, body=body)
            answer_event(ports, sid, event.seq, sent)
            return _ran(ports, sid)
    return instance


def a_strategy(rng: random.Random, zone: str) -> Strategy:
    """Return a random strategy whose steps do nothing."""
    task = {"initialStep": "s", "steps": [{"key": "s", "controllerCallback": "{}"}]}
    calendars = [_calendar(rng, "usual")]
    if rng.random() < 0.3:
        calendars.append(_calendar(rng, "first", runOnCycle=rng.randint(1, 3)))
    if rng.random() < 0.4:
        calendars.append(_calendar(rng, "some", runOnCycleCallback=f"cycle % {rng.randint(2, 5)} == 0"))
    settings = {
        "config": {"timezone": zone, "onResume": rng.choice(["last", "all", "skip"])},
        "schedule": {
            **({"initialDelay": _delta(rng)} if rng.random() < 0.5 else {}),
            "calendars": calendars,
        },
        "services": [
            {
                "key": "api",
                "baseUrls": [{"environment": "dev", "url": "https://api.example.com"}],
                "methods": [{"key": "post", "url": "/", "method": "post"}],
            }
        ],
        "actions": [{"key": "post", "service": "api", "method": "post"}],
        "tasks": [{"key": key, **task} for key in ("usual", "first", "some", "remind", "warn")],
    }
    return strategy_from(settings)


def _calendar(rng: random.Random, key: str, **members: Any) -> dict[str, Any]:
    leading = [
        {"task": name, "scheduleBefore": {"unit": rng.choice(["days", "hours", "minutes"]), "amount": 1}}
        for name in rng.sample(["remind", "warn"], rng.choice([0, 0, 1, 2]))
    ]
    callback = rng.choice(["date", 'date + duration("1h")', "date"])
    return {
        "key": key,
        "task": key,
        **({"cron": rng.choice(CRONS)} if rng.random() < 0.2 else {"scheduleAfter": _delta(rng)}),
        **({"leadingUpTasks": leading} if leading else {}),
        **({"nextCycleDateCallback": callback} if rng.random() < 0.2 else {}),
        **members,
    }


def _delta(rng: random.Random) -> dict[str, Any]:
    unit, most = rng.choice(
        [("years", 2), ("months", 5), ("months", 1), ("days", 45), ("hours", 100), ("minutes", 4000)]
    )
    delta: dict[str, Any] = {"unit": unit, "amount": rng.randint(1, most)}
    if unit in ("years", "months", "days") and rng.random() < 0.5:
        parts = {"hour": rng.randint(0, 24), "minute": rng.randint(0, 59)}
        parts |= {"day": rng.randint(1, 31)} if unit != "days" and rng.random() < 0.4 else {}
        delta["resetTo"] = {
            name: parts[name] for name in rng.sample(sorted(parts), rng.randint(1, len(parts)))
        }
    return delta


def assert_agree(strategy: Strategy, start: datetime, attributes: dict[str, Json]) -> Dates:
    """Assert that simulation, forecast and run of an instance agree. Return the dates."""
    simulated = simulate(strategy, start_date=start, cycles=CYCLES, attributes=attributes)
    forecasted, ran, instance = lived(strategy, start, attributes)
    assert foreseen(simulated.cycles) == forecasted == ran
    ended = instance.status is not InstanceStatus.ACTIVE
    assert ended == (simulated.ended is not None)
    return ran


class TestTheSameDates:
    """The dates agree over 24 cycles, for any plan."""

    @pytest.mark.parametrize(
        ("name", "start", "attributes"),
        [
            ("water-filter-refill", "2026-01-31T10:00:00", {"customerId": "c-1"}),
            ("gym-membership", "2026-02-24T18:45:10", MEMBER),
            (
                "pet-cover",
                "2026-05-01T08:00:00",
                {
                    "policyNumber": "P-1",
                    "recurringId": "R-1",
                    "firstDueDate": "2026-05-20T02:15:00Z",
                    "premium": 12.0,
                },
            ),
        ],
    )
    def test_dates_of_the_examples_agree(self, name: str, start: str, attributes: dict[str, Json]) -> None:
        strategy = example(name, requestDelayTime=0)
        dates = assert_agree(strategy, datetime.fromisoformat(start).replace(tzinfo=UTC), attributes)
        assert len({cycle for cycle, _, _ in dates}) == CYCLES

    @pytest.mark.parametrize("zone", ZONES)
    def test_dates_of_random_strategies_agree(self, zone: str) -> None:
        assert len(set(ZONES)) == 40
        for number in range(STRATEGIES // len(ZONES)):
            rng = random.Random(f"{zone} {number}")
            strategy = a_strategy(rng, zone)
            start = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=rng.randint(0, 365 * 86400))
            assert_agree(strategy, start, {})


class TestOwnSchedules:
    """An instance with its own schedule runs at its forecast dates, whatever its strategy's calendars say."""

    @pytest.mark.parametrize("zone", ZONES)
    def test_dates_of_random_own_schedules_agree(self, zone: str) -> None:
        for number in range(SCHEDULES // len(ZONES)):
            rng = random.Random(f"own {zone} {number}")
            strategy = a_strategy(rng, rng.choice(ZONES))
            now = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=rng.randint(0, 365 * 86400))
            more = a_schedule(rng, zone, now)

            forecasted, ran, instance = lived(strategy, now, {}, **more)

            assert forecasted == ran, more
            assert_keeps_to(more, ran, now, instance)


def a_schedule(rng: random.Random, zone: str, now: datetime) -> dict[str, Any]:
    """Return a random own schedule as a dialect might send it, with windows around now."""
    opens = now + timedelta(hours=rng.randint(-1000, 2000))
    schedule = OwnSchedule(
        cron=rng.choice([*OWN_CRONS, None]) if rng.random() < 0.2 else rng.choice(OWN_CRONS),
        timezone=rng.choice([zone, zone, None]),
        once=rng.random() < 0.2,
        at_once=rng.random() < 0.3,
        goes_on=rng.random() < 0.5,
    )
    ends = max(opens, now) + timedelta(hours=rng.randint(0, 3000)) if rng.random() < 0.6 else None
    if schedule.at_once:
        opens_at = opens if opens > now else None
        return {"schedule": replace(schedule, opens_at=opens_at), "start_date": None, "end_date": ends}
    return {"schedule": schedule, "start_date": opens if opens > now else None, "end_date": ends}


def assert_keeps_to(request: dict[str, Any], ran: Dates, now: datetime, instance: Instance) -> None:
    """Assert that all dates are in the window and match the expression."""
    schedule: OwnSchedule = request["schedule"]
    begins, ends = request["start_date"] or now, request["end_date"]
    mains = [parse_instant(date) for _, task, date in ran if task not in ("remind", "warn")]
    if schedule.at_once or schedule.cron is None:
        assert mains.pop(0) == begins
    for main in mains:
        assert (schedule.opens_at or begins) <= main
        assert ends is None or main <= ends
    if schedule.is_single:
        assert len({cycle for cycle, _, _ in ran}) <= 1
        assert not [task for _, task, _ in ran if task in ("remind", "warn")]
    if len(mains) < CYCLES - 1 and (schedule.is_single or ends is not None):
        assert instance.plan.has_ended


def test_random_schedules_include_all_kinds() -> None:
    """The random schedules include fixed times and intervals, open and closed windows, single and recurring dates."""
    now = datetime(2026, 3, 1, tzinfo=UTC)
    made = [a_schedule(random.Random(f"own {z} {n}"), z, now) for z in ZONES for n in range(5)]
    schedules = [one["schedule"] for one in made]
    assert {one.cron for one in schedules} == {*OWN_CRONS, None}
    assert 20 < sum(one.is_single for one in schedules) < 100
    assert 30 < sum(one.at_once for one in schedules) < 100
    assert 50 < sum(one["end_date"] is not None for one in made) < 150


def test_random_strategies_include_all_kinds() -> None:
    """Most random plans last long enough, and they include months and clock changes."""
    made = [a_strategy(random.Random(f"{zone} {n}"), zone) for zone in islice(ZONES, 20) for n in range(5)]
    assert sum(len(one.definition.calendars) > 1 for one in made) > 30
    assert sum(bool(c.leading_up_tasks) for one in made for c in one.definition.calendars) > 30
