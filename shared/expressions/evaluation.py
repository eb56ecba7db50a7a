"""Check and evaluate expressions."""

from collections.abc import Mapping, Sequence
from functools import lru_cache

from shared.expressions.bindings import encode_context
from shared.expressions.evaluator import Breach, ask
from shared.expressions.kinds import ResultType, Value, Variables
from shared.expressions.lexer import names_in
from shared.expressions.limits import MAX_SOURCE_BYTES
from shared.expressions.problems import EvaluationError, ExpressionProblem, ExpressionSyntaxError, too_long
from shared.expressions.protocol import (
    check_request,
    evaluation_request,
    expression_line,
    read_problem,
    read_values,
)


def check(source: str, *, variables: Variables, returns: ResultType) -> ExpressionProblem | None:
    """Return the first problem of the source, or None if it compiles and can return the required type.

    It checks syntax, names of variables and functions, types as far as they are known, patterns that are written out,
    length, nesting and growth.
    Source: docs/expressions.md.
    """
    if _is_too_long(source):
        return too_long()
    answer = ask(check_request(expression_line(source, variables=variables, returns=returns)))
    if isinstance(answer, Breach):
        return ExpressionProblem("too-complex", f"it cannot be checked: {answer.why}", None)
    return read_problem(answer.payload)


def evaluate(
    source: str, context: Mapping[str, object], *, variables: Variables, returns: ResultType
) -> object:
    """Return the value in plain Python: bool, int, float, str, None, list, dict or aware datetime.

    ``context`` holds the values of the variables; datetimes must be aware. Entries that are not declared, or not named
    in the source, are ignored, and a declared variable without a value fails only if it is used. A whole double is
    returned as an integer. Dates inside lists and maps are ISO texts; maps are sorted by key.
    Raises: EvaluationError: if there is no such value, or a limit was met.
        ExpressionSyntaxError: if the source does not compile; it is a subclass of EvaluationError.
    Source: docs/expressions.md.
    """
    return evaluate_all((source,), context, variables=variables, returns=returns)[0]


def evaluate_all(
    sources: Sequence[str], context: Mapping[str, object], *, variables: Variables, returns: ResultType
) -> list[Value]:
    """Return the values of several expressions in one context, in one request; otherwise the same as ``evaluate``."""
    if any(map(_is_too_long, sources)):
        raise ExpressionSyntaxError(too_long())
    names = frozenset[str]().union(*map(_names, sources))
    lines = [expression_line(source, variables=variables, returns=returns) for source in sources]
    answer = ask(evaluation_request(encode_context(context, variables=variables, names=names), lines))
    if isinstance(answer, Breach):
        raise EvaluationError(answer.why)
    return read_values(answer.payload)


def _is_too_long(source: str) -> bool:
    # Refused here, so that the caches of requests stay small.
    return len(source) > MAX_SOURCE_BYTES


@lru_cache(maxsize=512)
def _names(source: str) -> frozenset[str]:
    return names_in(source)
