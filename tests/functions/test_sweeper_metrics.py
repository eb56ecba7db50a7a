"""The metrics that the sweeper writes, as CloudWatch reads them from its output."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from dev.memory.world import MemoryPorts
from functions.sweeper.handler import lambda_handler
from shared import bootstrap
from shared.domain.instance.due import GRACE, SHARDS
from tests.application.bulk.bulk_worlds import NOON
from tests.application.bulk.release_worlds import a_world
from tests.application.bulk.test_release import started
from tests.application.test_sweep import Faulty
from tests.functions.contexts import Context

pytestmark = pytest.mark.usefixtures("deployment")


@pytest.fixture
def overdue(deployment: object) -> Iterator[tuple[MemoryPorts, Faulty]]:
    """Yield a world with two instances that have been due for seven minutes."""
    assert deployment
    store = Faulty()
    ports = a_world(store)
    started(ports, [NOON] * 2)
    ports.clock.at = NOON + GRACE + timedelta(minutes=7)
    bootstrap.use_ports(ports)
    yield ports, store
    bootstrap.forget()


def written(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [line for line in lines if "_aws" in line]


def of_stage(blobs: list[dict[str, Any]], metric: str) -> list[float]:
    return [blob[metric][0] for blob in blobs if metric in blob and not {"shard", "fault"} & set(blob)]


class TestTheMetricsOfASweep:
    """Metrics are written after the operations, after reading the shards, and after each batch."""

    @pytest.mark.usefixtures("overdue")
    def test_backlog_and_wait_are_known_before_any_wakeup(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert lambda_handler({}, Context())["wakeups"] == 2  # type: ignore[arg-type]

        blobs = written(capsys)
        assert of_stage(blobs, "Backlog") == [0, 2, 0]
        assert of_stage(blobs, "SweptInstances") == [0, 0, 2]
        assert of_stage(blobs, "LongestWait") == [420, 420]

    @pytest.mark.usefixtures("overdue")
    def test_the_wait_of_a_shard_has_the_shard_as_dimension(self, capsys: pytest.CaptureFixture[str]) -> None:
        lambda_handler({}, Context())  # type: ignore[arg-type]

        by_shard = [blob for blob in written(capsys) if "shard" in blob]
        assert {(blob["shard"], blob["stage"], blob["LongestWait"][0]) for blob in by_shard} == {
            ("0", "test", 420)
        }
        assert set(by_shard[0]["_aws"]["CloudWatchMetrics"][0]["Dimensions"][0]) == {
            "service",
            "stage",
            "shard",
        }

    def test_without_a_readable_shard_there_is_no_wait(
        self, overdue: tuple[MemoryPorts, Faulty], capsys: pytest.CaptureFixture[str]
    ) -> None:
        _, store = overdue
        store.shut = {str(shard) for shard in range(SHARDS)}

        assert lambda_handler({}, Context())["failed"] == SHARDS  # type: ignore[arg-type]

        blobs = written(capsys)
        assert of_stage(blobs, "LongestWait") == []
        assert of_stage(blobs, "FailedInstances") == [0, SHARDS]
        by_fault = [(blob["fault"], blob["FailedInstances"][0]) for blob in blobs if "fault" in blob]
        assert by_fault == [("other", SHARDS)]
