"""An instance whose runs are reported, with a service and a store that the test controls."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any

from dev.memory.stores import MemoryInstances
from dev.memory.world import ManualClock, MemoryPorts
from shared.application.ports import OverloadedError
from shared.application.runner.loop import run_due_events
from shared.application.runner.report import RunReport
from shared.application.start import StartInstance, start_instance
from shared.domain.ids import InstanceSid
from shared.domain.instance.model import Instance
from shared.domain.steps.call import Answered, CallOutcome, ServiceRequest
from shared.domain.strategy.model import Json, Strategy
from tests.lifecycle_factories import at, strategy

NOON = at("2026-01-31T12:00")
A_MINUTE = timedelta(minutes=1)
A_LEASE = timedelta(minutes=4)
"""Longer than a lease in these tests, and shorter than the time in which a takeover counts a crash."""
OK = Answered(status=201, body={"id": "x"})
TWO_STEPS: Json = [
    {"key": "call", "action": "post", "nextStep": "next"},
    {"key": "next", "action": "post"},
]


class Crash(Exception):  # noqa: N818 - stands for the end of a process
    """Ends a runner."""


class Fragile(MemoryInstances):
    """A store in which something happens before some commits, counted from 1 on."""

    before: Mapping[int, Callable[[], object]]
    commits = 0
    load_fails: Exception | None = None

    def load(self, sid: InstanceSid) -> Instance | None:
        if self.load_fails is not None:
            raise self.load_fails
        return super().load(sid)

    def commit(self, instance: Instance, **beside: Any) -> None:
        self.commits += 1
        self.before.get(self.commits, lambda: None)()
        super().commit(instance, **beside)


def crash() -> None:
    raise Crash


def overload() -> None:
    raise OverloadedError("commit")


class Watched:
    """The only instance of a strategy, due at noon. Each call of its service takes a quarter of a second.

    ``answers`` are the next outcomes of calls; an exception among them crashes the runner. ``meanwhile`` happens during
    the next call.
    """

    def __init__(self, of: Strategy | None = None, *answers: CallOutcome | Exception) -> None:
        self.answers = list(answers)
        self.meanwhile: Callable[[], object] = lambda: None
        self.requests: list[ServiceRequest] = []
        self.clock = ManualClock(NOON)
        self.store = Fragile()
        self.store.before = {}
        self.ports = MemoryPorts(caller=self, clock=self.clock, instances=self.store)
        runs = of or strategy()
        self.ports.strategies.add(runs)
        request = StartInstance(strategy_id=runs.name, attributes={}, start_date=NOON)
        self.sid: InstanceSid = start_instance(self.ports, runs, request).instance.sid

    def call(self, request: ServiceRequest) -> CallOutcome:
        self.requests.append(request)
        self.clock.at += timedelta(seconds=0.25)
        happens, self.meanwhile = self.meanwhile, lambda: None
        happens()
        answer = self.answers.pop(0) if self.answers else OK
        if isinstance(answer, Exception):
            raise answer
        return answer

    @property
    def instance(self) -> Instance:
        found = self.ports.instances.load(self.sid)
        assert found is not None
        return found

    def run(self, *, after: timedelta = timedelta(), seconds: float = 900) -> list[RunReport]:
        """Start a runner some time later and return its reports. It may crash."""
        self.clock.at += after
        ends = self.clock.at + timedelta(seconds=seconds)
        reports: list[RunReport] = []
        with suppress(Crash):
            run_due_events(
                self.ports, self.sid, job="job", time_left=lambda: ends - self.clock.at, report=reports.append
            )
        return reports
