"""Every outcome of a call, with every method, policy and crash: which calls, which keys, which marks.

Source: docs/contracts/core.md section 3.5; docs/decisions/0030.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pytest

from dev.memory.stores import MemoryInstances
from dev.memory.world import ManualClock, MemoryPorts
from shared.application.control import control
from shared.application.runner.loop import run_due_events
from shared.application.start import StartInstance, start_instance
from shared.domain.ids import InstanceSid
from shared.domain.instance.due import next_event
from shared.domain.instance.event import EventStatus, PausedFor, Resolution
from shared.domain.instance.journal import EventRecord, JournalEntry
from shared.domain.instance.model import Instance
from shared.domain.instance.verdict import Actor, Applied
from shared.domain.lifecycle.commands import Resolve
from shared.domain.steps.call import (
    AddressRefused,
    Answered,
    CallOutcome,
    ServiceRequest,
    TimedOut,
    TokenRefused,
    Unreachable,
)
from tests.factories import settings, strategy_from, task

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
RETRY_AFTER = timedelta(days=3)
OK = Answered(status=201, body={"ok": True})
ANN = Actor(name="ann")

METHODS = ("post", "patch", "get", "put", "delete")
POLICIES = ("retry", "pause", "fail")
CRASHES = ("never", "before it is stored", "after it is stored")


class Kind(NamedTuple):
    """A kind of outcome: whether the next call has the same key, the call is in doubt, and an attempt is used up."""

    same_key: bool
    in_doubt: bool = False
    uses_attempt: bool = True


DONE = Kind(same_key=True, uses_attempt=False)
DEFINITE = Kind(same_key=False)
REFUSED = Kind(same_key=True)
WAITS = Kind(same_key=True, uses_attempt=False)
UNKNOWN = Kind(same_key=True, in_doubt=True)

OUTCOMES: dict[str, tuple[CallOutcome, Kind]] = {
    "200": (Answered(status=200, body={"ok": True}), DONE),
    "201": (OK, DONE),
    "fail of the controller": (Answered(status=200, body={"ok": False}), DEFINITE),
    **{
        str(status): (Answered(status=status), DEFINITE)
        for status in (400, 401, 402, 403, 404, 410, 418, 422, 424, 426, 451)
    },
    "499 in definiteStatuses": (Answered(status=499), DEFINITE),
    "509 in definiteStatuses": (Answered(status=509), DEFINITE),
    "402 too large": (Answered(status=402, unusable="larger than 128 KB"), DEFINITE),
    "409": (Answered(status=409), REFUSED),
    "425": (Answered(status=425), REFUSED),
    "no connection": (Unreachable(why="no connection"), REFUSED),
    "internal address": (AddressRefused(why="internal"), REFUSED),
    "429": (Answered(status=429), WAITS),
    "429 with Retry-After": (Answered(status=429, retry_after=timedelta(hours=5)), WAITS),
    "503": (Answered(status=503), WAITS),
    "503 too large": (Answered(status=503, unusable="larger than 128 KB"), WAITS),
    "no token for now": (TokenRefused(why="no token"), WAITS),
    "silence": (TimedOut(why="silence"), UNKNOWN),
    **{
        str(status): (Answered(status=status), UNKNOWN)
        for status in (301, 302, 307, 408, 500, 501, 502, 504, 505, 507, 520, 524, 599)
    },
    "200 too large": (Answered(status=200, unusable="larger than 128 KB"), UNKNOWN),
    "200 undecodable": (Answered(status=200, unusable="not JSON"), UNKNOWN),
    "200 with a NUL": (Answered(status=200, body={"ok": True, "n": "\0"}), UNKNOWN),
    "200 with half a pair": (Answered(status=200, body={"ok": True, "n": "\ud83d"}), UNKNOWN),
    "200 against its schema": (Answered(status=200, body={"ok": "yes"}), UNKNOWN),
    "200 that no controller can judge": (Answered(status=200, body={}), UNKNOWN),
    "200 without room": (Answered(status=200, body={"ok": True, "n": "x" * 200_000}), UNKNOWN),
}


class CrashedError(Exception):
    """The runner crashes here."""


@dataclass
class Service:
    """A service that returns ``first`` to the first call, and ``OK`` to all later calls."""

    first: CallOutcome
    keys: list[str] = field(default_factory=list)
    correlation_ids: list[str] = field(default_factory=list)

    def call(self, request: ServiceRequest) -> CallOutcome:
        self.keys.append(request.headers["Idempotency-Key"])
        self.correlation_ids.append(request.headers["X-Correlation-Id"])
        return self.first if len(self.keys) == 1 else OK


@dataclass
class Crashing(MemoryInstances):
    """A store whose first write after a call crashes its runner, before or after it."""

    service: Service = field(default_factory=lambda: Service(OK))
    when: str = "never"

    def append(self, instance: Instance, entry: JournalEntry) -> None:
        for _ in self._crashing():
            super().append(instance, entry)

    def put_record(self, instance: Instance, record: EventRecord) -> None:
        for _ in self._crashing():
            super().put_record(instance, record)

    def commit(self, instance: Instance, **beside: Any) -> None:
        for _ in self._crashing():
            super().commit(instance, **beside)

    def _crashing(self) -> Iterator[None]:
        when = self.when if self.service.keys else "never"
        self.when = "never" if self.service.keys else self.when
        if when == "before it is stored":
            raise CrashedError
        yield
        if when == "after it is stored":
            raise CrashedError


class Story:
    """An event with one call, until it has ended. An operator has calls in doubt sent again, after days."""

    def __init__(self, first: CallOutcome, method: str, policy: str, crash: str) -> None:
        self.service = Service(first)
        clock = ManualClock(NOON)
        store = Crashing(service=self.service, when=crash)
        self.ports = MemoryPorts(caller=self.service, clock=clock, instances=store)
        strategy = strategy_from(document(method, policy))
        self.ports.strategies.add(strategy)
        asked = StartInstance(strategy_id=strategy.name, attributes={})
        self.sid = InstanceSid(start_instance(self.ports, strategy, asked).instance.sid)
        self.was_paused = False
        while self.instance.event(1) is not None:
            self._continue()

    @property
    def instance(self) -> Instance:
        found = self.ports.instances.load(self.sid)
        assert found is not None
        return found

    @property
    def record(self) -> EventRecord:
        return self.ports.instances.records[self.sid, 1]

    def _continue(self) -> None:
        """Retry a call in doubt as an operator. Then run the next due event, or take over after a crash."""
        event, clock = self.instance.event(1), self.ports.clock
        assert event is not None
        if event.paused_for is PausedFor.IN_DOUBT:
            self.was_paused = True
            clock.at += timedelta(days=2)
            verdict = control(self.ports, self.sid, Resolve(seq=1, resolution=Resolution.RETRY, by=ANN))
            assert isinstance(verdict, Applied)
        lease, upcoming = self.instance.lease, next_event(self.instance)
        due = lease.until if lease is not None else None if upcoming is None else upcoming.due_at
        assert due is not None, "the event is stuck"
        clock.at = max(clock.at, due)
        try:
            run_due_events(self.ports, self.sid, job="job", time_left=lambda: timedelta(minutes=15))
        except CrashedError:
            assert self.ports.instances.when == "never"  # type: ignore[attr-defined]


def document(method: str, policy: str) -> dict[str, Any]:
    """Return a monthly call with a schema, a controller that may decline, and one retry after three days."""
    called = {
        "key": "call",
        "url": "/things",
        "method": method,
        "inDoubt": policy,
        "definiteStatuses": [499, 509],
        "responseValidation": {
            "optionalProperties": {"ok": {"type": "boolean"}},
            "additionalProperties": True,
        },
    }
    charge = {
        "key": "charge",
        "action": "call",
        "controllerCallback": 'response.ok ? {} : {"fail": dyn("declined")}',
    }
    retry = {"times": 1, "retryAfter": {"unit": "days", "amount": 3}}
    base = {"key": "api", "baseUrls": [{"environment": "dev", "url": "https://api.example.com"}]}
    return settings(
        task("main", charge, retryConfig=retry),
        services=[{**base, "methods": [called]}],
        actions=[
            {
                "key": "call",
                "service": "api",
                "method": "call",
                "headers": {"X-Correlation-Id": "{{event.correlationId}}"},
            }
        ],
    )


def summary_of(story: Story) -> dict[str, Any]:
    """Return the facts of a story that ``expected`` predicts."""
    keys, correlation_ids = set(story.service.keys), set(story.service.correlation_ids)
    assert len(keys) == len(correlation_ids), "key and correlation id change together"
    return {
        "status": story.record.event.status,
        "calls": len(story.service.keys),
        "same key": len(keys) == 1,
        "run": story.record.event.run,
        "attempt": story.record.event.attempt,
        "paused": story.was_paused,
        "in doubt": story.record.in_doubt,
    }


def expected(kind: Kind, method: str, policy: str, crash: str) -> dict[str, Any]:
    """Return the summary that a story must have.

    A crash before the answer is stored leaves the call in doubt, whatever the answer. GET, PUT and DELETE are never in
    doubt.
    """
    is_lost = crash == "before it is stored"
    kind = Kind(same_key=True, in_doubt=True, uses_attempt=policy == "fail") if is_lost else kind
    has_policy = method in ("post", "patch")
    pauses = kind.in_doubt and has_policy and policy == "pause"
    # An operator has the call sent again, and GET, PUT and DELETE are repeated after a crash, in the same run.
    in_the_same_run = pauses or (is_lost and not has_policy)
    runs = 2 if kind.uses_attempt and not in_the_same_run else 1
    return {
        "status": EventStatus.PROCESSED,
        "calls": 1 if kind is DONE else 2,
        "same key": kind.same_key,
        "run": runs,
        "attempt": runs,
        "paused": pauses,
        "in doubt": kind.in_doubt and has_policy,
    }


class TestKeys:
    """ "Key and correlation id stay" after all but a definite answer, days later and whatever crashes."""

    @pytest.mark.parametrize("name", OUTCOMES)
    @pytest.mark.parametrize("method", METHODS)
    @pytest.mark.parametrize("policy", POLICIES)
    @pytest.mark.parametrize("crash", CRASHES)
    def test_the_outcome_decides_about_the_next_call(
        self, name: str, method: str, policy: str, crash: str
    ) -> None:
        first, kind = OUTCOMES[name]

        assert summary_of(Story(first, method, policy, crash)) == expected(kind, method, policy, crash)


class TestGone:
    """A DELETE without a definite answer has succeeded if its repeat finds nothing."""

    @pytest.mark.parametrize(("first", "runs"), [(504, 2), (500, 2)])
    def test_a_repeated_delete_that_finds_nothing_succeeds(self, first: int, runs: int) -> None:
        answers: Sequence[CallOutcome] = (Answered(status=first), Answered(status=404, body={"ok": True}))
        service_keys: list[str] = []

        class Gone(Service):
            def call(self, request: ServiceRequest) -> CallOutcome:
                service_keys.append(request.call_key)
                return answers[len(service_keys) - 1]

        clock = ManualClock(NOON)
        ports = MemoryPorts(caller=Gone(OK), clock=clock)
        strategy = strategy_from(document("delete", "retry"))
        ports.strategies.add(strategy)
        asked = StartInstance(strategy_id=strategy.name, attributes={})
        sid = InstanceSid(start_instance(ports, strategy, asked).instance.sid)
        for _ in range(2):
            run_due_events(ports, sid, job="job", time_left=lambda: timedelta(minutes=15))
            clock.at += RETRY_AFTER

        record = ports.instances.records[sid, 1]
        assert (record.event.status, record.event.run, len(set(service_keys))) == ("PROCESSED", runs, 1)
