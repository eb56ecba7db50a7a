"""A burst: many events that are due at once, run by a number of containers, in simulated time.

The containers run the real step runner over stores in memory. Each request to a store takes some milliseconds, and so
does each call. Only one container runs at a time, until its next request, as in ``stage.py``.
"""

import random
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from itertools import count
from typing import Any, cast

from dev.memory.limits import MemoryLimits
from dev.memory.world import ManualClock, MemoryPorts
from shared.application.ports import ConnectionLostError, InstanceStore, LimitAttempt, StrategyStore
from shared.application.runner.loop import run_due_events
from shared.application.start import StartInstance, start_instance
from shared.domain.ids import AccountId, InstanceSid, StrategySid
from shared.domain.instance.due import Due, Scheduled, next_run
from shared.domain.limits.state import LimitChange, LimitState
from shared.domain.steps.call import Answered, CallOutcome, ServiceRequest
from shared.domain.strategy.model import Json, Strategy
from shared.domain.strategy.parse import read_definition
from tests.simulation.stage import Process, Stage

NINE = datetime(2026, 3, 2, 9, tzinfo=UTC)
LAMBDA = timedelta(seconds=900)
LIMIT_REQUESTS = ("load", "change", "try_change")


def settings_of(limit: Json) -> Json:
    """Return settings with one call a day."""
    return {
        "config": {"timezone": "Etc/UTC"},
        "schedule": {
            "calendars": [{"key": "daily", "task": "charge", "scheduleAfter": {"unit": "days", "amount": 1}}]
        },
        "services": [
            {
                "key": "gateway",
                "baseUrls": [{"environment": "dev", "url": "https://gateway.example.test"}],
                "methods": [{"key": "charge", "url": "/charges", "method": "post"}],
                "limit": limit,
            }
        ],
        "actions": [{"key": "charge", "service": "gateway", "method": "charge"}],
        "tasks": [
            {
                "key": "charge",
                "initialStep": "charge",
                "steps": [{"key": "charge", "action": "charge", "final": True}],
            }
        ],
    }


@dataclass
class Burst:
    """The time, the containers, and what they have done.

    ``lost_replies`` is the chance that the reply to a change of the limit is lost, and ``late_replies`` that it takes
    six seconds. A call takes between the two of ``lasts``, in seconds. ``calls`` are the instants at which calls were
    sent, by their keys.
    """

    limit: Json
    events: int
    containers: int
    rng: random.Random
    lost_replies: float = 0.0
    late_replies: float = 0.0
    skew: timedelta = timedelta()
    lasts: tuple[float, float] = (0.02, 0.08)
    at: datetime = NINE - timedelta(hours=1)
    stage: Stage = field(default_factory=Stage)
    waking: list[tuple[datetime, int, Process]] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=count)
    calls: list[tuple[datetime, str]] = field(default_factory=list)
    requests: dict[str, int] = field(default_factory=dict)
    pending: deque[InstanceSid] = field(default_factory=deque)
    scheduled: list[tuple[datetime, int, InstanceSid]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Start an instance for each event, all due at nine."""
        clock = ManualClock(self.at)
        self.ports = MemoryPorts(caller=Gateway(self), clock=clock)
        strategy = Strategy(
            sid=StrategySid("s-1"),
            account_id=AccountId("a-1"),
            name="charges",
            version=1,
            definition=read_definition(settings_of(self.limit), environment="dev"),
            environment="dev",
        )
        self.ports.strategies.add(strategy)
        asked = StartInstance(strategy_id="charges", start_date=NINE, attributes={})
        self.sids = [start_instance(self.ports, strategy, asked).instance.sid for _ in range(self.events)]

    def run(self, *, until: timedelta) -> None:
        """Let the containers work from nine on."""
        self.pending.extend(self.sids)
        self.at = NINE
        for number in range(self.containers):
            process = self.stage.start(f"container-{number}", Container(self).work, at=NINE)
            process.skew = self.skew * self.rng.uniform(-1, 1)
            self.wake(process, NINE + timedelta(milliseconds=self.rng.randrange(400)))
        self.stage.play(self._turns(NINE + until))

    def wake(self, process: Process, at: datetime) -> None:
        """Let a process continue at an instant."""
        heappush(self.waking, (at, next(self.numbers), process))

    def pass_time(self, seconds: float) -> None:
        """Let the current process continue later."""
        process = self.stage.current
        assert process is not None
        self.wake(process, self.at + timedelta(seconds=seconds))
        self.stage.point("")

    def next_instance(self) -> InstanceSid | None:
        """Return an instance whose wakeup has come, or None. Wakeups of the Scheduler are up to a minute late."""
        while self.scheduled and self.scheduled[0][0] <= self.at:
            self.pending.append(heappop(self.scheduled)[2])
        return self.pending.popleft() if self.pending else None

    def rest_of(self, sid: InstanceSid) -> None:
        """Schedule the next wakeup of an instance whose event is not done."""
        instance = self.ports.instances.instances[sid]
        following = next_run(instance, self.at)
        if isinstance(following, Due):
            self.pending.append(sid)
        if isinstance(following, Scheduled) and following.at < NINE + timedelta(hours=12):
            late = timedelta(seconds=self.rng.uniform(0, 60))
            heappush(self.scheduled, (following.at + late, next(self.numbers), sid))

    def _turns(self, end: datetime) -> Iterator[Process]:
        while self.waking:
            at, _, process = heappop(self.waking)
            if at > end:
                return
            self.at = at
            yield process


@dataclass(slots=True)
class Gateway:
    """The service."""

    burst: Burst

    def call(self, request: ServiceRequest) -> CallOutcome:
        self.burst.calls.append((self.burst.at, request.call_key))
        self.burst.pass_time(self.burst.rng.uniform(*self.burst.lasts))
        return Answered(status=201, body={"id": "1"})


@dataclass(slots=True)
class Distant:
    """A store, each request to which takes 2 to 8 milliseconds, half of them before its effect."""

    burst: Burst
    inner: Any

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self.inner, name)

        def request(*args: Any, **kwargs: Any) -> Any:
            self.burst.pass_time(self.burst.rng.uniform(0.001, 0.004))
            result = method(*args, **kwargs)
            self.burst.pass_time(self.burst.rng.uniform(0.001, 0.004))
            return result

        return request


@dataclass(slots=True)
class DistantLimits:
    """The store of limits, which counts its requests and loses replies."""

    burst: Burst
    inner: MemoryLimits

    def load(self, account: AccountId, origin: str) -> LimitState:
        self._pass("reads")
        return self.inner.load(account, origin)

    def change(self, account: AccountId, origin: str, change: LimitChange) -> LimitAttempt:
        self._pass("writes")
        attempt = self.inner.change(account, origin, change)
        if not attempt.is_stored:
            self.burst.requests["refused"] = self.burst.requests.get("refused", 0) + 1
        is_late = self.burst.late_replies > 0 and self.burst.rng.random() < self.burst.late_replies
        self.burst.pass_time(6 if is_late else self.burst.rng.uniform(0.001, 0.004))
        if self.burst.rng.random() < self.burst.lost_replies:
            raise ConnectionLostError("the reply was lost")
        return attempt

    def try_change(self, account: AccountId, origin: str, change: LimitChange) -> LimitAttempt | None:
        self._pass("returns")
        attempt = self.inner.change(account, origin, change)
        self.burst.pass_time(self.burst.rng.uniform(0.001, 0.004))
        return attempt

    def _pass(self, kind: str) -> None:
        self.burst.requests[kind] = self.burst.requests.get(kind, 0) + 1
        self.burst.pass_time(self.burst.rng.uniform(0.001, 0.004))


class Container:
    """A container of the step runner. It handles one invocation after another."""

    def __init__(self, burst: Burst) -> None:
        ports = burst.ports
        self.burst = burst
        self.access, self.audit, self.operations, self.webhooks = (
            ports.access,
            ports.audit,
            ports.operations,
            ports.webhooks,
        )
        self.caller, self.controllers, self.ids = ports.caller, ports.controllers, ports.ids
        self.wakeups, self.clock = ports.wakeups, self
        self.instances = cast("InstanceStore", Distant(burst, ports.instances))
        self.strategies = cast("StrategyStore", Distant(burst, ports.strategies))
        self.limits = DistantLimits(burst, ports.limits)

    def now(self) -> datetime:
        """Return the time on this container's clock, in milliseconds."""
        process = self.burst.stage.current
        at = self.burst.at + (timedelta() if process is None else process.skew)
        return at.replace(microsecond=at.microsecond // 1000 * 1000)

    def sleep(self, seconds: float) -> None:
        if seconds > 0:
            self.burst.pass_time(seconds)

    def work(self) -> None:
        """Handle invocations until no more come."""
        idle = 0
        while idle < 600:
            sid = self.burst.next_instance()
            if sid is None:
                idle += 1
                self.sleep(1)
                continue
            idle, ends = 0, self.now() + LAMBDA
            run_due_events(self, sid, job="job", time_left=lambda ends=ends: ends - self.now())  # type: ignore[misc]
            self.burst.rest_of(sid)
