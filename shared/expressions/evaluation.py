"""Check an expression, evaluate it."""

from collections.abc import Mapping
from datetime import datetime

from shared.expressions.engine import compile_expression
from shared.expressions.kinds import JsonValue, ResultType, Variables
from shared.expressions.problems import EvaluationError, ExpressionProblem, ExpressionSyntaxError
from shared.expressions.values import CelValue, Meter, to_bindings, to_datetime, to_json

_WANTED = {ResultType.BOOL: "BOOL", ResultType.TIMESTAMP: "TIMESTAMP", ResultType.MAP: "MAP"}


def check(source: str, *, variables: Variables, returns: ResultType) -> ExpressionProblem | None:
    """The first thing wrong with the source, None when it compiles and can return what it must.

    Syntax, names of variables and functions, types as far as they are known, length, nesting, growth.
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
    """The value of the expression in plain Python: bool, int, float, str, None, list, dict, aware datetime.

    context: values of the variables as plain Python; datetimes must be aware. More than the declared
    variables do no harm; a declared one without a value fails only where it is used.
    A whole double leaves as an integer. Dates inside lists and maps leave as ISO texts; maps are
    sorted by key.
    Not for several threads at once: the memory cap is one for the whole process.
    Raises: EvaluationError: there is no such value, or a limit was met.
        ExpressionSyntaxError: the source does not compile; it is an EvaluationError too.
    Source: docs/expressions.md.
    """
    program = compile_expression(source, variables=variables, returns=returns)
    return converted(program.run(to_bindings(context, variables=variables)), returns, Meter())


def converted(value: CelValue, returns: ResultType, meter: Meter) -> "JsonValue | datetime":
    """A CEL value in plain Python, if it has the wanted type.

    Raises: EvaluationError: another type, no plain form, or too large.
    """
    kind = value.type().name().partition("<")[0]
    if returns is not ResultType.ANY and kind != _WANTED[returns]:
        raise EvaluationError(f"this must return {returns}, it returned {kind.lower()}")
    if kind == "TIMESTAMP":
        return to_datetime(value)
    try:
        return to_json(value, meter)
    except RecursionError:
        raise EvaluationError("the result is nested too deep") from None
