"""The way through a task: which step comes next, and how a run ends.

Source: contracts/core.md sections 3.5 and 3.6; design section 5.
"""

from dataclasses import replace

from shared.domain.instance.attributes import merged
from shared.domain.instance.replay import come_to, lay_on, passed_in_run, stack
from shared.domain.instance.run import Intent, Outcome, StepError, Then
from shared.domain.steps.cursor import MAX_BRANCHES, MAX_VISITS, Walk, Way, rule_failed
from shared.expressions import EvaluationError

__all__ = ["MAX_BRANCHES", "MAX_VISITS", "Walk", "fail", "go_on", "set_out", "skip"]


def set_out(walk: Walk) -> Then:
    """What a new run does first: a walk from ``initialStep``, passing what earlier runs have stored."""
    way = Way(walk=walk, attempt=walk.event.attempt, resets=walk.event.resets)
    return way.follow(walk.task.initial_step)


def go_on(walk: Walk, intent: Intent, outcome: Outcome) -> tuple[Outcome, Then]:
    """What follows a step, given what it came to.

    The outcome comes back as it is to be stored: with what could not be evaluated noted, and as a failed one,
    which orders nothing, where a ``callback`` rule could not.
    """
    step = walk.task.steps[intent.step]
    if outcome.success:
        way = _way_after(walk, intent, outcome)
        try:
            return way.decided(outcome, way.succeeded(step))
        except EvaluationError as problem:
            error = rule_failed(step, problem)
            outcome = replace(outcome, success=False, error=error, directives=None)
    way = _way_after(walk, intent, outcome)
    return way.decided(outcome, way.failed(step, _error_of(outcome)))


def skip(walk: Walk, intent: Intent, outcome: Outcome) -> tuple[Outcome, Then]:
    """What follows a step that an operator skipped: as after success, though it was none."""
    way = _way_after(walk, intent, outcome)
    return way.decided(outcome, way.passed_over(walk.task.steps[intent.step], _error_of(outcome)))


def fail(walk: Walk, intent: Intent, outcome: Outcome) -> tuple[Outcome, Then]:
    """What follows a step whose attempt is to fail, whatever its rules say."""
    way = _way_after(walk, intent, outcome)
    return way.decided(outcome, way.attempt_failed(walk.task.steps[intent.step], _error_of(outcome)))


def _way_after(walk: Walk, intent: Intent, outcome: Outcome) -> Way:
    """The way on from a step, its result on the stack and the attributes its controller set in force."""
    ordered = outcome.directives or {}
    if "attributes" in ordered:
        attributes = merged(walk.instance, ordered["attributes"])
        walk = replace(walk, instance=replace(walk.instance, attributes=attributes))
    results = stack(walk.trail, walk.event, intent)
    lay_on(results, intent, outcome)
    return Way(
        walk=walk,
        after=intent,
        unanswered=outcome.unanswered,
        visit=intent.visit + 1,
        path=intent.path,
        attempt=intent.attempt,
        resets=intent.resets,
        branches=intent.branches,
        failure=intent.failure,
        results=results,
        seen=passed_in_run(walk.trail, walk.event, intent),
        come_to=come_to(walk.trail, walk.event, walk.event.run, intent)
        if walk.event.reuse.redriven_from
        else frozenset(),
    )


def _error_of(outcome: Outcome) -> StepError:
    return outcome.error or StepError(message="the step failed")
