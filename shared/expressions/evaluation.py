"""Check and evaluate expressions."""

from collections.abc import Mapping
from datetime import datetime

from shared.expressions.engine import compile_expression
from shared.expressions.kinds import JsonValue, ResultType, Variables
from shared.expressions.problems import EvaluationError, ExpressionProblem, ExpressionSyntaxError
from shared.expressions.values import CelValue, Meter, to_bindings, to_datetime, to_json

_KINDS = {ResultType.BOOL: "BOOL", ResultType.TIMESTAMP: "TIMESTAMP", ResultType.MAP: "MAP"}


def check(source: str, *, variables: Variables, returns: ResultType) -> ExpressionProblem | None:
    """Return the first problem of the source, or None if it compiles and can return the required type.

    It checks syntax, names of variables and functions, types as far as they are known, length, nesting and growth.
    Source: docs/expressions.md.
    """
    try:
        compile_expression(source, variables=variables, returns=returns)
    except ExpressionSyntaxError as error:
        return error.problem
    return None


def evaluate(
    source: str, context: Mapping[str, object], *, variables: Variables, returns: ResultType
) -> object:
    """Return the value in plain Python: bool, int, float, str, None, list, dict or aware datetime.

    ``context`` holds the values of the variables; datetimes must be aware. Undeclared entries are ignored, and a
    declared variable without a value fails only if it is used. A whole double is returned as an integer. Dates inside
    lists and maps are ISO texts; maps are sorted by key. Not thread-safe: the memory cap applies to the whole process.
    Raises: EvaluationError: if there is no such value, or a limit was met.
        ExpressionSyntaxError: if the source does not compile; it is a subclass of EvaluationError.
    Source: docs/expressions.md.
    """
    program = compile_expression(source, variables=variables, returns=returns)
    return converted(program.run(to_bindings(context, variables=variables)), returns, Meter())


def converted(value: CelValue, returns: ResultType, meter: Meter) -> "JsonValue | datetime":
    """Return a CEL value in plain Python if it has the required type.

    Raises: EvaluationError: if it has another type or no plain form, or is too large.
    """
    kind = value.type().name().partition("<")[0]
    if returns is not ResultType.ANY and kind != _KINDS[returns]:
        raise EvaluationError(f"this must return {returns}, it returned {kind.lower()}")
    if kind == "TIMESTAMP":
        return to_datetime(value)
    try:
        return to_json(value, meter)
    except RecursionError:
        raise EvaluationError("the result is nested too deep") from None
