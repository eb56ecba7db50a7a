"""Every alarm of the template, with a cause that makes it fire.

For our own metrics the real handlers run on a world in memory, and the alarm is evaluated on their metrics.
For the metrics of AWS, the list has their documented cause, and the alarm is evaluated on a value.
"""

import itertools
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

import pytest

from dev.memory.publishing import THROTTLED, MemoryBus, MemoryPublishing
from dev.stream_records import record_of
from dev.template import Template
from functions.bulk_runner.handler import lambda_handler as bulk_runner
from functions.publisher.handler import write_publisher_metrics
from functions.step_runner.handler import lambda_handler as step_runner
from functions.sweeper.handler import lambda_handler as sweeper
from shared import bootstrap
from shared.adapters.dynamodb.items import instance_item
from shared.adapters.dynamodb.streams import stream_record
from shared.adapters.dynamodb.tables import Tables
from shared.application.flags import pause_queue, resume_queue
from shared.application.ports import SealBrokenError, UnknownStrategyError
from shared.application.publish import publish
from shared.domain.errors import StoredShapeError
from shared.domain.instance.due import GRACE
from shared.domain.instance.verdict import Actor
from shared.domain.notifications.model import NotificationKind
from shared.domain.steps.call import Answered, CallOutcome, TimedOut
from shared.domain.strategy.model import Json, Strategy
from tests.application.runner.watched import A_LEASE, NOON, OK, Crash, Watched
from tests.factories import an_instance
from tests.functions.alarms import Alarms, Period
from tests.functions.contexts import Context
from tests.functions.emf import Written, written
from tests.functions.environments import PARAMETERS, ROOT
from tests.lifecycle_factories import calendar, retries, strategy

METERED = {
    "MeteredService1": "shop",
    "MeteredService2": "depot",
    "MeteredService3": "mail",
    "MeteredService4": "bank",
}
ALARMS = Alarms(Template(ROOT / "template.yaml", {**PARAMETERS, **METERED}), stage="test")
DECLINED = Answered(status=402)
BROKEN = Answered(status=500)


@dataclass(frozen=True, slots=True, kw_only=True)
class ByAws:
    """A metric that AWS writes: its documented cause, a value that fires the alarm, and a value that does not."""

    cause: str
    fires: float = 1
    quiet: float = 0


ERRORS = "an invocation ends in an exception of the handler, or in a timeout"

BY_AWS = {
    "dead-letters": ByAws(
        cause="a message is in the queue: a failed invocation, or a wakeup that cannot be delivered"
    ),
    "step-runner-errors": ByAws(cause=ERRORS),
    "sweeper-errors": ByAws(cause=ERRORS),
    "bulk-runner-errors": ByAws(cause=ERRORS),
    "core-api-errors": ByAws(cause=ERRORS),
    "process-api-errors": ByAws(cause=ERRORS),
    "automation-api-errors": ByAws(cause=ERRORS),
    "orders-api-errors": ByAws(cause=ERRORS),
    "publisher-errors": ByAws(cause=ERRORS),
    "publisher-late": ByAws(
        cause="the oldest record that the publisher has read is older than an hour", fires=3_600_001
    ),
    "expirer-errors": ByAws(cause=ERRORS),
    "expirer-late": ByAws(
        cause="the oldest expired record that the expirer has read is older than an hour", fires=3_600_001
    ),
    "webhook-sender-errors": ByAws(cause=ERRORS),
    "webhook-dead-letters": ByAws(cause="a message is in the queue: a webhook has refused it for a day"),
    "webhooks-waiting": ByAws(
        cause="a message waits for a sender, from the first minute of the hour to the last"
    ),
    "sweeper-silent": ByAws(cause="no invocation has begun in the period", fires=0, quiet=5),
    "api-failures": ByAws(cause="API Gateway has answered a request with a status from 500 on"),
    "token-api-failures": ByAws(
        cause="API Gateway has answered a request with a token with a status from 500 on"
    ),
    "throttles": ByAws(cause="an invocation was refused because no concurrency was left"),
}
"""The alarms on metrics of AWS."""


@dataclass
class World:
    """Worlds in memory, whose functions write metrics."""

    capsys: pytest.CaptureFixture[str]

    def runs(self, of: Strategy | None, *answers: CallOutcome | Exception, times: int = 1) -> list[Written]:
        """Return the metrics that the step runner writes about an instance, from claim to claim."""
        return self.run(Watched(of, *answers), times=times)

    def run(self, watched: Watched, *, times: int = 1, wait: timedelta = A_LEASE) -> list[Written]:
        bootstrap.use_ports(watched.ports)
        for _ in range(times):
            with suppress(Crash):
                step_runner({"sid": watched.sid}, Context())  # type: ignore[arg-type]
            watched.clock.at += wait
        return written(self.capsys)

    def sweep(self, watched: Watched, *, late: timedelta = timedelta(minutes=1)) -> list[Written]:
        """Return the metrics that the sweeper writes about an instance whose wakeup was lost."""
        watched.clock.at += GRACE + late
        bootstrap.use_ports(watched.ports)
        sweeper({}, Context())  # type: ignore[arg-type]
        return written(self.capsys)

    def publish(self, *refuses: NotificationKind, **members: dict[str, str]) -> list[Written]:
        """Return the metrics of the publisher about a new instance with some attributes of its item replaced.

        The bus does not accept the kinds in ``refuses``.
        """
        table = bootstrap.settings().tables.instances
        image = {**instance_item(an_instance(rev=1)), **members}
        record = stream_record(record_of(table, ("sid",), None, image, number=1), Tables(instances=table))
        write_publisher_metrics(
            publish(MemoryPublishing(bus=MemoryBus(refuses=dict.fromkeys(refuses, THROTTLED))), [record])
        )
        return written(self.capsys)

    def sweep_failing(self, error: Exception) -> list[Written]:
        watched = Watched()
        watched.store.load_fails = error
        return self.sweep(watched)

    def run_failing(self, error: Exception) -> list[Written]:
        """Return the metrics of a runner that cannot read its instance."""
        watched = Watched()
        watched.store.load_fails = error
        bootstrap.use_ports(watched.ports)
        with pytest.raises(type(error)):
            step_runner({"sid": watched.sid}, Context())  # type: ignore[arg-type]
        return written(self.capsys)

    def release_failing(self, error: Exception | None) -> list[Written]:
        """Return the metrics of the release of an instance that cannot be read, or can."""
        watched = Watched()
        account, by = watched.instance.account_id, Actor(name="ann")
        bootstrap.use_ports(watched.ports)
        pause_queue(watched.ports, account, by=by)
        step_runner({"sid": watched.sid}, Context())  # type: ignore[arg-type]
        assert watched.instance.blocked_by is not None
        shard = watched.instance.shard
        resume_queue(watched.ports, account, by=by)
        watched.store.load_fails = error
        written(self.capsys)
        bulk_runner({"sid": f"release-queue-{account}-{shard}"}, Context())  # type: ignore[arg-type]
        return written(self.capsys)

    def calls(self, service: str, answers: Sequence[CallOutcome]) -> list[Written]:
        """Return the metrics of an instance whose service has that key, with one call for each answer."""
        methods = [{"key": "get", "url": "/orders", "method": "get"}]
        steps: Json = [
            {
                "key": "call" if number == 0 else f"s{number}",
                "action": "post",
                "optional": True,
                **({"nextStep": f"s{number + 1}"} if number + 1 < len(answers) else {}),
            }
            for number in range(len(answers))
        ]
        parts: Json = {
            "services": [
                {
                    "key": service,
                    "baseUrls": [{"environment": "dev", "url": "http://127.0.0.1:4010"}],
                    "methods": methods,
                }
            ],
            "actions": [{"key": "post", "service": service, "method": "get"}],
        }
        return self.runs(strategy(steps=steps, parts=parts), *answers)


def greeting() -> Strategy:
    """Return a strategy with a task at creation, which is not a main event."""
    greet = {"onCreateTasks": [{"task": "greet"}]}
    return strategy(initial_delay={"unit": "days", "amount": 7}, parts=greet)


def circuit_after(failures: int) -> Strategy:
    """Return a strategy whose service has a circuit that opens after so many failures."""
    return strategy(service={"limit": {"circuit": {"failures": failures}}})


def late_runs(world: World, late: timedelta) -> list[Period]:
    """Return two periods in which an event was late."""
    periods: list[Period] = []
    for _ in range(2):
        watched = Watched()
        watched.clock.at += late
        periods.append(world.run(watched))
    return periods


def unanswered(world: World, later: timedelta) -> list[Written]:
    """Return the metrics that the step runner writes some time after it has sent an asynchronous call."""
    watched = Watched(strategy(method={"async": True}))
    world.run(watched)
    watched.clock.at = NOON + later + timedelta(minutes=1)
    return world.run(watched)


Scenario = Callable[[World], list[Period]]

HALF_FAIL = [BROKEN, BROKEN, BROKEN, OK, OK, OK]
FEW_FAIL = [BROKEN, BROKEN, OK, OK, OK, OK]


def failing(service: str) -> tuple[Scenario, Scenario]:
    return lambda world: [world.calls(service, HALF_FAIL)], lambda world: [world.calls(service, FEW_FAIL)]


OURS: dict[str, tuple[Scenario, Scenario]] = {
    "exhausted-events": (
        lambda world: [world.runs(None, DECLINED)],
        lambda world: [world.runs(strategy(retry=retries()), DECLINED)],
    ),
    "events-in-doubt": (
        lambda world: [world.runs(strategy(method={"inDoubt": "pause"}), TimedOut(why="no answer"))],
        lambda world: [world.runs(strategy(retry=retries()), DECLINED)],
    ),
    "poisoned-events": (
        lambda world: [world.runs(None, *(Crash() for _ in range(9)), times=6)],
        lambda world: [world.runs(None, *(Crash() for _ in range(4)), times=6)],
    ),
    "failed-side-tasks": (
        lambda world: [world.runs(greeting(), DECLINED)],
        lambda world: [world.runs(None, DECLINED)],
    ),
    "missing-answers": (
        lambda world: [unanswered(world, timedelta(days=7))],
        lambda world: [unanswered(world, timedelta(days=6.9))],
    ),
    "failed-plans": (
        lambda world: [world.runs(strategy(calendar(runOnCycle=1)))],
        lambda world: [world.runs(strategy())],
    ),
    "open-circuits": (
        lambda world: [world.runs(circuit_after(1), TimedOut(why="no answer"))],
        lambda world: [world.runs(circuit_after(2), TimedOut(why="no answer"))],
    ),
    "late-runs": (
        lambda world: late_runs(world, timedelta(minutes=6)),
        lambda world: late_runs(world, timedelta(minutes=4)),
    ),
    "service-1-failures": failing("shop"),
    "service-2-failures": failing("depot"),
    "service-3-failures": failing("mail"),
    "service-4-failures": failing("bank"),
    "other-services-failures": failing("unheard-of"),
    "lateness": (
        lambda world: [world.sweep(Watched(), late=timedelta(minutes=16)) for _ in range(3)],
        lambda world: [world.sweep(Watched(), late=timedelta(minutes=14)) for _ in range(3)],
    ),
    "failed-instances": (
        lambda world: [world.sweep_failing(ValueError("a bug"))],
        lambda world: [world.sweep(Watched())],
    ),
    "unknown-shape": (
        lambda world: [world.sweep_failing(StoredShapeError("schema 99"))],
        lambda world: [world.sweep_failing(ValueError("a bug"))],
    ),
    "missing-version": (
        lambda world: [world.sweep_failing(UnknownStrategyError("s-1 version 1"))],
        lambda world: [world.sweep_failing(ValueError("a bug"))],
    ),
    "refused-notifications": (
        lambda world: [
            world.publish(NotificationKind.INSTANCE_CREATED),
            [],
            world.publish(*NotificationKind),
        ],
        lambda world: [world.publish(*NotificationKind), world.publish(), world.publish()],
    ),
    "unreadable-changes": (
        lambda world: [world.publish(schema={"N": "99"})],
        lambda world: [world.publish()],
    ),
    "unreadable-settings": (
        lambda world: [world.sweep_failing(SealBrokenError("altered"))],
        lambda world: [world.sweep_failing(ValueError("a bug"))],
    ),
}
"""The alarms on our own metrics, each with a cause that fires it and a similar cause that does not."""


@pytest.fixture
def world(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, stage: None) -> World:
    assert stage is None
    monkeypatch.setenv("METERED_SERVICES", ",".join(METERED.values()))
    bootstrap.forget()
    return World(capsys)


class TestTheList:
    """Each alarm of the template is in exactly one list, and each name in the two lists is an alarm."""

    def test_it_has_every_alarm_once(self) -> None:
        assert sorted([*BY_AWS, *OURS]) == sorted(ALARMS.by_name)

    def test_only_metrics_of_aws_are_named_by_their_cause(self) -> None:
        namespaces = {name: {space for space, _ in ALARMS.metrics_of(name)} for name in ALARMS.by_name}

        assert {name for name, spaces in namespaces.items() if spaces == {"Ritornello"}} == set(OURS)


class TestOurMetrics:
    """An alarm fires on the metrics that the real handlers write when its cause occurs, not for a similar cause."""

    @pytest.mark.parametrize("name", OURS)
    def test_it_fires(self, name: str, world: World) -> None:
        assert ALARMS.fires(name, *OURS[name][0](world))

    @pytest.mark.parametrize("name", OURS)
    def test_its_neighbour_does_not_fire_it(self, name: str, world: World) -> None:
        assert not ALARMS.fires(name, *OURS[name][1](world))

    @pytest.mark.parametrize("name", sorted(set(OURS) - {"lateness"}))
    def test_it_does_not_fire_without_data(self, name: str) -> None:
        assert not ALARMS.fires(name)

    @pytest.mark.parametrize(
        ("error", "alarms"),
        [
            (StoredShapeError("schema 99"), {"failed-instances", "unknown-shape"}),
            (UnknownStrategyError("s-1 version 1"), {"failed-instances", "missing-version"}),
            (SealBrokenError("altered"), {"failed-instances", "unreadable-settings"}),
        ],
    )
    def test_a_runner_and_a_release_say_what_they_cannot_read(
        self, error: Exception, alarms: set[str], world: World
    ) -> None:
        """The sweeper does not read flags, nor what a flag blocks."""
        for lines in (world.run_failing(error), world.release_failing(error)):
            fired = {name for name in OURS if ALARMS.fires(name, lines)}
            assert fired - {"lateness"} == alarms  # which fires without a sweep

    def test_a_release_without_failures_fires_nothing(self, world: World) -> None:
        assert world.release_failing(None) == []

    def test_an_unknown_lateness_fires(self) -> None:
        assert ALARMS.fires("lateness")

    def test_four_failed_calls_are_too_few(self, world: World) -> None:
        assert not ALARMS.fires("service-1-failures", world.calls("shop", [BROKEN] * 4))
        assert ALARMS.fires("service-1-failures", world.calls("shop", [BROKEN] * 5))

    def test_failures_of_one_service_fire_its_own_alarm_only(self, world: World) -> None:
        written = world.calls("depot", HALF_FAIL)

        fired = [name for name in OURS if name.endswith("-failures") and ALARMS.fires(name, written)]

        assert fired == ["service-2-failures"]

    def test_one_late_period_is_not_enough(self, world: World) -> None:
        late, _ = late_runs(world, timedelta(minutes=6))

        assert not ALARMS.fires("late-runs", late)


class TestMetricsOfAws:
    """An alarm on a metric of AWS fires on the value that its cause gives the metric."""

    @pytest.mark.parametrize("name", BY_AWS)
    def test_it_fires(self, name: str) -> None:
        assert ALARMS.fires(name, *itertools.repeat(self.value(name, BY_AWS[name].fires), 13))
        assert not ALARMS.fires(name, *itertools.repeat(self.value(name, BY_AWS[name].quiet), 13))

    def test_a_queue_of_webhooks_that_was_once_empty_fires_nothing(self) -> None:
        busy = self.value("webhooks-waiting", 5000)
        hour: list[Period] = [busy] * 12
        assert ALARMS.fires("webhooks-waiting", *hour)

        hour[5] = [*busy, *self.value("webhooks-waiting", 0)]
        assert not ALARMS.fires("webhooks-waiting", *hour)

    @staticmethod
    def value(name: str, value: float) -> Period:
        alarm = ALARMS.by_name[name]
        return [
            Written(
                namespace=alarm["Namespace"],
                name=alarm["MetricName"],
                unit="Count",
                dimensions=ALARMS.dimensions_of(alarm),
                values=(value,),
            )
        ]
