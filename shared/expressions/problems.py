"""What can be wrong with an expression, and how a person is shown it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ExpressionProblem:
    """One thing wrong with an expression or a template, found before anything runs.

    rule: a short stable name of the broken rule: ``syntax``, ``undeclared``, ``type``, ``javascript``,
    ``too-long``, ``too-deep``, ``too-complex``, ``template``.
    message: one sentence for a person.
    caret: the offending source line and, below it, a ``^`` under the place; None where there is no one place.
    Source: docs/expressions.md.
    """

    rule: str
    message: str
    caret: str | None


class ExpressionError(Exception):
    """The root of what this package raises."""


class EvaluationError(ExpressionError):
    """An expression or a template came to no value. Nothing has happened; ``message`` says why.

    The reasons: a missing key, an operation without an answer, a host function that refused, a wrong result
    type, a limit (iterations, memory, size of context or result).
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class ExpressionSyntaxError(EvaluationError):
    """A source that does not compile. ``problem`` is what ``check`` would have told.

    It is an ``EvaluationError`` too, so that whoever evaluates a stored source has one error to handle.
    """

    def __init__(self, problem: ExpressionProblem) -> None:
        super().__init__(f"{problem.rule}: {problem.message}")
        self.problem = problem


def caret_at(source: str, *, line: int, column: int) -> str:
    """The line (from 1) of ``source`` and a ``^`` under the column (from 1, in characters).

    Tabs before the place are kept, so that the mark stands where an editor would show it.
    """
    lines = source.split("\n")
    text = lines[line - 1].rstrip("\r")
    margin = "".join("\t" if character == "\t" else " " for character in text[: column - 1])
    return f"{text}\n{margin.ljust(column - 1)}^"


def caret_at_offset(source: str, offset: int) -> str:
    """As ``caret_at``, for an offset (from 0) into the whole source."""
    before = source[:offset]
    return caret_at(source, line=before.count("\n") + 1, column=offset - before.rfind("\n"))
