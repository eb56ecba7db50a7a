"""The evaluator in use, and the processor time that its answers may take.

Expressions are evaluated by another process, because the CEL library can end the one it runs in. This package does no
I/O, so the composition root sets the evaluator. There is none by default: a function can't evaluate in its own process
by mistake.
Source: docs/expressions.md.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol

from msgspec import Struct

from shared.expressions.limits import DECISION_SECONDS, EVALUATION_SECONDS, REQUEST_SECONDS
from shared.expressions.problems import ExpressionError


class Reply(Struct, frozen=True):
    """The reply to a request, and the processor time that it took."""

    payload: bytes
    seconds: float


class Breach(Struct, frozen=True):
    """A request that was given up: why, and the processor time that it took."""

    why: str
    seconds: float


class Evaluator(Protocol):
    """Answers requests (see ``protocol``) under limits of time and memory."""

    def answer(self, request: bytes, *, seconds: float) -> Reply | Breach:
        """Return the reply, or Breach if it would take more than ``seconds`` of processor time or too much memory."""


class NoEvaluatorError(ExpressionError):
    """No evaluator was set. It is a mistake of the program, not of an expression."""


class Spending:
    """The processor time that is left for a group of requests."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._left = seconds

    @property
    def is_exhausted(self) -> bool:
        """Return whether no time is left."""
        return self._left <= 0

    @property
    def next_seconds(self) -> float:
        """Return how long the next request may take."""
        return min(EVALUATION_SECONDS, self._left)

    def charge(self, seconds: float) -> None:
        """Count a request."""
        self._left -= max(seconds, REQUEST_SECONDS)


_evaluators: list[Evaluator] = []
_spending: ContextVar[Spending | None] = ContextVar("spending", default=None)


def use_evaluator(evaluator: Evaluator) -> None:
    """Set the evaluator of this process."""
    _evaluators[:] = [evaluator]


@contextmanager
def spending(seconds: float = DECISION_SECONDS) -> Iterator[Spending]:
    """Limit the requests inside the block to ``seconds`` of processor time together.

    Beyond it, each fails with an EvaluationError. An inner block has a limit of its own. As a decorator, it limits
    each call of the function.
    """
    spent = Spending(seconds)
    token = _spending.set(spent)
    try:
        yield spent
    finally:
        _spending.reset(token)


def ask(request: bytes) -> Reply | Breach:
    """Return the evaluator's answer, counted against the time of the block. Raises: NoEvaluatorError."""
    if not _evaluators:
        raise NoEvaluatorError("no evaluator is set; the composition root calls use_evaluator")
    spent = _spending.get() or Spending(EVALUATION_SECONDS)
    if spent.is_exhausted:
        return Breach(
            f"expressions that belong together may take {spent.seconds} seconds of processor time", 0
        )
    answer = _evaluators[0].answer(request, seconds=spent.next_seconds)
    spent.charge(answer.seconds)
    return answer
