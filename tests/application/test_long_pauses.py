"""A pause of a hundred days, resumed in four ways. The events listed in the answer are the events that run."""

from datetime import timedelta

import pytest

from dev.memory.world import ManualClock, MemoryPorts
from shared.application.control import control
from shared.application.runner.loop import run_due_events
from shared.application.start import StartInstance, start_instance
from shared.domain.calendar.dates import format_instant
from shared.domain.ids import InstanceSid
from shared.domain.instance.due import next_event
from shared.domain.instance.verdict import Actor, Applied
from shared.domain.lifecycle.commands import Pause, Resume
from shared.domain.planning.forecast import overdue
from shared.domain.steps.call import Answered, CallOutcome, ServiceRequest
from shared.domain.strategy.model import OnResume
from tests.lifecycle_factories import at
from tests.simulation.stories import example

ANN = Actor(name="ann")
START, PAUSED = at("2026-01-31T10:00"), at("2026-02-10T12:00")
RESUMED = PAUSED + timedelta(days=100)

FEBRUARY, MARCH, APRIL = (2, "2026-02-28T10:00"), (3, "2026-03-31T09:00"), (4, "2026-04-30T09:00")


class Shop:
    """A service that accepts every request."""

    def call(self, _: ServiceRequest) -> CallOutcome:
        return Answered(status=201, body={"id": "x"})


def after_a_hundred_days(on_late: OnResume) -> tuple[MemoryPorts, InstanceSid, Applied]:
    """Return a monthly plan that shipped once, was paused for a hundred days, and was resumed."""
    ports = MemoryPorts(caller=Shop(), clock=ManualClock(START))
    strategy = example("water-filter-refill")
    ports.strategies.add(strategy)
    requests = StartInstance(strategy_id=strategy.name, attributes={"customerId": "c"}, start_date=START)
    sid = start_instance(ports, strategy, requests).instance.sid
    run(ports, sid)
    ports.clock.at = PAUSED
    control(ports, sid, Pause(by=ANN))
    ports.clock.at = RESUMED
    verdict = control(ports, sid, Resume(by=ANN, on_late=on_late))
    assert isinstance(verdict, Applied)
    return ports, sid, verdict


def run(ports: MemoryPorts, sid: InstanceSid) -> None:
    """Run all due events."""
    run_due_events(ports, sid, job="job", time_left=lambda: timedelta(minutes=15))


def events_of(ports: MemoryPorts, verdict: Applied) -> list[tuple[int, str]]:
    (strategy,) = ports.strategies.strategies.values()
    late = overdue(strategy, verdict.instance, now=ports.clock.now())
    return [(event.created_cycle, format_instant(event.date)[:16]) for event in late]


def ran_then(ports: MemoryPorts) -> list[tuple[int, str]]:
    """Return cycle and date of the events that ran since the resume."""
    records = sorted(ports.instances.records.values(), key=lambda record: record.event.seq)
    return [
        (record.event.created_cycle, format_instant(record.event.date)[:16])
        for record in records
        if record.event.times.executed_at is not None and record.event.times.executed_at >= RESUMED
    ]


class TestTheFourWays:
    """Three monthly dates passed during the pause."""

    @pytest.mark.parametrize(
        ("on_late", "runs", "skipped", "goes_on"),
        [
            (OnResume.LAST, [APRIL], (2, 3), (5, "2026-05-31T09:00")),
            (OnResume.ALL, [FEBRUARY, MARCH, APRIL], None, (5, "2026-05-31T09:00")),
            (OnResume.SKIP, [], (2, 4), (5, "2026-05-31T09:00")),
            (OnResume.SHIFT, [], None, (2, "2026-06-08T10:00")),
        ],
    )
    def test_the_events_of_the_answer_are_those_that_run(
        self,
        on_late: OnResume,
        runs: list[tuple[int, str]],
        skipped: tuple[int, int] | None,
        goes_on: tuple[int, str],
    ) -> None:
        ports, sid, verdict = after_a_hundred_days(on_late)
        expected = events_of(ports, verdict)

        run(ports, sid)

        assert expected == ran_then(ports) == runs
        told_skipped = (
            None if verdict.skipped is None else (verdict.skipped.first_cycle, verdict.skipped.last_cycle)
        )
        assert told_skipped == skipped
        instance = ports.instances.load(sid)
        assert instance is not None
        event = next_event(instance)
        assert event is not None
        assert (event.created_cycle, format_instant(event.date)[:16]) == goes_on
