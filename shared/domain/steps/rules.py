"""The evaluation of a step's next-step rules.

Source: docs/contracts/core.md section 3.5; docs/design.md section 5.
"""

from collections.abc import Callable
from itertools import islice

from shared.domain.instance.scope import Scope, is_true
from shared.domain.strategy.model import NextStepRule, RuleKind, Step
from shared.expressions import EvaluationError


def next_steps(step: Step, variables: Callable[[], Scope]) -> tuple[str, ...]:
    """Return the next steps after a success: none if ``final``, else by ``callback`` rules, else ``nextStep``.

    The first true rule counts. With ``every_rule``, all true rules count in their order.
    Raises: EvaluationError: if a rule that is needed cannot be evaluated.
    """
    if step.final:
        return ()
    true = (rule.next_step for rule in step.rules_of(RuleKind.CALLBACK) if _holds(rule, variables))
    chosen = tuple(true if step.every_rule else islice(true, 1))
    return chosen or ((step.next_step,) if step.next_step is not None else ())


def first_match(
    step: Step, kind: RuleKind, variables: Callable[[], Scope]
) -> tuple[str | None, tuple[str, ...]]:
    """Return the next step of the first matching rule of a kind, or None, and a note for each rule that fails."""
    notes: list[str] = []
    for rule in step.rules_of(kind):
        try:
            if _holds(rule, variables):
                return rule.next_step, tuple(notes)
        except EvaluationError as error:
            notes.append(f"{kind.value} rule of {step.key}: {error}")
    return None, tuple(notes)


def _holds(rule: NextStepRule, variables: Callable[[], Scope]) -> bool:
    """Return whether a rule applies; a rule without a condition always does."""
    # Building the variables copies attributes and results, so it is done only for a rule with a condition.
    return rule.if_callback is None or is_true(rule.if_callback, variables())
