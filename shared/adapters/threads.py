"""Workers that are threads. Source: shared/application/ports.py (Workers)."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from msgspec import Struct

from shared.application.ports import Crash, Item, Result

MAX_THREADS = 16
"""How many threads work at once, and how many connections to a service they need at most."""


class ThreadWorkers(Struct, frozen=True):
    """``Workers`` that are threads for the time of one ``run``.

    They spend it waiting for services; Python runs a single one at a time.
    """

    count: int = MAX_THREADS

    def run(self, work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result | Crash]:
        if not items:
            return []
        # The pool ends its threads, so none is frozen with the container and wakes in another invocation.
        with ThreadPoolExecutor(max_workers=min(self.count, len(items))) as pool:
            futures = [pool.submit(work, item) for item in items]
        results: list[Result | Crash] = []
        for future in futures:
            error = future.exception()
            results.append(Crash(error) if isinstance(error, Exception) else future.result())
        return results
