"""The answering side of ``protocol``: it compiles and evaluates, in the process that may fail.

Source: docs/expressions.md.
"""

import json
from collections.abc import Iterator
from datetime import datetime
from functools import lru_cache

from msgspec import Struct

from shared.expressions.bindings import Bindings, decode_context
from shared.expressions.engine import compile_expression
from shared.expressions.host import ALLOWANCE
from shared.expressions.kinds import JsonValue, ResultType, Value, VariableType
from shared.expressions.problems import EvaluationError, ExpressionSyntaxError
from shared.expressions.values import Meter, converted


class _Expression(Struct, frozen=True):
    source: str
    returns: ResultType
    variables: dict[str, VariableType]


def serve(request: bytes) -> bytes:
    """Return the reply to a request. Not thread-safe. Raises: MemoryError: the process must end."""
    ALLOWANCE.refill()
    context, *lines = request.split(b"\n")
    replies = _evaluated(context, lines) if context else map(_checked, lines)
    return b"\n".join(json.dumps(reply, ensure_ascii=False).encode() for reply in replies)


def _checked(line: bytes) -> dict[str, JsonValue]:
    expression = _read(line)
    try:
        compile_expression(expression.source, variables=expression.variables, returns=expression.returns)
    except ExpressionSyntaxError as error:
        return _refusal(error)
    return {}


def _evaluated(context: bytes, lines: list[bytes]) -> Iterator[dict[str, JsonValue]]:
    bindings, meter = decode_context(context.decode()), Meter()
    for line in lines:
        try:
            value = _value(_read(line), bindings, meter)
        except EvaluationError as error:
            yield _refusal(error)
            return
        yield {"date": value.isoformat()} if isinstance(value, datetime) else {"value": value}


def _value(expression: _Expression, bindings: Bindings, meter: Meter) -> Value:
    program = compile_expression(
        expression.source, variables=expression.variables, returns=expression.returns
    )
    return converted(program.run(bindings), expression.returns, meter)


def _refusal(error: EvaluationError) -> dict[str, JsonValue]:
    if isinstance(error, ExpressionSyntaxError):
        return {"problem": [error.problem.rule, error.problem.message, error.problem.caret]}
    return {"error": error.message}


@lru_cache(maxsize=512)
def _read(line: bytes) -> _Expression:
    source, returns, variables = json.loads(line)
    return _Expression(source, ResultType(returns), {name: VariableType(kind) for name, kind in variables})
