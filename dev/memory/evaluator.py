"""Evaluators in this process, for tests: fast, deterministic, and without limits of time and memory."""

from dataclasses import dataclass, field

from shared.expressions import Breach, Reply
from shared.expressions.serving import serve


class InProcessEvaluator:
    """Answers requests with the code that a deployed function runs in another process."""

    def answer(self, request: bytes, *, seconds: float) -> Reply | Breach:  # noqa: ARG002 - time is not limited
        """Return the reply; it takes no time."""
        return Reply(serve(request), 0)


@dataclass
class SlowEvaluator:
    """Answers as if every request took ``takes`` seconds of processor time.

    ``limits`` and ``requests`` record its arguments.
    """

    takes: float
    limits: list[float] = field(default_factory=list)
    requests: list[bytes] = field(default_factory=list)

    def answer(self, request: bytes, *, seconds: float) -> Reply | Breach:
        """Return the reply, or Breach if it would take too long."""
        self.limits.append(round(seconds, 6))
        self.requests.append(request)
        if self.takes > seconds:
            return Breach("it takes too long", seconds)
        return Reply(serve(request), self.takes)
