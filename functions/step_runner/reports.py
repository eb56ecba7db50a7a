"""The log line and the metrics of a run. Source: docs/operations.md, "The line of a run" and "Metrics"."""

from collections import Counter, defaultdict
from collections.abc import Collection
from enum import StrEnum
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit

from shared.adapters.metrics import Values, write_metrics
from shared.application.runner.report import CallReport, OverdueAnswer, RunOutcome, RunReport
from shared.config import OTHER_SERVICES
from shared.domain.calendar.dates import format_instant
from shared.domain.instance.event import EventKind, EventStatus


class Metric(StrEnum):
    """The metrics of a run. The dashboard and the alarms use them."""

    PROCESSED = "ProcessedEvents"
    RETRIED = "RetriedEvents"
    EXHAUSTED = "ExhaustedEvents"
    FAILED = "FailedEvents"
    FAILED_SIDE_TASKS = "FailedSideTasks"
    IN_DOUBT = "EventsInDoubt"
    POISONED = "PoisonedEvents"
    OVERDUE_ANSWERS = "OverdueAnswers"
    MISSING_ANSWERS = "MissingAnswers"
    FAILED_PLANS = "FailedPlans"
    OPENED_CIRCUITS = "OpenedCircuits"
    LATENESS = "Lateness"
    RUN_TIME = "RunTime"
    CALLS = "Calls"
    CALL_FAILURES = "CallFailures"
    CALL_TIME = "CallTime"
    LIMIT_WAIT = "LimitWait"


_COUNTED = {
    RunOutcome.PROCESSED: Metric.PROCESSED,
    RunOutcome.RETRIED: Metric.RETRIED,
    RunOutcome.EXHAUSTED: Metric.EXHAUSTED,
    RunOutcome.POISONED: Metric.POISONED,
}
# Nothing ran, and the event that was due does not wait because of the engine.
_NOT_STARTED = (RunOutcome.BLOCKED, RunOutcome.REPLANNED)


def line_of(report: RunReport) -> dict[str, Any]:
    """Return the members of the log line of a run. It holds names and ids, and nothing that was sent or received."""
    return {
        "account": report.account_id,
        "strategy": report.strategy,
        "version": report.version,
        "instance": report.instance,
        "event": report.event,
        "task": report.task,
        "kind": report.kind.value,
        "cycle": report.cycle,
        "run": report.run,
        "attempt": report.attempt,
        "late_seconds": report.late.total_seconds(),
        "taken_over": report.taken_over,
        "milliseconds": _milliseconds(report.took.total_seconds()),
        "steps": report.steps,
        "call_count": len(report.calls),
        "calls": [_call_line(call) for call in report.calls],
        "answers_overdue": report.answers_overdue,
        "outcome": report.outcome.value,
        "status": report.status,
        "in_doubt": report.in_doubt,
        "newly_in_doubt": report.newly_in_doubt,
        "instance_status": report.instance_status,
        "cancel_reason": report.cancel_reason,
        "plan_failed": report.plan_failed,
        "next_at": None if report.next_at is None else format_instant(report.next_at),
    }


def write_run_metrics(report: RunReport, *, stage: str, metered: Collection[str]) -> None:
    """Write the metrics of a run. Services outside ``metered`` share one dimension, so that their number is bounded."""
    write_metrics(_of_run(report), {"stage": stage})

    def metered_name(service: str) -> str:
        return service if service in metered else OTHER_SERVICES

    waits: dict[str, list[float]] = defaultdict(list)
    for wait in report.limit_waits:
        waits[metered_name(wait.service)].append(wait.took.total_seconds())
    for service, seconds in waits.items():
        where = {"stage": stage, "calledService": service}
        write_metrics({Metric.LIMIT_WAIT: (MetricUnit.Seconds, seconds)}, where)
    by_service: dict[str, list[CallReport]] = defaultdict(list)
    for call in report.calls:
        by_service[metered_name(call.service)].append(call)
    for service, calls in by_service.items():
        where = {"stage": stage, "calledService": service}
        # The average of the failures is their share, and their number of samples is that of the calls.
        failures = [float(call.failed) for call in calls]
        times = [_milliseconds(call.took.total_seconds()) for call in calls]
        values: Values = {
            Metric.CALL_FAILURES: (MetricUnit.Count, failures),
            Metric.CALL_TIME: (MetricUnit.Milliseconds, times),
        }
        write_metrics(values, where)
        for call_class, count in Counter(call.call_class for call in calls).items():
            write_metrics(
                {Metric.CALLS: (MetricUnit.Count, [count])}, {**where, "statusClass": call_class.value}
            )


def line_of_circuit(report: RunReport, service: str) -> dict[str, Any]:
    """Return the members of the log line of a circuit that a call of a run has opened."""
    return {
        "account": report.account_id,
        "strategy": report.strategy,
        "instance": report.instance,
        "event": report.event,
        "task": report.task,
        "called_service": service,
    }


def line_of_overdue(answer: OverdueAnswer) -> dict[str, Any]:
    """Return the members of the log line of an answer without a time limit that has not come."""
    return {
        "account": answer.account_id,
        "strategy": answer.strategy,
        "instance": answer.instance,
        "event": answer.event,
        "task": answer.task,
        "since": format_instant(answer.since),
    }


def write_overdue_metric(*, stage: str) -> None:
    """Count an answer without a time limit that has not come."""
    write_metrics({Metric.MISSING_ANSWERS: (MetricUnit.Count, [1])}, {"stage": stage})


def _of_run(report: RunReport) -> Values:
    # A metric without a value in an hour costs nothing in it, so what did not happen is not counted as 0.
    counted = [_COUNTED[report.outcome]] if report.outcome in _COUNTED else []
    if report.status is EventStatus.FAILED:
        counted.append(Metric.FAILED)
        if report.kind is not EventKind.MAIN:
            counted.append(Metric.FAILED_SIDE_TASKS)
    if report.newly_in_doubt or report.outcome is RunOutcome.IN_DOUBT:
        counted.append(Metric.IN_DOUBT)
    if report.plan_failed:
        counted.append(Metric.FAILED_PLANS)
    values: dict[str, tuple[MetricUnit, list[float]]] = {name: (MetricUnit.Count, [1]) for name in counted}
    if report.opened_circuits:
        values[Metric.OPENED_CIRCUITS] = (MetricUnit.Count, [len(report.opened_circuits)])
    if report.answers_overdue:
        values[Metric.OVERDUE_ANSWERS] = (MetricUnit.Count, [report.answers_overdue])
    if report.outcome not in _NOT_STARTED:
        values[Metric.LATENESS] = (MetricUnit.Seconds, [report.late.total_seconds()])
        values[Metric.RUN_TIME] = (MetricUnit.Milliseconds, [_milliseconds(report.took.total_seconds())])
    return values


def _call_line(call: CallReport) -> dict[str, Any]:
    return {
        "step": call.step,
        "service": call.service,
        "method": call.method,
        "attempt": call.attempt,
        "repeat": call.repeat,
        "status": call.status,
        "class": call.call_class.value,
        "failed": call.failed,
        "milliseconds": _milliseconds(call.took.total_seconds()),
    }


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
