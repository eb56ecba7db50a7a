"""The engine does the benchmark's workload correctly. The peer has its own environment and no test."""

import pytest

from dev.bench.runs import OURS, figures_of, service

TASKS = 21


@pytest.mark.allow_hosts(["127.0.0.1"])
def test_the_engine_does_each_task_once() -> None:
    with service() as port:
        figures = figures_of(OURS, TASKS, port)

    # Ten trips a task (docs/performance.md), and more for a refused call, which needs a second claim.
    assert figures["trips"] > 10 * TASKS
    assert figures["cpu"] > figures["AWS client"] > figures["its transport"] > 0
