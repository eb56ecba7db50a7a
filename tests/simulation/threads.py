"""The threads of an invocation: they take turns like all processes, and are killed together."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from shared.application.ports import Crash, Item, Result
from shared.application.workers import OneWorker, outcome_of
from tests.simulation.points import Points
from tests.simulation.stage import NEVER, KilledError


@dataclass(frozen=True, slots=True)
class Threads:
    """``Workers`` that are up to ``count`` threads of the current process, which waits for them."""

    world: Points
    count: int

    def run(self, work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result | Crash]:
        stage, invocation = self.world.stage, self.world.stage.current
        if invocation is None:
            return OneWorker().run(work, items)
        results: dict[int, Result | Crash] = {}
        queue = iter(enumerate(items))
        running = min(self.count, len(items))

        def act() -> None:
            nonlocal running
            try:
                if invocation.doomed:
                    raise KilledError
                for number, item in queue:
                    results[number] = outcome_of(work, item)
            finally:
                running -= 1
                if not running:
                    invocation.wakes_at = self.world.now_at

        names = [f"{invocation.name}, thread {number}" for number in range(running)]
        threads = [stage.start(name, act, at=self.world.now_at) for name in names]
        for thread in threads:
            thread.skew, thread.dies_at = invocation.skew, invocation.dies_at
            thread.together = invocation.together = [invocation, *threads]
        while running:
            invocation.wakes_at = NEVER
            stage.point("threads")
        invocation.together = []
        return [results[number] for number in range(len(items))]
