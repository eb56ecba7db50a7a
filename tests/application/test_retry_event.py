"""Retrying a failed event. Source: docs/decisions/0020."""

from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from dev.memory.stores import MemoryInstances
from dev.memory.world import ManualClock, MemoryPorts
from shared.application.commit import ContentionError
from shared.application.ports import StaleRevError
from shared.application.retry_event import RetryEvent, retry_event
from shared.application.runner.loop import run_due_events
from shared.application.start import StartInstance, start_instance
from shared.domain.ids import InstanceSid
from shared.domain.instance.event import EventStatus, RedrivenFrom
from shared.domain.instance.journal import EventHistory
from shared.domain.instance.model import Instance
from shared.domain.instance.verdict import AlreadyThere, Applied, Refused, Verdict
from shared.domain.steps.call import Answered, CallOutcome, ServiceRequest, TimedOut
from shared.domain.strategy.model import Json
from tests.lifecycle_factories import ANN, strategy

START = datetime(2026, 2, 1, tzinfo=UTC)
STEPS: Json = [
    {"key": "call", "action": "post", "nextStep": "pay"},
    {"key": "pay", "action": "post", "final": True},
]


class Shop:
    """A service with prepared answers, which accepts every request after those."""

    def __init__(self, *answers: CallOutcome) -> None:
        self.answers = list(answers)
        self.keys: list[str] = []

    def call(self, request: ServiceRequest) -> CallOutcome:
        self.keys.append(request.call_key)
        return self.answers.pop(0) if self.answers else Answered(status=201, body={})


def failed(*answers: CallOutcome) -> tuple[MemoryPorts, InstanceSid]:
    """Return an instance whose first event has failed."""
    ports = MemoryPorts(caller=Shop(*answers), clock=ManualClock(START))
    of = strategy(steps=STEPS)
    ports.strategies.add(of)
    requests = StartInstance(strategy_id="shop", attributes={}, start_date=START)
    sid = start_instance(ports, of, requests).instance.sid
    run(ports, sid)
    assert ports.instances.records[sid, 1].event.status is EventStatus.FAILED
    return ports, sid


def keys(ports: MemoryPorts) -> list[str]:
    """Return the keys of the calls that were made."""
    assert isinstance(ports.caller, Shop)
    return ports.caller.keys


def run(ports: MemoryPorts, sid: InstanceSid) -> None:
    run_due_events(ports, sid, job="job", time_left=lambda: timedelta(minutes=15))


def retry(ports: MemoryPorts, sid: InstanceSid, seq: int = 1, from_step: str | None = None) -> Verdict | None:
    return retry_event(ports, RetryEvent(sid=sid, seq=seq, by=ANN, from_step=from_step))


OK, NO = Answered(status=201, body={}), Answered(status=402, body={})


class TestAFailedEvent:
    """One write opens the event again, removes its record, and adds the record's step to the journal."""

    def test_a_retried_event_is_open_again(self) -> None:
        ports, sid = failed(OK, NO)
        record = ports.instances.records[sid, 1]

        verdict = retry(ports, sid)

        assert isinstance(verdict, Applied)
        assert ports.instances.instances[sid] == verdict.instance
        assert record.last is not None
        assert [entry.intent.step for entry in ports.instances.event_history(sid, 1).entries] == [
            "call",
            "pay",
        ]
        assert ports.instances.event_history(sid, 1).entries[1] == record.last
        assert ports.instances.event_history(sid, 1).record is None
        assert ports.wakeups.invoked[-1] == sid
        assert ports.instances.audit[-1].command == "retry"

    def test_a_retried_event_runs_to_its_end(self) -> None:
        ports, sid = failed(OK, NO)
        retry(ports, sid)

        run(ports, sid)

        record = ports.instances.records[sid, 1]
        assert (record.event.status, record.event.run) == (EventStatus.PROCESSED, 2)
        assert keys(ports) == [f"{sid}-1-1-1", f"{sid}-1-1-2", f"{sid}-1-2-1"]

    def test_an_unanswered_call_keeps_its_key(self) -> None:
        ports, sid = failed(OK, TimedOut(why="silence"))
        retry(ports, sid)

        run(ports, sid)

        assert keys(ports)[1:] == [f"{sid}-1-1-2", f"{sid}-1-1-2"]
        assert ports.instances.records[sid, 1].in_doubt

    def test_retrying_twice_changes_nothing(self) -> None:
        ports, sid = failed(OK, NO)
        retry(ports, sid)
        assert isinstance(retry(ports, sid), AlreadyThere)
        assert len([entry for entry in ports.instances.audit if entry.command == "retry"]) == 1

    def test_the_step_must_exist_in_the_version_of_the_event(self) -> None:
        ports, sid = failed(OK, NO)
        retry(ports, sid, from_step="call")
        event = ports.instances.instances[sid].event(1)
        assert event is not None
        assert event.reuse.redriven_from == (RedrivenFrom(step="call", run=2),)
        refused = retry(*failed(OK, NO), from_step="tell")
        assert isinstance(refused, Refused)
        assert [problem.pointer for problem in refused.problems] == ["/fromStep"]

    def test_a_task_missing_in_the_version_is_refused(self) -> None:
        ports, sid = failed(OK, NO)
        record = ports.instances.records[sid, 1]
        gone = replace(record, event=replace(record.event, task="gone"))
        ports.instances.records[sid, 1] = gone
        assert isinstance(retry(ports, sid, from_step="call"), Refused)


class TestWhatIsNotThere:
    """An unknown instance or event returns None."""

    def test_retrying_an_unknown_event_returns_none(self) -> None:
        ports, sid = failed(OK, NO)
        assert retry(ports, sid, seq=99) is None

    def test_retrying_an_unknown_instance_returns_none(self) -> None:
        ports, _ = failed(OK, NO)
        assert retry(ports, InstanceSid("none")) is None


class Contended(MemoryInstances):
    """A store in which another writer is faster a number of times."""

    losses = 1

    def commit(self, instance: Instance, **more: object) -> None:
        if self.losses:
            self.losses -= 1
            raise StaleRevError
        super().commit(instance, **more)  # type: ignore[arg-type]


class TestRaces:
    """After a lost race the instance and the event's history are read again."""

    def contended(self, losses: int) -> tuple[MemoryPorts, InstanceSid]:
        ports, sid = failed(OK, NO)
        store = ports.instances
        ports.instances = Contended(
            instances=store.instances, journal=store.journal, records=store.records, audit=store.audit
        )
        ports.instances.losses = losses
        return ports, sid

    def test_a_retry_decides_again_after_a_lost_race(self) -> None:
        ports, sid = self.contended(3)
        assert isinstance(retry(ports, sid), Applied)

    def test_a_retry_that_loses_every_race_raises(self) -> None:
        ports, sid = self.contended(1000)
        with pytest.raises(ContentionError):
            retry(ports, sid)
        assert ports.instances.event_history(sid, 1) != EventHistory()
