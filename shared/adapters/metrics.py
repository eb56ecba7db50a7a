"""Metrics in CloudWatch's embedded format (EMF): lines on standard output, which CloudWatch reads from the log."""

from collections.abc import Mapping, Sequence

from aws_lambda_powertools import Metrics
from aws_lambda_powertools.metrics import MetricUnit

NAMESPACE = "Ritornello"

MAX_VALUES = 90
"""How many values of a metric one line holds. CloudWatch reads at most 100, and from there on the library flushes."""

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
