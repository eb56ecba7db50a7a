"""The worker processes of the local stack: crashes, and room for invocations that only wait."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dev.gateway import HttpRequest, event_of
from dev.template import Function
from dev.workers import Invocation, Pool
from tests.dialects.wire import TEMPLATE

SECONDS = 60


def a_pool(folder: Path, **members: Any) -> Pool:
    function = Function(
        logical_id="Any",
        name="any",
        handler="tests.dev.handlers.answer",
        timeout_seconds=SECONDS,
        environment={},
    )
    environment = {
        "CLOCK_FILE": str(folder / "clock.json"),
        "STACK_URL": "http://127.0.0.1:9",
        "STACK_FUNCTION": "Any",
    }
    return Pool(function, environment, workers=1, is_warm=False, report=lambda *_: None, **members)


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[Pool]:
    made = a_pool(tmp_path)
    yield made
    made.stop()


def ended(invocation: Invocation) -> Invocation:
    assert invocation.done.wait(SECONDS)
    return invocation


def within(seconds: float, holds: Callable[[], bool]) -> bool:
    ends = time.monotonic() + seconds
    while not holds() and time.monotonic() < ends:
        time.sleep(0.01)
    return holds()


class TestCrashes:
    """A process that ends, whenever and however, costs one invocation at most."""

    def test_a_process_killed_in_a_call_fails_that_call_alone(self, pool: Pool) -> None:
        crashed, fine = pool.put(Invocation(event={"crash": True})), pool.put(Invocation(event={}))

        assert ended(crashed).answer == {"error": "the worker crashed"}
        assert ended(fine).answer["answer"]["invocation"] == fine.id

    def test_a_handler_that_raises_keeps_its_process(self, pool: Pool) -> None:
        first = ended(pool.put(Invocation(event={})))
        failed = ended(pool.put(Invocation(event={"fail": True})))
        second = ended(pool.put(Invocation(event={})))

        assert "ValueError: failed" in failed.answer["error"]
        assert first.answer["answer"]["pid"] == second.answer["answer"]["pid"] == pool.pids[0]


class TestRoom:
    """Invocations that only wait leave room for others, up to a bound."""

    def test_a_call_runs_while_the_only_worker_waits(self, pool: Pool, tmp_path: Path) -> None:
        waiting = pool.put(Invocation(event={"until": str(tmp_path / "end")}))
        with pool.waiting():
            fast = ended(pool.put(Invocation(event={})))
            assert not waiting.done.is_set()
        (tmp_path / "end").touch()

        assert fast.answer["answer"]["pid"] != ended(waiting).answer["answer"]["pid"]

    def test_a_queued_call_runs_when_the_worker_begins_to_wait(self, pool: Pool, tmp_path: Path) -> None:
        waiting = pool.put(Invocation(event={"until": str(tmp_path / "end")}))
        queued = pool.put(Invocation(event={}))
        assert len(pool.pids) <= 1
        with pool.waiting():
            ended(queued)
            assert not waiting.done.is_set()
        (tmp_path / "end").touch()
        ended(waiting)

    def test_calls_that_work_do_not_add_workers(self, pool: Pool) -> None:
        calls = [pool.put(Invocation(event={})) for _ in range(5)]

        assert len({ended(call).answer["answer"]["pid"] for call in calls}) == 1

    def test_an_additional_worker_ends_when_it_is_idle(self, tmp_path: Path) -> None:
        pool = a_pool(tmp_path, idle_seconds=0.2)
        waiting = pool.put(Invocation(event={"until": str(tmp_path / "end")}))
        with pool.waiting():
            ended(pool.put(Invocation(event={})))
        (tmp_path / "end").touch()
        ended(waiting)

        assert within(SECONDS, lambda: len(pool.pids) == 1)
        ended(pool.put(Invocation(event={})))
        pool.stop()

    def test_the_number_of_workers_is_bounded(self, tmp_path: Path) -> None:
        pool = a_pool(tmp_path, max_workers=2)
        with pool.waiting(), pool.waiting(), pool.waiting():
            calls = [pool.put(Invocation(event={"until": str(tmp_path / "end")})) for _ in range(6)]
            assert within(SECONDS, lambda: len(pool.pids) == 2)
            (tmp_path / "end").touch()

            assert len({ended(call).answer["answer"]["pid"] for call in calls}) <= 2
        pool.stop()


class TestWhatALogShows:
    """Logs of the local stack have no secrets of clients."""

    def test_a_request_is_shown_without_headers_query_and_body(self) -> None:
        request = HttpRequest(
            method="POST",
            target="/execution-instance?token=query-secret",
            headers={"authorization": "Bearer key.header-secret"},
            body=b'{"of": "body-secret"}',
            source="127.0.0.1",
        )
        found = event_of(request, TEMPLATE.routes())
        assert found is not None

        assert Invocation(event=found[1]).shown == "POST /execution-instance"

    def test_a_wakeup_is_shown_as_it_is(self) -> None:
        assert Invocation(event={"sid": "i-1"}).shown == "{'sid': 'i-1'}"
