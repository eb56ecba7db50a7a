"""A whole sweep as one report."""

from datetime import timedelta

from shared.application.ports import Ports, Workers
from shared.application.sweep import SweepReport, TimeLeft, sweep
from shared.application.workers import OneWorker

A_MINUTE = timedelta(minutes=1)
PERIOD = A_MINUTE
LASTS = timedelta(seconds=55)
"""The timeout of the sweeper in template.yaml."""


def swept(
    ports: Ports, *, workers: Workers | None = None, time_left: TimeLeft = lambda: A_MINUTE
) -> SweepReport:
    """Sweep and return the sum of the reports, with the backlog of the last one and the longest wait of each shard."""
    reports = list(sweep(ports, workers or OneWorker(), time_left=time_left))
    waits: dict[str, timedelta] = {}
    for report in reports:
        for shard, wait in report.waits.items():
            waits[shard] = max(wait, waits.get(shard, wait))
    return SweepReport(
        backlog=reports[-1].backlog,
        operations=sum(report.operations for report in reports),
        wakeups=sum(report.wakeups for report in reports),
        waits=waits,
        failed={name: failure for report in reports for name, failure in report.failed.items()},
    )
