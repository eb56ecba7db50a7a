"""Workers that are threads."""

from threading import Barrier, active_count

import pytest

from shared.adapters.threads import MAX_THREADS, ThreadWorkers
from shared.application.ports import Crash


class TestThreads:
    """Pieces of work are done at once, and each has its own result."""

    def test_results_are_in_the_order_of_the_items(self) -> None:
        assert ThreadWorkers().run(lambda number: number * number, range(100)) == [n * n for n in range(100)]

    def test_pieces_are_done_at_once(self) -> None:
        barrier = Barrier(MAX_THREADS)

        def wait(_: int) -> bool:
            # Returns only when sixteen threads are here; otherwise it raises after the timeout.
            barrier.wait(timeout=10)
            return True

        assert ThreadWorkers().run(wait, range(MAX_THREADS)) == [True] * MAX_THREADS

    def test_an_exception_ends_its_own_piece_only(self) -> None:
        one, crash, three = ThreadWorkers(count=2).run(lambda number: 6 // number, [1, 0, 3])

        assert (one, three) == (6, 2)
        assert isinstance(crash, Crash)
        assert isinstance(crash.error, ZeroDivisionError)

    def test_an_exit_ends_the_run(self) -> None:
        def exits(_: int) -> None:
            raise SystemExit(3)

        with pytest.raises(SystemExit):
            ThreadWorkers().run(exits, [1])

    def test_nothing_to_do_starts_no_thread(self) -> None:
        before = active_count()

        assert ThreadWorkers().run(str, []) == []
        assert active_count() == before

    def test_no_thread_is_left(self) -> None:
        before = active_count()

        ThreadWorkers().run(str, range(50))

        assert active_count() == before
