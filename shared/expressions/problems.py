"""The problems of expressions, and how they are shown to a user."""

from msgspec import Struct

from shared.expressions.limits import MAX_SOURCE_BYTES

MAX_LINE = 400
"""How many characters of a source line are shown with a caret."""

MAX_REASON = 1_000
"""How many characters of the reason of an ``EvaluationError`` are kept."""


class ExpressionProblem(Struct, frozen=True):
    """One problem of an expression or a template, found before anything runs.

    ``rule`` is the stable name of the broken rule: ``syntax``, ``undeclared``, ``type``, ``javascript``, ``too-long``,
    ``too-deep``, ``too-complex``, ``pattern`` or ``template``. ``message`` is one sentence. ``caret`` is the source
    line with a ``^`` below the position, or None if there is no single position.
    Source: docs/expressions.md.
    """

    rule: str
    message: str
    caret: str | None


def too_long() -> ExpressionProblem:
    """Return the problem of a source that is too long."""
    return ExpressionProblem("too-long", f"longer than {MAX_SOURCE_BYTES} bytes", None)


class ExpressionError(Exception):
    """The root of the exceptions of this package."""


class EvaluationError(ExpressionError):
    """An expression or a template has no value; ``message`` gives the reason. Nothing was changed.

    The reasons: a missing key, an undefined operation, a refusal by a host function, a result of the wrong type, or a
    limit (iterations, time, memory, size of context or result).
    """

    def __init__(self, message: str) -> None:
        # A message may quote a value of the context (a missing key), and is stored with the step.
        self.message = message if len(message) <= MAX_REASON else f"{message[:MAX_REASON]}..."
        super().__init__(self.message)


class ExpressionSyntaxError(EvaluationError):
    """A source does not compile; ``problem`` is the result of ``check`` for it.

    It is an ``EvaluationError``, so a caller that evaluates a stored source has one error to handle.
    """

    def __init__(self, problem: ExpressionProblem) -> None:
        super().__init__(f"{problem.rule}: {problem.message}")
        self.problem = problem


def caret_at(source: str, *, line: int, column: int) -> str:
    """Return line ``line`` (from 1) of ``source`` with a ``^`` under ``column`` (from 1, in characters).

    Tabs before the position are kept, so that the mark is where an editor shows it. Of a long line, only the part
    around the position is returned.
    """
    text = source.split("\n")[line - 1].rstrip("\r")
    # A template may be a line of 200 KB with thousands of problems, and each has a caret.
    start = max(column - 1 - MAX_LINE // 2, 0) if len(text) > MAX_LINE else 0
    text, column = text[start : start + MAX_LINE], column - start
    margin = "".join("\t" if character == "\t" else " " for character in text[: column - 1])
    return f"{text}\n{margin.ljust(column - 1)}^"


def caret_at_offset(source: str, offset: int) -> str:
    """Return the same as ``caret_at`` for an offset (from 0) into the whole source."""
    before = source[:offset]
    return caret_at(source, line=before.count("\n") + 1, column=offset - before.rfind("\n"))
