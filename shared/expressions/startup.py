"""The self-test at start-up: proves that the limits hold in this process."""

from collections.abc import Mapping
from pathlib import Path

from shared.expressions.evaluation import evaluate
from shared.expressions.kinds import ResultType, VariableType
from shared.expressions.limits import STATM, address_space
from shared.expressions.problems import EvaluationError, ExpressionError

_VARIABLES = {"text": VariableType.STRING, "numbers": VariableType.ANY}
_ITERATIONS = "numbers.all(x, numbers.all(y, true))"
# The library copies the list at every element: five thousand elements make hundreds of megabytes.
_BOMB = "numbers.map(x, x)"
_BOMB_NUMBERS = list(range(5_000))


class LimitsNotEnforcedError(ExpressionError):
    """A limit does not hold, so user logic must not run in this process."""


def self_test() -> None:
    """Return if the limits hold. It takes about 50 ms. Source: docs/expressions.md.

    Without ``/proc`` (macOS, Windows) there is no memory cap to test.
    Raises: LimitsNotHeldError: if an expression that must fail returned a value or failed for another reason.
        EvaluationError: if a valid expression fails.
    """
    prove()


def prove(statm: Path = STATM) -> None:
    """Run the self-test; ``statm`` is the file that reports the memory of the process."""
    evaluate("size(text) == 1", {"text": "x"}, variables=_VARIABLES, returns=ResultType.BOOL)
    require_refusal(_ITERATIONS, {"numbers": list(range(110))}, because="Iteration budget exceeded")
    if address_space(statm) is not None:
        require_refusal(_BOMB, {"numbers": _BOMB_NUMBERS}, because="out of memory")


def require_refusal(source: str, context: Mapping[str, object], *, because: str) -> None:
    """Return if the evaluation is refused for the given reason. Raises: LimitsNotHeldError."""
    try:
        evaluate(source, context, variables=_VARIABLES, returns=ResultType.ANY)
    except EvaluationError as error:
        if error.message != because:
            raise LimitsNotEnforcedError(f"expected '{because}', got '{error.message}'") from error
        return
    raise LimitsNotEnforcedError(f"expected '{because}', but there was a value")
