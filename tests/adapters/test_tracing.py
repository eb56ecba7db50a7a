"""The subsegments that a traced step runner sends to X-Ray's daemon."""

import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from msgspec.structs import replace

from shared.adapters.tracing import MAX_CALLS, RunTracer
from shared.application.runner.report import RunOutcome, RunReport
from shared.domain.steps.call import Answered, CallOutcome, TimedOut
from tests.application.runner.watched import NOON, OK, TWO_STEPS, Watched
from tests.lifecycle_factories import strategy

TRACE = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
AT = NOON.timestamp()


@dataclass
class Daemon:
    """A daemon's socket on this machine."""

    socket: socket.socket
    errors: list[OSError] = field(default_factory=list)

    @property
    def address(self) -> str:
        host, port = self.socket.getsockname()
        return f"{host}:{port}"

    def tracer(self, **environment: str) -> RunTracer:
        numbers = iter(range(1, 1_000))
        given = {"_X_AMZN_TRACE_ID": TRACE, "AWS_XRAY_DAEMON_ADDRESS": self.address, **environment}
        return RunTracer(
            environment=given,
            entropy=lambda size: next(numbers).to_bytes(size, "big"),
            report=self.errors.append,
        )

    def received(self) -> list[dict[str, Any]]:
        """Return the documents received since the last call."""
        found: list[dict[str, Any]] = []
        while True:
            try:
                header, _, text = self.socket.recv(65_536).partition(b"\n")
            except BlockingIOError:
                return found
            assert json.loads(header) == {"format": "json", "version": 1}
            found.append(json.loads(text))


@pytest.fixture
def daemon(socket_enabled: None) -> Iterator[Daemon]:
    assert socket_enabled is None
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.setblocking(False)  # noqa: FBT003 - its only argument
        yield Daemon(listening)


def a_run(*answers: CallOutcome) -> RunReport:
    (report,) = Watched(strategy(steps=TWO_STEPS), *answers).run()
    return report


class TestASampledInvocation:
    """Each run is one document: a subsegment of the invocation, with its calls inside."""

    def test_a_run_is_sent_with_its_calls(self, daemon: Daemon) -> None:
        daemon.tracer().send(a_run())

        def call(number: int, step: str, start: float) -> dict[str, Any]:
            return {
                "id": f"{number:016x}",
                "name": "shop",
                "start_time": AT + start,
                "end_time": AT + start + 0.25,
                "namespace": "remote",
                "http": {"response": {"status": 201}},
                "annotations": {"step": step, "method": "post", "attempt": 1},
                "fault": False,
                "error": False,
                "throttle": False,
            }

        assert daemon.received() == [
            {
                "id": f"{1:016x}",
                "name": "bill",
                "start_time": AT,
                "end_time": AT + 0.5,
                "type": "subsegment",
                "trace_id": "1-5759e988-bd862e3fe1be46a994272793",
                "parent_id": "53995c3f42cd8ad8",
                "annotations": {
                    "account": "a-1",
                    "strategy": "s-1",
                    "instance": "i0001",
                    "event": "i0001-1",
                    "task": "bill",
                    "outcome": "processed",
                },
                "fault": False,
                "error": False,
                "subsegments": [call(2, "call", 0), call(3, "next", 0.25)],
            }
        ]
        assert daemon.errors == []

    @pytest.mark.parametrize(
        ("answer", "fault", "error", "throttle"),
        [
            (Answered(status=402), False, True, False),
            (Answered(status=429), False, True, True),
            (Answered(status=500), True, False, False),
            (TimedOut(why="no answer"), True, False, False),
        ],
        ids=str,
    )
    def test_a_call_is_marked_by_its_status(
        self, daemon: Daemon, answer: CallOutcome, *, fault: bool, error: bool, throttle: bool
    ) -> None:
        daemon.tracer().send(a_run(answer))

        call = daemon.received()[0]["subsegments"][0]
        assert (call["fault"], call["error"], call["throttle"]) == (fault, error, throttle)
        assert ("http" in call) == isinstance(answer, Answered)

    @pytest.mark.parametrize(
        ("outcome", "fault", "error"),
        [
            (RunOutcome.POISONED, True, False),
            (RunOutcome.EXHAUSTED, False, True),
            (RunOutcome.WAITS, False, False),
        ],
    )
    def test_a_run_is_marked_by_its_outcome(
        self, daemon: Daemon, outcome: RunOutcome, *, fault: bool, error: bool
    ) -> None:
        daemon.tracer().send(replace(a_run(), outcome=outcome))

        (document,) = daemon.received()
        assert (document["fault"], document["error"]) == (fault, error)

    def test_a_name_has_only_characters_of_x_ray(self, daemon: Daemon) -> None:
        for task in ("pay*(now)?", "**", "é" * 300):
            daemon.tracer().send(replace(a_run(), task=task))

        assert [document["name"] for document in daemon.received()] == ["paynow", "unnamed", "é" * 200]

    def test_a_run_of_many_calls_fits_into_a_datagram(self, daemon: Daemon) -> None:
        run = a_run()
        daemon.tracer().send(replace(run, calls=run.calls * 350))

        (document,) = daemon.received()
        assert len(document["subsegments"]) == MAX_CALLS
        assert daemon.errors == []


class TestOtherInvocations:
    """Nothing is sent if the invocation is not sampled, and nothing fails if the daemon cannot be reached."""

    @pytest.mark.parametrize(
        "environment",
        [
            {"_X_AMZN_TRACE_ID": TRACE.replace("Sampled=1", "Sampled=0")},
            {"_X_AMZN_TRACE_ID": ""},
            {"_X_AMZN_TRACE_ID": "Root=1-5759e988-bd862e3fe1be46a994272793"},
            {"_X_AMZN_TRACE_ID": "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1"},
            {"AWS_XRAY_DAEMON_ADDRESS": ""},
            {"AWS_XRAY_DAEMON_ADDRESS": "127.0.0.1"},
        ],
        ids=["not sampled", "no trace", "no decision", "no parent", "no daemon", "no port"],
    )
    def test_nothing_is_sent(self, daemon: Daemon, environment: dict[str, str]) -> None:
        daemon.tracer(**environment).send(a_run())

        assert daemon.received() == []

    def test_a_document_that_cannot_be_sent_is_reported(self, daemon: Daemon) -> None:
        run = a_run(OK)
        huge = replace(run, calls=(replace(run.calls[0], step="x" * 70_000),))

        daemon.tracer().send(huge)

        (error,) = daemon.errors
        assert "too long" in str(error)
