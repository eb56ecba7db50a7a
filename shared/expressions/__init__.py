"""User logic: CEL expressions and templates, compiled, checked and evaluated under limits.

This package knows nothing of the domain: the caller names the variables and the type of the result. Expressions are
evaluated by the process of an ``Evaluator``; only that process imports ``serving`` and the CEL library.
Source: docs/expressions.md.
"""

from shared.expressions.digits import as_data
from shared.expressions.evaluation import check, evaluate
from shared.expressions.evaluator import (
    Breach,
    Evaluator,
    NoEvaluatorError,
    Reply,
    Spending,
    spending,
    use_evaluator,
)
from shared.expressions.kinds import JsonValue, ResultType, Variables, VariableType
from shared.expressions.problems import (
    EvaluationError,
    ExpressionError,
    ExpressionProblem,
    ExpressionSyntaxError,
)
from shared.expressions.templates import (
    Place,
    Reference,
    references_in,
    render,
    render_with_references,
    template_problems,
)
from shared.expressions.texts import text_of

__all__ = [
    "Breach",
    "EvaluationError",
    "Evaluator",
    "ExpressionError",
    "ExpressionProblem",
    "ExpressionSyntaxError",
    "JsonValue",
    "NoEvaluatorError",
    "Place",
    "Reference",
    "Reply",
    "ResultType",
    "Spending",
    "VariableType",
    "Variables",
    "as_data",
    "check",
    "evaluate",
    "references_in",
    "render",
    "render_with_references",
    "spending",
    "template_problems",
    "text_of",
    "use_evaluator",
]
