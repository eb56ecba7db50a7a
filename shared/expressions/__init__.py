"""User logic: CEL expressions and templates, compiled, checked and evaluated under limits.

This package knows nothing of the domain: the caller names the variables and the type of the result.
Source: docs/expressions.md.
"""

from shared.expressions.evaluation import check, evaluate
from shared.expressions.host import HOST_FUNCTIONS
from shared.expressions.kinds import JsonValue, ResultType, Variables, VariableType
from shared.expressions.problems import (
    EvaluationError,
    ExpressionError,
    ExpressionProblem,
    ExpressionSyntaxError,
)
from shared.expressions.startup import LimitsNotEnforcedError, self_test
from shared.expressions.templates import render, template_problems
from shared.expressions.values import as_data

__all__ = [
    "HOST_FUNCTIONS",
    "EvaluationError",
    "ExpressionError",
    "ExpressionProblem",
    "ExpressionSyntaxError",
    "JsonValue",
    "LimitsNotEnforcedError",
    "ResultType",
    "VariableType",
    "Variables",
    "as_data",
    "check",
    "evaluate",
    "render",
    "self_test",
    "template_problems",
]
