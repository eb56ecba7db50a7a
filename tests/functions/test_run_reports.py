"""The log line and the metrics of a run, as the step runner writes them."""

import json
import logging
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from functions.publisher.handler import PublisherMetric
from functions.step_runner.handler import lambda_handler, logger
from functions.step_runner.reports import Metric, line_of
from functions.sweeper.handler import Metric as SweepMetric
from shared import bootstrap
from shared.application.log_lines import MAX_ENTRIES, log_line
from shared.application.runner.report import CallClass, RunOutcome
from shared.domain.ids import AccountId
from shared.domain.instance.event import EventKind
from shared.domain.limits.state import LimitState, Member, micros_of
from shared.domain.steps.call import Answered, CallOutcome, TimedOut
from shared.domain.strategy.model import Json
from tests.application.runner.watched import NOON, OK, TWO_STEPS, Crash, Watched
from tests.functions.contexts import Context
from tests.functions.emf import Written, values_of, written
from tests.lifecycle_factories import calendar, retries, strategy

OPERATIONS = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
FIRST_CELL = re.compile(r"^\| (.+?) \| ", re.MULTILINE)
DECLINED = Answered(status=402, body={"secret": "s3cr3t-answer"})


@dataclass
class Invoked:
    """The answer, the log lines and the metrics of an invocation of the step runner."""

    answer: dict[str, int]
    lines: list[dict[str, Any]]
    metrics: list[Written] = field(default_factory=list)


@dataclass
class Runner:
    """Invokes the step runner's handler on a world in memory."""

    capsys: pytest.CaptureFixture[str]
    caplog: pytest.LogCaptureFixture

    def __call__(self, watched: Watched, *, after: timedelta = timedelta()) -> Invoked:
        watched.clock.at += after
        bootstrap.use_ports(watched.ports)
        self.caplog.clear()
        answer = lambda_handler({"sid": watched.sid}, Context())  # type: ignore[arg-type]
        return Invoked(answer=answer, lines=self.lines(), metrics=written(self.capsys))

    def lines(self) -> list[dict[str, Any]]:
        names = [*members("The line of a run", 0)]
        return [
            {
                "message": record.message,
                **{name: vars(record)[name] for name in names if name in vars(record)},
            }
            for record in self.caplog.records
        ]


@pytest.fixture
def run(
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    stage: None,
) -> Iterator[Runner]:
    assert stage is None
    with caplog.at_level(logging.INFO):
        yield Runner(capsys, caplog)


def members(section: str, table: int) -> list[str]:
    """Return the names in the first cells of a table of a section."""
    text = re.split(rf"^#+ {re.escape(section)}$", OPERATIONS, flags=re.MULTILINE)[1]
    tables = [
        part for part in re.split(r"\n\n", re.split(r"^#+ ", text, flags=re.MULTILINE)[0]) if "|---|" in part
    ]
    return [name for cell in FIRST_CELL.findall(tables[table])[1:] for name in re.findall(r"`([^`]+)`", cell)]


def calls_twice(**method: Json) -> Watched:
    return Watched(strategy(steps=TWO_STEPS, method=method))


class TestTheLine:
    """One line for each run, in exactly the members that docs/operations.md documents."""

    def test_it_has_the_documented_members(self, run: Runner) -> None:
        (line,) = run(calls_twice()).lines

        assert line == {
            "message": "run finished",
            "account": "a-1",
            "strategy": "s-1",
            "version": 1,
            "instance": "i0001",
            "event": "i0001-1",
            "task": "bill",
            "kind": "MAIN",
            "cycle": 1,
            "run": 1,
            "attempt": 1,
            "late_seconds": 0.0,
            "taken_over": False,
            "milliseconds": 500,
            "steps": 2,
            "call_count": 2,
            "calls": [
                {
                    "step": step,
                    "service": "shop",
                    "method": "post",
                    "attempt": 1,
                    "repeat": False,
                    "status": 201,
                    "class": "2xx",
                    "failed": False,
                    "milliseconds": 250,
                }
                for step in ("call", "next")
            ],
            "answers_overdue": 0,
            "outcome": "processed",
            "status": "PROCESSED",
            "in_doubt": False,
            "newly_in_doubt": False,
            "instance_status": "ACTIVE",
            "cancel_reason": None,
            "plan_failed": False,
            "next_at": "2026-02-28T12:00:00.000Z",
        }

    def test_the_document_names_every_member_and_no_other(self) -> None:
        watched = calls_twice()
        (report,) = watched.run()
        line = line_of(report)

        assert members("The line of a run", 0) == list(line)
        assert members("The line of a run", 1) == list(line["calls"][0])

    def test_the_document_names_every_outcome_and_kind(self) -> None:
        assert members("The line of a run", 2) == [outcome.value for outcome in RunOutcome]
        kinds = re.findall(r"`([A-Z_]+)`", re.split(r"\| `task`, `kind` \|", OPERATIONS)[1].split("\n")[0])
        assert kinds == [kind.value for kind in EventKind]

    def test_nothing_that_was_sent_or_received_is_in_it(self, run: Runner) -> None:
        secrets: Json = {
            "parts": {
                "actions": [
                    {
                        "key": "post",
                        "service": "shop",
                        "method": "post",
                        "headers": {"X-Token": "s3cr3t-header"},
                        "params": {"q": "s3cr3t-param"},
                        "data": {"card": "s3cr3t-body"},
                    }
                ]
            }
        }
        watched = Watched(strategy(**secrets), DECLINED)

        invoked = run(watched)

        assert watched.requests[0].headers["X-Token"] == "s3cr3t-header"
        assert "s3cr3t" not in str(watched.instance.attributes)
        assert "s3cr3t" not in json.dumps(invoked.lines)
        assert "s3cr3t" not in str(invoked.metrics)

    def test_it_is_bounded(self) -> None:
        (report,) = calls_twice().run()
        many = {**line_of(report), "calls": line_of(report)["calls"] * 350}

        assert len(log_line(many)) < 16 * 1024

    def test_no_member_is_cut_off(self, run: Runner) -> None:
        # A line keeps its first members up to a number, and Powertools' own come first.
        names = {"xray_trace_id", "correlation_id", "exception", "exception_name", "stack_trace"}
        watched = calls_twice()
        run(watched)

        line = json.loads(logger.registered_formatter.format(run.caplog.records[0]))

        (report,) = Watched().run()
        members = line_of(report)
        assert {name for name, value in members.items() if value is not None} <= set(line)
        assert len(set(line) | set(members) | names) <= MAX_ENTRIES

    def test_each_run_has_its_line_even_if_the_next_one_crashes(self, run: Runner) -> None:
        greeted = strategy(parts={"onCreateTasks": [{"task": "greet"}]})
        watched = Watched(greeted, OK, Crash())

        with pytest.raises(Crash):
            run(watched)

        assert [(line["task"], line["outcome"]) for line in run.lines()] == [
            ("greet", "processed"),
            ("bill", "broken-off"),
        ]

    def test_an_invocation_without_a_due_event_says_so(self, run: Runner) -> None:
        watched = calls_twice()
        run(watched)

        invoked = run(watched)

        assert invoked.lines == [{"message": "nothing to run", "instance": "i0001"}]
        assert (invoked.answer, invoked.metrics) == ({"claimed": 0}, [])


class TestTheMetrics:
    """Each run writes its metrics under a bounded set of dimensions."""

    def test_a_processed_event(self, run: Runner) -> None:
        metrics = run(calls_twice(), after=timedelta(seconds=2)).metrics

        assert values_of(metrics, "ProcessedEvents") == [1]
        assert values_of(metrics, "Lateness") == [2]
        assert values_of(metrics, "RunTime") == [500]
        assert values_of(metrics, "CallFailures", calledService="other") == [0, 0]
        assert values_of(metrics, "CallTime", calledService="other") == [250, 250]
        assert values_of(metrics, "Calls", calledService="other", statusClass="2xx") == [2]
        assert {metric.name for metric in metrics} == {
            "ProcessedEvents",
            "Lateness",
            "RunTime",
            "CallFailures",
            "CallTime",
            "Calls",
        }

    def test_a_retried_event(self, run: Runner) -> None:
        metrics = run(Watched(strategy(retry=retries()), DECLINED)).metrics

        assert values_of(metrics, "RetriedEvents") == [1]
        assert values_of(metrics, "CallFailures", calledService="other") == [0]
        assert values_of(metrics, "Calls", calledService="other", statusClass="4xx") == [1]

    def test_an_exhausted_event_has_failed_only_if_it_is_not_paused(self, run: Runner) -> None:
        failed = run(Watched(None, DECLINED)).metrics
        paused = run(Watched(strategy(retry=retries(0, pause=True)), DECLINED)).metrics

        assert (values_of(failed, "ExhaustedEvents"), values_of(failed, "FailedEvents")) == ([1], [1])
        assert (values_of(paused, "ExhaustedEvents"), values_of(paused, "FailedEvents")) == ([1], [])
        assert values_of(failed, "FailedSideTasks") == []

    def test_a_doubt_is_counted_when_it_begins(self, run: Runner) -> None:
        watched = Watched(strategy(retry=retries()), TimedOut(why="no answer"), OK)

        first, second = run(watched).metrics, run(watched, after=timedelta(hours=2)).metrics

        assert (values_of(first, "EventsInDoubt"), values_of(second, "EventsInDoubt")) == ([1], [])

    def test_an_event_that_pauses_for_a_second_doubt_is_counted_again(self, run: Runner) -> None:
        answers: list[CallOutcome] = [TimedOut(why="no answer")]
        steps: Json = [
            {"key": "call", "action": "post", "nextStep": "next"},
            {"key": "next", "action": "ask"},
        ]
        asks: Json = {
            "services": [
                {
                    "key": "shop",
                    "baseUrls": [{"environment": "dev", "url": "http://127.0.0.1:4010"}],
                    "methods": [
                        {"key": "post", "url": "/orders", "method": "post"},
                        {"key": "ask", "url": "/ask", "method": "post", "inDoubt": "pause"},
                    ],
                }
            ],
            "actions": [
                {"key": "post", "service": "shop", "method": "post"},
                {"key": "ask", "service": "shop", "method": "ask"},
            ],
        }
        of = strategy(retry=retries(), steps=steps, parts=asks)
        watched = Watched(of, *answers, OK, *answers)
        run(watched)

        metrics = run(watched, after=timedelta(hours=2)).metrics

        assert values_of(metrics, "EventsInDoubt") == [1]

    def test_an_overdue_answer_is_counted(self, run: Runner) -> None:
        within: Json = {"async": True, "answerWithin": {"unit": "hours", "amount": 1}}
        watched = Watched(strategy(method=within))
        run(watched)

        assert values_of(run(watched, after=timedelta(hours=1)).metrics, "OverdueAnswers") == [1]

    def test_an_answer_that_never_comes_is_counted_and_has_its_line(self, run: Runner) -> None:
        watched = Watched(strategy(method={"async": True}))
        assert values_of(run(watched).metrics, "MissingAnswers") == []

        invoked = run(watched, after=timedelta(days=8))

        assert [metric.name for metric in invoked.metrics] == ["MissingAnswers"]
        assert values_of(invoked.metrics, "MissingAnswers") == [1]
        (line,) = [record for record in run.caplog.records if record.message == "answer missing"]
        assert {
            name: getattr(line, name)
            for name in ("account", "strategy", "instance", "event", "task", "since")
        } == {
            "account": "a-1",
            "strategy": "s-1",
            "instance": watched.sid,
            "event": f"{watched.sid}-1",
            "task": "bill",
            "since": "2026-02-07T12:00:00.250Z",
        }
        assert "nothing to run" not in [record.message for record in run.caplog.records]
        assert run(watched, after=timedelta(days=8)).metrics == []

    def test_a_plan_that_fails_is_counted_once(self, run: Runner) -> None:
        part = {"task": "part", "delayBy": {"unit": "days", "amount": 1}}
        of = strategy(calendar(runOnCycle=1), parts={"onCancelTasks": [part]})
        watched = Watched(of)

        assert values_of(run(watched).metrics, "FailedPlans") == [1]
        assert values_of(run(watched, after=timedelta(days=1)).metrics, "FailedPlans") == []

    def test_an_opened_circuit_is_counted_and_named(self, run: Runner) -> None:
        of = strategy(retry=retries(), service={"limit": {"circuit": {"failures": 1}}})
        watched = Watched(of, TimedOut(why="no answer"), TimedOut(why="no answer"))

        first = run(watched)

        assert values_of(first.metrics, "OpenedCircuits") == [1]
        line, opened = run.caplog.records
        assert (line.message, opened.message) == ("run finished", "circuit opened")
        names = ("account", "strategy", "instance", "event", "task", "called_service")
        assert [vars(opened)[name] for name in names] == [
            "a-1",
            "s-1",
            watched.sid,
            f"{watched.sid}-1",
            "bill",
            "shop",
        ]
        # The probe opens it again.
        assert values_of(run(watched, after=timedelta(hours=2)).metrics, "OpenedCircuits") == [1]
        assert values_of(run(watched, after=timedelta(hours=2)).metrics, "OpenedCircuits") == []

    @pytest.mark.parametrize(("metered", "dimension"), [("shop", "shop"), ("depot", "other")])
    def test_waits_for_a_limit_are_measured_by_service(
        self, run: Runner, monkeypatch: pytest.MonkeyPatch, metered: str, dimension: str
    ) -> None:
        monkeypatch.setenv("METERED_SERVICES", metered)
        bootstrap.forget()
        watched = Watched(strategy(steps=TWO_STEPS, service={"limit": {"perSecond": 1}}))

        invoked = run(watched)

        # The first call has its permit at once. It took a quarter of a second.
        assert values_of(invoked.metrics, "LimitWait", calledService=dimension) == [0.85]

    def test_a_wait_without_a_runner_is_measured_when_it_begins(self, run: Runner) -> None:
        of = strategy(retry=retries(), service={"limit": {}}, steps=TWO_STEPS)
        watched = Watched(of)
        limits = watched.ports.limits
        until = micros_of(NOON + timedelta(minutes=10))
        limits.states[AccountId("a-1"), "http://127.0.0.1:4010"] = LimitState(
            values={Member.NOT_BEFORE: until}
        )

        (waited,) = values_of(run(watched).metrics, "LimitWait", calledService="other")

        assert 600 <= waited <= 610

    def test_what_did_not_start_has_no_lateness(self, run: Runner) -> None:
        watched = Watched(strategy(parts={"onCreateTasks": [{"task": "greet"}]}, onMissed="last"))

        metrics = run(watched, after=timedelta(days=62)).metrics

        assert len(values_of(metrics, "Lateness")) == 2

    def test_only_metered_services_have_a_dimension(
        self, run: Runner, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("METERED_SERVICES", "shop,depot")
        bootstrap.forget()

        metrics = run(calls_twice()).metrics

        assert values_of(metrics, "CallFailures", calledService="shop") == [0, 0]
        assert values_of(metrics, "CallFailures", calledService="other") == []

    def test_calls_beyond_the_size_of_a_line_are_counted(self, run: Runner) -> None:
        steps: Json = [
            {
                "key": f"s{number}",
                "action": "post",
                **({"nextStep": f"s{number + 1}"} if number < 149 else {}),
            }
            for number in range(150)
        ]
        steps[0]["key"] = "call"

        metrics = run(Watched(strategy(steps=steps))).metrics

        assert len(values_of(metrics, "CallTime", calledService="other")) == 150
        assert max(len(metric.values) for metric in metrics) <= 100


class TestTraces:
    """With ``Tracing`` Active, each run of a sampled invocation is sent to X-Ray. By default there is no tracer."""

    def test_a_sampled_run_is_sent(
        self, run: Runner, monkeypatch: pytest.MonkeyPatch, socket_enabled: None
    ) -> None:
        assert socket_enabled is None
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as daemon:
            daemon.bind(("127.0.0.1", 0))
            daemon.settimeout(5)
            monkeypatch.setenv("TRACING", "Active")
            monkeypatch.setenv("_X_AMZN_TRACE_ID", "Root=1-2-3;Parent=4;Sampled=1")
            monkeypatch.setenv("AWS_XRAY_DAEMON_ADDRESS", f"127.0.0.1:{daemon.getsockname()[1]}")
            bootstrap.forget()

            run(calls_twice())

            assert b'"name": "bill"' in daemon.recv(65_536)

    def test_a_trace_that_cannot_be_sent_is_logged_and_the_run_goes_on(
        self, run: Runner, monkeypatch: pytest.MonkeyPatch, socket_enabled: None
    ) -> None:
        assert socket_enabled is None
        monkeypatch.setenv("TRACING", "Active")
        monkeypatch.setenv("_X_AMZN_TRACE_ID", "Root=1-2-3;Parent=4;Sampled=1")
        monkeypatch.setenv("AWS_XRAY_DAEMON_ADDRESS", "256.0.0.1.invalid:9")
        bootstrap.forget()

        invoked = run(calls_twice())

        assert [line["message"] for line in invoked.lines] == ["run finished", "trace not sent"]
        assert invoked.answer == {"claimed": 1}

    @pytest.mark.usefixtures("stage")
    def test_there_is_no_tracer_by_default(self) -> None:
        assert bootstrap.tracer() is None


class TestTheDocument:
    """docs/operations.md lists every metric with its dimensions, and the classes of calls."""

    def test_every_metric_has_its_row(self) -> None:
        listed = members("Metrics", 0)
        assert [name for name in listed if name[0].isupper()] == [*Metric, *SweepMetric, *PublisherMetric]

    def test_every_class_has_its_row(self) -> None:
        text = OPERATIONS.split("- `statusClass` is ")[1].split("\n")[0]
        assert re.findall(r"`([^`]+)`", text) == [call_class.value for call_class in CallClass]
