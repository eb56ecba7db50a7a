"""Metrics as CloudWatch reads them from the output of a function."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import pytest


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """The values of a metric that one line of output has, under one set of dimensions."""

    namespace: str
    name: str
    unit: str
    dimensions: Mapping[str, str]
    values: tuple[float, ...]


def written(capsys: pytest.CaptureFixture[str]) -> list[Written]:
    """Return the metrics written since the last call."""
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [
        Written(
            namespace=group["Namespace"],
            name=metric["Name"],
            unit=metric["Unit"],
            dimensions={name: line[name] for name in names},
            values=tuple(line[metric["Name"]]),
        )
        for line in lines
        if "_aws" in line
        for group in line["_aws"]["CloudWatchMetrics"]
        for names in group["Dimensions"]
        for metric in group["Metrics"]
    ]


def values_of(metrics: list[Written], name: str, **dimensions: str) -> list[float]:
    """Return the values of a metric under exactly these dimensions, besides service and stage."""
    wanted = {"service": "ritornello", "stage": "test", **dimensions}
    return [
        value
        for metric in metrics
        if metric.name == name and metric.dimensions == wanted
        for value in metric.values
    ]
