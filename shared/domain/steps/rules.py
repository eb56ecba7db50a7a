"""What the next-step rules of a step say.

Source: contracts/core.md section 3.5; design section 5.
"""

from collections.abc import Callable
from itertools import islice

from shared.domain.instance.scope import Scope, is_true
from shared.domain.strategy.model import NextStepRule, RuleKind, Step
from shared.expressions import EvaluationError


def ways_on(step: Step, variables: Callable[[], Scope]) -> tuple[str, ...]:
    """Where a step leads after success: nowhere if ``final``, else by ``callback`` rules, else ``nextStep``.

    The first true rule counts, or, under ``every_rule``, all true ones in their order.
    Raises: EvaluationError: a rule that had to be asked cannot be evaluated.
    """
    if step.final:
        return ()
    true = (rule.next_step for rule in step.rules_of(RuleKind.CALLBACK) if _holds(rule, variables))
    chosen = tuple(true if step.every_rule else islice(true, 1))
    return chosen or ((step.next_step,) if step.next_step is not None else ())


def first_match(
    step: Step, kind: RuleKind, variables: Callable[[], Scope]
) -> tuple[str | None, tuple[str, ...]]:
    """Where the first matching rule of a kind leads, or None; one that cannot be evaluated is noted."""
    notes: list[str] = []
    for rule in step.rules_of(kind):
        try:
            if _holds(rule, variables):
                return rule.next_step, tuple(notes)
        except EvaluationError as error:
            notes.append(f"{kind.value} rule of {step.key}: {error}")
    return None, tuple(notes)


def _holds(rule: NextStepRule, variables: Callable[[], Scope]) -> bool:
    """A rule without a condition always holds. The variables are made only where one is asked."""
    return rule.if_callback is None or is_true(rule.if_callback, variables())
