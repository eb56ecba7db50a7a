"""The flow through a task: the next step, and the end of a run.

Source: docs/contracts/core.md sections 3.5 and 3.6; docs/design.md section 5.
"""

from datetime import datetime

from msgspec.structs import replace

from shared.domain.instance.attributes import merge_attributes
from shared.domain.instance.replay import passed_in_run, put_result, reached_steps, stack
from shared.domain.instance.run import Certainty, Intent, Outcome, StepError, Then
from shared.domain.steps.cursor import MAX_BRANCHES, MAX_VISITS, FlowCursor, StepContext, rule_failed
from shared.domain.strategy.model import method_called
from shared.expressions import EvaluationError, spending

__all__ = ["MAX_BRANCHES", "MAX_VISITS", "StepContext", "advance", "fail", "first_action", "skip"]


@spending()
def first_action(context: StepContext) -> Then:
    """Return the first action of a new run: the first step from ``initialStep`` on without a reusable result."""
    cursor = FlowCursor(context=context, attempt=context.event.attempt, resets=context.event.resets)
    return cursor.follow(context.task.initial_step)


@spending()
def advance(
    context: StepContext, intent: Intent, outcome: Outcome, *, earliest: datetime | None = None
) -> tuple[Outcome, Then]:
    """Return the outcome of a step as it is to be stored, and the next action.

    Expression errors are noted on the outcome. If a ``callback`` rule failed, the step has failed, and a retry executes
    it again. But the result of a POST or PATCH stays a success: its service has acted and is not asked again.
    A retry is not due before ``earliest``.
    """
    step = context.task.steps[intent.step]
    if outcome.success:
        cursor = _cursor_after(context, intent, outcome)
        try:
            return cursor.finish_step(outcome, cursor.succeeded(step))
        except EvaluationError as problem:
            outcome = _with_failed_rule(context, intent, outcome, rule_failed(step, problem))
    cursor = _cursor_after(context, intent, outcome)
    cursor.earliest = earliest
    return cursor.finish_step(outcome, cursor.failed(step, _error_of(outcome)))


@spending()
def skip(context: StepContext, intent: Intent, outcome: Outcome) -> tuple[Outcome, Then]:
    """Return the next action after a step that an operator skipped: the same as after a success."""
    cursor = _cursor_after(context, intent, outcome)
    return cursor.finish_step(outcome, cursor.pass_step(context.task.steps[intent.step], _error_of(outcome)))


@spending()
def fail(context: StepContext, intent: Intent, outcome: Outcome) -> tuple[Outcome, Then]:
    """Return the next action if the attempt must fail, regardless of the step's rules."""
    cursor = _cursor_after(context, intent, outcome)
    return cursor.finish_step(
        outcome, cursor.attempt_failed(context.task.steps[intent.step], _error_of(outcome))
    )


def _cursor_after(context: StepContext, intent: Intent, outcome: Outcome) -> FlowCursor:
    """Return the cursor after a step, with its result on the stack."""
    ordered = outcome.directives or {}
    if "attributes" in ordered:
        # The rules of the step see the attributes that its controller set, before they are applied (ADR 8).
        attributes = merge_attributes(context.instance, ordered["attributes"])
        context = replace(context, instance=replace(context.instance, attributes=attributes))
    results = stack(context.event_history, context.event, intent)
    put_result(results, intent, outcome)
    return FlowCursor(
        context=context,
        after=intent,
        certainty=outcome.certainty,
        visit=intent.visit + 1,
        path=intent.path,
        attempt=intent.attempt,
        resets=intent.resets,
        branches=intent.branches,
        failure=intent.failure,
        results=results,
        seen=passed_in_run(context.event_history, context.event, intent),
        reached=reached_steps(context.event_history, context.event, context.event.run, intent)
        if context.event.reuse.redriven_from
        else frozenset(),
    )


def _with_failed_rule(context: StepContext, intent: Intent, outcome: Outcome, error: StepError) -> Outcome:
    """Return the outcome of a success on which a ``callback`` rule could not be evaluated."""
    method = method_called(context.strategy, context.task.steps[intent.step])
    # If the flow calls again all the same, it must not do so under a new key.
    outcome = replace(outcome, error=error, certainty=outcome.certainty if method is None else Certainty.OPEN)
    if method is not None and not method.is_safe_to_repeat:
        return outcome
    # The step is executed again, and its controller, too.
    return replace(outcome, success=False, directives=None)


def _error_of(outcome: Outcome) -> StepError:
    return outcome.error or StepError(message="the step failed")
