"""The engine does the benchmark's workload correctly. The peer has its own environment and no test."""

import sys

import pytest

from dev.bench.runs import OURS, figures_of, service
from tests.programs import output_of

TASKS = 21


@pytest.mark.allow_hosts(["127.0.0.1"])
def test_the_engine_does_each_task_once() -> None:
    with service() as port:
        figures = figures_of(OURS, TASKS, port)

    # Ten trips a task (docs/performance.md), and more for a refused call, which needs a second claim.
    assert figures["trips"] > 10 * TASKS
    assert figures["cpu"] > figures["AWS client"] > figures["its transport"] > 0


@pytest.mark.parametrize("answerer", ["stub", "emulator"])
def test_the_bulk_runner_cancels_all_instances(answerer: str) -> None:
    printed = output_of([sys.executable, "-m", "dev.bench.bulk", "--instances=230", f"--on={answerer}"])

    # It exits with an error if the operation has not changed each instance once.
    assert printed.startswith("230 canceled in ")


def test_charges_that_are_due_in_one_second_all_end() -> None:
    # On a busy machine the members may take long to join.
    printed = output_of([sys.executable, "-m", "dev.bench.burst", "--members=20", "--ahead=45"])

    # It exits with an error if a charge was not processed.
    assert printed.startswith("20 charged: begun after ")
