"""An asynchronous payment whose answer arrives before the reply, after it, too late or twice, with crashes."""

import random
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.application.start import StartInstance, start_instance
from shared.domain.ids import AccountId, CorrelationId, StrategySid, event_address, event_of_correlation
from shared.domain.instance.event import EventStatus
from shared.domain.instance.model import InstanceStatus
from shared.domain.instance.problems import ProblemKind, problems_of
from shared.domain.instance.verdict import Actor, Applied, Verdict
from shared.domain.lifecycle.async_answer import EXPECTED_WITHIN
from shared.domain.lifecycle.commands import Cancel, Command, Pause, Resume
from shared.domain.steps.call import Answered, CallOutcome, ServiceRequest
from shared.domain.strategy.model import Json, Strategy
from shared.domain.strategy.parse import read_definition
from tests.simulation.faults import Faults
from tests.simulation.laws import (
    assert_at_rest,
    assert_directives_counted,
    assert_history_complete,
    assert_history_consistent,
    assert_no_unmarked_double,
    only_instance,
    records_of,
)
from tests.simulation.operators import command
from tests.simulation.sending import LATER, send_later
from tests.simulation.watch import Watch
from tests.simulation.world import World

BEGUN = datetime(2026, 3, 2, 9, tzinfo=UTC)
ANN = Actor(name="ann")
LONG = timedelta(days=30)

PAYMENTS: Json = {
    "config": {"timezone": "Asia/Manila", "requestDelayTime": 100},
    "schedule": {
        "calendars": [{"key": "weekly", "task": "collect", "scheduleAfter": {"unit": "days", "amount": 7}}]
    },
    "services": [
        {
            "key": "gateway",
            "baseUrls": [{"environment": "dev", "url": "https://pay.example.test"}],
            "methods": [
                {
                    "key": "pay",
                    "url": "/payments",
                    "method": "post",
                    "async": True,
                    "answerWithin": {"unit": "hours", "amount": 6},
                },
                {"key": "book", "url": "/bookings", "method": "post"},
            ],
        }
    ],
    "actions": [
        {
            "key": "pay",
            "service": "gateway",
            "method": "pay",
            "headers": {"X-Correlation-Id": "{{event.correlationId}}"},
        },
        {"key": "book", "service": "gateway", "method": "book", "data": {"of": "{{stack.pay.response.id}}"}},
    ],
    "tasks": [
        {
            "key": "collect",
            "initialStep": "pay",
            "retryConfig": {
                "times": 6,
                "retryAfter": {"unit": "hours", "amount": 2},
                "pauseBeforeCancel": True,
            },
            "steps": [
                {
                    "key": "pay",
                    "action": "pay",
                    "resumeControllerCallback": 'response.status == "CONFIRMED" ? {"attributes": '
                    '{"paid": attributes.paid + 1.0}} : {"fail": dyn("declined")}',
                    "nextStep": "book",
                },
                {"key": "book", "action": "book", "final": True},
            ],
        }
    ],
}


def payments(*, has_limit: bool = True) -> Strategy:
    """Return a strategy with a payment a week, which a gateway confirms or declines later."""
    settings = deepcopy(PAYMENTS)
    if not has_limit:
        del settings["services"][0]["methods"][0]["answerWithin"]
    return Strategy(
        sid=StrategySid("s-3"),
        account_id=AccountId("a-1"),
        name="payments",
        version=1,
        definition=read_definition(settings, environment="dev"),
        environment="dev",
    )


@dataclass
class Gateway:
    """A gateway that decides once for each key, and sends the decision until it is received.

    ``after`` is how long after a request it answers. ``verdicts`` are its decisions in order, then CONFIRMED.
    ``confirmed`` are the keys under which money was taken, and ``received`` the verdicts of the engine.
    """

    world: World
    rng: random.Random
    after: Callable[[], timedelta] = lambda: timedelta(minutes=1)
    verdicts: list[str] = field(default_factory=list)
    twice: float = 0.0
    decided: dict[str, dict[str, Any]] = field(default_factory=dict)
    confirmed: dict[str, int] = field(default_factory=dict)
    received: list[bool] = field(default_factory=list)

    def __call__(self, request: ServiceRequest) -> CallOutcome:
        if not request.url.endswith("/payments"):
            return Answered(status=201, body={})
        key, correlation = (
            request.headers["Idempotency-Key"],
            CorrelationId(request.headers["X-Correlation-Id"]),
        )
        if key not in self.decided:
            status = self.verdicts.pop(0) if self.verdicts else "CONFIRMED"
            self.decided[key] = {"id": f"p-{len(self.decided) + 1}", "status": status}
            if status == "CONFIRMED":
                address = event_address(event_of_correlation(correlation))
                assert address is not None
                self.confirmed[key] = address[1]
            for _ in range(1 + (self.rng.random() < self.twice)):
                send_later(self.world, correlation, self.decided[key], self.after(), self._receive)
        return Answered(status=202, body={"status": "PENDING"})

    def _receive(self, verdict: Verdict) -> None:
        self.received.append(isinstance(verdict, Applied))


def a_world(faults: Faults, *, has_limit: bool = True, **gateway: Any) -> tuple[World, Gateway]:
    world = World(strategy=payments(has_limit=has_limit), now_at=BEGUN - timedelta(minutes=15), faults=faults)
    there = Gateway(world=world, rng=faults.rng, **gateway)
    world.answers = there
    asked = StartInstance(strategy_id="payments", start_date=BEGUN, attributes={"paid": 0.0})
    start_instance(world, world.strategy, asked)
    return world, there


def assert_paid_once(world: World, gateway: Gateway) -> None:
    """Assert that no event was paid twice, that every processed one was paid, and that the history agrees."""
    seqs = list(gateway.confirmed.values())
    assert len(seqs) == len(set(seqs)), f"money was taken twice: {gateway.confirmed}"
    done = [r.event.seq for r in records_of(world, "collect") if r.event.status is EventStatus.PROCESSED]
    assert set(done) <= set(seqs)
    assert_directives_counted(world, "paid")


def assert_lawful(world: World, gateway: Gateway) -> None:
    assert_at_rest(world)
    assert_history_consistent(world)
    assert_history_complete(world)
    assert_no_unmarked_double(world)
    assert_paid_once(world, gateway)


TIMES = {
    "before the reply": timedelta(0),
    "after the reply": LATER,
    "a moment before the time is over": timedelta(hours=6),
    "between two attempts": timedelta(hours=7),
    "after the next attempt": timedelta(hours=9),
}


def two_payments(kill_at: frozenset[int], after: timedelta) -> tuple[World, Gateway]:
    """Run two weeks, with the first payment declined once."""
    world, gateway = a_world(
        Faults(rng=random.Random(3), kill_at=kill_at), after=lambda: after, verdicts=["DECLINED"]
    )
    world.run_until(BEGUN + timedelta(days=13))
    return world, gateway


def assert_done_right(world: World, gateway: Gateway) -> None:
    records = records_of(world, "collect")
    assert [record.event.status for record in records] == ["PROCESSED", "PROCESSED"]
    assert sorted(gateway.confirmed.values()) == [1, 2]
    assert only_instance(world).attributes == {"paid": 2.0}
    assert len([s for s in world.ledger if s.url.endswith("/bookings")]) >= 2
    assert_lawful(world, gateway)


CASES = [
    (name, point)
    for name, after in TIMES.items()
    for point in range(two_payments(frozenset(), after)[0].faults.points + 1)
]


class TestASingleCrash:
    """A crash at any point only delays, whenever the answer arrives."""

    @pytest.mark.parametrize(("when", "point"), CASES)
    def test_every_week_is_paid_once_despite_a_crash(self, when: str, point: int) -> None:
        assert_done_right(*two_payments(frozenset({point}), TIMES[when]))


OVERDUE = BEGUN + EXPECTED_WITHIN
NOTED_WITHIN = timedelta(minutes=10)
"""Within this time an overdue answer is noted, whatever crashes once: two sweeps, and the first back-off."""


def a_slow_payment(kill_at: frozenset[int]) -> tuple[World, Gateway]:
    """Return a world in which the answer to the first payment, without a time limit, comes after nine days."""
    return a_world(
        Faults(rng=random.Random(3), kill_at=kill_at), has_limit=False, after=lambda: timedelta(days=9)
    )


def points_of_a_slow_payment() -> int:
    world, _ = a_slow_payment(frozenset())
    world.run_until(OVERDUE + NOTED_WITHIN)
    return world.faults.points


def assert_overdue_answers_marked(world: World) -> None:
    """Assert that a wait without a limit is noted as overdue some time after seven days, and never before."""
    instance = only_instance(world)
    for event in instance.events:
        pause = event.pause
        if pause is None or pause.expected_by is None:
            continue
        if pause.is_overdue:
            assert pause.expected_by <= world.now_at
        elif instance.status is InstanceStatus.ACTIVE:
            assert world.now_at < pause.expected_by + timedelta(hours=2), "nobody hears of the missing answer"


class TestOverdueAnswers:
    """An answer without a time limit that has not come for seven days is a problem. Its event waits on."""

    @pytest.mark.parametrize("point", range(points_of_a_slow_payment() + 1))
    def test_a_wait_is_marked_despite_a_crash(self, point: int) -> None:
        world, gateway = a_slow_payment(frozenset({point}))
        world.run_until(OVERDUE - timedelta(minutes=1))
        assert problems_of(only_instance(world)) == ()

        world.run_until(OVERDUE + NOTED_WITHIN)

        (problem,) = problems_of(only_instance(world))
        assert problem.kind is ProblemKind.ANSWER_OVERDUE
        world.run_until(BEGUN + timedelta(days=9, hours=1))
        assert problems_of(only_instance(world)) == ()
        assert [record.event.status for record in records_of(world, "collect")] == ["PROCESSED"]
        assert_lawful(world, gateway)

    def test_whatever_fails_a_wait_is_marked_in_the_end(self, seed: int) -> None:
        world, gateway = storm(seed, has_limit=False, times=[*TIMES.values(), timedelta(days=8), LONG])
        world.run_until(BEGUN + timedelta(days=20))
        world.faults.until = 0
        for _ in range(30):
            world.run_until(world.now_at + timedelta(days=1, hours=2))
            assert_overdue_answers_marked(world)

        assert_lawful(world, gateway)


class TestBadWeather:
    """Whatever fails, stalls or comes twice, no payment is made twice, and the instance comes to rest."""

    def test_no_payment_is_made_twice(self, seed: int) -> None:
        world, gateway = storm(seed)

        world.run_until(BEGUN + timedelta(days=60))

        assert_lawful(world, gateway)

    def test_payments_stay_right_under_commands_of_operators(self, seed: int) -> None:
        world, gateway = storm(seed)
        rng = random.Random(seed)
        for _ in range(60):
            world.run_until(
                world.now_at + timedelta(minutes=rng.choice([1, 5, 60, 600]), seconds=rng.randint(0, 59))
            )
            commands: list[Command] = [Pause(by=ANN, kill=rng.random() < 0.3), Resume(by=ANN), Resume(by=ANN)]
            command(world, rng.choice(commands) if rng.random() > 0.01 else Cancel(by=ANN))
        world.faults.until = 0
        world.rest()
        for _ in range(3):
            command(world, Resume(by=ANN))
            world.run_until(world.now_at + timedelta(days=6))

        assert_lawful(world, gateway)


def storm(
    seed: int, *, has_limit: bool = True, times: Sequence[timedelta] = tuple(TIMES.values())
) -> tuple[World, Gateway]:
    """Return payments with many faults, under watch."""
    rng = random.Random(seed)
    faults = Faults(
        rng=rng,
        until=400,
        kill=0.02,
        stall=0.05,
        lost_reply=0.03,
        lost_wakeup=0.1,
        double_wakeup=0.2,
        late_wakeup=0.1,
        early_wakeup=0.1,
        service_error=0.05,
        service_silence=0.1,
        service_refusal=0.06,
        service_garbling=0.06,
    )
    verdicts = [rng.choice(["CONFIRMED", "DECLINED"]) for _ in range(12)]
    world, gateway = a_world(
        faults, has_limit=has_limit, after=lambda: rng.choice(times), verdicts=verdicts, twice=0.2
    )
    Watch(world).install()
    return world, gateway
