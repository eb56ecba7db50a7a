"""The flow through a task: which step comes next, and how a run ends.

Source: contracts/core.md sections 3.5 and 3.6; design section 5.
"""

from dataclasses import replace

from shared.domain.instance.attributes import merged
from shared.domain.instance.replay import come_to, lay_on, passed_in_run, stack
from shared.domain.instance.run import Intent, Outcome, StepError, Then
from shared.domain.steps.cursor import MAX_BRANCHES, MAX_VISITS, FlowCursor, StepContext, rule_failed
from shared.expressions import EvaluationError

__all__ = ["MAX_BRANCHES", "MAX_VISITS", "StepContext", "advance", "fail", "first_action", "skip"]


def first_action(context: StepContext) -> Then:
    """Return what a new run does first, from ``initialStep`` on, past the results that earlier runs have stored."""
    cursor = FlowCursor(context=context, attempt=context.event.attempt, resets=context.event.resets)
    return cursor.follow(context.task.initial_step)


def advance(context: StepContext, intent: Intent, outcome: Outcome) -> tuple[Outcome, Then]:
    """Return the outcome of a step as it is to be stored, and what follows it.

    What could not be evaluated is noted on the outcome. If that was a ``callback`` rule, the step has failed and its
    directives are dropped.
    """
    step = context.task.steps[intent.step]
    if outcome.success:
        cursor = _cursor_after(context, intent, outcome)
        try:
            return cursor.decided(outcome, cursor.succeeded(step))
        except EvaluationError as problem:
            error = rule_failed(step, problem)
            outcome = replace(outcome, success=False, error=error, directives=None)
    cursor = _cursor_after(context, intent, outcome)
    return cursor.decided(outcome, cursor.failed(step, _error_of(outcome)))


def skip(context: StepContext, intent: Intent, outcome: Outcome) -> tuple[Outcome, Then]:
    """Return what follows a step that an operator skipped: the same as after success, though it was none."""
    cursor = _cursor_after(context, intent, outcome)
    return cursor.decided(outcome, cursor.passed_over(context.task.steps[intent.step], _error_of(outcome)))


def fail(context: StepContext, intent: Intent, outcome: Outcome) -> tuple[Outcome, Then]:
    """Return what follows a step if its attempt is to fail, whatever its rules say."""
    cursor = _cursor_after(context, intent, outcome)
    return cursor.decided(outcome, cursor.attempt_failed(context.task.steps[intent.step], _error_of(outcome)))


def _cursor_after(context: StepContext, intent: Intent, outcome: Outcome) -> FlowCursor:
    """Return the cursor behind a step, with its result on the stack and the attributes its controller has set."""
    ordered = outcome.directives or {}
    if "attributes" in ordered:
        attributes = merged(context.instance, ordered["attributes"])
        context = replace(context, instance=replace(context.instance, attributes=attributes))
    results = stack(context.event_history, context.event, intent)
    lay_on(results, intent, outcome)
    return FlowCursor(
        context=context,
        after=intent,
        unanswered=outcome.unanswered,
        visit=intent.visit + 1,
        path=intent.path,
        attempt=intent.attempt,
        resets=intent.resets,
        branches=intent.branches,
        failure=intent.failure,
        results=results,
        seen=passed_in_run(context.event_history, context.event, intent),
        come_to=come_to(context.event_history, context.event, context.event.run, intent)
        if context.event.reuse.redriven_from
        else frozenset(),
    )


def _error_of(outcome: Outcome) -> StepError:
    return outcome.error or StepError(message="the step failed")
