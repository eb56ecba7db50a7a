"""Metrics in CloudWatch's embedded format (EMF): lines on standard output, which CloudWatch reads from the log."""

from collections.abc import Mapping, Sequence

from aws_lambda_powertools import Metrics
from aws_lambda_powertools.metrics import MetricUnit

from shared.application.failures import Fault

NAMESPACE = "Ritornello"

MAX_VALUES = 90
"""How many values of a metric one line holds. CloudWatch reads at most 100, and from there on the library flushes."""

FAILED_INSTANCES = "FailedInstances"
"""The metric of instances that could not be read or decided on. Its alarms and the dashboard use it."""

_metrics = Metrics(namespace=NAMESPACE, service="ritornello")

Values = Mapping[str, tuple[MetricUnit, Sequence[float]]]
"""The unit and the values of each metric."""


def write_metrics(values: Values, dimensions: Mapping[str, str]) -> None:
    """Write values of metrics under one set of dimensions, and ``service``, at once. Without values, write nothing.

    CloudWatch charges for each metric and set of dimensions, in each hour in which it has a value.
    """
    longest = max((len(numbers) for _, numbers in values.values()), default=0)
    for start in range(0, longest, MAX_VALUES):
        for name, value in dimensions.items():
            _metrics.add_dimension(name, value)
        for name, (unit, numbers) in values.items():
            for number in numbers[start : start + MAX_VALUES]:
                _metrics.add_metric(name, unit, number)
        _metrics.flush_metrics()


def write_faults(faults: Mapping[Fault, int], *, stage: str) -> None:
    """Write how many instances could not be read or decided on, by the kind of the failure."""
    for fault, count in faults.items():
        write_metrics({FAILED_INSTANCES: (MetricUnit.Count, [count])}, {"stage": stage, "fault": fault})


def write_failures(faults: Mapping[Fault, int], *, stage: str) -> None:
    """Write how many instances could not be read or decided on, together and by the kind of the failure."""
    counts = [sum(faults.values())] if faults else []
    write_metrics({FAILED_INSTANCES: (MetricUnit.Count, counts)}, {"stage": stage})
    write_faults(faults, stage=stage)
