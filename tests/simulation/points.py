"""The points of a world: each input or output, at which a process may be stopped, delayed, killed or refused."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from shared.application.ports import ConnectionLostError, OverloadedError, StaleRevError
from shared.domain.strategy.model import Strategy
from tests.simulation.faults import BrownOut, Faults
from tests.simulation.stage import Process, Stage


@dataclass
class Points:
    """Time, the processes, and the faults that the processes meet at each point.

    ``delays`` says how long a process, by name, stalls at a point, by label, once. ``unreadable_met_at`` is when a
    process met an item that cannot be read for the last time.
    """

    strategy: Strategy
    now_at: datetime
    faults: Faults
    stage: Stage = field(default_factory=Stage)
    delays: dict[tuple[str, str], timedelta] = field(default_factory=dict)
    brown_out: BrownOut | None = None
    unreadable_met_at: datetime | None = None

    @property
    def failures_met(self) -> int:
        """Return how often a store was unavailable."""
        return 0 if self.brown_out is None else self.brown_out.failures

    def now(self) -> datetime:
        """Return the time on the clock of the current process."""
        process = self.stage.current
        return self.now_at if process is None else self.now_at + process.skew

    def sleep(self, seconds: float) -> None:
        """Let the current process continue later."""
        if seconds > 0 and self.stage.current is not None:
            self.stage.current.wakes_at = self.now_at + timedelta(seconds=seconds)
            self.stage.point("sleep")

    def do(self, name: str, body: Callable[[], object]) -> Process:
        """Let another process, such as an operator, begin now."""
        process = self.stage.start(name, body, at=self.now_at)
        process.skew = self.faults.wrong_by()
        return process

    def io(self, label: str) -> None:
        """Let the current process be stopped, delayed or killed here."""
        process, faults = self.stage.current, self.faults
        if process is None:
            return
        faults.points += 1
        process.reached_at = self.now_at
        if faults.points in faults.kill_at or faults.happens(faults.kill):
            process.kill(now=self.now_at)
        if faults.pace:
            took = round(faults.rng.random() * faults.pace * 1000)
            process.wakes_at = self.now_at + timedelta(milliseconds=took)
        if faults.happens(faults.stall):
            stall = faults.rng.randint(1, faults.longest_stall)
            process.wakes_at = self.now_at + timedelta(seconds=stall)
        if self.delays and (delay := self.delays.pop((process.name, label), None)) is not None:
            process.wakes_at = self.now_at + delay
        self.stage.point(label)
        self.check(label)

    def check(self, label: str) -> None:
        """Raise the error of an unavailable store, if there is a brown-out at this point.

        Raises: OverloadedError, ConnectionLostError.
        """
        brown_out = self.brown_out
        if self.stage.current is None or brown_out is None:
            return
        if brown_out.fails(label, self.faults.points, self.now_at):
            raise brown_out.rng.choice(brown_out.errors)(label)

    def written(self, label: str, *, is_conditional: bool = True) -> None:
        """Pass the point after a write, and lose the reply to it if chance says so.

        Raises: OverloadedError, ConnectionLostError: the caller cannot know that it was written. StaleRevError: the
        repeat of a conditional write by the SDK found it already made.
        """
        self.io(label)
        if self.stage.current is None or not self.faults.happens(self.faults.lost_any_reply):
            return
        errors: list[type[Exception]] = [ConnectionLostError, OverloadedError]
        errors += [StaleRevError] * 2 if is_conditional else []
        raise self.faults.rng.choice(errors)(label)

    def may_lose_reply(self) -> None:
        """Lose the reply to a write, if chance says so. Raises: StaleRevError: the reply was lost."""
        if self.faults.happens(self.faults.lost_reply):
            raise StaleRevError
