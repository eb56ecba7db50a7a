"""Evaluates the alarms of template.yaml on metrics, as CloudWatch does."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from dev.template import Template
from tests.functions.emf import Written

_GUARDED = re.compile(r"IF\((?P<guard>\w+) >= (?P<least>\d+), (?P<value>\w+), 0\)")

Period = Sequence[Written]
"""The metrics that were written in one period."""


class Alarms:
    """The alarms of a deployment of the template, by name without its prefix."""

    def __init__(self, template: Template, *, stage: str) -> None:
        self._template = template
        self.by_name: Mapping[str, dict[str, Any]] = {
            self._resolved(resource["Properties"]["AlarmName"]).removeprefix(
                f"ritornello-{stage}-"
            ): resource["Properties"]
            for resource in template.document["Resources"].values()
            if resource["Type"] == "AWS::CloudWatch::Alarm"
        }

    def fires(self, name: str, *periods: Period) -> bool:
        """Return whether an alarm fires after these periods, the latest one last."""
        alarm = self.by_name[name]
        watched: int = alarm["EvaluationPeriods"]
        needed: int = alarm.get("DatapointsToAlarm", watched)
        # Periods before the first one given had no data.
        empty: list[Period] = [[]] * (watched - len(periods))
        window = [*empty, *periods[-watched:]]
        breaching = sum(self._breaches(alarm, period) for period in window)
        return breaching >= needed

    def metrics_of(self, name: str) -> set[tuple[str, str]]:
        """Return namespace and name of each metric that an alarm watches."""
        alarm = self.by_name[name]
        if "Metrics" not in alarm:
            return {(alarm["Namespace"], alarm["MetricName"])}
        stats = [query["MetricStat"]["Metric"] for query in alarm["Metrics"] if "MetricStat" in query]
        return {(stat["Namespace"], stat["MetricName"]) for stat in stats}

    def dimensions_of(self, alarm: Mapping[str, Any]) -> dict[str, str]:
        """Return the dimensions of an alarm, or of a metric in it."""
        return {item["Name"]: self._resolved(item["Value"]) for item in alarm["Dimensions"]}

    def _breaches(self, alarm: Mapping[str, Any], period: Period) -> bool:
        value = self._value(alarm, period)
        if value is None:
            return bool(alarm["TreatMissingData"] == "breaching")
        threshold: float = alarm["Threshold"]
        match alarm["ComparisonOperator"]:
            case "GreaterThanThreshold":
                return value > threshold
            case "GreaterThanOrEqualToThreshold":
                return value >= threshold
            case "LessThanThreshold":
                return value < threshold
            case other:
                raise ValueError(f"unknown comparison {other}")

    def _value(self, alarm: Mapping[str, Any], period: Period) -> float | None:
        if "Metrics" not in alarm:
            return self._statistic(alarm, alarm.get("Statistic") or alarm["ExtendedStatistic"], period)
        numbers = {
            query["Id"]: self._statistic(query["MetricStat"]["Metric"], query["MetricStat"]["Stat"], period)
            for query in alarm["Metrics"]
            if "MetricStat" in query
        }
        (expression,) = [query["Expression"] for query in alarm["Metrics"] if "Expression" in query]
        found = _GUARDED.fullmatch(expression)
        assert found is not None, expression
        guard, value = numbers[found["guard"]], numbers[found["value"]]
        if guard is None:
            return None
        return value if guard >= int(found["least"]) else 0

    def _statistic(self, metric: Mapping[str, Any], statistic: str, period: Period) -> float | None:
        dimensions = self.dimensions_of(metric)
        values = sorted(
            value
            for written in period
            if (written.namespace, written.name) == (metric["Namespace"], metric["MetricName"])
            and dict(written.dimensions) == dimensions
            for value in written.values
        )
        if not values:
            return None
        match statistic:
            case "Sum":
                return sum(values)
            case "Minimum" | "Maximum":
                return values[0 if statistic == "Minimum" else -1]
            case "Average":
                return sum(values) / len(values)
            case "SampleCount":
                return len(values)
            case "p99":
                return values[math.ceil(len(values) * 0.99) - 1]
            case other:
                raise ValueError(f"unknown statistic {other}")

    def _resolved(self, value: Any) -> str:
        """Return a value of the template."""
        match value:
            case {"Fn::GetAtt": [resource, "QueueName"]}:
                return str(self._template.resolve({"Ref": resource}))
            case _:
                return str(self._template.resolve(value))
