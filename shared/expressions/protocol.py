"""The requests to an evaluator and its replies, as the asking side writes and reads them.

A request has a line with the context, empty if the expressions are only to be checked, and a line for each expression.
Its reply has a line for each expression, up to the first that fails. Lines are JSON, so that another process can
answer. ``serving`` is the answering side.
Source: docs/expressions.md.
"""

import json
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache

from shared.expressions.kinds import JsonValue, ResultType, Value, Variables, VariableType
from shared.expressions.problems import EvaluationError, ExpressionProblem, ExpressionSyntaxError

_VariablesKey = frozenset[tuple[str, VariableType]]


def expression_line(source: str, *, variables: Variables, returns: ResultType) -> bytes:
    """Return the line of an expression. Equal expressions have equal lines."""
    return _line(source, frozenset(variables.items()), returns)


def check_request(line: bytes) -> bytes:
    """Return the request to check an expression."""
    return b"\n" + line


def evaluation_request(context: bytes, lines: Sequence[bytes]) -> bytes:
    """Return the request to evaluate expressions in a context."""
    return b"\n".join((context, *lines))


def read_problem(reply: bytes) -> ExpressionProblem | None:
    """Return the problem that a check found, or None."""
    return _problem(json.loads(reply))


def read_values(reply: bytes) -> list[Value]:
    """Return the values of the expressions.

    Raises: EvaluationError: the reason of the first that has none; ExpressionSyntaxError: if it does not compile.
    """
    return [_value(json.loads(line)) for line in reply.split(b"\n")]


def _value(reply: dict[str, JsonValue]) -> Value:
    if "value" in reply:
        return reply["value"]
    if "date" in reply:
        return datetime.fromisoformat(str(reply["date"]))
    problem = _problem(reply)
    if problem is not None:
        raise ExpressionSyntaxError(problem)
    raise EvaluationError(str(reply["error"]))


def _problem(reply: dict[str, JsonValue]) -> ExpressionProblem | None:
    members = reply.get("problem")
    if not isinstance(members, list):
        return None
    rule, message, caret = members
    return ExpressionProblem(str(rule), str(message), None if caret is None else str(caret))


@lru_cache(maxsize=512)
def _line(source: str, variables: _VariablesKey, returns: ResultType) -> bytes:
    return json.dumps([source, returns, sorted(variables)]).encode()
