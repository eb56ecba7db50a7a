"""The way through a task: which step comes next, and how a run ends.

Source: contracts/core.md sections 3.5 and 3.6; design section 5.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from shared.domain.callbacks import Scope, is_true, scope, span_of
from shared.domain.dates import later, moment_at
from shared.domain.errors import DateError
from shared.domain.event import Event
from shared.domain.ids import call_key, correlation_id
from shared.domain.instance import Instance
from shared.domain.journal import StepResult, Trail
from shared.domain.replay import result_of, stack, stored_results, unanswered_sending
from shared.domain.retry import failure, policy_of
from shared.domain.run import Ending, Failure, Intent, Outcome, Path, RunEnd, StepError, Then
from shared.domain.strategy import RuleKind, Step, Strategy, Task
from shared.expressions import EvaluationError

MAX_VISITS = 200
"""A run executes at most so many steps; then its attempt fails."""

MAX_BRANCHES = 32
"""At most so many branches wait to be run one after another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """Where a run walks: an event's task, over what is stored of it, at one instant.

    token: unguessable, for the correlation id of the next intent.
    """

    strategy: Strategy
    instance: Instance
    event: Event
    trail: Trail
    now: datetime
    token: str

    @property
    def task(self) -> Task:
        """The task of the event."""
        return self.strategy.definition.tasks[self.event.task]

    def scope_at(self, intent: Intent | None, results: dict[str, StepResult]) -> Scope:
        """The variables at a step, over the given stack."""
        return scope(
            self.strategy, self.instance, now=self.now, event=self.event, intent=intent, stack=results
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Leg:
    """What stays the same while steps are passed from stored results on the way to the next intent."""

    visit: int
    path: Path
    attempt: int
    resets: tuple[str, ...]
    branches: tuple[str, ...] = ()
    failure: Failure | None = None


def set_out(walk: Walk) -> Then:
    """What a new run does first: a walk from ``initialStep``, passing what earlier runs have stored."""
    leg = _Leg(visit=1, path=Path.MAIN, attempt=walk.event.attempt, resets=walk.event.resets)
    return _arrive(walk, walk.task.initial_step, leg, {}, ())


def go_on(walk: Walk, intent: Intent, outcome: Outcome) -> tuple[Outcome, Then]:
    """What follows a step, given what it came to.

    The outcome comes back as it is to be stored: with the rules that could not be evaluated noted, and as a
    failed one where a ``callback`` rule could not.
    """
    results = stack(walk.trail, walk.event, intent)
    results[intent.step] = result_of(outcome)
    step = walk.task.steps[intent.step]
    leg = _leg_after(intent)
    if outcome.success:
        try:
            return outcome, _after_success(walk, step, leg, results, ())
        except EvaluationError as error:
            outcome = replace(outcome, success=False, error=StepError(message=f"rule of {step.key}: {error}"))
            results[intent.step] = result_of(outcome)
    return _after_error(walk, step, leg, results, outcome)


def skip(walk: Walk, intent: Intent, outcome: Outcome) -> tuple[Outcome, Then]:
    """What follows a step that an operator skipped: as after success, though it was none."""
    results = stack(walk.trail, walk.event, intent)
    results[intent.step] = result_of(outcome)
    return _as_after_success(walk, walk.task.steps[intent.step], _leg_after(intent), results, outcome)


def fail(walk: Walk, intent: Intent, outcome: Outcome) -> tuple[Outcome, Then]:
    """What follows a step whose attempt is to fail, whatever its rules say."""
    results = stack(walk.trail, walk.event, intent)
    results[intent.step] = result_of(outcome)
    return _attempt_failed(walk, walk.task.steps[intent.step], _leg_after(intent), results, outcome)


def _leg_after(intent: Intent) -> _Leg:
    return _Leg(
        visit=intent.visit + 1,
        path=intent.path,
        attempt=intent.attempt,
        resets=intent.resets,
        branches=intent.branches,
        failure=intent.failure,
    )


def _arrive(walk: Walk, key: str, leg: _Leg, results: dict[str, StepResult], passed: tuple[str, ...]) -> Then:
    """The intent for a step, or what follows it where an earlier run has already done it."""
    step = walk.task.steps[key]
    stored = None if step.repeat_on_retry else stored_results(walk.trail, walk.event, leg.path).get(key)
    if stored is None or len(passed) >= MAX_VISITS:
        return _intent(walk, step, leg, results, passed)
    results[key] = stored
    passed = (*passed, key)
    try:
        return _after_success(walk, step, leg, results, passed)
    except EvaluationError as error:
        outcome = Outcome(success=False, error=StepError(message=f"rule of {key}: {error}"))
        return _after_error(walk, step, leg, results, outcome, passed)[1]


def _intent(
    walk: Walk, step: Step, leg: _Leg, results: dict[str, StepResult], passed: tuple[str, ...]
) -> Then:
    if leg.visit > MAX_VISITS:
        error = StepError(message=f"more than {MAX_VISITS} steps in one run")
        return _attempt_failed(walk, step, leg, results, Outcome(success=False, error=error), passed)[1]
    first_reset = step.reset_attempts and step.key not in leg.resets and leg.path is Path.MAIN
    sent = unanswered_sending(walk.trail, walk.event, step.key)
    sid = walk.instance.event_sid(walk.event)
    return Intent(
        visit=leg.visit,
        step=step.key,
        call_key=sent.call_key if sent else call_key(sid, run=walk.event.run, visit=leg.visit),
        correlation_id=sent.correlation_id if sent else correlation_id(sid, walk.token),
        path=leg.path,
        repeat=sent is not None,
        not_before=_not_before(walk, step, results),
        passed=passed,
        branches=leg.branches,
        attempt=1 if first_reset else leg.attempt,
        resets=(*leg.resets, step.key) if first_reset else leg.resets,
        failure=leg.failure,
    )


def _after_success(
    walk: Walk, step: Step, leg: _Leg, results: dict[str, StepResult], passed: tuple[str, ...]
) -> Then:
    """``final``, else the first true ``callback`` rule, else ``nextStep``, else the end.

    Raises: EvaluationError: a rule cannot be evaluated.
    """
    targets = [] if step.final else _targets(walk, step, results)
    if len(targets) - 1 + len(leg.branches) > MAX_BRANCHES:
        raise EvaluationError(f"more than {MAX_BRANCHES} branches at once")
    waiting = (*leg.branches, *reversed(targets))
    if not waiting:
        return _end(leg, passed)
    return _arrive(walk, waiting[-1], replace(leg, branches=waiting[:-1]), results, passed)


def _targets(walk: Walk, step: Step, results: dict[str, StepResult]) -> list[str]:
    rules = step.rules_of(RuleKind.CALLBACK)
    if rules:
        variables = walk.scope_at(None, results)
        true = (rule.next_step for rule in rules if rule.if_callback and is_true(rule.if_callback, variables))
        chosen = list(true) if step.every_rule else [key for key in [next(true, None)] if key]
        if chosen:
            return chosen
    return [step.next_step] if step.next_step else []


def _after_error(
    walk: Walk,
    step: Step,
    leg: _Leg,
    results: dict[str, StepResult],
    outcome: Outcome,
    passed: tuple[str, ...] = (),
) -> tuple[Outcome, Then]:
    """The first matching ``onError`` rule, else on if the step is optional, else the attempt has failed."""
    target, notes = _first_match(walk, step, RuleKind.ON_ERROR, results)
    outcome = replace(outcome, notes=outcome.notes + notes)
    if target is not None:
        return outcome, _arrive(walk, target, leg, results, passed)
    if step.optional:
        return _as_after_success(walk, step, leg, results, outcome, passed)
    return _attempt_failed(walk, step, leg, results, outcome, passed)


def _as_after_success(
    walk: Walk,
    step: Step,
    leg: _Leg,
    results: dict[str, StepResult],
    outcome: Outcome,
    passed: tuple[str, ...] = (),
) -> tuple[Outcome, Then]:
    try:
        return outcome, _after_success(walk, step, leg, results, passed)
    except EvaluationError as error:
        note = f"rule of {step.key}: {error}"
        outcome = replace(outcome, notes=(*outcome.notes, note))
        return _attempt_failed(walk, step, leg, results, outcome, passed)


def _attempt_failed(
    walk: Walk,
    step: Step,
    leg: _Leg,
    results: dict[str, StepResult],
    outcome: Outcome,
    passed: tuple[str, ...] = (),
) -> tuple[Outcome, Then]:
    """On to the side path of the failed step, or to the end. On a side path errors are only recorded."""
    if leg.failure is not None:
        return outcome, _end(leg, passed)
    error = outcome.error or StepError(message="the step failed")
    variables = walk.scope_at(None, results)
    variables = {**variables, "attempt": leg.attempt, "event": {**variables["event"], "attempt": leg.attempt}}
    failed, note = failure(
        walk.strategy,
        walk.instance,
        policy_of(walk.task, step),
        step,
        error,
        attempt=leg.attempt,
        variables=variables,
        now=walk.now,
    )
    side = replace(leg, failure=failed, branches=(), path=_side_path(failed))
    target, notes = (
        (None, ()) if _just_fails(failed) else _first_match(walk, step, _side_rule(failed), results)
    )
    outcome = replace(outcome, notes=outcome.notes + notes + ((note,) if note else ()))
    if target is None:
        return outcome, _end(side, passed)
    return outcome, _arrive(walk, target, side, results, passed)


def _first_match(
    walk: Walk, step: Step, kind: RuleKind, results: dict[str, StepResult]
) -> tuple[str | None, tuple[str, ...]]:
    """Where the first matching rule of a kind leads; one that cannot be evaluated does not match."""
    notes: list[str] = []
    for rule in step.rules_of(kind):
        try:
            if rule.if_callback is None or is_true(rule.if_callback, walk.scope_at(None, results)):
                return rule.next_step, tuple(notes)
        except EvaluationError as error:
            notes.append(f"{kind.value} rule of {step.key}: {error}")
    return None, tuple(notes)


def _end(leg: _Leg, passed: tuple[str, ...]) -> RunEnd:
    failed = leg.failure
    if failed is None:
        how = Ending.SUCCEEDED
    elif failed.retry_at is not None:
        how = Ending.RETRY
    else:
        how = Ending.EXHAUSTED
    return RunEnd(how=how, attempt=leg.attempt, resets=leg.resets, passed=passed, failure=failed)


def _just_fails(failed: Failure) -> bool:
    return failed.retry_at is None and not failed.pauses


def _side_path(failed: Failure) -> Path:
    return Path.BEFORE_RETRY if failed.retry_at is not None else Path.BEFORE_PAUSE


def _side_rule(failed: Failure) -> RuleKind:
    return RuleKind.ON_BEFORE_RETRY if failed.retry_at is not None else RuleKind.ON_BEFORE_PAUSE


def _not_before(walk: Walk, step: Step, results: dict[str, StepResult]) -> datetime | None:
    """When a step with ``delay`` acts; at once where its date cannot be computed."""
    if step.delay is None:
        return None
    zone = walk.strategy.definition.zone
    span, _ = span_of(step.delay, walk.scope_at(None, results))
    try:
        return later(moment_at(walk.now, zone), span, zone).at
    except DateError:
        return walk.now
